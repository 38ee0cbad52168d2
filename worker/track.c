/*
 * A session's settings as a stack: frame [0] is what they were when the transaction began, one more
 * for each savepoint. A frame is made before the first change that could be taken back, so sessions
 * that set nothing have none. Called by back.c for each acknowledged statement.
 */
#include "worker/track.h"

#include <stdlib.h>
#include <string.h>

#include "worker/settings.h"

struct pgr_track_frame {
	struct pgr_settings *session;
	struct pgr_settings *local;
	char *name; /* of the savepoint; NULL for [0] */
};

void
pgr_track_init(struct pgr_track *t, struct pgr_settings *startup)
{
	*t = (struct pgr_track){
		.startup = startup,
		.session = pgr_settings_ref(startup),
		.local = pgr_settings_empty(),
	};
}

static void
drop_frames(struct pgr_track *t, uint32_t from)
{
	while (t->frames > from) {
		struct pgr_track_frame *f = &t->frame[--t->frames];

		pgr_settings_unref(f->session);
		pgr_settings_unref(f->local);
		free(f->name);
	}
	if (t->frames > 0)
		return;
	free(t->frame);
	t->frame = NULL;
	t->frame_room = 0;
}

void
pgr_track_fini(struct pgr_track *t)
{
	drop_frames(t, 0);
	pgr_settings_unref(t->startup);
	pgr_settings_unref(t->session);
	pgr_settings_unref(t->local);
	*t = (struct pgr_track){0};
}

static enum pgr_rc
push_frame(struct pgr_track *t, const char *name, struct pgr_err *err)
{
	char *copy = NULL;

	if (t->frames > PGR_TRACK_SAVEPOINTS)
		return pgr_err_set(err, "54000", "more than %u nested savepoints", PGR_TRACK_SAVEPOINTS);
	if (t->frames == t->frame_room) {
		uint32_t room = t->frame_room == 0 ? 2 : t->frame_room * 2;
		struct pgr_track_frame *bigger = realloc(t->frame, room * sizeof(*bigger));

		if (bigger == NULL)
			return pgr_err_set(err, "53200", "out of memory");
		t->frame = bigger;
		t->frame_room = room;
	}
	if (name != NULL && (copy = strdup(name)) == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	t->frame[t->frames++] = (struct pgr_track_frame){
		.session = pgr_settings_ref(t->session),
		.local = pgr_settings_ref(t->local),
		.name = copy,
	};
	return PGR_OK;
}

/* Before the first change of a transaction. */
static enum pgr_rc
begin(struct pgr_track *t, struct pgr_err *err)
{
	return t->frames > 0 ? PGR_OK : push_frame(t, NULL, err);
}

static void
put(struct pgr_settings **place, struct pgr_settings *s)
{
	pgr_settings_unref(*place);
	*place = s;
}

enum pgr_rc
pgr_track_set(
	struct pgr_track *t, const char *name, const char *value, bool local, struct pgr_err *err)
{
	struct pgr_settings *was;

	if (begin(t, err) != PGR_OK)
		return PGR_FAIL;
	if (value == NULL)
		value = pgr_settings_value(t->startup, name);
	if (local) /* the server's own default, whatever it is, goes by "" */
		return pgr_settings_with(t->local, name, value != NULL ? value : "", &t->local, err);
	was = pgr_settings_ref(t->session);
	if (pgr_settings_with(t->session, name, value, &t->session, err) != PGR_OK ||
		pgr_settings_with(t->local, name, NULL, &t->local, err) != PGR_OK) {
		put(&t->session, was);
		return PGR_FAIL;
	}
	pgr_settings_unref(was);
	return PGR_OK;
}

enum pgr_rc
pgr_track_reset_all(struct pgr_track *t, struct pgr_err *err)
{
	static const char *const kept[] = {"role", "session_authorization"};
	struct pgr_settings *made = pgr_settings_ref(t->startup);

	if (begin(t, err) != PGR_OK) {
		pgr_settings_unref(made);
		return PGR_FAIL;
	}
	for (size_t i = 0; i < PGR_COUNT_OF(kept); i++) {
		const char *value = pgr_settings_value(t->session, kept[i]);

		if (pgr_settings_with(made, kept[i], value, &made, err) != PGR_OK) {
			pgr_settings_unref(made);
			return PGR_FAIL;
		}
	}
	put(&t->session, made);
	put(&t->local, pgr_settings_empty());
	return PGR_OK;
}

enum pgr_rc
pgr_track_savepoint(struct pgr_track *t, const char *name, struct pgr_err *err)
{
	return begin(t, err) == PGR_OK ? push_frame(t, name, err) : PGR_FAIL;
}

/* The youngest savepoint of that name; 0: none. */
static uint32_t
find_savepoint(const struct pgr_track *t, const char *name)
{
	uint32_t i = t->frames;

	while (i > 1)
		if (strcmp(t->frame[--i].name, name) == 0)
			return i;
	return 0;
}

void
pgr_track_release(struct pgr_track *t, const char *name)
{
	uint32_t at = find_savepoint(t, name);

	if (at > 0)
		drop_frames(t, at);
}

static void
restore(struct pgr_track *t, const struct pgr_track_frame *f)
{
	put(&t->session, pgr_settings_ref(f->session));
	put(&t->local, pgr_settings_ref(f->local));
}

void
pgr_track_rollback_to(struct pgr_track *t, const char *name)
{
	uint32_t at = find_savepoint(t, name);

	if (at == 0)
		return;
	restore(t, &t->frame[at]);
	drop_frames(t, at + 1);
}

void
pgr_track_commit(struct pgr_track *t)
{
	if (t->frames == 0)
		return;
	put(&t->local, pgr_settings_empty());
	drop_frames(t, 0);
}

void
pgr_track_rollback(struct pgr_track *t)
{
	if (t->frames == 0)
		return;
	restore(t, &t->frame[0]);
	drop_frames(t, 0);
}

void
pgr_track_discard(struct pgr_track *t)
{
	put(&t->session, pgr_settings_ref(t->startup));
	put(&t->local, pgr_settings_empty());
	drop_frames(t, 0);
}

static bool
tunes(const struct pgr_settings *s)
{
	return s->strings != PGR_SAID_NOTHING || s->encoding != PGR_SAID_NOTHING;
}

bool
pgr_track_retunes(const struct pgr_track *t)
{
	bool any = t->frames > 0 && tunes(t->local);

	for (uint32_t i = 0; i < t->frames && !any; i++) {
		const struct pgr_settings *was = t->frame[i].session;

		any = tunes(t->frame[i].local) || was->strings != t->session->strings ||
			was->encoding != t->session->encoding;
	}
	return any;
}

enum pgr_rc
pgr_track_spell(
	struct pgr_track *t, const char *name, const char *value, struct pgr_err *err)
{
	bool local = pgr_settings_value(t->local, name) != NULL;
	struct pgr_settings **layer = local ? &t->local : &t->session;

	return pgr_settings_with(*layer, name, value, layer, err);
}

struct pgr_settings *
pgr_track_effective(const struct pgr_track *t)
{
	struct pgr_settings *made = pgr_settings_ref(t->session);
	struct pgr_err err;
	const char *name;
	const char *value;
	size_t pos = 0;

	while (pgr_settings_next(t->local->text, t->local->len, &pos, &name, &value)) {
		if (pgr_settings_with(made, name, value, &made, &err) != PGR_OK) {
			pgr_settings_unref(made);
			return NULL;
		}
	}
	return made;
}
