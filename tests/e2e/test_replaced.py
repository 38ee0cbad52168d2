"""Another server at the address of the old one: upgraded, failed over, configured anew. What was learned of the old one is
learned again, and connections to it end when nobody uses them."""
import pytest

from harness import fakeserver as fs
from harness import proc, wire


class Release:
    """What servers report at logins from now on, and whether they take settings. Queries are answered by the number of the
    connection that they came over."""

    def __init__(self, version="15.8"):
        self.version, self.refuses = version, False

    def login(self, conn):
        conn.authenticate("trust", None)
        conn.greet(server_version=self.version(conn.number) if callable(self.version) else self.version)
        conn.refuses = self.refuses

    def serve(self, conn):
        status = "I"
        for got in conn.messages():
            if got.type != "Q":
                continue
            sql = wire.strings(got.body)[0]
            if sql in ("BEGIN", "COMMIT"):
                status = "T" if sql == "BEGIN" else "I"
                conn.send(fs.complete(sql), fs.ready(status))
            elif sql == "which":
                conn.send(fs.one_row(conn.number, status=status))
            elif conn.refuses:
                conn.send(fs.error("22023", "not in this release"), fs.ready(status))
            else:
                conn.send(fs.complete("SET"), fs.ready(status))


@pytest.fixture
def release(fake):
    """A release with its server."""
    one = Release()
    one.server = fake(one.serve, login=one.login)
    return one


def which(client):
    return int(client.query("which").value())


def version_told(one, **parameters):
    with wire.Client(one.port).login(**parameters) as client:
        return client.parameters["server_version"]


def begin_on_another(one, busy):
    """A new server connection: busy already use all that there are."""
    for client in busy:
        client.query("BEGIN")
    client = wire.Client(one.port).login()
    client.query("BEGIN")
    return client


@pytest.mark.parametrize("parameters", [{}, {"application_name": "x"}, {"extra_float_digits": "2"}],
                         ids=["none", "plain", "others"])
def test_upgraded_server_is_told_of_at_once(own_pg, pgroute, parameters):
    new, old = own_pg("18"), own_pg("15")
    new.stop()
    one = pgroute(old, workers=1)
    for _ in range(2):
        assert version_told(one, **parameters).startswith("15.")
    old.stop()
    new.port = old.port
    new.configure()
    new.start()
    assert proc.wait_for(lambda: not one.show("servers"), "the end of the old connections to be seen")
    for _ in range(2):
        assert version_told(one, **parameters).startswith("18.")
    with wire.Client(one.port).login(**parameters) as client:
        assert client.query("SHOW server_version").value().startswith("18.")


def test_other_server_is_told_of_from_its_first_login_on(release, pgroute):
    one = pgroute(release.server, workers=1, defaults={"pool_size": 3})
    with wire.Client(one.port).login() as first:
        assert version_told(one) == "15.8"
        release.version = "16.4"
        assert version_told(one) == "15.8", "nobody can know yet"
        with begin_on_another(one, [first]) as second:
            assert which(second) == 2
            assert version_told(one) == "16.4"
            assert version_told(one, extra_float_digits="2") == "16.4"


def test_settings_that_the_old_server_took_are_proven_anew(release, pgroute):
    one = pgroute(release.server, workers=1, defaults={"pool_size": 3})
    odd = {"extra_float_digits": "2"}
    with wire.Client(one.port).login() as first:
        assert version_told(one, **odd) == "15.8"
        release.version, release.refuses = "16.4", True
        with begin_on_another(one, [first]) as second:
            first.query("COMMIT")
            proc.wait_for(lambda: len(one.show("servers")) == 1, "the old connection to be closed")
            second.query("COMMIT")
            with wire.Client(one.port) as client, pytest.raises(wire.ServerError) as refused:
                client.login(**odd)
            assert refused.value.sqlstate == "22023"


def test_leases_on_the_old_server_end_with_their_transactions(release, pgroute):
    one = pgroute(release.server, workers=1, defaults={"pool_size": 3})
    with wire.Client(one.port).login() as first:
        first.query("BEGIN")
        assert which(first) == 1
        release.version = "16.4"
        with begin_on_another(one, [first]) as second:
            assert which(first) == 1 and which(second) == 2
            first.query("COMMIT")
            assert which(first) > 2
            second.query("COMMIT")
            assert which(first) > 1 and which(second) > 1


def test_idle_connections_to_the_old_server_are_closed(release, pgroute):
    one = pgroute(release.server, workers=1, defaults={"pool_size": 3},
                  databases={"app": {"user": "app", "password": "x", "min_pool_size": 2}})
    proc.wait_for(lambda: release.server.logins == 2, "the pool to be filled")
    release.version = "16.4"
    release.server.connections[1].socket.shutdown(2)
    proc.wait_for(lambda: release.server.logins >= 4 and len(one.show("servers")) == 2, "both to be replaced")
    with wire.Client(one.port).login() as client:
        assert client.parameters["server_version"] == "16.4" and which(client) in (3, 4)


def test_servers_that_differ_behind_one_address_do_not_close_each_others_connections(release, pgroute):
    one = pgroute(release.server, workers=1, defaults={"pool_size": 4})
    release.version = lambda number: ("15.8", "15.9")[number % 2]
    clients = [wire.Client(one.port).login() for _ in range(4)]
    for _ in range(6):
        for client in clients:
            client.query("BEGIN")
        for client in clients:
            client.query("COMMIT")
    assert len(release.server.connections) <= 6
    for client in clients:
        client.close()
