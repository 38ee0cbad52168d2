/* proto/out.h: what does not fit is not written, and is not forgotten. */
#include "unit.h"

#include "proto/out.h"

START_TEST(test_out_message_gets_its_length)
{
	char buf[32];
	struct pgr_out out;
	size_t at;

	pgr_out_init(&out, buf, sizeof(buf));
	pgr_out_byte(&out, '!');
	at = pgr_out_begin(&out, 'X');
	pgr_out_int32(&out, 7);
	pgr_out_string(&out, "ab");
	pgr_out_text(&out, "cd");
	pgr_out_end(&out, at);
	ck_assert(!out.full);
	ck_assert_uint_eq(out.len, 15);
	ck_assert_mem_eq(buf, "!X\0\0\0\x0d\0\0\0\x07"
			      "ab\0cd", 15);
}
END_TEST

START_TEST(test_out_exactly_full_is_not_overfull)
{
	char buf[4];
	struct pgr_out out;

	pgr_out_init(&out, buf, sizeof(buf));
	pgr_out_string(&out, "abc");
	ck_assert(!out.full);
	pgr_out_bytes(&out, "", 0);
	ck_assert(!out.full);
	pgr_out_byte(&out, 'd');
	ck_assert(out.full);
}
END_TEST

START_TEST(test_out_nothing_is_written_behind_what_did_not_fit)
{
	char buf[8] = "zzzzzzz";
	struct pgr_out out;

	pgr_out_init(&out, buf, 5);
	pgr_out_text(&out, "abc");
	pgr_out_text(&out, "def");
	pgr_out_byte(&out, 'g'); /* would fit, but the message has a hole already */
	pgr_out_end(&out, 0);
	ck_assert(out.full);
	ck_assert_uint_eq(out.len, 3);
	ck_assert_mem_eq(buf, "abczzzz", 8);
}
END_TEST

UNIT_MAIN("out", test_out_message_gets_its_length, test_out_exactly_full_is_not_overfull,
	test_out_nothing_is_written_behind_what_did_not_fit)
