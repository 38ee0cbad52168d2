/*
 * Notes what a server is asked for. Called by front.c and prepared.c, message by message.
 */
#include "worker/ask.h"

#include <string.h>

#include "worker/reading.h"
#include "worker/server.h"
#include "worker/statement.h"

struct pgr_reply *
pgr_ask_nothing(void)
{
	static struct pgr_reply nothing;

	memset(&nothing, 0, sizeof(nothing));
	return &nothing;
}

void
pgr_ask_read(struct pgr_worker *w, struct pgr_client *c, enum pgr_reply_kind kind, struct pgr_reading *reading)
{
	struct pgr_server *s = c->leg.server;
	struct pgr_reply *r = pgr_ask(c, kind);

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
