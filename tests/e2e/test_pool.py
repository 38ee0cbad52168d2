"""The pool: limits over all workers, who waits, who is served, what becomes of connections. (F1 F17 F25 F32 B1 B2 B26-B31 B34
B35 B60)"""
import contextlib
import os
import resource
import signal
import threading

import psycopg
import pytest

from harness import fakeserver as fs
from harness import proc, wire
from harness.load import Crowd, check_nonce
from harness.marks import both_versions
from harness.pgroute import PLAIN, server
from harness.scale import amount
from harness.wire import bind, execute, parse, query, sync


def told(port, user="app", **kwargs):
    """The fields of the error that a login gets."""
    with wire.Client(port) as client, pytest.raises(wire.ServerError) as refused:
        client.login(user, **kwargs)
    return refused.value.fields


# -- one pool for all workers

@both_versions
def test_f1_b35_many_workers_share_one_limit(pg, pgroute):
    """F1 B35: one limit and one row of totals for all workers. (KILL and PAUSE come with the console; 8 workers and 500 clients in
    scripts/soak.)"""
    clients = amount(100, 500)
    one = pgroute(pg, workers=amount(4, 8), defaults={"pool_size": 10})
    with pg.counting("app") as backends:
        with Crowd(one, clients) as crowd:
            crowd.go_on(amount(10, 50))
            rows = [row for row in one.show("pools") if (row["database"], row["user"]) == ("app", "app")]
            assert len(rows) == 1
            assert rows[0]["cl_active"] + rows[0]["cl_waiting"] <= clients
    assert backends.highest == 10


@both_versions
def test_f1_server_connections_are_used_by_every_worker(pg, pgroute):
    """F1: clients of three workers on the one server connection of the pool."""
    one = pgroute(pg, workers=3, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(30)]
    assert len(set(one.workers_of([c.socket.getsockname()[1] for c in clients]))) == 3
    assert len({c.query("SELECT pg_backend_pid()").value() for c in clients}) == 1
    for client in clients:
        client.terminate()


def test_b2_a_connection_is_reused_only_when_idle(pg, pgroute):
    """B2: nobody else is served in the middle of a transaction, failed or not."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.query("BEGIN")
        b.send(query("SELECT txid_current_if_assigned() IS NULL"))
        for _ in range(3):
            a.query("SELECT 1")
            assert not b.waiting(0.05), "served while another's transaction was open"
        a.query("SELECT 1/0")
        assert not b.waiting(0.05), "served while another's failed transaction was open"
        a.query("ROLLBACK")
        assert b.ready().value() == "t"


@both_versions
def test_b1_every_client_gets_its_own_rows(pg, pgroute):
    """B1: (test_chaos.py has clients that cut, cancel and flush.)"""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})

    def step(db, n):
        for _ in range(3):
            check_nonce(db, n)
        with db.transaction():
            check_nonce(db, n)
            check_nonce(db, n)

    with Crowd(one, 40, step) as crowd:
        crowd.go_on(10)


@both_versions
def test_b26_b27_one_connection_for_a_hundred_clients(pg, pgroute):
    """B26 B27: all of them get on, and nobody is left waiting. (Throughput and waiting times are in scripts/bench.)"""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    with Crowd(one, 100) as crowd:
        crowd.go_on(12)
    proc.wait_for(lambda: one.pool()["cl_waiting"] == 0 and one.pool()["sv_active"] == 0, "the pool to be at rest")


@both_versions
def test_b27_handover_at_every_moment(pg, pgroute):
    """B27: clients of two workers that come and go on one connection: a lost wake-up leaves one waiting for ever."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})

    def body(n):
        for _ in range(10):
            with wire.Client(one.port).login() as client:
                for k in range(5):
                    assert client.query(f"SELECT {n * 100 + k}").value() == str(n * 100 + k)
                client.terminate()

    with proc.Threads() as group:
        for n in range(8):
            group.start(body, n)


