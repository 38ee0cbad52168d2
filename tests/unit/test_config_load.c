/* config/load.c, tree.c, env.c, set.c, entities.c, check.c: what a file means, and what is wrong
 * with it. */
#include "config_util.h"

#include <stdlib.h>

#include "config/keys.h"
#include "config/tree.h"

#define ONE_DB "databases: {app: {servers: [{host: db}]}}\n"

START_TEST(test_config_load_empty_file_gives_the_defaults)
{
	struct pgr_config_pair pair = load_good("");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_listen *listen = pgr_config_listen_at(cfg, 0);

	ck_assert_uint_eq(cfg->magic, PGR_CONFIG_MAGIC);
	ck_assert_uint_eq(cfg->listen.n, 1);
	ck_assert_str_eq(pgr_config_text(cfg, listen->host), "127.0.0.1");
	ck_assert_uint_eq(listen->port, 6432);
	ck_assert_uint_eq(cfg->workers, 0);
	ck_assert_str_eq(pgr_config_text(cfg, cfg->run_as), "pgroute");
	ck_assert_uint_eq(cfg->http.port, 9930);
	ck_assert_int_eq(cfg->log_level, PGR_LOG_INFO);
	ck_assert_int_eq(cfg->auth_type, PGR_CONFIG_AUTH_SCRAM);
	ck_assert_uint_eq(cfg->max_clients, 10000);
	ck_assert(cfg->sandbox);
	ck_assert(!cfg->log_connections);
	ck_assert_uint_eq(cfg->max_startup_packet, 65536);
	ck_assert_uint_eq(cfg->watchdog_timeout, 10000000);
	ck_assert_uint_eq(cfg->tcp_keepalive_idle, 60000000);
	ck_assert_uint_eq(cfg->tcp_keepalive_count, 3);
	ck_assert_uint_eq(cfg->dbs.n, 0);
	ck_assert_int_eq(cfg->defaults.pool_mode, PGR_CONFIG_TRANSACTION);
	ck_assert_uint_eq(cfg->defaults.pool_size, 20);
	ck_assert_uint_eq(cfg->defaults.server_lifetime, UINT64_C(3600000000));
	ck_assert_uint_eq(cfg->defaults.query_timeout, 0);
	ck_assert_uint_eq(cfg->defaults.prepared_statements, 500);
	ck_assert_uint_eq(cfg->defaults.max_lag, 10000000);
	pgr_config_free(&pair);
	ck_assert_ptr_null(pair.config);
}
END_TEST

