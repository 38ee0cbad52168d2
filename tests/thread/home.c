/*
 * Server connections under TLS, as far as the words of their slots go: a small copy of worker/home.c, and
 * of what worker/dial.c does to a slot. Keep the order of its steps as it is there. The pair of sockets
 * between the home and whoever borrows is two counters here: how much lies in it, in either direction.
 */
#include "threads.h"

/* ---- the pair: conn << 32 | bytes, so that nothing reaches the pair of a later connection ---- */

static void
put(_Atomic uint64_t *way, uint32_t conn)
{
	uint64_t was = atomic_load(way);

	while (was >> 32 == conn && !atomic_compare_exchange_weak(way, &was, was + 1))
		;
}

static uint32_t
take(_Atomic uint64_t *way, uint32_t conn)
{
	uint64_t was = atomic_load(way);

	while (was >> 32 == conn && !atomic_compare_exchange_weak(way, &was, (uint64_t)conn << 32))
		;
	return was >> 32 == conn ? (uint32_t)was : 0;
}

/* ---- worker/dial.c ---- */

/* The slot is DIALING by us: begin_attempt(), and the vault has the descriptor. */
void
dial_begin(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	uint32_t conn = atomic_load(&slot->conn) + 1;

	atomic_store(&slot->deposited, 0);
	atomic_store(&slot->home, 0);
	atomic_store(&slot->conn, conn);
	atomic_store(&slot->uncancelable, 1); /* the monitor's own cancels have nowhere to go */
	atomic_store(&tls[id.n].to_home, (uint64_t)conn << 32);
	atomic_store(&tls[id.n].to_lessee, (uint64_t)conn << 32);
	atomic_store(&tls[id.n].touched, false);
	home_forget(id);
	step("test.dial.begun");
	atomic_store(&slot->deposited, 1);
	step("test.dial.deposited");
}

/* The login is done; perhaps under TLS. */
void
home_begin(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	struct home *h = &me->home[id.n];

	if (draw(2) == 0)
		return;
	*h = (struct home){.conn = atomic_load(&slot->conn),
		.generation = pgr_word_generation(atomic_load(&slot->word))};
	atomic_store(&tls[id.n].spoken, h->conn);
	atomic_store(&slot->home, me->incarnation);
	step("test.home.begun");
}

/* ---- worker/home.c ---- */

static bool
is_ours(pgr_slot_id id)
{
	return me->home[id.n].conn != 0;
}

/* The slot is LEASED by us: has anybody had it since our own last lease? False: it has to end. */
static bool
take_over(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	struct home *h = &me->home[id.n];
	uint64_t generation = pgr_word_generation(atomic_load(&slot->word));
	bool untouched = generation == h->generation + 1 && !h->passed;
	bool was_touched = atomic_exchange(&tls[id.n].touched, false);

	if (h->conn != atomic_load(&slot->conn))
		fail("slot %u: worker %u takes over connection %u, of which it is not the home", id.n, me->self,
			atomic_load(&slot->conn));
	h->generation = generation;
	h->passed = false;
	if (untouched && was_touched)
		fail("slot %u: its home takes it for untouched, and others have leased it", id.n);
	if (untouched && (take(&tls[id.n].to_home, h->conn) != 0 || take(&tls[id.n].to_lessee, h->conn) != 0))
		fail("slot %u: its home takes the pair for empty", id.n);
	if (untouched) {
		COUNT(untouched);
		return true;
	}
	(void)take(&tls[id.n].to_home, h->conn); /* passed on */
	if (take(&tls[id.n].to_lessee, h->conn) == 0)
		return true;
	COUNT(unread);
	return false;
}

static bool
alive(uint32_t home)
{
	unsigned k = pgr_slot_home_index(home);
	struct pgr_proc *proc = pgr_shm_proc(&shm, k);

	return k < WORKERS && k != me->self && pgr_proc_is(proc, PGR_LIFE_ALIVE) &&
		pgr_slot_home(k, atomic_load(&proc->incarnation)) == home;
}

