/* config/files.c: the file given, what it includes, files of passwords. Each test has a folder of
 * its own. */
#include "config_util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *
path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void
remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[400];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && unlink(name) != 0)
			remove_folder(name);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

static void
setup(void)
{
	strcpy(folder, "/tmp/pgr_unit_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
	remove_folder(folder);
}

static struct pgr_config_pair
load_file_good(const char *name)
{
	struct pgr_config_pair pair = {0};
	enum pgr_rc rc = pgr_config_load(path_of(name), &pair, &load_errors);

	if (rc != PGR_OK)
		pgr_config_errors_print(&load_errors, stderr);
	ck_assert_int_eq(rc, PGR_OK);
	return pair;
}

/* Loads main.yaml, which must be wrong in exactly one way: line, with ~ for the folder. */
static void
assert_file_error(const char *line)
{
	struct pgr_config_pair pair = {0};
	char told[800] = "";
	const char *from;
	char *to = told;

	ck_assert_int_eq(pgr_config_load(path_of("main.yaml"), &pair, &load_errors), PGR_FAIL);
	for (from = error_line(0); *from != '\0';) {
		if (strncmp(from, folder, strlen(folder)) == 0) {
			*to++ = '~';
			from += strlen(folder);
		} else {
			*to++ = *from++;
		}
	}
	ck_assert_str_eq(told, line);
	ck_assert_uint_eq(load_errors.n, 1);
}

START_TEST(test_config_files_that_cannot_be_read_are_told)
{
	struct pgr_config_pair pair;

	assert_file_error("~/main.yaml: cannot be read: No such file or directory");
	mkdir(path_of("main.yaml"), 0700);
	assert_file_error("~/main.yaml: is not a regular file");
	rmdir(path_of("main.yaml"));
	mkfifo(path_of("main.yaml"), 0600);
	assert_file_error("~/main.yaml: is not a regular file");
	unlink(path_of("main.yaml"));
	write_file("main.yaml", "", 0600);
	ck_assert_int_eq(truncate(path_of("main.yaml"), (16 << 20) + 1), 0);
	assert_file_error("~/main.yaml: is larger than 16777216 bytes");
	write_file("main.yaml", "workers: 4\n", 0600);
	pair = load_file_good("main.yaml");
	ck_assert_uint_eq(pair.config->workers, 4);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_files_included_are_merged_key_by_key)
{
	struct pgr_config_pair pair;
	const struct pgr_config *cfg;

	mkdir(path_of("conf.d"), 0700);
	write_file("main.yaml",
		"include: conf.d/*.yaml\nlog: {level: debug}\ndefaults: {pool_size: 5}\n"
		"databases: {a: {servers: [{host: ha}]}}\nusers: {ua: {}}\n",
		0600);
	write_file("conf.d/1.yaml",
		"log: {format: json}\ndefaults: {queue_timeout: 1s}\n"
		"databases: {b: {servers: [{host: hb}]}}\nusers: {ub: {}}\n",
		0600);
	write_file("conf.d/2.yaml", "databases: {c: {servers: [{host: hc}]}}\n", 0600);
	write_file("conf.d/ignored.txt", "nonsense", 0600);
	pair = load_file_good("main.yaml");
	cfg = pair.config;
	ck_assert_int_eq(cfg->log_level, PGR_LOG_DEBUG);
	ck_assert_int_eq(cfg->log_format, PGR_CONFIG_LOG_JSON);
	ck_assert_uint_eq(cfg->dbs.n, 3);
	ck_assert_uint_eq(cfg->users.n, 2);
	/* defaults hold for the databases of every file, whichever comes first */
	ck_assert_uint_eq(pgr_config_find_db(cfg, "c")->pooling.pool_size, 5);
	ck_assert_uint_eq(pgr_config_find_db(cfg, "a")->pooling.queue_timeout, 1000000);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_files_include_is_relative_to_its_own_file)
{
	struct pgr_config_pair pair;

	mkdir(path_of("sub[1]"), 0700);
	write_file("main.yaml", "include: ['sub[[]1]/one.yaml', nothing.*]\n", 0600);
	write_file("sub[1]/one.yaml", "include: two*.yaml\n", 0600);
	write_file("sub[1]/two.yaml", "workers: 2\n", 0600);
	pair = load_file_good("main.yaml");
	ck_assert_uint_eq(pair.config->workers, 2);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_files_duplicates_name_both_files)
{
	write_file("other.yaml", "databases:\n  a: {servers: [{host: h}]}\n", 0600);
	write_file("main.yaml", "include: other.yaml\ndatabases:\n  a: {servers: [{host: h}]}\n",
		0600);
	assert_file_error(
		"~/other.yaml:2:3: database \"a\" is defined twice (first at ~/main.yaml:3:3)");
	write_file("other.yaml", "log:\n  level: info\n", 0600);
	write_file("main.yaml", "log: {level: debug}\ninclude: other.yaml\n", 0600);
	assert_file_error(
		"~/other.yaml:2:3: \"log.level\" is set twice (first at ~/main.yaml:1:7)");
	write_file("other.yaml", "workers: 1\n", 0600);
	write_file("main.yaml", "workers: 2\ninclude: other.yaml\n", 0600);
	assert_file_error("~/other.yaml:1:1: \"workers\" is set twice (first at ~/main.yaml:1:1)");
}
END_TEST

START_TEST(test_config_files_wrong_includes_are_told_where_they_stand)
{
	write_file("main.yaml", "include:\n  - missing.yaml\n", 0600);
	assert_file_error("~/main.yaml:2:5: ~/missing.yaml: there is no such file");
	ck_assert_int_eq(symlink("loop", path_of("loop")), 0);
	write_file("main.yaml", "include: loop/*.yaml\n", 0600);
	assert_file_error("~/main.yaml:1:10: ~/loop/*.yaml: the folder cannot be read");
	write_file("main.yaml", "include: main.yaml\n", 0600);
	assert_file_error("~/main.yaml:1:10: ~/main.yaml: is included twice");
	write_file("main.yaml", "include: [o*.yaml, other.yaml]\n", 0600);
	write_file("other.yaml", "{}", 0600);
	assert_file_error("~/main.yaml:1:20: ~/other.yaml: is included twice");
	write_file("main.yaml", "include: {}\n", 0600);
	assert_file_error("~/main.yaml:1:10: include: must be a list of texts, not a mapping");
	write_file("main.yaml", "include: ['']\n", 0600);
	assert_file_error("~/main.yaml:1:11: include: must be a list of texts, not a quoted text");
}
END_TEST

START_TEST(test_config_files_depth_of_includes_is_bounded)
{
	char name[32], text[64];

	write_file("main.yaml", "include: i0.yaml\n", 0600);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "i%u.yaml", i);
		snprintf(text, sizeof(text), "include: i%u.yaml\n", i + 1);
		write_file(name, text, 0600);
	}
	assert_file_error("~/i7.yaml:1:10: include: files include each other too deeply");
}
END_TEST

