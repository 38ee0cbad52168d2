/* proto/params.h: the text that applies settings. That a server gives them back is an e2e test. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/params.h"

static struct pgr_out
out_of(char *buf, size_t cap)
{
	struct pgr_out out;

	pgr_out_init(&out, buf, cap);
	return out;
}

static void
assert_text(const struct pgr_out *out, const char *want)
{
	ck_assert(!out->full);
	ck_assert_msg(out->len == strlen(want) && memcmp(out->p, want, out->len) == 0,
		"\"%.*s\" is not \"%s\"", (int)out->len, out->p, want);
}

START_TEST(test_params_check_name_takes_names)
{
	static const char *const good[] = {"a", "DateStyle", "search_path", "_x", "a1$", "my.var", "a.b.c",
		"a23456789012345678901234567890123456789012345678901234567890123"};
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(good); i++)
		ck_assert_msg(pgr_params_check_name(good[i], &err) == PGR_OK, "%s", good[i]);
}
END_TEST

START_TEST(test_params_check_name_refuses_as_postgres_does)
{
	static const char *const bad[][2] = {{"", "42704"}, {"1a", "42704"}, {"a b", "42704"}, {"a'", "42704"},
		{"a\"", "42704"}, {"a;", "42704"}, {"a\\", "42704"}, {"$a", "42704"}, {"\xc3\xa9", "42704"},
		{".", "42602"}, {"a.", "42602"}, {".a", "42602"}, {"a..b", "42602"}, {"a.1", "42602"},
		{"a.b c", "42602"},
		{"a234567890123456789012345678901234567890123456789012345678901234", "42704"}};
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		ck_assert_int_eq(pgr_params_check_name(bad[i][0], &err), PGR_FAIL);
		ck_assert_str_eq(err.sqlstate, bad[i][1]);
		ck_assert_ptr_nonnull(strstr(err.message, bad[i][0]));
	}
}
END_TEST

START_TEST(test_params_quote_plain_doubles_quotes)
{
	char buf[64];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_quote(&out, "it's \"$user\", public; --");
	assert_text(&out, "'it''s \"$user\", public; --'");
	out = out_of(buf, sizeof(buf));
	pgr_params_quote(&out, "");
	assert_text(&out, "''");
}
END_TEST

START_TEST(test_params_quote_never_writes_backslash_or_high_bytes)
{
	char buf[200], value[3] = {0};

	for (int c = 1; c < 256; c++) {
		struct pgr_out out = out_of(buf, sizeof(buf));

		value[0] = (char)c;
		value[1] = '\'';
		pgr_params_quote(&out, value);
		ck_assert(!out.full);
		for (size_t i = 0; i < out.len; i++)
			ck_assert(buf[i] >= 0x20 && buf[i] < 0x7f && buf[i] != '\\');
	}
}
END_TEST

START_TEST(test_params_quote_other_bytes_go_as_hexadecimal)
{
	char buf[200];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_quote(&out, "\xff\\'\n");
	assert_text(&out, "pg_catalog.convert_from(pg_catalog.decode('ff5c270a','hex'),"
			  "pg_catalog.pg_client_encoding())");
}
END_TEST

START_TEST(test_params_quote_name_quotes_each_part)
{
	char buf[64];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_quote_name(&out, "my.Var.x");
	assert_text(&out, "\"my\".\"Var\".\"x\"");
}
END_TEST

START_TEST(test_params_apply_sets_and_resets)
{
	static const struct pgr_param sets[] = {
		{"search_path", "a, b"}, {"my.x", ""}, {"ROLE", "bob"}};
	static const char *const resets[] = {"role", "a.b"};
	char buf[400];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_apply(&out, sets, 3, resets, 2);
	assert_text(&out, "SELECT pg_catalog.set_config('search_path','a, b',false),"
			  "pg_catalog.set_config('my.x','',false),"
			  "pg_catalog.set_config('ROLE','bob',false);RESET \"role\";RESET \"a\".\"b\"");
}
END_TEST

START_TEST(test_params_apply_encoding_comes_before_what_may_be_in_it)
{
	static const struct pgr_param sets[] = {{"my.x", "\xff"}, {"application_name", "\xff"},
		{"Client_Encoding", "SJIS"}, {"timezone", "UTC"}};
	char buf[600];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_apply(&out, sets, 4, NULL, 0);
	assert_text(&out, "SET \"Client_Encoding\" = 'SJIS';SET \"timezone\" = 'UTC';"
			  "SELECT pg_catalog.set_config('my.x',pg_catalog.convert_from("
			  "pg_catalog.decode('ff','hex'),pg_catalog.pg_client_encoding()),false),"
			  "pg_catalog.set_config('application_name',pg_catalog.convert_from("
			  "pg_catalog.decode('ff','hex'),pg_catalog.pg_client_encoding()),false)");
}
END_TEST

START_TEST(test_params_apply_appends_to_what_is_there)
{
	static const struct pgr_param set = {"work_mem", "4MB"};
	static const char *const reset = "role";
	char buf[100];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_out_text(&out, "/**/");
	pgr_params_apply(&out, &set, 1, &reset, 1);
	assert_text(&out, "/**/SET \"work_mem\" = '4MB';RESET \"role\"");
}
END_TEST

