/*
 * The reader of facts, as session.c, session_set.c and body.c see it; nobody else includes this.
 *
 * A current token, the two before it, and what is known of the statement so far. Each token passes
 * pgr_reader_next(), which looks at it whatever the statement is: so nothing hides in a select list
 * or a subquery.
 */
#ifndef PGR_PARSER_READER_H
#define PGR_PARSER_READER_H

#include "parser/session.h"

struct pgr_reader {
	struct pgr_lexer lexer;
	struct pgr_token tok, prev, prev2;
	const char *text;
	struct pgr_facts *facts;
	const struct pgr_name_set *unsafe;
	uint32_t depth;  /* of parentheses */
	uint32_t atomic; /* of CASE in the body of a function that is no string */
	uint8_t nesting; /* of texts in texts: bodies and what they execute */
	bool body;       /* of a function or DO: statements begin in its midst too */
	bool atomic_seen;
	/* of the statement */
	enum pgr_feature statement;
	uint32_t begin;
	uint32_t item; /* behind the SELECT or comma before the item of its list */
	uint16_t first_step;
	bool routine;   /* CREATE FUNCTION or PROCEDURE */
	bool temp;      /* CREATE TEMP */
	bool temp_drop; /* ON COMMIT DROP */
	bool into;      /* SELECT INTO */
	bool target;    /* after UPDATE, before its relation has ended */
	bool clauses;   /* a SELECT of more than a list, or that calls others than set_config() */
	bool runs_text; /* a function that runs a text */
	bool params;
	struct pgr_step nowhere; /* what does not fit into the facts */
};

void pgr_reader_init(struct pgr_reader *r, const char *text, size_t len, bool standard_strings,
	const struct pgr_name_set *unsafe, struct pgr_facts *facts);

/* To the next token; next: but never behind the end of the statement. */
void pgr_reader_advance(struct pgr_reader *r);
void pgr_reader_next(struct pgr_reader *r);

static inline bool
pgr_reader_at_end(const struct pgr_reader *r)
{
	return r->tok.kind == PGR_TOKEN_END || r->tok.kind == PGR_TOKEN_ERROR ||
		(r->tok.kind == ';' && r->depth == 0 && r->atomic == 0);
}

static inline bool
pgr_reader_is(const struct pgr_reader *r, enum pgr_word word)
{
	return pgr_token_is(&r->tok, word);
}

/* Takes the word if it is the current one. */
bool pgr_reader_take(struct pgr_reader *r, enum pgr_word word);

/* The token behind the current one. */
struct pgr_token pgr_reader_peek(const struct pgr_reader *r);

/* This row occurs. */
void pgr_reader_note(struct pgr_reader *r, enum pgr_feature row);

/* A new step of the statement, noted; never NULL: what does not fit goes nowhere. */
struct pgr_step *pgr_reader_step(struct pgr_reader *r, enum pgr_feature kind);

/* The modes of a transaction, as many as there are. */
uint8_t pgr_reader_modes(struct pgr_reader *r);

/* session_set.c: from SET or RESET to the end of what was understood. */
void pgr_reader_set(struct pgr_reader *r);
void pgr_reader_reset(struct pgr_reader *r);
/* At the parenthesis behind set_config. */
void pgr_reader_set_config(struct pgr_reader *r);

/* body.c: a statement begins inside of a body, at the current token; a string inside of a body. */
void pgr_reader_body_statement(struct pgr_reader *r);
void pgr_reader_body_string(struct pgr_reader *r, const struct pgr_token *t);

#endif