START_TEST(test_config_files_errors_stand_in_the_order_of_files)
{
	struct pgr_config_pair pair = {0};

	write_file("other.yaml", "wrokers: 1\n", 0600);
	write_file("main.yaml", "include: other.yaml\nmax_clients: 0\n", 0600);
	ck_assert_int_eq(pgr_config_load(path_of("main.yaml"), &pair, &load_errors), PGR_FAIL);
	ck_assert_uint_eq(load_errors.n, 2);
	ck_assert_uint_eq(load_errors.list[0].line, 2);
	ck_assert_str_eq(load_errors.list[1].suggestion, "did you mean \"workers\"?");
}
END_TEST

START_TEST(test_config_files_password_file_is_read_without_its_newline)
{
	struct pgr_config_pair pair;
	const struct pgr_config *cfg;

	write_file("user", "p w \n", 0640);
	write_file("db", "dbpass\r\n", 0600);
	write_file("main.yaml",
		"databases: {a: {servers: [{host: h}], user: x, password_file: db}}\n"
		"users: {a: {password_file: user}}\n",
		0600);
	pair = load_file_good("main.yaml");
	cfg = pair.config;
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets,
			pgr_config_secret_at(cfg, pgr_config_find_user(cfg, "a"), 0)->text),
		"p w ");
	ck_assert_str_eq(
		pgr_config_secret_text(pair.secrets, pgr_config_find_db(cfg, "a")->password.text),
		"dbpass");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_files_bad_password_files_are_refused_unquoted)
{
	write_file("main.yaml", "users: {a: {password_file: pw}}\n", 0600);
	assert_file_error("~/main.yaml:1:28: ~/pw: cannot be read: No such file or directory");
	write_file("pw", "hunter2\n", 0604);
	assert_file_error(
		"~/main.yaml:1:28: ~/pw: everybody may read or write this file of a password");
	write_file("pw", "hunter2\n", 0602);
	assert_file_error(
		"~/main.yaml:1:28: ~/pw: everybody may read or write this file of a password");
	write_file("pw", "\n", 0600);
	assert_file_error("~/main.yaml:1:28: ~/pw: must hold one line with a password");
	write_file("pw", "hunter2\nhunter3\n", 0600);
	assert_file_error("~/main.yaml:1:28: ~/pw: must hold one line with a password");
	write_file("pw", "hunter2", 0600);
	write_file("main.yaml", "users: {a: {password: x, password_file: pw}}\n", 0600);
	assert_file_error(
		"~/main.yaml:1:41: password_file: password and password_file exclude each other");
	write_file("main.yaml",
		"databases: {a: {servers: [{host: h}], password_file: pw, password: x}}\n", 0600);
	assert_file_error(
		"~/main.yaml:1:68: password: password and password_file exclude each other");
}
END_TEST

