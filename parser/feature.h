/*
 * The rows of features.def: what a text can hold that matters to the session behind it, how pgroute
 * treats that, and the words for it.
 */
#ifndef PGR_PARSER_FEATURE_H
#define PGR_PARSER_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

enum pgr_feature {
	PGR_FEATURE_NONE,
#define PGR_STATEMENT(id, name, treatment, reason) PGR_FEATURE_##id,
#define PGR_FUNCTION(id, name, treatment, flags, reason) PGR_FEATURE_FN_##id,
#define PGR_RELATION(id, name, treatment, reason) PGR_FEATURE_REL_##id,
#define PGR_SETTING(id, name, treatment, reason) PGR_FEATURE_GUC_##id,
#define PGR_TEXT(id, name, treatment, reason) PGR_FEATURE_##id,
#define PGR_EXTENSION(id, name, reason) PGR_FEATURE_EXT_##id,
#include "parser/features.def"
	PGR_FEATURE_COUNT,
};

/* In the order of their weight. */
enum pgr_treatment {
	PGR_TREATMENT_SAFE,
	PGR_TREATMENT_TRACK,
	PGR_TREATMENT_PIN,
};

enum pgr_feature_kind {
	PGR_FEATURE_KIND_STATEMENT,
	PGR_FEATURE_KIND_FUNCTION,
	PGR_FEATURE_KIND_RELATION,
	PGR_FEATURE_KIND_SETTING,
	PGR_FEATURE_KIND_TEXT,
	PGR_FEATURE_KIND_EXTENSION,
};

/* Flags of functions. */
#define PGR_FEATURE_FLAG_NONE 0
#define PGR_FEATURE_FLAG_RELEASES 1 /* may end what pinned: worth a look */
#define PGR_FEATURE_FLAG_TEXT 2     /* runs its argument as SQL */
#define PGR_FEATURE_FLAG_SEQUENCE 4 /* answers from the session's last nextval() */

struct pgr_feature_row {
	uint8_t kind;      /* enum pgr_feature_kind */
	uint8_t treatment; /* enum pgr_treatment */
	uint8_t flags;
	const char *name;
	const char *reason; /* for users: "pinned: takes an advisory lock beyond its transaction" */
};

/* Indexed by enum pgr_feature; row 0 is empty and safe. */
extern const struct pgr_feature_row pgr_features[PGR_FEATURE_COUNT];

/* "safe", "track", "pin" */
const char *pgr_feature_treatment_name(enum pgr_treatment treatment);

/* A set of rows. */
struct pgr_feature_set {
	uint64_t bits[4];
};

_Static_assert(PGR_FEATURE_COUNT <= 256, "struct pgr_feature_set has a bit for each");

static inline void
pgr_feature_add(struct pgr_feature_set *set, enum pgr_feature row)
{
	set->bits[row / 64] |= UINT64_C(1) << row % 64;
}

static inline bool
pgr_feature_has(const struct pgr_feature_set *set, enum pgr_feature row)
{
	return (set->bits[row / 64] >> row % 64 & 1) != 0;
}

#endif
