/*
 * The four results of pgroute's functions, and the attributes that go with them.
 * AGAIN (would block, try when told) and CLOSED (the peer is gone) are flow control, not errors;
 * only FAIL fills a struct pgr_err.
 */
#ifndef PGR_BASE_RC_H
#define PGR_BASE_RC_H

enum pgr_rc {
	PGR_OK = 0,
	PGR_AGAIN,
	PGR_CLOSED,
	PGR_FAIL,
};

#define PGR_MUST __attribute__((warn_unused_result))
#define PGR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PGR_NORETURN __attribute__((noreturn))
#define PGR_LIKELY(x) __builtin_expect(!!(x), 1)
#define PGR_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PGR_COLD __attribute__((cold, noinline)) /* not in the way of what is run each time */
#define PGR_ALIGNED(n) __attribute__((aligned(n)))
#define PGR_COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define PGR_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define PGR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PGR_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
