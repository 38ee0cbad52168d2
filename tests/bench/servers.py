"""The servers of a benchmark: PostgreSQL, and the poolers in front of it as contestants.

A contestant has a name, a port, `family()` (all its processes) and `workers()` (those that serve
clients). PgBouncer is one process; pgroute is a master with children, of which the workers call
themselves so in their name (comm) or title. Programs are copied into the temporary folder first:
the unprivileged user can run them from there, and a build that is renewed during a run does not
change what is measured."""

import glob
import os
import re
import shutil
import signal
from typing import NamedTuple

import procfs
import wire
from stage import BenchError, Daemon

PATIENCE = 20.0
PATIENCE_TRACED = 180.0


class Login(NamedTuple):
	user: str
	password: str
	database: str


BENCH = Login("bench", "not-a-secret", "bench")
ADMIN = Login("postgres", "not-a-secret-either", "postgres")


class Shape(NamedTuple):
	"""How a contestant is set up.

	launcher   goes before the program (valgrind)
	traced     something looks on from outside (strace)
	clear      PgBouncer knows the password in clear text, as pgroute always does
	"""

	pool_size: int = 20
	workers: int = 1
	max_clients: int = 12000
	launcher: tuple = ()
	traced: bool = False
	clear: bool = False

	@property
	def patience(self):
		return PATIENCE_TRACED if self.launcher else PATIENCE


def probe(port, login=BENCH, timeout=PATIENCE):
	with wire.Client(login, port, timeout=timeout) as client:
		client.query("SELECT 1")


def open_pool(contestant, shape):
	"""Makes the contestant open its whole pool, by as many transactions at once; the clients are
	gone afterwards."""
	clients = []
	try:
		for _ in range(shape.pool_size):
			clients.append(wire.Client(BENCH, contestant.port, timeout=shape.patience))
			clients[-1].query("BEGIN")
		for client in clients:
			client.query("COMMIT")
	except OSError as error:
		raise BenchError(
			f"{contestant.name} opened {len(clients)} of {shape.pool_size} connections: {error}"
		) from error
	finally:
		for client in clients:
			client.close()


def find_postgres():
	"""The folder of PostgreSQL's programs: $PGBIN, else that of version 15, else the newest."""
	found = sorted(
		glob.glob("/usr/lib/postgresql/*/bin"),
		key=lambda path: int(path.split("/")[4].split(".")[0]),
	)
	for folder in (os.environ.get("PGBIN"), "/usr/lib/postgresql/15/bin", *reversed(found)):
		if folder and os.access(os.path.join(folder, "initdb"), os.X_OK):
			return folder
	raise BenchError(
		"found no PostgreSQL; run scripts/deps bench, or name its folder of programs in PGBIN"
	)


class Postgres:
	"""A throwaway PostgreSQL with the tables of pgbench; also the contestant `direct`."""

	name = "direct"
	SETTINGS = (
		"listen_addresses=127.0.0.1",
		"fsync=off",
		"synchronous_commit=off",
		"full_page_writes=off",
		"max_connections=600",
		"shared_buffers=256MB",
		"max_wal_size=4GB",
		"jit=off",
		"autovacuum=off",
		"password_encryption=scram-sha-256",
	)

	def __init__(self, stage, scale=10):
		self.bin = find_postgres()
		self.port = stage.free_port()
		data = stage.path("data")
		secret = stage.write("admin.password", ADMIN.password)
		stage.run(
			[
				f"{self.bin}/initdb",
				"-D",
				data,
				"-U",
				ADMIN.user,
				"-A",
				"scram-sha-256",
				"--pwfile",
				secret,
				"-N",
				"-E",
				"UTF8",
				"--locale=C",
			]
		)
		settings = [
			word
			for setting in (
				*self.SETTINGS,
				f"port={self.port}",
				f"unix_socket_directories={stage.folder}",
			)
			for word in ("-c", setting)
		]
		self._daemon = Daemon(
			stage, "postgres", [f"{self.bin}/postgres", "-D", data, *settings], signal.SIGINT
		)
		self._daemon.wait_ready(lambda: probe(self.port, ADMIN), 60.0)
		self._fill(stage, scale)

	def _fill(self, stage, scale):
		with wire.Client(ADMIN, self.port) as admin:
			self.version = admin.query("SHOW server_version").split()[0]
			admin.query(f"CREATE ROLE {BENCH.user} LOGIN PASSWORD '{BENCH.password}'")
			admin.query(f"CREATE DATABASE {BENCH.database} OWNER {BENCH.user}")
			self.scram_secret = admin.query(
				f"SELECT rolpassword FROM pg_authid WHERE rolname = '{BENCH.user}'"
			)
		stage.run(
			[
				f"{self.bin}/pgbench",
				"-i",
				"-q",
				"-s",
				str(scale),
				"-h",
				"127.0.0.1",
				"-p",
				str(self.port),
				"-U",
				BENCH.user,
				BENCH.database,
			],
			env={"PGPASSWORD": BENCH.password},
		)
		with wire.Client(ADMIN, self.port, timeout=60.0) as admin:
			admin.query("CHECKPOINT")

	def family(self):
		return []

	def workers(self):
		return []


