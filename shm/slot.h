/*
 * A server connection: one word that is the truth (word.h), and what belongs to the connection and
 * travels with it between workers: backend key, applied settings, prepared statements.
 */
#ifndef PGR_SHM_SLOT_H
#define PGR_SHM_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "shm/host.h"
#include "shm/layout.h"
#include "shm/word.h"

struct pgr_shm;

/* What the server has said of a statement that it has: digests (proto/describe.h); 0: nothing yet. */
struct pgr_description {
	uint32_t params;
	uint32_t rows;
};

#define PGR_ROWS_NONE 1u  /* NoData */
#define PGR_ROWS_STALE 2u /* what it returns has changed, and it cannot be run: to be prepared anew */
#define PGR_SAID_LONG 3u  /* more than is compared */

/*
 * The part that every lease touches.
 *
 *   writer     word: docs/SHM.md; pool, place: the monitor while the slot belongs to no pool;
 *              all else: the owner in the word
 *   readers    anyone; a copy may be stale
 *   ordering   fields first, then the word by a seq_cst CAS; readers load the word first
 *   on death   the monitor moves the owner's slots to CLOSING
 *   invariant  only the owner reads or writes the socket; any process may hold a duplicate of the
 *              descriptor, valid for exactly this `conn`. Under TLS only the home does, and the
 *              owner, if it is another, has one end of a socket pair instead
 */
struct pgr_slot {
	_Atomic pgr_word word;
	_Atomic uint32_t conn; /* number of the connection, rises with each dial */
	_Atomic uint32_t epoch;
	_Atomic uint64_t client;   /* id of the client that leases it; 0: nobody, an exchange of ours */
	_Atomic uint64_t settings; /* hash of the settings applied (worker/settings.h); 0: as at login */
	_Atomic uint64_t unnamed;  /* tag of the unnamed statement that it holds; 0: unknown */
	_Atomic uint64_t since;    /* monotonic usec of the last change between idle and leased */
	_Atomic uint64_t born;     /* monotonic usec of the dial */
	_Atomic uint32_t deposited; /* the vault has the descriptor of `conn` */
	_Atomic uint32_t pid;      /* of the backend */
	_Atomic uint32_t pool;     /* PGR_NO_POOL: belongs to none */
	uint32_t place;
	_Atomic uint32_t uncancelable; /* a COMMIT or its kin is running: a cancel would hide its outcome */
	_Atomic uint32_t reason; /* of closing, enum pgr_close_reason */
	_Atomic uint64_t leases;
	_Atomic uint64_t report; /* digest of what the server reported at login */
	_Atomic uint64_t startup; /* hash of the settings in its startup packet; 0: none */
	_Atomic uint32_t home;     /* who speaks TLS on it, pgr_slot_home(); 0: it is in clear */
	_Atomic uint32_t farewell; /* the home has ended our side of this `conn` */
	_Atomic uint32_t tls;      /* version and cipher suite (net/tls.h) */
	_Atomic uint32_t last;     /* who leased it last: the lower half of a client's id */
} PGR_ALIGNED(64);
_Static_assert(sizeof(struct pgr_slot) == 128, "two cache lines; docs/SHM.md draws this");

/*
 * The rest, touched at dials and where settings or statements change.
 *
 *   writer     the owner in the word
 *   readers    the owner; others look at `reported` and at the set of statements without being told
 *              of changes: what they see may be stale, never more than a hint
 *   on death   the connection is closed, and the next dial fills it anew
 */
struct pgr_slot_cold {
	uint32_t key_len;
	uint32_t reported_len;
	uint32_t settings_len;
	uint32_t statement_count;
	uint32_t statement_tick;
	struct pgr_addr addr; /* where the connection leads, whatever its name means by now */
	uint8_t key[PGR_KEY_MAX];
	char reported[PGR_REPORTED_BYTES]; /* "name\0value\0"... as told at login */
	char settings[PGR_SETTINGS_BYTES]; /* "name\0value\0"... applied on top */
	struct pgr_hash128 statement[PGR_STATEMENT_CELLS]; /* {0, 0}: empty cell */
	uint32_t statement_used[PGR_STATEMENT_CELLS];
	struct pgr_description statement_said[PGR_STATEMENT_CELLS];
} PGR_ALIGNED(64);

/* Process k in its present life as a home: never 0, and never that of a predecessor of k. */
static inline uint32_t
pgr_slot_home(unsigned k, uint32_t incarnation)
{
	return incarnation << 8 | (k + 1);
}

static inline unsigned
pgr_slot_home_index(uint32_t home)
{
	return (home & 255) - 1;
}

/*
 * Set of prepared statements of the connection: changed only by what the server acknowledged. NULL: this one
 * is not there; else what was said of it, valid until the set changes. Counts as use.
 */
struct pgr_description *pgr_slot_statement_find(struct pgr_slot_cold *cold, struct pgr_hash128 hash);

/*
 * Is it there, as good as new? For whoever does not lease the slot: a hint, and it does not count as use.
 */
bool pgr_slot_statement_seen(const struct pgr_slot_cold *cold, struct pgr_hash128 hash);
void pgr_slot_statement_add(struct pgr_slot_cold *cold, struct pgr_hash128 hash);
void pgr_slot_statement_remove(struct pgr_slot_cold *cold, struct pgr_hash128 hash);
void pgr_slot_statement_clear(struct pgr_slot_cold *cold);

/* The statement used longest ago. False: none. */
bool pgr_slot_statement_oldest(const struct pgr_slot_cold *cold, struct pgr_hash128 *ret_hash);

#define PGR_CLOSE_REASONS(X)                                                                       \
	X(IDLE, "idle_timeout")                                                                    \
	X(LIFETIME, "lifetime")                                                                    \
	X(SERVER, "server_closed")                                                                 \
	X(LOGIN, "login_failed")                                                                   \
	X(DIRTY, "unclean")                                                                        \
	X(TIMEOUT, "timeout")                                                                      \
	X(OWNER, "owner_died")                                                                     \
	X(CHANGED, "configuration_changed")                                                        \
	X(LIMIT, "limit")                                                                          \
	X(POISON, "cancel_in_doubt")                                                               \
	X(ADMIN, "admin")

enum pgr_close_reason {
#define X(name, text) PGR_CLOSE_##name,
	PGR_CLOSE_REASONS(X)
#undef X
	PGR_CLOSE_REASON_COUNT
};

#endif
