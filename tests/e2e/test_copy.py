"""COPY in every direction, and its errors. (B24 B25)"""
import threading

import psycopg
import pytest

from harness import proc, wire
from harness.marks import both_versions
from harness.pgroute import PLAIN
from harness.scale import amount
from harness.wire import bind, copy_data, copy_done, copy_fail, execute, flush, parse, query, sync


@pytest.fixture
def table(pg):
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS copied; CREATE TABLE copied (id int PRIMARY KEY, v text); GRANT ALL ON copied TO PUBLIC")
    return "copied"


def count(one):
    with wire.Client(one.port).login() as client:
        number = int(client.query("SELECT count(*) FROM copied").value())
        client.terminate()
    return number


def at_rest(pg, number=1):
    proc.wait_for(lambda: [row[3] for row in pg.activity("app")] == ["idle"] * number, "the backends to be idle")


@both_versions
def test_copy_in_and_out_by_a_driver(pg, table, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    rows = [(n, "x" * (n % 1000)) for n in range(20000)]
    with one.connect() as db:
        with db.cursor().copy("COPY copied FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        with db.cursor().copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            assert list(copy.rows()) == rows
        with db.transaction():
            with db.cursor().copy("COPY copied (id) FROM STDIN") as copy:
                copy.write_row((-1,))
            assert db.execute("SELECT count(*) FROM copied").fetchone() == (20001,)


@both_versions
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in-transaction"])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_b24_late_copy_data_after_error(pg, table, pgroute, inside, extended):
    """B24: what the client still sends after the error goes nowhere; the server connection is free each time. (3.6 MB and 15 times;
    100 MB and 100 times in a soak.)"""
    one = pgroute(pg, defaults={"pool_size": 1})
    count(one)
    line = copy_data(b"1\t" + b"x" * 60000 + b"\n")
    head = parse("", "COPY copied FROM STDIN") + bind() + execute() + flush() if extended else query("COPY copied FROM STDIN")
    with wire.Client(one.port).login() as client:
        for turn in range(amount(15, 100)):
            if inside:
                client.query("BEGIN")
            client.send(head)
            client.recv_until("G")
            for _ in range(amount(60, 1700)):
                client.send(line)
            client.send(copy_done(), sync() if extended else b"")
            result = client.ready()
            assert result.sqlstates == ["23505"] and result.types == "EZ"
            if inside:
                assert result.status == "E" and client.query("ROLLBACK").status == "I"
            else:
                assert result.status == "I"
                assert count(one) == 0
            assert client.query(f"SELECT {turn}").value() == str(turn)
    at_rest(pg)


@both_versions
@pytest.mark.parametrize("pieces", ["data", "done", "fail", "many"])
def test_b24_copy_messages_outside_of_a_copy_are_ignored(pg, table, pgroute, pieces):
    """B24: as PostgreSQL does."""
    one = pgroute(pg, defaults={"pool_size": 1})
    data = {"data": copy_data(b"1\tx\n"), "done": copy_done(), "fail": copy_fail("no"),
            "many": copy_data(b"1\tx\n") * 50 + copy_done()}[pieces]
    for port in (pg.port, one.port):
        with wire.Client(port).login() as client:
            client.send(data, query("SELECT 'still right'"))
            assert client.ready().value() == "still right"
    assert count(one) == 0


@both_versions
def test_b24_copy_fail(pg, table, pgroute):
    """B24: in both protocols."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        for extended in (False, True):
            client.send(parse("", "COPY copied FROM STDIN") + bind() + execute() + flush() if extended else query("COPY copied FROM STDIN"))
            client.recv_until("G")
            client.send(copy_data(b"1\tx\n"), copy_fail("changed my mind"), sync() if extended else b"")
            result = client.ready()
            assert result.sqlstates == ["57014"] and "changed my mind" in result.errors[0]["M"]
    assert count(one) == 0


@both_versions
@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_b24_client_dies_in_a_copy(pg, table, pgroute, direction, leave):
    """B24: in both directions; nothing is committed, the pool has its connection back."""
    one = pgroute(pg, defaults={"pool_size": 1})
    for _ in range(5):
        client = wire.Client(one.port).login()
        if direction == "in":
            client.send(query("COPY copied FROM STDIN"), copy_data(b"1\thalf\n"))
            client.recv_until("G")
        else:
            client.send(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"))
            client.recv_until("d")
        getattr(client, leave)()
        assert count(one) == 0
    at_rest(pg)


def test_b24_client_dies_after_the_copy_failed(pg, table, pgroute):
    """B24: both at once."""
    one = pgroute(pg, defaults={"pool_size": 1})
    for _ in range(5):
        client = wire.Client(one.port).login()
        client.send(query("COPY copied FROM STDIN"))
        client.recv_until("G")
        client.send(copy_data(b"1\ta\n") + copy_data(b"1\tb\n") + copy_data(b"nonsense\n"))
        client.close()
        assert count(one) == 0
    at_rest(pg)


def test_copy_in_with_flush_and_sync_in_between(pg, table, pgroute):
    """PostgreSQL ignores Flush and Sync while it copies in, in the simple protocol."""
    one = pgroute(pg, defaults={"pool_size": 1})
    for port in (pg.port, one.port):
        with pg.superuser("app") as db:
            db.execute("TRUNCATE copied")
        with wire.Client(port).login() as client:
            client.send(query("COPY copied FROM STDIN"), copy_data(b"1\ta\n"), flush(), sync(), copy_data(b"2\tb\n"), copy_done())
            assert client.ready().tags == ["COPY 2"]
            assert client.query("SELECT count(*) FROM copied").value() == "2"


def test_query_within_a_copy_ends_the_connection(pg, table, pgroute):
    """PostgreSQL takes it for a loss of synchronisation: an error, then FATAL. The server connection must not be lent again."""
    one = pgroute(pg, defaults={"pool_size": 1})
    traces = []
    for port in (pg.port, one.port):
        with wire.Client(port).login() as client:
            client.send(query("COPY copied FROM STDIN"), copy_data(b"1\ta\n"), query("SELECT 1"))
            seen = client.expect_closed()
            traces.append([(m.type, wire.error_fields(m.body).get("C")) for m in seen if m.type != "G"])
    assert traces[0] == traces[1] and [sqlstate for _, sqlstate in traces[0]] == ["08P01"] * len(traces[0])
    assert count(one) == 0
    at_rest(pg)


def test_copy_in_statement_of_several(pg, table, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        client.send(query("SELECT 1; COPY copied FROM STDIN; SELECT 2; COPY copied TO STDOUT; SELECT 3"))
        client.recv_until("G")
        client.send(copy_data(b"5\tfive\n"), copy_done())
        result = client.ready()
        assert result.tags == ["COPY 1", "SELECT 1", "COPY 1", "SELECT 1"]
        assert [m.body for m in result.messages if m.type == "d"] == [b"5\tfive\n"]


@pytest.mark.parametrize("direction", ["out", "in"])
def test_b67_a_long_copy_does_not_starve_the_others(pg, table, pgroute, direction):
    """B67: a COPY without end passes through the one worker, in either direction, until another client has been served twenty times
    beside it. (How long that one waits is a matter of the scheduler's and is not asserted.)"""
    one = pgroute(pg, build=PLAIN, workers=1, defaults={"pool_size": 3})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS sink; CREATE UNLOGGED TABLE sink (v text); GRANT ALL ON sink TO app")
    flows, enough = threading.Event(), threading.Event()

    def copy_out(greedy):
        many = ", ".join(f"generate_series(1, 1000) {name}" for name in "abc")  # of one alone all rows are made before the first is sent
        greedy.send(query(f"COPY (SELECT repeat('x', 8192) FROM {many}) TO STDOUT"))
        while not enough.is_set():
            assert greedy.socket.recv(1 << 20)
            flows.set()

    def copy_in(greedy):
        greedy.send(query("COPY sink FROM STDIN WHERE v = 'none'"))
        greedy.recv_until("G")
        row = copy_data(b"x" * ((1 << 20) - 1) + b"\n")
        while not enough.is_set():
            greedy.send(row)
            flows.set()

    with wire.Client(one.port).login() as greedy, wire.Client(one.port).login() as small, proc.Threads() as group:
        assert small.query("SELECT 1").value() == "1"
        group.start(copy_out if direction == "out" else copy_in, greedy)
        try:
            assert flows.wait(proc.PATIENCE)
            for _ in range(20):
                assert small.query("SELECT 1").value() == "1"
        finally:
            enough.set()


def test_b25_many_copies_leave_memory_flat(pg, table, pgroute):
    """B25: (600 in a test run, 10,000 in a soak.)"""
    one = pgroute(pg, build=PLAIN, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        def round_of(number):
            for _ in range(number):
                client.query("COPY (SELECT repeat('x', 5000) FROM generate_series(1, 20)) TO STDOUT")
                client.send(query("COPY copied FROM STDIN"), copy_data(b"1\tx\n"), copy_fail("no"))
                client.ready()

        round_of(100)
        before = one.memory("Private_Dirty")
        round_of(amount(600, 10_000))
        assert one.memory("Private_Dirty") - before < 4_000


def test_copy_error_is_psycopgs_error(pg, table, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with one.connect() as db:
        for _ in range(3):
            with pytest.raises(psycopg.errors.UniqueViolation):
                with db.cursor().copy("COPY copied FROM STDIN") as copy:
                    for _ in range(2000):
                        copy.write_row((1, "x" * 1000))
            assert db.execute("SELECT count(*) FROM copied").fetchone() == (0,)
