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

void
pgr_clock_text(pgr_usec wall, char *ret, size_t cap)
{
	time_t sec = (time_t)(wall / PGR_USEC_PER_SEC);
	struct tm tm;

	ret[0] = '\0';
	if (wall != 0 && gmtime_r(&sec, &tm) != NULL && strftime(ret, cap, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		ret[0] = '\0'; /* what strftime(3) leaves of a text that does not fit is undefined */
}
