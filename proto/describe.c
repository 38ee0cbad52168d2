/*
 * Digests of descriptions. Called by workers with what servers send.
 */
#include "proto/describe.h"

#include <string.h>

#include "base/bytes.h"
#include "proto/wire.h"

#define COLUMN_BYTES 18 /* behind its name: table, column, type, size, modifier, format */

static uint32_t
digest(uint64_t hash)
{
	uint32_t d = (uint32_t)hash;

	return d < PGR_DIGEST_LEAST ? d + PGR_DIGEST_LEAST : d;
}

uint32_t
pgr_describe_params(const struct pgr_hash_key *key, const char *body, size_t len)
{
	if (len < 2 || len != 2 + (size_t)pgr_get16(body) * 4)
		return 0;
	return digest(pgr_hash64(key, body, len));
}

uint32_t
pgr_describe_rows(const struct pgr_hash_key *key, const char *body, size_t len)
{
	const char *end = body + len;
	const char *p = body + 2;
	struct {
		uint64_t before;
		uint64_t name;
		char type[10]; /* type, size, modifier */
		char none[6];
	} column = {0};
	uint32_t columns;

	if (len < 2)
		return 0;
	columns = pgr_get16(body);
	column.before = columns;
	for (uint32_t i = 0; i < columns; i++) {
		ptrdiff_t name = pgr_wire_string(p, end);

		if (name < 0 || end - (p + name + 1) < COLUMN_BYTES)
			return 0;
		column.name = pgr_hash64(key, p, (size_t)name);
		p += name + 1;
		memcpy(column.type, p + 6, sizeof(column.type));
		p += COLUMN_BYTES;
		column.before = pgr_hash64(key, &column, sizeof(column));
	}
	return p == end ? digest(column.before) : 0;
}
