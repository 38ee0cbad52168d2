/*
 * The views that are not taken from slots and client records alone: statistics, configuration,
 * databases, users, counts. Called by console.c and by the stats process, each with the configuration
 * that it has pinned. Reads the segment, writes nothing.
 */
#include "worker/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/keys.h"
#include "shm/pause.h"
#include "shm/totals.h"
#include "worker/show_live.h"

/* What an average is over. */
enum per {
	PER_SECOND,
	PER_XACT,
	PER_QUERY,
	PER_WAIT,
};

/* PgBouncer's statistics, in its order and under its three names. */
static const struct figure {
	const char *total;
	const char *plain;
	const char *average;
	size_t counter; /* in struct pgr_average_database */
	enum per per;
} figures[] = {
#define FIGURE(total, plain, average, counter, per)                                                \
	{"total_" total, plain, "avg_" average, offsetof(struct pgr_average_database, counter), per},
	FIGURE("server_assignment_count", "server_assignment_count", "server_assignment_count",
		server_assignment_count, PER_SECOND)
	FIGURE("xact_count", "xact_count", "xact_count", xact_count, PER_SECOND)
	FIGURE("query_count", "query_count", "query_count", query_count, PER_SECOND)
	FIGURE("received", "bytes_received", "recv", received, PER_SECOND)
	FIGURE("sent", "bytes_sent", "sent", sent, PER_SECOND)
	FIGURE("xact_time", "xact_time", "xact_time", xact_time, PER_XACT)
	FIGURE("query_time", "query_time", "query_time", query_time, PER_QUERY)
	FIGURE("wait_time", "wait_time", "wait_time", wait_time, PER_WAIT)
	FIGURE("client_parse_count", "client_parse_count", "client_parse_count", client_parse_count,
		PER_SECOND)
	FIGURE("server_parse_count", "server_parse_count", "server_parse_count", server_parse_count,
		PER_SECOND)
	FIGURE("bind_count", "bind_count", "bind_count", bind_count, PER_SECOND)
#undef FIGURE
};

static uint64_t
counter_of(const struct figure *figure, const struct pgr_average_database *db)
{
	return *(const uint64_t *)(const void *)((const char *)db + figure->counter);
}

static uint64_t
average_of(const struct figure *figure, const struct pgr_average_database *grown, pgr_usec took)
{
	uint64_t sum = counter_of(figure, grown);
	uint64_t n = 0;

	switch (figure->per) {
	case PER_SECOND:
		return (uint64_t)((double)sum * (double)PGR_USEC_PER_SEC / (double)took);
	case PER_XACT:
		n = grown->xact_count;
		break;
	case PER_QUERY:
		n = grown->query_count;
		break;
	case PER_WAIT:
		n = grown->wait_count;
		break;
	}
	return n == 0 ? 0 : sum / n;
}

static void
put_ours(struct pgr_row *row, const struct pgr_average_database *db)
{
	pgr_row_numeric(row, "total_wait_count", db->wait_count);
	pgr_row_numeric(row, "total_wait_failed", db->wait_failed);
	pgr_row_numeric(row, "total_client_logins", db->client_logins);
	pgr_row_numeric(row, "total_server_logins", db->server_logins);
	pgr_row_numeric(row, "total_server_login_failures", db->server_login_failures);
	pgr_row_numeric(row, "total_errors", db->errors);
	pgr_row_numeric(row, "total_cancels", db->cancels);
	pgr_row_numeric(row, "total_pins", db->pins);
}

static void
stats_row(struct pgr_row *row, enum pgr_view what, const struct pgr_average_database *db,
	const struct pgr_average_database *grown, pgr_usec took)
{
	pgr_row_text(row, "database", db->name);
	for (size_t i = 0; i < PGR_COUNT_OF(figures); i++)
		if (what != PGR_VIEW_STATS_AVERAGES)
			pgr_row_numeric(row,
				what == PGR_VIEW_STATS ? figures[i].total : figures[i].plain,
				counter_of(&figures[i], db));
	for (size_t i = 0; i < PGR_COUNT_OF(figures); i++)
		if (what != PGR_VIEW_STATS_TOTALS)
			pgr_row_numeric(row,
				what == PGR_VIEW_STATS ? figures[i].average : figures[i].plain,
				average_of(&figures[i], grown, took));
	if (what == PGR_VIEW_STATS)
		put_ours(row, db);
}

