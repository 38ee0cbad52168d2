"""Session mode: the session is the server's, from its pid to its startup parameters."""
import random
import re
import threading

import psycopg
import pytest

from harness import fakeserver as fs
from harness import proc, wire
from harness.scale import amount
from harness.wire import query

SESSION = {"pool_mode": "session", "pool_size": 3}


def refused(port, **parameters):
    with pytest.raises(wire.ServerError) as error:
        wire.Client(port).login(**parameters)
    return {field: error.value.fields.get(field) for field in "SCM"}


@pytest.mark.parametrize("parameters", [
    {"DateStyle": "nonsense"}, {"options": "-c work_mem=lots"}, {"options": "-c no_such_setting=1"}, {"options": "-c role=nobody_here"},
    {"options": "-c log_statement=all"}, {"options": "-c shared_buffers=1MB"}], ids=lambda p: "=".join(p[max(p)].split()[-1:]))
def test_a_startup_value_is_refused_in_the_servers_words(pg, pgroute, parameters):
    """And it is that client's affair: nobody is told that the server cannot be reached."""
    one = pgroute(pg, workers=1, defaults=SESSION)
    direct = refused(pg.port, **parameters)
    for _ in range(3):
        assert refused(one.port, **parameters) == direct
        with wire.Client(one.port).login() as client:
            assert client.query("SELECT 1").value() == "1"
            assert refused(one.port, **parameters) == direct
            client.terminate()


def test_what_only_a_startup_packet_may_say(pg, pgroute):
    """A value that no SET could bring about."""
    one = pgroute(pg, defaults=SESSION)
    for port in (pg.port, one.port):
        with wire.Client(port).login(options="-c post_auth_delay=0") as client:
            assert client.query("SELECT source FROM pg_settings WHERE name = 'post_auth_delay'").value() == "client"
            client.terminate()


@pytest.mark.parametrize("before", ["SET ROLE none", "SET ROLE pg_monitor", "SET SESSION AUTHORIZATION app", "SET SESSION AUTHORIZATION DEFAULT"])
def test_the_role_of_the_startup_packet_is_there_again_for_the_next(own_pg, pgroute, before):
    pg = own_pg()
    one = pgroute(pg, defaults={**SESSION, "pool_size": 1})
    with pg.superuser() as db:
        db.execute("CREATE ROLE actor; GRANT actor, pg_monitor TO app")
    look = "SELECT current_user, session_user, pg_backend_pid()"
    with wire.Client(one.port).login(options="-c role=actor") as client:
        assert client.query(look).rows == [("actor", "app", str(client.pid))]
        assert not client.query(before).errors
        client.terminate()
    with wire.Client(one.port).login(options="-c role=actor") as after:
        assert after.query(look).rows == [("actor", "app", str(client.pid))]
        after.terminate()


def test_a_client_that_leaves_while_its_connection_is_dialed(fake, pgroute):
    """Another one comes for the place, with other parameters: it gets a connection of its own, and there is never one more."""
    gate, seen = threading.Event(), []

    def login(conn):
        seen.append(conn.startup_parameters.get("work_mem"))
        if len(seen) == 1:
            assert gate.wait(30)
        conn.send(fs.authentication(0))
        conn.greet()

    server = fake(login=login)
    one = pgroute(server, workers=1, defaults={**SESSION, "pool_size": 1}, auth={"type": "trust"})
    first = wire.Client(one.port)
    first.send(wire.startup({"user": "app", "database": "app", "options": "-c work_mem=9MB"}))
    proc.wait_for(lambda: seen, "the login to the server")
    with proc.Threads() as group:
        first.reset()
        proc.wait_for(lambda: not one.show("clients"), "the client to be gone")
        second = wire.Client(one.port)
        group.start(second.login)
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the next client to wait")
        gate.set()
    assert second.query("mine").value() == "mine"
    second.terminate()
    assert seen == ["9MB", None]


