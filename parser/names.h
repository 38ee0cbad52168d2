/*
 * The names in a text, for a catalog that judges functions and relations by what they do: an
 * iterator over them, and a set of names that a catalog has found unsafe, in which the screen and
 * the reader of facts look.
 */
#ifndef PGR_PARSER_NAMES_H
#define PGR_PARSER_NAMES_H

#include "parser/lexer.h"
#include "proto/out.h"

enum pgr_name_role {
	PGR_NAME_CALLED,   /* a parenthesis follows: a function, or what looks like one */
	PGR_NAME_RELATION, /* stands where a relation does: behind FROM, JOIN, INTO, UPDATE, ... */
	PGR_NAME_OTHER, /* column, type, alias, label; a relation or a function all the same, as in
			   (row).name */
};

/* Write the parts with pgr_literal_name(); a UNICODE_QUOTED part cannot be read: take it as unsafe.
 */
struct pgr_name {
	uint8_t role;            /* enum pgr_name_role */
	struct pgr_token schema; /* kind END: none given */
	struct pgr_token name;   /* WORD, QUOTED or UNICODE_QUOTED */
};

struct pgr_name_walk {
	struct pgr_lexer lexer;
	struct pgr_lexer outer; /* while inside of the body of DO */
	struct pgr_token ahead; /* not yet given out */
	struct pgr_token prev;
	uint64_t from; /* nesting levels at which a list of relations is open */
	unsigned depth;
	bool body;
	bool inside;
};

/*
 * Goes over the names of a text. Key words that can be no name are left out, after a point they are
 * names. The body of a DO between dollar quotes is gone over too; its text is the text, so offsets
 * stay what they are.
 */
void pgr_name_walk_init(struct pgr_name_walk *it, const char *text, size_t len, bool standard_strings);
bool pgr_name_walk_next(struct pgr_name_walk *it, struct pgr_name *ret);

#define PGR_NAME_SET_BITS 16384

/*
 * A Bloom filter: what was added is found; what was not is found seldom. Without pointers: lies
 * anywhere. Names are compared without regard to case, and only by their letters, digits and
 * underscores up to the first other character, so that spelling and quoting hide nothing. All zero:
 * empty.
 */
struct pgr_name_set {
	uint32_t n;
	uint64_t lengths; /* bit n: there is a name whose part that counts is n bytes long */
	bool everything;  /* every text hits: a name without any letter, or the catalog says so */
	bool high;        /* some name has a byte above 127: every such word hits */
	uint64_t bits[PGR_NAME_SET_BITS / 64];
};

void pgr_name_set_add(struct pgr_name_set *set, const char *name, size_t len);

/*
 * May this word be in the set? A run of letters, digits and underscores; of an identifier with
 * others in it, any run.
 */
bool pgr_name_set_look(const struct pgr_name_set *set, const char *word, size_t len);

static inline bool
pgr_name_set_has(const struct pgr_name_set *set, const char *word, size_t len)
{
	bool other_length = len < 64 && (set->lengths >> len & 1) == 0;

	/* most words are of a length that no name has */
	return (!other_length || set->high || set->everything) && pgr_name_set_look(set, word, len);
}

#define PGR_CHAR_RUN (PGR_CHAR_LETTER | PGR_CHAR_DIGIT)

/* How long is the run of letters, digits and underscores that begins here? */
static inline size_t
pgr_name_run(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && (pgr_lexer_char(p[n]) & PGR_CHAR_RUN) != 0)
		n++;
	return n;
}

/* Has a token, a WORD or QUOTED, a run that is in the set? A UNICODE_QUOTED always has. */
bool pgr_name_set_has_token(
	const struct pgr_name_set *set, const char *text, const struct pgr_token *t);

#endif
