/*
 * Settings of a finished configuration as text, section by section.
 */
#ifndef PGR_CONFIG_SHOW_H
#define PGR_CONFIG_SHOW_H

#include "config/keys.h"

/* One mapping of the file: the top level, defaults, a database or a user. */
struct pgr_section {
	unsigned where;
	char path[96]; /* "", "defaults", "databases.app" */
	const struct pgr_config *cfg;
	const struct pgr_config_secrets *secrets; /* NULL when nobody compares */
	const void *self;
	const struct pgr_config_pooling *pooling;
	uint64_t set; /* of pooling keys */
};

struct pgr_section pgr_section_global(const struct pgr_config *cfg);
struct pgr_section pgr_section_defaults(const struct pgr_config *cfg);
struct pgr_section pgr_section_db(const struct pgr_config *cfg, const struct pgr_config_db *db);
struct pgr_section pgr_section_user(
	const struct pgr_config *cfg, const struct pgr_config_user *user);

/* Is the row a value of this section (and no mapping, and not another row's field)? */
bool pgr_section_has(const struct pgr_section *section, const struct pgr_key *key);

/* Does the section say it itself? Always true for the top level and defaults. */
bool pgr_section_sets(const struct pgr_section *section, const struct pgr_key *key);

/* The key's field in the section; NULL for rows that are not kept. */
const void *pgr_section_field(const struct pgr_section *section, const struct pgr_key *key);

/* "defaults.pool_size" */
void pgr_section_path(
	const struct pgr_section *section, const struct pgr_key *key, char *buf, size_t size);

/* The value as one would write it, cut to the buffer; secrets are never shown. */
void pgr_section_value(
	const struct pgr_section *section, const struct pgr_key *key, char *buf, size_t size);

#endif
