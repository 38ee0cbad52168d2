/*
 * shm/segment.h: the three mappings as others meet them: statistics that cannot be written through
 * their descriptor, secrets that are nobody's, nothing on a file system (C15); ids that are cut.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/secret.h"
#include "shm/segment.h"
#include "shm/stats.h"

static struct pgr_shm shm;
static struct pgr_err err;

static void
create(uint32_t workers)
{
	ck_assert_int_eq(pgr_shm_create(&shm, workers, &err), PGR_OK);
}

START_TEST(test_segment_workers_share_the_client_records)
{
	create(3);
	ck_assert_uint_eq(shm.seg->magic, PGR_SHM_MAGIC);
	ck_assert_uint_eq(shm.seg->workers, 3);
	ck_assert_uint_ge(shm.seg->clients_per_worker, 10000);
	ck_assert_uint_le(3u * shm.seg->clients_per_worker, PGR_CLIENTS_MAX);
}
END_TEST

START_TEST(test_segment_every_process_has_an_eventfd)
{
	create(2);
	for (unsigned k = 0; k < PGR_PROCS; k++)
		ck_assert_int_eq(shm.eventfd[k] >= 0, k < 2 || k >= PGR_WORKERS_MAX);
	ck_assert(fcntl(shm.eventfd[0], F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(shm.eventfd[0], F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(test_segment_statistics_are_sealed_and_the_writer_goes_on)
{
	const struct pgr_stats *theirs;
	int seals;

	create(1);
	seals = fcntl(shm.stats_fd, F_GET_SEALS);
	ck_assert(seals & F_SEAL_GROW);
	ck_assert(seals & F_SEAL_SHRINK);
	ck_assert(seals & F_SEAL_SEAL);
	ck_assert_ptr_eq(mmap(NULL, sizeof(*theirs), PROT_READ | PROT_WRITE, MAP_SHARED, shm.stats_fd, 0),
		MAP_FAILED);
	ck_assert_int_eq(pwrite(shm.stats_fd, "x", 1, 0), -1);
	ck_assert_int_eq(ftruncate(shm.stats_fd, 0), -1);
	theirs = mmap(NULL, sizeof(*theirs), PROT_READ, MAP_SHARED, shm.stats_fd, 0);
	ck_assert_ptr_ne(theirs, MAP_FAILED);
	ck_assert_uint_eq(theirs->magic, PGR_STATS_MAGIC);
	atomic_store(&shm.stats->proc[0].accepted, 7);
	ck_assert_uint_eq(atomic_load(&theirs->proc[0].accepted), 7);
	ck_assert_int_eq(mprotect((void *)(uintptr_t)theirs, 4096, PROT_READ | PROT_WRITE), -1);
}
END_TEST

/* Descriptors of this process that lead to a memfd. */
static unsigned
memfds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		char path[300], target[300] = {0};

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "memfd:") != NULL)
			n++;
	}
	closedir(dir);
	return n;
}

START_TEST(test_segment_c15_only_the_statistics_have_a_descriptor)
{
	create(1);
	ck_assert_uint_eq(memfds(), 1);
}
END_TEST

/* The flags of the mapping that begins at p, from /proc/self/smaps. */
static bool
has_flag(const void *p, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	bool inside = false, found = false;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)p);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, flag) != NULL;
			break;
		}
	}
	fclose(smaps);
	return found;
}

START_TEST(test_segment_secrets_are_not_dumped)
{
	create(1);
	ck_assert(has_flag(shm.secrets, " dd"));
	ck_assert(!has_flag(shm.seg, " dd"));
}
END_TEST

START_TEST(test_segment_keys_differ_from_run_to_run)
{
	static struct pgr_shm other;

	create(1);
	ck_assert_int_eq(pgr_shm_create(&other, 1, &err), PGR_OK);
	ck_assert_mem_ne(&shm.seg->hash_key, &other.seg->hash_key, sizeof(shm.seg->hash_key));
	ck_assert_mem_ne(shm.secrets->mock, other.secrets->mock, sizeof(shm.secrets->mock));
	ck_assert_mem_ne(&shm.secrets->key, &shm.seg->hash_key, sizeof(shm.secrets->key));
}
END_TEST

START_TEST(test_segment_is_one_memory_for_forked_processes)
{
	int status;
	pid_t pid;

	create(1);
	pid = fork();
	if (pid == 0) {
		atomic_store(&shm.seg->next_id, 4711);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_uint_eq(atomic_load(&shm.seg->next_id), 4711);
}
END_TEST

START_TEST(test_segment_b66_any_id_stays_inside)
{
	const char *begin, *end;

	create(1);
	begin = (const char *)shm.seg;
	end = begin + sizeof(*shm.seg);
	for (uint64_t n = 1; n <= UINT32_MAX; n = n * 3 + 1) {
		const char *p[] = {(const char *)pgr_shm_proc(&shm, (unsigned)n),
			(const char *)pgr_shm_pool(&shm, (pgr_pool_id){(uint32_t)n}),
			(const char *)pgr_shm_slot(&shm, (pgr_slot_id){(uint32_t)n}),
			(const char *)pgr_shm_cold(&shm, (pgr_slot_id){(uint32_t)n}),
			(const char *)pgr_shm_client(&shm, (pgr_client_id){(uint32_t)n})};

		for (size_t i = 0; i < PGR_COUNT_OF(p); i++)
			ck_assert(p[i] >= begin && p[i] < end);
	}
	atomic_store(&shm.seg->pools_used, UINT32_MAX);
	ck_assert_uint_eq(pgr_shm_pools_used(&shm), PGR_POOLS_MAX);
}
END_TEST

UNIT_MAIN("segment", test_segment_workers_share_the_client_records,
	test_segment_every_process_has_an_eventfd,
	test_segment_statistics_are_sealed_and_the_writer_goes_on,
	test_segment_c15_only_the_statistics_have_a_descriptor, test_segment_secrets_are_not_dumped,
	test_segment_keys_differ_from_run_to_run, test_segment_is_one_memory_for_forked_processes,
	test_segment_b66_any_id_stays_inside)
