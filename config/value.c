/*
 * Values of scalars, in the forms that the reference promises: durations and sizes need a unit
 * unless 0, so that nobody mistakes seconds for milliseconds. kB, MB and GB are powers of 1024, as
 * in postgresql.conf; KiB, MiB and GiB mean the same. Called by the loader and by what shows
 * settings; what parse accepts, format gives back.
 */
#include "config/value.h"

#include <string.h>

#include "proto/digest.h"
#include "proto/secret.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: format takes the first that divides. */
static const struct unit durations[] = {
	{"d", 86400 * PGR_USEC_PER_SEC},
	{"h", 3600 * PGR_USEC_PER_SEC},
	{"m", 60 * PGR_USEC_PER_SEC},
	{"s", PGR_USEC_PER_SEC},
	{"ms", PGR_USEC_PER_MSEC},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"GB", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	{"MB", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"kB", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"B", 1},
	{NULL, 0},
};

static const struct pgr_key_word booleans[] = {
	{"false", 0, NULL},
	{"true", 1, NULL},
	{"off", 0, NULL},
	{"on", 1, NULL},
	{"no", 0, NULL},
	{"yes", 1, NULL},
	{NULL, 0, NULL},
};

/* Digits at the start of text; false: none, or too many. */
static bool
take_number(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*ret = n;
	return true;
}

static bool
parse_plain_number(const char *text, uint64_t *ret, struct pgr_complaint *complaint)
{
	const char *p = text;

	if (take_number(&p, ret) && *p == '\0')
		return true;
	pgr_complaint_set(complaint, "\"%.60s\" is not a number", text);
	return false;
}

static void
complain_of_unit(const struct unit *units, const char *text, const char *rest,
	struct pgr_complaint *complaint)
{
	bool duration = units == durations;

	pgr_complaint_set(complaint, "\"%.60s\" is not a %s", text, duration ? "duration" : "size");
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strcasecmp(u->name, rest) == 0)
			return pgr_complaint_suggest(
				complaint, "units are case-sensitive: %s", u->name);
	pgr_complaint_suggest(complaint,
		duration ? "a number and one of ms, s, m, h, d"
			 : "a number and one of B, kB, MB, GB");
}

static bool
parse_with_unit(
	const struct unit *units, const char *text, uint64_t *ret, struct pgr_complaint *complaint)
{
	const char *p = text;
	uint64_t n;

	if (!take_number(&p, &n)) {
		complain_of_unit(units, text, "", complaint);
		return false;
	}
	if (*p == '\0' && n == 0) {
		*ret = 0;
		return true;
	}
	if (*p == '\0') {
		pgr_complaint_set(complaint, "\"%.60s\" has no unit", text);
		pgr_complaint_suggest(complaint, "add a unit: %.20s%s or %.20s%s", text,
			units == durations ? "ms" : "kB", text, units == durations ? "s" : "MB");
		return false;
	}
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strcmp(u->name, p) == 0 && !__builtin_mul_overflow(n, u->factor, ret))
			return true;
	complain_of_unit(units, text, p, complaint);
	return false;
}

static const struct pgr_key_word *
find_word(const struct pgr_key_word *words, const char *text)
{
	for (; words->name != NULL; words++)
		if (strcmp(words->name, text) == 0)
			return words;
	return NULL;
}

static void
list_words(const struct pgr_key_word *words, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; words->name != NULL; words++)
		if (words->later == NULL && n < size)
			n += (size_t)snprintf(
				buf + n, size - n, "%s%s", n > 0 ? ", " : "", words->name);
}

static bool
parse_word(const struct pgr_key_word *words, const char *text, uint64_t *ret,
	struct pgr_complaint *complaint)
{
	const struct pgr_key_word *word = find_word(words, text);
	struct pgr_guess guess;
	char list[160];

