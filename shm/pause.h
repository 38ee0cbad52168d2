/*
 * PAUSE: which databases give no server connections to clients.
 */
#ifndef PGR_SHM_PAUSE_H
#define PGR_SHM_PAUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"

struct pgr_shm;

#define PGR_PAUSES_MAX 1024

struct pgr_pause {
	_Atomic uint32_t on;
	char database[PGR_NAME_MAX]; /* as clients say it */
};

/*
 * What was said to PAUSE and KILL. It outlives pools, reloads and the monitor. What workers look at is
 * pool.paused, which follows from it.
 *
 *   writer     the monitor
 *   readers    anyone
 *   ordering   database first, then on, then count; seq_cst
 *   on death   the successor goes on with what is there
 *   invariant  a pool that is made is paused, or not, as this says at that moment
 */
struct pgr_pauses {
	_Atomic uint32_t all;
	_Atomic uint32_t count; /* places that were ever used */
	struct pgr_pause place[PGR_PAUSES_MAX];
};

/* Was this very database paused? (Not: all were.) */
bool pgr_pause_named(struct pgr_shm *shm, const char *database);

/* Does a pause hold for its pools? */
bool pgr_pause_holds(struct pgr_shm *shm, const char *database);

/* By the monitor. False: no place is left. */
bool pgr_pause_set(struct pgr_shm *shm, const char *database, bool on);

#endif
