/*
 * Settings as SQL. Called by worker/ when the next client of a server connection has other settings
 * than the last one.
 *
 * The values are those of a client, and the text is run with the rights of whoever the server
 * connection is logged in as: nothing in a value may end its literal. See the header for why
 * neither backslashes nor bytes beyond ASCII are ever written.
 */
#include "proto/params.h"

#include <string.h>
#include <strings.h>

#define PART_MOST 63       /* characters of an identifier */
#define SETS_PER_SELECT 500 /* a select list has an end, at 1664 */

static bool
is_name_char(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '$');
}

/* The length of the identifier at p; 0: none, or too long. */
static size_t
part_len(const char *p)
{
	size_t n = 0;

	while (is_name_char(p[n], n == 0))
		n++;
	return n <= PART_MOST ? n : 0;
}

enum pgr_rc
pgr_params_check_name(const char *name, struct pgr_err *err)
{
	for (const char *p = name;; p++) {
		size_t n = part_len(p);

		if (n > 0 && p[n] == '\0')
			return PGR_OK;
		if (n == 0 || p[n] != '.')
			break;
		p += n;
	}
	if (strchr(name, '.') == NULL)
		return pgr_err_set(err, "42704", "unrecognized configuration parameter \"%s\"", name);
	pgr_err_set(err, "42602", "invalid configuration parameter name \"%s\"", name);
	return pgr_err_hint(err,
		"Custom parameter names must be two or more simple identifiers separated by dots.");
}

static bool
is_plain(const char *value)
{
	for (; *value != '\0'; value++)
		if (*value < 0x20 || *value > 0x7e || *value == '\\')
			return false;
	return true;
}

static void
quote_plain(struct pgr_out *out, const char *value)
{
	pgr_out_byte(out, '\'');
	for (; *value != '\0'; value++) {
		if (*value == '\'')
			pgr_out_byte(out, '\'');
		pgr_out_byte(out, *value);
	}
	pgr_out_byte(out, '\'');
}

static void
quote_hex(struct pgr_out *out, const char *value)
{
	static const char digits[] = "0123456789abcdef";

	pgr_out_text(out, "pg_catalog.convert_from(pg_catalog.decode('");
	for (; *value != '\0'; value++) {
		pgr_out_byte(out, digits[(unsigned char)*value >> 4]);
		pgr_out_byte(out, digits[(unsigned char)*value & 15]);
	}
	pgr_out_text(out, "','hex'),pg_catalog.pg_client_encoding())");
}

void
pgr_params_quote(struct pgr_out *out, const char *value)
{
	if (is_plain(value))
		quote_plain(out, value);
	else
		quote_hex(out, value);
}

void
pgr_params_quote_name(struct pgr_out *out, const char *name)
{
	pgr_out_byte(out, '"');
	for (; *name != '\0'; name++) {
		if (*name == '.')
			pgr_out_text(out, "\".\"");
		else
			pgr_out_byte(out, *name);
	}
	pgr_out_byte(out, '"');
}

/* Settings that change often and that no version takes as a list of identifiers. */
static bool
is_scalar(const char *name)
{
	static const char *const scalars[] = {"application_name", "client_encoding", "DateStyle",
		"IntervalStyle", "TimeZone", "extra_float_digits", "standard_conforming_strings",
		"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "work_mem",
		"default_transaction_isolation", "default_transaction_read_only"};

	for (size_t i = 0; i < PGR_COUNT_OF(scalars); i++)
		if (strcasecmp(name, scalars[i]) == 0)
			return true;
	return false;
}

static bool
goes_by_set(const struct pgr_param *set)
{
	return is_scalar(set->name) && is_plain(set->value);
}

static void
begin_statement(struct pgr_out *out, size_t start, const char *word)
{
	if (out->len > start)
		pgr_out_byte(out, ';');
	pgr_out_text(out, word);
}

static void
write_set(struct pgr_out *out, size_t start, const struct pgr_param *set)
{
	begin_statement(out, start, "SET ");
	pgr_params_quote_name(out, set->name);
	pgr_out_text(out, " = ");
	pgr_params_quote(out, set->value);
}

static void
write_set_config(struct pgr_out *out, size_t start, const struct pgr_param *set, size_t nth)
{
	if (nth % SETS_PER_SELECT == 0)
		begin_statement(out, start, "SELECT ");
	else
		pgr_out_byte(out, ',');
	pgr_out_text(out, "pg_catalog.set_config('");
	pgr_out_text(out, set->name);
	pgr_out_text(out, "',");
	pgr_params_quote(out, set->value);
	pgr_out_text(out, ",false)");
}

void
pgr_params_apply(struct pgr_out *out, const struct pgr_param *sets, size_t n_sets,
	const char *const *resets, size_t n_resets)
{
	size_t start = out->len;
	size_t nth = 0;

	/* what goes by SET comes first, since client_encoding does: an encoding's name is plain */
	for (size_t i = 0; i < n_sets; i++)
		if (goes_by_set(&sets[i]))
			write_set(out, start, &sets[i]);
	for (size_t i = 0; i < n_sets; i++)
		if (!goes_by_set(&sets[i]))
			write_set_config(out, start, &sets[i], nth++);
	for (size_t i = 0; i < n_resets; i++) {
		begin_statement(out, start, "RESET ");
		pgr_params_quote_name(out, resets[i]);
	}
}

/* Of params, either client_encoding alone or all others. */
static void
write_restore(struct pgr_out *out, size_t start, const struct pgr_param *params, size_t n, bool encoding)
{
	size_t written = 0;

	for (size_t i = 0; i < n; i++) {
		if ((strcmp(params[i].name, "client_encoding") == 0) != encoding)
			continue;
		if (written++ == 0)
			begin_statement(out, start,
				"SELECT pg_catalog.set_config(p.n,p.v,false) FROM (VALUES");
		else
			pgr_out_byte(out, ',');
		pgr_out_text(out, "('");
		pgr_out_text(out, params[i].name);
		pgr_out_text(out, "',");
		pgr_params_quote(out, params[i].value);
		pgr_out_byte(out, ')');
	}
	/* operators by their schema: the session may have put others in front */
	if (written > 0)
		pgr_out_text(out, ")p(n,v) LEFT JOIN pg_catalog.pg_settings s "
			"ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) p.n "
			"WHERE CASE WHEN s.name IS NULL THEN "
			"COALESCE(pg_catalog.current_setting(p.n,true),'') OPERATOR(pg_catalog.=) "
			"ANY(ARRAY['','none']) ELSE s.source OPERATOR(pg_catalog.<>) 'session' END");
}

void
pgr_params_restore(struct pgr_out *out, const struct pgr_param *params, size_t n)
{
	size_t start = out->len;

	write_restore(out, start, params, n, true);
	write_restore(out, start, params, n, false);
}
