/*
 * Looks at every live pool, client record and login token and counts what a quiet segment must not
 * contain. Reads only; takes nothing on trust, so that a damaged segment is described, not followed.
 */
#include "shm/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shm/segment.h"

struct check {
	struct pgr_shm *shm;
	char *text;
	size_t size;
	size_t used;
	size_t found;
	uint64_t chunk_used[PGR_CHUNKS_MAX / 64];
};

static void PGR_PRINTF(2, 3)
violated(struct check *c, const char *fmt, ...)
{
	va_list args;
	int n;

	c->found++;
	if (c->used + 1 >= c->size)
		return;
	va_start(args, fmt);
	n = vsnprintf(c->text + c->used, c->size - c->used, fmt, args);
	va_end(args);
	c->used = n < 0 ? c->used : PGR_MIN(c->used + (size_t)n, c->size - 1);
}

static bool
alive(const struct check *c, unsigned k)
{
	return k < PGR_PROCS && pgr_proc_is(pgr_shm_proc(c->shm, k), PGR_LIFE_ALIVE);
}

/* Shutting down, it has left by itself, with nothing left to do. */
static bool
drained(const struct check *c, unsigned k)
{
	return atomic_load(&pgr_shm_proc(c->shm, k)->drained) != 0;
}

/* Nobody has a client, so nobody leases, gives or dials; what is to be closed waits for its server. */
static void
check_word(struct check *c, pgr_pool_id id, uint32_t place, pgr_word w, bool deposited)
{
	enum pgr_slot_state state = pgr_word_state(w);
	bool closing = state == PGR_SLOT_CLOSING && deposited;

	if (state != PGR_SLOT_FREE && state != PGR_SLOT_IDLE && state != PGR_SLOT_BARRED && !closing)
		violated(c, "pool %u place %u: state %d\n", id.n, place, (int)state);
	if (pgr_word_owner(w) != PGR_OWNER_NONE)
		violated(c, "pool %u place %u: owned by process %u, which is %s\n", id.n, place,
			pgr_word_owner(w), alive(c, pgr_word_owner(w)) ? "alive" : "not alive");
	if (pgr_word_pin(w) != PGR_PIN_NONE)
		violated(c, "pool %u place %u: pin %u\n", id.n, place, pgr_word_pin(w));
}

static void
check_place(struct check *c, pgr_pool_id id, struct pgr_pool *pool, uint32_t place, uint32_t *open)
{
	pgr_slot_id slot_id;
	struct pgr_slot *slot = pgr_pool_slot(c->shm, pool, place, &slot_id);
	pgr_word w = atomic_load(&slot->word);
	bool closed = pgr_word_state(w) == PGR_SLOT_FREE || pgr_word_state(w) == PGR_SLOT_BARRED;
	bool deposited = atomic_load(&slot->deposited) != 0;

	if (atomic_load(&slot->pool) != id.n || slot->place != place)
		violated(c, "pool %u place %u: slot %u says pool %u place %u\n", id.n, place, slot_id.n,
			atomic_load(&slot->pool), slot->place);
	check_word(c, id, place, w, deposited);
	if (closed && deposited)
		violated(c, "pool %u place %u: no connection, but one in the vault\n", id.n, place);
	if (!closed)
		++*open;
	if (!closed && place >= atomic_load(&pool->places))
		violated(c, "pool %u place %u: beyond the %u places of the pool\n", id.n, place,
			atomic_load(&pool->places));
}

/* False: the places of this chunk are not worth looking at. */
static bool
check_chunk(struct check *c, pgr_pool_id id, uint32_t chunk)
{
	uint64_t bit = UINT64_C(1) << chunk % 64;

	if (chunk >= PGR_CHUNKS_MAX) {
		violated(c, "pool %u: there is no chunk %u\n", id.n, chunk);
		return false;
	}
	if ((c->chunk_used[chunk / 64] & bit) != 0)
		violated(c, "pool %u: chunk %u is used twice\n", id.n, chunk);
	c->chunk_used[chunk / 64] |= bit;
	return true;
}

