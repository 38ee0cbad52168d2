/*
 * Leases: how a leg comes to a server connection, waits for one in this worker's FIFO, and lets it go.
 */
#ifndef PGR_WORKER_LEASE_H
#define PGR_WORKER_LEASE_H

#include "worker/worker.h"

/* This worker's view of a pool. NULL: no memory. */
struct pgr_wpool *pgr_lease_pool(struct pgr_worker *w, pgr_pool_id id);

/*
 * A server connection for leg. OK: leg->server is there. AGAIN: the leg waits; it comes to
 * worker->runnable when it has one, or its client is told of the failure. FAIL: none is to be had now.
 */
PGR_MUST enum pgr_rc pgr_lease_want(struct pgr_worker *w, struct pgr_leg *leg, struct pgr_err *err);

/* The leg does not want one any more (client gone, timeout, cancel). */
void pgr_lease_give_up(struct pgr_worker *w, struct pgr_leg *leg);

/*
 * The connection is clean and its leg done: to the next waiter, or back to the pool. The leg is free.
 */
void pgr_lease_end(struct pgr_worker *w, struct pgr_server *s);

/* The connection is not to be used again: to the monitor, which closes it. The leg is free. */
void pgr_lease_close(struct pgr_worker *w, struct pgr_server *s, enum pgr_close_reason reason);

/* A dial is done. own: it has failed for what its client asked for, which concerns nobody else. */
void pgr_lease_dialed(struct pgr_worker *w, struct pgr_server *s);
void pgr_lease_dial_failed(
	struct pgr_worker *w, struct pgr_server *s, const struct pgr_err *err, bool own);

/* The vault answered for s, which s->leg waits for. */
void pgr_lease_fetched(struct pgr_worker *w, struct pgr_server *s, bool have);

/* Something of this pool became available. */
void pgr_lease_match(struct pgr_worker *w, struct pgr_wpool *pool);

/* The same for every pool in which clients of this worker wait. */
void pgr_lease_match_all(struct pgr_worker *w);

/*
 * Does a connection of this pool, set as a client with these settings would have it, hold the prepared
 * statement? Whoever leases it: it is one that the client might be given, and would find it there.
 */
bool pgr_lease_holds(struct pgr_worker *w, const struct pgr_wpool *pool, uint64_t settings,
	struct pgr_hash128 statement);

/* This worker was poked: takes what was given to it. */
void pgr_lease_on_poke(struct pgr_worker *w);

/* Timeouts of waiters; dials that may be tried again. */
void pgr_lease_tick(struct pgr_worker *w);

static inline bool
pgr_leg_waits(const struct pgr_leg *leg)
{
	return !pgr_list_empty(&leg->wait) || leg->fetching.n != PGR_NO_SLOT.n;
}

#endif
