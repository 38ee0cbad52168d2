/*
 * The real code of the shared pool (shm/pool.c, shm/proc.c, monitor/sweep.c, monitor/places.c,
 * monitor/closing.c) with threads for processes: workers that lease, wait, hand over, cancel, lend each
 * other what is under TLS, dial anew and die anywhere, and a monitor that sweeps, closes, and takes
 * workers for stopped that are only late. What a worker does around it is a small copy of
 * worker/lease.c and worker/cancel.c (lease.c), worker/home.c (home.c) and worker.c with tickets for
 * clients; keep the order of its steps as it is there. truth.c judges.
 *
 * Played in short rounds. Nothing has a timer or a tick: a round ends when every thread sleeps on its
 * eventfd and none is readable. Then nobody may still wait: that would be a lost wake-up, which later
 * traffic would hide; and no connection may wait for its end. All the time: one holder for a slot,
 * never more holders than the limit, no waiter of another worker overtaken beyond the bound, no place
 * dialed before the home of its connection has said goodbye, died or let the monitor wait too long.
 *
 * usage: test_pool_threads [SECONDS [SEED]]; PGR_SEED does as well.
 */
#include "threads.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/fdpass.h"

#define LONG (10 * PGR_USEC_PER_SEC) /* longer than an offer may lie */
#ifndef PGR_PATIENCE
#define PGR_PATIENCE 60 /* seconds for one round */
#endif

static int vault; /* the master's end of the monitor's pair */
static _Atomic uint32_t turns;
static _Atomic bool stopping;
static _Atomic bool deaths_allowed;

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
	if (passed_over) {
		COUNT(passed_over);
		for (uint32_t n = 0; n < POOLS; n++)
			if (me->pool[n].waiting > 0)
				match(&me->pool[n]);
	}
	if (atomic_exchange(&pgr_shm_proc(&shm, me->self)->farewells, 0) != 0)
		home_part();
}

static void
come_alive(void)
{
	struct pgr_proc *proc = pgr_shm_proc(&shm, me->self);

	while (!pgr_proc_is(proc, PGR_LIFE_SWEPT))
		sched_yield();
	atomic_store(&proc->farewells, 0);
	for (uint32_t n = 0; n < POOLS; n++) {
		struct pgr_pool *pool = pgr_shm_pool(&shm, (pgr_pool_id){n});

		atomic_store(&pool->want[me->self], 0);
		atomic_fetch_and(&pool->mask, ~(UINT64_C(1) << me->self));
	}
	atomic_store(&proc->slow, 0);
	step("test.alive.cleared");
	me->incarnation = pgr_slot_home(me->self, atomic_load(&proc->incarnation));
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
	for (uint32_t s = 0; s < SLOTS && k < WORKERS; s++) {
		uint32_t spoken = me->home[s].conn;

		if (spoken != 0)
			atomic_compare_exchange_strong(&tls[s].spoken, &spoken, 0);
	}
	atomic_store(&pgr_shm_proc(&shm, k)->life, PGR_LIFE_DEAD);
	if (k < WORKERS)
		atomic_store(&buried[k], me->incarnation >> 8);
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
		work = work || me->pool[p].leases + me->pool[p].dials + me->pool[p].bounds +
			me->pool[p].pins > 0;
	return work;
}

