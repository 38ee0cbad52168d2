/*
 * What the console asks of others. RELOAD and SHUTDOWN go to the master, one at a time of each worker,
 * since it answers into one place for each. PAUSE, RESUME, KILL and RECONNECT go to the monitor, which
 * alone writes to pools; a PAUSE then waits until the servers have gone. Called by console.c, and by the
 * loop when something was answered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/fdpass.h"
#include "worker/client.h"
#include "worker/console.h"

/* A pause that nobody stands for any more. */
struct lift {
	struct pgr_list all; /* worker->lifts */
	int after;           /* index of the request that pauses, if that may still be unread; -1: none */
	char database[PGR_NAME_MAX];
};

static struct pgr_ask *
ask_at(struct pgr_worker *w, int i)
{
	return &pgr_shm_proc(w->shm, w->self)->asks[i];
}

/* The index of the request, or -1: all are in use. c: NULL: nobody waits for the answer. */
static int
post(struct pgr_worker *w, struct pgr_client *c, enum pgr_ask_kind kind, const char *database)
{
	for (int i = 0; i < PGR_ASKS; i++) {
		struct pgr_ask *ask = ask_at(w, i);

		if (atomic_load(&ask->state) == PGR_ASK_POSTED || w->asking[i] != NULL)
			continue;
		ask->kind = kind;
		snprintf(ask->database, sizeof(ask->database), "%s", database);
		ask->user[0] = '\0';
		atomic_store(&ask->state, PGR_ASK_POSTED);
		w->asking[i] = c;
		pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
		return i;
	}
	return -1;
}

/* -- the master */

static enum pgr_command
command_of(const struct pgr_verb *verb)
{
	if (verb->kind == PGR_VERB_RELOAD)
		return PGR_COMMAND_RELOAD;
	return verb->graceful ? PGR_COMMAND_STOP : PGR_COMMAND_STOP_FAST;
}

static void
try_master(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_note note = {.kind = PGR_NOTE_COMMAND, .conn = command_of(&c->console->verb)};

	if (w->command_sent || pgr_fdpass_send(w->vault.fd, &note, -1) != PGR_OK)
		return; /* again when it has answered, or at the next tick */
	w->command_sent = true;
	if (c->console->verb.kind == PGR_VERB_RELOAD) {
		w->commanding = c;
		c->console->wait = PGR_CONSOLE_MASTER;
	} else {
		pgr_console_done(w, c); /* before anybody is sent away */
	}
}

static void
tell_answer(struct pgr_worker *w, struct pgr_client *c, const struct pgr_answer *answer)
{
	const char *text = answer->text;
	const char *end = text + strnlen(text, sizeof(answer->text));
	struct pgr_err err;

	if (answer->ok == 0)
		pgr_err_set(&err, "F0000", "%.*s", (int)strcspn(text, "\n"), text);
	/* of an error the first line is the message */
	if (answer->ok == 0)
		text += strcspn(text, "\n");
	while (text < end) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			pgr_console_notice(c, text, len);
		text += len + 1;
	}
	if (answer->ok != 0) {
		pgr_console_done(w, c);
		return;
	}
	pgr_err_hint(&err, "The configuration that was in force stays.");
	pgr_console_failed(w, c, &err);
}

void
pgr_console_on_result(struct pgr_worker *w)
{
	struct pgr_client *c = w->commanding;

	w->command_sent = false;
	w->commanding = NULL;
	if (c != NULL)
		tell_answer(w, c, &w->shm->seg->answer[w->self]);
	for (struct pgr_list *at = w->clients.next; at != &w->clients && !w->command_sent; at = at->next) {
		struct pgr_client *next = PGR_LIST_ENTRY(at, struct pgr_client, all);

		if (next->state == PGR_SESSION_CONSOLE && next->console->wait == PGR_CONSOLE_TURN)
			try_master(w, next);
	}
}

/* -- the monitor */

static enum pgr_ask_kind
kind_of(enum pgr_verb_kind verb)
{
	return verb == PGR_VERB_PAUSE    ? PGR_ASK_PAUSE
		: verb == PGR_VERB_RESUME ? PGR_ASK_RESUME
		: verb == PGR_VERB_KILL   ? PGR_ASK_KILL
					  : PGR_ASK_RECONNECT;
}

static void
try_post(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_console *console = c->console;

	console->ask = post(w, c, kind_of(console->verb.kind), console->verb.database);
	if (console->ask >= 0)
		console->wait = PGR_CONSOLE_MONITOR;
}

static bool
empty(struct pgr_worker *w, const struct pgr_pool *pool)
{
	uint32_t places = PGR_MIN(atomic_load(&((struct pgr_pool *)(uintptr_t)pool)->places), PGR_PLACES_MAX);
	pgr_slot_id id;

	for (uint32_t p = 0; p < places; p++) {
		enum pgr_slot_state state =
			pgr_word_state(atomic_load(&pgr_pool_slot(w->shm, pool, p, &id)->word));

		if (state != PGR_SLOT_FREE && state != PGR_SLOT_BARRED)
			return false;
	}
	return true;
}

/* Has every server connection of the database gone? database: "" for all. */
static bool
drained(struct pgr_worker *w, const char *database)
{
	uint32_t top = pgr_shm_pools_used(w->shm);

	for (uint32_t n = 0; n < top; n++) {
		const struct pgr_pool *pool = pgr_shm_pool(w->shm, (pgr_pool_id){n});

		if (atomic_load(&((struct pgr_pool *)(uintptr_t)pool)->state) != PGR_POOL_FREE &&
			(database[0] == '\0' || strncmp(pool->database, database, PGR_NAME_MAX) == 0) &&
			!empty(w, pool))
			return false;
	}
	return true;
}

