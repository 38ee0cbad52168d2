/*
 * ErrorResponse and NoticeResponse, both ways (PostgreSQL documentation, "Error and Notice Message
 * Fields").
 */
#ifndef PGR_PROTO_ERROR_H
#define PGR_PROTO_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/rc.h"
#include "proto/out.h"

/* Bytes that any message built here fits into. */
#define PGR_ERROR_MOST 640u

enum pgr_severity {
	PGR_SEVERITY_NOTICE, /* this and WARNING make a NoticeResponse */
	PGR_SEVERITY_WARNING,
	PGR_SEVERITY_ERROR,
	PGR_SEVERITY_FATAL,
	PGR_SEVERITY_PANIC, /* only ever received */
};

/* Appends one message with the fields S, V, C, M and, where there is a hint, H. */
void pgr_error_write(struct pgr_out *out, enum pgr_severity severity, const struct pgr_err *err);

/*
 * What a server sent. Every pointer is a string, never NULL: into the body, or a constant where the
 * field is missing or unterminated.
 */
struct pgr_error {
	enum pgr_severity severity; /* ERROR where it cannot be told */
	const char *sqlstate;       /* always five characters; XX000 where there is no good one */
	const char *message;        /* never empty */
	const char *detail;         /* empty: none; so is hint */
	const char *hint;
	const char *routine;        /* of the server's source, which is never translated; or empty */
};

/* body: behind the length word. Cannot fail: whatever is wrong with it, something can be told. */
void pgr_error_parse(const char *body, size_t len, struct pgr_error *ret);

/* As a cause of our own, to be told to somebody else. Returns PGR_FAIL. */
enum pgr_rc pgr_error_to_err(const struct pgr_error *e, struct pgr_err *err);

/*
 * All fields in order, such as for rewriting one. *pos starts as 0. False at the terminator, or
 * where the rest is not well-formed.
 */
bool pgr_error_next(const char *body, size_t len, size_t *pos, char *ret_code,
	const char **ret_value);

#endif
