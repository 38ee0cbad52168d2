/*
 * SET, RESET and set_config(): which setting, and where its value stands. Part of the reader, see
 * reader.h.
 *
 * The grammar is that of VariableSetStmt in PostgreSQL's gram.y. A value that is not one of the
 * plain forms (Unicode strings, intervals) makes the setting unknown: SET_UNCLEAR pins.
 */
#include <strings.h>

#include "base/rc.h"
#include "parser/literal.h"
#include "parser/reader.h"

#define SETTING_NAME_MOST 128

static const struct {
	const char *name;
	enum pgr_feature row;
} settings[] = {
#define PGR_SETTING(id, name, treatment, reason) {name, PGR_FEATURE_GUC_##id},
#include "parser/features.def"
};

/* Does pg_temp stand in it, in whatever case? */
static bool
has_pg_temp(const char *p, size_t len)
{
	static const char word[] = "pg_temp";

	for (size_t i = 0; i + sizeof(word) - 1 <= len; i++)
		if (strncasecmp(p + i, word, sizeof(word) - 1) == 0)
			return true;
	return false;
}

enum pgr_feature
pgr_setting_feature(const char *name, size_t name_len, const char *value, size_t value_len)
{
	for (size_t i = 0; i < PGR_COUNT_OF(settings); i++) {
		if (strlen(settings[i].name) != name_len ||
			strncasecmp(settings[i].name, name, name_len) != 0)
			continue;
		if (settings[i].row == PGR_FEATURE_GUC_SEARCH_PATH && has_pg_temp(value, value_len))
			return PGR_FEATURE_SET_TEMP_PATH;
		return settings[i].row;
	}
	return PGR_FEATURE_NONE;
}

static void
unclear(struct pgr_reader *r)
{
	pgr_reader_note(r, PGR_FEATURE_SET_UNCLEAR);
	while (!pgr_reader_at_end(r))
		pgr_reader_next(r);
}

/* How the step's setting is treated with the value that stands between start and end of the text.
 */
static enum pgr_feature
step_feature(const struct pgr_reader *r, const struct pgr_step *step, struct pgr_span value)
{
	char name[SETTING_NAME_MOST];
	struct pgr_out out;
	const char *p = r->text + value.start;
	size_t len = value.end - value.start;
	enum pgr_feature row;

	pgr_out_init(&out, name, sizeof(name));
	if (!pgr_step_name(step, r->text, &out) || out.full)
		return PGR_FEATURE_NONE;
	row = pgr_setting_feature(name, out.len, p, len);
	/* an escape may hide it */
	if (row == PGR_FEATURE_GUC_SEARCH_PATH && memchr(p, '\\', len) != NULL)
		return PGR_FEATURE_SET_TEMP_PATH;
	return row;
}

/* Keeps the step, or withdraws it when its setting is one that is not tracked. */
static void
judge(struct pgr_reader *r, struct pgr_step *step)
{
	enum pgr_feature row = step_feature(r, step, step->value);

	if (row == PGR_FEATURE_NONE || row == PGR_FEATURE_GUC_OTHER)
		return;
	pgr_reader_note(r, row);
	if (pgr_features[row].treatment != PGR_TREATMENT_TRACK && step != &r->nowhere)
		r->facts->n_steps--;
}

/* What cannot be read: pins, and is no step. */
static void
give_up(struct pgr_reader *r, struct pgr_step *step)
{
	if (step != &r->nowhere)
		r->facts->n_steps--;
	unclear(r);
}

static bool
is_number(const struct pgr_token *t)
{
	return t->kind == PGR_TOKEN_INTEGER || t->kind == PGR_TOKEN_FLOAT;
}

/* One item of a list of values. */
static bool
take_value(struct pgr_reader *r)
{
	if (r->tok.kind == '+' || r->tok.kind == '-') {
		pgr_reader_next(r);
		if (!is_number(&r->tok))
			return false;
	} else if (r->tok.kind == PGR_TOKEN_WORD) {
		if (pgr_word_category((enum pgr_word)r->tok.word) == PGR_CATEGORY_RESERVED &&
			!pgr_reader_is(r, PGR_WORD_TRUE) && !pgr_reader_is(r, PGR_WORD_FALSE) &&
			!pgr_reader_is(r, PGR_WORD_ON))
			return false;
	} else if (r->tok.kind != PGR_TOKEN_STRING && r->tok.kind != PGR_TOKEN_QUOTED &&
		!is_number(&r->tok)) {
		return false;
	}
	pgr_reader_next(r);
	return true;
}

