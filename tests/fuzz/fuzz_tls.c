/*
 * The bytes before and during a TLS handshake: net/tls.h, net/secure.h. The first byte of the input says
 * who is attacked and how:
 *
 *   s   one who waits for a ClientHello gets the rest of the input instead
 *   d   the same, the rest having been read before TLS began
 *   c   one who asked a server for TLS gets the rest as its answer
 *   m   a true handshake, in which the bytes that the server reads are damaged: the rest is pairs of a
 *       distance to the next damaged byte and of the bits that change in it
 *   n   the same with what the client reads
 */
#include "fuzz.h"

#include <errno.h>

#include "../unit/tls_util.h"

static struct tls_pki pki;
static struct pgr_tickets tickets;
static struct ssl_ctx_st *listener, *dialer;

static void
prepare(void)
{
	struct pgr_err err;

	if (listener != NULL)
		return;
	pgr_tls_init();
	tls_make(&pki, "app", 3, "DNS:db.test");
	pki.tls.mode = PGR_CONFIG_TLS_VERIFY_FULL;
	FUZZ_CHECK(pgr_tickets_rotate(&tickets, &err) == PGR_OK);
	FUZZ_CHECK(pgr_tls_for_clients(&pki.tls, (void *)&pki, &tickets, &listener, &err) == PGR_OK);
	FUZZ_CHECK(pgr_tls_for_servers(&pki.tls, (void *)&pki, &dialer, &err) == PGR_OK);
}

static void
check(enum pgr_rc rc, const struct pgr_err *err)
{
	if (rc == PGR_FAIL)
		FUZZ_CHECK(strlen(err->sqlstate) == 5 && err->message[0] != '\0');
}

/* After a handshake, or what was taken for one: reads, and ends. */
static void
read_on(struct pgr_stream *stream, enum pgr_rc rc)
{
	char buf[4096];
	size_t n;

	stream->readable = true;
	while (rc == PGR_OK && stream->readable) {
		rc = pgr_stream_read(stream, buf, sizeof(buf), &n);
		FUZZ_CHECK(rc != PGR_FAIL && (rc != PGR_OK || n <= sizeof(buf)));
	}
	FUZZ_CHECK(stream->rest_len < 4u << 20);
	pgr_stream_shut(stream);
	tls_close(stream);
}

static void
attack_server(const uint8_t *data, size_t size, bool early)
{
	struct pgr_stream server, peer;
	struct pgr_err err;
	enum pgr_rc rc;
	char *copy = fuzz_copy(data, size);

	tls_pair(&server, &peer, false);
	if (!early && size > 0)
		FUZZ_CHECK(send(peer.fd, copy, size, 0) != 0);
	shutdown(peer.fd, SHUT_WR);
	rc = pgr_tls_accept(&server, listener, early ? copy : NULL, early ? size : 0, &err);
	check(rc, &err);
	free(copy);
	for (int i = 0; i < 8 && rc == PGR_AGAIN; i++) {
		rc = pgr_tls_shake(&server, &err);
		check(rc, &err);
	}
	read_on(&server, rc);
	tls_close(&peer);
}

static void
attack_client(const uint8_t *data, size_t size)
{
	enum pgr_secure_stage stage = PGR_SECURE_ASK;
	struct pgr_stream client, peer;
	enum pgr_rc rc = PGR_AGAIN;
	struct pgr_err err;

	tls_pair(&client, &peer, false);
	if (size > 0)
		FUZZ_CHECK(send(peer.fd, data, size, 0) != 0);
	shutdown(peer.fd, SHUT_WR);
	for (int i = 0; i < 8 && rc == PGR_AGAIN; i++) {
		rc = pgr_secure_step(
			&stage, &client, dialer, PGR_CONFIG_TLS_VERIFY_FULL, "db.test", &err);
		check(rc, &err);
	}
	/* nothing that was written in clear beforehand is a handshake, and without one nothing is read */
	FUZZ_CHECK(rc != PGR_OK);
	FUZZ_CHECK(rc != PGR_CLOSED || (size > 0 && data[0] == 'N'));
	tls_close(&client);
	tls_close(&peer);
}

struct damage {
	const uint8_t *data;
	size_t size;
	size_t wait; /* bytes that pass unharmed */
};

static void
carry(int from, int to, struct damage *damage)
{
	uint8_t buf[32768];
	ssize_t n = recv(from, buf, sizeof(buf), 0);

	for (ssize_t i = 0; damage != NULL && i < n; i++) {
		if (damage->wait-- > 0)
			continue;
		if (damage->size < 2) {
			damage->wait = SIZE_MAX;
			break;
		}
		buf[i] ^= damage->data[1];
		damage->wait = damage->data[0] * 2u;
		damage->data += 2;
		damage->size -= 2;
	}
	if (n > 0)
		FUZZ_CHECK(send(to, buf, (size_t)n, MSG_NOSIGNAL) != 0);
}

static void
attack_both(const uint8_t *data, size_t size, bool client_reads_it)
{
	struct damage damage = {.data = data, .size = size, .wait = size > 0 ? data[0] : SIZE_MAX};
	struct pgr_stream server, client, to_server, to_client;
	enum pgr_rc s, c;
	struct pgr_err err;

	tls_pair(&server, &to_server, false);
	tls_pair(&client, &to_client, false);
	c = pgr_tls_connect(&client, dialer, "db.test", true, &err);
	s = pgr_tls_accept(&server, listener, NULL, 0, &err);
	for (int i = 0; i < 8; i++) {
		carry(to_client.fd, to_server.fd, client_reads_it ? NULL : &damage);
		if (s == PGR_AGAIN) {
			s = pgr_tls_shake(&server, &err);
			check(s, &err);
		}
		carry(to_server.fd, to_client.fd, client_reads_it ? &damage : NULL);
		if (c == PGR_AGAIN) {
			c = pgr_tls_shake(&client, &err);
			check(c, &err);
		}
	}
	read_on(&server, s);
	read_on(&client, c);
	tls_close(&to_server);
	tls_close(&to_client);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	if (size == 0 || size > 60000)
		return -1;
	switch (data[0]) {
	case 's':
	case 'd':
		attack_server(data + 1, size - 1, data[0] == 'd');
		break;
	case 'c':
		attack_client(data + 1, size - 1);
		break;
	case 'm':
	case 'n':
		attack_both(data + 1, size - 1, data[0] == 'n');
		break;
	default:
		return -1;
	}
	return 0;
}
