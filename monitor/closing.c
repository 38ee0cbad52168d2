/*
 * The end of server connections. A slot that is CLOSING gives its place back only after the true end
 * of its connection was read: the backend has gone by then. A busy one is cancelled first; then our
 * side is shut down and what still comes is thrown away. Idle ones are watched for the server's end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "monitor/monitor.h"
#include "net/fdpass.h"
#include "proto/wire.h"

#define CANCEL_CODE 80877102u
#define ASK_AGAIN (10 * PGR_USEC_PER_SEC)
#define FAREWELL_MOST PGR_USEC_PER_SEC /* for a home to say goodbye */

static struct pgr_watched *
watched_get(struct pgr_monitor *m, pgr_slot_id slot)
{
	struct pgr_watched *w = m->watched[slot.n];

	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		PGR_ASSERT(w != NULL);
		w->slot = slot;
		w->fd = -1;
		pgr_stream_init(&w->cancel, -1);
		m->watched[slot.n] = w;
		m->watched_top = PGR_MAX(m->watched_top, slot.n + 1);
	}
	return w;
}

static void
end_cancel(struct pgr_watched *w)
{
	if (w->cancel.fd >= 0)
		close(w->cancel.fd);
	pgr_stream_fini(&w->cancel);
}

static void
forget(struct pgr_monitor *m, struct pgr_watched *w)
{
	if (w->fd >= 0) {
		pgr_loop_remove(&m->loop, w->fd);
		close(w->fd);
	}
	end_cancel(w);
	w->fd = -1;
	w->asked = w->ending = w->overdue = w->cancel_sent = false;
	w->since = 0;
}

/* Has the descriptor of the slot's present connection, or has asked for it. */
static bool
fetch(struct pgr_monitor *m, struct pgr_watched *w)
{
	uint32_t conn = atomic_load(&pgr_shm_slot(m->shm, w->slot)->conn);
	struct pgr_note note = {.kind = PGR_NOTE_ASK, .slot = w->slot.n, .conn = conn};

	if (w->conn != conn) {
		forget(m, w);
		w->conn = conn;
	}
	if (w->fd >= 0)
		return true;
	if (!w->asked || m->now - w->asked_at > ASK_AGAIN) {
		w->asked = pgr_fdpass_send(m->master, &note, -1) == PGR_OK;
		w->asked_at = m->now;
	}
	return false;
}

void
pgr_closing_watch(struct pgr_monitor *m, pgr_slot_id slot)
{
	(void)fetch(m, watched_get(m, slot));
}

/* w: the word as it was seen when the reason was. */
static bool
begin_closing(struct pgr_monitor *m, pgr_slot_id id, pgr_word w, enum pgr_close_reason reason)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, id);

	if (!pgr_word_leasable(w) ||
		!atomic_compare_exchange_strong(&slot->word, &w,
			pgr_word_move(w, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE)))
		return false;
	PGR_CRASHPOINT("closing.begun");
	atomic_store(&slot->reason, reason);
	(void)pgr_closing_step(m, id);
	return true;
}

bool
pgr_closing_begin(struct pgr_monitor *m, pgr_slot_id id, enum pgr_close_reason reason)
{
	return begin_closing(m, id, atomic_load(&pgr_shm_slot(m->shm, id)->word), reason);
}

/* The connection has ended, or there never was one: the place is free again. */
static void
ended(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);
	pgr_pool_id pool = {atomic_load(&slot->pool) % PGR_POOLS_MAX};
	struct pgr_note note = {.kind = PGR_NOTE_DROP, .slot = w->slot.n, .conn = w->conn};
	uint32_t reason = atomic_load(&slot->reason);
	pgr_word word = atomic_load(&slot->word);
	bool barred = atomic_load(&pgr_shm_pool(m->shm, pool)->set.max_db_connections) != 0;

	forget(m, w);
	if (atomic_load(&slot->deposited) != 0)
		(void)!pgr_fdpass_send(m->master, &note, -1); /* a full queue: the vault drops it at reuse */
	atomic_store(&slot->deposited, 0);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->home, 0);
	atomic_store(&slot->tls, 0);
	atomic_store(&slot->uncancelable, 0);
	if (reason < PGR_COUNT_OF(m->shm->stats->directory[0].closes))
		pgr_stat_add(&m->shm->stats->directory[pool.n].closes[reason], 1);
	atomic_store(&slot->reason, PGR_CLOSE_SERVER);
	if (pgr_word_state(word) == PGR_SLOT_CLOSING)
		atomic_compare_exchange_strong(&slot->word, &word,
			pgr_word_move(word, barred ? PGR_SLOT_BARRED : PGR_SLOT_FREE, PGR_OWNER_NONE,
				PGR_PIN_NONE));
	PGR_CRASHPOINT("closing.freed");
	atomic_fetch_add(&pgr_shm_pool(m->shm, pool)->freed, 1);
}

