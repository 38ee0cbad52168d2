/*
 * Facts about a text; see the headers. Called by worker/ for each text that the screen lets
 * through, and for the bodies of functions by the catalog.
 *
 * One pass. look.c sees every token. The first word of each statement chooses what else is
 * read of it. Whoever adds a statement adds its row to features.def; what is not there pins as
 * unknown.
 *
 * Must stay true: what is not understood pins; nothing here depends on how much of the text is
 * understood to keep the place where the next statement begins, but on semicolons, parentheses and
 * BEGIN ATOMIC.
 */
#include "parser/literal.h"
#include "parser/reader.h"

/* An identifier into the step's name; what is none is left where it is. */
static void
take_name(struct pgr_reader *r, struct pgr_step *step)
{
	if (r->tok.kind != PGR_TOKEN_WORD && r->tok.kind != PGR_TOKEN_QUOTED) {
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
		return;
	}
	step->name = (struct pgr_span){r->tok.start, r->tok.end};
	pgr_reader_next(r);
}

uint8_t
pgr_reader_modes(struct pgr_reader *r)
{
	unsigned modes = 0;

	for (;;) {
		if (pgr_reader_take(r, PGR_WORD_ISOLATION)) {
			unsigned level = PGR_FIXED_SERIALIZABLE;

			pgr_reader_take(r, PGR_WORD_LEVEL);
			if (pgr_reader_take(r, PGR_WORD_REPEATABLE)) {
				pgr_reader_take(r, PGR_WORD_READ);
				level = PGR_FIXED_REPEATABLE_READ;
			} else if (pgr_reader_take(r, PGR_WORD_READ)) {
				level = pgr_reader_take(r, PGR_WORD_UNCOMMITTED)
					? PGR_FIXED_READ_UNCOMMITTED
					: PGR_FIXED_READ_COMMITTED;
				pgr_reader_take(r, PGR_WORD_COMMITTED);
			} else {
				pgr_reader_take(r, PGR_WORD_SERIALIZABLE);
			}
			modes = (modes & ~PGR_MODE_LEVEL) | PGR_MODE_HAS_LEVEL | level;
		} else if (pgr_reader_take(r, PGR_WORD_READ)) {
			modes &= ~(PGR_MODE_READ_ONLY | PGR_MODE_READ_WRITE);
			modes |= pgr_reader_take(r, PGR_WORD_ONLY) ? PGR_MODE_READ_ONLY
								   : PGR_MODE_READ_WRITE;
			pgr_reader_take(r, PGR_WORD_WRITE);
		} else if (pgr_reader_take(r, PGR_WORD_NOT)) {
			modes = (modes & ~PGR_MODE_DEFERRABLE) | PGR_MODE_NOT_DEFERRABLE;
			pgr_reader_take(r, PGR_WORD_DEFERRABLE);
		} else if (pgr_reader_take(r, PGR_WORD_DEFERRABLE)) {
			modes = (modes & ~PGR_MODE_NOT_DEFERRABLE) | PGR_MODE_DEFERRABLE;
		} else if (r->tok.kind == ',') {
			pgr_reader_next(r);
		} else {
			return (uint8_t)modes;
		}
	}
}

static void
take_work(struct pgr_reader *r)
{
	if (!pgr_reader_take(r, PGR_WORD_WORK))
		pgr_reader_take(r, PGR_WORD_TRANSACTION);
}

static void
read_begin(struct pgr_reader *r)
{
	struct pgr_step *step = pgr_reader_step(r, PGR_FEATURE_BEGIN);

	pgr_reader_next(r);
	take_work(r);
	step->modes = pgr_reader_modes(r);
}

/* [SAVEPOINT] name; a savepoint may have the name savepoint */
static void
take_savepoint(struct pgr_reader *r, struct pgr_step *step)
{
	struct pgr_token ahead = pgr_reader_peek(r);

	if (pgr_reader_is(r, PGR_WORD_SAVEPOINT) && pgr_token_is_name(&ahead))
		pgr_reader_next(r);
	take_name(r, step);
}

/* [AND [NO] CHAIN] */
static void
read_chain(struct pgr_reader *r, struct pgr_step *step)
{
	bool no;

	if (!pgr_reader_take(r, PGR_WORD_AND))
		return;
	no = pgr_reader_take(r, PGR_WORD_NO);
	if (pgr_reader_take(r, PGR_WORD_CHAIN) && !no)
		step->flags |= PGR_STEP_CHAIN;
}

