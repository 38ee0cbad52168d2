/*
 * Names that peers and files gave us may hold any bytes; whoever shows them wants UTF-8. Pure.
 */
#include "base/utf8.h"

#include <string.h>

/* Length of the UTF-8 sequence at s, 0 when there is none; shortest forms only, no surrogates. */
static size_t
sequence_len(const unsigned char *s, size_t left)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1
		: s[0] < 0xc0  ? 0
		: s[0] < 0xe0  ? 2
		: s[0] < 0xf0  ? 3
		: s[0] < 0xf8  ? 4
			       : 0;
	unsigned code;

	if (n <= 1 || n > left)
		return n > left ? 0 : n;
	code = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

const char *
pgr_utf8_copy(char *buf, const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	memcpy(buf, name, len);
	buf[len] = '\0';
	for (size_t i = 0; i < len;) {
		size_t n = sequence_len((const unsigned char *)buf + i, len - i);

		if (n == 0)
			buf[i] = '?';
		i += n == 0 ? 1 : n;
	}
	return buf;
}
