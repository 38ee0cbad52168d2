/* base/list.h: order of first in, first out; removal anywhere. */
#include "unit.h"

#include "base/list.h"

struct item {
	int n;
	struct pgr_list node;
};

static int
first(const struct pgr_list *list)
{
	return PGR_LIST_ENTRY(list->next, struct item, node)->n;
}

START_TEST(test_list_push_keeps_order)
{
	struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
	struct pgr_list list;

	pgr_list_init(&list);
	ck_assert(pgr_list_empty(&list));
	for (int i = 0; i < 3; i++)
		pgr_list_push(&list, &items[i].node);
	for (int i = 1; i <= 3; i++) {
		ck_assert(!pgr_list_empty(&list));
		ck_assert_int_eq(first(&list), i);
		pgr_list_remove(list.next);
	}
	ck_assert(pgr_list_empty(&list));
}
END_TEST

START_TEST(test_list_remove_from_the_middle_and_twice)
{
	struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
	struct pgr_list list;

	pgr_list_init(&list);
	for (int i = 0; i < 3; i++)
		pgr_list_push(&list, &items[i].node);
	pgr_list_remove(&items[1].node);
	ck_assert(pgr_list_empty(&items[1].node));
	pgr_list_remove(&items[1].node); /* in no list: nothing happens */
	ck_assert_int_eq(first(&list), 1);
	ck_assert_ptr_eq(items[0].node.next, &items[2].node);
	ck_assert_ptr_eq(list.prev, &items[2].node);
}
END_TEST

UNIT_MAIN("list", test_list_push_keeps_order, test_list_remove_from_the_middle_and_twice)
