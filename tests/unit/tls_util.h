/*
 * Certificates made in memory, and the configuration that holds them: for tests and the fuzzer of
 * net/tls.h.
 */
#ifndef PGR_TESTS_TLS_UTIL_H
#define PGR_TESTS_TLS_UTIL_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/panic.h"
#include "net/secure.h"
#include "net/tickets.h"

/* A configuration's block of secrets with three texts in it. */
struct tls_pki {
	struct pgr_config_secrets head;
	char texts[32768];
	struct pgr_config_tls tls; /* certificate and key, and as authority the certificate itself */
};

static inline struct pgr_config_file
tls_add(struct tls_pki *pki, uint32_t *at, BIO *bio)
{
	struct pgr_config_file file = {.path = {1}, .text = {sizeof(pki->head) + *at}};
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	memcpy(pki->texts + *at, data, (size_t)len);
	*at += (uint32_t)len + 1;
	BIO_free(bio);
	return file;
}

/* Signed by itself. cn: its common name of cn_len bytes; san: as in openssl.cnf, or NULL. */
static inline void
tls_make(struct tls_pki *pki, const char *cn, int cn_len, const char *san)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *ext;
	BIO *bio;
	uint32_t at = 0;

	memset(pki, 0, sizeof(*pki));
	pki->head.magic = PGR_CONFIG_SECRETS_MAGIC;
	pki->head.size = sizeof(pki->head) + sizeof(pki->texts);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, V_ASN1_UTF8STRING,
		(unsigned char *)(uintptr_t)cn, cn_len, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	ext = san != NULL ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san) : NULL;
	if (ext != NULL)
		X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_sign(cert, key, EVP_sha256());
	at = 1; /* offset 0 means none */
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	pki->tls.cert = pki->tls.ca = tls_add(pki, &at, bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	pki->tls.key = tls_add(pki, &at, bio);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* Two ends of a connection. small: buffers that are soon full. */
static inline void
tls_pair(struct pgr_stream *a, struct pgr_stream *b, bool small)
{
	int pair[2];
	int size = 8192;

	PGR_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	for (int i = 0; small && i < 2; i++)
		PGR_ASSERT(setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	pgr_stream_init(a, pair[0]);
	pgr_stream_init(b, pair[1]);
}

static inline void
tls_close(struct pgr_stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	pgr_stream_fini(stream);
}

#endif
