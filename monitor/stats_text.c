/*
 * Growable text with a bound, so that no number of pools or clients makes the stats process eat the
 * machine. Also makes names from shared memory fit for JSON and OpenMetrics, which are UTF-8 while
 * names of databases may be any bytes. Used by stats_show.c, stats_control.c and prometheus.c.
 */
#include "monitor/stats_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096

void
pgr_stats_text_fini(struct pgr_stats_text *text)
{
	free(text->bytes);
	*text = (struct pgr_stats_text){0};
}

/* Room for len more bytes. */
static bool
text_grow(struct pgr_stats_text *text, size_t len)
{
	size_t cap = text->cap == 0 ? FIRST_CAP : text->cap;
	char *bytes;

	if (text->full || len > PGR_STATS_TEXT_MAX - text->len) {
		text->full = true;
		return false;
	}
	while (cap < text->len + len)
		cap *= 2;
	if (cap == text->cap)
		return true;
	bytes = realloc(text->bytes, cap);
	if (bytes == NULL) {
		text->full = true;
		return false;
	}
	text->bytes = bytes;
	text->cap = cap;
	return true;
}

void
pgr_stats_text_add(struct pgr_stats_text *text, const char *bytes, size_t len)
{
	if (len == 0 || !text_grow(text, len))
		return;
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

void
pgr_stats_text_printf(struct pgr_stats_text *text, const char *fmt, ...)
{
	char line[2048];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line))
		text->full = true;
	else
		pgr_stats_text_add(text, line, (size_t)n);
}
