/*
 * Pools, servers and clients straight from the segment, as they are at this moment.
 */
#ifndef PGR_MONITOR_STATS_LIVE_H
#define PGR_MONITOR_STATS_LIVE_H

#include "monitor/stats_show.h"

void pgr_stats_live_pools(const struct pgr_stats_source *source, struct pgr_stats_text *out);
void pgr_stats_live_servers(const struct pgr_stats_source *source, struct pgr_stats_text *out);
void pgr_stats_live_clients(const struct pgr_stats_source *source, struct pgr_stats_text *out);

/* Server connections and clients of a pool, for `show databases`. */
struct pgr_stats_use {
	uint64_t servers;
	uint64_t clients;
};
struct pgr_stats_use pgr_stats_live_use(const struct pgr_stats_source *source, pgr_pool_id id);

/* "transaction"; "" for what is no mode. */
const char *pgr_stats_live_mode(uint64_t mode);

#endif
