"""The admin console: the virtual database pgroute, in PgBouncer's language, through psql, drivers and the bare protocol.
(B54 B56 O8 O9)"""
import asyncio
import contextlib
import pathlib
import subprocess
import sys
import threading

import asyncpg
import psycopg
import psycopg2
import pytest

from harness import proc, scale, wire
from harness.pgroute import server
from harness.postgres import password_of
from harness.wire import bind, describe, execute, parse, query, sync

ADMIN = {"admin": {"users": ["app"], "stats_users": ["app2"]}}
INT4, INT8, TEXT, NUMERIC = 23, 20, 25, 1700
SOCKET = ("type user database replication state addr port/i local_addr local_port/i connect_time request_time wait/i wait_us/i "
          "close_needed/i ptr link remote_pid/i tls application_name prepared_statements/i id/q")
FIGURES = "server_assignment_count xact_count query_count {} {} xact_time query_time wait_time client_parse_count server_parse_count bind_count"
TOTALS = " ".join(f"total_{name}/n" for name in FIGURES.format("received", "sent").split())
AVERAGES = " ".join(f"avg_{name}/n" for name in FIGURES.format("recv", "sent").split())
PLAIN = "database " + " ".join(f"{name}/n" for name in FIGURES.format("bytes_received", "bytes_sent").split())
# PgBouncer 1.25's columns, with its types: text but where /i (int4), /n (numeric) follows; id is int8 here (ids are never used twice)
VIEWS = {
    "POOLS": ("database user cl_active/i cl_waiting/i cl_active_cancel_req/i cl_waiting_cancel_req/i sv_active/i sv_active_cancel/i "
              "sv_being_canceled/i sv_idle/i sv_used/i sv_tested/i sv_login/i maxwait/i maxwait_us/i pool_mode load_balance_hosts"),
    "CLIENTS": SOCKET,
    "SERVERS": SOCKET,
    "STATS": f"database {TOTALS} {AVERAGES}",
    "STATS_TOTALS": PLAIN,
    "STATS_AVERAGES": PLAIN,
    "TOTALS": "name value/n",
    "DATABASES": ("name host port/i database force_user pool_size/i min_pool_size/i reserve_pool_size/i server_lifetime/i pool_mode "
                  "load_balance_hosts max_connections/i current_connections/i max_client_connections/i current_client_connections/i "
                  "paused/i disabled/i"),
    "USERS": ("name pool_size reserve_pool_size pool_mode max_user_connections/i current_connections/i max_user_client_connections/i "
              "current_client_connections/i"),
    "LISTS": "list items/i",
    "CONFIG": "key value default changeable",
    "STATE": "key value",
    "VERSION": "version",
    "PINS": "id/q database user",
}
TYPES = {"": TEXT, "i": INT4, "q": INT8, "n": NUMERIC}


def columns(message):
    """(name, type) of each column of a RowDescription."""
    at, found = 2, []
    for _ in range(int.from_bytes(message.body[:2], "big")):
        end = message.body.index(b"\0", at)
        found.append((message.body[at:end].decode(), int.from_bytes(message.body[end + 7:end + 11], "big")))
        at = end + 19
    return found


def console(one, user="app", database="pgroute"):
    return wire.Client(one.port).login(user=user, database=database)


def rows(client, sql):
    """What SHOW answers, as a list of dictionaries."""
    result = client.query(sql)
    if result.errors:
        raise wire.ServerError(result.errors[0])
    names = [name for name, _ in columns(next(m for m in result.messages if m.type == "T"))]
    return [dict(zip(names, row)) for row in result.rows]


def refused(client, sql, sqlstate):
    result = client.query(sql)
    assert result.sqlstates == [sqlstate] and result.types == "EZ", (sql, result.messages)
    return result.errors[0]


