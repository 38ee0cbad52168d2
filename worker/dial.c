/*
 * The login to a server, step by step:
 *
 *   TOKEN     until fewer than max_server_logins are logging in at the host, and its addresses are known
 *   CONNECT   until the socket is writable; the descriptor is in the vault from the start, so that a
 *             death in the middle leaves the monitor something to close
 *   SECURE    SSLRequest, its answer and the TLS handshake, where TLS is wanted
 *   LOGIN     password exchange, parameters, key, ReadyForQuery
 *   PARTING   this way (with TLS, or without: `allow` and `prefer` try both) or at this address it will
 *             not be, and the server may not know yet: until its end was read. A connection that is to be
 *             replaced by one with other startup parameters begins here
 *
 * Where nobody serves at an address, the same slot goes on to the next one of the host, each with its
 * share of connect_timeout; but never while a backend may be left behind at the one before.
 *
 * Called by lease.c (a slot may be dialed), server.c (events) and the tick.
 */
#include "worker/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/error.h"
#include "proto/secret.h"
#include "worker/auth.h"
#include "worker/back.h"
#include "worker/home.h"
#include "worker/lease.h"
#include "worker/server.h"
#include "worker/settings.h"

#define NO_TIMEOUT (24 * 3600 * PGR_USEC_PER_SEC)

enum stage {
	STAGE_TOKEN,
	STAGE_CONNECT,
	STAGE_SECURE,
	STAGE_LOGIN,
	STAGE_PARTING,
};

struct pgr_dial {
	enum stage stage;
	int token;     /* index of the host's login token; -1: none */
	bool authenticated;
	bool proving;  /* SASL is under way */
	bool verified; /* the server has shown that it knows the password, or none was asked for */
	uint32_t reported_len;
	struct pgr_host *host; /* of the pool when the dial began, as epoch is */
	uint32_t epoch;
	pgr_usec until;  /* connect_timeout, over all addresses */
	uint32_t addrs;
	uint32_t at;     /* of addr[]: which one it is now */
	struct pgr_addr addr[PGR_HOST_ADDRS];
	bool secured;    /* this attempt asks for TLS */
	bool again;      /* the other way was tried at this address before, and failed with `first` */
	bool anew;       /* PARTING: from the beginning; */
	bool elsewhere;  /* or the next address comes next; else the other way at this one */
	struct pgr_settings *startup; /* settings that go into the startup packet */
	enum pgr_secure_stage secure;
	struct pgr_err first;
	struct pgr_scram_client scram;
	struct pgr_scram_keys keys;
};

static struct pgr_host *
host_of(struct pgr_worker *w, const struct pgr_wpool *pool)
{
	return &w->shm->seg->host[pool->view.pool->host % PGR_HOSTS_MAX];
}

/* Somebody waits for what was given back. */
static void
poke_login_waiters(struct pgr_worker *w, struct pgr_host *host)
{
	uint64_t waiters = atomic_load(&host->login_waiters);

	for (; waiters != 0; waiters &= waiters - 1) {
		unsigned k = (unsigned)__builtin_ctzll(waiters);

		if (k < w->shm->seg->workers && k != w->self)
			pgr_proc_poke(w->shm, k, false);
	}
}

static void
drop_token(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_host *host = s->dial->host;

	if (s->dial->token < 0)
		return;
	atomic_store(&host->login[s->dial->token], 0);
	s->dial->token = -1;
	poke_login_waiters(w, host);
}

static bool
take_token(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_host *host = s->dial->host;
	uint64_t most = atomic_load(&s->pool->view.pool->set.max_server_logins);

	for (uint32_t i = 0; i < PGR_MIN(most, (uint64_t)PGR_LOGINS_MAX); i++) {
		uint32_t none = 0;

		if (atomic_compare_exchange_strong(&host->login[i], &none, w->self + 1)) {
			s->dial->token = (int)i;
			return true;
		}
	}
	return false;
}

static void
dial_end(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->dial->stage == STAGE_TOKEN)
		w->dials_waiting--;
	drop_token(w, s);
	pgr_settings_unref(s->dial->startup);
	pgr_digest_wipe(s->dial, sizeof(*s->dial));
	free(s->dial);
	s->dial = NULL;
	s->deadline = 0;
}

