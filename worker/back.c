/*
 * The way from server to client. Each message is matched with the head of the queue of owed replies:
 * a client's goes on, ours is swallowed, and where the server was not asked our answer is put in.
 * What needs no look streams through in whole runs; only small messages that decide something are
 * waited for until they are complete. Called by server.c (events) and lease.c.
 */
#include "worker/back.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/error.h"
#include "worker/cancel.h"
#include "worker/catalog.h"
#include "worker/client.h"
#include "worker/effect.h"
#include "worker/front.h"
#include "worker/home.h"
#include "worker/lease.h"
#include "worker/login.h"
#include "worker/pin.h"
#include "worker/portal.h"
#include "worker/prepared.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/settle.h"
#include "worker/statement.h"

#define WHOLE_MOST (PGR_BUFFER / 2) /* longer errors and notices go on without a look */
#define HINDRANCES_MOST 100 /* times that settings are sent again */
#define UNASKED_MOST 16 /* reads of what nobody asked for; whoever has more to say is not used */

/* Does what the server says now go to the client? */
static bool
forwards(struct pgr_server *s)
{
	const struct pgr_reply *head = pgr_replies_head(&s->replies);

	/* without its settings the client's query has run as another's: what came of that is not for it */
	return s->leg != NULL && !s->settings_failed && (head == NULL || !head->ours);
}

static void
pass_on(struct pgr_worker *w, struct pgr_server *s, const char *p, size_t len)
{
	if (forwards(s))
		pgr_vec_add(&w->out, p, len);
}

static void
release_reply(struct pgr_worker *w, struct pgr_server *s, struct pgr_reply *r)
{
	pgr_statement_unref(w->statements, r->statement);
	pgr_named_unref(w->statements, r->named);
	if (r->reading == NULL)
		return;
	s->tuning -= r->tunes;
	s->retuning -= r->reading->retunes;
	s->resetting -= r->reading->resets;
	s->clearing -= r->reading->clears;
	s->making -= r->reading->makes;
	s->committing -= r->reading->commits;
	pgr_reading_unref(r->reading);
}

void
pgr_back_spoil(struct pgr_vec *vec)
{
	static const char portal[] = "pgroute: nobody has such a portal";
	char *body = pgr_wire_header(pgr_vec_room(vec, PGR_WIRE_HEADER + sizeof(portal) + 4),
		PGR_MSG_EXECUTE, sizeof(portal) + 4);

	memcpy(body, portal, sizeof(portal));
	pgr_put32(body + sizeof(portal), 0);
}

void
pgr_back_locals(struct pgr_worker *w, struct pgr_server *s, struct pgr_vec *vec)
{
	struct pgr_reply *r;

	while ((r = pgr_replies_head(&s->replies)) != NULL) {
		if (r->kind == PGR_REPLY_LOCAL_PARSE && s->leg != NULL)
			pgr_wire_bare(pgr_vec_room(vec, PGR_WIRE_HEADER), PGR_MSG_PARSE_COMPLETE);
		else if (r->kind == PGR_REPLY_LOCAL_CLOSE && s->leg != NULL)
			pgr_wire_bare(pgr_vec_room(vec, PGR_WIRE_HEADER), PGR_MSG_CLOSE_COMPLETE);
		else if (r->kind < PGR_REPLY_LOCAL_PARSE)
			return;
		release_reply(w, s, r);
		pgr_replies_pop(&s->replies);
		if (!pgr_vec_roomy(vec) && s->leg != NULL)
			(void)pgr_stream_send(&s->leg->client->io, vec);
	}
}

/* The head was answered: it goes, and what we have to answer behind it is answered. */
static void
answered(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_reply *r = pgr_replies_head(&s->replies);

	if (r->statement != NULL || r->named != NULL || r->reading != NULL)
		release_reply(w, s, r);
	pgr_replies_pop(&s->replies);
	r = pgr_replies_head(&s->replies);
	if (r != NULL && r->kind >= PGR_REPLY_LOCAL_PARSE)
		pgr_back_locals(w, s, &w->out);
}

static bool
head_is(struct pgr_server *s, enum pgr_reply_kind kind)
{
	const struct pgr_reply *r = pgr_replies_head(&s->replies);

	return r != NULL && r->kind == kind;
}

/* What was asked for will not be answered. */
static void
undo(struct pgr_worker *w, struct pgr_server *s, struct pgr_reply *r)
{
	struct pgr_client *c = pgr_server_client(s);

	pgr_replies_leave(&s->replies, r);
	if (r->kind == PGR_REPLY_PARSE && r->unnamed && s->unnamed_pending > 0)
		s->unnamed_pending--;
	if (c != NULL && r->kind == PGR_REPLY_BIND)
		pgr_portal_doubt(c);
	if (c != NULL && r->named != NULL && !r->ours &&
		(r->kind == PGR_REPLY_PARSE || r->kind == PGR_REPLY_LOCAL_PARSE))
		pgr_names_remove(w->statements, c->names, r->named);
	if (c != NULL && r->named != NULL && r->kind == PGR_REPLY_LOCAL_CLOSE)
		pgr_names_restore(w->statements, &c->names, r->named);
}

/* The same for the first n, the youngest at first: a name may have changed its meaning twice. */
static void
undo_first(struct pgr_worker *w, struct pgr_server *s, uint32_t n)
{
	for (uint32_t i = n; i > 0; i--)
		undo(w, s, pgr_replies_at(&s->replies, i - 1));
}

static void
drop_head(struct pgr_worker *w, struct pgr_server *s)
{
	release_reply(w, s, pgr_replies_head(&s->replies));
	pgr_replies_pop(&s->replies);
}

