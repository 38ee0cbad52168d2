/*
 * Portals by name, in a short list: almost always there is the unnamed one alone, which the client
 * record holds itself. Called by front.c as messages are sent. When a Bind fails, a portal of that name
 * from before a savepoint may live on: then all are in doubt, and who executes one is pinned.
 */
#include "worker/portal.h"

#include <stdlib.h>
#include <string.h>

#include "worker/reading.h"

#define PORTALS_MOST 256

struct pgr_portal {
	struct pgr_portal *next;
	struct pgr_reading *reading;
	size_t len;
	char name[];
};

static struct pgr_portal **
find(struct pgr_portal **link, const char *name, size_t len)
{
	while (*link != NULL && ((*link)->len != len || memcmp((*link)->name, name, len) != 0))
		link = &(*link)->next;
	return link;
}

static void
set(struct pgr_reading **place, struct pgr_reading *reading)
{
	pgr_reading_unref(*place);
	*place = reading;
}

static bool
is_full(const struct pgr_client *c)
{
	uint32_t n = 0;

	for (const struct pgr_portal *p = c->portals; p != NULL; p = p->next)
		n++;
	return n >= PORTALS_MOST;
}

static struct pgr_portal *
portal_new(const char *name, size_t len)
{
	struct pgr_portal *p = calloc(1, sizeof(*p) + len);

	if (p == NULL)
		return NULL;
	p->len = len;
	memcpy(p->name, name, len);
	return p;
}

bool
pgr_portal_bind(struct pgr_client *c, const char *name, size_t len, struct pgr_reading *reading)
{
	struct pgr_portal **link = find(&c->portals, name, len);

	if (len == 0)
		set(&c->bound, reading);
	else if (*link != NULL)
		set(&(*link)->reading, reading);
	else if (reading != NULL || c->portals_doubtful) {
		*link = is_full(c) ? NULL : portal_new(name, len);
		if (*link == NULL) {
			pgr_reading_unref(reading);
			return false;
		}
		(*link)->reading = reading;
	}
	return true;
}

struct pgr_reading *
pgr_portal_execute(const struct pgr_client *c, const char *name, size_t len)
{
	struct pgr_portal *first = c->portals;
	struct pgr_portal *p;

	if (len == 0)
		return pgr_reading_ref(c->bound);
	p = *find(&first, name, len);
	if (p == NULL && c->portals_doubtful)
		return pgr_reading_unread(PGR_PIN_PORTAL_REASON);
	return p != NULL ? pgr_reading_ref(p->reading) : NULL;
}

void
pgr_portal_doubt(struct pgr_client *c)
{
	c->portals_doubtful = true;
	set(&c->bound, pgr_reading_unread(PGR_PIN_PORTAL_REASON));
	for (struct pgr_portal *p = c->portals; p != NULL; p = p->next)
		set(&p->reading, pgr_reading_unread(PGR_PIN_PORTAL_REASON));
}

void
pgr_portal_clear(struct pgr_client *c)
{
	c->portals_doubtful = false;
	set(&c->bound, NULL);
	while (c->portals != NULL) {
		struct pgr_portal *p = c->portals;

		c->portals = p->next;
		pgr_reading_unref(p->reading);
		free(p);
	}
}