START_TEST(test_config_load_every_global_key_arrives)
{
	struct pgr_config_pair pair = load_good(
		"listen: ['0.0.0.0:7000', '[::1]:7001', /run/x, '/run/y:7002']\n"
		"workers: 3\nrun_as: nobody\nhttp: null\ncontrol: /tmp/c.sock\n"
		"log: {level: warning, format: json, destination: stderr, slow_query: null, connections: yes}\n"
		"max_clients: 55\nauth: {type: md5}\n"
		"sandbox: off\nwatchdog_timeout: 0\ncancel_timeout: 1s\nclose_timeout: 2s\nshutdown_grace: 3s\n"
		"shutdown_timeout: 4s\nclient_login_timeout: 5s\nmax_startup_packet: 8kB\n"
		"tcp_keepalive: {idle: 7s, interval: 8s, count: 9}\ntcp_user_timeout: 500ms\n"
		"dns_servers: ['10.0.0.53:53', '[::1]:8600']\n");
	const struct pgr_config *cfg = pair.config;

	ck_assert_uint_eq(cfg->listen.n, 4);
	ck_assert_str_eq(pgr_config_text(cfg, pgr_config_listen_at(cfg, 1)->host), "::1");
	ck_assert_uint_eq(pgr_config_listen_at(cfg, 2)->port, 7000);
	ck_assert(pgr_config_listen_at(cfg, 2)->is_unix);
	ck_assert_uint_eq(pgr_config_listen_at(cfg, 3)->port, 7002);
	ck_assert_ptr_null(pgr_config_listen_at(cfg, 4));
	ck_assert_uint_eq(cfg->workers, 3);
	ck_assert_str_eq(pgr_config_text(cfg, cfg->run_as), "nobody");
	ck_assert(pgr_config_is_null(cfg->http.host));
	ck_assert_str_eq(pgr_config_text(cfg, cfg->control), "/tmp/c.sock");
	ck_assert_int_eq(cfg->log_level, PGR_LOG_WARN);
	ck_assert_int_eq(cfg->log_format, PGR_CONFIG_LOG_JSON);
	ck_assert(cfg->log_connections);
	ck_assert_uint_eq(cfg->max_clients, 55);
	ck_assert_int_eq(cfg->auth_type, PGR_CONFIG_AUTH_MD5);
	ck_assert(!cfg->sandbox);
	ck_assert_uint_eq(cfg->watchdog_timeout, 0);
	ck_assert_uint_eq(cfg->cancel_timeout, 1000000);
	ck_assert_uint_eq(cfg->close_timeout, 2000000);
	ck_assert_uint_eq(cfg->shutdown_grace, 3000000);
	ck_assert_uint_eq(cfg->shutdown_timeout, 4000000);
	ck_assert_uint_eq(cfg->client_login_timeout, 5000000);
	ck_assert_uint_eq(cfg->max_startup_packet, 8192);
	ck_assert_uint_eq(cfg->tcp_keepalive_idle, 7000000);
	ck_assert_uint_eq(cfg->tcp_keepalive_interval, 8000000);
	ck_assert_uint_eq(cfg->tcp_keepalive_count, 9);
	ck_assert_uint_eq(cfg->tcp_user_timeout, 500000);
	ck_assert_uint_eq(cfg->dns_servers.n, 2);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_every_pooling_key_arrives)
{
	struct pgr_config_pair pair = load_good(
		"defaults: {pool_mode: session, pool_size: 11, min_pool_size: 2, reserve_pool_size: 3,\n"
		" reserve_pool_timeout: 4s, max_server_logins: 5, max_db_connections: 6, max_client_connections: 7,\n"
		" queue_timeout: 8s, connect_timeout: 9s, login_retry: 10s, query_timeout: 11s,\n"
		" transaction_timeout: 12s, idle_transaction_timeout: 13s, client_idle_timeout: 14s,\n"
		" server_idle_timeout: 15s, server_lifetime: 16s, prepared_statements: 0,\n"
		" on_session_feature: pin, read_write_split: off, consistency: eventual, max_lag: 10s}\n");
	const struct pgr_config_pooling *p = &pair.config->defaults;

	ck_assert_int_eq(p->pool_mode, PGR_CONFIG_SESSION);
	ck_assert_uint_eq(p->pool_size, 11);
	ck_assert_uint_eq(p->min_pool_size, 2);
	ck_assert_uint_eq(p->reserve_pool_size, 3);
	ck_assert_uint_eq(p->reserve_pool_timeout, 4000000);
	ck_assert_uint_eq(p->max_server_logins, 5);
	ck_assert_uint_eq(p->max_db_connections, 6);
	ck_assert_uint_eq(p->max_client_connections, 7);
	ck_assert_uint_eq(p->queue_timeout, 8000000);
	ck_assert_uint_eq(p->connect_timeout, 9000000);
	ck_assert_uint_eq(p->login_retry, 10000000);
	ck_assert_uint_eq(p->query_timeout, 11000000);
	ck_assert_uint_eq(p->transaction_timeout, 12000000);
	ck_assert_uint_eq(p->idle_transaction_timeout, 13000000);
	ck_assert_uint_eq(p->client_idle_timeout, 14000000);
	ck_assert_uint_eq(p->server_idle_timeout, 15000000);
	ck_assert_uint_eq(p->server_lifetime, 16000000);
	ck_assert_uint_eq(p->prepared_statements, 0);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_database_with_all_its_keys)
{
	struct pgr_config_pair pair = load_good(
		"databases:\n"
		"  app: {dbname: app_production, user: owner, password: s3cret,\n"
		"        servers: [{host: /run/postgresql, port: 5433, role: primary, weight: 1, tls: null}],\n"
		"        rules: [], shards: [], sharding: null, pool_size: 3}\n"
		"  plain: {servers: [{host: 10.0.0.1}]}\n");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_db *app = pgr_config_find_db(cfg, "app");
	const struct pgr_config_db *plain = pgr_config_find_db(cfg, "plain");
	const struct pgr_config_server *server = pgr_config_server_at(cfg, app, 0);

	ck_assert_str_eq(pgr_config_text(cfg, app->dbname), "app_production");
	ck_assert_str_eq(pgr_config_text(cfg, app->user), "owner");
	ck_assert_int_eq(app->password.kind, PGR_CONFIG_SECRET_CLEAR);
	ck_assert_str_eq(pgr_config_secret_text(pair.secrets, app->password.text), "s3cret");
	ck_assert_str_eq(pgr_config_text(cfg, server->host), "/run/postgresql");
	ck_assert(server->is_unix);
	ck_assert_uint_eq(server->port, 5433);
	ck_assert_int_eq(server->role, PGR_CONFIG_ROLE_PRIMARY);
	ck_assert_ptr_null(pgr_config_server_at(cfg, app, 1));
	ck_assert_uint_eq(app->pooling.pool_size, 3);
	ck_assert_uint_eq(plain->pooling.pool_size, 20);
	ck_assert(pgr_config_is_null(plain->dbname));
	ck_assert(pgr_config_is_null(plain->user));
	ck_assert_int_eq(plain->password.kind, PGR_CONFIG_SECRET_NONE);
	server = pgr_config_server_at(cfg, plain, 0);
	ck_assert(!server->is_unix);
	ck_assert_uint_eq(server->port, 5432);
	ck_assert_int_eq(server->role, PGR_CONFIG_ROLE_AUTO);
	ck_assert_uint_eq(server->weight, 1);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_user_secrets_of_each_kind)
{
	struct pgr_config_pair pair = load_good(
		"users:\n"
		"  none:\n"
		"  one: {password: 12345, max_client_connections: 9}\n"
		"  many: {password: ['clear', md50123456789abcdef0123456789abcdef, '" SCRAM_SECRET(
			"c2FsdA==") "']}\n"
				    "  quoted: {password: 'null'}\n");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_user *many = pgr_config_find_user(cfg, "many");
	const struct pgr_config_user *one = pgr_config_find_user(cfg, "one");

	ck_assert_uint_eq(pgr_config_find_user(cfg, "none")->secrets.n, 0);
	ck_assert_uint_eq(one->secrets.n, 1);
	ck_assert_uint_eq(one->max_client_connections, 9);
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets, pgr_config_secret_at(cfg, one, 0)->text),
		"12345");
	ck_assert_uint_eq(many->secrets.n, 3);
	ck_assert_int_eq(pgr_config_secret_at(cfg, many, 0)->kind, PGR_CONFIG_SECRET_CLEAR);
	ck_assert_int_eq(pgr_config_secret_at(cfg, many, 1)->kind, PGR_CONFIG_SECRET_MD5);
	ck_assert_int_eq(pgr_config_secret_at(cfg, many, 2)->kind, PGR_CONFIG_SECRET_SCRAM);
	ck_assert_ptr_null(pgr_config_secret_at(cfg, many, 3));
	ck_assert_uint_eq(pgr_config_find_user(cfg, "quoted")->secrets.n, 1);
	ck_assert(cfg->scram_secrets);
	pgr_config_free(&pair);
	pair = load_good("users: {a: {password: [x, md50123456789abcdef0123456789abcdef]}}\n");
	ck_assert(!pair.config->scram_secrets);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_scram_secrets_need_one_salt)
{
	struct pgr_config_pair pair = load_good("users: {a: {password: ['" SCRAM_SECRET(
		"c2FsdA==") "', '" SCRAM_SECRET("c2FsdA==") "']}}");

	pgr_config_free(&pair);
	assert_error("users: {a: {password: ['" SCRAM_SECRET("c2FsdA==") "', '" SCRAM_SECRET(
			     "U2FsdA==") "']}}",
		"t.yaml:1:145: password: several SCRAM secrets need equal salt and iterations");
}
END_TEST

