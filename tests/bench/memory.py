"""Memory of a client that is logged in, has run one query and is idle; and whether a crowd of them
is in the way.

Each client is a socket of this process; its local address is one of 127.0.0.2 and up, so that ports
do not run out. The memory is the sum of the proportional set sizes of all processes of the
contestant, the pool being open before and after."""

import resource

import load
import procfs
import wire
from report import ratio
from servers import BENCH, Shape, open_pool
from stage import BenchError

CLIENTS = 10000
PER_ADDRESS = 4000
SPARE_FILES = 200
WORKING = 100
BAR = 1.2 * 1024


def idle(house, report, options):
	count = _affordable(report)
	rows, bars, reference = [], [], None
	for make in house.makers(Shape(), options.workers):
		contestant = make()
		try:
			found = _measure(house, report, options, contestant, count)
		finally:
			contestant.stop()
		per_client = found["full"] / count
		reference = reference or per_client
		rows.append(
			[
				contestant.name,
				per_client,
				ratio(per_client, reference),
				found["worked"] / count,
				found["alone"],
				found["beside"],
				ratio(found["beside"], found["alone"]),
				found["stayed"],
			]
		)
		if contestant.name.startswith("pgroute"):
			bars.append((contestant.name, per_client, found["stayed"]))
	report.table(
		f"idle: {count:,} clients after one query each, then {WORKING} working beside them",
		["", "bytes/client", "ratio", "after work", "tps without", "tps beside", "ratio", "stayed"],
		rows,
	)
	for name, per_client, stayed in bars:
		report.bar(f"bytes per idle client, {name}", per_client, at_most=BAR)
		report.bar(f"idle clients that stayed, {name}", stayed, at_least=count)


def _affordable(report):
	limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
	count = min(CLIENTS, limit - SPARE_FILES)
	if count < 100:
		raise BenchError(f"idle: the limit of open files is {limit} (ulimit -n)")
	if count < CLIENTS:
		report.note(f"idle: only {count} clients, the limit of open files is {limit} (ulimit -n)")
	return count


def _pss(contestant):
	return sum(procfs.pss_bytes(pid) for pid in contestant.family())


def _measure(house, report, options, contestant, count):
	report.progress(f"idle: {contestant.name}, {count} clients")
	open_pool(contestant, Shape())
	empty = _pss(contestant)
	clients = []
	try:
		for number in range(count):
			clients.append(
				wire.Client(BENCH, contestant.port, source=f"127.0.0.{2 + number // PER_ADDRESS}")
			)
			clients[-1].query("SELECT 1")
		full = _pss(contestant)
		beside = load.window(house, contestant, WORKING, options.seconds).tps
		worked = _pss(contestant)
		stayed = sum(_alive(client) for client in clients)
	finally:
		for client in clients:
			client.close()
	alone = load.window(house, contestant, WORKING, options.seconds).tps
	return {
		"full": full - empty,
		"worked": worked - empty,
		"alone": alone,
		"beside": beside,
		"stayed": stayed,
	}


def _alive(client):
	try:
		return client.query("SELECT 1") == "1"
	except OSError:
		return False
