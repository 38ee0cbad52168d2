/*
 * The login of a client. STARTUP reads the startup packet, SHAKING is the TLS handshake that an
 * SSLRequest asks for or that comes by itself, AUTH exchanges passwords (auth.c), POOL waits until the
 * monitor has made the pool if it is new, GREET has a server connection take the client's settings and
 * tell what it reports, READY is front.c's. What was told to one client is remembered, so that the next
 * with the same settings is greeted without a server, as long as some connection shows that it is still
 * that server.
 *
 * Nothing that a client gives reaches a server before it is authenticated.
 */
#include "worker/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "proto/params.h"
#include "proto/startup.h"
#include "worker/auth.h"
#include "worker/back.h"
#include "worker/cancel.h"
#include "worker/catalog.h"
#include "worker/client.h"
#include "worker/console.h"
#include "worker/front.h"
#include "worker/lease.h"
#include "worker/server.h"
#include "worker/settings.h"

#define GREETINGS 1024
#define FOUND 32768 /* remembered places of pools, by hash of their names */
#define MESSAGE_MOST 65536u /* one message of a login */

struct pgr_login {
	struct pgr_auth auth;
	char user[PGR_NAME_MAX];
	char database[PGR_NAME_MAX];
	char pool_user[PGR_NAME_MAX]; /* who logs in to the server: the database's user, or the client's */
	pgr_usec begun;
	bool asked_tls;
	bool asked_gss;
	bool direct; /* TLS from the first byte on, without an SSLRequest */
	int ask;            /* index of the request to the monitor; -1: none */
	pgr_client_id cancelled; /* CANCEL: whose cancel is under way */
};

#define NOBODYS UINT64_MAX /* used once: in session mode it is the server's own */

/* What clients of a pool with these settings are told: the settings as the server spells them. */
static struct greeting {
	uint32_t pool;
	uint32_t serial;
	uint32_t epoch;
	uint64_t report; /* digest of the rest of what that server reported */
	uint64_t asked; /* hash of the settings as the client gave them, or NOBODYS */
	struct pgr_settings *settings; /* NULL: the cell is empty */
	bool strings; /* the server's own standard_conforming_strings is off */
	bool opaque;  /* its own client_encoding is one in which texts cannot be read */
	uint32_t told_len;
	char *told; /* ParameterStatus messages of what that server reported, under these settings */
} greetings[GREETINGS];

static uint32_t found[FOUND]; /* pool + 1 */

void
pgr_login_free(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->login == NULL)
		return;
	if (c->login->ask >= 0)
		w->asking[c->login->ask] = NULL;
	pgr_digest_wipe(c->login, sizeof(*c->login));
	free(c->login);
	c->login = NULL;
}

static void
refuse(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err)
{
	pgr_stat_add(&w->stats->login_failures, 1);
	if (strcmp(err->sqlstate, "53300") == 0)
		pgr_stat_add(&w->stats->refused_limit, 1);
	pgr_log(PGR_LOG_INFO, "client.refused", "user \"%s\", database \"%s\": %s",
		c->login != NULL ? c->login->user : "", c->login != NULL ? c->login->database : "",
		err->message);
	pgr_client_fatal(w, c, err);
}

static struct greeting *
greeting_cell(const struct pgr_client *c)
{
	return &greetings[(c->track.startup->hash ^ (uint64_t)c->leg.pool->view.id.n * 40503u) % GREETINGS];
}

static bool
greeting_fits(const struct greeting *g, const struct pgr_client *c)
{
	const struct pgr_pool *pool = c->leg.pool->view.pool;

	return g->settings != NULL && g->pool == c->leg.pool->view.id.n &&
		g->asked == c->track.startup->hash &&
		g->serial == atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->serial,
				     memory_order_relaxed) &&
		g->epoch == atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->epoch,
				    memory_order_relaxed) &&
		g->report == atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)&pool->report,
				     memory_order_relaxed);
}

/* What the client is told of its settings, the same for all that ask for the same. NULL: no memory. */
static char *
tell_settings(const struct pgr_client *c, const struct pgr_slot_cold *cold, uint32_t *ret_len)
{
	static struct pgr_vec vec;
	char reported[PGR_REPORTED_BYTES]; /* another process may write there meanwhile */
	uint32_t len = PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES);
	char *told;

	memcpy(reported, cold->reported, len);
	pgr_vec_reset(&vec);
	pgr_settings_report(&vec, reported, len, c->settings, NULL);
	told = malloc(vec.scratch_used + 1);
	if (told != NULL)
		memcpy(told, vec.scratch, vec.scratch_used);
	*ret_len = (uint32_t)vec.scratch_used;
	return told;
}

