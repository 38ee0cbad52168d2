/*
 * The configuration: one YAML file (and what it includes) as one immutable, position-independent
 * block of memory, and a second one with the secrets, since those live in a mapping of their own.
 * The master loads and copies both into shared memory; every process reads them where they lie.
 * Blocks hold offsets, never pointers, and must lie at an address that is a multiple of 8.
 */
#ifndef PGR_CONFIG_CONFIG_H
#define PGR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/panic.h"
#include "config/errors.h"

#define PGR_CONFIG_MAGIC 0x70675243u  /* "pgRC" */
#define PGR_CONFIG_SECRETS_MAGIC 0x70675253u /* "pgRS" */
#define PGR_CONFIG_BYTES_MAX (64u << 20)
#define PGR_CONFIG_SECRETS_MAX (16u << 20)
#define PGR_CONFIG_PLACES_MAX 1024 /* server connections of one pool with its reserve */
#define PGR_CONFIG_NAME_MAX 63 /* bytes of a database or user name, as in PostgreSQL */

/* A text in the block: NUL-terminated, without NUL inside. off 0: null. */
typedef struct { uint32_t off; } pgr_cref;
/* The same in the block of secrets. */
typedef struct { uint32_t off; } pgr_sref;

/* n elements of one type, one behind the other. */
struct pgr_config_list {
	uint32_t off;
	uint32_t n;
};

enum pgr_config_pool_mode {
	PGR_CONFIG_SESSION,
	PGR_CONFIG_TRANSACTION,
	PGR_CONFIG_STATEMENT,
};

enum pgr_config_auth {
	PGR_CONFIG_AUTH_TRUST,
	PGR_CONFIG_AUTH_PLAIN,
	PGR_CONFIG_AUTH_MD5,
	PGR_CONFIG_AUTH_SCRAM,
	PGR_CONFIG_AUTH_CERT,
};

/* Towards clients and towards servers; in this order each asks for more. */
enum pgr_config_tls_mode {
	PGR_CONFIG_TLS_UNSET, /* of one server: as server_tls says */
	PGR_CONFIG_TLS_DISABLE,
	PGR_CONFIG_TLS_ALLOW,
	PGR_CONFIG_TLS_PREFER, /* servers only */
	PGR_CONFIG_TLS_REQUIRE,
	PGR_CONFIG_TLS_VERIFY_CA,
	PGR_CONFIG_TLS_VERIFY_FULL,
};

enum pgr_config_tls_version {
	PGR_CONFIG_TLS_1_2,
	PGR_CONFIG_TLS_1_3,
};

enum pgr_config_log_format {
	PGR_CONFIG_LOG_TEXT,
	PGR_CONFIG_LOG_JSON,
};

enum pgr_config_feature {
	PGR_CONFIG_FEATURE_PIN,
	PGR_CONFIG_FEATURE_ERROR,
	PGR_CONFIG_FEATURE_IGNORE,
};

enum pgr_config_role {
	PGR_CONFIG_ROLE_AUTO,
	PGR_CONFIG_ROLE_PRIMARY,
	PGR_CONFIG_ROLE_REPLICA,
};

enum pgr_config_consistency {
	PGR_CONFIG_EVENTUAL,
	PGR_CONFIG_BOUNDED,
	PGR_CONFIG_CAUSAL, /* written "session" */
};

enum pgr_config_balance {
	PGR_CONFIG_ROUND_ROBIN,
	PGR_CONFIG_RANDOM,
	PGR_CONFIG_LEAST_CONNECTIONS,
};

enum pgr_config_reads_on_primary {
	PGR_CONFIG_READS_ALWAYS,
	PGR_CONFIG_READS_FALLBACK,
	PGR_CONFIG_READS_NEVER,
};

/* What a password is: the text itself or one of PostgreSQL's stored forms. */
enum pgr_config_secret_kind {
	PGR_CONFIG_SECRET_NONE,
	PGR_CONFIG_SECRET_CLEAR,
	PGR_CONFIG_SECRET_MD5,   /* "md5" and 32 lower-case hexadecimal digits */
	PGR_CONFIG_SECRET_SCRAM, /* SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key> */
};

