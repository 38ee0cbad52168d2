"""pgroutectl: start, stop, restart, reload, status, check; exit codes and one-line errors."""
import json
import os
import signal
import socket
import subprocess
import sys

import psycopg
import pytest

from harness import proc, wire
from harness.wire import query


def one_line(done):
    """The error that a failed call printed; it must be one line on stderr."""
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done
    return lines[0]


@pytest.fixture
def daemon(pg, pgroute):
    """A pgroute that pgroutectl starts; whatever is left of it is ended."""
    made = []

    def get(**changes):
        one = pgroute(pg, wait=False, **changes)
        made.append(one)
        return one

    yield get
    for one in made:
        if one.ctl_run("status").returncode == 0:
            one.ctl_run("stop", "--fast")
            proc.wait_for(lambda: not masters(one), "the daemon to end")
            for pid in masters(one):
                os.kill(pid, signal.SIGKILL)


def masters(one):
    """The pids of processes whose command line names this test's configuration, or that listen on its port."""
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and str(one.file) in proc.cmdline(p) and "pgroutectl" not in proc.cmdline(p)]


def serves(one):
    with wire.Client(one.port).login() as client:
        value = client.query("SELECT 'served'").value()
        client.terminate()
    return value == "served"


def test_start_status_stop(daemon, pg):
    one = daemon()
    assert "start" in one_line(one.ctl_run("status"))
    one.ctl("start")
    assert serves(one), "start returned before it served"
    assert one.ctl("status") and one.ctl("status", "--json")
    pid = one.ctl("status", "--json")["pid"]
    assert proc.alive(pid)
    assert "running" in one_line(one.ctl_run("start"))
    assert serves(one)
    one.ctl("stop")
    assert not proc.alive(pid), "stop returned before it ended"
    assert not proc.accepts(one.port)
    one_line(one.ctl_run("stop"))
    one_line(one.ctl_run("reload"))
    pg.wait_backends(0)


def test_restart(daemon):
    one = daemon()
    one.ctl("start")
    pid = one.ctl("status", "--json")["pid"]
    one.ctl("restart")
    assert one.ctl("status", "--json")["pid"] != pid and not proc.alive(pid)
    assert serves(one)
    one.ctl("stop")


def test_stop_waits_for_transactions_and_fast_does_not(daemon):
    one = daemon(shutdown_timeout="300s")
    one.ctl("start")
    with wire.Client(one.port).login() as client, proc.Threads() as group:
        client.query("BEGIN")
        group.start(one.ctl, "stop")
        proc.wait_for(lambda: not proc.accepts(one.port), "the listener to be gone")
        assert client.query("SELECT 'still'").value() == "still"
        client.query("COMMIT")
    one.ctl("start")
    with wire.Client(one.port).login() as client:
        client.query("BEGIN")
        one.ctl("stop", "--fast")
        assert [wire.error_fields(m.body)["C"] for m in client.expect_closed() if m.type == "E"] == ["57P01"]


def test_what_fails_has_exit_code_1(pg, pgroute):
    one = pgroute(pg)
    for arguments in (["start"], ["show", "nothing"], ["check", "/nothing"]):
        done = one.ctl_run(*arguments)
        assert one_line(done) and done.returncode == 1, arguments
    one.change(max_clientz=3)
    for verb in ("reload", "check", "restart"):
        assert one.ctl_run(verb).returncode == 1, verb
    assert one.ctl("status")


def test_start_with_a_bad_file_says_where(daemon):
    one = daemon()
    one.change(max_clientz=3)
    line = one_line(one.ctl_run("start"))
    assert f"{one.file.name}:" in line and "max_clients" in line
    assert not proc.accepts(one.port)


def test_start_on_a_port_in_use_says_so(daemon, pg):
    one = daemon()
    one.change(listen=[f"127.0.0.1:{pg.port}"])
    line = one_line(one.ctl_run("start"))
    assert str(pg.port) in line and "in use" in line.lower()


