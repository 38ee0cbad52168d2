/*
 * Bringing a server connection back to a clean state after its client has gone or is done with it.
 */
#ifndef PGR_WORKER_SETTLE_H
#define PGR_WORKER_SETTLE_H

#include "worker/worker.h"

/*
 * The leg is freed. vanished: the client left in the middle: what runs is cancelled. Ends in a return
 * to the pool, or in closing when it cannot be cleaned in close_timeout.
 */
void pgr_settle_begin(struct pgr_worker *w, struct pgr_server *s, bool vanished);

/* The next step, when the server has answered. */
void pgr_settle_step(struct pgr_worker *w, struct pgr_server *s);

#endif
