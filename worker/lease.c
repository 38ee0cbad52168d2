/*
 * The worker's half of the shared pool (shm/pool.h has the other): the FIFO of waiting legs, what is
 * published of it, and what happens to a slot that was caught. Called by front.c (a client needs a
 * server), back.c and settle.c (a server is done), dial.c, and the loop (pokes, ticks).
 *
 * Must stay true: whatever changes the number or the oldest of a pool's waiters publishes it; whatever
 * made a slot available or published more matches afterwards.
 */
#include "worker/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "worker/back.h"
#include "worker/client.h"
#include "worker/dial.h"
#include "worker/home.h"
#include "worker/server.h"
#include "worker/settings.h"

struct pgr_wpool *
pgr_lease_pool(struct pgr_worker *w, pgr_pool_id id)
{
	struct pgr_wpool *pool = w->pool[id.n];

	if (pool != NULL)
		return pool;
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	pgr_pool_view_init(&pool->view, w->shm, id, w->self);
	pool->serial = atomic_load(&pool->view.pool->serial);
	pgr_list_init(&pool->waiters);
	pool->stats = &w->stats->pool[id.n];
	w->pool[id.n] = pool;
	return pool;
}

static struct pgr_leg *
oldest_waiter(struct pgr_wpool *pool)
{
	return pgr_list_empty(&pool->waiters)
		? NULL
		: PGR_LIST_ENTRY(pool->waiters.next, struct pgr_leg, wait);
}

static void
publish(struct pgr_wpool *pool)
{
	struct pgr_leg *oldest = oldest_waiter(pool);

	pgr_pool_publish(&pool->view, pool->waiting, pool->dials, oldest != NULL ? oldest->ticket : 0);
	atomic_store_explicit(&pool->stats->oldest_wait, oldest != NULL ? oldest->wait_since : 0,
		memory_order_relaxed);
}

static void
stop_waiting(struct pgr_worker *w, struct pgr_leg *leg)
{
	pgr_usec waited = w->now - leg->wait_since;

	pgr_list_remove(&leg->wait);
	leg->pool->waiting--;
	w->waiting--;
	pgr_stat_add(&leg->pool->stats->wait_count, 1);
	pgr_stat_add(&leg->pool->stats->wait_time, waited);
	pgr_histogram_add(&w->stats->wait, waited);
}

/* The connection is too old for another lease, or of a configuration or a server that has changed. */
static bool
outdated(struct pgr_worker *w, struct pgr_server *s, enum pgr_close_reason *ret_reason)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	struct pgr_pool *pool = s->pool->view.pool;
	uint64_t lifetime = atomic_load_explicit(&pool->set.server_lifetime, memory_order_relaxed);

	if (atomic_load_explicit(&slot->epoch, memory_order_relaxed) !=
		atomic_load_explicit(&pool->epoch, memory_order_relaxed)) {
		*ret_reason = PGR_CLOSE_CHANGED;
		return true;
	}
	if (slot->place >= atomic_load_explicit(&pool->set.pool_size, memory_order_relaxed) +
			atomic_load_explicit(&pool->set.reserve_pool_size, memory_order_relaxed)) {
		*ret_reason = PGR_CLOSE_CHANGED; /* the limit was lowered */
		return true;
	}
	if (pgr_pool_outlived(pool, slot, w->now)) {
		*ret_reason = PGR_CLOSE_CHANGED;
		return true;
	}
	*ret_reason = PGR_CLOSE_LIFETIME;
	return lifetime != 0 &&
		w->now - atomic_load_explicit(&slot->born, memory_order_relaxed) > lifetime;
}

/*
 * In session mode a client's startup parameters are the server's: hash of those that its connection must
 * have been opened with.
 */
static uint64_t
startup_of(const struct pgr_leg *leg)
{
	return leg->client->mode == PGR_MODE_SESSION ? leg->client->track.startup->hash : 0;
}