static void
keep_greeting(struct pgr_worker *w, struct pgr_client *c, pgr_slot_id from)
{
	const struct pgr_slot_cold *cold = pgr_shm_cold(w->shm, from);
	uint32_t len = PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES);
	struct greeting *g = greeting_cell(c);
	uint32_t told_len;
	char *told = tell_settings(c, cold, &told_len);

	pgr_settings_unref(g->settings);
	free(g->told);
	*g = (struct greeting){0};
	if (told == NULL)
		return;
	*g = (struct greeting){.pool = c->leg.pool->view.id.n,
		.serial = atomic_load(&c->leg.pool->view.pool->serial),
		.epoch = atomic_load(&c->leg.pool->view.pool->epoch),
		.report = atomic_load(&pgr_shm_slot(w->shm, from)->report),
		.asked = c->mode == PGR_MODE_SESSION ? NOBODYS : c->track.startup->hash,
		.settings = pgr_settings_ref(c->settings),
		.strings = pgr_settings_said_strings(cold->reported, len) == PGR_SAID_YES,
		.opaque = pgr_settings_said_encoding(cold->reported, len) == PGR_SAID_YES,
		.told_len = told_len,
		.told = told};
}

void
pgr_login_put_key(struct pgr_worker *w, struct pgr_client *c, struct pgr_vec *vec)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);
	uint32_t server_pid = 0;
	char *body;

	rec->key_len = c->minor >= 2 ? PGR_CLIENT_KEY : 4;
	pgr_random_bytes(rec->key, rec->key_len);
	body = pgr_wire_header(pgr_vec_room(vec, PGR_WIRE_HEADER + 4 + rec->key_len),
		PGR_MSG_BACKEND_KEY, 4u + rec->key_len);
	if (c->leg.server != NULL && c->mode == PGR_MODE_SESSION)
		server_pid = atomic_load(&pgr_server_slot(w, c->leg.server)->pid);
	rec->pid = server_pid != 0 ? server_pid : c->rec.n + 1;
	pgr_put32(body, rec->pid);
	memcpy(body + 4, rec->key, rec->key_len);
}

static void
log_login(const struct pgr_client *c)
{
	char suite[64] = "";

	if (c->io.tls != NULL)
		pgr_tls_suite_name(pgr_tls_suite(&c->io), suite, sizeof(suite));
	pgr_log(PGR_LOG_INFO, "client.login", "user \"%s\", database \"%s\"%s%s%s%.200s", c->login->user,
		c->login->database, suite[0] != '\0' ? ", " : "", suite,
		suite[0] != '\0' && pgr_tls_server_name(&c->io)[0] != '\0' ? ", server name " : "",
		suite[0] != '\0' ? pgr_tls_server_name(&c->io) : "");
}

static void
greet(struct pgr_worker *w, struct pgr_client *c)
{
	const struct greeting *g = greeting_cell(c);
	struct pgr_vec *vec = &w->back;
	pgr_usec took = w->now - c->login->begun;
	struct pgr_err err;

	if (g->settings == NULL) {
		pgr_err_set(&err, "53200", "out of memory");
		pgr_client_fatal(w, c, &err);
		return;
	}
	pgr_put32(pgr_wire_header(pgr_vec_room(vec, 9), PGR_MSG_AUTHENTICATION, 4), PGR_AUTH_OK);
	pgr_settings_unref(c->settings);
	pgr_settings_unref(c->sure);
	c->settings = pgr_settings_ref(g->settings);
	c->sure = pgr_settings_ref(g->settings);
	pgr_track_fini(&c->track);
	pgr_track_init(&c->track, pgr_settings_ref(g->settings));
	c->strings = g->strings;
	c->opaque = g->opaque;
	c->defaults = (g->strings ? PGR_STATE_STRINGS : 0) ^ (g->opaque ? PGR_STATE_OPAQUE : 0);
	pgr_client_tell_name(w, c);
	pgr_vec_add(vec, g->told, g->told_len);
	pgr_login_put_key(w, c, vec);
	pgr_wire_ready(pgr_vec_room(vec, PGR_WIRE_HEADER + 1), PGR_TXN_IDLE);
	(void)pgr_stream_send(&c->io, vec);
	c->state = PGR_SESSION_READY;
	c->since = w->now;
	c->xact_start = c->query_start = 0;
	pgr_client_mark(w, c, PGR_CLIENT_IDLE);
	pgr_stat_add(&c->leg.pool->stats->client_logins, 1);
	pgr_histogram_add(&w->stats->login, took);
	if (w->config->log_connections)
		log_login(c);
	pgr_login_free(w, c);
}

/* A server connection is there: has it taken the settings, and what does it report? */
static void
greet_from_server(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (s->settings_failed) {
		pgr_lease_close(w, s, PGR_CLOSE_DIRTY);
		pgr_client_finish(w, c);
		return;
	}
	if (s->replies.count > 0)
		return;
	if (c->leg.fresh) { /* they did not come to their end */
		pgr_login_resume(w, c);
		return;
	}
	keep_greeting(w, c, s->slot);
	greet(w, c);
	if (c->state != PGR_SESSION_READY)
		return;
	pgr_back_release(w, s);
	if (c->state == PGR_SESSION_READY)
		pgr_front_resume(w, c);
}

/*
 * The client's settings, but those that the server reports as the server shows them now: that is how
 * it spells what the client gave where it reports nothing. NULL: what it shows is not known.
 */
