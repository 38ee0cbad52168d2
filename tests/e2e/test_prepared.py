"""Prepared statements of the protocol in transaction and statement mode, by drivers at their defaults and message by message.
(F2 B17 B18 B19 B22 B25)"""
import asyncio
import os
import subprocess

import asyncpg
import psycopg
import psycopg2
import pytest

from harness import proc, trace, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.pgroute import PLAIN
from harness.scale import amount
from harness.wire import bind, close, describe, execute, flush, parse, query, sync

OK = psycopg.pq.ExecStatus.COMMAND_OK


def two(pgroute, pg, **changes):
    """The setting of F2: many clients on two server connections, two workers."""
    return pgroute(pg, workers=2, defaults={"pool_size": 2, "pool_mode": "transaction", **changes})


# -- drivers, 50 clients on 2 server connections

@both_versions
def test_f2_psycopg3_prepares_by_itself(pg, pgroute):
    """F2: default settings: half of the clients in autocommit, half in transactions of psycopg's own."""
    one = two(pgroute, pg)

    def step(db, n):
        for k in range(3):
            for text in ("SELECT %s::int + 1", "SELECT 0 + %s::int + 1"):
                assert db.execute(text, [n * 10 + k]).fetchone() == (n * 10 + k + 1,)
        with db.transaction():
            assert db.execute("SELECT %s::text, %s::int", [str(n), n]).fetchone() == (str(n), n)
        with pytest.raises(psycopg.errors.DivisionByZero):
            db.execute("SELECT 1 / %s::int", [0])

    def step_and_commit(db, n):
        step(db, n) if db.autocommit else default_step(db, n)

    def default_step(db, n):
        """psycopg's default: a transaction from the first query on, until commit or rollback."""
        for k in range(6):
            assert db.execute("SELECT %s::int + 2", [n * 10 + k]).fetchone() == (n * 10 + k + 2,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            db.execute("SELECT 2 / %s::int", [0])
        db.rollback()
        assert db.execute("SELECT %s::text", [str(n)]).fetchone() == (str(n),)
        db.commit()

    def connect(n):
        return psycopg.connect(**one.dsn()) if n % 2 else one.connect()

    with pg.counting("app") as backends, Crowd(one, 50, step_and_commit, connect) as crowd:
        crowd.go_on(8)
        assert any(db._prepared._names for db in crowd.dbs), "psycopg prepared nothing, the test is void"
    assert backends.highest <= 2


@both_versions
def test_f2_psycopg3_pipelines_and_server_side_binding(pg, pgroute):
    """F2 B12: pipeline mode and cursors."""
    one = two(pgroute, pg)

    def step(db, n):
        with db.pipeline():
            cursors = [db.execute("SELECT %s::int * 2", [n + k]) for k in range(10)]
        assert [c.fetchone()[0] for c in cursors] == [2 * (n + k) for k in range(10)]
        with db.transaction(), db.cursor(name="served") as cursor:
            cursor.execute("SELECT generate_series(1, %s)", [25])
            assert len(cursor.fetchall()) == 25

    with Crowd(one, 20, step) as crowd:
        crowd.go_on(6)


@both_versions
def test_f2_psycopg2(pg, pgroute):
    """F2: simple protocol, implicit transactions."""
    one = two(pgroute, pg)

    def step(db, n):
        with db.cursor() as cursor:
            cursor.execute("SELECT %s, %s", [n, "x'y"])
            assert cursor.fetchone() == (n, "x'y")
        db.commit()

    def connect(n):
        return psycopg2.connect(**one.dsn())

    with pg.counting("app") as backends, Crowd(one, 50, step, connect) as crowd:
        crowd.go_on(10)
    assert backends.highest <= 2


@both_versions
def test_f2_psql(pg, pgroute):
    """F2: fifty psql at once, with transactions, and from 16 on with the extended protocol."""
    one = two(pgroute, pg)
    script = "SELECT :n;\nBEGIN;\nSELECT :n + 1;\nSAVEPOINT s;\nSELECT 1/0;\nROLLBACK TO s;\nSELECT :n + 2;\nCOMMIT;\n"
    script += "SELECT $1::int + 3 \\bind :n \\g\n" if pg.version == "18" else "SELECT :n + 3;\n"
    env = {**os.environ, "PGPASSWORD": "app-secret"}

    def psql(n):
        done = subprocess.run([pg.binaries.program("psql"), "-XAtq", "-v", f"n={n}", "-h", "127.0.0.1", "-p", str(one.port), "-U", "app",
                               "app"], input=script, capture_output=True, text=True, env=env, timeout=60)
        assert done.stdout.split() == [str(n + k) for k in range(4)] and "division by zero" in done.stderr, done

    with pg.counting("app") as backends, proc.Threads() as group:
        for n in range(50):
            group.start(psql, n)
    assert backends.highest <= 2


@both_versions
def test_f2_asyncpg(pg, pgroute):
    """F2: with types of its own, cursors, executemany, transactions."""
    one = two(pgroute, pg)
    with pg.superuser("app") as db:
        db.execute("DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('good', 'bad')")

    async def client(n):
        db = await asyncpg.connect(host="127.0.0.1", port=one.port, user="app", password="app-secret", database="app")
        for k in range(8):
            assert await db.fetchval("SELECT $1::int + 1", n * 100 + k) == n * 100 + k + 1
            assert await db.fetchval(f"SELECT $1::text || '{k}'", str(n)) == f"{n}{k}"
            assert await db.fetchval("SELECT $1::mood", "good") == "good"
            async with db.transaction():
                assert await db.fetchval("SELECT $1::int", n) == n
                async for row in db.cursor("SELECT generate_series(1, 60)", prefetch=7):
                    last = row[0]
                assert last == 60
            await db.executemany("SELECT $1::int", [(k,) for k in range(5)])
            with pytest.raises(asyncpg.DivisionByZeroError):
                await db.fetchval("SELECT 1 / $1::int", 0)
        await db.close()

    async def everybody():
        await asyncio.gather(*[client(n) for n in range(50)])

    with pg.counting("app") as backends:
        asyncio.run(asyncio.wait_for(everybody(), 120))
    assert backends.highest <= 2


@both_versions
def test_f2_pgx(pg, pgroute, pgx):
    """F2: first directly, to see the program itself right. (More drivers are in test_drivers.py.)"""
    one = two(pgroute, pg)
    for port, clients in ((pg.port, 2), (one.port, 50)):
        with pg.counting("app") as backends:
            out = proc.run([pgx, f"postgres://app:app-secret@127.0.0.1:{port}/app", str(clients), "8"], timeout=150)
        assert out == f"ok {clients * 8 * 10}\n"
        assert backends.highest <= 2


def pgbench_prepared(one, script, clients, threads, transactions):
    return proc.run(["/usr/lib/postgresql/15/bin/pgbench", "-h", "127.0.0.1", "-p", str(one.port), "-U", "app", "-n", "-M",
                     "prepared", "-c", str(clients), "-j", str(threads), "-t", str(transactions), "-f", str(script), "app"],
                    env={"PGPASSWORD": "app-secret", "PATH": os.environ["PATH"]}, timeout=60)


@both_versions
def test_f2_pgbench_prepared_with_several_commands(pg, pgroute, tmp_path):
    """F2: named statements outside and inside of transactions."""
    one = two(pgroute, pg)
    script = tmp_path / "several.sql"
    script.write_text("SELECT 1;\nSELECT 2;\nBEGIN;\nSELECT 3;\nSELECT 4;\nCOMMIT;\nSELECT 5;\n")
    # a thread for each client: pgbench prepares blockingly, which would hold up its other clients in their transactions
    assert "1000/1000" in pgbench_prepared(one, script, 50, 50, 20)


@both_versions
def test_f2_statement_mode(pg, pgroute):
    """F2: and in statement mode."""
    one = two(pgroute, pg, pool_mode="statement")
    with Crowd(one, 20, lambda db, n: [db.execute("SELECT %s::int", [n]).fetchone() for _ in range(4)]) as crowd:
        crowd.go_on(5)


# -- message by message

def hold(one):
    """A client in a transaction: it keeps one server connection away from the others."""
    client = wire.Client(one.port).login()
    client.query("BEGIN")
    return client


def on(client):
    return client.query("SELECT pg_backend_pid()").value()


@both_versions
def test_named_statement_follows_its_client_to_another_server(pg, pgroute):
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("mine", "SELECT $1::int + 1, pg_backend_pid()"), describe("S", "mine"), sync())
        assert client.ready().types == "1tTZ"
        holders = {pid: holder for pid, holder in ((on(holder), holder) for holder in (hold(one), hold(one)))}
        assert len(holders) == 2
        for pid, holder in holders.items():
            holder.query("COMMIT")
            client.send(bind("", "mine", ["41"]), execute(), sync())
            result = client.ready()
            assert result.types == "2DCZ" and result.rows == [("42", pid)]
            holder.query("BEGIN")
            assert on(holder) == pid
        for holder in holders.values():
            holder.terminate()


