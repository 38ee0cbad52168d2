"""Settings in transaction mode, whatever way they are made and taken back: a session through pgroute sees what it would see on a
connection of its own, keeps sharing server connections, and pays for a difference only. (F4 F5 B9 B10 B11)"""
import contextlib
import os
import random
import struct
import time

import pytest

from harness import proc, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.scale import amount
from harness.wire import bind, describe, execute, parse, query, sync

SEED = int(os.environ.get("PGR_SEED") or time.time())
VALUES = {
    "work_mem": ("'77MB'", "1234", "'9 MB'", "DEFAULT"),
    "TimeZone": ("'Asia/Tokyo'", "'utc'", "\"America/Lima\"", "3.5", "LOCAL", "DEFAULT"),
    "DateStyle": ("'German'", "ISO", "SQL, DMY", "'iso, mdy'", "DEFAULT"),
    "IntervalStyle": ("iso_8601", "'postgres'", "DEFAULT"),
    "search_path": ("pg_catalog, public", "'a b', \"C\"", "\"$user\", public", "''", "DEFAULT"),
    "application_name": ("'it''s me'", "E'tab\\tbed'", "\"Quoted\"", "DEFAULT"),
    "statement_timeout": ("'77s'", "0", "DEFAULT"),
    "extra_float_digits": ("-2", "3", "DEFAULT"),
    "bytea_output": ("escape", "hex"),
    "standard_conforming_strings": ("off", "on", "DEFAULT"),
    "default_transaction_isolation": ("'serializable'", "'read committed'"),
    "my.custom": ("'x'", "'it''s'", "''", "1"),
    "role": ("app_reader", "NONE", "'app_reader'"),
    "client_encoding": ("'LATIN1'", "utf8"),
}
# a custom setting that another session made on this connection exists from then on, empty: PostgreSQL never forgets the name
LOOK = "SELECT " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in VALUES) + ", current_user"


class Author:
    """Writes requests of one session, with a liking for what belongs together."""

    def __init__(self, dice):
        self.dice = dice

    def setting(self):
        name = self.dice.choice(list(VALUES))
        return name, self.dice.choice(VALUES[name])

    def set(self):
        name, value = self.setting()
        if value == "DEFAULT":  # with LOCAL that pins where there is a startup value
            return f"SET {name} TO DEFAULT"
        how = self.dice.choice(["SET ", "SET ", "SET SESSION ", "SET LOCAL ", "/* ; */ set\n"])
        if name == "role":
            return f"{how}ROLE {value}"
        return f"{how}{name} {self.dice.choice(['=', 'TO'])} {value}"

    def set_config(self):
        name, value = self.setting()
        value = "'1'" if value in ("DEFAULT", "LOCAL", "NONE") or "," in value or not value.startswith("'") else value
        name = "work_mem" if value == "'1'" else name
        local = self.dice.choice(["true", "false"])
        return f"SELECT {self.dice.choice(['', 'pg_catalog.'])}set_config('{name}', {value}, {local}), 1 AS one"

    def reset(self):
        name, _ = self.setting()
        return self.dice.choice([f"RESET {name}", f"RESET {name}", "RESET ALL", "RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT"])

    def transaction(self):
        savepoint = self.dice.choice(["a", "b", '"A"'])
        return self.dice.choice(["BEGIN", "BEGIN", "START TRANSACTION READ ONLY", "COMMIT", "END AND CHAIN", "ROLLBACK", "ABORT",
                                 f"SAVEPOINT {savepoint}", f"RELEASE {savepoint}", f"ROLLBACK TO SAVEPOINT {savepoint}"])

    def other(self):
        return self.dice.choice(["SELECT 1", "SELECT 1/0", "SELECT '\\'", "nonsense", "SELECT now() IS NULL", "SHOW DateStyle",
                                 "SET work_mem = 'nonsense'", "SET no_such_setting = 1"])

    def statement(self):
        return self.dice.choice([self.set, self.set, self.set, self.set_config, self.reset, self.transaction, self.transaction,
                                 self.other])()

    def request(self):
        number = self.dice.choice([1, 1, 1, 2, 3])
        statements = [self.statement() for _ in range(number)]
        kind = self.dice.choice(["simple", "simple", "many", "pipeline", "bound", "discard" if self.dice.random() < 0.1 else "many"])
        if kind == "pipeline" and any("\\" in sql or not sql.isascii() for sql in statements):
            kind = "many"  # behind a change of how texts are read, in one batch with it, these pin
        if kind == "discard":
            return [query("DISCARD ALL")]
        if kind == "simple":
            return [query("; ".join(statements))]
        if kind == "many":
            return [query(sql) for sql in statements]
        if kind == "bound":
            name, value, local = self.dice.choice([("work_mem", "55MB", "f"), ("TimeZone", "Asia/Tokyo", "true"), ("IntervalStyle", None, "0"),
                                                   ("search_path", "x, y", "off"), ("BYTEA_OUTPUT", None, " on")])
            messages = parse("", "SELECT set_config($1, $2, $3)", (25, 25, 16)) + bind("", "", (name, value, local))
            return [messages + describe("P") + execute() + sync()]
        return [b"".join(parse("", sql) + bind() + execute() for sql in statements) + sync()]


