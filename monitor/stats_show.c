/*
 * The views that are not taken from slots and client records: statistics by database,
 * configuration, databases, and the state of the whole. Also decides what "healthy" and "ready"
 * mean. Called by stats_control.c and stats_http.c with the configuration that the stats process
 * has pinned.
 */
#include "monitor/stats_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "monitor/stats_live.h"
#include "shm/stats.h"

#define DEFAULT_WATCHDOG (10 * PGR_USEC_PER_SEC)

bool
pgr_stats_show_beats(const struct pgr_stats_source *source, unsigned k)
{
	const struct pgr_proc *proc = pgr_shm_proc(source->shm, k);
	pgr_usec limit = source->config != NULL ? source->config->watchdog_timeout
						: DEFAULT_WATCHDOG;
	pgr_usec beat = atomic_load(&proc->beat);
	pgr_usec now = pgr_clock_now();

	return pgr_proc_is(proc, PGR_LIFE_ALIVE) && (beat > now || now - beat <= limit);
}

static uint32_t
workers_of(const struct pgr_stats_source *source)
{
	return PGR_MIN(source->shm->seg->workers, PGR_WORKERS_MAX);
}

static uint32_t
workers_beating(const struct pgr_stats_source *source)
{
	uint32_t n = 0;

	for (unsigned k = 0; k < workers_of(source); k++)
		n += pgr_stats_show_beats(source, k);
	return n;
}

bool
pgr_stats_show_healthy(const struct pgr_stats_source *source)
{
	return workers_beating(source) > 0;
}

bool
pgr_stats_show_ready(const struct pgr_stats_source *source)
{
	return source->config != NULL && workers_beating(source) > 0 &&
		atomic_load(&source->shm->seg->stopping) == PGR_STOP_NOT;
}

/* PgBouncer's names, in its order; ours behind. */
static void
put_totals(json_t *row, const struct pgr_stats_database *db)
{
	pgr_stats_rows_number(row, "total_xact_count", db->xact_count);
	pgr_stats_rows_number(row, "total_query_count", db->query_count);
	pgr_stats_rows_number(row, "total_received", db->received);
	pgr_stats_rows_number(row, "total_sent", db->sent);
	pgr_stats_rows_number(row, "total_xact_time", db->xact_time);
	pgr_stats_rows_number(row, "total_query_time", db->query_time);
	pgr_stats_rows_number(row, "total_wait_time", db->wait_time);
	pgr_stats_rows_number(row, "total_client_parse_count", db->client_parse_count);
	pgr_stats_rows_number(row, "total_server_parse_count", db->server_parse_count);
	pgr_stats_rows_number(row, "total_bind_count", db->bind_count);
}

static uint64_t
per_second(uint64_t n, pgr_usec took)
{
	return (uint64_t)((double)n * (double)PGR_USEC_PER_SEC / (double)took);
}

static uint64_t
mean(uint64_t sum, uint64_t n)
{
	return n == 0 ? 0 : sum / n;
}

/* As PgBouncer: counts and bytes by the second, times by transaction, query and wait. */
static void
put_averages(json_t *row, const struct pgr_stats_database *grown, pgr_usec took)
{
	pgr_stats_rows_number(row, "avg_xact_count", per_second(grown->xact_count, took));
	pgr_stats_rows_number(row, "avg_query_count", per_second(grown->query_count, took));
	pgr_stats_rows_number(row, "avg_recv", per_second(grown->received, took));
	pgr_stats_rows_number(row, "avg_sent", per_second(grown->sent, took));
	pgr_stats_rows_number(row, "avg_xact_time", mean(grown->xact_time, grown->xact_count));
	pgr_stats_rows_number(row, "avg_query_time", mean(grown->query_time, grown->query_count));
	pgr_stats_rows_number(row, "avg_wait_time", mean(grown->wait_time, grown->wait_count));
	pgr_stats_rows_number(
		row, "avg_client_parse_count", per_second(grown->client_parse_count, took));
	pgr_stats_rows_number(
		row, "avg_server_parse_count", per_second(grown->server_parse_count, took));
	pgr_stats_rows_number(row, "avg_bind_count", per_second(grown->bind_count, took));
}

