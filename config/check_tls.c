/*
 * Keys of TLS that only make sense together, and the files that they name: what OpenSSL will not take
 * is refused here, with its reason, before it can replace anything. Called once, when all files have
 * been read.
 */
#include <openssl/ssl.h>
#include <string.h>

#include "config/load.h"
#include "config/pem.h"

static void
complain(struct pgr_load *load, const struct pgr_node *at, const char *path, const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%.100s%s%s", path, path[0] != '\0' ? ": " : "", message);
	if (at != NULL)
		pgr_load_complain(load, at, &complaint);
	else
		pgr_errors_add(load->errors, (struct pgr_place){.file = "the built-in defaults"}, &complaint);
}

static void
complain_file(struct pgr_load *load, const struct pgr_node *at, const char *path,
	const struct pgr_config_file *file, const struct pgr_err *err)
{
	char message[320];

	snprintf(message, sizeof(message), "%.150s: %.150s", load->block.data + file->path.off,
		err->message);
	complain(load, at, path, message);
}

static const char *
text_of(const struct pgr_load *load, const struct pgr_config_file *file)
{
	return file->text.off == 0 || load->secrets.full ? NULL : load->secrets.data + file->text.off;
}

/* Has OpenSSL try them. */
static void
try_files(struct pgr_load *load, const struct pgr_config_tls *tls, const char *path,
	const struct pgr_node *at)
{
	SSL_CTX *ctx;
	const char *cert = text_of(load, &tls->cert);
	const char *key = text_of(load, &tls->key);
	const char *ca = text_of(load, &tls->ca);
	struct pgr_err err;

	if (cert == NULL && key == NULL && ca == NULL)
		return;
	ctx = SSL_CTX_new(TLS_method());
	if (ctx == NULL)
		return complain(load, at, path, "out of memory");
	if (cert != NULL && pgr_pem_certificate(ctx, cert, &err) != PGR_OK)
		complain_file(load, at, path, &tls->cert, &err);
	else if (cert != NULL && key != NULL && pgr_pem_key(ctx, key, &err) != PGR_OK)
		complain_file(load, at, path, &tls->key, &err);
	if (ca != NULL && pgr_pem_authorities(ctx, ca, &err) != PGR_OK)
		complain_file(load, at, path, &tls->ca, &err);
	SSL_CTX_free(ctx);
}

/* False: told. A file that was named and could not be read has been told of, too. */
static bool
check_pair(struct pgr_load *load, const struct pgr_config_tls *tls, const char *path,
	const struct pgr_node *at)
{
	bool cert = !pgr_config_is_null(tls->cert.path);
	bool key = !pgr_config_is_null(tls->key.path);

	if (cert != key && load->errors->n == 0)
		complain(load, at, path,
			cert ? "cert_file needs a key_file" : "key_file needs a cert_file");
	return cert == key;
}

/* Where one of these keys stands, or NULL. */
static const struct pgr_node *
place_of(const struct pgr_load *load, const char *prefix)
{
	const struct pgr_node *at = NULL;

	for (size_t i = 0; i < pgr_keys_count && at == NULL; i++)
		if (pgr_keys[i].where == PGR_IN_GLOBAL &&
			strncmp(pgr_keys[i].name, prefix, strlen(prefix)) == 0)
			at = load->seen[i];
	return at;
}

static void
check_client_tls(struct pgr_load *load)
{
	const struct pgr_config_tls *tls = &load->cfg.client_tls;
	bool by_cert = load->cfg.auth_type == PGR_CONFIG_AUTH_CERT;
	const struct pgr_node *at = place_of(load, "client_tls.mode");

	if (at == NULL)
		at = place_of(load, "client_tls");
	if (at == NULL)
		at = place_of(load, "auth.type");
	if (!check_pair(load, tls, "client_tls", at))
		return;
	try_files(load, tls, "client_tls", at);
	if (load->errors->n > 0)
		return; /* what seems to lack may be a file that could not be read */
	if (tls->mode != PGR_CONFIG_TLS_DISABLE && pgr_config_is_null(tls->cert.path))
		complain(load, at, "client_tls", "this mode needs cert_file and key_file");
	if (tls->mode >= PGR_CONFIG_TLS_VERIFY_CA && pgr_config_is_null(tls->ca.path))
		complain(load, at, "client_tls", "this mode needs ca_file");
	if (by_cert && (tls->mode == PGR_CONFIG_TLS_DISABLE || pgr_config_is_null(tls->ca.path)))
		complain(load, at, "auth.type", "cert needs client_tls with a ca_file");
}

/* own: what is said in this very place; tls: what holds with it. */
static void
check_server_tls(struct pgr_load *load, const struct pgr_config_tls *own,
	const struct pgr_config_tls *tls, const char *path, const struct pgr_node *at)
{
	if (!check_pair(load, own, path, at))
		return;
	try_files(load, own, path, at);
	if (load->errors->n == 0 && tls->mode >= PGR_CONFIG_TLS_VERIFY_CA &&
		pgr_config_is_null(tls->ca.path))
		complain(load, at, path, "this mode needs ca_file");
}

static void
check_servers(struct pgr_load *load, const struct pgr_draft_db *draft)
{
	struct pgr_config_server server;
	struct pgr_config_tls tls;
	char path[100];

	snprintf(path, sizeof(path), "databases.%s.servers", draft->name);
	for (uint32_t i = 0; i < draft->db.servers.n; i++) {
		memcpy(&server, load->block.data + draft->db.servers.off + i * sizeof(server),
			sizeof(server));
		pgr_config_server_tls(&load->cfg, &server, &tls);
		check_server_tls(load, &server.tls, &tls, path, draft->at);
	}
}

void
pgr_load_check_tls(struct pgr_load *load)
{
	const struct pgr_node *at = place_of(load, "server_tls.mode");

	if (load->block.full)
		return;
	if (at == NULL)
		at = place_of(load, "server_tls");
	check_client_tls(load);
	check_server_tls(load, &load->cfg.server_tls, &load->cfg.server_tls, "server_tls", at);
	for (size_t i = 0; i < load->db_count; i++)
		check_servers(load, &load->dbs[i]);
}
