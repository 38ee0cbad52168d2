/*
 * The monitor's loop: pokes (mail, deaths, asks of workers, a new configuration), its copies of
 * server connections, and a tick. Everything it does may be repeated: when it dies, its successor
 * begins with a sweep and looks at every pool.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/fdpass.h"

#define TICK (250 * PGR_USEC_PER_MSEC)

static char poke_mark;
static char vault_mark;

void
pgr_monitor_match(struct pgr_monitor *m, pgr_pool_id id)
{
	uint32_t cursor = 0;
	pgr_slot_id slot;

	if (m->view[id.n] == NULL) {
		m->view[id.n] = malloc(sizeof(*m->view[id.n]));
		PGR_ASSERT(m->view[id.n] != NULL);
		pgr_pool_view_init(m->view[id.n], m->shm, id, PGR_PROC_MONITOR);
	}
	(void)pgr_pool_match(m->view[id.n], m->now, &cursor, &slot); /* never catches anything itself */
}

static bool
in_use(struct pgr_monitor *m, pgr_pool_id id)
{
	return atomic_load(&pgr_shm_pool(m->shm, id)->state) != PGR_POOL_FREE;
}

static void
attend_all(struct pgr_monitor *m)
{
	uint32_t top = pgr_shm_pools_used(m->shm);

	for (uint32_t n = 0; n < top; n++)
		if (in_use(m, (pgr_pool_id){n}))
			pgr_places_attend(m, (pgr_pool_id){n});
}

static void
use_config(struct pgr_monitor *m)
{
	const void *secrets;

	if (m->config != NULL && atomic_load(&m->shm->seg->generations.current) == m->version)
		return;
	m->config = pgr_generation_use(m->shm, PGR_PROC_MONITOR, &secrets, &m->version);
	m->secrets = secrets;
	pgr_secure_clear(&m->contexts);
	pgr_log_set(m->config->log_level, m->config->log_format == PGR_CONFIG_LOG_JSON);
	m->keepalive = (struct pgr_keepalive){.idle = m->config->tcp_keepalive_idle,
		.interval = m->config->tcp_keepalive_interval,
		.count = m->config->tcp_keepalive_count,
		.user_timeout = m->config->tcp_user_timeout};
	pgr_pools_reload(m);
	attend_all(m);
}

static void
on_poke(struct pgr_monitor *m)
{
	uint32_t cursor = 0;
	pgr_pool_id id;
	uint64_t count;

	if (read(m->shm->eventfd[PGR_PROC_MONITOR], &count, sizeof(count)) < 0 && errno != EAGAIN)
		pgr_log(PGR_LOG_ERROR, "poke", "cannot read the eventfd");
	pgr_proc_poke_taken(m->shm, PGR_PROC_MONITOR);
	use_config(m);
	if (atomic_exchange(&m->shm->seg->died, 0) != 0) {
		pgr_sweep(m);
		attend_all(m);
	}
	pgr_pools_answer_asks(m);
	while (pgr_proc_next_mail(m->shm, PGR_PROC_MONITOR, &cursor, &id))
		if (in_use(m, id))
			pgr_places_attend(m, id);
}

static void
serve(struct pgr_monitor *m, const struct epoll_event *ev)
{
	if (ev->data.ptr == &poke_mark)
		on_poke(m);
	else if (ev->data.ptr == &vault_mark)
		pgr_closing_on_vault(m);
	else
		pgr_closing_event(m, ev->data.ptr);
}

static void
tick(struct pgr_monitor *m)
{
	static pgr_usec next_second;
	uint32_t top = pgr_shm_pools_used(m->shm);

	attend_all(m);
	if (m->now < next_second)
		return;
	next_second = m->now + PGR_USEC_PER_SEC;
	for (uint32_t n = 0; n < top; n++) {
		if (!in_use(m, (pgr_pool_id){n}))
			continue;
		pgr_places_tell(m, (pgr_pool_id){n});
		pgr_pools_retire(m, (pgr_pool_id){n});
	}
	pgr_log_flush();
}

static void
monitor_init(struct pgr_monitor *m, struct pgr_shm *shm, int master)
{
	struct pgr_err err;

	m->shm = shm;
	m->master = master;
	m->now = pgr_clock_now();
	m->watched = calloc(PGR_SLOTS_MAX, sizeof(*m->watched));
	m->offer = calloc(PGR_SLOTS_MAX, sizeof(*m->offer)); /* few of its pages are ever touched */
	m->view = calloc(PGR_POOLS_MAX, sizeof(*m->view));
	PGR_ASSERT(m->watched != NULL && m->offer != NULL && m->view != NULL);
	PGR_ASSERT(pgr_loop_open(&m->loop, &err) == PGR_OK);
	PGR_ASSERT(pgr_loop_add(&m->loop, shm->eventfd[PGR_PROC_MONITOR], PGR_EV_READ, &poke_mark,
			   &err) == PGR_OK);
	PGR_ASSERT(pgr_loop_add(&m->loop, master, PGR_EV_READ, &vault_mark, &err) == PGR_OK);
}

int
pgr_monitor_run(struct pgr_shm *shm, int master)
{
	struct pgr_monitor *m = calloc(1, sizeof(*m));
	struct pgr_proc *proc = pgr_shm_proc(shm, PGR_PROC_MONITOR);
	pgr_usec next_tick = 0;

	PGR_ASSERT(m != NULL);
	monitor_init(m, shm, master);
	pgr_pools_start(m);
	pgr_hosts_start(m);
	atomic_store(&shm->seg->died, 0);
	pgr_sweep(m);
	atomic_store(&proc->life, PGR_LIFE_ALIVE);
	use_config(m);
	pgr_proc_poke(shm, PGR_PROC_MONITOR, true); /* asks and mail from before our time */
	for (;;) {
		int n = pgr_loop_wait(&m->loop, pgr_hosts_pending() ? 10 : (int)(TICK / 1000));

		m->now = pgr_clock_now();
		atomic_store(&proc->beat, m->now);
		for (int i = 0; i < n; i++)
			serve(m, &m->loop.event[i]);
		pgr_hosts_turn(m);
		if (m->now >= next_tick) {
			next_tick = m->now + TICK;
			tick(m);
		}
	}
}
