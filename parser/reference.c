/*
 * docs/SESSION.md, from features.def. Called by reference_main.c; a test compares docs/SESSION.md
 * with what comes out.
 */
#include "parser/reference.h"

#include "parser/feature.h"

static const struct {
	enum pgr_feature_kind kind;
	const char *title;
	const char *intro;
} parts[] = {
	{PGR_FEATURE_KIND_STATEMENT, "Statements",
		"Wherever they stand: in a text of several statements, behind comments."},
	{PGR_FEATURE_KIND_FUNCTION, "Functions",
		"Wherever they are called, and whatever schema is named in front. A function that "
		"is not listed is judged "
		"by the catalog: by the words in its body, or as a function in C by its "
		"volatility."},
	{PGR_FEATURE_KIND_RELATION, "Relations and schemas",
		"A relation that is not listed is as bad as the worst function that its triggers, "
		"defaults, views and "
		"policies call."},
	{PGR_FEATURE_KIND_SETTING, "Settings", "When they are SET, by whatever way."},
	{PGR_FEATURE_KIND_TEXT, "Else", "What is no single statement or name."},
	{PGR_FEATURE_KIND_EXTENSION, "Extensions",
		"Of a VOLATILE function in C it cannot be seen what it does. Those of these extensions leave "
		"nothing behind, but for functions listed above."},
};

static const char head[] =
	"# What sessions leave behind\n\n"
	"<!-- Generated from parser/features.def by parser/reference_main.c; do not edit. -->\n\n"
	"In transaction mode a server connection serves many clients. What a client's SQL leaves "
	"behind in the session of a server\n"
	"connection must not be seen by the next client, and must not be lost to this one. pgroute "
	"reads each text and knows of\n"
	"everything in it what to do:\n\n"
	"| | |\n|---|---|\n"
	"| safe | nothing that the next client could see |\n"
	"| track | pgroute knows the effect and gives it to whichever server connection comes next "
	"|\n"
	"| pin | stays with the server connection, so the client keeps that connection, with the "
	"reason in SHOW CLIENTS; `on_session_feature` may say otherwise |\n\n"
	"What a text calls and touches is judged by the catalog of its database, which each worker reads over a "
	"server connection\n"
	"before the first text that needs it, and again when DDL has come through pgroute; changes that were made "
	"elsewhere are\n"
	"noticed within `catalog_refresh`, when a lease ends. A name stands for all that are called so, in any "
	"schema. What is called\n"
	"in the transaction that has made it, or while verdicts change, is not judged; its server connection is "
	"closed behind it.\n"
	"Where the server refuses its catalog, or there is more in it than 64 MB, nothing is judged: the log says "
	"`catalog.failed`.\n\n"
	"Not yet: PREPARE in SQL keeps the client on its server connection. A function, trigger or view that asks "
	"for currval() or\n"
	"lastval() in a transaction that has not called nextval() answers from whatever server connection the "
	"client gets.\n\n"
	"Where a session differs from one of its own: a setting with a point in its name that "
	"another client has made on the same\n"
	"server connection exists, empty, until that connection ends; a statement that was "
	"prepared under other settings than those\n"
	"of now, and is not on the server connection at hand, is analysed under those of now; "
	"`set_config()` that resets a setting of\n"
	"the startup packet returns the server's default, though the startup value is in force "
	"behind it; SET LOCAL ... TO DEFAULT\n"
	"of such a setting keeps the client. A text of more than 4 MB is not read and keeps the "
	"client, as does one with bytes beyond\n"
	"ASCII in the encodings SJIS, BIG5, GBK, UHC, GB18030, JOHAB and their kin.\n\n"
	"What cannot be seen: SQL that a function puts together at run time without any of these "
	"words standing in it; what a "
	"function\nin C that is not VOLATILE does; operators, casts, domains and event triggers, and what their "
	"functions do.\n";

static void
write_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fprintf(out, *text == '|' ? "\\|" : "%c", *text);
}

void
pgr_reference_write(FILE *out)
{
	fputs(head, out);
	for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
		fprintf(out, "\n## %s\n\n%s\n\n| what | | why |\n|---|---|---|\n",
			parts[part].title, parts[part].intro);
		for (unsigned i = 1; i < PGR_FEATURE_COUNT; i++) {
			const struct pgr_feature_row *row = &pgr_features[i];

			if (row->kind != parts[part].kind)
				continue;
			fputs("| `", out);
			write_text(out, row->name);
			fprintf(out, "` | %s | ",
				pgr_feature_treatment_name((enum pgr_treatment)row->treatment));
			write_text(out, row->reason);
			fputs(" |\n", out);
		}
	}
}
