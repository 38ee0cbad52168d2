"""The wire: every message of both protocol versions, pipelines, portals, big and cut messages, junk. (F23 F32 B3 B6 B12-B15
B20 B21 B23 B62)"""
import hashlib
import os
import random
import signal
import struct
import subprocess
import threading
import time

import psycopg
import psycopg2
import pytest

from harness import fakeserver as fs
from harness import proc, trace, wire
from harness.marks import both_versions
from harness.pgroute import PLAIN
from harness.postgres import VERSIONS
from harness.scale import amount
from harness.wire import bind, close, describe, execute, flush, parse, query, sync

PING = parse("", "SELECT 1") + bind() + describe("P") + execute()
FAIL_PARSE = parse("", "SELEKT")
FAIL_EXECUTE = parse("", "SELECT 1/0") + bind() + execute()


# -- versions and keys

def test_f23_protocol_3_0_has_a_four_byte_key(pg, pgroute):
    """F23: as PostgreSQL does for 3.0."""
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        assert len(client.key) == 4 and not client.negotiated


@both_versions
def test_f23_protocol_3_2_has_a_long_key(pg, pgroute):
    """F23: and no negotiation where nothing is to be negotiated."""
    one = pgroute(pg)
    with wire.Client(one.port).login(version=wire.PROTOCOL_3_2) as client:
        assert 4 < len(client.key) <= 256 and not client.negotiated
        assert client.query("SELECT 1").value() == "1"


@pytest.mark.parametrize("version, options", [
    (3 << 16 | 3, {}), (3 << 16 | 9999, {}), (3 << 16 | 9999, {"_pq_.first": "1", "_pq_.second": "2"}),
    (3 << 16 | 2, {"_pq_.first": "1"}), (3 << 16, {"_pq_.first": "1"}),
])
def test_f23_negotiation_is_postgresql_18s(shared, pgroute, version, options):
    """F23: byte for byte, and exactly once."""
    pg = shared("18")
    one = pgroute(pg)
    for _ in range(2):
        answers = []
        for port in (pg.port, one.port):
            with wire.Client(port).login(version=version, **options) as client:
                answers.append((client.negotiated, len(client.key) > 4))
                assert client.query("SELECT 1").value() == "1"
        assert len(answers[0][0]) == 1 and answers[1] == answers[0]


def test_f23_b52_one_negotiation_also_when_queued(pg, pgroute):
    """F23: the pool being full makes no difference."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as hog:
        hog.query("BEGIN")
        late = wire.Client(one.port).login(version=3 << 16 | 9999)
        late.send(query("SELECT 'late'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the second client to wait")
        hog.query("COMMIT")
        assert late.ready().value() == "late" and len(late.negotiated) == 1
        late.close()


def test_f23_psql_of_18_with_3_2(shared, pgroute):
    """F23: psql itself says which version it got; its ^C sends the long key of 3.2."""
    pg = shared("18")
    one = pgroute(pg)
    for asked, got in (("3.0", "3.0"), ("latest", "3.2")):
        psql = [pg.binaries.program("psql"), "-XAt", "-v", "VERBOSITY=verbose",
                f"host=127.0.0.1 port={one.port} user=app dbname=app password=app-secret max_protocol_version={asked}"]
        out = proc.run([*psql, "-c", "\\conninfo", "-c", "SELECT 'a query'"])
        assert f"Protocol Version|{got}" in out and out.splitlines()[-1] == "a query"
        sleeper = subprocess.Popen([*psql, "-c", "SELECT pg_sleep(600)"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        pg.wait_query("pg_sleep(600)")
        sleeper.send_signal(signal.SIGINT)
        assert "57014" in sleeper.communicate(timeout=proc.PATIENCE)[0]


def test_f23_server_without_backend_key_data(fake, pgroute):
    """F23: there are such; its clients get a key of ours all the same."""
    def login(conn):
        conn.send(fs.authentication(0), fs.parameter_status("server_version", "15.8"), fs.ready())

    one = pgroute(fake(login=login))
    with wire.Client(one.port).login() as client:
        assert client.key is not None
        assert client.query("keyless").value() == "keyless"


@pytest.mark.parametrize("size", [4, 8, 32, 256])
def test_f23_server_with_a_long_cancel_key(fake, pgroute, size):
    """F23: whatever the length of the server's key, it comes back whole. (pgroute asks servers for 3.0.)"""
    key, asked = os.urandom(size), threading.Event()

    def login(conn):
        conn.send(fs.authentication(0))
        conn.key = key
        conn.greet()

    def script(conn):
        for got in conn.messages():
            if b"wait" in got.body:
                asked.set()
                proc.wait_for(lambda: server.cancels, "the cancel request")
                conn.send(fs.error("57014", "canceling statement due to user request"), fs.ready())
            elif got.type == "Q":
                conn.send(fs.complete("DISCARD ALL"), fs.ready())

    server = fake(script, login=login)
    one = pgroute(server)
    with wire.Client(one.port).login() as client:
        client.send(query("wait"))
        assert asked.wait(20)
        wire.cancel(one.port, client.pid, client.key)
        assert client.ready().sqlstates == ["57014"]
        conn = next(c for c in server.connections if c.startup_parameters)
        assert server.cancels == [(conn.pid, key)]