static struct pgr_settings *
spelled_by_silence(
	const struct pgr_slot *slot, const struct pgr_slot_cold *cold, struct pgr_settings *own)
{
	size_t len = PGR_MIN(cold->reported_len, (uint32_t)PGR_REPORTED_BYTES);
	struct pgr_settings *made;
	const char *reported;
	const char *value;
	struct pgr_err err;
	size_t pos = 0;

	if (pgr_settings_are_unknown(slot) || atomic_load(&slot->startup) != 0)
		return NULL; /* in the latter case they are none of ours */
	made = pgr_settings_ref(own);
	while (pgr_settings_next(cold->reported, len, &pos, &reported, &value)) {
		char name[64];
		const char *set;

		pgr_settings_fold(reported, name, sizeof(name));
		set = pgr_settings_get(
			cold->settings, PGR_MIN(cold->settings_len, (uint32_t)PGR_SETTINGS_BYTES), name);
		if (pgr_settings_value(own, name) == NULL ||
			pgr_settings_with(made, name, set != NULL ? set : value, &made, &err) == PGR_OK)
			continue;
		pgr_settings_unref(made);
		return NULL;
	}
	return made;
}

/*
 * Sends the client's settings. A server reports what has changed, and nothing where what was set is
 * what it had, spelled otherwise: DateStyle=ISO is ISO, MDY there already. So silence is assumed,
 * until ParameterStatus says otherwise.
 */
static void
send_settings(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_slot *slot = pgr_server_slot(w, c->leg.server);
	struct pgr_slot_cold *cold = pgr_server_cold(w, c->leg.server);
	struct pgr_settings *spelled = spelled_by_silence(slot, cold, c->settings);

	pgr_front_begin_lease(w, c);
	if (spelled == NULL)
		return;
	pgr_settings_unref(c->settings);
	c->settings = spelled;
	if (!pgr_settings_are_unknown(slot))
		pgr_settings_applied(slot, cold, spelled);
}

void
pgr_login_resume(struct pgr_worker *w, struct pgr_client *c)
{
	send_settings(w, c);
	(void)pgr_stream_send(&c->leg.server->io, &w->out);
	greet_from_server(w, c);
}

void
pgr_login_server_said(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_server *s = c->leg.server;

	if (c->state == PGR_SESSION_GREET) {
		greet_from_server(w, c);
		return;
	}
	/* settings that a server took before were refused by this one: nothing of the client may go on */
	pgr_lease_close(w, s, PGR_CLOSE_DIRTY);
	pgr_client_finish(w, c);
}

/* Settings that every server takes and spells as they are given. */
static bool
plain_settings(const struct pgr_settings *s)
{
	const char *name;
	const char *value;
	size_t pos = 0;

	while (pgr_settings_next(s->text, s->len, &pos, &name, &value)) {
		if (strcmp(name, "application_name") != 0 || strlen(value) >= PGR_NAME_MAX)
			return false;
		for (; *value != '\0'; value++)
			if (*value < ' ' || *value > '~')
				return false;
	}
	return true;
}

/*
 * A live connection that reported what the newest one did, whoever leases it. Without one nobody
 * knows what serves there by now.
 */
static bool
find_witness(struct pgr_worker *w, const struct pgr_client *c, pgr_slot_id *ret)
{
	struct pgr_pool *pool = c->leg.pool->view.pool;
	uint32_t places = PGR_MIN(atomic_load(&pool->places), (uint32_t)PGR_PLACES_MAX);

	for (uint32_t p = 0; p < places; p++) {
		struct pgr_slot *slot = pgr_pool_slot(w->shm, pool, p, ret);
		enum pgr_slot_state state = pgr_word_state(atomic_load(&slot->word));

		if ((state == PGR_SLOT_IDLE || state == PGR_SLOT_LEASED) &&
			atomic_load(&slot->epoch) == atomic_load(&pool->epoch) &&
			atomic_load(&slot->report) == atomic_load(&pool->report))
			return true;
	}
	return false;
}

/* With plain settings what the witness reported at its login will do. */
static bool
greet_from(struct pgr_worker *w, struct pgr_client *c, pgr_slot_id witness)
{
	struct pgr_slot *slot = pgr_shm_slot(w->shm, witness);
	uint32_t conn = atomic_load(&slot->conn);

	if (!plain_settings(c->track.startup))
		return false;
	keep_greeting(w, c, witness);
	/* a dial that began meanwhile may have overwritten what was read */
	if (atomic_load(&slot->conn) == conn)
		return true;
	greeting_cell(c)->serial--;
	return false;
}

static void
enter_greeting(struct pgr_worker *w, struct pgr_client *c)
{
	pgr_slot_id witness;
	struct pgr_err err;

	c->state = PGR_SESSION_GREET;
	/* so a full pool keeps nobody from logging in, but for session mode, where the session is the server's */
	if (c->mode != PGR_MODE_SESSION && find_witness(w, c, &witness) &&
		(greeting_fits(greeting_cell(c), c) || greet_from(w, c, witness))) {
		greet(w, c);
		pgr_front_resume(w, c);
		return;
	}
	(void)pgr_stream_send(&c->io, &w->back);
	switch (pgr_lease_want(w, &c->leg, &err)) {
	case PGR_OK:
		pgr_login_resume(w, c);
		break;
	case PGR_FAIL:
		refuse(w, c, &err);
		break;
	case PGR_AGAIN:
	case PGR_CLOSED:
		break;
	}
}

