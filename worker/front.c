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
#include "worker/ask.h"
#include "worker/back.h"
#include "worker/catalog.h"
#include "worker/client.h"
#include "worker/effect.h"
#include "worker/lease.h"
#include "worker/portal.h"
#include "worker/prepared.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/statement.h"
#include "worker/text.h"

#define OWED_MOST (1u << 20)  /* unsent answers at which a client is not read any more */
#define PARSE_MOST (64u << 20) /* text of a prepared statement that is kept */
#define COMPARES_MOST 3        /* while what statements look like goes on changing */
#define ALONE_MOST 16          /* messages of a batch that is answered without a server */

/* What became of the message at hand. */
enum feed {
	FEED_NEXT, /* used; go on behind it */
	FEED_MORE, /* incomplete: c->in_need bytes must be there */
	FEED_WAIT, /* needs what is not there yet: a server, room, an answer */
	FEED_END,  /* the client is at its end */
};

static PGR_COLD enum feed
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

/* What is asked for from now on is of another batch. */
static inline void
begin_batch(struct pgr_server *s)
{
	s->batch_at = s->replies.head + s->replies.count;
}

void
pgr_front_begin_lease(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_slot *slot = pgr_server_slot(w, s);
	bool forget = !s->continued &&
		atomic_load_explicit(&s->pool->view.pool->sequences, memory_order_relaxed) != 0;

	c->leg.fresh = s->hurried = s->repeated = false;
	c->leg.compares = 0;
	s->kept_batch = s->kept = 0;
	if (atomic_load_explicit(&slot->startup, memory_order_relaxed) != 0)
		pgr_client_forget_settings(c); /* they are the server's */
	else if (forget || atomic_load_explicit(&slot->settings, memory_order_relaxed) != c->settings->hash)
		apply_settings(w, c, forget);
	begin_batch(s);
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
	else if (s->batch && c->query_start != 0 && !c->leg.fresh && !c->leg.tried && !s->settings_failed)
		return true; /* the messages before it have seen to all of that */
	else if (c->leg.held || c->leg.tried || c->leg.judging ||
		(!s->batch && !s->copy_in && s->replies.count > 0 && must_yield(c)))
		c->stalled = true;
	if (c->stalled)
		return false;
	return need_server(w, c);
}

/* The whole message streams to the server, as it is. */
static void
forward(struct pgr_client *c, uint32_t size)
{
	c->skip = size;
	c->skip_forward = true;
}

