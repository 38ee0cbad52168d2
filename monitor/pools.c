/*
 * The table of pools. The monitor is its only writer: it makes a pool when a worker asks, resolves
 * what the configuration says of it into the record that workers read, changes it in place on reload,
 * and takes it apart when nobody has used it for a while. A record counts only while its state is not
 * FREE, so a death in the middle of making one leaves nothing behind.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "monitor/monitor.h"
#include "shm/pause.h"

#define RETIRE_AFTER (5 * PGR_USEC_PER_SEC)

static uint32_t
capacity(const struct pgr_config_pooling *set)
{
	uint64_t places = (uint64_t)set->pool_size + set->reserve_pool_size;

	return (uint32_t)PGR_MIN(places, (uint64_t)PGR_PLACES_MAX);
}

static void
mark_chunk(struct pgr_monitor *m, uint32_t chunk, bool used)
{
	uint64_t bit = UINT64_C(1) << chunk % 64;

	if (used)
		m->chunk_used[chunk / 64] |= bit;
	else
		m->chunk_used[chunk / 64] &= ~bit;
}

static uint32_t
free_chunk(struct pgr_monitor *m)
{
	for (uint32_t i = 0; i < PGR_COUNT_OF(m->chunk_used); i++)
		if (~m->chunk_used[i] != 0)
			return i * 64 + (uint32_t)__builtin_ctzll(~m->chunk_used[i]);
	return PGR_CHUNKS_MAX;
}

/* A chunk of slots for places from `place` on; they are BARRED until places.c looks at them. */
static bool
add_chunk(struct pgr_monitor *m, struct pgr_pool *pool, pgr_pool_id id, uint32_t place)
{
	uint32_t chunk = free_chunk(m);

	if (chunk >= PGR_CHUNKS_MAX)
		return false;
	mark_chunk(m, chunk, true);
	for (uint32_t i = 0; i < PGR_CHUNK_SLOTS; i++) {
		struct pgr_slot *slot = pgr_shm_slot(m->shm, (pgr_slot_id){chunk * PGR_CHUNK_SLOTS + i});
		pgr_word w = atomic_load(&slot->word);

		atomic_store(&slot->pool, id.n);
		slot->place = place + i;
		atomic_store(&slot->word, pgr_word_move(w, PGR_SLOT_BARRED, PGR_OWNER_NONE, PGR_PIN_NONE));
	}
	atomic_store(&pool->chunk[place / PGR_CHUNK_SLOTS], chunk);
	return true;
}

