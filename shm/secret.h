/*
 * Secrets that processes share: passwords of the configuration, SCRAM keys that clients proved. In a
 * mapping of its own that is never handed out and left out of core dumps.
 */
#ifndef PGR_SHM_SECRET_H
#define PGR_SHM_SECRET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "net/tickets.h"
#include "proto/scram.h"
#include "shm/generation.h"
#include "shm/layout.h"

struct pgr_shm;

#define PGR_SCRAM_CELLS 32768
enum pgr_scram_cell_state {
	PGR_SCRAM_EMPTY = 0,
	PGR_SCRAM_WRITING = 1,
	PGR_SCRAM_READY = 2,
};

/*
 *   writer     whoever moves state from EMPTY to WRITING by CAS; READY cells never change
 *   ordering   fields, then READY by a release store
 *   on death   a cell left WRITING stays unused: the table has room, a lost cell costs one PBKDF2
 *   invariant  name is the keyed hash of (user, what the keys were made from)
 */
struct pgr_scram_cell {
	_Atomic uint32_t state;
	struct pgr_hash128 name;
	struct pgr_scram_keys keys;
};

struct pgr_secret_store {
	char bytes[PGR_SECRETS_BYTES];
} PGR_ALIGNED(64);

struct pgr_secrets {
	struct pgr_hash_key key;
	uint8_t mock[32]; /* salts of unknown users come from it */
	struct pgr_tickets tickets; /* of TLS towards clients */
	struct pgr_scram_cell scram[PGR_SCRAM_CELLS];
	struct pgr_secret_store store[PGR_GENERATIONS];
};

/* Keys remembered under a name (pgr_secret_name); false: none, or the table is full. */
bool pgr_secret_find(struct pgr_shm *shm, struct pgr_hash128 name, struct pgr_scram_keys *ret);
void pgr_secret_keep(
	struct pgr_shm *shm, struct pgr_hash128 name, const struct pgr_scram_keys *keys);

#endif
