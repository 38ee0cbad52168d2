/*
 * Reads what workers and monitor are changing right now: words are loaded once and believed, all
 * else is decoration that may be a moment old or torn, so lengths are cut and indexes are wrapped.
 * Only records that were used once are read: untouched pages of the segment cost nothing until
 * somebody looks at them. Called by show.c.
 */
#include "worker/show_live.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "net/tls.h"
#include "shm/totals.h"
#include "worker/pin.h"

/* Server connections of a pool by what they do. */
struct tally {
	uint64_t active;
	uint64_t idle;
	uint64_t canceled; /* idle, and a cancel request is under way */
	uint64_t used;
	uint64_t login;
	uint64_t closing;
};

static const char *const pool_states[] = {
	[PGR_POOL_FREE] = "free",
	[PGR_POOL_LIVE] = "live",
	[PGR_POOL_DRAINING] = "draining",
	[PGR_POOL_RETIRING] = "retiring",
};

static const char *const client_states[] = {
	[PGR_CLIENT_FREE] = "free",
	[PGR_CLIENT_LOGIN] = "login",
	[PGR_CLIENT_IDLE] = "idle",
	[PGR_CLIENT_WAITING] = "waiting",
	[PGR_CLIENT_ACTIVE] = "active",
};

/* An empty text for an index that there is not. */
#define NAME_OF(names, i) ((i) < PGR_COUNT_OF(names) ? (names)[i] : "")

const char *
pgr_show_live_mode(uint64_t mode)
{
	static const char *const modes[] = {
		[PGR_MODE_SESSION] = "session",
		[PGR_MODE_TRANSACTION] = "transaction",
		[PGR_MODE_STATEMENT] = "statement",
	};

	return NAME_OF(modes, mode);
}

static uint64_t
elapsed(uint64_t now, uint64_t since)
{
	return since != 0 && since < now ? now - since : 0;
}

/* A monotonic instant as wall clock; 0 stays 0. */
static uint64_t
to_wall(uint64_t since)
{
	return since == 0 ? 0 : pgr_clock_wall() - elapsed(pgr_clock_now(), since);
}

static void
tally_word(struct tally *tally, pgr_word word)
{
	switch (pgr_word_state(word)) {
	case PGR_SLOT_IDLE:
		*(pgr_word_pin(word) == PGR_PIN_NONE ? &tally->idle : &tally->canceled) += 1;
		break;
	case PGR_SLOT_LEASED:
		tally->active++;
		break;
	case PGR_SLOT_GIVEN:
	case PGR_SLOT_ASKED:
		tally->used++;
		break;
	case PGR_SLOT_DIALING:
		tally->login++;
		break;
	case PGR_SLOT_CLOSING:
		tally->closing++;
		break;
	case PGR_SLOT_FREE:
	case PGR_SLOT_BARRED:
		break;
	}
}

static uint32_t
places_of(const struct pgr_pool *pool)
{
	return PGR_MIN(atomic_load(&pool->places), PGR_PLACES_MAX);
}

static struct tally
tally_pool(struct pgr_shm *shm, const struct pgr_pool *pool)
{
	struct tally tally = {0};
	uint32_t places = places_of(pool);
	pgr_slot_id id;

	for (uint32_t place = 0; place < places; place++)
		tally_word(&tally, atomic_load(&pgr_pool_slot(shm, pool, place, &id)->word));
	return tally;
}

