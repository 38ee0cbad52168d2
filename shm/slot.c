/*
 * The set of prepared statements of one server connection: open addressing over 128-bit hashes that
 * are keyed, so their low bits are as good as random. At most PGR_STATEMENTS_MAX of
 * PGR_STATEMENT_CELLS cells are used, so probes stay short. Called by the worker that leases the
 * slot, and by nobody else at that time but pgr_slot_statement_seen().
 */
#include "shm/slot.h"

#include <string.h>

#define CELL_MASK (PGR_STATEMENT_CELLS - 1)

static inline bool
cell_empty(const struct pgr_slot_cold *cold, uint32_t i)
{
	return cold->statement[i].lo == 0 && cold->statement[i].hi == 0;
}

/* The cell of hash, or the empty one where it would go. Bounded: the table came from memory that
 * another process wrote. */
static uint32_t
cell_find(const struct pgr_slot_cold *cold, struct pgr_hash128 hash)
{
	uint32_t i = (uint32_t)hash.lo & CELL_MASK;

	for (uint32_t n = 0; n < PGR_STATEMENT_CELLS; n++, i = (i + 1) & CELL_MASK)
		if (cell_empty(cold, i) || pgr_hash128_eq(cold->statement[i], hash))
			break;
	return i;
}

struct pgr_description *
pgr_slot_statement_find(struct pgr_slot_cold *cold, struct pgr_hash128 hash)
{
	uint32_t i = cell_find(cold, hash);

	if (!pgr_hash128_eq(cold->statement[i], hash))
		return NULL;
	cold->statement_used[i] = ++cold->statement_tick;
	return &cold->statement_said[i];
}

/* Halves of two hashes never make a third one that somebody asks for. Pairs with the owner's stores. */
bool
pgr_slot_statement_seen(const struct pgr_slot_cold *cold, struct pgr_hash128 hash)
{
	for (uint32_t i = (uint32_t)hash.lo & CELL_MASK, n = 0; n < PGR_STATEMENT_CELLS; n++) {
		struct pgr_hash128 at = {__atomic_load_n(&cold->statement[i].lo, __ATOMIC_RELAXED),
			__atomic_load_n(&cold->statement[i].hi, __ATOMIC_RELAXED)};

		if (pgr_hash128_eq(at, hash))
			return __atomic_load_n(&cold->statement_said[i].rows, __ATOMIC_RELAXED) != PGR_ROWS_STALE;
		if ((at.lo | at.hi) == 0)
			return false;
		i = (i + 1) & CELL_MASK;
	}
	return false;
}

void
pgr_slot_statement_add(struct pgr_slot_cold *cold, struct pgr_hash128 hash)
{
	uint32_t i = cell_find(cold, hash);

	if (cell_empty(cold, i) && cold->statement_count < PGR_STATEMENT_CELLS - 1) {
		cold->statement[i] = hash;
		cold->statement_said[i] = (struct pgr_description){0, 0};
		cold->statement_count++;
	}
	cold->statement_used[i] = ++cold->statement_tick;
}

/* Deletion without tombstones: what probed past the hole moves back into it. */
void
pgr_slot_statement_remove(struct pgr_slot_cold *cold, struct pgr_hash128 hash)
{
	uint32_t hole = cell_find(cold, hash);
	uint32_t i = hole;

	if (!pgr_hash128_eq(cold->statement[hole], hash))
		return;
	cold->statement_count--;
	for (;;) {
		uint32_t home;

		i = (i + 1) & CELL_MASK;
		if (cell_empty(cold, i))
			break;
		home = (uint32_t)cold->statement[i].lo & CELL_MASK;
		if (((i - home) & CELL_MASK) < ((i - hole) & CELL_MASK))
			continue;
		cold->statement[hole] = cold->statement[i];
		cold->statement_used[hole] = cold->statement_used[i];
		cold->statement_said[hole] = cold->statement_said[i];
		hole = i;
	}
	cold->statement[hole] = (struct pgr_hash128){0, 0};
}

void
pgr_slot_statement_clear(struct pgr_slot_cold *cold)
{
	if (cold->statement_count == 0)
		return;
	memset(cold->statement, 0, sizeof(cold->statement));
	cold->statement_count = 0;
	cold->statement_tick = 0;
}

bool
pgr_slot_statement_oldest(const struct pgr_slot_cold *cold, struct pgr_hash128 *ret_hash)
{
	uint32_t best = PGR_STATEMENT_CELLS;
	uint32_t age = 0;

	for (uint32_t i = 0; i < PGR_STATEMENT_CELLS; i++) {
		uint32_t a = cold->statement_tick - cold->statement_used[i];

		if (!cell_empty(cold, i) && (best == PGR_STATEMENT_CELLS || a > age)) {
			best = i;
			age = a;
		}
	}
	if (best == PGR_STATEMENT_CELLS)
		return false;
	*ret_hash = cold->statement[best];
	return true;
}
