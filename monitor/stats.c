/*
 * The loop of the stats process. It only reads the segment (besides its own beat and its pinned
 * configuration), so that its death or a flaw in it costs no client anything; the master starts it
 * again. It goes on while pgroute drains, so that the end of a shutdown can be watched, and leaves
 * when the master closes its socket.
 */
#include "monitor/stats.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/stats_control.h"
#include "monitor/stats_http.h"
#include "net/fdpass.h"
#include "net/loop.h"
#include "shm/stats.h"

#define TURN_MS 500 /* the watchdog wants a beat each second */

struct process {
	struct pgr_shm *shm;
	struct pgr_loop loop;
	int master;
	bool over; /* the master has closed its end */
	struct pgr_average average;
	struct pgr_stats_source source;
	struct pgr_stats_control control;
	struct pgr_stats_http *http; /* NULL: none */
};

/* Pins the newest configuration and lets go of the one before. */
static void
use_configuration(struct process *p)
{
	p->source.config = pgr_generation_use(p->shm, PGR_PROC_STATS, NULL, &p->source.version);
	pgr_log_set(p->source.config->log_level,
		p->source.config->log_format == PGR_CONFIG_LOG_JSON);
}

static void
beat(struct process *p)
{
	pgr_usec now = pgr_clock_now();

	atomic_store(&pgr_shm_proc(p->shm, PGR_PROC_STATS)->beat, now);
	use_configuration(p);
	pgr_average_tick(&p->average, p->shm->stats, now);
	pgr_log_flush();
}

static void
on_master(struct process *p)
{
	struct pgr_note note;
	enum pgr_rc rc;
	int fd;

	while ((rc = pgr_fdpass_receive(p->master, &note, &fd)) == PGR_OK) {
		if (note.kind == PGR_NOTE_LOG)
			pgr_log_take(fd);
		else if (fd >= 0)
			close(fd); /* nobody hands us others */
		if (note.kind == PGR_NOTE_RESULT)
			pgr_stats_control_on_result(&p->control);
	}
	p->over = rc == PGR_CLOSED;
}

static void
on_poke(struct process *p)
{
	uint64_t count;

	(void)!read(p->shm->eventfd[PGR_PROC_STATS], &count, sizeof(count));
	pgr_proc_poke_taken(p->shm, PGR_PROC_STATS);
}

static void
dispatch(struct process *p, void *data)
{
	if (data == &p->master)
		on_master(p);
	else if (data == p->shm)
		on_poke(p);
	else if (data != &p->http) /* HTTP runs in every turn */
		pgr_stats_control_on_event(&p->control, data);
}

/* The pair was made by the master, so its credentials are the master's. */
static pid_t
master_pid(int master)
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);

	return getsockopt(master, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

/* Without HTTP everything else is still of use: a flaw there must not cost the control socket. */
static enum pgr_rc
open_http(struct process *p, int listener, struct pgr_err *err)
{
	if (listener < 0)
		return PGR_OK;
	if (pgr_stats_http_open(listener, &p->source, &p->http, err) != PGR_OK) {
		pgr_log(PGR_LOG_ERROR, "stats.http", "%s", err->message);
		return PGR_OK;
	}
	return pgr_loop_add(&p->loop, pgr_stats_http_fd(p->http), PGR_EV_READ, &p->http, err);
}

static enum pgr_rc
begin(struct process *p, int control_listener, int http_listener, struct pgr_err *err)
{
	if (pgr_loop_open(&p->loop, err) != PGR_OK ||
		pgr_loop_add(&p->loop, p->master, PGR_EV_READ | PGR_EV_HANGUP, &p->master, err) !=
			PGR_OK ||
		pgr_loop_add(&p->loop, p->shm->eventfd[PGR_PROC_STATS], PGR_EV_READ, p->shm, err) !=
			PGR_OK)
		return PGR_FAIL;
	p->source.shm = p->shm;
	p->source.average = &p->average;
	p->source.master = master_pid(p->master);
	beat(p);
	if (pgr_stats_control_open(
		    &p->control, &p->loop, control_listener, p->master, &p->source, err) != PGR_OK)
		return PGR_FAIL;
	return open_http(p, http_listener, err);
}

/* Returns how long the next wait may be. */
static int
turn(struct process *p)
{
	int wait = TURN_MS;

	beat(p);
	for (int i = 0; i < p->loop.ready && !p->over; i++)
		dispatch(p, p->loop.event[i].data.ptr);
	if (p->http != NULL)
		wait = pgr_stats_http_run(p->http, wait);
	return pgr_stats_control_turn(&p->control) ? 0 : wait;
}

static void
end(struct process *p)
{
	if (p->http != NULL)
		pgr_stats_http_close(p->http);
	pgr_stats_control_close(&p->control);
	pgr_average_fini(&p->average);
	pgr_loop_close(&p->loop);
}

int
pgr_stats_run(struct pgr_shm *shm, int control_listener, int http_listener, int master)
{
	struct process p = {.shm = shm, .master = master};
	struct pgr_err err = {0};
	int wait = 0;

	atomic_store(&pgr_shm_proc(shm, PGR_PROC_STATS)->life, PGR_LIFE_ALIVE);
	if (begin(&p, control_listener, http_listener, &err) != PGR_OK) {
		pgr_log(PGR_LOG_ERROR, "stats.start", "%s", err.message);
		return 1;
	}
	while (!p.over) {
		pgr_loop_wait(&p.loop, wait);
		wait = turn(&p);
	}
	end(&p);
	return 0;
}