/* value {, value} into the step; false: something else is there. */
static bool
take_values(struct pgr_reader *r, struct pgr_step *step)
{
	step->value.start = r->tok.start;
	step->value_kind = PGR_VALUE_LIST;
	for (;;) {
		if (!take_value(r))
			return false;
		step->value.end = r->prev.end;
		if (r->tok.kind != ',')
			return true;
		pgr_reader_next(r);
	}
}

/* The step of a setting, SET or RESET; its value is read by the caller. */
static struct pgr_step *
new_step(struct pgr_reader *r, enum pgr_feature kind, enum pgr_setting setting, unsigned flags)
{
	struct pgr_step *step = pgr_reader_step(r, kind);

	step->setting = (uint8_t)setting;
	step->flags = (uint8_t)flags;
	return step;
}

/* A setting with a name of its own in the grammar, and one value. */
static void
read_special(struct pgr_reader *r, enum pgr_setting setting, unsigned flags)
{
	struct pgr_step *step;

	if (pgr_reader_is(r, PGR_WORD_DEFAULT)) {
		new_step(r, PGR_FEATURE_RESET, setting, flags);
		pgr_reader_next(r);
		return;
	}
	step = new_step(r, PGR_FEATURE_SET, setting, flags);
	if (!take_values(r, step))
		give_up(r, step);
	else
		judge(r, step);
}

/* Behind SET TIME */
static void
read_time_zone(struct pgr_reader *r, unsigned flags)
{
	pgr_reader_next(r);
	if (!pgr_reader_take(r, PGR_WORD_ZONE) || pgr_reader_is(r, PGR_WORD_INTERVAL)) {
		unclear(r);
	} else if (pgr_reader_is(r, PGR_WORD_LOCAL)) {
		new_step(r, PGR_FEATURE_RESET, PGR_SETTING_TIMEZONE, flags);
		pgr_reader_next(r);
	} else {
		read_special(r, PGR_SETTING_TIMEZONE, flags);
	}
}

static void
read_names(struct pgr_reader *r, unsigned flags)
{
	pgr_reader_next(r);
	if (pgr_reader_at_end(r))
		new_step(r, PGR_FEATURE_RESET, PGR_SETTING_CLIENT_ENCODING, flags);
	else
		read_special(r, PGR_SETTING_CLIENT_ENCODING, flags);
}

/* Behind SESSION, at AUTHORIZATION */
static void
read_authorization(struct pgr_reader *r, unsigned flags)
{
	pgr_reader_next(r);
	read_special(r, PGR_SETTING_SESSION_AUTHORIZATION, flags);
}

static void
read_xml_option(struct pgr_reader *r, unsigned flags)
{
	pgr_reader_next(r);
	if (pgr_reader_take(r, PGR_WORD_OPTION))
		read_special(r, PGR_SETTING_XMLOPTION, flags);
	else
		unclear(r);
}

static void
add_fixed(struct pgr_reader *r, enum pgr_setting setting, enum pgr_fixed fixed)
{
	struct pgr_step *step = new_step(r, PGR_FEATURE_SET, setting, 0);

	step->value_kind = PGR_VALUE_FIXED;
	step->fixed = (uint8_t)fixed;
}

/* Behind SET SESSION, at CHARACTERISTICS: what transactions to come begin with */
static void
read_characteristics(struct pgr_reader *r)
{
	unsigned modes;

	pgr_reader_next(r);
	pgr_reader_take(r, PGR_WORD_AS);
	pgr_reader_take(r, PGR_WORD_TRANSACTION);
	modes = pgr_reader_modes(r);
	if ((modes & PGR_MODE_HAS_LEVEL) != 0)
		add_fixed(
			r, PGR_SETTING_DEFAULT_ISOLATION, (enum pgr_fixed)(modes & PGR_MODE_LEVEL));
	if ((modes & (PGR_MODE_READ_ONLY | PGR_MODE_READ_WRITE)) != 0)
		add_fixed(r, PGR_SETTING_DEFAULT_READ_ONLY,
			(modes & PGR_MODE_READ_ONLY) != 0 ? PGR_FIXED_ON : PGR_FIXED_OFF);
	if ((modes & (PGR_MODE_DEFERRABLE | PGR_MODE_NOT_DEFERRABLE)) != 0)
		add_fixed(r, PGR_SETTING_DEFAULT_DEFERRABLE,
			(modes & PGR_MODE_DEFERRABLE) != 0 ? PGR_FIXED_ON : PGR_FIXED_OFF);
	if (modes == 0)
		pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
}

