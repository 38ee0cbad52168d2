/*
 * epoll(7). One instance per process; used by workers, monitor, stats and master alike.
 */
#include "net/loop.h"

#include <unistd.h>

enum pgr_rc
pgr_loop_open(struct pgr_loop *loop, struct pgr_err *err)
{
	loop->ready = 0;
	loop->fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->fd < 0)
		return pgr_err_sys(err, "53000", "cannot create an epoll instance");
	return PGR_OK;
}

void
pgr_loop_close(struct pgr_loop *loop)
{
	close(loop->fd);
	loop->fd = -1;
}

static enum pgr_rc
loop_add(struct pgr_loop *loop, int fd, uint32_t events, void *data, struct pgr_err *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = data};

	if (epoll_ctl(loop->fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		return pgr_err_sys(err, "53000", "cannot watch descriptor %d", fd);
	return PGR_OK;
}

enum pgr_rc
pgr_loop_add(struct pgr_loop *loop, int fd, uint32_t events, void *data, struct pgr_err *err)
{
	return loop_add(loop, fd, events | EPOLLET, data, err);
}

enum pgr_rc
pgr_loop_add_exclusive(struct pgr_loop *loop, int fd, void *data, struct pgr_err *err)
{
	return loop_add(loop, fd, EPOLLIN | EPOLLEXCLUSIVE, data, err);
}

void
pgr_loop_remove(struct pgr_loop *loop, int fd)
{
	/* gone already is as good as removed */
	(void)epoll_ctl(loop->fd, EPOLL_CTL_DEL, fd, NULL);
}

int
pgr_loop_wait(struct pgr_loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->fd, loop->event, PGR_LOOP_BATCH, timeout_ms);

	loop->ready = n > 0 ? n : 0; /* EINTR counts as nothing: the caller looks at its flags */
	return loop->ready;
}