static void
read_prepared(struct pgr_reader *r, enum pgr_feature row)
{
	pgr_reader_note(r, row);
	pgr_reader_next(r);
	if (r->tok.kind == PGR_TOKEN_STRING || r->tok.kind == PGR_TOKEN_UNICODE_STRING)
		pgr_reader_next(r);
}

static void
read_commit(struct pgr_reader *r)
{
	pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_PREPARED)) {
		read_prepared(r, PGR_FEATURE_COMMIT_PREPARED);
		return;
	}
	take_work(r);
	read_chain(r, pgr_reader_step(r, PGR_FEATURE_COMMIT));
}

static void
read_rollback(struct pgr_reader *r)
{
	pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_PREPARED)) {
		read_prepared(r, PGR_FEATURE_ROLLBACK_PREPARED);
		return;
	}
	take_work(r);
	if (pgr_reader_take(r, PGR_WORD_TO))
		take_savepoint(r, pgr_reader_step(r, PGR_FEATURE_ROLLBACK_TO));
	else
		read_chain(r, pgr_reader_step(r, PGR_FEATURE_ROLLBACK));
}

static void
read_savepoint(struct pgr_reader *r)
{
	struct pgr_step *step = pgr_reader_step(r, PGR_FEATURE_SAVEPOINT);

	pgr_reader_next(r);
	take_name(r, step);
}

static void
read_release(struct pgr_reader *r)
{
	struct pgr_step *step = pgr_reader_step(r, PGR_FEATURE_RELEASE);

	pgr_reader_next(r);
	take_savepoint(r, step);
}

/* To the end of the statement. */
static void
skip_rest(struct pgr_reader *r)
{
	while (!pgr_reader_at_end(r))
		pgr_reader_next(r);
}

static void
read_prepare(struct pgr_reader *r)
{
	struct pgr_step *step;

	pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_TRANSACTION) && pgr_reader_peek(r).kind == PGR_TOKEN_STRING) {
		pgr_reader_step(r, PGR_FEATURE_PREPARE_TRANSACTION);
		pgr_reader_next(r);
		pgr_reader_next(r);
		return;
	}
	step = pgr_reader_step(r, PGR_FEATURE_PREPARE);
	take_name(r, step);
	if (pgr_reader_at_end(r)) {
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
		return;
	}
	step->value.start = r->tok.start;
	skip_rest(r);
	step->value.end = r->prev.end;
}

static void
read_execute(struct pgr_reader *r)
{
	struct pgr_step *step = pgr_reader_step(r, PGR_FEATURE_EXECUTE);

	pgr_reader_next(r);
	take_name(r, step);
	if (r->tok.kind != '(')
		return;
	step->value.start = r->tok.start;
	skip_rest(r);
	step->value.end = r->prev.end;
}

static void
read_deallocate(struct pgr_reader *r)
{
	struct pgr_token ahead;

	pgr_reader_next(r);
	ahead = pgr_reader_peek(r);
	if (pgr_reader_is(r, PGR_WORD_PREPARE) && pgr_token_is_name(&ahead))
		pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_ALL)) {
		pgr_reader_step(r, PGR_FEATURE_DEALLOCATE_ALL);
		pgr_reader_next(r);
		return;
	}
	take_name(r, pgr_reader_step(r, PGR_FEATURE_DEALLOCATE));
}

static void
read_discard(struct pgr_reader *r)
{
	pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_ALL)) {
		pgr_reader_step(r, PGR_FEATURE_DISCARD_ALL);
		r->facts->flags |= PGR_FACTS_RELEASES;
	} else if (pgr_reader_is(r, PGR_WORD_PLANS)) {
		pgr_reader_note(r, PGR_FEATURE_DISCARD_PLANS);
	} else if (pgr_reader_is(r, PGR_WORD_SEQUENCES)) {
		pgr_reader_step(r, PGR_FEATURE_DISCARD_SEQUENCES);
	} else if (pgr_reader_is(r, PGR_WORD_TEMP) || pgr_reader_is(r, PGR_WORD_TEMPORARY)) {
		pgr_reader_step(r, PGR_FEATURE_DISCARD_TEMP);
		r->facts->flags |= PGR_FACTS_RELEASES;
	} else {
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
		return;
	}
	pgr_reader_next(r);
}

static void
read_listen(struct pgr_reader *r, enum pgr_feature kind)
{
	struct pgr_step *step = pgr_reader_step(r, kind);

	pgr_reader_next(r);
	if (kind == PGR_FEATURE_UNLISTEN) {
		r->facts->flags |= PGR_FACTS_RELEASES;
		if (r->tok.kind == '*') {
			pgr_reader_next(r);
			return;
		}
	}
	take_name(r, step);
}