static void
put_ours(json_t *row, const struct pgr_stats_database *db)
{
	pgr_stats_rows_number(row, "total_wait_count", db->wait_count);
	pgr_stats_rows_number(row, "total_wait_failed", db->wait_failed);
	pgr_stats_rows_number(row, "total_client_logins", db->client_logins);
	pgr_stats_rows_number(row, "total_server_logins", db->server_logins);
	pgr_stats_rows_number(row, "total_server_login_failures", db->server_login_failures);
	pgr_stats_rows_number(row, "total_errors", db->errors);
	pgr_stats_rows_number(row, "total_cancels", db->cancels);
	pgr_stats_rows_number(row, "total_pins", db->pins);
}

static json_t *
stats_row(
	const struct pgr_stats_database *db, const struct pgr_stats_database *grown, pgr_usec took)
{
	json_t *row = json_object();

	pgr_stats_rows_text(row, "database", db->name);
	put_totals(row, db);
	put_averages(row, grown, took);
	put_ours(row, db);
	return row;
}

static void
show_stats(const struct pgr_stats_source *source, struct pgr_stats_text *out)
{
	static const struct pgr_stats_database none;
	struct pgr_stats_snapshot now;
	struct pgr_stats_rows rows;
	struct pgr_err err = {0};

	if (pgr_stats_average_take(source->shm->stats, pgr_clock_now(), &now, &err) != PGR_OK) {
		pgr_stats_rows_error(out, &err);
		return;
	}
	pgr_stats_rows_begin(&rows, source->shm, out, stats_row(&none, &none, 1));
	for (size_t i = 0; i < now.n; i++) {
		struct pgr_stats_database grown;
		pgr_usec took = pgr_stats_average_get(
			source->average, &now, now.row[i].name, &grown);

		pgr_stats_rows_add(&rows, stats_row(&now.row[i], &grown, took));
	}
	pgr_stats_rows_end(&rows);
	pgr_stats_average_drop(&now);
}

static json_t *
config_row(const struct pgr_config_setting *setting)
{
	json_t *row = json_object();

	pgr_stats_rows_text(row, "key", setting->path);
	pgr_stats_rows_text(row, "value", setting->value);
	pgr_stats_rows_text(row, "default", setting->fallback == NULL ? "" : setting->fallback);
	pgr_stats_rows_text(row, "changeable", setting->needs_restart ? "no" : "yes");
	return row;
}

static void
on_setting(void *arg, const struct pgr_config_setting *setting)
{
	pgr_stats_rows_add(arg, config_row(setting));
}

static void
show_config(const struct pgr_stats_source *source, struct pgr_stats_text *out)
{
	const struct pgr_config_setting blank = {.path = "", .value = "", .fallback = ""};
	struct pgr_stats_rows rows;

	pgr_stats_rows_begin(&rows, source->shm, out, config_row(&blank));
	pgr_config_each(source->config, on_setting, &rows);
	pgr_stats_rows_end(&rows);
}

/* Hosts as a list in one column, as PgBouncer has them; the port is the first one's. */
static void
put_hosts(json_t *row, const struct pgr_config *config, const struct pgr_config_db *db)
{
	const struct pgr_config_server *server;
	char hosts[512] = "";
	size_t len = 0;
	uint16_t port = 0;

	for (uint32_t i = 0; (server = pgr_config_server_at(config, db, i)) != NULL; i++) {
		int n = snprintf(hosts + len, sizeof(hosts) - len, "%s%s", i > 0 ? "," : "",
			pgr_config_text(config, server->host));

		port = i == 0 ? server->port : port;
		if (n < 0 || (size_t)n >= sizeof(hosts) - len)
			break;
		len += (size_t)n;
	}
	pgr_stats_rows_text(row, "host", hosts);
	pgr_stats_rows_number(row, "port", port);
}

