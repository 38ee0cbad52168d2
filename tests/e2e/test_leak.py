"""Session state in transaction mode: settings follow their client over server connections, what cannot follow pins it; nothing
reaches another client. (F4 F33 B11)"""
import os

import pytest

from harness import fakeserver as fs
from harness import proc, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.wire import query

MINE = [
    {"application_name": "the first", "TimeZone": "Asia/Tokyo", "DateStyle": "German"},
    {"application_name": "the second", "TimeZone": "America/Lima", "DateStyle": "SQL, DMY", "options": "-c work_mem=12MB"},
    {"application_name": "the third", "options": "-c search_path=pg_catalog -c statement_timeout=77s"},
    {"application_name": "it's \"quoted\" \\ and more", "options": r'-c search_path="a\ b",public --work-mem=13MB'},
    {"extra_float_digits": "0", "IntervalStyle": "iso_8601", "client_encoding": "LATIN1"},
    {},
]
SHOWN = ("application_name", "TimeZone", "DateStyle", "work_mem", "search_path", "statement_timeout", "extra_float_digits",
         "IntervalStyle", "client_encoding")
SELECT = "SELECT " + ", ".join(f"current_setting('{name}')" for name in SHOWN)
REPORTED = ("application_name", "TimeZone", "DateStyle", "IntervalStyle", "client_encoding", "standard_conforming_strings",
            "server_version", "server_encoding", "integer_datetimes", "session_authorization")


@both_versions
def test_f4_startup_parameters_follow_the_client(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    pairs = []
    for parameters in MINE:
        direct = wire.Client(pg.port).login(**parameters)
        pairs.append((direct, wire.Client(one.port).login(**parameters)))
    wanted = [direct.query(SELECT).rows for direct, _ in pairs]
    assert len({repr(rows) for rows in wanted}) == len(MINE)
    for direct, through in pairs:
        direct.close()
        assert {n: through.parameters.get(n) for n in REPORTED} == {n: direct.parameters.get(n) for n in REPORTED}
    for turn in range(5):
        order = list(range(len(MINE)))
        for n in order[turn:] + order[:turn]:
            assert pairs[n][1].query(SELECT).rows == wanted[n]
    for _, through in pairs:
        through.terminate()


@both_versions
def test_f4_crowd_with_different_settings(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})

    def connect(n):
        return one.connect(options=f"-c work_mem={1100 + n}kB", application_name=f"client {n}")

    def step(db, n):
        row = db.execute("SELECT current_setting('work_mem'), current_setting('application_name'), current_setting('TimeZone')").fetchone()
        assert row == (f"{1100 + n}kB", f"client {n}", "UTC")

    with Crowd(one, 30, step, connect) as crowd:
        crowd.go_on(10)


