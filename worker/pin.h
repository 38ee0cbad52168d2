/*
 * Why a client keeps its server connection between transactions: a row of parser/features.def, or
 * one of the few reasons that are not in the text.
 */
#ifndef PGR_WORKER_PIN_H
#define PGR_WORKER_PIN_H

#include <stdbool.h>

#include "parser/session.h"

#define PGR_PINS(X)                                                                                \
	X(NONE, "")                                                                                \
	X(SESSION, "session mode")                                                                 \
	X(UNTRACKED, "prepares statements while prepared_statements is 0")                         \
	X(UNREAD, "sends a text that is too long to be read")                                      \
	X(ENCODING, "uses a client_encoding in which texts are not read")                          \
	X(SETTINGS, "makes settings that pgroute cannot follow")                                   \
	X(FUNCTION, "calls a function that pgroute does not know by a FunctionCall message")       \
	X(PORTAL, "executes a portal after a Bind has failed")                                     \
	X(CALL, "calls a procedure, which may do anything")                                        \
	X(PREPARE, "prepares a statement in SQL")

enum pgr_pin {
#define X(name, text) PGR_PIN_##name##_REASON,
	PGR_PINS(X)
#undef X
	PGR_PIN_FEATURES, /* + enum pgr_feature */
};

_Static_assert(PGR_PIN_FEATURES + PGR_FEATURE_COUNT <= 256, "client records keep it in a byte");

/* For users; an empty text for a number that is none. */
const char *pgr_pin_text(unsigned pin);

/* What a text does to its session decides whether its client must keep the server connection. */
/* called: the row that a catalog found for its names; judged: there was one. */
enum pgr_pin pgr_pin_of(const struct pgr_facts *facts, enum pgr_feature called, bool judged);

/* Can the probe see all of what pins in a text? Then it can tell when that has gone. */
bool pgr_pin_shows(const struct pgr_facts *facts, enum pgr_feature called, bool judged);

/* Answered by a row when the session holds what pins and can be seen. */
extern const char pgr_pin_probe[];

#endif
