/*
 * The table of features.def in memory.
 */
#include "parser/feature.h"

#define ROW(kind, name, treatment, flags, reason) \
	{PGR_FEATURE_KIND_##kind, PGR_TREATMENT_##treatment, flags, name, reason},

const struct pgr_feature_row pgr_features[PGR_FEATURE_COUNT] = {
	{PGR_FEATURE_KIND_TEXT, PGR_TREATMENT_SAFE, 0, "", ""},
#define PGR_STATEMENT(id, name, treatment, reason) ROW(STATEMENT, name, treatment, 0, reason)
#define PGR_FUNCTION(id, name, treatment, flags, reason) \
	ROW(FUNCTION, name, treatment, PGR_FEATURE_FLAG_##flags, reason)
#define PGR_RELATION(id, name, treatment, reason) ROW(RELATION, name, treatment, 0, reason)
#define PGR_SETTING(id, name, treatment, reason) ROW(SETTING, name, treatment, 0, reason)
#define PGR_TEXT(id, name, treatment, reason) ROW(TEXT, name, treatment, 0, reason)
#define PGR_EXTENSION(id, name, reason) ROW(EXTENSION, name, SAFE, 0, reason)
#include "parser/features.def"
};

const char *
pgr_feature_treatment_name(enum pgr_treatment treatment)
{
	switch (treatment) {
	case PGR_TREATMENT_SAFE:
		return "safe";
	case PGR_TREATMENT_TRACK:
		return "track";
	case PGR_TREATMENT_PIN:
		break;
	}
	return "pin";
}
