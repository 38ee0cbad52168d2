/*
 * pgroute: reads the configuration, makes what all processes share, forks them and looks after them
 * until told to stop. The loop here knows signals, children's sockets and a tick; nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef PGR_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "master/master.h"
#include "net/tls.h"
#include "shm/secret.h"

#define DEFAULT_CONFIG "/etc/pgroute/pgroute.yaml"
#define TICK_MS 100
#define LAST_WAIT (2 * PGR_USEC_PER_SEC)
#define TICKET_KEY_LIFE (12 * 3600 * PGR_USEC_PER_SEC)

static void
notify(const char *state)
{
#ifdef PGR_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

void
pgr_master_command(struct pgr_master *m, enum pgr_command command)
{
	struct pgr_answer *answer = &m->answer;

	answer->ok = 1;
	answer->text[0] = '\0';
	switch (command) {
	case PGR_COMMAND_RELOAD:
		notify("RELOADING=1");
		(void)pgr_reload(m);
		notify("READY=1");
		break;
	case PGR_COMMAND_STOP:
		pgr_stop_begin(m, PGR_STOP_GRACEFUL);
		break;
	case PGR_COMMAND_STOP_FAST:
		pgr_stop_begin(m, PGR_STOP_FAST);
		break;
	default:
		answer->ok = 0;
		snprintf(answer->text, sizeof(answer->text), "unknown command");
		break;
	}
}

static void
on_signals(struct pgr_master *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			pgr_children_reap(m);
			break;
		case SIGHUP:
			pgr_master_command(m, PGR_COMMAND_RELOAD);
			break;
		case SIGTERM:
			pgr_stop_begin(m, PGR_STOP_GRACEFUL);
			break;
		case SIGINT:
			pgr_stop_begin(m, PGR_STOP_FAST);
			break;
		case SIGQUIT:
			m->quit = true;
			break;
		default:
			break;
		}
	}
}

static enum pgr_rc
open_signals(struct pgr_master *m, struct pgr_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signals < 0)
		return pgr_err_sys(err, "53000", "cannot watch signals");
	return pgr_loop_add(&m->loop, m->signals, PGR_EV_READ, &m->signals, err);
}

static void
raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
check_open_files(const struct pgr_master *m)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < m->pair.config->max_clients + 100)
		pgr_log(PGR_LOG_WARN, "limits", "RLIMIT_NOFILE is %llu: fewer clients than max_clients (%u) "
			"can be served; raise LimitNOFILE", (unsigned long long)limit.rlim_cur,
			m->pair.config->max_clients);
}

static enum pgr_rc
find_user(struct pgr_master *m, struct pgr_err *err)
{
	const char *name = pgr_config_text(m->pair.config, m->pair.config->run_as);
	struct passwd *pw;

	if (geteuid() != 0)
		return PGR_OK;
	pw = getpwnam(name);
	if (pw == NULL) {
		pgr_err_set(err, "28000", "run_as: there is no user \"%s\"", name);
		return pgr_err_hint(err, "Create it (useradd --system %s) or name another.", name);
	}
	m->drop = pw->pw_uid != 0;
	m->uid = pw->pw_uid;
	m->gid = pw->pw_gid;
	return PGR_OK;
}

static void
rotate_tickets(struct pgr_master *m)
{
	struct pgr_err err;

	if (m->now < m->next_ticket_key)
		return;
	m->next_ticket_key = m->now + TICKET_KEY_LIFE;
	if (pgr_tickets_rotate(&m->shm.secrets->tickets, &err) != PGR_OK)
		pgr_log(PGR_LOG_ERROR, "tls.tickets", "%s", err.message);
}

static uint32_t
worker_count(const struct pgr_config *cfg)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = cfg->workers != 0 ? cfg->workers : (uint32_t)(cores > 0 ? cores : 1);

	return PGR_MIN(n, (uint32_t)PGR_WORKERS_MAX);
}

static enum pgr_rc
set_up(struct pgr_master *m, struct pgr_err *err)
{
	raise_open_files();
	if (find_user(m, err) != PGR_OK || pgr_loop_open(&m->loop, err) != PGR_OK ||
		open_signals(m, err) != PGR_OK || pgr_listeners_open(m, err) != PGR_OK)
		return PGR_FAIL;
	if (pgr_shm_create(&m->shm, worker_count(m->pair.config), err) != PGR_OK)
		return PGR_FAIL;
	atomic_store(&m->shm.stats->started, pgr_clock_wall());
	pgr_listeners_tell(m);
	pgr_vault_init(&m->vault);
	prctl(PR_SET_DUMPABLE, 0);
	return PGR_OK;
}

/* Last of all that may fail: what does is told where we were started. */
static enum pgr_rc
open_log(struct pgr_master *m, struct pgr_err *err)
{
	int fd;

	m->first_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (m->first_stderr < 0)
		return pgr_err_sys(err, "53000", "cannot keep stderr");
	if (pgr_logfile_open(m, m->pair.config, &fd, err) != PGR_OK)
		return PGR_FAIL;
	pgr_logfile_use(m, fd);
	return PGR_OK;
}

