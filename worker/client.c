/*
 * The life of a client session: accept, events, time limits, the end. What it says is read by login.c
 * until it is logged in and by front.c from then on. A client that ends is unlinked at once and freed
 * at the end of the turn, since events of the same turn may still point to it.
 */
#include "worker/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/back.h"
#include "worker/console.h"
#include "worker/front.h"
#include "worker/lease.h"
#include "worker/login.h"
#include "worker/portal.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/settle.h"
#include "worker/statement.h"

#define ACCEPT_BATCH 32u
#define LINGER (2 * PGR_USEC_PER_SEC) /* for the peer to read our last words */

static bool
take_rec(struct pgr_worker *w, pgr_client_id *ret)
{
	uint32_t per = w->shm->seg->clients_per_worker;

	if (w->free_rec_count > 0)
		ret->n = w->free_recs[--w->free_rec_count];
	else if (w->next_rec < per)
		ret->n = w->self * per + w->next_rec++;
	else
		return false;
	atomic_store(&pgr_shm_proc(w->shm, w->self)->records_used, w->next_rec);
	return true;
}

static struct pgr_client *
client_new(struct pgr_worker *w, int fd)
{
	struct pgr_client *c = calloc(1, sizeof(*c));

	if (c == NULL || !take_rec(w, &c->rec)) {
		free(c);
		return NULL;
	}
	c->watch.kind = PGR_WATCH_CLIENT;
	c->state = PGR_SESSION_STARTUP;
	pgr_list_init(&c->watch.more);
	pgr_stream_init(&c->io, fd);
	c->leg.client = c;
	c->leg.fetching = PGR_NO_SLOT;
	pgr_list_init(&c->leg.wait);
	pgr_list_init(&c->leg.run);
	pgr_track_init(&c->track, pgr_settings_empty());
	c->settings = pgr_settings_empty();
	c->sure = pgr_settings_empty();
	c->since = w->now;
	pgr_list_push(&w->clients, &c->all);
	return c;
}

static void
fill_rec(struct pgr_worker *w, struct pgr_client *c, const uint8_t addr[16], uint16_t port)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);

	rec->pid = c->rec.n + 1;
	rec->key_len = 0;
	rec->pinned = 0;
	atomic_store(&rec->tls, 0);
	rec->port = port;
	rec->connected = pgr_clock_wall();
	memcpy(rec->addr, addr, 16);
	rec->user[0] = rec->application[0] = '\0';
	atomic_store(&rec->cancel, 0);
	atomic_store(&rec->pool, PGR_NO_POOL.n);
	atomic_store(&rec->slot, 0);
	atomic_store(&rec->since, w->now);
	atomic_store(&rec->id, atomic_fetch_add(&w->shm->seg->next_id, 1) + 1);
	atomic_store_explicit(&rec->state, PGR_CLIENT_LOGIN, memory_order_release);
}

static void
count_clients(struct pgr_worker *w, int change)
{
	struct pgr_proc *proc = pgr_shm_proc(w->shm, w->self);

	atomic_store(&proc->clients, atomic_load(&proc->clients) + (uint32_t)change);
}

static void
begin(struct pgr_worker *w, int fd, const uint8_t addr[16], uint16_t port)
{
	struct pgr_client *c = client_new(w, fd);
	struct pgr_err err;

	if (c == NULL) {
		close(fd);
		return;
	}
	fill_rec(w, c, addr, port);
	count_clients(w, 1);
	pgr_stat_add(&w->stats->accepted, 1);
	if (pgr_loop_add(&w->loop, fd, PGR_EV_READ | PGR_EV_WRITE | PGR_EV_HANGUP, &c->watch, &err) !=
		PGR_OK) {
		pgr_log(PGR_LOG_ERROR, "client.watch", "%s", err.message);
		pgr_client_drop(w, c);
		return;
	}
	/* clients speak first: most often it is there already, and no wake-up is needed for it */
	c->io.readable = true;
	pgr_client_event(w, c, 0);
}

/*
 * How many to take at once. Mostly they come one at a time, and to look for another that is not there
 * costs a good part of taking it: the loop tells when there are more. A crowd is one that is there for
 * turns on end.
 */
