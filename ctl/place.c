/*
 * Finds the control socket. A file with an error in it must not keep anybody from asking the
 * running daemon for its status, and a password that comes from the daemon's environment is not in
 * ours: when the file cannot be loaded, its own `control:` line is looked for, then the default is
 * taken.
 */
#include "ctl/place.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_CONTROL "/run/pgroute/control.sock"

/* The scalar behind "control:" without quotes and comment; false: it is not that simple. */
static bool
read_scalar(const char *value, char *buf, size_t size)
{
	size_t len;

	value += strspn(value, " \t");
	if (*value == '"' || *value == '\'')
		len = strcspn(value + 1, (const char[]){*value, '\n', '\0'});
	else
		len = strcspn(value, " \t\r\n#");
	value += *value == '"' || *value == '\'';
	if (len == 0 || len >= size || value[0] != '/' || memchr(value, '$', len) != NULL)
		return false;
	memcpy(buf, value, len);
	buf[len] = '\0';
	return true;
}

static bool
scan_file(const char *file, char *buf, size_t size)
{
	FILE *in = fopen(file, "re");
	char line[1024];
	bool found = false;

	if (in == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), in) != NULL)
		found = strncmp(line, "control:", 8) == 0 && read_scalar(line + 8, buf, size);
	fclose(in);
	return found;
}

/* What the loader gives for a file that says nothing. */
static void
take_default(char *buf, size_t size)
{
	static const char text[] = "workers: auto\n";
	struct pgr_config_errors errors;
	struct pgr_config_pair pair;

	snprintf(buf, size, "%s", DEFAULT_CONTROL);
	if (pgr_config_load_text("default", text, sizeof(text) - 1, &pair, &errors) != PGR_OK)
		return;
	snprintf(buf, size, "%s", pgr_config_text(pair.config, pair.config->control));
	pgr_config_free(&pair);
}

void
pgr_place_find(struct pgr_place *place, const char *file, const char *socket)
{
	size_t size = sizeof(place->control);

	place->guessed = false;
	place->loaded = pgr_config_load(file, &place->pair, &place->errors) == PGR_OK;
	if (socket != NULL) {
		snprintf(place->control, size, "%s", socket);
	} else if (place->loaded) {
		snprintf(place->control, size, "%s",
			pgr_config_text(place->pair.config, place->pair.config->control));
	} else if (!scan_file(file, place->control, size)) {
		place->guessed = true;
		take_default(place->control, size);
	}
}

void
pgr_place_fini(struct pgr_place *place)
{
	if (place->loaded)
		pgr_config_free(&place->pair);
	place->loaded = false;
}
