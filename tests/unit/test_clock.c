/* base/clock.h: the two clocks are the two of clock_gettime(2), in microseconds. */
#include "unit.h"

#include <stdint.h>
#include <time.h>

#include "base/clock.h"

static uint64_t
kernel_usec(clockid_t id)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(id, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

START_TEST(test_clock_now_is_the_monotonic_clock)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t before = kernel_usec(CLOCK_MONOTONIC);
		pgr_usec now = pgr_clock_now();
		uint64_t after = kernel_usec(CLOCK_MONOTONIC);

		ck_assert_uint_ge(now, before);
		ck_assert_uint_le(now, after);
	}
}
END_TEST

START_TEST(test_clock_text_is_for_people)
{
	char text[40];

	pgr_clock_text(UINT64_C(1795702449) * PGR_USEC_PER_SEC + 5, text, sizeof(text));
	ck_assert_str_eq(text, "2026-11-26 14:14:09 UTC");
	pgr_clock_text(0, text, sizeof(text));
	ck_assert_str_eq(text, "");
	pgr_clock_text(1, text, 8);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_clock_wall_counts_from_1970)
{
	time_t before = time(NULL);
	pgr_usec now = pgr_clock_wall();
	time_t after = time(NULL);

	/* time(2) may lag behind by a tick of the kernel */
	ck_assert_uint_ge(now / PGR_USEC_PER_SEC, (uint64_t)before);
	ck_assert_uint_le(now / PGR_USEC_PER_SEC, (uint64_t)after + 1);
}
END_TEST

START_TEST(test_clock_units_fit_each_other)
{
	ck_assert_uint_eq(PGR_USEC_PER_SEC, 1000 * PGR_USEC_PER_MSEC);
}
END_TEST

UNIT_MAIN("clock", test_clock_now_is_the_monotonic_clock, test_clock_wall_counts_from_1970,
	test_clock_text_is_for_people,
	test_clock_units_fit_each_other)
