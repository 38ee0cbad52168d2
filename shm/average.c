/*
 * Two snapshots, a period apart: averages are of the last whole period, so they neither jump with
 * each look nor drown in the history since the start. Called by stats.c (tick) and stats_show.c.
 */
#include "shm/average.h"

#include <stdlib.h>
#include <string.h>

#include "shm/totals.h"

static void
add_total(struct pgr_average_database *row, const struct pgr_total *total)
{
#define X(counter, help) row->counter += total->counter;
	PGR_POOL_COUNTERS(X)
#undef X
}

enum pgr_rc
pgr_average_take(const struct pgr_stats *stats, pgr_usec now, struct pgr_average_snapshot *ret,
	struct pgr_err *err)
{
	struct pgr_average_snapshot snapshot = {.at = now};
	struct pgr_totals totals;

	if (pgr_totals_collect(stats, &totals, err) != PGR_OK)
		return PGR_FAIL;
	snapshot.row = calloc(totals.n + 1, sizeof(*snapshot.row));
	for (size_t i = 0; snapshot.row != NULL && i < totals.n; i++) {
		const struct pgr_total *total = &totals.row[i];

		/* totals are sorted by database */
		if (snapshot.n == 0 ||
			strcmp(snapshot.row[snapshot.n - 1].name, total->database) != 0)
			memcpy(snapshot.row[snapshot.n++].name, total->database,
				sizeof(total->database));
		add_total(&snapshot.row[snapshot.n - 1], total);
	}
	pgr_totals_fini(&totals);
	if (snapshot.row == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	*ret = snapshot;
	return PGR_OK;
}

void
pgr_average_drop(struct pgr_average_snapshot *snapshot)
{
	free(snapshot->row);
	*snapshot = (struct pgr_average_snapshot){0};
}

void
pgr_average_tick(
	struct pgr_average *average, const struct pgr_stats *stats, pgr_usec now)
{
	pgr_usec last = average->to.at != 0 ? average->to.at : average->from.at;
	struct pgr_average_snapshot snapshot;
	struct pgr_err err;

	if (last != 0 && now - last < PGR_AVERAGE_PERIOD)
		return;
	if (pgr_average_take(stats, now, &snapshot, &err) != PGR_OK)
		return;
	if (average->to.at != 0) {
		pgr_average_drop(&average->from);
		average->from = average->to;
	}
	*(last == 0 ? &average->from : &average->to) = snapshot;
}

void
pgr_average_fini(struct pgr_average *average)
{
	pgr_average_drop(&average->from);
	pgr_average_drop(&average->to);
}

static int
compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct pgr_average_database *)row)->name);
}

static struct pgr_average_database
find(const struct pgr_average_snapshot *snapshot, const char *name)
{
	static const struct pgr_average_database none;
	const struct pgr_average_database *row = NULL;

	if (snapshot->n > 0)
		row = bsearch(name, snapshot->row, snapshot->n, sizeof(*row), compare_name);
	return row != NULL ? *row : none;
}

pgr_usec
pgr_average_get(const struct pgr_average *average,
	const struct pgr_average_snapshot *current, const char *name, struct pgr_average_database *ret)
{
	const struct pgr_average_snapshot *to = average->to.at != 0 ? &average->to : current;
	struct pgr_average_database before = find(&average->from, name);
	struct pgr_average_database after = find(to, name);

	/* a counter that went back belonged to a pool that is gone */
#define X(counter, help)                                                                           \
	after.counter = after.counter > before.counter ? after.counter - before.counter : 0;
	PGR_POOL_COUNTERS(X)
#undef X
	*ret = after;
	return PGR_MAX(to->at - average->from.at, (pgr_usec)1);
}
