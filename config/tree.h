/*
 * A YAML file as a tree of nodes that know their place: the subset that pgroute reads. Anchors,
 * aliases, tags and several documents are refused, depth and size are bounded.
 */
#ifndef PGR_CONFIG_TREE_H
#define PGR_CONFIG_TREE_H

#include "base/arena.h"
#include "config/complain.h"

#define PGR_TREE_DEPTH_MAX 16

enum pgr_node_kind {
	PGR_NODE_SCALAR,
	PGR_NODE_LIST,
	PGR_NODE_MAP,
};

struct pgr_node {
	enum pgr_node_kind kind;
	bool plain;    /* not quoted */
	bool expanded; /* a variable was put in */
	bool bad;      /* its text could not be read; that has been told */
	uint32_t count; /* children of a list; keys and values of a mapping */
	struct pgr_place place;
	char *text; /* of a scalar; NUL-terminated, without NUL inside */
	size_t len;
	struct pgr_node *first; /* children; in a mapping a key, its value, the next key, ... */
	struct pgr_node *last;
	struct pgr_node *next;
	struct pgr_node *wipe_next;
};

struct pgr_tree {
	struct pgr_arena *arena;
	struct pgr_config_errors *errors;
	struct pgr_node *scalars; /* all of them, for pgr_tree_wipe */
};

void pgr_tree_init(
	struct pgr_tree *tree, struct pgr_arena *arena, struct pgr_config_errors *errors);

/*
 * Reads one file. file (kept by reference) and file_index go into the places. An empty document
 * gives *ret NULL. False: the file cannot be read to its end. Errors may have been added either
 * way.
 */
PGR_MUST bool pgr_tree_parse(struct pgr_tree *tree, const char *file, uint32_t file_index,
	const char *text, size_t len, struct pgr_node **ret);

/* Overwrites the texts of all scalars, since passwords are among them. */
void pgr_tree_wipe(struct pgr_tree *tree);

/* A plain null, ~ or nothing. */
bool pgr_node_is_null(const struct pgr_node *node);

#endif