/* What the configuration says of TLS to the server of this pool. */
static void
tls_of(struct pgr_worker *w, const struct pgr_wpool *pool, struct pgr_config_tls *ret)
{
	pgr_config_database_tls(w->config, pool->view.pool->database, ret);
}

/* The first way to try at an address. */
static void
choose_way(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_config_tls tls;

	tls_of(w, s->pool, &tls);
	s->dial->secured = tls.mode >= PGR_CONFIG_TLS_PREFER;
	s->dial->again = false;
}

/*
 * Has the server let us in, and then refused the settings of the startup packet? Invalid values, what may
 * not be set, what must not be changed.
 */
static bool
is_about_settings(const struct pgr_dial *dial, const struct pgr_err *err)
{
	static const char *const classes[] = {"22", "42", "55"};

	for (size_t i = 0; i < PGR_COUNT_OF(classes); i++)
		if (strncmp(err->sqlstate, classes[i], 2) == 0)
			return dial->authenticated && dial->startup->hash != 0;
	return false;
}

static void
fail(struct pgr_worker *w, struct pgr_server *s, const struct pgr_err *cause)
{
	const struct pgr_pool *pool = s->pool->view.pool;
	const struct pgr_host *host = s->dial->host;
	struct pgr_err both = *cause;
	const struct pgr_err *err = &both;
	bool own = is_about_settings(s->dial, cause);

	if (s->dial->again)
		snprintf(both.message, sizeof(both.message), "%.150s (before that, %s TLS: %.120s)",
			cause->message, s->dial->secured ? "without" : "with", s->dial->first.message);

	pgr_log(own ? PGR_LOG_INFO : PGR_LOG_WARN, "server.login_failed",
		"server %.255s:%u, database \"%s\", user \"%s\": %s", host->name, host->port, pool->dbname,
		pool->server_user, err->message);
	dial_end(w, s);
	pgr_lease_dial_failed(w, s, err, own);
}

enum pgr_rc
pgr_dial_connect(struct pgr_worker *w, struct pgr_server *s, int *ret_fd, struct pgr_err *err)
{
	const struct pgr_addr *addr = &pgr_server_cold(w, s)->addr;

	return pgr_sock_connect(&addr->sock.any, PGR_MIN(addr->len, (uint32_t)sizeof(addr->sock)),
		&w->keepalive, ret_fd, err);
}

static bool
deposit(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_note note = {.kind = PGR_NOTE_DEPOSIT, .slot = s->slot.n, .conn = s->conn};

	if (pgr_fdpass_send(w->vault.fd, &note, s->io.fd) != PGR_OK)
		return false;
	atomic_store(&pgr_server_slot(w, s)->deposited, 1);
	return true;
}

static void
begin_attempt(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_dial *dial = s->dial;
	struct pgr_slot *slot = pgr_server_slot(w, s);

	atomic_store(&slot->deposited, 0);
	atomic_store(&slot->home, 0);
	atomic_store(&slot->tls, 0);
	atomic_store(&slot->conn, atomic_load(&slot->conn) + 1);
	atomic_store(&slot->epoch, dial->epoch);
	atomic_store(&slot->born, w->now);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->last, 0);
	atomic_store(&slot->reason, PGR_CLOSE_SERVER);
	pgr_server_cold(w, s)->addr = dial->addr[dial->at];
	dial->stage = STAGE_CONNECT;
	dial->authenticated = dial->proving = dial->verified = false;
	dial->reported_len = 0;
	dial->secure = PGR_SECURE_ASK;
	dial->scram.binding.len = 0;
	s->deadline = w->now + (PGR_MAX(dial->until, w->now) - w->now) / (dial->addrs - dial->at);
}

/* Connects to addr[at]. FAIL: not even begun. */
static enum pgr_rc
begin_connect(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	int fd;

	begin_attempt(w, s);
	if (pgr_dial_connect(w, s, &fd, err) == PGR_FAIL)
		return PGR_FAIL;
	if (pgr_server_adopt(w, s, fd, atomic_load(&pgr_server_slot(w, s)->conn), err) != PGR_OK) {
		close(fd);
		return PGR_FAIL;
	}
	if (!deposit(w, s))
		return pgr_err_set(err, "53000", "too many descriptors on their way to the master");
	return PGR_OK;
}

