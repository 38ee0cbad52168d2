/*
 * Addresses of a server: published by the monitor under a sequence number, read by workers that dial.
 */
#include "shm/host.h"

#include <string.h>

#define FAILED_LATELY UINT64_C(30000000) /* usec in which an address that failed is tried last */

static uint32_t
addr_count(struct pgr_host *host)
{
	return PGR_MIN(atomic_load(&host->addr_count), (uint32_t)PGR_HOST_ADDRS);
}

static bool
same(const struct pgr_addr *a, const struct pgr_addr *b)
{
	return a->len == b->len && a->len <= sizeof(a->sock) && memcmp(&a->sock, &b->sock, a->len) == 0;
}

/* The place of addr, or count. */
static uint32_t
find(const struct pgr_addr *list, uint32_t count, const struct pgr_addr *addr)
{
	uint32_t i = 0;

	while (i < count && !same(&list[i], addr))
		i++;
	return i;
}

/* A consistent copy; 0: none, or they are being changed. */
static uint32_t
copy(struct pgr_host *host, struct pgr_addr *addr, uint64_t *failed)
{
	uint32_t count;
	uint32_t seq;

	do {
		seq = atomic_load(&host->seq);
		if ((seq & 1) != 0)
			return 0;
		count = addr_count(host);
		memcpy(addr, host->addr, count * sizeof(*addr));
		for (uint32_t i = 0; i < count; i++)
			failed[i] = atomic_load(&host->addr_failed[i]);
	} while (atomic_load(&host->seq) != seq);
	return count;
}

uint32_t
pgr_host_addresses(struct pgr_host *host, uint64_t now, struct pgr_addr ret[PGR_HOST_ADDRS])
{
	struct pgr_addr addr[PGR_HOST_ADDRS];
	uint64_t failed[PGR_HOST_ADDRS];
	uint64_t order[PGR_HOST_ADDRS];
	uint32_t count = copy(host, addr, failed);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t key = failed[i] != 0 && now < failed[i] + FAILED_LATELY ? failed[i] : 0;
		uint32_t at = i;

		for (; at > 0 && order[at - 1] > key; at--) {
			order[at] = order[at - 1];
			ret[at] = ret[at - 1];
		}
		order[at] = key;
		ret[at] = addr[i];
	}
	return count;
}

void
pgr_host_dialed(struct pgr_host *host, const struct pgr_addr *addr, uint64_t now)
{
	uint32_t count = addr_count(host);
	uint32_t i = find(host->addr, count, addr);

	if (i < count && atomic_load(&host->addr_failed[i]) != now)
		atomic_store(&host->addr_failed[i], now);
}

bool
pgr_host_has(struct pgr_host *host, const struct pgr_addr *addr)
{
	uint32_t count = addr_count(host);

	return count == 0 || find(host->addr, count, addr) < count;
}

bool
pgr_host_publish(struct pgr_host *host, const struct pgr_addr *answer, uint32_t count)
{
	struct pgr_addr next[PGR_HOST_ADDRS];
	uint64_t failed[PGR_HOST_ADDRS] = {0};
	uint32_t had = addr_count(host);
	uint32_t kept = 0;
	uint32_t n;

	for (uint32_t i = 0; i < had; i++)
		if (find(answer, count, &host->addr[i]) < count) {
			failed[kept] = atomic_load(&host->addr_failed[i]);
			next[kept++] = host->addr[i];
		}
	n = kept;
	for (uint32_t i = 0; i < count && n < PGR_HOST_ADDRS; i++)
		if (find(next, n, &answer[i]) == n)
			next[n++] = answer[i];
	if (kept == had && n == had)
		return false;
	atomic_fetch_add(&host->seq, 1);
	memcpy(host->addr, next, n * sizeof(*next));
	for (uint32_t i = 0; i < n; i++)
		atomic_store(&host->addr_failed[i], failed[i]);
	atomic_store(&host->addr_count, n);
	atomic_fetch_add(&host->seq, 1);
	return true;
}
