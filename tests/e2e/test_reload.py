"""Reload: parse, validate, diff, publish; what did not change is not touched. (B53 B54 B55 O5)"""
import signal
import socket
import threading

import psycopg
import pytest

from harness import proc, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.pgroute import PLAIN, server
from harness.wire import bind, close, execute, flush, parse, query, sync


def refused(one, user="app", password=None, **kwargs):
    with wire.Client(one.port) as client, pytest.raises(wire.ServerError) as problem:
        client.login(user, password, **kwargs)
    return problem.value.sqlstate


def queries(one):
    return sum(int(row["total_query_count"]) for row in one.show("stats"))


def test_b53_reload_without_a_change_touches_nothing(pg, pgroute):
    """B53: same backends, same processes, no error, counters that never go back."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 4})
    open_one = wire.Client(one.port).login()
    open_one.query("BEGIN")
    mine = open_one.query("SELECT pg_backend_pid()").value()
    with Crowd(one, 10) as crowd:
        crowd.go_on(3)
        pg.wait_backends(4, "app")
        pids, family, last = pg.pids("app"), one.family(), queries(one)
        for n in range(100):
            one.reload() if n % 3 else one.process.send_signal(signal.SIGHUP)
            if n % 10 == 0:
                now = queries(one)
                assert now >= last
                last = now
        crowd.go_on(3)
        assert pg.pids("app") == pids and one.family() == family
    assert open_one.query("SELECT pg_backend_pid()").value() == mine
    assert open_one.query("COMMIT").tags == ["COMMIT"]
    open_one.terminate()


def test_b54_reload_refuses_nobody(pg, pgroute):
    """B54: a storm of logins during reloads from three consoles at once."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 4})
    stop, served = threading.Event(), [0] * 4

    def storm(n):
        while not stop.is_set():
            with psycopg.connect(**one.dsn()) as db:
                assert db.execute("SELECT 1").fetchone() == (1,)
            served[n] += 1

    def console():
        for _ in range(8):
            one.reload()

    with proc.Threads() as group:
        for n in range(4):
            group.start(storm, n)
        with proc.Threads() as consoles:
            for _ in range(3):
                consoles.start(console)
        start = list(served)
        proc.wait_for(lambda: all(now > then for now, then in zip(served, start)) or group.errors, "logins after the reloads")
        stop.set()


