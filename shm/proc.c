/*
 * Pokes and mail. A poke is an eventfd write; the flag `poked` spares the write while one is unread.
 * A process that dies between the flag and the write leaves a poke undone: the monitor's sweep
 * writes to everybody without looking at the flag.
 */
#include "shm/proc.h"

#include <unistd.h>

#include "shm/segment.h"

void
pgr_proc_poke(struct pgr_shm *shm, unsigned k, bool force)
{
	const uint64_t one = 1;

	if (atomic_exchange(&pgr_shm_proc(shm, k)->poked, 1) != 0 && !force)
		return;
	PGR_CRASHPOINT("proc.poke.flagged");
	/* cannot block or fail: the counter would need 2^64 - 1 pokes */
	if (write(shm->eventfd[k], &one, sizeof(one)) != sizeof(one))
		return;
}

bool
pgr_proc_poke_taken(struct pgr_shm *shm, unsigned k)
{
	struct pgr_proc *proc = pgr_shm_proc(shm, k);

	atomic_store(&proc->poked, 0);
	return atomic_load(&proc->slow) != 0 && atomic_exchange(&proc->slow, 0) != 0;
}

void
pgr_proc_mail(struct pgr_shm *shm, unsigned k, pgr_pool_id pool)
{
	struct pgr_proc *proc = pgr_shm_proc(shm, k);
	uint32_t word = pool.n / 64 % PGR_COUNT_OF(proc->pools_mail);

	atomic_fetch_or(&proc->pools_mail[word], UINT64_C(1) << pool.n % 64);
	PGR_CRASHPOINT("proc.mail.marked");
	atomic_fetch_or(&proc->mail_index[word / 64], UINT64_C(1) << word % 64);
}

void
pgr_proc_mail_all(struct pgr_shm *shm, unsigned k)
{
	uint32_t top = pgr_shm_pools_used(shm);

	for (uint32_t n = 0; n < top; n++) {
		atomic_store(&pgr_shm_pool(shm, (pgr_pool_id){n})->mail[k], UINT64_MAX);
		pgr_proc_mail(shm, k, (pgr_pool_id){n});
	}
	pgr_proc_poke(shm, k, true);
}

/* *cursor is the word of the index that is being looked at; one pool's bit is taken per call. */
bool
pgr_proc_next_mail(struct pgr_shm *shm, unsigned k, uint32_t *cursor, pgr_pool_id *ret_pool)
{
	struct pgr_proc *proc = pgr_shm_proc(shm, k);

	for (uint32_t i = *cursor; i < PGR_COUNT_OF(proc->mail_index); i++, (*cursor)++) {
		uint64_t index = atomic_load(&proc->mail_index[i]);

		while (index != 0) {
			uint32_t word = i * 64 + (uint32_t)__builtin_ctzll(index);
			uint64_t bits;

			/* the index bit goes first: whoever sets a pool's bit later sets it again */
			atomic_fetch_and(&proc->mail_index[i], ~(UINT64_C(1) << word % 64));
			bits = atomic_load(&proc->pools_mail[word]);
			if (bits != 0) {
				uint32_t bit = (uint32_t)__builtin_ctzll(bits);

				atomic_fetch_and(&proc->pools_mail[word], ~(UINT64_C(1) << bit));
				if ((bits & (bits - 1)) != 0)
					atomic_fetch_or(&proc->mail_index[i], UINT64_C(1) << word % 64);
				ret_pool->n = word * 64 + bit;
				return true;
			}
			index &= index - 1;
		}
	}
	return false;
}