static void
begin_exchange(struct pgr_worker *w, struct pgr_server *s, struct pgr_leg *leg)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	uint64_t id = atomic_load_explicit(&pgr_shm_client(w->shm, leg->client->rec)->id, memory_order_relaxed);

	s->use = PGR_SERVER_LEASED;
	s->leg = leg;
	s->continued = atomic_load_explicit(&slot->last, memory_order_relaxed) == (uint32_t)id;
	leg->server = s;
	leg->fresh = true;
	leg->tried = leg->judging = false;
	s->unjudged = false;
	s->judged_by = NULL;
	s->hindered = false;
	s->hindrances = 0;
	s->told_fatal = false;
	s->status = PGR_TXN_IDLE; /* nothing else is ever leased */
	s->stray_sync = false;
	atomic_store_explicit(&slot->client, id, memory_order_relaxed);
	atomic_store_explicit(&slot->last, (uint32_t)id, memory_order_relaxed);
	atomic_store_explicit(&slot->since, w->now, memory_order_relaxed);
	pgr_stat_add(&leg->pool->stats->server_assignment_count, 1);
	pgr_client_mark(w, leg->client, PGR_CLIENT_ACTIVE);
}

/* What is dialed in this slot is for leg alone. */
static void
bind_to(struct pgr_server *s, struct pgr_leg *leg)
{
	s->bound = true;
	s->leg = leg;
	leg->fetching = s->slot;
}

/*
 * The connection is at hand: leg uses it, or it is closed and its place dialed anew with the leg's startup
 * parameters. False: neither can be, and it is on its way out. One whose TLS is another worker's cannot be
 * closed here and dialed in one go.
 */
static bool
use(struct pgr_worker *w, struct pgr_server *s, struct pgr_leg *leg)
{
	if (PGR_LIKELY(atomic_load_explicit(&pgr_server_slot(w, s)->startup, memory_order_relaxed) ==
		startup_of(leg))) {
		begin_exchange(w, s, leg);
		return true;
	}
	if ((atomic_load(&pgr_server_slot(w, s)->home) != 0 && !pgr_home_is_ours(s)) ||
		!pgr_pool_renew(&leg->pool->view, s->slot)) {
		pgr_lease_close(w, s, PGR_CLOSE_CHANGED);
		return false;
	}
	bind_to(s, leg);
	pgr_dial_anew(w, s);
	return true;
}

/* The slot is LEASED by us: gives it to leg. False: unusable, and on its way out. */
static bool
attach(struct pgr_worker *w, struct pgr_leg *leg, pgr_slot_id id)
{
	struct pgr_server *s = pgr_server_get(w, id, leg->pool);
	bool dirty = leg->pool->view.dirty;

	if (s == NULL) {
		pgr_pool_return(&leg->pool->view, id, true);
		return false;
	}
	if (PGR_UNLIKELY(atomic_load_explicit(&pgr_server_slot(w, s)->home, memory_order_relaxed) != 0) &&
		!pgr_home_enter(w, s)) {
		pgr_lease_close(w, s, pgr_home_is_ours(s) ? PGR_CLOSE_SERVER : PGR_CLOSE_OWNER);
		return false;
	}
	s->unread = dirty;
	if (pgr_server_fetch(w, s) == PGR_AGAIN) {
		s->use = PGR_SERVER_LEASED;
		s->leg = leg;
		leg->fetching = id;
		return true;
	}
	if (dirty && pgr_back_drain_idle(w, s) != PGR_OK) {
		pgr_lease_close(w, s, PGR_CLOSE_SERVER);
		return false;
	}
	return use(w, s, leg);
}

/*
 * What was caught goes to the oldest waiter; with nobody left it is returned. False: it was of no use,
 * and the waiter is back in the queue; others may have seen it empty meanwhile, so match from the start.
 */
static bool
serve_oldest(struct pgr_worker *w, struct pgr_wpool *pool, pgr_slot_id slot)
{
	struct pgr_leg *leg = oldest_waiter(pool);

	if (leg == NULL || pgr_pool_paused(&pool->view)) {
		/* unread bytes would be forgotten: then it is not used again */
		pgr_pool_return(&pool->view, slot, pool->view.dirty);
		return true;
	}
	stop_waiting(w, leg);
	publish(pool);
	if (!attach(w, leg, slot)) {
		/* unusable: back to the head of the queue, with the ticket that it had */
		pool->waiting++;
		w->waiting++;
		leg->wait.prev = &pool->waiters;
		leg->wait.next = pool->waiters.next;
		pool->waiters.next->prev = &leg->wait;
		pool->waiters.next = &leg->wait;
		publish(pool);
		return false;
	}
	if (leg->server != NULL)
		pgr_list_push(&w->runnable, &leg->run);
	return true;
}

