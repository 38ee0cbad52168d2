/* base/bytes.h: network byte order at any alignment; ASCII. */
#include "unit.h"

#include "base/bytes.h"

START_TEST(test_bytes_put_is_big_endian_and_get_reads_it)
{
	unsigned char b[8] = {0};

	pgr_put16(b + 1, 0x1234);
	pgr_put32(b + 3, 0x89abcdef);
	ck_assert_mem_eq(b, "\x00\x12\x34\x89\xab\xcd\xef\x00", 8);
	ck_assert_uint_eq(pgr_get16(b + 1), 0x1234);
	ck_assert_uint_eq(pgr_get32(b + 3), 0x89abcdef);
}
END_TEST

START_TEST(test_bytes_is_ascii_up_to_the_length)
{
	ck_assert(pgr_is_ascii("", 0));
	ck_assert(pgr_is_ascii("\x00\x7f~", 3));
	ck_assert(!pgr_is_ascii("ab\x80", 3));
	ck_assert(pgr_is_ascii("ab\x80", 2));
	ck_assert(!pgr_is_ascii("\xff", 1));
}
END_TEST

UNIT_MAIN("bytes", test_bytes_put_is_big_endian_and_get_reads_it, test_bytes_is_ascii_up_to_the_length)
