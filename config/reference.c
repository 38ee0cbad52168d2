/*
 * The reference of all keys, from the table of keys: docs/SETTINGS.md and pgroute.yaml(5). Called
 * by reference_main.c at build time; tests compare docs/SETTINGS.md with what comes out here.
 */
#include <string.h>

#include "config/keys.h"
#include "config/value.h"

struct writer {
	FILE *out;
	enum pgr_config_format format;
};

/* One part of the reference: a mapping of the file. */
struct part {
	unsigned where;
	const char *title;
	const char *intro;
};

static const struct part parts[] = {
	{PGR_IN_GLOBAL, "Top level", "Keys with a dot stand in a mapping: `log: {level: debug}`."},
	{PGR_IN_DEFAULTS, "defaults",
		"What holds unless a database or a user says otherwise. Each of these keys may stand in a "
		"database too, those marked `user` also in a user; a user's key holds over a database's, "
		"and a database's over the default."},
	{PGR_IN_DATABASE, "databases.NAME",
		"The exact name is looked for first, then the pattern with the most characters besides `*`. "
		"Beside the keys of `defaults`:"},
	{PGR_IN_SERVER, "databases.NAME.servers", "Each element is a mapping of these keys."},
	{PGR_IN_USER, "users.NAME", "Beside the keys of `defaults` that are marked `user`:"},
};

static const char *const values_text[] = {
	"Durations are a number with `ms`, `s`, `m`, `h` or `d`; sizes a number with `B`, `kB`, `MB` or "
	"`GB`, which are powers of 1024 as in postgresql.conf (`KiB`, `MiB`, `GiB` mean the same). Only 0 "
	"needs no unit. Truths are `true`, `false`, `on`, `off`, `yes` or `no`.",
	"`${NAME}` in a value or name is replaced by the environment variable NAME, `${NAME:-text}` by "
	"`text` when it is unset or empty; `$${` stands for the characters `${`.",
	"`password_file` names a file with one line, which must not be readable by everybody. It is "
	"relative to the file in which it stands, as `include` is.",
	"Unknown and duplicate keys, wrong types, anchors, aliases, tags and several documents in one file "
	"are errors, told with file, line and column; a file with errors changes nothing.",
	"Keys and words marked \"not supported yet\" are known, so that a file can be written for them; "
	"until then only the default and what means off are accepted.",
};

static const char example[] = "listen: [\"0.0.0.0:6432\"]\n"
			      "databases:\n"
			      "  app:\n"
			      "    servers: [{host: 10.0.0.1}]\n"
			      "users:\n"
			      "  app: {password: \"${APP_PASSWORD}\"}\n";

/* Text with `code` in it, as the format has it. */
static void
write_text(const struct writer *w, const char *text)
{
	bool code = false;

	if (w->format == PGR_CONFIG_MD) {
		for (; *text != '\0'; text++)
			fprintf(w->out, *text == '|' ? "\\|" : "%c", *text);
		return;
	}
	for (; *text != '\0'; text++) {
		if (*text == '`') {
			code = !code;
			fputs(code ? "\\fB" : "\\fR", w->out);
		} else if (*text == '\\') {
			fputs("\\e", w->out);
		} else if (*text == '-') {
			fputs("\\-", w->out);
		} else if (*text == '\'' || *text == '.') {
			fprintf(w->out, "\\&%c", *text);
		} else {
			fputc(*text, w->out);
		}
	}
}

static void
write_heading(const struct writer *w, const char *title)
{
	if (w->format == PGR_CONFIG_MD) {
		fprintf(w->out, "\n## %s\n\n", title);
		return;
	}
	fputs(".SH \"", w->out);
	write_text(w, title);
	fputs("\"\n", w->out);
}

static void
write_paragraph(const struct writer *w, const char *text)
{
	if (w->format == PGR_CONFIG_MAN)
		fputs(".PP\n", w->out);
	write_text(w, text);
	fputs(w->format == PGR_CONFIG_MD ? "\n\n" : "\n", w->out);
}

static size_t
append(char *buf, size_t size, size_t len, const char *text)
{
	int n = len < size ? snprintf(buf + len, size - len, "%s", text) : 0;

	return len + (n > 0 ? (size_t)n : 0);
}

/* `a`, `b` (those that wait, or those that do not); returns whether there was any. */
static bool
words_text(const struct pgr_key *key, bool later, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const struct pgr_key_word *word = key->words; word->name != NULL; word++) {
		if ((word->later != NULL) != later)
			continue;
		len = append(buf, size, len, len > 0 ? ", `" : "`");
		len = append(buf, size, len, word->name);
		len = append(buf, size, len, "`");
	}
	return len > 0;
}

static void
range_text(const struct pgr_key *key, char *buf, size_t size)
{
	char least[32], most[32];

	pgr_value_format(key, key->min, least, sizeof(least));
	pgr_value_format(key, key->max, most, sizeof(most));
	snprintf(buf, size, "%s, %s to %s%s", pgr_key_type_name(key), key->min == 0 ? "0" : least,
		most, (key->flags & PGR_KEY_ZERO_OFF) != 0 ? ", or 0 for off" : "");
}

