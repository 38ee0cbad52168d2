/*
 * Prepared statements between a client and the server that it has. Called by front.c for what the client
 * sends, and by back.c for what the server says.
 */
#include "worker/prepared.h"

#include <stdlib.h>
#include <string.h>

#include "proto/describe.h"
#include "proto/error.h"
#include "proto/wire.h"
#include "worker/ask.h"
#include "worker/catalog.h"
#include "worker/effect.h"
#include "worker/lease.h"
#include "worker/portal.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/text.h"

#define EVICT_MOST 4 /* statements that are closed for one new one */

/* Of what was only just prepared. */
static const struct pgr_description unsaid;

void
pgr_prepared_close(struct pgr_worker *w, struct pgr_client *c, struct pgr_hash128 hash, const char *name)
{
	struct pgr_reply *r = pgr_ask(c, PGR_REPLY_CLOSE);
	size_t len = strlen(name);
	char *body = pgr_wire_header(
		pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1 + len + 1), PGR_MSG_CLOSE, len + 2);

	r->ours = true;
	pgr_replies_enter(&c->leg.server->replies, r, hash);
	body[0] = 'S';
	memcpy(body + 1, name, len + 1);
}

void
pgr_prepared_parse(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st,
	struct pgr_named *named, bool ours)
{
	struct pgr_reply *r = pgr_ask(c, PGR_REPLY_PARSE);
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

void
pgr_prepared_evict(struct pgr_worker *w, struct pgr_client *c)
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
		(void)pgr_slot_statement_find(cold, hash); /* the youngest now: not chosen twice */
		pgr_statement_name(hash, name);
		pgr_prepared_close(w, c, hash, name);
	}
}

/*
 * What the server has said of st, if that is there when it comes to what is sent next; NULL: it is not. What
 * stands in the way is closed.
 */
static const struct pgr_description *
find_there(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	struct pgr_server *s = c->leg.server;
	enum pending pending = s->clearing > 0 ? PENDING_UNSURE
		: s->replies.count > 0 ? pending_of(&s->replies, st->hash) : PENDING_NONE;
	const struct pgr_description *said;

	switch (pending) {
	case PENDING_NONE:
		said = pgr_slot_statement_find(pgr_server_cold(w, s), st->hash);
		if (said == NULL || said->rows != PGR_ROWS_STALE)
			return said;
		break;
	case PENDING_THERE:
		return &unsaid;
	case PENDING_GONE:
		return NULL;
	case PENDING_UNSURE:
		break;
	}
	pgr_prepared_close(w, c, st->hash, st->name);
	return NULL;
}

bool
pgr_prepared_is_there(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	return find_there(w, c, st) != NULL;
}

const struct pgr_description *
pgr_prepared_ensure(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	const struct pgr_description *said = c->leg.server->skipping ? &unsaid : find_there(w, c, st);

	if (said != NULL)
		return said;
	pgr_prepared_evict(w, c);
	pgr_prepared_parse(w, c, st, NULL, true);
	c->leg.server->batch = true; /* whatever becomes of the message that needs it */
	return &unsaid;
}

static void
send_unnamed(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_reply *r = pgr_ask(c, PGR_REPLY_PARSE);
	struct pgr_statement *st = c->unnamed;
	char *body = pgr_wire_header(
		pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1), PGR_MSG_PARSE, 1 + st->tail_len);

	body[0] = '\0';
	pgr_vec_add(&w->out, st->tail, st->tail_len);
	pgr_text_read_statement(w, c, st); /* the settings under which it was read may be others by now */
	r->ours = true;
	r->unnamed = true;
	r->statement = r->kind != PGR_REPLY_NONE ? pgr_statement_ref(st) : NULL;
	c->leg.server->unnamed_pending++;
}

void
pgr_prepared_ensure_unnamed(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (s->unnamed_pending > 0 || s->skipping)
		return;
	if (c->unnamed != NULL && c->unnamed->serial != c->leg.pool->known.serial)
		pgr_text_read_statement(w, c, c->unnamed);
	if (c->unnamed == NULL) /* without this the server would take the statement of a stranger */
		pgr_prepared_close(w, c, (struct pgr_hash128){0, 0}, "");
	else if (atomic_load_explicit(&pgr_server_slot(w, s)->unnamed, memory_order_relaxed) !=
		c->unnamed->tag)
		send_unnamed(w, c);
}

