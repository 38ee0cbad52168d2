/* monitor/stats_request.h: requests of the control socket, and what is none. */
#include "unit.h"

#include <string.h>

#include "monitor/stats_request.h"

static struct pgr_request
parse(const char *line)
{
	struct pgr_request request;
	struct pgr_err err;

	ck_assert_msg(pgr_stats_request_parse(line, strlen(line), &request, &err) == PGR_OK,
		"%s: %s", line, err.message);
	return request;
}

static void
check_refused(const char *line, const char *sqlstate, const char *says)
{
	struct pgr_request request;
	struct pgr_err err;

	ck_assert_msg(pgr_stats_request_parse(line, strlen(line), &request, &err) == PGR_FAIL, "%s",
		line);
	ck_assert_str_eq(err.sqlstate, sqlstate);
	ck_assert_msg(strstr(err.message, says) != NULL || strstr(err.hint, says) != NULL,
		"%s: %s (%s)", line, err.message, err.hint);
}

START_TEST(test_stats_request_knows_every_verb)
{
	ck_assert_int_eq(parse("{\"verb\":\"status\"}").verb, PGR_REQUEST_STATUS);
	ck_assert_int_eq(parse("{\"verb\": \"reload\"}").verb, PGR_REQUEST_RELOAD);
	ck_assert_int_eq(parse(" {\"verb\":\"stats_fd\"} \r").verb, PGR_REQUEST_STATS_FD);
	ck_assert_int_eq(parse("{\"verb\":\"metrics\"}").verb, PGR_REQUEST_METRICS);
}
END_TEST

START_TEST(test_stats_request_show_tells_what)
{
	struct pgr_request request = parse("{\"what\":\"databases\",\"verb\":\"show\"}");

	ck_assert_int_eq(request.verb, PGR_REQUEST_SHOW);
	ck_assert_int_eq(request.what, PGR_VIEW_DATABASES);
	check_refused("{\"verb\":\"show\",\"what\":\"poools\"}", "22023", "pools");
	check_refused("{\"verb\":\"show\"}", "22023", "missing");
	check_refused("{\"verb\":\"status\",\"what\":\"pools\"}", "22023", "show");
}
END_TEST

START_TEST(test_stats_request_stop_is_graceful_unless_it_says_fast)
{
	ck_assert(!parse("{\"verb\":\"stop\"}").fast);
	ck_assert(!parse("{\"verb\":\"stop\",\"mode\":\"graceful\"}").fast);
	ck_assert(parse("{\"verb\":\"stop\",\"mode\":\"fast\"}").fast);
	check_refused("{\"verb\":\"stop\",\"mode\":\"now\"}", "22023", "fast");
	check_refused("{\"verb\":\"reload\",\"mode\":\"fast\"}", "22023", "stop");
}
END_TEST

START_TEST(test_stats_request_refuses_what_is_no_object)
{
	static const char *const lines[] = {"", "show pools", "[]", "17", "\"status\"",
		"{\"verb\":", "{} {}", "{\"verb\":\"status\",\"verb\":\"stop\"}",
		"{\"verb\":\"\xff\"}"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_refused(lines[i], "08P01", "JSON");
}
END_TEST

START_TEST(test_stats_request_refuses_unknown_keys_and_types)
{
	check_refused("{\"verb\":\"status\",\"force\":\"yes\"}", "22023", "force");
	check_refused("{\"verb\":17}", "22023", "string");
	check_refused("{\"verb\":\"stop\",\"mode\":true}", "22023", "string");
	check_refused("{}", "22023", "missing");
}
END_TEST

START_TEST(test_stats_request_fails_without_touching_the_result)
{
	struct pgr_request request = {.verb = PGR_REQUEST_RELOAD, .fast = true};
	struct pgr_err err;

	ck_assert_int_eq(pgr_stats_request_parse("{\"verb\":\"x\"}", 12, &request, &err), PGR_FAIL);
	ck_assert_int_eq(request.verb, PGR_REQUEST_RELOAD);
	ck_assert(request.fast);
}
END_TEST

UNIT_MAIN("stats_request", test_stats_request_knows_every_verb, test_stats_request_show_tells_what,
	test_stats_request_stop_is_graceful_unless_it_says_fast,
	test_stats_request_refuses_what_is_no_object,
	test_stats_request_refuses_unknown_keys_and_types,
	test_stats_request_fails_without_touching_the_result)
