"""Every message that a client gets is the one that PostgreSQL sends: each way to ask is crossed with each thing that can happen.

A sequence is made from a WAY (simple query, named statement, portal, COPY, ...) and a TURN (success, an error at one of the
steps, a cancel, a goodbye, ...), whose statements stand in one small table for each family of ways. It is replayed directly and
through pgroute, two by two, with a third client between them, on two server connections that others have used before; every
byte is compared that is not a key, a pid or the place in PostgreSQL's source that an error names, and then the rows that are left.
"""
import itertools
from typing import NamedTuple

import pytest

from harness import proc, trace, wire
from harness.postgres import VERSIONS
from harness.trace import Cancel, Leave, Replay, Send
from harness.wire import bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, function_call, parse, query, sync

MODES = ("transaction", "session", "statement")
# statement mode differs from transaction mode in what it refuses, so one version is enough for it
TARGETS = [(version, mode) for version in VERSIONS for mode in MODES if (version, mode) != ("18", "statement")]
TURNS = ("success", "parse", "bind", "describe", "execute", "copy", "commit", "cancel", "terminate", "notice", "parameter", "empty",
         "open", "open-commit", "open-terminate", "failed")  # parse to commit: an error there
IN_A_TRANSACTION = ("open", "open-commit", "open-terminate", "failed")  # which statement mode refuses
LEAVING = ("terminate", "open-terminate")
GIVEN = 20  # rows that are there; each sequence adds its own

SETUP = f"""
    CREATE TABLE trace_t (id int PRIMARY KEY, v text);
    CREATE TABLE trace_d (id int, t int REFERENCES trace_t DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE trace_n (id int, v text);
    CREATE VIEW trace_v AS SELECT id, v FROM trace_t;
    INSERT INTO trace_t SELECT n, 'v' || n FROM generate_series(1, {GIVEN}) n;
    CREATE FUNCTION trace_talk(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'said %', n; RETURN n; END$$;
    CREATE FUNCTION trace_told() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NEW; END$$;
    CREATE TRIGGER told BEFORE INSERT ON trace_n FOR EACH ROW EXECUTE FUNCTION trace_told();
    CREATE FUNCTION trace_put(n int) RETURNS int STRICT LANGUAGE sql AS 'INSERT INTO trace_t VALUES (n, ''put'') RETURNING id';
    CREATE FUNCTION trace_dangle(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO trace_d VALUES (n, -1) RETURNING id';
    GRANT ALL ON trace_t, trace_d, trace_n, trace_v TO PUBLIC;
"""
ROWS_LEFT = f"""
    SELECT 't', id, v FROM trace_t WHERE id > {GIVEN} UNION ALL SELECT 'd', id, t::text FROM trace_d
    UNION ALL SELECT 'n', id, v FROM trace_n ORDER BY 1, 2, 3"""
OIDS = {"int4div": 154, "int4pl": 177, "set_config": 2078, "pg_sleep": 2626, "nowhere": 999999999}
LOOK = "SELECT 'the end', current_setting('DateStyle'), current_setting('application_name'), current_user, (SELECT count(*) FROM pg_cursors)"


# -- what is asked for

class Statement(NamedTuple):
    sql: str
    arguments: tuple = ()
    feed: tuple = ()  # what COPY FROM STDIN gets: (data, end)
    ahead: str = ""   # a statement in front of it in the same request

    def literal(self):
        """For a simple query."""
        text = self.sql
        for number, value in enumerate(self.arguments, 1):
            text = text.replace(f"${number}", f"'{value}'")
        return f"{self.ahead}; {text}" if self.ahead else text


class Call(NamedTuple):
    function: str
    arguments: tuple = ()


def put(number):
    return Statement("INSERT INTO trace_t VALUES ($1, 'beside') RETURNING id, v", (number,))


READ = f"SELECT id, v FROM trace_t WHERE id <= {GIVEN} AND id <= $1 ORDER BY id"
DIVIDE = f"SELECT id, 10 / (id - 5) FROM trace_t WHERE id <= {GIVEN} ORDER BY id"
SLEEP = f"SELECT id, CASE WHEN id = 5 THEN pg_sleep(600)::text END FROM trace_t WHERE id <= {GIVEN} ORDER BY id"
TALK = f"SELECT id, trace_talk(id) FROM trace_t WHERE id <= {GIVEN} AND id <= $1 ORDER BY id"
DANGLE = "INSERT INTO trace_d VALUES ({}, -1), ({}, -1) RETURNING t"


