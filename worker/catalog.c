/*
 * Reading the catalog, and noticing that it has changed. Called by front.c (before a text is judged) and
 * back.c (answers, ends of statements and leases).
 *
 *   DDL through us     the tag of the statement, made known at the end of its transaction
 *   DDL elsewhere      a look at what stands in the catalog, once in catalog_refresh over all workers
 */
#include "worker/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "parser/catalog.h"
#include "parser/session.h"
#include "proto/error.h"
#include "worker/back.h"
#include "worker/catalog_query.h"
#include "worker/reading.h"
#include "worker/server.h"

#define RETRY (10 * PGR_USEC_PER_SEC) /* after the catalog could not be read */
#define SAFE 1u /* struct pgr_known.serial where nothing is unsafe: the same for all databases */
#define TOO_MUCH "there is more in it than pgroute judges"
#define BODIES_MOST (64u << 20)       /* bytes of all bodies; more are not judged */

/* A load under way. */
struct pgr_catalog_load {
	struct pgr_catalog_builder *build;
	uint32_t bodies; /* when it began: what changes meanwhile is read by the next one */
	uint32_t epoch;
	uint32_t place;
	uint32_t digest; /* of what it found */
	bool failed;
	bool refused;
	/* of the function whose body is being put together */
	char name[PGR_NAME_MAX];
	char oid[16];
	bool sql_like;
	char *body;
	size_t body_len;
	size_t body_room;
	size_t total; /* bytes of all bodies */
};

static uint32_t
place_of(const struct pgr_worker *w, const struct pgr_pool *pool)
{
	struct {
		uint64_t host;
		char dbname[PGR_NAME_MAX];
	} key = {.host = pool->host};

	memcpy(key.dbname, pool->dbname, strnlen(pool->dbname, PGR_NAME_MAX));
	return (uint32_t)(pgr_hash64(&w->shm->seg->hash_key, &key, sizeof(key)) % PGR_DDL_PLACES);
}

/* -- what is there */

static void
install(const struct pgr_worker *w, struct pgr_known *known, const struct pgr_catalog_load *load,
	struct pgr_catalog *catalog, pgr_usec retry_at)
{
	static uint32_t serial;

	pgr_catalog_free(known->catalog);
	known->catalog = catalog;
	known->unsafe = catalog != NULL && pgr_catalog_count(catalog) > 0 ? pgr_catalog_names(catalog) : NULL;
	if (known->unsafe != NULL)
		serial = PGR_MAX(serial + 1, SAFE + 1);
	known->serial = catalog == NULL ? 0 : known->unsafe == NULL ? SAFE : serial;
	known->bodies = load->bodies;
	known->epoch = load->epoch;
	known->ddl = retry_at == 0 ? &w->shm->seg->ddl[load->place] : NULL;
	known->retry_at = retry_at;
	known->refused = load->refused;
}

void
pgr_catalog_forget(struct pgr_wpool *pool)
{
	struct pgr_catalog_load *load = pool->known.load;

	pgr_catalog_free(pool->known.catalog);
	pool->known = (struct pgr_known){.load = load}; /* still on its way; what it brings is outdated */
	if (load != NULL)
		load->failed = true;
}

/* -- loading */

static enum pgr_rc
begin(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_pool *pool = s->pool->view.pool;
	struct pgr_catalog_load *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return PGR_FAIL;
	load->build = pgr_catalog_builder_new();
	load->epoch = atomic_load(&pgr_server_slot(w, s)->epoch); /* no other server's catalog */
	load->place = place_of(w, pool);
	load->bodies = atomic_load(&w->shm->seg->ddl[load->place].bodies);
	load->failed = load->build == NULL;
	s->pool->known.load = load;
	s->loads = true;
	return pgr_back_query(w, s, PGR_PURPOSE_CATALOG, pgr_catalog_query) == PGR_CLOSED ? PGR_FAIL : PGR_OK;
}

/* Bytes as encode(..., 'escape') writes them. */
static size_t
unescape(const char *p, size_t len, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\\' && len - i >= 4 && p[i + 1] != '\\') {
			to[n++] = (char)((p[i + 1] - '0') << 6 | (p[i + 2] - '0') << 3 | (p[i + 3] - '0'));
			i += 3;
		} else {
			i += p[i] == '\\';
			to[n++] = i < len ? p[i] : '\\';
		}
	}
	return n;
}

