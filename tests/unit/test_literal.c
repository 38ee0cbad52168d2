/* parser/literal.h: what tokens say. */
#include "unit.h"

#include <stdlib.h>

#include "parser/literal.h"

/* The first token of a text, written out; NULL: it cannot be. */
static const char *
written(const char *text, bool standard_strings)
{
	static char buf[200];
	size_t len = strlen(text);
	char *copy = malloc(len);
	struct pgr_lexer lexer;
	struct pgr_token t;
	struct pgr_out out;
	bool good = true;

	memcpy(copy, text, len);
	pgr_lexer_init(&lexer, copy, len, standard_strings);
	pgr_lexer_next(&lexer, &t);
	pgr_out_init(&out, buf, sizeof(buf) - 1);
	if (t.kind == PGR_TOKEN_STRING)
		good = pgr_literal_string(copy, &t, standard_strings, &out);
	else if (t.kind == PGR_TOKEN_WORD || t.kind == PGR_TOKEN_QUOTED)
		pgr_literal_name(copy, &t, &out);
	else
		pgr_literal_number(copy, &t, &out);
	buf[out.len] = '\0';
	free(copy);
	return good ? buf : NULL;
}

START_TEST(test_literal_strings)
{
	ck_assert_str_eq(written("''", true), "");
	ck_assert_str_eq(written("'a''b\\'", true), "a'b\\");
	ck_assert_str_eq(written("'''a'''", true), "'a'");
	ck_assert_str_eq(written("'a'\n'b'", true), "ab");
	ck_assert_str_eq(written("'a' -- 'x'\n --'\n'b''' 'c'", true), "ab'");
	ck_assert_str_eq(written("'\\'x'", false), "'x");
	ck_assert_str_eq(written("e'\\b\\f\\n\\r\\t\\v\\a\\\\\\''", true), "\b\f\n\r\t\va\\'");
	ck_assert_str_eq(written("E'\\101\\1012\\x41\\x4\\x411\\xg'", true), "AA2A\4A1xg");
	ck_assert_str_eq(written("E'\\u00e9\\U0001F600\\ud83d\\ude00\\u20ac'", true),
		"\xc3\xa9\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xe2\x82\xac");
	ck_assert_str_eq(written("E'a'\n'\\x41'", true), "aA");
	ck_assert_str_eq(written("$$a'b\\$$", true), "a'b\\");
	ck_assert_str_eq(written("$x$$$$x$", true), "$$");
	ck_assert_ptr_null(written("E'\\0'", true));
	ck_assert_ptr_null(written("E'\\x00'", true));
	ck_assert_ptr_null(written("E'\\400'", true));
}
END_TEST

START_TEST(test_literal_names)
{
	ck_assert_str_eq(written("AbC_1$", true), "abc_1$");
	ck_assert_str_eq(written("\"AbC\"", true), "AbC");
	ck_assert_str_eq(written("\"a\"\"b\"", true), "a\"b");
	ck_assert_str_eq(written("\xc3\x89X", true), "\xc3\x89x");
	/* 63 bytes, and not half a character */
	ck_assert_uint_eq(
		strlen(written("a12345678901234567890123456789012345678901234567890123456789012345",
			true)),
		63);
	ck_assert_uint_eq(
		strlen(written(
			"a1234567890123456789012345678901234567890123456789012345678901\xc3\xa9x",
			true)),
		62);
	ck_assert_uint_eq(strlen(written("\"a123456789012345678901234567890123456789012345678901234"
					 "567890\"\"\xc3\xa9\"",
				  true)),
		62);
}
END_TEST

START_TEST(test_literal_numbers)
{
	ck_assert_str_eq(written("0x1F", true), "31");
	ck_assert_str_eq(written("1_000", true), "1000");
	ck_assert_str_eq(written("1.50", true), "1.50");
	ck_assert_str_eq(written("99999999999", true), "99999999999");
}
END_TEST

UNIT_MAIN("literal", test_literal_strings, test_literal_names, test_literal_numbers)
