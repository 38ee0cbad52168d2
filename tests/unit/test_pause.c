/* shm/pause.h: the list of what is paused. */
#include "unit.h"

#include <stdio.h>

#include "shm_util.h"

static struct pgr_shm shm;

START_TEST(test_pause_holds_by_name_until_it_is_taken_back)
{
	shm_make(&shm, 1);
	ck_assert(!pgr_pause_holds(&shm, "app"));
	ck_assert(pgr_pause_set(&shm, "app", true));
	ck_assert(pgr_pause_set(&shm, "app", true));
	ck_assert(pgr_pause_holds(&shm, "app") && pgr_pause_named(&shm, "app"));
	ck_assert(!pgr_pause_holds(&shm, "ap") && !pgr_pause_holds(&shm, "app2"));
	ck_assert(pgr_pause_set(&shm, "app", false));
	ck_assert(pgr_pause_set(&shm, "other", false));
	ck_assert(!pgr_pause_holds(&shm, "app"));
}
END_TEST

START_TEST(test_pause_of_all_holds_for_each_and_names_none)
{
	shm_make(&shm, 1);
	atomic_store(&shm.seg->pauses.all, 1);
	ck_assert(pgr_pause_holds(&shm, "app") && !pgr_pause_named(&shm, "app"));
}
END_TEST

START_TEST(test_pause_places_are_used_again_and_run_out)
{
	char name[16];

	shm_make(&shm, 1);
	for (unsigned i = 0; i < PGR_PAUSES_MAX; i++) {
		snprintf(name, sizeof(name), "db%u", i);
		ck_assert(pgr_pause_set(&shm, name, true));
	}
	ck_assert(!pgr_pause_set(&shm, "more", true));
	ck_assert(pgr_pause_set(&shm, "db7", false));
	ck_assert(pgr_pause_set(&shm, "more", true));
	ck_assert(pgr_pause_named(&shm, "more") && pgr_pause_named(&shm, "db1023"));
}
END_TEST

UNIT_MAIN("pause", test_pause_holds_by_name_until_it_is_taken_back,
	test_pause_of_all_holds_for_each_and_names_none, test_pause_places_are_used_again_and_run_out)
