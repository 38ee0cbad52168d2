/* base/random.h: bytes that come once, to one process. */
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"

/* More than one batch, and none in step with it. */
#define DRAWS 1000

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t) * 2);
}

START_TEST(test_random_never_gives_the_same_twice)
{
	static uint64_t drawn[DRAWS][2];

	for (int i = 0; i < DRAWS; i++) {
		uint8_t between[7];

		pgr_random_bytes(drawn[i], sizeof(drawn[i]));
		pgr_random_bytes(between, sizeof(between));
	}
	qsort(drawn, DRAWS, sizeof(drawn[0]), compare);
	for (int i = 1; i < DRAWS; i++)
		ck_assert_mem_ne(drawn[i - 1], drawn[i], sizeof(drawn[0]));
}
END_TEST

START_TEST(test_random_fills_the_whole_of_what_is_longer_than_a_batch)
{
	static uint8_t bytes[2000], ever[1000];

	/* a byte that nobody writes stays zero in all of forty draws */
	for (int n = 0; n < 40; n++) {
		memset(bytes, 0, sizeof(bytes));
		pgr_random_bytes(bytes, sizeof(ever));
		for (size_t i = 0; i < sizeof(ever); i++)
			ever[i] |= bytes[i];
	}
	for (size_t i = 0; i < sizeof(ever); i++)
		ck_assert_uint_ne(ever[i], 0);
	for (size_t i = sizeof(ever); i < sizeof(bytes); i++)
		ck_assert_uint_eq(bytes[i], 0);
}
END_TEST

START_TEST(test_random_of_nothing_writes_nothing)
{
	uint8_t byte = 42;

	pgr_random_bytes(&byte, 0);
	ck_assert_uint_eq(byte, 42);
}
END_TEST

/* Parent and children go on from the same memory, and a rest of a batch is in it. */
START_TEST(test_random_is_not_shared_by_a_fork)
{
	uint8_t(*drawn)[16] = mmap(NULL, sizeof(*drawn) * 3, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t first[16];

	pgr_random_bytes(first, sizeof(first));
	for (int i = 0; i < 2; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			pgr_random_bytes(drawn[i], sizeof(drawn[i]));
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	pgr_random_bytes(drawn[2], sizeof(drawn[2]));
	ck_assert_mem_ne(drawn[0], drawn[1], sizeof(*drawn));
	ck_assert_mem_ne(drawn[0], drawn[2], sizeof(*drawn));
	ck_assert_mem_ne(drawn[1], drawn[2], sizeof(*drawn));
}
END_TEST

UNIT_MAIN("random", test_random_never_gives_the_same_twice,
	test_random_fills_the_whole_of_what_is_longer_than_a_batch, test_random_of_nothing_writes_nothing,
	test_random_is_not_shared_by_a_fork)