/* Clients of all workers in pools of this database. */
static uint64_t
clients_of_database(struct pgr_worker *w, const char *database)
{
	uint32_t top = pgr_shm_pools_used(w->shm);
	uint64_t count = 0;

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *pool = pgr_shm_pool(w->shm, (pgr_pool_id){n});

		if (atomic_load(&pool->state) == PGR_POOL_FREE ||
			strncmp(pool->database, database, PGR_NAME_MAX) != 0)
			continue;
		for (uint32_t k = 0; k < w->shm->seg->workers; k++)
			count += atomic_load(&pool->clients[k]);
	}
	return count;
}

/*
 * Clients of all workers that logged in with this name, whatever their pools log in with. Goes over
 * all records: only users with a limit pay for that, once a login.
 */
static uint64_t
clients_of_user(struct pgr_worker *w, const char *user)
{
	uint32_t per = w->shm->seg->clients_per_worker;
	uint64_t count = 0;

	for (uint32_t k = 0; k < w->shm->seg->workers; k++) {
		uint32_t used = PGR_MIN(atomic_load(&pgr_shm_proc(w->shm, k)->records_used), per);

		for (uint32_t i = 0; i < used; i++) {
			struct pgr_client_rec *rec = pgr_shm_client(w->shm, (pgr_client_id){k * per + i});

			count += atomic_load(&rec->counted) != 0 &&
				strncmp(rec->user, user, PGR_NAME_MAX) == 0;
		}
	}
	return count;
}

/* Counted first, then compared: the limit is never exceeded, whatever others do meanwhile. */
static enum pgr_rc
check_limits(struct pgr_worker *w, struct pgr_client *c, struct pgr_err *err)
{
	struct pgr_pool *pool = c->leg.pool->view.pool;
	const struct pgr_config_user *user = pgr_config_find_user(w->config, c->login->user);
	uint64_t db_limit = atomic_load(&pool->set.max_client_connections);
	uint64_t user_limit = user != NULL ? user->max_client_connections : 0;

	if (db_limit != 0 && clients_of_database(w, pool->database) > db_limit) {
		pgr_err_set(err, "53300", "too many connections for database \"%s\"", pool->database);
		return pgr_err_hint(err, "max_client_connections of the database is %llu.",
			(unsigned long long)db_limit);
	}
	if (user_limit != 0 && clients_of_user(w, c->login->user) > user_limit) {
		pgr_err_set(err, "53300", "too many connections for role \"%s\"", c->login->user);
		return pgr_err_hint(err, "max_client_connections of the user is %llu.",
			(unsigned long long)user_limit);
	}
	return PGR_OK;
}

static uint32_t *
found_cell(struct pgr_worker *w, const struct pgr_login *login)
{
	char name[2 * PGR_NAME_MAX];
	struct pgr_out out;

	pgr_out_init(&out, name, sizeof(name));
	pgr_out_string(&out, login->database);
	pgr_out_string(&out, login->pool_user);
	return &found[pgr_hash64(&w->shm->seg->hash_key, name, out.len) % FOUND];
}

/* A wpool that is used for another pool than before begins with clean counters. */
static void
renew(struct pgr_wpool *pool)
{
	uint32_t serial = atomic_load(&pool->view.pool->serial);

	if (pool->serial == serial)
		return;
	pool->serial = serial;
	memset(pool->stats, 0, sizeof(*pool->stats));
	pgr_catalog_forget(pool);
}

/*
 * Joins the pool with this id if it is that of the client: counted in, then looked at, while the
 * monitor, taking it apart, writes the state, then looks at the count.
 */
static bool
join(struct pgr_worker *w, struct pgr_client *c, pgr_pool_id id)
{
	struct pgr_wpool *pool = pgr_lease_pool(w, id);
	struct pgr_pool *p = pgr_shm_pool(w->shm, id);

	if (pool == NULL)
		return false;
	pool->clients++;
	atomic_store(&p->clients[w->self], pool->clients);
	if (atomic_load(&p->state) == PGR_POOL_LIVE &&
		strncmp(p->database, c->login->database, PGR_NAME_MAX) == 0 &&
		strncmp(p->user, c->login->pool_user, PGR_NAME_MAX) == 0) {
		renew(pool);
		c->leg.pool = pool;
		atomic_store(&pgr_client_rec(w, c)->pool, id.n);
		return true;
	}
	pool->clients--;
	atomic_store(&p->clients[w->self], pool->clients);
	return false;
}

/*
 * Mode and tracking are those of the login until the client ends, whatever is configured meanwhile:
 * what it has prepared and set so far was handled by them.
 */
static void
keep_mode(struct pgr_client *c)
{
	struct pgr_pool *pool = c->leg.pool->view.pool;

	c->mode = (uint8_t)atomic_load(&pool->set.pool_mode);
	c->tracks = c->mode != PGR_MODE_SESSION && atomic_load(&pool->set.prepared_statements) != 0;
	c->kills = atomic_load(&pool->kills);
}

