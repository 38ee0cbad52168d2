/*
 * The lexer; the rules are those of PostgreSQL's src/backend/parser/scan.l, told again as straight
 * code. Used by everything in this folder that reads SQL. tests/unit/test_lexer.c compares it token
 * by token with PostgreSQL's own scanner; whoever changes a rule here changes it because that test
 * says so.
 *
 * Must stay true: text[pos] is read only after pos < len was seen; each byte is looked at a bounded
 * number of times; after an error pos is at the end.
 */
#include "parser/lexer.h"

#include "base/panic.h"

#define OPERATOR_MOST 63 /* PostgreSQL's NAMEDATALEN - 1 */

#define LETTER PGR_CHAR_LETTER
#define LETTER_HEX (PGR_CHAR_LETTER | PGR_CHAR_HEX)
#define SELF PGR_CHAR_SELF
#define OP PGR_CHAR_OPERATOR

const uint8_t pgr_lexer_chars[256] = {
	[' '] = PGR_CHAR_SPACE,
	['\t'] = PGR_CHAR_SPACE,
	['\n'] = PGR_CHAR_SPACE,
	['\v'] = PGR_CHAR_SPACE,
	['\f'] = PGR_CHAR_SPACE,
	['\r'] = PGR_CHAR_SPACE,
	['A' ... 'F'] = LETTER_HEX,
	['G' ... 'Z'] = LETTER,
	['a' ... 'f'] = LETTER_HEX,
	['g' ... 'z'] = LETTER,
	['_'] = LETTER,
	[0x80 ... 0xff] = LETTER,
	['0' ... '9'] = PGR_CHAR_DIGIT | PGR_CHAR_HEX,
	['$'] = PGR_CHAR_DOLLAR,
	[','] = SELF,
	['('] = SELF,
	[')'] = SELF,
	['['] = SELF,
	[']'] = SELF,
	['.'] = SELF,
	[';'] = SELF,
	[':'] = SELF,
	['+'] = SELF | OP,
	['-'] = SELF | OP,
	['*'] = SELF | OP,
	['/'] = SELF | OP,
	['<'] = SELF | OP,
	['>'] = SELF | OP,
	['='] = SELF | OP,
	['%'] = SELF | OP | PGR_CHAR_MARK,
	['^'] = SELF | OP | PGR_CHAR_MARK,
	['~'] = OP | PGR_CHAR_MARK,
	['!'] = OP | PGR_CHAR_MARK,
	['@'] = OP | PGR_CHAR_MARK,
	['#'] = OP | PGR_CHAR_MARK,
	['&'] = OP | PGR_CHAR_MARK,
	['|'] = OP | PGR_CHAR_MARK,
	['`'] = OP | PGR_CHAR_MARK,
	['?'] = OP | PGR_CHAR_MARK,
};

/* How the inside of a quoted token is read. */
enum inside {
	INSIDE_RAW,     /* the first quote ends it */
	INSIDE_DOUBLED, /* two quotes are one */
	INSIDE_ESCAPED, /* and so are a backslash and a quote */
};

void
pgr_lexer_init(struct pgr_lexer *lexer, const char *text, size_t len, bool standard_strings)
{
	PGR_ASSERT(len < UINT32_MAX);
	lexer->text = text;
	lexer->len = (uint32_t)len;
	lexer->pos = 0;
	lexer->signs_end = 0;
	lexer->standard_strings = standard_strings;
}

static inline bool
is_class(const struct pgr_lexer *lx, uint32_t at, unsigned class)
{
	return at < lx->len && (pgr_lexer_char(lx->text[at]) & class) != 0;
}

static inline bool
is_char(const struct pgr_lexer *lx, uint32_t at, char c)
{
	return at < lx->len && lx->text[at] == c;
}

/* A letter in either case. */
static inline bool
is_letter(const struct pgr_lexer *lx, uint32_t at, char lower)
{
	return at < lx->len && (lx->text[at] | 0x20) == lower;
}

static inline bool
is_newline(char c)
{
	return c == '\n' || c == '\r';
}

/* Where c stands next, or the end. */
static uint32_t
find(const struct pgr_lexer *lx, uint32_t from, char c)
{
	const char *found = from < lx->len ? memchr(lx->text + from, c, lx->len - from) : NULL;

	return found != NULL ? (uint32_t)(found - lx->text) : lx->len;
}

