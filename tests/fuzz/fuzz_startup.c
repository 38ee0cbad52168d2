/*
 * The first packet of a connection: proto/startup.h, and proto/params.h for the settings in it.
 * Input: the bytes of a connection. The length word is put right where it is wrong, so that not
 * every other input ends there.
 */
#include "fuzz.h"

#include "proto/params.h"
#include "proto/startup.h"

static void
check_sqlstate(const struct pgr_err *err)
{
	FUZZ_CHECK(strlen(err->sqlstate) == 5);
	FUZZ_CHECK(err->message[0] != '\0');
}

/* A value between quotes must not be able to end them. */
static void
check_quoted(const char *value)
{
	size_t cap = 2 * strlen(value) + 120;
	char *text = malloc(cap);
	struct pgr_out out;
	unsigned quotes = 0;

	pgr_out_init(&out, text, cap);
	pgr_params_quote(&out, value);
	FUZZ_CHECK(!out.full);
	for (size_t i = 0; i < out.len; i++) {
		FUZZ_CHECK(text[i] >= 0x20 && text[i] < 0x7f && text[i] != '\\');
		quotes += text[i] == '\'';
	}
	FUZZ_CHECK(quotes % 2 == 0);
	for (size_t i = 1; text[0] == '\'' && i + 1 < out.len; i++) {
		if (text[i] == '\'') {
			FUZZ_CHECK(text[i + 1] == '\'' && i + 2 < out.len);
			i++;
		}
	}
	free(text);
}

static void
check_setting(const char *name, const char *value)
{
	struct pgr_err err;

	if (pgr_params_check_name(name, &err) == PGR_OK)
		FUZZ_CHECK(strpbrk(name, "\"'\\; ") == NULL && name[0] != '\0');
	else
		check_sqlstate(&err);
	check_quoted(value);
}

static void
check_options(const char *options)
{
	size_t cap = strlen(options) + 1;
	char *scratch = malloc(cap);
	struct pgr_startup_options it;
	const char *name, *value;
	struct pgr_err err;

	pgr_startup_options_init(&it, options, scratch);
	for (;;) {
		if (pgr_startup_options_next(&it, &name, &value, &err) != PGR_OK) {
			check_sqlstate(&err);
			break;
		}
		if (name == NULL)
			break;
		FUZZ_CHECK(name >= scratch && value > name && value < scratch + cap);
		check_setting(name, value);
	}
	free(scratch);
}

static void
check_session(const struct pgr_startup *s, const char *packet, size_t size)
{
	char *buf = malloc(size + 32);
	const char *name, *value;
	struct pgr_out out;
	unsigned n = 0;
	size_t pos = 0;

	FUZZ_CHECK(s->user > packet && s->user < packet + size && s->user[0] != '\0');
	FUZZ_CHECK(s->database > packet && s->database < packet + size && s->database[0] != '\0');
	FUZZ_CHECK(s->minor <= PGR_STARTUP_MINOR);
	while (pgr_startup_next(s, &pos, &name, &value)) {
		FUZZ_CHECK(name > packet && value + strlen(value) < packet + size - 1);
		check_setting(name, value);
		n++;
	}
	FUZZ_CHECK(n == s->n_settings && n < PGR_STARTUP_PAIRS);
	if (s->options != NULL)
		check_options(s->options);
	pgr_out_init(&out, buf, size + 32);
	pgr_startup_negotiate(s, &out);
	FUZZ_CHECK(!out.full);
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *packet = fuzz_copy(data, size);
	struct pgr_startup s;
	struct pgr_err err;
	size_t wanted;

	if (size >= 4 && pgr_startup_size(packet, 65536, &wanted, &err) == PGR_OK)
		FUZZ_CHECK(wanted >= 8 && wanted <= 65536);
	if (size >= 8)
		pgr_put32(packet, (uint32_t)size);
	if (pgr_startup_parse(packet, size, &s, &err) != PGR_OK) {
		check_sqlstate(&err);
	} else if (s.kind == PGR_STARTUP_SESSION) {
		check_session(&s, packet, size);
	} else if (s.kind == PGR_STARTUP_CANCEL) {
		FUZZ_CHECK(s.key_len >= 4 && s.key_len <= PGR_STARTUP_KEY_MOST);
		FUZZ_CHECK(s.key + s.key_len == packet + size);
	}
	free(packet);
	return 0;
}
