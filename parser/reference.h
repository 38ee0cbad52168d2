/* The list of what is safe, tracked and pinned, as a page for users. */
#ifndef PGR_PARSER_REFERENCE_H
#define PGR_PARSER_REFERENCE_H

#include <stdio.h>

void pgr_reference_write(FILE *out);

#endif