/* Is it known what functions and relations leave behind, as far as a text of now may call them? */
static inline bool
can_judge(const struct pgr_client *c)
{
	return PGR_LIKELY(pgr_catalog_judges(c->leg.server));
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

	if (s->batch || s->replies.count == 0 || !pgr_text_is_unsure(c))
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

/* Its Sync was noted. */
static inline void
end_batch(struct pgr_server *s)
{
	s->replies.batch++;
	s->batch = false;
	s->unnamed_pending = 0;
	begin_batch(s);
}

/* Instead of the Query something fails on the server, so that a transaction fails with it. */
static PGR_COLD enum feed
query_refused(
	struct pgr_worker *w, struct pgr_client *c, struct pgr_reading *reading, uint32_t size)
{
	struct pgr_server *s = c->leg.server;

	pgr_ask_read(w, c, PGR_REPLY_REFUSED, reading);
	pgr_back_spoil(&w->out);
	(void)pgr_ask(c, PGR_REPLY_SYNC);
	pgr_wire_bare(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_SYNC);
	end_batch(s);
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
	reading = whole ? pgr_text_read(w, c, text, len) : pgr_reading_unread(PGR_PIN_UNREAD_REASON);
	if (reading != NULL && ((reading->pin != PGR_PIN_NONE_REASON && refuses_pins(c)) ||
			(reading->sequence && !may_ask_sequence(c, reading))))
		return query_refused(w, c, reading, size);
	/* the server ignores it when it is skipping to a Sync; otherwise it ends the batch's statements */
	pgr_ask_read(w, c, PGR_REPLY_QUERY, reading);
	if (!c->leg.server->skipping && c->unnamed != NULL) {
		pgr_statement_unref(w->statements, c->unnamed);
		c->unnamed = NULL;
	}
	begin_batch(c->leg.server);
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
	pgr_ask_read(w, c, PGR_REPLY_FUNCTION, is_known_function(pgr_get32(p + PGR_WIRE_HEADER))
			? NULL : pgr_reading_unread(PGR_PIN_FUNCTION_REASON));
	forward(c, size);
	return FEED_NEXT;
}

/* Parse of a name that the client has: let the server say what it says to a second Parse. */
static enum feed
parse_duplicate(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named)
{
	pgr_prepared_ensure(w, c, named->statement);
	c->leg.server->batch = true;
	pgr_prepared_parse(w, c, named->statement, named, true);
	return FEED_NEXT;
}

static enum feed
parse_unnamed(struct pgr_worker *w, struct pgr_client *c, const char *p, const char *tail,
	uint32_t tail_len, uint32_t size)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_statement *st = pgr_statements_unnamed(w->statements, tail, tail_len);
	struct pgr_reply *r = pgr_ask(c, PGR_REPLY_PARSE);

	if (st == NULL)
		return fail_session(w, c, "53200", "out of memory");
	if (r->kind == PGR_REPLY_NONE) { /* skipped: it is never parsed */
		pgr_statement_unref(w->statements, st);
	} else {
		pgr_text_read_statement(w, c, st);
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
static PGR_COLD enum feed
refused_in_batch(struct pgr_worker *w, struct pgr_client *c, struct pgr_reading *reading)
{
	pgr_ask_read(w, c, PGR_REPLY_REFUSED, reading);
	pgr_back_spoil(&w->out);
	c->leg.server->batch = true;
	return FEED_NEXT;
}

/* The same for a Bind of size bytes. */
static PGR_COLD enum feed
bind_refused(struct pgr_client *c, uint32_t size)
{
	c->skip = size;
	c->skip_forward = false;
	return FEED_NEXT;
}

/* The client would read the rows by what it was told of others, or has encoded values for others. */
static PGR_COLD enum feed
refused_as_changed(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named, uint32_t size)
{
	(void)pgr_ask_named(c, PGR_REPLY_REFUSED, named);
	pgr_back_spoil(&w->out);
	c->leg.server->batch = true;
	return bind_refused(c, size);
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
	if (named != NULL && pgr_prepared_is_cleared(c, named)) {
		pgr_names_remove(w->statements, c->names, named);
		named = NULL;
	}
	if (named != NULL)
		return parse_duplicate(w, c, named);
	if (!pgr_names_have_room(c->names, name_len, tail_len))
		return refused_in_batch(w, c, NULL);
	named = pgr_prepared_add(w, c, name, name_len, tail, tail_len);
	if (named == NULL)
		return fail_session(w, c, "53200", "out of memory");
	st = named->statement;
	there = pgr_prepared_is_there(w, c, st);
	if (there && s->status == PGR_TXN_FAILED) { /* in which the server refuses most of them itself */
		pgr_prepared_close(w, c, st->hash, st->name);
		there = false;
	}
	if (there && earlier_is_owed(s)) { /* it may leave a failed transaction behind */
		pgr_names_remove(w->statements, c->names, named);
		return wait_for_earlier(c);
	}
	if (there) {
		pgr_ask(c, PGR_REPLY_LOCAL_PARSE)->named = pgr_named_ref(named);
	} else {
		pgr_prepared_evict(w, c);
		pgr_prepared_parse(w, c, st, named, false);
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

static enum feed
parse_alone(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	if (pgr_prepared_add(w, c, name, name_len, tail, tail_len) == NULL)
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
	struct pgr_reading *reading = pgr_text_read(w, c, tail, strlen(tail));

	pgr_client_pin(w, c, PGR_PIN_UNTRACKED_REASON, true);
	pgr_ask_read(w, c, PGR_REPLY_PARSE, reading);
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
		pgr_prepared_is_known(w, c, name, (size_t)len, tail, tail_len))
		return parse_alone(w, c, name, (size_t)len, tail, tail_len);
	if (!may_send(w, c) || must_wait_to_read(c) ||
		(!can_judge(c) && pgr_catalog_must_wait(w, c->leg.server, tail, strlen(tail))))
		return FEED_WAIT;
	pgr_stat_add(&c->leg.pool->stats->client_parse_count, 1);
	if (refuses_pins(c)) {
		reading = pgr_text_read(w, c, tail, strlen(tail));
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

/* Does the message have to be whole because settings come from its values? */
static bool
values_matter(const struct pgr_client *c, const char *name, size_t name_len)
{
	const struct pgr_named *named =
		c->tracks && name_len > 0 ? pgr_names_find(c->names, name, name_len) : NULL;
	const struct pgr_reading *reading = name_len == 0 ? pgr_prepared_unnamed_reading(c)
		: named != NULL ? named->statement->reading : NULL;

	return reading != NULL && reading->n_params > 0;
}

/* A Bind, and what is there behind it. */
struct bind {
	const char *p;
	size_t have;
	uint32_t size;
	const char *portal;
	size_t portal_len;
	const char *name;
	size_t name_len;
};

/* Is the next message the Describe of its portal? AGAIN: it is not there yet, as far as c->in_need says. */
static enum pgr_rc
is_described(struct pgr_client *c, const struct bind *b)
{
	const char *next = b->p + b->size;
	size_t size = PGR_WIRE_HEADER + 1 + b->portal_len + 1;
	size_t behind = b->have > b->size ? b->have - b->size : 0;

	if (b->size > PGR_BUFFER / 2)
		return PGR_FAIL; /* that much is not waited for */
	if (behind < PGR_WIRE_HEADER) {
		c->in_need = b->size + PGR_WIRE_HEADER; /* a Bind alone is not answered: more comes */
		return PGR_AGAIN;
	}
	if (next[0] != PGR_MSG_DESCRIBE || pgr_wire_size(next) != size)
		return PGR_FAIL;
	c->in_need = b->size + (uint32_t)size;
	return behind < size ? PGR_AGAIN : next[PGR_WIRE_HEADER] == 'P' &&
			memcmp(next + PGR_WIRE_HEADER + 1, b->portal, b->portal_len + 1) == 0 ? PGR_OK : PGR_FAIL;
}

/* Is the answer, or the values at hand, not what the client was told that the statement looks like? */
static inline bool
is_told_otherwise(const struct pgr_description *told, const struct pgr_description *said)
{
	return told->rows != said->rows || told->rows == 0 ||
		(told->params != said->params && told->params != 0);
}

static uint32_t
hash_of_portal(const struct pgr_worker *w, const char *name, size_t len)
{
	return len == 0 ? 0 : (uint32_t)pgr_hash64(&w->shm->seg->hash_key, name, len) | 1;
}

static void
forget_portal(struct pgr_worker *w, struct pgr_client *c)
{
	pgr_named_unref(w->statements, c->portal);
	c->portal = NULL;
}

/*
 * Then it asks now, or has never asked, or must not have it. NEXT: it may be sent. WAIT, MORE: the server is
 * asked first what it looks like, or more is to be read. END: it is refused.
 */
static PGR_COLD enum feed
settle_description(struct pgr_worker *w, struct pgr_client *c, const struct bind *b, struct pgr_named *named,
	const struct pgr_description *said)
{
	const struct pgr_description *told = &named->told;
	bool fits = told->rows == 0 || told->rows == said->rows;
	enum pgr_rc described = PGR_FAIL;

	if (c->leg.server->skipping)
		return FEED_NEXT;
	if (!fits) {
		described = is_described(c, b);
		if (described == PGR_AGAIN)
			return FEED_MORE;
		c->in_need = 0;
	}
	if ((!fits && described != PGR_OK) || (told->params != said->params && told->params != 0)) {
		if (c->leg.compares > 0 && (said->rows != 0 || c->leg.compares == COMPARES_MOST))
			return FEED_END;
		c->leg.compares++;
		pgr_prepared_compare(w, c, named);
		return FEED_WAIT;
	}
	forget_portal(w, c);
	c->portal = pgr_named_ref(named);
	c->portal_hash = hash_of_portal(w, b->portal, b->portal_len);
	return FEED_NEXT;
}

/* What an Execute of its portal would run. */
static void
note_portal(struct pgr_worker *w, struct pgr_client *c, const struct bind *b, struct pgr_reading *reading)
{
	const char *end = b->p + PGR_MIN(b->have, (size_t)b->size);

	reading = reading != NULL && reading->n_params > 0
		? pgr_reading_bind(reading, b->name + b->name_len + 1, end) : pgr_reading_ref(reading);
	if (!pgr_portal_bind(c, b->portal, b->portal_len, reading))
		pgr_client_pin(w, c, PGR_PIN_SETTINGS_REASON, true);
}

/* The Bind is counted, and its portal noted. False: the client must not have what it asks for. */
static inline bool
may_bind(struct pgr_worker *w, struct pgr_client *c, const struct bind *b, struct pgr_reading *reading)
{
	pgr_stat_add(&c->leg.pool->stats->bind_count, 1);
	if (reading != NULL && reading->sequence && !may_ask_sequence(c, reading)) {
		(void)refused_in_batch(w, c, pgr_reading_ref(reading));
		return false;
	}
	if (reading != NULL || c->bound != NULL || c->portals != NULL) /* mostly nothing is */
		note_portal(w, c, b, reading);
	return true;
}

static enum feed
bind_named(struct pgr_worker *w, struct pgr_client *c, const struct bind *b, struct pgr_named *named,
	const struct pgr_description *said)
{
	struct pgr_reading *reading = named->statement->reading;
	struct pgr_server *s = c->leg.server;
	enum feed settled = FEED_NEXT;
	uint32_t used;

	if (PGR_UNLIKELY(is_told_otherwise(&named->told, said)))
		settled = settle_description(w, c, b, named, said);
	else if (PGR_UNLIKELY(c->portal != NULL))
		forget_portal(w, c);
	if (settled == FEED_WAIT || settled == FEED_MORE)
		return settled;
	c->leg.compares = 0;
	if (settled == FEED_END)
		return refused_as_changed(w, c, named, b->size);
	if (!may_bind(w, c, b, reading))
		return bind_refused(c, b->size);
	(void)pgr_ask_named(c, PGR_REPLY_BIND, named);
	if (s->kept_batch != s->replies.batch)
		pgr_prepared_keep(s, b->p, b->have);
	s->batch = true;
	used = (uint32_t)(PGR_WIRE_HEADER + b->portal_len + 1 + b->name_len + 1);
	pgr_wire_header(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_BIND,
		b->size - PGR_WIRE_HEADER - b->name_len + PGR_STATEMENT_NAME);
	pgr_vec_add(&w->out, b->portal, b->portal_len + 1);
	pgr_vec_add(&w->out, named->statement->name, PGR_STATEMENT_NAME + 1);
	c->skip = b->size - used;
	c->skip_forward = true;
	c->in_used = used;
	return FEED_NEXT;
}

/* Of the unnamed statement, or of one that the server does not know either. */
static enum feed
bind_as_it_is(struct pgr_worker *w, struct pgr_client *c, const struct bind *b)
{
	struct pgr_reading *reading = b->name_len == 0 ? pgr_prepared_unnamed_reading(c) : NULL;

	if (c->portal != NULL)
		forget_portal(w, c);
	if (!may_bind(w, c, b, reading))
		return bind_refused(c, b->size);
	(void)pgr_ask(c, PGR_REPLY_BIND);
	c->leg.server->batch = true;
	forward(c, b->size);
	return FEED_NEXT;
}

static enum feed
on_bind(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *portal = p + PGR_WIRE_HEADER;
	const char *end = p + PGR_MIN(have, (size_t)size);
	ptrdiff_t portal_len = pgr_wire_string(portal, end);
	const char *name = portal + portal_len + 1;
	ptrdiff_t name_len = portal_len < 0 ? -1 : pgr_wire_string(name, end);
	struct bind b = {p, have, size, portal, (size_t)portal_len, name, (size_t)name_len};
	const struct pgr_description *said;
	struct pgr_named *named;

	if (name_len < 0) {
		if (have >= size || have >= PGR_BUFFER / 2)
			return fail_session(w, c, "08P01", "invalid Bind message");
		return need(c, (uint32_t)have + 1);
	}
	if (have < size && size <= PGR_READING_MOST && values_matter(c, name, b.name_len))
		return need(c, size);
	if (!may_send(w, c))
		return FEED_WAIT;
	if (is_unproved(c, name, b.name_len))
		return wait_for_earlier(c);
	if ((name_len > 0 || c->leg.server->unnamed_pending == 0) && !can_judge(c) &&
		must_wait_to_bind(w, c, name, b.name_len))
		return FEED_WAIT;
	if (name_len > 0) {
		named = pgr_prepared_find(w, c, name, b.name_len, &said);
		if (named != NULL)
			return bind_named(w, c, &b, named, said);
	} else {
		pgr_prepared_ensure_unnamed(w, c);
	}
	return bind_as_it_is(w, c, &b);
}

static void
close_named(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_named *named = pgr_names_find(c->names, name, len);
	struct pgr_reply *r = pgr_ask(c, PGR_REPLY_LOCAL_CLOSE);

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

/* The Describe of a portal, noted as r: if it is the one bound last, what its statement looks like is kept. */
static PGR_COLD void
keep_description(struct pgr_worker *w, struct pgr_client *c, struct pgr_reply *r, const char *name, size_t len)
{
	if (r->kind == PGR_REPLY_NONE || hash_of_portal(w, name, len) != c->portal_hash)
		return;
	r->named = pgr_named_ref(c->portal);
	r->statement = pgr_statement_ref(c->portal->statement);
}

/* Describe and Close: 'S' or 'P' and a name. */
static enum feed
on_describe_or_close(
	struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
	const char *name = p + PGR_WIRE_HEADER + 1;
	bool closes = p[0] == PGR_MSG_CLOSE;
	const struct pgr_description *said;
	struct pgr_named *named = NULL;
	struct pgr_reply *r;
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
		pgr_prepared_ensure_unnamed(w, c);
	else if (statement && !closes)
		named = pgr_prepared_find(w, c, name, (size_t)len, &said);
	r = pgr_ask_named(c, closes ? PGR_REPLY_CLOSE : PGR_REPLY_DESCRIBE, named);
	if (named == NULL) {
		if (c->portal != NULL && !statement && !closes)
			keep_description(w, c, r, name, (size_t)len);
		pgr_vec_add(&w->out, p, size);
		return FEED_NEXT;
	}
	r->statement = r->kind != PGR_REPLY_NONE ? pgr_statement_ref(named->statement) : NULL;
	if (c->leg.server->kept_batch != c->leg.server->replies.batch)
		pgr_prepared_keep(c->leg.server, p, have);
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
	pgr_ask_read(w, c, PGR_REPLY_EXECUTE, reading);
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
		(void)pgr_ask(c, PGR_REPLY_SYNC);
		end_batch(s);
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
		(void)pgr_ask(c, PGR_REPLY_COPY_END);
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

static PGR_COLD enum feed
on_unknown(struct pgr_worker *w, struct pgr_client *c, char type)
{
	char text[80];

	snprintf(text, sizeof(text), "invalid frontend message type %d", (unsigned char)type);
	return fail_session(w, c, "08P01", text);
}

static enum feed
on_message(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, uint32_t size)
{
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
		return on_unknown(w, c, p[0]);
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
