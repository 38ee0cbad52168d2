/*
 * Verdicts over a catalog. What uses what is kept as pairs of hashed names, which are gone over at the
 * end until nothing more turns out unsafe.
 */
#include "parser/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/rc.h"
#include "parser/literal.h"
#include "parser/session.h"

#define USES_MOST (4u << 20) /* what has more is not judged */

struct verdict {
	uint64_t name; /* hash; 0: an empty cell */
	uint8_t row;   /* enum pgr_feature */
	bool listed;   /* in features.def: whoever reads a text knows it without us */
};

/* Open addressing: the size is a power of two, and at most half of the cells are in use. */
struct verdicts {
	struct verdict *cell;
	size_t size;
	size_t n;
};

struct use {
	uint64_t from;
	uint64_t to;
};

/* One more of something, in memory that doubles. */
struct heap {
	char *p;
	size_t len;
	size_t room;
};

struct pgr_catalog_builder {
	struct verdicts bad;
	struct heap uses;  /* of struct use */
	struct heap names; /* of all that may turn out unsafe, each with its NUL */
	bool failed;
};

struct pgr_catalog {
	struct verdicts bad;
	struct pgr_name_set names;
	uint8_t high;   /* row of a name beyond ASCII: it may come in another encoding, or another case */
	uint8_t always; /* row of a name of which nothing counts: any text may mean it */
};

static void *
heap_add(struct heap *heap, size_t len)
{
	if (heap->room - heap->len < len) {
		size_t room = PGR_MAX(2 * heap->room, heap->len + len + 4096);
		char *p = realloc(heap->p, room);

		if (p == NULL)
			return NULL;
		heap->p = p;
		heap->room = room;
	}
	heap->len += len;
	return heap->p + heap->len - len;
}

/* Of the part of a name that counts; never 0. */
static uint64_t
name_hash(const char *p, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < PGR_MIN(len, (size_t)PGR_LITERAL_NAME_MOST); i++) {
		unsigned char ch = (unsigned char)p[i];

		h = (h ^ (ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch)) * UINT64_C(0x100000001b3);
	}
	return h | 1;
}

static struct verdict *
find(const struct verdicts *all, uint64_t name)
{
	size_t at = (size_t)(name >> 17);

	if (all->size == 0)
		return NULL;
	for (;; at++) {
		struct verdict *v = &all->cell[at & (all->size - 1)];

		if (v->name == name || v->name == 0)
			return v;
	}
}

static bool
grow(struct verdicts *all)
{
	struct verdicts more = {.size = PGR_MAX(2 * all->size, 256u), .n = all->n};

	more.cell = calloc(more.size, sizeof(*more.cell));
	if (more.cell == NULL)
		return false;
	for (size_t i = 0; i < all->size; i++)
		if (all->cell[i].name != 0)
			*find(&more, all->cell[i].name) = all->cell[i];
	free(all->cell);
	*all = more;
	return true;
}

/* The first verdict over a name stays. False: no memory. */
static bool
condemn(struct verdicts *all, uint64_t name, enum pgr_feature row, bool listed)
{
	struct verdict *v;

	if (2 * (all->n + 1) > all->size && !grow(all))
		return false;
	v = find(all, name);
	if (v->name != 0)
		return true;
	*v = (struct verdict){.name = name, .row = (uint8_t)row, .listed = listed};
	all->n++;
	return true;
}

static const struct verdict *
look_up(const struct verdicts *all, uint64_t name)
{
	const struct verdict *v = find(all, name);

	return v != NULL && v->name != 0 ? v : NULL;
}

struct pgr_catalog_builder *
pgr_catalog_builder_new(void)
{
	struct pgr_catalog_builder *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	for (unsigned i = 0; i < PGR_FEATURE_COUNT; i++) {
		const struct pgr_feature_row *row = &pgr_features[i];
		bool sets = i == PGR_FEATURE_FN_SET_CONFIG;

		if (row->kind == PGR_FEATURE_KIND_FUNCTION && (sets || row->treatment == PGR_TREATMENT_PIN) &&
			!condemn(&b->bad, name_hash(row->name, strlen(row->name)),
				sets ? PGR_FEATURE_SET_CONFIG_ELSEWHERE : (enum pgr_feature)i, true))
			b->failed = true;
	}
	return b;
}

