/*
 * A pool: the server connections of one (database, user, server), shared by all workers by the
 * protocol of single words (docs/SHM.md, proved in tests/model). No lock, no shared list.
 */
#ifndef PGR_SHM_POOL_H
#define PGR_SHM_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"
#include "shm/word.h"

struct pgr_shm;
struct pgr_slot;

enum pgr_pool_state {
	PGR_POOL_FREE = 0,
	PGR_POOL_LIVE = 1,
	PGR_POOL_DRAINING = 2, /* its database or user was removed: clients leave between transactions */
	PGR_POOL_RETIRING = 3, /* unused: the monitor takes it apart unless a client came meanwhile */
};

enum pgr_pool_mode {
	PGR_MODE_SESSION = 0,
	PGR_MODE_TRANSACTION = 1,
	PGR_MODE_STATEMENT = 2,
};

enum pgr_on_feature {
	PGR_ON_FEATURE_PIN = 0,
	PGR_ON_FEATURE_ERROR = 1,
	PGR_ON_FEATURE_IGNORE = 2,
};

/* Keys of the configuration that the way of a query needs, resolved by the monitor. 0: off. */
#define PGR_POOL_SETTINGS(X)                                                                       \
	X(pool_mode)                                                                               \
	X(pool_size)                                                                               \
	X(min_pool_size)                                                                           \
	X(reserve_pool_size)                                                                       \
	X(reserve_pool_timeout)                                                                    \
	X(max_server_logins)                                                                       \
	X(max_db_connections)                                                                      \
	X(max_client_connections)                                                                  \
	X(queue_timeout)                                                                           \
	X(connect_timeout)                                                                         \
	X(login_retry)                                                                             \
	X(query_timeout)                                                                           \
	X(transaction_timeout)                                                                     \
	X(idle_transaction_timeout)                                                                \
	X(client_idle_timeout)                                                                     \
	X(server_idle_timeout)                                                                     \
	X(server_lifetime)                                                                         \
	X(prepared_statements)                                                                     \
	X(on_session_feature)                                                                      \
	X(catalog_refresh)

/* What a worker publishes of its waiters: count, dials under way, ticket of the oldest. */
#define PGR_WANT_MAKE(count, dials, ticket) \
	((uint64_t)(count) << 48 | (uint64_t)(dials) << 40 | ((ticket) & PGR_TICKET_MASK))
#define PGR_TICKET_MASK ((UINT64_C(1) << 40) - 1)

static inline uint32_t
pgr_want_count(uint64_t want)
{
	return (uint32_t)(want >> 48);
}

static inline uint32_t
pgr_want_dials(uint64_t want)
{
	return (uint32_t)(want >> 40 & 255);
}

static inline uint64_t
pgr_want_ticket(uint64_t want)
{
	return want & PGR_TICKET_MASK;
}

/* Why the last dial failed; cosmetic, so a torn text is possible and harmless. */
struct pgr_pool_failure {
	_Atomic uint64_t at; /* monotonic usec; 0: the last dial was good */
	_Atomic uint64_t sqlstate;
	char message[240];
};

/*
 * One pool.
 *
 *   writer     mask bit k, want[k], clients[k]: worker k; mail[k]: anybody sets, k takes by
 *              exchange; ticket: fetch_add by anybody; failure, retry_at, report, report_at,
 *              drain_at: whoever dialed last; catalog: who has won catalog_at, or read it
 *              first; sequences: any worker; all else: the monitor
 *   readers    anyone
 *   ordering   seq_cst throughout
 *   on death   a dead worker's bit and want stay until its successor clears them: whoever gives
 *              checks ALIVE first
 *   invariant  places at or above `places` are never used; FREE places may be dialed by whoever
 *              has a waiter
 */
struct pgr_pool {
	_Atomic uint64_t mask;
	_Atomic uint64_t ticket;
	_Atomic uint64_t retry_at;
	_Atomic uint32_t state;
	_Atomic uint32_t serial; /* rises each time this record is used for another pool */
	_Atomic uint32_t places;
	_Atomic uint32_t epoch; /* connections of an older one are closed at their return */
	_Atomic uint32_t paused; /* clients are given nothing; beside mask, which every lease has read */
	uint32_t host;          /* index of the server's struct pgr_host */
	_Atomic uint64_t freed; /* rises after each change of a place to FREE */
	_Atomic uint64_t report;    /* digest of what the server reported at the latest login; 0: none yet */
	_Atomic uint64_t report_at; /* when that last changed; 0: never */
	_Atomic uint64_t drain_at;  /* from when on connections that reported anything else are closed */
	_Atomic uint64_t catalog_at; /* when the catalog of the database was last looked at */
	_Atomic uint64_t catalog;    /* digest of what was seen; 0: it was not looked at yet */
	uint64_t tls;           /* hash of all that holds for TLS to the server */
	_Atomic uint32_t sequences; /* its clients ask for currval() or lastval(); set by workers */
	uint32_t forced_user;   /* the login is the database's, not the client's */
	_Atomic uint32_t kills; /* rises with each KILL: clients that joined before it end */
	struct {
#define X(name) _Atomic uint64_t name;
		PGR_POOL_SETTINGS(X)
#undef X
	} set;
	_Atomic uint32_t chunk[PGR_POOL_CHUNKS]; /* place p is slot chunk[p / 16] * 16 + p % 16 */
	_Atomic uint64_t want[PGR_WORKERS_MAX];
	_Atomic uint64_t mail[PGR_PROCS];
	_Atomic uint32_t clients[PGR_WORKERS_MAX];
	struct pgr_pool_failure failure;
	char database[PGR_NAME_MAX];    /* as the client says it */
	char user[PGR_NAME_MAX];        /* as the client says it */
	char dbname[PGR_NAME_MAX];      /* on the server */
	char server_user[PGR_NAME_MAX]; /* on the server */
} PGR_ALIGNED(64);

