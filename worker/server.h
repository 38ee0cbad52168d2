/*
 * Server connections as this worker sees them: descriptors from the vault, events, and the end.
 */
#ifndef PGR_WORKER_SERVER_H
#define PGR_WORKER_SERVER_H

#include "net/fdpass.h"
#include "worker/worker.h"

static inline struct pgr_slot *
pgr_server_slot(struct pgr_worker *w, const struct pgr_server *s)
{
	return pgr_shm_slot(w->shm, s->slot);
}

static inline struct pgr_slot_cold *
pgr_server_cold(struct pgr_worker *w, const struct pgr_server *s)
{
	return pgr_shm_cold(w->shm, s->slot);
}

/* This worker's view of a slot of this pool, made at first use. NULL: no memory. */
struct pgr_server *pgr_server_get(struct pgr_worker *w, pgr_slot_id slot, struct pgr_wpool *pool);

/* Has the descriptor of the slot's present connection? AGAIN: the vault was asked for it. */
PGR_MUST enum pgr_rc pgr_server_fetch(struct pgr_worker *w, struct pgr_server *s);

/* Takes fd as that of the slot's connection number conn and watches it. */
PGR_MUST enum pgr_rc pgr_server_adopt(
	struct pgr_worker *w, struct pgr_server *s, int fd, uint32_t conn, struct pgr_err *err);

/* Watches the descriptor (again). */
void pgr_server_watch(struct pgr_worker *w, struct pgr_server *s);

/* Closes this worker's duplicate; the connection itself is the slot's. */
void pgr_server_forget(struct pgr_worker *w, struct pgr_server *s);

void pgr_server_event(struct pgr_worker *w, struct pgr_server *s, uint32_t events);

/* The vault answered. */
void pgr_server_on_vault(struct pgr_worker *w);

/* Closes duplicates of connections that have ended; once a second. */
void pgr_server_sweep(struct pgr_worker *w);

#endif
