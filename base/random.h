/*
 * Random bytes for keys, salts and nonces, by the kernel's generator. It is asked for many at a time:
 * what is left waits in memory that a child of fork(2) finds empty, and is wiped as it is given out.
 */
#ifndef PGR_BASE_RANDOM_H
#define PGR_BASE_RANDOM_H

#include <stddef.h>

/* Fills p. Asserts that the kernel has a generator. For processes of one thread, as ours are. */
void pgr_random_bytes(void *p, size_t len);

#endif
