/*
 * Client sessions: from accept to the end.
 */
#ifndef PGR_WORKER_CLIENT_H
#define PGR_WORKER_CLIENT_H

#include "proto/error.h"
#include "worker/pin.h"
#include "worker/worker.h"

static inline struct pgr_client_rec *
pgr_client_rec(struct pgr_worker *w, const struct pgr_client *c)
{
	return pgr_shm_client(w->shm, c->rec);
}

/* Takes what the listener has, at most a batch. */
void pgr_client_accept(struct pgr_worker *w, struct pgr_watch *listener);

void pgr_client_event(struct pgr_worker *w, struct pgr_client *c, uint32_t events);

/* For statistics and SHOW CLIENTS. */
void pgr_client_mark(struct pgr_worker *w, struct pgr_client *c, enum pgr_client_state state);

/* The session's settings have changed: its application_name is shown. */
void pgr_client_tell_name(struct pgr_worker *w, struct pgr_client *c);

/* The server has them of its own: nothing is tracked of what the client asked for at login. */
void pgr_client_forget_settings(struct pgr_client *c);

/*
 * From now on the client keeps the server connection that it has; stays: until DISCARD ALL. The first
 * reason is the one that is shown.
 */
void pgr_client_pin(struct pgr_worker *w, struct pgr_client *c, enum pgr_pin pin, bool stays);

/* What pinned it has gone; in session mode it stays pinned. */
void pgr_client_unpin(struct pgr_worker *w, struct pgr_client *c);

/* A ReadyForQuery went to the client. */
void pgr_client_cycle_done(struct pgr_worker *w, struct pgr_client *c, char status);

/* What it waits for is not to be had: its request fails, the session stays (a login fails). */
void pgr_client_no_server(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err);

/* Last words, then the end. */
void pgr_client_fatal(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err);

/* The end; what was sent is delivered first. Its server connection is settled. */
void pgr_client_finish(struct pgr_worker *w, struct pgr_client *c);

/* The end, at once: the peer has gone. */
void pgr_client_drop(struct pgr_worker *w, struct pgr_client *c);

/* An error that leaves the session as it is; vec is sent by the caller. */
void pgr_client_error(struct pgr_vec *vec, enum pgr_severity severity, const struct pgr_err *err);

/* Every client of this worker that is past its time; frees what has ended. */
void pgr_client_tick(struct pgr_worker *w);
void pgr_client_bury(struct pgr_worker *w);

/*
 * For walks over worker->clients that may end clients: where to go on. next was taken before the
 * present one was handled; if it has ended meanwhile (a failed dial fails all waiters), the walk
 * begins anew.
 */
struct pgr_list *pgr_client_walk(struct pgr_worker *w, struct pgr_list *next);

/* pgroute is stopping: sends away whoever is between transactions; all of them when fast. */
void pgr_client_dismiss(struct pgr_worker *w, bool fast);

#endif
