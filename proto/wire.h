/*
 * Messages of the frontend/backend protocol, version 3 (PostgreSQL documentation, "Message Formats"):
 * a type byte and a length word that counts itself, then the body. Header-only, since the relay looks
 * at each header.
 */
#ifndef PGR_PROTO_WIRE_H
#define PGR_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define PGR_WIRE_HEADER 5u
#define PGR_WIRE_MOST 0x3fffffffu /* PostgreSQL's own limit on a message */

/* What a frontend sends. */
#define PGR_MSG_BIND 'B'
#define PGR_MSG_CLOSE 'C'
#define PGR_MSG_COPY_DATA 'd'
#define PGR_MSG_COPY_DONE 'c'
#define PGR_MSG_COPY_FAIL 'f'
#define PGR_MSG_DESCRIBE 'D'
#define PGR_MSG_EXECUTE 'E'
#define PGR_MSG_FLUSH 'H'
#define PGR_MSG_FUNCTION_CALL 'F'
#define PGR_MSG_PARSE 'P'
#define PGR_MSG_PASSWORD 'p'
#define PGR_MSG_QUERY 'Q'
#define PGR_MSG_SYNC 'S'
#define PGR_MSG_TERMINATE 'X'

/* What a backend sends. */
#define PGR_MSG_AUTHENTICATION 'R'
#define PGR_MSG_BACKEND_KEY 'K'
#define PGR_MSG_BIND_COMPLETE '2'
#define PGR_MSG_CLOSE_COMPLETE '3'
#define PGR_MSG_COMMAND_COMPLETE 'C'
#define PGR_MSG_COPY_BOTH 'W'
#define PGR_MSG_COPY_IN 'G'
#define PGR_MSG_COPY_OUT 'H'
#define PGR_MSG_DATA_ROW 'D'
#define PGR_MSG_EMPTY_QUERY 'I'
#define PGR_MSG_ERROR 'E'
#define PGR_MSG_FUNCTION_RESULT 'V'
#define PGR_MSG_NEGOTIATE 'v'
#define PGR_MSG_NO_DATA 'n'
#define PGR_MSG_NOTICE 'N'
#define PGR_MSG_NOTIFICATION 'A'
#define PGR_MSG_PARAMETER_DESCRIPTION 't'
#define PGR_MSG_PARAMETER_STATUS 'S'
#define PGR_MSG_PARSE_COMPLETE '1'
#define PGR_MSG_PORTAL_SUSPENDED 's'
#define PGR_MSG_READY 'Z'
#define PGR_MSG_ROW_DESCRIPTION 'T'

/* Kinds of Authentication request. */
#define PGR_AUTH_OK 0u
#define PGR_AUTH_CLEARTEXT 3u
#define PGR_AUTH_MD5 5u
#define PGR_AUTH_SASL 10u
#define PGR_AUTH_SASL_CONTINUE 11u
#define PGR_AUTH_SASL_FINAL 12u

/* Transaction states in ReadyForQuery. */
#define PGR_TXN_IDLE 'I'
#define PGR_TXN_OPEN 'T'
#define PGR_TXN_FAILED 'E'

/* Whole size of the message at p, of which the header is there; 0: a length that no peer may send. */
static inline uint32_t
pgr_wire_size(const char *p)
{
	uint32_t len = pgr_get32(p + 1);

	return len < 4 || len > PGR_WIRE_MOST ? 0 : len + 1;
}

/* Writes a header for a body of `body` bytes; returns where the body goes. */
static inline char *
pgr_wire_header(char *p, char type, size_t body)
{
	p[0] = type;
	pgr_put32(p + 1, (uint32_t)(body + 4));
	return p + PGR_WIRE_HEADER;
}

/* A whole message without body, such as Sync. Five bytes. */
static inline size_t
pgr_wire_bare(char *p, char type)
{
	pgr_wire_header(p, type, 0);
	return PGR_WIRE_HEADER;
}

static inline size_t
pgr_wire_ready(char *p, char status)
{
	pgr_wire_header(p, PGR_MSG_READY, 1)[0] = status;
	return PGR_WIRE_HEADER + 1;
}

/* Query with one statement text. p has room for PGR_WIRE_HEADER + strlen(sql) + 1 bytes. */
static inline size_t
pgr_wire_query(char *p, const char *sql, size_t len)
{
	char *body = pgr_wire_header(p, PGR_MSG_QUERY, len + 1);

	memcpy(body, sql, len);
	body[len] = '\0';
	return PGR_WIRE_HEADER + len + 1;
}

/*
 * The string that starts at p and ends before end; returns its length or -1 when no NUL stands there.
 */
static inline ptrdiff_t
pgr_wire_string(const char *p, const char *end)
{
	const char *nul;

	if (p >= end)
		return -1;
	if (*p == '\0')
		return 0; /* most names are none */
	nul = memchr(p, '\0', (size_t)(end - p));
	return nul == NULL ? -1 : nul - p;
}

#endif
