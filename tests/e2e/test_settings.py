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
from harness.wire import bind, close, describe, execute, flush, function_call, parse, query, sync

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


def run(sql, name="", portal=""):
    return parse(name, sql) + bind(portal, name) + execute(portal)


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

    def unequivocal(self, kinds):
        """What may stand behind a change of how texts are read, in one batch with it, and does not pin."""
        while True:
            sql = self.dice.choice(kinds)()
            if "\\" not in sql and sql.isascii():
                return sql

    def named(self):
        """Prepares one of a few names anew."""
        name = self.dice.choice(["s", "t"])
        return close("S", name) + parse(name, self.unequivocal([self.set, self.set_config, self.reset]))

    def again(self):
        """Executes one of them, prepared under whatever settings; the client may not have it."""
        return bind("", self.dice.choice(["s", "t"])) + execute() + sync()

    def request(self, failed):
        number = self.dice.choice([1, 1, 1, 2, 3])
        statements = [self.statement() for _ in range(number)]
        kind = self.dice.choice(["simple", "simple", "many", "pipeline", "bound", "named", "portal",
                                 "discard" if self.dice.random() < 0.2 else "many"])
        if failed and kind in ("named", "discard"):
            kind = "many"  # a Parse of what the server has is answered as outside of a failed transaction
        if kind == "pipeline" and any("\\" in sql or not sql.isascii() for sql in statements):
            kind = "many"  # behind a change of how texts are read, in one batch with it, these pin
        if kind == "discard":
            behind = b"".join(run(self.unequivocal([self.set])) for _ in statements)
            return self.dice.choice([[query("DISCARD ALL")], [query("DISCARD ALL"), query("SHOW work_mem")], [run("DISCARD ALL") + behind + sync()],
                                     [query("DEALLOCATE ALL"), self.again()], [run("DEALLOCATE ALL") + self.named() + sync(), self.again()]])
        if kind == "named":
            return self.dice.choice([[self.named() + sync()], [self.named() + sync(), self.again()], [self.again()], [self.again(), self.again()]])
        if kind == "portal":
            name = self.dice.choice(["", "p"])
            return [parse("", self.dice.choice([self.set, self.set_config])()) + bind(name) + execute(name, 1) +
                    self.dice.choice([b"", execute(name, 1), run("SELECT 1", "", "q"), bind(name)]) + sync()]
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
            twin = dice.choice(twins if len(open_ones) < 2 else open_ones)
            twin.ask(author.request(twin.status == "E"))
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


def test_a_statement_timeout_is_not_that_of_the_settings_of_the_next(own_pg, pgroute):
    """What is set for the next client runs without the time limit of the one before."""
    pg = own_pg(log_statement="'all'")
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query("SET statement_timeout = '77s'")
        b.query("SET search_path = pg_catalog")
        assert a.query("SHOW statement_timeout").value() == "77s" and b.query("SHOW statement_timeout").value() == "0"
        sent = [line for line in pg.log_since(0).splitlines() if "statement: " in line and "search_path" in line and "set_config" in line]
        assert sent and all('RESET "statement_timeout";' in line.split("statement: ")[1][:30] for line in sent), sent


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


# What a review has found: each of these leaked a setting, lost one, or ended a session.

# read with standard_conforming_strings off this is one string, else it sets work_mem
DOUBLE = "SELECT '\\'; SET work_mem = $$77MB$$; --'"
DOUBLE_ONE = "SELECT '\\' , set_config($$work_mem$$, $$77MB$$, false) --'"


class Pair:
    """The same session directly and through pgroute, in step."""

    def __init__(self, pg, one, **parameters):
        self.one = one
        self.both = [wire.Client(port).login(**parameters) for port in (pg.port, one.port)]

    def send(self, *messages):
        for client in self.both:
            client.send(*messages)

    def until(self, kind):
        for client in self.both:
            client.recv_until(kind)

    def same(self, times=1):
        for _ in range(times):
            there, here = (client.ready() for client in self.both)
            assert told(here) == told(there)

    def ask(self, *messages):
        self.send(*messages)
        self.same(len(messages))

    def query(self, *texts):
        self.ask(*[query(sql) for sql in texts])

    def pinned(self):
        return [row["pinned"] for row in self.one.show("clients") if row["pinned"]]

    def nothing_leaks(self, sql="SHOW work_mem", wanted="4MB"):
        """Who is pinned shares nothing; else another client has the connection meanwhile."""
        if not self.pinned():
            with wire.Client(self.one.port).login() as other:
                assert other.query(sql).value() == wanted
                other.terminate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.both:
            client.terminate()


