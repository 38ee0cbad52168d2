/*
 * Sockets that are made before privileges are dropped: client listeners (or those that systemd
 * passes), the control socket, HTTP.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef PGR_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "master/master.h"
#include "net/sock.h"

static unsigned
inherited(struct pgr_master *m)
{
#ifdef PGR_SYSTEMD
	int n = sd_listen_fds(1);

	for (int i = 0; i < n && m->listeners < PGR_MASTER_LISTENERS; i++)
		m->listener[m->listeners++] = SD_LISTEN_FDS_START + i;
	m->inherited = m->listeners > 0;
#endif
	return m->listeners;
}

static enum pgr_rc
open_clients(struct pgr_master *m, struct pgr_err *err)
{
	const struct pgr_config *cfg = m->pair.config;

	if (inherited(m) > 0)
		return PGR_OK;
	if (cfg->listen.n > PGR_MASTER_LISTENERS)
		return pgr_err_set(err, "53000", "more than %d addresses to listen on", PGR_MASTER_LISTENERS);
	for (uint32_t i = 0; i < cfg->listen.n; i++) {
		const struct pgr_config_listen *at = pgr_config_listen_at(cfg, i);

		if (pgr_sock_listen(pgr_config_text(cfg, at->host), at->port, &m->listener[m->listeners],
			    err) != PGR_OK)
			return PGR_FAIL;
		m->listeners++;
	}
	return PGR_OK;
}

static void
make_parent(const char *path)
{
	char parent[108];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL || slash == parent)
		return;
	*slash = '\0';
	(void)mkdir(parent, 0755); /* if it fails, bind tells */
}

static bool
answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

static enum pgr_rc
open_control(struct pgr_master *m, struct pgr_err *err)
{
	const char *path = pgr_config_text(m->pair.config, m->pair.config->control);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return pgr_err_set(err, "53000", "control: the path \"%s\" is too long", path);
	strcpy(addr.sun_path, path);
	if (answers(&addr)) {
		pgr_err_set(err, "55006", "another pgroute answers on \"%s\"", path);
		return pgr_err_hint(err, "Stop it first, or give this one another `control`.");
	}
	make_parent(path);
	unlink(path);
	m->control = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mask = umask(0177);
	rc = m->control < 0 ? -1 : bind(m->control, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (rc != 0 || listen(m->control, 16) != 0)
		return pgr_err_sys(err, "53000", "cannot listen on the control socket \"%s\"", path);
	if (m->drop && chown(path, m->uid, m->gid) != 0)
		return pgr_err_sys(err, "53000", "cannot hand over the control socket \"%s\"", path);
	return PGR_OK;
}

enum pgr_rc
pgr_listeners_open(struct pgr_master *m, struct pgr_err *err)
{
	const struct pgr_config *cfg = m->pair.config;

	m->control = m->http = -1;
	if (open_control(m, err) != PGR_OK || open_clients(m, err) != PGR_OK)
		return PGR_FAIL;
	if (!pgr_config_is_null(cfg->http.host) &&
		pgr_sock_listen(pgr_config_text(cfg, cfg->http.host), cfg->http.port, &m->http, err) != PGR_OK)
		return PGR_FAIL;
	return PGR_OK;
}

void
pgr_listeners_tell(struct pgr_master *m)
{
	struct pgr_listening *listening = &m->shm.seg->listening;

	for (unsigned i = 0; i < m->listeners; i++)
		pgr_sock_name(m->listener[i], listening->text[i], sizeof(listening->text[i]));
	atomic_store(&listening->count, m->listeners);
}

/* The file may name others by now: what is removed is what the socket itself is bound to. */
static void
unlink_socket(int fd)
{
	char path[PGR_LISTENING_TEXT];

	pgr_sock_name(fd, path, sizeof(path));
	if (path[0] == '/')
		unlink(path);
}

void
pgr_listeners_close(struct pgr_master *m)
{
	atomic_store(&m->shm.seg->listening.count, 0);
	for (unsigned i = 0; i < m->listeners; i++) {
		if (!m->inherited) { /* systemd's stay for its next start */
			shutdown(m->listener[i], SHUT_RD); /* ends it for all who have it: new clients are refused */
			unlink_socket(m->listener[i]);
		}
		close(m->listener[i]);
	}
	m->listeners = 0;
}

void
pgr_listeners_unlink(struct pgr_master *m)
{
	pgr_listeners_close(m);
	unlink_socket(m->control);
}
