/*
 * Makes the perfect hash of word.c: `words` prints words.gen.h. Run at build time, not installed.
 *
 * Hash and displace: words fall into buckets by a part of their hash; the fullest bucket first,
 * each gets the least shift under which all its words fall into free slots.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/word.h"

struct entry {
	const char *name;
	unsigned feature; /* its row in features.def */
	uint64_t hash;
};

enum {
	ROW_NONE,
#define PGR_STATEMENT(id, name, treatment, reason) ROW_##id,
#define PGR_FUNCTION(id, name, treatment, flags, reason) ROW_FN_##id,
#define PGR_RELATION(id, name, treatment, reason) ROW_REL_##id,
#define PGR_SETTING(id, name, treatment, reason) ROW_GUC_##id,
#define PGR_TEXT(id, name, treatment, reason) ROW_##id,
#define PGR_EXTENSION(id, name, reason) ROW_EXT_##id,
#include "parser/features.def"
};

static struct entry entries[PGR_WORD_COUNT] = {
#define PGR_KEYWORD(id, category) [PGR_WORD_##id] = {#id, 0, 0},
#include "parser/keywords.def"
#undef PGR_KEYWORD
#define PGR_FUNCTION(id, name, treatment, flags, reason) \
	[PGR_WORD_FN_##id] = {name, ROW_FN_##id, 0},
#define PGR_RELATION(id, name, treatment, reason) [PGR_WORD_REL_##id] = {name, ROW_REL_##id, 0},
#include "parser/features.def"
};

/* Statements by their names, "COMMIT, END" for instance. */
static const struct {
	const char *name;
	unsigned row;
} statements[] = {
#define PGR_STATEMENT(id, name, treatment, reason) {name, ROW_##id},
#include "parser/features.def"
};

static uint8_t shifts[PGR_WORD_BUCKETS];
static uint16_t slots[PGR_WORD_SLOTS];

static void
die(const char *what, const char *name)
{
	fprintf(stderr, "words: %s: %s\n", what, name);
	exit(1);
}

/* The first of several statements that begin with a word is that word's row. */
static void
give_row(const char *word, size_t len, unsigned row)
{
	for (unsigned i = 1; i < PGR_WORD_KEYWORDS_END; i++) {
		if (strlen(entries[i].name) != len || memcmp(entries[i].name, word, len) != 0)
			continue;
		if (entries[i].feature == 0)
			entries[i].feature = row;
		return;
	}
	die("a statement begins with no key word", word);
}

static void
give_rows(void)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		for (const char *p = statements[i].name; p != NULL; p = strstr(p, ", ")) {
			p += *p == ',' ? 2 : 0;
			give_row(p, strcspn(p, " ,"), statements[i].row);
		}
	}
}

static bool
fits(const uint16_t *members, unsigned n, unsigned shift)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned slot = pgr_word_slot(entries[members[i]].hash, shift);

		if (slots[slot] != 0)
			return false;
		for (unsigned k = 0; k < i; k++)
			if (pgr_word_slot(entries[members[k]].hash, shift) == slot)
				return false;
	}
	return true;
}

static void
place(unsigned bucket, const uint16_t *members, unsigned n)
{
	unsigned shift = 0;

	while (shift < 256 && !fits(members, n, shift))
		shift++;
	if (shift == 256)
		die("no place for", entries[members[0]].name);
	shifts[bucket] = (uint8_t)shift;
	for (unsigned i = 0; i < n; i++)
		slots[pgr_word_slot(entries[members[i]].hash, shift)] = members[i];
}

/* Places every bucket that has just so many words. */
static void
place_buckets_of(unsigned size)
{
	uint16_t members[PGR_WORD_COUNT];

	for (unsigned bucket = 0; bucket < PGR_WORD_BUCKETS; bucket++) {
		unsigned n = 0;

		for (unsigned i = 1; i < PGR_WORD_COUNT; i++)
			if (entries[i].name != NULL && pgr_word_bucket(entries[i].hash) == bucket)
				members[n++] = (uint16_t)i;
		if (n == size)
			place(bucket, members, n);
	}
}

static void
print_numbers(const char *head, const void *data, unsigned n, bool wide)
{
	printf("static const %s = {", head);
	for (unsigned i = 0; i < n; i++)
		printf("%s%u,", i % 16 == 0 ? "\n\t" : " ",
			wide ? (unsigned)((const uint16_t *)data)[i]
			     : (unsigned)((const uint8_t *)data)[i]);
	printf("\n};\n");
}

static void
print_entries(void)
{
	printf("static const struct entry entries[PGR_WORD_COUNT] = {\n");
	for (unsigned i = 1; i < PGR_WORD_COUNT; i++) {
		struct pgr_word_ends ends;
		size_t len;

		if (entries[i].name == NULL)
			continue;
		len = strlen(entries[i].name);
		ends = pgr_word_ends(entries[i].name, len);
		printf("\t[%u] = {{UINT64_C(%#llx), UINT64_C(%#llx)}, \"", i,
			(unsigned long long)ends.first, (unsigned long long)ends.last);
		for (size_t k = 0; k < len; k++) {
			char c = entries[i].name[k];

			putchar(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		}
		printf("\", %zu, %u},\n", len, entries[i].feature);
	}
	printf("};\n");
}

int
main(void)
{
	for (unsigned i = 1; i < PGR_WORD_COUNT; i++) {
		size_t len = entries[i].name != NULL ? strlen(entries[i].name) : 0;

		if (len > 0)
			entries[i].hash = pgr_word_hash(pgr_word_ends(entries[i].name, len), len);
	}
	give_rows();
	for (unsigned size = PGR_WORD_COUNT; size > 0; size--)
		place_buckets_of(size);
	printf("/* Made by words_main.c from keywords.def and features.def. */\n");
	print_numbers("uint8_t shifts[PGR_WORD_BUCKETS]", shifts, PGR_WORD_BUCKETS, false);
	print_numbers("uint16_t slots[PGR_WORD_SLOTS]", slots, PGR_WORD_SLOTS, true);
	print_entries();
	return fflush(stdout) == 0 ? 0 : 1;
}