/* What its strings name is not looked for here, so it may be unsafe. */
static void
runs_texts(struct pgr_reader *r)
{
	if (r->unsafe != NULL)
		r->facts->flags |= PGR_FACTS_NAMED | PGR_FACTS_TEXTS;
}

/* Does a body mention DDL, or put texts together? */
static bool
may_make(const char *body, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = 0;

		while (i + n < len && (pgr_lexer_char(body[i + n]) & PGR_CHAR_RUN) != 0)
			n++;
		switch ((unsigned)pgr_word_find(body + i, n)) {
		case PGR_WORD_CREATE:
		case PGR_WORD_ALTER:
		case PGR_WORD_DROP:
		case PGR_WORD_IMPORT:
		case PGR_WORD_EXECUTE:
			return true;
		default:
			break;
		}
		i += n + 1;
	}
	return false;
}

/*
 * DO [LANGUAGE name] 'body', in either order: only a body in PL/pgSQL between dollar quotes is read
 * as one.
 */
static void
read_do(struct pgr_reader *r)
{
	enum pgr_feature row = PGR_FEATURE_DO_UNCLEAR;
	uint32_t start = 0, end = 0;
	bool plain = true;

	pgr_reader_note(r, PGR_FEATURE_DO);
	for (pgr_reader_next(r); !pgr_reader_at_end(r); pgr_reader_next(r)) {
		if (r->tok.kind == PGR_TOKEN_STRING && !pgr_token_is(&r->prev, PGR_WORD_LANGUAGE))
			plain = start == 0 && pgr_literal_dollar(r->text, &r->tok, &start, &end) &&
				plain;
		else if (r->tok.kind == PGR_TOKEN_WORD && pgr_token_is(&r->prev, PGR_WORD_LANGUAGE))
			plain = plain && r->tok.end - r->tok.start == 7 &&
				pgr_word_ends(r->text + r->tok.start, 7).first ==
					pgr_word_ends("plpgsql", 7).first;
		else
			plain = plain && pgr_reader_is(r, PGR_WORD_LANGUAGE);
	}
	if (plain && start != 0)
		row = pgr_session_read_body(r->text + start, end - start, true);
	if (row != PGR_FEATURE_NONE)
		pgr_reader_note(r, row);
	if (!plain || start == 0 || may_make(r->text + start, end - start))
		r->facts->flags |= PGR_FACTS_MAKES;
	runs_texts(r);
}

static void
read_create(struct pgr_reader *r)
{
	pgr_reader_note(r, PGR_FEATURE_CREATE);
	pgr_reader_next(r);
	if (pgr_reader_take(r, PGR_WORD_OR))
		pgr_reader_take(r, PGR_WORD_REPLACE);
	r->routine = pgr_reader_is(r, PGR_WORD_FUNCTION) || pgr_reader_is(r, PGR_WORD_PROCEDURE);
	skip_rest(r);
}

static void
read_select(struct pgr_reader *r)
{
	pgr_reader_note(r, PGR_FEATURE_SELECT);
	r->item = r->tok.end;
	skip_rest(r);
}

/* Reads what is to be read; false: the rest is not looked at beyond what look() does. */
static bool
read_tracked(struct pgr_reader *r)
{
	switch ((unsigned)r->statement) {
	case PGR_FEATURE_BEGIN:
		read_begin(r);
		return true;
	case PGR_FEATURE_COMMIT:
		read_commit(r);
		return true;
	case PGR_FEATURE_ROLLBACK:
		read_rollback(r);
		return true;
	case PGR_FEATURE_SAVEPOINT:
		read_savepoint(r);
		return true;
	case PGR_FEATURE_RELEASE:
		read_release(r);
		return true;
	case PGR_FEATURE_PREPARE:
		read_prepare(r);
		return true;
	case PGR_FEATURE_EXECUTE:
		read_execute(r);
		return true;
	case PGR_FEATURE_DEALLOCATE:
		read_deallocate(r);
		return true;
	case PGR_FEATURE_DISCARD_ALL:
		read_discard(r);
		return true;
	case PGR_FEATURE_LISTEN:
	case PGR_FEATURE_UNLISTEN:
		read_listen(r, r->statement);
		return true;
	case PGR_FEATURE_SET:
		pgr_reader_set(r);
		return true;
	case PGR_FEATURE_RESET:
		pgr_reader_reset(r);
		return true;
	default:
		return false;
	}
}

