"""TLS towards servers: modes as libpq's, certificates, channel binding, lending between workers, and the death of a home."""
import os
import socket
import ssl
import threading

import psycopg
import pytest

from harness import proc, tls, wire
from harness.fakeserver import authentication, complete, echo, error, ready
from harness.load import Crowd, check_nonce
from harness.postgres import HBA, Postgres

OPERATIONAL = psycopg.OperationalError
ONLY_TLS = HBA.replace("host all", "hostssl all")
NO_TLS = HBA.replace("host all", "hostnossl all")


@pytest.fixture(scope="module")
def authority():
    one = tls.Authority()
    owner = proc.unprivileged()
    one.server = one.make("db", "db", "IP:127.0.0.1,DNS:db.test", owner=owner)
    one.misnamed = one.make("misnamed", "misnamed", "DNS:somewhere.else", owner=owner)
    yield one
    one.close()


@pytest.fixture
def secure_pg(own_pg, authority):
    """secure_pg(hba, **settings): PostgreSQL with TLS."""
    def start(hba=ONLY_TLS, cert=None, **settings):
        cert, key = cert or authority.server
        server = own_pg(**{"ssl": "on", "ssl_cert_file": f"'{cert}'", "ssl_key_file": f"'{key}'",
                           "ssl_ca_file": f"'{authority.ca}'", **settings})
        server.hba(hba)
        return server
    return start


@pytest.fixture(scope="module")
def one_pg(templates, authority):
    """A server with TLS for tests that leave it idle; it takes clients with TLS and without."""
    cert, key = authority.server
    settings = {"ssl": "on", "ssl_cert_file": f"'{cert}'", "ssl_key_file": f"'{key}'"}
    server = Postgres(templates("15"), **settings)
    server.settings = settings
    server.start()
    server.hba(ONLY_TLS)
    yield server
    server.close()


