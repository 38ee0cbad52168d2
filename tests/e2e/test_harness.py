"""The harness against PostgreSQL itself: what the other tests rely on, seen to work without pgroute."""
import pytest

from harness import proc, wire
from harness.fakeserver import FakeServer
from harness.marks import both_versions
from harness.pgroute import Pgroute
from harness.postgres import USERS

ASKED = {"scram-sha-256": 10, "md5": 5, "password": 3, "trust": None}


@both_versions
@pytest.mark.parametrize("user", USERS)
def test_client_logs_in_by_every_method(pg, user):
    with wire.Client(pg.port).login(user) as client:
        assert client.asked == ASKED[USERS[user]]
        assert client.query("SELECT current_user").value() == user
        assert client.parameters["server_version"].startswith(pg.version)
        client.terminate()


@both_versions
def test_client_is_refused_with_a_wrong_password(pg):
    with pytest.raises(wire.ServerError) as refused:
        wire.Client(pg.port).login("app", "wrong")
    assert refused.value.sqlstate == "28P01"


def test_client_speaks_3_2_with_a_long_key(shared):
    with wire.Client(shared("18").port).login(version=wire.PROTOCOL_3_2) as client:
        assert not client.negotiated and len(client.key) == 32


def test_client_speaks_the_extended_protocol_slowly(pg):
    with wire.Client(pg.port).login(slowly=1) as client:
        client.send_slowly(wire.parse("s", "SELECT $1::int + 1") + wire.bind("", "s", ["41"]) + wire.execute() + wire.sync())
        result = client.ready()
        assert (result.types, result.rows) == ("12DCZ", [("42",)])


def test_cancel_reaches_postgresql(pg):
    with wire.Client(pg.port).login() as client:
        client.send(wire.query("SELECT pg_sleep(600)"))
        pg.wait_query("pg_sleep")
        wire.cancel(pg.port, client.pid, client.key)
        assert client.ready().sqlstates == ["57014"]


@pytest.mark.parametrize("auth", ["trust", "password", "md5", "scram-sha-256"])
def test_fake_server_lets_a_real_driver_in(auth):
    import psycopg
    with FakeServer(auth=auth) as fake:
        with psycopg.connect(host="127.0.0.1", port=fake.port, user="app", password="app-secret", dbname="app") as db:
            db.autocommit = True
            assert db.pgconn.exec_(b"what is asked").get_value(0, 0) == b"what is asked"


def test_backends_are_counted(pg):
    with pg.counting("app") as counting:
        with pg.connect(), pg.connect():
            pg.wait_backends(2, "app")
            proc.wait_for(lambda: counting.seen and counting.highest == 2, "the sampler to see both")
    pg.wait_backends(0)


@pytest.mark.parametrize("line", ["panic: shm/pool.c:1: assertion failed: x", "[master] segment.violated: pool 0 place 0: state 4",
                                  "==1==ERROR: AddressSanitizer: heap-use-after-free", "x.c:1:2: runtime error: shift"])
def test_trouble_in_the_log_is_noticed(line):
    one = Pgroute({})
    try:
        one.log.write_text("[master] start: serves\n")
        one.check_log()
        one.log.write_text(f"[master] start: serves\n{line}\n")
        with pytest.raises(AssertionError, match="trouble in pgroute's log"):
            one.check_log()
        one.allow("start|segment|panic|Address|shift")
        one.check_log()
    finally:
        one.close()
