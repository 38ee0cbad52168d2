"""Processes, ports and conditions: everything of the harness that knows neither PostgreSQL nor pgroute.

Used by postgres.py and pgroute.py. Nothing here sleeps for a guess: waits are on conditions with a generous deadline.
"""
import contextlib
import ctypes
import fcntl
import itertools
import os
import pathlib
import pwd
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

PATIENCE = 40.0
SYS_PIDFD_GETFD = 438


def wait_for(condition, what, timeout=PATIENCE, every=0.02):
    """Calls condition() until it returns something true, which is returned; fails with the last value seen."""
    deadline = time.monotonic() + timeout
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for: {what} (last seen: {seen!r})")
        time.sleep(every)


class Ports:
    """A block of ports of this process alone, below the range from which the kernel takes those of outgoing connections.

    So no client's connection sits on a port that a server is about to have, and nobody comes to listen where a test wants to be
    refused. A socket in the abstract namespace, which is as wide as that of the ports and ends with the process, says that the
    block is taken: test runs beside each other keep apart. (Those above 20,000 are left to tests/package.)
    """
    FIRST, BLOCK, BLOCKS = 10_000, 400, 25

    def __init__(self):
        for number in random.SystemRandom().sample(range(self.BLOCKS), self.BLOCKS):
            self.claim = socket.socket(socket.AF_UNIX)
            try:
                self.claim.bind(f"\0pgroute-test-ports-{number}")
                break
            except OSError:
                self.claim.close()
        else:
            raise RuntimeError("every block of ports is taken by another test run")
        first = self.FIRST + number * self.BLOCK
        self.ports = itertools.cycle(range(first, first + self.BLOCK))


_ports = None


def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on; the same comes again only after hundreds of others."""
    global _ports
    _ports = _ports or Ports()
    for port in itertools.islice(_ports.ports, Ports.BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def unprivileged():
    """The user that servers run as when the tests run as root, else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither a user postgres nor nobody")


def as_user(user, command):
    """The command line that runs command as that user (a pwd entry, or None for ourselves)."""
    if user is None:
        return list(command)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", *command]


def scratch(prefix, owner=None):
    """A new folder that other users may pass through, given to owner."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"pgroute-test-{prefix}-"))
    path.chmod(0o755)
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


def once(folder, name, make):
    """The path of folder/name, which make(path) has made in the first process of this test run that came; others wait for it."""
    path, made = folder / name, folder / f"{name}.made"
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            remove(path)
            make(path)
            made.touch()
    return path


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def run(command, **kwargs):
    """Runs to the end; fails with the whole output when the exit code is not 0."""
    if "input" not in kwargs:
        kwargs["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=kwargs.pop("timeout", 120),
                          **kwargs)
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def state(pid):
    """The kernel's one-letter state of a process, '' when there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid):
    return state(pid) not in ("", "Z", "X")


def children(pid):
    """The pids of a process's living children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    letter, parent = file.read().rpartition(")")[2].split(maxsplit=2)[:2]
            except OSError:
                continue
            if int(parent) == pid and letter not in "ZX":
                found.append(int(entry))
    return sorted(found)


def memory(pid, field="Pss"):
    """Kilobytes of a process by /proc/PID/smaps_rollup: Pss, Rss, Private_Dirty, ..."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def open_files(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def in_flight(local_port, remote_port):
    """Bytes that the process at local_port has sent and the one at remote_port has not yet read; both on 127.0.0.1."""
    number = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(address.split(":")[1], 16) for address in fields[1:3]]
        unsent, unread = (int(size, 16) for size in fields[4].split(":"))
        number += unsent if ports == [local_port, remote_port] else unread if ports == [remote_port, local_port] else 0
    return number


def inodes_of(local_port):
    """The inodes of the accepting sides of the TCP connections to that port of 127.0.0.1, each by its remote port."""
    table = pathlib.Path("/proc/net/tcp").read_text()
    found = re.findall(rf":{local_port:04X} \w+:(\w+) (?:\S+ +){{6}}(\d+)", table)
    return {int(remote_port, 16): inode for remote_port, inode in found if inode != "0"}


def sockets(pid):
    """The inodes of the sockets that a process has open; others may come and go meanwhile."""
    found = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:[").removesuffix("]"))
    return found


@contextlib.contextmanager
def socket_of(pid, inode):
    """A duplicate of that socket of a process."""
    fd = next(int(fd) for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]")
    process = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(SYS_PIDFD_GETFD, process, fd, 0)
    os.close(process)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=copy) as sock:
        yield sock


class Threads:
    """A group of threads whose exceptions are not lost: leaving the block joins them and raises the first one."""

    def __init__(self, timeout=120):
        self.timeout, self.threads, self.errors, self.results = timeout, [], [], []

    def start(self, function, *args, **kwargs):
        def body():
            try:
                self.results.append(function(*args, **kwargs))
            except BaseException as problem:  # handed to the joining thread
                self.errors.append(problem)

        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def join(self):
        deadline = time.monotonic() + self.timeout
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"a thread still runs after {self.timeout} s"
        if self.errors:
            raise self.errors[0]
        return self.results

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.join()


class Sampler:
    """Calls probe() all the time in a thread and keeps what it returned: for 'never more than'."""

    def __init__(self, probe, every=0.01):
        self.probe, self.every, self.seen = probe, every, []
        self.stopping = threading.Event()
        self.group = Threads()

    def loop(self):
        while not self.stopping.is_set():
            self.seen.append(self.probe())
            self.stopping.wait(self.every)

    @property
    def highest(self):
        return max(self.seen)

    def __enter__(self):
        self.group.start(self.loop)
        return self

    def __exit__(self, kind, value, trace):
        self.stopping.set()
        self.group.join()
