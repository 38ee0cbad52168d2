"""Reads the seccomp filters of a process (as root, by ptrace) and asks them what they would do with a system call.

The kernel keeps the filters as classic BPF over struct seccomp_data; running them here proves what a child may do without
having to make it try.
"""
import ctypes
import os
import struct

SEIZE, INTERRUPT, DETACH, GET_FILTER = 0x4206, 0x4207, 17, 0x420C
ARCH_X86_64 = 0xC000003E
ALLOW, LOG = 0x7FFF0000, 0x7FFC0000
CALLS = {  # x86_64
    "open": 2, "openat": 257, "openat2": 437, "creat": 85, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310,
    "process_vm_writev": 311, "kill": 62, "tkill": 200, "fork": 57, "vfork": 58, "clone3": 435, "unlink": 87, "unlinkat": 263,
    "rename": 82, "mount": 165, "setuid": 105, "setns": 308, "unshare": 272, "bpf": 321, "socket": 41, "epoll_wait": 232,
    "read": 0, "write": 1, "recvfrom": 45, "sendto": 44, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129, "mkdir": 83, "chmod": 90,
    "truncate": 76, "link": 86, "symlink": 88,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid, address=None, data=None):
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def filters(pid):
    """The programs of the process, newest first, each a list of (code, jt, jf, k)."""
    _ptrace(SEIZE, pid)
    try:
        _ptrace(INTERRUPT, pid)
        os.waitpid(pid, 0x40000000)
        programs = []
        while True:
            try:
                number = _ptrace(GET_FILTER, pid, len(programs))
            except OSError:
                return programs
            buffer = ctypes.create_string_buffer(8 * number)
            _ptrace(GET_FILTER, pid, len(programs), ctypes.cast(buffer, ctypes.c_void_p))
            programs.append([struct.unpack_from("=HBBI", buffer, 8 * n) for n in range(number)])
    finally:
        _ptrace(DETACH, pid)


def run(program, data):
    """What one program returns for the bytes of struct seccomp_data."""
    a = x = at = 0
    memory = [0] * 16
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind = code & 7
        if kind == 0:  # ld
            mode = code & 0xE0
            a = struct.unpack_from("=I", data, k)[0] if mode == 0x20 else k if mode == 0 else memory[k] if mode == 0x60 else len(data)
        elif kind == 1:
            x = k if code & 0xE0 == 0 else memory[k]
        elif kind == 2:
            memory[k] = a
        elif kind == 3:
            memory[k] = x
        elif kind == 4:  # alu
            b = x if code & 8 else k
            a = {0x00: a + b, 0x10: a - b, 0x20: a * b, 0x40: a | b, 0x50: a & b, 0x60: a << b, 0x70: a >> b, 0x80: -a,
                 0xA0: a ^ b}[code & 0xF0] & 0xFFFFFFFF
        elif kind == 5:  # jmp
            b = x if code & 8 else k
            if code & 0xF0 == 0:
                at += k
            else:
                yes = {0x10: a == b, 0x20: a > b, 0x30: a >= b, 0x40: bool(a & b)}[code & 0xF0]
                at += jt if yes else jf
        elif kind == 6:  # ret
            return a if code & 0x18 == 0x10 else k
        elif kind == 7:
            x, a = (a, x) if code & 0x80 == 0 else (x, x)


def allows(programs, call, *arguments):
    """Whether every program lets that system call through."""
    data = struct.pack("=IIQ6Q", CALLS[call], ARCH_X86_64, 0, *[*arguments, *[0] * 6][:6])
    return bool(programs) and all(run(program, data) & 0xFFFF0000 in (ALLOW, LOG) for program in programs)
