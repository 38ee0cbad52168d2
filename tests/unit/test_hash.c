/*
 * base/hash.h: SipHash-2-4 with 128 bits of output against the values that its authors publish (key
 * 00..0f, input 00, 01, ...), and against OpenSSL's implementation for every length up to some
 * blocks.
 */
#include "unit.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/hash.h"

#define MOST 300

static const struct pgr_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void
fill_input(unsigned char *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		in[i] = (unsigned char)i;
}

static void
to_bytes(struct pgr_hash128 h, unsigned char ret[16])
{
	uint64_t lo = htole64(h.lo), hi = htole64(h.hi);

	memcpy(ret, &lo, 8);
	memcpy(ret + 8, &hi, 8);
}

START_TEST(test_hash_published_vectors_match)
{
	static const struct {
		size_t len;
		const char *sum;
	} vectors[] = {
		{0, "\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93"},
		{1, "\xda\x87\xc1\xd8\x6b\x99\xaf\x44\x34\x76\x59\x11\x9b\x22\xfc\x45"},
		{7, "\xa1\xf1\xeb\xbe\xd8\xdb\xc1\x53\xc0\xb8\x4a\xa6\x1f\xf0\x82\x39"},
		{8, "\x3b\x62\xa9\xba\x62\x58\xf5\x61\x0f\x83\xe2\x64\xf3\x14\x97\xb4"},
		{15, "\x54\x93\xe9\x99\x33\xb0\xa8\x11\x7e\x08\xec\x0f\x97\xcf\xc3\xd9"},
		{63, "\x51\x50\xd1\x77\x2f\x50\x83\x4a\x50\x3e\x06\x9a\x97\x3f\xbd\x7c"},
	};
	unsigned char in[64], sum[16];

	fill_input(in, sizeof(in));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		to_bytes(pgr_hash128(&key, in, vectors[i].len), sum);
		ck_assert_mem_eq(sum, vectors[i].sum, 16);
	}
}
END_TEST

static void
openssl_siphash(EVP_MAC *mac, const unsigned char *in, size_t len, unsigned char ret[16])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	unsigned char raw[16];
	size_t size = 16, got;
	OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_END};

	fill_input(raw, sizeof(raw));
	ck_assert_int_eq(EVP_MAC_init(ctx, raw, sizeof(raw), params), 1);
	ck_assert_int_eq(EVP_MAC_update(ctx, in, len), 1);
	ck_assert_int_eq(EVP_MAC_final(ctx, ret, &got, 16), 1);
	ck_assert_uint_eq(got, 16);
	EVP_MAC_CTX_free(ctx);
}

START_TEST(test_hash_every_length_agrees_with_openssl)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	unsigned char in[MOST], ours[16], theirs[16];

	ck_assert_ptr_nonnull(mac);
	fill_input(in, sizeof(in));
	for (size_t len = 0; len <= MOST; len++) {
		to_bytes(pgr_hash128(&key, in, len), ours);
		openssl_siphash(mac, in, len, theirs);
		ck_assert_mem_eq(ours, theirs, 16);
	}
	EVP_MAC_free(mac);
}
END_TEST

START_TEST(test_hash_other_key_gives_other_value)
{
	struct pgr_hash_key other = key;
	struct pgr_hash128 a = pgr_hash128(&key, "statement", 9), b;

	other.k1 ^= 1;
	b = pgr_hash128(&other, "statement", 9);
	ck_assert(!pgr_hash128_eq(a, b));
	ck_assert(pgr_hash128_eq(a, pgr_hash128(&key, "statement", 9)));
	ck_assert_uint_eq(pgr_hash64(&key, "statement", 9), a.lo);
}
END_TEST

UNIT_MAIN("hash", test_hash_published_vectors_match, test_hash_every_length_agrees_with_openssl,
	test_hash_other_key_gives_other_value)
