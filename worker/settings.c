/*
 * Sets of settings, interned: a client holds a pointer, a server connection holds the text and its
 * hash in shared memory, and the way of a query compares two numbers. Called at login, by back.c for
 * each ParameterStatus, and by lease.c where the numbers differ.
 */
#include "worker/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "proto/params.h"

#define BUCKETS 1024

static struct {
	struct pgr_hash_key key;
	struct pgr_settings *bucket[BUCKETS];
} interned;

static struct pgr_settings empty = {.refs = 1};

/* Reported by servers, but not a session's to set. */
static const char *const reported_only[] = {"is_superuser", "session_authorization", "server_version",
	"server_encoding", "integer_datetimes", "in_hot_standby", "scram_iterations"};

void
pgr_settings_init(const struct pgr_hash_key *key)
{
	interned.key = *key;
}

struct pgr_settings *
pgr_settings_empty(void)
{
	return pgr_settings_ref(&empty);
}

struct pgr_settings *
pgr_settings_ref(struct pgr_settings *s)
{
	s->refs++;
	return s;
}

void
pgr_settings_unref(struct pgr_settings *s)
{
	struct pgr_settings **link;

	if (s == NULL || --s->refs > 0 || s == &empty)
		return;
	for (link = &interned.bucket[s->hash % BUCKETS]; *link != s; link = &(*link)->next)
		PGR_ASSERT(*link != NULL);
	*link = s->next;
	free(s);
}

static struct pgr_settings *
settings_intern(const char *text, size_t len)
{
	uint64_t hash = len == 0 ? 0 : pgr_hash64(&interned.key, text, len) | 1;
	struct pgr_settings *s;

	if (len == 0)
		return pgr_settings_empty();
	for (s = interned.bucket[hash % BUCKETS]; s != NULL; s = s->next)
		if (s->hash == hash)
			return pgr_settings_ref(s);
	s = malloc(sizeof(*s) + len);
	if (s == NULL)
		return NULL;
	*s = (struct pgr_settings){.refs = 1, .len = (uint32_t)len, .hash = hash};
	memcpy(s->text, text, len);
	s->next = interned.bucket[hash % BUCKETS];
	interned.bucket[hash % BUCKETS] = s;
	return s;
}

bool
pgr_settings_next(
	const char *text, size_t len, size_t *pos, const char **ret_name, const char **ret_value)
{
	const char *name = text + *pos;
	size_t name_len;
	size_t value_len;

	if (*pos >= len)
		return false;
	name_len = strnlen(name, len - *pos);
	if (*pos + name_len + 1 >= len)
		return false;
	value_len = strnlen(name + name_len + 1, len - *pos - name_len - 1);
	if (*pos + name_len + 1 + value_len >= len)
		return false; /* unterminated: from shared memory, so not ours to trust */
	*ret_name = name;
	*ret_value = name + name_len + 1;
	*pos += name_len + value_len + 2;
	return true;
}

const char *
pgr_settings_get(const char *text, size_t len, const char *name)
{
	const char *n;
	const char *v;
	size_t pos = 0;

	while (pgr_settings_next(text, len, &pos, &n, &v))
		if (strcmp(n, name) == 0)
			return v;
	return NULL;
}

static void
out_pair(struct pgr_out *out, const char *name, const char *value)
{
	pgr_out_string(out, name);
	pgr_out_string(out, value);
}

enum pgr_rc
pgr_settings_with(struct pgr_settings *s, const char *name, const char *value,
	struct pgr_settings **ret, struct pgr_err *err)
{
	char text[PGR_SETTINGS_BYTES];
	char lower[128];
	struct pgr_settings *made;
	struct pgr_out out;
	bool placed = false;
	const char *n;
	const char *v;
	size_t pos = 0;
	size_t i;

	for (i = 0; name[i] != '\0' && i < sizeof(lower) - 1; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	lower[i] = '\0';
	pgr_out_init(&out, text, sizeof(text));
	while (pgr_settings_next(s->text, s->len, &pos, &n, &v)) {
		int order = strcmp(n, lower);

		if (order >= 0 && !placed) {
			out_pair(&out, lower, value);
			placed = true;
		}
		if (order != 0)
			out_pair(&out, n, v);
	}
	if (!placed)
		out_pair(&out, lower, value);
	if (out.full)
		return pgr_err_set(err, "54000", "the settings of this session take more than %d bytes",
			PGR_SETTINGS_BYTES);
	made = settings_intern(text, out.len);
	if (made == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	pgr_settings_unref(s);
	*ret = made;
	return PGR_OK;
}

#define DIFFERENCE_MOST 256

#define UNKNOWN UINT64_MAX

void
pgr_settings_unknown(struct pgr_slot *slot)
{
	atomic_store_explicit(&slot->settings, UNKNOWN, memory_order_relaxed);
}

bool
pgr_settings_difference(struct pgr_slot *slot, const struct pgr_slot_cold *cold,
	const struct pgr_settings *s, struct pgr_out *out)
{
	bool unknown = atomic_load_explicit(&slot->settings, memory_order_relaxed) == UNKNOWN;
	size_t have = unknown ? 0 : PGR_MIN(cold->settings_len, (uint32_t)PGR_SETTINGS_BYTES);
	struct pgr_param set[DIFFERENCE_MOST];
	const char *reset[DIFFERENCE_MOST];
	size_t sets = 0;
	size_t resets = 0;
	const char *name;
	const char *value;
	size_t pos = 0;

	if (unknown)
		pgr_out_text(out, "RESET ALL;");
	while (pgr_settings_next(s->text, s->len, &pos, &name, &value) && sets < DIFFERENCE_MOST) {
		const char *old = pgr_settings_get(cold->settings, have, name);

		if (old == NULL || strcmp(old, value) != 0)
			set[sets++] = (struct pgr_param){name, value};
	}
	pos = 0;
	while (pgr_settings_next(cold->settings, have, &pos, &name, &value) && resets < DIFFERENCE_MOST)
		if (pgr_settings_get(s->text, s->len, name) == NULL)
			reset[resets++] = name;
	pgr_params_apply(out, set, sets, reset, resets);
	return !out->full;
}

void
pgr_settings_applied(
	struct pgr_slot *slot, struct pgr_slot_cold *cold, const struct pgr_settings *s)
{
	memcpy(cold->settings, s->text, s->len);
	cold->settings_len = s->len;
	atomic_store_explicit(&slot->settings, s->hash, memory_order_relaxed);
}

bool
pgr_settings_tracked(const char *name)
{
	for (size_t i = 0; i < PGR_COUNT_OF(reported_only); i++)
		if (strcmp(reported_only[i], name) == 0)
			return false;
	return true;
}
