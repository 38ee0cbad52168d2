/*
 * The control socket: one JSON object a line in, one out.
 */
#ifndef PGR_MONITOR_STATS_CONTROL_H
#define PGR_MONITOR_STATS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "monitor/stats_show.h"
#include "net/loop.h"

#define PGR_CONTROL_CLIENTS 16

/* What a client is in the middle of. An answer goes out before more is read. */
struct pgr_control_client {
	int fd;   /* -1: unused */
	char *in; /* PGR_REQUEST_MAX + 1 bytes: the start of a line */
	size_t in_len;
	struct pgr_stats_text out;
	size_t out_at;
	uint64_t ticket;  /* its command's place in the queue for the master; 0: none */
	uint32_t command; /* enum pgr_command */
	bool pass_stats;  /* the statistics' descriptor goes with the next bytes sent */
	bool again;       /* there may be more to do without another event */
	bool leaving;     /* closed once the answer is sent */
	bool ended;       /* end of stream was read */
	pgr_usec deadline;
};

struct pgr_stats_control {
	int listener; /* -1: there is none */
	int master;
	bool accept_again; /* clients may be waiting for a free place */
	uint64_t next_ticket;
	uint64_t asked; /* ticket of the command that the master has; 0: none */
	struct pgr_loop *loop;
	const struct pgr_stats_source *source;
	struct pgr_control_client client[PGR_CONTROL_CLIENTS];
};

/* Registers the listener with the loop, itself as the event's data. */
PGR_MUST enum pgr_rc pgr_stats_control_open(struct pgr_stats_control *control,
	struct pgr_loop *loop, int listener, int master, const struct pgr_stats_source *source,
	struct pgr_err *err);
void pgr_stats_control_close(struct pgr_stats_control *control);

/* An event whose data is none of the caller's own. */
void pgr_stats_control_on_event(struct pgr_stats_control *control, void *data);

/* The master has answered the command that it was asked. */
void pgr_stats_control_on_result(struct pgr_stats_control *control);

/* After each turn: what is left over, time limits. True: wants to be called again at once. */
bool pgr_stats_control_turn(struct pgr_stats_control *control);

#endif
