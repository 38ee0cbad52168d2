"""Processes that die or hang, servers that go away: nothing takes more with it than itself. (B7 B41 B66 F8-like ends)"""
import contextlib
import os
import signal
import socket
import threading
import time

import psycopg
import pytest

from harness import proc, wire
from harness.load import Crowd
from harness.marks import both_versions
from harness.pgroute import PLAIN
from harness.wire import query

LOST = ("08006", "08003", "08000", "57P01", "57P02")


def whole(one, pg, size, workers):
    """The pool is whole again: every place can be used at once, and no more than its limit exists."""
    proc.wait_for(lambda: len(one.pids("worker")) == workers and one.pids("monitor") and one.pids("stats"), "all processes to run")
    clients = [wire.Client(one.port).login() for _ in range(size + 1)]
    for client in clients[:size]:
        assert not client.query("BEGIN").errors
    pg.wait_backends(size, "app")
    clients[size].send(query("SELECT 'beyond'"))
    proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "the client beyond the limit to wait")
    clients[0].query("COMMIT")
    assert clients[size].ready().value() == "beyond"
    for client in clients:
        client.terminate()
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    proc.wait_for(lambda: one.pool()["cl_active"] == one.pool()["cl_waiting"] == 0, "no client to be left in the books")


def test_b7_b66_kill_a_worker_under_load(pg, pgroute):
    """B7 B66: only its own clients notice; the pool is whole and was never above its limit. (tests/fault has every crash point.)"""
    one = pgroute(pg, workers=3, defaults={"pool_size": 5})
    owners = {}

    def connect(n):
        db = one.connect()
        owners[n] = one.worker_of(port_of(db))
        return db

    with pg.counting("app") as backends:
        with Crowd(one, 30, connect=connect, tolerate=True) as crowd:
            for _ in range(3):
                crowd.go_on(3)
                victim = next(pid for pid in one.pids("worker") if pid in owners.values())
                theirs = {n for n, pid in owners.items() if pid == victim and n not in crowd.broken}
                assert theirs
                one.kill(victim)
                one.wait_respawn("worker", victim, 3)
                proc.wait_for(lambda: theirs <= set(crowd.broken), "its own clients to notice")
                crowd.go_on(5)
                for n in list(owners):
                    if owners[n] == victim:
                        owners.pop(n)
                if len(crowd.broken) == 30:
                    break
        never = [n for n in crowd.broken if n in owners]
        assert not never, f"clients of living workers were hit: {[(n, crowd.broken[n]) for n in never]}"
        whole(one, pg, 5, 3)
    assert backends.highest <= 5


def port_of(db):
    """The local port of a psycopg connection."""
    with socket.socket(fileno=os.dup(db.pgconn.socket)) as sock:
        return sock.getsockname()[1]


STATES = ["idle", "query", "transaction", "queued", "login", "copy-in", "copy-out", "pinned", "cancelling", "listening"]


