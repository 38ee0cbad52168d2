/*
 * The parser of console commands. Words are looked up without regard to case; names of databases are
 * taken as they stand, quoted or not, as PgBouncer does. One command a text. Called by console.c.
 */
#include "worker/verb.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORDS_MOST 4 /* of a command; more are an error anyway */

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_QUOTED, /* a word that is no keyword */
	TOKEN_SEMICOLON,
	TOKEN_OTHER,
	TOKEN_OPEN, /* a quote or comment without its end */
};

struct token {
	enum token_kind kind;
	size_t len;
	char text[PGR_NAME_MAX]; /* cut to 63 bytes, as PostgreSQL cuts names */
};

struct scanner {
	const char *at;
	const char *end;
};

struct words {
	unsigned n;
	struct token word[WORDS_MOST];
};

const char pgr_verb_help[] =
	"SHOW HELP | POOLS | CLIENTS | SERVERS | STATS | STATS_TOTALS | STATS_AVERAGES | TOTALS\n"
	"SHOW DATABASES | USERS | LISTS | CONFIG | STATE | VERSION | PINS\n"
	"RELOAD\n"
	"PAUSE [database]\n"
	"RESUME [database]\n"
	"KILL database\n"
	"RECONNECT [database]\n"
	"SHUTDOWN [WAIT_FOR_CLIENTS | WAIT_FOR_SERVERS]";

/* Drivers set and ask for these; here they never change. */
static const char *const settings[][2] = {
	{"client_encoding", "UTF8"},
	{"standard_conforming_strings", "on"},
	{"datestyle", "ISO, MDY"},
	{"timezone", "GMT"},
	{"extra_float_digits", "1"},
	{"default_transaction_isolation", "read committed"},
	{"transaction_isolation", "read committed"},
	{"application_name", ""},
	{"statement_timeout", "0"},
	{"search_path", "pg_catalog"},
	{"server_version", "1.25.0/pgroute"},
};

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* What a name may go on with; "--" begins a comment all the same. */
static bool
goes_on(const struct scanner *s)
{
	char c = *s->at;

	if (c == '-')
		return s->at + 1 >= s->end || s->at[1] != '-';
	return is_letter(c) || (c >= '0' && c <= '9') || c == '$' || c == '.' || c == '@';
}

static bool
starts(const struct scanner *s, const char *two)
{
	return s->end - s->at >= 2 && memcmp(s->at, two, 2) == 0;
}

/* Behind a comment with those that it contains. False: it has no end. */
static bool
skip_block(struct scanner *s)
{
	unsigned depth = 0;

	do {
		if (starts(s, "/*")) {
			depth++;
			s->at += 2;
		} else if (starts(s, "*/")) {
			depth--;
			s->at += 2;
		} else if (s->at < s->end) {
			s->at++;
		}
	} while (depth > 0 && s->at < s->end);
	return depth == 0;
}

static bool
skip_blanks(struct scanner *s)
{
	while (s->at < s->end) {
		if (is_space(*s->at)) {
			s->at++;
		} else if (starts(s, "--")) {
			while (s->at < s->end && *s->at != '\n' && *s->at != '\r')
				s->at++;
		} else if (!starts(s, "/*")) {
			return true;
		} else if (!skip_block(s)) {
			return false;
		}
	}
	return true;
}

static void
add(struct token *token, char c)
{
	if (token->len < sizeof(token->text) - 1)
		token->text[token->len++] = c;
}

static void
quoted(struct scanner *s, struct token *token)
{
	char quote = *s->at++;

	token->kind = TOKEN_OPEN;
	while (s->at < s->end) {
		char c = *s->at++;

		if (c == quote && (s->at >= s->end || *s->at != quote)) {
			token->kind = TOKEN_QUOTED;
			return;
		}
		if (c == quote)
			s->at++;
		add(token, c);
	}
}

static void
next(struct scanner *s, struct token *token)
{
	*token = (struct token){.kind = TOKEN_END};
	if (!skip_blanks(s)) {
		token->kind = TOKEN_OPEN;
	} else if (s->at >= s->end) {
		return;
	} else if (*s->at == '"' || *s->at == '\'') {
		quoted(s, token);
	} else if (is_letter(*s->at)) {
		token->kind = TOKEN_WORD;
		while (s->at < s->end && goes_on(s))
			add(token, *s->at++);
	} else {
		token->kind = *s->at == ';' ? TOKEN_SEMICOLON : TOKEN_OTHER;
		add(token, *s->at++);
	}
}