def under_tls(server):
    """How many of the server's connections are under TLS."""
    return server.look("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                       " WHERE ssl AND usename <> 'postgres'")[0][0]


def pools(one, **changes):
    return {"defaults": {"pool_size": 1, **changes}}


# -- modes

MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


@pytest.mark.parametrize("mode", MODES)
def test_mode_towards_a_server_that_takes_either(secure_pg, pgroute, authority, mode):
    server = secure_pg(HBA)
    one = pgroute(server, server_tls={"mode": mode, "ca_file": str(authority.ca)})
    with one.connect() as db:
        assert db.execute("SELECT 1").fetchone()[0] == 1
        encrypted = MODES.index(mode) >= MODES.index("prefer")
        assert under_tls(server) == (1 if encrypted else 0)
        assert (one.show("servers")[0]["tls"] != "") == encrypted


@pytest.mark.parametrize("mode, good", [("disable", False), ("allow", True), ("prefer", True), ("require", True)])
def test_mode_towards_a_server_that_wants_tls(secure_pg, pgroute, mode, good):
    server = secure_pg(ONLY_TLS)
    one = pgroute(server, server_tls={"mode": mode})
    if not good:
        with pytest.raises(OPERATIONAL, match="no pg_hba.conf entry.*no encryption"):
            one.connect()
        return
    with server.counting() as sampler, one.connect() as db:
        assert db.execute("SELECT 1").fetchone()[0] == 1
        assert under_tls(server) == 1
    assert sampler.highest <= 1
    assert one.show("servers")[0]["tls"].startswith("TLSv1.3/")


@pytest.mark.parametrize("mode, good", [("disable", True), ("allow", True), ("prefer", True), ("require", False)])
def test_mode_towards_a_server_whose_rules_refuse_tls(secure_pg, pgroute, mode, good):
    server = secure_pg(NO_TLS)
    one = pgroute(server, server_tls={"mode": mode})
    if not good:
        with pytest.raises(OPERATIONAL, match="no pg_hba.conf entry.*SSL encryption"):
            one.connect()
        return
    with one.connect() as db:
        assert db.execute("SELECT 1").fetchone()[0] == 1
    assert one.show("servers")[0]["tls"] == ""


@pytest.mark.parametrize("mode, good", [("disable", True), ("allow", True), ("prefer", True), ("require", False),
                                        ("verify-full", False)])
def test_mode_towards_a_server_without_tls(pg, pgroute, authority, mode, good):
    one = pgroute(pg, server_tls={"mode": mode, "ca_file": str(authority.ca)})
    if good:
        with one.connect() as db:
            assert db.execute("SELECT 1").fetchone()[0] == 1
    else:
        with pytest.raises(OPERATIONAL, match='server "127.0.0.1": the server has no TLS, and server_tls requires it'):
            one.connect()


def test_wrong_password_is_not_tried_in_the_clear(secure_pg, pgroute):
    """`prefer` goes on without TLS where the server's rules want that, not where a password is wrong."""
    server = secure_pg(HBA)
    one = pgroute(server, server_tls={"mode": "prefer"}, databases={"app": {"user": "app", "password": "wrong"}})
    mark = server.log_mark()
    with pytest.raises(OPERATIONAL, match="password authentication failed"):
        one.connect()
    assert server.log_since(mark).count("password authentication failed") == 1


def test_tls_of_one_server_differs_from_that_of_all(one_pg, pg, pgroute, authority):
    one = pgroute(one_pg, server_tls={"mode": "verify-full", "ca_file": str(authority.ca)},
                  databases={"app2": {"servers": [{"host": "127.0.0.1", "port": pg.port, "tls": {"mode": "disable"}}]}})
    with one.connect() as first, one.connect(database="app2") as second:
        first.execute("SELECT 1")
        second.execute("SELECT 1")
        assert {row["database"]: row["tls"] != "" for row in one.show("servers")} == {"app": True, "app2": False}


# -- certificates

def test_verify_full_takes_the_name_of_the_host_only(secure_pg, pgroute, authority):
    server = secure_pg(HBA, cert=authority.misnamed)
    for mode, words in (("verify-ca", None), ("verify-full", "IP address mismatch")):
        one = pgroute(server, server_tls={"mode": mode, "ca_file": str(authority.ca)})
        if words is None:
            one.connect().close()
            continue
        with pytest.raises(OPERATIONAL, match=f'server "127.0.0.1": the certificate is not accepted: {words}'):
            one.connect()
        assert words in one.text()


@pytest.mark.parametrize("mode, good", [("prefer", True), ("require", False), ("verify-ca", False), ("verify-full", False)])
def test_certificate_of_another_authority(one_pg, pgroute, mode, good):
    """`require` with a ca_file checks, as libpq's does; `prefer` never does."""
    other = tls.Authority("not the server's")
    try:
        one = pgroute(one_pg, server_tls={"mode": mode, "ca_file": str(other.ca)})
        if good:
            one.connect().close()
        else:
            with pytest.raises(OPERATIONAL, match="the certificate is not accepted: (unable to get local issuer|self-signed)"):
                one.connect()
    finally:
        other.close()


def test_server_gets_our_certificate(secure_pg, pgroute, authority):
    server = secure_pg("local all all trust\nhostssl all app 127.0.0.1/32 cert\n")
    cert, key = authority.make("ours", "app")
    one = pgroute(server, server_tls={"mode": "require", "cert_file": str(cert), "key_file": str(key)})
    with one.connect() as db:
        db.execute("SELECT 1")
        assert server.look("SELECT client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'") == [
            ("/CN=app",)]


def server_context(authority, seen):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, authority.server))
    context.sni_callback = lambda sock, name, _: seen.append(name)
    return context


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca"])
def test_f21_server_name_is_sent_in_every_mode(fake, pgroute, authority, mode):
    seen = []
    server = fake(echo, tls=server_context(authority, seen))
    one = pgroute(server.port, server_tls={"mode": mode, "ca_file": str(authority.ca)},
                  databases={"app": {"servers": [{"host": "localhost", "port": server.port}]}})
    one.connect(cursor_factory=psycopg.ClientCursor).close()
    assert seen == ["localhost"]


@pytest.mark.parametrize("offers", [True, False])
def test_f12_channel_binding_towards_the_server(fake, pgroute, authority, offers):
    binding = tls.end_point(tls.der(authority.server[0])) if offers else None
    server = fake(echo, auth="scram-sha-256", tls=server_context(authority, []), binding=binding)
    one = pgroute(server.port, server_tls={"mode": "require"})
    one.connect(cursor_factory=psycopg.ClientCursor).close()
    # where the server does not offer it, it is told that we would have: so it finds out whether somebody has struck it
    assert server.flags == ["p=tls-server-end-point,," if offers else "y,,"]


def test_c7_cleartext_behind_the_servers_answer_is_never_read(fake, pgroute, authority):
    """CVE-2021-23222: bytes that somebody puts behind the S must not become the server's."""
    def login(conn):
        raise AssertionError("unreachable")
    server = fake(echo, login=login)
    server.tls = Injecting()
    one = pgroute(server.port, server_tls={"mode": "require"})
    with pytest.raises(OPERATIONAL, match="TLS handshake failed"):
        one.connect()


