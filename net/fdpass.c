/*
 * SCM_RIGHTS. A record is whole or not there (SOCK_SEQPACKET), so no side ever parses a stream.
 */
#include "net/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

enum pgr_rc
pgr_fdpass_pair(int ret_pair[2], struct pgr_err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_pair) != 0)
		return pgr_err_sys(err, "53000", "cannot create a socket pair");
	return PGR_OK;
}

enum pgr_rc
pgr_fdpass_send(int sock, const struct pgr_note *note, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)note, .iov_len = sizeof(*note)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*note))
		return PGR_OK;
	/* ETOOMANYREFS: too many descriptors in flight; they leave as the peer reads */
	return errno == EAGAIN || errno == ETOOMANYREFS || errno == EINTR ? PGR_AGAIN : PGR_CLOSED;
}

static int
control_descriptor(struct msghdr *msg)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

enum pgr_rc
pgr_fdpass_receive(int sock, struct pgr_note *ret_note, int *ret_fd)
{
	struct pgr_note note;
	struct iovec iov = {.iov_base = &note, .iov_len = sizeof(note)};
	union control control;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? PGR_AGAIN : PGR_CLOSED;
	if (n == 0)
		return PGR_CLOSED;
	*ret_fd = control_descriptor(&msg);
	if (n != (ssize_t)sizeof(note)) {
		if (*ret_fd >= 0)
			close(*ret_fd);
		return PGR_CLOSED;
	}
	*ret_note = note;
	return PGR_OK;
}
