/*
 * From acknowledged statements to the state of their session. The steps of a text are taken one by
 * one as its statements complete, through worker/track.c; where the settings cannot be followed the
 * client is pinned, for then only the server knows them. Called by back.c.
 *
 *   SET, RESET, set_config()       tracked; of RESET, startup values are noted to be put back
 *   COMMIT, ROLLBACK, savepoints   tracked: the tag tells how a COMMIT ended
 *   ReadyForQuery                  ends what no statement has ended, by its status
 *   ParameterStatus                the server's spelling, and what functions have set
 *   what pins                      from when it was answered, whatever the answer was
 */
#include "worker/effect.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "proto/params.h"
#include "worker/client.h"
#include "worker/pin.h"
#include "worker/portal.h"
#include "worker/reading.h"
#include "worker/server.h"
#include "worker/settings.h"
#include "worker/statement.h"

#define NAME_MOST 128

static void
ask_pin(struct pgr_server *s, enum pgr_pin pin, bool stays)
{
	if (pin == PGR_PIN_NONE_REASON)
		return;
	if (s->cycle.pin == PGR_PIN_NONE_REASON)
		s->cycle.pin = (uint8_t)pin;
	s->cycle.pin_stays = s->cycle.pin_stays || stays;
}

static void
lose_track(struct pgr_server *s, enum pgr_rc rc, const struct pgr_err *err)
{
	if (rc == PGR_OK)
		return;
	pgr_log(PGR_LOG_DEBUG, "client.settings", "database \"%s\": %s", s->pool->view.pool->database,
		err->message);
	ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
}

/* Reports are held back from now on. What the client believes is what it was told at ReadyForQuery. */
static void
hold_reports(struct pgr_client *c)
{
	if (c->told == NULL)
		c->told = pgr_settings_ref(c->sure);
}

/*
 * Values beyond ASCII are kept as the client wrote them, and are set again in the client_encoding of
 * then: where that has become another one, only the server knows what they are.
 */
static bool
is_garbled(const struct pgr_settings *before, const struct pgr_settings *now)
{
	const char *was = pgr_settings_value(before, "client_encoding");
	const char *is = pgr_settings_value(now, "client_encoding");

	return (before->beyond_ascii || now->beyond_ascii) && was != is &&
		(was == NULL || is == NULL || strcasecmp(was, is) != 0);
}

/* The settings have become what the track says. */
static void
retrack(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	struct pgr_settings *now = pgr_track_effective(&c->track);

	s->cycle.touched = true;
	if (now == NULL) {
		ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
		return;
	}
	if (!s->cycle.discarded && is_garbled(c->settings, now))
		ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
	pgr_settings_unref(c->settings);
	c->settings = now;
	pgr_client_tell_name(w, c);
}

/* RESET took it to the server's default: the startup value is to be put back. */
static void
note_restore(struct pgr_server *s, struct pgr_client *c, const char *name)
{
	const struct pgr_settings *startup = c->track.startup;
	const char *value = pgr_settings_value(startup, name);
	struct pgr_err err;

	if (value == NULL)
		return;
	hold_reports(c);
	if (c->restore == NULL)
		c->restore = pgr_settings_empty();
	lose_track(s, pgr_settings_with(c->restore, name, value, &c->restore, &err), &err);
}

/* identities: what RESET ALL leaves alone too. */
static void
note_restore_all(struct pgr_server *s, struct pgr_client *c, bool identities)
{
	const struct pgr_settings *startup = c->track.startup;
	const char *name;
	const char *value;
	size_t pos = 0;

	while (pgr_settings_next(startup->text, startup->len, &pos, &name, &value))
		if (identities || !pgr_settings_is_identity(name))
			note_restore(s, c, name);
}

/* A text of a step, or of the parameter that it stands in; NULL: a NULL, or not to be had. */
static const char *
from_param(const struct pgr_reading *r, uint16_t param, struct pgr_out *out)
{
	struct pgr_span span;

	if (!r->bound || param == 0 || param > r->n_params)
		return NULL;
	span = r->param[param - 1];
	if (span.end < span.start)
		return NULL;
	pgr_out_bytes(out, r->text + span.start, span.end - span.start);
	pgr_out_byte(out, '\0');
	return out->full ? NULL : out->p;
}

