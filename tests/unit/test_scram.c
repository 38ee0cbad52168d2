/*
 * proto/scram.h: the exchange of RFC 7677, secrets made by PostgreSQL 15, both sides against each
 * other, and what a hostile peer sends (pitfalls C1, C2, B47).
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/out.h"
#include "proto/scram.h"

static const uint8_t seed[PGR_SHA256_LEN] = "a seed of the process tree";

static struct pgr_scram_keys
keys_of(const char *password)
{
	struct pgr_scram_keys keys;
	struct pgr_err err;

	ck_assert_int_eq(pgr_scram_derive(password, (const uint8_t *)"0123456789abcdef", 16, 64, &keys,
				 &err),
		PGR_OK);
	return keys;
}

/* ---- keys ---- */

START_TEST(test_scram_derive_agrees_with_secrets_made_by_postgres)
{
	static const char *const made[][2] = {
		/* ASCII */
		{"pencil", "SCRAM-SHA-256$4096:vc2PIw0g0Ef60tPu5nwNUA==$"
			"TYCCS0M341zRBiDFjPTeEKIXJOm5RvALSpzU7fN8ris=:"
			"jdzL3XIXT1FBE4sFxJ9vw1cPTQWBKYYBiUkM93uVz8I="},
		/* mapped and normalized */
		{"\xe2\x85\xa8\xc2\xad ab\xe3\x80\x80" "c", "SCRAM-SHA-256$4096:f9WVm2DCsr5yF1lJQVGOdg==$"
			"w7MSVT/9bPIXyALcVIV2uU3t/KQwB49kJXOgHG9uS+Y=:"
			"k0oS2CWr/lHNwPc05mzGxwfOUQnd1Hinm3Fbdlatk+k="},
		/* unassigned in Unicode 3.2: taken as it is */
		{"\xc8\xa1x", "SCRAM-SHA-256$4096:ABjRIx51rZPEKL7NZ6frCw==$"
			"pi3SPUgkvndFtp65Y46iyhBS7M2jOCFkLuZ/fR3FLsY=:"
			"W0r67zx5BTmPcsq8M+SpGxafLU+aNuyPOdE76RIFcDE="},
		/* the same, though it could be normalized */
		{"\xc8\xa1\xe2\x85\xa8", "SCRAM-SHA-256$4096:/Zt72tULSUlyFYmlH/eazA==$"
			"EDfEg23pC3t0MEuGsSqaRoxXPt9N3v//DvcqOteQ6iY=:"
			"u63cHxy0d7x8YlGpVj2+ccqYFVM0Ol/YuR6pQ+PdwVY="},
		/* a prohibited character */
		{"\x07x\xc3\xa9", "SCRAM-SHA-256$4096:STHdHQwDleB1NJ9gkDp7vA==$"
			"NiddsO+sMST8OQoOWnljjU3SYXyn5E26Z8o2dpxRMiA=:"
			"yJa+/C1fgNqR7lNbG+wlZUyYm8QLZ6tEuP0ril3n9ag="},
		/* both directions */
		{"\xd8\xa7\x31", "SCRAM-SHA-256$4096:GwIhgpXvsKBonZq1rKjtiw==$"
			"ZF+DoAcoit4szqtRxxWlqnfP6qQNxX8j5HDsZ3QB0IY=:"
			"m396fSKON9Yd2ZwgeH7UDgYZc7oVtxHN+3nwtlIhfSQ="},
	};

	for (size_t i = 0; i < PGR_COUNT_OF(made); i++) {
		struct pgr_scram_keys stored, ours;
		struct pgr_err err;
		char text[PGR_SCRAM_SECRET_MOST];

		ck_assert_int_eq(pgr_scram_parse_secret(made[i][1], &stored, &err), PGR_OK);
		ck_assert(!stored.has_client && !stored.mock);
		ck_assert_int_eq(pgr_scram_derive(made[i][0], stored.salt, stored.salt_len,
					 stored.iterations, &ours, &err),
			PGR_OK);
		ck_assert(ours.has_client);
		pgr_scram_format_secret(&ours, text);
		ck_assert_str_eq(text, made[i][1]);
	}
}
END_TEST

START_TEST(test_scram_derive_applies_saslprep_or_takes_the_bytes)
{
	struct pgr_scram_keys ix = keys_of("IX");
	struct pgr_scram_keys mapped = keys_of("I\xc2\xadX"), roman = keys_of("\xe2\x85\xa8");
	struct pgr_scram_keys nothing = keys_of("\xc2\xad"), empty = keys_of("");
	struct pgr_scram_keys bad = keys_of("\xff\xfe");

	ck_assert_mem_eq(mapped.stored_key, ix.stored_key, PGR_SHA256_LEN);
	ck_assert_mem_eq(roman.stored_key, ix.stored_key, PGR_SHA256_LEN);
	/* prepared to nothing would be an empty password: taken as it is */
	ck_assert_mem_ne(nothing.stored_key, empty.stored_key, PGR_SHA256_LEN);
	ck_assert_mem_ne(bad.stored_key, empty.stored_key, PGR_SHA256_LEN);
}
END_TEST

