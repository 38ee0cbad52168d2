/*
 * How many connections each pool may have, and keeping them: idle, old and strayed ones end,
 * min_pool_size is kept, places beyond a limit are BARRED. Limits that go over several pools
 * (max_db_connections), the reserve and limits lowered by a reload are all the same mechanism: only the
 * monitor turns FREE into BARRED and back, so what is not BARRED is the allowance that was given out,
 * and there is no counter that could leak.
 */
#include <string.h>

#include "monitor/monitor.h"

struct census {
	uint32_t state[8];
	uint32_t poisoned; /* of the LEASED: closed at their return */
	uint32_t want;  /* clients that wait, over all workers */
	uint64_t oldest; /* since when the oldest of them waits; 0: nobody */
};

static uint32_t
places_of(const struct pgr_pool *pool)
{
	uint32_t places = atomic_load(&((struct pgr_pool *)(uintptr_t)pool)->places);

	return PGR_MIN(places, (uint32_t)PGR_PLACES_MAX);
}

static void
take_census(struct pgr_monitor *m, pgr_pool_id id, struct census *ret)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	pgr_slot_id slot;

	memset(ret, 0, sizeof(*ret));
	for (uint32_t p = 0; p < places_of(pool); p++) {
		pgr_word w = atomic_load(&pgr_pool_slot(m->shm, pool, p, &slot)->word);

		ret->state[pgr_word_state(w)]++;
		ret->poisoned += pgr_word_state(w) == PGR_SLOT_LEASED && pgr_word_pin(w) == PGR_PIN_POISON;
	}
	for (uint32_t k = 0; k < m->shm->seg->workers; k++) {
		uint64_t oldest = pgr_stat_get(&m->shm->stats->proc[k].pool[id.n].oldest_wait);

		ret->want += pgr_want_count(atomic_load(&pool->want[k]));
		if (oldest != 0 && (ret->oldest == 0 || oldest < ret->oldest))
			ret->oldest = oldest;
	}
}

static uint32_t
open_places(const struct census *c)
{
	return c->state[PGR_SLOT_FREE] + c->state[PGR_SLOT_DIALING] + c->state[PGR_SLOT_IDLE] +
		c->state[PGR_SLOT_GIVEN] + c->state[PGR_SLOT_LEASED] + c->state[PGR_SLOT_CLOSING] +
		c->state[PGR_SLOT_ASKED];
}

/* Open places that are not on their way out. */
static uint32_t
staying(const struct census *c)
{
	return open_places(c) - c->state[PGR_SLOT_CLOSING] - c->poisoned;
}

/* A connection in use is closed at the end of its lease. */
static bool
poison(struct pgr_slot *slot, enum pgr_close_reason reason)
{
	pgr_word w = atomic_load(&slot->word);

	if (pgr_word_state(w) != PGR_SLOT_LEASED || pgr_word_pin(w) != PGR_PIN_NONE ||
		!atomic_compare_exchange_strong(&slot->word, &w,
			pgr_word_make(PGR_SLOT_LEASED, pgr_word_owner(w), PGR_PIN_POISON,
				pgr_word_generation(w))))
		return false;
	atomic_store(&slot->reason, reason);
	return true;
}

static bool
set_barred(struct pgr_pool *pool, struct pgr_slot *slot, bool barred)
{
	pgr_word w = atomic_load(&slot->word);
	enum pgr_slot_state from = barred ? PGR_SLOT_FREE : PGR_SLOT_BARRED;
	enum pgr_slot_state to = barred ? PGR_SLOT_BARRED : PGR_SLOT_FREE;

	if (pgr_word_state(w) != from ||
		!atomic_compare_exchange_strong(
			&slot->word, &w, pgr_word_move(w, to, PGR_OWNER_NONE, PGR_PIN_NONE)))
		return false;
	atomic_fetch_add(&pool->freed, 1);
	return true;
}

/* Places that the pool's own settings allow: the reserve only for those who wait long. */
static uint32_t
allowed(struct pgr_monitor *m, const struct pgr_pool *pool, const struct census *c)
{
	struct pgr_pool *p = (struct pgr_pool *)(uintptr_t)pool;
	uint64_t size = atomic_load(&p->set.pool_size);
	uint64_t timeout = atomic_load(&p->set.reserve_pool_timeout);

	if (atomic_load(&p->state) == PGR_POOL_DRAINING && c->want == 0)
		return 0;
	if (c->oldest != 0 && m->now > c->oldest && m->now - c->oldest >= timeout)
		size += atomic_load(&p->set.reserve_pool_size);
	return (uint32_t)PGR_MIN(size, (uint64_t)places_of(pool));
}

