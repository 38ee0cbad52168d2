/* worker/track.h: settings through transactions and savepoints, as PostgreSQL keeps them. */
#include "unit.h"

#include "worker/settings.h"
#include "worker/track.h"

static struct pgr_track t;
static struct pgr_err err;

static void
begin(void)
{
	struct pgr_settings *startup = pgr_settings_empty();

	pgr_settings_init(&(struct pgr_hash_key){1, 2});
	ck_assert_int_eq(pgr_settings_with(startup, "a", "login", &startup, &err), PGR_OK);
	pgr_track_init(&t, startup);
}

static void
set(const char *name, const char *value, bool local)
{
	ck_assert_int_eq(pgr_track_set(&t, name, value, local, &err), PGR_OK);
}

/* In force now, and what the next server connection must have; NULL: the server's default. */
static void
assert_both(const char *name, const char *effective, const char *session)
{
	struct pgr_settings *e = pgr_track_effective(&t);

	ck_assert_ptr_nonnull(e);
	ck_assert_pstr_eq(pgr_settings_get(e->text, e->len, name), effective);
	ck_assert_pstr_eq(pgr_settings_get(t.session->text, t.session->len, name), session);
	pgr_settings_unref(e);
}

START_TEST(test_track_commit_keeps_and_rollback_takes_back)
{
	begin();
	set("a", "1", false);
	assert_both("a", "1", "1");
	pgr_track_rollback(&t);
	assert_both("a", "login", "login");
	set("b", "2", false);
	pgr_track_commit(&t);
	pgr_track_rollback(&t);
	assert_both("b", "2", "2");
	pgr_track_fini(&t);
}
END_TEST

START_TEST(test_track_local_ends_with_the_transaction)
{
	begin();
	set("a", "1", true);
	assert_both("a", "1", "login");
	set("a", "2", false);
	assert_both("a", "2", "2");
	set("a", "3", true);
	pgr_track_commit(&t);
	assert_both("a", "2", "2");
	pgr_track_fini(&t);
}
END_TEST

START_TEST(test_track_reset_goes_back_to_the_login)
{
	begin();
	set("a", "1", false);
	set("b", "2", false);
	pgr_track_commit(&t);
	set("a", NULL, false);
	set("b", NULL, false);
	assert_both("a", "login", "login");
	assert_both("b", NULL, NULL);
	pgr_track_rollback(&t);
	assert_both("b", "2", "2");
	set("role", "r", false);
	ck_assert_int_eq(pgr_track_reset_all(&t, &err), PGR_OK);
	assert_both("a", "login", "login");
	assert_both("b", NULL, NULL);
	assert_both("role", "r", "r");
	pgr_track_discard(&t);
	assert_both("role", NULL, NULL);
	pgr_track_fini(&t);
}
END_TEST

START_TEST(test_track_savepoints)
{
	begin();
	set("b", "0", false);
	ck_assert_int_eq(pgr_track_savepoint(&t, "s", &err), PGR_OK);
	set("b", "1", false);
	ck_assert_int_eq(pgr_track_savepoint(&t, "s", &err), PGR_OK);
	set("b", "2", true);
	pgr_track_rollback_to(&t, "s");
	assert_both("b", "1", "1");
	pgr_track_rollback_to(&t, "s");
	assert_both("b", "1", "1");
	pgr_track_release(&t, "s");
	pgr_track_rollback_to(&t, "s");
	assert_both("b", "0", "0");
	pgr_track_rollback_to(&t, "unknown");
	assert_both("b", "0", "0");
	pgr_track_rollback(&t);
	assert_both("b", NULL, NULL);
	pgr_track_fini(&t);
}
END_TEST

START_TEST(test_track_savepoints_are_bounded)
{
	uint32_t n = 0;

	begin();
	while (pgr_track_savepoint(&t, "s", &err) == PGR_OK)
		n++;
	ck_assert_uint_eq(n, PGR_TRACK_SAVEPOINTS);
	ck_assert_str_eq(err.sqlstate, "54000");
	pgr_track_fini(&t);
}
END_TEST

UNIT_MAIN("track", test_track_commit_keeps_and_rollback_takes_back,
	test_track_local_ends_with_the_transaction, test_track_reset_goes_back_to_the_login,
	test_track_savepoints, test_track_savepoints_are_bounded)
