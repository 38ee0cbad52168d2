/*
 * Stopping, in stages: a grace time in which the listeners stay and only readiness fails; then clients
 * leave between transactions; at shutdown_timeout everybody gets 57P01; a little later SIGKILL. In
 * builds with crash points, workers that have left by themselves must leave a clean segment behind.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"
#include "shm/check.h"

#define LAST_WORDS (3 * PGR_USEC_PER_SEC)
#define QUIET_MOST (10 * PGR_USEC_PER_SEC) /* for the monitor to sweep and to close; a tick will do */
#define QUIET_LOOKS 20                     /* in one turn of the loop */

static void
enter(struct pgr_master *m, enum pgr_stop stage, pgr_usec lasts)
{
	atomic_store(&m->shm.seg->stopping, stage);
	if (stage >= PGR_STOP_GRACEFUL)
		pgr_listeners_close(m);
	m->stop_at = m->now + lasts;
	pgr_children_poke(m);
}

void
pgr_stop_begin(struct pgr_master *m, enum pgr_stop how)
{
	uint32_t now = atomic_load(&m->shm.seg->stopping);

	if (now >= (uint32_t)how && now != PGR_STOP_NOT)
		return;
	pgr_log(PGR_LOG_INFO, "stop", "%s", how == PGR_STOP_FAST ? "stopping fast" : "stopping");
	if (how == PGR_STOP_FAST)
		enter(m, PGR_STOP_FAST, LAST_WORDS);
	else if (m->pair.config->shutdown_grace > 0)
		enter(m, PGR_STOP_GRACE, m->pair.config->shutdown_grace);
	else
		enter(m, PGR_STOP_GRACEFUL, m->pair.config->shutdown_timeout);
}

#ifdef PGR_CRASHPOINTS
static void
tell_violations(char *lines)
{
	char *rest = lines;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			pgr_log(PGR_LOG_ERROR, "segment.violated", "%s", line);
}

/* True: there is nothing to wait for. A segment that stays unclean makes the master's exit status. */
static bool
segment_checked(struct pgr_master *m)
{
	static char lines[8192];

	if (m->quiet_by == 0)
		m->quiet_by = m->now + QUIET_MOST;
	for (int i = 0; i < QUIET_LOOKS; i++) {
		if (pgr_check_segment(&m->shm, lines, sizeof(lines)) == 0)
			return true;
		usleep(5000);
	}
	if (m->now < m->quiet_by)
		return false;
	tell_violations(lines);
	m->status = 1;
	return true;
}
#else
static bool
segment_checked(struct pgr_master *m)
{
	(void)m;
	return true;
}
#endif

void
pgr_stop_tick(struct pgr_master *m)
{
	if (m->stop_at == 0)
		return;
	if (pgr_children_workers_gone(m)) {
		if (segment_checked(m))
			m->quit = true;
		return;
	}
	if (m->now < m->stop_at)
		return;
	switch ((enum pgr_stop)atomic_load(&m->shm.seg->stopping)) {
	case PGR_STOP_NOT:
		break;
	case PGR_STOP_GRACE:
		enter(m, PGR_STOP_GRACEFUL, m->pair.config->shutdown_timeout);
		break;
	case PGR_STOP_GRACEFUL:
		pgr_log(PGR_LOG_WARN, "stop", "shutdown_timeout has passed: the remaining clients are sent away");
		enter(m, PGR_STOP_FAST, LAST_WORDS);
		break;
	case PGR_STOP_FAST:
		pgr_children_kill(m, SIGKILL);
		m->quit = true;
		break;
	}
}
