/*
 * One struct pgr_server per slot that this worker has used. The connection belongs to the slot and to
 * whoever leases it; what lies here is this worker's duplicate of the descriptor, its registration
 * with epoll and the state of an exchange while the slot is leased by us. A registration stays when
 * the lease ends: steady use costs no epoll_ctl; a worker that is woken for a slot of others lets go.
 */
#include "worker/server.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/back.h"
#include "worker/console.h"
#include "worker/dial.h"
#include "worker/home.h"
#include "worker/lease.h"

struct pgr_server *
pgr_server_get(struct pgr_worker *w, pgr_slot_id slot, struct pgr_wpool *pool)
{
	struct pgr_server *s = w->server[slot.n];

	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return NULL;
		s->watch.kind = PGR_WATCH_SERVER;
		s->slot = slot;
		pgr_list_init(&s->watch.more);
		pgr_stream_init(&s->io, -1);
		pgr_stream_init(&s->home.pair, -1);
		pgr_replies_init(&s->replies);
		w->server[slot.n] = s;
		w->servers_top = PGR_MAX(w->servers_top, slot.n + 1);
	}
	s->pool = pool;
	return s;
}

enum pgr_rc
pgr_server_fetch(struct pgr_worker *w, struct pgr_server *s)
{
	uint32_t conn = atomic_load(&pgr_server_slot(w, s)->conn);
	struct pgr_note note = {.kind = PGR_NOTE_ASK,
		.slot = s->slot.n,
		.conn = conn,
		.lent = atomic_load_explicit(&pgr_server_slot(w, s)->home, memory_order_relaxed) != 0};

	if (s->io.fd >= 0 && s->conn == conn) {
		if (!s->registered)
			pgr_server_watch(w, s);
		return PGR_OK;
	}
	pgr_server_forget(w, s);
	s->conn = conn;
	pgr_stat_add(&w->stats->vault_asks, 1);
	/* a full queue: the tick asks again */
	(void)!pgr_fdpass_send(w->vault.fd, &note, -1);
	return PGR_AGAIN;
}

void
pgr_server_watch(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_err err;

	s->registered = pgr_loop_add(&w->loop, s->io.fd, PGR_EV_READ | PGR_EV_WRITE | PGR_EV_HANGUP,
				&s->watch, &err) == PGR_OK;
	if (!s->registered)
		pgr_log(PGR_LOG_ERROR, "server.watch", "%s", err.message);
}

enum pgr_rc
pgr_server_adopt(
	struct pgr_worker *w, struct pgr_server *s, int fd, uint32_t conn, struct pgr_err *err)
{
	pgr_server_forget(w, s);
	pgr_stream_init(&s->io, fd);
	s->conn = conn;
	pgr_server_watch(w, s);
	if (!s->registered) {
		pgr_stream_fini(&s->io);
		return pgr_err_set(err, "53000", "cannot watch a server connection");
	}
	return PGR_OK;
}

void
pgr_server_forget(struct pgr_worker *w, struct pgr_server *s)
{
	if (pgr_home_is_ours(s))
		pgr_home_end(w, s);
	if (s->registered)
		pgr_loop_remove(&w->loop, s->io.fd);
	s->registered = false;
	pgr_list_remove(&s->watch.more);
	if (s->io.fd >= 0)
		close(s->io.fd);
	pgr_stream_fini(&s->io);
	free(s->in);
	s->in = NULL;
	s->in_len = 0;
	s->skip = 0;
}

/*
 * An event on a connection that others use: stop watching it, and leave word in the slot when it is
 * idle, since what arrived must be read before anything is sent.
 */
static void
let_go(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	pgr_word word = atomic_load(&slot->word);

	if (s->conn != atomic_load(&slot->conn)) {
		pgr_server_forget(w, s);
		return;
	}
	pgr_loop_remove(&w->loop, s->io.fd);
	s->registered = false;
	while (pgr_word_state(word) == PGR_SLOT_IDLE && !pgr_word_dirty(word))
		if (atomic_compare_exchange_weak(&slot->word, &word, word | PGR_WORD_DIRTY))
			break;
}

void
pgr_server_event(struct pgr_worker *w, struct pgr_server *s, uint32_t events)
{
	if (s->io.fd < 0)
		return;
	if (s->use == PGR_SERVER_PARKED && !pgr_home_is_ours(s)) {
		/* the first edge after registering says only that it is writable */
		if ((events & ~(uint32_t)PGR_EV_WRITE) != 0)
			let_go(w, s);
		return;
	}
	if ((events & ~(uint32_t)PGR_EV_WRITE) != 0)
		s->io.readable = true;
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		s->io.hangup = true;
	if (s->use == PGR_SERVER_DIALING)
		pgr_dial_event(w, s);
	else if (s->use == PGR_SERVER_PARKED)
		pgr_home_run(w, s);
	else
		pgr_back_event(w, s);
}

/* The leg that waits for this descriptor may have gone; then the lease ends here. */
static void
fetched(struct pgr_worker *w, struct pgr_server *s, bool have)
{
	if (s->use != PGR_SERVER_LEASED || s->leg == NULL || s->leg->fetching.n != s->slot.n)
		return;
	pgr_lease_fetched(w, s, have);
}

void
pgr_server_on_vault(struct pgr_worker *w)
{
	struct pgr_note note;
	struct pgr_err err;
	int fd;

	while (pgr_fdpass_receive(w->vault.fd, &note, &fd) == PGR_OK) {
		struct pgr_server *s = note.slot < PGR_SLOTS_MAX ? w->server[note.slot] : NULL;
		bool have = note.kind == PGR_NOTE_HERE && fd >= 0;

		if (note.kind == PGR_NOTE_LOG) {
			pgr_log_take(fd);
			continue;
		}
		if (note.kind == PGR_NOTE_RESULT) {
			pgr_console_on_result(w);
			continue;
		}
		if (s == NULL || s->io.fd >= 0 || s->conn != note.conn ||
			(have && pgr_server_adopt(w, s, fd, note.conn, &err) != PGR_OK)) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		fetched(w, s, have);
	}
}

void
pgr_server_sweep(struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->servers_top; i++) {
		struct pgr_server *s = w->server[i];
		struct pgr_slot *slot;

		if (s == NULL || s->use != PGR_SERVER_PARKED)
			continue;
		slot = pgr_server_slot(w, s);
		if (s->io.fd >= 0 && (atomic_load(&slot->conn) != s->conn ||
					     atomic_load(&slot->deposited) == 0))
			pgr_server_forget(w, s);
	}
}