struct field {
	const char *p;
	size_t len;
};

/* The columns of a DataRow; how many. */
static unsigned
fields_of(const char *p, uint32_t size, struct field ret[5])
{
	const char *end = p + size;
	unsigned n;

	if (size < PGR_WIRE_HEADER + 2)
		return 0;
	n = pgr_get16(p + PGR_WIRE_HEADER);
	p += PGR_WIRE_HEADER + 2;
	for (unsigned i = 0; i < n; i++) {
		int64_t len = end - p >= 4 ? (int32_t)pgr_get32(p) : 0;

		if (i == 5 || end - p < 4 || end - p - 4 < PGR_MAX(len, 0))
			return 0;
		ret[i] = (struct field){p + 4, (size_t)PGR_MAX(len, 0)};
		p += 4 + PGR_MAX(len, 0);
	}
	return n;
}

static bool
is(struct field field, const char *text)
{
	return field.len == strlen(text) && memcmp(field.p, text, field.len) == 0;
}

/* A name of at most 63 bytes, each of which may be written with four. */
static size_t
name_of(struct field field, char ret[4 * PGR_NAME_MAX])
{
	return field.len < 4 * PGR_NAME_MAX ? unescape(field.p, field.len, ret) : 0;
}

static void
end_body(struct pgr_catalog_load *load)
{
	if (load->name[0] != '\0' && load->build != NULL)
		pgr_catalog_add_body(load->build, load->name, strlen(load->name), load->body, load->body_len,
			load->sql_like);
	load->name[0] = '\0';
	load->body_len = 0;
}

static void
begin_body(struct pgr_catalog_load *load, const struct field *f)
{
	char name[4 * PGR_NAME_MAX];
	size_t len = name_of(f[1], name);

	end_body(load);
	len = PGR_MIN(len, sizeof(load->name) - 1);
	memcpy(load->name, name, len);
	load->name[len] = '\0';
	len = PGR_MIN(f[3].len, sizeof(load->oid) - 1);
	memcpy(load->oid, f[3].p, len);
	load->oid[len] = '\0';
	load->sql_like = is(f[2], "plpgsql") || is(f[2], "sql");
}

static void
add_part(struct pgr_catalog_load *load, struct field part)
{
	if (load->body_room - load->body_len < part.len) {
		size_t room = 2 * load->body_room + part.len;
		char *body = realloc(load->body, room);

		if (body == NULL) {
			load->failed = true;
			return;
		}
		load->body = body;
		load->body_room = room;
	}
	load->body_len += unescape(part.p, part.len, load->body + load->body_len);
	load->total += part.len;
	load->refused = load->total > BODIES_MOST;
	load->failed = load->failed || load->refused;
}

static uint32_t
digest_of(const struct pgr_worker *w, struct field numbers)
{
	return (uint32_t)pgr_hash64(&w->shm->seg->hash_key, numbers.p, numbers.len) | 1;
}

/*
 * What stands in the catalog has this digest, while the DDL of which we know had come to `bodies`. If it was
 * another one at the same number, it was changed without us.
 */
static void
seen(struct pgr_worker *w, const struct pgr_wpool *wpool, uint32_t place, uint32_t digest, uint32_t bodies)
{
	uint64_t was = atomic_exchange(&wpool->view.pool->catalog, (uint64_t)digest << 32 | bodies);

	if (was == 0 || was >> 32 == digest || (uint32_t)was != bodies)
		return;
	atomic_fetch_add(&w->shm->seg->ddl[place].schema, 1);
	atomic_fetch_add(&w->shm->seg->ddl[place].bodies, 1);
}

/*
 * The first to read it at a number. What others find different at the same number is left to the look, which
 * comes at its time: each that tells of it has all the others read anew, and what they find differs again where
 * tables are made all the time.
 */
static void
remember(struct pgr_worker *w, struct pgr_pool *pool, const struct pgr_catalog_load *load)
{
	uint64_t was = atomic_load(&pool->catalog);

	if ((was == 0 || (uint32_t)was != load->bodies) && atomic_compare_exchange_strong(&pool->catalog, &was,
			(uint64_t)load->digest << 32 | load->bodies))
		atomic_store(&pool->catalog_at, w->now);
}

static void
tell_failed(const struct pgr_wpool *pool, const char *why)
{
	pgr_log(PGR_LOG_WARN, "catalog.failed", "database \"%s\", user \"%s\": the catalog could not be read, so "
		"what functions leave behind is not known: %s", pool->view.pool->database, pool->view.pool->user, why);
}

