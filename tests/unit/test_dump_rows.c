/* ctl/dump_rows.h and sums.h: what pgroutectl makes of the statistics without the daemon. */
#include "unit.h"

#include <string.h>

#include "ctl/dump_rows.h"
#include "ctl/sums.h"
#include "shm/layout.h"
#include "stats_util.h"

/* The row of dump[list] whose member key is value, which must be one only. */
static const json_t *
find_row(const json_t *dump, const char *list, const char *key, const char *value)
{
	const json_t *rows = json_object_get(dump, list);
	const json_t *found = NULL;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		if (strcmp(json_string_value(json_object_get(row, key)), value) == 0) {
			ck_assert_ptr_null(found);
			found = row;
		}
	}
	ck_assert_ptr_nonnull(found);
	return found;
}

static json_int_t
number(const json_t *row, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(row, key)), "%s", key);
	return json_integer_value(json_object_get(row, key));
}

START_TEST(test_dump_rows_adds_up_pools_and_databases)
{
	struct pgr_stats *stats = stats_new();
	const json_t *row;
	json_t *dump;

	stats_pool(stats, 0, "app", "u", 5432)->sv_idle = 3;
	stats_pool(stats, 1, "other", "u", 5432);
	stats_pool(stats, 2, "app", "v", 5432);
	for (unsigned k = 0; k < 2; k++) {
		stats->proc[k].pool[0].query_count = 10;
		stats->proc[k].pool[2].query_count = 100;
		stats->proc[k].pool[0].cl_active = 1;
		stats->proc[k].pool[0].cl_idle = 2;
	}
	stats->proc[1].pool[0].oldest_wait = 1000000;
	dump = pgr_dump_rows(stats, 4250000);
	row = find_row(dump, "databases", "database", "app");
	ck_assert_int_eq(number(row, "total_query_count"), 220);
	row = find_row(dump, "databases", "database", "other");
	ck_assert_int_eq(number(row, "total_query_count"), 0);
	row = json_array_get(json_object_get(dump, "pools"), 0);
	ck_assert_int_eq(number(row, "cl_active"), 6);
	ck_assert_int_eq(number(row, "cl_idle"), 4);
	ck_assert_int_eq(number(row, "sv_idle"), 3);
	ck_assert_int_eq(number(row, "maxwait"), 3);
	ck_assert_int_eq(number(row, "maxwait_us"), 250000);
	ck_assert_str_eq(json_string_value(json_object_get(row, "pool_mode")), "transaction");
	json_decref(dump);
	stats_free(stats);
}
END_TEST

START_TEST(test_dump_rows_survives_what_a_sick_daemon_may_leave)
{
	struct pgr_stats *stats = stats_new();
	struct pgr_stats_directory *entry = stats_pool(stats, 0, "", "u", 5432);
	json_t *dump;

	memset(entry->database, 0xff, sizeof(entry->database));
	entry->pool_mode = 99;
	stats->pools_used = UINT32_MAX;
	stats->workers = UINT32_MAX;
	dump = pgr_dump_rows(stats, 1);
	ck_assert_uint_eq(json_array_size(json_object_get(dump, "pools")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(dump, "processes")), PGR_WORKERS_MAX + 1);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(
				  json_array_get(json_object_get(dump, "pools"), 0), "database"))),
		PGR_NAME_MAX);
	json_decref(dump);
	stats_free(stats);
}
END_TEST

START_TEST(test_dump_rows_tells_durations)
{
	struct pgr_stats *stats = stats_new();
	const json_t *row;
	json_t *dump;

	for (unsigned i = 0; i < 99; i++)
		pgr_histogram_add(&stats->proc[i % 2].query, 1000);
	pgr_histogram_add(&stats->proc[0].query, 1000000);
	dump = pgr_dump_rows(stats, 1);
	row = find_row(dump, "durations", "duration", "query");
	ck_assert_int_eq(number(row, "count"), 100);
	ck_assert_int_eq(number(row, "mean_us"), (99 * 1000 + 1000000) / 100);
	ck_assert_int_eq(number(row, "p50_us"), 1024);
	ck_assert_int_eq(number(row, "p99_us"), 1024);
	ck_assert_int_eq(number(row, "max_us"), 1048576);
	json_decref(dump);
	stats_free(stats);
}
END_TEST

START_TEST(test_sums_quantile_is_the_bound_of_the_cell_where_it_lies)
{
	static struct pgr_histogram h;
	struct pgr_sums_histogram sums = {0};

	ck_assert_uint_eq(pgr_sums_quantile(&sums, 0.5), 0);
	for (uint64_t i = 1; i <= 1000; i++)
		pgr_histogram_add(&h, i * 100);
	pgr_sums_add_histogram(&h, &sums);
	ck_assert_uint_eq(sums.count, 1000);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t truth = percent * 1000;
		uint64_t told = pgr_sums_quantile(&sums, percent / 100.0);

		ck_assert_uint_gt(told, truth);
		ck_assert_uint_le(told, truth + truth / 4 + 1);
	}
}
END_TEST

UNIT_MAIN("dump_rows", test_dump_rows_adds_up_pools_and_databases,
	test_dump_rows_survives_what_a_sick_daemon_may_leave, test_dump_rows_tells_durations,
	test_sums_quantile_is_the_bound_of_the_cell_where_it_lies)
