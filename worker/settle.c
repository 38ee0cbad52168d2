/*
 * Settling, step by step, each when the one before was answered:
 *
 *   the client vanished     a cancel, unless the end of a transaction is among what it has asked for
 *   COPY is being read      CopyFail
 *   a batch without Sync    an Execute that fails, Sync
 *   answers are due         read them (the client has gone: they are dropped)
 *   a transaction is open   ROLLBACK, once
 *   the session was pinned  DISCARD ALL
 *   else                    the slot is returned
 *
 * Called by client.c (a client ends), back.c (answers).
 */
#include "worker/settle.h"

#include <string.h>

#include "worker/back.h"
#include "worker/cancel.h"
#include "worker/client.h"
#include "worker/lease.h"
#include "worker/server.h"
#include "worker/settings.h"

static enum pgr_rc
end_copy(struct pgr_server *s, struct pgr_vec *out)
{
	static const char why[] = "client connection lost";
	char *body = pgr_wire_header(
		pgr_vec_room(out, PGR_WIRE_HEADER + sizeof(why)), PGR_MSG_COPY_FAIL, sizeof(why));

	memcpy(body, why, sizeof(why));
	s->copy_in = false;
	return pgr_stream_send(&s->io, out);
}

/*
 * A Sync would commit what the client has not asked to commit: what must fail goes in front, as if the
 * server had seen the client leave.
 */
static enum pgr_rc
end_batch(struct pgr_server *s, struct pgr_vec *out)
{
	if (!s->skipping) {
		if (pgr_replies_push(&s->replies, PGR_REPLY_EXECUTE) == NULL)
			return PGR_CLOSED;
		pgr_back_spoil(out);
	}
	if (pgr_replies_push(&s->replies, PGR_REPLY_SYNC) == NULL)
		return PGR_CLOSED;
	s->replies.batch++;
	s->batch = false;
	pgr_wire_bare(pgr_vec_room(out, PGR_WIRE_HEADER), PGR_MSG_SYNC);
	return pgr_stream_send(&s->io, out);
}

static enum pgr_rc
next_query(struct pgr_worker *w, struct pgr_server *s)
{
	s->deadline = w->now + w->config->close_timeout;
	if (s->status != PGR_TXN_IDLE && !s->rolled_back) {
		s->rolled_back = true;
		return pgr_back_query(w, s, PGR_PURPOSE_SETTLE, "ROLLBACK");
	}
	if (s->status != PGR_TXN_IDLE)
		return PGR_CLOSED;
	if (s->reset) {
		s->reset = false;
		s->cycle.discarded = s->cycle.eventful = true; /* settings and statements go with it */
		return pgr_back_query(w, s, PGR_PURPOSE_SETTLE, "DISCARD ALL");
	}
	pgr_lease_end(w, s);
	return PGR_OK;
}

void
pgr_settle_step(struct pgr_worker *w, struct pgr_server *s)
{
	enum pgr_rc rc = PGR_OK;

	if (s->abandoned && !pgr_server_is_being_set_up(s)) {
		s->abandoned = false;
		if (s->replies.count > 0)
			pgr_cancel_send(w, s, NULL);
	}
	if (s->settings_failed)
		rc = PGR_CLOSED;
	else if (s->copy_in)
		rc = end_copy(s, &w->out);
	else if (s->batch)
		rc = end_batch(s, &w->out);
	else if (s->replies.count == 0 && s->skip == 0)
		rc = next_query(w, s);
	if (rc == PGR_CLOSED)
		pgr_lease_close(w, s, PGR_CLOSE_DIRTY);
}

void
pgr_settle_begin(struct pgr_worker *w, struct pgr_server *s, bool vanished)
{
	struct pgr_leg *leg = s->leg;
	struct pgr_client *c = leg->client;

	/* the server has a part of a message, and nobody has the rest */
	if (c->skip > 0 && c->skip_forward) {
		pgr_lease_close(w, s, PGR_CLOSE_DIRTY);
		return;
	}
	s->use = PGR_SERVER_SETTLING;
	s->rolled_back = false;
	/* what is still owed or open may change the session while nobody looks */
	s->reset = s->reset || s->unjudged || c->pin != PGR_PIN_NONE_REASON || c->restore != NULL ||
		s->replies.count > 0 || s->batch || s->status != PGR_TXN_IDLE;
	s->leg = NULL;
	s->skip_forward = false;
	pgr_settings_unref(s->reports); /* of this session, not of the next one */
	s->reports = NULL;
	leg->server = NULL;
	pgr_list_remove(&leg->run);
	pgr_client_mark(w, c, PGR_CLIENT_IDLE);
	/* what a client that took its leave has asked for runs to its end, as on a server */
	s->deadline = vanished ? w->now + w->config->close_timeout : 0;
	s->abandoned = vanished && s->committing == 0;
	pgr_settle_step(w, s);
}
