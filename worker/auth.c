/*
 * Authentication of clients by trust, certificate, clear text, MD5 and SCRAM-SHA-256, and what is
 * remembered of it for logins to servers. A user that does not exist goes through the same exchange as
 * one that does, one that its name picks by a keyed hash, and fails at its end in the same words. PBKDF2
 * runs once per (user, password, salt): the keys are kept in shared memory. Called by login.c and dial.c.
 */
#include "worker/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "proto/wire.h"
#include "shm/secret.h"

static enum pgr_rc
refused(const struct pgr_auth *auth, struct pgr_err *err)
{
	return pgr_err_set(err, "28P01", "password authentication failed for user \"%s\"", auth->user);
}

static struct pgr_hash128
key_name(struct pgr_worker *w, const char *user, const char *text, const struct pgr_scram_keys *salt)
{
	char name[1024 + PGR_NAME_MAX + PGR_SCRAM_SALT_MOST];
	struct pgr_hash128 of_text = pgr_hash128(&w->shm->secrets->key, text, strlen(text));
	struct pgr_out out;

	pgr_out_init(&out, name, sizeof(name));
	pgr_out_string(&out, user);
	pgr_out_bytes(&out, (const char *)&of_text, sizeof(of_text));
	pgr_out_int32(&out, salt->iterations);
	pgr_out_bytes(&out, (const char *)salt->salt, salt->salt_len);
	return pgr_hash128(&w->shm->secrets->key, name, out.len);
}

bool
pgr_auth_recall(struct pgr_worker *w, const char *user, const char *text,
	const struct pgr_scram_keys *wanted, struct pgr_scram_keys *ret)
{
	return pgr_secret_find(w->shm, key_name(w, user, text, wanted), ret) &&
		pgr_scram_same_salt(ret, wanted);
}

void
pgr_auth_remember(struct pgr_worker *w, const char *user, const char *text,
	const struct pgr_scram_keys *keys)
{
	pgr_secret_keep(w->shm, key_name(w, user, text, keys), keys);
}

/*
 * Whom a user that does not exist is treated like: always the same one, and over all such names each
 * one as often, so that what is asked of a name tells nothing. NULL: there are no users.
 */
static const struct pgr_config_user *
find_double(struct pgr_worker *w, const char *name)
{
	uint64_t hash = pgr_hash64(&w->shm->secrets->key, name, strlen(name));

	return pgr_config_user_at(w->config, (uint32_t)((hash >> 32) * w->config->users.n >> 32));
}

static void
load_secrets(struct pgr_worker *w, struct pgr_auth *auth)
{
	const struct pgr_config_user *user = pgr_config_find_user(w->config, auth->user);
	struct pgr_err err;

	auth->known = user != NULL;
	if (user == NULL)
		user = find_double(w, auth->user);
	for (uint32_t i = 0; user != NULL && i < user->secrets.n; i++) {
		const struct pgr_config_secret *s = pgr_config_secret_at(w->config, user, i);

		if (auth->secrets < PGR_SCRAM_PASSWORDS &&
			pgr_secret_parse(pgr_config_secret_text(w->secrets, s->text),
				&auth->secret[auth->secrets], &err) == PGR_OK)
			auth->secrets++;
	}
}

static const struct pgr_secret *
find_kind(const struct pgr_auth *auth, enum pgr_secret_kind kind)
{
	for (unsigned i = 0; i < auth->secrets; i++)
		if (auth->secret[i].kind == kind)
			return &auth->secret[i];
	return NULL;
}

/* As many as of the user that stands for this unknown one, in the same form; no proof fits any. */
static unsigned
mock_keys(struct pgr_worker *w, struct pgr_auth *auth)
{
	const struct pgr_secret *stored = find_kind(auth, PGR_SECRET_SCRAM);
	unsigned n = 0;

	pgr_scram_mock(w->shm->secrets->mock, auth->user,
		stored != NULL ? stored->keys.iterations : PGR_SCRAM_ITERATIONS, &auth->keys[0]);
	for (unsigned i = 0; i < auth->secrets; i++)
		if (auth->secret[i].kind != PGR_SECRET_MD5)
			auth->keys[n++] = auth->keys[0];
	return PGR_MAX(n, 1u);
}