/* Room for as many places; what is there stays where it is. */
static bool
grow(struct pgr_monitor *m, struct pgr_pool *pool, pgr_pool_id id, uint32_t places)
{
	uint32_t have = (atomic_load(&pool->places) + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS;
	uint32_t want = (places + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS;

	for (uint32_t i = have; i < want; i++)
		if (!add_chunk(m, pool, id, i * PGR_CHUNK_SLOTS))
			return false;
	if (places > atomic_load(&pool->places))
		atomic_store(&pool->places, places);
	return true;
}

static void
copy_settings(struct pgr_pool *pool, const struct pgr_config_pooling *set)
{
#define COPY(name) atomic_store(&pool->set.name, (uint64_t)set->name)
	COPY(pool_mode);
	COPY(pool_size);
	COPY(min_pool_size);
	COPY(reserve_pool_size);
	COPY(reserve_pool_timeout);
	COPY(max_server_logins);
	COPY(max_db_connections);
	COPY(max_client_connections);
	COPY(queue_timeout);
	COPY(connect_timeout);
	COPY(login_retry);
	COPY(query_timeout);
	COPY(transaction_timeout);
	COPY(idle_transaction_timeout);
	COPY(client_idle_timeout);
	COPY(server_idle_timeout);
	COPY(server_lifetime);
	COPY(prepared_statements);
	COPY(on_session_feature);
	COPY(catalog_refresh);
#undef COPY
}

static void
copy_name(char *to, const char *from)
{
	snprintf(to, PGR_NAME_MAX, "%s", from);
}

static void
describe(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_stats_directory *d = &m->shm->stats->directory[id.n];
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	struct pgr_host *host = &m->shm->seg->host[pool->host % PGR_HOSTS_MAX];

	memcpy(d->database, pool->database, PGR_NAME_MAX);
	memcpy(d->user, pool->user, PGR_NAME_MAX);
	memcpy(d->dbname, pool->dbname, PGR_NAME_MAX);
	memcpy(d->host, host->name, sizeof(d->host));
	d->port = host->port;
	d->pool_mode = (uint32_t)atomic_load(&pool->set.pool_mode);
	atomic_store(&d->pool_size, atomic_load(&pool->set.pool_size));
	atomic_store(&d->reserve_pool_size, atomic_load(&pool->set.reserve_pool_size));
	atomic_store(&d->serial, atomic_load(&pool->serial));
	atomic_store(&m->shm->stats->pools_used, pgr_shm_pools_used(m->shm));
}

static uint64_t
hash_text(struct pgr_monitor *m, const struct pgr_config_file *file)
{
	const char *text = pgr_config_secret_text(m->secrets, file->text);

	return pgr_hash64(&m->shm->seg->hash_key, text, strlen(text));
}

/* Equal as long as nothing that TLS towards the server depends on has changed, files included. */
static uint64_t
hash_tls(struct pgr_monitor *m, const struct pgr_config_server *server)
{
	struct pgr_config_tls tls;
	uint64_t all[4];

	pgr_config_server_tls(m->config, server, &tls);
	all[0] = tls.mode;
	all[1] = hash_text(m, &tls.ca);
	all[2] = hash_text(m, &tls.cert);
	all[3] = hash_text(m, &tls.key);
	return pgr_hash64(&m->shm->seg->hash_key, all, sizeof(all));
}

/* What the configuration says of (database, user), into the record. False: no slots, or no host. */
static bool
resolve(struct pgr_monitor *m, pgr_pool_id id, const struct pgr_config_db *db,
	const struct pgr_config_user *user)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	const struct pgr_config_server *server = pgr_config_server_at(m->config, db, 0);
	const char *dbname =
		pgr_config_is_null(db->dbname) ? pool->database : pgr_config_text(m->config, db->dbname);
	const char *login =
		pgr_config_is_null(db->user) ? pool->user : pgr_config_text(m->config, db->user);
	uint64_t size_before = atomic_load(&pool->set.pool_size);
	struct pgr_config_pooling set;
	uint64_t tls;
	uint32_t host;

	if (server == NULL)
		return false;
	tls = hash_tls(m, server);
	host = pgr_hosts_get(m, pgr_config_text(m->config, server->host), server->port);
	pgr_config_pooling(m->config, db, user, &set);
	if (host == UINT32_MAX || !grow(m, pool, id, capacity(&set)))
		return false;
	if (pool->host != host || pool->tls != tls || strncmp(pool->dbname, dbname, PGR_NAME_MAX) != 0 ||
		strncmp(pool->server_user, login, PGR_NAME_MAX) != 0) {
		pool->host = host;
		pool->tls = tls;
		copy_name(pool->dbname, dbname);
		copy_name(pool->server_user, login);
		atomic_fetch_add(&pool->epoch, 1);
	}
	pool->forced_user = !pgr_config_is_null(db->user);
	copy_settings(pool, &set);
	if (set.pool_size < size_before)
		pgr_places_lowered(m, id);
	describe(m, id);
	return true;
}

static bool
find(struct pgr_monitor *m, const char *database, const char *user, pgr_pool_id *ret)
{
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (ret->n = 0; ret->n < top; ret->n++) {
		struct pgr_pool *pool = pgr_shm_pool(m->shm, *ret);

		if (atomic_load(&pool->state) == PGR_POOL_LIVE &&
			strncmp(pool->database, database, PGR_NAME_MAX) == 0 &&
			strncmp(pool->user, user, PGR_NAME_MAX) == 0)
			return true;
	}
	return false;
}

static bool
free_record(struct pgr_monitor *m, pgr_pool_id *ret)
{
	for (ret->n = 0; ret->n < PGR_POOLS_MAX; ret->n++)
		if (atomic_load(&pgr_shm_pool(m->shm, *ret)->state) == PGR_POOL_FREE)
			return true;
	return false;
}

static void
clear(struct pgr_pool *pool)
{
	atomic_store(&pool->mask, 0);
	atomic_store(&pool->retry_at, 0);
	atomic_store(&pool->failure.at, 0);
	atomic_store(&pool->report, 0);
	atomic_store(&pool->report_at, 0);
	atomic_store(&pool->catalog_at, 0);
	atomic_store(&pool->sequences, 0);
	atomic_store(&pool->catalog, 0);
	atomic_store(&pool->places, 0);
	pool->dbname[0] = pool->server_user[0] = '\0';
	for (uint32_t k = 0; k < PGR_WORKERS_MAX; k++)
		atomic_store(&pool->want[k], 0);
	for (uint32_t k = 0; k < PGR_PROCS; k++)
		atomic_store(&pool->mail[k], 0);
}

static void
release_chunks(struct pgr_monitor *m, struct pgr_pool *pool)
{
	uint32_t chunks = (atomic_load(&pool->places) + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS;

	for (uint32_t i = 0; i < chunks; i++) {
		uint32_t chunk = atomic_load(&pool->chunk[i]) % PGR_CHUNKS_MAX;
		char *from = (char *)pgr_shm_cold(m->shm, (pgr_slot_id){chunk * PGR_CHUNK_SLOTS});
		char *to = from + sizeof(struct pgr_slot_cold) * PGR_CHUNK_SLOTS;

		mark_chunk(m, chunk, false);
		from = (char *)(((uintptr_t)from + 4095) & ~(uintptr_t)4095);
		to = (char *)((uintptr_t)to & ~(uintptr_t)4095);
		if (to > from)
			(void)madvise(from, (size_t)(to - from), MADV_REMOVE); /* memory only: no answer needed */
	}
	atomic_store(&pool->places, 0);
}

static bool
make(struct pgr_monitor *m, const char *database, const char *user_name, pgr_pool_id *ret)
{
	const struct pgr_config_db *db = pgr_config_find_db(m->config, database);
	const struct pgr_config_user *user = pgr_config_find_user(m->config, user_name);
	struct pgr_pool *pool;

	if (db == NULL || !free_record(m, ret))
		return false;
	pool = pgr_shm_pool(m->shm, *ret);
	clear(pool);
	copy_name(pool->database, database);
	copy_name(pool->user, user_name);
	pool->host = UINT32_MAX;
	atomic_fetch_add(&pool->serial, 1);
	if (ret->n >= pgr_shm_pools_used(m->shm))
		atomic_store(&m->shm->seg->pools_used, ret->n + 1);
	if (!resolve(m, *ret, db, user)) {
		release_chunks(m, pool);
		return false;
	}
	m->unused_since[ret->n] = 0;
	atomic_store(&pool->paused, pgr_pause_holds(m->shm, database));
	atomic_store(&pool->state, PGR_POOL_LIVE);
	pgr_places_attend(m, *ret);
	return true;
}

static void
answer_pool(struct pgr_monitor *m, struct pgr_ask *ask, const char *database)
{
	char user[PGR_NAME_MAX];
	pgr_pool_id id;

	snprintf(user, sizeof(user), "%.*s", PGR_NAME_MAX - 1, ask->user);
	if (find(m, database, user, &id) || make(m, database, user, &id)) {
		ask->pool = id.n;
		atomic_store(&ask->state, PGR_ASK_DONE);
		return;
	}
	if (pgr_config_find_db(m->config, database) == NULL)
		snprintf(ask->text, sizeof(ask->text), "database \"%s\" does not exist", database);
	else
		snprintf(ask->text, sizeof(ask->text), "no room for another pool");
	atomic_store(&ask->state, PGR_ASK_FAILED);
}

/*
 * Makes the pool paused, or not, as the list of pauses says. A pause also closes what there is, as it
 * comes back: the epoch first, so that whoever finds the pool paused finds its connections outdated. What
 * was not seen as paused by a worker that was about to dial comes with the new epoch: why_end().
 */
static void
follow_pauses(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint32_t paused = pgr_pause_holds(m->shm, pool->database);

	if (paused == atomic_load(&pool->paused))
		return;
	if (paused)
		atomic_fetch_add(&pool->epoch, 1);
	atomic_store(&pool->paused, paused);
}

typedef void on_pool(struct pgr_monitor *m, pgr_pool_id id);

/* database: "" for all. */
static void
each_pool(struct pgr_monitor *m, const char *database, on_pool *on)
{
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *pool = pgr_shm_pool(m->shm, (pgr_pool_id){n});

		if (atomic_load(&pool->state) == PGR_POOL_FREE ||
			(database[0] != '\0' && strncmp(pool->database, database, PGR_NAME_MAX) != 0))
			continue;
		on(m, (pgr_pool_id){n});
		pgr_places_attend(m, (pgr_pool_id){n});
	}
}

static void
kill_pool(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);

	atomic_fetch_add(&pool->kills, 1);
	follow_pauses(m, id);
}

