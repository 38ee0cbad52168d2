/* config/diff.c, show.c, reference.c: what a reload changes, what holds, what there is. */
#include "config_util.h"

#include <stdlib.h>

#include "config/keys.h"

static char told[20000];

static void
on_change(void *arg, const struct pgr_config_change *change)
{
	size_t n = strlen(told);

	ck_assert_ptr_eq(arg, told);
	pgr_config_change_text(change, told + n, sizeof(told) - n - 1);
	strcat(told, "\n");
}

/* Loads both and asserts the lines of their difference. */
static void
assert_diff(const char *from_text, const char *to_text, const char *lines)
{
	struct pgr_config_pair from = load_good(from_text);
	struct pgr_config_pair to = load_good(to_text);
	size_t count = 0;
	size_t n;

	told[0] = '\0';
	n = pgr_config_diff(&from, &to, on_change, told);
	ck_assert_str_eq(told, lines);
	for (const char *c = lines; *c != '\0'; c++)
		count += *c == '\n';
	ck_assert_uint_eq(n, count);
	pgr_config_free(&from);
	pgr_config_free(&to);
}

#define RICH                                                                                           \
	"listen: ['h:1', /run/x]\nhttp: null\ndns_servers: [10.0.0.1:53]\nlog: {level: debug}\n"            \
	"defaults: {pool_size: 7}\n"                                                                   \
	"databases: {a: {servers: [{host: h}], user: x, password: y}, 'b*': {servers: [{host: h}]}}\n" \
	"users: {a: {password: [p, q], pool_mode: session}}\n"

/* B53: nothing that did not change may look changed. Written differently, the same is meant. */
START_TEST(test_config_diff_b53_of_equal_configurations_is_empty)
{
	assert_diff("", "", "");
	assert_diff(RICH, RICH, "");
	assert_diff("defaults: {queue_timeout: 120s, pool_size: 20}\nlisten: 127.0.0.1:6432\n",
		"defaults: {queue_timeout: 2m}\nlisten: ['127.0.0.1:6432']\n", "");
	assert_diff(
		"users: {a: {}, b: {}}\ndatabases: {x: {servers: [{host: h}]}, y: {servers: [{host: h}]}}\n",
		"databases: {y: {servers: [{host: h}]}, x: {servers: [{host: h}]}}\nusers: {b: {}, a: {}}\n",
		"");
}
END_TEST

START_TEST(test_config_diff_tells_global_keys)
{
	assert_diff("", "log: {level: debug}\ntcp_keepalive: {idle: 10s}\nhttp: null\nworkers: 2\n",
		"workers: auto -> 2 (needs a restart)\n"
		"http: 127.0.0.1:9930 -> null (needs a restart)\n"
		"log.level: info -> debug\n"
		"tcp_keepalive.idle: 1m -> 10s\n");
	assert_diff("listen: ['h:1', '[::1]:2']\n", "listen: ['h:1', /run/x]\n",
		"listen: [h:1, [::1]:2] -> [h:1, /run/x:1] (needs a restart)\n");
}
END_TEST

/* B55: what a reload does not apply is named. */
START_TEST(test_config_diff_b55_keys_that_need_a_restart)
{
	assert_diff("run_as: a\ncontrol: /a\n",
		"run_as: b\ncontrol: /b\nsandbox: off\n",
		"run_as: a -> b (needs a restart)\n"
		"control: /a -> /b (needs a restart)\n"
		"sandbox: true -> false (needs a restart)\n");
}
END_TEST

START_TEST(test_config_diff_defaults_are_told_once)
{
	assert_diff(
		"defaults: {pool_size: 1}\ndatabases: {a: {servers: [{host: h}]}, b: {servers: [{host: h}]}}\n",
		"defaults: {pool_size: 2}\ndatabases: {a: {servers: [{host: h}]}, b: {servers: [{host: h}]}}\n",
		"defaults.pool_size: 1 -> 2\n");
}
END_TEST

START_TEST(test_config_diff_databases)
{
	assert_diff(
		"databases:\n  app: {servers: [{host: h}], pool_size: 20, dbname: d}\n  old: {servers: [{host: h}]}\n"
		"  'x*': {servers: [{host: h}]}\n",
		"databases:\n  app: {servers: [{host: i, port: 7}], pool_size: 40, query_timeout: 1s}\n"
		"  new: {servers: [{host: h}]}\n  'x*': {servers: [{host: h}], user: u}\n  'y*': {servers: [{host: h}]}\n",
		"databases.app.pool_size: 20 -> 40\n"
		"databases.app.query_timeout: default -> 1s\n"
		"databases.app.dbname: d -> null\n"
		"databases.app.servers: [{host: h, port: 5432, role: auto}] -> [{host: i, port: 7, role: auto}]\n"
		"databases.new: added\n"
		"databases.old: removed\n"
		"databases.x*.user: null -> u\n"
		"databases.y*: added\n");
}
END_TEST

