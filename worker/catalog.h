/*
 * What the texts of a pool's clients call and touch, judged by the catalog of their database
 * (parser/catalog.h). Each worker reads it for itself, over a connection that a client has just leased,
 * before the first text that needs it, and anew when DDL has changed it.
 */
#ifndef PGR_WORKER_CATALOG_H
#define PGR_WORKER_CATALOG_H

#include "worker/worker.h"

struct pgr_error;

/* What has changed in a transaction; struct pgr_server.made */
#define PGR_MADE_SCHEMA 1u
#define PGR_MADE_BODIES 2u
#define PGR_MADE_LOCAL 4u /* temporary tables: names mean something else for this session only */

/* Are the verdicts at hand those of now? */
static inline bool
pgr_catalog_is_current(const struct pgr_wpool *pool)
{
	const struct pgr_known *known = &pool->known;

	return known->ddl != NULL &&
		known->bodies == atomic_load_explicit(&known->ddl->bodies, memory_order_relaxed) &&
		known->epoch == atomic_load_explicit(&pool->view.pool->epoch, memory_order_relaxed);
}

/* The same for what the client of s sends next: then it is judged by them. */
static inline bool
pgr_catalog_judges(struct pgr_server *s)
{
	const struct pgr_known *known = &s->pool->known;

	if (!pgr_catalog_is_current(s->pool) || (s->made & PGR_MADE_BODIES) != 0)
		return false;
	s->judged_by = known->ddl;
	s->verdicts = known->bodies;
	return true;
}

/* Have these verdicts changed since? */
static inline bool
pgr_catalog_is_overtaken(const struct pgr_server *s)
{
	return s->judged_by != NULL &&
		s->verdicts != atomic_load_explicit(&s->judged_by->bodies, memory_order_relaxed);
}

/*
 * They are not. True: the client of s waits until it may be judged what its text (which need not end in
 * a NUL) leaves behind. False: the text may be sent, and where it could call something the connection is
 * closed at the end of its lease.
 */
bool pgr_catalog_must_wait(struct pgr_worker *w, struct pgr_server *s, const char *text, size_t len);

/* What the server says to the query for the catalog: a DataRow, an error, the end. */
void pgr_catalog_row(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size);
void pgr_catalog_failed(struct pgr_server *s, const struct pgr_error *e);
void pgr_catalog_end(struct pgr_worker *w, struct pgr_server *s);

/* The connection goes, with the queries on it. */
void pgr_catalog_lost(struct pgr_worker *w, struct pgr_server *s);

/* The record of the pool is used for another one. */
void pgr_catalog_forget(struct pgr_wpool *pool);

/* A statement of a client's is done; only of few it matters. */
void pgr_catalog_made(struct pgr_server *s, const struct pgr_reply *r, const char *tag);

static inline void
pgr_catalog_note(struct pgr_server *s, const struct pgr_reply *r, const char *tag)
{
	if (PGR_UNLIKELY(s->made != 0 || pgr_catalog_is_overtaken(s) || tag[0] == 'C' || tag[0] == 'A' || tag[0] == 'D' ||
			(tag[0] == 'I' && tag[1] == 'M')))
		pgr_catalog_made(s, r, tag);
}

/* Its transaction is over: everybody is to know what it has changed. */
void pgr_catalog_publish(struct pgr_worker *w, struct pgr_server *s);

/*
 * Is it time to look whether the catalog was changed without us? Then the server is asked, before its
 * lease ends. False: nothing was asked.
 */
bool pgr_catalog_ask(struct pgr_worker *w, struct pgr_server *s);

static inline bool
pgr_catalog_must_look(struct pgr_worker *w, struct pgr_server *s)
{
	return PGR_UNLIKELY(w->now >= s->pool->known.look_at) && pgr_catalog_ask(w, s);
}

void pgr_catalog_looked(struct pgr_worker *w, struct pgr_server *s, const char *p, uint32_t size);

/* What names mean now; for the names of statements. */
uint64_t pgr_catalog_state(const struct pgr_worker *w, const struct pgr_wpool *pool);

#endif
