/*
 * What a reload changes: two configurations side by side, row by row of the table. Values are
 * compared, not their texts, which may be cut. Called by the master, whose answer to reload it is.
 */
#include <string.h>

#include "config/pattern.h"
#include "config/show.h"

struct differ {
	pgr_config_on_change *on_change;
	void *arg;
	size_t count;
};

static bool
text_equal(const struct pgr_section *a, pgr_cref ra, const struct pgr_section *b, pgr_cref rb)
{
	return pgr_config_is_null(ra) == pgr_config_is_null(rb) &&
		strcmp(pgr_config_text(a->cfg, ra), pgr_config_text(b->cfg, rb)) == 0;
}

static bool
secret_equal(const struct pgr_section *a, const struct pgr_config_secret *sa,
	const struct pgr_section *b, const struct pgr_config_secret *sb)
{
	return sa->kind == sb->kind &&
		strcmp(pgr_config_secret_text(a->secrets, sa->text),
			pgr_config_secret_text(b->secrets, sb->text)) == 0;
}

static bool
listen_equal(const struct pgr_section *a, const struct pgr_config_listen *la,
	const struct pgr_section *b, const struct pgr_config_listen *lb)
{
	return la->port == lb->port && la->is_unix == lb->is_unix &&
		text_equal(a, la->host, b, lb->host);
}

static bool
file_equal(const struct pgr_section *a, const struct pgr_config_file *fa,
	const struct pgr_section *b, const struct pgr_config_file *fb)
{
	return text_equal(a, fa->path, b, fb->path) &&
		strcmp(pgr_config_secret_text(a->secrets, fa->text),
			pgr_config_secret_text(b->secrets, fb->text)) == 0;
}

static bool
tls_equal(const struct pgr_section *a, const struct pgr_config_tls *ta, const struct pgr_section *b,
	const struct pgr_config_tls *tb)
{
	return ta->mode == tb->mode && file_equal(a, &ta->cert, b, &tb->cert) &&
		file_equal(a, &ta->key, b, &tb->key) && file_equal(a, &ta->ca, b, &tb->ca);
}

static bool
server_equal(const struct pgr_section *a, const struct pgr_config_server *sa,
	const struct pgr_section *b, const struct pgr_config_server *sb)
{
	return sa->port == sb->port && sa->role == sb->role && sa->weight == sb->weight &&
		text_equal(a, sa->host, b, sb->host) && tls_equal(a, &sa->tls, b, &sb->tls);
}

static size_t
item_size(const struct pgr_key *key)
{
	switch ((unsigned)key->type) {
	case PGR_KEY_TEXTS:
		return sizeof(pgr_cref);
	case PGR_KEY_SECRETS:
		return sizeof(struct pgr_config_secret);
	case PGR_KEY_ADDRESSES:
		return sizeof(struct pgr_config_listen);
	case PGR_KEY_SERVERS:
		return sizeof(struct pgr_config_server);
	default:
		return 0; /* no list */
	}
}

static bool
item_equal(const struct pgr_key *key, const struct pgr_section *a, const void *ia,
	const struct pgr_section *b, const void *ib)
{
	if (ia == NULL || ib == NULL)
		return false;
	if (key->type == PGR_KEY_TEXTS)
		return text_equal(a, *(const pgr_cref *)ia, b, *(const pgr_cref *)ib);
	if (key->type == PGR_KEY_SECRETS)
		return secret_equal(a, ia, b, ib);
	if (key->type == PGR_KEY_ADDRESSES)
		return listen_equal(a, ia, b, ib);
	return server_equal(a, ia, b, ib);
}

static bool
list_equal(const struct pgr_key *key, const struct pgr_section *a, const void *fa,
	const struct pgr_section *b, const void *fb)
{
	struct pgr_config_list la, lb;
	size_t size = item_size(key);

	memcpy(&la, fa, sizeof(la));
	memcpy(&lb, fb, sizeof(lb));
	if (la.n != lb.n)
		return false;
	for (uint32_t i = 0; i < la.n; i++)
		if (!item_equal(key, a, pgr_config_item(a->cfg, la, i, size), b,
			    pgr_config_item(b->cfg, lb, i, size)))
			return false;
	return true;
}

static bool
field_equal(const struct pgr_key *key, const struct pgr_section *a, const struct pgr_section *b)
{
	const void *fa = pgr_section_field(a, key);
	const void *fb = pgr_section_field(b, key);

	if (fa == NULL || fb == NULL)
		return true;
	if (item_size(key) > 0)
		return list_equal(key, a, fa, b, fb);
	if (key->type == PGR_KEY_TEXT)
		return text_equal(a, *(const pgr_cref *)fa, b, *(const pgr_cref *)fb);
	if (key->type == PGR_KEY_SECRET)
		return secret_equal(a, fa, b, fb);
	if (key->type == PGR_KEY_FILE)
		return file_equal(a, fa, b, fb);
	if (key->type == PGR_KEY_ADDRESS)
		return listen_equal(a, fa, b, fb);
	return memcmp(fa, fb, pgr_key_size(key)) == 0;
}

