"""Everything at once, in random order, with a seed: whatever clients do, each gets its own answers and the pool stays whole.
(B1 B2 B3 B7 B27 B35 B62 B66)

Short in a test run; scripts/soak runs it for as long as one wants.
"""
import signal
import time

import pytest

from harness import chaos, proc, scale, wire
from harness.marks import both_versions
from harness.pgroute import PLAIN
from harness.scale import amount
from harness.wire import query


def at_rest(one, pg, size):
    """Nothing is left: every backend is idle, nobody is in the books, every place can be used."""
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    proc.wait_for(lambda: not one.show("clients"), "no client to be left in the books")
    clients = [wire.Client(one.port).login() for _ in range(size)]
    for client in clients:
        assert not client.query("BEGIN").errors
    pg.wait_backends(size, "app")
    for client in clients:
        assert client.query("SHOW work_mem").value() == "4MB"
        assert client.query("SELECT count(*) FROM chaos").value() == "0", "what nobody has committed"
        client.terminate()


def prepare(pg):
    with pg.superuser("app") as db:
        db.execute(chaos.SETUP)


@both_versions
def test_b1_b3_clients_that_do_anything_and_vanish_anywhere(pg, pgroute):
    """B1 B2 B3: random steps, cut at random bytes, cancelled, on two connections: no foreign row, no half request, no open
    transaction that another client meets."""
    prepare(pg)
    one = pgroute(pg, workers=2, defaults={"pool_size": 2, "prepared_statements": 10})
    workers = one.pids("worker")
    with pg.counting("app") as backends:
        with chaos.Chaos(one, 12, amount(1500, 200_000)):
            pass
        at_rest(one, pg, 2)
    assert backends.highest <= 2
    assert one.pids("worker") == workers


def test_b62_b25_memory_stays_flat_whatever_clients_do(pg, pgroute):
    """B62 B25: twice the same load; what the second half adds is noise. (Minutes each in a soak, hours with scripts/soak.)"""
    prepare(pg)
    one = pgroute(pg, build=PLAIN, workers=2, defaults={"pool_size": 4, "prepared_statements": 20})

    def half():
        with chaos.Chaos(one, 12, amount(1500, 150_000)):
            pass
        at_rest(one, pg, 4)
        return one.memory("Private_Dirty"), sum(map(proc.open_files, one.family()))

    memory, files = half()
    memory_later, files_later = half()
    assert memory_later < 1.1 * memory + 2_000 and files_later <= files + 4


def strike(one, pg, dice, victims):
    """Something is killed, stopped for a while, or told to reload."""
    kind = dice.choice(("worker", "worker", "monitor", "stats", "backends", "stop", "reload", "hup"))
    if kind in ("worker", "monitor", "stats"):
        pids = one.pids(kind)
        if pids:
            one.kill(dice.choice(pids))
    elif kind == "backends":
        pg.terminate(list(pg.pids("app"))[:2])
    elif kind == "stop":
        pids = one.pids("worker")
        one.kill(pids[0], signal.SIGSTOP)
        time.sleep(dice.random() * 0.3)
        one.kill(pids[0], signal.SIGCONT)
    elif kind == "reload":
        one.change(defaults={"pool_size": dice.choice((2, 3, 4)), "server_lifetime": dice.choice(("300ms", "1h"))})
        one.reload()
    else:
        one.process.send_signal(signal.SIGHUP)
    victims[kind] = victims.get(kind, 0) + 1


def test_b7_b35_b66_the_same_while_processes_are_killed(pg, pgroute):
    """B7 B35 B66: sessions may be lost, answers not mixed up, and the limit holds."""
    prepare(pg)
    one = pgroute(pg, workers=3, defaults={"pool_size": 4})
    dice, victims = scale.dice("strikes"), {}
    with pg.counting("app") as backends:
        with chaos.Chaos(one, 12, amount(800, 100_000), kills=True) as crowd:
            while crowd.running():
                time.sleep(dice.random() * 0.3)
                strike(one, pg, dice, victims)
        print(victims)
        one.change(defaults={"pool_size": 4, "server_lifetime": "1h"})
        one.reload()
        proc.wait_for(lambda: one.running_workers() and one.pids("monitor") and one.pids("stats") and one.ready(), "all processes")
        at_rest(one, pg, 4)
    assert victims and backends.highest <= 4
