/*
 * JSON out. Strings go through pgr_utf8_copy first, since jansson takes nothing but UTF-8.
 * Used by stats_show.c and stats_control.c.
 */
#include "monitor/stats_rows.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

#define ROOM_FOR_THE_END (256u << 10) /* no row is longer */
#define ROWS_PER_BEAT 1024
#define TEXT_MAX 1024

static int
append(const char *bytes, size_t len, void *arg)
{
	pgr_stats_text_add(arg, bytes, len);
	return 0;
}

void
pgr_stats_rows_object(struct pgr_stats_text *out, json_t *object)
{
	if (object == NULL || json_dump_callback(object, append, out, JSON_COMPACT) != 0)
		out->full = true;
	json_decref(object);
}

static void
on_columns(struct pgr_rows *given)
{
	struct pgr_stats_rows *rows = (struct pgr_stats_rows *)given;
	json_t *columns = json_array();

	for (unsigned i = 0; i < given->row.n; i++)
		json_array_append_new(columns, json_string(given->row.cell[i].column));
	pgr_stats_text_printf(rows->out, "{\"ok\":true,\"columns\":");
	pgr_stats_rows_object(rows->out, columns);
	pgr_stats_text_printf(rows->out, ",\"rows\":[");
}

static json_t *
row_object(const struct pgr_row *row)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < row->n; i++) {
		const struct pgr_row_cell *cell = &row->cell[i];
		json_t *value = cell->type == PGR_ROW_TEXT
			? json_stringn(row->text + cell->at, cell->len)
			: json_integer((json_int_t)PGR_MIN(cell->number, (uint64_t)INT64_MAX));

		json_object_set_new(object, cell->column, value);
	}
	return object;
}

static void
on_row(struct pgr_rows *given)
{
	struct pgr_stats_rows *rows = (struct pgr_stats_rows *)given;

	if (rows->n % ROWS_PER_BEAT == 0)
		atomic_store(&pgr_shm_proc(rows->shm, PGR_PROC_STATS)->beat, pgr_clock_now());
	if (rows->out->len > PGR_STATS_TEXT_MAX - ROOM_FOR_THE_END) {
		rows->cut = true;
		return;
	}
	if (rows->n++ > 0)
		pgr_stats_text_add(rows->out, ",", 1);
	pgr_stats_rows_object(rows->out, row_object(&given->row));
}

void
pgr_stats_rows_init(struct pgr_stats_rows *rows, struct pgr_shm *shm, struct pgr_stats_text *out)
{
	rows->rows.columns = on_columns;
	rows->rows.add = on_row;
	rows->out = out;
	rows->shm = shm;
	rows->n = 0;
	rows->cut = false;
}

void
pgr_stats_rows_end(struct pgr_stats_rows *rows)
{
	pgr_stats_text_printf(rows->out, "]%s}", rows->cut ? ",\"truncated\":true" : "");
}

void
pgr_stats_rows_text(json_t *row, const char *key, const char *value)
{
	char buf[TEXT_MAX + 1];

	json_object_set_new(row, key, json_string(pgr_utf8_copy(buf, value, TEXT_MAX)));
}

void
pgr_stats_rows_number(json_t *row, const char *key, uint64_t value)
{
	json_object_set_new(
		row, key, json_integer((json_int_t)PGR_MIN(value, (uint64_t)INT64_MAX)));
}

void
pgr_stats_rows_time(json_t *row, const char *key, uint64_t wall_usec)
{
	char text[40];

	pgr_clock_text(wall_usec, text, sizeof(text));
	pgr_stats_rows_text(row, key, text);
}

void
pgr_stats_rows_error(struct pgr_stats_text *out, const struct pgr_err *err)
{
	json_t *object = json_object();

	json_object_set_new(object, "ok", json_false());
	pgr_stats_rows_text(object, "error", err->message);
	if (err->hint[0] != '\0')
		pgr_stats_rows_text(object, "hint", err->hint);
	pgr_stats_rows_object(out, object);
}