def psql(one, sql, user="app", database="pgroute"):
    return subprocess.run(["psql", "-XAt", "-h", "127.0.0.1", "-p", str(one.port), "-U", user, "-d", database, "-c", sql],
                          env={"PGPASSWORD": password_of(user), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)


def test_psql_shows(standing):
    one = standing(**ADMIN)
    assert psql(one, "SHOW VERSION").stdout.startswith("pgroute ")
    assert psql(one, "show version;", database="pgbouncer").stdout.startswith("pgroute ")
    done = psql(one, "SHOW HELP")
    assert done.returncode == 0 and "PAUSE" in done.stderr and "SHOW" in done.stderr


@pytest.mark.parametrize("view", VIEWS)
def test_o8_columns_and_types_are_pgbouncers(standing, view):
    one = standing(**ADMIN)
    with wire.Client(one.port).login() as client, console(one) as db:
        client.query("SELECT 1")
        result = db.query(f"SHOW {view}")
        wanted = [(name.split("/")[0], TYPES[name.partition("/")[2]]) for name in VIEWS[view].split()]
        assert columns(result.messages[0])[:len(wanted)] == wanted
        assert result.tags == ["SHOW"] and result.status == "I"
        assert view == "PINS" or result.rows


def test_shows_what_is_there(standing):
    one = standing(**ADMIN)
    with wire.Client(one.port).login(application_name="seen") as client, console(one) as db:
        client.query("BEGIN")
        pool = next(row for row in rows(db, "SHOW POOLS") if row["user"] == "app")
        assert (pool["database"], pool["sv_active"]) == ("app", "1")
        mine = [row for row in rows(db, "SHOW CLIENTS") if row["application_name"] == "seen"]
        assert [(row["state"], row["database"]) for row in mine] == [("active", "app")]
        assert [row["state"] for row in rows(db, "SHOW SERVERS") if row["link"] == mine[0]["ptr"]] == ["active"]
        assert {row["database"] for row in rows(db, "SHOW CLIENTS") if row["state"] == "idle"} == {"pgroute"}
        assert {row["name"] for row in rows(db, "SHOW USERS")} == set(one.config["users"])
        assert next(row for row in rows(db, "SHOW CONFIG") if row["key"] == "admin.users")["value"] == "[app]"
        client.query("COMMIT")


def test_pins_are_shown_with_their_reason(standing):
    one = standing(**ADMIN)
    with wire.Client(one.port).login(application_name="pinned") as client, console(one) as db:
        assert [row for row in rows(db, "SHOW PINS") if row["application_name"] == "pinned"] == []
        client.query("LISTEN somewhere")
        row, = [row for row in rows(db, "SHOW PINS") if row["application_name"] == "pinned"]
        assert row["database"] == "app" and row["link"].startswith("S") and row["reason"]


def test_o9_psycopg3_reads_typed_columns(standing):
    """Parse, Bind, Describe, Execute; with and without autocommit, in text and in binary."""
    one = standing(**ADMIN)
    for autocommit in (True, False):
        for binary in (False, True):
            with psycopg.connect(**one.dsn(database="pgroute"), autocommit=autocommit) as db, db.cursor(binary=binary) as cursor:
                cursor.execute("SHOW LISTS")
                assert dict(cursor.fetchall())["databases"] == 2
                cursor.execute("SHOW STATS_TOTALS", prepare=True)
                assert all(int(row[1]) >= 0 for row in cursor.fetchall())
                with pytest.raises(psycopg.Error):
                    cursor.execute("SHOW nothing")
                db.rollback()
                assert cursor.execute("SHOW VERSION").fetchone()[0].startswith("pgroute ")


def test_o9_psycopg2(standing):
    one = standing(**ADMIN)
    dsn = one.dsn(database="pgbouncer")
    db = psycopg2.connect(**{key: dsn[key] for key in ("host", "port", "user", "password", "dbname")})
    with db.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        assert {row[0] for row in cursor.fetchall()} == {"app", "app2"}
    db.commit()
    db.close()


def test_o9_asyncpg(standing):
    """Binary results, numeric among them."""
    one = standing(**ADMIN)

    async def ask():
        dsn = one.dsn(database="pgroute")
        db = await asyncpg.connect(**{key: dsn[key] for key in ("host", "port", "user", "password")}, database="pgroute")
        try:
            return await db.fetch("SHOW LISTS"), await db.fetch("SHOW TOTALS"), await db.fetchval("SHOW VERSION")
        finally:
            await db.close()

    lists, totals, version = asyncio.run(ask())
    assert dict(lists)["databases"] == 2 and version.startswith("pgroute ")
    assert all(value == int(value) >= 0 for _, value in totals)


NODE = "{host: '127.0.0.1', port: +process.argv[1], user: 'app', password: process.argv[2], database: 'pgroute', fetch_types: false}"
PROGRAMS = {
    "node-postgres": """const {Client} = require('pg'); (async () => { const c = new Client(%s); await c.connect();
        console.log((await c.query({name: 'x', text: 'SHOW LISTS'})).rows[0].items); await c.end() })()""" % NODE,
    "postgres.js": """const sql = require('postgres')(%s); (async () => {
        console.log((await sql`SHOW LISTS`)[0].items); await sql.end() })()""" % NODE,
    "pgjdbc": """import java.sql.*; public class Show { public static void main(String[] a) throws Exception {
        try (Connection c = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + a[0] + "/pgroute", "app", a[1]);
                PreparedStatement s = c.prepareStatement("SHOW LISTS")) {
            int items = 0;
            for (int i = 0; i < 7; i++) { ResultSet r = s.executeQuery(); r.next(); items = r.getInt(2); }
            System.out.println(items); } } }""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_o9_drivers_of_other_languages(standing, tmp_path, name):
    one, fetched = standing(**ADMIN), pathlib.Path(sys.prefix).parent / "drivers" / name
    if name == "pgjdbc":
        (tmp_path / "Show.java").write_text(PROGRAMS[name])
        program = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{fetched}/*", str(tmp_path / "Show.java")]
    else:
        program = ["env", f"NODE_PATH={fetched / 'node_modules'}", "node", "-e", PROGRAMS[name]]
    done = subprocess.run([*program, str(one.port), password_of("app")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "2", done.stderr


def test_o9_extended_protocol_step_by_step(standing):
    one = standing(**ADMIN)
    with console(one) as db:
        db.send(parse("mine", "SHOW LISTS"), describe("S", "mine"), bind("", "mine", results=(0, 1)), execute("", 2), execute("", 0),
                sync())
        result = db.ready()
        assert result.types == "1tT2DDs" + "D" * 12 + "CZ", result.types
        values = [wire.row_values(m.body) for m in result.messages if m.type == "D"]
        assert values[0] == [b"databases", (2).to_bytes(4, "big")] and result.tags == ["SHOW"]
        db.send(bind("", "nobody"), execute(), sync())
        assert db.ready().sqlstates == ["26000"]
        db.send(parse("", "SHOW $1"), sync())
        assert db.ready().types == "EZ"
        db.send(parse("", ""), bind(), describe("P"), execute(), sync())
        assert db.ready().types == "12nIZ"
        db.send(parse("", "SHOW VERSION"), bind("", "", ["1"]), sync())
        assert db.ready().sqlstates == ["08P01"]


def test_access_is_by_role(standing):
    """Nobody else gets in; whether a user is known cannot be told from the refusal of a wrong password."""
    one = standing(**ADMIN)
    with console(one, "app2") as db:
        assert rows(db, "SHOW VERSION")
        for verb in ("RELOAD", "PAUSE", "PAUSE app", "RESUME", "KILL app", "RECONNECT", "SHUTDOWN"):
            assert "app2" in refused(db, verb, "42501")["M"]
    with pytest.raises(wire.ServerError) as other:
        console(one, "scram")
    assert other.value.sqlstate == "42501"
    told = []
    for user in ("app", "scram", "nobody"):
        with pytest.raises(wire.ServerError) as problem:
            wire.Client(one.port).login(user=user, password_text="wrong", database="pgroute")
        told.append({key: value.replace(user, "USER") for key, value in problem.value.fields.items()})
    assert told[0] == told[1] == told[2]


def test_role_goes_with_a_reload(pg, pgroute):
    one = pgroute(pg, **ADMIN)
    with console(one, "app2") as db, console(one) as admin:
        assert rows(db, "SHOW VERSION")
        one.change(admin={"users": ["app"], "stats_users": []})
        assert admin.query("RELOAD").tags == ["RELOAD"]
        proc.wait_for(lambda: db.query("SHOW VERSION").sqlstates == ["42501"], "the role to be gone")


def test_without_admins_nobody_gets_in(pg, pgroute):
    one = pgroute(pg)
    with pytest.raises(wire.ServerError) as problem:
        console(one)
    assert problem.value.sqlstate == "42501" and "admin.users" in problem.value.fields["H"]


@pytest.mark.parametrize("text, types", [
    ("", "IZ"), (";", "IZ"), (";;;;", "IZ"), ("  -- a comment", "IZ"), ("/* a /* nested */ comment */ ;", "IZ"),
    ("SHOW VERSION;;", "TDCZ"), ("/* x */ show -- y\n version", "TDCZ"), ('SHOW "version"', "TDCZ"),
])
def test_b56_texts_that_are_fine(standing, text, types):
    with console(standing(**ADMIN)) as db:
        assert db.query(text).types == types


@pytest.mark.parametrize("text, sqlstate", [
    ("SHOW", "42601"), ("SHOW ", "42601"), ("SHOW '", "42601"), ('PAUSE "', "42601"), ("/* open", "42601"), ("SHOW POOLS POOLS", "42601"),
    ("SHOW POOLS; SHOW POOLS", "42601"), ("PAUSE a b", "42601"), ("\x01\x7f", "42601"), ("SELECT 1", "42601"), ("SHOW nothing", "42704"),
    ("KILL", "42601"), ("KILL nowhere", "3D000"), ("PAUSE nowhere", "3D000"), ("RESUME nowhere", "3D000"), ("RECONNECT nowhere", "3D000"),
    ("PAUSE pgroute", "0A000"), ('PAUSE "app*"', "0A000"), ("KILL pgbouncer", "0A000"), ("RESUME", "55000"), ("RESUME app", "55000"), ("x" * 100_000, "42601"),
    ("PAUSE " + "x" * 100_000, "3D000"), ("SHUTDOWN now", "42601"), ("SUSPEND", "0A000"), ("\u00e4\u00f6", "42601"),
])
def test_b56_texts_that_are_not(standing, text, sqlstate):
    with console(standing(**ADMIN)) as db:
        refused(db, text, sqlstate)
        assert db.query("SHOW VERSION").tags == ["SHOW"]


def test_b56_nul_and_more_behind_it(standing):
    with console(standing(**ADMIN)) as db:
        db.send(wire.message("Q", b"SHOW VERSION\0 and more\0"))
        assert db.ready().sqlstates == ["08P01"]
        db.send(wire.message("Q", b"no end"))
        assert db.ready().sqlstates == ["08P01"]
        assert db.query("SHOW VERSION").tags == ["SHOW"]


def test_b56_damaged_messages(standing):
    """Valid messages with bytes changed, cut or repeated: whatever comes of it, the console goes on for others."""
    one = standing(**ADMIN)
    dice = scale.dice("console")
    good = [query("SHOW LISTS"), parse("a", "SHOW VERSION"), bind("p", "a", results=(1,)), describe("P", "p"), describe("S", "a"),
            execute("p", 3), wire.close("S", "a"), wire.flush(), sync(), query("PAUSE nowhere"), parse("", ""), wire.copy_done(),
            wire.function_call(1, [b"x"])]
    with console(one) as watcher:
        for _ in range(scale.amount(150, 3000)):
            data = bytearray(b"".join(dice.choice(good) for _ in range(dice.randint(1, 8))))
            for _ in range(dice.randint(0, 3)):
                at = dice.randrange(len(data))
                dice.choice((lambda: data.__setitem__(at, dice.randrange(256)), lambda: data.__delitem__(at),
                             lambda: data.insert(at, dice.choice(b"\0\1PBDESXQ\xff"))))()
                if not data:
                    data = bytearray(b"S")
            with console(one) as db:
                db.send(bytes(data), sync())
                db.waiting(0.002)
            assert watcher.query("SHOW VERSION").tags == ["SHOW"]


def test_drivers_may_set_and_begin(standing):
    with console(standing(**ADMIN)) as db:
        assert db.query("SET extra_float_digits = 3").tags == ["SET"]
        assert db.query("SET pool_size = 3").sqlstates == ["0A000"]
        assert db.query("BEGIN").status == "T"
        assert db.query("nonsense").status == "E"
        assert db.query("SHOW VERSION").sqlstates == ["25P02"]
        assert db.query("ROLLBACK").status == "I"
        assert db.query("SHOW client_encoding").value() == "UTF8"


def test_a_console_counts_against_max_clients(pg, pgroute):
    one = pgroute(pg, max_clients=2, **ADMIN)
    with console(one), wire.Client(one.port).login():
        with pytest.raises(wire.ServerError) as problem:
            console(one)
    assert problem.value.sqlstate == "53300"


def test_long_answers_to_a_slow_reader(pg, pgroute):
    """SHOW CONFIG again and again, unread; then all of it is read."""
    one = pgroute(pg, **ADMIN)
    with console(one) as db:
        once = len(db.query("SHOW CONFIG").rows)
        db.send(query("SHOW CONFIG") * 400)
        for _ in range(400):
            assert len(db.ready().rows) == once


# -- RELOAD

def test_reload_tells_errors_and_changes(pg, pgroute):
    one = pgroute(pg, **ADMIN)
    with console(one) as db:
        one.change(defaults={"pool_size": 7})
        result = db.query("RELOAD")
        assert result.tags == ["RELOAD"] and any("pool_size" in wire.error_fields(m.body)["M"] for m in result.messages if m.type == "N")
        proc.wait_for(lambda: ("defaults.pool_size", "7") in [row[:2] for row in db.query("SHOW CONFIG").rows], "the new value")
        good = one.file.read_text()
        one.file.write_text(good + "\nnonsense: 1\n")
        error = refused(db, "RELOAD", "F0000")
        assert "nonsense" in error["M"]
        one.file.write_text(good)
        assert db.query("RELOAD").tags == ["RELOAD"]
        one.allow("nonsense")


def test_b54_reload_from_three_consoles_in_a_connect_storm(pg, pgroute, threads):
    one = pgroute(pg, **ADMIN)
    over = threading.Event()
    logins, reloads = [], []

    def storm():
        while not over.is_set():
            with wire.Client(one.port).login() as client:
                assert client.query("SELECT 7").value() == "7"
                logins.append(1)

    def reload():
        with console(one) as db:
            while not over.is_set():
                assert db.query("RELOAD").tags == ["RELOAD"]
                reloads.append(1)

    for body in (storm, storm, reload, reload, reload):
        threads.start(body)
    proc.wait_for(lambda: len(logins) >= 200 and len(reloads) >= 60, "two hundred logins and sixty reloads")
    over.set()


# -- PAUSE, RESUME

def blocked(client, sql="SELECT 1"):
    client.send(query(sql))
    assert not client.waiting(0.3)


def test_pause_waits_for_transactions_and_resume_goes_on(pg, pgroute, threads):
    """While it waits whoever is in a transaction goes on; who is not waits. Then no connection is left at the server."""
    one = pgroute(pg, **ADMIN)
    with wire.Client(one.port).login() as busy, wire.Client(one.port).login() as other, console(one) as db, console(one) as second:
        busy.query("BEGIN")
        other.query("SELECT 1")
        db.send(query("PAUSE app"))
        proc.wait_for(lambda: [row["paused"] for row in rows(second, "SHOW DATABASES") if row["name"] == "app"] == ["1"], "the pause")
        blocked(other)
        assert busy.query("SELECT 2").value() == "2" and not db.waiting()
        busy.query("COMMIT")
        assert db.ready().tags == ["PAUSE"]
        proc.wait_for(lambda: not [row for row in rows(second, "SHOW SERVERS") if row["database"] == "app"], "them to be closed")
        with wire.Client(one.port).login(database="app2") as elsewhere:
            assert elsewhere.query("SELECT 3").value() == "3"
        assert second.query("RELOAD").tags == ["RELOAD"]
        blocked(busy, "SELECT 4")
        assert db.query("RESUME app").tags == ["RESUME"]
        assert (other.ready().value(), busy.ready().value()) == ("1", "4")


def test_f20_a_pause_moves_clients_to_another_host(own_pg, pgroute):
    """200 clients, half of them with statements of theirs: PAUSE, another host in the file, RELOAD, RESUME. Nobody gets an error, and
    users of another database never wait. That PAUSE gives up in time and survives RELOAD are tests of their own."""
    old, new = own_pg(), own_pg()
    one = pgroute(old, databases={"app2": {"servers": [server(old)]}}, defaults={"pool_size": 10}, **ADMIN)
    port = "SELECT inet_server_port()"

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(wire.Client(one.port).login()) for _ in range(200)]
        other = stack.enter_context(wire.Client(one.port).login(database="app2"))
        db = stack.enter_context(console(one))

        def ask(client, number):
            client.send(query(port) if number % 2 else bind("", "port") + execute() + sync())

        for number, client in enumerate(clients):
            if number % 2 == 0:
                client.send(parse("port", port), sync())
                assert not client.ready().errors
            ask(client, number)
        assert {client.ready().value() for client in clients} == {str(old.port)}
        assert db.query("PAUSE app").tags == ["PAUSE"]
        for number, client in enumerate(clients):
            ask(client, number)
        assert other.query(port).value() == str(old.port)
        one.change(databases={"app": {"servers": [server(new)]}})
        assert db.query("RELOAD").tags == ["RELOAD"]
        assert not any(client.waiting() for client in clients)
        assert db.query("RESUME app").tags == ["RESUME"]
        assert {client.ready().value() for client in clients} == {str(new.port)}
        assert old.activity(user="app", database="app") == []
        assert other.query(port).value() == str(old.port)


def test_when_pause_answers_no_server_has_a_connection(own_pg, pgroute, threads):
    """Under load, again and again, as PostgreSQL itself sees it; nobody loses a request."""
    only = own_pg()
    one = pgroute(only, workers=3, defaults={"pool_size": 4, "min_pool_size": 2}, **ADMIN)
    over, done = threading.Event(), []

    def busy(number):
        with wire.Client(one.port).login() as client:
            while not over.is_set():
                client.query("BEGIN")
                assert client.query(f"SELECT '{number}'").value() == str(number)
                assert client.query("COMMIT").status == "I"
                done.append(number)

    for number in range(12):
        threads.start(busy, number)
    try:
        with console(one) as db:
            for _ in range(10):
                before = len(done)
                proc.wait_for(lambda: len(done) > before + 50, "the load to run")
                assert db.query("PAUSE app").tags == ["PAUSE"]
                for _ in range(5):
                    assert only.activity(user="app", database="app") == []
                assert db.query("RESUME app").tags == ["RESUME"]
    finally:
        over.set()


def test_pause_of_all_holds_for_pools_that_are_made_later(pg, pgroute, threads):
    one = pgroute(pg, **ADMIN)
    logged_in = []

    def late():
        with wire.Client(one.port).login(user="scram") as client:
            logged_in.append(client.query("SELECT 5").value())

    with console(one) as db:
        assert db.query("PAUSE").tags == ["PAUSE"]
        assert dict(db.query("SHOW STATE").rows)["paused"] == "yes"
        refused(db, "PAUSE", "55000")
        threads.start(late)
        proc.wait_for(lambda: [row for row in rows(db, "SHOW POOLS") if row["user"] == "scram" and row["cl_waiting"] == "1"], "it to wait")
        assert not logged_in and not rows(db, "SHOW SERVERS")
        assert db.query("RESUME").tags == ["RESUME"]
    proc.wait_for(lambda: logged_in == ["5"], "the login")


def test_who_waits_in_a_pause_waits_no_longer_than_queue_timeout(pg, pgroute):
    one = pgroute(pg, defaults={"queue_timeout": "1s"}, **ADMIN)
    with wire.Client(one.port).login() as client, console(one) as db:
        client.query("SELECT 1")
        assert db.query("PAUSE app").tags == ["PAUSE"]
        result = client.query("SELECT 2")
        assert result.sqlstates == ["57014"] and "paused" in result.errors[0]["H"]
        db.query("RESUME app")
        assert client.query("SELECT 3").value() == "3"


def test_pause_gives_up_in_the_end_and_is_taken_back(pg, pgroute):
    """Bounded by queue_timeout, by a cancel, by the end of the console: nothing stays paused."""
    one = pgroute(pg, defaults={"queue_timeout": "1s"}, **ADMIN)
    with wire.Client(one.port).login() as busy, console(one) as db, console(one) as second:
        def lifted():
            return not [row for row in rows(second, "SHOW DATABASES") if row["paused"] != "0"]
        busy.query("BEGIN")
        refused(db, "PAUSE app", "57014")
        proc.wait_for(lifted, "the pause to be lifted")
        db.send(query("PAUSE app"))
        proc.wait_for(lambda: not lifted(), "the pause")
        wire.cancel(one.port, db.pid, db.key)
        assert db.ready().sqlstates == ["57014"]
        proc.wait_for(lifted, "the pause to be lifted")
        with console(one) as third:
            third.send(query("PAUSE"))
            proc.wait_for(lambda: dict(second.query("SHOW STATE").rows)["paused"] == "yes", "the pause")
        proc.wait_for(lambda: dict(second.query("SHOW STATE").rows)["paused"] == "no", "the pause to be lifted")
        busy.query("COMMIT")


def test_pause_outlives_the_monitor(pg, pgroute):
    one = pgroute(pg, **ADMIN)
    with wire.Client(one.port).login() as client, console(one) as db:
        client.query("SELECT 1")
        assert db.query("PAUSE app").tags == ["PAUSE"]
        old = one.pid("monitor")
        one.kill(old)
        one.wait_respawn("monitor", [old])
        blocked(client)
        assert db.query("RESUME app").tags == ["RESUME"]
        assert client.ready().value() == "1"


# -- KILL, RECONNECT, SHUTDOWN

def test_kill_ends_clients_and_servers_and_others_stay(pg, pgroute):
    one = pgroute(pg, **ADMIN)
    with wire.Client(one.port).login() as busy, wire.Client(one.port).login() as idle, \
            wire.Client(one.port).login(database="app2") as other, console(one) as db:
        busy.query("BEGIN")
        idle.query("SELECT 1")
        other.query("BEGIN")
        assert db.query("KILL app").tags == ["KILL"]
        for client in (busy, idle):
            last = client.expect_closed()
            assert [wire.error_fields(m.body)["C"] for m in last if m.type == "E"] == ["57P01"]
        assert other.query("COMMIT").tags == ["COMMIT"]
        proc.wait_for(lambda: not [row for row in rows(db, "SHOW SERVERS") if row["database"] == "app"], "its servers to be closed")
        assert db.query("RESUME app").tags == ["RESUME"]
        with wire.Client(one.port).login() as again:
            assert again.query("SELECT 1").value() == "1"


def test_reconnect_gives_new_servers(pg, pgroute):
    one = pgroute(pg, **ADMIN)
    with wire.Client(one.port).login() as busy, console(one) as db:
        busy.query("BEGIN")
        before = busy.query("SELECT pg_backend_pid()").value()
        assert db.query("RECONNECT app").tags == ["RECONNECT"]
        assert busy.query("SELECT pg_backend_pid()").value() == before
        busy.query("COMMIT")
        assert busy.query("SELECT pg_backend_pid()").value() != before
        assert db.query("RECONNECT").tags == ["RECONNECT"]


@pytest.mark.parametrize("how", ["SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS", "SHUTDOWN WAIT_FOR_SERVERS"])
def test_shutdown(pg, pgroute, how):
    """At once, or when the last transaction is over; the console is told and goes last."""
    one = pgroute(pg, **ADMIN)
    with wire.Client(one.port).login() as client, console(one) as db:
        client.query("BEGIN")
        assert db.query(how).tags == ["SHUTDOWN"]
        if how != "SHUTDOWN":
            assert client.query("SELECT 1").value() == "1"
            proc.wait_for(lambda: dict(db.query("SHOW STATE").rows)["stopping"] == "yes", "the master to begin")
            client.query("COMMIT")
        assert [wire.error_fields(m.body)["C"] for m in client.expect_closed() if m.type == "E"] == ["57P01"]
        assert [wire.error_fields(m.body)["C"] for m in db.expect_closed() if m.type == "E"] == ["57P01"]
        assert one.wait() == 0


# -- under load

def test_b56_every_verb_in_a_loop_under_load(pg, pgroute, threads):
    """Clients of app are killed and paused all the time; those of app2 see nothing but pauses."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 3}, **ADMIN)
    over = threading.Event()
    done, killed = [], []

    def victim():
        while not over.is_set():
            try:
                with wire.Client(one.port).login() as client:
                    while not over.is_set():
                        result = client.query("SELECT 7")
                        if result.errors:
                            raise wire.ServerError(result.errors[0])
                        assert result.value() == "7"
            except (wire.Closed, OSError):
                killed.append(1)
            except wire.ServerError as problem:
                assert problem.sqlstate == "57P01", problem
                killed.append(1)

    def bystander():
        with wire.Client(one.port).login(database="app2") as client:
            while not over.is_set():
                client.query("BEGIN")
                assert client.query("SELECT 8").value() == "8"
                client.query("COMMIT")
                done.append(1)

    def verbs():
        with console(one) as db:
            for _ in range(6):
                for verb in (*(f"SHOW {view}" for view in VIEWS), "SHOW HELP", "RELOAD", "PAUSE app", "RESUME app", "PAUSE app2",
                             "RESUME app2", "KILL app", "RESUME app", "RECONNECT", "RECONNECT app", "PAUSE", "RESUME", "SHOW ", ";;;;"):
                    result = db.query(verb)
                    assert set(result.sqlstates) <= {"55000", "42601"}, (verb, result.errors)

    for body in (victim, victim, bystander, bystander):
        threads.start(body)
    verbs()
    with console(one) as db:
        db.query("RESUME")
    before = len(done)
    proc.wait_for(lambda: len(done) > before + 20 and killed, "everybody to go on")
    over.set()
