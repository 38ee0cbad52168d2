/*
 * The protocol of the shared pool. Every function here is a few atomic steps on single words; the
 * step names in the comments are those of tests/model/pool.pml, which proves what this file relies
 * on: never two owners, no slot lost, never above the limit, no waiter forgotten. Called by workers
 * and by the monitor (which only gives). Whoever changes an order here changes the model first.
 */
#include "shm/pool.h"

#include "base/panic.h"
#include "shm/segment.h"

void
pgr_pool_view_init(struct pgr_pool_view *view, struct pgr_shm *shm, pgr_pool_id id, uint32_t self)
{
	*view = (struct pgr_pool_view){
		.shm = shm, .pool = pgr_shm_pool(shm, id), .id = id, .self = self};
}

struct pgr_slot *
pgr_pool_slot(struct pgr_shm *shm, const struct pgr_pool *pool, uint32_t place, pgr_slot_id *ret_id)
{
	uint32_t chunk = atomic_load_explicit(
		&pool->chunk[place / PGR_CHUNK_SLOTS % PGR_POOL_CHUNKS], memory_order_relaxed);

	ret_id->n = (chunk % PGR_CHUNKS_MAX) * PGR_CHUNK_SLOTS + place % PGR_CHUNK_SLOTS;
	return pgr_shm_slot(shm, *ret_id);
}

static uint32_t
pool_places(const struct pgr_pool *pool)
{
	uint32_t places = atomic_load_explicit(&pool->places, memory_order_relaxed);

	return PGR_MIN(places, PGR_PLACES_MAX);
}

/* lease: IDLE and unpinned becomes LEASED by us. The dirty bit is for the lessee to look at. */
static bool
lease_place(struct pgr_pool_view *view, uint32_t place, uint64_t startup, pgr_slot_id *ret_slot)
{
	struct pgr_slot *slot = pgr_pool_slot(view->shm, view->pool, place, ret_slot);
	pgr_word w = atomic_load_explicit(&slot->word, memory_order_relaxed);

	if (!pgr_word_leasable(w) ||
		atomic_load_explicit(&slot->startup, memory_order_relaxed) != startup ||
		!atomic_compare_exchange_strong(
			&slot->word, &w, pgr_word_next(w, PGR_SLOT_LEASED, view->self, PGR_PIN_NONE)))
		return false;
	PGR_CRASHPOINT("pool.lease.leased");
	view->dirty = pgr_word_dirty(w);
	return true;
}

/*
 * Was the pool paused before we had the slot? The monitor sets paused, then the console looks for slots
 * in use; we take one, then look at paused: one of us sees the other.
 */
static bool
paused_before(struct pgr_pool_view *view, pgr_slot_id slot)
{
	if (PGR_LIKELY(!pgr_pool_paused(view)))
		return false;
	(void)pgr_pool_return(view, slot, view->dirty); /* unread bytes would be forgotten */
	return true;
}

bool
pgr_pool_lease(struct pgr_pool_view *view, uint64_t startup, pgr_slot_id *ret_slot)
{
	uint32_t places = pool_places(view->pool);
	uint32_t first = view->self * places / view->shm->seg->workers;

	/* whoever waits goes first: pairs with the mask fetch_or in pgr_pool_publish */
	if (atomic_load(&view->pool->mask) != 0)
		return false;
	while (view->recents > 0) {
		uint32_t place = view->recent[--view->recents];

		if (place < places && lease_place(view, place, startup, ret_slot))
			return !paused_before(view, *ret_slot);
	}
	/* workers begin at different places, so that each comes back to its own */
	for (uint32_t i = 0; i < places; i++)
		if (lease_place(view, (first + i) % places, startup, ret_slot))
			return !paused_before(view, *ret_slot);
	return false;
}

bool
pgr_pool_take(struct pgr_pool_view *view, pgr_slot_id id, uint32_t conn)
{
	struct pgr_slot *slot = pgr_shm_slot(view->shm, id);
	pgr_word w = atomic_load(&slot->word); /* before conn: one that changes later changes the word, too */

	return pgr_word_leasable(w) && atomic_load(&slot->conn) == conn &&
		atomic_compare_exchange_strong(
			&slot->word, &w, pgr_word_next(w, PGR_SLOT_LEASED, view->self, PGR_PIN_NONE));
}

