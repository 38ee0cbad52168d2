/*
 * A command of the admin console: PgBouncer's language. Pure; fuzzed by tests/fuzz/fuzz_console.c.
 */
#ifndef PGR_WORKER_VERB_H
#define PGR_WORKER_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "shm/layout.h"
#include "worker/show.h"

/* The name is also the tag of its completion. */
#define PGR_VERBS(X)                                                                               \
	X(EMPTY, "")                                                                               \
	X(SHOW, "SHOW")                                                                            \
	X(RELOAD, "RELOAD")                                                                        \
	X(PAUSE, "PAUSE")                                                                          \
	X(RESUME, "RESUME")                                                                        \
	X(KILL, "KILL")                                                                            \
	X(RECONNECT, "RECONNECT")                                                                  \
	X(SHUTDOWN, "SHUTDOWN")                                                                    \
	X(SET, "SET")                                                                              \
	X(BEGIN, "BEGIN")                                                                          \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(DEALLOCATE, "DEALLOCATE")                                                                \
	X(DISCARD, "DISCARD ALL")

enum pgr_verb_kind {
#define X(name, text) PGR_VERB_##name,
	PGR_VERBS(X)
#undef X
};

/* What SHOW shows besides the views. */
enum pgr_verb_show {
	PGR_VERB_SHOW_VIEW,
	PGR_VERB_SHOW_SETTING, /* of those that drivers ask for */
	PGR_VERB_SHOW_HELP,
};

struct pgr_verb {
	enum pgr_verb_kind kind;
	enum pgr_verb_show show;     /* of SHOW */
	enum pgr_view view;          /* of SHOW a view */
	const char *setting;         /* of SHOW a setting: its name, */
	const char *value;           /* and what it always is */
	bool graceful;               /* of SHUTDOWN: when clients are between transactions */
	char database[PGR_NAME_MAX]; /* of PAUSE, RESUME, KILL, RECONNECT; empty: all */
	char statement[PGR_NAME_MAX]; /* of DEALLOCATE; empty: all */
};

/* len bytes, of which none is NUL. FAIL: *err is what the client is told. */
PGR_MUST enum pgr_rc pgr_verb_parse(
	const char *text, size_t len, struct pgr_verb *ret, struct pgr_err *err);

/* What SHOW HELP tells. */
extern const char pgr_verb_help[];

const char *pgr_verb_tag(enum pgr_verb_kind kind);

/* May somebody who may only look say it? */
bool pgr_verb_looks(enum pgr_verb_kind kind);

#endif
