/*
 * Counters have one writer each, so a total is a sum over processes. Called by the stats process
 * for /metrics and the control socket; knows nothing but the statistics mapping. What is read here
 * was written by others at the same moment: a row may mix two instants, a counter never goes back.
 */
#include "shm/totals.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

_Static_assert(PGR_CLOSE_REASON_COUNT <= PGR_COUNT_OF(((struct pgr_stats_directory *)0)->closes),
	"the directory counts every reason");

bool
pgr_totals_counts(const struct pgr_stats *stats, unsigned k)
{
	return k < PGR_MIN(stats->workers, PGR_WORKERS_MAX) || k == PGR_PROC_MONITOR;
}

static void
add_process(struct pgr_total *total, const struct pgr_stats_pool *pool)
{
	uint64_t oldest = pgr_stat_get(&pool->oldest_wait);

	/* who waits becomes active directly, who is active waits only a round trip later: looking
	 * at them in this order no client is counted twice */
	total->cl_active += pgr_stat_get(&pool->cl_active);
	total->cl_waiting += pgr_stat_get(&pool->cl_waiting);
	total->cl_idle += pgr_stat_get(&pool->cl_idle);
#define X(name, help) total->name += pgr_stat_get(&pool->name);
	PGR_POOL_COUNTERS(X)
#undef X
	if (oldest != 0 && (total->oldest_wait == 0 || oldest < total->oldest_wait))
		total->oldest_wait = oldest;
}

void
pgr_totals_pool(const struct pgr_stats *stats, uint32_t pool, struct pgr_total *ret)
{
	for (unsigned k = 0; k < PGR_PROCS; k++)
		if (pgr_totals_counts(stats, k))
			add_process(ret, &stats->proc[k].pool[pool % PGR_POOLS_MAX]);
}

static void
add_directory(struct pgr_total *total, const struct pgr_stats_directory *entry)
{
	char host[sizeof(entry->host) + 1];

	pgr_utf8_copy(total->database, entry->database, sizeof(entry->database));
	pgr_utf8_copy(total->user, entry->user, sizeof(entry->user));
	pgr_utf8_copy(host, entry->host, sizeof(entry->host));
	snprintf(total->server, sizeof(total->server),
		strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, entry->port);
	total->pool_mode = entry->pool_mode;
	total->pool_size = pgr_stat_get(&entry->pool_size);
	total->reserve_pool_size = pgr_stat_get(&entry->reserve_pool_size);
	total->sv_active = pgr_stat_get(&entry->sv_active);
	total->sv_idle = pgr_stat_get(&entry->sv_idle);
	total->sv_used = pgr_stat_get(&entry->sv_used);
	total->sv_login = pgr_stat_get(&entry->sv_login);
	total->sv_closing = pgr_stat_get(&entry->sv_closing);
	for (size_t i = 0; i < PGR_CLOSE_REASON_COUNT; i++)
		total->closes[i] = pgr_stat_get(&entry->closes[i]);
}

/* False: the entry is unused, or became another pool's while we looked. */
static bool
read_entry(const struct pgr_stats *stats, uint32_t pool, struct pgr_total *ret)
{
	const struct pgr_stats_directory *entry = &stats->directory[pool];
	uint32_t serial = atomic_load(&entry->serial);

	if (serial == 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->pool = pool;
	add_directory(ret, entry);
	pgr_totals_pool(stats, pool, ret);
	return atomic_load(&entry->serial) == serial;
}

static int
compare_keys(const void *a, const void *b)
{
	const struct pgr_total *x = a;
	const struct pgr_total *y = b;
	int c = strcmp(x->database, y->database);

	if (c == 0)
		c = strcmp(x->user, y->user);
	return c != 0 ? c : strcmp(x->server, y->server);
}

static void
merge(struct pgr_total *into, const struct pgr_total *from)
{
#define X(name, help) into->name += from->name;
	PGR_POOL_COUNTERS(X)
	PGR_POOL_GAUGES(X)
#undef X
	into->pool_size += from->pool_size;
	into->reserve_pool_size += from->reserve_pool_size;
	into->sv_active += from->sv_active;
	into->sv_idle += from->sv_idle;
	into->sv_used += from->sv_used;
	into->sv_login += from->sv_login;
	into->sv_closing += from->sv_closing;
	for (size_t i = 0; i < PGR_CLOSE_REASON_COUNT; i++)
		into->closes[i] += from->closes[i];
	if (from->oldest_wait != 0 &&
		(into->oldest_wait == 0 || from->oldest_wait < into->oldest_wait))
		into->oldest_wait = from->oldest_wait;
}

/* Two pools look the same while a changed database drains: a series may not be there twice. */
static void
sort_and_merge(struct pgr_totals *totals)
{
	size_t last = 0;

	if (totals->n == 0)
		return;
	qsort(totals->row, totals->n, sizeof(*totals->row), compare_keys);
	for (size_t i = 1; i < totals->n; i++) {
		if (compare_keys(&totals->row[last], &totals->row[i]) == 0)
			merge(&totals->row[last], &totals->row[i]);
		else if (++last != i)
			totals->row[last] = totals->row[i];
	}
	totals->n = last + 1;
}

enum pgr_rc
pgr_totals_collect(
	const struct pgr_stats *stats, struct pgr_totals *ret, struct pgr_err *err)
{
	uint32_t top = PGR_MIN(atomic_load(&stats->pools_used), PGR_POOLS_MAX);
	struct pgr_totals totals = {.row = calloc(top + 1, sizeof(*totals.row))};

	if (totals.row == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	for (uint32_t pool = 0; pool < top; pool++)
		if (read_entry(stats, pool, &totals.row[totals.n]))
			totals.n++;
	sort_and_merge(&totals);
	*ret = totals;
	return PGR_OK;
}

void
pgr_totals_fini(struct pgr_totals *totals)
{
	free(totals->row);
	*totals = (struct pgr_totals){0};
}

static const struct pgr_histogram *
histogram_of(const struct pgr_stats_proc *proc, enum pgr_totals_histogram_kind which)
{
	switch (which) {
#define X(name, help)                                                                              \
	case PGR_TOTALS_##name:                                                           \
		return &proc->name;
		PGR_HISTOGRAMS(X)
#undef X
	case PGR_TOTALS_COUNT:
		break;
	}
	return NULL;
}

void
pgr_totals_histogram(
	const struct pgr_stats *stats, enum pgr_totals_histogram_kind which, struct pgr_totals_sum *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		const struct pgr_histogram *h = histogram_of(&stats->proc[k], which);

		if (h == NULL || !pgr_totals_counts(stats, k))
			continue;
		ret->sum += pgr_stat_get(&h->sum);
		for (size_t i = 0; i < PGR_HISTOGRAM_CELLS; i++)
			ret->cell[i] += pgr_stat_get(&h->cell[i]);
	}
	for (size_t i = 0; i < PGR_HISTOGRAM_CELLS; i++)
		ret->count += ret->cell[i];
}