static bool
same_database(const struct pgr_pool *a, const struct pgr_pool *b)
{
	return strncmp(a->database, b->database, PGR_NAME_MAX) == 0;
}

/* Open places of all pools of this pool's database, and those of them that stay. */
static uint32_t
open_in_database(struct pgr_monitor *m, const struct pgr_pool *pool, uint32_t *ret_staying)
{
	uint32_t top = pgr_shm_pools_used(m->shm);
	uint32_t count = 0;

	*ret_staying = 0;

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *other = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		struct census c;

		if (atomic_load(&other->state) == PGR_POOL_FREE || !same_database(pool, other))
			continue;
		take_census(m, (pgr_pool_id){n}, &c);
		count += open_places(&c);
		*ret_staying += staying(&c);
	}
	return count;
}

/*
 * The allowance of the database is used up and this pool waits: takes one from a pool of the same
 * database: an idle connection of one that does not wait, else one that is in use (closed at its
 * return) of one whose waiters came later.
 */
static void
take_from_another(struct pgr_monitor *m, pgr_pool_id id, const struct census *mine)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *other = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		struct census c;
		pgr_slot_id slot;

		if (n == id.n || atomic_load(&other->state) == PGR_POOL_FREE ||
			!same_database(pool, other))
			continue;
		take_census(m, (pgr_pool_id){n}, &c);
		if (c.state[PGR_SLOT_CLOSING] > 0)
			return; /* one is on its way already */
		if (c.want > 0 && c.oldest != 0 && c.oldest <= mine->oldest)
			continue;
		for (uint32_t p = 0; p < places_of(other); p++) {
			struct pgr_slot *s = pgr_pool_slot(m->shm, other, p, &slot);
			pgr_word w = atomic_load(&s->word);

			if (c.want == 0 && pgr_closing_begin(m, slot, PGR_CLOSE_LIMIT))
				return;
			if (pgr_word_state(w) == PGR_SLOT_LEASED && pgr_word_pin(w) == PGR_PIN_POISON)
				return;
			if (c.want > 0 && poison(s, PGR_CLOSE_LIMIT))
				return;
		}
	}
}

static uint32_t
unmet(const struct census *c)
{
	uint32_t coming = c->state[PGR_SLOT_FREE] + c->state[PGR_SLOT_DIALING] + c->state[PGR_SLOT_ASKED];

	return c->want > coming ? c->want - coming : 0;
}

/* Does a pool of the same database wait longer than this one, in vain? Then the allowance is its. */
static bool
another_first(struct pgr_monitor *m, pgr_pool_id id, const struct census *mine)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *other = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		struct census c;

		if (n == id.n || atomic_load(&other->state) == PGR_POOL_FREE ||
			!same_database(pool, other))
			continue;
		take_census(m, (pgr_pool_id){n}, &c);
		if (unmet(&c) > 0 && c.oldest != 0 && (mine->oldest == 0 || c.oldest < mine->oldest))
			return true;
	}
	return false;
}

/* The pool of this database with the most staying places among those with one in this state. */
static bool
find_largest(struct pgr_monitor *m, const struct pgr_pool *pool, enum pgr_slot_state state,
	pgr_pool_id *ret)
{
	uint32_t top = pgr_shm_pools_used(m->shm);
	uint32_t most = 0;

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *other = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		struct census c;

		if (atomic_load(&other->state) == PGR_POOL_FREE || !same_database(pool, other))
			continue;
		take_census(m, (pgr_pool_id){n}, &c);
		if (c.state[state] > (state == PGR_SLOT_LEASED ? c.poisoned : 0) && staying(&c) > most) {
			most = staying(&c);
			ret->n = n;
		}
	}
	return most > 0;
}

/* One of its places in this state goes. */
static bool
shed_one(struct pgr_monitor *m, pgr_pool_id id, enum pgr_slot_state state)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	pgr_slot_id slot;

	for (uint32_t p = places_of(pool); p-- > 0;) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);

		if (state == PGR_SLOT_FREE ? set_barred(pool, s, true)
			: state == PGR_SLOT_IDLE ? pgr_closing_begin(m, slot, PGR_CLOSE_LIMIT)
						 : poison(s, PGR_CLOSE_LIMIT))
			return true;
	}
	return false;
}

/*
 * max_db_connections is new or was lowered, and more places stay open than it allows: FREE ones are
 * barred, idle ones closed, and if that does not do busy ones are closed when they are done. What is
 * on its way to one of these states is met there by a later tick.
 */