static inline unsigned
finish(struct pgr_lexer *lx, struct pgr_token *t, unsigned kind, uint32_t end)
{
	t->kind = (uint16_t)kind;
	t->end = end;
	lx->pos = end;
	return kind;
}

static unsigned
fail(struct pgr_lexer *lx, struct pgr_token *t, enum pgr_lexer_error error, uint32_t at)
{
	t->start = at;
	t->value = error;
	return finish(lx, t, PGR_TOKEN_ERROR, lx->len);
}

/* Behind the comment that ends with its line; the end of the line is not part of it. */
static uint32_t
skip_line(const struct pgr_lexer *lx, uint32_t pos)
{
	while (pos < lx->len && !is_newline(lx->text[pos]))
		pos++;
	return pos;
}

/* Behind the comment that begins at pos, with those nested in it; 0: it does not end. */
static uint32_t
skip_comment(const struct pgr_lexer *lx, uint32_t pos)
{
	uint32_t depth = 1;

	for (pos += 2; pos + 1 < lx->len;) {
		char c = lx->text[pos], next = lx->text[pos + 1];

		if (c == '*' && next == '/') {
			pos += 2;
			if (--depth == 0)
				return pos;
		} else if (c == '/' && next == '*') {
			pos += 2;
			depth++;
		} else {
			pos++;
		}
	}
	return 0;
}

/* To the next token; false: a comment does not end, and t tells so. */
static bool
skip_blank(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t pos = lx->pos;

	for (;;) {
		if (is_class(lx, pos, PGR_CHAR_SPACE)) {
			pos++;
		} else if (is_char(lx, pos, '-') && is_char(lx, pos + 1, '-')) {
			pos = skip_line(lx, pos);
		} else if (is_char(lx, pos, '/') && is_char(lx, pos + 1, '*')) {
			uint32_t end = skip_comment(lx, pos);

			if (end == 0) {
				fail(lx, t, PGR_LEXER_COMMENT, pos);
				return false;
			}
			pos = end;
		} else {
			lx->pos = pos;
			return true;
		}
	}
}

static unsigned
scan_word(struct pgr_lexer *lx, struct pgr_token *t)
{
	const char *word = lx->text + t->start, *p = word + 1, *end = lx->text + lx->len;

	while (p < end && (pgr_lexer_char(*p) & PGR_CHAR_NAME) != 0)
		p++;
	t->word = (uint16_t)pgr_word_find(word, (size_t)(p - word));
	return finish(lx, t, PGR_TOKEN_WORD, (uint32_t)(p - lx->text));
}

/*
 * A string goes on behind its closing quote when white space with at least one line end follows,
 * comments of one line included, and then a quote. Where the inside continues, or 0.
 */
static uint32_t
continuation(const struct pgr_lexer *lx, uint32_t pos)
{
	bool line_ended = false, comment = false;

	for (; pos < lx->len; pos++) {
		char c = lx->text[pos];

		if (is_newline(c)) {
			line_ended = true;
			comment = false;
		} else if (comment || (pgr_lexer_char(c) & PGR_CHAR_SPACE) != 0) {
			continue;
		} else if (c == '-' && is_char(lx, pos + 1, '-')) {
			comment = true;
		} else {
			return c == '\'' && line_ended ? pos + 1 : 0;
		}
	}
	return 0;
}

/* The value of n hexadecimal digits at pos; false: there are fewer. */
static bool
hex_value(const struct pgr_lexer *lx, uint32_t pos, unsigned n, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n; i++) {
		char c;

		if (!is_class(lx, pos + i, PGR_CHAR_HEX))
			return false;
		c = lx->text[pos + i];
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*ret = value;
	return true;
}

/* \uXXXX or \UXXXXXXXX at pos: its value, and *pos behind it. */
static enum pgr_lexer_error
unicode_escape(const struct pgr_lexer *lx, uint32_t *pos, uint32_t *ret)
{
	unsigned digits = lx->text[*pos + 1] == 'u' ? 4 : 8;

	if (!hex_value(lx, *pos + 2, digits, ret))
		return PGR_LEXER_UNICODE_ESCAPE;
	*pos += 2 + digits;
	return PGR_LEXER_NO_ERROR;
}

