/*
 * What logins hash with: SHA-256, HMAC, PBKDF2, MD5 in hexadecimal, base64, comparison in constant
 * time. OpenSSL does the hashing, by the calls that neither allocate nor look up an algorithm: a
 * login is a handful of HMACs, and its CPU counts.
 */
#ifndef PGR_PROTO_DIGEST_H
#define PGR_PROTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

#define PGR_SHA256_LEN 32u
#define PGR_MD5_HEX 33u /* 32 digits and NUL */

/* Characters of n bytes in base64, without NUL. */
#define PGR_BASE64_LEN(n) (((n) + 2u) / 3u * 4u)

void pgr_digest_sha256(const void *data, size_t len, uint8_t ret[PGR_SHA256_LEN]);
void pgr_digest_hmac(const void *key, size_t key_len, const void *data, size_t len,
	uint8_t ret[PGR_SHA256_LEN]);

/* PBKDF2-HMAC-SHA-256 with 32 bytes of output: SCRAM's Hi(). Milliseconds per 4096 iterations. */
void pgr_digest_pbkdf2(const void *password, size_t len, const void *salt, size_t salt_len,
	uint32_t iterations, uint8_t ret[PGR_SHA256_LEN]);

/* md5(a || b) as lower-case hexadecimal. */
void pgr_digest_md5_hex(const void *a, size_t a_len, const void *b, size_t b_len,
	char ret[PGR_MD5_HEX]);

/* Time depends on len only. */
bool pgr_digest_equal(const void *a, const void *b, size_t len);

/* Writes PGR_BASE64_LEN(len) characters and NUL; returns how many characters. */
size_t pgr_digest_base64(const void *data, size_t len, char *ret);

/*
 * Strict: only whole groups of the standard alphabet, padding only at the end and with zero bits.
 * Returns how many bytes were written into ret[cap], or -1 when text is not base64 or too long.
 */
ptrdiff_t pgr_digest_unbase64(const char *text, size_t len, uint8_t *ret, size_t cap);

/* Forgets secrets; not optimized away. */
void pgr_digest_wipe(void *data, size_t len);

#endif