static void
read_other(struct pgr_reader *r)
{
	switch ((unsigned)r->statement) {
	case PGR_FEATURE_SELECT:
		read_select(r);
		return;
	case PGR_FEATURE_CREATE:
		read_create(r);
		return;
	case PGR_FEATURE_DO:
		read_do(r);
		return;
	case PGR_FEATURE_CLOSE:
	case PGR_FEATURE_DROP:
		r->facts->flags |= PGR_FACTS_RELEASES;
		break;
	default:
		break;
	}
	pgr_reader_note(r, r->statement);
	skip_rest(r);
}

/* The strings of a statement with a function that runs a text, as bodies. */
static void
read_texts(struct pgr_reader *r)
{
	struct pgr_lexer again = r->lexer;
	struct pgr_token t;

	if (r->params)
		pgr_reader_note(r, PGR_FEATURE_TEXT_PARAMETER);
	runs_texts(r);
	again.pos = r->begin;
	again.len = r->tok.start;
	again.signs_end = 0;
	while (pgr_lexer_next(&again, &t) != PGR_TOKEN_END)
		if (t.kind == PGR_TOKEN_STRING)
			pgr_reader_body_string(r, &t);
}

/* set_config() was taken for one of a bare select list, and is not. */
static void
withdraw_set_config(struct pgr_reader *r)
{
	for (uint16_t i = r->first_step; i < r->facts->n_steps; i++) {
		if ((r->facts->steps[i].flags & PGR_STEP_FUNCTION) == 0)
			continue;
		r->facts->n_steps = i;
		pgr_reader_note(r, PGR_FEATURE_SET_CONFIG_ELSEWHERE);
		return;
	}
}

static void
end_statement(struct pgr_reader *r)
{
	struct pgr_facts *facts = r->facts;

	if (r->temp)
		pgr_reader_note(
			r, r->temp_drop ? PGR_FEATURE_CREATE_TEMP_DROP : PGR_FEATURE_CREATE_TEMP);
	if (r->runs_text)
		read_texts(r);
	if (r->clauses)
		withdraw_set_config(r);
	if (r->depth != 0 || r->atomic != 0)
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
	for (uint16_t i = r->first_step; i < facts->n_steps; i++)
		facts->steps[i].whole.end = r->prev.end;
}

static enum pgr_feature
statement_of(const struct pgr_token *t)
{
	enum pgr_feature row = PGR_FEATURE_NONE;

	if (t->kind == '(')
		return PGR_FEATURE_SELECT;
	if (t->kind == PGR_TOKEN_WORD && t->word < PGR_WORD_KEYWORDS_END)
		row = (enum pgr_feature)pgr_word_feature((enum pgr_word)t->word);
	return row != PGR_FEATURE_NONE ? row : PGR_FEATURE_UNKNOWN;
}

/*
 * What was found out about the statement before is forgotten; the current token is the first of
 * this one.
 */
static void
begin_statement(struct pgr_reader *r)
{
	struct pgr_facts *facts = r->facts;

	if (facts->n_statements < UINT16_MAX)
		facts->n_statements++;
	r->first_step = facts->n_steps;
	r->begin = r->tok.start;
	r->item = UINT32_MAX;
	r->routine = r->temp = r->temp_drop = r->into = r->target = r->clauses = r->runs_text =
		r->params = false;
	r->statement = statement_of(&r->tok);
	if (facts->n_statements == 1)
		facts->first = (uint8_t)r->statement;
	/* how far its body went was guessed, so nothing behind it is taken for sure */
	if (r->atomic_seen)
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
}

static void
read_statement(struct pgr_reader *r)
{
	begin_statement(r);
	if (!read_tracked(r)) {
		read_other(r);
	} else if (!pgr_reader_at_end(r)) {
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
		skip_rest(r);
	}
	end_statement(r);
}

void
pgr_session_read(const char *text, size_t len, bool standard_strings,
	const struct pgr_name_set *unsafe, struct pgr_facts *ret)
{
	struct pgr_reader r;

	pgr_reader_init(&r, text, len, standard_strings, unsafe, ret);
	r.statement = PGR_FEATURE_SELECT;
	for (;;) {
		pgr_reader_advance(&r);
		if (r.tok.kind == ';')
			continue;
		if (r.tok.kind == PGR_TOKEN_END || r.tok.kind == PGR_TOKEN_ERROR)
			return;
		read_statement(&r);
		if (r.tok.kind != ';')
			return;
	}
}
