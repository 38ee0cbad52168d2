/*
 * Memory of a block: grows by doubling up to its limit. What a full block is asked to take is
 * dropped; the loader looks at `full` once, at the end.
 */
#include "config/block.h"

#include <stdlib.h>
#include <string.h>

#include "base/rc.h"

/* The old memory is overwritten: realloc would leave secrets behind. */
static bool
block_grow(struct pgr_block *block, size_t need)
{
	size_t cap = PGR_MIN(PGR_MAX(block->cap * 2, need + 4096), block->max);
	char *data = need <= block->max ? calloc(1, cap) : NULL;

	if (data == NULL) {
		block->full = true;
		return false;
	}
	if (block->data != NULL) {
		memcpy(data, block->data, block->len);
		explicit_bzero(block->data, block->cap);
		free(block->data);
	}
	block->data = data;
	block->cap = cap;
	return true;
}

static uint32_t
block_append(struct pgr_block *block, const void *data, size_t len, size_t align)
{
	size_t at = (block->len + align - 1) & ~(align - 1);

	if (block->full || len > block->max)
		block->full = true;
	else if (at + len > block->cap)
		(void)block_grow(block, at + len);
	if (block->full)
		return 0;
	if (len > 0)
		memcpy(block->data + at, data, len);
	block->len = at + len;
	return (uint32_t)at;
}

void
pgr_block_init(struct pgr_block *block, size_t head, size_t max)
{
	*block = (struct pgr_block){.max = max};
	if (block_grow(block, head))
		block->len = head;
}

void
pgr_block_fini(struct pgr_block *block)
{
	if (block->data != NULL)
		explicit_bzero(block->data, block->cap);
	free(block->data);
	*block = (struct pgr_block){0};
}

uint32_t
pgr_block_add(struct pgr_block *block, const void *data, size_t len)
{
	return block_append(block, data, len, 8);
}

uint32_t
pgr_block_add_text(struct pgr_block *block, const char *text)
{
	return block_append(block, text, strlen(text) + 1, 1);
}
