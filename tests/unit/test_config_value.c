/* config/value.h: texts to values and back; config/complain.h: guessing what was meant. */
#include "config_util.h"

#include "config/complain.h"
#include "config/value.h"

static const struct pgr_key duration = {.type = PGR_KEY_DURATION, .max = UINT64_MAX};
static const struct pgr_key size = {.type = PGR_KEY_SIZE, .max = UINT64_MAX};
static const struct pgr_key number = {.type = PGR_KEY_INT, .max = UINT32_MAX};
static const struct pgr_key truth = {.type = PGR_KEY_BOOL};

static struct pgr_complaint complaint;

static uint64_t
parsed(const struct pgr_key *key, const char *text)
{
	uint64_t value = 77;

	ck_assert_msg(
		pgr_value_parse(key, text, &value, &complaint), "%s: %s", text, complaint.message);
	return value;
}

static void
assert_refused(const struct pgr_key *key, const char *text, const char *message)
{
	uint64_t value = 77;

	ck_assert_msg(!pgr_value_parse(key, text, &value, &complaint), "%s was accepted", text);
	ck_assert_str_eq(complaint.message, message);
	ck_assert_uint_eq(value, 77);
}

START_TEST(test_config_value_durations_become_microseconds)
{
	ck_assert_uint_eq(parsed(&duration, "500ms"), 500000);
	ck_assert_uint_eq(parsed(&duration, "5s"), 5000000);
	ck_assert_uint_eq(parsed(&duration, "10m"), 600000000);
	ck_assert_uint_eq(parsed(&duration, "1h"), UINT64_C(3600000000));
	ck_assert_uint_eq(parsed(&duration, "1d"), UINT64_C(86400000000));
	ck_assert_uint_eq(parsed(&duration, "0"), 0);
	ck_assert_uint_eq(parsed(&duration, "0s"), 0);
}
END_TEST

START_TEST(test_config_value_duration_without_unit_is_refused_with_a_way_out)
{
	assert_refused(&duration, "5", "\"5\" has no unit");
	ck_assert_str_eq(complaint.suggestion, "add a unit: 5ms or 5s");
	assert_refused(&duration, "5S", "\"5S\" is not a duration");
	ck_assert_str_eq(complaint.suggestion, "units are case-sensitive: s");
	assert_refused(&duration, "5 s", "\"5 s\" is not a duration");
	assert_refused(&duration, "-5s", "\"-5s\" is not a duration");
	assert_refused(&duration, "1.5s", "\"1.5s\" is not a duration");
	assert_refused(&duration, "s", "\"s\" is not a duration");
	assert_refused(&duration, "", "\"\" is not a duration");
}
END_TEST

START_TEST(test_config_value_that_overflows_is_refused)
{
	assert_refused(
		&duration, "18446744073709551615d", "\"18446744073709551615d\" is not a duration");
	assert_refused(&number, "18446744073709551616", "\"18446744073709551616\" is not a number");
	assert_refused(&number, "4294967296", "\"4294967296\" is out of range: 0 to 4294967295");
}
END_TEST

START_TEST(test_config_value_sizes_are_powers_of_1024)
{
	ck_assert_uint_eq(parsed(&size, "64kB"), 65536);
	ck_assert_uint_eq(parsed(&size, "64KiB"), 65536);
	ck_assert_uint_eq(parsed(&size, "16MiB"), 16777216);
	ck_assert_uint_eq(parsed(&size, "16MB"), 16777216);
	ck_assert_uint_eq(parsed(&size, "1GB"), 1073741824);
	ck_assert_uint_eq(parsed(&size, "7B"), 7);
	ck_assert_uint_eq(parsed(&size, "0"), 0);
	assert_refused(&size, "64", "\"64\" has no unit");
	ck_assert_str_eq(complaint.suggestion, "add a unit: 64kB or 64MB");
	assert_refused(&size, "64KB", "\"64KB\" is not a size");
	ck_assert_str_eq(complaint.suggestion, "units are case-sensitive: kB");
}
END_TEST