START_TEST(test_scram_derive_takes_a_password_of_64_kB)
{
	char *text = malloc(65537);
	struct pgr_scram_keys a, b;

	memset(text, 'p', 65536);
	text[65536] = '\0';
	a = keys_of(text);
	text[65535] = 'q';
	b = keys_of(text);
	ck_assert_mem_ne(a.stored_key, b.stored_key, PGR_SHA256_LEN);
	free(text);
}
END_TEST

START_TEST(test_scram_parse_secret_refuses_what_is_none)
{
#define K "TYCCS0M341zRBiDFjPTeEKIXJOm5RvALSpzU7fN8ris="
	static const char *const bad[] = {"", "SCRAM-SHA-256", "SCRAM-SHA-256$", "SCRAM-SHA-1$1:AA==$" K ":" K,
		"SCRAM-SHA-256$0:AA==$" K ":" K, "SCRAM-SHA-256$-1:AA==$" K ":" K,
		"SCRAM-SHA-256$+1:AA==$" K ":" K, "SCRAM-SHA-256$ 1:AA==$" K ":" K,
		"SCRAM-SHA-256$1x:AA==$" K ":" K, "SCRAM-SHA-256$:AA==$" K ":" K,
		"SCRAM-SHA-256$1000001:AA==$" K ":" K, "SCRAM-SHA-256$4294967297:AA==$" K ":" K,
		"SCRAM-SHA-256$1:$" K ":" K, "SCRAM-SHA-256$1:AA=$" K ":" K, "SCRAM-SHA-256$1:AA==$" K,
		"SCRAM-SHA-256$1:AA==$" K ":", "SCRAM-SHA-256$1:AA==$" K ":" K "=",
		"SCRAM-SHA-256$1:AA==$" K ":" K " ", "SCRAM-SHA-256$1:AA==$AAAA:" K,
		"SCRAM-SHA-256$1:AA==$" K ":AAAA", "SCRAM-SHA-256$1:AA==$" K "$" K,
		"SCRAM-SHA-256$1:AA==$" K ":" K ":" K};
	struct pgr_scram_keys keys;
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		ck_assert_msg(pgr_scram_parse_secret(bad[i], &keys, &err) == PGR_FAIL, "%s", bad[i]);
		ck_assert_str_eq(err.sqlstate, "22023");
	}
	ck_assert_int_eq(pgr_scram_parse_secret("SCRAM-SHA-256$1000000:AA==$" K ":" K, &keys, &err),
		PGR_OK);
#undef K
}
END_TEST

START_TEST(test_scram_secret_longest_salt_fits_one_more_does_not)
{
	uint8_t salt[PGR_SCRAM_SALT_MOST + 1];
	char text[PGR_SCRAM_SECRET_MOST], longer[2 * PGR_SCRAM_SECRET_MOST], encoded[200];
	struct pgr_scram_keys keys, back;
	struct pgr_err err;
	size_t len;

	memset(salt, 's', sizeof(salt));
	ck_assert_int_eq(pgr_scram_derive("x", salt, PGR_SCRAM_SALT_MOST, 1000000, &keys, &err), PGR_OK);
	len = pgr_scram_format_secret(&keys, text);
	ck_assert_uint_lt(len, sizeof(text));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_int_eq(pgr_scram_parse_secret(text, &back, &err), PGR_OK);
	ck_assert(pgr_scram_same_salt(&keys, &back));
	pgr_digest_base64(salt, sizeof(salt), encoded);
	snprintf(longer, sizeof(longer), "SCRAM-SHA-256$1:%s%s", encoded, strrchr(text, '$'));
	ck_assert_int_eq(pgr_scram_parse_secret(longer, &back, &err), PGR_FAIL);
}
END_TEST

/* ---- server ---- */

static enum pgr_rc
step(struct pgr_scram_server *s, const char *text, struct pgr_err *err)
{
	size_t len = strlen(text);
	char *heap = malloc(len > 0 ? len : 1); /* no NUL behind it */
	enum pgr_rc rc;

	memcpy(heap, text, len);
	rc = pgr_scram_server_step(s, heap, len, err);
	free(heap);
	return rc;
}

static void
server_begin(struct pgr_scram_server *s, const struct pgr_scram_keys *keys)
{
	pgr_scram_server_init(s, "user", &keys, 1);
}

