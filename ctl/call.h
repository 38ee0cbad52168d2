/*
 * Talks to the daemon over its control socket.
 */
#ifndef PGR_CTL_CALL_H
#define PGR_CTL_CALL_H

#include <jansson.h>

#include "base/err.h"

/* CLOSED: nothing answers there. FAIL: something is in the way, *err has it. */
PGR_MUST enum pgr_rc pgr_call_open(const char *path, int *ret_fd, struct pgr_err *err);

/*
 * Sends request (stolen) and waits for the answer at most seconds. *ret_answer is the caller's; it
 * may say {"ok": false}. ret_passed: NULL, or gets the descriptor that came along, -1 for none.
 */
PGR_MUST enum pgr_rc pgr_call_ask(int fd, json_t *request, int seconds, json_t **ret_answer,
	int *ret_passed, struct pgr_err *err);

/* {"verb": verb} */
json_t *pgr_call_verb(const char *verb);

#endif