def test_b28_waiting_costs_no_cpu(pg, pgroute):
    """B28: twenty waiters cost ticks and nothing else."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})

    def switches():
        total = 0
        for pid in one.pids("worker"):
            for line in open(f"/proc/{pid}/status"):
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total

    with wire.Client(one.port).login() as hog:
        hog.query("BEGIN")
        waiting = [wire.Client(one.port).login() for _ in range(20)]
        for client in waiting:
            client.send(query("SELECT 1"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 20, "all to wait")
        before = switches()
        hog.query("SELECT pg_sleep(2)")
        assert switches() - before < 200, "wake-ups of two workers in two seconds in which nothing happened"
        hog.query("COMMIT")
        for client in waiting:
            assert client.ready().value() == "1"
            client.close()


def test_b30_cold_start_serves_everybody(pg, pgroute):
    """B30: 64 session clients on a cold pool: all have a server at once."""
    one = pgroute(pg, defaults={"pool_mode": "session", "pool_size": 100})
    with pg.counting("app") as backends:
        with Crowd(one, 64) as crowd:
            crowd.go_on(1)
    assert 64 <= backends.highest <= 100


def test_b31_a_hanging_login_blocks_nobody(fake, pgroute):
    """B31: the login that hangs keeps its place; the next goes on beside it."""
    release = threading.Event()

    def login(conn):
        if conn.number == 1:
            assert release.wait(60)
            raise wire.Closed("never")
        conn.send(fs.authentication(0))
        conn.greet()

    one = pgroute(fake(login=login), defaults={"pool_size": 3, "connect_timeout": "30s"})
    with proc.Threads() as group:
        clients = [wire.Client(one.port) for _ in range(2)]
        for n, client in enumerate(clients):
            group.start(lambda c=client, n=n: c.login().query(f"q{n}").value())
        assert sorted(group.join()) == ["q0", "q1"]
        assert not release.is_set()
    release.set()


@pytest.mark.parametrize("hanging", [(1, 2, 3), (2, 4, 6)])
def test_b31_hanging_logins_under_load_leave_the_rest_to_everybody(fake, pgroute, hanging):
    """B31: three of six places hang in their login until connect_timeout, whenever they came; the others serve the crowd."""
    release = threading.Event()

    def login(conn):
        if conn.number in hanging:
            release.wait(60)
            raise wire.Closed("never")
        conn.send(fs.authentication(0))
        conn.greet()

    server = fake(login=login)
    one = pgroute(server, workers=2, defaults={"pool_size": 6, "connect_timeout": "60s", "max_server_logins": 8})
    with Crowd(one, 30, lambda c, n: c.query(f"q{n}").value() == f"q{n}" or 1 / 0, connect=lambda n: wire.Client(one.port).login()) as crowd:
        crowd.go_on(20)
        assert len(server.connections) == 6 and server.logins == 3 and not release.is_set()
    release.set()


def test_b32_one_refused_server_login_is_tried_again(fake, pgroute):
    def login(conn):
        if conn.number == 2:
            conn.send(fs.error("53300", "sorry, too many clients already", "FATAL"))
            raise wire.Closed("refused")
        conn.send(fs.authentication(0))
        conn.greet()

    one = pgroute(fake(login=login), defaults={"pool_size": 4, "login_retry": "100ms"})
    with Crowd(one, 8, lambda c, n: c.query(f"q{n}").value() == f"q{n}" or 1 / 0, connect=lambda n: wire.Client(one.port).login()) as crowd:
        crowd.go_on(5)


def test_f17_server_down_is_an_error_at_once_with_the_reason(pgroute):
    """F17: not after queue_timeout, and in the words of the connect."""
    nobody = proc.free_port()
    one = pgroute(nobody, defaults={"queue_timeout": "120s", "connect_timeout": "2s"})
    fields = told(one.port)
    assert fields["C"].startswith("08") and "refused" in fields["M"].lower() + fields.get("D", "").lower()


@pytest.mark.parametrize("retry", ["60s", "0s"])
def test_f17_login_retry_is_the_pause_after_a_refusal(fake, pgroute, retry):
    """F17: until login_retry has passed everybody is told what the last login was told, and the server is left alone."""
    def login(conn):
        conn.send(fs.error("53300", f"full for the {conn.number}th time", "FATAL"))

    server = fake(login=login)
    one = pgroute(server, workers=2, defaults={"login_retry": retry})
    heard = [told(one.port) for _ in range(5)]
    assert {fields["C"] for fields in heard} == {"53300"}
    words = {fields["M"] for fields in heard}
    if retry == "60s":
        assert len(server.connections) == 1 and words == {"full for the 1th time"}
    else:
        assert len(server.connections) >= 5 and len(words) == 5


def test_f17_server_that_goes_down_later(own_pg, pgroute):
    """F17: and is used again once it is back."""
    pg = own_pg()
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"
        pg.stop("immediate")
        with pytest.raises((wire.ServerError, wire.Closed)) as told_so:
            client.query("SELECT 1").value()
        if isinstance(told_so.value, wire.ServerError):
            assert told_so.value.sqlstate[:2] in ("08", "57")
        pg.start()

    def again():
        with wire.Client(one.port) as client:
            try:
                return client.login().query("SELECT 2").value()
            except wire.ServerError:  # the last failure is told for the time of login_retry
                return None

    assert proc.wait_for(again, "the server to be used again") == "2"


# -- growing and shrinking

def test_f25_minimum_is_kept_before_the_first_client(pg, pgroute):
    """F25: from the start, and again after all were killed."""
    pgroute(pg, databases={"app": {"user": "app", "password": "app-secret"}}, defaults={"min_pool_size": 3, "pool_size": 5})
    pg.wait_backends(3, "app", "app")
    pg.terminate(pg.pids("app"))
    pg.wait_backends(3, "app", "app")


def test_f25_minimum_of_a_user_who_has_connected(pg, pgroute):
    """F25: a pool of a client's user has its minimum from its first login on."""
    one = pgroute(pg, defaults={"min_pool_size": 3, "pool_size": 5})
    assert pg.backends() == 0
    wire.Client(one.port).login().terminate()
    pg.wait_backends(3, "app", "app")


