"""What operators look at: show, stats, /metrics, health; from the segment, also while every worker is stopped. (O3 O4 O5 O13)"""
import contextlib
import json
import mmap
import os
import pwd
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import proc, wire
from harness.load import Crowd
from harness.wire import query

STATS_TEXT = ("total_xact_count", "total_query_count", "total_received", "total_sent", "total_xact_time", "total_query_time",
              "total_wait_time")
POOLS = ("database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait", "pool_mode")


def totals(one, database="app"):
    rows = [row for row in one.show("stats") if row["database"] == database]
    assert len(rows) == 1, rows
    return {key: int(value) for key, value in rows[0].items() if key.startswith("total_")}


def settled(one, database="app"):
    """The totals after every client's last transaction was counted."""
    proc.wait_for(lambda: all(row["sv_active"] == 0 for row in one.show("pools")), "no server connection to be lent")
    return totals(one, database)


@contextlib.contextmanager
def stopped(one, pids):
    try:
        for pid in pids:
            one.kill(pid, signal.SIGSTOP)
        proc.wait_for(lambda: all(proc.state(pid) == "T" for pid in pids), "them to be stopped")
        yield
    finally:
        for pid in pids:
            one.kill(pid, signal.SIGCONT)


def test_o4_totals_are_exact_over_all_workers(pg, pgroute):
    one = pgroute(pg, workers=3, defaults={"pool_size": 3})
    clients = [wire.Client(one.port).login() for _ in range(12)]
    before = settled(one)
    for client in clients:
        for _ in range(5):
            client.query("SELECT 1")
        client.query("BEGIN")
        client.query("SELECT 2")
        client.query("COMMIT")
        client.extended("SELECT 3")
    after = settled(one)
    assert after["total_query_count"] - before["total_query_count"] == 12 * 9
    assert after["total_xact_count"] - before["total_xact_count"] == 12 * 7
    assert after["total_received"] > before["total_received"] and after["total_sent"] > before["total_sent"]
    for client in clients:
        client.terminate()


def test_o4_bytes_are_those_of_the_clients(pg, pgroute):
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        before = settled(one)
        sent = query("SELECT repeat('x', 100000)")
        client.send(sent)
        received = sum(len(m.body) + 5 for m in client.ready().messages)
        after = settled(one)
    assert after["total_received"] - before["total_received"] == len(sent)
    assert after["total_sent"] - before["total_sent"] == received


