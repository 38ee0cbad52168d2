/*
 * The replies that a server owes, in the order in which it will give them: one entry per message that
 * is answered. Entries of ours are answered to us and swallowed; LOCAL ones are answered by us when
 * their turn comes, since the server was not asked.
 */
#ifndef PGR_WORKER_REPLY_H
#define PGR_WORKER_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/rc.h"

struct pgr_named;
struct pgr_reading;
struct pgr_statement;

enum pgr_reply_kind {
	PGR_REPLY_NONE,
	PGR_REPLY_QUERY,    /* ends with ReadyForQuery */
	PGR_REPLY_FUNCTION, /* ends with ReadyForQuery */
	PGR_REPLY_SYNC,     /* ReadyForQuery */
	PGR_REPLY_PARSE,    /* ParseComplete */
	PGR_REPLY_BIND,
	PGR_REPLY_DESCRIBE, /* RowDescription or NoData, after ParameterDescription for statements */
	PGR_REPLY_EXECUTE,  /* CommandComplete, EmptyQueryResponse or PortalSuspended */
	PGR_REPLY_CLOSE,
	PGR_REPLY_REFUSED,     /* an error that we give words to: too many statements, or what is in reading */
	PGR_REPLY_LOCAL_PARSE, /* ParseComplete by us */
	PGR_REPLY_LOCAL_CLOSE, /* CloseComplete by us */
	PGR_REPLY_COPY_END,    /* no reply: marks that CopyDone or CopyFail was sent */
};

/* What a query of ours is for. */
enum pgr_purpose {
	PGR_PURPOSE_NONE,
	PGR_PURPOSE_SETTINGS, /* the client's settings, in front of its query */
	PGR_PURPOSE_RESTORE,  /* startup values behind a RESET */
	PGR_PURPOSE_PROBE,    /* does the session hold what must not be left to others? */
	PGR_PURPOSE_SETTLE,   /* ROLLBACK, DISCARD ALL */
	PGR_PURPOSE_AGAIN,    /* the end of a batch that is to be sent again; a SYNC */
	PGR_PURPOSE_CATALOG,  /* what do functions and relations leave behind? */
	PGR_PURPOSE_LOOK,     /* was that changed? */
};

struct pgr_reply {
	uint8_t kind;
	bool ours;
	bool unnamed;    /* PARSE: of the unnamed statement */
	bool tunes;      /* changes settings: counted in server->tuning */
	uint8_t purpose; /* QUERY of ours: enum pgr_purpose */
	uint32_t batch;                  /* number of the batch (up to its Sync) that it belongs to */
	struct pgr_hash128 hash;         /* PARSE, CLOSE of ours: of the named statement; else zero */
	struct pgr_statement *statement; /* PARSE: what it prepares; DESCRIBE: whose description is kept, or NULL */
	struct pgr_named *named;         /* the client's name for the statement that it is about */
	struct pgr_reading *reading;     /* QUERY, EXECUTE: what matters in its text; NULL: nothing */
};

#define PGR_REPLIES_FEW 8

/*
 * A ring; small ones live in the struct, pipelines get memory. Entries are counted by positions that
 * only rise; position p is ring[p & (cap - 1)]. Those that change the server's set of statements are
 * chained by their hash: newest[] has the youngest of each chain, older[] the next one of each entry.
 * A chain ends where a position is not in the queue any more, so popping does not touch it.
 */
struct pgr_replies {
	struct pgr_reply *first; /* NULL: there is none */
	struct pgr_reply *ring;
	uint32_t *newest; /* cap chains */
	uint32_t *older;  /* beside ring */
	uint32_t cap;     /* power of two */
	uint32_t head;    /* position of the first entry */
	uint32_t count;
	uint32_t batch; /* current batch number, from 1: raised by each Sync */
	int32_t coming; /* statements that the server will have more when it has answered all of this */
	struct pgr_reply few[PGR_REPLIES_FEW];
	uint32_t few_chains[2 * PGR_REPLIES_FEW];
};

#define PGR_REPLIES_MOST 4096u /* a client that pipelines more waits */

void pgr_replies_init(struct pgr_replies *q);
void pgr_replies_fini(struct pgr_replies *q);

/* The new last entry, zeroed but for its kind and batch. NULL: no memory. */
PGR_MUST struct pgr_reply *pgr_replies_grow(struct pgr_replies *q, enum pgr_reply_kind kind);

static inline struct pgr_reply *
pgr_replies_push(struct pgr_replies *q, enum pgr_reply_kind kind)
{
	struct pgr_reply *r;

	if (PGR_UNLIKELY(q->count == q->cap))
		return pgr_replies_grow(q, kind);
	r = &q->ring[(q->head + q->count++) & (q->cap - 1)];
	if (q->first == NULL)
		q->first = r;
	*r = (struct pgr_reply){.kind = (uint8_t)kind, .batch = q->batch};
	return r;
}

static inline struct pgr_reply *
pgr_replies_head(struct pgr_replies *q)
{
	return q->first;
}

/* i-th from the head, i < count. */
static inline struct pgr_reply *
pgr_replies_at(struct pgr_replies *q, uint32_t i)
{
	return &q->ring[(q->head + i) & (q->cap - 1)];
}

/*
 * The entry pushed last prepares (PARSE) or closes (CLOSE) the named statement with this hash; no-op
 * for one that is not in the queue (kind NONE).
 */
void pgr_replies_enter(struct pgr_replies *q, struct pgr_reply *r, struct pgr_hash128 hash);

/* The head was answered, or will not be: what it does to the set of statements is not to come any more. */
void pgr_replies_leave(struct pgr_replies *q, const struct pgr_reply *r);

/* The youngest entry that was entered with this hash; NULL: none. */
struct pgr_reply *pgr_replies_latest(struct pgr_replies *q, struct pgr_hash128 hash);

/* Entries in the middle were taken out and the others moved up. */
void pgr_replies_moved(struct pgr_replies *q);

static inline void
pgr_replies_pop(struct pgr_replies *q)
{
	q->head++;
	q->first = --q->count == 0 ? NULL : &q->ring[q->head & (q->cap - 1)];
}

#endif