static void
check_places(struct check *c, pgr_pool_id id, struct pgr_pool *pool)
{
	uint32_t places = atomic_load(&pool->places);
	uint64_t limit = atomic_load(&pool->set.pool_size) + atomic_load(&pool->set.reserve_pool_size);
	uint32_t open = 0;

	if (places > PGR_PLACES_MAX) {
		violated(c, "pool %u: %u places\n", id.n, places);
		return;
	}
	for (uint32_t i = 0; i < (places + PGR_CHUNK_SLOTS - 1) / PGR_CHUNK_SLOTS; i++) {
		if (!check_chunk(c, id, atomic_load(&pool->chunk[i])))
			continue;
		for (uint32_t p = 0; p < PGR_CHUNK_SLOTS; p++)
			check_place(c, id, pool, i * PGR_CHUNK_SLOTS + p, &open);
	}
	if (open > limit)
		violated(c, "pool %u: %u connections, the limit is %llu\n", id.n, open,
			(unsigned long long)limit);
}

/* What worker k publishes of its waiters: nothing, and mask and want agree about it. */
static void
check_want(struct check *c, pgr_pool_id id, struct pgr_pool *pool, uint32_t k)
{
	uint64_t want = atomic_load(&pool->want[k]);
	bool bit = (atomic_load(&pool->mask) >> k & 1) != 0;

	if (bit != (pgr_want_count(want) > 0))
		violated(c, "pool %u: worker %u has its mask bit %s, but wants %u\n", id.n, k,
			bit ? "set" : "unset", pgr_want_count(want));
	if (want != 0)
		violated(c, "pool %u: worker %u has %u waiters, %u dials\n", id.n, k,
			pgr_want_count(want), pgr_want_dials(want));
	if (alive(c, k) && atomic_load(&pool->mail[k]) != 0)
		violated(c, "pool %u: worker %u has unread mail\n", id.n, k);
	if (atomic_load(&pool->clients[k]) != 0)
		violated(c, "pool %u: worker %u counts %u clients\n", id.n, k,
			atomic_load(&pool->clients[k]));
}

static void
check_pool(struct check *c, pgr_pool_id id)
{
	struct pgr_pool *pool = pgr_shm_pool(c->shm, id);
	uint32_t workers = PGR_MIN(c->shm->seg->workers, (uint32_t)PGR_WORKERS_MAX);

	if (atomic_load(&pool->state) == PGR_POOL_FREE)
		return;
	if (atomic_load(&pool->state) > PGR_POOL_RETIRING)
		violated(c, "pool %u: state %u\n", id.n, atomic_load(&pool->state));
	if (atomic_load(&pool->mask) >> workers != 0)
		violated(c, "pool %u: mask bits of workers that do not exist\n", id.n);
	for (uint32_t k = 0; k < workers; k++)
		if (alive(c, k) || drained(c, k))
			check_want(c, id, pool, k);
	check_places(c, id, pool);
}

static void
check_records(struct check *c, uint32_t k)
{
	uint32_t used = atomic_load(&pgr_shm_proc(c->shm, k)->records_used);

	if (used > c->shm->seg->clients_per_worker) {
		violated(c, "worker %u: %u client records\n", k, used);
		return;
	}
	for (uint32_t i = 0; i < used; i++) {
		pgr_client_id id = {k * c->shm->seg->clients_per_worker + i};
		struct pgr_client_rec *rec = pgr_shm_client(c->shm, id);

		if (atomic_load(&rec->state) != PGR_CLIENT_FREE)
			violated(c, "worker %u: client record %u is in state %u\n", k, id.n,
				atomic_load(&rec->state));
	}
}

static void
check_worker(struct check *c, uint32_t k)
{
	struct pgr_proc *proc = pgr_shm_proc(c->shm, k);

	if (pgr_proc_is(proc, PGR_LIFE_DEAD))
		violated(c, "worker %u: dead and not swept\n", k);
	if (!alive(c, k) && !drained(c, k))
		return;
	check_records(c, k);
	if (atomic_load(&proc->clients) != 0)
		violated(c, "worker %u: counts %u clients\n", k, atomic_load(&proc->clients));
	for (uint32_t i = 0; i < PGR_ASKS; i++)
		if (atomic_load(&proc->asks[i].state) == PGR_ASK_POSTED)
			violated(c, "worker %u: request %u for a pool is not answered\n", k, i);
}

