/*
 * Sums over processes: the numbers of each pool and each histogram as one. Reads only the
 * statistics mapping, so whoever has that can use it.
 */
#ifndef PGR_SHM_TOTALS_H
#define PGR_SHM_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "shm/slot.h"
#include "shm/stats.h"

/* One pool. Names are UTF-8. */
struct pgr_total {
	char database[PGR_NAME_MAX + 1];
	char user[PGR_NAME_MAX + 1];
	char server[272]; /* host:port */
	uint32_t pool;    /* its index */
	uint32_t pool_mode;
#define X(name, help) uint64_t name;
	PGR_POOL_COUNTERS(X)
	PGR_POOL_GAUGES(X)
#undef X
	uint64_t oldest_wait; /* monotonic usec; 0: nobody waits */
	uint64_t pool_size;
	uint64_t reserve_pool_size;
	uint64_t sv_active;
	uint64_t sv_idle;
	uint64_t sv_used;
	uint64_t sv_login;
	uint64_t sv_closing;
	uint64_t closes[PGR_CLOSE_REASON_COUNT];
};

struct pgr_totals {
	struct pgr_total *row; /* sorted by (database, user, server), each there once */
	size_t n;
};

/* All pools of the directory. FAIL: no memory. */
PGR_MUST enum pgr_rc pgr_totals_collect(
	const struct pgr_stats *stats, struct pgr_totals *ret, struct pgr_err *err);
void pgr_totals_fini(struct pgr_totals *totals);

/* One pool by its index, whether the directory has it or not: gauges and counters only. */
void pgr_totals_pool(
	const struct pgr_stats *stats, uint32_t pool, struct pgr_total *ret);

/* Does process k count anything? Untouched pages of the mapping cost memory when they are read. */
bool pgr_totals_counts(const struct pgr_stats *stats, unsigned k);

struct pgr_totals_sum {
	uint64_t count;
	uint64_t sum; /* usec */
	uint64_t cell[PGR_HISTOGRAM_CELLS];
};

#define X(name, help) PGR_TOTALS_##name,
enum pgr_totals_histogram_kind { PGR_HISTOGRAMS(X) PGR_TOTALS_COUNT };
#undef X

/* One histogram over all processes. count is the sum of the cells, so buckets always add up. */
void pgr_totals_histogram(
	const struct pgr_stats *stats, enum pgr_totals_histogram_kind which, struct pgr_totals_sum *ret);

#endif
