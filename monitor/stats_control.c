/*
 * Serves pgroutectl. A peer must be root or run under our own uid (the user that pgroute drops to);
 * the socket's mode keeps others out before that. Everything a peer can make us hold is bounded:
 * clients, length of a request, time without progress; when all places are taken the one that has
 * been silent longest makes room. Commands go to the master one at a time, in the order in which
 * they came. Called by stats.c; never blocks.
 */
#include "monitor/stats_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/utf8.h"
#include "monitor/prometheus.h"
#include "net/fdpass.h"
#include "net/sock.h"

#define SILENCE (10 * PGR_USEC_PER_SEC)
#define COMMAND_TIME (60 * PGR_USEC_PER_SEC)

static bool
client_busy(const struct pgr_control_client *c)
{
	return c->ticket != 0 || c->out_at < c->out.len;
}

static void
client_close(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	pgr_loop_remove(control->loop, c->fd);
	close(c->fd);
	free(c->in);
	pgr_stats_text_fini(&c->out);
	*c = (struct pgr_control_client){.fd = -1};
}

static void
client_wait(struct pgr_control_client *c, pgr_usec time)
{
	c->deadline = pgr_clock_now() + time;
}

/* Ends the answer that lies in c->out. */
static void
client_answer(struct pgr_control_client *c)
{
	static const char too_long[] =
		"{\"ok\":false,\"error\":\"the answer is too long or memory is out\"}\n";

	pgr_stats_text_add(&c->out, "\n", 1);
	if (c->out.full) {
		pgr_stats_text_fini(&c->out);
		pgr_stats_text_add(&c->out, too_long, sizeof(too_long) - 1);
		c->leaving = true; /* may not even have fitted */
	}
	c->out_at = 0;
	c->again = true;
	client_wait(c, SILENCE);
}

static void
answer_error(struct pgr_control_client *c, const struct pgr_err *err)
{
	pgr_stats_rows_error(&c->out, err);
	client_answer(c);
}

/* {"ok": ok, key: text}; text of any length. */
static void
answer_text(struct pgr_control_client *c, bool ok, const char *text, size_t len)
{
	json_t *object = json_object();
	char *buf = malloc(len + 1);

	json_object_set_new(object, "ok", json_boolean(ok));
	if (buf == NULL ||
		json_object_set_new(object, ok ? "text" : "error",
			json_string(pgr_utf8_copy(buf, text, len))) != 0)
		c->out.full = true;
	free(buf);
	pgr_stats_rows_object(&c->out, object);
	client_answer(c);
}

static void
answer_metrics(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	struct pgr_stats_text text = {0};
	struct pgr_err err = {0};

	if (pgr_prometheus_write(control->source->shm->stats, pgr_clock_now(), &text, &err) ==
		PGR_OK)
		answer_text(c, true, text.bytes, text.len);
	else
		answer_error(c, &err);
	pgr_stats_text_fini(&text);
}

static void
answer_stats_fd(struct pgr_control_client *c)
{
	pgr_stats_text_printf(&c->out, "{\"ok\":true,\"size\":%zu}", sizeof(struct pgr_stats));
	c->pass_stats = true;
	client_answer(c);
}

static void
queue_command(
	struct pgr_stats_control *control, struct pgr_control_client *c, enum pgr_command command)
{
	c->command = command;
	c->ticket = ++control->next_ticket;
	client_wait(c, COMMAND_TIME);
}

static void
do_request(struct pgr_stats_control *control, struct pgr_control_client *c,
	const struct pgr_request *request)
{
	switch (request->verb) {
	case PGR_REQUEST_STATUS:
		pgr_stats_show_status(control->source, &c->out);
		client_answer(c);
		break;
	case PGR_REQUEST_SHOW:
		pgr_stats_show(control->source, request->what, &c->out);
		client_answer(c);
		break;
	case PGR_REQUEST_RELOAD:
		queue_command(control, c, PGR_COMMAND_RELOAD);
		break;
	case PGR_REQUEST_STOP:
		queue_command(control, c, request->fast ? PGR_COMMAND_STOP_FAST : PGR_COMMAND_STOP);
		break;
	case PGR_REQUEST_STATS_FD:
		answer_stats_fd(c);
		break;
	case PGR_REQUEST_METRICS:
		answer_metrics(control, c);
		break;
	}
}