static bool
is_unicode_escape(const struct pgr_lexer *lx, uint32_t pos)
{
	return is_char(lx, pos, '\\') && is_letter(lx, pos + 1, 'u');
}

/*
 * The Unicode escape at *pos and, of a surrogate pair, its second half; *pos: behind it, or what is
 * wrong.
 */
static enum pgr_lexer_error
skip_unicode_escape(const struct pgr_lexer *lx, uint32_t *pos)
{
	uint32_t at = *pos, value = 0;
	enum pgr_lexer_error error = unicode_escape(lx, &at, &value);

	if (error != PGR_LEXER_NO_ERROR)
		return error;
	if (value >= 0xdc00 && value <= 0xdfff)
		return PGR_LEXER_SURROGATE;
	if (value == 0 || value > 0x10ffff)
		return PGR_LEXER_UNICODE_VALUE;
	*pos = at;
	if (value < 0xd800 || value > 0xdbff)
		return PGR_LEXER_NO_ERROR;
	if (!is_unicode_escape(lx, at))
		return PGR_LEXER_SURROGATE;
	error = unicode_escape(lx, &at, &value);
	if (error == PGR_LEXER_NO_ERROR && (value < 0xdc00 || value > 0xdfff))
		error = PGR_LEXER_SURROGATE;
	if (error == PGR_LEXER_NO_ERROR)
		*pos = at;
	return error;
}

/*
 * To the next quote of a string with backslash escapes; *pos: at the quote, at the end, or at the
 * escape that is an error.
 */
static enum pgr_lexer_error
skip_escaped(const struct pgr_lexer *lx, uint32_t *pos)
{
	while (*pos < lx->len && lx->text[*pos] != '\'') {
		enum pgr_lexer_error error;

		if (lx->text[*pos] != '\\') {
			(*pos)++;
		} else if (!is_unicode_escape(lx, *pos)) {
			*pos += *pos + 1 < lx->len ? 2 : 1;
		} else {
			error = skip_unicode_escape(lx, pos);
			if (error != PGR_LEXER_NO_ERROR)
				return error;
		}
	}
	return PGR_LEXER_NO_ERROR;
}

/* A token between single quotes; pos: behind the opening one. */
static unsigned
scan_string(
	struct pgr_lexer *lx, struct pgr_token *t, unsigned kind, enum inside inside, uint32_t pos)
{
	for (;;) {
		uint32_t again;

		if (inside == INSIDE_ESCAPED) {
			enum pgr_lexer_error error = skip_escaped(lx, &pos);

			if (error != PGR_LEXER_NO_ERROR)
				return fail(lx, t, error, pos);
		} else {
			pos = find(lx, pos, '\'');
		}
		if (pos >= lx->len)
			return fail(lx, t,
				kind == PGR_TOKEN_BITS          ? PGR_LEXER_BITS
					: kind == PGR_TOKEN_HEX ? PGR_LEXER_HEX
								: PGR_LEXER_STRING,
				t->start);
		pos++;
		if (inside != INSIDE_RAW && is_char(lx, pos, '\'')) {
			pos++;
			continue;
		}
		again = continuation(lx, pos);
		if (again == 0)
			return finish(lx, t, kind, pos);
		pos = again;
	}
}

/* An identifier between double quotes; pos: behind the opening one. */
static unsigned
scan_quoted(struct pgr_lexer *lx, struct pgr_token *t, unsigned kind, uint32_t pos)
{
	uint32_t first = pos;

	for (;;) {
		pos = find(lx, pos, '"');
		if (pos >= lx->len)
			return fail(lx, t, PGR_LEXER_QUOTED, t->start);
		pos++;
		if (!is_char(lx, pos, '"'))
			break;
		pos++;
	}
	if (pos == first + 1)
		return fail(lx, t, PGR_LEXER_EMPTY_QUOTED, t->start);
	return finish(lx, t, kind, pos);
}

/* U& and a quote; U& alone is the identifier U. */
static unsigned
scan_unicode(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t quote = t->start + 2;

	if (is_char(lx, quote, '"'))
		return scan_quoted(lx, t, PGR_TOKEN_UNICODE_QUOTED, quote + 1);
	if (!is_char(lx, quote, '\''))
		return finish(lx, t, PGR_TOKEN_WORD, t->start + 1);
	if (!lx->standard_strings)
		return fail(lx, t, PGR_LEXER_UNSAFE_UNICODE, t->start);
	return scan_string(lx, t, PGR_TOKEN_UNICODE_STRING, INSIDE_DOUBLED, quote + 1);
}

