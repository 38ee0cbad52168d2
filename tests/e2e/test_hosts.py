"""Servers whose name has several addresses, or others than a moment ago. (F22)

The name is answered by a DNS server of the test's own; its addresses lead to scripted servers on one port."""
import contextlib
import socket
import threading

import pytest

from harness import fakeserver as fs
from harness import proc, wire
from harness.dns import Dns
from harness.fakeserver import FakeServer

NAME = "db.test"
A, B, C = "127.0.0.11", "127.0.0.12", "127.0.0.13"


def tells_where(conn):
    """Answers a query with the address of the server; those of transactions with their tags; "hang" not at all."""
    status = "I"
    for got in conn.messages():
        if got.type == "Q":
            sql = wire.strings(got.body)[0]
            if sql in ("BEGIN", "COMMIT"):
                status = "T" if sql == "BEGIN" else "I"
                conn.send(fs.complete(sql), fs.ready(status))
            elif "hang" not in sql:
                conn.send(fs.one_row(conn.server.host, status=status))


@pytest.fixture
def servers():
    """servers(host, ...): scripted servers at these addresses, all on one port."""
    with contextlib.ExitStack() as stack:
        ports = []

        def start(*hosts, script=tells_where, **kwargs):
            made = []
            for host in hosts:
                made.append(stack.enter_context(FakeServer(script, host=host, port=ports[0] if ports else 0, **kwargs)))
                ports.append(made[-1].port)
            return made

        yield start


@pytest.fixture
def dns():
    with Dns({}) as server:
        yield server


def named(dns, port, addresses, **changes):
    """The configuration of one database on a server of that name; dns answers with the addresses."""
    dns.names[NAME] = addresses
    return {"workers": 1, "dns_servers": [dns.address], "users": {"app": {"password": "app-secret"}},
            "databases": {"app": {"servers": [{"host": NAME, "port": port}]}}, **changes}


def where(client):
    return client.query("SELECT 'where are you'").value()


def test_f22_the_next_address_where_nobody_listens_at_the_first(servers, dns, pgroute):
    b, = servers(B)
    one = pgroute(config=named(dns, b.port, [A, B]))
    with wire.Client(one.port).login() as client:
        assert where(client) == B


def test_f22_no_address_answers_is_one_clear_error(servers, dns, pgroute):
    c, = servers(C)
    one = pgroute(config=named(dns, c.port, [A, B]))
    with wire.Client(one.port) as client, pytest.raises(wire.ServerError) as refused:
        client.login()
    assert refused.value.sqlstate == "08006" and NAME in refused.value.fields["M"]


@pytest.mark.parametrize("first", ["closes", "starting up"])
def test_f22_the_next_address_where_the_first_is_not_ready(servers, dns, pgroute, first):
    def login(conn):
        if first == "starting up":
            conn.send(fs.error("57P03", "the database system is starting up", "FATAL"))
        raise wire.Closed("as it should")

    a, = servers(A, login=login)
    servers(B)
    one = pgroute(config=named(dns, a.port, [A, B]))
    with wire.Client(one.port).login() as client:
        assert where(client) == B


def test_f22_what_the_first_address_refuses_is_not_asked_of_the_next(servers, dns, pgroute):
    def login(conn):
        conn.send(fs.error("28P01", "password authentication failed", "FATAL"))

    a, = servers(A, login=login)
    b, = servers(B)
    one = pgroute(config=named(dns, a.port, [A, B]))
    with wire.Client(one.port) as client, pytest.raises(wire.ServerError) as refused:
        client.login()
    assert refused.value.sqlstate == "28P01" and b.connections == []


def test_f22_each_address_has_its_share_of_connect_timeout(servers, dns, pgroute):
    """A listener whose queue is full drops what else comes: the first address does not even refuse."""
    b, = servers(B)
    with socket.create_server((A, b.port), backlog=0), contextlib.ExitStack() as queued:
        for _ in range(4):
            filler = queued.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((A, b.port))
        one = pgroute(config=named(dns, b.port, [A, B], defaults={"connect_timeout": "3s"}))
        with wire.Client(one.port).login() as client:
            assert where(client) == B


def test_f22_an_address_that_failed_lately_is_tried_last(servers, dns, pgroute):
    b, = servers(B)
    one = pgroute(config=named(dns, b.port, [A, B], defaults={"pool_size": 2}))
    with wire.Client(one.port).login() as first, wire.Client(one.port).login() as second:
        first.query("BEGIN")
        a, = servers(A)
        assert where(second) == B
        assert a.connections == []


