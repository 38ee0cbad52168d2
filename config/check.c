/*
 * What no single key can tell: names that are defined twice, limits that contradict each other,
 * references to users that are not there. Sorts databases and users as config.h promises. Called
 * once, when all files have been read.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/pattern.h"
#include "config/value.h"

static int
compare_places(const struct pgr_place *a, const struct pgr_place *b)
{
	if (a->file_index != b->file_index)
		return a->file_index < b->file_index ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->column < b->column ? -1 : a->column > b->column;
}

static int
compare_dbs(const void *va, const void *vb)
{
	const struct pgr_draft_db *a = va;
	const struct pgr_draft_db *b = vb;
	int order = pgr_pattern_compare(a->name, b->name);

	return order != 0 ? order : compare_places(&a->at->place, &b->at->place);
}

static int
compare_users(const void *va, const void *vb)
{
	const struct pgr_draft_user *a = va;
	const struct pgr_draft_user *b = vb;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : compare_places(&a->at->place, &b->at->place);
}

static void
complain_twice(struct pgr_load *load, const char *what, const struct pgr_node *first,
	const struct pgr_node *again)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%s \"%s\" is defined twice (first at %.150s:%u:%u)", what,
		again->text, first->place.file, first->place.line, first->place.column);
	pgr_load_complain(load, again, &complaint);
}

static void
sort_entities(struct pgr_load *load)
{
	if (load->db_count > 1)
		qsort(load->dbs, load->db_count, sizeof(load->dbs[0]), compare_dbs);
	if (load->user_count > 1)
		qsort(load->users, load->user_count, sizeof(load->users[0]), compare_users);
	for (size_t i = 1; i < load->db_count; i++)
		if (strcmp(load->dbs[i - 1].name, load->dbs[i].name) == 0)
			complain_twice(load, "database", load->dbs[i - 1].at, load->dbs[i].at);
	for (size_t i = 1; i < load->user_count; i++)
		if (strcmp(load->users[i - 1].name, load->users[i].name) == 0)
			complain_twice(load, "user", load->users[i - 1].at, load->users[i].at);
}

/* The sizes of a pool as they hold for path. */
static void
check_sizes(struct pgr_load *load, const char *path, const struct pgr_node *at,
	const struct pgr_config_pooling *pooling)
{
	struct pgr_complaint complaint;

	if (pooling->min_pool_size > pooling->pool_size) {
		pgr_complaint_set(&complaint, "%s: min_pool_size (%u) is more than pool_size (%u)",
			path, pooling->min_pool_size, pooling->pool_size);
		pgr_load_complain(load, at, &complaint);
	}
	if (pooling->pool_size + pooling->reserve_pool_size > PGR_CONFIG_PLACES_MAX) {
		pgr_complaint_set(&complaint,
			"%s: pool_size (%u) and reserve_pool_size (%u) are more than %u together",
			path, pooling->pool_size, pooling->reserve_pool_size,
			PGR_CONFIG_PLACES_MAX);
		pgr_load_complain(load, at, &complaint);
	}
}

static uint64_t
size_bits(void)
{
	return pgr_key_bit(pgr_key_find(PGR_IN_DEFAULTS, "pool_size")) |
		pgr_key_bit(pgr_key_find(PGR_IN_DEFAULTS, "min_pool_size")) |
		pgr_key_bit(pgr_key_find(PGR_IN_DEFAULTS, "reserve_pool_size"));
}

/* Where one of the three keys stands in `defaults`, or NULL. */
static const struct pgr_node *
defaults_place(const struct pgr_load *load)
{
	for (size_t i = 0; i < pgr_keys_count; i++)
		if (load->seen[i] != NULL && (pgr_key_bit(&pgr_keys[i]) & size_bits()) != 0)
			return load->seen[i];
	return NULL;
}

static void
check_pools(struct pgr_load *load)
{
	const struct pgr_node *defaults = defaults_place(load);
	uint64_t bits = size_bits();
	struct pgr_config_pooling pooling;
	char path[96];

	if (defaults != NULL)
		check_sizes(load, "defaults", defaults, &load->cfg.defaults);
	for (size_t i = 0; i < load->db_count; i++) {
		if ((load->dbs[i].db.set & bits) == 0)
			continue;
		pooling = load->cfg.defaults;
		pgr_key_overlay(&pooling, &load->dbs[i].db.pooling, load->dbs[i].db.set);
		snprintf(path, sizeof(path), "databases.%s", load->dbs[i].name);
		check_sizes(load, path, load->dbs[i].at, &pooling);
	}
}

