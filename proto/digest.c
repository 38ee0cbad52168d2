/*
 * Hashing for logins. Called by scram.c and secret.c only.
 *
 * OpenSSL's low-level SHA256_ and MD5_ calls are used on purpose: they cannot fail, do not
 * allocate, and do not look up the algorithm at each call as HMAC() and EVP do since OpenSSL 3,
 * which costs more than hashing the 64 bytes that a SCRAM step hashes. PBKDF2 is spelled out over
 * them: it starts each of its HMACs from the two hash states after the key, so an iteration is two
 * compressions, half of what PKCS5_PBKDF2_HMAC() takes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proto/digest.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/panic.h"

_Static_assert(PGR_SHA256_LEN == SHA256_DIGEST_LENGTH, "digest size");

/* The states of the inner and outer hash after the padded key. */
struct hmac_key {
	SHA256_CTX inner;
	SHA256_CTX outer;
};

void
pgr_digest_sha256(const void *data, size_t len, uint8_t ret[PGR_SHA256_LEN])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, len);
	SHA256_Final(ret, &ctx);
}

static void
hmac_key_init(struct hmac_key *h, const void *key, size_t key_len)
{
	uint8_t pad[SHA256_CBLOCK] = {0};

	if (key_len > sizeof(pad))
		pgr_digest_sha256(key, key_len, pad);
	else if (key_len > 0)
		memcpy(pad, key, key_len);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	SHA256_Init(&h->inner);
	SHA256_Update(&h->inner, pad, sizeof(pad));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&h->outer);
	SHA256_Update(&h->outer, pad, sizeof(pad));
	pgr_digest_wipe(pad, sizeof(pad));
}

/* inner: a hash begun with h->inner, to which the data has been added. */
static void
hmac_finish(const struct hmac_key *h, SHA256_CTX *inner, uint8_t ret[PGR_SHA256_LEN])
{
	SHA256_CTX outer = h->outer;

	SHA256_Final(ret, inner);
	SHA256_Update(&outer, ret, PGR_SHA256_LEN);
	SHA256_Final(ret, &outer);
}

void
pgr_digest_hmac(const void *key, size_t key_len, const void *data, size_t len,
	uint8_t ret[PGR_SHA256_LEN])
{
	struct hmac_key h;
	SHA256_CTX inner;

	hmac_key_init(&h, key, key_len);
	inner = h.inner;
	SHA256_Update(&inner, data, len);
	hmac_finish(&h, &inner, ret);
	pgr_digest_wipe(&h, sizeof(h));
}

void
pgr_digest_pbkdf2(const void *password, size_t len, const void *salt, size_t salt_len,
	uint32_t iterations, uint8_t ret[PGR_SHA256_LEN])
{
	static const uint8_t block[4] = {0, 0, 0, 1};
	uint8_t u[PGR_SHA256_LEN];
	struct hmac_key h;
	SHA256_CTX inner;

	PGR_ASSERT(iterations > 0);
	hmac_key_init(&h, password, len);
	inner = h.inner;
	SHA256_Update(&inner, salt, salt_len);
	SHA256_Update(&inner, block, sizeof(block));
	hmac_finish(&h, &inner, u);
	memcpy(ret, u, sizeof(u));
	for (uint32_t n = 1; n < iterations; n++) {
		inner = h.inner;
		SHA256_Update(&inner, u, sizeof(u));
		hmac_finish(&h, &inner, u);
		for (size_t i = 0; i < sizeof(u); i++)
			ret[i] ^= u[i];
	}
	pgr_digest_wipe(u, sizeof(u));
	pgr_digest_wipe(&h, sizeof(h));
}

void
pgr_digest_md5_hex(const void *a, size_t a_len, const void *b, size_t b_len, char ret[PGR_MD5_HEX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[MD5_DIGEST_LENGTH];
	MD5_CTX ctx;

	MD5_Init(&ctx);
	MD5_Update(&ctx, a, a_len);
	MD5_Update(&ctx, b, b_len);
	MD5_Final(sum, &ctx);
	for (size_t i = 0; i < sizeof(sum); i++) {
		ret[2 * i] = digits[sum[i] >> 4];
		ret[2 * i + 1] = digits[sum[i] & 15];
	}
	ret[PGR_MD5_HEX - 1] = '\0';
}

bool
pgr_digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
pgr_digest_base64(const void *data, size_t len, char *ret)
{
	const uint8_t *p = data;
	char *out = ret;

	for (size_t left = len; left > 0; left -= PGR_MIN(left, 3), p += 3) {
		unsigned v = (unsigned)p[0] << 16;

		v |= left > 1 ? (unsigned)p[1] << 8 : 0;
		v |= left > 2 ? p[2] : 0;
		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? base64_digits[v & 63] : '=';
	}
	*out = '\0';
	return (size_t)(out - ret);
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* One group of four characters; the last `pad` of them are padding. Returns false if it is none. */
static bool
base64_group(const char *text, size_t pad, uint8_t bytes[3])
{
	unsigned v = 0;

	for (size_t i = 0; i < 4; i++) {
		int digit = i < 4 - pad ? base64_value(text[i]) : 0;

		if (digit < 0)
			return false;
		v = v << 6 | (unsigned)digit;
	}
	bytes[0] = (uint8_t)(v >> 16);
	bytes[1] = (uint8_t)(v >> 8);
	bytes[2] = (uint8_t)v;
	/* bits that the padding cuts off must be zero, or one value would have many spellings */
	return pad == 0 || (bytes[2] == 0 && (pad == 1 || bytes[1] == 0));
}

ptrdiff_t
pgr_digest_unbase64(const char *text, size_t len, uint8_t *ret, size_t cap)
{
	size_t pad = 0;
	size_t done = 0;

	if (len % 4 != 0)
		return -1;
	if (len > 0 && text[len - 1] == '=')
		pad = text[len - 2] == '=' ? 2 : 1;
	for (size_t at = 0; at < len; at += 4) {
		size_t cut = at + 4 == len ? pad : 0;
		uint8_t bytes[3];

		if (!base64_group(text + at, cut, bytes) || 3 - cut > cap - done)
			return -1;
		memcpy(ret + done, bytes, 3 - cut);
		done += 3 - cut;
	}
	return (ptrdiff_t)done;
}

void
pgr_digest_wipe(void *data, size_t len)
{
	explicit_bzero(data, len); /* OPENSSL_cleanse() goes eight bytes at a time */
}
