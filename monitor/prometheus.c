/*
 * OpenMetrics: https://prometheus.io/docs/specs/om/open_metrics_spec/. Every counter and histogram
 * of shm/stats.h appears here without being named twice: the METRIC_ table below gives each its
 * name, and a counter without an entry does not compile. Base units are seconds and bytes; label
 * sets are unique because totals.c merges equal pools. Called by stats_http.c and
 * stats_show.c.
 */
#include "monitor/prometheus.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "shm/totals.h"

/* Names without pgroute_pool_ and _total; what is kept in microseconds is told in seconds. */
#define METRIC_xact_count "transactions"
#define METRIC_query_count "queries"
#define METRIC_received "received_bytes"
#define METRIC_sent "sent_bytes"
#define METRIC_xact_time "transaction_seconds"
#define METRIC_query_time "query_seconds"
#define METRIC_wait_time "wait_seconds"
#define METRIC_wait_count "waits"
#define METRIC_wait_failed "waits_failed"
#define METRIC_client_logins "client_logins"
#define METRIC_server_logins "server_logins"
#define METRIC_server_login_failures "server_login_failures"
#define METRIC_server_parse_count "server_parses"
#define METRIC_client_parse_count "client_parses"
#define METRIC_bind_count "binds"
#define METRIC_errors "server_errors"
#define METRIC_cancels "cancels"
#define METRIC_pins "pins"
#define METRIC_server_assignment_count "server_assignments"
/* Histograms: without pgroute_ and _duration_seconds. */
#define METRIC_query "query"
#define METRIC_xact "transaction"
#define METRIC_wait "wait"
#define METRIC_login "login"

enum unit {
	UNIT_NONE,
	UNIT_SECONDS, /* kept in microseconds */
	UNIT_BYTES,
};

/* One number of a pool. */
struct column {
	const char *name;
	const char *help;
	size_t offset; /* in struct pgr_total */
};

static const struct column counters[] = {
#define X(name, help) {METRIC_##name, help, offsetof(struct pgr_total, name)},
	PGR_POOL_COUNTERS(X)
#undef X
};

static const struct column clients[] = {
	{"active", NULL, offsetof(struct pgr_total, cl_active)},
	{"waiting", NULL, offsetof(struct pgr_total, cl_waiting)},
	{"idle", NULL, offsetof(struct pgr_total, cl_idle)},
};

static const struct column servers[] = {
	{"active", NULL, offsetof(struct pgr_total, sv_active)},
	{"idle", NULL, offsetof(struct pgr_total, sv_idle)},
	{"used", NULL, offsetof(struct pgr_total, sv_used)},
	{"login", NULL, offsetof(struct pgr_total, sv_login)},
	{"closing", NULL, offsetof(struct pgr_total, sv_closing)},
};

static const char *const close_reasons[] = {
#define X(name, text) text,
	PGR_CLOSE_REASONS(X)
#undef X
};