def test_foreground_with_a_bad_file_or_a_port_in_use(pg, pgroute):
    one = pgroute(pg, wait=False)
    for changes in ({"max_clientz": 3}, {"listen": [f"127.0.0.1:{pg.port}"]}):
        given = one.given
        one.change(**changes)
        one.begin()
        assert one.wait() != 0
        one.configure(given)
    one.process = None
    assert "max_clients" in one.text() and str(pg.port) in one.text()


def test_second_daemon_on_the_same_control_socket_is_refused(pg, pgroute):
    one = pgroute(pg)
    second = subprocess.run([str(one.build / "pgroute"), "-c", str(one.file)], capture_output=True, text=True, timeout=proc.PATIENCE,
                            stdin=subprocess.DEVNULL, cwd="/")
    assert second.returncode != 0
    assert serves(one) and one.ctl("status")


@pytest.mark.parametrize("text, where, hint", [
    ("listen: [\"127.0.0.1:6432\"]\ndatabases:\n  app:\n    servers: [{host: a, prot: 3}]\n", "4:", "port"),
    ("databases:\n  app: {servers: [{host: a}], pool_mod: session}\n", "2:", "pool_mode"),
    ("databases:\n  app: {servers: [{host: a}]}\nusers:\n  u: {password: \"${NO_SUCH_VARIABLE_HERE}\"}\n", "4:", "NO_SUCH_VARIABLE_HERE"),
    ("workers: 2\nworkers: 2\n", "2:", "workers"),
    ("databases:\n  app: {servers: [{host: a, port: 99999}]}\n", "2:", None),
    ("defaults: {pool_size: lots}\n", "1:", None),
    ("databases:\n  app: {servers: []}\n", "2:", None),
    ("server_tls: {mode: verify-full}\n", "1:", "ca_file"),
    ("databases:\n  app: {servers: [{host: y}], shards: [{name: a, servers: [{host: x}]}]}\n", "2:", "not supported yet"),
])
def test_check_tells_file_line_and_what_was_meant(pg, pgroute, tmp_path, text, where, hint):
    one = pgroute(pg, wait=False)
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    line = one_line(one.ctl_run("check", str(file)))
    assert f"bad.yaml:{where}" in line
    assert hint is None or hint in line


def test_check_of_good_files(pg, pgroute, tmp_path, monkeypatch):
    one = pgroute(pg, wait=False)
    one.ctl("check")
    monkeypatch.setenv("PGROUTE_TEST_WORD", "from the environment")
    file = tmp_path / "good.yaml"
    file.write_text("databases:\n  app: {servers: [{host: \"${NOT_SET_HERE:-10.0.0.2}\"}]}\n"
                    "users:\n  app: {password: \"${PGROUTE_TEST_WORD}\"}\nclient_tls: {mode: disable}\nhttp: null\n")
    one.ctl("check", str(file))
    assert one.ctl("check", str(file), "--json") is not None
    line = one_line(one.ctl_run("check", str(tmp_path / "missing.yaml")))
    assert "missing.yaml" in line


def test_password_from_the_environment_and_from_a_file(pg, pgroute, monkeypatch):
    monkeypatch.setenv("PGROUTE_TEST_WORD", "app-secret")
    one = pgroute(pg, wait=False, users={"app": {"password": "${PGROUTE_TEST_WORD}"}})
    secret = one.folder / "secret"
    secret.write_text("scram-secret\n")
    secret.chmod(0o600)
    users = {**one.given["users"], "scram": {"password_file": str(secret)}}
    one.configure({**one.given, "users": users})
    one.start()
    assert serves(one)
    wire.Client(one.port).login("scram").terminate()


def test_unknown_verbs_and_missing_arguments(pg, pgroute):
    one = pgroute(pg, wait=False)
    for arguments in (["frobnicate"], [], ["show"], ["stats", "--format", "xml"], ["stop", "--slowly"], ["restart", "now"]):
        done = one.ctl_run(*arguments)
        assert one_line(done) and done.returncode == 2, arguments
    for arguments in (["--help"], ["--version"]):
        done = one.ctl_run(*arguments)
        assert done.returncode == 0 and done.stdout and not done.stderr


