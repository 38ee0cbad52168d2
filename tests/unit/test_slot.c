/*
 * shm/slot.h: the set of prepared statements of a connection, compared step by step with a list that
 * does the same naively. Hashes are drawn from few homes, so that probe runs are long, meet and wrap.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "shm/slot.h"

#define NAIVE_MOST PGR_STATEMENT_CELLS

static struct pgr_slot_cold *cold;

/* The list: in the order of use, the one used longest ago first. */
static struct pgr_hash128 naive[NAIVE_MOST];
static size_t naive_count;

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

static void
begin(void)
{
	cold = calloc(1, sizeof(*cold));
	ck_assert_ptr_nonnull(cold);
	naive_count = 0;
}

static size_t
naive_find(struct pgr_hash128 hash)
{
	for (size_t i = 0; i < naive_count; i++)
		if (pgr_hash128_eq(naive[i], hash))
			return i;
	return naive_count;
}

static bool
naive_remove(struct pgr_hash128 hash)
{
	size_t i = naive_find(hash);

	if (i == naive_count)
		return false;
	memmove(&naive[i], &naive[i + 1], (--naive_count - i) * sizeof(naive[0]));
	return true;
}

static void
naive_use(struct pgr_hash128 hash)
{
	naive_remove(hash);
	naive[naive_count++] = hash;
}

static bool
naive_has(struct pgr_hash128 hash)
{
	if (naive_find(hash) == naive_count)
		return false;
	naive_use(hash);
	return true;
}

static uint32_t
said_of(struct pgr_hash128 hash)
{
	return (uint32_t)(hash.lo * 31 + hash.hi * 7) | 16;
}

/* `homes` cells that lie around the end of the table, `kinds` different hashes for each. */
static struct pgr_hash128
draw_hash(uint32_t homes, uint32_t kinds)
{
	uint64_t home = (PGR_STATEMENT_CELLS - homes / 2 + draw(homes)) % PGR_STATEMENT_CELLS;

	return (struct pgr_hash128){
		home + PGR_STATEMENT_CELLS * (uint64_t)draw(3), 1 + (uint64_t)draw(kinds)};
}

static void
compare(void)
{
	struct pgr_hash128 oldest;

	ck_assert_uint_eq(cold->statement_count, naive_count);
	ck_assert_int_eq(pgr_slot_statement_oldest(cold, &oldest), naive_count > 0);
	if (naive_count > 0)
		ck_assert(pgr_hash128_eq(oldest, naive[0]));
}

/* What was said of a statement goes with it, wherever that moves. */
static void
add(struct pgr_hash128 hash)
{
	uint32_t before = naive_find(hash) < naive_count ? said_of(hash) : 0;
	struct pgr_description *said;

	pgr_slot_statement_add(cold, hash);
	naive_use(hash);
	said = pgr_slot_statement_find(cold, hash);
	ck_assert_uint_eq(said->rows, before);
	said->rows = said_of(hash);
}

static void
play(uint32_t homes, uint32_t kinds, uint32_t most, uint32_t steps)
{
	for (uint32_t n = 0; n < steps; n++) {
		struct pgr_hash128 hash = draw_hash(homes, kinds);
		uint32_t what = draw(100);

		if (what < 45) {
			if (naive_count == most && naive_find(hash) == naive_count)
				continue;
			add(hash);
		} else if (what < 70) {
			pgr_slot_statement_remove(cold, hash);
			naive_remove(hash);
		} else if (what < 85) {
			ck_assert_int_eq(pgr_slot_statement_seen(cold, hash), naive_find(hash) < naive_count);
		} else {
			ck_assert_int_eq(pgr_slot_statement_find(cold, hash) != NULL, naive_has(hash));
		}
		compare();
	}
}

