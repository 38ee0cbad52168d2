/*
 * The table of SCRAM keys: insert-only open addressing. Filled by whichever worker first derived or
 * was shown a key; read by every worker that logs in to a server.
 */
#include "shm/secret.h"

#include "shm/segment.h"

#define PROBES 32

static struct pgr_scram_cell *
cell_at(struct pgr_shm *shm, struct pgr_hash128 name, uint32_t probe)
{
	return &shm->secrets->scram[(name.lo + probe) % PGR_SCRAM_CELLS];
}

bool
pgr_secret_find(struct pgr_shm *shm, struct pgr_hash128 name, struct pgr_scram_keys *ret)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		struct pgr_scram_cell *cell = cell_at(shm, name, i);
		uint32_t state = atomic_load_explicit(&cell->state, memory_order_acquire);

		if (state == PGR_SCRAM_EMPTY)
			return false;
		if (state == PGR_SCRAM_READY && pgr_hash128_eq(cell->name, name)) {
			*ret = cell->keys;
			return true;
		}
	}
	return false;
}

void
pgr_secret_keep(struct pgr_shm *shm, struct pgr_hash128 name, const struct pgr_scram_keys *keys)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		struct pgr_scram_cell *cell = cell_at(shm, name, i);
		uint32_t state = atomic_load_explicit(&cell->state, memory_order_acquire);

		if (state == PGR_SCRAM_READY && pgr_hash128_eq(cell->name, name))
			return;
		if (state != PGR_SCRAM_EMPTY ||
			!atomic_compare_exchange_strong(&cell->state, &state, PGR_SCRAM_WRITING))
			continue;
		cell->name = name;
		cell->keys = *keys;
		atomic_store_explicit(&cell->state, PGR_SCRAM_READY, memory_order_release);
		return;
	}
}
