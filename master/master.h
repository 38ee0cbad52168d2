/*
 * The master: owns shared memory, listeners and the vault; forks, reaps, reloads, stops. Parses no
 * byte from the network and takes no lock in shared memory, so no child can wedge it.
 */
#ifndef PGR_MASTER_MASTER_H
#define PGR_MASTER_MASTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "net/fdpass.h"
#include "net/loop.h"
#include "shm/segment.h"
#include "shm/stats.h"

#define PGR_MASTER_LISTENERS PGR_LISTENING_MOST

struct pgr_child {
	unsigned index; /* of its struct pgr_proc */
	pid_t pid;      /* 0: not running */
	int sock;       /* our end; -1: none */
	pgr_usec started;
	uint64_t accepted; /* clients of this index before that */
	pgr_usec not_before; /* respawn after this */
	bool log_due;        /* it has not been handed the log that we write to */
	unsigned quick_deaths;
};

struct pgr_ask_pending {
	unsigned child; /* index into master->child */
	uint32_t slot;
	uint32_t conn;
	bool lent; /* the end for others is wanted */
	pgr_usec until;
};

#define PGR_VAULT_PENDING 4096

struct pgr_vault {
	int *fd;        /* by slot; -1: none */
	int *lent;      /* by slot, + 1: the end for others of a TLS connection; 0: none */
	uint32_t *conn; /* by slot: of which connection */
	struct pgr_ask_pending pending[PGR_VAULT_PENDING];
	unsigned pending_count;
};

struct pgr_master {
	const char *config_path;
	struct pgr_config_pair pair; /* as published last */
	pgr_usec look_at;            /* when included files are looked at next */
	uint64_t included_seen;      /* pgr_config_included_now() at the last look */
	uint64_t included_tried;     /* the same when a change of them was last loaded */
	struct pgr_shm shm;
	struct pgr_loop loop;
	pgr_usec now;
	int signals; /* signalfd */
	int first_stderr; /* as it was when we were started: log.destination: stderr */
	int listener[PGR_MASTER_LISTENERS];
	unsigned listeners;
	bool inherited; /* listener[] came from systemd */
	int control;
	int http;
	uid_t uid; /* that children drop to */
	gid_t gid;
	bool drop;
	struct pgr_child child[PGR_PROCS]; /* workers, then monitor and stats */
	unsigned children;
	struct pgr_vault vault;
	pgr_usec next_ticket_key; /* when keys of TLS session tickets are rotated */
	pgr_usec stop_at;  /* when the present stage of stopping ends; 0: not stopping */
	pgr_usec kill_at;
	pgr_usec quiet_by; /* when the segment must be clean, all workers having left */
	bool quit;
	int status; /* that the program ends with */
	struct pgr_answer answer; /* to the command in hand */
};

/* ---- children.c ---- */
void pgr_children_start(struct pgr_master *m);
void pgr_children_reap(struct pgr_master *m);
void pgr_children_tick(struct pgr_master *m); /* respawn, watchdog */
bool pgr_children_workers_gone(const struct pgr_master *m);
void pgr_children_kill(struct pgr_master *m, int sig);
void pgr_children_poke(struct pgr_master *m);

/* ---- vault.c ---- */
void pgr_vault_init(struct pgr_vault *vault);
void pgr_vault_read(struct pgr_master *m, unsigned child);
void pgr_vault_answer(struct pgr_master *m);
void pgr_vault_forget_child(struct pgr_master *m, unsigned child);
void pgr_vault_close_all(struct pgr_vault *vault); /* in a forked child */

/* ---- reload.c ---- */

/* Loads and publishes; the outcome is in answer and in the log. False: nothing changed. */
bool pgr_reload(struct pgr_master *m);
/* Included files that have changed are a reload. */
void pgr_reload_tick(struct pgr_master *m);
/* Publishes what was loaded at the start. */
PGR_MUST enum pgr_rc pgr_reload_first(struct pgr_master *m, struct pgr_err *err);

/* ---- logfile.c ---- */

/* Opens what log.destination of cfg names; the caller hands *ret_fd to pgr_logfile_use or closes it. */
PGR_MUST enum pgr_rc pgr_logfile_open(const struct pgr_master *m, const struct pgr_config *cfg,
	int *ret_fd, struct pgr_err *err);
/* All processes log there from now on. Takes over fd. */
void pgr_logfile_use(struct pgr_master *m, int fd);
void pgr_logfile_tick(struct pgr_master *m); /* children whose queue was full */

/* ---- sandbox.c ---- */

/* In a child: drops privileges and, with sandbox: true, all system calls that its role does not need. */
void pgr_sandbox_enter(const struct pgr_master *m, unsigned index);

/* ---- title.c ---- */
void pgr_title_init(int argc, char **argv);
void pgr_title_set(const char *role);

/* ---- stop.c ---- */
void pgr_stop_begin(struct pgr_master *m, enum pgr_stop how);
void pgr_stop_tick(struct pgr_master *m);

/* ---- listeners.c ---- */
PGR_MUST enum pgr_rc pgr_listeners_open(struct pgr_master *m, struct pgr_err *err);
void pgr_listeners_tell(struct pgr_master *m);  /* into shared memory, for status */
void pgr_listeners_close(struct pgr_master *m); /* those for clients */
void pgr_listeners_unlink(struct pgr_master *m);

/* A command of the control socket or the console; the outcome is in answer. */
void pgr_master_command(struct pgr_master *m, enum pgr_command command);

#endif
