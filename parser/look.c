/*
 * The reader's way over the tokens, and what it sees of each, whatever the statement is: calls,
 * temporary objects, names. Part of the reader, see reader.h.
 */
#include "parser/literal.h"
#include "parser/reader.h"

void
pgr_reader_init(struct pgr_reader *r, const char *text, size_t len, bool standard_strings,
	const struct pgr_name_set *unsafe, struct pgr_facts *facts)
{
	memset(r, 0, sizeof(*r));
	memset(facts, 0, offsetof(struct pgr_facts, steps));
	pgr_lexer_init(&r->lexer, text, len, standard_strings);
	r->text = text;
	r->facts = facts;
	r->unsafe = unsafe != NULL && (unsafe->n > 0 || unsafe->everything) ? unsafe : NULL;
}

void
pgr_reader_note(struct pgr_reader *r, enum pgr_feature row)
{
	const struct pgr_feature_row *feature = &pgr_features[row];
	struct pgr_facts *facts = r->facts;

	pgr_feature_add(&facts->features, row);
	if (feature->treatment > facts->treatment) {
		facts->treatment = feature->treatment;
		facts->reason = (uint8_t)row;
	}
	if ((feature->flags & PGR_FEATURE_FLAG_RELEASES) != 0)
		facts->flags |= PGR_FACTS_RELEASES;
	if ((feature->flags & PGR_FEATURE_FLAG_SEQUENCE) != 0)
		facts->flags |= PGR_FACTS_SEQUENCE;
	if ((feature->flags & PGR_FEATURE_FLAG_TEXT) != 0)
		r->runs_text = true;
}

struct pgr_step *
pgr_reader_step(struct pgr_reader *r, enum pgr_feature kind)
{
	struct pgr_facts *facts = r->facts;
	struct pgr_step *step;

	pgr_reader_note(r, kind);
	if (facts->n_steps == PGR_FACTS_STEPS) {
		facts->flags |= PGR_FACTS_OVERFLOW;
		pgr_reader_note(r, PGR_FEATURE_TOO_MUCH);
		return &r->nowhere;
	}
	step = &facts->steps[facts->n_steps++];
	memset(step, 0, sizeof(*step));
	step->kind = (uint8_t)kind;
	step->statement = (uint16_t)(facts->n_statements - 1);
	step->whole.start = r->begin;
	return step;
}

/* A query: names in it are read only, so that pg_temp makes nothing. */
static bool
is_query(enum pgr_feature statement)
{
	return statement >= PGR_FEATURE_SELECT && statement <= PGR_FEATURE_MERGE;
}

/* What a quoted name has before its first character. */
static uint32_t
quote_len(const struct pgr_token *t)
{
	if (t->kind == PGR_TOKEN_WORD)
		return 0;
	return t->kind == PGR_TOKEN_QUOTED ? 1 : 3;
}

/* A name as a word of the list, whether in quotes or not. */
static enum pgr_word
name_word(const struct pgr_reader *r, const struct pgr_token *t)
{
	uint32_t quote = quote_len(t);

	if (t->kind == PGR_TOKEN_WORD)
		return (enum pgr_word)t->word;
	return pgr_word_find_quoted(r->text + t->start + quote, t->end - t->start - quote - 1);
}

/* At a parenthesis behind a name. */
static void
look_at_call(struct pgr_reader *r)
{
	enum pgr_word word = name_word(r, &r->prev);
	enum pgr_feature row;

	if (r->prev.kind == PGR_TOKEN_UNICODE_QUOTED && pgr_literal_has_escapes(r->text, &r->prev))
		pgr_reader_note(r, PGR_FEATURE_ESCAPED_NAME);
	if (word > PGR_WORD_KEYWORDS_END) {
		row = (enum pgr_feature)pgr_word_feature(word);
		if (row == PGR_FEATURE_FN_SET_CONFIG)
			pgr_reader_set_config(r);
		else if (pgr_features[row].kind == PGR_FEATURE_KIND_FUNCTION)
			pgr_reader_note(r, row);
	}
	if (word != PGR_WORD_FN_SET_CONFIG &&
		!(r->prev.end - r->prev.start == 15 &&
			memcmp(r->text + r->prev.start, "current_setting", 15) == 0))
		r->clauses = true;
}

static bool
is_pg_temp(const struct pgr_reader *r, const struct pgr_token *t)
{
	uint32_t quote = quote_len(t), start = t->start + quote, end = t->end - (quote > 0);

	if (name_word(r, t) == PGR_WORD_REL_PG_TEMP)
		return true;
	return end - start > 8 && r->text[start + 7] == '_' &&
		pgr_word_find(r->text + start, 7) == PGR_WORD_REL_PG_TEMP;
}