class Injecting:
    """In place of a context: answers in the clear behind the S, as if it had logged the client in."""

    def wrap_socket(self, sock, server_side):
        sock.sendall(authentication(0) + ready())
        raise ConnectionResetError


# -- the way of a query

def port_of(db):
    with socket.socket(fileno=os.dup(db.pgconn.socket)) as sock:
        return sock.getsockname()[1]


def on_both_workers(one, least=1, most=40, **kwargs):
    """Clients until each of two workers has at least so many; {worker's pid: [clients]}."""
    held = {}
    for _ in range(most):
        db = one.connect(**kwargs)
        held.setdefault(one.worker_of(port_of(db)), []).append(db)
        if len(held) == 2 and min(map(len, held.values())) >= least:
            return held
    raise AssertionError(f"clients only on {held}")


def close_all(held):
    for dbs in held.values():
        for db in dbs:
            db.close()


def test_one_connection_is_lent_between_workers(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    a, b = (dbs[0] for dbs in held.values())
    pids = set()
    for n in range(50):
        for db in (a, b, b, a):
            check_nonce(db, n)
            pids.add(db.execute("SELECT pg_backend_pid()").fetchone()[0])
    assert len(pids) == 1 and under_tls(one_pg) == 1
    one.wait_metric("pgroute_process_tls_lent_total", 50)
    close_all(held)


def test_crowd_on_both_workers_keeps_to_the_limit(one_pg, pgroute):
    one = pgroute(one_pg, defaults={"pool_size": 3})
    with one_pg.counting() as sampler, Crowd(one, 16) as crowd:
        crowd.go_on(30)
    assert sampler.highest <= 3
    assert all(row["tls"] for row in one.show("servers"))


@pytest.mark.parametrize("size", [100, 8192, 70000, 3000000])
def test_b64_sizes_both_ways_over_home_and_lent(one_pg, pgroute, size):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    data = os.urandom(size)
    for _ in range(3):
        for dbs in held.values():
            assert dbs[0].execute("SELECT %b::bytea", [data]).fetchone()[0] == data
    close_all(held)


def test_b13_both_ways_at_once_without_deadlock(one_pg, pgroute):
    """Pipelined: nobody reads before all is sent, 40 MB each way."""
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    data = b"x" * 400000
    for dbs in held.values():
        with dbs[0].pipeline():
            cursors = [dbs[0].execute("SELECT %b::bytea", [data]) for _ in range(100)]
        assert all(cursor.fetchone()[0] == data for cursor in cursors)
    close_all(held)


def test_slow_client_of_a_lent_connection_holds_up_nobody(one_pg, pgroute):
    """The home must not wait for a lessee that does not read: its other connections go on."""
    one = pgroute(one_pg, defaults={"pool_size": 2})
    held = on_both_workers(one, least=2)
    slow = []
    for pid in held:  # one client of each worker asks for much and does not read: one of the two is not at home
        client = wire.Client(one.port).login()
        client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 60000)"))
        slow.append(client)
        break
    for dbs in held.values():
        check_nonce(dbs[0], 1)
    for client in slow:
        assert len(client.ready().rows) == 60000
        client.close()
    close_all(held)


