/* shm/check.h: a quiet segment is clean, and each kind of damage is found and told. */
#include "unit.h"

#include <string.h>

#include "shm_util.h"

static struct pgr_shm shm;
static pgr_pool_id id;
static struct pgr_pool *pool;
static char text[4096];

/* Two workers, two pools: 3 places and a reserve of 2; 40 places. */
static void
begin(void)
{
	shm_make(&shm, 2);
	id = shm_pool(&shm, 3, 2);
	pool = pgr_shm_pool(&shm, id);
	(void)shm_pool(&shm, 40, 0);
	atomic_store(&shm.seg->hosts_used, 1);
	atomic_store(&pgr_shm_proc(&shm, 1)->records_used, 5);
}

static size_t
check(void)
{
	return pgr_check_segment(&shm, text, sizeof(text));
}

static void
assert_found(size_t count, const char *part)
{
	ck_assert_msg(check() == count && strstr(text, part) != NULL, "wanted %zu with \"%s\", found:\n%s",
		count, part, text);
}

START_TEST(test_check_quiet_segment_is_clean)
{
	begin();
	ck_assert_msg(check() == 0, "%s", text);
	ck_assert_str_eq(text, "");
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 9));
	ck_assert_msg(check() == 0, "%s", text);
}
END_TEST

START_TEST(test_check_places_in_use_are_found)
{
	static const enum pgr_slot_state busy[] = {PGR_SLOT_DIALING, PGR_SLOT_GIVEN, PGR_SLOT_LEASED,
		PGR_SLOT_CLOSING, PGR_SLOT_ASKED};

	for (size_t i = 0; i < PGR_COUNT_OF(busy); i++) {
		begin();
		shm_set_word(&shm, id, 2, pgr_word_make(busy[i], PGR_OWNER_NONE, PGR_PIN_NONE, 9));
		assert_found(1, "pool 0 place 2: state");
	}
}
END_TEST

START_TEST(test_check_closing_waits_for_its_server)
{
	pgr_slot_id slot;

	begin();
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_CLOSING, PGR_OWNER_NONE, PGR_PIN_NONE, 9));
	atomic_store(&pgr_pool_slot(&shm, pool, 2, &slot)->deposited, 1);
	ck_assert_msg(check() == 0, "%s", text);
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_CLOSING, 1, PGR_PIN_NONE, 9));
	assert_found(1, "owned by process 1");
}
END_TEST

START_TEST(test_check_owners_and_pins_are_found)
{
	begin();
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_IDLE, 1, PGR_PIN_NONE, 9));
	assert_found(1, "owned by process 1, which is alive");
	atomic_store(&pgr_shm_proc(&shm, 1)->life, PGR_LIFE_DEAD);
	assert_found(2, "owned by process 1, which is not alive");
	assert_found(2, "worker 1: dead and not swept");
	atomic_store(&pgr_shm_proc(&shm, 1)->life, PGR_LIFE_SWEPT);
	assert_found(1, "owned by process 1, which is not alive");
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, 2, 9));
	assert_found(1, "pin 2");
}
END_TEST

START_TEST(test_check_limits_are_checked)
{
	begin();
	for (uint32_t p = 0; p < 5; p++)
		shm_set_word(&shm, id, p, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 9));
	ck_assert_msg(check() == 0, "%s", text);
	shm_set_word(&shm, id, 5, pgr_word_make(PGR_SLOT_IDLE, PGR_OWNER_NONE, PGR_PIN_NONE, 9));
	assert_found(2, "beyond the 5 places");
	assert_found(2, "6 connections, the limit is 5");
	begin();
	atomic_store(&pool->places, PGR_PLACES_MAX + 1);
	assert_found(1, "1025 places");
}
END_TEST

START_TEST(test_check_chunks_are_used_once_and_say_so)
{
	struct pgr_pool *other;

	begin();
	other = pgr_shm_pool(&shm, (pgr_pool_id){1});
	atomic_store(&other->chunk[1], atomic_load(&pool->chunk[0]));
	(void)check();
	assert_found(1 + PGR_CHUNK_SLOTS, "chunk 0 is used twice");
	assert_found(1 + PGR_CHUNK_SLOTS, "pool 1 place 16: slot 0 says pool 0 place 0");
	atomic_store(&other->chunk[1], PGR_CHUNKS_MAX);
	assert_found(1, "there is no chunk 16384");
}
END_TEST

START_TEST(test_check_waiters_are_found_of_the_living_only)
{
	begin();
	atomic_store(&pool->want[1], PGR_WANT_MAKE(2, 1, 7));
	atomic_store(&pool->mask, 2);
	assert_found(1, "worker 1 has 2 waiters, 1 dials");
	atomic_store(&pool->mask, 0);
	assert_found(2, "mask bit unset, but wants 2");
	atomic_store(&pool->want[1], 0);
	atomic_store(&pool->mask, 2);
	assert_found(1, "mask bit set, but wants 0");
	atomic_store(&pgr_shm_proc(&shm, 1)->life, PGR_LIFE_SWEPT);
	ck_assert_msg(check() == 0, "%s", text);
	atomic_store(&pool->mask, 4);
	assert_found(1, "workers that do not exist");
}
END_TEST

