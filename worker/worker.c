/*
 * The worker's loop. A turn: wait, read the clock once, serve what happened, serve whoever got a
 * server meanwhile, bury what has ended. Started by the master after fork; ends when pgroute stops.
 */
#include "worker/worker.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "shm/secret.h"
#include "worker/back.h"
#include "worker/cancel.h"
#include "worker/client.h"
#include "worker/console.h"
#include "worker/dial.h"
#include "worker/front.h"
#include "worker/home.h"
#include "worker/lease.h"
#include "worker/login.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/statement.h"

#define TICK (100 * PGR_USEC_PER_MSEC)
#define IDLE_TICK PGR_USEC_PER_SEC
#define SILENT (2 * IDLE_TICK) /* since the last turn of a worker that does not run */

/* Sessions go on with the certificate that they began with; a later handshake has the new one. */
static void
use_client_tls(struct pgr_worker *w)
{
	struct ssl_ctx_st *ctx = NULL;
	struct pgr_err err;

	if (w->config->client_tls.mode != PGR_CONFIG_TLS_DISABLE &&
		pgr_tls_for_clients(&w->config->client_tls, w->secrets, &w->shm->secrets->tickets, &ctx,
			&err) != PGR_OK) {
		pgr_log(PGR_LOG_ERROR, "tls", "client_tls is not changed: %s", err.message);
		return; /* the loader has tried these very texts: out of memory */
	}
	pgr_tls_ctx_free(w->client_tls);
	w->client_tls = ctx;
}

static void
use_config(struct pgr_worker *w)
{
	const void *secrets;

	w->config = pgr_generation_use(w->shm, w->self, &secrets, &w->version);
	w->secrets = secrets;
	pgr_log_set(w->config->log_level, w->config->log_format == PGR_CONFIG_LOG_JSON);
	w->keepalive = (struct pgr_keepalive){.idle = w->config->tcp_keepalive_idle,
		.interval = w->config->tcp_keepalive_interval,
		.count = w->config->tcp_keepalive_count,
		.user_timeout = w->config->tcp_user_timeout};
	for (uint32_t i = 0; i < w->listeners; i++)
		pgr_sock_options(w->listener[i].fd, &w->keepalive);
	use_client_tls(w);
	pgr_secure_clear(&w->contexts);
}

/* One that has stopped or gets no CPU is alive, and accepts nobody. */
static bool
runs(const struct pgr_worker *w, const struct pgr_proc *proc)
{
	return pgr_proc_is(proc, PGR_LIFE_ALIVE) &&
		atomic_load_explicit(&proc->beat, memory_order_relaxed) + SILENT > w->now;
}

/*
 * Accepting is balanced: whoever has clearly more clients than the mean leaves it to the others, as far
 * as they run.
 */
static bool
should_accept(struct pgr_worker *w)
{
	uint32_t stopping = atomic_load(&w->shm->seg->stopping);
	uint64_t all = 0;
	uint32_t running = 0;
	uint64_t mine = 0;

	for (uint32_t k = 0; k < w->shm->seg->workers; k++) {
		struct pgr_proc *proc = pgr_shm_proc(w->shm, k);
		uint32_t n = atomic_load_explicit(&proc->clients, memory_order_relaxed);

		if (!runs(w, proc))
			continue;
		running++;
		all += n;
		if (k == w->self)
			mine = n;
	}
	if (stopping >= PGR_STOP_GRACEFUL || w->now < w->accept_after)
		return false;
	return running == 0 || mine * running * 10 <= all * 11 + 40 * running;
}

static void
set_accepting(struct pgr_worker *w, bool accepting)
{
	struct pgr_err err;

	if (w->accepting == accepting)
		return;
	for (uint32_t i = 0; i < w->listeners; i++) {
		if (!accepting)
			pgr_loop_remove(&w->loop, w->listener[i].fd);
		else if (pgr_loop_add_exclusive(&w->loop, w->listener[i].fd, &w->listener[i], &err) != PGR_OK)
			pgr_log(PGR_LOG_ERROR, "listener", "%s", err.message);
	}
	w->accepting = accepting;
}

