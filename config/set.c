/*
 * Stores single values and lists of them: the node is checked against the key's type, read by
 * value.c and put where the row says. Called by load.c, for defaults as for what files say.
 */
#include <string.h>

#include "config/load.h"
#include "config/value.h"
#include "proto/scram.h"

#define TEXTS_MAX 4096
#define ADDRESSES_MAX 64
#define PASSWORD_MAX 65535 /* of a password message; tokens are long */

static void *
field_of(const struct pgr_scope *scope, const struct pgr_key *key)
{
	if (key->home == PGR_HOME_NONE)
		return NULL;
	return pgr_key_field(
		key, key->home == PGR_HOME_POOLING ? (void *)scope->pooling : scope->self);
}

static void
complain(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%s", message);
	pgr_load_complain_key(load, key, node, &complaint);
}

static void
complain_later(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	const char *word)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "\"%s%s%s\" is not supported yet", key->name,
		word != NULL ? ": " : "", word != NULL ? word : "");
	pgr_load_complain(load, node, &complaint);
}

static bool
is_number(const struct pgr_key *key)
{
	return key->type == PGR_KEY_BOOL || key->type == PGR_KEY_INT || key->type == PGR_KEY_WORD ||
		key->type == PGR_KEY_DURATION || key->type == PGR_KEY_SIZE;
}

/* Does the value of a key that is not built yet ask for nothing: its default, or what means off? */
static bool
asks_nothing(const struct pgr_key *key, const struct pgr_node *node)
{
	struct pgr_complaint ignored;
	uint64_t value, fallback;

	if (pgr_node_is_null(node))
		return true;
	if (node->kind != PGR_NODE_SCALAR)
		return node->count == 0;
	if (key->type == PGR_KEY_TEXT)
		return strcmp(key->fallback, node->text) == 0 && strcmp(key->fallback, "null") != 0;
	return is_number(key) && strcmp(key->fallback, "null") != 0 &&
		pgr_value_parse(key, node->text, &value, &ignored) &&
		pgr_value_parse(key, key->fallback, &fallback, &ignored) && value == fallback;
}

static void
store_number(const struct pgr_key *key, void *field, uint64_t value)
{
	uint32_t small = (uint32_t)value;
	bool truth = value != 0;

	if (key->type == PGR_KEY_BOOL)
		memcpy(field, &truth, sizeof(truth));
	else if (key->type == PGR_KEY_INT || key->type == PGR_KEY_WORD)
		memcpy(field, &small, sizeof(small));
	else
		memcpy(field, &value, sizeof(value));
}

/* Quotes make a text of a number or a truth, unless a variable was put between them. */
static void
set_number(
	struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	bool strict = key->type == PGR_KEY_BOOL || key->type == PGR_KEY_INT;
	struct pgr_complaint complaint;
	uint64_t value;

	if (node->kind != PGR_NODE_SCALAR || (strict && !node->plain && !node->expanded))
		return pgr_load_wrong_type(load, key, node);
	if (pgr_value_later(key, node->text) != NULL)
		return complain_later(load, key, node, node->text);
	if (!pgr_value_parse(key, node->text, &value, &complaint))
		return pgr_load_complain_key(load, key, node, &complaint);
	if (field != NULL)
		store_number(key, field, value);
}

/* False: told why. */
static bool
check_text(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	uint64_t most = (key->flags & PGR_KEY_NAME) != 0 ? PGR_CONFIG_NAME_MAX : key->max;
	struct pgr_complaint complaint;

	if (node->kind != PGR_NODE_SCALAR || pgr_node_is_null(node)) {
		pgr_load_wrong_type(load, key, node);
		return false;
	}
	if (node->len == 0) {
		complain(load, key, node, "must not be an empty text");
		return false;
	}
	if (node->len > most) {
		pgr_complaint_set(
			&complaint, "is longer than %llu bytes", (unsigned long long)most);
		pgr_load_complain_key(load, key, node, &complaint);
		return false;
	}
	if ((key->flags & PGR_KEY_STDERR) != 0 && node->text[0] != '/' &&
		strcmp(node->text, "stderr") != 0) {
		complain(load, key, node, "must be stderr or an absolute path");
		return false;
	}
	return true;
}

static void
set_text(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_key *key,
	void *field, const struct pgr_node *node)
{
	pgr_cref ref;

	if (!check_text(load, key, node))
		return;
	ref.off = pgr_block_add_text(&load->block, node->text);
	if (field != NULL)
		memcpy(field, &ref, sizeof(ref));
	if ((key->flags & PGR_KEY_HOST) != 0)
		((struct pgr_config_server *)scope->self)->is_unix = node->text[0] == '/';
}