def test_verbs_without_a_daemon_say_what_to_do(pg, pgroute):
    one = pgroute(pg, wait=False)
    for arguments in (["stats"], ["show", "pools"], ["reload"], ["stop"], ["status"]):
        for form in ([], ["--json"]):
            done = one.ctl_run(*arguments, *form)
            assert done.returncode == 3 and str(one.folder / "control.sock") in one_line(done), arguments
            assert not form or json.loads(done.stdout)["ok"] is False


def test_titles_tell_the_roles(pg, pgroute):
    one = pgroute(pg, workers=3)
    assert len(one.pids("master")) == len(one.pids("monitor")) == len(one.pids("stats")) == 1
    assert sorted(proc.cmdline(pid) for pid in one.pids("worker")) == [f"pgroute: worker {n}" for n in range(3)]


def test_children_run_as_another_user(pg, pgroute):
    user = proc.unprivileged()
    one = pgroute(pg)
    for pid in one.pids("worker") + one.pids("monitor") + one.pids("stats"):
        status = open(f"/proc/{pid}/status").read()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert set(uids) == {str(user.pw_uid if user else os.getuid())}
        assert "NoNewPrivs:\t1" in status
        groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
        assert user is None or groups in ([], [str(user.pw_gid)])


def test_query_after_reload_by_ctl(pg, pgroute):
    one = pgroute(pg)
    with wire.Client(one.port).login() as client:
        client.send(query("SELECT pg_sleep(0.5), 'over the reload'"))
        one.reload()
        assert client.ready().rows == [("", "over the reload")]


# -- the log

def log_of(pid):
    """The file that a process logs to."""
    return os.readlink(f"/proc/{pid}/fd/2")


def family(one):
    master = one.ctl("status", "--json")["pid"]
    return [master, *proc.children(master)]


def logged_by(one, log, role):
    """A client's login, logged by that worker: clients come and stay until one is its."""
    clients = []

    def seen():
        clients.append(wire.Client(one.port).login())
        return any(f"[{role}] client.login" in line for line in log.read_text().splitlines())
    proc.wait_for(seen, f"a line of {role} in {log}")
    for client in clients:
        client.terminate()


@pytest.fixture
def logging(daemon):
    """A configured daemon whose log is a file; not yet started."""
    one = daemon(workers=2, log={"level": "info", "connections": True})
    one.log = one.folder / "logs" / "pgroute.log"
    one.log.parent.mkdir()
    one.change(log={"destination": str(one.log)})
    return one


def test_a_daemon_logs_to_its_file_from_every_process(logging):
    logging.ctl("start")
    for role in ("worker 0", "worker 1"):
        logged_by(logging, logging.log, role)
    assert "[master] start" in logging.text()
    assert {log_of(pid) for pid in family(logging)} == {str(logging.log)}
    assert logging.log.stat().st_mode & 0o777 == 0o640
    user = proc.unprivileged()
    if user is not None:
        assert logging.log.stat().st_gid == user.pw_gid
    worker = next(pid for pid in family(logging) if "worker 0" in proc.cmdline(pid))
    os.kill(worker, signal.SIGKILL)
    proc.wait_for(lambda: "ended by signal 9" in logging.text(), "its death to be logged")
    proc.wait_for(lambda: logging.ctl("status", "--json")["workers_alive"] == 2, "its successor")
    assert {log_of(pid) for pid in family(logging)} == {str(logging.log)}
    logging.ctl("stop", "--fast")
    assert "[master] stop" in logging.text()


