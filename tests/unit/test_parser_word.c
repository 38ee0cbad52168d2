/*
 * parser/word.h: the key words are PostgreSQL's, and each word is found by any spelling and nothing
 * else is.
 */
#include "unit.h"

#include <ctype.h>
#include <stdio.h>

#include "parser/feature.h"
#include "parser/word.h"
#ifdef PGR_LIBPG_QUERY
#include "pg_scanner.h"
#endif

START_TEST(test_parser_word_find_each_in_any_case)
{
	for (unsigned word = 1; word < PGR_WORD_COUNT; word++) {
		const char *text = pgr_word_text((enum pgr_word)word);
		size_t len = strlen(text);
		char upper[80], longer[80];

		if (word == PGR_WORD_KEYWORDS_END)
			continue;
		for (size_t i = 0; i < len; i++)
			upper[i] = (char)(i % 2 == 0 ? toupper((unsigned char)text[i]) : text[i]);
		ck_assert_uint_eq(pgr_word_find(text, len), word);
		ck_assert_uint_eq(pgr_word_find(upper, len), word);
		ck_assert_uint_eq(pgr_word_find_quoted(text, len), word);
		ck_assert_uint_eq(pgr_word_find_quoted(upper, len), PGR_NO_WORD);
		snprintf(longer, sizeof(longer), "%s_", text);
		ck_assert_uint_eq(pgr_word_find(longer, len + 1), PGR_NO_WORD);
		for (size_t i = 0; i < len; i++) {
			snprintf(longer, sizeof(longer), "%s", text);
			longer[i] = '0';
			ck_assert_msg(pgr_word_find(longer, len) == PGR_NO_WORD, "%s", longer);
		}
	}
}
END_TEST

START_TEST(test_parser_word_find_nothing_in_nothing)
{
	ck_assert_uint_eq(pgr_word_find("", 0), PGR_NO_WORD);
	ck_assert_str_eq(pgr_word_text(PGR_NO_WORD), "");
}
END_TEST

START_TEST(test_parser_word_feature_of_statements_and_functions)
{
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_SELECT), PGR_FEATURE_SELECT);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_START), PGR_FEATURE_BEGIN);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_END), PGR_FEATURE_COMMIT);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_DISCARD), PGR_FEATURE_DISCARD_ALL);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_PREPARE), PGR_FEATURE_PREPARE);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_FN_SETSEED), PGR_FEATURE_FN_SETSEED);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_REL_PG_TEMP), PGR_FEATURE_REL_PG_TEMP);
	ck_assert_uint_eq(pgr_word_feature(PGR_WORD_WHERE), PGR_FEATURE_NONE);
}
END_TEST

#ifdef PGR_LIBPG_QUERY
static void
check_keyword(const char *text, enum pgr_word_category category, void *arg)
{
	enum pgr_word word = pgr_word_find(text, strlen(text));

	++*(unsigned *)arg;
	ck_assert_msg(word != PGR_NO_WORD && word < PGR_WORD_KEYWORDS_END, "%s is missing", text);
	ck_assert_msg(pgr_word_category(word) == category, "%s has another category", text);
}

START_TEST(test_parser_word_keywords_are_those_of_postgres)
{
	unsigned n = 0;

	pg_scanner_keywords(check_keyword, &n);
	ck_assert_uint_eq(n, PGR_WORD_KEYWORDS_END - 1);
}
END_TEST
#else
START_TEST(test_parser_word_keywords_are_those_of_postgres)
{
}
END_TEST
#endif

UNIT_MAIN("parser_word", test_parser_word_find_each_in_any_case,
	test_parser_word_find_nothing_in_nothing,
	test_parser_word_feature_of_statements_and_functions,
	test_parser_word_keywords_are_those_of_postgres)
