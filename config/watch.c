/*
 * Has anything changed in what `include` names? The loader notes the patterns and a number for what
 * they found; the same number is made anew from the file system, and the two are compared. It is a
 * sum over files, so it does not depend on the order in which they are met, and goes by what stat(2)
 * says of each: files are followed through links, as those of a ConfigMap must be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/load.h"

/* A folder that is not there holds nothing; one that cannot be read must not look as if. */
static int
on_glob_error(const char *path, int why)
{
	(void)path;
	return why != ENOENT && why != ENOTDIR;
}

int
pgr_watch_glob(const char *pattern, glob_t *found)
{
	return glob(pattern, 0, on_glob_error, found);
}

/* stat: NULL: there is nothing behind that name. */
static uint64_t
number_of(const char *path, const struct stat *stat)
{
	static const struct pgr_hash_key key; /* nobody gains by a collision */
	uint64_t facts[7] = {pgr_hash64(&key, path, strlen(path))};

	if (stat != NULL) {
		facts[1] = stat->st_dev;
		facts[2] = stat->st_ino;
		facts[3] = (uint64_t)stat->st_size;
		facts[4] = (uint64_t)stat->st_mtim.tv_sec;
		facts[5] = (uint64_t)stat->st_mtim.tv_nsec;
		facts[6] = (uint64_t)stat->st_ctim.tv_sec ^ (uint64_t)stat->st_ctim.tv_nsec << 32;
	}
	return pgr_hash64(&key, facts, sizeof(facts));
}

void
pgr_watch_file(struct pgr_load *load, const char *path, const struct stat *stat)
{
	load->cfg.included += number_of(path, stat);
}

/* Out of memory: it is not watched, which the next reload mends. */
void
pgr_watch_pattern(struct pgr_load *load, const char *pattern)
{
	pgr_cref *more = reallocarray(load->includes, load->include_count + 1, sizeof(*more));

	if (more == NULL)
		return;
	load->includes = more;
	load->includes[load->include_count++].off = pgr_block_add_text(&load->block, pattern);
}

static uint64_t
look(const char *pattern)
{
	uint64_t sum = 0;
	struct stat st;
	glob_t found;
	int rc = pgr_watch_glob(pattern, &found);

	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		sum += number_of(found.gl_pathv[i], stat(found.gl_pathv[i], &st) == 0 ? &st : NULL);
	globfree(&found);
	return rc == 0 || rc == GLOB_NOMATCH ? sum : (uint64_t)rc;
}

uint64_t
pgr_config_included_now(const struct pgr_config *cfg)
{
	const pgr_cref *pattern;
	uint64_t sum = 0;

	for (uint32_t i = 0;
		(pattern = pgr_config_item(cfg, cfg->includes, i, sizeof(*pattern))) != NULL; i++)
		sum += look(pgr_config_text(cfg, *pattern));
	return sum;
}
