/* parser/catalog.h: verdicts over names, by what is called and used. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/catalog.h"

static struct pgr_catalog_builder *b;
static struct pgr_catalog *catalog;

static void
begin(void)
{
	b = pgr_catalog_builder_new();
	ck_assert_ptr_nonnull(b);
}

static void
body(const char *name, const char *text)
{
	pgr_catalog_add_body(b, name, strlen(name), text, strlen(text), true);
}

static void
use(const char *from, const char *to)
{
	pgr_catalog_add_use(b, from, strlen(from), to, strlen(to));
}

static void
add(const char *name, enum pgr_feature row)
{
	pgr_catalog_add(b, name, strlen(name), row);
}

static void
build(void)
{
	catalog = pgr_catalog_build(b);
	ck_assert_ptr_nonnull(catalog);
}

static enum pgr_feature
judge(const char *text)
{
	return pgr_catalog_judge(catalog, text, strlen(text), true, false);
}

START_TEST(test_catalog_bodies_are_judged_by_their_words)
{
	begin();
	body("sets", "BEGIN SET work_mem = '1MB'; END");
	body("configures", "BEGIN PERFORM set_config('a', 'b', false); END");
	body("listens", "BEGIN LISTEN x; END");
	body("updates", "BEGIN UPDATE t SET v = 1; END");
	build();
	ck_assert_int_eq(pgr_catalog_count(catalog), 3);
	ck_assert_int_eq(judge("SELECT sets()"), PGR_FEATURE_SET_IN_BODY);
	ck_assert_int_eq(judge("SELECT a.configures(1)"), PGR_FEATURE_SET_CONFIG_ELSEWHERE);
	ck_assert_int_eq(judge("CALL listens()"), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("SELECT updates(), settings, \"listens to\" FROM t"), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("SELECT updates(), settings FROM t"), PGR_FEATURE_NONE);
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_what_uses_the_unsafe_is_unsafe)
{
	begin();
	use("view", "outer"); /* told before what it uses */
	use("table", "trigger");
	body("outer", "SELECT middle() + 1");
	body("middle", "EXECUTE 'SELECT Inner' || '()'");
	body("inner", "BEGIN LISTEN x; END");
	body("trigger", "BEGIN RETURN NEW; END");
	use("locker", "pg_advisory_lock");
	build();
	ck_assert_int_eq(judge("TABLE \"view\""), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("SELECT \"outer\"(1)"), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("SELECT MIDDLE()"), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("INSERT INTO \"table\" SELECT trigger"), PGR_FEATURE_NONE);
	ck_assert_int_eq(judge("SELECT * FROM locker"), PGR_FEATURE_FN_ADVISORY_LOCK);
	/* that one the reader of facts knows by itself */
	ck_assert_int_eq(judge("SELECT pg_advisory_lock(1)"), PGR_FEATURE_NONE);
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_circles_end)
{
	begin();
	body("ping", "SELECT pong()");
	body("pong", "SELECT ping()");
	use("selfish", "selfish");
	build();
	ck_assert_int_eq(pgr_catalog_count(catalog), 0);
	ck_assert_int_eq(judge("SELECT ping(), pong() FROM selfish"), PGR_FEATURE_NONE);
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_names_that_are_written_in_other_ways)
{
	begin();
	add("F x", PGR_FEATURE_C_FUNCTION);
	add("\xc3\xbc" "ber", PGR_FEATURE_LOAD);
	build();
	ck_assert_int_eq(judge("SELECT \"F x\"()"), PGR_FEATURE_C_FUNCTION);
	ck_assert_int_eq(judge("SELECT f()"), PGR_FEATURE_C_FUNCTION); /* by what counts of it */
	ck_assert_int_eq(judge("SELECT \xfc" "ber()"), PGR_FEATURE_LOAD); /* in another encoding */
	ck_assert_int_eq(judge("SELECT U&\"\\0046\"()"), PGR_FEATURE_ESCAPED_NAME);
	ck_assert_int_eq(judge("SELECT other()"), PGR_FEATURE_NONE);
	pgr_catalog_free(catalog);
	begin();
	add("-", PGR_FEATURE_LOAD);
	build();
	ck_assert_int_eq(judge("SELECT 1"), PGR_FEATURE_LOAD); /* nothing of it counts */
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_rows_that_do_not_pin_are_safe)
{
	begin();
	add("f", PGR_FEATURE_SELECT);
	build();
	ck_assert_int_eq(pgr_catalog_count(catalog), 0);
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_of_many)
{
	char name[32];
	char text[64];

	begin();
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), "SELECT f%d()", i + 1);
		body(name, i % 1000 == 999 ? "BEGIN LISTEN x; END" : i % 1000 < 500 ? "SELECT 1" : text);
	}
	build();
	ck_assert_int_eq(pgr_catalog_count(catalog), 20000 / 2);
	ck_assert_int_eq(judge("SELECT f499()"), PGR_FEATURE_NONE);
	ck_assert_int_eq(judge("SELECT f500()"), PGR_FEATURE_LISTEN);
	ck_assert_int_eq(judge("SELECT f19999()"), PGR_FEATURE_LISTEN);
	pgr_catalog_free(catalog);
}
END_TEST

START_TEST(test_catalog_too_large_to_be_judged)
{
	enum { BYTES = 10 << 20 };
	char *text = malloc(BYTES + 1);

	begin();
	for (int i = 0; i < BYTES; i += 10)
		snprintf(text + i, 11, " w%08d", i);
	for (int i = 0; i < 5; i++)
		pgr_catalog_add_body(b, "f", 1, text, BYTES, true);
	ck_assert_ptr_null(pgr_catalog_build(b));
	free(text);
}
END_TEST

START_TEST(test_catalog_extensions_that_are_known)
{
	ck_assert(pgr_catalog_knows_extension("uuid-ossp"));
	ck_assert(pgr_catalog_knows_extension("pgcrypto"));
	ck_assert(!pgr_catalog_knows_extension("hypopg"));
	ck_assert(!pgr_catalog_knows_extension(""));
}
END_TEST

UNIT_MAIN("catalog", test_catalog_bodies_are_judged_by_their_words, test_catalog_what_uses_the_unsafe_is_unsafe,
	test_catalog_circles_end, test_catalog_names_that_are_written_in_other_ways,
	test_catalog_rows_that_do_not_pin_are_safe, test_catalog_of_many, test_catalog_too_large_to_be_judged,
	test_catalog_extensions_that_are_known)