def told(result):
    """What a driver acts upon."""
    return result.types.replace("S", ""), result.tags, result.sqlstates, result.rows, result.status


class Twin:
    """The same session directly and through pgroute."""

    def __init__(self, pg, one, parameters):
        self.one, self.parameters = one, parameters
        self.both = [wire.Client(port).login(**parameters) for port in (pg.port, one.port)]
        self.status, self.said = "I", []

    def ask(self, messages):
        self.said.append(messages)
        assert not {row["pinned"] for row in self.one.show("clients")} - {""}, (self.parameters, self.said[-8:])
        for client in self.both:
            client.send(*messages)
        for _ in messages:
            there, here = (client.ready() for client in self.both)
            assert told(here) == told(there), (self.parameters, self.said[-8:])
            self.status = there.status
        self.compare()

    def compare(self):
        if self.status == "E":
            return
        there, here = (client.query(LOOK).rows for client in self.both)
        assert here == there, (self.parameters, self.said[-8:])
        there, here = (client.parameters for client in self.both)
        assert here == there, (self.parameters, self.said[-8:])

    def close(self):
        for client in self.both:
            client.terminate()


@pytest.fixture
def reader(pg):
    """A role that app may take."""
    with pg.superuser() as db:
        if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = 'app_reader'").fetchone():
            db.execute("CREATE ROLE app_reader")
        db.execute("GRANT app_reader TO app")


@both_versions
@pytest.mark.parametrize("workers", [1, 2])
def test_b9_sessions_are_as_on_connections_of_their_own(pg, reader, pgroute, workers):
    """Random statements in random messages, six sessions over two server connections; nobody is pinned by any of it."""
    print(f"PGR_SEED={SEED}")
    dice = random.Random(f"{SEED} {pg.version} {workers}")
    one = pgroute(pg, workers=workers, defaults={"pool_size": 2})
    startups = [{}, {}, {"TimeZone": "Asia/Tokyo"}, {"options": "-c work_mem=9MB -c search_path=pg_catalog"},
                {"application_name": "mine", "DateStyle": "German, DMY"}, {"options": "-c role=app_reader -c my.custom=5"}]
    author = Author(dice)
    with contextlib.ExitStack() as stack:
        twins = [stack.enter_context(contextlib.closing(Twin(pg, one, parameters))) for parameters in startups]
        for _ in range(amount(250, 20000)):
            open_ones = [twin for twin in twins if twin.status != "I"]
            dice.choice(twins if len(open_ones) < 2 else open_ones).ask(author.request())
        assert {row["pinned"] for row in one.show("clients")} == {""}