START_TEST(test_config_load_scram_secret_cannot_log_in_to_a_server)
{
	assert_error(
		"databases: {a: {servers: [{host: h}], password: '" SCRAM_SECRET("c2FsdA==") "'}}",
		"t.yaml:1:49: password: a SCRAM secret is not enough to log in with");
}
END_TEST

START_TEST(test_config_load_tells_all_errors_in_the_order_of_the_file)
{
	load_bad("listne: x\n"
		 "workers: many\n"
		 "defaults: {pool_sise: 3, pool_mode: transactoin}\n"
		 "databases: {app: {servers: []}}\n");
	ck_assert_uint_eq(load_errors.n, 5);
	ck_assert_str_eq(
		error_line(0), "t.yaml:1:1: unknown key \"listne\" (did you mean \"listen\"?)");
	ck_assert_str_eq(error_line(1), "t.yaml:2:10: workers: \"many\" is not a number");
	ck_assert_str_eq(error_line(2),
		"t.yaml:3:12: unknown key \"pool_sise\" in defaults (did you mean \"pool_size\"?)");
	ck_assert_str_eq(error_line(3),
		"t.yaml:3:37: pool_mode: \"transactoin\" is none of session, "
		"transaction, statement (did you mean \"transaction\"?)");
	ck_assert_str_eq(error_line(4), "t.yaml:4:28: databases.app: servers must not be empty");
}
END_TEST

START_TEST(test_config_load_more_errors_than_room_are_counted)
{
	char text[4000] = "";
	char printed[8000] = "";
	FILE *out = fmemopen(printed, sizeof(printed), "w");

	for (unsigned i = 0; i < PGR_CONFIG_ERRORS_MAX + 7; i++)
		sprintf(text + strlen(text), "unknown_%u: 1\n", i);
	load_bad(text);
	ck_assert_uint_eq(load_errors.n, PGR_CONFIG_ERRORS_MAX);
	ck_assert_uint_eq(load_errors.dropped, 7);
	pgr_config_errors_print(&load_errors, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(printed, "\nand 7 more errors\n"));
}
END_TEST

START_TEST(test_config_load_key_of_another_place_is_sent_there)
{
	assert_error("pool_size: 5\n",
		"t.yaml:1:1: unknown key \"pool_size\" (it belongs into \"defaults\")");
	assert_error("defaults: {dbname: x}\n",
		"t.yaml:1:12: unknown key \"dbname\" in defaults (it belongs into a database)");
	assert_error("users: {a: {server_lifetime: 1h}}\n",
		"t.yaml:1:13: unknown key \"server_lifetime\" in users.a (it belongs into \"defaults\")");
	assert_error("log.level: debug\n", "t.yaml:1:1: unknown key \"log.level\"");
}
END_TEST

START_TEST(test_config_load_duplicates_name_both_places)
{
	assert_error("workers: 1\nworkers: 2\n",
		"t.yaml:2:1: \"workers\" is set twice (first at t.yaml:1:1)");
	assert_error("log: {level: info}\nlog: {format: json}\n",
		"t.yaml:2:1: \"log\" is set twice (first at t.yaml:1:1)");
	assert_error("log:\n  level: info\n  level: debug\n",
		"t.yaml:3:3: \"log.level\" is set twice (first at t.yaml:2:3)");
	assert_error("users:\n  a: {}\n  b: {}\n  a: {}\n",
		"t.yaml:4:3: user \"a\" is defined twice (first at t.yaml:2:3)");
	assert_error("databases:\n  '*': {servers: [{host: h}]}\n  '*': {servers: [{host: h}]}\n",
		"t.yaml:3:3: database \"*\" is defined twice (first at t.yaml:2:3)");
	assert_error("users: {a: {pool_size: 1, pool_size: 2}}\n",
		"t.yaml:1:27: \"pool_size\" is set twice (first at t.yaml:1:13)");
}
END_TEST

