/*
 * Configuration generations: each is one immutable block, made by the master, read by everybody.
 */
#ifndef PGR_SHM_GENERATION_H
#define PGR_SHM_GENERATION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "shm/layout.h"

struct pgr_shm;

#define PGR_GENERATIONS 4
#define PGR_GENERATION_BYTES (64u << 20)
#define PGR_SECRETS_BYTES (16u << 20)

struct pgr_generation_store {
	char bytes[PGR_GENERATION_BYTES];
} PGR_ALIGNED(64);

/*
 * Which stores hold what.
 *
 *   writer     the master
 *   readers    every process: load current, note the version in its proc.version, load current
 *              again; equal: the store stays until proc.version moves on
 *   ordering   seq_cst: the reader writes its version, then looks at current; the master writes
 *              current, then looks at the versions
 *   on death   the master skips processes that are not ALIVE
 *   invariant  a store is written only while no ALIVE process uses its version
 */
struct pgr_generations {
	_Atomic uint64_t current; /* version; its store is version % PGR_GENERATIONS; 0: none yet */
	_Atomic uint64_t size[PGR_GENERATIONS];
};

/* Copies config and secrets into a free store and makes it current. AGAIN: all stores are in use. */
PGR_MUST enum pgr_rc pgr_generation_publish(struct pgr_shm *shm, const void *config,
	size_t config_len, const void *secrets, size_t secrets_len, struct pgr_err *err);

/*
 * The newest configuration for process k, which lets go of the one it used before. Blocks stay valid
 * until the next call. ret_secrets may be NULL.
 */
const void *pgr_generation_use(
	struct pgr_shm *shm, unsigned k, const void **ret_secrets, uint64_t *ret_version);

#endif