def test_many_sessions_with_parameters_of_their_own(pg, pgroute):
    """Each sees its own as the server's, whoever had the connection before, and the pool keeps to its limit."""
    one = pgroute(pg, workers=2, defaults=SESSION)
    look = "SELECT setting || ' ' || reset_val || ' ' || source FROM pg_settings WHERE name = 'work_mem'"

    def session(dice):
        for _ in range(amount(12, 200)):
            kilobytes = dice.choice([None, 9000, 10000, 11000])
            asked = {} if kilobytes is None else {"options": f"-c work_mem={kilobytes}"}
            with wire.Client(one.port).login(**asked) as client:
                want = "4096 4096 default" if kilobytes is None else f"{kilobytes} {kilobytes} client"
                assert client.query(look).value() == want
                assert client.query("SELECT pg_backend_pid()").value() == str(client.pid)
                client.query("SET work_mem = '77MB'")
                client.query("RESET work_mem")
                assert client.query(look).value() == want
                client.terminate()

    with pg.counting("app") as backends, proc.Threads() as group:
        for n in range(8):
            group.start(session, random.Random(n))
        group.join()
    assert backends.highest <= SESSION["pool_size"]


def test_cancel_by_the_servers_pid(pg, pgroute):
    one = pgroute(pg, workers=3, defaults=SESSION)
    with wire.Client(one.port).login(options="-c work_mem=9MB") as client, wire.Client(one.port).login() as other:
        client.send(query("SELECT pg_sleep(600)"))
        pg.wait_query("pg_sleep(600)")
        wire.cancel(one.port, client.pid, other.key)  # a key of somebody else's
        wire.cancel(one.port, other.pid, client.key)
        assert not client.waiting(0.2)
        wire.cancel(one.port, client.pid, client.key)
        assert client.ready().sqlstates == ["57014"]
        client.terminate()
        other.terminate()


class Seen:
    """A connection of psycopg, another one beside it, and notes: what the server sent, as libpq traces it, and what a test adds."""

    def __init__(self, way, folder, **asked):
        self.db, self.other, self.noted = way.connect(**asked), way.connect(), []
        self.pids = {self.db.info.backend_pid: "mine", self.other.info.backend_pid: "the other's"}
        self.trace = open(folder / "trace", "w+")
        self.db.pgconn.trace(self.trace.fileno())
        self.db.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS | psycopg.pq.Trace.REGRESS_MODE)

    def note(self, *facts):
        self.noted.append(facts)

    def refused(self, use, *args, **kwargs):
        with pytest.raises(psycopg.Error) as error:
            use(*args, **kwargs)
        self.note(error.value.sqlstate, error.value.diag.message_primary, self.db.closed, self.db.info.transaction_status.name)

    def end(self):
        self.db.close()
        self.other.close()
        self.trace.seek(0)
        with self.trace:
            sent = [line for line in self.trace.read().splitlines() if line.startswith("B\t")]
        return [re.sub(r"pg_temp_\d+", "pg_temp", line) for line in sent], self.noted


def pids(seen):
    db = seen.db
    db.execute("LISTEN told")
    for who in (db, seen.other, db):
        who.execute("NOTIFY told, 'word'")
    seen.note([(n.payload, seen.pids.get(n.pid)) for n in db.notifies(timeout=proc.PATIENCE, stop_after=3)])
    seen.note(seen.other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [db.info.backend_pid]).fetchall())
    seen.other.execute("SELECT pg_terminate_backend(%s, 60000)", [db.info.backend_pid])
    seen.refused(db.execute, "SELECT 1")
    db.pgconn.untrace()  # a login is not the same twice
    db.pgconn.reset()
    seen.note(db.pgconn.exec_(f"SELECT pg_backend_pid() = {db.pgconn.backend_pid}".encode()).get_value(0, 0))


def settings(seen):
    for name in ("work_mem", "TimeZone", "DateStyle", "client_encoding", "application_name"):
        for statement in (f"SET {name} TO DEFAULT", f"SHOW {name}", f"RESET {name}", f"SHOW {name}"):
            seen.db.execute(statement)
    for statement in ("SET TimeZone TO 'Europe/Paris'", "RESET ALL", "DISCARD ALL"):
        seen.db.execute(statement)
        seen.note(str(seen.db.info.timezone), seen.db.info.encoding, seen.db.info.parameter_status("application_name"))
    seen.note(seen.db.execute("SELECT name, setting, reset_val, source FROM pg_settings WHERE source = 'client' ORDER BY name").fetchall())


