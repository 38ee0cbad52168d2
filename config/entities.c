/*
 * Databases, their servers, and users: mappings whose keys are names that the file's author chose.
 * Called by load.c. What has been read waits as a draft until all files are in; check.c sorts.
 */
#include <stdlib.h>
#include <string.h>

#include "config/load.h"

static void
complain(struct pgr_load *load, const struct pgr_node *at, const char *path, const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%.100s: %s", path, message);
	pgr_load_complain(load, at, &complaint);
}

/* Keys that must be there and are not. False: one is missing. */
static bool
check_required(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_node *at)
{
	struct pgr_complaint complaint;
	bool ok = true;

	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];

		if ((key->where & scope->where) == 0 || (key->flags & PGR_KEY_REQUIRED) == 0 ||
			scope->seen[i] != NULL)
			continue;
		pgr_complaint_set(&complaint, "%.100s: \"%s\" is missing", scope->path, key->name);
		pgr_load_complain(load, at, &complaint);
		ok = false;
	}
	return ok;
}

static void
load_server(struct pgr_load *load, const char *path, const struct pgr_key *key,
	const struct pgr_node *node, struct pgr_config_server *server)
{
	const struct pgr_node *seen[PGR_KEYS_MAX] = {NULL};
	struct pgr_scope scope = {
		.where = PGR_IN_SERVER, .prefix = "", .path = path, .self = server, .seen = seen};

	pgr_load_fallbacks(load, &scope);
	if (node->kind != PGR_NODE_MAP) {
		struct pgr_complaint complaint;

		pgr_complaint_set(&complaint, "each server must be a mapping");
		pgr_complaint_suggest(&complaint, "{host: 10.0.0.1, port: 5432}");
		pgr_load_complain_key(load, key, node, &complaint);
		return;
	}
	pgr_load_map(load, &scope, node);
	(void)check_required(load, &scope, node);
}

void
pgr_load_servers(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node)
{
	struct pgr_config_server server = {0};
	struct pgr_config_list list = {.n = 1};
	char path[160];

	if (node->bad)
		return;
	if (node->kind != PGR_NODE_LIST)
		return pgr_load_wrong_type(load, key, node);
	if (node->count == 0)
		return complain(load, node, scope->path, "servers must not be empty");
	snprintf(path, sizeof(path), "%s.servers", scope->path);
	for (const struct pgr_node *item = node->first; item != NULL; item = item->next)
		load_server(load, path, key, item, &server);
	if (node->count > 1)
		return complain(
			load, node, scope->path, "more than one server is not supported yet");
	list.off = pgr_block_add(&load->block, &server, sizeof(server));
	memcpy(pgr_key_field(key, scope->self), &list, sizeof(list));
}

/* The name of a database or user; false: told why it is none. */
static bool
check_name(struct pgr_load *load, const struct pgr_node *at, const char *path)
{
	if (at->bad)
		return false;
	if (at->kind != PGR_NODE_SCALAR || at->len == 0) {
		complain(load, at, path, "a name must be a text that is not empty");
		return false;
	}
	if (at->len > PGR_CONFIG_NAME_MAX) {
		complain(load, at, path, "the name is longer than 63 bytes");
		return false;
	}
	return true;
}

/* False: nothing to read; what is neither a mapping nor empty has been told. */
static bool
check_map(struct pgr_load *load, const char *path, const struct pgr_node *node)
{
	if (node->bad || pgr_node_is_null(node))
		return false;
	if (node->kind == PGR_NODE_MAP)
		return true;
	complain(load, node, path, "must be a mapping");
	return false;
}

static bool
is_virtual(const char *name)
{
	return strcmp(name, "pgroute") == 0 || strcmp(name, "pgbouncer") == 0;
}

/* Room for one more element; NULL: told. Grows by doubling. */
static void *
draft_room(
	struct pgr_load *load, void *drafts, size_t count, size_t size, const struct pgr_node *at)
{
	void *more;

	if (count != 0 && (count & (count - 1)) != 0)
		return drafts;
	more = reallocarray(drafts, count == 0 ? 1 : 2 * count, size);
	if (more == NULL)
		complain(load, at, at->text, "out of memory");
	return more;
}

static void
load_database(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *at,
	const struct pgr_node *node)
{
	const struct pgr_node *seen[PGR_KEYS_MAX] = {NULL};
	struct pgr_draft_db draft = {.name = at->text, .at = at};
	struct pgr_draft_db *drafts;
	struct pgr_scope scope = {.where = PGR_IN_DATABASE,
		.prefix = "",
		.self = &draft.db,
		.pooling = &draft.db.pooling,
		.set = &draft.db.set,
		.seen = seen};
	char path[96];

	if (!check_name(load, at, key->name))
		return;
	snprintf(path, sizeof(path), "databases.%s", at->text);
	scope.path = path;
	if (is_virtual(at->text))
		return complain(load, at, path, "this name is the console's");
	pgr_load_fallbacks(load, &scope);
	if (check_map(load, path, node))
		pgr_load_map(load, &scope, node);
	if (!node->bad && (node->kind == PGR_NODE_MAP || pgr_node_is_null(node)))
		(void)check_required(load, &scope, at);
	draft.db.name.off = pgr_block_add_text(&load->block, at->text);
	draft.db.is_pattern = strchr(at->text, '*') != NULL;
	drafts = draft_room(load, load->dbs, load->db_count, sizeof(draft), at);
	if (drafts == NULL)
		return;
	load->dbs = drafts;
	load->dbs[load->db_count++] = draft;
}

static void
load_user(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *at,
	const struct pgr_node *node)
{
	const struct pgr_node *seen[PGR_KEYS_MAX] = {NULL};
	struct pgr_draft_user draft = {.name = at->text, .at = at};
	struct pgr_draft_user *drafts;
	struct pgr_scope scope = {.where = PGR_IN_USER,
		.prefix = "",
		.self = &draft.user,
		.pooling = &draft.user.pooling,
		.set = &draft.user.set,
		.seen = seen};
	char path[96];

	if (!check_name(load, at, key->name))
		return;
	snprintf(path, sizeof(path), "users.%s", at->text);
	scope.path = path;
	pgr_load_fallbacks(load, &scope);
	if (check_map(load, path, node))
		pgr_load_map(load, &scope, node);
	draft.user.name.off = pgr_block_add_text(&load->block, at->text);
	drafts = draft_room(load, load->users, load->user_count, sizeof(draft), at);
	if (drafts == NULL)
		return;
	load->users = drafts;
	load->users[load->user_count++] = draft;
}

void
pgr_load_databases(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	if (!check_map(load, key->name, node))
		return;
	for (const struct pgr_node *at = node->first; at != NULL; at = at->next->next)
		load_database(load, key, at, at->next);
}

void
pgr_load_users(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	if (!check_map(load, key->name, node))
		return;
	for (const struct pgr_node *at = node->first; at != NULL; at = at->next->next)
		load_user(load, key, at, at->next);
}
