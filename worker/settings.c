/*
 * Sets of settings, interned: a client holds a pointer, a server connection holds the text and its
 * hash in shared memory, and the way of a query compares two numbers. Called at login, by back.c for
 * each ParameterStatus, and by lease.c where the numbers differ.
 */
#include "worker/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/panic.h"
#include "proto/params.h"
#include "proto/wire.h"

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

/* Those that provably cannot change what the analysis of a statement makes of its text. */
static bool
means_nothing(const char *name)
{
	static const char *const names[] = {"application_name", "client_min_messages",
		"default_transaction_deferrable", "default_transaction_isolation",
		"default_transaction_read_only", "maintenance_work_mem", "synchronous_commit", "work_mem"};
	size_t len = strlen(name);

	for (size_t i = 0; i < PGR_COUNT_OF(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	/* with a point in the name: an extension's or the application's own */
	return strncmp(name, "log_", 4) == 0 || strncmp(name, "enable_", 7) == 0 ||
		(len > 8 && strcmp(name + len - 8, "_timeout") == 0) || strchr(name, '.') != NULL;
}

static uint64_t
state_of(const char *text, size_t len)
{
	uint64_t state = 0;
	const char *name;
	const char *value;
	size_t pos = 0;
	size_t from = 0;

	for (; pgr_settings_next(text, len, &pos, &name, &value); from = pos)
		if (!means_nothing(name)) /* sorted by name: the same ones always come in the same order */
			state = (state * 31 + pgr_hash64(&interned.key, text + from, pos - from)) | 1;
	return state;
}

enum pgr_said
pgr_settings_said_strings(const char *text, size_t len)
{
	const char *value = pgr_settings_get(text, len, "standard_conforming_strings");

	if (value == NULL || *value == '\0') /* empty: the server's own (track.c) */
		return PGR_SAID_NOTHING;
	switch (tolower((unsigned char)*value)) { /* of a boolean that a server takes the beginning tells */
	case 't':
	case 'y':
	case '1':
		return PGR_SAID_NO;
	case 'o':
		return tolower((unsigned char)value[1]) == 'n' ? PGR_SAID_NO : PGR_SAID_YES;
	default:
		return PGR_SAID_YES;
	}
}

/* Is an encoding's name this one, but for case and all but letters and digits? */
static bool
is_encoding(const char *value, const char *name)
{
	for (;; value++) {
		if (*value != '\0' && !isalnum((unsigned char)*value))
			continue;
		if (tolower((unsigned char)*value) != *name)
			return false;
		if (*name++ == '\0')
			return true;
	}
}

/* In these the second byte of a character may look like a quote or a backslash. */
enum pgr_said
pgr_settings_said_encoding(const char *text, size_t len)
{
	static const char *const names[] = {"sjis", "shiftjis", "mskanji", "win932", "windows932",
		"shiftjis2004", "big5", "win950", "windows950", "gbk", "win936", "windows936", "uhc",
		"win949", "windows949", "gb18030", "johab"};
	const char *value = pgr_settings_get(text, len, "client_encoding");

	if (value == NULL || *value == '\0')
		return PGR_SAID_NOTHING;
	for (size_t i = 0; i < PGR_COUNT_OF(names); i++)
		if (is_encoding(value, names[i]))
			return PGR_SAID_YES;
	return PGR_SAID_NO;
}

/* These name what may be dropped, and may be granted and revoked; other values are good for ever. */
static bool
is_refusable(const char *text, size_t len)
{
	static const char *const names[] = {"role", "session_authorization", "default_tablespace",
		"temp_tablespaces", "default_table_access_method", "default_text_search_config"};

	for (size_t i = 0; i < PGR_COUNT_OF(names); i++)
		if (pgr_settings_get(text, len, names[i]) != NULL)
			return true;
	return false;
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
	*s = (struct pgr_settings){
		.refs = 1, .len = (uint32_t)len, .hash = hash, .state = state_of(text, len),
		.strings = (uint8_t)pgr_settings_said_strings(text, len),
		.encoding = (uint8_t)pgr_settings_said_encoding(text, len),
		.beyond_ascii = !pgr_is_ascii(text, len),
		.refusable = is_refusable(text, len)};
	memcpy(s->text, text, len);
	s->next = interned.bucket[hash % BUCKETS];
	interned.bucket[hash % BUCKETS] = s;
	return s;
}

static void
out_pair(struct pgr_out *out, const char *name, const char *value)
{
	pgr_out_string(out, name);
	pgr_out_string(out, value);
}

/* Names that servers take for others. */
static const char *const renamed[][2] = {
	{"sort_mem", "work_mem"}, {"vacuum_mem", "maintenance_work_mem"}};

void
pgr_settings_fold(const char *name, char *ret, size_t cap)
{
	size_t i;

	for (i = 0; name[i] != '\0' && i < cap - 1; i++)
		ret[i] = (char)tolower((unsigned char)name[i]);
	ret[i] = '\0';
	for (i = 0; i < PGR_COUNT_OF(renamed); i++)
		if (strcmp(ret, renamed[i][0]) == 0 && strlen(renamed[i][1]) < cap)
			memcpy(ret, renamed[i][1], strlen(renamed[i][1]) + 1);
}

enum pgr_rc
pgr_settings_with(struct pgr_settings *s, const char *name, const char *value,
	struct pgr_settings **ret, struct pgr_err *err)
{
	char text[PGR_SETTINGS_BYTES];
	char lower[128];
	struct pgr_settings *made;
	struct pgr_out out;
	bool placed = value == NULL;
	const char *n;
	const char *v;
	size_t pos = 0;

	pgr_settings_fold(name, lower, sizeof(lower));
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
pgr_settings_are_unknown(const struct pgr_slot *slot)
{
	return atomic_load_explicit(&slot->settings, memory_order_relaxed) == UNKNOWN;
}

/*
 * Who the session acts as decides what it may set, and how long a statement may take, whether that
 * succeeds: all else is set as the one who has logged in, and not within the time of the client before.
 * So these go first when they go, and come last when they come.
 */
static const char *const apart[] = {"statement_timeout", "session_authorization", "role"};

static bool
stands_apart(const char *name)
{
	for (size_t i = 0; i < PGR_COUNT_OF(apart); i++)
		if (strcmp(apart[i], name) == 0)
			return true;
	return false;
}

bool
pgr_settings_is_identity(const char *name)
{
	return strcmp(name, apart[1]) == 0 || strcmp(name, apart[2]) == 0;
}

static void
reset_apart(struct pgr_out *out, const char *have, size_t len, bool unknown)
{
	for (size_t i = 0; i < PGR_COUNT_OF(apart); i++)
		if (unknown || pgr_settings_get(have, len, apart[i]) != NULL) {
			pgr_out_text(out, "RESET ");
			pgr_params_quote_name(out, apart[i]);
			pgr_out_byte(out, ';');
		}
}

/* DateStyle in part, as a client may give it at login: what it leaves unsaid is the server's own. */
static bool
is_partial(const char *name, const char *value)
{
	return strcmp(name, "datestyle") == 0 && strchr(value, ',') == NULL;
}

bool
pgr_settings_difference(struct pgr_slot *slot, const struct pgr_slot_cold *cold,
	const struct pgr_settings *s, struct pgr_out *out)
{
	bool unknown = pgr_settings_are_unknown(slot);
	size_t have = unknown ? 0 : PGR_MIN(cold->settings_len, (uint32_t)PGR_SETTINGS_BYTES);
	struct pgr_param set[DIFFERENCE_MOST];
	const char *reset[DIFFERENCE_MOST];
	size_t sets = 0;
	size_t resets = 0;
	const char *name;
	const char *value;
	size_t pos = 0;

	reset_apart(out, cold->settings, have, unknown);
	if (unknown)
		pgr_out_text(out, "RESET ALL;");
	while (pgr_settings_next(s->text, s->len, &pos, &name, &value) && sets < DIFFERENCE_MOST) {
		const char *old = pgr_settings_get(cold->settings, have, name);

		if (stands_apart(name) || (old != NULL && strcmp(old, value) == 0))
			continue;
		if (old != NULL && is_partial(name, value))
			pgr_out_text(out, "RESET DateStyle;");
		set[sets++] = (struct pgr_param){name, value};
	}
	pos = 0;
	while (pgr_settings_next(cold->settings, have, &pos, &name, &value) && resets < DIFFERENCE_MOST)
		if (!stands_apart(name) && pgr_settings_value(s, name) == NULL)
			reset[resets++] = name;
	if (sets == DIFFERENCE_MOST || resets == DIFFERENCE_MOST)
		return false;
	pgr_params_apply(out, set, sets, reset, resets);
	sets = 0;
	for (size_t i = 0; i < PGR_COUNT_OF(apart); i++)
		if ((value = pgr_settings_value(s, apart[i])) != NULL)
			set[sets++] = (struct pgr_param){apart[i], value};
	if (sets > 0 && out->len > 0)
		pgr_out_byte(out, ';');
	pgr_params_apply(out, set, sets, NULL, 0);
	return !out->full;
}

bool
pgr_settings_hurry(const struct pgr_slot *slot, const struct pgr_slot_cold *cold)
{
	size_t have = PGR_MIN(cold->settings_len, (uint32_t)PGR_SETTINGS_BYTES);
	const char *limit;
	char *unit;
	unsigned long number;

	if (pgr_settings_are_unknown(slot))
		return true;
	limit = pgr_settings_get(cold->settings, have, "statement_timeout");
	if (limit == NULL)
		return false;
	number = strtoul(limit, &unit, 10);
	unit += strspn(unit, " ");
	if (number == 0 && *unit == '\0')
		return false; /* none */
	return number < 1000 && (*unit == '\0' || strncmp(unit, "ms", 2) == 0 || strchr(".euxEUX", *unit) != NULL);
}

void
pgr_settings_applied(
	struct pgr_slot *slot, struct pgr_slot_cold *cold, const struct pgr_settings *s)
{
	memcpy(cold->settings, s->text, s->len);
	cold->settings_len = s->len;
	atomic_store_explicit(&slot->settings, s->hash, memory_order_relaxed);
}

/* What the server reported of a setting at its own login; NULL: nothing. */
static const char *
login_value(const struct pgr_slot_cold *cold, const char *name)
{
	size_t len = PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES);
	const char *n;
	const char *v;
	size_t pos = 0;

	while (pgr_settings_next(cold->reported, len, &pos, &n, &v))
		if (strcasecmp(n, name) == 0)
			return v;
	return NULL;
}

bool
pgr_settings_at_login(const struct pgr_slot_cold *cold, const char *name, const char *value)
{
	const char *at_login = login_value(cold, name);

	return at_login != NULL && strcmp(at_login, value) == 0;
}

/* Of what is reported the server knows whether it was reset, of the rest only we do. */
static bool
may_be_gone(const struct pgr_slot_cold *cold, const struct pgr_settings *now, const char *name,
	const char *value)
{
	const char *in_force = pgr_settings_value(now, name);

	return login_value(cold, name) != NULL || (in_force != NULL && strcmp(in_force, value) == 0);
}

bool
pgr_settings_put_back(const struct pgr_slot_cold *cold, const struct pgr_settings *values,
	const struct pgr_settings *now, struct pgr_out *out)
{
	struct pgr_param params[DIFFERENCE_MOST];
	const char *name;
	const char *value;
	size_t pos = 0;
	size_t n = 0;

	while (pgr_settings_next(values->text, values->len, &pos, &name, &value) && n < DIFFERENCE_MOST)
		if (may_be_gone(cold, now, name, value))
			params[n++] = (struct pgr_param){name, value};
	pgr_params_restore(out, params, n);
	return !out->full && n < DIFFERENCE_MOST;
}

static void
write_parameter(struct pgr_vec *vec, const char *name, const char *value)
{
	size_t name_len = strlen(name) + 1;
	size_t value_len = strlen(value) + 1;
	char *body;

	if (!pgr_vec_roomy(vec) || name_len + value_len > 2000)
		return; /* longer than what was kept of a server's reports */
	body = pgr_wire_header(pgr_vec_room(vec, PGR_WIRE_HEADER + name_len + value_len),
		PGR_MSG_PARAMETER_STATUS, name_len + value_len);
	memcpy(body, name, name_len);
	memcpy(body + name_len, value, value_len);
}

void
pgr_settings_report(struct pgr_vec *vec, const char *reported, size_t len,
	const struct pgr_settings *own, const struct pgr_settings *told)
{
	const char *name;
	const char *value;
	size_t pos = 0;

	while (pgr_settings_next(reported, len, &pos, &name, &value)) {
		char lower[64];
		const char *mine;
		const char *before = NULL;

		pgr_settings_fold(name, lower, sizeof(lower));
		mine = pgr_settings_value(own, lower);
		if (told != NULL) {
			before = pgr_settings_value(told, lower);
			before = before != NULL ? before : value;
		}
		mine = mine != NULL ? mine : value;
		if (before == NULL || strcmp(before, mine) != 0)
			write_parameter(vec, name, mine);
	}
}

bool
pgr_settings_tracked(const char *name)
{
	for (size_t i = 0; i < PGR_COUNT_OF(reported_only); i++)
		if (strcmp(reported_only[i], name) == 0)
			return false;
	return true;
}
