/*
 * Names of databases that hold `*`, and the order of databases in a configuration.
 */
#ifndef PGR_CONFIG_PATTERN_H
#define PGR_CONFIG_PATTERN_H

/*
 * Names without `*` first, in byte order; then patterns, those with more other characters first, in
 * byte order among equal ones. As strcmp; 0 only for the same name.
 */
int pgr_pattern_compare(const char *a, const char *b);

#endif
