/*
 * Questions to a finished configuration: which database, which user, what holds for both. Called by
 * workers at login and by the monitor; reads the block where it lies and allocates nothing.
 */
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/pattern.h"

/* How many characters of a pattern are no `*`. */
static unsigned
literal_count(const char *pattern)
{
	unsigned n = 0;

	for (; *pattern != '\0'; pattern++)
		n += *pattern != '*';
	return n;
}

int
pgr_pattern_compare(const char *a, const char *b)
{
	bool a_pattern = strchr(a, '*') != NULL;
	bool b_pattern = strchr(b, '*') != NULL;
	unsigned a_count, b_count;

	if (a_pattern != b_pattern)
		return a_pattern ? 1 : -1;
	if (!a_pattern)
		return strcmp(a, b);
	a_count = literal_count(a);
	b_count = literal_count(b);
	if (a_count != b_count)
		return a_count > b_count ? -1 : 1;
	return strcmp(a, b);
}

/* On a mismatch the last `*` takes one character more; earlier ones need no second try. */
bool
pgr_config_match(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const struct pgr_config_db *
find_exact(const struct pgr_config *cfg, const char *name)
{
	uint32_t from = 0, to = cfg->db_exact;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		const struct pgr_config_db *db = pgr_config_db_at(cfg, mid);
		int order = db != NULL ? strcmp(pgr_config_text(cfg, db->name), name) : 1;

		if (order == 0)
			return db;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

const struct pgr_config_db *
pgr_config_find_db(const struct pgr_config *cfg, const char *name)
{
	const struct pgr_config_db *db = find_exact(cfg, name);

	if (db != NULL)
		return db;
	for (uint32_t i = cfg->db_exact; i < cfg->dbs.n; i++) {
		db = pgr_config_db_at(cfg, i);
		if (db == NULL)
			return NULL;
		if (pgr_config_match(pgr_config_text(cfg, db->name), name))
			return db;
	}
	return NULL;
}

const struct pgr_config_user *
pgr_config_find_user(const struct pgr_config *cfg, const char *name)
{
	uint32_t from = 0, to = cfg->users.n;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		const struct pgr_config_user *user = pgr_config_user_at(cfg, mid);
		int order = user != NULL ? strcmp(pgr_config_text(cfg, user->name), name) : 1;

		if (order == 0)
			return user;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

void
pgr_config_pooling(const struct pgr_config *cfg, const struct pgr_config_db *db,
	const struct pgr_config_user *user, struct pgr_config_pooling *ret)
{
	*ret = db != NULL ? db->pooling : cfg->defaults;
	if (user != NULL)
		pgr_key_overlay(ret, &user->pooling, user->set);
	ret->min_pool_size = PGR_MIN(ret->min_pool_size, ret->pool_size);
	ret->reserve_pool_size =
		PGR_MIN(ret->reserve_pool_size, PGR_CONFIG_PLACES_MAX - ret->pool_size);
}

void
pgr_config_database_tls(const struct pgr_config *cfg, const char *database, struct pgr_config_tls *ret)
{
	const struct pgr_config_db *db = pgr_config_find_db(cfg, database);

	pgr_config_server_tls(cfg, db != NULL ? pgr_config_server_at(cfg, db, 0) : NULL, ret);
}

void
pgr_config_server_tls(const struct pgr_config *cfg, const struct pgr_config_server *server,
	struct pgr_config_tls *ret)
{
	*ret = cfg->server_tls;
	if (server == NULL)
		return;
	if (server->tls.mode != PGR_CONFIG_TLS_UNSET)
		ret->mode = server->tls.mode;
	if (!pgr_config_is_null(server->tls.cert.path)) {
		ret->cert = server->tls.cert;
		ret->key = server->tls.key;
	}
	if (!pgr_config_is_null(server->tls.ca.path))
		ret->ca = server->tls.ca;
	if (server->is_unix)
		ret->mode = PGR_CONFIG_TLS_DISABLE;
}

static bool
lists(const struct pgr_config *cfg, struct pgr_config_list list, const char *name)
{
	const pgr_cref *ref;

	for (uint32_t i = 0; (ref = pgr_config_item(cfg, list, i, sizeof(*ref))) != NULL; i++)
		if (strcmp(pgr_config_text(cfg, *ref), name) == 0)
			return true;
	return false;
}

enum pgr_config_role_in_console
pgr_config_console_role(const struct pgr_config *cfg, const char *user)
{
	if (lists(cfg, cfg->admin_users, user))
		return PGR_CONSOLE_RULES;
	return lists(cfg, cfg->admin_stats_users, user) ? PGR_CONSOLE_LOOKS : PGR_CONSOLE_STRANGER;
}