static void
begin_dial(struct pgr_worker *w, struct pgr_wpool *pool, pgr_slot_id slot)
{
	struct pgr_leg *leg = oldest_waiter(pool);
	struct pgr_server *s = pgr_server_get(w, slot, pool);

	if (s == NULL) {
		pgr_log(PGR_LOG_ERROR, "server.memory", "out of memory");
		pgr_pool_return(&pool->view, slot, true);
		return;
	}
	s->bound = false;
	if (leg != NULL && startup_of(leg) != 0) {
		stop_waiting(w, leg);
		bind_to(s, leg);
	} else {
		pool->dials++;
	}
	publish(pool);
	pgr_dial_start(w, s);
}

void
pgr_lease_match(struct pgr_worker *w, struct pgr_wpool *pool)
{
	enum pgr_catch got;
	uint32_t cursor = 0;
	pgr_slot_id slot;

	while ((got = pgr_pool_match(&pool->view, w->now, &cursor, &slot)) != PGR_CATCH_NONE) {
		if (got == PGR_CATCH_DIAL)
			begin_dial(w, pool, slot);
		else if (!serve_oldest(w, pool, slot))
			cursor = 0;
	}
}

/* Is any connection there, or coming, that a waiter could hope for? */
static bool
pool_alive(struct pgr_worker *w, struct pgr_wpool *pool)
{
	uint32_t places = PGR_MIN(atomic_load(&pool->view.pool->places), PGR_PLACES_MAX);
	pgr_slot_id id;

	for (uint32_t p = 0; p < places; p++) {
		struct pgr_slot *slot = pgr_pool_slot(w->shm, pool->view.pool, p, &id);

		switch (pgr_word_state(atomic_load(&slot->word))) {
		case PGR_SLOT_DIALING:
		case PGR_SLOT_IDLE:
		case PGR_SLOT_GIVEN:
		case PGR_SLOT_LEASED:
			return true;
		case PGR_SLOT_FREE:
		case PGR_SLOT_CLOSING:
		case PGR_SLOT_ASKED:
		case PGR_SLOT_BARRED:
			break;
		}
	}
	return false;
}

bool
pgr_lease_holds(struct pgr_worker *w, const struct pgr_wpool *pool, uint64_t settings,
	struct pgr_hash128 statement)
{
	uint32_t places = PGR_MIN(atomic_load(&pool->view.pool->places), PGR_PLACES_MAX);
	uint32_t epoch = atomic_load(&pool->view.pool->epoch);
	pgr_slot_id id;

	for (uint32_t p = 0; p < places; p++) {
		struct pgr_slot *slot = pgr_pool_slot(w->shm, pool->view.pool, p, &id);
		enum pgr_slot_state state = pgr_word_state(atomic_load(&slot->word));

		if ((state == PGR_SLOT_IDLE || state == PGR_SLOT_GIVEN || state == PGR_SLOT_LEASED) &&
			atomic_load(&slot->epoch) == epoch && atomic_load(&slot->settings) == settings &&
			pgr_slot_statement_seen(pgr_shm_cold(w->shm, id), statement))
			return true;
	}
	return false;
}

static void
recent_failure(const struct pgr_pool *pool, struct pgr_err *err)
{
	uint64_t state = atomic_load(&((struct pgr_pool *)(uintptr_t)pool)->failure.sqlstate);
	char sqlstate[sizeof(state) + 1] = {0};

	memcpy(sqlstate, &state, sizeof(state));
	pgr_err_set(err, strlen(sqlstate) == 5 ? sqlstate : "08006", "%.*s",
		(int)sizeof(pool->failure.message) - 1, pool->failure.message);
}

/* The last dial failed a moment ago and nothing is alive: waiting would be in vain. */
static bool
hopeless(struct pgr_worker *w, struct pgr_wpool *pool, struct pgr_err *err)
{
	if (atomic_load(&pool->view.pool->retry_at) <= w->now || pgr_pool_paused(&pool->view) ||
		pool_alive(w, pool))
		return false;
	recent_failure(pool->view.pool, err);
	return true;
}

