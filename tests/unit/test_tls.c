#include "net/tls.h"

#include <openssl/err.h>

#include "tls_util.h"
#include "unit.h"

static struct tls_pki pki;
static struct pgr_tickets tickets;
static struct ssl_ctx_st *listener, *dialer;
static struct pgr_stream server, client;
static struct pgr_err server_err, client_err;

static void
begin(enum pgr_config_tls_mode mode, const char *san)
{
	struct pgr_err err;

	pgr_tls_init();
	tls_make(&pki, "app", 3, san);
	ck_assert_int_eq(pgr_tickets_rotate(&tickets, &err), PGR_OK);
	pki.tls.mode = mode;
	ck_assert_int_eq(pgr_tls_for_clients(&pki.tls, (void *)&pki, &tickets, &listener, &err), PGR_OK);
	ck_assert_int_eq(pgr_tls_for_servers(&pki.tls, (void *)&pki, &dialer, &err), PGR_OK);
}

static void
end(void)
{
	tls_close(&server);
	tls_close(&client);
	pgr_tls_ctx_free(listener);
	pgr_tls_ctx_free(dialer);
}

/* Both sides in turn until both are done, or one fails. */
static void
shake(const char *host, bool named, enum pgr_rc *ret_server, enum pgr_rc *ret_client)
{
	*ret_client = pgr_tls_connect(&client, dialer, host, named, &client_err);
	*ret_server = pgr_tls_accept(&server, listener, NULL, 0, &server_err);
	for (int i = 0; i < 20 && (*ret_server == PGR_AGAIN || *ret_client == PGR_AGAIN); i++) {
		if (*ret_client == PGR_AGAIN)
			*ret_client = pgr_tls_shake(&client, &client_err);
		(void)pgr_stream_drain(&client);
		if (*ret_server == PGR_AGAIN)
			*ret_server = pgr_tls_shake(&server, &server_err);
		(void)pgr_stream_drain(&server);
	}
}

static void
connect_both(bool small)
{
	enum pgr_rc s, c;

	tls_pair(&server, &client, small);
	shake("db.test", false, &s, &c);
	ck_assert_msg(s == PGR_OK && c == PGR_OK, "%s / %s", server_err.message, client_err.message);
}

/* Reads until nothing comes; the bytes must be those of the pattern from `at` on. */
static size_t
read_all(struct pgr_stream *stream, size_t cap, size_t at)
{
	static char buf[65536];
	size_t n, total = 0;

	stream->readable = true;
	while (stream->readable) {
		if (pgr_stream_read(stream, buf, cap, &n) != PGR_OK)
			break;
		for (size_t i = 0; i < n; i++)
			ck_assert_int_eq(buf[i], (char)((at + total + i) * 7));
		total += n;
	}
	return total;
}

static void
fill(char *p, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (char)((at + i) * 7);
}

START_TEST(test_tls_pieces_of_every_size_arrive_in_order)
{
	static const size_t sizes[] = {1, 2, 100, 16383, 16384, 16385, 32768, 50000};
	static struct pgr_vec vec;
	static char data[8][65536];
	size_t sent = 0, got = 0;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	connect_both(false);
	for (unsigned n = 1; n <= 8; n++) {
		pgr_vec_reset(&vec);
		for (unsigned i = 0; i < n; i++) {
			fill(data[i], sizes[i], sent);
			pgr_vec_add(&vec, data[i], sizes[i]);
			sent += sizes[i];
		}
		ck_assert_int_eq(pgr_stream_send(&server, &vec), PGR_OK);
		for (int k = 0; k < 100 && got < sent; k++) {
			got += read_all(&client, n == 3 ? 1 : 65536, got);
			(void)pgr_stream_drain(&server);
		}
		ck_assert_uint_eq(got, sent);
	}
	end();
}
END_TEST

START_TEST(test_tls_what_the_socket_does_not_take_is_the_rest)
{
	static char data[65536];
	size_t sent = 0, got = 0;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	connect_both(true);
	for (int i = 0; i < 20; i++) {
		fill(data, sizeof(data), sent);
		ck_assert_int_eq(pgr_stream_write(&server, data, sizeof(data)), PGR_OK);
		sent += sizeof(data);
	}
	ck_assert(pgr_stream_blocked(&server));
	while (got < sent) {
		size_t before = got;

		got += read_all(&client, 65536, got);
		(void)pgr_stream_drain(&server);
		ck_assert(got > before || pgr_stream_blocked(&server));
	}
	ck_assert(!pgr_stream_blocked(&server));
	ck_assert_ptr_null(server.rest);
	end();
}
END_TEST