static unsigned
accept_most(struct pgr_worker *w)
{
	uint64_t turn = atomic_load_explicit(&w->stats->wakeups, memory_order_relaxed);

	if (turn - w->accept_turn > 1)
		w->accept_most = 1;
	else if (turn != w->accept_turn)
		w->accept_most = PGR_MIN(2 * w->accept_most + 1, ACCEPT_BATCH);
	w->accept_turn = turn;
	return w->accept_most;
}

void
pgr_client_accept(struct pgr_worker *w, struct pgr_watch *listener)
{
	unsigned most = accept_most(w);

	for (unsigned i = 0; i < most; i++) {
		uint8_t addr[16];
		uint16_t port;
		struct pgr_err err;
		enum pgr_rc rc;
		int fd;

		rc = pgr_sock_accept(listener->fd, &fd, addr, &port, &err);
		if (rc == PGR_FAIL && err.sys_errno == EINVAL)
			return; /* the master has shut it: pgroute is stopping */
		if (rc == PGR_FAIL) {
			/* out of descriptors or memory: rest a moment instead of spinning on the listener */
			pgr_log(PGR_LOG_ERROR, "client.accept", "%s", err.message);
			w->accept_after = w->now + PGR_USEC_PER_SEC / 2;
		}
		if (rc != PGR_OK)
			return;
		begin(w, fd, addr, port);
	}
}

/* Clients in a state are counted there; for the states that are not counted in what nobody reads. */
static _Atomic uint64_t *
gauge(struct pgr_stats_pool *stats, uint32_t state)
{
	static _Atomic uint64_t nobodys;

	return state == PGR_CLIENT_ACTIVE ? &stats->cl_active
		: state == PGR_CLIENT_WAITING ? &stats->cl_waiting
		: state == PGR_CLIENT_IDLE ? &stats->cl_idle : &nobodys;
}

void
pgr_client_mark(struct pgr_worker *w, struct pgr_client *c, enum pgr_client_state state)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);
	struct pgr_wpool *pool = c->leg.pool;

	if (pool != NULL) {
		pgr_stat_add(gauge(pool->stats, atomic_load_explicit(&rec->state, memory_order_relaxed)),
			(uint64_t)-1);
		pgr_stat_add(gauge(pool->stats, state), 1);
	}
	atomic_store_explicit(&rec->slot, c->leg.server != NULL ? c->leg.server->slot.n + 1 : 0,
		memory_order_relaxed);
	atomic_store_explicit(&rec->since, w->now, memory_order_relaxed);
	atomic_store_explicit(&rec->state, state, memory_order_release);
}

void
pgr_client_tell_name(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);
	const char *name = pgr_settings_value(c->settings, "application_name");

	snprintf(rec->application, sizeof(rec->application), "%s", name != NULL ? name : "");
}

void
pgr_client_forget_settings(struct pgr_client *c)
{
	pgr_settings_unref(c->settings);
	pgr_settings_unref(c->sure);
	c->settings = pgr_settings_empty();
	c->sure = pgr_settings_empty();
	pgr_track_fini(&c->track);
	pgr_track_init(&c->track, pgr_settings_empty());
}

void
pgr_client_pin(struct pgr_worker *w, struct pgr_client *c, enum pgr_pin pin, bool stays)
{
	c->pin_stays = c->pin_stays || stays;
	if (c->pin != PGR_PIN_NONE_REASON)
		return;
	c->pin = (uint8_t)pin;
	pgr_settings_unknown(pgr_server_slot(w, c->leg.server));
	pgr_client_rec(w, c)->pinned = (uint8_t)pin;
	pgr_stat_add(&c->leg.pool->stats->pins, 1);
	pgr_log(PGR_LOG_DEBUG, "client.pinned", "client %u of database \"%s\": %s", c->rec.n + 1,
		c->leg.pool->view.pool->database, pgr_pin_text(pin));
}

void
pgr_client_unpin(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->pin == PGR_PIN_SESSION_REASON)
		return;
	c->pin = PGR_PIN_NONE_REASON;
	c->pin_stays = false;
	pgr_client_rec(w, c)->pinned = PGR_PIN_NONE_REASON;
}

