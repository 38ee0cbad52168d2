/*
 * The real code of the shared pool (shm/pool.c, shm/proc.c, monitor/sweep.c, monitor/places.c,
 * monitor/closing.c) with threads for processes: workers that lease, wait, hand over, cancel and die
 * anywhere, and a monitor that sweeps, closes, and takes workers for stopped that are only late. What
 * a worker does around it is a small copy of worker/lease.c, worker/cancel.c and worker.c's
 * come_alive() with tickets for clients; keep the order of its steps as it is there.
 *
 * Played in short rounds. Nothing has a timer or a tick: a round ends when every thread sleeps on its
 * eventfd and none is readable. Then nobody may still wait: that would be a lost wake-up, which later
 * traffic would hide. All the time: one holder for a slot, never more holders than the limit, no
 * waiter of another worker overtaken beyond the bound.
 *
 * usage: test_pool_threads [SECONDS [SEED]]; PGR_SEED does as well.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../unit/shm_util.h"

#include "base/log.h"
#include "monitor/monitor.h"

#define WORKERS 4
#define POOLS 3
#define MOST 64 /* waiters, leases, dials, pins of one worker in one pool */
#define SLOTS (POOLS * PGR_CHUNK_SLOTS)
#define NOW 1
#define LONG (10 * PGR_USEC_PER_SEC) /* longer than an offer may lie */
#ifndef PGR_PATIENCE
#define PGR_PATIENCE 60 /* seconds for one round */
#endif

static const uint32_t pool_size[POOLS] = {1, 2, 5};

struct pin {
	pgr_slot_id slot;
	uint64_t generation;
};

/* worker/worker.h's pgr_wpool. */
struct wpool {
	struct pgr_pool_view view;
	uint64_t waiter[MOST]; /* tickets, oldest first */
	uint32_t waiting;
	pgr_slot_id lease[MOST];
	uint32_t leases;
	pgr_slot_id dial[MOST];
	uint32_t dials;
	struct pin pin[MOST];
	uint32_t pins;
};

/* A process: a thread that can die at a crash point. */
struct actor {
	uint32_t self;
	uint64_t random;
	bool mortal; /* in this round */
	jmp_buf death;
	_Atomic uint32_t asleep;
	int control; /* eventfd: a round begins */
	uint32_t budget;
	uint32_t round;
	struct wpool pool[POOLS]; /* of a worker */
	struct pgr_monitor *monitor;
};

/* What others may know of a worker's oldest waiter, for the fairness check. */
struct front {
	_Atomic uint64_t ticket; /* + 1; set while exactly this is published; 0: do not judge */
	_Atomic uint64_t moves;  /* rises when a poke or mail is taken and when a waiter leaves the queue */
};

static struct pgr_shm shm;
static struct actor actor[WORKERS + 1];
static struct front front[WORKERS][POOLS];
static _Atomic uint32_t holder[SLOTS]; /* process + 1 */
static _Atomic uint32_t holders[POOLS];
static _Atomic bool unclean[SLOTS];   /* of the connection: nobody may lease it any more */
static _Atomic uint64_t aimed[SLOTS]; /* a cancel is on its way: generation, pinner + 1; 0: none */
static _Atomic uint32_t turns;
static _Atomic uint32_t round_now;
static _Atomic bool stopping;
static _Atomic bool deaths_allowed;
static uint64_t seed;
static __thread struct actor *me;

/* Counted over the whole run; printed, and what must have happened is asserted at the end. */
#define COUNTS(X) X(served) X(waits) X(leased_at_once) X(transfers) X(transfers_refused) X(gifts) \
	X(dials) X(asked) X(closed) X(requeued) X(gave_up) X(pins) X(poisoned) X(worker_deaths) \
	X(monitor_deaths) X(sweeps) X(skipped_matches) X(judged) X(ends_of_idle) X(passed_over)
static struct {
#define X(name) _Atomic uint64_t name;
	COUNTS(X)
#undef X
	_Atomic uint64_t overtaken;
} count;

#define COUNT(name) atomic_fetch_add_explicit(&count.name, 1, memory_order_relaxed)

static void dump(void);

static void PGR_PRINTF(1, 2) PGR_NORETURN
fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "FAILED (seed %llu, round %u, %s %u): ", (unsigned long long)seed,
		atomic_load(&round_now), me == NULL ? "judge" : me->monitor != NULL ? "monitor" : "worker",
		me == NULL ? 0 : me->self);
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	dump();
	_exit(1);
}

