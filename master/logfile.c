/*
 * The log's file. Every process writes its lines to stderr, each by one write(2); where
 * log.destination names a file the master puts that file in the place of stderr before the first
 * fork, so that children inherit it, and whatever else a process says there (a panic, a library)
 * comes along. A reload opens it anew, as logrotate wants it: the master hands the new one to each
 * child over its socket; a child that does not read goes on with the old one until it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"

#define FLAGS (O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK)

/* A new one belongs to whoever started us; the group that the children run as may read it. */
static int
create(const struct pgr_master *m, const char *path)
{
	int fd = open(path, FLAGS | O_CREAT | O_EXCL, 0640);

	if (fd >= 0 && m->drop && fchown(fd, (uid_t)-1, m->gid) != 0)
		pgr_log(PGR_LOG_WARN, "log", "cannot give \"%s\" to the group of run_as: %s", path,
			strerror(errno));
	return fd;
}

/* A link could lead anywhere, and we may be root; a pipe could stop us. */
static enum pgr_rc
open_file(const struct pgr_master *m, const char *path, int *ret_fd, struct pgr_err *err)
{
	int fd = open(path, FLAGS);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		fd = create(m, path);
	if (fd < 0)
		return pgr_err_sys(err, "58030", "log.destination: cannot open \"%s\"", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return pgr_err_set(err, "58030", "log.destination: \"%s\" is not a regular file", path);
	}
	*ret_fd = fd;
	return PGR_OK;
}

enum pgr_rc
pgr_logfile_open(const struct pgr_master *m, const struct pgr_config *cfg, int *ret_fd,
	struct pgr_err *err)
{
	const char *destination = pgr_config_text(cfg, cfg->log_destination);

	if (strcmp(destination, "stderr") != 0)
		return open_file(m, destination, ret_fd, err);
	*ret_fd = fcntl(m->first_stderr, F_DUPFD_CLOEXEC, 0);
	return *ret_fd >= 0 ? PGR_OK : pgr_err_sys(err, "53000", "log.destination: stderr");
}

void
pgr_logfile_use(struct pgr_master *m, int fd)
{
	pgr_log_take(fd);
	for (unsigned i = 0; i < m->children; i++)
		m->child[i].log_due = m->child[i].sock >= 0;
	pgr_logfile_tick(m);
}

void
pgr_logfile_tick(struct pgr_master *m)
{
	const struct pgr_note note = {.kind = PGR_NOTE_LOG};

	for (unsigned i = 0; i < m->children; i++) {
		struct pgr_child *child = &m->child[i];

		if (child->log_due && child->sock >= 0)
			child->log_due = pgr_fdpass_send(child->sock, &note, STDERR_FILENO) == PGR_AGAIN;
	}
}
