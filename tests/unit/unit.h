/*
 * What every unit test has around its tests: one suite per program, each test in a process of its
 * own (CK_FORK=no for a debugger), and time enough for a slow machine under sanitizers.
 */
#ifndef PGR_TESTS_UNIT_H
#define PGR_TESTS_UNIT_H

#include <check.h>
#include <stddef.h>

#define UNIT_TIMEOUT 60

static inline int
unit_run(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, UNIT_TIMEOUT);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* UNIT_MAIN("name", test_one, test_two, ...) */
#define UNIT_MAIN(name, ...)                                                             \
	int main(void)                                                                   \
	{                                                                                \
		const TTest *const tests[] = {__VA_ARGS__};                              \
                                                                                         \
		return unit_run(name, tests, sizeof(tests) / sizeof(tests[0]));          \
	}

#endif