static void
read_set_transaction(struct pgr_reader *r)
{
	struct pgr_step *step = pgr_reader_step(r, PGR_FEATURE_SET_TRANSACTION);

	pgr_reader_next(r);
	if (pgr_reader_take(r, PGR_WORD_SNAPSHOT)) {
		if (r->tok.kind == PGR_TOKEN_STRING || r->tok.kind == PGR_TOKEN_UNICODE_STRING)
			pgr_reader_next(r);
	} else {
		step->modes = pgr_reader_modes(r);
	}
}

/* name {. name} into the span; false: no name. */
static bool
take_setting_name(struct pgr_reader *r, struct pgr_span *ret)
{
	ret->start = r->tok.start;
	do {
		if (r->tok.kind == '.')
			pgr_reader_next(r);
		if (r->tok.kind != PGR_TOKEN_WORD && r->tok.kind != PGR_TOKEN_QUOTED)
			return false;
		pgr_reader_next(r);
		ret->end = r->prev.end;
	} while (r->tok.kind == '.');
	return true;
}

/* name {TO | =} {value {, value} | DEFAULT} */
static void
read_generic(struct pgr_reader *r, unsigned flags)
{
	struct pgr_span name;
	struct pgr_step *step;

	if (!take_setting_name(r, &name) ||
		(r->tok.kind != '=' && !pgr_reader_is(r, PGR_WORD_TO))) {
		unclear(r);
		return;
	}
	pgr_reader_next(r);
	step = new_step(r, pgr_reader_is(r, PGR_WORD_DEFAULT) ? PGR_FEATURE_RESET : PGR_FEATURE_SET,
		PGR_SETTING_NAMED, flags);
	step->name = name;
	if (step->kind == PGR_FEATURE_RESET)
		pgr_reader_next(r);
	else if (!take_values(r, step))
		give_up(r, step);
	else
		judge(r, step);
}

/* Is the current word a setting's name, whatever else it may mean behind SET? */
static bool
names_a_setting(const struct pgr_reader *r)
{
	struct pgr_token ahead = pgr_reader_peek(r);

	return ahead.kind == '=' || ahead.kind == '.' ||
		(ahead.kind == PGR_TOKEN_WORD && ahead.word == PGR_WORD_TO);
}

/* Behind SET and its LOCAL or SESSION. */
static void
read_rest(struct pgr_reader *r, unsigned flags)
{
	switch (names_a_setting(r) || r->tok.kind != PGR_TOKEN_WORD ? PGR_NO_WORD
								    : (unsigned)r->tok.word) {
	case PGR_WORD_TRANSACTION:
		read_set_transaction(r);
		return;
	case PGR_WORD_TIME:
		read_time_zone(r, flags);
		return;
	case PGR_WORD_NAMES:
		read_names(r, flags);
		return;
	case PGR_WORD_ROLE:
		pgr_reader_next(r);
		read_special(r, PGR_SETTING_ROLE, flags);
		return;
	case PGR_WORD_SCHEMA:
		pgr_reader_next(r);
		read_special(r, PGR_SETTING_SEARCH_PATH, flags);
		return;
	case PGR_WORD_XML:
		read_xml_option(r, flags);
		return;
	case PGR_WORD_SESSION:
		pgr_reader_next(r);
		if (pgr_reader_is(r, PGR_WORD_AUTHORIZATION))
			read_authorization(r, flags);
		else
			unclear(r);
		return;
	default:
		read_generic(r, flags);
	}
}

void
pgr_reader_set(struct pgr_reader *r)
{
	pgr_reader_next(r);
	if (pgr_reader_is(r, PGR_WORD_CONSTRAINTS) && !names_a_setting(r)) {
		pgr_reader_note(r, PGR_FEATURE_SET_CONSTRAINTS);
		while (!pgr_reader_at_end(r))
			pgr_reader_next(r);
		return;
	}
	if (pgr_reader_is(r, PGR_WORD_LOCAL) && !names_a_setting(r)) {
		pgr_reader_next(r);
		read_rest(r, PGR_STEP_LOCAL);
	} else if (pgr_reader_is(r, PGR_WORD_SESSION) && !names_a_setting(r)) {
		pgr_reader_next(r);
		if (pgr_reader_is(r, PGR_WORD_CHARACTERISTICS))
			read_characteristics(r);
		else if (pgr_reader_is(r, PGR_WORD_AUTHORIZATION) && !names_a_setting(r))
			read_authorization(r, 0);
		else
			read_rest(r, 0);
	} else {
		read_rest(r, 0);
	}
}

