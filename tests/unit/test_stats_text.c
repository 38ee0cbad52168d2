/* monitor/stats_text.h: growth and its bound. */
#include "unit.h"

#include <string.h>

#include "monitor/stats_text.h"

START_TEST(test_stats_text_grows_and_keeps_what_is_there)
{
	struct pgr_stats_text text = {0};

	for (unsigned i = 0; i < 10000; i++)
		pgr_stats_text_printf(&text, "%04u", i);
	ck_assert(!text.full);
	ck_assert_uint_eq(text.len, 40000);
	ck_assert_int_eq(memcmp(text.bytes, "000000010002", 12), 0);
	ck_assert_int_eq(memcmp(text.bytes + 39996, "9999", 4), 0);
	pgr_stats_text_fini(&text);
	ck_assert_ptr_null(text.bytes);
}
END_TEST

START_TEST(test_stats_text_past_its_bound_is_full_for_good)
{
	static char block[1 << 20];
	struct pgr_stats_text text = {0};

	for (unsigned i = 0; i < PGR_STATS_TEXT_MAX / sizeof(block); i++)
		pgr_stats_text_add(&text, block, sizeof(block));
	ck_assert(!text.full);
	pgr_stats_text_add(&text, "x", 1);
	ck_assert(text.full);
	ck_assert_uint_eq(text.len, PGR_STATS_TEXT_MAX);
	pgr_stats_text_fini(&text);
}
END_TEST

UNIT_MAIN("stats_text", test_stats_text_grows_and_keeps_what_is_there,
	test_stats_text_past_its_bound_is_full_for_good)
