/*
 * PEM texts for an SSL_CTX, with what is wrong in words: config/ tries files with it before they become
 * a configuration, net/ uses them.
 */
#ifndef PGR_CONFIG_PEM_H
#define PGR_CONFIG_PEM_H

#include "base/err.h"

struct ssl_ctx_st;

/* A certificate and, behind it, those that lead to its authority. FAIL (22023): *err says why. */
PGR_MUST enum pgr_rc pgr_pem_certificate(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err);

/* The private key of the certificate, which is there already; without a passphrase. */
PGR_MUST enum pgr_rc pgr_pem_key(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err);

/*
 * Certificates of authorities that are trusted. Revocation lists among them are enforced: then each
 * authority that signs for a peer needs one.
 */
PGR_MUST enum pgr_rc pgr_pem_authorities(struct ssl_ctx_st *ctx, const char *text, struct pgr_err *err);

#endif