static void
remember(struct pgr_catalog_builder *b, const char *name, size_t len)
{
	char *kept = heap_add(&b->names, len + 1);

	if (kept == NULL) {
		b->failed = true;
		return;
	}
	memcpy(kept, name, len);
	kept[len] = '\0';
}

void
pgr_catalog_add(struct pgr_catalog_builder *b, const char *name, size_t len, enum pgr_feature row)
{
	if (pgr_features[row].treatment != PGR_TREATMENT_PIN)
		return;
	remember(b, name, len);
	if (!condemn(&b->bad, name_hash(name, pgr_name_run(name, len)), row, false))
		b->failed = true;
}

static void
add_use(struct pgr_catalog_builder *b, uint64_t from, uint64_t to)
{
	struct use *use = b->uses.len < USES_MOST * sizeof(*use) ? heap_add(&b->uses, sizeof(*use)) : NULL;

	if (use != NULL)
		*use = (struct use){from, to};
	else
		b->failed = true;
}

static int
compare_uses(const void *a, const void *b)
{
	const struct use *x = a;
	const struct use *y = b;

	return x->to < y->to ? -1 : x->to > y->to;
}

/* What was added last, from `first` on, is of one name: each once. */
static void
unite_uses(struct pgr_catalog_builder *b, size_t first)
{
	struct use *use = (struct use *)(void *)b->uses.p;
	size_t n = b->uses.len / sizeof(*use);
	size_t kept = first;

	if (n == first)
		return;
	qsort(use + first, n - first, sizeof(*use), compare_uses);
	for (size_t i = first; i < n; i++)
		if (i == first || use[i].to != use[i - 1].to)
			use[kept++] = use[i];
	b->uses.len = kept * sizeof(*use);
}

void
pgr_catalog_add_body(struct pgr_catalog_builder *b, const char *name, size_t name_len, const char *body,
	size_t len, bool sql_like)
{
	uint64_t from = name_hash(name, pgr_name_run(name, name_len));
	size_t first = b->uses.len / sizeof(struct use);
	enum pgr_feature row = pgr_session_read_body(body, len, sql_like);

	if (pgr_features[row].treatment == PGR_TREATMENT_PIN) {
		pgr_catalog_add(b, name, name_len, row);
		return;
	}
	remember(b, name, name_len);
	/* every word, in strings and comments too: what is put together from them may call it */
	for (size_t i = 0; i < len; i++) {
		size_t run = pgr_name_run(body + i, len - i);

		if (run > 0)
			add_use(b, from, name_hash(body + i, run));
		i += run;
	}
	unite_uses(b, first);
}

void
pgr_catalog_add_use(
	struct pgr_catalog_builder *b, const char *from, size_t from_len, const char *to, size_t to_len)
{
	remember(b, from, from_len);
	add_use(b, name_hash(from, pgr_name_run(from, from_len)), name_hash(to, pgr_name_run(to, to_len)));
}

/* Only what uses something itself, or is unsafe, matters of what is used: how many, in the order of `to`. */
static size_t
sift_uses(struct pgr_catalog_builder *b)
{
	struct use *use = (struct use *)(void *)b->uses.p;
	size_t n = b->uses.len / sizeof(*use);
	struct verdicts users = {0};
	size_t kept = 0;

	for (size_t i = 0; i < n && !b->failed; i++)
		b->failed = !condemn(&users, use[i].from, PGR_FEATURE_NONE, false);
	for (size_t i = 0; i < n && !b->failed; i++)
		if (look_up(&users, use[i].to) != NULL || look_up(&b->bad, use[i].to) != NULL)
			use[kept++] = use[i];
	free(users.cell);
	if (kept > 0)
		qsort(use, kept, sizeof(*use), compare_uses);
	return kept;
}

/* The first that uses `to`, among n in order. */
static size_t
first_use(const struct use *use, size_t n, uint64_t to)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (use[middle].to < to)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

static void
follow(struct pgr_catalog_builder *b, struct heap *next, uint64_t name)
{
	uint64_t *place = heap_add(next, sizeof(*place));

	if (place == NULL)
		b->failed = true;
	else
		*place = name;
}