class PgBouncer:
	"""One PgBouncer, or `processes` of them that share a port by so_reuseport and divide the pool.

	It gets the SCRAM secret of the server, its best case, unless the shape says `clear`: from a
	password in clear text it derives the keys anew at each login (measured: twenty times the CPU).
	"""

	def __init__(self, stage, program, postgres, shape, processes=1):
		self.version = pgbouncer_version(stage, program)
		self.name = f"pgbouncer {self.version}" + (f" x{processes}" if processes > 1 else "")
		self.port = stage.free_port()
		secret = BENCH.password if shape.clear else postgres.scram_secret
		users = stage.write(f"pgbouncer-{self.port}.users", f'"{BENCH.user}" "{secret}"\n')
		self._daemons = []
		for number in range(processes):
			settings = self._settings(shape, users, processes)
			file = stage.write(
				f"pgbouncer-{self.port}-{number}.ini",
				f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n[pgbouncer]\n{settings}",
			)
			argv = [*shape.launcher, stage.path(program), "-q", file]
			self._daemons.append(Daemon(stage, f"pgbouncer-{self.port}-{number}", argv))
		for daemon in self._daemons:
			daemon.wait_ready(lambda: probe(self.port, timeout=shape.patience), shape.patience)

	def _settings(self, shape, users, processes):
		settings = {
			"listen_addr": "127.0.0.1",
			"listen_port": self.port,
			"unix_socket_dir": "",
			"auth_type": "scram-sha-256",
			"auth_file": users,
			"pool_mode": "transaction",
			"default_pool_size": shape.pool_size // processes,
			"max_client_conn": shape.max_clients,
			"log_connections": 0,
			"log_disconnections": 0,
			"so_reuseport": int(processes > 1),
			"client_login_timeout": PATIENCE_TRACED,
			"server_connect_timeout": PATIENCE_TRACED,
		}
		if self.tracks_prepared:
			settings["max_prepared_statements"] = 200
		return "".join(f"{key} = {value}\n" for key, value in settings.items())

	@property
	def tracks_prepared(self):
		"""Prepared statements outlive a change of server since 1.21."""
		return tuple(int(part) for part in self.version.split(".")[:2]) >= (1, 21)

	def family(self):
		return [daemon.pid for daemon in self._daemons]

	workers = family

	def stop(self):
		return all([daemon.stop() for daemon in self._daemons])


def pgbouncer_version(stage, program):
	found = re.search(
		r"PgBouncer (\d+\.\d+(\.\d+)?)", stage.run([stage.path(program), "--version"])
	)
	if not found:
		raise BenchError(f"{program} --version does not say PgBouncer")
	return found.group(1)


