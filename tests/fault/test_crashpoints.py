"""Every crash point of the sources, killed three times under load: nothing that dies takes more with it than itself. (B66)

PGROUTE_CRASH=NAME@FILE kills whoever passes the point and succeeds in removing FILE; so making FILE arms the point for one
death. PGR_SEED chooses when, and is printed.
"""
import os
import random
import re
import select
import socket
import time

import psycopg
import pytest

from harness import proc, wire
from harness.load import Crowd, check_nonce
from harness.pgroute import ROOT

SIZE, WORKERS, CLIENTS, KILLS, PATIENCE = 3, 2, 12, 3, 20.0
SEED = int(os.environ.get("PGR_SEED") or time.time())
POINT = re.compile(r'PGR_CRASHPOINT\("([^"]+)"\)')
# passed only when another process has died
AFTER_A_DEATH = {"sweep.slot", "sweep.scanned", "sweep.swept", "worker.alive.cleared"}
# passed only where connections are idle at times
LIGHT = {"closing.begun", "pool.lease.leased"}


def points():
    names = set()
    for folder in ("base", "config", "net", "shm", "worker", "monitor", "master"):
        for path in sorted((ROOT / folder).glob("*.c")):
            names.update(POINT.findall(path.read_text()))
    return sorted(names)


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


class Load(Crowd):
    """Clients that come again when their own worker has died; an error of any other is a failure.

    Client 0 cancels its own queries, client 1 reconnects all the time, the others run short transactions.
    """

    def __init__(self, one, number):
        super().__init__(one, number, work=self.step)
        self.owners, self.victims, self.lost = {}, set(), 0

    def body(self, n):
        try:
            while not self.stopping.is_set():
                try:
                    self.session(n)
                except (psycopg.Error, wire.Closed, wire.ServerError, OSError) as problem:
                    self.excuse(n, problem)
        finally:
            self.ready[n].set()

    def session(self, n):
        self.owners[n] = None
        with (wire.Client(self.one.port) if n == 0 else self.one.connect()) as db:
            fd = db.socket.fileno() if n == 0 else db.pgconn.socket
            with socket.socket(fileno=os.dup(fd)) as sock:
                self.owners[n] = self.one.worker_of(sock.getsockname()[1])
            if n == 0:
                db.login()
            while not self.stopping.is_set():
                self.work(db, n)
                self.steps[n] += 1
                self.ready[n].set()
                if n == 1:
                    return

    def step(self, db, n):
        if n == 0:
            assert not db.query("BEGIN").errors
            db.send(wire.query("SELECT pg_sleep(60)"))
            while not select.select([db.socket], [], [], 0.02)[0]:
                try:
                    wire.cancel(self.one.port, db.pid, db.key)
                except (wire.Closed, OSError):
                    pass  # by chance accepted by the one that dies
            assert db.ready().sqlstates == ["57014"]
            assert not db.query("ROLLBACK").errors
            time.sleep(0.05)  # most of the time the others use the pool
        elif n % 3 == 0:
            check_nonce(db, n)
        else:
            with db.transaction():
                check_nonce(db, n)
                db.execute("SELECT pg_sleep(%s)", [0.001 * (n % 4)])

    def excuse(self, n, problem):
        """Raises unless the worker of that client has died."""
        owner = self.owners[n]
        if owner is not None:
            try:
                proc.wait_for(lambda: not proc.alive(owner), "its worker to be gone", timeout=2)
            except AssertionError:
                raise AssertionError(f"client {n} of living worker {owner}: {problem!r}") from problem
        elif not self.dying():  # still connecting: not known whose it would have been
            raise AssertionError(f"client {n} while connecting: {problem!r}") from problem
        self.lost += 1

    def dying(self):
        """Did a worker die in the last moments?"""
        return bool(self.victims - set(self.one.pids("worker"))) or len(self.one.pids("worker")) < WORKERS


def kill_a_worker(one, load):
    """The one with most clients: so it probably has server connections too."""
    living = set(one.pids("worker"))
    load.victims |= living
    owners = [pid for pid in load.owners.values() if pid in living]
    if owners:
        one.kill(max(set(owners), key=owners.count))


def fired(trap, patience):
    try:
        return proc.wait_for(lambda: not trap.armed(), "the point to be passed", timeout=patience)
    except AssertionError:
        return False


def fire(one, load, trap, name):
    """Arms the point and waits until it has killed somebody."""
    before = {role: set(one.pids(role)) for role in ("worker", "monitor")}
    load.victims |= before["worker"]
    trap.arm()
    for _ in range(5 if name in AFTER_A_DEATH else 1):
        if name in AFTER_A_DEATH:
            kill_a_worker(one, load)
        if fired(trap, PATIENCE / 5 if name in AFTER_A_DEATH else PATIENCE):
            break
    assert not trap.armed(), f"{name} is not passed under this load"
    died = [f"{role} {pid}" for role, pids in before.items() for pid in pids if not proc.alive(pid)]
    print(f"{name}: killed, gone now: {', '.join(died)}")


def all_there(one):
    return one.running_workers() and len(one.pids("monitor")) == 1 and len(one.pids("stats")) == 1


def assert_serves(one):
    """New clients are served."""
    began = time.monotonic()
    for n in range(4):
        with one.connect() as db:
            check_nonce(db, 90 + n)
    assert time.monotonic() - began < PATIENCE


def assert_whole(one, pg):
    """Every place can be used at once, and one more client waits for them."""
    clients = [wire.Client(one.port).login() for _ in range(SIZE + 1)]
    for client in clients[:SIZE]:
        assert not client.query("BEGIN").errors
    pg.wait_backends(SIZE, "app")
    clients[SIZE].send(wire.query("SELECT 'beyond'"))
    proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client beyond the limit to wait")
    clients[0].query("COMMIT")
    assert clients[SIZE].ready().value() == "beyond"
    for client in clients:
        client.terminate()
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    proc.wait_for(lambda: one.pool()["cl_active"] == one.pool()["cl_waiting"] == 0, "no client to be left in the books")


@pytest.mark.parametrize("name, trap", [(name, name) for name in points()], ids=points(), indirect=["trap"])
def test_b66_death_at(pg, pgroute, trap, name):
    dice = random.Random(f"{SEED} {name}")
    print(f"PGR_SEED={SEED}")
    # a short lifetime: connections are dialed and closed all the time
    one = pgroute(pg, workers=WORKERS, defaults={"pool_size": SIZE, "server_lifetime": "300ms"})
    one.allow("ended by signal 9")
    with pg.counting("app") as backends:
        with Load(one, 2 if name in LIGHT else CLIENTS) as load:
            for _ in range(KILLS):
                load.go_on(dice.randint(1, 4))
                fire(one, load, trap, name)
                proc.wait_for(lambda: all_there(one), "all processes to run again", timeout=PATIENCE)
                assert_serves(one)
                load.go_on(2)
        assert_whole(one, pg)
    assert backends.highest <= SIZE
