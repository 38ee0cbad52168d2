/*
 * A request on the control socket: one line, one JSON object. Pure; fuzzed by
 * tests/fuzz/fuzz_control.c.
 *
 *   {"verb": "status"}
 *   {"verb": "show", "what": "pools"}      and all of PGR_VIEWS
 *   {"verb": "reload"}
 *   {"verb": "stop", "mode": "fast"}       without mode: between transactions
 *   {"verb": "stats_fd"}                   the answer carries the statistics mapping's descriptor
 *   {"verb": "metrics"}                    OpenMetrics text
 */
#ifndef PGR_MONITOR_STATS_REQUEST_H
#define PGR_MONITOR_STATS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "worker/show.h"

#define PGR_REQUEST_MAX 65536 /* bytes of a line */

#define PGR_REQUEST_VERBS(X)                                                                       \
	X(STATUS, "status")                                                                        \
	X(SHOW, "show")                                                                            \
	X(RELOAD, "reload")                                                                        \
	X(STOP, "stop")                                                                            \
	X(STATS_FD, "stats_fd")                                                                    \
	X(METRICS, "metrics")

enum pgr_request_verb {
#define X(name, text) PGR_REQUEST_##name,
	PGR_REQUEST_VERBS(X)
#undef X
};

struct pgr_request {
	enum pgr_request_verb verb;
	enum pgr_view what; /* of SHOW */
	bool fast;                  /* of STOP */
};

/*
 * len: without the newline, at most PGR_REQUEST_MAX. FAIL: *err is what the peer is told, 08P01
 * when it was not JSON, 22023 when it was but asks for nothing that there is.
 */
PGR_MUST enum pgr_rc pgr_stats_request_parse(
	const char *line, size_t len, struct pgr_request *ret, struct pgr_err *err);

#endif