struct pgr_config_secret {
	enum pgr_config_secret_kind kind;
	pgr_sref text;
};

/* A file in PEM, read with the configuration, so that a child needs none. path off 0: not given. */
struct pgr_config_file {
	pgr_cref path; /* as written */
	pgr_sref text;
};

struct pgr_config_tls {
	enum pgr_config_tls_mode mode;
	enum pgr_config_tls_version min_version; /* towards clients */
	struct pgr_config_file cert;
	struct pgr_config_file key;
	struct pgr_config_file ca;
};

/*
 * Where to listen. host: a numeric address or a name, without brackets, or the directory of a Unix
 * socket.
 */
struct pgr_config_listen {
	pgr_cref host; /* off 0: nothing here (http: null) */
	uint16_t port; /* for a directory: of .s.PGSQL.<port> */
	bool is_unix;
};

/*
 * The keys of `defaults:`, which databases and partly users may set too. Durations are
 * microseconds; 0 turns a timeout or limit off where the table says so.
 */
struct pgr_config_pooling {
	enum pgr_config_pool_mode pool_mode;
	uint32_t pool_size;
	uint32_t min_pool_size;
	uint32_t reserve_pool_size;
	uint32_t max_server_logins;
	uint32_t max_db_connections;
	uint32_t max_client_connections; /* clients of the database */
	uint32_t prepared_statements;
	pgr_usec reserve_pool_timeout;
	pgr_usec queue_timeout;
	pgr_usec connect_timeout;
	pgr_usec login_retry;
	pgr_usec query_timeout;
	pgr_usec transaction_timeout;
	pgr_usec idle_transaction_timeout;
	pgr_usec client_idle_timeout;
	pgr_usec server_idle_timeout;
	pgr_usec server_lifetime;
	pgr_usec catalog_refresh;
	pgr_usec max_lag;
	pgr_usec lsn_interval;
	pgr_usec health_interval;
	pgr_usec health_timeout;
	enum pgr_config_feature on_session_feature;
	enum pgr_config_consistency consistency;
	enum pgr_config_balance balance;
	enum pgr_config_reads_on_primary reads_on_primary;
	bool read_write_split;
};

struct pgr_config_server {
	pgr_cref host; /* a name, a numeric address, or the directory of a Unix socket */
	enum pgr_config_role role;
	uint32_t weight;
	uint32_t port;
	bool is_unix;
	struct pgr_config_tls tls; /* only what this server says itself */
};

struct pgr_config_db {
	pgr_cref name;
	pgr_cref dbname;                   /* on the server; off 0: the name that the client gave */
	pgr_cref user;                     /* who logs in to the server; off 0: the client's user */
	struct pgr_config_secret password; /* of that login; NONE: that of users; no SCRAM */
	struct pgr_config_list servers;    /* of struct pgr_config_server, at least one */
	bool is_pattern;                   /* name has a `*` */
	uint64_t set;                      /* which pooling keys stand in this database itself */
	struct pgr_config_pooling pooling; /* what holds: the defaults with those laid over them */
};

struct pgr_config_user {
	pgr_cref name;
	struct pgr_config_list secrets;    /* of struct pgr_config_secret: any of them is right */
	uint32_t max_client_connections;   /* of this user over all databases; 0: no limit */
	uint64_t set;                      /* which pooling keys stand in this user */
	struct pgr_config_pooling pooling; /* only those of set mean something */
};