/* PgBouncer's columns, then ours. All arguments may be blank. */
static void
pool_row(struct pgr_row *row, const struct pgr_pool *pool, const struct pgr_total *total,
	const struct tally *tally, const char *balance, const char *server)
{
	uint64_t wait = elapsed(pgr_clock_now(), total->oldest_wait);
	uint32_t state = atomic_load(&pool->state);

	pgr_row_name(row, "database", pool->database, sizeof(pool->database));
	pgr_row_name(row, "user", pool->user, sizeof(pool->user));
	pgr_row_int4(row, "cl_active", total->cl_active + total->cl_idle);
	pgr_row_int4(row, "cl_waiting", total->cl_waiting);
	pgr_row_int4(row, "cl_active_cancel_req", 0);
	pgr_row_int4(row, "cl_waiting_cancel_req", 0);
	pgr_row_int4(row, "sv_active", tally->active);
	pgr_row_int4(row, "sv_active_cancel", 0);
	pgr_row_int4(row, "sv_being_canceled", tally->canceled);
	pgr_row_int4(row, "sv_idle", tally->idle);
	pgr_row_int4(row, "sv_used", tally->used);
	pgr_row_int4(row, "sv_tested", 0);
	pgr_row_int4(row, "sv_login", tally->login);
	pgr_row_int4(row, "maxwait", wait / PGR_USEC_PER_SEC);
	pgr_row_int4(row, "maxwait_us", wait % PGR_USEC_PER_SEC);
	pgr_row_text(
		row, "pool_mode", pgr_show_live_mode(atomic_load(&pool->set.pool_mode)));
	pgr_row_text(row, "load_balance_hosts", balance);
	pgr_row_int4(row, "cl_idle", total->cl_idle);
	pgr_row_int4(row, "sv_closing", tally->closing);
	pgr_row_text(row, "server", server);
	pgr_row_int4(row, "pool_size", atomic_load(&pool->set.pool_size));
	pgr_row_int4(row, "reserve_pool_size", atomic_load(&pool->set.reserve_pool_size));
	pgr_row_text(row, "state", NAME_OF(pool_states, state));
	pgr_row_name(row, "last_failure", pool->failure.message,
		atomic_load(&pool->failure.at) != 0 ? sizeof(pool->failure.message) : 0);
}

static const char *
balance_of(const struct pgr_show_source *source, const struct pgr_pool *pool)
{
	static const char *const names[] = {
		[PGR_CONFIG_ROUND_ROBIN] = "round_robin",
		[PGR_CONFIG_RANDOM] = "random",
		[PGR_CONFIG_LEAST_CONNECTIONS] = "least_connections",
	};
	char name[PGR_NAME_MAX + 1] = "";
	const struct pgr_config_db *db = NULL;

	memcpy(name, pool->database, PGR_NAME_MAX);
	if (source->config != NULL)
		db = pgr_config_find_db(source->config, name);
	return db == NULL ? "" : NAME_OF(names, (unsigned)db->pooling.balance);
}

static const struct pgr_host *
host_of(struct pgr_shm *shm, const struct pgr_pool *pool)
{
	return &shm->seg->host[pool->host % PGR_HOSTS_MAX];
}

static void
server_text(struct pgr_shm *shm, const struct pgr_pool *pool, char *buf, size_t size)
{
	const struct pgr_host *host = host_of(shm, pool);
	char name[sizeof(host->name) + 1];

	pgr_utf8_copy(name, host->name, sizeof(host->name));
	snprintf(buf, size, strchr(name, ':') != NULL ? "[%s]:%u" : "%s:%u", name, host->port);
}

void
pgr_show_live_pools(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	static const struct pgr_pool no_pool;
	uint32_t top = pgr_shm_pools_used(source->shm);
	struct pgr_total total = {0};
	struct tally tally = {0};
	char server[300];

	pool_row(pgr_rows_next(rows), &no_pool, &total, &tally, "", "");
	rows->columns(rows);
	for (uint32_t n = 0; n < top; n++) {
		const struct pgr_pool *pool = pgr_shm_pool(source->shm, (pgr_pool_id){n});

		if (atomic_load(&pool->state) == PGR_POOL_FREE)
			continue;
		memset(&total, 0, sizeof(total));
		pgr_totals_pool(source->shm->stats, n, &total);
		tally = tally_pool(source->shm, pool);
		server_text(source->shm, pool, server, sizeof(server));
		pool_row(pgr_rows_next(rows), pool, &total, &tally, balance_of(source, pool), server);
		rows->add(rows);
	}
}

struct pgr_show_use
pgr_show_live_use(const struct pgr_show_source *source, pgr_pool_id id)
{
	const struct pgr_pool *pool = pgr_shm_pool(source->shm, id);
	struct tally tally = tally_pool(source->shm, pool);
	struct pgr_show_use use = {.servers = tally.active + tally.idle + tally.canceled +
			tally.used + tally.login + tally.closing};

	for (size_t k = 0; k < PGR_WORKERS_MAX; k++)
		use.clients += atomic_load(&pool->clients[k]);
	return use;
}

