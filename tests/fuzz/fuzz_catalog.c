/*
 * parser/catalog.h: whatever a catalog holds, verdicts are of rows that pin, what is judged unsafe is seen by
 * the reader of facts, and not called clean by the screen. Input: lines that fill the catalog (the first byte
 * says how: b body, o body in another language, c compiled, else use; name and rest divided by a tab), an
 * empty line, a text.
 */
#include "fuzz.h"

#include "base/rc.h"
#include "parser/catalog.h"
#include "parser/screen.h"
#include "parser/session.h"

static void
add_line(struct pgr_catalog_builder *b, const char *line, size_t len)
{
	const char *tab = len > 0 ? memchr(line + 1, '\t', len - 1) : NULL;
	size_t name = tab != NULL ? (size_t)(tab - line - 1) : 0;
	const char *rest = tab + 1;
	size_t rest_len = tab != NULL ? len - name - 2 : 0;

	if (tab == NULL)
		return;
	if (line[0] == 'b' || line[0] == 'o')
		pgr_catalog_add_body(b, line + 1, name, rest, rest_len, line[0] == 'b');
	else if (line[0] == 'c')
		pgr_catalog_add(b, line + 1, name, (enum pgr_feature)((unsigned char)(rest_len > 0 ? *rest : 0) % PGR_FEATURE_COUNT));
	else
		pgr_catalog_add_use(b, line + 1, name, rest, rest_len);
}

static void
check(const struct pgr_catalog *catalog, const char *text, size_t len, bool standard_strings)
{
	const struct pgr_name_set *names = pgr_catalog_names(catalog);
	enum pgr_feature row = pgr_catalog_judge(catalog, text, len, standard_strings, false);
	struct pgr_facts facts;

	FUZZ_CHECK(row < PGR_FEATURE_COUNT);
	if (row == PGR_FEATURE_NONE)
		return;
	FUZZ_CHECK(pgr_features[row].treatment == PGR_TREATMENT_PIN);
	FUZZ_CHECK(!pgr_screen_clean(text, len, names));
	pgr_session_read(text, len, standard_strings, names, &facts);
	FUZZ_CHECK((facts.flags & PGR_FACTS_NAMED) != 0 || facts.treatment == PGR_TREATMENT_PIN ||
		facts.n_statements == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgr_catalog_builder *b = pgr_catalog_builder_new();
	const char *at = (const char *)data;
	const char *end = at + size;
	struct pgr_catalog *catalog;

	while (at < end && *at != '\n') {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);

		if (memchr(at, '\0', len) == NULL) /* no server has such names */
			add_line(b, at, len);
		at = PGR_MIN(at + len + 1, end);
	}
	catalog = pgr_catalog_build(b);
	FUZZ_CHECK(catalog != NULL);
	if (at < end) {
		check(catalog, at + 1, (size_t)(end - at - 1), true);
		check(catalog, at + 1, (size_t)(end - at - 1), false);
	}
	pgr_catalog_free(catalog);
	return 0;
}
