/*
 * What a token says: the characters of strings, names and numbers, as PostgreSQL's scanner hands
 * them to its grammar. Written to a bounded writer; what does not fit is seen there (proto/out.h).
 */
#ifndef PGR_PARSER_LITERAL_H
#define PGR_PARSER_LITERAL_H

#include "parser/lexer.h"
#include "proto/out.h"

#define PGR_LITERAL_NAME_MOST 63 /* bytes of an identifier that count */

/*
 * A STRING token, quotes and escapes undone. False: it holds a NUL, which no server takes. The
 * token must come from a lexer over this text with these standard_strings.
 */
bool pgr_literal_string(
	const char *text, const struct pgr_token *t, bool standard_strings, struct pgr_out *out);

/*
 * A WORD, in lower case as to ASCII, or a QUOTED; cut at 63 bytes, at the beginning of a UTF-8
 * character.
 */
void pgr_literal_name(const char *text, const struct pgr_token *t, struct pgr_out *out);

/* An INTEGER in decimal, or a FLOAT as it stands. */
void pgr_literal_number(const char *text, const struct pgr_token *t, struct pgr_out *out);

/*
 * Has this UNICODE_QUOTED or UNICODE_STRING escapes? (UESCAPE behind it may say that others than
 * \ are.)
 */
bool pgr_literal_has_escapes(const char *text, const struct pgr_token *t);

/* The content of a dollar-quoted STRING, in place; false: t is another kind of string. */
bool pgr_literal_dollar(
	const char *text, const struct pgr_token *t, uint32_t *ret_start, uint32_t *ret_end);

#endif
