/*
 * Values: the text of one scalar to what it means, and back. Pure.
 */
#ifndef PGR_CONFIG_VALUE_H
#define PGR_CONFIG_VALUE_H

#include "config/complain.h"
#include "config/keys.h"

/*
 * BOOL, INT, DURATION, SIZE and WORD of a key, with its range. False: *complaint says why, without
 * naming the key. A word that waits for something is a value here; pgr_value_later says so.
 */
PGR_MUST bool pgr_value_parse(const struct pgr_key *key, const char *text, uint64_t *ret,
	struct pgr_complaint *complaint);

/* What the word waits for, or NULL. */
const char *pgr_value_later(const struct pgr_key *key, const char *word);

/* The value as one would write it. */
void pgr_value_format(const struct pgr_key *key, uint64_t value, char *buf, size_t size);

struct pgr_value_address {
	const char *host; /* inside of text, not terminated */
	size_t host_len;
	uint16_t port; /* 0: a directory without one */
	bool is_unix;
};

/* `host:port`, `[v6]:port`, `/directory` or `/directory:port`. */
PGR_MUST bool pgr_value_address(
	const char *text, struct pgr_value_address *ret, struct pgr_complaint *complaint);

/* Which form a password has. None, and a malformed SCRAM secret, are refused (false) unquoted. */
PGR_MUST bool pgr_value_secret(
	const char *text, enum pgr_config_secret_kind *ret, struct pgr_complaint *complaint);

/* Have two well-formed SCRAM secrets equal salt and iterations? */
bool pgr_value_scram_alike(const char *a, const char *b);

#endif
