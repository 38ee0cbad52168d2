/*
 * The way from client to server. Reads what the client sent, decides message by message whether a
 * server is needed, leases one, notes in the server's queue what it will owe, and forwards. Names of
 * prepared statements are replaced on the way; all else goes on byte by byte, large messages in
 * pieces. Called by client.c (events) and whenever something that the input waited for has come.
 *
 * What is read is used from the worker's buffer; what cannot be used yet is copied to c->in.
 */
#include "worker/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/error.h"
#include "worker/back.h"
#include "worker/catalog.h"
#include "worker/client.h"
#include "worker/effect.h"
#include "worker/lease.h"
#include "worker/portal.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/statement.h"

#define OWED_MOST (1u << 20)  /* unsent answers at which a client is not read any more */
#define PARSE_MOST (64u << 20) /* text of a prepared statement that is kept */
#define EVICT_MOST 4           /* statements that are closed for one new one */
#define ALONE_MOST 16          /* messages of a batch that is answered without a server */

/* What became of the message at hand. */
enum feed {
	FEED_NEXT, /* used; go on behind it */
	FEED_MORE, /* incomplete: c->in_need bytes must be there */
	FEED_WAIT, /* needs what is not there yet: a server, room, an answer */
	FEED_END,  /* the client is at its end */
};

static enum feed
fail_session(struct pgr_worker *w, struct pgr_client *c, const char *sqlstate, const char *what)
{
	struct pgr_err err;

	pgr_err_set(&err, sqlstate, "%s", what);
	pgr_client_error(&w->back, PGR_SEVERITY_FATAL, &err);
	return FEED_END;
}

/* forget: what currval() and lastval() would answer is another client's. */
static void
apply_settings(struct pgr_worker *w, struct pgr_client *c, bool forget)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_slot *slot = pgr_server_slot(w, s);
	char sql[PGR_VEC_SCRATCH / 2];
	struct pgr_out out;

	pgr_out_init(&out, sql, sizeof(sql) - 1);
	s->hurried = s->hindrances > 0 || pgr_settings_hurry(slot, pgr_server_cold(w, s));
	if (forget)
		pgr_out_text(&out, "DISCARD SEQUENCES;");
	if (!pgr_settings_difference(slot, pgr_server_cold(w, s), c->settings, &out)) {
		s->settings_failed = true;
		return;
	}
	sql[out.len] = '\0';
	pgr_settings_applied(slot, pgr_server_cold(w, s), c->settings);
	pgr_stat_add(&w->stats->settings_sent, 1);
	if (out.len > 0 && pgr_back_query(w, s, PGR_PURPOSE_SETTINGS, sql) != PGR_OK)
		s->settings_failed = true;
}

void
pgr_front_begin_lease(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_slot *slot = pgr_server_slot(w, s);
	bool forget = !s->continued &&
		atomic_load_explicit(&s->pool->view.pool->sequences, memory_order_relaxed) != 0;

	c->leg.fresh = s->hurried = false;
	if (atomic_load_explicit(&slot->startup, memory_order_relaxed) != 0)
		pgr_client_forget_settings(c); /* they are the server's */
	else if (forget || atomic_load_explicit(&slot->settings, memory_order_relaxed) != c->settings->hash)
		apply_settings(w, c, forget);
	if (c->mode == PGR_MODE_SESSION) {
		c->pin = PGR_PIN_SESSION_REASON;
		pgr_settings_unknown(slot);
	}
}

/* A server to send to, with the client's settings. False: the input waits, or the request failed. */
static bool
need_server(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;
	enum pgr_rc rc;

	if (c->leg.server == NULL) {
		rc = pgr_lease_want(w, &c->leg, &err);
		if (rc == PGR_FAIL) {
			pgr_client_error(&w->back, PGR_SEVERITY_ERROR, &err);
			c->discard = PGR_DISCARD_REQUEST;
		}
		if (rc != PGR_OK)
			return false;
	}
	if (c->query_start == 0)
		c->query_start = w->now;
	if (c->xact_start == 0)
		c->xact_start = w->now;
	if (c->leg.fresh) {
		pgr_front_begin_lease(w, c);
		c->leg.tried = (c->settings->refusable || c->leg.server->hurried) &&
			c->leg.server->replies.count > 0;
	}
	c->unfit = c->leg.server->settings_failed;
	c->stalled = c->leg.tried;
	return !c->unfit && !c->stalled;
}

/*
 * Before another request of a pipeline: are startup values to be put back first, or should somebody else
 * be served? A client that pipelines whole requests keeps its lease only while nobody waits.
 */
static bool
must_yield(const struct pgr_client *c)
{
	return c->restore != NULL || (c->leg.server->resetting > 0 && c->track.startup->len > 0) ||
		(c->pin == PGR_PIN_NONE_REASON && pgr_pool_wanted(&c->leg.pool->view));
}

/* A server is there, takes more, and nothing else comes first. */
static bool
may_send(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (s == NULL)
		return need_server(w, c);
	if (pgr_stream_blocked(&s->io) || s->replies.count >= PGR_REPLIES_MOST)
		c->stalled = true;
	else if (s->batch && c->query_start != 0 && !c->leg.fresh && !s->settings_failed)
		return true; /* the messages before it have seen to all of that */
	else if (c->leg.held || c->leg.tried || c->leg.judging ||
		(!s->batch && !s->copy_in && s->replies.count > 0 && must_yield(c)))
		c->stalled = true;
	if (c->stalled)
		return false;
	return need_server(w, c);
}

/* Notes an answer to come. While the server skips to a Sync there is none: kind is NONE then. */
static struct pgr_reply *
expect(struct pgr_client *c, enum pgr_reply_kind kind)
{
	static struct pgr_reply nothing;
	struct pgr_server *s = c->leg.server;
	struct pgr_reply *r = s->skipping ? NULL : pgr_replies_push(&s->replies, kind);

	if (r != NULL)
		return r;
	/* out of memory: the answer will find the queue out of step, and the connection is closed */
	memset(&nothing, 0, sizeof(nothing));
	return &nothing;
}

/* The same for a message about a statement that the client has named: so errors are to name it. */
static void
expect_named(struct pgr_client *c, enum pgr_reply_kind kind, struct pgr_named *named)
{
	struct pgr_reply *r = expect(c, kind);

	if (named != NULL && r->kind != PGR_REPLY_NONE)
		r->named = pgr_named_ref(named);
}

