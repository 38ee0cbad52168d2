/*
 * The list of errors of one loading: adding, sorting, printing, and guessing what was meant. Called
 * by everything in config/ that finds fault; ctl and master print. Texts are made safe to print:
 * what the file's author wrote may hold control characters.
 */
#include "config/complain.h"

#include <stdlib.h>
#include <string.h>

void
pgr_complaint_set(struct pgr_complaint *complaint, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(complaint->message, sizeof(complaint->message), fmt, args);
	va_end(args);
	complaint->suggestion[0] = '\0';
}

void
pgr_complaint_suggest(struct pgr_complaint *complaint, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(complaint->suggestion, sizeof(complaint->suggestion), fmt, args);
	va_end(args);
}

/* Cuts a UTF-8 character that the end of the buffer split, and replaces control characters. */
static void
make_printable(char *text)
{
	size_t len = strlen(text);
	size_t at = len;

	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	while (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0)
		return;
	unsigned char lead = (unsigned char)text[at - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;

	if (len - (at - 1) < want)
		text[at - 1] = '\0';
}

void
pgr_errors_add(struct pgr_config_errors *errors, struct pgr_place place,
	const struct pgr_complaint *complaint)
{
	struct pgr_config_error *error;

	if (errors->n == PGR_CONFIG_ERRORS_MAX) {
		errors->dropped++;
		return;
	}
	error = &errors->list[errors->n++];
	memset(error, 0, sizeof(*error));
	snprintf(error->file, sizeof(error->file), "%s", place.file);
	error->file_index = place.file_index;
	error->line = place.line;
	error->column = place.column;
	memcpy(error->message, complaint->message, sizeof(error->message));
	memcpy(error->suggestion, complaint->suggestion, sizeof(error->suggestion));
	make_printable(error->file);
	make_printable(error->message);
	make_printable(error->suggestion);
}

static int
compare_errors(const void *va, const void *vb)
{
	const struct pgr_config_error *a = va;
	const struct pgr_config_error *b = vb;

	if (a->file_index != b->file_index)
		return a->file_index < b->file_index ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return strcmp(a->message, b->message);
}

void
pgr_errors_sort(struct pgr_config_errors *errors)
{
	qsort(errors->list, errors->n, sizeof(errors->list[0]), compare_errors);
}

int
pgr_config_error_text(const struct pgr_config_error *error, char *buf, size_t size)
{
	char place[300];
	bool more = error->suggestion[0] != '\0';

	if (error->line == 0)
		snprintf(place, sizeof(place), "%s", error->file);
	else
		snprintf(place, sizeof(place), "%s:%u:%u", error->file, error->line, error->column);
	return snprintf(buf, size, "%s: %s%s%s%s", place, error->message, more ? " (" : "",
		error->suggestion, more ? ")" : "");
}

void
pgr_config_errors_print(const struct pgr_config_errors *errors, FILE *out)
{
	char line[800];

	for (size_t i = 0; i < errors->n; i++) {
		pgr_config_error_text(&errors->list[i], line, sizeof(line));
		fprintf(out, "%s\n", line);
	}
	if (errors->dropped > 0)
		fprintf(out, "and %zu more errors\n", errors->dropped);
}

#define GUESS_MAX 48

/* Edits (insert, delete, change, swap of neighbours) that make a into b, row by row. */
static size_t
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][GUESS_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *reuse = before;

		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = PGR_MIN(best, PGR_MIN(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = PGR_MIN(best, before[j - 2] + 1);
			now[j] = best;
		}
		before = last;
		last = now;
		now = reuse;
	}
	return last[b_len];
}

void
pgr_guess_init(struct pgr_guess *guess, const char *given, size_t len)
{
	*guess = (struct pgr_guess){.given = given, .len = len, .distance = SIZE_MAX};
}

void
pgr_guess_offer(struct pgr_guess *guess, const char *name)
{
	size_t len = strlen(name);
	size_t distance;

	if (guess->len == 0 || guess->len > GUESS_MAX || len > GUESS_MAX)
		return;
	distance = edit_distance(guess->given, guess->len, name, len);
	if (guess->len >= 3 && strncmp(guess->given, name, guess->len) == 0)
		distance = 1; /* the beginning of the word */
	if (distance <= PGR_MAX(len / 3, (size_t)1) && distance < len &&
		distance < guess->distance) {
		guess->distance = distance;
		guess->best = name;
	}
}