	if (word != NULL) {
		*ret = word->value;
		return true;
	}
	list_words(words, list, sizeof(list));
	pgr_complaint_set(complaint, "\"%.60s\" is none of %s", text, list);
	pgr_guess_init(&guess, text, strlen(text));
	for (; words->name != NULL; words++)
		pgr_guess_offer(&guess, words->name);
	if (guess.best != NULL)
		pgr_complaint_suggest(complaint, "did you mean \"%s\"?", guess.best);
	return false;
}

static bool
parse_unranged(
	const struct pgr_key *key, const char *text, uint64_t *ret, struct pgr_complaint *complaint)
{
	switch (key->type) {
	case PGR_KEY_BOOL:
		return parse_word(booleans, text, ret, complaint);
	case PGR_KEY_WORD:
		return parse_word(key->words, text, ret, complaint);
	case PGR_KEY_DURATION:
		return parse_with_unit(durations, text, ret, complaint);
	case PGR_KEY_SIZE:
		return parse_with_unit(sizes, text, ret, complaint);
	case PGR_KEY_INT:
		return parse_plain_number(text, ret, complaint);
	case PGR_KEY_GROUP:
	case PGR_KEY_TEXT:
	case PGR_KEY_TEXTS:
	case PGR_KEY_SECRET:
	case PGR_KEY_SECRETS:
	case PGR_KEY_SECRET_FILE:
	case PGR_KEY_FILE:
	case PGR_KEY_ADDRESS:
	case PGR_KEY_ADDRESSES:
	case PGR_KEY_INCLUDE:
	case PGR_KEY_DEFAULTS:
	case PGR_KEY_DATABASES:
	case PGR_KEY_USERS:
	case PGR_KEY_SERVERS:
	case PGR_KEY_ABSENT:
		break;
	}
	pgr_panic(__FILE__, __LINE__, "not the type of a single value");
}

static bool
in_range(const struct pgr_key *key, uint64_t value)
{
	if (key->type == PGR_KEY_BOOL || key->type == PGR_KEY_WORD)
		return true;
	if (value == 0 && (key->flags & PGR_KEY_ZERO_OFF) != 0)
		return true;
	return value >= key->min && value <= key->max;
}

bool
pgr_value_parse(
	const struct pgr_key *key, const char *text, uint64_t *ret, struct pgr_complaint *complaint)
{
	char least[32], most[32];
	uint64_t value = 0;

	if ((key->flags & PGR_KEY_AUTO) != 0 && strcmp(text, "auto") == 0) {
		*ret = 0;
		return true;
	}
	if (!parse_unranged(key, text, &value, complaint))
		return false;
	if (in_range(key, value)) {
		*ret = value;
		return true;
	}
	pgr_value_format(key, key->min, least, sizeof(least));
	pgr_value_format(key, key->max, most, sizeof(most));
	pgr_complaint_set(complaint, "\"%.60s\" is out of range: %s to %s%s", text,
		key->min == 0 ? "0" : least, most,
		(key->flags & PGR_KEY_ZERO_OFF) != 0 ? ", or 0 for off" : "");
	return false;
}

const char *
pgr_value_later(const struct pgr_key *key, const char *word)
{
	const struct pgr_key_word *found = key->words != NULL ? find_word(key->words, word) : NULL;

	return found != NULL ? found->later : NULL;
}

static void
format_unit(const struct unit *units, uint64_t value, char *buf, size_t size)
{
	while (value % units->factor != 0 && units[1].name != NULL)
		units++;
	if (value == 0)
		snprintf(buf, size, "0");
	else
		snprintf(buf, size, "%llu%s", (unsigned long long)(value / units->factor),
			units->name);
}

static void
format_word(const struct pgr_key_word *words, uint64_t value, char *buf, size_t size)
{
	while (words->name != NULL && words->value != value)
		words++;
	snprintf(buf, size, "%s", words->name != NULL ? words->name : "?");
}