# -- the same messages as from PostgreSQL

SEQUENCES = {
    "simple": [query("SELECT 1"), query("SELECT id, v FROM trace_t ORDER BY id LIMIT 3")],
    "simple-empty": [query(""), query(";"), query("  ; ; ")],
    "simple-multi": [query("SELECT 1; SELECT 2; SELECT 3"), query("SELECT 1; SELECT 1/0; SELECT 3"), query("BEGIN; SELECT 1; COMMIT")],
    "simple-error": [query("SELEKT"), query("SELECT 1/0"), query("SELECT * FROM nowhere"), query("SELECT 1")],
    "simple-transaction": [query("BEGIN"), query("INSERT INTO trace_t VALUES (100, 'x')"), query("COMMIT")],
    "simple-failed-transaction": [query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("COMMIT"), query("SELECT 1")],
    "simple-warning": [query("ROLLBACK"), query("COMMIT"), query("BEGIN"), query("BEGIN"), query("ROLLBACK")],
    "simple-savepoint": [query("BEGIN"), query("SAVEPOINT a"), query("SELECT 1/0"), query("ROLLBACK TO a"), query("SELECT 1"),
                         query("COMMIT")],
    "simple-notice": [query("DROP TABLE IF EXISTS never_there"), query("SELECT 1")],
    "simple-pipelined": [b"".join(query(f"SELECT {n}") for n in range(20)), query("SELECT 1/0") + query("SELECT 1")],
    "extended": [PING + sync(), PING + PING + sync(), PING + sync() + PING + sync()],
    "extended-flush": [PING + flush() + PING + flush() + sync()],
    "extended-only-sync": [sync(), sync() + sync() + sync()],
    "extended-empty": [parse("", "") + bind() + describe("P") + execute() + sync()],
    "extended-parameters": [parse("", "SELECT $1::int + $2::int, $3", [23, 23, 25]) + describe("S") +
                            bind("", "", ["1", "2", None]) + describe("P") + execute() + sync()],
    "extended-binary": [parse("", "SELECT $1::int8") + bind("", "", [struct.pack("!q", 77)], [1], [1]) + execute() + sync()],
    "parse-alone": [parse("", "SELECT 1") + sync(), bind() + execute() + sync()],
    "describe-alone": [parse("", "SELECT $1::text") + sync(), describe("S") + sync(), bind("", "", ["x"]) + sync()],
    "transaction": [parse("", "BEGIN") + bind() + describe("P") + execute() + sync(), PING + sync(),
                    parse("", "INSERT INTO trace_t VALUES (200, 'y')") + bind() + execute() + sync(),
                    parse("", "COMMIT") + bind() + describe("P") + execute() + sync()],
    "transaction-in-one-batch": [b"".join(parse("", s) + bind() + execute() for s in
                                          ("BEGIN", "INSERT INTO trace_t VALUES (300, 'z')", "COMMIT", "SELECT 5")) + sync()],
    "named": [parse("s", "SELECT v FROM trace_t WHERE id = $1") + sync(), bind("", "s", ["3"]) + execute() + sync(),
              describe("S", "s") + sync(), bind("", "s", ["4"]) + describe("P") + execute() + sync(), close("S", "s") + sync()],
    "named-twice": [parse("s", "SELECT 1") + sync(), parse("s", "SELECT 2") + sync(), bind("", "s") + execute() + sync()],
    "named-reused-after-close": [parse("s", "SELECT 1") + close("S", "s") + parse("s", "SELECT 2") + bind("", "s") + execute() + sync()],
    "named-unknown": [bind("", "nope") + sync(), describe("S", "nope") + sync(), execute("nope") + sync(),
                      describe("P", "nope") + sync()],
    "named-of-one-text": [parse("a", "SELECT 1") + parse("b", "SELECT 1") + sync(), bind("", "b", ["x"]) + execute() + sync(),
                          bind("", "a", ["x"]) + execute() + sync(), parse("b", "SELECT 2") + sync(), describe("S", "b") + sync()],
    "named-error-before-its-close": [parse("a", "SELECT 1") + sync(), bind("", "a", ["x"]) + execute() + close("S", "a") + sync(),
                                     parse("a", "SELECT 2") + close("S", "a") + sync(), bind("", "a") + execute() + sync(),
                                     parse("c", "SELECT 3") + bind("", "c", ["x"]) + close("S", "c") + sync(),
                                     close("S", "a") + bind("", "a") + sync(), parse("e", "SELECT 4") + close("S", "e") +
                                     describe("S", "e") + sync()],
    "close-unknown": [close("S", "nope") + close("P", "nope") + sync()],
    "close-unnamed": [parse("", "SELECT 1") + close("S") + sync(), bind() + sync()],
    "close-portal-keeps-statement": [parse("s", "SELECT 7") + bind("p", "s") + execute("p") + close("P", "p") +
                                     bind("p", "s") + execute("p") + sync()],
    "portal-limits": [parse("", "SELECT id FROM trace_t ORDER BY id") + bind("p") + execute("p", 10) + execute("p", 10) + execute("p", 0) +
                      sync()],
    "portal-limits-in-transaction": [query("BEGIN"), parse("", "SELECT id FROM trace_t ORDER BY id") + bind("p") + execute("p", 10) +
                                     sync(), execute("p", 10) + sync(), execute("p", 100) + sync(), execute("p", 1) + sync(),
                                     query("COMMIT"), execute("p", 1) + sync()],
    "portal-two-interleaved": [query("BEGIN"), parse("a", "SELECT id FROM trace_t ORDER BY id") + bind("p", "a") + bind("q", "a") +
                               execute("p", 2) + execute("q", 3) + execute("p", 2) + execute("q", 3) + sync(), query("COMMIT")],
    "portal-dies-at-sync": [parse("", "SELECT 1") + bind("p") + sync(), execute("p") + sync()],
    "portal-twice": [parse("", "SELECT 1") + bind("p") + bind("p") + sync()],
    "error-in-parse": [FAIL_PARSE + bind() + execute() + PING + sync(), PING + sync()],
    "error-in-bind": [parse("", "SELECT $1::int") + bind("", "", ["x"]) + execute() + sync(), PING + sync(),
                      parse("", "SELECT $1::int") + bind("", "", []) + execute() + sync()],
    "error-in-execute": [FAIL_EXECUTE + PING + sync() + PING + sync()],
    "error-then-query": [(FAIL_EXECUTE + query("SELECT 1") + sync(), 1), query("SELECT 2")],
    "bind-execute-query-sync": [parse("", "SELECT 1") + bind() + execute() + query("SELECT 2") + sync()],
    "execute-dml": [parse("", "UPDATE trace_t SET v = 'n' WHERE id < 10") + bind() + execute() + sync(),
                    parse("", "DELETE FROM trace_t RETURNING id") + bind() + describe("P") + execute("", 5) + sync()],
    "copy-out": [query("COPY trace_t TO STDOUT"), query("COPY (SELECT 1/0) TO STDOUT"), query("SELECT 1")],
    "copy-in": [query("COPY trace_t FROM STDIN") + wire.copy_data(b"501\ta\n") + wire.copy_data(b"502\tb\n") + wire.copy_done()],
    "copy-in-fail": [query("COPY trace_t FROM STDIN") + wire.copy_data(b"601\ta\n") + wire.copy_fail("enough")],
    "copy-in-error": [query("COPY trace_t FROM STDIN") + wire.copy_data(b"1\tdouble\n") + wire.copy_done()],
    "copy-extended": [parse("", "COPY trace_t FROM STDIN") + bind() + execute() + wire.copy_data(b"701\ta\n") + wire.copy_done() + sync()],
    "copy-out-extended": [parse("", "COPY (SELECT generate_series(1, 5)) TO STDOUT") + bind() + describe("P") + execute() + sync()],
    "function-call": [wire.function_call(177, [struct.pack("!i", 2), struct.pack("!i", 40)], [1], 1),
                      wire.function_call(177, [b"2", b"40"]), wire.function_call(999999999, [])],
    "function-call-error": [wire.function_call(154, [struct.pack("!i", 2), struct.pack("!i", 0)], [1], 1), query("SELECT 1")],
    "function-call-in-transaction": [query("BEGIN"), wire.function_call(177, [b"1", b"1"]), query("COMMIT")],
    "unknown-type-of-parameter": [parse("", "SELECT $1") + describe("S") + sync(), parse("", "SELECT $1::nope") + sync()],
    "set-reported": [query("SET application_name = 'traced'"), query("SHOW application_name"), query("RESET application_name")],
    "big-row": [query("SELECT repeat('x', 300000)"), query("SELECT repeat('y', 8191), repeat('z', 8192), repeat('w', 8193)")],
    "many-columns": [query("SELECT " + ", ".join(str(n) for n in range(1600)))],
}


