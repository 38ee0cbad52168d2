/*
 * Cancelling: requests of clients, and what a vanished client left running.
 */
#ifndef PGR_WORKER_CANCEL_H
#define PGR_WORKER_CANCEL_H

#include "worker/worker.h"

/*
 * Cancels what the slot leased by us runs: pins the slot, sends, waits for the end of that connection,
 * unpins. for_client: its record's cancel flag is cleared when all is done; NULL: on our account.
 */
void pgr_cancel_send(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *for_client);

/*
 * A cancel request arrived: marks the client with this pid and key, whoever serves it. False: there is
 * none. *ret_client: to watch until the mark is gone.
 */
bool pgr_cancel_request(struct pgr_worker *w, uint32_t pid, const uint8_t *key, size_t len,
	pgr_client_id *ret_client);

/*
 * Cancels what this client waits for or runs; later, with c->canceling set until it is called again, when its
 * settings are being applied. Its record is marked.
 */
void pgr_cancel_client(struct pgr_worker *w, struct pgr_client *c);

/* Some client of this worker was marked: does what is asked. */
void pgr_cancel_on_poke(struct pgr_worker *w);

void pgr_cancel_event(struct pgr_worker *w, struct pgr_watch *watch);
void pgr_cancel_tick(struct pgr_worker *w);

#endif
