/*
 * Opening a server connection: connect, log in, note what belongs to the slot.
 */
#ifndef PGR_WORKER_DIAL_H
#define PGR_WORKER_DIAL_H

#include "worker/worker.h"

/*
 * The slot is DIALING by us; with s->leg, for its client and with its startup parameters. Ends in
 * pgr_lease_dialed or pgr_lease_dial_failed, perhaps at once.
 */
void pgr_dial_start(struct pgr_worker *w, struct pgr_server *s);

/* The same where a connection of ours is there still: it is closed first. */
void pgr_dial_anew(struct pgr_worker *w, struct pgr_server *s);

void pgr_dial_event(struct pgr_worker *w, struct pgr_server *s);

/* Dials that wait for a token or an address; time limits. */
void pgr_dial_tick(struct pgr_worker *w);

/* A bare connection to the very address that s is connected to, for a cancel. AGAIN: under way. */
PGR_MUST enum pgr_rc pgr_dial_connect(
	struct pgr_worker *w, struct pgr_server *s, int *ret_fd, struct pgr_err *err);

/*
 * One step towards TLS on a connection to the pool's server; *stage begins as ASK. OK: TLS stands;
 * CLOSED: the server has none, and the configuration takes that; AGAIN; FAIL.
 */
PGR_MUST enum pgr_rc pgr_dial_secure(struct pgr_worker *w, struct pgr_wpool *pool,
	struct pgr_stream *stream, enum pgr_secure_stage *stage, struct pgr_err *err);

#endif
