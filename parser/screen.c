/*
 * The screen; see the header and README.md. Called by worker/ for every text that it has not seen
 * before.
 *
 * Quotes and comments are not told apart here: bytes between quotes are looked at as if they were
 * code, which only makes the answer "read it" come more often. What must be seen is what PostgreSQL
 * could take for code, however it is quoted.
 *
 * PGR_SCREEN_PORTABLE compiles the version without SSE2 where there is SSE2, for tests.
 */
#include "parser/screen.h"

#include <endian.h>

#include "base/rc.h"
#include "parser/feature.h"

#if defined(__SSE2__) && !defined(PGR_SCREEN_PORTABLE)
#include <emmintrin.h>
#endif

#define BLOCK 16 /* bytes that are looked at together */

/*
 * Four bytes with bit 5 set, of which the last two are looked for and the others compared; 0 is any
 * byte.
 */
struct gram {
	char c[4];
	char third[BLOCK];
	char fourth[BLOCK];
};

#define EACH(c)                                                \
	{                                                      \
		c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c \
	}
#define GRAM(a, b, c, d)                       \
	{                                      \
		{a, b, c, d}, EACH(c), EACH(d) \
	}

static const struct gram gram_into = GRAM('i', 'n', 't', 'o');
static const struct gram gram_settings = GRAM('p', 'g', '_' | 0x20, 's');
static const struct gram gram_unicode = GRAM(0, 'u', '&', '"');
static const struct gram gram_none = GRAM(0, 0, 1, 1);

#if defined(__SSE2__) && !defined(PGR_SCREEN_PORTABLE)

static inline __m128i
load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/*
 * Bit n: p[n] is a parenthesis, a semicolon, or the third letter of the gram before the fourth.
 * Reads BLOCK + 1 bytes.
 */
static inline unsigned
places_at(const char *p, const struct gram *gram)
{
	const __m128i fold = _mm_set1_epi8(0x20);
	__m128i here = load(p), next = load(p + 1);
	__m128i third = _mm_cmpeq_epi8(_mm_or_si128(here, fold), load(gram->third));
	__m128i fourth = _mm_cmpeq_epi8(_mm_or_si128(next, fold), load(gram->fourth));
	__m128i sign = _mm_or_si128(
		_mm_cmpeq_epi8(here, _mm_set1_epi8('(')), _mm_cmpeq_epi8(here, _mm_set1_epi8(';')));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(sign, _mm_and_si128(third, fourth)));
}

static inline __m128i
between(__m128i v, char first, char last)
{
	return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char)(first - 1))),
		_mm_cmpgt_epi8(_mm_set1_epi8((char)(last + 1)), v));
}

/* Bit n: p[n] is a letter, a digit or an underscore; sign: an ampersand. Reads BLOCK bytes. */
static inline unsigned
runs_at(const char *p, unsigned *ret_sign)
{
	__m128i here = load(p);
	__m128i letter = between(_mm_or_si128(here, _mm_set1_epi8(0x20)), 'a', 'z');
	__m128i other =
		_mm_or_si128(between(here, '0', '9'), _mm_cmpeq_epi8(here, _mm_set1_epi8('_')));

	*ret_sign = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(here, _mm_set1_epi8('&')));
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, other), here));
}

#else

static inline unsigned
runs_at(const char *p, unsigned *ret_sign)
{
	unsigned runs = 0;

	*ret_sign = 0;
	for (unsigned i = 0; i < BLOCK; i++) {
		runs |= (unsigned)((pgr_lexer_char(p[i]) & PGR_CHAR_RUN) != 0) << i;
		*ret_sign |= (unsigned)(p[i] == '&') << i;
	}
	return runs;
}

static inline unsigned
places_at(const char *p, const struct gram *gram)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < BLOCK; i++) {
		bool pair = (p[i] | 0x20) == gram->c[2] && (p[i + 1] | 0x20) == gram->c[3];

		mask |= (unsigned)(p[i] == '(' || p[i] == ';' || pair) << i;
	}
	return mask;
}

#endif

static bool
is_blank(const char *text, size_t from, size_t len)
{
	while (from < len && (pgr_lexer_char(text[from]) & PGR_CHAR_SPACE) != 0)
		from++;
	return from == len;
}

