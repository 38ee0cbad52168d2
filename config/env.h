/*
 * `${NAME}` and `${NAME:-default}` in scalars.
 */
#ifndef PGR_CONFIG_ENV_H
#define PGR_CONFIG_ENV_H

#include "base/arena.h"
#include "config/complain.h"

#define PGR_ENV_EXPANDED_MAX (64u << 10)

/*
 * Copies text with its variables replaced by what the environment says: `${NAME:-default}` gives
 * the default when NAME is unset or empty, `$${` gives `${`, any other `$` stands for itself. What
 * was put in is not looked at again. False: *complaint; it names variables, never what is in them.
 */
PGR_MUST bool pgr_env_expand(struct pgr_arena *arena, const char *text, size_t len, char **ret_text,
	size_t *ret_len, bool *ret_changed, struct pgr_complaint *complaint);

#endif