/* Nobody serves at this address, or does not yet: another one of the host may do. */
static bool
is_elsewhere(const struct pgr_err *err)
{
	return strcmp(err->sqlstate, "08006") == 0 || strcmp(err->sqlstate, "57P03") == 0;
}

/* This address will not do, and no backend of ours is left there: on to the next, or the dial fails. */
static void
try_next(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	struct pgr_dial *dial = s->dial;
	struct pgr_host *host = dial->host;

	do {
		if (!is_elsewhere(err)) {
			fail(w, s, err);
			return;
		}
		pgr_host_dialed(host, &dial->addr[dial->at], w->now);
		if (dial->at + 1 >= dial->addrs) {
			fail(w, s, err);
			return;
		}
		pgr_log(PGR_LOG_INFO, "server.next_address", "server %.255s:%u: %s; its next address is tried",
			host->name, host->port, err->message);
		dial->at++;
		choose_way(w, s);
	} while (begin_connect(w, s, err) != PGR_OK);
}

/* TOKEN: goes on if it can. Whoever waits says so before it looks again. */
static void
try_begin(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_dial *dial = s->dial;
	struct pgr_host *host;
	struct pgr_err err;

	/* the epoch first: should a reload come in between, the connection is closed at its return */
	dial->epoch = atomic_load(&s->pool->view.pool->epoch);
	dial->host = host = host_of(w, s->pool);
	dial->addrs = pgr_host_addresses(host, w->now, dial->addr);
	if (dial->addrs == 0) {
		if (atomic_load(&host->failed_at) == 0)
			return;
		pgr_err_set(&err, "08006", "could not resolve the server name \"%.255s\"", host->name);
		fail(w, s, &err);
		return;
	}
	if (!take_token(w, s)) {
		atomic_fetch_or(&host->login_waiters, UINT64_C(1) << w->self);
		if (!take_token(w, s))
			return;
	}
	w->dials_waiting--;
	choose_way(w, s);
	if (begin_connect(w, s, &err) != PGR_OK)
		try_next(w, s, &err);
}

static bool
dial_new(struct pgr_worker *w, struct pgr_server *s)
{
	uint64_t timeout = atomic_load(&s->pool->view.pool->set.connect_timeout);
	struct pgr_client *c = pgr_server_client(s);
	struct pgr_err err;

	s->dial = calloc(1, sizeof(*s->dial));
	if (s->dial == NULL) {
		pgr_err_set(&err, "53200", "out of memory");
		pgr_log(PGR_LOG_ERROR, "server.memory", "%s", err.message);
		pgr_lease_dial_failed(w, s, &err, false);
		return false;
	}
	s->use = PGR_SERVER_DIALING;
	s->dial->token = -1;
	s->dial->startup = c != NULL ? pgr_settings_ref(c->track.startup) : pgr_settings_empty();
	s->deadline = s->dial->until = w->now + (timeout != 0 ? timeout : NO_TIMEOUT);
	return true;
}

static void
await_token(struct pgr_worker *w, struct pgr_server *s)
{
	s->dial->stage = STAGE_TOKEN;
	w->dials_waiting++;
	PGR_CRASHPOINT("dial.start");
	try_begin(w, s);
}

void
pgr_dial_start(struct pgr_worker *w, struct pgr_server *s)
{
	if (dial_new(w, s))
		await_token(w, s);
}

static enum pgr_rc
send_out(struct pgr_server *s, struct pgr_worker *w, const struct pgr_out *out, struct pgr_err *err)
{
	if (out->full)
		return pgr_err_set(err, "54000", "a login message is too long");
	pgr_vec_add(&w->out, out->p, out->len);
	if (pgr_stream_send(&s->io, &w->out) != PGR_OK)
		return pgr_err_set(err, "08006", "the server closed the connection during login");
	return PGR_OK;
}

