/*
 * SCRAM-SHA-256, both sides. Called by worker/ and monitor/ while a connection logs in, and by
 * config/ for stored secrets.
 *
 * Everything that is parsed here comes from somebody who has not proved anything yet, on either
 * side. So each message has a bound before it is looked at, is free of NUL, and is read by a cursor
 * that knows its end; what must be kept goes into fixed arrays through a bounded writer. What
 * depends on a password (keys, proofs) is compared in constant time, and an unknown user runs
 * through the same code as a known one.
 */
#include "proto/scram.h"

#include <idn-free.h>
#include <stdio.h>
#include <stringprep.h>

#include "base/panic.h"
#include "base/random.h"
#include "proto/out.h"

#define SECRET_PREFIX PGR_SCRAM_MECHANISM "$"

#define GS2_PLUS "p=tls-server-end-point,,"
#define CBIND_RAW (sizeof(GS2_PLUS) - 1 + PGR_SCRAM_BINDING_MOST)
#define CBIND_LEN PGR_BASE64_LEN(CBIND_RAW) /* characters of the longest c= */

_Static_assert(PGR_BASE64_LEN(PGR_SCRAM_SALT_MOST) + PGR_SCRAM_NONCE_MOST
		+ 2 * PGR_SCRAM_NONCE_LEN + 32 + PGR_SCRAM_FIRST_MOST + PGR_SCRAM_FINAL_MOST + 2 <= PGR_SCRAM_AUTH_MOST,
	"AuthMessage of the longest messages");

struct cursor {
	const char *p;
	const char *end;
};

static enum pgr_rc
malformed(struct pgr_err *err, const char *what)
{
	return pgr_err_set(err, "08P01", "malformed SCRAM message: %s", what);
}

/* ---- keys ---- */

static bool
is_ascii(const char *text)
{
	while (*text != '\0')
		if (*text++ & 0x80)
			return false;
	return true;
}

/* *ret_heap: what SASLprep makes of password, or NULL where it stays as it is. */
static enum pgr_rc
saslprep(const char *password, char **ret_heap, struct pgr_err *err)
{
	char *heap = NULL;
	int rc;

	*ret_heap = NULL;
	if (is_ascii(password))
		return PGR_OK;
	rc = stringprep_profile(password, &heap, "SASLprep", STRINGPREP_NO_UNASSIGNED);
	if (rc == STRINGPREP_MALLOC_ERROR)
		return pgr_err_set(err, "53200", "out of memory");
	if (rc == STRINGPREP_OK && heap[0] == '\0') {
		idn_free(heap);
		heap = NULL;
	}
	if (rc == STRINGPREP_OK)
		*ret_heap = heap;
	return PGR_OK;
}

static void
keys_set_salt(struct pgr_scram_keys *keys, const uint8_t *salt, size_t len, uint32_t iterations)
{
	PGR_ASSERT(len > 0 && len <= PGR_SCRAM_SALT_MOST);
	PGR_ASSERT(iterations > 0 && iterations <= PGR_SCRAM_ITERATIONS_MOST);
	memset(keys, 0, sizeof(*keys));
	memcpy(keys->salt, salt, len);
	keys->salt_len = (uint16_t)len;
	keys->iterations = iterations;
}

enum pgr_rc
pgr_scram_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
	struct pgr_scram_keys *ret, struct pgr_err *err)
{
	struct pgr_scram_keys keys;
	uint8_t salted[PGR_SHA256_LEN];
	char *heap;

	keys_set_salt(&keys, salt, salt_len, iterations);
	if (saslprep(password, &heap, err) != PGR_OK)
		return PGR_FAIL;
	if (heap != NULL)
		password = heap;
	pgr_digest_pbkdf2(password, strlen(password), salt, salt_len, iterations, salted);
	pgr_digest_hmac(salted, sizeof(salted), "Client Key", 10, keys.client_key);
	pgr_digest_hmac(salted, sizeof(salted), "Server Key", 10, keys.server_key);
	pgr_digest_sha256(keys.client_key, sizeof(keys.client_key), keys.stored_key);
	keys.has_client = true;
	pgr_digest_wipe(salted, sizeof(salted));
	if (heap != NULL) {
		pgr_digest_wipe(heap, strlen(heap));
		idn_free(heap);
	}
	*ret = keys;
	pgr_digest_wipe(&keys, sizeof(keys));
	return PGR_OK;
}