static const char *
name_of(const struct pgr_reading *r, const struct pgr_step *step, char *buf, size_t cap)
{
	struct pgr_out out;

	pgr_out_init(&out, buf, cap);
	if (step->name_param != 0)
		return from_param(r, step->name_param, &out);
	if (!pgr_step_name(step, r->text, &out))
		return NULL;
	pgr_out_byte(&out, '\0');
	return out.full ? NULL : buf;
}

/* False: it cannot be known. */
static bool
value_of(const struct pgr_reading *r, const struct pgr_step *step, char *buf, size_t cap,
	const char **ret)
{
	struct pgr_out out;

	*ret = NULL;
	if (step->kind == PGR_FEATURE_RESET)
		return true;
	pgr_out_init(&out, buf, cap);
	if (step->value_kind == PGR_VALUE_PARAM) {
		if (!r->bound)
			return false;
		*ret = from_param(r, step->value_param, &out);
		return !out.full;
	}
	if (!pgr_step_value(step, r->text, r->standard_strings, &out))
		return false;
	pgr_out_byte(&out, '\0');
	*ret = buf;
	return !out.full;
}

/* A boolean that the server has taken: its first letter tells, but for on and off; binary, its byte. */
static bool
is_true(const char *text)
{
	while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		text++;
	switch (*text | 0x20) {
	case 't':
	case 'y':
	case '1' | 0x20:
	case 1 | 0x20:
		return true;
	case 'o':
		return (text[1] | 0x20) == 'n';
	default:
		return false;
	}
}

static bool
is_local(const struct pgr_reading *r, const struct pgr_step *step)
{
	char buf[32];
	struct pgr_out out;
	const char *text;

	if (step->local_param == 0)
		return (step->flags & PGR_STEP_LOCAL) != 0;
	pgr_out_init(&out, buf, sizeof(buf));
	text = from_param(r, step->local_param, &out);
	return text != NULL && is_true(text);
}

/* value NULL: reset. */
static void
set_tracked(
	struct pgr_server *s, struct pgr_client *c, const char *name, const char *value, bool local)
{
	const struct pgr_settings *startup = c->track.startup;
	struct pgr_err err;

	if (value == NULL && !local)
		note_restore(s, c, name);
	else if (value == NULL && pgr_settings_value(startup, name) != NULL)
		/* what is put back is put back for the session, not for this transaction alone */
		ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
	lose_track(s, pgr_track_set(&c->track, name, value, local, &err), &err);
}

static void
set_one(struct pgr_server *s, struct pgr_client *c, const struct pgr_reading *r,
	const struct pgr_step *step)
{
	char name_text[NAME_MOST];
	char value_text[PGR_SETTINGS_BYTES];
	const char *name = name_of(r, step, name_text, sizeof(name_text));
	bool local = is_local(r, step);
	enum pgr_feature feature;
	const char *value;
	struct pgr_err err;

	if (name == NULL || !value_of(r, step, value_text, sizeof(value_text), &value)) {
		ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
		return;
	}
	pgr_settings_fold(name, name_text, sizeof(name_text));
	lose_track(s, pgr_params_check_name(name, &err), &err); /* could not be set again */
	feature = pgr_setting_feature(name, strlen(name), value, value != NULL ? strlen(value) : 0);
	if (pgr_features[feature].treatment == PGR_TREATMENT_PIN)
		ask_pin(s, (enum pgr_pin)(PGR_PIN_FEATURES + feature), true);
	if (pgr_features[feature].treatment == PGR_TREATMENT_SAFE && feature != PGR_FEATURE_NONE)
		return; /* ends with its transaction */
	set_tracked(s, c, name, value, local);
	/* with the session's user the role goes */
	if (strcmp(name, "session_authorization") == 0)
		set_tracked(s, c, "role", value != NULL ? "none" : NULL, local);
}

/* What was put back in the transaction may have been taken along: it is looked for again. */
static void
note_undone(struct pgr_server *s, struct pgr_client *c)
{
	const char *name;
	const char *value;
	size_t pos = 0;

	while (c->put_back != NULL &&
		pgr_settings_next(c->put_back->text, c->put_back->len, &pos, &name, &value))
		note_restore(s, c, name);
}