/* Where a limit goes over several pools it is the monitor that allows one more connection. */
static void
tell_monitor(struct pgr_worker *w, struct pgr_wpool *pool)
{
	if (atomic_load_explicit(&pool->view.pool->set.max_db_connections, memory_order_relaxed) == 0)
		return;
	pgr_proc_mail(w->shm, PGR_PROC_MONITOR, pool->view.id);
	pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
}

static void
begin_waiting(struct pgr_worker *w, struct pgr_leg *leg)
{
	struct pgr_wpool *pool = leg->pool;

	leg->ticket = pgr_pool_ticket(&pool->view);
	leg->wait_since = w->now;
	pgr_list_push(&pool->waiters, &leg->wait);
	pool->waiting++;
	w->waiting++;
	publish(pool);
	pgr_client_mark(w, leg->client, PGR_CLIENT_WAITING);
	tell_monitor(w, pool);
	if (pgr_pool_match_needed(&pool->view))
		pgr_lease_match(w, pool);
	pgr_list_remove(&leg->run); /* served at once: the caller goes on itself */
}

enum pgr_rc
pgr_lease_want(struct pgr_worker *w, struct pgr_leg *leg, struct pgr_err *err)
{
	pgr_slot_id slot;

	PGR_DCHECK(leg->server == NULL && !pgr_leg_waits(leg));
	while (pgr_pool_lease(&leg->pool->view, startup_of(leg), &slot))
		if (attach(w, leg, slot))
			return leg->server != NULL ? PGR_OK : PGR_AGAIN;
	if (hopeless(w, leg->pool, err))
		return PGR_FAIL;
	begin_waiting(w, leg);
	return leg->server != NULL ? PGR_OK : PGR_AGAIN;
}

static void
detach(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_leg *leg = s->leg;

	s->use = PGR_SERVER_PARKED;
	s->leg = NULL;
	s->deadline = 0;
	atomic_store_explicit(&pgr_server_slot(w, s)->client, 0, memory_order_relaxed);
	atomic_store_explicit(&pgr_server_slot(w, s)->since, w->now, memory_order_relaxed);
	if (leg == NULL)
		return;
	leg->server = NULL;
	leg->fetching = PGR_NO_SLOT;
	pgr_list_remove(&leg->run);
	pgr_client_mark(w, leg->client, PGR_CLIENT_IDLE);
}

/* Ends what bind_to() began: the leg goes, or is told what came of the dial. NULL: it was gone already. */
static struct pgr_leg *
unbind(struct pgr_server *s)
{
	struct pgr_leg *leg = s->leg;

	s->leg = NULL;
	if (leg != NULL)
		leg->fetching = PGR_NO_SLOT;
	return leg;
}

void
pgr_lease_give_up(struct pgr_worker *w, struct pgr_leg *leg)
{
	struct pgr_wpool *pool = leg->pool;

	if (!pgr_list_empty(&leg->wait)) {
		stop_waiting(w, leg);
		pgr_client_mark(w, leg->client, PGR_CLIENT_IDLE);
		pgr_stat_add(&pool->stats->wait_failed, 1);
		publish(pool);
	} else if (leg->fetching.n != PGR_NO_SLOT.n) {
		struct pgr_server *s = w->server[leg->fetching.n];

		if (s->use == PGR_SERVER_DIALING) { /* whoever comes next may need the same */
			unbind(s);
			return;
		}
		detach(w, s);
		pgr_pool_return(&pool->view, s->slot, s->unread);
		pgr_lease_match(w, pool);
	}
}

/* Hands a connection of ours straight to our oldest waiter, unless others have waited for too long. */
static bool
hand_on(struct pgr_worker *w, struct pgr_wpool *pool, pgr_slot_id slot)
{
	if (pool->waiting == 0 || !pgr_pool_transfer(&pool->view, slot))
		return false;
	pgr_stat_add(&w->stats->transfers, 1);
	if (!serve_oldest(w, pool, slot))
		pgr_lease_match(w, pool);
	return true;
}

