/*
 * Text of others as UTF-8.
 */
#ifndef PGR_BASE_UTF8_H
#define PGR_BASE_UTF8_H

#include <stddef.h>

/*
 * Copies a name (size bytes, perhaps without NUL) to buf of at least size + 1 bytes as UTF-8: what is
 * none becomes '?'. Returns buf.
 */
const char *pgr_utf8_copy(char *buf, const char *name, size_t size);

#endif