@both_versions
def test_f5_a_hundred_clients_with_a_hundred_settings(pg, reader, pgroute):
    """F5 B10: each sees its own, always; made by SET, in transactions, by set_config() and by set_config() with parameters."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 5})
    size = amount(100, 100)

    def connect(n):
        db = one.connect(autocommit=True)
        value = f"{1100 + n}kB"
        if n % 4 == 0:
            db.execute(f"SET work_mem = '{value}'")
        elif n % 4 == 1:
            with db.transaction():
                db.execute(f"SET work_mem TO {1100 + n}")
        elif n % 4 == 2:
            db.execute(f"SELECT set_config('work_mem', '{value}', false)")
        else:
            db.execute("SELECT set_config(%s, %s, %s)", ["work_mem", value, False])
        db.execute(f"SET my.number = {n}")
        return db

    def step(db, n):
        row = db.execute("SELECT current_setting('work_mem'), current_setting('my.number')").fetchone()
        assert row == (f"{1100 + n}kB", str(n))

    with Crowd(one, size, step, connect) as crowd:
        crowd.go_on(3)
        assert {row["pinned"] for row in one.show("clients")} == {""}
        assert len(one.show("servers")) <= 5


def test_b11_five_sets_that_all_make_cost_no_statement(own_pg, pgroute):
    """B11: what a driver sets at connect: with equal settings not one statement is sent in front of a query."""
    pg = own_pg(log_statement="'all'")
    one = pgroute(pg, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(5)]
    for client in clients:
        for sql in ("SET application_name = 'driver'", "SET TimeZone = 'Asia/Tokyo'", "SET extra_float_digits = 3",
                    "SET statement_timeout = '77s'", "SET search_path = pg_catalog, public"):
            client.query(sql)
    mark = pg.log_mark()
    for _ in range(5):
        for client in clients:
            assert client.query("SELECT 'counted'").value() == "counted"
    lines = [line for line in pg.log_since(mark).splitlines() if " driver@" in line or "statement:" in line or "execute" in line]
    assert len(lines) == 25 and all("SELECT 'counted'" in line for line in lines), lines
    for client in clients:
        client.terminate()


@both_versions
def test_a_statement_means_what_it_meant_when_it_was_prepared(pg, reader, pgroute):
    """Equal texts of clients with other settings are other statements: literals and names are read at Parse."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    sql = "SELECT '01/02/2020'::date, '2020-01-01 00:00'::timestamptz AT TIME ZONE 'UTC'"
    wanted = []
    for style, zone in (("MDY", "UTC"), ("DMY", "UTC"), ("MDY", "Asia/Tokyo"), ("MDY", "UTC"), ("DMY", "UTC")):
        pair = []
        for port in (pg.port, one.port):
            client = wire.Client(port).login()
            client.query(f"SET DateStyle = 'ISO, {style}'")
            client.query(f"SET TimeZone = '{zone}'")
            client.send(parse("s", sql), sync())
            client.ready()
            client.send(bind("", "s"), execute(), sync())
            pair.append((client, client.ready().rows))
        assert pair[0][1] == pair[1][1]
        wanted.append(pair)
    for pair in wanted * 2:
        pair[1][0].send(bind("", "s"), execute(), sync())
        assert pair[1][0].ready().rows == pair[0][1]


@both_versions
def test_statements_behind_a_set_in_one_pipeline_are_nobody_elses(pg, pgroute):
    """What is prepared before the server has answered a SET in front of it is not taken for the same text without it."""
    one = pgroute(pg, workers=1, defaults={"pool_size": 1})
    sql = "SELECT '01/02/2020'::date"
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.send(parse("", "SET DateStyle = 'ISO, DMY'"), bind(), execute(), parse("s", sql), bind("", "s"), execute(), sync())
        assert a.ready().rows == [("2020-02-01",)]
        b.send(parse("s", sql), bind("", "s"), execute(), sync())
        assert b.ready().rows == [("2020-01-02",)]


