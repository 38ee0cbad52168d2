/* base/utf8.h: names that are UTF-8 afterwards. */
#include "unit.h"

#include "base/utf8.h"

static void
check_name(const char *name, size_t size, const char *wanted)
{
	char buf[64];

	ck_assert_str_eq(pgr_utf8_copy(buf, name, size), wanted);
}

START_TEST(test_utf8_copy_leaves_utf8_and_replaces_the_rest)
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

UNIT_MAIN("utf8", test_utf8_copy_leaves_utf8_and_replaces_the_rest)
