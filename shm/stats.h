/*
 * Statistics: counters and histograms, one writer each, summed by readers, kept over reload and
 * respawn. A memfd of its own, sealed against new writable mappings: pgroutectl maps it read-only and
 * needs no living worker.
 */
#ifndef PGR_SHM_STATS_H
#define PGR_SHM_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/rc.h"
#include "shm/layout.h"

#define PGR_STATS_MAGIC UINT64_C(0x7067722d73746174)
#define PGR_STATS_VERSION 2

/* Per (process, pool). name, help */
#define PGR_POOL_COUNTERS(X)                                                                       \
	X(server_assignment_count, "server connections given to clients")                          \
	X(xact_count, "transactions finished")                                                     \
	X(query_count, "queries finished")                                                         \
	X(received, "bytes from clients")                                                          \
	X(sent, "bytes to clients")                                                                \
	X(xact_time, "microseconds in transactions")                                               \
	X(query_time, "microseconds in queries")                                                   \
	X(wait_time, "microseconds that clients waited for a server connection")                   \
	X(wait_count, "waits for a server connection that ended, well or not")                     \
	X(wait_failed, "waits that ended without one")                                             \
	X(client_logins, "clients logged in")                                                      \
	X(server_logins, "server connections opened")                                              \
	X(server_login_failures, "attempts to open one that failed")                               \
	X(server_parse_count, "statements prepared on servers")                                    \
	X(client_parse_count, "statements prepared by clients")                                    \
	X(bind_count, "Bind messages")                                                             \
	X(errors, "ErrorResponses of servers passed on")                                           \
	X(cancels, "cancel requests delivered")                                                    \
	X(pins, "clients pinned to their server connection")

#define PGR_POOL_GAUGES(X)                                                                         \
	X(cl_active, "clients with a server connection")                                           \
	X(cl_waiting, "clients waiting for one")                                                   \
	X(cl_idle, "clients with nothing to do")

/* Per process. */
#define PGR_PROC_COUNTERS(X)                                                                       \
	X(accepted, "connections accepted")                                                        \
	X(login_failures, "clients refused at login")                                              \
	X(refused_limit, "clients refused for a limit")                                            \
	X(protocol_violations, "connections closed for broken protocol")                           \
	X(handovers, "server connections given to a client of another worker")                     \
	X(transfers, "server connections passed to the next client of the same worker")            \
	X(vault_asks, "descriptors fetched from the vault")                                        \
	X(settings_sent, "settings statements sent in front of a query")                           \
	X(catalog_loads, "times that a database's catalog was read")                               \
	X(tls_handshakes, "TLS handshakes with clients")                                           \
	X(tls_resumed, "TLS handshakes with clients that resumed a session")                       \
	X(tls_failures, "TLS handshakes with clients that failed")                                 \
	X(server_tls_handshakes, "TLS handshakes with servers")                                    \
	X(server_tls_failures, "TLS handshakes with servers that failed")                          \
	X(tls_lent, "leases of server connections whose TLS is another worker's")                  \
	X(wakeups, "turns of the event loop")                                                      \
	X(suspects, "suspicious values found")

#define PGR_HISTOGRAMS(X)                                                                          \
	X(query, "query")                                                                          \
	X(xact, "transaction")                                                                     \
	X(wait, "wait for a server connection")                                                    \
	X(login, "login of a client")

/*
 * Log-linear: 4 cells per power of two, of microseconds. Cell i holds values below
 * pgr_histogram_bound(i) and at or above the bound of i - 1; the last one everything above.
 */
#define PGR_HISTOGRAM_CELLS 128

struct pgr_histogram {
	_Atomic uint64_t count;
	_Atomic uint64_t sum;
	_Atomic uint64_t cell[PGR_HISTOGRAM_CELLS];
};

struct pgr_stats_pool {
#define X(name, help) _Atomic uint64_t name;
	PGR_POOL_COUNTERS(X)
	PGR_POOL_GAUGES(X)
#undef X
	_Atomic uint64_t oldest_wait; /* monotonic usec since when the oldest waits; 0: nobody */
} PGR_ALIGNED(64);

struct pgr_stats_proc {
#define X(name, help) _Atomic uint64_t name;
	PGR_PROC_COUNTERS(X)
#undef X
#define X(name, help) struct pgr_histogram name;
	PGR_HISTOGRAMS(X)
#undef X
	struct pgr_stats_pool pool[PGR_POOLS_MAX];
} PGR_ALIGNED(64);

/* What the monitor knows of a pool, refreshed each second and at each change it makes. */
struct pgr_stats_directory {
	_Atomic uint32_t serial; /* 0: unused */
	uint32_t pool_mode;
	char database[PGR_NAME_MAX];
	char user[PGR_NAME_MAX];
	char host[256];
	uint32_t port;
	char dbname[PGR_NAME_MAX];
	_Atomic uint64_t pool_size;
	_Atomic uint64_t reserve_pool_size;
	_Atomic uint64_t sv_active;
	_Atomic uint64_t sv_idle;
	_Atomic uint64_t sv_used; /* given or asked, on their way to a client */
	_Atomic uint64_t sv_login;
	_Atomic uint64_t sv_closing;
	_Atomic uint64_t closes[16]; /* by enum pgr_close_reason */
};

struct pgr_stats {
	uint64_t magic;
	uint32_t version;
	uint32_t workers;
	_Atomic uint64_t started; /* wall clock, usec */
	_Atomic uint64_t reloads;
	_Atomic uint64_t respawns;
	_Atomic uint32_t pools_used;
	_Atomic uint64_t max_clients;
	_Atomic uint32_t pid[PGR_PROCS];
	_Atomic uint64_t beat[PGR_PROCS];
	struct pgr_stats_directory directory[PGR_POOLS_MAX];
	struct pgr_stats_proc proc[PGR_PROCS];
};

/* Single writer: a plain load and store, no locked instruction. */
static inline void
pgr_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(
		counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t
pgr_stat_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

static inline uint32_t
pgr_histogram_cell(uint64_t usec)
{
	uint32_t power;
	uint32_t cell;

	if (usec < 4)
		return (uint32_t)usec;
	power = 63u - (uint32_t)__builtin_clzll(usec);
	cell = (power - 1) * 4 + (uint32_t)(usec >> (power - 2) & 3);
	return PGR_MIN(cell, PGR_HISTOGRAM_CELLS - 1u);
}

/* Upper bound (exclusive) of a cell in microseconds; UINT64_MAX for the last. */
static inline uint64_t
pgr_histogram_bound(uint32_t cell)
{
	uint32_t next = cell + 1;

	if (next >= PGR_HISTOGRAM_CELLS)
		return UINT64_MAX;
	if (next < 4)
		return next;
	return (UINT64_C(4) + next % 4) << (next / 4 - 1);
}

static inline void
pgr_histogram_add(struct pgr_histogram *h, uint64_t usec)
{
	pgr_stat_add(&h->count, 1);
	pgr_stat_add(&h->sum, usec);
	pgr_stat_add(&h->cell[pgr_histogram_cell(usec)], 1);
}

#endif
