/* base/arena.h: alignment, zeroes, limits. */
#include "unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

/* Does p hold n times c? (An assertion for each byte would take its time.) */
static bool
filled(const void *p, unsigned char c, size_t n)
{
	const unsigned char *byte = p;

	for (size_t i = 0; i < n; i++)
		if (byte[i] != c)
			return false;
	return true;
}

START_TEST(test_arena_alloc_is_aligned_and_zeroed)
{
	struct pgr_arena arena;

	pgr_arena_init(&arena, 0);
	for (size_t size = 1; size < 5000; size += 7) {
		char *p = pgr_arena_alloc(&arena, size);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		ck_assert(filled(p, 0, size));
		memset(p, 0xff, size); /* the next one must not see it */
	}
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_many_allocations_do_not_overlap)
{
	unsigned char *p[300];
	struct pgr_arena arena;

	pgr_arena_init(&arena, 0);
	for (unsigned i = 0; i < 300; i++) {
		p[i] = pgr_arena_alloc(&arena, i * 11 + 1);
		memset(p[i], (int)(i % 251), i * 11 + 1);
	}
	for (unsigned i = 0; i < 300; i++)
		ck_assert(filled(p[i], (unsigned char)(i % 251), i * 11 + 1));
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_past_its_limit_gives_null)
{
	struct pgr_arena arena;

	pgr_arena_init(&arena, 64);
	ck_assert_ptr_nonnull(pgr_arena_alloc(&arena, 33)); /* takes 48 */
	ck_assert_ptr_null(pgr_arena_alloc(&arena, 17));
	ck_assert_ptr_nonnull(pgr_arena_alloc(&arena, 16));
	ck_assert_ptr_null(pgr_arena_alloc(&arena, 1));
	ck_assert_uint_eq(arena.used, 64);
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_absurd_size_gives_null)
{
	struct pgr_arena arena;

	pgr_arena_init(&arena, 0);
	ck_assert_ptr_null(pgr_arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(pgr_arena_alloc(&arena, SIZE_MAX - 15));
	ck_assert_ptr_null(pgr_arena_alloc(&arena, ((size_t)1 << 30) + 1));
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_larger_than_a_block_works)
{
	struct pgr_arena arena;
	char *small, *big;

	pgr_arena_init(&arena, 0);
	small = pgr_arena_alloc(&arena, 10);
	big = pgr_arena_alloc(&arena, 1000000);
	ck_assert_ptr_nonnull(small);
	ck_assert_ptr_nonnull(big);
	memset(big, 1, 1000000);
	ck_assert_int_eq(small[0], 0);
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_strndup_copies_and_ends_the_text)
{
	struct pgr_arena arena;
	char *copy;

	pgr_arena_init(&arena, 0);
	copy = pgr_arena_strndup(&arena, "portal", 4);
	ck_assert_str_eq(copy, "port");
	copy = pgr_arena_strndup(&arena, "", 0);
	ck_assert_str_eq(copy, "");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_arena_fini_leaves_it_usable)
{
	struct pgr_arena arena;

	pgr_arena_init(&arena, 32);
	ck_assert_ptr_nonnull(pgr_arena_alloc(&arena, 32));
	pgr_arena_fini(&arena);
	ck_assert_uint_eq(arena.used, 0);
	ck_assert_ptr_nonnull(pgr_arena_alloc(&arena, 32));
	pgr_arena_fini(&arena);
}
END_TEST

UNIT_MAIN("arena", test_arena_alloc_is_aligned_and_zeroed, test_arena_many_allocations_do_not_overlap,
	test_arena_past_its_limit_gives_null, test_arena_absurd_size_gives_null,
	test_arena_larger_than_a_block_works, test_arena_strndup_copies_and_ends_the_text,
	test_arena_fini_leaves_it_usable)
