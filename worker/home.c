/*
 * The home of TLS connections to servers. Whose turn it is to speak is told by the slot's word alone:
 *
 *   LEASED by us        front.c and back.c use the connection (s->io, with TLS); the pair is silent
 *   LEASED by another   it has the other end of the pair; what it sends goes to the server, what the
 *                       server says goes to it, and the server's end becomes the end of the pair
 *   IDLE                what the server says unasked is looked at under a lease of our own
 *   anything else       nothing of the server is read
 *
 * What a lessee has sent is passed on in every state: it may have returned the slot behind bytes that
 * have no answer. Before we lease after somebody else, what lies in the pair is passed on first; bytes
 * that the last lessee has left unread mean that the server spoke unasked: then the connection is closed.
 * That nobody has leased in between shows in the generation of the word, so that a worker that uses its
 * own connections makes no system call for any of this.
 *
 * The true connection lies in the vault too, for the monitor: it watches its end, and reads to it when
 * all is over. When the home dies, the pair ends at once, and lessees with it.
 */
#include "worker/home.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/fdpass.h"
#include "worker/back.h"
#include "worker/lease.h"
#include "worker/server.h"

static bool
lend(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_note note = {.kind = PGR_NOTE_LEND, .slot = s->slot.n, .conn = s->conn};

	return pgr_fdpass_send(w->vault.fd, &note, s->home.lent) == PGR_OK;
}

static void
end_pair(struct pgr_worker *w, struct pgr_server *s)
{
	pgr_loop_remove(&w->loop, s->home.pair.fd);
	close(s->home.pair.fd);
	close(s->home.lent);
	pgr_stream_fini(&s->home.pair);
}

enum pgr_rc
pgr_home_begin(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return pgr_err_sys(err, "53000", "cannot create a socket pair");
	s->home = (struct pgr_home){.watch.kind = PGR_WATCH_HOME, .lent = pair[1]};
	pgr_stream_init(&s->home.pair, pair[0]);
	if (pgr_loop_add(&w->loop, pair[0], PGR_EV_READ | PGR_EV_WRITE | PGR_EV_HANGUP, &s->home.watch,
		    err) != PGR_OK) {
		end_pair(w, s);
		return PGR_FAIL;
	}
	if (!lend(w, s)) {
		end_pair(w, s);
		return pgr_err_set(err, "53000", "too many descriptors on their way to the master");
	}
	s->home.generation = pgr_word_generation(atomic_load(&slot->word));
	atomic_store(&slot->tls, pgr_tls_suite(&s->io));
	atomic_store(&slot->home, w->home);
	return PGR_OK;
}

/* What a lessee has sent, by at most that many reads. */
static void
pass_to_server(struct pgr_worker *w, struct pgr_server *s, unsigned most)
{
	struct pgr_stream *pair = &s->home.pair;
	enum pgr_rc rc = PGR_OK;
	size_t n;

	while (rc == PGR_OK && pair->readable && !pgr_stream_blocked(&s->io)) {
		if (most-- == 0) {
			pgr_worker_yield(w, &s->watch);
			return;
		}
		rc = pgr_stream_read(pair, w->spare, PGR_BUFFER, &n);
		if (rc == PGR_OK)
			rc = pgr_stream_write(&s->io, w->spare, n);
	}
}

/* What the server says, to the lessee; and its end, behind all that it said. */
static void
pass_to_lessee(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_stream *pair = &s->home.pair;
	unsigned left = PGR_TURN_READS;
	enum pgr_rc rc = PGR_OK;
	size_t n;

	while (rc == PGR_OK && s->io.readable && !pgr_stream_blocked(pair)) {
		if (left-- == 0) {
			pgr_worker_yield(w, &s->watch);
			return;
		}
		rc = pgr_stream_read(&s->io, w->spare, PGR_BUFFER, &n);
		if (rc != PGR_OK)
			break;
		s->home.passed = true;
		rc = pgr_stream_write(pair, w->spare, n);
	}
	/* a server that takes nothing more may have said why */
	s->home.ended = s->home.ended || rc == PGR_CLOSED || (s->io.broken && !s->io.readable);
	if (s->home.ended)
		pgr_stream_shut(pair);
}

