/*
 * Sessions in the admin console. Both protocols: drivers send Parse and Bind whatever they are asked. A
 * session holds no server connection and needs no pool, so it is there when nothing else is. Called by
 * login.c, client.c and the loop; what takes time is console_order.c's.
 *
 * Must stay true: while a command waits no further message is looked at, but the socket is read, so
 * that the end of the peer is seen.
 */
#include "worker/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "proto/error.h"
#include "proto/wire.h"
#include "worker/client.h"
#include "worker/login.h"
#include "worker/settings.h"

#define MESSAGE_MOST (1u << 20)
#define KEPT_MOST 65536u /* of input that waits, beyond what a message in hand needs */
#define TURN_MESSAGES 16 /* before others have their turn: each may be a SHOW */
#define HELD_MOST 256    /* statements and portals of a session */

static char output[65536];
static size_t output_len;

void
pgr_console_flush(struct pgr_client *c)
{
	if (output_len > 0)
		(void)pgr_stream_write(&c->io, output, output_len); /* a broken one shows at its read */
	output_len = 0;
}

void
pgr_console_put(struct pgr_client *c, const void *bytes, size_t len)
{
	if (len > sizeof(output) - output_len)
		pgr_console_flush(c);
	memcpy(output + output_len, bytes, len);
	output_len += len;
}

static void
put_bare(struct pgr_client *c, char type)
{
	char bytes[PGR_WIRE_HEADER];

	pgr_console_put(c, bytes, pgr_wire_bare(bytes, type));
}

static void
put_text(struct pgr_client *c, char type, const char *text)
{
	char bytes[PGR_WIRE_HEADER + 64];
	size_t len = strlen(text) + 1;

	memcpy(pgr_wire_header(bytes, type, len), text, len);
	pgr_console_put(c, bytes, PGR_WIRE_HEADER + len);
}

static void
put_ready(struct pgr_client *c)
{
	char bytes[PGR_WIRE_HEADER + 1];

	pgr_console_put(c, bytes, pgr_wire_ready(bytes, c->console->status));
}

static void
put_error(struct pgr_client *c, enum pgr_severity severity, const struct pgr_err *given)
{
	struct pgr_err err = *given;
	char text[PGR_ERROR_MOST];
	struct pgr_out out;

	/* it may name what the client has sent */
	pgr_utf8_copy(err.message, given->message, sizeof(err.message) - 1);
	pgr_out_init(&out, text, sizeof(text));
	pgr_error_write(&out, severity, &err);
	pgr_console_put(c, text, out.len);
}

void
pgr_console_notice(struct pgr_client *c, const char *text, size_t len)
{
	struct pgr_err err = {.sqlstate = "00000"};

	snprintf(err.message, sizeof(err.message), "%.*s", (int)PGR_MIN(len, sizeof(err.message) - 1), text);
	put_error(c, PGR_SEVERITY_NOTICE, &err);
}

/* -- the end of a command */

static void
complete(struct pgr_client *c, const struct pgr_verb *verb)
{
	struct pgr_console *console = c->console;
	bool failed = console->status == PGR_TXN_FAILED;

	if (verb->kind == PGR_VERB_EMPTY)
		put_bare(c, PGR_MSG_EMPTY_QUERY);
	else
		put_text(c, PGR_MSG_COMMAND_COMPLETE,
			pgr_verb_tag(failed ? PGR_VERB_ROLLBACK : verb->kind));
	if (verb->kind == PGR_VERB_BEGIN)
		console->status = PGR_TXN_OPEN;
	else if (verb->kind == PGR_VERB_COMMIT || verb->kind == PGR_VERB_ROLLBACK)
		console->status = PGR_TXN_IDLE;
	if (console->simple)
		put_ready(c);
}

static void
fail(struct pgr_client *c, const struct pgr_err *err)
{
	struct pgr_console *console = c->console;

	put_error(c, PGR_SEVERITY_ERROR, err);
	if (console->status == PGR_TXN_OPEN)
		console->status = PGR_TXN_FAILED;
	if (console->simple)
		put_ready(c);
	else
		console->skipping = true;
}

