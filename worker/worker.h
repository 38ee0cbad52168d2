/*
 * A worker: one event loop that serves clients and leases server connections. This header has the
 * structures that the files of this folder share; each file's own header has its functions.
 */
#ifndef PGR_WORKER_WORKER_H
#define PGR_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "config/config.h"
#include "net/loop.h"
#include "net/secure.h"
#include "net/sock.h"
#include "net/stream.h"
#include "proto/wire.h"
#include "shm/average.h"
#include "shm/segment.h"
#include "shm/stats.h"
#include "worker/reply.h"
#include "worker/track.h"

#define PGR_BUFFER 65536u /* one read; what must be in memory whole and is longer gets its own */
#define PGR_LISTENERS 16
#define PGR_KEPT_MOST 512u /* bytes of a batch that can be sent again */

/*
 * What is read of one peer before the others have their turn: so much is passed on in a fraction of a
 * millisecond, and beside it a look for events costs about a hundredth.
 */
#define PGR_TURN_READS 4

struct pgr_portal;
struct pgr_reading;
struct pgr_readings;
struct pgr_settings;
struct pgr_statement;
struct pgr_statements;
struct pgr_names;
struct pgr_console;
struct pgr_login;
struct pgr_dial;
struct pgr_client;
struct pgr_server;
struct pgr_worker;

/* What an event's data points to. */
enum pgr_watch_kind {
	PGR_WATCH_LISTENER,
	PGR_WATCH_POKE,
	PGR_WATCH_VAULT,
	PGR_WATCH_CLIENT,
	PGR_WATCH_SERVER,
	PGR_WATCH_HOME,
	PGR_WATCH_CANCEL,
};

struct pgr_watch {
	enum pgr_watch_kind kind;
	int fd; /* LISTENER, POKE, VAULT */
	struct pgr_list more; /* CLIENT, SERVER: in worker->yielded */
};

/* What is known of the catalog of a pool's database; by catalog.c. */
struct pgr_known {
	struct pgr_catalog *catalog;   /* NULL: it was not read, or could not be */
	const struct pgr_name_set *unsafe; /* names in it; NULL: nothing is unsafe, or it is not known */
	struct pgr_catalog_load *load; /* under way; NULL: none is */
	uint32_t serial; /* of the verdicts, for readings that were made by them; 0: there are none */
	uint32_t bodies; /* struct pgr_ddl and the pool's epoch, as they were when it was read */
	uint32_t epoch;
	const struct pgr_ddl *ddl; /* of the database; NULL: it was not read, or could not be */
	bool refused;      /* the server does not let it be read */
	pgr_usec retry_at; /* it is tried again */
	pgr_usec look_at;  /* is it time to look whether it has changed? */
};

/* A pool as this worker knows it. */
struct pgr_wpool {
	struct pgr_pool_view view;
	uint32_t serial; /* of the pool record when we got to know it */
	uint32_t clients;
	struct pgr_list waiters; /* of struct pgr_leg.wait, oldest first */
	uint32_t waiting;
	uint32_t dials;
	struct pgr_stats_pool *stats;
	struct pgr_known known;
};

/*
 * A session's way to one server. Unsharded databases have one; several later. The replies that it
 * owes the client are in the server's queue while it has a server.
 */
struct pgr_leg {
	struct pgr_client *client;
	struct pgr_wpool *pool;
	struct pgr_server *server; /* leased, and its descriptor is at hand */
	pgr_slot_id fetching;      /* leased, the descriptor is on its way from the vault; or dialed for it */
	struct pgr_list wait;      /* in pool->waiters */
	struct pgr_list run;       /* in worker->runnable: has got what it waited for */
	uint64_t ticket;
	pgr_usec wait_since;
	bool fresh; /* leased, and the settings were not yet compared */
	bool tried; /* what was sent may come out otherwise: nothing else is until it is answered */
	uint8_t compares; /* how often it was asked what the statement of the Bind at hand looks like now */
	bool judging; /* waits for the catalog, before a text is sent */
	bool held;  /* a ReadyForQuery is held back until startup values are put back */
};