@pytest.mark.parametrize("state", STATES)
def test_b66_kill_a_worker_in_each_state(pg, pgroute, state):
    """B66: whatever its client was doing, what it held comes back clean."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS dying; CREATE TABLE dying (x text); GRANT ALL ON dying TO app")
    clients = [wire.Client(one.port).login() for _ in range(20)]
    by_worker = {}
    for client in clients:
        by_worker.setdefault(one.worker_of(client.socket.getsockname()[1]), []).append(client)
    assert len(by_worker) == 2
    (victim, (a, *_)), (other, (b, c, *_)) = by_worker.items()
    with pg.counting("app") as backends:
        if state == "query":
            a.send(query("SELECT pg_sleep(600)"))
            pg.wait_query("pg_sleep(600)")
        elif state == "transaction":
            a.query("BEGIN")
            a.query("INSERT INTO dying VALUES ('open')")
        elif state == "queued":
            b.query("BEGIN")
            c.query("BEGIN")
            a.send(query("SELECT 1"))
            proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "it to wait")
        elif state == "login":
            half = wire.Client(one.port)
            half.send(wire.startup({"user": "app", "database": "app"}))
            half.expect("R")
            victim = one.worker_of(half.socket.getsockname()[1])
            b, c = next(group for pid, group in by_worker.items() if pid != victim)[:2]
        elif state == "copy-in":
            a.send(query("COPY dying FROM STDIN"), wire.copy_data(b"half\n"))
            a.recv_until("G")
        elif state == "copy-out":
            a.send(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"))
            a.recv_until("H")
        elif state == "pinned":
            a.query("SET work_mem = '77MB'")
        elif state == "cancelling":
            a.send(query("SELECT pg_sleep(600)"))
            pg.wait_query("pg_sleep(600)")
            for _ in range(5):
                with wire.Wire(socket.create_connection(("127.0.0.1", one.port))) as w:
                    w.send(wire.cancel_request(a.pid, a.key))
        elif state == "listening":
            a.query("LISTEN news")
        one.kill(victim)
        one.wait_respawn("worker", victim, 2)
        if state == "queued":
            b.query("COMMIT")
            c.query("COMMIT")
        for client in (b, c):
            assert client.query("SELECT 'unharmed'").value() == "unharmed"
            assert client.query("SHOW work_mem").value() == "4MB"
            assert client.query("SELECT count(*) FROM dying").value() == "0"
        for client in clients:
            client.close()
        whole(one, pg, 2, 2)
    assert backends.highest <= 2


@pytest.mark.parametrize("role", ["monitor", "stats"])
def test_b66_kill_monitor_or_stats_under_load(pg, pgroute, role):
    """B66: nobody notices."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 4})
    with pg.counting("app") as backends:
        with Crowd(one, 20) as crowd:
            for _ in range(4):
                victim = one.pid(role)
                one.kill(victim)
                one.wait_respawn(role, victim)
                crowd.go_on(5)
        proc.wait_for(one.ready, "the stats process to answer")
        whole(one, pg, 4, 2)
    assert backends.highest <= 4


