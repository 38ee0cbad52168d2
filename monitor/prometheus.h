/*
 * The statistics as OpenMetrics 1.0 text: one writer for /metrics and `pgroutectl stats --format
 * prometheus`.
 */
#ifndef PGR_MONITOR_PROMETHEUS_H
#define PGR_MONITOR_PROMETHEUS_H

#include "base/clock.h"
#include "base/err.h"
#include "monitor/stats_text.h"
#include "shm/stats.h"

#define PGR_PROMETHEUS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * Appends everything, ending with `# EOF`. now: monotonic, for how long the oldest client waits.
 * FAIL: out of memory or longer than an answer may be.
 */
PGR_MUST enum pgr_rc pgr_prometheus_write(const struct pgr_stats *stats, pgr_usec now,
	struct pgr_stats_text *out, struct pgr_err *err);

#endif