def statements(seen):
    db = seen.db
    prepared = "SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY prepare_time, name"
    for number in range(7):  # the sixth is prepared
        db.execute("SELECT %s::int + 1", [number])
    db.execute("PREPARE by_hand AS SELECT 1")
    db.execute(prepared, prepare=False)
    db.pgconn.prepare(b"mine", b"SELECT $1::int")
    for again in (db.pgconn.prepare(b"mine", b"SELECT 2"), db.pgconn.exec_(b"EXECUTE mine(3)"), db.pgconn.describe_prepared(b"nobody's")):
        seen.note(again.status)
    db.execute("DEALLOCATE mine")
    db.execute("DISCARD ALL")
    db.execute(prepared, prepare=False)
    with db.transaction(), db.cursor("named", scrollable=True, withhold=True) as cursor:
        cursor.itersize = 2
        cursor.execute("SELECT generate_series(1, 5)")
        cursor.scroll(3)
        seen.note(cursor.fetchall())
    for text in ("", "SELECT 1; SELECT 1 / 0; SELECT 2", "DO $$BEGIN RAISE NOTICE 'n'; RAISE EXCEPTION 'e'; END$$"):
        db.pgconn.exec_(text.encode())


def pipeline(seen):
    db = seen.db
    with db.pipeline() as line:
        asked = [db.execute("SELECT %s::int", [number], prepare=True) for number in range(30)]
        line.sync()
        seen.note([one.fetchone() for one in asked])
        with db.transaction():
            db.execute("CREATE TEMP TABLE kept (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    def twice():
        with db.pipeline(), db.transaction():
            db.cursor().executemany("INSERT INTO kept VALUES (%s)", [(1,), (2,), (1,)])

    def broken():
        with db.pipeline():
            for text in ("SELECT 1", "SELECT nobody_s", "SELECT 2"):
                db.execute(text)

    seen.refused(twice)
    seen.refused(broken)
    db.execute("SELECT count(*) FROM kept")


def copy(seen):
    db = seen.db
    db.execute("CREATE TEMP TABLE copied (n int, word text)")

    def load(*data):
        with db.cursor().copy("COPY copied FROM STDIN") as into:
            for part in data:
                into.write(part)

    load("1\tone\n", "2\ttw", "o\n")
    seen.refused(load, "3\tthree\n", "four\n")
    with db.cursor().copy("COPY copied TO STDOUT (FORMAT binary)") as out:
        seen.note(b"".join(out))
    with pytest.raises(ZeroDivisionError), db.cursor().copy("COPY copied FROM STDIN"):
        raise ZeroDivisionError

    def unload():
        with db.cursor().copy("COPY (SELECT 1 / (n - 2) FROM copied) TO STDOUT") as out:
            list(out)

    seen.refused(unload)
    db.execute("SELECT count(*) FROM copied")


def cancelled(seen):
    with proc.Threads() as group:
        group.start(seen.refused, seen.db.execute, "SELECT pg_sleep(600)")
        proc.wait_for(lambda: seen.other.execute("SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'",
                                                 [seen.db.info.backend_pid]).rowcount, "the query to run")
        seen.db.cancel_safe(timeout=proc.PATIENCE)
    seen.db.cancel_safe(timeout=proc.PATIENCE)
    seen.db.execute("SELECT 1")


@pytest.mark.parametrize("use", (pids, settings, statements, pipeline, copy, cancelled), ids=lambda use: use.__name__)
def test_psycopg_is_answered_as_directly(pg, pgroute, tmp_path, use):
    """The second time through pgroute the connections have been somebody else's."""
    one = pgroute(pg, workers=1, defaults=SESSION)
    told = []
    for way in (pg, one, one):
        seen = Seen(way, tmp_path, application_name="seen", client_encoding="latin1",
                    options="-c work_mem=9MB -c TimeZone=Asia/Tokyo -c DateStyle=SQL,DMY")
        try:
            use(seen)
        finally:
            told.append(seen.end())
    assert len(told[0][0]) > 3
    assert told[1:] == [told[0]] * 2
