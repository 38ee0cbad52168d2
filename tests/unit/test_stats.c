/* shm/stats.h: the cells of a histogram. */
#include "unit.h"

#include <string.h>

#include "shm/stats.h"

START_TEST(test_stats_cell_holds_what_lies_below_its_bound_and_not_below_the_one_before)
{
	for (unsigned shift = 0; shift < 63; shift++) {
		for (int64_t step = -3; step <= 3; step++) {
			uint64_t value = (UINT64_C(1) << shift) + (uint64_t)step;
			uint32_t cell;

			if ((int64_t)value < 0)
				continue;
			cell = pgr_histogram_cell(value);
			ck_assert_uint_lt(cell, PGR_HISTOGRAM_CELLS);
			ck_assert_uint_lt(value, pgr_histogram_bound(cell));
			if (cell > 0)
				ck_assert_uint_ge(value, pgr_histogram_bound(cell - 1));
		}
	}
}
END_TEST

START_TEST(test_stats_bounds_rise_and_are_at_most_a_quarter_apart)
{
	for (uint32_t cell = 1; cell < PGR_HISTOGRAM_CELLS - 1; cell++) {
		uint64_t below = pgr_histogram_bound(cell - 1);
		uint64_t bound = pgr_histogram_bound(cell);

		ck_assert_uint_gt(bound, below);
		if (below >= 4)
			ck_assert_uint_le((bound - below) * 4, below);
	}
	ck_assert_uint_eq(pgr_histogram_bound(PGR_HISTOGRAM_CELLS - 1), UINT64_MAX);
}
END_TEST

START_TEST(test_stats_last_cell_takes_everything_above)
{
	ck_assert_uint_eq(pgr_histogram_cell(UINT64_MAX), PGR_HISTOGRAM_CELLS - 1);
	ck_assert_uint_eq(pgr_histogram_cell(UINT64_MAX >> 1), PGR_HISTOGRAM_CELLS - 1);
}
END_TEST

START_TEST(test_stats_add_counts_sums_and_files)
{
	struct pgr_histogram h;

	memset(&h, 0, sizeof(h));
	pgr_histogram_add(&h, 0);
	pgr_histogram_add(&h, 1000);
	pgr_histogram_add(&h, 1001);
	ck_assert_uint_eq(pgr_stat_get(&h.count), 3);
	ck_assert_uint_eq(pgr_stat_get(&h.sum), 2001);
	ck_assert_uint_eq(pgr_stat_get(&h.cell[0]), 1);
	ck_assert_uint_eq(pgr_stat_get(&h.cell[pgr_histogram_cell(1000)]), 2);
}
END_TEST

UNIT_MAIN("stats", test_stats_cell_holds_what_lies_below_its_bound_and_not_below_the_one_before,
	test_stats_bounds_rise_and_are_at_most_a_quarter_apart,
	test_stats_last_cell_takes_everything_above, test_stats_add_counts_sums_and_files)