def test_b53_changed_pool_size_cuts_no_transaction(pg, pgroute):
    """B53: down and up again."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 5})
    clients = [wire.Client(one.port).login() for _ in range(5)]
    pids = []
    for client in clients:
        client.query("BEGIN")
        pids.append(client.query("SELECT pg_backend_pid()").value())
    one.change(defaults={"pool_size": 2})
    one.reload()
    for client, pid in zip(clients, pids):
        assert client.query("SELECT pg_backend_pid()").value() == pid
        client.query("COMMIT")
    pg.wait_backends(2, "app")
    with pg.counting("app") as backends, Crowd(one, 10) as crowd:
        crowd.go_on(5)
    assert backends.highest == 2
    one.change(defaults={"pool_size": 6})
    one.reload()
    with Crowd(one, 12, lambda db, n: db.execute("SELECT pg_sleep(0.01)")):
        pg.wait_backends(6, "app")
    for client in clients:
        client.terminate()


def test_reload_adds_and_removes_a_database(pg, pgroute):
    one = pgroute(pg)
    assert refused(one, database="added") == "3D000"
    one.change(databases={"added": {"servers": [server(pg)], "dbname": "app2"}})
    one.reload()
    with wire.Client(one.port).login(database="added") as client:
        client.query("BEGIN")
        given = {**one.given, "databases": {k: v for k, v in one.given["databases"].items() if k != "added"}}
        one.configure(given)
        one.reload()
        assert refused(one, database="added") == "3D000"
        assert client.query("SELECT current_database()").value() == "app2"
        assert client.query("COMMIT").tags == ["COMMIT"]
        client.expect_closed()
    pg.wait_backends(0, database="app2")
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


def test_reload_changes_a_password_without_cutting_anybody(pg, pgroute):
    one = pgroute(pg, databases={"app": {"user": "app", "password": "app-secret"}}, users={"app": {"password": "the old"}})
    with wire.Client(one.port).login(password_text="the old") as client:
        one.change(users={"app": {"password": ["the old", "the new"]}})
        one.reload()
        for word in ("the old", "the new"):
            wire.Client(one.port).login(password_text=word).terminate()
        one.change(users={"app": {"password": "the new"}})
        one.reload()
        assert refused(one, password="the old") == "28P01"
        wire.Client(one.port).login(password_text="the new").terminate()
        assert client.query("SELECT 'still in'").value() == "still in"


def test_reload_adds_and_removes_a_user(pg, pgroute):
    one = pgroute(pg)
    given = {**one.given, "users": {k: v for k, v in one.given["users"].items() if k != "scram"}}
    whole = one.given
    one.configure(given)
    one.reload()
    assert refused(one, "scram") == "28P01"
    one.configure(whole)
    one.reload()
    wire.Client(one.port).login("scram").terminate()


def test_b53_reload_moves_to_another_server(own_pg, pgroute):
    """B53: between transactions."""
    old, new = own_pg(), own_pg("18")
    one = pgroute(old, workers=2, defaults={"pool_size": 3})
    clients = [wire.Client(one.port).login() for _ in range(6)]
    clients[0].query("BEGIN")
    assert clients[0].query("SHOW server_version").value().startswith("15")
    one.change(databases={"app": {"servers": [server(new)]}})
    one.reload()
    for client in clients[1:]:
        assert client.query("SHOW server_version").value().startswith("18")
    assert clients[0].query("SHOW server_version").value().startswith("15")
    clients[0].query("COMMIT")
    assert clients[0].query("SHOW server_version").value().startswith("18")
    old.wait_backends(0)
    for client in clients:
        client.terminate()


def test_reload_changes_limits_and_timeouts(pg, pgroute):
    one = pgroute(pg, max_clients=5)
    with wire.Client(one.port).login() as client:
        one.change(max_clients=1, defaults={"query_timeout": "500ms"})
        one.reload()
        assert refused(one) == "53300"
        client.send(query("SELECT pg_sleep(600)"))
        assert wire.error_fields(client.recv_until("E")[-1].body)["C"] == "57014"
        one.change(max_clients=10, defaults={"query_timeout": 0})
        assert one.reload().splitlines()[0] == "max_clients: 1 -> 10"
        assert one.metrics()["pgroute_max_clients"] == one.ctl("status", "--json")["max_clients"] == 10
        with wire.Client(one.port).login() as second:
            assert second.query("SELECT pg_sleep(1), 'no limit'").rows == [("", "no limit")]


def probing(sock):
    """How the kernel watches over a connection: keepalive, its idle time, interval and count, milliseconds of TCP_USER_TIMEOUT."""
    on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT) if on else ()
    return on, *(sock.getsockopt(socket.IPPROTO_TCP, option) for option in (*options, socket.TCP_USER_TIMEOUT))


def test_b36_tcp_keepalive_and_user_timeout_of_both_sides(pg, pgroute):
    """B36: the connections that are made after a reload have what it says, also that there is none. (Nothing is cut off here.)"""
    one = pgroute(pg, workers=1, defaults={"pool_mode": "session"})

    def new_connection():
        with wire.Client(one.port).login() as client:
            ours = int(client.query("SELECT client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()").value())
            seen = []
            for inode in (proc.inodes_of(one.port)[client.socket.getsockname()[1]], proc.inodes_of(ours)[pg.port]):
                with proc.socket_of(one.pid("worker"), inode) as sock:
                    seen.append(probing(sock))
            pg.terminate(pg.pids("app"))
        pg.wait_backends(0)
        assert seen[0] == seen[1]
        return seen[0]

    assert new_connection() == (1, 60, 10, 3, 30_000)
    one.change(tcp_keepalive={"idle": "61s", "interval": "11s", "count": 4}, tcp_user_timeout="1500ms")
    one.reload()
    assert new_connection() == (1, 61, 11, 4, 1500)
    one.change(tcp_keepalive={"idle": 0}, tcp_user_timeout=0)
    one.reload()
    assert new_connection() == (0, 0)


def test_reload_changes_the_mode_of_new_sessions(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1, "pool_mode": "transaction"})
    with wire.Client(one.port).login() as a:
        a.query("SELECT 1")
        one.change(defaults={"pool_mode": "session"})
        one.reload()
        with wire.Client(one.port).login() as b:
            b.query("SELECT 1")
            a.send(query("SELECT 'a'"))
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "a to wait for the session of b")
            b.terminate()
            assert a.ready().value() == "a"


def prepared(client, name):
    """Runs a statement that the client has prepared: (value, pid of the server)."""
    client.send(bind("", name), execute(), sync())
    return client.ready().rows[0]


def test_a_session_keeps_the_mode_of_its_login_to_session(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 1, "pool_mode": "transaction"})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b, wire.Client(one.port).login() as c:
        for client in (a, b, c):
            client.send(parse("mine", f"SELECT 'of {id(client)}', pg_backend_pid()"), sync())
            client.ready()
        b.query("BEGIN")
        c.send(parse("half", "SELECT 'half', 0"), flush())
        one.change(defaults={"pool_mode": "session"})
        one.reload()
        assert prepared(b, "mine")[0] == f"of {id(b)}"
        b.query("COMMIT")
        assert c.recv().type == "1"
        c.send(bind("", "half"), execute(), sync())
        assert c.ready().rows == [("half", "0")]
        pids = {prepared(client, "mine") for client in (a, b, c, a, b, c)}
        assert pids == {(f"of {id(client)}", pid) for client in (a, b, c) for _, pid in pids}
        with wire.Client(one.port).login() as d:
            d.send(parse("mine", "SELECT 'of d', 1"), sync())
            d.ready()
            a.send(query("SELECT 'a'"))
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "a to wait for the session of d")
            assert d.query("SELECT name FROM pg_prepared_statements WHERE name = 'mine'").rows == [("mine",)]
            d.terminate()
        assert a.ready().value() == "a"


@both_versions
def test_a_session_keeps_the_mode_of_its_login_to_transaction(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2, "pool_mode": "session"})
    with wire.Client(one.port).login() as a:
        for sql in ("SET work_mem = '77MB'", "CREATE TEMP TABLE mine AS SELECT 'kept' AS v", "PREPARE p AS SELECT 'p'"):
            a.query(sql)
        a.send(parse("mine", "SELECT v, pg_backend_pid() FROM mine"), sync())
        a.ready()
        one.change(defaults={"pool_mode": "transaction"})
        one.reload()
        b, c = wire.Client(one.port).login(), wire.Client(one.port).login()
        for client in (b, c, b, c):
            client.send(parse("", "SELECT 1"), bind(), execute(), sync())
            assert client.ready().rows == [("1",)]
            assert client.query("SHOW work_mem").value() == "4MB"
            assert a.query("SHOW work_mem").value() == "77MB"
            assert a.query("EXECUTE p").value() == "p"
            assert prepared(a, "mine")[0] == "kept"
        a.send(close("S", "mine"), sync(), bind("", "mine"), execute(), sync())
        assert a.ready().types == "3Z" and a.ready().sqlstates == ["26000"]
        a.terminate()
        b.query("BEGIN")
        assert c.query("SHOW work_mem").value() == "4MB"
        for client in (b, c):
            client.terminate()


def test_a_session_keeps_the_tracking_of_its_login(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2, "prepared_statements": 100})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        a.send(parse("mine", "SELECT 'a', 0"), sync())
        a.ready()
        one.change(defaults={"prepared_statements": 0})
        one.reload()
        with wire.Client(one.port).login() as c:
            c.send(parse("mine", "SELECT 'c', 0"), sync())
            c.ready()
            assert c.query("SELECT name FROM pg_prepared_statements WHERE name = 'mine'").rows == [("mine",)]
            assert prepared(a, "mine") == ("a", "0")
            one.change(defaults={"prepared_statements": 100})
            one.reload()
            b.send(parse("mine", "SELECT 'b', 0"), sync())
            b.ready()
            for _ in range(2):
                assert [prepared(client, "mine")[0] for client in (a, b, c)] == ["a", "b", "c"]


def test_a_lowered_number_of_statements_is_reached(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1, "prepared_statements": 100})
    count = "SELECT count(*) FROM pg_prepared_statements"
    with wire.Client(one.port).login() as client:
        for n in range(100):
            client.send(parse(f"s{n}", f"SELECT {n}, 0"), sync())
            client.ready()
        assert client.query(count).value() == "100"
        for limit in (20, 0):
            one.change(defaults={"prepared_statements": limit})
            one.reload()
            for n in range(40):  # each new one makes room for more than itself
                client.send(parse(f"new{limit}-{n}", f"SELECT {n}, {limit}"), sync())
                client.ready()
                assert prepared(client, f"s{n}") == (str(n), "0")
            assert int(client.query(count).value()) <= max(limit, 1)


BAD = {
    "unknown-key": ({"databasez": {}}, "databases"), "wrong-type": ({"max_clients": "many"}, None), "unknown-in-defaults": ({"defaults": {"pool_sise": 3}}, "pool_size"),
    "bad-duration": ({"cancel_timeout": "soon"}, None), "bad-mode": ({"defaults": {"pool_mode": "transactoin"}}, "transaction"),
    "negative": ({"defaults": {"pool_size": -1}}, None), "not-supported-yet": ({"notices": True}, None),
}


@pytest.mark.parametrize("bad", BAD)
def test_b55_a_bad_file_changes_nothing_and_says_why(pg, pgroute, bad):
    changes, suggestion = BAD[bad]
    one = pgroute(pg, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as client:
        pid = client.query("SELECT pg_backend_pid()").value()
        good = one.file.read_text()
        one.change(**changes)
        for verb in ("check", "reload"):
            done = one.ctl_run(verb)
            out = done.stdout + done.stderr
            assert done.returncode != 0, verb
            assert f"{one.file.name}:" in out and out.split(f"{one.file.name}:")[1].split(":")[0].isdigit(), out
            assert suggestion is None or suggestion in out
            assert len(out.strip().splitlines()) == 1, out
        if bad == "not-supported-yet":
            assert "not supported yet" in out
        assert client.query("SELECT pg_backend_pid()").value() == pid
        with wire.Client(one.port).login() as second:
            assert second.query("SELECT 1").value() == "1"
        one.file.write_text(good)
        one.reload()
        assert one.ctl_run("check").returncode == 0


@pytest.mark.parametrize("text, line", [("databases: [\n", None), ("listen: [\"127.0.0.1:1\"]\nworkers: 2\nworkers: 3\n", 3),
                                        ("\tx: 1\n", 1)])
def test_b55_files_that_are_no_configuration(pg, pgroute, text, line):
    one = pgroute(pg)
    good = one.file.read_text()
    one.file.write_text(text)
    done = one.ctl_run("check")
    assert done.returncode != 0 and one.file.name in done.stdout + done.stderr
    assert line is None or f"{one.file.name}:{line}:" in done.stdout + done.stderr
    one.process.send_signal(signal.SIGHUP)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"
    one.file.write_text(good)
    one.reload()


def test_reload_takes_up_an_included_file(pg, pgroute):
    one = pgroute(pg, wait=False, include=["conf.d/*.yaml"])
    folder = one.folder / "conf.d"
    folder.mkdir()
    one.start()
    assert refused(one, database="included") == "3D000"
    (folder / "more.yaml").write_text(f"databases:\n  included: {{dbname: app2, servers: [{{host: 127.0.0.1, port: {pg.port}}}]}}\n")
    one.reload()
    with wire.Client(one.port).login(database="included") as client:
        assert client.query("SELECT current_database()").value() == "app2"


def test_many_reloads_leave_memory_and_descriptors_flat(pg, pgroute):
    one = pgroute(pg, build=PLAIN, workers=2)
    with Crowd(one, 4) as crowd:
        def round_of(number):
            for n in range(number):
                one.change(defaults={"pool_size": 3 + n % 3}, users={f"extra{n % 5}": {"password": "x" * 100}})
                one.reload()
            crowd.go_on(2)

        round_of(20)
        files, memory = sum(map(proc.open_files, one.family())), one.memory("Private_Dirty")
        round_of(60)
        assert sum(map(proc.open_files, one.family())) <= files + 6
        assert one.memory("Private_Dirty") - memory < 8_000


def included(pg, dbname, name="included"):
    return f"databases:\n  {name}: {{dbname: {dbname}, servers: [{{host: 127.0.0.1, port: {pg.port}}}]}}\n"


def database_behind(one, name="included"):
    """What a client that asks for that database gets: its name on the server, or the SQLSTATE of the refusal."""
    try:
        with wire.Client(one.port).login(database=name) as client:
            return client.query("SELECT current_database()").value()
    except wire.ServerError as problem:
        return problem.sqlstate


@pytest.fixture
def watched(pg, pgroute):
    """A pgroute that includes conf.d/*.yaml, whose folder is empty."""
    one = pgroute(pg, wait=False, include=["conf.d/*.yaml"])
    one.conf = one.folder / "conf.d"
    one.conf.mkdir()
    return one.start()


def test_f31_included_files_are_watched(pg, watched):
    file = watched.conf / "more.yaml"
    assert database_behind(watched) == "3D000"
    for text, seen in ((included(pg, "app2"), "app2"), (included(pg, "app"), "app")):
        file.write_text(text)
        proc.wait_for(lambda: database_behind(watched) == seen, f"the database to be {seen}")
    file.unlink()
    proc.wait_for(lambda: database_behind(watched) == "3D000", "it to be gone")


def test_f31_a_change_of_a_config_map_is_a_reload(pg, watched):
    """As the kubelet does it: files are links through ..data, which is a link to a folder and is replaced as a whole."""
    def put(version, **files):
        folder = watched.conf / version
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)
        (watched.conf / "..data_tmp").symlink_to(version)
        (watched.conf / "..data_tmp").rename(watched.conf / "..data")

    put("..1", more=included(pg, "app2"))
    (watched.conf / "more.yaml").symlink_to("..data/more.yaml")
    proc.wait_for(lambda: database_behind(watched) == "app2", "the first version")
    put("..2", more=included(pg, "app"))
    proc.wait_for(lambda: database_behind(watched) == "app", "the second version")


def test_f31_what_an_included_file_includes_is_watched(pg, watched):
    (watched.conf / "sub").mkdir()
    (watched.conf / "more.yaml").write_text("include: [sub/*.yaml]\n")
    watched.reload()
    (watched.conf / "sub" / "deep.yaml").write_text(included(pg, "app2"))
    proc.wait_for(lambda: database_behind(watched) == "app2", "the deeper file to be taken up")


def test_f31_b55_a_bad_included_file_changes_nothing_and_is_told_once(pg, watched):
    (watched.conf / "more.yaml").write_text(included(pg, "app2"))
    proc.wait_for(lambda: database_behind(watched) == "app2", "the good file to be taken up")
    before = watched.ctl("status", "--json")["reloads"]
    (watched.conf / "bad.yaml").write_text("databasez: {}\n")
    proc.wait_for(lambda: "bad.yaml:1" in watched.text(), "the error to be logged")
    assert database_behind(watched) == "app2"
    (watched.conf / "third.yaml").write_text(included(pg, "app", "third"))
    proc.wait_for(lambda: watched.text().count("bad.yaml:1") == 2, "the next change to be tried")
    assert database_behind(watched, "third") == "3D000"
    assert watched.ctl("status", "--json")["reloads"] == before
    (watched.conf / "bad.yaml").unlink()
    proc.wait_for(lambda: database_behind(watched, "third") == "app", "the others to be taken up")
    assert watched.text().count("bad.yaml:1") == 2


def test_f31_nothing_is_reloaded_without_a_change(pg, watched):
    (watched.conf / "more.yaml").write_text(included(pg, "app2"))
    watched.reload()
    before = watched.ctl("status", "--json")["reloads"]
    (watched.conf / "README").write_text("no configuration")
    (watched.conf / "last.yaml").write_text(included(pg, "app2", "last"))
    proc.wait_for(lambda: database_behind(watched, "last") == "app2", "the last file to be taken up")
    assert watched.ctl("status", "--json")["reloads"] == before + 1


def busy_and_idle(one, busy, idle, user="app"):
    """The clients of as many server connections; the first `busy` are in a transaction, the others' are idle."""
    clients = [wire.Client(one.port).login(user) for _ in range(busy + idle)]
    for client in clients:
        assert not client.query("BEGIN").errors
    for client in clients[busy:]:
        client.query("COMMIT")
    return clients


LOWERED = {
    "pool_size": ({"pool_size": 8}, {"pool_size": 2}),
    "pool_size-with-reserve": ({"pool_size": 8, "reserve_pool_size": 6}, {"pool_size": 2}),
    "max_db_connections": ({"pool_size": 8, "max_db_connections": 8}, {"max_db_connections": 2}),
    "new-max_db_connections": ({"pool_size": 8}, {"max_db_connections": 2}),
}


@pytest.mark.parametrize("limit", LOWERED)
def test_a_lowered_limit_closes_idle_connections_at_once(pg, pgroute, limit):
    before, after = LOWERED[limit]
    one = pgroute(pg, workers=2, defaults={**before, "server_idle_timeout": "10m"})
    clients = busy_and_idle(one, 0, 8)
    assert len(pg.pids("app")) == 8
    one.change(defaults=after)
    one.reload()
    pg.wait_backends(2, "app")
    for client in clients:
        assert client.query("SELECT 'still in'").value() == "still in"
        client.terminate()


@pytest.mark.parametrize("limit", LOWERED)
def test_a_lowered_limit_closes_busy_connections_when_they_are_done(pg, pgroute, limit):
    before, after = LOWERED[limit]
    one = pgroute(pg, workers=2, defaults={**before, "server_idle_timeout": "10m"})
    clients = busy_and_idle(one, 8, 0)
    mine = [client.query("SELECT pg_backend_pid()").value() for client in clients]
    one.change(defaults=after)
    one.reload()
    for client, pid in zip(clients, mine):
        assert client.query("SELECT pg_backend_pid()").value() == pid
        assert client.query("COMMIT").tags == ["COMMIT"]
    pg.wait_backends(2, "app")
    with Crowd(one, 6) as crowd, pg.counting("app") as backends:
        crowd.go_on(5)
    assert backends.highest == 2
    for client in clients:
        client.terminate()


def test_a_lowered_max_db_connections_spares_the_busy_ones_while_there_are_idle_ones(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 8, "max_db_connections": 8, "server_idle_timeout": "10m"})
    clients = busy_and_idle(one, 4, 4)
    mine = [client.query("SELECT pg_backend_pid()").value() for client in clients[:4]]
    one.change(defaults={"max_db_connections": 4})
    one.reload()
    pg.wait_backends(4, "app")
    for client in clients[:4]:
        client.query("COMMIT")
    assert {int(pid) for pid in mine} == pg.pids("app")
    for client in clients:
        assert client.query("SELECT 'all'").value() == "all"
        client.terminate()


def test_a_lowered_max_db_connections_takes_from_the_pool_that_has_most(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 8, "max_db_connections": 10, "server_idle_timeout": "10m"})
    clients = busy_and_idle(one, 0, 7) + busy_and_idle(one, 0, 3, user="scram")
    assert (len(pg.pids("app")), len(pg.pids("scram"))) == (7, 3)
    one.change(defaults={"max_db_connections": 4})
    one.reload()
    pg.wait_backends(2, "app")
    pg.wait_backends(2, "scram")
    for client in clients:
        assert client.query("SELECT 'all'").value() == "all"
        client.terminate()