static void
on_poke(struct pgr_worker *w)
{
	bool passed_over;
	uint64_t count;

	if (read(w->poke.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		pgr_log(PGR_LOG_ERROR, "poke", "cannot read the eventfd");
	passed_over = pgr_proc_poke_taken(w->shm, w->self);
	if (atomic_load(&w->shm->seg->generations.current) != w->version)
		use_config(w);
	pgr_login_on_poke(w);
	pgr_lease_on_poke(w);
	if (passed_over)
		pgr_lease_match_all(w);
	pgr_cancel_on_poke(w);
	if (atomic_exchange(&pgr_shm_proc(w->shm, w->self)->farewells, 0) != 0)
		pgr_home_part(w, false);
	if (w->dials_waiting > 0)
		pgr_dial_tick(w);
}

static void
serve(struct pgr_worker *w, const struct epoll_event *ev)
{
	struct pgr_watch *watch = ev->data.ptr;

	switch (watch->kind) {
	case PGR_WATCH_CLIENT:
		pgr_client_event(w, (struct pgr_client *)(void *)watch, ev->events);
		break;
	case PGR_WATCH_SERVER:
		pgr_server_event(w, (struct pgr_server *)(void *)watch, ev->events);
		break;
	case PGR_WATCH_HOME:
		pgr_home_event(w, watch, ev->events);
		break;
	case PGR_WATCH_POKE:
		on_poke(w);
		break;
	case PGR_WATCH_VAULT:
		pgr_server_on_vault(w);
		break;
	case PGR_WATCH_LISTENER:
		if (w->accepting) {
			PGR_CRASHPOINT("worker.accept.woken");
			pgr_client_accept(w, watch);
			set_accepting(w, should_accept(w));
		}
		break;
	case PGR_WATCH_CANCEL:
		pgr_cancel_event(w, watch);
		break;
	}
}

/*
 * EPOLLEXCLUSIVE wakes one worker for a new connection. Has that one died or stopped before it accepted,
 * then nobody else was told, and nothing tells that it was so: hence all look by themselves now and then.
 */
static void
accept_untold(struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->listeners && w->accepting; i++)
		pgr_client_accept(w, &w->listener[i]);
}

/* Legs that got what they waited for. */
static void
run_legs(struct pgr_worker *w)
{
	while (!pgr_list_empty(&w->runnable)) {
		struct pgr_leg *leg = PGR_LIST_ENTRY(w->runnable.next, struct pgr_leg, run);
		struct pgr_client *c = leg->client;

		pgr_list_remove(&leg->run);
		if (c->state == PGR_SESSION_GREET)
			pgr_login_resume(w, c);
		else
			pgr_front_resume(w, c);
	}
}

/* As if an event had told that it has more to read, or might have. */
static void
go_on(struct pgr_worker *w, struct pgr_watch *watch)
{
	struct pgr_client *c = (struct pgr_client *)(void *)watch;
	struct pgr_server *s = (struct pgr_server *)(void *)watch;

	pgr_list_remove(&watch->more);
	if (watch->kind == PGR_WATCH_SERVER)
		pgr_server_event(w, s, s->io.readable ? PGR_EV_READ : 0);
	else if (c->state == PGR_SESSION_READY)
		pgr_front_resume(w, c);
	else
		pgr_client_event(w, c, 0);
	run_legs(w);
}

static void
tick(struct pgr_worker *w)
{
	static pgr_usec next_second;

	pgr_lease_tick(w);
	pgr_dial_tick(w);
	pgr_client_tick(w);
	pgr_cancel_tick(w);
	pgr_console_order_tick(w);
	set_accepting(w, should_accept(w));
	accept_untold(w);
	if (atomic_load(&w->shm->seg->stopping) >= PGR_STOP_GRACEFUL)
		pgr_client_dismiss(w, atomic_load(&w->shm->seg->stopping) == PGR_STOP_FAST);
	atomic_store(&w->stats->suspects, pgr_panic_suspects());
	if (w->now >= next_second) {
		next_second = w->now + PGR_USEC_PER_SEC;
		pgr_server_sweep(w);
		if (w->config->admin_users.n + w->config->admin_stats_users.n > 0)
			pgr_average_tick(&w->average, w->shm->stats, w->now);
		pgr_home_part(w, false);
		pgr_log_flush();
	}
}

/* Anything that needs a closer look than once a second? */
static bool
busy(const struct pgr_worker *w)
{
	return w->waiting > 0 || w->dials_waiting > 0 || !pgr_list_empty(&w->cancels) ||
		!pgr_list_empty(&w->clients);
}

static int
timeout_ms(const struct pgr_worker *w)
{
	if (!pgr_list_empty(&w->runnable) || !pgr_list_empty(&w->yielded))
		return 0;
	if (w->next_tick <= w->now)
		return 0;
	return (int)((w->next_tick - w->now + 999) / 1000);
}

static void
turn(struct pgr_worker *w)
{
	int n = pgr_loop_wait(&w->loop, timeout_ms(w));
	struct pgr_list yielded;

	pgr_list_init(&yielded);
	if (!pgr_list_empty(&w->yielded))
		pgr_list_take(&yielded, &w->yielded);
	w->now = pgr_clock_now();
	atomic_store_explicit(
		&pgr_shm_proc(w->shm, w->self)->beat, w->now, memory_order_relaxed);
	pgr_stat_add(&w->stats->wakeups, 1);
	for (int i = 0; i < n; i++) {
		serve(w, &w->loop.event[i]);
		if (!pgr_list_empty(&w->runnable))
			run_legs(w);
	}
	while (!pgr_list_empty(&yielded))
		go_on(w, PGR_LIST_ENTRY(yielded.next, struct pgr_watch, more));
	if (w->now >= w->next_tick) {
		w->next_tick = w->now + (busy(w) ? TICK : IDLE_TICK);
		tick(w);
		run_legs(w);
	}
	if (!pgr_list_empty(&w->dead))
		pgr_client_bury(w);
}

static void
watch(struct pgr_worker *w, struct pgr_watch *watched, enum pgr_watch_kind kind, int fd)
{
	struct pgr_err err;

	watched->kind = kind;
	watched->fd = fd;
	PGR_ASSERT(pgr_loop_add(&w->loop, fd, PGR_EV_READ, watched, &err) == PGR_OK);
}

/* All that may be open, less what servers need while there are as many clients as can be. */
static int
limit_of_client_fds(void)
{
	struct rlimit limit;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	most = limit.rlim_cur;
	return (int)(most - PGR_MIN(PGR_MAX(most / 16, 16u), 256u));
}

static struct pgr_worker *
worker_new(struct pgr_shm *shm, uint32_t self, const int *listeners, uint32_t count, int vault)
{
	struct pgr_worker *w = calloc(1, sizeof(*w));
	struct pgr_err err;

	PGR_ASSERT(w != NULL);
	w->shm = shm;
	w->self = self;
	w->now = pgr_clock_now();
	w->client_fds = limit_of_client_fds();
	w->stats = &shm->stats->proc[self];
	w->buffer = malloc(PGR_BUFFER);
	w->spare = malloc(PGR_BUFFER);
	w->pool = calloc(PGR_POOLS_MAX, sizeof(*w->pool));
	w->server = calloc(PGR_SLOTS_MAX, sizeof(*w->server));
	w->free_recs = malloc(shm->seg->clients_per_worker * sizeof(*w->free_recs));
	w->statements = pgr_statements_new(&shm->seg->hash_key, self);
	w->readings = pgr_readings_new(&shm->seg->hash_key);
	PGR_ASSERT(w->buffer != NULL && w->spare != NULL && w->pool != NULL && w->server != NULL &&
		w->free_recs != NULL && w->statements != NULL && w->readings != NULL);
	pgr_settings_init(&shm->seg->hash_key);
	pgr_list_init(&w->clients);
	pgr_list_init(&w->dead);
	pgr_list_init(&w->runnable);
	pgr_list_init(&w->yielded);
	pgr_list_init(&w->cancels);
	pgr_list_init(&w->lifts);
	pgr_list_init(&w->dead_cancels);
	PGR_ASSERT(pgr_loop_open(&w->loop, &err) == PGR_OK);
	watch(w, &w->poke, PGR_WATCH_POKE, shm->eventfd[self]);
	watch(w, &w->vault, PGR_WATCH_VAULT, vault);
	for (uint32_t i = 0; i < count; i++)
		w->listener[i] = (struct pgr_watch){.kind = PGR_WATCH_LISTENER, .fd = listeners[i]};
	w->listeners = count;
	return w;
}

/* What a predecessor of this index has left behind and nobody else may clear. */
static void
clear_legacy(struct pgr_worker *w)
{
	struct pgr_proc *proc = pgr_shm_proc(w->shm, w->self);
	uint32_t top = pgr_shm_pools_used(w->shm);
	uint32_t first = w->self * w->shm->seg->clients_per_worker;

	atomic_store(&proc->clients, 0);
	atomic_store(&proc->consoles, 0);
	atomic_store(&proc->cancels, 0);
	atomic_store(&proc->farewells, 0);
	atomic_store(&proc->drained, 0);
	for (int i = 0; i < PGR_ASKS; i++)
		atomic_store(&proc->asks[i].state, PGR_ASK_NONE);
	for (uint32_t i = 0; i < atomic_load(&proc->records_used); i++) {
		struct pgr_client_rec *rec = pgr_shm_client(w->shm, (pgr_client_id){first + i});

		atomic_store(&rec->id, 0);
		atomic_store(&rec->cancel, 0);
		atomic_store(&rec->counted, 0);
		atomic_store(&rec->state, PGR_CLIENT_FREE);
	}
	for (uint32_t n = 0; n < top; n++) {
		struct pgr_stats_pool *stats = &w->stats->pool[n];

		atomic_store(&pgr_shm_pool(w->shm, (pgr_pool_id){n})->clients[w->self], 0);
		atomic_store(&stats->cl_active, 0);
		atomic_store(&stats->cl_idle, 0);
		atomic_store(&stats->cl_waiting, 0);
		atomic_store(&stats->oldest_wait, 0);
	}
}

/*
 * A successor touches no slot before the monitor has swept those of its predecessor; then it takes
 * over the index: want and mask bit first, mail to itself everywhere, ALIVE last.
 */
static void
come_alive(struct pgr_worker *w)
{
	struct pgr_proc *proc = pgr_shm_proc(w->shm, w->self);
	uint32_t top;

	while (!pgr_proc_is(proc, PGR_LIFE_SWEPT)) {
		struct epoll_event ev;

		(void)epoll_wait(w->loop.fd, &ev, 1, 1); /* the monitor pokes everybody after its sweep */
		atomic_store(&proc->beat, pgr_clock_now());
	}
	clear_legacy(w);
	top = pgr_shm_pools_used(w->shm);
	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *pool = pgr_shm_pool(w->shm, (pgr_pool_id){n});

		atomic_store(&pool->want[w->self], 0);
		atomic_fetch_and(&pool->mask, ~(UINT64_C(1) << w->self));
	}
	atomic_store(&proc->slow, 0);
	PGR_CRASHPOINT("worker.alive.cleared");
	w->home = pgr_slot_home(w->self, atomic_load(&proc->incarnation));
	pgr_proc_mail_all(w->shm, w->self);
	atomic_store(&proc->life, PGR_LIFE_ALIVE);
}

