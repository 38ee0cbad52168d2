/*
 * Starts a daemon and stays until it serves. The child's stderr is a pipe of ours meanwhile, so
 * that what keeps it from starting is told here. Where log.destination names a file the daemon
 * turns to that once it has all that it needs; else nobody reads the pipe afterwards: the daemon is
 * started with SIGPIPE ignored, so lines to it are lost as if they went to /dev/null.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/daemon.h"
#include "ctl/report.h"

#define PATIENCE (30 * PGR_USEC_PER_SEC)
#define LOOK_MS 50
#define SAID_MAX 65536
#define UNIT_MARK "/run/systemd/units/invocation:pgroute.service"

/* A daemon that is being started. */
struct child {
	pid_t pid;
	int says; /* what it writes to stderr */
	size_t len;
	char said[SAID_MAX + 1]; /* its beginning */
};

static bool
unit_active(void)
{
	struct stat st;

	return lstat(UNIT_MARK, &st) == 0;
}

static int
refuse_running(const struct pgr_ctl *ctl, const json_t *status)
{
	return pgr_report_error(ctl, PGR_CTL_FAILED,
		unit_active() ? "the systemd unit pgroute.service is active: use systemctl"
			      : "pgroutectl restart starts it anew",
		"pgroute is already running with pid %d on %s", (int)pgr_daemon_pid(status),
		ctl->place.control);
}

/* Near our own file first, so that a build tree starts its own daemon. */
static const char *
find_program(char *path, size_t size)
{
	/* side by side, as packages put them, as meson puts them */
	static const char *const beside[] = {"pgroute", "../sbin/pgroute", "../master/pgroute"};
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[PGR_MAX(n, 0)] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return "pgroute";
	slash[1] = '\0';
	for (size_t i = 0; i < PGR_COUNT_OF(beside); i++) {
		snprintf(path, size, "%s%s", self, beside[i]);
		if (access(path, X_OK) == 0)
			return path;
	}
	return "pgroute";
}

static void
child_exec(const char *file, int errors)
{
	char path[4096];
	const char *program = find_program(path, sizeof(path));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGPIPE, SIG_IGN);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	closefrom(STDERR_FILENO + 1);
	if (chdir("/") == 0)
		execlp(program, "pgroute", "-c", file, (char *)NULL);
	fprintf(stderr, "cannot execute %s: %s\n", program, strerror(errno));
	_exit(127);
}

