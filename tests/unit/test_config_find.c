/* config/find.c: which database, which user, what holds for both. */
#include "config_util.h"

#include "config/keys.h"

START_TEST(test_config_find_star_matches_any_run)
{
	ck_assert(pgr_config_match("*", ""));
	ck_assert(pgr_config_match("*", "anything"));
	ck_assert(pgr_config_match("tenant_*", "tenant_"));
	ck_assert(pgr_config_match("tenant_*", "tenant_1"));
	ck_assert(!pgr_config_match("tenant_*", "tenant"));
	ck_assert(pgr_config_match("*_dev", "shop_dev"));
	ck_assert(pgr_config_match("*_dev", "a_dev_dev"));
	ck_assert(!pgr_config_match("*_dev", "a_dev_"));
	ck_assert(pgr_config_match("a*b*c", "a-b-b-c"));
	ck_assert(pgr_config_match("a**c", "abc"));
	ck_assert(!pgr_config_match("a*b*c", "acb"));
	ck_assert(!pgr_config_match("abc", "abcd"));
	ck_assert(!pgr_config_match("abcd", "abc"));
	ck_assert(!pgr_config_match("a?c", "abc"));
}
END_TEST

/* A pattern made to cost: trying every split would not end within the test's time. */
START_TEST(test_config_find_hostile_pattern_is_quick)
{
	char name[64];

	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(!pgr_config_match(
			"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}
END_TEST

static const char *
found(const struct pgr_config *cfg, const char *name)
{
	const struct pgr_config_db *db = pgr_config_find_db(cfg, name);

	return db != NULL ? pgr_config_text(cfg, db->name) : "(none)";
}

START_TEST(test_config_find_db_takes_the_most_specific)
{
	struct pgr_config_pair pair = load_good("databases:\n"
						"  '*_*': {servers: [{host: h}]}\n"
						"  tenant_7: {servers: [{host: h}]}\n"
						"  'tenant_*': {servers: [{host: h}]}\n"
						"  'tenant_vip_*': {servers: [{host: h}]}\n"
						"  '*_vip_tenant': {servers: [{host: h}]}\n"
						"  app: {servers: [{host: h}]}\n"
						"  zoo: {servers: [{host: h}]}\n");
	const struct pgr_config *cfg = pair.config;

	ck_assert_uint_eq(cfg->db_exact, 3);
	ck_assert_str_eq(found(cfg, "app"), "app");
	ck_assert_str_eq(found(cfg, "zoo"), "zoo");
	ck_assert_str_eq(found(cfg, "tenant_7"), "tenant_7");
	ck_assert_str_eq(found(cfg, "tenant_8"), "tenant_*");
	ck_assert_str_eq(found(cfg, "tenant_vip_1"), "tenant_vip_*");
	ck_assert_str_eq(found(cfg, "a_b"), "*_*");
	ck_assert_str_eq(found(cfg, "tenant_*"), "tenant_*");
	ck_assert_str_eq(found(cfg, "App"), "(none)");
	ck_assert_str_eq(found(cfg, ""), "(none)");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_find_db_of_equal_patterns_takes_the_first_in_byte_order)
{
	struct pgr_config_pair pair = load_good(
		"databases: {'a*': {servers: [{host: h}]}, '*a': {servers: [{host: h}]}}\n");

	ck_assert_str_eq(found(pair.config, "aa"), "*a");
	ck_assert_str_eq(found(pair.config, "ab"), "a*");
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_find_user_by_name)
{
	struct pgr_config_pair pair = load_good("users: {b: {}, a: {}, d: {}, c: {}}\n");
	static const char *const names[] = {"a", "b", "c", "d"};

	for (unsigned i = 0; i < 4; i++)
		ck_assert_str_eq(pgr_config_text(pair.config,
					 pgr_config_find_user(pair.config, names[i])->name),
			names[i]);
	ck_assert_ptr_null(pgr_config_find_user(pair.config, "e"));
	ck_assert_ptr_null(pgr_config_find_user(pair.config, ""));
	ck_assert_ptr_null(pgr_config_find_user(pair.config, "aa"));
	pgr_config_free(&pair);
}
END_TEST

/* F14: limits and timeouts globally, per database and per user: the most specific wins. */
START_TEST(test_config_find_f14_pooling_most_specific_wins)
{
	struct pgr_config_pair pair = load_good(
		"defaults: {pool_size: 30, query_timeout: 1s, queue_timeout: 3s, pool_mode: statement}\n"
		"databases:\n"
		"  a: {servers: [{host: h}], pool_size: 40, query_timeout: 2s}\n"
		"  b: {servers: [{host: h}]}\n"
		"users:\n"
		"  u: {pool_size: 50, pool_mode: session}\n"
		"  v: {query_timeout: 0}\n");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_db *a = pgr_config_find_db(cfg, "a");
	const struct pgr_config_db *b = pgr_config_find_db(cfg, "b");
	const struct pgr_config_user *u = pgr_config_find_user(cfg, "u");
	const struct pgr_config_user *v = pgr_config_find_user(cfg, "v");
	struct pgr_config_pooling p;

	pgr_config_pooling(cfg, a, u, &p);
	ck_assert_uint_eq(p.pool_size, 50);
	ck_assert_uint_eq(p.query_timeout, 2000000);
	ck_assert_uint_eq(p.queue_timeout, 3000000);
	ck_assert_int_eq(p.pool_mode, PGR_CONFIG_SESSION);
	pgr_config_pooling(cfg, a, v, &p);
	ck_assert_uint_eq(p.pool_size, 40);
	ck_assert_uint_eq(
		p.query_timeout, 0); /* off, although the database and the default have one */
	ck_assert_int_eq(p.pool_mode, PGR_CONFIG_STATEMENT);
	pgr_config_pooling(cfg, b, v, &p);
	ck_assert_uint_eq(p.pool_size, 30);
	pgr_config_pooling(cfg, b, NULL, &p);
	ck_assert_uint_eq(p.query_timeout, 1000000);
	pgr_config_pooling(cfg, NULL, NULL, &p);
	ck_assert_uint_eq(p.pool_size, 30);
	ck_assert_uint_eq(p.server_lifetime, UINT64_C(3600000000));
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_find_every_user_key_overlays_its_own_field)
{
	struct pgr_config_pair pair = load_good(
		"databases: {a: {servers: [{host: h}]}}\n"
		"users: {u: {pool_mode: statement, pool_size: 103, min_pool_size: 102, reserve_pool_size: 101,\n"
		" reserve_pool_timeout: 104s, queue_timeout: 105s, query_timeout: 106s, transaction_timeout: 107s,\n"
		" idle_transaction_timeout: 108s, client_idle_timeout: 109s}}\n");
	const struct pgr_config *cfg = pair.config;
	struct pgr_config_pooling want = cfg->defaults;
	struct pgr_config_pooling p;

	want.pool_mode = PGR_CONFIG_STATEMENT;
	want.pool_size = 103;
	want.min_pool_size = 102;
	want.reserve_pool_size = 101;
	want.reserve_pool_timeout = 104 * PGR_USEC_PER_SEC;
	want.queue_timeout = 105 * PGR_USEC_PER_SEC;
	want.query_timeout = 106 * PGR_USEC_PER_SEC;
	want.transaction_timeout = 107 * PGR_USEC_PER_SEC;
	want.idle_transaction_timeout = 108 * PGR_USEC_PER_SEC;
	want.client_idle_timeout = 109 * PGR_USEC_PER_SEC;
	memset(&p, 0x55, sizeof(p));
	pgr_config_pooling(cfg, pgr_config_find_db(cfg, "a"), pgr_config_find_user(cfg, "u"), &p);
	for (size_t i = 0; i < pgr_keys_count; i++) {
		const struct pgr_key *key = &pgr_keys[i];

		if (key->home == PGR_HOME_POOLING)
			ck_assert_msg(memcmp(pgr_key_peek(key, &p), pgr_key_peek(key, &want),
					      pgr_key_size(key)) == 0,
				"%s", key->name);
	}
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_find_pooling_sizes_fit_together)
{
	struct pgr_config_pair pair = load_good(
		"databases: {a: {servers: [{host: h}], min_pool_size: 10, reserve_pool_size: 100}}\n"
		"users: {small: {pool_size: 4}, large: {pool_size: 1000}}\n");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_db *a = pgr_config_find_db(cfg, "a");
	struct pgr_config_pooling p;

	pgr_config_pooling(cfg, a, pgr_config_find_user(cfg, "small"), &p);
	ck_assert_uint_eq(p.pool_size, 4);
	ck_assert_uint_eq(p.min_pool_size, 4);
	ck_assert_uint_eq(p.reserve_pool_size, 100);
	pgr_config_pooling(cfg, a, pgr_config_find_user(cfg, "large"), &p);
	ck_assert_uint_eq(p.min_pool_size, 10);
	ck_assert_uint_eq(p.reserve_pool_size, 24);
	pgr_config_free(&pair);
}
END_TEST

START_TEST(test_config_find_client_limits_of_database_and_user_stay_apart)
{
	struct pgr_config_pair pair =
		load_good("databases: {a: {servers: [{host: h}], max_client_connections: 5}}\n"
			  "users: {u: {max_client_connections: 100}, v: {}}\n");
	const struct pgr_config *cfg = pair.config;
	const struct pgr_config_user *u = pgr_config_find_user(cfg, "u");
	struct pgr_config_pooling p;

	pgr_config_pooling(cfg, pgr_config_find_db(cfg, "a"), u, &p);
	ck_assert_uint_eq(p.max_client_connections, 5);
	ck_assert_uint_eq(u->max_client_connections, 100);
	ck_assert_uint_eq(pgr_config_find_user(cfg, "v")->max_client_connections, 0);
	pgr_config_free(&pair);
}
END_TEST

UNIT_MAIN("config_find", test_config_find_star_matches_any_run,
	test_config_find_hostile_pattern_is_quick, test_config_find_db_takes_the_most_specific,
	test_config_find_db_of_equal_patterns_takes_the_first_in_byte_order,
	test_config_find_user_by_name, test_config_find_f14_pooling_most_specific_wins,
	test_config_find_every_user_key_overlays_its_own_field,
	test_config_find_pooling_sizes_fit_together,
	test_config_find_client_limits_of_database_and_user_stay_apart)