/* One that was killed leaves its books to its successor; one that left by itself has closed them. */
START_TEST(test_check_books_of_those_that_left_are_checked_but_for_their_mail)
{
	struct pgr_proc *proc;

	begin();
	proc = pgr_shm_proc(&shm, 1);
	atomic_store(&proc->life, PGR_LIFE_SWEPT);
	atomic_store(&pool->mail[1], UINT64_MAX);
	atomic_store(&pool->clients[1], 1);
	atomic_store(&proc->clients, 1);
	ck_assert_msg(check() == 0, "%s", text);
	atomic_store(&proc->drained, 1);
	assert_found(2, "pool 0: worker 1 counts 1 clients");
	assert_found(2, "worker 1: counts 1 clients");
}
END_TEST

static size_t
check_swept(uint64_t dead)
{
	return pgr_check_swept(&shm, dead, text, sizeof(text));
}

START_TEST(test_check_swept_finds_what_belongs_to_the_dead_alone)
{
	begin();
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_LEASED, 1, PGR_PIN_NONE, 9));
	shm_set_word(&shm, id, 1, pgr_word_make(PGR_SLOT_LEASED, 0, 2, 9));
	shm_set_word(&shm, id, 2, pgr_word_make(PGR_SLOT_GIVEN, 1, PGR_PIN_NONE, 9));
	shm_set_word(&shm, id, 3, pgr_word_make(PGR_SLOT_LEASED, 0, PGR_PIN_POISON, 9));
	atomic_store(&shm.seg->host[0].login[9], 2);
	ck_assert_uint_eq(check_swept(UINT64_C(1) << PGR_PROC_MONITOR), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(check_swept(2), 3);
	ck_assert_str_eq(text, "pool 0 place 0: state 4 of process 1, which is dead and swept\n"
		"pool 0 place 1: pin 2 of a process that is dead and swept\n"
		"host 0: login token 9 of process 1, which is dead and swept\n");
	shm_set_word(&shm, id, 0, pgr_word_make(PGR_SLOT_DIALING, 1, PGR_PIN_NONE, 9));
	ck_assert_uint_eq(check_swept(2), 3);
}
END_TEST

START_TEST(test_check_mail_clients_records_asks_and_tokens_are_found)
{
	begin();
	atomic_store(&pool->mail[0], 1);
	assert_found(1, "unread mail");
	atomic_store(&pool->clients[1], 1);
	assert_found(2, "worker 1 counts 1 clients");
	atomic_store(&pgr_shm_proc(&shm, 0)->clients, 1);
	assert_found(3, "worker 0: counts 1 clients");
	atomic_store(&pgr_shm_client(&shm, (pgr_client_id){PGR_CLIENTS_MAX / 2 + 4})->state,
		PGR_CLIENT_IDLE);
	assert_found(4, "client record 524292 is in state 2");
	atomic_store(&pgr_shm_proc(&shm, 0)->asks[3].state, PGR_ASK_POSTED);
	assert_found(5, "request 3 for a pool");
	atomic_store(&shm.seg->host[0].login[9], 2);
	assert_found(6, "login token 9 is held by process 1");
}
END_TEST

START_TEST(test_check_connection_left_in_the_vault_is_found)
{
	pgr_slot_id slot;

	begin();
	atomic_store(&pgr_pool_slot(&shm, pool, 1, &slot)->deposited, 1);
	assert_found(1, "pool 0 place 1: no connection, but one in the vault");
}
END_TEST

START_TEST(test_check_text_is_cut_to_its_room)
{
	char small[20];

	begin();
	atomic_store(&pool->mail[0], 1);
	atomic_store(&pool->mail[1], 1);
	ck_assert_uint_eq(pgr_check_segment(&shm, small, sizeof(small)), 2);
	ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
	ck_assert_uint_eq(pgr_check_segment(&shm, small, 1), 2);
	ck_assert_str_eq(small, "");
}
END_TEST

START_TEST(test_check_damaged_counts_are_described_not_followed)
{
	begin();
	atomic_store(&shm.seg->pools_used, UINT32_MAX);
	atomic_store(&shm.seg->hosts_used, UINT32_MAX);
	atomic_store(&pgr_shm_proc(&shm, 0)->records_used, UINT32_MAX);
	shm.seg->magic = 1;
	assert_found(4, "not a segment");
}
END_TEST

UNIT_MAIN("check", test_check_quiet_segment_is_clean, test_check_places_in_use_are_found,
	test_check_closing_waits_for_its_server, test_check_owners_and_pins_are_found, test_check_limits_are_checked,
	test_check_chunks_are_used_once_and_say_so,
	test_check_waiters_are_found_of_the_living_only,
	test_check_books_of_those_that_left_are_checked_but_for_their_mail,
	test_check_swept_finds_what_belongs_to_the_dead_alone,
	test_check_mail_clients_records_asks_and_tokens_are_found,
	test_check_connection_left_in_the_vault_is_found, test_check_text_is_cut_to_its_room,
	test_check_damaged_counts_are_described_not_followed)