#define PGR_CLIENT_STATES(X)                                                                       \
	X(STARTUP, "startup")   /* nothing, or a part of the startup packet */                     \
	X(SHAKING, "login")     /* TLS handshake, before or instead of the first packet */         \
	X(AUTH, "login")        /* waits for a password message */                                 \
	X(POOL, "login")        /* waits for the monitor to make its pool */                       \
	X(GREET, "login")       /* waits for a server connection to be greeted with */             \
	X(READY, "ready")                                                                          \
	X(CONSOLE, "console")   /* in the admin console */                                         \
	X(CANCEL, "cancel")     /* a cancel request, kept until it was delivered */                \
	X(CLOSING, "closing")   /* its last words are being sent */                                \
	X(DEAD, "dead")         /* freed at the end of the turn */

enum pgr_session {
#define X(name, text) PGR_SESSION_##name,
	PGR_CLIENT_STATES(X)
#undef X
};

/* What is thrown away of a client's input after it was given an error without a server. */
enum pgr_discard {
	PGR_DISCARD_NONE,
	PGR_DISCARD_REQUEST, /* a simple query, or as below */
	PGR_DISCARD_SYNC,    /* until the next Sync, which is answered */
};

struct pgr_client {
	struct pgr_watch watch;
	enum pgr_session state;
	struct pgr_stream io;
	struct pgr_list all; /* worker->clients or worker->dead */
	char *in;            /* input that could not be used yet */
	uint32_t in_len;
	uint32_t in_cap;
	uint32_t in_need;  /* bytes that must be there before it is looked at again */
	uint32_t in_used;  /* of the message in hand: where the next one, or what is left to skip, begins */
	uint32_t skip;     /* bytes of a message still to come that go where the header went */
	bool skip_forward; /* to the server; else they are dropped */
	bool batch;        /* extended messages without their Sync are under way */
	bool leaving;      /* Terminate was read */
	bool unfit;        /* its settings cannot be applied: the session ends */
	bool gone;         /* end of stream was read */
	bool stalled;      /* input waits for the server to catch up */
	bool outruns;      /* stalled: what comes next hangs on how an earlier request ends */
	bool canceling;    /* a cancel waits until its settings are answered */
	uint8_t discard;   /* enum pgr_discard */
	uint8_t pin;       /* enum pgr_pin */
	bool pin_stays;    /* until DISCARD ALL: a probe could not see that it has gone */
	uint8_t minor;     /* protocol 3.x */
	uint8_t mode;      /* enum pgr_pool_mode at its login, which it keeps */
	bool tracks;       /* its prepared statements are tracked, likewise */
	bool strings;      /* where its settings say nothing, standard_conforming_strings is off */
	bool opaque;       /* likewise, client_encoding is one in which texts cannot be read */
	uint64_t defaults; /* what these two make of texts, beside the state of its settings (settings.h) */
	pgr_client_id rec;
	struct pgr_leg leg;
	struct pgr_track track;        /* of its settings; what it asked for at login is track.startup */
	struct pgr_settings *settings; /* in force now, as far as acknowledged */
	struct pgr_settings *sure;     /* at the last ReadyForQuery, as the server has them */
	struct pgr_settings *told;     /* reports are held back: what the client believes; else NULL */
	struct pgr_settings *restore;  /* RESET took these startup values away; NULL: none */
	struct pgr_settings *put_back; /* those that were put back in this transaction; NULL: none */
	struct pgr_names *names;       /* prepared statements by the client's names */
	struct pgr_statement *unnamed;
	struct pgr_reading *bound;     /* of the unnamed portal */
	struct pgr_portal *portals;    /* named ones whose statement has a reading */
	struct pgr_named *portal;      /* bound last of those whose description is to be kept; NULL: none */
	uint32_t portal_hash;          /* of that portal's name */
	bool portals_doubtful;         /* a Bind has failed since the transaction began */
	struct pgr_login *login; /* only until READY */
	struct pgr_console *console; /* only in CONSOLE */
	uint32_t kills;          /* of its pool when it joined */
	pgr_usec since;          /* last change between idle and busy */
	pgr_usec query_start;    /* 0: none */
	pgr_usec xact_start;     /* 0: none */
};