/* The transaction has ended as the tag says; nothing that was set in it is undecided. */
static void
end_transaction(struct pgr_server *s, struct pgr_client *c, bool committed)
{
	if (committed) {
		pgr_track_commit(&c->track);
	} else {
		pgr_track_rollback(&c->track);
		note_undone(s, c);
	}
	pgr_settings_unref(c->put_back);
	c->put_back = NULL;
	s->doomed = false;
}

static void
savepoint(struct pgr_server *s, struct pgr_client *c, const struct pgr_reading *r,
	const struct pgr_step *step)
{
	char text[NAME_MOST];
	const char *name = name_of(r, step, text, sizeof(text));
	struct pgr_err err;

	if (name == NULL) {
		ask_pin(s, PGR_PIN_SETTINGS_REASON, true);
		return;
	}
	if (step->kind == PGR_FEATURE_SAVEPOINT) {
		lose_track(s, pgr_track_savepoint(&c->track, name, &err), &err);
	} else if (step->kind == PGR_FEATURE_RELEASE) {
		pgr_track_release(&c->track, name);
	} else {
		pgr_track_rollback_to(&c->track, name);
		note_undone(s, c);
		s->doomed = false;
	}
}

/* Nothing is prepared any more but what stands behind in the queue. */
static void
forget_statements(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	pgr_slot_statement_clear(pgr_server_cold(w, s));
	pgr_names_clear(w->statements, &c->names);
	for (uint32_t i = 1; i < s->replies.count; i++) {
		const struct pgr_reply *r = pgr_replies_at(&s->replies, i);

		if (r->named == NULL || r->ours)
			continue;
		if (r->kind == PGR_REPLY_PARSE || r->kind == PGR_REPLY_LOCAL_PARSE)
			pgr_names_restore(w->statements, &c->names, r->named);
		else if (r->kind == PGR_REPLY_LOCAL_CLOSE)
			pgr_names_remove(w->statements, c->names, r->named);
	}
}

/* DISCARD ALL: the session is as if it had just begun, but for the startup values. */
static void
discard(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	hold_reports(c);
	forget_statements(w, s, c);
	pgr_track_discard(&c->track);
	pgr_settings_unref(c->restore);
	c->restore = NULL;
	s->cycle.discarded = true;
	s->cycle.pin = PGR_PIN_NONE_REASON;
	s->cycle.pin_stays = false;
}

static void
take_step(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, const struct pgr_reading *r,
	const struct pgr_step *step, const char *tag)
{
	struct pgr_err err;

	switch (step->kind) {
	case PGR_FEATURE_SET:
	case PGR_FEATURE_RESET:
		/* an Execute that goes on with a suspended portal returns no row: it has set nothing anew */
		if ((step->flags & PGR_STEP_FUNCTION) == 0 || strcmp(tag, "SELECT 0") != 0)
			set_one(s, c, r, step);
		break;
	case PGR_FEATURE_RESET_ALL:
		note_restore_all(s, c, false);
		lose_track(s, pgr_track_reset_all(&c->track, &err), &err);
		break;
	case PGR_FEATURE_COMMIT:
		end_transaction(s, c, strcmp(tag, "COMMIT") == 0);
		break;
	case PGR_FEATURE_PREPARE_TRANSACTION:
		/* without a block to end it says ROLLBACK, and what was set before it in a pipeline stays */
		end_transaction(s, c, strcmp(tag, "PREPARE TRANSACTION") == 0 || !s->doomed);
		break;
	case PGR_FEATURE_ROLLBACK:
		end_transaction(s, c, false);
		break;
	case PGR_FEATURE_SAVEPOINT:
	case PGR_FEATURE_RELEASE:
	case PGR_FEATURE_ROLLBACK_TO:
		savepoint(s, c, r, step);
		break;
	case PGR_FEATURE_DISCARD_ALL:
		discard(w, s, c);
		break;
	case PGR_FEATURE_DEALLOCATE_ALL:
		forget_statements(w, s, c);
		break;
	default:
		break;
	}
}

void
pgr_effect_complete(
	struct pgr_worker *w, struct pgr_server *s, const struct pgr_reply *r, const char *tag)
{
	struct pgr_client *c = pgr_server_client(s);
	uint32_t statement = r->kind == PGR_REPLY_QUERY ? s->cycle.statement : 0;
	bool discarded = s->cycle.discarded;
	bool any = false;

