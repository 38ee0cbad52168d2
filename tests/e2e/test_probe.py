import threading, time, os, struct
import pytest
from harness import fakeserver as fs
from harness import proc, trace, wire
from harness.marks import both_versions
from harness.wire import bind, close, describe, execute, flush, parse, query, sync


def test_names(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    out = []
    for port in (pg.port, one.port):
        msgs = []
        with wire.Client(port).login() as c:
            c.send(parse("a", "SELECT 1"), parse("b", "SELECT 1"), sync()); c.ready()
            c.send(bind("", "b", ["x"]), execute(), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(bind("", "a", ["x"]), execute(), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(bind("", "a", ["x"]), execute(), close("S", "a"), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(parse("b", "SELECT 2"), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(parse("b", "SELECT 2"), close("S", "b"), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(parse("c", "SELECT 1"), bind("", "c", ["x"]), close("S", "c"), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(parse("d", "SELECT 7"), bind("", "d", ["x"]), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(parse("e", "SELECT 8"), close("S", "e"), bind("", "e"), sync()); msgs.append([e["M"] for e in c.ready().errors])
            c.send(close("S", "b"), describe("S", "b"), sync()); msgs.append([e["M"] for e in c.ready().errors])
        out.append(msgs)
    for d, t in zip(*out):
        print("same" if d == t else "DIFF", d, t)
    assert out[0] == out[1]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_stalled_client_vanishes(pg, pgroute, how):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as other:
        client = wire.Client(one.port).login()
        client.send(query("SELECT pg_sleep(600)"))
        pg.wait_query("pg_sleep(600)")
        other.send(query("SELECT 'other'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "other to wait")
        client.send(query("SELECT 1"))
        time.sleep(0.3)
        getattr(client, how)()
        other.socket.settimeout(15)
        assert other.ready().value() == "other"


def test_client_vanishes_while_its_server_takes_no_more(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS waits; CREATE TABLE waits (id int primary key, v text); GRANT ALL ON waits TO app")
    with pg.superuser("app") as holder, wire.Client(one.port).login() as other:
        holder.execute("BEGIN")
        holder.execute("INSERT INTO waits VALUES (1, 'x')")
        client = wire.Client(one.port).login()
        client.send(query("COPY waits FROM STDIN"))
        client.recv_until("G")
        client.socket.settimeout(3)
        try:
            while True:
                client.send(wire.copy_data(b"1\t" + b"x" * 60000 + b"\n"))
        except TimeoutError:
            pass
        client.reset()
        other.socket.settimeout(15)
        try:
            assert other.query("SELECT 'other'").value() == "other"
        finally:
            holder.execute("ROLLBACK")


def test_statement_mode(pg, pgroute):
    one = pgroute(pg, defaults={"pool_mode": "statement", "pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        client.send(query("BEGIN"))
        seen = client.expect_closed()
        print([(m.type, wire.error_fields(m.body)) for m in seen])
        assert other.query("BEGIN; SELECT 4; COMMIT").errors == []
        c2 = wire.Client(one.port).login()
        c2.send(parse("", "BEGIN"), bind(), execute(), sync())
        print([(m.type, m.body) for m in c2.expect_closed()])