def test_copy_both_ways_lent(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    rows = [(n, "y" * 200) for n in range(20000)]
    for n, dbs in enumerate(held.values()):
        db = dbs[0]
        with db.transaction():
            db.execute(f"CREATE TABLE copied{n} (a int, b text)")
            with db.cursor().copy(f"COPY copied{n} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            with db.cursor().copy(f"COPY copied{n} TO STDOUT") as copy:
                assert sum(1 for _ in copy.rows()) == len(rows)
            db.execute(f"DROP TABLE copied{n}")
    close_all(held)


def test_b24_late_copy_data_stays_in_order(one_pg, pgroute):
    """Bytes without an answer go to the server before those of the next lessee, whoever that is."""
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    one_pg.look("SELECT 1")
    with one.connect() as db:
        db.execute("DROP TABLE IF EXISTS late")
        db.execute("CREATE TABLE late (a int PRIMARY KEY)")
    for _ in range(10):
        for dbs in held.values():
            with pytest.raises(psycopg.Error):
                with dbs[0].cursor().copy("COPY late FROM STDIN") as copy:
                    copy.write("1\n1\n" * 2000)
            for others in held.values():
                check_nonce(others[0], 2)
    close_all(held)


def test_cancel_goes_over_tls(fake, pgroute, authority):
    """The key of a connection under TLS is not sent in the clear."""
    started = threading.Event()

    def script(conn):
        for got in conn.messages():
            if got.type == "Q" and b"sleep" in got.body:
                started.set()
                proc.wait_for(lambda: conn.server.cancels, "a cancel request")
                conn.send(error("57014", "canceling statement due to user request"), ready())
            elif got.type == "Q":
                conn.send(complete("SET"), ready())

    server = fake(script, tls=server_context(authority, []))
    one = pgroute(server.port, server_tls={"mode": "require"})
    client = wire.Client(one.port).login()
    client.send(wire.query("sleep"))
    assert started.wait(proc.PATIENCE)
    with socket.create_connection(("127.0.0.1", one.port)) as sock:
        sock.sendall(wire.cancel_request(client.pid, client.key))
        assert sock.recv(1) == b""
    assert client.ready().sqlstates == ["57014"]
    assert server.cancels_tls == [True] and server.cancels[0][0] == server.connections[0].pid
    client.close()


def test_cancel_of_a_lent_query(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    for dbs in held.values():
        db = dbs[0]
        timer = threading.Thread(target=lambda: (one_pg.wait_query("pg_sleep(600)"), db.cancel_safe()))
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            db.execute("SELECT pg_sleep(600)")
        timer.join()
        check_nonce(db, 1)
    close_all(held)


# -- ends

def test_b41_server_that_ended_while_idle_is_not_handed_out(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    for _ in range(3):
        for dbs in held.values():
            check_nonce(dbs[0], 1)
            one_pg.terminate(one_pg.pids())
            proc.wait_for(lambda: not [row for row in one.show("servers") if row["state"] in ("idle", "active")], "the end to be seen")
    for dbs in held.values():
        check_nonce(dbs[0], 1)
    close_all(held)


def test_server_that_ends_in_a_lent_exchange(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one, least=2)
    for dbs in list(held.values()):
        db = dbs[0]
        killer = threading.Thread(target=lambda: one_pg.terminate([one_pg.wait_query("pg_sleep(601)")]))
        killer.start()
        with pytest.raises(psycopg.errors.AdminShutdown):
            db.execute("SELECT pg_sleep(601)")
        killer.join()
    for dbs in held.values():
        check_nonce(dbs[1], 1)
    close_all(held)


def test_unasked_bytes_on_an_idle_connection_are_read_by_its_home(one_pg, pgroute):
    """A reload of the server's configuration tells every session: the next client is told nothing odd."""
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    for zone in ("Asia/Tokyo", "UTC", "Europe/Rome", "UTC"):
        for last in held.values():  # whoever had the connection last
            check_nonce(last[0], 1)
            one_pg.configure(timezone=f"'{zone}'", **one_pg.settings)
            one_pg.look("SELECT pg_reload_conf()")
            for dbs in held.values():
                check_nonce(dbs[0], 2)
    close_all(held)


@pytest.mark.parametrize("loop", range(2))
def test_b66_death_of_the_home_costs_borrowed_exchanges_only(one_pg, pgroute, loop):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one, least=3)
    home = home_of(one, held)
    borrower = next(pid for pid in held if pid != home)
    idle, busy, open_block = held[borrower][:3]
    errors = []

    def sleep():
        try:
            busy.execute("SELECT pg_sleep(602)")
        except psycopg.Error as problem:
            errors.append(problem)

    thread = threading.Thread(target=sleep)
    thread.start()
    one_pg.wait_query("pg_sleep(602)")
    with one_pg.counting() as sampler:
        one.kill(home)
        thread.join(proc.PATIENCE)
        assert errors and errors[0].sqlstate == "08006", errors
        for db in (busy, idle, open_block):  # the sessions stay
            check_nonce(db, 1)
        one.wait_respawn("worker", home, 2)
        # what has become of the pool: a client of the successor too
        close_all({borrower: held[borrower]})
        with Crowd(one, 6) as crowd:
            crowd.go_on(3)
    assert sampler.highest <= 1
    one_pg.wait_backends(1)


def home_of(one, held):
    """The worker whose TLS the pool's only connection is: its own clients borrow nothing."""
    def lent():
        return {key: value for key, value in one.metrics().items() if key.startswith("pgroute_process_tls_lent_total")}
    for pid, dbs in held.items():
        check_nonce(dbs[0], 0)
        before = lent()
        for n in range(3):
            check_nonce(dbs[0], n)
        if lent() == before:
            return pid
    raise AssertionError("nobody is at home")


def test_home_dies_in_a_transaction_of_a_borrower(one_pg, pgroute):
    """What the client would send next must not run outside of the transaction that it believes in: the session ends."""
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    home = home_of(one, held)
    borrower = next(pid for pid in held if pid != home)
    db = held[borrower][0]
    db.execute("CREATE TABLE IF NOT EXISTS halves (a int)")
    db.execute("BEGIN")
    db.execute("INSERT INTO halves VALUES (1)")
    one.kill(home)
    one.wait_respawn("worker", home, 2)
    with pytest.raises(psycopg.OperationalError):
        db.execute("INSERT INTO halves VALUES (2)")
    assert db.closed
    with one.connect() as other:
        assert other.execute("SELECT count(*) FROM halves").fetchone()[0] == 0
        other.execute("DROP TABLE halves")
    close_all(held)


def test_idle_connections_of_a_dead_home_are_replaced(one_pg, pgroute):
    one = pgroute(one_pg, defaults={"pool_size": 4})
    with Crowd(one, 8) as crowd:
        crowd.go_on(5)
    victim = one.pids("worker")[0]
    with one_pg.counting() as sampler:
        one.kill(victim)
        one.wait_respawn("worker", victim, 2)
        with Crowd(one, 8) as crowd:
            crowd.go_on(20)
    assert sampler.highest <= 4


def test_b58_worker_that_has_drained_stays_for_its_borrowers(one_pg, pgroute):
    one = pgroute(one_pg, **pools(None))
    held = on_both_workers(one)
    home = home_of(one, held)
    borrower = next(pid for pid in held if pid != home)
    db = held[borrower][0]
    db.execute("BEGIN")
    one.term()
    for other in held[home]:
        proc.wait_for(lambda: gone(other), "clients between transactions to be sent away")
    for n in range(20):
        assert db.execute("SELECT %s::int", [n]).fetchone()[0] == n
    db.execute("COMMIT")
    assert one.wait() == 0
    close_all(held)


def gone(db):
    """Has something come on an idle connection: its last words?"""
    with socket.socket(fileno=os.dup(db.pgconn.socket)) as sock:
        sock.setblocking(False)
        try:
            return sock.recv(1, socket.MSG_PEEK) != b"x"
        except BlockingIOError:
            return False


def test_closing_is_polite(one_pg, pgroute):
    """Terminate and close_notify go in front of the end: the server has nothing to complain of."""
    mark = one_pg.log_mark()
    one = pgroute(one_pg, defaults={"pool_size": 4, "server_idle_timeout": "300ms"})
    with Crowd(one, 8) as crowd:
        crowd.go_on(5)
    one_pg.wait_backends(0)
    with Crowd(one, 8) as crowd:
        crowd.go_on(2)
    one.term()
    assert one.wait() == 0
    one_pg.wait_backends(0)
    log = one_pg.log_since(mark)
    assert "SSL error" not in log and "unexpected eof" not in log.lower() and "could not receive" not in log, log


def test_b53_reload_without_change_keeps_connections_a_changed_authority_replaces_them(one_pg, pgroute, authority, tmp_path):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.ca.read_bytes())
    one = pgroute(one_pg, server_tls={"mode": "verify-full", "ca_file": str(ca)}, **pools(None))
    with one.connect() as db:
        before = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        for _ in range(5):
            one.reload()
            assert db.execute("SELECT pg_backend_pid()").fetchone()[0] == before
        other = tls.Authority("added")
        try:
            ca.write_bytes(authority.ca.read_bytes() + other.ca.read_bytes())
            assert "server_tls.ca_file: (changed)" in one.reload()
            proc.wait_for(lambda: db.execute("SELECT pg_backend_pid()").fetchone()[0] != before, "another connection")
        finally:
            other.close()


def test_c15_all_of_it_under_the_system_call_filter(one_pg, pgroute, authority):
    """A worker that can open no file shakes hands, lends, and takes up another certificate."""
    keys = {"mode": "allow", "cert_file": str(authority.server[0]), "key_file": str(authority.server[1])}
    one = pgroute(one_pg, build="release", server_tls={"mode": "verify-full", "ca_file": str(authority.ca)}, client_tls=keys,
                  **pools(None))
    held = on_both_workers(one, sslmode="require")
    for n in range(5):
        for dbs in held.values():
            check_nonce(dbs[0], n)
    one.wait_metric("pgroute_process_tls_lent_total", 5)
    one.change(client_tls={"cert_file": str(authority.misnamed[0]), "key_file": str(authority.misnamed[1])})
    one.reload()

    def renewed():
        with tls.connect(one.port, tls.client_context()) as sock:
            return sock.getpeercert(True) == tls.der(authority.misnamed[0])
    proc.wait_for(lambda: renewed() and renewed(), "the other certificate")
    close_all(held)
