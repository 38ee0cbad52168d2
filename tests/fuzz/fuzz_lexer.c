/*
 * parser/lexer.h against PostgreSQL's own scanner, where libpg_query is there, and what must hold
 * without it; parser/literal.h over its tokens. Input: a byte whose lowest bit is
 * standard_conforming_strings, then a text, up to its first NUL.
 */
#include "fuzz.h"

#include "parser/literal.h"
#ifdef PGR_LIBPG_QUERY
#include "tests/unit/pg_scanner.h"
#endif

static void
check_literal(const char *text, const struct pgr_token *t, bool standard_strings)
{
	size_t cap = (size_t)(t->end - t->start) + 8;
	char *buf = malloc(cap);
	struct pgr_out out;
	uint32_t start, end;

	pgr_out_init(&out, buf, cap);
	if (t->kind == PGR_TOKEN_STRING) {
		(void)pgr_literal_string(text, t, standard_strings, &out);
		if (pgr_literal_dollar(text, t, &start, &end))
			FUZZ_CHECK(start > t->start && start <= end && end < t->end);
	} else if (t->kind == PGR_TOKEN_WORD || t->kind == PGR_TOKEN_QUOTED) {
		pgr_literal_name(text, t, &out);
		FUZZ_CHECK(out.len <= PGR_LITERAL_NAME_MOST);
	} else if (t->kind == PGR_TOKEN_INTEGER || t->kind == PGR_TOKEN_FLOAT) {
		pgr_literal_number(text, t, &out);
	}
	/*
	 * nothing gets longer by taking its quotes and escapes away, but a number may by 0x being
	 * so short
	 */
	FUZZ_CHECK(!out.full);
	free(buf);
}

static void
check_tokens(const char *text, size_t len, bool standard_strings)
{
	struct pgr_lexer lexer;
	struct pgr_token t;
	uint32_t end = 0;

	pgr_lexer_init(&lexer, text, len, standard_strings);
	while (pgr_lexer_next(&lexer, &t) != PGR_TOKEN_END) {
		FUZZ_CHECK(t.start >= end && t.end <= len && t.start <= t.end);
		if (t.kind == PGR_TOKEN_ERROR) {
			FUZZ_CHECK(
				t.value >= PGR_LEXER_COMMENT && t.value <= PGR_LEXER_PARAM_LARGE);
			FUZZ_CHECK(pgr_lexer_next(&lexer, &t) == PGR_TOKEN_END);
			break;
		}
		FUZZ_CHECK(t.end > t.start);
		check_literal(text, &t, standard_strings);
		end = t.end;
	}
	FUZZ_CHECK(pgr_lexer_next(&lexer, &t) == PGR_TOKEN_END);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool standard_strings;
	size_t len;
	char *text, *copy;

	if (size == 0)
		return 0;
	standard_strings = (data[0] & 1) != 0;
	text = fuzz_string(data + 1, size - 1);
	len = strlen(text);
	copy = fuzz_copy(text, len);
	check_tokens(copy, len, standard_strings);
#ifdef PGR_LIBPG_QUERY
	static struct pg_scanner scanner;
	char what[400];

	if (!pg_scanner_compare(&scanner, text, len, standard_strings, what, sizeof(what))) {
		fprintf(stderr, "%s\n", what);
		FUZZ_CHECK(!"both scanners see the same");
	}
#endif
	free(copy);
	free(text);
	return 0;
}
