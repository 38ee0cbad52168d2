/*
 * What a session's settings are, through transactions and savepoints: the part of PostgreSQL's
 * bookkeeping that decides which settings the next server connection must have. Fed by what servers
 * acknowledged, never by what was merely asked for.
 *
 * session is what SET made of startup; local is what SET LOCAL put on top of it until the
 * transaction ends. Both are sets as of settings.h. Each function that returns a result FAILs, with
 * nothing changed, when memory or the room for settings ran out (53200, 54000): what the session has
 * is then known to the server only, and the caller keeps the client there.
 */
#ifndef PGR_WORKER_TRACK_H
#define PGR_WORKER_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pgr_settings;
struct pgr_track_frame;

struct pgr_track {
	struct pgr_settings *startup; /* what RESET goes back to */
	struct pgr_settings *session;
	struct pgr_settings *local;
	struct pgr_track_frame *frame; /* [0]: where ROLLBACK goes; then the savepoints. NULL: nothing changed */
	uint32_t frames;
	uint32_t frame_room;
};

#define PGR_TRACK_SAVEPOINTS 4096u /* nested ones that are followed */

/* Takes over the caller's reference to startup. */
void pgr_track_init(struct pgr_track *t, struct pgr_settings *startup);
void pgr_track_fini(struct pgr_track *t);

/* SET, SET LOCAL; value NULL is RESET and TO DEFAULT. name is in lower case. */
PGR_MUST enum pgr_rc pgr_track_set(
	struct pgr_track *t, const char *name, const char *value, bool local, struct pgr_err *err);

/* RESET ALL: everything but the role, as in PostgreSQL. */
PGR_MUST enum pgr_rc pgr_track_reset_all(struct pgr_track *t, struct pgr_err *err);

PGR_MUST enum pgr_rc pgr_track_savepoint(struct pgr_track *t, const char *name, struct pgr_err *err);

/* A name that is not known is ignored: the server has said what there is to say. */
void pgr_track_release(struct pgr_track *t, const char *name);
void pgr_track_rollback_to(struct pgr_track *t, const char *name);

/* The transaction's end; a new one may begin at once. */
void pgr_track_commit(struct pgr_track *t);
void pgr_track_rollback(struct pgr_track *t);

/* DISCARD ALL */
void pgr_track_discard(struct pgr_track *t);

/*
 * The server's own word for a value that is in force: its spelling, or what a function has made of it.
 * Savepoints keep theirs; when one comes back, the server's word for it comes too.
 */
PGR_MUST enum pgr_rc pgr_track_spell(
	struct pgr_track *t, const char *name, const char *value, struct pgr_err *err);

/* May the end of the transaction, or of a part of it, change how texts are read? */
bool pgr_track_retunes(const struct pgr_track *t);

/*
 * What is in force now: session with local on top. A new reference, or NULL (no memory, no room).
 */
struct pgr_settings *pgr_track_effective(const struct pgr_track *t);

#endif
