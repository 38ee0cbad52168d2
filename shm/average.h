/*
 * Statistics by database, and what they were a while ago: the avg_ columns of `show stats`.
 */
#ifndef PGR_SHM_AVERAGE_H
#define PGR_SHM_AVERAGE_H

#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "shm/stats.h"

#define PGR_AVERAGE_PERIOD (60 * PGR_USEC_PER_SEC) /* as PgBouncer's stats_period */

struct pgr_average_database {
	char name[PGR_NAME_MAX + 1]; /* UTF-8 */
#define X(counter, help) uint64_t counter;
	PGR_POOL_COUNTERS(X)
#undef X
};

/* All databases at one moment, sorted by name. */
struct pgr_average_snapshot {
	struct pgr_average_database *row;
	size_t n;
	pgr_usec at; /* 0: none taken */
};

struct pgr_average {
	struct pgr_average_snapshot from;
	struct pgr_average_snapshot to;
};

PGR_MUST enum pgr_rc pgr_average_take(const struct pgr_stats *stats, pgr_usec now,
	struct pgr_average_snapshot *ret, struct pgr_err *err);
void pgr_average_drop(struct pgr_average_snapshot *snapshot);

/* Called each second; takes a snapshot when a period is over. Out of memory: tries again later. */
void pgr_average_tick(
	struct pgr_average *average, const struct pgr_stats *stats, pgr_usec now);
void pgr_average_fini(struct pgr_average *average);

/*
 * What was counted for a database in the last whole period, before its end in the time since this
 * process started: *ret with the differences. Returns how long that was, at least one microsecond.
 * current: a snapshot just taken.
 */
pgr_usec pgr_average_get(const struct pgr_average *average,
	const struct pgr_average_snapshot *current, const char *name, struct pgr_average_database *ret);

#endif
