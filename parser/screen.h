/*
 * The look in front of the reader: proves of most texts, in about two instructions per byte, that
 * pgr_session_read() would find nothing in them that pins or is tracked. README.md says why nothing
 * hides from it.
 */
#ifndef PGR_PARSER_SCREEN_H
#define PGR_PARSER_SCREEN_H

#include "parser/names.h"

/*
 * True: the text is at most one statement, a query, that leaves nothing behind in its session but
 * what the catalog knows of its relations; its facts are SAFE, without a step or a flag, unless its
 * tokens are an error. False: read it. unsafe: names that must not occur, or NULL; costs nothing
 * when empty. The answer holds for every server version and either value of
 * standard_conforming_strings.
 */
bool pgr_screen_clean(const char *text, size_t len, const struct pgr_name_set *unsafe);

#endif