START_TEST(test_slot_statements_agree_with_a_naive_set)
{
	for (uint64_t s = 1; s <= 8; s++) {
		seed = s;
		begin();
		play(1 + draw(40), 1 + draw(6), 400, 2500);
		while (naive_count > 0) { /* what is left is all there, and leaves in the order of use */
			struct pgr_hash128 hash = naive[0];

			pgr_slot_statement_remove(cold, hash);
			naive_remove(hash);
			compare();
			for (size_t i = 0; i < naive_count; i += 7) {
				ck_assert(pgr_slot_statement_find(cold, naive[i]) != NULL);
				naive_use(naive[i]);
			}
		}
		free(cold);
	}
}
END_TEST

START_TEST(test_slot_statements_evicting_the_oldest_keeps_the_most_recent)
{
	seed = 99;
	begin();
	for (uint32_t n = 0; n < 2 * PGR_STATEMENTS_MAX; n++) {
		struct pgr_hash128 hash = {draw(UINT32_MAX), n};
		struct pgr_hash128 oldest;

		if (cold->statement_count == PGR_STATEMENTS_MAX) {
			ck_assert(pgr_slot_statement_oldest(cold, &oldest));
			ck_assert_uint_eq(oldest.hi, n - PGR_STATEMENTS_MAX);
			pgr_slot_statement_remove(cold, oldest);
		}
		pgr_slot_statement_add(cold, hash);
	}
	ck_assert_uint_eq(cold->statement_count, PGR_STATEMENTS_MAX);
	free(cold);
}
END_TEST

START_TEST(test_slot_statements_age_over_the_wrap_of_the_tick)
{
	struct pgr_hash128 a = {1, 1};
	struct pgr_hash128 b = {2, 2};
	struct pgr_hash128 oldest;

	begin();
	cold->statement_tick = UINT32_MAX - 1;
	pgr_slot_statement_add(cold, a);
	pgr_slot_statement_add(cold, b); /* at tick 0 */
	ck_assert(pgr_slot_statement_oldest(cold, &oldest));
	ck_assert(pgr_hash128_eq(oldest, a));
	ck_assert(pgr_slot_statement_find(cold, a) != NULL);
	ck_assert(pgr_slot_statement_oldest(cold, &oldest));
	ck_assert(pgr_hash128_eq(oldest, b));
	free(cold);
}
END_TEST

START_TEST(test_slot_statements_clear_forgets_all)
{
	begin();
	seed = 3;
	play(20, 5, 300, 500);
	pgr_slot_statement_clear(cold);
	naive_count = 0;
	compare();
	play(20, 5, 300, 500);
	free(cold);
}
END_TEST

START_TEST(test_slot_statements_full_or_damaged_table_ends_every_search)
{
	struct pgr_hash128 stranger = {5, UINT64_MAX};

	begin();
	for (uint32_t i = 0; i < PGR_STATEMENT_CELLS; i++)
		cold->statement[i] = (struct pgr_hash128){i, 1};
	cold->statement_count = PGR_STATEMENT_CELLS;
	ck_assert(pgr_slot_statement_find(cold, stranger) == NULL);
	ck_assert(!pgr_slot_statement_seen(cold, stranger));
	pgr_slot_statement_remove(cold, stranger);
	ck_assert_uint_eq(cold->statement_count, PGR_STATEMENT_CELLS);
	free(cold);

	begin();
	for (uint32_t i = 0; i < 2 * PGR_STATEMENT_CELLS; i++)
		pgr_slot_statement_add(cold, (struct pgr_hash128){i, 1});
	ck_assert_uint_lt(cold->statement_count, PGR_STATEMENT_CELLS);
	ck_assert(pgr_slot_statement_find(cold, stranger) == NULL);
	ck_assert(!pgr_slot_statement_seen(cold, stranger));
	free(cold);
}
END_TEST

UNIT_MAIN("slot", test_slot_statements_agree_with_a_naive_set,
	test_slot_statements_evicting_the_oldest_keeps_the_most_recent,
	test_slot_statements_age_over_the_wrap_of_the_tick, test_slot_statements_clear_forgets_all,
	test_slot_statements_full_or_damaged_table_ends_every_search)
