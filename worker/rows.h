/*
 * Rows of SHOW, for whoever shows them: the console as messages, the control socket as JSON. A view
 * fills one row after the other and says so; it does not know what becomes of them.
 */
#ifndef PGR_WORKER_ROWS_H
#define PGR_WORKER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#define PGR_ROW_CELLS 48
#define PGR_ROW_BYTES 8192 /* all texts of a row; what does not fit is cut */

/* As PgBouncer has them: clients may look at the types. */
enum pgr_row_type {
	PGR_ROW_TEXT,
	PGR_ROW_INT4,    /* cut to INT32_MAX */
	PGR_ROW_INT8,    /* cut to INT64_MAX */
	PGR_ROW_NUMERIC, /* any uint64_t */
};

struct pgr_row_cell {
	const char *column; /* static */
	enum pgr_row_type type;
	uint32_t at; /* TEXT: in struct pgr_row.text, UTF-8, with a NUL behind it */
	uint32_t len;
	uint64_t number;
};

struct pgr_row {
	unsigned n;
	uint32_t used;
	struct pgr_row_cell cell[PGR_ROW_CELLS];
	char text[PGR_ROW_BYTES];
};

struct pgr_rows {
	void (*columns)(struct pgr_rows *rows); /* the columns are those of rows->row; its values mean nothing */
	void (*add)(struct pgr_rows *rows);     /* rows->row is complete */
	struct pgr_row row;
};

/* The row to be filled, empty. */
static inline struct pgr_row *
pgr_rows_next(struct pgr_rows *rows)
{
	rows->row.n = rows->row.used = 0;
	return &rows->row;
}

/* Cells, in the order of the calls. name: of shared memory, perhaps without a NUL. */
void pgr_row_text(struct pgr_row *row, const char *column, const char *value);
void pgr_row_name(struct pgr_row *row, const char *column, const char *name, size_t size);
void pgr_row_int4(struct pgr_row *row, const char *column, uint64_t value);
void pgr_row_int8(struct pgr_row *row, const char *column, uint64_t value);
void pgr_row_numeric(struct pgr_row *row, const char *column, uint64_t value);

/* A point in time since 1970 as PgBouncer shows it, "" for 0. */
void pgr_row_time(struct pgr_row *row, const char *column, uint64_t wall_usec);

#endif
