/*
 * parser/screen.h: what it calls clean has no facts, over the tables of test_session.c's kind and
 * over a quarter of a million texts put together from words that matter; and the everyday texts are
 * clean.
 */
#include "unit.h"

#include <stdlib.h>

#include "parser/screen.h"
#include "session_util.h"

static uint64_t seed;

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

/* The screen over a copy with nothing behind it. */
static bool
clean(const char *text, const struct pgr_name_set *unsafe)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	bool answer;

	memcpy(copy, text, len);
	answer = pgr_screen_clean(copy, len, unsafe);
	free(copy);
	return answer;
}

/*
 * Nothing that a session would have to know: what clean promises. A text that is no SQL (UNKNOWN)
 * runs nowhere.
 */
static bool
is_nothing(const char *text, bool standard_strings, const struct pgr_name_set *unsafe)
{
	struct pgr_facts facts;

	pgr_session_read(text, strlen(text), standard_strings, unsafe, &facts);
	for (unsigned row = 1; row < PGR_FEATURE_COUNT; row++)
		if (row != PGR_FEATURE_UNKNOWN &&
			pgr_feature_has(&facts.features, (enum pgr_feature)row) &&
			pgr_features[row].treatment != PGR_TREATMENT_SAFE)
			return false;
	return facts.n_steps == 0 && (facts.flags & ~PGR_FACTS_ERROR) == 0;
}

START_TEST(test_screen_everyday_texts_are_clean)
{
	static const char *const texts[] = {
		"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
		"UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 99999;",
		"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, 99999, "
		"-4321, CURRENT_TIMESTAMP);",
		"select 1", "  SELECT\n1 ;\n", "VALUES (1)", "DELETE FROM t WHERE a IN (1, 2)",
		"MERGE INTO t USING s ON (t.a = s.a) WHEN MATCHED THEN DELETE",
		"WITH a AS (SELECT 1) SELECT * FROM a",
		"SELECT \"users\".* FROM \"users\" WHERE (\"users\".\"email\" = 'a@b.c') ORDER BY "
		"\"users\".\"id\" ASC LIMIT 1",
		"INSERT INTO \"users\" (\"id\", \"name\") VALUES ($1, 'O''Brien') RETURNING \"id\"",
		"UPDATE \"users\" SET \"name\" = $1, \"at\" = now() WHERE \"users\".\"id\" = $2",
		"SELECT count(*), max(a) FROM customer_history /* app:web */",
		"SELECT nextval('s')", "SELECT a\nFROM t\nWHERE\n  (a = 1) AND\n  (b = 2)",
		"SELECT pg_advisory_xact_lock(1)"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(clean(texts[i], NULL), "%s", texts[i]);
		ck_assert(is_nothing(texts[i], true, NULL));
	}
}
END_TEST

