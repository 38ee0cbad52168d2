"""Crowds of clients for the tests: each a thread with a connection of its own."""
import threading

import psycopg

from . import proc, wire


class Crowd:
    """Clients that work until they are told to stop; what each did is counted, an unexpected error fails the test.

    work(db, n) is one step of client n. With tolerate=True errors and lost connections are noted in `broken` instead.
    """

    def __init__(self, one, number, work=None, connect=None, tolerate=False):
        self.one, self.number, self.tolerate = one, number, tolerate
        self.work = work or (lambda db, n: check_nonce(db, n))
        self.connect = connect or (lambda n: one.connect())
        self.stopping, self.group = threading.Event(), proc.Threads()
        self.steps = [0] * number
        self.broken = {}
        self.ready = [threading.Event() for _ in range(number)]
        self.dbs = [None] * number

    def body(self, n):
        try:
            with self.connect(n) as db:
                self.dbs[n] = db
                while not self.stopping.is_set():
                    self.work(db, n)
                    self.steps[n] += 1
                    self.ready[n].set()
        except (psycopg.Error, wire.ServerError, wire.Closed, OSError) as problem:
            if not self.tolerate:
                raise
            self.broken[n] = problem
        finally:
            self.ready[n].set()

    def __enter__(self):
        for n in range(self.number):
            self.group.start(self.body, n)
        for n, event in enumerate(self.ready):
            assert event.wait(proc.PATIENCE), f"client {n} of the crowd got nowhere"
        if not self.tolerate and self.group.errors:
            raise self.group.errors[0]
        return self

    def go_on(self, rounds=1, who=None):
        """Until each of these clients (default: all that are not broken) has done so many more steps."""
        start = list(self.steps)

        def moved():
            if self.group.errors:
                raise self.group.errors[0]
            return all(n in self.broken or self.steps[n] >= start[n] + rounds for n in (who or range(self.number)))
        proc.wait_for(moved, f"{rounds} more steps of every client")

    def __exit__(self, kind, value, trace):
        self.stopping.set()
        if kind is None:
            self.group.join()


_next = iter(range(1, 1 << 60))


def check_nonce(db, n):
    """One query that must bring back what only this call asked for."""
    nonce = f"{n}-{next(_next)}"
    got = db.execute("SELECT %s::text", [nonce]).fetchone()[0]
    assert got == nonce, f"another's row: asked {nonce}, got {got}"