/* Whose request waits for the pause fails after queue_timeout: so long a pause may take to begin. */
static pgr_usec
most_wait(struct pgr_worker *w, const char *database)
{
	const struct pgr_config_db *db = pgr_config_find_db(w->config, database);

	return db != NULL ? db->pooling.queue_timeout : w->config->defaults.queue_timeout;
}

static void
poll_drain(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_console *console = c->console;
	pgr_usec most = most_wait(w, console->verb.database);
	struct pgr_err err;

	if (drained(w, console->verb.database)) {
		console->pauses = false;
		pgr_console_done(w, c);
	} else if (most != 0 && w->now - console->since >= most) {
		pgr_console_order_drop(w, c);
		pgr_err_set(&err, "57014", "transactions did not end within queue_timeout (%llu ms)",
			(unsigned long long)(most / PGR_USEC_PER_MSEC));
		pgr_err_hint(&err, "Nothing is paused. SHOW SERVERS tells which are active; KILL ends them.");
		pgr_console_failed(w, c, &err);
	}
}

static void
poll_monitor(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_console *console = c->console;
	struct pgr_ask *ask = ask_at(w, console->ask);
	uint32_t state = atomic_load(&ask->state);
	struct pgr_err err;

	if (state == PGR_ASK_POSTED)
		return;
	console->pauses = console->verb.kind == PGR_VERB_PAUSE && state == PGR_ASK_DONE && ask->pool != 0;
	pgr_err_set(&err, "55000", "%.*s", (int)sizeof(ask->text) - 1, ask->text);
	snprintf(err.sqlstate, sizeof(err.sqlstate), "%.5s", ask->sqlstate);
	w->asking[console->ask] = NULL;
	console->ask = -1;
	atomic_store(&ask->state, PGR_ASK_NONE);
	if (state != PGR_ASK_DONE) {
		pgr_console_failed(w, c, &err);
	} else if (console->verb.kind == PGR_VERB_PAUSE) {
		console->wait = PGR_CONSOLE_DRAIN;
		poll_drain(w, c);
	} else {
		pgr_console_done(w, c);
	}
}

/* -- pauses that are taken back */

static bool
try_lift(struct pgr_worker *w, const struct lift *lift)
{
	if (lift->after >= 0 && atomic_load(&ask_at(w, lift->after)->state) == PGR_ASK_POSTED)
		return false;
	return post(w, NULL, PGR_ASK_RESUME, lift->database) >= 0;
}

static void
lift_pause(struct pgr_worker *w, const char *database, int after)
{
	struct lift lift = {.after = after};
	struct lift *kept;

	memcpy(lift.database, database, sizeof(lift.database));
	if (try_lift(w, &lift))
		return;
	kept = malloc(sizeof(*kept));
	if (kept == NULL) {
		pgr_log(PGR_LOG_ERROR, "console", "out of memory: database \"%s\" stays paused", database);
		return;
	}
	*kept = lift;
	pgr_list_init(&kept->all);
	pgr_list_push(&w->lifts, &kept->all);
}

void
pgr_console_order_tick(struct pgr_worker *w)
{
	struct pgr_list *next;

	for (struct pgr_list *at = w->lifts.next; at != &w->lifts; at = next) {
		struct lift *lift = PGR_LIST_ENTRY(at, struct lift, all);

		next = at->next;
		if (!try_lift(w, lift))
			continue;
		pgr_list_remove(&lift->all);
		free(lift);
	}
}

/* -- all of them */

enum pgr_rc
pgr_console_order(struct pgr_worker *w, struct pgr_client *c, struct pgr_err *err)
{
	struct pgr_console *console = c->console;

	if (console->verb.kind == PGR_VERB_RELOAD || console->verb.kind == PGR_VERB_SHUTDOWN) {
		console->wait = PGR_CONSOLE_TURN;
		try_master(w, c);
		return PGR_AGAIN;
	}
	if (pgr_console_named(console->verb.database))
		return pgr_err_set(err, "0A000", "%s is not for the console itself",
			pgr_verb_tag(console->verb.kind));
	if (strchr(console->verb.database, '*') != NULL) {
		pgr_err_set(err, "0A000", "\"%s\" is a pattern", console->verb.database);
		return pgr_err_hint(err, "Name the databases as clients do.");
	}
	console->wait = PGR_CONSOLE_POST;
	try_post(w, c);
	return PGR_AGAIN;
}

void
pgr_console_order_poll(struct pgr_worker *w, struct pgr_client *c)
{
	switch (c->console->wait) {
	case PGR_CONSOLE_TURN:
		try_master(w, c);
		break;
	case PGR_CONSOLE_POST:
		try_post(w, c);
		break;
	case PGR_CONSOLE_MONITOR:
		poll_monitor(w, c);
		break;
	case PGR_CONSOLE_DRAIN:
		poll_drain(w, c);
		break;
	case PGR_CONSOLE_IDLE:
	case PGR_CONSOLE_MASTER:
		break;
	}
}

void
pgr_console_order_drop(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_console *console = c->console;
	bool asked = console->wait == PGR_CONSOLE_MONITOR && console->verb.kind == PGR_VERB_PAUSE;

	if (w->commanding == c)
		w->commanding = NULL;
	if (console->ask >= 0)
		w->asking[console->ask] = NULL;
	if (asked || (console->wait == PGR_CONSOLE_DRAIN && console->pauses))
		lift_pause(w, console->verb.database, console->ask);
	console->ask = -1;
	console->pauses = false;
	console->wait = PGR_CONSOLE_IDLE;
}