def test_show_pools_tells_who_waits_and_who_works(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    clients = [wire.Client(one.port).login() for _ in range(6)]
    for client in clients[:2]:
        client.query("BEGIN")
    for client in clients[2:5]:
        client.send(query("SELECT 1"))
    row = proc.wait_for(lambda: one.pool() if one.pool()["cl_waiting"] == 3 else None, "three to wait")
    assert set(POOLS) <= set(row)
    assert (row["cl_active"], row["sv_active"], row["sv_idle"], row["pool_mode"]) == (3, 2, 0, "transaction")
    for client in clients[:2]:
        client.query("COMMIT")
    for client in clients[2:5]:
        client.ready()
    row = proc.wait_for(lambda: one.pool() if one.pool()["cl_waiting"] == 0 else None, "nobody to wait")
    assert (row["sv_active"], row["sv_idle"]) == (0, 2)
    for client in clients:
        client.terminate()


def test_o3_maxwait_is_how_long_the_oldest_waits(pg, pgroute):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as hog, wire.Client(one.port).login() as client:
        hog.query("BEGIN")
        client.send(query("SELECT 1"))
        proc.wait_for(lambda: one.pool()["maxwait"] >= 1, "maxwait to grow")
        before = totals(one)["total_wait_time"]
        hog.query("COMMIT")
        client.ready()
        assert one.pool()["maxwait"] == 0
        assert settled(one)["total_wait_time"] - before >= 1_000_000


def test_show_clients_and_servers(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    with wire.Client(one.port).login(application_name="shown here") as client:
        client.query("BEGIN")
        pid = int(client.query("SELECT pg_backend_pid()").value())
        rows = [row for row in one.show("clients") if row.get("application_name") == "shown here"]
        assert len(rows) == 1
        row = rows[0]
        assert (row["user"], row["database"], row["state"]) == ("app", "app", "active")
        assert row["port"] == client.socket.getsockname()[1] and row["addr"] == "127.0.0.1"
        servers = [row for row in one.show("servers") if row["remote_pid"] == pid]
        assert len(servers) == 1 and servers[0]["state"] == "active" and servers[0]["port"] == pg.port
        client.query("COMMIT")
        proc.wait_for(lambda: [r["state"] for r in one.show("servers") if r["remote_pid"] == pid] == ["idle"], "it to be idle")
        client.terminate()
    proc.wait_for(lambda: not one.show("clients"), "the client to be gone")


def applications(one):
    return [row["application_name"] for row in one.show("clients")]


def test_o2_show_clients_tells_the_application_name_at_all_times(pg, pgroute):
    """Also while it has no server connection; what changed it last counts, as PostgreSQL reports it."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    with wire.Client(one.port).login(application_name="at login") as client, wire.Client(one.port).login() as nameless:
        assert sorted(applications(one)) == ["", "at login"]
        assert "at login" in one.ctl("show", "clients")
        for sql, seen in (("SET application_name = 'changed'", "changed"), ("SELECT 1", "changed"),
                          ("BEGIN; SET LOCAL application_name = 'local'; COMMIT", "changed"),
                          ("BEGIN; SET application_name = 'undone'; ROLLBACK", "changed"),
                          ("SELECT set_config('application_name', 'by function', false)", "by function"),
                          ("RESET application_name", "at login"), ("SET application_name = 'again'", "again"),
                          ("DISCARD ALL", "at login")):
            assert not client.query(sql).errors
            nameless.query("SELECT 1")
            proc.wait_for(lambda: sorted(applications(one)) == ["", seen], f"{seen} after {sql}")
        client.query("SET application_name = 'last'")
        assert "last" in one.ctl("show", "clients")
        client.terminate()
    with wire.Client(one.port).login() as again:
        proc.wait_for(lambda: applications(one) == [""], "the record to be used again without the name")
        again.terminate()


def test_o13_ids_are_never_used_twice(pg, pgroute):
    """O13: not those of clients, nor those of server connections, also when the place of the one before is taken and when the
    worker has died. (There is no KILL by id before the console.)"""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    clients, servers = set(), set()
    for n in range(8):
        with wire.Client(one.port).login() as client:
            client.query("SELECT 1")
            ids = [row["id"] for row in one.show("clients")]
            assert len(ids) == 1 and ids[0] not in clients
            clients.add(ids[0])
            ids = [row["id"] for row in one.show("servers")]
            assert len(ids) == 1 and ids[0] not in servers
            servers.add(ids[0])
            client.terminate()
        proc.wait_for(lambda: not one.show("clients"), "the client to be gone")
        pg.terminate(pg.pids("app"))
        proc.wait_for(lambda: not one.show("servers"), "the server connection to be gone")
        if n % 3 == 2:
            victim = one.pids("worker")[0]
            one.kill(victim)
            one.wait_respawn("worker", victim, 2)


def test_show_config_shows_what_is_in_force(pg, pgroute):
    one = pgroute(pg, max_clients=77, defaults={"queue_timeout": "33s"})
    text = one.ctl("show", "config")
    assert re.search(r"max_clients\D+77", text) and "app-secret" not in text
    one.change(max_clients=78)
    one.reload()
    assert re.search(r"max_clients\D+78", one.ctl("show", "config"))


@pytest.mark.parametrize("what", ["pools", "servers", "clients", "stats", "config"])
def test_show_as_table_and_json(pg, pgroute, what):
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        rows = one.show(what)
        assert rows and all(isinstance(row, dict) for row in rows)
        table = one.ctl("show", what)
        for column in rows[0]:
            assert column in table


SOCKET = ("type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed "
          "ptr link remote_pid tls application_name prepared_statements id").split()
STATS = [name.format(kind) for kind, received in (("total", "received"), ("avg", "recv"))
         for name in ("{}_server_assignment_count", "{}_xact_count", "{}_query_count", "{}_" + received, "{}_sent", "{}_xact_time",
                      "{}_query_time", "{}_wait_time", "{}_client_parse_count", "{}_server_parse_count", "{}_bind_count")]
PGBOUNCERS = {
    "pools": ("database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled "
              "sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts").split(),
    "servers": SOCKET, "clients": SOCKET, "stats": ["database", *STATS],
    "databases": ("name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode "
                  "load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused "
                  "disabled").split(),
}


def test_o8_the_first_columns_are_pgbouncers(pg, pgroute):
    """In its order, so that what reads them by place works too; the dumper has a choice of them, in this order."""
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        for what, columns in PGBOUNCERS.items():
            table = one.ctl("show", what).splitlines()[0].split()
            assert table[:len(columns)] == list(one.show(what)[0])[:len(columns)] == columns, what
        dump = json.loads(one.ctl("stats", "--format", "json"))
        for what, rows in (("pools", dump["pools"]), ("stats", dump["databases"])):
            known = [name for name in rows[0] if name in PGBOUNCERS[what]]
            assert known == [name for name in PGBOUNCERS[what] if name in known] and len(known) > 7, what


def test_show_of_nothing_known_is_a_one_line_error(pg, pgroute):
    one = pgroute(pg)
    done = one.ctl_run("show", "poools")
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1 and "pools" in done.stderr


def names(metrics):
    return {re.split(r"[{ ]", line)[0] for line in metrics.splitlines() if not line.startswith("#")}


def test_stats_in_every_format(pg, pgroute):
    one = pgroute(pg, workers=2)
    with wire.Client(one.port).login() as client:
        for _ in range(7):
            client.query("SELECT 1")
    want = settled(one)["total_query_count"]
    text = one.ctl("stats", "--format", "text")
    for name in (*STATS_TEXT, "cl_active", "cl_waiting", "sv_idle"):
        assert name in text
    assert json.loads(one.ctl("stats", "--format", "json"))
    prometheus = one.ctl("stats", "--format", "prometheus")
    web = one.get("/metrics")[1]
    assert names(prometheus) == names(web)
    assert any(value == want for name, value in one.metrics().items() if "quer" in name and 'database="app"' in name)


def test_o1_metrics_are_well_formed(pg, pgroute):
    one = pgroute(pg, workers=2)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
    status, text = one.get("/metrics")
    assert status == 200 and text.endswith("\n")
    series, types = set(), {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
            assert name not in types
            types[name] = kind
        elif line and not line.startswith("#"):
            found = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)', line)
            assert found, line
            key = found.group(1) + (found.group(2) or "")
            assert key not in series, f"twice: {key}"
            series.add(key)
    histograms = [name for name, kind in types.items() if kind == "histogram"]
    for part in ("query", "transaction", "wait", "login"):
        assert any(part in name for name in histograms), (part, histograms)
    for name in histograms:
        buckets = {}
        for key, value in one.metrics().items():
            found = re.fullmatch(re.escape(name) + r'_bucket\{(.*)\}', key)
            if found:
                labels = re.sub(r',?le="([^"]*)"', "", found.group(1)).strip(",")
                limit = re.search(r'le="([^"]*)"', found.group(1)).group(1)
                buckets.setdefault(labels, []).append((float(limit.replace("+Inf", "inf")), value))
        for labels, values in buckets.items():
            counts = [count for _, count in sorted(values)]
            assert counts == sorted(counts) and max(values)[0] == float("inf"), (name, labels)


def test_metrics_count_what_happened(pg, pgroute):
    one = pgroute(pg, workers=2)
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        before = one.metrics()
        for _ in range(9):
            client.query("SELECT 1")
        settled(one)
        after = one.metrics()
    grown = {name for name in after if after[name] - before.get(name, 0) == 9}
    assert any("query" in name or "queries" in name for name in grown), grown
    assert any(name.endswith("_count") or "_count{" in name for name in grown), "no histogram has the nine"


def test_health_and_readiness(pg, pgroute):
    one = pgroute(pg)
    assert one.get("/healthz")[0] == 200
    assert one.get("/readyz")[0] == 200
    assert one.get("/nothing")[0] == 404


def test_health_fails_while_no_worker_turns_its_loop(pg, pgroute):
    """Nor is it ready then. (The master is stopped too, which would replace them.)"""
    one = pgroute(pg, workers=2, watchdog_timeout="1s")
    with stopped(one, one.pids("worker") + one.pids("master")):
        proc.wait_for(lambda: (one.get("/healthz")[0], one.get("/readyz")[0]) == (503, 503), "both to fail")
        assert one.get("/metrics")[0] == 200
    proc.wait_for(lambda: (one.get("/healthz")[0], one.get("/readyz")[0]) == (200, 200), "both to be good again")


def test_steady_use_wakes_nobody_else(pg, pgroute):
    """1,500 queries of one client wake neither the monitor, which watches its server connection, nor the worker that had it
    before; each has its ticks."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    clients = [wire.Client(one.port).login() for _ in range(16)]
    (_, a), (other, b) = {one.worker_of(c.socket.getsockname()[1]): c for c in clients}.items()
    for client in (b, a, b, a):  # the connection goes to and fro, so that both are registered for it
        client.query("SELECT 1")
    watched = {other: "the other worker", one.pid("monitor"): "the monitor", one.pid("stats"): "stats"}

    def wakeups(pid):
        return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("voluntary_ctxt_switches"))

    before, began = {pid: wakeups(pid) for pid in watched}, time.monotonic()
    for _ in range(1500):
        a.query("SELECT 1")
    seconds = time.monotonic() - began
    for pid, name in watched.items():
        assert wakeups(pid) - before[pid] < 150 + 30 * seconds, f"{name} was woken"


def sealed_statistics(pid):
    """The descriptor of the statistics of a process, opened anew as whoever is handed it would have it."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if "memfd:pgroute-stats" in os.readlink(f"/proc/{pid}/fd/{fd}"):
            return os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR)
    raise AssertionError("no statistics")


def test_the_dumpers_memory_is_sealed(pg, pgroute):
    """Whoever has got it can read and nothing else."""
    one = pgroute(pg)
    fd = sealed_statistics(one.pid("stats"))
    assert len(mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)) == 4096
    for attempt in (lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE), lambda: os.pwrite(fd, b"x", 0),
                    lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, 1 << 40)):
        with pytest.raises(PermissionError):
            attempt()
    os.close(fd)


def test_dumper_works_while_every_worker_is_stopped(pg, pgroute):
    """And the monitor with them."""
    one = pgroute(pg, workers=2, watchdog_timeout="300s", defaults={"pool_size": 2})
    with wire.Client(one.port).login() as client:
        for _ in range(5):
            client.query("SELECT 1")
        before = settled(one)
        with stopped(one, one.pids("worker") + one.pids("monitor")):
            for form in ("text", "json", "prometheus"):
                assert one.ctl("stats", "--format", form)
            assert totals(one) == before
            for what in ("pools", "clients", "servers", "config"):
                assert one.show(what)
            assert one.ctl("status")
            assert one.get("/metrics")[0] == one.get("/healthz")[0] == 200  # not yet longer than watchdog_timeout
        assert client.query("SELECT 'goes on'").value() == "goes on"


def test_o5_counters_survive_reload(pg, pgroute):
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        for _ in range(5):
            client.query("SELECT 1")
        before = settled(one)
        one.change(defaults={"pool_size": 7})
        one.reload()
        after = settled(one)
        assert all(after[key] >= before[key] for key in before)


def test_c15_control_socket_is_private(pg, pgroute):
    one = pgroute(pg)
    """C15: by its mode, and where that was loosened, by asking the kernel who the peer is."""
    path = one.folder / "control.sock"
    assert path.stat().st_mode & 0o077 == 0
    if proc.unprivileged() is not None:
        stranger = pwd.getpwnam("nobody")
        probe = """import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode())
