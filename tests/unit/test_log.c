/* base/log.h: one line per event, nothing of the text breaks out of it, floods are held back. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static FILE *kept;

/* From here on stderr is a file. */
static void
keep_stderr(void)
{
	kept = tmpfile();
	ck_assert_ptr_nonnull(kept);
	ck_assert_int_ge(dup2(fileno(kept), STDERR_FILENO), 0);
}

/* What was written since; the next call gives what comes after it. */
static const char *
written(void)
{
	static char text[65536];
	size_t n;

	rewind(kept);
	n = fread(text, 1, sizeof(text) - 1, kept);
	text[n] = '\0';
	ck_assert_int_eq(ftruncate(fileno(kept), 0), 0);
	rewind(kept);
	return text;
}

static unsigned
lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

START_TEST(test_log_line_carries_level_role_event_and_text)
{
	keep_stderr();
	pgr_log_init("worker 3", PGR_LOG_INFO, false);
	pgr_log(PGR_LOG_WARN, "client.refused", "limit %d", 5);
	ck_assert_ptr_nonnull(strstr(written(), " UTC warning [worker 3] client.refused: limit 5\n"));
}
END_TEST

START_TEST(test_log_below_the_level_is_silent)
{
	keep_stderr();
	pgr_log_init("w", PGR_LOG_WARN, false);
	pgr_log(PGR_LOG_INFO, "a.b", "no");
	ck_assert_str_eq(written(), "");
	pgr_log(PGR_LOG_ERROR, "a.b", "yes");
	ck_assert_uint_eq(lines(written()), 1);
}
END_TEST

START_TEST(test_log_control_characters_cannot_make_a_line)
{
	const char *text;

	keep_stderr();
	pgr_log_init("w", PGR_LOG_INFO, false);
	pgr_log(PGR_LOG_INFO, "a.b", "%s", "x\ny\r\x1b[31m");
	text = written();
	ck_assert_uint_eq(lines(text), 1);
	ck_assert_ptr_nonnull(strstr(text, "x\\u000ay\\u000d\\u001b[31m\n"));
}
END_TEST

START_TEST(test_log_json_escapes_quotes)
{
	const char *text;

	keep_stderr();
	pgr_log_init("w", PGR_LOG_INFO, true);
	pgr_log(PGR_LOG_INFO, "a.b", "say \"\\\"");
	text = written();
	ck_assert_int_eq(text[0], '{');
	ck_assert_ptr_nonnull(strstr(text, "\"message\":\"say \\u0022\\u005c\\u0022\"}\n"));
}
END_TEST

START_TEST(test_log_long_text_stays_one_line)
{
	char longer[5000];
	const char *text;

	keep_stderr();
	memset(longer, '\n', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	pgr_log_init("w", PGR_LOG_INFO, false);
	pgr_log(PGR_LOG_INFO, "a.b", "%s", longer);
	text = written();
	ck_assert_uint_eq(lines(text), 1);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(test_log_flood_is_held_back_and_counted)
{
	static const char event[] = "flood";
	unsigned shown, held = 0, calls = 0;
	const char *text, *at;

	keep_stderr();
	pgr_log_init("w", PGR_LOG_INFO, false);
	/* whichever seconds this takes: what is not shown must be told */
	for (; calls < 2000; calls++)
		pgr_log(PGR_LOG_INFO, event, "one");
	do {
		usleep(1000);
		pgr_log_flush();
		text = written();
		for (at = text, shown = 0; (at = strstr(at, "flood: one\n")) != NULL; at++)
			shown++;
		calls -= shown;
		for (at = text; (at = strstr(at, "flood: ")) != NULL; at += 7)
			if (sscanf(at, "flood: %u more in that second", &held) == 1)
				calls -= held;
	} while (calls != 0);
	ck_assert_uint_gt(held, 0);
}
END_TEST

START_TEST(test_log_other_events_pass_a_flood)
{
	keep_stderr();
	pgr_log_init("w", PGR_LOG_INFO, false);
	for (int i = 0; i < 200; i++)
		pgr_log(PGR_LOG_INFO, "flood", "one");
	pgr_log(PGR_LOG_INFO, "other", "seen");
	ck_assert_ptr_nonnull(strstr(written(), "other: seen\n"));
}
END_TEST

START_TEST(test_log_goes_where_it_is_told_with_the_level_it_is_told)
{
	FILE *other = tmpfile();

	keep_stderr();
	pgr_log_init("w", PGR_LOG_WARN, false);
	pgr_log_set(PGR_LOG_DEBUG, true);
	pgr_log_take(-1);
	pgr_log(PGR_LOG_DEBUG, "a.b", "here");
	ck_assert_ptr_nonnull(strstr(written(), "\"process\":\"w\",\"event\":\"a.b\",\"message\":\"here\"}\n"));
	pgr_log_take(dup(fileno(other)));
	pgr_log(PGR_LOG_DEBUG, "a.b", "there");
	ck_assert_str_eq(written(), "");
	kept = other;
	ck_assert_ptr_nonnull(strstr(written(), "there"));
}
END_TEST

UNIT_MAIN("log", test_log_line_carries_level_role_event_and_text, test_log_below_the_level_is_silent,
	test_log_control_characters_cannot_make_a_line, test_log_json_escapes_quotes,
	test_log_long_text_stays_one_line, test_log_flood_is_held_back_and_counted,
	test_log_other_events_pass_a_flood, test_log_goes_where_it_is_told_with_the_level_it_is_told)
