/*
 * Text that grows, up to a bound: what the stats process answers with.
 */
#ifndef PGR_MONITOR_STATS_TEXT_H
#define PGR_MONITOR_STATS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

#define PGR_STATS_TEXT_MAX (64u << 20) /* bytes of one answer */

struct pgr_stats_text {
	char *bytes; /* from malloc; not NUL-terminated */
	size_t len;
	size_t cap;
	bool full; /* something did not fit: what is there is of no use */
};

void pgr_stats_text_fini(struct pgr_stats_text *text);

/* Both do nothing once the text is full. */
void pgr_stats_text_add(struct pgr_stats_text *text, const char *bytes, size_t len);
void pgr_stats_text_printf(struct pgr_stats_text *text, const char *fmt, ...) PGR_PRINTF(2, 3);

#endif