static enum pgr_rc
syntax(struct pgr_err *err, const char *what, const char *where)
{
	pgr_err_set(err, "42601", "%s%s%.60s%s", what, where[0] != '\0' ? " \"" : "", where,
		where[0] != '\0' ? "\"" : "");
	return pgr_err_hint(err, "SHOW HELP tells what the console understands.");
}

/* The words of the one command in the text, without its semicolons. */
static enum pgr_rc
split(struct scanner *s, struct words *words, struct pgr_err *err)
{
	bool over = false;
	struct token token;

	words->n = 0;
	for (next(s, &token); token.kind != TOKEN_END; next(s, &token)) {
		if (token.kind == TOKEN_OPEN)
			return syntax(err, "unterminated quote or comment", "");
		if (token.kind == TOKEN_SEMICOLON) {
			over = over || words->n > 0;
			continue;
		}
		if (over)
			return syntax(err, "only one command at a time: syntax error at", token.text);
		if (token.kind == TOKEN_OTHER || words->n == WORDS_MOST)
			return syntax(err, "syntax error at", token.text);
		words->word[words->n++] = token;
	}
	return PGR_OK;
}

static bool
is(const struct token *word, const char *keyword)
{
	return word->kind == TOKEN_WORD && strcasecmp(word->text, keyword) == 0;
}

static const char *const *
find_setting(const struct token *word)
{
	for (size_t i = 0; i < PGR_COUNT_OF(settings); i++)
		if (strcasecmp(settings[i][0], word->text) == 0)
			return settings[i];
	return NULL;
}

/*
 * SET name = anything, SET SESSION name TO anything: the value is of no interest, and it may hold what
 * other commands may not.
 */
static enum pgr_rc
parse_set(struct scanner *s, struct pgr_verb *ret, struct pgr_err *err)
{
	struct token token;

	ret->kind = PGR_VERB_SET;
	next(s, &token);
	if (is(&token, "session") || is(&token, "local"))
		next(s, &token);
	if (token.kind != TOKEN_WORD && token.kind != TOKEN_QUOTED)
		return syntax(err, "syntax error at", token.kind == TOKEN_OTHER ? token.text : "SET");
	if (find_setting(&token) != NULL)
		return PGR_OK;
	pgr_err_set(err, "0A000", "\"%s\" cannot be set here", token.text);
	return pgr_err_hint(err, "Change the configuration file and say RELOAD.");
}

static enum pgr_rc
parse_show(const struct words *words, struct pgr_verb *ret, struct pgr_err *err)
{
	static const char *const views[] = {
#define X(name, text) text,
		PGR_VIEWS(X)
#undef X
	};
	const char *const *setting;

	if (words->n != 2)
		return syntax(err, words->n < 2 ? "SHOW needs to be told what" : "syntax error at",
			words->n < 2 ? "" : words->word[2].text);
	if (strcasecmp(words->word[1].text, "help") == 0) {
		ret->show = PGR_VERB_SHOW_HELP;
		return PGR_OK;
	}
	for (size_t i = 0; i < PGR_COUNT_OF(views); i++) {
		ret->view = (enum pgr_view)i;
		if (strcasecmp(words->word[1].text, views[i]) == 0)
			return PGR_OK;
	}
	setting = find_setting(&words->word[1]);
	if (setting == NULL) {
		pgr_err_set(err, "42704", "there is nothing called \"%s\" to show", words->word[1].text);
		return pgr_err_hint(err, "SHOW HELP tells what there is.");
	}
	ret->show = PGR_VERB_SHOW_SETTING;
	ret->setting = setting[0];
	ret->value = setting[1];
	return PGR_OK;
}

static enum pgr_rc
parse_database(const struct words *words, struct pgr_verb *ret, struct pgr_err *err)
{
	if (words->n > 2)
		return syntax(err, "syntax error at", words->word[2].text);
	if (words->n < 2)
		return ret->kind == PGR_VERB_KILL ? syntax(err, "KILL needs the name of a database", "")
						  : PGR_OK;
	if (words->word[1].len == 0)
		return syntax(err, "the name of a database is empty", "");
	memcpy(ret->database, words->word[1].text, sizeof(ret->database));
	return PGR_OK;
}

static enum pgr_rc
parse_shutdown(const struct words *words, struct pgr_verb *ret, struct pgr_err *err)
{
	if (words->n == 1)
		return PGR_OK;
	ret->graceful = true;
	if (words->n == 2 &&
		(is(&words->word[1], "wait_for_clients") || is(&words->word[1], "wait_for_servers")))
		return PGR_OK;
	return syntax(err, "syntax error at", words->word[1].text);
}

