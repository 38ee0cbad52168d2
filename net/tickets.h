/*
 * The keys of TLS session tickets, shared by all workers: a client that comes back resumes its session
 * wherever it is accepted. They lie in the mapping of secrets and are replaced from time to time.
 */
#ifndef PGR_NET_TICKETS_H
#define PGR_NET_TICKETS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

struct ssl_ctx_st;

#define PGR_TICKET_KEYS 3

struct pgr_ticket_key {
	uint8_t name[16];
	uint8_t cipher[32];
	uint8_t mac[32];
};

/*
 *   writer     the master
 *   readers    workers: the newest to seal, any of them to open
 *   ordering   a key is whole before `newest` points to it
 *   on death   nothing to repair
 *   invariant  the key that `newest` points to is not written for PGR_TICKET_KEYS - 1 rotations; who
 *              reads an older one while it is replaced finds a ticket that does not open: a full
 *              handshake
 */
struct pgr_tickets {
	_Atomic uint64_t newest; /* its key is newest % PGR_TICKET_KEYS; 0: none yet */
	struct pgr_ticket_key key[PGR_TICKET_KEYS];
};

/* A new key for what is sealed from now on; the oldest is forgotten. FAIL (58000): no randomness. */
PGR_MUST enum pgr_rc pgr_tickets_rotate(struct pgr_tickets *tickets, struct pgr_err *err);

/* Has ctx seal and open tickets with these keys, which must outlive it. */
void pgr_tickets_use(struct ssl_ctx_st *ctx, struct pgr_tickets *tickets);

#endif
