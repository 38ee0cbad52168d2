/*
 * Files of a configuration: the one given, those it includes, files of passwords. Each is read
 * once, must be a regular file, and counts against a limit. Paths in a file are relative to that
 * file. What was read is overwritten before the memory is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/load.h"

#define PASSWORD_FILE_MAX 66000
#define PEM_FILE_MAX (4u << 20)

struct content {
	char *data; /* NUL-terminated */
	size_t len;
	struct stat stat;
};

static void
content_fini(struct content *content)
{
	if (content->data != NULL)
		explicit_bzero(content->data, content->len);
	free(content->data);
}

static bool
read_all(int fd, struct content *content)
{
	while (true) {
		size_t room = (size_t)content->stat.st_size + 1 - content->len;
		ssize_t n = room > 0 ? read(fd, content->data + content->len, room) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		content->len += (size_t)n;
	}
	content->data[content->len] = '\0';
	return true;
}

static bool
read_fd(int fd, size_t most, struct content *content, struct pgr_complaint *complaint)
{
	if (fd < 0 || fstat(fd, &content->stat) != 0) {
		pgr_complaint_set(complaint, "cannot be read: %s", strerror(errno));
		return false;
	}
	if (!S_ISREG(content->stat.st_mode)) {
		pgr_complaint_set(complaint, "is not a regular file");
		return false;
	}
	if ((size_t)content->stat.st_size > most) {
		pgr_complaint_set(complaint, "is larger than %zu bytes", most);
		return false;
	}
	content->data = calloc(1, (size_t)content->stat.st_size + 2);
	if (content->data == NULL || !read_all(fd, content)) {
		pgr_complaint_set(complaint, "cannot be read: %s", strerror(errno));
		return false;
	}
	return true;
}

/* O_NONBLOCK: a FIFO must not stop us. */
static bool
read_file(const char *path, size_t most, struct content *content, struct pgr_complaint *complaint)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;

	*content = (struct content){0};
	ok = read_fd(fd, most, content, complaint);
	if (fd >= 0)
		close(fd);
	if (!ok) {
		content_fini(content);
		*content = (struct content){0};
	}
	return ok;
}

static void
complain_file(
	struct pgr_load *load, const char *path, const struct pgr_node *at, const char *message)
{
	struct pgr_complaint complaint;

	if (at == NULL) {
		pgr_complaint_set(&complaint, "%s", message);
		pgr_errors_add(load->errors, (struct pgr_place){.file = path}, &complaint);
		return;
	}
	pgr_complaint_set(&complaint, "%.150s: %s", path, message);
	pgr_load_complain(load, at, &complaint);
}

/* False: this file has been read already. */
static bool
remember_file(struct pgr_load *load, const struct stat *stat)
{
	struct pgr_load_file file = {.dev = stat->st_dev, .ino = stat->st_ino};
	struct pgr_load_file *more;

	for (size_t i = 0; i < load->file_count; i++)
		if (load->files[i].dev == file.dev && load->files[i].ino == file.ino)
			return false;
	more = reallocarray(load->files, load->file_count + 1, sizeof(file));
	if (more == NULL)
		return false;
	load->files = more;
	load->files[load->file_count++] = file;
	return true;
}

void
pgr_load_content(struct pgr_load *load, const char *name, const char *text, size_t len)
{
	struct pgr_scope scope = {
		.where = PGR_IN_GLOBAL,
		.prefix = "",
		.path = "",
		.self = &load->cfg,
		.seen = load->seen,
	};
	char *kept = pgr_arena_strndup(&load->arena, name, strlen(name));
	struct pgr_node *root = NULL;
	struct pgr_complaint complaint;

	if (len > PGR_LOAD_FILE_MAX || load->total + len > PGR_LOAD_TOTAL_MAX || kept == NULL)
		return complain_file(load, name, NULL, "the configuration is too large");
	load->total += len;
	if (!pgr_tree_parse(&load->tree, kept, (uint32_t)load->file_count, text, len, &root))
		return;
	if (root == NULL || pgr_node_is_null(root))
		return;
	if (root->kind == PGR_NODE_MAP)
		return pgr_load_map(load, &scope, root);
	pgr_complaint_set(&complaint, "a configuration is a mapping of keys to values");
	pgr_load_complain(load, root, &complaint);
}

void
pgr_load_path(struct pgr_load *load, const char *path, const struct pgr_node *at)
{
	struct content content;
	struct pgr_complaint complaint;

	if (!read_file(path, PGR_LOAD_FILE_MAX, &content, &complaint))
		return complain_file(load, path, at, complaint.message);
	if (at != NULL)
		pgr_watch_file(load, path, &content.stat);
	if (!remember_file(load, &content.stat))
		complain_file(load, path, at, "is included twice");
	else if (load->file_count > PGR_LOAD_FILES_MAX)
		complain_file(load, path, at, "more files than a configuration may have");
	else
		pgr_load_content(load, path, content.data, content.len);
	content_fini(&content);
}

/* path as seen from the file that node stands in; escape: for glob. Arena; NULL: out of memory. */
static char *
relative_to(struct pgr_load *load, const struct pgr_node *node, bool escape)
{
	const char *file = node->place.file;
	const char *slash = strrchr(file, '/');
	size_t folder = node->text[0] == '/' || slash == NULL ? 0 : (size_t)(slash - file) + 1;
	char *path = pgr_arena_alloc(&load->arena, 2 * folder + node->len + 1);
	size_t n = 0;

	if (path == NULL)
		return NULL;
	for (size_t i = 0; i < folder; i++) {
		if (escape && strchr("*?[\\", file[i]) != NULL)
			path[n++] = '\\';
		path[n++] = file[i];
	}
	memcpy(path + n, node->text, node->len);
	return path;
}