/* The relation of an UPDATE: [ONLY] [schema .] name, perhaps between parentheses. */
static void
look_for_target(struct pgr_reader *r)
{
	if (pgr_token_is(&r->prev, PGR_WORD_UPDATE))
		r->target = r->statement == PGR_FEATURE_UPDATE ||
			r->statement == PGR_FEATURE_WITH || !is_query(r->statement);
	if (!r->target)
		return;
	if (r->tok.kind == PGR_TOKEN_UNICODE_QUOTED)
		pgr_reader_note(r, PGR_FEATURE_ESCAPED_NAME);
	else if (pgr_token_is_name(&r->tok) && name_word(r, &r->tok) == PGR_WORD_REL_PG_SETTINGS)
		pgr_reader_note(r, PGR_FEATURE_REL_PG_SETTINGS);
	r->target = r->tok.kind == '.' || r->tok.kind == '(' || pgr_reader_is(r, PGR_WORD_ONLY) ||
		(pgr_token_is_name(&r->tok) && pgr_reader_peek(r).kind == '.');
}

/* A name, key words included. */
static void
look_at_name(struct pgr_reader *r)
{
	if (r->unsafe != NULL && pgr_name_set_has_token(r->unsafe, r->text, &r->tok))
		r->facts->flags |= PGR_FACTS_NAMED;
	if (is_query(r->statement) && !r->into)
		return;
	if (r->tok.kind == PGR_TOKEN_UNICODE_QUOTED && pgr_literal_has_escapes(r->text, &r->tok))
		pgr_reader_note(r, PGR_FEATURE_ESCAPED_NAME);
	/*
	 * as a schema that something is made in, not as one of a search_path that ALTER or CREATE
	 * FUNCTION gives
	 */
	if (is_pg_temp(r, &r->tok) &&
		(pgr_reader_peek(r).kind == '.' || pgr_token_is(&r->prev, PGR_WORD_SCHEMA) ||
			pgr_token_is(&r->prev, PGR_WORD_INTO)))
		pgr_reader_note(r, PGR_FEATURE_REL_PG_TEMP);
}

/* [OR REPLACE] [LOCAL | GLOBAL] is all that may stand between CREATE and TEMP. */
static bool
follows_create(const struct pgr_reader *r)
{
	if (pgr_token_is(&r->prev, PGR_WORD_CREATE))
		return true;
	if (pgr_token_is(&r->prev, PGR_WORD_REPLACE))
		return pgr_token_is(&r->prev2, PGR_WORD_OR);
	return (pgr_token_is(&r->prev, PGR_WORD_LOCAL) ||
		       pgr_token_is(&r->prev, PGR_WORD_GLOBAL)) &&
		(pgr_token_is(&r->prev2, PGR_WORD_CREATE) ||
			pgr_token_is(&r->prev2, PGR_WORD_REPLACE));
}

static void
look_at_temp(struct pgr_reader *r)
{
	if (!is_query(r->statement) && follows_create(r))
		r->temp = true;
	if (r->into &&
		(pgr_token_is(&r->prev, PGR_WORD_INTO) || pgr_token_is(&r->prev2, PGR_WORD_INTO)))
		pgr_reader_note(r, PGR_FEATURE_SELECT_INTO_TEMP);
}

/* The body of a function that is no string ends with the END that belongs to no CASE. */
static void
look_at_atomic(struct pgr_reader *r)
{
	bool label = pgr_token_is(&r->prev, PGR_WORD_AS) || r->prev.kind == '.';

	if (r->atomic == 0) {
		r->atomic =
			r->tok.word == PGR_WORD_ATOMIC && pgr_token_is(&r->prev, PGR_WORD_BEGIN);
		r->atomic_seen = r->atomic_seen || r->atomic != 0;
	} else if (r->tok.word == PGR_WORD_CASE && !label) {
		r->atomic++;
	} else if (r->tok.word == PGR_WORD_END && !label) {
		r->atomic--;
	} else if (r->prev.kind == ';' &&
		pgr_features[pgr_word_feature((enum pgr_word)r->tok.word)].treatment !=
			PGR_TREATMENT_SAFE) {
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
	}
}

/* EXPLAIN EXECUTE, CREATE TABLE ... AS EXECUTE. */
static void
look_at_execute(struct pgr_reader *r)
{
	struct pgr_token name = pgr_reader_peek(r);
	struct pgr_step *step;

	if (r->body ||
		(r->statement != PGR_FEATURE_EXPLAIN && r->statement != PGR_FEATURE_CREATE) ||
		!pgr_token_is_name(&name) ||
		!(pgr_token_is(&r->prev, PGR_WORD_AS) || pgr_token_is(&r->prev, PGR_WORD_EXPLAIN) ||
			pgr_token_is(&r->prev, PGR_WORD_ANALYZE) ||
			pgr_token_is(&r->prev, PGR_WORD_ANALYSE) ||
			pgr_token_is(&r->prev, PGR_WORD_VERBOSE) || r->prev.kind == ')'))
		return;
	step = pgr_reader_step(r, PGR_FEATURE_EXECUTE);
	step->flags = PGR_STEP_NESTED;
	step->name = (struct pgr_span){name.start, name.end};
}

