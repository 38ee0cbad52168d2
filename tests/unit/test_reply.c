/*
 * worker/reply.h: what is to come of a statement, compared with a list that looks through everything.
 * Hashes are few, so that chains meet; the queue grows, wraps, and has entries taken out of its middle.
 */
#include "unit.h"

#include <stdlib.h>

#include "worker/reply.h"

#define HASHES 40u

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

/* All of them in a few chains, some differing only in the half that no chain looks at. */
static struct pgr_hash128
hash_of(uint32_t n)
{
	return (struct pgr_hash128){n % 7, n + 1};
}

static struct pgr_reply *
naive_latest(struct pgr_replies *q, struct pgr_hash128 hash)
{
	for (uint32_t i = q->count; i-- > 0;)
		if (pgr_hash128_eq(pgr_replies_at(q, i)->hash, hash))
			return pgr_replies_at(q, i);
	return NULL;
}

static int32_t
naive_coming(struct pgr_replies *q)
{
	int32_t coming = 0;

	for (uint32_t i = 0; i < q->count; i++) {
		struct pgr_reply *r = pgr_replies_at(q, i);

		if ((r->hash.lo | r->hash.hi) != 0)
			coming += r->kind == PGR_REPLY_PARSE ? 1 : -1;
	}
	return coming;
}

static void
check_all(struct pgr_replies *q)
{
	for (uint32_t n = 0; n < HASHES; n++)
		ck_assert_ptr_eq(pgr_replies_latest(q, hash_of(n)), naive_latest(q, hash_of(n)));
	ck_assert_int_eq(q->coming, naive_coming(q));
	ck_assert_ptr_eq(pgr_replies_head(q), q->count == 0 ? NULL : pgr_replies_at(q, 0));
}

static void
push(struct pgr_replies *q)
{
	static const enum pgr_reply_kind kinds[] = {
		PGR_REPLY_PARSE, PGR_REPLY_CLOSE, PGR_REPLY_BIND, PGR_REPLY_SYNC};
	enum pgr_reply_kind kind = kinds[draw(4)];
	uint32_t head = q->head;
	struct pgr_reply *r = pgr_replies_push(q, kind);

	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_eq(r, pgr_replies_at(q, q->count - 1));
	ck_assert_uint_eq(q->head, head); /* positions mean the same when it has grown */
	if (kind == PGR_REPLY_PARSE || kind == PGR_REPLY_CLOSE)
		pgr_replies_enter(q, r, draw(5) == 0 ? (struct pgr_hash128){0, 0} : hash_of(draw(HASHES)));
}

static void
pop(struct pgr_replies *q)
{
	if (q->count == 0)
		return;
	pgr_replies_leave(q, pgr_replies_head(q));
	pgr_replies_pop(q);
}

/* As a COPY does with each Sync that it swallows. */
static void
take_out_syncs(struct pgr_replies *q)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < q->count; i++)
		if (pgr_replies_at(q, i)->kind != PGR_REPLY_SYNC)
			*pgr_replies_at(q, kept++) = *pgr_replies_at(q, i);
	q->count = kept;
	pgr_replies_moved(q);
}

static void
run(uint32_t start, uint32_t most)
{
	struct pgr_replies q;

	pgr_replies_init(&q);
	q.head = start;
	pgr_replies_moved(&q);
	for (uint32_t step = 0; step < 3000; step++) {
		uint32_t what = draw(50);

		if (what == 0)
			take_out_syncs(&q);
		else if (q.count >= most || what < 24)
			pop(&q);
		else
			push(&q);
		check_all(&q);
	}
	pgr_replies_fini(&q);
}

START_TEST(test_reply_latest_is_what_a_walk_finds)
{
	for (uint32_t most = 1; most <= 256; most *= 2) {
		seed = most;
		run(0, most);
	}
}
END_TEST

START_TEST(test_reply_positions_wrap)
{
	seed = 1;
	run(UINT32_MAX - 700, PGR_REPLIES_FEW);
}
END_TEST

START_TEST(test_reply_nothing_is_found_in_an_empty_queue)
{
	struct pgr_reply none = {.kind = PGR_REPLY_NONE};
	struct pgr_replies q;

	pgr_replies_init(&q);
	check_all(&q);
	pgr_replies_enter(&q, &none, hash_of(1)); /* an entry that is in no queue */
	check_all(&q);
	for (uint32_t i = 0; i < 100; i++)
		push(&q);
	while (q.count > 0)
		pop(&q);
	check_all(&q);
	ck_assert_int_eq(q.coming, 0);
	pgr_replies_fini(&q);
	check_all(&q);
}
END_TEST

UNIT_MAIN("reply", test_reply_latest_is_what_a_walk_finds, test_reply_positions_wrap,
	test_reply_nothing_is_found_in_an_empty_queue)
