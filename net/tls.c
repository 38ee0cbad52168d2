/*
 * OpenSSL between a stream and its socket. It reads and writes through a BIO of ours, which works for
 * the one call in hand: reading stops where the socket was seen empty, so that a turn costs one
 * recv(2), and what is written gathers in one buffer and leaves in one send(2) at the end of the call;
 * what the socket does not take becomes the stream's rest, as ciphertext. So OpenSSL never waits to
 * write, and an idle connection holds no buffer (SSL_MODE_RELEASE_BUFFERS).
 *
 * Nobody here looks at OpenSSL's queue of errors to tell waiting from failing: others may leave
 * something in it. It is cleared before and after a handshake, and after each failure.
 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/panic.h"
#include "config/pem.h"
#include "net/tickets.h"

#define RECORD 16384u
#define GATHER (4 * RECORD + 1024)     /* four full records with their overhead */
#define ANSWERS_MOST (2u << 20)        /* unsent, when a peer still makes TLS itself answer */
#define TICKET_LIFETIME 7200           /* seconds */

static const unsigned char alpn_ours[] = {10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};

/* The call in hand. */
static struct {
	struct pgr_stream *stream;
	const char *early; /* read before TLS began */
	size_t early_len;
	bool dry;     /* the socket was seen empty: not asked again */
	bool waits;   /* OpenSSL was told so when it asked last */
	bool ended;   /* or at its end, or broken */
	bool reading; /* what is written answers what was read */
	size_t out_len;
	char out[GATHER];
	char piece[RECORD]; /* small pieces become one record */
} op;

static BIO_METHOD *method;

/* ---- the BIO ---- */

static int
on_read(BIO *bio, char *buf, size_t cap, size_t *ret_n)
{
	struct pgr_stream *stream = op.stream;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	op.waits = false;
	if (op.early_len > 0) {
		*ret_n = PGR_MIN(cap, op.early_len);
		memcpy(buf, op.early, *ret_n);
		op.early += *ret_n;
		op.early_len -= *ret_n;
		return 1;
	}
	n = op.dry ? 0 : recv(stream->fd, buf, cap, 0);
	if (n > 0) {
		/* after a hang-up the end itself is still to be read */
		op.dry = (size_t)n < cap && !stream->hangup;
		*ret_n = (size_t)n;
		return 1;
	}
	op.waits = op.dry = op.dry || (n < 0 && (errno == EAGAIN || errno == EINTR));
	op.ended = !op.waits;
	if (op.waits)
		BIO_set_retry_read(bio);
	return 0;
}

static void
flush(void)
{
	if (op.out_len > 0 && !op.stream->broken)
		pgr_stream_push(op.stream, op.out, op.out_len);
	op.out_len = 0;
}

static int
on_write(BIO *bio, const char *p, size_t len, size_t *ret_n)
{
	BIO_clear_retry_flags(bio);
	/* a peer that makes us answer and does not read */
	if (op.reading && op.stream->rest_len > ANSWERS_MOST)
		op.stream->broken = true;
	*ret_n = len;
	while (len > 0 && !op.stream->broken) {
		size_t n = PGR_MIN(len, sizeof(op.out) - op.out_len);

		memcpy(op.out + op.out_len, p, n);
		op.out_len += n;
		p += n;
		len -= n;
		if (len > 0)
			flush();
	}
	return op.stream->broken ? 0 : 1;
}

static long
on_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *
bio_new(void)
{
	BIO *bio = BIO_new(method);

	if (bio != NULL)
		BIO_set_init(bio, 1);
	return bio;
}

void
pgr_tls_init(void)
{
	int type;

	if (method != NULL)
		return;
	OPENSSL_init_ssl(0, NULL);
	type = BIO_get_new_index();
	method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "pgroute stream");
	PGR_ASSERT(method != NULL && BIO_meth_set_read_ex(method, on_read) == 1 &&
		BIO_meth_set_write_ex(method, on_write) == 1 && BIO_meth_set_ctrl(method, on_ctrl) == 1);
}

static void
op_begin(struct pgr_stream *stream, bool reading)
{
	op.stream = stream;
	op.early_len = op.out_len = 0;
	op.dry = op.waits = op.ended = false;
	op.reading = reading;
}

/* ---- contexts ---- */

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in,
	unsigned in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, len, alpn_ours, sizeof(alpn_ours), in,
		    in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static const char *
text_of(const struct pgr_config_secrets *secrets, const struct pgr_config_file *file)
{
	return file->text.off == 0 ? NULL : pgr_config_secret_text(secrets, file->text);
}