@both_versions
def test_equal_statements_of_clients_meet_on_the_server(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(10)]
    for n, client in enumerate(clients):
        client.send(parse(f"name{n}", "SELECT 'shared', $1::int"), bind("", f"name{n}", [str(n)]), execute(), sync())
        assert client.ready().rows == [("shared", str(n))]
    shown = clients[0].query("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%shared'',%'").rows
    assert shown == [("SELECT 'shared', $1::int",)]
    for client in clients:
        client.terminate()


def test_equal_names_with_other_texts_and_types(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    kinds = [("SELECT $1::text, 1", ()), ("SELECT $1::text, 2", ()), ("SELECT pg_typeof($1)::text, 3", [23]),
             ("SELECT pg_typeof($1)::text, 3", [20]), ("SELECT pg_typeof($1)::text, 3", [25])]
    wanted = [("7", "1"), ("7", "2"), ("integer", "3"), ("bigint", "3"), ("text", "3")]
    clients = [wire.Client(one.port).login() for _ in kinds]
    for client, (text, types) in zip(clients, kinds):
        client.send(parse("same", text, types), sync())
        assert client.ready().types == "1Z"
    for _ in range(2):
        for client, row in zip(clients, wanted):
            client.send(bind("", "same", ["7"]), execute(), sync())
            assert client.ready().rows == [row]
    for client in clients:
        client.terminate()


@both_versions
def test_b17_the_unnamed_statement_stays_unnamed(pg, pgroute):
    """B17: fifty clients on one server, and nothing of it becomes a named one."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(50)]
    for turn in range(2):
        for n, client in enumerate(clients):
            client.send(parse("", f"SELECT $1::text || ' of {n}'"), sync())
            assert client.ready().types == "1Z"
        for n, client in enumerate(clients):
            client.send(bind("", "", [str(turn)]), execute(), sync())
            result = client.ready()
            assert result.rows == [(f"{turn} of {n}",)] and result.types == "2DCZ"
    assert clients[0].query("SELECT count(*) FROM pg_prepared_statements").value() == "0"
    for client in clients:
        client.terminate()


def test_b17_describe_of_the_unnamed_statement_on_another_server(pg, pgroute):
    """B17: Describe finds its own statement, not the one that another client left there."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        client.send(parse("", "SELECT $1::int8 AS mine"), sync())
        client.ready()
        other.send(parse("", "SELECT $1::bool, $2::bool"), sync())
        other.ready()
        for _ in range(3):
            client.send(describe("S"), sync())
            result = client.ready()
            assert result.types == "tTZ" and result.messages[0].body == b"\0\1\0\0\0\x14"
            other.send(bind("", "", ["t", "f"]), execute(), sync())
            assert other.ready().rows == [("t", "f")]


@both_versions
def test_b18_failed_parse_is_not_recorded(pg, pgroute):
    """B18: neither for this client nor for others; a retry parses again."""
    one = two(pgroute, pg)
    text = "SELECT count(*) FROM appears_later"
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS appears_later")
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as second:
        for who in (client, second, client):
            who.send(parse("late", text), sync())
            assert who.ready().sqlstates == ["42P01"]
        client.send(bind("", "late"), execute(), sync())
        assert client.ready().sqlstates == ["26000"]
        with pg.superuser("app") as db:
            db.execute("CREATE TABLE appears_later (x int); GRANT ALL ON appears_later TO app")
        for who in (client, second):
            who.send(parse("late", text), bind("", "late"), execute(), sync())
            assert who.ready().rows == [("0",)]


@both_versions
def test_b18_parse_in_a_failed_transaction_is_not_recorded(pg, pgroute):
    """B18: 25P02 is no statement."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as second:
        client.query("BEGIN")
        client.query("SELECT 1/0")
        client.send(parse("inside", "SELECT 'inside'"), sync())
        assert client.ready().sqlstates == ["25P02"]
        client.query("ROLLBACK")
        client.send(bind("", "inside"), execute(), sync())
        assert client.ready().sqlstates == ["26000"]
        for who in (client, second):
            who.send(parse("inside", "SELECT 'inside'"), bind("", "inside"), execute(), sync())
            assert who.ready().rows == [("inside",)]


def test_b18_parse_behind_an_error_in_the_batch_is_not_recorded(pg, pgroute):
    """B18: what the server skipped does not exist."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("a", "SELECT 1/0"), bind("", "a"), execute(), parse("b", "SELECT 'b'"), bind("", "b"), execute(), sync())
        assert client.ready().sqlstates == ["22012"]
        client.send(bind("", "b"), execute(), sync())
        assert client.ready().sqlstates == ["26000"]
        client.send(parse("b", "SELECT 'b'"), bind("", "b"), execute(), sync())
        assert client.ready().rows == [("b",)]
        client.send(bind("", "a"), execute(), sync())
        assert client.ready().sqlstates == ["22012"]


def test_b18_statement_of_a_rolled_back_transaction_stays(pg, pgroute):
    """B18: prepared statements are not transactional."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.query("BEGIN")
        client.send(parse("kept", "SELECT 'kept'"), sync())
        client.ready()
        client.query("ROLLBACK")
        client.send(bind("", "kept"), execute(), sync())
        assert client.ready().rows == [("kept",)]


def test_b18_execution_error_keeps_the_statement(pg, pgroute):
    """B18: only Parse decides whether it exists."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("div", "SELECT 10 / $1::int"), sync())
        client.ready()
        for value, rows in (("0", []), ("5", [("2",)]), ("x", []), ("2", [("5",)])):
            client.send(bind("", "div", [value]), execute(), sync())
            assert client.ready().rows == rows


@both_versions
def test_b19_close_forgets_the_name_for_this_client_only(pg, pgroute):
    """B19: Close of an unknown name succeeds; others keep theirs. (Close of a portal: the trace "close-portal-keeps-statement".)"""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for who in (a, b):
            who.send(parse("both", "SELECT 'both'"), sync())
            who.ready()
        a.send(close("S", "both"), close("S", "both"), close("S", "never"), sync())
        assert a.ready().types == "333Z"
        a.send(bind("", "both"), execute(), sync())
        assert a.ready().sqlstates == ["26000"]
        b.send(bind("", "both"), execute(), sync())
        assert b.ready().rows == [("both",)]
        a.send(parse("both", "SELECT 'another'"), bind("", "both"), execute(), sync())
        assert a.ready().rows == [("another",)]


@both_versions
def test_b19_names_in_errors_are_the_clients(pg, pgroute):
    """B19: (the traces "named-of-one-text" and "named-error-before-its-close" have the hard cases.)"""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("my_name", "SELECT 1"), sync())
        client.ready()
        client.send(parse("my_name", "SELECT 1"), sync())
        assert [(e["C"], e["M"]) for e in client.ready().errors] == [("42P05", 'prepared statement "my_name" already exists')]
        for data in (bind("", "no_name"), describe("S", "no_name")):
            client.send(data, sync())
            assert [(e["C"], e["M"]) for e in client.ready().errors] == [("26000", 'prepared statement "no_name" does not exist')]
        client.send(bind("", "my_name", ["1"]), execute(), sync())
        error = client.ready().errors[0]
        assert error["C"] == "08P01" and '"my_name"' in error["M"]