START_TEST(test_tls_end_of_the_peer_comes_behind_its_bytes)
{
	char byte;
	size_t n;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	for (int polite = 0; polite <= 1; polite++) {
		connect_both(false);
		ck_assert_int_eq(pgr_stream_write(&client, "\0", 1), PGR_OK);
		if (polite)
			pgr_stream_shut(&client);
		else
			shutdown(client.fd, SHUT_WR);
		server.readable = server.hangup = true;
		ck_assert_int_eq(pgr_stream_read(&server, &byte, 1, &n), PGR_OK);
		ck_assert(server.readable);
		ck_assert_int_eq(pgr_stream_read(&server, &byte, 1, &n), PGR_CLOSED);
		/* the other direction stays open */
		ck_assert_int_eq(pgr_stream_write(&server, "\0", 1), PGR_OK);
		ck_assert_uint_eq(read_all(&client, 100, 0), 1);
		tls_close(&server);
		tls_close(&client);
	}
	end();
}
END_TEST

START_TEST(test_tls_short_read_asks_the_socket_no_more)
{
	char buf[100];
	size_t n;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	connect_both(false);
	(void)read_all(&client, 100, 0); /* the ticket */
	ck_assert_int_eq(pgr_stream_write(&server, "abc", 3), PGR_OK);
	client.readable = true;
	ck_assert_int_eq(pgr_stream_read(&client, buf, sizeof(buf), &n), PGR_OK);
	ck_assert_uint_eq(n, 3);
	ck_assert(!client.readable);
	/* a buffer that is too small leaves the rest in OpenSSL's hands, where no event will come from */
	ck_assert_int_eq(pgr_stream_write(&server, "defg", 4), PGR_OK);
	client.readable = true;
	ck_assert_int_eq(pgr_stream_read(&client, buf, 1, &n), PGR_OK);
	ck_assert(client.readable);
	ck_assert_int_eq(pgr_stream_read(&client, buf, sizeof(buf), &n), PGR_OK);
	ck_assert_uint_eq(n, 3);
	ck_assert(!client.readable);
	end();
}
END_TEST

START_TEST(test_tls_early_bytes_are_part_of_the_handshake)
{
	enum pgr_rc s, c;
	char hello[8192];
	ssize_t n;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	tls_pair(&server, &client, false);
	c = pgr_tls_connect(&client, dialer, "db.test", false, &client_err);
	n = recv(server.fd, hello, sizeof(hello), 0);
	ck_assert_int_gt(n, 100);
	s = pgr_tls_accept(&server, listener, hello, (size_t)n, &server_err);
	for (int i = 0; i < 10 && (s == PGR_AGAIN || c == PGR_AGAIN); i++) {
		if (c == PGR_AGAIN)
			c = pgr_tls_shake(&client, &client_err);
		if (s == PGR_AGAIN)
			s = pgr_tls_shake(&server, &server_err);
	}
	ck_assert(s == PGR_OK && c == PGR_OK);
	ck_assert(pgr_tls_alpn(&server));
	ck_assert_str_eq(pgr_tls_server_name(&server), "db.test");
	end();
}
END_TEST

/* Whether the client takes the server's certificate for this host; *ret_why: the client's words. */
static bool
accepted(const char *san, const char *host, enum pgr_config_tls_mode mode)
{
	enum pgr_rc s, c;

	begin(mode, san);
	tls_pair(&server, &client, false);
	shake(host, mode == PGR_CONFIG_TLS_VERIFY_FULL, &s, &c);
	if (c == PGR_FAIL)
		ck_assert_ptr_nonnull(strstr(client_err.message, "the certificate is not accepted: "));
	end();
	return c == PGR_OK;
}

