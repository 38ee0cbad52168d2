/*
 * The checker of a quiet segment: what must hold once every client has left, every worker has handled
 * its pokes and the monitor has closed what was to be closed. For tests, after crashes above all.
 */
#ifndef PGR_SHM_CHECK_H
#define PGR_SHM_CHECK_H

#include <stddef.h>

struct pgr_shm;

/*
 * How many invariants are violated. text receives one line for each, as many as fit, and is always
 * terminated; size is at least 1. What a process that is not ALIVE still has to clear at the start of
 * its successor (mask bits, wants, client records) is no violation; slots and login tokens are.
 */
size_t pgr_check_segment(struct pgr_shm *shm, char *text, size_t size);

#endif