/* The value of name among "name\0value\0"...; false: not there. */
static bool
find_setting(const char *text, size_t len, const char *name, char *buf, size_t size)
{
	const char *end = text + len;

	while (text < end) {
		size_t name_len = strnlen(text, (size_t)(end - text));
		const char *value = text + PGR_MIN(name_len + 1, (size_t)(end - text));
		size_t value_len = strnlen(value, (size_t)(end - value));

		if (name_len == strlen(name) && memcmp(text, name, name_len) == 0) {
			pgr_utf8_copy(buf, value, PGR_MIN(value_len, size - 1));
			return true;
		}
		text = value + PGR_MIN(value_len + 1, (size_t)(end - value));
	}
	return false;
}

/* What the connection has as application_name: applied, or as reported at its login. */
static void
slot_application(struct pgr_shm *shm, pgr_slot_id id, char *buf, size_t size)
{
	const struct pgr_slot_cold *cold = pgr_shm_cold(shm, id);

	buf[0] = '\0';
	if (!find_setting(cold->settings, PGR_MIN(cold->settings_len, PGR_SETTINGS_BYTES),
		    "application_name", buf, size))
		find_setting(cold->reported, PGR_MIN(cold->reported_len, PGR_REPORTED_BYTES),
			"application_name", buf, size);
}

static uint64_t
server_number(pgr_slot_id id, uint32_t conn)
{
	return (uint64_t)conn * PGR_SLOTS_MAX + id.n;
}

/* "S17", "C4": what ptr and link hold; numbers are never used twice. */
static void
put_reference(struct pgr_row *row, const char *key, char kind, uint64_t number)
{
	char text[32] = "";

	if (number != 0)
		snprintf(text, sizeof(text), "%c%" PRIu64, kind, number);
	pgr_row_text(row, key, text);
}

static const char *
server_state(pgr_word word)
{
	switch (pgr_word_state(word)) {
	case PGR_SLOT_IDLE:
		return pgr_word_pin(word) == PGR_PIN_NONE ? "idle" : "being_canceled";
	case PGR_SLOT_LEASED:
		return "active";
	case PGR_SLOT_GIVEN:
		return "used";
	case PGR_SLOT_DIALING:
		return "login";
	case PGR_SLOT_CLOSING:
		return "closing";
	case PGR_SLOT_FREE:
	case PGR_SLOT_ASKED:
	case PGR_SLOT_BARRED:
		break;
	}
	return NULL; /* no connection */
}

/* What stands between "state" and "ptr" in PgBouncer's SHOW SERVERS and SHOW CLIENTS alike. */
static void
put_times(struct pgr_row *row, uint64_t connected, uint64_t requested, uint64_t wait, bool close_needed)
{
	pgr_row_text(row, "local_addr", "");
	pgr_row_int4(row, "local_port", 0);
	pgr_row_time(row, "connect_time", connected);
	pgr_row_time(row, "request_time", requested);
	pgr_row_int4(row, "wait", wait / PGR_USEC_PER_SEC);
	pgr_row_int4(row, "wait_us", wait % PGR_USEC_PER_SEC);
	pgr_row_int4(row, "close_needed", close_needed);
}

/* As PgBouncer has it: version/cipher, empty in clear. */
static void
put_tls(struct pgr_row *row, uint32_t suite)
{
	char text[64];

	pgr_tls_suite_name(suite, text, sizeof(text));
	pgr_row_text(row, "tls", text);
}

static void
put_server_rest(struct pgr_row *row, struct pgr_shm *shm, pgr_slot_id id, pgr_word word)
{
	const struct pgr_slot *slot = pgr_shm_slot(shm, id);
	char application[256];

	slot_application(shm, id, application, sizeof(application));
	pgr_row_int4(row, "remote_pid", atomic_load(&slot->pid));
	put_tls(row, atomic_load(&slot->tls));
	pgr_row_text(row, "application_name", application);
	pgr_row_int4(row, "prepared_statements", pgr_shm_cold(shm, id)->statement_count);
	pgr_row_int8(row, "id", server_number(id, atomic_load(&slot->conn)));
	pgr_row_int4(row, "slot", id.n);
	pgr_row_int8(row, "leases", atomic_load(&slot->leases));
	pgr_row_int4(row, "unread", pgr_word_dirty(word));
}