void
pgr_catalog_row(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	struct pgr_catalog_load *load = s->pool->known.load;
	struct field f[5];
	unsigned n = fields_of(p, size, f);
	char name[4 * PGR_NAME_MAX];
	char other[4 * PGR_NAME_MAX];
	size_t len;

	if (!s->loads || load->failed)
		return;
	if (n == 5 && is(f[0], "b")) {
		if (load->name[0] == '\0' || !is(f[3], load->oid))
			begin_body(load, f);
		add_part(load, f[4]);
		if (load->refused)
			tell_failed(s->pool, TOO_MUCH);
	} else if (n == 3 && is(f[0], "c")) {
		len = PGR_MIN(f[2].len, sizeof(other) - 1);
		memcpy(other, f[2].p, len);
		other[len] = '\0';
		if (!pgr_catalog_knows_extension(other))
			pgr_catalog_add(load->build, name, name_of(f[1], name), PGR_FEATURE_C_FUNCTION);
	} else if (n == 2 && is(f[0], "l")) {
		load->digest = digest_of(w, f[1]);
	} else if (n == 3 && is(f[0], "u")) {
		len = name_of(f[1], name);
		pgr_catalog_add_use(load->build, name, len, other, name_of(f[2], other));
	} else {
		load->failed = true;
	}
}

void
pgr_catalog_failed(struct pgr_server *s, const struct pgr_error *e)
{
	struct pgr_catalog_load *load = s->pool->known.load;

	if (!s->loads) /* it could not even be sent */
		return;
	load->failed = true;
	/* what is not there or not allowed; all else may pass */
	load->refused = strncmp(e->sqlstate, "42", 2) == 0 || strncmp(e->sqlstate, "0A", 2) == 0;
	tell_failed(s->pool, e->message);
}

/* Those of the pool that waited for it. */
static void
wake(struct pgr_worker *w, struct pgr_server *loader)
{
	for (uint32_t i = 0; i < w->servers_top; i++) {
		struct pgr_server *s = w->server[i];

		if (s == NULL || s == loader || s->pool != loader->pool || s->leg == NULL ||
			s->leg->server != s || !s->leg->judging || s->replies.count > 0)
			continue;
		s->leg->judging = false;
		pgr_list_push(&w->runnable, &s->leg->run);
	}
}

static void
finish(struct pgr_worker *w, struct pgr_server *s, bool good)
{
	struct pgr_known *known = &s->pool->known;
	struct pgr_catalog_load *load = known->load;
	struct pgr_catalog *catalog = NULL;

	s->loads = false;
	known->load = NULL;
	end_body(load);
	pgr_stat_add(&w->stats->catalog_loads, 1);
	if (good && !load->failed) {
		remember(w, s->pool->view.pool, load);
		catalog = pgr_catalog_build(load->build);
		load->build = NULL;
		load->refused = catalog == NULL;
		if (catalog == NULL)
			tell_failed(s->pool, TOO_MUCH);
	}
	if (catalog != NULL || known->catalog == NULL)
		install(w, known, load, catalog, catalog != NULL ? 0 : w->now + RETRY);
	else /* better what was known before than nothing */
		*known = (struct pgr_known){.catalog = known->catalog, .unsafe = known->unsafe,
			.serial = known->serial, .retry_at = w->now + RETRY, .refused = load->refused};
	pgr_catalog_builder_free(load->build);
	free(load->body);
	free(load);
	wake(w, s);
}

void
pgr_catalog_end(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->loads)
		finish(w, s, true);
}

void
pgr_catalog_lost(struct pgr_worker *w, struct pgr_server *s)
{
	if (s->loads)
		finish(w, s, false);
	if (s->made != 0)
		pgr_catalog_publish(w, s); /* it may have been committed */
}

/* -- what waits for it */

/*
 * Does a statement that begins so run nothing but itself? CREATE FUNCTION is one of them: many in a row
 * are a migration, and need not be read back each time. lexer: behind the first word.
 */
