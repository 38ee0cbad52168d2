/*
 * Stopping, in stages: a grace time in which the listeners stay and only readiness fails; then clients
 * leave between transactions; at shutdown_timeout everybody gets 57P01; a little later SIGKILL.
 */
#include <signal.h>

#include "base/log.h"
#include "master/master.h"

#define LAST_WORDS (3 * PGR_USEC_PER_SEC)

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

void
pgr_stop_tick(struct pgr_master *m)
{
	if (m->stop_at == 0)
		return;
	if (pgr_children_workers_gone(m)) {
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