START_TEST(test_scram_server_rfc7677_exchange_is_reproduced)
{
	static const char first[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
	static const char last[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	uint8_t salt[16];
	struct pgr_scram_server s;
	struct pgr_scram_keys keys;
	struct pgr_err err;

	ck_assert_int_eq(pgr_digest_unbase64("W22ZaJ0SNY7soEsUEjb6gQ==", 24, salt, 16), 16);
	ck_assert_int_eq(pgr_scram_derive("pencil", salt, 16, 4096, &keys, &err), PGR_OK);
	server_begin(&s, &keys);
	strcpy(s.nonce, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	ck_assert_int_eq(step(&s, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &err), PGR_AGAIN);
	ck_assert_uint_eq(s.out_len, strlen(first));
	ck_assert_mem_eq(s.out, first, s.out_len);
	ck_assert_int_eq(step(&s,
				 "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
				 &err),
		PGR_OK);
	ck_assert_uint_eq(s.out_len, strlen(last));
	ck_assert_mem_eq(s.out, last, s.out_len);
	ck_assert_mem_eq(s.client_key, keys.client_key, PGR_SHA256_LEN);
}
END_TEST

START_TEST(test_scram_server_nonce_is_new_each_time)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server a, b;
	struct pgr_err err;

	server_begin(&a, &keys);
	server_begin(&b, &keys);
	ck_assert_int_eq(step(&a, "n,,n=,r=x", &err), PGR_AGAIN);
	ck_assert_int_eq(step(&b, "n,,n=,r=x", &err), PGR_AGAIN);
	ck_assert_uint_eq(strlen(a.nonce), PGR_SCRAM_NONCE_LEN);
	ck_assert_str_ne(a.nonce, b.nonce);
}
END_TEST

START_TEST(test_scram_server_refuses_bad_first_messages)
{
	static const char *const bad[][2] = {{"", "08P01"}, {"n", "08P01"}, {"n,", "08P01"}, {"n,,", "08P01"},
		{"p=tls-server-end-point,,n=,r=x", "08P01"}, {"p=tls-unique,,n=,r=x", "08P01"},
		{"x,,n=,r=x", "08P01"}, {"n;,n=,r=x", "08P01"}, {"n,a=root,n=,r=x", "0A000"},
		{"n,x,n=,r=x", "08P01"}, {"n,,m=x,n=,r=x", "0A000"}, {"n,,r=x", "08P01"},
		{"n,,n=", "08P01"}, {"n,,n=,", "08P01"}, {"n,,n=,r", "08P01"}, {"n,,n=,r=", "08P01"},
		{"n,,n=,r=,x=y", "08P01"}, {"n,,n=,x=y,r=z", "08P01"}, {"n,,n=,r=a b", "08P01"},
		{"n,,n=,r=a\x7f", "08P01"}, {"n,,n=,r=a\xc3\xa9", "08P01"}, {"n,,n=,r=\x01", "08P01"}};
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		server_begin(&s, &keys);
		ck_assert_msg(step(&s, bad[i][0], &err) == PGR_FAIL, "accepted: %s", bad[i][0]);
		ck_assert_str_eq(err.sqlstate, bad[i][1]);
	}
	server_begin(&s, &keys);
	ck_assert_int_eq(pgr_scram_server_step(&s, "n,,n=,r=x\0", 10, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "08P01");
}
END_TEST

START_TEST(test_scram_server_c1_first_message_lengths_are_bounded)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;
	char *text = malloc(70000);

	for (size_t n = PGR_SCRAM_NONCE_MOST - 1; n <= PGR_SCRAM_NONCE_MOST + 1; n++) {
		memset(text, 'x', n + 8);
		memcpy(text, "n,,n=,r=", 8);
		server_begin(&s, &keys);
		ck_assert_int_eq(pgr_scram_server_step(&s, text, 8 + n, &err),
			n <= PGR_SCRAM_NONCE_MOST ? PGR_AGAIN : PGR_FAIL);
	}
	for (size_t n = PGR_SCRAM_FIRST_MOST - 1; n <= 65536; n += n < PGR_SCRAM_FIRST_MOST + 2 ? 1 : 9001) {
		memset(text, 'u', n); /* a long user name */
		memcpy(text, "n,,n=", 5);
		memcpy(text + n - 4, ",r=x", 4);
		server_begin(&s, &keys);
		ck_assert_int_eq(pgr_scram_server_step(&s, text, n, &err),
			n <= PGR_SCRAM_FIRST_MOST ? PGR_AGAIN : PGR_FAIL);
	}
	free(text);
}
END_TEST

/*
 * The server after the first message, and the final message of a client that knows password, made
 * here with the primitives: header as the base64 of the GS2 header, extra as what stands behind r=.
 */
static void
answer(struct pgr_scram_server *s, const struct pgr_scram_keys *keys, const char *header,
	const char *extra, char ret[4096])
{
	char without[2048], auth[8192], proof64[64];
	uint8_t proof[PGR_SHA256_LEN];

	snprintf(without, sizeof(without), "c=%s,r=cnonce%s%s", header, s->nonce, extra);
	snprintf(auth, sizeof(auth), "n=,r=cnonce,%.*s,%s", (int)s->out_len, s->out, without);
	pgr_digest_hmac(keys->stored_key, PGR_SHA256_LEN, auth, strlen(auth), proof);
	for (size_t i = 0; i < sizeof(proof); i++)
		proof[i] ^= keys->client_key[i];
	pgr_digest_base64(proof, sizeof(proof), proof64);
	snprintf(ret, 4096, "%s,p=%s", without, proof64);
}

START_TEST(test_scram_server_takes_both_flags_and_extensions)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &keys, "biws", ",x=ignored", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_OK);
	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "y,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &keys, "eSws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_OK);
}
END_TEST

START_TEST(test_scram_server_flag_of_the_first_message_must_be_repeated)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &keys, "eSws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "08P01");
}
END_TEST

START_TEST(test_scram_server_without_initial_data_asks_for_it)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	server_begin(&s, &keys);
	ck_assert_int_eq(pgr_scram_server_step(&s, NULL, 0, &err), PGR_AGAIN);
	ck_assert_uint_eq(s.out_len, 0);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &keys, "biws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_OK);
}
END_TEST