/* The same for a message whose text was read. Takes over the reference to the reading. */
static void
expect_read(struct pgr_worker *w, struct pgr_client *c, enum pgr_reply_kind kind, struct pgr_reading *reading)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_reply *r = expect(c, kind);

	if (reading == NULL)
		return;
	if (r->kind == PGR_REPLY_NONE) {
		pgr_reading_unref(reading);
		return;
	}
	r->reading = reading;
	r->tunes = reading->sets || (reading->ends && (c->track.frames > 0 || s->tuning > 0));
	s->tuning += r->tunes;
	s->retuning += reading->retunes;
	s->committing += reading->commits;
	s->resetting += reading->resets;
	s->clearing += reading->clears;
	s->making += reading->makes;
	if (reading->commits && !s->uncancelable) {
		/* nobody cancels this on our own account, not even after our death: its outcome would be hidden */
		s->uncancelable = true;
		atomic_store_explicit(&pgr_server_slot(w, s)->uncancelable, 1, memory_order_relaxed);
	}
}

/* The whole message streams to the server, as it is. */
static void
forward(struct pgr_client *c, uint32_t size)
{
	c->skip = size;
	c->skip_forward = true;
}

/* Close of a statement on the server, on our account. */
static void
send_close(struct pgr_worker *w, struct pgr_client *c, struct pgr_hash128 hash, const char *name)
{
	struct pgr_reply *r = expect(c, PGR_REPLY_CLOSE);
	size_t len = strlen(name);
	char *body = pgr_wire_header(
		pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1 + len + 1), PGR_MSG_CLOSE, len + 2);

	r->ours = true;
	pgr_replies_enter(&c->leg.server->replies, r, hash);
	body[0] = 'S';
	memcpy(body + 1, name, len + 1);
}

/* Parse of a named statement, on our account or a client's; named: what the client calls it, or NULL. */
static void
send_parse(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st,
	struct pgr_named *named, bool ours)
{
	struct pgr_reply *r = expect(c, PGR_REPLY_PARSE);
	char *body = pgr_wire_header(pgr_vec_room(&w->out, PGR_WIRE_HEADER + PGR_STATEMENT_NAME + 1),
		PGR_MSG_PARSE, PGR_STATEMENT_NAME + 1 + st->tail_len);

	memcpy(body, st->name, PGR_STATEMENT_NAME + 1);
	pgr_vec_add(&w->out, st->tail, st->tail_len);
	if (r->kind == PGR_REPLY_NONE)
		return;
	r->ours = ours;
	pgr_replies_enter(&c->leg.server->replies, r, st->hash);
	r->statement = pgr_statement_ref(st); /* its text may be sent from where it lies */
	r->named = named != NULL ? pgr_named_ref(named) : NULL;
}

/* What the queue tells of a statement whose Parse or Close the server has not yet answered. */
enum pending {
	PENDING_NONE,
	PENDING_THERE,  /* parsed in this very batch: it will be there, or all of this is skipped */
	PENDING_GONE,   /* closed in this very batch */
	PENDING_UNSURE, /* an earlier batch, which may have failed, or a DEALLOCATE ALL decides */
};

static enum pending
pending_of(struct pgr_replies *q, struct pgr_hash128 hash)
{
	struct pgr_reply *r = pgr_replies_latest(q, hash);

	if (r == NULL)
		return PENDING_NONE;
	if (r->batch != q->batch)
		return PENDING_UNSURE;
	return r->kind == PGR_REPLY_PARSE ? PENDING_THERE : PENDING_GONE;
}

/* Statements that the server may have and still be within the limit after one more. */
static int64_t
most_before_one_more(const struct pgr_client *c)
{
	uint64_t limit = atomic_load_explicit(
		&c->leg.pool->view.pool->set.prepared_statements, memory_order_relaxed);

	/* 0 turns tracking off for those who log in from then on */
	return (int64_t)PGR_MIN(PGR_MAX(limit, 1u), (uint64_t)PGR_STATEMENTS_MAX) - 1;
}

/* Makes room in the server's set by closing what was not used for longest. */
static void
evict(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);
	int64_t surplus = (int64_t)cold->statement_count + s->replies.coming - most_before_one_more(c);
	char name[PGR_STATEMENT_NAME + 1];
	struct pgr_hash128 hash;

	/* a limit that was lowered is reached step by step */
	for (uint32_t n = 0; n < EVICT_MOST && surplus > 0; n++, surplus--) {
		if (!pgr_slot_statement_oldest(cold, &hash))
			return;
		(void)pgr_slot_statement_has(cold, hash); /* the youngest now: not chosen twice */
		pgr_statement_name(hash, name);
		send_close(w, c, hash, name);
	}
}

/* Is st on the server when it comes to what is sent next? What stands in the way is closed. */
static bool
statement_there(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	struct pgr_server *s = c->leg.server;
	enum pending pending = s->clearing > 0 ? PENDING_UNSURE
		: s->replies.count > 0 ? pending_of(&s->replies, st->hash) : PENDING_NONE;

	switch (pending) {
	case PENDING_NONE:
		return pgr_slot_statement_has(pgr_server_cold(w, s), st->hash);
	case PENDING_THERE:
		return true;
	case PENDING_UNSURE:
		send_close(w, c, st->hash, st->name);
		return false;
	case PENDING_GONE:
		break;
	}
	return false;
}

/* Sees to it that the server has st when it comes to what is sent next. */
static void
ensure_statement(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	if (c->leg.server->skipping || statement_there(w, c, st))
		return;
	evict(w, c);
	send_parse(w, c, st, NULL, true);
}

/* Is it read alike whatever client_encoding and standard_conforming_strings are? */
static bool
is_unequivocal(const char *text, size_t len)
{
	return pgr_is_ascii(text, len) && memchr(text, '\\', len) == NULL;
}

/*
 * May the server read what comes next in another way than the client's settings say? Behind a change
 * that was not yet answered, an end of what was set in a transaction, a failure that has undone it.
 */
static bool
reads_otherwise(const struct pgr_client *c)
{
	const struct pgr_server *s = c->leg.server;

	if (s == NULL)
		return false;
	if (s->retuning > 0 || (c->restore != NULL && (c->restore->strings != PGR_SAID_NOTHING ||
			c->restore->encoding != PGR_SAID_NOTHING)))
		return true;
	return (s->replies.count > 0 || c->restore != NULL) && pgr_track_retunes(&c->track);
}

/* What matters in a text that is about to be sent; a reference, or NULL. */
static struct pgr_reading *
read_text(struct pgr_worker *w, struct pgr_client *c, const char *text, size_t len)
{
	const struct pgr_settings *set = c->settings;
	bool opaque = set->encoding == PGR_SAID_NOTHING ? c->opaque : set->encoding == PGR_SAID_YES;
	bool strings = set->strings == PGR_SAID_NOTHING ? c->strings : set->strings == PGR_SAID_YES;

	if ((opaque || reads_otherwise(c)) && !is_unequivocal(text, len))
		return pgr_reading_unread(PGR_PIN_ENCODING_REASON);
	return pgr_readings_get(w->readings, text, len, !strings, &c->leg.pool->known);
}

