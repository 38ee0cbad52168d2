/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677, and PostgreSQL's "SASL Authentication"), both sides, as step
 * functions over the caller's memory. Channel binding is tls-server-end-point: whoever has TLS gives
 * the hash of the server's certificate, and both sides prove that they see the same. Nothing here
 * allocates but SASLprep, and only for passwords beyond ASCII.
 *
 * Keys are what costs: PBKDF2 runs only in pgr_scram_derive(). Whoever keeps struct pgr_scram_keys
 * verifies a client, or logs in to a server with the same salt and iterations, for five HMACs.
 */
#ifndef PGR_PROTO_SCRAM_H
#define PGR_PROTO_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rc.h"
#include "proto/digest.h"

#define PGR_SCRAM_MECHANISM "SCRAM-SHA-256"
#define PGR_SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"
#define PGR_SCRAM_BINDING_MOST 64u          /* bytes of a certificate's hash */
#define PGR_SCRAM_ITERATIONS 4096u          /* PostgreSQL's default */
#define PGR_SCRAM_ITERATIONS_MOST 1000000u  /* what we are willing to compute */
#define PGR_SCRAM_SALT_LEN 16u              /* of salts that we make */
#define PGR_SCRAM_SALT_MOST 128u
#define PGR_SCRAM_NONCE_RAW 18u
#define PGR_SCRAM_NONCE_LEN PGR_BASE64_LEN(PGR_SCRAM_NONCE_RAW)
#define PGR_SCRAM_NONCE_MOST 512u           /* characters of a peer's own part of the nonce */
#define PGR_SCRAM_FIRST_MOST 1024u          /* client-first-message */
#define PGR_SCRAM_FINAL_MOST 2048u          /* client-final-message, server-first-message */
#define PGR_SCRAM_AUTH_MOST 4096u           /* AuthMessage */
#define PGR_SCRAM_SECRET_MOST 320u          /* characters of a stored secret, with NUL */
#define PGR_SCRAM_PASSWORDS 8u              /* that one user may have at a time */

/* Of one password, one salt and one iteration count. No pointers: may lie in shared memory. */
struct pgr_scram_keys {
	uint32_t iterations;
	uint16_t salt_len;
	bool mock;       /* of a user that does not exist: no proof is right */
	bool has_client; /* client_key is known; without it these verify, but cannot log in */
	uint8_t salt[PGR_SCRAM_SALT_MOST];
	uint8_t stored_key[PGR_SHA256_LEN];
	uint8_t server_key[PGR_SHA256_LEN];
	uint8_t client_key[PGR_SHA256_LEN];
};

/* The hash of the server's certificate; len 0: no TLS, or a certificate that has none. */
struct pgr_scram_binding {
	uint8_t hash[PGR_SCRAM_BINDING_MOST];
	size_t len;
};

/* ---- keys ---- */

/*
 * From a clear text password, by SASLprep (or as it is, where that fails: PostgreSQL's rule). Salt
 * and iterations are within the bounds above (asserted). FAIL: out of memory (53200).
 */
PGR_MUST enum pgr_rc pgr_scram_derive(const char *password, const uint8_t *salt, size_t salt_len,
	uint32_t iterations, struct pgr_scram_keys *ret, struct pgr_err *err);

/* From "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey". FAIL (22023): *err shows no secret. */
PGR_MUST enum pgr_rc pgr_scram_parse_secret(const char *text, struct pgr_scram_keys *ret,
	struct pgr_err *err);

/* The other way; returns the number of characters. */
size_t pgr_scram_format_secret(const struct pgr_scram_keys *keys, char ret[PGR_SCRAM_SECRET_MOST]);

/*
 * The salt of a user for whom none is stored, known or not: the same at each login, in each worker
 * and after a reload, as long as seed is the same; seed is random and leaves the process tree
 * never.
 */
void pgr_scram_salt(const uint8_t seed[PGR_SHA256_LEN], const char *user,
	uint8_t ret[PGR_SCRAM_SALT_LEN]);

/* Keys of a user that does not exist: the exchange goes as with any other and fails in the end. */
void pgr_scram_mock(const uint8_t seed[PGR_SHA256_LEN], const char *user, uint32_t iterations,
	struct pgr_scram_keys *ret);

/* Same salt and iterations: with client_key known, a login by these keys will do. */
bool pgr_scram_same_salt(const struct pgr_scram_keys *a, const struct pgr_scram_keys *b);

/* ---- the server's side ---- */

enum pgr_scram_state {
	PGR_SCRAM_FIRST,
	PGR_SCRAM_FINAL,
	PGR_SCRAM_DONE,
};