struct pgr_config {
	uint32_t magic;
	uint32_t size;                  /* bytes of the whole block */
	uint32_t db_exact;              /* so many of dbs are names; the rest are patterns */
	uint32_t workers;               /* 0: auto, as many as cores */
	struct pgr_config_list dbs;     /* of struct pgr_config_db */
	struct pgr_config_list users;   /* of struct pgr_config_user, sorted by name */
	struct pgr_config_list listen;  /* of struct pgr_config_listen */
	struct pgr_config_list includes; /* of pgr_cref: the patterns of all `include` of all files */
	uint64_t included;              /* pgr_config_included_now() when it was loaded */
	struct pgr_config_list dns_servers; /* of pgr_cref: address:port, checked */
	struct pgr_config_list admin_users; /* of pgr_cref: may do everything in the console */
	struct pgr_config_list admin_stats_users; /* of pgr_cref: may look there */
	struct pgr_config_listen http;
	pgr_cref run_as;
	pgr_cref control;
	enum pgr_log_level log_level;
	enum pgr_config_log_format log_format;
	pgr_cref log_destination; /* "stderr", or the absolute path of a file */
	enum pgr_config_auth auth_type;
	struct pgr_config_tls client_tls;
	struct pgr_config_tls server_tls;
	uint32_t max_clients;
	uint32_t tcp_keepalive_count;
	bool log_connections;
	bool sandbox;
	bool scram_secrets;             /* some user has one */
	uint64_t max_startup_packet;
	pgr_usec watchdog_timeout;
	pgr_usec cancel_timeout;
	pgr_usec close_timeout;
	pgr_usec shutdown_grace;
	pgr_usec shutdown_timeout;
	pgr_usec client_login_timeout;
	pgr_usec tcp_keepalive_idle;
	pgr_usec tcp_keepalive_interval;
	pgr_usec tcp_user_timeout;
	struct pgr_config_pooling defaults;
};

struct pgr_config_secrets {
	uint32_t magic;
	uint32_t size; /* bytes of the whole block */
};

/* What loading gives: two blocks of config->size and secrets->size bytes. */
struct pgr_config_pair {
	const struct pgr_config *config;
	const struct pgr_config_secrets *secrets;
};

/*
 * Loads the file at path with all that it includes. FAIL: errors says what is wrong, *ret is
 * untouched. Environment and files of passwords are read here, so only the master calls this (and
 * `pgroutectl check`).
 */
PGR_MUST enum pgr_rc pgr_config_load(
	const char *path, struct pgr_config_pair *ret, struct pgr_config_errors *errors);

/* The same from memory; errors call it name. Reads no file: include and password_file fail. */
PGR_MUST enum pgr_rc pgr_config_load_text(const char *name, const char *text, size_t len,
	struct pgr_config_pair *ret, struct pgr_config_errors *errors);

/*
 * A number for what `include` names at this moment: not equal to cfg->included when a file came, went
 * or was written since the configuration was loaded. Looks into folders, reads no file.
 */
uint64_t pgr_config_included_now(const struct pgr_config *cfg);

/* Gives back what the loader gave; the secrets are overwritten first. */
void pgr_config_free(struct pgr_config_pair *pair);

/*
 * The database that a client's name means: the entry of that very name, else the pattern with the
 * most characters besides `*` that matches (of equal ones the first in byte order); NULL: none.
 */
const struct pgr_config_db *pgr_config_find_db(const struct pgr_config *cfg, const char *name);

/* NULL: unknown. */
const struct pgr_config_user *pgr_config_find_user(const struct pgr_config *cfg, const char *name);

/* What a user may do in the admin console. */
enum pgr_config_role_in_console {
	PGR_CONSOLE_STRANGER,
	PGR_CONSOLE_LOOKS, /* of admin.stats_users */
	PGR_CONSOLE_RULES, /* of admin.users */
};
enum pgr_config_role_in_console pgr_config_console_role(
	const struct pgr_config *cfg, const char *user);

/*
 * What holds for this user in this database: the user's keys over the database's over the defaults.
 * db and user may be NULL. min_pool_size is cut to pool_size, and the reserve so that both together
 * fit into PGR_CONFIG_PLACES_MAX. max_client_connections is the
 * database's limit; the user's own one counts other clients and stays in *user: both hold.
 */
void pgr_config_pooling(const struct pgr_config *cfg, const struct pgr_config_db *db,
	const struct pgr_config_user *user, struct pgr_config_pooling *ret);

/* What holds towards this server: its own keys over server_tls. A Unix socket has no TLS. */
void pgr_config_server_tls(const struct pgr_config *cfg, const struct pgr_config_server *server,
	struct pgr_config_tls *ret);

/* The same for the server of the database that a client calls so; server_tls when there is none. */
void pgr_config_database_tls(
	const struct pgr_config *cfg, const char *database, struct pgr_config_tls *ret);

