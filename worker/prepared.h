/*
 * Prepared statements on the server that a client has at the moment: which are there, what is prepared
 * for whom, what it looks like.
 *
 * A statement can be of the same text and state and yet another one: where a table was altered since. The
 * server that still has it from before says so at the Bind (0A000), another would just answer in another
 * shape. So what clients were told (Describe) is kept with their names, what servers said with the slots,
 * and where the two may differ the server is asked before anything runs.
 */
#ifndef PGR_WORKER_PREPARED_H
#define PGR_WORKER_PREPARED_H

#include "shm/slot.h"
#include "worker/statement.h"
#include "worker/worker.h"

struct pgr_error;

/* Is st on the server when it comes to what is sent next? What stands in the way is closed. */
bool pgr_prepared_is_there(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st);

/* Sees to it that it is. Returns what the server has said of it. */
const struct pgr_description *pgr_prepared_ensure(
	struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st);

/* The same for the unnamed statement, which other clients of this server may have overwritten. */
void pgr_prepared_ensure_unnamed(struct pgr_worker *w, struct pgr_client *c);

/* Makes room in the server's set by closing what was not used for longest. */
void pgr_prepared_evict(struct pgr_worker *w, struct pgr_client *c);

/* Close of a statement on the server, on our account. */
void pgr_prepared_close(
	struct pgr_worker *w, struct pgr_client *c, struct pgr_hash128 hash, const char *name);

/* Parse of a named statement, on our account or a client's; named: what the client calls it, or NULL. */
void pgr_prepared_parse(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st,
	struct pgr_named *named, bool ours);

/* Does the client have this name only until a DEALLOCATE ALL on its way takes it? */
bool pgr_prepared_is_cleared(const struct pgr_client *c, const struct pgr_named *named);

/* The client's name for the statement with this tail, as it is prepared now. NULL: no memory. */
PGR_MUST struct pgr_named *pgr_prepared_add(struct pgr_worker *w, struct pgr_client *c, const char *name,
	size_t name_len, const char *tail, uint32_t tail_len);

/*
 * A name that is new to the client, for a statement that it would find prepared on a connection of its
 * pool? In doubt no: then a server answers.
 */
bool pgr_prepared_is_known(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t name_len,
	const char *tail, uint32_t tail_len);

/*
 * The client's statement, seen to be on the server, and what that has said of it; NULL: the client has none
 * such.
 */
struct pgr_named *pgr_prepared_find(struct pgr_worker *w, struct pgr_client *c, const char *name, size_t len,
	const struct pgr_description **ret_said);

/* Prepares it anew and asks what it looks like now: the client's input waits for that. */
void pgr_prepared_compare(struct pgr_worker *w, struct pgr_client *c, struct pgr_named *named);

/*
 * The head, a Describe of ours or of a client's whose answer is kept, is answered: ParameterDescription,
 * RowDescription, NoData. body NULL: it is too long to be looked at.
 */
void pgr_prepared_said(struct pgr_worker *w, struct pgr_server *s, char type, const char *body, size_t len);

/*
 * What the client sends from p on begins with the message whose answer was noted last. If that is the first
 * of its batch, all of which is there, it can be sent again.
 */
void pgr_prepared_keep(struct pgr_server *s, const char *p, size_t have);

/*
 * The head has failed. Did it only because the server has its statement from before a change, and can be
 * sent again with all of its batch? Then nobody need hear of it.
 */
bool pgr_prepared_is_stale(struct pgr_worker *w, struct pgr_server *s, const struct pgr_error *e);

/* The server is ready for that: the batch is in the client's input once more. False: no memory. */
PGR_MUST bool pgr_prepared_again(struct pgr_server *s, struct pgr_client *c);

/* What the unnamed statement would run: the last one that was sent, if its answer is still due. */
struct pgr_reading *pgr_prepared_unnamed_reading(const struct pgr_client *c);

#endif