print('heard', s.recv(1000).decode())"""

        def attempt(line):
            return subprocess.run(proc.as_user(stranger, ["/usr/bin/python3", "-c", probe, str(path), line]), capture_output=True, text=True,
                                  cwd="/")

        assert "PermissionError" in attempt("show pools\n").stderr
        path.chmod(0o777)
        for line in ("show pools\n", "stop fast\n", "reload\n", "stats\n"):
            done = attempt(line)
            assert "database" not in done.stdout and (done.returncode != 0 or "heard \n" == done.stdout or "error" in done.stdout), done
        assert one.show("config") and one.process.poll() is None


@pytest.mark.parametrize("junk", [b"", b"\0" * 100, b"\xff" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"show pools\n" * 1000])
def test_junk_on_the_control_socket_harms_nobody(pg, pgroute, junk):
    one = pgroute(pg)
    stats = one.pid("stats")
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(one.folder / "control.sock"))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(junk)
    assert one.show("config") and one.pid("stats") == stats


def test_silent_connections_do_not_block_the_control_socket(pg, pgroute):
    one = pgroute(pg)
    silent = []
    for _ in range(50):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(one.folder / "control.sock"))
        silent.append(sock)
    web = [socket.create_connection(("127.0.0.1", one.http)) for _ in range(50)]
    assert one.show("config")
    assert one.get("/healthz")[0] == 200
    for sock in silent + web:
        sock.close()


def test_stats_under_load_are_consistent(pg, pgroute):
    one = pgroute(pg, workers=2, defaults={"pool_size": 3})
    with Crowd(one, 12) as crowd:
        last = totals(one)
        for _ in range(10):
            crowd.go_on(1)
            now = totals(one)
            assert all(now[key] >= last[key] for key in last)
            row = one.pool()
            assert row["sv_active"] + row["sv_idle"] <= 3 and row["cl_active"] + row["cl_waiting"] <= 12
            last = now
