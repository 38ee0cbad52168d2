/*
 * Passwords as they are stored (clear text, MD5, SCRAM secret), and the two methods that are not
 * SCRAM: clear text and MD5, for both sides of the connection.
 */
#ifndef PGR_PROTO_SECRET_H
#define PGR_PROTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/rc.h"
#include "proto/scram.h"

#define PGR_SECRET_MD5_LEN 35u  /* "md5" and 32 digits */
#define PGR_SECRET_MD5_SALT 4u

enum pgr_secret_kind {
	PGR_SECRET_CLEAR,
	PGR_SECRET_MD5,
	PGR_SECRET_SCRAM,
};

struct pgr_secret {
	enum pgr_secret_kind kind;
	const char *text;           /* as given; must outlive this */
	struct pgr_scram_keys keys; /* SCRAM only; without client key */
};

/*
 * What looks like a stored password is one: "md5" with 32 lower-case hexadecimal digits,
 * "SCRAM-SHA-256$...". FAIL (22023): begins like a SCRAM secret and is none, or is empty; *err
 * never shows the text.
 */
PGR_MUST enum pgr_rc pgr_secret_parse(const char *text, struct pgr_secret *ret,
	struct pgr_err *err);

/* Is this the password? Costs a PBKDF2 run for a SCRAM secret. */
bool pgr_secret_check_plain(const struct pgr_secret *secret, const char *user,
	const char *password);

/*
 * The answer to AuthenticationMD5Password with this salt: "md5" and 32 digits, and NUL. False: a
 * SCRAM secret cannot answer.
 */
PGR_MUST bool pgr_secret_md5_answer(const struct pgr_secret *secret, const char *user,
	const char salt[PGR_SECRET_MD5_SALT], char ret[PGR_SECRET_MD5_LEN + 1]);

/* Is this (a string) the right answer of a client? */
bool pgr_secret_check_md5(const struct pgr_secret *secret, const char *user,
	const char salt[PGR_SECRET_MD5_SALT], const char *answer);

#endif