/* Is there a -- in the line that ends at `end`? */
static bool
line_has_comment(const char *text, size_t end)
{
	for (size_t i = end; i >= 2 && text[i - 1] != '\n' && text[i - 1] != '\r'; i--)
		if (text[i - 1] == '-' && text[i - 2] == '-')
			return true;
	return false;
}

static size_t
run_start(const char *text, size_t end)
{
	while (end > 0 && (pgr_lexer_char(text[end - 1]) & PGR_CHAR_RUN) != 0)
		end--;
	return end;
}

static bool
is_safe_name(const char *p, size_t len)
{
	enum pgr_word word = pgr_word_find(p, len);
	const struct pgr_feature_row *row;

	if (word < PGR_WORD_KEYWORDS_END)
		return true;
	row = &pgr_features[pgr_word_feature(word)];
	return row->treatment == PGR_TREATMENT_SAFE && row->flags == 0;
}

/* The name in quotes that ends at `end`, behind it: only one of plain characters is looked at. */
static bool
is_safe_quoted(const char *text, size_t end)
{
	size_t start = run_start(text, end - 1);

	if (start == end - 1 || start < 2 || text[start - 1] != '"' || text[start - 2] == '"')
		return false;
	return is_safe_name(text + start, end - 1 - start);
}

/*
 * Is what the parenthesis at `at` opens no call, or the call of a function that leaves nothing
 * behind?
 */
static bool
is_safe_call(const char *text, size_t at)
{
	size_t end = at, start;
	bool line_ended = false;

	for (; end > 0 && (pgr_lexer_char(text[end - 1]) & PGR_CHAR_SPACE) != 0; end--)
		line_ended = line_ended || text[end - 1] == '\n' || text[end - 1] == '\r';
	if (end == 0 || (line_ended && line_has_comment(text, end)))
		return false;
	switch (text[end - 1]) {
	case '"':
		return is_safe_quoted(text, end);
	case '\'':
		return false;
	case '/':
		return end < 2 || text[end - 2] != '*';
	default:
		start = run_start(text, end);
		return start == end || is_safe_name(text + start, end - start);
	}
}

static bool
is_gram(const char *p, const struct gram *gram)
{
	for (int i = 0; i < 4; i++)
		if (gram->c[i] != 0 && (p[i] | 0x20) != gram->c[i])
			return false;
	return true;
}

/* What stands at a place that was found. */
static bool
is_safe_place(const char *text, size_t len, size_t at, const struct gram *gram)
{
	if (text[at] == '(')
		return is_safe_call(text, at);
	if (text[at] == ';')
		return is_blank(text, at + 1, len);
	return at < 2 || !is_gram(text + at - 2, gram);
}

/* Looks at the places of one block. */
static inline bool
is_safe_block(const char *text, size_t len, size_t from, const struct gram *gram)
{
	for (unsigned mask = places_at(text + from, gram); PGR_UNLIKELY(mask != 0);
		mask &= mask - 1)
		if (!is_safe_place(text, len, from + (unsigned)__builtin_ctz(mask), gram))
			return false;
	return true;
}

/* A text shorter than a block. */
static bool
is_safe_short(const char *text, size_t len, const struct gram *gram)
{
	char block[BLOCK + 1] = {0};

	memcpy(block, text, len);
	return is_safe_block(block, len, 0, gram);
}

/* No call that matters, no second statement, and the gram nowhere. */
static bool
is_safe_text(const char *text, size_t from, size_t len, const struct gram *gram)
{
	size_t at = from;

	if (len <= BLOCK)
		return is_safe_short(text, len, gram);
	for (; at + BLOCK < len; at += BLOCK)
		if (!is_safe_block(text, len, at, gram))
			return false;
	/* the last byte begins no call, since nothing would end it */
	return is_safe_block(text, len, len - BLOCK - 1, gram) && text[len - 1] != '(';
}

/* Does one of the marked places, counted from `at`, begin what is left of U&" behind its letter? */
static bool
has_unicode_name(const char *text, size_t len, size_t at, unsigned signs)
{
	for (; signs != 0; signs &= signs - 1) {
		size_t next = at + (unsigned)__builtin_ctz(signs) + 1;

		if (next < len && text[next] == '"')
			return true;
	}
	return false;
}

/* The walk over the runs of a text: one that has begun and not ended goes on in the next block. */
struct walk {
	const struct pgr_name_set *unsafe;
	const char *text;
	size_t start; /* of the last run */
	bool inside;
};

