/* config/errors.h, complain.h: the list of errors is bounded, sorted, printable; guesses are near. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/complain.h"

static struct pgr_config_errors errors;

static void
add(const char *file, uint32_t index, uint32_t line, uint32_t column, const char *message)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "%s", message);
	pgr_errors_add(&errors, (struct pgr_place){file, index, line, column}, &complaint);
}

static const char *
text_of(size_t i)
{
	static char line[1000];

	pgr_config_error_text(&errors.list[i], line, sizeof(line));
	return line;
}

START_TEST(test_config_errors_are_sorted_by_file_line_column)
{
	static const char *const sorted[] = {"b:1:2: m", "b:2:1: m", "b:2:3: l", "b:2:3: m", "a:1:1: m"};

	add("a", 1, 1, 1, "m"); /* files in the order in which they were read, not by name */
	add("b", 0, 2, 3, "m");
	add("b", 0, 2, 3, "l");
	add("b", 0, 2, 1, "m");
	add("b", 0, 1, 2, "m");
	pgr_errors_sort(&errors);
	for (size_t i = 0; i < 5; i++)
		ck_assert_str_eq(text_of(i), sorted[i]);
}
END_TEST

START_TEST(test_config_errors_without_a_line_are_the_files)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "is not there");
	pgr_complaint_suggest(&complaint, "make %s", "it");
	pgr_errors_add(&errors, (struct pgr_place){.file = "x.yaml"}, &complaint);
	ck_assert_str_eq(text_of(0), "x.yaml: is not there (make it)");
}
END_TEST

START_TEST(test_config_errors_set_forgets_an_older_suggestion)
{
	struct pgr_complaint complaint;

	pgr_complaint_set(&complaint, "one");
	pgr_complaint_suggest(&complaint, "two");
	pgr_complaint_set(&complaint, "three");
	pgr_errors_add(&errors, (struct pgr_place){"f", 0, 1, 1}, &complaint);
	ck_assert_str_eq(text_of(0), "f:1:1: three");
}
END_TEST

START_TEST(test_config_errors_beyond_the_room_are_counted_and_told)
{
	char printed[8000] = "";
	FILE *out = fmemopen(printed, sizeof(printed), "w");

	for (uint32_t i = 0; i < PGR_CONFIG_ERRORS_MAX + 3; i++)
		add("f", 0, i + 1, 1, "m");
	ck_assert_uint_eq(errors.n, PGR_CONFIG_ERRORS_MAX);
	ck_assert_uint_eq(errors.dropped, 3);
	pgr_config_errors_print(&errors, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(printed, "f:64:1: m\nand 3 more errors\n"));
}
END_TEST

START_TEST(test_config_errors_are_printable)
{
	char long_name[600];

	add("f\n1", 0, 1, 1, "a\tb\x1b[31mc\x7f");
	ck_assert_str_eq(text_of(0), "f?1:1:1: a?b?[31mc?");
	memset(long_name, 'x', sizeof(long_name) - 1);
	memcpy(long_name + 318, "\xc3\xa4", 2); /* the end of the message splits it */
	long_name[sizeof(long_name) - 1] = '\0';
	add("f", 0, 1, 1, long_name);
	ck_assert_uint_eq(strlen(errors.list[1].message), 318);
}
END_TEST

static const char *
guess(const char *given, const char *const *names)
{
	struct pgr_guess g;

	pgr_guess_init(&g, given, strlen(given));
	for (; *names != NULL; names++)
		pgr_guess_offer(&g, *names);
	return g.best;
}

START_TEST(test_config_errors_guess_is_the_nearest)
{
	static const char *const names[] = {"pool_size", "pool_mode", "reserve_pool_size", "port", NULL};
	char longest[100];

	ck_assert_str_eq(guess("pool_sise", names), "pool_size");
	ck_assert_str_eq(guess("pool_mdoe", names), "pool_mode");
	ck_assert_str_eq(guess("prot", names), "port");
	ck_assert_str_eq(guess("reserve", names), "reserve_pool_size");
	ck_assert_ptr_null(guess("entirely_else", names));
	ck_assert_ptr_null(guess("", names));
	memset(longest, 'p', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_ptr_null(guess(longest, names));
}
END_TEST

UNIT_MAIN("config_errors", test_config_errors_are_sorted_by_file_line_column,
	test_config_errors_without_a_line_are_the_files,
	test_config_errors_set_forgets_an_older_suggestion,
	test_config_errors_beyond_the_room_are_counted_and_told, test_config_errors_are_printable,
	test_config_errors_guess_is_the_nearest)