static bool
runs_nothing(struct pgr_lexer *lexer, const struct pgr_token *first)
{
	struct pgr_token t;

	switch (first->kind == PGR_TOKEN_WORD ? first->word : PGR_NO_WORD) {
	case PGR_WORD_SET:
	case PGR_WORD_RESET:
	case PGR_WORD_SHOW:
	case PGR_WORD_COMMIT:
	case PGR_WORD_ROLLBACK:
	case PGR_WORD_SAVEPOINT:
	case PGR_WORD_RELEASE:
	case PGR_WORD_DISCARD:
	case PGR_WORD_DEALLOCATE:
	case PGR_WORD_LISTEN:
	case PGR_WORD_UNLISTEN:
	case PGR_WORD_NOTIFY:
	case PGR_WORD_GRANT:
	case PGR_WORD_REVOKE:
	case PGR_WORD_COMMENT:
	case PGR_WORD_DROP:
		return true;
	case PGR_WORD_CREATE:
		pgr_lexer_next(lexer, &t);
		if (pgr_token_is(&t, PGR_WORD_OR)) {
			pgr_lexer_next(lexer, &t); /* REPLACE */
			pgr_lexer_next(lexer, &t);
		}
		return pgr_token_is(&t, PGR_WORD_FUNCTION) || pgr_token_is(&t, PGR_WORD_PROCEDURE);
	default:
		return false;
	}
}

/* Is there one statement in it, and no more? */
static bool
is_one(const char *text, size_t len)
{
	struct pgr_lexer lexer;
	struct pgr_token t;

	pgr_lexer_init(&lexer, text, len, true);
	do {
		pgr_lexer_next(&lexer, &t);
	} while (t.kind != ';' && t.kind != PGR_TOKEN_END && t.kind != PGR_TOKEN_ERROR);
	if (t.kind == ';')
		pgr_lexer_next(&lexer, &t);
	return t.kind == PGR_TOKEN_END;
}

/* May a text run what only the catalog knows, or begin a transaction in which others do? */
static bool
needs_verdict(const char *text, size_t len)
{
	struct pgr_name_walk walk;
	struct pgr_lexer lexer;
	struct pgr_token first;
	struct pgr_name name;

	pgr_lexer_init(&lexer, text, len, true);
	pgr_lexer_next(&lexer, &first);
	if (pgr_token_is(&first, PGR_WORD_BEGIN) || pgr_token_is(&first, PGR_WORD_START))
		return true;
	if (runs_nothing(&lexer, &first) && is_one(text, len))
		return false;
	pgr_name_walk_init(&walk, text, len, true);
	return pgr_name_walk_next(&walk, &name);
}

bool
pgr_catalog_must_wait(struct pgr_worker *w, struct pgr_server *s, const char *text, size_t len)
{
	struct pgr_known *known = &s->pool->known;
	struct pgr_client *c = s->leg->client;
	uint64_t policy = atomic_load_explicit(&s->pool->view.pool->set.on_session_feature, memory_order_relaxed);
	bool rests = w->now < known->retry_at;

	if (c->mode == PGR_MODE_SESSION || policy == PGR_ON_FEATURE_IGNORE || s->skipping ||
		(rests && known->refused))
		return false;
	if (!needs_verdict(text, len)) {
		if (s->status == PGR_TXN_IDLE && s->replies.count == 0)
			s->judged_by = NULL;
		return false;
	}
	/* one of an earlier epoch is closed at the end of its lease, and may be another server's */
	if (rests || s->status != PGR_TXN_IDLE || s->batch || s->copy_in ||
		atomic_load(&pgr_server_slot(w, s)->epoch) != atomic_load(&s->pool->view.pool->epoch)) {
		s->unjudged = true;
		return false;
	}
	if (s->replies.count > (pgr_server_is_being_set_up(s) ? 1u : 0u)) {
		c->stalled = true;
		return true;
	}
	if (known->load == NULL && begin(w, s) != PGR_OK) {
		pgr_catalog_lost(w, s);
		s->unjudged = true;
		return false;
	}
	s->leg->judging = c->stalled = true;
	return true;
}

/* -- what changes it */

static bool
begins(const char *tag, const char *word)
{
	return strncmp(tag, word, strlen(word)) == 0;
}

static bool
names_unsafe(const struct pgr_reading *reading)
{
	return reading != NULL && reading->pin != PGR_PIN_NONE_REASON;
}

