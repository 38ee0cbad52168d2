/*
 * The views of SHOW, as rows. Columns are PgBouncer's first, with its names, order and types; then
 * ours. Shown by the console, by the control socket (monitor/stats_show.c), each for itself.
 */
#ifndef PGR_WORKER_SHOW_H
#define PGR_WORKER_SHOW_H

#include "base/err.h"
#include "config/config.h"
#include "shm/average.h"
#include "shm/segment.h"
#include "worker/rows.h"

#define PGR_VIEWS(X)                                                                               \
	X(POOLS, "pools")                                                                          \
	X(SERVERS, "servers")                                                                      \
	X(CLIENTS, "clients")                                                                      \
	X(STATS, "stats")                                                                          \
	X(STATS_TOTALS, "stats_totals")                                                            \
	X(STATS_AVERAGES, "stats_averages")                                                        \
	X(TOTALS, "totals")                                                                        \
	X(CONFIG, "config")                                                                        \
	X(DATABASES, "databases")                                                                  \
	X(USERS, "users")                                                                          \
	X(LISTS, "lists")                                                                          \
	X(PINS, "pins")                                                                            \
	X(STATE, "state")                                                                          \
	X(VERSION, "version")

enum pgr_view {
#define X(name, text) PGR_VIEW_##name,
	PGR_VIEWS(X)
#undef X
	PGR_VIEW_COUNT
};

struct pgr_show_source {
	struct pgr_shm *shm;
	const struct pgr_config *config;
	const struct pgr_average *average;
};

/*
 * Hands the columns and then each row to rows. FAIL: out of memory, before anything was handed over.
 */
PGR_MUST enum pgr_rc pgr_show(const struct pgr_show_source *source, enum pgr_view what,
	struct pgr_rows *rows, struct pgr_err *err);

#endif