static enum pgr_rc
show_stats(const struct pgr_show_source *source, enum pgr_view what, struct pgr_rows *rows,
	struct pgr_err *err)
{
	static const struct pgr_average_database none;
	struct pgr_average_snapshot now;

	if (pgr_average_take(source->shm->stats, pgr_clock_now(), &now, err) != PGR_OK)
		return PGR_FAIL;
	stats_row(pgr_rows_next(rows), what, &none, &none, 1);
	rows->columns(rows);
	for (size_t i = 0; i < now.n; i++) {
		struct pgr_average_database grown;
		pgr_usec took = pgr_average_get(source->average, &now, now.row[i].name, &grown);

		stats_row(pgr_rows_next(rows), what, &now.row[i], &grown, took);
		rows->add(rows);
	}
	pgr_average_drop(&now);
	return PGR_OK;
}

static void
total_row(struct pgr_row *row, const char *name, uint64_t value)
{
	pgr_row_text(row, "name", name);
	pgr_row_numeric(row, "value", value);
}

static enum pgr_rc
show_totals(const struct pgr_show_source *source, struct pgr_rows *rows, struct pgr_err *err)
{
	uint64_t total[PGR_COUNT_OF(figures)] = {0};
	struct pgr_average_database grown_sum = {.name = ""};
	struct pgr_average_snapshot now;
	pgr_usec took = 1;

	if (pgr_average_take(source->shm->stats, pgr_clock_now(), &now, err) != PGR_OK)
		return PGR_FAIL;
	for (size_t i = 0; i < now.n; i++) {
		struct pgr_average_database grown;

		took = pgr_average_get(source->average, &now, now.row[i].name, &grown);
#define X(counter, help) grown_sum.counter += grown.counter;
		PGR_POOL_COUNTERS(X)
#undef X
		for (size_t f = 0; f < PGR_COUNT_OF(figures); f++)
			total[f] += counter_of(&figures[f], &now.row[i]);
	}
	pgr_average_drop(&now);
	total_row(pgr_rows_next(rows), "", 0);
	rows->columns(rows);
	for (size_t f = 0; f < PGR_COUNT_OF(figures); f++) {
		total_row(pgr_rows_next(rows), figures[f].total, total[f]);
		rows->add(rows);
	}
	for (size_t f = 0; f < PGR_COUNT_OF(figures); f++) {
		total_row(pgr_rows_next(rows), figures[f].average, average_of(&figures[f], &grown_sum, took));
		rows->add(rows);
	}
	return PGR_OK;
}

static void
config_row(struct pgr_row *row, const struct pgr_config_setting *setting)
{
	pgr_row_text(row, "key", setting->path);
	pgr_row_text(row, "value", setting->value);
	pgr_row_text(row, "default", setting->fallback == NULL ? "" : setting->fallback);
	pgr_row_text(row, "changeable", setting->needs_restart ? "no" : "yes");
}

static void
on_setting(void *arg, const struct pgr_config_setting *setting)
{
	struct pgr_rows *rows = arg;

	config_row(pgr_rows_next(rows), setting);
	rows->add(rows);
}

static void
show_config(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	const struct pgr_config_setting blank = {.path = "", .value = "", .fallback = ""};

	config_row(pgr_rows_next(rows), &blank);
	rows->columns(rows);
	pgr_config_each(source->config, on_setting, rows);
}

