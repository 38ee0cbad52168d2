/*
 * shm/pool.h: the protocol step by step, one thread playing all workers. What happens when the steps
 * of several run into each other is for tests/thread; why they suffice, for tests/model.
 */
#include "unit.h"

#include <string.h>

#include "shm_util.h"

#define SIZE 3

static struct pgr_shm shm;
static pgr_pool_id id;
static struct pgr_pool *pool;
static struct pgr_pool_view view[3];
static pgr_slot_id slot;

/* Three workers, one pool of SIZE places. */
static void
begin(void)
{
	shm_make(&shm, 3);
	id = shm_pool(&shm, SIZE, 0);
	pool = pgr_shm_pool(&shm, id);
	for (uint32_t k = 0; k < 3; k++)
		pgr_pool_view_init(&view[k], &shm, id, k);
}

/* The first `count` places get idle connections. */
static void
begin_idle(uint32_t count)
{
	begin();
	for (uint32_t p = 0; p < count; p++)
		shm_set_word(
			&shm, id, p, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10));
}

static void
assert_word(uint32_t place, enum pgr_slot_state state, unsigned owner, unsigned pin,
	uint64_t generation)
{
	ck_assert_uint_eq(shm_word(&shm, id, place), pgr_word_make(state, owner, pin, generation));
}

/* k's clients wait: so many, with this ticket the oldest. */
static void
waits(uint32_t k, uint32_t count, uint64_t ticket)
{
	pgr_pool_publish(&view[k], count, view[k].dials, ticket);
}

static enum pgr_catch
match(uint32_t k)
{
	uint32_t cursor = 0;

	return pgr_pool_match(&view[k], 0, &cursor, &slot);
}

static enum pgr_catch
take_mail(uint32_t k)
{
	uint32_t cursor = 0;
	uint64_t bits = 0;

	return pgr_pool_take_mail(&view[k], &bits, &cursor, &slot);
}

/* k leases a place; which one is in `slot`. */
static void
lease(uint32_t k)
{
	ck_assert(pgr_pool_lease(&view[k], 0, &slot));
}

START_TEST(test_pool_lease_takes_an_idle_one_for_a_new_generation)
{
	begin_idle(SIZE);
	lease(1);
	ck_assert_uint_eq(slot.n, 1); /* workers begin at different places */
	assert_word(1, PGR_SLOT_LEASED, 1, PGR_PIN_NONE, 11);
	ck_assert(!view[1].dirty);
}
END_TEST

START_TEST(test_pool_lease_tells_that_there_are_unread_bytes)
{
	begin_idle(0);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10) | 8);
	lease(0);
	ck_assert(view[0].dirty);
	assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 11);
}
END_TEST

START_TEST(test_pool_lease_prefers_the_place_used_last)
{
	begin_idle(SIZE);
	lease(0);
	lease(0);
	lease(0);
	ck_assert(!pgr_pool_lease(&view[0], 0, &slot));
	(void)pgr_pool_return(&view[0], (pgr_slot_id){0}, false);
	(void)pgr_pool_return(&view[0], (pgr_slot_id){2}, false);
	lease(0);
	ck_assert_uint_eq(slot.n, 2);
	lease(0);
	ck_assert_uint_eq(slot.n, 0);
}
END_TEST

START_TEST(test_pool_lease_refuses_what_is_not_leasable)
{
	for (int state = PGR_SLOT_FREE; state <= PGR_SLOT_BARRED; state++) {
		begin();
		for (uint32_t p = 0; p < SIZE; p++)
			shm_set_word(&shm, id, p, pgr_word_make((enum pgr_slot_state)state, 2,
				state == PGR_SLOT_IDLE ? 3 : PGR_PIN_NONE, 10));
		ck_assert(!pgr_pool_lease(&view[0], 0, &slot));
	}
}
END_TEST

START_TEST(test_pool_lease_lets_waiters_go_first)
{
	begin_idle(SIZE);
	waits(1, 1, 5);
	ck_assert(!pgr_pool_lease(&view[0], 0, &slot));
	waits(1, 0, 0);
	lease(0);
}
END_TEST