/* Decimal digits only, 1 to PGR_SCRAM_ITERATIONS_MOST; 0: anything else. */
static uint32_t
parse_iterations(const char *text, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		n = n * 10 + (uint32_t)(text[i] - '0');
		if (n > PGR_SCRAM_ITERATIONS_MOST)
			return 0;
	}
	return n;
}

/* Moves text behind the next stop; false: there is none. stop NUL: the end of text. */
static bool
secret_part(const char **text, char stop, const char **ret_part, size_t *ret_len)
{
	const char *end = strchr(*text, stop);

	if (end == NULL)
		return false;
	*ret_part = *text;
	*ret_len = (size_t)(end - *text);
	*text = end + 1;
	return true;
}

static bool
parse_secret(const char *text, struct pgr_scram_keys *ret)
{
	const char *part[4];
	size_t len[4];
	uint8_t salt[PGR_SCRAM_SALT_MOST];
	ptrdiff_t salt_len;
	uint32_t iterations;

	if (strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) != 0)
		return false;
	text += strlen(SECRET_PREFIX);
	for (int i = 0; i < 4; i++)
		if (!secret_part(&text, ":$:"[i], &part[i], &len[i]))
			return false;
	iterations = parse_iterations(part[0], len[0]);
	salt_len = pgr_digest_unbase64(part[1], len[1], salt, sizeof(salt));
	if (iterations == 0 || salt_len <= 0)
		return false;
	keys_set_salt(ret, salt, (size_t)salt_len, iterations);
	return pgr_digest_unbase64(part[2], len[2], ret->stored_key, PGR_SHA256_LEN) == PGR_SHA256_LEN
	    && pgr_digest_unbase64(part[3], len[3], ret->server_key, PGR_SHA256_LEN) == PGR_SHA256_LEN;
}

enum pgr_rc
pgr_scram_parse_secret(const char *text, struct pgr_scram_keys *ret, struct pgr_err *err)
{
	struct pgr_scram_keys keys;

	if (!parse_secret(text, &keys)) {
		pgr_err_set(err, "22023", "not a valid SCRAM secret");
		return pgr_err_hint(err,
			"SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, as in pg_authid; iterations "
			"at most %u, salt at most %u bytes.",
			PGR_SCRAM_ITERATIONS_MOST, PGR_SCRAM_SALT_MOST);
	}
	*ret = keys;
	return PGR_OK;
}

size_t
pgr_scram_format_secret(const struct pgr_scram_keys *keys, char ret[PGR_SCRAM_SECRET_MOST])
{
	char salt[PGR_BASE64_LEN(PGR_SCRAM_SALT_MOST) + 1];
	char stored[PGR_BASE64_LEN(PGR_SHA256_LEN) + 1];
	char server[PGR_BASE64_LEN(PGR_SHA256_LEN) + 1];

	pgr_digest_base64(keys->salt, keys->salt_len, salt);
	pgr_digest_base64(keys->stored_key, sizeof(keys->stored_key), stored);
	pgr_digest_base64(keys->server_key, sizeof(keys->server_key), server);
	return (size_t)snprintf(ret, PGR_SCRAM_SECRET_MOST, SECRET_PREFIX "%u:%s$%s:%s",
		keys->iterations, salt, stored, server);
}

void
pgr_scram_salt(const uint8_t seed[PGR_SHA256_LEN], const char *user,
	uint8_t ret[PGR_SCRAM_SALT_LEN])
{
	uint8_t sum[PGR_SHA256_LEN];

	pgr_digest_hmac(seed, PGR_SHA256_LEN, user, strlen(user), sum);
	memcpy(ret, sum, PGR_SCRAM_SALT_LEN);
}

void
pgr_scram_mock(const uint8_t seed[PGR_SHA256_LEN], const char *user, uint32_t iterations,
	struct pgr_scram_keys *ret)
{
	uint8_t salt[PGR_SCRAM_SALT_LEN];

	pgr_scram_salt(seed, user, salt);
	keys_set_salt(ret, salt, sizeof(salt), iterations);
	ret->mock = true;
	pgr_digest_hmac(seed, PGR_SHA256_LEN, salt, sizeof(salt), ret->stored_key);
	pgr_digest_hmac(seed, PGR_SHA256_LEN, ret->stored_key, PGR_SHA256_LEN, ret->server_key);
}