/* What the server skips until the next Sync will not be answered. */
static void
drop_to_sync(struct pgr_worker *w, struct pgr_server *s)
{
	uint32_t n = 0;

	while (n < s->replies.count && pgr_replies_at(&s->replies, n)->kind != PGR_REPLY_SYNC)
		n++;
	s->skipping = n == s->replies.count;
	undo_first(w, s, n);
	for (; n > 0; n--)
		drop_head(w, s);
}

/* Where msg has the server's name of the statement that the message at the head is about; or NULL. */
static const char *
find_our_name(struct pgr_server *s, const char *msg)
{
	const struct pgr_reply *head = pgr_replies_head(&s->replies);

	return head != NULL && head->named != NULL ? strstr(msg, head->named->statement->name) : NULL;
}

/* Passes on an ErrorResponse with the server's name of a statement replaced by the client's. */
static void
pass_error(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	struct pgr_error e;
	const char *at;
	struct pgr_out out;
	char text[2048];
	char code;
	const char *value;
	size_t pos = 0;
	size_t begun;

	pgr_error_parse(p + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER, &e);
	at = size < sizeof(text) ? find_our_name(s, e.message) : NULL;
	if (at == NULL) {
		pgr_vec_add(&w->out, p, size);
		return;
	}
	pgr_out_init(&out, text, sizeof(text));
	begun = pgr_out_begin(&out, PGR_MSG_ERROR);
	while (pgr_error_next(p + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER, &pos, &code, &value)) {
		pgr_out_byte(&out, code);
		if (code == 'M') {
			pgr_out_bytes(&out, e.message, (size_t)(at - e.message));
			pgr_out_text(&out, pgr_replies_head(&s->replies)->named->name);
			value = at + PGR_STATEMENT_NAME;
		}
		pgr_out_string(&out, value);
	}
	pgr_out_byte(&out, '\0');
	pgr_out_end(&out, begun);
	if (out.full)
		pgr_vec_add(&w->out, p, size);
	else
		memcpy(pgr_vec_room(&w->out, out.len), text, out.len);
}

static void
tell_unwanted(struct pgr_worker *w, const struct pgr_server *s, const struct pgr_reading *reading)
{
	struct pgr_err err;

	pgr_err_set(&err, "0A000", "not allowed here: %s", pgr_pin_text(reading->pin));
	pgr_err_hint(&err, "It would stay with the server connection, and on_session_feature of database "
		"\"%s\" is error. Use pool_mode session, or on_session_feature pin.",
		s->pool->view.pool->database);
	pgr_client_error(&w->out, PGR_SEVERITY_ERROR, &err);
}

static void
tell_unknown(struct pgr_worker *w)
{
	struct pgr_err err;

	pgr_err_set(&err, "55000", "what currval() and lastval() would answer has gone with the server connection");
	pgr_err_hint(&err, "Use RETURNING, or ask in the transaction that has called nextval().");
	pgr_client_error(&w->out, PGR_SEVERITY_ERROR, &err);
}

static void
tell_too_many(struct pgr_worker *w)
{
	struct pgr_err err;

	pgr_err_set(&err, "53400", "too many prepared statements in this session");
	pgr_err_hint(&err, "A session keeps at most %u, and %zu MB of their texts: close some.",
		PGR_NAMES_MOST, PGR_NAMES_BYTES >> 20);
	pgr_client_error(&w->out, PGR_SEVERITY_ERROR, &err);
}

/* In PostgreSQL's own words, by which drivers know that they have to prepare it once more. */
static void
tell_changed(struct pgr_worker *w)
{
	static const char fields[] = "SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0"
				     "Fplancache.c\0RRevalidateCachedQuery\0";
	char *body = pgr_wire_header(
		pgr_vec_room(&w->out, PGR_WIRE_HEADER + sizeof(fields)), PGR_MSG_ERROR, sizeof(fields));

	memcpy(body, fields, sizeof(fields));
}

static bool
is_simple(const struct pgr_reply *r)
{
	return r->kind == PGR_REPLY_QUERY || r->kind == PGR_REPLY_FUNCTION;
}

/*
 * Startup values could not be put back: a short statement_timeout, a role that must not set them. Where
 * nothing else is at stake all settings can be set anew.
 */
static bool
may_begin_anew(const struct pgr_server *s, const struct pgr_reply *head)
{
	return head->purpose == PGR_PURPOSE_RESTORE && s->status == PGR_TXN_IDLE && s->leg != NULL &&
		s->leg->client->pin == PGR_PIN_NONE_REASON;
}

/* What the head of the queue asked for has failed, and with it all that the server will skip now. */
static void
failed(struct pgr_worker *w, struct pgr_server *s)
{
	const struct pgr_reply *head = pgr_replies_head(&s->replies);

	s->copy_in = false;
	if (s->hindered || (head != NULL && head->purpose >= PGR_PURPOSE_CATALOG))
		return; /* it is sent again, or it only wanted to know */
	if (head != NULL && head->purpose == PGR_PURPOSE_PROBE)
		s->found = true; /* a short statement_timeout, a late cancel: nothing was learnt */
	else if (head != NULL && may_begin_anew(s, head))
		s->cycle.unrestored = true;
	else if (head != NULL && is_simple(head) && head->ours)
		s->settings_failed = true;
	else
		s->doomed = s->cycle.eventful = true;
	if (head != NULL && head->kind == PGR_REPLY_EXECUTE)
		pgr_effect_ran(s, head);
	if (head != NULL && !is_simple(head) && head->kind != PGR_REPLY_SYNC)
		drop_to_sync(w, s);
}

