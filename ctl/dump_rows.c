/*
 * From the statistics mapping to rows with PgBouncer's names where it has them: cl_active counts
 * idle clients too, total_* are since the start. Called by dump.c; pure, tested in tests/unit.
 */
#include "ctl/dump_rows.h"

#include <stdio.h>
#include <string.h>

#include "ctl/sums.h"
#include "shm/layout.h"

static const char *const modes[] = {"session", "transaction", "statement"};

static void
put(json_t *row, const char *key, uint64_t value)
{
	json_object_set_new(
		row, key, json_integer((json_int_t)PGR_MIN(value, (uint64_t)INT64_MAX)));
}

/* A name of shared memory: perhaps without a NUL, perhaps no UTF-8. */
static void
put_name(json_t *row, const char *key, const char *name, size_t size)
{
	char text[512];
	size_t len = PGR_MIN(strnlen(name, size), sizeof(text) - 1);
	json_t *value;

	memcpy(text, name, len);
	value = json_stringn(text, len);
	for (size_t i = 0; value == NULL && i < len; i++)
		text[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	json_object_set_new(row, key, value != NULL ? value : json_stringn(text, len));
}

static void
put_totals(json_t *row, const struct pgr_sums *sums)
{
	put(row, "total_xact_count", sums->xact_count);
	put(row, "total_query_count", sums->query_count);
	put(row, "total_received", sums->received);
	put(row, "total_sent", sums->sent);
	put(row, "total_xact_time", sums->xact_time);
	put(row, "total_query_time", sums->query_time);
	put(row, "total_wait_time", sums->wait_time);
	put(row, "total_client_parse_count", sums->client_parse_count);
	put(row, "total_server_parse_count", sums->server_parse_count);
	put(row, "total_bind_count", sums->bind_count);
	put(row, "total_wait_count", sums->wait_count);
	put(row, "total_wait_failed", sums->wait_failed);
	put(row, "total_client_logins", sums->client_logins);
	put(row, "total_server_logins", sums->server_logins);
	put(row, "total_server_login_failures", sums->server_login_failures);
	put(row, "total_errors", sums->errors);
	put(row, "total_cancels", sums->cancels);
	put(row, "total_pins", sums->pins);
}

static void
put_clients(json_t *row, const struct pgr_sums *sums)
{
	put(row, "cl_active", sums->cl_active + sums->cl_idle);
	put(row, "cl_waiting", sums->cl_waiting);
}

static void
put_servers(json_t *row, const struct pgr_stats_directory *entry)
{
	put(row, "sv_active", pgr_stat_get(&entry->sv_active));
	put(row, "sv_idle", pgr_stat_get(&entry->sv_idle));
	put(row, "sv_used", pgr_stat_get(&entry->sv_used));
	put(row, "sv_login", pgr_stat_get(&entry->sv_login));
}

static void
put_wait(json_t *row, uint64_t oldest, pgr_usec now)
{
	uint64_t wait = oldest != 0 && oldest < now ? now - oldest : 0;

	put(row, "maxwait", wait / PGR_USEC_PER_SEC);
	put(row, "maxwait_us", wait % PGR_USEC_PER_SEC);
}

static json_t *
pool_row(const struct pgr_stats *stats, uint32_t pool, pgr_usec now)
{
	const struct pgr_stats_directory *entry = &stats->directory[pool];
	struct pgr_sums sums = {0};
	json_t *row = json_object();

	pgr_sums_add_pool(stats, pool, &sums);
	put_name(row, "database", entry->database, sizeof(entry->database));
	put_name(row, "user", entry->user, sizeof(entry->user));
	put_clients(row, &sums);
	put_servers(row, entry);
	put_wait(row, sums.oldest_wait, now);
	json_object_set_new(row, "pool_mode",
		json_string(entry->pool_mode < PGR_COUNT_OF(modes) ? modes[entry->pool_mode] : ""));
	put(row, "cl_idle", sums.cl_idle);
	put(row, "sv_closing", pgr_stat_get(&entry->sv_closing));
	put_name(row, "host", entry->host, sizeof(entry->host));
	put(row, "port", entry->port);
	put(row, "pool_size", pgr_stat_get(&entry->pool_size));
	put(row, "reserve_pool_size", pgr_stat_get(&entry->reserve_pool_size));
	return row;
}

static uint32_t
pools_of(const struct pgr_stats *stats)
{
	return PGR_MIN(
		atomic_load(&((struct pgr_stats *)(uintptr_t)stats)->pools_used), PGR_POOLS_MAX);
}

static bool
in_use(const struct pgr_stats *stats, uint32_t pool)
{
	return atomic_load(&((struct pgr_stats *)(uintptr_t)stats)->directory[pool].serial) != 0;
}

static json_t *
pool_rows(const struct pgr_stats *stats, pgr_usec now)
{
	json_t *rows = json_array();

	for (uint32_t pool = 0; pool < pools_of(stats); pool++)
		if (in_use(stats, pool))
			json_array_append_new(rows, pool_row(stats, pool, now));
	return rows;
}

/* Adds up the pools of the database that `pool` belongs to, from there on. */
static json_t *
database_row(const struct pgr_stats *stats, uint32_t pool)
{
	const char *name = stats->directory[pool].database;
	struct pgr_sums sums = {0};
	json_t *row = json_object();

	for (uint32_t other = pool; other < pools_of(stats); other++)
		if (in_use(stats, other) &&
			strncmp(stats->directory[other].database, name, PGR_NAME_MAX) == 0)
			pgr_sums_add_pool(stats, other, &sums);
	put_name(row, "database", name, PGR_NAME_MAX);
	put_totals(row, &sums);
	return row;
}

/* Some thousand pools at most, and few of them per database: looking back is cheap enough. */
static bool
seen_before(const struct pgr_stats *stats, uint32_t pool)
{
	for (uint32_t other = 0; other < pool; other++)
		if (in_use(stats, other) &&
			strncmp(stats->directory[other].database, stats->directory[pool].database,
				PGR_NAME_MAX) == 0)
			return true;
	return false;
}

static json_t *
database_rows(const struct pgr_stats *stats)
{
	json_t *rows = json_array();

	for (uint32_t pool = 0; pool < pools_of(stats); pool++)
		if (in_use(stats, pool) && !seen_before(stats, pool))
			json_array_append_new(rows, database_row(stats, pool));
	return rows;
}

static json_t *
duration_row(const char *name, const struct pgr_sums_histogram *sums)
{
	json_t *row = json_object();

	json_object_set_new(row, "duration", json_string(name));
	put(row, "count", sums->count);
	put(row, "mean_us", sums->count == 0 ? 0 : sums->sum / sums->count);
	put(row, "p50_us", pgr_sums_quantile(sums, 0.5));
	put(row, "p95_us", pgr_sums_quantile(sums, 0.95));
	put(row, "p99_us", pgr_sums_quantile(sums, 0.99));
	put(row, "p999_us", pgr_sums_quantile(sums, 0.999));
	put(row, "max_us", pgr_sums_quantile(sums, 1.0));
	return row;
}

static json_t *
duration_rows(const struct pgr_stats *stats)
{
	json_t *rows = json_array();

#define X(name, help)                                                                              \
	do {                                                                                       \
		struct pgr_sums_histogram sums = {0};                                              \
                                                                                                   \
		for (unsigned k = 0; k < PGR_PROCS; k++)                                           \
			if (pgr_sums_counts(stats, k))                                             \
				pgr_sums_add_histogram(&stats->proc[k].name, &sums);               \
		json_array_append_new(rows, duration_row(help, &sums));                            \
	} while (0);
	PGR_HISTOGRAMS(X)
#undef X
	return rows;
}

static json_t *
process_row(const struct pgr_stats *stats, unsigned k, pgr_usec now)
{
	const struct pgr_stats_proc *proc = &stats->proc[k];
	uint64_t beat = pgr_stat_get(&stats->beat[k]);
	json_t *row = json_object();
	char name[32];

	snprintf(name, sizeof(name), "worker %u", k);
	json_object_set_new(row, "process", json_string(k == PGR_PROC_MONITOR ? "monitor" : name));
	put(row, "pid", atomic_load(&((struct pgr_stats *)(uintptr_t)stats)->pid[k]));
	put(row, "beat_age_ms", beat != 0 && beat < now ? (now - beat) / PGR_USEC_PER_MSEC : 0);
#define X(counter, help) put(row, #counter, pgr_stat_get(&proc->counter));
	PGR_PROC_COUNTERS(X)
#undef X
	return row;
}

static json_t *
process_rows(const struct pgr_stats *stats, pgr_usec now)
{
	json_t *rows = json_array();

	for (unsigned k = 0; k < PGR_PROCS; k++)
		if (pgr_sums_counts(stats, k))
			json_array_append_new(rows, process_row(stats, k, now));
	return rows;
}

static json_t *
whole_row(const struct pgr_stats *stats)
{
	json_t *row = json_object();

	put(row, "workers", stats->workers);
	put(row, "max_clients", pgr_stat_get(&stats->max_clients));
	put(row, "reloads", pgr_stat_get(&stats->reloads));
	put(row, "respawns", pgr_stat_get(&stats->respawns));
	put(row, "started_unix", pgr_stat_get(&stats->started) / PGR_USEC_PER_SEC);
	return row;
}

json_t *
pgr_dump_rows(const struct pgr_stats *stats, pgr_usec now)
{
	json_t *dump = json_object();

	json_object_set_new(dump, "pgroute", whole_row(stats));
	json_object_set_new(dump, "durations", duration_rows(stats));
	json_object_set_new(dump, "pools", pool_rows(stats, now));
	json_object_set_new(dump, "databases", database_rows(stats));
	json_object_set_new(dump, "processes", process_rows(stats, now));
	return dump;
}
