/* shm/host.h: which addresses a server has, and in which order they are tried. */
#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "shm/host.h"

#define SECOND UINT64_C(1000000)

static struct pgr_host host;

static struct pgr_addr
addr(uint8_t last)
{
	struct pgr_addr a;

	memset(&a, 0, sizeof(a));
	a.len = sizeof(a.sock.in);
	a.sock.in.sin_family = AF_INET;
	a.sock.in.sin_addr.s_addr = htonl(0x0a000000u | last);
	return a;
}

/* lasts: the last byte of each address, in order, ends with 0. */
static bool
publish(const char *lasts)
{
	struct pgr_addr answer[64];
	uint32_t n = 0;

	for (; lasts[n] != '\0'; n++)
		answer[n] = addr((uint8_t)lasts[n]);
	return pgr_host_publish(&host, answer, n);
}

static const char *
order(uint64_t now)
{
	static char lasts[PGR_HOST_ADDRS + 1];
	struct pgr_addr got[PGR_HOST_ADDRS];
	uint32_t n = pgr_host_addresses(&host, now, got);

	for (uint32_t i = 0; i < n; i++)
		lasts[i] = (char)(ntohl(got[i].sock.in.sin_addr.s_addr) & 255);
	lasts[n] = '\0';
	return lasts;
}

static void
dialed(char last, uint64_t now)
{
	struct pgr_addr a = addr((uint8_t)last);

	pgr_host_dialed(&host, &a, now);
}

static bool
has(char last)
{
	struct pgr_addr a = addr((uint8_t)last);

	return pgr_host_has(&host, &a);
}

START_TEST(test_host_gives_addresses_in_the_order_of_the_answer)
{
	ck_assert_str_eq(order(SECOND), "");
	ck_assert(publish("abc"));
	ck_assert_str_eq(order(SECOND), "abc");
}
END_TEST

START_TEST(test_host_the_same_answer_in_another_order_changes_nothing)
{
	ck_assert(publish("abc"));
	ck_assert(!publish("bca"));
	ck_assert(!publish("cabca"));
	ck_assert_str_eq(order(SECOND), "abc");
}
END_TEST

START_TEST(test_host_changed_answer_keeps_what_stays_where_it_was)
{
	ck_assert(publish("abc"));
	ck_assert(publish("dcab"));
	ck_assert_str_eq(order(SECOND), "abcd");
	ck_assert(publish("ed"));
	ck_assert_str_eq(order(SECOND), "de");
	ck_assert(has('d') && has('e') && !has('a'));
}
END_TEST

START_TEST(test_host_has_any_address_while_none_is_known)
{
	ck_assert(has('a'));
	ck_assert(publish("b"));
	ck_assert(!has('a'));
}
END_TEST

START_TEST(test_host_failed_address_goes_to_the_end_for_a_while)
{
	ck_assert(publish("abcd"));
	dialed('a', 100 * SECOND);
	ck_assert_str_eq(order(100 * SECOND), "bcda");
	dialed('c', 101 * SECOND);
	ck_assert_str_eq(order(102 * SECOND), "bdac");
	dialed('a', 103 * SECOND);
	ck_assert_str_eq(order(104 * SECOND), "bdca");
	ck_assert_str_eq(order(132 * SECOND), "bcda");
	ck_assert_str_eq(order(200 * SECOND), "abcd");
}
END_TEST

START_TEST(test_host_good_connection_ends_the_time_at_the_end)
{
	ck_assert(publish("ab"));
	dialed('a', 100 * SECOND);
	ck_assert_str_eq(order(100 * SECOND), "ba");
	dialed('a', 0);
	ck_assert_str_eq(order(100 * SECOND), "ab");
	dialed('x', 100 * SECOND);
	ck_assert_str_eq(order(100 * SECOND), "ab");
}
END_TEST

START_TEST(test_host_failure_moves_with_its_address)
{
	ck_assert(publish("abc"));
	dialed('b', 100 * SECOND);
	ck_assert(publish("bcd"));
	ck_assert_str_eq(order(100 * SECOND), "cdb");
}
END_TEST

/* More than there is room for: those in use stay, whichever of them come first. */
START_TEST(test_host_long_answer_is_cut_and_stays_the_same)
{
	ck_assert(publish("abcdefghijklmnopqrst"));
	ck_assert_str_eq(order(SECOND), "abcdefghijklmnop");
	ck_assert(!publish("tsrqponmlkjihgfedcba"));
	ck_assert_str_eq(order(SECOND), "abcdefghijklmnop");
}
END_TEST

START_TEST(test_host_is_unknown_while_it_changes)
{
	ck_assert(publish("ab"));
	atomic_fetch_add(&host.seq, 1);
	ck_assert_str_eq(order(SECOND), "");
	atomic_fetch_add(&host.seq, 1);
	ck_assert_str_eq(order(SECOND), "ab");
}
END_TEST

UNIT_MAIN("host", test_host_gives_addresses_in_the_order_of_the_answer,
	test_host_the_same_answer_in_another_order_changes_nothing,
	test_host_changed_answer_keeps_what_stays_where_it_was,
	test_host_has_any_address_while_none_is_known,
	test_host_failed_address_goes_to_the_end_for_a_while,
	test_host_good_connection_ends_the_time_at_the_end, test_host_failure_moves_with_its_address,
	test_host_long_answer_is_cut_and_stays_the_same, test_host_is_unknown_while_it_changes)
