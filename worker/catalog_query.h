/*
 * The queries by which catalog.c learns what functions and relations of a database do. Rows are told
 * apart by their first column, in the order of the statements:
 *
 *   l, numbers                          what stands there, as numbers that change with it
 *   b, function, language, oid, part    a body in parts of 4000 bytes, in their order
 *   c, function, extension              compiled and VOLATILE; the extension may be NULL
 *   u, user, used                       a function or relation, and what it runs or refers to
 *
 * Names and parts are written as encode(..., 'escape') does. PostgreSQL's own functions are told of only
 * where they pin (parser/features.def).
 */
#ifndef PGR_WORKER_CATALOG_QUERY_H
#define PGR_WORKER_CATALOG_QUERY_H

extern const char pgr_catalog_query[];

/* The first of these rows alone: has anything changed? */
extern const char pgr_catalog_look[];

#endif