/* Were settings ended by a limit that another client has set? */
static bool
is_hindrance(const struct pgr_server *s, const struct pgr_reply *head, const struct pgr_error *e)
{
	return head != NULL && head->purpose == PGR_PURPOSE_SETTINGS && s->hurried &&
		s->hindrances < HINDRANCES_MOST && strcmp(e->sqlstate, "57014") == 0;
}

/* Of the batch at the head nothing was done, nor told: it is sent again when the server is ready for it. */
static void
repeat(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_reply *end;

	drop_to_sync(w, s);
	end = pgr_replies_head(&s->replies);
	end->ours = true;
	end->purpose = PGR_PURPOSE_AGAIN;
	s->repeated = true;
	s->leg->tried = true; /* nothing that the client sends meanwhile goes before it */
}

static void
on_error(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	struct pgr_reply *head = pgr_replies_head(&s->replies);
	bool ours = head != NULL && is_simple(head) && head->ours;
	struct pgr_error e;

	pgr_error_parse(p + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER, &e);
	s->cycle.syntax = s->cycle.statement == 0 && strcmp(e.sqlstate, "42601") == 0;
	s->hindered = is_hindrance(s, head, &e);
	if (PGR_UNLIKELY(pgr_prepared_is_stale(w, s, &e))) {
		repeat(w, s);
		return;
	}
	/* one client must learn what is wrong with its settings; the rest of ours is nobody's business, but for
	 * last words */
	if (s->leg != NULL && !s->settings_failed && !s->hindered && (!ours || head->purpose == PGR_PURPOSE_SETTINGS ||
			(head->purpose == PGR_PURPOSE_CATALOG && e.severity >= PGR_SEVERITY_FATAL) ||
			(head->purpose == PGR_PURPOSE_RESTORE && !may_begin_anew(s, head)))) {
		/* the server has failed as it was made to (front.c): the client is told why */
		if (head_is(s, PGR_REPLY_REFUSED) && head->reading != NULL &&
			head->reading->pin != PGR_PIN_NONE_REASON)
			tell_unwanted(w, s, head->reading);
		else if (head_is(s, PGR_REPLY_REFUSED) && head->reading != NULL)
			tell_unknown(w);
		else if (head_is(s, PGR_REPLY_REFUSED) && head->named != NULL)
			tell_changed(w);
		else if (head_is(s, PGR_REPLY_REFUSED))
			tell_too_many(w);
		else
			pass_error(w, s, p, size);
		pgr_stat_add(&s->pool->stats->errors, 1);
		s->told_fatal = ours;
	}
	s->told_fatal = s->told_fatal || e.severity >= PGR_SEVERITY_FATAL;
	if (ours && head->purpose == PGR_PURPOSE_CATALOG)
		pgr_catalog_failed(s, &e);
	failed(w, s);
}

static void
on_parse_complete(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_reply *r = pgr_replies_head(&s->replies);
	struct pgr_client *c = pgr_server_client(s);

	pgr_stat_add(&s->pool->stats->server_parse_count, 1);
	if (!r->unnamed) {
		pgr_replies_leave(&s->replies, r);
		if ((r->hash.lo | r->hash.hi) != 0)
			pgr_slot_statement_add(pgr_server_cold(w, s), r->hash);
		return;
	}
	if (s->unnamed_pending > 0)
		s->unnamed_pending--;
	atomic_store_explicit(&pgr_server_slot(w, s)->unnamed,
		r->statement != NULL ? r->statement->tag : 0, memory_order_relaxed);
	if (c != NULL && !r->ours) {
		pgr_statement_unref(w->statements, c->unnamed);
		c->unnamed = r->statement;
		r->statement = NULL;
	}
}

/* Of a Close of ours; one without a hash was of the unnamed statement. */
static void
on_close_complete(struct pgr_worker *w, struct pgr_server *s)
{
	const struct pgr_reply *r = pgr_replies_head(&s->replies);

	pgr_replies_leave(&s->replies, r);
	if ((r->hash.lo | r->hash.hi) != 0)
		pgr_slot_statement_remove(pgr_server_cold(w, s), r->hash);
}

/* A small message that answers the head of the queue. False: it does not, the server is out of step. */
static bool
on_answer(struct pgr_worker *w, struct pgr_server *s, enum pgr_reply_kind kind, const char *p,
	uint32_t size)
{
	struct pgr_reply *r = pgr_replies_head(&s->replies);

	if (PGR_SUSPECT(!head_is(s, kind)))
		return false;
	pass_on(w, s, p, size);
	if (kind == PGR_REPLY_PARSE)
		on_parse_complete(w, s);
	else if (kind == PGR_REPLY_CLOSE && r->ours)
		on_close_complete(w, s);
	answered(w, s);
	return true;
}

static void
on_complete(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	struct pgr_reply *r = pgr_replies_head(&s->replies);

	pass_on(w, s, p, size);
	if (r == NULL)
		return;
	if (r->reading != NULL && p[size - 1] == '\0')
		pgr_effect_complete(w, s, r, p + PGR_WIRE_HEADER);
	if (!r->ours && p[size - 1] == '\0')
		pgr_catalog_note(s, r, p + PGR_WIRE_HEADER);
	s->cycle.statement++;
	if (r->kind == PGR_REPLY_EXECUTE) {
		pgr_effect_ran(s, r);
		pgr_stat_add(&s->pool->stats->query_count, 1);
		answered(w, s);
	}
}

