/*
 * The tokens of an SQL text, exactly as PostgreSQL 18's scanner (core_yylex) cuts them: class,
 * start and end of each, and where it refuses. White space and comments are skipped. The text is
 * given by pointer and length, needs no NUL, and is not copied; nothing is allocated; the work is
 * linear in its length.
 *
 * What depends on the server's encoding is not looked at: whether the bytes of E'\xff' make a
 * character.
 */
#ifndef PGR_PARSER_LEXER_H
#define PGR_PARSER_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/word.h"

/* Below 256: that single character. */
enum pgr_token_kind {
	PGR_TOKEN_END = 0,
	PGR_TOKEN_ERROR = 256,    /* value says why, start is where PostgreSQL's error points */
	PGR_TOKEN_WORD,           /* key word or identifier without quotes: `word` */
	PGR_TOKEN_QUOTED,         /* "identifier" */
	PGR_TOKEN_UNICODE_QUOTED, /* U&"identifier" */
	PGR_TOKEN_STRING,         /* 'x', E'x', $$x$$; continued over lines */
	PGR_TOKEN_UNICODE_STRING, /* U&'x' */
	PGR_TOKEN_BITS,           /* B'x' */
	PGR_TOKEN_HEX,            /* X'x' */
	PGR_TOKEN_INTEGER,        /* fits into 32 bits with sign */
	PGR_TOKEN_FLOAT,          /* every other number */
	PGR_TOKEN_PARAM,          /* $1 */
	PGR_TOKEN_OPERATOR,       /* but for those below and single characters */
	PGR_TOKEN_TYPECAST,       /* :: */
	PGR_TOKEN_DOT_DOT,        /* .. */
	PGR_TOKEN_COLON_EQUALS,   /* := */
	PGR_TOKEN_EQUALS_GREATER, /* => */
	PGR_TOKEN_LESS_EQUALS,    /* <= */
	PGR_TOKEN_GREATER_EQUALS, /* >= */
	PGR_TOKEN_NOT_EQUALS,     /* <> and != */
};

enum pgr_lexer_error {
	PGR_LEXER_NO_ERROR,
	PGR_LEXER_COMMENT, /* unterminated */
	PGR_LEXER_STRING,
	PGR_LEXER_BITS,
	PGR_LEXER_HEX,
	PGR_LEXER_DOLLAR,
	PGR_LEXER_QUOTED,
	PGR_LEXER_EMPTY_QUOTED,   /* "" */
	PGR_LEXER_UNSAFE_UNICODE, /* U&'' without standard_conforming_strings */
	PGR_LEXER_UNICODE_ESCAPE, /* \u without enough digits */
	PGR_LEXER_UNICODE_VALUE,  /* no code point */
	PGR_LEXER_SURROGATE,      /* half a pair */
	PGR_LEXER_LONG_OPERATOR,  /* 64 characters or more */
	PGR_LEXER_NUMBER,         /* junk behind or in a number */
	PGR_LEXER_PARAM_JUNK,
	PGR_LEXER_PARAM_LARGE,
};

struct pgr_token {
	uint32_t start; /* offset of the first byte */
	uint32_t end;   /* offset behind the last byte */
	uint16_t kind;  /* enum pgr_token_kind, or a character */
	uint16_t word; /* enum pgr_word of a WORD; PGR_NO_WORD: an identifier that is no key word */
	uint32_t value; /* of an INTEGER or PARAM; of an ERROR: enum pgr_lexer_error */
};

struct pgr_lexer {
	const char *text;
	uint32_t len;
	uint32_t pos;
	uint32_t signs_end; /* up to here there are only + and -, each a token */
	bool standard_strings;
};

/*
 * The text holds no NUL (as a String of the protocol cannot); one between two tokens ends it. len <
 * 2^32 (a message is shorter than 2^30). standard_strings: the standard_conforming_strings with
 * which the server will read this text. Copying the struct is a look ahead.
 */
void pgr_lexer_init(struct pgr_lexer *lexer, const char *text, size_t len, bool standard_strings);

/* The next token; returns its kind. At the end, and after an error, END for ever. */
unsigned pgr_lexer_next(struct pgr_lexer *lexer, struct pgr_token *ret);

static inline bool
pgr_token_is(const struct pgr_token *t, enum pgr_word word)
{
	return t->kind == PGR_TOKEN_WORD && t->word == word;
}

/* An identifier or key word, in whatever way it is written. */
static inline bool
pgr_token_is_name(const struct pgr_token *t)
{
	return t->kind == PGR_TOKEN_WORD || t->kind == PGR_TOKEN_QUOTED ||
		t->kind == PGR_TOKEN_UNICODE_QUOTED;
}

/* Classes of characters; those above 127 are letters. */
#define PGR_CHAR_SPACE 1u  /* blank, \t \n \r \f \v */
#define PGR_CHAR_LETTER 2u /* may begin an identifier */
#define PGR_CHAR_DIGIT 4u
#define PGR_CHAR_DOLLAR 8u
#define PGR_CHAR_OPERATOR 16u /* may be part of an operator */
#define PGR_CHAR_SELF 32u     /* is a token by itself */
#define PGR_CHAR_MARK 64u     /* ~!@#^&|`?%: an operator with one of these may end in + or - */
#define PGR_CHAR_HEX 128u
#define PGR_CHAR_NAME (PGR_CHAR_LETTER | PGR_CHAR_DIGIT | PGR_CHAR_DOLLAR)

extern const uint8_t pgr_lexer_chars[256];

static inline unsigned
pgr_lexer_char(char c)
{
	return pgr_lexer_chars[(unsigned char)c];
}

#endif
