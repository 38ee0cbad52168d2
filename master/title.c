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
static char *environment; /* the copy that environ points into */

void
pgr_title_init(int argc, char **argv)
{
	char *first = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
	char *end = first;
	int count = 0;

	title = argv[0];
	for (; environ[count] != NULL && environ[count] == end; count++)
		end += strlen(end) + 1;
	environment = malloc((size_t)(end - first) + 1);
	PGR_ASSERT(environment != NULL);
	memcpy(environment, first, (size_t)(end - first));
	for (int i = 0; i < count; i++)
		environ[i] = environment + (environ[i] - first);
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
