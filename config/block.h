/*
 * A position-independent block while it grows.
 */
#ifndef PGR_CONFIG_BLOCK_H
#define PGR_CONFIG_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgr_block {
	char *data;
	size_t len;
	size_t cap;
	size_t max;
	bool full; /* something found no room: the block is not to be used */
};

/* Begins with head zeroed bytes. */
void pgr_block_init(struct pgr_block *block, size_t head, size_t max);
void pgr_block_fini(struct pgr_block *block); /* overwrites, since secrets may be inside */

/* Copies bytes to the end, 8-byte aligned for what is no text; 0: no room. */
uint32_t pgr_block_add(struct pgr_block *block, const void *data, size_t len);
uint32_t pgr_block_add_text(struct pgr_block *block, const char *text);

#endif