/* What a server connection is doing for this worker. */
enum pgr_server_use {
	PGR_SERVER_PARKED,   /* not ours at the moment */
	PGR_SERVER_DIALING,
	PGR_SERVER_LEASED,   /* for server->leg */
	PGR_SERVER_SETTLING, /* its client left or is done: brought to a clean state, then returned */
};

/* What the client's statements did since the last ReadyForQuery (effect.c). */
struct pgr_cycle {
	uint32_t statement; /* completed ones of the Query at the head */
	uint8_t pin;        /* enum pgr_pin */
	bool pin_stays;
	bool eventful;    /* any of the rest, or settings were set or reported, or there was an error */
	bool touched;     /* settings may be other ones now */
	bool syntax;      /* an error said that the text is no SQL: nothing of it ran */
	bool releases;    /* what pinned may have gone */
	bool unrestored;  /* startup values could not be put back */
	bool discarded;   /* DISCARD ALL */
	bool behind;      /* and something that matters in the same batch behind it */
};

/* What the home of a TLS connection has for the clients of others (home.c). */
struct pgr_home {
	struct pgr_watch watch;
	struct pgr_stream pair; /* our end; fd -1: the connection is in clear, or its home elsewhere */
	int lent;               /* our duplicate of the other end, which is in the vault */
	uint64_t generation;    /* of the slot's word at our own last lease */
	bool passed;            /* something went to a lessee since then */
	bool ended;             /* the server's end was seen while it was lent */
};

struct pgr_server {
	struct pgr_watch watch;
	enum pgr_server_use use;
	struct pgr_stream io;
	struct pgr_home home;
	pgr_slot_id slot;
	uint32_t conn; /* the descriptor is that of this connection */
	bool registered;
	struct pgr_wpool *pool;
	struct pgr_leg *leg;
	struct pgr_dial *dial;
	bool bound; /* dialed for one client alone, and not among the dials of its pool */
	struct pgr_replies replies;
	char *in; /* an incomplete message */
	uint32_t in_len;
	uint32_t skip;     /* bytes of a message still to come */
	bool skip_forward; /* to the client; else they are dropped */
	bool batch;        /* extended messages without their Sync were sent */
	bool skipping;     /* the server ignores everything up to a Sync not yet sent */
	bool copy_in;      /* the server reads COPY data */
	bool stray_sync;   /* COPY may have swallowed a Sync, or it may be answered after all */
	bool reset;        /* needs DISCARD ALL before another client */
	bool abandoned;    /* settling: what runs is to be canceled */
	bool rolled_back;  /* ROLLBACK was tried while settling */
	bool told_fatal;   /* the client has had the server's own last words */
	bool uncancelable;     /* as the slot says: not to be cancelled on our account */
	uint32_t committing;   /* entries of replies that may end a transaction */
	bool settings_failed; /* what we sent ourselves failed: not fit for use */
	bool hurried;   /* settings were sent while a short time limit of another client may be in force */
	bool hindered;  /* which has ended them: they are sent again */
	uint8_t hindrances; /* how often, in this lease */
	bool refused_block;    /* a transaction was opened in statement mode */
	char status;           /* of the last ReadyForQuery */
	bool doomed; /* an error since the transaction began: what was set in it goes */
	bool probe;  /* the client's pin may have ended: to be looked for before the slot is free */
	bool found;  /* the probe has found something */
	bool unread; /* leased dirty, and not yet read */
	bool continued; /* nobody has had it since its client had it last */
	bool loads;  /* it is asked for the catalog */
	bool looks;  /* it is asked whether that has changed */
	bool unjudged; /* something was run of which the catalog was not asked: closed when it is free */
	const struct pgr_ddl *judged_by; /* what texts of this lease were judged by, at the number `verdicts`; NULL: not */
	uint32_t verdicts;
	uint8_t made;  /* what DDL has changed in this transaction; PGR_MADE_ of catalog.h */
	uint32_t tuning; /* entries of replies that change settings */
	uint32_t retuning; /* those that change how texts are read */
	uint32_t resetting; /* those behind which startup values are put back */
	uint32_t clearing; /* those that leave nothing prepared */
	uint32_t making; /* those that are DDL */
	struct pgr_cycle cycle;
	struct pgr_settings *reports; /* ParameterStatus that were not yet taken into account; NULL: none */
	uint32_t batch_at;   /* position in replies of the first message of the batch at hand, or of one before */
	uint32_t kept_batch; /* the batch whose beginning is kept, or was too much to be kept; 0: none */
	uint32_t kept_at;    /* position in replies of its first message */
	uint16_t kept;       /* bytes; 0: it cannot be sent again */
	bool repeated;       /* it was, once */
	char keeps[PGR_KEPT_MOST];
	uint32_t unnamed_pending; /* Parse of the unnamed statement in this batch, unanswered */
	pgr_usec deadline;        /* of settling or dialing; 0: none */
};