def test_b66_monitor_dies_while_it_has_work(pg, pgroute):
    """A worker and the monitor die together, several times; only the monitor repairs."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})
    for _ in range(4):
        clients = [wire.Client(one.port).login() for _ in range(6)]
        for client in clients[:3]:
            client.query("BEGIN")
        worker, monitor = one.pids("worker")[0], one.pid("monitor")
        one.kill(worker)
        one.kill(monitor)
        one.wait_respawn("worker", worker, 2)
        one.wait_respawn("monitor", monitor)
        for client in clients:
            client.close()
        whole(one, pg, 3, 2)


def test_kill_every_worker_at_once(pg, pgroute):
    one = pgroute(pg, workers=3, defaults={"pool_size": 3})
    for _ in range(3):
        clients = [wire.Client(one.port).login() for _ in range(9)]
        for client in clients[:3]:
            client.query("BEGIN")
        old = one.pids("worker")
        for pid in old:
            one.kill(pid)
        proc.wait_for(lambda: len(one.pids("worker")) == 3 and not set(old) & set(one.pids("worker")), "new workers")
        for client in clients:
            client.expect_closed()
        whole(one, pg, 3, 3)


def test_server_connections_outlive_a_worker(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})
    with Crowd(one, 12) as crowd:
        crowd.go_on(2)
    pids = pg.pids("app")
    victim = one.pids("worker")[0]
    one.kill(victim)
    one.wait_respawn("worker", victim, 2)
    whole(one, pg, 3, 2)
    assert len(pids & pg.pids("app")) >= len(pids) - 1, "idle server connections were lost with a worker that did not hold them"


def test_counters_survive_a_worker(pg, pgroute):
    one = pgroute(pg, workers=2)
    with wire.Client(one.port).login() as client:
        for _ in range(25):
            client.query("SELECT 1")
    before = total(one)
    for victim in one.pids("worker"):
        one.kill(victim)
        one.wait_respawn("worker", victim, 2)
    assert total(one) >= before >= 25


def total(one, what="total_query_count"):
    return sum(int(row[what]) for row in one.show("stats"))


def test_descriptors_do_not_leak_over_deaths(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})

    def round_of():
        clients = [wire.Client(one.port).login() for _ in range(8)]
        for client in clients[:3]:
            client.query("BEGIN")
        victim = one.pids("worker")[0]
        one.kill(victim)
        one.wait_respawn("worker", victim, 2)
        for client in clients:
            client.close()
        whole(one, pg, 3, 2)
        return proc.open_files(one.process.pid)

    first = round_of()
    for _ in range(4):
        last = round_of()
    assert last <= first + 3, "open files of the master"


def test_watchdog_replaces_a_stopped_worker(pg, pgroute):
    one = pgroute(pg, workers=2, watchdog_timeout="5s", defaults={"pool_size": 3})
    clients = [wire.Client(one.port).login() for _ in range(20)]
    victim = one.worker_of(clients[0].socket.getsockname()[1])
    others = [c for c in clients if one.worker_of(c.socket.getsockname()[1]) != victim]
    assert others
    one.kill(victim, signal.SIGSTOP)
    with proc.Threads() as group:
        for n in range(30):
            group.start(lambda n=n: wire.Client(one.port).login().query(f"SELECT {n}").value())
        for client in others:
            assert client.query("SELECT 'unharmed'").value() == "unharmed"
        assert sorted(int(v) for v in group.join()) == list(range(30))
    one.wait_respawn("worker", victim, 2)
    for client in clients:
        client.close()
    whole(one, pg, 3, 2)


def test_watchdog_a_connection_given_to_a_stopped_worker_comes_back(pg, pgroute):
    one = pgroute(pg, workers=2, watchdog_timeout="5s", defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(20)]
    groups = {}
    for client in clients:
        groups.setdefault(one.worker_of(client.socket.getsockname()[1]), []).append(client)
    (victim, (a, *_)), (_, (b, c, *_)) = groups.items()
    b.query("BEGIN")
    a.send(query("SELECT 1"))
    proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "a to wait")
    one.kill(victim, signal.SIGSTOP)
    b.query("COMMIT")
    assert c.query("SELECT 'served'").value() == "served"
    one.wait_respawn("worker", victim, 2)
    for client in clients:
        client.close()
    whole(one, pg, 1, 2)


@pytest.mark.parametrize("role", ["monitor", "stats"])
def test_watchdog_replaces_a_stopped_helper(pg, pgroute, role):
    one = pgroute(pg, watchdog_timeout="5s")
    victim = one.pid(role)
    one.kill(victim, signal.SIGSTOP)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"
        one.wait_respawn(role, victim)
        assert client.query("SELECT 2").value() == "2"
    proc.wait_for(one.ready, "readiness")


def test_children_end_with_their_master(pg, pgroute):
    one = pgroute(pg)
    wire.Client(one.port).login().terminate()
    family = one.family()
    one.kill(one.process.pid)
    one.process.wait()
    proc.wait_for(lambda: not any(proc.alive(pid) for pid in family), "the children to end")
    pg.wait_backends(0)
    one.begin()
    proc.wait_for(one.serves, "a new start over what the dead one left")
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


@pytest.mark.parametrize("role", ["worker", "monitor", "stats"])
def test_child_that_dies_at_start_is_not_forked_in_a_loop(pg, pgroute, role):
    """Killed as soon as it is there, it is forked again after 0, 1, 2, 4 s; without a back-off it would be each 100 ms. (One
    that this test was too slow to kill at once begins anew.)"""
    one = pgroute(pg, workers=1)
    pauses = []

    def die_again():
        victim, killed = one.pid(role), time.monotonic()
        one.kill(victim)
        one.wait_respawn(role, victim)
        pauses.append(time.monotonic() - killed)

    while not pauses or pauses[-1] < 1.9:
        assert len(pauses) < 10, f"no pause of two seconds: {pauses}"
        die_again()
    proc.wait_for(lambda: one.pids(role) and one.ready(), "it to be forked again after its back-off")
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


def test_worker_that_has_served_is_forked_again_at_once(pg, pgroute):
    """However young it was: eight deaths, each after a query; with a back-off the last ones would wait for a minute."""
    one = pgroute(pg, workers=1)

    def die_and_come_again():
        for _ in range(8):
            client = proc.wait_for(lambda: login_or_none(one), "a login")
            assert client.query("SELECT 1").value() == "1"
            victim = one.pid("worker")
            one.kill(victim)
            client.expect_closed()
            one.wait_respawn("worker", victim)

    with proc.Threads(timeout=proc.PATIENCE) as group:
        group.start(die_and_come_again)


def login_or_none(one):
    try:
        return wire.Client(one.port).login()
    except (wire.ServerError, wire.Closed, OSError):
        return None


def test_all_processes_run_under_valgrind(pg, pgroute, tmp_path):
    """With sandbox: false; valgrind finds nothing to complain about in any of them."""
    tmp_path.chmod(0o777)
    one = pgroute(pg, build=PLAIN, sandbox=False, wait=False)
    one.begin(prefix=["valgrind", "--quiet", "--leak-check=no", "--error-exitcode=9", f"--log-file={tmp_path}/%p"])
    proc.wait_for(lambda: len(proc.children(one.process.pid)) == 4 and one.ready(), "pgroute to serve", timeout=2 * proc.PATIENCE)
    with one.connect() as db:
        for n in range(10):
            assert db.execute("SELECT %s::int + 1", [n]).fetchone() == (n + 1,)
    one.reload()
    assert one.show("pools") and one.metrics()
    one.term()
    assert one.wait() == 0
    reports = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert len(reports) == 5 and not "".join(reports.values()), reports


# -- servers that go away

@both_versions
def test_b41_restart_of_postgresql_costs_no_error_to_idle_clients(own_pg, pgroute, pg):
    """B41: the first query after it works, on ten connections at once."""
    mine = own_pg(pg.version)
    one = pgroute(mine, workers=2, defaults={"pool_size": 10})
    clients = [wire.Client(one.port).login() for _ in range(10)]
    for mode in ("fast", "immediate"):
        for client in clients:
            client.query("BEGIN")
        mine.wait_backends(10)
        for client in clients:
            client.query("COMMIT")
        mine.restart(mode)
        for client in clients:
            assert client.query("SELECT 'after'").value() == "after"


@both_versions
def test_b41_terminated_idle_connections_are_never_handed_out(pg, pgroute):
    """B41: five times all of them."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 5})
    clients = [wire.Client(one.port).login() for _ in range(5)]
    for turn in range(5):
        for client in clients:
            client.query("BEGIN")
        for client in clients:
            client.query("COMMIT")
        pids = pg.pids("app")
        assert len(pids) == 5
        pg.terminate(pids)
        for client in clients:
            assert client.query(f"SELECT {turn}").value() == str(turn)