@both_versions
def test_b22_statements_per_server_are_bounded(pg, pgroute):
    """B22: by Close, and what was evicted is prepared again unseen. (100,000 texts in a soak.)"""
    limit, number = 20, amount(300, 100_000)
    one = pgroute(pg, build=PLAIN, defaults={"pool_size": 1, "prepared_statements": limit})
    with wire.Client(one.port).login() as client:
        before = one.memory("Private_Dirty")
        for n in range(number):
            client.send(parse(f"s{n}", f"SELECT {n} + $1::int"), bind("", f"s{n}", ["1"]), execute(), sync())
            assert client.ready().rows == [(str(n + 1),)]
            if n % 50 == 49:
                assert int(client.query("SELECT count(*) FROM pg_prepared_statements").value()) <= limit
        for n in [0, 7, number - 1, 0, 150]:
            client.send(bind("", f"s{n}", ["2"]), execute(), sync())
            result = client.ready()
            assert result.types == "2DCZ" and result.rows == [(str(n + 2),)]
        assert int(client.query("SELECT count(*) FROM pg_prepared_statements").value()) <= limit
        assert one.memory("Private_Dirty") - before < 8_000


def test_b22_more_statements_in_one_batch_than_the_limit(pg, pgroute):
    """B22: a batch gets all that it names; the bound holds again after it."""
    one = pgroute(pg, defaults={"pool_size": 1, "prepared_statements": 5})
    with wire.Client(one.port).login() as client:
        for n in range(12):
            client.send(parse(f"s{n}", f"SELECT {n}"), sync())
            client.ready()
        data = b"".join(bind("", f"s{n}") + execute() for n in range(12))
        client.send(data + sync())
        result = client.ready()
        assert result.rows == [(str(n),) for n in range(12)] and result.types == "2DC" * 12 + "Z"
        assert int(client.query("SELECT count(*) FROM pg_prepared_statements").value()) <= 12