/* Hosts as a list in one column, as PgBouncer has them; the port is the first one's. */
static void
put_hosts(struct pgr_row *row, const struct pgr_config *config, const struct pgr_config_db *db)
{
	const struct pgr_config_server *server;
	char hosts[512] = "";
	size_t len = 0;
	uint32_t port = 0;

	for (uint32_t i = 0; (server = pgr_config_server_at(config, db, i)) != NULL; i++) {
		int n = snprintf(hosts + len, sizeof(hosts) - len, "%s%s", i > 0 ? "," : "",
			pgr_config_text(config, server->host));

		port = i == 0 ? server->port : port;
		if (n < 0 || (size_t)n >= sizeof(hosts) - len)
			break;
		len += (size_t)n;
	}
	pgr_row_text(row, "host", hosts);
	pgr_row_int4(row, "port", port);
}

static void
database_row(struct pgr_row *row, const struct pgr_show_source *source,
	const struct pgr_config_db *db, struct pgr_show_use use)
{
	static const char *const balance[] = {"round_robin", "random", "least_connections"};
	const struct pgr_config *config = source->config;
	const struct pgr_config_pooling *set = &db->pooling;
	const char *name = pgr_config_text(config, db->name);

	pgr_row_text(row, "name", name);
	put_hosts(row, config, db);
	pgr_row_text(row, "database",
		pgr_config_is_null(db->dbname) ? name : pgr_config_text(config, db->dbname));
	pgr_row_text(row, "force_user", pgr_config_text(config, db->user));
	pgr_row_int4(row, "pool_size", set->pool_size);
	pgr_row_int4(row, "min_pool_size", set->min_pool_size);
	pgr_row_int4(row, "reserve_pool_size", set->reserve_pool_size);
	pgr_row_int4(row, "server_lifetime", set->server_lifetime / PGR_USEC_PER_SEC);
	pgr_row_text(row, "pool_mode", pgr_show_live_mode(set->pool_mode));
	pgr_row_text(
		row, "load_balance_hosts", balance[(unsigned)set->balance % PGR_COUNT_OF(balance)]);
	pgr_row_int4(row, "max_connections", set->max_db_connections);
	pgr_row_int4(row, "current_connections", use.servers);
	pgr_row_int4(row, "max_client_connections", set->max_client_connections);
	pgr_row_int4(row, "current_client_connections", use.clients);
	pgr_row_int4(row, "paused", pgr_pause_holds(source->shm, name));
	pgr_row_int4(row, "disabled", 0);
}

typedef void on_pool(void *arg, const struct pgr_pool *pool, struct pgr_show_use use);

static void
each_pool(const struct pgr_show_source *source, on_pool *on, void *arg)
{
	uint32_t top = pgr_shm_pools_used(source->shm);

	for (uint32_t n = 0; n < top; n++) {
		const struct pgr_pool *pool = pgr_shm_pool(source->shm, (pgr_pool_id){n});

		if (atomic_load(&pool->state) != PGR_POOL_FREE)
			on(arg, pool, pgr_show_live_use(source, (pgr_pool_id){n}));
	}
}

/* What is used of each database, or by each user: by its place in the list of the configuration. */
struct uses {
	const struct pgr_config *config;
	struct pgr_show_use *use;
};

static void
add_to_database(void *arg, const struct pgr_pool *pool, struct pgr_show_use use)
{
	struct uses *uses = arg;
	char name[PGR_NAME_MAX + 1] = "";
	const struct pgr_config_db *db;

	memcpy(name, pool->database, PGR_NAME_MAX);
	db = pgr_config_find_db(uses->config, name);
	if (db == NULL)
		return;
	uses->use[db - pgr_config_db_at(uses->config, 0)].servers += use.servers;
	uses->use[db - pgr_config_db_at(uses->config, 0)].clients += use.clients;
}

