/*
 * The first packet of a connection, and the `options` parameter in it. Called by worker/ for every
 * client, before anything is known about it.
 *
 * Nothing is copied: what is given out are strings inside the packet, so each must be seen to end
 * inside it before it is given out. pgr_startup_parse() does that for all of them; the iterator
 * relies on it.
 */
#include "proto/startup.h"

#include <string.h>
#include <strings.h>

#include "proto/wire.h"

#define CODE_CANCEL (1234u << 16 | 5678u)
#define CODE_SSL (1234u << 16 | 5679u)
#define CODE_GSS (1234u << 16 | 5680u)
#define FIXED 8u /* length word and code */

enum param_kind {
	PARAM_USER,
	PARAM_DATABASE,
	PARAM_OPTIONS,
	PARAM_REPLICATION,
	PARAM_PROTOCOL, /* _pq_.* */
	PARAM_SETTING,
};

static enum param_kind
param_kind(const char *name)
{
	if (strcmp(name, "user") == 0)
		return PARAM_USER;
	if (strcmp(name, "database") == 0)
		return PARAM_DATABASE;
	if (strcmp(name, "options") == 0)
		return PARAM_OPTIONS;
	if (strcmp(name, "replication") == 0)
		return PARAM_REPLICATION;
	return strncmp(name, "_pq_.", 5) == 0 ? PARAM_PROTOCOL : PARAM_SETTING;
}

enum pgr_rc
pgr_startup_size(const char *head, size_t max, size_t *ret_size, struct pgr_err *err)
{
	uint32_t size = pgr_get32(head);

	if (size < FIXED || size > max)
		return pgr_err_set(err, "08P01", "invalid length of startup packet");
	*ret_size = size;
	return PGR_OK;
}

static enum pgr_rc
parse_cancel(const char *packet, size_t size, struct pgr_startup *s, struct pgr_err *err)
{
	if (size < FIXED + 4 + 4 || size > FIXED + 4 + PGR_STARTUP_KEY_MOST)
		return pgr_err_set(err, "08P01", "invalid length of cancel request packet");
	s->kind = PGR_STARTUP_CANCEL;
	s->pid = pgr_get32(packet + FIXED);
	s->key = packet + FIXED + 4;
	s->key_len = size - FIXED - 4;
	return PGR_OK;
}

static enum pgr_rc
parse_encryption(enum pgr_startup_kind kind, size_t size, struct pgr_startup *s,
	struct pgr_err *err)
{
	if (size != FIXED)
		return pgr_err_set(err, "08P01", "invalid length of encryption request packet");
	s->kind = kind;
	return PGR_OK;
}