/* Whom it is leased for; NULL: nobody, or its client has left. */
static inline struct pgr_client *
pgr_server_client(const struct pgr_server *s)
{
	return s->leg != NULL ? s->leg->client : NULL;
}

/*
 * Settings of its client are being applied. Nothing of the client may run without them, so this is not the
 * moment to cancel.
 */
static inline bool
pgr_server_is_being_set_up(struct pgr_server *s)
{
	const struct pgr_reply *head = pgr_replies_head(&s->replies);

	return head != NULL && (head->purpose == PGR_PURPOSE_SETTINGS || head->purpose >= PGR_PURPOSE_CATALOG);
}

struct pgr_worker {
	struct pgr_shm *shm;
	uint32_t self;
	uint32_t home; /* pgr_slot_home() of this process */
	pgr_usec now;
	pgr_usec next_tick;
	struct pgr_loop loop;
	const struct pgr_config *config;
	const struct pgr_config_secrets *secrets;
	uint64_t version;
	struct ssl_ctx_st *client_tls;       /* NULL: TLS is declined */
	struct pgr_secure_contexts contexts; /* TLS towards servers */
	struct pgr_keepalive keepalive;
	struct pgr_watch poke;
	struct pgr_watch vault;
	struct pgr_watch listener[PGR_LISTENERS];
	uint32_t listeners;
	bool accepting;
	pgr_usec accept_after; /* out of descriptors: not before */
	int client_fds;        /* descriptors from here on are for servers, and for clients that are refused */
	uint64_t accept_turn;  /* the last that had clients to accept, */
	unsigned accept_most;  /* and how many it took */
	struct pgr_list clients;
	struct pgr_list dead;
	struct pgr_list runnable; /* of struct pgr_leg.run; served after each event */
	struct pgr_list yielded;  /* of struct pgr_watch.more: no event tells that they have more to read */
	struct pgr_list cancels;  /* of struct pgr_cancel */
	struct pgr_list dead_cancels;
	uint32_t waiting;         /* clients that wait, over all pools */
	struct pgr_wpool **pool;     /* by pool id */
	struct pgr_server **server;  /* by slot id */
	uint32_t servers_top;        /* highest slot in server[] + 1 */
	struct pgr_client *commanding; /* whose console command the master has; NULL: nobody's, or it has left */
	bool command_sent;             /* and has not answered yet */
	struct pgr_list lifts;         /* console_order.c */
	struct pgr_average average;    /* for SHOW STATS */
	struct pgr_client *asking[PGR_ASKS]; /* who waits for the answer to each request to the monitor */
	uint32_t dials_waiting; /* for a login token, an address, or room in the vault's queue */
	uint32_t *free_recs;
	uint32_t free_rec_count;
	uint32_t next_rec;
	struct pgr_statements *statements;
	struct pgr_readings *readings;
	uint64_t next_state; /* of those that no two statements share */
	struct pgr_stats_proc *stats;
	char *buffer;       /* PGR_BUFFER: what is read in one go */
	char *spare;        /* another, for what is read while that one is in use */
	struct pgr_vec out; /* towards whoever is being fed; sent before anything else is fed */
	struct pgr_vec back; /* towards a client whose own input is being read */
};

/* The peer has had its share of this turn: the next one goes on with it, behind its events. */
static inline void
pgr_worker_yield(struct pgr_worker *w, struct pgr_watch *watch)
{
	pgr_list_remove(&watch->more);
	pgr_list_push(&w->yielded, &watch->more);
}

/* Runs worker `self` until it is told to stop. Never returns early; the exit code is the result. */
int pgr_worker_run(struct pgr_shm *shm, uint32_t self, const int *listeners, uint32_t count, int vault);

#endif