/* Would a backend go on working behind our back? */
static bool
was_busy(uint32_t reason)
{
	return reason == PGR_CLOSE_OWNER || reason == PGR_CLOSE_DIRTY || reason == PGR_CLOSE_TIMEOUT;
}

static void
begin_cancel(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);
	const struct pgr_addr *addr = &pgr_shm_cold(m->shm, w->slot)->addr;
	struct pgr_err err;
	int fd;

	if (!was_busy(atomic_load(&slot->reason)) || atomic_load(&slot->uncancelable) != 0 ||
		atomic_load(&slot->pid) == 0)
		return;
	if (pgr_sock_connect(&addr->sock.any, PGR_MIN(addr->len, (uint32_t)sizeof(addr->sock)),
		    &m->keepalive, &fd, &err) == PGR_FAIL)
		return;
	pgr_stream_init(&w->cancel, fd);
	w->cancel.hangup = true; /* looked at by tick, not by event */
	w->cancel_secure = PGR_SECURE_ASK;
}

/* A key that was given under TLS goes out under TLS, or not at all. */
static enum pgr_rc
secure_cancel(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);
	struct pgr_pool *pool = pgr_shm_pool(m->shm, (pgr_pool_id){atomic_load(&slot->pool)});
	struct pgr_host *host = &m->shm->seg->host[pool->host % PGR_HOSTS_MAX];
	struct pgr_config_tls tls;
	struct ssl_ctx_st *ctx;
	struct pgr_err err;

	if (atomic_load(&slot->home) == 0 || w->cancel_secure == PGR_SECURE_DONE)
		return PGR_OK;
	pgr_config_database_tls(m->config, pool->database, &tls);
	ctx = pgr_secure_context(&m->contexts, &tls, m->secrets, &err);
	return ctx == NULL ? PGR_FAIL
			   : pgr_secure_step(&w->cancel_secure, &w->cancel, ctx, tls.mode, host->name, &err);
}

static enum pgr_rc
send_cancel(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot_cold *cold = pgr_shm_cold(m->shm, w->slot);
	uint32_t key_len = PGR_MIN(cold->key_len, (uint32_t)PGR_KEY_MAX);
	char packet[12 + PGR_KEY_MAX];

	if (w->cancel_sent)
		return PGR_OK;
	pgr_put32(packet, 12 + key_len);
	pgr_put32(packet + 4, CANCEL_CODE);
	pgr_put32(packet + 8, atomic_load(&pgr_shm_slot(m->shm, w->slot)->pid));
	memcpy(packet + 12, cold->key, key_len);
	w->cancel_sent = true;
	return pgr_stream_write(&w->cancel, packet, 12 + key_len);
}

/* Looked at on every tick: a cancel needs no haste here, only to be sent. */
static void
cancel_step(struct pgr_monitor *m, struct pgr_watched *w)
{
	enum pgr_rc rc;
	char byte;
	size_t n;

	if (w->cancel.fd < 0)
		return;
	rc = pgr_stream_drain(&w->cancel);
	if (rc == PGR_OK)
		rc = secure_cancel(m, w);
	if (rc == PGR_OK)
		rc = send_cancel(m, w);
	while (rc == PGR_OK)
		rc = pgr_stream_read(&w->cancel, &byte, sizeof(byte), &n);
	if (rc != PGR_AGAIN)
		end_cancel(w);
}

bool
pgr_closing_home_lives(struct pgr_monitor *m, const struct pgr_slot *slot)
{
	uint32_t home = atomic_load(&((struct pgr_slot *)(uintptr_t)slot)->home);
	struct pgr_proc *proc = pgr_shm_proc(m->shm, pgr_slot_home_index(home));

	return home == 0 || (pgr_proc_is(proc, PGR_LIFE_ALIVE) &&
		pgr_slot_home(pgr_slot_home_index(home), atomic_load(&proc->incarnation)) == home);
}

/* Under TLS only the home can say goodbye. */
static void
ask_home(struct pgr_monitor *m, const struct pgr_slot *slot)
{
	unsigned k = pgr_slot_home_index(atomic_load(&((struct pgr_slot *)(uintptr_t)slot)->home));

	if (!pgr_closing_home_lives(m, slot))
		return;
	atomic_store(&pgr_shm_proc(m->shm, k)->farewells, 1);
	pgr_proc_poke(m->shm, k, false);
}

