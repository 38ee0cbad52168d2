/*
 * Pins and what ends them. Called by reading.c when a text is read, and by client.c and back.c when a
 * pin begins or may have ended; the texts are shown by monitor/ too.
 */
#include "worker/pin.h"

#include "base/rc.h"

/* Advisory locks, temporary objects, cursors WITH HOLD, channels. */
const char pgr_pin_probe[] =
	"SELECT 1 FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' "
	"AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_listening_channels() UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) "
	"pg_catalog.pg_my_temp_schema() UNION ALL "
	"SELECT 1 FROM pg_catalog.pg_depend WHERE refobjid OPERATOR(pg_catalog.=) "
	"pg_catalog.pg_my_temp_schema() AND refclassid OPERATOR(pg_catalog.=) "
	"'pg_catalog.pg_namespace'::pg_catalog.regclass LIMIT 1";

const char *
pgr_pin_text(unsigned pin)
{
	static const char *const texts[] = {
#define X(name, text) text,
		PGR_PINS(X)
#undef X
	};

	if (pin < PGR_PIN_FEATURES)
		return texts[pin];
	pin -= PGR_PIN_FEATURES;
	return pin > PGR_FEATURE_NONE && pin < PGR_FEATURE_COUNT ? pgr_features[pin].reason : "";
}

enum pgr_pin
pgr_pin_of(const struct pgr_facts *facts, enum pgr_feature called, bool judged)
{
	if (facts->treatment == PGR_TREATMENT_PIN)
		return (enum pgr_pin)(PGR_PIN_FEATURES + facts->reason);
	if (called != PGR_FEATURE_NONE)
		return (enum pgr_pin)(PGR_PIN_FEATURES + called);
	if (!judged && pgr_feature_has(&facts->features, PGR_FEATURE_CALL))
		return PGR_PIN_CALL_REASON;
	if (pgr_feature_has(&facts->features, PGR_FEATURE_PREPARE))
		return PGR_PIN_PREPARE_REASON;
	return PGR_PIN_NONE_REASON;
}

/* What the probe looks for. */
static bool
is_shown(unsigned row)
{
	switch (row) {
	case PGR_FEATURE_LISTEN:
	case PGR_FEATURE_DECLARE_HOLD:
	case PGR_FEATURE_CREATE_TEMP:
	case PGR_FEATURE_SELECT_INTO_TEMP:
	case PGR_FEATURE_REL_PG_TEMP:
	case PGR_FEATURE_FN_ADVISORY_LOCK:
	case PGR_FEATURE_FN_ADVISORY_LOCK_SHARED:
	case PGR_FEATURE_FN_TRY_ADVISORY_LOCK:
	case PGR_FEATURE_FN_TRY_ADVISORY_LOCK_SHARED:
		return true;
	default:
		return false;
	}
}

bool
pgr_pin_shows(const struct pgr_facts *facts, enum pgr_feature called, bool judged)
{
	for (unsigned row = 0; row < PGR_FEATURE_COUNT; row++)
		if (pgr_feature_has(&facts->features, (enum pgr_feature)row) &&
			pgr_features[row].treatment == PGR_TREATMENT_PIN && !is_shown(row))
			return false;
	return (called == PGR_FEATURE_NONE || is_shown(called)) &&
		(judged || !pgr_feature_has(&facts->features, PGR_FEATURE_CALL)) &&
		!pgr_feature_has(&facts->features, PGR_FEATURE_PREPARE);
}