def queries(n):
    write = Statement("INSERT INTO trace_t SELECT g, 'main' FROM generate_series($1::int, $1::int + 5) g RETURNING id, v", (n,))
    return {
        "success": Statement(READ, (7,)), "parse": Statement("SELECT id, v FROM nowhere WHERE id = $1", (7,)),
        "bind": Statement(READ, ("seven",)), "describe": Statement(READ, (7,)), "execute": Statement(DIVIDE),
        "copy": Statement("COPY trace_t FROM STDIN", (), (copy_data(b"%d\ta\n" % n) + copy_data(b"bad\tb\n"), copy_done())),
        "commit": Statement(DANGLE.format(n, n)), "cancel": Statement(SLEEP), "terminate": write, "notice": Statement(TALK, (4,)),
        "parameter": Statement("SELECT set_config('DateStyle', $1, false)", ("German",)), "empty": Statement(""), "open": write,
        "open-commit": Statement(DANGLE.format(n, n)), "open-terminate": write, "failed": Statement(READ, (7,)),
    }


def copies_in(n):
    def into(table="trace_t", *lines, end=copy_done(), arguments=(), ahead=""):
        lines = lines or (b"%d\ta\n" % n, b"%d\tb\n" % (n + 1))
        return Statement(f"COPY {table} FROM STDIN", arguments, (b"".join(map(copy_data, lines)), end), ahead)
    dangling = into("trace_d", b"%d\t-1\n" % n, b"%d\t-2\n" % n)
    return {
        "success": into(), "parse": into("nowhere"), "bind": into(arguments=(1,)), "describe": into(), "execute": into("trace_v"),
        "copy": into("trace_t", b"%d\ta\n" % n, b"1\tdouble\n", b"%d\tc\n" % (n + 1)), "commit": dangling, "cancel": into(),
        "terminate": into(), "notice": into("trace_n"), "parameter": into(ahead="SET DateStyle TO German"),
        "empty": into("trace_t", b""), "open": into(), "open-commit": dangling, "open-terminate": into(),
        "failed": into(end=copy_fail("enough")),
    }


def copies_out(n):
    def out(of, arguments=(), ahead=""):
        return Statement(f"COPY ({of}) TO STDOUT", arguments, (), ahead)
    read, write = READ.replace("$1", "7"), f"INSERT INTO trace_t VALUES ({n}, 'main') RETURNING id, v"
    return {
        "success": out(read), "parse": out("SELECT * FROM nowhere"), "bind": out(read, (1,)), "describe": out(read),
        "execute": out("SELECT 1 / 0"), "copy": out(DIVIDE), "commit": out(DANGLE.format(n, n)), "cancel": out(SLEEP),
        "terminate": out(write), "notice": out(TALK.replace("$1", "4")), "parameter": out(read, ahead="SET DateStyle TO German"),
        "empty": out("SELECT WHERE false"), "open": out(write), "open-commit": out(DANGLE.format(n, n)), "open-terminate": out(write),
        "failed": out(read),
    }


def calls(n):
    return {
        "success": Call("int4pl", (2, 40)), "parse": Call("nowhere"), "bind": Call("trace_put", ("seven",)),
        "describe": Call("trace_put", (n, n)), "execute": Call("int4div", (2, 0)), "commit": Call("trace_dangle", (n,)),
        "cancel": Call("pg_sleep", (600,)), "terminate": Call("trace_put", (n,)), "notice": Call("trace_talk", (n,)),
        "parameter": Call("set_config", ("DateStyle", "German", "f")), "empty": Call("trace_put", (None,)),
        "open": Call("trace_put", (n,)), "open-commit": Call("trace_dangle", (n,)), "open-terminate": Call("trace_put", (n,)),
        "failed": Call("trace_put", (n,)),
    }


# -- what is sent

def asked(data, turn, until=""):
    """The messages that carry the statement, and what happens to it."""
    if turn == "cancel":
        return [Send(data, None), Cancel(until)]
    return [Leave(data)] if turn in LEAVING else [Send(data, until)]


def fed(statement, turn, behind=b""):
    data, end = statement.feed
    if turn in LEAVING:
        return [Leave(data)]
    return [Cancel(None, "ClientRead")] * (turn == "cancel") + [Send(data + end + behind)]


def batch(statement, name="", portal="", turn="", rows=0):
    data = batch(Statement(statement.ahead)) if statement.ahead else b""
    wrong = describe("S", "nowhere") if turn == "describe" else describe("P", portal)
    return data + parse(name, statement.sql) + bind(portal, name, statement.arguments) + wrong + execute(portal, rows)


# -- ways

