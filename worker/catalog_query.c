/*
 * What pgroute asks a database about its catalog. Names and operators are PostgreSQL's own whatever
 * search_path is, texts come as ASCII whatever client_encoding is.
 */
#include "worker/catalog_query.h"

#define OP(op) " OPERATOR(pg_catalog." op ") "
#define ASCII(text) "pg_catalog.encode(pg_catalog.convert_to(" text "::pg_catalog.text,'SQL_ASCII'),'escape')"
#define CLASS(name) "'pg_catalog." name "'::pg_catalog.regclass"
#define OURS(oid) oid OP(">=") "16384::pg_catalog.oid " /* not PostgreSQL's own */
#define PART "4000"
#define COMPILED "ARRAY['c','internal']::pg_catalog.name[]"

/* Bodies, each in as many rows as it takes: b, function, language, oid, bytes. */
#define BODIES                                                                                     \
	"SELECT 'b'," ASCII("p.proname") ",l.lanname,p.oid,pg_catalog.encode(pg_catalog.substr("       \
	"pg_catalog.convert_to(p.prosrc,'SQL_ASCII'),i" OP("*") PART OP("+") "1," PART "),'escape') "  \
	"FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON p.prolang" OP("=") "l.oid "        \
	"CROSS JOIN LATERAL pg_catalog.generate_series(0,pg_catalog.octet_length(p.prosrc)" OP("/") PART ") i " \
	"WHERE " OURS("p.oid") "AND l.lanname" OP("<>") "ALL(" COMPILED ") ORDER BY p.oid,i"

/* Compiled functions that are VOLATILE: c, function, extension or nothing. */
#define FUNCTIONS                                                                                  \
	"SELECT 'c'," ASCII("p.proname") ",e.extname "                                                 \
	"FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON p.prolang" OP("=") "l.oid "        \
	"LEFT JOIN pg_catalog.pg_depend d ON d.classid" OP("=") CLASS("pg_proc")                       \
	" AND d.objid" OP("=") "p.oid AND d.deptype" OP("=") "'e' "                                    \
	"LEFT JOIN pg_catalog.pg_extension e ON e.oid" OP("=") "d.refobjid "                           \
	"WHERE " OURS("p.oid") "AND l.lanname" OP("=") "ANY(" COMPILED ") AND p.provolatile" OP("=") "'v'"

/*
 * What uses what: u, user, used. Things that hang on a relation, and functions whose body is no text, with
 * the tree of what they run; PostgreSQL's own functions stand in the tree alone. Triggers that partitions
 * have from their parents are internal before version 15, and those of foreign keys depend on no function.
 * Partitioned tables stand for their keys.
 */
#define THINGS                                                                                     \
	"WITH thing(class,oid,name,tree) AS ("                                                         \
	"SELECT " CLASS("pg_rewrite") ",r.oid,c.relname,pg_catalog.concat(r.ev_qual,r.ev_action) "     \
	"FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid" OP("=") "r.ev_class WHERE " OURS("r.oid") \
	"UNION ALL SELECT " CLASS("pg_attrdef") ",a.oid,c.relname,a.adbin::pg_catalog.text "           \
	"FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_class c ON c.oid" OP("=") "a.adrelid "        \
	"UNION ALL SELECT " CLASS("pg_policy") ",y.oid,c.relname,pg_catalog.concat(y.polqual,y.polwithcheck) " \
	"FROM pg_catalog.pg_policy y JOIN pg_catalog.pg_class c ON c.oid" OP("=") "y.polrelid "        \
	"UNION ALL SELECT " CLASS("pg_constraint") ",k.oid,c.relname,k.conbin::pg_catalog.text "       \
	"FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid" OP("=") "k.conrelid WHERE " OURS("k.oid") \
	"UNION ALL SELECT " CLASS("pg_trigger") ",t.oid,c.relname,t.tgqual::pg_catalog.text "          \
	"FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid" OP("=") "t.tgrelid "        \
	"UNION ALL SELECT " CLASS("pg_class") ",x.indexrelid,c.relname,pg_catalog.concat(x.indexprs,x.indpred) " \
	"FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid" OP("=") "x.indrelid "         \
	"WHERE " OURS("x.indexrelid") "AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL) "         \
	"UNION ALL SELECT " CLASS("pg_class") ",c.oid,c.relname,NULL "                                 \
	"FROM pg_catalog.pg_class c WHERE c.relkind" OP("=") "'p' "                                    \
	"UNION ALL SELECT " CLASS("pg_proc") ",f.oid,f.proname,"                                       \
	"pg_catalog.concat(pg_catalog.to_jsonb(f)" OP("->>") "'prosqlbody',f.proargdefaults) "         \
	"FROM pg_catalog.pg_proc f WHERE " OURS("f.oid")                                               \
	"AND (f.proargdefaults IS NOT NULL OR f.prosrc" OP("=") "ANY(ARRAY['','aggregate_dummy']))) "

