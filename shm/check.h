/*
 * The checker of a quiet segment: what must hold once every client has left, every worker has handled
 * its pokes and the monitor has swept and closed what it had to. For tests, after crashes above all: in
 * builds with crash points the master asks it at the end, the monitor after each sweep.
 */
#ifndef PGR_SHM_CHECK_H
#define PGR_SHM_CHECK_H

#include <stddef.h>
#include <stdint.h>

struct pgr_shm;

/*
 * How many invariants are violated. text receives one line for each, as many as fit, and is always
 * terminated; size is at least 1. What the successor of a killed worker still has to clear (mask bits,
 * wants, client records) is no violation; slots and login tokens are. A worker that left by itself has
 * cleared all that, only its mail nobody reads any more. A slot that is CLOSING with its connection in
 * the vault waits for its server and is none either.
 */
size_t pgr_check_segment(struct pgr_shm *shm, char *text, size_t size);

/*
 * The same for what the dead own, bit k for process k: true of them from the end of their sweep until
 * they are SWEPT, whatever the others do meanwhile. GIVEN and ASKED are not looked at: a giver may have
 * taken the dead for alive, and then takes back.
 */
size_t pgr_check_swept(struct pgr_shm *shm, uint64_t dead, char *text, size_t size);

#endif
