"""Cancel requests: from any worker, only ever hitting their own client's query. (B4 B5 F10 F18 F19)"""
import os
import random
import signal
import subprocess
import threading

import psycopg
import pytest

from harness import fakeserver as fs
from harness import proc, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.postgres import password_of
from harness.scale import amount
from harness.wire import bind, execute, parse, query, sync


def idle(pg, pids=None):
    """Until every backend is idle; when pids are given, they must be the same ones."""
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    assert pids is None or pg.pids("app") == pids


@both_versions
@pytest.mark.parametrize("version", [wire.PROTOCOL_3_0, wire.PROTOCOL_3_2], ids=["3.0", "3.2"])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_cancel_from_any_worker(pg, pgroute, version, mode):
    one = pgroute(pg, workers=4, defaults={"pool_size": 4, "pool_mode": mode})
    with wire.Client(one.port).login(version=version) as client:
        pids = pg.pids("app")
        for _ in range(12):
            client.send(query("SELECT pg_sleep(600)"))
            pg.wait_query("pg_sleep(600)")
            assert wire.cancel(one.port, client.pid, client.key) == b""
            assert client.ready().sqlstates == ["57014"]
            assert client.query("SELECT 'goes on'").value() == "goes on"
        idle(pg)
        assert pids <= pg.pids("app"), "a cancel cost a server connection"