static void
tell(struct differ *differ, const char *path, const char *from, const char *to, bool needs_restart)
{
	struct pgr_config_change change = {
		.path = path, .from = from, .to = to, .needs_restart = needs_restart};

	differ->count++;
	differ->on_change(differ->arg, &change);
}

/* A pooling key that a database or user does not set follows the defaults. */
static void
side_text(const struct pgr_section *section, const struct pgr_key *key, char *buf, size_t size)
{
	if (key->home == PGR_HOME_POOLING && !pgr_section_sets(section, key))
		snprintf(buf, size, "default");
	else
		pgr_section_value(section, key, buf, size);
}

static void
tell_key(struct differ *differ, const struct pgr_key *key, const struct pgr_section *a,
	const struct pgr_section *b)
{
	char path[160], from[512], to[512];
	bool secret = key->type == PGR_KEY_SECRET || key->type == PGR_KEY_SECRETS;

	pgr_section_path(b, key, path, sizeof(path));
	side_text(a, key, from, sizeof(from));
	side_text(b, key, to, sizeof(to));
	/* what differs is in a file */
	secret = secret || (strcmp(from, to) == 0 && strlen(to) + 1 < sizeof(to));
	tell(differ, path, from, secret ? "(changed)" : to, (key->flags & PGR_KEY_RESTART) != 0);
}

static void
diff_sections(struct differ *differ, const struct pgr_section *a, const struct pgr_section *b)
{
	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];
		bool a_sets, b_sets;

		if (!pgr_section_has(b, key))
			continue;
		a_sets = pgr_section_sets(a, key);
		b_sets = pgr_section_sets(b, key);
		if (a_sets != b_sets || (a_sets && !field_equal(key, a, b)))
			tell_key(differ, key, a, b);
	}
}

/* Database or user i as a section; false: there is none. */
static bool
entity_at(const struct pgr_config_pair *pair, unsigned where, uint32_t i,
	struct pgr_section *section, const char **name)
{
	const struct pgr_config *cfg = pair->config;
	const struct pgr_config_db *db;
	const struct pgr_config_user *user;

	if (where == PGR_IN_DATABASE) {
		db = pgr_config_db_at(cfg, i);
		if (db == NULL)
			return false;
		*section = pgr_section_db(cfg, db);
		*name = pgr_config_text(cfg, db->name);
	} else {
		user = pgr_config_user_at(cfg, i);
		if (user == NULL)
			return false;
		*section = pgr_section_user(cfg, user);
		*name = pgr_config_text(cfg, user->name);
	}
	section->secrets = pair->secrets;
	return true;
}

/* Both sides are sorted alike, so this walks them as a merge does. */
static void
diff_entities(struct differ *differ, unsigned where, const struct pgr_config_pair *from,
	const struct pgr_config_pair *to)
{
	const char *x = "", *y = "";
	struct pgr_section a, b;
	uint32_t i = 0, j = 0;

	while (true) {
		bool have_a = entity_at(from, where, i, &a, &x);
		bool have_b = entity_at(to, where, j, &b, &y);
		int order = have_a ? -1 : 1;

		if (!have_a && !have_b)
			return;
		if (have_a && have_b)
			order = where == PGR_IN_DATABASE ? pgr_pattern_compare(x, y) : strcmp(x, y);
		if (order < 0)
			tell(differ, a.path, "", NULL, false);
		else if (order > 0)
			tell(differ, b.path, NULL, "", false);
		else
			diff_sections(differ, &a, &b);
		i += order <= 0;
		j += order >= 0;
	}
}

size_t
pgr_config_diff(const struct pgr_config_pair *from, const struct pgr_config_pair *to,
	pgr_config_on_change *on_change, void *arg)
{
	struct differ differ = {.on_change = on_change, .arg = arg};
	struct pgr_section a = pgr_section_global(from->config);
	struct pgr_section b = pgr_section_global(to->config);

	a.secrets = from->secrets;
	b.secrets = to->secrets;
	diff_sections(&differ, &a, &b);
	a = pgr_section_defaults(from->config);
	b = pgr_section_defaults(to->config);
	diff_sections(&differ, &a, &b);
	diff_entities(&differ, PGR_IN_DATABASE, from, to);
	diff_entities(&differ, PGR_IN_USER, from, to);
	return differ.count;
}

int
pgr_config_change_text(const struct pgr_config_change *change, char *buf, size_t size)
{
	const char *restart = change->needs_restart ? " (needs a restart)" : "";

	if (change->from == NULL)
		return snprintf(buf, size, "%s: added", change->path);
	if (change->to == NULL)
		return snprintf(buf, size, "%s: removed", change->path);
	if (strcmp(change->to, "(changed)") == 0)
		return snprintf(buf, size, "%s: (changed)%s", change->path, restart);
	return snprintf(
		buf, size, "%s: %s -> %s%s", change->path, change->from, change->to, restart);
}
