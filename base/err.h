/*
 * A cause: filled once, where it is known, in the words that the client or operator will read.
 */
#ifndef PGR_BASE_ERR_H
#define PGR_BASE_ERR_H

#include "base/rc.h"

struct pgr_err {
	char sqlstate[6]; /* five characters of PostgreSQL's appendix A, NUL-terminated */
	int sys_errno;    /* 0, or the errno that caused it */
	char message[320];
	char hint[200]; /* empty: none */
};

/* Fills *err and returns PGR_FAIL, so that a function can end with it. err may not be NULL. */
enum pgr_rc pgr_err_set(struct pgr_err *err, const char *sqlstate, const char *fmt, ...)
	PGR_PRINTF(3, 4);

/* The same with errno: its text is appended after a colon. Keeps the errno in err->sys_errno. */
enum pgr_rc pgr_err_sys(struct pgr_err *err, const char *sqlstate, const char *fmt, ...)
	PGR_PRINTF(3, 4);

/* Adds the way out. */
enum pgr_rc pgr_err_hint(struct pgr_err *err, const char *fmt, ...) PGR_PRINTF(2, 3);

#endif
