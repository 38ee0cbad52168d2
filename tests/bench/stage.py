"""The ground that a benchmark stands on: a temporary folder, an unprivileged user, ports, programs
started and stopped.

Used by everything else in this folder. What must stay true: every wait is for a condition and has
an end; only processes that were started here are signalled, by pid, and all of them are gone and
the folder removed when the benchmark ends, also after ^C or SIGTERM. If the benchmark itself is
killed, the kernel ends its children (PR_SET_PDEATHSIG)."""

import ctypes
import os
import pwd
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import procfs

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
	"""Something that the user has to know; printed without a traceback."""


def until(what, condition, seconds=20.0, pause=0.01):
	"""Waits for condition() to be true and returns its value."""
	end = time.monotonic() + seconds
	while True:
		value = condition()
		if value:
			return value
		if time.monotonic() > end:
			raise BenchError(f"waited {seconds:.0f} s in vain: {what}")
		time.sleep(pause)


def tail(path, lines=8):
	try:
		with open(path, encoding="utf-8", errors="replace") as file:
			return "".join("    " + line for line in file.readlines()[-lines:])
	except OSError:
		return ""


def _end_with_parent():
	_libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Daemon:
	"""A program that runs until stopped, with the processes that it forks."""

	def __init__(self, stage, label, argv, quit_signal=signal.SIGTERM):
		self.label = label
		self.log = stage.path(f"{label}.log")
		self._quit_signal = quit_signal
		with open(self.log, "ab") as log:
			self.process = stage.spawn(argv, stdout=log, stderr=log)
		stage.daemons.append(self)

	@property
	def pid(self):
		return self.process.pid

	def family(self):
		return procfs.family(self.pid)

	def check(self):
		if self.process.poll() is not None:
			raise BenchError(
				f"{self.label} ended with status {self.process.returncode}\n{tail(self.log)}"
			)

	def wait_ready(self, probe, seconds):
		"""Waits until probe() stops raising OSError (of which a refused connection is one)."""
		last = [None]

		def ready():
			self.check()
			try:
				probe()
				return True
			except OSError as error:
				last[0] = error
				return False

		try:
			until(f"{self.label} to serve", ready, seconds, 0.05)
		except BenchError as late:
			raise BenchError(f"{late} ({last[0]})\n{tail(self.log)}") from late

	def stop(self, seconds=30.0):
		"""Ends the daemon and whatever it leaves behind. Returns False if something had to be
		killed."""
		kin = self._kin()
		if self.process.poll() is None:
			self.process.send_signal(self._quit_signal)
			try:
				self.process.wait(seconds)
			except subprocess.TimeoutExpired:
				self.process.kill()
				self.process.wait()
				self._kill(kin)
				return False
		return not self._kill(kin, 2.0)

	def _kin(self):
		"""Start times by pid of the daemon's other processes, those that lost their parent
		included."""
		if self.process.poll() is not None and procfs.start_time(self.pid) is not None:
			return {}  # the pid, and with it the name of the session, is somebody else's by now
		kin = {*procfs.session(self.pid), *self.family()} - {self.pid}
		return {pid: procfs.start_time(pid) for pid in kin}

	@staticmethod
	def _kill(kin, seconds=0.0):
		"""Waits for processes to end, then kills the rest; a pid whose start time differs is
		somebody else's."""
		end = time.monotonic() + seconds
		while True:
			left = [pid for pid, start in kin.items() if start and procfs.start_time(pid) == start]
			if not left or time.monotonic() >= end:
				break
			time.sleep(0.02)
		for pid in left:
			try:
				os.kill(pid, signal.SIGKILL)
			except ProcessLookupError:
				pass
		return left


class Stage:
	"""The temporary folder and what runs in it; a context manager."""

	def __init__(self):
		self.daemons = []
		self._ports = set()
		self.folder = tempfile.mkdtemp(prefix="pgroute-bench-")
		self._owner = self._unprivileged()
		self._environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
		# the unprivileged user may not write where our own temporary files go
		self._environment.update(LC_ALL="C", HOME=self.folder, TMPDIR=self.folder)
		os.chmod(self.folder, 0o755)
		self.give(self.folder)
		hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
		resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

	@staticmethod
	def _unprivileged():
		"""PostgreSQL and PgBouncer refuse to run as root."""
		if os.geteuid() != 0:
			return None
		for user in ("postgres", "nobody"):
			try:
				return pwd.getpwnam(user)
			except KeyError:
				continue
		raise BenchError("started by root, but there is neither a user postgres nor nobody")

	def __enter__(self):
		def on_signal(number, _frame):
			raise SystemExit(128 + number)

		signal.signal(signal.SIGTERM, on_signal)
		signal.signal(signal.SIGHUP, on_signal)
		return self

	def __exit__(self, *_exception):
		for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
			signal.signal(number, signal.SIG_IGN)
		for daemon in reversed(self.daemons):
			daemon.stop(10.0)
		shutil.rmtree(self.folder, ignore_errors=True)

	def path(self, *parts):
		return os.path.join(self.folder, *parts)

	def give(self, path):
		"""Makes the unprivileged user the owner."""
		if self._owner:
			os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
		return path

	def make_folder(self, *parts):
		os.makedirs(self.path(*parts), exist_ok=True)
		return self.give(self.path(*parts))

	def write(self, name, text):
		"""A file that only the unprivileged user reads; returns its path."""
		path = self.path(name)
		with open(path, "w", encoding="utf-8") as file:
			file.write(text)
		os.chmod(path, 0o600)
		return self.give(path)

	def spawn(self, argv, env=None, as_ourselves=False, **options):
		"""Starts a program, out of reach of the terminal's ^C; as the unprivileged user unless told
		otherwise."""
		who = {}
		if self._owner and not as_ourselves:
			who = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
		try:
			return subprocess.Popen(
				argv,
				stdin=subprocess.DEVNULL,
				cwd=self.folder,
				start_new_session=True,
				env=dict(self._environment, **(env or {})),
				preexec_fn=_end_with_parent,
				**who,
				**options,
			)
		except OSError as error:
			raise BenchError(f"cannot start {argv[0]}: {error.strerror}") from error

	def run(self, argv, seconds=120.0, env=None):
		"""Runs a program to its end and returns what it printed."""
		process = self.spawn(argv, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
		try:
			output, _ = process.communicate(timeout=seconds)
		except BaseException as error:
			process.kill()
			process.wait()
			if isinstance(error, subprocess.TimeoutExpired):
				raise BenchError(f"{argv[0]} did not end in {seconds:.0f} s") from error
			raise
		if process.returncode != 0:
			last = "\n".join("    " + line for line in output.splitlines()[-4:])
			raise BenchError(
				f"{os.path.basename(argv[0])} ended with status {process.returncode}\n{last}"
			)
		return output

	def free_port(self):
		"""A port below the range that the kernel gives to outgoing connections, which would race
		for it."""
		with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
			low = int(file.read().split()[0])
		for _ in range(200):
			port = random.randrange(10240, max(low, 20480))
			if port in self._ports:
				continue
			with socket.socket() as probe:
				try:
					probe.bind(("127.0.0.1", port))
				except OSError:
					continue
			self._ports.add(port)
			return port
		raise BenchError("found no free port")
