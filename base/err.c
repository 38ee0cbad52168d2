/*
 * Errors: a cause is written down once, at the place that knows it, and carried up unchanged.
 * Called by every folder. Nothing here allocates or logs; long texts are cut at the buffer's end.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
err_fill(struct pgr_err *err, const char *sqlstate, const char *fmt, va_list args)
{
	memset(err, 0, sizeof(*err));
	memcpy(err->sqlstate, sqlstate, 5);
	vsnprintf(err->message, sizeof(err->message), fmt, args);
}

enum pgr_rc
pgr_err_set(struct pgr_err *err, const char *sqlstate, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	err_fill(err, sqlstate, fmt, args);
	va_end(args);
	return PGR_FAIL;
}

enum pgr_rc
pgr_err_sys(struct pgr_err *err, const char *sqlstate, const char *fmt, ...)
{
	int saved = errno;
	va_list args;
	size_t len;

	va_start(args, fmt);
	err_fill(err, sqlstate, fmt, args);
	va_end(args);
	err->sys_errno = saved;
	len = strlen(err->message);
	snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerror(saved));
	return PGR_FAIL;
}

enum pgr_rc
pgr_err_hint(struct pgr_err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	return PGR_FAIL;
}