#define USES_HEAD                                                                                     \
	THINGS                                                                                         \
	"SELECT 'u'," ASCII("t.name") "," ASCII("p.proname")                                           \
	" FROM thing t JOIN pg_catalog.pg_depend d ON d.classid" OP("=") "t.class AND d.objid" OP("=") "t.oid " \
	"JOIN pg_catalog.pg_proc p ON d.refclassid" OP("=") CLASS("pg_proc") " AND p.oid" OP("=") "d.refobjid " \
	"UNION ALL SELECT 'u'," ASCII("t.name") "," ASCII("c.relname")                                 \
	" FROM thing t JOIN pg_catalog.pg_depend d ON d.classid" OP("=") "t.class AND d.objid" OP("=") "t.oid " \
	"JOIN pg_catalog.pg_class c ON d.refclassid" OP("=") CLASS("pg_class") " AND c.oid" OP("=") "d.refobjid " \
	"WHERE c.relname" OP("<>") "t.name "                                                           \
	"UNION ALL SELECT 'u'," ASCII("t.name") "," ASCII("p.proname")                                 \
	" FROM thing t JOIN pg_catalog.pg_proc p ON p.proname::pg_catalog.text" OP("=") "ANY(ARRAY['set_config'"

#define USES_TAIL                                                                                  \
	"]) AND NOT " OURS("p.oid")                                                             \
	"AND pg_catalog.strpos(t.tree,pg_catalog.concat(':funcid ',p.oid,' '))" OP(">") "0 "           \
	/* partitions and children, foreign keys that change other tables, aggregates */              \
	"UNION ALL SELECT 'u'," ASCII("c.relname") "," ASCII("k.relname")                              \
	" FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid" OP("=") "i.inhparent "    \
	"JOIN pg_catalog.pg_class k ON k.oid" OP("=") "i.inhrelid "                                    \
	"UNION ALL SELECT 'u'," ASCII("c.relname") "," ASCII("k.relname")                              \
	" FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid" OP("=") "f.confrelid "  \
	"JOIN pg_catalog.pg_class k ON k.oid" OP("=") "f.conrelid "                                    \
	"WHERE f.confdeltype" OP("<>") "'a' OR f.confupdtype" OP("<>") "'a' OR EXISTS (SELECT FROM "   \
	/* TRUNCATE ... CASCADE */                                                                     \
	"pg_catalog.pg_trigger t WHERE t.tgrelid" OP("=") "k.oid AND (t.tgtype" OP("&") "32::pg_catalog.int2)" \
	OP("<>") "0::pg_catalog.int2) "                                                                \
	"UNION ALL SELECT 'u'," ASCII("p.proname") "," ASCII("f.proname")                              \
	" FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid" OP("=") "a.aggfnoid::pg_catalog.oid " \
	"JOIN pg_catalog.pg_proc f ON f.oid" OP("=") "ANY(ARRAY[a.aggtransfn,a.aggfinalfn,"            \
	"a.aggcombinefn,a.aggmtransfn,a.aggminvtransfn,a.aggmfinalfn]::pg_catalog.oid[]) WHERE " OURS("p.oid")

/* Names of PostgreSQL's functions that pin. */
#define LISTED_PIN(name) ",'" name "'"
#define LISTED_SAFE(name) ""
#define LISTED_TRACK(name) ""
#define PGR_FUNCTION(id, name, treatment, flags, reason) LISTED_##treatment(name)

/* What stands there, as numbers that change with it: l, numbers. */
#define SEEN(table, which) \
	"(SELECT pg_catalog.concat(pg_catalog.count(*),':',pg_catalog.sum(xmin::pg_catalog.text::pg_catalog.int8)) " \
	"FROM pg_catalog." table " WHERE " which ")"

/* Those of temporary relations come and go, and nobody else sees them. */
#define LASTING(relation) \
	"NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid" OP("=") relation " AND c.relpersistence" OP("=") "'t') "

#define LOOK                                                                                       \
	"SELECT 'l',pg_catalog.concat_ws(','," SEEN("pg_proc", OURS("oid")) ","                        \
	SEEN("pg_rewrite", OURS("oid") "AND " LASTING("ev_class")) ","                                 \
	SEEN("pg_attrdef", OURS("oid") "AND " LASTING("adrelid")) ","                                  \
	SEEN("pg_policy", OURS("oid") "AND " LASTING("polrelid")) ","                                  \
	SEEN("pg_constraint", OURS("oid") "AND " LASTING("conrelid")) ","                              \
	SEEN("pg_trigger", "NOT tgisinternal AND " LASTING("tgrelid")) ","                             \
	SEEN("pg_inherits", LASTING("inhrelid")) ","                                                   \
	SEEN("pg_class", OURS("oid") "AND relpersistence" OP("<>") "'t'") ")"

const char pgr_catalog_query[] = "SET LOCAL statement_timeout=0;" LOOK ";" BODIES ";" FUNCTIONS ";" USES_HEAD
#include "parser/features.def"
	USES_TAIL;
const char pgr_catalog_look[] = LOOK;