static enum pgr_rc
send_startup(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	const struct pgr_pool *pool = s->pool->view.pool;
	const struct pgr_settings *own = s->dial->startup;
	char text[512 + PGR_SETTINGS_BYTES];
	struct pgr_out out;

	pgr_out_init(&out, text, sizeof(text));
	pgr_out_int32(&out, 0);
	pgr_out_int32(&out, 3u << 16);
	pgr_out_string(&out, "user");
	pgr_out_string(&out, pool->server_user);
	pgr_out_string(&out, "database");
	pgr_out_string(&out, pool->dbname);
	pgr_out_bytes(&out, own->text, own->len); /* pairs of strings here as there */
	pgr_out_byte(&out, '\0');
	if (!out.full)
		pgr_put32(text, (uint32_t)out.len);
	return send_out(s, w, &out, err);
}

static enum pgr_rc
send_password(struct pgr_worker *w, struct pgr_server *s, const char *data, size_t len, bool string,
	struct pgr_err *err)
{
	static char text[66000]; /* passwords may be long tokens */
	struct pgr_out out;
	enum pgr_rc rc;
	size_t at;

	pgr_out_init(&out, text, sizeof(text));
	at = pgr_out_begin(&out, PGR_MSG_PASSWORD);
	pgr_out_bytes(&out, data, len);
	if (string)
		pgr_out_byte(&out, '\0');
	pgr_out_end(&out, at);
	rc = send_out(s, w, &out, err);
	pgr_digest_wipe(text, out.len);
	return rc;
}

static enum pgr_rc
no_password(const struct pgr_credentials *cred, const char *what, struct pgr_err *err)
{
	pgr_err_set(err, "28P01", "the server asks for a %s password of user \"%s\", and none is known",
		what, cred->user);
	return pgr_err_hint(err, "Give the password of the user, or of the database, in clear text.");
}

static enum pgr_rc
answer_cleartext(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	struct pgr_credentials cred;

	pgr_auth_credentials(w, s->pool->view.pool, &cred);
	if (cred.password == NULL)
		return no_password(&cred, "clear text", err);
	return send_password(w, s, cred.password, strlen(cred.password), true, err);
}

static enum pgr_rc
answer_md5(struct pgr_worker *w, struct pgr_server *s, const char *salt, size_t len,
	struct pgr_err *err)
{
	char answer[PGR_SECRET_MD5_LEN + 1];
	struct pgr_credentials cred;
	struct pgr_secret secret;
	const char *text;

	if (len < PGR_SECRET_MD5_SALT)
		return pgr_err_set(err, "08P01", "the server sent a short MD5 salt");
	pgr_auth_credentials(w, s->pool->view.pool, &cred);
	text = cred.password != NULL ? cred.password : cred.md5;
	if (text == NULL || pgr_secret_parse(text, &secret, err) != PGR_OK ||
		!pgr_secret_md5_answer(&secret, cred.user, salt, answer))
		return no_password(&cred, "MD5", err);
	return send_password(w, s, answer, strlen(answer), true, err);
}

static enum pgr_rc
begin_sasl(struct pgr_worker *w, struct pgr_server *s, const char *list, size_t len,
	struct pgr_err *err)
{
	struct pgr_scram_client *scram = &s->dial->scram;
	char text[1024];
	struct pgr_out out;

	if (s->io.tls != NULL)
		scram->binding.len = pgr_tls_binding(&s->io, true, scram->binding.hash);
	if (pgr_scram_client_choose(scram, list, len, err) != PGR_OK)
		return PGR_FAIL;
	pgr_scram_client_begin(scram);
	pgr_out_init(&out, text, sizeof(text));
	pgr_out_string(&out, pgr_scram_client_mechanism(scram));
	pgr_out_int32(&out, (uint32_t)s->dial->scram.out_len);
	pgr_out_bytes(&out, s->dial->scram.out, s->dial->scram.out_len);
	s->dial->proving = true;
	return send_password(w, s, text, out.len, false, err);
}

