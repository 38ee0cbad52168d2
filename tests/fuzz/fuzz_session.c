/*
 * parser/session.h, parser/screen.h and parser/names.h: offsets stay inside of the text, names and
 * values can be written, and what the screen calls clean has no facts. Input: a byte of flags
 * (standard_conforming_strings, unsafe names), then a text.
 */
#include "fuzz.h"

#include "parser/literal.h"
#include "parser/screen.h"
#include "parser/session.h"

static void
check_span(struct pgr_span span, size_t len)
{
	FUZZ_CHECK(span.start <= span.end && span.end <= len);
}

static void
check_step(const struct pgr_step *step, const char *text, size_t len, bool standard_strings)
{
	/* quoting an item of a list may double it, and each item may get ", " */
	size_t cap = 6 * (size_t)(step->value.end - step->value.start) + 200;
	char *buf = malloc(cap);
	struct pgr_out out;

	check_span(step->whole, len);
	check_span(step->name, len);
	check_span(step->value, len);
	FUZZ_CHECK(step->kind > PGR_FEATURE_NONE && step->kind < PGR_FEATURE_COUNT);
	pgr_out_init(&out, buf, cap);
	(void)pgr_step_value(step, text, standard_strings, &out);
	FUZZ_CHECK(!out.full);
	free(buf);
	cap = (size_t)(step->name.end - step->name.start) + 40;
	buf = malloc(cap);
	pgr_out_init(&out, buf, cap);
	(void)pgr_step_name(step, text, &out);
	FUZZ_CHECK(!out.full);
	free(buf);
}

static void
check_facts(const struct pgr_facts *facts, const char *text, size_t len, bool standard_strings)
{
	FUZZ_CHECK(facts->n_steps <= PGR_FACTS_STEPS);
	FUZZ_CHECK(facts->treatment <= PGR_TREATMENT_PIN && facts->reason < PGR_FEATURE_COUNT);
	FUZZ_CHECK(facts->treatment == pgr_features[facts->reason].treatment);
	FUZZ_CHECK((facts->flags & (PGR_FACTS_ERROR | PGR_FACTS_OVERFLOW)) == 0 ||
		facts->treatment == PGR_TREATMENT_PIN);
	for (unsigned i = 0; i < facts->n_steps; i++)
		check_step(&facts->steps[i], text, len, standard_strings);
}

/* A text that is no SQL (UNKNOWN) runs nowhere, and is nothing. */
static bool
is_nothing(const struct pgr_facts *facts)
{
	for (unsigned row = 1; row < PGR_FEATURE_COUNT; row++)
		if (row != PGR_FEATURE_UNKNOWN &&
			pgr_feature_has(&facts->features, (enum pgr_feature)row) &&
			pgr_features[row].treatment != PGR_TREATMENT_SAFE)
			return false;
	return facts->n_steps == 0 && (facts->flags & ~PGR_FACTS_ERROR) == 0;
}

static void
check_names(const char *text, size_t len, bool standard_strings)
{
	struct pgr_name_walk it;
	struct pgr_name name;
	uint32_t end = 0;

	pgr_name_walk_init(&it, text, len, standard_strings);
	while (pgr_name_walk_next(&it, &name)) {
		FUZZ_CHECK(name.name.start >= end && name.name.end > name.name.start &&
			name.name.end <= len);
		FUZZ_CHECK(name.schema.kind == PGR_TOKEN_END || name.schema.end < name.name.end);
		end = name.name.end;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgr_name_set set = {0};
	const struct pgr_name_set *unsafe = NULL;
	struct pgr_facts facts;
	bool standard_strings;
	size_t len;
	char *text, *copy;

	if (size == 0)
		return 0;
	standard_strings = (data[0] & 1) != 0;
	pgr_name_set_add(&set, "leak", 4);
	pgr_name_set_add(&set, "b d", 3);
	if ((data[0] & 2) != 0)
		unsafe = &set;
	text = fuzz_string(data + 1, size - 1);
	len = strlen(text);
	copy = fuzz_copy(text, len);
	memset(&facts, 0xa5, sizeof(facts));
	pgr_session_read(copy, len, standard_strings, unsafe, &facts);
	check_facts(&facts, copy, len, standard_strings);
	if (pgr_screen_clean(copy, len, unsafe))
		FUZZ_CHECK(is_nothing(&facts));
	check_names(copy, len, standard_strings);
	FUZZ_CHECK(pgr_session_read_body(copy, len, true) < PGR_FEATURE_COUNT);
	FUZZ_CHECK(pgr_session_read_body(copy, len, false) < PGR_FEATURE_COUNT);
	free(copy);
	free(text);
	return 0;
}