/* What was held back goes to the client, as far as it has become something else. */
static void
report_held(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	const struct pgr_slot_cold *cold = pgr_server_cold(w, s);

	if (w->out.scratch_used > PGR_VEC_SCRATCH / 2)
		(void)pgr_stream_send(&c->io, &w->out);
	pgr_settings_report(&w->out, cold->reported,
		PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES), c->settings, c->told);
	pgr_settings_unref(c->told);
	c->told = NULL;
}

/* A setting that its client asked for at login, as the server spells it. */
static void
on_greeting(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, const char *name,
	const char *value)
{
	struct pgr_err err;

	if (pgr_settings_with(c->settings, name, value, &c->settings, &err) == PGR_OK)
		pgr_settings_applied(pgr_server_slot(w, s), pgr_server_cold(w, s), c->settings);
}

static void
on_parameter(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	const char *name = p + PGR_WIRE_HEADER;
	const char *end = p + size;
	ptrdiff_t name_len = pgr_wire_string(name, end);
	const char *value = name + name_len + 1;
	struct pgr_reply *head = pgr_replies_head(&s->replies);
	bool ours = head != NULL && head->ours;
	struct pgr_client *c = pgr_server_client(s);

	if (c == NULL || name_len < 0 || pgr_wire_string(value, end) < 0 || !pgr_settings_tracked(name)) {
		pass_on(w, s, p, size);
		return;
	}
	if (ours && c->state == PGR_SESSION_GREET) {
		on_greeting(w, s, c, name, value);
		return;
	}
	/* the server spells in its own way what we have just set; that is known */
	if (ours && head->purpose != PGR_PURPOSE_RESTORE)
		return;
	pgr_effect_report(w, s, name, value);
	/* what a RESET has changed is held back: startup values follow, and what differs then is told */
	if (c->told == NULL)
		pgr_vec_add(&w->out, p, size);
}

/* Half of a message that the client is sending: nothing of ours may come in between. */
static bool
half_sent(const struct pgr_client *c)
{
	return c->skip > 0 && c->skip_forward;
}

/*
 * Is this the moment to put startup values back? Behind everything that was asked for, not in a batch,
 * which would end, and not while a transaction has failed: then it is too late for a part of it, and the
 * end of it undoes the rest.
 */
static bool
may_restore(const struct pgr_server *s, const struct pgr_client *c, uint32_t owed)
{
	return c->restore != NULL && s->replies.count == owed && s->status != PGR_TXN_FAILED &&
		!s->batch && !s->copy_in && !half_sent(c);
}

/* The startup values are back, or were never gone. */
static void
end_restore(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	bool held = c->leg.held;

	c->leg.held = false;
	pgr_effect_restored(w, s);
	if (c->told != NULL)
		report_held(w, s, c);
	if (!held)
		return;
	pgr_wire_ready(pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1), s->status);
	pgr_client_cycle_done(w, c, s->status);
}

/* A ReadyForQuery of what a client asked for. */
static void
on_client_ready(
	struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, const char *p, uint32_t size)
{
	if (s->settings_failed)
		return; /* the session ends */
	s->repeated = false;
	s->refused_block = s->status != PGR_TXN_IDLE && c->mode == PGR_MODE_STATEMENT;
	c->leg.held = may_restore(s, c, 1);
	if (s->refused_block || c->leg.held)
		return;
	if (c->told != NULL && c->restore == NULL)
		report_held(w, s, c);
	pgr_vec_add(&w->out, p, size);
	pgr_client_cycle_done(w, c, s->status);
}

/* Does the session still hold what pinned its client? */
static void
on_probed(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	if (s->found || s->settings_failed || c->pin_stays || s->unjudged)
		return;
	pgr_client_unpin(w, c);
	if (c->pin == PGR_PIN_NONE_REASON)
		pgr_settings_applied(pgr_server_slot(w, s), pgr_server_cold(w, s), c->settings);
}

/* Settings did not come to their end: all of them go out in front once more. */
static void
begin_again(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	s->hindered = false;
	s->hindrances++;
	pgr_settings_unknown(pgr_server_slot(w, s));
	if (c != NULL)
		c->leg.fresh = true;
}

/* A ReadyForQuery of what we have asked for ourselves. c: NULL: the client has left. */
static void
on_our_ready(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, enum pgr_purpose purpose)
{
	if (purpose == PGR_PURPOSE_SETTINGS && s->hindered)
		begin_again(w, s, c);
	else if (purpose == PGR_PURPOSE_CATALOG)
		pgr_catalog_end(w, s);
	else if (purpose == PGR_PURPOSE_LOOK)
		s->looks = false;
	else if (c != NULL && purpose == PGR_PURPOSE_AGAIN && !pgr_prepared_again(s, c))
		s->settings_failed = true;
	else if (c != NULL && purpose == PGR_PURPOSE_RESTORE && !s->settings_failed)
		end_restore(w, s, c);
	else if (c != NULL && purpose == PGR_PURPOSE_PROBE)
		on_probed(w, s, c);
}

