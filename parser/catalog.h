/*
 * What functions and relations leave behind in a session, by name, as the catalog of a database tells:
 * a builder that is given what each function is and what depends on what, and the verdicts that come of
 * it, in which the names of texts are looked up.
 *
 * Names stand for all that are called so, in whatever schema, without regard to case, and by their
 * letters, digits and underscores up to the first other character: so a verdict may be too hard, and is
 * never too soft.
 */
#ifndef PGR_PARSER_CATALOG_H
#define PGR_PARSER_CATALOG_H

#include "parser/feature.h"
#include "parser/names.h"

struct pgr_catalog_builder;

/* Immutable. Only what is not safe is in it. */
struct pgr_catalog;

/* NULL: no memory. */
struct pgr_catalog_builder *pgr_catalog_builder_new(void);

/* A function of which the row of features.def is known, as one in C. */
void pgr_catalog_add(struct pgr_catalog_builder *b, const char *name, size_t len, enum pgr_feature row);

/* One with a body, whole. sql_like: the language is sql or plpgsql. */
void pgr_catalog_add_body(struct pgr_catalog_builder *b, const char *name, size_t name_len,
	const char *body, size_t len, bool sql_like);

/* What `from` does `to` does: a view and what it calls, a table and what its triggers do. */
void pgr_catalog_add_use(struct pgr_catalog_builder *b, const char *from, size_t from_len, const char *to,
	size_t to_len);

/* Frees the builder. NULL: there was not enough memory, or too much was added to tell. */
struct pgr_catalog *pgr_catalog_build(struct pgr_catalog_builder *b);
void pgr_catalog_builder_free(struct pgr_catalog_builder *b);
void pgr_catalog_free(struct pgr_catalog *catalog);

/* Names in it. */
size_t pgr_catalog_count(const struct pgr_catalog *catalog);

/* For the screen and the reader of facts. */
const struct pgr_name_set *pgr_catalog_names(const struct pgr_catalog *catalog);

/*
 * The row that the names in a text come to, the first that pins; NONE: they are safe. strings: what
 * stands in its strings counts too.
 */
enum pgr_feature pgr_catalog_judge(const struct pgr_catalog *catalog, const char *text, size_t len,
	bool standard_strings, bool strings);

/* Is an extension with functions in C known to leave nothing behind, but for those that are listed? */
bool pgr_catalog_knows_extension(const char *name);

#endif
