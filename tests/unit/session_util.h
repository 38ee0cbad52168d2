/*
 * Facts as one line of text, for tables of expectations: the treatment, what pins, flags, then the
 * steps.
 */
#ifndef PGR_TESTS_SESSION_UTIL_H
#define PGR_TESTS_SESSION_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "parser/session.h"

static inline void
describe_modes(unsigned modes, struct pgr_out *out)
{
	static const char *const levels[] = {" RU", " RC", " RR", " S"};

	if ((modes & PGR_MODE_HAS_LEVEL) != 0)
		pgr_out_text(out, levels[modes & PGR_MODE_LEVEL]);
	pgr_out_text(out, (modes & PGR_MODE_READ_ONLY) != 0 ? " ro" : "");
	pgr_out_text(out, (modes & PGR_MODE_READ_WRITE) != 0 ? " rw" : "");
	pgr_out_text(out, (modes & PGR_MODE_DEFERRABLE) != 0 ? " def" : "");
	pgr_out_text(out, (modes & PGR_MODE_NOT_DEFERRABLE) != 0 ? " notdef" : "");
}

static inline void
describe_param(const char *what, unsigned param, struct pgr_out *out)
{
	char text[32];

	if (param != 0) {
		snprintf(text, sizeof(text), " %s$%u", what, param);
		pgr_out_text(out, text);
	}
}

static inline void
describe_step(
	const struct pgr_step *step, const char *text, bool standard_strings, struct pgr_out *out)
{
	const char *name = pgr_features[step->kind].name;
	size_t from;

	pgr_out_text(out, "; ");
	pgr_out_bytes(out, name, strcspn(name, ","));
	pgr_out_byte(out, ' ');
	from = out->len;
	if (step->name.end > 0 || step->setting != PGR_SETTING_NAMED)
		pgr_step_name(step, text, out);
	if (step->value_kind != PGR_VALUE_NONE) {
		pgr_out_byte(out, '=');
		pgr_step_value(step, text, standard_strings, out);
	} else if (step->value.end > 0) {
		pgr_out_byte(out, '|');
		pgr_out_bytes(out, text + step->value.start, step->value.end - step->value.start);
	}
	if (out->len == from)
		out->len--;
	describe_modes(step->modes, out);
	pgr_out_text(out, (step->flags & PGR_STEP_LOCAL) != 0 ? " local" : "");
	pgr_out_text(out, (step->flags & PGR_STEP_CHAIN) != 0 ? " chain" : "");
	pgr_out_text(out, (step->flags & PGR_STEP_NESTED) != 0 ? " nested" : "");
	pgr_out_text(out, (step->flags & PGR_STEP_FUNCTION) != 0 ? " f" : "");
	describe_param("name", step->name_param, out);
	describe_param("value", step->value_param, out);
	describe_param("local", step->local_param, out);
}

static inline void
describe(const struct pgr_facts *facts, const char *text, bool standard_strings, char *buf,
	size_t size)
{
	struct pgr_out out;

	pgr_out_init(&out, buf, size - 1);
	pgr_out_text(&out, pgr_feature_treatment_name((enum pgr_treatment)facts->treatment));
	if (facts->treatment == PGR_TREATMENT_PIN) {
		pgr_out_text(&out, ": ");
		pgr_out_text(&out, pgr_features[facts->reason].name);
	}
	pgr_out_text(&out, (facts->flags & PGR_FACTS_ERROR) != 0 ? " !error" : "");
	pgr_out_text(&out, (facts->flags & PGR_FACTS_NAMED) != 0 ? " !named" : "");
	pgr_out_text(&out, (facts->flags & PGR_FACTS_RELEASES) != 0 ? " !releases" : "");
	pgr_out_text(&out, (facts->flags & PGR_FACTS_SEQUENCE) != 0 ? " !sequence" : "");
	pgr_out_text(&out, (facts->flags & PGR_FACTS_OVERFLOW) != 0 ? " !overflow" : "");
	for (unsigned i = 0; i < facts->n_steps; i++)
		describe_step(&facts->steps[i], text, standard_strings, &out);
	buf[out.len] = '\0';
}

#endif