@pytest.fixture
def single(pg, pgroute):
    return pgroute(pg, defaults={"pool_size": 1})


@both_versions
@pytest.mark.parametrize("end", ["ROLLBACK", "ROLLBACK TO a", "COMMIT"])
def test_texts_behind_the_end_of_a_transaction_are_read_as_the_server_does(pg, single, end):
    with Pair(pg, single) as p:
        p.query("BEGIN; SAVEPOINT a", "SET LOCAL standard_conforming_strings = off")
        p.query(end, DOUBLE)
        p.query("SELECT 1", "COMMIT", "SELECT 1")
        p.nothing_leaks()
    with Pair(pg, single) as p:
        p.send(run("SET LOCAL standard_conforming_strings = off"), flush())
        p.until("C")
        p.ask(sync(), query(DOUBLE))
        p.nothing_leaks()
    with Pair(pg, single, TimeZone="Asia/Tokyo") as p:
        p.query("BEGIN", "SET standard_conforming_strings = off", "RESET TimeZone; SELECT 1/0")
        p.query("ROLLBACK; " + DOUBLE)
        p.nothing_leaks()


@both_versions
@pytest.mark.parametrize("doing", ["SET standard_conforming_strings = true", "SET LOCAL standard_conforming_strings TO DEFAULT"])
def test_texts_behind_a_setting_that_is_not_yet_spelled_are_read_as_the_server_does(pg, single, doing):
    with Pair(pg, single) as p:
        p.query("BEGIN")
        p.send(run(doing), flush())
        p.until("C")
        p.ask(run(DOUBLE_ONE) + sync())
        p.query("COMMIT", "SHOW work_mem")
        p.nothing_leaks()
        p.query("SHOW work_mem")