static uint32_t
draw(uint32_t below)
{
	me->random = me->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(me->random >> 33) % below;
}

/* ---- crash points: where threads give way, and die ---- */

void __wrap_pgr_panic_crashpoint(const char *name);

#define POINTS 64
static struct {
	const char *_Atomic name;
	_Atomic uint64_t deaths;
} point[POINTS];

static void
note_death(const char *name)
{
	for (int i = 0; i < POINTS; i++) {
		const char *have = NULL;

		if (atomic_compare_exchange_strong(&point[i].name, &have, name) || strcmp(have, name) == 0) {
			atomic_fetch_add(&point[i].deaths, 1);
			return;
		}
	}
}

static void
step(const char *name)
{
	if (me == NULL)
		return;
	if (draw(6) == 0)
		sched_yield();
	if (me->mortal && draw(me->monitor != NULL ? 60 : 150) == 0) {
		note_death(name);
		longjmp(me->death, 1);
	}
}

void
__wrap_pgr_panic_crashpoint(const char *name)
{
	step(name);
}

/* ---- who holds what ---- */

static uint32_t
pool_of(pgr_slot_id slot)
{
	return slot.n / PGR_CHUNK_SLOTS;
}

/* A lease, or a dial, begins. */
static void
hold(pgr_slot_id slot, bool dial)
{
	uint32_t was = atomic_exchange(&holder[slot.n], me->self + 1);

	if (was != 0)
		fail("slot %u is held by worker %u already", slot.n, was - 1);
	if (atomic_fetch_add(&holders[pool_of(slot)], 1) >= pool_size[pool_of(slot)])
		fail("pool %u: more than %u connections in use", pool_of(slot), pool_size[pool_of(slot)]);
	if (dial) {
		if (atomic_exchange(&pgr_shm_slot(&shm, slot)->pid, 1) != 0)
			fail("slot %u is dialed before its connection has ended", slot.n);
		atomic_store(&aimed[slot.n], 0);
	}
	if (atomic_exchange(&unclean[slot.n], true) && !dial)
		fail("slot %u is leased as the dead or the failed have left it", slot.n);
	if (atomic_load(&aimed[slot.n]) != 0)
		fail("slot %u is leased while a cancel is under way", slot.n);
}

/* A lease or dial ends. clean: others may have the connection. */
static void
let_go(pgr_slot_id slot, bool clean)
{
	uint32_t was;

	if (clean)
		atomic_store(&unclean[slot.n], false);
	atomic_fetch_sub(&holders[pool_of(slot)], 1);
	was = atomic_exchange(&holder[slot.n], 0);
	if (was != me->self + 1)
		fail("slot %u is held by %u", slot.n, was);
}

static void
take_out(pgr_slot_id *list, uint32_t *n, uint32_t i)
{
	list[i] = list[--*n];
}

/* ---- fairness: nobody who was plainly there is passed over ---- */

struct view_of_others {
	uint64_t ticket[WORKERS];
	uint64_t moves[WORKERS];
};

/* The others' oldest waiters that have been given nothing yet, of those that take what they are given. */
static void
look_at_others(uint32_t p, struct view_of_others *ret)
{
	for (uint32_t k = 0; k < WORKERS; k++) {
		ret->moves[k] = atomic_load(&front[k][p].moves);
		ret->ticket[k] = atomic_load(&front[k][p].ticket);
		if (k == me->self || atomic_load(&pgr_shm_pool(&shm, (pgr_pool_id){p})->mail[k]) != 0 ||
			atomic_load(&pgr_shm_proc(&shm, k)->slow) != 0)
			ret->ticket[k] = 0;
	}
}

/* A waiter with this ticket was preferred meanwhile: to whom, that was there before and still is? */
static void
judge(uint32_t p, const struct view_of_others *before, uint64_t ticket, uint64_t bound)
{
	struct view_of_others after;

	look_at_others(p, &after);
	for (uint32_t k = 0; k < WORKERS; k++) {
		uint64_t theirs = before->ticket[k];

		if (theirs == 0 || after.ticket[k] != theirs || after.moves[k] != before->moves[k])
			continue;
		COUNT(judged);
		if (theirs - 1 >= ticket)
			continue;
		if (ticket - (theirs - 1) > bound)
			fail("pool %u: ticket %llu preferred to %llu of worker %u, bound %llu", p,
				(unsigned long long)ticket, (unsigned long long)theirs - 1, k,
				(unsigned long long)bound);
		if (atomic_load(&count.overtaken) < ticket - (theirs - 1))
			atomic_store(&count.overtaken, ticket - (theirs - 1));
	}
}