bool
pgr_scram_same_salt(const struct pgr_scram_keys *a, const struct pgr_scram_keys *b)
{
	return a->iterations == b->iterations && a->salt_len == b->salt_len
	    && memcmp(a->salt, b->salt, a->salt_len) == 0;
}

/* ---- messages ---- */

static bool
bounded(const char *in, size_t len, size_t most)
{
	return len <= most && memchr(in, '\0', len) == NULL;
}

/* Reads name=value up to the next comma, which is passed over, or to the end. */
static bool
read_attr(struct cursor *c, char name, const char **ret_value, size_t *ret_len)
{
	const char *comma;

	if (c->end - c->p < 2 || c->p[0] != name || c->p[1] != '=')
		return false;
	c->p += 2;
	comma = memchr(c->p, ',', (size_t)(c->end - c->p));
	*ret_value = c->p;
	*ret_len = (size_t)((comma != NULL ? comma : c->end) - c->p);
	c->p = comma != NULL ? comma + 1 : c->end;
	return true;
}

/* What RFC 5802 calls printable: no comma either, but that ended the attribute already. */
static bool
is_printable(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x21 || p[i] > 0x7e)
			return false;
	return true;
}

static void
new_nonce(char ret[PGR_SCRAM_NONCE_LEN + 1])
{
	uint8_t raw[PGR_SCRAM_NONCE_RAW];

	pgr_random_bytes(raw, sizeof(raw));
	pgr_digest_base64(raw, sizeof(raw), ret);
}

static void
xor_keys(uint8_t *into, const uint8_t *with)
{
	for (size_t i = 0; i < PGR_SHA256_LEN; i++)
		into[i] ^= with[i];
}

/* What stands in c=: the GS2 header, and with PLUS the hash behind it. Returns the characters. */
static size_t
write_cbind(char gs2, const struct pgr_scram_binding *binding, char ret[CBIND_LEN + 1])
{
	uint8_t raw[CBIND_RAW];
	size_t len = sizeof(GS2_PLUS) - 1;

	if (gs2 != 'p') {
		raw[0] = (uint8_t)gs2;
		memcpy(raw + 1, ",,", 2);
		return pgr_digest_base64(raw, 3, ret);
	}
	memcpy(raw, GS2_PLUS, len);
	memcpy(raw + len, binding->hash, binding->len);
	return pgr_digest_base64(raw, len + binding->len, ret);
}

/* ---- the server's side ---- */

void
pgr_scram_server_init(struct pgr_scram_server *s, const char *user,
	const struct pgr_scram_keys *const *keys, unsigned n_keys)
{
	PGR_ASSERT(n_keys > 0 && n_keys <= PGR_SCRAM_PASSWORDS);
	s->state = PGR_SCRAM_FIRST;
	s->user = user;
	s->n_keys = n_keys;
	s->matched = 0;
	s->auth_len = 0;
	s->out = s->auth;
	s->out_len = 0;
	s->nonce[0] = '\0';
	s->binding.len = 0;
	s->plus = false;
	for (unsigned i = 0; i < n_keys; i++) {
		PGR_ASSERT(pgr_scram_same_salt(keys[0], keys[i]));
		s->keys[i] = keys[i];
	}
}

/* Does the flag fit what was offered and chosen? */
static enum pgr_rc
check_gs2(const struct pgr_scram_server *s, struct pgr_err *err)
{
	if (s->gs2 == 'p' && !s->plus)
		return malformed(err, "channel binding without SCRAM-SHA-256-PLUS");
	if (s->gs2 != 'p' && s->plus)
		return malformed(err, "SCRAM-SHA-256-PLUS without channel binding");
	if (s->gs2 == 'y' && s->binding.len > 0) { /* somebody in between has taken PLUS off the list */
		pgr_err_set(err, "28000", "SCRAM channel binding negotiation error");
		return pgr_err_hint(err, "The client supports channel binding and thinks the server does "
			"not, but it does.");
	}
	return PGR_OK;
}