void
pgr_value_format(const struct pgr_key *key, uint64_t value, char *buf, size_t size)
{
	if (key->type == PGR_KEY_BOOL)
		format_word(booleans, value, buf, size);
	else if (key->type == PGR_KEY_WORD)
		format_word(key->words, value, buf, size);
	else if (key->type == PGR_KEY_DURATION)
		format_unit(durations, value, buf, size);
	else if (key->type == PGR_KEY_SIZE)
		format_unit(sizes, value, buf, size);
	else if (value == 0 && (key->flags & PGR_KEY_AUTO) != 0)
		snprintf(buf, size, "auto");
	else
		snprintf(buf, size, "%llu", (unsigned long long)value);
}

/* A port at the end of text, behind the last colon. */
static bool
parse_port(const char *text, uint16_t *ret)
{
	uint64_t n;

	if (!take_number(&text, &n) || *text != '\0' || n < 1 || n > 65535)
		return false;
	*ret = (uint16_t)n;
	return true;
}

static bool
parse_directory(const char *text, struct pgr_value_address *ret)
{
	const char *colon = strrchr(text, ':');

	ret->is_unix = true;
	ret->host = text;
	ret->host_len = strlen(text);
	ret->port = 0;
	if (colon != NULL && parse_port(colon + 1, &ret->port))
		ret->host_len = (size_t)(colon - text);
	return true;
}

static bool
refuse_address(const char *text, const char *why, struct pgr_complaint *complaint)
{
	pgr_complaint_set(complaint, "\"%.100s\" is not an address: %s", text, why);
	pgr_complaint_suggest(complaint, "host:port, [v6]:port or /directory");
	return false;
}

bool
pgr_value_address(const char *text, struct pgr_value_address *ret, struct pgr_complaint *complaint)
{
	const char *colon = strrchr(text, ':');
	struct pgr_value_address found = {.host = text};

	if (text[0] == '/') {
		if (strlen(text) > 100)
			return refuse_address(text, "the path is too long for a socket", complaint);
		return parse_directory(text, ret);
	}
	if (colon == NULL)
		return refuse_address(text, "no port", complaint);
	if (!parse_port(colon + 1, &found.port))
		return refuse_address(text, "the port is not a number from 1 to 65535", complaint);
	found.host_len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (found.host_len < 3 || colon[-1] != ']')
			return refuse_address(
				text, "no closing bracket before the port", complaint);
		found.host = text + 1;
		found.host_len -= 2;
	} else if (memchr(text, ':', found.host_len) != NULL) {
		return refuse_address(text, "an IPv6 address stands in brackets", complaint);
	}
	if (found.host_len == 0 || found.host_len > 255)
		return refuse_address(text, "no host, or a host that is too long", complaint);
	if (strspn(found.host, "*") == found.host_len)
		return refuse_address(text, "all addresses are 0.0.0.0 or [::]", complaint);
	*ret = found;
	return true;
}

bool
pgr_value_secret(
	const char *text, enum pgr_config_secret_kind *ret, struct pgr_complaint *complaint)
{
	struct pgr_secret secret;
	struct pgr_err err;

	if (pgr_secret_parse(text, &secret, &err) != PGR_OK) {
		pgr_complaint_set(complaint, "%s", err.message);
		pgr_complaint_suggest(complaint, "%s", err.hint);
		return false;
	}
	switch (secret.kind) {
	case PGR_SECRET_CLEAR:
		*ret = PGR_CONFIG_SECRET_CLEAR;
		break;
	case PGR_SECRET_MD5:
		*ret = PGR_CONFIG_SECRET_MD5;
		break;
	case PGR_SECRET_SCRAM:
		*ret = PGR_CONFIG_SECRET_SCRAM;
		break;
	}
	pgr_digest_wipe(&secret, sizeof(secret));
	return true;
}

bool
pgr_value_scram_alike(const char *a, const char *b)
{
	struct pgr_secret x, y;
	struct pgr_err err;
	bool alike;

	if (pgr_secret_parse(a, &x, &err) != PGR_OK || pgr_secret_parse(b, &y, &err) != PGR_OK)
		return false;
	alike = pgr_scram_same_salt(&x.keys, &y.keys);
	pgr_digest_wipe(&x, sizeof(x));
	pgr_digest_wipe(&y, sizeof(y));
	return alike;
}