static enum pgr_rc
child_start(const struct pgr_ctl *ctl, struct child *child, struct pgr_err *err)
{
	char *file = realpath(ctl->file, NULL); /* the child leaves our folder */
	int pair[2];

	if (file == NULL)
		return pgr_err_sys(err, "58030", "cannot find %s", ctl->file);
	if (pipe2(pair, O_CLOEXEC) != 0) {
		free(file);
		return pgr_err_sys(err, "53000", "cannot create a pipe");
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	child->says = pair[0];
	child->pid = fork();
	if (child->pid == 0)
		child_exec(file, pair[1]);
	close(pair[1]);
	free(file);
	return child->pid < 0 ? pgr_err_sys(err, "53000", "cannot fork") : PGR_OK;
}

/* Keeps the beginning; the rest is read and dropped, so that the child never waits for us. */
static void
child_listen(struct child *child)
{
	char more[4096];
	ssize_t n;

	while ((n = read(child->says, more, sizeof(more))) > 0) {
		size_t keep = PGR_MIN((size_t)n, SAID_MAX - child->len);

		memcpy(child->said + child->len, more, keep);
		child->len += keep;
	}
	child->said[child->len] = '\0';
}

/* The message of one JSON log line. False: it is none, or no error. */
static bool
json_error(const char *line, size_t len, char *buf, size_t size)
{
	json_t *object = json_loadb(line, len, 0, NULL);
	const char *level = json_string_value(json_object_get(object, "level"));
	const char *text = json_string_value(json_object_get(object, "message"));
	bool is_error = level != NULL && text != NULL && strcmp(level, "error") == 0;

	if (is_error)
		snprintf(buf, size, "%s", text);
	json_decref(object);
	return is_error;
}

/* The same of a text line: "time error [role] event: message". */
static bool
text_error(const char *line, size_t len, char *buf, size_t size)
{
	const char *end = line + len;
	const char *at = memmem(line, len, " error [", 8);

	at = at == NULL ? NULL : memmem(at, (size_t)(end - at), ": ", 2);
	if (at == NULL)
		return false;
	snprintf(buf, size, "%.*s", (int)(end - at - 2), at + 2);
	return true;
}

/* The first error that the child logged; without one the last line that it wrote. */
static void
child_reason(const struct child *child, char *buf, size_t size)
{
	const char *line = child->said;

	snprintf(buf, size, "it said nothing");
	while (*line != '\0') {
		size_t len = strcspn(line, "\n");

		if (text_error(line, len, buf, size) || json_error(line, len, buf, size))
			return;
		if (len > 0)
			snprintf(buf, size, "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static int
report_ended(const struct pgr_ctl *ctl, struct child *child, int status)
{
	char reason[900];

	child_listen(child);
	child_reason(child, reason, sizeof(reason));
	if (WIFSIGNALED(status))
		return pgr_report_error(ctl, PGR_CTL_FAILED, NULL,
			"pgroute did not start: it died of signal %d: %s", WTERMSIG(status),
			reason);
	return pgr_report_error(ctl, PGR_CTL_FAILED, NULL, "pgroute did not start: %s", reason);
}

/* The file that the daemon logs to; NULL: none. */
static const char *
log_file(const struct pgr_ctl *ctl)
{
	const struct pgr_config *cfg = ctl->place.pair.config;
	const char *destination = pgr_config_text(cfg, cfg->log_destination);

	return strcmp(destination, "stderr") == 0 ? NULL : destination;
}

static int
report_late(const struct pgr_ctl *ctl, struct child *child)
{
	char hint[PATH_MAX + 40] = "run it in the foreground to see more: pgroute -c FILE";
	char reason[900];

	if (log_file(ctl) != NULL)
		snprintf(hint, sizeof(hint), "its log tells more: %s", log_file(ctl));
	kill(child->pid, SIGTERM);
	child_reason(child, reason, sizeof(reason));
	return pgr_report_error(ctl, PGR_CTL_FAILED, hint,
		"pgroute did not serve within 30 seconds and was told to stop; the last it said: "
		"%s",
		reason);
}

static int
report_started(const struct pgr_ctl *ctl, const json_t *status)
{
	json_t *listen = json_object_get(status, "listen");
	const char *first = json_string_value(json_array_get(listen, 0));
	json_t *object = json_pack(
		"{s:b, s:i, s:O}", "ok", 1, "pid", (int)pgr_daemon_pid(status), "listen", listen);
	int rc = pgr_report_done(ctl, object, "pgroute started with pid %d, listening on %s%s, logging to %s",
		(int)pgr_daemon_pid(status), first == NULL ? "nothing" : first,
		json_array_size(listen) > 1 ? " and more" : "",
		log_file(ctl) != NULL ? log_file(ctl) : "nowhere (log.destination may name a file)");

	json_decref(object);
	return rc;
}

/* Ready, and it is the child that is: another daemon may have taken the socket at the same time. */
static json_t *
child_ready(const struct pgr_ctl *ctl, const struct child *child)
{
	json_t *status = pgr_daemon_peek(ctl->place.control);

	if (pgr_daemon_pid(status) == child->pid && json_is_true(json_object_get(status, "ready")))
		return status;
	json_decref(status);
	return NULL;
}

static int
child_wait(const struct pgr_ctl *ctl, struct child *child)
{
	pgr_usec deadline = pgr_clock_now() + PATIENCE;
	struct pollfd says = {.fd = child->says, .events = POLLIN};

	while (pgr_clock_now() < deadline) {
		json_t *status;
		int ended;

		poll(&says, 1, LOOK_MS);
		child_listen(child);
		if (waitpid(child->pid, &ended, WNOHANG) == child->pid)
			return report_ended(ctl, child, ended);
		status = child_ready(ctl, child);
		if (status != NULL) {
			int rc = report_started(ctl, status);

			json_decref(status);
			return rc;
		}
		if (says.revents & POLLHUP)
			says.fd = -1; /* it would end each poll at once */
	}
	return report_late(ctl, child);
}

int
pgr_start_run(struct pgr_ctl *ctl)
{
	struct child *child;
	struct pgr_err err = {0};
	json_t *status;
	int rc;

	if (!ctl->place.loaded)
		return pgr_report_config(ctl, &ctl->place.errors);
	status = pgr_daemon_peek(ctl->place.control);
	if (status != NULL) {
		rc = refuse_running(ctl, status);
		json_decref(status);
		return rc;
	}
	child = calloc(1, sizeof(*child));
	if (child == NULL)
		return pgr_report_error(ctl, PGR_CTL_FAILED, NULL, "out of memory");
	if (child_start(ctl, child, &err) == PGR_OK)
		rc = child_wait(ctl, child);
	else
		rc = pgr_report_err(ctl, PGR_CTL_FAILED, &err);
	if (child->says > 0)
		close(child->says);
	free(child);
	return rc;
}
