"""kill -9 of workers, monitor and stats at random under load. (B66)

Clients of the others see nothing, the pool is whole again and never above its limit, nothing leaks. PGR_SEED chooses whom and
when, and is printed; how long the pool took to be whole again is printed too, and not asserted.
"""
import os
import random
import time

from harness import proc
from under_load import Load, all_there, assert_serves, assert_whole, deaths, never_above, wait_deaths

SIZE, WORKERS, CLIENTS, KILLS = 4, 3, 18, 12
SEED = int(os.environ.get("PGR_SEED") or time.time())
ROLES = ["worker", "worker", "worker", "monitor", "stats"]


def choose(one, dice):
    """One process that runs, now and then two at once."""
    chosen = set()
    for role in dice.sample(ROLES, dice.choice([1, 1, 1, 2])):
        chosen.update(dice.sample(one.pids(role), 1) if one.pids(role) else [])
    return chosen


def kill(one, dice):
    """Kills, waits until the master has reaped them; returns when they were killed."""
    before = len(deaths(one))
    victims = choose(one, dice)
    began = time.monotonic()
    for pid in victims:
        one.kill(pid)
    print(f"killed: {', '.join(wait_deaths(one, before + len(victims))[before:])}", end="")
    return began


def test_b66_kills_at_random_under_load(pg, pgroute):
    dice = random.Random(SEED)
    print(f"PGR_SEED={SEED}")
    one = pgroute(pg, workers=WORKERS, defaults={"pool_size": SIZE})
    with never_above(pg, SIZE), pg.counting("app") as backends:
        assert_whole(one, pg, SIZE)
        files = proc.open_files(one.process.pid)
        with Load(one, CLIENTS) as load:
            for _ in range(KILLS):
                load.go_on(dice.randint(1, 4))
                with load.killing():
                    began = kill(one, dice)
                    load.go_on(1)
                    pg.wait_backends(SIZE, "app")
                    print(f"; whole again after {time.monotonic() - began:.2f} s, sessions lost so far: {load.lost}")
                    assert_serves(one)
                    proc.wait_for(lambda: all_there(one), "all processes to run again")
        assert_whole(one, pg, SIZE)
    assert backends.highest == SIZE
    assert proc.open_files(one.process.pid) == files, "open files of the master"
