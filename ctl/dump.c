/*
 * `pgroutectl stats`: the dumper. Asks the control socket once for the sealed statistics, maps them
 * read-only and does the rest alone, so it works while every worker hangs and costs the daemon
 * nothing. OpenMetrics text is the one form that the daemon writes, with the writer of /metrics.
 * All of it is built as JSON; the text form is tables of the same rows.
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/call.h"
#include "ctl/ctl.h"
#include "ctl/daemon.h"
#include "ctl/dump_rows.h"
#include "ctl/report.h"

#define ASK_SECONDS 30
#define WATCH_MS 1000

/*
 * fd is closed. Only a mapping that can neither shrink below us nor change its meaning is read:
 * size, seals, magic and version.
 */
static const struct pgr_stats *
map_stats(int fd, struct pgr_err *err)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	const struct pgr_stats *stats = MAP_FAILED;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || (fcntl(fd, F_GET_SEALS) & wanted) != wanted ||
		st.st_size != (off_t)sizeof(*stats)) {
		pgr_err_set(
			err, "58000", "the statistics that pgroute handed out have another layout");
		pgr_err_hint(err, "use the pgroutectl of the same version");
	} else {
		stats = mmap(NULL, sizeof(*stats), PROT_READ, MAP_SHARED, fd, 0);
		if (stats == MAP_FAILED)
			pgr_err_sys(err, "53000", "cannot map the statistics");
	}
	if (fd >= 0)
		close(fd);
	if (stats == MAP_FAILED)
		return NULL;
	if (stats->magic == PGR_STATS_MAGIC && stats->version == PGR_STATS_VERSION)
		return stats;
	munmap((void *)(uintptr_t)stats, sizeof(*stats));
	pgr_err_set(err, "58000", "the statistics have version %u, this is for %u", stats->version,
		PGR_STATS_VERSION);
	return NULL;
}

/* NULL: has been reported. */
static const struct pgr_stats *
open_stats(struct pgr_ctl *ctl, int *ret_code)
{
	int fd = pgr_daemon_open(ctl, ret_code);
	const struct pgr_stats *stats = NULL;
	struct pgr_err err = {0};
	json_t *answer = NULL;
	int passed;

	if (fd < 0)
		return NULL;
	if (pgr_call_ask(fd, pgr_call_verb("stats_fd"), ASK_SECONDS, &answer, &passed, &err) ==
		PGR_OK)
		stats = map_stats(passed, &err);
	close(fd);
	json_decref(answer);
	if (stats == NULL)
		*ret_code = pgr_report_err(ctl, PGR_CTL_FAILED, &err);
	return stats;
}

static void
print_table(const json_t *dump, const char *key, const char *title)
{
	const json_t *rows = json_object_get(dump, key);

	printf("\n%s\n", title);
	if (json_array_size(rows) > 0)
		pgr_report_table(NULL, rows);
	else
		printf("none\n");
}

static void
print_text(const json_t *dump)
{
	const json_t *whole = json_object_get(dump, "pgroute");
	json_t *rows = json_pack("[O]", whole);

	pgr_report_table(NULL, rows);
	json_decref(rows);
	print_table(dump, "durations", "durations (microseconds)");
	print_table(dump, "pools", "pools");
	print_table(dump, "databases", "databases");
	print_table(dump, "processes", "processes");
}

static void
print_dump(const struct pgr_ctl *ctl, const struct pgr_stats *stats)
{
	json_t *dump = pgr_dump_rows(stats, pgr_clock_now());

	if (ctl->watch && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (ctl->format == PGR_CTL_JSON)
		pgr_report_json(dump);
	else
		print_text(dump);
	fflush(stdout);
	json_decref(dump);
}

/* Until the daemon ends or nobody reads any more. */
static void
watch(const struct pgr_ctl *ctl, const struct pgr_stats *stats)
{
	json_t *status = pgr_daemon_peek(ctl->place.control);
	struct pollfd end = {.fd = pgr_daemon_watch(pgr_daemon_pid(status)), .events = POLLIN};

	json_decref(status);
	while (end.fd >= 0 && !ferror(stdout) && poll(&end, 1, WATCH_MS) == 0)
		print_dump(ctl, stats);
	if (end.fd >= 0)
		close(end.fd);
}

static int
print_metrics(struct pgr_ctl *ctl)
{
	int rc;
	json_t *answer = pgr_daemon_call(ctl, pgr_call_verb("metrics"), ASK_SECONDS, &rc);
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (text != NULL)
		fputs(text, stdout);
	json_decref(answer);
	return rc;
}

int
pgr_dump_run(struct pgr_ctl *ctl)
{
	const struct pgr_stats *stats;
	int rc = PGR_CTL_DONE;

	if (ctl->format == PGR_CTL_PROMETHEUS)
		return print_metrics(ctl);
	stats = open_stats(ctl, &rc);
	if (stats == NULL)
		return rc;
	print_dump(ctl, stats);
	if (ctl->watch)
		watch(ctl, stats);
	munmap((void *)(uintptr_t)stats, sizeof(*stats));
	return PGR_CTL_DONE;
}
