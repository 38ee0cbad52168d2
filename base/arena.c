/*
 * Arenas: a chain of blocks, the newest first; allocation moves a cursor. Used for what lives as
 * long as one configuration, one session or one message. Blocks double up to 64 KiB.
 */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

struct pgr_arena_block {
	struct pgr_arena_block *next;
	size_t size;
	size_t used;
	char pad[8];
	char data[];
};

#define ARENA_FIRST 1024
#define ARENA_MOST 65536

void
pgr_arena_init(struct pgr_arena *arena, size_t limit)
{
	*arena = (struct pgr_arena){.limit = limit};
}

void
pgr_arena_fini(struct pgr_arena *arena)
{
	while (arena->head != NULL) {
		struct pgr_arena_block *next = arena->head->next;

		free(arena->head);
		arena->head = next;
	}
	arena->used = 0;
}

static struct pgr_arena_block *
arena_grow(struct pgr_arena *arena, size_t size)
{
	size_t want = arena->head != NULL ? PGR_MIN(arena->head->size * 2, ARENA_MOST) : ARENA_FIRST;
	struct pgr_arena_block *block;

	want = PGR_MAX(want, size);
	block = calloc(1, sizeof(*block) + want);
	if (block == NULL)
		return NULL;
	block->size = want;
	block->next = arena->head;
	arena->head = block;
	return block;
}

void *
pgr_arena_alloc(struct pgr_arena *arena, size_t size)
{
	struct pgr_arena_block *block = arena->head;
	void *out;

	if (size > (size_t)1 << 30)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	if (arena->limit != 0 && arena->used + size > arena->limit)
		return NULL;
	if (block == NULL || block->size - block->used < size)
		block = arena_grow(arena, size);
	if (block == NULL)
		return NULL;
	out = block->data + block->used;
	block->used += size;
	arena->used += size;
	return out;
}

char *
pgr_arena_strndup(struct pgr_arena *arena, const char *text, size_t len)
{
	char *copy = pgr_arena_alloc(arena, len + 1);

	if (copy != NULL)
		memcpy(copy, text, len);
	return copy;
}