static unsigned
made_by(const char *tag, const struct pgr_reading *reading)
{
	static const char *const harmless[] = {"INDEX", "ROLE", "DATABASE", "TABLESPACE", "STATISTICS", "PUBLICATION",
		"SUBSCRIPTION", "SERVER", "USER MAPPING"};
	static const char *const running[] = {"FUNCTION", "PROCEDURE", "ROUTINE", "EXTENSION", "AGGREGATE", "SCHEMA"};
	const char *what = strchr(tag, ' ');

	if (begins(tag, "COMMIT PREPARED") || begins(tag, "IMPORT FOREIGN SCHEMA") ||
		(begins(tag, "DO") && reading != NULL && reading->makes))
		return PGR_MADE_SCHEMA | PGR_MADE_BODIES;
	if (what == NULL || !(begins(tag, "CREATE ") || begins(tag, "ALTER ") || begins(tag, "DROP ")))
		return 0;
	what++;
	for (size_t i = 0; i < PGR_COUNT_OF(harmless); i++)
		if (begins(what, harmless[i]))
			return names_unsafe(reading) ? PGR_MADE_BODIES : 0;
	for (size_t i = 0; i < PGR_COUNT_OF(running) && tag[0] != 'D'; i++)
		if (begins(what, running[i]))
			return PGR_MADE_SCHEMA | PGR_MADE_BODIES;
	if (reading != NULL && reading->temporary)
		return PGR_MADE_LOCAL;
	/* it becomes unsafe by naming what is */
	return names_unsafe(reading) ? PGR_MADE_SCHEMA | PGR_MADE_BODIES : PGR_MADE_SCHEMA;
}

void
pgr_catalog_made(struct pgr_server *s, const struct pgr_reply *r, const char *tag)
{
	bool ends = begins(tag, "COMMIT") || begins(tag, "ROLLBACK");
	bool overtaken = pgr_catalog_is_overtaken(s);
	unsigned made = made_by(tag, r->reading);

	/* in one text with what it calls, which was judged before that was made */
	if (made == 0 && (overtaken || ((s->made & PGR_MADE_BODIES) != 0 && !ends)))
		s->unjudged = true;
	/* what it names was not judged, or by verdicts that have changed */
	if ((made & PGR_MADE_SCHEMA) != 0 && (overtaken || s->unjudged))
		made |= PGR_MADE_BODIES;
	s->made |= (uint8_t)made;
}

void
pgr_catalog_publish(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_ddl *ddl = &w->shm->seg->ddl[place_of(w, s->pool->view.pool)];

	if ((s->made & PGR_MADE_SCHEMA) != 0)
		atomic_fetch_add(&ddl->schema, 1);
	if ((s->made & PGR_MADE_BODIES) != 0)
		atomic_fetch_add(&ddl->bodies, 1);
	s->made = 0;
}

uint64_t
pgr_catalog_state(const struct pgr_worker *w, const struct pgr_wpool *pool)
{
	const struct pgr_ddl *ddl =
		pool->known.ddl != NULL ? pool->known.ddl : &w->shm->seg->ddl[place_of(w, pool->view.pool)];

	return atomic_load_explicit(&ddl->schema, memory_order_relaxed) * UINT64_C(0x9e3779b97f4a7c15);
}

/* -- the look */

bool
pgr_catalog_ask(struct pgr_worker *w, struct pgr_server *s)
{
	struct pgr_known *known = &s->pool->known;
	struct pgr_pool *pool = s->pool->view.pool;
	uint64_t every = atomic_load_explicit(&pool->set.catalog_refresh, memory_order_relaxed);
	uint64_t last = atomic_load_explicit(&pool->catalog_at, memory_order_relaxed);

	known->look_at = w->now + PGR_USEC_PER_SEC; /* whether to look: that may be configured anew */
	if (every == 0 || known->ddl == NULL)
		return false;
	if (w->now < last + every) {
		known->look_at = PGR_MIN(known->look_at, last + every);
		return false;
	}
	if (!atomic_compare_exchange_strong(&pool->catalog_at, &last, w->now))
		return false;
	(void)!pgr_back_query(w, s, PGR_PURPOSE_LOOK, pgr_catalog_look); /* one that is broken shows at its own read */
	s->looks = s->replies.count > 0;
	return s->looks;
}

void
pgr_catalog_looked(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size)
{
	uint32_t place = place_of(w, s->pool->view.pool);
	struct field f[5];

	if (fields_of(p, size, f) == 2)
		seen(w, s->pool, place, digest_of(w, f[1]), atomic_load(&w->shm->seg->ddl[place].bodies));
}