static void
set_file(struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	struct pgr_config_file file;

	if (!check_text(load, key, node) || !pgr_load_text_file(load, key, node, &file.text))
		return;
	file.path.off = pgr_block_add_text(&load->block, node->text);
	memcpy(field, &file, sizeof(file));
}

/* Lists may be given as their only element. first: where iteration begins; false: told why not. */
static bool
list_of(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	uint32_t most, const struct pgr_node **first, uint32_t *count)
{
	struct pgr_complaint complaint;

	if (node->kind == PGR_NODE_MAP || pgr_node_is_null(node)) {
		pgr_load_wrong_type(load, key, node);
		return false;
	}
	*first = node->kind == PGR_NODE_LIST ? node->first : node;
	*count = node->kind == PGR_NODE_LIST ? node->count : 1;
	if (*count <= most)
		return true;
	pgr_complaint_set(&complaint, "has more than %u elements", most);
	pgr_load_complain_key(load, key, node, &complaint);
	return false;
}

/* Adds count elements of size bytes to the block. */
static void
store_list(struct pgr_load *load, void *field, const void *elements, uint32_t count, size_t size)
{
	struct pgr_config_list list = {.n = count};

	if (count > 0)
		list.off = pgr_block_add(&load->block, elements, count * size);
	memcpy(field, &list, sizeof(list));
}

static void
set_texts(
	struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	const struct pgr_node *item;
	pgr_cref *texts;
	uint32_t count, n = 0;

	if (!list_of(load, key, node, TEXTS_MAX, &item, &count))
		return;
	texts = pgr_arena_alloc(&load->arena, (count + 1) * sizeof(*texts));
	if (texts == NULL)
		return complain(load, key, node, "the configuration is too large");
	for (uint32_t i = 0; i < count; i++, item = item->next)
		if (!item->bad && check_text(load, key, item))
			texts[n++].off = pgr_block_add_text(&load->block, item->text);
	store_list(load, field, texts, n, sizeof(*texts));
}

static bool
read_address(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	struct pgr_config_listen *ret)
{
	struct pgr_value_address address;
	struct pgr_complaint complaint;
	char host[256];

	if (node->kind != PGR_NODE_SCALAR || pgr_node_is_null(node)) {
		pgr_load_wrong_type(load, key, node);
		return false;
	}
	if (!pgr_value_address(node->text, &address, &complaint)) {
		pgr_load_complain_key(load, key, node, &complaint);
		return false;
	}
	snprintf(host, sizeof(host), "%.*s", (int)address.host_len, address.host);
	ret->host.off = pgr_block_add_text(&load->block, host);
	ret->port = address.port;
	ret->is_unix = address.is_unix;
	return true;
}

static void
set_address(
	struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	struct pgr_config_listen listen = {0};

	if (!read_address(load, key, node, &listen))
		return;
	if (listen.is_unix)
		return complain(load, key, node, "must be host:port, not a directory");
	memcpy(field, &listen, sizeof(listen));
}

