/*
 * The event loop: epoll behind one small interface. Everything is edge-triggered: a handler reads or
 * writes until a short transfer, or keeps a flag that says there may be more.
 */
#ifndef PGR_NET_LOOP_H
#define PGR_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

#define PGR_LOOP_BATCH 256

struct pgr_loop {
	int fd;
	int ready;
	struct epoll_event event[PGR_LOOP_BATCH];
};

#define PGR_EV_READ EPOLLIN
#define PGR_EV_WRITE EPOLLOUT
#define PGR_EV_HANGUP EPOLLRDHUP

PGR_MUST enum pgr_rc pgr_loop_open(struct pgr_loop *loop, struct pgr_err *err);
void pgr_loop_close(struct pgr_loop *loop);

/* data comes back with each event. events: PGR_EV_*, edge-triggered. */
PGR_MUST enum pgr_rc pgr_loop_add(
	struct pgr_loop *loop, int fd, uint32_t events, void *data, struct pgr_err *err);

/* The same, level-triggered and only for one of the processes that wait on the same descriptor. */
PGR_MUST enum pgr_rc pgr_loop_add_exclusive(
	struct pgr_loop *loop, int fd, void *data, struct pgr_err *err);

/* Before close(2): the registration keys on the open file, which other processes may hold too. */
void pgr_loop_remove(struct pgr_loop *loop, int fd);

/* Waits at most timeout_ms. Returns the number of events in loop->event. */
int pgr_loop_wait(struct pgr_loop *loop, int timeout_ms);

#endif
