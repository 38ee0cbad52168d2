"""One pgroute under test: its configuration, its processes, and what must hold when it ends.

start() runs `pgroute -c FILE` in the foreground and returns when it serves. close() ends it with SIGTERM and fails the test
when the exit code is not 0, a process is left, or the log shows a sanitizer's report, a panic or a segment that was not clean
after the last client (builds with crash points look); so every test asserts that.
"""
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.error
import urllib.request

import psycopg
import yaml

from . import fakeserver, proc
from .postgres import DATABASES, USERS, password_of

ROOT = pathlib.Path(__file__).resolve().parents[3]
TROUBLE = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error|UndefinedBehavior|panic|segment\.violated", re.I)
PLAIN = "release"  # for what a sanitizer's allocator would falsify: it keeps freed memory for a while
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_stack_use_after_return=1:handle_abort=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0",
    "LSAN_OPTIONS": "exitcode=99",
}


def merge(base, changes):
    """base with changes laid over it, folder by folder; a value of None in changes stays (it is YAML's null)."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


secure = None  # a certificate and its key: then basic() has TLS on both sides, where the server has it too


def server(postgres):
    return {"host": "127.0.0.1", "port": postgres if isinstance(postgres, int) else postgres.port}


def basic(postgres, **changes):
    """Two workers, both test databases on one server, all test users; changes are laid over it. What tests ask of fake servers is
    mostly no SQL, and would keep each client on its connection."""
    config = {
        "workers": 2,
        "databases": {name: {"servers": [server(postgres)]} for name in DATABASES},
        "users": {user: {"password": password_of(user)} for user in USERS},
    }
    if isinstance(postgres, fakeserver.FakeServer):
        config["defaults"] = {"on_session_feature": "ignore"}
    if secure is not None:
        config["client_tls"] = {"mode": "allow", "cert_file": str(secure[0]), "key_file": str(secure[1])}
        config["server_tls"] = {"mode": "prefer"}
    return merge(config, changes)


class Pgroute:
    def __init__(self, config, build="asan"):
        self.build = ROOT / "build" / build
        self.folder = proc.scratch("pgroute")
        self.port, self.http = proc.free_port(), proc.free_port()
        self.file = self.folder / "pgroute.yaml"
        self.log = self.folder / "pgroute.log"
        self.process = None
        self.allowed = []
        self.given = {}
        self.configure(config)

    def configure(self, config):
        """Writes the file; a running pgroute learns of it by reload()."""
        run_as = proc.unprivileged()
        self.given = config
        whole = merge({
            "listen": [f"127.0.0.1:{self.port}"], "http": f"127.0.0.1:{self.http}",
            "control": str(self.folder / "control.sock"), "sandbox": self.build.name == PLAIN,
            "log": {"level": "debug"},
        }, config)
        if run_as is not None and "run_as" not in whole:
            whole["run_as"] = run_as.pw_name
        self.config = whole
        self.file.write_text(yaml.safe_dump(whole, sort_keys=False))

    def change(self, **changes):
        self.configure(merge(self.given, changes))

    # -- life

    def start(self):
        self.begin()
        proc.wait_for(self.serves, "pgroute to serve")
        return self

    def begin(self, prefix=()):
        """Starts without waiting; prefix is a command that runs the program, such as prlimit."""
        log = open(self.log, "ab")
        self.process = subprocess.Popen([*prefix, str(self.build / "pgroute"), "-c", str(self.file)],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**SANITIZERS, **os.environ},
                                        cwd="/")
        log.close()
        return self

    def serves(self):
        assert self.process.poll() is None, f"pgroute ended with {self.process.returncode}:\n{self.tail()}"
        return self.running_workers() and self.ready()

    def ready(self):
        """What /readyz says."""
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def running_workers(self):
        return len(self.pids("worker")) == self.config["workers"]

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=proc.PATIENCE):
        return self.process.wait(timeout)

    def close(self):
        try:
            if self.process is None:
                return
            family = proc.children(self.process.pid)
            if self.process.poll() is None:
                self.term()
                try:
                    self.wait()
                except subprocess.TimeoutExpired:
                    stuck = {pid: proc.cmdline(pid) for pid in proc.children(self.process.pid)}
                    self.kill_family()
                    raise AssertionError(f"pgroute does not end on SIGTERM; left: {stuck}\n{self.tail()}")
            code = self.process.returncode
            left = [proc.cmdline(pid) for pid in family if proc.alive(pid)]
            assert not left, f"processes outlive the master: {left}"
            assert code == 0, f"pgroute's exit code is {code}; its log ends:\n{self.tail()}"
            self.check_log()
        finally:
            proc.remove(self.folder)

    def kill_family(self):
        for pid in [*proc.children(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def allow(self, pattern):
        """Lines that match are expected by this test and no trouble."""
        self.allowed.append(re.compile(pattern))

    def check_log(self):
        text = self.text()
        for number, line in enumerate(text.splitlines()):
            if TROUBLE.search(line) and not any(pattern.search(line) for pattern in self.allowed):
                context = "\n".join(text.splitlines()[max(0, number - 5):number + 60])
                raise AssertionError(f"trouble in pgroute's log: {line}\n{context}")

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self):
        return self.text()[-6000:]

    # -- processes

    def pids(self, role):
        """role: master, worker, monitor or stats."""
        everybody = [self.process.pid, *proc.children(self.process.pid)]
        titles = {pid: proc.cmdline(pid) for pid in everybody}
        return [pid for pid in everybody if re.search(rf"pgroute: {role}\b", titles[pid])]

    def pid(self, role):
        found = self.pids(role)
        assert len(found) == 1, f"{role}: {found}"
        return found[0]

    def family(self):
        return [self.process.pid, *proc.children(self.process.pid)]

    def kill(self, pid, signal_number=signal.SIGKILL):
        os.kill(pid, signal_number)

    def wait_respawn(self, role, old, number=1):
        """Until `number` processes of that role run, none of them old; returns their pids."""
        def again():
            now = self.pids(role)
            return now if len(now) == number and old not in now else None
        return proc.wait_for(again, f"{role} {old} to be replaced")

    def worker_of(self, client_port):
        """The pid of the worker that holds the connection of the client with that local port, None when nobody does."""
        return self.workers_of([client_port])[0]

    def workers_of(self, client_ports):
        """The same for many, in their order."""
        inodes = proc.inodes_of(self.port)
        holders = {inode: pid for pid in self.pids("worker") for inode in proc.sockets(pid)}
        return [holders.get(inodes.get(port)) for port in client_ports]

    def memory(self, field="Pss"):
        return sum(proc.memory(pid, field) for pid in self.family())

    # -- control

    def ctl(self, *arguments, ok=True):
        """Runs pgroutectl; returns its output, parsed when --json is among the arguments."""
        done = self.ctl_run(*arguments)
        if ok:
            assert done.returncode == 0, f"pgroutectl {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def ctl_run(self, *arguments):
        return subprocess.run([str(self.build / "pgroutectl"), "-c", str(self.file), *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=proc.PATIENCE + 80, cwd="/",
                              env={**SANITIZERS, **os.environ})

    def show(self, what):
        """The rows of `pgroutectl show WHAT --json`, each a dict."""
        rows = self.ctl("show", what, "--json")
        return rows if isinstance(rows, list) else rows[what]

    def pool(self, database="app", user="app"):
        """The row of one pool in show pools."""
        found = [row for row in self.show("pools") if row["database"] == database and row["user"] == user]
        assert len(found) == 1, f"rows of the pool {database}/{user}: {found}"
        return found[0]

    def reload(self):
        return self.ctl("reload")

    def get(self, path):
        """(status, text) of the HTTP side."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as reply:
            return reply.code, reply.read().decode()

    def metrics(self):
        """/metrics as a dict: name{labels} to number."""
        status, text = self.get("/metrics")
        assert status == 200
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def wait_metric(self, name, least):
        """Until the sum of a metric over its labels is at least that much."""
        def total():
            return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)
        proc.wait_for(lambda: total() >= least, f"{name} to reach {least}")

    # -- clients

    def dsn(self, user="app", database="app", password=None):
        return dict(host="127.0.0.1", port=self.port, user=user, password=password or password_of(user), dbname=database,
                    connect_timeout=30)

    def connect(self, user="app", database="app", password=None, **kwargs):
        """psycopg 3 with its defaults, except autocommit."""
        return psycopg.connect(**{**self.dsn(user, database, password), "autocommit": True, **kwargs})
