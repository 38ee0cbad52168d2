/*
 * After a death: what belonged to the dead goes to where it is safe. And while a worker lives but
 * does not run (stopped, starved of CPU): what was offered to it and not taken goes to others. Steps
 * and their order are those of tests/model/pool.pml ("sweep", "takeback"); each is one
 * compare-and-swap, and all may be repeated.
 */
#include <string.h>

#include "base/log.h"
#include "monitor/monitor.h"
#include "shm/check.h"

#define OFFER_MOST (250 * PGR_USEC_PER_MSEC) /* a worker that runs takes what it is given within a turn */

/* Who is dead is noted before the scan: only those are swept by it. */
static uint64_t
note_dead(struct pgr_monitor *m)
{
	uint64_t dead = 0;

	for (unsigned k = 0; k < PGR_PROCS; k++)
		if (pgr_proc_is(pgr_shm_proc(m->shm, k), PGR_LIFE_DEAD))
			dead |= UINT64_C(1) << k;
	return dead;
}

static bool
is_dead(uint64_t dead, unsigned k)
{
	return k < PGR_PROCS && (dead >> k & 1) != 0;
}

/* What becomes of a word whose owner is dead; the word itself: nothing. */
static pgr_word
orphaned(pgr_word w)
{
	switch (pgr_word_state(w)) {
	case PGR_SLOT_LEASED:
	case PGR_SLOT_DIALING:
		return pgr_word_move(w, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE);
	case PGR_SLOT_GIVEN:
		return pgr_word_move(w, PGR_SLOT_IDLE, PGR_OWNER_NONE, pgr_word_pin(w)) |
			(w & PGR_WORD_DIRTY);
	case PGR_SLOT_ASKED:
		return pgr_word_move(w, PGR_SLOT_FREE, PGR_OWNER_NONE, PGR_PIN_NONE);
	case PGR_SLOT_FREE:
	case PGR_SLOT_IDLE:
	case PGR_SLOT_CLOSING:
	case PGR_SLOT_BARRED:
		break;
	}
	return w;
}

/* A dead canceller's signal may still come: the slot is not for anybody else. */
static pgr_word
pinned_by_dead(pgr_word w)
{
	if (pgr_word_state(w) == PGR_SLOT_IDLE)
		return pgr_word_move(w, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE);
	return pgr_word_make(
		pgr_word_state(w), pgr_word_owner(w), PGR_PIN_POISON, pgr_word_generation(w));
}

static void
sweep_slot(struct pgr_monitor *m, pgr_slot_id id, uint64_t dead)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, id);
	pgr_word w = atomic_load(&slot->word);

	for (;;) {
		unsigned pin = pgr_word_pin(w);
		pgr_word next = w;

		if (is_dead(dead, pgr_word_owner(w)))
			next = orphaned(w);
		else if (pin != PGR_PIN_NONE && pin != PGR_PIN_POISON && is_dead(dead, pin - 1))
			next = pinned_by_dead(w);
		if (next == w)
			return;
		if (pgr_word_state(next) == PGR_SLOT_CLOSING)
			atomic_store(&slot->reason, PGR_CLOSE_OWNER);
		if (atomic_compare_exchange_strong(&slot->word, &w, next)) {
			PGR_CRASHPOINT("sweep.slot");
			w = next;
		}
	}
}

static void
sweep_tokens(struct pgr_monitor *m, uint64_t dead)
{
	uint32_t hosts = PGR_MIN(atomic_load(&m->shm->seg->hosts_used), (uint32_t)PGR_HOSTS_MAX);

	for (uint32_t h = 0; h < hosts; h++) {
		struct pgr_host *host = &m->shm->seg->host[h];

		for (uint32_t i = 0; i < PGR_LOGINS_MAX; i++) {
			uint32_t holder = atomic_load(&host->login[i]);

			if (holder != 0 && is_dead(dead, holder - 1))
				atomic_compare_exchange_strong(&host->login[i], &holder, 0);
		}
	}
}

/* Test builds look back at their work: nothing may be left of the dead before they are SWEPT. */
static void
look_back(struct pgr_monitor *m, uint64_t dead)
{
#ifdef PGR_CRASHPOINTS
	char text[512];
	size_t found = pgr_check_swept(m->shm, dead, text, sizeof(text));

	if (found > 0)
		pgr_log(PGR_LOG_ERROR, "segment.violated", "after a sweep, %zu times, first: %.*s", found,
			(int)strcspn(text, "\n"), text);
#else
	(void)m;
	(void)dead;
#endif
}

void
pgr_sweep(struct pgr_monitor *m)
{
	uint64_t dead = note_dead(m);
	uint32_t top = pgr_shm_pools_used(m->shm);
	pgr_slot_id id;

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *pool = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		uint32_t places = PGR_MIN(atomic_load(&pool->places), (uint32_t)PGR_PLACES_MAX);

		if (atomic_load(&pool->state) == PGR_POOL_FREE)
			continue;
		for (uint32_t p = 0; p < places; p++) {
			(void)pgr_pool_slot(m->shm, pool, p, &id);
			sweep_slot(m, id, dead);
		}
		atomic_fetch_add(&pool->freed, 1);
	}
	PGR_CRASHPOINT("sweep.scanned");
	sweep_tokens(m, dead);
	look_back(m, dead);
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		uint32_t was = PGR_LIFE_DEAD;

		if (is_dead(dead, k))
			atomic_compare_exchange_strong(&pgr_shm_proc(m->shm, k)->life, &was, PGR_LIFE_SWEPT);
	}
	PGR_CRASHPOINT("sweep.swept");
	/* the dead may have left pokes undone */
	for (unsigned k = 0; k < m->shm->seg->workers; k++)
		pgr_proc_mail_all(m->shm, k);
}

/*
 * First it is slow, so that nobody offers it more; then it is poked, for only that tells it so; then
 * the word. If it takes the slot meanwhile, one of the two compare-and-swaps fails.
 */
static void
take_back(struct pgr_monitor *m, struct pgr_pool *pool, struct pgr_slot *slot, pgr_word w)
{
	unsigned k = pgr_word_owner(w);

	if (atomic_exchange(&pgr_shm_proc(m->shm, k)->slow, 1) == 0)
		pgr_log(PGR_LOG_WARN, "worker.slow", "worker %u does not take what it is given: it is "
			"passed over until it does", k);
	PGR_CRASHPOINT("sweep.offer.slow");
	pgr_proc_poke(m->shm, k, true);
	if (atomic_compare_exchange_strong(&slot->word, &w, orphaned(w)))
		atomic_fetch_add(&pool->freed, 1);
}

void
pgr_sweep_offer(struct pgr_monitor *m, struct pgr_pool *pool, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, id);
	struct pgr_offer *offer = &m->offer[id.n];
	pgr_word w = atomic_load(&slot->word);

	if (pgr_word_state(w) != PGR_SLOT_GIVEN && pgr_word_state(w) != PGR_SLOT_ASKED)
		return;
	if (offer->word != w)
		*offer = (struct pgr_offer){.word = w, .since = m->now};
	else if (m->now - offer->since >= OFFER_MOST && pgr_word_owner(w) < m->shm->seg->workers)
		take_back(m, pool, slot, w);
}
