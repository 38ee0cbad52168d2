/*
 * A bounded writer over the caller's memory. What does not fit is not written and is remembered:
 * the writer of a message looks once, at the end. Header-only; used by the files of this folder and
 * by whoever calls them.
 */
#ifndef PGR_PROTO_OUT_H
#define PGR_PROTO_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"

struct pgr_out {
	char *p;
	size_t cap;
	size_t len;
	bool full; /* something did not fit; what p holds is no message */
};

static inline void
pgr_out_init(struct pgr_out *out, char *p, size_t cap)
{
	out->p = p;
	out->cap = cap;
	out->len = 0;
	out->full = false;
}

/* Room for n bytes behind what is there, counted as written; NULL when they do not fit. */
static inline char *
pgr_out_room(struct pgr_out *out, size_t n)
{
	char *room = out->p + out->len;

	if (out->full || n > out->cap - out->len) {
		out->full = true;
		return NULL;
	}
	out->len += n;
	return room;
}

static inline void
pgr_out_bytes(struct pgr_out *out, const char *data, size_t n)
{
	char *room = pgr_out_room(out, n);

	if (room != NULL && n > 0)
		memcpy(room, data, n);
}

static inline void
pgr_out_byte(struct pgr_out *out, char c)
{
	pgr_out_bytes(out, &c, 1);
}

/* The characters of text, without its NUL. */
static inline void
pgr_out_text(struct pgr_out *out, const char *text)
{
	pgr_out_bytes(out, text, strlen(text));
}

/* The characters of text and its NUL: a String of the protocol. */
static inline void
pgr_out_string(struct pgr_out *out, const char *text)
{
	pgr_out_bytes(out, text, strlen(text) + 1);
}

static inline void
pgr_out_int32(struct pgr_out *out, uint32_t v)
{
	char *room = pgr_out_room(out, 4);

	if (room != NULL)
		pgr_put32(room, v);
}

/* Opens a message with a type byte; returns where, for pgr_out_end(). */
static inline size_t
pgr_out_begin(struct pgr_out *out, char type)
{
	size_t at = out->len;

	pgr_out_byte(out, type);
	pgr_out_int32(out, 0);
	return at;
}

/* Closes the message opened at `at`: fills in its length word. */
static inline void
pgr_out_end(struct pgr_out *out, size_t at)
{
	if (!out->full)
		pgr_put32(out->p + at + 1, (uint32_t)(out->len - at - 1));
}

#endif
