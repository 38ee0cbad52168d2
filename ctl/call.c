/*
 * One line of JSON each way, with time limits: a daemon that hangs must not hang its operator.
 */
#include "ctl/call.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_SECONDS 10
#define ANSWER_MAX (128u << 20)
#define FIRST_CAP 65536

struct answer {
	char *bytes;
	size_t len;
	size_t cap;
	int passed;
};

json_t *
pgr_call_verb(const char *verb)
{
	return json_pack("{s:s}", "verb", verb);
}

static void
set_patience(int fd, int seconds)
{
	struct timeval time = {.tv_sec = seconds};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

enum pgr_rc
pgr_call_open(const char *path, int *ret_fd, struct pgr_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return pgr_err_set(
			err, "22023", "the path of the control socket is too long: %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return pgr_err_sys(err, "53000", "cannot create a socket");
	set_patience(fd, CONNECT_SECONDS);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		*ret_fd = fd;
		return PGR_OK;
	}
	pgr_err_sys(err, "58000", "cannot connect to the control socket %s", path);
	if (err->sys_errno == EACCES || err->sys_errno == EPERM)
		pgr_err_hint(err, "run it as root or as the user that pgroute runs as");
	close(fd);
	return err->sys_errno == ENOENT || err->sys_errno == ECONNREFUSED ? PGR_CLOSED : PGR_FAIL;
}

static enum pgr_rc
send_request(int fd, json_t *request, struct pgr_err *err)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t len;
	ssize_t sent;

	json_decref(request);
	if (line == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	len = strlen(line);
	line[len] = '\n';
	sent = send(fd, line, len + 1, MSG_NOSIGNAL);
	free(line);
	if (sent != (ssize_t)len + 1)
		return pgr_err_sys(err, "58000", "cannot send to the control socket");
	return PGR_OK;
}

static void
keep_descriptor(struct msghdr *msg, int *passed)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (*passed >= 0)
			close(*passed);
		*passed = fd;
	}
}

/* Bytes read, 0 at the end, -1 with errno. */
static ssize_t
receive_some(int fd, struct answer *answer)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} part;
	struct iovec iov = {
		.iov_base = answer->bytes + answer->len, .iov_len = answer->cap - answer->len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = part.bytes,
		.msg_controllen = sizeof(part.bytes)};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	if (n >= 0)
		keep_descriptor(&msg, &answer->passed);
	return n;
}

static bool
make_room(struct answer *answer)
{
	size_t cap = answer->cap == 0 ? FIRST_CAP : answer->cap * 2;
	char *bytes;

	if (answer->len < answer->cap)
		return true;
	bytes = cap > ANSWER_MAX ? NULL : realloc(answer->bytes, cap);
	if (bytes == NULL)
		return false;
	answer->bytes = bytes;
	answer->cap = cap;
	return true;
}

/* Reads to the newline. */
static enum pgr_rc
receive_line(int fd, struct answer *answer, struct pgr_err *err)
{
	for (;;) {
		ssize_t n;

		if (!make_room(answer))
			return pgr_err_set(err, "53200", "the answer of pgroute is too long");
		n = receive_some(fd, answer);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			pgr_err_set(err, "57014", "pgroute does not answer on its control socket");
			return pgr_err_hint(err, "its log may tell why");
		}
		if (n < 0)
			return pgr_err_sys(err, "58000", "cannot read from the control socket");
		if (n == 0)
			return pgr_err_set(err, "08006", "pgroute closed the control socket");
		answer->len += (size_t)n;
		if (memchr(answer->bytes + answer->len - n, '\n', (size_t)n) != NULL)
			return PGR_OK;
	}
}

enum pgr_rc
pgr_call_ask(int fd, json_t *request, int seconds, json_t **ret_answer, int *ret_passed,
	struct pgr_err *err)
{
	struct answer answer = {.passed = -1};
	json_t *object = NULL;

	set_patience(fd, seconds);
	if (send_request(fd, request, err) == PGR_OK && receive_line(fd, &answer, err) == PGR_OK) {
		object = json_loadb(answer.bytes, answer.len, 0, NULL);
		if (!json_is_object(object))
			pgr_err_set(
				err, "08P01", "what answers on the control socket is not pgroute");
	}
	free(answer.bytes);
	if (json_is_object(object) && ret_passed != NULL)
		*ret_passed = answer.passed;
	else if (answer.passed >= 0)
		close(answer.passed);
	if (json_is_object(object)) {
		*ret_answer = object;
		return PGR_OK;
	}
	json_decref(object);
	return PGR_FAIL;
}