static bool
on_ready(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	struct pgr_reply *r = pgr_replies_head(&s->replies);
	struct pgr_client *c = pgr_server_client(s);
	enum pgr_purpose purpose;

	if (PGR_SUSPECT(size != 6 || strchr("ITE", p[5]) == NULL || p[5] == '\0'))
		return false;
	s->status = p[5];
	s->copy_in = false;
	s->skipping = false;
	s->refused_block = false;
	if (r == NULL && s->stray_sync) { /* COPY did not swallow it after all */
		s->stray_sync = false;
		pass_on(w, s, p, size);
		return true;
	}
	if (PGR_SUSPECT(r == NULL || (r->kind != PGR_REPLY_QUERY && r->kind != PGR_REPLY_SYNC &&
			r->kind != PGR_REPLY_FUNCTION)))
		return false;
	purpose = (enum pgr_purpose)r->purpose;
	if (r->kind == PGR_REPLY_QUERY && !r->ours)
		pgr_stat_add(&s->pool->stats->query_count, 1);
	if (r->kind != PGR_REPLY_SYNC)
		atomic_store_explicit(&pgr_server_slot(w, s)->unnamed, 0, memory_order_relaxed);
	if (r->kind != PGR_REPLY_SYNC)
		pgr_effect_ran(s, r);
	s->cycle.statement = 0;
	if (s->made != 0 && s->status == PGR_TXN_IDLE)
		pgr_catalog_publish(w, s);
	if (s->cycle.eventful && (purpose == PGR_PURPOSE_NONE || purpose == PGR_PURPOSE_SETTLE))
		pgr_effect_ready(w, s);
	if (purpose != PGR_PURPOSE_NONE)
		on_our_ready(w, s, c, purpose);
	else if (c != NULL)
		on_client_ready(w, s, c, p, size);
	answered(w, s);
	if (s->uncancelable && s->committing == 0) {
		s->uncancelable = false;
		atomic_store_explicit(&pgr_server_slot(w, s)->uncancelable, 0, memory_order_relaxed);
	}
	return true;
}

/* A CopyInResponse: what was sent behind it up to CopyDone the server takes as part of the COPY. */
static void
on_copy_in(struct pgr_server *s)
{
	struct pgr_replies *q = &s->replies;
	bool extended = head_is(s, PGR_REPLY_EXECUTE);
	uint32_t kept = 1;

	s->copy_in = true;
	if (q->count == 0)
		return;
	for (uint32_t i = 1; i < q->count; i++) {
		struct pgr_reply *r = pgr_replies_at(q, i);

		if (s->copy_in && r->kind == PGR_REPLY_SYNC) {
			s->stray_sync = true;
			continue;
		}
		if (r->kind == PGR_REPLY_COPY_END)
			s->copy_in = false;
		*pgr_replies_at(q, kept++) = *r;
	}
	q->count = kept;
	pgr_replies_moved(q);
	if (s->copy_in && extended)
		s->batch = true;
}

/* An Execute that returned as many rows as it may: what these rows did is done. */
static void
on_suspended(struct pgr_worker *w, struct pgr_server *s)
{
	const struct pgr_reply *r = pgr_replies_head(&s->replies);

	if (r->reading != NULL)
		pgr_effect_complete(w, s, r, "SELECT 1");
	pgr_catalog_note(s, r, "SELECT 1");
	pgr_effect_ran(s, r);
}

/* Must the message be complete before it is looked at? */
static inline bool
wants_whole(char type, uint32_t size)
{
	switch (type) {
	case PGR_MSG_DATA_ROW:
	case PGR_MSG_ROW_DESCRIPTION:
	case PGR_MSG_PARAMETER_DESCRIPTION:
	case 'd':
	case PGR_MSG_FUNCTION_RESULT:
	case PGR_MSG_COPY_OUT:
	case PGR_MSG_COPY_BOTH:
	case PGR_MSG_COPY_IN:
		return false;
	default:
		return size <= WHOLE_MOST;
	}
}

/* Is the head the Describe of a statement, and the answer to be kept? */
static inline bool
keeps_answer(struct pgr_server *s)
{
	return head_is(s, PGR_REPLY_DESCRIBE) && pgr_replies_head(&s->replies)->statement != NULL;
}

static inline bool
is_kept(struct pgr_server *s, char type)
{
	return (type == PGR_MSG_ROW_DESCRIPTION || type == PGR_MSG_PARAMETER_DESCRIPTION) && keeps_answer(s);
}

/*
 * Behind ParameterDescription comes the rest of the answer, or the error for which it is asked for once
 * more: then the client gets both from then. Is it there? In doubt: an error is looked at whole.
 */
static bool
is_followed(const char *next, const char *end)
{
	uint32_t size;

	if (end - next < (ptrdiff_t)PGR_WIRE_HEADER)
		return false;
	size = pgr_wire_size(next);
	return next[0] != PGR_MSG_ERROR || size > WHOLE_MOST || end - next >= (ptrdiff_t)size;
}

static bool
is_taken_back(struct pgr_worker *w, struct pgr_server *s, const char *next)
{
	uint32_t size = pgr_wire_size(next);
	struct pgr_error e;

	if (next[0] != PGR_MSG_ERROR || size == 0 || size > WHOLE_MOST)
		return false;
	pgr_error_parse(next + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER, &e);
	return pgr_prepared_is_stale(w, s, &e);
}

static void
on_description(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	if (p[0] == PGR_MSG_PARAMETER_DESCRIPTION && is_taken_back(w, s, p + size))
		return;
	pass_on(w, s, p, size);
	s->kept = 0; /* the client has a part of the answer */
	pgr_prepared_said(w, s, p[0], p + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER);
	if (p[0] == PGR_MSG_ROW_DESCRIPTION)
		answered(w, s);
}

/* Does the server answer a question of ours, whose rows we read? */
static bool
answers_us(struct pgr_server *s)
{
	const struct pgr_reply *head = s->loads || s->looks ? pgr_replies_head(&s->replies) : NULL;

	return head != NULL && head->purpose >= PGR_PURPOSE_CATALOG;
}