START_TEST(test_config_load_wrong_types_are_refused)
{
	assert_error(
		"workers: [1]\n", "t.yaml:1:10: workers: must be auto or a number, not a list");
	assert_error("max_clients: '5'\n",
		"t.yaml:1:14: max_clients: must be a number, not a quoted text");
	assert_error("max_clients:\n", "t.yaml:1:13: max_clients: must be a number, not empty");
	assert_error("sandbox: {}\n", "t.yaml:1:10: sandbox: must be true or false, not a mapping");
	assert_error("log: 5\n", "t.yaml:1:6: log: must be a mapping, not a single value");
	assert_error("defaults: []\n", "t.yaml:1:11: defaults: must be a mapping, not a list");
	assert_error("databases: []\n", "t.yaml:1:12: databases: must be a mapping");
	assert_error("databases: {a: 5}\n", "t.yaml:1:16: databases.a: must be a mapping");
	assert_error("databases: {a: {servers: h}}\n",
		"t.yaml:1:26: servers: must be a list of mappings, not a single value");
	assert_error("databases: {a: {servers: [h]}}\n",
		"t.yaml:1:27: servers: each server must be a mapping "
		"({host: 10.0.0.1, port: 5432})");
	assert_error("users: {a: {password: {}}}\n",
		"t.yaml:1:23: password: must be a text or a list of texts, not a mapping");
	assert_error("run_as: [a]\n", "t.yaml:1:9: run_as: must be a text, not a list");
	assert_error("run_as: ''\n", "t.yaml:1:9: run_as: must not be an empty text");
	assert_error("dns_servers: {}\n",
		"t.yaml:1:14: dns_servers: must be a list of texts, not a mapping");
	assert_error("- a\n", "t.yaml:1:1: a configuration is a mapping of keys to values");
	assert_error("? [a]\n: 5\n", "t.yaml:1:3: a key must be a text");
	assert_error("http: /run/x\n", "t.yaml:1:7: http: must be host:port, not a directory");
	assert_error("listen: []\n", "t.yaml:1:9: listen: must not be empty");
	assert_error("log: {destination: pgroute.log}\n",
		"t.yaml:1:20: log.destination: must be stderr or an absolute path");
}
END_TEST

START_TEST(test_config_load_missing_keys_are_told_at_their_owner)
{
	assert_error("databases:\n  a: {}\n", "t.yaml:2:3: databases.a: \"servers\" is missing");
	assert_error("databases:\n  a:\n", "t.yaml:2:3: databases.a: \"servers\" is missing");
	assert_error("databases: {a: {servers: [{port: 1}]}}\n",
		"t.yaml:1:27: databases.a.servers: \"host\" is missing");
}
END_TEST

/* Is the refusal of that key, or of that word of it, among the n pairs of text and message? */
static void
assert_told(const char *key, const char *word, const char *const *pairs, size_t n)
{
	char message[128];

	snprintf(message, sizeof(message), "\"%s%s%s\" is not supported yet", key,
		word != NULL ? ": " : "", word != NULL ? word : "");
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[2 * i + 1], message) == 0)
			return;
	ck_abort_msg("not tried: %s", message);
}

