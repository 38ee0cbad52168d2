/*
 * From libyaml's events to nodes. Called by load.c, once for each file. Recursion is nowhere: the
 * open collections are a small stack, whose height is the depth limit. Errors go to the list; those
 * after which the rest of the file makes sense do not end the reading.
 */
#include "config/tree.h"

#include <string.h>
#include <yaml.h>

#include "config/env.h"

struct reader {
	struct pgr_tree *tree;
	const char *file;
	uint32_t file_index;
	const char *text;
	size_t len;
	yaml_parser_t parser;
	struct pgr_node *open[PGR_TREE_DEPTH_MAX];
	size_t depth;
	struct pgr_node *root;
	unsigned documents;
	bool failed;
};

void
pgr_tree_init(struct pgr_tree *tree, struct pgr_arena *arena, struct pgr_config_errors *errors)
{
	*tree = (struct pgr_tree){.arena = arena, .errors = errors};
}

static struct pgr_place
place_of(const struct reader *reader, const yaml_mark_t *mark)
{
	return (struct pgr_place){
		.file = reader->file,
		.file_index = reader->file_index,
		.line = (uint32_t)mark->line + 1,
		.column = (uint32_t)mark->column + 1,
	};
}

static void
complain(struct reader *reader, const yaml_mark_t *mark, const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%s", message);
	pgr_errors_add(reader->tree->errors, place_of(reader, mark), &complaint);
}

/* A complaint after which nothing more is read. Always false. */
static bool
fail(struct reader *reader, const yaml_mark_t *mark, const char *message)
{
	complain(reader, mark, message);
	reader->failed = true;
	return false;
}

/* Complaints about encoding carry an offset instead of a mark. */
static yaml_mark_t
mark_at(const struct reader *reader, size_t offset)
{
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		mark.column++;
		if (reader->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

/* Is there a variable in the line of the mark? Its braces end an unquoted text inside of others. */
static bool
line_has_variable(const struct reader *reader, const yaml_mark_t *mark)
{
	const char *at = reader->text;
	const char *end = at + reader->len;
	const char *newline;

	for (size_t i = 0; i < mark->line && at < end; i++) {
		newline = memchr(at, '\n', (size_t)(end - at));
		at = newline != NULL ? newline + 1 : end;
	}
	newline = memchr(at, '\n', (size_t)(end - at));
	return memmem(at, (size_t)((newline != NULL ? newline : end) - at), "${", 2) != NULL;
}

/* What libyaml says is made of constant texts: it never quotes the file. */
static void
fail_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem != NULL ? parser->problem : "out of memory";
	yaml_mark_t mark = parser->error == YAML_READER_ERROR
		? mark_at(reader, parser->problem_offset)
		: parser->problem_mark;
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "this is not YAML: %s%s%s", problem,
		parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
	if (line_has_variable(reader, &mark))
		pgr_complaint_suggest(
			&complaint, "texts with ${...} inside of { } or [ ] need quotes");
	else if (strstr(problem, "cannot start any token") != NULL)
		pgr_complaint_suggest(&complaint,
			"indent with spaces, and quote texts that begin with @, ` or %%");
	pgr_errors_add(reader->tree->errors, place_of(reader, &mark), &complaint);
	reader->failed = true;
}

static struct pgr_node *
node_new(struct reader *reader, enum pgr_node_kind kind, const yaml_mark_t *mark)
{
	struct pgr_node *node = pgr_arena_alloc(reader->tree->arena, sizeof(*node));

	if (node == NULL) {
		fail(reader, mark, "the configuration is too large");
		return NULL;
	}
	node->kind = kind;
	node->place = place_of(reader, mark);
	return node;
}

static void
attach(struct reader *reader, struct pgr_node *node)
{
	struct pgr_node *parent = reader->depth > 0 ? reader->open[reader->depth - 1] : NULL;

	if (parent == NULL) {
		reader->root = node;
		return;
	}
	if (parent->last == NULL)
		parent->first = node;
	else
		parent->last->next = node;
	parent->last = node;
	parent->count++;
}

/* False: too deep, or out of memory; nothing more is to be read. */
static bool
open_collection(struct reader *reader, enum pgr_node_kind kind, const yaml_mark_t *mark)
{
	struct pgr_node *node;

	if (reader->depth == PGR_TREE_DEPTH_MAX)
		return fail(reader, mark, "nested too deeply");
	node = node_new(reader, kind, mark);
	if (node == NULL)
		return false;
	attach(reader, node);
	reader->open[reader->depth++] = node;
	return true;
}

static void
check_tag(struct reader *reader, const void *tag, const void *anchor, const yaml_mark_t *mark)
{
	if (tag != NULL)
		complain(reader, mark, "tags are not supported");
	if (anchor != NULL)
		complain(reader, mark, "anchors are not supported");
}

static bool
add_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *raw = (const char *)event->data.scalar.value;
	size_t raw_len = event->data.scalar.length;
	struct pgr_node *node = node_new(reader, PGR_NODE_SCALAR, &event->start_mark);
	struct pgr_complaint complaint;

	if (node == NULL)
		return false;
	check_tag(reader, event->data.scalar.tag, event->data.scalar.anchor, &event->start_mark);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(raw, '\0', raw_len) != NULL) {
		complain(reader, &event->start_mark, "a text must not contain the character NUL");
		node->bad = true;
		raw_len = 0;
	}
	if (!pgr_env_expand(reader->tree->arena, raw, raw_len, &node->text, &node->len,
		    &node->expanded, &complaint)) {
		pgr_errors_add(reader->tree->errors, node->place, &complaint);
		node->bad = true;
		node->text = pgr_arena_strndup(reader->tree->arena, "", 0);
		if (node->text == NULL)
			return fail(reader, &event->start_mark, "the configuration is too large");
	}
	node->wipe_next = reader->tree->scalars;
	reader->tree->scalars = node;
	attach(reader, node);
	return true;
}