START_TEST(test_scram_server_wrong_password_is_28P01)
{
	struct pgr_scram_keys keys = keys_of("pencil"), other = keys_of("pen");
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &other, "biws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
	ck_assert_str_eq(err.message, "password authentication failed for user \"user\"");
}
END_TEST

START_TEST(test_scram_server_stolen_stored_key_is_no_password)
{
	struct pgr_scram_keys keys = keys_of("pencil"), thief = keys;
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	memset(thief.client_key, 0, sizeof(thief.client_key));
	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &thief, "biws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_FAIL);
}
END_TEST

START_TEST(test_scram_server_refuses_bad_final_messages)
{
	static const char *const bad[] = {"", "p=", "c=biws", "c=biws,r=cnonce", "c=biws,r=%s",
		"c=biws,r=%s,p=", "c=biws,r=%s,p=AAAA", "c=biws,r=%s,p=AAAA,x=y", "c=biws,r=%s,p",
		"c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"c=biws,r=%sx,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"c=biws,r=cnonce,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"c=biw,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		const char *mark = strstr(bad[i], "%s");
		char text[400];

		server_begin(&s, &keys);
		ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
		if (mark == NULL)
			snprintf(text, sizeof(text), "%s", bad[i]);
		else
			snprintf(text, sizeof(text), "%.*scnonce%s%s", (int)(mark - bad[i]), bad[i],
				s.nonce, mark + 2);
		ck_assert_msg(step(&s, text, &err) == PGR_FAIL, "accepted: %s", text);
		ck_assert_msg(strcmp(err.sqlstate, "08P01") == 0, "%s: %s", text, err.message);
	}
	server_begin(&s, &keys);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	ck_assert_int_eq(pgr_scram_server_step(&s, NULL, 0, &err), PGR_FAIL);
}
END_TEST

START_TEST(test_scram_server_c1_final_message_of_64_kB_is_refused)
{
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;
	char *text = malloc(65536);

	memset(text, 'x', 65536);
	for (size_t n = PGR_SCRAM_FINAL_MOST; n <= 65536; n += 991) {
		server_begin(&s, &keys);
		ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
		ck_assert_int_eq(pgr_scram_server_step(&s, text, n, &err), PGR_FAIL);
	}
	free(text);
}
END_TEST