static void
joined(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	keep_mode(c);
	*found_cell(w, c->login) = c->leg.pool->view.id.n + 1;
	if (check_limits(w, c, &err) != PGR_OK)
		refuse(w, c, &err);
	else
		enter_greeting(w, c);
}

static struct pgr_ask *
ask_at(struct pgr_worker *w, int i)
{
	return &pgr_shm_proc(w->shm, w->self)->asks[i];
}

/* Asks the monitor for the pool; when all requests are taken, the tick tries again. */
static void
ask_for_pool(struct pgr_worker *w, struct pgr_client *c)
{
	for (int i = 0; i < PGR_ASKS; i++) {
		struct pgr_ask *ask = ask_at(w, i);

		if (atomic_load(&ask->state) == PGR_ASK_POSTED || w->asking[i] != NULL)
			continue;
		ask->kind = PGR_ASK_POOL;
		memcpy(ask->database, c->login->database, PGR_NAME_MAX);
		memcpy(ask->user, c->login->pool_user, PGR_NAME_MAX);
		atomic_store(&ask->state, PGR_ASK_POSTED);
		w->asking[i] = c;
		c->login->ask = i;
		pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
		return;
	}
}

static void
poll_pool(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_ask *ask = c->login->ask >= 0 ? ask_at(w, c->login->ask) : NULL;
	uint32_t state = ask != NULL ? atomic_load(&ask->state) : PGR_ASK_NONE;
	pgr_pool_id id;
	struct pgr_err err;

	if (state == PGR_ASK_POSTED)
		return;
	if (ask == NULL) {
		ask_for_pool(w, c);
		return;
	}
	id.n = ask->pool;
	pgr_err_set(&err, "3D000", "%.*s", (int)sizeof(ask->text) - 1, ask->text);
	w->asking[c->login->ask] = NULL;
	c->login->ask = -1;
	atomic_store(&ask->state, PGR_ASK_NONE);
	if (state == PGR_ASK_FAILED)
		refuse(w, c, &err);
	else if (id.n < PGR_POOLS_MAX && join(w, c, id))
		joined(w, c);
	else
		ask_for_pool(w, c); /* it was taken apart just then */
}

void
pgr_login_on_poke(struct pgr_worker *w)
{
	for (int i = 0; i < PGR_ASKS; i++)
		if (w->asking[i] != NULL && w->asking[i]->state == PGR_SESSION_CONSOLE)
			pgr_console_poll(w, w->asking[i]);
		else if (w->asking[i] != NULL)
			poll_pool(w, w->asking[i]);
}

void
pgr_login_poll(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->state == PGR_SESSION_POOL)
		poll_pool(w, c);
	else if (c->state == PGR_SESSION_CANCEL &&
		(atomic_load(&pgr_shm_client(w->shm, c->login->cancelled)->cancel) == 0 ||
			w->now - c->since > w->config->cancel_timeout))
		pgr_client_finish(w, c);
}

/* No configured database has its name; a pattern that matches it means others. */
static void
enter_console(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	if (pgr_console_begin(w, c, c->login->user, &err) != PGR_OK) {
		refuse(w, c, &err);
		return;
	}
	pgr_login_free(w, c);
	pgr_console_event(w, c);
}

/*
 * The client is who it says it is. The last answer to it is still in w->back: it goes with the greeting
 * or the refusal in one send, or by itself before anything that takes time or others may have a part in.
 */
static void
authenticated(struct pgr_worker *w, struct pgr_client *c)
{
	const struct pgr_config_db *db = pgr_config_find_db(w->config, c->login->database);
	struct pgr_client_rec *rec = pgr_client_rec(w, c);
	struct pgr_login *login = c->login;
	struct pgr_err err;
	uint32_t at;

	if (pgr_console_named(login->database)) {
		enter_console(w, c);
		return;
	}
	if (db == NULL) {
		pgr_err_set(&err, "3D000", "database \"%s\" does not exist", login->database);
		refuse(w, c, &err);
		return;
	}
	snprintf(rec->user, sizeof(rec->user), "%s", login->user);
	atomic_store(&rec->counted, 1);
	snprintf(login->pool_user, sizeof(login->pool_user), "%s",
		pgr_config_is_null(db->user) ? login->user : pgr_config_text(w->config, db->user));
	at = *found_cell(w, login);
	c->state = PGR_SESSION_POOL;
	if (at != 0 && join(w, c, (pgr_pool_id){at - 1})) {
		joined(w, c);
		return;
	}
	(void)pgr_stream_send(&c->io, &w->back);
	ask_for_pool(w, c);
}

static enum pgr_rc
add_setting(struct pgr_client *c, const char *name, const char *value, struct pgr_err *err)
{
	if (pgr_params_check_name(name, err) != PGR_OK)
		return PGR_FAIL;
	return pgr_settings_with(c->track.startup, name, value, &c->track.startup, err);
}

