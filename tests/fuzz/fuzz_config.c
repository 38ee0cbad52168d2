/*
 * The configuration file: config/config.h. Input: the text. What loads must hold what config.h
 * promises; what does not must say why in printable lines.
 */
#include "fuzz.h"

#include "config/config.h"

static void
check_errors(const struct pgr_config_errors *errors)
{
	char line[800];
	int n;

	FUZZ_CHECK(errors->n > 0 && errors->n <= PGR_CONFIG_ERRORS_MAX);
	for (size_t i = 0; i < errors->n; i++) {
		n = pgr_config_error_text(&errors->list[i], line, sizeof(line));
		FUZZ_CHECK(n > 0 && (size_t)n < sizeof(line));
		for (const char *c = line; *c != '\0'; c++)
			FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
		if (i > 0)
			FUZZ_CHECK(errors->list[i - 1].line <= errors->list[i].line);
	}
}

static void
check_user(const struct pgr_config_pair *pair, const struct pgr_config_db *db,
	const struct pgr_config_user *user)
{
	struct pgr_config_pooling p;

	pgr_config_pooling(pair->config, db, user, &p);
	FUZZ_CHECK(p.pool_size >= 1 && p.min_pool_size <= p.pool_size);
	FUZZ_CHECK(p.pool_size + p.reserve_pool_size <= PGR_CONFIG_PLACES_MAX);
	for (uint32_t i = 0; user != NULL && i < user->secrets.n; i++) {
		const struct pgr_config_secret *secret =
			pgr_config_secret_at(pair->config, user, i);

		FUZZ_CHECK(secret != NULL && secret->kind != PGR_CONFIG_SECRET_NONE);
		FUZZ_CHECK(pgr_config_secret_text(pair->secrets, secret->text)[0] != '\0');
	}
}

static void
check_db(const struct pgr_config_pair *pair, const struct pgr_config_db *db)
{
	const struct pgr_config *cfg = pair->config;
	const struct pgr_config_server *server = pgr_config_server_at(cfg, db, 0);

	FUZZ_CHECK(pgr_config_text(cfg, db->name)[0] != '\0');
	FUZZ_CHECK(pgr_config_find_db(cfg, pgr_config_text(cfg, db->name)) != NULL);
	FUZZ_CHECK(db->is_pattern || pgr_config_find_db(cfg, pgr_config_text(cfg, db->name)) == db);
	FUZZ_CHECK(server != NULL && server->port >= 1 && server->port <= 65535);
	FUZZ_CHECK(pgr_config_text(cfg, server->host)[0] != '\0');
	check_user(pair, db, NULL);
	for (uint32_t i = 0; i < cfg->users.n && i < 20; i++)
		check_user(pair, db, pgr_config_user_at(cfg, i));
}

static void
on_setting(void *arg, const struct pgr_config_setting *setting)
{
	FUZZ_CHECK(setting->path[0] != '\0' && setting->value != NULL);
	++*(size_t *)arg;
}

static void
on_change(void *arg, const struct pgr_config_change *change)
{
	(void)arg;
	(void)change;
	FUZZ_CHECK(!"a configuration differs from itself");
}

static void
check_pair(const struct pgr_config_pair *pair)
{
	const struct pgr_config *cfg = pair->config;
	size_t settings = 0;

	for (uint32_t i = 0; i < cfg->dbs.n && i < 50; i++)
		check_db(pair, pgr_config_db_at(cfg, i));
	for (uint32_t i = 0; i < cfg->users.n; i++) {
		const struct pgr_config_user *user = pgr_config_user_at(cfg, i);

		FUZZ_CHECK(pgr_config_find_user(cfg, pgr_config_text(cfg, user->name)) == user);
		check_user(pair, NULL, user);
	}
	FUZZ_CHECK(cfg->listen.n > 0 && pgr_config_listen_at(cfg, 0)->port != 0);
	pgr_config_each(cfg, on_setting, &settings);
	FUZZ_CHECK(settings > 60);
	FUZZ_CHECK(pgr_config_diff(pair, pair, on_change, NULL) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pgr_config_errors errors;
	struct pgr_config_pair pair = {0};
	char *text = fuzz_copy(data, size);

	if (pgr_config_load_text("fuzz.yaml", text, size, &pair, &errors) != PGR_OK) {
		FUZZ_CHECK(pair.config == NULL);
		check_errors(&errors);
	} else {
		check_pair(&pair);
		pgr_config_free(&pair);
	}
	free(text);
	return 0;
}
