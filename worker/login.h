/*
 * How a client logs in: startup packet, authentication, its pool, the greeting.
 */
#ifndef PGR_WORKER_LOGIN_H
#define PGR_WORKER_LOGIN_H

#include "worker/worker.h"

void pgr_login_event(struct pgr_worker *w, struct pgr_client *c);

/* Looks whether the monitor has made the pool, or a cancel request was delivered. */
void pgr_login_poll(struct pgr_worker *w, struct pgr_client *c);

/* The monitor may have answered. */
void pgr_login_on_poke(struct pgr_worker *w);

/* The client, in GREET, has got the server connection that it waited for. */
void pgr_login_resume(struct pgr_worker *w, struct pgr_client *c);

/* Its server answered what was sent for the greeting, or refused the client's settings. */
void pgr_login_server_said(struct pgr_worker *w, struct pgr_client *c);

/* Makes the client's cancel key and tells it. */
void pgr_login_put_key(struct pgr_worker *w, struct pgr_client *c, struct pgr_vec *vec);

void pgr_login_free(struct pgr_worker *w, struct pgr_client *c);

#endif
