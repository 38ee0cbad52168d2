"""The plain build as it is installed, with its sandbox on: it works, and its children can do nothing else. (C15)"""
import os
import subprocess

import pytest

from harness import proc, seccomp, wire
from harness.load import Crowd
from harness.postgres import USERS


def test_the_installed_build_serves_in_its_sandbox(pg, pgroute):
    one = pgroute(pg, build="release", sandbox=True, workers=2, defaults={"pool_size": 3})
    for pid in one.pids("worker") + one.pids("monitor") + one.pids("stats"):
        assert "Seccomp:\t2" in open(f"/proc/{pid}/status").read(), proc.cmdline(pid)
    for user in USERS:
        with wire.Client(one.port).login(user) as client:
            assert client.query("SELECT current_user").value() == user
            client.terminate()
    with Crowd(one, 30) as crowd:
        crowd.go_on(10)
        one.reload()
        one.show("pools")
        one.metrics()
        crowd.go_on(5)
        client = wire.Client(one.port).login()
        client.send(wire.query("SELECT pg_sleep(600)"))
        pg.wait_query("pg_sleep(600)")
        wire.cancel(one.port, client.pid, client.key)
        assert client.ready().sqlstates == ["57014"]
    victim = one.pids("worker")[0]
    one.kill(victim)
    one.wait_respawn("worker", victim, 2)
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


def test_sandbox_off_for_debuggers(pg, pgroute):
    one = pgroute(pg, build="release", sandbox=False)
    for pid in one.pids("worker"):
        assert "Seccomp:\t0" in open(f"/proc/{pid}/status").read()
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 1").value() == "1"


FORBIDDEN = ["open", "creat", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "fork", "vfork", "clone3",
             "unlink", "unlinkat", "rename", "mount", "setuid", "setns", "unshare", "bpf", "mkdir", "chmod", "truncate", "link", "symlink",
             "openat2", "pidfd_send_signal", "rt_sigqueueinfo"]


@pytest.mark.parametrize("role", ["worker", "monitor", "stats"])
def test_sandbox_lets_a_child_neither_open_nor_exec_nor_ptrace_nor_signal(pg, pgroute, role):
    """Asked of the filter itself, as the kernel holds it; needs root, which the test run has."""
    one = pgroute(pg, build="release", sandbox=True)
    programs = seccomp.filters(one.pids(role)[0])
    for call in ("read", "write", "epoll_wait", "recvfrom", "sendto"):
        if call not in ("epoll_wait", "recvfrom", "sendto") or role == "worker":
            assert seccomp.allows(programs, call, 5), f"{call}: the filter was not understood"
    for call in FORBIDDEN:
        assert not seccomp.allows(programs, call), call
    for pid in (1, one.process.pid, 2**32 - 1):
        assert not seccomp.allows(programs, "kill", pid, 9)
        assert not seccomp.allows(programs, "tkill", pid, 9)
    if role == "worker":
        assert not seccomp.allows(programs, "openat", 2**64 - 100, 0, os.O_RDWR)
        assert not seccomp.allows(programs, "openat", 2**64 - 100, 0, os.O_RDONLY)
    assert "Seccomp:\t2" in open(f"/proc/{one.pids(role)[0]}/status").read()


def test_c15_memory_of_the_children_is_not_for_others(pg, pgroute):
    """C15: neither their own nor what they share, not even for a process of their own user; and none of it has a name."""
    one = pgroute(pg, build="release", sandbox=True)
    user = proc.unprivileged()
    for pid in one.family():
        shared = [fd for fd in os.listdir(f"/proc/{pid}/fd") if "memfd:pgroute" in os.readlink(f"/proc/{pid}/fd/{fd}")]
        for file in ("environ", "mem", "maps", *(f"fd/{fd}" for fd in shared)):
            done = subprocess.run(proc.as_user(user, ["head", "-c1", f"/proc/{pid}/{file}"]), capture_output=True, cwd="/")
            assert done.returncode != 0, f"a process of the same user can read {file} of {proc.cmdline(pid)}"
        assert "/dev/shm" not in open(f"/proc/{pid}/maps").read()
