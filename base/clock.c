/*
 * The two clocks. The event loops read the monotonic one once per wake-up and pass it on; nothing on
 * the way of a query calls it again.
 */
#include "base/clock.h"

#include <time.h>

static pgr_usec
clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (pgr_usec)ts.tv_sec * PGR_USEC_PER_SEC + (pgr_usec)ts.tv_nsec / 1000;
}

pgr_usec
pgr_clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

pgr_usec
pgr_clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}