/* Keys for the server's salt: remembered ones, those that a client proved, or derived now. */
static enum pgr_rc
find_keys(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	struct pgr_dial *dial = s->dial;
	struct pgr_credentials cred;
	const char *text;

	pgr_auth_credentials(w, s->pool->view.pool, &cred);
	text = cred.password != NULL ? cred.password : cred.scram;
	if (text == NULL)
		return no_password(&cred, "SCRAM", err);
	memset(&dial->keys, 0, sizeof(dial->keys));
	if (pgr_auth_recall(w, cred.user, text, &dial->scram.wanted, &dial->keys) &&
		dial->keys.has_client)
		return PGR_OK;
	if (pgr_scram_client_keys(&dial->scram, cred.password, &dial->keys, err) != PGR_OK)
		return PGR_FAIL;
	if (cred.password != NULL)
		pgr_auth_remember(w, cred.user, text, &dial->keys);
	return PGR_OK;
}

static enum pgr_rc
continue_sasl(struct pgr_worker *w, struct pgr_server *s, const char *data, size_t len,
	struct pgr_err *err)
{
	struct pgr_dial *dial = s->dial;

	if (!dial->proving)
		return pgr_err_set(err, "08P01", "the server continued a SASL exchange that was not begun");
	if (pgr_scram_client_challenge(&dial->scram, data, len, err) != PGR_OK ||
		find_keys(w, s, err) != PGR_OK)
		return PGR_FAIL;
	pgr_scram_client_prove(&dial->scram, &dial->keys);
	return send_password(w, s, dial->scram.out, dial->scram.out_len, false, err);
}

static enum pgr_rc
on_authentication(struct pgr_worker *w, struct pgr_server *s, const char *body, size_t len,
	struct pgr_err *err)
{
	struct pgr_dial *dial = s->dial;
	uint32_t kind = len >= 4 ? pgr_get32(body) : UINT32_MAX;

	body += 4;
	len -= PGR_MIN(len, 4);
	switch (kind) {
	case PGR_AUTH_OK:
		if (dial->proving && !dial->verified)
			return pgr_err_set(err, "28P01", "the server did not prove that it knows the password");
		dial->authenticated = true;
		return PGR_OK;
	case PGR_AUTH_CLEARTEXT:
		return answer_cleartext(w, s, err);
	case PGR_AUTH_MD5:
		return answer_md5(w, s, body, len, err);
	case PGR_AUTH_SASL:
		return begin_sasl(w, s, body, len, err);
	case PGR_AUTH_SASL_CONTINUE:
		return continue_sasl(w, s, body, len, err);
	case PGR_AUTH_SASL_FINAL:
		if (!dial->proving)
			return pgr_err_set(err, "08P01", "the server ended a SASL exchange that was not begun");
		if (pgr_scram_client_verify(&dial->scram, body, len, err) != PGR_OK)
			return PGR_FAIL;
		dial->verified = true;
		return PGR_OK;
	default:
		return pgr_err_set(err, "0A000", "the server asks for an authentication method that is not "
			"supported (%u)", kind);
	}
}

static void
keep_parameter(struct pgr_worker *w, struct pgr_server *s, const char *body, size_t len)
{
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);
	ptrdiff_t name = pgr_wire_string(body, body + len);

	if (name < 0 || pgr_wire_string(body + name + 1, body + len) < 0 ||
		s->dial->reported_len + len > PGR_REPORTED_BYTES)
		return;
	memcpy(cold->reported + s->dial->reported_len, body, len);
	s->dial->reported_len += (uint32_t)len;
}

static enum pgr_rc
keep_key(struct pgr_worker *w, struct pgr_server *s, const char *body, size_t len,
	struct pgr_err *err)
{
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);

	if (len < 8 || len > 4 + PGR_KEY_MAX)
		return pgr_err_set(err, "08P01", "the server sent a cancel key of %zu bytes", len);
	atomic_store(&pgr_server_slot(w, s)->pid, pgr_get32(body));
	memcpy(cold->key, body + 4, len - 4);
	cold->key_len = (uint32_t)(len - 4);
	return PGR_OK;
}

