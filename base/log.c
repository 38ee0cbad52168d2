/*
 * The log: lines to stderr (or what the master has put there: master/logfile.c) in one write(2) each,
 * so that processes do not mix theirs. Rates are
 * bounded per event name: a flood of equal events costs a counter, not a disk.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_EVENTS 64
#define LOG_PER_SECOND 20

static struct {
	char role[24];
	enum pgr_log_level least;
	bool json;
	struct {
		const char *event;
		pgr_usec second;
		unsigned seen;
	} rate[LOG_EVENTS];
} log_state = {.role = "pgroute", .least = PGR_LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void
pgr_log_init(const char *role, enum pgr_log_level least, bool json)
{
	snprintf(log_state.role, sizeof(log_state.role), "%s", role);
	pgr_log_set(least, json);
}

void
pgr_log_set(enum pgr_log_level least, bool json)
{
	log_state.least = least;
	log_state.json = json;
}

void
pgr_log_take(int fd)
{
	if (fd < 0)
		return;
	(void)dup3(fd, STDERR_FILENO, 0);
	close(fd);
}

static size_t
log_escape(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 8 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f || (log_state.json && (c == '"' || c == '\\')))
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

static void
log_write(enum pgr_log_level level, const char *event, const char *text)
{
	char safe[1200];
	char line[1500];
	char when[40];
	struct tm tm;
	pgr_usec now = pgr_clock_wall();
	time_t sec = (time_t)(now / PGR_USEC_PER_SEC);
	const char *fmt = log_state.json
		? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"process\":\"%s\",\"event\":\"%s\",\"message\":\"%s\"}\n"
		: "%s.%03u UTC %s [%s] %s: %s\n";
	int n;

	gmtime_r(&sec, &tm);
	strftime(when, sizeof(when), log_state.json ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	log_escape(safe, sizeof(safe), text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = snprintf(line, sizeof(line), fmt, when, (unsigned)(now % PGR_USEC_PER_SEC / 1000),
		level_names[level], log_state.role, event, safe);
#pragma GCC diagnostic pop
	if (n > 0 && write(STDERR_FILENO, line, PGR_MIN((size_t)n, sizeof(line) - 1)) < 0)
		return; /* nobody listens: nothing that a logger could do about it */
}

static void
log_tell_held_back(size_t i)
{
	char text[80];

	if (log_state.rate[i].seen > LOG_PER_SECOND) {
		snprintf(text, sizeof(text), "%u more in that second were held back",
			log_state.rate[i].seen - LOG_PER_SECOND);
		log_write(PGR_LOG_INFO, log_state.rate[i].event, text);
	}
	log_state.rate[i].seen = 0;
}

/* Event names are literals, so their addresses tell them apart; a full table limits nothing. */
static bool
log_within_rate(const char *event)
{
	pgr_usec second = pgr_clock_now() / PGR_USEC_PER_SEC;
	size_t i;

	for (i = 0; i < LOG_EVENTS && log_state.rate[i].event != NULL; i++)
		if (log_state.rate[i].event == event)
			break;
	if (i == LOG_EVENTS)
		return true;
	if (log_state.rate[i].event == event && log_state.rate[i].second != second)
		log_tell_held_back(i);
	log_state.rate[i].event = event;
	log_state.rate[i].second = second;
	return ++log_state.rate[i].seen <= LOG_PER_SECOND;
}

void
pgr_log_flush(void)
{
	pgr_usec second = pgr_clock_now() / PGR_USEC_PER_SEC;

	for (size_t i = 0; i < LOG_EVENTS && log_state.rate[i].event != NULL; i++)
		if (log_state.rate[i].second != second)
			log_tell_held_back(i);
}

void
pgr_log(enum pgr_log_level level, const char *event, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	if (level < log_state.least || !log_within_rate(event))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_write(level, event, text);
}