/* RESET {name | ALL | TIME ZONE | SESSION AUTHORIZATION | TRANSACTION ISOLATION LEVEL} */
void
pgr_reader_reset(struct pgr_reader *r)
{
	struct pgr_token ahead;
	struct pgr_step *step;
	struct pgr_span name;

	pgr_reader_next(r);
	ahead = pgr_reader_peek(r);
	if (pgr_reader_take(r, PGR_WORD_ALL)) {
		pgr_reader_step(r, PGR_FEATURE_RESET_ALL);
	} else if (pgr_reader_is(r, PGR_WORD_TIME) && ahead.word == PGR_WORD_ZONE) {
		new_step(r, PGR_FEATURE_RESET, PGR_SETTING_TIMEZONE, 0);
		pgr_reader_next(r);
		pgr_reader_next(r);
	} else if (pgr_reader_is(r, PGR_WORD_SESSION) && ahead.word == PGR_WORD_AUTHORIZATION) {
		new_step(r, PGR_FEATURE_RESET, PGR_SETTING_SESSION_AUTHORIZATION, 0);
		pgr_reader_next(r);
		pgr_reader_next(r);
	} else if (pgr_reader_is(r, PGR_WORD_TRANSACTION) && ahead.word == PGR_WORD_ISOLATION) {
		pgr_reader_note(r, PGR_FEATURE_GUC_ISOLATION);
		pgr_reader_next(r);
		pgr_reader_next(r);
		pgr_reader_take(r, PGR_WORD_LEVEL);
	} else {
		step = new_step(r, PGR_FEATURE_RESET, PGR_SETTING_NAMED, 0);
		if (take_setting_name(r, &name))
			step->name = name;
		else
			pgr_reader_note(r, PGR_FEATURE_UNKNOWN);
	}
}

/* Looking ahead over the arguments of set_config(), without moving the reader. */
struct arguments {
	struct pgr_lexer lexer;
	struct pgr_token t;
};

static void
forward(struct arguments *a)
{
	pgr_lexer_next(&a->lexer, &a->t);
}

static bool
at_word(const struct arguments *a, const char *word)
{
	size_t len = strlen(word);

	return a->t.kind == PGR_TOKEN_WORD && a->t.end - a->t.start == len &&
		strncasecmp(a->lexer.text + a->t.start, word, len) == 0;
}

/* An optional cast that does not change the value of a text or boolean. */
static bool
skip_cast(struct arguments *a, bool boolean)
{
	if (a->t.kind != PGR_TOKEN_TYPECAST)
		return true;
	forward(a);
	if (at_word(a, "pg_catalog")) {
		forward(a);
		if (a->t.kind != '.')
			return false;
		forward(a);
	}
	if (boolean ? !at_word(a, "bool") && !at_word(a, "boolean")
		    : !at_word(a, "text") && !at_word(a, "varchar"))
		return false;
	forward(a);
	return true;
}

static bool
skip_kind(struct arguments *a, unsigned kind)
{
	if (a->t.kind != kind)
		return false;
	forward(a);
	return true;
}

/* A parameter's number into *ret. */
static bool
take_param(struct arguments *a, uint16_t *ret)
{
	if (a->t.kind != PGR_TOKEN_PARAM || a->t.value == 0 || a->t.value > UINT16_MAX)
		return false;
	*ret = (uint16_t)a->t.value;
	forward(a);
	return true;
}

/* 'text' or $n, with a cast to text. */
static bool
take_text(struct arguments *a, struct pgr_span *ret, uint16_t *ret_param)
{
	*ret = (struct pgr_span){a->t.start, a->t.end};
	if (a->t.kind == PGR_TOKEN_STRING)
		forward(a);
	else if (!take_param(a, ret_param))
		return false;
	return skip_cast(a, false);
}

