/*
 * Results and errors as people and programs read them.
 */
#ifndef PGR_CTL_REPORT_H
#define PGR_CTL_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"
#include "ctl/ctl.h"

/*
 * `pgroutectl: message (hint)` on stderr; with --json {"ok": false, "error": ..., "hint": ...} on
 * stdout too. hint may be NULL. A message of several lines stays that. Returns code.
 */
int pgr_report_error(const struct pgr_ctl *ctl, int code, const char *hint, const char *fmt, ...)
	PGR_PRINTF(4, 5);

/* The same for what the daemon refused or what went wrong on the way to it. */
int pgr_report_err(const struct pgr_ctl *ctl, int code, const struct pgr_err *err);
int pgr_report_refusal(const struct pgr_ctl *ctl, const json_t *answer);

/* The errors of a configuration, one a line. */
int pgr_report_config(const struct pgr_ctl *ctl, const struct pgr_config_errors *errors);

/* With --json the object, else the line. Both are the caller's. Returns 0. */
int pgr_report_done(const struct pgr_ctl *ctl, const json_t *object, const char *fmt, ...)
	PGR_PRINTF(3, 4);

/* Any JSON as text, with a newline. */
void pgr_report_json(const json_t *json);

/*
 * Rows (objects) as a table: numbers to the right. columns: an array of names; NULL: the keys of
 * the first row. Bytes that a terminal would act on are shown as '?'.
 */
void pgr_report_table(const json_t *columns, const json_t *rows);

#endif
