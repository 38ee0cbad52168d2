/* monitor/stats_text.h: growth, its bound, and names that are UTF-8 afterwards. */
#include "unit.h"

#include <string.h>

#include "monitor/stats_text.h"

static void
check_name(const char *name, size_t size, const char *wanted)
{
	char buf[64];

	ck_assert_str_eq(pgr_stats_text_name(buf, name, size), wanted);
}

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

START_TEST(test_stats_text_name_leaves_utf8_and_replaces_the_rest)
{
	check_name("plain", 6, "plain");
	check_name("ende", 3, "end");
	check_name("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", 32,
		"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80");
	check_name("a\xff\xfe z", 8, "a?? z");
	check_name("\xc0\xaf", 3, "??");             /* not the shortest form */
	check_name("\xed\xa0\x80", 4, "???");        /* a surrogate */
	check_name("\xf4\x90\x80\x80", 5, "????");   /* beyond Unicode */
	check_name("cut \xe2\x82\xac", 6, "cut ??"); /* in the middle of a character */
}
END_TEST

UNIT_MAIN("stats_text", test_stats_text_grows_and_keeps_what_is_there,
	test_stats_text_past_its_bound_is_full_for_good,
	test_stats_text_name_leaves_utf8_and_replaces_the_rest)