@both_versions
def test_server_connection_that_dies_in_a_query(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 2})
    with wire.Client(one.port).login() as other:
        for begin in (False, True):
            client = wire.Client(one.port).login()
            if begin:
                client.query("BEGIN")
            client.send(query("SELECT pg_sleep(600)"))
            pid = pg.wait_query("pg_sleep(600)")
            pg.look("SELECT pg_terminate_backend(%s)", pid)
            seen = client.recv_until("E")
            assert wire.error_fields(seen[-1].body)["C"] in LOST
            client.close()
            assert other.query("SELECT 'unharmed'").value() == "unharmed"


def test_server_restart_under_load(own_pg, pgroute):
    pg = own_pg()
    one = pgroute(pg, workers=2, defaults={"pool_size": 4})

    def step(db, n):
        try:
            assert db.query(f"SELECT {n}").value() == str(n)
        except wire.ServerError as problem:
            assert problem.sqlstate[:2] in ("08", "57"), problem

    def connect(n):
        return wire.Client(one.port).login()

    with Crowd(one, 16, step, connect, tolerate=True) as crowd:
        crowd.go_on(5)
        pg.restart("immediate")
        assert all(not isinstance(p, AssertionError) for p in crowd.broken.values())
        crowd.go_on(5)

    def serves():
        with wire.Client(one.port) as client:
            try:
                return client.login().query("SELECT 1").value()
            except wire.ServerError:  # the last failure is told for the time of login_retry
                return None

    proc.wait_for(serves, "the restarted server to be used again")
    whole(one, pg, 4, 2)


