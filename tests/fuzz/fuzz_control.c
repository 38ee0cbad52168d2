/*
 * A line of the control socket: monitor/stats_request.h. Input: the line without its newline.
 */
#include "fuzz.h"

#include "monitor/stats_request.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = fuzz_copy(data, size);
	struct pgr_request request = {.verb = (enum pgr_request_verb)99};
	struct pgr_err err;

	if (size > PGR_REQUEST_MAX) {
		free(line);
		return 0;
	}
	if (pgr_stats_request_parse(line, size, &request, &err) != PGR_OK) {
		FUZZ_CHECK(strlen(err.sqlstate) == 5 && err.message[0] != '\0');
		FUZZ_CHECK(request.verb == (enum pgr_request_verb)99);
	} else {
		FUZZ_CHECK(
			request.verb <= PGR_REQUEST_METRICS && request.what < PGR_VIEW_COUNT);
		FUZZ_CHECK(!request.fast || request.verb == PGR_REQUEST_STOP);
	}
	free(line);
	return 0;
}
