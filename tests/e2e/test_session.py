"""Session mode: the session is the server's, from its pid to its startup parameters."""
import random
import threading

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
