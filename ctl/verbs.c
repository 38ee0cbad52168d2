/*
 * The verbs that are one question and one answer: status, reload, show; and those that need no
 * daemon: check, reference.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/call.h"
#include "ctl/ctl.h"
#include "ctl/daemon.h"
#include "ctl/report.h"

#define SHOW_SECONDS 30
#define RELOAD_SECONDS 70 /* the daemon itself gives up after 60 */

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static long long
number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void
print_status(const json_t *status)
{
	const json_t *listen = json_object_get(status, "listen");

	printf("pgroute %s is %s with pid %lld since %s\n", text_of(status, "version"),
		text_of(status, "state"), number_of(status, "pid"), text_of(status, "started"));
	printf("listening on %s", json_array_size(listen) == 0 ? "nothing" : "");
	for (size_t i = 0; i < json_array_size(listen); i++)
		printf("%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(listen, i)));
	printf("\n%lld of %lld workers alive, %lld of at most %lld clients, %lld pools, %lld "
	       "reloads, "
	       "%lld respawns\n\n",
		number_of(status, "workers_alive"), number_of(status, "workers"),
		number_of(status, "clients"), number_of(status, "max_clients"),
		number_of(status, "pools"), number_of(status, "reloads"),
		number_of(status, "respawns"));
	pgr_report_table(NULL, json_object_get(status, "processes"));
}

int
pgr_verbs_status(struct pgr_ctl *ctl)
{
	int rc;
	int fd = pgr_daemon_open(ctl, &rc);
	json_t *status;

	if (fd < 0)
		return rc;
	status = pgr_daemon_ask(ctl, fd, pgr_call_verb("status"), SHOW_SECONDS);
	close(fd);
	if (status == NULL)
		return PGR_CTL_FAILED;
	if (ctl->json)
		pgr_report_json(status);
	else
		print_status(status);
	json_decref(status);
	return PGR_CTL_DONE;
}

int
pgr_verbs_reload(struct pgr_ctl *ctl)
{
	int rc;
	json_t *answer = pgr_daemon_call(ctl, pgr_call_verb("reload"), RELOAD_SECONDS, &rc);
	const char *changes;

	if (answer == NULL)
		return rc;
	changes = text_of(answer, "text");
	rc = pgr_report_done(
		ctl, answer, "%s", changes[0] != '\0' ? changes : "reloaded, nothing has changed");
	json_decref(answer);
	return rc;
}

int
pgr_verbs_show(struct pgr_ctl *ctl)
{
	int rc;
	json_t *answer = pgr_daemon_call(ctl,
		json_pack("{s:s, s:s}", "verb", "show", "what", ctl->argument), SHOW_SECONDS, &rc);

	if (answer == NULL)
		return rc;
	if (ctl->json)
		pgr_report_json(json_object_get(answer, "rows"));
	else
		pgr_report_table(
			json_object_get(answer, "columns"), json_object_get(answer, "rows"));
	if (json_is_true(json_object_get(answer, "truncated")))
		fprintf(stderr, "pgroutectl: there are more rows than one answer can hold\n");
	json_decref(answer);
	return PGR_CTL_DONE;
}

int
pgr_verbs_check(struct pgr_ctl *ctl)
{
	const char *file = ctl->argument != NULL ? ctl->argument : ctl->file;
	struct pgr_config_pair pair;
	json_t *object;
	int rc;

	if (pgr_config_load(file, &pair, &ctl->place.errors) != PGR_OK)
		return pgr_report_config(ctl, &ctl->place.errors);
	object = json_pack("{s:b, s:s, s:i, s:i}", "ok", 1, "file", file, "databases",
		(int)pair.config->dbs.n, "users", (int)pair.config->users.n);
	rc = pgr_report_done(ctl, object, "%s: good: %u databases, %u users", file,
		pair.config->dbs.n, pair.config->users.n);
	json_decref(object);
	pgr_config_free(&pair);
	return rc;
}

int
pgr_verbs_reference(struct pgr_ctl *ctl)
{
	pgr_config_reference(stdout, ctl->man ? PGR_CONFIG_MAN : PGR_CONFIG_MD);
	return PGR_CTL_DONE;
}
