/*
 * The queue of owed replies: growing, shrinking back, and finding what is to come of a statement in
 * one step, however long the queue is: hashes are keyed, so chains are short. What the entries point
 * to is released by back.c, which pops them.
 */
#include "worker/reply.h"

#include <stdlib.h>
#include <string.h>

static bool
entered(const struct pgr_reply *r)
{
	return (r->hash.lo | r->hash.hi) != 0;
}

static void
chain(struct pgr_replies *q, uint32_t position)
{
	struct pgr_reply *r = &q->ring[position & (q->cap - 1)];
	uint32_t *newest = &q->newest[r->hash.lo & (q->cap - 1)];

	q->older[position & (q->cap - 1)] = *newest;
	*newest = position;
}

void
pgr_replies_moved(struct pgr_replies *q)
{
	q->first = q->count == 0 ? NULL : pgr_replies_at(q, 0);
	for (uint32_t i = 0; i < q->cap; i++)
		q->newest[i] = q->older[i] = q->head - 1; /* not in the queue */
	for (uint32_t i = 0; i < q->count; i++)
		if (entered(pgr_replies_at(q, i)))
			chain(q, q->head + i);
}

void
pgr_replies_init(struct pgr_replies *q)
{
	memset(q, 0, sizeof(*q));
	q->ring = q->few;
	q->cap = PGR_REPLIES_FEW;
	q->batch = 1; /* 0 is none */
	q->newest = q->few_chains;
	q->older = q->few_chains + PGR_REPLIES_FEW;
	pgr_replies_moved(q);
}

void
pgr_replies_fini(struct pgr_replies *q)
{
	if (q->ring != q->few)
		free(q->ring);
	pgr_replies_init(q);
}

struct pgr_reply *
pgr_replies_grow(struct pgr_replies *q, enum pgr_reply_kind kind)
{
	uint32_t cap = q->cap * 2;
	struct pgr_reply *bigger = malloc(cap * (sizeof(*bigger) + 2 * sizeof(*q->newest)));

	if (bigger == NULL)
		return NULL;
	for (uint32_t i = 0; i < q->count; i++)
		bigger[(q->head + i) & (cap - 1)] = *pgr_replies_at(q, i);
	if (q->ring != q->few)
		free(q->ring);
	q->ring = bigger;
	q->newest = (uint32_t *)(void *)(bigger + cap);
	q->older = q->newest + cap;
	q->cap = cap;
	pgr_replies_moved(q);
	return pgr_replies_push(q, kind);
}

static int32_t
change(const struct pgr_reply *r)
{
	return !entered(r) ? 0 : r->kind == PGR_REPLY_PARSE ? 1 : -1;
}

void
pgr_replies_enter(struct pgr_replies *q, struct pgr_reply *r, struct pgr_hash128 hash)
{
	if (r->kind == PGR_REPLY_NONE)
		return;
	r->hash = hash;
	if (entered(r))
		chain(q, q->head + q->count - 1);
	q->coming += change(r);
}

void
pgr_replies_leave(struct pgr_replies *q, const struct pgr_reply *r)
{
	q->coming -= change(r);
}

struct pgr_reply *
pgr_replies_latest(struct pgr_replies *q, struct pgr_hash128 hash)
{
	uint32_t i = q->newest[hash.lo & (q->cap - 1)] - q->head;
	uint32_t limit = q->count;

	while (i < limit) {
		struct pgr_reply *r = pgr_replies_at(q, i);

		if (pgr_hash128_eq(r->hash, hash))
			return r;
		limit = i; /* only ever older ones */
		i = q->older[(q->head + i) & (q->cap - 1)] - q->head;
	}
	return NULL;
}