void
pgr_console_done(struct pgr_worker *w, struct pgr_client *c)
{
	c->console->wait = PGR_CONSOLE_IDLE;
	complete(c, &c->console->verb);
	pgr_console_flush(c);
	pgr_worker_yield(w, &c->watch);
}

void
pgr_console_failed(struct pgr_worker *w, struct pgr_client *c, const struct pgr_err *err)
{
	c->console->wait = PGR_CONSOLE_IDLE;
	fail(c, err);
	pgr_console_flush(c);
	pgr_worker_yield(w, &c->watch);
}

/* -- statements and portals */

static struct pgr_console_statement *
find_statement(struct pgr_console *console, const char *name)
{
	for (struct pgr_list *at = console->statements.next; at != &console->statements; at = at->next) {
		struct pgr_console_statement *st = PGR_LIST_ENTRY(at, struct pgr_console_statement, all);

		if (strcmp(st->name, name) == 0)
			return st;
	}
	return NULL;
}

static struct pgr_console_portal *
find_portal(struct pgr_console *console, const char *name)
{
	for (struct pgr_list *at = console->portals.next; at != &console->portals; at = at->next) {
		struct pgr_console_portal *portal = PGR_LIST_ENTRY(at, struct pgr_console_portal, all);

		if (strcmp(portal->name, name) == 0)
			return portal;
	}
	return NULL;
}

static void
drop_statement(struct pgr_console *console, struct pgr_console_statement *st)
{
	if (st == NULL)
		return;
	pgr_list_remove(&st->all);
	free(st);
	console->held--;
}

static void
drop_portal(struct pgr_console *console, struct pgr_console_portal *portal)
{
	if (portal == NULL)
		return;
	pgr_list_remove(&portal->all);
	free(portal);
	console->held--;
}

/* -- commands */

/* The role of this moment: a reload may have changed it. */
static enum pgr_rc
check_role(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb, struct pgr_err *err)
{
	const char *user = pgr_client_rec(w, c)->user;

	switch (pgr_config_console_role(w->config, user)) {
	case PGR_CONSOLE_RULES:
		return PGR_OK;
	case PGR_CONSOLE_LOOKS:
		if (pgr_verb_looks(verb->kind))
			return PGR_OK;
		pgr_err_set(err, "42501", "permission denied: user \"%s\" may only SHOW", user);
		return pgr_err_hint(err, "Who may do more is listed in admin.users.");
	case PGR_CONSOLE_STRANGER:
		break;
	}
	pgr_err_set(err, "42501", "permission denied: user \"%s\" is no user of the console any more", user);
	return pgr_err_hint(err, "Its users are listed in admin.users and admin.stats_users.");
}

static enum pgr_rc
check_command(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb, struct pgr_err *err)
{
	if (c->console->status == PGR_TXN_FAILED && verb->kind != PGR_VERB_COMMIT &&
		verb->kind != PGR_VERB_ROLLBACK)
		return pgr_err_set(err, "25P02",
			"current transaction is aborted, commands ignored until end of transaction block");
	return check_role(w, c, verb, err);
}

static void
show_help(struct pgr_client *c)
{
	const char *help = pgr_verb_help;

	while (*help != '\0') {
		size_t len = strcspn(help, "\n");

		pgr_console_notice(c, help, len);
		help += len + (help[len] == '\n');
	}
}

static void
show(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb,
	struct pgr_console_portal *portal, uint32_t most)
{
	struct pgr_err err;
	uint64_t sent = 0;
	bool more = false;

	if (verb->show == PGR_VERB_SHOW_HELP) {
		show_help(c);
	} else if (pgr_console_rows(w, c, verb, portal, portal == NULL, most, &sent, &more, &err) != PGR_OK) {
		fail(c, &err);
		return;
	}
	if (portal != NULL)
		portal->rows += sent;
	if (more)
		put_bare(c, PGR_MSG_PORTAL_SUSPENDED);
	else
		complete(c, verb);
}

