/*
 * net/fdpass.h: records with and without a descriptor arrive whole and in order; full queues, the
 * peer's end and foreign bytes are told and leak no descriptor.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/fdpass.h"

static int pair[2];

static void
setup(void)
{
	struct pgr_err err;

	ck_assert_int_eq(pgr_fdpass_pair(pair, &err), PGR_OK);
}

static unsigned
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static ino_t
inode_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

START_TEST(test_fdpass_pair_is_nonblocking_and_not_inherited_by_programs)
{
	setup();
	for (int i = 0; i < 2; i++) {
		ck_assert(fcntl(pair[i], F_GETFL) & O_NONBLOCK);
		ck_assert(fcntl(pair[i], F_GETFD) & FD_CLOEXEC);
	}
}
END_TEST

START_TEST(test_fdpass_record_arrives_as_it_was_sent)
{
	const struct pgr_note sent = {PGR_NOTE_ASK, 12, 34, 56};
	struct pgr_note got;
	int fd = 99;

	setup();
	ck_assert_int_eq(pgr_fdpass_send(pair[0], &sent, -1), PGR_OK);
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &got, &fd), PGR_OK);
	ck_assert_mem_eq(&got, &sent, sizeof(sent));
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(test_fdpass_descriptor_is_a_duplicate_closed_on_exec)
{
	const struct pgr_note sent = {PGR_NOTE_DEPOSIT, 1, 2, 0};
	struct pgr_note got;
	int ends[2];
	int fd;
	char c;

	setup();
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(pgr_fdpass_send(pair[0], &sent, ends[1]), PGR_OK);
	ck_assert_int_eq(write(ends[1], "a", 1), 1); /* the sender's stays the sender's */
	close(ends[1]);
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &got, &fd), PGR_OK);
	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_uint_eq(inode_of(fd), inode_of(ends[0]));
	ck_assert_int_eq(write(fd, "b", 1), 1);
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	ck_assert_int_eq(c, 'a');
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	ck_assert_int_eq(c, 'b');
}
END_TEST

START_TEST(test_fdpass_records_keep_their_order_and_their_descriptors)
{
	struct pgr_note note = {0};
	int ends[2];
	int fd;

	setup();
	ck_assert_int_eq(pipe(ends), 0);
	for (uint32_t n = 0; n < 4; n++) {
		note.slot = n;
		ck_assert_int_eq(pgr_fdpass_send(pair[0], &note, n % 2 == 0 ? ends[0] : -1), PGR_OK);
	}
	for (uint32_t n = 0; n < 4; n++) {
		ck_assert_int_eq(pgr_fdpass_receive(pair[1], &note, &fd), PGR_OK);
		ck_assert_uint_eq(note.slot, n);
		ck_assert_int_eq(fd >= 0, n % 2 == 0);
	}
}
END_TEST

START_TEST(test_fdpass_nothing_there_is_again_and_touches_nothing)
{
	struct pgr_note got = {7, 7, 7, 7};
	int fd = 77;

	setup();
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &got, &fd), PGR_AGAIN);
	ck_assert_uint_eq(got.kind, 7);
	ck_assert_int_eq(fd, 77);
}
END_TEST

START_TEST(test_fdpass_full_queue_is_again_and_loses_no_record)
{
	struct pgr_note note = {0};
	uint32_t sent = 0;
	uint32_t got = 0;
	int fd;

	setup();
	for (;; sent++) {
		note.slot = sent;
		if (pgr_fdpass_send(pair[0], &note, pair[0]) == PGR_AGAIN)
			break;
		ck_assert_uint_lt(sent, 100000);
	}
	ck_assert_uint_gt(sent, 0);
	while (pgr_fdpass_receive(pair[1], &note, &fd) == PGR_OK) {
		ck_assert_uint_eq(note.slot, got++);
		close(fd);
	}
	ck_assert_uint_eq(got, sent);
	ck_assert_int_eq(pgr_fdpass_send(pair[0], &note, -1), PGR_OK); /* room again */
}
END_TEST

START_TEST(test_fdpass_end_of_the_peer_is_closed)
{
	struct pgr_note note = {PGR_NOTE_DROP, 5, 0, 0};
	int fd;

	setup();
	ck_assert_int_eq(pgr_fdpass_send(pair[0], &note, -1), PGR_OK);
	close(pair[0]);
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &note, &fd), PGR_OK); /* what it sent before */
	ck_assert_uint_eq(note.slot, 5);
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &note, &fd), PGR_CLOSED);
	ck_assert_int_eq(pgr_fdpass_send(pair[1], &note, -1), PGR_CLOSED);
}
END_TEST

START_TEST(test_fdpass_short_record_is_refused_and_its_descriptor_closed)
{
	struct pgr_note note;
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	unsigned before;
	int fd;

	setup();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
	before = open_descriptors();
	ck_assert_int_eq(sendmsg(pair[0], &msg, 0), 1);
	ck_assert_int_eq(pgr_fdpass_receive(pair[1], &note, &fd), PGR_CLOSED);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

UNIT_MAIN("fdpass", test_fdpass_pair_is_nonblocking_and_not_inherited_by_programs,
	test_fdpass_record_arrives_as_it_was_sent,
	test_fdpass_descriptor_is_a_duplicate_closed_on_exec,
	test_fdpass_records_keep_their_order_and_their_descriptors,
	test_fdpass_nothing_there_is_again_and_touches_nothing,
	test_fdpass_full_queue_is_again_and_loses_no_record, test_fdpass_end_of_the_peer_is_closed,
	test_fdpass_short_record_is_refused_and_its_descriptor_closed)
