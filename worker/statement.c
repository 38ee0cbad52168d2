/*
 * Statements by content and clients' names for them. Owned by one worker; nothing here is shared.
 * Called by front.c (what clients prepare) and back.c (what servers acknowledged).
 */
#include "worker/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "worker/reading.h"

struct pgr_statements {
	struct pgr_hash_key key;
	uint64_t next_tag;
	uint32_t count;
	uint32_t cap; /* buckets, power of two */
	struct pgr_statement **bucket;
};

struct pgr_statements *
pgr_statements_new(const struct pgr_hash_key *key, uint32_t self)
{
	struct pgr_statements *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->key = *key;
	/* tags of all workers and of their successors differ: the high half is random enough */
	all->next_tag = (uint64_t)(self + 1) << 56 | (pgr_hash64(key, &all, sizeof(all)) & 0xffff) << 40;
	all->cap = 256;
	all->bucket = calloc(all->cap, sizeof(*all->bucket));
	if (all->bucket == NULL) {
		free(all);
		return NULL;
	}
	return all;
}

static struct pgr_statement *
statement_new(const char *tail, size_t len)
{
	struct pgr_statement *st = malloc(sizeof(*st) + len);

	if (st == NULL)
		return NULL;
	st->refs = 1;
	st->tail_len = (uint32_t)len;
	st->tag = st->schema = st->state = 0;
	st->reading = NULL;
	st->next = NULL;
	st->name[0] = '\0';
	memcpy(st->tail, tail, len);
	return st;
}

static void
table_grow(struct pgr_statements *all)
{
	uint32_t cap = all->cap * 2;
	struct pgr_statement **bucket = calloc(cap, sizeof(*bucket));

	if (bucket == NULL)
		return; /* longer chains are slower, not wrong */
	for (uint32_t i = 0; i < all->cap; i++) {
		struct pgr_statement *st = all->bucket[i];

		while (st != NULL) {
			struct pgr_statement *next = st->next;
			uint32_t b = (uint32_t)st->hash.lo & (cap - 1);

			st->next = bucket[b];
			bucket[b] = st;
			st = next;
		}
	}
	free(all->bucket);
	all->bucket = bucket;
	all->cap = cap;
}

void
pgr_statement_name(struct pgr_hash128 hash, char ret[PGR_STATEMENT_NAME + 1])
{
	snprintf(ret, PGR_STATEMENT_NAME + 1, PGR_STATEMENT_PREFIX "%016llx%016llx",
		(unsigned long long)hash.hi, (unsigned long long)hash.lo);
}

struct pgr_hash128
pgr_statements_hash(const struct pgr_statements *all, const char *tail, size_t len, uint64_t state)
{
	struct pgr_hash128 hash = pgr_hash128(&all->key, tail, len);

	/* states are keyed hashes themselves: nobody can choose two that meet */
	hash.lo ^= state;
	hash.hi ^= state << 32 | state >> 32;
	return hash;
}

struct pgr_statement *
pgr_statements_get(struct pgr_statements *all, const char *tail, size_t len, uint64_t state)
{
	struct pgr_hash128 hash = pgr_statements_hash(all, tail, len, state);
	uint32_t b = (uint32_t)hash.lo & (all->cap - 1);
	struct pgr_statement *st;

	for (st = all->bucket[b]; st != NULL; st = st->next)
		if (pgr_hash128_eq(st->hash, hash))
			return pgr_statement_ref(st);
	st = statement_new(tail, len);
	if (st == NULL)
		return NULL;
	st->hash = hash;
	st->state = state;
	pgr_statement_name(hash, st->name);
	st->next = all->bucket[b];
	all->bucket[b] = st;
	if (++all->count > all->cap)
		table_grow(all);
	return st;
}

struct pgr_statement *
pgr_statements_unnamed(struct pgr_statements *all, const char *tail, size_t len)
{
	struct pgr_statement *st = statement_new(tail, len);

	if (st != NULL)
		st->tag = ++all->next_tag;
	return st;
}

struct pgr_statement *
pgr_statement_ref(struct pgr_statement *st)
{
	st->refs++;
	return st;
}

static void
table_remove(struct pgr_statements *all, struct pgr_statement *st)
{
	struct pgr_statement **link = &all->bucket[(uint32_t)st->hash.lo & (all->cap - 1)];

	while (*link != st) {
		PGR_ASSERT(*link != NULL);
		link = &(*link)->next;
	}
	*link = st->next;
	all->count--;
}

void
pgr_statement_unref(struct pgr_statements *all, struct pgr_statement *st)
{
	if (st == NULL || --st->refs > 0)
		return;
	if (st->tag == 0)
		table_remove(all, st);
	pgr_reading_unref(st->reading);
	free(st);
}

/* Open addressing over pointers; names of one client, mostly a handful. */
struct pgr_names {
	const struct pgr_hash_key *key; /* clients choose the names, but not where they go */
	size_t bytes;
	struct pgr_named *recent; /* found last: asked for again more often than not */
	uint32_t cap;             /* power of two */
	uint32_t count;
	struct pgr_named *cell[];
};

