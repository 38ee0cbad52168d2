/*
 * Fixed records with at most one descriptor, over a pair of SOCK_SEQPACKET sockets: how processes of
 * pgroute hand each other server connections (the vault) and words.
 */
#ifndef PGR_NET_FDPASS_H
#define PGR_NET_FDPASS_H

#include <stdint.h>

#include "base/err.h"

enum pgr_note_kind {
	PGR_NOTE_DEPOSIT = 1, /* to the master, with descriptor: the vault keeps it */
	PGR_NOTE_LEND,        /* to the master, with descriptor: the end for others of a TLS connection that
	                         was deposited before */
	PGR_NOTE_ASK,         /* to the master: hand me the descriptor of (slot, conn), or its lent end */
	PGR_NOTE_HERE,        /* from the master, with descriptor: the answer */
	PGR_NOTE_NONE,        /* from the master: the vault does not have it */
	PGR_NOTE_DROP,        /* to the master, from the monitor: that connection has ended */
	PGR_NOTE_COMMAND,     /* to the master, from stats or a worker: conn is an enum pgr_command */
	PGR_NOTE_RESULT,      /* from the master, to whoever asked: the answer lies in shared memory */
	PGR_NOTE_LOG,         /* from the master, with descriptor: log there from now on */
};

struct pgr_note {
	uint32_t kind;
	uint32_t slot;
	uint32_t conn;
	uint32_t lent; /* ASK: 1 for the end that LEND brought */
};

PGR_MUST enum pgr_rc pgr_fdpass_pair(int ret_pair[2], struct pgr_err *err);

/* fd: -1 for none; stays the caller's. AGAIN: the peer's queue is full. */
PGR_MUST enum pgr_rc pgr_fdpass_send(int sock, const struct pgr_note *note, int fd);

/* *ret_fd: the received descriptor, or -1. AGAIN: nothing there; CLOSED: the peer has ended. */
PGR_MUST enum pgr_rc pgr_fdpass_receive(int sock, struct pgr_note *ret_note, int *ret_fd);

#endif
