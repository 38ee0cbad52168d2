/* parser/feature.h: the table is whole, and docs/SESSION.md is made from it. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "parser/feature.h"
#include "parser/reference.h"
#include "parser/word.h"

START_TEST(test_feature_rows_are_whole)
{
	for (unsigned row = 1; row < PGR_FEATURE_COUNT; row++) {
		ck_assert_str_ne(pgr_features[row].name, "");
		ck_assert_str_ne(pgr_features[row].reason, "");
		ck_assert_uint_le(pgr_features[row].treatment, PGR_TREATMENT_PIN);
		for (unsigned other = 1; other < row; other++)
			ck_assert_msg(pgr_features[row].kind != pgr_features[other].kind ||
					strcmp(pgr_features[row].name, pgr_features[other].name) !=
						0,
				"%s is there twice", pgr_features[row].name);
		if (pgr_features[row].kind == PGR_FEATURE_KIND_FUNCTION)
			ck_assert_uint_eq(pgr_word_feature(pgr_word_find(pgr_features[row].name,
						  strlen(pgr_features[row].name))),
				row);
	}
}
END_TEST

START_TEST(test_feature_reference_is_current)
{
	char path[4096], *want = NULL, *have;
	size_t want_len = 0, have_len;
	FILE *f = open_memstream(&want, &want_len);

	pgr_reference_write(f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/docs/SESSION.md", getenv("PGR_SOURCE"));
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "docs/SESSION.md is missing");
	have = calloc(1, want_len + 2);
	have_len = fread(have, 1, want_len + 1, f);
	fclose(f);
	ck_assert_msg(have_len == want_len && memcmp(have, want, want_len) == 0,
		"session-reference >docs/SESSION.md makes it anew");
	free(have);
	free(want);
}
END_TEST

UNIT_MAIN("feature", test_feature_rows_are_whole, test_feature_reference_is_current)
