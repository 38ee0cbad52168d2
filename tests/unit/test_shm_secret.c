/* shm/secret.h: the table of SCRAM keys, its collisions and what a dead writer leaves in it. */
#include "unit.h"

#include <string.h>

#include "shm_util.h"

#include "shm/secret.h"

static struct pgr_shm shm;

static struct pgr_scram_keys
keys_of(uint32_t n)
{
	struct pgr_scram_keys keys;

	memset(&keys, 0, sizeof(keys));
	keys.iterations = n;
	memset(keys.stored_key, (int)n, sizeof(keys.stored_key));
	return keys;
}

static bool
finds(struct pgr_hash128 name, uint32_t n)
{
	struct pgr_scram_keys wanted = keys_of(n);
	struct pgr_scram_keys got;

	memset(&got, 0, sizeof(got));
	return pgr_secret_find(&shm, name, &got) && memcmp(&got, &wanted, sizeof(got)) == 0;
}

static void
keep(struct pgr_hash128 name, uint32_t n)
{
	struct pgr_scram_keys keys = keys_of(n);

	pgr_secret_keep(&shm, name, &keys);
}

START_TEST(test_secret_kept_is_found_under_its_name_only)
{
	struct pgr_scram_keys got;

	shm_make(&shm, 1);
	ck_assert(!pgr_secret_find(&shm, (struct pgr_hash128){7, 1}, &got));
	keep((struct pgr_hash128){7, 1}, 11);
	ck_assert(finds((struct pgr_hash128){7, 1}, 11));
	ck_assert(!pgr_secret_find(&shm, (struct pgr_hash128){7, 2}, &got));
	ck_assert(!pgr_secret_find(&shm, (struct pgr_hash128){8, 1}, &got));
}
END_TEST

START_TEST(test_secret_names_of_one_cell_are_told_apart_also_over_the_end_of_the_table)
{
	const uint64_t home = UINT64_C(5) * PGR_SCRAM_CELLS - 2;

	shm_make(&shm, 1);
	for (uint32_t n = 1; n <= 10; n++)
		keep((struct pgr_hash128){home, n}, n);
	for (uint32_t n = 1; n <= 10; n++)
		ck_assert(finds((struct pgr_hash128){home, n}, n));
}
END_TEST

START_TEST(test_secret_first_one_stays)
{
	shm_make(&shm, 1);
	keep((struct pgr_hash128){7, 1}, 11);
	keep((struct pgr_hash128){7, 1}, 12);
	ck_assert(finds((struct pgr_hash128){7, 1}, 11));
}
END_TEST

START_TEST(test_secret_cell_of_a_dead_writer_is_passed_over)
{
	struct pgr_scram_keys got;

	shm_make(&shm, 1);
	atomic_store(&shm.secrets->scram[7].state, PGR_SCRAM_WRITING);
	shm.secrets->scram[7].name = (struct pgr_hash128){7, 1};
	ck_assert(!pgr_secret_find(&shm, (struct pgr_hash128){7, 1}, &got));
	keep((struct pgr_hash128){7, 1}, 11);
	ck_assert(finds((struct pgr_hash128){7, 1}, 11));
}
END_TEST

START_TEST(test_secret_crowded_cells_keep_no_more_but_forget_nothing)
{
	uint32_t found = 0;

	shm_make(&shm, 1);
	for (uint32_t n = 1; n <= 100; n++)
		keep((struct pgr_hash128){3, n}, n);
	for (uint32_t n = 1; n <= 100; n++)
		found += finds((struct pgr_hash128){3, n}, n);
	ck_assert_uint_gt(found, 10);
	ck_assert_uint_lt(found, 100);
	for (uint32_t n = 1; n <= found; n++)
		ck_assert(finds((struct pgr_hash128){3, n}, n));
}
END_TEST

UNIT_MAIN("shm_secret", test_secret_kept_is_found_under_its_name_only,
	test_secret_names_of_one_cell_are_told_apart_also_over_the_end_of_the_table,
	test_secret_first_one_stays, test_secret_cell_of_a_dead_writer_is_passed_over,
	test_secret_crowded_cells_keep_no_more_but_forget_nothing)