static void
do_line(struct pgr_stats_control *control, struct pgr_control_client *c, size_t len)
{
	struct pgr_request request;
	struct pgr_err err;

	if (pgr_stats_request_parse(c->in, len, &request, &err) == PGR_OK) {
		do_request(control, c, &request);
		return;
	}
	/* what speaks no JSON will not learn it in the next line */
	c->leaving = strcmp(err.sqlstate, "08P01") == 0;
	answer_error(c, &err);
}

/* True: there was a whole line, or one that is too long. */
static bool
take_line(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	char *end = memchr(c->in, '\n', c->in_len);
	size_t len = end == NULL ? c->in_len : (size_t)(end - c->in);
	struct pgr_err err = {.message = "the request is too long"};

	if (end == NULL && c->in_len <= PGR_REQUEST_MAX)
		return false;
	if (len > PGR_REQUEST_MAX) {
		c->leaving = true;
		answer_error(c, &err);
		return true;
	}
	do_line(control, c, len);
	c->in_len -= len + 1;
	memmove(c->in, end + 1, c->in_len);
	return true;
}

static ssize_t
send_with_stats(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} part = {0};
	struct iovec iov = {
		.iov_base = c->out.bytes + c->out_at, .iov_len = c->out.len - c->out_at};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = part.bytes,
		.msg_controllen = sizeof(part.bytes)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &control->source->shm->stats_fd, sizeof(int));
	n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	if (n > 0)
		c->pass_stats = false;
	return n;
}

/* OK: all is sent. AGAIN: the peer does not read. CLOSED: it is gone. */
static enum pgr_rc
send_answer(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = c->pass_stats ? send_with_stats(control, c)
					  : send(c->fd, c->out.bytes + c->out_at,
						    c->out.len - c->out_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? PGR_AGAIN : PGR_CLOSED;
		c->out_at += (size_t)n;
		client_wait(c, SILENCE);
	}
	pgr_stats_text_fini(&c->out);
	c->out_at = 0;
	return PGR_OK;
}

/* True: something came, or the end. */
static bool
read_some(struct pgr_control_client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, PGR_REQUEST_MAX + 1 - c->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		c->ended = true;
	else
		c->in_len += (size_t)n;
	return true;
}

/*
 * One step towards the next answer. At most one request a turn, so that nobody who pipelines keeps
 * the beat from being told.
 */
static void
client_run(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	enum pgr_rc rc = send_answer(control, c);

	c->again = false;
	if (rc == PGR_CLOSED || (rc == PGR_OK && c->leaving)) {
		client_close(control, c);
		return;
	}
	if (rc == PGR_AGAIN || c->ticket != 0)
		return;
	while (!take_line(control, c)) {
		if (c->ended) {
			client_close(control, c);
			return;
		}
		if (!read_some(c))
			return;
	}
}

static bool
peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
		(peer.uid == 0 || peer.uid == geteuid());
}

/* A place for a new client: free, or of the one that is silent longest. NULL: all are busy. */
static struct pgr_control_client *
find_place(struct pgr_stats_control *control)
{
	struct pgr_control_client *oldest = NULL;

	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++) {
		struct pgr_control_client *c = &control->client[i];

		if (c->fd < 0)
			return c;
		if (!client_busy(c) && (oldest == NULL || c->deadline < oldest->deadline))
			oldest = c;
	}
	if (oldest != NULL)
		client_close(control, oldest);
	return oldest;
}

static void
client_begin(struct pgr_stats_control *control, struct pgr_control_client *c, int fd)
{
	static const char refusal[] =
		"{\"ok\":false,\"error\":\"permission denied\",\"hint\":\"run it as "
		"root or as the user that pgroute runs as\"}\n";
	struct pgr_err err;

	if (!peer_allowed(fd)) {
		(void)!send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL);
		close(fd);
		return;
	}
	*c = (struct pgr_control_client){.fd = fd, .in = malloc(PGR_REQUEST_MAX + 1)};
	client_wait(c, SILENCE);
	if (c->in == NULL ||
		pgr_loop_add(control->loop, fd, PGR_EV_READ | PGR_EV_WRITE | PGR_EV_HANGUP, c,
			&err) != PGR_OK)
		client_close(control, c);
	else
		client_run(control, c);
}