START_TEST(test_screen_sees_what_matters)
{
	static const char *const texts[] = {"", " ", ";", "SELECT", "SET a = b", "BEGIN",
		"SELECT 1; SET a = b", "SELECTED 1", "SELECT set_config('a', 'b', false)",
		"SELECT SET_CONFIG ('a', 'b', false)", "SELECT \"set_config\" ('a', 'b', false)",
		"SELECT set_config\n\n('a', 'b', false)",
		"SELECT set_config -- x\n ('a', 'b', false)",
		"SELECT set_config -- a\n--b\n\t('a', 'b', false)",
		"SELECT set_config /* x */ ('a', 'b', false)",
		"SELECT set_config/**/('a', 'b', false)", "SELECT set_config --\r('a', 'b', false)",
		"SELECT U&\"\\0073et_config\"('a', 'b', false)",
		"SELECT U&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)",
		"SELECT U&\"set_config\"('a', 'b', false)", "SELECT a,set_config('a', 'b', false)",
		"SELECT 1+set_config('a', 'b', false)",
		"SELECT pg_catalog.set_config('a', 'b', false)",
		"SELECT \"pg_catalog\".\"set_config\"('a', 'b', false)",
		"SELECT pg_advisory_lock(1)", "SELECT lastval()", "SELECT pg_advisory_unlock(1)",
		"SELECT query_to_xml('', a, b, c)", "SELECT 1 INTO TEMP t", "select 1 into temp t",
		"WITH a AS (SELECT 1) SELECT 1 INTO TEMP t", "SELECT 1INTO TEMP t",
		"UPDATE pg_settings SET setting = 'x'", "UPDATE \"pg_settings\" SET setting = 'x'",
		"WITH a AS (SELECT 1) UPDATE pg_settings SET setting = 'x'",
		"UPDATE U&\"pg!005fsettings\" UESCAPE '!' SET setting = 'x'", "/* x */ SELECT 1",
		"(SELECT 1)", "EXPLAIN SELECT 1", "SELECT setseed(1)",
		"INSERT INTO t SELECT lastval()", "SELECT $$a$$set_config('a', 'b', false)"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(!clean(texts[i], NULL), "%s", texts[i]);
}
END_TEST

START_TEST(test_screen_each_place_of_a_block)
{
	char text[200];

	/*
	 * the call, the semicolon and INTO at every place between the blocks, with every length
	 * behind
	 */
	for (int before = 0; before < 40; before++) {
		for (int behind = 0; behind < 40; behind++) {
			snprintf(text, sizeof(text), "SELECT %*s lastval()%*s", before, "", behind,
				"");
			ck_assert(!clean(text, NULL));
			snprintf(text, sizeof(text), "SELECT %*s1;a%*s", before, "", behind, "");
			ck_assert(!clean(text, NULL));
			snprintf(text, sizeof(text), "SELECT %*s1 into t%*s", before, "", behind,
				"");
			ck_assert(!clean(text, NULL));
			snprintf(text, sizeof(text), "SELECT %*s1 a%*s;", before, "", behind, "");
			ck_assert(clean(text, NULL));
		}
	}
}
END_TEST

static const char *const pieces[] = {"SELECT", "select ", "UPDATE ", "INSERT INTO ", "WITH ",
	"DELETE FROM ", "VALUES ", "MERGE INTO ", "set_config", "SET_CONFIG", "\"set_config\"",
	"U&\"set_config\"", "U&\"\\0073et_config\"", "u&\"set!005fconfig\" UESCAPE '!'",
	"pg_advisory_lock", "pg_catalog", ".", "lastval", "\"lastval\"", "setseed", "nextval",
	"pg_advisory_unlock", "query_to_xml", "(", ")", "()", "('a', 'b', false)", ",", ";", " ; ",
	"'", "''", "\"", "\"\"", "$$", "$a$", "\\", "E'", "U&'", "N'", "--", "/*", "*/", "--\n",
	"\n", "\r", "\t", " ", " ", " ", "  ", "\f", "\v", "INTO ", "into", "TEMP ", "temporary t",
	"pg_temp", "pg_settings", "\"pg_settings\"", "PG_SETTINGS",
	"U&\"pg!005fsettings\" UESCAPE '!'", "ONLY ", "SET a = 1", "set ", "a", "b.c", "1", "1.5",
	"$1", "FROM t", "WHERE ", "AS ", "UNION ", "BEGIN", "COMMIT", "LISTEN x", "é", "\xff", "$",
	"leak", "\"Leak\"", "bad_table", "foo$bar", "::", "+", "-", "*", "/", "=", "EXECUTE p",
	"DO $$ x $$", "UESCAPE", "CREATE TEMP ", "CASE ", "END ", "DECLARE c CURSOR WITH HOLD FOR "};

/* A text of pieces, mostly one that begins as a query does. */
static void
compose(char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	if (pick(4) != 0)
		len = (size_t)snprintf(text, size, "%s ", pieces[pick(8)]);
	for (unsigned n = pick(14); n > 0; n--) {
		const char *piece = pieces[pick(sizeof(pieces) / sizeof(pieces[0]))];

		if (len + strlen(piece) + 2 > size)
			break;
		len += (size_t)snprintf(
			text + len, size - len, "%s%s", piece, pick(3) == 0 ? " " : "");
	}
	for (unsigned n = pick(3); n > 0 && len > 0; n--)
		if (pick(4) == 0)
			text[pick((uint32_t)len)] = (char)(pick(255) + 1);
}

static unsigned
assert_never_misses(int texts, const struct pgr_name_set *unsafe)
{
	unsigned found_clean = 0;
	char text[400];

	for (int i = 0; i < texts; i++) {
		compose(text, sizeof(text));
		if (!clean(text, unsafe))
			continue;
		found_clean++;
		if (!is_nothing(text, true, unsafe) || !is_nothing(text, false, unsafe))
			ck_abort_msg("not clean: %s", text);
	}
	return found_clean;
}

START_TEST(test_screen_never_misses)
{
	seed = 0x2545f4914f6cdd1d + (uint64_t)_i;
	ck_assert_uint_gt(assert_never_misses(70000, NULL), 5000);
}
END_TEST

START_TEST(test_screen_never_misses_unsafe_names)
{
	struct pgr_name_set set = {0};

	pgr_name_set_add(&set, "leak", 4);
	pgr_name_set_add(&set, "Bad_Table", 9);
	pgr_name_set_add(&set, "foo$bar", 7);
	seed = 0x7fb5d329728ea185 + (uint64_t)_i;
	ck_assert_uint_gt(assert_never_misses(70000, &set), 2000);
}
END_TEST

START_TEST(test_screen_unsafe_names)
{
	struct pgr_name_set set = {0};

	ck_assert(clean("SELECT leak() FROM bad_table", &set));
	pgr_name_set_add(&set, "leak", 4);
	ck_assert(!clean("SELECT leak() FROM bad_table", &set));
	ck_assert(!clean("SELECT (t).LEAK FROM bad_table t", &set));
	ck_assert(!clean("SELECT \"leak\"() FROM bad_table", &set));
	ck_assert(!clean("SELECT U&\"l!0065ak\" FROM bad_table", &set));
	ck_assert(clean("SELECT leaks() FROM bad_table", &set));
	pgr_name_set_add(&set, "Bad_Table", 9);
	ck_assert(!clean("SELECT leaks() FROM bad_table", &set));
	ck_assert(clean("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", &set));
	set.everything = true;
	ck_assert(!clean("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", &set));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("screen");
	TCase *tcase = tcase_create("screen");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, UNIT_TIMEOUT * 3);
	tcase_add_test(tcase, test_screen_everyday_texts_are_clean);
	tcase_add_test(tcase, test_screen_sees_what_matters);
	tcase_add_test(tcase, test_screen_each_place_of_a_block);
	tcase_add_test(tcase, test_screen_unsafe_names);
	tcase_add_loop_test(tcase, test_screen_never_misses, 0, 4);
	tcase_add_loop_test(tcase, test_screen_never_misses_unsafe_names, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
