/*
 * PostgreSQL's own scanner (core_yylex, as libpg_query carries it), for tests that compare
 * pgroute's lexer with it. Its headers are PostgreSQL's and stay in pg_scanner.c.
 */
#ifndef PGR_TESTS_PG_SCANNER_H
#define PGR_TESTS_PG_SCANNER_H

#include <stdbool.h>
#include <stddef.h>

#include "parser/lexer.h"

struct pg_scanner_token {
	unsigned kind; /* enum pgr_token_kind or a character, as pgroute's lexer has it */
	size_t start;
	size_t end;
	const char *keyword; /* of a key word; NULL: none */
};

struct pg_scanner {
	struct pg_scanner_token *tokens; /* n of them, without the end */
	size_t n;
	size_t room;
	bool failed;
	bool bad_bytes; /* the error is about the encoding of a string, which pgroute's lexer does
			   not look at */
	size_t error_at;
	char message[128];
};

/* Scans a text that ends in NUL. The scanner is reused: init once, fini at the end. */
void pg_scanner_init(struct pg_scanner *s);
void pg_scanner_run(struct pg_scanner *s, const char *text, bool standard_strings);
void pg_scanner_fini(struct pg_scanner *s);

/* Calls f(word, category) for each key word that PostgreSQL has. */
void pg_scanner_keywords(
	void (*f)(const char *word, enum pgr_word_category category, void *arg), void *arg);

/*
 * Compares the tokens that pgroute's lexer finds in a text (that ends in NUL, too) with
 * PostgreSQL's: kind, start, end, key word, and where an error is. False: *ret_what says what
 * differs.
 *
 * One difference is known: libpg_query's scanner is patched to take $1x for a parameter and a word,
 * where PostgreSQL's refuses.
 */
bool pg_scanner_compare(struct pg_scanner *s, const char *text, size_t len, bool standard_strings,
	char *ret_what, size_t size);

#endif
