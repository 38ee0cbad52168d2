/*
 * A socket with its unsent rest, and lists of pieces to send. What the peer does not take at once is
 * copied and kept; whoever feeds a stream stops while it is blocked, so the rest stays bounded by one
 * turn's output.
 */
#ifndef PGR_NET_STREAM_H
#define PGR_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct ssl_st;

#define PGR_VEC_PIECES 64
#define PGR_VEC_SCRATCH 16384
#define PGR_VEC_WEIGHT (PGR_VEC_SCRATCH / PGR_VEC_PIECES)
#define PGR_VEC_LEFT 2048u /* of fill: what one message may need, 8 pieces or as many bytes */

/* Pieces of output in order. They point into memory that stays until pgr_stream_send. */
struct pgr_vec {
	unsigned n;
	unsigned fill; /* PGR_VEC_WEIGHT for each piece, and the bytes of scratch */
	size_t total;
	size_t scratch_used;
	struct iovec piece[PGR_VEC_PIECES];
	char scratch[PGR_VEC_SCRATCH];
};

static inline void
pgr_vec_reset(struct pgr_vec *vec)
{
	vec->n = vec->fill = 0;
	vec->total = 0;
	vec->scratch_used = 0;
}

/* Room for some more messages? Otherwise send first. */
static inline bool
pgr_vec_roomy(const struct pgr_vec *vec)
{
	return vec->fill <= PGR_VEC_SCRATCH - PGR_VEC_LEFT;
}

/* Appends len bytes at p; merged with the piece before where that ends at p. */
void pgr_vec_add(struct pgr_vec *vec, const void *p, size_t len);

/* len bytes of scratch, already appended, for the caller to fill. len at most 2048. */
char *pgr_vec_room(struct pgr_vec *vec, size_t len);

struct pgr_stream {
	int fd;            /* -1: closed */
	bool readable;     /* an edge was seen and not yet read to its end */
	bool hangup;       /* the peer's end was announced: read on until it is read */
	bool broken;       /* sending failed */
	uint32_t rest_at;  /* of what is unsent */
	uint32_t rest_len;
	uint32_t rest_cap;
	char *rest;          /* as it goes over the wire */
	struct ssl_st *tls;  /* NULL: in clear (tls.h) */
};

void pgr_stream_init(struct pgr_stream *stream, int fd);

/* Frees the rest and TLS; the descriptor is the caller's. */
void pgr_stream_fini(struct pgr_stream *stream);

static inline bool
pgr_stream_blocked(const struct pgr_stream *stream)
{
	return stream->rest_len != 0;
}

/*
 * Reads once. OK: *ret_n bytes; a short read clears `readable`. AGAIN: nothing there. CLOSED: end of
 * stream or an error.
 */
PGR_MUST enum pgr_rc pgr_stream_read(
	struct pgr_stream *stream, char *buf, size_t cap, size_t *ret_n);

/*
 * Sends what is in vec, keeps what the socket does not take, resets vec. CLOSED: the peer is gone, or
 * no memory for the rest.
 */
enum pgr_rc pgr_stream_send(struct pgr_stream *stream, struct pgr_vec *vec);

/* The socket takes more: sends the rest. AGAIN: still blocked. */
enum pgr_rc pgr_stream_drain(struct pgr_stream *stream);

/* The same for the bytes of [p, p + len). */
enum pgr_rc pgr_stream_write(struct pgr_stream *stream, const char *p, size_t len);

/* Ends our side as soon as nothing is unsent: again after a drain. Reading goes on. */
void pgr_stream_shut(struct pgr_stream *stream);

/* Bytes as they are, below TLS. */
enum pgr_rc pgr_stream_push(struct pgr_stream *stream, const char *p, size_t len);

#endif