def simple(before, main, behind, turn):
    """The error at Describe: a simple query ends the unnamed statement."""
    text = query(main.literal())
    yield Send((parse("", "SELECT 'unnamed'") + sync()) * (turn == "describe") + query(before.literal()))
    yield from [Send(text, "G"), *fed(main, turn)] if main.feed else asked(text, turn)
    yield Send(query(behind.literal()) + (describe("S") + sync()) * (turn == "describe"))


def multi(before, main, behind, turn):
    text = query("; ".join(s.literal() for s in (before, main, behind)))
    yield from [Send(text, "G"), *fed(main, turn)] if main.feed else asked(text, turn)
    yield Send((describe("P") + sync()) * (turn == "describe") + query(" ;"))


def unnamed(before, main, behind, turn):
    yield Send(batch(before) + sync())
    if main.feed:
        yield from [Send(batch(main, turn=turn) + flush(), "G"), *fed(main, turn, sync())]
    else:
        yield from asked(batch(main, turn=turn) + sync() * (turn not in LEAVING), turn)
    yield Send(batch(behind) + sync())


def named(before, main, behind, turn):
    """Prepared and described, then bound twice, among others of its name's kind."""
    yield Send(parse("before", before.sql) + parse("m", main.sql) + sync())
    yield Send(bind("", "before", before.arguments) + execute() + sync() + describe("S", "nowhere" if turn == "describe" else "m") + sync())
    run = bind("", "m", main.arguments) + describe("P") + execute()
    for _ in range(2):
        if main.feed:
            yield from [Send(run + flush(), "G"), *fed(main, turn, sync())]
        else:
            yield from asked(run + sync() * (turn not in LEAVING), turn)
    yield Send(parse("m", behind.sql) + sync())
    yield Send(close("S", "m") + parse("m", behind.sql) + bind("", "m", behind.arguments) + execute() + sync())


def pipelined(before, main, behind, turn):
    data = batch(before, "before") + sync() + sync() + batch(main, turn=turn) + b"".join(main.feed)
    if turn not in LEAVING:
        again = batch(before) if turn == "failed" else bind("", "before", before.arguments) + execute()
        data += sync() + again + sync() + batch(behind) + sync()
    yield from asked(data, turn)


def flushed(before, main, behind, turn):
    """Each message answered before the next is sent, and one Sync for all."""
    yield Send(batch(before) + flush(), "C")
    if main.ahead:
        yield Send(batch(Statement(main.ahead)) + flush(), "C")
    yield Send(parse("", main.sql) + flush(), "1")
    yield Send(bind("", "", main.arguments) + flush(), "2")
    yield Send(describe("S", "nowhere" if turn == "describe" else "") + flush(), "Tn")
    run = execute() + flush()
    yield from [Send(run, "G"), *fed(main, turn)] if main.feed else asked(run, turn, "CIE")
    yield Send(batch(behind) + flush(), "C")
    yield Send(sync())


def portal(before, main, behind, turn):
    """Three rows, three more, the rest; in a transaction each behind a Sync of its own."""
    pause, until = (sync(), "") if turn in IN_A_TRANSACTION else (flush(), "sCI")
    yield Send(batch(before) + sync())
    if main.feed:
        yield from [Send(batch(main, "", "p", turn, 3) + flush(), "G"), *fed(main, turn, sync())]
    elif turn == "cancel" and main.sql.startswith("COPY"):  # which knows no limits
        yield from asked(batch(main, "", "p", turn, 3) + sync(), turn)
    else:
        yield Send(batch(main, "", "p", turn, 3) + pause, until)
        yield from asked(execute("p", 3) + (sync() if turn == "cancel" else pause), turn, "" if turn == "cancel" else until)
        yield Send(execute("p") + close("P", "p") + execute("p") + sync())
    yield Send(batch(behind, "", "p") + sync() + execute("p") + sync())


def function(before, main, behind, turn, oids):
    def call(which):
        values = [v if v is None else str(v).encode() for v in which.arguments]
        return function_call(oids[which.function], values)
    yield Send(call(before) + (parse("", "SELECT 'unnamed'") + sync()) * (turn == "describe"))
    yield from asked(call(main), turn)
    yield Send(call(behind) + (describe("S") + sync()) * (turn == "describe"))


WAYS = {
    "simple": (simple, queries), "multi": (multi, queries), "unnamed": (unnamed, queries), "named": (named, queries),
    "pipelined": (pipelined, queries), "flushed": (flushed, queries), "portal": (portal, queries), "copy-in": (simple, copies_in),
    "copy-in-unnamed": (unnamed, copies_in), "copy-in-flushed": (flushed, copies_in), "copy-in-pipelined": (pipelined, copies_in), "copy-out": (simple, copies_out),
    "copy-out-multi": (multi, copies_out), "copy-out-pipelined": (pipelined, copies_out), "copy-out-portal": (portal, copies_out),
    "function": (function, calls),
}


