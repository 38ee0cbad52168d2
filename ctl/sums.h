/*
 * Sums over the statistics mapping, without the daemon's help.
 */
#ifndef PGR_CTL_SUMS_H
#define PGR_CTL_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/stats.h"

/* One pool or, added up, one database. */
struct pgr_sums {
#define X(name, help) uint64_t name;
	PGR_POOL_COUNTERS(X)
	PGR_POOL_GAUGES(X)
#undef X
	uint64_t oldest_wait; /* monotonic usec; 0: nobody waits */
};

/* Does process k count anything? Untouched pages of the mapping cost memory when they are read. */
bool pgr_sums_counts(const struct pgr_stats *stats, unsigned k);

/* Adds what all processes counted for a pool. */
void pgr_sums_add_pool(const struct pgr_stats *stats, uint32_t pool, struct pgr_sums *sums);

/* A histogram over all processes. */
struct pgr_sums_histogram {
	uint64_t count; /* of the cells, which may be a moment ahead of the histogram's own */
	uint64_t sum;   /* usec */
	uint64_t cell[PGR_HISTOGRAM_CELLS];
};

void pgr_sums_add_histogram(const struct pgr_histogram *from, struct pgr_sums_histogram *sums);

/*
 * The least microseconds that at least this share (0 to 1) of the values stays below: the upper
 * bound of the cell where that one lies, so at most a quarter too high. 0 without values.
 */
uint64_t pgr_sums_quantile(const struct pgr_sums_histogram *sums, double share);

#endif