/* DEALLOCATE [PREPARE] name, DEALLOCATE ALL, DISCARD ALL: what drivers clean up with. */
static enum pgr_rc
parse_forget(const struct words *words, struct pgr_verb *ret, struct pgr_err *err)
{
	unsigned at = words->n > 1 && is(&words->word[1], "prepare") ? 2 : 1;

	if (words->n != at + 1 || (ret->kind == PGR_VERB_DISCARD && !is(&words->word[1], "all")))
		return syntax(err, "syntax error at", words->word[words->n - 1].text);
	if (!is(&words->word[at], "all"))
		memcpy(ret->statement, words->word[at].text, sizeof(ret->statement));
	return PGR_OK;
}

/* Those that PgBouncer has and we have not. */
static enum pgr_rc
not_ours(const struct token *word, struct pgr_err *err)
{
	static const char *const others[] = {
		"suspend", "disable", "enable", "wait_close", "kill_client"};

	for (size_t i = 0; i < PGR_COUNT_OF(others); i++)
		if (is(word, others[i])) {
			pgr_err_set(err, "0A000", "%s is not supported", word->text);
			return pgr_err_hint(err, "SHOW HELP tells what the console understands.");
		}
	return syntax(err, "unknown command", word->text);
}

static enum pgr_rc
parse_words(const struct words *words, struct pgr_verb *ret, struct pgr_err *err)
{
	static const struct {
		const char *word;
		enum pgr_verb_kind kind;
	} verbs[] = {
#define X(name, text) {text, PGR_VERB_##name},
		PGR_VERBS(X)
#undef X
		{"START", PGR_VERB_BEGIN}, {"END", PGR_VERB_COMMIT}, {"ABORT", PGR_VERB_ROLLBACK},
		{"DISCARD", PGR_VERB_DISCARD},
	};
	size_t i = 0;

	while (i < PGR_COUNT_OF(verbs) && !is(&words->word[0], verbs[i].word))
		i++;
	if (i == PGR_COUNT_OF(verbs))
		return not_ours(&words->word[0], err);
	ret->kind = verbs[i].kind;
	switch (ret->kind) {
	case PGR_VERB_SHOW:
		return parse_show(words, ret, err);
	case PGR_VERB_PAUSE:
	case PGR_VERB_RESUME:
	case PGR_VERB_KILL:
	case PGR_VERB_RECONNECT:
		return parse_database(words, ret, err);
	case PGR_VERB_SHUTDOWN:
		return parse_shutdown(words, ret, err);
	case PGR_VERB_RELOAD:
		return words->n == 1 ? PGR_OK : syntax(err, "syntax error at", words->word[1].text);
	case PGR_VERB_DEALLOCATE:
	case PGR_VERB_DISCARD:
		return parse_forget(words, ret, err);
	case PGR_VERB_BEGIN: /* with whatever modes */
	case PGR_VERB_COMMIT:
	case PGR_VERB_ROLLBACK:
	case PGR_VERB_EMPTY:
	case PGR_VERB_SET:
		break;
	}
	return PGR_OK;
}

enum pgr_rc
pgr_verb_parse(const char *text, size_t len, struct pgr_verb *ret, struct pgr_err *err)
{
	struct scanner scanner = {.at = text, .end = text + len};
	struct words words;
	struct token first;

	*ret = (struct pgr_verb){.kind = PGR_VERB_EMPTY};
	next(&scanner, &first);
	if (is(&first, "set"))
		return parse_set(&scanner, ret, err);
	scanner.at = text;
	if (split(&scanner, &words, err) != PGR_OK)
		return PGR_FAIL;
	return words.n == 0 ? PGR_OK : parse_words(&words, ret, err);
}

const char *
pgr_verb_tag(enum pgr_verb_kind kind)
{
	static const char *const tags[] = {
#define X(name, text) text,
		PGR_VERBS(X)
#undef X
	};

	return tags[kind];
}

bool
pgr_verb_looks(enum pgr_verb_kind kind)
{
	switch (kind) {
	case PGR_VERB_RELOAD:
	case PGR_VERB_PAUSE:
	case PGR_VERB_RESUME:
	case PGR_VERB_KILL:
	case PGR_VERB_RECONNECT:
	case PGR_VERB_SHUTDOWN:
		return false;
	case PGR_VERB_EMPTY:
	case PGR_VERB_SHOW:
	case PGR_VERB_SET:
	case PGR_VERB_BEGIN:
	case PGR_VERB_COMMIT:
	case PGR_VERB_ROLLBACK:
	case PGR_VERB_DEALLOCATE:
	case PGR_VERB_DISCARD:
		break;
	}
	return true;
}
