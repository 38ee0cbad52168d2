/*
 * parser/lexer.h: token by token what PostgreSQL's own scanner finds (libpg_query's core_yylex),
 * over a corpus of statements and mutations of them, and a few tokens by hand, which also hold in a
 * build without libpg_query.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "parser/lexer.h"
#ifdef PGR_LIBPG_QUERY
#include "pg_scanner.h"
#endif

#define MUTATIONS 240000
#define TEXT_MOST 65536

/* Lexes a copy with nothing behind it, so that a sanitizer sees a byte read too much. */
static void
assert_tokens(const char *text, bool standard_strings, size_t n, const unsigned (*want)[3])
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	struct pgr_lexer lexer;
	struct pgr_token t;

	memcpy(copy, text, len);
	pgr_lexer_init(&lexer, copy, len, standard_strings);
	for (size_t i = 0; i < n; i++) {
		pgr_lexer_next(&lexer, &t);
		ck_assert_msg(t.kind == want[i][0] && t.start == want[i][1] && t.end == want[i][2],
			"\"%s\", token %zu: %u at %u to %u", text, i, t.kind, t.start, t.end);
	}
	ck_assert_uint_eq(pgr_lexer_next(&lexer, &t), PGR_TOKEN_END);
	ck_assert_uint_eq(pgr_lexer_next(&lexer, &t), PGR_TOKEN_END);
	free(copy);
}

#define ASSERT_TOKENS(text, strings, ...)                                           \
	do {                                                                        \
		static const unsigned want[][3] = {__VA_ARGS__};                    \
		assert_tokens(text, strings, sizeof(want) / sizeof(want[0]), want); \
	} while (0)

START_TEST(test_lexer_words_and_names)
{
	ASSERT_TOKENS("", true, {PGR_TOKEN_END, 0, 0});
	ASSERT_TOKENS("SELECT a$1", true, {PGR_TOKEN_WORD, 0, 6}, {PGR_TOKEN_WORD, 7, 10});
	ASSERT_TOKENS("\"a\"\"b\"U&\"c\"", true, {PGR_TOKEN_QUOTED, 0, 6},
		{PGR_TOKEN_UNICODE_QUOTED, 6, 11});
	ASSERT_TOKENS("N'x'", true, {PGR_TOKEN_WORD, 0, 1}, {PGR_TOKEN_STRING, 1, 4});
	ASSERT_TOKENS("U&x", true, {PGR_TOKEN_WORD, 0, 1}, {PGR_TOKEN_OPERATOR, 1, 2},
		{PGR_TOKEN_WORD, 2, 3});
}
END_TEST

START_TEST(test_lexer_strings_follow_standard_conforming_strings)
{
	ASSERT_TOKENS("'a\\' 'b'", true, {PGR_TOKEN_STRING, 0, 4}, {PGR_TOKEN_STRING, 5, 8});
	ASSERT_TOKENS("'a\\' 'b", false, {PGR_TOKEN_STRING, 0, 6}, {PGR_TOKEN_WORD, 6, 7});
	ASSERT_TOKENS("E'a\\' 'b", true, {PGR_TOKEN_STRING, 0, 7}, {PGR_TOKEN_WORD, 7, 8});
	ASSERT_TOKENS("U&'a'", false, {PGR_TOKEN_ERROR, 0, 5});
	ASSERT_TOKENS("'a'\n--'\n'b'", true, {PGR_TOKEN_STRING, 0, 11});
	ASSERT_TOKENS("$a$ $b$ $a$", true, {PGR_TOKEN_STRING, 0, 11});
}
END_TEST

