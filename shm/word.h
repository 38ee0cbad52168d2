/*
 * The truth about one server connection in 64 bits:
 *
 *   63            20 19    12 11     4 3     3 2     0
 *   | generation 44 | pin  8 | owner 8 | dirty | state |
 *
 * Every change is one compare-and-swap of the whole word; docs/SHM.md has the table of who may make
 * which move. pin: 0 none, k + 1 the process that is delivering a cancel, 255 poison: close on
 * return. The generation rises with every lease, gift and dial.
 */
#ifndef PGR_SHM_WORD_H
#define PGR_SHM_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum pgr_slot_state {
	PGR_SLOT_FREE = 0,    /* no connection; may be dialed */
	PGR_SLOT_DIALING = 1, /* the owner connects and logs in */
	PGR_SLOT_IDLE = 2,    /* leasable while pin is 0 */
	PGR_SLOT_GIVEN = 3,   /* handed to owner, not yet accepted */
	PGR_SLOT_LEASED = 4,  /* owner's client uses it */
	PGR_SLOT_CLOSING = 5, /* the monitor brings it to its true end */
	PGR_SLOT_ASKED = 6,   /* owner is asked to dial, has not yet accepted */
	PGR_SLOT_BARRED = 7,  /* no connection and none allowed; only the monitor lifts it */
};

#define PGR_PIN_NONE 0u
#define PGR_PIN_POISON 255u
#define PGR_OWNER_NONE 255u
#define PGR_WORD_DIRTY UINT64_C(8) /* bytes came that nobody has read: read before sending */

typedef uint64_t pgr_word;

static inline enum pgr_slot_state
pgr_word_state(pgr_word w)
{
	return (enum pgr_slot_state)(w & 7);
}

static inline bool
pgr_word_dirty(pgr_word w)
{
	return (w >> 3 & 1) != 0;
}

static inline unsigned
pgr_word_owner(pgr_word w)
{
	return (unsigned)(w >> 4 & 255);
}

static inline unsigned
pgr_word_pin(pgr_word w)
{
	return (unsigned)(w >> 12 & 255);
}

static inline uint64_t
pgr_word_generation(pgr_word w)
{
	return w >> 20;
}

static inline pgr_word
pgr_word_make(enum pgr_slot_state state, unsigned owner, unsigned pin, uint64_t generation)
{
	return (pgr_word)state | (pgr_word)owner << 4 | (pgr_word)pin << 12 | generation << 20;
}

/* The same connection in another state: owner and pin given, dirty cleared, generation kept. */
static inline pgr_word
pgr_word_move(pgr_word w, enum pgr_slot_state state, unsigned owner, unsigned pin)
{
	return pgr_word_make(state, owner, pin, pgr_word_generation(w));
}

/* The same with the next generation: leases, gifts, dials. */
static inline pgr_word
pgr_word_next(pgr_word w, enum pgr_slot_state state, unsigned owner, unsigned pin)
{
	return pgr_word_make(state, owner, pin, pgr_word_generation(w) + 1);
}

static inline bool
pgr_word_leasable(pgr_word w)
{
	return (w & (7 | (pgr_word)255 << 12)) == PGR_SLOT_IDLE;
}

static inline bool
pgr_word_held_by(pgr_word w, enum pgr_slot_state state, unsigned owner)
{
	return pgr_word_state(w) == state && pgr_word_owner(w) == owner;
}

#endif