START_TEST(test_scram_server_longest_messages_fit)
{
	uint8_t salt[PGR_SCRAM_SALT_MOST];
	char first[PGR_SCRAM_FIRST_MOST], final[PGR_SCRAM_FINAL_MOST];
	struct pgr_scram_server s;
	struct pgr_scram_keys keys;
	struct pgr_err err;

	memset(salt, 's', sizeof(salt));
	ck_assert_int_eq(pgr_scram_derive("x", salt, sizeof(salt), 1000000, &keys, &err), PGR_OK);
	server_begin(&s, &keys);
	memset(s.nonce, 'y', sizeof(s.nonce) - 1);
	s.nonce[sizeof(s.nonce) - 1] = '\0';
	memset(first, 'u', sizeof(first));
	memcpy(first, "n,,n=", 5);
	memset(first + sizeof(first) - PGR_SCRAM_NONCE_MOST, 'c', PGR_SCRAM_NONCE_MOST);
	memcpy(first + sizeof(first) - PGR_SCRAM_NONCE_MOST - 3, ",r=", 3);
	ck_assert_int_eq(pgr_scram_server_step(&s, first, sizeof(first), &err), PGR_AGAIN);
	memset(final, 'e', sizeof(final));
	memcpy(final, "c=biws,r=", 9);
	memcpy(final + 9, s.auth + s.nonce_at, s.nonce_len);
	memcpy(final + 9 + s.nonce_len, ",x=", 3);
	memcpy(final + sizeof(final) - 47, ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 47);
	ck_assert_int_eq(pgr_scram_server_step(&s, final, sizeof(final), &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01"); /* all was read; only the proof is wrong */
}
END_TEST

START_TEST(test_scram_server_any_of_several_passwords_is_right)
{
	struct pgr_scram_keys a = keys_of("old"), b = keys_of("new"), c = keys_of("other");
	const struct pgr_scram_keys *both[] = {&a, &b}, *tried[] = {&a, &b, &c};
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	for (unsigned i = 0; i < 3; i++) {
		pgr_scram_server_init(&s, "user", both, 2);
		ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
		answer(&s, tried[i], "biws", "", text);
		ck_assert_int_eq(step(&s, text, &err), i < 2 ? PGR_OK : PGR_FAIL);
		if (i < 2) {
			ck_assert_uint_eq(s.matched, i);
			ck_assert_mem_eq(s.client_key, tried[i]->client_key, PGR_SHA256_LEN);
		}
	}
}
END_TEST

START_TEST(test_scram_mock_looks_like_a_user_and_never_is_one)
{
	struct pgr_scram_keys mock, again, other;
	uint8_t salt[PGR_SCRAM_SALT_LEN];
	struct pgr_scram_server s;
	struct pgr_err err;
	char text[4096];

	pgr_scram_mock(seed, "nobody", 4096, &mock);
	pgr_scram_mock(seed, "nobody", 4096, &again);
	pgr_scram_mock(seed, "nobody2", 4096, &other);
	pgr_scram_salt(seed, "nobody", salt);
	ck_assert(pgr_scram_same_salt(&mock, &again));
	ck_assert(!pgr_scram_same_salt(&mock, &other));
	ck_assert_uint_eq(mock.salt_len, PGR_SCRAM_SALT_LEN);
	ck_assert_mem_eq(mock.salt, salt, sizeof(salt)); /* as that of a user with a clear text password */
	/* even one who could forge the proof: the right client key for the stored key */
	again = keys_of("pencil");
	memcpy(mock.stored_key, again.stored_key, PGR_SHA256_LEN);
	server_begin(&s, &mock);
	ck_assert_int_eq(step(&s, "n,,n=,r=cnonce", &err), PGR_AGAIN);
	answer(&s, &again, "biws", "", text);
	ck_assert_int_eq(step(&s, text, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
	ck_assert_str_eq(err.message, "password authentication failed for user \"user\"");
}
END_TEST

static enum pgr_rc
initial(const void *body, size_t len, const char **ret_data, size_t *ret_len)
{
	struct pgr_scram_server s = {.binding.len = 0};
	struct pgr_err err;
	enum pgr_rc rc = pgr_scram_initial(&s, body, len, ret_data, ret_len, &err);

	if (rc != PGR_OK)
		ck_assert_str_eq(err.sqlstate, "08P01");
	return rc;
}

START_TEST(test_scram_initial_gives_the_data)
{
	const char *data;
	size_t len;

	ck_assert_int_eq(initial("SCRAM-SHA-256\0\0\0\0\3abc", 21, &data, &len), PGR_OK);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(data, "abc", 3);
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\xff\xff\xff\xff", 18, &data, &len), PGR_OK);
	ck_assert_ptr_null(data);
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\0\0\0\0", 18, &data, &len), PGR_OK);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(test_scram_initial_c1_lengths_that_lie_are_refused)
{
	static const char body[] = "SCRAM-SHA-256\0\0\0\0\3abc";
	const char *data;
	size_t len;

	for (size_t n = 0; n < 21; n++) {
		char *heap = malloc(n > 0 ? n : 1);

		memcpy(heap, body, n);
		ck_assert_int_eq(initial(heap, n, &data, &len), PGR_FAIL);
		free(heap);
	}
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\0\0\0\2abc", 21, &data, &len), PGR_FAIL);
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\x7f\xff\xff\xff\1", 19, &data, &len), PGR_FAIL);
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\xff\xff\xff\xff\1", 19, &data, &len), PGR_FAIL);
	ck_assert_int_eq(initial("SCRAM-SHA-256\0\xff\xff\xff\xfe\1", 19, &data, &len), PGR_FAIL);
	ck_assert_int_eq(initial("SCRAM-SHA-256-PLUS\0\0\0\0\3abc", 26, &data, &len), PGR_FAIL);
	ck_assert_int_eq(initial("scram-sha-256\0\0\0\0\3abc", 21, &data, &len), PGR_FAIL);
}
END_TEST

/* ---- client ---- */

static struct pgr_scram_client client = {.gs2 = 'n'};

/* Begins, and fills text with a challenge: the client's nonce where fmt has its %s. */
static void
challenge(const char *fmt, char *text, size_t size)
{
	const char *mark = strstr(fmt, "%s");

	pgr_scram_client_begin(&client);
	if (mark == NULL)
		snprintf(text, size, "%s", fmt);
	else
		snprintf(text, size, "%.*s%s%s", (int)(mark - fmt), fmt, client.nonce, mark + 2);
}

static enum pgr_rc
challenged(const char *fmt)
{
	struct pgr_err err;
	char text[1000];
	enum pgr_rc rc;

	challenge(fmt, text, sizeof(text));
	rc = pgr_scram_client_challenge(&client, text, strlen(text), &err);
	if (rc != PGR_OK)
		ck_assert_str_eq(err.sqlstate, "08P01");
	return rc;
}

START_TEST(test_scram_client_begins_with_a_new_nonce)
{
	char first[200];

	pgr_scram_client_begin(&client);
	ck_assert_uint_eq(client.out_len, 8 + PGR_SCRAM_NONCE_LEN);
	ck_assert_mem_eq(client.out, "n,,n=,r=", 8);
	memcpy(first, client.out, client.out_len);
	pgr_scram_client_begin(&client);
	ck_assert_mem_ne(first, client.out, client.out_len);
}
END_TEST

START_TEST(test_scram_client_c2_hostile_challenges_are_refused)
{
	static const char *const bad[] = {"", "r=", "r=%s", "r=%sx", "r=%sx,s=AAAA", "r=%sx,s=AAAA,i=",
		"r=%s,s=AAAA,i=4096", "r=x%s,s=AAAA,i=4096", "r=x,s=AAAA,i=4096", "r=%sx y,s=AAAA,i=4096",
		"r=%s\xff,s=AAAA,i=4096", "r=%sx,s=,i=4096", "r=%sx,s=A,i=4096", "r=%sx,s=A===,i=4096",
		"r=%sx,s=AAAA,i=0", "r=%sx,s=AAAA,i=-1", "r=%sx,s=AAAA,i=+1", "r=%sx,s=AAAA,i= 1",
		"r=%sx,s=AAAA,i=1x", "r=%sx,s=AAAA,i=1000001", "r=%sx,s=AAAA,i=4294967296",
		"r=%sx,s=AAAA,i=4294971392", "r=%sx,s=AAAA,i=99999999999999999999999999",
		"r=%sx,s=AAAA,i=4096,x=y", "s=AAAA,r=%sx,i=4096",
		"m=x,r=%sx,s=AAAA,i=4096", "e=no", "r=%sx,i=4096,s=AAAA"};

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++)
		ck_assert_msg(challenged(bad[i]) == PGR_FAIL, "accepted: %s", bad[i]);
	ck_assert_int_eq(challenged("r=%sx,s=AAAA,i=4096"), PGR_OK);
	ck_assert_int_eq(challenged("r=%sx,s=AAAA,i=1000000"), PGR_OK);
	ck_assert_uint_eq(client.wanted.iterations, 1000000);
}
END_TEST

START_TEST(test_scram_client_c2_nonce_salt_of_64_kB_are_refused)
{
	char *text = malloc(140000), *p;
	struct pgr_err err;

	for (int salt = 0; salt <= 1; salt++) {
		for (size_t n = 4; n <= 65536; n *= 2) {
			challenge(salt ? "r=%sx,s=" : "r=%s", text, 1000);
			p = text + strlen(text);
			memset(p, 'A', n);
			strcpy(p + n, salt ? ",i=4096" : ",s=AAAA,i=4096");
			ck_assert_msg((pgr_scram_client_challenge(&client, text, strlen(text), &err)
					      == PGR_OK)
					== (n <= (salt ? 128 : 512)),
				"%zu", n);
		}
	}
	free(text);
}
END_TEST

START_TEST(test_scram_client_longest_salt_fits_one_more_does_not)
{
	uint8_t salt[PGR_SCRAM_SALT_MOST + 1] = {1};
	char encoded[200], text[1000];

	pgr_digest_base64(salt, PGR_SCRAM_SALT_MOST, encoded);
	snprintf(text, sizeof(text), "r=%%sx,s=%s,i=1", encoded);
	ck_assert_int_eq(challenged(text), PGR_OK);
	ck_assert_uint_eq(client.wanted.salt_len, PGR_SCRAM_SALT_MOST);
	pgr_digest_base64(salt, PGR_SCRAM_SALT_MOST + 1, encoded);
	snprintf(text, sizeof(text), "r=%%sx,s=%s,i=1", encoded);
	ck_assert_int_eq(challenged(text), PGR_FAIL);
}
END_TEST

/* What is chosen of the list: the GS2 flag, or 0 for a list that has nothing for us. */
static char
chosen(const char *list, size_t len, size_t binding)
{
	struct pgr_scram_client c = {.binding.len = binding};
	struct pgr_err err;

	return pgr_scram_client_choose(&c, list, len, &err) == PGR_OK ? c.gs2 : '\0';
}

START_TEST(test_scram_b47_mechanism_is_found_anywhere_in_the_list)
{
	ck_assert_int_eq(chosen("SCRAM-SHA-256\0", 15, 0), 'n');
	ck_assert_int_eq(chosen("SCRAM-SHA-256\0", 15, 32), 'y');
	ck_assert_int_eq(chosen("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, 0), 'n');
	ck_assert_int_eq(chosen("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, 32), 'p');
	ck_assert_int_eq(chosen("SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0", 34, 32), 'p');
	ck_assert_int_eq(chosen("SCRAM-SHA-256-PLUS\0", 20, 32), 'p');
	ck_assert_int_eq(chosen("SCRAM-SHA-256-PLUS\0", 20, 0), 0);
	ck_assert_int_eq(chosen("OAUTHBEARER\0\0SCRAM-SHA-256\0", 28, 0), 0);
	ck_assert_int_eq(chosen("SCRAM-SHA-256", 13, 0), 0);
	ck_assert_int_eq(chosen("", 0, 0), 0);
	ck_assert_int_eq(chosen("", 1, 32), 0);
}
END_TEST

/* ---- channel binding ---- */

/*
 * Our client with its view of the certificate against our server with its own. offer: what the client
 * is shown. Returns the server's SQLSTATE, "" when the client is in.
 */
static const char *
bound(size_t client_len, char client_byte, size_t server_len, const char *offer, size_t offer_len)
{
	static struct pgr_err err;
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_client c = {.binding.len = client_len};
	struct pgr_scram_server s;
	char body[1024];
	const char *data;
	size_t len;
	struct pgr_out out;

	memset(c.binding.hash, client_byte, sizeof(c.binding.hash));
	server_begin(&s, &keys);
	memset(s.binding.hash, 'h', sizeof(s.binding.hash));
	s.binding.len = server_len;
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(pgr_scram_client_choose(&c, offer, offer_len, &err), PGR_OK);
	pgr_scram_client_begin(&c);
	pgr_out_init(&out, body, sizeof(body));
	pgr_out_string(&out, pgr_scram_client_mechanism(&c));
	pgr_out_int32(&out, (uint32_t)c.out_len);
	pgr_out_bytes(&out, c.out, c.out_len);
	if (pgr_scram_initial(&s, body, out.len, &data, &len, &err) != PGR_OK ||
		pgr_scram_server_step(&s, data, len, &err) != PGR_AGAIN)
		return err.sqlstate;
	ck_assert_int_eq(pgr_scram_client_challenge(&c, s.out, s.out_len, &err), PGR_OK);
	pgr_scram_client_prove(&c, &keys);
	if (pgr_scram_server_step(&s, c.out, c.out_len, &err) != PGR_OK)
		return err.sqlstate;
	ck_assert_int_eq(pgr_scram_client_verify(&c, s.out, s.out_len, &err), PGR_OK);
	return "";
}

#define BOTH "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34
#define PLAIN "SCRAM-SHA-256\0", 15

START_TEST(test_scram_f12_both_sides_bind_to_the_same_certificate)
{
	ck_assert_str_eq(bound(32, 'h', 32, BOTH), "");
	ck_assert_str_eq(bound(64, 'h', 64, BOTH), ""); /* the longest hash */
	ck_assert_str_eq(bound(0, 'h', 32, BOTH), "");  /* a client that has none */
	ck_assert_str_eq(bound(32, 'h', 0, PLAIN), ""); /* a server that has none */
	/* another certificate: somebody is in between */
	ck_assert_str_eq(bound(32, 'x', 32, BOTH), "28000");
	ck_assert_str_eq(bound(48, 'h', 32, BOTH), "28000");
	/* somebody has taken PLUS off the list, or put it there */
	ck_assert_str_eq(bound(32, 'h', 32, PLAIN), "28000");
	ck_assert_str_eq(bound(32, 'h', 0, BOTH), "08P01");
}
END_TEST

START_TEST(test_scram_server_plus_refuses_other_flags)
{
	static const char *const bad[] = {"n,,n=,r=x", "y,,n=,r=x", "p=tls-unique,,n=,r=x", "p=,,n=,r=x",
		"p=tls-server-end-point", "p=tls-server-end-point,", "p=tls-server-end-point,,",
		"p=tls-server-end-pointx,,n=,r=x", "p=tls-server-end-point,x,n=,r=x", "p,,n=,r=x"};
	struct pgr_scram_keys keys = keys_of("pencil");
	struct pgr_scram_server s;
	struct pgr_err err;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		server_begin(&s, &keys);
		s.binding.len = 32;
		s.plus = true;
		ck_assert_msg(step(&s, bad[i], &err) == PGR_FAIL, "accepted: %s", bad[i]);
	}
	server_begin(&s, &keys);
	s.binding.len = 32;
	s.plus = true;
	ck_assert_int_eq(step(&s, "p=tls-server-end-point,a=root,n=,r=x", &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "0A000");
}
END_TEST

/* Runs our client against our server; returns the client's result, or FAIL when it got no further. */
static enum pgr_rc
login(const struct pgr_scram_keys *stored, const char *password, struct pgr_scram_keys *cache,
	struct pgr_scram_server *s, struct pgr_err *err)
{
	server_begin(s, stored);
	pgr_scram_client_begin(&client);
	ck_assert_int_eq(pgr_scram_server_step(s, client.out, client.out_len, err), PGR_AGAIN);
	ck_assert_int_eq(pgr_scram_client_challenge(&client, s->out, s->out_len, err), PGR_OK);
	if (pgr_scram_client_keys(&client, password, cache, err) != PGR_OK)
		return PGR_FAIL;
	pgr_scram_client_prove(&client, cache);
	if (pgr_scram_server_step(s, client.out, client.out_len, err) != PGR_OK)
		return PGR_FAIL;
	return pgr_scram_client_verify(&client, s->out, s->out_len, err);
}

START_TEST(test_scram_both_sides_agree)
{
	struct pgr_scram_keys stored = keys_of("pencil"), cache = {0};
	struct pgr_scram_server s;
	struct pgr_err err;

	ck_assert_int_eq(login(&stored, "pencil", &cache, &s, &err), PGR_OK);
	ck_assert_mem_eq(cache.client_key, stored.client_key, PGR_SHA256_LEN);
	memset(&cache, 0, sizeof(cache));
	ck_assert_int_eq(login(&stored, "pencils", &cache, &s, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
}
END_TEST

START_TEST(test_scram_client_kept_keys_need_no_password)
{
	struct pgr_scram_keys stored = keys_of("pencil"), cache = {0};
	struct pgr_scram_server s;
	struct pgr_err err;

	ck_assert_int_eq(login(&stored, "pencil", &cache, &s, &err), PGR_OK);
	/* the wrong password shows that it is not looked at: the keys are used as they are */
	ck_assert_int_eq(login(&stored, "wrong", &cache, &s, &err), PGR_OK);
	ck_assert_int_eq(login(&stored, NULL, &cache, &s, &err), PGR_OK);
}
END_TEST

START_TEST(test_scram_client_other_salt_needs_the_password_again)
{
	struct pgr_scram_keys stored = keys_of("pencil"), cache = stored, changed;
	struct pgr_scram_server s;
	struct pgr_err err;

	ck_assert_int_eq(pgr_scram_derive("pencil", (const uint8_t *)"other salt", 10, 65, &changed, &err),
		PGR_OK);
	ck_assert_int_eq(login(&changed, NULL, &cache, &s, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
	ck_assert(pgr_scram_same_salt(&cache, &stored)); /* not spoilt */
	ck_assert_int_eq(login(&changed, "pencil", &cache, &s, &err), PGR_OK);
	ck_assert(pgr_scram_same_salt(&cache, &changed));
}
END_TEST

START_TEST(test_scram_client_secret_alone_cannot_log_in)
{
	struct pgr_scram_keys stored = keys_of("pencil"), secret = stored;
	struct pgr_scram_server s;
	struct pgr_err err;

	secret.has_client = false;
	memset(secret.client_key, 0, sizeof(secret.client_key));
	ck_assert_int_eq(login(&stored, NULL, &secret, &s, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
}
END_TEST

START_TEST(test_scram_b46_pass_through_logs_in_with_what_the_client_proved)
{
	/* pgroute and the server store the same secret; neither knows the password */
	struct pgr_scram_keys secret = keys_of("pencil"), cache = {0};
	struct pgr_scram_server front, back;
	struct pgr_err err;

	secret.has_client = false;
	memset(secret.client_key, 0, sizeof(secret.client_key));
	ck_assert_int_eq(login(&secret, "pencil", &cache, &front, &err), PGR_OK);
	cache = secret;
	memcpy(cache.client_key, front.client_key, PGR_SHA256_LEN);
	cache.has_client = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(login(&secret, NULL, &cache, &back, &err), PGR_OK);
}
END_TEST

START_TEST(test_scram_client_server_that_knows_no_password_is_found_out)
{
	struct pgr_scram_keys stored = keys_of("pencil"), cache = {0};
	struct pgr_scram_server s;
	struct pgr_err err;

	stored.server_key[0] ^= 1;
	ck_assert_int_eq(login(&stored, "pencil", &cache, &s, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "28P01");
	ck_assert_ptr_nonnull(strstr(err.message, "server signature"));
}
END_TEST

START_TEST(test_scram_client_bad_final_messages_are_refused)
{
	static const char *const bad[][2] = {{"", "08P01"}, {"v", "08P01"}, {"v=", "08P01"}, {"v=AAAA", "08P01"},
		{"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "28P01"},
		{"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,x=y", "08P01"},
		{"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "08P01"},
		{"e=invalid-proof", "28P01"}, {"x=y", "08P01"}};
	struct pgr_scram_keys stored = keys_of("pencil"), cache = {0};
	struct pgr_scram_server s;
	struct pgr_err err;
	char *text = malloc(65536);

	ck_assert_int_eq(login(&stored, "pencil", &cache, &s, &err), PGR_OK);
	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		ck_assert_msg(pgr_scram_client_verify(&client, bad[i][0], strlen(bad[i][0]), &err) == PGR_FAIL,
			"%s", bad[i][0]);
		ck_assert_msg(strcmp(err.sqlstate, bad[i][1]) == 0, "%s: %s", bad[i][0], err.message);
	}
	memset(text, 'e', 65536);
	text[1] = '=';
	ck_assert_int_eq(pgr_scram_client_verify(&client, text, 65536, &err), PGR_FAIL);
	ck_assert_int_eq(pgr_scram_client_verify(&client, text, 2000, &err), PGR_FAIL);
	free(text);
}
END_TEST

UNIT_MAIN("scram", test_scram_derive_agrees_with_secrets_made_by_postgres,
	test_scram_derive_applies_saslprep_or_takes_the_bytes,
	test_scram_derive_takes_a_password_of_64_kB, test_scram_parse_secret_refuses_what_is_none,
	test_scram_secret_longest_salt_fits_one_more_does_not,
	test_scram_server_rfc7677_exchange_is_reproduced, test_scram_server_nonce_is_new_each_time,
	test_scram_server_refuses_bad_first_messages,
	test_scram_server_c1_first_message_lengths_are_bounded,
	test_scram_server_takes_both_flags_and_extensions,
	test_scram_server_flag_of_the_first_message_must_be_repeated,
	test_scram_server_without_initial_data_asks_for_it, test_scram_server_wrong_password_is_28P01,
	test_scram_server_stolen_stored_key_is_no_password,
	test_scram_server_refuses_bad_final_messages,
	test_scram_server_c1_final_message_of_64_kB_is_refused,
	test_scram_server_longest_messages_fit, test_scram_server_any_of_several_passwords_is_right,
	test_scram_mock_looks_like_a_user_and_never_is_one, test_scram_initial_gives_the_data,
	test_scram_initial_c1_lengths_that_lie_are_refused, test_scram_client_begins_with_a_new_nonce,
	test_scram_client_c2_hostile_challenges_are_refused,
	test_scram_client_c2_nonce_salt_of_64_kB_are_refused,
	test_scram_client_longest_salt_fits_one_more_does_not,
	test_scram_b47_mechanism_is_found_anywhere_in_the_list,
	test_scram_f12_both_sides_bind_to_the_same_certificate,
	test_scram_server_plus_refuses_other_flags, test_scram_both_sides_agree,
	test_scram_client_kept_keys_need_no_password,
	test_scram_client_other_salt_needs_the_password_again,
	test_scram_client_secret_alone_cannot_log_in,
	test_scram_b46_pass_through_logs_in_with_what_the_client_proved,
	test_scram_client_server_that_knows_no_password_is_found_out,
	test_scram_client_bad_final_messages_are_refused)
