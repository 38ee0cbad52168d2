/*
 * pgroutectl: what every verb gets, and how verbs end.
 */
#ifndef PGR_CTL_CTL_H
#define PGR_CTL_CTL_H

#include <stdbool.h>

#include "base/err.h"
#include "ctl/place.h"

#define PGR_CTL_FILE "/etc/pgroute/pgroute.yaml"

enum pgr_ctl_exit {
	PGR_CTL_DONE = 0,
	PGR_CTL_FAILED = 1,
	PGR_CTL_USAGE = 2,
	PGR_CTL_NOT_RUNNING = 3,
};

enum pgr_ctl_format {
	PGR_CTL_TEXT,
	PGR_CTL_JSON,
	PGR_CTL_PROMETHEUS,
};

struct pgr_ctl {
	const char *file;     /* of the configuration */
	const char *socket;   /* NULL: as the configuration has it */
	const char *argument; /* NULL: the verb got none */
	bool json;
	bool fast;
	bool watch;
	bool man;
	enum pgr_ctl_format format;
	struct pgr_place place; /* filled for verbs that talk to the daemon */
};

/* Each verb returns the exit code and has printed its result or its one error. */
int pgr_start_run(struct pgr_ctl *ctl);
int pgr_stop_run(struct pgr_ctl *ctl);
int pgr_stop_restart(struct pgr_ctl *ctl);
int pgr_verbs_status(struct pgr_ctl *ctl);
int pgr_verbs_reload(struct pgr_ctl *ctl);
int pgr_verbs_show(struct pgr_ctl *ctl);
int pgr_verbs_check(struct pgr_ctl *ctl);
int pgr_verbs_reference(struct pgr_ctl *ctl);
int pgr_dump_run(struct pgr_ctl *ctl);

#endif
