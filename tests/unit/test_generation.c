/* shm/generation.h: what is read is what was published, and stays as long as it is in use. */
#include "unit.h"

#include <string.h>

#include "shm_util.h"

#include "shm/secret.h"

static struct pgr_shm shm;
static struct pgr_err err;

static enum pgr_rc
publish(const char *config, const char *secrets)
{
	return pgr_generation_publish(
		&shm, config, strlen(config) + 1, secrets, strlen(secrets) + 1, &err);
}

START_TEST(test_generation_before_the_first_there_is_none)
{
	uint64_t version = 77;

	shm_make(&shm, 2);
	ck_assert_ptr_null(pgr_generation_use(&shm, 0, NULL, &version));
	ck_assert_uint_eq(version, 0);
}
END_TEST

START_TEST(test_generation_brings_the_newest_and_its_secrets)
{
	const void *secrets;
	uint64_t version;
	const char *config;

	shm_make(&shm, 2);
	ck_assert_int_eq(publish("one", "secret one"), PGR_OK);
	ck_assert_int_eq(publish("two", "secret two"), PGR_OK);
	config = pgr_generation_use(&shm, 1, &secrets, &version);
	ck_assert_str_eq(config, "two");
	ck_assert_str_eq(secrets, "secret two");
	ck_assert_uint_eq(version, 2);
}
END_TEST

START_TEST(test_generation_in_use_is_not_overwritten_until_let_go)
{
	char name[16];
	const char *config;
	uint64_t version;

	shm_make(&shm, 2);
	ck_assert_int_eq(publish("kept", "s"), PGR_OK);
	config = pgr_generation_use(&shm, 0, NULL, &version);
	for (int i = 1; i < PGR_GENERATIONS; i++) {
		snprintf(name, sizeof(name), "later %d", i);
		ck_assert_int_eq(publish(name, "s"), PGR_OK);
	}
	ck_assert_int_eq(publish("too early", "s"), PGR_AGAIN);
	ck_assert_str_eq(config, "kept");
	config = pgr_generation_use(&shm, 1, NULL, &version);
	ck_assert_str_eq(config, name); /* the refused one has left no trace */
	(void)pgr_generation_use(&shm, 0, NULL, &version);
	ck_assert_int_eq(publish("now", "s"), PGR_OK);
	ck_assert_str_eq(pgr_generation_use(&shm, 0, NULL, &version), "now");
}
END_TEST

START_TEST(test_generation_of_a_dead_process_is_not_in_use)
{
	uint64_t version;

	shm_make(&shm, 2);
	ck_assert_int_eq(publish("one", "s"), PGR_OK);
	(void)pgr_generation_use(&shm, 0, NULL, &version);
	for (int i = 1; i < PGR_GENERATIONS; i++)
		ck_assert_int_eq(publish("later", "s"), PGR_OK);
	ck_assert_int_eq(publish("five", "s"), PGR_AGAIN);
	atomic_store(&pgr_shm_proc(&shm, 0)->life, PGR_LIFE_DEAD);
	ck_assert_int_eq(publish("five", "s"), PGR_OK);
}
END_TEST

START_TEST(test_generation_too_large_is_refused_with_its_size)
{
	shm_make(&shm, 1);
	ck_assert_int_eq(publish("one", "s"), PGR_OK);
	ck_assert_int_eq(
		pgr_generation_publish(&shm, "", PGR_GENERATION_BYTES + 1, "", 1, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "53400");
	ck_assert_int_eq(
		pgr_generation_publish(&shm, "", 1, "", PGR_SECRETS_BYTES + 1, &err), PGR_FAIL);
	ck_assert_uint_eq(atomic_load(&shm.seg->generations.current), 1);
}
END_TEST

UNIT_MAIN("generation", test_generation_before_the_first_there_is_none,
	test_generation_brings_the_newest_and_its_secrets,
	test_generation_in_use_is_not_overwritten_until_let_go,
	test_generation_of_a_dead_process_is_not_in_use,
	test_generation_too_large_is_refused_with_its_size)