/* Is it still the server that it was? The monitor closes connections to the one before. */
static void
compare_report(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);
	struct pgr_pool *pool = s->pool->view.pool;
	uint64_t digest = pgr_hash64(&w->shm->seg->hash_key, cold->reported, cold->reported_len) | 1;

	if (s->dial->startup->hash != 0) {
		/* with these settings it reports something else anyway: nothing is learnt */
		atomic_store(&pgr_server_slot(w, s)->report, atomic_load(&pool->report));
		return;
	}
	atomic_store(&pgr_server_slot(w, s)->report, digest);
	if (!pgr_pool_reported(pool, digest, w->now))
		return;
	pgr_log(PGR_LOG_INFO, "server.changed", "server %.255s:%u, database \"%s\", user \"%s\" reports "
		"other parameters than at the login before; older connections are closed",
		s->dial->host->name, s->dial->host->port, pool->dbname, pool->server_user);
	pgr_proc_mail(w->shm, PGR_PROC_MONITOR, s->pool->view.id);
	pgr_proc_poke(w->shm, PGR_PROC_MONITOR, false);
}

static void
succeed(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_slot *slot = pgr_server_slot(w, s);
	struct pgr_slot_cold *cold = pgr_server_cold(w, s);

	cold->reported_len = s->dial->reported_len;
	atomic_store(&slot->startup, s->dial->startup->hash);
	compare_report(w, s);
	pgr_host_dialed(s->dial->host, &cold->addr, 0);
	pgr_settings_applied(slot, cold, pgr_settings_empty());
	pgr_slot_statement_clear(cold);
	atomic_store(&slot->unnamed, 0);
	atomic_store(&slot->since, w->now);
	pgr_back_forget(w, s);
	s->told_fatal = false;
	dial_end(w, s);
	PGR_CRASHPOINT("dial.done");
	pgr_lease_dialed(w, s);
}

/* One whole message. OK and s->dial == NULL: logged in. */
static enum pgr_rc
on_message(struct pgr_worker *w, struct pgr_server *s, const char *p, size_t size, struct pgr_err *err)
{
	const char *body = p + PGR_WIRE_HEADER;
	size_t len = size - PGR_WIRE_HEADER;
	struct pgr_error e;

	switch (p[0]) {
	case PGR_MSG_AUTHENTICATION:
		return on_authentication(w, s, body, len, err);
	case PGR_MSG_ERROR:
		pgr_error_parse(body, len, &e);
		return pgr_error_to_err(&e, err);
	case PGR_MSG_NOTICE:
	case PGR_MSG_NEGOTIATE:
		return PGR_OK;
	default:
		break;
	}
	if (!s->dial->authenticated)
		return pgr_err_set(err, "08P01", "unexpected message '%c' of the server before authentication",
			p[0] >= ' ' && p[0] <= '~' ? p[0] : '?');
	switch (p[0]) {
	case PGR_MSG_PARAMETER_STATUS:
		keep_parameter(w, s, body, len);
		return PGR_OK;
	case PGR_MSG_BACKEND_KEY:
		return keep_key(w, s, body, len, err);
	case PGR_MSG_READY:
		succeed(w, s);
		return PGR_OK;
	default:
		return pgr_err_set(err, "08P01", "unexpected message of the server during login");
	}
}

static enum pgr_rc
feed(struct pgr_worker *w, struct pgr_server *s, size_t len, size_t *ret_used, struct pgr_err *err)
{
	size_t at = 0;

	while (s->dial != NULL && len - at >= PGR_WIRE_HEADER) {
		size_t size = pgr_wire_size(w->buffer + at);

		if (size == 0 || size > PGR_BUFFER / 2)
			return pgr_err_set(err, "08P01", "the server sent a login message of invalid length");
		if (len - at < size)
			break;
		if (on_message(w, s, w->buffer + at, size, err) != PGR_OK)
			return PGR_FAIL;
		at += size;
	}
	*ret_used = at;
	return PGR_OK;
}

/* What was kept goes before the next read; nothing of it may be left when the slot becomes IDLE. */
static void
take_rest(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->in_len > 0)
		memcpy(w->buffer, s->in, s->in_len);
	free(s->in);
	s->in = NULL;
	s->in_len = 0;
}

static bool
keep_rest(struct pgr_worker *w, struct pgr_server *s, size_t used, size_t have)
{
	if (used == have)
		return true;
	s->in = malloc(have - used);
	if (s->in == NULL)
		return false;
	memcpy(s->in, w->buffer + used, have - used);
	s->in_len = (uint32_t)(have - used);
	return true;
}