def test_reload_opens_the_log_anew_in_every_process(logging):
    """What logrotate does: the file is moved away, then a reload."""
    logging.ctl("start")
    for role in ("worker 0", "worker 1"):
        logged_by(logging, logging.log, role)
    old = logging.log.rename(logging.log.with_suffix(".1"))
    logging.ctl("reload")
    proc.wait_for(lambda: {log_of(pid) for pid in family(logging)} == {str(logging.log)}, "all to write to the new file")
    size = old.stat().st_size
    for role in ("worker 0", "worker 1"):
        logged_by(logging, logging.log, role)
    assert old.stat().st_size == size
    other = logging.log.parent / "other.log"
    logging.change(log={"destination": str(other)})
    logging.ctl("reload")
    proc.wait_for(lambda: {log_of(pid) for pid in family(logging)} == {str(other)}, "all to write to the other file")
    logging.ctl("stop", "--fast")
    assert "[master] stop" in other.read_text()


def test_a_stopped_worker_gets_the_new_log_when_it_runs_again(logging):
    logging.ctl("start")
    worker = next(pid for pid in family(logging) if "worker 0" in proc.cmdline(pid))
    os.kill(worker, signal.SIGSTOP)
    try:
        for n in range(3):
            logging.log.rename(logging.log.with_suffix(f".{n}"))
            logging.ctl("reload")
            proc.wait_for(lambda: {log_of(pid) for pid in family(logging) if pid != worker} == {str(logging.log)}, "the others")
    finally:
        os.kill(worker, signal.SIGCONT)
    proc.wait_for(lambda: log_of(worker) == str(logging.log), "it to write to the new file")


def test_log_level_is_that_of_the_last_reload_in_every_process(logging):
    logging.change(log={"level": "warning"})
    logging.ctl("start")
    wire.Client(logging.port).login().terminate()
    assert "client.login" not in logging.text() and "[master] start" not in logging.text()
    logging.change(log={"level": "info"})
    logging.ctl("reload")
    for role in ("worker 0", "worker 1"):
        logged_by(logging, logging.log, role)
    logging.change(log={"level": "error", "format": "json"})
    logging.ctl("reload")

    def silent():
        size = logging.log.stat().st_size
        clients = [wire.Client(logging.port).login() for _ in range(30)]  # more than one worker takes alone
        for client in clients:
            client.terminate()
        return logging.log.stat().st_size == size
    proc.wait_for(silent, "no worker to log logins")
    logging.change(log={"level": "info"})
    logging.ctl("reload")
    proc.wait_for(lambda: (wire.Client(logging.port).login().terminate(), '"event":"client.login"' in logging.text())[1], "JSON")


@pytest.mark.parametrize("on", [True, False])
def test_log_connections_tells_each_login_and_its_end(pg, pgroute, on):
    """However it ends, and once; a login that failed has no end."""
    one = pgroute(pg, workers=1, log={"level": "info", "connections": on})
    for leave in ("terminate", "close", "reset"):
        getattr(wire.Client(one.port).login(), leave)()
        proc.wait_for(lambda: not one.show("clients"), "it to be gone")
    victim = wire.Client(one.port).login()
    with wire.Client(one.port) as refused, pytest.raises(wire.ServerError):
        refused.login("app", "wrong")
    one.process.send_signal(signal.SIGINT)
    victim.expect_closed()
    one.wait()
    events = [line.split("] ")[1].split(", after")[0] for line in one.text().splitlines() if " [worker" in line]
    who = 'user "app", database "app"'
    session = [f"client.login: {who}", f"client.end: {who}"] if on else []
    assert events == session * 3 + session[:1] + [f'client.refused: {who}: password authentication failed for user "app"'] + session[1:]


@pytest.mark.parametrize("where, hint", [("missing/pgroute.log", "No such file"), (".", "directory")])
def test_a_log_that_cannot_be_opened_is_told_at_start_and_by_reload(logging, where, hint):
    bad = str(logging.folder / where)
    logging.ctl("start")
    logging.change(log={"destination": bad})
    line = one_line(logging.ctl_run("reload"))
    assert bad in line and hint.lower() in line.lower()
    assert {log_of(pid) for pid in family(logging)} == {str(logging.log)} and serves(logging)
    logging.ctl("stop", "--fast")
    line = one_line(logging.ctl_run("start"))
    assert bad in line and hint.lower() in line.lower()


