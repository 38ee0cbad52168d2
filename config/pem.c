/*
 * Certificates and keys as OpenSSL takes them. Called at the loading of a configuration, which a text
 * that fails here does not survive, and by net/tls.c for texts that have passed. Leaves nothing in
 * OpenSSL's queue of errors.
 */
#include "config/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/* What it means, and OpenSSL's own reason where it has one. */
static enum pgr_rc
fail(struct pgr_err *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

	pgr_err_set(err, "22023", "%s%s%s%s", what, reason != NULL ? " (" : "",
		reason != NULL ? reason : "", reason != NULL ? ")" : "");
	ERR_clear_error();
	return PGR_FAIL;
}

static enum pgr_rc
refuse(struct pgr_err *err, const char *reason)
{
	ERR_clear_error();
	return pgr_err_set(err, "22023", "%s", reason);
}

/* Has the text been read to its end, and not to something that is broken? */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return e == 0 || (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE);
}

static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static enum pgr_rc
read_chain(struct ssl_ctx_st *ctx, BIO *bio, struct pgr_err *err)
{
	X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	bool ok;

	if (cert == NULL)
		return at_end() ? refuse(err, "holds no certificate in PEM") : fail(err, "holds a certificate that cannot be read");
	ok = SSL_CTX_use_certificate(ctx, cert) == 1;
	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
		if (!ok)
			X509_free(cert);
	}
	if (!ok || !at_end())
		return fail(err, "holds a certificate that cannot be used");
	ERR_clear_error();
	return PGR_OK;
}

enum pgr_rc
pgr_pem_certificate(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	enum pgr_rc rc = bio != NULL ? read_chain(ctx, bio, err) : fail(err, "out of memory");

	BIO_free(bio);
	return rc;
}

enum pgr_rc
pgr_pem_key(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	bool asked = false;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked) : NULL;
	enum pgr_rc rc = PGR_OK;

	BIO_free(bio);
	if (asked)
		rc = refuse(err, "is protected by a passphrase; a key without one is needed");
	else if (key == NULL)
		rc = refuse(err, "holds no private key in PEM");
	else if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		rc = refuse(err, "is not the key of the certificate");
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = fail(err, "cannot be used");
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

/* One element of the text: a certificate, a revocation list, or both. */
static bool
trust(struct ssl_ctx_st *ctx, const X509_INFO *info, unsigned *count)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	if (info->x509 != NULL) {
		++*count;
		if (X509_STORE_add_cert(store, info->x509) != 1 || SSL_CTX_add_client_CA(ctx, info->x509) != 1)
			return false;
	}
	if (info->crl == NULL)
		return true;
	return X509_STORE_add_crl(store, info->crl) == 1 &&
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

enum pgr_rc
pgr_pem_authorities(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	STACK_OF(X509_INFO) *all = bio != NULL ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
	unsigned count = 0;
	bool ok = all != NULL;

	BIO_free(bio);
	for (int i = 0; ok && i < sk_X509_INFO_num(all); i++)
		ok = trust(ctx, sk_X509_INFO_value(all, i), &count);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (!ok)
		return fail(err, "holds something that is no certificate");
	ERR_clear_error();
	return count > 0 ? PGR_OK : refuse(err, "holds no certificate in PEM");
}