static json_t *
database_row(
	const struct pgr_config *config, const struct pgr_config_db *db, struct pgr_stats_use use)
{
	static const char *const balance[] = {"round_robin", "random", "least_connections"};
	const struct pgr_config_pooling *set = &db->pooling;
	json_t *row = json_object();

	pgr_stats_rows_text(row, "name", pgr_config_text(config, db->name));
	put_hosts(row, config, db);
	pgr_stats_rows_text(row, "database",
		pgr_config_text(config, pgr_config_is_null(db->dbname) ? db->name : db->dbname));
	pgr_stats_rows_text(row, "force_user", pgr_config_text(config, db->user));
	pgr_stats_rows_number(row, "pool_size", set->pool_size);
	pgr_stats_rows_number(row, "min_pool_size", set->min_pool_size);
	pgr_stats_rows_number(row, "reserve_pool_size", set->reserve_pool_size);
	pgr_stats_rows_number(row, "server_lifetime", set->server_lifetime / PGR_USEC_PER_SEC);
	pgr_stats_rows_text(row, "pool_mode", pgr_stats_live_mode(set->pool_mode));
	pgr_stats_rows_text(
		row, "load_balance_hosts", balance[(unsigned)set->balance % PGR_COUNT_OF(balance)]);
	pgr_stats_rows_number(row, "max_connections", set->max_db_connections);
	pgr_stats_rows_number(row, "current_connections", use.servers);
	pgr_stats_rows_number(row, "max_client_connections", set->max_client_connections);
	pgr_stats_rows_number(row, "current_client_connections", use.clients);
	pgr_stats_rows_number(row, "paused", 0);
	pgr_stats_rows_number(row, "disabled", 0);
	return row;
}

/* What the pools use, by the place of their database in the list. NULL: no memory. */
static struct pgr_stats_use *
uses_of(const struct pgr_stats_source *source)
{
	const struct pgr_config *config = source->config;
	struct pgr_stats_use *uses = calloc(config->dbs.n + 1u, sizeof(*uses));
	uint32_t top = pgr_shm_pools_used(source->shm);

	for (uint32_t n = 0; uses != NULL && n < top; n++) {
		const struct pgr_pool *pool = pgr_shm_pool(source->shm, (pgr_pool_id){n});
		char name[PGR_NAME_MAX + 1] = "";
		const struct pgr_config_db *db;

		if (atomic_load(&pool->state) == PGR_POOL_FREE)
			continue;
		memcpy(name, pool->database, PGR_NAME_MAX);
		db = pgr_config_find_db(config, name);
		if (db != NULL) {
			struct pgr_stats_use use = pgr_stats_live_use(source, (pgr_pool_id){n});
			struct pgr_stats_use *sum = &uses[db - pgr_config_db_at(config, 0)];

			sum->servers += use.servers;
			sum->clients += use.clients;
		}
	}
	return uses;
}

static void
show_databases(const struct pgr_stats_source *source, struct pgr_stats_text *out)
{
	static const struct pgr_config_db no_db;
	struct pgr_stats_use *uses = uses_of(source);
	const struct pgr_config_db *db;
	struct pgr_stats_rows rows;

	pgr_stats_rows_begin(&rows, source->shm, out,
		database_row(source->config, &no_db, (struct pgr_stats_use){0, 0}));
	for (uint32_t i = 0; uses != NULL && (db = pgr_config_db_at(source->config, i)) != NULL;
		i++)
		pgr_stats_rows_add(&rows, database_row(source->config, db, uses[i]));
	rows.cut |= uses == NULL;
	pgr_stats_rows_end(&rows);
	free(uses);
}

void
pgr_stats_show(const struct pgr_stats_source *source, enum pgr_request_show what,
	struct pgr_stats_text *out)
{
	struct pgr_err err = {.message = "no configuration is in force yet"};

	if (source->config == NULL) {
		pgr_stats_rows_error(out, &err);
		return;
	}
	switch (what) {
	case PGR_SHOW_POOLS:
		pgr_stats_live_pools(source, out);
		break;
	case PGR_SHOW_SERVERS:
		pgr_stats_live_servers(source, out);
		break;
	case PGR_SHOW_CLIENTS:
		pgr_stats_live_clients(source, out);
		break;
	case PGR_SHOW_STATS:
		show_stats(source, out);
		break;
	case PGR_SHOW_CONFIG:
		show_config(source, out);
		break;
	case PGR_SHOW_DATABASES:
		show_databases(source, out);
		break;
	}
}