/* What matters in the text of a statement, by the verdicts of now. */
static void
read_statement(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	pgr_reading_unref(st->reading);
	st->reading = read_text(w, c, st->tail, strlen(st->tail));
	st->serial = c->leg.pool->known.serial;
}

/* Is it known what functions and relations leave behind, as far as a text of now may call them? */
static inline bool
can_judge(const struct pgr_client *c)
{
	return PGR_LIKELY(pgr_catalog_judges(c->leg.server));
}

static void
send_unnamed(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_reply *r = expect(c, PGR_REPLY_PARSE);
	struct pgr_statement *st = c->unnamed;
	char *body = pgr_wire_header(
		pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1), PGR_MSG_PARSE, 1 + st->tail_len);

	body[0] = '\0';
	pgr_vec_add(&w->out, st->tail, st->tail_len);
	read_statement(w, c, st); /* the settings under which it was read may be others by now */
	r->ours = true;
	r->unnamed = true;
	r->statement = r->kind != PGR_REPLY_NONE ? pgr_statement_ref(st) : NULL;
	c->leg.server->unnamed_pending++;
}

/* The same for the unnamed statement, which other clients of this server may have overwritten. */
static void
ensure_unnamed(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (s->unnamed_pending > 0 || s->skipping)
		return;
	if (c->unnamed != NULL && c->unnamed->serial != c->leg.pool->known.serial)
		read_statement(w, c, c->unnamed);
	if (c->unnamed == NULL) /* without this the server would take the statement of a stranger */
		send_close(w, c, (struct pgr_hash128){0, 0}, "");
	else if (atomic_load_explicit(&pgr_server_slot(w, s)->unnamed, memory_order_relaxed) !=
		c->unnamed->tag)
		send_unnamed(w, c);
}

/* Is a request of the client's pipeline unanswered that came before the batch at hand? */
static bool
earlier_is_owed(struct pgr_server *s)
{
	uint32_t first = pgr_server_is_being_set_up(s) ? 1 : 0; /* settings of ours are nothing of its own */
	const struct pgr_reply *r;

	if (s->replies.count <= first)
		return false;
	r = pgr_replies_at(&s->replies, first);
	return !s->batch || r->batch != s->replies.batch || r->kind == PGR_REPLY_QUERY ||
		r->kind == PGR_REPLY_FUNCTION;
}

bool
pgr_front_outruns(struct pgr_client *c)
{
	return c->outruns && earlier_is_owed(c->leg.server);
}

static enum feed
wait_for_earlier(struct pgr_client *c)
{
	c->stalled = c->outruns = true;
	return FEED_WAIT;
}

/* Is the Parse of this name, in an earlier batch, still unanswered? It may never have been. */
static bool
is_unproved(struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_replies *q = &s->replies;
	struct pgr_named *named;
	struct pgr_reply *r;

	if (len == 0 || !c->tracks || s->skipping || !earlier_is_owed(s))
		return false;
	named = pgr_names_find(c->names, name, len);
	if (named == NULL || named->owed - q->head >= q->count)
		return false;
	r = pgr_replies_at(q, named->owed - q->head);
	return r->named == named && (!s->batch || r->batch != q->batch);
}

/* Must what is sent wait until it is known how texts are to be read? */
static bool
must_wait_to_read(struct pgr_client *c)
{
	const struct pgr_server *s = c->leg.server;

	if (s->batch || s->replies.count == 0 || !reads_otherwise(c))
		return false;
	c->stalled = true;
	return true;
}

static enum feed
need(struct pgr_client *c, uint32_t bytes)
{
	c->in_need = bytes;
	return FEED_MORE;
}

/* Does the configuration refuse what pins? What the server skips is not refused either. */
static bool
refuses_pins(const struct pgr_client *c)
{
	return atomic_load_explicit(&c->leg.pool->view.pool->set.on_session_feature,
		       memory_order_relaxed) == PGR_ON_FEATURE_ERROR &&
		c->mode != PGR_MODE_SESSION && !c->leg.server->skipping;
}

/* Has the client asked for something in this lease that may have called nextval()? */
static bool
has_run(struct pgr_server *s)
{
	for (uint32_t i = 0; i < s->replies.count; i++) {
		const struct pgr_reply *r = pgr_replies_at(&s->replies, i);

		if (!r->ours && (r->kind == PGR_REPLY_QUERY || r->kind == PGR_REPLY_EXECUTE ||
				r->kind == PGR_REPLY_FUNCTION))
			return true;
	}
	return s->status != PGR_TXN_IDLE;
}

/*
 * May the server be asked for currval() or lastval()? Where it has served others since, it would have
 * nothing to say, or a value of theirs; from now on leases of this pool begin with DISCARD SEQUENCES.
 */
static bool
may_ask_sequence(const struct pgr_client *c, const struct pgr_reading *reading)
{
	struct pgr_server *s = c->leg.server;

	if (c->pin != PGR_PIN_NONE_REASON)
		return true;
	atomic_store_explicit(&s->pool->view.pool->sequences, 1, memory_order_relaxed);
	return s->continued || s->skipping || reading->several || has_run(s);
}

/* Instead of the Query something fails on the server, so that a transaction fails with it. */
static enum feed
query_refused(
	struct pgr_worker *w, struct pgr_client *c, struct pgr_reading *reading, uint32_t size)
{
	struct pgr_server *s = c->leg.server;

	expect_read(w, c, PGR_REPLY_REFUSED, reading);
	pgr_back_spoil(&w->out);
	(void)expect(c, PGR_REPLY_SYNC);
	pgr_wire_bare(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_SYNC);
	s->replies.batch++;
	s->batch = false;
	s->unnamed_pending = 0;
	c->skip = size;
	c->skip_forward = false;
	return FEED_NEXT;
}

static enum feed
on_query(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	bool whole = size <= PGR_READING_MOST;
	const char *text = p + PGR_WIRE_HEADER;
	size_t len = size - PGR_WIRE_HEADER;
	struct pgr_reading *reading;

	if (whole && have < size)
		return need(c, size);
	if (!may_send(w, c) || must_wait_to_read(c))
		return FEED_WAIT;
	/* with a NUL before its end the server refuses it */
	len -= whole && len > 0 && text[len - 1] == '\0' ? 1 : 0;
	if (whole && !can_judge(c) && pgr_catalog_must_wait(w, c->leg.server, text, len))
		return FEED_WAIT;
	reading = whole ? read_text(w, c, text, len) : pgr_reading_unread(PGR_PIN_UNREAD_REASON);
	if (reading != NULL && ((reading->pin != PGR_PIN_NONE_REASON && refuses_pins(c)) ||
			(reading->sequence && !may_ask_sequence(c, reading))))
		return query_refused(w, c, reading, size);
	/* the server ignores it when it is skipping to a Sync; otherwise it ends the batch's statements */
	expect_read(w, c, PGR_REPLY_QUERY, reading);
	if (!c->leg.server->skipping && c->unnamed != NULL) {
		pgr_statement_unref(w->statements, c->unnamed);
		c->unnamed = NULL;
	}
	forward(c, size);
	return FEED_NEXT;
}

