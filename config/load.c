/*
 * Loading: from a file or a text to the two blocks. This file walks mappings against the table of
 * keys and puts the blocks together; set.c stores single values, entities.c reads databases and
 * users, files.c opens files, check.c judges the whole. Called by master (start, reload) and by
 * pgroutectl check. Every error is kept and reading goes on; only without any does a block come
 * out.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX (256u << 20)

void
pgr_load_complain(
	struct pgr_load *load, const struct pgr_node *at, const struct pgr_complaint *complaint)
{
	pgr_errors_add(load->errors, at->place, complaint);
}

void
pgr_load_complain_key(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *at,
	const struct pgr_complaint *complaint)
{
	struct pgr_complaint named;

	pgr_complaint_set(&named, "%s: %.260s", key->name, complaint->message);
	pgr_complaint_suggest(&named, "%s", complaint->suggestion);
	pgr_load_complain(load, at, &named);
}

static const char *
kind_name(const struct pgr_node *node)
{
	if (node->kind == PGR_NODE_LIST)
		return "a list";
	if (node->kind == PGR_NODE_MAP)
		return "a mapping";
	return pgr_node_is_null(node) ? "empty" : node->plain ? "a single value" : "a quoted text";
}

void
pgr_load_wrong_type(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(
		&complaint, "must be %s, not %s", pgr_key_type_name(key), kind_name(node));
	pgr_load_complain_key(load, key, node, &complaint);
}

static const char *
place_name(unsigned where)
{
	switch (where) {
	case PGR_IN_GLOBAL:
		return "the top level";
	case PGR_IN_DEFAULTS:
		return "\"defaults\"";
	case PGR_IN_DATABASE:
		return "a database";
	case PGR_IN_USER:
		return "a user";
	default:
		return "a server";
	}
}

/* A near name in the same mapping, else the place where this very name is known. */
static void
suggest_key(const struct pgr_scope *scope, const char *name, struct pgr_complaint *complaint)
{
	size_t prefix = strlen(scope->prefix);
	struct pgr_guess guess;

	pgr_guess_init(&guess, name, strlen(name));
	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];

		if ((key->where & scope->where) != 0 &&
			strncmp(key->name, scope->prefix, prefix) == 0 &&
			strchr(key->name + prefix, '.') == NULL)
			pgr_guess_offer(&guess, key->name + prefix);
	}
	for (unsigned where = PGR_IN_GLOBAL; where <= PGR_IN_SERVER; where <<= 1)
		if (where != scope->where && pgr_key_find(where, name) != NULL)
			return pgr_complaint_suggest(
				complaint, "it belongs into %s", place_name(where));
	if (guess.best != NULL)
		pgr_complaint_suggest(complaint, "did you mean \"%s\"?", guess.best);
}

/* A word without a value may be a misplaced password: it is shown only if it resembles a key. */
static void
complain_unknown(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_node *at,
	const struct pgr_node *node)
{
	struct pgr_complaint complaint, guess;
	const char *in = scope->path[0] != '\0' ? " in " : "";

	pgr_complaint_set(&guess, "%s", "");
	if (load->errors->n < PGR_CONFIG_ERRORS_MAX)
		suggest_key(scope, at->text, &guess);
	if (pgr_node_is_null(node) && guess.suggestion[0] == '\0')
		pgr_complaint_set(&complaint, "unknown key%s%.100s", in, scope->path);
	else
		pgr_complaint_set(
			&complaint, "unknown key \"%.60s\"%s%.100s", at->text, in, scope->path);
	pgr_complaint_suggest(&complaint, "%s", guess.suggestion);
	pgr_load_complain(load, at, &complaint);
}

/* Mappings of several files are merged, so theirs may come again; nothing else may. */
static bool
is_container(const struct pgr_key *key)
{
	return key->type == PGR_KEY_GROUP || key->type == PGR_KEY_DEFAULTS ||
		key->type == PGR_KEY_DATABASES || key->type == PGR_KEY_USERS ||
		key->type == PGR_KEY_INCLUDE;
}

/* False: it is a duplicate, and that has been told. */
static bool
mark_seen(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *at)
{
	const struct pgr_node **seen = &scope->seen[pgr_key_index(key)];
	const struct pgr_node *first = *seen;
	struct pgr_complaint complaint;

	if (first == NULL ||
		(is_container(key) && first->place.file_index != at->place.file_index)) {
		*seen = at;
		return true;
	}
	pgr_complaint_set(&complaint, "\"%s\" is set twice (first at %.150s:%u:%u)", key->name,
		first->place.file, first->place.line, first->place.column);
	pgr_load_complain(load, at, &complaint);
	return false;
}