START_TEST(test_config_load_what_is_not_built_yet_is_refused)
{
	static const char *const wrong[][2] = {
		{"auth: {type: ldap}", "\"auth.type: ldap\" is not supported yet"},
		{"auth: {hba_file: x}", "\"auth.hba_file\" is not supported yet"},
		{"auth: {query: x}", "\"auth.query\" is not supported yet"},
		{"log: {slow_query: 1s}", "\"log.slow_query\" is not supported yet"},
		{"monitor: {user: m}", "\"monitor.user\" is not supported yet"},
		{"monitor: {password: p}", "\"monitor.password\" is not supported yet"},
		{"monitor: {password_file: p}", "\"monitor.password_file\" is not supported yet"},
		{"monitor: {database: d}", "\"monitor.database\" is not supported yet"},
		{"parse_limit: 1kB", "\"parse_limit\" is not supported yet"},
		{"finalize_limit: 1kB", "\"finalize_limit\" is not supported yet"},
		{"auth: {type: hba}", "\"auth.type: hba\" is not supported yet"},
		{"auth: {type: pam}", "\"auth.type: pam\" is not supported yet"},
		{"auth: {query_user: x}", "\"auth.query_user\" is not supported yet"},
		{"auth: {query_database: x}", "\"auth.query_database\" is not supported yet"},
		{"defaults: {consistency: bounded}",
			"\"consistency: bounded\" is not supported yet"},
		{"defaults: {lsn_interval: 1s}", "\"lsn_interval\" is not supported yet"},
		{"defaults: {balance: round_robin}",
			"\"balance: round_robin\" is not supported yet"},
		{"defaults: {reads_on_primary: always}",
			"\"reads_on_primary: always\" is not supported yet"},
		{"defaults: {reads_on_primary: never}",
			"\"reads_on_primary: never\" is not supported yet"},
		{"defaults: {health_timeout: 2s}", "\"health_timeout\" is not supported yet"},
		{"peers: [a]", "\"peers\" is not supported yet"},
		{"notices: on", "\"notices\" is not supported yet"},
		{"plan_cache: 1MB", "\"plan_cache\" is not supported yet"},
		{"defaults: {read_write_split: true}", "\"read_write_split\" is not supported yet"},
		{"defaults: {consistency: session}",
			"\"consistency: session\" is not supported yet"},
		{"defaults: {max_lag: 1s}", "\"max_lag\" is not supported yet"},
		{"defaults: {balance: random}", "\"balance: random\" is not supported yet"},
		{"defaults: {health_interval: 2s}", "\"health_interval\" is not supported yet"},
		{"databases: {a: {servers: [{host: h}], shards: [{name: x}]}}",
			"\"shards\" is not supported yet"},
		{"databases: {a: {servers: [{host: h}], sharding: {method: hash}}}",
			"\"sharding\" is not supported yet"},
		{"databases: {a: {servers: [{host: h}], rules: [{}]}}",
			"\"rules\" is not supported yet"},
		{"databases: {a: {servers: [{host: h, role: replica}]}}",
			"\"role: replica\" is not supported yet"},
		{"databases: {a: {servers: [{host: h, weight: 2}]}}",
			"\"weight\" is not supported yet"},
		{"databases: {a: {servers: [{host: h}, {host: i}]}}",
			"databases.a: more than one server is not supported yet"},
	};

	for (size_t i = 0; i < PGR_COUNT_OF(wrong); i++) {
		load_bad(wrong[i][0]);
		ck_assert_str_eq(load_errors.list[0].message, wrong[i][1]);
		ck_assert_uint_eq(load_errors.n, 1);
	}
	for (size_t k = 0; k < pgr_keys_count; k++) {
		const struct pgr_key_word *word = pgr_keys[k].words;

		if (pgr_keys[k].later != NULL)
			assert_told(pgr_keys[k].name, NULL, &wrong[0][0], PGR_COUNT_OF(wrong));
		for (; word != NULL && word->name != NULL; word++)
			if (word->later != NULL)
				assert_told(pgr_keys[k].name, word->name, &wrong[0][0],
					PGR_COUNT_OF(wrong));
	}
}
END_TEST