/* The slot is LEASED by us, and its connection is under TLS. */
bool
home_enter(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	uint32_t home = atomic_load(&slot->home);
	uint32_t buried_before;

	if (is_ours(id) && me->home[id.n].conn == atomic_load(&slot->conn))
		return take_over(id);
	buried_before = atomic_load(&buried[pgr_slot_home_index(home)]);
	if (!alive(home)) {
		COUNT(homeless);
		return false;
	}
	if (home >> 8 <= buried_before)
		fail("slot %u: its home, worker %u, was buried, and is taken for alive", id.n,
			pgr_slot_home_index(home));
	COUNT(lent);
	return true;
}

/* pgr_server_fetch(): what we have of an older connection in this slot goes. */
void
home_fetch(pgr_slot_id id)
{
	if (is_ours(id) && me->home[id.n].conn != atomic_load(&pgr_shm_slot(&shm, id)->conn))
		home_forget(id);
}

/* pgr_server_forget() */
void
home_forget(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	uint32_t conn = me->home[id.n].conn;
	uint32_t spoken = conn;

	me->home[id.n].conn = 0;
	if (conn == 0 || conn != atomic_load(&slot->conn))
		return;
	COUNT(goodbyes);
	atomic_compare_exchange_strong(&tls[id.n].spoken, &spoken, 0);
	step("test.goodbye.said");
	atomic_store(&slot->farewell, conn);
	step("test.goodbye.told");
	pgr_proc_mail(&shm, PGR_PROC_MONITOR, (pgr_pool_id){pool_of(id)});
	pgr_proc_poke(&shm, PGR_PROC_MONITOR, false);
}

/* LEASED by us. Has it a home elsewhere, then something is sent into the pair, or read from it. */
void
use_borrowed(pgr_slot_id id)
{
	struct pgr_slot *slot = pgr_shm_slot(&shm, id);
	uint32_t home = atomic_load(&slot->home);

	if (home == 0 || home == me->incarnation)
		return;
	if (draw(2) == 0)
		put(&tls[id.n].to_home, atomic_load(&slot->conn));
	else
		(void)take(&tls[id.n].to_lessee, atomic_load(&slot->conn));
}

bool
may_renew(pgr_slot_id id)
{
	return atomic_load(&pgr_shm_slot(&shm, id)->home) == 0 || is_ours(id);
}

/* The server spoke unasked, or has closed: under a lease of our own it may be read. */
static void
inspect(pgr_slot_id id)
{
	struct wpool *pool = &me->pool[pool_of(id)];

	if (!pgr_pool_take(&pool->view, id, me->home[id.n].conn))
		return;
	COUNT(inspected);
	hold(id, false);
	if (!take_over(id) || draw(4) == 0) {
		lease_close(pool, id);
		return;
	}
	let_go(id, true);
	if (pgr_pool_return(&pool->view, id, false) == PGR_RETURN_CLOSING)
		home_forget(id);
	if (pgr_pool_wanted(&pool->view))
		match(pool);
}

/* Something happened on one of our connections that we do not lease. */
void
home_run(void)
{
	pgr_slot_id id = draw_slot();
	struct home *h = &me->home[id.n];
	pgr_word w = atomic_load(&pgr_shm_slot(&shm, id)->word);

	if (!is_ours(id) || atomic_load(&holder[id.n]) == me->self + 1)
		return;
	step("test.home.woken");
	(void)take(&tls[id.n].to_home, h->conn);
	if (pgr_word_state(w) == PGR_SLOT_LEASED) {
		h->passed = true;
		put(&tls[id.n].to_lessee, h->conn);
	} else if (pgr_word_leasable(w)) {
		inspect(id);
	}
}

/* Goodbye where the monitor has asked for it. */
void
home_part(void)
{
	for (uint32_t n = 0; n < SLOTS; n++) {
		pgr_slot_id id = {n};

		if (is_ours(id) && atomic_load(&holder[n]) != me->self + 1 &&
			pgr_word_state(atomic_load(&pgr_shm_slot(&shm, id)->word)) == PGR_SLOT_CLOSING) {
			COUNT(asked_to_part);
			home_forget(id);
		}
	}
}