/*
 * May another attempt, with TLS or without, have better luck? As libpq has it for `allow` and `prefer`:
 * TLS that does not come about, or a server whose rules refuse this way.
 */
static bool
other_way(struct pgr_worker *w, struct pgr_server *s, const struct pgr_err *err)
{
	struct pgr_config_tls tls;

	tls_of(w, s->pool, &tls);
	if (s->dial->again || s->dial->authenticated)
		return false;
	if (s->dial->stage == STAGE_LOGIN && strcmp(err->sqlstate, "28000") != 0)
		return false;
	return s->dial->secured ? tls.mode == PGR_CONFIG_TLS_PREFER && s->dial->stage >= STAGE_SECURE
				: tls.mode == PGR_CONFIG_TLS_ALLOW && s->dial->stage == STAGE_LOGIN;
}

/* The place is ours until the server has closed: there is never one connection more. */
static void
parting(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_dial *dial = s->dial;
	struct pgr_err err = dial->first;
	enum pgr_rc rc;
	size_t n;

	s->io.readable = true;
	do
		rc = pgr_stream_read(&s->io, w->buffer, PGR_BUFFER, &n);
	while (rc == PGR_OK);
	if (rc != PGR_CLOSED)
		return;
	if (dial->anew) {
		dial->anew = false;
		PGR_CRASHPOINT("dial.anew.parted");
		pgr_server_forget(w, s);
		await_token(w, s);
		return;
	}
	if (dial->elsewhere || begin_connect(w, s, &err) != PGR_OK)
		try_next(w, s, &err);
}

/* Ends the connection at hand; what comes next begins at its end. */
static void
part(struct pgr_worker *w, struct pgr_server *s)
{
	s->dial->stage = STAGE_PARTING;
	if (pgr_home_is_ours(s))
		pgr_home_end(w, s);
	pgr_tls_end(&s->io);
	shutdown(s->io.fd, SHUT_WR);
	parting(w, s);
}

/* What has failed may go another way: with TLS or without, or at the next address. */
static void
give_up(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	struct pgr_dial *dial = s->dial;
	bool other = other_way(w, s, err);
	bool more = dial->stage == STAGE_SECURE && dial->at + 1 < dial->addrs;

	if (!other && !more) {
		try_next(w, s, err);
		return;
	}
	dial->first = *err;
	dial->elsewhere = !other;
	if (other) {
		dial->again = true;
		dial->secured = !dial->secured;
	}
	part(w, s);
}

void
pgr_dial_anew(struct pgr_worker *w, struct pgr_server *s)
{
	if (!dial_new(w, s))
		return;
	s->dial->anew = true;
	s->dial->host = host_of(w, s->pool);
	if (!pgr_home_is_ours(s)) { /* else goodbye is said under TLS */
		pgr_wire_bare(pgr_vec_room(&w->out, PGR_WIRE_HEADER), PGR_MSG_TERMINATE);
		(void)pgr_stream_send(&s->io, &w->out);
	}
	part(w, s);
}

static void
read_login(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_err err;

	while (s->dial != NULL && s->io.readable) {
		size_t have = s->in_len;
		size_t used = 0;
		size_t n;
		enum pgr_rc rc;

		take_rest(w, s);
		rc = pgr_stream_read(&s->io, w->buffer + have, PGR_BUFFER - have, &n);
		if (rc == PGR_AGAIN)
			return;
		if (rc == PGR_CLOSED)
			pgr_err_set(&err, "08006", "the server closed the connection during login");
		if (rc != PGR_OK || feed(w, s, have + n, &used, &err) != PGR_OK) {
			give_up(w, s, &err);
			return;
		}
		/* logged in: what stands behind ReadyForQuery can only be unasked for; the slot is IDLE */
		if (s->dial == NULL)
			return;
		if (!keep_rest(w, s, used, have + n)) {
			pgr_err_set(&err, "53200", "out of memory");
			fail(w, s, &err);
			return;
		}
	}
}

enum pgr_rc
pgr_dial_secure(struct pgr_worker *w, struct pgr_wpool *pool, struct pgr_stream *stream,
	enum pgr_secure_stage *stage, struct pgr_err *err)
{
	const char *host = host_of(w, pool)->name;
	struct pgr_config_tls tls;
	struct ssl_ctx_st *ctx;
	struct pgr_err cause;
	enum pgr_rc rc;

