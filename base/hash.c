/*
 * SipHash-2-4, 128 bits. Checked against the authors' published vectors in tests/unit/test_hash.c.
 * Called once per Parse message and per name of a prepared statement, never per row.
 */
#include "base/hash.h"

#include <endian.h>
#include <string.h>

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void
sip_rounds(struct sip *s, int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = ROTL(s->v1, 13) ^ s->v0;
		s->v0 = ROTL(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = ROTL(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = ROTL(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = ROTL(s->v1, 17) ^ s->v2;
		s->v2 = ROTL(s->v2, 32);
	}
}

static inline void
sip_absorb(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_rounds(s, 2);
	s->v0 ^= m;
}

/* Everything but the second half of the output. */
static inline struct sip
sip_hash(const struct pgr_hash_key *key, const void *data, size_t len)
{
	const unsigned char *p = data;
	const unsigned char *end = p + (len & ~(size_t)7);
	struct sip s = {
		key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		key->k0 ^ UINT64_C(0x6c7967656e657261), key->k1 ^ UINT64_C(0x7465646279746573)};
	uint64_t m;

	for (; p < end; p += 8) {
		memcpy(&m, p, sizeof(m));
		sip_absorb(&s, le64toh(m));
	}
	m = 0;
	if ((len & 7) != 0)
		memcpy(&m, p, len & 7);
	sip_absorb(&s, le64toh(m) | (uint64_t)len << 56);
	s.v2 ^= 0xee;
	sip_rounds(&s, 4);
	return s;
}

struct pgr_hash128
pgr_hash128(const struct pgr_hash_key *key, const void *data, size_t len)
{
	struct sip s = sip_hash(key, data, len);
	struct pgr_hash128 out;

	out.lo = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	sip_rounds(&s, 4);
	out.hi = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return out;
}

uint64_t
pgr_hash64(const struct pgr_hash_key *key, const void *data, size_t len)
{
	struct sip s = sip_hash(key, data, len);

	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
