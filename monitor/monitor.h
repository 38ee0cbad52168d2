/*
 * The monitor: makes and takes apart pools, sweeps after deaths, closes server connections to their
 * true end, holds limits that go over pools. Never touches a client byte. The only repairer.
 */
#ifndef PGR_MONITOR_MONITOR_H
#define PGR_MONITOR_MONITOR_H

#include "base/clock.h"
#include "config/config.h"
#include "net/loop.h"
#include "net/secure.h"
#include "net/sock.h"
#include "shm/secret.h"
#include "shm/segment.h"
#include "shm/stats.h"

/* A server connection that the monitor holds a duplicate of. */
struct pgr_watched {
	pgr_slot_id slot;
	int fd; /* -1: none */
	uint32_t conn;
	bool asked;          /* the vault was asked */
	pgr_usec asked_at;
	bool ending;         /* Terminate and the end of our side were sent */
	bool overdue;        /* close_timeout has passed and was logged */
	pgr_usec since;      /* when closing began */
	struct pgr_stream cancel; /* a cancel under way; fd -1: none */
	enum pgr_secure_stage cancel_secure;
	bool cancel_sent;
};

/* A slot that was seen GIVEN or ASKED, and since when it has been this very offer. */
struct pgr_offer {
	pgr_word word;
	pgr_usec since;
};

struct pgr_monitor {
	struct pgr_shm *shm;
	struct pgr_loop loop;
	pgr_usec now;
	int master;
	const struct pgr_config *config;
	const struct pgr_config_secrets *secrets;
	struct pgr_secure_contexts contexts; /* TLS towards servers */
	uint64_t version;
	struct pgr_keepalive keepalive;
	struct pgr_watched **watched;        /* by slot id */
	uint32_t watched_top;
	struct pgr_offer *offer;             /* by slot id */
	struct pgr_pool_view **view;         /* by pool id: for giving */
	uint64_t chunk_used[PGR_CHUNKS_MAX / 64];
	pgr_usec unused_since[PGR_POOLS_MAX]; /* pools without clients and connections; 0: in use */
	uint32_t next_worker;                /* whom to ask for the next dial */
};

/* Runs until the master closes its end. */
int pgr_monitor_run(struct pgr_shm *shm, int master);

/* ---- pools.c: the table of pools ---- */
void pgr_pools_start(struct pgr_monitor *m);
void pgr_pools_answer_asks(struct pgr_monitor *m);
void pgr_pools_reload(struct pgr_monitor *m);
void pgr_pools_retire(struct pgr_monitor *m, pgr_pool_id id);

/* ---- places.c: how many connections a pool may have, and which ---- */
/* pool_size was lowered: what lies beyond ends, and is not kept as a reserve. */
void pgr_places_lowered(struct pgr_monitor *m, pgr_pool_id id);
void pgr_places_attend(struct pgr_monitor *m, pgr_pool_id id);
void pgr_places_tell(struct pgr_monitor *m, pgr_pool_id id); /* statistics */

/* ---- closing.c: watching and ending connections ---- */
void pgr_closing_watch(struct pgr_monitor *m, pgr_slot_id slot);
/* One step towards the end of a CLOSING slot. True: it has ended, its place is free. */
bool pgr_closing_step(struct pgr_monitor *m, pgr_slot_id slot);
void pgr_closing_event(struct pgr_monitor *m, struct pgr_watched *watched);
void pgr_closing_on_vault(struct pgr_monitor *m);
bool pgr_closing_begin(struct pgr_monitor *m, pgr_slot_id slot, enum pgr_close_reason reason);

/* Is the process that speaks TLS on this connection alive? True where it is in clear. */
bool pgr_closing_home_lives(struct pgr_monitor *m, const struct pgr_slot *slot);

/* ---- sweep.c: after a death, and when a worker has stopped ---- */
void pgr_sweep(struct pgr_monitor *m);
/* The slot is GIVEN or ASKED: taken back if its worker leaves it lying. The caller matches. */
void pgr_sweep_offer(struct pgr_monitor *m, struct pgr_pool *pool, pgr_slot_id id);

/* ---- hosts.c: addresses ---- */
void pgr_hosts_start(struct pgr_monitor *m);
uint32_t pgr_hosts_get(struct pgr_monitor *m, const char *name, uint16_t port); /* UINT32_MAX: full */
bool pgr_hosts_pending(void);
void pgr_hosts_turn(struct pgr_monitor *m);

/* Gives what is available in this pool to whoever waits. */
void pgr_monitor_match(struct pgr_monitor *m, pgr_pool_id id);

#endif
