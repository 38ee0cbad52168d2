/*
 * Names and sets of names; see the header.
 */
#include "parser/names.h"

#include "base/bytes.h"
#include "parser/literal.h"

void
pgr_name_walk_init(struct pgr_name_walk *it, const char *text, size_t len, bool standard_strings)
{
	memset(it, 0, sizeof(*it));
	pgr_lexer_init(&it->lexer, text, len, standard_strings);
	pgr_lexer_next(&it->lexer, &it->ahead);
}

/* Into the body of a DO, if the token just passed is one; false: there is no such. */
static bool
enter_body(struct pgr_name_walk *it, const struct pgr_token *t)
{
	uint32_t start, end;

	if (!it->body || it->inside || t->kind != PGR_TOKEN_STRING ||
		!pgr_literal_dollar(it->lexer.text, t, &start, &end))
		return false;
	it->outer = it->lexer;
	it->lexer.pos = start;
	it->lexer.len = end;
	it->lexer.signs_end = 0;
	it->inside = true;
	return true;
}

static bool
ends_from(unsigned word)
{
	return word == PGR_WORD_WHERE || word == PGR_WORD_GROUP || word == PGR_WORD_ORDER ||
		word == PGR_WORD_SET || word == PGR_WORD_HAVING || word == PGR_WORD_LIMIT ||
		word == PGR_WORD_SELECT || word == PGR_WORD_VALUES;
}

/* Past the token ahead. */
static void
step(struct pgr_name_walk *it)
{
	struct pgr_token t = it->ahead;
	uint64_t level = UINT64_C(1) << (it->depth < 63 ? it->depth : 63);

	if (t.kind == PGR_TOKEN_WORD) {
		if (t.word == PGR_WORD_FROM || t.word == PGR_WORD_USING)
			it->from |= level;
		else if (ends_from(t.word))
			it->from &= ~level;
		it->body = it->body || t.word == PGR_WORD_DO;
	} else if (t.kind == '(') {
		it->depth++;
		it->from &= ~(it->depth < 63 ? UINT64_C(1) << it->depth : 0);
	} else if (t.kind == ')' && it->depth > 0) {
		it->depth--;
	} else if (t.kind == ';') {
		it->from = 0;
		it->body = it->inside && it->body;
	}
	it->prev = t;
	enter_body(it, &t);
	pgr_lexer_next(&it->lexer, &it->ahead);
	if (it->inside && (it->ahead.kind == PGR_TOKEN_END || it->ahead.kind == PGR_TOKEN_ERROR)) {
		it->lexer = it->outer;
		it->inside = false;
		it->body = false;
		pgr_lexer_next(&it->lexer, &it->ahead);
	}
}

static bool
is_name(const struct pgr_token *t, bool label)
{
	if (t->kind == PGR_TOKEN_QUOTED || t->kind == PGR_TOKEN_UNICODE_QUOTED)
		return true;
	return t->kind == PGR_TOKEN_WORD &&
		(label || pgr_word_category((enum pgr_word)t->word) != PGR_CATEGORY_RESERVED);
}

/* Is what comes behind this token a relation? */
static bool
before_relation(const struct pgr_name_walk *it)
{
	switch (it->prev.kind == PGR_TOKEN_WORD ? it->prev.word : PGR_NO_WORD) {
	case PGR_WORD_FROM:
	case PGR_WORD_JOIN:
	case PGR_WORD_INTO:
	case PGR_WORD_UPDATE:
	case PGR_WORD_TABLE:
	case PGR_WORD_ONLY:
	case PGR_WORD_USING:
	case PGR_WORD_COPY:
	case PGR_WORD_TRUNCATE:
	case PGR_WORD_LOCK:
	case PGR_WORD_VIEW:
		return true;
	default:
		return it->prev.kind == ',' &&
			(it->from >> (it->depth < 63 ? it->depth : 63) & 1) != 0;
	}
}

bool
pgr_name_walk_next(struct pgr_name_walk *it, struct pgr_name *ret)
{
	while (it->ahead.kind != PGR_TOKEN_END && it->ahead.kind != PGR_TOKEN_ERROR) {
		bool relation = before_relation(it);
		bool attribute = it->prev.kind == '.'; /* of an expression: each may be a function */

		if (!is_name(&it->ahead, it->prev.kind == '.')) {
			step(it);
			continue;
		}
		memset(&ret->schema, 0, sizeof(ret->schema));
		ret->name = it->ahead;
		step(it);
		while (it->ahead.kind == '.' && !attribute) {
			step(it);
			if (!is_name(&it->ahead, true))
				break;
			ret->schema = ret->name;
			ret->name = it->ahead;
			step(it);
		}
		ret->role = it->ahead.kind == '(' ? PGR_NAME_CALLED
			: relation                ? PGR_NAME_RELATION
						  : PGR_NAME_OTHER;
		return true;
	}
	return false;
}

static void
set_positions(const char *word, size_t len, unsigned ret[2])
{
	uint64_t hash = pgr_word_hash(pgr_word_ends(word, len), len);

	ret[0] = (unsigned)(hash >> 16) % PGR_NAME_SET_BITS;
	ret[1] = (unsigned)(hash >> 40) % PGR_NAME_SET_BITS;
}

void
pgr_name_set_add(struct pgr_name_set *set, const char *name, size_t len)
{
	size_t run = pgr_name_run(name, len);
	unsigned at[2];

	set->n++;
	set->everything = set->everything || run == 0;
	set->high = set->high || !pgr_is_ascii(name, run);
	set->lengths |= UINT64_C(1) << (run < 63 ? run : 63);
	set_positions(name, run, at);
	for (int i = 0; i < 2; i++)
		set->bits[at[i] / 64] |= UINT64_C(1) << at[i] % 64;
}

bool
pgr_name_set_look(const struct pgr_name_set *set, const char *word, size_t len)
{
	unsigned at[2];

	if (set->everything || len > PGR_LITERAL_NAME_MOST)
		return true;
	if (set->high && !pgr_is_ascii(word, len))
		return true;
	if ((set->lengths >> len & 1) == 0)
		return false;
	set_positions(word, len, at);
	return (set->bits[at[0] / 64] >> at[0] % 64 & set->bits[at[1] / 64] >> at[1] % 64 & 1) != 0;
}

bool
pgr_name_set_has_token(const struct pgr_name_set *set, const char *text, const struct pgr_token *t)
{
	if (t->kind == PGR_TOKEN_UNICODE_QUOTED || set->everything)
		return true;
	for (uint32_t pos = t->start; pos < t->end; pos++) {
		size_t run = pgr_name_run(text + pos, t->end - pos);

		if (run > 0 && pgr_name_set_has(set, text + pos, run))
			return true;
		pos += (uint32_t)run;
	}
	return false;
}
