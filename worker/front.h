/*
 * From the client: its messages, to the server that it leases.
 */
#ifndef PGR_WORKER_FRONT_H
#define PGR_WORKER_FRONT_H

#include "worker/worker.h"

/* An event on the socket of a client that is logged in. */
void pgr_front_event(struct pgr_worker *w, struct pgr_client *c, uint32_t events);

/* Has the peer of a client whose input waits vanished? False: it has, and so has the client. */
bool pgr_front_check_peer(struct pgr_worker *w, struct pgr_client *c);

/* What made the client's input wait has gone: goes on with it. */
void pgr_front_resume(struct pgr_worker *w, struct pgr_client *c);

/* Does the input wait for the end of an earlier request that is still owed? */
bool pgr_front_outruns(struct pgr_client *c);

/*
 * The request that waits in the input fails; the caller has put the ErrorResponse into worker->back.
 * Adds ReadyForQuery where it is due, sends, and drops what belongs to the request.
 */
void pgr_front_fail_request(struct pgr_worker *w, struct pgr_client *c);

/* Compares settings after a lease; appends what must go in front to worker->out. */
void pgr_front_begin_lease(struct pgr_worker *w, struct pgr_client *c);

#endif
