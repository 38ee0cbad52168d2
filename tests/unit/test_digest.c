/* proto/digest.h against the published vectors: RFC 6234, 4231, 7914, 1321, 4648. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/digest.h"

static void
assert_hex(const uint8_t *sum, const char *hex)
{
	char text[2 * PGR_SHA256_LEN + 1];

	for (size_t i = 0; i < PGR_SHA256_LEN; i++)
		sprintf(text + 2 * i, "%02x", sum[i]);
	ck_assert_str_eq(text, hex);
}

START_TEST(test_digest_sha256_vectors_match)
{
	uint8_t sum[PGR_SHA256_LEN];

	pgr_digest_sha256("abc", 3, sum);
	assert_hex(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	pgr_digest_sha256("", 0, sum);
	assert_hex(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(test_digest_hmac_vectors_match)
{
	uint8_t sum[PGR_SHA256_LEN], key[131];

	memset(key, 0x0b, 20);
	pgr_digest_hmac(key, 20, "Hi There", 8, sum);
	assert_hex(sum, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	pgr_digest_hmac("Jefe", 4, "what do ya want for nothing?", 28, sum);
	assert_hex(sum, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 'k', 65); /* a byte longer than a block; by Python's hmac */
	pgr_digest_hmac(key, 65, "data", 4, sum);
	assert_hex(sum, "a79b53d0bf1cb4bb00c301979e6e60ef792a435cafabd76ab9e8989bbdef2dff");
	memset(key, 0xaa, sizeof(key));
	pgr_digest_hmac(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", 54,
		sum);
	assert_hex(sum, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

START_TEST(test_digest_pbkdf2_vectors_match)
{
	uint8_t sum[PGR_SHA256_LEN];

	pgr_digest_pbkdf2("passwd", 6, "salt", 4, 1, sum);
	assert_hex(sum, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	pgr_digest_pbkdf2("Password", 8, "NaCl", 4, 80000, sum);
	assert_hex(sum, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}
END_TEST

START_TEST(test_digest_md5_is_that_of_both_parts)
{
	char hex[PGR_MD5_HEX];

	pgr_digest_md5_hex("message", 7, " digest", 7, hex);
	ck_assert_str_eq(hex, "f96b697d7cb7938d525a2f31aaf161d0");
	pgr_digest_md5_hex("", 0, "", 0, hex);
	ck_assert_str_eq(hex, "d41d8cd98f00b204e9800998ecf8427e");
}
END_TEST

START_TEST(test_digest_equal_sees_each_bit)
{
	uint8_t a[32] = {0}, b[32] = {0};

	ck_assert(pgr_digest_equal(a, b, sizeof(a)));
	for (size_t bit = 0; bit < 256; bit++) {
		b[bit / 8] = (uint8_t)(1u << bit % 8);
		ck_assert(!pgr_digest_equal(a, b, sizeof(a)));
		b[bit / 8] = 0;
	}
}
END_TEST

START_TEST(test_digest_base64_vectors_match_both_ways)
{
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "+//+"}};
	char text[16];
	uint8_t raw[16];

	for (size_t i = 0; i < PGR_COUNT_OF(vectors); i++) {
		size_t len = strlen(vectors[i][0]);

		ck_assert_uint_eq(pgr_digest_base64(vectors[i][0], len, text), PGR_BASE64_LEN(len));
		ck_assert_str_eq(text, vectors[i][1]);
		ck_assert_int_eq(pgr_digest_unbase64(text, strlen(text), raw, sizeof(raw)), len);
		ck_assert_mem_eq(raw, vectors[i][0], len);
	}
}
END_TEST

START_TEST(test_digest_unbase64_is_strict)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "====", "=", "Z===", "Zg==Zg==",
		"Zm=v", "Zh==", "Zm9=", "Zm9 ", "Zm9\n", " Zm9v", "Zm9v\n", "Zm9-", "Zm9_", "Z\xc3\xa9="};
	uint8_t raw[16];

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++)
		ck_assert_msg(pgr_digest_unbase64(bad[i], strlen(bad[i]), raw, sizeof(raw)) == -1,
			"accepted: \"%s\"", bad[i]);
	ck_assert_int_eq(pgr_digest_unbase64("Zm\0v", 4, raw, sizeof(raw)), -1);
}
END_TEST

START_TEST(test_digest_unbase64_keeps_to_its_room)
{
	uint8_t *raw = malloc(3); /* on the heap, where the sanitizer sees a byte too much */

	ck_assert_int_eq(pgr_digest_unbase64("Zm9v", 4, raw, 3), 3);
	ck_assert_int_eq(pgr_digest_unbase64("Zm9vYg==", 8, raw, 3), -1);
	ck_assert_int_eq(pgr_digest_unbase64("Zm9v", 4, raw, 2), -1);
	ck_assert_int_eq(pgr_digest_unbase64("Zg==", 4, raw, 0), -1);
	ck_assert_int_eq(pgr_digest_unbase64("", 0, raw, 0), 0);
	free(raw);
}
END_TEST

UNIT_MAIN("digest", test_digest_sha256_vectors_match, test_digest_hmac_vectors_match,
	test_digest_pbkdf2_vectors_match, test_digest_md5_is_that_of_both_parts,
	test_digest_equal_sees_each_bit, test_digest_base64_vectors_match_both_ways,
	test_digest_unbase64_is_strict, test_digest_unbase64_keeps_to_its_room)