static void
shed(struct pgr_monitor *m, const struct pgr_pool *pool, uint32_t surplus)
{
	static const enum pgr_slot_state order[] = {PGR_SLOT_FREE, PGR_SLOT_IDLE, PGR_SLOT_LEASED};
	pgr_pool_id id;

	for (size_t i = 0; i < PGR_COUNT_OF(order); i++)
		while (surplus > 0 && find_largest(m, pool, order[i], &id) && shed_one(m, id, order[i]))
			surplus--;
}

/* With a limit over the database: as many places as are waited for, while the allowance lasts. */
static void
share_database(struct pgr_monitor *m, pgr_pool_id id, const struct census *c, uint32_t limit)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint64_t most = atomic_load(&pool->set.max_db_connections);
	uint32_t stays;
	uint32_t open = open_in_database(m, pool, &stays);
	uint32_t min = (uint32_t)atomic_load(&pool->set.min_pool_size);
	uint32_t need = unmet(c);
	pgr_slot_id slot;

	if (open > most) {
		if (stays > most)
			shed(m, pool, stays - (uint32_t)most);
		return; /* nothing to share until they have gone */
	}
	if (need > 0 && another_first(m, id, c))
		return; /* its turn comes with the next tick */
	if (need == 0 && open_places(c) < min)
		need = min - open_places(c);
	for (uint32_t p = 0; p < limit; p++) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);

		if (need > 0 && open < most && set_barred(pool, s, false)) {
			need--;
			open++;
		} else if (need == 0 && c->want == 0 && c->state[PGR_SLOT_FREE] > 0 &&
			open_places(c) > min) {
			(void)set_barred(pool, s, true);
		}
	}
	if (need > 0 && open >= most && c->want > 0)
		take_from_another(m, id, c);
}

static void
share(struct pgr_monitor *m, pgr_pool_id id, const struct census *c)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	bool over_pools = atomic_load(&pool->set.max_db_connections) != 0;
	uint32_t limit = allowed(m, pool, c);
	pgr_slot_id slot;

	for (uint32_t p = 0; p < places_of(pool); p++) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);

		if (p >= limit)
			(void)set_barred(pool, s, true);
		else if (!over_pools)
			(void)set_barred(pool, s, false);
	}
	if (over_pools)
		share_database(m, id, c, limit);
}

/*
 * Does the connection lead to where none would be opened now? The name has other addresses by now, or
 * another server has taken the place of that one.
 */
static bool
strayed(struct pgr_monitor *m, const struct pgr_pool *pool, pgr_slot_id id)
{
	struct pgr_host *host = &m->shm->seg->host[pool->host % PGR_HOSTS_MAX];

	return !pgr_host_has(host, &pgr_shm_cold(m->shm, id)->addr) ||
		pgr_pool_outlived((struct pgr_pool *)(uintptr_t)pool, pgr_shm_slot(m->shm, id), m->now);
}

/* Why an idle connection should end; COUNT: it should not. */
static enum pgr_close_reason
why_end(struct pgr_monitor *m, const struct pgr_pool *pool, pgr_slot_id id, uint32_t idle_above_min)
{
	struct pgr_pool *p = (struct pgr_pool *)(uintptr_t)pool;
	struct pgr_slot *s = pgr_shm_slot(m->shm, id);
	uint64_t lifetime = atomic_load(&p->set.server_lifetime);
	uint64_t idle = atomic_load(&p->set.server_idle_timeout);
	uint64_t size = atomic_load(&p->set.pool_size) + atomic_load(&p->set.reserve_pool_size);
	uint64_t since = atomic_load(&s->since);
	uint64_t born = atomic_load(&s->born);

	if (atomic_load(&s->epoch) != atomic_load(&p->epoch) || strayed(m, pool, id))
		return PGR_CLOSE_CHANGED;
	if (atomic_load(&p->paused) != 0)
		return PGR_CLOSE_CHANGED; /* its dial began, or was asked for, before the pause and ended in it */
	if (s->place >= size || atomic_load(&p->state) == PGR_POOL_DRAINING)
		return PGR_CLOSE_CHANGED;
	if (!pgr_closing_home_lives(m, s))
		return PGR_CLOSE_OWNER;
	if (lifetime != 0 && m->now > born && m->now - born > lifetime)
		return PGR_CLOSE_LIFETIME;
	if (idle != 0 && idle_above_min > 0 && m->now > since && m->now - since > idle)
		return PGR_CLOSE_IDLE;
	return PGR_CLOSE_REASON_COUNT;
}