/* Functions of large objects, which libpq calls so; what they leave ends with the transaction. */
static bool
is_known_function(uint32_t oid)
{
	static const uint16_t known[] = {715, 764, 765, 767, 952, 953, 954, 955, 956, 957, 958, 964,
		1004, 3170, 3171, 3172, 3457, 3458, 3459, 3460};

	for (size_t i = 0; i < PGR_COUNT_OF(known); i++)
		if (known[i] == oid)
			return true;
	return false;
}

static enum feed
on_function_call(
	struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	if (size < PGR_WIRE_HEADER + 4)
		return fail_session(w, c, "08P01", "invalid FunctionCall message");
	if (have < PGR_WIRE_HEADER + 4)
		return need(c, PGR_WIRE_HEADER + 4);
	if (!may_send(w, c))
		return FEED_WAIT;
	expect_read(w, c, PGR_REPLY_FUNCTION, is_known_function(pgr_get32(p + PGR_WIRE_HEADER))
			? NULL : pgr_reading_unread(PGR_PIN_FUNCTION_REASON));
	forward(c, size);
	return FEED_NEXT;
}

/* Does the client have this name only until a DEALLOCATE ALL on its way takes it? */
static bool
is_cleared(const struct pgr_client *c, const struct pgr_named *named)
{
	struct pgr_server *s = c->leg.server;

	for (uint32_t i = s->replies.count; i > 0 && s->clearing > 0; i--) {
		const struct pgr_reply *r = pgr_replies_at(&s->replies, i - 1);

		if (r->named == named && !r->ours &&
			(r->kind == PGR_REPLY_PARSE || r->kind == PGR_REPLY_LOCAL_PARSE))
			return false;
		if (r->reading != NULL && r->reading->clears)
			return true;
	}
	return false;
}

/* Parse of a name that the client has: let the server say what it says to a second Parse. */
static enum feed
parse_duplicate(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named)
{
	ensure_statement(w, c, named->statement);
	c->leg.server->batch = true;
	send_parse(w, c, named->statement, named, true);
	return FEED_NEXT;
}

static enum feed
parse_unnamed(struct pgr_worker *w, struct pgr_client *c, const char *p, const char *tail,
	uint32_t tail_len, uint32_t size)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_statement *st = pgr_statements_unnamed(w->statements, tail, tail_len);
	struct pgr_reply *r = expect(c, PGR_REPLY_PARSE);

	if (st == NULL)
		return fail_session(w, c, "53200", "out of memory");
	if (r->kind == PGR_REPLY_NONE) { /* skipped: it is never parsed */
		pgr_statement_unref(w->statements, st);
	} else {
		read_statement(w, c, st);
		r->unnamed = true;
		r->statement = st;
		s->unnamed_pending++;
	}
	s->batch = true;
	pgr_vec_add(&w->out, p, size);
	return FEED_NEXT;
}

/*
 * One more than a client may keep, or what is not allowed: the server aborts what it aborts at any error
 * in a batch.
 */
static enum feed
refused_in_batch(struct pgr_worker *w, struct pgr_client *c, struct pgr_reading *reading)
{
	expect_read(w, c, PGR_REPLY_REFUSED, reading);
	pgr_back_spoil(&w->out);
	c->leg.server->batch = true;
	return FEED_NEXT;
}

/* A state that no other statement was or will be prepared in. */
static uint64_t
state_of_its_own(struct pgr_worker *w)
{
	uint64_t number[] = {w->self, atomic_load(&pgr_shm_proc(w->shm, w->self)->incarnation),
		++w->next_state};

	return pgr_hash64(&w->shm->seg->hash_key, number, sizeof(number)) | 1;
}

/*
 * What settings and DDL make of a text that is prepared now. While they change it is not known which of
 * them the server will have, nor how it will spell them, and a pinned session may have tables of its own:
 * then nobody else is to take the statement for theirs.
 */
static uint64_t
state_now(struct pgr_worker *w, const struct pgr_client *c)
{
	const struct pgr_server *s = c->leg.server;

	if (c->pin != PGR_PIN_NONE_REASON || (s != NULL && (s->made != 0 || s->making > 0 || !pgr_effect_settled(s))))
		return state_of_its_own(w);
	return c->settings->state ^ c->defaults ^ pgr_catalog_state(w, c->leg.pool);
}

/* The statement with this tail, as it is prepared in that state, and read. NULL: no memory. */
static struct pgr_statement *
statement_in(struct pgr_worker *w, struct pgr_client *c, const char *tail, uint32_t tail_len,
	uint64_t state)
{
	struct pgr_statement *st = pgr_statements_get(w->statements, tail, tail_len, state);

	if (st != NULL && st->refs == 1)
		read_statement(w, c, st);
	return st;
}

/* The client's name for the statement with this tail. NULL: no memory. */
static struct pgr_named *
add_name(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	struct pgr_statement *st = statement_in(w, c, tail, tail_len, state_now(w, c));
	struct pgr_named *named = NULL;

	if (st != NULL)
		named = pgr_names_add(w->statements, &c->names, name, name_len, st);
	if (named == NULL)
		pgr_statement_unref(w->statements, st);
	return named;
}

static enum feed
parse_named(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	struct pgr_named *named = pgr_names_find(c->names, name, name_len);
	struct pgr_server *s = c->leg.server;
	struct pgr_statement *st;
	bool there;

	if (s->skipping) { /* the server will not read it, nor do we */
		s->batch = true;
		return FEED_NEXT;
	}
	if (named != NULL && is_cleared(c, named)) {
		pgr_names_remove(w->statements, c->names, named);
		named = NULL;
	}
	if (named != NULL)
		return parse_duplicate(w, c, named);
	if (!pgr_names_have_room(c->names, name_len, tail_len))
		return refused_in_batch(w, c, NULL);
	named = add_name(w, c, name, name_len, tail, tail_len);
	if (named == NULL)
		return fail_session(w, c, "53200", "out of memory");
	st = named->statement;
	there = statement_there(w, c, st);
	if (there && s->status == PGR_TXN_FAILED) { /* in which the server refuses most of them itself */
		send_close(w, c, st->hash, st->name);
		there = false;
	}
	if (there && earlier_is_owed(s)) { /* it may leave a failed transaction behind */
		pgr_names_remove(w->statements, c->names, named);
		return wait_for_earlier(c);
	}
	if (there) {
		expect(c, PGR_REPLY_LOCAL_PARSE)->named = pgr_named_ref(named);
	} else {
		evict(w, c);
		send_parse(w, c, st, named, false);
	}
	named->owed = s->replies.head + s->replies.count - 1;
	s->batch = true;
	return FEED_NEXT;
}