static enum pgr_rc
take_settings(
	struct pgr_worker *w, struct pgr_client *c, const struct pgr_startup *s, struct pgr_err *err)
{
	struct pgr_startup_options it;
	const char *name;
	const char *value;
	size_t pos = 0;
	enum pgr_rc rc = PGR_OK;

	if (s->options != NULL) {
		char *scratch = malloc(strlen(s->options) + 1);

		if (scratch == NULL)
			return pgr_err_set(err, "53200", "out of memory");
		pgr_startup_options_init(&it, s->options, scratch);
		do {
			rc = pgr_startup_options_next(&it, &name, &value, err);
			if (rc == PGR_OK && name != NULL)
				rc = add_setting(c, name, value, err);
		} while (rc == PGR_OK && name != NULL);
		free(scratch);
	}
	while (rc == PGR_OK && pgr_startup_next(s, &pos, &name, &value))
		rc = add_setting(c, name, value, err);
	pgr_settings_unref(c->settings);
	c->settings = pgr_settings_ref(c->track.startup);
	pgr_client_tell_name(w, c);
	return rc;
}

static enum pgr_rc
check_admission(struct pgr_worker *w, const struct pgr_client *c, const struct pgr_startup *s,
	struct pgr_err *err)
{
	uint64_t count = 0;

	if (atomic_load(&w->shm->seg->stopping) >= PGR_STOP_GRACEFUL)
		return pgr_err_set(err, "57P03", "the database system is shutting down");
	for (uint32_t k = 0; k < w->shm->seg->workers; k++)
		count += atomic_load(&pgr_shm_proc(w->shm, k)->clients);
	if (count > w->config->max_clients) {
		pgr_err_set(err, "53300", "sorry, too many clients already");
		return pgr_err_hint(err, "max_clients is %u.", w->config->max_clients);
	}
	if (c->io.fd >= w->client_fds) { /* a new descriptor is the lowest that is free */
		pgr_err_set(err, "53300", "sorry, too many clients already");
		return pgr_err_hint(err, "This process can have %d open files for them: raise LimitNOFILE (ulimit -n).",
			w->client_fds);
	}
	if (s->replication != PGR_REPLICATION_NONE)
		return pgr_err_set(err, "0A000", "replication connections are not supported yet");
	return PGR_OK;
}

static bool
by_unix_socket(struct pgr_worker *w, const struct pgr_client *c)
{
	return pgr_client_rec(w, c)->port == 0;
}

/* What the connection itself tells of the client. */
static void
note_tls(struct pgr_client *c)
{
	struct pgr_auth *auth = &c->login->auth;

	if (c->io.tls == NULL)
		return;
	auth->binding.len = pgr_tls_binding(&c->io, false, auth->binding.hash);
	auth->certified = pgr_tls_peer_name(&c->io, auth->common_name, sizeof(auth->common_name));
}

static enum pgr_rc
check_tls(struct pgr_worker *w, const struct pgr_client *c, struct pgr_err *err)
{
	enum pgr_config_tls_mode mode = w->config->client_tls.mode;
	const struct pgr_auth *auth = &c->login->auth;

	if (mode < PGR_CONFIG_TLS_REQUIRE || by_unix_socket(w, c))
		return PGR_OK;
	if (c->io.tls == NULL) {
		pgr_err_set(err, "28000", "connection requires TLS");
		return pgr_err_hint(err, "Connect with sslmode=require, or another that uses TLS.");
	}
	if (mode >= PGR_CONFIG_TLS_VERIFY_CA && !auth->certified)
		return pgr_err_set(err, "28000", "connection requires a valid client certificate");
	return mode == PGR_CONFIG_TLS_VERIFY_FULL ? pgr_auth_check_name(auth, c->login->user, err) : PGR_OK;
}

static void
answer(struct pgr_worker *w, struct pgr_client *c, enum pgr_rc rc, struct pgr_out *out,
	const struct pgr_err *err)
{
	if (out->len > 0 && !out->full)
		pgr_vec_add(&w->back, out->p, out->len);
	if (rc == PGR_FAIL) {
		refuse(w, c, err);
		return;
	}
	if (rc == PGR_OK) {
		authenticated(w, c);
		return;
	}
	(void)pgr_stream_send(&c->io, &w->back);
	c->state = PGR_SESSION_AUTH;
}

static void
begin_session(struct pgr_worker *w, struct pgr_client *c, const struct pgr_startup *s)
{
	char text[4096];
	struct pgr_out out;
	struct pgr_err err;
	enum pgr_rc rc;

	pgr_out_init(&out, text, sizeof(text));
	c->minor = (uint8_t)s->minor;
	if (s->negotiate)
		pgr_startup_negotiate(s, &out);
	/* names longer than PostgreSQL's are cut, as PostgreSQL does */
	snprintf(c->login->user, PGR_NAME_MAX, "%.63s", s->user);
	snprintf(c->login->database, PGR_NAME_MAX, "%.63s", s->database);
	note_tls(c);
	rc = check_admission(w, c, s, &err);
	if (rc == PGR_OK)
		rc = check_tls(w, c, &err);
	if (rc == PGR_OK)
		rc = take_settings(w, c, s, &err);
	if (rc == PGR_OK)
		rc = pgr_auth_begin(w, &c->login->auth, c->login->user, &out, &err);
	answer(w, c, rc, &out, &err);
}

