"""Load by pgbench: a fixed number of transactions, or a window of time cut out of a longer run.

A window begins when all clients are logged in and work (at pgbench's first report, a second after
that) and ends before the first of them stops: pgbench is given more time than it needs, which it
counts from before its logins, and is told to end when the window is over. Transactions are counted,
and latencies taken, from pgbench's own log by their time of completion; CPU and context switches
are read at both edges. So logins and disconnects are outside, and nothing is asked of the pooler or
the server that is being measured."""

import glob
import os
import re
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

import procfs
from servers import BENCH
from stage import BenchError, tail

PROTOCOLS = ("simple", "extended", "prepared")
ENOUGH = 300


class Sample(NamedTuple):
	"""One window. CPU in nanoseconds per process; latencies in milliseconds."""

	transactions: int
	tps: float
	cpu: dict
	switches: int
	mean: float
	p50: float
	p99: float
	p999: float

	@property
	def cpu_us(self):
		"""Microseconds of CPU per transaction, over all processes."""
		return sum(self.cpu.values()) / self.transactions / 1000


def _command(house, contestant, clients, protocol, jobs):
	return [
		f"{house.postgres.bin}/pgbench",
		"-n",
		"-S",
		"-M",
		protocol,
		"-c",
		str(clients),
		"-j",
		str(jobs),
		"-h",
		"127.0.0.1",
		"-p",
		str(contestant.port),
		"-U",
		BENCH.user,
		BENCH.database,
	]


def fixed(house, contestant, clients, transactions, protocol, seconds=120.0):
	"""Runs that many transactions per client; fails unless all were processed."""
	argv = _command(house, contestant, clients, protocol, 1) + ["-t", str(transactions)]
	output = house.stage.run(argv, seconds, env={"PGPASSWORD": BENCH.password})
	wanted = clients * transactions
	if f"actually processed: {wanted}/{wanted}" not in output:
		raise BenchError(
			f"pgbench did not finish {wanted} transactions through {contestant.name}\n{output}"
		)


def window(house, contestant, clients, seconds, protocol="simple", reconnect=False):
	"""A Sample of `seconds`. With reconnect each transaction is a login, one query and a
	disconnect."""
	stage = house.stage
	folder = stage.make_folder("pgbench")
	argv = (
		_command(house, contestant, clients, protocol, min(2, clients))
		+ ["-T", str(seconds + ENOUGH), "-P", "1", "--log", f"--log-prefix={folder}/log"]
		+ (["-C"] if reconnect else [])
	)
	report = os.path.join(folder, "report")
	try:
		with open(report, "wb") as file:
			process = stage.spawn(
				argv, stdout=file, stderr=file, env={"PGPASSWORD": BENCH.password}
			)
		try:
			edges = _edges(process, report, contestant, seconds)
			process.send_signal(signal.SIGALRM)  # ends it as -T does, log and all
			process.wait(20)
		except subprocess.TimeoutExpired as late:
			raise BenchError(f"pgbench through {contestant.name} does not end") from late
		finally:
			if process.poll() is None:
				process.kill()
			process.wait()
		if process.returncode != 0:
			raise BenchError(f"pgbench through {contestant.name} failed\n{tail(report)}")
		return _sample(folder, *edges)
	finally:
		shutil.rmtree(folder, ignore_errors=True)


def _edges(process, report, contestant, seconds):
	_wait_first_report(process, report, contestant)
	first = _counters(contestant)
	end = time.monotonic() + seconds
	while process.poll() is None and time.monotonic() < end:
		time.sleep(max(0.0, min(0.1, end - time.monotonic())))
	last = _counters(contestant)
	if first[1].keys() != last[1].keys():
		raise BenchError(f"processes of {contestant.name} came or went during the measurement")
	return first, last


def _wait_first_report(process, report, contestant):
	end = time.monotonic() + 60
	while True:
		with open(report, encoding="utf-8", errors="replace") as file:
			if "progress: " in file.read():
				return
		if process.poll() is not None or time.monotonic() > end:
			raise BenchError(
				f"pgbench through {contestant.name} did not get to work\n{tail(report)}"
			)
		time.sleep(0.01)


def _counters(contestant):
	try:
		family = contestant.family()
		cpu = {pid: procfs.cpu_ns(pid) for pid in family}
		return time.time(), cpu, sum(procfs.voluntary_switches(pid) for pid in family)
	except ProcessLookupError as gone:
		raise BenchError(f"a process of {contestant.name} died during the measurement") from gone


def _sample(folder, first, last):
	"""A line of the log: client, number, latency in us, script, seconds, microseconds (time of
	completion)."""
	latencies, latest = [], 0.0
	for path in glob.glob(os.path.join(folder, "log.*")):
		with open(path, encoding="ascii") as file:
			for line in file:
				field = line.split()
				done = int(field[4]) + int(field[5]) / 1e6
				latest = max(latest, done)
				if first[0] <= done < last[0]:
					if not re.fullmatch(r"\d+", field[2]):
						raise BenchError(f"pgbench logged a failed transaction: {line.strip()}")
					latencies.append(int(field[2]))
	if latest < last[0] or not latencies:
		raise BenchError(
			f"the last of {len(latencies)} transactions ended {last[0] - latest:.1f} s early"
		)
	latencies.sort()
	count, length = len(latencies), last[0] - first[0]

	def quantile(share):
		return latencies[min(count - 1, int(count * share))] / 1000

	cpu = {pid: last[1][pid] - first[1][pid] for pid in first[1]}
	return Sample(
		count,
		count / length,
		cpu,
		last[2] - first[2],
		sum(latencies) / count / 1000,
		quantile(0.5),
		quantile(0.99),
		quantile(0.999),
	)