START_TEST(test_pool_publish_keeps_want_and_mask_together)
{
	begin();
	pgr_pool_publish(&view[2], 4, 3, 77);
	ck_assert_uint_eq(atomic_load(&pool->mask), 4);
	ck_assert_uint_eq(pgr_want_count(atomic_load(&pool->want[2])), 4);
	ck_assert_uint_eq(pgr_want_dials(atomic_load(&pool->want[2])), 3);
	ck_assert_uint_eq(pgr_want_ticket(atomic_load(&pool->want[2])), 77);
	pgr_pool_publish(&view[2], 0, 3, 77);
	ck_assert_uint_eq(atomic_load(&pool->mask), 0);
	ck_assert_uint_eq(atomic_load(&pool->want[2]), 0);
}
END_TEST

START_TEST(test_pool_publish_of_more_than_fits_is_cut_and_does_not_touch_its_neighbours)
{
	begin();
	pgr_pool_publish(&view[0], 100000, 300, UINT64_MAX);
	ck_assert_uint_eq(pgr_want_count(atomic_load(&pool->want[0])), 0xffff);
	ck_assert_uint_eq(pgr_want_dials(atomic_load(&pool->want[0])), 255);
	ck_assert_uint_eq(pgr_want_ticket(atomic_load(&pool->want[0])), PGR_TICKET_MASK);
}
END_TEST

START_TEST(test_pool_tickets_rise)
{
	begin();
	ck_assert_uint_eq(pgr_pool_ticket(&view[0]), 0);
	ck_assert_uint_eq(pgr_pool_ticket(&view[1]), 1);
	atomic_store(&pool->ticket, PGR_TICKET_MASK);
	ck_assert_uint_eq(pgr_pool_ticket(&view[0]), PGR_TICKET_MASK);
	ck_assert_uint_eq(pgr_pool_ticket(&view[0]), 0);
}
END_TEST

START_TEST(test_pool_match_without_waiters_gives_nothing)
{
	begin_idle(1);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10);
}
END_TEST

START_TEST(test_pool_match_catches_an_idle_one_for_the_own_waiter)
{
	begin_idle(1);
	waits(0, 1, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_LEASED);
	ck_assert_uint_eq(slot.n, 0);
	assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 11);
}
END_TEST

START_TEST(test_pool_match_catches_a_free_one_for_a_dial)
{
	begin();
	waits(0, 1, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_DIAL);
	assert_word(0, PGR_SLOT_DIALING, 0, PGR_PIN_NONE, 1);
	pgr_pool_publish(&view[0], 1, 1, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE); /* one dial for one waiter */
	assert_word(1, PGR_SLOT_FREE, PGR_OWNER_NONE, PGR_PIN_NONE, 0);
}
END_TEST

START_TEST(test_pool_match_does_not_dial_before_the_time_to_retry)
{
	uint32_t cursor = 0;

	begin();
	waits(0, 1, 0);
	atomic_store(&pool->retry_at, 100);
	ck_assert_int_eq(pgr_pool_match(&view[0], 99, &cursor, &slot), PGR_CATCH_NONE);
	cursor = 0;
	ck_assert_int_eq(pgr_pool_match(&view[0], 100, &cursor, &slot), PGR_CATCH_DIAL);
}
END_TEST

