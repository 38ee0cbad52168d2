/*
 * What a text does to the session that runs it: facts, from one pass over its tokens, without a
 * parse tree. What is tracked is told statement by statement, in order; what pins, by its row in
 * features.def.
 *
 * Facts hold offsets into the text and no pointers: they can be kept beside the text and copied.
 *
 * The server reads a whole text before it runs any of it. So when it answers a text with a syntax
 * error, nothing of what the facts say has happened, and a pin for PGR_FEATURE_UNKNOWN can be
 * dropped.
 */
#ifndef PGR_PARSER_SESSION_H
#define PGR_PARSER_SESSION_H

#include "parser/feature.h"
#include "parser/names.h"

struct pgr_span {
	uint32_t start;
	uint32_t end;
};

/* Whose setting a step makes. */
enum pgr_setting {
	PGR_SETTING_NAMED, /* pgr_step.name, or by name_param */
	PGR_SETTING_TIMEZONE,
	PGR_SETTING_CLIENT_ENCODING,
	PGR_SETTING_ROLE,
	PGR_SETTING_SESSION_AUTHORIZATION,
	PGR_SETTING_SEARCH_PATH,
	PGR_SETTING_XMLOPTION,
	PGR_SETTING_DEFAULT_ISOLATION,
	PGR_SETTING_DEFAULT_READ_ONLY,
	PGR_SETTING_DEFAULT_DEFERRABLE,
};

enum pgr_value {
	PGR_VALUE_NONE,
	PGR_VALUE_LIST,   /* the tokens of pgr_step.value, as in SET name = value, ... */
	PGR_VALUE_STRING, /* one string token: the value as it is */
	PGR_VALUE_FIXED,  /* one of a few words, by pgr_step.fixed */
	PGR_VALUE_PARAM,  /* parameter value_param; NULL means RESET */
};

enum pgr_fixed {
	PGR_FIXED_READ_UNCOMMITTED,
	PGR_FIXED_READ_COMMITTED,
	PGR_FIXED_REPEATABLE_READ,
	PGR_FIXED_SERIALIZABLE,
	PGR_FIXED_ON,
	PGR_FIXED_OFF,
};

/* Modes of BEGIN, SET TRANSACTION and AND CHAIN; the level is an enum pgr_fixed, with its bit. */
#define PGR_MODE_LEVEL 3u
#define PGR_MODE_HAS_LEVEL 4u
#define PGR_MODE_READ_ONLY 8u
#define PGR_MODE_READ_WRITE 16u
#define PGR_MODE_DEFERRABLE 32u
#define PGR_MODE_NOT_DEFERRABLE 64u

#define PGR_STEP_LOCAL 1u    /* SET LOCAL: until the end of the transaction */
#define PGR_STEP_CHAIN 2u    /* COMMIT or ROLLBACK AND CHAIN */
#define PGR_STEP_NESTED 4u   /* EXECUTE in EXPLAIN or CREATE TABLE AS */
#define PGR_STEP_FUNCTION 8u /* by set_config() */

/*
 * One tracked statement, or one set_config() of a select list.
 *
 *   kind                               name             value              else
 *   BEGIN, SET_TRANSACTION                                                 modes
 *   COMMIT, ROLLBACK                                                       CHAIN
 *   SAVEPOINT, RELEASE, ROLLBACK_TO    the savepoint
 *   PREPARE_TRANSACTION
 *   SET                                the setting,     the value          LOCAL, FUNCTION
 *                                      or `setting`
 *   RESET                              the same                            LOCAL, FUNCTION
 *   RESET_ALL
 *   DISCARD_ALL, _SEQUENCES, _TEMP
 *   PREPARE                            the statement    from types or AS
 *                                                       to the end
 *   EXECUTE                            the statement    (arguments),       NESTED: no arguments
 *                                                       or empty
 *   DEALLOCATE                         the statement
 *   DEALLOCATE_ALL
 *   LISTEN, UNLISTEN                   the channel;
 *                                      empty: *
 */
struct pgr_step {
	uint8_t kind;        /* enum pgr_feature */
	uint8_t flags;       /* PGR_STEP_ */
	uint8_t modes;       /* PGR_MODE_ */
	uint8_t setting;     /* enum pgr_setting */
	uint8_t value_kind;  /* enum pgr_value */
	uint8_t fixed;       /* enum pgr_fixed */
	uint16_t statement;  /* counted from 0 */
	uint16_t name_param; /* number of the parameter that is the setting's name; 0: none */
	uint16_t value_param;
	uint16_t local_param; /* of the one that says whether LOCAL; 0: the flag says */
	struct pgr_span whole; /* the statement, without ; */
	struct pgr_span name;
	struct pgr_span value;
};

#define PGR_FACTS_STEPS 16

#define PGR_FACTS_ERROR 1u     /* PostgreSQL 18's scanner refuses the text; the rest was not read */
#define PGR_FACTS_NAMED 2u     /* a name of the given set occurs, perhaps */
#define PGR_FACTS_RELEASES 4u  /* may end what pinned: worth a probe */
#define PGR_FACTS_SEQUENCE 8u  /* asks for currval() or lastval() */
#define PGR_FACTS_OVERFLOW 16u /* more steps than fit; pins */
#define PGR_FACTS_TEXTS 32u    /* runs texts that stand in it as strings: names in those count too */
#define PGR_FACTS_MAKES 64u    /* a block of DO in it may run DDL */

struct pgr_facts {
	uint8_t treatment; /* enum pgr_treatment, the heaviest of all */
	uint8_t flags;     /* PGR_FACTS_ */
	uint8_t reason;    /* enum pgr_feature: the first row of that treatment */
	uint8_t first;     /* enum pgr_feature: the first statement; NONE: the text is empty */
	uint16_t n_statements; /* at most 65535 are counted */
	uint16_t n_steps;
	struct pgr_feature_set features; /* each statement and each listed function that occurs */
	struct pgr_step steps[PGR_FACTS_STEPS];
};

/*
 * The facts of a text, of a Query with any number of statements or of a Parse with one.
 * standard_strings as for the lexer. unsafe: names to look for, or NULL. Fills *ret whatever the
 * text is.
 */
void pgr_session_read(const char *text, size_t len, bool standard_strings,
	const struct pgr_name_set *unsafe, struct pgr_facts *ret);

/*
 * The same for the body of a function, a procedure or a DO: what running it leaves behind, by the
 * heaviest row in it; steps are not told, settings made pin. sql_like: the language is sql or
 * plpgsql; bodies in others, and texts inside of a body that cannot be read, are searched for words
 * that matter. What is put together at run time without any of the words is not seen.
 */
enum pgr_feature pgr_session_read_body(const char *body, size_t len, bool sql_like);

/*
 * Appends the name of a step's setting, statement, savepoint or channel, as PostgreSQL would store
 * it. False: it is a parameter.
 */
bool pgr_step_name(const struct pgr_step *step, const char *text, struct pgr_out *out);

/*
 * Appends the value of a SET as set_config() would have to be given it: what PostgreSQL makes of
 * the list. False: it is a parameter, or none, or a string that no server takes.
 */
bool pgr_step_value(
	const struct pgr_step *step, const char *text, bool standard_strings, struct pgr_out *out);

/*
 * How a setting is treated when it is set to a value: for set_config() with parameters, whose names
 * and values come with Bind. NONE: as any other.
 */
enum pgr_feature pgr_setting_feature(
	const char *name, size_t name_len, const char *value, size_t value_len);

#endif
