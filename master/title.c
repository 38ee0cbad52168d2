/*
 * Process titles: the memory of argv and the environment, which ps(1) reads, is overwritten. Called by
 * main before anything else keeps pointers into it, and by each child.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "master/master.h"

extern char **environ;

static char *title;
static size_t title_size;

void
pgr_title_init(int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;

	title = argv[0];
	for (int i = 0; environ[i] != NULL; i++) {
		char *copy;

		if (environ[i] != end)
			break;
		end = environ[i] + strlen(environ[i]) + 1;
		copy = strdup(environ[i]);
		PGR_ASSERT(copy != NULL);
		environ[i] = copy;
	}
	title_size = (size_t)(end - title);
}

void
pgr_title_set(const char *role)
{
	char name[16];

	memset(title, 0, title_size);
	snprintf(title, title_size, "pgroute: %s", role);
	snprintf(name, sizeof(name), "pgr-%s", role);
	prctl(PR_SET_NAME, name);
}
