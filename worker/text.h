/*
 * What matters in the texts that a client sends, as its server will read them: that hangs on
 * client_encoding and standard_conforming_strings, which may be about to change.
 */
#ifndef PGR_WORKER_TEXT_H
#define PGR_WORKER_TEXT_H

#include "worker/worker.h"

/*
 * May the server read what comes next in another way than the client's settings say? Behind a change
 * that was not yet answered, an end of what was set in a transaction, a failure that has undone it.
 */
bool pgr_text_is_unsure(const struct pgr_client *c);

/* What matters in a text that is about to be sent; a reference, or NULL: nothing. */
struct pgr_reading *pgr_text_read(struct pgr_worker *w, struct pgr_client *c, const char *text, size_t len);

/* The same for that of a statement, kept in st->reading, by the verdicts of now. */
void pgr_text_read_statement(struct pgr_worker *w, struct pgr_client *c, struct pgr_statement *st);

#endif