START_TEST(test_config_diff_users_and_secrets_unshown)
{
	assert_diff(
		"users: {a: {password: hunter1}, b: {password: same}, c: {password: [x, y]}, d: {}, f: {password: [x]}}\n"
		"databases: {z: {servers: [{host: h}], password: hunter5}}\n",
		"users: {a: {password: hunter2}, b: {password: same}, c: {password: [x]}, e: {pool_size: 3}, f: {password: [x, y]}}\n"
		"databases: {z: {servers: [{host: h}], password: hunter6}}\n",
		"databases.z.password: (changed)\n"
		"users.a.password: (changed)\n"
		"users.c.password: (changed)\n"
		"users.d: removed\n"
		"users.e: added\n"
		"users.f.password: (changed)\n");
}
END_TEST

START_TEST(test_config_diff_patterns_come_after_names)
{
	assert_diff("databases: {'*': {servers: [{host: h}]}, m: {servers: [{host: h}]}}\n",
		"databases: {'*': {servers: [{host: h}]}, m: {servers: [{host: h}]}, z: {servers: [{host: h}]}}\n",
		"databases.z: added\n");
}
END_TEST

/* Texts are cut for showing, but not for comparing. */
START_TEST(test_config_diff_sees_changes_beyond_what_it_shows)
{
	char from[4000] = "dns_servers: [", to[4000];
	struct pgr_config_pair a, b;

	for (unsigned i = 0; i < 200; i++)
		sprintf(from + strlen(from), "10.0.0.%u:53, ", i);
	strcpy(to, from);
	strcat(from, "10.0.1.1:53]\n");
	strcat(to, "10.0.1.2:53]\n");
	a = load_good(from);
	b = load_good(to);
	told[0] = '\0';
	ck_assert_uint_eq(pgr_config_diff(&a, &b, on_change, told), 1);
	ck_assert(strncmp(told, "dns_servers: [10.0.0.0:53, ", 27) == 0);
	pgr_config_free(&a);
	pgr_config_free(&b);
}
END_TEST

static void
on_setting(void *arg, const struct pgr_config_setting *setting)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s=%s|%s%s\n", setting->path, setting->value,
		setting->fallback, setting->needs_restart ? "|restart" : "");
	++*(unsigned *)arg;
}

START_TEST(test_config_diff_each_shows_what_holds)
{
	struct pgr_config_pair pair = load_good(RICH);
	unsigned count = 0;

	told[0] = '\0';
	pgr_config_each(pair.config, on_setting, &count);
	ck_assert_uint_gt(count, 60);
	ck_assert_ptr_nonnull(strstr(told, "listen=[h:1, /run/x:1]|127.0.0.1:6432|restart\n"));
	ck_assert_ptr_nonnull(strstr(told, "\nhttp=null|127.0.0.1:9930|restart\n"));
	ck_assert_ptr_nonnull(strstr(told, "\ndns_servers=[10.0.0.1:53]|[]|restart\n"));
	ck_assert_ptr_nonnull(strstr(told, "\ndefaults.pool_size=7|20\n"));
	ck_assert_ptr_nonnull(strstr(told, "\ndefaults.read_write_split=false|false\n"));
	ck_assert_ptr_nonnull(strstr(told, "\nclient_tls.mode=disable|disable\n"));
	ck_assert_ptr_nonnull(strstr(told, "\ndatabases.a.user=x|null\n"));
	ck_assert_ptr_nonnull(strstr(told, "\ndatabases.a.password=(hidden)|null\n"));
	ck_assert_ptr_nonnull(
		strstr(told, "\ndatabases.b*.servers=[{host: h, port: 5432, role: auto}]|\n"));
	ck_assert_ptr_nonnull(strstr(told, "\nusers.a.pool_mode=session|transaction\n"));
	ck_assert_ptr_nonnull(strstr(told, "\nusers.a.password=(hidden)|null\n"));
	ck_assert_ptr_null(strstr(told, "databases.a.pool_size"));
	ck_assert_ptr_null(strstr(told, "password_file"));
	ck_assert_ptr_null(strstr(told, "include")); /* is not kept, so it must not look empty */
	pgr_config_free(&pair);
}
END_TEST

/* No password may be printed anywhere: each error that its key can make is provoked with a
 * recognisable one. */
