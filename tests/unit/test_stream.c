/*
 * net/stream.h: pieces keep their order and are merged where they touch; what the peer does not take
 * is kept, sent later in order, and its memory given back; ends are told.
 */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/stream.h"

static struct pgr_vec vec;
static struct pgr_stream stream;
static int peer;

static void
setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	pgr_stream_init(&stream, pair[0]);
	pgr_vec_reset(&vec);
	peer = pair[1];
}

/* Byte n of a long text in which every place is told from its neighbours. */
static char
nth(size_t n)
{
	return (char)(n * 7 + n / 251);
}

static char *
long_text(size_t len)
{
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < len; i++)
		text[i] = nth(i);
	return text;
}

/* Reads what the peer has got; every byte must be the one that comes after *at. */
static size_t
read_on(size_t *at)
{
	static char buf[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = read(peer, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != nth((*at)++))
				ck_abort_msg("byte %zu is not what was sent", *at - 1);
		all += (size_t)n;
	}
	return all;
}

START_TEST(test_stream_vec_merges_what_touches)
{
	const char *text = "one two";

	setup();
	pgr_vec_add(&vec, text, 3);
	pgr_vec_add(&vec, text + 3, 0);
	pgr_vec_add(&vec, text + 3, 1);
	ck_assert_uint_eq(vec.n, 1);
	pgr_vec_add(&vec, text + 5, 2);
	ck_assert_uint_eq(vec.n, 2);
	ck_assert_uint_eq(vec.total, 6);
	pgr_vec_reset(&vec);
	ck_assert_uint_eq(vec.n, 0);
	ck_assert_uint_eq(vec.total, 0);
}
END_TEST

START_TEST(test_stream_vec_room_is_part_of_the_output)
{
	char got[16] = {0};

	setup();
	memcpy(pgr_vec_room(&vec, 2), "ab", 2);
	memcpy(pgr_vec_room(&vec, 2), "cd", 2);
	ck_assert_uint_eq(vec.n, 1);
	pgr_vec_add(&vec, "ef", 2);
	memcpy(pgr_vec_room(&vec, 1), "g", 1);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	ck_assert_int_eq(read(peer, got, sizeof(got)), 7);
	ck_assert_str_eq(got, "abcdefg");
	ck_assert_uint_eq(vec.scratch_used, 0);
}
END_TEST

START_TEST(test_stream_vec_is_roomy_until_eight_pieces_are_left)
{
	static char text[PGR_VEC_PIECES * 2];
	unsigned n;

	setup();
	for (n = 0; pgr_vec_roomy(&vec); n++)
		pgr_vec_add(&vec, text + 2 * n, 1);
	ck_assert_uint_eq(n, PGR_VEC_PIECES - 7);
	pgr_vec_reset(&vec);
	while (pgr_vec_roomy(&vec))
		(void)pgr_vec_room(&vec, 2048);
	ck_assert_uint_gt(vec.scratch_used + 2048 + PGR_VEC_WEIGHT, PGR_VEC_SCRATCH);
	ck_assert_uint_le(vec.scratch_used, PGR_VEC_SCRATCH);
}
END_TEST

static void
add_too_many(void)
{
	static char text[2 * PGR_VEC_PIECES + 2];

	pgr_vec_reset(&vec);
	for (unsigned n = 0; n <= PGR_VEC_PIECES; n++)
		pgr_vec_add(&vec, text + 2 * n, 1);
}

START_TEST(test_stream_vec_past_its_pieces_ends_the_process)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
		add_too_many();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

START_TEST(test_stream_many_pieces_arrive_in_order)
{
	static char apart[60][11]; /* a byte between two, so that nothing is merged */
	size_t at = 0;

	setup();
	for (size_t i = 0; i < 60; i++) {
		for (size_t k = 0; k < 10; k++)
			apart[i][k] = nth(i * 10 + k);
		pgr_vec_add(&vec, apart[i], 10);
	}
	ck_assert_uint_eq(vec.n, 60);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	ck_assert_uint_eq(read_on(&at), 600);
}
END_TEST

START_TEST(test_stream_rest_is_kept_and_sent_in_order)
{
	size_t len = 3000000;
	char *text = long_text(len);
	size_t at = 0;

	setup();
	pgr_vec_add(&vec, text, 1000000);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	ck_assert(pgr_stream_blocked(&stream));
	/* what comes while something is kept goes behind it, in pieces or whole */
	pgr_vec_add(&vec, text + 1000000, 1);
	pgr_vec_add(&vec, text + 1000001, len - 1000001);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	memset(text, 0, len); /* the rest is a copy */
	while (pgr_stream_drain(&stream) == PGR_AGAIN)
		ck_assert_uint_gt(read_on(&at), 0);
	read_on(&at);
	ck_assert_uint_eq(at, len);
	ck_assert(!pgr_stream_blocked(&stream));
	ck_assert_ptr_null(stream.rest); /* nothing resides when nothing is owed */
	free(text);
}
END_TEST

