/*
 * How config/ says what is wrong: a complaint is a message and a suggestion; with a place it
 * becomes an error in the list.
 */
#ifndef PGR_CONFIG_COMPLAIN_H
#define PGR_CONFIG_COMPLAIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/errors.h"

struct pgr_complaint {
	char message[320];
	char suggestion[160];
};

struct pgr_place {
	const char *file;
	uint32_t file_index;
	uint32_t line; /* from 1 */
	uint32_t column;
};

/* Sets the message and empties the suggestion. */
void pgr_complaint_set(struct pgr_complaint *complaint, const char *fmt, ...) PGR_PRINTF(2, 3);
void pgr_complaint_suggest(struct pgr_complaint *complaint, const char *fmt, ...) PGR_PRINTF(2, 3);

void pgr_errors_add(struct pgr_config_errors *errors, struct pgr_place place,
	const struct pgr_complaint *complaint);

/* Into the order of the files. */
void pgr_errors_sort(struct pgr_config_errors *errors);

/* The known name nearest to a given one; best is NULL when none is near. */
struct pgr_guess {
	const char *given;
	size_t len;
	size_t distance;
	const char *best;
};

void pgr_guess_init(struct pgr_guess *guess, const char *given, size_t len);
void pgr_guess_offer(struct pgr_guess *guess, const char *name);

#endif
