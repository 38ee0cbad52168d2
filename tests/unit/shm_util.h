/*
 * A segment as the master makes it, with pools as the monitor makes them and workers that are ALIVE:
 * for tests that play the processes themselves.
 */
#ifndef PGR_TESTS_SHM_UTIL_H
#define PGR_TESTS_SHM_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/check.h"
#include "shm/segment.h"

/* workers of them, all ALIVE, and the monitor. */
static inline void
shm_make(struct pgr_shm *shm, uint32_t workers)
{
	struct pgr_err err;

	if (pgr_shm_create(shm, workers, &err) != PGR_OK) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	for (uint32_t k = 0; k < workers; k++)
		atomic_store(&pgr_shm_proc(shm, k)->life, PGR_LIFE_ALIVE);
	atomic_store(&pgr_shm_proc(shm, PGR_PROC_MONITOR)->life, PGR_LIFE_ALIVE);
}

/* A live pool with `size` places that may be dialed and `reserve` BARRED ones, in chunks of its own. */
static inline pgr_pool_id
shm_pool(struct pgr_shm *shm, uint32_t size, uint32_t reserve)
{
	pgr_pool_id id = {pgr_shm_pools_used(shm)};
	struct pgr_pool *pool = pgr_shm_pool(shm, id);
	uint32_t chunks = (size + reserve + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS;
	uint32_t chunk = 0;

	for (uint32_t n = 0; n < id.n; n++)
		chunk += (atomic_load(&pgr_shm_pool(shm, (pgr_pool_id){n})->places) + PGR_CHUNK_SLOTS - 1) /
			PGR_CHUNK_SLOTS;
	for (uint32_t i = 0; i < chunks * PGR_CHUNK_SLOTS; i++) {
		struct pgr_slot *slot = pgr_shm_slot(shm, (pgr_slot_id){chunk * PGR_CHUNK_SLOTS + i});

		atomic_store(&slot->pool, id.n);
		slot->place = i;
		atomic_store(&slot->word, pgr_word_make(i < size ? PGR_SLOT_FREE : PGR_SLOT_BARRED,
			PGR_OWNER_NONE, PGR_PIN_NONE, 0));
		atomic_store(&pool->chunk[i / PGR_CHUNK_SLOTS], chunk + i / PGR_CHUNK_SLOTS);
	}
	atomic_store(&pool->set.pool_size, size);
	atomic_store(&pool->set.reserve_pool_size, reserve);
	atomic_store(&pool->set.reserve_pool_timeout, UINT64_MAX);
	atomic_store(&pool->places, size + reserve);
	atomic_store(&pool->state, PGR_POOL_LIVE);
	atomic_store(&shm->seg->pools_used, id.n + 1);
	return id;
}

static inline pgr_word
shm_word(struct pgr_shm *shm, pgr_pool_id pool, uint32_t place)
{
	pgr_slot_id id;

	return atomic_load(&pgr_pool_slot(shm, pgr_shm_pool(shm, pool), place, &id)->word);
}

static inline void
shm_set_word(struct pgr_shm *shm, pgr_pool_id pool, uint32_t place, pgr_word w)
{
	pgr_slot_id id;

	atomic_store(&pgr_pool_slot(shm, pgr_shm_pool(shm, pool), place, &id)->word, w);
}

/* How often k was poked since the last call. */
static inline uint64_t
shm_pokes(struct pgr_shm *shm, unsigned k)
{
	uint64_t count = 0;

	return read(shm->eventfd[k], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

#endif