static uint64_t
column_value(const struct pgr_total *row, const struct column *column)
{
	uint64_t value;

	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

static enum unit
unit_of(const char *name)
{
	const char *tail = strrchr(name, '_');

	if (tail == NULL)
		return UNIT_NONE;
	return strcmp(tail, "_seconds") == 0  ? UNIT_SECONDS
		: strcmp(tail, "_bytes") == 0 ? UNIT_BYTES
					      : UNIT_NONE;
}

static void
write_value(struct pgr_stats_text *out, uint64_t value, enum unit unit)
{
	if (unit == UNIT_SECONDS)
		pgr_stats_text_printf(out, " %" PRIu64 ".%06u\n", value / PGR_USEC_PER_SEC,
			(unsigned)(value % PGR_USEC_PER_SEC));
	else
		pgr_stats_text_printf(out, " %" PRIu64 "\n", value);
}

/* family: the whole name without _total. help is one line without backslashes. */
static void
write_head(struct pgr_stats_text *out, const char *family, const char *type, const char *help)
{
	enum unit unit = unit_of(family);

	pgr_stats_text_printf(out, "# TYPE %s %s\n", family, type);
	if (unit != UNIT_NONE)
		pgr_stats_text_printf(
			out, "# UNIT %s %s\n", family, unit == UNIT_SECONDS ? "seconds" : "bytes");
	pgr_stats_text_printf(out, "# HELP %s %s.\n", family, help);
}

static void
write_label(struct pgr_stats_text *out, const char *name, const char *value)
{
	pgr_stats_text_printf(out, "%s=\"", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n')
			pgr_stats_text_add(out, "\\n", 2);
		else if (*p == '"' || *p == '\\')
			pgr_stats_text_printf(out, "\\%c", *p);
		else
			pgr_stats_text_add(out, p, 1);
	}
	pgr_stats_text_add(out, "\"", 1);
}

/* {database="",user="",server=""}, with one more label when extra is not NULL. */
static void
write_labels(struct pgr_stats_text *out, const struct pgr_total *row, const char *extra,
	const char *extra_value)
{
	pgr_stats_text_add(out, "{", 1);
	write_label(out, "database", row->database);
	write_label(out, ",user", row->user);
	write_label(out, ",server", row->server);
	if (extra != NULL) {
		pgr_stats_text_add(out, ",", 1);
		write_label(out, extra, extra_value);
	}
	pgr_stats_text_add(out, "}", 1);
}

static void
write_pool_counters(struct pgr_stats_text *out, const struct pgr_totals *totals)
{
	char family[128];

	for (size_t c = 0; c < PGR_COUNT_OF(counters); c++) {
		snprintf(family, sizeof(family), "pgroute_pool_%s", counters[c].name);
		write_head(out, family, "counter", counters[c].help);
		for (size_t i = 0; i < totals->n; i++) {
			pgr_stats_text_printf(out, "%s_total", family);
			write_labels(out, &totals->row[i], NULL, NULL);
			write_value(
				out, column_value(&totals->row[i], &counters[c]), unit_of(family));
		}
	}
}

static void
write_states(struct pgr_stats_text *out, const struct pgr_totals *totals, const char *family,
	const char *help, const struct column *column, size_t n)
{
	write_head(out, family, "gauge", help);
	for (size_t i = 0; i < totals->n; i++) {
		for (size_t c = 0; c < n; c++) {
			pgr_stats_text_printf(out, "%s", family);
			write_labels(out, &totals->row[i], "state", column[c].name);
			write_value(out, column_value(&totals->row[i], &column[c]), UNIT_NONE);
		}
	}
}

static void
write_pool_gauge(struct pgr_stats_text *out, const struct pgr_totals *totals,
	const char *family, const char *help, size_t offset)
{
	const struct column column = {.offset = offset};

	write_head(out, family, "gauge", help);
	for (size_t i = 0; i < totals->n; i++) {
		pgr_stats_text_printf(out, "%s", family);
		write_labels(out, &totals->row[i], NULL, NULL);
		write_value(out, column_value(&totals->row[i], &column), UNIT_NONE);
	}
}

static void
write_max_wait(struct pgr_stats_text *out, const struct pgr_totals *totals, pgr_usec now)
{
	const char *family = "pgroute_pool_max_wait_seconds";

	write_head(out, family, "gauge", "how long the oldest of the waiting clients has waited");
	for (size_t i = 0; i < totals->n; i++) {
		uint64_t since = totals->row[i].oldest_wait;

		pgr_stats_text_printf(out, "%s", family);
		write_labels(out, &totals->row[i], NULL, NULL);
		write_value(out, since != 0 && since < now ? now - since : 0, UNIT_SECONDS);
	}
}

static void
write_closes(struct pgr_stats_text *out, const struct pgr_totals *totals)
{
	write_head(out, "pgroute_pool_server_closes", "counter",
		"server connections closed, by reason");
	for (size_t i = 0; i < totals->n; i++) {
		for (size_t r = 0; r < PGR_CLOSE_REASON_COUNT; r++) {
			pgr_stats_text_printf(out, "pgroute_pool_server_closes_total");
			write_labels(out, &totals->row[i], "reason", close_reasons[r]);
			write_value(out, totals->row[i].closes[r], UNIT_NONE);
		}
	}
}

static void
write_pools(struct pgr_stats_text *out, const struct pgr_totals *totals, pgr_usec now)
{
	write_pool_counters(out, totals);
	write_closes(out, totals);
	write_states(out, totals, "pgroute_pool_clients", "clients logged in, by state", clients,
		PGR_COUNT_OF(clients));
	write_states(out, totals, "pgroute_pool_servers", "server connections, by state", servers,
		PGR_COUNT_OF(servers));
	write_max_wait(out, totals, now);
	write_pool_gauge(out, totals, "pgroute_pool_size", "limit on server connections",
		offsetof(struct pgr_total, pool_size));
	write_pool_gauge(out, totals, "pgroute_pool_reserve_size",
		"server connections allowed beyond the limit while clients wait long",
		offsetof(struct pgr_total, reserve_pool_size));
}

static void
process_name(char buf[24], unsigned k)
{
	if (k < PGR_WORKERS_MAX)
		snprintf(buf, 24, "worker %u", k);
	else
		snprintf(buf, 24, "%s", k == PGR_PROC_MONITOR ? "monitor" : "stats");
}

static void
write_process_counter(struct pgr_stats_text *out, const struct pgr_stats *stats, const char *name,
	const char *help, size_t offset)
{
	char family[128];
	char process[24];

	snprintf(family, sizeof(family), "pgroute_process_%s", name);
	write_head(out, family, "counter", help);
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		const char *at = (const char *)&stats->proc[k] + offset;

		if (!pgr_totals_counts(stats, k))
			continue;
		process_name(process, k);
		pgr_stats_text_printf(out, "%s_total{process=\"%s\"}", family, process);
		write_value(
			out, pgr_stat_get((const _Atomic uint64_t *)(const void *)at), UNIT_NONE);
	}
}

