/*
 * TLS on a connection to a server: asking for it (SSLRequest), the handshake, and the contexts that one
 * configuration needs for it. For logins and for cancel requests alike.
 */
#ifndef PGR_NET_SECURE_H
#define PGR_NET_SECURE_H

#include "net/tls.h"

#define PGR_SECURE_CONTEXTS 64

/* Contexts towards servers, made when first needed. Belongs to one generation: clear it with it. */
struct pgr_secure_contexts {
	unsigned n;
	struct {
		struct pgr_config_tls tls;
		struct ssl_ctx_st *ctx;
	} of[PGR_SECURE_CONTEXTS];
};

void pgr_secure_clear(struct pgr_secure_contexts *contexts);

/* The context for what tls says; it stays until pgr_secure_clear(). NULL: *err. */
struct ssl_ctx_st *pgr_secure_context(struct pgr_secure_contexts *contexts,
	const struct pgr_config_tls *tls, const struct pgr_config_secrets *secrets,
	struct pgr_err *err);

enum pgr_secure_stage {
	PGR_SECURE_ASK = 0,
	PGR_SECURE_ANSWER, /* S or N is to come */
	PGR_SECURE_SHAKE,
	PGR_SECURE_DONE,
};

/*
 * One step, at each event of the connection. *stage begins as ASK. host: as configured. OK: TLS stands;
 * CLOSED: the server has none, and the connection may go on in clear; AGAIN; FAIL (08006).
 */
PGR_MUST enum pgr_rc pgr_secure_step(enum pgr_secure_stage *stage, struct pgr_stream *stream,
	struct ssl_ctx_st *ctx, enum pgr_config_tls_mode mode, const char *host, struct pgr_err *err);

#endif
