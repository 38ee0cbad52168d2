/*
 * What a worker does around the real code of shm/pool.c: a small copy of worker/lease.c and worker/cancel.c,
 * with tickets for clients. Keep the order of its steps as it is there.
 */
#include "threads.h"

#include <string.h>

/* ---- worker/lease.c ---- */

static void serve_oldest(struct wpool *pool, pgr_slot_id slot);

void
publish(struct wpool *pool)
{
	struct front *f = &front[me->self][pool->view.id.n];

	atomic_store(&f->ticket, 0);
	pgr_pool_publish(
		&pool->view, pool->waiting, pool->dials, pool->waiting > 0 ? pool->waiter[0] : 0);
	if (pool->waiting > 0)
		atomic_store(&f->ticket, pool->waiter[0] + 1);
}

uint64_t
pop_waiter(struct wpool *pool, uint32_t i)
{
	uint64_t ticket = pool->waiter[i];

	atomic_store(&front[me->self][pool->view.id.n].ticket, 0);
	atomic_fetch_add(&front[me->self][pool->view.id.n].moves, 1);
	memmove(&pool->waiter[i], &pool->waiter[i + 1], (--pool->waiting - i) * sizeof(ticket));
	return ticket;
}

void
match(struct wpool *pool)
{
	struct view_of_others before;
	enum pgr_catch got;
	uint32_t cursor = 0;
	pgr_slot_id slot;

	for (;;) {
		uint64_t oldest = pool->waiter[0];

		look_at_others(pool->view.id.n, &before);
		got = pgr_pool_match(&pool->view, NOW, &cursor, &slot);
		if (got == PGR_CATCH_NONE)
			return;
		hold(slot, got == PGR_CATCH_DIAL);
		if (got == PGR_CATCH_LEASED) {
			judge(pool->view.id.n, &before, oldest, 0);
			serve_oldest(pool, slot);
			/* put back: what others returned meanwhile may lie before the cursor */
			if (pool->waiting > 0 && pool->waiter[0] == oldest)
				cursor = 0;
		} else {
			COUNT(dials);
			pool->dial[pool->dials++] = slot;
			publish(pool);
			dial_begin(slot);
		}
	}
}

void
lease_close(struct wpool *pool, pgr_slot_id slot)
{
	COUNT(closed);
	let_go(slot, false);
	home_forget(slot);
	(void)pgr_pool_return(&pool->view, slot, true);
	match(pool);
}

/* False: the connection turns out to be unusable. */
static bool
attach(struct wpool *pool, pgr_slot_id slot)
{
	if (atomic_load(&pgr_shm_slot(&shm, slot)->home) != 0 && !home_enter(slot)) {
		lease_close(pool, slot);
		return false;
	}
	home_fetch(slot);
	switch (draw(60)) {
	case 0:
		let_go(slot, false);
		(void)pgr_pool_return(&pool->view, slot, true);
		return false;
	case 1:
		lease_close(pool, slot);
		return false;
	default:
		COUNT(served);
		pool->lease[pool->leases++] = slot;
		return true;
	}
}

static void
serve_oldest(struct wpool *pool, pgr_slot_id slot)
{
	uint64_t ticket;

	if (pool->waiting == 0) {
		let_go(slot, true);
		(void)pgr_pool_return(&pool->view, slot, false);
		return;
	}
	ticket = pop_waiter(pool, 0);
	publish(pool);
	if (attach(pool, slot))
		return;
	COUNT(requeued);
	memmove(&pool->waiter[1], &pool->waiter[0], pool->waiting * sizeof(ticket));
	pool->waiter[0] = ticket;
	pool->waiting++;
	publish(pool);
}

void
want(struct wpool *pool)
{
	pgr_slot_id slot;

	while (pgr_pool_lease(&pool->view, 0, &slot)) {
		hold(slot, false);
		if (attach(pool, slot)) {
			COUNT(leased_at_once);
			return;
		}
	}
	COUNT(waits);
	pool->waiter[pool->waiting] = pgr_pool_ticket(&pool->view);
	step("test.want.ticket");
	pool->waiting++;
	publish(pool);
	step("test.want.published");
	if (pgr_pool_match_needed(&pool->view))
		match(pool);
	else
		COUNT(skipped_matches);
}

static bool
transfer(struct wpool *pool, pgr_slot_id slot)
{
	uint32_t p = pool->view.id.n;
	uint64_t oldest = pool->waiter[0];
	struct view_of_others before;

	look_at_others(p, &before);
	if (!pgr_pool_transfer(&pool->view, slot)) {
		COUNT(transfers_refused);
		return false;
	}
	COUNT(transfers);
	if (atomic_load(&aimed[slot.n]) != 0)
		fail("slot %u passes to another client while a cancel is under way", slot.n);
	judge(p, &before, oldest, pool_size[p]);
	return true;
}

static bool
hand_on(struct wpool *pool, pgr_slot_id slot)
{
	uint64_t oldest;

	if (pool->waiting == 0 || !transfer(pool, slot))
		return false;
	oldest = pool->waiter[0];
	serve_oldest(pool, slot);
	if (pool->waiting > 0 && pool->waiter[0] == oldest)
		match(pool); /* put back: a place may have become free meanwhile */
	return true;
}