def test_set_local_ends_with_its_transaction_and_shares_the_connection(pg, pgroute):
    """D20: SET LOCAL and SET TRANSACTION keep no client on its server."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for sql in ("BEGIN; SET LOCAL work_mem = '77MB'; SET TRANSACTION READ ONLY; COMMIT", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"):
            a.query(sql)
            assert b.query("SELECT current_setting('work_mem'), current_setting('default_transaction_read_only')").rows == [("4MB", "off")]
        assert a.query("SHOW transaction_read_only").value() == "on"


@both_versions
def test_a_pin_ends_when_nothing_is_left_that_pins(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    for doing, undoing in (("SELECT pg_advisory_lock(42)", "SELECT pg_advisory_unlock(42)"), ("LISTEN a", "UNLISTEN *"),
                           ("CREATE TEMP TABLE mine (x int)", "DROP TABLE mine"), ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c")):
        with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
            assert not a.query("SET work_mem = '77MB'").errors
            assert not a.query(doing).errors
            b.send(query("SHOW work_mem"))
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "b to wait for the pinned connection")
            assert [row["pinned"] for row in one.show("clients") if row["pinned"]], doing
            assert not a.query(undoing).errors
            assert b.ready().value() == "4MB", undoing
            assert a.query("SHOW work_mem").value() == "77MB"


@both_versions
def test_what_comes_behind_a_discard_in_one_batch_stays(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query("SET work_mem = '77MB'")
        a.send(*[parse("", sql) + bind() + execute() for sql in ("DISCARD ALL", "SET TimeZone = 'Asia/Tokyo'")], sync())
        assert not a.ready().errors
        for client, zone in ((a, "Asia/Tokyo"), (b, "UTC"), (a, "Asia/Tokyo")):
            assert client.query("SELECT current_setting('work_mem'), current_setting('TimeZone')").rows == [("4MB", zone)]
        a.send(*[parse("", sql) + bind() + execute() for sql in ("DISCARD ALL", "LISTEN news")], sync())
        assert not a.ready().errors
        assert [row["pinned"] for row in one.show("clients") if row["pinned"]] == ["listens on a channel"]


def test_values_beyond_ascii_pin_when_the_encoding_changes(pg, pgroute):
    """The server has converted them; what is kept are the bytes that the client sent."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query("SET my.word = 'gr\u00fcn'")
        for client, value in ((a, "gr\u00fcn"), (b, ""), (a, "gr\u00fcn")):
            assert client.query("SELECT coalesce(current_setting('my.word', true), '')").value() == value
        assert not a.query("SET client_encoding = 'LATIN1'").errors
        assert [row["pinned"] for row in one.show("clients") if row["pinned"]] == ["makes settings that pgroute cannot follow"]
        assert not a.query("SET client_encoding = 'UTF8'").errors
        assert a.query("SHOW my.word").value() == "gr\u00fcn"
        b.send(query("SHOW client_encoding"))
        assert not a.query("DISCARD ALL").errors
        assert b.ready().value() == "UTF8"


def test_encodings_in_which_texts_cannot_be_read_pin(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        assert not a.query("SET client_encoding = 'SJIS'").errors
        assert a.query("SELECT 'ascii'").value() == "ascii"
        assert b.query("SELECT 1").value() == "1"
        a.send(b"Q" + struct.pack("!I", 16) + b"SELECT '\x83\x5c'\0")
        assert [wire.row_values(m.body) for m in a.ready().messages if m.type == "D"] == [[b"\x83\x5c"]]
        assert [row["pinned"] for row in one.show("clients") if row["pinned"]] == [
            "uses a client_encoding in which texts are not read"]
        b.send(query("SHOW client_encoding"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "b to wait for the pinned connection")
        assert not a.query("DISCARD ALL").errors
        assert b.ready().value() == b.parameters["client_encoding"]