static enum pgr_rc
load_files(SSL_CTX *ctx, const struct pgr_config_tls *tls, const struct pgr_config_secrets *secrets,
	struct pgr_err *err)
{
	const char *cert = text_of(secrets, &tls->cert);
	const char *key = text_of(secrets, &tls->key);
	const char *ca = text_of(secrets, &tls->ca);

	if ((cert != NULL && pgr_pem_certificate(ctx, cert, err) != PGR_OK) ||
		(key != NULL && pgr_pem_key(ctx, key, err) != PGR_OK) ||
		(ca != NULL && pgr_pem_authorities(ctx, ca, err) != PGR_OK))
		return PGR_FAIL;
	return PGR_OK;
}

static SSL_CTX *
ctx_new(const SSL_METHOD *side, int min_version)
{
	SSL_CTX *ctx = SSL_CTX_new(side);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, min_version);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
			SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* into the buffer that is there for a record anyway and is released after it */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

/* A ticket tells of a certificate that these authorities have signed: others do not know it. */
static void
bind_tickets(SSL_CTX *ctx, const char *ca)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (ca == NULL)
		ca = "";
	if (EVP_Digest(ca, strlen(ca), digest, &len, EVP_sha256(), NULL) != 1)
		len = 0;
	SSL_CTX_set_session_id_context(ctx, digest, PGR_MIN(len, SSL_MAX_SID_CTX_LENGTH));
}

enum pgr_rc
pgr_tls_for_clients(const struct pgr_config_tls *tls, const struct pgr_config_secrets *secrets,
	struct pgr_tickets *tickets, struct ssl_ctx_st **ret, struct pgr_err *err)
{
	SSL_CTX *ctx = ctx_new(TLS_server_method(),
		tls->min_version == PGR_CONFIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);

	if (ctx == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	if (load_files(ctx, tls, secrets, err) != PGR_OK) {
		SSL_CTX_free(ctx);
		return PGR_FAIL;
	}
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	/* asked for, not demanded: who comes without one is told so in words after the handshake */
	if (tls->ca.text.off != 0)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	bind_tickets(ctx, text_of(secrets, &tls->ca));
	SSL_CTX_set_timeout(ctx, TICKET_LIFETIME);
	if (tickets != NULL) {
		SSL_CTX_set_num_tickets(ctx, 1);
		pgr_tickets_use(ctx, tickets);
	} else {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
	}
	*ret = ctx;
	return PGR_OK;
}

enum pgr_rc
pgr_tls_for_servers(const struct pgr_config_tls *tls, const struct pgr_config_secrets *secrets,
	struct ssl_ctx_st **ret, struct pgr_err *err)
{
	SSL_CTX *ctx = ctx_new(TLS_client_method(), TLS1_2_VERSION);
	bool verify = tls->mode >= PGR_CONFIG_TLS_VERIFY_CA ||
		(tls->mode == PGR_CONFIG_TLS_REQUIRE && tls->ca.text.off != 0);

	if (ctx == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	if (load_files(ctx, tls, secrets, err) != PGR_OK) {
		SSL_CTX_free(ctx);
		return PGR_FAIL;
	}
	SSL_CTX_set_verify(ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_alpn_protos(ctx, alpn_ours, sizeof(alpn_ours));
	*ret = ctx;
	return PGR_OK;
}

void
pgr_tls_ctx_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

/* ---- the handshake ---- */

static enum pgr_rc
begin(struct pgr_stream *stream, SSL_CTX *ctx, struct pgr_err *err)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio = ssl != NULL ? bio_new() : NULL;

	if (bio == NULL) {
		SSL_free(ssl);
		ERR_clear_error();
		return pgr_err_set(err, "53200", "out of memory");
	}
	SSL_set_bio(ssl, bio, bio);
	stream->tls = ssl;
	stream->readable = true;
	return PGR_OK;
}

/* The reason in words; what the certificate lacks says more than "certificate verify failed". */
static enum pgr_rc
tell(SSL *ssl, struct pgr_err *err)
{
	long verified = SSL_get_verify_result(ssl);
	unsigned long e = ERR_peek_last_error();
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

	if (verified != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		pgr_err_set(err, "08006", "the certificate is not accepted: %s",
			X509_verify_cert_error_string(verified));
	else if (reason != NULL)
		pgr_err_set(err, "08006", "the TLS handshake failed: %s", reason);
	else
		pgr_err_set(err, "08006", "the TLS handshake failed");
	ERR_clear_error();
	return PGR_FAIL;
}

static enum pgr_rc
shake(struct pgr_stream *stream, struct pgr_err *err)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(stream->tls);
	flush();
	stream->readable = stream->hangup || !op.dry;
	if (stream->broken || (rc != 1 && op.ended)) {
		ERR_clear_error();
		pgr_err_set(err, "08006", "the peer closed the connection during the TLS handshake");
		return PGR_CLOSED;
	}
	if (rc == 1) {
		stream->readable = true; /* what came behind the handshake is in OpenSSL's hands */
		return PGR_OK;
	}
	return op.waits ? PGR_AGAIN : tell(stream->tls, err);
}

enum pgr_rc
pgr_tls_accept(struct pgr_stream *stream, struct ssl_ctx_st *ctx, const char *early, size_t len,
	struct pgr_err *err)
{
	enum pgr_rc rc;

