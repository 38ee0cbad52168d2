/*
 * Cancels. The worker that serves a client is the one that cancels: it knows what its client runs. The
 * slot stays pinned until the server has closed the cancel connection, so the signal is delivered
 * before anybody else can lease the slot (docs/SHM.md; tests/model/pool.pml, "cancel"). A request that
 * arrives elsewhere sets a flag in the client's record and pokes.
 */
#include "worker/cancel.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/digest.h"
#include "worker/client.h"
#include "worker/console.h"
#include "worker/dial.h"
#include "worker/lease.h"
#include "worker/login.h"
#include "worker/server.h"

#define CANCEL_CODE 80877102u

/* Stages of a mark. */
enum { PGR_CANCEL_ASKED = 1, PGR_CANCEL_TAKEN = 2 };

struct pgr_cancel {
	struct pgr_watch watch; /* first: events point here; fd -1: it has ended */
	struct pgr_list all;    /* worker->cancels */
	struct pgr_wpool *pool;
	pgr_slot_id slot;
	uint64_t generation;
	pgr_client_id client; /* n UINT32_MAX: nobody waits for it */
	pgr_usec deadline;
	struct pgr_stream io;
	bool under_tls; /* as the connection whose query it cancels */
	enum pgr_secure_stage secure;
	bool sent;
	uint32_t len;
	char packet[12 + PGR_KEY_MAX];
};

/*
 * The mark in a client's record names the client: between the look at its key and the mark it may have
 * left, and the next one have got its record.
 */
static uint32_t
mark_of(uint64_t client_id, uint32_t stage)
{
	return (uint32_t)(client_id << 2) | stage;
}

static void
unmark(struct pgr_worker *w, pgr_client_id client)
{
	struct pgr_client_rec *rec = pgr_shm_client(w->shm, client);
	uint32_t canceler = atomic_load(&rec->canceler);

	atomic_store(&rec->cancel, 0);
	if (canceler < w->shm->seg->workers) {
		atomic_store(&pgr_shm_proc(w->shm, canceler)->cancels, 1);
		pgr_proc_poke(w->shm, canceler, false);
	}
}

/* pin: only a lease of ours with no cancel under way. Success proves that the key is its own. */
static bool
pin(struct pgr_worker *w, struct pgr_server *s, uint64_t *ret_generation)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	pgr_word word = atomic_load(&slot->word);

	if (!pgr_word_held_by(word, PGR_SLOT_LEASED, w->self))
		return false;
	*ret_generation = pgr_word_generation(word);
	if (pgr_word_pin(word) == PGR_PIN_POISON)
		return true; /* nobody leases it again: no stranger can be hit */
	return pgr_word_pin(word) == PGR_PIN_NONE &&
		atomic_compare_exchange_strong(
		&slot->word, &word, pgr_word_move(word, PGR_SLOT_LEASED, w->self, w->self + 1));
}

/* Only while the pin is ours and the lease the same; late: the signal may still come, so poison. */
static void
unpin(struct pgr_worker *w, struct pgr_cancel *cancel, bool late)
{
	struct pgr_slot *slot = pgr_shm_slot(w->shm, cancel->slot);
	pgr_word word = atomic_load(&slot->word);
	pgr_word next;

	do {
		if (pgr_word_pin(word) != w->self + 1 ||
			pgr_word_generation(word) != cancel->generation)
			return;
		if (!late)
			next = pgr_word_make(pgr_word_state(word), pgr_word_owner(word), PGR_PIN_NONE,
				       cancel->generation) | (word & PGR_WORD_DIRTY);
		else if (pgr_word_state(word) == PGR_SLOT_IDLE)
			next = pgr_word_move(word, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE);
		else
			next = pgr_word_make(pgr_word_state(word), pgr_word_owner(word), PGR_PIN_POISON,
				cancel->generation);
	} while (!atomic_compare_exchange_weak(&slot->word, &word, next));
	PGR_CRASHPOINT("cancel.unpinned");
	pgr_lease_match(w, cancel->pool);
}

static void
cancel_end(struct pgr_worker *w, struct pgr_cancel *cancel, bool late)
{
	if (cancel->watch.fd >= 0)
		close(cancel->watch.fd);
	pgr_stream_fini(&cancel->io);
	unpin(w, cancel, late);
	if (late) {
		pgr_proc_mail(w->shm, PGR_PROC_MONITOR, cancel->pool->view.id);
		pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
		pgr_log(PGR_LOG_WARN, "cancel.timeout", "a cancel was not delivered within cancel_timeout; "
			"its server connection is closed");
	}
	if (cancel->client.n != UINT32_MAX)
		unmark(w, cancel->client);
	pgr_list_remove(&cancel->all);
	/* freed at the end of the turn: an event may still point here */
	pgr_list_push(&w->dead_cancels, &cancel->all);
	cancel->watch.fd = -1;
}