static void
server_row(struct pgr_row *row, struct pgr_shm *shm, const struct pgr_pool *pool, pgr_slot_id id, pgr_word word)
{
	const struct pgr_slot *slot = pgr_shm_slot(shm, id);
	const struct pgr_host *host = host_of(shm, pool);
	const char *state = server_state(word);

	pgr_row_text(row, "type", "S");
	pgr_row_name(row, "user", pool->server_user, sizeof(pool->server_user));
	pgr_row_name(row, "database", pool->database, sizeof(pool->database));
	pgr_row_text(row, "replication", "none");
	pgr_row_text(row, "state", state == NULL ? "" : state);
	pgr_row_name(row, "addr", host->name, sizeof(host->name));
	pgr_row_int4(row, "port", host->port);
	put_times(row, to_wall(atomic_load(&slot->born)), to_wall(atomic_load(&slot->since)), 0,
		atomic_load(&slot->epoch) != atomic_load(&pool->epoch));
	put_reference(row, "ptr", 'S', server_number(id, atomic_load(&slot->conn)));
	put_reference(row, "link", 'C', atomic_load(&slot->client));
	put_server_rest(row, shm, id, word);
}

static void
add_servers(struct pgr_rows *rows, struct pgr_shm *shm, const struct pgr_pool *pool)
{
	uint32_t places = places_of(pool);
	pgr_slot_id id;

	for (uint32_t place = 0; place < places; place++) {
		pgr_word word = atomic_load(&pgr_pool_slot(shm, pool, place, &id)->word);

		if (server_state(word) == NULL)
			continue;
		server_row(pgr_rows_next(rows), shm, pool, id, word);
		rows->add(rows);
	}
}

void
pgr_show_live_servers(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	static const struct pgr_pool no_pool;
	uint32_t top = pgr_shm_pools_used(source->shm);

	server_row(pgr_rows_next(rows), source->shm, &no_pool, (pgr_slot_id){0}, 0);
	rows->columns(rows);
	for (uint32_t n = 0; n < top; n++) {
		const struct pgr_pool *pool = pgr_shm_pool(source->shm, (pgr_pool_id){n});

		if (atomic_load(&pool->state) != PGR_POOL_FREE)
			add_servers(rows, source->shm, pool);
	}
}

static void
put_address(struct pgr_row *row, const uint8_t addr[16])
{
	static const uint8_t local[16];
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN] = "unix";

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
	else if (memcmp(addr, local, sizeof(local)) != 0)
		inet_ntop(AF_INET6, addr, text, sizeof(text));
	pgr_row_text(row, "addr", text);
}

/* The server connection that a client has, PGR_NO_SLOT when it is no longer its own. */
static pgr_slot_id
client_slot(struct pgr_shm *shm, const struct pgr_client_rec *rec)
{
	pgr_slot_id id = {(atomic_load(&rec->slot) - 1) % PGR_SLOTS_MAX};

	if (atomic_load(&rec->slot) == 0 ||
		atomic_load(&pgr_shm_slot(shm, id)->client) != atomic_load(&rec->id))
		return PGR_NO_SLOT;
	return id;
}

static void
put_client_rest(struct pgr_row *row, struct pgr_shm *shm, const struct pgr_client_rec *rec, unsigned worker)
{
	pgr_slot_id slot = client_slot(shm, rec);
	uint64_t server = 0;

	if (slot.n != PGR_NO_SLOT.n)
		server = server_number(slot, atomic_load(&pgr_shm_slot(shm, slot)->conn));
	put_reference(row, "ptr", 'C', atomic_load(&rec->id));
	put_reference(row, "link", 'S', server);
	pgr_row_int4(row, "remote_pid", 0);
	put_tls(row, atomic_load(&((struct pgr_client_rec *)(uintptr_t)rec)->tls));
	pgr_row_name(row, "application_name", rec->application, sizeof(rec->application));
	pgr_row_int4(row, "prepared_statements", 0);
	pgr_row_int8(row, "id", atomic_load(&rec->id));
	pgr_row_int4(row, "worker", worker);
	pgr_row_text(row, "pinned", pgr_pin_text(rec->pinned));
}

static void
put_database(struct pgr_row *row, struct pgr_shm *shm, const struct pgr_client_rec *rec)
{
	pgr_pool_id id = {atomic_load(&rec->pool)};

	if (id.n < PGR_POOLS_MAX)
		pgr_row_name(row, "database", pgr_shm_pool(shm, id)->database, PGR_NAME_MAX);
	else
		pgr_row_text(row, "database", id.n == PGR_CONSOLE_POOL.n ? "pgroute" : "");
}

