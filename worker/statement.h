/*
 * Prepared statements. A statement is its text, its declared parameter types, and the state of the
 * settings under which it was prepared, since literals and names mean what they do then. Its name on
 * servers is a keyed hash of these, so equal statements of all clients and workers meet without a
 * shared table.
 */
#ifndef PGR_WORKER_STATEMENT_H
#define PGR_WORKER_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/rc.h"
#include "shm/slot.h"

#define PGR_STATEMENT_PREFIX "pgr_"
#define PGR_STATEMENT_NAME 36u /* prefix and 32 hexadecimal digits */

/*
 * What one client may keep of prepared statements, where PostgreSQL has no limit but its memory: more
 * is refused (53400) until some are closed. docs/OPERATING.md tells of both.
 */
#define PGR_NAMES_MOST 10000u
#define PGR_NAMES_BYTES ((size_t)64 << 20) /* texts, types and names */

struct pgr_statement {
	uint32_t refs;
	uint32_t tail_len;
	uint64_t tag;   /* unnamed ones: what slot.unnamed is compared with; else 0 */
	uint64_t schema; /* what DDL had made of names when it was prepared (catalog.h) */
	uint64_t state; /* of settings (settings.h), or a number that no other statement has */
	struct pgr_reading *reading; /* what matters in its text; NULL: nothing, or not yet read */
	uint32_t serial; /* of the verdicts by which that was judged */
	struct pgr_hash128 hash;
	struct pgr_statement *next; /* in its bucket */
	char name[PGR_STATEMENT_NAME + 1];
	char tail[]; /* the Parse message behind the name: text, NUL, parameter types */
};

/* All named statements of this worker. */
struct pgr_statements *pgr_statements_new(const struct pgr_hash_key *key, uint32_t self);

/* The statement with this tail and state; one reference is the caller's. NULL: no memory. */
PGR_MUST struct pgr_statement *pgr_statements_get(
	struct pgr_statements *all, const char *tail, size_t len, uint64_t state);

/* The hash of the statement with this tail and state, whether anybody has it or not. */
struct pgr_hash128 pgr_statements_hash(
	const struct pgr_statements *all, const char *tail, size_t len, uint64_t state);

/* An unnamed statement: in no table, with a tag of its own. */
PGR_MUST struct pgr_statement *pgr_statements_unnamed(
	struct pgr_statements *all, const char *tail, size_t len);

/* The server's name of the statement with this hash. */
void pgr_statement_name(struct pgr_hash128 hash, char ret[PGR_STATEMENT_NAME + 1]);

struct pgr_statement *pgr_statement_ref(struct pgr_statement *st);
void pgr_statement_unref(struct pgr_statements *all, struct pgr_statement *st);

/* A client's name for a statement. Held by the client's map and by queued replies. */
struct pgr_named {
	uint32_t refs;
	uint32_t hash;
	struct pgr_statement *statement;
	struct pgr_description told; /* how the client was told last that it looks; 0: it was not */
	uint32_t owed; /* position of its Parse in the queue of replies, as long as it is there */
	char name[];
};

/* A client's map. NULL is an empty one. */
struct pgr_names;

struct pgr_named *pgr_names_find(struct pgr_names *names, const char *name, size_t len);

/* The name means st from now on; takes over the reference to it. */
void pgr_named_turn(struct pgr_statements *all, struct pgr_named *named, struct pgr_statement *st);

/* May the client keep one more, with a name of len bytes and a statement of tail_len? */
bool pgr_names_have_room(const struct pgr_names *names, size_t len, size_t tail_len);

/* Enters a new name (not yet in the map) and takes over the reference to st. NULL: no memory. */
PGR_MUST struct pgr_named *pgr_names_add(struct pgr_statements *all, struct pgr_names **names,
	const char *name, size_t len, struct pgr_statement *st);

/* Puts back one that was removed, unless the name is taken by now. */
void pgr_names_restore(
	struct pgr_statements *all, struct pgr_names **names, struct pgr_named *named);
void pgr_names_remove(struct pgr_statements *all, struct pgr_names *names, struct pgr_named *named);
void pgr_names_clear(struct pgr_statements *all, struct pgr_names **names);

static inline struct pgr_named *
pgr_named_ref(struct pgr_named *named)
{
	named->refs++;
	return named;
}

void pgr_named_unref(struct pgr_statements *all, struct pgr_named *named);

#endif