/*
 * Is what follows up to the Sync, all of it there, nothing but Parse and Close? Such a batch may need no
 * server, and should not wait for one: libpq's PQprepare() blocks a program that has its other
 * connections in transactions. Where a server is needed anyway it may as well answer all.
 */
static bool
only_prepares(const struct pgr_client *c, const char *p, size_t have)
{
	const char *end = p + have;

	if (c->leg.server != NULL || !c->tracks)
		return false;
	for (uint32_t n = 0; n < ALONE_MOST && end - p >= (ptrdiff_t)PGR_WIRE_HEADER; n++) {
		uint32_t size = pgr_wire_size(p);

		if (size == 0 || end - p < (ptrdiff_t)size)
			return false;
		if (p[0] != PGR_MSG_PARSE && p[0] != PGR_MSG_CLOSE)
			return p[0] == PGR_MSG_SYNC;
		p += size;
	}
	return false;
}

/*
 * A name that is new to the client, for a statement that it would find prepared on a connection of its
 * pool. In doubt no: then a server answers.
 */
static bool
is_known(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	return pgr_names_find(c->names, name, name_len) == NULL &&
		pgr_names_have_room(c->names, name_len, tail_len) &&
		pgr_lease_holds(w, c->leg.pool, c->settings->hash,
			pgr_statements_hash(w->statements, tail, tail_len, state_now(w, c)));
}

static enum feed
parse_alone(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	if (add_name(w, c, name, name_len, tail, tail_len) == NULL)
		return fail_session(w, c, "53200", "out of memory");
	pgr_stat_add(&c->leg.pool->stats->client_parse_count, 1);
	pgr_wire_bare(pgr_vec_room(&w->back, PGR_WIRE_HEADER), PGR_MSG_PARSE_COMPLETE);
	return FEED_NEXT;
}

/* Who executes it later is not known: the client keeps its server, and all it does there counts. */
static enum feed
parse_untracked(
	struct pgr_worker *w, struct pgr_client *c, const char *p, const char *tail, uint32_t size)
{
	struct pgr_reading *reading = read_text(w, c, tail, strlen(tail));

	pgr_client_pin(w, c, PGR_PIN_UNTRACKED_REASON, true);
	expect_read(w, c, PGR_REPLY_PARSE, reading);
	c->leg.server->batch = true;
	pgr_vec_add(&w->out, p, size);
	return FEED_NEXT;
}

static enum feed
on_parse(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *name = p + PGR_WIRE_HEADER;
	const char *end = p + size;
	const char *tail;
	uint32_t tail_len;
	struct pgr_reading *reading;
	ptrdiff_t len;

	if (size > PARSE_MOST)
		return fail_session(w, c, "54000", "the text of a prepared statement is too long (64 MB at most)");
	if (have < size)
		return need(c, size);
	len = pgr_wire_string(name, end);
	if (len < 0 || pgr_wire_string(name + len + 1, end) < 0)
		return fail_session(w, c, "08P01", "invalid Parse message");
	tail = name + len + 1;
	tail_len = (uint32_t)(end - tail);
	if (len > 0 && only_prepares(c, p, have) &&
		is_known(w, c, name, (size_t)len, tail, tail_len))
		return parse_alone(w, c, name, (size_t)len, tail, tail_len);
	if (!may_send(w, c) || must_wait_to_read(c) ||
		(!can_judge(c) && pgr_catalog_must_wait(w, c->leg.server, tail, strlen(tail))))
		return FEED_WAIT;
	pgr_stat_add(&c->leg.pool->stats->client_parse_count, 1);
	if (refuses_pins(c)) {
		reading = read_text(w, c, tail, strlen(tail));
		if (reading != NULL && reading->pin != PGR_PIN_NONE_REASON)
			return refused_in_batch(w, c, reading);
		pgr_reading_unref(reading);
	}
	if (len == 0)
		return parse_unnamed(w, c, p, tail, tail_len, size);
	if (c->tracks)
		return parse_named(w, c, name, (size_t)len, tail, tail_len);
	return parse_untracked(w, c, p, tail, size);
}

/*
 * Was it prepared under other settings, and the server has it not from then, it is prepared under those
 * of now, as a server does when it has to analyse a statement anew. FAIL: no memory.
 */
static enum pgr_rc
renew(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named)
{
	struct pgr_statement *st = named->statement;
	uint64_t state = c->leg.server->skipping ? st->state : state_now(w, c);

	if (st->state == state || statement_there(w, c, st))
		return PGR_OK;
	st = statement_in(w, c, st->tail, st->tail_len, state);
	if (st == NULL)
		return PGR_FAIL;
	pgr_named_turn(w->statements, named, st);
	return PGR_OK;
}

/* The client's statement, seen to be on the server; NULL: the client has none such. */
static struct pgr_named *
find_named(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_named *named = c->tracks ? pgr_names_find(c->names, name, len) : NULL;

	if (named == NULL || is_cleared(c, named) || renew(w, c, named) != PGR_OK)
		return NULL;
	if (PGR_UNLIKELY(named->statement->serial != c->leg.pool->known.serial))
		read_statement(w, c, named->statement);
	ensure_statement(w, c, named->statement);
	return named;
}

/* What the unnamed statement would run: the last one that was sent, if its answer is still due. */
static struct pgr_reading *
unnamed_reading(const struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;
	bool pending = s != NULL && s->unnamed_pending > 0;

	for (uint32_t i = pending ? s->replies.count : 0; i > 0; i--) {
		const struct pgr_reply *r = pgr_replies_at(&s->replies, i - 1);

		if (r->kind == PGR_REPLY_PARSE && r->unnamed)
			return r->statement->reading;
	}
	return c->unnamed != NULL ? c->unnamed->reading : NULL;
}

/* The text that a Bind of this statement would run; NULL: none. */
static const char *
text_of(const struct pgr_client *c, const char *name, size_t len)
{
	const struct pgr_named *named = c->tracks && len > 0 ? pgr_names_find(c->names, name, len) : NULL;

	if (len > 0)
		return named != NULL ? named->statement->tail : NULL;
	return c->unnamed != NULL ? c->unnamed->tail : NULL;
}

/* Must a Bind wait because verdicts have changed since its statement was judged? */
static bool
must_wait_to_bind(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len)
{
	const char *text = text_of(c, name, len);

	return text != NULL && pgr_catalog_must_wait(w, c->leg.server, text, strlen(text));
}

/* A Bind: what an Execute of its portal would run. values: the message behind its names. */
static void
note_portal(struct pgr_worker *w, struct pgr_client *c, const char *portal, size_t len,
	struct pgr_reading *reading, const char *values, const char *end)
{
	bool bind = reading != NULL && reading->n_params > 0;