static void
write_processes(struct pgr_stats_text *out, const struct pgr_stats *stats)
{
#define X(name, help)                                                                              \
	write_process_counter(out, stats, #name, help, offsetof(struct pgr_stats_proc, name));
	PGR_PROC_COUNTERS(X)
#undef X
}

/*
 * One bucket per power of two from 4 us on; the cells between them stay in the mapping, for
 * `pgroutectl stats`. A bound is exclusive there and inclusive here, one microsecond apart.
 */
static void
write_histogram(struct pgr_stats_text *out, const char *name, const char *help,
	const struct pgr_totals_sum *sum)
{
	char family[128];
	uint64_t below = 0;

	snprintf(family, sizeof(family), "pgroute_%s_duration_seconds", name);
	write_head(out, family, "histogram", help);
	for (uint32_t i = 0; i < PGR_HISTOGRAM_CELLS; i++) {
		uint64_t bound = pgr_histogram_bound(i);

		below += sum->cell[i];
		if (bound < 4 || (bound & (bound - 1)) != 0)
			continue;
		pgr_stats_text_printf(out, "%s_bucket{le=\"%" PRIu64 ".%06u\"} %" PRIu64 "\n",
			family, bound / PGR_USEC_PER_SEC, (unsigned)(bound % PGR_USEC_PER_SEC),
			below);
	}
	pgr_stats_text_printf(out,
		"%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_count %" PRIu64 "\n%s_sum", family,
		sum->count, family, sum->count, family);
	write_value(out, sum->sum, UNIT_SECONDS);
}

static void
write_histograms(struct pgr_stats_text *out, const struct pgr_stats *stats)
{
	struct pgr_totals_sum sum;

#define X(name, help)                                                                              \
	pgr_totals_histogram(stats, PGR_TOTALS_##name, &sum);                       \
	write_histogram(out, METRIC_##name, "duration: " help, &sum);
	PGR_HISTOGRAMS(X)
#undef X
}

static void
write_number(struct pgr_stats_text *out, const char *family, const char *type, const char *help,
	uint64_t value)
{
	write_head(out, family, type, help);
	pgr_stats_text_printf(out, "%s%s", family, strcmp(type, "counter") == 0 ? "_total" : "");
	write_value(out, value, unit_of(family));
}

static void
write_whole(struct pgr_stats_text *out, const struct pgr_stats *stats)
{
	pgr_stats_text_printf(out,
		"# TYPE pgroute_build info\n# HELP pgroute_build Version.\n"
		"pgroute_build_info{version=\"" PGR_VERSION "\"} 1\n");
	write_number(out, "pgroute_start_time_seconds", "gauge",
		"when pgroute was started, since 1970", pgr_stat_get(&stats->started));
	write_number(out, "pgroute_reloads", "counter", "configurations taken up since the start",
		pgr_stat_get(&stats->reloads));
	write_number(out, "pgroute_respawns", "counter", "processes that were started again",
		pgr_stat_get(&stats->respawns));
	write_number(out, "pgroute_workers", "gauge", "worker processes", stats->workers);
	write_number(out, "pgroute_max_clients", "gauge", "limit on clients",
		pgr_stat_get(&stats->max_clients));
	write_number(out, "pgroute_pools", "gauge", "highest number of pools at one time",
		atomic_load(&stats->pools_used));
}

enum pgr_rc
pgr_prometheus_write(const struct pgr_stats *stats, pgr_usec now, struct pgr_stats_text *out,
	struct pgr_err *err)
{
	struct pgr_totals totals;

	if (pgr_totals_collect(stats, &totals, err) != PGR_OK)
		return PGR_FAIL;
	write_whole(out, stats);
	write_processes(out, stats);
	write_histograms(out, stats);
	write_pools(out, &totals, now);
	pgr_stats_text_printf(out, "# EOF\n");
	pgr_totals_fini(&totals);
	if (out->full)
		return pgr_err_set(
			err, "53200", "the metrics are too long for the memory they may use");
	return PGR_OK;
}