START_TEST(test_pool_match_never_touches_a_barred_place)
{
	begin();
	for (uint32_t p = 0; p < SIZE; p++)
		shm_set_word(&shm, id, p, pgr_word_make(PGR_SLOT_BARRED, PGR_OWNER_NONE, 0, 0));
	waits(0, 1, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
}
END_TEST

START_TEST(test_pool_match_gives_to_the_lowest_ticket_and_pokes_it)
{
	begin_idle(1);
	atomic_store(&pool->places, 1);
	waits(0, 1, 9);
	waits(1, 1, 7);
	waits(2, 1, 8);
	(void)match(0);
	assert_word(0, PGR_SLOT_GIVEN, 1, PGR_PIN_NONE, 11);
	ck_assert_uint_eq(atomic_load(&pool->mail[1]), 1);
	ck_assert_uint_eq(shm_pokes(&shm, 1), 1);
	ck_assert_uint_eq(shm_pokes(&shm, 2), 0);
}
END_TEST

START_TEST(test_pool_match_compares_tickets_over_their_wrap)
{
	begin_idle(1);
	waits(0, 1, 2);
	waits(1, 1, PGR_TICKET_MASK - 2);
	(void)match(0);
	assert_word(0, PGR_SLOT_GIVEN, 1, PGR_PIN_NONE, 11);
}
END_TEST

START_TEST(test_pool_match_asks_the_oldest_to_dial)
{
	pgr_pool_id got;
	uint32_t cursor = 0;

	begin();
	waits(1, 1, 7);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	assert_word(0, PGR_SLOT_ASKED, 1, PGR_PIN_NONE, 1);
	assert_word(1, PGR_SLOT_FREE, PGR_OWNER_NONE, PGR_PIN_NONE, 0); /* supplied: one is enough */
	ck_assert(pgr_proc_next_mail(&shm, 1, &cursor, &got));
	ck_assert_uint_eq(got.n, id.n);
	ck_assert_int_eq(take_mail(1), PGR_CATCH_DIAL);
	assert_word(0, PGR_SLOT_DIALING, 1, PGR_PIN_NONE, 1);
}
END_TEST

START_TEST(test_pool_match_gives_each_no_more_than_it_wants)
{
	begin_idle(SIZE);
	waits(0, 1, 9);
	waits(1, 1, 7);
	ck_assert_int_eq(match(0), PGR_CATCH_LEASED);
	ck_assert_uint_eq(slot.n, 1);
	assert_word(0, PGR_SLOT_GIVEN, 1, PGR_PIN_NONE, 11);
	waits(0, 0, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	assert_word(2, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10);
}
END_TEST

START_TEST(test_pool_match_passes_over_the_dead)
{
	for (uint32_t life = PGR_LIFE_SWEPT; life <= PGR_LIFE_DEAD; life += 2) {
		begin_idle(1);
		waits(0, 1, 9);
		waits(1, 1, 7);
		atomic_store(&pgr_shm_proc(&shm, 1)->life, life);
		ck_assert_int_eq(match(0), PGR_CATCH_LEASED);
		assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 11);
	}
}
END_TEST

START_TEST(test_pool_match_passes_over_the_slow_until_they_read_a_poke)
{
	begin_idle(1);
	waits(0, 1, 9);
	waits(1, 1, 7);
	atomic_store(&pgr_shm_proc(&shm, 1)->slow, 1);
	ck_assert_int_eq(match(0), PGR_CATCH_LEASED);
	assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 11);
	waits(0, 0, 0);
	(void)pgr_pool_return(&view[0], slot, false);
	ck_assert_int_eq(match(1), PGR_CATCH_NONE); /* it must not take either before it is told */
	ck_assert(pgr_proc_poke_taken(&shm, 1));
	ck_assert(!pgr_proc_poke_taken(&shm, 1));
	ck_assert_int_eq(match(1), PGR_CATCH_LEASED);
}
END_TEST

START_TEST(test_pool_match_continues_behind_what_it_caught)
{
	uint32_t cursor = 0;

	begin_idle(SIZE);
	for (uint32_t n = 0; n < SIZE; n++) {
		waits(0, SIZE - n, n);
		ck_assert_int_eq(pgr_pool_match(&view[0], 0, &cursor, &slot), PGR_CATCH_LEASED);
		ck_assert_uint_eq(slot.n, n);
	}
	ck_assert_int_eq(pgr_pool_match(&view[0], 0, &cursor, &slot), PGR_CATCH_NONE);
}
END_TEST