/* The GS2 header: flag, no authorization identity. Moves c behind it. */
static enum pgr_rc
read_gs2(struct pgr_scram_server *s, struct cursor *c, struct pgr_err *err)
{
	size_t flag = 1;

	if (c->end - c->p < 3)
		return malformed(err, "too short");
	s->gs2 = c->p[0];
	if (s->gs2 == 'p' && s->plus) {
		flag = sizeof(GS2_PLUS) - 3;
		if ((size_t)(c->end - c->p) < flag + 2 || memcmp(c->p, GS2_PLUS, flag) != 0)
			return pgr_err_set(err, "08P01", "unsupported SCRAM channel-binding type");
	} else if (s->gs2 != 'n' && s->gs2 != 'y' && s->gs2 != 'p') {
		return malformed(err, "unexpected channel-binding flag");
	}
	if (check_gs2(s, err) != PGR_OK)
		return PGR_FAIL;
	if (c->p[flag] != ',')
		return malformed(err, "unexpected channel-binding flag");
	if (c->p[flag + 1] == 'a')
		return pgr_err_set(err, "0A000",
			"client uses authorization identity, but it is not supported");
	if (c->p[flag + 1] != ',')
		return malformed(err, "unexpected attribute");
	c->p += flag + 2;
	return PGR_OK;
}

/* client-first-message-bare; what follows the nonce are extensions that may be ignored. */
static enum pgr_rc
read_first_bare(struct cursor c, const char **ret_nonce, size_t *ret_len, struct pgr_err *err)
{
	const char *user;
	size_t user_len;

	if (c.p < c.end && c.p[0] == 'm')
		return pgr_err_set(err, "0A000", "client requires an unsupported SCRAM extension");
	if (!read_attr(&c, 'n', &user, &user_len))
		return malformed(err, "user name expected");
	if (!read_attr(&c, 'r', ret_nonce, ret_len))
		return malformed(err, "nonce expected");
	if (*ret_len == 0 || *ret_len > PGR_SCRAM_NONCE_MOST)
		return malformed(err, "length of nonce");
	if (!is_printable(*ret_nonce, *ret_len))
		return malformed(err, "non-printable characters in nonce");
	return PGR_OK;
}

/* Writes client-first-message-bare and server-first-message into auth[]. */
static void
write_server_first(struct pgr_scram_server *s, struct cursor bare, const char *nonce, size_t len)
{
	char salt[PGR_BASE64_LEN(PGR_SCRAM_SALT_MOST) + 1];
	char iterations[16];
	struct pgr_out out;
	size_t at;

	pgr_digest_base64(s->keys[0]->salt, s->keys[0]->salt_len, salt);
	snprintf(iterations, sizeof(iterations), "%u", s->keys[0]->iterations);
	pgr_out_init(&out, s->auth, sizeof(s->auth));
	pgr_out_bytes(&out, bare.p, (size_t)(bare.end - bare.p));
	pgr_out_byte(&out, ',');
	at = out.len;
	pgr_out_text(&out, "r=");
	s->nonce_at = out.len;
	pgr_out_bytes(&out, nonce, len);
	pgr_out_text(&out, s->nonce);
	s->nonce_len = out.len - s->nonce_at;
	pgr_out_text(&out, ",s=");
	pgr_out_text(&out, salt);
	pgr_out_text(&out, ",i=");
	pgr_out_text(&out, iterations);
	PGR_ASSERT(!out.full);
	s->auth_len = out.len;
	s->out = s->auth + at;
	s->out_len = out.len - at;
}

static enum pgr_rc
server_first(struct pgr_scram_server *s, const char *in, size_t len, struct pgr_err *err)
{
	struct cursor c = {in, in + len};
	const char *nonce = NULL;
	size_t nonce_len = 0;

	if (!bounded(in, len, PGR_SCRAM_FIRST_MOST))
		return malformed(err, "length of client-first-message");
	if (read_gs2(s, &c, err) != PGR_OK
		|| read_first_bare(c, &nonce, &nonce_len, err) != PGR_OK)
		return PGR_FAIL;
	if (s->nonce[0] == '\0')
		new_nonce(s->nonce);
	write_server_first(s, c, nonce, nonce_len);
	s->state = PGR_SCRAM_FINAL;
	return PGR_AGAIN;
}

/* c: client-final-message-without-proof. Channel binding and nonce are what was agreed? */
static enum pgr_rc
check_final(const struct pgr_scram_server *s, struct cursor c, struct pgr_err *err)
{
	char wanted[CBIND_LEN + 1];
	size_t wanted_len = write_cbind(s->gs2, &s->binding, wanted);
	const char *value;
	size_t len;

	if (!read_attr(&c, 'c', &value, &len))
		return malformed(err, "channel binding expected");
	if (len != wanted_len || !pgr_digest_equal(value, wanted, len)) {
		if (s->gs2 == 'p')
			return pgr_err_set(err, "28000", "SCRAM channel binding check failed");
		return pgr_err_set(err, "08P01",
			"unexpected SCRAM channel-binding attribute in client-final-message");
	}
	if (!read_attr(&c, 'r', &value, &len))
		return malformed(err, "nonce expected");
	if (len != s->nonce_len || !pgr_digest_equal(value, s->auth + s->nonce_at, len))
		return pgr_err_set(err, "08P01", "invalid SCRAM response: nonce does not match");
	return PGR_OK;
}

