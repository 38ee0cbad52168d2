/*
 * What other processes must know of a client: its cancel key, its state for SHOW CLIENTS. The session
 * itself lives in its worker.
 */
#ifndef PGR_SHM_CLIENT_H
#define PGR_SHM_CLIENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/rc.h"
#include "shm/layout.h"

#define PGR_CONSOLE_POOL ((pgr_pool_id){UINT32_MAX - 1}) /* of who is in the admin console */
#define PGR_CLIENT_KEY 32 /* bytes of a cancel key of protocol 3.2; 3.0 uses the first 4 */

enum pgr_client_state {
	PGR_CLIENT_FREE = 0, /* the record is unused */
	PGR_CLIENT_LOGIN,
	PGR_CLIENT_IDLE,
	PGR_CLIENT_WAITING, /* for a server connection */
	PGR_CLIENT_ACTIVE,  /* has one */
};

/*
 * One client. Worker k owns the records k * clients_per_worker and following.
 *
 *   writer     the worker; cancel, canceler: the process that received the cancel request sets them,
 *              the worker zeroes cancel when the cancel was delivered
 *   readers    anyone; application may be torn
 *   ordering   key and pid first, then state by a release store; user before counted; cancel and
 *              counted are seq_cst
 *   on death   the successor frees all records of its index
 *   invariant  pid is the record's index + 1 under a mixing that keeps pids unique
 */
struct pgr_client_rec {
	_Atomic uint32_t state;
	_Atomic uint32_t cancel; /* the lower bits of id, then 01: its worker is asked to cancel what it
				  * runs, 10: is at it; 0: nothing */
	_Atomic uint32_t canceler; /* process to poke when that is done */
	uint32_t pid;
	uint8_t key[PGR_CLIENT_KEY];
	_Atomic uint64_t id;
	_Atomic uint32_t pool;
	_Atomic uint32_t slot;   /* + 1; 0: none. For showing only */
	_Atomic uint64_t since;  /* monotonic usec of the last change of state */
	uint64_t connected;      /* wall clock, usec */
	uint8_t addr[16];        /* IPv6 or mapped IPv4; zero: Unix socket */
	uint16_t port;
	uint8_t pinned; /* enum pgr_pin_reason of worker/ */
	uint8_t key_len;
	_Atomic uint32_t counted; /* 1: authenticated, so it counts against the limit of its user */
	_Atomic uint32_t tls;     /* version and cipher suite (net/tls.h); 0: in clear */
	uint8_t pad[12];
	char user[PGR_NAME_MAX];        /* its own name, whoever logs in to the server */
	char application[PGR_NAME_MAX]; /* application_name, as the session has it now */
} PGR_ALIGNED(64);
_Static_assert(sizeof(struct pgr_client_rec) == 256, "four cache lines per client; docs/SHM.md draws this");

#endif