static void
act(struct wpool *pool)
{
	pgr_slot_id slot;
	uint32_t i;

	switch (draw(9)) {
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
		use_borrowed(slot);
		if (draw(12) == 0)
			pin(pool, slot);
		if (draw(3) == 0)
			return; /* is still at it */
		take_out(pool->lease, &pool->leases, i);
		if (draw(30) == 0)
			lease_close(pool, slot);
		else if (draw(30) == 0)
			renew(pool, slot);
		else
			lease_end(pool, slot);
		return;
	case 5:
		if (pool->bounds > 0) {
			slot = pool->bound[0];
			take_out(pool->bound, &pool->bounds, 0);
			renew_ended(pool, slot);
			return;
		}
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
	case 7:
		for (i = 0; i < 8; i++)
			home_run();
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
	memset(me->home, 0, sizeof(me->home));
	atomic_fetch_add(&pgr_shm_proc(&shm, me->self)->incarnation, 1); /* children.c's spawn() */
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
	pgr_slot_id slot = draw_slot();

	if (!pgr_closing_begin(m, slot, PGR_CLOSE_SERVER))
		return;
	COUNT(ends_of_idle);
	pgr_places_attend(m, (pgr_pool_id){pool_of(slot)});
}

/*
 * The monitor hears of the end of a connection that was dialed anew: pgr_closing_event. Only the monitor
 * closes what is IDLE without a pin, and then the generation stays.
 */
static void
end_of_an_old_one(struct pgr_monitor *m)
{
	pgr_slot_id id = draw_slot();
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	struct pgr_watched *w = m->watched[id.n];
	pgr_word before = atomic_load(&slot->word);
	uint32_t conn;

	if (w == NULL || w->fd < 0 || w->conn != atomic_load(&ended[id.n]))
		return;
	COUNT(old_ends);
	conn = w->conn;
	pgr_closing_event(m, w);
	if (pgr_word_leasable(before) && atomic_load(&slot->conn) != conn &&
		atomic_load(&slot->word) == pgr_word_move(before, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE))
		fail("slot %u: connection %u is closed because of the end of %u", id.n,
			atomic_load(&slot->conn), conn);
}

/* ---- the vault ---- */

/* A server that has ended: what matters is when the monitor looks. */
static int
ended_server(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		fail("no socket pair: %s", strerror(errno));
	close(pair[1]);
	return pair[0];
}

/* The master has every descriptor that the monitor asks for. */
static void
ask_vault(struct pgr_monitor *m)
{
	struct pgr_note note;
	bool answered;
	int fd;

	do {
		answered = false;
		while (pgr_fdpass_receive(vault, &note, &fd) == PGR_OK) {
			if (note.kind != PGR_NOTE_ASK)
				continue;
			note.kind = PGR_NOTE_HERE;
			fd = ended_server();
			answered = pgr_fdpass_send(vault, &note, fd) == PGR_OK;
			close(fd);
		}
		pgr_closing_on_vault(m);
	} while (answered);
}

/* Offers that are not taken grow old; but a home gets its time to say goodbye, unless we want it late. */
static void
pass_time(struct pgr_monitor *m)
{
	bool awaited = false;
	bool hurry = draw(8) == 0;

	for (uint32_t s = 0; s < SLOTS; s++) {
		const struct pgr_watched *w = m->watched[s];

		if (w == NULL || w->since == 0 || atomic_load(&tls[s].spoken) != w->conn)
			continue;
		awaited = true;
		if (hurry)
			atomic_store(&tls[s].late, true);
	}
	if (awaited && hurry)
		COUNT(late);
	if (!awaited || hurry)
		m->now += LONG;
}

static void
open_vault(struct pgr_monitor *m)
{
	struct pgr_err err;
	int pair[2];

	if (pgr_loop_open(&m->loop, &err) != PGR_OK || pgr_fdpass_pair(pair, &err) != PGR_OK)
		fail("%s", err.message);
	m->master = pair[0];
	vault = pair[1];
}

static void
forget_all(struct pgr_monitor *m)
{
	for (uint32_t s = 0; s < SLOTS; s++) {
		if (m->watched[s] != NULL && m->watched[s]->fd >= 0)
			close(m->watched[s]->fd);
		free(m->watched[s]);
	}
	pgr_loop_close(&m->loop);
	close(m->master);
	close(vault);
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

	open_vault(m);
	atomic_store(&shm.seg->died, 0);
	pgr_sweep(m);
	atomic_store(&pgr_shm_proc(&shm, PGR_PROC_MONITOR)->life, PGR_LIFE_ALIVE);
	attend_all(m);
	pgr_proc_poke(&shm, PGR_PROC_MONITOR, true);
	while (!atomic_load(&stopping)) {
		ask_vault(m);
		sleep_for_poke(PGR_PROC_MONITOR);
		join_round();
		pass_time(m);
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
		for (int i = 0; i < 8; i++)
			end_of_an_old_one(m);
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

void
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

			pgr_slot_id id;
			struct pgr_slot *slot = pgr_pool_slot(&shm, pool, p, &id);

			fprintf(stderr, "  place %u: state %d owner %u pin %u generation %llu; connection %u,"
				" home %x, spoken %u, farewell %u\n", p, (int)pgr_word_state(w), pgr_word_owner(w),
				pgr_word_pin(w), (unsigned long long)pgr_word_generation(w), atomic_load(&slot->conn),
				atomic_load(&slot->home), atomic_load(&tls[id.n].spoken),
				atomic_load(&slot->farewell));
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
	for (uint32_t s = 0; s < SLOTS; s++)
		if (pgr_word_state(atomic_load(&pgr_shm_slot(&shm, (pgr_slot_id){s})->word)) == PGR_SLOT_CLOSING)
			fail("slot %u: nobody ends its connection, and all is quiet", s);
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
	*m = (struct pgr_monitor){.shm = &shm, .now = NOW, .config = calloc(1, sizeof(*m->config)),
		.watched = calloc(PGR_SLOTS_MAX, sizeof(*m->watched)),
		.offer = calloc(PGR_SLOTS_MAX, sizeof(*m->offer)),
		.view = calloc(PGR_POOLS_MAX, sizeof(*m->view))};
	PGR_ASSERT(m->config != NULL && m->watched != NULL && m->offer != NULL && m->view != NULL);
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
	printf("; overtaken by at most %llu tickets\n", (unsigned long long)atomic_load(&count.overtaken));
	tell_deaths();
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
