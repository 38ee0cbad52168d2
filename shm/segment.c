/*
 * Making the three shared mappings. Done by the master, once, before the first fork, so that every
 * process has them at the same address; what lies in them still uses ids and offsets only, since an
 * upgraded binary may map them elsewhere.
 */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "shm/secret.h"
#include "shm/stats.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

_Static_assert(sizeof(struct pgr_segment) < UINT64_C(32) << 30, "valgrind refuses 64 GiB");

static enum pgr_rc
map_memfd(const char *name, size_t size, int *ret_fd, void **ret_map, struct pgr_err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0)
		return pgr_err_sys(err, "53000", "cannot create the shared memory \"%s\"", name);
	if (ftruncate(fd, (off_t)size) != 0) {
		pgr_err_sys(err, "53000", "cannot size the shared memory \"%s\"", name);
		close(fd);
		return PGR_FAIL;
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED) {
		pgr_err_sys(err, "53000", "cannot map the shared memory \"%s\"", name);
		close(fd);
		return PGR_FAIL;
	}
	*ret_fd = fd;
	*ret_map = map;
	return PGR_OK;
}

static enum pgr_rc
create_secrets(struct pgr_shm *shm, struct pgr_err *err)
{
	void *map;
	int fd;

	if (map_memfd("pgroute-secrets", sizeof(struct pgr_secrets), &fd, &map, err) != PGR_OK)
		return PGR_FAIL;
	close(fd); /* the mapping is all that anybody gets */
	madvise(map, sizeof(struct pgr_secrets), MADV_DONTDUMP);
	shm->secrets = map;
	if (getrandom(&shm->secrets->key, sizeof(shm->secrets->key), 0) < 0 ||
		getrandom(shm->secrets->mock, sizeof(shm->secrets->mock), 0) < 0)
		return pgr_err_sys(err, "53000", "no random numbers");
	return PGR_OK;
}

static enum pgr_rc
create_stats(struct pgr_shm *shm, uint32_t workers, struct pgr_err *err)
{
	void *map;

	if (map_memfd("pgroute-stats", sizeof(struct pgr_stats), &shm->stats_fd, &map, err) != PGR_OK)
		return PGR_FAIL;
	if (fcntl(shm->stats_fd, F_ADD_SEALS,
			F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return pgr_err_sys(err, "53000", "cannot seal the statistics");
	shm->stats = map;
	shm->stats->magic = PGR_STATS_MAGIC;
	shm->stats->version = PGR_STATS_VERSION;
	shm->stats->workers = workers;
	return PGR_OK;
}

static enum pgr_rc
create_eventfds(struct pgr_shm *shm, struct pgr_err *err)
{
	for (unsigned k = 0; k < PGR_PROCS; k++) {
		bool used = k < shm->seg->workers || k >= PGR_WORKERS_MAX;

		shm->eventfd[k] = used ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
		if (used && shm->eventfd[k] < 0)
			return pgr_err_sys(err, "53000", "cannot create an eventfd");
	}
	return PGR_OK;
}

enum pgr_rc
pgr_shm_create(struct pgr_shm *shm, uint32_t workers, struct pgr_err *err)
{
	void *map;
	int fd;

	memset(shm, 0, sizeof(*shm));
	if (map_memfd("pgroute", sizeof(struct pgr_segment), &fd, &map, err) != PGR_OK)
		return PGR_FAIL;
	close(fd);
	shm->seg = map;
	shm->seg->magic = PGR_SHM_MAGIC;
	shm->seg->workers = workers;
	shm->seg->clients_per_worker = PGR_CLIENTS_MAX / workers;
	if (getrandom(&shm->seg->hash_key, sizeof(shm->seg->hash_key), 0) < 0)
		return pgr_err_sys(err, "53000", "no random numbers");
	if (create_secrets(shm, err) != PGR_OK || create_stats(shm, workers, err) != PGR_OK)
		return PGR_FAIL;
	return create_eventfds(shm, err);
}
