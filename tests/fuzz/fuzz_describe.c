/*
 * What a hostile server calls a description: proto/describe.h. Input: the body of a ParameterDescription or
 * a RowDescription.
 */
#include "fuzz.h"

#include "proto/describe.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pgr_hash_key key = {1, 2};
	char *body = fuzz_copy(data, size);
	uint32_t rows = pgr_describe_rows(&key, body, size);
	uint32_t params = pgr_describe_params(&key, body, size);

	FUZZ_CHECK(rows == 0 || rows >= PGR_DIGEST_LEAST);
	FUZZ_CHECK(params == 0 || params >= PGR_DIGEST_LEAST);
	FUZZ_CHECK(size >= 2 || (rows == 0 && params == 0));
	/* one byte less is another message, or none */
	FUZZ_CHECK(size == 0 || rows == 0 || pgr_describe_rows(&key, body, size - 1) == 0);
	free(body);
	return 0;
}
