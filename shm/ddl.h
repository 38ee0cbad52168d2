/*
 * What DDL has changed, as far as workers must know: numbers that rise. Databases share a place by a
 * hash, and with it their changes, which costs no more than a look.
 */
#ifndef PGR_SHM_DDL_H
#define PGR_SHM_DDL_H

#include <stdatomic.h>
#include <stdint.h>

#define PGR_DDL_PLACES 4096u

/*
 *   writer     anybody, by fetch_add, before the client that has made the change hears of its success
 *   readers    workers, before they judge a text or name a statement
 *   on death   who dies between the server's answer and fetch_add leaves it to catalog_refresh
 */
struct pgr_ddl {
	_Atomic uint32_t schema; /* what names and types mean: statements prepared before are others */
	_Atomic uint32_t bodies; /* what functions and relations do: the catalog is to be read anew */
};

#endif
