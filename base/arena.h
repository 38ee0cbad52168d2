/*
 * Memory by lifetime: everything in an arena ends with it; nothing is freed by hand.
 */
#ifndef PGR_BASE_ARENA_H
#define PGR_BASE_ARENA_H

#include <stddef.h>

#include "base/rc.h"

struct pgr_arena_block;

struct pgr_arena {
	struct pgr_arena_block *head; /* the block that allocations come from */
	size_t limit;                 /* bytes at most; 0: none */
	size_t used;
};

void pgr_arena_init(struct pgr_arena *arena, size_t limit);
void pgr_arena_fini(struct pgr_arena *arena);

/* 16-byte aligned zeroed memory, or NULL past the limit or out of memory. */
PGR_MUST void *pgr_arena_alloc(struct pgr_arena *arena, size_t size);
PGR_MUST char *pgr_arena_strndup(struct pgr_arena *arena, const char *text, size_t len);

#endif