static void
check_host(struct check *c, uint32_t h)
{
	struct pgr_host *host = &c->shm->seg->host[h];

	for (uint32_t i = 0; i < PGR_LOGINS_MAX; i++) {
		uint32_t holder = atomic_load(&host->login[i]);

		if (holder != 0)
			violated(c, "host %u: login token %u is held by process %u, which is %s\n", h, i,
				holder - 1, alive(c, holder - 1) ? "alive" : "not alive");
	}
}

static bool
is_of(uint64_t set, unsigned k)
{
	return k < PGR_PROCS && (set >> k & 1) != 0;
}

static void
check_swept_pool(struct check *c, pgr_pool_id id, uint64_t dead)
{
	struct pgr_pool *pool = pgr_shm_pool(c->shm, id);
	uint32_t places = PGR_MIN(atomic_load(&pool->places), (uint32_t)PGR_PLACES_MAX);

	for (uint32_t p = 0; p < places; p++) {
		pgr_slot_id slot_id;
		pgr_word w = atomic_load(&pgr_pool_slot(c->shm, pool, p, &slot_id)->word);
		enum pgr_slot_state state = pgr_word_state(w);

		if ((state == PGR_SLOT_LEASED || state == PGR_SLOT_DIALING) && is_of(dead, pgr_word_owner(w)))
			violated(c, "pool %u place %u: state %d of process %u, which is dead and swept\n", id.n,
				p, (int)state, pgr_word_owner(w));
		if (pgr_word_pin(w) != PGR_PIN_NONE && is_of(dead, pgr_word_pin(w) - 1))
			violated(c, "pool %u place %u: pin %u of a process that is dead and swept\n", id.n, p,
				pgr_word_pin(w));
	}
}

size_t
pgr_check_swept(struct pgr_shm *shm, uint64_t dead, char *text, size_t size)
{
	struct check c = {.shm = shm, .text = text, .size = size};
	uint32_t hosts = PGR_MIN(atomic_load(&shm->seg->hosts_used), (uint32_t)PGR_HOSTS_MAX);

	text[0] = '\0';
	for (uint32_t n = 0; n < pgr_shm_pools_used(shm); n++)
		check_swept_pool(&c, (pgr_pool_id){n}, dead);
	for (uint32_t h = 0; h < hosts; h++)
		for (uint32_t i = 0; i < PGR_LOGINS_MAX; i++) {
			uint32_t holder = atomic_load(&shm->seg->host[h].login[i]);

			if (holder != 0 && is_of(dead, holder - 1))
				violated(&c, "host %u: login token %u of process %u, which is dead and swept\n", h,
					i, holder - 1);
		}
	return c.found;
}

size_t
pgr_check_segment(struct pgr_shm *shm, char *text, size_t size)
{
	struct check c = {.shm = shm, .text = text, .size = size};
	uint32_t hosts = atomic_load(&shm->seg->hosts_used);

	text[0] = '\0';
	if (shm->seg->magic != PGR_SHM_MAGIC)
		violated(&c, "not a segment of this version\n");
	if (shm->seg->workers > PGR_WORKERS_MAX)
		violated(&c, "%u workers\n", shm->seg->workers);
	if (atomic_load(&shm->seg->pools_used) > PGR_POOLS_MAX)
		violated(&c, "%u pools\n", atomic_load(&shm->seg->pools_used));
	if (hosts > PGR_HOSTS_MAX)
		violated(&c, "%u hosts\n", hosts);
	for (uint32_t n = 0; n < pgr_shm_pools_used(shm); n++)
		check_pool(&c, (pgr_pool_id){n});
	for (uint32_t k = 0; k < PGR_MIN(shm->seg->workers, (uint32_t)PGR_WORKERS_MAX); k++)
		check_worker(&c, k);
	for (uint32_t h = 0; h < PGR_MIN(hosts, (uint32_t)PGR_HOSTS_MAX); h++)
		check_host(&c, h);
	return c.found;
}