# -- the end

@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_term_and_int_end_without_clients(pg, pgroute, signal_number):
    one = pgroute(pg)
    one.process.send_signal(signal_number)
    assert one.wait() == 0
    pg.wait_backends(0)


def test_quit_ends_at_once(pg, pgroute):
    one = pgroute(pg, shutdown_timeout="600s", shutdown_grace="600s")
    client = wire.Client(one.port).login()
    client.query("BEGIN")
    one.process.send_signal(signal.SIGQUIT)
    client.expect_closed()
    assert one.wait() == 0
    pg.wait_backends(0)


def test_b58_term_lets_transactions_end_and_closes_idle_clients(pg, pgroute):
    one = pgroute(pg, shutdown_timeout="60s", defaults={"pool_size": 3})
    idle, busy, running = (wire.Client(one.port).login() for _ in range(3))
    busy.query("BEGIN")
    running.send(query("SELECT pg_sleep(1.5), 'finished'"))
    pg.wait_query("pg_sleep(1.5)")
    one.term()
    seen = idle.expect_closed()
    assert [wire.error_fields(m.body)["C"] for m in seen if m.type == "E"] == ["57P01"]
    assert running.ready().rows == [("", "finished")]
    assert busy.query("SELECT 'still'").value() == "still"
    assert busy.query("COMMIT").tags == ["COMMIT"]
    busy.expect_closed()
    assert one.wait() == 0
    pg.wait_backends(0)


def test_b58_term_cuts_at_the_deadline(pg, pgroute):
    one = pgroute(pg, shutdown_timeout="2s", defaults={"pool_size": 3})
    open_one, sleeping = (wire.Client(one.port).login() for _ in range(2))
    open_one.query("BEGIN")
    sleeping.send(query("SELECT pg_sleep(600)"))
    pg.wait_query("pg_sleep(600)")
    one.term()
    for client in (open_one, sleeping):
        seen = client.expect_closed()
        assert [wire.error_fields(m.body)["C"] for m in seen if m.type == "E"] == ["57P01"]
    assert one.wait() == 0
    pg.wait_backends(0)


def test_b58_int_is_fast(pg, pgroute):
    one = pgroute(pg, shutdown_timeout="600s")
    client = wire.Client(one.port).login()
    client.query("BEGIN")
    one.process.send_signal(signal.SIGINT)
    seen = client.expect_closed()
    assert [wire.error_fields(m.body)["C"] for m in seen if m.type == "E"] == ["57P01"]
    assert one.wait() == 0
    pg.wait_backends(0)


def test_readiness_fails_first_and_the_listener_stays_for_the_grace_time(pg, pgroute):
    one = pgroute(pg, shutdown_grace="3s", shutdown_timeout="60s")
    with wire.Client(one.port).login() as client:
        client.query("BEGIN")
        assert one.get("/readyz")[0] == 200
        one.term()
        proc.wait_for(lambda: one.get("/readyz")[0] == 503, "readiness to fail")
        with wire.Client(one.port).login() as late:
            assert late.query("SELECT 'still served'").value() == "still served"
            late.terminate()
        client.query("COMMIT")
    assert one.wait() == 0


def test_too_few_descriptors_are_raised_to_the_hard_limit(pg, pgroute):
    one = pgroute(pg, wait=False)
    one.begin(prefix=["prlimit", "--nofile=64:"])
    proc.wait_for(one.serves, "pgroute to serve")
    clients = [wire.Client(one.port).login() for _ in range(150)]
    for client in clients:
        client.close()


