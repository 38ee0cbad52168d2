"""What repeats because it is counted: user-mode instructions (callgrind) and system calls (strace)
per transaction.

Instructions are the difference of two runs that are equal but for the number of transactions, each
in processes of its own: start, logins, the opening of the pool and the first use of everything
cancel out. System calls are counted while strace is attached to workers that run already, with an
open pool."""

import os
import re
import shutil
import signal
import statistics
import subprocess

import load
import procfs
from report import ratio
from servers import PATIENCE_TRACED, Shape, open_pool
from stage import BenchError, until

CLIENTS_INSTRUCTIONS = 50
SHORT, LONG = 40, 240
INSTRUCTION_BARS = {"simple": 3000, "extended": 4600, "prepared": 4600}

CLIENTS_SYSCALLS = 20
TRANSACTIONS_SYSCALLS = 1000
SYSCALL_BAR = 4.3


def _unable(contestant, protocol):
	return protocol == "prepared" and not contestant.tracks_prepared


def instructions(house, report, options):
	found = {}
	for make in house.makers(Shape()):
		for protocol in options.protocols:
			for _ in range(options.repeats):
				name, counts = _difference(house, report, make, protocol, options.keep)
				pairs = found.setdefault((name, protocol), [])
				if counts is None:
					break
				pairs.append(_split(counts))
	medians = {
		key: statistics.median(one for one, _ in pairs) for key, pairs in found.items() if pairs
	}
	report.table(
		f"instructions: user mode, per transaction, {CLIENTS_INSTRUCTIONS} clients, "
		f"pool of {Shape().pool_size}; medians of {options.repeats}",
		["", "protocol", "worker", "ratio", "of runs", "other processes"],
		[_instruction_row(*key, pairs, medians, house.reference) for key, pairs in found.items()],
	)
	report.beside_base(medians, "instructions")
	for (name, protocol), value in medians.items():
		if name.startswith("pgroute"):
			bar = INSTRUCTION_BARS[protocol]
			report.bar(f"instructions per transaction, {protocol}", value, at_most=bar)


def _instruction_row(name, protocol, pairs, medians, reference):
	if not pairs:
		return [name, protocol, "fails", None, None, None]
	value = medians[name, protocol]
	workers = [worker for worker, _ in pairs]
	others = round(statistics.median(other for _, other in pairs))
	spread = f"{min(workers):,.0f}-{max(workers):,.0f}"
	beside = ratio(value, medians.get((reference, protocol)))
	return [name, protocol, round(value), beside, spread, others]


def _split(counts):
	"""Instructions of the worker, and of all others together."""
	worker = _busiest(counts)
	return counts[worker], sum(counts.values()) - counts[worker]


def _busiest(counts):
	"""The one worker: by its name, or where that is not visible under valgrind, by its work."""
	named = [role for role in counts if "worker" in role]
	return max(named or counts, key=counts.get)


def _difference(house, report, make, protocol, keep):
	totals = []
	for transactions in (SHORT, LONG):
		name, counts = _callgrind(house, report, make, protocol, transactions, keep)
		if counts is None:
			return name, None
		totals.append(counts)
	if totals[0].keys() != totals[1].keys():
		raise BenchError(
			f"{name} had other processes in its second run: {[*totals[0]]}, {[*totals[1]]}"
		)
	divisor = CLIENTS_INSTRUCTIONS * (LONG - SHORT)
	return name, {role: (totals[1][role] - totals[0][role]) / divisor for role in totals[0]}


def _callgrind(house, report, make, protocol, transactions, keep):
	"""One run: instructions by role."""
	folder = house.stage.make_folder("callgrind")
	launcher = (
		"valgrind",
		"-q",
		"--tool=callgrind",
		"--trace-children=yes",
		f"--callgrind-out-file={folder}/out.%p",
	)
	contestant = make(launcher=launcher)
	name = contestant.name
	try:
		if _unable(contestant, protocol):
			return name, None
		report.progress(f"instructions: {name}, {protocol}, {transactions} transactions per client")
		open_pool(contestant, Shape(launcher=launcher))
		load.fixed(house, contestant, CLIENTS_INSTRUCTIONS, transactions, protocol, 600.0)
		roles = _roles(contestant)
		if not contestant.stop():
			raise BenchError(f"{name} did not end by itself under valgrind")
		counts = {role: _total(f"{folder}/out.{pid}", name, role) for pid, role in roles.items()}
		if keep:
			shutil.copytree(
				folder,
				os.path.join(keep, f"{name}-{protocol}-{transactions}".replace(" ", "-")),
				dirs_exist_ok=True,
			)
		return name, counts
	finally:
		contestant.stop()
		shutil.rmtree(folder)