static bool
done(struct pgr_worker *w)
{
	uint32_t stopping = atomic_load(&w->shm->seg->stopping);

	return stopping >= PGR_STOP_GRACEFUL && pgr_list_empty(&w->clients);
}

/* Leases that nobody has any more are given back before the process goes. */
static bool
settled(struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->servers_top; i++)
		if (w->server[i] != NULL && w->server[i]->use != PGR_SERVER_PARKED)
			return false;
	return true;
}

/* Others may still have clients on connections whose TLS is ours. */
static bool
others_drained(const struct pgr_worker *w)
{
	for (uint32_t k = 0; k < w->shm->seg->workers; k++) {
		struct pgr_proc *proc = pgr_shm_proc(w->shm, k);

		if (k != w->self && pgr_proc_is(proc, PGR_LIFE_ALIVE) && atomic_load(&proc->drained) == 0)
			return false;
	}
	return true;
}

static void
leave(struct pgr_worker *w)
{
	atomic_store(&pgr_shm_proc(w->shm, w->self)->drained, 1);
	for (uint32_t k = 0; k < w->shm->seg->workers; k++)
		if (k != w->self)
			pgr_proc_poke(w->shm, k, false); /* it may have waited for us */
	while (pgr_home_any(w) && !others_drained(w))
		turn(w);
	pgr_home_part(w, true);
}

int
pgr_worker_run(struct pgr_shm *shm, uint32_t self, const int *listeners, uint32_t count, int vault)
{
	static struct pgr_worker *w; /* stays reachable: it ends with the process */

	w = worker_new(shm, self, listeners, count, vault);
	come_alive(w);
	pgr_server_on_vault(w); /* whatever woke us meanwhile was not looked at */
	use_config(w);
	w->now = pgr_clock_now();
	set_accepting(w, true);
	while (!done(w) || !settled(w))
		turn(w);
	leave(w);
	return 0;
}