/* As PostgreSQL's parse_bool(): any prefix of true, false, yes and no; on, of(f), 1 and 0. */
static bool
parse_bool(const char *value, bool *ret)
{
	static const struct {
		const char *word;
		size_t least;
		bool is;
	} words[] = {
		{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
		{"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false},
	};
	size_t len = strlen(value);

	for (size_t i = 0; i < PGR_COUNT_OF(words); i++) {
		if (len >= words[i].least && strncasecmp(value, words[i].word, len) == 0) {
			*ret = words[i].is;
			return true;
		}
	}
	return false;
}

static enum pgr_rc
parse_replication(const char *value, struct pgr_startup *s, struct pgr_err *err)
{
	bool on;

	if (strcmp(value, "database") == 0) {
		s->replication = PGR_REPLICATION_LOGICAL;
		return PGR_OK;
	}
	if (!parse_bool(value, &on)) {
		pgr_err_set(err, "22023", "invalid value for parameter \"replication\": \"%s\"", value);
		return pgr_err_hint(err,
			"Valid values are: \"false\", 0, \"true\", 1, \"database\".");
	}
	s->replication = on ? PGR_REPLICATION_PHYSICAL : PGR_REPLICATION_NONE;
	return PGR_OK;
}

static enum pgr_rc
take_param(struct pgr_startup *s, const char *name, const char *value, struct pgr_err *err)
{
	switch (param_kind(name)) {
	case PARAM_USER:
		s->user = value;
		break;
	case PARAM_DATABASE:
		s->database = value;
		break;
	case PARAM_OPTIONS:
		s->options = value;
		break;
	case PARAM_REPLICATION:
		return parse_replication(value, s, err);
	case PARAM_PROTOCOL:
		s->n_protocol_options++;
		break;
	case PARAM_SETTING:
		s->n_settings++;
		break;
	}
	return PGR_OK;
}

/* Names of settings do not heed case. The number of pairs is bounded, and so is its square. */
static bool
seen_before(const char *pairs, const char *name)
{
	for (const char *p = pairs; p < name;) {
		if (strcasecmp(p, name) == 0)
			return true;
		p += strlen(p) + 1;
		p += strlen(p) + 1;
	}
	return false;
}

/* Who connects to what must not depend on the reader; of a setting the last value counts. */
static bool
says_who(const char *name)
{
	return strcasecmp(name, "user") == 0 || strcasecmp(name, "database") == 0 ||
		strcasecmp(name, "replication") == 0 || strcasecmp(name, "options") == 0;
}

/* One pair at p; returns what is behind it, or NULL when it does not end before end. */
static const char *
pair_end(const char *p, const char *end, const char **ret_value)
{
	ptrdiff_t name = pgr_wire_string(p, end);
	ptrdiff_t value;

	if (name < 0)
		return NULL;
	*ret_value = p + name + 1;
	value = pgr_wire_string(*ret_value, end);
	return value < 0 ? NULL : *ret_value + value + 1;
}

static enum pgr_rc
parse_pairs(const char *p, const char *end, struct pgr_startup *s, struct pgr_err *err)
{
	const char *value;
	const char *next;

	s->pairs = p;
	for (unsigned n = 0; p < end && *p != '\0'; n++, p = next) {
		next = pair_end(p, end, &value);
		if (next == NULL)
			break;
		if (n == PGR_STARTUP_PAIRS)
			return pgr_err_set(err, "08P01", "more than %u parameters in startup packet",
				PGR_STARTUP_PAIRS);
		if (says_who(p) && seen_before(s->pairs, p))
			return pgr_err_set(err, "08P01",
				"parameter \"%s\" is given twice in startup packet", p);
		if (take_param(s, p, value, err) != PGR_OK)
			return PGR_FAIL;
	}
	if (p + 1 != end || *p != '\0')
		return pgr_err_set(err, "08P01",
			"invalid startup packet layout: expected terminator as last byte");
	s->pairs_len = (size_t)(p - s->pairs);
	return PGR_OK;
}

bool
pgr_startup_is_cancel(const char *packet, size_t size)
{
	return size >= 8 && pgr_get32(packet + 4) == CODE_CANCEL;
}

static enum pgr_rc
parse_session(const char *packet, size_t size, struct pgr_startup *s, struct pgr_err *err)
{
	uint32_t version = pgr_get32(packet + 4);
	uint16_t minor = (uint16_t)version;

	if (version >> 16 != PGR_STARTUP_MAJOR)
		return pgr_err_set(err, "0A000",
			"unsupported frontend protocol %u.%u: server supports %u.0 to %u.%u",
			version >> 16, minor, PGR_STARTUP_MAJOR, PGR_STARTUP_MAJOR, PGR_STARTUP_MINOR);
	s->kind = PGR_STARTUP_SESSION;
	s->minor = (uint16_t)PGR_MIN(minor, PGR_STARTUP_MINOR);
	if (parse_pairs(packet + FIXED, packet + size, s, err) != PGR_OK)
		return PGR_FAIL;
	s->negotiate = minor > PGR_STARTUP_MINOR || s->n_protocol_options > 0;
	if (s->user == NULL || s->user[0] == '\0')
		return pgr_err_set(err, "28000",
			"no PostgreSQL user name specified in startup packet");
	if (s->database == NULL || s->database[0] == '\0')
		s->database = s->user;
	return PGR_OK;
}

static enum pgr_rc
parse_packet(const char *packet, size_t size, struct pgr_startup *s, struct pgr_err *err)
{
	if (size < FIXED)
		return pgr_err_set(err, "08P01", "invalid length of startup packet");
	switch (pgr_get32(packet + 4)) {
	case CODE_CANCEL:
		return parse_cancel(packet, size, s, err);
	case CODE_SSL:
		return parse_encryption(PGR_STARTUP_SSL, size, s, err);
	case CODE_GSS:
		return parse_encryption(PGR_STARTUP_GSS, size, s, err);
	default:
		return parse_session(packet, size, s, err);
	}
}

enum pgr_rc
pgr_startup_parse(const char *packet, size_t size, struct pgr_startup *ret, struct pgr_err *err)
{
	struct pgr_startup s = {0};

	if (parse_packet(packet, size, &s, err) != PGR_OK)
		return PGR_FAIL;
	*ret = s;
	return PGR_OK;
}

/* The next pair of one of two kinds: parameters that are settings, or _pq_. options. */
static bool
next_pair(const struct pgr_startup *s, size_t *pos, enum param_kind kind, const char **ret_name,
	const char **ret_value)
{
	while (*pos < s->pairs_len) {
		const char *name = s->pairs + *pos;
		const char *value = name + strlen(name) + 1;

		*pos += (size_t)(value - name) + strlen(value) + 1;
		if (param_kind(name) == kind) {
			*ret_name = name;
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool
pgr_startup_next(const struct pgr_startup *s, size_t *pos, const char **ret_name,
	const char **ret_value)
{
	return next_pair(s, pos, PARAM_SETTING, ret_name, ret_value);
}

void
pgr_startup_negotiate(const struct pgr_startup *s, struct pgr_out *out)
{
	size_t at = pgr_out_begin(out, PGR_MSG_NEGOTIATE);
	const char *name;
	const char *value;
	size_t pos = 0;

	/* the whole version, as PostgreSQL and libpq have it; the documentation says minor version */
	pgr_out_int32(out, PGR_STARTUP_MAJOR << 16 | s->minor);
	pgr_out_int32(out, s->n_protocol_options);
	while (next_pair(s, &pos, PARAM_PROTOCOL, &name, &value))
		pgr_out_string(out, name);
	pgr_out_end(out, at);
}

void
pgr_startup_options_init(struct pgr_startup_options *it, const char *options, char *scratch)
{
	it->rest = options;
	it->scratch = scratch;
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * The next word, or NULL. Written to scratch without its backslashes: with its NUL it takes at most
 * the bytes that it and the space behind it (or the end of options) took.
 */
static char *
next_word(struct pgr_startup_options *it)
{
	char *word = it->scratch;
	const char *p = it->rest;

	while (is_space(*p))
		p++;
	if (*p == '\0') {
		it->rest = p;
		return NULL;
	}
	for (; *p != '\0' && !is_space(*p); p++) {
		if (*p == '\\' && *++p == '\0')
			break;
		*it->scratch++ = *p;
	}
	it->rest = *p == '\0' ? p : p + 1;
	*it->scratch++ = '\0';
	return word;
}

/* name=value in place; dash: how it was introduced, for the error. */
static enum pgr_rc
split_setting(char *text, const char *dash, const char **ret_name, const char **ret_value,
	struct pgr_err *err)
{
	char *equals = strchr(text, '=');

	if (equals == NULL)
		return pgr_err_set(err, "42601", "%s%s requires a value", dash, text);
	*equals = '\0';
	for (char *p = text; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
	*ret_name = text;
	*ret_value = equals + 1;
	return PGR_OK;
}

enum pgr_rc
pgr_startup_options_next(struct pgr_startup_options *it, const char **ret_name,
	const char **ret_value, struct pgr_err *err)
{
	char *word = next_word(it);

	*ret_name = NULL;
	if (word == NULL)
		return PGR_OK;
	if (strcmp(word, "-c") == 0) {
		word = next_word(it);
		if (word == NULL)
			return pgr_err_set(err, "42601", "-c requires a value");
		return split_setting(word, "-c ", ret_name, ret_value, err);
	}
	if (strncmp(word, "-c", 2) == 0)
		return split_setting(word + 2, "-c ", ret_name, ret_value, err);
	if (strncmp(word, "--", 2) == 0 && word[2] != '\0')
		return split_setting(word + 2, "--", ret_name, ret_value, err);
	pgr_err_set(err, "0A000", "startup option \"%s\" is not supported", word);
	return pgr_err_hint(err, "In options, use -c name=value or --name=value.");
}
