/* A statistics mapping of one's own, with two workers and whatever pools a test gives it. */
#ifndef PGR_TESTS_STATS_UTIL_H
#define PGR_TESTS_STATS_UTIL_H

#include <stdio.h>
#include <sys/mman.h>

#include "shm/stats.h"

static inline struct pgr_stats *
stats_new(void)
{
	struct pgr_stats *stats = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(stats, MAP_FAILED);
	stats->magic = PGR_STATS_MAGIC;
	stats->version = PGR_STATS_VERSION;
	stats->workers = 2;
	stats->max_clients = 77;
	return stats;
}

static inline void
stats_free(struct pgr_stats *stats)
{
	munmap(stats, sizeof(*stats));
}

/* Pool n of the directory, as the monitor would enter it. */
static inline struct pgr_stats_directory *
stats_pool(
	struct pgr_stats *stats, uint32_t n, const char *database, const char *user, uint32_t port)
{
	struct pgr_stats_directory *entry = &stats->directory[n];

	snprintf(entry->database, sizeof(entry->database), "%s", database);
	snprintf(entry->user, sizeof(entry->user), "%s", user);
	snprintf(entry->host, sizeof(entry->host), "10.0.0.1");
	entry->port = port;
	entry->pool_mode = 1;
	atomic_store(&entry->serial, 1);
	if (n >= atomic_load(&stats->pools_used))
		atomic_store(&stats->pools_used, n + 1);
	return entry;
}

#endif
