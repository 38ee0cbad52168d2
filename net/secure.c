/*
 * SSLRequest (PostgreSQL documentation, "SSL Session Encryption") from the asking side. Of the answer
 * exactly one byte is read: whatever an attacker has put behind it becomes part of the handshake, which
 * then fails (CVE-2021-23222). Called by worker/ and monitor/.
 */
#include "net/secure.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"

#define SSL_REQUEST 80877103u

void
pgr_secure_clear(struct pgr_secure_contexts *contexts)
{
	for (unsigned i = 0; i < contexts->n; i++)
		pgr_tls_ctx_free(contexts->of[i].ctx);
	contexts->n = 0;
}

struct ssl_ctx_st *
pgr_secure_context(struct pgr_secure_contexts *contexts, const struct pgr_config_tls *tls,
	const struct pgr_config_secrets *secrets, struct pgr_err *err)
{
	struct ssl_ctx_st *ctx;

	for (unsigned i = 0; i < contexts->n; i++)
		if (memcmp(&contexts->of[i].tls, tls, sizeof(*tls)) == 0)
			return contexts->of[i].ctx;
	if (pgr_tls_for_servers(tls, secrets, &ctx, err) != PGR_OK)
		return NULL;
	if (contexts->n == PGR_SECURE_CONTEXTS)
		pgr_secure_clear(contexts);
	contexts->of[contexts->n].tls = *tls;
	contexts->of[contexts->n++].ctx = ctx;
	return ctx;
}

static enum pgr_rc
ask(struct pgr_stream *stream, struct pgr_err *err)
{
	char request[8];

	pgr_put32(request, sizeof(request));
	pgr_put32(request + 4, SSL_REQUEST);
	if (pgr_stream_push(stream, request, sizeof(request)) != PGR_OK)
		return pgr_err_set(err, "08006", "the server closed the connection when asked for TLS");
	return PGR_OK;
}

static enum pgr_rc
read_answer(struct pgr_stream *stream, char *ret, struct pgr_err *err)
{
	ssize_t n = recv(stream->fd, ret, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		stream->readable = false;
		return PGR_AGAIN;
	}
	if (n != 1)
		return pgr_err_set(err, "08006", "the server closed the connection when asked for TLS");
	if (*ret != 'S' && *ret != 'N')
		return pgr_err_set(err, "08006", *ret == 'E'
				? "the server answered the request for TLS with an error"
				: "the server did not understand the request for TLS");
	return PGR_OK;
}

enum pgr_rc
pgr_secure_step(enum pgr_secure_stage *stage, struct pgr_stream *stream, struct ssl_ctx_st *ctx,
	enum pgr_config_tls_mode mode, const char *host, struct pgr_err *err)
{
	enum pgr_rc rc = PGR_OK;
	char byte = 'N';

	if (*stage == PGR_SECURE_ASK) {
		rc = ask(stream, err);
		*stage = PGR_SECURE_ANSWER;
	}
	if (rc == PGR_OK && *stage == PGR_SECURE_ANSWER) {
		rc = read_answer(stream, &byte, err);
		if (rc == PGR_OK && byte == 'N')
			return PGR_CLOSED;
		if (rc != PGR_OK)
			return rc;
		*stage = PGR_SECURE_SHAKE;
		rc = pgr_tls_connect(stream, ctx, host, mode == PGR_CONFIG_TLS_VERIFY_FULL, err);
	} else if (rc == PGR_OK && *stage == PGR_SECURE_SHAKE) {
		rc = pgr_tls_shake(stream, err);
	}
	if (rc == PGR_OK)
		*stage = PGR_SECURE_DONE;
	return rc == PGR_CLOSED ? PGR_FAIL : rc; /* the peer has gone: *err says so */
}