static void
on_row(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	if (pgr_replies_head(&s->replies)->purpose == PGR_PURPOSE_CATALOG)
		pgr_catalog_row(w, s, p, size);
	else
		pgr_catalog_looked(w, s, p, size);
}

/* Header of a message that streams through. */
static void
on_header(struct pgr_worker *w, struct pgr_server *s, char type, uint32_t size)
{
	s->skip = size;
	s->skip_forward = forwards(s);
	if (type == PGR_MSG_DATA_ROW)
		s->found = true; /* looked at by who has probed */
	if (PGR_UNLIKELY(size > WHOLE_MOST) && is_kept(s, type)) {
		s->kept = 0;
		pgr_prepared_said(w, s, type, NULL, 0);
	}
	if (type == PGR_MSG_ROW_DESCRIPTION && head_is(s, PGR_REPLY_DESCRIBE))
		answered(w, s);
	else if (type == PGR_MSG_COPY_IN)
		on_copy_in(s);
	else if (type == PGR_MSG_ERROR) /* too long to be looked at: it goes on in the server's words */
		failed(w, s);
}

static bool
on_message(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	switch (p[0]) {
	case PGR_MSG_READY:
		return on_ready(w, s, p, size);
	case PGR_MSG_COMMAND_COMPLETE:
		on_complete(w, s, p, size);
		return true;
	case PGR_MSG_PARSE_COMPLETE:
		return on_answer(w, s, PGR_REPLY_PARSE, p, size);
	case PGR_MSG_BIND_COMPLETE:
		return on_answer(w, s, PGR_REPLY_BIND, p, size);
	case PGR_MSG_CLOSE_COMPLETE:
		return on_answer(w, s, PGR_REPLY_CLOSE, p, size);
	case PGR_MSG_NO_DATA:
		if (keeps_answer(s))
			pgr_prepared_said(w, s, p[0], NULL, 0);
		return on_answer(w, s, PGR_REPLY_DESCRIBE, p, size);
	case PGR_MSG_ROW_DESCRIPTION:
	case PGR_MSG_PARAMETER_DESCRIPTION:
		on_description(w, s, p, size);
		return true;
	case PGR_MSG_PORTAL_SUSPENDED:
		if (head_is(s, PGR_REPLY_EXECUTE))
			on_suspended(w, s);
		return on_answer(w, s, PGR_REPLY_EXECUTE, p, size);
	case PGR_MSG_EMPTY_QUERY:
		pass_on(w, s, p, size);
		if (head_is(s, PGR_REPLY_EXECUTE))
			answered(w, s);
		return true;
	case PGR_MSG_ERROR:
		on_error(w, s, p, size);
		return true;
	case PGR_MSG_PARAMETER_STATUS:
		on_parameter(w, s, p, size);
		return true;
	case PGR_MSG_DATA_ROW:
		on_row(w, s, p, size);
		return true;
	default:
		pass_on(w, s, p, size);
		return true;
	}
}

/* What a server may send while nothing was asked of it. */
static bool
comes_unasked(char type)
{
	return type == PGR_MSG_NOTICE || type == PGR_MSG_PARAMETER_STATUS ||
		type == PGR_MSG_NOTIFICATION || type == PGR_MSG_ERROR;
}

/* Takes what it can use of [buf, buf + len). SIZE_MAX: this is not a server that we understand. */
static size_t
feed(struct pgr_worker *w, struct pgr_server *s, const char *buf, size_t len)
{
	const char *p = buf;
	const char *end = buf + len;

	while (p < end) {
		uint32_t size;

		if (s->skip > 0) {
			uint32_t n = (uint32_t)PGR_MIN((size_t)s->skip, (size_t)(end - p));

			if (s->skip_forward)
				pgr_vec_add(&w->out, p, n);
			s->skip -= n;
			p += n;
			continue;
		}
		if (end - p < (ptrdiff_t)PGR_WIRE_HEADER)
			break;
		size = pgr_wire_size(p);
		if (PGR_SUSPECT(size == 0 || (s->use == PGR_SERVER_PARKED && !comes_unasked(p[0]))))
			return SIZE_MAX;
		if (!pgr_vec_roomy(&w->out) && s->leg != NULL)
			(void)pgr_stream_send(&s->leg->client->io, &w->out);
		if (!wants_whole(p[0], size) &&
			!(size <= WHOLE_MOST && (p[0] == PGR_MSG_DATA_ROW ? answers_us(s) : is_kept(s, p[0])))) {
			on_header(w, s, p[0], size);
			continue;
		}
		if ((size_t)(end - p) < size ||
			(p[0] == PGR_MSG_PARAMETER_DESCRIPTION && !is_followed(p + size, end)))
			break;
		if (!on_message(w, s, p, size))
			return SIZE_MAX;
		p += size;
	}
	return (size_t)(p - buf);
}

/* Keeps the beginning of a message for the next read. */
static bool
keep(struct pgr_server *s, const char *rest, size_t len)
{
	free(s->in);
	s->in = NULL;
	s->in_len = 0;
	if (len == 0)
		return true;
	s->in = malloc(len);
	if (s->in == NULL)
		return false;
	memcpy(s->in, rest, len);
	s->in_len = (uint32_t)len;
	return true;
}