/* Finds the proof, the last attribute; *c becomes what stands before it. */
static enum pgr_rc
read_proof(struct cursor *c, uint8_t ret[PGR_SHA256_LEN], struct pgr_err *err)
{
	const char *comma = memrchr(c->p, ',', (size_t)(c->end - c->p));
	struct cursor last = {comma == NULL ? c->end : comma + 1, c->end};
	const char *value;
	size_t len;

	if (!read_attr(&last, 'p', &value, &len))
		return malformed(err, "proof expected at the end of client-final-message");
	if (pgr_digest_unbase64(value, len, ret, PGR_SHA256_LEN) != PGR_SHA256_LEN)
		return malformed(err, "malformed proof in client-final-message");
	c->end = comma;
	return PGR_OK;
}

/* Every password is tried whether or not one fitted before: time does not tell which. */
static bool
verify_proof(struct pgr_scram_server *s, const uint8_t proof[PGR_SHA256_LEN])
{
	uint8_t signature[PGR_SHA256_LEN];
	uint8_t client[PGR_SHA256_LEN];
	uint8_t stored[PGR_SHA256_LEN];
	bool found = false;

	for (unsigned i = 0; i < s->n_keys; i++) {
		const struct pgr_scram_keys *keys = s->keys[i];

		pgr_digest_hmac(keys->stored_key, PGR_SHA256_LEN, s->auth, s->auth_len, signature);
		memcpy(client, proof, sizeof(client));
		xor_keys(client, signature);
		pgr_digest_sha256(client, sizeof(client), stored);
		if (pgr_digest_equal(stored, keys->stored_key, sizeof(stored)) && !keys->mock) {
			found = true;
			s->matched = i;
			memcpy(s->client_key, client, sizeof(client));
		}
	}
	pgr_digest_wipe(client, sizeof(client));
	return found;
}

static void
write_server_final(struct pgr_scram_server *s)
{
	uint8_t signature[PGR_SHA256_LEN];

	pgr_digest_hmac(s->keys[s->matched]->server_key, PGR_SHA256_LEN, s->auth, s->auth_len,
		signature);
	memcpy(s->last, "v=", 2);
	s->out = s->last;
	s->out_len = 2 + pgr_digest_base64(signature, sizeof(signature), s->last + 2);
}

static enum pgr_rc
server_final(struct pgr_scram_server *s, const char *in, size_t len, struct pgr_err *err)
{
	struct cursor c = {in, in + len};
	uint8_t proof[PGR_SHA256_LEN];
	struct pgr_out out;

	if (in == NULL || !bounded(in, len, PGR_SCRAM_FINAL_MOST))
		return malformed(err, "length of client-final-message");
	if (read_proof(&c, proof, err) != PGR_OK || check_final(s, c, err) != PGR_OK)
		return PGR_FAIL;
	pgr_out_init(&out, s->auth, sizeof(s->auth));
	out.len = s->auth_len;
	pgr_out_byte(&out, ',');
	pgr_out_bytes(&out, c.p, (size_t)(c.end - c.p));
	PGR_ASSERT(!out.full);
	s->auth_len = out.len;
	if (!verify_proof(s, proof))
		return pgr_err_set(err, "28P01", "password authentication failed for user \"%s\"",
			s->user);
	write_server_final(s);
	s->state = PGR_SCRAM_DONE;
	return PGR_OK;
}

enum pgr_rc
pgr_scram_server_step(struct pgr_scram_server *s, const char *in, size_t len, struct pgr_err *err)
{
	PGR_ASSERT(s->state != PGR_SCRAM_DONE);
	if (s->state == PGR_SCRAM_FINAL)
		return server_final(s, in, len, err);
	if (in != NULL)
		return server_first(s, in, len, err);
	s->out_len = 0;
	return PGR_AGAIN;
}

