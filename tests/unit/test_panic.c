/* base/panic.h: assertions end the process and leave a word; suspicion only counts. */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/panic.h"

/* Runs what() in a child; returns its wait status. */
static int
in_child(void (*what)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
		what();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int zero;

static void
assert_false(void)
{
	PGR_ASSERT(zero == 1);
}

static void
assert_true(void)
{
	PGR_ASSERT(zero == 0);
}

START_TEST(test_panic_assertion_aborts_and_fills_the_page)
{
	struct pgr_panic_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	ck_assert_ptr_ne(page, MAP_FAILED);
	pgr_panic_init(page);
	status = in_child(assert_false);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(page->text, "test_panic.c"));
	ck_assert_ptr_nonnull(strstr(page->text, "zero == 1"));
	munmap(page, sizeof(*page));
}
END_TEST

START_TEST(test_panic_true_assertion_goes_on)
{
	ck_assert_int_eq(in_child(assert_true), 0);
}
END_TEST

START_TEST(test_panic_suspect_counts_and_tells)
{
	uint64_t before = pgr_panic_suspects();

	ck_assert(!PGR_SUSPECT(zero == 1));
	ck_assert_uint_eq(pgr_panic_suspects(), before);
	ck_assert(PGR_SUSPECT(zero == 0));
	ck_assert_uint_eq(pgr_panic_suspects(), before + 1);
}
END_TEST

#ifdef PGR_CRASHPOINTS
static void
crash_point(void)
{
	PGR_CRASHPOINT("unit.point");
}

START_TEST(test_panic_crashpoint_fires_only_when_armed)
{
	int status;

	unsetenv("PGROUTE_CRASH");
	ck_assert_int_eq(in_child(crash_point), 0);
	setenv("PGROUTE_CRASH", "unit.points", 1);
	ck_assert_int_eq(in_child(crash_point), 0);
	setenv("PGROUTE_CRASH", "unit.point", 1);
	status = in_child(crash_point);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(test_panic_crashpoint_with_a_file_fires_once)
{
	char file[] = "/tmp/pgr_unit_XXXXXX", armed[64];
	int fd = mkstemp(file), status;

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_gt(snprintf(armed, sizeof(armed), "unit.point@%s", file), 0);
	setenv("PGROUTE_CRASH", armed, 1);
	status = in_child(crash_point);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(in_child(crash_point), 0);
}
END_TEST
#define CRASH_TESTS \
	, test_panic_crashpoint_fires_only_when_armed, test_panic_crashpoint_with_a_file_fires_once
#else
#define CRASH_TESTS
#endif

UNIT_MAIN("panic", test_panic_assertion_aborts_and_fills_the_page, test_panic_true_assertion_goes_on,
	test_panic_suspect_counts_and_tells CRASH_TESTS)
