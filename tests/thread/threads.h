/*
 * What the files of this folder share: threads that play processes, what is true besides what the
 * segment says, and how a failure is told.
 */
#ifndef PGR_TESTS_THREADS_H
#define PGR_TESTS_THREADS_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../unit/shm_util.h"

#include "monitor/monitor.h"

#define WORKERS 4
#define POOLS 3
#define MOST 64 /* waiters, leases, dials, pins of one worker in one pool */
#define SLOTS (POOLS * PGR_CHUNK_SLOTS)
#define NOW 1

struct pin {
	pgr_slot_id slot;
	uint64_t generation;
};

/* worker/worker.h's pgr_wpool. */
struct wpool {
	struct pgr_pool_view view;
	uint64_t waiter[MOST]; /* tickets, oldest first */
	uint32_t waiting;
	pgr_slot_id lease[MOST];
	uint32_t leases;
	pgr_slot_id dial[MOST];
	uint32_t dials;
	pgr_slot_id bound[MOST]; /* dialed anew for the client that leased it */
	uint32_t bounds;
	struct pin pin[MOST];
	uint32_t pins;
};

/* worker/worker.h's pgr_home: the TLS of this connection is spoken here. */
struct home {
	uint32_t conn; /* 0: of none */
	uint64_t generation;
	bool passed;
};

/* A process: a thread that can die at a crash point. */
struct actor {
	uint32_t self;
	uint64_t random;
	bool mortal; /* in this round */
	jmp_buf death;
	_Atomic uint32_t asleep;
	int control; /* eventfd: a round begins */
	uint32_t budget;
	uint32_t round;
	struct wpool pool[POOLS]; /* of a worker */
	struct home home[SLOTS];
	uint32_t incarnation; /* pgr_slot_home() */
	struct pgr_monitor *monitor;
};

/* What others may know of a worker's oldest waiter, for the fairness check. */
struct front {
	_Atomic uint64_t ticket; /* + 1; set while exactly this is published; 0: do not judge */
	_Atomic uint64_t moves;  /* rises when a poke or mail is taken and when a waiter leaves the queue */
};

extern const uint32_t pool_size[POOLS];
/* The truth about a connection under TLS. */
struct tls {
	_Atomic uint32_t spoken; /* conn: its home lives and has not said goodbye */
	_Atomic bool late;       /* the monitor has waited for it as long as it does */
	_Atomic bool touched;    /* leased by others since the home's own last lease */
	_Atomic uint64_t to_home; /* what lies in the pair, with conn in the upper half */
	_Atomic uint64_t to_lessee;
};

extern struct pgr_shm shm;
extern struct actor actor[WORKERS + 1];
extern struct front front[WORKERS][POOLS];
extern _Atomic uint32_t holder[SLOTS]; /* process + 1 */
extern _Atomic uint64_t aimed[SLOTS];  /* a cancel is on its way: generation, pinner + 1; 0: none */
extern struct tls tls[SLOTS];
extern _Atomic uint32_t ended[SLOTS];    /* conn: the server has closed it, and it was dialed anew at once */
extern _Atomic uint32_t buried[WORKERS]; /* the latest incarnation that is dead */
extern _Atomic uint32_t round_now;
extern uint64_t seed;
extern __thread struct actor *me;

/* Counted over the whole run; printed, and what must have happened is asserted at the end. */
#define COUNTS(X) X(served) X(waits) X(leased_at_once) X(transfers) X(transfers_refused) X(gifts) \
	X(dials) X(asked) X(closed) X(requeued) X(gave_up) X(pins) X(poisoned) X(worker_deaths) \
	X(monitor_deaths) X(sweeps) X(skipped_matches) X(judged) X(ends_of_idle) X(passed_over) \
	X(lent) X(untouched) X(unread) X(homeless) X(goodbyes) X(asked_to_part) X(late) X(inspected) \
	X(renewed) X(renew_refused) X(old_ends)
struct counts {
#define X(name) _Atomic uint64_t name;
	COUNTS(X)
#undef X
	_Atomic uint64_t overtaken;
};
extern struct counts count;

#define COUNT(name) atomic_fetch_add_explicit(&count.name, 1, memory_order_relaxed)

/* ---- truth.c ---- */

void PGR_PRINTF(1, 2) PGR_NORETURN fail(const char *fmt, ...);
uint32_t draw(uint32_t below);

/* Gives way, or dies. The crash points of the real code are such steps, too. */
void step(const char *name);
void tell_deaths(void);

uint32_t pool_of(pgr_slot_id slot);
pgr_slot_id draw_slot(void);

/* A lease, or a dial, begins. */
void hold(pgr_slot_id slot, bool dial);

/* A lease or dial ends. clean: others may have the connection. */
void let_go(pgr_slot_id slot, bool clean);

void take_out(pgr_slot_id *list, uint32_t *n, uint32_t i);

struct view_of_others {
	uint64_t ticket[WORKERS];
	uint64_t moves[WORKERS];
};

/* The others' oldest waiters that have been given nothing yet, of those that take what they are given. */
void look_at_others(uint32_t p, struct view_of_others *ret);

/* A waiter with this ticket was preferred meanwhile: to whom, that was there before and still is? */
void judge(uint32_t p, const struct view_of_others *before, uint64_t ticket, uint64_t bound);

/* ---- lease.c ---- */

void publish(struct wpool *pool);
uint64_t pop_waiter(struct wpool *pool, uint32_t i);
void match(struct wpool *pool);
void lease_close(struct wpool *pool, pgr_slot_id slot);
void want(struct wpool *pool);
void lease_end(struct wpool *pool, pgr_slot_id slot);
void dialed(struct wpool *pool, pgr_slot_id slot);
void dial_failed(struct wpool *pool, pgr_slot_id slot);
void renew(struct wpool *pool, pgr_slot_id slot);
void renew_ended(struct wpool *pool, pgr_slot_id slot);
void take_mail(struct wpool *pool);
void pin(struct wpool *pool, pgr_slot_id id);
void cancel_end(struct wpool *pool, uint32_t i);

/* ---- home.c ---- */

void dial_begin(pgr_slot_id id);
void home_begin(pgr_slot_id id);
bool home_enter(pgr_slot_id id);
void home_fetch(pgr_slot_id id);
void home_forget(pgr_slot_id id);
void home_run(void);
void home_part(void);
void use_borrowed(pgr_slot_id id);
bool may_renew(pgr_slot_id id);

/* ---- test_pool_threads.c ---- */

void dump(void);

#endif
