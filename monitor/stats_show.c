/*
 * The state of the whole as JSON, and the views of SHOW. Also decides what "healthy" and "ready" mean.
 * Called by stats_control.c and stats_http.c with the configuration that the stats process has pinned.
 */
#include "monitor/stats_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shm/stats.h"

#define DEFAULT_WATCHDOG (10 * PGR_USEC_PER_SEC)

bool
pgr_stats_show_beats(const struct pgr_stats_source *source, unsigned k)
{
	const struct pgr_proc *proc = pgr_shm_proc(source->shm, k);
	pgr_usec limit = source->config != NULL ? source->config->watchdog_timeout
						: DEFAULT_WATCHDOG;
	pgr_usec beat = atomic_load(&proc->beat);
	pgr_usec now = pgr_clock_now();

	return pgr_proc_is(proc, PGR_LIFE_ALIVE) && (beat > now || now - beat <= limit);
}

static uint32_t
workers_of(const struct pgr_stats_source *source)
{
	return PGR_MIN(source->shm->seg->workers, PGR_WORKERS_MAX);
}

static uint32_t
workers_beating(const struct pgr_stats_source *source)
{
	uint32_t n = 0;

	for (unsigned k = 0; k < workers_of(source); k++)
		n += pgr_stats_show_beats(source, k);
	return n;
}

bool
pgr_stats_show_healthy(const struct pgr_stats_source *source)
{
	return workers_beating(source) > 0;
}

bool
pgr_stats_show_ready(const struct pgr_stats_source *source)
{
	return source->config != NULL && workers_beating(source) > 0 &&
		atomic_load(&source->shm->seg->stopping) == PGR_STOP_NOT;
}

void
pgr_stats_show(const struct pgr_stats_source *source, enum pgr_view what, struct pgr_stats_text *out)
{
	struct pgr_show_source show = {
		.shm = source->shm, .config = source->config, .average = source->average};
	struct pgr_err err = {.message = "no configuration is in force yet"};
	struct pgr_stats_rows rows;

	if (source->config == NULL) {
		pgr_stats_rows_error(out, &err);
		return;
	}
	pgr_stats_rows_init(&rows, source->shm, out);
	if (pgr_show(&show, what, &rows.rows, &err) == PGR_OK)
		pgr_stats_rows_end(&rows);
	else
		pgr_stats_rows_error(out, &err);
}

static json_t *
process_row(const struct pgr_stats_source *source, unsigned k)
{
	const struct pgr_proc *proc = pgr_shm_proc(source->shm, k);
	pgr_usec beat = atomic_load(&proc->beat);
	pgr_usec now = pgr_clock_now();
	json_t *row = json_object();
	char name[32];

	snprintf(name, sizeof(name), "worker %u", k);
	pgr_stats_rows_text(row, "process",
		k == PGR_PROC_MONITOR         ? "monitor"
			: k == PGR_PROC_STATS ? "stats"
					      : name);
	pgr_stats_rows_number(row, "pid", atomic_load(&proc->pid));
	json_object_set_new(row, "beats", json_boolean(pgr_stats_show_beats(source, k)));
	pgr_stats_rows_number(
		row, "beat_age_ms", beat != 0 && beat < now ? (now - beat) / PGR_USEC_PER_MSEC : 0);
	pgr_stats_rows_number(row, "incarnation", atomic_load(&proc->incarnation));
	pgr_stats_rows_number(row, "clients", atomic_load(&proc->clients));
	return row;
}

static json_t *
processes(const struct pgr_stats_source *source, uint64_t *ret_clients)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < PGR_PROCS; k++) {
		if (k >= workers_of(source) && k < PGR_PROC_MONITOR)
			continue;
		json_array_append_new(list, process_row(source, k));
		*ret_clients += atomic_load(&pgr_shm_proc(source->shm, k)->clients);
	}
	return list;
}

static const char *
state_text(const struct pgr_stats_source *source)
{
	switch ((enum pgr_stop)atomic_load(&source->shm->seg->stopping)) {
	case PGR_STOP_NOT:
		return pgr_stats_show_ready(source) ? "running" : "not ready";
	case PGR_STOP_GRACE:
	case PGR_STOP_GRACEFUL:
	case PGR_STOP_FAST:
		break;
	}
	return "stopping";
}

/* Where clients connect, for the line that `pgroutectl start` and `status` print. */
static json_t *
listen_list(struct pgr_shm *shm)
{
	struct pgr_listening *listening = &shm->seg->listening;
	uint32_t count = PGR_MIN(atomic_load(&listening->count), (uint32_t)PGR_LISTENING_MOST);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(listening->text[i]));
	return list;
}

static void
put_limits(json_t *object, const struct pgr_config *config)
{
	pgr_stats_rows_number(object, "max_clients", config != NULL ? config->max_clients : 0);
	pgr_stats_rows_number(object, "shutdown_grace_ms",
		config != NULL ? config->shutdown_grace / PGR_USEC_PER_MSEC : 0);
	pgr_stats_rows_number(object, "shutdown_timeout_ms",
		config != NULL ? config->shutdown_timeout / PGR_USEC_PER_MSEC : 0);
}

static uint64_t
pools_in_use(struct pgr_shm *shm)
{
	uint32_t top = pgr_shm_pools_used(shm);
	uint64_t used = 0;

	for (uint32_t n = 0; n < top; n++)
		used += atomic_load(&pgr_shm_pool(shm, (pgr_pool_id){n})->state) != PGR_POOL_FREE;
	return used;
}

void
pgr_stats_show_status(const struct pgr_stats_source *source, struct pgr_stats_text *out)
{
	const struct pgr_stats *stats = source->shm->stats;
	json_t *object = json_object();
	uint64_t clients = 0;
	json_t *list = processes(source, &clients);

	json_object_set_new(object, "ok", json_true());
	pgr_stats_rows_text(object, "state", state_text(source));
	json_object_set_new(object, "ready", json_boolean(pgr_stats_show_ready(source)));
	pgr_stats_rows_number(object, "pid", (uint64_t)source->master);
	pgr_stats_rows_text(object, "version", PGR_VERSION);
	pgr_stats_rows_time(object, "started", atomic_load(&stats->started));
	json_object_set_new(object, "listen", listen_list(source->shm));
	pgr_stats_rows_number(object, "workers", workers_of(source));
	pgr_stats_rows_number(object, "workers_alive", workers_beating(source));
	pgr_stats_rows_number(object, "clients", clients);
	put_limits(object, source->config);
	pgr_stats_rows_number(object, "pools", pools_in_use(source->shm));
	pgr_stats_rows_number(object, "configuration", source->version);
	pgr_stats_rows_number(object, "reloads", atomic_load(&stats->reloads));
	pgr_stats_rows_number(object, "respawns", atomic_load(&stats->respawns));
	json_object_set_new(object, "processes", list);
	pgr_stats_rows_object(out, object);
}
