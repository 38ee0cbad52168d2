/*
 * The sizes of the shared segment. Address space is reserved for the largest set-up that pgroute
 * serves; memory is used only where it was touched (docs/SHM.md draws the whole).
 */
#ifndef PGR_SHM_LAYOUT_H
#define PGR_SHM_LAYOUT_H

#include <stdint.h>

#include "base/rc.h"

#define PGR_WORKERS_MAX 62                  /* worker k is process k and bit k of a pool's mask */
#define PGR_PROC_MONITOR 62
#define PGR_PROC_STATS 63
#define PGR_PROCS 64
#define PGR_POOLS_MAX 16384
#define PGR_SLOTS_MAX 262144                /* server connections of all pools together */
#define PGR_CHUNK_SLOTS 16                  /* slots are given to pools in chunks */
#define PGR_CHUNKS_MAX (PGR_SLOTS_MAX / PGR_CHUNK_SLOTS)
#define PGR_POOL_CHUNKS 64                  /* so a pool has at most 1024 places */
#define PGR_PLACES_MAX (PGR_POOL_CHUNKS * PGR_CHUNK_SLOTS)
#define PGR_MAIL_BITS 64                    /* place p is announced by mail bit p % 64 */
#define PGR_CLIENTS_MAX (1 << 20)           /* client records, over all workers */
#define PGR_NAME_MAX 64                     /* NAMEDATALEN */
#define PGR_KEY_MAX 256                     /* longest cancel key of protocol 3.2 */
#define PGR_HOSTS_MAX 4096
#define PGR_LOGINS_MAX 64                   /* most max_server_logins */
#define PGR_STATEMENTS_MAX 1500             /* most prepared_statements per server connection */
#define PGR_STATEMENT_CELLS 2048            /* cells of its table */
#define PGR_SETTINGS_BYTES 4096             /* applied settings of one server connection */
#define PGR_REPORTED_BYTES 2048             /* what a server reported at login */

/* Handles: one-member structs, so that one kind cannot be passed for another. */
typedef struct { uint32_t n; } pgr_slot_id;
typedef struct { uint32_t n; } pgr_pool_id;
typedef struct { uint32_t n; } pgr_client_id;

#define PGR_NO_SLOT ((pgr_slot_id){UINT32_MAX})
#define PGR_NO_POOL ((pgr_pool_id){UINT32_MAX})

#endif