void
lease_end(struct wpool *pool, pgr_slot_id slot)
{
	if (hand_on(pool, slot))
		return;
	let_go(slot, true);
	if (pgr_pool_return(&pool->view, slot, false) == PGR_RETURN_CLOSING)
		home_forget(slot);
	if (pgr_pool_wanted(&pool->view))
		match(pool);
}

void
dialed(struct wpool *pool, pgr_slot_id slot)
{
	home_begin(slot);
	if (hand_on(pool, slot))
		return;
	publish(pool);
	let_go(slot, true);
	(void)pgr_pool_return(&pool->view, slot, false);
	match(pool);
}

void
dial_failed(struct wpool *pool, pgr_slot_id slot)
{
	publish(pool);
	lease_close(pool, slot);
}

/* use() and pgr_dial_anew(): the place stays ours while the connection ends, and is dialed for the same client. */
void
renew(struct wpool *pool, pgr_slot_id slot)
{
	if (!may_renew(slot) || !pgr_pool_renew(&pool->view, slot)) {
		COUNT(renew_refused);
		lease_close(pool, slot);
		return;
	}
	COUNT(renewed);
	if (atomic_load(&aimed[slot.n]) != 0)
		fail("slot %u is dialed anew while a cancel is under way", slot.n);
	home_forget(slot);
	step("test.anew.parted");
	atomic_store(&ended[slot.n], atomic_load(&pgr_shm_slot(&shm, slot)->conn));
	dial_begin(slot);
	pool->bound[pool->bounds++] = slot;
}

/* pgr_lease_dialed() and pgr_lease_dial_failed(), where the dial was for one client. */
void
renew_ended(struct wpool *pool, pgr_slot_id slot)
{
	if (draw(20) == 0) {
		dial_failed(pool, slot);
		return;
	}
	home_begin(slot);
	pgr_pool_renewed(&pool->view, slot);
	pool->lease[pool->leases++] = slot;
}

void
take_mail(struct wpool *pool)
{
	enum pgr_catch got;
	uint32_t cursor = 0;
	uint64_t bits = 0;
	pgr_slot_id slot;

	atomic_fetch_add(&front[me->self][pool->view.id.n].moves, 1);
	while ((got = pgr_pool_take_mail(&pool->view, &bits, &cursor, &slot)) != PGR_CATCH_NONE) {
		hold(slot, got == PGR_CATCH_DIAL);
		if (got == PGR_CATCH_LEASED) {
			COUNT(gifts);
			serve_oldest(pool, slot);
		} else {
			COUNT(asked);
			pool->dial[pool->dials++] = slot;
			publish(pool);
			dial_begin(slot);
		}
	}
	match(pool);
}

/* ---- worker/cancel.c ---- */

static uint64_t
aim_of(struct pin p)
{
	return p.generation << 8 | (me->self + 1);
}

void
pin(struct wpool *pool, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	pgr_word w = atomic_load(&slot->word);

	if (pool->pins == MOST || !pgr_word_held_by(w, PGR_SLOT_LEASED, me->self) ||
		pgr_word_pin(w) != PGR_PIN_NONE)
		return;
	pool->pin[pool->pins] = (struct pin){id, pgr_word_generation(w)};
	atomic_store(&aimed[id.n], aim_of(pool->pin[pool->pins]));
	if (!atomic_compare_exchange_strong(
			&slot->word, &w, pgr_word_move(w, PGR_SLOT_LEASED, me->self, me->self + 1))) {
		atomic_store(&aimed[id.n], 0);
		return;
	}
	pool->pins++;
	COUNT(pins);
}

static void
unpin(struct wpool *pool, struct pin p, bool late)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, p.slot);
	pgr_word w = atomic_load(&slot->word);
	pgr_word next;

	do {
		if (pgr_word_pin(w) != me->self + 1 || pgr_word_generation(w) != p.generation)
			return;
		if (!late)
			next = pgr_word_make(
				pgr_word_state(w), pgr_word_owner(w), PGR_PIN_NONE, p.generation);
		else if (pgr_word_state(w) == PGR_SLOT_IDLE)
			next = pgr_word_move(w, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE);
		else
			next = pgr_word_make(
				pgr_word_state(w), pgr_word_owner(w), PGR_PIN_POISON, p.generation);
	} while (!atomic_compare_exchange_weak(&slot->word, &w, next));
	step("test.unpin.done");
	match(pool);
}

void
cancel_end(struct wpool *pool, uint32_t i)
{
	struct pin p = pool->pin[i];
	bool late = draw(8) == 0; /* it may still come: the connection has to end */
	uint64_t aim = aim_of(p);

	if (!late)
		atomic_compare_exchange_strong(&aimed[p.slot.n], &aim, 0);
	pool->pin[i] = pool->pin[--pool->pins];
	unpin(pool, p, late);
	if (late) {
		COUNT(poisoned);
		pgr_proc_mail(&shm, PGR_PROC_MONITOR, pool->view.id);
		pgr_proc_poke(&shm, PGR_PROC_MONITOR, false);
	}
}