static void
type_text(const struct pgr_key *key, char *buf, size_t size)
{
	if (key->type == PGR_KEY_WORD)
		(void)words_text(key, false, buf, size);
	else if (key->type == PGR_KEY_INT || key->type == PGR_KEY_DURATION ||
		key->type == PGR_KEY_SIZE)
		range_text(key, buf, size);
	else
		snprintf(buf, size, "%s", pgr_key_type_name(key));
	if ((key->flags & PGR_KEY_NULLABLE) != 0 && key->type != PGR_KEY_TEXTS)
		append(buf, size, strlen(buf), ", or null");
}

/* What follows the description: where else, what a reload does, what waits. */
static void
notes_text(const struct pgr_key *key, char *buf, size_t size)
{
	char words[256];
	size_t len = 0;

	buf[0] = '\0';
	if (key->home == PGR_HOME_POOLING && (key->where & PGR_IN_USER) != 0)
		len = append(buf, size, len, " May stand in a `user`.");
	if ((key->flags & PGR_KEY_RESTART) != 0)
		len = append(buf, size, len, " A change needs a restart.");
	if ((key->flags & PGR_KEY_REQUIRED) != 0)
		len = append(buf, size, len, " Must be given.");
	if (key->later != NULL)
		len = append(buf, size, len, " Not supported yet.");
	if (key->words != NULL && words_text(key, true, words, sizeof(words))) {
		len = append(buf, size, len, " Not supported yet: ");
		len = append(buf, size, len, words);
		append(buf, size, len, ".");
	}
}

static void
write_key_md(const struct writer *w, const struct pgr_key *key)
{
	char type[256], notes[400];

	type_text(key, type, sizeof(type));
	notes_text(key, notes, sizeof(notes));
	fprintf(w->out, "| `%s` | ", key->name);
	write_text(w, type);
	if (key->fallback != NULL)
		fprintf(w->out, " | `%s` | ", key->fallback);
	else
		fputs(" | | ", w->out);
	write_text(w, key->about);
	write_text(w, notes);
	fputs(" |\n", w->out);
}

static void
write_key_man(const struct writer *w, const struct pgr_key *key)
{
	char type[256], notes[400];

	type_text(key, type, sizeof(type));
	notes_text(key, notes, sizeof(notes));
	fputs(".TP\n\\fB", w->out);
	write_text(w, key->name);
	fputs("\\fR", w->out);
	if (key->fallback != NULL) {
		fputs(" (default: \\fB", w->out);
		write_text(w, key->fallback);
		fputs("\\fR)", w->out);
	}
	fputs("\n", w->out);
	write_text(w, key->about);
	write_text(w, notes);
	fputs("\n.br\nValue: ", w->out);
	write_text(w, type);
	fputs("\n", w->out);
}

/* Pooling keys are told once, under defaults; mappings are the parts themselves. */
static bool
belongs(const struct pgr_key *key, const struct part *part)
{
	if ((key->where & part->where) == 0 || key->type == PGR_KEY_GROUP)
		return false;
	return key->home != PGR_HOME_POOLING || part->where == PGR_IN_DEFAULTS ||
		(key->where & PGR_IN_DEFAULTS) == 0;
}

static void
write_part(const struct writer *w, const struct part *part)
{
	write_heading(w, part->title);
	write_paragraph(w, part->intro);
	if (w->format == PGR_CONFIG_MD)
		fputs("| key | value | default | meaning |\n|---|---|---|---|\n", w->out);
	for (size_t i = 0; i < pgr_keys_count; i++) {
		if (!belongs(&pgr_keys[i], part))
			continue;
		if (w->format == PGR_CONFIG_MD)
			write_key_md(w, &pgr_keys[i]);
		else
			write_key_man(w, &pgr_keys[i]);
	}
}

static void
write_head(const struct writer *w)
{
	if (w->format == PGR_CONFIG_MD) {
		fputs("# Settings\n\n<!-- Generated from config/keys.c by config/reference_main.c; do not "
		      "edit. -->\n\n",
			w->out);
		write_paragraph(w,
			"Every key of pgroute's configuration file, `/etc/pgroute/pgroute.yaml` "
			"unless `-c` names another. The whole of a small one:");
		fprintf(w->out, "```yaml\n%s```\n", example);
		return;
	}
	fputs(".\\\" Generated from config/keys.c by config/reference_main.c; do not edit.\n"
	      ".TH PGROUTE.YAML 5 \"\" \"pgroute " PGR_VERSION "\" \"File formats\"\n"
	      ".SH NAME\npgroute.yaml \\- configuration file of pgroute\n.SH DESCRIPTION\n",
		w->out);
	write_paragraph(w,
		"Every key of pgroute's configuration file, `/etc/pgroute/pgroute.yaml` unless "
		"`-c` names another. It is written in YAML. The whole of a small one:");
	fputs(".PP\n.nf\n.RS\n", w->out);
	write_text(w, example);
	fputs(".RE\n.fi\n", w->out);
}

void
pgr_config_reference(FILE *out, enum pgr_config_format format)
{
	struct writer w = {.out = out, .format = format};

	write_head(&w);
	write_heading(&w, "Values");
	for (size_t i = 0; i < PGR_COUNT_OF(values_text); i++)
		write_paragraph(&w, values_text[i]);
	for (size_t i = 0; i < PGR_COUNT_OF(parts); i++)
		write_part(&w, &parts[i]);
	if (format == PGR_CONFIG_MAN) {
		write_heading(&w, "SEE ALSO");
		fputs(".BR pgroute (8),\n.BR pgroutectl (8)\n", out);
	}
}
