/*
 * Readings of texts, in a table where a new one takes the cell of an old one: what is still in use
 * lives on by its references. Called by front.c for each text that a client sends, and at Bind where
 * a statement takes settings from its parameters.
 */
#include "worker/reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "parser/catalog.h"
#include "parser/screen.h"
#include "worker/worker.h"

#define CELLS 512u
#define KEPT_MOST 4096u /* bytes of a text that is kept for when it comes again */

struct pgr_readings {
	struct pgr_hash_key key;
	struct pgr_reading *cell[CELLS];
};

struct pgr_readings *
pgr_readings_new(const struct pgr_hash_key *key)
{
	struct pgr_readings *all = calloc(1, sizeof(*all));

	if (all != NULL)
		all->key = *key;
	return all;
}

void
pgr_reading_unref(struct pgr_reading *r)
{
	if (r != NULL && --r->refs == 0)
		free(r);
}

struct pgr_reading *
pgr_reading_unread(enum pgr_pin why)
{
	static struct pgr_reading unread[PGR_PIN_FEATURES];
	struct pgr_reading *r = &unread[why];

	r->refs += r->refs == 0 ? 2 : 1; /* one is its own */
	r->pin = (uint8_t)why;
	r->commits = r->retunes = r->sets = r->makes = true;
	return r;
}

static bool
is_named(const struct pgr_step *step, const char *text, const char *name)
{
	char found[128];
	struct pgr_out out;

	pgr_out_init(&out, found, sizeof(found));
	return !pgr_step_name(step, text, &out) || out.full ||
		(out.len == strlen(name) && memcmp(found, name, out.len) == 0);
}

/* Does the step change how the texts behind it are read? A name that comes with Bind may. */
static bool
step_retunes(const struct pgr_step *step, const char *text)
{
	switch (step->kind) {
	case PGR_FEATURE_SET:
	case PGR_FEATURE_RESET:
		return step->setting == PGR_SETTING_CLIENT_ENCODING ||
			(step->setting == PGR_SETTING_NAMED &&
				(is_named(step, text, "standard_conforming_strings") ||
					is_named(step, text, "client_encoding")));
	case PGR_FEATURE_RESET_ALL:
	case PGR_FEATURE_DISCARD_ALL:
		return true;
	default:
		return false;
	}
}

static void
look_at_step(struct pgr_reading *r, const struct pgr_step *step)
{
	r->n_params = PGR_MAX(r->n_params,
		PGR_MAX(step->name_param, PGR_MAX(step->value_param, step->local_param)));
	r->retunes = r->retunes || step_retunes(step, r->text);
	r->commits = r->commits || step->kind == PGR_FEATURE_COMMIT ||
		step->kind == PGR_FEATURE_PREPARE_TRANSACTION;
	r->sets = r->sets || step->kind == PGR_FEATURE_SET || step->kind == PGR_FEATURE_RESET ||
		step->kind == PGR_FEATURE_RESET_ALL || step->kind == PGR_FEATURE_DISCARD_ALL;
	r->resets = r->resets || step->kind == PGR_FEATURE_RESET ||
		step->kind == PGR_FEATURE_RESET_ALL || step->kind == PGR_FEATURE_DISCARD_ALL;
	r->clears = r->clears || step->kind == PGR_FEATURE_DISCARD_ALL ||
		step->kind == PGR_FEATURE_DEALLOCATE_ALL;
	r->ends = r->ends || step->kind == PGR_FEATURE_COMMIT || step->kind == PGR_FEATURE_ROLLBACK ||
		step->kind == PGR_FEATURE_ROLLBACK_TO || step->kind == PGR_FEATURE_PREPARE_TRANSACTION;
}

static bool
is_temporary(const struct pgr_facts *facts)
{
	return pgr_feature_has(&facts->features, PGR_FEATURE_CREATE_TEMP) ||
		pgr_feature_has(&facts->features, PGR_FEATURE_CREATE_TEMP_DROP) ||
		pgr_feature_has(&facts->features, PGR_FEATURE_SELECT_INTO_TEMP) ||
		pgr_feature_has(&facts->features, PGR_FEATURE_REL_PG_TEMP);
}

static bool
makes(const struct pgr_facts *facts)
{
	return is_temporary(facts) || pgr_feature_has(&facts->features, PGR_FEATURE_CREATE) ||
		pgr_feature_has(&facts->features, PGR_FEATURE_ALTER) ||
		pgr_feature_has(&facts->features, PGR_FEATURE_DROP) ||
		(facts->flags & PGR_FACTS_MAKES) != 0;
}

static bool
matters(const struct pgr_facts *facts, enum pgr_pin pin)
{
	return pin != PGR_PIN_NONE_REASON || facts->n_steps > 0 || makes(facts) ||
		(facts->flags & (PGR_FACTS_RELEASES | PGR_FACTS_SEQUENCE)) != 0 ||
		pgr_feature_has(&facts->features, PGR_FEATURE_COMMIT_PREPARED);
}

static struct pgr_reading *
reading_new(const struct pgr_facts *facts, enum pgr_pin pin, const char *text, size_t len)
{
	size_t steps = facts->n_steps * sizeof(struct pgr_step);
	struct pgr_reading *r = malloc(sizeof(*r) + steps + len);

	if (r == NULL)
		return NULL;
	*r = (struct pgr_reading){
		.refs = 1,
		.len = (uint32_t)len,
		.pin = (uint8_t)pin,
		.plain = !matters(facts, pin),
		.temporary = is_temporary(facts),
		.sequence = (facts->flags & PGR_FACTS_SEQUENCE) != 0,
		.several = facts->n_statements > 1,
		.makes = makes(facts),
		.releases = (facts->flags & PGR_FACTS_RELEASES) != 0,
		.commits = pgr_feature_has(&facts->features, PGR_FEATURE_COMMIT_PREPARED),
		.n_steps = facts->n_steps,
		.step = (struct pgr_step *)(void *)(r + 1),
		.text = (char *)(r + 1) + steps,
	};
	memcpy(r->step, facts->steps, steps);
	memcpy(r->text, text, len);
	for (uint16_t i = 0; i < r->n_steps; i++)
		look_at_step(r, &r->step[i]);
	return r;
}