static void
load_group(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node)
{
	struct pgr_scope inner = *scope;
	char prefix[64];

	if (node->kind != PGR_NODE_MAP) {
		if (!pgr_node_is_null(node))
			pgr_load_wrong_type(load, key, node);
		return;
	}
	snprintf(prefix, sizeof(prefix), "%s.", key->name);
	inner.prefix = prefix;
	inner.path = key->name;
	pgr_load_map(load, &inner, node);
}

static void
load_defaults(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	struct pgr_scope scope = {
		.where = PGR_IN_DEFAULTS,
		.prefix = "",
		.path = "defaults",
		.pooling = &load->cfg.defaults,
		.seen = load->seen,
	};

	if (node->kind == PGR_NODE_MAP)
		pgr_load_map(load, &scope, node);
	else if (!pgr_node_is_null(node))
		pgr_load_wrong_type(load, key, node);
}

static void
load_key(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node)
{
	if (key->type == PGR_KEY_GROUP)
		load_group(load, scope, key, node);
	else if (key->type == PGR_KEY_DEFAULTS)
		load_defaults(load, key, node);
	else if (key->type == PGR_KEY_DATABASES)
		pgr_load_databases(load, key, node);
	else if (key->type == PGR_KEY_USERS)
		pgr_load_users(load, key, node);
	else if (key->type == PGR_KEY_SERVERS)
		pgr_load_servers(load, scope, key, node);
	else if (key->type == PGR_KEY_INCLUDE)
		pgr_load_include(load, key, node);
	else
		pgr_load_value(load, scope, key, node);
}

static void
load_pair(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_node *at,
	const struct pgr_node *node)
{
	const struct pgr_key *key = NULL;
	struct pgr_complaint complaint;
	char name[128];

	if (at->kind != PGR_NODE_SCALAR) {
		pgr_complaint_set(&complaint, "a key must be a text");
		pgr_load_complain(load, at, &complaint);
		return;
	}
	if (at->bad)
		return;
	snprintf(name, sizeof(name), "%s%s", scope->prefix, at->text);
	if (strchr(at->text, '.') == NULL)
		key = pgr_key_find(scope->where, name);
	if (key == NULL)
		complain_unknown(load, scope, at, node);
	else if (mark_seen(load, scope, key, at))
		load_key(load, scope, key, node);
}

void
pgr_load_map(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_node *map)
{
	for (const struct pgr_node *at = map->first; at != NULL; at = at->next->next)
		load_pair(load, scope, at, at->next);
}

/* A default goes the way of a value in the file, so that both have one parser. */
void
pgr_load_fallbacks(struct pgr_load *load, struct pgr_scope *scope)
{
	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];
		struct pgr_node node = {.kind = PGR_NODE_SCALAR, .plain = true};
		bool inherits = key->home == PGR_HOME_POOLING && scope->where != PGR_IN_DEFAULTS;

		if ((key->where & scope->where) == 0 || key->home == PGR_HOME_NONE || inherits ||
			key->fallback == NULL || strcmp(key->fallback, "[]") == 0 ||
			key->type == PGR_KEY_SECRET_FILE)
			continue;
		node.place.file = "the built-in defaults";
		node.text = (char *)key->fallback;
		node.len = strlen(key->fallback);
		pgr_load_value(load, scope, key, &node);
	}
}

/* Only root may write to /run; others have a folder of their own. */
static void
load_control_fallback(struct pgr_load *load)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	char path[512];

	if (geteuid() == 0)
		return;
	if (folder != NULL && folder[0] == '/')
		snprintf(path, sizeof(path), "%.400s/pgroute/control.sock", folder);
	else
		snprintf(path, sizeof(path), "/run/user/%u/pgroute/control.sock",
			(unsigned)geteuid());
	load->cfg.control.off = pgr_block_add_text(&load->block, path);
}

static void
load_init(struct pgr_load *load, struct pgr_config_errors *errors, bool may_read)
{
	struct pgr_scope global = {.where = PGR_IN_GLOBAL, .prefix = "", .path = ""};
	struct pgr_scope defaults = {.where = PGR_IN_DEFAULTS, .prefix = "", .path = "defaults"};

	memset(load, 0, sizeof(*load));
	errors->n = 0;
	errors->dropped = 0;
	load->errors = errors;
	load->may_read = may_read;
	pgr_arena_init(&load->arena, ARENA_MAX);
	pgr_tree_init(&load->tree, &load->arena, errors);
	pgr_block_init(&load->block, sizeof(struct pgr_config), PGR_CONFIG_BYTES_MAX);
	pgr_block_init(&load->secrets, sizeof(struct pgr_config_secrets), PGR_CONFIG_SECRETS_MAX);
	global.self = &load->cfg;
	defaults.pooling = &load->cfg.defaults;
	pgr_load_fallbacks(load, &global);
	pgr_load_fallbacks(load, &defaults);
	load_control_fallback(load);
}

