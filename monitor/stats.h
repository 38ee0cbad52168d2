/*
 * The stats process: HTTP, the control socket, averages.
 */
#ifndef PGR_MONITOR_STATS_H
#define PGR_MONITOR_STATS_H

#include "shm/segment.h"

/*
 * Runs until the master's socket closes; returns the exit code. control_listener: a listening Unix
 * stream socket, http_listener: a listening TCP socket, -1 for none; master: a socket of
 * net/fdpass.h notes. All three are non-blocking and taken over.
 */
int pgr_stats_run(struct pgr_shm *shm, int control_listener, int http_listener, int master);

#endif