class Pgroute:
	"""pgroute with all its processes, from one build."""

	tracks_prepared = True

	def __init__(self, stage, program, postgres, shape, label="pgroute"):
		self.name = f"{label}, {shape.workers} worker{'s' if shape.workers > 1 else ''}"
		self.port = stage.free_port()
		key = f"{label}-{self.port}"
		file = stage.write(
			f"{key}.yaml", self._configuration(stage, postgres, shape, stage.make_folder(key))
		)
		argv = [*shape.launcher, stage.path(program), "-c", file]
		self._daemon = Daemon(stage, key, argv)
		self._daemon.wait_ready(lambda: probe(self.port, timeout=shape.patience), shape.patience)

	def _configuration(self, stage, postgres, shape, folder):
		lines = [
			f'listen: ["127.0.0.1:{self.port}"]',
			f"workers: {shape.workers}",
			f"http: 127.0.0.1:{stage.free_port()}",
			f"control: {folder}/control.sock",
			f"max_clients: {shape.max_clients}",
			f"sandbox: {'false' if shape.launcher or shape.traced else 'true'}",
			f"defaults: {{pool_mode: transaction, pool_size: {shape.pool_size}"
			f"{', connect_timeout: 180s' if shape.launcher else ''}}}",
			f"databases: {{{BENCH.database}: {{servers: "
			f"[{{host: 127.0.0.1, port: {postgres.port}}}]}}}}",
			f'users: {{{BENCH.user}: {{password: "{BENCH.password}"}}}}',
		]
		if shape.launcher:
			lines += ["watchdog_timeout: 180s", "client_login_timeout: 180s"]
		return "\n".join(lines) + "\n"

	def family(self):
		self._daemon.check()
		return self._daemon.family()

	def workers(self):
		found = [
			pid
			for pid in self.family()
			if "worker" in procfs.name(pid) or "worker" in procfs.title(pid)
		]
		if not found:
			raise BenchError(
				f"none of the processes of {self.name} has `worker` in its name or title"
			)
		return found

	def stop(self):
		return self._daemon.stop()


class House:
	"""Programs found and copied, PostgreSQL up: makes contestants on demand."""

	def __init__(self, stage):
		self.stage = stage
		stage.make_folder("bin")
		root = os.path.normpath(
			os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
		)
		bouncer = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
		self._bouncer = self._adopt(bouncer, "pgbouncer")
		if not self._bouncer:
			raise BenchError(f"{bouncer} cannot be run; install pgbouncer or name it in PGBOUNCER")
		self._route = self._adopt(
			os.environ.get("PGROUTE") or f"{root}/build/release/pgroute", "pgroute"
		)
		self._base = os.environ.get("PGROUTE_BASE")
		if self._base and not self._adopt(self._base, "base"):
			raise BenchError(f"PGROUTE_BASE={self._base} cannot be run")
		self.missing = None
		if not self._route:
			self.missing = (
				"there is no pgroute to measure: run scripts/build release, or name it in PGROUTE"
			)
		self.postgres = Postgres(stage)
		self.bouncer_version = pgbouncer_version(stage, self._bouncer)
		self.reference = f"pgbouncer {self.bouncer_version}"

	def _adopt(self, program, name):
		if not os.access(program, os.X_OK) or os.path.isdir(program):
			return None
		copy = os.path.join("bin", name)
		shutil.copy(program, self.stage.path(copy))
		os.chmod(self.stage.path(copy), 0o755)
		return copy

	def bouncer(self, shape, processes=1):
		return PgBouncer(self.stage, self._bouncer, self.postgres, shape, processes)

	def makers(self, shape, workers=(1,)):
		"""Functions that start a contestant each, PgBouncer's first: pgroute once per number of
		workers, then the base build."""
		found = [lambda **changed: self.bouncer(shape._replace(**changed))]
		builds = ([("pgroute", self._route)] if self._route else []) + (
			[("base", "bin/base")] if self._base else []
		)
		for label, program in builds:
			for number in workers:
				found.append(
					lambda label=label, program=program, number=number, **changed: Pgroute(
						self.stage,
						program,
						self.postgres,
						shape._replace(workers=number, **changed),
						label,
					)
				)
		return found
