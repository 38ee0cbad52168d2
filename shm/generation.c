/*
 * Publication of a configuration: the master copies a finished block into a store that nobody reads
 * and raises the version. Readers pin a version by writing it where the master looks before it
 * reuses the store.
 */
#include "shm/generation.h"

#include <string.h>

#include "shm/secret.h"
#include "shm/segment.h"

static bool
store_in_use(struct pgr_shm *shm, uint64_t version)
{
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		struct pgr_proc *proc = pgr_shm_proc(shm, k);
		uint64_t pinned = atomic_load(&proc->version);

		if (pinned != 0 && pinned % PGR_GENERATIONS == version % PGR_GENERATIONS &&
			pgr_proc_is(proc, PGR_LIFE_ALIVE))
			return true;
	}
	return false;
}

enum pgr_rc
pgr_generation_publish(struct pgr_shm *shm, const void *config, size_t config_len,
	const void *secrets, size_t secrets_len, struct pgr_err *err)
{
	struct pgr_generations *gen = &shm->seg->generations;
	uint64_t version = atomic_load(&gen->current) + 1;
	uint32_t store = (uint32_t)(version % PGR_GENERATIONS);

	if (config_len > PGR_GENERATION_BYTES || secrets_len > PGR_SECRETS_BYTES)
		return pgr_err_set(err, "53400", "the configuration is too large: %zu bytes", config_len);
	if (store_in_use(shm, version))
		return PGR_AGAIN;
	memcpy(shm->seg->store[store].bytes, config, config_len);
	memcpy(shm->secrets->store[store].bytes, secrets, secrets_len);
	atomic_store(&gen->size[store], config_len);
	atomic_store(&gen->current, version);
	return PGR_OK;
}

const void *
pgr_generation_use(struct pgr_shm *shm, unsigned k, const void **ret_secrets, uint64_t *ret_version)
{
	struct pgr_generations *gen = &shm->seg->generations;
	struct pgr_proc *proc = pgr_shm_proc(shm, k);
	uint64_t version;
	uint32_t store;

	do {
		version = atomic_load(&gen->current);
		atomic_store(&proc->version, version);
	} while (atomic_load(&gen->current) != version);
	store = (uint32_t)(version % PGR_GENERATIONS);
	if (ret_secrets != NULL)
		*ret_secrets = shm->secrets->store[store].bytes;
	*ret_version = version;
	return version == 0 ? NULL : shm->seg->store[store].bytes;
}
