/*
 * A row is filled. Called by show.c and show_live.c; texts go through pgr_utf8_copy, since names are
 * bytes of others.
 */
#include "worker/rows.h"

#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "base/rc.h"
#include "base/utf8.h"

#define TEXT_MAX 1024

static struct pgr_row_cell *
next_cell(struct pgr_row *row, const char *column, enum pgr_row_type type)
{
	struct pgr_row_cell *cell = &row->cell[row->n];

	PGR_ASSERT(row->n < PGR_ROW_CELLS);
	row->n++;
	*cell = (struct pgr_row_cell){.column = column, .type = type};
	return cell;
}

void
pgr_row_name(struct pgr_row *row, const char *column, const char *name, size_t size)
{
	struct pgr_row_cell *cell = next_cell(row, column, PGR_ROW_TEXT);
	size_t room = sizeof(row->text) - row->used - 1;
	size_t most = PGR_MIN(PGR_MIN(size, (size_t)TEXT_MAX), room);

	cell->at = row->used;
	cell->len = (uint32_t)strlen(pgr_utf8_copy(row->text + row->used, name, most));
	row->used += PGR_MIN(cell->len, (uint32_t)room - 1) + 1;
}

void
pgr_row_text(struct pgr_row *row, const char *column, const char *value)
{
	pgr_row_name(row, column, value, TEXT_MAX);
}

void
pgr_row_int4(struct pgr_row *row, const char *column, uint64_t value)
{
	next_cell(row, column, PGR_ROW_INT4)->number = PGR_MIN(value, (uint64_t)INT32_MAX);
}

void
pgr_row_int8(struct pgr_row *row, const char *column, uint64_t value)
{
	next_cell(row, column, PGR_ROW_INT8)->number = PGR_MIN(value, (uint64_t)INT64_MAX);
}

void
pgr_row_numeric(struct pgr_row *row, const char *column, uint64_t value)
{
	next_cell(row, column, PGR_ROW_NUMERIC)->number = value;
}

void
pgr_row_time(struct pgr_row *row, const char *column, uint64_t wall_usec)
{
	char text[40];

	pgr_clock_text(wall_usec, text, sizeof(text));
	pgr_row_text(row, column, text);
}