/* Keys of every secret that SCRAM can check, all with one salt. */
static unsigned
scram_keys(struct pgr_worker *w, struct pgr_auth *auth)
{
	const struct pgr_secret *stored = find_kind(auth, PGR_SECRET_SCRAM);
	struct pgr_scram_keys salt = {
		.iterations = PGR_SCRAM_ITERATIONS, .salt_len = PGR_SCRAM_SALT_LEN};
	struct pgr_err err;
	unsigned n = 0;

	pgr_scram_salt(w->shm->secrets->mock, auth->user, salt.salt);
	if (stored != NULL)
		salt = stored->keys;
	for (unsigned i = 0; i < auth->secrets; i++) {
		struct pgr_secret *secret = &auth->secret[i];

		if (secret->kind == PGR_SECRET_SCRAM && pgr_scram_same_salt(&secret->keys, &salt)) {
			auth->keys[n++] = secret->keys;
		} else if (secret->kind == PGR_SECRET_CLEAR) {
			if (pgr_auth_recall(w, auth->user, secret->text, &salt, &auth->keys[n])) {
				n++;
			} else if (pgr_scram_derive(secret->text, salt.salt, salt.salt_len,
					   salt.iterations, &auth->keys[n], &err) == PGR_OK) {
				pgr_auth_remember(w, auth->user, secret->text, &auth->keys[n]);
				n++;
			}
		}
	}
	return n;
}

static void
begin_scram(struct pgr_worker *w, struct pgr_auth *auth, struct pgr_out *out)
{
	const struct pgr_scram_keys *keys[PGR_SCRAM_PASSWORDS];
	unsigned n = auth->known ? scram_keys(w, auth) : 0;
	size_t at;

	if (n == 0)
		n = mock_keys(w, auth);
	for (unsigned i = 0; i < n; i++)
		keys[i] = &auth->keys[i];
	pgr_scram_server_init(&auth->scram, auth->user, keys, n);
	auth->scram.binding = auth->binding;
	at = pgr_out_begin(out, PGR_MSG_AUTHENTICATION);
	pgr_out_int32(out, PGR_AUTH_SASL);
	if (auth->binding.len > 0)
		pgr_out_string(out, PGR_SCRAM_MECHANISM_PLUS);
	pgr_out_string(out, PGR_SCRAM_MECHANISM);
	pgr_out_byte(out, '\0');
	pgr_out_end(out, at);
}

static void
begin_plain(struct pgr_out *out)
{
	size_t at = pgr_out_begin(out, PGR_MSG_AUTHENTICATION);

	pgr_out_int32(out, PGR_AUTH_CLEARTEXT);
	pgr_out_end(out, at);
}

static void
begin_md5(struct pgr_auth *auth, struct pgr_out *out)
{
	size_t at = pgr_out_begin(out, PGR_MSG_AUTHENTICATION);

	pgr_random_bytes(auth->md5_salt, sizeof(auth->md5_salt));
	pgr_out_int32(out, PGR_AUTH_MD5);
	pgr_out_bytes(out, auth->md5_salt, sizeof(auth->md5_salt));
	pgr_out_end(out, at);
}

enum pgr_rc
pgr_auth_check_name(const struct pgr_auth *auth, const char *user, struct pgr_err *err)
{
	if (!auth->certified)
		return pgr_err_set(err, "28000", "connection requires a valid client certificate");
	if (strcmp(auth->common_name, user) == 0)
		return PGR_OK;
	pgr_err_set(err, "28000", "certificate authentication failed for user \"%s\"", user);
	return pgr_err_hint(err, "The common name of the certificate is \"%s\".", auth->common_name);
}

static enum pgr_rc
begin_cert(const struct pgr_auth *auth, struct pgr_err *err)
{
	if (pgr_auth_check_name(auth, auth->user, err) != PGR_OK)
		return PGR_FAIL;
	if (!auth->known)
		return pgr_err_set(err, "28000", "role \"%s\" does not exist", auth->user);
	return PGR_OK;
}

enum pgr_rc
pgr_auth_begin(struct pgr_worker *w, struct pgr_auth *auth, const char *user, struct pgr_out *out,
	struct pgr_err *err)
{
	snprintf(auth->user, sizeof(auth->user), "%.63s", user);
	load_secrets(w, auth);
	auth->method = w->config->auth_type;
	/* as a server does with a SCRAM secret under "md5" */
	if (auth->method == PGR_CONFIG_AUTH_MD5 && find_kind(auth, PGR_SECRET_SCRAM) != NULL)
		auth->method = PGR_CONFIG_AUTH_SCRAM;
	switch (auth->method) {
	case PGR_CONFIG_AUTH_TRUST:
		if (!auth->known)
			return pgr_err_set(err, "28000", "role \"%s\" does not exist", user);
		return PGR_OK;
	case PGR_CONFIG_AUTH_PLAIN:
		begin_plain(out);
		break;
	case PGR_CONFIG_AUTH_MD5:
		begin_md5(auth, out);
		break;
	case PGR_CONFIG_AUTH_SCRAM:
		begin_scram(w, auth, out);
		break;
	case PGR_CONFIG_AUTH_CERT:
		return begin_cert(auth, err);
	}
	return PGR_AGAIN;
}