	tls_of(w, pool, &tls);
	ctx = pgr_secure_context(&w->contexts, &tls, w->secrets, err);
	if (ctx == NULL)
		return PGR_FAIL;
	rc = pgr_secure_step(stage, stream, ctx, tls.mode, host, &cause);
	if (rc == PGR_OK)
		pgr_stat_add(&w->stats->server_tls_handshakes, 1);
	if (rc == PGR_CLOSED && tls.mode >= PGR_CONFIG_TLS_REQUIRE)
		rc = pgr_err_set(&cause, "08006", "the server has no TLS, and server_tls requires it");
	if (rc == PGR_FAIL) {
		pgr_stat_add(&w->stats->server_tls_failures, 1);
		pgr_err_set(err, cause.sqlstate, "server \"%.100s\": %.200s", host, cause.message);
	}
	return rc;
}

static enum pgr_rc
connected(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	int e = pgr_sock_error(s->io.fd);

	if (e != 0) {
		errno = e;
		return pgr_err_sys(
			err, "08006", "could not connect to server \"%.100s\"", s->dial->host->name);
	}
	s->dial->stage = s->dial->secured ? STAGE_SECURE : STAGE_LOGIN;
	s->deadline = s->dial->until;
	return s->dial->secured ? PGR_OK : send_startup(w, s, err);
}

/* Where the server has no TLS and need not have, the login goes on in clear. */
static enum pgr_rc
secure(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err)
{
	enum pgr_rc rc = pgr_dial_secure(w, s->pool, &s->io, &s->dial->secure, err);

	if (rc == PGR_AGAIN || rc == PGR_FAIL)
		return rc;
	s->dial->stage = STAGE_LOGIN;
	if (rc == PGR_OK && pgr_home_begin(w, s, err) != PGR_OK)
		return PGR_FAIL;
	return send_startup(w, s, err);
}

void
pgr_dial_event(struct pgr_worker *w, struct pgr_server *s)
{
	enum pgr_rc rc = PGR_OK;
	struct pgr_err err;

	if (s->dial->stage == STAGE_PARTING) {
		parting(w, s);
		return;
	}
	if (pgr_stream_blocked(&s->io))
		(void)pgr_stream_drain(&s->io);
	if (s->dial->stage == STAGE_CONNECT)
		rc = connected(w, s, &err);
	if (rc == PGR_OK && s->dial->stage == STAGE_SECURE)
		rc = secure(w, s, &err);
	if (rc == PGR_OK)
		read_login(w, s);
	else if (rc != PGR_AGAIN)
		give_up(w, s, &err);
}

static void
time_out(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_host *host = s->dial->host;
	struct pgr_err err;

	pgr_err_set(&err, "08006", "could not connect to server \"%.100s\" within connect_timeout",
		host->name);
	switch (s->dial->stage) {
	case STAGE_TOKEN:
		fail(w, s, &err);
		break;
	case STAGE_CONNECT:
		try_next(w, s, &err);
		break;
	case STAGE_SECURE:
	case STAGE_LOGIN:
	case STAGE_PARTING:
		/* it may have a backend for us: the monitor sees to its end, the next dial goes elsewhere */
		pgr_host_dialed(host, &pgr_server_cold(w, s)->addr, w->now);
		fail(w, s, &err);
		break;
	}
}

static void
tick_one(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->use == PGR_SERVER_DIALING && w->now >= s->deadline)
		time_out(w, s);
	else if (s->use == PGR_SERVER_DIALING && s->dial->stage == STAGE_TOKEN)
		try_begin(w, s);
	else if (s->use == PGR_SERVER_SETTLING && s->deadline != 0 && w->now >= s->deadline)
		pgr_lease_close(w, s, PGR_CLOSE_TIMEOUT);
}

void
pgr_dial_tick(struct pgr_worker *w)
{
	for (uint32_t i = 0; i < w->servers_top; i++)
		if (w->server[i] != NULL && w->server[i]->deadline != 0)
			tick_one(w, w->server[i]);
}
