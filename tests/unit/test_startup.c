/* proto/startup.h: pitfalls C1, C9, C14, F23, B51 as far as bytes go. */
#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/startup.h"

#define V3(minor) (3u << 16 | (minor))

/* A packet on the heap, of exactly its size, so that the sanitizer sees each byte read too much. */
struct packet {
	char *p;
	size_t size;
};

static struct packet
packet(uint32_t code, const void *rest, size_t len)
{
	struct packet pk = {malloc(8 + len), 8 + len};

	pgr_put32(pk.p, (uint32_t)pk.size);
	pgr_put32(pk.p + 4, code);
	if (len > 0)
		memcpy(pk.p + 8, rest, len);
	return pk;
}

/* SESSION with a literal's characters; its own NUL is the terminator. */
#define SESSION(version, text) packet((version), (text), sizeof(text))

static struct pgr_startup
accepted(struct packet pk)
{
	struct pgr_startup s;
	struct pgr_err err;

	ck_assert_msg(pgr_startup_parse(pk.p, pk.size, &s, &err) == PGR_OK, "%s", err.message);
	return s;
}

/* Frees the packet. */
static void
refused(struct packet pk, const char *sqlstate, const char *part)
{
	struct pgr_startup s;
	struct pgr_err err;

	ck_assert_int_eq(pgr_startup_parse(pk.p, pk.size, &s, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, sqlstate);
	ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" lacks \"%s\"", err.message, part);
	free(pk.p);
}

static enum pgr_rc
size_of(const char *head, size_t *ret)
{
	struct pgr_err err;

	return pgr_startup_size(head, 65536, ret, &err);
}

