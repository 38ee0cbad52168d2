/*
 * What is true, whatever the segment says: who holds which connection, whose cancel is under way, who was
 * there first; and where threads give way to each other and die.
 */
#include "threads.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const uint32_t pool_size[POOLS] = {1, 2, 5};
struct pgr_shm shm;
struct actor actor[WORKERS + 1];
struct front front[WORKERS][POOLS];
_Atomic uint32_t holder[SLOTS];
_Atomic uint64_t aimed[SLOTS];
struct tls tls[SLOTS];
_Atomic uint32_t ended[SLOTS];
_Atomic uint32_t buried[WORKERS];
_Atomic uint32_t round_now;
uint64_t seed;
__thread struct actor *me;
struct counts count;

static _Atomic uint32_t holders[POOLS];
static _Atomic bool unclean[SLOTS]; /* of the connection: nobody may lease it any more */

void
fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "FAILED (seed %llu, round %u, %s %u): ", (unsigned long long)seed,
		atomic_load(&round_now), me == NULL ? "judge" : me->monitor != NULL ? "monitor" : "worker",
		me == NULL ? 0 : me->self);
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	dump();
	_exit(1);
}

uint32_t
draw(uint32_t below)
{
	me->random = me->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(me->random >> 33) % below;
}

/* ---- crash points: where threads give way, and die ---- */

void __wrap_pgr_panic_crashpoint(const char *name);

#define POINTS 64
static struct {
	const char *_Atomic name;
	_Atomic uint64_t deaths;
} point[POINTS];

static void
note_death(const char *name)
{
	for (int i = 0; i < POINTS; i++) {
		const char *have = NULL;

		if (atomic_compare_exchange_strong(&point[i].name, &have, name) || strcmp(have, name) == 0) {
			atomic_fetch_add(&point[i].deaths, 1);
			return;
		}
	}
}

void
step(const char *name)
{
	if (me == NULL)
		return;
	if (draw(6) == 0)
		sched_yield();
	if (me->mortal && draw(me->monitor != NULL ? 60 : 150) == 0) {
		note_death(name);
		longjmp(me->death, 1);
	}
}

void
__wrap_pgr_panic_crashpoint(const char *name)
{
	step(name);
}

void
tell_deaths(void)
{
	printf("deaths at:");
	for (int i = 0; i < POINTS && atomic_load(&point[i].name) != NULL; i++)
		printf(" %s %llu", atomic_load(&point[i].name),
			(unsigned long long)atomic_load(&point[i].deaths));
	printf("\n");
}

/* ---- who holds what ---- */

uint32_t
pool_of(pgr_slot_id slot)
{
	return slot.n / PGR_CHUNK_SLOTS;
}

pgr_slot_id
draw_slot(void)
{
	uint32_t p = draw(POOLS);

	return (pgr_slot_id){p * PGR_CHUNK_SLOTS + draw(pool_size[p])};
}

void
hold(pgr_slot_id slot, bool dial)
{
	uint32_t was = atomic_exchange(&holder[slot.n], me->self + 1);

	if (was != 0)
		fail("slot %u is held by worker %u already", slot.n, was - 1);
	if (atomic_fetch_add(&holders[pool_of(slot)], 1) >= pool_size[pool_of(slot)])
		fail("pool %u: more than %u connections in use", pool_of(slot), pool_size[pool_of(slot)]);
	if (dial) {
		if (atomic_exchange(&pgr_shm_slot(&shm, slot)->pid, 1) != 0)
			fail("slot %u is dialed before its connection has ended", slot.n);
		atomic_store(&aimed[slot.n], 0);
		if (atomic_exchange(&tls[slot.n].spoken, 0) != 0 && !atomic_load(&tls[slot.n].late))
			fail("slot %u is dialed before the home of its connection has said goodbye", slot.n);
		atomic_store(&tls[slot.n].late, false);
	} else if (atomic_load(&pgr_shm_slot(&shm, slot)->home) != me->incarnation) {
		atomic_store(&tls[slot.n].touched, true);
	}
	if (atomic_exchange(&unclean[slot.n], true) && !dial)
		fail("slot %u is leased as the dead or the failed have left it", slot.n);
	if (atomic_load(&aimed[slot.n]) != 0)
		fail("slot %u is leased while a cancel is under way", slot.n);
}

void
let_go(pgr_slot_id slot, bool clean)
{
	uint32_t was;

	if (clean)
		atomic_store(&unclean[slot.n], false);
	atomic_fetch_sub(&holders[pool_of(slot)], 1);
	was = atomic_exchange(&holder[slot.n], 0);
	if (was != me->self + 1)
		fail("slot %u is held by %u", slot.n, was);
}

void
take_out(pgr_slot_id *list, uint32_t *n, uint32_t i)
{
	list[i] = list[--*n];
}

/* ---- fairness: nobody who was plainly there is passed over ---- */

void
look_at_others(uint32_t p, struct view_of_others *ret)
{
	for (uint32_t k = 0; k < WORKERS; k++) {
		ret->moves[k] = atomic_load(&front[k][p].moves);
		ret->ticket[k] = atomic_load(&front[k][p].ticket);
		if (k == me->self || atomic_load(&pgr_shm_pool(&shm, (pgr_pool_id){p})->mail[k]) != 0 ||
			atomic_load(&pgr_shm_proc(&shm, k)->slow) != 0)
			ret->ticket[k] = 0;
	}
}

void
judge(uint32_t p, const struct view_of_others *before, uint64_t ticket, uint64_t bound)
{
	struct view_of_others after;

	look_at_others(p, &after);
	for (uint32_t k = 0; k < WORKERS; k++) {
		uint64_t theirs = before->ticket[k];

		if (theirs == 0 || after.ticket[k] != theirs || after.moves[k] != before->moves[k])
			continue;
		COUNT(judged);
		if (theirs - 1 >= ticket)
			continue;
		if (ticket - (theirs - 1) > bound)
			fail("pool %u: ticket %llu preferred to %llu of worker %u, bound %llu", p,
				(unsigned long long)ticket, (unsigned long long)theirs - 1, k,
				(unsigned long long)bound);
		if (atomic_load(&count.overtaken) < ticket - (theirs - 1))
			atomic_store(&count.overtaken, ticket - (theirs - 1));
	}
}