START_TEST(test_pool_match_needed_again_when_a_place_became_free)
{
	begin();
	for (uint32_t p = 0; p < SIZE; p++)
		shm_set_word(&shm, id, p, pgr_word_make(PGR_SLOT_LEASED, 1, 0, 1));
	waits(0, 1, 0);
	ck_assert(pgr_pool_match_needed(&view[0]));
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	waits(0, 2, 0);
	ck_assert(!pgr_pool_match_needed(&view[0])); /* whoever returns one sees our want */
	atomic_fetch_add(&pool->freed, 1);
	ck_assert(pgr_pool_match_needed(&view[0]));
}
END_TEST

START_TEST(test_pool_match_needed_while_something_was_left_over)
{
	begin();
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 1, 0, 1));
	shm_set_word(&shm, id, 1, pgr_word_make(PGR_SLOT_LEASED, 1, 0, 1));
	pgr_pool_publish(&view[0], 1, 1, 0); /* place 2 is free, but the one waiter has its dial */
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	pgr_pool_publish(&view[0], 2, 1, 0);
	ck_assert(pgr_pool_match_needed(&view[0]));
	ck_assert_int_eq(match(0), PGR_CATCH_DIAL);
}
END_TEST

START_TEST(test_pool_mail_accepts_a_gift)
{
	begin_idle(1);
	waits(1, 1, 7);
	(void)match(0);
	ck_assert_int_eq(take_mail(1), PGR_CATCH_LEASED);
	ck_assert_uint_eq(slot.n, 0);
	assert_word(0, PGR_SLOT_LEASED, 1, PGR_PIN_NONE, 11);
	ck_assert_uint_eq(atomic_load(&pool->mail[1]), 0);
	ck_assert_int_eq(take_mail(1), PGR_CATCH_NONE);
}
END_TEST

START_TEST(test_pool_mail_carries_the_dirty_bit_to_its_lessee)
{
	begin();
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10) | 8);
	waits(1, 1, 7);
	(void)match(0);
	ck_assert_int_eq(take_mail(1), PGR_CATCH_LEASED);
	ck_assert(view[1].dirty);
}
END_TEST

START_TEST(test_pool_mail_is_a_hint_the_word_decides)
{
	begin_idle(1);
	shm_set_word(&shm, id, 1, pgr_word_make(PGR_SLOT_GIVEN, 2, PGR_PIN_NONE, 5));
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_ASKED, 2, PGR_PIN_NONE, 5));
	atomic_store(&pool->mail[1], UINT64_MAX);
	ck_assert_int_eq(take_mail(1), PGR_CATCH_NONE);
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10);
	assert_word(1, PGR_SLOT_GIVEN, 2, PGR_PIN_NONE, 5);
	assert_word(2, PGR_SLOT_ASKED, 2, PGR_PIN_NONE, 5);
}
END_TEST

START_TEST(test_pool_mail_bit_stands_for_all_its_places)
{
	uint32_t cursor = 0;
	uint64_t bits = 0;

	shm_make(&shm, 3);
	id = shm_pool(&shm, 150, 0);
	pool = pgr_shm_pool(&shm, id);
	pgr_pool_view_init(&view[1], &shm, id, 1);
	for (uint32_t p = 3; p < 150; p += 64)
		shm_set_word(&shm, id, p, pgr_word_make(PGR_SLOT_GIVEN, 1, PGR_PIN_NONE, 5));
	atomic_store(&pool->mail[1], UINT64_C(1) << 3);
	for (uint32_t p = 3; p < 150; p += 64) {
		ck_assert_int_eq(pgr_pool_take_mail(&view[1], &bits, &cursor, &slot), PGR_CATCH_LEASED);
		ck_assert_uint_eq(slot.n, p);
	}
	ck_assert_int_eq(pgr_pool_take_mail(&view[1], &bits, &cursor, &slot), PGR_CATCH_NONE);
}
END_TEST

