"""Every crash point of the sources, killed three times under load: nothing that dies takes more with it than itself. (B66)

PGROUTE_CRASH=NAME@FILE kills whoever passes the point and succeeds in removing FILE; so making FILE arms the point for one
death. PGROUTE_STOP stops instead. PGR_SEED chooses when, and is printed.
"""
import os
import random
import re
import signal
import socket
import time

import pytest

from harness import proc, wire
from harness.pgroute import ROOT
from under_load import PATIENCE, Load, Sessions, all_there, assert_serves, assert_whole, assert_whole_sessions, deaths, never_above, wait_deaths

SIZE, WORKERS, CLIENTS, KILLS = 3, 2, 9, 3
SEED = int(os.environ.get("PGR_SEED") or time.time())
POINT = re.compile(r'PGR_CRASHPOINT\("([^"]+)"\)')
# passed only when another process has died
AFTER_A_DEATH = {"sweep.slot", "sweep.scanned", "sweep.swept", "worker.alive.cleared"}
# passed only while a worker lives and does not run
WHILE_STOPPED = {"sweep.offer.slow"}
# passed only where connections are idle: there are more than clients
LIGHT = {"closing.begun", "pool.lease.leased"}
# passed where who wants a connection finds a free place and dials: fewer clients than places, and none kept. Under more load
# connections are handed on, and the monitor offers free places, so that it is passed by chance only
SPARSE = {"pool.match.caught"}
# passed only in session mode, where sessions differ in their startup parameters
RENEWING = {"pool.renew.begun", "pool.renew.done", "dial.anew.parted"}


def points():
    names = set()
    for folder in ("base", "config", "net", "shm", "worker", "monitor", "master"):
        for path in sorted((ROOT / folder).glob("*.c")):
            names.update(POINT.findall(path.read_text()))
    return sorted(names - RENEWING)


class Trap:
    def __init__(self, name):
        self.folder = proc.scratch("trap", proc.unprivileged())
        self.file = self.folder / "armed"
        self.value = f"{name}@{self.file}"

    def arm(self):
        self.file.touch()

    def armed(self):
        return self.file.exists()

    def close(self):
        proc.remove(self.folder)


@pytest.fixture
def trap(request, monkeypatch):
    made = Trap(request.param)
    monkeypatch.setenv("PGROUTE_CRASH", made.value)
    yield made
    made.close()


def busiest(one, load):
    """The worker with most clients: so it probably has server connections too."""
    living = one.pids("worker")
    owners = [pid for pid in load.owners.values() if pid in living] or living
    return max(set(owners), key=owners.count) if owners else None


def fired(trap, patience):
    try:
        return proc.wait_for(lambda: not trap.armed(), "the point to be passed", timeout=patience)
    except AssertionError:
        return False


def fired_while_stopped(one, load, trap):
    """Stops a worker that has waiters; what the others return is offered to it, unless it has all connections itself."""
    for _ in range(10):
        worker = busiest(one, load)
        one.kill(worker, signal.SIGSTOP)
        try:
            if fired(trap, PATIENCE / 10):
                return
        finally:
            one.kill(worker, signal.SIGCONT)
        load.go_on(1)


def fire(one, load, trap, name):
    """Arms the point and waits until it has killed somebody, who then has been reaped."""
    before, ours = len(deaths(one)), 0
    trap.arm()
    if name in WHILE_STOPPED:
        fired_while_stopped(one, load, trap)
    for _ in range(5 if name in AFTER_A_DEATH else 1):
        if name in AFTER_A_DEATH and (worker := busiest(one, load)):
            one.kill(worker)
            ours += 1
        if not trap.armed() or fired(trap, PATIENCE / 5 if name in AFTER_A_DEATH else PATIENCE):
            break
    assert not trap.armed(), f"{name} is not passed under this load"
    died = wait_deaths(one, before + ours + 1)[before:]
    print(f"{name}: died: {', '.join(died)}")


@pytest.mark.parametrize("name, trap", [(name, name) for name in points()], ids=points(), indirect=["trap"])
def test_b66_death_at(pg, pgroute, trap, name):
    dice = random.Random(f"{SEED} {name}")
    print(f"PGR_SEED={SEED}")
    # a short lifetime: connections are dialed and closed all the time
    one = pgroute(pg, workers=WORKERS, databases={"app": {"user": "app", "password": "app-secret"}},
                  defaults={"pool_size": SIZE, "server_lifetime": "300ms", "min_pool_size": SIZE if name in LIGHT else 0})
    with never_above(pg, SIZE):
        with Load(one, 2 if name in LIGHT | SPARSE else CLIENTS) as load:
            for _ in range(KILLS):
                load.go_on(dice.randint(1, 4))
                with load.killing():
                    fire(one, load, trap, name)
                    assert_serves(one)
                    load.go_on(2)
                    proc.wait_for(lambda: all_there(one), "all processes to run again", timeout=PATIENCE)
        assert_whole(one, pg, SIZE)