static void
fill_packet(struct pgr_worker *w, struct pgr_server *s, struct pgr_cancel *cancel)
{
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);
	uint32_t key_len = PGR_MIN(cold->key_len, (uint32_t)PGR_KEY_MAX);

	cancel->len = 12 + key_len;
	pgr_put32(cancel->packet, cancel->len);
	pgr_put32(cancel->packet + 4, CANCEL_CODE);
	pgr_put32(cancel->packet + 8, atomic_load(&pgr_server_slot(w, s)->pid));
	memcpy(cancel->packet + 12, cold->key, key_len);
}

static void
begin_stream(struct pgr_cancel *cancel)
{
	pgr_stream_init(&cancel->io, cancel->watch.fd);
	cancel->io.hangup = true; /* read to the end, whatever events are still to come */
}

void
pgr_cancel_send(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *for_client)
{
	struct pgr_cancel *cancel = calloc(1, sizeof(*cancel));
	struct pgr_err err;

	if (cancel != NULL && pgr_server_cold(w, s)->key_len > 0 && pin(w, s, &cancel->generation)) {
		PGR_CRASHPOINT("cancel.pinned");
		cancel->watch.kind = PGR_WATCH_CANCEL;
		cancel->watch.fd = -1;
		pgr_stream_init(&cancel->io, -1);
		cancel->under_tls = atomic_load(&pgr_server_slot(w, s)->home) != 0;
		cancel->pool = s->pool;
		cancel->slot = s->slot;
		cancel->client.n = for_client != NULL ? for_client->rec.n : UINT32_MAX;
		cancel->deadline = w->now + w->config->cancel_timeout;
		fill_packet(w, s, cancel);
		pgr_list_push(&w->cancels, &cancel->all);
		pgr_stat_add(&s->pool->stats->cancels, 1);
		if (pgr_dial_connect(w, s, &cancel->watch.fd, &err) == PGR_FAIL ||
			pgr_loop_add(&w->loop, cancel->watch.fd,
				PGR_EV_READ | PGR_EV_WRITE | PGR_EV_HANGUP, &cancel->watch, &err) != PGR_OK)
			cancel_end(w, cancel, false);
		else
			begin_stream(cancel);
		return;
	}
	free(cancel);
	if (for_client != NULL)
		unmark(w, for_client->rec);
}

/* A key that was given under TLS does not go out in clear. */
static enum pgr_rc
secure(struct pgr_worker *w, struct pgr_cancel *cancel)
{
	struct pgr_err err;
	enum pgr_rc rc = pgr_dial_secure(w, cancel->pool, &cancel->io, &cancel->secure, &err);

	if (rc == PGR_CLOSED)
		rc = pgr_err_set(&err, "08006", "the server has no TLS any more");
	if (rc == PGR_FAIL)
		pgr_log(PGR_LOG_WARN, "cancel.tls", "a cancel was not sent: %s", err.message);
	return rc;
}

/* CLOSED: the server has sent the signal before it closed. */
static enum pgr_rc
await_end(struct pgr_cancel *cancel)
{
	char byte;
	size_t n;

	return pgr_stream_read(&cancel->io, &byte, sizeof(byte), &n);
}

void
pgr_cancel_event(struct pgr_worker *w, struct pgr_watch *watch)
{
	struct pgr_cancel *cancel = (struct pgr_cancel *)(void *)watch;
	enum pgr_rc rc = PGR_OK;

	if (cancel->watch.fd < 0)
		return;
	cancel->io.readable = true;
	if (pgr_stream_drain(&cancel->io) == PGR_AGAIN)
		return;
	if (cancel->under_tls && cancel->secure != PGR_SECURE_DONE)
		rc = secure(w, cancel);
	if (rc == PGR_OK && !cancel->sent) {
		rc = pgr_stream_write(&cancel->io, cancel->packet, cancel->len);
		cancel->sent = true;
	}
	while (rc == PGR_OK) /* whatever a server says here says nothing */
		rc = await_end(cancel);
	if (rc != PGR_AGAIN)
		cancel_end(w, cancel, false);
}

void
pgr_cancel_tick(struct pgr_worker *w)
{
	struct pgr_list *next;

	for (struct pgr_list *at = w->cancels.next; at != &w->cancels; at = next) {
		struct pgr_cancel *cancel = PGR_LIST_ENTRY(at, struct pgr_cancel, all);

		next = at->next;
		if (w->now >= cancel->deadline)
			cancel_end(w, cancel, true);
	}
	while (!pgr_list_empty(&w->dead_cancels)) {
		struct pgr_cancel *dead =
			PGR_LIST_ENTRY(w->dead_cancels.next, struct pgr_cancel, all);

		pgr_list_remove(&dead->all);
		free(dead);
	}
}

