/*
 * ErrorResponse and NoticeResponse. Called by whoever refuses a client or reads from a server.
 *
 * What a server sends is believed to be nothing but bytes: fields may be missing, doubled, empty or
 * without end. The reader of struct pgr_error never meets NULL.
 */
#include "proto/error.h"

#include <string.h>

#include "proto/wire.h"

static const char *const severities[] = {
	[PGR_SEVERITY_NOTICE] = "NOTICE",
	[PGR_SEVERITY_WARNING] = "WARNING",
	[PGR_SEVERITY_ERROR] = "ERROR",
	[PGR_SEVERITY_FATAL] = "FATAL",
	[PGR_SEVERITY_PANIC] = "PANIC",
};

_Static_assert(PGR_WIRE_HEADER + 2 * 9 + 7 + sizeof(((struct pgr_err *)0)->message) + 1
		+ sizeof(((struct pgr_err *)0)->hint) + 1 + 1 <= PGR_ERROR_MOST,
	"the longest struct pgr_err");

/*
 * Length of text in an array of cap bytes; where it fills that, a last UTF-8 character that was cut
 * is left out, at which a driver would stumble.
 */
static size_t
whole_characters(const char *text, size_t cap)
{
	size_t len = strlen(text);
	size_t tail = 0;
	unsigned char lead;

	if (len + 1 < cap)
		return len;
	while (tail < 3 && tail < len && ((unsigned char)text[len - 1 - tail] & 0xc0) == 0x80)
		tail++;
	if (tail == len)
		return len;
	lead = (unsigned char)text[len - 1 - tail];
	if (lead >= 0xc0 && tail < (lead >= 0xf0 ? 3u : lead >= 0xe0 ? 2u : 1u))
		return len - 1 - tail;
	return len;
}

static void
write_field(struct pgr_out *out, char code, const char *value, size_t len)
{
	pgr_out_byte(out, code);
	pgr_out_bytes(out, value, len);
	pgr_out_byte(out, '\0');
}

void
pgr_error_write(struct pgr_out *out, enum pgr_severity severity, const struct pgr_err *err)
{
	bool notice = severity <= PGR_SEVERITY_WARNING;
	const char *name = severities[severity];
	size_t at = pgr_out_begin(out, notice ? PGR_MSG_NOTICE : PGR_MSG_ERROR);

	write_field(out, 'S', name, strlen(name));
	write_field(out, 'V', name, strlen(name));
	write_field(out, 'C', err->sqlstate, strlen(err->sqlstate));
	write_field(out, 'M', err->message, whole_characters(err->message, sizeof(err->message)));
	if (err->hint[0] != '\0')
		write_field(out, 'H', err->hint, whole_characters(err->hint, sizeof(err->hint)));
	pgr_out_byte(out, '\0');
	pgr_out_end(out, at);
}

bool
pgr_error_next(const char *body, size_t len, size_t *pos, char *ret_code, const char **ret_value)
{
	const char *p = body + *pos;
	const char *end = body + len;
	ptrdiff_t n;

	if (*pos >= len || *p == '\0')
		return false;
	n = pgr_wire_string(p + 1, end);
	if (n < 0)
		return false;
	*ret_code = *p;
	*ret_value = p + 1;
	*pos += (size_t)n + 2;
	return true;
}

static bool
is_sqlstate(const char *text)
{
	return strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}

static enum pgr_severity
parse_severity(const char *text)
{
	for (size_t i = 0; i < PGR_COUNT_OF(severities); i++)
		if (strcmp(text, severities[i]) == 0)
			return (enum pgr_severity)i;
	if (strcmp(text, "LOG") == 0 || strcmp(text, "INFO") == 0 || strcmp(text, "DEBUG") == 0)
		return PGR_SEVERITY_NOTICE;
	return PGR_SEVERITY_ERROR;
}

void
pgr_error_parse(const char *body, size_t len, struct pgr_error *ret)
{
	const char *localized = "";
	const char *severity = "";
	const char *value;
	size_t pos = 0;
	char code;

	ret->sqlstate = "XX000";
	ret->message = "error without a message";
	ret->detail = "";
	ret->hint = "";
	ret->routine = "";
	while (pgr_error_next(body, len, &pos, &code, &value)) {
		if (code == 'S')
			localized = value;
		else if (code == 'V')
			severity = value;
		else if (code == 'C' && is_sqlstate(value))
			ret->sqlstate = value;
		else if (code == 'M' && value[0] != '\0')
			ret->message = value;
		else if (code == 'D')
			ret->detail = value;
		else if (code == 'H')
			ret->hint = value;
		else if (code == 'R')
			ret->routine = value;
	}
	/* V is never translated, but servers before 9.6 and other poolers do not send it */
	ret->severity = parse_severity(severity[0] != '\0' ? severity : localized);
}

enum pgr_rc
pgr_error_to_err(const struct pgr_error *e, struct pgr_err *err)
{
	pgr_err_set(err, e->sqlstate, "%s", e->message);
	return e->hint[0] == '\0' ? PGR_FAIL : pgr_err_hint(err, "%s", e->hint);
}
