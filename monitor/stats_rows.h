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

struct pgr_stats_rows {
	struct pgr_stats_text *out;
	struct pgr_shm *shm; /* for the beat: many rows take their time */
	size_t n;
	bool cut; /* rows were left out: the answer would be too long */
};

/* blank: any row; its keys are the columns, in order. Stolen. */
void pgr_stats_rows_begin(struct pgr_stats_rows *rows, struct pgr_shm *shm,
	struct pgr_stats_text *out, json_t *blank);

/* row is stolen. */
void pgr_stats_rows_add(struct pgr_stats_rows *rows, json_t *row);
void pgr_stats_rows_end(struct pgr_stats_rows *rows);

/* Members of a row, in the order of the calls. name: of shared memory, perhaps without a NUL. */
void pgr_stats_rows_text(json_t *row, const char *key, const char *value);
void pgr_stats_rows_name(json_t *row, const char *key, const char *name, size_t size);
void pgr_stats_rows_number(json_t *row, const char *key, uint64_t value);

/* A point in time since 1970 as PgBouncer shows it, "" for 0. */
void pgr_stats_rows_time(json_t *row, const char *key, uint64_t wall_usec);

/* Appends any object as text; it is stolen. */
void pgr_stats_rows_object(struct pgr_stats_text *out, json_t *object);

/* Appends {"ok": false, "error": ..., "hint": ...}. */
void pgr_stats_rows_error(struct pgr_stats_text *out, const struct pgr_err *err);

#endif