/* Whoever uses the unsafe is unsafe: each name is followed once, to those that use it. */
static void
spread(struct pgr_catalog_builder *b)
{
	const struct use *use = (const struct use *)(const void *)b->uses.p;
	size_t n = sift_uses(b);
	struct heap next = {0};

	for (size_t i = 0; i < b->bad.size; i++)
		if (b->bad.cell[i].name != 0)
			follow(b, &next, b->bad.cell[i].name);
	while (next.len > 0 && !b->failed) {
		uint64_t to = ((const uint64_t *)(const void *)next.p)[next.len / sizeof(to) - 1];
		uint8_t row = look_up(&b->bad, to)->row;

		next.len -= sizeof(to);
		for (size_t i = first_use(use, n, to); i < n && use[i].to == to; i++) {
			if (look_up(&b->bad, use[i].from) != NULL)
				continue;
			if (!condemn(&b->bad, use[i].from, (enum pgr_feature)row, false))
				b->failed = true;
			follow(b, &next, use[i].from);
		}
	}
	free(next.p);
}

static void
list_names(struct pgr_catalog *catalog, const struct heap *names)
{
	const char *end = names->p + names->len;

	for (const char *name = names->p; name < end; name += strlen(name) + 1) {
		size_t len = strlen(name);
		const struct verdict *v = look_up(&catalog->bad, name_hash(name, pgr_name_run(name, len)));

		if (v == NULL || v->listed)
			continue;
		pgr_name_set_add(&catalog->names, name, len);
		if (pgr_name_run(name, len) == 0)
			catalog->always = v->row;
		else if (!pgr_is_ascii(name, pgr_name_run(name, len)))
			catalog->high = v->row;
	}
}

void
pgr_catalog_builder_free(struct pgr_catalog_builder *b)
{
	if (b == NULL)
		return;
	free(b->bad.cell);
	free(b->uses.p);
	free(b->names.p);
	free(b);
}

struct pgr_catalog *
pgr_catalog_build(struct pgr_catalog_builder *b)
{
	struct pgr_catalog *catalog = calloc(1, sizeof(*catalog));

	spread(b);
	if (catalog != NULL && !b->failed) {
		catalog->bad = b->bad;
		b->bad = (struct verdicts){0};
		list_names(catalog, &b->names);
	} else {
		free(catalog);
		catalog = NULL;
	}
	pgr_catalog_builder_free(b);
	return catalog;
}

void
pgr_catalog_free(struct pgr_catalog *catalog)
{
	if (catalog == NULL)
		return;
	free(catalog->bad.cell);
	free(catalog);
}

size_t
pgr_catalog_count(const struct pgr_catalog *catalog)
{
	return catalog->names.n;
}

const struct pgr_name_set *
pgr_catalog_names(const struct pgr_catalog *catalog)
{
	return &catalog->names;
}

static enum pgr_feature
judge_words(const struct pgr_catalog *catalog, const char *p, size_t len)
{
	for (size_t pos = 0; pos < len; pos++) {
		size_t run = pgr_name_run(p + pos, len - pos);
		const struct verdict *v = run > 0 ? look_up(&catalog->bad, name_hash(p + pos, run)) : NULL;

		if (v != NULL && !v->listed)
			return (enum pgr_feature)v->row;
		if (catalog->high != PGR_FEATURE_NONE && !pgr_is_ascii(p + pos, run))
			return (enum pgr_feature)catalog->high;
		pos += run;
	}
	return PGR_FEATURE_NONE;
}

static enum pgr_feature
judge_token(const struct pgr_catalog *catalog, const char *text, const struct pgr_token *t)
{
	if (t->kind == PGR_TOKEN_UNICODE_QUOTED)
		return PGR_FEATURE_ESCAPED_NAME;
	return judge_words(catalog, text + t->start, t->end - t->start);
}

enum pgr_feature
pgr_catalog_judge(const struct pgr_catalog *catalog, const char *text, size_t len, bool standard_strings,
	bool strings)
{
	struct pgr_name_walk walk;
	struct pgr_name name;

	if (catalog->names.n == 0 || catalog->always != PGR_FEATURE_NONE)
		return (enum pgr_feature)catalog->always;
	pgr_name_walk_init(&walk, text, len, standard_strings);
	while (pgr_name_walk_next(&walk, &name)) {
		enum pgr_feature row = judge_token(catalog, text, &name.name);

		if (row != PGR_FEATURE_NONE)
			return row;
	}
	return strings ? judge_words(catalog, text, len) : PGR_FEATURE_NONE;
}

bool
pgr_catalog_knows_extension(const char *name)
{
	for (unsigned i = 0; i < PGR_FEATURE_COUNT; i++)
		if (pgr_features[i].kind == PGR_FEATURE_KIND_EXTENSION && strcmp(pgr_features[i].name, name) == 0)
			return true;
	return false;
}
