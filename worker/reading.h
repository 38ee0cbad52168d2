/*
 * What this worker has read in SQL texts: the facts of each (parser/session.h), kept with the text
 * that they point into, so that a text that comes again costs a hash. Texts in which nothing
 * matters to the session have no reading at all.
 */
#ifndef PGR_WORKER_READING_H
#define PGR_WORKER_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/rc.h"
#include "worker/pin.h"

struct pgr_known;

struct pgr_readings;

/* Immutable. Held by the table, by prepared statements, by portals and by queued replies. */
struct pgr_reading {
	uint32_t refs;
	uint32_t len;
	uint64_t hash; /* 0: in no table */
	uint32_t serial; /* of the verdicts that it was judged by */
	bool standard_strings;
	bool plain;    /* nothing in it matters: known to the table alone */
	bool retunes;  /* changes how texts are read: standard_conforming_strings, client_encoding */
	bool commits;  /* may end a transaction: its outcome must not be hidden by a cancel */
	bool sets;     /* SET, RESET, DISCARD ALL and the like */
	bool resets;   /* RESET, DISCARD ALL: startup values are to be put back */
	bool clears;   /* DEALLOCATE ALL, DISCARD ALL: no statement stays prepared */
	bool ends;     /* ends what was set in a transaction, or since a savepoint */
	bool releases; /* may end what pinned */
	bool bound;    /* its parameters have got their values */
	bool sequence; /* asks for currval() or lastval() */
	bool several;  /* more than one statement */
	bool temporary; /* makes what only its session sees */
	bool makes;    /* names may mean something else behind it */
	bool shows;    /* the probe can tell when what pins has gone */
	uint8_t pin;   /* enum pgr_pin */
	uint16_t n_steps;
	uint16_t n_params;     /* highest parameter that a step takes its name or value from */
	struct pgr_step *step; /* in the order of their statements */
	struct pgr_span *param; /* bound: where in text each value is; end < start: NULL */
	char *text;
};

#define PGR_READING_MOST (4u << 20) /* bytes of a Query; longer ones are not read */

struct pgr_readings *pgr_readings_new(const struct pgr_hash_key *key);

/*
 * A new reference to the reading of a text; NULL: nothing in it matters. standard_strings: what
 * standard_conforming_strings is when the server reads it. known: what judges its names.
 */
struct pgr_reading *pgr_readings_get(struct pgr_readings *all, const char *text, size_t len,
	bool standard_strings, const struct pgr_known *known);

/* The reading of what is not read: it pins. why: enum pgr_pin. */
struct pgr_reading *pgr_reading_unread(enum pgr_pin why);

/*
 * A new reference to r with the values of a Bind: the message from its parameter formats on, whole.
 * Where they cannot be had, to one that pins.
 */
struct pgr_reading *pgr_reading_bind(struct pgr_reading *r, const char *values, const char *end);

/* NULL is a reading too. */
static inline struct pgr_reading *
pgr_reading_ref(struct pgr_reading *r)
{
	if (r != NULL)
		r->refs++;
	return r;
}

void pgr_reading_unref(struct pgr_reading *r);

#endif
