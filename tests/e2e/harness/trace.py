"""Message traces: the same bytes sent to PostgreSQL directly and through pgroute, the replies compared byte by byte.

What may differ is taken out by normal(): the place in PostgreSQL's source that an error names.
A step of a sequence is bytes, or (bytes, number of ReadyForQuery) where PostgreSQL skips messages after an error.
"""
import struct
from typing import NamedTuple

from . import proc, wire

SETUP = (
    "CREATE TABLE IF NOT EXISTS trace_t (id int PRIMARY KEY, v text)",
    "TRUNCATE trace_t CASCADE",
    "INSERT INTO trace_t SELECT n, 'v' || n FROM generate_series(1, 50) n",
)


def prepare(pg):
    with pg.superuser("app") as db:
        for sql in SETUP:
            db.execute(sql)
        db.execute("GRANT ALL ON trace_t TO PUBLIC")


def readies(data):
    """How many ReadyForQuery a sequence of messages asks for."""
    number, at = 0, 0
    while at < len(data):
        number += data[at:at + 1] in (b"Q", b"S", b"F")
        at += 1 + struct.unpack_from("!I", data, at + 1)[0]
    return number


def exchange(client, step):
    """Sends and reads up to the last ReadyForQuery that is due."""
    data, due = step if isinstance(step, tuple) else (step, readies(step))
    client.send(data)
    seen = []
    for _ in range(due):
        seen += client.recv_until("Z")
    return seen


def normal(messages):
    def body(m):
        if m.type not in "EN":
            return m.body
        return {k: v for k, v in wire.error_fields(m.body).items() if k not in "FLR"}
    return [(m.type, body(m)) for m in messages]


def both(pg, one, sequence, user="app"):
    """The traces of a list of steps, each answered before the next is sent: (direct, through pgroute)."""
    traces = []
    for port in (pg.port, one.port):
        prepare(pg)
        with wire.Client(port).login(user) as client:
            trace = []
            for step in sequence:
                trace.append(normal(exchange(client, step)))
            end = client.query("SELECT 'the end'")
            assert end.rows == [("the end",)], (port == pg.port, trace, end.messages)
            client.terminate()
        traces.append(trace)
    return traces


def assert_same(pg, one, sequence, user="app"):
    direct, through = both(pg, one, sequence, user)
    for step, (wanted, got) in enumerate(zip(direct, through)):
        assert got == wanted, f"step {step}: {sequence[step]!r:.300}"
    return direct


# -- with a client's cancel and its goodbye in the middle

class Send(NamedTuple):
    """Sends and reads up to the last ReadyForQuery that is due, or up to a message of the types in until; None: reads nothing."""
    data: bytes
    until: str | None = ""


class Cancel(NamedTuple):
    """Cancels when the server waits for that, and reads as Send does."""
    until: str | None = ""
    waits: str = "PgSleep"


class Leave(NamedTuple):
    """Sends, with a Terminate behind it, and reads up to the end of the stream."""
    data: bytes


class Replay:
    """One client that goes through such steps: run() is what it got in its login and in each of them."""

    def __init__(self, server, port, name, steps):
        self.server, self.port, self.name, self.steps = server, port, name, steps
        self.owed, self.skipping = 0, False  # ReadyForQuery; PostgreSQL skips to the next Sync

    def run(self):
        with wire.Client(self.port).login(application_name=self.name) as client:
            self.client = client
            seen = [[("login", sorted(client.parameters.items()), client.received.strip("R"), len(client.key))]]
            for step in self.steps:
                if isinstance(step, Leave):
                    return seen + [self.leave(step)]
                seen.append(self.cancel(step) if isinstance(step, Cancel) else self.send(step))
            client.terminate()
        return seen

    def send(self, step):
        self.client.send(step.data)
        self.owed += readies(step.data)
        return self.read(step.until)

    def cancel(self, step):
        sql = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND state <> 'idle' AND wait_event = %s"
        with self.server.superuser() as db:
            proc.wait_for(lambda: db.execute(sql, (self.name, step.waits)).fetchall(), f"{self.name}: {step.waits}")
        wire.cancel(self.port, self.client.pid, self.client.key)
        return self.read(step.until)

    def leave(self, step):
        self.client.send(step.data, wire.terminate())
        return normal(self.client.expect_closed())

    def read(self, until):
        seen = []
        while until is not None and (self.owed or (until and not self.skipping)):
            got = self.client.recv()
            seen.append(got)
            self.owed -= got.type == "Z"
            self.skipping = got.type == "E" or (self.skipping and got.type != "Z")
            if got.type in until or (got.type == "Z" and not self.owed):
                break
        return normal(seen)
