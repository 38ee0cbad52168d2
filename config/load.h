/*
 * One loading under way: shared by the files of config/ that take part in it, seen by nobody else.
 */
#ifndef PGR_CONFIG_LOAD_H
#define PGR_CONFIG_LOAD_H

#include <glob.h>
#include <sys/stat.h>

#include "config/block.h"
#include "config/keys.h"
#include "config/tree.h"

#define PGR_LOAD_FILE_MAX (16u << 20)
#define PGR_LOAD_TOTAL_MAX (64u << 20)
#define PGR_LOAD_FILES_MAX 4096
#define PGR_LOAD_DEPTH_MAX 8 /* of files that include files */

/* A database or user that has been read, before it is sorted into the block. */
struct pgr_draft_db {
	struct pgr_config_db db; /* pooling: its own keys only */
	const char *name;
	const struct pgr_node *at;
};

struct pgr_draft_user {
	struct pgr_config_user user;
	const char *name;
	const struct pgr_node *at;
};

struct pgr_load_file {
	uint64_t dev;
	uint64_t ino;
};

/* Many servers may name one file: it is read once. */
struct pgr_load_text {
	const char *path;
	pgr_sref text;
};

struct pgr_load {
	struct pgr_arena arena; /* nodes, paths */
	struct pgr_tree tree;
	struct pgr_config_errors *errors;
	struct pgr_block block; /* becomes the configuration; begins with room for cfg */
	struct pgr_block secrets;
	struct pgr_config cfg;
	const struct pgr_node *seen[PGR_KEYS_MAX]; /* where global keys and defaults were set */
	struct pgr_draft_db *dbs;
	size_t db_count;
	struct pgr_draft_user *users;
	size_t user_count;
	struct pgr_load_file *files;
	size_t file_count;
	pgr_cref *includes; /* patterns */
	size_t include_count;
	struct pgr_load_text *texts;
	size_t text_count;
	size_t total; /* bytes of all files */
	unsigned depth;
	bool may_read; /* files besides the one given */
};

/* The mapping that is being read: where its keys go. */
struct pgr_scope {
	unsigned where;     /* one place */
	const char *prefix; /* of the rows' names: "" or "log." */
	const char *path;   /* for messages: "databases.app"; "" for the top level */
	void *self;         /* the object of rows that are no pooling keys */
	struct pgr_config_pooling *pooling;
	uint64_t *set;      /* gets the bits of pooling keys; may be NULL */
	const struct pgr_node **seen;
};

/* load.c: reads the keys of a mapping into a scope. */
void pgr_load_map(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_node *map);
/* Lays the built-in defaults of the scope's place into it. */
void pgr_load_fallbacks(struct pgr_load *load, struct pgr_scope *scope);
void pgr_load_complain(
	struct pgr_load *load, const struct pgr_node *at, const struct pgr_complaint *complaint);
/* The same with a message that begins with the key's name. */
void pgr_load_complain_key(struct pgr_load *load, const struct pgr_key *key,
	const struct pgr_node *at, const struct pgr_complaint *complaint);
/* "must be a number, not a list" */
void pgr_load_wrong_type(
	struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node);

/* files.c */
void pgr_load_path(struct pgr_load *load, const char *path, const struct pgr_node *at);
void pgr_load_content(
	struct pgr_load *load, const char *name, const char *text, size_t len);
void pgr_load_include(
	struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node);
/* The password in the file that node names, in the arena; NULL: told why. */
const char *pgr_load_password_file(
	struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node);

/* watch.c */
int pgr_watch_glob(const char *pattern, glob_t *found); /* as glob(3) */
void pgr_watch_pattern(struct pgr_load *load, const char *pattern);
void pgr_watch_file(struct pgr_load *load, const char *path, const struct stat *stat);
/* The contents of the file that node names, in the secrets; false: told why. */
bool pgr_load_text_file(struct pgr_load *load, const struct pgr_key *key,
	const struct pgr_node *node, pgr_sref *ret);

/* set.c: stores the value of one key that is no mapping of keys. */
void pgr_load_value(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node);

/* entities.c */
void pgr_load_databases(
	struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node);
void pgr_load_users(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node);
void pgr_load_servers(struct pgr_load *load, struct pgr_scope *scope, const struct pgr_key *key,
	const struct pgr_node *node);

/* check.c: what only the whole can tell; sorts databases and users. */
void pgr_load_check(struct pgr_load *load);

/* check_tls.c: do keys of TLS fit together, and are their files of use? Part of the above. */
void pgr_load_check_tls(struct pgr_load *load);

#endif
