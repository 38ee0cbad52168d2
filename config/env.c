/*
 * Replaces environment variables in scalars after YAML has been read, so that a value can never
 * become structure. Called by tree.c for every scalar, keys included.
 */
#include "config/env.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 128

struct expansion {
	char *out;
	size_t len;
	size_t cap;
};

/* One variable: where its name and default stand in the text. */
struct reference {
	char name[NAME_MAX_LEN + 1];
	const char *fallback; /* NULL: none */
	size_t fallback_len;
	const char *end; /* behind the brace */
};

static bool
append(struct expansion *to, const char *text, size_t len, struct pgr_complaint *complaint)
{
	if (len > to->cap - to->len) {
		pgr_complaint_set(complaint, "the text is too long once variables are replaced");
		return false;
	}
	memcpy(to->out + to->len, text, len);
	to->len += len;
	return true;
}

static size_t
name_len(const char *p, const char *end)
{
	size_t n = 0;

	while (p + n < end &&
		(p[n] == '_' || (p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= 'a' && p[n] <= 'z') ||
			(n > 0 && p[n] >= '0' && p[n] <= '9')))
		n++;
	return n;
}

/* p: behind `${`. */
static bool
parse_reference(
	const char *p, const char *end, struct reference *ret, struct pgr_complaint *complaint)
{
	size_t n = name_len(p, end);
	const char *brace = memchr(p, '}', (size_t)(end - p));

	if (n == 0 || n > NAME_MAX_LEN || brace == NULL) {
		pgr_complaint_set(
			complaint, "\"${\" is not followed by the name of a variable and \"}\"");
		pgr_complaint_suggest(complaint, "write $${ for the characters themselves");
		return false;
	}
	memcpy(ret->name, p, n);
	ret->name[n] = '\0';
	ret->fallback = NULL;
	ret->fallback_len = 0;
	ret->end = brace + 1;
	if (p + n == brace)
		return true;
	if (brace - (p + n) < 2 || p[n] != ':' || p[n + 1] != '-') {
		pgr_complaint_set(complaint, "a variable is written ${NAME} or ${NAME:-default}");
		return false;
	}
	ret->fallback = p + n + 2;
	ret->fallback_len = (size_t)(brace - ret->fallback);
	return true;
}

static bool
append_variable(struct expansion *to, const struct reference *ref, struct pgr_complaint *complaint)
{
	const char *value = getenv(ref->name);

	if (ref->fallback != NULL && (value == NULL || value[0] == '\0'))
		return append(to, ref->fallback, ref->fallback_len, complaint);
	if (value != NULL)
		return append(to, value, strlen(value), complaint);
	pgr_complaint_set(complaint, "the environment variable %s is not set", ref->name);
	pgr_complaint_suggest(complaint, "${%s:-default} gives it a default", ref->name);
	return false;
}

static bool
expand_into(struct expansion *to, const char *p, const char *end, bool *ret_changed,
	struct pgr_complaint *complaint)
{
	struct reference ref;

	while (p < end) {
		if (end - p >= 3 && memcmp(p, "$${", 3) == 0) {
			if (!append(to, "${", 2, complaint))
				return false;
			p += 3;
		} else if (end - p >= 2 && memcmp(p, "${", 2) == 0) {
			if (!parse_reference(p + 2, end, &ref, complaint) ||
				!append_variable(to, &ref, complaint))
				return false;
			p = ref.end;
			*ret_changed = true;
		} else if (!append(to, p++, 1, complaint)) {
			return false;
		}
	}
	return true;
}

bool
pgr_env_expand(struct pgr_arena *arena, const char *text, size_t len, char **ret_text,
	size_t *ret_len, bool *ret_changed, struct pgr_complaint *complaint)
{
	bool any = memmem(text, len, "${", 2) != NULL;
	struct expansion to = {.cap = any ? PGR_MAX(len, (size_t)PGR_ENV_EXPANDED_MAX) : len};
	bool changed = false;
	bool ok = true;

	to.out = malloc(to.cap + 1);
	if (to.out == NULL) {
		pgr_complaint_set(complaint, "out of memory");
		return false;
	}
	if (any)
		ok = expand_into(&to, text, text + len, &changed, complaint);
	else
		ok = append(&to, text, len, complaint);
	if (ok) {
		*ret_text = pgr_arena_strndup(arena, to.out, to.len);
		*ret_len = to.len;
		*ret_changed = changed;
		ok = *ret_text != NULL;
		if (!ok)
			pgr_complaint_set(complaint, "the configuration is too large");
	}
	explicit_bzero(to.out, to.cap);
	free(to.out);
	return ok;
}