/* One read into buf (PGR_BUFFER bytes) and what follows from it. */
static enum pgr_rc
read_once(struct pgr_worker *w, struct pgr_server *s, char *buf)
{
	size_t have = s->in_len;
	enum pgr_rc rc;
	size_t used;
	size_t n;

	if (have > 0)
		memcpy(buf, s->in, have);
	rc = pgr_stream_read(&s->io, buf + have, PGR_BUFFER - have, &n);
	if (rc != PGR_OK)
		return rc;
	if (s->leg != NULL && !answers_us(s))
		pgr_stat_add(&s->pool->stats->sent, n);
	used = feed(w, s, buf, have + n);
	if (s->leg != NULL)
		(void)pgr_stream_send(&s->leg->client->io, &w->out); /* a broken one shows at its own read */
	else
		pgr_vec_reset(&w->out);
	if (used == SIZE_MAX)
		return PGR_FAIL;
	return have + n == used && have == 0 ? PGR_OK
		: keep(s, buf + used, have + n - used) ? PGR_OK : PGR_CLOSED;
}

void
pgr_back_forget(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_reply *r;

	pgr_catalog_lost(w, s);
	while ((r = pgr_replies_head(&s->replies)) != NULL) {
		release_reply(w, s, r);
		pgr_replies_pop(&s->replies);
	}
	pgr_replies_fini(&s->replies);
	s->batch = s->skipping = s->copy_in = s->reset = s->rolled_back = s->settings_failed = s->stray_sync = false;
	s->probe = s->doomed = s->uncancelable = s->looks = false;
	s->unnamed_pending = 0;
	s->status = PGR_TXN_IDLE;
	memset(&s->cycle, 0, sizeof(s->cycle));
	pgr_settings_unref(s->reports);
	s->reports = NULL;
}

/*
 * May the session go on when its borrowed connection has gone with its home? Not with half a message at
 * the client, not with settings that are undecided, not where the connection held state, and not in a
 * transaction: what the client sends next would run outside of it.
 */
static bool
may_stay(const struct pgr_server *s, const struct pgr_client *c)
{
	return c->state == PGR_SESSION_READY && c->pin == PGR_PIN_NONE_REASON && c->restore == NULL &&
		c->track.frames == 0 && s->status == PGR_TXN_IDLE && !s->refused_block &&
		!(s->skip > 0 && s->skip_forward);
}

/* Every request that is owed an answer fails, and what is not yet asked to the end will. */
static void
fail_owed(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, const struct pgr_err *err)
{
	bool failed = s->skipping; /* then the client has had the error of this batch */

	undo_first(w, s, s->replies.count);
	for (const struct pgr_reply *r; (r = pgr_replies_head(&s->replies)) != NULL;) {
		bool ends = (!r->ours || r->purpose == PGR_PURPOSE_AGAIN) && (r->kind == PGR_REPLY_QUERY ||
			r->kind == PGR_REPLY_FUNCTION || r->kind == PGR_REPLY_SYNC);

		drop_head(w, s);
		if (!ends)
			continue;
		if (!pgr_vec_roomy(&w->out))
			(void)pgr_stream_send(&c->io, &w->out);
		if (!failed)
			pgr_client_error(&w->out, PGR_SEVERITY_ERROR, err);
		pgr_wire_ready(pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1), PGR_TXN_IDLE);
		failed = false;
	}
	if (s->batch) {
		if (!failed)
			pgr_client_error(&w->out, PGR_SEVERITY_ERROR, err);
		c->discard = PGR_DISCARD_SYNC;
	}
	c->skip_forward = false;
	pgr_client_cycle_done(w, c, PGR_TXN_IDLE);
}

/* The worker that spoke TLS with the server has died; its other clients' connections live. */
static void
lost_with_home(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	struct pgr_err err;

	pgr_err_set(&err, "08006", "the connection to the server was lost: the worker that had its TLS ended");
	if (!may_stay(s, c)) {
		pgr_lease_close(w, s, PGR_CLOSE_OWNER);
		pgr_client_fatal(w, c, &err);
		return;
	}
	fail_owed(w, s, c, &err);
	pgr_lease_close(w, s, PGR_CLOSE_OWNER);
	(void)pgr_stream_send(&c->io, &w->out);
	pgr_front_resume(w, c);
}

/* The server closed, or broke the protocol; its client, if any, loses what was under way. */
static void
lost(struct pgr_worker *w, struct pgr_server *s, enum pgr_rc why)
{
	struct pgr_client *c = pgr_server_client(s);
	bool told = s->told_fatal;
	struct pgr_err err;

	if (c != NULL && why == PGR_CLOSED && !told && pgr_home_died(w, s)) {
		lost_with_home(w, s, c);
		return;
	}

	if (why == PGR_FAIL)
		pgr_log(PGR_LOG_ERROR, "server.protocol", "database \"%s\": the server broke the protocol",
			s->pool->view.pool->database);
	pgr_lease_close(w, s, PGR_CLOSE_SERVER);
	if (c == NULL)
		return;
	pgr_err_set(&err, why == PGR_FAIL ? "08P01" : "08006", why == PGR_FAIL
			? "the server broke the protocol" : "the server closed the connection unexpectedly");
	if (told)
		pgr_client_finish(w, c);
	else
		pgr_client_fatal(w, c, &err);
}

/* Everything asked for was answered, the transaction is over, and nothing is half sent. */
static bool
clean(const struct pgr_server *s, const struct pgr_client *c)
{
	return s->replies.count == 0 && s->status == PGR_TXN_IDLE && !s->batch && !s->copy_in &&
		s->skip == 0 && s->in_len == 0 && !pgr_stream_blocked(&s->io) && !half_sent(c);
}

/* The session may not hold any more what pinned its client: looks. */
static void
probe(struct pgr_worker *w, struct pgr_server *s)
{
	s->probe = s->found = false;
	if (pgr_back_query(w, s, PGR_PURPOSE_PROBE, pgr_pin_probe) != PGR_OK)
		lost(w, s, PGR_CLOSED);
}

