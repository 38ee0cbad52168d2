/* worker/verb.h: what the console understands, and what it does not. */
#include "unit.h"

#include <string.h>

#include "worker/verb.h"

static struct pgr_verb verb;
static struct pgr_err err;

static enum pgr_verb_kind
parse(const char *text)
{
	ck_assert_msg(pgr_verb_parse(text, strlen(text), &verb, &err) == PGR_OK, "%s: %s", text, err.message);
	return verb.kind;
}

static void
assert_refused(const char *text, const char *sqlstate)
{
	ck_assert_msg(pgr_verb_parse(text, strlen(text), &verb, &err) == PGR_FAIL, "%s", text);
	ck_assert_str_eq(err.sqlstate, sqlstate);
	ck_assert_str_ne(err.hint, "");
}

START_TEST(test_verb_words_are_found_whatever_their_case)
{
	ck_assert_int_eq(parse("sHoW pOoLs;"), PGR_VERB_SHOW);
	ck_assert_int_eq(verb.view, PGR_VIEW_POOLS);
	ck_assert_int_eq(parse("/* a /* b */ */ SHOW -- c\n \"stats_totals\";;"), PGR_VERB_SHOW);
	ck_assert_int_eq(verb.view, PGR_VIEW_STATS_TOTALS);
	ck_assert_int_eq(parse(";;;;"), PGR_VERB_EMPTY);
	ck_assert_int_eq(parse(""), PGR_VERB_EMPTY);
	ck_assert_int_eq(parse("start transaction read only"), PGR_VERB_BEGIN);
	ck_assert_int_eq(parse("SET SESSION datestyle TO 'a'; DROP"), PGR_VERB_SET);
	ck_assert_int_eq(parse("SHUTDOWN"), PGR_VERB_SHUTDOWN);
	ck_assert(!verb.graceful);
	ck_assert_int_eq(parse("shutdown wait_for_servers"), PGR_VERB_SHUTDOWN);
	ck_assert(verb.graceful);
}
END_TEST

START_TEST(test_verb_names_stay_as_they_are_written)
{
	parse("PAUSE MyDb-1.x");
	ck_assert_str_eq(verb.database, "MyDb-1.x");
	parse("KILL \"a \"\"b\"");
	ck_assert_str_eq(verb.database, "a \"b");
	parse("KILL app--comment");
	ck_assert_str_eq(verb.database, "app");
	parse("RESUME");
	ck_assert_str_eq(verb.database, "");
	parse("KILL aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg");
	ck_assert_uint_eq(strlen(verb.database), 63);
	parse("DEALLOCATE PREPARE x");
	ck_assert_str_eq(verb.statement, "x");
}
END_TEST

START_TEST(test_verb_what_is_no_command_is_refused)
{
	static const char *const wrong[] = {"SHOW", "SHOW '", "/* x", "KILL", "KILL ''", "PAUSE a b", "RELOAD now", "SELECT 1",
		"\"show\" pools", "SHOW POOLS; SHOW POOLS", "SHUTDOWN now", "=", "SET", "SET = 3", "DISCARD TEMP", "DEALLOCATE",
		"a b c d e f"};

	for (size_t i = 0; i < PGR_COUNT_OF(wrong); i++)
		assert_refused(wrong[i], "42601");
	assert_refused("SHOW nothing", "42704");
	assert_refused("SUSPEND", "0A000");
	assert_refused("SET pool_size = 3", "0A000");
}
END_TEST

START_TEST(test_verb_only_looking_is_known)
{
	ck_assert(pgr_verb_looks(PGR_VERB_SHOW) && pgr_verb_looks(PGR_VERB_SET) && pgr_verb_looks(PGR_VERB_DISCARD));
	ck_assert(!pgr_verb_looks(PGR_VERB_RELOAD) && !pgr_verb_looks(PGR_VERB_KILL) &&
		!pgr_verb_looks(PGR_VERB_SHUTDOWN));
}
END_TEST

UNIT_MAIN("verb", test_verb_words_are_found_whatever_their_case, test_verb_names_stay_as_they_are_written,
	test_verb_what_is_no_command_is_refused, test_verb_only_looking_is_known)
