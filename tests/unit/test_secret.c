/* proto/secret.h: kinds of stored passwords. The stored forms were made by PostgreSQL 15. */
#include "unit.h"

#include <string.h>

#include "proto/secret.h"

#define MD5_OF_M_PENCIL "md58bbf3f45673bf67d02e4214911f3417f"
#define SCRAM_OF_PENCIL                                                       \
	"SCRAM-SHA-256$4096:vc2PIw0g0Ef60tPu5nwNUA==$"                        \
	"TYCCS0M341zRBiDFjPTeEKIXJOm5RvALSpzU7fN8ris=:"                       \
	"jdzL3XIXT1FBE4sFxJ9vw1cPTQWBKYYBiUkM93uVz8I="

static struct pgr_secret
parsed(const char *text)
{
	struct pgr_secret secret;
	struct pgr_err err;

	ck_assert_int_eq(pgr_secret_parse(text, &secret, &err), PGR_OK);
	return secret;
}

START_TEST(test_secret_parse_tells_the_kinds)
{
	ck_assert_int_eq(parsed("pencil").kind, PGR_SECRET_CLEAR);
	ck_assert_int_eq(parsed(MD5_OF_M_PENCIL).kind, PGR_SECRET_MD5);
	ck_assert_int_eq(parsed(SCRAM_OF_PENCIL).kind, PGR_SECRET_SCRAM);
	/* PostgreSQL takes these for clear text too */
	ck_assert_int_eq(parsed("md58bbf3f45673bf67d02e4214911f3417").kind, PGR_SECRET_CLEAR);
	ck_assert_int_eq(parsed("md58bbf3f45673bf67d02e4214911f3417f0").kind, PGR_SECRET_CLEAR);
	ck_assert_int_eq(parsed("md58BBF3F45673BF67D02E4214911F3417F").kind, PGR_SECRET_CLEAR);
	ck_assert_int_eq(parsed("SCRAM-SHA-256").kind, PGR_SECRET_CLEAR);
}
END_TEST

START_TEST(test_secret_parse_refuses_empty_and_broken_without_showing_them)
{
	struct pgr_secret secret;
	struct pgr_err err;

	ck_assert_int_eq(pgr_secret_parse("", &secret, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "22023");
	ck_assert_int_eq(pgr_secret_parse("SCRAM-SHA-256$4096:c2VjcmV0", &secret, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "22023");
	ck_assert_ptr_null(strstr(err.message, "c2VjcmV0"));
	ck_assert_ptr_null(strstr(err.hint, "c2VjcmV0"));
}
END_TEST

START_TEST(test_secret_check_plain_knows_the_password_of_each_kind)
{
	static const char *const stored[] = {"pencil", MD5_OF_M_PENCIL, SCRAM_OF_PENCIL};
	static const char *const wrong[] = {"", "penci", "pencil ", "Pencil", "pencils"};

	for (size_t i = 0; i < PGR_COUNT_OF(stored); i++) {
		struct pgr_secret secret = parsed(stored[i]);

		ck_assert(pgr_secret_check_plain(&secret, "m", "pencil"));
		ck_assert(!pgr_secret_check_plain(&secret, "m", stored[i]) || i == 0);
		for (size_t k = 0; k < PGR_COUNT_OF(wrong); k++)
			ck_assert(!pgr_secret_check_plain(&secret, "m", wrong[k]));
	}
}
END_TEST

START_TEST(test_secret_check_plain_md5_is_bound_to_the_user)
{
	struct pgr_secret secret = parsed(MD5_OF_M_PENCIL);

	ck_assert(!pgr_secret_check_plain(&secret, "n", "pencil"));
}
END_TEST

START_TEST(test_secret_md5_answer_is_the_same_from_clear_text_and_md5)
{
	struct pgr_secret clear = parsed("pencil"), md5 = parsed(MD5_OF_M_PENCIL);
	char a[PGR_SECRET_MD5_LEN + 1], b[PGR_SECRET_MD5_LEN + 1];

	ck_assert(pgr_secret_md5_answer(&clear, "m", "\x00\x01\xfe\xff", a));
	ck_assert(pgr_secret_md5_answer(&md5, "m", "\x00\x01\xfe\xff", b));
	ck_assert_str_eq(a, b);
	ck_assert_uint_eq(strlen(a), PGR_SECRET_MD5_LEN);
	/* md5(stored digits || salt), by md5sum */
	ck_assert_str_eq(a, "md5f4a634b8756dae9d602c3c5faf088fc3");
}
END_TEST

START_TEST(test_secret_check_md5_takes_only_the_answer)
{
	struct pgr_secret clear = parsed("pencil");
	char answer[PGR_SECRET_MD5_LEN + 1], longer[PGR_SECRET_MD5_LEN + 2];

	ck_assert(pgr_secret_md5_answer(&clear, "m", "salt", answer));
	ck_assert(pgr_secret_check_md5(&clear, "m", "salt", answer));
	memcpy(longer, answer, PGR_SECRET_MD5_LEN);
	memcpy(longer + PGR_SECRET_MD5_LEN, "0", 2);
	ck_assert(!pgr_secret_check_md5(&clear, "m", "salt", longer));
	ck_assert(!pgr_secret_check_md5(&clear, "m", "Salt", answer));
	ck_assert(!pgr_secret_check_md5(&clear, "n", "salt", answer));
	ck_assert(!pgr_secret_check_md5(&clear, "m", "salt", ""));
	ck_assert(!pgr_secret_check_md5(&clear, "m", "salt", "md5"));
	ck_assert(!pgr_secret_check_md5(&clear, "m", "salt", "pencil"));
	answer[20] ^= 1;
	ck_assert(!pgr_secret_check_md5(&clear, "m", "salt", answer));
}
END_TEST

START_TEST(test_secret_scram_cannot_answer_md5)
{
	struct pgr_secret scram = parsed(SCRAM_OF_PENCIL);
	char answer[PGR_SECRET_MD5_LEN + 1] = "md5";

	ck_assert(!pgr_secret_md5_answer(&scram, "m", "salt", answer));
	ck_assert(!pgr_secret_check_md5(&scram, "m", "salt", answer));
}
END_TEST

UNIT_MAIN("secret", test_secret_parse_tells_the_kinds,
	test_secret_parse_refuses_empty_and_broken_without_showing_them,
	test_secret_check_plain_knows_the_password_of_each_kind,
	test_secret_check_plain_md5_is_bound_to_the_user,
	test_secret_md5_answer_is_the_same_from_clear_text_and_md5,
	test_secret_check_md5_takes_only_the_answer, test_secret_scram_cannot_answer_md5)
