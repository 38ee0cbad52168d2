/* config/block.h: growing, alignment, the limit. */
#include "unit.h"

#include <string.h>

#include "config/block.h"

START_TEST(test_config_block_keeps_what_was_added_while_it_grows)
{
	struct pgr_block block;
	uint32_t at[2000];

	pgr_block_init(&block, 24, 1 << 20);
	for (uint32_t i = 0; i < 2000; i++) {
		at[i] = pgr_block_add(&block, &i, sizeof(i));
		ck_assert_uint_gt(pgr_block_add_text(&block, "odd"), at[i]);
		ck_assert_uint_eq(at[i] % 8, 0);
	}
	for (uint32_t i = 0; i < 2000; i++)
		ck_assert_mem_eq(block.data + at[i], &i, sizeof(i));
	ck_assert_uint_ge(at[0], 24);
	ck_assert(!block.full);
	pgr_block_fini(&block);
}
END_TEST

START_TEST(test_config_block_past_its_limit_is_full_for_good)
{
	char data[80];
	struct pgr_block block;

	memset(data, 'x', sizeof(data));
	pgr_block_init(&block, 24, 104);
	ck_assert_uint_eq(pgr_block_add(&block, data, 80), 24);
	ck_assert(!block.full);
	ck_assert_uint_eq(pgr_block_add(&block, data, 1), 0);
	ck_assert(block.full);
	ck_assert_uint_eq(pgr_block_add_text(&block, ""), 0);
	ck_assert_uint_eq(block.len, 104);
	pgr_block_fini(&block);
}
END_TEST

START_TEST(test_config_block_texts_end)
{
	struct pgr_block block;
	uint32_t at;

	pgr_block_init(&block, 8, 1000);
	at = pgr_block_add_text(&block, "abc");
	ck_assert_str_eq(block.data + at, "abc");
	ck_assert_uint_eq(block.len, at + 4);
	pgr_block_fini(&block);
}
END_TEST

UNIT_MAIN("config_block", test_config_block_keeps_what_was_added_while_it_grows,
	test_config_block_past_its_limit_is_full_for_good, test_config_block_texts_end)