START_TEST(test_tls_verify_full_matches_names_as_libpq_does)
{
	enum pgr_config_tls_mode full = PGR_CONFIG_TLS_VERIFY_FULL;

	ck_assert(accepted("DNS:db.test", "db.test", full));
	ck_assert(accepted("DNS:*.db.test", "a.db.test", full));
	ck_assert(accepted("IP:127.0.0.1", "127.0.0.1", full));
	ck_assert(accepted("IP:::1", "::1", full));
	ck_assert(accepted(NULL, "app", full)); /* the common name, where there is no other */
	ck_assert(!accepted("DNS:db.test", "app", full));
	ck_assert(!accepted("DNS:db.test", "db2.test", full));
	ck_assert(!accepted("DNS:*.db.test", "a.b.db.test", full));
	ck_assert(!accepted("DNS:a*.db.test", "ab.db.test", full));
	ck_assert(!accepted("DNS:127.0.0.1", "127.0.0.1", full));
	ck_assert(!accepted("IP:127.0.0.1", "127.0.0.2", full));
	ck_assert(accepted("DNS:other", "db.test", PGR_CONFIG_TLS_VERIFY_CA));
	ck_assert(accepted("DNS:other", "db.test", PGR_CONFIG_TLS_PREFER));
}
END_TEST

START_TEST(test_tls_c13_common_name_with_a_nul_is_none)
{
	char name[64];
	enum pgr_rc s, c;

	for (int nul = 0; nul <= 1; nul++) {
		struct pgr_err err;

		pgr_tls_init();
		tls_make(&pki, nul ? "app\0x" : "app", nul ? 5 : 3, NULL);
		pki.tls.mode = PGR_CONFIG_TLS_REQUIRE;
		ck_assert_int_eq(pgr_tls_for_clients(&pki.tls, (void *)&pki, NULL, &listener, &err), PGR_OK);
		ck_assert_int_eq(pgr_tls_for_servers(&pki.tls, (void *)&pki, &dialer, &err), PGR_OK);
		tls_pair(&server, &client, false);
		shake("db.test", false, &s, &c);
		ck_assert_int_eq(s, PGR_OK);
		ck_assert(pgr_tls_peer_name(&server, name, sizeof(name)));
		ck_assert_str_eq(name, nul ? "" : "app");
		ck_assert(pgr_tls_peer_name(&server, name, 3)); /* no room: not a shorter name either */
		ck_assert_str_eq(name, "");
		end();
	}
}
END_TEST

START_TEST(test_tls_f12_both_sides_have_the_same_binding)
{
	uint8_t a[PGR_TLS_BINDING_MOST], b[PGR_TLS_BINDING_MOST];

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	connect_both(false);
	ck_assert_uint_eq(pgr_tls_binding(&server, false, a), 32);
	ck_assert_uint_eq(pgr_tls_binding(&client, true, b), 32);
	ck_assert_mem_eq(a, b, 32);
	end();
}
END_TEST

START_TEST(test_tls_suite_has_a_name)
{
	char name[64];

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	connect_both(false);
	pgr_tls_suite_name(pgr_tls_suite(&server), name, sizeof(name));
	ck_assert_int_eq(strncmp(name, "TLSv1.3/TLS_", 12), 0);
	pgr_tls_suite_name(0, name, sizeof(name));
	ck_assert_str_eq(name, "");
	pgr_tls_suite_name(0x0303ffff, name, sizeof(name));
	ck_assert_str_eq(name, "TLSv1.2/?");
	end();
}
END_TEST

/* OpenSSL's own client, for what ours never does. Both ends are shaken when it returns. */
static SSL *
foreign_client(SSL_SESSION *session, bool small)
{
	SSL *ssl = SSL_new(dialer);
	enum pgr_rc rc = PGR_AGAIN;

	tls_pair(&server, &client, small);
	SSL_set_fd(ssl, client.fd);
	SSL_set_connect_state(ssl);
	if (session != NULL)
		SSL_set_session(ssl, session);
	for (int i = 0; i < 10 && rc == PGR_AGAIN; i++) {
		(void)SSL_do_handshake(ssl);
		rc = i == 0 ? pgr_tls_accept(&server, listener, NULL, 0, &server_err)
			    : pgr_tls_shake(&server, &server_err);
		(void)pgr_stream_drain(&server);
	}
	ck_assert_msg(rc == PGR_OK, "%s", server_err.message);
	return ssl;
}

