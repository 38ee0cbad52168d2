/*
 * The end of a process whose own invariant broke: reason to the panic page (shared memory, printed
 * by the master after waitpid) and to stderr, then abort(). Also the counter of suspicious input and
 * the crash points of the fault tests. Called from everywhere; must not allocate.
 */
#include "base/panic.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pgr_panic_page *panic_page;
static uint64_t suspects;

void
pgr_panic_init(struct pgr_panic_page *page)
{
	panic_page = page;
}

void
pgr_panic(const char *file, int line, const char *what)
{
	char text[sizeof(panic_page->text)];

	snprintf(text, sizeof(text), "%s:%d: assertion failed: %s", file, line, what);
	if (panic_page != NULL)
		memcpy(panic_page->text, text, sizeof(text));
	fprintf(stderr, "panic: %s\n", text);
	abort();
}

bool
pgr_panic_suspect(const char *file, int line, const char *what)
{
	(void)file;
	(void)line;
	(void)what;
	suspects++;
	return true;
}

uint64_t
pgr_panic_suspects(void)
{
	return suspects;
}

#ifdef PGR_CRASHPOINTS
/* armed: "NAME" or "NAME@FILE": with a file the point fires once, by the process that unlinks it. */
static void
fire(const char *armed, const char *name, int signal_number)
{
	size_t len = strlen(name);

	if (armed == NULL || strncmp(armed, name, len) != 0)
		return;
	if (armed[len] == '@' && unlink(armed + len + 1) != 0)
		return;
	if (armed[len] == '@' || armed[len] == '\0')
		kill(getpid(), signal_number);
}

void
pgr_panic_crashpoint(const char *name)
{
	fire(getenv("PGROUTE_CRASH"), name, SIGKILL);
	fire(getenv("PGROUTE_STOP"), name, SIGSTOP);
}
#endif
