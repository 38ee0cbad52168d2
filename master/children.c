/*
 * The children: fork, reap, respawn, watchdog. A child that dies is marked DEAD in shared memory, the
 * monitor is poked, and it is forked again: at once, or with growing delays when it died young and
 * has served nobody. A child whose heartbeat has stopped for watchdog_timeout is killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"
#include "monitor/monitor.h"
#include "monitor/stats.h"
#include "worker/worker.h"

#define YOUNG (5 * PGR_USEC_PER_SEC)
#define DELAY_FIRST (PGR_USEC_PER_SEC / 2)
#define DELAY_MOST (30 * PGR_USEC_PER_SEC)

static void
role_of(unsigned index, char *out, size_t size)
{
	if (index == PGR_PROC_MONITOR)
		snprintf(out, size, "monitor");
	else if (index == PGR_PROC_STATS)
		snprintf(out, size, "stats");
	else
		snprintf(out, size, "worker %u", index);
}

/* What the child does not need: the other children's sockets, the vault, the master's own. */
static void
close_inherited(struct pgr_master *m, const struct pgr_child *self)
{
	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].sock >= 0 && &m->child[i] != self)
			close(m->child[i].sock);
	pgr_vault_close_all(&m->vault);
	pgr_loop_close(&m->loop);
	close(m->signals);
	close(m->first_stderr);
	if (self->index != PGR_PROC_STATS && m->control >= 0)
		close(m->control);
	if (self->index != PGR_PROC_STATS && m->http >= 0)
		close(m->http);
	for (unsigned i = 0; self->index >= PGR_PROC_MONITOR && i < m->listeners; i++)
		close(m->listener[i]);
}

static int
run_child(struct pgr_master *m, unsigned index, int sock)
{
	if (index == PGR_PROC_MONITOR)
		return pgr_monitor_run(&m->shm, sock);
	if (index == PGR_PROC_STATS)
		return pgr_stats_run(&m->shm, m->control, m->http, sock);
	return pgr_worker_run(&m->shm, index, m->listener, m->listeners, sock);
}

static void PGR_NORETURN
child_main(struct pgr_master *m, struct pgr_child *child, int sock)
{
	struct pgr_proc *proc = pgr_shm_proc(&m->shm, child->index);
	char role[24];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	role_of(child->index, role, sizeof(role));
	pgr_title_set(role);
	pgr_log_init(role, m->pair.config->log_level,
		m->pair.config->log_format == PGR_CONFIG_LOG_JSON);
	sigemptyset(&none);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's ^C goes to the whole group; the master decides */
	signal(SIGHUP, SIG_IGN);
	close_inherited(m, child);
	sigprocmask(SIG_SETMASK, &none, NULL);
	memset(&proc->panic, 0, sizeof(proc->panic));
	pgr_panic_init(&proc->panic);
	atomic_store(&proc->pid, (uint32_t)getpid());
	atomic_store(&proc->beat, pgr_clock_now());
	atomic_store(&m->shm.stats->pid[child->index], (uint32_t)getpid());
	pgr_sandbox_enter(m, child->index);
	exit(run_child(m, child->index, sock));
}

/* Clients that this index has taken, over all its lives. */
static uint64_t
accepted_by(struct pgr_master *m, const struct pgr_child *child)
{
	return atomic_load(&m->shm.stats->proc[child->index].accepted);
}

static void
spawn(struct pgr_master *m, struct pgr_child *child)
{
	struct pgr_proc *proc = pgr_shm_proc(&m->shm, child->index);
	struct pgr_err err;
	int pair[2];

	if (pgr_fdpass_pair(pair, &err) != PGR_OK) {
		pgr_log(PGR_LOG_ERROR, "child.spawn", "%s", err.message);
		child->not_before = m->now + DELAY_FIRST;
		return;
	}
	atomic_fetch_add(&proc->incarnation, 1);
	atomic_store(&proc->beat, m->now);
	child->started = m->now;
	child->accepted = accepted_by(m, child);
	child->sock = pair[0];
	child->log_due = false; /* inherited */
	child->pid = fork();
	if (child->pid == 0) {
		close(pair[0]);
		child->sock = -1;
		child_main(m, child, pair[1]);
	}
	close(pair[1]);
	if (child->pid < 0) {
		pgr_log(PGR_LOG_ERROR, "child.spawn", "cannot fork: %s", strerror(errno));
		close(pair[0]);
		child->sock = -1;
		child->pid = 0;
		child->not_before = m->now + DELAY_FIRST;
		return;
	}
	if (pgr_loop_add(&m->loop, child->sock, PGR_EV_READ, child, &err) != PGR_OK)
		pgr_log(PGR_LOG_ERROR, "child.spawn", "%s", err.message);
}

void
pgr_children_start(struct pgr_master *m)
{
	uint32_t workers = m->shm.seg->workers;

	m->children = workers + 2;
	for (unsigned i = 0; i < m->children; i++) {
		m->child[i].sock = -1;
		m->child[i].index = i < workers ? i : i == workers ? PGR_PROC_MONITOR : PGR_PROC_STATS;
	}
	for (unsigned i = 0; i < m->children; i++)
		spawn(m, &m->child[i]);
}