START_TEST(test_config_value_truths_have_six_spellings)
{
	ck_assert_uint_eq(parsed(&truth, "true"), 1);
	ck_assert_uint_eq(parsed(&truth, "on"), 1);
	ck_assert_uint_eq(parsed(&truth, "yes"), 1);
	ck_assert_uint_eq(parsed(&truth, "false"), 0);
	ck_assert_uint_eq(parsed(&truth, "off"), 0);
	ck_assert_uint_eq(parsed(&truth, "no"), 0);
	assert_refused(&truth, "1", "\"1\" is none of false, true, off, on, no, yes");
}
END_TEST

START_TEST(test_config_value_out_of_range_names_the_range)
{
	struct pgr_key key = {.type = PGR_KEY_DURATION, .min = 1000000, .max = 60000000};

	assert_refused(&key, "500ms", "\"500ms\" is out of range: 1s to 1m");
	assert_refused(&key, "0", "\"0\" is out of range: 1s to 1m");
	key.flags = PGR_KEY_ZERO_OFF;
	ck_assert_uint_eq(parsed(&key, "0"), 0);
	ck_assert_uint_eq(parsed(&key, "1s"), 1000000);
	ck_assert_uint_eq(parsed(&key, "1m"), 60000000);
	assert_refused(&key, "61s", "\"61s\" is out of range: 1s to 1m, or 0 for off");
}
END_TEST

START_TEST(test_config_value_auto_only_where_the_key_has_it)
{
	struct pgr_key key = {.type = PGR_KEY_INT, .min = 1, .max = 9, .flags = PGR_KEY_AUTO};
	char text[32];

	ck_assert_uint_eq(parsed(&key, "auto"), 0);
	assert_refused(&key, "0", "\"0\" is out of range: 1 to 9");
	pgr_value_format(&key, 0, text, sizeof(text));
	ck_assert_str_eq(text, "auto");
	assert_refused(&number, "auto", "\"auto\" is not a number");
}
END_TEST

/* Every default of the table survives both ways: what `show config` prints can be written back. */
START_TEST(test_config_value_format_gives_what_parse_takes)
{
	unsigned seen = 0;

	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];
		char text[64];
		uint64_t value;

		if (key->type != PGR_KEY_BOOL && key->type != PGR_KEY_INT &&
			key->type != PGR_KEY_WORD && key->type != PGR_KEY_DURATION &&
			key->type != PGR_KEY_SIZE)
			continue;
		if (strcmp(key->fallback, "null") == 0)
			continue;
		value = parsed(key, key->fallback);
		pgr_value_format(key, value, text, sizeof(text));
		ck_assert_uint_eq(parsed(key, text), value);
		seen++;
	}
	ck_assert_uint_gt(seen, 40);
}
END_TEST

START_TEST(test_config_value_format_takes_the_largest_unit_that_fits)
{
	char text[64];

	pgr_value_format(&duration, 90 * PGR_USEC_PER_SEC, text, sizeof(text));
	ck_assert_str_eq(text, "90s");
	pgr_value_format(&duration, 3600 * PGR_USEC_PER_SEC, text, sizeof(text));
	ck_assert_str_eq(text, "1h");
	pgr_value_format(&duration, 1500 * PGR_USEC_PER_MSEC, text, sizeof(text));
	ck_assert_str_eq(text, "1500ms");
	pgr_value_format(&size, 65537, text, sizeof(text));
	ck_assert_str_eq(text, "65537B");
	pgr_value_format(&size, 3u << 20, text, sizeof(text));
	ck_assert_str_eq(text, "3MB");
}
END_TEST

static void
assert_address(const char *text, const char *host, unsigned port, bool is_unix)
{
	struct pgr_value_address address;

	ck_assert_msg(
		pgr_value_address(text, &address, &complaint), "%s: %s", text, complaint.message);
	ck_assert_uint_eq(address.host_len, strlen(host));
	ck_assert(memcmp(address.host, host, address.host_len) == 0);
	ck_assert_uint_eq(address.port, port);
	ck_assert(address.is_unix == is_unix);
}

START_TEST(test_config_value_addresses)
{
	assert_address("127.0.0.1:6432", "127.0.0.1", 6432, false);
	assert_address("localhost:1", "localhost", 1, false);
	assert_address("[::1]:65535", "::1", 65535, false);
	assert_address("/run/pgroute", "/run/pgroute", 0, true);
	assert_address("/run/pgroute:6433", "/run/pgroute", 6433, true);
	assert_address("/run/a:b", "/run/a:b", 0, true);
}
END_TEST