START_TEST(test_config_load_tls_keys_that_lack_others_are_refused)
{
	static const char *const wrong[][2] = {
		{"client_tls: {mode: require}", "client_tls: this mode needs cert_file and key_file"},
		{"server_tls: {mode: verify-ca}", "server_tls: this mode needs ca_file"},
		{"server_tls: {mode: verify-full}", "server_tls: this mode needs ca_file"},
		{"databases: {a: {servers: [{host: h, tls: {mode: verify-full}}]}}",
			"databases.a.servers: this mode needs ca_file"},
		{"auth: {type: cert}", "auth.type: cert needs client_tls with a ca_file"},
		{"client_tls: {cert_file: /x}", "client_tls.cert_file: files cannot be read from here"},
		{"client_tls: {mode: prefer}", "client_tls.mode: \"prefer\" is none of disable, allow, require, verify-ca, verify-full"},
		{"client_tls: {min_version: '1.1'}", "client_tls.min_version: \"1.1\" is none of 1.2, 1.3"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		load_bad(wrong[i][0]);
		ck_assert_str_eq(load_errors.list[0].message, wrong[i][1]);
		ck_assert_uint_eq(load_errors.n, 1);
	}
}
END_TEST

START_TEST(test_config_load_tls_of_a_server_holds_over_that_of_all)
{
	struct pgr_config_pair pair = load_good("server_tls: {mode: require}\n"
		"databases:\n"
		"  a: {servers: [{host: h, tls: {mode: disable}}]}\n"
		"  b: {servers: [{host: h, tls: null}]}\n"
		"  c: {servers: [{host: /run/postgresql, tls: {mode: allow}}]}\n");
	struct pgr_config_tls tls;

	pgr_config_database_tls(pair.config, "a", &tls);
	ck_assert_int_eq(tls.mode, PGR_CONFIG_TLS_DISABLE);
	pgr_config_database_tls(pair.config, "b", &tls);
	ck_assert_int_eq(tls.mode, PGR_CONFIG_TLS_REQUIRE);
	pgr_config_database_tls(pair.config, "c", &tls);
	ck_assert_int_eq(tls.mode, PGR_CONFIG_TLS_DISABLE);
	pgr_config_database_tls(pair.config, "none", &tls);
	ck_assert_int_eq(tls.mode, PGR_CONFIG_TLS_REQUIRE);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_what_means_off_is_accepted_for_what_is_not_built_yet)
{
	struct pgr_config_pair pair = load_good(
		"client_tls: {mode: disable, cert_file: null, key_file: ~, ca_file: Null, min_version: '1.2'}\n"
		"server_tls: {mode: prefer, ca_file: null}\n"
		"auth: {hba_file: null, query: null, query_user: null, query_database: null}\n"
		"admin: {users: [], stats_users: null}\n"
		"monitor: {user: null, password: ~, password_file: null, database: postgres}\n"
		"log: {slow_query: null}\npeers: []\nnotices: off\nplan_cache: 16MiB\nparse_limit: 1024kB\n"
		"finalize_limit: 16MB\n"
		"defaults: {read_write_split: no, consistency: eventual, max_lag: 10s, lsn_interval: 20ms,\n"
		" balance: least_connections, reads_on_primary: fallback, health_interval: 1s, health_timeout: 1s}\n");

	pgr_config_free(&pair);
	pair = load_good("server_tls: {mode: disable}\n");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_admins_are_users_with_a_role)
{
	struct pgr_config_pair pair = load_good("admin: {users: [root, both], stats_users: [eye, both]}\n"
						"users: {root: {password: a}, eye: {password: b}, both: {password: c}}\n");

	ck_assert_int_eq(pgr_config_console_role(pair.config, "root"), PGR_CONSOLE_RULES);
	ck_assert_int_eq(pgr_config_console_role(pair.config, "both"), PGR_CONSOLE_RULES);
	ck_assert_int_eq(pgr_config_console_role(pair.config, "eye"), PGR_CONSOLE_LOOKS);
	ck_assert_int_eq(pgr_config_console_role(pair.config, "other"), PGR_CONSOLE_STRANGER);
	pgr_config_free(&pair);
	assert_error("admin: {users: [a]}\n", "t.yaml:1:9: admin.users: user \"a\" is not defined under users");
}
END_TEST

START_TEST(test_config_load_variables_are_replaced)
{
	struct pgr_config_pair pair;
	const struct pgr_config *cfg;

	setenv("T_PASSWORD", "p: [x", 1);
	setenv("T_SIZE", "7", 1);
	setenv("T_NAME", "shop", 1);
	setenv("T_EMPTY", "", 1);
	unsetenv("T_UNSET");
	pair = load_good("defaults: {pool_size: \"${T_SIZE}\", min_pool_size: \"${T_UNSET:-3}\"}\n"
			 "databases:\n"
			 "  \"${T_NAME}_x\": {servers: [{host: \"a${T_EMPTY}b${T_EMPTY:-c}\"}]}\n"
			 "users:\n"
			 "  a:\n    password: ${T_PASSWORD}\n"
			 "  b: {password: 'x$${T_NAME}$y$'}\n");
	cfg = pair.config;
	ck_assert_uint_eq(cfg->defaults.pool_size, 7);
	ck_assert_uint_eq(cfg->defaults.min_pool_size, 3);
	ck_assert_ptr_nonnull(pgr_config_find_db(cfg, "shop_x"));
	ck_assert_str_eq(
		pgr_config_text(
			cfg, pgr_config_server_at(cfg, pgr_config_find_db(cfg, "shop_x"), 0)->host),
		"abc");
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets,
			pgr_config_secret_at(cfg, pgr_config_find_user(cfg, "a"), 0)->text),
		"p: [x");
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets,
			pgr_config_secret_at(cfg, pgr_config_find_user(cfg, "b"), 0)->text),
		"x${T_NAME}$y$");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_variable_cannot_become_structure)
{
	struct pgr_config_pair pair;

	setenv("T_EVIL", "x}\nworkers: 5 #", 1);
	pair = load_good("users:\n  a:\n    password: ${T_EVIL}\n");
	ck_assert_uint_eq(pair.config->workers, 0);
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets,
			pgr_config_secret_at(pair.config, pgr_config_find_user(pair.config, "a"), 0)
				->text),
		"x}\nworkers: 5 #");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_variables_that_cannot_be_replaced_have_a_place)
{
	unsetenv("T_UNSET");
	assert_error("workers: 1\nrun_as: ${T_UNSET}\n",
		"t.yaml:2:9: the environment variable T_UNSET is not "
		"set (${T_UNSET:-default} gives it a default)");
	assert_error("run_as: ${T_UNSET\n",
		"t.yaml:1:9: \"${\" is not followed by the name of a variable and "
		"\"}\" (write $${ for the characters themselves)");
	assert_error("run_as: ${}\n",
		"t.yaml:1:9: \"${\" is not followed by the name of a variable and \"}\" "
		"(write $${ for the characters themselves)");
	assert_error("run_as: ${T_UNSET-x}\n",
		"t.yaml:1:9: a variable is written ${NAME} or ${NAME:-default}");
}
END_TEST

START_TEST(test_config_load_one_missing_variable_hides_no_other_error)
{
	unsetenv("T_UNSET");
	load_bad("users: {\"${T_UNSET}\": {}, a: {password: \"${T_UNSET}\"}}\nworkers: 99\n");
	ck_assert_uint_eq(load_errors.n, 3);
	ck_assert_str_eq(error_line(2), "t.yaml:2:10: workers: \"99\" is out of range: 1 to 62");
}
END_TEST

START_TEST(test_config_load_expansion_is_bounded)
{
	char *text = malloc(200000);

	setenv("T_LONG", "0123456789012345678901234567890123456789012345678901234567890123", 1);
	strcpy(text, "run_as: \"");
	for (size_t n = strlen(text), i = 0; i < 2000; i++, n += 9)
		strcpy(text + n, "${T_LONG}");
	strcat(text, "\"\n");
	assert_error(text, "t.yaml:1:9: the text is too long once variables are replaced");
	free(text);
}
END_TEST