enum pgr_rc
pgr_scram_initial(struct pgr_scram_server *s, const char *body, size_t len, const char **ret_data,
	size_t *ret_len, struct pgr_err *err)
{
	const char *nul = len > 0 ? memchr(body, '\0', len) : NULL;
	size_t left = nul == NULL ? 0 : (size_t)(body + len - nul - 1);
	uint32_t size;

	if (nul == NULL || left < 4)
		return pgr_err_set(err, "08P01", "insufficient data left in message");
	s->plus = s->binding.len > 0 && strcmp(body, PGR_SCRAM_MECHANISM_PLUS) == 0;
	if (!s->plus && strcmp(body, PGR_SCRAM_MECHANISM) != 0)
		return pgr_err_set(err, "08P01",
			"client selected an invalid SASL authentication mechanism");
	size = pgr_get32(nul + 1);
	left -= 4;
	if (size == UINT32_MAX ? left != 0 : left != size)
		return pgr_err_set(err, "08P01", "invalid message format");
	*ret_data = size == UINT32_MAX ? NULL : nul + 5;
	*ret_len = left;
	return PGR_OK;
}

/* ---- the client's side ---- */

static bool
offers(const char *list, size_t len, const char *mechanism)
{
	const char *end = list + len;

	while (list < end && *list != '\0') {
		const char *nul = memchr(list, '\0', (size_t)(end - list));

		if (nul == NULL)
			break;
		if (strcmp(list, mechanism) == 0)
			return true;
		list = nul + 1;
	}
	return false;
}

enum pgr_rc
pgr_scram_client_choose(struct pgr_scram_client *c, const char *list, size_t len, struct pgr_err *err)
{
	c->gs2 = c->binding.len > 0 ? 'y' : 'n';
	if (c->binding.len > 0 && offers(list, len, PGR_SCRAM_MECHANISM_PLUS))
		c->gs2 = 'p';
	else if (!offers(list, len, PGR_SCRAM_MECHANISM))
		return pgr_err_set(err, "08P01", "server offers no SASL mechanism that is supported");
	return PGR_OK;
}

const char *
pgr_scram_client_mechanism(const struct pgr_scram_client *c)
{
	return c->gs2 == 'p' ? PGR_SCRAM_MECHANISM_PLUS : PGR_SCRAM_MECHANISM;
}

void
pgr_scram_client_begin(struct pgr_scram_client *c)
{
	const char gs2[] = {c->gs2, ',', ',', '\0'};

	new_nonce(c->nonce);
	c->out_len = (size_t)snprintf(c->message, sizeof(c->message), "%sn=,r=%s",
		c->gs2 == 'p' ? GS2_PLUS : gs2, c->nonce);
	c->out = c->message;
}

/* server-first-message: its three attributes and nothing else. */
static enum pgr_rc
read_server_first(struct pgr_scram_client *c, struct cursor in, const char **ret_nonce,
	struct pgr_err *err)
{
	uint8_t salt[PGR_SCRAM_SALT_MOST];
	const char *value;
	ptrdiff_t salt_len;
	uint32_t iterations;
	size_t len;

	if (!read_attr(&in, 'r', ret_nonce, &c->nonce_len))
		return malformed(err, "nonce expected");
	if (c->nonce_len > PGR_SCRAM_NONCE_LEN + PGR_SCRAM_NONCE_MOST)
		return malformed(err, "the server's nonce is too long");
	if (c->nonce_len <= PGR_SCRAM_NONCE_LEN || !is_printable(*ret_nonce, c->nonce_len)
		|| memcmp(*ret_nonce, c->nonce, PGR_SCRAM_NONCE_LEN) != 0)
		return malformed(err, "the server's nonce does not continue ours");
	if (!read_attr(&in, 's', &value, &len))
		return malformed(err, "salt expected");
	salt_len = pgr_digest_unbase64(value, len, salt, sizeof(salt));
	if (salt_len <= 0)
		return malformed(err, "the salt is invalid or too long");
	if (!read_attr(&in, 'i', &value, &len))
		return malformed(err, "iteration count expected");
	iterations = parse_iterations(value, len);
	if (iterations == 0 || in.p != in.end)
		return malformed(err, "the iteration count is invalid or too large");
	keys_set_salt(&c->wanted, salt, (size_t)salt_len, iterations);
	return PGR_OK;
}

