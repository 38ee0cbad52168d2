/*
 * The arithmetic of `pgroutectl stats`. Every number has one writer, so a total is a sum; the
 * daemon may be stuck while it is taken.
 */
#include "ctl/sums.h"

#include "shm/layout.h"

bool
pgr_sums_counts(const struct pgr_stats *stats, unsigned k)
{
	return k < PGR_MIN(stats->workers, PGR_WORKERS_MAX) || k == PGR_PROC_MONITOR;
}

void
pgr_sums_add_pool(const struct pgr_stats *stats, uint32_t pool, struct pgr_sums *sums)
{
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		const struct pgr_stats_pool *from = &stats->proc[k].pool[pool % PGR_POOLS_MAX];
		uint64_t oldest;

		if (!pgr_sums_counts(stats, k))
			continue;
#define X(name, help) sums->name += pgr_stat_get(&from->name);
		PGR_POOL_COUNTERS(X)
		PGR_POOL_GAUGES(X)
#undef X
		oldest = pgr_stat_get(&from->oldest_wait);
		if (oldest != 0 && (sums->oldest_wait == 0 || oldest < sums->oldest_wait))
			sums->oldest_wait = oldest;
	}
}

void
pgr_sums_add_histogram(const struct pgr_histogram *from, struct pgr_sums_histogram *sums)
{
	sums->sum += pgr_stat_get(&from->sum);
	for (uint32_t i = 0; i < PGR_HISTOGRAM_CELLS; i++) {
		uint64_t n = pgr_stat_get(&from->cell[i]);

		sums->cell[i] += n;
		sums->count += n;
	}
}

uint64_t
pgr_sums_quantile(const struct pgr_sums_histogram *sums, double share)
{
	double wanted = share * (double)sums->count;
	uint64_t below = 0;

	for (uint32_t i = 0; i < PGR_HISTOGRAM_CELLS; i++) {
		below += sums->cell[i];
		if (below > 0 && (double)below >= wanted)
			return pgr_histogram_bound(i);
	}
	return 0;
}