START_TEST(test_startup_size_c1_impossible_lengths_are_refused)
{
	size_t size = 77;

	ck_assert_int_eq(size_of("\0\0\0\0", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("\0\0\0\3", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("\0\0\0\7", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("\x7f\xff\xff\xff", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("\xff\xff\xff\xff", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("\0\1\0\1", &size), PGR_FAIL);
	ck_assert_int_eq(size_of("GET ", &size), PGR_FAIL);
	ck_assert_uint_eq(size, 77);
	ck_assert_int_eq(size_of("\0\0\0\x08", &size), PGR_OK);
	ck_assert_uint_eq(size, 8);
	ck_assert_int_eq(size_of("\0\1\0\0", &size), PGR_OK);
	ck_assert_uint_eq(size, 65536);
}
END_TEST

START_TEST(test_startup_session_gives_its_parts)
{
	struct packet pk = SESSION(V3(0),
		"user\0bob\0database\0shop\0application_name\0psql\0options\0-c a=b\0DateStyle\0ISO\0");
	struct pgr_startup s = accepted(pk);
	const char *name, *value;
	size_t pos = 0;

	ck_assert_int_eq(s.kind, PGR_STARTUP_SESSION);
	ck_assert_uint_eq(s.minor, 0);
	ck_assert(!s.negotiate);
	ck_assert_str_eq(s.user, "bob");
	ck_assert_str_eq(s.database, "shop");
	ck_assert_str_eq(s.options, "-c a=b");
	ck_assert_int_eq(s.replication, PGR_REPLICATION_NONE);
	ck_assert_uint_eq(s.n_settings, 2);
	ck_assert(pgr_startup_next(&s, &pos, &name, &value));
	ck_assert_str_eq(name, "application_name");
	ck_assert_str_eq(value, "psql");
	ck_assert(pgr_startup_next(&s, &pos, &name, &value));
	ck_assert_str_eq(name, "DateStyle");
	ck_assert_str_eq(value, "ISO");
	ck_assert(!pgr_startup_next(&s, &pos, &name, &value));
	ck_assert(!pgr_startup_next(&s, &pos, &name, &value));
	free(pk.p);
}
END_TEST

START_TEST(test_startup_b51_database_defaults_to_the_user)
{
	struct packet pk = SESSION(V3(0), "user\0bob\0");

	ck_assert_str_eq(accepted(pk).database, "bob");
	free(pk.p);
	pk = SESSION(V3(0), "database\0\0user\0bob\0");
	ck_assert_str_eq(accepted(pk).database, "bob");
	ck_assert_ptr_null(accepted(pk).options);
	free(pk.p);
}
END_TEST

START_TEST(test_startup_without_user_is_28000)
{
	static const char text[] = "no PostgreSQL user name specified in startup packet";

	refused(SESSION(V3(0), ""), "28000", text);
	refused(SESSION(V3(0), "user\0\0"), "28000", text);
	refused(SESSION(V3(0), "database\0a\0"), "28000", text);
	refused(SESSION(V3(0), "USER\0a\0"), "28000", text);
}
END_TEST

START_TEST(test_startup_c14_terminator_must_be_the_last_byte)
{
	static const char text[] = "expected terminator as last byte";
	static const char body[] = "user\0bob\0database\0shop\0";
	struct packet pk;

	/* cut anywhere: only the whole is whole */
	for (size_t len = 0; len < sizeof(body); len++)
		refused(packet(V3(0), body, len), "08P01", text);
	pk = packet(V3(0), body, sizeof(body));
	accepted(pk);
	free(pk.p);
	refused(packet(V3(0), "user\0bob\0\0\0", 11), "08P01", text);
	refused(packet(V3(0), "user\0bob\0\0junk", 14), "08P01", text);
	refused(packet(V3(0), "user\0bob\0\0x\0y\0\0", 15), "08P01", text);
	refused(packet(V3(0), "\0user\0bob\0\0", 11), "08P01", text);
}
END_TEST

START_TEST(test_startup_c14_who_connects_is_not_said_twice)
{
	refused(SESSION(V3(0), "user\0bob\0user\0root\0"), "08P01", "\"user\" is given twice");
	refused(SESSION(V3(0), "user\0bob\0database\0a\0x\0y\0database\0b\0"), "08P01",
		"\"database\" is given twice");
	refused(SESSION(V3(0), "user\0bob\0options\0\0options\0\0"), "08P01", "\"options\" is given twice");
}
END_TEST

START_TEST(test_startup_a_value_is_no_duplicate_of_a_name)
{
	struct packet pk = SESSION(V3(0), "a\0user\0user\0a\0b\0b\0");

	ck_assert_str_eq(accepted(pk).user, "a");
	free(pk.p);
}
END_TEST

static struct packet
many(unsigned n)
{
	char *body = malloc(32 + n * 8u);
	size_t len = 9;
	struct packet pk;

	memcpy(body, "user\0bob", 9);
	for (unsigned i = 1; i < n; i++) {
		len += (size_t)sprintf(body + len, "a%u", i) + 1;
		body[len++] = '\0';
	}
	body[len++] = '\0';
	pk = packet(V3(0), body, len);
	free(body);
	return pk;
}

START_TEST(test_startup_c14_number_of_parameters_is_bounded)
{
	struct packet pk = many(PGR_STARTUP_PAIRS);

	ck_assert_uint_eq(accepted(pk).n_settings, PGR_STARTUP_PAIRS - 1);
	free(pk.p);
	refused(many(PGR_STARTUP_PAIRS + 1), "08P01", "parameters");
	refused(many(10000), "08P01", "parameters");
}
END_TEST

START_TEST(test_startup_c9_names_of_64_kB_are_names)
{
	size_t n = 65000;
	char *body = malloc(n + 32);
	struct packet pk;

	memcpy(body, "database", 9);
	memset(body + 9, 'd', n);
	memcpy(body + 9 + n, "\0user\0bob\0", 11);
	pk = packet(V3(0), body, n + 20);
	ck_assert_uint_eq(strlen(accepted(pk).database), n);
	free(pk.p);
	free(body);
}
END_TEST

START_TEST(test_startup_replication_is_recognized)
{
	static const struct {
		const char *value;
		enum pgr_replication is;
	} cases[] = {
		{"database", PGR_REPLICATION_LOGICAL}, {"true", PGR_REPLICATION_PHYSICAL},
		{"1", PGR_REPLICATION_PHYSICAL}, {"ON", PGR_REPLICATION_PHYSICAL},
		{"y", PGR_REPLICATION_PHYSICAL}, {"t", PGR_REPLICATION_PHYSICAL},
		{"false", PGR_REPLICATION_NONE}, {"0", PGR_REPLICATION_NONE},
		{"of", PGR_REPLICATION_NONE}, {"no", PGR_REPLICATION_NONE},
	};
	static const char *const bad[] = {"", "o", "2", "truely", "tr ue", "Database", "10"};
	char body[64] = "user\0bob\0replication";

	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++) {
		size_t len = strlen(cases[i].value);
		struct packet pk;

		memcpy(body + 21, cases[i].value, len + 1);
		body[22 + len] = '\0';
		pk = packet(V3(0), body, 23 + len);
		ck_assert_int_eq(accepted(pk).replication, cases[i].is);
		ck_assert_uint_eq(accepted(pk).n_settings, 0);
		free(pk.p);
	}
	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		size_t len = strlen(bad[i]);

		memcpy(body + 21, bad[i], len + 1);
		body[22 + len] = '\0';
		refused(packet(V3(0), body, 23 + len), "22023", "replication");
	}
}
END_TEST

START_TEST(test_startup_other_protocol_versions_are_0A000)
{
	refused(SESSION(2u << 16, "user\0bob\0"), "0A000",
		"unsupported frontend protocol 2.0: server supports 3.0 to 3.2");
	refused(SESSION(4u << 16 | 7, "user\0bob\0"), "0A000",
		"unsupported frontend protocol 4.7: server supports 3.0 to 3.2");
	refused(packet(0, NULL, 0), "0A000", "unsupported frontend protocol 0.0");
	refused(packet(UINT32_MAX, NULL, 0), "0A000", "unsupported frontend protocol 65535.65535");
	refused(packet(1234u << 16 | 5677, NULL, 0), "0A000", "1234.5677");
}
END_TEST

START_TEST(test_startup_f23_minor_versions_are_kept_or_negotiated_down)
{
	static const struct {
		unsigned asked, spoken;
		bool negotiate;
	} cases[] = {{0, 0, false}, {1, 1, false}, {2, 2, false}, {3, 2, true}, {9999, 2, true},
		{65535, 2, true}};

	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++) {
		struct packet pk = SESSION(V3(cases[i].asked), "user\0bob\0");
		struct pgr_startup s = accepted(pk);

		ck_assert_uint_eq(s.minor, cases[i].spoken);
		ck_assert_int_eq(s.negotiate, cases[i].negotiate);
		free(pk.p);
	}
}
END_TEST

START_TEST(test_startup_f23_negotiate_lists_the_options_in_order)
{
	static const char want[] = "v\0\0\0\x1e\0\3\0\2\0\0\0\2_pq_.first\0_pq_.b";
	struct packet pk = SESSION(V3(9999), "_pq_.first\0on\0user\0bob\0x\0y\0_pq_.b\0\0");
	struct pgr_startup s = accepted(pk);
	struct pgr_out out;
	char buf[100];

	ck_assert(s.negotiate);
	ck_assert_uint_eq(s.n_protocol_options, 2);
	ck_assert_uint_eq(s.n_settings, 1);
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_startup_negotiate(&s, &out);
	ck_assert(!out.full);
	ck_assert_uint_eq(out.len, sizeof(want));
	ck_assert_mem_eq(buf, want, out.len);
	free(pk.p);
}
END_TEST

START_TEST(test_startup_f23_options_alone_keep_the_asked_version)
{
	struct packet pk = SESSION(V3(0), "user\0bob\0_pq_.x\0\0");
	struct pgr_startup s = accepted(pk);
	struct pgr_out out;
	char buf[100];

	ck_assert(s.negotiate);
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_startup_negotiate(&s, &out);
	ck_assert_mem_eq(buf + 5, "\0\3\0\0\0\0\0\1_pq_.x", 15);
	free(pk.p);
}
END_TEST

START_TEST(test_startup_cancel_takes_keys_of_4_to_256_bytes)
{
	char rest[4 + 257];

	memset(rest, 'k', sizeof(rest));
	pgr_put32(rest, 0xfedcba98);
	for (size_t key = 0; key <= 257; key++) {
		struct packet pk = packet(1234u << 16 | 5678, rest, 4 + key);

		if (key < 4 || key > 256) {
			refused(pk, "08P01", "cancel request");
		} else {
			struct pgr_startup s = accepted(pk);

			ck_assert_int_eq(s.kind, PGR_STARTUP_CANCEL);
			ck_assert_uint_eq(s.pid, 0xfedcba98);
			ck_assert_uint_eq(s.key_len, key);
			ck_assert_ptr_eq(s.key, pk.p + 12);
			free(pk.p);
		}
	}
	refused(packet(1234u << 16 | 5678, "abc", 3), "08P01", "cancel request");
}
END_TEST

START_TEST(test_startup_encryption_requests_have_no_body)
{
	struct packet pk = packet(1234u << 16 | 5679, NULL, 0);

	ck_assert_int_eq(accepted(pk).kind, PGR_STARTUP_SSL);
	free(pk.p);
	pk = packet(1234u << 16 | 5680, NULL, 0);
	ck_assert_int_eq(accepted(pk).kind, PGR_STARTUP_GSS);
	free(pk.p);
	refused(packet(1234u << 16 | 5679, "x", 1), "08P01", "encryption request");
	refused(packet(1234u << 16 | 5680, "user\0a\0", 8), "08P01", "encryption request");
}
END_TEST

START_TEST(test_startup_refusal_leaves_the_result_alone)
{
	struct packet pk = SESSION(V3(0), "user\0bob\0user\0eve\0");
	struct pgr_startup s;
	struct pgr_err err;

	memset(&s, 0x5a, sizeof(s));
	ck_assert_int_eq(pgr_startup_parse(pk.p, pk.size, &s, &err), PGR_FAIL);
	for (size_t i = 0; i < sizeof(s); i++)
		ck_assert_int_eq(((char *)&s)[i], 0x5a);
	ck_assert_int_eq(pgr_startup_parse(pk.p, 7, &s, &err), PGR_FAIL);
	free(pk.p);
}
END_TEST

/* Runs the iterator over options; writes "name=value;" for each, "!SQLSTATE message" at an error. */
static const char *
options(const char *text)
{
	static char all[1000];
	char *scratch = malloc(strlen(text) + 1);
	struct pgr_startup_options it;
	const char *name, *value;
	struct pgr_err err;
	size_t len = 0;

	all[0] = '\0';
	pgr_startup_options_init(&it, text, scratch);
	for (;;) {
		if (pgr_startup_options_next(&it, &name, &value, &err) != PGR_OK) {
			snprintf(all + len, sizeof(all) - len, "!%s %s", err.sqlstate, err.message);
			break;
		}
		if (name == NULL)
			break;
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s=%s;", name, value);
	}
	free(scratch);
	return all;
}

START_TEST(test_startup_options_reads_the_three_forms)
{
	ck_assert_str_eq(options(""), "");
	ck_assert_str_eq(options(" \t\n "), "");
	ck_assert_str_eq(options("-c a=1 -cb=2 --c=3"), "a=1;b=2;c=3;");
	ck_assert_str_eq(options("  -c   a=1\t\n--b=2  "), "a=1;b=2;");
	ck_assert_str_eq(options("-c a="), "a=;");
	ck_assert_str_eq(options("--a=b=c"), "a=b=c;");
	ck_assert_str_eq(options("-c my.v=--x"), "my.v=--x;");
}
END_TEST

START_TEST(test_startup_options_dashes_in_names_are_underscores)
{
	ck_assert_str_eq(options("--search-path=a-b -c work-mem=4-5"), "search_path=a-b;work_mem=4-5;");
}
END_TEST

START_TEST(test_startup_options_backslash_escapes_the_next_character)
{
	ck_assert_str_eq(options("-c a=x\\ y"), "a=x y;");
	ck_assert_str_eq(options("-c a=x\\\\y"), "a=x\\y;");
	ck_assert_str_eq(options("-c a=\\x\\'"), "a=x';");
	ck_assert_str_eq(options("-c a=x\\\\ -c b=1"), "a=x\\;b=1;");
	ck_assert_str_eq(options("-c a=x\\"), "a=x;");
	ck_assert_str_eq(options("-c\\ a=x"), " a=x;");
}
END_TEST

START_TEST(test_startup_options_without_value_are_42601)
{
	ck_assert_str_eq(options("-c"), "!42601 -c requires a value");
	ck_assert_str_eq(options("-c abc"), "!42601 -c abc requires a value");
	ck_assert_str_eq(options("-cabc"), "!42601 -c abc requires a value");
	ck_assert_str_eq(options("-c a=1 --abc"), "a=1;!42601 --abc requires a value");
}
END_TEST

START_TEST(test_startup_options_other_switches_are_named)
{
	ck_assert_str_eq(options("-c a=1 -S 4096"), "a=1;!0A000 startup option \"-S\" is not supported");
	ck_assert_str_eq(options("a=1"), "!0A000 startup option \"a=1\" is not supported");
	ck_assert_str_eq(options("--"), "!0A000 startup option \"--\" is not supported");
	ck_assert_str_eq(options("-"), "!0A000 startup option \"-\" is not supported");
	ck_assert_str_eq(options("\\"), "!0A000 startup option \"\" is not supported");
	ck_assert_str_eq(options("-C a=1"), "!0A000 startup option \"-C\" is not supported");
}
END_TEST

START_TEST(test_startup_options_names_and_values_stay_valid)
{
	char scratch[sizeof("-c a=1 --b=2")];
	struct pgr_startup_options it;
	const char *name[2], *value[2];
	struct pgr_err err;

	pgr_startup_options_init(&it, "-c a=1 --b=2", scratch);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pgr_startup_options_next(&it, &name[i], &value[i], &err), PGR_OK);
	ck_assert_str_eq(name[0], "a");
	ck_assert_str_eq(value[0], "1");
	ck_assert_str_eq(name[1], "b");
	ck_assert_str_eq(value[1], "2");
}
END_TEST

UNIT_MAIN("startup", test_startup_size_c1_impossible_lengths_are_refused,
	test_startup_session_gives_its_parts, test_startup_b51_database_defaults_to_the_user,
	test_startup_without_user_is_28000, test_startup_c14_terminator_must_be_the_last_byte,
	test_startup_c14_who_connects_is_not_said_twice,
	test_startup_a_value_is_no_duplicate_of_a_name,
	test_startup_c14_number_of_parameters_is_bounded, test_startup_c9_names_of_64_kB_are_names,
	test_startup_replication_is_recognized, test_startup_other_protocol_versions_are_0A000,
	test_startup_f23_minor_versions_are_kept_or_negotiated_down,
	test_startup_f23_negotiate_lists_the_options_in_order,
	test_startup_f23_options_alone_keep_the_asked_version,
	test_startup_cancel_takes_keys_of_4_to_256_bytes,
	test_startup_encryption_requests_have_no_body, test_startup_refusal_leaves_the_result_alone,
	test_startup_options_reads_the_three_forms,
	test_startup_options_dashes_in_names_are_underscores,
	test_startup_options_backslash_escapes_the_next_character,
	test_startup_options_without_value_are_42601, test_startup_options_other_switches_are_named,
	test_startup_options_names_and_values_stay_valid)
