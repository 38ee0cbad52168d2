/*
 * pgroutectl: reads its arguments, finds the daemon, runs one verb. Exit codes: 0 done, 1 failed,
 * 2 wrong arguments, 3 not running. Knows the daemon only by its control socket and the
 * statistics that this hands out.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/report.h"

enum option_bit {
	OPT_FAST = 1,
	OPT_FORMAT = 2,
	OPT_WATCH = 4,
	OPT_MAN = 8,
	OPT_JSON = 16,
};

struct verb {
	const char *name;
	int (*run)(struct pgr_ctl *ctl);
	unsigned options;     /* enum option_bit: those that it takes */
	const char *argument; /* NULL: takes none; in brackets: may be left out */
	bool daemon;          /* needs to know where the daemon is */
	const char *help;
};

static const struct verb verbs[] = {
	{"start", pgr_start_run, OPT_JSON, NULL, true, "start a daemon and wait until it serves"},
	{"stop", pgr_stop_run, OPT_JSON | OPT_FAST, NULL, true,
		"let clients finish their transactions, then end"},
	{"restart", pgr_stop_restart, OPT_JSON | OPT_FAST, NULL, true, "stop, then start"},
	{"reload", pgr_verbs_reload, OPT_JSON, NULL, true, "take up the changed configuration"},
	{"status", pgr_verbs_status, OPT_JSON, NULL, true, "tell whether and how it runs"},
	{"check", pgr_verbs_check, OPT_JSON, "[FILE]", false,
		"look for errors in a configuration file"},
	{"show", pgr_verbs_show, OPT_JSON, "pools|servers|clients|stats|config|databases|users|pins|...", true,
		"show what is in force and under way"},
	{"stats", pgr_dump_run, OPT_JSON | OPT_FORMAT | OPT_WATCH, NULL, true,
		"read the statistics, even while all workers hang"},
	{"reference", pgr_verbs_reference, OPT_MAN, NULL, false,
		"print the reference of the configuration file"},
};

enum { OPTION_SOCKET = 256, OPTION_FAST, OPTION_FORMAT, OPTION_WATCH, OPTION_MAN, OPTION_JSON };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"fast", no_argument, NULL, OPTION_FAST},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"watch", no_argument, NULL, OPTION_WATCH},
	{"man", no_argument, NULL, OPTION_MAN},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static int
print_help(void)
{
	printf("usage: pgroutectl [-c FILE] [--socket PATH] [--json] VERB\n\n");
	for (size_t i = 0; i < PGR_COUNT_OF(verbs); i++) {
		const struct verb *verb = &verbs[i];

		printf("  %-9s %s\n", verb->name, verb->help);
		if (verb->argument != NULL)
			printf("            %s %s\n", verb->name, verb->argument);
		if (verb->options & OPT_FAST)
			printf("            --fast: end clients now\n");
		if (verb->options & OPT_FORMAT)
			puts("            --format text|json|prometheus, --watch: each second");
		if (verb->options & OPT_MAN)
			printf("            --man: as a man page\n");
	}
	printf("\n  -c FILE        configuration, default " PGR_CTL_FILE "\n"
	       "  --socket PATH  control socket, default as in the configuration\n"
	       "  --json         for programs\n"
	       "exit codes: 0 done, 1 failed, 2 wrong arguments, 3 not running\n");
	return PGR_CTL_DONE;
}

static int
print_version(void)
{
	printf("pgroutectl " PGR_VERSION "\n");
	return PGR_CTL_DONE;
}

static bool
read_format(struct pgr_ctl *ctl, const char *word)
{
	static const char *const words[] = {[PGR_CTL_TEXT] = "text",
		[PGR_CTL_JSON] = "json",
		[PGR_CTL_PROMETHEUS] = "prometheus"};

	for (size_t i = 0; i < PGR_COUNT_OF(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			ctl->format = (enum pgr_ctl_format)i;
			return true;
		}
	}
	return false;
}

static int
usage(const struct pgr_ctl *ctl, const char *what, const char *word)
{
	return pgr_report_error(ctl, PGR_CTL_USAGE, "pgroutectl --help lists all", "%s%s%s", what,
		word != NULL ? " " : "", word != NULL ? word : "");
}

/* One option. Returns the exit code when that is the end, else -1. *seen: enum option_bit. */
static int
take_option(struct pgr_ctl *ctl, int option, unsigned *seen, char **argv)
{
	switch (option) {
	case 'c':
		ctl->file = optarg;
		return -1;
	case 'h':
		return print_help();
	case 'V':
		return print_version();
	case OPTION_SOCKET:
		ctl->socket = optarg;
		return -1;
	case OPTION_FAST:
		ctl->fast = true;
		*seen |= OPT_FAST;
		return -1;
	case OPTION_WATCH:
		ctl->watch = true;
		*seen |= OPT_WATCH;
		return -1;
	case OPTION_MAN:
		ctl->man = true;
		*seen |= OPT_MAN;
		return -1;
	case OPTION_JSON:
		ctl->json = true;
		*seen |= OPT_JSON;
		return -1;
	case OPTION_FORMAT:
		*seen |= OPT_FORMAT;
		return read_format(ctl, optarg)
			? -1
			: usage(ctl, "the format is text, json or prometheus, not", optarg);
	case ':':
		return usage(ctl, "an argument is missing behind", argv[optind - 1]);
	default:
		return usage(ctl, "unknown option", argv[optind - 1]);
	}
}

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < PGR_COUNT_OF(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* What stands behind the verb, and whether it takes the options given. -1: all is well. */
static int
check_call(struct pgr_ctl *ctl, const struct verb *verb, unsigned seen, int argc, char **argv)
{
	if ((seen & ~verb->options) != 0)
		return usage(ctl, "an option does not belong to the verb", verb->name);
	if (argc > (verb->argument != NULL ? 1 : 0))
		return usage(ctl, "do not know what to do with", argv[argc - 1]);
	if (argc == 0 && verb->argument != NULL && verb->argument[0] != '[')
		return pgr_report_error(ctl, PGR_CTL_USAGE, NULL, "%s needs one of: %s", verb->name,
			verb->argument);
	if (ctl->format == PGR_CTL_PROMETHEUS && (ctl->watch || ctl->json))
		return usage(ctl, "--format prometheus goes with neither --json nor --watch", NULL);
	ctl->argument = argc > 0 ? argv[0] : NULL;
	if (ctl->json && (seen & OPT_FORMAT) == 0)
		ctl->format = PGR_CTL_JSON;
	return -1;
}

static int
run(struct pgr_ctl *ctl, const struct verb *verb)
{
	int rc;

	if (verb->daemon)
		pgr_place_find(&ctl->place, ctl->file, ctl->socket);
	rc = verb->run(ctl);
	pgr_place_fini(&ctl->place);
	return rc;
}

int
main(int argc, char **argv)
{
	struct pgr_ctl ctl = {.file = PGR_CTL_FILE};
	const struct verb *verb;
	unsigned seen = 0;
	int option;
	int rc;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:hV", long_options, NULL)) != -1) {
		rc = take_option(&ctl, option, &seen, argv);
		if (rc >= 0)
			return rc;
	}
	if (optind == argc)
		return usage(&ctl, "a verb is missing", NULL);
	verb = find_verb(argv[optind]);
	if (verb == NULL)
		return usage(&ctl, "unknown verb", argv[optind]);
	rc = check_call(&ctl, verb, seen, argc - optind - 1, argv + optind + 1);
	return rc >= 0 ? rc : run(&ctl, verb);
}