def test_f22_an_address_where_the_login_hangs_is_tried_last(servers, dns, pgroute):
    a, = servers(A, login=lambda conn: conn.fill(1 << 20))
    servers(B)
    one = pgroute(config=named(dns, a.port, [A, B], defaults={"connect_timeout": "1s", "login_retry": "10ms"}))

    def logs_in():
        with wire.Client(one.port) as client:
            try:
                return where(client.login())
            except wire.ServerError as refused:
                assert refused.sqlstate == "08006"
                return None

    assert proc.wait_for(logs_in, "the other address to be used") == B


def test_f10_f22_a_cancel_goes_to_the_address_of_the_connection(servers, dns, pgroute):
    b, = servers(B)
    one = pgroute(config=named(dns, b.port, [A, B]))
    with wire.Client(one.port).login() as client:
        client.send(wire.query("SELECT 'hang'"))
        proc.wait_for(lambda: one.pool()["cl_active"] == 1, "the query to run")
        a, = servers(A)
        wire.cancel(one.port, client.pid, client.key)
        server = b.connections[0]
        assert b.cancels == [(server.pid, server.key)] and a.connections == []


def test_f22_a_changed_answer_moves_idle_connections(servers, dns, pgroute):
    a, b = servers(A, B)
    one = pgroute(config=named(dns, a.port, [A]))
    with wire.Client(one.port).login() as client:
        assert where(client) == A
        dns.names[NAME] = [B]
        proc.wait_for(lambda: one.show("servers") == [], "the connection to the old address to be closed")
        assert where(client) == B
        with wire.Client(one.port).login() as another:
            assert where(another) == B


@pytest.mark.parametrize("busy", ["transaction", "query"])
def test_f22_a_changed_answer_lets_leases_end(servers, dns, pgroute, busy):
    a, b = servers(A, B)
    one = pgroute(config=named(dns, a.port, [A]))
    with wire.Client(one.port).login() as client:
        client.query("BEGIN")
        if busy == "query":
            client.send(wire.query("SELECT 'hang'"))
        dns.names[NAME] = [B]
        dns.wait_asked(NAME)
        with wire.Client(one.port).login() as other:
            assert where(other) == B
            if busy == "query":
                wire.cancel(one.port, client.pid, client.key)
                assert len(a.cancels) == 1 and b.cancels == []
                a.connections[0].send(fs.error("57014", "canceled"), fs.ready("E"))
                assert client.ready().sqlstates == ["57014"]
            assert where(client) == A
            client.query("COMMIT")
            assert where(client) == B


def test_b881_rotating_answers_cost_no_connection(servers, dns, pgroute):
    a, b, _ = servers(A, B, C)
    one = pgroute(config=named(dns, a.port, [A, B, C]))
    with wire.Client(one.port).login() as client:
        home = where(client)
        for addresses in ([B, C, A], [C, A, B]):
            dns.names[NAME] = addresses
            dns.wait_asked(NAME)
            assert where(client) == home
        with wire.Client(one.port).login() as another:
            assert where(another) == home
        assert sum(server.logins for server in (a, b, _)) == 1


def test_f22_a_name_that_is_lost_keeps_its_addresses(servers, dns, pgroute):
    a, = servers(A)
    one = pgroute(config=named(dns, a.port, [A]))
    with wire.Client(one.port).login() as client:
        assert where(client) == A
        del dns.names[NAME]
        dns.wait_asked(NAME, 3)
        assert where(client) == A
        assert a.logins == 1
        a.connections[0].socket.shutdown(socket.SHUT_RDWR)
        assert where(client) == A


def test_f22_monitor_that_dies_learns_the_addresses_anew(servers, dns, pgroute):
    a, b = servers(A, B)
    one = pgroute(config=named(dns, a.port, [A]))
    with wire.Client(one.port).login() as client:
        assert where(client) == A
        victim = one.pid("monitor")
        dns.names[NAME] = [B]
        one.kill(victim)
        one.wait_respawn("monitor", victim)
        proc.wait_for(lambda: where(client) == B, "the new address to be used")


def test_b55_connect_timeout_of_0_is_none(servers, dns, pgroute, threads):
    waiting, go_on = threading.Event(), threading.Event()

    def login(conn):
        waiting.set()
        assert go_on.wait(proc.PATIENCE)
        conn.authenticate("trust", None)
        conn.greet()

    a, = servers(A, login=login)
    one = pgroute(config=named(dns, a.port, [A], defaults={"connect_timeout": 0}))
    threads.start(lambda: where(wire.Client(one.port).login()))
    assert waiting.wait(proc.PATIENCE)
    proc.wait_for(lambda: one.pool()["sv_login"] == 1, "the login to be seen")
    go_on.set()
    assert threads.join() == [A]