/* Does name match pattern, where each `*` stands for any run of characters? */
bool pgr_config_match(const char *pattern, const char *name);

/* One setting as `show config` has it. Texts live until the callback returns. */
struct pgr_config_setting {
	const char *path;     /* "defaults.pool_size", "databases.app.user" */
	const char *value;    /* as one would write it; passwords: "(hidden)" or "null" */
	const char *fallback; /* the built-in default */
	bool needs_restart;   /* a reload does not apply a change */
};

typedef void pgr_config_on_setting(void *arg, const struct pgr_config_setting *setting);

/* All global keys and defaults, then for each database and user what it sets itself. */
void pgr_config_each(const struct pgr_config *cfg, pgr_config_on_setting *on_setting, void *arg);

struct pgr_config_change {
	const char *path;
	const char *from; /* NULL: added as a whole; "default": was not set there */
	const char *to;   /* NULL: removed as a whole; "(changed)": a secret */
	bool needs_restart;
};

typedef void pgr_config_on_change(void *arg, const struct pgr_config_change *change);

/*
 * Tells each difference of two configurations, in a fixed order: global keys, defaults, databases,
 * users. Added and removed databases and users are one change each. Returns how many there were.
 */
size_t pgr_config_diff(const struct pgr_config_pair *from, const struct pgr_config_pair *to,
	pgr_config_on_change *on_change, void *arg);

/* `databases.app.pool_size: 20 -> 40`, `listen: ... (needs a restart)`; returns as snprintf. */
int pgr_config_change_text(const struct pgr_config_change *change, char *buf, size_t size);

enum pgr_config_format {
	PGR_CONFIG_MD,  /* docs/SETTINGS.md */
	PGR_CONFIG_MAN, /* pgroute.yaml(5) */
};

/* Writes the reference of every key. */
void pgr_config_reference(FILE *out, enum pgr_config_format format);

/* The text at ref, "" for null; a bad offset gives "" too. */
static inline const char *
pgr_config_text(const struct pgr_config *cfg, pgr_cref ref)
{
	if (PGR_SUSPECT(ref.off >= cfg->size))
		return "";
	return ref.off == 0 ? "" : (const char *)cfg + ref.off;
}

static inline bool
pgr_config_is_null(pgr_cref ref)
{
	return ref.off == 0;
}

static inline const char *
pgr_config_secret_text(const struct pgr_config_secrets *secrets, pgr_sref ref)
{
	if (PGR_SUSPECT(ref.off >= secrets->size))
		return "";
	return ref.off == 0 ? "" : (const char *)secrets + ref.off;
}

/* Element i of a list, or NULL when there is none. */
static inline const void *
pgr_config_item(const struct pgr_config *cfg, struct pgr_config_list list, uint32_t i, size_t size)
{
	uint64_t at = list.off + (uint64_t)i * size;

	if (i >= list.n || PGR_SUSPECT(at + size > cfg->size))
		return NULL;
	return (const char *)cfg + at;
}

static inline const struct pgr_config_db *
pgr_config_db_at(const struct pgr_config *cfg, uint32_t i)
{
	return pgr_config_item(cfg, cfg->dbs, i, sizeof(struct pgr_config_db));
}

static inline const struct pgr_config_user *
pgr_config_user_at(const struct pgr_config *cfg, uint32_t i)
{
	return pgr_config_item(cfg, cfg->users, i, sizeof(struct pgr_config_user));
}

static inline const struct pgr_config_listen *
pgr_config_listen_at(const struct pgr_config *cfg, uint32_t i)
{
	return pgr_config_item(cfg, cfg->listen, i, sizeof(struct pgr_config_listen));
}

static inline const struct pgr_config_server *
pgr_config_server_at(const struct pgr_config *cfg, const struct pgr_config_db *db, uint32_t i)
{
	return pgr_config_item(cfg, db->servers, i, sizeof(struct pgr_config_server));
}

static inline const struct pgr_config_secret *
pgr_config_secret_at(const struct pgr_config *cfg, const struct pgr_config_user *user, uint32_t i)
{
	return pgr_config_item(cfg, user->secrets, i, sizeof(struct pgr_config_secret));
}

#endif