bool
pgr_prepared_is_cleared(const struct pgr_client *c, const struct pgr_named *named)
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

/* A state that no other statement was or will be prepared in. */
static PGR_COLD uint64_t
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
static inline uint64_t
state_now(struct pgr_worker *w, const struct pgr_client *c)
{
	const struct pgr_server *s = c->leg.server;

	if (PGR_UNLIKELY(c->pin != PGR_PIN_NONE_REASON ||
			(s != NULL && (s->made != 0 || s->making > 0 || !pgr_effect_settled(s)))))
		return state_of_its_own(w);
	return c->settings->state ^ c->defaults ^ pgr_catalog_state(w, c->leg.pool);
}

/* The statement with this tail, as it is prepared in that state, and read. NULL: no memory. */
static struct pgr_statement *
statement_in(struct pgr_worker *w, struct pgr_client *c, const char *tail, uint32_t tail_len,
	uint64_t state)
{
	struct pgr_statement *st = pgr_statements_get(w->statements, tail, tail_len, state);

	if (st != NULL && st->refs == 1) {
		st->schema = pgr_catalog_state(w, c->leg.pool);
		pgr_text_read_statement(w, c, st);
	}
	return st;
}

struct pgr_named *
pgr_prepared_add(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
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

bool
pgr_prepared_is_known(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len)
{
	return pgr_names_find(c->names, name, name_len) == NULL &&
		pgr_names_have_room(c->names, name_len, tail_len) &&
		pgr_lease_holds(w, c->leg.pool, c->settings->hash,
			pgr_statements_hash(w->statements, tail, tail_len, state_now(w, c)));
}

/*
 * Was it prepared under other settings, and the server has it not from then, or before DDL, it is prepared
 * under those of now, as a server does when it has to analyse a statement anew. FAIL: no memory.
 */
static enum pgr_rc
renew(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named)
{
	struct pgr_statement *st = named->statement;
	uint64_t state = c->leg.server->skipping ? st->state : state_now(w, c);

	if (st->state == state ||
		(st->schema == pgr_catalog_state(w, c->leg.pool) && find_there(w, c, st) != NULL))
		return PGR_OK;
	st = statement_in(w, c, st->tail, st->tail_len, state);
	if (st == NULL)
		return PGR_FAIL;
	pgr_named_turn(w->statements, named, st);
	return PGR_OK;
}

struct pgr_named *
pgr_prepared_find(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len,
	const struct pgr_description **ret_said)
{
	struct pgr_named *named = c->tracks ? pgr_names_find(c->names, name, len) : NULL;

	*ret_said = &unsaid;
	if (named == NULL || pgr_prepared_is_cleared(c, named) || renew(w, c, named) != PGR_OK)
		return NULL;
	if (PGR_UNLIKELY(named->statement->serial != c->leg.pool->known.serial))
		pgr_text_read_statement(w, c, named->statement);
	*ret_said = pgr_prepared_ensure(w, c, named->statement);
	return named;
}

struct pgr_reading *
pgr_prepared_unnamed_reading(const struct pgr_client *c)
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

/* -- what statements look like */

void
pgr_prepared_compare(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_statement *st = named->statement;
	struct pgr_reply *r;
	char *body;

	if (pending_of(&s->replies, st->hash) != PENDING_THERE) {
		pgr_prepared_close(w, c, st->hash, st->name);
		pgr_prepared_parse(w, c, st, NULL, true);
	}
	r = pgr_ask_named(c, PGR_REPLY_DESCRIBE, named);
	r->ours = true;
	r->statement = r->kind != PGR_REPLY_NONE ? pgr_statement_ref(st) : NULL;
	body = pgr_wire_header(pgr_vec_room(&w->out, PGR_WIRE_HEADER + 1 + PGR_STATEMENT_NAME + 1),
		PGR_MSG_DESCRIBE, 1 + PGR_STATEMENT_NAME + 1);
	body[0] = 'S';
	memcpy(body + 1, st->name, PGR_STATEMENT_NAME + 1);
	pgr_wire_bare(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_FLUSH);
	s->batch = true;
	c->leg.tried = c->stalled = true;
}

void
pgr_prepared_said(struct pgr_worker *w, struct pgr_server *s, char type, const char *body, size_t len)
{
	const struct pgr_reply *r = pgr_replies_head(&s->replies);
	struct pgr_description *said = pgr_slot_statement_find(pgr_server_cold(w, s), r->statement->hash);
	const struct pgr_hash_key *key = &w->shm->seg->hash_key;
	bool params = type == PGR_MSG_PARAMETER_DESCRIPTION;
	uint32_t digest = type == PGR_MSG_NO_DATA ? PGR_ROWS_NONE
		: body == NULL ? PGR_SAID_LONG
		: params ? pgr_describe_params(key, body, len) : pgr_describe_rows(key, body, len);

	if (said != NULL)
		*(params ? &said->params : &said->rows) = digest;
	if (!r->ours && r->named != NULL)
		*(params ? &r->named->told.params : &r->named->told.rows) = digest;
}

/* -- batches that are sent again */

void
pgr_prepared_keep(struct pgr_server *s, const char *p, size_t have)
{
	struct pgr_replies *q = &s->replies;
	uint32_t first;

	s->kept_batch = q->batch;
	s->kept = 0;
	if (have > PGR_KEPT_MOST || s->status != PGR_TXN_IDLE || s->skipping)
		return;
	/* anything of the client's in the same batch that the server has answered, or will, cannot be taken back */
	first = s->batch_at - q->head;
	if (first >= q->count)
		return;
	for (uint32_t i = first; i < q->count - 1; i++) {
		const struct pgr_reply *r = pgr_replies_at(q, i);

		if (!r->ours && r->kind < PGR_REPLY_LOCAL_PARSE)
			return;
	}
	memcpy(s->keeps, p, have);
	s->kept = (uint16_t)have;
	s->kept_at = q->head + q->count - 1;
}

/* Is what was kept one batch, and the last that the server has of this client? */
static bool
can_repeat(struct pgr_server *s, const struct pgr_client *c)
{
	struct pgr_replies *q = &s->replies;
	const struct pgr_reply *last = pgr_replies_at(q, q->count - 1);
	uint32_t at = 0;
	uint32_t size;

	if (s->kept == 0 || s->repeated || s->status != PGR_TXN_IDLE || s->kept_at != q->head ||
		c->skip > 0 || c->state != PGR_SESSION_READY ||
		last->kind != PGR_REPLY_SYNC || last->batch != s->kept_batch)
		return false;
	while (s->kept - at >= PGR_WIRE_HEADER) {
		size = pgr_wire_size(s->keeps + at);
		if (size == 0 || size > s->kept - at)
			return false;
		at += size;
		if (s->keeps[at - size] == PGR_MSG_SYNC) {
			s->kept = (uint16_t)at; /* what stands behind it is still in the client's input */
			return true;
		}
	}
	return false;
}

bool
pgr_prepared_is_stale(struct pgr_worker *w, struct pgr_server *s, const struct pgr_error *e)
{
	const struct pgr_reply *head = pgr_replies_head(&s->replies);
	struct pgr_client *c = pgr_server_client(s);
	struct pgr_description *said;

	if (head == NULL || head->named == NULL || strcmp(e->sqlstate, "0A000") != 0 ||
		strcmp(e->routine, "RevalidateCachedQuery") != 0)
		return false;
	said = pgr_slot_statement_find(pgr_server_cold(w, s), head->named->statement->hash);
	if (said != NULL)
		said->rows = PGR_ROWS_STALE;
	return c != NULL && can_repeat(s, c);
}

bool
pgr_prepared_again(struct pgr_server *s, struct pgr_client *c)
{
	uint32_t len = s->kept + c->in_len;
	char *in = malloc(len);

	if (in == NULL)
		return false;
	memcpy(in, s->keeps, s->kept);
	if (c->in_len > 0)
		memcpy(in + s->kept, c->in, c->in_len);
	free(c->in);
	c->in = in;
	c->in_len = c->in_cap = len;
	c->in_need = 0;
	s->kept = 0;
	pgr_portal_clear(c); /* what failed was its transaction */
	return true;
}
