/*
 * Undoes quotes and escapes. The tokens come from the lexer, so each quote and each escape is known
 * to be whole; offsets stay inside of the token.
 */
#include "parser/literal.h"

#include <stdio.h>

static bool
is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static uint32_t
hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void
put_utf8(struct pgr_out *out, uint32_t c)
{
	if (c < 0x80) {
		pgr_out_byte(out, (char)c);
	} else if (c < 0x800) {
		pgr_out_byte(out, (char)(0xc0 | c >> 6));
		pgr_out_byte(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		pgr_out_byte(out, (char)(0xe0 | c >> 12));
		pgr_out_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
		pgr_out_byte(out, (char)(0x80 | (c & 0x3f)));
	} else {
		pgr_out_byte(out, (char)(0xf0 | c >> 18));
		pgr_out_byte(out, (char)(0x80 | (c >> 12 & 0x3f)));
		pgr_out_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
		pgr_out_byte(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* The value of digits, at most n of them; *pos behind. */
static uint32_t
digits_value(const char *text, uint32_t *pos, uint32_t end, unsigned n, unsigned base)
{
	uint32_t value = 0;

	for (; n > 0 && *pos < end; n--, (*pos)++) {
		char c = text[*pos];

		if (base == 8 ? !is_octal(c) : (pgr_lexer_char(c) & PGR_CHAR_HEX) == 0)
			break;
		value = value * base + hex_digit(c);
	}
	return value;
}

/* \u or \U at *pos, with the second half of a pair. */
static void
put_unicode(const char *text, uint32_t *pos, uint32_t end, struct pgr_out *out)
{
	uint32_t value, low;

	*pos += 2;
	value = digits_value(text, pos, end, text[*pos - 1] == 'u' ? 4 : 8, 16);
	if (value >= 0xd800 && value <= 0xdbff && *pos + 2 < end) {
		*pos += 2;
		low = digits_value(text, pos, end, text[*pos - 1] == 'u' ? 4 : 8, 16);
		value = 0x10000 + ((value & 0x3ff) << 10) + (low & 0x3ff);
	}
	put_utf8(out, value);
}

/* The escape at *pos, at a backslash with something behind it. False: a NUL. */
static bool
put_escape(const char *text, uint32_t *pos, uint32_t end, struct pgr_out *out)
{
	static const char letters[] = "bfnrtv", meaning[] = "\b\f\n\r\t\v";
	char c = text[*pos + 1];
	const char *found = strchr(letters, c);

	if (c == 'u' || c == 'U') {
		put_unicode(text, pos, end, out);
		return true;
	}
	if (is_octal(c) ||
		(c == 'x' && *pos + 2 < end &&
			(pgr_lexer_char(text[*pos + 2]) & PGR_CHAR_HEX) != 0)) {
		*pos += c == 'x' ? 2 : 1;
		c = (char)digits_value(text, pos, end, c == 'x' ? 2 : 3, c == 'x' ? 16 : 8);
		pgr_out_byte(out, c);
		return c != '\0';
	}
	*pos += 2;
	pgr_out_byte(out, found != NULL && c != '\0' ? meaning[found - letters] : c);
	return c != '\0';
}

/* From a closing quote that is followed by another part of the same string, into that part. */
static uint32_t
next_part(const char *text, uint32_t pos, uint32_t end)
{
	bool comment = false;

	for (; pos < end; pos++) {
		if (text[pos] == '\n' || text[pos] == '\r')
			comment = false;
		else if (text[pos] == '-')
			comment = true;
		else if (text[pos] == '\'' && !comment)
			return pos + 1;
	}
	return end;
}

bool
pgr_literal_string(
	const char *text, const struct pgr_token *t, bool standard_strings, struct pgr_out *out)
{
	bool escaped = !standard_strings || text[t->start] != '\'', good = true;
	uint32_t pos = t->start + (text[t->start] == '\'' ? 1 : 2), end;

	if (pgr_literal_dollar(text, t, &pos, &end)) {
		pgr_out_bytes(out, text + pos, end - pos);
		return memchr(text + pos, '\0', end - pos) == NULL;
	}
	for (end = t->end - 1; pos < end;) {
		if (text[pos] == '\'' && text[pos + 1] == '\'') {
			pgr_out_byte(out, '\'');
			pos += 2;
		} else if (text[pos] == '\'') {
			pos = next_part(text, pos + 1, end);
		} else if (escaped && text[pos] == '\\') {
			good = put_escape(text, &pos, end, out) && good;
		} else {
			good = text[pos] != '\0' && good;
			pgr_out_byte(out, text[pos++]);
		}
	}
	return good;
}

static void
put_name(const char *name, size_t len, struct pgr_out *out)
{
	if (len > PGR_LITERAL_NAME_MOST) {
		len = PGR_LITERAL_NAME_MOST;
		while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
	}
	pgr_out_bytes(out, name, len);
}

void
pgr_literal_name(const char *text, const struct pgr_token *t, struct pgr_out *out)
{
	char name[PGR_LITERAL_NAME_MOST + 1];
	bool quoted = t->kind == PGR_TOKEN_QUOTED;
	uint32_t end = t->end - (quoted ? 1 : 0);
	size_t len = 0;

	for (uint32_t pos = t->start + (quoted ? 1 : 0); pos < end && len < sizeof(name); pos++) {
		char c = text[pos];

		if (quoted && c == '"')
			pos++;
		name[len++] = !quoted && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	put_name(name, len, out);
}

void
pgr_literal_number(const char *text, const struct pgr_token *t, struct pgr_out *out)
{
	char digits[16];

	if (t->kind == PGR_TOKEN_INTEGER) {
		snprintf(digits, sizeof(digits), "%u", t->value);
		pgr_out_text(out, digits);
	} else {
		pgr_out_bytes(out, text + t->start, t->end - t->start);
	}
}

bool
pgr_literal_has_escapes(const char *text, const struct pgr_token *t)
{
	return memchr(text + t->start, '\\', t->end - t->start) != NULL;
}

bool
pgr_literal_dollar(
	const char *text, const struct pgr_token *t, uint32_t *ret_start, uint32_t *ret_end)
{
	uint32_t tag = 1;

	if (text[t->start] != '$')
		return false;
	while (text[t->start + tag] != '$')
		tag++;
	*ret_start = t->start + tag + 1;
	*ret_end = t->end - tag - 1;
	return true;
}
