/*
 * TLS below a stream: with `tls` set, pgr_stream_read() and pgr_stream_send() speak through it, and
 * nobody above knows. What is to be sent is encrypted at once, so that a stream's unsent rest is bytes
 * of the wire either way and a write never waits for a read. Nothing is buffered for an idle peer.
 */
#ifndef PGR_NET_TLS_H
#define PGR_NET_TLS_H

#include "config/config.h"
#include "net/stream.h"

struct ssl_ctx_st;
struct pgr_tickets;

#define PGR_TLS_BINDING_MOST 64 /* bytes of a certificate's hash */

/* Before anything is forked or loses its privileges: OpenSSL reads its own configuration here. */
void pgr_tls_init(void);

/*
 * What the configuration says as OpenSSL has it. tickets: NULL for none. Freed by pgr_tls_ctx_free();
 * connections go on with it. FAIL: *err names what cannot be used.
 */
PGR_MUST enum pgr_rc pgr_tls_for_clients(const struct pgr_config_tls *tls,
	const struct pgr_config_secrets *secrets, struct pgr_tickets *tickets,
	struct ssl_ctx_st **ret, struct pgr_err *err);
PGR_MUST enum pgr_rc pgr_tls_for_servers(const struct pgr_config_tls *tls,
	const struct pgr_config_secrets *secrets, struct ssl_ctx_st **ret, struct pgr_err *err);
void pgr_tls_ctx_free(struct ssl_ctx_st *ctx);

/*
 * Begins TLS on a stream, as the side that answers. early: what was read of the socket already, all
 * of it ciphertext. OK, AGAIN, FAIL as pgr_tls_shake().
 */
PGR_MUST enum pgr_rc pgr_tls_accept(struct pgr_stream *stream, struct ssl_ctx_st *ctx,
	const char *early, size_t len, struct pgr_err *err);

/*
 * Begins it as the side that asks. host: for SNI, and with `named` what the certificate must be for;
 * a name or a numeric address.
 */
PGR_MUST enum pgr_rc pgr_tls_connect(struct pgr_stream *stream, struct ssl_ctx_st *ctx,
	const char *host, bool named, struct pgr_err *err);

/*
 * Goes on with the handshake. AGAIN: the peer's turn. FAIL (08006): *err says why; CLOSED: the peer
 * has gone without a word. After both an alert may be on its way; call pgr_tls_end().
 */
PGR_MUST enum pgr_rc pgr_tls_shake(struct pgr_stream *stream, struct pgr_err *err);

/* Forgets TLS; the descriptor and what is unsent stay. */
void pgr_tls_end(struct pgr_stream *stream);

/* Those of stream.h, for streams with TLS. */
PGR_MUST enum pgr_rc pgr_tls_read(struct pgr_stream *stream, char *buf, size_t cap, size_t *ret_n);
enum pgr_rc pgr_tls_send(struct pgr_stream *stream, const struct pgr_vec *vec);
enum pgr_rc pgr_tls_write(struct pgr_stream *stream, const char *p, size_t len);
void pgr_tls_notify(struct pgr_stream *stream); /* close_notify */

/* ---- what was agreed ---- */

/* Version and cipher suite in 32 bits, never 0; their name, "" for 0. */
uint32_t pgr_tls_suite(const struct pgr_stream *stream);
void pgr_tls_suite_name(uint32_t suite, char *buf, size_t size);

bool pgr_tls_resumed(const struct pgr_stream *stream);
bool pgr_tls_alpn(const struct pgr_stream *stream); /* "postgresql" was agreed on */
const char *pgr_tls_server_name(const struct pgr_stream *stream); /* SNI of the client, or "" */

/*
 * tls-server-end-point (RFC 5929): the hash of the server's certificate, peer: the server is the peer.
 * 0: there is none for this kind of certificate.
 */
size_t pgr_tls_binding(
	const struct pgr_stream *stream, bool peer, uint8_t ret[PGR_TLS_BINDING_MOST]);

/* Has the peer shown a certificate that was verified? *ret_name: its common name, "" for none. */
bool pgr_tls_peer_name(const struct pgr_stream *stream, char *ret_name, size_t size);

#endif
