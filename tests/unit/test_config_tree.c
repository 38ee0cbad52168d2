/* config/tree.h: a YAML file as nodes with their places; what of YAML is refused; what is wiped. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "config/tree.h"

static struct pgr_arena arena;
static struct pgr_config_errors errors;
static struct pgr_tree tree;

static bool
parse(const char *text, struct pgr_node **ret)
{
	pgr_arena_init(&arena, 1 << 20);
	errors.n = 0;
	pgr_tree_init(&tree, &arena, &errors);
	*ret = NULL;
	return pgr_tree_parse(&tree, "t.yaml", 3, text, strlen(text), ret);
}

static struct pgr_node *
parse_good(const char *text)
{
	struct pgr_node *root;

	ck_assert(parse(text, &root));
	ck_assert_uint_eq(errors.n, 0);
	return root;
}

START_TEST(test_config_tree_nodes_know_kind_place_and_text)
{
	struct pgr_node *root = parse_good("a: 'one'\nbb:\n  - x\n  - {y: z}\n");
	struct pgr_node *node = root->first;

	ck_assert_int_eq(root->kind, PGR_NODE_MAP);
	ck_assert_uint_eq(root->count, 4);
	ck_assert_str_eq(node->text, "a");
	ck_assert(node->plain);
	node = node->next;
	ck_assert_str_eq(node->text, "one");
	ck_assert(!node->plain);
	ck_assert_uint_eq(node->len, 3);
	ck_assert_uint_eq(node->place.line, 1);
	ck_assert_uint_eq(node->place.column, 4);
	ck_assert_uint_eq(node->place.file_index, 3);
	ck_assert_str_eq(node->place.file, "t.yaml");
	node = node->next->next;
	ck_assert_int_eq(node->kind, PGR_NODE_LIST);
	ck_assert_uint_eq(node->count, 2);
	ck_assert_ptr_eq(node->last, node->first->next);
	ck_assert_ptr_null(node->next);
	node = node->last;
	ck_assert_int_eq(node->kind, PGR_NODE_MAP);
	ck_assert_uint_eq(node->place.line, 4);
	ck_assert_uint_eq(node->place.column, 5);
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_tree_of_nothing_is_null)
{
	ck_assert_ptr_null(parse_good(""));
	pgr_arena_fini(&arena);
	ck_assert_ptr_null(parse_good("# only a comment\n"));
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_tree_null_is_plain)
{
	struct pgr_node *node = parse_good("[null, ~, NULL, '', 'null', x, ]")->first;
	static const bool null[] = {true, true, true, false, false, false};

	for (size_t i = 0; i < 6; i++, node = node->next)
		ck_assert_int_eq(pgr_node_is_null(node), null[i]);
	pgr_arena_fini(&arena);
	ck_assert(!pgr_node_is_null(parse_good("[]")));
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_tree_beyond_the_subset_is_refused_with_its_place)
{
	static const struct {
		const char *text;
		bool read; /* the rest makes sense and was read */
		uint32_t line;
		const char *message;
	} wrong[] = {
		{"a: &x 1\n", true, 1, "anchors are not supported"},
		{"a: !t 1\n", true, 1, "tags are not supported"},
		{"a: !!seq []\n", true, 1, "tags are not supported"},
		{"a: 1\nb: *x\n", false, 2, "aliases are not supported"},
		{"a: 1\n--- \nb: 1\n", false, 2, "a second document in one file is not supported"},
		{"a: \"x\\0y\"\n", true, 1, "a text must not contain the character NUL"},
	};
	struct pgr_node *root;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(parse(wrong[i].text, &root), wrong[i].read);
		ck_assert_uint_eq(errors.n, 1);
		ck_assert_str_eq(errors.list[0].message, wrong[i].message);
		ck_assert_uint_eq(errors.list[0].line, wrong[i].line);
		pgr_arena_fini(&arena);
	}
}
END_TEST

START_TEST(test_config_tree_depth_is_bounded)
{
	char text[2 * PGR_TREE_DEPTH_MAX + 3] = "";
	struct pgr_node *root;

	memset(text, '[', PGR_TREE_DEPTH_MAX);
	memset(text + PGR_TREE_DEPTH_MAX, ']', PGR_TREE_DEPTH_MAX);
	parse_good(text);
	pgr_arena_fini(&arena);
	memset(text, '[', PGR_TREE_DEPTH_MAX + 1);
	memset(text + PGR_TREE_DEPTH_MAX + 1, ']', PGR_TREE_DEPTH_MAX + 1);
	ck_assert(!parse(text, &root));
	ck_assert_str_eq(errors.list[0].message, "nested too deeply");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_tree_unreadable_text_is_told_once_and_the_rest_is_read)
{
	struct pgr_node *root;

	unsetenv("T_UNSET");
	ck_assert(parse("a: ${T_UNSET}\nb: x\n", &root));
	ck_assert_uint_eq(errors.n, 1);
	ck_assert(root->first->next->bad);
	ck_assert_str_eq(root->first->next->text, "");
	ck_assert_str_eq(root->last->text, "x");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_tree_wipe_leaves_no_text)
{
	struct pgr_node *root;
	char *password;

	setenv("T_SECRET", "hunter2", 1);
	root = parse_good("a: ${T_SECRET}\n");
	password = root->last->text;
	ck_assert(root->last->expanded);
	ck_assert_str_eq(password, "hunter2");
	pgr_tree_wipe(&tree);
	for (size_t i = 0; i < 7; i++)
		ck_assert_int_eq(password[i], 0);
	pgr_arena_fini(&arena);
}
END_TEST

UNIT_MAIN("config_tree", test_config_tree_nodes_know_kind_place_and_text,
	test_config_tree_of_nothing_is_null, test_config_tree_null_is_plain,
	test_config_tree_beyond_the_subset_is_refused_with_its_place, test_config_tree_depth_is_bounded,
	test_config_tree_unreadable_text_is_told_once_and_the_rest_is_read,
	test_config_tree_wipe_leaves_no_text)
