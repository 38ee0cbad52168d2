/*
 * Settings as SQL: one text that makes a server connection's settings those of a session.
 *
 * Settings are applied by pg_catalog.set_config(name, value, false). Values come from startup
 * packets and ParameterStatus, where a list such as search_path is one string ("a, b");
 * set_config() takes it as that, while SET name = 'a, b' would make it a list of one name. Which
 * settings are lists differs between versions. So SET, which costs a server a third less, is only
 * for the few that are set often and are known to be no such list; a name missing there costs
 * microseconds, not the value.
 *
 * Quoting does not depend on standard_conforming_strings nor on client_encoding: a value with bytes
 * other than printable ASCII, or with a backslash, goes as hexadecimal digits that the server turns
 * into text, in the client_encoding that is in force then; so client_encoding is applied first.
 */
#ifndef PGR_PROTO_PARAMS_H
#define PGR_PROTO_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/rc.h"
#include "proto/out.h"

struct pgr_param {
	const char *name;
	const char *value;
};

/*
 * May this be a setting's name? Identifiers of ASCII letters, digits, _ and $, joined by dots, at
 * most 63 characters each. FAIL: PostgreSQL's own words (42704, or 42602 for a name with a dot).
 */
PGR_MUST enum pgr_rc pgr_params_check_name(const char *name, struct pgr_err *err);

/* Appends an expression that is this value, of type text or unknown; see above. */
void pgr_params_quote(struct pgr_out *out, const char *value);

/* Appends a name that pgr_params_check_name() accepts, quoted as identifiers. */
void pgr_params_quote_name(struct pgr_out *out, const char *name);

/*
 * Appends a text (no NUL) for one simple Query: SET or SELECT set_config() for all of sets, then
 * RESET of each name in resets; nothing when there are none. All of it happens or none, in the
 * implicit transaction of a simple query. Names must have been checked. Answered by any number of
 * RowDescription, DataRow, CommandComplete and ParameterStatus, or an error, then ReadyForQuery.
 */
void pgr_params_apply(struct pgr_out *out, const struct pgr_param *sets, size_t n_sets,
	const char *const *resets, size_t n_resets);

/*
 * Appends a text as above that sets those of params that are at the server's default, so that a RESET
 * seems to have gone to these values; nothing when n is 0. What the session has set itself stays. Where the
 * server does not show the source of a value (role, custom parameters that no extension defines) an
 * empty one, or "none", counts as the default. Names must be in lower case.
 */
void pgr_params_restore(struct pgr_out *out, const struct pgr_param *params, size_t n);

#endif
