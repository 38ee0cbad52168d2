/*
 * The parser of the control socket's requests. Called by stats_control.c for bytes of a peer whose
 * uid was checked; the bytes are foreign all the same. Unknown keys are refused, so that an option
 * of a newer pgroutectl is never silently ignored.
 */
#include "monitor/stats_request.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const verbs[] = {
#define X(name, text) text,
	PGR_REQUEST_VERBS(X)
#undef X
};

static const char *const shows[] = {
#define X(name, text) text,
	PGR_VIEWS(X)
#undef X
};

/* The index of word in names, or n. */
static size_t
find_word(const char *word, const char *const *names, size_t n)
{
	size_t i = 0;

	while (i < n && (word == NULL || strcmp(names[i], word) != 0))
		i++;
	return i;
}

/* Fills *err with the words that there are. word is the peer's: it is cut, and escaped later. */
static enum pgr_rc
unknown_word(
	struct pgr_err *err, const char *kind, const char *word, const char *const *names, size_t n)
{
	char list[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(list); i++)
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", names[i]);
	if (word == NULL)
		pgr_err_set(err, "22023", "%s is missing", kind);
	else
		pgr_err_set(err, "22023", "unknown %s \"%.60s\"", kind, word);
	return pgr_err_hint(err, "one of: %s", list);
}

static enum pgr_rc
check_keys(json_t *object, struct pgr_err *err)
{
	static const char *const keys[] = {"verb", "what", "mode"};
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (find_word(key, keys, PGR_COUNT_OF(keys)) == PGR_COUNT_OF(keys))
			return unknown_word(err, "key", key, keys, PGR_COUNT_OF(keys));
		if (!json_is_string(value))
			return pgr_err_set(err, "22023", "\"%s\" must be a string", key);
	}
	return PGR_OK;
}

/* what belongs to show, mode to stop. */
static enum pgr_rc
check_belongs(json_t *object, enum pgr_request_verb verb, struct pgr_err *err)
{
	if (verb != PGR_REQUEST_SHOW && json_object_get(object, "what") != NULL)
		return pgr_err_set(err, "22023", "\"what\" belongs to the verb show");
	if (verb != PGR_REQUEST_STOP && json_object_get(object, "mode") != NULL)
		return pgr_err_set(err, "22023", "\"mode\" belongs to the verb stop");
	return PGR_OK;
}

static enum pgr_rc
read_mode(const char *mode, bool *ret_fast, struct pgr_err *err)
{
	static const char *const modes[] = {"graceful", "fast"};
	size_t found = mode == NULL ? 0 : find_word(mode, modes, PGR_COUNT_OF(modes));

	if (found == PGR_COUNT_OF(modes))
		return unknown_word(err, "mode", mode, modes, PGR_COUNT_OF(modes));
	*ret_fast = found == 1;
	return PGR_OK;
}

static enum pgr_rc
read_object(json_t *object, struct pgr_request *ret, struct pgr_err *err)
{
	const char *verb = json_string_value(json_object_get(object, "verb"));
	const char *what = json_string_value(json_object_get(object, "what"));
	struct pgr_request request = {0};
	size_t found;

	if (check_keys(object, err) != PGR_OK)
		return PGR_FAIL;
	found = find_word(verb, verbs, PGR_COUNT_OF(verbs));
	if (found == PGR_COUNT_OF(verbs))
		return unknown_word(err, "verb", verb, verbs, PGR_COUNT_OF(verbs));
	request.verb = (enum pgr_request_verb)found;
	found = find_word(what, shows, PGR_COUNT_OF(shows));
	if (request.verb == PGR_REQUEST_SHOW && found == PGR_COUNT_OF(shows))
		return unknown_word(err, "view", what, shows, PGR_COUNT_OF(shows));
	request.what = (enum pgr_view)(found % PGR_COUNT_OF(shows));
	if (check_belongs(object, request.verb, err) != PGR_OK ||
		read_mode(json_string_value(json_object_get(object, "mode")), &request.fast, err) !=
			PGR_OK)
		return PGR_FAIL;
	*ret = request;
	return PGR_OK;
}

enum pgr_rc
pgr_stats_request_parse(const char *line, size_t len, struct pgr_request *ret, struct pgr_err *err)
{
	json_error_t problem;
	json_t *object;
	enum pgr_rc rc;

	*err = (struct pgr_err){0};
	object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(object)) {
		json_decref(object);
		pgr_err_set(err, "08P01", "the request is not a JSON object");
		return pgr_err_hint(err, "one object a line: {\"verb\": \"status\"}");
	}
	rc = read_object(object, ret, err);
	json_decref(object);
	return rc;
}
