/*
 * Stops the daemon and stays until its process is gone. The process is watched by a pidfd taken
 * before it is told, so that neither a reused pid nor a zombie can fool us.
 */
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/call.h"
#include "ctl/ctl.h"
#include "ctl/daemon.h"
#include "ctl/report.h"

#define ASK_SECONDS 70 /* the daemon itself gives up after 60 */
#define EXTRA_MS 10000 /* beyond shutdown_timeout */
#define STATUS_SECONDS 10

/* A daemon that is about to be stopped. */
struct target {
	int fd; /* its control socket */
	pid_t pid;
	int watch; /* pidfd */
	json_int_t patience_ms;
};

static json_t *
stop_request(bool fast)
{
	return json_pack("{s:s, s:s}", "verb", "stop", "mode", fast ? "fast" : "graceful");
}

/* False: has been reported. */
static bool
target_open(struct pgr_ctl *ctl, struct target *target, int *ret_code)
{
	json_t *status;

	target->fd = pgr_daemon_open(ctl, ret_code);
	if (target->fd < 0)
		return false;
	*ret_code = PGR_CTL_FAILED;
	status = pgr_daemon_ask(ctl, target->fd, pgr_call_verb("status"), STATUS_SECONDS);
	if (status == NULL) {
		close(target->fd);
		return false;
	}
	target->pid = pgr_daemon_pid(status);
	target->watch = pgr_daemon_watch(target->pid);
	target->patience_ms = EXTRA_MS +
		json_integer_value(json_object_get(status, "shutdown_timeout_ms")) +
		json_integer_value(json_object_get(status, "shutdown_grace_ms"));
	json_decref(status);
	return true;
}

/* True: the process has ended. */
static bool
target_wait(const struct target *target)
{
	struct pollfd watch = {.fd = target->watch, .events = POLLIN};
	pgr_usec deadline = pgr_clock_now() + (pgr_usec)target->patience_ms * PGR_USEC_PER_MSEC;

	if (target->watch < 0)
		return true;
	for (;;) {
		pgr_usec now = pgr_clock_now();

		if (now >= deadline)
			return false;
		if (poll(&watch, 1,
			    (int)PGR_MIN(
				    (deadline - now) / PGR_USEC_PER_MSEC + 1, (pgr_usec)60000)) > 0)
			return true;
	}
}

static int
report_stopped(const struct pgr_ctl *ctl, const struct target *target)
{
	json_t *object = json_pack("{s:b, s:i}", "ok", 1, "pid", (int)target->pid);
	int rc = pgr_report_done(ctl, object, "pgroute stopped (pid %d)", (int)target->pid);

	json_decref(object);
	return rc;
}

static int
target_stop(struct pgr_ctl *ctl, struct target *target)
{
	json_t *answer = pgr_daemon_ask(ctl, target->fd, stop_request(ctl->fast), ASK_SECONDS);

	if (answer == NULL)
		return PGR_CTL_FAILED;
	json_decref(answer);
	if (target_wait(target))
		return PGR_CTL_DONE;
	return pgr_report_error(ctl, PGR_CTL_FAILED,
		ctl->fast ? "its log may tell why"
			  : "pgroutectl stop --fast ends the clients that are left",
		"pgroute (pid %d) has not stopped within %lld seconds", (int)target->pid,
		(long long)target->patience_ms / 1000);
}

static void
target_close(struct target *target)
{
	close(target->fd);
	if (target->watch >= 0)
		close(target->watch);
}

int
pgr_stop_run(struct pgr_ctl *ctl)
{
	struct target target;
	int rc;

	if (!target_open(ctl, &target, &rc))
		return rc;
	rc = target_stop(ctl, &target);
	if (rc == PGR_CTL_DONE)
		report_stopped(ctl, &target);
	target_close(&target);
	return rc;
}

/* A daemon that runs well is not stopped for a file with which none would start. */
int
pgr_stop_restart(struct pgr_ctl *ctl)
{
	struct target target;
	json_t *status;
	int rc;

	if (!ctl->place.loaded)
		return pgr_report_config(ctl, &ctl->place.errors);
	status = pgr_daemon_peek(ctl->place.control);
	if (status != NULL) {
		json_decref(status);
		if (!target_open(ctl, &target, &rc))
			return rc;
		rc = target_stop(ctl, &target);
		target_close(&target);
		if (rc != PGR_CTL_DONE)
			return rc;
	}
	return pgr_start_run(ctl);
}