START_TEST(test_lexer_operators_and_numbers)
{
	ASSERT_TOKENS("1=-1", true, {PGR_TOKEN_INTEGER, 0, 1}, {'=', 1, 2}, {'-', 2, 3},
		{PGR_TOKEN_INTEGER, 3, 4});
	ASSERT_TOKENS("@-/**/", true, {PGR_TOKEN_OPERATOR, 0, 2});
	ASSERT_TOKENS("1..0x1f", true, {PGR_TOKEN_INTEGER, 0, 1}, {PGR_TOKEN_DOT_DOT, 1, 3},
		{PGR_TOKEN_INTEGER, 3, 7});
	ASSERT_TOKENS("2147483648 .5", true, {PGR_TOKEN_FLOAT, 0, 10}, {PGR_TOKEN_FLOAT, 11, 13});
	ASSERT_TOKENS("a 1x b", true, {PGR_TOKEN_WORD, 0, 1}, {PGR_TOKEN_ERROR, 2, 6});
	ASSERT_TOKENS("$1x", true, {PGR_TOKEN_ERROR, 0, 3});
}
END_TEST

START_TEST(test_lexer_values_of_numbers_and_params)
{
	static const struct {
		const char *text;
		uint32_t value;
	} cases[] = {{"0", 0}, {"1_000", 1000}, {"0x7fFFffff", INT32_MAX}, {"0b101", 5},
		{"0o_17", 15}, {"$2147483647", INT32_MAX}};
	struct pgr_lexer lexer;
	struct pgr_token t;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pgr_lexer_init(&lexer, cases[i].text, strlen(cases[i].text), true);
		pgr_lexer_next(&lexer, &t);
		ck_assert_uint_eq(t.value, cases[i].value);
	}
}
END_TEST

START_TEST(test_lexer_nul_ends_the_text)
{
	struct pgr_lexer lexer;
	struct pgr_token t;

	pgr_lexer_init(&lexer, "a\0b", 3, true);
	ck_assert_uint_eq(pgr_lexer_next(&lexer, &t), PGR_TOKEN_WORD);
	ck_assert_uint_eq(pgr_lexer_next(&lexer, &t), PGR_TOKEN_END);
	ck_assert_uint_eq(pgr_lexer_next(&lexer, &t), PGR_TOKEN_END);
}
END_TEST

/*
 * Texts that a lexer with a slow corner would not finish in a test's time: each is read in one go
 * over 8 MB.
 */
START_TEST(test_lexer_work_is_linear)
{
	static const char *const parts[] = {"+-", "$a$b", "$a", "'a'\n", "'a' --\n", "/*", "\"\"",
		"E'\\", "(", "=+", "$$", "a1", "1.", "'a'   ", "--x\n"};
	size_t len = 8 << 20;
	char *text = malloc(len);
	struct pgr_lexer lexer;
	struct pgr_token t;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t part = strlen(parts[i]);

		for (size_t at = 0; at < len; at++)
			text[at] = parts[i][at % part];
		pgr_lexer_init(&lexer, text, len, true);
		while (pgr_lexer_next(&lexer, &t) != PGR_TOKEN_END)
			if (t.end > len)
				ck_abort_msg("a token ends behind the text");
	}
	free(text);
}
END_TEST

#ifdef PGR_LIBPG_QUERY

static char *corpus;
static size_t corpus_len;

static void
read_corpus(void)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/lexer_corpus.sql", getenv("PGR_SOURCE"));
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	corpus = malloc(TEXT_MOST);
	corpus_len = fread(corpus, 1, TEXT_MOST - 1, f);
	corpus[corpus_len] = '\0';
	ck_assert_uint_gt(corpus_len, 15000);
	ck_assert_uint_lt(corpus_len, TEXT_MOST - 1);
	fclose(f);
}

/* Both scanners over the text, of which pgroute's gets a copy with nothing behind it. */
static void
assert_same(struct pg_scanner *s, const char *text, bool standard_strings)
{
	size_t len = strlen(text);
	char what[400];

	ck_assert_msg(pg_scanner_compare(s, text, len, standard_strings, what, sizeof(what)),
		"standard_conforming_strings %d: %s\n%.300s", standard_strings, what, text);
}