@both_versions
def test_an_unnamed_statement_that_is_sent_again_is_read_again(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query("SET standard_conforming_strings = off")
        a.send(parse("", DOUBLE_ONE), sync())
        a.ready()
        a.send(run("SET standard_conforming_strings = on", "x", "p"), sync())
        assert a.ready().tags == ["SET"]
        b.query("SELECT 1")  # overwrites it on the server
        a.send(bind(), execute(), sync())
        assert not a.ready().errors
        a.query("SELECT 1")
        assert b.query("SHOW work_mem").value() == "4MB"


@both_versions
def test_prepare_transaction_without_a_block_commits_what_was_set(pg, single):
    with Pair(pg, single) as p:
        seen = []
        for client in p.both:
            client.send(run("SET work_mem = '77MB'") + run("PREPARE TRANSACTION 'pgroute_x'") + sync())
            seen.append(client.ready().tags)
            client.query("ROLLBACK PREPARED 'pgroute_x'")
        assert seen[0] == seen[1]
        p.query("SHOW work_mem")
        p.nothing_leaks()
        p.query("SHOW work_mem")


@both_versions
@pytest.mark.parametrize("what", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_what_is_prepared_behind_deallocate_all_stays_prepared(pg, single, what):
    prepare = parse("s", "SELECT 'mine'")
    use = bind("", "s") + execute() + sync()
    for _ in range(2):
        with Pair(pg, single) as p:
            p.ask(run(what) + prepare + sync())
            p.ask(use)
            p.ask(query(what), prepare + use)
            p.ask(use)
            p.ask(run(what) + prepare + use)
            p.ask(use)
            p.ask(run(what) + use)
            p.ask(run(what) + parse("", "SELECT 'mine'") + sync())
            p.ask(bind() + execute() + sync())


@both_versions
@pytest.mark.parametrize("parameters", [{}, {"options": "-c work_mem=9MB"}, {"TimeZone": "Asia/Tokyo"}])
def test_what_is_set_behind_discard_all_in_its_batch_is_kept(pg, single, parameters):
    look = "SELECT current_setting('work_mem') || current_setting('TimeZone') || current_setting('IntervalStyle')"
    with Pair(pg, single, **parameters) as p:
        p.query("SET IntervalStyle = 'iso_8601'")
        p.ask(run("DISCARD ALL") + run("SET work_mem = '77MB'") + run("SET TimeZone = 'America/Lima'") + sync())
        p.query(look)
        p.nothing_leaks(look, "4MBUTCpostgres")
        p.query(look)
        p.query("DISCARD ALL", look)
        assert p.both[0].parameters == p.both[1].parameters
        p.ask(run("DISCARD ALL") + run("LISTEN news") + sync())
        assert p.pinned()


@both_versions
def test_a_function_call_behind_discard_all_pins(pg, single):
    with wire.Client(single.port).login() as a:
        a.send(query("DISCARD ALL"), function_call(2078, [b"work_mem", b"77MB", b"f"]))  # set_config
        assert not a.ready().errors + a.ready().errors
        assert [row["pinned"] for row in single.show("clients") if row["pinned"]]


@both_versions
@pytest.mark.parametrize("name, value", [("work_mem", "9MB"), ("DateStyle", "German")])
def test_requests_behind_a_reset_have_the_startup_values(pg, single, name, value):
    with Pair(pg, single, options=f"-c {name}={value}") as p:
        for reset in (f"RESET {name}", "RESET ALL", "DISCARD ALL"):
            p.query(reset, f"SHOW {name}")
        p.ask(run(f"RESET {name}") + sync(), run(f"SHOW {name}") + sync())


@both_versions
@pytest.mark.parametrize("name, value", [("work_mem", "9MB"), ("TimeZone", "Asia/Tokyo")])
@pytest.mark.parametrize("requests", [
    ["BEGIN", "RESET {}; SAVEPOINT b", "ROLLBACK TO b", "SHOW {}", "COMMIT"],
    ["BEGIN", "RESET {}; COMMIT; BEGIN", "ROLLBACK"],
    ["BEGIN", "RESET {}; COMMIT AND CHAIN", "SELECT 1/0", "COMMIT"],
    ["BEGIN", "SAVEPOINT a", "RESET {}; SAVEPOINT b", "SELECT 1/0", "ROLLBACK TO b", "SHOW {}", "RELEASE a", "SHOW {}", "COMMIT"],
], ids=["savepoint", "block", "chain", "failed"])
def test_startup_values_that_a_rollback_takes_along_come_again(pg, single, requests, name, value):
    with Pair(pg, single, options=f"-c {name}={value}") as p:
        for text in requests:
            p.query(text.format(name))
        p.query(f"SHOW {name}")
        p.nothing_leaks()
        p.query(f"SHOW {name}")
        p.query(f"RESET {name}", "BEGIN")
        p.query("ROLLBACK", f"SHOW {name}")


@both_versions
def test_startup_values_are_not_put_back_amid_a_batch(pg, single):
    """A query of ours would commit what stands in front of it."""
    with Pair(pg, single, options="-c work_mem=9MB") as p:
        p.both[0].query("CREATE TABLE IF NOT EXISTS amid (x int)")
        p.send(run("INSERT INTO amid VALUES (1)"), run("RESET work_mem"), flush())
        p.until("C")
        p.until("C")
        p.send(run("SELECT 1"), flush())
        p.until("C")
        p.ask(run("SELECT 1/0") + sync())
        p.query("SELECT count(*) FROM amid", "SHOW work_mem")


@both_versions
def test_queries_of_ours_that_fail_end_no_session(pg, single):
    """Both wait for a lock on what they look at, until the client's own statement_timeout ends them; the client's own do not."""
    for held, requests in (("pg_settings", ["RESET work_mem"]), ("pg_cursors", ["LISTEN a", "UNLISTEN a"])):
        with pg.superuser("app") as holder, wire.Client(single.port).login(options="-c work_mem=9MB") as a:
            a.query("SET statement_timeout = '500ms'")
            holder.execute(f"BEGIN; LOCK TABLE pg_catalog.{held} IN ACCESS EXCLUSIVE MODE")
            for sql in requests:
                assert a.query(sql).tags == [sql.split()[0]]
            holder.execute("ROLLBACK")
            assert a.query("SELECT current_setting('work_mem'), current_setting('statement_timeout')").rows == [("9MB", "500ms")]
            a.terminate()


@pytest.mark.parametrize("how", ["simple", "extended"])
@pytest.mark.parametrize("setting, value, take", [
    ("role", "app_reader", "REVOKE app_reader FROM app"),
    ("default_text_search_config", "public.mine", "DROP TEXT SEARCH CONFIGURATION mine")])
def test_nothing_runs_without_a_setting_that_is_refused(own_pg, pgroute, setting, value, take, how):
    """What the server took before it refuses now: the client's query must not run as somebody else, or otherwise, first."""
    pg = own_pg()
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("CREATE TABLE ran (who text); GRANT ALL ON ran TO PUBLIC")
        db.execute("CREATE ROLE app_reader; GRANT app_reader TO app; CREATE TEXT SEARCH CONFIGURATION mine (COPY = english)")
        with wire.Client(one.port).login(options=f"-c {setting}={value}") as a, wire.Client(one.port).login() as b:
            for _ in range(3):
                assert a.query("INSERT INTO ran VALUES (current_user); TABLE ran").status == "I"
                assert b.query("SELECT current_user").value() == "app"
            db.execute("TRUNCATE ran")
            db.execute(take)
            sql = "INSERT INTO ran VALUES (current_user)"
            a.send(query(sql) if how == "simple" else run(sql) + sync())
            seen = a.expect_closed()
            assert "".join(m.type for m in seen) == "E"
            assert b.query("SELECT current_user").value() == "app"
        assert db.execute("TABLE ran").fetchall() == []


@both_versions
def test_what_is_prepared_before_startup_values_are_back_is_nobody_elses(pg, single):
    sql = "SELECT '01/02/2020'::date"
    with Pair(pg, single, DateStyle="ISO, DMY") as p:
        p.send(query("RESET DateStyle"), query("SELECT pg_sleep(0.2)"))
        p.until("Z")
        p.send(parse("s", sql) + bind("", "s") + execute() + sync())
        p.same(2)
        p.ask(parse("t", sql) + bind("", "t") + execute() + sync())


@both_versions
@pytest.mark.parametrize("portal", ["p", ""])
@pytest.mark.parametrize("first, second", [("SET work_mem = '77MB'", "SELECT 1"), ("SELECT 1", "SELECT set_config('work_mem', '77MB', false)")])
def test_a_portal_that_outlives_a_failed_bind(pg, single, portal, first, second):
    with Pair(pg, single) as p:
        p.query("BEGIN")
        p.ask(parse("a", first) + parse("b", second) + parse("c", "SELECT $1::int") + parse("back", "ROLLBACK TO s") + sync())
        p.ask(bind(portal, "a") + sync())
        p.ask(run("SAVEPOINT s", "sp", "spp") + sync())
        p.ask((bind(portal, "b") if portal else bind("", "c", ("x",))) + sync())
        p.ask(bind("other", "back") + execute("other") + sync())
        p.ask(execute(portal) + sync())
        p.query("COMMIT", "SHOW work_mem")
        p.nothing_leaks()
        if not p.pinned():
            with wire.Client(single.port).login(options="-c work_mem=77MB") as other:
                assert other.query("SHOW work_mem").value() == "77MB"
                other.terminate()
        p.query("SHOW work_mem")


@both_versions
@pytest.mark.parametrize("how", ["terminate", "reset"])
def test_reports_of_a_client_that_left_are_not_the_next_ones(pg, single, how):
    a = wire.Client(single.port).login(DateStyle="SQL, DMY")
    a.send(run("RESET DateStyle"), sync(), parse("", "SELECT 1"), flush())
    a.recv_until("Z")
    getattr(a, how)()
    with wire.Client(single.port).login(DateStyle="German, DMY") as b, wire.Client(single.port).login(DateStyle="ISO, MDY") as c:
        for _ in range(2):
            assert b.query("SHOW DateStyle").value() == "German, DMY"
            assert c.query("SHOW DateStyle").value() == "ISO, MDY"


@both_versions
def test_a_value_beyond_ascii_and_another_encoding_pin(pg, single):
    with Pair(pg, single) as p:
        p.query("SET client_encoding = 'LATIN1'")
        p.ask(wire.message("Q", b"SET my.x = '\xe4'\0"))
        p.nothing_leaks()
        p.query("SELECT convert_to(current_setting('my.x'), 'UTF8')", "SET client_encoding = 'UTF8'")
        assert p.pinned()
        p.query("SELECT current_setting('my.x')")


@both_versions
def test_old_names_of_settings(pg, single):
    with Pair(pg, single) as p:
        p.query("SET sort_mem = '77MB'", "SHOW work_mem", "RESET work_mem", "SHOW work_mem")
        p.nothing_leaks()
        p.query("SHOW work_mem")