START_TEST(test_stream_more_behind_a_half_sent_rest_moves_it)
{
	size_t len = 2000000;
	char *text = long_text(len);
	size_t at = 0;

	setup();
	pgr_vec_add(&vec, text, 1500000);
	(void)pgr_stream_send(&stream, &vec);
	read_on(&at);
	ck_assert_int_eq(pgr_stream_drain(&stream), PGR_AGAIN);
	ck_assert_uint_gt(stream.rest_at, 0);
	pgr_vec_add(&vec, text + 1500000, len - 1500000);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	while (pgr_stream_drain(&stream) == PGR_AGAIN)
		read_on(&at);
	read_on(&at);
	ck_assert_uint_eq(at, len);
	free(text);
}
END_TEST

START_TEST(test_stream_read_of_less_than_asked_has_emptied_the_socket)
{
	char buf[8];
	size_t n = 0;

	setup();
	stream.readable = true;
	ck_assert_int_eq(write(peer, "twelve bytes", 12), 12);
	ck_assert_int_eq(pgr_stream_read(&stream, buf, sizeof(buf), &n), PGR_OK);
	ck_assert_uint_eq(n, 8);
	ck_assert(stream.readable);
	ck_assert_int_eq(pgr_stream_read(&stream, buf, sizeof(buf), &n), PGR_OK);
	ck_assert_uint_eq(n, 4);
	ck_assert(!stream.readable);
	ck_assert_int_eq(pgr_stream_read(&stream, buf, sizeof(buf), &n), PGR_AGAIN);
}
END_TEST

START_TEST(test_stream_read_after_a_hangup_goes_on_to_the_end)
{
	char buf[8];
	size_t n;

	setup();
	stream.hangup = true;
	ck_assert_int_eq(write(peer, "abc", 3), 3);
	close(peer);
	ck_assert_int_eq(pgr_stream_read(&stream, buf, sizeof(buf), &n), PGR_OK);
	ck_assert(stream.readable); /* no edge would tell of the end */
	ck_assert_int_eq(pgr_stream_read(&stream, buf, sizeof(buf), &n), PGR_CLOSED);
	ck_assert(!stream.readable);
}
END_TEST

START_TEST(test_stream_peer_that_has_gone_breaks_it_without_a_signal)
{
	setup();
	ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	close(peer);
	pgr_vec_add(&vec, "abc", 3);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_CLOSED);
	ck_assert_uint_eq(vec.total, 0); /* reset whatever becomes of it */
	pgr_vec_add(&vec, "abc", 3);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_CLOSED);
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_CLOSED); /* and nothing to send */
	ck_assert_int_eq(pgr_stream_drain(&stream), PGR_CLOSED);
	ck_assert(!pgr_stream_blocked(&stream));
}
END_TEST

START_TEST(test_stream_peer_that_goes_while_blocked_is_told_by_the_drain)
{
	char *text = long_text(1000000);

	setup();
	pgr_vec_add(&vec, text, 1000000);
	(void)pgr_stream_send(&stream, &vec);
	ck_assert(pgr_stream_blocked(&stream));
	close(peer);
	ck_assert_int_eq(pgr_stream_drain(&stream), PGR_CLOSED);
	pgr_stream_fini(&stream);
	ck_assert_int_eq(stream.fd, -1);
	ck_assert_ptr_null(stream.rest);
	free(text);
}
END_TEST

START_TEST(test_stream_nothing_to_send_is_ok)
{
	setup();
	ck_assert_int_eq(pgr_stream_send(&stream, &vec), PGR_OK);
	ck_assert_int_eq(pgr_stream_drain(&stream), PGR_OK);
}
END_TEST

UNIT_MAIN("stream", test_stream_vec_merges_what_touches, test_stream_vec_room_is_part_of_the_output,
	test_stream_vec_is_roomy_until_eight_pieces_are_left,
	test_stream_vec_past_its_pieces_ends_the_process, test_stream_many_pieces_arrive_in_order,
	test_stream_rest_is_kept_and_sent_in_order,
	test_stream_more_behind_a_half_sent_rest_moves_it,
	test_stream_read_of_less_than_asked_has_emptied_the_socket,
	test_stream_read_after_a_hangup_goes_on_to_the_end,
	test_stream_peer_that_has_gone_breaks_it_without_a_signal,
	test_stream_peer_that_goes_while_blocked_is_told_by_the_drain,
	test_stream_nothing_to_send_is_ok)
