/*
 * The processes as the segment knows them, and how one pokes another.
 */
#ifndef PGR_SHM_PROC_H
#define PGR_SHM_PROC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/panic.h"
#include "shm/layout.h"

struct pgr_shm;

enum pgr_life {
	PGR_LIFE_SWEPT = 0, /* dead, and no slot has this owner any more; also: never started */
	PGR_LIFE_ALIVE = 1, /* written by the process itself */
	PGR_LIFE_DEAD = 2,  /* written by the master after waitpid */
};

enum pgr_ask_state {
	PGR_ASK_NONE = 0,   /* the worker may write a request */
	PGR_ASK_POSTED = 1, /* worker -> monitor */
	PGR_ASK_DONE = 2,   /* monitor -> worker: pool is valid */
	PGR_ASK_FAILED = 3, /* monitor -> worker: text says why */
};

#define PGR_ASKS 16

/* What is asked of the monitor, which alone makes pools and changes them. */
enum pgr_ask_kind {
	PGR_ASK_POOL,      /* of (database, user) */
	PGR_ASK_PAUSE,     /* of a database, or of all when it is empty; pool: 1 when it was not paused */
	PGR_ASK_RESUME,
	PGR_ASK_KILL,      /* of a database */
	PGR_ASK_RECONNECT, /* of a database, or of all */
};

/* A worker's request. */
struct pgr_ask {
	_Atomic uint32_t state;
	uint32_t kind; /* enum pgr_ask_kind */
	uint32_t pool;
	char sqlstate[8]; /* of FAILED, but for POOL */
	char database[PGR_NAME_MAX];
	char user[PGR_NAME_MAX];
	char text[128];
};

/*
 * One process.
 *
 *   writer     life: master (DEAD), monitor (DEAD to SWEPT by CAS), the process itself (ALIVE);
 *              pools_mail, mail_index, poked: anybody sets, the process takes by exchange;
 *              slow: the monitor sets, the process takes by exchange;
 *              asks: worker and monitor in turn by state; all else: the process itself
 *   readers    anyone
 *   ordering   seq_cst, since "write mine, then look at yours" runs both ways
 *   on death   the master sets DEAD, the monitor sweeps the owner's slots, then sets SWEPT
 *   invariant  a bit of pools_mail is set before its bit of mail_index, both before the poke
 */
struct pgr_proc {
	_Atomic uint32_t life;
	_Atomic uint32_t incarnation; /* how often this index was started */
	_Atomic uint32_t pid;
	_Atomic uint32_t poked; /* a write to the eventfd is under way or unread */
	_Atomic uint64_t beat;  /* monotonic usec of its last turn */
	_Atomic uint64_t version; /* configuration generation in use */
	_Atomic uint32_t clients; /* connected, over all databases */
	_Atomic uint32_t consoles; /* of them, in the admin console */
	_Atomic uint32_t cancels; /* a record of mine has cancel set, or a cancel that I took ended */
	_Atomic uint32_t farewells; /* some connection whose TLS is mine is CLOSING */
	_Atomic uint32_t records_used; /* client records of mine that were ever used */
	_Atomic uint32_t drained; /* shutting down: no clients, no leases */
	_Atomic uint32_t slow; /* did not take what it was given: nothing more until it has read a poke */
	_Atomic uint64_t mail_index[PGR_POOLS_MAX / 64 / 64];
	_Atomic uint64_t pools_mail[PGR_POOLS_MAX / 64];
	struct pgr_ask asks[PGR_ASKS];
	struct pgr_panic_page panic;
} PGR_ALIGNED(64);

/* Wakes process k: one eventfd write, unless one is already under way. force: always writes. */
void pgr_proc_poke(struct pgr_shm *shm, unsigned k, bool force);

/*
 * k has read its eventfd and is about to look at its mail. True: it was slow, and passed over
 * meanwhile: it matches wherever it has waiters.
 */
bool pgr_proc_poke_taken(struct pgr_shm *shm, unsigned k);

/* "Look at this pool": pools_mail, mail_index, in this order. The poke is a call of its own. */
void pgr_proc_mail(struct pgr_shm *shm, unsigned k, pgr_pool_id pool);

/* Every pool of k has mail: after a death, and at the start of a successor. */
void pgr_proc_mail_all(struct pgr_shm *shm, unsigned k);

/*
 * Takes the next pool with mail out of k's own bitmap. *cursor starts at 0 after a poke. False: no
 * more.
 */
bool pgr_proc_next_mail(struct pgr_shm *shm, unsigned k, uint32_t *cursor, pgr_pool_id *ret_pool);

static inline bool
pgr_proc_is(const struct pgr_proc *proc, enum pgr_life life)
{
	return atomic_load(&proc->life) == (uint32_t)life;
}

/* May it be given anything? */
static inline bool
pgr_proc_takes(const struct pgr_proc *proc)
{
	return pgr_proc_is(proc, PGR_LIFE_ALIVE) && atomic_load(&proc->slow) == 0;
}

#endif
