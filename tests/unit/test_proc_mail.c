/* shm/proc.h: pokes are coalesced but never lost, mail names the pools that it names. */
#include "unit.h"

#include "shm_util.h"

static struct pgr_shm shm;
static const pgr_pool_id first = {0};
static const pgr_pool_id last = {PGR_POOLS_MAX - 1};

START_TEST(test_proc_poke_is_written_once_until_it_is_taken)
{
	shm_make(&shm, 2);
	pgr_proc_poke(&shm, 1, false);
	pgr_proc_poke(&shm, 1, false);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 1);
	pgr_proc_poke(&shm, 1, false); /* read, but not yet taken: the reader still looks at its mail */
	ck_assert_uint_eq(shm_pokes(&shm, 1), 0);
	pgr_proc_poke_taken(&shm, 1);
	pgr_proc_poke(&shm, 1, false);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 1);
	ck_assert_uint_eq(shm_pokes(&shm, 0), 0);
}
END_TEST

START_TEST(test_proc_poke_by_force_writes_although_a_dead_one_left_its_flag)
{
	shm_make(&shm, 2);
	atomic_store(&pgr_shm_proc(&shm, 1)->poked, 1); /* flagged, died before the write */
	pgr_proc_poke(&shm, 1, false);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 0);
	pgr_proc_poke(&shm, 1, true);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 1);
}
END_TEST

START_TEST(test_proc_mail_brings_each_pool_once)
{
	static const uint32_t pools[] = {0, 1, 63, 64, 4095, 4096, 9000, PGR_POOLS_MAX - 1};
	uint32_t cursor = 0;
	pgr_pool_id got;

	shm_make(&shm, 2);
	for (size_t i = 0; i < PGR_COUNT_OF(pools); i++) {
		pgr_proc_mail(&shm, 1, (pgr_pool_id){pools[PGR_COUNT_OF(pools) - 1 - i]});
		pgr_proc_mail(&shm, 1, (pgr_pool_id){pools[0]});
	}
	for (size_t i = 0; i < PGR_COUNT_OF(pools); i++) {
		ck_assert(pgr_proc_next_mail(&shm, 1, &cursor, &got));
		ck_assert_uint_eq(got.n, pools[i]);
	}
	ck_assert(!pgr_proc_next_mail(&shm, 1, &cursor, &got));
	cursor = 0;
	ck_assert(!pgr_proc_next_mail(&shm, 1, &cursor, &got));
	ck_assert(!pgr_proc_next_mail(&shm, 0, &cursor, &got));
}
END_TEST

START_TEST(test_proc_mail_that_comes_while_mail_is_taken_is_found_by_the_next_look)
{
	uint32_t cursor = 0;
	pgr_pool_id got;

	shm_make(&shm, 1);
	pgr_proc_mail(&shm, 0, last);
	ck_assert(pgr_proc_next_mail(&shm, 0, &cursor, &got));
	ck_assert_uint_eq(got.n, last.n);
	pgr_proc_mail(&shm, 0, first); /* the cursor has passed it */
	ck_assert(!pgr_proc_next_mail(&shm, 0, &cursor, &got));
	cursor = 0;
	ck_assert(pgr_proc_next_mail(&shm, 0, &cursor, &got));
	ck_assert_uint_eq(got.n, first.n);
}
END_TEST

START_TEST(test_proc_mail_bit_without_its_pool_is_passed_over)
{
	uint32_t cursor = 0;
	pgr_pool_id got;

	shm_make(&shm, 1);
	pgr_proc_mail(&shm, 0, (pgr_pool_id){70});
	atomic_fetch_or(&pgr_shm_proc(&shm, 0)->mail_index[0], UINT64_C(1));
	ck_assert(pgr_proc_next_mail(&shm, 0, &cursor, &got));
	ck_assert_uint_eq(got.n, 70);
	ck_assert(!pgr_proc_next_mail(&shm, 0, &cursor, &got));
}
END_TEST

START_TEST(test_proc_mail_all_is_every_place_of_every_pool_and_a_poke)
{
	uint32_t cursor = 0;
	pgr_pool_id got;

	shm_make(&shm, 2);
	for (uint32_t n = 0; n < 70; n++)
		(void)shm_pool(&shm, 1, 0);
	atomic_store(&pgr_shm_proc(&shm, 1)->poked, 1);
	pgr_proc_mail_all(&shm, 1);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 1);
	for (uint32_t n = 0; n < 70; n++) {
		ck_assert(pgr_proc_next_mail(&shm, 1, &cursor, &got));
		ck_assert_uint_eq(got.n, n);
		ck_assert_uint_eq(atomic_load(&pgr_shm_pool(&shm, got)->mail[1]), UINT64_MAX);
		ck_assert_uint_eq(atomic_load(&pgr_shm_pool(&shm, got)->mail[0]), 0);
	}
	ck_assert(!pgr_proc_next_mail(&shm, 1, &cursor, &got));
}
END_TEST

UNIT_MAIN("proc_mail", test_proc_poke_is_written_once_until_it_is_taken,
	test_proc_poke_by_force_writes_although_a_dead_one_left_its_flag,
	test_proc_mail_brings_each_pool_once,
	test_proc_mail_that_comes_while_mail_is_taken_is_found_by_the_next_look,
	test_proc_mail_bit_without_its_pool_is_passed_over,
	test_proc_mail_all_is_every_place_of_every_pool_and_a_poke)