static enum pgr_rc
show_databases(
	const struct pgr_show_source *source, struct pgr_rows *rows, struct pgr_err *err)
{
	static const struct pgr_config_db no_db;
	struct uses uses = {.config = source->config};
	const struct pgr_config_db *db;

	uses.use = calloc(source->config->dbs.n + 1u, sizeof(*uses.use));
	if (uses.use == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	each_pool(source, add_to_database, &uses);
	database_row(pgr_rows_next(rows), source, &no_db, (struct pgr_show_use){0, 0});
	rows->columns(rows);
	for (uint32_t i = 0; (db = pgr_config_db_at(source->config, i)) != NULL; i++) {
		database_row(pgr_rows_next(rows), source, db, uses.use[i]);
		rows->add(rows);
	}
	free(uses.use);
	return PGR_OK;
}

static struct pgr_show_use *
use_of_user(struct uses *uses, const char *name, size_t size)
{
	char text[PGR_NAME_MAX + 1] = "";
	const struct pgr_config_user *user;

	memcpy(text, name, PGR_MIN(size, (size_t)PGR_NAME_MAX));
	user = pgr_config_find_user(uses->config, text);
	return user == NULL ? NULL : &uses->use[user - pgr_config_user_at(uses->config, 0)];
}

static void
add_to_user(void *arg, const struct pgr_pool *pool, struct pgr_show_use use)
{
	struct pgr_show_use *sum = use_of_user(arg, pool->user, sizeof(pool->user));

	if (sum != NULL)
		sum->servers += use.servers;
}

static void
count_client(void *arg, const struct pgr_client_rec *rec)
{
	struct pgr_show_use *sum = use_of_user(arg, rec->user, sizeof(rec->user));

	if (sum != NULL)
		sum->clients += atomic_load(&rec->counted) != 0;
}

/* A size that the user sets itself, else "". */
static void
put_size(struct pgr_row *row, const char *column, const struct pgr_config_user *user, uint32_t size)
{
	const struct pgr_key *key = pgr_key_find(PGR_IN_USER, column);
	char text[16] = "";

	if (key != NULL && (user->set & pgr_key_bit(key)) != 0)
		snprintf(text, sizeof(text), "%u", size);
	pgr_row_text(row, column, text);
}

static void
user_row(struct pgr_row *row, const struct pgr_config *config, const struct pgr_config_user *user,
	struct pgr_show_use use)
{
	const struct pgr_key *mode = pgr_key_find(PGR_IN_USER, "pool_mode");
	bool has_mode = mode != NULL && (user->set & pgr_key_bit(mode)) != 0;

	pgr_row_text(row, "name", pgr_config_text(config, user->name));
	put_size(row, "pool_size", user, user->pooling.pool_size);
	put_size(row, "reserve_pool_size", user, user->pooling.reserve_pool_size);
	pgr_row_text(row, "pool_mode", has_mode ? pgr_show_live_mode(user->pooling.pool_mode) : "");
	pgr_row_int4(row, "max_user_connections", 0);
	pgr_row_int4(row, "current_connections", use.servers);
	pgr_row_int4(row, "max_user_client_connections", user->max_client_connections);
	pgr_row_int4(row, "current_client_connections", use.clients);
}

static enum pgr_rc
show_users(const struct pgr_show_source *source, struct pgr_rows *rows, struct pgr_err *err)
{
	static const struct pgr_config_user nobody;
	struct uses uses = {.config = source->config};
	const struct pgr_config_user *user;

	uses.use = calloc(source->config->users.n + 1u, sizeof(*uses.use));
	if (uses.use == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	each_pool(source, add_to_user, &uses);
	pgr_show_live_each_client(source->shm, count_client, &uses);
	user_row(pgr_rows_next(rows), source->config, &nobody, (struct pgr_show_use){0, 0});
	rows->columns(rows);
	for (uint32_t i = 0; (user = pgr_config_user_at(source->config, i)) != NULL; i++) {
		user_row(pgr_rows_next(rows), source->config, user, uses.use[i]);
		rows->add(rows);
	}
	free(uses.use);
	return PGR_OK;
}

struct counts {
	uint64_t pools;
	uint64_t servers;
	uint64_t clients;
	uint64_t login;
};

static void
count_pool(void *arg, const struct pgr_pool *pool, struct pgr_show_use use)
{
	struct counts *counts = arg;

	(void)pool;
	counts->pools++;
	counts->servers += use.servers;
}

static void
count_state(void *arg, const struct pgr_client_rec *rec)
{
	struct counts *counts = arg;

	if (atomic_load(&rec->state) == PGR_CLIENT_LOGIN)
		counts->login++;
	else
		counts->clients++;
}

static void
list_row(struct pgr_rows *rows, const char *list, uint64_t items, bool columns)
{
	struct pgr_row *row = pgr_rows_next(rows);

	pgr_row_text(row, "list", list);
	pgr_row_int4(row, "items", items);
	(columns ? rows->columns : rows->add)(rows);
}

/* Nothing is kept ready for clients or servers that do not exist, and names are no zones here. */
static void
show_lists(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	struct counts counts = {0};

	each_pool(source, count_pool, &counts);
	pgr_show_live_each_client(source->shm, count_state, &counts);
	list_row(rows, "", 0, true);
	list_row(rows, "databases", source->config->dbs.n, false);
	list_row(rows, "users", source->config->users.n, false);
	list_row(rows, "peers", 0, false);
	list_row(rows, "pools", counts.pools, false);
	list_row(rows, "peer_pools", 0, false);
	list_row(rows, "free_clients", 0, false);
	list_row(rows, "used_clients", counts.clients, false);
	list_row(rows, "login_clients", counts.login, false);
	list_row(rows, "free_servers", 0, false);
	list_row(rows, "used_servers", counts.servers, false);
	list_row(rows, "dns_names", atomic_load(&source->shm->seg->hosts_used), false);
	list_row(rows, "dns_zones", 0, false);
	list_row(rows, "dns_queries", 0, false);
	list_row(rows, "dns_pending", 0, false);
}

static void
pair_row(struct pgr_rows *rows, const char *key, const char *value, bool columns)
{
	struct pgr_row *row = pgr_rows_next(rows);

	pgr_row_text(row, "key", key);
	pgr_row_text(row, "value", value);
	(columns ? rows->columns : rows->add)(rows);
}

static void
show_state(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	bool paused = atomic_load(&source->shm->seg->pauses.all) != 0;

	pair_row(rows, "", "", true);
	pair_row(rows, "active", paused ? "no" : "yes", false);
	pair_row(rows, "paused", paused ? "yes" : "no", false);
	pair_row(rows, "suspended", "no", false);
	pair_row(rows, "stopping",
		atomic_load(&source->shm->seg->stopping) != PGR_STOP_NOT ? "yes" : "no", false);
}

static void
show_version(struct pgr_rows *rows)
{
	pgr_row_text(pgr_rows_next(rows), "version", "");
	rows->columns(rows);
	pgr_row_text(pgr_rows_next(rows), "version", "pgroute " PGR_VERSION);
	rows->add(rows);
}

enum pgr_rc
pgr_show(const struct pgr_show_source *source, enum pgr_view what, struct pgr_rows *rows,
	struct pgr_err *err)
{
	switch (what) {
	case PGR_VIEW_POOLS:
		pgr_show_live_pools(source, rows);
		break;
	case PGR_VIEW_SERVERS:
		pgr_show_live_servers(source, rows);
		break;
	case PGR_VIEW_CLIENTS:
		pgr_show_live_clients(source, rows);
		break;
	case PGR_VIEW_PINS:
		pgr_show_live_pins(source, rows);
		break;
	case PGR_VIEW_STATS:
	case PGR_VIEW_STATS_TOTALS:
	case PGR_VIEW_STATS_AVERAGES:
		return show_stats(source, what, rows, err);
	case PGR_VIEW_TOTALS:
		return show_totals(source, rows, err);
	case PGR_VIEW_CONFIG:
		show_config(source, rows);
		break;
	case PGR_VIEW_DATABASES:
		return show_databases(source, rows, err);
	case PGR_VIEW_USERS:
		return show_users(source, rows, err);
	case PGR_VIEW_LISTS:
		show_lists(source, rows);
		break;
	case PGR_VIEW_STATE:
		show_state(source, rows);
		break;
	case PGR_VIEW_VERSION:
		show_version(rows);
		break;
	case PGR_VIEW_COUNT:
		break;
	}
	return PGR_OK;
}