static json_t *
process_row(const struct pgr_stats_source *source, unsigned k)
{
	const struct pgr_proc *proc = pgr_shm_proc(source->shm, k);
	pgr_usec beat = atomic_load(&proc->beat);
	pgr_usec now = pgr_clock_now();
	json_t *row = json_object();
	char name[32];

	snprintf(name, sizeof(name), "worker %u", k);
	pgr_stats_rows_text(row, "process",
		k == PGR_PROC_MONITOR         ? "monitor"
			: k == PGR_PROC_STATS ? "stats"
					      : name);
	pgr_stats_rows_number(row, "pid", atomic_load(&proc->pid));
	json_object_set_new(row, "beats", json_boolean(pgr_stats_show_beats(source, k)));
	pgr_stats_rows_number(
		row, "beat_age_ms", beat != 0 && beat < now ? (now - beat) / PGR_USEC_PER_MSEC : 0);
	pgr_stats_rows_number(row, "incarnation", atomic_load(&proc->incarnation));
	pgr_stats_rows_number(row, "clients", atomic_load(&proc->clients));
	return row;
}

static json_t *
processes(const struct pgr_stats_source *source, uint64_t *ret_clients)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < PGR_PROCS; k++) {
		if (k >= workers_of(source) && k < PGR_PROC_MONITOR)
			continue;
		json_array_append_new(list, process_row(source, k));
		*ret_clients += atomic_load(&pgr_shm_proc(source->shm, k)->clients);
	}
	return list;
}

static const char *
state_text(const struct pgr_stats_source *source)
{
	switch ((enum pgr_stop)atomic_load(&source->shm->seg->stopping)) {
	case PGR_STOP_NOT:
		return pgr_stats_show_ready(source) ? "running" : "not ready";
	case PGR_STOP_GRACE:
	case PGR_STOP_GRACEFUL:
	case PGR_STOP_FAST:
		break;
	}
	return "stopping";
}

/* Where clients connect, for the line that `pgroutectl start` and `status` print. */
static json_t *
listen_list(struct pgr_shm *shm)
{
	struct pgr_listening *listening = &shm->seg->listening;
	uint32_t count = PGR_MIN(atomic_load(&listening->count), (uint32_t)PGR_LISTENING_MOST);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(listening->text[i]));
	return list;
}

static void
put_limits(json_t *object, const struct pgr_config *config)
{
	pgr_stats_rows_number(object, "max_clients", config != NULL ? config->max_clients : 0);
	pgr_stats_rows_number(object, "shutdown_grace_ms",
		config != NULL ? config->shutdown_grace / PGR_USEC_PER_MSEC : 0);
	pgr_stats_rows_number(object, "shutdown_timeout_ms",
		config != NULL ? config->shutdown_timeout / PGR_USEC_PER_MSEC : 0);
}

static uint64_t
pools_in_use(struct pgr_shm *shm)
{
	uint32_t top = pgr_shm_pools_used(shm);
	uint64_t used = 0;

	for (uint32_t n = 0; n < top; n++)
		used += atomic_load(&pgr_shm_pool(shm, (pgr_pool_id){n})->state) != PGR_POOL_FREE;
	return used;
}

void
pgr_stats_show_status(const struct pgr_stats_source *source, struct pgr_stats_text *out)
{
	const struct pgr_stats *stats = source->shm->stats;
	json_t *object = json_object();
	uint64_t clients = 0;
	json_t *list = processes(source, &clients);

	json_object_set_new(object, "ok", json_true());
	pgr_stats_rows_text(object, "state", state_text(source));
	json_object_set_new(object, "ready", json_boolean(pgr_stats_show_ready(source)));
	pgr_stats_rows_number(object, "pid", (uint64_t)source->master);
	pgr_stats_rows_text(object, "version", PGR_VERSION);
	pgr_stats_rows_time(object, "started", atomic_load(&stats->started));
	json_object_set_new(object, "listen", listen_list(source->shm));
	pgr_stats_rows_number(object, "workers", workers_of(source));
	pgr_stats_rows_number(object, "workers_alive", workers_beating(source));
	pgr_stats_rows_number(object, "clients", clients);
	put_limits(object, source->config);
	pgr_stats_rows_number(object, "pools", pools_in_use(source->shm));
	pgr_stats_rows_number(object, "configuration", source->version);
	pgr_stats_rows_number(object, "reloads", atomic_load(&stats->reloads));
	pgr_stats_rows_number(object, "respawns", atomic_load(&stats->respawns));
	json_object_set_new(object, "processes", list);
	pgr_stats_rows_object(out, object);
}
