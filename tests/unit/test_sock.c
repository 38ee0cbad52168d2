/* net/sock.h: listeners, connections, their options, and what is told when it does not work. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/sock.h"

static const struct pgr_keepalive keepalive = {.idle = 61 * PGR_USEC_PER_SEC,
	.interval = 7 * PGR_USEC_PER_SEC,
	.count = 4,
	.user_timeout = 31 * PGR_USEC_PER_SEC};

static struct pgr_err err;

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static int
listen_at(const char *host, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	int fd = -1;

	ck_assert_int_eq(pgr_sock_listen(host, 0, &fd, &err), PGR_OK);
	*ret_len = sizeof(*ret);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret, ret_len), 0);
	return fd;
}

static void
await(int fd, short events)
{
	struct pollfd p = {fd, events, 0};

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

static int
connect_to(const struct sockaddr_storage *addr, socklen_t len)
{
	int fd = -1;
	enum pgr_rc rc =
		pgr_sock_connect((const struct sockaddr *)addr, len, &keepalive, &fd, &err);

	ck_assert(rc == PGR_OK || rc == PGR_AGAIN);
	await(fd, POLLOUT);
	return fd;
}

static int
accept_from(int listener, uint8_t ret_addr[16], uint16_t *ret_port)
{
	int fd = -1;

	await(listener, POLLIN);
	ck_assert_int_eq(pgr_sock_accept(listener, &fd, ret_addr, ret_port, &err), PGR_OK);
	return fd;
}

static void
assert_descriptor(int fd)
{
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void
assert_options(int fd)
{
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 61);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 31000);
}

START_TEST(test_sock_connection_over_ipv4_knows_its_peer)
{
	struct sockaddr_storage at;
	socklen_t len;
	struct sockaddr_in mine;
	socklen_t mine_len = sizeof(mine);
	uint8_t addr[16];
	uint16_t port;
	int listener = listen_at("127.0.0.1", &at, &len);
	int client = connect_to(&at, len);
	int server = accept_from(listener, addr, &port);

	assert_descriptor(listener);
	assert_descriptor(client);
	assert_descriptor(server);
	ck_assert_int_eq(pgr_sock_error(client), 0);
	ck_assert_int_eq(getsockname(client, (struct sockaddr *)&mine, &mine_len), 0);
	ck_assert_uint_eq(port, ntohs(mine.sin_port));
	ck_assert_mem_eq(addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
}
END_TEST

START_TEST(test_sock_connection_over_ipv6_knows_its_peer)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	uint8_t addr[16];
	uint16_t port;
	int listener;

	if (pgr_sock_listen("::1", 0, &listener, &err) != PGR_OK)
		return; /* a machine without IPv6 */
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	connect_to(&at, len);
	accept_from(listener, addr, &port);
	ck_assert_mem_eq(addr, &in6addr_loopback, 16);
	ck_assert_uint_ne(port, 0);
}
END_TEST

