/* proto/wire.h: lengths that no peer may send, and what is written. */
#include "unit.h"

#include "proto/wire.h"

START_TEST(test_wire_size_refuses_impossible_lengths)
{
	ck_assert_uint_eq(pgr_wire_size("Q\0\0\0\0"), 0);
	ck_assert_uint_eq(pgr_wire_size("Q\0\0\0\3"), 0);
	ck_assert_uint_eq(pgr_wire_size("Q\0\0\0\4"), 5);
	ck_assert_uint_eq(pgr_wire_size("Q\x3f\xff\xff\xff"), 0x40000000);
	ck_assert_uint_eq(pgr_wire_size("Q\x40\0\0\0"), 0);
	ck_assert_uint_eq(pgr_wire_size("Q\x7f\xff\xff\xff"), 0);
	ck_assert_uint_eq(pgr_wire_size("Q\xff\xff\xff\xff"), 0);
}
END_TEST

START_TEST(test_wire_messages_are_well_formed)
{
	char buf[32];

	ck_assert_uint_eq(pgr_wire_bare(buf, PGR_MSG_SYNC), 5);
	ck_assert_mem_eq(buf, "S\0\0\0\4", 5);
	ck_assert_uint_eq(pgr_wire_ready(buf, 'T'), 6);
	ck_assert_mem_eq(buf, "Z\0\0\0\5T", 6);
	ck_assert_uint_eq(pgr_wire_query(buf, "BEGIN;", 5), 11);
	ck_assert_mem_eq(buf, "Q\0\0\0\x0a"
			      "BEGIN\0", 11);
}
END_TEST

START_TEST(test_wire_string_must_end_before_the_end)
{
	const char text[] = {'a', 'b', '\0', 'c'};

	ck_assert_int_eq(pgr_wire_string(text, text + 4), 2);
	ck_assert_int_eq(pgr_wire_string(text, text + 3), 2);
	ck_assert_int_eq(pgr_wire_string(text, text + 2), -1);
	ck_assert_int_eq(pgr_wire_string(text + 2, text + 4), 0);
	ck_assert_int_eq(pgr_wire_string(text + 3, text + 4), -1);
	ck_assert_int_eq(pgr_wire_string(text + 4, text + 4), -1);
}
END_TEST

UNIT_MAIN("wire", test_wire_size_refuses_impossible_lengths, test_wire_messages_are_well_formed,
	test_wire_string_must_end_before_the_end)
