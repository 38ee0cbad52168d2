/*
 * Sending and receiving with back-pressure. Used for clients and servers alike; knows nothing of what
 * the bytes mean.
 */
#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/panic.h"
#include "net/tls.h"

void
pgr_vec_add(struct pgr_vec *vec, const void *p, size_t len)
{
	struct iovec *last = vec->n > 0 ? &vec->piece[vec->n - 1] : NULL;

	if (len == 0)
		return;
	vec->total += len;
	if (last != NULL && (const char *)last->iov_base + last->iov_len == (const char *)p) {
		last->iov_len += len;
		return;
	}
	PGR_ASSERT(vec->n < PGR_VEC_PIECES);
	vec->piece[vec->n].iov_base = (void *)(uintptr_t)p;
	vec->piece[vec->n].iov_len = len;
	vec->n++;
	vec->fill += PGR_VEC_WEIGHT;
}

char *
pgr_vec_room(struct pgr_vec *vec, size_t len)
{
	char *room = vec->scratch + vec->scratch_used;

	PGR_ASSERT(vec->scratch_used + len <= PGR_VEC_SCRATCH);
	vec->scratch_used += len;
	vec->fill += (unsigned)len;
	pgr_vec_add(vec, room, len);
	return room;
}

void
pgr_stream_init(struct pgr_stream *stream, int fd)
{
	*stream = (struct pgr_stream){.fd = fd};
}

void
pgr_stream_fini(struct pgr_stream *stream)
{
	pgr_tls_end(stream);
	free(stream->rest);
	*stream = (struct pgr_stream){.fd = -1};
}

enum pgr_rc
pgr_stream_read(struct pgr_stream *stream, char *buf, size_t cap, size_t *ret_n)
{
	ssize_t n;

	if (PGR_UNLIKELY(stream->tls != NULL))
		return pgr_tls_read(stream, buf, cap, ret_n);
	n = recv(stream->fd, buf, cap, 0);
	if (n > 0) {
		/* epoll(7): a short read of a stream socket has emptied it; an end that comes later makes
		 * an edge of its own */
		stream->readable = (size_t)n == cap || stream->hangup;
		*ret_n = (size_t)n;
		return PGR_OK;
	}
	stream->readable = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PGR_AGAIN;
	return PGR_CLOSED;
}

/* Makes room behind the rest. */
static enum pgr_rc
reserve(struct pgr_stream *stream, size_t more)
{
	size_t need = stream->rest_len + more;

	if (stream->rest_at > 0) {
		memmove(stream->rest, stream->rest + stream->rest_at, stream->rest_len);
		stream->rest_at = 0;
	}
	if (need > stream->rest_cap) {
		char *bigger = need < UINT32_MAX / 2 ? realloc(stream->rest, need) : NULL;

		if (bigger == NULL)
			return PGR_CLOSED;
		stream->rest = bigger;
		stream->rest_cap = (uint32_t)need;
	}
	return PGR_OK;
}

static void
append(struct pgr_stream *stream, const char *p, size_t len)
{
	memcpy(stream->rest + stream->rest_len, p, len);
	stream->rest_len += (uint32_t)len;
}

/* Appends to the rest what lies behind the first `sent` bytes of vec. */
static enum pgr_rc
keep_rest(struct pgr_stream *stream, const struct pgr_vec *vec, size_t sent)
{
	if (reserve(stream, vec->total - sent) != PGR_OK)
		return PGR_CLOSED;
	for (unsigned i = 0; i < vec->n; i++) {
		size_t len = vec->piece[i].iov_len;
		size_t skip = PGR_MIN(sent, len);

		sent -= skip;
		append(stream, (char *)vec->piece[i].iov_base + skip, len - skip);
	}
	return PGR_OK;
}

static ssize_t
send_pieces(int fd, struct pgr_vec *vec)
{
	struct msghdr msg = {.msg_iov = vec->piece, .msg_iovlen = vec->n};

	if (vec->n == 1)
		return send(fd, vec->piece[0].iov_base, vec->piece[0].iov_len, MSG_NOSIGNAL);
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

enum pgr_rc
pgr_stream_send(struct pgr_stream *stream, struct pgr_vec *vec)
{
	enum pgr_rc rc = PGR_OK;
	ssize_t sent = 0;

	if (vec->total == 0)
		return stream->broken ? PGR_CLOSED : PGR_OK;
	if (PGR_UNLIKELY(stream->tls != NULL)) {
		rc = pgr_tls_send(stream, vec);
		pgr_vec_reset(vec);
		return rc;
	}
	if (stream->rest_len == 0 && !stream->broken)
		sent = send_pieces(stream->fd, vec);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		stream->broken = true;
	if (stream->broken)
		rc = PGR_CLOSED;
	else if ((size_t)PGR_MAX(sent, 0) < vec->total)
		rc = keep_rest(stream, vec, (size_t)PGR_MAX(sent, 0));
	if (rc == PGR_CLOSED)
		stream->broken = true;
	pgr_vec_reset(vec);
	return rc;
}

enum pgr_rc
pgr_stream_drain(struct pgr_stream *stream)
{
	ssize_t sent;

	if (stream->broken)
		return PGR_CLOSED;
	if (stream->rest_len == 0)
		return PGR_OK;
	sent = send(stream->fd, stream->rest + stream->rest_at, stream->rest_len, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		stream->broken = true;
		return PGR_CLOSED;
	}
	if (sent > 0) {
		stream->rest_at += (uint32_t)sent;
		stream->rest_len -= (uint32_t)sent;
	}
	if (stream->rest_len != 0)
		return PGR_AGAIN;
	free(stream->rest);
	stream->rest = NULL;
	stream->rest_at = stream->rest_cap = 0;
	return PGR_OK;
}

enum pgr_rc
pgr_stream_push(struct pgr_stream *stream, const char *p, size_t len)
{
	ssize_t sent = 0;

	if (stream->rest_len == 0 && !stream->broken)
		sent = send(stream->fd, p, len, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		stream->broken = true;
	sent = PGR_MAX(sent, 0);
	if (!stream->broken && (size_t)sent < len) {
		if (reserve(stream, len - (size_t)sent) == PGR_OK)
			append(stream, p + sent, len - (size_t)sent);
		else
			stream->broken = true;
	}
	return stream->broken ? PGR_CLOSED : PGR_OK;
}

enum pgr_rc
pgr_stream_write(struct pgr_stream *stream, const char *p, size_t len)
{
	return stream->tls != NULL ? pgr_tls_write(stream, p, len) : pgr_stream_push(stream, p, len);
}

void
pgr_stream_shut(struct pgr_stream *stream)
{
	if (stream->tls != NULL)
		pgr_tls_notify(stream);
	if (!pgr_stream_blocked(stream))
		shutdown(stream->fd, SHUT_WR);
}