	if (c == NULL)
		return;
	s->cycle.eventful = true;
	for (uint16_t i = 0; i < r->reading->n_steps; i++) {
		const struct pgr_step *step = &r->reading->step[i];

		if (step->statement != statement)
			continue;
		take_step(w, s, c, r->reading, step, tag);
		any = true;
	}
	if (!any)
		return;
	s->cycle.behind = discarded;
	retrack(w, s, c);
}

void
pgr_effect_may_have_run(struct pgr_server *s, const struct pgr_reading *reading)
{
	if (s->leg == NULL)
		return;
	s->cycle.eventful = true;
	s->cycle.releases = s->cycle.releases || reading->releases;
	if (s->cycle.syntax && reading->pin == PGR_PIN_FEATURES + PGR_FEATURE_UNKNOWN)
		return;
	if (s->cycle.discarded && reading->pin != PGR_PIN_NONE_REASON)
		s->cycle.behind = true;
	if (atomic_load_explicit(&s->pool->view.pool->set.on_session_feature,
			memory_order_relaxed) != PGR_ON_FEATURE_IGNORE)
		ask_pin(s, (enum pgr_pin)reading->pin, !reading->shows);
}

/*
 * What the server says of a setting that it reports: it does so at the next ReadyForQuery whenever the
 * value has changed, and is silent when it has not, however it was written.
 */
static const char *
word_of_server(const struct pgr_server *s, const struct pgr_client *c, const char *name, const char *at_login)
{
	const char *value = s->reports != NULL ? pgr_settings_value(s->reports, name) : NULL;

	if (value == NULL)
		value = pgr_settings_value(c->sure, name);
	return value != NULL ? value : at_login;
}

/* True: the track had it otherwise. */
static bool
take_word(struct pgr_server *s, struct pgr_client *c, const char *name, const char *at_login)
{
	const char *word = word_of_server(s, c, name, at_login);
	const char *known = pgr_settings_value(c->settings, name);
	struct pgr_err err;

	if (strcmp(known != NULL ? known : at_login, word) == 0)
		return false;
	lose_track(s, pgr_track_spell(&c->track, name, word, &err), &err);
	return true;
}

/* What is tracked of settings that are reported becomes what the server says. */
static void
take_reports(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	const struct pgr_slot_cold *cold = pgr_server_cold(w, s);
	size_t len = PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES);
	bool any = false;
	const char *reported;
	const char *at_login;
	size_t pos = 0;

	if (c->restore != NULL || (s->reports == NULL && c->settings == c->sure))
		return; /* what is put back is reported too */
	while (pgr_settings_next(cold->reported, len, &pos, &reported, &at_login)) {
		char name[NAME_MOST];

		pgr_settings_fold(reported, name, sizeof(name));
		if (pgr_settings_tracked(name))
			any = take_word(s, c, name, at_login) || any;
	}
	if (any)
		retrack(w, s, c);
	pgr_settings_unref(s->reports);
	s->reports = NULL;
	pgr_settings_unref(c->sure);
	c->sure = pgr_settings_ref(c->settings);
}

/*
 * Has something that was not read, a set_config() in an expression, reset what has a startup value? Or
 * set it to just the server's default: that the server knows, when it is asked to put values back.
 */
static bool
may_be_reset(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c, const char *name,
	const char *value)
{
	const struct pgr_settings *startup = c->track.startup;
	const char *asked = pgr_settings_value(startup, name);
	const char *known = pgr_settings_value(c->settings, name);

	return s->replies.count > 0 && asked != NULL && strcmp(value, asked) != 0 &&
		(known == NULL || strcmp(value, known) != 0) &&
		pgr_settings_at_login(pgr_server_cold(w, s), name, value);
}

void
pgr_effect_report(struct pgr_worker *w, struct pgr_server *s, const char *reported, const char *value)
{
	struct pgr_client *c = pgr_server_client(s);
	char name[NAME_MOST];
	struct pgr_err err;

	pgr_settings_fold(reported, name, sizeof(name));
	if (may_be_reset(w, s, c, name, value))
		note_restore(s, c, name);
	s->cycle.eventful = true;
	if (s->reports == NULL)
		s->reports = pgr_settings_empty();
	lose_track(s, pgr_settings_with(s->reports, name, value, &s->reports, &err), &err);
	if (s->replies.count == 0) /* unasked: the server's configuration has changed */
		take_reports(w, s, c);
}