	if (reading == NULL && c->bound == NULL && c->portals == NULL)
		return;
	reading = bind ? pgr_reading_bind(reading, values, end) : pgr_reading_ref(reading);
	if (!pgr_portal_bind(c, portal, len, reading))
		pgr_client_pin(w, c, PGR_PIN_SETTINGS_REASON, true);
}

/* Does the message have to be whole because settings come from its values? */
static bool
values_matter(const struct pgr_client *c, const char *name, size_t name_len)
{
	const struct pgr_named *named =
		c->tracks && name_len > 0 ? pgr_names_find(c->names, name, name_len) : NULL;
	const struct pgr_reading *reading = name_len == 0 ? unnamed_reading(c)
		: named != NULL ? named->statement->reading : NULL;

	return reading != NULL && reading->n_params > 0;
}

static enum feed
on_bind(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *portal = p + PGR_WIRE_HEADER;
	const char *end = p + PGR_MIN(have, (size_t)size);
	ptrdiff_t portal_len = pgr_wire_string(portal, end);
	const char *name = portal + portal_len + 1;
	ptrdiff_t name_len = portal_len < 0 ? -1 : pgr_wire_string(name, end);
	struct pgr_named *named = NULL;
	struct pgr_reading *reading;
	uint32_t used;

	if (name_len < 0) {
		if (have >= size || have >= PGR_BUFFER / 2)
			return fail_session(w, c, "08P01", "invalid Bind message");
		return need(c, (uint32_t)have + 1);
	}
	if (have < size && size <= PGR_READING_MOST && values_matter(c, name, (size_t)name_len))
		return need(c, size);
	if (!may_send(w, c))
		return FEED_WAIT;
	if (is_unproved(c, name, (size_t)name_len))
		return wait_for_earlier(c);
	if ((name_len > 0 || c->leg.server->unnamed_pending == 0) && !can_judge(c) &&
		must_wait_to_bind(w, c, name, (size_t)name_len))
		return FEED_WAIT;
	pgr_stat_add(&c->leg.pool->stats->bind_count, 1);
	if (name_len == 0)
		ensure_unnamed(w, c);
	else
		named = find_named(w, c, name, (size_t)name_len);
	reading = name_len == 0 ? unnamed_reading(c) : named != NULL ? named->statement->reading : NULL;
	if (reading != NULL && reading->sequence && !may_ask_sequence(c, reading)) {
		c->skip = size;
		c->skip_forward = false;
		return refused_in_batch(w, c, pgr_reading_ref(reading));
	}
	note_portal(w, c, portal, (size_t)portal_len, reading, name + name_len + 1, end);
	expect_named(c, PGR_REPLY_BIND, named);
	c->leg.server->batch = true;
	if (named == NULL) {
		forward(c, size);
		return FEED_NEXT;
	}
	used = (uint32_t)(PGR_WIRE_HEADER + portal_len + 1 + name_len + 1);
	pgr_wire_header(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_BIND,
		size - PGR_WIRE_HEADER - (size_t)name_len + PGR_STATEMENT_NAME);
	pgr_vec_add(&w->out, portal, (size_t)portal_len + 1);
	pgr_vec_add(&w->out, named->statement->name, PGR_STATEMENT_NAME + 1);
	c->skip = size - used;
	c->skip_forward = true;
	c->in_used = used;
	return FEED_NEXT;
}

static void
close_named(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_named *named = pgr_names_find(c->names, name, len);
	struct pgr_reply *r = expect(c, PGR_REPLY_LOCAL_CLOSE);

	if (named == NULL || r->kind == PGR_REPLY_NONE)
		return;
	r->named = pgr_named_ref(named);
	pgr_names_remove(w->statements, c->names, named);
}

static enum feed
close_alone(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_named *named = pgr_names_find(c->names, name, len);

	if (named != NULL)
		pgr_names_remove(w->statements, c->names, named);
	pgr_wire_bare(pgr_vec_room(&w->back, PGR_WIRE_HEADER), PGR_MSG_CLOSE_COMPLETE);
	return FEED_NEXT;
}

/* Describe and Close: 'S' or 'P' and a name. */
static enum feed
on_describe_or_close(
	struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *name = p + PGR_WIRE_HEADER + 1;
	bool closes = p[0] == PGR_MSG_CLOSE;
	struct pgr_named *named = NULL;
	ptrdiff_t len;
	bool statement;

	if (size > PGR_BUFFER / 2)
		return fail_session(w, c, "08P01", "invalid name in a message");
	if (have < size)
		return need(c, size);
	len = size > PGR_WIRE_HEADER + 1 ? pgr_wire_string(name, p + size) : -1;
	if (len < 0)
		return fail_session(w, c, "08P01", "invalid message: a name is missing");
	statement = p[PGR_WIRE_HEADER] == 'S';
	if (closes && statement && len > 0 && only_prepares(c, p, have))
		return close_alone(w, c, name, (size_t)len);
	if (!may_send(w, c))
		return FEED_WAIT;
	if (statement && is_unproved(c, name, (size_t)len))
		return wait_for_earlier(c);
	c->leg.server->batch = true;
	if (statement && closes && len > 0 && c->tracks) {
		close_named(w, c, name, (size_t)len);
		return FEED_NEXT;
	}
	if (statement && !closes && len == 0)
		ensure_unnamed(w, c);
	else if (statement && !closes)
		named = find_named(w, c, name, (size_t)len);
	expect_named(c, closes ? PGR_REPLY_CLOSE : PGR_REPLY_DESCRIBE, named);
	if (named == NULL) {
		pgr_vec_add(&w->out, p, size);
		return FEED_NEXT;
	}
	pgr_wire_header(pgr_vec_room(&w->out, PGR_WIRE_HEADER), p[0], 1 + PGR_STATEMENT_NAME + 1);
	pgr_vec_add(&w->out, p + PGR_WIRE_HEADER, 1);
	pgr_vec_add(&w->out, named->statement->name, PGR_STATEMENT_NAME + 1);
	return FEED_NEXT;
}

static enum feed
on_execute(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *portal = p + PGR_WIRE_HEADER;
	bool matters = c->bound != NULL || c->portals != NULL; /* mostly there is none that does */
	struct pgr_reading *reading = NULL;
	ptrdiff_t len = 0;

	if (matters)
		len = pgr_wire_string(portal, p + PGR_MIN(have, (size_t)size));
	if (len < 0) {
		if (have >= size || have >= PGR_BUFFER / 2)
			return fail_session(w, c, "08P01", "invalid Execute message");
		return need(c, (uint32_t)PGR_MIN((size_t)size, PGR_BUFFER / 2));
	}
	if (!may_send(w, c))
		return FEED_WAIT;
	if (matters)
		reading = pgr_portal_execute(c, portal, (size_t)len);
	expect_read(w, c, PGR_REPLY_EXECUTE, reading);
	c->leg.server->batch = true;
	forward(c, size);
	return FEED_NEXT;
}

