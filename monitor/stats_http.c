/*
 * HTTP by libmicrohttpd, in the loop of the stats process: its epoll instance is one more
 * descriptor there. Whoever can reach the port may read; nothing can be changed here. What a peer
 * can make us hold is bounded: connections, memory and time of each, and how many answers to
 * /metrics are on their way at once. Called by stats.c.
 */
#include "monitor/stats_http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "monitor/prometheus.h"

#define CONNECTIONS 256u
#define CONNECTION_BYTES ((size_t)8192) /* request line and headers */
#define CONNECTION_SECONDS 10u
#define METRICS_AT_ONCE 8

struct pgr_stats_http {
	struct MHD_Daemon *daemon;
	const struct pgr_stats_source *source;
	unsigned metrics; /* answers not yet given back */
	int fd;
};

/* One text of /metrics, until it is sent. */
struct metrics {
	struct pgr_stats_http *http;
	struct pgr_stats_text text;
};

static void
on_metrics_sent(void *arg)
{
	struct metrics *metrics = arg;

	metrics->http->metrics--;
	pgr_stats_text_fini(&metrics->text);
	free(metrics);
}

static enum MHD_Result
respond(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
	const char *type)
{
	enum MHD_Result rc;

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	rc = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return rc;
}

/* text: a literal. */
static enum MHD_Result
respond_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
	return respond(connection, status,
		MHD_create_response_from_buffer(
			strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT),
		"text/plain; charset=utf-8");
}

/* NULL: no memory, or the text got too long. */
static struct metrics *
metrics_new(struct pgr_stats_http *http)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct pgr_err err;

	if (metrics == NULL)
		return NULL;
	metrics->http = http;
	http->metrics++;
	if (pgr_prometheus_write(http->source->shm->stats, pgr_clock_now(), &metrics->text, &err) ==
		PGR_OK)
		return metrics;
	on_metrics_sent(metrics);
	return NULL;
}

static enum MHD_Result
respond_metrics(struct pgr_stats_http *http, struct MHD_Connection *connection)
{
	struct metrics *metrics = http->metrics < METRICS_AT_ONCE ? metrics_new(http) : NULL;
	struct MHD_Response *response;

	if (metrics == NULL)
		return respond_text(
			connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many readers, try again\n");
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		metrics->text.len, metrics->text.bytes, on_metrics_sent, metrics);
	if (response == NULL)
		on_metrics_sent(metrics);
	return respond(connection, MHD_HTTP_OK, response, PGR_PROMETHEUS_TYPE);
}

static enum MHD_Result
respond_state(struct MHD_Connection *connection, bool good, const char *bad)
{
	return good ? respond_text(connection, MHD_HTTP_OK, "ok\n")
		    : respond_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, bad);
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **state)
{
	struct pgr_stats_http *http = arg;

	/* the first call is made with the headers; an answer then would close the connection */
	if (*state == NULL) {
		*state = http;
		return MHD_YES;
	}
	if (*upload_len != 0) {
		*upload_len = 0; /* a body that nobody asked for is read past */
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return respond_metrics(http, connection);
	if (strcmp(url, "/healthz") == 0)
		return respond_state(
			connection, pgr_stats_show_healthy(http->source), "no worker is alive\n");
	if (strcmp(url, "/readyz") == 0)
		return respond_state(connection, pgr_stats_show_ready(http->source), "not ready\n");
	return respond_text(
		connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

enum pgr_rc
pgr_stats_http_open(int listener, const struct pgr_stats_source *source,
	struct pgr_stats_http **ret, struct pgr_err *err)
{
	struct pgr_stats_http *http = calloc(1, sizeof(*http));
	const union MHD_DaemonInfo *info;

	if (http == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	http->source = source;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
		CONNECTION_SECONDS, MHD_OPTION_END);
	info = http->daemon == NULL ? NULL
				    : MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL) {
		if (http->daemon != NULL)
			MHD_stop_daemon(http->daemon);
		free(http);
		return pgr_err_set(err, "58000", "cannot start the HTTP server");
	}
	http->fd = info->epoll_fd;
	*ret = http;
	return PGR_OK;
}

void
pgr_stats_http_close(struct pgr_stats_http *http)
{
	MHD_stop_daemon(http->daemon);
	free(http);
}

int
pgr_stats_http_fd(struct pgr_stats_http *http)
{
	return http->fd;
}

int
pgr_stats_http_run(struct pgr_stats_http *http, int cap)
{
	MHD_UNSIGNED_LONG_LONG wait;

	if (MHD_run(http->daemon) != MHD_YES)
		return cap;
	if (MHD_get_timeout(http->daemon, &wait) == MHD_YES && wait < (MHD_UNSIGNED_LONG_LONG)cap)
		return (int)wait;
	return cap;
}
