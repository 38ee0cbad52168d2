/* config/env.h: what `${NAME}` becomes, what stays as it is, what is refused, and in which words. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "config/env.h"

static struct pgr_arena arena;
static struct pgr_complaint complaint;
static bool changed;

static void
setup(void)
{
	pgr_arena_init(&arena, 1 << 20);
	setenv("T_WORD", "word", 1);
	setenv("T_EMPTY", "", 1);
	setenv("T_TRICK", "${T_WORD} $${", 1);
	unsetenv("T_UNSET");
}

static const char *
expand(const char *text)
{
	char *ret = NULL;
	size_t len = 0;

	if (!pgr_env_expand(&arena, text, strlen(text), &ret, &len, &changed, &complaint))
		ck_abort_msg("%s: %s", text, complaint.message);
	ck_assert_uint_eq(strlen(ret), len);
	return ret;
}

static void
assert_refused(const char *text, const char *message)
{
	char *ret;
	size_t len;

	ck_assert(!pgr_env_expand(&arena, text, strlen(text), &ret, &len, &changed, &complaint));
	ck_assert_str_eq(complaint.message, message);
}

START_TEST(test_config_env_variables_are_replaced)
{
	setup();
	ck_assert_str_eq(expand("${T_WORD}"), "word");
	ck_assert(changed);
	ck_assert_str_eq(expand("<${T_WORD}${T_WORD}>"), "<wordword>");
	ck_assert_str_eq(expand("${T_EMPTY}"), "");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_default_stands_for_unset_and_empty)
{
	setup();
	ck_assert_str_eq(expand("${T_UNSET:-else}"), "else");
	ck_assert_str_eq(expand("${T_EMPTY:-else}"), "else");
	ck_assert_str_eq(expand("${T_WORD:-else}"), "word");
	ck_assert_str_eq(expand("${T_UNSET:-}"), "");
	ck_assert_str_eq(expand("${T_UNSET:-$x:-y}"), "$x:-y");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_other_dollars_stand_for_themselves)
{
	setup();
	ck_assert_str_eq(expand("a$b$$c$"), "a$b$$c$");
	ck_assert(!changed);
	ck_assert_str_eq(expand("$${T_WORD}"), "${T_WORD}");
	ck_assert(!changed);
	ck_assert_str_eq(expand("SCRAM-SHA-256$4096:salt$stored:key"), "SCRAM-SHA-256$4096:salt$stored:key");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_what_was_put_in_is_not_looked_at_again)
{
	setup();
	ck_assert_str_eq(expand("${T_TRICK}"), "${T_WORD} $${");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_what_is_no_variable_is_refused)
{
	static const char no_name[] = "\"${\" is not followed by the name of a variable and \"}\"";

	setup();
	assert_refused("${", no_name);
	assert_refused("${}", no_name);
	assert_refused("${9}", no_name);
	assert_refused("${ T_WORD}", no_name);
	assert_refused("${T_WORD", no_name);
	assert_refused("${T_WORD-x}", "a variable is written ${NAME} or ${NAME:-default}");
	assert_refused("${T_WORD:x}", "a variable is written ${NAME} or ${NAME:-default}");
	assert_refused("${T_UNSET}", "the environment variable T_UNSET is not set");
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_a_complaint_names_no_contents)
{
	setup();
	setenv("T_SECRET", "hunter2", 1);
	assert_refused("${T_SECRET}${T_UNSET}", "the environment variable T_UNSET is not set");
	ck_assert_ptr_null(strstr(complaint.suggestion, "hunter2"));
	pgr_arena_fini(&arena);
}
END_TEST

START_TEST(test_config_env_result_is_bounded)
{
	char *big = malloc(PGR_ENV_EXPANDED_MAX);

	setup();
	memset(big, 'x', PGR_ENV_EXPANDED_MAX - 1);
	big[PGR_ENV_EXPANDED_MAX - 1] = '\0';
	setenv("T_BIG", big, 1);
	ck_assert_uint_eq(strlen(expand("${T_BIG}y")), PGR_ENV_EXPANDED_MAX);
	assert_refused("${T_BIG}yz", "the text is too long once variables are replaced");
	pgr_arena_fini(&arena);
	free(big);
}
END_TEST

UNIT_MAIN("config_env", test_config_env_variables_are_replaced,
	test_config_env_default_stands_for_unset_and_empty,
	test_config_env_other_dollars_stand_for_themselves,
	test_config_env_what_was_put_in_is_not_looked_at_again,
	test_config_env_what_is_no_variable_is_refused,
	test_config_env_a_complaint_names_no_contents, test_config_env_result_is_bounded)
