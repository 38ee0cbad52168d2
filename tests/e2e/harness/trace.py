"""Message traces: the same bytes sent to PostgreSQL directly and through pgroute, the replies compared byte by byte.

What may differ is taken out by normal(): the place in PostgreSQL's source that an error names.
A step of a sequence is bytes, or (bytes, number of ReadyForQuery) where PostgreSQL skips messages after an error.
"""
import struct

from . import wire

SETUP = (
    "CREATE TABLE IF NOT EXISTS trace_t (id int PRIMARY KEY, v text)",
    "TRUNCATE trace_t",
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
