/*
 * What the tests of config/ share: loading a text, and asking the list of errors for one.
 */
#ifndef PGR_TESTS_CONFIG_UTIL_H
#define PGR_TESTS_CONFIG_UTIL_H

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "unit.h"

/* A SCRAM secret in the right form (keys of 32 zero bytes). */
#define SCRAM_SECRET(salt)                                                          \
	"SCRAM-SHA-256$4096:" salt "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static struct pgr_config_errors load_errors;

/* Loads a text that must be right. */
static inline struct pgr_config_pair
load_good(const char *text)
{
	struct pgr_config_pair pair = {0};
	enum pgr_rc rc = pgr_config_load_text("t.yaml", text, strlen(text), &pair, &load_errors);

	if (rc != PGR_OK)
		pgr_config_errors_print(&load_errors, stderr);
	ck_assert_int_eq(rc, PGR_OK);
	return pair;
}

/* Loads a text that must be wrong; the errors stay in load_errors. */
static inline void
load_bad(const char *text)
{
	struct pgr_config_pair pair = {0};
	enum pgr_rc rc = pgr_config_load_text("t.yaml", text, strlen(text), &pair, &load_errors);

	ck_assert_int_eq(rc, PGR_FAIL);
	ck_assert_ptr_null(pair.config);
	ck_assert_uint_gt(load_errors.n, 0);
}

/* The i-th error as it is printed. */
static inline const char *
error_line(size_t i)
{
	static char line[800];

	ck_assert_uint_lt(i, load_errors.n);
	pgr_config_error_text(&load_errors.list[i], line, sizeof(line));
	return line;
}

/* A wrong text with exactly this one error. */
static inline void
assert_error(const char *text, const char *line)
{
	load_bad(text);
	ck_assert_str_eq(error_line(0), line);
	ck_assert_uint_eq(load_errors.n, 1);
}

#endif
