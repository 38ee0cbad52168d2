/*
 * Rows as messages, in text or binary. Called by console.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/wire.h"
#include "worker/console.h"

#define ROW_BYTES (PGR_WIRE_HEADER + 2 + PGR_ROW_BYTES + PGR_ROW_CELLS * 32)

/* Where the rows of one SHOW go. */
struct sink {
	struct pgr_rows rows; /* first: what a view is given */
	struct pgr_client *client;
	const struct pgr_console_portal *portal; /* NULL: all in text */
	bool describe;
	bool wanted; /* rows too */
	uint64_t skip;
	uint32_t most; /* 0: all */
	uint64_t sent;
	bool more;
};

static const struct {
	uint32_t oid;
	int16_t size;
} types[] = {
	[PGR_ROW_TEXT] = {25, -1},
	[PGR_ROW_INT4] = {23, 4},
	[PGR_ROW_INT8] = {20, 8},
	[PGR_ROW_NUMERIC] = {1700, -1},
};

static uint16_t
format_of(const struct pgr_console_portal *portal, unsigned column)
{
	if (portal == NULL || portal->formats == 0)
		return 0;
	if (portal->formats == 1)
		return portal->format[0];
	return column < portal->formats ? portal->format[column] : 0;
}

static void
on_columns(struct pgr_rows *rows)
{
	struct sink *sink = (struct sink *)rows;
	char bytes[PGR_WIRE_HEADER + 2 + PGR_ROW_CELLS * 64];
	char *p = bytes + PGR_WIRE_HEADER;

	if (!sink->describe)
		return;
	pgr_put16(p, (uint16_t)rows->row.n);
	p += 2;
	for (unsigned i = 0; i < rows->row.n; i++) {
		const struct pgr_row_cell *cell = &rows->row.cell[i];
		size_t len = strlen(cell->column) + 1;

		memcpy(p, cell->column, len);
		p += len;
		pgr_put32(p, 0); /* of no table */
		pgr_put16(p + 4, 0);
		pgr_put32(p + 6, types[cell->type].oid);
		pgr_put16(p + 10, (uint16_t)types[cell->type].size);
		pgr_put32(p + 12, UINT32_MAX); /* no modifier */
		pgr_put16(p + 16, format_of(sink->portal, i));
		p += 18;
	}
	pgr_wire_header(bytes, PGR_MSG_ROW_DESCRIPTION, (size_t)(p - bytes) - PGR_WIRE_HEADER);
	pgr_console_put(sink->client, bytes, (size_t)(p - bytes));
}

/* PostgreSQL's binary numeric: digits of base 10000, the first has the weight. */
static size_t
put_numeric(char *p, uint64_t value)
{
	uint16_t digits[8];
	unsigned n = 0;

	for (; value != 0; value /= 10000)
		digits[n++] = (uint16_t)(value % 10000);
	pgr_put16(p, (uint16_t)n);
	pgr_put16(p + 2, (uint16_t)(n > 0 ? n - 1 : 0));
	pgr_put16(p + 4, 0); /* positive */
	pgr_put16(p + 6, 0); /* no fraction */
	for (unsigned i = 0; i < n; i++)
		pgr_put16(p + 8 + 2 * i, digits[n - 1 - i]);
	return 8 + 2u * n;
}

static size_t
put_binary(char *p, const struct pgr_row_cell *cell)
{
	switch (cell->type) {
	case PGR_ROW_INT4:
		pgr_put32(p, (uint32_t)cell->number);
		return 4;
	case PGR_ROW_INT8:
		pgr_put32(p, (uint32_t)(cell->number >> 32));
		pgr_put32(p + 4, (uint32_t)cell->number);
		return 8;
	case PGR_ROW_NUMERIC:
		return put_numeric(p, cell->number);
	case PGR_ROW_TEXT:
		break;
	}
	return 0;
}

static size_t
put_cell(char *p, const struct pgr_row *row, const struct pgr_row_cell *cell, bool binary)
{
	size_t len = cell->len;

	if (cell->type == PGR_ROW_TEXT)
		memcpy(p + 4, row->text + cell->at, len);
	else if (binary)
		len = put_binary(p + 4, cell);
	else
		len = (size_t)snprintf(p + 4, 24, "%" PRIu64, cell->number);
	pgr_put32(p, (uint32_t)len);
	return 4 + len;
}

static void
on_row(struct pgr_rows *rows)
{
	struct sink *sink = (struct sink *)rows;
	char bytes[ROW_BYTES];
	char *p = bytes + PGR_WIRE_HEADER;

	if (!sink->wanted)
		return;
	if (sink->skip > 0) {
		sink->skip--;
		return;
	}
	if (sink->most != 0 && sink->sent == sink->most) {
		sink->more = true;
		return;
	}
	pgr_put16(p, (uint16_t)rows->row.n);
	p += 2;
	for (unsigned i = 0; i < rows->row.n; i++)
		p += put_cell(p, &rows->row, &rows->row.cell[i], format_of(sink->portal, i) == 1);
	pgr_wire_header(bytes, PGR_MSG_DATA_ROW, (size_t)(p - bytes) - PGR_WIRE_HEADER);
	pgr_console_put(sink->client, bytes, (size_t)(p - bytes));
	sink->sent++;
}

static void
show_setting(const struct pgr_verb *verb, struct pgr_rows *rows)
{
	pgr_row_text(pgr_rows_next(rows), verb->setting, verb->value);
	rows->columns(rows);
	rows->add(rows);
}

static enum pgr_rc
show(struct pgr_worker *w, const struct pgr_verb *verb, struct pgr_rows *rows, struct pgr_err *err)
{
	struct pgr_show_source source = {
		.shm = w->shm, .config = w->config, .average = &w->average};

	switch (verb->show) {
	case PGR_VERB_SHOW_SETTING:
		show_setting(verb, rows);
		break;
	case PGR_VERB_SHOW_VIEW:
		return pgr_show(&source, verb->view, rows, err);
	case PGR_VERB_SHOW_HELP:
		break;
	}
	return PGR_OK;
}

enum pgr_rc
pgr_console_describe(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb,
	const struct pgr_console_portal *portal, struct pgr_err *err)
{
	struct sink sink = {.client = c, .portal = portal, .describe = true};

	sink.rows.columns = on_columns;
	sink.rows.add = on_row;
	return show(w, verb, &sink.rows, err);
}

enum pgr_rc
pgr_console_rows(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb,
	const struct pgr_console_portal *portal, bool describe, uint32_t most, uint64_t *ret_sent,
	bool *ret_more, struct pgr_err *err)
{
	struct sink sink = {.client = c,
		.portal = portal,
		.describe = describe,
		.wanted = true,
		.most = most,
		.skip = portal != NULL ? portal->rows : 0};

	sink.rows.columns = on_columns;
	sink.rows.add = on_row;
	if (show(w, verb, &sink.rows, err) != PGR_OK)
		return PGR_FAIL;
	*ret_sent = sink.sent;
	*ret_more = sink.more;
	return PGR_OK;
}