static void
deallocate(struct pgr_client *c, const struct pgr_verb *verb)
{
	struct pgr_console *console = c->console;
	struct pgr_console_statement *st = find_statement(console, verb->statement);
	struct pgr_err err;

	if (verb->statement[0] == '\0') {
		while (!pgr_list_empty(&console->statements))
			drop_statement(console, PGR_LIST_ENTRY(console->statements.next,
				struct pgr_console_statement, all));
	} else if (st == NULL) {
		pgr_err_set(&err, "26000", "prepared statement \"%s\" does not exist", verb->statement);
		fail(c, &err);
		return;
	}
	if (verb->statement[0] != '\0')
		drop_statement(console, st);
	complete(c, verb);
}

/* portal: NULL for a Query. */
static void
run(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb,
	struct pgr_console_portal *portal, uint32_t most)
{
	struct pgr_console *console = c->console;
	struct pgr_err err;

	console->simple = portal == NULL;
	if (check_command(w, c, verb, &err) != PGR_OK) {
		fail(c, &err);
		return;
	}
	if (verb->kind == PGR_VERB_SHOW) {
		show(w, c, verb, portal, most);
		return;
	}
	if (verb->kind == PGR_VERB_DEALLOCATE || verb->kind == PGR_VERB_DISCARD) {
		deallocate(c, verb);
		return;
	}
	if (pgr_verb_looks(verb->kind)) {
		complete(c, verb);
		return;
	}
	pgr_log(PGR_LOG_INFO, "console", "user \"%s\": %s %s", pgr_client_rec(w, c)->user,
		pgr_verb_tag(verb->kind), verb->database);
	console->verb = *verb;
	console->since = w->now;
	switch (pgr_console_order(w, c, &err)) {
	case PGR_OK:
		complete(c, verb);
		break;
	case PGR_AGAIN:
		break;
	case PGR_FAIL:
	case PGR_CLOSED:
		console->wait = PGR_CONSOLE_IDLE;
		fail(c, &err);
		break;
	}
}

/* -- messages */

static enum pgr_rc
malformed(struct pgr_err *err)
{
	return pgr_err_set(err, "08P01", "invalid message format");
}

static void
on_query(struct pgr_worker *w, struct pgr_client *c, const char *p, const char *end)
{
	ptrdiff_t len = pgr_wire_string(p, end);
	struct pgr_verb verb;
	struct pgr_err err;
	enum pgr_rc rc;

	c->console->simple = true;
	rc = len < 0 || p + len + 1 != end ? malformed(&err) : pgr_verb_parse(p, (size_t)len, &verb, &err);
	if (rc == PGR_OK)
		run(w, c, &verb, NULL, 0);
	else
		fail(c, &err);
}

/* Portals last as long as a transaction; without one until Sync. */
static void
drop_portals(struct pgr_console *console)
{
	while (!pgr_list_empty(&console->portals))
		drop_portal(console, PGR_LIST_ENTRY(console->portals.next, struct pgr_console_portal, all));
}

/* A String of at most 63 bytes, which all names are cut to; moves *p behind it. */
static bool
take_name(const char **p, const char *end, char name[PGR_NAME_MAX])
{
	ptrdiff_t len = pgr_wire_string(*p, end);

	if (len < 0)
		return false;
	snprintf(name, PGR_NAME_MAX, "%.63s", *p);
	*p += len + 1;
	return true;
}

static bool
take16(const char **p, const char *end, uint16_t *ret)
{
	if (end - *p < 2)
		return false;
	*ret = pgr_get16(*p);
	*p += 2;
	return true;
}

static enum pgr_rc
check_room(struct pgr_console *console, struct pgr_err *err)
{
	return console->held < HELD_MOST
		? PGR_OK
		: pgr_err_set(err, "54000", "too many prepared statements and portals in the console");
}