# PostgreSQL 18 itself fails the statement after that sequence (XX000, unexpected state STARTED)
TRACED = [(name, version) for name in SEQUENCES for version in VERSIONS if (name, version) != ("bind-execute-query-sync", "18")]


@pytest.mark.parametrize("name, version", TRACED)
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_trace_equals_a_direct_connections(standing, name, mode, version):
    one = standing(version, defaults={"pool_mode": mode})
    trace.assert_same(one.server, one, SEQUENCES[name])


@pytest.mark.parametrize("syncs", [0, 1, 2, 3])
@pytest.mark.parametrize("bad", [FAIL_PARSE, FAIL_EXECUTE, bind("", "missing") + execute()], ids=["parse", "execute", "bind"])
def test_b14_error_at_each_position_of_a_pipeline(standing, bad, syncs):
    """B14: ten steps, zero to three Syncs in between, message by message as PostgreSQL."""
    one = standing()
    steps = 10
    for position in range(steps):
        sequence = b""
        for step in range(steps):
            sequence += (bad if step == position else PING)
            if syncs and step % (steps // syncs) == 0:
                sequence += sync()
        trace.assert_same(one.server, one, [sequence + sync()])


@both_versions
def test_b15_portal_with_flush_keeps_its_server(pg, pgroute):
    """B15: limited Executes behind Flush keep the server until the Sync. (Inside of BEGIN: the traces "portal-*".)"""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        client.send(parse("", "SELECT generate_series(1, 40)"), bind("p"), flush())
        assert [client.recv().type for _ in range(2)] == ["1", "2"]
        other.send(query("SELECT 'other'"))
        for wanted in ("s", "s", "s"):
            client.send(execute("p", 10), flush())
            assert client.recv_until("sCE")[-1].type == wanted
            assert not other.waiting(), "the server connection was lent in the middle of a batch"
        client.send(execute("p", 0), sync())
        assert client.ready().tags == ["SELECT 10"]
        assert other.ready().value() == "other"


# -- pipelines

@both_versions
def test_b12_a_thousand_queries_at_once(pg, pgroute):
    """B12: by the bytes that postgres.js sends; the driver itself is not in the test run."""
    one = pgroute(pg, defaults={"pool_size": 2})

    def body(way):
        with wire.Client(one.port).login() as client:
            if way == "simple":
                data = b"".join(query(f"SELECT {n}") for n in range(1000))
            elif way == "syncs":
                data = b"".join(parse("", f"SELECT {n}") + bind() + execute() + sync() for n in range(1000))
            else:
                data = b"".join(parse("", f"SELECT {n}") + bind() + execute() for n in range(1000)) + sync()
            client.send(data)
            rows = []
            for _ in range(trace.readies(data)):
                result = client.ready()
                assert not result.errors
                rows += result.rows
            assert rows == [(str(n),) for n in range(1000)]

    with proc.Threads() as group:
        for way in ("simple", "syncs", "batch") * 2:
            group.start(body, way)


def test_b12_psycopg_pipeline_with_big_parameters(pg, pgroute):
    """B12: 10 MB each way at once."""
    one = pgroute(pg)
    values = [os.urandom(10_000_000) for _ in range(3)]
    with one.connect() as db, db.pipeline():
        cursors = [db.execute("SELECT %b::bytea", [value]) for value in values]
        for cursor, value in zip(cursors, values):
            assert bytes(cursor.fetchone()[0]) == value


def test_b13_both_sides_send_much_and_nobody_reads_first(pg, pgroute):
    """B13: 100 MB each way; the sender stands still with bounded memory, and then everything arrives."""
    one = pgroute(pg, build=PLAIN)
    number, size = 100, 1_000_000
    values = [bytes([65 + n % 26]) * size for n in range(number)]
    with wire.Client(one.port).login() as client:
        before = one.memory("Private_Dirty")
        sent = [0]

        def sender():
            for value in values:
                client.send(parse("", "SELECT $1::text") + bind("", "", [value]) + execute() + sync())
                sent[0] += 1

        with proc.Threads() as group:
            group.start(sender)
            seen, since = -1, time.monotonic()
            while time.monotonic() - since < 1.0:  # the sender has stood still for a second: all buffers are full
                if sent[0] != seen:
                    seen, since = sent[0], time.monotonic()
                time.sleep(0.01)
            assert sent[0] < number, "nothing ever blocked: the test is too small, or somebody buffers without a limit"
            assert one.memory("Private_Dirty") - before < 24_000
            for value in values:
                result = client.ready()
                assert result.rows == [(value.decode(),)]


@both_versions
def test_b6_messages_cut_anywhere_arrive_once(pg, pgroute):
    """B6: each insert exactly once whatever the segments. (TLS comes with TLS.)"""
    one = pgroute(pg)
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS once; CREATE TABLE once (n int); GRANT ALL ON once TO app")
    dice = random.Random(6)
    with wire.Client(one.port).login() as client:
        at = 0
        for _ in range(40):
            data = b""
            for _ in range(5):
                data += parse("", "INSERT INTO once VALUES ($1)") + bind("", "", [str(at)]) + execute() + sync()
                at += 1
            place = 0
            while place < len(data):
                size = dice.randint(1, 40)
                client.send(data[place:place + size])
                place += size
            for _ in range(5):
                assert client.ready().tags == ["INSERT 0 1"]
        assert client.query("SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || max(n) FROM once").value() == f"{at} {at} {at - 1}"


@both_versions
def test_b17_unnamed_statement_survives_sync_and_other_clients(pg, pgroute):
    """B17: Parse, Sync, then Bind, on another server or after others."""
    one = pgroute(pg, defaults={"pool_size": 2})
    clients = [wire.Client(one.port).login() for _ in range(12)]
    for turn in range(3):
        for n, client in enumerate(clients):
            client.send(parse("", f"SELECT {n}, " + ", ".join(f"${k + 1}::text" for k in range(n % 3 + 1))), sync())
        for client in clients:
            assert client.ready().types == "1Z"
        for n, client in enumerate(clients):
            client.send(bind("", "", ["x"] * (n % 3 + 1)), execute(), sync())
        for n, client in enumerate(clients):
            assert client.ready().rows == [(str(n), *["x"] * (n % 3 + 1))]
    for client in clients:
        client.terminate()


# -- function call

@both_versions
def test_b20_large_objects(pg, pgroute):
    """B20: libpq's PQfn, which large objects are made of; FunctionCall itself is in the traces "function-call*"."""
    one = pgroute(pg, defaults={"pool_size": 2})
    data = os.urandom(300_000)
    db = psycopg2.connect(**one.dsn())
    large = db.lobject(0, "wb")
    large.write(data)
    large.close()
    db.commit()
    assert db.lobject(large.oid, "rb").read() == data
    db.lobject(large.oid, "rb").unlink()
    db.commit()
    db.close()


# -- errors of our own keep the protocol

QUEUE_STEPS = {
    "query": (query("SELECT 1"), "EZ"), "batch": (PING + sync(), "EZ"), "two-batches": (PING + sync() + PING + sync(), None),
    "parse-flush": (parse("", "SELECT 1") + flush() + bind() + execute() + sync(), "EZ"),
    "named": (parse("named", "SELECT 1") + bind("", "named") + execute() + sync(), None),
    "function": (wire.function_call(177, [b"1", b"1"]), "EZ"), "copy": (query("COPY trace_t TO STDOUT"), "EZ"),
}


@pytest.mark.parametrize("step", QUEUE_STEPS)
def test_b21_queue_timeout_in_each_state_is_one_error(pg, pgroute, step):
    """B21: one error, one ReadyForQuery for each Sync or query, and the session goes on."""
    data, types = QUEUE_STEPS[step]
    trace.prepare(pg)
    one = pgroute(pg, defaults={"pool_size": 1, "queue_timeout": "1s"})
    with wire.Client(one.port).login() as hog, wire.Client(one.port).login() as client:
        hog.query("BEGIN")
        client.send(data)
        for _ in range(trace.readies(data)):
            result = client.ready()
            assert len(result.errors) == 1 and result.status == "I"
            assert result.sqlstates == ["57014"] and "queue_timeout" in result.errors[0]["M"]
            assert types is None or result.types == types
        hog.query("COMMIT")
        assert client.query("SELECT 'usable'").value() == "usable"
        client.send(PING + sync())
        assert client.ready().rows == [("1",)]


# -- what comes unasked

def unasked(data, then_close=False):
    """A script that sends data after its first answer, while the connection is idle."""
    def script(conn):
        for number, got in enumerate(conn.messages()):
            if got.type != "Q":
                continue
            sql = wire.strings(got.body)[0]
            conn.send(fs.one_row(f"{sql} by {conn.number}") if not sql.startswith("DISCARD") else fs.complete("DISCARD ALL") + fs.ready())
            if sql == "first":
                conn.server.go.wait(20)
                conn.send(data)
                conn.server.sent.set()
                if then_close:
                    return
    return script


@pytest.fixture
def idle_server(fake):
    def start(*args, **kwargs):
        server = fake(unasked(*args, **kwargs))
        server.go, server.sent = threading.Event(), threading.Event()
        return server
    return start


def test_b23_fatal_while_idle_is_never_seen(idle_server, pgroute):
    """B23: a FATAL for an idle connection is nobody's."""
    server = idle_server(fs.error("57P01", "terminating connection due to administrator command", "FATAL"), then_close=True)
    one = pgroute(server, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        first = client.query("first").value()
        server.go.set()
        assert server.sent.wait(20)
        proc.wait_for(lambda: one.pool()["sv_idle"] == 0, "the dead connection to be noticed")
        assert other.query("second").value() != first.replace("first", "second")
        assert client.query("third").value()


@pytest.mark.parametrize("data", [fs.data_row("stolen"), fs.one_row("stolen"), fs.ready(), b"\xff" * 40, b"D\0\0"],
                         ids=["row", "answer", "ready", "junk", "half"])
def test_b23_poisoned_idle_connection_is_not_lent(idle_server, pgroute, data):
    """B23: bytes that nobody asked for end that connection."""
    server = idle_server(data)
    one = pgroute(server, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        assert client.query("first").value() == "first by 1"
        server.go.set()
        assert server.sent.wait(20)
        for n in range(3):
            assert other.query(f"q{n}").value() == f"q{n} by {len(server.connections)}"
        assert len(server.connections) > 1


def test_b23_notice_while_idle_harms_nobody(idle_server, pgroute):
    """B23: a notice alone is no poison."""
    server = idle_server(fs.notice("unasked for"))
    one = pgroute(server, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        client.query("first")
        server.go.set()
        assert server.sent.wait(20)
        assert other.query("second").rows[0][0].startswith("second by")
        assert client.query("third").rows[0][0].startswith("third by")


@pytest.mark.parametrize("data", [fs.parameter_status("TimeZone", "Asia/Tokyo"), wire.message("A", struct.pack("!I", 7) + b"news\0x\0")],
                         ids=["parameter", "notification"])
def test_b23_parameter_or_notification_while_idle_is_for_nobody(idle_server, pgroute, data):
    """B23: it is read before the next query goes out, and neither answers it nor reaches the next client."""
    server = idle_server(data)
    one = pgroute(server, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        assert client.query("first").value() == "first by 1"
        server.go.set()
        assert server.sent.wait(20)
        for n in range(3):
            result = other.query(f"q{n}")
            assert result.types == "TDCZ" and result.value().startswith(f"q{n} by ")


@both_versions
def test_b23_notices_and_parameters_within_a_query_pass(pg, pgroute):
    """B23: they go to the client whose query it is."""
    one = pgroute(pg)
    with pg.superuser("app") as db:
        db.execute("CREATE OR REPLACE FUNCTION talk() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'said'; RETURN 1; END$$")
    with wire.Client(one.port).login() as client:
        result = client.query("SELECT talk()")
        notices = [wire.error_fields(m.body) for m in result.messages if m.type == "N"]
        assert [n["M"] for n in notices] == ["said"] and result.rows == [("1",)]
        result = client.query("SET DateStyle = 'German'")
        assert [wire.strings(m.body) for m in result.messages if m.type == "S"] == [["DateStyle", "German, DMY"]]


@pytest.mark.parametrize("body", [b"SERROR\0Mno sqlstate\0\0", b"SERROR\0C22012\0\0", b"C22012\0Mno severity\0\0", b"\0", b"",
                                  b"SERROR\0C22012\0Mno end", b"SERROR\0C22012\0Mno end of the list\0", b"S", b"SERROR\0C2\0Mx\0\0"],
                         ids=["sqlstate", "message", "severity", "fields", "body", "end", "end-of-list", "value", "short"])
def test_c3_server_error_that_lacks_something_reaches_the_client(fake, pgroute, body):
    """C3: as it is, in a simple query and in a batch; the connection serves on."""
    def script(conn):
        for got in conn.messages():
            if got.type in "QS":
                good = b"good" in got.body or got.body.startswith(b"DISCARD")
                conn.send(fs.one_row("good") if good else wire.message("E", body) + fs.ready())

    one = pgroute(fake(script), defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        for data in (query("x"), PING + sync()):
            client.send(data)
            assert client.recv_until("Z") == [("E", body), ("Z", b"I")]
            assert client.query("good").value() == "good"


@pytest.mark.parametrize("raw", [b"D" + struct.pack("!I", 3), b"D" + struct.pack("!I", 0), b"T" + struct.pack("!I", 0xffffffff),
                                 b"\0\0\0\0\0\0\0\0", b"Z" + struct.pack("!I", 4), b"Z" + struct.pack("!I", 5) + b"Q",
                                 b"C" + struct.pack("!I", 4), b"S" + struct.pack("!I", 6) + b"ab", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_server_junk_within_a_query_ends_that_query_only(fake, pgroute, raw):
    def script(conn):
        for got in conn.messages():
            sql = wire.strings(got.body)[0] if got.type == "Q" else ""
            if sql == "junk":
                conn.send(raw)
                conn.socket.shutdown(1)
            elif sql.startswith("DISCARD"):
                conn.send(fs.complete("DISCARD ALL"), fs.ready())
            else:
                conn.send(fs.one_row(sql))

    one = pgroute(fake(script), defaults={"pool_size": 2})
    workers = one.pids("worker")
    with wire.Client(one.port).login() as victim, wire.Client(one.port).login() as other:
        victim.send(query("junk"))
        try:
            seen = victim.recv_until("ZE")
            assert wire.error_fields(seen[-1].body)["C"].startswith("08")
        except wire.Closed:
            pass
        assert other.query("unharmed").value() == "unharmed"
    assert one.pids("worker") == workers


@pytest.mark.parametrize("raw", [b"Q" + struct.pack("!I", 0), b"Q" + struct.pack("!I", 3), b"Q" + struct.pack("!I", 0x80000000) + b"SELECT",
                                 b"Q" + struct.pack("!I", 0xffffffff) + b"SELECT", b"\0" * 64, b"z" + struct.pack("!I", 4),
                                 wire.message("Q", b"SELECT 1"), wire.message("P", b"s"), wire.message("B", b"\0\0\xff\xff"),
                                 wire.message("D"), wire.message("D", b"Z\0"), wire.message("C", b"Q\0"), wire.message("E", b"x"),
                                 wire.message("F", b"\0"), wire.message("S", b"junk"), b"GET / HTTP/1.1\r\n\r\n"])
def test_client_junk_harms_only_itself(standing, raw):
    one = standing(defaults={"pool_size": 2})
    workers = one.pids("worker")
    with wire.Client(one.port).login() as other:
        with wire.Client(one.port).login() as client:
            client.send(raw, sync())
            client.socket.shutdown(1)
            assert all(m.type in "EZ" for m in client.expect_closed())
        assert other.query("SELECT 1").value() == "1"
    assert one.pids("worker") == workers


# -- half messages

@pytest.mark.parametrize("whole", [query("SELECT 'a stub'"), PING + sync(), parse("", "SELECT $1") + bind("", "", ["x" * 50000]) + execute() + sync(),
                                   query("COPY (SELECT 1) TO STDOUT"), wire.function_call(177, [b"2", b"40"]),
                                   query("BEGIN; CREATE TABLE stub (x int)") + query("COPY stub FROM STDIN") + wire.copy_data(b"1\n" * 500)],
                         ids=["query", "batch", "big-bind", "copy-out", "function", "copy-in"])
def test_b3_half_a_message_and_gone(own_pg, pgroute, whole):
    """B3: the server never reads what remains of it as a message, or is not used again."""
    pg = own_pg()
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as steady:
        pid = steady.query("SELECT pg_backend_pid()").value()
        mark = pg.log_mark()
        cuts = sorted({1, 3, 5, 6, len(whole) // 2, len(whole) - 1})
        for n, cut in enumerate(cuts):
            client = wire.Client(one.port).login()
            client.send(whole[:cut])
            client.reset() if n % 2 else client.close()
            assert steady.query("SELECT 'steady'").value() == "steady"
        last = steady.query("SELECT pg_backend_pid()").value()
        assert pg.backends() == 1
    log = pg.log_since(mark)
    for complaint in ("unexpected EOF", "invalid message", "invalid frontend message", "incomplete message", "protocol synchronization"):
        assert complaint not in log or last != pid, log


@pytest.mark.parametrize("end", [wire.terminate(), b""], ids=["that-ends-like-a-goodbye", "and-no-more"])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_b3_half_a_message_of_one_who_waits(pg, pgroute, end, leave):
    """B3: it gets its server when the rest will never come; the server must not be kept for it."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as steady:
        steady.query("BEGIN")
        client = wire.Client(one.port).login()
        client.send(parse("", "SELECT $1"), bind("", "", ["a stub, 1234567890"])[:-9] + end)
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "it to wait")
        getattr(client, leave)()
        steady.query("COMMIT")
        assert steady.query("SELECT 'steady'").value() == "steady"


# -- large

MEGABYTE = 1 << 20
BIG = amount(32, 500) * MEGABYTE
PIECE = b"0123456789abcdef" * (MEGABYTE // 16)


def skip_message(client, kind):
    """Reads messages until one of that kind has passed, keeping none of it; returns its length."""
    while True:
        head = client.take(5)
        left = length = struct.unpack("!I", head[1:])[0] - 4
        while left:
            left -= len(client.take(min(left, MEGABYTE)))
        assert head[:1] != b"E", "an error instead"
        if head[:1] == kind:
            return length


def send_message(client, kind, before, after=b""):
    """A message with BIG bytes between two others, made as it is sent."""
    client.send(kind + struct.pack("!I", 4 + len(before) + BIG + len(after)), before)
    for _ in range(BIG // MEGABYTE):
        client.send(PIECE)
    client.send(after)


def big_row(client):
    client.send(query(f"SELECT repeat('x', {BIG})"))
    assert skip_message(client, b"D") > BIG
    assert client.ready().tags == ["SELECT 1"]


def big_row_extended(client):
    client.send(parse("big", "SELECT repeat('x', $1)"), bind("", "big", [str(BIG)]), describe("P"), execute(), sync())
    assert skip_message(client, b"D") > BIG
    assert client.ready().tags == ["SELECT 1"]


def big_query(client):
    send_message(client, b"Q", b"SELECT length('", b"')\0")
    assert client.ready().rows == [(str(BIG),)]


def big_parameter(client):
    head = wire.text("") + wire.text("") + struct.pack("!HHI", 0, 1, BIG)
    client.send(parse("", "SELECT md5($1)", [25]))
    send_message(client, b"B", head, struct.pack("!H", 0))
    client.send(execute(), sync())
    digest = hashlib.md5()
    for _ in range(BIG // MEGABYTE):
        digest.update(PIECE)
    assert client.ready().rows == [(digest.hexdigest(),)]


def big_copy_out(client):
    client.send(query(f"COPY (SELECT repeat('x', {BIG})) TO STDOUT"))
    assert skip_message(client, b"d") > BIG
    assert client.ready().tags == ["COPY 1"]


def big_copy_in(client):
    client.query("BEGIN; CREATE TEMP TABLE big (v text) ON COMMIT DROP")
    client.send(query("COPY big FROM STDIN"))
    client.recv_until("G")
    send_message(client, b"d", b"", b"\n")
    client.send(wire.copy_done())
    assert client.ready().tags == ["COPY 1"]
    assert client.query("SELECT length(v) FROM big").value() == str(BIG)
    client.query("ROLLBACK")


def big_copy_in_extended(client):
    """Many messages instead of one, none of which may be kept either."""
    client.send(query("BEGIN; CREATE TEMP TABLE big (v text) ON COMMIT DROP"), parse("", "COPY big FROM STDIN"), bind(), execute(), flush())
    client.recv_until("G")
    for _ in range(BIG // MEGABYTE):
        client.send(wire.copy_data(PIECE + b"\n"))
    client.send(wire.copy_done(), sync())
    assert client.ready().tags == [f"COPY {BIG // MEGABYTE}"]
    client.query("ROLLBACK")


def test_b62_large_messages_stay_nowhere(pg, pgroute):
    """B62: a message of 32 MB (500 MB in a soak) in each protocol and each direction passes through bounded memory, and nothing
    of it is left afterwards. (The text of a Parse is kept for as long as its statement lives, up to 64 MB, and is not large here.)"""
    one = pgroute(pg, build=PLAIN)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        before = one.memory("Private_Dirty")
        for way in (big_row, big_row_extended, big_query, big_parameter, big_copy_out, big_copy_in, big_copy_in_extended):
            with proc.Sampler(lambda: one.memory("Private_Dirty"), every=0.02) as memory:
                way(client)
            assert memory.highest - before < 16_000, f"{way.__name__}: kilobytes more while it passed"
            assert client.query("SELECT 'usable'").value() == "usable"
            proc.wait_for(lambda: one.memory("Private_Dirty") - before < 4_000, f"{way.__name__}: nothing to be left")


@pytest.mark.parametrize("size", [1000, 40_000, 3_000_000])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_long_error_of_a_server_ends_its_batch_only(pg, pgroute, size, extended):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        sql = f"SELECT repeat('x', {size})::int"
        client.send(parse("", sql) + bind() + execute() + sync() if extended else query(sql))
        result = client.ready()
        assert result.sqlstates == ["22P02"] and len(result.errors[0]["M"]) > size
        assert client.query("SELECT 1").value() == "1"


def test_slow_reader_holds_up_only_itself(pg, pgroute):
    one = pgroute(pg, build=PLAIN, workers=1)
    with wire.Client(one.port).login() as slow, wire.Client(one.port).login() as other:
        before = one.memory("Private_Dirty")
        slow.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
        pg.wait_query("generate_series")
        for n in range(50):
            assert other.query(f"SELECT {n}").value() == str(n)
        assert one.memory("Private_Dirty") - before < 16_000
        rows = sum(m.type == "D" for m in slow.recv_until("Z"))
        assert rows == 100000


def test_unix_socket(pg, pgroute):
    one = pgroute(pg, wait=False)
    folder = one.folder / "socket"
    folder.mkdir()
    folder.chmod(0o777)
    one.change(listen=[f"127.0.0.1:{one.port}", str(folder)])
    one.start()
    name = next(p for p in folder.iterdir() if p.name.startswith(".s.PGSQL."))
    with psycopg.connect(host=str(folder), port=int(name.name.rpartition(".")[2]), user="app", password="app-secret", dbname="app") as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