START_TEST(test_config_value_what_is_no_address_is_refused)
{
	static const char *const wrong[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:64x", ":6432", "::1:6432", "[::1]", "[::1:6432",
		"[]:6432", "*:6432", "relative/dir"};
	struct pgr_value_address address;
	char path[130];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!pgr_value_address(wrong[i], &address, &complaint), "%s", wrong[i]);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[101] = '\0';
	ck_assert(!pgr_value_address(path, &address, &complaint));
	path[100] = '\0';
	ck_assert(pgr_value_address(path, &address, &complaint));
}
END_TEST

static enum pgr_config_secret_kind
secret_kind(const char *text)
{
	enum pgr_config_secret_kind kind = PGR_CONFIG_SECRET_NONE;

	ck_assert(pgr_value_secret(text, &kind, &complaint));
	return kind;
}

START_TEST(test_config_value_secrets_are_told_apart)
{
	ck_assert_int_eq(secret_kind("hunter2"), PGR_CONFIG_SECRET_CLEAR);
	ck_assert_int_eq(secret_kind("md5"), PGR_CONFIG_SECRET_CLEAR);
	ck_assert_int_eq(secret_kind("md50123456789abcdef0123456789abcdef"), PGR_CONFIG_SECRET_MD5);
	ck_assert_int_eq(
		secret_kind("md50123456789abcdef0123456789abcdeg"), PGR_CONFIG_SECRET_CLEAR);
	ck_assert_int_eq(secret_kind(SCRAM_SECRET("c2FsdHNhbHQ=")), PGR_CONFIG_SECRET_SCRAM);
}
END_TEST

START_TEST(test_config_value_malformed_scram_secret_is_refused_unquoted)
{
	enum pgr_config_secret_kind kind;

	ck_assert(!pgr_value_secret("SCRAM-SHA-256$4096:c2FsdA==$abc:def", &kind, &complaint));
	ck_assert_ptr_null(strstr(complaint.message, "abc"));
	ck_assert_ptr_null(strstr(complaint.suggestion, "abc"));
}
END_TEST

START_TEST(test_config_value_scram_secrets_of_one_salt_are_alike)
{
	ck_assert(
		pgr_value_scram_alike(SCRAM_SECRET("c2FsdHNhbHQ="), SCRAM_SECRET("c2FsdHNhbHQ=")));
	ck_assert(
		!pgr_value_scram_alike(SCRAM_SECRET("c2FsdHNhbHQ="), SCRAM_SECRET("U2FsdHNhbHQ=")));
}
END_TEST

static const char *
guessed(const char *given)
{
	static const char *const known[] = {
		"pool_size", "pool_mode", "user", "transaction", "warning", NULL};
	struct pgr_guess guess;

	pgr_guess_init(&guess, given, strlen(given));
	for (size_t i = 0; known[i] != NULL; i++)
		pgr_guess_offer(&guess, known[i]);
	return guess.best != NULL ? guess.best : "(none)";
}

START_TEST(test_config_value_guess_finds_the_near_name)
{
	ck_assert_str_eq(guessed("pool_sise"), "pool_size");
	ck_assert_str_eq(guessed("pol_mode"), "pool_mode");
	ck_assert_str_eq(guessed("usre"), "user");
	ck_assert_str_eq(guessed("warn"), "warning");
	ck_assert_str_eq(guessed("transactoin"), "transaction");
	ck_assert_str_eq(guessed("zzz"), "(none)");
	ck_assert_str_eq(guessed(""), "(none)");
}
END_TEST

UNIT_MAIN("config_value", test_config_value_durations_become_microseconds,
	test_config_value_duration_without_unit_is_refused_with_a_way_out,
	test_config_value_that_overflows_is_refused, test_config_value_sizes_are_powers_of_1024,
	test_config_value_truths_have_six_spellings, test_config_value_out_of_range_names_the_range,
	test_config_value_auto_only_where_the_key_has_it,
	test_config_value_format_gives_what_parse_takes,
	test_config_value_format_takes_the_largest_unit_that_fits, test_config_value_addresses,
	test_config_value_what_is_no_address_is_refused, test_config_value_secrets_are_told_apart,
	test_config_value_malformed_scram_secret_is_refused_unquoted,
	test_config_value_scram_secrets_of_one_salt_are_alike,
	test_config_value_guess_finds_the_near_name)