static void
renew_pool(struct pgr_monitor *m, pgr_pool_id id)
{
	atomic_fetch_add(&pgr_shm_pool(m->shm, id)->epoch, 1);
}

static void
refuse(struct pgr_ask *ask, const char *sqlstate, const char *fmt, const char *database)
{
	snprintf(ask->sqlstate, sizeof(ask->sqlstate), "%s", sqlstate);
	snprintf(ask->text, sizeof(ask->text), fmt, database);
	atomic_store(&ask->state, PGR_ASK_FAILED);
}

static void
done(struct pgr_ask *ask, bool news)
{
	ask->pool = news;
	atomic_store(&ask->state, PGR_ASK_DONE);
}

static void
answer_pause_all(struct pgr_monitor *m, struct pgr_ask *ask)
{
	bool pause = ask->kind == PGR_ASK_PAUSE;

	if (atomic_load(&m->shm->seg->pauses.all) == pause) {
		refuse(ask, "55000", pause ? "all databases are paused already%s"
					   : "not all databases are paused%s", "");
		return;
	}
	atomic_store(&m->shm->seg->pauses.all, pause);
	each_pool(m, "", follow_pauses);
	done(ask, true);
}

/* PAUSE, RESUME and KILL of one database. */
static void
answer_pause(struct pgr_monitor *m, struct pgr_ask *ask, const char *database)
{
	bool named = pgr_pause_named(m->shm, database);
	bool pause = ask->kind != PGR_ASK_RESUME;

	if (!pause && !named) {
		refuse(ask, "55000", "database \"%s\" is not paused", database);
		return;
	}
	if (!pgr_pause_set(m->shm, database, pause)) {
		refuse(ask, "54000", "too many databases are paused by name%s", "");
		return;
	}
	each_pool(m, database, ask->kind == PGR_ASK_KILL ? kill_pool : follow_pauses);
	done(ask, !named);
}

