/*
 * Socket calls with pgroute's options: no Nagle, keepalive and user timeout as configured. Called by
 * the master (listen), the workers (accept, connect) and the monitor (connect, for cancels).
 */
#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define SILENCE 1 /* seconds: a connection counts once its client has spoken, or after so long */

static void
set_int(int fd, int level, int option, int value)
{
	/* an option that the kernel refuses is one that it does not have: not worth a connection */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void
pgr_sock_options(int fd, const struct pgr_keepalive *keepalive)
{
	/* on a Unix socket all of these fail, and nothing is missing */
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (keepalive == NULL)
		return;
	/* also what is off: a listener had it on before a reload, and what it accepts inherits that */
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, keepalive->idle != 0);
	if (keepalive->idle != 0) {
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE,
			(int)PGR_MAX(keepalive->idle / PGR_USEC_PER_SEC, 1));
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL,
			(int)PGR_MAX(keepalive->interval / PGR_USEC_PER_SEC, 1));
		set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)keepalive->count);
	}
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(keepalive->user_timeout / PGR_USEC_PER_MSEC));
}

void
pgr_sock_name(int fd, char *buf, size_t size)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} addr = {0};
	socklen_t len = sizeof(addr) - 1; /* a path that fills it lacks its NUL */
	char host[INET6_ADDRSTRLEN] = "?";

	snprintf(buf, size, "?");
	if (getsockname(fd, &addr.any, &len) != 0)
		return;
	if (addr.any.sa_family == AF_UNIX) {
		snprintf(buf, size, "%s", addr.un.sun_path);
	} else if (addr.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &addr.in6.sin6_addr, host, sizeof(host));
		snprintf(buf, size, "[%s]:%u", host, ntohs(addr.in6.sin6_port));
	} else if (addr.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &addr.in.sin_addr, host, sizeof(host));
		snprintf(buf, size, "%s:%u", host, ntohs(addr.in.sin_port));
	}
}

static enum pgr_rc
listen_on(int fd, const struct sockaddr *addr, socklen_t len, const char *name, int *ret_fd,
	struct pgr_err *err)
{
	if (fd < 0)
		return pgr_err_sys(err, "53000", "cannot create a socket for \"%s\"", name);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, addr, len) != 0 || listen(fd, BACKLOG) != 0) {
		pgr_err_sys(err, "53000", "cannot listen on \"%s\"", name);
		close(fd);
		return PGR_FAIL;
	}
	*ret_fd = fd;
	return PGR_OK;
}

static enum pgr_rc
listen_unix(const char *directory, uint16_t port, int *ret_fd, struct pgr_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/.s.PGSQL.%u", directory, port);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return pgr_err_set(err, "53000", "the socket path in \"%s\" is too long", directory);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(addr.sun_path);
	if (listen_on(fd, (struct sockaddr *)&addr, sizeof(addr), addr.sun_path, ret_fd, err) != PGR_OK)
		return PGR_FAIL;
	(void)chmod(addr.sun_path, 0777);
	return PGR_OK;
}

enum pgr_rc
pgr_sock_listen(const char *host, uint16_t port, int *ret_fd, struct pgr_err *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char name[300];
	char service[8];
	enum pgr_rc rc;
	int fd;
	int e;

	if (host[0] == '/')
		return listen_unix(host, port, ret_fd, err);
	snprintf(service, sizeof(service), "%u", port);
	e = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &found);
	if (e != 0)
		return pgr_err_set(err, "53000", "cannot listen on \"%s\": %s", host, gai_strerror(e));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(name, sizeof(name), strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, SILENCE);
	rc = listen_on(fd, found->ai_addr, found->ai_addrlen, name, ret_fd, err);
	freeaddrinfo(found);
	return rc;
}

static void
keep_peer(const struct sockaddr_storage *peer, uint8_t ret_addr[16], uint16_t *ret_port)
{
	memset(ret_addr, 0, 16);
	*ret_port = 0;
	if (peer->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

		ret_addr[10] = ret_addr[11] = 0xff;
		memcpy(ret_addr + 12, &in->sin_addr, 4);
		*ret_port = ntohs(in->sin_port);
	} else if (peer->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

		memcpy(ret_addr, &in6->sin6_addr, 16);
		*ret_port = ntohs(in6->sin6_port);
	}
}

enum pgr_rc
pgr_sock_accept(int listener, int *ret_fd, uint8_t ret_addr[16], uint16_t *ret_port,
	struct pgr_err *err)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return PGR_AGAIN;
	if (fd < 0)
		return pgr_err_sys(err, "53000", "cannot accept a connection");
	keep_peer(&peer, ret_addr, ret_port);
	*ret_fd = fd;
	return PGR_OK;
}

enum pgr_rc
pgr_sock_connect(const struct sockaddr *addr, uint32_t len, const struct pgr_keepalive *keepalive,
	int *ret_fd, struct pgr_err *err)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return pgr_err_sys(err, "53000", "cannot create a socket");
	if (addr->sa_family != AF_UNIX)
		pgr_sock_options(fd, keepalive);
	if (connect(fd, addr, len) == 0) {
		*ret_fd = fd;
		return PGR_OK;
	}
	if (errno == EINPROGRESS) {
		*ret_fd = fd;
		return PGR_AGAIN;
	}
	pgr_err_sys(err, "08006", "cannot connect");
	close(fd);
	return PGR_FAIL;
}

int
pgr_sock_error(int fd)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
		return errno;
	return e;
}
