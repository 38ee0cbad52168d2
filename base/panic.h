/*
 * Assertions. PGR_ASSERT: an invariant of this process; always compiled in, ends this process only.
 * PGR_DCHECK: costly, in builds with crash points only. PGR_SUSPECT: about bytes from a peer, a file
 * or shared memory; never aborts, is counted, and its value says whether the condition was violated.
 */
#ifndef PGR_BASE_PANIC_H
#define PGR_BASE_PANIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* Where a dying process leaves its last words for the master; lies in shared memory. */
struct pgr_panic_page {
	char text[256];
};

/* From now on panics of this process are written to *page (may be NULL: stderr only). */
void pgr_panic_init(struct pgr_panic_page *page);

void pgr_panic(const char *file, int line, const char *what) PGR_NORETURN;
bool pgr_panic_suspect(const char *file, int line, const char *what);

/* How often PGR_SUSPECT found something in this process. */
uint64_t pgr_panic_suspects(void);

#define PGR_ASSERT(cond) \
	(PGR_LIKELY(cond) ? (void)0 : pgr_panic(__FILE__, __LINE__, #cond))
#define PGR_SUSPECT(cond) \
	(PGR_UNLIKELY(cond) ? pgr_panic_suspect(__FILE__, __LINE__, #cond) : false)

#ifdef PGR_CRASHPOINTS
#define PGR_DCHECK(cond) PGR_ASSERT(cond)
/* Kills this process when PGROUTE_CRASH names this point, stops it when PGROUTE_STOP does (tests/fault). */
#define PGR_CRASHPOINT(name) pgr_panic_crashpoint(name)
void pgr_panic_crashpoint(const char *name);
#else
#define PGR_DCHECK(cond) ((void)0)
#define PGR_CRASHPOINT(name) ((void)0)
#endif

#endif