/* Is the session resumed? Then it is replaced by what the server gives for the next time. */
static bool
resumes(SSL_SESSION **session)
{
	SSL *ssl = foreign_client(*session, false);
	bool resumed = pgr_tls_resumed(&server);
	char byte;
	size_t n;

	(void)SSL_read_ex(ssl, &byte, 1, &n); /* the ticket */
	ERR_clear_error();
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(ssl);
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* else OpenSSL takes the session for a bad one */
	SSL_free(ssl);
	tls_close(&server);
	tls_close(&client);
	return resumed;
}

static void
rotate(void)
{
	struct pgr_err err;

	ck_assert_int_eq(pgr_tickets_rotate(&tickets, &err), PGR_OK);
}

START_TEST(test_tls_tickets_outlive_two_rotations_and_no_third)
{
	SSL_SESSION *session = NULL;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	ck_assert(!resumes(&session));
	ck_assert(resumes(&session));
	rotate();
	rotate();
	ck_assert(resumes(&session)); /* and gets one of the newest key */
	rotate();
	rotate();
	ck_assert(resumes(&session));
	rotate();
	rotate();
	rotate();
	ck_assert(!resumes(&session));
	SSL_SESSION_free(session);
	end();
}
END_TEST

START_TEST(test_tls_tickets_of_other_keys_are_no_error)
{
	SSL_SESSION *session = NULL;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	ck_assert(!resumes(&session));
	/* as if it had been read while it was replaced: the name is there, the rest is another's */
	memset(tickets.key[tickets.newest % PGR_TICKET_KEYS].mac, 'x', 32);
	ck_assert(!resumes(&session));
	SSL_SESSION_free(session);
	end();
}
END_TEST

/* A peer that asks for new keys again and again and does not read what it is answered. */
START_TEST(test_tls_key_updates_that_nobody_reads_are_bounded)
{
	static char data[16000];
	enum pgr_rc rc = PGR_AGAIN;
	char byte;
	size_t n;
	SSL *ssl;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	ssl = foreign_client(NULL, true);
	while (server.rest_len < (2u << 20) - 20000)
		(void)pgr_stream_write(&server, data, sizeof(data));
	for (int i = 0; i < 5000 && rc == PGR_AGAIN; i++) {
		ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		(void)SSL_do_handshake(ssl);
		server.readable = true;
		rc = pgr_stream_read(&server, &byte, 1, &n);
	}
	ck_assert_int_eq(rc, PGR_CLOSED);
	ck_assert_uint_le(server.rest_len, (2u << 20) + 1000);
	SSL_free(ssl);
	end();
}
END_TEST

START_TEST(test_tls_peer_that_leaves_during_the_handshake_is_closed)
{
	static const unsigned char garbage[] = "GET / HTTP/1.1\r\n\r\n";
	enum pgr_rc rc;

	begin(PGR_CONFIG_TLS_PREFER, NULL);
	tls_pair(&server, &client, false);
	ck_assert_int_eq(pgr_tls_accept(&server, listener, NULL, 0, &server_err), PGR_AGAIN);
	tls_close(&client);
	rc = pgr_tls_shake(&server, &server_err);
	ck_assert_int_eq(rc, PGR_CLOSED);
	tls_close(&server);
	tls_pair(&server, &client, false);
	ck_assert_int_gt(send(client.fd, garbage, sizeof(garbage), 0), 0);
	ck_assert_int_eq(pgr_tls_accept(&server, listener, NULL, 0, &server_err), PGR_FAIL);
	ck_assert_str_eq(server_err.sqlstate, "08006");
	ck_assert_ptr_nonnull(strstr(server_err.message, "the TLS handshake failed: "));
	ck_assert_uint_eq(ERR_peek_error(), 0);
	end();
}
END_TEST

UNIT_MAIN("tls", test_tls_pieces_of_every_size_arrive_in_order,
	test_tls_what_the_socket_does_not_take_is_the_rest,
	test_tls_end_of_the_peer_comes_behind_its_bytes, test_tls_short_read_asks_the_socket_no_more,
	test_tls_early_bytes_are_part_of_the_handshake,
	test_tls_verify_full_matches_names_as_libpq_does, test_tls_c13_common_name_with_a_nul_is_none,
	test_tls_f12_both_sides_have_the_same_binding, test_tls_suite_has_a_name,
	test_tls_tickets_outlive_two_rotations_and_no_third,
	test_tls_tickets_of_other_keys_are_no_error,
	test_tls_key_updates_that_nobody_reads_are_bounded,
	test_tls_peer_that_leaves_during_the_handshake_is_closed)