@pytest.mark.parametrize("name, trap", [(name, name) for name in sorted(RENEWING)], ids=sorted(RENEWING), indirect=["trap"])
def test_b66_death_while_a_connection_is_replaced(pg, pgroute, trap, name):
    one = pgroute(pg, workers=WORKERS, defaults={"pool_size": SIZE, "pool_mode": "session"})
    with never_above(pg, SIZE), Sessions(one, CLIENTS) as load:
        for _ in range(KILLS):
            load.go_on(2)
            with load.killing():
                fire(one, load, trap, name)
                load.go_on(2)
                proc.wait_for(lambda: all_there(one), "all processes to run again", timeout=PATIENCE)
    assert_whole_sessions(one, pg, SIZE)


def die_young(one):
    """All workers die before they have served anybody, again and again: from then on their successors are forked with delay."""
    for _ in range(3):
        before = deaths(one)
        for pid in one.pids("worker"):
            one.kill(pid)
        wait_deaths(one, len(before) + WORKERS)
        proc.wait_for(lambda: all_there(one), "all processes to run again")


@pytest.mark.parametrize("trap", ["worker.accept.woken"], indirect=True)
def test_b66_connection_that_only_the_dead_was_told_of_is_accepted_by_another(pg, pgroute, trap):
    one = pgroute(pg, workers=WORKERS)
    alone = False
    for _ in range(3):
        die_young(one)
        before = len(deaths(one))
        trap.arm()
        with wire.Client(one.port) as client:
            wait_deaths(one, before + 1)
            client.login()
            alone = len(one.pids("worker")) == WORKERS - 1
            client.terminate()
        proc.wait_for(lambda: all_there(one), "all processes to run again")
        if alone:
            break
    assert alone, "it was always the successor that accepted"


def test_connection_that_only_a_stopped_worker_was_told_of_is_accepted_by_another(pg, pgroute, monkeypatch):
    trap = Trap("worker.accept.woken")
    monkeypatch.setenv("PGROUTE_STOP", trap.value)
    one = pgroute(pg, workers=WORKERS, watchdog_timeout="600s")
    trap.arm()
    with wire.Client(one.port) as client:
        assert fired(trap, PATIENCE)
        stopped = proc.wait_for(lambda: [pid for pid in one.pids("worker") if proc.state(pid) == "T"], "a worker to be stopped")
        try:
            assert client.login().query("SELECT 'served'").value() == "served"
        finally:
            for pid in stopped:
                one.kill(pid, signal.SIGCONT)
        client.terminate()
    trap.close()


def stopped_over_a_cancel(one, client, trap):
    """A cancel request for that client, and the worker that stands still behind the look at its key; not the client's own."""
    own = one.worker_of(client.socket.getsockname()[1])
    for _ in range(50):
        trap.arm()
        request = wire.Wire(socket.create_connection(("127.0.0.1", one.port)))
        request.send(wire.cancel_request(client.pid, client.key))
        assert fired(trap, PATIENCE)
        stopped = proc.wait_for(lambda: [pid for pid in one.pids("worker") if proc.state(pid) == "T"], "a worker to be stopped")
        if stopped != [own]:
            return request, stopped[0]
        one.kill(own, signal.SIGCONT)
        with pytest.raises(wire.Closed):
            request.fill(1)
        request.close()
    raise AssertionError("it was always the client's own worker that took the request")


def test_b4_a_cancel_is_not_for_the_next_client_with_the_same_record(pg, pgroute, monkeypatch):
    """B4: the client leaves after its key was compared, and before it is marked as one to cancel."""
    trap = Trap("cancel.found")
    monkeypatch.setenv("PGROUTE_STOP", trap.value)
    one = pgroute(pg, workers=2, watchdog_timeout="600s", cancel_timeout="600s")
    first = wire.Client(one.port).login()
    request, stopped = stopped_over_a_cancel(one, first, trap)
    later = []
    try:
        first.terminate()
        while not later or later[-1].pid != first.pid:
            later.append(wire.Client(one.port).login())
        with pg.superuser("app") as db:
            db.execute("SELECT pg_advisory_lock(4)")
            later[-1].send(wire.query("SELECT pg_advisory_xact_lock(4)"))
            pg.wait_query("pg_advisory_xact_lock(4)")
            one.kill(stopped, signal.SIGCONT)
            with pytest.raises(wire.Closed):
                request.fill(1)
            db.execute("SELECT pg_advisory_unlock(4)")
        assert not later[-1].ready().errors
    finally:
        one.kill(stopped, signal.SIGCONT)
    for client in later:
        client.terminate()
    request.close()
    trap.close()
