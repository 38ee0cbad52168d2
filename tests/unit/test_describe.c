/* proto/describe.h: what is the same to a client has one digest, what is not has others, and what is no description none. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/describe.h"

static const struct pgr_hash_key key = {3, 4};

struct column {
	const char *name;
	uint32_t table;
	uint32_t type;
	uint32_t size;
	uint32_t modifier;
	uint32_t format;
};

static size_t
put_rows(char *body, const struct column *columns, size_t count)
{
	char *p = body;

	pgr_put16(p, (uint16_t)count);
	p += 2;
	for (size_t i = 0; i < count; i++) {
		const struct column *c = &columns[i];

		memcpy(p, c->name, strlen(c->name) + 1);
		p += strlen(c->name) + 1;
		pgr_put32(p, c->table);
		pgr_put16(p + 4, 1);
		pgr_put32(p + 6, c->type);
		pgr_put16(p + 10, (uint16_t)c->size);
		pgr_put32(p + 12, c->modifier);
		pgr_put16(p + 16, (uint16_t)c->format);
		p += 18;
	}
	return (size_t)(p - body);
}

static uint32_t
rows_of(const struct column *columns, size_t count)
{
	char body[256];
	uint32_t digest = pgr_describe_rows(&key, body, put_rows(body, columns, count));

	ck_assert_uint_ge(digest, PGR_DIGEST_LEAST);
	return digest;
}

START_TEST(test_describe_rows_tells_what_a_client_would_read_otherwise)
{
	const struct column base[] = {{"a", 7, 23, 4, 9, 0}, {"b", 7, 25, 65535, 9, 0}};
	struct column other[2];
	uint32_t digest = rows_of(base, 2);

	for (int what = 0; what < 9; what++) {
		bool same = what == 0 || what == 1;

		memcpy(other, base, sizeof(base));
		switch (what) {
		case 0: other[1].table = 8; break;
		case 1: other[0].format = other[1].format = 1; break;
		case 2: other[0].name = "c"; break;
		case 3: other[1].type = 26; break;
		case 4: other[1].size = 8; break;
		case 5: other[0].modifier = 10; break;
		case 6: other[0] = base[1], other[1] = base[0]; break;
		case 7: other[0].name = "a2"; break;
		default: other[1].name = ""; break;
		}
		ck_assert_msg((rows_of(other, 2) == digest) == same, "%d", what);
	}
	ck_assert_uint_ne(rows_of(base, 1), digest);
	ck_assert_uint_ne(rows_of(base, 0), rows_of(base, 1));
}
END_TEST

/* Each length but the right one, on the heap so that the sanitizer sees each byte read too much. */
START_TEST(test_describe_what_is_cut_or_too_long_is_none)
{
	const struct column base[] = {{"first", 7, 23, 4, 9, 0}, {"", 7, 25, 65535, 9, 0}};
	char body[256] = {0};
	size_t whole = put_rows(body, base, 2);
	static const char params[] = "\0\2\0\0\0\x17\0\0\4\x3a";

	for (size_t len = 0; len <= whole + 3; len++) {
		char *heap = malloc(len > 0 ? len : 1);

		memcpy(heap, body, len);
		ck_assert_int_eq(pgr_describe_rows(&key, heap, len) != 0, len == whole);
		free(heap);
	}
	for (size_t len = 0; len <= sizeof(params); len++) {
		char *heap = malloc(len > 0 ? len : 1);

		memcpy(heap, params, len);
		ck_assert_int_eq(pgr_describe_params(&key, heap, len) != 0, len == 10);
		free(heap);
	}
}
END_TEST

START_TEST(test_describe_params_are_types_in_their_order)
{
	static const char one[] = "\0\2\0\0\0\x17\0\0\4\x3a", two[] = "\0\2\0\0\4\x3a\0\0\0\x17";

	ck_assert_uint_ge(pgr_describe_params(&key, one, 10), PGR_DIGEST_LEAST);
	ck_assert_uint_ne(pgr_describe_params(&key, one, 10), pgr_describe_params(&key, two, 10));
	ck_assert_uint_ge(pgr_describe_params(&key, "\0\0", 2), PGR_DIGEST_LEAST);
}
END_TEST

UNIT_MAIN("describe", test_describe_rows_tells_what_a_client_would_read_otherwise,
	test_describe_what_is_cut_or_too_long_is_none, test_describe_params_are_types_in_their_order)
