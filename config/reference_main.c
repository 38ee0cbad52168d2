/*
 * Writes the reference of all keys to stdout: `config-reference md` makes docs/SETTINGS.md,
 * `config-reference man` makes pgroute.yaml(5). Run at build time; not installed.
 */
#include <string.h>

#include "config/config.h"

int
main(int argc, char **argv)
{
	bool man = argc == 2 && strcmp(argv[1], "man") == 0;

	if (!man && (argc != 2 || strcmp(argv[1], "md") != 0)) {
		fputs("usage: config-reference md|man\n", stderr);
		return 2;
	}
	pgr_config_reference(stdout, man ? PGR_CONFIG_MAN : PGR_CONFIG_MD);
	return fflush(stdout) == 0 ? 0 : 1;
}