/* A user's keys meet those of any database: only what the user says itself can be judged here. */
static void
check_user_pools(struct pgr_load *load)
{
	struct pgr_config_pooling pooling;
	char path[96];

	for (size_t i = 0; i < load->user_count; i++) {
		const struct pgr_draft_user *draft = &load->users[i];

		if ((draft->user.set & size_bits()) == 0)
			continue;
		pooling = (struct pgr_config_pooling){.pool_size = PGR_CONFIG_PLACES_MAX};
		pgr_key_overlay(&pooling, &draft->user.pooling, draft->user.set);
		if ((draft->user.set & pgr_key_bit(pgr_key_find(PGR_IN_USER, "pool_size"))) == 0)
			pooling.reserve_pool_size = 0;
		snprintf(path, sizeof(path), "users.%s", draft->name);
		check_sizes(load, path, draft->at, &pooling);
	}
}

static bool
listen_equal(const struct pgr_load *load, const struct pgr_config_listen *a,
	const struct pgr_config_listen *b)
{
	return a->port == b->port &&
		strcmp(load->block.data + a->host.off, load->block.data + b->host.off) == 0;
}

static void
check_listens(struct pgr_load *load)
{
	const struct pgr_key *key = pgr_key_find(PGR_IN_GLOBAL, "listen");
	const struct pgr_node *at = load->seen[pgr_key_index(key)];
	const struct pgr_config_listen *all;
	struct pgr_complaint complaint;

	if (at == NULL || load->block.full)
		return;
	all = (const struct pgr_config_listen *)(load->block.data + load->cfg.listen.off);
	for (uint32_t i = 0; i < load->cfg.listen.n; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (!listen_equal(load, &all[i], &all[j]))
				continue;
			pgr_complaint_set(
				&complaint, "address %u is the same as address %u", i + 1, j + 1);
			pgr_load_complain_key(load, key, at, &complaint);
		}
	}
}

static bool
is_numeric(const struct pgr_value_address *address)
{
	char host[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	int n = snprintf(host, sizeof(host), "%.*s", (int)address->host_len, address->host);

	return n < (int)sizeof(host) &&
		(inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1);
}

/* Numeric, since there is nobody yet to ask for a name. */
static void
check_dns_servers(struct pgr_load *load)
{
	const struct pgr_key *key = pgr_key_find(PGR_IN_GLOBAL, "dns_servers");
	const struct pgr_node *at = load->seen[pgr_key_index(key)];
	struct pgr_value_address address;
	struct pgr_complaint complaint;
	pgr_cref ref;

	if (at == NULL || load->block.full)
		return;
	for (uint32_t i = 0; i < load->cfg.dns_servers.n; i++) {
		memcpy(&ref, load->block.data + load->cfg.dns_servers.off + i * sizeof(ref), sizeof(ref));
		if (pgr_value_address(load->block.data + ref.off, &address, &complaint)) {
			if (!address.is_unix && is_numeric(&address))
				continue;
			pgr_complaint_set(&complaint, "\"%s\" is not a numeric address with a port",
				load->block.data + ref.off);
		}
		pgr_load_complain_key(load, key, at, &complaint);
	}
}

static bool
is_user(const struct pgr_load *load, const char *name)
{
	for (size_t i = 0; i < load->user_count; i++)
		if (strcmp(load->users[i].name, name) == 0)
			return true;
	return false;
}

/* Who is no user cannot log in to the console either. */
static void
check_admins(struct pgr_load *load, const char *name, struct pgr_config_list list)
{
	const struct pgr_key *key = pgr_key_find(PGR_IN_GLOBAL, name);
	const struct pgr_node *at = load->seen[pgr_key_index(key)];
	struct pgr_complaint complaint;
	pgr_cref ref;

	if (at == NULL || load->block.full)
		return;
	for (uint32_t i = 0; i < list.n; i++) {
		memcpy(&ref, load->block.data + list.off + i * sizeof(ref), sizeof(ref));
		if (is_user(load, load->block.data + ref.off))
			continue;
		pgr_complaint_set(&complaint, "user \"%.150s\" is not defined under users",
			load->block.data + ref.off);
		pgr_load_complain_key(load, key, at, &complaint);
	}
}

void
pgr_load_check(struct pgr_load *load)
{
	sort_entities(load);
	check_pools(load);
	check_user_pools(load);
	check_listens(load);
	check_dns_servers(load);
	check_admins(load, "admin.users", load->cfg.admin_users);
	check_admins(load, "admin.stats_users", load->cfg.admin_stats_users);
	pgr_load_check_tls(load);
}
