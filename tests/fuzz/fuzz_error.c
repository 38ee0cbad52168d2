/* What a hostile server calls an error: proto/error.h. Input: the body of an ErrorResponse. */
#include "fuzz.h"

#include "proto/error.h"

static void
check_fields(const char *body, size_t size)
{
	const char *value;
	size_t pos = 0, before = 0;
	char code;

	while (pgr_error_next(body, size, &pos, &code, &value)) {
		FUZZ_CHECK(code != '\0');
		FUZZ_CHECK(pos > before && pos <= size);
		FUZZ_CHECK(value + strlen(value) < body + size);
		before = pos;
	}
}

/* What we tell of it must be a message that we ourselves can read. */
static void
check_round_trip(const struct pgr_error *e)
{
	char buf[PGR_ERROR_MOST];
	struct pgr_error back;
	struct pgr_err err;
	struct pgr_out out;

	FUZZ_CHECK(pgr_error_to_err(e, &err) == PGR_FAIL);
	pgr_out_init(&out, buf, sizeof(buf));
	pgr_error_write(&out, e->severity, &err);
	FUZZ_CHECK(!out.full);
	pgr_error_parse(buf + 5, out.len - 5, &back);
	FUZZ_CHECK(back.severity == e->severity);
	FUZZ_CHECK(strcmp(back.sqlstate, e->sqlstate) == 0);
	FUZZ_CHECK(strncmp(back.message, e->message, strlen(back.message)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body = fuzz_copy(data, size);
	struct pgr_error e;

	pgr_error_parse(body, size, &e);
	FUZZ_CHECK(strlen(e.sqlstate) == 5);
	FUZZ_CHECK(e.message[0] != '\0');
	FUZZ_CHECK(e.detail != NULL && e.hint != NULL);
	check_fields(body, size);
	check_round_trip(&e);
	free(body);
	return 0;
}