@both_versions
def test_cancel_in_an_extended_batch_and_in_a_transaction(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        client.query("BEGIN")
        client.send(parse("", "SELECT pg_sleep(600)"), bind(), execute(), parse("", "SELECT 1"), bind(), execute(), sync())
        pg.wait_query("pg_sleep(600)")
        wire.cancel(one.port, client.pid, client.key)
        result = client.ready()
        assert result.types == "12EZ" and result.sqlstates == ["57014"] and result.status == "E"
        assert client.query("ROLLBACK").status == "I"


def test_unknown_keys_are_ignored(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client:
        client.send(query("SELECT pg_sleep(1), 'unharmed'"))
        pg.wait_query("pg_sleep(1)")
        flipped = bytes([client.key[0] ^ 1]) + client.key[1:]
        for pid, key in ((client.pid, flipped), (client.pid ^ 1, client.key), (0, b"\0" * 4), (2**32 - 1, b"\xff" * 4),
                         (client.pid, client.key[:-1]), (client.pid, client.key + b"\0"), (client.pid, b""), (client.pid, b"k" * 256),
                         (client.pid, b"k" * 300)):
            assert wire.cancel(one.port, pid, key) == b""
        assert client.ready().rows == [("", "unharmed")]


def test_cancel_of_an_idle_client_does_nothing(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        for _ in range(20):
            client.query("SELECT 1")
            other.send(query("SELECT pg_sleep(0.02), 'other'"))
            wire.cancel(one.port, client.pid, client.key)
            assert other.ready().rows == [("", "other")]
        client.query("BEGIN")
        wire.cancel(one.port, client.pid, client.key)
        assert client.query("SELECT 'in transaction'").value() == "in transaction"


@both_versions
def test_b4_cancels_never_hit_another_client(pg, pgroute):
    """B4: two connections shared by clients who cancel late and clients who never do: these must never see 57014."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    hit = [0]

    def victim(client, n):
        assert client.query(f"SELECT pg_sleep(0.002), '{n}'").rows == [("", str(n))]

    def canceller(n, stop):
        dice = random.Random(n)
        with wire.Client(one.port).login() as client:
            while not stop.is_set():
                client.send(query(f"SELECT pg_sleep({dice.choice((0, 0.001, 0.003))})"))
                wire.cancel(one.port, client.pid, client.key)
                result = client.ready()
                assert result.sqlstates in ([], ["57014"])
                hit[0] += bool(result.errors)

    stop = threading.Event()
    with proc.Threads(timeout=amount(120, 3600)) as group:
        with Crowd(one, 6, victim, connect=lambda n: wire.Client(one.port).login()) as crowd:
            for n in range(4):
                group.start(canceller, n, stop)
            for _ in range(amount(1, 100)):
                crowd.go_on(100)
            stop.set()
    assert hit[0] > 0, "no cancel ever hit anything, the test is void"


def test_b4_a_cancel_that_the_server_takes_late(fake, pgroute):
    """B4: the server lets the cancel connection wait; the canceller's server connection must not be lent meanwhile."""
    release = threading.Event()

    def script(conn):
        for got in conn.messages():
            text = wire.strings(got.body)[0] if got.type == "Q" else ""
            if text == "slow":
                proc.wait_for(lambda: server.cancels, "the cancel")
                conn.send(fs.one_row("finished by itself"))
            elif text.startswith("DISCARD"):
                conn.send(fs.complete("DISCARD ALL"), fs.ready())
            elif text:
                conn.server.lent_while_pinned = not release.is_set()
                conn.send(fs.one_row(text))

    class Late(fs.FakeServer):
        def serve(self, conn):
            close = conn.close
            conn.close = lambda: (release.wait(20) if not conn.startup_parameters else None, close())
            super().serve(conn)

    server = Late(script).start()
    try:
        one = pgroute(server, defaults={"pool_size": 1}, cancel_timeout="30s")
        with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
            client.send(query("slow"))
            proc.wait_for(lambda: server.logins and one.pool()["sv_active"] == 1, "the query to run")
            with proc.Threads() as group:
                group.start(wire.cancel, one.port, client.pid, client.key)
                assert client.ready().value() == "finished by itself"
                other.send(query("next"))
                proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the next client to wait for the end of the cancel")
                assert not other.waiting(0.3)
                release.set()
                assert other.ready().value() == "next" and not server.lent_while_pinned
    finally:
        release.set()
        server.stop()


@pytest.mark.parametrize("leave", [None, "reset"])
def test_a_cancel_does_not_hit_the_settings_in_front_of_a_query(fake, pgroute, leave):
    """The settings of the client are still being applied when its cancel comes, or its end: without them its query would run
    under those of another. So the server gets the cancel when it has answered them."""
    go_on, set_up = threading.Event(), threading.Event()

    def script(conn):
        for got in conn.messages():
            text = wire.strings(got.body)[0] if got.type == "Q" else ""
            if "9MB" in text and conn.server.armed:
                set_up.set()
                assert go_on.wait(20)
                conn.server.early = len(conn.server.cancels)
            if text == "slow":
                proc.wait_for(lambda: server.cancels, "the cancel")
                conn.send(fs.error("57014", "canceling statement due to user request"), fs.ready())
            elif text.startswith("DISCARD"):
                conn.send(fs.complete("DISCARD ALL"), fs.ready())
            elif text:
                conn.send(fs.one_row(text))

    server = fs.FakeServer(script)
    server.armed = False
    with server:
        one = pgroute(server, workers=1, defaults={"pool_size": 1})
        with wire.Client(one.port).login(options="-c work_mem=9MB") as client, wire.Client(one.port).login() as other:
            assert other.query("first").value() == "first"
            server.armed = True
            client.send(query("slow"))
            assert set_up.wait(20)
            if leave is None:
                with proc.Threads() as group:
                    group.start(wire.cancel, one.port, client.pid, client.key)
                    with pytest.raises(wire.ServerError):  # whoever comes behind it is seen behind it
                        wire.Client(one.port).login(user="nobody")
                    go_on.set()
                    assert client.ready().sqlstates == ["57014"]
                assert client.query("next").value() == "next"
            else:
                client.reset()
                proc.wait_for(lambda: len(one.show("clients")) == 1, "the client to be gone")
                go_on.set()
            assert other.query("next").value() == "next"
        assert server.early == 0 and len(server.cancels) == 1


def test_b4_past_cancel_timeout_the_connection_is_given_up(fake, pgroute):
    """B4: the server takes the cancel and never closes; the signal may still come, so nobody else gets that connection."""
    def script(conn):
        for got in conn.messages():
            text = wire.strings(got.body)[0] if got.type == "Q" else ""
            if text == "slow":
                proc.wait_for(lambda: server.cancels, "the cancel")
                conn.send(fs.one_row(f"by {conn.number}"))
            elif text:
                conn.send(fs.one_row(f"by {conn.number}"))

    class Silent(fs.FakeServer):
        def serve(self, conn):
            close = conn.close
            conn.close = lambda: conn.startup_parameters and close()
            super().serve(conn)

    server = Silent(script).start()
    try:
        one = pgroute(server, defaults={"pool_size": 1}, cancel_timeout="500ms")
        with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
            client.send(query("slow"))
            proc.wait_for(lambda: one.pool()["sv_active"] == 1, "the query to run")
            wire.cancel(one.port, client.pid, client.key)
            before = client.ready().value()
            for _ in range(3):
                assert other.query("next").value() != before
                assert client.query("next").value() != before
    finally:
        for conn in server.connections:
            if not conn.startup_parameters:
                wire.Wire.close(conn)
        server.stop()


@both_versions
def test_b5_many_cancels_leave_nothing_behind(pg, pgroute):
    """B5: a crowd that cancels all the time; the counters return to 0 and everybody who may is let in again."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 4}, max_clients=40)

    def body(n):
        with wire.Client(one.port).login() as client:
            for k in range(amount(40, 10_000)):
                client.send(query("SELECT pg_sleep(0.005)"))
                wire.cancel(one.port, client.pid, client.key)
                assert client.ready().sqlstates in ([], ["57014"])
            client.terminate()

    with pg.counting("app") as backends, proc.Threads(timeout=amount(120, 3600)) as group:
        for n in range(12):
            group.start(body, n)
    assert backends.highest <= 4
    idle(pg)
    rest = ("cl_active", "cl_waiting", "sv_active")
    proc.wait_for(lambda: [one.pool()[key] for key in rest] == [0, 0, 0], "the counters to return to 0")
    clients = [wire.Client(one.port).login() for _ in range(40)]
    for client in clients:
        assert client.query("SELECT 1").value() == "1"
        client.terminate()


@both_versions
def test_f18_cancel_while_queued(pg, pgroute):
    """F18: at once, the session usable, the others still waiting."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as hog:
        hog.query("BEGIN")
        clients = [wire.Client(one.port).login() for _ in range(6)]
        for client in clients:
            client.send(query("SELECT 'queued'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 6, "all to wait")
        for client in clients[::2]:
            wire.cancel(one.port, client.pid, client.key)
            result = client.ready()
            assert result.sqlstates == ["57014"] and result.types == "EZ" and result.status == "I"
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 3, "the others to go on waiting")
        assert hog.query("SELECT 'untouched'").value() == "untouched"
        hog.query("COMMIT")
        for client in clients[1::2]:
            assert client.ready().value() == "queued"
        for client in clients:
            assert client.query("SELECT 'usable'").value() == "usable"
            client.terminate()


def test_f18_cancel_while_queued_in_a_batch(pg, pgroute):
    """F18: one error and one ReadyForQuery for the batch."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as hog, wire.Client(one.port).login() as client:
        hog.query("BEGIN")
        client.send(parse("", "SELECT 1"), bind(), execute(), sync())
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "it to wait")
        wire.cancel(one.port, client.pid, client.key)
        result = client.ready()
        assert result.sqlstates == ["57014"] and result.types == "EZ"
        hog.query("COMMIT")
        client.send(parse("", "SELECT 2"), bind(), execute(), sync())
        assert client.ready().rows == [("2",)]


def test_f18_control_c_in_psql(pg, pgroute):
    """F18: while it runs and while it waits."""
    one = pgroute(pg, defaults={"pool_size": 1})
    env = {**os.environ, "PGPASSWORD": password_of("app")}
    for sql, busy in (("SELECT pg_sleep(600)", False), ("SELECT 'queued'", True)):
        with wire.Client(one.port).login() as hog:
            hog.query("BEGIN" if busy else "SELECT 1")
            psql = subprocess.Popen([pg.binaries.program("psql"), "-XAt", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-p",
                                     str(one.port), "-U", "app", "app"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, env=env)
            psql.stdin.write(sql + ";\n")
            psql.stdin.flush()
            if busy:
                proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "psql to wait")
            else:
                pg.wait_query("pg_sleep(600)")
            psql.send_signal(signal.SIGINT)
            if busy:
                proc.wait_for(lambda: one.pool()["cl_waiting"] == 0, "psql to be out of the queue")
                hog.query("COMMIT")
            out = psql.communicate(timeout=proc.PATIENCE)[0]  # a psql that reads a script ends when it is cancelled
            assert "57014" in out and "queued" not in out.replace(sql, "")


def test_cancel_of_drivers(pg, pgroute):
    import asyncio
    import asyncpg
    one = pgroute(pg, defaults={"pool_size": 1})
    with one.connect() as db, proc.Threads() as group:
        def run():
            with pytest.raises(psycopg.errors.QueryCanceled):
                db.execute("SELECT pg_sleep(600)")
        group.start(run)
        pg.wait_query("pg_sleep(600)")
        db.cancel()

    async def by_asyncpg():
        db = await asyncpg.connect(host="127.0.0.1", port=one.port, user="app", password="app-secret", database="app")
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await db.execute("SELECT pg_sleep(600)", timeout=0.5)
        assert await db.fetchval("SELECT 1") == 1
        await db.close()

    asyncio.run(by_asyncpg())
    idle(pg)


@both_versions
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_f19_client_that_vanishes_frees_its_server(pg, pgroute, leave):
    """F19: the very same connection serves on."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as steady:
        pid = steady.query("SELECT pg_backend_pid()").value()
        for begin in ("SELECT 1", "BEGIN"):
            client = wire.Client(one.port).login()
            client.query(begin)
            client.send(query("SELECT pg_sleep(600)"))
            pg.wait_query("pg_sleep(600)")
            getattr(client, leave)()
            assert steady.query("SELECT pg_backend_pid()").value() == pid, "the server connection was thrown away"


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_f19_client_that_vanishes_with_more_in_its_pipeline(pg, pgroute, leave):
    """F19: while others wait its second query is not sent, so its input is not read; that it has gone is noticed all the same."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as other:
        client = wire.Client(one.port).login()
        client.send(query("SELECT pg_sleep(600)"))
        pid = pg.wait_query("pg_sleep(600)")
        other.send(query("SELECT pg_backend_pid()"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the other to wait")
        client.send(query("SELECT 2"))
        proc.wait_for(lambda: proc.in_flight(client.socket.getsockname()[1], one.port) == 0, "it to be read")
        getattr(client, leave)()
        assert int(other.ready().value()) == pid


def test_f19_goodbye_with_more_in_the_pipeline_is_no_vanishing(pg, pgroute):
    """F19: what was asked for before Terminate is done, also when it had to wait."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as holder, wire.Client(one.port).login() as other:
        holder.execute("DROP TABLE IF EXISTS parting; CREATE TABLE parting (x int); GRANT ALL ON parting TO app")
        holder.execute("DROP TABLE IF EXISTS gate; CREATE TABLE gate (x int); GRANT ALL ON gate TO app")
        holder.execute("BEGIN; LOCK TABLE gate")
        client = wire.Client(one.port).login()
        client.send(query("INSERT INTO parting SELECT 1 FROM (SELECT count(*) FROM gate) AS behind_it"))
        pg.wait_query("behind_it")
        other.send(query("SELECT 'between'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the other to wait")
        client.send(query("INSERT INTO parting VALUES (2)"), wire.terminate())
        client.close()
        holder.execute("COMMIT")
        assert other.ready().value() == "between"
        proc.wait_for(lambda: other.query("SELECT string_agg(x::text, ' ' ORDER BY x) FROM parting").value() == "1 2", "both to be done")


def test_f19_client_that_vanishes_while_its_server_takes_no_more(pg, pgroute):
    """F19: its COPY stands still behind a lock, with megabytes under way; the connection is given up, nothing is committed."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as holder, wire.Client(one.port).login() as other:
        holder.execute("DROP TABLE IF EXISTS held; CREATE TABLE held (id int PRIMARY KEY, v text); GRANT ALL ON held TO app")
        holder.execute("BEGIN; INSERT INTO held VALUES (1, 'x')")
        client = wire.Client(one.port).login()
        client.send(query("COPY held FROM STDIN"))
        client.recv_until("G")
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                client.send(wire.copy_data(b"1\t" + b"x" * 60000 + b"\n"))
        client.reset()
        assert other.query("SELECT 'served'").value() == "served"
        holder.execute("ROLLBACK")
        assert other.query("SELECT count(*) FROM held").value() == "0"


@pytest.mark.parametrize("before", [(), ("SELECT 1",)], ids=["alone", "in a pipeline"])
@pytest.mark.parametrize("what", ["PREPARE TRANSACTION 'half'", "COMMIT PREPARED 'half'", "/* a word */ COMMIT", "END"])
def test_f19_neither_is_what_ends_in_a_commit(fake, pgroute, what, before):
    """F19: no cancel is sent for any of them, and the connection is not lent before the answer has come."""
    release = threading.Event()

    def script(conn):
        for got in conn.messages():
            text = wire.strings(got.body)[0] if got.type == "Q" else ""
            if text == what:
                release.wait(20)
            conn.send(fs.complete(text.split()[0] or "X"), fs.ready())

    server = fake(script)
    one = pgroute(server, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as other:
        client = wire.Client(one.port).login()
        client.send(*[query(sql) for sql in (*before, what)])
        for _ in before:
            client.ready()
        proc.wait_for(lambda: one.pool()["sv_active"] == 1, "it to run")
        client.reset()
        proc.wait_for(lambda: len(one.show("clients")) == 1, "it to be gone")
        other.send(query("SELECT 1"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the other to wait")
        assert not other.waiting(0.2)
        release.set()
        assert other.ready().tags == ["SELECT"]
    assert not server.cancels and server.logins == 1


def test_f19_killed_client_process(pg, pgroute):
    """F19: kill -9."""
    one = pgroute(pg, defaults={"pool_size": 1})
    psql = subprocess.Popen([pg.binaries.program("psql"), "-X", "-h", "127.0.0.1", "-p", str(one.port), "-U", "app", "-c",
                             "SELECT pg_sleep(600)", "app"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env={**os.environ, "PGPASSWORD": password_of("app")})
    pg.wait_query("pg_sleep(600)")
    psql.kill()
    psql.wait()
    idle(pg)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


@both_versions
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_f19_a_commit_is_never_cancelled(pg, pgroute, extended):
    """F19: both commits are there, although their clients have gone in the middle."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("""
            DROP TABLE IF EXISTS committed;
            CREATE TABLE committed (x int);
            GRANT ALL ON committed TO app;
            CREATE OR REPLACE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END$$;
            CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON committed DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION slowly()""")
    for n, leave in enumerate(("close", "reset")):
        client = wire.Client(one.port).login()
        client.query("BEGIN")
        client.query(f"INSERT INTO committed VALUES ({n})")
        client.send(parse("", "COMMIT") + bind() + execute() + sync() if extended else query("COMMIT"))
        pg.wait_query("COMMIT")
        getattr(client, leave)()
        idle(pg)
    assert pg_rows(pg) == [(0,), (1,)]


def pg_rows(pg):
    with pg.superuser("app") as db:
        return db.execute("SELECT x FROM committed ORDER BY x").fetchall()