static bool
start_document(struct reader *reader, const yaml_event_t *event)
{
	if (reader->documents++ == 0)
		return true;
	return fail(reader, &event->start_mark, "a second document in one file is not supported");
}

/* False: stop reading. */
static bool
on_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(reader, event);
	case YAML_SEQUENCE_START_EVENT:
		check_tag(reader, event->data.sequence_start.tag, event->data.sequence_start.anchor,
			&event->start_mark);
		return open_collection(reader, PGR_NODE_LIST, &event->start_mark);
	case YAML_MAPPING_START_EVENT:
		check_tag(reader, event->data.mapping_start.tag, event->data.mapping_start.anchor,
			&event->start_mark);
		return open_collection(reader, PGR_NODE_MAP, &event->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		reader->depth--;
		return true;
	case YAML_ALIAS_EVENT:
		return fail(reader, &event->start_mark, "aliases are not supported");
	case YAML_DOCUMENT_START_EVENT:
		return start_document(reader, event);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return true;
	case YAML_STREAM_END_EVENT:
		break;
	}
	return false;
}

static void
wipe_scalar(yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		explicit_bzero(event->data.scalar.value, event->data.scalar.length);
}

static void
read_events(struct reader *reader)
{
	yaml_event_t event;
	bool more = true;

	while (more) {
		if (!yaml_parser_parse(&reader->parser, &event)) {
			fail_syntax(reader);
			return;
		}
		more = on_event(reader, &event);
		wipe_scalar(&event);
		yaml_event_delete(&event);
	}
}

bool
pgr_tree_parse(struct pgr_tree *tree, const char *file, uint32_t file_index, const char *text,
	size_t len, struct pgr_node **ret)
{
	struct reader reader = {
		.tree = tree, .file = file, .file_index = file_index, .text = text, .len = len};

	if (!yaml_parser_initialize(&reader.parser)) {
		return fail(&reader, &(yaml_mark_t){0}, "out of memory");
	}
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
	read_events(&reader);
	yaml_parser_delete(&reader.parser);
	if (reader.failed)
		return false;
	*ret = reader.root;
	return true;
}

void
pgr_tree_wipe(struct pgr_tree *tree)
{
	for (struct pgr_node *node = tree->scalars; node != NULL; node = node->wipe_next)
		explicit_bzero(node->text, node->len);
	tree->scalars = NULL;
}

bool
pgr_node_is_null(const struct pgr_node *node)
{
	return node->kind == PGR_NODE_SCALAR && node->plain &&
		(node->len == 0 || strcmp(node->text, "~") == 0 ||
			strcasecmp(node->text, "null") == 0);
}