static void
tell_death(struct pgr_master *m, const struct pgr_child *child, int status)
{
	const char *last = pgr_shm_proc(&m->shm, child->index)->panic.text;
	char role[24];

	role_of(child->index, role, sizeof(role));
	if (WIFSIGNALED(status))
		pgr_log(PGR_LOG_ERROR, "child.died", "%s (pid %d) was ended by signal %d%s%.200s", role,
			(int)child->pid, WTERMSIG(status), last[0] != '\0' ? ": panic: " : "", last);
	else if (WEXITSTATUS(status) != 0 || m->stop_at == 0)
		pgr_log(PGR_LOG_ERROR, "child.died", "%s (pid %d) ended with status %d%s%.200s", role,
			(int)child->pid, WEXITSTATUS(status), last[0] != '\0' ? ": " : "", last);
}

/* A worker has served when it has taken a client, the others when their loop has turned for a while. */
static bool
has_served(struct pgr_master *m, const struct pgr_child *child)
{
	struct pgr_proc *proc = pgr_shm_proc(&m->shm, child->index);

	if (!pgr_proc_is(proc, PGR_LIFE_ALIVE))
		return false;
	if (child->index < PGR_PROC_MONITOR)
		return accepted_by(m, child) != child->accepted;
	return atomic_load(&proc->beat) > child->started + PGR_USEC_PER_SEC;
}

static void
schedule_respawn(struct pgr_master *m, struct pgr_child *child, bool served)
{
	pgr_usec delay = 0;

	if (!served && m->now - child->started < YOUNG) {
		delay = DELAY_FIRST << PGR_MIN(child->quick_deaths, 6u);
		child->quick_deaths++;
	} else {
		child->quick_deaths = 0;
	}
	/* the first early death is taken for bad luck */
	if (child->quick_deaths <= 1)
		delay = 0;
	child->not_before = m->now + PGR_MIN(delay, DELAY_MOST);
}

static void
buried(struct pgr_master *m, struct pgr_child *child, int status)
{
	unsigned i = (unsigned)(child - m->child);
	bool served = has_served(m, child);

	tell_death(m, child, status);
	pgr_vault_read(m, i); /* what it deposited last belongs to all */
	pgr_vault_forget_child(m, i);
	pgr_loop_remove(&m->loop, child->sock);
	close(child->sock);
	child->sock = -1;
	child->pid = 0;
	atomic_store(&m->shm.stats->pid[child->index], 0);
	atomic_store(&pgr_shm_proc(&m->shm, child->index)->life, PGR_LIFE_DEAD);
	atomic_store(&m->shm.seg->died, 1);
	pgr_proc_poke(&m->shm, PGR_PROC_MONITOR, true);
	if (m->stop_at == 0)
		atomic_fetch_add(&m->shm.stats->respawns, 1);
	schedule_respawn(m, child, served);
}

void
pgr_children_reap(struct pgr_master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < m->children; i++)
			if (m->child[i].pid == pid)
				buried(m, &m->child[i], status);
}

static void
watch_heart(struct pgr_master *m, struct pgr_child *child)
{
	struct pgr_proc *proc = pgr_shm_proc(&m->shm, child->index);
	pgr_usec beat = atomic_load(&proc->beat);
	char role[24];

	atomic_store(&m->shm.stats->beat[child->index], beat);
	if (m->pair.config->watchdog_timeout == 0 || m->now < beat ||
		m->now - beat < m->pair.config->watchdog_timeout)
		return;
	role_of(child->index, role, sizeof(role));
	pgr_log(PGR_LOG_ERROR, "child.hangs", "%s (pid %d) has been silent for watchdog_timeout: killed",
		role, (int)child->pid);
	kill(child->pid, SIGKILL);
	atomic_store(&proc->beat, m->now); /* once */
}

void
pgr_children_tick(struct pgr_master *m)
{
	for (unsigned i = 0; i < m->children; i++) {
		struct pgr_child *child = &m->child[i];
		bool worker = child->index < PGR_PROC_MONITOR;

		if (child->pid != 0)
			watch_heart(m, child);
		else if (m->now >= child->not_before && !(worker && atomic_load(&m->shm.seg->stopping) >= PGR_STOP_GRACEFUL))
			spawn(m, child);
	}
}

bool
pgr_children_workers_gone(const struct pgr_master *m)
{
	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].index < PGR_PROC_MONITOR && m->child[i].pid != 0)
			return false;
	return true;
}

void
pgr_children_kill(struct pgr_master *m, int sig)
{
	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].pid != 0)
			kill(m->child[i].pid, sig);
}

void
pgr_children_poke(struct pgr_master *m)
{
	for (unsigned i = 0; i < m->children; i++)
		pgr_proc_poke(&m->shm, m->child[i].index, true);
}
