/*
 * Sockets: listening, connecting without blocking, options. Descriptors are close-on-exec and
 * non-blocking.
 */
#ifndef PGR_NET_SOCK_H
#define PGR_NET_SOCK_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"

struct pgr_keepalive {
	pgr_usec idle;     /* 0: no keepalive */
	pgr_usec interval;
	uint32_t count;
	pgr_usec user_timeout; /* 0: the kernel's */
};

/* host: an address, or a directory that gets .s.PGSQL.<port>. On failure names the address. */
PGR_MUST enum pgr_rc pgr_sock_listen(
	const char *host, uint16_t port, int *ret_fd, struct pgr_err *err);

/* Where a socket listens, as the kernel has it: "127.0.0.1:6432", "[::]:6432", or a path. */
void pgr_sock_name(int fd, char *buf, size_t size);

/* Options for every connection that this listener will take from now on: they inherit them. */
void pgr_sock_options(int fd, const struct pgr_keepalive *keepalive);

/*
 * Takes one connection; AGAIN: none. FAIL: *err has the errno (EMFILE and its kin among them).
 * The peer's address goes to addr (IPv6 or mapped IPv4; zeroes for a Unix socket) and port.
 */
PGR_MUST enum pgr_rc pgr_sock_accept(int listener, int *ret_fd, uint8_t ret_addr[16],
	uint16_t *ret_port, struct pgr_err *err);

/* Starts a connection; its end shows as writable. AGAIN: under way; OK: connected at once. */
PGR_MUST enum pgr_rc pgr_sock_connect(const struct sockaddr *addr, uint32_t len,
	const struct pgr_keepalive *keepalive, int *ret_fd, struct pgr_err *err);

/* The errno of a connection under way, 0 when it stands. */
int pgr_sock_error(int fd);

#endif
