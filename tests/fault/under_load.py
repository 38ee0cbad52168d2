"""Load under which processes are killed, and what must hold meanwhile and afterwards.

The load fails the test when a client of a living worker sees an error; clients of a worker that died come again.
"""
import contextlib
import os
import re
import select
import socket
import time

import psycopg

from harness import proc, wire
from harness.load import Crowd, check_nonce

PATIENCE = 20.0
DIED = re.compile(r"child\.died: (\w+).*was ended by signal 9")


class Load(Crowd):
    """Client 0 cancels its own queries, client 1 reconnects all the time, the others run short transactions."""

    def __init__(self, one, number):
        super().__init__(one, number, work=self.step)
        self.owners, self.lost = {}, 0
        self.kills, self.in_danger = 0, False

    @contextlib.contextmanager
    def killing(self):
        """In this block processes die. Outside of it no client has an excuse, whosever it is."""
        self.kills += 1
        self.in_danger = True
        yield
        self.in_danger = False

    def body(self, n):
        try:
            while not self.stopping.is_set():
                safe_since = None if self.in_danger else self.kills
                try:
                    self.session(n)
                except (psycopg.Error, wire.Closed, wire.ServerError, OSError) as problem:
                    self.excuse(n, problem, safe_since)
        finally:
            self.ready[n].set()

    def session(self, n):
        self.owners[n] = None
        with (wire.Client(self.one.port) if n == 0 else self.one.connect()) as db:
            if n != 1:  # to find the owner of one so short-lived would cost more than all the load
                self.owners[n] = self.owner(db.socket.fileno() if n == 0 else db.pgconn.socket)
            if n == 0:
                db.login()
            while not self.stopping.is_set():
                self.work(db, n)
                self.steps[n] += 1
                self.ready[n].set()
                if n == 1:
                    return

    def owner(self, fd):
        """The worker of the session with that socket."""
        with socket.socket(fileno=os.dup(fd)) as sock:
            return self.one.worker_of(sock.getsockname()[1])

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

    def excuse(self, n, problem, safe_since):
        """Raises unless the worker of that client has died; where that is not known, unless some process was being killed."""
        owner = self.owners[n]
        if owner is not None:
            try:
                proc.wait_for(lambda: not proc.alive(owner), "its worker to be gone", timeout=PATIENCE / 2)
            except AssertionError:
                raise AssertionError(f"client {n} of living worker {owner}: {problem!r}") from problem
        elif safe_since == self.kills:
            raise AssertionError(f"client {n} while nobody was killed: {problem!r}") from problem
        self.lost += 1


class Sessions(Load):
    """Clients that come and go, for session mode, with startup parameters of three kinds: connections are replaced all the time."""

    def session(self, n):
        self.owners[n] = None
        with self.one.connect(options=f"-c work_mem={9000 + n % 3}") as db:
            check_nonce(db, n)
            assert db.execute("SHOW work_mem").fetchone()[0] == f"{9000 + n % 3}kB"
            self.steps[n] += 1
            self.ready[n].set()


@contextlib.contextmanager
def never_above(pg, limit, user="app"):
    """That user never has more connections: PostgreSQL counts, refuses any beyond the limit, and writes that into its log."""
    mark = pg.log_mark()
    set_connection_limit(pg, user, limit)
    try:
        yield
    finally:
        set_connection_limit(pg, user, -1)
    refused = [line for line in pg.log_since(mark).splitlines() if "too many connections for role" in line]
    assert not refused, f"{len(refused)} times more than {limit} connections: {refused[0]}"


def set_connection_limit(pg, user, limit):
    with pg.superuser() as db:
        db.execute(f"ALTER ROLE {user} CONNECTION LIMIT {limit}")


def deaths(one):
    """The roles of those that were killed so far and reaped, in this order."""
    return DIED.findall(one.text())


def wait_deaths(one, number):
    proc.wait_for(lambda: len(deaths(one)) >= number, f"{number} deaths to be told", timeout=PATIENCE)
    return deaths(one)


def all_there(one):
    """The workers, the monitor and stats: the master has no other children."""
    return len(proc.children(one.process.pid)) == one.config["workers"] + 2


def assert_serves(one):
    """New clients are served."""
    for n in range(4):
        with wire.Client(one.port).login() as client:
            assert client.query(f"SELECT 'new {n}'").value() == f"new {n}"
            client.terminate()


def assert_whole(one, pg, size):
    """Every place can be used at once, and one more client waits for them."""
    clients = [wire.Client(one.port).login() for _ in range(size + 1)]
    for client in clients[:size]:
        assert not client.query("BEGIN").errors
    pg.wait_backends(size, "app")
    clients[size].send(wire.query("SELECT 'beyond'"))
    proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client beyond the limit to wait")
    clients[0].query("COMMIT")
    assert clients[size].ready().value() == "beyond"
    assert_left(one, pg, clients)


def assert_whole_sessions(one, pg, size):
    """The same in session mode, where who is beyond the limit waits at login."""
    clients = [wire.Client(one.port).login() for _ in range(size)]
    beyond = wire.Client(one.port)
    with proc.Threads() as group:
        group.start(beyond.login)
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client beyond the limit to wait")
        assert pg.backends("app") == size
        clients.pop().terminate()
    assert_left(one, pg, [*clients, beyond])


def assert_left(one, pg, clients):
    for client in clients:
        client.terminate()
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    proc.wait_for(lambda: one.pool()["cl_active"] == one.pool()["cl_waiting"] == 0, "no client to be left in the books")