static void
accept_clients(struct pgr_stats_control *control)
{
	for (;;) {
		struct pgr_control_client *place = find_place(control);
		uint8_t addr[16];
		uint16_t port;
		struct pgr_err err;
		enum pgr_rc rc;
		int fd;

		control->accept_again = place == NULL;
		if (place == NULL)
			return;
		rc = pgr_sock_accept(control->listener, &fd, addr, &port, &err);
		/* out of descriptors: the next turn tries again */
		control->accept_again = rc == PGR_FAIL;
		if (rc != PGR_OK)
			return;
		client_begin(control, place, fd);
	}
}

enum pgr_rc
pgr_stats_control_open(struct pgr_stats_control *control, struct pgr_loop *loop, int listener,
	int master, const struct pgr_stats_source *source, struct pgr_err *err)
{
	*control = (struct pgr_stats_control){
		.listener = listener, .master = master, .loop = loop, .source = source};
	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++)
		control->client[i].fd = -1;
	/* clients that connected before this process began make no new edge */
	control->accept_again = listener >= 0;
	return listener < 0 ? PGR_OK : pgr_loop_add(loop, listener, PGR_EV_READ, control, err);
}

void
pgr_stats_control_close(struct pgr_stats_control *control)
{
	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++)
		if (control->client[i].fd >= 0)
			client_close(control, &control->client[i]);
}

void
pgr_stats_control_on_event(struct pgr_stats_control *control, void *data)
{
	struct pgr_control_client *c = data;

	if (data == control)
		accept_clients(control);
	else if (c->fd >= 0) /* else closed earlier in this turn */
		client_run(control, c);
}

static struct pgr_control_client *
find_ticket(struct pgr_stats_control *control, uint64_t ticket)
{
	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++)
		if (control->client[i].fd >= 0 && control->client[i].ticket == ticket)
			return &control->client[i];
	return NULL;
}

void
pgr_stats_control_on_result(struct pgr_stats_control *control)
{
	const struct pgr_answer *answer = &control->source->shm->seg->answer[PGR_PROC_STATS];
	struct pgr_control_client *c = control->asked == 0 ? NULL
							   : find_ticket(control, control->asked);
	size_t len = strnlen(answer->text, sizeof(answer->text));

	control->asked = 0;
	if (c == NULL)
		return; /* whoever asked did not wait */
	c->ticket = 0;
	while (len > 0 && answer->text[len - 1] == '\n')
		len--;
	answer_text(c, answer->ok != 0, answer->text, len);
	client_run(control, c);
}

/* Asks the master the oldest command, one at a time: there is one place for its answer. */
static void
ask_master(struct pgr_stats_control *control)
{
	struct pgr_control_client *next = NULL;
	struct pgr_note note = {.kind = PGR_NOTE_COMMAND};

	if (control->asked != 0)
		return;
	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++) {
		struct pgr_control_client *c = &control->client[i];

		if (c->fd >= 0 && c->ticket != 0 && (next == NULL || c->ticket < next->ticket))
			next = c;
	}
	if (next == NULL)
		return;
	note.conn = next->command;
	/* a full queue empties, and the next turn tries again; a closed one ends this process */
	if (pgr_fdpass_send(control->master, &note, -1) == PGR_OK)
		control->asked = next->ticket;
}

static void
enforce_deadline(struct pgr_stats_control *control, struct pgr_control_client *c)
{
	struct pgr_err err = {.message = "the master has not answered in time",
		.hint = "it goes on with the command; its log tells the outcome"};

	if (pgr_clock_now() < c->deadline)
		return;
	if (c->ticket == 0) {
		client_close(control, c);
		return;
	}
	c->ticket = 0;
	c->leaving = true;
	answer_error(c, &err);
}

bool
pgr_stats_control_turn(struct pgr_stats_control *control)
{
	bool again = false;

	for (size_t i = 0; i < PGR_CONTROL_CLIENTS; i++) {
		struct pgr_control_client *c = &control->client[i];

		if (c->fd >= 0 && c->again)
			client_run(control, c);
		if (c->fd >= 0)
			enforce_deadline(control, c);
		again |= c->fd >= 0 && c->again;
	}
	if (control->accept_again)
		accept_clients(control);
	ask_master(control);
	return again;
}
