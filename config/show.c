/*
 * Settings as text, for `show config` and for the diff of a reload. Reads finished blocks. A
 * password is "(hidden)" wherever it would stand.
 */
#include "config/show.h"

#include <stdarg.h>
#include <string.h>

#include "config/value.h"

/* Text that is cut where the buffer ends. */
struct text {
	char *buf;
	size_t size;
	size_t len;
};

static void put(struct text *text, const char *fmt, ...) PGR_PRINTF(2, 3);

static void
put(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	if (text->len + 1 >= text->size)
		return;
	va_start(args, fmt);
	n = vsnprintf(text->buf + text->len, text->size - text->len, fmt, args);
	va_end(args);
	if (n > 0)
		text->len = PGR_MIN(text->len + (size_t)n, text->size - 1);
}

struct pgr_section
pgr_section_global(const struct pgr_config *cfg)
{
	return (struct pgr_section){.where = PGR_IN_GLOBAL, .cfg = cfg, .self = cfg};
}

struct pgr_section
pgr_section_defaults(const struct pgr_config *cfg)
{
	return (struct pgr_section){.where = PGR_IN_DEFAULTS,
		.path = "defaults",
		.cfg = cfg,
		.pooling = &cfg->defaults};
}

struct pgr_section
pgr_section_db(const struct pgr_config *cfg, const struct pgr_config_db *db)
{
	struct pgr_section section = {.where = PGR_IN_DATABASE,
		.cfg = cfg,
		.self = db,
		.pooling = &db->pooling,
		.set = db->set};

	snprintf(section.path, sizeof(section.path), "databases.%.63s",
		pgr_config_text(cfg, db->name));
	return section;
}

struct pgr_section
pgr_section_user(const struct pgr_config *cfg, const struct pgr_config_user *user)
{
	struct pgr_section section = {.where = PGR_IN_USER,
		.cfg = cfg,
		.self = user,
		.pooling = &user->pooling,
		.set = user->set};

	snprintf(section.path, sizeof(section.path), "users.%.63s",
		pgr_config_text(cfg, user->name));
	return section;
}

bool
pgr_section_has(const struct pgr_section *section, const struct pgr_key *key)
{
	if ((key->where & section->where) == 0)
		return false;
	return pgr_key_size(key) > 0 ||
		(key->home == PGR_HOME_NONE && key->fallback != NULL &&
			key->type != PGR_KEY_INCLUDE && key->type != PGR_KEY_SECRET_FILE);
}

const void *
pgr_section_field(const struct pgr_section *section, const struct pgr_key *key)
{
	if (key->home == PGR_HOME_NONE)
		return NULL;
	return pgr_key_peek(key,
		key->home == PGR_HOME_POOLING ? (const void *)section->pooling : section->self);
}

bool
pgr_section_sets(const struct pgr_section *section, const struct pgr_key *key)
{
	const unsigned char *field = pgr_section_field(section, key);
	unsigned char any = 0;

	if (section->where == PGR_IN_GLOBAL || section->where == PGR_IN_DEFAULTS)
		return true;
	if (key->home == PGR_HOME_POOLING)
		return (section->set & pgr_key_bit(key)) != 0;
	for (size_t i = 0; field != NULL && i < pgr_key_size(key); i++)
		any |= field[i];
	return any != 0;
}

void
pgr_section_path(
	const struct pgr_section *section, const struct pgr_key *key, char *buf, size_t size)
{
	snprintf(
		buf, size, "%s%s%s", section->path, section->path[0] != '\0' ? "." : "", key->name);
}