static enum pgr_rc
on_parse(struct pgr_client *c, const char *p, const char *end, struct pgr_err *err)
{
	struct pgr_console *console = c->console;
	struct pgr_console_statement *st;
	struct pgr_verb verb;
	char name[PGR_NAME_MAX];
	ptrdiff_t len;

	if (!take_name(&p, end, name) || (len = pgr_wire_string(p, end)) < 0)
		return malformed(err);
	if (name[0] != '\0' && find_statement(console, name) != NULL)
		return pgr_err_set(err, "42P05", "prepared statement \"%s\" already exists", name);
	drop_statement(console, find_statement(console, name));
	if (pgr_verb_parse(p, (size_t)len, &verb, err) != PGR_OK || check_room(console, err) != PGR_OK)
		return PGR_FAIL;
	st = calloc(1, sizeof(*st));
	if (st == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	st->verb = verb;
	memcpy(st->name, name, sizeof(st->name));
	pgr_list_push(&console->statements, &st->all);
	console->held++;
	put_bare(c, PGR_MSG_PARSE_COMPLETE);
	return PGR_OK;
}

/* Behind the names: formats and values of parameters, of which there are none, and formats of results. */
static enum pgr_rc
read_formats(const char *p, const char *end, struct pgr_console_portal *portal, struct pgr_err *err)
{
	uint16_t n;
	uint16_t ignored;

	if (!take16(&p, end, &n))
		return malformed(err);
	while (n-- > 0)
		if (!take16(&p, end, &ignored))
			return malformed(err);
	if (!take16(&p, end, &n))
		return malformed(err);
	if (n != 0)
		return pgr_err_set(err, "08P01",
			"bind message supplies %u parameters, but prepared statement requires 0", n);
	if (!take16(&p, end, &n))
		return malformed(err);
	if (n > PGR_ROW_CELLS)
		return pgr_err_set(err, "08P01", "bind message has %u result formats", n);
	portal->formats = n;
	for (uint16_t i = 0; i < n; i++)
		if (!take16(&p, end, &portal->format[i]) || portal->format[i] > 1)
			return malformed(err);
	return p == end ? PGR_OK : malformed(err);
}

static enum pgr_rc
on_bind(struct pgr_client *c, const char *p, const char *end, struct pgr_err *err)
{
	struct pgr_console *console = c->console;
	struct pgr_console_portal made = {.formats = 0};
	struct pgr_console_portal *portal;
	struct pgr_console_statement *st;
	char name[PGR_NAME_MAX];

	if (!take_name(&p, end, made.name) || !take_name(&p, end, name))
		return malformed(err);
	st = find_statement(console, name);
	if (st == NULL)
		return pgr_err_set(err, "26000", "prepared statement \"%s\" does not exist", name);
	if (read_formats(p, end, &made, err) != PGR_OK)
		return PGR_FAIL;
	if (made.name[0] != '\0' && find_portal(console, made.name) != NULL)
		return pgr_err_set(err, "42P03", "portal \"%s\" already exists", made.name);
	drop_portal(console, find_portal(console, made.name));
	if (check_room(console, err) != PGR_OK)
		return PGR_FAIL;
	portal = malloc(sizeof(*portal));
	if (portal == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	*portal = made;
	portal->verb = st->verb;
	pgr_list_init(&portal->all);
	pgr_list_push(&console->portals, &portal->all);
	console->held++;
	put_bare(c, PGR_MSG_BIND_COMPLETE);
	return PGR_OK;
}

static enum pgr_rc
no_portal(const char *name, struct pgr_err *err)
{
	return pgr_err_set(err, "34000", "portal \"%s\" does not exist", name);
}

static enum pgr_rc
describe(struct pgr_worker *w, struct pgr_client *c, const struct pgr_verb *verb,
	const struct pgr_console_portal *portal, struct pgr_err *err)
{
	if (verb->kind != PGR_VERB_SHOW || verb->show == PGR_VERB_SHOW_HELP) {
		put_bare(c, PGR_MSG_NO_DATA);
		return PGR_OK;
	}
	return pgr_console_describe(w, c, verb, portal, err);
}

static enum pgr_rc
on_describe(struct pgr_worker *w, struct pgr_client *c, const char *p, const char *end, struct pgr_err *err)
{
	char kind = p < end ? *p++ : '\0';
	const struct pgr_console_statement *st;
	const struct pgr_console_portal *portal;
	char bytes[PGR_WIRE_HEADER + 2];
	char name[PGR_NAME_MAX];

	if (!take_name(&p, end, name) || p != end || (kind != 'S' && kind != 'P'))
		return malformed(err);
	if (kind == 'P') {
		portal = find_portal(c->console, name);
		return portal == NULL ? no_portal(name, err) : describe(w, c, &portal->verb, portal, err);
	}
	st = find_statement(c->console, name);
	if (st == NULL)
		return pgr_err_set(err, "26000", "prepared statement \"%s\" does not exist", name);
	pgr_put16(pgr_wire_header(bytes, PGR_MSG_PARAMETER_DESCRIPTION, 2), 0);
	pgr_console_put(c, bytes, sizeof(bytes));
	return describe(w, c, &st->verb, NULL, err);
}

static enum pgr_rc
on_execute(struct pgr_worker *w, struct pgr_client *c, const char *p, const char *end, struct pgr_err *err)
{
	struct pgr_console_portal *portal;
	char name[PGR_NAME_MAX];

	if (!take_name(&p, end, name) || end - p != 4)
		return malformed(err);
	portal = find_portal(c->console, name);
	if (portal == NULL)
		return no_portal(name, err);
	run(w, c, &portal->verb, portal, pgr_get32(p) & INT32_MAX);
	return PGR_OK;
}

static enum pgr_rc
on_close(struct pgr_client *c, const char *p, const char *end, struct pgr_err *err)
{
	char kind = p < end ? *p++ : '\0';
	char name[PGR_NAME_MAX];

	if (!take_name(&p, end, name) || p != end || (kind != 'S' && kind != 'P'))
		return malformed(err);
	if (kind == 'S')
		drop_statement(c->console, find_statement(c->console, name));
	else
		drop_portal(c->console, find_portal(c->console, name));
	put_bare(c, PGR_MSG_CLOSE_COMPLETE);
	return PGR_OK;
}

static enum pgr_rc
on_extended(struct pgr_worker *w, struct pgr_client *c, char type, const char *p, const char *end,
	struct pgr_err *err)
{
	switch (type) {
	case PGR_MSG_PARSE:
		return on_parse(c, p, end, err);
	case PGR_MSG_BIND:
		return on_bind(c, p, end, err);
	case PGR_MSG_DESCRIBE:
		return on_describe(w, c, p, end, err);
	case PGR_MSG_EXECUTE:
		return on_execute(w, c, p, end, err);
	case PGR_MSG_CLOSE:
		return on_close(c, p, end, err);
	case PGR_MSG_FLUSH:
		return PGR_OK; /* whatever there is has been sent */
	default:
		return pgr_err_set(err, "0A000", "function calls are not supported in the console");
	}
}

static void
on_sync(struct pgr_client *c)
{
	struct pgr_console *console = c->console;

	console->skipping = false;
	if (console->status == PGR_TXN_IDLE)
		drop_portals(console);
	put_ready(c);
}

static void
violated(struct pgr_worker *w, struct pgr_client *c, const char *sqlstate, const char *what)
{
	struct pgr_err err;

	pgr_stat_add(&w->stats->protocol_violations, 1);
	pgr_err_set(&err, sqlstate, "%s", what);
	pgr_console_flush(c);
	pgr_client_fatal(w, c, &err);
}

static void
on_message(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t size)
{
	struct pgr_console *console = c->console;
	const char *body = p + PGR_WIRE_HEADER;
	struct pgr_err err;

	switch (p[0]) {
	case PGR_MSG_TERMINATE:
		c->leaving = true;
		pgr_client_finish(w, c);
		break;
	case PGR_MSG_SYNC:
		on_sync(c);
		break;
	case PGR_MSG_QUERY:
		if (!console->skipping)
			on_query(w, c, body, p + size);
		break;
	case PGR_MSG_COPY_DATA: /* late ones are ignored, as a server does */
	case PGR_MSG_COPY_DONE:
	case PGR_MSG_COPY_FAIL:
		break;
	case PGR_MSG_PARSE:
	case PGR_MSG_BIND:
	case PGR_MSG_DESCRIBE:
	case PGR_MSG_EXECUTE:
	case PGR_MSG_CLOSE:
	case PGR_MSG_FLUSH:
	case PGR_MSG_FUNCTION_CALL:
		if (console->skipping)
			break;
		console->simple = p[0] == PGR_MSG_FUNCTION_CALL;
		if (on_extended(w, c, p[0], body, p + size, &err) != PGR_OK)
			fail(c, &err);
		break;
	default:
		violated(w, c, "08P01", "invalid frontend message type");
		break;
	}
}

/* -- input */

/* Bytes of the message in hand; 0: its header is not there yet. False: it ended the session. */
static bool
message_size(struct pgr_worker *w, struct pgr_client *c, const char *p, size_t have, size_t *ret)
{
	*ret = 0;
	if (have < PGR_WIRE_HEADER)
		return true;
	*ret = pgr_wire_size(p);
	if (*ret == 0) {
		violated(w, c, "08P01", "invalid message length");
		return false;
	}
	if (*ret > MESSAGE_MOST) {
		violated(w, c, "54000", "message is too long for the console");
		return false;
	}
	return true;
}

static bool
ready(const struct pgr_client *c)
{
	return c->state == PGR_SESSION_CONSOLE && c->console->wait == PGR_CONSOLE_IDLE &&
		!pgr_stream_blocked(&c->io);
}

/* Goes over whole messages. True: there may be more of them, for another turn. */
static bool
feed(struct pgr_worker *w, struct pgr_client *c)
{
	unsigned left = TURN_MESSAGES;
	size_t at = 0;
	size_t size = 0;

	c->in_need = 0;
	while (ready(c) && left > 0 && message_size(w, c, c->in + at, c->in_len - at, &size) && size != 0) {
		if (size > c->in_len - at) {
			c->in_need = (uint32_t)size;
			break;
		}
		on_message(w, c, c->in + at, size);
		pgr_console_flush(c);
		at += size;
		left--;
	}
	if (c->state != PGR_SESSION_CONSOLE)
		return false;
	c->in_len -= (uint32_t)at;
	memmove(c->in, c->in + at, c->in_len);
	return left == 0 && ready(c);
}

/* False: nothing came, or the peer has gone. */
static bool
read_some(struct pgr_worker *w, struct pgr_client *c)
{
	size_t n;
	enum pgr_rc rc = pgr_stream_read(&c->io, w->buffer, PGR_BUFFER, &n);
	char *bigger;

	if (rc == PGR_AGAIN)
		return false;
	if (rc == PGR_CLOSED) {
		c->gone = true;
		pgr_client_drop(w, c);
		return false;
	}
	bigger = realloc(c->in, c->in_len + n);
	if (bigger == NULL) {
		pgr_client_drop(w, c);
		return false;
	}
	memcpy(bigger + c->in_len, w->buffer, n);
	c->in = bigger;
	c->in_len += (uint32_t)n;
	c->in_cap = c->in_len;
	return true;
}

void
pgr_console_event(struct pgr_worker *w, struct pgr_client *c)
{
	unsigned left = PGR_TURN_READS;

	if (pgr_stream_blocked(&c->io) && pgr_stream_drain(&c->io) == PGR_CLOSED) {
		pgr_client_drop(w, c);
		return;
	}
	while (!pgr_stream_blocked(&c->io)) {
		if (c->in_len > 0 && feed(w, c)) {
			pgr_worker_yield(w, &c->watch);
			return;
		}
		if (c->state != PGR_SESSION_CONSOLE || !c->io.readable)
			return;
		if (c->in_len >= KEPT_MOST && c->in_len >= c->in_need) {
			if (c->io.hangup) /* who sends that much into a command that waits is not missed */
				pgr_client_drop(w, c);
			return;
		}
		if (!read_some(w, c))
			return;
		if (--left == 0) {
			pgr_worker_yield(w, &c->watch);
			return;
		}
	}
}

void
pgr_console_poll(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->console->wait != PGR_CONSOLE_IDLE)
		pgr_console_order_poll(w, c);
}

void
pgr_console_cancel(struct pgr_worker *w, struct pgr_client *c)
{
	struct pgr_err err;

	if (c->console->wait != PGR_CONSOLE_DRAIN)
		return;
	pgr_console_order_drop(w, c);
	pgr_err_set(&err, "57014", "canceling statement due to user request");
	pgr_console_failed(w, c, &err);
}

/* -- begin and end */

static void
put_parameter(struct pgr_vec *vec, const char *name, const char *value)
{
	size_t name_len = strlen(name) + 1;
	size_t value_len = strlen(value) + 1;
	char *body = pgr_wire_header(pgr_vec_room(vec, PGR_WIRE_HEADER + name_len + value_len),
		PGR_MSG_PARAMETER_STATUS, name_len + value_len);

	memcpy(body, name, name_len);
	memcpy(body + name_len, value, value_len);
}

static void
greet(struct pgr_worker *w, struct pgr_client *c)
{
	static const char *const parameters[][2] = {
		{"server_version", "1.25.0/pgroute"}, /* whose language it speaks */
		{"server_encoding", "UTF8"},
		{"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"},
		{"TimeZone", "GMT"},
		{"IntervalStyle", "postgres"},
		{"integer_datetimes", "on"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "off"},
	};
	struct pgr_client_rec *rec = pgr_client_rec(w, c);

	pgr_put32(pgr_wire_header(pgr_vec_room(&w->back, 9), PGR_MSG_AUTHENTICATION, 4), PGR_AUTH_OK);
	for (size_t i = 0; i < PGR_COUNT_OF(parameters); i++)
		put_parameter(&w->back, parameters[i][0], parameters[i][1]);
	put_parameter(&w->back, "session_authorization", rec->user);
	put_parameter(&w->back, "application_name", rec->application);
	pgr_login_put_key(w, c, &w->back);
	pgr_wire_ready(pgr_vec_room(&w->back, PGR_WIRE_HEADER + 1), PGR_TXN_IDLE);
	(void)pgr_stream_send(&c->io, &w->back);
}

static void
count(struct pgr_worker *w, int change)
{
	_Atomic uint32_t *consoles = &pgr_shm_proc(w->shm, w->self)->consoles;

	atomic_store(consoles, atomic_load(consoles) + (uint32_t)change);
}

enum pgr_rc
pgr_console_begin(struct pgr_worker *w, struct pgr_client *c, const char *user, struct pgr_err *err)
{
	struct pgr_client_rec *rec = pgr_client_rec(w, c);

	if (pgr_config_console_role(w->config, user) == PGR_CONSOLE_STRANGER) {
		pgr_err_set(err, "42501", "permission denied for database \"pgroute\"");
		return pgr_err_hint(err, "Who may use the admin console is listed in admin.users and "
			"admin.stats_users.");
	}
	c->console = calloc(1, sizeof(*c->console));
	if (c->console == NULL)
		return pgr_err_set(err, "53200", "out of memory");
	c->console->status = PGR_TXN_IDLE;
	c->console->ask = -1;
	pgr_list_init(&c->console->statements);
	pgr_list_init(&c->console->portals);
	count(w, 1);
	snprintf(rec->user, sizeof(rec->user), "%s", user);
	atomic_store(&rec->pool, PGR_CONSOLE_POOL.n);
	c->state = PGR_SESSION_CONSOLE;
	c->since = w->now;
	greet(w, c);
	pgr_client_mark(w, c, PGR_CLIENT_IDLE);
	if (w->config->log_connections)
		pgr_log(PGR_LOG_INFO, "client.login", "user \"%s\", admin console", user);
	return PGR_OK;
}

void
pgr_console_free(struct pgr_worker *w, struct pgr_client *c)
{
	if (c->console == NULL)
		return;
	pgr_console_order_drop(w, c);
	while (!pgr_list_empty(&c->console->statements))
		drop_statement(c->console,
			PGR_LIST_ENTRY(c->console->statements.next, struct pgr_console_statement, all));
	drop_portals(c->console);
	count(w, -1);
	free(c->console);
	c->console = NULL;
}