START_TEST(test_sock_a_listener_waits_for_the_first_word)
{
	struct sockaddr_storage at;
	socklen_t len;
	uint8_t addr[16];
	uint16_t port;
	int listener = listen_at("127.0.0.1", &at, &len);

	ck_assert_int_gt(option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	connect_to(&at, len); /* who says nothing is taken too, a little later */
	accept_from(listener, addr, &port);
}
END_TEST

START_TEST(test_sock_options_are_the_connections_and_those_of_its_listener)
{
	struct sockaddr_storage at;
	socklen_t len;
	uint8_t addr[16];
	uint16_t port;
	int listener = listen_at("127.0.0.1", &at, &len);

	pgr_sock_options(listener, &keepalive);
	assert_options(connect_to(&at, len));
	assert_options(accept_from(listener, addr, &port)); /* inherited */
}
END_TEST

START_TEST(test_sock_options_of_zero_leave_the_kernels)
{
	const struct pgr_keepalive none = {0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	pgr_sock_options(fd, &none);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	pgr_sock_options(fd, NULL);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
}
END_TEST

START_TEST(test_sock_options_of_less_than_a_second_are_not_off)
{
	const struct pgr_keepalive short_ones = {.idle = 1, .interval = 1, .count = 1};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	pgr_sock_options(fd, &short_ones);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 1);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
}
END_TEST

START_TEST(test_sock_listen_in_a_directory_makes_its_socket)
{
	char folder[] = "/tmp/pgroute-test-sock-XXXXXX";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	uint8_t addr[16];
	uint16_t port = 1;
	struct stat st;
	int listener;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (int turn = 0; turn < 2; turn++) { /* the second one over what the first has left */
		ck_assert_int_eq(pgr_sock_listen(folder, 6432, &listener, &err), PGR_OK);
		snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.6432", folder);
		ck_assert_int_eq(stat(un.sun_path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 0777, 0777);
		ck_assert_int_eq(pgr_sock_connect((struct sockaddr *)&un, sizeof(un), &keepalive, &fd, &err),
			PGR_OK);
		accept_from(listener, addr, &port);
		ck_assert_mem_eq(addr, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
		ck_assert_uint_eq(port, 0);
	}
	unlink(un.sun_path);
	rmdir(folder);
}
END_TEST

START_TEST(test_sock_listen_in_a_folder_with_too_long_a_name_says_so)
{
	char folder[200];
	int fd;

	memset(folder, 'x', sizeof(folder) - 1);
	folder[0] = '/';
	folder[sizeof(folder) - 1] = '\0';
	ck_assert_int_eq(pgr_sock_listen(folder, 1, &fd, &err), PGR_FAIL);
	ck_assert_ptr_nonnull(strstr(err.message, "too long"));
}
END_TEST

START_TEST(test_sock_listen_on_a_port_in_use_names_the_address)
{
	struct sockaddr_storage at;
	socklen_t len;
	char name[64];
	uint16_t port;
	int fd;

	listen_at("127.0.0.1", &at, &len);
	port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	ck_assert_int_eq(pgr_sock_listen("127.0.0.1", port, &fd, &err), PGR_FAIL);
	ck_assert_int_eq(err.sys_errno, EADDRINUSE);
	snprintf(name, sizeof(name), "\"127.0.0.1:%u\"", port);
	ck_assert_ptr_nonnull(strstr(err.message, name));
}
END_TEST

START_TEST(test_sock_listen_on_what_is_no_address_says_so)
{
	int fd;

	ck_assert_int_eq(pgr_sock_listen("no address at all", 1, &fd, &err), PGR_FAIL);
	ck_assert_ptr_nonnull(strstr(err.message, "no address at all"));
}
END_TEST

START_TEST(test_sock_accept_with_nobody_there_is_again)
{
	struct sockaddr_storage at;
	socklen_t len;
	uint8_t addr[16];
	uint16_t port;
	int listener = listen_at("127.0.0.1", &at, &len);
	int fd = 77;

	ck_assert_int_eq(pgr_sock_accept(listener, &fd, addr, &port, &err), PGR_AGAIN);
	ck_assert_int_eq(fd, 77);
}
END_TEST

START_TEST(test_sock_accept_without_descriptors_is_an_error_that_passes)
{
	struct rlimit all, few;
	struct sockaddr_storage at;
	socklen_t len;
	uint8_t addr[16];
	uint16_t port;
	int listener = listen_at("127.0.0.1", &at, &len);
	int fd;

	connect_to(&at, len);
	await(listener, POLLIN);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = (struct rlimit){3, all.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(pgr_sock_accept(listener, &fd, addr, &port, &err), PGR_FAIL);
	ck_assert_int_eq(err.sys_errno, EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	ck_assert_int_eq(pgr_sock_accept(listener, &fd, addr, &port, &err), PGR_OK);
}
END_TEST

START_TEST(test_sock_connect_refused_is_told_by_the_connection)
{
	struct sockaddr_storage at;
	socklen_t len;
	int listener = listen_at("127.0.0.1", &at, &len);
	enum pgr_rc rc;
	int fd;

	close(listener);
	rc = pgr_sock_connect((struct sockaddr *)&at, len, &keepalive, &fd, &err);
	if (rc == PGR_FAIL) {
		ck_assert_int_eq(err.sys_errno, ECONNREFUSED);
		ck_assert_str_eq(err.sqlstate, "08006");
		return;
	}
	ck_assert_int_eq(rc, PGR_AGAIN);
	await(fd, POLLOUT);
	ck_assert_int_eq(pgr_sock_error(fd), ECONNREFUSED);
	ck_assert_int_eq(pgr_sock_error(fd), 0); /* it is told once */
}
END_TEST

START_TEST(test_sock_error_of_no_socket_is_an_errno)
{
	ck_assert_int_eq(pgr_sock_error(-1), EBADF);
}
END_TEST

UNIT_MAIN("sock", test_sock_connection_over_ipv4_knows_its_peer,
	test_sock_connection_over_ipv6_knows_its_peer,
	test_sock_a_listener_waits_for_the_first_word,
	test_sock_options_are_the_connections_and_those_of_its_listener,
	test_sock_options_of_zero_leave_the_kernels,
	test_sock_options_of_less_than_a_second_are_not_off,
	test_sock_listen_in_a_directory_makes_its_socket,
	test_sock_listen_in_a_folder_with_too_long_a_name_says_so,
	test_sock_listen_on_a_port_in_use_names_the_address,
	test_sock_listen_on_what_is_no_address_says_so, test_sock_accept_with_nobody_there_is_again,
	test_sock_accept_without_descriptors_is_an_error_that_passes,
	test_sock_connect_refused_is_told_by_the_connection,
	test_sock_error_of_no_socket_is_an_errno)
