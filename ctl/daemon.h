/*
 * The running daemon as the verbs see it.
 */
#ifndef PGR_CTL_DAEMON_H
#define PGR_CTL_DAEMON_H

#include <jansson.h>
#include <sys/types.h>

#include "ctl/ctl.h"

/*
 * Connects. On failure has reported it, with what may be wrong with the configuration file, and
 * returns -1; *ret_code is then the exit code.
 */
int pgr_daemon_open(struct pgr_ctl *ctl, int *ret_code);

/*
 * One request (stolen) on a connection of pgr_daemon_open. NULL: was refused or failed, and has
 * been reported.
 */
json_t *pgr_daemon_ask(const struct pgr_ctl *ctl, int fd, json_t *request, int seconds);

/* Both, and closes the connection. */
json_t *pgr_daemon_call(struct pgr_ctl *ctl, json_t *request, int seconds, int *ret_code);

/* The status if something answers within a few seconds, else NULL; reports nothing. */
json_t *pgr_daemon_peek(const char *control);

pid_t pgr_daemon_pid(const json_t *status);

/* A descriptor that becomes readable when the process ends; -1: it has ended already. */
int pgr_daemon_watch(pid_t pid);

#endif
