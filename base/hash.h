/*
 * Hashing. SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012; the 128-bit variant of
 * the authors' later note): keyed, so that nobody who chooses the input can choose collisions.
 */
#ifndef PGR_BASE_HASH_H
#define PGR_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgr_hash_key {
	uint64_t k0;
	uint64_t k1;
};

struct pgr_hash128 {
	uint64_t lo;
	uint64_t hi;
};

struct pgr_hash128 pgr_hash128(const struct pgr_hash_key *key, const void *data, size_t len);

/* For tables inside one process; the same keyed function, cut to 64 bits. */
uint64_t pgr_hash64(const struct pgr_hash_key *key, const void *data, size_t len);

static inline bool
pgr_hash128_eq(struct pgr_hash128 a, struct pgr_hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

#endif
