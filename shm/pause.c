/*
 * The list of what is paused. Written by the monitor when a console asks, read when pools are made and
 * when they are shown.
 */
#include "shm/pause.h"

#include <stdio.h>
#include <string.h>

#include "shm/segment.h"

static struct pgr_pause *
find(struct pgr_shm *shm, const char *database)
{
	struct pgr_pauses *pauses = &shm->seg->pauses;
	uint32_t count = PGR_MIN(atomic_load(&pauses->count), PGR_PAUSES_MAX);

	for (uint32_t i = 0; i < count; i++)
		if (atomic_load(&pauses->place[i].on) != 0 &&
			strncmp(pauses->place[i].database, database, PGR_NAME_MAX) == 0)
			return &pauses->place[i];
	return NULL;
}

bool
pgr_pause_named(struct pgr_shm *shm, const char *database)
{
	return find(shm, database) != NULL;
}

bool
pgr_pause_holds(struct pgr_shm *shm, const char *database)
{
	return atomic_load(&shm->seg->pauses.all) != 0 || pgr_pause_named(shm, database);
}

static struct pgr_pause *
free_place(struct pgr_shm *shm)
{
	struct pgr_pauses *pauses = &shm->seg->pauses;
	uint32_t count = PGR_MIN(atomic_load(&pauses->count), PGR_PAUSES_MAX);

	for (uint32_t i = 0; i < count; i++)
		if (atomic_load(&pauses->place[i].on) == 0)
			return &pauses->place[i];
	return count < PGR_PAUSES_MAX ? &pauses->place[count] : NULL;
}

bool
pgr_pause_set(struct pgr_shm *shm, const char *database, bool on)
{
	struct pgr_pauses *pauses = &shm->seg->pauses;
	struct pgr_pause *place = find(shm, database);
	uint32_t next;

	if (!on) {
		if (place != NULL)
			atomic_store(&place->on, 0);
		return true;
	}
	if (place != NULL)
		return true;
	place = free_place(shm);
	if (place == NULL)
		return false;
	snprintf(place->database, sizeof(place->database), "%s", database);
	atomic_store(&place->on, 1);
	next = (uint32_t)(place - pauses->place) + 1;
	if (next > atomic_load(&pauses->count))
		atomic_store(&pauses->count, next);
	return true;
}
