/*
 * What the control socket shows, as JSON text.
 */
#ifndef PGR_MONITOR_STATS_SHOW_H
#define PGR_MONITOR_STATS_SHOW_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "monitor/stats_request.h"
#include "monitor/stats_rows.h"
#include "shm/average.h"
#include "shm/segment.h"

struct pgr_stats_source {
	struct pgr_shm *shm;
	const struct pgr_config *config; /* NULL: none published yet */
	uint64_t version;                /* of config */
	const struct pgr_average *average;
	pid_t master;
};

/* Appends one whole answer, an error among them. */
void pgr_stats_show(const struct pgr_stats_source *source, enum pgr_view what,
	struct pgr_stats_text *out);
void pgr_stats_show_status(const struct pgr_stats_source *source, struct pgr_stats_text *out);

/* Is process k alive, and has it turned its loop within the watchdog's time? */
bool pgr_stats_show_beats(const struct pgr_stats_source *source, unsigned k);

/* Does some worker beat? */
bool pgr_stats_show_healthy(const struct pgr_stats_source *source);

/* Is a new client welcome? */
bool pgr_stats_show_ready(const struct pgr_stats_source *source);

#endif