START_TEST(test_lexer_corpus_as_postgres)
{
	size_t kinds[PGR_TOKEN_NOT_EQUALS + 1] = {0};
	struct pg_scanner s;

	read_corpus();
	pg_scanner_init(&s);
	for (char *line = corpus; *line != '\0';) {
		char *end = strchr(line, '\n');

		*end = '\0';
		assert_same(&s, line, true);
		for (size_t i = 0; i < s.n; i++)
			kinds[s.tokens[i].kind]++;
		kinds[PGR_TOKEN_ERROR] += s.failed;
		assert_same(&s, line, false);
		*end = '\n';
		assert_same(&s, line, true); /* to the end of the corpus, or the first error */
		line = end + 1;
	}
	kinds[PGR_TOKEN_QUOTED] = 1; /* an identifier to PostgreSQL */
	for (unsigned kind = PGR_TOKEN_ERROR; kind <= PGR_TOKEN_NOT_EQUALS; kind++)
		ck_assert_msg(kinds[kind] > 0, "kind %u does not occur in the corpus", kind);
	pg_scanner_fini(&s);
}
END_TEST

static uint64_t seed;

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

/* Some bytes of the corpus, from anywhere. */
static size_t
put_piece(char *text, size_t at, size_t room)
{
	size_t len = pick(40) + 1, from = pick((uint32_t)(corpus_len - len));

	if (len > room)
		return at;
	memcpy(text + at, corpus + from, len);
	return at + len;
}

static size_t
put_character(char *text, size_t at)
{
	static const char often[] =
		"'\"\\$/*-+.:;,()[]<>=!@#&|?_ \n\r\tabexunBEXUN0123456789\xc3\xa9\x80";

	text[at] = often[pick(sizeof(often) - 1)];
	return at + 1;
}

/* A piece of the corpus with a few bytes of it changed, taken away, doubled, or of another piece.
 */
static void
mutate(char *text, size_t size)
{
	size_t len = put_piece(text, 0, size - 1);

	for (unsigned n = pick(4); n > 0; n--)
		len = put_piece(text, len, size - 1 - len);
	for (unsigned n = pick(5); n > 0; n--)
		put_character(text, pick((uint32_t)len));
	for (unsigned n = pick(3); n > 0 && len > 1; n--) {
		size_t at = pick((uint32_t)len - 1);

		memmove(text + at, text + at + 1, len - at - 1);
		len--;
	}
	for (unsigned n = pick(8); n > 0 && len + 1 < size; n--)
		len = put_character(text, len);
	text[len] = '\0';
}

START_TEST(test_lexer_mutations_as_postgres)
{
	struct pg_scanner s;
	char text[256];

	read_corpus();
	pg_scanner_init(&s);
	seed = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	for (int i = 0; i < MUTATIONS / 4; i++) {
		mutate(text, sizeof(text));
		assert_same(&s, text, i % 4 != 0);
	}
	pg_scanner_fini(&s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lexer");
	TCase *tcase = tcase_create("lexer");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, UNIT_TIMEOUT * 3);
	tcase_add_test(tcase, test_lexer_words_and_names);
	tcase_add_test(tcase, test_lexer_strings_follow_standard_conforming_strings);
	tcase_add_test(tcase, test_lexer_operators_and_numbers);
	tcase_add_test(tcase, test_lexer_values_of_numbers_and_params);
	tcase_add_test(tcase, test_lexer_nul_ends_the_text);
	tcase_add_test(tcase, test_lexer_work_is_linear);
	tcase_add_test(tcase, test_lexer_corpus_as_postgres);
	tcase_add_loop_test(tcase, test_lexer_mutations_as_postgres, 0, 4);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#else

UNIT_MAIN("lexer", test_lexer_words_and_names,
	test_lexer_strings_follow_standard_conforming_strings, test_lexer_operators_and_numbers,
	test_lexer_values_of_numbers_and_params, test_lexer_nul_ends_the_text,
	test_lexer_work_is_linear)

#endif
