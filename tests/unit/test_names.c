/* parser/names.h: the names in a text with their roles, and the set of names. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "parser/literal.h"
#include "parser/names.h"

static void
put_token(const char *text, const struct pgr_token *t, struct pgr_out *out)
{
	if (t->kind == PGR_TOKEN_UNICODE_QUOTED)
		pgr_out_text(out, "?");
	else
		pgr_literal_name(text, t, out);
}

/* "schema.name" with a sign for its role: () called, + relation */
static void
describe(const char *text, char *buf, size_t size)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	struct pgr_name_walk it;
	struct pgr_name name;
	struct pgr_out out;

	memcpy(copy, text, len);
	pgr_out_init(&out, buf, size - 1);
	pgr_name_walk_init(&it, copy, len, true);
	while (pgr_name_walk_next(&it, &name)) {
		pgr_out_text(&out, out.len > 0 ? " " : "");
		if (name.schema.kind != PGR_TOKEN_END) {
			put_token(copy, &name.schema, &out);
			pgr_out_text(&out, ".");
		}
		put_token(copy, &name.name, &out);
		pgr_out_text(&out,
			name.role == PGR_NAME_CALLED             ? "()"
				: name.role == PGR_NAME_RELATION ? "+"
								 : "");
	}
	buf[out.len] = '\0';
	free(copy);
}

START_TEST(test_names_and_roles)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"SELECT 1", ""},
		{"SELECT f(), s.g (1), \"H\"/**/(2), a FROM t", "f() s.g() H() a t+"},
		{"SELECT a.b, a.b.c, d.* FROM x.y, \"Z\" z, LATERAL f(q)",
			"a.b b.c d x.y+ Z+ z f() q"},
		{"SELECT * FROM a JOIN s.b USING (c) WHERE d IN (SELECT e FROM f, g)",
			"a+ join s.b+ c d e f+ g+"},
		{"INSERT INTO s.t (a, b) VALUES (f(1))", "insert s.t() a b values() f()"},
		{"UPDATE ONLY t SET a = g(b)", "update t+ set a g() b"},
		{"DELETE FROM t USING u, v", "delete t+ u+ v+"},
		{"SELECT (r).leak, x::my_type, y OPERATOR(s.+) z",
			"r leak x my_type y operator() s z"},
		{"SELECT s.select()", "s.select()"},
		{"SELECT U&\"x\"()", "?()"},
		{"CALL p(1)", "call p()"},
		{"DO $$ BEGIN PERFORM f(); END $$; SELECT $$ g() $$", "begin perform f() "},
		{"COPY t FROM STDIN", "copy t+ stdin+"},
		{"SELECT 'unterminated", ""},
	};
	char have[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *want = cases[i][1];
		size_t len = strlen(want);

		describe(cases[i][0], have, sizeof(have));
		if (len > 0 && want[len - 1] == ' ')
			ck_assert_msg(
				strncmp(have, want, len - 1) == 0, "%s: %s", cases[i][0], have);
		else
			ck_assert_msg(strcmp(have, want) == 0, "%s: %s", cases[i][0], have);
	}
}
END_TEST

START_TEST(test_names_body_of_do_only_and_offsets_stay)
{
	static const char text[] =
		"SELECT $$ a() $$; DO $x$ BEGIN b(); END $x$; SELECT c(), $$ d() $$";
	char have[200];

	describe(text, have, sizeof(have));
	ck_assert_ptr_null(strstr(have, "a()"));
	ck_assert_ptr_nonnull(strstr(have, "b()"));
	ck_assert_ptr_nonnull(strstr(have, "c()"));
	ck_assert_ptr_null(strstr(have, "d()"));
}
END_TEST

START_TEST(test_names_set_finds_what_was_added)
{
	struct pgr_name_set set = {0};
	char name[32];
	unsigned wrong = 0;

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "function_%d", i);
		pgr_name_set_add(&set, name, strlen(name));
	}
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "FUNCTION_%d", i);
		ck_assert(pgr_name_set_has(&set, name, strlen(name)));
		snprintf(name, sizeof(name), "functiom_%d", i);
		wrong += pgr_name_set_has(&set, name, strlen(name));
	}
	ck_assert_uint_lt(wrong, 10);
	ck_assert(!pgr_name_set_has(&set, "x", 1));
}
END_TEST

START_TEST(test_names_set_of_odd_names)
{
	static const char long_name[] =
		"a123456789b123456789c123456789d123456789e123456789f123456789g123456789";
	struct pgr_name_set set = {0};

	ck_assert(!pgr_name_set_has(&set, "\xc3\x89", 2));
	pgr_name_set_add(&set, "\xc3\xa9", 2);
	ck_assert(pgr_name_set_has(
		&set, "\xc3\x89", 2)); /* another case, which the server may fold */
	ck_assert(pgr_name_set_has(&set, "\xd0\x96", 2));
	ck_assert(pgr_name_set_has(&set, long_name, sizeof(long_name) - 1)); /* cut by the server */
	ck_assert(!pgr_name_set_has(&set, "abc", 3));
	pgr_name_set_add(&set, "abc def", 7);
	ck_assert(pgr_name_set_has(&set, "ABC", 3));
	ck_assert(!pgr_name_set_has(&set, "def", 3));
	pgr_name_set_add(&set, "+-", 2);
	ck_assert(pgr_name_set_has(&set, "anything", 8));
}
END_TEST

UNIT_MAIN("names", test_names_and_roles, test_names_body_of_do_only_and_offsets_stay,
	test_names_set_finds_what_was_added, test_names_set_of_odd_names)
