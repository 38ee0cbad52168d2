/*
 * Everything that pgroutectl prints. Text of others (names that clients chose, errors of servers)
 * goes to terminals here, so control characters are taken out.
 */
#include "ctl/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64

void
pgr_report_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void
print_safe(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
	}
}

/* Each line of text gets the program's name in front; the hint ends the last one. */
static void
print_lines(const char *text, const char *hint)
{
	const char *end;

	do {
		end = strchrnul(text, '\n');
		fputs("pgroutectl: ", stderr);
		print_safe(stderr, text, (size_t)(end - text));
		if (*end == '\0' && hint != NULL && hint[0] != '\0') {
			fputs(" (", stderr);
			print_safe(stderr, hint, strlen(hint));
			fputc(')', stderr);
		}
		fputc('\n', stderr);
		text = end + 1;
	} while (*end != '\0');
}

static int
report(const struct pgr_ctl *ctl, int code, const char *message, const char *hint)
{
	json_t *object;

	print_lines(message, hint);
	if (!ctl->json)
		return code;
	object = json_pack("{s:b, s:s}", "ok", 0, "error", message);
	if (object != NULL && hint != NULL && hint[0] != '\0')
		json_object_set_new(object, "hint", json_string(hint));
	pgr_report_json(object);
	json_decref(object);
	return code;
}

int
pgr_report_error(const struct pgr_ctl *ctl, int code, const char *hint, const char *fmt, ...)
{
	char message[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	return report(ctl, code, message, hint);
}

int
pgr_report_err(const struct pgr_ctl *ctl, int code, const struct pgr_err *err)
{
	return report(ctl, code, err->message, err->hint);
}

int
pgr_report_refusal(const struct pgr_ctl *ctl, const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *hint = json_string_value(json_object_get(answer, "hint"));

	return report(ctl, PGR_CTL_FAILED,
		error != NULL ? error : "pgroute answered without a reason", hint);
}

static json_t *
config_errors(const struct pgr_config_errors *errors)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errors->n; i++) {
		const struct pgr_config_error *e = &errors->list[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", e->file, "line",
				(int)e->line, "column", (int)e->column, "message", e->message,
				"suggestion", e->suggestion));
	}
	return list;
}

int
pgr_report_config(const struct pgr_ctl *ctl, const struct pgr_config_errors *errors)
{
	char line[1024];
	json_t *object;

	for (size_t i = 0; i < errors->n; i++) {
		pgr_config_error_text(&errors->list[i], line, sizeof(line));
		print_lines(line, NULL);
	}
	if (errors->dropped > 0)
		fprintf(stderr, "pgroutectl: and %zu more errors\n", errors->dropped);
	if (!ctl->json)
		return PGR_CTL_FAILED;
	object = json_pack("{s:b, s:o}", "ok", 0, "errors", config_errors(errors));
	pgr_report_json(object);
	json_decref(object);
	return PGR_CTL_FAILED;
}

int
pgr_report_done(const struct pgr_ctl *ctl, const json_t *object, const char *fmt, ...)
{
	va_list args;

	if (ctl->json) {
		pgr_report_json(object);
		return PGR_CTL_DONE;
	}
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	return PGR_CTL_DONE;
}

/* A cell as text; buf of 32 bytes is for numbers. */
static const char *
cell_text(const json_t *cell, char *buf)
{
	if (json_is_integer(cell))
		snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(cell));
	else if (json_is_real(cell))
		snprintf(buf, 32, "%.3f", json_real_value(cell));
	else if (json_is_boolean(cell))
		snprintf(buf, 32, "%s", json_is_true(cell) ? "yes" : "no");
	else
		return json_is_string(cell) ? json_string_value(cell) : "";
	return buf;
}

/* Characters, as far as UTF-8 tells; wide ones count as one. */
static int
text_width(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const char *text, int width, bool right, bool last)
{
	int gap = width - text_width(text);

	if (right)
		printf("%*s", gap, "");
	print_safe(stdout, text, strlen(text));
	if (!right && !last)
		printf("%*s", gap, "");
	fputs(last ? "\n" : "  ", stdout);
}

static json_t *
keys_of(const json_t *row)
{
	json_t *columns = json_array();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)row, key, value)
		json_array_append_new(columns, json_string(key));
	return columns;
}

struct table {
	size_t n;
	const char *name[COLUMNS_MAX];
	int width[COLUMNS_MAX];
	bool right[COLUMNS_MAX]; /* a column of numbers */
};

static void
measure(struct table *table, const json_t *columns, const json_t *rows)
{
	char buf[32];

	table->n = PGR_MIN(json_array_size(columns), (size_t)COLUMNS_MAX);
	for (size_t c = 0; c < table->n; c++) {
		table->name[c] = json_string_value(json_array_get(columns, c));
		table->width[c] = text_width(table->name[c]);
		table->right[c] = true;
		for (size_t r = 0; r < json_array_size(rows); r++) {
			const json_t *cell = json_object_get(
				json_array_get(rows, r), table->name[c]);
			int width = text_width(cell_text(cell, buf));

			table->width[c] = PGR_MAX(table->width[c], width);
			table->right[c] &= json_is_number(cell);
		}
	}
}

void
pgr_report_table(const json_t *columns, const json_t *rows)
{
	json_t *keys = columns == NULL ? keys_of(json_array_get(rows, 0)) : NULL;
	struct table table;
	char buf[32];

	measure(&table, columns == NULL ? keys : columns, rows);
	for (size_t c = 0; c < table.n; c++)
		print_cell(table.name[c], table.width[c], table.right[c], c + 1 == table.n);
	for (size_t r = 0; r < json_array_size(rows); r++) {
		const json_t *row = json_array_get(rows, r);

		for (size_t c = 0; c < table.n; c++)
			print_cell(cell_text(json_object_get(row, table.name[c]), buf),
				table.width[c], table.right[c], c + 1 == table.n);
	}
	json_decref(keys);
}
