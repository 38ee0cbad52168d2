/*
 * The lookup of words; see the header. Called for each word of a text that is read and for each
 * name in front of a parenthesis that is screened, so it costs a few dozen instructions and touches
 * the entry of one word.
 */
#include "parser/word.h"

#include "base/rc.h"

struct entry {
	struct pgr_word_ends ends;
	const char *text;
	uint8_t len;
	uint8_t feature;
};

#include "words.gen.h"

static const uint8_t categories[PGR_WORD_KEYWORDS_END] = {
#define PGR_KEYWORD(id, category) [PGR_WORD_##id] = PGR_CATEGORY_##category,
#include "parser/keywords.def"
#undef PGR_KEYWORD
};

_Static_assert(PGR_COUNT_OF(entries) == PGR_WORD_COUNT, "words.gen.h is of this list");

/* What the first and the last eight bytes do not cover. */
static bool
middle_equal(const char *p, const struct entry *e)
{
	for (size_t i = 8; i + 8 < e->len; i++)
		if ((p[i] | 0x20) != (e->text[i] | 0x20))
			return false;
	return true;
}

enum pgr_word
pgr_word_find(const char *p, size_t len)
{
	struct pgr_word_ends ends = pgr_word_ends(p, len);
	uint64_t hash = pgr_word_hash(ends, len);
	unsigned word = slots[pgr_word_slot(hash, shifts[pgr_word_bucket(hash)])];
	const struct entry *e = &entries[word];

	if (e->ends.first != ends.first || e->ends.last != ends.last || e->len != len)
		return PGR_NO_WORD;
	return len > 16 && !middle_equal(p, e) ? PGR_NO_WORD : (enum pgr_word)word;
}

enum pgr_word
pgr_word_find_quoted(const char *p, size_t len)
{
	enum pgr_word word = pgr_word_find(p, len);

	return word != PGR_NO_WORD && memcmp(p, entries[word].text, len) == 0 ? word : PGR_NO_WORD;
}

const char *
pgr_word_text(enum pgr_word word)
{
	return word < PGR_WORD_COUNT && entries[word].text != NULL ? entries[word].text : "";
}

enum pgr_word_category
pgr_word_category(enum pgr_word word)
{
	return word < PGR_WORD_KEYWORDS_END ? (enum pgr_word_category)categories[word]
					    : PGR_CATEGORY_NAME;
}

unsigned
pgr_word_feature(enum pgr_word word)
{
	return entries[word].feature;
}
