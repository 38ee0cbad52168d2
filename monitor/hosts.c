/*
 * Server addresses. Numeric ones and Unix sockets are known at once; names are resolved by c-ares
 * without blocking, and again every half minute. Addresses are published under a sequence number that
 * is odd while they change; the monitor is the only writer.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "monitor/monitor.h"

#define RESOLVE_AGAIN (30 * PGR_USEC_PER_SEC)

static ares_channel channel;
static unsigned pending;
static pgr_usec next_resolve;
static struct pgr_monitor *owner;

static void
publish(struct pgr_host *host, const union pgr_addr *addr, const uint32_t *len, uint32_t count)
{
	atomic_fetch_add(&host->seq, atomic_load(&host->seq) % 2 == 0 ? 1 : 2);
	memcpy(host->addr, addr, sizeof(*addr) * count);
	memcpy(host->addr_len, len, sizeof(*len) * count);
	atomic_store(&host->addr_count, count);
	atomic_store(&host->failed_at, 0);
	atomic_fetch_add(&host->seq, 1);
}

static bool
numeric(const char *name, uint16_t port, union pgr_addr *ret, uint32_t *ret_len)
{
	memset(ret, 0, sizeof(*ret));
	if (name[0] == '/') {
		ret->un.sun_family = AF_UNIX;
		*ret_len = sizeof(ret->un);
		return snprintf(ret->un.sun_path, sizeof(ret->un.sun_path), "%s/.s.PGSQL.%u", name, port) <
			(int)sizeof(ret->un.sun_path);
	}
	if (inet_pton(AF_INET, name, &ret->in.sin_addr) == 1) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(port);
		*ret_len = sizeof(ret->in);
		return true;
	}
	if (inet_pton(AF_INET6, name, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(port);
		*ret_len = sizeof(ret->in6);
		return true;
	}
	return false;
}

static void
on_resolved(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct pgr_host *host = arg;
	union pgr_addr addr[PGR_HOST_ADDRS];
	uint32_t len[PGR_HOST_ADDRS];
	uint32_t count = 0;

	(void)timeouts;
	pending--;
	if (status != ARES_SUCCESS) {
		if (atomic_load(&host->failed_at) == 0)
			pgr_log(PGR_LOG_WARN, "host.resolve", "\"%s\": %s", host->name, ares_strerror(status));
		if (atomic_load(&host->addr_count) == 0)
			atomic_store(&host->failed_at, owner->now);
		return;
	}
	for (struct ares_addrinfo_node *n = result->nodes; n != NULL && count < PGR_HOST_ADDRS;
		n = n->ai_next) {
		if ((size_t)n->ai_addrlen > sizeof(addr[0]))
			continue;
		memset(&addr[count], 0, sizeof(addr[0]));
		memcpy(&addr[count], n->ai_addr, n->ai_addrlen);
		len[count++] = (uint32_t)n->ai_addrlen;
	}
	if (count > 0)
		publish(host, addr, len, count);
	ares_freeaddrinfo(result);
}

static void
resolve(struct pgr_host *host)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	union pgr_addr addr;
	char service[8];
	uint32_t len;

	if (numeric(host->name, (uint16_t)host->port, &addr, &len)) {
		if (atomic_load(&host->addr_count) == 0)
			publish(host, &addr, &len, 1);
		return;
	}
	snprintf(service, sizeof(service), "%u", host->port);
	pending++;
	ares_getaddrinfo(channel, host->name, service, &hints, on_resolved, host);
}

void
pgr_hosts_start(struct pgr_monitor *m)
{
	owner = m;
	PGR_ASSERT(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
	PGR_ASSERT(ares_init(&channel) == ARES_SUCCESS);
	for (uint32_t i = 0; i < atomic_load(&m->shm->seg->hosts_used); i++) {
		struct pgr_host *host = &m->shm->seg->host[i];

		if (atomic_load(&host->seq) % 2 == 0)
			continue;
		atomic_store(&host->addr_count, 0); /* a predecessor died in the middle of a change */
		atomic_fetch_add(&host->seq, 1);
		resolve(host);
	}
}

uint32_t
pgr_hosts_get(struct pgr_monitor *m, const char *name, uint16_t port)
{
	uint32_t used = atomic_load(&m->shm->seg->hosts_used);
	struct pgr_host *host;

	for (uint32_t i = 0; i < used; i++) {
		host = &m->shm->seg->host[i];
		if (host->port == port && strcmp(host->name, name) == 0)
			return i;
	}
	if (used >= PGR_HOSTS_MAX || strlen(name) >= sizeof(m->shm->seg->host[0].name))
		return UINT32_MAX;
	host = &m->shm->seg->host[used];
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->port = port;
	atomic_store(&host->used, 1);
	atomic_store(&m->shm->seg->hosts_used, used + 1);
	resolve(host);
	return used;
}

bool
pgr_hosts_pending(void)
{
	return pending > 0;
}

static void
process(void)
{
	ares_socket_t sock[ARES_GETSOCK_MAXNUM];
	int bits = ares_getsock(channel, sock, ARES_GETSOCK_MAXNUM);
	bool any = false;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		struct pollfd p = {.fd = sock[i]};

		if (ARES_GETSOCK_READABLE(bits, i))
			p.events |= POLLIN;
		if (ARES_GETSOCK_WRITABLE(bits, i))
			p.events |= POLLOUT;
		if (p.events == 0 || poll(&p, 1, 0) <= 0)
			continue;
		any = true;
		ares_process_fd(channel, (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0 ? p.fd
				: ARES_SOCKET_BAD, (p.revents & POLLOUT) != 0 ? p.fd : ARES_SOCKET_BAD);
	}
	if (!any)
		ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its time limits */
}

void
pgr_hosts_turn(struct pgr_monitor *m)
{
	uint32_t used = atomic_load(&m->shm->seg->hosts_used);

	if (pending > 0)
		process();
	if (m->now < next_resolve || pending > 0)
		return;
	next_resolve = m->now + RESOLVE_AGAIN;
	for (uint32_t i = 0; i < used; i++)
		resolve(&m->shm->seg->host[i]);
}
