/* proto/error.h: what we tell, and what we make of what a hostile server tells (pitfall C3). */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/error.h"

/* A body on the heap, of exactly its size, so that the sanitizer sees each byte read too much. */
static struct pgr_error
parse(const char *body, size_t len, char **ret_heap)
{
	struct pgr_error e;

	*ret_heap = malloc(len > 0 ? len : 1);
	memcpy(*ret_heap, body, len);
	pgr_error_parse(*ret_heap, len, &e);
	ck_assert_ptr_nonnull(e.sqlstate);
	ck_assert_uint_eq(strlen(e.sqlstate), 5);
	ck_assert_ptr_nonnull(e.message);
	ck_assert_uint_gt(strlen(e.message), 0);
	ck_assert_ptr_nonnull(e.detail);
	ck_assert_ptr_nonnull(e.hint);
	return e;
}

START_TEST(test_error_write_gives_the_fields_in_order)
{
	static const char want[] = "E\0\0\0\x3fSFATAL\0VFATAL\0C53300\0"
				   "Mtoo many clients\0Hraise max_clients\0";
	struct pgr_err err;
	struct pgr_out out;
	char buf[PGR_ERROR_MOST];

	pgr_err_set(&err, "53300", "too many clients");
	pgr_err_hint(&err, "raise max_clients");
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_error_write(&out, PGR_SEVERITY_FATAL, &err);
	ck_assert(!out.full);
	ck_assert_uint_eq(out.len, sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(test_error_write_makes_notices_and_leaves_out_an_empty_hint)
{
	static const char want[] = "N\0\0\0\x24SWARNING\0VWARNING\0C01000\0Mslow\0";
	struct pgr_err err;
	struct pgr_out out;
	char buf[PGR_ERROR_MOST];

	pgr_err_set(&err, "01000", "slow");
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_error_write(&out, PGR_SEVERITY_WARNING, &err);
	ck_assert_uint_eq(out.len, sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(test_error_write_longest_fits_and_keeps_whole_characters)
{
	struct pgr_err err;
	struct pgr_out out;
	struct pgr_error back;
	char buf[PGR_ERROR_MOST], text[1000];

	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x90\x98", 5); /* an elephant */
		pgr_err_set(&err, "XX000", "%s", text);
		pgr_err_hint(&err, "%s", text);
		pgr_out_init(&out, buf, sizeof(buf));
		pgr_error_write(&out, PGR_SEVERITY_WARNING, &err);
		ck_assert(!out.full);
		pgr_error_parse(buf + 5, out.len - 5, &back);
		ck_assert_uint_eq(strlen(back.message) % 4, shift);
		ck_assert_uint_gt(strlen(back.message), sizeof(err.message) - 5);
		ck_assert_uint_eq(strlen(back.hint) % 4, shift);
	}
}
END_TEST

START_TEST(test_error_write_leaves_complete_text_alone)
{
	static const char *const texts[] = {"caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x98", "a",
		"\xff", "\xe2\x82", "\x80\x80\x80\x80\x80"};
	struct pgr_err err;
	struct pgr_out out;
	struct pgr_error back;
	char buf[PGR_ERROR_MOST];

	for (size_t i = 0; i < PGR_COUNT_OF(texts); i++) {
		pgr_err_set(&err, "XX000", "%s", texts[i]);
		pgr_out_init(&out, buf, sizeof(buf));
		pgr_error_write(&out, PGR_SEVERITY_ERROR, &err);
		pgr_error_parse(buf + 5, out.len - 5, &back);
		ck_assert_str_eq(back.message, texts[i]);
	}
}
END_TEST

START_TEST(test_error_write_without_room_says_so)
{
	struct pgr_err err;
	struct pgr_out out;
	char buf[20];

	pgr_err_set(&err, "XX000", "a message of some length");
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_error_write(&out, PGR_SEVERITY_ERROR, &err);
	ck_assert(out.full);
}
END_TEST

START_TEST(test_error_parse_reads_every_field)
{
	static const char body[] = "SFEHLER\0VERROR\0C42P01\0Mno t\0Dd\0Hh\0Fparse.c\0L12\0Rf\0";
	char *heap;
	struct pgr_error e = parse(body, sizeof(body), &heap);

	ck_assert_int_eq(e.severity, PGR_SEVERITY_ERROR);
	ck_assert_str_eq(e.sqlstate, "42P01");
	ck_assert_str_eq(e.message, "no t");
	ck_assert_str_eq(e.detail, "d");
	ck_assert_str_eq(e.hint, "h");
	free(heap);
}
END_TEST

START_TEST(test_error_parse_tells_severities)
{
	static const struct {
		const char *body;
		enum pgr_severity is;
	} cases[] = {
		{"SFATAL", PGR_SEVERITY_FATAL}, {"SPANIC", PGR_SEVERITY_PANIC},
		{"SERROR", PGR_SEVERITY_ERROR}, {"SWARNING", PGR_SEVERITY_WARNING},
		{"SNOTICE", PGR_SEVERITY_NOTICE}, {"SLOG", PGR_SEVERITY_NOTICE},
		{"SINFO", PGR_SEVERITY_NOTICE}, {"SDEBUG", PGR_SEVERITY_NOTICE},
		{"SFEHLER", PGR_SEVERITY_ERROR}, {"S", PGR_SEVERITY_ERROR},
	};
	char *heap;

	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++) {
		ck_assert_int_eq(parse(cases[i].body, strlen(cases[i].body) + 1, &heap).severity,
			cases[i].is);
		free(heap);
	}
	/* the untranslated one decides, wherever it stands */
	ck_assert_int_eq(parse("VFATAL\0SFEHLER", 15, &heap).severity, PGR_SEVERITY_FATAL);
	free(heap);
}
END_TEST

START_TEST(test_error_parse_c3_each_missing_field)
{
	static const char *const fields[] = {"SFATAL", "VFATAL", "C28P01", "Mwrong"};

	for (unsigned mask = 0; mask < 16; mask++) {
		char body[64], *heap;
		size_t len = 0;
		struct pgr_error e;

		for (unsigned i = 0; i < 4; i++) {
			if (mask & 1u << i) {
				strcpy(body + len, fields[i]);
				len += strlen(fields[i]) + 1;
			}
		}
		body[len++] = '\0';
		e = parse(body, len, &heap);
		ck_assert_int_eq(e.severity, mask & 3 ? PGR_SEVERITY_FATAL : PGR_SEVERITY_ERROR);
		ck_assert_str_eq(e.sqlstate, mask & 4 ? "28P01" : "XX000");
		ck_assert_int_eq(strcmp(e.message, "wrong") == 0, (mask & 8) != 0);
		free(heap);
	}
}
END_TEST

START_TEST(test_error_parse_c3_each_truncation)
{
	static const char body[] = "SFATAL\0VFATAL\0C28P01\0Mwrong\0Dwhy\0";
	char *heap;

	for (size_t len = 0; len <= sizeof(body); len++) {
		struct pgr_error e = parse(body, len, &heap);

		ck_assert_str_eq(e.sqlstate, len >= 21 ? "28P01" : "XX000");
		ck_assert_int_eq(strcmp(e.message, "wrong") == 0, len >= 28);
		ck_assert_str_eq(e.detail, len >= 33 ? "why" : "");
		free(heap);
	}
}
END_TEST

START_TEST(test_error_parse_c3_bad_sqlstates_are_not_passed_on)
{
	static const char *const bad[] = {"C", "C1", "C280", "C28P011", "C28p01", "C28 01",
		"C\xff\xff\xff\xff\xff"};
	char *heap;

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++) {
		ck_assert_str_eq(parse(bad[i], strlen(bad[i]) + 1, &heap).sqlstate, "XX000");
		free(heap);
	}
}
END_TEST

START_TEST(test_error_next_walks_the_fields_and_stops)
{
	static const char body[] = "SERROR\0Mm\0\0Xbehind";
	const char *value;
	size_t pos = 0;
	char code;

	ck_assert(pgr_error_next(body, sizeof(body), &pos, &code, &value));
	ck_assert_int_eq(code, 'S');
	ck_assert_str_eq(value, "ERROR");
	ck_assert(pgr_error_next(body, sizeof(body), &pos, &code, &value));
	ck_assert_int_eq(code, 'M');
	ck_assert_str_eq(value, "m");
	ck_assert(!pgr_error_next(body, sizeof(body), &pos, &code, &value));
	ck_assert(!pgr_error_next(body, sizeof(body), &pos, &code, &value));
}
END_TEST

START_TEST(test_error_to_err_keeps_state_message_and_hint)
{
	static const char body[] = "SFATAL\0C53300\0Mtoo many\0Hwait\0";
	struct pgr_err err;
	char *heap;
	struct pgr_error e = parse(body, sizeof(body), &heap);

	ck_assert_int_eq(pgr_error_to_err(&e, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "53300");
	ck_assert_str_eq(err.message, "too many");
	ck_assert_str_eq(err.hint, "wait");
	free(heap);
}
END_TEST

UNIT_MAIN("error", test_error_write_gives_the_fields_in_order,
	test_error_write_makes_notices_and_leaves_out_an_empty_hint,
	test_error_write_longest_fits_and_keeps_whole_characters,
	test_error_write_leaves_complete_text_alone, test_error_write_without_room_says_so,
	test_error_parse_reads_every_field, test_error_parse_tells_severities,
	test_error_parse_c3_each_missing_field, test_error_parse_c3_each_truncation,
	test_error_parse_c3_bad_sqlstates_are_not_passed_on,
	test_error_next_walks_the_fields_and_stops, test_error_to_err_keeps_state_message_and_hint)
