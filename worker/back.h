/*
 * From the server: what it sends, matched with what it owes, to the client.
 */
#ifndef PGR_WORKER_BACK_H
#define PGR_WORKER_BACK_H

#include "worker/worker.h"

/* An event on a connection that is leased or settling. */
void pgr_back_event(struct pgr_worker *w, struct pgr_server *s);

/* Reads what there is, as far as the client takes it; ends the lease when all is done. */
void pgr_back_run(struct pgr_worker *w, struct pgr_server *s);

/*
 * Reads what arrived while nobody leased it. OK: nothing that matters. CLOSED: it is not usable.
 */
PGR_MUST enum pgr_rc pgr_back_drain_idle(struct pgr_worker *w, struct pgr_server *s);

/* Drops all state of an exchange; the connection will be closed. */
void pgr_back_forget(struct pgr_worker *w, struct pgr_server *s);

/* Ends the lease if everything asked for was answered and the connection is clean. */
void pgr_back_release(struct pgr_worker *w, struct pgr_server *s);

/* Answers that are ours to give and whose turn has come. */
void pgr_back_locals(struct pgr_worker *w, struct pgr_server *s, struct pgr_vec *vec);

/* Appends an Execute that must fail; its entry in the queue is the caller's. */
void pgr_back_spoil(struct pgr_vec *vec);

/* Sends a query of ours and notes that its answer is ours. CLOSED: cannot. */
PGR_MUST enum pgr_rc pgr_back_query(
	struct pgr_worker *w, struct pgr_server *s, enum pgr_purpose purpose, const char *sql);

#endif
