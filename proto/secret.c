/*
 * Stored passwords. Called by config/ (what the file says) and by worker/ and monitor/ at logins.
 *
 * Which kind a text is follows PostgreSQL's get_password_type(), but a text that begins like a
 * SCRAM secret and is none is refused: as a clear text password, which PostgreSQL would take it
 * for, it could only be a mistake.
 */
#include "proto/secret.h"

#include <string.h>

#include "proto/digest.h"

static bool
is_md5(const char *text)
{
	if (strlen(text) != PGR_SECRET_MD5_LEN || memcmp(text, "md5", 3) != 0)
		return false;
	for (text += 3; *text != '\0'; text++)
		if (strchr("0123456789abcdef", *text) == NULL)
			return false;
	return true;
}

enum pgr_rc
pgr_secret_parse(const char *text, struct pgr_secret *ret, struct pgr_err *err)
{
	struct pgr_secret secret = {.kind = PGR_SECRET_CLEAR, .text = text};

	if (text[0] == '\0')
		return pgr_err_set(err, "22023", "the password is empty");
	if (is_md5(text)) {
		secret.kind = PGR_SECRET_MD5;
	} else if (strncmp(text, PGR_SCRAM_MECHANISM "$", strlen(PGR_SCRAM_MECHANISM) + 1) == 0) {
		secret.kind = PGR_SECRET_SCRAM;
		if (pgr_scram_parse_secret(text, &secret.keys, err) != PGR_OK)
			return PGR_FAIL;
	}
	*ret = secret;
	return PGR_OK;
}

/* Of strings whose lengths are to stay unknown too: by their hashes. */
static bool
same_string(const char *a, const char *b)
{
	uint8_t ha[PGR_SHA256_LEN];
	uint8_t hb[PGR_SHA256_LEN];

	pgr_digest_sha256(a, strlen(a), ha);
	pgr_digest_sha256(b, strlen(b), hb);
	return pgr_digest_equal(ha, hb, sizeof(ha));
}

static bool
check_plain_scram(const struct pgr_scram_keys *want, const char *password)
{
	struct pgr_scram_keys keys;
	struct pgr_err err;
	bool same;

	if (pgr_scram_derive(password, want->salt, want->salt_len, want->iterations, &keys, &err)
		!= PGR_OK)
		return false;
	same = pgr_digest_equal(keys.server_key, want->server_key, sizeof(keys.server_key));
	pgr_digest_wipe(&keys, sizeof(keys));
	return same && !want->mock;
}

bool
pgr_secret_check_plain(const struct pgr_secret *secret, const char *user, const char *password)
{
	char hex[PGR_MD5_HEX];
	bool same;

	switch (secret->kind) {
	case PGR_SECRET_CLEAR:
		return same_string(secret->text, password);
	case PGR_SECRET_MD5:
		pgr_digest_md5_hex(password, strlen(password), user, strlen(user), hex);
		same = pgr_digest_equal(secret->text + 3, hex, PGR_MD5_HEX - 1);
		pgr_digest_wipe(hex, sizeof(hex));
		return same;
	case PGR_SECRET_SCRAM:
		return check_plain_scram(&secret->keys, password);
	}
	return false;
}

bool
pgr_secret_md5_answer(const struct pgr_secret *secret, const char *user,
	const char salt[PGR_SECRET_MD5_SALT], char ret[PGR_SECRET_MD5_LEN + 1])
{
	char hex[PGR_MD5_HEX];

	if (secret->kind == PGR_SECRET_SCRAM)
		return false;
	if (secret->kind == PGR_SECRET_MD5)
		memcpy(hex, secret->text + 3, sizeof(hex));
	else
		pgr_digest_md5_hex(secret->text, strlen(secret->text), user, strlen(user), hex);
	memcpy(ret, "md5", 3);
	pgr_digest_md5_hex(hex, PGR_MD5_HEX - 1, salt, PGR_SECRET_MD5_SALT, ret + 3);
	pgr_digest_wipe(hex, sizeof(hex));
	return true;
}

bool
pgr_secret_check_md5(const struct pgr_secret *secret, const char *user,
	const char salt[PGR_SECRET_MD5_SALT], const char *answer)
{
	char right[PGR_SECRET_MD5_LEN + 1];

	return pgr_secret_md5_answer(secret, user, salt, right)
	    && strlen(answer) == PGR_SECRET_MD5_LEN
	    && pgr_digest_equal(answer, right, PGR_SECRET_MD5_LEN);
}