void
pgr_lease_end(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_wpool *pool = s->pool;
	enum pgr_close_reason reason;

	if (outdated(w, s, &reason)) {
		pgr_lease_close(w, s, reason);
		return;
	}
	detach(w, s);
	pgr_stat_add(&pgr_server_slot(w, s)->leases, 1);
	if (hand_on(w, pool, s->slot))
		return;
	if (pgr_pool_return(&pool->view, s->slot, false) == PGR_RETURN_CLOSING)
		pgr_server_forget(w, s);
	if (pgr_pool_wanted(&pool->view))
		pgr_lease_match(w, pool);
}

void
pgr_lease_close(struct pgr_worker *w, struct pgr_server *s, enum pgr_close_reason reason)
{
	struct pgr_wpool *pool = s->pool;

	detach(w, s);
	pgr_back_forget(w, s);
	atomic_store_explicit(&pgr_server_slot(w, s)->reason, reason, memory_order_relaxed);
	pgr_server_forget(w, s);
	pgr_pool_return(&pool->view, s->slot, true);
	pgr_lease_match(w, pool);
}

void
pgr_lease_dialed(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_wpool *pool = s->pool;
	struct pgr_leg *leg = unbind(s);

	if (!s->bound)
		pool->dials--;
	atomic_store(&pool->view.pool->retry_at, 0);
	atomic_store(&pool->view.pool->failure.at, 0);
	pgr_stat_add(&pool->stats->server_logins, 1);
	detach(w, s);
	if (leg != NULL) {
		pgr_pool_renewed(&pool->view, s->slot);
		begin_exchange(w, s, leg);
		pgr_list_push(&w->runnable, &leg->run);
		return;
	}
	/* one waiter less and one dial less are told at once: nobody sees a waiter for whom none is dialed */
	if (hand_on(w, pool, s->slot))
		return;
	publish(pool);
	pgr_pool_return(&pool->view, s->slot, false);
	pgr_lease_match(w, pool);
}

/* Told to the waiters only when no other connection could serve them. */
static void
fail_waiters(struct pgr_worker *w, struct pgr_wpool *pool, const struct pgr_err *err)
{
	struct pgr_leg *leg;

	while ((leg = oldest_waiter(pool)) != NULL) {
		pgr_lease_give_up(w, leg);
		pgr_client_no_server(w, leg->client, err);
	}
}

static void
remember_failure(struct pgr_worker *w, struct pgr_pool *pool, const struct pgr_err *err)
{
	uint64_t state = 0;

	memcpy(&state, err->sqlstate, 5);
	atomic_store(&pool->failure.sqlstate, state);
	snprintf(pool->failure.message, sizeof(pool->failure.message), "%.*s",
		(int)sizeof(pool->failure.message) - 1, err->message);
	atomic_store(&pool->failure.at, w->now);
	atomic_store(&pool->retry_at, w->now + atomic_load(&pool->set.login_retry));
}

void
pgr_lease_dial_failed(
	struct pgr_worker *w, struct pgr_server *s, const struct pgr_err *err, bool own)
{
	struct pgr_wpool *pool = s->pool;
	struct pgr_leg *leg = unbind(s);

	if (!s->bound)
		pool->dials--;
	if (!own)
		remember_failure(w, pool->view.pool, err);
	pgr_stat_add(&pool->stats->server_login_failures, 1);
	publish(pool);
	pgr_lease_close(w, s, PGR_CLOSE_LOGIN);
	if (leg != NULL && (own || !pool_alive(w, pool))) {
		pgr_client_no_server(w, leg->client, err);
	} else if (leg != NULL) {
		begin_waiting(w, leg);
		if (leg->server != NULL)
			pgr_list_push(&w->runnable, &leg->run);
	}
	if (!own && !pool_alive(w, pool))
		fail_waiters(w, pool, err);
}

void
pgr_lease_fetched(struct pgr_worker *w, struct pgr_server *s, bool have)
{
	struct pgr_leg *leg = s->leg;

	leg->fetching = PGR_NO_SLOT;
	s->use = PGR_SERVER_PARKED;
	s->leg = NULL; /* what was not asked for is not the client's */
	if (!have || pgr_back_drain_idle(w, s) != PGR_OK) {
		pgr_lease_close(w, s, PGR_CLOSE_SERVER);
		begin_waiting(w, leg);
		if (leg->server != NULL)
			pgr_list_push(&w->runnable, &leg->run);
		return;
	}
	if (!use(w, s, leg))
		begin_waiting(w, leg);
	if (leg->server != NULL)
		pgr_list_push(&w->runnable, &leg->run);
}