START_TEST(test_config_load_yaml_beyond_the_subset_is_refused)
{
	assert_error("workers: &a 1\n", "t.yaml:1:10: anchors are not supported");
	assert_error("workers: !!int 1\n", "t.yaml:1:10: tags are not supported");
	assert_error("workers: 1\n---\nworkers: 2\n",
		"t.yaml:2:1: a second document in one file is not supported");
	assert_error(
		"run_as: \"a\\0b\"\n", "t.yaml:1:9: a text must not contain the character NUL");
	load_bad("defaults: &a {pool_size: 1}\ndatabases: {x: *a}\n");
	ck_assert_str_eq(error_line(1), "t.yaml:2:16: aliases are not supported");
}
END_TEST

START_TEST(test_config_load_deep_nesting_is_refused)
{
	char text[600] = "peers: ";
	size_t n = strlen(text);

	memset(text + n, '[', PGR_TREE_DEPTH_MAX - 1);
	memset(text + n + PGR_TREE_DEPTH_MAX - 1, ']', PGR_TREE_DEPTH_MAX - 1);
	load_bad(text);
	ck_assert_str_eq(load_errors.list[0].message, "\"peers\" is not supported yet");
	memset(text + n, '[', PGR_TREE_DEPTH_MAX);
	memset(text + n + PGR_TREE_DEPTH_MAX, ']', PGR_TREE_DEPTH_MAX);
	load_bad(text);
	ck_assert_str_eq(load_errors.list[0].message, "nested too deeply");
	memset(text + n, '[', 500);
	load_bad(text);
	ck_assert_str_eq(load_errors.list[0].message, "nested too deeply");
}
END_TEST

START_TEST(test_config_load_syntax_errors_have_a_place)
{
	load_bad("workers: 1\n\tlisten: x\n");
	ck_assert_uint_eq(load_errors.list[0].line, 2);
	ck_assert(strncmp(load_errors.list[0].message, "this is not YAML: ", 18) == 0);
	load_bad("workers: 1\nlisten: [\n");
	ck_assert_uint_ge(load_errors.list[0].line, 2);
	load_bad("workers: 1\nrun_as: \xff\n");
	ck_assert_uint_eq(load_errors.list[0].line, 2);
	ck_assert_uint_eq(load_errors.list[0].column, 9);
	load_bad("users: {a: {password: ${X}}}\n");
	ck_assert_str_eq(load_errors.list[0].suggestion,
		"texts with ${...} inside of { } or [ ] need quotes");
}
END_TEST

START_TEST(test_config_load_too_large_text_is_refused)
{
	size_t len = (16u << 20) + 1;
	char *text = malloc(len);
	struct pgr_config_pair pair = {0};

	memset(text, '#', len);
	ck_assert_int_eq(pgr_config_load_text("t.yaml", text, len, &pair, &load_errors), PGR_FAIL);
	ck_assert_str_eq(error_line(0), "t.yaml: the configuration is too large");
	ck_assert_int_eq(
		pgr_config_load_text("t.yaml", text, len - 1, &pair, &load_errors), PGR_OK);
	pgr_config_free(&pair);
	free(text);
}
END_TEST

START_TEST(test_config_load_names_are_checked)
{
	char text[200];

	assert_error("databases: {pgbouncer: {servers: [{host: h}]}}\n",
		"t.yaml:1:13: databases.pgbouncer: this name is the console's");
	assert_error(
		"users: {'': {}}\n", "t.yaml:1:9: users: a name must be a text that is not empty");
	snprintf(text, sizeof(text), "users: {%064d: {}}", 7);
	assert_error(text, "t.yaml:1:9: users: the name is longer than 63 bytes");
	snprintf(text, sizeof(text), "databases: {a: {servers: [{host: h}], dbname: %064d}}", 7);
	assert_error(text, "t.yaml:1:47: dbname: is longer than 63 bytes");
}
END_TEST

START_TEST(test_config_load_sizes_that_contradict_each_other)
{
	assert_error("defaults: {min_pool_size: 21}\n",
		"t.yaml:1:12: defaults: min_pool_size (21) is more than pool_size (20)");
	assert_error(
		"defaults: {min_pool_size: 5}\ndatabases:\n  a: {servers: [{host: h}], pool_size: 4}\n",
		"t.yaml:3:3: databases.a: min_pool_size (5) is more than pool_size (4)");
	assert_error("users: {a: {pool_size: 4, min_pool_size: 5}}\n",
		"t.yaml:1:9: users.a: min_pool_size (5) is more than pool_size (4)");
	assert_error("defaults: {pool_size: 1000, reserve_pool_size: 25}\n",
		"t.yaml:1:12: defaults: pool_size (1000) and reserve_pool_size (25) are more than 1024 together");
}
END_TEST

START_TEST(test_config_load_dns_servers_are_numeric)
{
	assert_error("dns_servers: [ns.example.net:53]\n",
		"t.yaml:1:1: dns_servers: \"ns.example.net:53\" is not a numeric address with a port");
	assert_error("dns_servers: [10.0.0.53]\n",
		"t.yaml:1:1: dns_servers: \"10.0.0.53\" is not an address: no port "
		"(host:port, [v6]:port or /directory)");
	assert_error("dns_servers: [/run/dns]\n",
		"t.yaml:1:1: dns_servers: \"/run/dns\" is not a numeric address with a port");
}
END_TEST

START_TEST(test_config_load_equal_addresses_are_refused)
{
	assert_error("listen: ['h:1', 'h:2', 'h:1']\n",
		"t.yaml:1:1: listen: address 3 is the same as address 1");
}
END_TEST