START_TEST(test_pool_lease_asks_for_the_startup_parameters)
{
	begin_idle(2);
	atomic_store(&pgr_shm_slot(&shm, (pgr_slot_id){1})->startup, 7);
	ck_assert(!pgr_pool_lease(&view[0], 8, &slot));
	ck_assert(pgr_pool_lease(&view[0], 7, &slot));
	ck_assert_uint_eq(slot.n, 1);
	ck_assert(!pgr_pool_lease(&view[0], 7, &slot));
	ck_assert(pgr_pool_lease(&view[0], 0, &slot));
	ck_assert_uint_eq(slot.n, 0);
}
END_TEST

START_TEST(test_pool_renew_keeps_the_place_but_not_under_a_cancel)
{
	begin_idle(1);
	lease(0);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, 3, 11));
	ck_assert(!pgr_pool_renew(&view[0], slot));
	assert_word(0, PGR_SLOT_LEASED, 0, 3, 11);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 11));
	ck_assert(pgr_pool_renew(&view[0], slot));
	assert_word(0, PGR_SLOT_DIALING, 0, PGR_PIN_NONE, 12);
	pgr_pool_renewed(&view[0], slot);
	assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 13);
}
END_TEST

START_TEST(test_pool_take_is_of_one_connection_and_not_of_a_later_one_in_its_place)
{
	begin_idle(1);
	(void)pgr_pool_slot(&shm, pool, 0, &slot);
	atomic_store(&pgr_shm_slot(&shm, slot)->conn, 8);
	ck_assert(!pgr_pool_take(&view[1], slot, 7));
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 10);
	ck_assert(pgr_pool_take(&view[1], slot, 8));
	assert_word(0, PGR_SLOT_LEASED, 1, PGR_PIN_NONE, 11);
	ck_assert(!pgr_pool_take(&view[0], slot, 8));
}
END_TEST

START_TEST(test_pool_return_makes_it_idle)
{
	begin_idle(1);
	lease(0);
	ck_assert_int_eq(pgr_pool_return(&view[0], slot, false), PGR_RETURN_IDLE);
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 11);
	ck_assert_uint_eq(shm_pokes(&shm, PGR_PROC_MONITOR), 0);
}
END_TEST

START_TEST(test_pool_return_to_be_closed_tells_the_monitor)
{
	pgr_pool_id got;
	uint32_t cursor = 0;

	begin_idle(1);
	lease(0);
	ck_assert_int_eq(pgr_pool_return(&view[0], slot, true), PGR_RETURN_CLOSING);
	assert_word(0, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE, 11);
	ck_assert_uint_eq(shm_pokes(&shm, PGR_PROC_MONITOR), 1);
	ck_assert(pgr_proc_next_mail(&shm, PGR_PROC_MONITOR, &cursor, &got));
	ck_assert_uint_eq(got.n, id.n);
}
END_TEST

START_TEST(test_pool_return_keeps_the_pin_and_nobody_gets_it)
{
	begin_idle(1);
	lease(0);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, 3, 11));
	waits(1, 1, 0);
	ck_assert_int_eq(pgr_pool_return(&view[0], slot, false), PGR_RETURN_IDLE);
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, 3, 11);
	shm_set_word(&shm, id, 1, pgr_word_make(PGR_SLOT_BARRED, PGR_OWNER_NONE, 0, 0));
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_BARRED, PGR_OWNER_NONE, 0, 0));
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	assert_word(0, PGR_SLOT_IDLE, PGR_OWNER_NONE, 3, 11);
}
END_TEST

START_TEST(test_pool_return_of_a_poisoned_one_closes_it)
{
	begin_idle(1);
	lease(0);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, PGR_PIN_POISON, 11));
	ck_assert_int_eq(pgr_pool_return(&view[0], slot, false), PGR_RETURN_CLOSING);
	assert_word(0, PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE, 11);
}
END_TEST

START_TEST(test_pool_transfer_is_a_new_lease)
{
	begin_idle(1);
	lease(0);
	waits(0, 1, 0);
	ck_assert(pgr_pool_transfer(&view[0], slot));
	assert_word(0, PGR_SLOT_LEASED, 0, PGR_PIN_NONE, 12);
}
END_TEST