/* N'x' is the key word NCHAR, one letter long, and a string. */
static unsigned
scan_national(struct pgr_lexer *lx, struct pgr_token *t)
{
	t->word = PGR_WORD_NCHAR;
	return finish(lx, t, PGR_TOKEN_WORD, t->start + 1);
}

/* What begins with a letter: a word, but for letters that belong to a quote behind them. */
static unsigned
scan_letter(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t next = t->start + 1;
	char c = lx->text[t->start];

	if (is_char(lx, next, '\'')) {
		if (c == 'b' || c == 'B')
			return scan_string(lx, t, PGR_TOKEN_BITS, INSIDE_RAW, next + 1);
		if (c == 'x' || c == 'X')
			return scan_string(lx, t, PGR_TOKEN_HEX, INSIDE_RAW, next + 1);
		if (c == 'e' || c == 'E')
			return scan_string(lx, t, PGR_TOKEN_STRING, INSIDE_ESCAPED, next + 1);
		if (c == 'n' || c == 'N')
			return scan_national(lx, t);
	} else if ((c == 'u' || c == 'U') && is_char(lx, next, '&')) {
		return scan_unicode(lx, t);
	}
	return scan_word(lx, t);
}

static unsigned
scan_param(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t end = t->start + 1;
	uint64_t value = 0;

	for (; is_class(lx, end, PGR_CHAR_DIGIT); end++)
		if (value <= INT32_MAX)
			value = value * 10 + (uint64_t)(lx->text[end] - '0');
	if (is_class(lx, end, PGR_CHAR_LETTER))
		return fail(lx, t, PGR_LEXER_PARAM_JUNK, t->start);
	if (value > INT32_MAX)
		return fail(lx, t, PGR_LEXER_PARAM_LARGE, t->start);
	t->value = (uint32_t)value;
	return finish(lx, t, PGR_TOKEN_PARAM, end);
}

/*
 * $tag$ ... $tag$, or a lone dollar sign. Tags hold no dollar sign but at their ends, so what was
 * compared with the tag in vain is not compared again: linear.
 */
static unsigned
scan_dollar(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t pos = t->start + 1, tag_len;

	if (is_class(lx, pos, PGR_CHAR_DIGIT))
		return scan_param(lx, t);
	while (is_class(lx, pos, PGR_CHAR_LETTER | PGR_CHAR_DIGIT))
		pos++;
	if (!is_char(lx, pos, '$'))
		return finish(lx, t, '$', t->start + 1);
	pos++;
	tag_len = pos - t->start;
	for (;;) {
		uint32_t same = 1;

		pos = find(lx, pos, '$');
		if (lx->len - pos < tag_len)
			return fail(lx, t, PGR_LEXER_DOLLAR, t->start);
		while (same < tag_len && lx->text[pos + same] == lx->text[t->start + same])
			same++;
		if (same == tag_len)
			return finish(lx, t, PGR_TOKEN_STRING, pos + tag_len);
		pos++;
	}
}

/* Digits of a class with single underscores between them, from pos, which is at a digit. */
static uint32_t
skip_digits(const struct pgr_lexer *lx, uint32_t pos, unsigned class)
{
	for (;;) {
		if (is_class(lx, pos, class))
			pos++;
		else if (is_char(lx, pos, '_') && is_class(lx, pos + 1, class))
			pos++;
		else
			return pos;
	}
}

/* The kind of an integer whose digits end at `end`; its value, when it is an INTEGER. */
static unsigned
scan_integer(
	struct pgr_lexer *lx, struct pgr_token *t, uint32_t digits, uint32_t end, unsigned base)
{
	uint64_t value = 0;

