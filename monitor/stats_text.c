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

/* Length of the UTF-8 sequence at s, 0 when there is none; shortest forms only, no surrogates. */
static size_t
sequence_len(const unsigned char *s, size_t left)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1
		: s[0] < 0xc0  ? 0
		: s[0] < 0xe0  ? 2
		: s[0] < 0xf0  ? 3
		: s[0] < 0xf8  ? 4
			       : 0;
	unsigned code;

	if (n <= 1 || n > left)
		return n > left ? 0 : n;
	code = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

const char *
pgr_stats_text_name(char *buf, const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	memcpy(buf, name, len);
	buf[len] = '\0';
	for (size_t i = 0; i < len;) {
		size_t n = sequence_len((const unsigned char *)buf + i, len - i);

		if (n == 0)
			buf[i] = '?';
		i += n == 0 ? 1 : n;
	}
	return buf;
}
