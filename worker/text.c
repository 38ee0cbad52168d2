/*
 * Texts under the settings of their client. Called by front.c and prepared.c before a text is sent.
 */
#include "worker/text.h"

#include <string.h>

#include "base/bytes.h"
#include "worker/reading.h"
#include "worker/settings.h"
#include "worker/statement.h"

/* Is it read alike whatever client_encoding and standard_conforming_strings are? */
static bool
is_unequivocal(const char *text, size_t len)
{
	return pgr_is_ascii(text, len) && memchr(text, '\\', len) == NULL;
}

bool
pgr_text_is_unsure(const struct pgr_client *c)
{
	const struct pgr_server *s = c->leg.server;

	if (s == NULL)
		return false;
	if (s->retuning > 0 || (c->restore != NULL && (c->restore->strings != PGR_SAID_NOTHING ||
			c->restore->encoding != PGR_SAID_NOTHING)))
		return true;
	return (s->replies.count > 0 || c->restore != NULL) && pgr_track_retunes(&c->track);
}

struct pgr_reading *
pgr_text_read(struct pgr_worker *w, struct pgr_client *c, const char *text, size_t len)
{
	const struct pgr_settings *set = c->settings;
	bool opaque = set->encoding == PGR_SAID_NOTHING ? c->opaque : set->encoding == PGR_SAID_YES;
	bool strings = set->strings == PGR_SAID_NOTHING ? c->strings : set->strings == PGR_SAID_YES;

	if ((opaque || pgr_text_is_unsure(c)) && !is_unequivocal(text, len))
		return pgr_reading_unread(PGR_PIN_ENCODING_REASON);
	return pgr_readings_get(w->readings, text, len, !strings, &c->leg.pool->known);
}

void
pgr_text_read_statement(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st)
{
	pgr_reading_unref(st->reading);
	st->reading = pgr_text_read(w, c, st->tail, strlen(st->tail));
	st->serial = c->leg.pool->known.serial;
}
