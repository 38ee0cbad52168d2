/* monitor/prometheus.h: OpenMetrics text. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/prometheus.h"
#include "shm/slot.h"
#include "stats_util.h"

/* The text with a NUL behind it, from malloc. */
static char *
render(const struct pgr_stats *stats, pgr_usec now)
{
	struct pgr_stats_text text = {0};
	struct pgr_err err;

	ck_assert_int_eq(pgr_prometheus_write(stats, now, &text, &err), PGR_OK);
	pgr_stats_text_add(&text, "", 1);
	return text.bytes;
}

static void
check_has(const char *text, const char *line)
{
	ck_assert_msg(strstr(text, line) != NULL, "no line%s", line);
}

START_TEST(test_prometheus_counts_per_pool_over_processes)
{
	struct pgr_stats *stats = stats_new();
	char *text;

	stats_pool(stats, 0, "app", "u", 5432)->pool_size = 20;
	stats->directory[0].closes[PGR_CLOSE_LIFETIME] = 3;
	stats->proc[0].pool[0].query_count = 5;
	stats->proc[1].pool[0].query_count = 6;
	stats->proc[1].pool[0].query_time = 1500000;
	stats->proc[1].pool[0].cl_idle = 9;
	stats->proc[1].pool[0].oldest_wait = 1000000;
	stats->proc[1].accepted = 8;
	text = render(stats, 3500000);
#define POOL "{database=\"app\",user=\"u\",server=\"10.0.0.1:5432\""
	check_has(text, "\n# TYPE pgroute_pool_queries counter\n");
	check_has(text, "\npgroute_pool_queries_total" POOL "} 11\n");
	check_has(text, "\n# UNIT pgroute_pool_query_seconds seconds\n");
	check_has(text, "\npgroute_pool_query_seconds_total" POOL "} 1.500000\n");
	check_has(text, "\npgroute_pool_clients" POOL ",state=\"idle\"} 9\n");
	check_has(text, "\npgroute_pool_size" POOL "} 20\n");
	check_has(text, "\npgroute_pool_max_wait_seconds" POOL "} 2.500000\n");
	check_has(text, "\npgroute_pool_server_closes_total" POOL ",reason=\"lifetime\"} 3\n");
	check_has(text, "\npgroute_process_accepted_total{process=\"worker 1\"} 8\n");
	check_has(text, "\npgroute_max_clients 77\n");
	free(text);
	stats_free(stats);
}
END_TEST

START_TEST(test_prometheus_ends_with_eof_and_nothing_behind)
{
	struct pgr_stats *stats = stats_new();
	char *text = render(stats, 1);

	ck_assert_str_eq(text + strlen(text) - 7, "\n# EOF\n");
	ck_assert_ptr_eq(strstr(text, "# EOF"), text + strlen(text) - 6);
	free(text);
	stats_free(stats);
}
END_TEST

START_TEST(test_prometheus_buckets_add_up)
{
	struct pgr_stats *stats = stats_new();
	char *text;

	pgr_histogram_add(&stats->proc[0].query, 3);
	pgr_histogram_add(&stats->proc[1].query, 4);
	pgr_histogram_add(&stats->proc[1].query, 1000);
	pgr_histogram_add(&stats->proc[1].query, UINT64_C(1) << 40);
	text = render(stats, 1);
	check_has(text, "\npgroute_query_duration_seconds_bucket{le=\"0.000004\"} 1\n");
	check_has(text, "\npgroute_query_duration_seconds_bucket{le=\"0.000008\"} 2\n");
	check_has(text, "\npgroute_query_duration_seconds_bucket{le=\"0.000512\"} 2\n");
	check_has(text, "\npgroute_query_duration_seconds_bucket{le=\"0.001024\"} 3\n");
	check_has(text, "\npgroute_query_duration_seconds_bucket{le=\"+Inf\"} 4\n");
	check_has(text, "\npgroute_query_duration_seconds_count 4\n");
	check_has(text, "\npgroute_query_duration_seconds_sum 1099511.628783\n");
	free(text);
	stats_free(stats);
}
END_TEST

START_TEST(test_prometheus_escapes_labels_and_tells_no_series_twice)
{
	struct pgr_stats *stats = stats_new();
	const char *series =
		"\npgroute_pool_queries_total{database=\"a\\\"b\\\\c\\nd?\",user=\"u\",";
	char *text;

	stats_pool(stats, 0, "a\"b\\c\nd\xff", "u", 5432);
	stats_pool(stats, 1, "a\"b\\c\nd\xff", "u", 5432);
	stats->proc[0].pool[0].query_count = 1;
	stats->proc[0].pool[1].query_count = 2;
	text = render(stats, 1);
	check_has(text, series);
	ck_assert_ptr_null(strstr(strstr(text, series) + 1, series));
	check_has(text, "server=\"10.0.0.1:5432\"} 3\n");
	free(text);
	stats_free(stats);
}
END_TEST

UNIT_MAIN("prometheus", test_prometheus_counts_per_pool_over_processes,
	test_prometheus_ends_with_eof_and_nothing_behind, test_prometheus_buckets_add_up,
	test_prometheus_escapes_labels_and_tells_no_series_twice)
