/* Writes docs/SESSION.md to stdout: `session-reference >docs/SESSION.md`. Not installed. */
#include "parser/reference.h"

int
main(void)
{
	pgr_reference_write(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