/* A removed database may still be resumed. */
static bool
is_known(struct pgr_monitor *m, const char *database)
{
	return database[0] == '\0' || pgr_config_find_db(m->config, database) != NULL ||
		pgr_pause_named(m->shm, database);
}

static void
answer(struct pgr_monitor *m, struct pgr_ask *ask)
{
	char database[PGR_NAME_MAX];

	snprintf(database, sizeof(database), "%.*s", PGR_NAME_MAX - 1, ask->database);
	if (ask->kind != PGR_ASK_POOL && !is_known(m, database)) {
		refuse(ask, "3D000", "database \"%s\" does not exist", database);
		return;
	}
	switch ((enum pgr_ask_kind)ask->kind) {
	case PGR_ASK_POOL:
		answer_pool(m, ask, database);
		return;
	case PGR_ASK_PAUSE:
	case PGR_ASK_RESUME:
		if (database[0] == '\0')
			answer_pause_all(m, ask);
		else
			answer_pause(m, ask, database);
		return;
	case PGR_ASK_KILL:
		answer_pause(m, ask, database);
		return;
	case PGR_ASK_RECONNECT:
		each_pool(m, database, renew_pool);
		done(ask, true);
		return;
	}
	refuse(ask, "XX000", "a request that nobody knows%s", "");
}

void
pgr_pools_answer_asks(struct pgr_monitor *m)
{
	for (uint32_t k = 0; k < m->shm->seg->workers; k++) {
		struct pgr_proc *proc = pgr_shm_proc(m->shm, k);
		bool any = false;

		for (uint32_t i = 0; i < PGR_ASKS; i++)
			if (atomic_load(&proc->asks[i].state) == PGR_ASK_POSTED) {
				answer(m, &proc->asks[i]);
				any = true;
			}
		if (any)
			pgr_proc_poke(m->shm, k, false);
	}
}

