/*
 * What statements did to the session, once the server has acknowledged them: settings are tracked,
 * pins begin and end. The facts of a text come with the reply that it is owed.
 */
#ifndef PGR_WORKER_EFFECT_H
#define PGR_WORKER_EFFECT_H

#include "worker/worker.h"

/*
 * The next statement (cycle.statement) of the message that r stands for, which has a reading, was
 * completed, with this tag; a portal that was suspended counts as one that has returned a row.
 */
void pgr_effect_complete(
	struct pgr_worker *w, struct pgr_server *s, const struct pgr_reply *r, const char *tag);

/* The message that r stands for was answered, well or not: it may have run. */
void pgr_effect_may_have_run(struct pgr_server *s, const struct pgr_reading *reading);

static inline void
pgr_effect_ran(struct pgr_server *s, const struct pgr_reply *r)
{
	if (PGR_UNLIKELY(r->reading != NULL))
		pgr_effect_may_have_run(s, r->reading);
}

/*
 * A ParameterStatus of a setting that can be a client's; taken into account when it is clear what it
 * belongs to. From here on c->told says whether the client is to hear of it.
 */
void pgr_effect_report(
	struct pgr_worker *w, struct pgr_server *s, const char *reported, const char *value);

/* A ReadyForQuery for what the client sent, after anything eventful: s->status is new. */
void pgr_effect_ready(struct pgr_worker *w, struct pgr_server *s);

/* The startup values of c->restore were put back, or had never gone. */
void pgr_effect_restored(struct pgr_worker *w, struct pgr_server *s);

/* Are the client's settings just what it has been told? Statements on their way may change them. */
bool pgr_effect_settled(const struct pgr_server *s);

#endif
