/*
 * Which statements leave something behind in their session. Until SQL is read, the server's command
 * tag decides (and a probe, where the tag alone cannot tell).
 */
#ifndef PGR_WORKER_PIN_H
#define PGR_WORKER_PIN_H

#include "worker/worker.h"

/* Notes one CommandComplete tag. */
void pgr_pin_on_tag(struct pgr_server *s, const char *tag);

/* At ReadyForQuery: the reason to keep this client on its server from now on, or NONE. */
enum pgr_pin pgr_pin_decide(const struct pgr_server *s);

/* Answered by a row when the session holds temporary objects or cursors WITH HOLD. */
extern const char pgr_pin_probe[];

#endif
