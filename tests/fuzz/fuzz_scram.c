/*
 * Logins: proto/scram.h, proto/digest.h (base64) and proto/secret.h. The first byte of the input
 * says which side is attacked; the rest is split into messages at NUL NUL. Nonces are fixed, so
 * that the corpus can hold exchanges that go all the way.
 */
#include "fuzz.h"

#include "proto/scram.h"
#include "proto/secret.h"

#define NONCE "ABCDEFGHIJKLMNOPQRSTUVWX"
_Static_assert(sizeof(NONCE) == PGR_SCRAM_NONCE_LEN + 1, "length of our nonces");

static struct pgr_scram_keys right;

static void
make_keys(void)
{
	struct pgr_err err;

	if (right.iterations == 0)
		FUZZ_CHECK(pgr_scram_derive("pencil", (const uint8_t *)"0123456789abcdef", 16, 1,
				   &right, &err)
			== PGR_OK);
}

static void
check_fail(enum pgr_rc rc, const struct pgr_err *err)
{
	if (rc == PGR_FAIL)
		FUZZ_CHECK(strlen(err->sqlstate) == 5 && err->message[0] != '\0');
}

/* Cuts the next message off; NULL: there is none. */
static char *
next_message(const uint8_t **data, size_t *size, size_t *ret_len)
{
	const uint8_t *end = *size == 0 ? NULL : memmem(*data, *size, "\0\0", 2);
	char *copy;

	if (*size == 0)
		return NULL;
	*ret_len = end == NULL ? *size : (size_t)(end - *data);
	copy = fuzz_copy(*data, *ret_len);
	*size -= end == NULL ? *ret_len : *ret_len + 2;
	*data += end == NULL ? *ret_len : *ret_len + 2;
	return copy;
}

static void
attack_server(const uint8_t *data, size_t size, const struct pgr_scram_keys *keys, bool plus)
{
	const struct pgr_scram_keys *list[] = {&right, keys};
	struct pgr_scram_server s;
	enum pgr_rc rc = PGR_AGAIN;
	struct pgr_err err;
	size_t len;
	char *in;

	pgr_scram_server_init(&s, "user", keys == NULL ? list : list + 1, 1);
	strcpy(s.nonce, NONCE);
	s.plus = plus;
	s.binding.len = plus ? 32 : 0;
	memset(s.binding.hash, 0, sizeof(s.binding.hash));
	while (rc == PGR_AGAIN && (in = next_message(&data, &size, &len)) != NULL) {
		rc = pgr_scram_server_step(&s, in, len, &err);
		free(in);
		check_fail(rc, &err);
		if (rc == PGR_FAIL)
			break;
		FUZZ_CHECK(s.out >= (char *)&s && s.out + s.out_len <= (char *)(&s + 1));
		FUZZ_CHECK(rc != PGR_OK || keys == NULL); /* a mock never lets in */
	}
}

static void
attack_client(const uint8_t *data, size_t size)
{
	struct pgr_scram_client c;
	struct pgr_scram_keys keys;
	struct pgr_err err;
	enum pgr_rc rc;
	size_t len;
	char *in;

	memset(&c.binding, 0, sizeof(c.binding));
	c.gs2 = 'n';
	pgr_scram_client_begin(&c);
	strcpy(c.nonce, NONCE);
	in = next_message(&data, &size, &len);
	if (in == NULL)
		return;
	rc = pgr_scram_client_challenge(&c, in, len, &err);
	free(in);
	check_fail(rc, &err);
	if (rc != PGR_OK)
		return;
	FUZZ_CHECK(c.wanted.iterations > 0 && c.wanted.iterations <= PGR_SCRAM_ITERATIONS_MOST);
	FUZZ_CHECK(c.wanted.salt_len > 0 && c.wanted.salt_len <= PGR_SCRAM_SALT_MOST);
	keys = c.wanted; /* keys of zeroes; deriving true ones would only cost time */
	keys.has_client = true;
	FUZZ_CHECK(pgr_scram_client_keys(&c, NULL, &keys, &err) == PGR_OK);
	pgr_scram_client_prove(&c, &keys);
	FUZZ_CHECK(c.out_len <= sizeof(c.message));
	in = next_message(&data, &size, &len);
	if (in != NULL)
		check_fail(pgr_scram_client_verify(&c, in, len, &err), &err);
	free(in);
}

static void
attack_initial(const uint8_t *data, size_t size)
{
	char *body = fuzz_copy(data, size);
	struct pgr_scram_server s = {.binding.len = 32};
	struct pgr_scram_client c = {.binding.len = 32};
	const char *out;
	struct pgr_err err;
	enum pgr_rc rc;
	size_t len;

	rc = pgr_scram_initial(&s, body, size, &out, &len, &err);
	check_fail(rc, &err);
	if (rc == PGR_OK && out != NULL)
		FUZZ_CHECK(out > body && out + len == body + size);
	check_fail(pgr_scram_client_choose(&c, body, size, &err), &err);
	free(body);
}

/* Strict means: what is taken has one spelling only. */
static void
attack_base64(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), *again = malloc(size + 8);
	uint8_t *raw = malloc(size + 1);
	ptrdiff_t n = pgr_digest_unbase64(text, size, raw, size);

	if (n >= 0) {
		FUZZ_CHECK(pgr_digest_base64(raw, (size_t)n, again) == size);
		FUZZ_CHECK(memcmp(text, again, size) == 0);
	}
	free(text);
	free(again);
	free(raw);
}

static void
attack_secret(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size), again[PGR_SCRAM_SECRET_MOST];
	char answer[PGR_SECRET_MD5_LEN + 1];
	struct pgr_secret secret;
	struct pgr_err err;
	enum pgr_rc rc = pgr_secret_parse(text, &secret, &err);

	check_fail(rc, &err);
	if (rc == PGR_OK && secret.kind == PGR_SECRET_SCRAM)
		FUZZ_CHECK(pgr_scram_format_secret(&secret.keys, again) < sizeof(again));
	else if (rc == PGR_OK)
		FUZZ_CHECK(pgr_secret_md5_answer(&secret, "user", "salt", answer)
			&& pgr_secret_check_md5(&secret, "user", "salt", answer));
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgr_scram_keys mock;
	uint8_t seed[PGR_SHA256_LEN] = {0};

	make_keys();
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 's':
		attack_server(data + 1, size - 1, NULL, false);
		break;
	case 't':
		attack_server(data + 1, size - 1, NULL, true);
		break;
	case 'm':
		pgr_scram_mock(seed, "nobody", 4096, &mock);
		attack_server(data + 1, size - 1, &mock, false);
		break;
	case 'c':
		attack_client(data + 1, size - 1);
		break;
	case 'i':
		attack_initial(data + 1, size - 1);
		break;
	case 'b':
		attack_base64(data + 1, size - 1);
		break;
	case 'p':
		attack_secret(data + 1, size - 1);
		break;
	default:
		return -1;
	}
	return 0;
}