START_TEST(test_pool_transfer_refused_without_waiters_or_with_a_cancel_under_way)
{
	begin_idle(1);
	lease(0);
	ck_assert(!pgr_pool_transfer(&view[0], slot));
	waits(0, 1, 0);
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, 3, 11));
	ck_assert(!pgr_pool_transfer(&view[0], slot));
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 0, PGR_PIN_POISON, 11));
	ck_assert(!pgr_pool_transfer(&view[0], slot));
}
END_TEST

START_TEST(test_pool_transfer_overtakes_by_the_pool_size_and_no_more)
{
	begin_idle(1);
	lease(0);
	waits(1, 1, 100);
	waits(0, 1, 100 + SIZE);
	ck_assert(pgr_pool_transfer(&view[0], slot));
	waits(0, 1, 101 + SIZE);
	ck_assert(!pgr_pool_transfer(&view[0], slot));
	waits(1, 3, 100);
	atomic_store(&pool->mail[1], 1); /* it has not taken what it was given */
	ck_assert(pgr_pool_transfer(&view[0], slot));
	atomic_store(&pool->mail[1], 0);
	ck_assert(!pgr_pool_transfer(&view[0], slot));
	waits(1, 1, PGR_TICKET_MASK - 1);
	waits(0, 1, SIZE - 2);
	ck_assert(pgr_pool_transfer(&view[0], slot));
	waits(0, 1, SIZE - 1);
	ck_assert(!pgr_pool_transfer(&view[0], slot));
	atomic_store(&pgr_shm_proc(&shm, 1)->life, PGR_LIFE_DEAD);
	ck_assert(pgr_pool_transfer(&view[0], slot));
}
END_TEST

START_TEST(test_pool_wanted_says_whether_anybody_waits)
{
	begin();
	ck_assert(!pgr_pool_wanted(&view[0]));
	waits(2, 1, 0);
	ck_assert(pgr_pool_wanted(&view[0]));
}
END_TEST

START_TEST(test_pool_slot_of_damaged_memory_stays_inside_the_segment)
{
	begin();
	atomic_store(&pool->chunk[0], UINT32_MAX);
	(void)pgr_pool_slot(&shm, pool, UINT32_MAX, &slot);
	ck_assert_uint_lt(slot.n, PGR_SLOTS_MAX);
	atomic_store(&pool->places, UINT32_MAX);
	waits(0, 1, 0);
	(void)match(0);
}
END_TEST

/* A connection whose login reported this digest, at that time. */
static void
reported(struct pgr_slot *to, uint64_t digest, uint64_t at, bool changed)
{
	atomic_store(&to->report, digest);
	ck_assert(pgr_pool_reported(pool, digest, at) == changed);
}

#define SECOND UINT64_C(1000000)

START_TEST(test_pool_outlived_are_connections_to_another_server_than_the_newest)
{
	struct pgr_slot slots[3] = {0};

	begin();
	reported(&slots[0], 7, SECOND, false);
	reported(&slots[1], 7, 2 * SECOND, false);
	ck_assert(!pgr_pool_outlived(pool, &slots[0], 3 * SECOND));
	reported(&slots[2], 9, 3 * SECOND, true);
	ck_assert(pgr_pool_outlived(pool, &slots[0], 3 * SECOND));
	ck_assert(pgr_pool_outlived(pool, &slots[1], 3 * SECOND));
	ck_assert(!pgr_pool_outlived(pool, &slots[2], 3 * SECOND));
}
END_TEST

START_TEST(test_pool_outlived_rests_a_minute_between_changes)
{
	struct pgr_slot slots[4] = {0};

	begin();
	reported(&slots[0], 7, 1000 * SECOND, false);
	reported(&slots[1], 9, 1001 * SECOND, true);
	reported(&slots[2], 7, 1002 * SECOND, true);
	ck_assert(!pgr_pool_outlived(pool, &slots[1], 1060 * SECOND));
	ck_assert(pgr_pool_outlived(pool, &slots[1], 1061 * SECOND));
	ck_assert(!pgr_pool_outlived(pool, &slots[0], 1061 * SECOND));
	reported(&slots[3], 9, 2000 * SECOND, true);
	ck_assert(pgr_pool_outlived(pool, &slots[2], 2000 * SECOND));
}
END_TEST

