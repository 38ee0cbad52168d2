/*
 * Settings of a session: an immutable, sorted set of (name, value), shared by all clients of this
 * worker that have equal ones. Two sets are equal when their hashes are.
 */
#ifndef PGR_WORKER_SETTINGS_H
#define PGR_WORKER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/stream.h"
#include "proto/out.h"
#include "shm/slot.h"

/* What a server's own default adds to the state of settings. */
#define PGR_STATE_STRINGS UINT64_C(0x9e3779b97f4a7c15)
#define PGR_STATE_OPAQUE UINT64_C(0xc2b2ae3d27d4eb4f)

enum pgr_said {
	PGR_SAID_NOTHING, /* the server's own value */
	PGR_SAID_NO,
	PGR_SAID_YES,
};

struct pgr_settings {
	uint32_t refs;
	uint32_t len;  /* bytes of text */
	uint64_t hash;  /* 0: the empty set */
	uint64_t state; /* hash of those that can change what a text means; 0: none */
	uint8_t strings;  /* enum pgr_said: is standard_conforming_strings off? */
	uint8_t encoding; /* enum pgr_said: is client_encoding one in which texts cannot be read? */
	bool beyond_ascii; /* some value means what it means in this client_encoding alone */
	bool refusable;    /* a server may refuse some value that it took before */
	struct pgr_settings *next; /* in its bucket */
	char text[];   /* "name\0value\0"..., names in lower case, sorted */
};

/* Call once per process. */
void pgr_settings_init(const struct pgr_hash_key *key);

struct pgr_settings *pgr_settings_empty(void);
struct pgr_settings *pgr_settings_ref(struct pgr_settings *s);
void pgr_settings_unref(struct pgr_settings *s);

/*
 * A set like s with name = value, or without name when value is NULL; takes over the caller's
 * reference to s, returns one. FAIL (54000): longer than a server connection can remember; s stays
 * the caller's.
 */
PGR_MUST enum pgr_rc pgr_settings_with(struct pgr_settings *s, const char *name, const char *value,
	struct pgr_settings **ret, struct pgr_err *err);

/* The value of name (in lower case), or NULL. */
const char *pgr_settings_get(const char *text, size_t len, const char *name);

static inline const char *
pgr_settings_value(const struct pgr_settings *s, const char *name)
{
	return pgr_settings_get(s->text, s->len, name);
}

/* The same questions as in struct pgr_settings, of a list such as a server's reports. */
enum pgr_said pgr_settings_said_strings(const char *text, size_t len);
enum pgr_said pgr_settings_said_encoding(const char *text, size_t len);

/* Next (name, value); *pos starts as 0. False: no more. */
bool pgr_settings_next(
	const char *text, size_t len, size_t *pos, const char **ret_name, const char **ret_value);

/*
 * Appends the SQL that brings a server connection with the settings of cold to s, see
 * pgr_params_apply. False: does not fit.
 */
bool pgr_settings_difference(struct pgr_slot *slot, const struct pgr_slot_cold *cold,
	const struct pgr_settings *s, struct pgr_out *out);

/*
 * May what the server connection has been given end that SQL, by a statement_timeout of less than a second, or
 * one that is not known?
 */
bool pgr_settings_hurry(const struct pgr_slot *slot, const struct pgr_slot_cold *cold);

/* The server connection has these settings now. */
void pgr_settings_applied(
	struct pgr_slot *slot, struct pgr_slot_cold *cold, const struct pgr_settings *s);

/* A client keeps the server connection and does there what it likes: nobody knows what it has now. */
void pgr_settings_unknown(struct pgr_slot *slot);
bool pgr_settings_are_unknown(const struct pgr_slot *slot);

/*
 * Appends the SQL that puts back those of values that a RESET has taken away on the server, see
 * pgr_params_restore; nothing where the session has set another value since. now: what is in force,
 * as far as it is known. False: does not fit.
 */
bool pgr_settings_put_back(const struct pgr_slot_cold *cold, const struct pgr_settings *values,
	const struct pgr_settings *now, struct pgr_out *out);

/* Is this what the server reported of this setting at its own login? */
bool pgr_settings_at_login(const struct pgr_slot_cold *cold, const char *name, const char *value);

/*
 * ParameterStatus for what the server reports, in its spelling: own values, where own has none the
 * server's of its login. With told not NULL only for what is not the same in told.
 */
void pgr_settings_report(struct pgr_vec *vec, const char *reported, size_t len,
	const struct pgr_settings *own, const struct pgr_settings *told);

/* The name by which a setting is kept: in lower case, its newest one; cut at cap. ret may be name. */
void pgr_settings_fold(const char *name, char *ret, size_t cap);

/* role and session_authorization: RESET ALL leaves them alone. */
bool pgr_settings_is_identity(const char *name);

/* Does a ParameterStatus of this name tell of a setting that a session can change and that is kept? */
bool pgr_settings_tracked(const char *name);

#endif