static void
begin_cancel(struct pgr_worker *w, struct pgr_client *c, const struct pgr_startup *s)
{
	if (!pgr_cancel_request(
		    w, s->pid, (const uint8_t *)s->key, s->key_len, &c->login->cancelled)) {
		pgr_client_finish(w, c); /* like a server: no word of whether there was such a key */
		return;
	}
	c->state = PGR_SESSION_CANCEL;
	c->since = w->now;
	pgr_login_poll(w, c);
}

/*
 * SSLRequest, GSSENCRequest: once each, and nothing may follow before the answer: what somebody else
 * has put there in clear must not be taken for the client's (CVE-2021-23214). False: refused.
 */
static bool
may_ask(struct pgr_worker *w, struct pgr_client *c, bool *again, bool more)
{
	struct pgr_err err;

	if (*again || more) {
		pgr_err_set(&err, "08P01", *again ? "encryption was requested twice"
				: "received unencrypted data after an encryption request");
		refuse(w, c, &err);
		return false;
	}
	*again = true;
	return true;
}

static void
say(struct pgr_worker *w, struct pgr_client *c, const char *byte)
{
	pgr_vec_add(&w->back, byte, 1);
	(void)pgr_stream_send(&c->io, &w->back);
}

static void
shaking_failed(struct pgr_worker *w, struct pgr_client *c, enum pgr_rc rc, const struct pgr_err *err)
{
	pgr_stat_add(&w->stats->tls_failures, 1);
	if (rc == PGR_CLOSED) { /* a probe, or a client that does not like us: it knows why */
		pgr_client_drop(w, c);
		return;
	}
	pgr_log(PGR_LOG_INFO, "client.tls", "%s", err->message);
	pgr_tls_end(&c->io); /* the alert is on its way; there is nobody to tell more to */
	pgr_client_finish(w, c);
}

static void
shaken(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	if (c->login->direct && !pgr_tls_alpn(&c->io)) {
		pgr_err_set(&err, "08P01", "TLS without an SSLRequest, and without ALPN \"postgresql\"");
		shaking_failed(w, c, PGR_FAIL, &err);
		return;
	}
	pgr_stat_add(&w->stats->tls_handshakes, 1);
	if (pgr_tls_resumed(&c->io))
		pgr_stat_add(&w->stats->tls_resumed, 1);
	atomic_store(&pgr_client_rec(w, c)->tls, pgr_tls_suite(&c->io));
	c->state = PGR_SESSION_STARTUP;
}

static void
shaking_step(struct pgr_worker *w, struct pgr_client *c, enum pgr_rc rc, const struct pgr_err *err)
{
	if (rc == PGR_OK)
		shaken(w, c);
	else if (rc != PGR_AGAIN)
		shaking_failed(w, c, rc, err);
}

static void
begin_tls(struct pgr_worker *w, struct pgr_client *c, const char *early, size_t len)
{
	struct pgr_err err;
	enum pgr_rc rc;

	c->state = PGR_SESSION_SHAKING;
	rc = pgr_tls_accept(&c->io, w->client_tls, early, len, &err);
	shaking_step(w, c, rc, &err);
}

static void
on_ssl_request(struct pgr_worker *w, struct pgr_client *c, bool more)
{
	if (!may_ask(w, c, &c->login->asked_tls, more))
		return;
	if (w->client_tls == NULL || by_unix_socket(w, c)) {
		say(w, c, "N");
		return;
	}
	say(w, c, "S");
	begin_tls(w, c, NULL, 0);
}

/* A ClientHello instead of a packet: as a length it would be beyond every limit. */
static bool
is_hello(const struct pgr_client *c)
{
	return c->state == PGR_SESSION_STARTUP && c->in_len > 0 && c->in[0] == 0x16 && c->io.tls == NULL &&
		!c->login->asked_tls;
}

static void
on_hello(struct pgr_worker *w, struct pgr_client *c)
{
	uint32_t len = c->in_len;

	if (w->client_tls == NULL || by_unix_socket(w, c)) {
		pgr_stat_add(&w->stats->protocol_violations, 1);
		pgr_client_drop(w, c);
		return;
	}
	c->login->asked_tls = c->login->direct = true;
	c->in_len = 0;
	begin_tls(w, c, c->in, len);
}

/* One whole startup packet. */
static void
on_packet(struct pgr_worker *w, struct pgr_client *c, const char *packet, size_t size, bool more)
{
	struct pgr_startup s;
	struct pgr_err err;

	if (pgr_startup_parse(packet, size, &s, &err) != PGR_OK) {
		pgr_stat_add(&w->stats->protocol_violations, 1);
		if (pgr_startup_is_cancel(packet, size))
			pgr_client_finish(w, c); /* nobody is told anything about cancel keys */
		else
			refuse(w, c, &err);
		return;
	}
	switch (s.kind) {
	case PGR_STARTUP_SSL:
		on_ssl_request(w, c, more);
		break;
	case PGR_STARTUP_GSS:
		if (may_ask(w, c, &c->login->asked_gss, more))
			say(w, c, "N");
		break;
	case PGR_STARTUP_CANCEL:
		begin_cancel(w, c, &s);
		break;
	case PGR_STARTUP_SESSION:
		begin_session(w, c, &s);
		break;
	}
}

