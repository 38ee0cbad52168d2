/*
 * Configuration: parse, validate, diff, publish. A bad file changes nothing and says why; a good one
 * becomes the next generation, and what did not change is not touched. Done when told to, and when
 * included files have changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"

#define LOOK PGR_USEC_PER_SEC

static void
answer_clear(struct pgr_master *m, bool ok)
{
	m->answer.ok = ok;
	m->answer.text[0] = '\0';
}

static void
answer_line(struct pgr_master *m, const char *line)
{
	struct pgr_answer *a = &m->answer;
	size_t len = strlen(a->text);

	snprintf(a->text + len, sizeof(a->text) - len, "%s%s", len > 0 ? "\n" : "", line);
}

static void
tell_errors(struct pgr_master *m, const struct pgr_config_errors *errors)
{
	char line[1024];

	answer_clear(m, false);
	for (size_t i = 0; i < errors->n; i++) {
		pgr_config_error_text(&errors->list[i], line, sizeof(line));
		answer_line(m, line);
		pgr_log(PGR_LOG_ERROR, "config", "%s", line);
	}
}

static void
on_change(void *arg, const struct pgr_config_change *change)
{
	struct pgr_master *m = arg;
	char line[512];

	pgr_config_change_text(change, line, sizeof(line));
	answer_line(m, line);
	pgr_log(PGR_LOG_INFO, "config.changed", "%s", line);
}

static enum pgr_rc
publish(struct pgr_master *m, const struct pgr_config_pair *pair, struct pgr_err *err)
{
	/* a store is free as soon as every process has looked at a newer generation: a moment */
	for (int tries = 0; tries < 50; tries++) {
		enum pgr_rc rc = pgr_generation_publish(&m->shm, pair->config, pair->config->size,
			pair->secrets, pair->secrets->size, err);

		if (rc == PGR_OK)
			atomic_store(&m->shm.stats->max_clients, pair->config->max_clients);
		if (rc != PGR_AGAIN)
			return rc;
		pgr_children_poke(m);
		usleep(20000);
	}
	return pgr_err_set(err, "55000", "a process still uses an old configuration; try again");
}

static bool
load(struct pgr_master *m, struct pgr_config_pair *ret)
{
	struct pgr_config_errors *errors = calloc(1, sizeof(*errors));
	bool ok;

	if (errors == NULL)
		return false;
	ok = pgr_config_load(m->config_path, ret, errors) == PGR_OK;
	if (!ok)
		tell_errors(m, errors);
	free(errors);
	return ok;
}

static bool
refused(struct pgr_master *m, struct pgr_config_pair *pair, const struct pgr_err *err)
{
	answer_clear(m, false);
	answer_line(m, err->message);
	pgr_log(PGR_LOG_ERROR, "config", "%s", err->message);
	pgr_config_free(pair);
	return false;
}

bool
pgr_reload(struct pgr_master *m)
{
	struct pgr_config_pair pair;
	struct pgr_err err;
	int log;

	if (!load(m, &pair))
		return false;
	if (pgr_logfile_open(m, pair.config, &log, &err) != PGR_OK)
		return refused(m, &pair, &err);
	answer_clear(m, true);
	if (pgr_config_diff(&m->pair, &pair, on_change, m) == 0)
		answer_line(m, "nothing changed");
	if (publish(m, &pair, &err) != PGR_OK) {
		close(log);
		return refused(m, &pair, &err);
	}
	pgr_config_free(&m->pair);
	m->pair = pair;
	pgr_logfile_use(m, log);
	pgr_log_set(pair.config->log_level, pair.config->log_format == PGR_CONFIG_LOG_JSON);
	atomic_fetch_add(&m->shm.stats->reloads, 1);
	pgr_children_poke(m);
	return true;
}

/*
 * By looking, not by inotify: that would have to follow each link of a ConfigMap, and tells nothing
 * of files on a network. Two equal looks in a row: whoever writes them has come to an end. What was
 * loaded in vain is not loaded again before the next change.
 */
void
pgr_reload_tick(struct pgr_master *m)
{
	const struct pgr_config *cfg = m->pair.config;
	uint64_t seen = m->included_seen;

	if (cfg->includes.n == 0 || m->now < m->look_at || m->stop_at != 0)
		return;
	m->look_at = m->now + LOOK;
	m->included_seen = pgr_config_included_now(cfg);
	if (m->included_seen == cfg->included || m->included_seen != seen ||
		m->included_seen == m->included_tried)
		return;
	m->included_tried = m->included_seen;
	pgr_log(PGR_LOG_INFO, "config", "included files have changed");
	pgr_master_command(m, PGR_COMMAND_RELOAD);
}

enum pgr_rc
pgr_reload_first(struct pgr_master *m, struct pgr_err *err)
{
	return publish(m, &m->pair, err);
}