/*
 * A ReadyForQuery behind DISCARD ALL: the startup values go in front of the next query, or, where the
 * batch has already gone on, are put back as behind a RESET.
 */
static void
end_discard(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	if (c != NULL)
		pgr_client_unpin(w, c);
	if (c != NULL && s->cycle.behind) {
		note_restore_all(s, c, true);
		take_reports(w, s, c);
		return;
	}
	pgr_settings_applied(pgr_server_slot(w, s), pgr_server_cold(w, s), pgr_settings_empty());
	pgr_settings_unref(s->reports);
	s->reports = NULL;
	if (c == NULL) {
		pgr_slot_statement_clear(pgr_server_cold(w, s));
		return;
	}
	pgr_settings_unref(c->sure);
	c->sure = pgr_settings_ref(c->settings);
	c->leg.fresh = true;
}

/* Outside of transactions the server has just what the track says. */
static void
note_applied(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);

	if (c->pin == PGR_PIN_NONE_REASON && c->restore == NULL && !c->leg.fresh &&
		atomic_load_explicit(&slot->settings, memory_order_relaxed) != c->settings->hash)
		pgr_settings_applied(slot, pgr_server_cold(w, s), c->settings);
}

void
pgr_effect_ready(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_client *c = pgr_server_client(s);
	bool idle = s->status == PGR_TXN_IDLE;

	if (c != NULL && idle && (c->track.frames > 0 || c->put_back != NULL)) {
		end_transaction(s, c, !s->doomed);
		retrack(w, s, c);
	}
	if (idle)
		s->doomed = false;
	if (s->cycle.discarded)
		end_discard(w, s, c);
	else if (c != NULL)
		take_reports(w, s, c);
	if (c != NULL && idle)
		note_applied(w, s, c);
	if (c != NULL && s->cycle.pin != PGR_PIN_NONE_REASON)
		pgr_client_pin(w, c, (enum pgr_pin)s->cycle.pin, s->cycle.pin_stays);
	s->probe = s->probe || (s->cycle.releases && c != NULL && !s->cycle.discarded);
	if (c != NULL && idle && s->replies.count <= 1 && !s->batch)
		pgr_portal_clear(c);
	memset(&s->cycle, 0, sizeof(s->cycle));
}

/* Its settings go in front of the next query, all of them. */
static void
begin_anew(struct pgr_worker *w, struct pgr_server *s, struct pgr_client *c)
{
	pgr_settings_unknown(pgr_server_slot(w, s));
	pgr_settings_unref(s->reports);
	s->reports = NULL;
	pgr_settings_unref(c->sure);
	c->sure = pgr_settings_ref(c->settings);
	c->leg.fresh = true;
}

/* What was put back in a transaction goes with it, or with a savepoint. */
static void
remember_restored(struct pgr_server *s, struct pgr_client *c)
{
	const char *name;
	const char *value;
	size_t pos = 0;
	struct pgr_err err;

	if (c->put_back == NULL)
		c->put_back = pgr_settings_empty();
	while (pgr_settings_next(c->restore->text, c->restore->len, &pos, &name, &value))
		lose_track(s, pgr_settings_with(c->put_back, name, value, &c->put_back, &err), &err);
}

void
pgr_effect_restored(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_client *c = pgr_server_client(s);

	if (s->status != PGR_TXN_IDLE)
		remember_restored(s, c);
	pgr_settings_unref(c->restore);
	c->restore = NULL;
	if (s->cycle.unrestored)
		begin_anew(w, s, c);
	else
		take_reports(w, s, c);
	if (s->status == PGR_TXN_IDLE)
		note_applied(w, s, c);
	if (s->cycle.pin != PGR_PIN_NONE_REASON)
		pgr_client_pin(w, c, (enum pgr_pin)s->cycle.pin, s->cycle.pin_stays);
	memset(&s->cycle, 0, sizeof(s->cycle));
}

bool
pgr_effect_settled(const struct pgr_server *s)
{
	return s->tuning == 0 && !s->cycle.touched && s->leg->client->restore == NULL;
}
