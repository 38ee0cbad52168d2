/* base/err.h: what is filled in, and what is cut. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"

START_TEST(test_err_set_fills_code_and_message_and_forgets_the_rest)
{
	struct pgr_err err;

	memset(&err, 0x55, sizeof(err));
	ck_assert_int_eq(pgr_err_set(&err, "53300", "limit %d of \"%s\"", 7, "app"), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "53300");
	ck_assert_str_eq(err.message, "limit 7 of \"app\"");
	ck_assert_str_eq(err.hint, "");
	ck_assert_int_eq(err.sys_errno, 0);
}
END_TEST

START_TEST(test_err_set_cuts_a_long_message)
{
	struct pgr_err err;
	char text[2000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	pgr_err_set(&err, "XX000", "%s", text);
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	pgr_err_hint(&err, "%s", text);
	ck_assert_uint_eq(strlen(err.hint), sizeof(err.hint) - 1);
}
END_TEST

START_TEST(test_err_sys_keeps_errno_and_says_it)
{
	struct pgr_err err;

	errno = ENOENT;
	ck_assert_int_eq(pgr_err_sys(&err, "58000", "could not open \"%s\"", "f"), PGR_FAIL);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_str_eq(err.message, "could not open \"f\": No such file or directory");
}
END_TEST

START_TEST(test_err_hint_leaves_the_message)
{
	struct pgr_err err;

	pgr_err_set(&err, "0A000", "no");
	ck_assert_int_eq(pgr_err_hint(&err, "use %s", "yes"), PGR_FAIL);
	ck_assert_str_eq(err.message, "no");
	ck_assert_str_eq(err.hint, "use yes");
}
END_TEST

UNIT_MAIN("err", test_err_set_fills_code_and_message_and_forgets_the_rest,
	test_err_set_cuts_a_long_message, test_err_sys_keeps_errno_and_says_it,
	test_err_hint_leaves_the_message)
