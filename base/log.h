/*
 * Logging. One line per event: "time level [role] event: text" or the same as JSON. Folders base to
 * route never log; worker, monitor, master and ctl log once, where the code gives up.
 */
#ifndef PGR_BASE_LOG_H
#define PGR_BASE_LOG_H

#include <stdbool.h>

#include "base/rc.h"

enum pgr_log_level {
	PGR_LOG_DEBUG,
	PGR_LOG_INFO,
	PGR_LOG_WARN,
	PGR_LOG_ERROR,
};

/* role: shown with each line ("worker 0"). Lines go to stderr. */
void pgr_log_init(const char *role, enum pgr_log_level least, bool json);

/* The same for a process that has its role: what a reload may change. */
void pgr_log_set(enum pgr_log_level least, bool json);

/* Stderr is this open file from now on. Takes over fd; one below 0 changes nothing. */
void pgr_log_take(int fd);

/*
 * event: a stable dotted name ("client.refused"). More than 20 lines of one event in a second are
 * held back and told as a count when the second is over.
 */
void pgr_log(enum pgr_log_level level, const char *event, const char *fmt, ...) PGR_PRINTF(3, 4);

/* Tells the counts of what was held back; called by the loops once a second. */
void pgr_log_flush(void);

#endif