/* Has our side ended? A home that has died or does not answer leaves a bare end to us. */
static bool
parted(struct pgr_monitor *m, const struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);

	if (atomic_load(&slot->home) == 0 || atomic_load(&slot->farewell) == w->conn)
		return true;
	if (pgr_closing_home_lives(m, slot) && m->now - w->since < FAREWELL_MOST)
		return false;
	shutdown(w->fd, SHUT_WR);
	return true;
}

/* Our goodbye; the server reads it when it comes to reading. */
static void
begin_end(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);
	char terminate[PGR_WIRE_HEADER];

	w->ending = true;
	begin_cancel(m, w);
	if (atomic_load(&slot->home) != 0) {
		ask_home(m, slot);
		return;
	}
	pgr_wire_bare(terminate, PGR_MSG_TERMINATE);
	(void)!send(w->fd, terminate, sizeof(terminate), MSG_NOSIGNAL);
	shutdown(w->fd, SHUT_WR);
}

static bool
drained(struct pgr_watched *w)
{
	char rubbish[16384];

	/* bounded: a server that goes on sending is read on at the next tick */
	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(w->fd, rubbish, sizeof(rubbish), 0);

		if (n == 0)
			return true;
		if (n < 0)
			return errno != EAGAIN && errno != EINTR;
	}
	return false;
}

static void
complain(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);

	if (w->overdue || m->now - w->since < m->config->close_timeout)
		return;
	w->overdue = true;
	pgr_log(PGR_LOG_WARN, "server.close_timeout", "backend %u has not ended within close_timeout; it "
		"keeps its place in the limit until it does", atomic_load(&slot->pid));
}

bool
pgr_closing_step(struct pgr_monitor *m, pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, id);
	struct pgr_watched *w = watched_get(m, id);

	if (w->since == 0)
		w->since = m->now;
	if (atomic_load(&slot->deposited) == 0) {
		w->conn = atomic_load(&slot->conn);
		ended(m, w);
		return true;
	}
	if (!fetch(m, w))
		return false;
	if (!w->ending)
		begin_end(m, w);
	cancel_step(m, w);
	complain(m, w);
	if (!parted(m, w) || !drained(w))
		return false;
	ended(m, w);
	return true;
}

/* A place may have become free: whoever waits for it is told. */
static void
step_and_attend(struct pgr_monitor *m, pgr_slot_id id)
{
	pgr_pool_id pool = {atomic_load(&pgr_shm_slot(m->shm, id)->pool) % PGR_POOLS_MAX};

	if (pgr_closing_step(m, id))
		pgr_places_attend(m, pool);
}

void
pgr_closing_event(struct pgr_monitor *m, struct pgr_watched *w)
{
	struct pgr_slot *slot = pgr_shm_slot(m->shm, w->slot);
	pgr_word word = atomic_load(&slot->word); /* before conn: a later one cannot have this word */

	if (w->fd < 0)
		return;
	if (pgr_word_state(word) == PGR_SLOT_CLOSING)
		step_and_attend(m, w->slot);
	else if (w->conn != atomic_load(&slot->conn))
		return; /* pgr_pool_renew: what has ended was replaced already */
	else if (begin_closing(m, w->slot, word, PGR_CLOSE_SERVER))
		pgr_places_attend(m, (pgr_pool_id){atomic_load(&slot->pool) % PGR_POOLS_MAX});
}

static void
took(struct pgr_monitor *m, struct pgr_watched *w, int fd)
{
	struct pgr_err err;

	w->fd = fd;
	/* data never wakes us; an end that came before does, at once */
	if (pgr_loop_add(&m->loop, fd, PGR_EV_HANGUP, w, &err) != PGR_OK)
		pgr_log(PGR_LOG_ERROR, "monitor.watch", "%s", err.message);
}

void
pgr_closing_on_vault(struct pgr_monitor *m)
{
	struct pgr_note note;
	enum pgr_rc rc;
	int fd;

	while ((rc = pgr_fdpass_receive(m->master, &note, &fd)) == PGR_OK) {
		struct pgr_watched *w = note.slot < PGR_SLOTS_MAX ? m->watched[note.slot] : NULL;
		struct pgr_slot *slot;

		if (note.kind == PGR_NOTE_LOG) {
			pgr_log_take(fd);
			continue;
		}
		if (w == NULL || w->conn != note.conn || w->fd >= 0) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		w->asked = false;
		slot = pgr_shm_slot(m->shm, w->slot);
		if (fd >= 0)
			took(m, w, fd);
		else if (atomic_load(&slot->conn) == w->conn)
			atomic_store(&slot->deposited, 0); /* nobody has it: nothing to end */
		if (pgr_word_state(atomic_load(&slot->word)) == PGR_SLOT_CLOSING)
			step_and_attend(m, w->slot);
	}
	if (rc == PGR_CLOSED)
		_exit(0); /* the master has gone, or wants us to */
}