static uint32_t
name_hash(const struct pgr_names *names, const char *name, size_t len)
{
	return (uint32_t)pgr_hash64(names->key, name, len);
}

static bool
is_called(const struct pgr_named *named, const char *name, size_t len)
{
	return strncmp(named->name, name, len) == 0 && named->name[len] == '\0';
}

static size_t
named_bytes(const struct pgr_named *named)
{
	return strlen(named->name) + named->statement->tail_len;
}

static uint32_t
names_cell(const struct pgr_names *names, uint32_t hash, const char *name, size_t len)
{
	uint32_t i = hash & (names->cap - 1);

	while (names->cell[i] != NULL) {
		const struct pgr_named *at = names->cell[i];

		if (at->hash == hash && is_called(at, name, len))
			break;
		i = (i + 1) & (names->cap - 1);
	}
	return i;
}

struct pgr_named *
pgr_names_find(struct pgr_names *names, const char *name, size_t len)
{
	struct pgr_named *named;

	if (names == NULL)
		return NULL;
	if (names->recent != NULL && is_called(names->recent, name, len))
		return names->recent;
	named = names->cell[names_cell(names, name_hash(names, name, len), name, len)];
	if (named != NULL)
		names->recent = named;
	return named;
}

void
pgr_named_turn(struct pgr_statements *all, struct pgr_named *named, struct pgr_statement *st)
{
	pgr_statement_unref(all, named->statement);
	named->statement = st;
}

bool
pgr_names_have_room(const struct pgr_names *names, size_t len, size_t tail_len)
{
	return names == NULL ||
		(names->count < PGR_NAMES_MOST && names->bytes + len + tail_len <= PGR_NAMES_BYTES);
}

/* A free cell for one more. */
static bool
names_grow(struct pgr_statements *all, struct pgr_names **names)
{
	uint32_t cap = *names == NULL ? 4 : (*names)->cap * 2;
	struct pgr_names *bigger;

	if (*names != NULL && ((*names)->count + 1) * 4 <= (*names)->cap * 3)
		return true;
	bigger = calloc(1, sizeof(*bigger) + cap * sizeof(bigger->cell[0]));
	if (bigger == NULL)
		return false;
	bigger->key = &all->key;
	bigger->cap = cap;
	bigger->bytes = *names != NULL ? (*names)->bytes : 0;
	for (uint32_t i = 0; *names != NULL && i < (*names)->cap; i++) {
		struct pgr_named *at = (*names)->cell[i];

		if (at == NULL)
			continue;
		bigger->cell[names_cell(bigger, at->hash, at->name, strlen(at->name))] = at;
		bigger->count++;
	}
	free(*names);
	*names = bigger;
	return true;
}

static void
names_place(struct pgr_names *names, struct pgr_named *named)
{
	names->cell[names_cell(names, named->hash, named->name, strlen(named->name))] = named;
	names->count++;
	names->bytes += named_bytes(named);
}

struct pgr_named *
pgr_names_add(struct pgr_statements *all, struct pgr_names **names, const char *name, size_t len,
	struct pgr_statement *st)
{
	struct pgr_named *named = malloc(sizeof(*named) + len + 1);

	if (named == NULL || !names_grow(all, names)) {
		free(named);
		return NULL;
	}
	named->refs = 1;
	named->hash = name_hash(*names, name, len);
	named->statement = st;
	named->told = (struct pgr_description){0, 0};
	memcpy(named->name, name, len);
	named->name[len] = '\0';
	names_place(*names, named);
	return named;
}

void
pgr_names_restore(struct pgr_statements *all, struct pgr_names **names, struct pgr_named *named)
{
	if (pgr_names_find(*names, named->name, strlen(named->name)) == NULL && names_grow(all, names))
		names_place(*names, pgr_named_ref(named));
}

void
pgr_names_remove(struct pgr_statements *all, struct pgr_names *names, struct pgr_named *named)
{
	uint32_t mask;
	uint32_t hole;
	uint32_t i;

	if (names == NULL)
		return;
	mask = names->cap - 1;
	hole = names_cell(names, named->hash, named->name, strlen(named->name));
	if (names->cell[hole] != named)
		return;
	for (i = (hole + 1) & mask; names->cell[i] != NULL; i = (i + 1) & mask) {
		uint32_t home = names->cell[i]->hash & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		names->cell[hole] = names->cell[i];
		hole = i;
	}
	names->cell[hole] = NULL;
	names->recent = NULL;
	names->count--;
	names->bytes -= named_bytes(named);
	pgr_named_unref(all, named);
}

void
pgr_names_clear(struct pgr_statements *all, struct pgr_names **names)
{
	if (*names == NULL)
		return;
	for (uint32_t i = 0; i < (*names)->cap; i++)
		if ((*names)->cell[i] != NULL)
			pgr_named_unref(all, (*names)->cell[i]);
	free(*names);
	*names = NULL;
}

void
pgr_named_unref(struct pgr_statements *all, struct pgr_named *named)
{
	if (named == NULL || --named->refs > 0)
		return;
	pgr_statement_unref(all, named->statement);
	free(named);
}
