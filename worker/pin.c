/*
 * Tags to pins. One place, so that what pins can be read at a glance:
 *
 *   SET                       pins, unless a ParameterStatus tells what changed
 *   RESET                     does not pin: startup values are put back behind it (back.c)
 *   LISTEN, PREPARE, LOAD     pin
 *   DO, CALL                  pin: they may have done anything
 *   DECLARE CURSOR            probed: WITH HOLD stays
 *   CREATE, SELECT INTO       probed: temporary objects stay
 *   DISCARD ALL               ends a pin
 */
#include "worker/pin.h"

#include <string.h>

const char pgr_pin_probe[] =
	"SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema() UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema() LIMIT 1";

enum effect {
	EFFECT_SET,
	EFFECT_RESET,
	EFFECT_PIN,
	EFFECT_PROBE,
	EFFECT_PROBE_WITHOUT_ROWS, /* SELECT: with rows it was no SELECT INTO */
	EFFECT_DISCARD,
	EFFECT_DEALLOCATE,
};

static const struct {
	const char *tag;
	bool whole; /* the tag is just this; else it begins so */
	enum effect effect;
	enum pgr_pin pin;
} effects[] = {
	{"SELECT", false, EFFECT_PROBE_WITHOUT_ROWS, PGR_PIN_TEMP_REASON},
	{"SET", true, EFFECT_SET, PGR_PIN_SET_REASON},
	{"RESET", true, EFFECT_RESET, PGR_PIN_NONE_REASON},
	{"LISTEN", true, EFFECT_PIN, PGR_PIN_LISTEN_REASON},
	{"LOAD", true, EFFECT_PIN, PGR_PIN_LOAD_REASON},
	{"PREPARE", true, EFFECT_PIN, PGR_PIN_PREPARE_REASON},
	{"DO", true, EFFECT_PIN, PGR_PIN_DO_REASON},
	{"CALL", true, EFFECT_PIN, PGR_PIN_CALL_REASON},
	{"CREATE", false, EFFECT_PROBE, PGR_PIN_TEMP_REASON},
	{"DECLARE CURSOR", true, EFFECT_PROBE, PGR_PIN_CURSOR_REASON},
	{"DISCARD ALL", true, EFFECT_DISCARD, PGR_PIN_NONE_REASON},
	{"DEALLOCATE ALL", true, EFFECT_DEALLOCATE, PGR_PIN_NONE_REASON},
};

static void
apply(struct pgr_server *s, enum effect effect, enum pgr_pin pin)
{
	switch (effect) {
	case EFFECT_SET:
		s->cycle.sets += s->cycle.sets < UINT8_MAX;
		return;
	case EFFECT_RESET:
		s->cycle.resets = true;
		break;
	case EFFECT_PIN:
		s->cycle.pin = (uint8_t)pin;
		break;
	case EFFECT_PROBE_WITHOUT_ROWS:
		if (!s->cycle.rows)
			s->probe = (uint8_t)pin;
		break;
	case EFFECT_PROBE:
		s->probe = (uint8_t)pin;
		break;
	case EFFECT_DISCARD:
		s->cycle.discarded = true;
		s->cycle.sets = 0;
		s->cycle.pin = PGR_PIN_NONE_REASON;
		s->probe = PGR_PIN_NONE_REASON;
		break;
	case EFFECT_DEALLOCATE:
		s->cycle.deallocated = true;
		break;
	}
	s->cycle.others = 1;
}

void
pgr_pin_on_tag(struct pgr_server *s, const char *tag)
{
	for (size_t i = 0; i < PGR_COUNT_OF(effects); i++) {
		size_t len = strlen(effects[i].tag);

		if (effects[i].tag[0] == tag[0] && strncmp(effects[i].tag, tag, len) == 0 &&
			(tag[len] == '\0' || !effects[i].whole)) {
			apply(s, effects[i].effect, effects[i].pin);
			s->cycle.rows = false;
			return;
		}
	}
	s->cycle.others = 1;
	s->cycle.rows = false;
}

enum pgr_pin
pgr_pin_decide(const struct pgr_server *s)
{
	const struct pgr_cycle *cycle = &s->cycle;

	if (cycle->pin != PGR_PIN_NONE_REASON)
		return (enum pgr_pin)cycle->pin;
	/* alone in its cycle and as often told of: everything that was set is known */
	if (cycle->sets > 0 && (cycle->others != 0 || cycle->explained < cycle->sets))
		return PGR_PIN_SET_REASON;
	return PGR_PIN_NONE_REASON;
}
