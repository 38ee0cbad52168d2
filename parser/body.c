/*
 * Bodies of functions and of DO, and the texts that they put together and execute. Part of the
 * reader, see reader.h.
 *
 * A body is read with the same tokens as a text, but a statement may begin behind BEGIN, THEN,
 * ELSE, LOOP, a label and a semicolon, and each string in it is read as a body once more: it may be
 * what EXECUTE runs. Texts that cannot be read (too long, too deep, with quotes that do not end)
 * are searched for the words alone.
 */
#include "parser/literal.h"
#include "parser/reader.h"

#define NESTING_MOST 3
#define STRING_MOST 4096 /* of a string whose quotes must be undone before it can be read */

/* Does this word matter wherever it stands? */
static bool
matters(enum pgr_word word)
{
	switch ((unsigned)word) {
	case PGR_WORD_SET:
	case PGR_WORD_RESET:
	case PGR_WORD_LISTEN:
	case PGR_WORD_LOAD:
	case PGR_WORD_PREPARE:
	case PGR_WORD_DEALLOCATE:
	case PGR_WORD_DISCARD:
	case PGR_WORD_TEMP:
	case PGR_WORD_TEMPORARY:
	case PGR_WORD_HOLD:
		return true;
	default:
		return word > PGR_WORD_KEYWORDS_END &&
			pgr_features[pgr_word_feature(word)].treatment != PGR_TREATMENT_SAFE;
	}
}

static bool
mentions(const char *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = 0;

		while (i + n < len && (pgr_lexer_char(p[i + n]) & PGR_CHAR_RUN) != 0)
			n++;
		if (n > 0 && matters(pgr_word_find(p + i, n)))
			return true;
		i += n + 1;
	}
	return false;
}

/*
 * What a SET at the beginning of a statement is. In a body the word can also begin a sentence, so
 * it must go on as SET does, or break off, as texts that are put together do.
 */
static enum pgr_feature
set_feature(const struct pgr_reader *r)
{
	struct pgr_lexer ahead = r->lexer;
	struct pgr_token t;
	unsigned parts = 0;
	bool local;

	pgr_lexer_next(&ahead, &t);
	local = pgr_token_is(&t, PGR_WORD_LOCAL);
	if (local || pgr_token_is(&t, PGR_WORD_SESSION))
		pgr_lexer_next(&ahead, &t);
	if (t.kind != PGR_TOKEN_WORD && t.kind != PGR_TOKEN_QUOTED)
		return PGR_FEATURE_SET_IN_BODY;
	if (t.word == PGR_WORD_TRANSACTION || t.word == PGR_WORD_CONSTRAINTS)
		return PGR_FEATURE_SET_CONSTRAINTS;
	if (t.word == PGR_WORD_TIME || t.word == PGR_WORD_NAMES || t.word == PGR_WORD_ROLE ||
		t.word == PGR_WORD_SCHEMA || t.word == PGR_WORD_XML || t.word == PGR_WORD_SESSION ||
		t.word == PGR_WORD_AUTHORIZATION || t.word == PGR_WORD_CHARACTERISTICS)
		return PGR_FEATURE_SET_IN_BODY;
	for (parts = 1;; parts++) {
		pgr_lexer_next(&ahead, &t);
		if (t.kind != '.')
			break;
		pgr_lexer_next(&ahead, &t);
		if (t.kind != PGR_TOKEN_WORD && t.kind != PGR_TOKEN_QUOTED)
			return PGR_FEATURE_SET_IN_BODY;
	}
	if (t.kind == PGR_TOKEN_WORD && t.word != PGR_WORD_TO)
		return PGR_FEATURE_NONE;
	if (local && parts > 1 && (t.kind == '=' || t.kind == PGR_TOKEN_WORD))
		return PGR_FEATURE_SET_LOCAL_IN_BODY;
	return PGR_FEATURE_SET_IN_BODY;
}