/*
 * A block of at most BLOCK bytes at `at`; bit n of runs: byte n belongs to a run. False: a run is
 * in the set.
 */
static inline bool
walk_block(struct walk *w, size_t at, unsigned runs)
{
	unsigned changes = runs ^ (runs << 1 | w->inside);

	for (changes &= (1u << BLOCK) - 1; changes != 0; changes &= changes - 1) {
		size_t here = at + (unsigned)__builtin_ctz(changes);

		if (w->inside && pgr_name_set_has(w->unsafe, w->text + w->start, here - w->start))
			return false;
		w->start = here;
		w->inside = !w->inside;
	}
	return true;
}

/*
 * No run of letters, digits and underscores is in the set, and no name is hidden by Unicode
 * escapes.
 */
static bool
has_none_of(const char *text, size_t len, const struct pgr_name_set *unsafe)
{
	struct walk w = {.unsafe = unsafe, .text = text};
	char last[BLOCK] = {0};

	for (size_t at = 0; at < len; at += BLOCK) {
		const char *p = text + at;
		unsigned runs, signs;

		if (len - at < BLOCK)
			p = memcpy(last, text + at, len - at);
		runs = runs_at(p, &signs);
		if (has_unicode_name(text, len, at, signs) || !walk_block(&w, at, runs))
			return false;
	}
	return !w.inside || !pgr_name_set_has(unsafe, text + w.start, len - w.start);
}

enum query {
	QUERY_NONE,
	QUERY_SELECT,
	QUERY_UPDATE,
	QUERY_WITH,
	QUERY_OTHER,
};

static const struct gram *const grams[] = {
	[QUERY_SELECT] = &gram_into,
	[QUERY_UPDATE] = &gram_settings,
	[QUERY_WITH] = &gram_into,
	[QUERY_OTHER] = &gram_none,
};

#define LETTERS(a, b, c, d, e, f)                                                         \
	((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 | \
		(uint64_t)(e) << 32 | (uint64_t)(f) << 40)

/* The query that begins at `at`, and the length of its first word. */
static enum query
query_at(const char *text, size_t at, size_t len, unsigned *ret_len)
{
	uint64_t word;

	if (len - at < sizeof(word))
		return QUERY_NONE;
	memcpy(&word, text + at, sizeof(word));
	word = (le64toh(word) | PGR_WORD_FOLD) & UINT64_C(0xffffffffffff);
	*ret_len = 6;
	if (word == LETTERS('s', 'e', 'l', 'e', 'c', 't'))
		return QUERY_SELECT;
	if (word == LETTERS('u', 'p', 'd', 'a', 't', 'e'))
		return QUERY_UPDATE;
	if (word == LETTERS('i', 'n', 's', 'e', 'r', 't') ||
		word == LETTERS('d', 'e', 'l', 'e', 't', 'e') ||
		word == LETTERS('v', 'a', 'l', 'u', 'e', 's'))
		return QUERY_OTHER;
	*ret_len = 5;
	if ((word & UINT64_C(0xffffffffff)) == LETTERS('m', 'e', 'r', 'g', 'e', 0))
		return QUERY_OTHER;
	*ret_len = 4;
	return (word & 0xffffffff) == LETTERS('w', 'i', 't', 'h', 0, 0) ? QUERY_WITH : QUERY_NONE;
}

bool
pgr_screen_clean(const char *text, size_t len, const struct pgr_name_set *unsafe)
{
	unsigned word_len = 0;
	enum query query;
	size_t at = 0;

	while (at < len && (pgr_lexer_char(text[at]) & PGR_CHAR_SPACE) != 0)
		at++;
	query = query_at(text, at, len, &word_len);
	if (query == QUERY_NONE || (pgr_lexer_char(text[at + word_len]) & PGR_CHAR_NAME) != 0)
		return false;
	at += word_len;
	/*
	 * SELECT INTO may make a temporary table, UPDATE pg_settings a setting; WITH may be in
	 * front of both
	 */
	if (!is_safe_text(text, at, len, grams[query]))
		return false;
	if (query == QUERY_WITH && !is_safe_text(text, at, len, &gram_settings))
		return false;
	if ((query == QUERY_UPDATE || query == QUERY_WITH) &&
		!is_safe_text(text, at, len, &gram_unicode))
		return false;
	return unsafe == NULL || (unsafe->n == 0 && !unsafe->everything) ||
		has_none_of(text, len, unsafe);
}