/* The id is read first: whoever gives the right key has had it from the client with that id. */
static bool
has_key(struct pgr_client_rec *rec, uint32_t pid, const uint8_t *key, size_t len, uint64_t *ret_id)
{
	*ret_id = atomic_load(&rec->id);
	return atomic_load(&rec->state) >= PGR_CLIENT_IDLE && rec->pid == pid && rec->key_len == len &&
		len <= PGR_CLIENT_KEY && pgr_digest_equal(rec->key, key, len);
}

/* A pid of ours is the number of the client's record plus 1; that of a session mode client is its server's. */
static bool
find_client(struct pgr_worker *w, uint32_t pid, const uint8_t *key, size_t len, pgr_client_id *ret,
	uint64_t *ret_id)
{
	uint32_t per = w->shm->seg->clients_per_worker;

	ret->n = pid - 1;
	if (pid != 0 && ret->n / per < w->shm->seg->workers &&
		has_key(pgr_shm_client(w->shm, *ret), pid, key, len, ret_id))
		return true;
	for (uint32_t k = 0; k < w->shm->seg->workers; k++) {
		uint32_t used = PGR_MIN(atomic_load(&pgr_shm_proc(w->shm, k)->records_used), per);

		for (ret->n = k * per; ret->n < k * per + used; ret->n++)
			if (has_key(pgr_shm_client(w->shm, *ret), pid, key, len, ret_id))
				return true;
	}
	return false;
}

bool
pgr_cancel_request(struct pgr_worker *w, uint32_t pid, const uint8_t *key, size_t len,
	pgr_client_id *ret_client)
{
	struct pgr_client_rec *rec;
	uint32_t worker;
	uint64_t id;

	if (!find_client(w, pid, key, len, ret_client, &id))
		return false;
	PGR_CRASHPOINT("cancel.found");
	worker = ret_client->n / w->shm->seg->clients_per_worker;
	rec = pgr_shm_client(w->shm, *ret_client);
	atomic_store(&rec->canceler, w->self);
	atomic_store(&rec->cancel, mark_of(id, PGR_CANCEL_ASKED));
	atomic_store(&pgr_shm_proc(w->shm, worker)->cancels, 1);
	if (worker == w->self)
		pgr_cancel_on_poke(w);
	else
		pgr_proc_poke(w->shm, worker, false);
	return true;
}

void
pgr_cancel_client(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_err err;

	c->canceling = s != NULL && pgr_server_is_being_set_up(s) && !c->leg.judging;
	if (c->canceling)
		return;
	if (pgr_leg_waits(&c->leg) || c->leg.judging) { /* it was not sent yet */
		unmark(w, c->rec);
		pgr_err_set(&err, "57014", "canceling statement due to user request");
		if (!c->leg.judging)
			pgr_lease_give_up(w, &c->leg);
		pgr_client_no_server(w, c, &err);
	} else if (s != NULL && s->replies.count > 0 && !c->leg.held) { /* held: all of it was done */
		pgr_cancel_send(w, s, c);
	} else {
		unmark(w, c->rec);
	}
}

void
pgr_cancel_on_poke(struct pgr_worker *w)
{
	struct pgr_list *next;

	if (atomic_exchange(&pgr_shm_proc(w->shm, w->self)->cancels, 0) == 0)
		return;
	for (struct pgr_list *at = w->clients.next; at != &w->clients; at = pgr_client_walk(w, next)) {
		struct pgr_client *c = PGR_LIST_ENTRY(at, struct pgr_client, all);
		struct pgr_client_rec *rec = pgr_client_rec(w, c);
		uint64_t id = atomic_load(&rec->id);
		uint32_t mark = atomic_load(&rec->cancel);
		bool asked = mark == mark_of(id, PGR_CANCEL_ASKED);

		next = at->next;
		if (mark != 0 && !asked && mark != mark_of(id, PGR_CANCEL_TAKEN))
			unmark(w, c->rec); /* it was for the client before */
		if (asked && c->state == PGR_SESSION_READY) {
			atomic_store(&rec->cancel, mark_of(id, PGR_CANCEL_TAKEN)); /* not twice */
			pgr_cancel_client(w, c);
		} else if (asked && c->state == PGR_SESSION_CONSOLE) {
			unmark(w, c->rec);
			pgr_console_cancel(w, c);
		} else if (c->state == PGR_SESSION_CANCEL) {
			pgr_login_poll(w, c); /* it waits for the end of the cancel, which may be now */
		}
	}
}
