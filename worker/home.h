/*
 * TLS connections to servers whose TLS is this worker's: it is their home. Its own clients use them
 * directly; a client of another worker gets one end of a socket pair, in clear, and the home passes the
 * bytes on.
 */
#ifndef PGR_WORKER_HOME_H
#define PGR_WORKER_HOME_H

#include "worker/worker.h"

static inline bool
pgr_home_is_ours(const struct pgr_server *s)
{
	return s->home.pair.fd >= 0;
}

/* The handshake is done: from now on s has its home here. FAIL: *err. */
PGR_MUST enum pgr_rc pgr_home_begin(struct pgr_worker *w, struct pgr_server *s, struct pgr_err *err);

/*
 * The slot is LEASED by us, and its connection is under TLS. True: go on, with the connection itself or,
 * where another worker is the home, with the end that the vault has. False: it is of no use.
 */
bool pgr_home_enter(struct pgr_worker *w, struct pgr_server *s);

/*
 * A borrowed connection has ended: with its home? The home ends only one direction when the server has
 * closed; a dead one leaves none.
 */
bool pgr_home_died(struct pgr_worker *w, const struct pgr_server *s);

/* Something happened on the connection, which is not ours at the moment, or on our end of the pair. */
void pgr_home_run(struct pgr_worker *w, struct pgr_server *s);
void pgr_home_event(struct pgr_worker *w, struct pgr_watch *watch, uint32_t events);

/* Our goodbye to the server, and the end of the pair. The descriptor stays. */
void pgr_home_end(struct pgr_worker *w, struct pgr_server *s);

/* Says goodbye where the monitor has asked for it; all: to every server. */
void pgr_home_part(struct pgr_worker *w, bool all);

/* Is any server connection's home here? */
bool pgr_home_any(const struct pgr_worker *w);

#endif
