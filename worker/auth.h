/*
 * Is a client who it says it is? Without I/O: messages in, messages out.
 */
#ifndef PGR_WORKER_AUTH_H
#define PGR_WORKER_AUTH_H

#include "proto/out.h"
#include "proto/scram.h"
#include "proto/secret.h"
#include "worker/worker.h"

struct pgr_auth {
	enum pgr_config_auth method; /* in force for this user */
	bool known;                  /* the user exists; else secret[] are of one like whom it is treated */
	char user[PGR_NAME_MAX];
	unsigned secrets;
	struct pgr_secret secret[PGR_SCRAM_PASSWORDS];
	char md5_salt[PGR_SECRET_MD5_SALT];
	struct pgr_scram_binding binding; /* of the connection; the caller's to set */
	bool certified;                   /* the client showed a certificate that was verified, */
	char common_name[PGR_NAME_MAX];   /* whose common name is this; the caller's to set */
	bool begun; /* SASLInitialResponse was read */
	struct pgr_scram_keys keys[PGR_SCRAM_PASSWORDS];
	struct pgr_scram_server scram;
};

/*
 * auth is zeroed, but for what the connection tells. Chooses the method and writes the first request. OK:
 * trusted; AGAIN: wait for an answer.
 */
PGR_MUST enum pgr_rc pgr_auth_begin(struct pgr_worker *w, struct pgr_auth *auth, const char *user,
	struct pgr_out *out, struct pgr_err *err);

/* Does the client's certificate bear this name? FAIL: 28000. */
PGR_MUST enum pgr_rc pgr_auth_check_name(
	const struct pgr_auth *auth, const char *user, struct pgr_err *err);

/* body: of one password message. OK: it is who it says; AGAIN: send out, wait for the next. */
PGR_MUST enum pgr_rc pgr_auth_answer(struct pgr_worker *w, struct pgr_auth *auth, const char *body,
	size_t len, struct pgr_out *out, struct pgr_err *err);

/*
 * What a login to a server as this user can use: the clear text password (or NULL), and a secret
 * with keys that a client has proved (has_client) or not.
 */
struct pgr_credentials {
	char user[PGR_NAME_MAX];
	const char *password; /* in the configuration's secrets: valid for this turn only */
	const char *md5;      /* likewise, "md5..." */
	const char *scram;    /* likewise, "SCRAM-SHA-256$..." */
};

/* Of a pool's login: the database's own, or its user's. */
void pgr_auth_credentials(
	struct pgr_worker *w, const struct pgr_pool *pool, struct pgr_credentials *ret);

/* Keys that are remembered for (user, text), where text is a password with its salt or a secret. */
bool pgr_auth_recall(struct pgr_worker *w, const char *user, const char *text,
	const struct pgr_scram_keys *wanted, struct pgr_scram_keys *ret);
void pgr_auth_remember(struct pgr_worker *w, const char *user, const char *text,
	const struct pgr_scram_keys *keys);

#endif
