/*
 * The table of keys. Adding one means adding a row, and a field in config.h when it is kept. Rows
 * stand in the order of the reference; rows of pooling keys stand together, since their distance
 * from the first is their bit. `later` names what is not built yet: such a row accepts its default
 * and what means "off", and refuses the rest, so that no key is ever silently ignored.
 */
#include "config/keys.h"

#include <string.h>

#define MS (PGR_USEC_PER_MSEC)
#define SEC (PGR_USEC_PER_SEC)
#define DAY (UINT64_C(86400) * SEC)
#define KB UINT64_C(1024)
#define MB (KB * KB)
#define GB (MB * KB)

/* As large as shm/ is built for. */
#define MOST_WORKERS 62
#define MOST_CLIENTS (1u << 20)
#define MOST_CONNECTIONS 65536
#define MOST_LOGINS 64
#define MOST_STATEMENTS 1500

#define IN_POOLING (PGR_IN_DEFAULTS | PGR_IN_DATABASE)
#define IN_ALL (IN_POOLING | PGR_IN_USER)

#define REPLICAS "reading from replicas"
#define SHARDS "sharding"
#define SQL "reading SQL"

static const struct pgr_key_word log_levels[] = {
	{"debug", PGR_LOG_DEBUG, NULL},
	{"info", PGR_LOG_INFO, NULL},
	{"warning", PGR_LOG_WARN, NULL},
	{"error", PGR_LOG_ERROR, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word log_formats[] = {
	{"text", PGR_CONFIG_LOG_TEXT, NULL},
	{"json", PGR_CONFIG_LOG_JSON, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word auth_types[] = {
	{"trust", PGR_CONFIG_AUTH_TRUST, NULL},
	{"plain", PGR_CONFIG_AUTH_PLAIN, NULL},
	{"md5", PGR_CONFIG_AUTH_MD5, NULL},
	{"scram-sha-256", PGR_CONFIG_AUTH_SCRAM, NULL},
	{"cert", PGR_CONFIG_AUTH_CERT, NULL},
	{"hba", 0, "hba"},
	{"ldap", 0, "LDAP"},
	{"pam", 0, "PAM"},
	{NULL, 0, NULL},
};

static const struct pgr_key_word client_tls_modes[] = {
	{"disable", PGR_CONFIG_TLS_DISABLE, NULL},
	{"allow", PGR_CONFIG_TLS_ALLOW, NULL},
	{"require", PGR_CONFIG_TLS_REQUIRE, NULL},
	{"verify-ca", PGR_CONFIG_TLS_VERIFY_CA, NULL},
	{"verify-full", PGR_CONFIG_TLS_VERIFY_FULL, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word server_tls_modes[] = {
	{"disable", PGR_CONFIG_TLS_DISABLE, NULL},
	{"allow", PGR_CONFIG_TLS_ALLOW, NULL},
	{"prefer", PGR_CONFIG_TLS_PREFER, NULL},
	{"require", PGR_CONFIG_TLS_REQUIRE, NULL},
	{"verify-ca", PGR_CONFIG_TLS_VERIFY_CA, NULL},
	{"verify-full", PGR_CONFIG_TLS_VERIFY_FULL, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word tls_versions[] = {
	{"1.2", PGR_CONFIG_TLS_1_2, NULL},
	{"1.3", PGR_CONFIG_TLS_1_3, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word pool_modes[] = {
	{"session", PGR_CONFIG_SESSION, NULL},
	{"transaction", PGR_CONFIG_TRANSACTION, NULL},
	{"statement", PGR_CONFIG_STATEMENT, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word features[] = {
	{"pin", PGR_CONFIG_FEATURE_PIN, NULL},
	{"error", PGR_CONFIG_FEATURE_ERROR, NULL},
	{"ignore", PGR_CONFIG_FEATURE_IGNORE, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word consistencies[] = {
	{"eventual", PGR_CONFIG_EVENTUAL, NULL},
	{"bounded", PGR_CONFIG_BOUNDED, REPLICAS},
	{"session", PGR_CONFIG_CAUSAL, REPLICAS},
	{NULL, 0, NULL},
};

static const struct pgr_key_word balances[] = {
	{"round_robin", PGR_CONFIG_ROUND_ROBIN, REPLICAS},
	{"random", PGR_CONFIG_RANDOM, REPLICAS},
	{"least_connections", PGR_CONFIG_LEAST_CONNECTIONS, NULL},
	{NULL, 0, NULL},
};

static const struct pgr_key_word primary_reads[] = {
	{"always", PGR_CONFIG_READS_ALWAYS, REPLICAS},
	{"fallback", PGR_CONFIG_READS_FALLBACK, NULL},
	{"never", PGR_CONFIG_READS_NEVER, REPLICAS},
	{NULL, 0, NULL},
};

static const struct pgr_key_word roles[] = {
	{"auto", PGR_CONFIG_ROLE_AUTO, NULL},
	{"primary", PGR_CONFIG_ROLE_PRIMARY, NULL},
	{"replica", PGR_CONFIG_ROLE_REPLICA, REPLICAS},
	{NULL, 0, NULL},
};

/* Rows of a table, some a little longer than lines of code. */
/* clang-format off */

/* Where the value goes. */
#define CONFIG(field) .home = PGR_HOME_CONFIG, .offset = offsetof(struct pgr_config, field)
#define POOLING(field) .home = PGR_HOME_POOLING, .offset = offsetof(struct pgr_config_pooling, field)
#define DB(field) .home = PGR_HOME_DB, .offset = offsetof(struct pgr_config_db, field)
#define USER(field) .home = PGR_HOME_USER, .offset = offsetof(struct pgr_config_user, field)
#define SERVER(field) .home = PGR_HOME_SERVER, .offset = offsetof(struct pgr_config_server, field)

#define ROW(name_, type_, where_, fallback_, about_, ...)                                          \
	{.name = name_, .type = PGR_KEY_##type_, .where = where_, .fallback = fallback_,           \
		.about = about_, __VA_ARGS__},
#define GLOBAL(name_, type_, fallback_, about_, ...)                                               \
	ROW(name_, type_, PGR_IN_GLOBAL, fallback_, about_, __VA_ARGS__)
/* A key that waits for what is not built yet and is kept nowhere. */
#define LATER(name_, type_, where_, fallback_, later_, about_, ...)                                \
	ROW(name_, type_, where_, fallback_, about_, .later = later_, __VA_ARGS__)
/* A file or a name that waits. */
#define LATER_TEXT(name_, where_, later_, about_)                                                  \
	LATER(name_, TEXT, where_, "null", later_, about_, .max = 4096, .flags = PGR_KEY_NULLABLE)

/* The path of a file in PEM. */
#define FILE_ROW(name_, where_, about_, ...)                                                       \
	ROW(name_, FILE, where_, "null", about_, .max = 4096, __VA_ARGS__)
#define PRIVATE (PGR_KEY_NULLABLE | PGR_KEY_PRIVATE)

const struct pgr_key pgr_keys[] = {
	GLOBAL("listen", ADDRESSES, "127.0.0.1:6432",
		"Where clients connect: `host:port`, `[v6]:port`, or a directory for the Unix socket "
		"`.s.PGSQL.<port>`, whose port is that of the first address unless `/directory:port` "
		"gives one.",
		CONFIG(listen), .flags = PGR_KEY_RESTART)
	GLOBAL("workers", INT, "auto", "Worker processes; `auto` is one for each core.",
		CONFIG(workers), .min = 1, .max = MOST_WORKERS, .flags = PGR_KEY_AUTO | PGR_KEY_RESTART)
	GLOBAL("run_as", TEXT, "pgroute",
		"User that all processes but the master run as; ignored when not started by root.",
		CONFIG(run_as), .max = 255, .flags = PGR_KEY_RESTART)
	GLOBAL("http", ADDRESS, "127.0.0.1:9930",
		"Where `/metrics`, `/healthz` and `/readyz` are served; `null` turns it off.",
		CONFIG(http), .flags = PGR_KEY_NULLABLE | PGR_KEY_RESTART)
	GLOBAL("control", TEXT, "/run/pgroute/control.sock",
		"Socket of `pgroutectl`; the default is `$XDG_RUNTIME_DIR/pgroute/control.sock` when "
		"not started by root.",
		CONFIG(control), .max = 100, .flags = PGR_KEY_RESTART)
	GLOBAL("log", GROUP, NULL, "What is logged, and how.")
	GLOBAL("log.level", WORD, "info", "The least level that is logged.",
		CONFIG(log_level), .words = log_levels)
	GLOBAL("log.format", WORD, "text", "Lines for people, or one JSON object per line.",
		CONFIG(log_format), .words = log_formats)
	GLOBAL("log.destination", TEXT, "stderr",
		"Where log lines go: `stderr`, or the absolute path of a file, which each reload opens anew.",
		CONFIG(log_destination), .max = 4095, .flags = PGR_KEY_STDERR)
	LATER("log.slow_query", DURATION, PGR_IN_GLOBAL, "null", "the slow query log",
		"Queries that took longer are logged.", .max = DAY, .flags = PGR_KEY_NULLABLE)
	GLOBAL("log.connections", BOOL, "false", "Whether each login and its end are logged.",
		CONFIG(log_connections))
	GLOBAL("admin", GROUP, NULL,
		"Who may log in to the virtual database `pgroute` (also called `pgbouncer`).")
	GLOBAL("admin.users", TEXTS, "[]", "Users of `users` who may do everything there.",
		CONFIG(admin_users), .max = 64, .flags = PGR_KEY_NULLABLE)
	GLOBAL("admin.stats_users", TEXTS, "[]", "Users of `users` who may only look.",
		CONFIG(admin_stats_users), .max = 64, .flags = PGR_KEY_NULLABLE)
	GLOBAL("max_clients", INT, "10000", "Client connections of all databases together.",
		CONFIG(max_clients), .min = 1, .max = MOST_CLIENTS)
	GLOBAL("client_tls", GROUP, NULL, "TLS towards clients.")
	GLOBAL("client_tls.mode", WORD, "disable",
		"`disable`: TLS is declined; `allow`: clients may use it; `require`: they must; "
		"`verify-ca`: and show a certificate that an authority of `ca_file` has signed; "
		"`verify-full`: whose common name is the user's. Unix sockets have no TLS and are let in.",
		CONFIG(client_tls.mode), .words = client_tls_modes)
	FILE_ROW("client_tls.cert_file", PGR_IN_GLOBAL,
		"Certificate shown to clients, and behind it those that lead to its authority.",
		CONFIG(client_tls.cert), .flags = PGR_KEY_NULLABLE)
	FILE_ROW("client_tls.key_file", PGR_IN_GLOBAL,
		"Its private key, without a passphrase and not readable by everybody.",
		CONFIG(client_tls.key), .flags = PRIVATE)
	FILE_ROW("client_tls.ca_file", PGR_IN_GLOBAL,
		"Authorities that sign clients' certificates; with it each client is asked for one. "
		"Revocation lists in the file are enforced.",
		CONFIG(client_tls.ca), .flags = PGR_KEY_NULLABLE)
	GLOBAL("client_tls.min_version", WORD, "1.2", "Lowest version of TLS.",
		CONFIG(client_tls.min_version), .words = tls_versions)
	GLOBAL("server_tls", GROUP, NULL, "TLS towards servers.")
	GLOBAL("server_tls.mode", WORD, "prefer",
		"As libpq's `sslmode`: `allow` uses TLS where a server refuses without, `prefer` where it "
		"has it, `require` always; `verify-ca` checks the server's certificate, `verify-full` "
		"also that it is for `host`. `require` with `ca_file` checks as `verify-ca`. Unix sockets "
		"have no TLS.",
		CONFIG(server_tls.mode), .words = server_tls_modes)
	FILE_ROW("server_tls.ca_file", PGR_IN_GLOBAL,
		"Authorities that sign servers' certificates. Revocation lists in the file are enforced.",
		CONFIG(server_tls.ca), .flags = PGR_KEY_NULLABLE)
	FILE_ROW("server_tls.cert_file", PGR_IN_GLOBAL, "Certificate shown to servers.",
		CONFIG(server_tls.cert), .flags = PGR_KEY_NULLABLE)
	FILE_ROW("server_tls.key_file", PGR_IN_GLOBAL,
		"Its private key, without a passphrase and not readable by everybody.",
		CONFIG(server_tls.key), .flags = PRIVATE)
	GLOBAL("auth", GROUP, NULL, "How clients prove who they are.")
	GLOBAL("auth.type", WORD, "scram-sha-256",
		"What clients are asked for: nothing, the password in clear, its MD5 hash, SCRAM, or a "
		"certificate whose common name is the user's (`cert`, which needs `client_tls`).",
		CONFIG(auth_type), .words = auth_types)
	LATER_TEXT("auth.hba_file", PGR_IN_GLOBAL, "hba", "Rules in the format of pg_hba.conf.")
	LATER_TEXT("auth.query", PGR_IN_GLOBAL, "auth.query", "Query that gives the secret of a user.")
	LATER_TEXT("auth.query_user", PGR_IN_GLOBAL, "auth.query", "User that runs it.")
	LATER_TEXT("auth.query_database", PGR_IN_GLOBAL, "auth.query", "Database in which it runs.")
	GLOBAL("include", INCLUDE, "[]",
		"More files, as globs relative to the file they stand in; their mappings are merged "
		"key by key, and what is defined twice is an error. They are watched: a file that comes, "
		"goes or changes is a reload.")
	GLOBAL("monitor", GROUP, NULL, "How the monitor logs in to servers.")
	LATER_TEXT("monitor.user", PGR_IN_GLOBAL, REPLICAS, "Its user.")
	LATER("monitor.password", SECRET, PGR_IN_GLOBAL, "null", REPLICAS, "Its password.",
		.flags = PGR_KEY_NULLABLE)
	LATER("monitor.password_file", SECRET_FILE, PGR_IN_GLOBAL, "null", REPLICAS,
		"File that holds the password.", .flags = PGR_KEY_NULLABLE)
	LATER("monitor.database", TEXT, PGR_IN_GLOBAL, "postgres", REPLICAS, "Its database.", .max = 255)
	LATER("peers", ABSENT, PGR_IN_GLOBAL, "[]", "several instances",
		"Other instances, for cancel requests.")
	LATER("notices", BOOL, PGR_IN_GLOBAL, "off", "notices", "Whether pgroute sends notices of its own.")
	GLOBAL("sandbox", BOOL, "true",
		"The system call filter of the children; `false` for debuggers, strace and valgrind.",
		CONFIG(sandbox), .flags = PGR_KEY_RESTART)
	GLOBAL("watchdog_timeout", DURATION, "10s", "A child silent for longer is killed and replaced.",
		CONFIG(watchdog_timeout), .min = SEC, .max = DAY, .flags = PGR_KEY_ZERO_OFF)
	GLOBAL("cancel_timeout", DURATION, "5s",
		"How long a server may take over a cancel request before the connection is closed.",
		CONFIG(cancel_timeout), .min = 10 * MS, .max = DAY)
	GLOBAL("close_timeout", DURATION, "10s",
		"How long a closed server connection may take to be gone.",
		CONFIG(close_timeout), .min = 10 * MS, .max = DAY)
	GLOBAL("shutdown_grace", DURATION, "0s", "How long TERM leaves the listener open.",
		CONFIG(shutdown_grace), .max = DAY)
	GLOBAL("shutdown_timeout", DURATION, "60s",
		"How long TERM waits for transactions to end before clients are cut off.",
		CONFIG(shutdown_timeout), .max = DAY)
	GLOBAL("client_login_timeout", DURATION, "15s", "How long a client may take to log in.",
		CONFIG(client_login_timeout), .min = 10 * MS, .max = DAY, .flags = PGR_KEY_ZERO_OFF)
	GLOBAL("max_startup_packet", SIZE, "64kB", "Longest startup packet that is read.",
		CONFIG(max_startup_packet), .min = KB, .max = MB)
	GLOBAL("tcp_keepalive", GROUP, NULL, "Probes on idle connections of both sides.")
	GLOBAL("tcp_keepalive.idle", DURATION, "60s", "Silence before the first probe.",
		CONFIG(tcp_keepalive_idle), .min = SEC, .max = 32767 * SEC, .flags = PGR_KEY_ZERO_OFF)
	GLOBAL("tcp_keepalive.interval", DURATION, "10s", "Time between probes.",
		CONFIG(tcp_keepalive_interval), .min = SEC, .max = 32767 * SEC)
	GLOBAL("tcp_keepalive.count", INT, "3", "Probes without an answer that end a connection.",
		CONFIG(tcp_keepalive_count), .min = 1, .max = 127)
	GLOBAL("tcp_user_timeout", DURATION, "30s",
		"How long sent data may stay unacknowledged before the connection ends.",
		CONFIG(tcp_user_timeout), .min = MS, .max = 20 * DAY, .flags = PGR_KEY_ZERO_OFF)
	GLOBAL("dns_servers", TEXTS, "[]",
		"Numeric `address:port` of the DNS servers that are asked for the names of servers; empty: "
		"those of /etc/resolv.conf.",
		CONFIG(dns_servers), .max = 64, .flags = PGR_KEY_RESTART)
	LATER("plan_cache", SIZE, PGR_IN_GLOBAL, "16MiB", SQL, "Bytes of routes remembered per worker.",
		.max = GB)
	LATER("parse_limit", SIZE, PGR_IN_GLOBAL, "1MiB", SQL, "Longest statement that is read for its route.",
		.max = GB)
	LATER("finalize_limit", SIZE, PGR_IN_GLOBAL, "16MiB", SHARDS,
		"Bytes of partial rows of one scattered query that a shard finishes.", .max = GB)
	GLOBAL("defaults", DEFAULTS, NULL, "What holds for every database that does not say otherwise.")
	GLOBAL("databases", DATABASES, NULL,
		"The databases that clients may name; `*` in a name stands for any run of characters.")
	GLOBAL("users", USERS, NULL, "The users that may log in.")

	ROW("pool_mode", WORD, IN_ALL, "transaction",
		"How long a client keeps a server connection: until its end, the end of the transaction "
		"or the end of the statement.",
		POOLING(pool_mode), .words = pool_modes)
	ROW("pool_size", INT, IN_ALL, "20",
		"Server connections for each pair of database and user, over all workers together.",
		POOLING(pool_size), .min = 1, .max = PGR_CONFIG_PLACES_MAX)
	ROW("min_pool_size", INT, IN_ALL, "0",
		"Server connections kept open, from the start for databases with `user`, else for each "
		"pair of database and user that has connected.",
		POOLING(min_pool_size), .max = PGR_CONFIG_PLACES_MAX)
	ROW("reserve_pool_size", INT, IN_ALL, "0",
		"More server connections for those who wait longer than `reserve_pool_timeout`.",
		POOLING(reserve_pool_size), .max = PGR_CONFIG_PLACES_MAX)
	ROW("reserve_pool_timeout", DURATION, IN_ALL, "5s", "Wait after which the reserve is used.",
		POOLING(reserve_pool_timeout), .max = DAY)
	ROW("max_server_logins", INT, IN_POOLING, "8", "Logins at once to one server.",
		POOLING(max_server_logins), .min = 1, .max = MOST_LOGINS)
	ROW("max_db_connections", INT, IN_POOLING, "0",
		"Server connections of one database over all users; 0: no limit.",
		POOLING(max_db_connections), .max = MOST_CONNECTIONS)
	ROW("max_client_connections", INT, IN_POOLING, "0",
		"Client connections of one database; 0: no limit.",
		POOLING(max_client_connections), .max = MOST_CLIENTS)
	ROW("queue_timeout", DURATION, IN_ALL, "120s", "Longest wait for a server connection.",
		POOLING(queue_timeout), .min = MS, .max = DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("connect_timeout", DURATION, IN_POOLING, "5s",
		"How long connecting and logging in to a server may take.",
		POOLING(connect_timeout), .min = MS, .max = DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("login_retry", DURATION, IN_POOLING, "1s",
		"Pause after a failed login before the server is tried again.",
		POOLING(login_retry), .max = DAY)
	ROW("query_timeout", DURATION, IN_ALL, "0", "Longest time of a query.",
		POOLING(query_timeout), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("transaction_timeout", DURATION, IN_ALL, "0", "Longest time of a transaction.",
		POOLING(transaction_timeout), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("idle_transaction_timeout", DURATION, IN_ALL, "0",
		"Longest pause of a client inside a transaction.",
		POOLING(idle_transaction_timeout), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("client_idle_timeout", DURATION, IN_ALL, "0",
		"Longest pause of a client outside transactions.",
		POOLING(client_idle_timeout), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("server_idle_timeout", DURATION, IN_POOLING, "10m",
		"Server connections unused for longer are closed, down to `min_pool_size`.",
		POOLING(server_idle_timeout), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("server_lifetime", DURATION, IN_POOLING, "1h",
		"Server connections older than this are closed when they are free.",
		POOLING(server_lifetime), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	ROW("prepared_statements", INT, IN_POOLING, "500",
		"Prepared statements kept per server connection; 0 turns tracking off.",
		POOLING(prepared_statements), .max = MOST_STATEMENTS)
	ROW("on_session_feature", WORD, IN_ALL, "pin",
		"What happens when a client uses what cannot follow it to another server connection: it keeps the connection, its request fails, or the next client meets what it left.",
		POOLING(on_session_feature), .words = features)
	ROW("catalog_refresh", DURATION, IN_POOLING, "1m",
		"How often pgroute looks whether functions, triggers, defaults, views, policies or tables were changed in other ways than through it.",
		POOLING(catalog_refresh), .min = MS, .max = 365 * DAY, .flags = PGR_KEY_ZERO_OFF)
	LATER("read_write_split", BOOL, IN_POOLING, "false", REPLICAS, "Whether reads may go to replicas.",
		POOLING(read_write_split))
	ROW("consistency", WORD, IN_POOLING, "eventual", "How fresh a replica must be.",
		POOLING(consistency), .words = consistencies)
	LATER("max_lag", DURATION, IN_POOLING, "10s", REPLICAS, "Replicas further behind get no reads.",
		POOLING(max_lag), .max = DAY)
	LATER("lsn_interval", DURATION, IN_POOLING, "20ms", REPLICAS,
		"How often a replica's position is asked for.", POOLING(lsn_interval), .max = DAY)
	ROW("balance", WORD, IN_POOLING, "least_connections", "How reads are spread over replicas.",
		POOLING(balance), .words = balances)
	ROW("reads_on_primary", WORD, IN_POOLING, "fallback", "When reads may go to the primary.",
		POOLING(reads_on_primary), .words = primary_reads)
	LATER("health_interval", DURATION, IN_POOLING, "1s", REPLICAS, "How often servers are checked.",
		POOLING(health_interval), .max = DAY)
	LATER("health_timeout", DURATION, IN_POOLING, "1s", REPLICAS, "How long a check may take.",
		POOLING(health_timeout), .max = DAY)

	ROW("dbname", TEXT, PGR_IN_DATABASE, "null",
		"Name of the database on the server; by default the name that the client gave.",
		DB(dbname), .flags = PGR_KEY_NULLABLE | PGR_KEY_NAME)
	ROW("user", TEXT, PGR_IN_DATABASE, "null",
		"Log in to the server as this user instead of the client's.",
		DB(user), .flags = PGR_KEY_NULLABLE | PGR_KEY_NAME)
	ROW("password", SECRET, PGR_IN_DATABASE, "null",
		"Password of that login, in clear or as `md5...`; by default the user's own.",
		DB(password), .flags = PGR_KEY_NULLABLE)
	ROW("password_file", SECRET_FILE, PGR_IN_DATABASE, "null", "File that holds the password.",
		DB(password), .flags = PGR_KEY_NULLABLE)
	ROW("servers", SERVERS, PGR_IN_DATABASE, NULL,
		"The servers of the database; one in this version.",
		DB(servers), .flags = PGR_KEY_REQUIRED)
	LATER("rules", ABSENT, PGR_IN_DATABASE, "[]", REPLICAS, "Which queries go where.")
	LATER("shards", ABSENT, PGR_IN_DATABASE, "[]", SHARDS, "The shards of the database.")
	LATER("sharding", ABSENT, PGR_IN_DATABASE, "null", SHARDS, "How rows are spread over them.")

	ROW("password", SECRETS, PGR_IN_USER, "null",
		"What the client must know: clear text, `SCRAM-SHA-256$...`, `md5...`, or a list for "
		"rotation with at most one SCRAM secret (several only with equal salt and iterations).",
		USER(secrets), .flags = PGR_KEY_NULLABLE)
	ROW("password_file", SECRET_FILE, PGR_IN_USER, "null", "File that holds the password.",
		USER(secrets), .flags = PGR_KEY_NULLABLE)
	ROW("max_client_connections", INT, PGR_IN_USER, "0",
		"Client connections that have logged in as this user over all databases, whatever `user` "
		"these log in to the server with; the database's own limit holds too; 0: no limit.",
		USER(max_client_connections), .max = MOST_CLIENTS)

	ROW("host", TEXT, PGR_IN_SERVER, NULL,
		"Name or address of the server, or the directory of its Unix socket.",
		SERVER(host), .max = 255, .flags = PGR_KEY_REQUIRED | PGR_KEY_HOST)
	ROW("port", INT, PGR_IN_SERVER, "5432", "Its port.", SERVER(port), .min = 1, .max = 65535)
	ROW("role", WORD, PGR_IN_SERVER, "auto", "Whether it takes writes; `auto` finds out.",
		SERVER(role), .words = roles)
	LATER("weight", INT, PGR_IN_SERVER, "1", REPLICAS, "Its share of reads beside others.",
		SERVER(weight), .max = 10000)
	ROW("tls", GROUP, PGR_IN_SERVER, NULL, "What holds for this server instead of `server_tls`.")
	ROW("tls.mode", WORD, PGR_IN_SERVER, "null", "Instead of `server_tls.mode`.", SERVER(tls.mode),
		.words = server_tls_modes, .flags = PGR_KEY_NULLABLE)
	FILE_ROW("tls.ca_file", PGR_IN_SERVER, "Instead of `server_tls.ca_file`.", SERVER(tls.ca),
		.flags = PGR_KEY_NULLABLE)
	FILE_ROW("tls.cert_file", PGR_IN_SERVER,
		"Instead of `server_tls.cert_file`; with `tls.key_file`.", SERVER(tls.cert),
		.flags = PGR_KEY_NULLABLE)
	FILE_ROW("tls.key_file", PGR_IN_SERVER, "Instead of `server_tls.key_file`.", SERVER(tls.key),
		.flags = PRIVATE)
};

/* clang-format on */

const size_t pgr_keys_count = PGR_COUNT_OF(pgr_keys);
_Static_assert(PGR_COUNT_OF(pgr_keys) <= PGR_KEYS_MAX, "seen[] of the loader has room for each");

const struct pgr_key *
pgr_key_find(unsigned where, const char *name)
{
	for (size_t i = 0; i < pgr_keys_count; i++)
		if ((pgr_keys[i].where & where) != 0 && strcmp(pgr_keys[i].name, name) == 0)
			return &pgr_keys[i];
	return NULL;
}

static const struct pgr_key *
first_pooling(void)
{
	const struct pgr_key *key = pgr_keys;

	while (key->home != PGR_HOME_POOLING)
		key++;
	return key;
}

uint64_t
pgr_key_bit(const struct pgr_key *key)
{
	return key->home == PGR_HOME_POOLING ? UINT64_C(1) << (key - first_pooling()) : 0;
}

size_t
pgr_key_size(const struct pgr_key *key)
{
	if (key->home == PGR_HOME_NONE)
		return 0;
	switch (key->type) {
	case PGR_KEY_BOOL:
		return sizeof(bool);
	case PGR_KEY_INT:
	case PGR_KEY_WORD:
		return sizeof(uint32_t);
	case PGR_KEY_DURATION:
	case PGR_KEY_SIZE:
		return sizeof(uint64_t);
	case PGR_KEY_TEXT:
		return sizeof(pgr_cref);
	case PGR_KEY_SECRET:
		return sizeof(struct pgr_config_secret);
	case PGR_KEY_FILE:
		return sizeof(struct pgr_config_file);
	case PGR_KEY_ADDRESS:
		return sizeof(struct pgr_config_listen);
	case PGR_KEY_TEXTS:
	case PGR_KEY_SECRETS:
	case PGR_KEY_ADDRESSES:
	case PGR_KEY_SERVERS:
		return sizeof(struct pgr_config_list);
	case PGR_KEY_GROUP:
	case PGR_KEY_SECRET_FILE:
	case PGR_KEY_INCLUDE:
	case PGR_KEY_DEFAULTS:
	case PGR_KEY_DATABASES:
	case PGR_KEY_USERS:
	case PGR_KEY_ABSENT:
		break;
	}
	return 0;
}

void
pgr_key_overlay(struct pgr_config_pooling *to, const struct pgr_config_pooling *from, uint64_t set)
{
	const struct pgr_key *key = first_pooling();

	for (; set != 0; key++, set >>= 1)
		if ((set & 1) != 0)
			memcpy(pgr_key_field(key, to), pgr_key_peek(key, from), pgr_key_size(key));
}

const char *
pgr_key_type_name(const struct pgr_key *key)
{
	switch (key->type) {
	case PGR_KEY_BOOL:
		return "true or false";
	case PGR_KEY_INT:
		return (key->flags & PGR_KEY_AUTO) != 0 ? "auto or a number" : "a number";
	case PGR_KEY_DURATION:
		return "a duration";
	case PGR_KEY_SIZE:
		return "a size";
	case PGR_KEY_WORD:
		return "a word";
	case PGR_KEY_TEXT:
	case PGR_KEY_SECRET:
	case PGR_KEY_SECRET_FILE:
		return "a text";
	case PGR_KEY_FILE:
		return "a file";
	case PGR_KEY_ADDRESS:
		return "an address";
	case PGR_KEY_ADDRESSES:
		return "a list of addresses";
	case PGR_KEY_SECRETS:
		return "a text or a list of texts";
	case PGR_KEY_TEXTS:
	case PGR_KEY_INCLUDE:
		return "a list of texts";
	case PGR_KEY_SERVERS:
		return "a list of mappings";
	case PGR_KEY_GROUP:
	case PGR_KEY_DEFAULTS:
	case PGR_KEY_DATABASES:
	case PGR_KEY_USERS:
		return "a mapping";
	case PGR_KEY_ABSENT:
		break;
	}
	return "empty";
}
