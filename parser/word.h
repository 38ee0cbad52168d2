/*
 * The words that are told apart: PostgreSQL's key words, and the names of functions and relations
 * that features.def lists. One lookup, without regard to case, by a perfect hash that words_main.c
 * makes at build time from keywords.def and features.def.
 */
#ifndef PGR_PARSER_WORD_H
#define PGR_PARSER_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pgr_word {
	PGR_NO_WORD,
#define PGR_KEYWORD(id, category) PGR_WORD_##id,
#include "parser/keywords.def"
#undef PGR_KEYWORD
	PGR_WORD_KEYWORDS_END, /* below: key words, above: names that are no key words */
#define PGR_FUNCTION(id, name, treatment, flags, reason) PGR_WORD_FN_##id,
#define PGR_RELATION(id, name, treatment, reason) PGR_WORD_REL_##id,
#include "parser/features.def"
	PGR_WORD_COUNT,
};

enum pgr_word_category {
	PGR_CATEGORY_NAME, /* no key word */
	PGR_CATEGORY_UNRESERVED,
	PGR_CATEGORY_COL_NAME,
	PGR_CATEGORY_TYPE_FUNC,
	PGR_CATEGORY_RESERVED,
};

/*
 * Up to 16 bytes of a word, its first and its last eight, with bit 5 set in each: equal for words
 * that differ in the case of ASCII letters only, different for others (of identifier characters).
 */
struct pgr_word_ends {
	uint64_t first;
	uint64_t last;
};

#define PGR_WORD_FOLD UINT64_C(0x2020202020202020)

static inline struct pgr_word_ends
pgr_word_ends(const char *p, size_t len)
{
	struct pgr_word_ends ends = {0, 0};
	uint32_t half;

	if (len >= 8) {
		memcpy(&ends.first, p, 8);
		memcpy(&ends.last, p + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&half, p + len - 4, 4);
		ends.first = (uint64_t)half << 32;
		memcpy(&half, p, 4);
		ends.first |= half;
	} else if (len > 0) {
		ends.first = (uint64_t)(unsigned char)p[0] |
			(uint64_t)(unsigned char)p[len / 2] << 8 |
			(uint64_t)(unsigned char)p[len - 1] << 16;
	}
	ends.first |= PGR_WORD_FOLD;
	ends.last |= PGR_WORD_FOLD;
	return ends;
}

static inline uint64_t
pgr_word_hash(struct pgr_word_ends ends, size_t len)
{
	uint64_t h = (ends.first + len) * UINT64_C(0x9e3779b97f4a7c15);

	h ^= ends.last * UINT64_C(0xc2b2ae3d27d4eb4f);
	h ^= h >> 29;
	return h * UINT64_C(0xbf58476d1ce4e5b9);
}

#define PGR_WORD_BUCKETS 256
#define PGR_WORD_SLOTS 1024

/* Which bucket's shift a hash takes, and the slot that it then means. */
static inline unsigned
pgr_word_bucket(uint64_t hash)
{
	return (unsigned)(hash >> 56);
}

static inline unsigned
pgr_word_slot(uint64_t hash, unsigned shift)
{
	return (unsigned)((hash >> 44) + shift * ((hash >> 20) | 1)) & (PGR_WORD_SLOTS - 1);
}

/* The word at p, or PGR_NO_WORD. Reads len bytes. */
enum pgr_word pgr_word_find(const char *p, size_t len);

/* The same for a name in quotes: only a name written in lower case is the word. */
enum pgr_word pgr_word_find_quoted(const char *p, size_t len);

/* The word in lower case. */
const char *pgr_word_text(enum pgr_word word);

enum pgr_word_category pgr_word_category(enum pgr_word word);

/*
 * The row of features.def about this word: a function or relation, or the statement that it begins;
 * 0: none.
 */
unsigned pgr_word_feature(enum pgr_word word);

#endif
