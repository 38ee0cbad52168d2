/*
 * One server as it stands in the configuration: its name, the addresses that the name has, who may
 * log in at the moment.
 */
#ifndef PGR_SHM_HOST_H
#define PGR_SHM_HOST_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shm/layout.h"

#define PGR_HOST_ADDRS 16 /* of one name; what an answer has beyond is not used */

/* An address with its port. len 0: none. */
struct pgr_addr {
	uint32_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} sock;
};

/*
 *   writer     the monitor; login[]: any worker by CAS from 0 to its index + 1 and back; addr_failed[]:
 *              whoever dialed that address last
 *   ordering   seq is odd while the addresses change; readers read again when it moved
 *   on death   the monitor's sweep zeroes login tokens of the dead; a new monitor resolves anew
 *   invariant  a token is held from connect() to the end of the login; addr_failed[] is a hint: written
 *              while the addresses move it may come to stand beside another one
 */
struct pgr_host {
	_Atomic uint32_t seq;
	_Atomic uint32_t addr_count;
	uint32_t port;
	_Atomic uint32_t used;
	_Atomic uint64_t login_waiters; /* bit k: worker k waits for a token */
	_Atomic uint64_t failed_at;     /* resolving failed; 0: never */
	char name[256];
	struct pgr_addr addr[PGR_HOST_ADDRS];
	_Atomic uint64_t addr_failed[PGR_HOST_ADDRS]; /* monotonic usec; 0: the last dial was good */
	_Atomic uint32_t login[PGR_LOGINS_MAX];
} PGR_ALIGNED(64);

/*
 * The addresses in the order in which to try them: that of the answer, and behind it those that failed
 * lately, the one that did so last at the end. Returns their number; 0: none is known (yet).
 */
uint32_t pgr_host_addresses(struct pgr_host *host, uint64_t now, struct pgr_addr ret[PGR_HOST_ADDRS]);

/* A connection to addr failed now; now 0: it stands. */
void pgr_host_dialed(struct pgr_host *host, const struct pgr_addr *addr, uint64_t now);

/* Is addr one of the host's? Yes, as long as nothing is known to the contrary. */
bool pgr_host_has(struct pgr_host *host, const struct pgr_addr *addr);

/*
 * What the name has now; called by the monitor only. An answer that differs in nothing but its order
 * changes nothing: addresses keep the order in which they first came. True: one came or went.
 */
bool pgr_host_publish(struct pgr_host *host, const struct pgr_addr *answer, uint32_t count);

#endif
