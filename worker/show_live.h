/*
 * Pools, servers and clients straight from the segment, as they are at this moment.
 */
#ifndef PGR_WORKER_SHOW_LIVE_H
#define PGR_WORKER_SHOW_LIVE_H

#include "worker/show.h"

void pgr_show_live_pools(const struct pgr_show_source *source, struct pgr_rows *rows);
void pgr_show_live_servers(const struct pgr_show_source *source, struct pgr_rows *rows);
void pgr_show_live_clients(const struct pgr_show_source *source, struct pgr_rows *rows);
void pgr_show_live_pins(const struct pgr_show_source *source, struct pgr_rows *rows);

/* Every client record in use. */
typedef void pgr_show_on_client(void *arg, const struct pgr_client_rec *rec);
void pgr_show_live_each_client(struct pgr_shm *shm, pgr_show_on_client *on_client, void *arg);

/* Server connections and clients of a pool, for `show databases`. */
struct pgr_show_use {
	uint64_t servers;
	uint64_t clients;
};
struct pgr_show_use pgr_show_live_use(const struct pgr_show_source *source, pgr_pool_id id);

/* "transaction"; "" for what is no mode. */
const char *pgr_show_live_mode(uint64_t mode);

#endif