/* Are both directions of the pair empty? What is still in it for the server is passed on. */
static bool
empty_pair(struct pgr_worker *w, struct pgr_server *s)
{
	char byte;

	s->home.pair.readable = true;
	pass_to_server(w, s, UINT_MAX);
	if (s->home.pair.readable || pgr_stream_blocked(&s->home.pair) || s->home.ended)
		return false;
	return recv(s->home.lent, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* The slot is LEASED by us: has anybody had it since our own last lease? */
static bool
take_over(struct pgr_worker *w, struct pgr_server *s)
{
	uint64_t generation = pgr_word_generation(atomic_load(&pgr_server_slot(w, s)->word));
	bool untouched = generation == s->home.generation + 1 && !s->home.passed;

	s->home.generation = generation;
	s->home.passed = false;
	return untouched || empty_pair(w, s);
}

static bool
alive(struct pgr_worker *w, uint32_t home)
{
	unsigned k = pgr_slot_home_index(home);
	struct pgr_proc *proc = pgr_shm_proc(w->shm, k);

	return k < w->shm->seg->workers && k != w->self && pgr_proc_is(proc, PGR_LIFE_ALIVE) &&
		pgr_slot_home(k, atomic_load(&proc->incarnation)) == home;
}

bool
pgr_home_enter(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);

	if (pgr_home_is_ours(s) && s->conn == atomic_load(&slot->conn))
		return take_over(w, s);
	pgr_stat_add(&w->stats->tls_lent, 1);
	return alive(w, atomic_load(&slot->home));
}

bool
pgr_home_died(struct pgr_worker *w, const struct pgr_server *s)
{
	struct pollfd p = {.fd = s->io.fd};

	return atomic_load(&pgr_server_slot(w, s)->home) != 0 && !pgr_home_is_ours(s) &&
		poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* The server said something while nobody asked: under a lease of our own it may be read. */
static void
inspect(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_wpool *pool = s->pool;

	if (!pgr_pool_take(&pool->view, s->slot, s->conn))
		return; /* somebody leases it at this moment, or ends it: it is passed on, or over */
	if (!take_over(w, s) || pgr_back_drain_idle(w, s) != PGR_OK) {
		pgr_lease_close(w, s, PGR_CLOSE_SERVER);
		return;
	}
	if (pgr_pool_return(&pool->view, s->slot, false) == PGR_RETURN_CLOSING)
		pgr_server_forget(w, s);
	if (pgr_pool_wanted(&pool->view))
		pgr_lease_match(w, pool);
}

void
pgr_home_run(struct pgr_worker *w, struct pgr_server *s)
{
	pgr_word word = atomic_load(&pgr_server_slot(w, s)->word);

	(void)pgr_stream_drain(&s->io);
	(void)pgr_stream_drain(&s->home.pair);
	pass_to_server(w, s, PGR_TURN_READS);
	if (pgr_word_state(word) == PGR_SLOT_LEASED && pgr_word_owner(word) != w->self)
		pass_to_lessee(w, s);
	else if (pgr_word_leasable(word) && s->io.readable)
		inspect(w, s);
}

void
pgr_home_event(struct pgr_worker *w, struct pgr_watch *watch, uint32_t events)
{
	struct pgr_server *s =
		(struct pgr_server *)(void *)((char *)watch - offsetof(struct pgr_server, home.watch));

	if (!pgr_home_is_ours(s))
		return;
	if ((events & ~(uint32_t)PGR_EV_WRITE) != 0)
		s->home.pair.readable = true;
	if (s->use == PGR_SERVER_PARKED)
		pgr_home_run(w, s);
}

static void
say_goodbye(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	char terminate[PGR_WIRE_HEADER];

	pgr_wire_bare(terminate, PGR_MSG_TERMINATE);
	(void)pgr_stream_write(&s->io, terminate, sizeof(terminate));
	pgr_tls_notify(&s->io);
	shutdown(s->io.fd, SHUT_WR); /* what is unsent now nobody has waited for */
	atomic_store(&slot->farewell, s->conn);
	pgr_proc_mail(w->shm, PGR_PROC_MONITOR, s->pool->view.id);
	pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
}

void
pgr_home_end(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->conn == atomic_load(&pgr_server_slot(w, s)->conn))
		say_goodbye(w, s);
	end_pair(w, s);
}

void
pgr_home_part(struct pgr_worker *w, bool all)
{
	for (uint32_t i = 0; i < w->servers_top; i++) {
		struct pgr_server *s = w->server[i];

		if (s == NULL || !pgr_home_is_ours(s) || s->use != PGR_SERVER_PARKED)
			continue;
		if (all || pgr_word_state(atomic_load(&pgr_server_slot(w, s)->word)) == PGR_SLOT_CLOSING)
			pgr_server_forget(w, s);
	}
}

bool
pgr_home_any(const struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->servers_top; i++)
		if (w->server[i] != NULL && pgr_home_is_ours(w->server[i]))
			return true;
	return false;
}
