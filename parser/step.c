/*
 * What a step says, written out: names and values as PostgreSQL makes them. Called by worker/ when
 * a step is applied.
 *
 * The value of a list is what flatten_set_variable_args() of PostgreSQL's guc_funcs.c makes of it:
 * items joined by ", ", and quoted as identifiers for the settings that are lists of identifiers.
 */
#include <strings.h>

#include "base/rc.h"
#include "parser/literal.h"
#include "parser/session.h"

static const char *const setting_names[] = {
	[PGR_SETTING_NAMED] = "",
	[PGR_SETTING_TIMEZONE] = "timezone",
	[PGR_SETTING_CLIENT_ENCODING] = "client_encoding",
	[PGR_SETTING_ROLE] = "role",
	[PGR_SETTING_SESSION_AUTHORIZATION] = "session_authorization",
	[PGR_SETTING_SEARCH_PATH] = "search_path",
	[PGR_SETTING_XMLOPTION] = "xmloption",
	[PGR_SETTING_DEFAULT_ISOLATION] = "default_transaction_isolation",
	[PGR_SETTING_DEFAULT_READ_ONLY] = "default_transaction_read_only",
	[PGR_SETTING_DEFAULT_DEFERRABLE] = "default_transaction_deferrable",
};

static const char *const fixed_values[] = {
	[PGR_FIXED_READ_UNCOMMITTED] = "read uncommitted",
	[PGR_FIXED_READ_COMMITTED] = "read committed",
	[PGR_FIXED_REPEATABLE_READ] = "repeatable read",
	[PGR_FIXED_SERIALIZABLE] = "serializable",
	[PGR_FIXED_ON] = "on",
	[PGR_FIXED_OFF] = "off",
};

static void
span_lexer(struct pgr_lexer *lexer, const char *text, struct pgr_span span, bool standard_strings)
{
	pgr_lexer_init(lexer, text, span.end, standard_strings);
	lexer->pos = span.start;
}

static void
lower(char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
}

/* The parts of a name with points between them. */
static void
put_names(const char *text, struct pgr_span span, struct pgr_out *out)
{
	struct pgr_lexer lexer;
	struct pgr_token t;

	span_lexer(&lexer, text, span, true);
	while (pgr_lexer_next(&lexer, &t) != PGR_TOKEN_END) {
		if (t.kind == '.')
			pgr_out_byte(out, '.');
		else
			pgr_literal_name(text, &t, out);
	}
}

bool
pgr_step_name(const struct pgr_step *step, const char *text, struct pgr_out *out)
{
	size_t from = out->len;
	bool setting = step->kind == PGR_FEATURE_SET || step->kind == PGR_FEATURE_RESET;

	if (step->name_param != 0)
		return false;
	if (setting && step->setting != PGR_SETTING_NAMED) {
		pgr_out_text(out, setting_names[step->setting]);
	} else if ((step->flags & PGR_STEP_FUNCTION) != 0) {
		struct pgr_token t = {
			.start = step->name.start, .end = step->name.end, .kind = PGR_TOKEN_STRING};

		if (!pgr_literal_string(text, &t, true, out))
			return false;
	} else {
		put_names(text, step->name, out);
	}
	/* settings are found without regard to case, even when quoted */
	if (setting)
		lower(out->p + from, out->len - from);
	return true;
}

/* Settings whose value is a list of identifiers; extensions cannot have such (GUC_LIST_QUOTE). */
static bool
quotes_items(const char *name, size_t len)
{
	static const char *const names[] = {"local_preload_libraries", "search_path",
		"session_preload_libraries", "shared_preload_libraries", "temp_tablespaces",
		"unix_socket_directories"};

	for (size_t i = 0; i < PGR_COUNT_OF(names); i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], name, len) == 0)
			return true;
	return false;
}

/* Would this identifier be read back without quotes? */
static bool
is_vanilla(const char *p, size_t len)
{
	enum pgr_word_category category;

	for (size_t i = 0; i < len; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || p[i] == '_' ||
			    (i > 0 && p[i] >= '0' && p[i] <= '9')))
			return false;
	category = pgr_word_category(pgr_word_find(p, len));
	return len > 0 && (category == PGR_CATEGORY_NAME || category == PGR_CATEGORY_UNRESERVED);
}

/* Quotes what was written from `from` on as an identifier, when it needs that. */
static void
quote_item(struct pgr_out *out, size_t from)
{
	size_t len = out->len - from, quotes = 0, at;

	if (out->full || is_vanilla(out->p + from, len))
		return;
	for (size_t i = from; i < out->len; i++)
		quotes += out->p[i] == '"';
	at = out->len;
	if (pgr_out_room(out, quotes + 2) == NULL)
		return;
	out->p[out->len - 1] = '"';
	for (size_t to = out->len - 1; at > from;) {
		out->p[--to] = out->p[--at];
		if (out->p[to] == '"')
			out->p[--to] = '"';
	}
	out->p[from] = '"';
}

/* One item: a sign comes with its number. */
static bool
put_item(struct pgr_lexer *lexer, struct pgr_token *t, struct pgr_out *out)
{
	if (t->kind == '-' || t->kind == '+') {
		if (t->kind == '-')
			pgr_out_byte(out, '-');
		pgr_lexer_next(lexer, t);
	}
	if (t->kind == PGR_TOKEN_STRING)
		return pgr_literal_string(lexer->text, t, lexer->standard_strings, out);
	if (t->kind == PGR_TOKEN_WORD || t->kind == PGR_TOKEN_QUOTED)
		pgr_literal_name(lexer->text, t, out);
	else
		pgr_literal_number(lexer->text, t, out);
	return true;
}

static bool
put_list(const struct pgr_step *step, const char *text, bool standard_strings, struct pgr_out *out)
{
	char name[64];
	struct pgr_out name_out;
	struct pgr_lexer lexer;
	struct pgr_token t;
	bool good = true, quoted;

	pgr_out_init(&name_out, name, sizeof(name));
	quoted = pgr_step_name(step, text, &name_out) && !name_out.full &&
		quotes_items(name, name_out.len);
	span_lexer(&lexer, text, step->value, standard_strings);
	while (pgr_lexer_next(&lexer, &t) != PGR_TOKEN_END) {
		size_t from = out->len;

		if (t.kind == ',') {
			pgr_out_text(out, ", ");
			continue;
		}
		good = put_item(&lexer, &t, out) && good;
		if (quoted && t.kind != PGR_TOKEN_INTEGER && t.kind != PGR_TOKEN_FLOAT)
			quote_item(out, from);
	}
	return good;
}

bool
pgr_step_value(
	const struct pgr_step *step, const char *text, bool standard_strings, struct pgr_out *out)
{
	struct pgr_token t = {
		.start = step->value.start, .end = step->value.end, .kind = PGR_TOKEN_STRING};

	switch ((enum pgr_value)step->value_kind) {
	case PGR_VALUE_LIST:
		return put_list(step, text, standard_strings, out);
	case PGR_VALUE_STRING:
		return pgr_literal_string(text, &t, standard_strings, out);
	case PGR_VALUE_FIXED:
		pgr_out_text(out, fixed_values[step->fixed]);
		return true;
	case PGR_VALUE_NONE:
	case PGR_VALUE_PARAM:
		break;
	}
	return false;
}