	if (begin(stream, ctx, err) != PGR_OK)
		return PGR_FAIL;
	SSL_set_accept_state(stream->tls);
	op_begin(stream, true);
	op.early = early;
	op.early_len = len;
	rc = shake(stream, err);
	if (rc != PGR_FAIL && rc != PGR_CLOSED && op.early_len > 0)
		return pgr_err_set(err, "08006", "the TLS handshake failed: too much at once");
	return rc;
}

static bool
is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static bool
set_name(SSL *ssl, const char *host, bool checked)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (is_address(host))
		return !checked || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	if (SSL_set_tlsext_host_name(ssl, host) != 1)
		return false;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return !checked || X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

enum pgr_rc
pgr_tls_connect(struct pgr_stream *stream, struct ssl_ctx_st *ctx, const char *host, bool checked,
	struct pgr_err *err)
{
	if (begin(stream, ctx, err) != PGR_OK)
		return PGR_FAIL;
	SSL_set_connect_state(stream->tls);
	if (!set_name(stream->tls, host, checked)) {
		ERR_clear_error();
		return pgr_err_set(err, "08006", "\"%.200s\" is no name for a certificate", host);
	}
	return pgr_tls_shake(stream, err);
}

enum pgr_rc
pgr_tls_shake(struct pgr_stream *stream, struct pgr_err *err)
{
	op_begin(stream, true);
	return shake(stream, err);
}

void
pgr_tls_end(struct pgr_stream *stream)
{
	if (stream->tls == NULL)
		return;
	op_begin(stream, false);
	SSL_free(stream->tls);
	stream->tls = NULL;
}

/* ---- after it ---- */

enum pgr_rc
pgr_tls_read(struct pgr_stream *stream, char *buf, size_t cap, size_t *ret_n)
{
	size_t have = 0;
	size_t n;

	op_begin(stream, true);
	while (have < cap && SSL_read_ex(stream->tls, buf + have, cap - have, &n) == 1) {
		have += n;
		if (op.dry && SSL_has_pending(stream->tls) == 0)
			break;
	}
	flush();
	stream->readable = stream->hangup || !op.dry || SSL_has_pending(stream->tls) != 0;
	if (have > 0) {
		*ret_n = have;
		return PGR_OK;
	}
	stream->readable = false;
	if (op.waits && !stream->broken)
		return PGR_AGAIN;
	ERR_clear_error();
	return PGR_CLOSED;
}

static bool
encrypt(struct pgr_stream *stream, const char *p, size_t len)
{
	size_t n;

	return len == 0 || SSL_write_ex(stream->tls, p, len, &n) == 1;
}

/* Small pieces gather to records of full size; long ones go from where they lie. */
static bool
encrypt_pieces(struct pgr_stream *stream, const struct pgr_vec *vec)
{
	size_t have = 0;
	bool ok = true;

	for (unsigned i = 0; ok && i < vec->n; i++) {
		const char *p = vec->piece[i].iov_base;
		size_t len = vec->piece[i].iov_len;

		while (ok && len > 0) {
			size_t n = PGR_MIN(len, RECORD - have);

			if (have == 0 && len >= RECORD) {
				n = len - len % RECORD;
				ok = encrypt(stream, p, n);
			} else {
				memcpy(op.piece + have, p, n);
				have += n;
			}
			if (ok && have == RECORD) {
				ok = encrypt(stream, op.piece, have);
				have = 0;
			}
			p += n;
			len -= n;
		}
	}
	return ok && encrypt(stream, op.piece, have);
}

static enum pgr_rc
sent(struct pgr_stream *stream, bool ok)
{
	flush();
	if (!ok) {
		ERR_clear_error();
		stream->broken = true;
	}
	return stream->broken ? PGR_CLOSED : PGR_OK;
}

enum pgr_rc
pgr_tls_write(struct pgr_stream *stream, const char *p, size_t len)
{
	if (stream->broken)
		return PGR_CLOSED;
	op_begin(stream, false);
	return sent(stream, encrypt(stream, p, len));
}

enum pgr_rc
pgr_tls_send(struct pgr_stream *stream, const struct pgr_vec *vec)
{
	if (vec->n == 1)
		return pgr_tls_write(stream, vec->piece[0].iov_base, vec->piece[0].iov_len);
	if (stream->broken)
		return PGR_CLOSED;
	op_begin(stream, false);
	return sent(stream, encrypt_pieces(stream, vec));
}

void
pgr_tls_notify(struct pgr_stream *stream)
{
	if (stream->broken || SSL_in_init(stream->tls) ||
		(SSL_get_shutdown(stream->tls) & SSL_SENT_SHUTDOWN) != 0)
		return;
	op_begin(stream, false);
	(void)SSL_shutdown(stream->tls);
	ERR_clear_error();
	flush();
}

/* ---- what was agreed ---- */

uint32_t
pgr_tls_suite(const struct pgr_stream *stream)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(stream->tls);

