/*
 * A command of the admin console: worker/verb.h. Input: the text without its NUL.
 */
#include "fuzz.h"

#include "worker/verb.h"

/* A semicolon on a line of its own behind what was understood changes nothing. */
static void
check_semicolon(const char *text, size_t size, const struct pgr_verb *verb)
{
	char *longer = malloc(size + 2);
	struct pgr_verb again;
	struct pgr_err err;

	if (size > 0)
		memcpy(longer, text, size);
	memcpy(longer + size, "\n;", 2);
	FUZZ_CHECK(pgr_verb_parse(longer, size + 2, &again, &err) == PGR_OK);
	FUZZ_CHECK(memcmp(&again, verb, sizeof(again)) == 0);
	free(longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct pgr_verb verb;
	struct pgr_err err = {.hint = ""};

	memset(&verb, 0, sizeof(verb));
	if (pgr_verb_parse(text, size, &verb, &err) != PGR_OK) {
		FUZZ_CHECK(strlen(err.sqlstate) == 5 && err.message[0] != '\0' && err.hint[0] != '\0');
	} else {
		FUZZ_CHECK(verb.kind <= PGR_VERB_DISCARD && verb.view < PGR_VIEW_COUNT);
		FUZZ_CHECK(strnlen(verb.database, sizeof(verb.database)) < sizeof(verb.database));
		FUZZ_CHECK(verb.kind != PGR_VERB_KILL || memchr(text, 'i', size) != NULL ||
			memchr(text, 'I', size) != NULL);
		FUZZ_CHECK(verb.show != PGR_VERB_SHOW_SETTING || verb.value != NULL);
		FUZZ_CHECK(pgr_verb_tag(verb.kind) != NULL);
		check_semicolon(text, size, &verb);
	}
	free(text);
	return 0;
}
