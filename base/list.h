/*
 * Intrusive doubly linked ring. An element that is in no list points to itself.
 */
#ifndef PGR_BASE_LIST_H
#define PGR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct pgr_list {
	struct pgr_list *prev;
	struct pgr_list *next;
};

#define PGR_LIST_ENTRY(node, type, member) PGR_CONTAINER_OF(node, type, member)

static inline void
pgr_list_init(struct pgr_list *list)
{
	list->prev = list;
	list->next = list;
}

static inline bool
pgr_list_empty(const struct pgr_list *list)
{
	return list->next == list;
}

static inline void
pgr_list_push(struct pgr_list *list, struct pgr_list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

static inline void
pgr_list_remove(struct pgr_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	pgr_list_init(node);
}

/* Everything in `from`, in its order, goes to `list`, which had nothing. */
static inline void
pgr_list_take(struct pgr_list *list, struct pgr_list *from)
{
	pgr_list_push(from, list);
	pgr_list_remove(from);
}

#endif