START_TEST(test_params_apply_only_resets_or_nothing)
{
	static const char *const resets[] = {"a", "b"};
	char buf[64];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_apply(&out, NULL, 0, NULL, 0);
	assert_text(&out, "");
	pgr_params_apply(&out, NULL, 0, resets, 2);
	assert_text(&out, "RESET \"a\";RESET \"b\"");
}
END_TEST

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

START_TEST(test_params_apply_many_stay_within_a_select_list)
{
	struct pgr_param sets[1200];
	char *buf = calloc(1, 100000);
	struct pgr_out out = out_of(buf, 100000);

	for (size_t i = 0; i < 1200; i++)
		sets[i] = (struct pgr_param){"my.x", "1"};
	pgr_params_apply(&out, sets, 1200, NULL, 0);
	ck_assert(!out.full);
	ck_assert_uint_eq(count(buf, "SELECT "), 3);
	ck_assert_uint_eq(count(buf, ";SELECT "), 2);
	ck_assert_uint_eq(count(buf, "set_config("), 1200);
	ck_assert_uint_eq(count(buf, "),pg_catalog"), 1197);
	free(buf);
}
END_TEST

START_TEST(test_params_apply_without_room_says_so)
{
	static const struct pgr_param set = {"a", "value"};
	char full[100];
	struct pgr_out out = out_of(full, sizeof(full));
	size_t need;

	pgr_params_apply(&out, &set, 1, NULL, 0);
	need = out.len;
	for (size_t cap = 0; cap <= need; cap++) {
		char *buf = malloc(cap > 0 ? cap : 1);

		out = out_of(buf, cap);
		pgr_params_apply(&out, &set, 1, NULL, 0);
		ck_assert_int_eq(out.full, cap < need);
		free(buf);
	}
}
END_TEST

START_TEST(test_params_restore_encoding_comes_before_what_may_be_in_it)
{
	static const struct pgr_param params[] = {
		{"application_name", "\xe9"}, {"client_encoding", "LATIN1"}, {"my.x", "it's"}};
	char buf[2000];
	struct pgr_out out = out_of(buf, sizeof(buf));

	pgr_params_restore(&out, params, 0);
	assert_text(&out, "");
	pgr_params_restore(&out, params, 3);
	pgr_out_byte(&out, '\0');
	ck_assert(!out.full);
	ck_assert_uint_eq(count(buf, "SELECT "), 2);
	ck_assert_ptr_nonnull(strstr(buf, "(VALUES('client_encoding','LATIN1'))p(n,v)"));
	ck_assert_ptr_nonnull(strstr(buf, "(VALUES('application_name',pg_catalog.convert_from("));
	ck_assert_ptr_nonnull(strstr(buf, ",('my.x','it''s'))p(n,v)"));
	ck_assert(strstr(buf, "'LATIN1'") < strstr(buf, "application_name"));
}
END_TEST

UNIT_MAIN("params", test_params_check_name_takes_names, test_params_check_name_refuses_as_postgres_does,
	test_params_quote_plain_doubles_quotes, test_params_quote_never_writes_backslash_or_high_bytes,
	test_params_quote_other_bytes_go_as_hexadecimal, test_params_quote_name_quotes_each_part,
	test_params_apply_sets_and_resets,
	test_params_apply_encoding_comes_before_what_may_be_in_it,
	test_params_apply_appends_to_what_is_there, test_params_apply_only_resets_or_nothing,
	test_params_apply_many_stay_within_a_select_list, test_params_apply_without_room_says_so,
	test_params_restore_encoding_comes_before_what_may_be_in_it)