void
pgr_reader_body_statement(struct pgr_reader *r)
{
	enum pgr_feature row = PGR_FEATURE_NONE;

	switch (r->tok.kind == PGR_TOKEN_WORD ? r->tok.word : PGR_NO_WORD) {
	case PGR_WORD_SET:
		row = set_feature(r);
		break;
	case PGR_WORD_RESET:
		row = PGR_FEATURE_SET_IN_BODY;
		break;
	case PGR_WORD_LISTEN:
		row = PGR_FEATURE_LISTEN;
		break;
	case PGR_WORD_LOAD:
		row = PGR_FEATURE_LOAD;
		break;
	case PGR_WORD_PREPARE:
	case PGR_WORD_DEALLOCATE:
		row = PGR_FEATURE_PREPARE_IN_BODY;
		break;
	case PGR_WORD_DISCARD:
		row = PGR_FEATURE_DISCARD_IN_BODY;
		break;
	default:
		break;
	}
	if (row != PGR_FEATURE_NONE)
		pgr_reader_note(r, row);
}

/* CREATE TEMP is known when its statement has ended: ON COMMIT DROP may follow. */
static void
end_statement(struct pgr_reader *r)
{
	if (r->temp)
		pgr_reader_note(
			r, r->temp_drop ? PGR_FEATURE_CREATE_TEMP_DROP : PGR_FEATURE_CREATE_TEMP);
	r->temp = r->temp_drop = r->into = r->target = false;
	r->depth = 0;
}

static enum pgr_feature
read_body(const char *body, size_t len, unsigned nesting)
{
	struct pgr_facts facts;
	struct pgr_reader r;

	pgr_reader_init(&r, body, len, true, NULL, &facts);
	r.body = true;
	r.nesting = (uint8_t)nesting;
	r.statement = PGR_FEATURE_DO;
	do {
		/* as if it were never at an end */
		pgr_reader_advance(&r);
		if (r.tok.kind == ';')
			end_statement(&r);
	} while (r.tok.kind != PGR_TOKEN_END && r.tok.kind != PGR_TOKEN_ERROR);
	end_statement(&r);
	if (r.runs_text && r.params)
		pgr_reader_note(&r, PGR_FEATURE_TEXT_PARAMETER);
	if (r.tok.kind == PGR_TOKEN_ERROR && facts.reason == PGR_FEATURE_UNKNOWN)
		return mentions(body, len) ? PGR_FEATURE_MENTIONED : PGR_FEATURE_NONE;
	return facts.treatment != PGR_TREATMENT_SAFE ? (enum pgr_feature)facts.reason
						     : PGR_FEATURE_NONE;
}

enum pgr_feature
pgr_session_read_body(const char *body, size_t len, bool sql_like)
{
	if (sql_like)
		return read_body(body, len, 0);
	return mentions(body, len) ? PGR_FEATURE_MENTIONED : PGR_FEATURE_NONE;
}

/*
 * The string as a text of its own; *ret_text is in buf or in the text itself. False: it cannot be
 * read.
 */
static bool
string_text(struct pgr_reader *r, const struct pgr_token *t, char *buf, const char **ret_text,
	size_t *ret_len)
{
	struct pgr_out out;
	uint32_t start, end;

	if (pgr_literal_dollar(r->text, t, &start, &end)) {
		*ret_text = r->text + start;
		*ret_len = end - start;
		return true;
	}
	pgr_out_init(&out, buf, STRING_MOST);
	if (!pgr_literal_string(r->text, t, r->lexer.standard_strings, &out) || out.full)
		return false;
	*ret_text = buf;
	*ret_len = out.len;
	return true;
}

void
pgr_reader_body_string(struct pgr_reader *r, const struct pgr_token *t)
{
	enum pgr_feature row = PGR_FEATURE_NONE;
	char buf[STRING_MOST];
	const char *text;
	size_t len;

	if (r->nesting < NESTING_MOST && string_text(r, t, buf, &text, &len))
		row = read_body(text, len, r->nesting + 1u);
	else if (mentions(r->text + t->start, t->end - t->start))
		row = PGR_FEATURE_MENTIONED;
	if (row != PGR_FEATURE_NONE)
		pgr_reader_note(r, row);
}