def test_a_log_that_is_a_link_or_no_file_is_refused(logging):
    target = logging.folder / "target"
    target.touch()
    link, fifo = logging.folder / "link", logging.folder / "fifo"
    link.symlink_to(target)
    os.mkfifo(fifo)
    for bad in (link, fifo):
        logging.change(log={"destination": str(bad)})
        assert str(bad) in one_line(logging.ctl_run("start"))
    for bad in ("pgroute.log", "syslogd"):
        logging.change(log={"destination": bad})
        assert "log.destination" in one_line(logging.ctl_run("check"))


def test_start_tells_why_also_with_a_log_of_its_own(logging, pg):
    logging.change(listen=[f"127.0.0.1:{pg.port}"])
    assert "in use" in one_line(logging.ctl_run("start")).lower()


# -- what status tells

def test_status_tells_the_sockets_that_are_open_not_those_of_the_file(pg, pgroute):
    one = pgroute(pg, wait=False)
    one.change(listen=[f"127.0.0.1:{one.port}", f"{one.folder}:7000"])
    one.start()
    sockets = [f"127.0.0.1:{one.port}", f"{one.folder}/.s.PGSQL.7000"]
    assert one.ctl("status", "--json")["listen"] == sockets
    one.change(listen=[f"127.0.0.1:{proc.free_port()}"])
    one.reload()
    assert one.ctl("status", "--json")["listen"] == sockets
    assert all(text in one.ctl("status") for text in sockets)
    client = wire.Client(one.port).login()
    client.query("BEGIN")
    one.term()
    proc.wait_for(lambda: not proc.accepts(one.port), "the listeners to be closed")
    assert one.ctl("status", "--json")["listen"] == []
    client.close()


def test_systemd_is_told_of_each_state(pg, pgroute, monkeypatch):
    """Type=notify: ready once it serves, reloading and ready again, stopping."""
    one = pgroute(pg, wait=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(one.folder / "notify"))
        systemd.settimeout(proc.PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(one.folder / "notify"))

        def told(state):
            while state not in systemd.recv(4096).decode().splitlines():
                pass

        one.begin()
        told("READY=1")
        assert serves(one)
        one.process.send_signal(signal.SIGHUP)
        told("RELOADING=1")
        told("READY=1")
        one.term()
        told("STOPPING=1")
        assert one.wait() == 0


def test_workers_and_addresses(pg, pgroute):
    """workers: auto is one for each core; listening on IPv6 and on several addresses at once."""
    one, other = pgroute(pg, wait=False), proc.free_port()
    one.change(workers="auto", listen=[f"127.0.0.1:{one.port}", f"[::1]:{other}"])
    one.config["workers"] = os.sysconf("SC_NPROCESSORS_ONLN")  # so many are waited for
    one.start()
    assert serves(one)
    proc.wait_for(lambda: not one.show("clients"), "that client to be gone")
    with psycopg.connect(**{**one.dsn(), "host": "::1", "port": other}) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
        assert [(row["addr"], row["port"] > 0) for row in one.show("clients")] == [("::1", True)]


def test_status_tells_the_sockets_inherited_from_systemd(pg, pgroute):
    one = pgroute(pg, wait=False)
    one.change(listen=[f"127.0.0.1:{proc.free_port()}"])
    activate = ("import os, socket, sys\n"
                f"s = socket.create_server(('127.0.0.1', {one.port}))\n"
                "s.setblocking(False)\n"
                "os.dup2(s.fileno(), 3)\n"
                "os.set_inheritable(3, True)\n"
                "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
                "os.execv(sys.argv[1], sys.argv[1:])\n")
    one.begin(prefix=[sys.executable, "-c", activate])
    proc.wait_for(one.serves, "pgroute to serve")
    assert serves(one)
    assert one.ctl("status", "--json")["listen"] == [f"127.0.0.1:{one.port}"]
