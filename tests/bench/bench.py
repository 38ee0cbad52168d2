"""Side-by-side benchmark of pgroute, PgBouncer and PostgreSQL alone; started by scripts/bench, see
README.md.

Starts everything itself on free ports of 127.0.0.1 in a temporary folder, prints tables, leaves
nothing behind."""

import argparse
import os
import platform
import sys

import counted
import load
import memory
import timed
from report import Report
from servers import House
from stage import BenchError, Stage

MEASUREMENTS = {
	"instructions": (counted.instructions, "user-mode instructions per transaction (callgrind)"),
	"syscalls": (counted.syscalls, "system calls per transaction (strace)"),
	"cpu": (timed.cpu, "CPU time per transaction, throughput, latency"),
	"idle": (memory.idle, "memory per idle client, 10,000 of them"),
	"crowd": (timed.crowd, "throughput and wait with many more clients than connections"),
	"logins": (timed.logins, "CPU time per login"),
}
QUICK = ("instructions", "syscalls", "cpu", "logins")


def _arguments():
	listing = "".join(f"  {name:13} {about}\n" for name, (_, about) in MEASUREMENTS.items())
	parser = argparse.ArgumentParser(
		prog="scripts/bench",
		formatter_class=argparse.RawDescriptionHelpFormatter,
		description="Compares pgroute with PgBouncer in one run.",
		epilog=f"{listing}  {'all':13} everything\n"
		f"  {'quick':13} a short selection, only good for a first look\n\n"
		"environment: PGROUTE, PGROUTE_BASE (a second build), PGBOUNCER: programs;\n"
		"PGBIN: PostgreSQL's folder of programs",
	)
	parser.add_argument("what", nargs="+", choices=[*MEASUREMENTS, "all", "quick"], metavar="what")
	parser.add_argument("--rounds", type=int, help="rounds of what is timed (6; quick: 2)")
	parser.add_argument("--repeats", type=int, help="pairs of runs for instructions (3; quick: 1)")
	parser.add_argument(
		"--seconds", type=int, default=3, help="length of a round per contestant (3)"
	)
	parser.add_argument(
		"--protocol",
		action="append",
		choices=load.PROTOCOLS,
		help="may be repeated (counted: all; cpu: simple)",
	)
	parser.add_argument(
		"--workers",
		type=int,
		action="append",
		help="may be repeated (1 and 2; instructions always 1)",
	)
	parser.add_argument(
		"--clear",
		action="store_true",
		help="logins: give PgBouncer the clear password, not the SCRAM secret",
	)
	parser.add_argument("--keep", metavar="DIR", help="keep callgrind's files there")
	parser.add_argument("--json", metavar="FILE", help="write the results there, too")
	parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
	options = parser.parse_args()
	quick = "quick" in options.what
	options.rounds = options.rounds or (2 if quick else 6)
	options.repeats = options.repeats or (1 if quick else 3)
	options.timed_protocols = options.protocol or ["simple"]
	options.protocols = options.protocol or (["simple"] if quick else list(load.PROTOCOLS))
	options.workers = options.workers or [1, 2]
	for name in ("keep", "json"):
		if getattr(options, name):
			setattr(options, name, os.path.abspath(getattr(options, name)))
	return options


def _chosen(what):
	if "all" in what:
		return list(MEASUREMENTS)
	return [name for name in MEASUREMENTS if name in what or ("quick" in what and name in QUICK)]


def _measure(options, report):
	with Stage() as stage:
		report.progress("starting PostgreSQL and filling it")
		house = House(stage)
		print(
			f"PostgreSQL {house.postgres.version}, PgBouncer {house.bouncer_version}, "
			f"pgbench scale 10, {os.cpu_count()} CPUs, Linux {platform.release()}"
		)
		if house.missing:
			print(f"{house.missing}. PgBouncer is measured alone.")
		for name in _chosen(options.what):
			MEASUREMENTS[name][0](house, report, options)


def main():
	options, report = _arguments(), Report()
	try:
		_measure(options, report)
	except BenchError as error:
		print(f"scripts/bench: {error}", file=sys.stderr)
		return 2
	except PermissionError as error:
		print(
			f"scripts/bench: {error}; processes that cannot be dumped are read by root only",
			file=sys.stderr,
		)
		return 2
	except KeyboardInterrupt:
		return 130
	finally:
		if options.json:
			report.save(options.json)
	return 1 if options.check and report.missed else 0


if __name__ == "__main__":
	sys.exit(main())
