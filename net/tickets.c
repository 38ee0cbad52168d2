/*
 * AES-256-CBC and HMAC-SHA-256 over a ticket, as RFC 5077 recommends. A ticket that was sealed with an
 * older key is opened and replaced. Rotated by the master, used by OpenSSL in workers.
 */
#include "net/tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

enum pgr_rc
pgr_tickets_rotate(struct pgr_tickets *tickets, struct pgr_err *err)
{
	uint64_t next = atomic_load(&tickets->newest) + 1;
	struct pgr_ticket_key *key = &tickets->key[next % PGR_TICKET_KEYS];

	if (RAND_bytes(key->name, sizeof(key->name)) != 1 ||
		RAND_bytes(key->cipher, sizeof(key->cipher)) != 1 ||
		RAND_bytes(key->mac, sizeof(key->mac)) != 1)
		return pgr_err_set(err, "58000", "no random numbers");
	atomic_store(&tickets->newest, next);
	return PGR_OK;
}

static bool
set_mac(EVP_MAC_CTX *mac, struct pgr_ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int
seal(struct pgr_ticket_key *key, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac)
{
	memcpy(name, key->name, sizeof(key->name));
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
		EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 ||
		!set_mac(mac, key))
		return -1;
	return 1;
}

/* OpenSSL's answers: 0 a full handshake, 1 good, 2 good and to be replaced, -1 an error. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
	int enc)
{
	struct pgr_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	uint64_t newest = atomic_load(&tickets->newest);

	if (newest == 0)
		return 0;
	if (enc)
		return seal(&tickets->key[newest % PGR_TICKET_KEYS], name, iv, cipher, mac);
	for (uint64_t i = newest; i > 0 && i + PGR_TICKET_KEYS > newest; i--) {
		struct pgr_ticket_key *key = &tickets->key[i % PGR_TICKET_KEYS];

		if (memcmp(name, key->name, sizeof(key->name)) != 0)
			continue;
		if (!set_mac(mac, key) ||
			EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1)
			return -1;
		return i == newest ? 1 : 2;
	}
	return 0;
}

void
pgr_tickets_use(struct ssl_ctx_st *ctx, struct pgr_tickets *tickets)
{
	SSL_CTX_set_app_data(ctx, tickets);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