static enum feed
on_sync(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	struct pgr_server *s = c->leg.server;

	if (s == NULL) { /* nothing to end: as a server answers it outside a transaction */
		pgr_wire_ready(pgr_vec_room(&w->back, PGR_WIRE_HEADER + 1), PGR_TXN_IDLE);
		return FEED_NEXT;
	}
	if (!may_send(w, c))
		return FEED_WAIT;
	if (s->copy_in) { /* COPY takes it for its own and ignores it */
		s->stray_sync = true;
	} else {
		s->skipping = false;
		(void)expect(c, PGR_REPLY_SYNC);
		s->replies.batch++;
		s->batch = false;
		s->unnamed_pending = 0;
	}
	forward(c, size);
	return FEED_NEXT;
}

static enum feed
on_flush(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	if (c->leg.server == NULL)
		return FEED_NEXT;
	if (!may_send(w, c))
		return FEED_WAIT;
	forward(c, size);
	return FEED_NEXT;
}

/* CopyData, CopyDone, CopyFail: what comes late, after the COPY has failed, is dropped as servers do. */
static enum feed
on_copy(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	struct pgr_server *s = c->leg.server;

	c->skip = size;
	c->skip_forward = s != NULL;
	if (s == NULL)
		return FEED_NEXT;
	if (pgr_stream_blocked(&s->io)) {
		c->skip = 0;
		c->stalled = true;
		return FEED_WAIT;
	}
	if (p[0] != PGR_MSG_COPY_DATA && s->copy_in)
		s->copy_in = false;
	else if (p[0] != PGR_MSG_COPY_DATA && s->replies.count > 0)
		(void)expect(c, PGR_REPLY_COPY_END);
	return FEED_NEXT;
}

static enum feed
on_terminate(struct pgr_worker *w, struct pgr_client *c)
{
	c->leaving = true;
	return FEED_END;
}

/* Messages of a request that has failed without a server. */
static enum feed
on_discarded(struct pgr_worker *w, struct pgr_client *c, char type, uint32_t size)
{
	bool simple = type == PGR_MSG_QUERY || type == PGR_MSG_FUNCTION_CALL;

	if (type == PGR_MSG_TERMINATE)
		return on_terminate(w, c);
	c->skip = size;
	c->skip_forward = false;
	if (type == PGR_MSG_SYNC || (simple && c->discard == PGR_DISCARD_REQUEST)) {
		pgr_wire_ready(pgr_vec_room(&w->back, PGR_WIRE_HEADER + 1), PGR_TXN_IDLE);
		c->discard = PGR_DISCARD_NONE;
	} else {
		c->discard = PGR_DISCARD_SYNC;
	}
	return FEED_NEXT;
}

static enum feed
on_message(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	char text[80];

	if (c->discard != PGR_DISCARD_NONE)
		return on_discarded(w, c, p[0], size);
	switch (p[0]) {
	case PGR_MSG_QUERY:
		return on_query(w, c, p, have, size);
	case PGR_MSG_PARSE:
		return on_parse(w, c, p, have, size);
	case PGR_MSG_BIND:
		return on_bind(w, c, p, have, size);
	case PGR_MSG_DESCRIBE:
	case PGR_MSG_CLOSE:
		return on_describe_or_close(w, c, p, have, size);
	case PGR_MSG_EXECUTE:
		return on_execute(w, c, p, have, size);
	case PGR_MSG_SYNC:
		return on_sync(w, c, p, have, size);
	case PGR_MSG_FLUSH:
		return on_flush(w, c, p, have, size);
	case PGR_MSG_FUNCTION_CALL:
		return on_function_call(w, c, p, have, size);
	case PGR_MSG_COPY_DATA:
	case PGR_MSG_COPY_DONE:
	case PGR_MSG_COPY_FAIL:
		return on_copy(w, c, p, have, size);
	case PGR_MSG_TERMINATE:
		return on_terminate(w, c);
	default:
		snprintf(text, sizeof(text), "invalid frontend message type %d", (unsigned char)p[0]);
		return fail_session(w, c, "08P01", text);
	}
}

/* Takes what it can use of [buf, buf + len); *ret_last says why it stopped. Nothing is sent here but
 * when the pieces run out. */
static size_t
feed(struct pgr_worker *w, struct pgr_client *c, const char *buf, size_t len, enum feed *ret_last)
{
	const char *p = buf;
	const char *end = buf + len;

	*ret_last = FEED_NEXT;
	while (p < end && *ret_last == FEED_NEXT) {
		uint32_t size;

		if (c->skip > 0) {
			uint32_t n = (uint32_t)PGR_MIN((size_t)c->skip, (size_t)(end - p));

			if (c->skip_forward)
				pgr_vec_add(&w->out, p, n);
			c->skip -= n;
			p += n;
			continue;
		}
		if (end - p < (ptrdiff_t)PGR_WIRE_HEADER) {
			*ret_last = need(c, PGR_WIRE_HEADER);
			break;
		}
		size = pgr_wire_size(p);
		if (size == 0) {
			*ret_last = fail_session(w, c, "08P01", "invalid message length");
			break;
		}
		if (!pgr_vec_roomy(&w->out) && c->leg.server != NULL)
			(void)pgr_stream_send(&c->leg.server->io, &w->out);
		if (!pgr_vec_roomy(&w->back))
			(void)pgr_stream_send(&c->io, &w->back);
		c->in_used = size;
		*ret_last = on_message(w, c, p, (size_t)(end - p), size);
		if (*ret_last == FEED_NEXT && c->skip != size)
			p += c->in_used;
	}
	return (size_t)(p - buf);
}

/* Input that cannot be used yet. */
static bool
keep(struct pgr_client *c, const char *rest, size_t len)
{
	if (len == 0) {
		free(c->in);
		c->in = NULL;
		c->in_len = c->in_cap = 0;
		return true;
	}
	if (rest >= c->in && rest < c->in + c->in_cap && c->in != NULL) {
		memmove(c->in, rest, len);
		c->in_len = (uint32_t)len;
		return true;
	}
	if (len > c->in_cap) {
		char *bigger = c->in == NULL ? malloc(len) : realloc(c->in, len); /* mostly it is the first */

		if (bigger == NULL)
			return false;
		c->in = bigger;
		c->in_cap = (uint32_t)len;
	}
	memcpy(c->in, rest, len);
	c->in_len = (uint32_t)len;
	return true;
}