static void
set_addresses(
	struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	struct pgr_config_listen listens[ADDRESSES_MAX] = {0};
	const struct pgr_node *item;
	uint16_t port = 0;
	uint32_t count, n = 0;

	if (!list_of(load, key, node, ADDRESSES_MAX, &item, &count))
		return;
	if (count == 0)
		return complain(load, key, node, "must not be empty");
	for (uint32_t i = 0; i < count; i++, item = item->next) {
		if (item->bad || !read_address(load, key, item, &listens[n]))
			continue;
		if (port == 0)
			port = listens[n].port;
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		if (listens[i].port == 0)
			listens[i].port = port != 0 ? port : 6432;
	store_list(load, field, listens, n, sizeof(listens[0]));
}

/* What is wrong is said without a character of the password. */
static bool
read_secret(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	const char *text, struct pgr_config_secret *ret)
{
	struct pgr_complaint complaint;

	if (text[0] == '\0') {
		complain(load, key, node, "must not be an empty password");
		return false;
	}
	if (strlen(text) > PASSWORD_MAX) {
		complain(load, key, node, "is too long for a password");
		return false;
	}
	if (!pgr_value_secret(text, &ret->kind, &complaint)) {
		pgr_load_complain_key(load, key, node, &complaint);
		return false;
	}
	ret->text.off = pgr_block_add_text(&load->secrets, text);
	return true;
}

static void
set_secret(struct pgr_load *load, const struct pgr_key *key, void *field,
	const struct pgr_node *node, const char *text)
{
	struct pgr_config_secret secret = {0};

	if (!read_secret(load, key, node, text, &secret))
		return;
	if (secret.kind == PGR_CONFIG_SECRET_SCRAM)
		return complain(load, key, node, "a SCRAM secret is not enough to log in with");
	memcpy(field, &secret, sizeof(secret));
}

/* The salt is sent before the password is known, so that one salt must do for all. */
static void
check_scram(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *item,
	const char **first)
{
	if (*first == NULL)
		*first = item->text;
	else if (!pgr_value_scram_alike(*first, item->text))
		complain(load, key, item, "several SCRAM secrets need equal salt and iterations");
}

static void
set_secrets(
	struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	struct pgr_config_secret secrets[PGR_SCRAM_PASSWORDS] = {0};
	const struct pgr_node *item;
	const char *scram = NULL;
	uint32_t count, n = 0;

	if (!list_of(load, key, node, PGR_SCRAM_PASSWORDS, &item, &count))
		return;
	for (uint32_t i = 0; i < count; i++, item = item->next) {
		if (item->bad)
			continue;
		if (item->kind != PGR_NODE_SCALAR || pgr_node_is_null(item)) {
			pgr_load_wrong_type(load, key, item);
		} else if (read_secret(load, key, item, item->text, &secrets[n])) {
			if (secrets[n].kind == PGR_CONFIG_SECRET_SCRAM) {
				check_scram(load, key, item, &scram);
				load->cfg.scram_secrets = true;
			}
			n++;
		}
	}
	store_list(load, field, secrets, n, sizeof(secrets[0]));
}

/* Databases and the monitor have one secret, users a list. */
static void
set_secret_file(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_key *key,
	void *field, const struct pgr_node *node)
{
	const char *text = pgr_load_password_file(load, key, node);
	struct pgr_config_secret secret = {0};

	if (text == NULL)
		return;
	if (scope->where != PGR_IN_USER)
		set_secret(load, key, field, node, text);
	else if (read_secret(load, key, node, text, &secret)) {
		load->cfg.scram_secrets |= secret.kind == PGR_CONFIG_SECRET_SCRAM;
		store_list(load, field, &secret, 1, sizeof(secret));
	}
}

/* `password` and `password_file` fill one field, which begins zeroed. */
static bool
secret_is_set(const struct pgr_scope *scope, const void *field)
{
	struct pgr_config_secret secret;
	struct pgr_config_list list;

	if (scope->where == PGR_IN_USER) {
		memcpy(&list, field, sizeof(list));
		return list.n > 0;
	}
	memcpy(&secret, field, sizeof(secret));
	return secret.kind != PGR_CONFIG_SECRET_NONE;
}

static void
set_some_secret(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_key *key,
	void *field, const struct pgr_node *node)
{
	if (secret_is_set(scope, field))
		return complain(load, key, node, "password and password_file exclude each other");
	if (key->type == PGR_KEY_SECRETS)
		return set_secrets(load, key, field, node);
	if (node->kind != PGR_NODE_SCALAR)
		return pgr_load_wrong_type(load, key, node);
	if (key->type == PGR_KEY_SECRET)
		set_secret(load, key, field, node, node->text);
	else
		set_secret_file(load, scope, key, field, node);
}

static bool
is_secret(const struct pgr_key *key)
{
	return key->type == PGR_KEY_SECRET || key->type == PGR_KEY_SECRETS ||
		key->type == PGR_KEY_SECRET_FILE;
}

static void
set_null(struct pgr_load *load, const struct pgr_key *key, void *field, const struct pgr_node *node)
{
	if ((key->flags & PGR_KEY_NULLABLE) == 0)
		pgr_load_wrong_type(load, key, node);
	else if (field != NULL && !is_secret(key))
		memset(field, 0, pgr_key_size(key));
}

static void
set_given(struct pgr_load *load, const struct pgr_scope *scope, const struct pgr_key *key,
	void *field, const struct pgr_node *node)
{
	if (pgr_node_is_null(node))
		set_null(load, key, field, node);
	else if (is_number(key))
		set_number(load, key, field, node);
	else if (is_secret(key))
		set_some_secret(load, scope, key, field, node);
	else if (key->type == PGR_KEY_TEXT)
		set_text(load, scope, key, field, node);
	else if (key->type == PGR_KEY_FILE)
		set_file(load, key, field, node);
	else if (key->type == PGR_KEY_TEXTS)
		set_texts(load, key, field, node);
	else if (key->type == PGR_KEY_ADDRESS)
		set_address(load, key, field, node);
	else if (key->type == PGR_KEY_ADDRESSES)
		set_addresses(load, key, field, node);
}

void
pgr_load_value(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node)
{
	bool later = key->later != NULL || key->type == PGR_KEY_ABSENT;

	if (node->bad)
		return;
	if (later && !asks_nothing(key, node))
		return complain_later(load, key, node, NULL);
	if (later && (pgr_node_is_null(node) || node->kind != PGR_NODE_SCALAR))
		return; /* off, whatever its type */
	set_given(load, scope, key, field_of(scope, key), node);
	if (scope->set != NULL)
		*scope->set |= pgr_key_bit(key);
}
