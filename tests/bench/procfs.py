"""What /proc tells about the processes under measurement.

Read by servers.py (families of processes, to stop them whole) and by the measurements (CPU, context
switches, memory). Linux only. A process may end between two reads: listings skip it, readers of
figures let ProcessLookupError out, because a figure with a process missing would be wrong, not
merely incomplete."""

import os
import re


def _read(path):
	try:
		with open(path, encoding="utf-8", errors="replace") as file:
			return file.read()
	except FileNotFoundError as gone:
		raise ProcessLookupError(path) from gone


def _stat_fields(pid):
	"""The fields of /proc/PID/stat after the name, which may hold blanks and parentheses itself."""
	return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def start_time(pid):
	"""Clock tick at which the process began: with the pid it names a process for good. None when it
	is gone or a zombie."""
	try:
		fields = _stat_fields(pid)
	except ProcessLookupError:
		return None
	return None if fields[0] in "ZX" else int(fields[19])


def _living():
	"""Pid, parent and session of every process but zombies."""
	for name in os.listdir("/proc"):
		if name.isdigit():
			try:
				fields = _stat_fields(name)
			except ProcessLookupError:
				continue
			if fields[0] not in "ZX":
				yield int(name), int(fields[1]), int(fields[3])


def session(leader):
	"""The processes of a session, also those whose parents are gone."""
	return [pid for pid, _, leader_of in _living() if leader_of == leader]


def family(pid):
	"""The process and all its descendants that live, parents first."""
	children = {}
	for child, parent, _ in _living():
		children.setdefault(parent, []).append(child)
	found = [pid]
	for parent in found:
		found.extend(sorted(children.get(parent, [])))
	return found


def name(pid):
	"""The name that the process gave itself, which valgrind leaves visible, unlike a changed
	command line."""
	return _read(f"/proc/{pid}/comm").strip()


def title(pid):
	return _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def _tasks(pid):
	try:
		return os.listdir(f"/proc/{pid}/task")
	except FileNotFoundError as gone:
		raise ProcessLookupError(f"/proc/{pid}") from gone


def cpu_ns(pid):
	"""Time on a CPU in nanoseconds, user and kernel, of all threads. Not sampled by ticks, unlike
	utime and stime."""
	return sum(int(_read(f"/proc/{pid}/task/{task}/schedstat").split()[0]) for task in _tasks(pid))


def voluntary_switches(pid):
	found = (_read(f"/proc/{pid}/task/{task}/status") for task in _tasks(pid))
	return sum(
		int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1)) for text in found
	)


def pss_bytes(pid):
	"""Proportional set size: shared pages are divided among those that map them, so that a sum
	counts each once."""
	text = _read(f"/proc/{pid}/smaps_rollup")
	return int(re.search(r"^Pss:\s*(\d+) kB", text, re.M).group(1)) * 1024


def tracers(pid):
	"""The set of tracers of the threads of a process; {0} when nobody traces it."""
	found = (_read(f"/proc/{pid}/task/{task}/status") for task in _tasks(pid))
	return {int(re.search(r"^TracerPid:\s*(\d+)", text, re.M).group(1)) for text in found}