def test_f25_server_logins_in_flight_are_limited(fake, pgroute):
    """F25: over three workers, and the limit is used."""
    lock, now, most, gate = threading.Lock(), [0], [0], threading.Event()

    def login(conn):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 4:
                gate.set()
        if not gate.is_set():
            gate.wait(20)
        conn.send(fs.authentication(0))
        conn.greet()
        with lock:
            now[0] -= 1

    one = pgroute(fake(login=login), workers=3, defaults={"pool_mode": "session", "pool_size": 40, "max_server_logins": 4})
    with proc.Threads() as group:
        for n in range(40):
            group.start(lambda n=n: wire.Client(one.port).login().query(f"q{n}").value())
        assert len(group.join()) == 40
    assert most[0] == 4


def test_f25_minimum_is_kept_under_load(pg, pgroute):
    """F25: through bursts, idle closings and killed backends."""
    one = pgroute(pg, workers=2, databases={"app": {"user": "app", "password": "app-secret"}},
                  defaults={"min_pool_size": 3, "pool_size": 6, "server_idle_timeout": "200ms"})
    pg.wait_backends(3, "app")
    for _ in range(3):
        with pg.counting("app") as backends:
            with Crowd(one, 12, lambda db, n: db.execute("SELECT pg_sleep(0.002)")) as crowd:
                crowd.go_on(10)
            pg.wait_backends(3, "app")  # what the burst had opened besides is closed again
            seen = len(backends.seen)
            proc.wait_for(lambda: len(backends.seen) > seen + 30, "a while in which idle ones could be closed")
        assert min(backends.seen) >= 3 and backends.highest <= 6
        pg.terminate(pg.pids("app"))
        pg.wait_backends(3, "app")


def test_f25_b66_login_tokens_of_the_dead_come_back(fake, pgroute):
    """F25 B66: workers die in the middle of logins with both tokens of the host in hand; the next ones still log in."""
    hold, held = threading.Event(), threading.Semaphore(0)

    def login(conn):
        held.release()
        hold.wait(60)
        conn.send(fs.authentication(0))
        conn.greet()

    server = fake(login=login)
    one = pgroute(server, workers=2, defaults={"pool_mode": "session", "pool_size": 12, "max_server_logins": 2, "connect_timeout": "60s"})
    with proc.Threads() as group:
        def stubborn(n):
            while True:
                try:
                    return wire.Client(one.port).login().query(f"q{n}").value()
                except (wire.Closed, OSError):
                    pass  # its worker was killed

        for n in range(8):
            group.start(stubborn, n)
        for _ in range(3):
            for _ in range(2):
                assert held.acquire(timeout=proc.PATIENCE), "no login takes the tokens"
            for pid in one.pids("worker"):
                one.kill(pid)
                one.wait_respawn("worker", pid, 2)
        hold.set()
        assert sorted(group.join()) == [f"q{n}" for n in range(8)]


