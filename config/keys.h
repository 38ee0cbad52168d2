/*
 * The table of all keys: the one home of name, type, default, place, range, effect of a reload and
 * description. Loader, defaults, checks, diff, `show config` and both references read it.
 */
#ifndef PGR_CONFIG_KEYS_H
#define PGR_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define PGR_KEYS_MAX 128

enum pgr_key_type {
	PGR_KEY_GROUP,       /* a mapping; its keys are rows with dotted names */
	PGR_KEY_BOOL,        /* bool */
	PGR_KEY_INT,         /* uint32_t */
	PGR_KEY_DURATION,    /* uint64_t, microseconds */
	PGR_KEY_SIZE,        /* uint64_t, bytes */
	PGR_KEY_WORD,        /* an enum */
	PGR_KEY_TEXT,        /* pgr_cref, at most max bytes */
	PGR_KEY_TEXTS,       /* list of pgr_cref */
	PGR_KEY_SECRET,      /* struct pgr_config_secret: to log in to a server with */
	PGR_KEY_SECRETS,     /* list of struct pgr_config_secret: to check clients against */
	PGR_KEY_SECRET_FILE, /* fills the secret beside it */
	PGR_KEY_FILE,        /* struct pgr_config_file */
	PGR_KEY_ADDRESS,     /* struct pgr_config_listen */
	PGR_KEY_ADDRESSES,   /* list of struct pgr_config_listen */
	PGR_KEY_INCLUDE,     /* list of globs */
	PGR_KEY_DEFAULTS,
	PGR_KEY_DATABASES,
	PGR_KEY_USERS,
	PGR_KEY_SERVERS,
	PGR_KEY_ABSENT,      /* may only be empty in this version */
};

/* Places where a key may stand; a bit each. */
enum pgr_key_place {
	PGR_IN_GLOBAL = 1,
	PGR_IN_DEFAULTS = 2,
	PGR_IN_DATABASE = 4,
	PGR_IN_USER = 8,
	PGR_IN_SERVER = 16,
};

/* Which struct the field at offset belongs to. */
enum pgr_key_home {
	PGR_HOME_NONE, /* is checked and not kept */
	PGR_HOME_CONFIG,
	PGR_HOME_POOLING,
	PGR_HOME_DB,
	PGR_HOME_USER,
	PGR_HOME_SERVER,
};

enum pgr_key_flag {
	PGR_KEY_NULLABLE = 1,
	PGR_KEY_RESTART = 2,  /* a reload tells the change and does not apply it */
	PGR_KEY_ZERO_OFF = 4, /* 0 is allowed below min and means off */
	PGR_KEY_AUTO = 8,     /* the word "auto" is allowed and kept as 0 */
	PGR_KEY_REQUIRED = 16,
	PGR_KEY_NAME = 32,    /* a text of at most PGR_CONFIG_NAME_MAX bytes */
	PGR_KEY_HOST = 64,    /* sets is_unix of the server beside it when it is a path */
	PGR_KEY_STDERR = 128, /* a text that is "stderr" or an absolute path */
	PGR_KEY_PRIVATE = 256, /* a file that not everybody may read */
};

struct pgr_key_word {
	const char *name; /* NULL ends the list */
	uint32_t value;
	const char *later; /* the capability that it waits for; NULL: works */
};

struct pgr_key {
	const char *name;
	enum pgr_key_type type;
	unsigned where; /* of enum pgr_key_place */
	const char *fallback; /* as one would write it; NULL: none */
	enum pgr_key_home home;
	size_t offset;
	const struct pgr_key_word *words;
	uint64_t min;
	uint64_t max;
	unsigned flags;    /* of enum pgr_key_flag */
	const char *later; /* the capability that it waits for: only the default is accepted */
	const char *about; /* one sentence */
};

extern const struct pgr_key pgr_keys[];
extern const size_t pgr_keys_count;

/* The row of that name which may stand there, or NULL. */
const struct pgr_key *pgr_key_find(unsigned where, const char *name);

static inline size_t
pgr_key_index(const struct pgr_key *key)
{
	return (size_t)(key - pgr_keys);
}

/* The bit of a pooling key in `set` of databases and users. */
uint64_t pgr_key_bit(const struct pgr_key *key);

/* The key's field in an object of its home. */
static inline void *
pgr_key_field(const struct pgr_key *key, void *object)
{
	return (char *)object + key->offset;
}

static inline const void *
pgr_key_peek(const struct pgr_key *key, const void *object)
{
	return (const char *)object + key->offset;
}

/* Bytes of the field; 0 for those that are not kept. */
size_t pgr_key_size(const struct pgr_key *key);

/* Copies the fields of the pooling keys in set. */
void pgr_key_overlay(
	struct pgr_config_pooling *to, const struct pgr_config_pooling *from, uint64_t set);

/* The words for a type in messages ("a duration") and in references. */
const char *pgr_key_type_name(const struct pgr_key *key);

#endif
