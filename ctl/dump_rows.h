/*
 * The statistics as JSON rows: pgroute, durations, pools, databases, processes.
 */
#ifndef PGR_CTL_DUMP_ROWS_H
#define PGR_CTL_DUMP_ROWS_H

#include <jansson.h>

#include "base/clock.h"
#include "shm/stats.h"

/* now: monotonic. */
json_t *pgr_dump_rows(const struct pgr_stats *stats, pgr_usec now);

#endif