def test_f33_options_of_libpq(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    env = {**os.environ, "PGPASSWORD": "app-secret", "PGOPTIONS": r"-c application_name=two\ words -c geqo=off --enable-seqscan=off"}
    seen = []
    for port in (pg.port, one.port):
        out = proc.run([pg.binaries.program("psql"), "-XAt", "-h", "127.0.0.1", "-p", str(port), "-U", "app", "-d", "app", "-c",
                        "SELECT current_setting('application_name'), current_setting('geqo'), current_setting('enable_seqscan')"],
                       env=env)
        seen.append(out)
    assert seen[0] == seen[1] and seen[0].strip().endswith("|off|off")


@both_versions
def test_startup_parameter_that_the_server_refuses(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    for parameters, sqlstate in (({"work_mem": "nonsense"}, "22023"), ({"no_such_setting": "1"}, "42704"),
                                 ({"options": "-c no_such_setting=1"}, "42704")):
        for port in (pg.port, one.port):
            with wire.Client(port) as client:
                try:
                    client.login(**parameters)
                    states = client.query("SELECT 1").sqlstates
                except wire.ServerError as refused:
                    states = [refused.sqlstate]
                assert states == [sqlstate], (port == one.port, parameters)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


def test_b11_equal_settings_cost_no_statement(own_pg, pgroute):
    pg = own_pg(log_statement="'all'")
    one = pgroute(pg, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login(application_name="same", TimeZone="Asia/Tokyo", options="-c work_mem=9MB") for _ in range(5)]
    for client in clients:
        client.query("SELECT 'warm'")
    mark = pg.log_mark()
    for n in range(5):
        for client in clients:
            client.query("SELECT 'counted'")
    lines = [line for line in pg.log_since(mark).splitlines() if " app@app " in line and ("statement:" in line or "execute" in line)]
    assert len(lines) == 25 and all("SELECT 'counted'" in line for line in lines), lines


def test_b11_different_settings_are_sent_in_front_of_the_query(own_pg, pgroute):
    """One difference: one statement more, and no round trip of its own (the server sees both before it answers)."""
    pg = own_pg(log_statement="'all'")
    one = pgroute(pg, defaults={"pool_size": 1})
    a, b = (wire.Client(one.port).login(application_name=name) for name in ("a", "b"))
    for client in (a, b):
        client.query("SELECT 'warm'")
    mark = pg.log_mark()
    for _ in range(5):
        assert a.query("SHOW application_name").value() == "a"
        assert b.query("SHOW application_name").value() == "b"
    lines = [line for line in pg.log_since(mark).splitlines() if " app@app " in line and ("statement:" in line or "execute" in line)]
    assert len(lines) <= 20, lines


def test_b11_settings_and_query_go_out_together(fake, pgroute):
    """B11: this server answers a SET only when it has seen what comes behind it; a round trip for it would wait for ever."""
    def script(conn):
        held = b""
        for got in conn.messages():
            if got.type == "Q" and got.body.startswith(b"SET "):
                held += fs.complete("SET") + fs.ready()
            elif got.type in "QS":
                conn.send(held, fs.one_row("an answer") if got.type == "Q" else
                          wire.message("1") + wire.message("2") + fs.data_row("an answer") + fs.complete("SELECT 1") + fs.ready())
                held = b""

    one = pgroute(fake(script), defaults={"pool_size": 1})
    wire.Client(one.port).login().query("SELECT 1")
    clients = [wire.Client(one.port).login(application_name=name) for name in ("a", "b")]  # greeted by what is open already
    for _ in range(3):
        for client in clients:
            assert client.query("SELECT 1").value() == "an answer"
            client.send(wire.parse("", "SELECT 2"), wire.bind(), wire.execute(), wire.sync())
            assert client.ready().types == "12DCZ"


@both_versions
def test_settings_never_reach_the_client_that_did_not_ask(pg, pgroute):
    """The ParameterStatus that our own SET causes is for nobody, and our own replies are never relayed."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login(application_name="a", TimeZone="Asia/Tokyo") as a, wire.Client(one.port).login() as b:
        for _ in range(3):
            for client in (a, b):
                assert client.query("SELECT 1").types == "TDCZ"
                client.send(wire.parse("", "SELECT 2"), wire.bind(), wire.execute(), wire.sync())
                assert client.ready().types == "12DCZ"


def test_settings_before_a_query_that_fails_or_copies(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    a = wire.Client(one.port).login(application_name="a")
    b = wire.Client(one.port).login(application_name="b")
    for sql, types in (("SELEKT", "EZ"), ("BEGIN", "CZ"), ("SELECT 1/0", "EZ"), ("ROLLBACK", "NCZ"), ("", "IZ"),
                       ("COPY (SELECT 1) TO STDOUT", "HdcCZ"), ("SHOW application_name", "TDCZ")):
        assert b.query("SHOW application_name").value() == "b"
        result = a.query(sql)
        assert result.types == types
        if result.status == "I":
            assert a.query("SHOW application_name").value() == "a"
        else:
            a.query("ROLLBACK")


@both_versions
def test_reported_parameters_set_by_the_client_follow_it_without_a_pin(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    settings = {"TimeZone": "Asia/Tokyo", "DateStyle": "German, DMY", "application_name": "renamed", "IntervalStyle": "iso_8601"}
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for name, value in settings.items():
            result = a.query(f"SET {name} = '{value}'")
            assert [wire.strings(m.body) for m in result.messages if m.type == "S"] == [[name, value]]
            assert b.query(f"SHOW {name}").value() == b.parameters.get(name, ""), f"{name} leaked, or a is pinned"
            assert a.query(f"SHOW {name}").value() == value


# what a client does -> how another would notice it: (query, what it must show)
PINS = {
    "set": (["SET work_mem = '77MB'"], "SHOW work_mem", "4MB"),
    "set-role": (["SET ROLE pg_monitor"], "SELECT current_user", "app"),
    "set-in-a-batch": (["SET work_mem = '77MB'; SELECT 1"], "SHOW work_mem", "4MB"),
    "set-last-of-a-batch": (["SELECT 1; SET work_mem = '77MB'"], "SHOW work_mem", "4MB"),
    "set-behind-a-comment": (["/* SELECT */ -- x\n set work_mem to '77MB'"], "SHOW work_mem", "4MB"),
    "set-in-a-transaction": (["BEGIN", "SET work_mem = '77MB'", "COMMIT"], "SHOW work_mem", "4MB"),
    "set-search-path": (["SET search_path = pg_catalog"], "SHOW search_path", '"$user", public'),
    "set-read-only": (["SET default_transaction_read_only = on"], "SHOW default_transaction_read_only", "off"),
    "set-statement-timeout": (["SET statement_timeout = '77s'"], "SHOW statement_timeout", "0"),
    "listen": (["LISTEN news"], "SELECT count(*) FROM pg_listening_channels()", "0"),
    "prepare": (["PREPARE p AS SELECT 1"], "SELECT count(*) FROM pg_prepared_statements", "0"),
    "cursor": (["DECLARE c CURSOR WITH HOLD FOR SELECT 1"], "SELECT count(*) FROM pg_cursors WHERE name = 'c'", "0"),
    "cursor-of-a-transaction": (["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "COMMIT"],
                                "SELECT count(*) FROM pg_cursors WHERE name = 'c'", "0"),
    "load": (["LOAD '$libdir/plpgsql'"], "SELECT 0", "0"),
    "do": (["DO $$BEGIN PERFORM set_config('work_mem', '77MB', false); END$$"], "SHOW work_mem", "4MB"),
    "call": (["CALL sets_it()"], "SHOW work_mem", "4MB"),
    "temp-table": (["CREATE TEMP TABLE mine (x int)"], "SELECT to_regclass('mine') IS NULL", "t"),
    "temp-table-as": (["CREATE TEMP TABLE mine AS SELECT 0 AS x"], "SELECT to_regclass('mine') IS NULL", "t"),
    "select-into-temp": (["SELECT 0 AS x INTO TEMP mine"], "SELECT to_regclass('mine') IS NULL", "t"),
    "temp-function": (["CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
                      "SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()", "0"),
    "temp-view": (["CREATE TEMP VIEW mine AS SELECT 1"], "SELECT to_regclass('mine') IS NULL", "t"),
    "temp-sequence": (["CREATE TEMP SEQUENCE mine"], "SELECT to_regclass('mine') IS NULL", "t"),
    "temp-collation": (["CREATE COLLATION pg_temp.mine FROM \"C\""],
                       "SELECT count(*) FROM pg_collation WHERE collnamespace = pg_my_temp_schema()", "0"),
    "explain-analyze": (["EXPLAIN ANALYZE CREATE TEMP TABLE mine AS SELECT 1"], "SELECT to_regclass('mine') IS NULL", "t"),
    "temp-in-a-transaction": (["BEGIN", "CREATE TEMP TABLE mine (x int)", "COMMIT"],
                              "SELECT to_regclass('mine') IS NULL", "t"),
}
STILL = {"set": ("SHOW work_mem", "77MB"), "set-in-a-batch": ("SHOW work_mem", "77MB"), "do": ("SHOW work_mem", "77MB"),
         "set-last-of-a-batch": ("SHOW work_mem", "77MB"), "call": ("SHOW work_mem", "77MB"),
         "listen": ("SELECT pg_listening_channels()", "news"), "prepare": ("EXECUTE p", "1"), "cursor": ("FETCH c", "1"),
         "cursor-of-a-transaction": ("FETCH c", "1"), "temp-table-as": ("SELECT x FROM mine", "0"),
         "select-into-temp": ("SELECT x FROM mine", "0"), "temp-function": ("SELECT pg_temp.mine()", "1"),
         "temp-table": ("SELECT count(*) FROM mine", "0"), "temp-view": ("SELECT * FROM mine", "1"),
         "temp-sequence": ("SELECT nextval('mine')", "1"), "temp-in-a-transaction": ("SELECT count(*) FROM mine", "0"),
         "set-search-path": ("SHOW search_path", "pg_catalog"), "set-read-only": ("SHOW default_transaction_read_only", "on"),
         "set-statement-timeout": ("SHOW statement_timeout", "77s"), "set-in-a-transaction": ("SHOW work_mem", "77MB"),
         "set-behind-a-comment": ("SHOW work_mem", "77MB"), "set-role": ("SELECT current_user", "pg_monitor")}


def setup(pg):
    with pg.superuser("app") as db:
        db.execute("""CREATE OR REPLACE PROCEDURE sets_it() LANGUAGE plpgsql AS
            $$BEGIN PERFORM set_config('work_mem', '77MB', false); END$$""")
        db.execute("GRANT pg_monitor TO app")


@pytest.fixture
def may_load(pg):
    """Only a superuser may load any library."""
    with pg.superuser() as db:
        db.execute("ALTER ROLE app SUPERUSER")
        yield
        db.execute("ALTER ROLE app NOSUPERUSER")


@both_versions
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("pin", PINS)
def test_followed_or_pinned_until_the_end_then_clean(pg, request, pgroute, pin, extended):
    doing, look, clean = PINS[pin]
    if pin == "load":
        request.getfixturevalue("may_load")
    if extended and any(";" in sql and not sql.startswith("DO") for sql in doing):
        doing = doing[0].split("; ")
    setup(pg)
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    run = (lambda c, sql: c.extended(sql)) if extended else (lambda c, sql: c.query(sql))
    pid = "SELECT pg_backend_pid()"
    pinned = not pin.startswith("set")  # settings are followed instead
    others = [wire.Client(one.port).login() for _ in range(3)]
    with wire.Client(one.port).login() as a:
        for sql in doing:
            result = run(a, sql)
            assert not result.errors, result.errors
        mine = a.query(pid).value()
        for turn in range(3):
            for other in others:
                assert not pinned or other.query(pid).value() != mine, "lent to another although pinned"
                assert other.query(look).value() == clean
            assert not pinned or a.query(pid).value() == mine
        if pin in STILL:
            assert a.query(STILL[pin][0]).rows[0][0] == STILL[pin][1]
        a.terminate()
    holder = None
    for other in others:  # the other connection is kept busy: the rest must get the one that was pinned
        if holder is None:
            other.query("BEGIN")
            holder = other
        else:
            assert other.query(look).value() == clean
    assert holder.query(pid).value() != others[1].query(pid).value()
    for other in others:
        other.terminate()


@both_versions
@pytest.mark.parametrize("pin", ["listen", "prepare", "cursor", "temp-table", "do"])
def test_discard_all_ends_the_pin(pg, pgroute, pin):
    doing, look, clean = PINS[pin]
    setup(pg)
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query(doing[0])
        b.send(query(look))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "b to wait for the pinned connection")
        assert a.query("SELECT 'more'").value() == "more"
        assert a.query("DISCARD ALL").tags == ["DISCARD ALL"]
        assert b.ready().value() == clean
        assert a.query(look).value() == clean


@both_versions
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_f26_what_pins_may_be_refused(pg, pgroute, extended):
    """F26: on_session_feature: error; the request fails as an error of the server's would fail it, and says what it is about."""
    setup(pg)
    one = pgroute(pg, defaults={"pool_size": 1, "on_session_feature": "error"})
    run = (lambda c, sql: c.extended(sql)) if extended else (lambda c, sql: c.query(sql))
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for pin in ("listen", "prepare", "cursor", "do", "call", "temp-table", "explain-analyze"):
            doing, look, clean = PINS[pin]
            result = run(a, doing[0])
            assert result.sqlstates == ["0A000"] and result.status == "I", pin
            assert "on_session_feature" in result.errors[0]["H"]
            assert b.query(look).value() == clean
        assert run(a, "SELECT pg_advisory_lock(1)").errors[0]["M"] == "not allowed here: takes an advisory lock beyond its transaction"
        assert not run(a, "SELECT pg_advisory_xact_lock(1)").errors
        assert not run(a, "SET work_mem = '77MB'").errors
        for sql, states, status in (("BEGIN", [], "T"), ("LISTEN news", ["0A000"], "E"), ("SELECT 1", ["25P02"], "E"), ("ROLLBACK", [], "I")):
            result = run(a, sql)
            assert (result.sqlstates, result.status) == (states, status)
        a.send(wire.parse("", "SELECT 1"), wire.bind(), wire.execute(), wire.parse("", "LISTEN news"), wire.bind(), wire.execute(), wire.sync())
        result = a.ready()
        assert (result.types, result.sqlstates) == ("12DCEZ", ["0A000"])
        assert a.query("SHOW work_mem").value() == "77MB"


def test_f26_what_pins_may_be_ignored(pg, pgroute):
    """F26: on_session_feature: ignore; as in a pool that does not look."""
    one = pgroute(pg, defaults={"pool_size": 1, "on_session_feature": "ignore"})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        assert not a.query("LISTEN news").errors
        assert b.query("SELECT count(*) FROM pg_listening_channels()").value() == "1"
        assert {row["pinned"] for row in one.show("clients")} == {""}
        assert not a.query("UNLISTEN *").errors


@pytest.mark.parametrize("leave", ["terminate", "close", "reset"])
def test_the_slot_of_a_client_that_left_is_discarded_before_reuse(pg, pgroute, leave):
    one = pgroute(pg, defaults={"pool_size": 1})
    for state in ("SELECT 1", "BEGIN", "SELECT 1/0"):
        a = wire.Client(one.port).login()
        a.query("SET work_mem = '77MB'")
        a.query("PREPARE p AS SELECT 1")
        a.query(state)
        getattr(a, leave)()
        with wire.Client(one.port).login() as b:
            assert b.query("SHOW work_mem").value() == "4MB"
            assert b.query("SELECT count(*) FROM pg_prepared_statements").value() == "0"
            b.terminate()


def test_startup_parameters_survive_the_discard_of_another(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login(application_name="kept", options="-c work_mem=9MB") as b:
        assert b.query("SHOW work_mem").value() == "9MB"
        with wire.Client(one.port).login() as a:
            a.query("SET work_mem = '77MB'")
            a.terminate()
        assert b.query("SHOW work_mem").value() == "9MB"
        assert b.query("DISCARD ALL").tags == ["DISCARD ALL"]
        assert b.query("SHOW work_mem").value() == "9MB"
        assert b.query("SHOW application_name").value() == "kept"


def test_a_transaction_that_rolls_back_its_set_leaks_nothing(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for sql in ("BEGIN", "SET work_mem = '77MB'", "SET TimeZone = 'Asia/Tokyo'", "ROLLBACK"):
            a.query(sql)
        for client in (a, b, a, b):
            assert client.query("SELECT current_setting('work_mem') || current_setting('TimeZone')").value() == "4MBUTC"
        for sql in ("BEGIN", "SET LOCAL work_mem = '77MB'", "SET LOCAL TimeZone = 'Asia/Tokyo'", "COMMIT"):
            a.query(sql)
        for client in (b, a, b, a):
            assert client.query("SELECT current_setting('work_mem') || current_setting('TimeZone')").value() == "4MBUTC"


def test_notifications_reach_the_pinned_listener_only(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as listener, wire.Client(one.port).login() as other:
        listener.query("LISTEN news")
        for n in range(3):
            other.query(f"NOTIFY news, 'number {n}'")
            got = listener.recv()
            assert got.type == "A" and wire.strings(got.body[4:]) == ["news", f"number {n}"]
            assert not other.waiting()


def test_notify_of_asyncpg_through_the_pool(pg, pgroute):
    import asyncio
    import asyncpg
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})

    async def body():
        heard = asyncio.get_running_loop().create_future()
        a = await asyncpg.connect(host="127.0.0.1", port=one.port, user="app", password="app-secret", database="app")
        b = await asyncpg.connect(host="127.0.0.1", port=one.port, user="app", password="app-secret", database="app")
        await a.add_listener("news", lambda *args: heard.done() or heard.set_result(args[3]))
        await b.execute("NOTIFY news, 'heard'")
        assert await asyncio.wait_for(heard, 20) == "heard"
        await a.close()
        await b.close()

    asyncio.run(body())


def test_user_of_psycopg_with_client_encoding(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with one.connect(client_encoding="LATIN1") as a, one.connect() as b:
        for _ in range(3):
            assert a.execute("SELECT 'é'::text").fetchone() == ("é",)
            assert b.execute("SELECT '€é'::text").fetchone() == ("€é",)


LEFT_BEHIND = {
    "setting": ("SET work_mem = '77MB'", "SHOW work_mem", "4MB"),
    "zone": ("SET timezone = 'Asia/Tokyo'", "SHOW timezone", None),
    "temp-table": ("CREATE TEMP TABLE mine (a int)", "SELECT count(*) FROM pg_class WHERE relname = 'mine'", "0"),
    "listen": ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()", "0"),
    "role": ("SET ROLE pg_monitor", "SELECT current_user = session_user", "t"),
}


@pytest.mark.parametrize("how", ["terminate", "reset"])
@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_what_a_client_asked_for_as_its_last_word_is_not_left_to_others(pg, pgroute, what, how):
    doing, look, clean = LEFT_BEHIND[what]
    setup(pg)
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as other:
        clean = clean or other.query(look).value()
        for _ in range(5):
            client = wire.Client(one.port).login()
            client.query("SELECT 1")
            client.send(query(doing), wire.terminate() if how == "terminate" else b"")
            client.close() if how == "terminate" else client.reset()
            assert other.query(look).value() == clean


def test_a_temporary_table_right_behind_another_table_pins(pg, pgroute):
    setup(pg)
    one = pgroute(pg, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for turn in range(15):
            a.send(query(f"CREATE TABLE plain{turn} (a int)"))
            a.ready()
            a.send(query(f"CREATE TEMP TABLE mine{turn} (a int)"))
            a.ready()
            b.query("SELECT 1")
            assert a.query(f"SELECT count(*) FROM mine{turn}").value() == "0"
            assert b.query(f"SELECT count(*) FROM mine{turn}").sqlstates == ["42P01"]
            a.query(f"DROP TABLE plain{turn}")
            a.query("DISCARD ALL")


def test_a_setting_that_a_vanished_client_had_in_a_transaction_is_not_believed(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    for _ in range(3):
        client = wire.Client(one.port).login()
        client.query("BEGIN")
        client.query("SET timezone = 'Asia/Tokyo'")
        client.reset()
        with wire.Client(one.port).login(TimeZone="Asia/Tokyo") as other:
            assert other.query("SHOW timezone").value() == "Asia/Tokyo"


@pytest.mark.parametrize("times", (1, 7))
@pytest.mark.parametrize("at_login", (False, True))
def test_a_short_time_limit_of_another_ends_no_settings(fake, pgroute, times, at_login):
    """The limit of the client before may end the statement that takes it away: that is sent again, and what follows waits for it."""
    refused, asked = [], []

    def script(conn):
        for got in conn.messages():
            text = wire.strings(got.body)[0]
            if "RESET" in text and len(refused) < times:
                refused.append(text)
                conn.send(fs.error("57014", "canceling statement due to statement timeout"), fs.ready())
            elif text.startswith("SELECT"):
                asked.append(text)
                conn.send(fs.one_row(text))
            else:
                conn.send(fs.complete("SET"), fs.ready())

    one = pgroute(fake(script), workers=1, auth={"type": "trust"}, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        assert b.query("SELECT 'b'").value() == "SELECT 'b'"
        assert not a.query("SET statement_timeout = '5ms'").errors
        if at_login:
            with wire.Client(one.port).login(work_mem="5MB") as c:
                assert c.query("SELECT 'c'").value() == "SELECT 'c'"
        else:
            assert b.query("SELECT 'again'").value() == "SELECT 'again'"
        assert len(refused) == times and asked == ["SELECT 'b'", "SELECT 'c'" if at_login else "SELECT 'again'"]