static void
tend_slots(struct pgr_monitor *m, pgr_pool_id id, const struct census *c)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint32_t live = c->state[PGR_SLOT_IDLE] + c->state[PGR_SLOT_GIVEN] + c->state[PGR_SLOT_LEASED];
	uint64_t min = atomic_load(&pool->set.min_pool_size);
	pgr_slot_id slot;

	for (uint32_t p = 0; p < places_of(pool); p++) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);
		enum pgr_slot_state state = pgr_word_state(atomic_load(&s->word));
		enum pgr_close_reason why;

		if (state == PGR_SLOT_CLOSING) {
			(void)pgr_closing_step(m, slot);
		} else if (state == PGR_SLOT_GIVEN || state == PGR_SLOT_ASKED) {
			pgr_sweep_offer(m, pool, slot);
		} else if (state == PGR_SLOT_IDLE) {
			why = why_end(m, pool, slot, live > min ? live - (uint32_t)min : 0);
			if (why == PGR_CLOSE_REASON_COUNT)
				pgr_closing_watch(m, slot);
			else if (pgr_closing_begin(m, slot, why))
				live--;
		} else if (state == PGR_SLOT_LEASED && strayed(m, pool, slot)) {
			(void)poison(s, PGR_CLOSE_CHANGED);
		}
	}
}

/* Asks a worker to dial, for min_pool_size. */
static void
ask_dial(struct pgr_monitor *m, pgr_pool_id id, struct pgr_slot *s, uint32_t place)
{
	uint32_t workers = m->shm->seg->workers;
	pgr_word w = atomic_load(&s->word);
	uint32_t k = m->next_worker++ % workers;

	if (pgr_word_state(w) != PGR_SLOT_FREE || !pgr_proc_takes(pgr_shm_proc(m->shm, k)) ||
		!atomic_compare_exchange_strong(
			&s->word, &w, pgr_word_next(w, PGR_SLOT_ASKED, k, PGR_PIN_NONE)))
		return;
	atomic_fetch_or(&pgr_shm_pool(m->shm, id)->mail[k], UINT64_C(1) << place % PGR_MAIL_BITS);
	pgr_proc_mail(m->shm, k, id);
	pgr_proc_poke(m->shm, k, false);
}

static void
keep_minimum(struct pgr_monitor *m, pgr_pool_id id, const struct census *c)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint64_t min = atomic_load(&pool->set.min_pool_size);
	uint32_t have = open_places(c) - c->state[PGR_SLOT_FREE] - c->state[PGR_SLOT_CLOSING];
	pgr_slot_id slot;

	if (atomic_load(&pool->state) != PGR_POOL_LIVE || atomic_load(&pool->paused) != 0 ||
		atomic_load(&pool->retry_at) > m->now)
		return;
	for (uint32_t p = 0; p < places_of(pool) && have < min; p++) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);

		if (pgr_word_state(atomic_load(&s->word)) != PGR_SLOT_FREE)
			continue;
		ask_dial(m, id, s, p);
		have++;
	}
}

void
pgr_places_lowered(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint64_t size = atomic_load(&pool->set.pool_size);
	pgr_slot_id slot;

	for (uint32_t p = (uint32_t)size; p < places_of(pool); p++) {
		struct pgr_slot *s = pgr_pool_slot(m->shm, pool, p, &slot);

		if (!pgr_closing_begin(m, slot, PGR_CLOSE_CHANGED))
			(void)poison(s, PGR_CLOSE_CHANGED);
	}
}

void
pgr_places_attend(struct pgr_monitor *m, pgr_pool_id id)
{
	struct census c;

	take_census(m, id, &c);
	tend_slots(m, id, &c);
	take_census(m, id, &c);
	share(m, id, &c);
	keep_minimum(m, id, &c);
	pgr_monitor_match(m, id);
}

void
pgr_places_tell(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_stats_directory *d = &m->shm->stats->directory[id.n];
	struct census c;

	take_census(m, id, &c);
	atomic_store(&d->sv_active, c.state[PGR_SLOT_LEASED]);
	atomic_store(&d->sv_idle, c.state[PGR_SLOT_IDLE]);
	atomic_store(&d->sv_used, c.state[PGR_SLOT_GIVEN]);
	atomic_store(&d->sv_login, c.state[PGR_SLOT_DIALING] + c.state[PGR_SLOT_ASKED]);
	atomic_store(&d->sv_closing, c.state[PGR_SLOT_CLOSING]);
}