void
pgr_lease_match_all(struct pgr_worker *w)
{
	uint32_t top = w->waiting > 0 ? pgr_shm_pools_used(w->shm) : 0;

	for (uint32_t n = 0; n < top; n++)
		if (w->pool[n] != NULL && w->pool[n]->waiting > 0)
			pgr_lease_match(w, w->pool[n]);
}

static void
take_mail(struct pgr_worker *w, struct pgr_wpool *pool)
{
	enum pgr_catch got;
	uint32_t cursor = 0;
	uint64_t bits = 0;
	pgr_slot_id slot;

	while ((got = pgr_pool_take_mail(&pool->view, &bits, &cursor, &slot)) != PGR_CATCH_NONE) {
		pgr_stat_add(&w->stats->handovers, 1);
		if (got == PGR_CATCH_LEASED)
			(void)serve_oldest(w, pool, slot);
		else
			begin_dial(w, pool, slot);
	}
	pgr_lease_match(w, pool);
}

void
pgr_lease_on_poke(struct pgr_worker *w)
{
	uint32_t cursor = 0;
	pgr_pool_id id;

	while (pgr_proc_next_mail(w->shm, w->self, &cursor, &id)) {
		struct pgr_wpool *pool;

		if (atomic_load(&pgr_shm_pool(w->shm, id)->state) == PGR_POOL_FREE)
			continue;
		pool = pgr_lease_pool(w, id);
		if (pool != NULL)
			take_mail(w, pool);
	}
}

/* Does max_db_connections keep places of this pool from being dialed? */
static bool
barred(const struct pgr_worker *w, struct pgr_pool *pool)
{
	uint64_t size = atomic_load(&pool->set.pool_size);
	uint32_t places = PGR_MIN(atomic_load(&pool->places), (uint32_t)PGR_PLACES_MAX);
	pgr_slot_id slot;
	uint64_t open = 0;

	if (atomic_load(&pool->set.max_db_connections) == 0)
		return false;
	for (uint32_t p = 0; p < places; p++)
		open += pgr_word_state(atomic_load(&pgr_pool_slot(w->shm, pool, p, &slot)->word)) !=
			PGR_SLOT_BARRED;
	return open < size;
}

static void
time_out_waiters(struct pgr_worker *w, struct pgr_wpool *pool)
{
	uint64_t limit = atomic_load(&pool->view.pool->set.queue_timeout);
	struct pgr_leg *leg;
	struct pgr_err err;

	while (limit != 0 && (leg = oldest_waiter(pool)) != NULL && w->now - leg->wait_since >= limit) {
		pgr_err_set(&err, "57014", "no server connection became free within queue_timeout (%llu ms)",
			(unsigned long long)(limit / PGR_USEC_PER_MSEC));
		if (pgr_pool_paused(&pool->view))
			pgr_err_hint(&err, "Database \"%s\" is paused; RESUME in the admin console ends that.",
				pool->view.pool->database);
		else if (barred(w, pool->view.pool))
			pgr_err_hint(&err, "All max_db_connections server connections of database \"%s\" are in "
				"use.", pool->view.pool->database);
		else
			pgr_err_hint(&err, "All pool_size server connections of database \"%s\", user \"%s\" "
				"are in use.", pool->view.pool->database, pool->view.pool->user);
		pgr_lease_give_up(w, leg);
		pgr_client_no_server(w, leg->client, &err);
	}
}

static void
retry_fetches(struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->servers_top; i++) {
		struct pgr_server *s = w->server[i];

		if (s != NULL && s->use == PGR_SERVER_LEASED && s->leg != NULL &&
			s->leg->fetching.n == s->slot.n && s->io.fd < 0)
			(void)!pgr_server_fetch(w, s);
	}
}

void
pgr_lease_tick(struct pgr_worker *w)
{
	uint32_t top = w->waiting > 0 ? pgr_shm_pools_used(w->shm) : 0;

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_wpool *pool = w->pool[n];

		if (pool == NULL || pool->waiting == 0)
			continue;
		time_out_waiters(w, pool);
		pgr_lease_match(w, pool);
	}
	retry_fetches(w);
}