struct pgr_scram_server {
	enum pgr_scram_state state;
	const char *user;
	const struct pgr_scram_keys *keys[PGR_SCRAM_PASSWORDS];
	unsigned n_keys;
	unsigned matched;   /* after OK: which of keys[] it was */
	uint8_t client_key[PGR_SHA256_LEN]; /* after OK: from the proof; good for a login as user */
	const char *out;    /* after AGAIN and OK: the data to send; lies in this struct */
	size_t out_len;
	char nonce[2 * PGR_SCRAM_NONCE_LEN]; /* our half; made at the first step unless it is there */
	struct pgr_scram_binding binding; /* set it after init; with one, PLUS is on offer */
	bool plus;          /* the client has chosen PLUS */
	char gs2;           /* 'n', 'y' or 'p' */
	size_t nonce_at;    /* the whole nonce, in auth[] */
	size_t nonce_len;
	size_t auth_len;
	char auth[PGR_SCRAM_AUTH_MOST];
	char last[PGR_BASE64_LEN(PGR_SHA256_LEN) + 3]; /* server-final-message */
};

/*
 * keys: one for each password that is valid now, at least one, all with the first one's salt and
 * iterations (asserted); they and user must outlive s.
 */
void pgr_scram_server_init(struct pgr_scram_server *s, const char *user,
	const struct pgr_scram_keys *const *keys, unsigned n_keys);

/*
 * in: the data of SASLInitialResponse, then that of SASLResponse; NULL: an initial response without
 * data. AGAIN: send out in AuthenticationSASLContinue and wait for the client. OK: send out in
 * AuthenticationSASLFinal; the client knows a password. FAIL: 28P01 when it does not, else what
 * PostgreSQL says of the message (08P01, 0A000).
 */
PGR_MUST enum pgr_rc pgr_scram_server_step(struct pgr_scram_server *s, const char *in, size_t len,
	struct pgr_err *err);

/*
 * The body of SASLInitialResponse: checks that the mechanism is one that s offers, notes it, and gives
 * the data (NULL: none).
 */
PGR_MUST enum pgr_rc pgr_scram_initial(struct pgr_scram_server *s, const char *body, size_t len,
	const char **ret_data, size_t *ret_len, struct pgr_err *err);

/* ---- the client's side ---- */

struct pgr_scram_client {
	struct pgr_scram_binding binding; /* set it before; used where the server offers PLUS */
	char gs2;                         /* 'p' with PLUS; 'y': we would have; 'n': we could not */
	struct pgr_scram_keys wanted; /* after the challenge: the server's salt and iterations */
	const char *out;              /* the data to send; lies in this struct */
	size_t out_len;
	char nonce[PGR_SCRAM_NONCE_LEN + 1];
	uint8_t signature[PGR_SHA256_LEN]; /* that the server must show */
	size_t nonce_at;                   /* the whole nonce, in auth[] */
	size_t nonce_len;
	size_t auth_len;
	char auth[PGR_SCRAM_AUTH_MOST];
	char message[PGR_SCRAM_FINAL_MOST];
};

/*
 * Chooses from the list in AuthenticationSASL (its bytes behind the request code): PLUS with a binding,
 * else SCRAM-SHA-256. FAIL (08P01): there is neither.
 */
PGR_MUST enum pgr_rc pgr_scram_client_choose(struct pgr_scram_client *c, const char *list, size_t len,
	struct pgr_err *err);

/* What was chosen. */
const char *pgr_scram_client_mechanism(const struct pgr_scram_client *c);

/* Begins; out is the data of SASLInitialResponse. */
void pgr_scram_client_begin(struct pgr_scram_client *c);

/*
 * in: data of AuthenticationSASLContinue. Fills wanted. FAIL (08P01) for whatever is malformed,
 * longer or costlier than the bounds above.
 */
PGR_MUST enum pgr_rc pgr_scram_client_challenge(struct pgr_scram_client *c, const char *in,
	size_t len, struct pgr_err *err);

/*
 * The keys to go on with: *keys stays when it has a client key and the salt fits; else they are
 * derived anew from password. FAIL (28P01): there is no password (NULL) and *keys does not fit.
 */
PGR_MUST enum pgr_rc pgr_scram_client_keys(const struct pgr_scram_client *c, const char *password,
	struct pgr_scram_keys *keys, struct pgr_err *err);

/* out is the data of SASLResponse. keys: as wanted (asserted). */
void pgr_scram_client_prove(struct pgr_scram_client *c, const struct pgr_scram_keys *keys);

/* in: data of AuthenticationSASLFinal. OK: the server knows the password too. FAIL: 28P01, 08P01. */
PGR_MUST enum pgr_rc pgr_scram_client_verify(const struct pgr_scram_client *c, const char *in,
	size_t len, struct pgr_err *err);

#endif