def test_tracking_turned_off_passes_names_through(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1, "prepared_statements": 0})
    with wire.Client(one.port).login() as client:
        client.send(parse("seen", "SELECT 'seen'"), bind("", "seen"), execute(), sync())
        assert client.ready().rows == [("seen",)]
        assert client.query("SELECT name FROM pg_prepared_statements").rows == [("seen",)]


def test_deallocate_all_of_one_client_harms_no_other(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.send(parse("mine", "SELECT 'mine'"), bind("", "mine"), execute(), sync())
        a.ready()
        for sql in ("DEALLOCATE ALL", "DISCARD ALL"):
            b.query(sql)
            a.send(bind("", "mine"), execute(), sync())
            result = a.ready()
            assert result.types == "2DCZ" and result.rows == [("mine",)]


def test_statement_prepared_again_after_the_server_was_replaced(pg, pgroute):
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("lasting", "SELECT $1::int"), sync())
        client.ready()
        for n in range(3):
            pg.terminate(pg.pids("app"))
            client.send(bind("", "lasting", [str(n)]), execute(), sync())
            result = client.ready()
            assert result.types == "2DCZ" and result.rows == [(str(n),)]


def test_parse_flush_then_bind_in_pieces(pg, pgroute):
    """As node-postgres and Sequelize do: each step behind a Flush, the Sync late."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        for name in ("", "named"):
            for n in range(3):
                if n == 0 or not name:
                    client.send(parse(name, "SELECT $1::int"), flush())
                    assert client.recv().type == "1"
                client.send(bind("", name, [str(n)]), describe("P"), flush())
                assert [client.recv().type for _ in range(2)] == ["2", "T"]
                client.send(execute(), flush())
                assert [client.recv().type for _ in range(2)] == ["D", "C"]
                client.send(sync())
                assert client.ready().types == "Z"


def test_b25_copies_leave_prepared_statements_right(pg, pgroute):
    """B25."""
    one = two(pgroute, pg)
    with wire.Client(one.port).login() as client:
        client.send(parse("s", "SELECT $1::int"), sync())
        client.ready()
        for n in range(30):
            assert client.query("COPY (SELECT 1) TO STDOUT").tags == ["COPY 1"]
            client.send(bind("", "s", [str(n)]), execute(), sync())
            assert client.ready().rows == [(str(n),)]


def test_query_kills_the_unnamed_statement_only_of_its_own_client(pg, pgroute):
    """PostgreSQL drops the unnamed statement on a simple query of the same session; others' stay."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.send(parse("", "SELECT 'a'"), sync())
        a.ready()
        assert b.query("SELECT 'b'").value() == "b"
        a.send(bind(), execute(), sync())
        assert a.ready().rows == [("a",)]
        a.query("SELECT 1")
        a.send(bind(), execute(), sync())
        assert a.ready().sqlstates == ["26000"]