/* Pools that are kept filled before their first client. */
static void
make_minimum(struct pgr_monitor *m)
{
	pgr_pool_id id;

	for (uint32_t i = 0; i < m->config->dbs.n; i++) {
		const struct pgr_config_db *db = pgr_config_db_at(m->config, i);
		const char *name = pgr_config_text(m->config, db->name);
		const char *user = pgr_config_text(m->config, db->user);

		if (db->is_pattern || pgr_config_is_null(db->user) || db->pooling.min_pool_size == 0 ||
			find(m, name, user, &id))
			continue;
		if (!make(m, name, user, &id))
			pgr_log(PGR_LOG_ERROR, "pool.minimum", "no room for the pool of database \"%s\"", name);
	}
}

static void
reload_pool(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	const struct pgr_config_db *db = pgr_config_find_db(m->config, pool->database);
	const struct pgr_config_user *user = pgr_config_find_user(m->config, pool->user);
	bool stays = db != NULL && (user != NULL || !pgr_config_is_null(db->user));

	if (stays && !pgr_config_is_null(db->user) &&
		strcmp(pgr_config_text(m->config, db->user), pool->user) != 0)
		stays = false; /* the login has changed: its clients come back to another pool */
	if (stays && resolve(m, id, db, user))
		atomic_store(&pool->state, PGR_POOL_LIVE);
	else
		atomic_store(&pool->state, PGR_POOL_DRAINING);
}

void
pgr_pools_reload(struct pgr_monitor *m)
{
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++) {
		pgr_pool_id id = {n};
		uint32_t state = atomic_load(&pgr_shm_pool(m->shm, id)->state);

		if (state == PGR_POOL_LIVE || state == PGR_POOL_DRAINING)
			reload_pool(m, id);
	}
	make_minimum(m);
}

void
pgr_pools_start(struct pgr_monitor *m)
{
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++) {
		struct pgr_pool *pool = pgr_shm_pool(m->shm, (pgr_pool_id){n});
		uint32_t state = atomic_load(&pool->state);
		uint32_t chunks = (atomic_load(&pool->places) + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS;

		if (state == PGR_POOL_FREE)
			continue;
		if (state == PGR_POOL_RETIRING)
			atomic_store(&pool->state, PGR_POOL_LIVE); /* begun by a predecessor: look anew */
		follow_pauses(m, (pgr_pool_id){n});
		for (uint32_t i = 0; i < chunks && i < PGR_POOL_CHUNKS; i++)
			mark_chunk(m, atomic_load(&pool->chunk[i]) % PGR_CHUNKS_MAX, true);
	}
}

static bool
has_clients(struct pgr_monitor *m, struct pgr_pool *pool)
{
	for (uint32_t k = 0; k < m->shm->seg->workers; k++)
		if (atomic_load(&pool->clients[k]) != 0)
			return true;
	return false;
}

static bool
has_connections(struct pgr_monitor *m, struct pgr_pool *pool)
{
	uint32_t places = PGR_MIN(atomic_load(&pool->places), (uint32_t)PGR_PLACES_MAX);
	pgr_slot_id id;

	for (uint32_t p = 0; p < places; p++) {
		pgr_word w = atomic_load(&pgr_pool_slot(m->shm, pool, p, &id)->word);

		if (pgr_word_state(w) != PGR_SLOT_FREE && pgr_word_state(w) != PGR_SLOT_BARRED)
			return true;
	}
	return false;
}

void
pgr_pools_retire(struct pgr_monitor *m, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(m->shm, id);
	uint32_t was = atomic_load(&pool->state);

	if (has_clients(m, pool) || has_connections(m, pool) ||
		atomic_load(&pool->set.min_pool_size) != 0) {
		m->unused_since[id.n] = 0;
		return;
	}
	if (m->unused_since[id.n] == 0)
		m->unused_since[id.n] = m->now;
	if (m->now - m->unused_since[id.n] < RETIRE_AFTER)
		return;
	/* the state first, then the count: a worker counts its client in, then looks at the state */
	atomic_store(&pool->state, PGR_POOL_RETIRING);
	if (has_clients(m, pool)) {
		atomic_store(&pool->state, was);
		return;
	}
	m->unused_since[id.n] = 0;
	atomic_store(&m->shm->stats->directory[id.n].serial, 0);
	release_chunks(m, pool);
	atomic_store(&pool->state, PGR_POOL_FREE);
}