def test_b37_clients_beyond_the_open_files_are_told(pg, pgroute):
    """Each one that is too many is refused with its reason, at once; servers still get theirs; who comes later is served."""
    one = pgroute(pg, wait=False, workers=1, defaults={"pool_size": 5})
    one.begin(prefix=["prlimit", "--nofile=100:100"])
    proc.wait_for(one.serves, "pgroute to serve")
    clients, refused = [], []
    for _ in range(150):
        try:
            clients.append(wire.Client(one.port).login())
        except wire.ServerError as problem:
            refused.append(problem)
    assert len(clients) > 40 and len(clients) + len(refused) == 150
    assert {problem.sqlstate for problem in refused} == {"53300"} and "LimitNOFILE" in refused[0].fields["H"]
    with contextlib.ExitStack() as stack:
        for client in clients[:5]:
            stack.enter_context(client)
            assert not client.query("BEGIN").errors
        for client in clients[:5]:
            assert not client.query("COMMIT").errors
    for client in clients[5:]:
        assert client.query("SELECT 1").value() == "1"
        client.close()

    def served():
        try:
            with wire.Client(one.port).login() as late:
                return late.query("SELECT 'served'").value() == "served"
        except wire.ServerError:
            return False
    proc.wait_for(served, "those that have left to be noticed")


def test_the_listener_never_refuses_while_workers_die(pg, pgroute):
    one = pgroute(pg, workers=2)
    stop, refused, served = threading.Event(), [], [0]

    def storm():
        while not stop.is_set():
            try:
                with psycopg.connect(**one.dsn()) as db:
                    db.execute("SELECT 1")
                served[0] += 1
            except psycopg.OperationalError as problem:
                if "refused" in str(problem):
                    refused.append(problem)

    with proc.Threads() as group:
        for _ in range(3):
            group.start(storm)
        for _ in range(4):
            victim = one.pids("worker")[0]
            one.kill(victim)
            one.wait_respawn("worker", victim, 2)
            so_far = served[0]
            proc.wait_for(lambda: served[0] > so_far + 5, "logins after the death")
        stop.set()
    assert not refused


def test_clients_are_accepted_while_a_worker_is_stopped(pg, pgroute):
    """It has no clients and gets none: that must not keep the other from taking more than its share. (The watchdog would replace it
    only much later than these clients are ready to wait.)"""
    one = pgroute(pg, workers=2, watchdog_timeout="600s", defaults={"pool_size": 2})
    stopped, running = one.pids("worker")
    one.kill(stopped, signal.SIGSTOP)
    try:
        proc.wait_for(lambda: proc.state(stopped) == "T", "the worker to be stopped")
        clients = [wire.Client(one.port).login() for _ in range(40)]
        for n, client in enumerate(clients):
            assert client.query(f"SELECT {n}").value() == str(n)
        assert {one.worker_of(c.socket.getsockname()[1]) for c in clients} == {running}
    finally:
        one.kill(stopped, signal.SIGCONT)
    for client in clients:
        client.terminate()


def test_a_stopped_worker_keeps_from_others_only_what_it_had_taken(pg, pgroute):
    """What was given to it and not taken goes on to those who wait elsewhere; its own client is served when it runs again."""
    one = pgroute(pg, workers=2, watchdog_timeout="600s", auth={"type": "trust"}, defaults={"pool_size": 1})
    clients, seats = [], {}
    while len(seats) < 2 or min(map(len, seats.values())) < 2:
        clients.append(wire.Client(one.port).login())
        seats.setdefault(one.worker_of(clients[-1].socket.getsockname()[1]), []).append(clients[-1])
    (stopped, (late, later, *_)), (_, (hog, other, *_)) = seats.items()
    hog.query("BEGIN")
    for n, (client, word) in enumerate([(late, "late"), (later, "later")]):
        client.send(query(f"SELECT '{word}'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == n + 1, "it to be first in the queue")
    one.kill(stopped, signal.SIGSTOP)
    try:
        proc.wait_for(lambda: proc.state(stopped) == "T", "the worker to be stopped")
        other.send(query("SELECT 'served'"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 3, "the other to be queued")
        hog.query("COMMIT")
        assert other.ready().value() == "served"
        for _ in range(20):
            assert hog.query("SELECT 'and on'").value() == "and on"
    finally:
        one.kill(stopped, signal.SIGCONT)
    assert late.ready().value() == "late" and later.ready().value() == "later"
    for client in clients:
        assert client.query("SELECT 'all'").value() == "all"
        client.terminate()