void
pgr_client_cycle_done(struct pgr_worker *w, struct pgr_client *c, char status)
{
	struct pgr_stats_pool *stats = c->leg.pool->stats;
	pgr_usec took = c->query_start != 0 ? w->now - c->query_start : 0;

	c->since = w->now;
	c->query_start = 0;
	pgr_stat_add(&stats->query_time, took);
	pgr_histogram_add(&w->stats->query, took);
	if (status != PGR_TXN_IDLE)
		return;
	took = c->xact_start != 0 ? w->now - c->xact_start : 0;
	c->xact_start = 0;
	pgr_stat_add(&stats->xact_count, 1);
	pgr_stat_add(&stats->xact_time, took);
	pgr_histogram_add(&w->stats->xact, took);
}

void
pgr_client_error(struct pgr_vec *vec, enum pgr_severity severity, const struct pgr_err *err)
{
	char text[PGR_ERROR_MOST];
	struct pgr_out out;

	pgr_out_init(&out, text, sizeof(text));
	pgr_error_write(&out, severity, err);
	memcpy(pgr_vec_room(vec, out.len), text, out.len);
}

void
pgr_client_no_server(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err)
{
	if (c->state != PGR_SESSION_READY) {
		pgr_client_fatal(w, c, err);
		return;
	}
	pgr_client_error(&w->back, PGR_SEVERITY_ERROR, err);
	pgr_front_fail_request(w, c);
}

/* With log.connections: who has logged in and leaves. */
static void
log_end(struct pgr_worker *w, const struct pgr_client *c)
{
	const struct pgr_client_rec *rec = pgr_client_rec(w, c);

	if (c->state != PGR_SESSION_READY || !w->config->log_connections || c->leg.pool == NULL)
		return;
	pgr_log(PGR_LOG_INFO, "client.end", "user \"%s\", database \"%s\", after %llu s", rec->user,
		c->leg.pool->view.pool->database,
		(unsigned long long)((pgr_clock_wall() - rec->connected) / PGR_USEC_PER_SEC));
}

/* The leg lets go of whatever it has or waits for. */
static void
leave_server(struct pgr_worker *w, struct pgr_client *c, bool vanished)
{
	if (c->leg.pool == NULL)
		return;
	if (pgr_leg_waits(&c->leg))
		pgr_lease_give_up(w, &c->leg);
	else if (c->leg.server != NULL)
		pgr_settle_begin(w, c->leg.server, vanished);
	pgr_list_remove(&c->leg.run);
}

static void
leave_pool(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);
	struct pgr_wpool *pool = c->leg.pool;

	pgr_client_mark(w, c, PGR_CLIENT_FREE);
	atomic_store(&rec->id, 0);
	atomic_store(&rec->counted, 0);
	if (pool == NULL)
		return;
	pool->clients--;
	atomic_store(&pool->view.pool->clients[w->self], pool->clients);
	c->leg.pool = NULL;
}

void
pgr_client_drop(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->state == PGR_SESSION_DEAD)
		return;
	log_end(w, c);
	pgr_console_free(w, c);
	leave_server(w, c, c->state == PGR_SESSION_READY);
	leave_pool(w, c);
	c->state = PGR_SESSION_DEAD;
	close(c->io.fd);
	pgr_stream_fini(&c->io);
	pgr_list_remove(&c->all);
	pgr_list_push(&w->dead, &c->all);
	count_clients(w, -1);
}

void
pgr_client_finish(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->state == PGR_SESSION_CLOSING || c->state == PGR_SESSION_DEAD)
		return;
	log_end(w, c);
	pgr_console_free(w, c);
	leave_server(w, c, c->state == PGR_SESSION_READY && !c->leaving);
	atomic_store(&pgr_client_rec(w, c)->counted, 0); /* while it lingers it is nobody's session */
	c->state = PGR_SESSION_CLOSING;
	c->since = w->now;
	c->in_len = 0;
	/* who has said goodbye reads no last words */
	if (c->io.broken || c->gone || (c->leaving && !pgr_stream_blocked(&c->io))) {
		pgr_client_drop(w, c);
		return;
	}
	/* closing with unread input would reset the connection and lose our last words */
	pgr_stream_shut(&c->io);
	c->io.readable = true;
	pgr_client_event(w, c, 0);
}