/* NULL: no memory. */
static struct pgr_reading *
read_anew(const char *text, size_t len, bool standard_strings, const struct pgr_known *known)
{
	enum pgr_feature called = PGR_FEATURE_NONE;
	bool judged = known->catalog != NULL;
	struct pgr_facts facts;
	struct pgr_reading *r;

	pgr_session_read(text, len, standard_strings, known->unsafe, &facts);
	if ((facts.flags & PGR_FACTS_NAMED) != 0)
		called = pgr_catalog_judge(known->catalog, text, len, standard_strings,
			(facts.flags & PGR_FACTS_TEXTS) != 0);
	r = reading_new(&facts, pgr_pin_of(&facts, called, judged), text, len);
	if (r == NULL)
		return NULL;
	r->standard_strings = standard_strings;
	r->shows = pgr_pin_shows(&facts, called, judged);
	return r;
}

/* Takes over the reference. */
static struct pgr_reading *
unless_plain(struct pgr_reading *r)
{
	if (r == NULL)
		return pgr_reading_unread(PGR_PIN_UNREAD_REASON);
	if (!r->plain)
		return r;
	pgr_reading_unref(r);
	return NULL;
}

struct pgr_reading *
pgr_readings_get(struct pgr_readings *all, const char *text, size_t len, bool standard_strings,
	const struct pgr_known *known)
{
	struct pgr_reading **cell;
	struct pgr_reading *r;
	uint64_t hash;

	if (pgr_screen_clean(text, len, known->unsafe))
		return NULL;
	if (len > KEPT_MOST)
		return unless_plain(read_anew(text, len, standard_strings, known));
	hash = pgr_hash64(&all->key, text, len) | 1;
	cell = &all->cell[hash >> 32 & (CELLS - 1)];
	r = *cell;
	if (r == NULL || r->hash != hash || r->len != len || r->standard_strings != standard_strings ||
		r->serial != known->serial || memcmp(r->text, text, len) != 0) {
		r = read_anew(text, len, standard_strings, known);
		if (r == NULL)
			return unless_plain(r);
		r->hash = hash;
		r->serial = known->serial;
		pgr_reading_unref(*cell);
		*cell = r;
	}
	return unless_plain(pgr_reading_ref(r));
}

/* The values of a Bind message, from its formats on. */
struct values {
	const char *at;
	const char *end;
	uint16_t n_formats;
	uint16_t n;
};

static bool
begin_values(struct values *v, const char *p, const char *end)
{
	if (end - p < 2)
		return false;
	v->n_formats = pgr_get16(p);
	p += 2;
	if (end - p < (ptrdiff_t)v->n_formats * 2 + 2)
		return false;
	v->n = pgr_get16(p + (size_t)v->n_formats * 2);
	v->at = p + (size_t)v->n_formats * 2 + 2;
	v->end = end;
	return true;
}

/* The length of the next value, at v->at; -1: NULL. False: there is none. */
static bool
next_value(struct values *v, int64_t *ret_len)
{
	if (v->end - v->at < 4)
		return false;
	*ret_len = (int32_t)pgr_get32(v->at);
	v->at += 4;
	return *ret_len <= v->end - v->at;
}

/* Text and binary are the same for texts. */
static void
put_value(const struct values *v, int64_t len, char *to, struct pgr_span *ret)
{
	if (len < 0) {
		*ret = (struct pgr_span){1, 0};
		return;
	}
	memcpy(to, v->at, (size_t)len);
	ret->end = ret->start + (uint32_t)len;
}

static struct pgr_reading *
bound_new(const struct pgr_reading *r, size_t bytes)
{
	size_t steps = r->n_steps * sizeof(struct pgr_step);
	size_t params = r->n_params * sizeof(struct pgr_span);
	struct pgr_reading *made = malloc(sizeof(*made) + steps + params + r->len + bytes);

	if (made == NULL)
		return NULL;
	*made = *r;
	made->refs = 1;
	made->hash = 0;
	made->bound = true;
	made->step = (struct pgr_step *)(void *)(made + 1);
	made->param = (struct pgr_span *)(void *)((char *)(made + 1) + steps);
	made->text = (char *)made->param + params;
	memcpy(made->step, r->step, steps);
	memcpy(made->text, r->text, r->len);
	return made;
}

struct pgr_reading *
pgr_reading_bind(struct pgr_reading *r, const char *values, const char *end)
{
	struct pgr_reading *made = bound_new(r, (size_t)(end - values));
	uint32_t at = r->len;
	struct values v;
	int64_t len;

	if (made == NULL)
		return pgr_reading_unread(PGR_PIN_SETTINGS_REASON);
	if (!begin_values(&v, values, end) || v.n < r->n_params || (v.n_formats > 1 && v.n_formats != v.n)) {
		pgr_reading_unref(made); /* the server refuses it */
		return pgr_reading_ref(r);
	}
	for (uint16_t i = 0; i < r->n_params; i++) {
		if (!next_value(&v, &len)) {
			pgr_reading_unref(made);
			return pgr_reading_ref(r);
		}
		made->param[i].start = at;
		put_value(&v, len, made->text + at, &made->param[i]);
		if (len > 0) {
			v.at += len;
			at += (uint32_t)len;
		}
	}
	return made;
}