bool
pgr_pool_renew(struct pgr_pool_view *view, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(view->shm, id);
	pgr_word w = atomic_load(&slot->word);

	PGR_ASSERT(pgr_word_held_by(w, PGR_SLOT_LEASED, view->self));
	if (pgr_word_pin(w) != PGR_PIN_NONE || !atomic_compare_exchange_strong(
			&slot->word, &w, pgr_word_next(w, PGR_SLOT_DIALING, view->self, PGR_PIN_NONE)))
		return false;
	PGR_CRASHPOINT("pool.renew.begun");
	return true;
}

void
pgr_pool_renewed(struct pgr_pool_view *view, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(view->shm, id);
	pgr_word w = atomic_load(&slot->word);

	PGR_ASSERT(pgr_word_held_by(w, PGR_SLOT_DIALING, view->self)); /* nobody else touches it */
	view->dirty = false;
	atomic_store(&slot->word, pgr_word_next(w, PGR_SLOT_LEASED, view->self, PGR_PIN_NONE));
	PGR_CRASHPOINT("pool.renew.done");
}

uint64_t
pgr_pool_ticket(struct pgr_pool_view *view)
{
	return atomic_fetch_add(&view->pool->ticket, 1) & PGR_TICKET_MASK;
}

/* PUB: want before the mask bit when there is one, want = 0 before the bit goes */
void
pgr_pool_publish(struct pgr_pool_view *view, uint32_t count, uint32_t dials, uint64_t oldest)
{
	uint64_t bit = UINT64_C(1) << view->self;

	view->count = count;
	view->dials = dials;
	view->oldest = oldest;
	if (count == 0)
		dials = 0;
	atomic_exchange(&view->pool->want[view->self],
		PGR_WANT_MAKE(PGR_MIN(count, 0xffffu), PGR_MIN(dials, 255u), count == 0 ? 0 : oldest));
	if (count > 0 && !view->published) {
		PGR_CRASHPOINT("pool.publish.want");
		atomic_fetch_or(&view->pool->mask, bit);
		view->published = true;
	} else if (count == 0 && view->published) {
		PGR_CRASHPOINT("pool.publish.none");
		atomic_fetch_and(&view->pool->mask, ~bit);
		view->published = false;
	}
}

/* Serial comparison, so that the wrap of 40 bits is harmless. */
static bool
ticket_before(uint64_t a, uint64_t b)
{
	return ((b - a) & PGR_TICKET_MASK) - 1 < PGR_TICKET_MASK / 2;
}

/* CONSIDER: is k alive and not slow, and does it want more than it was already given? */
static bool
wants_more(const struct pgr_pool_view *view, uint32_t k, bool to_dial, uint64_t *ret_ticket)
{
	const struct pgr_pool *pool = view->pool;
	uint32_t supplied = (uint32_t)__builtin_popcountll(atomic_load(&pool->mail[k]));
	uint64_t want = atomic_load(&pool->want[k]);

	if (to_dial)
		supplied += pgr_want_dials(want);
	else if (k == view->self)
		supplied = 0; /* what is on its way to us is returned if it comes to nobody */
	*ret_ticket = pgr_want_ticket(want);
	return pgr_want_count(want) > supplied && pgr_proc_takes(pgr_shm_proc(view->shm, k));
}

/* The process whose waiter has the lowest ticket, or PGR_OWNER_NONE. */
static uint32_t
pick_oldest(const struct pgr_pool_view *view, uint64_t mask, bool to_dial)
{
	uint32_t best = PGR_OWNER_NONE;
	uint64_t best_ticket = 0;
	uint64_t ticket;

	for (; mask != 0; mask &= mask - 1) {
		uint32_t k = (uint32_t)__builtin_ctzll(mask);

		if (k >= PGR_WORKERS_MAX || !wants_more(view, k, to_dial, &ticket))
			continue;
		if (best == PGR_OWNER_NONE || ticket_before(ticket, best_ticket)) {
			best = k;
			best_ticket = ticket;
		}
	}
	return best;
}

/* Takes back what was given to a process that has died since; its sweep may be over already. */
static void
take_back(struct pgr_pool *pool, struct pgr_slot *slot, pgr_word given)
{
	enum pgr_slot_state was =
		pgr_word_state(given) == PGR_SLOT_GIVEN ? PGR_SLOT_IDLE : PGR_SLOT_FREE;

	atomic_compare_exchange_strong(
		&slot->word, &given,
		pgr_word_move(given, was, PGR_OWNER_NONE, PGR_PIN_NONE) | (given & PGR_WORD_DIRTY));
	atomic_fetch_add(&pool->freed, 1);
}

