/*
 * What a statement looks like, as digests that can be compared: of ParameterDescription and of
 * RowDescription (PostgreSQL documentation, "Message Formats").
 */
#ifndef PGR_PROTO_DESCRIBE_H
#define PGR_PROTO_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/*
 * body: behind the length word, as a server sent it. 0: it is not well-formed. Digests of what differs are the
 * same with a probability of 2^-32.
 */
uint32_t pgr_describe_params(const struct pgr_hash_key *key, const char *body, size_t len);

/*
 * Of names and types. Where a column comes from does not count, nor in which format it will be sent: a client
 * reads the rows alike.
 */
uint32_t pgr_describe_rows(const struct pgr_hash_key *key, const char *body, size_t len);

/* Smaller numbers are no digests: callers may have them mean something else. */
#define PGR_DIGEST_LEAST 16u

#endif