static void
run(struct pgr_master *m)
{
	while (!m->quit) {
		int n = pgr_loop_wait(&m->loop, TICK_MS);

		m->now = pgr_clock_now();
		for (int i = 0; i < n; i++) {
			void *data = m->loop.event[i].data.ptr;

			if (data == &m->signals)
				on_signals(m);
			else
				pgr_vault_read(m, (unsigned)((struct pgr_child *)data - m->child));
		}
		pgr_vault_answer(m);
		pgr_children_tick(m);
		pgr_logfile_tick(m);
		pgr_reload_tick(m);
		pgr_stop_tick(m);
		rotate_tickets(m);
	}
}

/* The last ones; nothing that they hold matters any more. */
static void
end(struct pgr_master *m)
{
	pgr_usec until = pgr_clock_now() + LAST_WAIT;

	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].sock >= 0)
			close(m->child[i].sock);
	while (waitpid(-1, NULL, WNOHANG) >= 0 && pgr_clock_now() < until)
		usleep(5000);
	pgr_children_kill(m, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	pgr_listeners_unlink(m);
	pgr_config_free(&m->pair);
}

static int
usage(FILE *out, int status)
{
	fprintf(out,
		"usage: pgroute [-c FILE]\n"
		"  -c, --config FILE   configuration (default " DEFAULT_CONFIG ")\n"
		"  -V, --version       print the version\n"
		"  -h, --help          print this\n"
		"Runs in the foreground; pgroutectl starts it as a daemon.\n");
	return status;
}

static bool
load_config(struct pgr_master *m)
{
	struct pgr_config_errors *errors = calloc(1, sizeof(*errors));
	bool ok = errors != NULL && pgr_config_load(m->config_path, &m->pair, errors) == PGR_OK;

	if (!ok && errors != NULL)
		pgr_config_errors_print(errors, stderr);
	free(errors);
	return ok;
}

static int
serve(struct pgr_master *m)
{
	struct pgr_err err;

	pgr_tls_init();
	if (!load_config(m))
		return 1;
	pgr_log_init("master", m->pair.config->log_level,
		m->pair.config->log_format == PGR_CONFIG_LOG_JSON);
	pgr_title_set("master");
	if (set_up(m, &err) != PGR_OK || pgr_reload_first(m, &err) != PGR_OK ||
		open_log(m, &err) != PGR_OK) {
		fprintf(stderr, "pgroute: %s%s%s\n", err.message, err.hint[0] != '\0' ? " " : "", err.hint);
		return 1;
	}
	check_open_files(m);
	m->now = pgr_clock_now();
	rotate_tickets(m);
	pgr_children_start(m);
	notify("READY=1");
	pgr_log(PGR_LOG_INFO, "start", "pgroute " PGR_VERSION " serves with %u workers",
		m->shm.seg->workers);
	run(m);
	notify("STOPPING=1");
	end(m);
	pgr_log(PGR_LOG_INFO, "stop", "stopped");
	return m->status;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	static struct pgr_master master = {.config_path = DEFAULT_CONFIG};
	int c;

	while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			master.config_path = strdup(optarg); /* the title overwrites argv */
			break;
		case 'V':
			printf("pgroute " PGR_VERSION "\n");
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind < argc)
		return usage(stderr, 2);
	pgr_title_init(argc, argv);
	return serve(&master);
}
