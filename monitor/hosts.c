/*
 * Server addresses. Numeric ones and Unix sockets are known at once; names are resolved by c-ares
 * without blocking, and again when their answer has expired. What becomes of connections to an address
 * that is no longer among those of its name is for places.c; an answer that fails changes nothing.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "monitor/monitor.h"
#include "proto/out.h"

#define RESOLVE_SOONEST PGR_USEC_PER_SEC
#define RESOLVE_LATEST (30 * PGR_USEC_PER_SEC)
#define RETRY (5 * PGR_USEC_PER_SEC)
#define ANSWER_MOST (4 * PGR_HOST_ADDRS) /* read of an answer, so that those in use are found in it */

static ares_channel channel;
static unsigned pending;
static pgr_usec next_resolve[PGR_HOSTS_MAX]; /* UINT64_MAX: the answer is due, or there is none */
static struct pgr_monitor *owner;

static bool
numeric(const char *name, uint16_t port, struct pgr_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (name[0] == '/') {
		ret->sock.un.sun_family = AF_UNIX;
		ret->len = sizeof(ret->sock.un);
		return snprintf(ret->sock.un.sun_path, sizeof(ret->sock.un.sun_path), "%s/.s.PGSQL.%u", name,
			       port) < (int)sizeof(ret->sock.un.sun_path);
	}
	if (inet_pton(AF_INET, name, &ret->sock.in.sin_addr) == 1) {
		ret->sock.in.sin_family = AF_INET;
		ret->sock.in.sin_port = htons(port);
		ret->len = sizeof(ret->sock.in);
		return true;
	}
	if (inet_pton(AF_INET6, name, &ret->sock.in6.sin6_addr) == 1) {
		ret->sock.in6.sin6_family = AF_INET6;
		ret->sock.in6.sin6_port = htons(port);
		ret->len = sizeof(ret->sock.in6);
		return true;
	}
	return false;
}

static uint32_t
index_of(const struct pgr_host *host)
{
	return (uint32_t)(host - owner->shm->seg->host);
}

/* The addresses of an answer; *ret_ttl: for how long it holds. */
static uint32_t
read_answer(const struct ares_addrinfo *answer, struct pgr_addr ret[ANSWER_MOST], pgr_usec *ret_ttl)
{
	uint32_t count = 0;

	*ret_ttl = RESOLVE_LATEST;
	for (const struct ares_addrinfo_node *n = answer->nodes; n != NULL && count < ANSWER_MOST;
		n = n->ai_next) {
		if ((size_t)n->ai_addrlen > sizeof(ret[0].sock))
			continue;
		memset(&ret[count], 0, sizeof(ret[count]));
		memcpy(&ret[count].sock, n->ai_addr, n->ai_addrlen);
		ret[count++].len = (uint32_t)n->ai_addrlen;
		*ret_ttl = PGR_MIN(*ret_ttl, (pgr_usec)PGR_MAX(n->ai_ttl, 0) * PGR_USEC_PER_SEC);
	}
	*ret_ttl = PGR_MAX(*ret_ttl, RESOLVE_SOONEST);
	return count;
}

static void
resolve_failed(struct pgr_host *host, const char *why)
{
	if (atomic_load(&host->failed_at) == 0)
		pgr_log(PGR_LOG_WARN, "host.resolve", "\"%s\": %s", host->name, why);
	atomic_store(&host->failed_at, owner->now);
	next_resolve[index_of(host)] = owner->now + RETRY;
}

static void
on_resolved(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct pgr_host *host = arg;
	struct pgr_addr addr[ANSWER_MOST];
	bool first = atomic_load(&host->addr_count) == 0;
	uint32_t count;
	pgr_usec ttl;

	(void)timeouts;
	pending--;
	if (status != ARES_SUCCESS) {
		resolve_failed(host, ares_strerror(status));
		return;
	}
	count = read_answer(answer, addr, &ttl);
	ares_freeaddrinfo(answer);
	if (count == 0) {
		resolve_failed(host, "the answer has no address");
		return;
	}
	if (pgr_host_publish(host, addr, count) && !first)
		pgr_log(PGR_LOG_INFO, "host.changed", "\"%s\" has other addresses than before (%u)",
			host->name, count);
	atomic_store(&host->failed_at, 0);
	next_resolve[index_of(host)] = owner->now + ttl;
}

/* Asks the servers of `dns_servers`, else those of /etc/resolv.conf. */
static void
open_channel(void)
{
	char list[1024];
	struct pgr_out out;

	PGR_ASSERT(ares_init(&channel) == ARES_SUCCESS);
	pgr_out_init(&out, list, sizeof(list) - 1);
	for (uint32_t i = 0; i < owner->config->dns_servers.n; i++) {
		const pgr_cref *ref =
			pgr_config_item(owner->config, owner->config->dns_servers, i, sizeof(*ref));

		pgr_out_text(&out, i == 0 ? "" : ",");
		pgr_out_text(&out, ref != NULL ? pgr_config_text(owner->config, *ref) : "");
	}
	list[out.len] = '\0';
	if (out.len > 0 && ares_set_servers_ports_csv(channel, list) != ARES_SUCCESS)
		pgr_log(PGR_LOG_ERROR, "host.resolve", "dns_servers: %s are no addresses", list);
}

static void
resolve(struct pgr_host *host)
{
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct pgr_addr addr;
	char service[8];

	next_resolve[index_of(host)] = UINT64_MAX;
	if (numeric(host->name, (uint16_t)host->port, &addr)) {
		(void)pgr_host_publish(host, &addr, 1);
		return;
	}
	if (channel == NULL)
		open_channel();
	snprintf(service, sizeof(service), "%u", host->port);
	pending++;
	ares_getaddrinfo(channel, host->name, service, &hints, on_resolved, host);
}

void
pgr_hosts_start(struct pgr_monitor *m)
{
	owner = m;
	PGR_ASSERT(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
	for (uint32_t i = 0; i < atomic_load(&m->shm->seg->hosts_used); i++) {
		struct pgr_host *host = &m->shm->seg->host[i];

		if (atomic_load(&host->seq) % 2 == 0)
			continue;
		atomic_store(&host->addr_count, 0); /* a predecessor died in the middle of a change */
		atomic_fetch_add(&host->seq, 1);
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
	unsigned bits = (unsigned)ares_getsock(channel, sock, ARES_GETSOCK_MAXNUM);
	bool any = false;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		struct pollfd p = {.fd = sock[i]};

		/* the macros of ares.h shift into the sign */
		if ((bits >> i & 1) != 0)
			p.events |= POLLIN;
		if ((bits >> (i + ARES_GETSOCK_MAXNUM) & 1) != 0)
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
	for (uint32_t i = 0; i < used; i++)
		if (m->now >= next_resolve[i])
			resolve(&m->shm->seg->host[i]);
}