/* AuthMessage in full: our two messages are known by now, but for the proof. */
static void
write_auth(struct pgr_scram_client *c, const char *in, size_t len, const char *nonce)
{
	char cbind[CBIND_LEN + 1];
	struct pgr_out out;

	(void)write_cbind(c->gs2, &c->binding, cbind);
	pgr_out_init(&out, c->auth, sizeof(c->auth));
	pgr_out_text(&out, "n=,r=");
	pgr_out_text(&out, c->nonce);
	pgr_out_byte(&out, ',');
	pgr_out_bytes(&out, in, len);
	pgr_out_text(&out, ",c=");
	pgr_out_text(&out, cbind);
	pgr_out_text(&out, ",r=");
	c->nonce_at = out.len;
	pgr_out_bytes(&out, nonce, c->nonce_len);
	PGR_ASSERT(!out.full);
	c->auth_len = out.len;
}

enum pgr_rc
pgr_scram_client_challenge(struct pgr_scram_client *c, const char *in, size_t len,
	struct pgr_err *err)
{
	struct cursor cur = {in, in + len};
	const char *nonce = "";

	if (!bounded(in, len, PGR_SCRAM_FINAL_MOST))
		return malformed(err, "length of server-first-message");
	if (read_server_first(c, cur, &nonce, err) != PGR_OK)
		return PGR_FAIL;
	write_auth(c, in, len, nonce);
	return PGR_OK;
}

enum pgr_rc
pgr_scram_client_keys(const struct pgr_scram_client *c, const char *password,
	struct pgr_scram_keys *keys, struct pgr_err *err)
{
	if (keys->has_client && pgr_scram_same_salt(keys, &c->wanted))
		return PGR_OK;
	if (password != NULL)
		return pgr_scram_derive(password, c->wanted.salt, c->wanted.salt_len,
			c->wanted.iterations, keys, err);
	pgr_err_set(err, "28P01", "no password to log in to the server with");
	return pgr_err_hint(err,
		"The SCRAM secret must be the very one that the server stores, and the client must "
		"have logged in by it; else the clear text password is needed.");
}

void
pgr_scram_client_prove(struct pgr_scram_client *c, const struct pgr_scram_keys *keys)
{
	uint8_t proof[PGR_SHA256_LEN];
	char encoded[PGR_BASE64_LEN(PGR_SHA256_LEN) + 1];
	char cbind[CBIND_LEN + 1];
	struct pgr_out out;

	PGR_ASSERT(keys->has_client && pgr_scram_same_salt(keys, &c->wanted));
	pgr_digest_hmac(keys->stored_key, PGR_SHA256_LEN, c->auth, c->auth_len, proof);
	xor_keys(proof, keys->client_key);
	pgr_digest_base64(proof, sizeof(proof), encoded);
	pgr_digest_hmac(keys->server_key, PGR_SHA256_LEN, c->auth, c->auth_len, c->signature);
	pgr_out_init(&out, c->message, sizeof(c->message));
	(void)write_cbind(c->gs2, &c->binding, cbind);
	pgr_out_text(&out, "c=");
	pgr_out_text(&out, cbind);
	pgr_out_text(&out, ",r=");
	pgr_out_bytes(&out, c->auth + c->nonce_at, c->nonce_len);
	pgr_out_text(&out, ",p=");
	pgr_out_text(&out, encoded);
	PGR_ASSERT(!out.full);
	c->out = c->message;
	c->out_len = out.len;
}

enum pgr_rc
pgr_scram_client_verify(const struct pgr_scram_client *c, const char *in, size_t len,
	struct pgr_err *err)
{
	struct cursor cur = {in, in + len};
	uint8_t signature[PGR_SHA256_LEN];
	const char *value;
	size_t value_len;

	if (!bounded(in, len, PGR_SCRAM_FINAL_MOST))
		return malformed(err, "length of server-final-message");
	if (read_attr(&cur, 'e', &value, &value_len))
		return pgr_err_set(err, "28P01", "error received from server in SCRAM exchange: %.*s",
			(int)PGR_MIN(value_len, 64), value);
	if (!read_attr(&cur, 'v', &value, &value_len) || cur.p != cur.end)
		return malformed(err, "server signature expected");
	if (pgr_digest_unbase64(value, value_len, signature, sizeof(signature)) != PGR_SHA256_LEN)
		return malformed(err, "the server signature is invalid");
	if (!pgr_digest_equal(signature, c->signature, sizeof(signature)))
		return pgr_err_set(err, "28P01",
			"incorrect server signature: the server does not know the password");
	return PGR_OK;
}