	return (uint32_t)SSL_version(stream->tls) << 16 |
		(cipher != NULL ? SSL_CIPHER_get_protocol_id(cipher) : 0u);
}

void
pgr_tls_suite_name(uint32_t suite, char *buf, size_t size)
{
	static SSL *any; /* what knows the ciphers */
	unsigned char id[2] = {(unsigned char)(suite >> 8 & 255), (unsigned char)(suite & 255)};
	const SSL_CIPHER *cipher;
	SSL_CTX *ctx;

	if (suite == 0) {
		buf[0] = '\0';
		return;
	}
	if (any == NULL && (ctx = SSL_CTX_new(TLS_method())) != NULL) {
		any = SSL_new(ctx);
		SSL_CTX_free(ctx);
	}
	cipher = any != NULL ? SSL_CIPHER_find(any, id) : NULL;
	snprintf(buf, size, "%s/%s", suite >> 16 == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2",
		cipher != NULL ? SSL_CIPHER_get_name(cipher) : "?");
}

bool
pgr_tls_resumed(const struct pgr_stream *stream)
{
	return SSL_session_reused(stream->tls) == 1;
}

bool
pgr_tls_alpn(const struct pgr_stream *stream)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(stream->tls, &name, &len);
	return len == alpn_ours[0] && memcmp(name, alpn_ours + 1, len) == 0;
}

const char *
pgr_tls_server_name(const struct pgr_stream *stream)
{
	const char *name = SSL_get_servername(stream->tls, TLSEXT_NAMETYPE_host_name);

	return name != NULL ? name : "";
}

/* RFC 5929: the hash of the signature, but SHA-256 for MD5 and SHA-1. */
static const EVP_MD *
binding_digest(X509 *cert)
{
	int nid = NID_undef;

	if (X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
		return NULL;
	return nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
}

size_t
pgr_tls_binding(const struct pgr_stream *stream, bool peer, uint8_t ret[PGR_TLS_BINDING_MOST])
{
	X509 *cert = peer ? SSL_get0_peer_certificate(stream->tls) : SSL_get_certificate(stream->tls);
	const EVP_MD *digest = cert != NULL ? binding_digest(cert) : NULL;
	unsigned len = 0;

	if (digest == NULL || EVP_MD_get_size(digest) > PGR_TLS_BINDING_MOST ||
		X509_digest(cert, digest, ret, &len) != 1)
		len = 0;
	ERR_clear_error();
	return len;
}

/* A name with a NUL inside would be read as a shorter one: it is none. */
static void
common_name(X509 *cert, char *ret, size_t size)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int len = -1;

	ret[0] = '\0';
	if (at >= 0)
		len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0 && (size_t)len < size && memchr(text, '\0', (size_t)len) == NULL) {
		memcpy(ret, text, (size_t)len);
		ret[len] = '\0';
	}
	OPENSSL_free(text);
	ERR_clear_error();
}

bool
pgr_tls_peer_name(const struct pgr_stream *stream, char *ret_name, size_t size)
{
	X509 *cert = SSL_get0_peer_certificate(stream->tls);

	ret_name[0] = '\0';
	if (cert == NULL || SSL_get_verify_result(stream->tls) != X509_V_OK ||
		SSL_get_verify_mode(stream->tls) == SSL_VERIFY_NONE)
		return false;
	common_name(cert, ret_name, size);
	return true;
}
