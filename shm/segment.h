/*
 * Every byte that two processes share. Three mappings, made by the master before the first fork and
 * inherited: the segment (below), the secrets (secret.h: never handed out, not dumped), the
 * statistics (stats.h: sealed, handed to pgroutectl).
 */
#ifndef PGR_SHM_SEGMENT_H
#define PGR_SHM_SEGMENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/panic.h"
#include "shm/client.h"
#include "shm/ddl.h"
#include "shm/generation.h"
#include "shm/host.h"
#include "shm/layout.h"
#include "shm/pause.h"
#include "shm/pool.h"
#include "shm/proc.h"
#include "shm/slot.h"

#define PGR_SHM_MAGIC UINT64_C(0x7067726f75746531)

/* What the control socket and the console ask of the master. */
enum pgr_command {
	PGR_COMMAND_RELOAD = 1,
	PGR_COMMAND_STOP,
	PGR_COMMAND_STOP_FAST,
};

/*
 * The master's answer to a command, one place for each process that may ask.
 *
 *   writer     the master, before it sends PGR_NOTE_RESULT
 *   readers    that process, after it received that
 */
struct pgr_answer {
	uint32_t ok;
	char text[32768]; /* lines; of an error: what and how to mend it */
};

#define PGR_LISTENING_MOST 16
#define PGR_LISTENING_TEXT 112 /* the longest path of a socket is 108 */

/*
 * Where clients may connect, as the kernel has it.
 *
 *   writer     the master: the texts before the first fork, count 0 when it closes the listeners
 *   readers    stats
 */
struct pgr_listening {
	_Atomic uint32_t count;
	char text[PGR_LISTENING_MOST][PGR_LISTENING_TEXT];
};

struct pgr_segment {
	uint64_t magic;
	uint32_t workers;
	uint32_t clients_per_worker;
	struct pgr_hash_key hash_key; /* names of server-side statements, settings */
	_Atomic uint32_t died;        /* master to monitor: somebody died */
	_Atomic uint32_t stopping;    /* enum pgr_stop */
	_Atomic uint32_t pools_used;  /* highest pool ever used + 1; the monitor's */
	_Atomic uint32_t hosts_used;
	_Atomic uint64_t next_id;     /* of clients; never used again while pgroute runs */
	_Atomic uint64_t started;     /* wall clock, usec */
	struct pgr_answer answer[PGR_PROCS];
	struct pgr_listening listening;
	struct pgr_pauses pauses;
	struct pgr_generations generations;
	struct pgr_proc proc[PGR_PROCS];
	struct pgr_ddl ddl[PGR_DDL_PLACES];
	struct pgr_host host[PGR_HOSTS_MAX];
	struct pgr_pool pool[PGR_POOLS_MAX];
	struct pgr_slot slot[PGR_SLOTS_MAX];
	struct pgr_client_rec client[PGR_CLIENTS_MAX];
	struct pgr_slot_cold cold[PGR_SLOTS_MAX];
	struct pgr_generation_store store[PGR_GENERATIONS];
};

enum pgr_stop {
	PGR_STOP_NOT = 0,
	PGR_STOP_GRACE,    /* readiness fails, the listeners stay */
	PGR_STOP_GRACEFUL, /* no new clients; the present ones leave between transactions */
	PGR_STOP_FAST,     /* everybody leaves now, with 57P01 */
};

/* This process's handle; the same in every process apart from `self`. */
struct pgr_shm {
	struct pgr_segment *seg;
	struct pgr_secrets *secrets;
	struct pgr_stats *stats;
	int stats_fd; /* sealed; handed out over the control socket */
	int eventfd[PGR_PROCS];
};

/* Creates and maps all three. workers: 1 .. PGR_WORKERS_MAX. */
PGR_MUST enum pgr_rc pgr_shm_create(struct pgr_shm *shm, uint32_t workers, struct pgr_err *err);

/* Everything read from shared memory that is used as an index passes one of these. */
static inline struct pgr_proc *
pgr_shm_proc(const struct pgr_shm *shm, unsigned k)
{
	return &shm->seg->proc[k % PGR_PROCS];
}

static inline struct pgr_pool *
pgr_shm_pool(const struct pgr_shm *shm, pgr_pool_id id)
{
	return &shm->seg->pool[id.n % PGR_POOLS_MAX];
}

static inline struct pgr_slot *
pgr_shm_slot(const struct pgr_shm *shm, pgr_slot_id id)
{
	return &shm->seg->slot[id.n % PGR_SLOTS_MAX];
}

static inline struct pgr_slot_cold *
pgr_shm_cold(const struct pgr_shm *shm, pgr_slot_id id)
{
	return &shm->seg->cold[id.n % PGR_SLOTS_MAX];
}

static inline struct pgr_client_rec *
pgr_shm_client(const struct pgr_shm *shm, pgr_client_id id)
{
	return &shm->seg->client[id.n % PGR_CLIENTS_MAX];
}

static inline uint32_t
pgr_shm_pools_used(const struct pgr_shm *shm)
{
	return PGR_MIN(atomic_load(&shm->seg->pools_used), PGR_POOLS_MAX);
}

#endif