START_TEST(test_config_diff_secrets_are_in_no_error)
{
	static const char *const wrong[] = {
		"users: {a: {password: {hunter2: hunter2x}}}",
		"users: {a: hunter2}",
		"users: {a: {password: [hunter2, [hunter2]]}}",
		"users: {a: {passwrod: hunter2}}",
		"users: {a: {password: 'SCRAM-SHA-256$hunter2'}}",
		"users: {a: {password: hunter2, password: hunter2}}",
		"users: {a: {password: \"hunter2\\0\"}}",
		"users: {a: {password: &hunter2}}",
		"users: {a: {password: !hunter2 x}}",
		"users: {a: {password: hunter2: x}}",
		"users: {a: {password: \"hunter2}}",
		"databases: {a: {password: [hunter2], servers: [{host: h}]}}",
		"databases: {a: {servers: [{host: h}], password: [hunter2]}}",
		"databases: {a: {servers: [{host: h}], password: 'SCRAM-SHA-256$4096:hunter2$x:y'}}",
		"users: {a: {password: 'hunter2${'}}",
		"users: {a: {password: 'hunter2${hunter2-x}'}}",
		"users: {a: {hunter2}}",
		"users: {a: {password, hunter2}}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		load_bad(wrong[i]);
		for (size_t k = 0; k < load_errors.n; k++)
			ck_assert_msg(
				strstr(error_line(k), "hunter2") == NULL, "%s", error_line(k));
	}
}
END_TEST

static char *
reference(enum pgr_config_format format)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	pgr_config_reference(out, format);
	fclose(out);
	return text;
}

START_TEST(test_config_diff_reference_has_every_key_in_both_formats)
{
	char *md = reference(PGR_CONFIG_MD);
	char *man = reference(PGR_CONFIG_MAN);
	char line[120];

	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];

		ck_assert_uint_gt(strlen(key->about), 5);
		if (key->type == PGR_KEY_GROUP)
			continue;
		snprintf(line, sizeof(line), "| `%s` |", key->name);
		ck_assert_msg(strstr(md, line) != NULL, "%s", key->name);
	}
	ck_assert_ptr_nonnull(strstr(man, ".TP\n\\fBpool_size\\fR (default: \\fB20\\fR)\n"));
	ck_assert_ptr_nonnull(
		strstr(man, ".TP\n\\fBtcp_keepalive\\&.idle\\fR (default: \\fB60s\\fR)\n"));
	free(md);
	free(man);
}
END_TEST

START_TEST(test_config_diff_reference_in_docs_is_the_tables)
{
	const char *source = getenv("PGR_SOURCE");
	char *want = reference(PGR_CONFIG_MD);
	char *have = calloc(1, 1 << 20);
	char path[400];
	FILE *file;

	ck_assert_ptr_nonnull(source);
	snprintf(path, sizeof(path), "%s/docs/SETTINGS.md", source);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(have, 1, (1 << 20) - 1, file), 0);
	fclose(file);
	ck_assert_msg(
		strcmp(want, have) == 0, "config-reference md >docs/SETTINGS.md makes it anew");
	free(want);
	free(have);
}
END_TEST

/* The loader and the overlay rely on these. */
START_TEST(test_config_diff_table_is_consistent)
{
	unsigned pooling = 0;

	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];

		pooling += key->home == PGR_HOME_POOLING;
		if (key->home == PGR_HOME_POOLING)
			ck_assert_msg(
				pgr_key_bit(key) == UINT64_C(1) << (pooling - 1), "%s", key->name);
		ck_assert_msg((key->type == PGR_KEY_WORD) == (key->words != NULL), "%s", key->name);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(strcmp(key->name, pgr_keys[j].name) != 0 ||
					(key->where & pgr_keys[j].where) == 0,
				"%s twice", key->name);
	}
	ck_assert_uint_le(pooling, 64);
}
END_TEST

UNIT_MAIN("config_diff", test_config_diff_b53_of_equal_configurations_is_empty,
	test_config_diff_tells_global_keys, test_config_diff_b55_keys_that_need_a_restart,
	test_config_diff_defaults_are_told_once, test_config_diff_databases,
	test_config_diff_users_and_secrets_unshown, test_config_diff_patterns_come_after_names,
	test_config_diff_sees_changes_beyond_what_it_shows, test_config_diff_each_shows_what_holds,
	test_config_diff_secrets_are_in_no_error,
	test_config_diff_reference_has_every_key_in_both_formats,
	test_config_diff_reference_in_docs_is_the_tables, test_config_diff_table_is_consistent)