# what a request cannot have: parameters in a simple query that has none, a cancel where all is sent at once
IMPOSSIBLE = {("copy-in", "bind"), ("copy-out", "bind"), ("copy-out-multi", "bind"), ("copy-in-pipelined", "cancel"), ("function", "copy")}


class Sequence(NamedTuple):
    name: str
    turn: str
    number: int  # its rows have ids from it to it + 9
    steps: tuple


def sequence(way, turn, number, oids):
    make, family = WAYS[way]
    main = family(number)[turn]
    if make is function:
        steps = function(Call("trace_put", (number + 8,)), main, Call("trace_put", (number + 9,)), turn, oids)
    else:
        steps = make(put(number + 8), main, put(number + 9), turn)
    begin = [Send(query("BEGIN"))] * (turn in IN_A_TRANSACTION) + [Send(query("SELECT 1 / 0"))] * (turn == "failed")
    end = [Send(query("COMMIT"))] * (turn in IN_A_TRANSACTION) + [Send(query(LOOK))]
    return Sequence(f"{way}/{turn}", turn, number, (*begin, *steps, *end))


def sequences(way, oids):
    return [sequence(way, turn, 1000 + 10 * at, oids) for at, turn in enumerate(TURNS) if (way, turn) not in IMPOSSIBLE]


# -- replaying

def replay(server, port, every):
    """The traces by name; two sequences at a time."""
    traces = {}
    with server.superuser("app") as db:
        db.execute(f"DELETE FROM trace_d; DELETE FROM trace_n; DELETE FROM trace_t WHERE id > {GIVEN}")

    def lane(part):
        for one in part:
            traces[one.name] = Replay(server, port, one.name, one.steps).run()

    with proc.Threads() as group:
        group.start(lane, every[0::2])
        group.start(lane, every[1::2])
    return traces


def rows_left(server):
    """When nobody is at work any more."""
    with server.superuser("app") as db:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'"
        proc.wait_for(lambda: db.execute(sql).fetchone() == (0,), "the server to be at rest")
        return db.execute(ROWS_LEFT).fetchall()


def oids_of(server):
    """Makes the tables, once for a server."""
    if not hasattr(server, "oids"):
        with server.superuser("app") as db:
            db.execute(SETUP)
            own = db.execute("SELECT proname, oid FROM pg_proc WHERE proname LIKE 'trace%'").fetchall()
        server.oids = {**OIDS, **dict(own)}
        server.direct = {}
    return server.oids


def direct(server, way):
    """What PostgreSQL sends, once for each way."""
    if way not in server.direct:
        server.direct[way] = replay(server, server.port, sequences(way, oids_of(server))), rows_left(server)
    return server.direct[way]


class Neighbour:
    """The third client: comes once for two sequences, uses the names of the others for something else, sees nothing of them."""

    def __init__(self, port, visits):
        self.port, self.visits = port, visits

    def run(self):
        for number in range(self.visits):
            self.visit(number)

    def visit(self, number):
        with wire.Client(self.port).login(application_name="neighbour") as client:
            assert client.query(LOOK).rows == [("the end", "ISO, MDY", "neighbour", "app", "0")]
            client.send(parse("m", "SELECT $1 || ' of the neighbour'") + bind("", "m", [number]) + execute() + sync())
            assert client.ready().rows == [(f"{number} of the neighbour",)]
            assert client.query("SET DateStyle = 'SQL, DMY'").tags == ["SET"]
            client.send(bind("p", "m", ["again"]) + execute("p", 1) + sync())
            assert client.ready().rows == [("again of the neighbour",)]
            client.terminate()


def clients(one):
    return sum(number for key, number in one.metrics().items() if key.startswith("pgroute_pool_clients{"))


def first_difference(wanted, got, leaves):
    """On purpose: who has said goodbye reads no last words, so what comes behind a Terminate may end earlier than directly."""
    for number, (there, here) in enumerate(itertools.zip_longest(wanted, got)):
        cut = leaves and number == len(wanted) - 1
        if here != (there[:len(here)] if cut else there):
            return f"step {number}:\n  directly {there}\n  pgroute  {here}"
    return None


def test_the_sequences_differ():
    """Also when all of them write the same rows."""
    oids = {**OIDS, "trace_put": 1, "trace_dangle": 2, "trace_talk": 3}
    every = [sequence(way, turn, 1000, oids).steps for way in WAYS for turn in TURNS if (way, turn) not in IMPOSSIBLE]
    assert len(set(every)) == len(every) >= 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version, mode", TARGETS)
