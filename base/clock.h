/*
 * Time. Durations and instants are microseconds of the monotonic clock unless a name says otherwise.
 */
#ifndef PGR_BASE_CLOCK_H
#define PGR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t pgr_usec;

#define PGR_USEC_PER_SEC UINT64_C(1000000)
#define PGR_USEC_PER_MSEC UINT64_C(1000)

pgr_usec pgr_clock_now(void);
pgr_usec pgr_clock_wall(void); /* since 1970, for showing only */

/* A moment of pgr_clock_wall() for people, such as 2026-11-26 14:14:09 UTC; "" for 0. cap: 24 will do. */
void pgr_clock_text(pgr_usec wall, char *ret, size_t cap);

#endif