static void
client_row(struct pgr_row *row, struct pgr_shm *shm, const struct pgr_client_rec *rec, unsigned worker)
{
	uint32_t state = atomic_load(&((struct pgr_client_rec *)(uintptr_t)rec)->state);
	uint64_t since = atomic_load(&rec->since);

	pgr_row_text(row, "type", "C");
	pgr_row_name(row, "user", rec->user, sizeof(rec->user));
	put_database(row, shm, rec);
	pgr_row_text(row, "replication", "none");
	pgr_row_text(row, "state", NAME_OF(client_states, state));
	put_address(row, rec->addr);
	pgr_row_int4(row, "port", rec->port);
	put_times(row, rec->connected, to_wall(since),
		state == PGR_CLIENT_WAITING ? elapsed(pgr_clock_now(), since) : 0, false);
	put_client_rest(row, shm, rec, worker);
}

/* Who keeps its server connection, and why. */
static void
pin_row(struct pgr_row *row, struct pgr_shm *shm, const struct pgr_client_rec *rec, unsigned worker)
{
	pgr_slot_id slot = client_slot(shm, rec);
	uint64_t server = 0;

	if (slot.n != PGR_NO_SLOT.n)
		server = server_number(slot, atomic_load(&pgr_shm_slot(shm, slot)->conn));
	pgr_row_int8(row, "id", atomic_load(&rec->id));
	put_database(row, shm, rec);
	pgr_row_name(row, "user", rec->user, sizeof(rec->user));
	put_address(row, rec->addr);
	pgr_row_int4(row, "port", rec->port);
	pgr_row_name(row, "application_name", rec->application, sizeof(rec->application));
	put_reference(row, "link", 'S', server);
	pgr_row_text(row, "reason", pgr_pin_text(rec->pinned));
	pgr_row_int4(row, "worker", worker);
}

/* A worker takes records in order; each used one has a pid, the first without is the end. */
static const struct pgr_client_rec *
next_client(struct pgr_shm *shm, unsigned *worker, uint32_t *i)
{
	uint32_t workers = PGR_MIN(shm->seg->workers, PGR_WORKERS_MAX);
	uint32_t per = PGR_MIN(shm->seg->clients_per_worker, PGR_CLIENTS_MAX / PGR_MAX(workers, 1u));

	for (; *worker < workers; ++*worker, *i = 0) {
		while (*i < per) {
			const struct pgr_client_rec *rec =
				pgr_shm_client(shm, (pgr_client_id){*worker * per + (*i)++});

			if (rec->pid == 0)
				break;
			if (atomic_load_explicit(&rec->state, memory_order_acquire) != PGR_CLIENT_FREE)
				return rec;
		}
	}
	return NULL;
}

void
pgr_show_live_each_client(struct pgr_shm *shm, pgr_show_on_client *on_client, void *arg)
{
	const struct pgr_client_rec *rec;
	unsigned worker = 0;
	uint32_t i = 0;

	while ((rec = next_client(shm, &worker, &i)) != NULL)
		on_client(arg, rec);
}

typedef void fill_client(
	struct pgr_row *row, struct pgr_shm *shm, const struct pgr_client_rec *rec, unsigned worker);

static void
client_rows(const struct pgr_show_source *source, struct pgr_rows *rows, fill_client *fill, bool pinned)
{
	static const struct pgr_client_rec nobody = {.pool = UINT32_MAX};
	const struct pgr_client_rec *rec;
	unsigned worker = 0;
	uint32_t i = 0;

	fill(pgr_rows_next(rows), source->shm, &nobody, 0);
	rows->columns(rows);
	while ((rec = next_client(source->shm, &worker, &i)) != NULL) {
		if (pinned && rec->pinned == PGR_PIN_NONE_REASON)
			continue;
		fill(pgr_rows_next(rows), source->shm, rec, worker);
		rows->add(rows);
	}
}

void
pgr_show_live_clients(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	client_rows(source, rows, client_row, false);
}

void
pgr_show_live_pins(const struct pgr_show_source *source, struct pgr_rows *rows)
{
	client_rows(source, rows, pin_row, true);
}