void
pgr_client_fatal(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err)
{
	if (c->state == PGR_SESSION_CLOSING || c->state == PGR_SESSION_DEAD)
		return;
	pgr_client_error(&w->back, PGR_SEVERITY_FATAL, err);
	(void)pgr_stream_send(&c->io, &w->back);
	pgr_client_finish(w, c);
}

static void
closing_event(struct pgr_worker *w, struct pgr_client *c)
{
	enum pgr_rc rc = PGR_OK;
	size_t n;

	if (pgr_stream_blocked(&c->io)) {
		rc = pgr_stream_drain(&c->io);
		if (rc == PGR_OK)
			pgr_stream_shut(&c->io);
	}
	for (unsigned i = 0; i < PGR_TURN_READS && rc != PGR_CLOSED && c->io.readable; i++)
		rc = pgr_stream_read(&c->io, w->buffer, PGR_BUFFER, &n);
	if (rc == PGR_CLOSED)
		pgr_client_drop(w, c);
	else if (c->io.readable)
		pgr_worker_yield(w, &c->watch);
}

void
pgr_client_event(struct pgr_worker *w, struct pgr_client *c, uint32_t events)
{
	if ((events & ~(uint32_t)PGR_EV_WRITE) != 0)
		c->io.readable = true;
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		c->io.hangup = true;
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		c->io.broken = true; /* reset: what it has sent may still be read */
	switch (c->state) {
	case PGR_SESSION_STARTUP:
	case PGR_SESSION_SHAKING:
	case PGR_SESSION_AUTH:
		pgr_login_event(w, c);
		break;
	case PGR_SESSION_POOL:
	case PGR_SESSION_GREET:
	case PGR_SESSION_CANCEL:
		if (c->io.hangup)
			pgr_client_drop(w, c);
		break;
	case PGR_SESSION_READY:
		pgr_front_event(w, c, events);
		break;
	case PGR_SESSION_CONSOLE:
		pgr_console_event(w, c);
		break;
	case PGR_SESSION_CLOSING:
		closing_event(w, c);
		break;
	case PGR_SESSION_DEAD:
		break;
	}
}

static void
expire(struct pgr_worker *w, struct pgr_client *c, const char *sqlstate, const char *what)
{
	struct pgr_err err;

	pgr_err_set(&err, sqlstate, "terminating connection due to %s", what);
	pgr_client_fatal(w, c, &err);
}

static bool
passed(pgr_usec now, pgr_usec since, const _Atomic uint64_t *limit)
{
	uint64_t most = atomic_load_explicit((_Atomic uint64_t *)limit, memory_order_relaxed);

	return most != 0 && since != 0 && now - since >= most;
}

/* KILL has been said since it joined its pool. True: it ends. */
static bool
killed(struct pgr_worker *w, struct pgr_client *c)
{
	if (atomic_load_explicit(&c->leg.pool->view.pool->kills, memory_order_relaxed) == c->kills)
		return false;
	expire(w, c, "57P01", "administrator command");
	return true;
}

static void
check_ready(struct pgr_worker *w, struct pgr_client *c)
{
	const struct pgr_pool *pool = c->leg.pool->view.pool;
	const struct pgr_server *s = c->leg.server;
	bool open = s != NULL && s->status != PGR_TXN_IDLE && s->replies.count == 0;

	if (killed(w, c))
		return;
	if (c->query_start != 0 && s != NULL && passed(w->now, c->query_start, &pool->set.query_timeout))
		expire(w, c, "57014", "query_timeout");
	else if (s != NULL && passed(w->now, c->xact_start, &pool->set.transaction_timeout))
		expire(w, c, "25P04", "transaction_timeout");
	else if (open && passed(w->now, c->since, &pool->set.idle_transaction_timeout))
		expire(w, c, "25P03", "idle_transaction_timeout");
	else if (!open && c->query_start == 0 &&
		passed(w->now, c->since, &pool->set.client_idle_timeout))
		expire(w, c, "57P05", "client_idle_timeout");
	else if (atomic_load_explicit(&pool->state, memory_order_relaxed) == PGR_POOL_DRAINING &&
		s == NULL && !pgr_leg_waits(&c->leg))
		expire(w, c, "57P01", "removal of its database or user from the configuration");
	else
		(void)pgr_front_check_peer(w, c); /* its last event may have come before its input had to wait */
}