START_TEST(test_config_files_packaged_default_is_right)
{
	const char *source = getenv("PGR_SOURCE");
	struct pgr_config_pair pair = {0};
	char path[400];
	enum pgr_rc rc;

	ck_assert_ptr_nonnull(source);
	snprintf(path, sizeof(path), "%s/packaging/pgroute.yaml", source);
	rc = pgr_config_load(path, &pair, &load_errors);
	if (rc != PGR_OK)
		pgr_config_errors_print(&load_errors, stderr);
	ck_assert_int_eq(rc, PGR_OK);
	pgr_config_free(&pair);
}
END_TEST

/* Does what the file includes look as it did when it was loaded? */
static bool
unchanged(const struct pgr_config_pair *pair)
{
	return pgr_config_included_now(pair->config) == pair->config->included;
}

START_TEST(test_config_files_included_are_seen_to_change)
{
	struct pgr_config_pair pair;

	mkdir(path_of("conf.d"), 0700);
	mkdir(path_of("conf.d/deep"), 0700);
	write_file("main.yaml", "include: [conf.d/*.yaml, none.d/*.yaml]\n", 0600);
	write_file("conf.d/a.yaml", "include: deep/*.yaml\n", 0600);
	pair = load_file_good("main.yaml");
	ck_assert_uint_eq(pair.config->includes.n, 3);
	ck_assert(unchanged(&pair));
	write_file("main.yaml", "include: [conf.d/*.yaml, none.d/*.yaml]\n# more\n", 0600);
	write_file("conf.d/README", "no configuration", 0600);
	ck_assert(unchanged(&pair));
	write_file("conf.d/deep/b.yaml", "workers: 2\n", 0600);
	ck_assert(!unchanged(&pair));
	unlink(path_of("conf.d/deep/b.yaml"));
	ck_assert(unchanged(&pair));
	write_file("conf.d/a.yaml", "include: deep/*.yaml\n# more\n", 0600);
	ck_assert(!unchanged(&pair));
	pgr_config_free(&pair);
	pair = load_file_good("main.yaml");
	unlink(path_of("conf.d/a.yaml"));
	ck_assert(!unchanged(&pair));
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_files_included_through_links_are_seen_to_change)
{
	struct pgr_config_pair pair;

	mkdir(path_of("conf.d"), 0700);
	mkdir(path_of("conf.d/.1"), 0700);
	mkdir(path_of("conf.d/.2"), 0700);
	write_file("main.yaml", "include: conf.d/*.yaml\n", 0600);
	write_file("conf.d/.1/a.yaml", "workers: 2\n", 0600);
	write_file("conf.d/.2/a.yaml", "workers: 3\n", 0600);
	ck_assert_int_eq(symlink(".1", path_of("conf.d/.data")), 0);
	ck_assert_int_eq(symlink(".data/a.yaml", path_of("conf.d/a.yaml")), 0);
	pair = load_file_good("main.yaml");
	ck_assert(unchanged(&pair));
	unlink(path_of("conf.d/.data"));
	ck_assert(!unchanged(&pair));
	ck_assert_int_eq(symlink(".2", path_of("conf.d/.data")), 0);
	ck_assert(!unchanged(&pair));
	pgr_config_free(&pair);
	pair = load_file_good("main.yaml");
	ck_assert_uint_eq(pair.config->workers, 3);
	ck_assert(unchanged(&pair));
	pgr_config_free(&pair);
	unlink(path_of("conf.d/.1/a.yaml"));
	unlink(path_of("conf.d/.2/a.yaml"));
	rmdir(path_of("conf.d/.1"));
	rmdir(path_of("conf.d/.2"));
	unlink(path_of("conf.d/.data"));
}
END_TEST

/* UNIT_MAIN has no fixture. */
int
main(void)
{
	const TTest *const tests[] = {test_config_files_that_cannot_be_read_are_told,
		test_config_files_included_are_merged_key_by_key,
		test_config_files_include_is_relative_to_its_own_file,
		test_config_files_duplicates_name_both_files,
		test_config_files_wrong_includes_are_told_where_they_stand,
		test_config_files_depth_of_includes_is_bounded,
		test_config_files_errors_stand_in_the_order_of_files,
		test_config_files_password_file_is_read_without_its_newline,
		test_config_files_bad_password_files_are_refused_unquoted,
		test_config_files_packaged_default_is_right,
		test_config_files_included_are_seen_to_change,
		test_config_files_included_through_links_are_seen_to_change};
	Suite *suite = suite_create("config_files");
	TCase *tcase = tcase_create("config_files");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, UNIT_TIMEOUT);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
