/*
 * What a client sends before anything else: startup packet, CancelRequest, SSLRequest,
 * GSSENCRequest (PostgreSQL documentation, "Message Formats"; the rules are those of
 * ProcessStartupPacket() in postmaster's backend_startup.c, stricter where that one is lenient).
 * And the `options` parameter.
 */
#ifndef PGR_PROTO_STARTUP_H
#define PGR_PROTO_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rc.h"
#include "proto/out.h"

#define PGR_STARTUP_MAJOR 3u
#define PGR_STARTUP_MINOR 2u        /* newest minor version that we speak */
#define PGR_STARTUP_PAIRS 128u      /* parameters in one packet at most */
#define PGR_STARTUP_KEY_MOST 256u   /* bytes of a cancel key */

enum pgr_startup_kind {
	PGR_STARTUP_SESSION,
	PGR_STARTUP_CANCEL,
	PGR_STARTUP_SSL,
	PGR_STARTUP_GSS,
};

enum pgr_replication {
	PGR_REPLICATION_NONE,
	PGR_REPLICATION_PHYSICAL,
	PGR_REPLICATION_LOGICAL, /* replication=database */
};

/* Pointers lead into the packet, which must outlive this. Strings end in NUL. */
struct pgr_startup {
	enum pgr_startup_kind kind;

	/* SESSION */
	uint16_t minor;       /* the minor version to speak: as asked for, at most ours */
	bool negotiate;       /* NegotiateProtocolVersion is due: newer minor, or _pq_. options */
	const char *user;     /* never empty */
	const char *database; /* never empty: the user's name where none was given */
	const char *options;  /* NULL: not given */
	enum pgr_replication replication;
	const char *pairs;    /* all parameters, for the iterator */
	size_t pairs_len;
	unsigned n_settings;  /* how many the iterator will give */
	unsigned n_protocol_options;

	/* CANCEL */
	uint32_t pid;
	const char *key;
	size_t key_len; /* 4 to PGR_STARTUP_KEY_MOST */
};

/*
 * head: the first 4 bytes of the connection. *ret_size: the whole packet, these 4 included. FAIL
 * (08P01) for a length below 8 or above max: nothing that follows can be understood.
 */
PGR_MUST enum pgr_rc pgr_startup_size(const char *head, size_t max, size_t *ret_size,
	struct pgr_err *err);

/*
 * packet: one whole packet with its length word, size as pgr_startup_size() gave it. FAIL: *err is
 * what a FATAL ErrorResponse tells the client (08P01 layout, 0A000 version, 28000 no user, 22023).
 * The terminator must be the last byte; user, database, options and replication given twice are refused, where PostgreSQL would
 * take the last: who a client is must not depend on the reader.
 */
PGR_MUST enum pgr_rc pgr_startup_parse(const char *packet, size_t size, struct pgr_startup *ret,
	struct pgr_err *err);

/* Is this a CancelRequest, well-formed or not? */
bool pgr_startup_is_cancel(const char *packet, size_t size);

/*
 * The settings in the packet one after the other, in its order: every parameter but user, database,
 * options, replication and _pq_.*. *pos starts as 0. False: no more. (PostgreSQL applies `options`
 * first, then these, so that these win.)
 */
bool pgr_startup_next(const struct pgr_startup *s, size_t *pos, const char **ret_name,
	const char **ret_value);

/* Appends a NegotiateProtocolVersion message: our version, and every _pq_. option as unknown. */
void pgr_startup_negotiate(const struct pgr_startup *s, struct pgr_out *out);

/*
 * The settings in `options`: -c name=value, -cname=value, --name=value, split at white space with
 * backslash as escape, as PostgreSQL's pg_split_opts() does; dashes in a name are underscores.
 */
struct pgr_startup_options {
	const char *rest; /* not yet read */
	char *scratch;    /* where the next word goes */
};

/* scratch: strlen(options) + 1 bytes, in which all names and values given out will lie. */
void pgr_startup_options_init(struct pgr_startup_options *it, const char *options, char *scratch);

/*
 * The next setting. *ret_name is NULL when there is none. FAIL: a switch that only a PostgreSQL
 * server could understand (0A000), or one without a value (42601); *err names it.
 */
PGR_MUST enum pgr_rc pgr_startup_options_next(struct pgr_startup_options *it, const char **ret_name,
	const char **ret_value, struct pgr_err *err);

#endif
