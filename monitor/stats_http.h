/*
 * /metrics, /healthz and /readyz over HTTP.
 */
#ifndef PGR_MONITOR_STATS_HTTP_H
#define PGR_MONITOR_STATS_HTTP_H

#include "base/err.h"
#include "monitor/stats_show.h"

struct pgr_stats_http;

/*
 * listener: a listening socket, taken over. source: looked at for each request, lives as long.
 * FAIL: the listener is the caller's still.
 */
PGR_MUST enum pgr_rc pgr_stats_http_open(int listener, const struct pgr_stats_source *source,
	struct pgr_stats_http **ret, struct pgr_err *err);
void pgr_stats_http_close(struct pgr_stats_http *http);

/* An epoll instance: readable when there is something to run. */
int pgr_stats_http_fd(struct pgr_stats_http *http);

/* Does what can be done now. Returns after how many milliseconds to run again, at most cap. */
int pgr_stats_http_run(struct pgr_stats_http *http, int cap);

#endif