/* Gives the slot (seen as w) to another worker: the word, the mail, and only then the poke. */
static bool
give(struct pgr_pool_view *view, struct pgr_slot *slot, uint32_t place, pgr_word w, uint32_t k)
{
	enum pgr_slot_state offer =
		pgr_word_state(w) == PGR_SLOT_IDLE ? PGR_SLOT_GIVEN : PGR_SLOT_ASKED;
	pgr_word given = pgr_word_next(w, offer, k, PGR_PIN_NONE) | (w & PGR_WORD_DIRTY);

	if (!atomic_compare_exchange_strong(&slot->word, &w, given))
		return false;
	PGR_CRASHPOINT("pool.give.given");
	if (!pgr_proc_is(pgr_shm_proc(view->shm, k), PGR_LIFE_ALIVE)) {
		take_back(view->pool, slot, given);
		return false;
	}
	atomic_fetch_or(&view->pool->mail[k], UINT64_C(1) << place % PGR_MAIL_BITS);
	pgr_proc_mail(view->shm, k, view->id);
	PGR_CRASHPOINT("pool.give.mailed");
	pgr_proc_poke(view->shm, k, false);
	return true;
}

static enum pgr_catch
take_for_self(struct pgr_pool_view *view, struct pgr_slot *slot, pgr_word w)
{
	bool idle = pgr_word_state(w) == PGR_SLOT_IDLE;
	pgr_word mine =
		pgr_word_next(w, idle ? PGR_SLOT_LEASED : PGR_SLOT_DIALING, view->self, PGR_PIN_NONE);

	if (!atomic_compare_exchange_strong(&slot->word, &w, mine))
		return PGR_CATCH_NONE;
	PGR_CRASHPOINT("pool.match.caught");
	view->dirty = pgr_word_dirty(w);
	return idle ? PGR_CATCH_LEASED : PGR_CATCH_DIAL;
}

enum pgr_catch
pgr_pool_match(struct pgr_pool_view *view, uint64_t now, uint32_t *cursor, pgr_slot_id *ret_slot)
{
	struct pgr_pool *pool = view->pool;
	uint32_t places = pool_places(pool);
	bool may_dial = atomic_load(&pool->retry_at) <= now;

	if (*cursor == 0)
		view->full_at = atomic_load(&pool->freed) + 1;
	while (*cursor < places) {
		struct pgr_slot *slot = pgr_pool_slot(view->shm, pool, *cursor, ret_slot);
		uint64_t mask = atomic_load(&pool->mask);
		enum pgr_catch got;
		bool to_dial;
		pgr_word w;
		uint32_t k;

		if (mask == 0 || pgr_pool_paused(view)) {
			view->full_at = 0;
			break;
		}
		w = atomic_load(&slot->word);
		to_dial = pgr_word_state(w) == PGR_SLOT_FREE && may_dial;
		if (!to_dial && !pgr_word_leasable(w)) {
			if (pgr_word_state(w) == PGR_SLOT_FREE)
				view->full_at = 0;
			++*cursor;
			continue;
		}
		k = pick_oldest(view, mask, to_dial);
		if (k == PGR_OWNER_NONE) {
			view->full_at = 0;
			++*cursor;
		} else if (k != view->self) {
			if (give(view, slot, *cursor, w, k))
				++*cursor;
		} else if ((got = take_for_self(view, slot, w)) != PGR_CATCH_NONE) {
			++*cursor;
			return got;
		}
		/* a failed compare-and-swap: somebody was faster, look at the same place again */
	}
	return PGR_CATCH_NONE;
}

/* Acceptance changes the word: a giver that saw us dead may be taking it back at this moment. */
static enum pgr_catch
accept_place(struct pgr_pool_view *view, uint32_t place, pgr_slot_id *ret_slot)
{
	struct pgr_slot *slot = pgr_pool_slot(view->shm, view->pool, place, ret_slot);
	pgr_word w = atomic_load(&slot->word);

	if (pgr_word_held_by(w, PGR_SLOT_GIVEN, view->self)) {
		view->dirty = pgr_word_dirty(w);
		if (atomic_compare_exchange_strong(
				&slot->word, &w, pgr_word_move(w, PGR_SLOT_LEASED, view->self, pgr_word_pin(w))))
			return PGR_CATCH_LEASED;
	} else if (pgr_word_held_by(w, PGR_SLOT_ASKED, view->self)) {
		if (atomic_compare_exchange_strong(
				&slot->word, &w, pgr_word_move(w, PGR_SLOT_DIALING, view->self, PGR_PIN_NONE)))
			return PGR_CATCH_DIAL;
	}
	return PGR_CATCH_NONE;
}

