/*
 * What is wrong with a configuration: a bounded list, so that one look at the file mends it all.
 * Texts never hold a secret: values of passwords are not quoted.
 */
#ifndef PGR_CONFIG_ERRORS_H
#define PGR_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/rc.h"

#define PGR_CONFIG_ERRORS_MAX 64

struct pgr_config_error {
	char file[256];
	uint32_t line; /* from 1; 0: the file as a whole */
	uint32_t column;
	char message[320];
	char suggestion[160]; /* `did you mean "pool_size"?`; empty: none */
	uint32_t file_index;  /* order in which files were read; the list is sorted by it */
};

struct pgr_config_errors {
	size_t n;
	size_t dropped; /* that found no room */
	struct pgr_config_error list[PGR_CONFIG_ERRORS_MAX];
};

/* `file:line:column: message (suggestion)` without a newline; returns the length as snprintf. */
int pgr_config_error_text(const struct pgr_config_error *error, char *buf, size_t size);

/* All of them, one a line, and a line about those that were dropped. */
void pgr_config_errors_print(const struct pgr_config_errors *errors, FILE *out);

#endif