/*
 * A worker's view of one pool: its own FIFO is kept by the worker, only the numbers are here.
 * count and dials are as last published; `recent` is a stack of places that this worker used last.
 */
struct pgr_pool_view {
	struct pgr_shm *shm;
	struct pgr_pool *pool;
	pgr_pool_id id;
	uint32_t self;   /* process index of the worker */
	uint32_t count;  /* waiting clients of this worker */
	uint32_t dials;  /* dials of this worker under way */
	uint64_t oldest; /* ticket of the first of them */
	bool published;  /* our bit in mask is set */
	uint64_t full_at; /* pool->freed + 1 when a match last saw no place left to dial; 0: it saw some */
	bool dirty;      /* the slot caught last has unread bytes: read before sending */
	uint8_t recents;
	uint16_t recent[64];
};

/* What a match or a look at the mail brought for the calling worker. */
enum pgr_catch {
	PGR_CATCH_NONE,
	PGR_CATCH_LEASED, /* the slot is LEASED by us with a new generation: serve the oldest waiter, or
	                     return it */
	PGR_CATCH_DIAL,   /* the slot is DIALING by us: dial */
};

void pgr_pool_view_init(struct pgr_pool_view *view, struct pgr_shm *shm, pgr_pool_id id,
	uint32_t self);

struct pgr_slot *pgr_pool_slot(struct pgr_shm *shm, const struct pgr_pool *pool, uint32_t place,
	pgr_slot_id *ret_id);

/* Is nothing to be given to clients? Pairs with the store of the monitor (pools.c). */
static inline bool
pgr_pool_paused(const struct pgr_pool_view *view)
{
	return atomic_load(&view->pool->paused) != 0;
}

/*
 * Lease without waiting of a connection whose startup packet had these settings: two loads and one CAS
 * when the place used last is idle.
 */
bool pgr_pool_lease(struct pgr_pool_view *view, uint64_t startup, pgr_slot_id *ret_slot);

/* A lease of this very connection, whoever waits: for its home to look at what came unasked. */
bool pgr_pool_take(struct pgr_pool_view *view, pgr_slot_id slot, uint32_t conn);

/*
 * The connection is closed and its place dialed anew without anybody else having a chance of it, since it
 * is not what our client needs: LEASED becomes DIALING, and behind a good login LEASED again. False: a
 * cancel is under way, or a dead worker's was.
 */
bool pgr_pool_renew(struct pgr_pool_view *view, pgr_slot_id slot);
void pgr_pool_renewed(struct pgr_pool_view *view, pgr_slot_id slot);

/* The next ticket of the queue. */
uint64_t pgr_pool_ticket(struct pgr_pool_view *view);

/*
 * Tells the others how many clients of this worker wait, how many dials it has under way and the
 * ticket of its oldest waiter. Follow with pgr_pool_match until it answers NONE when there is
 * more to want than before.
 */
void pgr_pool_publish(struct pgr_pool_view *view, uint32_t count, uint32_t dials, uint64_t oldest);

/*
 * Gives away what is idle or may be dialed to whoever waited longest. Run after anything became
 * available and after a want was published, again and again until it answers NONE; the caller
 * publishes between two calls. *cursor starts at 0. now: for retry_at.
 */
enum pgr_catch pgr_pool_match(struct pgr_pool_view *view, uint64_t now, uint32_t *cursor,
	pgr_slot_id *ret_slot);

/*
 * One more waiter was published: is a match needed? Not while others of this worker wait already and
 * nothing has become dialable: whoever makes a slot idle sees our want, and either gives it to us or
 * finds us supplied, and then our poke is still to come and ends in a match.
 */
static inline bool
pgr_pool_match_needed(const struct pgr_pool_view *view)
{
	return view->count <= 1 ||
		view->full_at != atomic_load(&view->pool->freed) + 1;
}

/* Takes what was given to this worker; *bits and *cursor: 0 at first; again until NONE, then match. */
enum pgr_catch pgr_pool_take_mail(struct pgr_pool_view *view, uint64_t *bits, uint32_t *cursor,
	pgr_slot_id *ret_slot);

enum pgr_return {
	PGR_RETURN_IDLE,    /* match next */
	PGR_RETURN_CLOSING, /* poisoned: the monitor was poked; match next */
};

/* A lease or a good dial ends. close: the connection is not to be used again. */
enum pgr_return pgr_pool_return(struct pgr_pool_view *view, pgr_slot_id slot, bool close);

/*
 * The lease passes to the next waiter of the same worker without becoming idle in between: only
 * while no cancel is under way, and while no waiter of another worker, that has taken all it was
 * given, has been overtaken by more than pool_size tickets. False: return it.
 */
bool pgr_pool_transfer(struct pgr_pool_view *view, pgr_slot_id slot);

/*
 * A login is done, and digest (not 0) is of what the server reported. True: it is another server, or
 * other settings, than at the login before: what was learned from older connections no longer holds,
 * and they are to be closed. At once, unless the last change was less than a minute ago: behind one
 * address there may be servers that differ, and they must not close each other's connections for ever.
 */
bool pgr_pool_reported(struct pgr_pool *pool, uint64_t digest, uint64_t now);

/* Is this a connection to what served there before? It is not to be leased again. */
bool pgr_pool_outlived(struct pgr_pool *pool, const struct pgr_slot *slot, uint64_t now);

/* Something is waiting in another worker: a lease that could end should. */
static inline bool
pgr_pool_wanted(const struct pgr_pool_view *view)
{
	return atomic_load(&view->pool->mask) != 0; /* pairs with the mask fetch_or of publish */
}

#endif