def test_a_client_sees_what_postgresql_sends(standing, version, mode, way):
    one = standing(version, defaults={"pool_size": 2, "pool_mode": mode})
    every = [s for s in sequences(way, oids_of(one.server)) if mode != "statement" or s.turn not in IN_A_TRANSACTION]
    wanted, wanted_rows = direct(one.server, way)
    with proc.Threads() as group:
        group.start(Neighbour(one.port, len(every) // 2).run)
        got = replay(one.server, one.port, every)
    different = {s.name: first_difference(wanted[s.name], got[s.name], s.turn in LEAVING) for s in every}
    different = {name: text for name, text in different.items() if text}
    assert not different, "\n".join(f"{name}, {text}" for name, text in different.items())
    mine = {s.number for s in every}
    proc.wait_for(lambda: clients(one) == 0, "all clients to be gone")
    assert rows_left(one.server) == [row for row in wanted_rows if row[1] // 10 * 10 in mine]


SHOWN = "SELECT name, statement, parameter_types::text, from_sql FROM pg_prepared_statements WHERE statement LIKE '%whose name%'"


@pytest.mark.parametrize("version, mode", TARGETS)
def test_on_purpose_names_in_pg_prepared_statements(standing, version, mode):
    """Where clients share statements these are named by what they say; all else in their rows is the same."""
    one = standing(version, defaults={"pool_size": 2, "pool_mode": mode})
    rows = []
    for port in (one.server.port, one.port):
        with wire.Client(port).login() as client:
            client.send(parse("mine", "SELECT $1::int AS \"whose name\""), sync(), query(SHOWN))
            client.ready()
            rows += client.ready().rows
            client.terminate()
    (name, *rest), (shared_name, *shared_rest) = rows
    assert shared_rest == rest and name == "mine" and (shared_name == name) == (mode == "session")


def who(port):
    """What tells a server from pgroute: its pid, and where settings come from."""
    with wire.Client(port).login(options="-c work_mem=9MB") as client:
        pid = client.query("SELECT pg_backend_pid()").value()
        source = client.query("SELECT setting, source, reset_val FROM pg_settings WHERE name = 'work_mem'").rows
        client.terminate()
        return pid == str(client.pid), source


@pytest.mark.parametrize("version", VERSIONS)
def test_session_mode_is_the_server(standing, version):
    """The server's own pid, and startup parameters that are the server's, whoever had the connection before."""
    one = standing(version, defaults={"pool_size": 2, "pool_mode": "session"})
    for _ in range(3):
        assert who(one.port) == who(one.server.port)
        with wire.Client(one.port).login() as plain, wire.Client(one.port).login(options="-c work_mem=11MB") as other:
            assert plain.query("SELECT setting, source FROM pg_settings WHERE name = 'work_mem'").rows == [("4096", "default")]
            assert other.query("SHOW work_mem").value() == "11MB"
            other.query("RESET ALL")
            assert other.query("SHOW work_mem").value() == "11MB"
            for client in (plain, other):
                client.terminate()


LATE = {  # what is sent before the answer is read that tells of the failure, to a server that has the statement already
    "parse-in-a-failed-transaction": [query("BEGIN"), parse("a", "SELECT 'late'") + sync(),
                                      query("SELECT 1 / 0") + parse("b", "SELECT 'late'") + sync(), query("ROLLBACK")],
    "bind-behind-a-failed-parse": [parse("a", "SELEKT") + sync() + bind("", "a") + execute() + sync()],
    "describe-behind-a-failed-parse": [parse("a", "SELEKT") + sync() + describe("S", "a") + sync() + close("S", "a") + sync()],
    "parse-amid-a-batch": [query("BEGIN"), parse("a", "SELECT 'late'") + sync(),
                           query("SELECT 1 / 0") + parse("c", "SELECT 2") + parse("b", "SELECT 'late'") + sync(), query("ROLLBACK")],
    "bind-amid-a-batch": [parse("a", "SELEKT") + sync() + parse("b", "SELECT 'late'") + bind("", "b") + execute() +
                          bind("", "a") + execute() + sync() + bind("", "b") + execute() + sync()],
    "nothing-fails": [parse("a", "SELECT 'late'") + sync() + bind("", "a") + execute() + sync() + close("S", "a") + sync() +
                      parse("a", "SELECT 1") + bind("", "a") + execute() + sync() + bind("", "a") + execute() + sync()],
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("version", VERSIONS)
def test_failures_that_a_pipeline_does_not_wait_for(standing, version, name):
    one = standing(version, defaults={"pool_size": 2})
    trace.assert_same(one.server, one, LATE[name])
