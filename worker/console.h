/*
 * The admin console: the virtual database `pgroute`. console.c speaks the protocol, console_rows.c
 * writes rows, console_order.c has done what is asked of the master and of the monitor.
 */
#ifndef PGR_WORKER_CONSOLE_H
#define PGR_WORKER_CONSOLE_H

#include "worker/verb.h"
#include "worker/worker.h"

/* What the answer of a command waits for. */
enum pgr_console_wait {
	PGR_CONSOLE_IDLE,
	PGR_CONSOLE_TURN,    /* the master is busy with a command of this worker, or its queue is full */
	PGR_CONSOLE_MASTER,  /* the master answers */
	PGR_CONSOLE_POST,    /* no request to the monitor is free */
	PGR_CONSOLE_MONITOR, /* the monitor answers */
	PGR_CONSOLE_DRAIN,   /* PAUSE: server connections are still there */
};

struct pgr_console_statement {
	struct pgr_list all; /* console->statements */
	struct pgr_verb verb;
	char name[PGR_NAME_MAX];
};

struct pgr_console_portal {
	struct pgr_list all; /* console->portals */
	struct pgr_verb verb;
	char name[PGR_NAME_MAX];
	uint64_t rows; /* that were sent before it was suspended */
	uint16_t formats;
	uint16_t format[PGR_ROW_CELLS];
};

/* What a client in the console has besides what every client has. */
struct pgr_console {
	enum pgr_console_wait wait;
	struct pgr_verb verb; /* in progress while it waits */
	bool simple;          /* it came as a Query, so ReadyForQuery follows */
	bool skipping;        /* an error in an extended batch: nothing counts before Sync */
	char status;          /* of ReadyForQuery */
	int ask;              /* index of the request to the monitor; -1: none */
	bool pauses;          /* this PAUSE is new: it is taken back when it fails */
	pgr_usec since;       /* of the command */
	unsigned held;        /* statements and portals */
	struct pgr_list statements;
	struct pgr_list portals;
};

static inline bool
pgr_console_named(const char *database)
{
	return strcmp(database, "pgroute") == 0 || strcmp(database, "pgbouncer") == 0;
}

/* The client is authenticated and means the console: it is greeted, or refused with *err (FAIL). */
PGR_MUST enum pgr_rc pgr_console_begin(
	struct pgr_worker *w, struct pgr_client *c, const char *user, struct pgr_err *err);

void pgr_console_event(struct pgr_worker *w, struct pgr_client *c);

/* A cancel request: ends a PAUSE that waits. */
void pgr_console_cancel(struct pgr_worker *w, struct pgr_client *c);

/* Looks whether what it waits for has come. */
void pgr_console_poll(struct pgr_worker *w, struct pgr_client *c);

/* The session ends. */
void pgr_console_free(struct pgr_worker *w, struct pgr_client *c);

/* The command in progress has been done, or has failed; goes on with what has come meanwhile. */
void pgr_console_done(struct pgr_worker *w, struct pgr_client *c);
void pgr_console_failed(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err);

/* Output is gathered and sent by flush; an answer of any length is kept until the client reads it. */
void pgr_console_put(struct pgr_client *c, const void *bytes, size_t len);
void pgr_console_notice(struct pgr_client *c, const char *text, size_t len);
void pgr_console_flush(struct pgr_client *c);

/* ---- console_rows.c ---- */

/* RowDescription of a SHOW, in the formats of portal; NULL: text. */
PGR_MUST enum pgr_rc pgr_console_describe(struct pgr_worker *w, struct pgr_client *c,
	const struct pgr_verb *verb, const struct pgr_console_portal *portal, struct pgr_err *err);

/*
 * DataRows. skip: so many are left out; most: and no more than so many follow (0: all). *ret_more: there
 * were more. describe: RowDescription in front.
 */
PGR_MUST enum pgr_rc pgr_console_rows(struct pgr_worker *w, struct pgr_client *c,
	const struct pgr_verb *verb, const struct pgr_console_portal *portal, bool describe,
	uint32_t most, uint64_t *ret_sent, bool *ret_more, struct pgr_err *err);

/* ---- console_order.c ---- */

/* OK: done. AGAIN: console->wait says what it waits for. FAIL: *err. */
PGR_MUST enum pgr_rc pgr_console_order(
	struct pgr_worker *w, struct pgr_client *c, struct pgr_err *err);

/* Goes on with it. */
void pgr_console_order_poll(struct pgr_worker *w, struct pgr_client *c);

/* Nobody waits for it any more. */
void pgr_console_order_drop(struct pgr_worker *w, struct pgr_client *c);

/* The master has answered. */
void pgr_console_on_result(struct pgr_worker *w);

/* Each tick: pauses that are to be taken back and found no free request. */
void pgr_console_order_tick(struct pgr_worker *w);

#endif
