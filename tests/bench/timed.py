"""What does not repeat and is therefore compared: CPU, throughput and latency in interleaved
rounds.

All contestants of a measurement are up at once and idle but for the one whose turn it is; the order
rotates from round to round. Figures are medians over rounds. Ratios are medians of each round's
ratio to PgBouncer in that same round, so that a machine that slows down for a while slows both."""

import statistics

import load
from report import ratio
from servers import Shape, open_pool

CLIENTS = 100
LOGIN_CLIENTS = 10
CROWD = (1, 2, 5, 10, 20)


def median(values):
	return statistics.median(values) if values else None


def median_ratio(samples, references, figure):
	return median([figure(one) / figure(other) for one, other in zip(samples, references)])


def _cpu_ratio(samples, references):
	return median_ratio(samples, references, lambda one: one.cpu_us)


def _start(makers, shape):
	contestants = []
	try:
		for make in makers:
			contestants.append(make())
			open_pool(contestants[-1], shape)
	except BaseException:
		_stop(contestants)
		raise
	return contestants


def _stop(contestants):
	for contestant in contestants:
		contestant.stop()


def _rounds(report, what, contestants, options, measure):
	"""Samples by contestant, one per round."""
	found = {contestant.name: [] for contestant in contestants}
	for number in range(options.rounds):
		report.progress(f"{what}: round {number + 1} of {options.rounds}")
		turn = number % len(contestants)
		for contestant in contestants[turn:] + contestants[:turn]:
			found[contestant.name].append(measure(contestant))
	return found


def _title(what, options):
	return f"{what}; medians of {options.rounds} interleaved rounds of {options.seconds} s"


def cpu(house, report, options):
	for protocol in options.timed_protocols:
		_cpu(house, report, options, protocol)


def _cpu(house, report, options, protocol):
	shape = Shape()
	makers = house.makers(shape, options.workers)
	makers.insert(1, lambda: house.bouncer(shape, processes=2))
	contestants = _start(makers, Shape(pool_size=shape.pool_size // 2))
	reference = contestants[0]
	try:
		if protocol == "prepared" and not reference.tracks_prepared:
			report.note(f"cpu: {reference.name} cannot do prepared")
			return
		found = _rounds(
			report,
			f"cpu, {protocol}",
			[house.postgres, *contestants],
			options,
			lambda contestant: load.window(house, contestant, CLIENTS, options.seconds, protocol),
		)
	finally:
		_stop(contestants)
	rows = [_cpu_row(name, samples, found[reference.name]) for name, samples in found.items()]
	report.table(
		_title(
			f"cpu: pgbench -S -M {protocol}, {CLIENTS} clients, pool of {shape.pool_size}", options
		),
		[
			"",
			"CPU us/txn",
			"ratio",
			"of rounds",
			"switches/txn",
			"tps",
			"ratio",
			"mean ms",
			"p50",
			"p99",
			"p99.9",
		],
		rows,
	)
	report.beside_base(found, f"CPU per transaction, {protocol}", _cpu_ratio)
	for name in found:
		if name.startswith("pgroute"):
			report.bar(
				f"CPU per transaction beside one PgBouncer, {name}, {protocol}",
				_cpu_ratio(found[name], found[reference.name]),
				at_most=1.0,
			)


def _cpu_row(name, samples, references):
	row = [name, None, None, None, None]
	if samples[0].cpu:
		ratios = [one.cpu_us / other.cpu_us for one, other in zip(samples, references)]
		row = [
			name,
			median([one.cpu_us for one in samples]),
			median(ratios),
			f"{min(ratios):.2f}-{max(ratios):.2f}",
			median([one.switches / one.transactions for one in samples]),
		]
	row += [
		median([one.tps for one in samples]),
		median_ratio(samples, references, lambda one: one.tps),
	]
	return row + [
		median([getattr(one, key) for one in samples]) for key in ("mean", "p50", "p99", "p999")
	]


def logins(house, report, options):
	shape = Shape(clear=options.clear)
	contestants = _start(house.makers(shape, options.workers), shape)
	try:
		found = _rounds(
			report,
			"logins",
			contestants,
			options,
			lambda contestant: load.window(
				house, contestant, LOGIN_CLIENTS, options.seconds, reconnect=True
			),
		)
		spread = {one.name: _spread(one, found[one.name]) for one in contestants}
	finally:
		_stop(contestants)
	references = found[contestants[0].name]
	rows = [
		[
			name,
			median([one.cpu_us for one in samples]),
			_cpu_ratio(samples, references),
			median([one.tps for one in samples]),
			spread[name],
		]
		for name, samples in found.items()
	]
	report.table(
		_title(
			f"logins: SCRAM login, one query, disconnect; {LOGIN_CLIENTS} clients (pgbench -C -S)",
			options,
		),
		["", "CPU us/login", "ratio", "logins/s", "share of workers"],
		rows,
	)
	report.beside_base(found, "CPU per login", _cpu_ratio)
	for name in found:
		if name.startswith("pgroute"):
			report.bar(
				f"CPU per login beside PgBouncer, {name}",
				_cpu_ratio(found[name], references),
				at_most=1.0,
			)


def _spread(contestant, samples):
	"""How the CPU of the workers divides among them, in percent."""
	used = [sum(sample.cpu[pid] for sample in samples) for pid in contestant.workers()]
	return " ".join(f"{100 * one / sum(used):.0f}%" for one in used)


def _held(samples, crowded):
	"""Throughput of the crowd as part of the peak: of each number of clients, the median over the
	rounds of the crowd's throughput beside it in the same round; the worst of these. The largest of
	several medians would be the luckiest, not the peak."""
	return min(
		median([one[crowded].tps / one[count].tps for one in samples]) for count in samples[0]
	)


def crowd(house, report, options):
	shape = Shape()
	counts = [shape.pool_size * times for times in CROWD]
	makers = house.makers(shape, options.workers)
	makers.insert(1, lambda: house.bouncer(shape, processes=2))
	contestants = _start(makers, Shape(pool_size=shape.pool_size // 2))
	try:
		found = _rounds(
			report,
			"crowd",
			contestants,
			options,
			lambda contestant: {
				count: load.window(house, contestant, count, options.seconds) for count in counts
			},
		)
	finally:
		_stop(contestants)
	crowded, one, two = 10 * shape.pool_size, contestants[0].name, contestants[1].name
	tail = {
		name: median([one[crowded].p999 / one[crowded].mean for one in samples])
		for name, samples in found.items()
	}
	rows, bars = [], []
	for name, samples in found.items():
		tps = [median([one[count].tps for one in samples]) for count in counts]
		held = _held(samples, crowded)
		beside = [ratio(tail[name], tail[other]) for other in (one, two)]
		rows.append([name, *tps, held, tail[name], *beside])
		if name.startswith("pgroute"):
			like = one if name.endswith(" 1 worker") else two
			bars.append((name, like, held, tail[name] / tail[like]))
	report.table(
		_title(f"crowd: tps by number of clients, pool of {shape.pool_size}", options),
		[
			"",
			*(str(count) for count in counts),
			f"{crowded}/peak",
			f"p99.9/mean at {crowded}",
			"beside one",
			"beside two",
		],
		rows,
	)
	for name, like, held, beside in bars:
		report.bar(
			f"throughput of {crowded} clients as part of the peak, {name}", held, at_least=0.9
		)
		report.bar(
			f"p99.9/mean of the wait of {crowded} clients beside {like}, {name}",
			beside,
			at_most=1.2,
		)