def _roles(contestant):
	"""Names of the processes by pid, the same in every run; the first is the one that was
	started."""
	roles = {}
	for number, pid in enumerate(contestant.family()):
		role = procfs.name(pid) if number else "main"
		roles[pid] = role if role not in roles.values() else f"{role} #{number}"
	return roles


def _total(path, name, role):
	try:
		with open(path, encoding="utf-8", errors="replace") as file:
			return int(re.findall(r"^totals: (\d+)$", file.read(), re.M)[-1])
	except (OSError, IndexError) as error:
		raise BenchError(
			f"process {role} of {name} left no count: it did not end by exit or a signal it handles"
		) from error


def syscalls(house, report, options):
	calls = {}
	shape = Shape(traced=True)
	makers = house.makers(shape, options.workers)
	if max(options.workers) > 1:
		makers.insert(1, lambda: house.bouncer(shape, max(options.workers)))
	for make in makers:
		contestant = make()
		try:
			load.fixed(house, contestant, CLIENTS_SYSCALLS, 50, "simple")  # opens the pool
			for protocol in options.protocols:
				report.progress(f"syscalls: {contestant.name}, {protocol}")
				unable = _unable(contestant, protocol)
				table = None if unable else _strace(house, contestant, protocol)
				calls[contestant.name, protocol] = table
		finally:
			contestant.stop()
	totals = {key: sum(table.values()) for key, table in calls.items() if table}
	rows = []
	for name, protocol in calls:
		total = totals.get((name, protocol))
		beside = ratio(total, totals.get((house.reference, protocol)))
		rows.append([name, protocol, "fails" if total is None else total, beside])
	report.table(
		f"syscalls: per transaction, {CLIENTS_SYSCALLS} clients, "
		f"pool of {Shape().pool_size}, logins included",
		["", "protocol", "calls", "ratio"],
		rows,
	)
	_call_table(report, {key: table for key, table in calls.items() if table})
	report.beside_base(totals, "system calls")
	for (name, protocol), total in totals.items():
		if name.startswith("pgroute, 1 "):
			report.bar(
				f"system calls per transaction, {name}, {protocol}", total, at_most=SYSCALL_BAR
			)


def _call_table(report, calls):
	names = {call for table in calls.values() for call, value in table.items() if value >= 0.005}
	order = sorted(names, key=lambda call: -max(table.get(call, 0) for table in calls.values()))
	report.table(
		"syscalls: which (below 0.005 left out)",
		["", "protocol", *order],
		[[*key, *(table.get(call) for call in order)] for key, table in calls.items()],
	)


def _strace(house, contestant, protocol):
	"""System calls of the workers per transaction, by name."""
	workers = contestant.workers()
	output = house.stage.path("strace.out")
	argv = ["strace", "-f", "-c", "-q", "-o", output] + [
		word for pid in workers for word in ("-p", str(pid))
	]
	with open(house.stage.path("strace.log"), "wb") as log:
		tracer = house.stage.spawn(argv, as_ourselves=True, stdout=log, stderr=log)
	try:
		until(
			"strace to attach",
			lambda: (
				tracer.poll() is not None
				or all(procfs.tracers(pid) == {tracer.pid} for pid in workers)
			),
			PATIENCE_TRACED,
		)
		load.fixed(house, contestant, CLIENTS_SYSCALLS, TRANSACTIONS_SYSCALLS, protocol)
		tracer.send_signal(signal.SIGINT)
		tracer.wait(PATIENCE_TRACED)
	except subprocess.TimeoutExpired as late:
		raise BenchError("strace does not end") from late
	finally:
		if tracer.poll() is None:
			tracer.kill()
			tracer.wait()
	return _parse_strace(output, CLIENTS_SYSCALLS * TRANSACTIONS_SYSCALLS)


def _parse_strace(path, transactions):
	"""Lines of `strace -c`: share, seconds, microseconds per call, calls, errors where there are
	any, name."""
	pattern = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.M)
	try:
		with open(path, encoding="ascii") as file:
			found = {
				name: int(count) / transactions
				for count, name in pattern.findall(file.read())
				if name != "total"
			}
	except OSError as error:
		raise BenchError("strace wrote no summary") from error
	if not found:
		raise BenchError("strace counted nothing; may it trace here?")
	return found
