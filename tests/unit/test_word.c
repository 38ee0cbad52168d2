/* shm/word.h: the fields of a slot's word, each at its ends, do not touch one another. */
#include "unit.h"

#include "shm/word.h"

#define GENERATION_MOST ((UINT64_C(1) << 44) - 1)

static const unsigned bytes[] = {0, 1, 61, 62, 63, 128, 254, 255};
static const uint64_t generations[] = {0, 1, 0x5a5a5a5a5a5, GENERATION_MOST};

#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

START_TEST(test_word_fields_come_back_as_they_were_put_in)
{
	for (unsigned state = 0; state < 8; state++)
		for EACH (o, bytes)
			for EACH (p, bytes)
				for EACH (g, generations) {
					pgr_word w = pgr_word_make((enum pgr_slot_state)state, bytes[o], bytes[p],
						generations[g]);

					ck_assert_uint_eq(pgr_word_state(w), state);
					ck_assert_uint_eq(pgr_word_owner(w), bytes[o]);
					ck_assert_uint_eq(pgr_word_pin(w), bytes[p]);
					ck_assert_uint_eq(pgr_word_generation(w), generations[g]);
					ck_assert(!pgr_word_dirty(w));
				}
}
END_TEST

START_TEST(test_word_dirty_is_a_bit_of_its_own)
{
	pgr_word w = pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 77) | 8;

	ck_assert(pgr_word_dirty(w));
	ck_assert_uint_eq(pgr_word_state(w), PGR_SLOT_IDLE);
	ck_assert_uint_eq(pgr_word_owner(w), PGR_OWNER_NONE);
	ck_assert_uint_eq(pgr_word_pin(w), PGR_PIN_NONE);
	ck_assert_uint_eq(pgr_word_generation(w), 77);
	ck_assert(pgr_word_leasable(w));
}
END_TEST

START_TEST(test_word_move_keeps_the_generation_and_clears_dirty)
{
	pgr_word w = pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 41) | 8;
	pgr_word moved = pgr_word_move(w, PGR_SLOT_CLOSING, 7, 9);

	ck_assert_uint_eq(moved, pgr_word_make(PGR_SLOT_CLOSING, 7, 9, 41));
}
END_TEST

START_TEST(test_word_next_raises_the_generation_and_its_wrap_spares_the_other_fields)
{
	pgr_word w = pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 41);

	ck_assert_uint_eq(
		pgr_word_next(w, PGR_SLOT_LEASED, 3, 0), pgr_word_make(PGR_SLOT_LEASED, 3, 0, 42));
	w = pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, GENERATION_MOST);
	ck_assert_uint_eq(
		pgr_word_next(w, PGR_SLOT_LEASED, 61, 255), pgr_word_make(PGR_SLOT_LEASED, 61, 255, 0));
}
END_TEST

START_TEST(test_word_is_leasable_only_when_idle_and_without_a_pin)
{
	for (unsigned state = 0; state < 8; state++)
		for EACH (p, bytes)
			for EACH (o, bytes)
				ck_assert_int_eq(pgr_word_leasable(pgr_word_make((enum pgr_slot_state)state,
							 bytes[o], bytes[p], GENERATION_MOST)),
					state == PGR_SLOT_IDLE && bytes[p] == PGR_PIN_NONE);
}
END_TEST

START_TEST(test_word_is_held_by_its_owner_in_that_state_whatever_the_pin)
{
	pgr_word w = pgr_word_make(PGR_SLOT_GIVEN, 5, PGR_PIN_POISON, 1);

	ck_assert(pgr_word_held_by(w, PGR_SLOT_GIVEN, 5));
	ck_assert(!pgr_word_held_by(w, PGR_SLOT_GIVEN, 4));
	ck_assert(!pgr_word_held_by(w, PGR_SLOT_LEASED, 5));
}
END_TEST

START_TEST(test_word_of_zeroed_memory_may_be_dialed)
{
	ck_assert_uint_eq(pgr_word_state(0), PGR_SLOT_FREE);
	ck_assert(!pgr_word_leasable(0));
}
END_TEST

UNIT_MAIN("word", test_word_fields_come_back_as_they_were_put_in,
	test_word_dirty_is_a_bit_of_its_own, test_word_move_keeps_the_generation_and_clears_dirty,
	test_word_next_raises_the_generation_and_its_wrap_spares_the_other_fields,
	test_word_is_leasable_only_when_idle_and_without_a_pin,
	test_word_is_held_by_its_owner_in_that_state_whatever_the_pin,
	test_word_of_zeroed_memory_may_be_dialed)
