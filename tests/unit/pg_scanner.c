/*
 * PostgreSQL's scanner behind a small interface; see the header. The tokens' names are those of
 * PostgreSQL's grammar.
 */
#include "pg_query.h"
#include "pg_query_internal.h"

#include "gramparse.h"
#include "mb/pg_wchar.h"

#include "pg_scanner.h"

/* The beginning of flex's own state; pg_query_scan.c of libpg_query looks at yyleng the same way.
 */
struct flex_state {
	void *extra;
	FILE *in, *out;
	size_t stack_top, stack_max;
	void *stack;
	char hold_char;
	size_t n_chars;
	size_t length;
};

void
pg_scanner_init(struct pg_scanner *s)
{
	memset(s, 0, sizeof(*s));
}

void
pg_scanner_fini(struct pg_scanner *s)
{
	free(s->tokens);
	pg_query_exit();
}

static unsigned
kind_of(int token)
{
	switch (token) {
	case IDENT:
		return PGR_TOKEN_WORD;
	case UIDENT:
		return PGR_TOKEN_UNICODE_QUOTED;
	case FCONST:
		return PGR_TOKEN_FLOAT;
	case SCONST:
		return PGR_TOKEN_STRING;
	case USCONST:
		return PGR_TOKEN_UNICODE_STRING;
	case BCONST:
		return PGR_TOKEN_BITS;
	case XCONST:
		return PGR_TOKEN_HEX;
	case Op:
		return PGR_TOKEN_OPERATOR;
	case ICONST:
		return PGR_TOKEN_INTEGER;
	case PARAM:
		return PGR_TOKEN_PARAM;
	case TYPECAST:
		return PGR_TOKEN_TYPECAST;
	case DOT_DOT:
		return PGR_TOKEN_DOT_DOT;
	case COLON_EQUALS:
		return PGR_TOKEN_COLON_EQUALS;
	case EQUALS_GREATER:
		return PGR_TOKEN_EQUALS_GREATER;
	case LESS_EQUALS:
		return PGR_TOKEN_LESS_EQUALS;
	case GREATER_EQUALS:
		return PGR_TOKEN_GREATER_EQUALS;
	case NOT_EQUALS:
		return PGR_TOKEN_NOT_EQUALS;
	default:
		return token < 256 ? (unsigned)token : (unsigned)PGR_TOKEN_WORD;
	}
}

/* Tokens of several rules tell their end apart from flex's length. */
static bool
tells_end(int token)
{
	return token == SCONST || token == USCONST || token == BCONST || token == XCONST ||
		token == IDENT || token == UIDENT;
}

static void
add(struct pg_scanner *s, int token, size_t start, size_t end, const char *keyword)
{
	if (s->n == s->room) {
		s->room = s->room == 0 ? 256 : s->room * 2;
		s->tokens = realloc(s->tokens, s->room * sizeof(*s->tokens));
		if (s->tokens == NULL)
			abort();
	}
	s->tokens[s->n].kind = kind_of(token);
	s->tokens[s->n].start = start;
	s->tokens[s->n].end = end;
	s->tokens[s->n].keyword =
		token > 255 && s->tokens[s->n].kind == PGR_TOKEN_WORD && token != IDENT ? keyword
											: NULL;
	s->n++;
}

void
pg_scanner_run(struct pg_scanner *s, const char *text, bool strings)
{
	MemoryContext context = pg_query_enter_memory_context();
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	volatile YYLTYPE at = 0;
	int token;

	s->n = 0;
	s->failed = s->bad_bytes = false;
	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.standard_conforming_strings = strings;
	extra.escape_string_warning = false;
	PG_TRY();
	{
		while ((token = core_yylex(&value, (YYLTYPE *)&at, scanner)) != 0)
			add(s, token, (size_t)at,
				tells_end(token)
					? (size_t)extra.yyllocend
					: (size_t)at + ((struct flex_state *)scanner)->length,
				value.keyword);
		scanner_finish(scanner);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		s->failed = true;
		s->bad_bytes = error->sqlerrcode == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		s->error_at = (size_t)at;
		strlcpy(s->message, error->message, sizeof(s->message));
		FlushErrorState();
	}
	PG_END_TRY();
	pg_query_exit_memory_context(context);
}

void
pg_scanner_keywords(
	void (*f)(const char *word, enum pgr_word_category category, void *arg), void *arg)
{
	static const enum pgr_word_category categories[] = {
		[UNRESERVED_KEYWORD] = PGR_CATEGORY_UNRESERVED,
		[COL_NAME_KEYWORD] = PGR_CATEGORY_COL_NAME,
		[TYPE_FUNC_NAME_KEYWORD] = PGR_CATEGORY_TYPE_FUNC,
		[RESERVED_KEYWORD] = PGR_CATEGORY_RESERVED,
	};

	for (int i = 0; i < ScanKeywords.num_keywords; i++)
		f(GetScanKeyword(i, &ScanKeywords), categories[ScanKeywordCategories[i]], arg);
}

/* What pgroute's lexer calls QUOTED is an identifier to PostgreSQL. */
static unsigned
common_kind(unsigned kind)
{
	return kind == PGR_TOKEN_QUOTED ? (unsigned)PGR_TOKEN_WORD : kind;
}

static bool
same(const struct pg_scanner_token *theirs, const struct pgr_token *ours)
{
	bool keyword = ours->kind == PGR_TOKEN_WORD && ours->word != PGR_NO_WORD &&
		ours->word < PGR_WORD_KEYWORDS_END;

	if (theirs->kind != common_kind(ours->kind) || theirs->start != ours->start ||
		theirs->end != ours->end)
		return false;
	return keyword
		? theirs->keyword != NULL && strcmp(theirs->keyword, pgr_word_text(ours->word)) == 0
		: theirs->keyword == NULL;
}

static bool
same_error(const struct pg_scanner *s, size_t i, const struct pgr_token *ours)
{
	if (ours->value == PGR_LEXER_PARAM_JUNK && i < s->n)
		return s->tokens[i].kind == PGR_TOKEN_PARAM && s->tokens[i].start == ours->start;
	return i == s->n && s->failed && s->error_at == ours->start;
}

bool
pg_scanner_compare(
	struct pg_scanner *s, const char *text, size_t len, bool strings, char *what, size_t size)
{
	struct pgr_lexer lexer;
	struct pgr_token t;

	pg_scanner_run(s, text, strings);
	pgr_lexer_init(&lexer, text, len, strings);
	for (size_t i = 0;; i++) {
		pgr_lexer_next(&lexer, &t);
		if (t.kind == PGR_TOKEN_ERROR && same_error(s, i, &t))
			return true;
		if (i == s->n && (s->failed ? s->bad_bytes : t.kind == PGR_TOKEN_END))
			return true;
		if (i < s->n && same(&s->tokens[i], &t))
			continue;
		snprintf(what, size,
			"token %zu: kind %u at %u to %u (value %u); PostgreSQL: %s kind %u at %zu "
			"to %zu",
			i, t.kind, t.start, t.end, t.value,
			i < s->n            ? ""
				: s->failed ? s->message
					    : "the end",
			i < s->n ? s->tokens[i].kind : 0,
			i < s->n ? s->tokens[i].start : s->error_at,
			i < s->n ? s->tokens[i].end : 0);
		return false;
	}
}
