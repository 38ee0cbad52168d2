/*
 * What a client's portals would run when executed, as far as it matters to the session. A portal
 * whose statement has no reading is not noted.
 */
#ifndef PGR_WORKER_PORTAL_H
#define PGR_WORKER_PORTAL_H

#include "worker/worker.h"

/*
 * A Bind to that portal is sent. Takes over the reference; NULL: nothing matters. False: there are
 * too many to be noted, and nobody will know what an Execute of this one does.
 */
PGR_MUST bool pgr_portal_bind(
	struct pgr_client *c, const char *name, size_t len, struct pgr_reading *reading);

/* An Execute of that portal: a new reference to its reading, or NULL. */
struct pgr_reading *pgr_portal_execute(const struct pgr_client *c, const char *name, size_t len);

/* A Bind has failed, or was skipped: which statements the portals have is not known any more. */
void pgr_portal_doubt(struct pgr_client *c);

/* No portal lives on: the transaction has ended. */
void pgr_portal_clear(struct pgr_client *c);

#endif
