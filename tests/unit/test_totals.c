/* shm/totals.h and shm/average.h: sums over processes, equal pools as one, averages. */
#include "unit.h"

#include <string.h>

#include "shm/average.h"
#include "shm/totals.h"
#include "stats_util.h"

START_TEST(test_totals_sums_over_processes_and_takes_the_oldest_wait)
{
	struct pgr_stats *stats = stats_new();
	struct pgr_totals totals;
	struct pgr_err err;

	stats_pool(stats, 3, "app", "u", 5432)->sv_idle = 4;
	for (unsigned k = 0; k < 2; k++) {
		stats->proc[k].pool[3].query_count = 100 + k;
		stats->proc[k].pool[3].cl_waiting = 1;
		stats->proc[k].pool[3].oldest_wait = 5000 - k;
	}
	stats->proc[PGR_PROC_MONITOR].pool[3].query_count = 1000;
	stats->proc[2].pool[3].query_count = 7; /* no such worker */
	ck_assert_int_eq(pgr_totals_collect(stats, &totals, &err), PGR_OK);
	ck_assert_uint_eq(totals.n, 1);
	ck_assert_uint_eq(totals.row[0].query_count, 1201);
	ck_assert_uint_eq(totals.row[0].cl_waiting, 2);
	ck_assert_uint_eq(totals.row[0].oldest_wait, 4999);
	ck_assert_uint_eq(totals.row[0].sv_idle, 4);
	ck_assert_str_eq(totals.row[0].server, "10.0.0.1:5432");
	pgr_totals_fini(&totals);
	stats_free(stats);
}
END_TEST

START_TEST(test_totals_sorts_and_merges_pools_that_look_the_same)
{
	struct pgr_stats *stats = stats_new();
	struct pgr_totals totals;
	struct pgr_err err;

	stats_pool(stats, 0, "b", "u", 5432);
	stats_pool(stats, 1, "a", "u", 5432);
	stats_pool(stats, 2, "b", "u", 5432); /* the same, while the first drains */
	stats_pool(stats, 3, "b", "u", 5433);
	atomic_store(&stats_pool(stats, 4, "unused", "u", 5432)->serial, 0);
	for (unsigned n = 0; n < 5; n++)
		stats->proc[0].pool[n].xact_count = 1u << n;
	ck_assert_int_eq(pgr_totals_collect(stats, &totals, &err), PGR_OK);
	ck_assert_uint_eq(totals.n, 3);
	ck_assert_str_eq(totals.row[0].database, "a");
	ck_assert_uint_eq(totals.row[0].xact_count, 2);
	ck_assert_uint_eq(totals.row[1].xact_count, 1 + 4);
	ck_assert_str_eq(totals.row[2].server, "10.0.0.1:5433");
	ck_assert_uint_eq(totals.row[2].xact_count, 8);
	pgr_totals_fini(&totals);
	stats_free(stats);
}
END_TEST

START_TEST(test_totals_histogram_counts_its_cells)
{
	struct pgr_stats *stats = stats_new();
	struct pgr_totals_sum sum;

	pgr_histogram_add(&stats->proc[0].wait, 10);
	pgr_histogram_add(&stats->proc[1].wait, 10);
	pgr_histogram_add(&stats->proc[1].wait, 5000);
	stats->proc[1].wait.count = 2; /* a writer between its two stores */
	pgr_totals_histogram(stats, PGR_TOTALS_wait, &sum);
	ck_assert_uint_eq(sum.count, 3);
	ck_assert_uint_eq(sum.sum, 5020);
	ck_assert_uint_eq(sum.cell[pgr_histogram_cell(10)], 2);
	pgr_totals_histogram(stats, PGR_TOTALS_login, &sum);
	ck_assert_uint_eq(sum.count, 0);
	stats_free(stats);
}
END_TEST

START_TEST(test_stats_average_is_of_the_last_whole_period)
{
	struct pgr_stats *stats = stats_new();
	struct pgr_average average = {0};
	struct pgr_average_snapshot now;
	struct pgr_average_database grown;
	struct pgr_err err;
	const pgr_usec start = 1000;

	stats_pool(stats, 0, "app", "u", 5432);
	stats_pool(stats, 1, "app", "v", 5432);
	pgr_average_tick(&average, stats, start);
	stats->proc[0].pool[0].xact_count = 30;
	stats->proc[0].pool[1].xact_count = 30;
	ck_assert_int_eq(pgr_average_take(stats, start + 10, &now, &err), PGR_OK);
	ck_assert_uint_eq(now.n, 1);
	ck_assert_uint_eq(pgr_average_get(&average, &now, "app", &grown), 10);
	ck_assert_uint_eq(grown.xact_count, 60);
	pgr_average_tick(&average, stats, start + PGR_AVERAGE_PERIOD);
	stats->proc[0].pool[0].xact_count = 1000;
	ck_assert_uint_eq(pgr_average_get(&average, &now, "app", &grown), PGR_AVERAGE_PERIOD);
	ck_assert_uint_eq(grown.xact_count, 60);
	pgr_average_tick(&average, stats, start + PGR_AVERAGE_PERIOD + 1);
	ck_assert_uint_eq(average.to.at, start + PGR_AVERAGE_PERIOD);
	pgr_average_tick(&average, stats, start + 2 * PGR_AVERAGE_PERIOD);
	pgr_average_get(&average, &now, "app", &grown);
	ck_assert_uint_eq(grown.xact_count, 970);
	pgr_average_get(&average, &now, "other", &grown);
	ck_assert_uint_eq(grown.xact_count, 0);
	pgr_average_drop(&now);
	pgr_average_fini(&average);
	stats_free(stats);
}
END_TEST

UNIT_MAIN("totals", test_totals_sums_over_processes_and_takes_the_oldest_wait,
	test_totals_sorts_and_merges_pools_that_look_the_same,
	test_totals_histogram_counts_its_cells,
	test_stats_average_is_of_the_last_whole_period)