	for (uint32_t pos = digits; pos < end && value <= INT32_MAX; pos++) {
		char c = lx->text[pos];

		if (c != '_')
			value = value * base +
				(uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	t->value = value <= INT32_MAX ? (uint32_t)value : 0;
	return finish(lx, t, value <= INT32_MAX ? PGR_TOKEN_INTEGER : PGR_TOKEN_FLOAT, end);
}

/* The base that a number of 0x, 0o or 0b has; 10: none of these. */
static unsigned
number_base(const struct pgr_lexer *lx, uint32_t pos)
{
	if (!is_char(lx, pos, '0'))
		return 10;
	if (is_letter(lx, pos + 1, 'x'))
		return 16;
	if (is_letter(lx, pos + 1, 'o'))
		return 8;
	return is_letter(lx, pos + 1, 'b') ? 2 : 10;
}

static bool
is_digit_of(const struct pgr_lexer *lx, uint32_t pos, unsigned base)
{
	if (base == 16)
		return is_class(lx, pos, PGR_CHAR_HEX);
	return is_class(lx, pos, PGR_CHAR_DIGIT) && lx->text[pos] < (char)('0' + base);
}

static unsigned
scan_based(struct pgr_lexer *lx, struct pgr_token *t, unsigned base)
{
	uint32_t pos = t->start + 2;

	for (;;) {
		uint32_t digit = is_char(lx, pos, '_') ? pos + 1 : pos;

		if (!is_digit_of(lx, digit, base))
			break;
		pos = digit + 1;
	}
	if (pos == t->start + 2 || is_class(lx, pos, PGR_CHAR_NAME))
		return fail(lx, t, PGR_LEXER_NUMBER, t->start);
	return scan_integer(lx, t, t->start + 2, pos, base);
}

/*
 * Do the characters before pos, from an underscore or exponent on, look like an identifier, which a
 * dollar sign goes on with?
 */
static bool
ends_like_name(const struct pgr_lexer *lx, uint32_t start, uint32_t pos)
{
	while (pos > start && is_class(lx, pos - 1, PGR_CHAR_LETTER | PGR_CHAR_DIGIT))
		if (is_class(lx, --pos, PGR_CHAR_LETTER))
			return true;
	return false;
}

/*
 * A number, from a digit or a point with a digit behind it. "1..2" is a 1 and two points; what
 * looks like an exponent and is none is junk, as every letter right behind a number is.
 */
static unsigned
scan_number(struct pgr_lexer *lx, struct pgr_token *t)
{
	uint32_t pos = t->start;
	unsigned base = number_base(lx, pos);
	bool integer = true;

	if (base != 10)
		return scan_based(lx, t, base);
	if (lx->text[pos] != '.')
		pos = skip_digits(lx, pos, PGR_CHAR_DIGIT);
	if (is_char(lx, pos, '.') && !(pos > t->start && is_char(lx, pos + 1, '.'))) {
		integer = false;
		pos++;
		if (is_class(lx, pos, PGR_CHAR_DIGIT))
			pos = skip_digits(lx, pos, PGR_CHAR_DIGIT);
	}
	if (is_letter(lx, pos, 'e')) {
		uint32_t digits = pos + 1;

		if (is_char(lx, digits, '+') || is_char(lx, digits, '-'))
			digits++;
		if (!is_class(lx, digits, PGR_CHAR_DIGIT))
			return fail(lx, t, PGR_LEXER_NUMBER, t->start);
		integer = false;
		pos = skip_digits(lx, digits, PGR_CHAR_DIGIT);
	}
	if (is_class(lx, pos, PGR_CHAR_LETTER) ||
		(is_char(lx, pos, '$') && ends_like_name(lx, t->start, pos)))
		return fail(lx, t, PGR_LEXER_NUMBER, t->start);
	return integer ? scan_integer(lx, t, t->start, pos, 10)
		       : finish(lx, t, PGR_TOKEN_FLOAT, pos);
}

/* Two characters that are a token of their own, or 0. */
static unsigned
pair_kind(const char *p)
{
	if (p[0] == '=' && p[1] == '>')
		return PGR_TOKEN_EQUALS_GREATER;
	if (p[0] == '>' && p[1] == '=')
		return PGR_TOKEN_GREATER_EQUALS;
	if (p[0] == '<' && p[1] == '=')
		return PGR_TOKEN_LESS_EQUALS;
	if ((p[0] == '<' && p[1] == '>') || (p[0] == '!' && p[1] == '='))
		return PGR_TOKEN_NOT_EQUALS;
	return 0;
}

/*
 * Where the operator characters from pos end, at a comment at the latest; whether one of them is a
 * mark.
 */
static uint32_t
operator_run(const struct pgr_lexer *lx, uint32_t pos, bool *ret_mark)
{
	unsigned seen = 0;
	uint32_t end = pos;

	for (; is_class(lx, end, PGR_CHAR_OPERATOR); end++) {
		char c = lx->text[end];

		if (end > pos &&
			((c == '/' && is_char(lx, end + 1, '*')) ||
				(c == '-' && is_char(lx, end + 1, '-'))))
			break;
		seen |= pgr_lexer_char(c);
	}
	*ret_mark = (seen & PGR_CHAR_MARK) != 0;
	return end;
}

static inline bool
is_sign(char c)
{
	return c == '+' || c == '-';
}

/*
 * An operator of more than one character ends in + or - only if it has a mark, so that 1=-1 is read
 * as SQL wants it. The signs cut off are remembered: each is a token, and a long row of them is not
 * looked through again for each.
 */
static unsigned
scan_operator(struct pgr_lexer *lx, struct pgr_token *t)
{
	const char *p = lx->text + t->start;
	uint32_t end, run_end;
	unsigned kind = 0;
	bool mark;

	if (t->start < lx->signs_end)
		return finish(lx, t, (unsigned char)*p, t->start + 1);
	run_end = operator_run(lx, t->start, &mark);
	end = run_end;
	if (!mark)
		while (end - t->start > 1 && is_sign(lx->text[end - 1]))
			end--;
	if (end < run_end)
		lx->signs_end = run_end;
	if (end - t->start == 1 && (pgr_lexer_char(*p) & PGR_CHAR_SELF) != 0)
		kind = (unsigned char)*p;
	else if (end - t->start == 2)
		kind = pair_kind(p);
	else if (end - t->start > OPERATOR_MOST)
		return fail(lx, t, PGR_LEXER_LONG_OPERATOR, t->start);
	return finish(lx, t, kind != 0 ? kind : PGR_TOKEN_OPERATOR, end);
}

static unsigned
scan_colon(struct pgr_lexer *lx, struct pgr_token *t)
{
	if (is_char(lx, t->start + 1, ':'))
		return finish(lx, t, PGR_TOKEN_TYPECAST, t->start + 2);
	if (is_char(lx, t->start + 1, '='))
		return finish(lx, t, PGR_TOKEN_COLON_EQUALS, t->start + 2);
	return finish(lx, t, ':', t->start + 1);
}

static unsigned
scan_dot(struct pgr_lexer *lx, struct pgr_token *t)
{
	if (is_class(lx, t->start + 1, PGR_CHAR_DIGIT))
		return scan_number(lx, t);
	if (is_char(lx, t->start + 1, '.'))
		return finish(lx, t, PGR_TOKEN_DOT_DOT, t->start + 2);
	return finish(lx, t, '.', t->start + 1);
}

unsigned
pgr_lexer_next(struct pgr_lexer *lx, struct pgr_token *t)
{
	unsigned class;
	char c;

	t->word = PGR_NO_WORD;
	t->value = 0;
	if (!skip_blank(lx, t))
		return t->kind;
	t->start = lx->pos;
	if (lx->pos == lx->len)
		return finish(lx, t, PGR_TOKEN_END, lx->len);
	c = lx->text[lx->pos];
	class = pgr_lexer_char(c);
	if ((class & PGR_CHAR_LETTER) != 0)
		return scan_letter(lx, t);
	if ((class & PGR_CHAR_DIGIT) != 0)
		return scan_number(lx, t);
	if ((class & PGR_CHAR_OPERATOR) != 0)
		return scan_operator(lx, t);
	switch (c) {
	case '\'':
		return scan_string(lx, t, PGR_TOKEN_STRING,
			lx->standard_strings ? INSIDE_DOUBLED : INSIDE_ESCAPED, t->start + 1);
	case '"':
		return scan_quoted(lx, t, PGR_TOKEN_QUOTED, t->start + 1);
	case '$':
		return scan_dollar(lx, t);
	case ':':
		return scan_colon(lx, t);
	case '.':
		return scan_dot(lx, t);
	case '\0':
		lx->len = lx->pos;
		return finish(lx, t, PGR_TOKEN_END, lx->len);
	default:
		return finish(lx, t, (unsigned char)c, t->start + 1);
	}
}
