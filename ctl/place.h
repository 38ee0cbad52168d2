/*
 * Where the daemon is: the configuration file and the control socket that it names.
 */
#ifndef PGR_CTL_PLACE_H
#define PGR_CTL_PLACE_H

#include <stdbool.h>

#include "config/config.h"

struct pgr_place {
	char control[256];
	bool loaded;  /* pair is valid; else errors says why not */
	bool guessed; /* neither option nor file told the control socket: it is the default */
	struct pgr_config_pair pair;
	struct pgr_config_errors errors;
};

/* file: the configuration. socket: overrides what the file says; may be NULL. */
void pgr_place_find(struct pgr_place *place, const char *file, const char *socket);
void pgr_place_fini(struct pgr_place *place);

#endif