def test_idle_server_connections_are_closed(pg, pgroute):
    one = pgroute(pg, defaults={"server_idle_timeout": "1s", "min_pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(5)]
    for client in clients:
        client.query("BEGIN")
    pg.wait_backends(5)
    for client in clients:
        client.query("COMMIT")
    pg.wait_backends(1)
    assert clients[0].query("SELECT 1").value() == "1"


def test_old_server_connections_are_replaced_between_transactions(pg, pgroute):
    one = pgroute(pg, defaults={"server_lifetime": "1s", "pool_size": 2})
    with wire.Client(one.port).login() as client, pg.counting() as backends:
        first = client.query("BEGIN; SELECT pg_backend_pid()").value()
        age = "SELECT clock_timestamp() - backend_start > '2 s' FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        proc.wait_for(lambda: client.query(age).value() == "t", "its age to pass the lifetime")
        assert client.query("SELECT pg_backend_pid()").value() == first, "replaced within a transaction"
        client.query("COMMIT")
        proc.wait_for(lambda: client.query("SELECT pg_backend_pid()").value() != first, "a new server connection")
    assert backends.highest <= 2


def test_pools_of_wildcard_databases_come_and_go(own_pg, pgroute):
    pg = own_pg()
    names = [f"tenant_{n}" for n in range(4)]
    for name in names:
        with pg.superuser() as db:
            db.execute(f'CREATE DATABASE "{name}"')
    one = pgroute(pg, databases={"tenant_*": {"servers": [server(pg)]}}, defaults={"server_idle_timeout": "1s"})
    for name in names:
        with wire.Client(one.port).login(database=name) as client:
            assert client.query("SELECT current_database()").value() == name
    assert told(one.port, database="tenant_none")["C"] == "3D000"
    assert told(one.port, database="other")["C"] == "3D000"
    pg.wait_backends(0)
    proc.wait_for(lambda: not [r for r in one.show("pools") if r["database"].startswith("tenant_")], "the pools to be reclaimed")


def test_many_pools_one_after_another(own_pg, pgroute):
    """More (user, database) pairs over time than would ever fit at once: places are reclaimed."""
    pg = own_pg()
    one = pgroute(pg, databases={f"alias{n}": {"servers": [server(pg)], "dbname": "app"} for n in range(150)},
                  defaults={"server_idle_timeout": "200ms", "pool_size": 2})
    with pg.counting() as backends:
        for n in range(150):
            with wire.Client(one.port).login(database=f"alias{n}") as client:
                assert client.query("SELECT current_database()").value() == "app"
                client.terminate()
    assert backends.highest < 100
    pg.wait_backends(0)


def test_dbname_renames(pg, pgroute):
    one = pgroute(pg, databases={"shown": {"servers": [server(pg)], "dbname": "app2"}})
    with wire.Client(one.port).login(database="shown") as client:
        assert client.query("SELECT current_database()").value() == "app2"


def test_server_on_a_unix_socket(pg, pgroute):
    """Queries, cancels, and again after all its backends were killed."""
    one = pgroute(pg, workers=2, databases={"app": {"servers": [{"host": str(pg.folder), "port": pg.port}]}}, defaults={"pool_size": 2})
    clients = [wire.Client(one.port).login() for _ in range(6)]
    for _ in range(2):
        for client in clients:
            assert client.query("SELECT inet_server_addr() IS NULL AND current_user = 'app'").value() == "t"
        clients[0].send(query("SELECT pg_sleep(600)"))
        pg.wait_query("pg_sleep(600)")
        wire.cancel(one.port, clients[0].pid, clients[0].key)
        assert clients[0].ready().sqlstates == ["57014"]
        assert {row["addr"] for row in one.show("servers")} == {str(pg.folder)}
        pg.terminate(pg.pids("app"))
    for client in clients:
        client.terminate()


# -- modes

@both_versions
def test_session_mode_keeps_one_server_and_cleans_it(pg, pgroute):
    one = pgroute(pg, defaults={"pool_mode": "session", "pool_size": 1})
    with wire.Client(one.port).login() as a:
        pid = a.query("SELECT pg_backend_pid()").value()
        a.query("SET work_mem = '77MB'")
        a.query("CREATE TEMP TABLE mine (x int)")
        a.query("PREPARE p AS SELECT 1")
        assert a.query("SHOW work_mem").value() == "77MB"
        b = wire.Client(one.port)
        with proc.Threads() as group:
            group.start(b.login)
            assert a.query("SELECT pg_backend_pid()").value() == pid
            a.terminate()
        assert b.query("SHOW work_mem").value() == "4MB"
        assert b.query("SELECT count(*) FROM pg_prepared_statements").value() == "0"
        assert b.query("SELECT * FROM mine").sqlstates == ["42P01"]
        assert b.query("SELECT pg_backend_pid()").value() == pid
        b.terminate()


def test_session_mode_client_that_leaves_in_a_transaction(pg, pgroute):
    one = pgroute(pg, defaults={"pool_mode": "session", "pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS gone; CREATE TABLE gone (x int); GRANT ALL ON gone TO app")
    for leave in ("terminate", "close", "reset"):
        client = wire.Client(one.port).login()
        client.query("BEGIN")
        client.query("INSERT INTO gone VALUES (1)")
        getattr(client, leave)()
        with wire.Client(one.port).login() as after:
            assert after.query("SELECT count(*) FROM gone").value() == "0"
            after.terminate()


def test_statement_mode_refuses_transactions(pg, pgroute):
    """The block is rolled back and the session ends, in words; what opens and ends a block in one request is no block."""
    one = pgroute(pg, defaults={"pool_mode": "statement", "pool_size": 1})
    with wire.Client(one.port).login() as other:
        for begin in (query("BEGIN"), query("SELECT 1; BEGIN"), parse("", "BEGIN") + bind() + execute() + sync()):
            with wire.Client(one.port).login() as client:
                assert client.query("SELECT 1").value() == "1"
                client.send(begin)
                last = client.expect_closed()[-1]
                fields = wire.error_fields(last.body)
                assert last.type == "E" and (fields["S"], fields["C"]) == ("FATAL", "0A000") and "statement" in fields["M"]
            assert other.query("SELECT 3").value() == "3"
        assert other.query("BEGIN; SELECT 4; COMMIT").value() == "4"
        assert [row[3] for row in pg.activity("app")] == ["idle"]


def test_mode_and_size_of_a_user_or_database_override_the_defaults(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 5}, databases={"app2": {"pool_size": 2}},
                  users={"scram": {"pool_size": 1, "pool_mode": "session"}})
    for user, database, size in (("app", "app", 5), ("app", "app2", 2), ("scram", "app2", 1)):
        clients = [wire.Client(one.port) for _ in range(8)]
        with pg.counting(user, database) as backends, proc.Threads() as group:
            for client in clients:
                def body(c=client):
                    c.login(user, database=database).query("SELECT pg_sleep(0.05)")
                    c.terminate()
                group.start(body)
        assert backends.highest == size, (user, database)


# -- limits

def test_b34_max_clients(pg, pgroute):
    """B34: 500 on a limit of 400: those inside keep working, pgroutectl and cancels still get in, and a place that was left is taken.
    (The console's reserve comes with it.)"""
    one = pgroute(pg, workers=2, max_clients=400, auth={"type": "trust"})
    inside = [wire.Client(one.port).login() for _ in range(400)]
    for _ in range(100):
        fields = told(one.port)
        assert fields["C"] == "53300" and "max_clients" in fields["M"] + fields.get("D", "") + fields.get("H", "")
    for client in inside:
        assert client.query("SELECT 1").value() == "1"
    inside[0].send(query("SELECT pg_sleep(600)"))
    pg.wait_query("pg_sleep")
    assert one.ctl("status", "--json")["clients"] == 400
    wire.cancel(one.port, inside[0].pid, inside[0].key)
    assert inside[0].ready().sqlstates == ["57014"]
    inside.pop().terminate()

    def room():
        try:
            return wire.Client(one.port).login()
        except wire.ServerError:
            return None
    inside.append(proc.wait_for(room, "the place of a client who left"))
    for client in inside:
        client.terminate()


def test_b34_a_storm_beyond_max_clients_leaves_those_inside_alone(pg, pgroute):
    """B34: a storm of refused logins harms nobody."""
    one = pgroute(pg, workers=2, max_clients=30)
    with Crowd(one, 20) as crowd:
        refused = []

        def storm():
            for _ in range(10):
                clients = []
                for _ in range(15):
                    try:
                        clients.append(wire.Client(one.port).login())
                    except wire.ServerError as problem:
                        refused.append(problem.sqlstate)
                for client in clients:
                    client.terminate()

        with proc.Threads() as group:
            for _ in range(3):
                group.start(storm)
        crowd.go_on(3)
        assert refused and set(refused) == {"53300"}
    proc.wait_for(lambda: not one.show("clients"), "all clients to be gone")


@pytest.mark.parametrize("where", ["databases", "users"])
def test_max_client_connections(pg, pgroute, where):
    one = pgroute(pg, workers=2, **{where: {"app": {"max_client_connections": 5}}})
    inside = [wire.Client(one.port).login() for _ in range(5)]
    fields = told(one.port)
    assert fields["C"] == "53300" and "max_client_connections" in fields["M"] + fields.get("D", "") + fields.get("H", "")
    other = {"databases": dict(database="app2"), "users": dict(user="app2")}[where]
    with wire.Client(one.port).login(**other) as client:
        assert client.query("SELECT 1").value() == "1"
    for client in inside:
        assert client.query("SELECT 1").value() == "1"
        client.terminate()


def test_max_client_connections_of_a_user_counts_under_its_own_name(pg, pgroute):
    """Whoever logs in to the server: the limit is the client's, over all databases. (F14)"""
    one = pgroute(pg, workers=2, databases={"shared": {"servers": [server(pg)], "dbname": "app", "user": "app", "password": "app-secret"}},
                  users={"app": {"max_client_connections": 2}, "scram": {"max_client_connections": 3}})
    others = [wire.Client(one.port).login("plain", database="shared") for _ in range(3)]
    inside = [wire.Client(one.port).login("scram", database=name) for name in ("shared", "shared", "app")]
    for name in ("shared", "app2"):
        fields = told(one.port, "scram", database=name)
        assert fields["C"] == "53300" and "scram" in fields["M"]
    inside += [wire.Client(one.port).login("app", database="shared") for _ in range(2)]
    assert told(one.port, "app")["C"] == "53300"
    assert sorted(row["user"] for row in one.show("clients")) == ["app"] * 2 + ["plain"] * 3 + ["scram"] * 3
    inside.pop(0).terminate()
    proc.wait_for(lambda: len(one.show("clients")) == 7, "it to be gone")
    inside.append(wire.Client(one.port).login("scram", database="app2"))
    for client in others + inside:
        assert client.query("SELECT 1").value() == "1"
        client.terminate()


def test_max_db_connections_over_all_users(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 5, "max_db_connections": 6}, databases={"app": {}})
    users = ("app", "app2", "scram", "plain")
    with pg.counting(database="app") as backends:
        with Crowd(one, 24, connect=lambda n: one.connect(users[n % 4])) as crowd:
            crowd.go_on(10)
    assert backends.highest <= 6


def test_b28_b131_no_user_starves_under_max_db_connections(pg, pgroute):
    """B28: a full allowance is taken from a user that came later."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 4, "max_db_connections": 4})
    greedy = [wire.Client(one.port).login("app") for _ in range(4)]
    for client in greedy:
        client.query("BEGIN")
    with proc.Threads() as group:
        late = wire.Client(one.port)
        group.start(lambda: late.login("app2").query("SELECT current_user").value())
        for client in greedy:
            client.query("COMMIT")
        assert group.join() == ["app2"]
    for client in greedy:
        assert client.query("SELECT 1").value() == "1"


def test_a_wait_for_max_db_connections_that_is_in_vain_says_so(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 3, "max_db_connections": 1, "queue_timeout": "500ms"})
    with wire.Client(one.port).login() as hog, wire.Client(one.port).login() as client:
        hog.query("BEGIN")
        for fields in (client.query("SELECT 1").errors[0], told(one.port, "scram")):
            assert fields["C"] == "57014" and "max_db_connections" in fields["H"] and "pool_size" not in fields["H"]
        hog.query("COMMIT")
        assert client.query("SELECT 1").value() == "1"


def test_reserve_pool_opens_after_its_timeout(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1, "reserve_pool_size": 1, "reserve_pool_timeout": "500ms"})
    with wire.Client(one.port).login() as hog, pg.counting("app") as backends:
        hog.query("BEGIN")
        with wire.Client(one.port).login() as client, wire.Client(one.port).login() as third:
            assert client.query("BEGIN; SELECT 'from the reserve'").value() == "from the reserve"
            third.send(query("SELECT 'third'"))
            client.query("SELECT pg_sleep(1.5)")
            assert not third.waiting(), "a third connection was opened"
            client.query("COMMIT")
            assert third.ready().value() == "third"
        hog.query("COMMIT")
    assert backends.highest == 2


def test_queue_timeout_says_which_limit(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1, "queue_timeout": "1s"})
    with wire.Client(one.port).login() as hog, wire.Client(one.port).login() as client:
        hog.query("BEGIN")
        fields = client.query("SELECT 1").errors[0]
        assert fields["C"] == "57014" and "queue_timeout" in fields["M"] and "pool_size" in fields["H"]
        assert hog.query("SELECT 'kept'").value() == "kept"
        hog.query("COMMIT")
        assert client.query("SELECT 1").value() == "1"


# -- timeouts

def test_query_timeout(pg, pgroute):
    one = pgroute(pg, defaults={"query_timeout": "1s", "pool_size": 1})
    with wire.Client(one.port).login() as client:
        client.send(query("SELECT pg_sleep(600)"))
        fields = wire.error_fields(client.recv_until("E")[-1].body)
        assert fields["C"] == "57014" and "query_timeout" in fields["M"]
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"
    assert [row[3] for row in pg.activity("app")] == ["idle"]


def test_b60_query_timeout_only_while_a_query_runs(pg, pgroute):
    """B60: an open transaction without a query is not its business."""
    one = pgroute(pg, defaults={"query_timeout": "1s", "pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as clock:
        client.query("BEGIN")
        began = pg.look("SELECT clock_timestamp()")[0][0]
        proc.wait_for(lambda: pg.look("SELECT clock_timestamp() - %s > '2.5 s'", began)[0][0], "longer than the timeout")
        assert client.query("SELECT 'still here'").value() == "still here"
        client.query("COMMIT")
        assert clock.query("SELECT 1").value() == "1"


def test_b60_query_timeout_covers_a_server_that_stalls_in_a_row(fake, pgroute):
    """B60: half a row and then nothing is a stall too."""
    def script(conn):
        for got in conn.messages():
            if b"stall" in got.body:
                conn.send(fs.row_description("x"), fs.data_row("half a row")[:9])
                conn.fill(1 << 30)
            elif got.type == "Q":
                conn.send(fs.one_row("fine") if b"DISCARD" not in got.body else fs.complete("DISCARD ALL") + fs.ready())

    one = pgroute(fake(script), defaults={"query_timeout": "1s", "pool_size": 2}, close_timeout="1s", cancel_timeout="1s")
    with wire.Client(one.port).login() as client:
        client.send(query("stall"))
        client.expect_closed()
    with wire.Client(one.port).login() as client:
        assert client.query("x").value() == "fine"


@pytest.mark.parametrize("key, sqlstate, last", [("transaction_timeout", "25P04", "SELECT pg_sleep(0.3)"),
                                                 ("idle_transaction_timeout", "25P03", None)])
def test_timeouts_of_transactions(pg, pgroute, key, sqlstate, last):
    one = pgroute(pg, defaults={key: "1s", "pool_size": 1})
    with wire.Client(one.port).login() as client, wire.Client(one.port).login() as other:
        client.query("BEGIN")
        seen = []
        while last is not None and not any(m.type == "E" for m in seen):
            client.send(query(last))
            seen = client.recv_until("ZE")
        seen = seen or client.expect_closed()
        assert [(f["C"], key in f["M"]) for f in (wire.error_fields(m.body) for m in seen if m.type == "E")] == [(sqlstate, True)]
        assert other.query("SELECT 'the connection is free'").value() == "the connection is free"


def test_idle_clients_are_told_and_closed(pg, pgroute):
    one = pgroute(pg, defaults={"client_idle_timeout": "1s"})
    with wire.Client(one.port).login() as client:
        seen = client.expect_closed()
        assert [(f["C"], "client_idle_timeout" in f["M"]) for f in (wire.error_fields(m.body) for m in seen if m.type == "E")] == [("57P05", True)]


def test_connect_timeout_of_a_silent_server(fake, pgroute):
    def login(conn):
        conn.fill(1 << 20)

    one = pgroute(fake(login=login), defaults={"connect_timeout": "1s", "queue_timeout": "3s"})
    fields = told(one.port)
    assert fields["C"][:2] in ("08", "57")


# -- connections that are being closed

def test_b35_a_closed_connection_counts_until_it_is_gone(fake, pgroute):
    """B29 B35: no second connection beside one that was given up and still exists."""
    release = threading.Event()

    def script(conn):
        for got in conn.messages():
            if b"stall" in got.body:
                release.wait(60)
                return
            if got.type == "Q":
                conn.send(fs.one_row(f"by {conn.number}") if b"DISCARD" not in got.body else fs.complete("DISCARD ALL") + fs.ready())

    server = fake(script)
    one = pgroute(server, defaults={"pool_size": 1, "query_timeout": "500ms", "queue_timeout": "60s"}, close_timeout="1s",
                  cancel_timeout="500ms")
    with wire.Client(one.port).login() as victim, wire.Client(one.port).login() as other:
        victim.send(query("stall"))
        victim.recv_until("E")
        proc.wait_for(lambda: server.cancels, "a cancel request for the stalled query")
        with proc.Threads() as group:
            group.start(lambda: other.query("x").value())
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the other to wait")
            proc.wait_for(lambda: "close_timeout" in one.text(), "the stalled connection to be logged")
            assert server.logins == 1, "a second connection was opened beside one that is still there"
            release.set()
            assert group.join()[0].startswith("by ") and server.logins == 2


def test_b29_aborting_clients_of_a_stalled_database_open_no_connections(own_pg, pgroute):
    """B29: the database stands still, clients give up and come again; those that were given up for dead still count."""
    pg = own_pg()
    one = pgroute(pg, workers=2, defaults={"pool_size": 4, "query_timeout": "500ms"}, close_timeout="300ms", cancel_timeout="300ms")
    gave_up, stop = [0], threading.Event()

    def impatient(n):
        while not stop.is_set():
            client = wire.Client(one.port)
            try:
                client.socket.settimeout(0.2)  # with no live connection a login waits for one, too
                client.login()
                client.query("SELECT 1")
                client.terminate()
            except (wire.ServerError, wire.Closed, OSError):
                gave_up[0] += 1
            client.close()

    with Crowd(one, 8) as crowd:
        crowd.go_on(3)
    pg.wait_backends(4, "app")
    frozen = pg.pids("app")
    with pg.counting("app") as backends, proc.Threads() as group:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        for n in range(16):
            group.start(impatient, n)
        proc.wait_for(lambda: gave_up[0] >= 150 and "close_timeout" in one.text(), "clients to give up, connections to be closed")
        assert pg.pids("app") == frozen
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        stop.set()
    assert backends.highest == 4
    with pg.counting("app") as backends, Crowd(one, 8) as crowd:
        crowd.go_on(5)
    assert backends.highest <= 4


@contextlib.contextmanager
def many_files():
    """As many as the hard limit allows, for this process; pgroute sees to its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_clients_stay_while_others_work(pg, pgroute):
    """1,500 that do nothing beside 100 that work (10,000 in a soak; scripts/bench measures at what speed): nobody is sent away,
    and each of the idle ones is still served."""
    one = pgroute(pg, build=PLAIN, workers=2, auth={"type": "trust"}, defaults={"pool_size": 10}, max_clients=12_000)
    with many_files(), pg.counting("app") as backends:
        idle = [wire.Client(one.port, source=f"127.0.0.{2 + n // 4000}").login() for n in range(amount(1_500, 10_000))]
        out = proc.run(["/usr/lib/postgresql/15/bin/pgbench", "-h", "127.0.0.1", "-p", str(one.port), "-U", "app", "-n", "-c", "100", "-j", "4",
                        "-t", str(amount(50, 2_000)), "-f", "/dev/stdin", "app"], input="SELECT 1;\n", env={"PATH": os.environ["PATH"]})
        assert "number of failed transactions: 0" in out
        for n, client in enumerate(idle):
            client.send(query(f"SELECT {n}"))
        for n, client in enumerate(idle):
            assert client.ready().value() == str(n)
        for client in idle:
            client.close()
    assert backends.highest <= 10


def test_f32_clients_cut_in_a_result_cost_no_connections(pg, pgroute):
    """F32: 200 of them; drained or cancelled, not thrown away: at most five more than the pool has."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 5})
    seen = set()
    steady = wire.Client(one.port).login()
    for n in range(200):
        client = wire.Client(one.port).login()
        client.send(query(f"SELECT repeat('x', 1000) FROM generate_series(1, {200 if n % 2 else 20000})"))
        client.recv()
        client.reset() if n % 3 == 0 else client.close()
        seen |= pg.pids("app")
    assert steady.query("SELECT 1").value() == "1"
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    assert len(seen | pg.pids("app")) <= 10, "backends opened in all, at most 5 more than the pool has"
    steady.terminate()


def test_terminate_behind_a_query_lets_it_finish(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS parting; CREATE TABLE parting (x int); GRANT ALL ON parting TO app")
    client = wire.Client(one.port).login()
    client.send(query("INSERT INTO parting SELECT 1 FROM pg_sleep(0.5)"), wire.terminate())
    client.close()
    with wire.Client(one.port).login() as after:
        assert after.query("SELECT count(*) FROM parting").value() == "1"


@pytest.mark.parametrize("leave", ["terminate", "close", "reset"])
@pytest.mark.parametrize("state", ["idle", "transaction", "failed", "copy-in", "copy-out", "queued", "pipeline", "portal"])
def test_b59_leaving_in_each_state_frees_the_server(pg, pgroute, state, leave):
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS left_t; CREATE TABLE left_t (x text); GRANT ALL ON left_t TO app")
    with wire.Client(one.port).login() as steady:
        pid = steady.query("SELECT pg_backend_pid()").value()
        client = wire.Client(one.port).login()
        if state == "queued":
            steady.query("BEGIN")
            client.send(query("INSERT INTO left_t VALUES ('queued')"))
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "it to wait")
            getattr(client, leave)()
            proc.wait_for(lambda: leave == "terminate" or one.pool()["cl_waiting"] == 0, "it to be out of the queue")
            steady.query("COMMIT")
        else:
            if state in ("transaction", "failed", "portal"):
                client.query("BEGIN")
                client.query("INSERT INTO left_t VALUES ('open')")
            if state == "failed":
                client.query("SELECT 1/0")
            elif state == "copy-in":
                client.send(query("COPY left_t FROM STDIN"), wire.copy_data(b"half\n"))
                client.recv_until("G")
            elif state == "copy-out":
                client.send(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 50000)) TO STDOUT"))
                client.recv_until("H")
            elif state == "pipeline":
                client.send(parse("", "INSERT INTO left_t VALUES ('pipeline')") + bind() + execute() + wire.flush())
                client.recv_until("C")
            elif state == "portal":
                client.send(parse("", "SELECT generate_series(1, 100)") + bind("p") + execute("p", 5) + sync())
                client.ready()
            getattr(client, leave)()
        assert steady.query("SELECT string_agg(x, ',') FROM left_t").rows in ([(None,)], [("queued",)] if state == "queued" else None)
        assert steady.query("SELECT pg_backend_pid()").value() == pid or state in ("copy-in", "copy-out")
        pg.wait_backends(1)


@both_versions
def test_psycopg_and_asyncpg_crowds_share_a_pool(pg, pgroute):
    import asyncio
    import asyncpg
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})

    async def crowd():
        pool = await asyncpg.create_pool(host="127.0.0.1", port=one.port, user="app", password="app-secret", database="app",
                                         min_size=20, max_size=20)
        got = await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(400)])
        assert got == list(range(400))
        await pool.close()

    with pg.counting("app") as backends, Crowd(one, 20) as people:
        asyncio.run(crowd())
        people.go_on(3)
    assert backends.highest <= 3


def test_pgbench_runs_clean(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 4})
    bench = "/usr/lib/postgresql/15/bin/pgbench"
    where = ["-h", "127.0.0.1", "-p", str(one.port), "-U", "app"]
    env = {"PGPASSWORD": "app-secret", "PATH": "/usr/bin:/bin"}
    proc.run([bench, *where, "-i", "-q", "-s", "1", "app"], env=env)
    with pg.counting("app") as backends:
        for mode in ("simple", "extended", "prepared"):
            out = proc.run([bench, *where, "-n", "-M", mode, "-c", "20", "-j", "20", "-t", "30", "app"], env=env)
            assert "number of failed transactions: 0" in out and "600/600" in out
    assert backends.highest <= 4


def test_errors_name_the_connections_client_library_way(pg, pgroute):
    """psycopg sees the limit as the class of error that PostgreSQL's own limit has."""
    one = pgroute(pg, max_clients=1)
    with one.connect():
        with pytest.raises(psycopg.OperationalError, match="max_clients"):
            one.connect()