static void
check(struct pgr_worker *w, struct pgr_client *c)
{
	pgr_usec login = w->config->client_login_timeout;

	switch (c->state) {
	case PGR_SESSION_STARTUP:
	case PGR_SESSION_SHAKING:
	case PGR_SESSION_AUTH:
		if (login != 0 && w->now - c->since >= login) {
			/* not a word to a peer that has not said one: it is a probe */
			if (c->state != PGR_SESSION_AUTH)
				pgr_client_drop(w, c);
			else
				expire(w, c, "57P01", "client_login_timeout");
		}
		break;
	case PGR_SESSION_POOL:
		pgr_login_poll(w, c);
		break;
	case PGR_SESSION_READY:
		check_ready(w, c);
		break;
	case PGR_SESSION_CONSOLE:
		pgr_console_poll(w, c);
		break;
	case PGR_SESSION_CANCEL:
		pgr_login_poll(w, c);
		break;
	case PGR_SESSION_CLOSING:
		if (w->now - c->since >= LINGER)
			pgr_client_drop(w, c);
		break;
	case PGR_SESSION_GREET:
		(void)killed(w, c);
		break;
	case PGR_SESSION_DEAD:
		break;
	}
}

struct pgr_list *
pgr_client_walk(struct pgr_worker *w, struct pgr_list *next)
{
	if (next != &w->clients &&
		PGR_LIST_ENTRY(next, struct pgr_client, all)->state == PGR_SESSION_DEAD)
		return w->clients.next;
	return next;
}

void
pgr_client_tick(struct pgr_worker *w)
{
	struct pgr_list *next;

	for (struct pgr_list *at = w->clients.next; at != &w->clients; at = pgr_client_walk(w, next)) {
		next = at->next;
		check(w, PGR_LIST_ENTRY(at, struct pgr_client, all));
	}
}

/* Nobody is left but who watches from the console. */
static bool
only_consoles(struct pgr_worker *w)
{
	uint64_t others = 0;

	for (uint32_t k = 0; k < w->shm->seg->workers; k++) {
		struct pgr_proc *proc = pgr_shm_proc(w->shm, k);
		uint32_t consoles = atomic_load(&proc->consoles);

		if (pgr_proc_is(proc, PGR_LIFE_ALIVE))
			others += atomic_load(&proc->clients) - PGR_MIN(consoles, atomic_load(&proc->clients));
	}
	return others == 0;
}

void
pgr_client_dismiss(struct pgr_worker *w, bool fast)
{
	bool consoles = fast || only_consoles(w);
	struct pgr_list *next;
	struct pgr_err err;

	pgr_err_set(&err, "57P01", "terminating connection due to administrator command");
	for (struct pgr_list *at = w->clients.next; at != &w->clients; at = pgr_client_walk(w, next)) {
		struct pgr_client *c = PGR_LIST_ENTRY(at, struct pgr_client, all);
		bool between = c->state < PGR_SESSION_READY || (c->state == PGR_SESSION_READY &&
			c->leg.server == NULL && !pgr_leg_waits(&c->leg) && c->in_len == 0);

		next = at->next;
		if (c->state == PGR_SESSION_CONSOLE ? consoles : fast || between)
			pgr_client_fatal(w, c, &err);
	}
}

static void
client_free(struct pgr_worker *w, struct pgr_client *c)
{
	if (w->free_recs != NULL)
		w->free_recs[w->free_rec_count++] = c->rec.n;
	pgr_login_free(w, c);
	pgr_names_clear(w->statements, &c->names);
	pgr_named_unref(w->statements, c->portal);
	pgr_statement_unref(w->statements, c->unnamed);
	pgr_track_fini(&c->track);
	pgr_settings_unref(c->settings);
	pgr_settings_unref(c->sure);
	pgr_settings_unref(c->told);
	pgr_settings_unref(c->restore);
	pgr_settings_unref(c->put_back);
	pgr_portal_clear(c);
	free(c->in);
	free(c);
}

void
pgr_client_bury(struct pgr_worker *w)
{
	while (!pgr_list_empty(&w->dead)) {
		struct pgr_client *c = PGR_LIST_ENTRY(w->dead.next, struct pgr_client, all);

		pgr_list_remove(&c->all);
		pgr_list_remove(&c->watch.more);
		client_free(w, c);
	}
}