# -- what needs no server

@both_versions
def test_pgbench_in_one_thread_does_not_wait_for_itself(pg, pgroute, tmp_path):
    """PQprepare() blocks, and the connections that it would wait for are those of the same thread, in their transactions."""
    script = tmp_path / "transaction.sql"
    script.write_text("BEGIN;\nSELECT 1;\nSELECT 2;\nEND;\n")
    assert "400/400" in pgbench_prepared(two(pgroute, pg), script, 8, 1, 50)


@both_versions
def test_a_known_statement_is_prepared_while_no_server_is_free(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})

    def body():
        with one.connect() as holder, one.connect() as second:
            assert holder.pgconn.prepare(b"first", b"SELECT 'known', pg_backend_pid()").status == OK
            with holder.transaction():
                pid = holder.execute("SELECT pg_backend_pid()").fetchone()[0]
                assert second.pgconn.prepare(b"other", b"SELECT 'known', pg_backend_pid()").status == OK
                assert second.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
            got = second.pgconn.exec_prepared(b"other", [])
            assert (got.get_value(0, 0), int(got.get_value(0, 1))) == (b"known", pid)

    with proc.Threads(timeout=proc.PATIENCE) as group:
        group.start(body)


def test_what_is_answered_without_a_server_is_what_the_server_says(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    known = "SELECT $1::int + 1"
    with wire.Client(one.port).login() as client, hold(one) as holder:
        holder.send(parse("x", known), sync())
        assert holder.ready().types == "1Z"
        client.send(parse("a", known), sync())
        assert client.ready().messages == [("1", b""), ("Z", b"I")]
        client.send(close("S", "a"), close("S", "never"), parse("b", known), sync())
        assert client.ready().messages == [("3", b""), ("3", b""), ("1", b""), ("Z", b"I")]
        client.send(close("S", "b"), parse("c", known), close("S", "c"), parse("e", known), sync())
        assert client.ready().types == "3131Z"
        client.send(parse("d", known), sync(), close("S", "d"), parse("d", known), sync())
        assert client.ready().types + client.ready().types == "1Z31Z"
        holder.query("COMMIT")
        for name, states in (("a", ["26000"]), ("b", ["26000"]), ("c", ["26000"]), ("d", []), ("e", [])):
            client.send(bind("", name, ["41"]), execute(), sync())
            result = client.ready()
            assert result.sqlstates == states and result.rows == ([] if states else [("42",)])


WAITS = {
    "unknown-text": parse("n", "SELECT 'another'"),
    "other-types": parse("n", "SELECT $1::int + 1", [20]),
    "unnamed": parse("", "SELECT $1::int + 1"),
    "more-than-a-parse": parse("n", "SELECT $1::int + 1") + describe("S", "n"),
    "two": parse("n", "SELECT $1::int + 1") + parse("n", "SELECT $1::int + 1"),
    "the-same-name": parse("taken", "SELECT $1::int + 1"),
    "close-of-a-portal": close("P", "n") + parse("n", "SELECT $1::int + 1"),
}


@pytest.mark.parametrize("batch", WAITS)
def test_in_doubt_the_server_answers(pg, pgroute, batch):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as holder:
        client.send(parse("taken", "SELECT 'taken'"), sync())
        client.ready()
        holder.query("BEGIN")
        holder.send(parse("x", "SELECT $1::int + 1"), sync())
        holder.ready()
        client.send(WAITS[batch], sync())
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client to wait for a server")
        holder.query("COMMIT")
        with wire.Client(pg.port).login() as direct:
            direct.send(parse("taken", "SELECT 'taken'"), sync())
            direct.ready()
            direct.send(WAITS[batch], sync())
            assert trace.normal(client.ready().messages) == trace.normal(direct.ready().messages)


@pytest.mark.parametrize("setting", ["SET work_mem = '77MB'", "SET TimeZone = 'Asia/Tokyo'"])
def test_what_was_prepared_with_other_settings_is_not_known(pg, pgroute, setting):
    """Whether a text can be prepared may depend on them, as on the tables of a session."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as holder:
        holder.query(setting)
        holder.query("BEGIN")
        holder.send(parse("x", "SELECT 'seen'"), sync())
        holder.ready()
        client.send(parse("n", "SELECT 'seen'"), sync())
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client to wait for a server")
        holder.query("COMMIT")
        holder.terminate()
        assert client.ready().types == "1Z"


# -- limits

def test_more_statements_than_a_client_may_keep_are_refused(pg, pgroute):
    most = 10_000
    one = pgroute(pg, build=PLAIN, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        for start in range(0, most, 500):
            client.send(*(parse(f"s{n}", f"SELECT {n}") for n in range(start, start + 500)), sync())
            assert client.ready().types == "1" * 500 + "Z"
        for text in ("SELECT 'one more'", "SELECT 0"):  # also one that the server has
            client.send(parse("more", text), bind("", "more"), execute(), sync())
            result = client.ready()
            assert result.types == "EZ" and result.sqlstates == ["53400"] and result.errors[0]["H"]
        client.query("BEGIN")
        client.send(bind("", "s1"), execute(), parse("more", "SELECT 0"), sync())
        result = client.ready()
        assert result.types == "2DCEZ" and result.status == "E"
        assert client.query("SELECT 1").sqlstates == ["25P02"]
        client.query("ROLLBACK")
        client.send(close("S", "s0"), parse("more", "SELECT 'one more'"), bind("", "more"), execute(), sync())
        assert client.ready().rows == [("one more",)]
        client.send(bind("", "s9999"), execute(), sync())
        assert client.ready().rows == [("9999",)]
        other.send(parse("mine", "SELECT 'mine'"), bind("", "mine"), execute(), sync())
        assert other.ready().rows == [("mine",)]


def test_more_text_than_a_client_may_keep_is_refused(pg, pgroute):
    one = pgroute(pg, build=PLAIN, defaults={"pool_size": 1})

    def long(n):
        return parse(f"s{n}", f"SELECT {n} /* {'x' * (15 << 20)} */")

    with wire.Client(one.port).login() as client:
        for n in range(4):
            client.send(long(n), sync())
            assert client.ready().types == "1Z"
        client.send(long(4), sync())
        assert client.ready().sqlstates == ["53400"]
        client.send(bind("", "s3"), execute(), sync())
        assert client.ready().rows == [("3",)]
        client.send(close("S", "s0"), long(4), bind("", "s4"), execute(), sync())
        assert client.ready().rows == [("4",)]


@pytest.mark.xfail(strict=True, reason="in transaction mode SQL does not know what the protocol has prepared: 26000")
def test_sql_executes_what_the_protocol_prepared(pg, pgroute):
    """As asyncpg's test_prepare_explicitly_named: the two share their names."""
    one = pgroute(pg, defaults={"pool_size": 2})
    seen = []
    for port in (pg.port, one.port):
        with wire.Client(port).login() as client:
            client.send(parse("mine", "SELECT 'mine'"), sync())
            client.ready()
            seen.append([client.query("EXECUTE mine").rows, client.query("DEALLOCATE mine").sqlstates, client.query("EXECUTE mine").sqlstates])
            client.terminate()
    assert seen[1] == seen[0]
