/* net/loop.h: edges come once, listeners as long as something is there; data comes back with each. */
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"

static struct pgr_loop loop;
static struct pgr_err err;
static int pair[2];

static void
setup(void)
{
	ck_assert_int_eq(pgr_loop_open(&loop, &err), PGR_OK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void
write_byte(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

START_TEST(test_loop_edge_is_told_once_with_its_data)
{
	int here;

	setup();
	ck_assert_int_eq(pgr_loop_add(&loop, pair[0], PGR_EV_READ, &here, &err), PGR_OK);
	ck_assert_int_eq(pgr_loop_wait(&loop, 0), 0);
	write_byte(pair[1]);
	ck_assert_int_eq(pgr_loop_wait(&loop, 1000), 1);
	ck_assert_int_eq(loop.ready, 1);
	ck_assert_ptr_eq(loop.event[0].data.ptr, &here);
	ck_assert(loop.event[0].events & PGR_EV_READ);
	ck_assert_int_eq(pgr_loop_wait(&loop, 0), 0); /* unread, but told */
	write_byte(pair[1]);
	ck_assert_int_eq(pgr_loop_wait(&loop, 1000), 1);
}
END_TEST

START_TEST(test_loop_what_was_there_before_is_told)
{
	setup();
	write_byte(pair[1]);
	ck_assert_int_eq(pgr_loop_add(&loop, pair[0], PGR_EV_READ, pair, &err), PGR_OK);
	ck_assert_int_eq(pgr_loop_wait(&loop, 1000), 1);
}
END_TEST

START_TEST(test_loop_hangup_alone_is_not_woken_by_data)
{
	setup();
	ck_assert_int_eq(pgr_loop_add(&loop, pair[0], PGR_EV_HANGUP, pair, &err), PGR_OK);
	write_byte(pair[1]);
	ck_assert_int_eq(pgr_loop_wait(&loop, 0), 0);
	shutdown(pair[1], SHUT_WR);
	ck_assert_int_eq(pgr_loop_wait(&loop, 1000), 1);
	ck_assert(loop.event[0].events & PGR_EV_HANGUP);
}
END_TEST

START_TEST(test_loop_exclusive_is_told_as_long_as_it_is_there)
{
	char c;

	setup();
	ck_assert_int_eq(pgr_loop_add_exclusive(&loop, pair[0], pair, &err), PGR_OK);
	write_byte(pair[1]);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pgr_loop_wait(&loop, 1000), 1);
	ck_assert_int_eq(read(pair[0], &c, 1), 1);
	ck_assert_int_eq(pgr_loop_wait(&loop, 0), 0);
}
END_TEST

START_TEST(test_loop_removed_is_not_told_though_a_duplicate_lives)
{
	int duplicate;

	setup();
	duplicate = dup(pair[0]);
	ck_assert_int_eq(pgr_loop_add(&loop, pair[0], PGR_EV_READ, pair, &err), PGR_OK);
	pgr_loop_remove(&loop, pair[0]);
	close(pair[0]);
	write_byte(pair[1]);
	ck_assert_int_eq(pgr_loop_wait(&loop, 0), 0);
	pgr_loop_remove(&loop, duplicate); /* never added: nothing happens */
}
END_TEST

START_TEST(test_loop_bad_descriptor_is_an_error_with_its_number)
{
	setup();
	close(pair[0]);
	ck_assert_int_eq(pgr_loop_add(&loop, pair[0], PGR_EV_READ, pair, &err), PGR_FAIL);
	ck_assert_str_eq(err.sqlstate, "53000");
	ck_assert_int_ne(err.sys_errno, 0);
}
END_TEST

START_TEST(test_loop_more_than_a_batch_comes_in_several)
{
	static int many[PGR_LOOP_BATCH + 20][2];
	unsigned told = 0;
	int n;

	setup();
	for (unsigned i = 0; i < PGR_LOOP_BATCH + 20; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, many[i]), 0);
		ck_assert_int_eq(pgr_loop_add(&loop, many[i][0], PGR_EV_READ, many[i], &err), PGR_OK);
		write_byte(many[i][1]);
	}
	while ((n = pgr_loop_wait(&loop, 0)) > 0) {
		ck_assert_int_le(n, PGR_LOOP_BATCH);
		told += (unsigned)n;
	}
	ck_assert_uint_eq(told, PGR_LOOP_BATCH + 20);
}
END_TEST

UNIT_MAIN("loop", test_loop_edge_is_told_once_with_its_data, test_loop_what_was_there_before_is_told,
	test_loop_hangup_alone_is_not_woken_by_data,
	test_loop_exclusive_is_told_as_long_as_it_is_there,
	test_loop_removed_is_not_told_though_a_duplicate_lives,
	test_loop_bad_descriptor_is_an_error_with_its_number,
	test_loop_more_than_a_batch_comes_in_several)