/* ---- worker/lease.c ---- */

static void serve_oldest(struct wpool *pool, pgr_slot_id slot);

static void
publish(struct wpool *pool)
{
	struct front *f = &front[me->self][pool->view.id.n];

	atomic_store(&f->ticket, 0);
	pgr_pool_publish(
		&pool->view, pool->waiting, pool->dials, pool->waiting > 0 ? pool->waiter[0] : 0);
	if (pool->waiting > 0)
		atomic_store(&f->ticket, pool->waiter[0] + 1);
}

static uint64_t
pop_waiter(struct wpool *pool, uint32_t i)
{
	uint64_t ticket = pool->waiter[i];

	atomic_store(&front[me->self][pool->view.id.n].ticket, 0);
	atomic_fetch_add(&front[me->self][pool->view.id.n].moves, 1);
	memmove(&pool->waiter[i], &pool->waiter[i + 1], (--pool->waiting - i) * sizeof(ticket));
	return ticket;
}

static void
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
		}
	}
}

static void
lease_close(struct wpool *pool, pgr_slot_id slot)
{
	COUNT(closed);
	let_go(slot, false);
	(void)pgr_pool_return(&pool->view, slot, true);
	match(pool);
}

/* False: the connection turns out to be unusable. */
static bool
attach(struct wpool *pool, pgr_slot_id slot)
{
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

static void
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

static void
lease_end(struct wpool *pool, pgr_slot_id slot)
{
	if (hand_on(pool, slot))
		return;
	let_go(slot, true);
	(void)pgr_pool_return(&pool->view, slot, false);
	if (pgr_pool_wanted(&pool->view))
		match(pool);
}

static void
dialed(struct wpool *pool, pgr_slot_id slot)
{
	if (hand_on(pool, slot))
		return;
	publish(pool);
	let_go(slot, true);
	(void)pgr_pool_return(&pool->view, slot, false);
	match(pool);
}

static void
dial_failed(struct wpool *pool, pgr_slot_id slot)
{
	publish(pool);
	lease_close(pool, slot);
}

static void
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

static void
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

static void
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

/* ---- worker/worker.c ---- */

/* *passed_over: may be NULL. */
static bool
read_poke(unsigned k, bool *passed_over)
{
	uint64_t n;
	bool was;

	if (read(shm.eventfd[k], &n, sizeof(n)) != sizeof(n))
		return false;
	for (uint32_t p = 0; p < POOLS && k < WORKERS; p++)
		atomic_fetch_add(&front[k][p].moves, 1);
	was = pgr_proc_poke_taken(&shm, k);
	if (passed_over != NULL)
		*passed_over = was;
	step("test.poke.taken");
	return true;
}

static void
on_poke(bool passed_over)
{
	uint32_t cursor = 0;
	pgr_pool_id id;

	while (pgr_proc_next_mail(&shm, me->self, &cursor, &id))
		take_mail(&me->pool[id.n]);
	if (!passed_over)
		return;
	COUNT(passed_over);
	for (uint32_t n = 0; n < POOLS; n++)
		if (me->pool[n].waiting > 0)
			match(&me->pool[n]);
}

static void
come_alive(void)
{
	struct pgr_proc *proc = pgr_shm_proc(&shm, me->self);

	while (!pgr_proc_is(proc, PGR_LIFE_SWEPT))
		sched_yield();
	for (uint32_t n = 0; n < POOLS; n++) {
		struct pgr_pool *pool = pgr_shm_pool(&shm, (pgr_pool_id){n});

		atomic_store(&pool->want[me->self], 0);
		atomic_fetch_and(&pool->mask, ~(UINT64_C(1) << me->self));
	}
	atomic_store(&proc->slow, 0);
	step("test.alive.cleared");
	pgr_proc_mail_all(&shm, me->self);
	atomic_store(&proc->life, PGR_LIFE_ALIVE);
}

/* ---- the threads ---- */

static void
sleep_for_poke(unsigned k)
{
	struct pollfd fds[2] = {{shm.eventfd[k], POLLIN, 0}, {me->control, POLLIN, 0}};

	atomic_store(&me->asleep, 1);
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	atomic_store(&me->asleep, 0);
	atomic_fetch_add(&turns, 1);
}

static void
join_round(void)
{
	uint64_t n;

	if (read(me->control, &n, sizeof(n)) != sizeof(n))
		return;
	me->round = atomic_load(&round_now);
	me->mortal = atomic_load(&deaths_allowed);
	me->budget = 1 + draw(draw(3) == 0 ? 60 : 8);
}

/* What the master does after waitpid. */
static void
bury(unsigned k)
{
	if (k < WORKERS)
		for (uint32_t p = 0; p < POOLS; p++)
			atomic_store(&front[k][p].ticket, 0);
	for (uint32_t s = 0; s < SLOTS; s++)
		if (atomic_load(&holder[s]) == k + 1)
			let_go((pgr_slot_id){s}, false);
	atomic_store(&pgr_shm_proc(&shm, k)->life, PGR_LIFE_DEAD);
	atomic_store(&shm.seg->died, 1);
	me->mortal = false; /* the master does not die here */
	pgr_proc_poke(&shm, PGR_PROC_MONITOR, true);
	me->mortal = atomic_load(&deaths_allowed);
}

static bool
has_work(void)
{
	bool work = me->budget > 0;

	for (uint32_t p = 0; p < POOLS; p++)
		work = work || me->pool[p].leases + me->pool[p].dials + me->pool[p].pins > 0;
	return work;
}

static void
act(struct wpool *pool)
{
	pgr_slot_id slot;
	uint32_t i;

	switch (draw(8)) {
	case 0:
	case 1:
	case 2:
		if (me->budget == 0 || pool->waiting + pool->leases >= MOST)
			return;
		me->budget--;
		want(pool);
		return;
	case 3:
	case 4:
		if (pool->leases == 0)
			return;
		i = draw(pool->leases);
		slot = pool->lease[i];
		if (draw(12) == 0)
			pin(pool, slot);
		if (draw(3) == 0)
			return; /* is still at it */
		take_out(pool->lease, &pool->leases, i);
		if (draw(30) == 0)
			lease_close(pool, slot);
		else
			lease_end(pool, slot);
		return;
	case 5:
		if (pool->dials == 0)
			return;
		i = draw(pool->dials);
		slot = pool->dial[i];
		take_out(pool->dial, &pool->dials, i);
		if (draw(20) == 0)
			dial_failed(pool, slot);
		else
			dialed(pool, slot);
		return;
	case 6:
		if (pool->pins > 0)
			cancel_end(pool, draw(pool->pins));
		return;
	default:
		if (pool->waiting == 0 || draw(10) != 0)
			return;
		COUNT(gave_up);
		(void)pop_waiter(pool, draw(pool->waiting));
		publish(pool);
		return;
	}
}

static void *
worker(void *arg)
{
	bool passed_over = false;

	me = arg;
	if (setjmp(me->death) != 0) {
		COUNT(worker_deaths);
		bury(me->self);
	}
	memset(me->pool, 0, sizeof(me->pool));
	for (uint32_t n = 0; n < POOLS; n++)
		pgr_pool_view_init(&me->pool[n].view, &shm, (pgr_pool_id){n}, me->self);
	come_alive();
	while (!atomic_load(&stopping)) {
		if (!has_work())
			sleep_for_poke(me->self);
		join_round();
		if (draw(2) == 0 && read_poke(me->self, &passed_over))
			on_poke(passed_over);
		act(&me->pool[draw(POOLS)]);
	}
	return NULL;
}

static void
attend_all(struct pgr_monitor *m)
{
	for (uint32_t n = 0; n < POOLS; n++)
		pgr_places_attend(m, (pgr_pool_id){n});
}

/* The server ends an idle connection: pgr_closing_event. */
static void
end_of_an_idle_one(struct pgr_monitor *m)
{
	pgr_pool_id pool = {draw(POOLS)};
	pgr_slot_id slot = {pool.n * PGR_CHUNK_SLOTS + draw(pool_size[pool.n])};

	if (!pgr_closing_begin(m, slot, PGR_CLOSE_SERVER))
		return;
	COUNT(ends_of_idle);
	pgr_places_attend(m, pool);
}

static void
forget_all(struct pgr_monitor *m)
{
	for (uint32_t s = 0; s < SLOTS; s++)
		free(m->watched[s]);
	for (uint32_t n = 0; n < POOLS; n++)
		free(m->view[n]);
	memset(m->watched, 0, SLOTS * sizeof(*m->watched));
	memset(m->view, 0, POOLS * sizeof(*m->view));
	memset(m->offer, 0, SLOTS * sizeof(*m->offer));
}

/* monitor/monitor.c */
static void
run_monitor(struct pgr_monitor *m)
{
	uint32_t cursor;
	pgr_pool_id id;

	atomic_store(&shm.seg->died, 0);
	pgr_sweep(m);
	atomic_store(&pgr_shm_proc(&shm, PGR_PROC_MONITOR)->life, PGR_LIFE_ALIVE);
	attend_all(m);
	pgr_proc_poke(&shm, PGR_PROC_MONITOR, true);
	while (!atomic_load(&stopping)) {
		sleep_for_poke(PGR_PROC_MONITOR);
		join_round();
		m->now += LONG;
		if (!read_poke(PGR_PROC_MONITOR, NULL))
			continue;
		if (atomic_exchange(&shm.seg->died, 0) != 0) {
			COUNT(sweeps);
			step("test.died.taken");
			pgr_sweep(m);
			attend_all(m);
		}
		cursor = 0;
		while (pgr_proc_next_mail(&shm, PGR_PROC_MONITOR, &cursor, &id))
			pgr_places_attend(m, id);
		if (draw(4) == 0)
			end_of_an_idle_one(m);
	}
}

static void *
monitor(void *arg)
{
	me = arg;
	if (setjmp(me->death) != 0) {
		COUNT(monitor_deaths);
		bury(PGR_PROC_MONITOR);
		forget_all(me->monitor);
	}
	run_monitor(me->monitor);
	return NULL;
}

/* ---- the judge ---- */

static void
dump(void)
{
	for (uint32_t n = 0; n < POOLS; n++) {
		struct pgr_pool *pool = pgr_shm_pool(&shm, (pgr_pool_id){n});

		fprintf(stderr, "pool %u: mask %llx, ticket %llu, freed %llu\n", n,
			(unsigned long long)atomic_load(&pool->mask),
			(unsigned long long)atomic_load(&pool->ticket),
			(unsigned long long)atomic_load(&pool->freed));
		for (uint32_t p = 0; p < pool_size[n]; p++) {
			pgr_word w = shm_word(&shm, (pgr_pool_id){n}, p);

			fprintf(stderr, "  place %u: state %d owner %u pin %u generation %llu\n", p,
				(int)pgr_word_state(w), pgr_word_owner(w), pgr_word_pin(w),
				(unsigned long long)pgr_word_generation(w));
		}
		for (uint32_t k = 0; k < WORKERS; k++) {
			uint64_t w = atomic_load(&pool->want[k]);

			fprintf(stderr, "  worker %u: life %u, poked %u, mail %llx, wants %u, dials %u, ticket %llu;"
				" itself: %u waiters, %u leases, %u dials, %u pins\n", k,
				atomic_load(&pgr_shm_proc(&shm, k)->life),
				atomic_load(&pgr_shm_proc(&shm, k)->poked),
				(unsigned long long)atomic_load(&pool->mail[k]), pgr_want_count(w),
				pgr_want_dials(w), (unsigned long long)pgr_want_ticket(w),
				actor[k].pool[n].waiting, actor[k].pool[n].leases, actor[k].pool[n].dials,
				actor[k].pool[n].pins);
		}
	}
}

static bool
readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) > 0;
}