/* Where some have a SCRAM secret, whose check takes its time, it takes the others as long. */
static void
check_mock(struct pgr_worker *w, struct pgr_auth *auth, const char *given)
{
	struct pgr_secret mock = {.kind = PGR_SECRET_SCRAM};

	if (!w->config->scram_secrets || find_kind(auth, PGR_SECRET_SCRAM) != NULL)
		return;
	pgr_scram_mock(w->shm->secrets->mock, auth->user, PGR_SCRAM_ITERATIONS, &mock.keys);
	(void)pgr_secret_check_plain(&mock, auth->user, given);
}

static bool
check_string(struct pgr_worker *w, struct pgr_auth *auth, const char *given)
{
	bool right = false;

	/* all of them, so that time does not tell which */
	for (unsigned i = 0; i < auth->secrets; i++) {
		const struct pgr_secret *s = &auth->secret[i];

		if (auth->method == PGR_CONFIG_AUTH_PLAIN)
			right |= pgr_secret_check_plain(s, auth->user, given);
		else
			right |= pgr_secret_check_md5(s, auth->user, auth->md5_salt, given);
	}
	if (auth->method == PGR_CONFIG_AUTH_PLAIN)
		check_mock(w, auth, given);
	return right && auth->known;
}

/* A proof shows the client key: with it this user can be logged in to a server with the same secret. */
static void
keep_proof(struct pgr_worker *w, struct pgr_auth *auth)
{
	const struct pgr_secret *stored = find_kind(auth, PGR_SECRET_SCRAM);
	struct pgr_scram_keys keys = *auth->scram.keys[auth->scram.matched];

	if (stored == NULL || !pgr_digest_equal(stored->keys.stored_key, keys.stored_key, PGR_SHA256_LEN))
		return;
	memcpy(keys.client_key, auth->scram.client_key, sizeof(keys.client_key));
	keys.has_client = true;
	pgr_auth_remember(w, auth->user, stored->text, &keys);
}

static enum pgr_rc
answer_scram(struct pgr_worker *w, struct pgr_auth *auth, const char *body, size_t len,
	struct pgr_out *out, struct pgr_err *err)
{
	const char *data = body;
	size_t data_len = len;
	enum pgr_rc rc;
	size_t at;

	if (!auth->begun && pgr_scram_initial(&auth->scram, body, len, &data, &data_len, err) != PGR_OK)
		return PGR_FAIL;
	auth->begun = true;
	rc = pgr_scram_server_step(&auth->scram, data, data_len, err);
	if (rc == PGR_FAIL)
		return PGR_FAIL;
	at = pgr_out_begin(out, PGR_MSG_AUTHENTICATION);
	pgr_out_int32(out, rc == PGR_OK ? PGR_AUTH_SASL_FINAL : PGR_AUTH_SASL_CONTINUE);
	pgr_out_bytes(out, auth->scram.out, auth->scram.out_len);
	pgr_out_end(out, at);
	if (rc == PGR_OK)
		keep_proof(w, auth);
	return rc;
}

enum pgr_rc
pgr_auth_answer(struct pgr_worker *w, struct pgr_auth *auth, const char *body, size_t len,
	struct pgr_out *out, struct pgr_err *err)
{
	if (auth->method == PGR_CONFIG_AUTH_SCRAM)
		return answer_scram(w, auth, body, len, out, err);
	if (len == 0 || body[len - 1] != '\0' || strlen(body) != len - 1)
		return pgr_err_set(err, "08P01", "invalid password packet size");
	if (len == 1)
		return pgr_err_set(err, "28P01", "empty password returned by client");
	return check_string(w, auth, body) ? PGR_OK : refused(auth, err);
}

static void
sort_secret(struct pgr_worker *w, const struct pgr_config_secret *s, struct pgr_credentials *ret)
{
	const char *text = pgr_config_secret_text(w->secrets, s->text);

	switch (s->kind) {
	case PGR_CONFIG_SECRET_CLEAR:
		if (ret->password == NULL)
			ret->password = text;
		break;
	case PGR_CONFIG_SECRET_MD5:
		ret->md5 = text;
		break;
	case PGR_CONFIG_SECRET_SCRAM:
		ret->scram = text;
		break;
	case PGR_CONFIG_SECRET_NONE:
		break;
	}
}

void
pgr_auth_credentials(
	struct pgr_worker *w, const struct pgr_pool *pool, struct pgr_credentials *ret)
{
	const struct pgr_config_db *db = pgr_config_find_db(w->config, pool->database);
	const struct pgr_config_user *user = pgr_config_find_user(w->config, pool->server_user);

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->user, pool->server_user, sizeof(ret->user) - 1);
	if (db != NULL && db->password.kind != PGR_CONFIG_SECRET_NONE) {
		sort_secret(w, &db->password, ret);
		return;
	}
	for (uint32_t i = 0; user != NULL && i < user->secrets.n; i++)
		sort_secret(w, pgr_config_secret_at(w->config, user, i), ret);
}