static void
on_password(struct pgr_worker *w, struct pgr_client *c, const char *p, uint32_t size)
{
	char text[4096];
	struct pgr_out out;
	struct pgr_err err;
	enum pgr_rc rc;

	pgr_out_init(&out, text, sizeof(text));
	if (p[0] != PGR_MSG_PASSWORD)
		rc = pgr_err_set(&err, "08P01", "expected password response, got message type %d",
			(unsigned char)p[0]);
	else
		rc = pgr_auth_answer(
			w, &c->login->auth, p + PGR_WIRE_HEADER, size - PGR_WIRE_HEADER, &out, &err);
	answer(w, c, rc, &out, &err);
}

/* How long is what stands at p? 0: too little to tell. FAIL: it is nothing that we read. */
static enum pgr_rc
message_size(struct pgr_worker *w, const struct pgr_client *c, const char *p, size_t have,
	size_t *ret_size, struct pgr_err *err)
{
	*ret_size = 0;
	if (c->state == PGR_SESSION_STARTUP)
		return have < 4 ? PGR_OK
				: pgr_startup_size(p, w->config->max_startup_packet, ret_size, err);
	if (have < PGR_WIRE_HEADER)
		return PGR_OK;
	*ret_size = pgr_wire_size(p);
	if (*ret_size == 0 || *ret_size > MESSAGE_MOST)
		return pgr_err_set(err, "08P01", "invalid password packet size");
	return PGR_OK;
}

static void
dispatch(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t size)
{
	if (c->state == PGR_SESSION_STARTUP)
		on_packet(w, c, p, size, c->in_len > 0);
	else
		on_password(w, c, p, (uint32_t)size);
}

/* Handles the next whole message in c->in; false when there is none. */
static bool
next_message(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;
	size_t size;
	char *p;

	if (c->state != PGR_SESSION_STARTUP && c->state != PGR_SESSION_AUTH)
		return false;
	if (is_hello(c)) {
		on_hello(w, c);
		return false;
	}
	if (message_size(w, c, c->in, c->in_len, &size, &err) != PGR_OK) {
		pgr_stat_add(&w->stats->protocol_violations, 1);
		refuse(w, c, &err);
		return false;
	}
	if (size == 0 || c->in_len < size)
		return false;
	/* taken out of the input first: a client that is READY after it has the rest read by front.c */
	p = malloc(size);
	if (p == NULL) {
		pgr_client_drop(w, c);
		return false;
	}
	memcpy(p, c->in, size);
	c->in_len -= (uint32_t)size;
	memmove(c->in, c->in + size, c->in_len);
	dispatch(w, c, p, size);
	pgr_digest_wipe(p, size);
	free(p);
	return c->in_len > 0;
}

static bool
append(struct pgr_client *c, const char *p, size_t n)
{
	if (c->in_len + n > c->in_cap) {
		char *bigger = realloc(c->in, c->in_len + n);

		if (bigger == NULL)
			return false;
		c->in = bigger;
		c->in_cap = (uint32_t)(c->in_len + n);
	}
	memcpy(c->in + c->in_len, p, n);
	c->in_len += (uint32_t)n;
	return true;
}

static bool
begin(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->login != NULL)
		return true;
	c->login = calloc(1, sizeof(*c->login));
	if (c->login == NULL)
		return false;
	c->login->ask = -1;
	c->login->begun = w->now;
	return true;
}

/* Goes on with the handshake, or reads once and goes over what has come. False: nothing more came. */
static bool
turn(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;
	enum pgr_rc rc;
	size_t n;

	if (c->state == PGR_SESSION_SHAKING) {
		rc = pgr_tls_shake(&c->io, &err);
		shaking_step(w, c, rc, &err);
		return rc != PGR_AGAIN;
	}
	rc = pgr_stream_read(&c->io, w->buffer, PGR_BUFFER / 4, &n);
	if (rc == PGR_AGAIN)
		return false;
	if (rc == PGR_CLOSED || !begin(w, c) || !append(c, w->buffer, n)) {
		pgr_client_drop(w, c);
		return false;
	}
	while (next_message(w, c))
		continue;
	return true;
}

static bool
logging_in(const struct pgr_client *c)
{
	return c->state == PGR_SESSION_STARTUP || c->state == PGR_SESSION_SHAKING ||
		c->state == PGR_SESSION_AUTH;
}

void
pgr_login_event(struct pgr_worker *w, struct pgr_client *c)
{
	if (pgr_stream_blocked(&c->io) && pgr_stream_drain(&c->io) == PGR_CLOSED) {
		pgr_client_drop(w, c);
		return;
	}
	while (c->io.readable && logging_in(c) && turn(w, c))
		continue;
}
