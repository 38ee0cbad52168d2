/*
 * Connecting, with errors that say what to do. Used by all verbs that need a running daemon.
 */
#include "ctl/daemon.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl/call.h"
#include "ctl/report.h"

#define PEEK_SECONDS 5

/* With what is wrong with the file, when that is why we looked elsewhere for the socket. */
static int
report_not_running(struct pgr_ctl *ctl)
{
	char why[900] = "";

	if (!ctl->place.loaded && ctl->place.errors.n > 0 && ctl->socket == NULL)
		pgr_config_error_text(&ctl->place.errors.list[0], why, sizeof(why));
	if (why[0] != '\0')
		return pgr_report_error(ctl, PGR_CTL_NOT_RUNNING, NULL,
			"%s; pgroute is not running: nothing answers on %s%s", why,
			ctl->place.control, ctl->place.guessed ? ", the default" : "");
	return pgr_report_error(ctl, PGR_CTL_NOT_RUNNING, "start it with: pgroutectl start",
		"pgroute is not running: nothing answers on %s, the control socket %s %s",
		ctl->place.control, ctl->socket == NULL ? "of" : "given instead of that of",
		ctl->file);
}

int
pgr_daemon_open(struct pgr_ctl *ctl, int *ret_code)
{
	struct pgr_err err = {0};
	int fd;

	switch (pgr_call_open(ctl->place.control, &fd, &err)) {
	case PGR_OK:
		return fd;
	case PGR_CLOSED:
		*ret_code = report_not_running(ctl);
		return -1;
	case PGR_AGAIN:
	case PGR_FAIL:
		break;
	}
	*ret_code = pgr_report_err(ctl, PGR_CTL_FAILED, &err);
	return -1;
}

json_t *
pgr_daemon_ask(const struct pgr_ctl *ctl, int fd, json_t *request, int seconds)
{
	struct pgr_err err = {0};
	json_t *answer;

	if (pgr_call_ask(fd, request, seconds, &answer, NULL, &err) != PGR_OK) {
		pgr_report_err(ctl, PGR_CTL_FAILED, &err);
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	pgr_report_refusal(ctl, answer);
	json_decref(answer);
	return NULL;
}

json_t *
pgr_daemon_call(struct pgr_ctl *ctl, json_t *request, int seconds, int *ret_code)
{
	int fd = pgr_daemon_open(ctl, ret_code);
	json_t *answer;

	if (fd < 0) {
		json_decref(request);
		return NULL;
	}
	answer = pgr_daemon_ask(ctl, fd, request, seconds);
	*ret_code = answer == NULL ? PGR_CTL_FAILED : PGR_CTL_DONE;
	close(fd);
	return answer;
}

json_t *
pgr_daemon_peek(const char *control)
{
	struct pgr_err err;
	json_t *answer = NULL;
	int fd;

	if (pgr_call_open(control, &fd, &err) != PGR_OK)
		return NULL;
	if (pgr_call_ask(fd, pgr_call_verb("status"), PEEK_SECONDS, &answer, NULL, &err) != PGR_OK)
		answer = NULL;
	close(fd);
	return answer;
}

pid_t
pgr_daemon_pid(const json_t *status)
{
	return (pid_t)json_integer_value(json_object_get(status, "pid"));
}

int
pgr_daemon_watch(pid_t pid)
{
	return pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
}
