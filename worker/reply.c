/*
 * The queue of owed replies: growing, shrinking back. What the entries point to is released by
 * back.c, which pops them.
 */
#include "worker/reply.h"

#include <stdlib.h>
#include <string.h>

void
pgr_replies_init(struct pgr_replies *q)
{
	memset(q, 0, sizeof(*q));
	q->ring = q->few;
	q->cap = PGR_REPLIES_FEW;
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
	struct pgr_reply *bigger = malloc(sizeof(*bigger) * q->cap * 2);

	if (bigger == NULL)
		return NULL;
	for (uint32_t i = 0; i < q->count; i++)
		bigger[i] = *pgr_replies_at(q, i);
	if (q->ring != q->few)
		free(q->ring);
	q->ring = bigger;
	q->cap *= 2;
	q->head = 0;
	return pgr_replies_push(q, kind);
}