/* OK: there was nothing to put back. AGAIN: the server was asked. */
static enum pgr_rc
begin_restore(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	char sql[PGR_VEC_SCRATCH / 2];
	struct pgr_out out;

	pgr_out_init(&out, sql, sizeof(sql) - 1);
	if (!pgr_settings_put_back(pgr_server_cold(w, s), c->restore, c->settings, &out))
		return PGR_CLOSED;
	sql[out.len] = '\0';
	if (out.len > 0)
		return pgr_back_query(w, s, PGR_PURPOSE_RESTORE, sql) == PGR_OK ? PGR_AGAIN : PGR_CLOSED;
	end_restore(w, s, c);
	(void)pgr_stream_send(&c->io, &w->out);
	return PGR_OK;
}

void
pgr_back_release(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_client *c = pgr_server_client(s);
	struct pgr_err err;
	enum pgr_rc rc;

	if (c->state == PGR_SESSION_GREET || s->settings_failed) {
		pgr_login_server_said(w, c);
		return;
	}
	if (c->leg.tried || c->leg.judging) {
		c->leg.tried = c->leg.tried && s->replies.count > 0;
		c->leg.judging = c->leg.judging && s->pool->known.load != NULL;
		if (!c->leg.tried && !c->leg.judging)
			pgr_front_resume(w, c);
		return;
	}
	rc = may_restore(s, c, 0) ? begin_restore(w, s, c) : PGR_OK;
	if (rc == PGR_CLOSED)
		lost(w, s, rc);
	if (rc != PGR_OK)
		return;
	if (s->refused_block) {
		pgr_err_set(&err, "0A000", "transaction blocks are not allowed with pool_mode statement");
		pgr_client_fatal(w, c, &err);
		return;
	}
	if (!clean(s, c)) {
		if (c->stalled && (s->replies.count == 0 || (c->outruns && !pgr_front_outruns(c))))
			pgr_front_resume(w, c);
		return;
	}
	if (s->probe && c->pin != PGR_PIN_NONE_REASON && c->pin != PGR_PIN_SESSION_REASON && !c->pin_stays) {
		probe(w, s);
		return;
	}
	s->probe = false;
	if (c->pin == PGR_PIN_NONE_REASON && pgr_catalog_must_look(w, s))
		return;
	if (c->pin == PGR_PIN_NONE_REASON && s->unjudged)
		pgr_lease_close(w, s, PGR_CLOSE_DIRTY);
	else if (c->pin == PGR_PIN_NONE_REASON)
		pgr_lease_end(w, s);
	if (c->stalled || (c->in_len > 0 && c->in_len >= c->in_need))
		pgr_front_resume(w, c);
}

void
pgr_back_run(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_client *c = pgr_server_client(s);
	unsigned left = PGR_TURN_READS;

	while (s->io.readable && (s->leg == NULL || !pgr_stream_blocked(&s->leg->client->io))) {
		enum pgr_rc rc;

		if (left-- == 0) {
			pgr_worker_yield(w, &s->watch);
			return;
		}
		rc = read_once(w, s, w->buffer);
		if (rc == PGR_CLOSED || rc == PGR_FAIL) {
			lost(w, s, rc);
			return;
		}
	}
	if (s->use == PGR_SERVER_SETTLING)
		pgr_settle_step(w, s);
	else if (s->leg != NULL && s->leg->server == s)
		pgr_back_release(w, s);
	if (c != NULL && c->canceling && c->state == PGR_SESSION_READY)
		pgr_cancel_client(w, c);
}

void
pgr_back_event(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_client *c = pgr_server_client(s);

	if (pgr_stream_blocked(&s->io) && pgr_stream_drain(&s->io) == PGR_OK && c != NULL)
		pgr_front_resume(w, c);
	pgr_back_run(w, s);
}

enum pgr_rc
pgr_back_drain_idle(struct pgr_worker *w, struct pgr_server *s)
{
	enum pgr_rc rc;

	s->io.readable = true;
	s->io.hangup = true; /* read until it would block, whatever events are still to come */
	s->told_fatal = false;
	for (unsigned left = UNASKED_MOST; s->io.readable; left--) {
		if (left == 0)
			return PGR_CLOSED;
		rc = read_once(w, s, w->spare); /* the buffer may hold what the client has just sent */
		if (rc == PGR_CLOSED || rc == PGR_FAIL)
			return PGR_CLOSED;
	}
	s->io.hangup = false;
	return s->in_len == 0 && s->skip == 0 && !s->told_fatal ? PGR_OK : PGR_CLOSED;
}

enum pgr_rc
pgr_back_query(
	struct pgr_worker *w, struct pgr_server *s, enum pgr_purpose purpose, const char *sql)
{
	size_t len = strlen(sql);
	struct pgr_reply *r = pgr_replies_push(&s->replies, PGR_REPLY_QUERY);

	if (r == NULL)
		return PGR_CLOSED;
	r->ours = true;
	r->purpose = (uint8_t)purpose;
	if (w->out.scratch_used + PGR_WIRE_HEADER + len + 1 > PGR_VEC_SCRATCH)
		(void)pgr_stream_send(&s->io, &w->out);
	pgr_wire_query(pgr_vec_room(&w->out, PGR_WIRE_HEADER + len + 1), sql, len);
	if (purpose == PGR_PURPOSE_SETTINGS)
		return PGR_OK; /* goes out with the client's query */
	return pgr_stream_send(&s->io, &w->out);
}