static bool
take_value_argument(struct arguments *a, struct pgr_step *step)
{
	if (a->t.kind == PGR_TOKEN_WORD && a->t.word == PGR_WORD_NULL) {
		step->kind = PGR_FEATURE_RESET;
		forward(a);
		return skip_cast(a, false);
	}
	if (!take_text(a, &step->value, &step->value_param))
		return false;
	step->value_kind = step->value_param != 0 ? PGR_VALUE_PARAM : PGR_VALUE_STRING;
	return true;
}

static bool
take_local(struct arguments *a, struct pgr_step *step)
{
	if (a->t.kind == PGR_TOKEN_WORD &&
		(a->t.word == PGR_WORD_TRUE || a->t.word == PGR_WORD_FALSE)) {
		step->flags |= a->t.word == PGR_WORD_TRUE ? PGR_STEP_LOCAL : 0;
		forward(a);
		return skip_cast(a, true);
	}
	return take_param(a, &step->local_param) && skip_cast(a, true);
}

/* May the item of the select list end here? */
static bool
ends_item(const struct arguments *a)
{
	if (a->t.kind == PGR_TOKEN_WORD) {
		enum pgr_word_category category = pgr_word_category((enum pgr_word)a->t.word);

		return a->t.word == PGR_WORD_AS || category == PGR_CATEGORY_NAME;
	}
	return a->t.kind == ',' || a->t.kind == ';' || a->t.kind == PGR_TOKEN_END ||
		a->t.kind == PGR_TOKEN_QUOTED;
}

/* Is the call all that stands behind SELECT or a comma, in a plain SELECT? */
static bool
is_item(const struct pgr_reader *r)
{
	struct arguments a = {.lexer = r->lexer};

	if (r->body || r->statement != PGR_FEATURE_SELECT || r->item == UINT32_MAX)
		return false;
	a.lexer.pos = r->item;
	forward(&a);
	if (at_word(&a, "pg_catalog")) {
		forward(&a);
		if (!skip_kind(&a, '.'))
			return false;
	}
	return a.t.start == r->prev.start;
}

/* The call as a step; false: it is none that can be tracked. */
static bool
take_call(const struct pgr_reader *r, struct pgr_step *step)
{
	struct arguments a = {.lexer = r->lexer};

	memset(step, 0, sizeof(*step));
	step->kind = PGR_FEATURE_SET;
	step->flags = PGR_STEP_FUNCTION;
	forward(&a);
	if (memchr(r->text + a.t.start, '\\', a.t.end - a.t.start) != NULL)
		return false;
	return take_text(&a, &step->name, &step->name_param) && skip_kind(&a, ',') &&
		take_value_argument(&a, step) && skip_kind(&a, ',') && take_local(&a, step) &&
		skip_kind(&a, ')') && ends_item(&a);
}

#define LOOK_MOST 64 /* tokens of a call that are looked at, so that nested ones stay linear */

/* set_config('a.b', whatever, true): for the transaction, and of no meaning to PostgreSQL itself.
 */
static bool
is_local_custom(const struct pgr_reader *r)
{
	struct arguments a = {.lexer = r->lexer};
	unsigned depth = 0, commas = 0;

	forward(&a);
	if (a.t.kind != PGR_TOKEN_STRING ||
		memchr(r->text + a.t.start, '.', a.t.end - a.t.start) == NULL)
		return false;
	for (int i = 0; i < LOOK_MOST && a.t.kind != PGR_TOKEN_END; i++) {
		if (a.t.kind == ')' && depth-- == 0)
			return false;
		depth += a.t.kind == '(';
		commas += a.t.kind == ',' && depth == 0;
		forward(&a);
		if (commas == 2)
			break;
		if (i == 0 && a.t.kind != ',')
			return false;
	}
	if (commas != 2 || a.t.kind != PGR_TOKEN_WORD || a.t.word != PGR_WORD_TRUE)
		return false;
	forward(&a);
	return a.t.kind == ')';
}

void
pgr_reader_set_config(struct pgr_reader *r)
{
	struct pgr_step call, *step;

	pgr_feature_add(&r->facts->features, PGR_FEATURE_FN_SET_CONFIG);
	if (!is_item(r) || !take_call(r, &call)) {
		pgr_reader_note(r,
			is_local_custom(r) ? PGR_FEATURE_SET_CONFIG_LOCAL
					   : PGR_FEATURE_SET_CONFIG_ELSEWHERE);
		return;
	}
	step = pgr_reader_step(r, (enum pgr_feature)call.kind);
	call.statement = step->statement;
	call.whole = step->whole;
	*step = call;
	judge(r, step);
}