START_TEST(test_pool_paused_gives_nothing_and_keeps_what_was_leased)
{
	pgr_slot_id leased;

	begin_idle(2);
	ck_assert(pgr_pool_lease(&view[0], 0, &leased));
	atomic_store(&pool->paused, 1);
	ck_assert(!pgr_pool_lease(&view[0], 0, &slot)); /* it had it, looked, and gave it back */
	assert_word(1, PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 11);
	waits(0, 1, 1);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE);
	waits(1, 1, 2);
	ck_assert_int_eq(match(0), PGR_CATCH_NONE); /* nor is anything given to others */
	ck_assert(!pgr_pool_transfer(&view[0], leased));
	ck_assert_int_eq(pgr_pool_return(&view[0], leased, false), PGR_RETURN_IDLE);
	ck_assert(pgr_pool_match_needed(&view[0]));
	atomic_store(&pool->paused, 0);
	ck_assert_int_eq(match(0), PGR_CATCH_LEASED);
}
END_TEST

UNIT_MAIN("pool", test_pool_paused_gives_nothing_and_keeps_what_was_leased, test_pool_lease_takes_an_idle_one_for_a_new_generation,
	test_pool_lease_tells_that_there_are_unread_bytes,
	test_pool_lease_prefers_the_place_used_last, test_pool_lease_refuses_what_is_not_leasable,
	test_pool_lease_lets_waiters_go_first, test_pool_publish_keeps_want_and_mask_together,
	test_pool_publish_of_more_than_fits_is_cut_and_does_not_touch_its_neighbours,
	test_pool_tickets_rise, test_pool_match_without_waiters_gives_nothing,
	test_pool_match_catches_an_idle_one_for_the_own_waiter,
	test_pool_match_catches_a_free_one_for_a_dial,
	test_pool_match_does_not_dial_before_the_time_to_retry,
	test_pool_match_never_touches_a_barred_place,
	test_pool_match_gives_to_the_lowest_ticket_and_pokes_it,
	test_pool_match_compares_tickets_over_their_wrap, test_pool_match_asks_the_oldest_to_dial,
	test_pool_match_gives_each_no_more_than_it_wants, test_pool_match_passes_over_the_dead,
	test_pool_match_passes_over_the_slow_until_they_read_a_poke,
	test_pool_match_continues_behind_what_it_caught,
	test_pool_match_needed_again_when_a_place_became_free,
	test_pool_match_needed_while_something_was_left_over, test_pool_mail_accepts_a_gift,
	test_pool_mail_carries_the_dirty_bit_to_its_lessee,
	test_pool_mail_is_a_hint_the_word_decides, test_pool_mail_bit_stands_for_all_its_places,
	test_pool_lease_asks_for_the_startup_parameters,
	test_pool_renew_keeps_the_place_but_not_under_a_cancel,
	test_pool_take_is_of_one_connection_and_not_of_a_later_one_in_its_place,
	test_pool_return_makes_it_idle, test_pool_return_to_be_closed_tells_the_monitor,
	test_pool_return_keeps_the_pin_and_nobody_gets_it,
	test_pool_return_of_a_poisoned_one_closes_it, test_pool_transfer_is_a_new_lease,
	test_pool_transfer_refused_without_waiters_or_with_a_cancel_under_way,
	test_pool_transfer_overtakes_by_the_pool_size_and_no_more,
	test_pool_wanted_says_whether_anybody_waits,
	test_pool_outlived_are_connections_to_another_server_than_the_newest,
	test_pool_outlived_rests_a_minute_between_changes,
	test_pool_slot_of_damaged_memory_stays_inside_the_segment)