static void
load_fini(struct pgr_load *load)
{
	pgr_tree_wipe(&load->tree);
	pgr_arena_fini(&load->arena);
	pgr_block_fini(&load->block);
	pgr_block_fini(&load->secrets);
	free(load->dbs);
	free(load->users);
	free(load->files);
	free(load->includes);
	free(load->texts);
}

static void
add_dbs(struct pgr_load *load)
{
	struct pgr_config *cfg = &load->cfg;
	struct pgr_config_pooling pooling;

	for (size_t i = 0; i < load->db_count; i++) {
		struct pgr_config_db db = load->dbs[i].db;
		uint32_t off;

		pooling = cfg->defaults;
		pgr_key_overlay(&pooling, &db.pooling, db.set);
		db.pooling = pooling;
		off = pgr_block_add(&load->block, &db, sizeof(db));
		if (i == 0)
			cfg->dbs.off = off;
		cfg->db_exact += !db.is_pattern;
	}
	cfg->dbs.n = (uint32_t)load->db_count;
}

static void
add_users(struct pgr_load *load)
{
	for (size_t i = 0; i < load->user_count; i++) {
		uint32_t off = pgr_block_add(
			&load->block, &load->users[i].user, sizeof(struct pgr_config_user));

		if (i == 0)
			load->cfg.users.off = off;
	}
	load->cfg.users.n = (uint32_t)load->user_count;
}

static void
add_includes(struct pgr_load *load)
{
	load->cfg.includes.n = (uint32_t)load->include_count;
	if (load->include_count > 0)
		load->cfg.includes.off = pgr_block_add(
			&load->block, load->includes, load->include_count * sizeof(load->includes[0]));
}

/* Arrays are added element by element: they stay whole only if nothing comes between them. */
_Static_assert(sizeof(struct pgr_config_db) % 8 == 0, "one behind the other in the block");
_Static_assert(sizeof(struct pgr_config_user) % 8 == 0, "one behind the other in the block");

static void
add_heads(struct pgr_load *load)
{
	struct pgr_config_secrets secrets = {.magic = PGR_CONFIG_SECRETS_MAGIC};

	pgr_block_add_text(&load->block, ""); /* whatever offset is read, its text ends */
	pgr_block_add_text(&load->secrets, "");
	if (load->block.full || load->secrets.full)
		return;
	load->cfg.magic = PGR_CONFIG_MAGIC;
	load->cfg.size = (uint32_t)load->block.len;
	secrets.size = (uint32_t)load->secrets.len;
	memcpy(load->block.data, &load->cfg, sizeof(load->cfg));
	memcpy(load->secrets.data, &secrets, sizeof(secrets));
}

static void
complain_whole(struct pgr_load *load, const char *file, const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%s", message);
	pgr_errors_add(load->errors, (struct pgr_place){.file = file}, &complaint);
}

static enum pgr_rc
load_finish(struct pgr_load *load, const char *name, struct pgr_config_pair *ret)
{
	enum pgr_rc rc = PGR_FAIL;

	pgr_load_check(load);
	add_dbs(load);
	add_users(load);
	add_includes(load);
	add_heads(load);
	if (load->block.full || load->secrets.full)
		complain_whole(load, name, "the configuration is too large");
	if (load->errors->n == 0) {
		ret->config = (struct pgr_config *)load->block.data;
		ret->secrets = (struct pgr_config_secrets *)load->secrets.data;
		load->block.data = NULL;
		load->secrets.data = NULL;
		rc = PGR_OK;
	}
	pgr_errors_sort(load->errors);
	load_fini(load);
	return rc;
}

enum pgr_rc
pgr_config_load(const char *path, struct pgr_config_pair *ret, struct pgr_config_errors *errors)
{
	struct pgr_load load;

	load_init(&load, errors, true);
	pgr_load_path(&load, path, NULL);
	return load_finish(&load, path, ret);
}

enum pgr_rc
pgr_config_load_text(const char *name, const char *text, size_t len, struct pgr_config_pair *ret,
	struct pgr_config_errors *errors)
{
	struct pgr_load load;

	load_init(&load, errors, false);
	pgr_load_content(&load, name, text, len);
	return load_finish(&load, name, ret);
}

void
pgr_config_free(struct pgr_config_pair *pair)
{
	if (pair->secrets != NULL)
		explicit_bzero((void *)pair->secrets, pair->secrets->size);
	free((void *)pair->secrets);
	free((void *)pair->config);
	*pair = (struct pgr_config_pair){0};
}