enum pgr_catch
pgr_pool_take_mail(
	struct pgr_pool_view *view, uint64_t *bits, uint32_t *cursor, pgr_slot_id *ret_slot)
{
	uint32_t places = pool_places(view->pool);

	if (*cursor == 0)
		*bits = atomic_exchange(&view->pool->mail[view->self], 0);
	PGR_CRASHPOINT("pool.mail.taken");
	while (*cursor < places) {
		uint32_t place = (*cursor)++;
		enum pgr_catch got;

		if ((*bits >> place % PGR_MAIL_BITS & 1) == 0)
			continue;
		got = accept_place(view, place, ret_slot);
		if (got == PGR_CATCH_NONE)
			continue;
		PGR_CRASHPOINT("pool.mail.accepted");
		return got;
	}
	return PGR_CATCH_NONE;
}

static void
remember_recent(struct pgr_pool_view *view, uint32_t place)
{
	if (view->recents < PGR_COUNT_OF(view->recent))
		view->recent[view->recents++] = (uint16_t)place;
}

enum pgr_return
pgr_pool_return(struct pgr_pool_view *view, pgr_slot_id id, bool close)
{
	struct pgr_slot *slot = pgr_shm_slot(view->shm, id);
	pgr_word w = atomic_load(&slot->word);
	bool ends;
	pgr_word next;

	PGR_CRASHPOINT("pool.return.begin");
	do {
		PGR_ASSERT(pgr_word_owner(w) == view->self);
		ends = close || pgr_word_pin(w) == PGR_PIN_POISON;
		next = ends ? pgr_word_move(w, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE)
			    : pgr_word_move(w, PGR_SLOT_IDLE, PGR_OWNER_NONE, pgr_word_pin(w));
	} while (!atomic_compare_exchange_weak(&slot->word, &w, next));
	PGR_CRASHPOINT("pool.return.done");
	if (!ends) {
		remember_recent(view, slot->place);
		return PGR_RETURN_IDLE;
	}
	pgr_proc_mail(view->shm, PGR_PROC_MONITOR, view->id);
	pgr_proc_poke(view->shm, PGR_PROC_MONITOR, false);
	return PGR_RETURN_CLOSING;
}

/*
 * Was a waiter of another worker overtaken pool_size times? Whoever has not taken what it was given last does not
 * run at this moment, and more would not help it: so workers that wait for the CPU in turn do not pass the whole
 * pool to and fro.
 */
static bool
others_first(const struct pgr_pool_view *view)
{
	uint64_t mask = atomic_load(&view->pool->mask) & ~(UINT64_C(1) << view->self);
	uint64_t most = atomic_load_explicit(&view->pool->set.pool_size, memory_order_relaxed);
	uint64_t oldest;

	for (; mask != 0; mask &= mask - 1) {
		uint32_t k = (uint32_t)__builtin_ctzll(mask);

		if (k < PGR_WORKERS_MAX && atomic_load(&view->pool->mail[k]) == 0 &&
			wants_more(view, k, false, &oldest) && ticket_before(oldest, view->oldest) &&
			((view->oldest - oldest) & PGR_TICKET_MASK) > most)
			return true;
	}
	return false;
}

bool
pgr_pool_transfer(struct pgr_pool_view *view, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(view->shm, id);
	pgr_word w = atomic_load(&slot->word);

	if (view->count == 0 || pgr_word_pin(w) != PGR_PIN_NONE || pgr_pool_paused(view) ||
		others_first(view))
		return false;
	view->dirty = false;
	return atomic_compare_exchange_strong(
		&slot->word, &w, pgr_word_next(w, PGR_SLOT_LEASED, view->self, PGR_PIN_NONE));
}

#define DRAIN_REST UINT64_C(60000000)

bool
pgr_pool_reported(struct pgr_pool *pool, uint64_t digest, uint64_t now)
{
	uint64_t was = atomic_exchange(&pool->report, digest);
	uint64_t last;

	if (was == digest || was == 0)
		return false;
	last = atomic_exchange(&pool->report_at, now);
	atomic_store(&pool->drain_at, last == 0 ? now : PGR_MAX(now, last + DRAIN_REST));
	return true;
}

bool
pgr_pool_outlived(struct pgr_pool *pool, const struct pgr_slot *slot, uint64_t now)
{
	struct pgr_slot *s = (struct pgr_slot *)(uintptr_t)slot;

	return atomic_load_explicit(&s->report, memory_order_relaxed) !=
		atomic_load_explicit(&pool->report, memory_order_relaxed) &&
		now >= atomic_load(&pool->drain_at);
}