/* A pattern may find nothing; a plain name that is not there is a mistake. */
static void
include_glob(struct pgr_load *load, const char *pattern, const struct pgr_node *at)
{
	glob_t found;
	int rc = pgr_watch_glob(pattern, &found);

	pgr_watch_pattern(load, pattern);
	if (rc == GLOB_NOMATCH && strpbrk(at->text, "*?[") == NULL)
		complain_file(load, pattern, at, "there is no such file");
	else if (rc != 0 && rc != GLOB_NOMATCH)
		complain_file(load, pattern, at, "the folder cannot be read");
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		pgr_load_path(load, found.gl_pathv[i], at);
	globfree(&found);
}

static void
include_one(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	const char *pattern;

	if (node->bad)
		return;
	if (node->kind != PGR_NODE_SCALAR || node->len == 0)
		return pgr_load_wrong_type(load, key, node);
	if (!load->may_read)
		return complain_file(load, key->name, node, "files cannot be read from here");
	if (load->depth == PGR_LOAD_DEPTH_MAX)
		return complain_file(load, key->name, node, "files include each other too deeply");
	pattern = relative_to(load, node, true);
	if (pattern == NULL)
		return complain_file(load, key->name, node, "the configuration is too large");
	load->depth++;
	include_glob(load, pattern, node);
	load->depth--;
}

void
pgr_load_include(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	if (node->kind == PGR_NODE_MAP)
		return pgr_load_wrong_type(load, key, node);
	if (node->kind == PGR_NODE_SCALAR && !pgr_node_is_null(node))
		include_one(load, key, node);
	for (const struct pgr_node *item = node->first; item != NULL; item = item->next)
		include_one(load, key, item);
}

/* The one line without its end; false: it is none. */
static bool
cut_line(struct content *content)
{
	size_t n = content->len;

	if (n > 0 && content->data[n - 1] == '\n')
		n--;
	if (n > 0 && n < content->len && content->data[n - 1] == '\r')
		n--;
	content->data[n] = '\0';
	return n > 0 && strlen(content->data) == n && strchr(content->data, '\n') == NULL;
}

/* The password as a node of its own, so that it is overwritten with the others. */
static const char *
keep_password(struct pgr_load *load, const struct content *content)
{
	struct pgr_node *node = pgr_arena_alloc(&load->arena, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->text = pgr_arena_strndup(&load->arena, content->data, strlen(content->data));
	if (node->text == NULL)
		return NULL;
	node->len = strlen(node->text);
	node->wipe_next = load->tree.scalars;
	load->tree.scalars = node;
	return node->text;
}

const char *
pgr_load_password_file(
	struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node)
{
	const char *path = relative_to(load, node, false);
	struct pgr_complaint complaint;
	struct content content;
	const char *text = NULL;

	if (!load->may_read || path == NULL || node->len == 0) {
		complain_file(load, key->name, node, "files cannot be read from here");
		return NULL;
	}
	if (!read_file(path, PASSWORD_FILE_MAX, &content, &complaint)) {
		complain_file(load, path, node, complaint.message);
		return NULL;
	}
	if ((content.stat.st_mode & (S_IROTH | S_IWOTH)) != 0)
		complain_file(
			load, path, node, "everybody may read or write this file of a password");
	else if (!cut_line(&content))
		complain_file(load, path, node, "must hold one line with a password");
	else
		text = keep_password(load, &content);
	content_fini(&content);
	return text;
}

static bool
find_text(const struct pgr_load *load, const char *path, pgr_sref *ret)
{
	for (size_t i = 0; i < load->text_count; i++) {
		if (strcmp(load->texts[i].path, path) == 0) {
			*ret = load->texts[i].text;
			return true;
		}
	}
	return false;
}

static bool
keep_text(struct pgr_load *load, const char *path, const char *data, pgr_sref *ret)
{
	struct pgr_load_text *more =
		reallocarray(load->texts, load->text_count + 1, sizeof(*load->texts));

	if (more == NULL)
		return false;
	load->texts = more;
	ret->off = pgr_block_add_text(&load->secrets, data);
	load->texts[load->text_count++] = (struct pgr_load_text){.path = path, .text = *ret};
	return true;
}

static const char *
wrong_text(const struct pgr_key *key, const struct content *content)
{
	if ((key->flags & PGR_KEY_PRIVATE) != 0 && (content->stat.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return "everybody may read or write this file of a private key";
	if (strlen(content->data) != content->len)
		return "is not a text";
	return NULL;
}

bool
pgr_load_text_file(struct pgr_load *load, const struct pgr_key *key, const struct pgr_node *node,
	pgr_sref *ret)
{
	const char *path = relative_to(load, node, false);
	struct pgr_complaint complaint;
	struct content content;
	const char *wrong;

	if (!load->may_read || path == NULL) {
		complain_file(load, key->name, node, "files cannot be read from here");
		return false;
	}
	if ((key->flags & PGR_KEY_PRIVATE) == 0 && find_text(load, path, ret))
		return true;
	if (!read_file(path, PEM_FILE_MAX, &content, &complaint)) {
		complain_file(load, path, node, complaint.message);
		return false;
	}
	wrong = wrong_text(key, &content);
	if (wrong == NULL && !keep_text(load, path, content.data, ret))
		wrong = "the configuration is too large";
	if (wrong != NULL)
		complain_file(load, path, node, wrong);
	content_fini(&content);
	return wrong == NULL;
}