static uint64_t
load_number(const struct pgr_key *key, const void *field)
{
	uint64_t wide = 0;
	uint32_t small = 0;
	bool truth = false;

	switch (pgr_key_size(key)) {
	case sizeof(truth):
		memcpy(&truth, field, sizeof(truth));
		return truth;
	case sizeof(small):
		memcpy(&small, field, sizeof(small));
		return small;
	default:
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
}

static void
put_address(struct text *out, const struct pgr_config *cfg, const struct pgr_config_listen *listen)
{
	const char *host = pgr_config_text(cfg, listen->host);
	bool v6 = !listen->is_unix && strchr(host, ':') != NULL;

	if (pgr_config_is_null(listen->host))
		put(out, "null");
	else
		put(out, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", listen->port);
}

static void
put_path(struct text *out, const char *name, const struct pgr_config *cfg, pgr_cref path,
	const char **separator)
{
	if (pgr_config_is_null(path))
		return;
	put(out, "%s%s: %s", *separator, name, pgr_config_text(cfg, path));
	*separator = ", ";
}

static void
put_server_tls(struct text *out, const struct pgr_config *cfg, const struct pgr_config_tls *tls)
{
	const char *begin = ", tls: {";
	const char *separator = begin;
	char word[32];

	if (tls->mode != PGR_CONFIG_TLS_UNSET) {
		pgr_value_format(pgr_key_find(PGR_IN_SERVER, "tls.mode"), tls->mode, word, sizeof(word));
		put(out, "%smode: %s", separator, word);
		separator = ", ";
	}
	put_path(out, "ca_file", cfg, tls->ca.path, &separator);
	put_path(out, "cert_file", cfg, tls->cert.path, &separator);
	put_path(out, "key_file", cfg, tls->key.path, &separator);
	if (separator != begin)
		put(out, "}");
}

static void
put_server(struct text *out, const struct pgr_config *cfg, const struct pgr_config_server *server)
{
	const char *host = pgr_config_text(cfg, server->host);
	const struct pgr_key *role = pgr_key_find(PGR_IN_SERVER, "role");
	char word[32];

	pgr_value_format(role, server->role, word, sizeof(word));
	put(out, "{host: %s, port: %u, role: %s", host, server->port, word);
	put_server_tls(out, cfg, &server->tls);
	put(out, "}");
}

static void
put_item(struct text *out, const struct pgr_key *key, const struct pgr_config *cfg,
	struct pgr_config_list list, uint32_t i)
{
	const void *item;

	if (key->type == PGR_KEY_TEXTS) {
		item = pgr_config_item(cfg, list, i, sizeof(pgr_cref));
		put(out, "%s", item != NULL ? pgr_config_text(cfg, *(const pgr_cref *)item) : "");
	} else if (key->type == PGR_KEY_ADDRESSES) {
		item = pgr_config_item(cfg, list, i, sizeof(struct pgr_config_listen));
		if (item != NULL)
			put_address(out, cfg, item);
	} else {
		item = pgr_config_item(cfg, list, i, sizeof(struct pgr_config_server));
		if (item != NULL)
			put_server(out, cfg, item);
	}
}

static void
put_list(struct text *out, const struct pgr_key *key, const struct pgr_config *cfg,
	const void *field)
{
	struct pgr_config_list list;

	memcpy(&list, field, sizeof(list));
	if (key->type == PGR_KEY_SECRETS)
		return put(out, "%s", list.n > 0 ? "(hidden)" : "null");
	put(out, "[");
	for (uint32_t i = 0; i < list.n; i++) {
		put(out, "%s", i > 0 ? ", " : "");
		put_item(out, key, cfg, list, i);
	}
	put(out, "]");
}

static void
put_field(struct text *out, const struct pgr_key *key, const struct pgr_config *cfg,
	const void *field)
{
	struct pgr_config_secret secret;
	pgr_cref ref;

	if (key->type == PGR_KEY_TEXT || key->type == PGR_KEY_FILE) {
		memcpy(&ref, field, sizeof(ref)); /* of a file: its path */
		put(out, "%s", pgr_config_is_null(ref) ? "null" : pgr_config_text(cfg, ref));
	} else if (key->type == PGR_KEY_SECRET) {
		memcpy(&secret, field, sizeof(secret));
		put(out, "%s", secret.kind != PGR_CONFIG_SECRET_NONE ? "(hidden)" : "null");
	} else if (key->type == PGR_KEY_ADDRESS) {
		put_address(out, cfg, field);
	} else if (pgr_key_size(key) == sizeof(struct pgr_config_list) &&
		(key->type == PGR_KEY_TEXTS || key->type == PGR_KEY_SECRETS ||
			key->type == PGR_KEY_ADDRESSES || key->type == PGR_KEY_SERVERS)) {
		put_list(out, key, cfg, field);
	} else {
		char number[64];

		pgr_value_format(key, load_number(key, field), number, sizeof(number));
		put(out, "%s", number);
	}
}

void
pgr_section_value(
	const struct pgr_section *section, const struct pgr_key *key, char *buf, size_t size)
{
	const void *field = pgr_section_field(section, key);
	struct text out = {.buf = buf, .size = size};

	buf[0] = '\0';
	if (field == NULL)
		put(&out, "%s", key->fallback);
	else
		put_field(&out, key, section->cfg, field);
}

static void
show_section(const struct pgr_section *section, pgr_config_on_setting *on_setting, void *arg)
{
	char path[160], value[1024];

	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];
		struct pgr_config_setting setting = {
			.path = path,
			.value = value,
			.fallback = key->fallback != NULL ? key->fallback : "",
			.needs_restart = (key->flags & PGR_KEY_RESTART) != 0,
		};

		if (!pgr_section_has(section, key) || !pgr_section_sets(section, key))
			continue;
		pgr_section_path(section, key, path, sizeof(path));
		pgr_section_value(section, key, value, sizeof(value));
		on_setting(arg, &setting);
	}
}

void
pgr_config_each(const struct pgr_config *cfg, pgr_config_on_setting *on_setting, void *arg)
{
	struct pgr_section section = pgr_section_global(cfg);

	show_section(&section, on_setting, arg);
	section = pgr_section_defaults(cfg);
	show_section(&section, on_setting, arg);
	for (uint32_t i = 0; i < cfg->dbs.n; i++) {
		const struct pgr_config_db *db = pgr_config_db_at(cfg, i);

		if (db == NULL)
			return;
		section = pgr_section_db(cfg, db);
		show_section(&section, on_setting, arg);
	}
	for (uint32_t i = 0; i < cfg->users.n; i++) {
		const struct pgr_config_user *user = pgr_config_user_at(cfg, i);

		if (user == NULL)
			return;
		section = pgr_section_user(cfg, user);
		show_section(&section, on_setting, arg);
	}
}
