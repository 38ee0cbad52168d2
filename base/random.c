/*
 * Random bytes in batches: a login takes two handfuls, and a system call for each costs more than
 * the bytes. The store is a page that the kernel empties in a child (MADV_WIPEONFORK), its counter
 * with it, so no two processes ever give out the same bytes; where there is no such page, nothing is
 * kept. Called by proto/ and worker/.
 */
#include "base/random.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/panic.h"
#include "base/rc.h"

#define BATCH 256u /* what getrandom(2) gives whole, whatever happens meanwhile */

struct store {
	size_t left; /* at the end of byte[]; zero in a new page, and so in a child */
	uint8_t byte[BATCH];
};

static void
ask_kernel(void *p, size_t len)
{
	PGR_ASSERT(getrandom(p, len, 0) == (ssize_t)len);
}

/* NULL: a page that a child would share a copy of is no place for it. */
static struct store *
new_store(void)
{
	void *page = mmap(NULL, sizeof(struct store), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, sizeof(struct store), MADV_WIPEONFORK) != 0 ||
		madvise(page, sizeof(struct store), MADV_DONTDUMP) != 0) {
		munmap(page, sizeof(struct store));
		return NULL;
	}
	return page;
}

/* At most what is left; it is wiped where it was. Returns how many. */
static size_t
take(struct store *s, uint8_t *p, size_t len)
{
	size_t n = PGR_MIN(len, s->left);
	uint8_t *at = s->byte + BATCH - s->left;

	memcpy(p, at, n);
	explicit_bzero(at, n);
	s->left -= n;
	return n;
}

void
pgr_random_bytes(void *p, size_t len)
{
	static struct store *store;
	uint8_t *to = p;

	if (store == NULL)
		store = new_store();
	while (len > 0) {
		size_t n = PGR_MIN(len, BATCH);

		if (store == NULL) {
			ask_kernel(to, n);
		} else {
			if (store->left == 0) {
				ask_kernel(store->byte, BATCH);
				store->left = BATCH;
			}
			n = take(store, to, n);
		}
		to += n;
		len -= n;
	}
}