/* Where the next read goes: the worker's buffer, or the client's own for what is larger. */
static char *
input_buffer(struct pgr_worker *w, struct pgr_client *c, size_t *ret_cap)
{
	if (c->in_need <= PGR_BUFFER && c->in_len < PGR_BUFFER) {
		if (c->in_len > 0)
			memcpy(w->buffer, c->in, c->in_len);
		*ret_cap = PGR_BUFFER;
		return w->buffer;
	}
	if (c->in_cap < c->in_need) {
		char *bigger = realloc(c->in, c->in_need);

		if (bigger == NULL)
			return NULL;
		c->in = bigger;
		c->in_cap = c->in_need;
	}
	*ret_cap = c->in_cap;
	return c->in;
}

/* Sends what the pieces point to, before any of it moves. */
static void
flush(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (s != NULL) {
		(void)pgr_stream_send(&s->io, &w->out); /* a broken one shows at its own read */
		/* answers of ours that wait for nothing of the server's */
		if (s->replies.count > 0 && pgr_replies_head(&s->replies)->kind >= PGR_REPLY_LOCAL_PARSE)
			pgr_back_locals(w, s, &w->back);
	} else {
		pgr_vec_reset(&w->out);
	}
	if (w->back.total > 0)
		(void)pgr_stream_send(&c->io, &w->back);
}

/* A session that ran out of memory ends. */
static void
exhausted(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	pgr_err_set(&err, "53200", "out of memory");
	pgr_client_fatal(w, c, &err);
}

/* Settings that do not fit into one statement: nothing of the client may run without them. */
static void
unfit(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	pgr_err_set(&err, "54000", "the settings of this session are too many to be applied");
	pgr_client_fatal(w, c, &err);
}

/* Reads once behind what is there already. False: nothing came, or the client has gone. */
static bool
read_more(struct pgr_worker *w, struct pgr_client *c, char *buf, size_t cap, size_t *have)
{
	enum pgr_rc rc = PGR_AGAIN;
	size_t n = 0;

	if (c->io.readable)
		rc = pgr_stream_read(&c->io, buf + *have, cap - *have, &n);
	if (rc == PGR_CLOSED) {
		c->gone = true;
		pgr_client_drop(w, c);
	}
	if (rc != PGR_OK)
		return false;
	pgr_stat_add(&c->leg.pool->stats->received, n);
	*have += n;
	return true;
}

/* Feeds what is there, or reads once and feeds. False: nothing more can be done now. */
static bool
turn(struct pgr_worker *w, struct pgr_client *c)
{
	size_t have = c->in_len;
	enum feed last;
	size_t used;
	size_t cap;
	char *buf;

	/* a client that does not read is read on: it may not read before it has written */
	if (c->state != PGR_SESSION_READY || c->stalled || pgr_leg_waits(&c->leg) ||
		c->io.rest_len > OWED_MOST)
		return false;
	if (c->leg.server != NULL && pgr_stream_blocked(&c->leg.server->io)) {
		c->stalled = true; /* what is read now could only be kept */
		return false;
	}
	if (have > 0 && have >= c->in_need) {
		buf = c->in; /* waited for something else than more input */
	} else {
		buf = input_buffer(w, c, &cap);
		if (buf == NULL) {
			exhausted(w, c);
			return false;
		}
		if (!read_more(w, c, buf, cap, &have))
			return false;
		if (have < c->in_need && buf == c->in) {
			c->in_len = (uint32_t)have;
			return c->io.readable;
		}
	}
	c->in_need = 0;
	used = feed(w, c, buf, have, &last);
	flush(w, c);
	if (!keep(c, buf + used, have - used))
		exhausted(w, c);
	else if (c->unfit)
		unfit(w, c);
	else if (last == FEED_END)
		pgr_client_finish(w, c);
	return last == FEED_NEXT || last == FEED_MORE || c->discard == PGR_DISCARD_REQUEST;
}

void
pgr_front_resume(struct pgr_worker *w, struct pgr_client *c)
{
	unsigned left = PGR_TURN_READS;
	struct pgr_server *s;

	c->stalled = c->outruns = false;
	while (turn(w, c) && (c->in_len > 0 || c->io.readable)) {
		if (c->in_len > 0 && c->in_need > c->in_len && !c->io.readable)
			break;
		if (--left == 0) {
			pgr_worker_yield(w, &c->watch);
			return;
		}
	}
	/* what was sent needs no answer (late COPY data, nothing at all): nobody else would end the lease */
	s = c->state == PGR_SESSION_READY && !c->stalled ? c->leg.server : NULL;
	if (s != NULL && s->replies.count == 0)
		pgr_back_release(w, s);
}

/*
 * The peer of a client whose input waits has closed. With a Terminate behind its last request that is
 * still to be done, as a server would do it; without one it has vanished.
 */
static bool
ends_politely(struct pgr_worker *w, struct pgr_client *c)
{
	static const char terminate[] = {PGR_MSG_TERMINATE, 0, 0, 0, 4};
	enum pgr_rc rc = PGR_OK;
	size_t n;

	while (rc == PGR_OK && c->in_len < PGR_BUFFER) {
		if (c->in_len > 0)
			memcpy(w->buffer, c->in, c->in_len);
		rc = pgr_stream_read(&c->io, w->buffer + c->in_len, PGR_BUFFER - c->in_len, &n);
		if (rc == PGR_OK && !keep(c, w->buffer, c->in_len + n))
			return false;
	}
	if (rc == PGR_OK) /* more than we hold: what stands at its end is not known */
		return !c->io.broken;
	c->io.readable = true; /* no event tells of the end again: who has used up the input reads it */
	return rc != PGR_CLOSED || (c->in_len >= sizeof(terminate) &&
		memcmp(c->in + c->in_len - sizeof(terminate), terminate, sizeof(terminate)) == 0);
}

bool
pgr_front_check_peer(struct pgr_worker *w, struct pgr_client *c)
{
	if (!c->io.hangup || !(c->stalled || pgr_leg_waits(&c->leg)) || ends_politely(w, c))
		return true;
	c->gone = true;
	pgr_client_drop(w, c);
	return false;
}

void
pgr_front_event(struct pgr_worker *w, struct pgr_client *c, uint32_t events)
{
	if (pgr_stream_blocked(&c->io)) {
		if (pgr_stream_drain(&c->io) == PGR_CLOSED) {
			pgr_client_drop(w, c);
			return;
		}
		if (pgr_stream_blocked(&c->io))
			return;
		/* what the server sent meanwhile waits in its socket */
		if (c->leg.server != NULL && c->leg.server->io.readable)
			pgr_back_run(w, c->leg.server);
	}
	if (c->state == PGR_SESSION_READY && pgr_front_check_peer(w, c) && c->io.readable && !c->stalled)
		pgr_front_resume(w, c);
}

void
pgr_front_fail_request(struct pgr_worker *w, struct pgr_client *c)
{
	(void)pgr_stream_send(&c->io, &w->back);
	c->discard = PGR_DISCARD_REQUEST;
	c->query_start = 0;
	pgr_front_resume(w, c);
}