START_TEST(test_config_load_text_reads_no_file)
{
	assert_error(
		"include: /etc/hostname\n", "t.yaml:1:10: include: files cannot be read from here");
	assert_error("users: {a: {password_file: /etc/hostname}}\n",
		"t.yaml:1:28: password_file: files cannot be read from here");
}
END_TEST

START_TEST(test_config_load_block_can_be_moved)
{
	struct pgr_config_pair pair = load_good(
		"databases: {app: {servers: [{host: db}]}, 'x*': {servers: [{host: d2}]}}\nusers: {u: {password: p}}\n");
	uint32_t size = pair.config->size;
	struct pgr_config *copy = malloc(size);
	const struct pgr_config_db *db;

	memcpy(copy, pair.config, size);
	ck_assert_int_eq(((const char *)pair.config)[size - 1], '\0');
	memset((void *)pair.config, 0xee, size);
	db = pgr_config_find_db(copy, "xy");
	ck_assert_str_eq(pgr_config_text(copy, pgr_config_server_at(copy, db, 0)->host), "d2");
	ck_assert_str_eq(pgr_config_text(copy, pgr_config_find_user(copy, "u")->name), "u");
	free(copy);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_bad_offsets_read_nothing)
{
	struct pgr_config_pair pair = load_good(ONE_DB);
	const struct pgr_config *cfg = pair.config;
	struct pgr_config_list list = {.off = cfg->size - 4, .n = UINT32_MAX};

	ck_assert_str_eq(pgr_config_text(cfg, (pgr_cref){cfg->size}), "");
	ck_assert_str_eq(pgr_config_text(cfg, (pgr_cref){UINT32_MAX}), "");
	ck_assert_str_eq(pgr_config_secret_text(pair.secrets, (pgr_sref){pair.secrets->size}), "");
	ck_assert_ptr_null(pgr_config_item(cfg, list, 0, sizeof(struct pgr_config_db)));
	ck_assert_ptr_null(
		pgr_config_item(cfg, list, UINT32_MAX - 1, sizeof(struct pgr_config_db)));
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_load_many_databases)
{
	struct pgr_config_pair pair;
	size_t size = 20000 * 48 + 100;
	char *text = malloc(size);
	size_t n = (size_t)sprintf(text, "databases:\n");
	char name[32];

	for (unsigned i = 0; i < 20000; i++)
		n += (size_t)sprintf(text + n, "  tenant_%u: {servers: [{host: h%u}]}\n", i, i);
	ck_assert_uint_lt(n, size);
	pair = load_good(text);
	for (unsigned i = 0; i < 20000; i += 777) {
		const struct pgr_config_db *db;

		sprintf(name, "tenant_%u", i);
		db = pgr_config_find_db(pair.config, name);
		ck_assert_ptr_nonnull(db);
		ck_assert_str_eq(pgr_config_text(pair.config, db->name), name);
		sprintf(name, "h%u", i);
		ck_assert_str_eq(pgr_config_text(pair.config,
					 pgr_config_server_at(pair.config, db, 0)->host),
			name);
	}
	pgr_config_free(&pair);
	free(text);
}
END_TEST

START_TEST(test_config_load_messages_are_printable)
{
	load_bad("\"a\\nb\\e[31m\": 1\n");
	ck_assert_str_eq(error_line(0), "t.yaml:1:1: unknown key \"a?b?[31m\"");
}
END_TEST

UNIT_MAIN("config_load", test_config_load_empty_file_gives_the_defaults,
	test_config_load_every_global_key_arrives, test_config_load_every_pooling_key_arrives,
	test_config_load_database_with_all_its_keys, test_config_load_user_secrets_of_each_kind,
	test_config_load_scram_secrets_need_one_salt,
	test_config_load_scram_secret_cannot_log_in_to_a_server, test_config_load_dns_servers_are_numeric,
	test_config_load_admins_are_users_with_a_role,
	test_config_load_tells_all_errors_in_the_order_of_the_file,
	test_config_load_more_errors_than_room_are_counted,
	test_config_load_key_of_another_place_is_sent_there,
	test_config_load_duplicates_name_both_places, test_config_load_wrong_types_are_refused,
	test_config_load_missing_keys_are_told_at_their_owner,
	test_config_load_what_is_not_built_yet_is_refused,
	test_config_load_tls_keys_that_lack_others_are_refused,
	test_config_load_tls_of_a_server_holds_over_that_of_all,
	test_config_load_what_means_off_is_accepted_for_what_is_not_built_yet,
	test_config_load_variables_are_replaced, test_config_load_variable_cannot_become_structure,
	test_config_load_variables_that_cannot_be_replaced_have_a_place,
	test_config_load_one_missing_variable_hides_no_other_error,
	test_config_load_expansion_is_bounded, test_config_load_yaml_beyond_the_subset_is_refused,
	test_config_load_deep_nesting_is_refused, test_config_load_syntax_errors_have_a_place,
	test_config_load_too_large_text_is_refused, test_config_load_names_are_checked,
	test_config_load_sizes_that_contradict_each_other,
	test_config_load_equal_addresses_are_refused, test_config_load_text_reads_no_file,
	test_config_load_block_can_be_moved, test_config_load_bad_offsets_read_nothing,
	test_config_load_many_databases, test_config_load_messages_are_printable)