static bool
all_asleep(void)
{
	for (int i = 0; i <= WORKERS; i++)
		if (atomic_load(&actor[i].asleep) == 0)
			return false;
	return true;
}

/* Everybody sleeps, and nothing is on its way that would wake somebody. */
static bool
quiet(void)
{
	uint32_t before = atomic_load(&turns);

	if (!all_asleep())
		return false;
	for (int i = 0; i <= WORKERS; i++)
		if (readable(actor[i].control) || readable(shm.eventfd[actor[i].self]))
			return false;
	return all_asleep() && atomic_load(&turns) == before;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
await_quiet(void)
{
	double deadline = seconds() + PGR_PATIENCE;
	const struct timespec pause = {0, 50000};

	while (!quiet()) {
		if (seconds() > deadline)
			fail("the round does not come to its end");
		nanosleep(&pause, NULL);
	}
}

static void
assert_quiet_segment(void)
{
	static char text[8192];

	for (uint32_t k = 0; k < WORKERS; k++)
		for (uint32_t n = 0; n < POOLS; n++)
			if (actor[k].pool[n].waiting > 0)
				fail("lost wake-up: worker %u has waiters in pool %u and all is quiet", k, n);
	for (uint32_t s = 0; s < SLOTS; s++)
		if (atomic_load(&holder[s]) != 0)
			fail("slot %u is still held", s);
	if (pgr_check_segment(&shm, text, sizeof(text)) != 0)
		fail("the segment is not clean:\n%s", text);
}

static void
begin_round(uint32_t n)
{
	const uint64_t one = 1;

	atomic_store(&deaths_allowed, n % 3 == 1);
	atomic_store(&round_now, n);
	for (int i = 0; i <= WORKERS; i++)
		if (write(actor[i].control, &one, sizeof(one)) != sizeof(one))
			fail("cannot begin a round");
}

static void
start(pthread_t *threads)
{
	struct pgr_monitor *m = calloc(1, sizeof(*m));

	PGR_ASSERT(m != NULL);
	*m = (struct pgr_monitor){.shm = &shm, .now = NOW, .master = -1,
		.watched = calloc(PGR_SLOTS_MAX, sizeof(*m->watched)),
		.offer = calloc(PGR_SLOTS_MAX, sizeof(*m->offer)),
		.view = calloc(PGR_POOLS_MAX, sizeof(*m->view))};
	PGR_ASSERT(m->watched != NULL && m->offer != NULL && m->view != NULL);
	actor[WORKERS].monitor = m;
	for (uint32_t i = 0; i <= WORKERS; i++) {
		actor[i].self = i < WORKERS ? i : PGR_PROC_MONITOR;
		actor[i].random = seed * (i + 1) + i;
		actor[i].control = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		atomic_store(&pgr_shm_proc(&shm, actor[i].self)->life, PGR_LIFE_SWEPT);
		PGR_ASSERT(pthread_create(
				   &threads[i], NULL, i < WORKERS ? worker : monitor, &actor[i]) == 0);
	}
}

static int
report(uint32_t rounds)
{
	bool vain = false;

	printf("%u rounds", rounds);
#define X(name) printf(", " #name " %llu", (unsigned long long)atomic_load(&count.name));
	COUNTS(X)
#undef X
	printf("; overtaken by at most %llu tickets\ndeaths at:",
		(unsigned long long)atomic_load(&count.overtaken));
	for (int i = 0; i < POINTS && atomic_load(&point[i].name) != NULL; i++)
		printf(" %s %llu", atomic_load(&point[i].name),
			(unsigned long long)atomic_load(&point[i].deaths));
	printf("\n");
#define X(name) vain = vain || atomic_load(&count.name) == 0;
	COUNTS(X)
#undef X
	if (vain)
		printf("FAILED: something that this test is about never happened\n");
	return vain;
}

int
main(int argc, char **argv)
{
	const char *given = argc > 2 ? argv[2] : getenv("PGR_SEED");
	double end = seconds() + (argc > 1 ? atof(argv[1]) : 10);
	pthread_t threads[WORKERS + 1];
	uint32_t rounds = 0;

	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	pgr_log_init("test", PGR_LOG_ERROR, false);
	shm_make(&shm, WORKERS);
	for (uint32_t n = 0; n < POOLS; n++)
		(void)shm_pool(&shm, pool_size[n], 1);
	start(threads);
	await_quiet();
	while (seconds() < end) {
		begin_round(++rounds);
		await_quiet();
		assert_quiet_segment();
	}
	atomic_store(&stopping, true);
	begin_round(0); /* nobody dies in this one: the monitor would not be there any more */
	for (int i = 0; i <= WORKERS; i++)
		pthread_join(threads[i], NULL);
	forget_all(actor[WORKERS].monitor);
	return report(rounds);
}
