/*
 * What the client's server is asked for: an entry in its queue of replies for each message that it will
 * answer. The bytes of the message are the caller's business.
 */
#ifndef PGR_WORKER_ASK_H
#define PGR_WORKER_ASK_H

#include "worker/statement.h"
#include "worker/worker.h"

/* An entry of kind NONE, in no queue. */
struct pgr_reply *pgr_ask_nothing(void);

/* Notes an answer to come. While the server skips to a Sync there is none: kind is NONE then. */
static inline struct pgr_reply *
pgr_ask(struct pgr_client *c, enum pgr_reply_kind kind)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_reply *r = s->skipping ? NULL : pgr_replies_push(&s->replies, kind);

	/* out of memory: the answer will find the queue out of step, and the connection is closed */
	return PGR_LIKELY(r != NULL) ? r : pgr_ask_nothing();
}

/*
 * The same for a message about a statement that the client has named, so that errors name it; NULL: it is
 * about none.
 */
static inline struct pgr_reply *
pgr_ask_named(struct pgr_client *c, enum pgr_reply_kind kind, struct pgr_named *named)
{
	struct pgr_reply *r = pgr_ask(c, kind);

	if (named != NULL && r->kind != PGR_REPLY_NONE)
		r->named = pgr_named_ref(named);
	return r;
}

/* The same for a message whose text was read. Takes over the reference to the reading, which may be NULL. */
void pgr_ask_read(struct pgr_worker *w, struct pgr_client *c, enum pgr_reply_kind kind,
	struct pgr_reading *reading);

#endif