static void
look_at_word(struct pgr_reader *r)
{
	switch ((unsigned)r->tok.word) {
	case PGR_WORD_TEMP:
	case PGR_WORD_TEMPORARY:
		look_at_temp(r);
		break;
	case PGR_WORD_INTO:
		/* of the queries only these two may have it, but for the INTO of INSERT and MERGE
		 */
		if (!pgr_token_is(&r->prev, PGR_WORD_INSERT) &&
			!pgr_token_is(&r->prev, PGR_WORD_MERGE))
			r->into = r->into || r->statement == PGR_FEATURE_SELECT ||
				r->statement == PGR_FEATURE_WITH || !is_query(r->statement);
		break;
	case PGR_WORD_DROP:
		if (r->depth == 0 && pgr_token_is(&r->prev, PGR_WORD_COMMIT) &&
			pgr_token_is(&r->prev2, PGR_WORD_ON))
			r->temp_drop = true;
		break;
	case PGR_WORD_HOLD:
		if ((r->statement == PGR_FEATURE_DECLARE || r->body) &&
			pgr_token_is(&r->prev, PGR_WORD_WITH))
			pgr_reader_note(r, PGR_FEATURE_DECLARE_HOLD);
		break;
	case PGR_WORD_EXECUTE:
		look_at_execute(r);
		break;
	case PGR_WORD_UESCAPE:
		if (r->prev.kind == PGR_TOKEN_UNICODE_QUOTED &&
			(r->into || !is_query(r->statement)))
			pgr_reader_note(r, PGR_FEATURE_ESCAPED_NAME);
		break;
	case PGR_WORD_FROM:
	case PGR_WORD_WHERE:
	case PGR_WORD_GROUP:
	case PGR_WORD_HAVING:
	case PGR_WORD_WINDOW:
	case PGR_WORD_UNION:
	case PGR_WORD_INTERSECT:
	case PGR_WORD_EXCEPT:
	case PGR_WORD_ORDER:
	case PGR_WORD_LIMIT:
	case PGR_WORD_OFFSET:
	case PGR_WORD_FETCH:
	case PGR_WORD_FOR:
	case PGR_WORD_DISTINCT:
		r->clauses = true;
		break;
	default:
		break;
	}
	if (r->tok.word == PGR_WORD_INTO)
		r->clauses = true;
	if (r->routine)
		look_at_atomic(r);
}

/* Does a statement of a body begin behind the token before? */
static bool
begins_statement(const struct pgr_reader *r)
{
	switch (r->prev.kind == PGR_TOKEN_WORD ? r->prev.word : PGR_NO_WORD) {
	case PGR_WORD_BEGIN:
	case PGR_WORD_THEN:
	case PGR_WORD_ELSE:
		return true;
	default:
		break;
	}
	if (r->prev.kind == PGR_TOKEN_WORD)
		return r->prev.end - r->prev.start == 4 &&
			pgr_word_ends(r->text + r->prev.start, 4).first ==
			pgr_word_ends("loop", 4).first;
	return r->prev.kind == ';' || r->prev.kind == PGR_TOKEN_END ||
		(r->prev.kind == PGR_TOKEN_OPERATOR && r->text[r->prev.start] == '>');
}

static void
look(struct pgr_reader *r)
{
	if (r->body && begins_statement(r))
		pgr_reader_body_statement(r);
	look_for_target(r);
	switch (r->tok.kind) {
	case '(':
		if (pgr_token_is_name(&r->prev))
			look_at_call(r);
		else if (r->prev.kind == PGR_TOKEN_STRING &&
			pgr_token_is(&r->prev2, PGR_WORD_UESCAPE))
			pgr_reader_note(r, PGR_FEATURE_ESCAPED_NAME);
		r->depth++;
		break;
	case ')':
		r->depth -= r->depth > 0;
		break;
	case ',':
		if (r->depth == 0)
			r->item = r->tok.end;
		break;
	case PGR_TOKEN_WORD:
		look_at_word(r);
		look_at_name(r);
		break;
	case PGR_TOKEN_QUOTED:
	case PGR_TOKEN_UNICODE_QUOTED:
		look_at_name(r);
		break;
	case PGR_TOKEN_STRING:
		if (r->body)
			pgr_reader_body_string(r, &r->tok);
		break;
	case PGR_TOKEN_PARAM:
		r->params = true;
		break;
	case PGR_TOKEN_ERROR:
		r->facts->flags |= PGR_FACTS_ERROR;
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
		break;
	default:
		break;
	}
}

void
pgr_reader_advance(struct pgr_reader *r)
{
	r->prev2 = r->prev;
	r->prev = r->tok;
	pgr_lexer_next(&r->lexer, &r->tok);
	look(r);
}

void
pgr_reader_next(struct pgr_reader *r)
{
	if (!pgr_reader_at_end(r))
		pgr_reader_advance(r);
}

bool
pgr_reader_take(struct pgr_reader *r, enum pgr_word word)
{
	if (!pgr_reader_is(r, word))
		return false;
	pgr_reader_next(r);
	return true;
}

struct pgr_token
pgr_reader_peek(const struct pgr_reader *r)
{
	struct pgr_lexer ahead = r->lexer;
	struct pgr_token t;

	pgr_lexer_next(&ahead, &t);
	return t;
}
