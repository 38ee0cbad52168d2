/*
 * Answers of the control socket as JSON text, row by row, so that no number of rows is held as
 * objects: {"ok": true, "columns": [...], "rows": [{...}, ...]}.
 */
#ifndef PGR_MONITOR_STATS_ROWS_H
#define PGR_MONITOR_STATS_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "monitor/stats_text.h"
#include "shm/segment.h"
#include "worker/rows.h"

struct pgr_stats_rows {
	struct pgr_rows rows; /* first: what a view is given */
	struct pgr_stats_text *out;
	struct pgr_shm *shm; /* for the beat: many rows take their time */
	size_t n;
	bool cut; /* rows were left out: the answer would be too long */
};

/* rows->rows is then given to pgr_show. */
void pgr_stats_rows_init(
	struct pgr_stats_rows *rows, struct pgr_shm *shm, struct pgr_stats_text *out);
void pgr_stats_rows_end(struct pgr_stats_rows *rows);

/* Members of an object, in the order of the calls. */
void pgr_stats_rows_text(json_t *row, const char *key, const char *value);
void pgr_stats_rows_number(json_t *row, const char *key, uint64_t value);

/* A point in time since 1970, "" for 0. */
void pgr_stats_rows_time(json_t *row, const char *key, uint64_t wall_usec);

/* Appends any object as text; it is stolen. */
void pgr_stats_rows_object(struct pgr_stats_text *out, json_t *object);

/* Appends {"ok": false, "error": ..., "hint": ...}. */
void pgr_stats_rows_error(struct pgr_stats_text *out, const struct pgr_err *err);

#endif
