/*
 * parser/session.h: texts and their facts, as one table; bodies of functions; names. A text's facts are written as
 * describe() in session_util.h does; "@unknown" is the name of PGR_FEATURE_UNKNOWN.
 */
#include "unit.h"

#include "session_util.h"

static const struct {
	const char *text;
	const char *want;
} texts[] = {
	{"SELECT 1", "safe"},
	{"select abalance from pgbench_accounts where aid = 12345;", "safe"},
	{"", "safe"},
	{";", "safe"},
	{"; ;; ", "safe"},
	{"-- nothing", "safe"},
	{"/* nothing */", "safe"},
	{"VALUES (1), (2)", "safe"},
	{"TABLE t", "safe"},
	{"WITH a AS (SELECT 1) SELECT * FROM a", "safe"},
	{"(SELECT 1) UNION (SELECT 2)", "safe"},
	{"INSERT INTO t VALUES (1) RETURNING id", "safe"},
	{"UPDATE t SET a = 1 WHERE b = 2", "safe"},
	{"DELETE FROM t", "safe"},
	{"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 1", "safe"},
	{"INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "safe"},
	{"COPY t FROM STDIN", "safe"},
	{"EXPLAIN SELECT 1", "safe"},
	{"SHOW search_path", "safe"},
	{"TRUNCATE t", "safe"},
	{"LOCK TABLE t", "safe"},
	{"SELECT 1; SELECT 2; UPDATE t SET a = 1", "safe"},
	{"SELECT * FROM pg_settings", "safe"},
	{"UPDATE pg_settings SET setting = 'x' WHERE name = 'y'", "pin: pg_settings"},
	{"update only pg_catalog.pg_settings set setting = 'x'", "pin: pg_settings"},
	{"UPDATE \"pg_settings\" SET setting = 'x'", "pin: pg_settings"},
	{"UPDATE \"PG_SETTINGS\" SET setting = 'x'", "safe"},
	{"WITH a AS (SELECT 1) UPDATE pg_settings SET setting = 'x'", "pin: pg_settings"},
	{"UPDATE t SET a = (SELECT setting FROM pg_settings)", "safe"},
	{"EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'x'", "pin: pg_settings"},
	{"UPDATE U&\"pg\\005fsettings\" SET setting = 'x'",
		"pin: a name like U&\"\\0061\" outside of queries, or called"},
	{"SELECT * FROM t FOR UPDATE", "safe"},
	{"BEGIN", "track; BEGIN"},
	{"begin work", "track; BEGIN"},
	{"BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
		"track; BEGIN S ro def"},
	{"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE",
		"track; BEGIN RR rw notdef"},
	{"START TRANSACTION ISOLATION LEVEL READ COMMITTED", "track; BEGIN RC"},
	{"START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED READ ONLY", "track; BEGIN RU ro"},
	{"BEGIN nonsense", "pin: @unknown; BEGIN"},
	{"COMMIT", "track; COMMIT"},
	{"END", "track; COMMIT"},
	{"commit work", "track; COMMIT"},
	{"COMMIT TRANSACTION AND CHAIN", "track; COMMIT chain"},
	{"COMMIT AND NO CHAIN", "track; COMMIT"},
	{"COMMIT PREPARED 'x'", "safe"},
	{"ROLLBACK", "track; ROLLBACK"},
	{"ABORT", "track; ROLLBACK"},
	{"ROLLBACK WORK AND CHAIN", "track; ROLLBACK chain"},
	{"ROLLBACK PREPARED 'x'", "safe"},
	{"ROLLBACK TO a", "track; ROLLBACK TO a"},
	{"ROLLBACK TO SAVEPOINT \"A b\"", "track; ROLLBACK TO A b"},
	{"ROLLBACK WORK TO SAVEPOINT a", "track; ROLLBACK TO a"},
	{"ABORT TRANSACTION TO a", "track; ROLLBACK TO a"},
	{"ROLLBACK TO savepoint", "track; ROLLBACK TO savepoint"},
	{"ROLLBACK TO savepoint savepoint", "track; ROLLBACK TO savepoint"},
	{"SAVEPOINT a", "track; SAVEPOINT a"},
	{"SAVEPOINT \"A\"\"b\"", "track; SAVEPOINT A\"b"},
	{"SAVEPOINT U&\"a\"", "pin: @unknown; SAVEPOINT"},
	{"SAVEPOINT", "pin: @unknown; SAVEPOINT"},
	{"SAVEPOINT a b", "pin: @unknown; SAVEPOINT a"},
	{"RELEASE a", "track; RELEASE a"},
	{"RELEASE SAVEPOINT a", "track; RELEASE a"},
	{"RELEASE savepoint", "track; RELEASE savepoint"},
	{"PREPARE TRANSACTION 'x'", "track; PREPARE TRANSACTION"},
	{"BEGIN; SET LOCAL a.b = 'c'; SAVEPOINT s; SET d = 1; ROLLBACK TO s; COMMIT",
		"track; BEGIN; SET a.b=c local; SAVEPOINT s; SET d=1; ROLLBACK TO s; COMMIT"},
	{"/* c */ BEGIN /* d */ ; -- e", "track; BEGIN"},
	{"SET search_path TO a, b", "track; SET search_path=a, b"},
	{"SET search_path = \"$user\", public", "track; SET search_path=\"$user\", public"},
	{"SET search_path TO 'a, b', \"Select\", select_, \"select\", user1",
		"track; SET search_path=\"a, b\", \"Select\", select_, \"select\", user1"},
	{"SET search_path = ''", "track; SET search_path=\"\""},
	{"SET search_path = 'a\"b', \"c\"\"d\"", "track; SET search_path=\"a\"\"b\", \"c\"\"d\""},
	{"SET search_path = public, pg_temp", "pin: SET search_path with pg_temp in it"},
	{"SET search_path = \"pg_temp\"", "pin: SET search_path with pg_temp in it"},
	{"SET SCHEMA 'x'", "track; SET search_path=x"},
	{"SET SCHEMA 'pg_temp'", "pin: SET search_path with pg_temp in it"},
	{"SET SESSION search_path = x", "track; SET search_path=x"},
	{"SET LOCAL search_path = x", "track; SET search_path=x local"},
	{"SET search_path = E'pg\\137temp'", "pin: SET search_path with pg_temp in it"},
	{"SET DateStyle TO ISO, MDY", "track; SET datestyle=iso, mdy"},
	{"SET datestyle = 'ISO, MDY'", "track; SET datestyle=ISO, MDY"},
	{"SET work_mem = 64", "track; SET work_mem=64"},
	{"SET work_mem = '64MB'", "track; SET work_mem=64MB"},
	{"SET work_mem TO DEFAULT", "track; RESET work_mem"},
	{"SET LOCAL work_mem TO DEFAULT", "track; RESET work_mem local"},
	{"SET geqo = on", "track; SET geqo=on"},
	{"SET geqo = TRUE", "track; SET geqo=true"},
	{"SET geqo TO off", "track; SET geqo=off"},
	{"SET x.y = -1", "track; SET x.y=-1"},
	{"SET x.y = +1.5", "track; SET x.y=1.5"},
	{"SET x.y = - 0x1F", "track; SET x.y=-31"},
	{"SET x.y = 1_000", "track; SET x.y=1000"},
	{"SET x.y = 1e3", "track; SET x.y=1e3"},
	{"SET a.b.c = 'it''s'", "track; SET a.b.c=it's"},
	{"SET A.B = C", "track; SET a.b=c"},
	{"SET \"A\".\"b\" = \"C\"", "track; SET a.b=C"},
	{"SET \"DateStyle\" = 'ISO'", "track; SET datestyle=ISO"},
	{"SET a = E'\\x41\\102\\103\\u0044\\n''\\''", "track; SET a=ABCD\n''"},
	{"SET a = $$b'c$$", "track; SET a=b'c"},
	{"SET a = $x$b$$c$x$", "track; SET a=b$$c"},
	{"SET a = 'x'", "track; SET a=x"},
	{"SET a TO", "pin: SET with a value that pgroute cannot read"},
	{"SET a", "pin: SET with a value that pgroute cannot read"},
	{"SET", "pin: SET with a value that pgroute cannot read"},
	{"SET a = U&'b'", "pin: SET with a value that pgroute cannot read"},
	{"SET a = U&\"b\"", "pin: SET with a value that pgroute cannot read"},
	{"SET U&\"a\" = b", "pin: SET with a value that pgroute cannot read"},
	{"SET a = select", "pin: SET with a value that pgroute cannot read"},
	{"SET a = (1)", "pin: SET with a value that pgroute cannot read"},
	{"SET a = $1", "pin: SET with a value that pgroute cannot read"},
	{"SET a = b'1'", "pin: SET with a value that pgroute cannot read"},
	{"SET a = b c", "pin: @unknown; SET a=b"},
	{"SET a = b,", "pin: SET with a value that pgroute cannot read"},
	{"SET TIME ZONE 'UTC'", "track; SET timezone=UTC"},
	{"SET TIME ZONE utc", "track; SET timezone=utc"},
	{"SET TIME ZONE \"Europe/Berlin\"", "track; SET timezone=Europe/Berlin"},
	{"SET TIME ZONE -7", "track; SET timezone=-7"},
	{"SET TIME ZONE 5.5", "track; SET timezone=5.5"},
	{"SET TIME ZONE LOCAL", "track; RESET timezone"},
	{"SET TIME ZONE DEFAULT", "track; RESET timezone"},
	{"SET LOCAL TIME ZONE 'UTC'", "track; SET timezone=UTC local"},
	{"SET SESSION TIME ZONE 'UTC'", "track; SET timezone=UTC"},
	{"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
		"pin: SET with a value that pgroute cannot read"},
	{"SET timezone = 'UTC'", "track; SET timezone=UTC"},
	{"SET time = 1", "track; SET time=1"},
	{"SET NAMES 'utf8'", "track; SET client_encoding=utf8"},
	{"SET NAMES", "track; RESET client_encoding"},
	{"SET NAMES DEFAULT", "track; RESET client_encoding"},
	{"SET NAMES utf8", "track; SET client_encoding=utf8"},
	{"SET client_encoding TO 'UTF8'", "track; SET client_encoding=UTF8"},
	{"SET ROLE bob", "track; SET role=bob"},
	{"SET ROLE \"Bob\"", "track; SET role=Bob"},
	{"SET ROLE 'bob'", "track; SET role=bob"},
	{"SET ROLE NONE", "track; SET role=none"},
	{"SET LOCAL ROLE bob", "track; SET role=bob local"},
	{"SET SESSION ROLE bob", "track; SET role=bob"},
	{"SET role = bob", "track; SET role=bob"},
	{"RESET ROLE", "track; RESET role"},
	{"SET SESSION AUTHORIZATION bob", "track; SET session_authorization=bob"},
	{"SET SESSION AUTHORIZATION 'Bob'", "track; SET session_authorization=Bob"},
	{"SET SESSION AUTHORIZATION DEFAULT", "track; RESET session_authorization"},
	{"SET LOCAL SESSION AUTHORIZATION bob", "track; SET session_authorization=bob local"},
	{"SET SESSION SESSION AUTHORIZATION bob", "track; SET session_authorization=bob"},
	{"SET session_authorization = bob", "track; SET session_authorization=bob"},
	{"RESET SESSION AUTHORIZATION", "track; RESET session_authorization"},
	{"SET XML OPTION DOCUMENT", "track; SET xmloption=document"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
		"track; SET default_transaction_isolation=serializable"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, NOT DEFERRABLE, ISOLATION LEVEL READ COMMITTED",
		"track; SET default_transaction_isolation=read committed; SET default_transaction_read_only=on; SET default_transaction_deferrable=off"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION nonsense", "pin: @unknown"},
	{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "track; SET TRANSACTION RR ro"},
	{"SET LOCAL TRANSACTION READ ONLY", "track; SET TRANSACTION ro"},
	{"SET TRANSACTION SNAPSHOT '00000003-1'", "track; SET TRANSACTION"},
	{"SET CONSTRAINTS ALL DEFERRED", "safe"},
	{"SET session = 1", "track; SET session=1"},
	{"SET local.x = 1", "track; SET local.x=1"},
	{"SET names TO x", "track; SET names=x"},
	{"SET seed = 0.5", "pin: seed"},
	{"SET transaction_isolation = 'serializable'", "track"},
	{"SET transaction_read_only = on", "track"},
	{"SET CATALOG 'x'", "pin: SET with a value that pgroute cannot read"},
	{"SET a FROM CURRENT", "pin: SET with a value that pgroute cannot read"},
	{"RESET a", "track; RESET a"},
	{"RESET a.b", "track; RESET a.b"},
	{"RESET \"A\"", "track; RESET a"},
	{"RESET ALL", "track; RESET ALL"},
	{"RESET TIME ZONE", "track; RESET timezone"},
	{"RESET TRANSACTION ISOLATION LEVEL", "safe"},
	{"RESET transaction_isolation", "track; RESET transaction_isolation"},
	{"RESET", "pin: @unknown; RESET"},
	{"RESET a b", "pin: @unknown; RESET a"},
	{"DISCARD ALL", "track !releases; DISCARD ALL"},
	{"discard plans", "safe"},
	{"DISCARD SEQUENCES", "track; DISCARD SEQUENCES"},
	{"DISCARD TEMP", "track !releases; DISCARD TEMP"},
	{"DISCARD TEMPORARY", "track !releases; DISCARD TEMP"},
	{"DISCARD", "pin: @unknown"},
	{"PREPARE p AS SELECT 1", "track; PREPARE p|AS SELECT 1"},
	{"PREPARE p (int, text) AS SELECT $1, $2", "track; PREPARE p|(int, text) AS SELECT $1, $2"},
	{"PREPARE \"P q\" AS INSERT INTO t VALUES ($1)",
		"track; PREPARE P q|AS INSERT INTO t VALUES ($1)"},
	{"PREPARE transaction AS SELECT 1", "track; PREPARE transaction|AS SELECT 1"},
	{"PREPARE p AS SELECT set_config('a', 'b', false)",
		"pin: set_config() elsewhere; PREPARE p|AS SELECT set_config('a', 'b', false)"},
	{"PREPARE p AS SELECT pg_advisory_lock(1)",
		"pin: pg_advisory_lock; PREPARE p|AS SELECT pg_advisory_lock(1)"},
	{"PREPARE p", "pin: @unknown; PREPARE p"},
	{"RESET \"", "pin: @unknown !error; RESET"},
	{"EXECUTE p", "track; EXECUTE p"},
	{"EXECUTE \"P\" (1, 'a;b')", "track; EXECUTE P|(1, 'a;b')"},
	{"EXECUTE p(1); EXECUTE q", "track; EXECUTE p|(1); EXECUTE q"},
	{"EXPLAIN EXECUTE p", "track; EXECUTE p nested"},
	{"EXPLAIN ANALYZE EXECUTE p (1)", "track; EXECUTE p nested"},
	{"EXPLAIN (ANALYZE, BUFFERS) EXECUTE p", "track; EXECUTE p nested"},
	{"EXPLAIN SELECT execute FROM t", "safe"},
	{"CREATE TABLE t AS EXECUTE p (1)", "track; EXECUTE p nested"},
	{"CREATE TABLE t AS EXECUTE p WITH NO DATA", "track; EXECUTE p nested"},
	{"CREATE TEMP TABLE t AS EXECUTE p", "pin: CREATE TEMP, CREATE TEMPORARY; EXECUTE p nested"},
	{"CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "safe"},
	{"DEALLOCATE p", "track; DEALLOCATE p"},
	{"DEALLOCATE PREPARE p", "track; DEALLOCATE p"},
	{"DEALLOCATE ALL", "track; DEALLOCATE ALL"},
	{"DEALLOCATE PREPARE ALL", "track; DEALLOCATE ALL"},
	{"DEALLOCATE prepare", "track; DEALLOCATE prepare"},
	{"LISTEN c", "pin: LISTEN; LISTEN c"},
	{"LISTEN \"C d\"", "pin: LISTEN; LISTEN C d"},
	{"UNLISTEN c", "safe !releases; UNLISTEN c"},
	{"UNLISTEN *", "safe !releases; UNLISTEN"},
	{"NOTIFY c, 'x'", "safe"},
	{"DECLARE c CURSOR FOR SELECT 1", "safe"},
	{"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", "safe"},
	{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "pin: DECLARE CURSOR WITH HOLD"},
	{"DECLARE c BINARY NO SCROLL CURSOR WITH /* x */ HOLD FOR SELECT 1",
		"pin: DECLARE CURSOR WITH HOLD"},
	{"FETCH ALL FROM c", "safe"},
	{"MOVE 1 IN c", "safe"},
	{"CLOSE c", "safe !releases"},
	{"LOAD 'x'", "pin: LOAD"},
	{"CALL p(1)", "safe"},
	{"CREATE TABLE t (a int)", "safe"},
	{"CREATE TABLE temp (temp text)", "safe"},
	{"CREATE TEMP TABLE t (a int)", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE TEMPORARY TABLE t (a int)", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE LOCAL TEMP TABLE t (a int)", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE GLOBAL TEMPORARY TABLE t (a int)", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"create /* x */ temp -- y", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE TEMP VIEW v AS SELECT 1", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE TEMP SEQUENCE s", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE TEMP TABLE t (a int) ON COMMIT DROP", "safe"},
	{"CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1", "safe"},
	{"CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"CREATE TABLE pg_temp.t (a int)", "pin: pg_temp"},
	{"CREATE TABLE \"pg_temp\".t (a int)", "pin: pg_temp"},
	{"CREATE TABLE U&\"pg\\005ftemp\".t (a int)",
		"pin: a name like U&\"\\0061\" outside of queries, or called"},
	{"CREATE TABLE U&\"pg!005ftemp\" UESCAPE '!' .t (a int)",
		"pin: a name like U&\"\\0061\" outside of queries, or called"},
	{"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'select 1'", "pin: pg_temp"},
	{"CREATE TABLE pg_temp_3.t (a int)", "pin: pg_temp"},
	{"CREATE TABLE pg_temperature (a int)", "safe"},
	{"SELECT * FROM pg_temp.t", "safe"},
	{"INSERT INTO temp VALUES (1)", "safe"},
	{"SELECT 1 INTO TEMP t", "pin: SELECT INTO TEMP"},
	{"SELECT 1 INTO TEMPORARY TABLE t FROM x", "pin: SELECT INTO TEMP"},
	{"select a into local temp t", "pin: SELECT INTO TEMP"},
	{"SELECT 1 INTO t", "safe"},
	{"SELECT 1 INTO pg_temp.t", "pin: pg_temp"},
	{"WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a", "pin: SELECT INTO TEMP"},
	{"WITH a AS (INSERT INTO temp VALUES (1) RETURNING 1) SELECT 1", "safe"},
	{"EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"EXPLAIN ANALYZE SELECT 1 INTO TEMP t", "pin: SELECT INTO TEMP"},
	{"ALTER TABLE t SET (fillfactor = 70)", "safe"},
	{"ALTER ROLE r SET search_path = pg_temp_x", "safe"},
	{"DROP TABLE t", "safe !releases"},
	{"VACUUM t", "safe"},
	{"ANALYZE", "safe"},
	{"ANALYSE t", "safe"},
	{"GRANT SELECT ON t TO r", "safe"},
	{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SET a = b", "track; SET a=b"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
		"safe"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SET a = b",
		"pin: @unknown; SET a=b"},
	{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 case; END; SET a = b; SELECT 1 end",
		"pin: @unknown"},
	{"CREATE FUNCTION f() RETURNS int SET search_path = x LANGUAGE sql AS 'select 1'", "safe"},
	{"SELECT set_config('a', 'b', false)", "track; SET a=b f"},
	{"SELECT set_config('a.b', 'c', true)", "track; SET a.b=c local f"},
	{"SELECT pg_catalog.set_config('search_path', '', false)", "track; SET search_path= f"},
	{"SELECT set_config('a', $1, $2)", "track; SET a= f value$1 local$2"},
	{"SELECT set_config($1, $2, $3)", "track; SET = f name$1 value$2 local$3"},
	{"SELECT set_config('a', $1::text, true::boolean), set_config('b'::text, 'c', false) AS d",
		"track; SET a= local f value$1; SET b=c f"},
	{"SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
		"track; SET jit=off f"},
	{"SELECT set_config('a', NULL, false)", "track; RESET a f"},
	{"SELECT set_config('seed', '1', false)", "pin: seed"},
	{"SELECT set_config('search_path', 'pg_temp', false)",
		"pin: SET search_path with pg_temp in it"},
	{"SELECT set_config('search_path', $1, false)", "track; SET search_path= f value$1"},
	{"SELECT \"set_config\"('a', 'b', false)", "track; SET a=b f"},
	{"SELECT \"SET_CONFIG\"('a', 'b', false)", "safe"},
	{"SELECT SET_CONFIG ( 'a' , 'b' , FALSE )", "track; SET a=b f"},
	{"SELECT set_config/**/('a', 'b', false)", "track; SET a=b f"},
	{"SELECT U&\"set_config\"('a', 'b', false)", "track; SET a=b f"},
	{"SELECT U&\"\\0073et_config\"('a', 'b', false)",
		"pin: a name like U&\"\\0061\" outside of queries, or called"},
	{"SELECT U&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)",
		"pin: a name like U&\"\\0061\" outside of queries, or called"},
	{"SELECT set_config('a', 'b', false) FROM t", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) WHERE false", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) LIMIT 0", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) UNION SELECT 'x'", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) AS x FROM t", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false), 1 WHERE false", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) x ORDER BY 1", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) \"x\" OFFSET 1", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) AS x INTO t", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) AS x, f()", "pin: set_config() elsewhere"},
	{"SELECT (1, set_config('a', 'b', false))", "pin: set_config() elsewhere"},
	{"CREATE TEMP TABLE t AS (SELECT a ON COMMIT DROP)", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"SELECT DISTINCT set_config('a', 'b', false)", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false), unnest(ARRAY[1])", "pin: set_config() elsewhere"},
	{"SELECT generate_series(1, 0), set_config('a', 'b', false)", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b' || 'c', false)", "pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', false) || 'x'", "pin: set_config() elsewhere"},
	{"SELECT (set_config('a', 'b', false))", "pin: set_config() elsewhere"},
	{"SELECT coalesce(set_config('a', 'b', false), 'x')", "pin: set_config() elsewhere"},
	{"SELECT CASE WHEN true THEN set_config('a', 'b', false) END", "pin: set_config() elsewhere"},
	{"SELECT * FROM set_config('a', 'b', false)", "pin: set_config() elsewhere"},
	{"SELECT * FROM t, LATERAL set_config('a.b', t.x, true)", "safe"},
	{"SELECT set_config('a.b', f(x, y), true) FROM t", "safe"},
	{"SELECT set_config('a', x, true) FROM t", "pin: set_config() elsewhere"},
	{"SELECT other.set_config('a', 'b', false)", "pin: set_config() elsewhere"},
	{"SELECT 1 WHERE 'x' = (SELECT set_config('a', 'b', false))", "pin: set_config() elsewhere"},
	{"INSERT INTO t SELECT set_config('a', 'b', false)", "pin: set_config() elsewhere"},
	{"WITH a AS (SELECT set_config('a', 'b', false)) SELECT 1", "pin: set_config() elsewhere"},
	{"SELECT 1; SELECT set_config('a', 'b', false); SELECT 2", "track; SET a=b f"},
	{"SELECT set_config(setting_name => 'a', new_value => 'b', is_local => false)",
		"pin: set_config() elsewhere"},
	{"SELECT set_config('a', 'b', 'false')", "pin: set_config() elsewhere"},
	{"SELECT set_config(E'a', 'b', false)", "track; SET a=b f"},
	{"SELECT set_config(E'\\x61', 'b', false)", "pin: set_config() elsewhere"},
	{"SELECT setseed(0.5)", "pin: setseed"},
	{"SELECT currval('s')", "track !sequence"},
	{"SELECT lastval()", "track !sequence"},
	{"SELECT nextval('s'), setval('s', 1)", "safe"},
	{"SELECT pg_advisory_lock(1)", "pin: pg_advisory_lock"},
	{"SELECT pg_catalog.pg_advisory_lock_shared(1, 2)", "pin: pg_advisory_lock_shared"},
	{"SELECT pg_try_advisory_lock(1)", "pin: pg_try_advisory_lock"},
	{"SELECT pg_try_advisory_lock_shared(1)", "pin: pg_try_advisory_lock_shared"},
	{"SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)", "safe"},
	{"SELECT pg_advisory_unlock(1)", "safe !releases"},
	{"SELECT pg_advisory_unlock_all()", "safe !releases"},
	{"SELECT * FROM t WHERE pg_try_advisory_lock(t.id) LIMIT 1", "pin: pg_try_advisory_lock"},
	{"SELECT 'pg_advisory_lock(1)'", "safe"},
	{"SELECT $$pg_advisory_lock(1)$$", "safe"},
	{"SELECT 1 -- pg_advisory_lock(1)", "safe"},
	{"SELECT pg_advisory_lock FROM t", "safe"},
	{"SELECT dblink_connect('c', 'host=x')", "pin: dblink_connect"},
	{"SELECT * FROM dblink('host=x', 'select 1') AS t(a int)", "safe"},
	{"SELECT dblink_disconnect('c')", "safe !releases"},
	{"SELECT lo_open(1, 2)", "safe"},
	{"SELECT pg_export_snapshot()", "safe"},
	{"SELECT pg_notify('c', 'x')", "safe"},
	{"SELECT pg_replication_origin_session_setup('x')",
		"pin: pg_replication_origin_session_setup"},
	{"SELECT pg_create_logical_replication_slot('a', 'b', true)",
		"pin: pg_create_logical_replication_slot"},
	{"SELECT pg_backup_start('x')", "pin: pg_backup_start"},
	{"SELECT set_limit(0.5)", "pin: set_limit"},
	{"SELECT query_to_xml('select 1', true, true, '')", "safe"},
	{"SELECT query_to_xml('select set_config(''a'', ''b'', false)', true, true, '')",
		"pin: set_config() elsewhere"},
	{"SELECT query_to_xml($1, true, true, '')",
		"pin: a parameter in a statement with a function that runs a text"},
	{"SELECT * FROM crosstab($$select a, b, c from t$$) AS ct(a text)", "safe"},
	{"SELECT * FROM crosstab('select pg_advisory_lock(1)') AS ct(a text)",
		"pin: pg_advisory_lock"},
	{"DO $$ BEGIN PERFORM 1; END $$", "safe"},
	{"DO LANGUAGE plpgsql $$ BEGIN PERFORM 1; END $$", "safe"},
	{"DO $$ BEGIN SET a = b; END $$", "pin: SET or RESET in the body of a function or of DO"},
	{"DO 'BEGIN NULL; END'", "pin: DO with a body that pgroute cannot read"},
	{"DO LANGUAGE plperl $$ 1 $$", "pin: DO with a body that pgroute cannot read"},
	{"DO $$ BEGIN CREATE TEMP TABLE t (a int); END $$", "pin: CREATE TEMP, CREATE TEMPORARY"},
	{"DO $$ BEGIN CREATE TEMP TABLE t (a int) ON COMMIT DROP; END $$", "safe"},
	{"DO $$ BEGIN EXECUTE 'LISTEN x'; END $$", "pin: LISTEN"},
	{"FOO BAR", "pin: @unknown"},
	{"SELCT 1", "pin: @unknown"},
	{"SELECT 1; FOO; SET a = b", "pin: @unknown; SET a=b"},
	{"SELECT 'unterminated", "pin: @unknown !error"},
	{"SELECT \"unterminated", "pin: @unknown !error"},
	{"SET a = 'b'; SELECT 'unterminated", "pin: @unknown !error; SET a=b"},
	{"SELECT (1; SELECT 2", "pin: @unknown"},
	{"SELECT 1); SET a = b", "track; SET a=b"},
	{"SELECT 1); SELECT pg_advisory_lock(1)", "pin: pg_advisory_lock"},
	{"CREATE FUNCTION f() RETURNS int SECURITY DEFINER SET search_path = public, pg_temp LANGUAGE sql AS 'select 1'",
		"safe"},
	{"ALTER FUNCTION f() SET search_path = pg_catalog, pg_temp", "safe"},
	{"CREATE EXTENSION x SCHEMA pg_temp", "pin: pg_temp"},
	{"SELECT \"pg_advisory_lock\"(1)", "pin: pg_advisory_lock"},
	{"SELECT pg_advisory_lock -- c", "safe"},
	{"SELECT 1 AS one FROM users WHERE id = $1 LIMIT $2", "safe"},
	{"SET extra_float_digits = 3; SET application_name = 'PostgreSQL JDBC Driver'",
		"track; SET extra_float_digits=3; SET application_name=PostgreSQL JDBC Driver"},
	{"SET client_encoding TO 'UTF8';SET client_min_messages TO warning;SET standard_conforming_strings = on;SET SESSION timezone TO 'UTC'",
		"track; SET client_encoding=UTF8; SET client_min_messages=warning; SET standard_conforming_strings=on; SET timezone=UTC"},
	{"SET a=1;SET a=2;SET a=3;SET a=4;SET a=5;SET a=6;SET a=7;SET a=8;SET a=9;SET a=10;SET a=11;SET a=12;SET a=13;SET a=14;SET a=15;SET a=16",
		"track; SET a=1; SET a=2; SET a=3; SET a=4; SET a=5; SET a=6; SET a=7; SET a=8; SET a=9; SET a=10; SET a=11; SET a=12; SET a=13; SET a=14; SET a=15; SET a=16"},
	{"SET a=1;SET a=2;SET a=3;SET a=4;SET a=5;SET a=6;SET a=7;SET a=8;SET a=9;SET a=10;SET a=11;SET a=12;SET a=13;SET a=14;SET a=15;SET a=16;SET a=17",
		"pin: more tracked statements in one text than are remembered !overflow; SET a=1; SET a=2; SET a=3; SET a=4; SET a=5; SET a=6; SET a=7; SET a=8; SET a=9; SET a=10; SET a=11; SET a=12; SET a=13; SET a=14; SET a=15; SET a=16"},
	{"SELECT hypopg_create_index('x')", "pin: hypopg_create_index"},
	{"SELECT pg_replication_origin_session_reset()", "safe !releases"},
	{"SELECT ts_stat('select x from y')", "safe"},
	{"CREATE INDEX CONCURRENTLY i ON t (a)", "safe"},
	{"IMPORT FOREIGN SCHEMA a FROM SERVER s INTO pg_temp", "pin: pg_temp"},
	{"REFRESH MATERIALIZED VIEW m", "safe"},
	{"SECURITY LABEL ON TABLE t IS NULL", "safe"},
	{"REASSIGN OWNED BY a TO b", "safe"},
	{"COMMENT ON TABLE t IS 'x'", "safe"},
	{"CHECKPOINT", "safe"},
	{"CLUSTER", "safe"},
	{"REINDEX TABLE t", "safe"},
	{"REVOKE SELECT ON t FROM r", "safe"},
};

/* The facts of a copy with nothing behind it, so that a sanitizer sees a byte read too much. */
static void
read_copy(const char *text, bool standard_strings, char *buf, size_t size)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	struct pgr_facts facts;

	memcpy(copy, text, len);
	pgr_session_read(copy, len, standard_strings, NULL, &facts);
	describe(&facts, copy, standard_strings, buf, size);
	free(copy);
}

static void
assert_facts(const char *text, bool standard_strings, const char *want)
{
	static const char unknown[] = "@unknown";
	const char *mark = strstr(want, unknown);
	char have[2000], wanted[2000];

	snprintf(wanted, sizeof(wanted), "%s", want);
	if (mark != NULL)
		snprintf(wanted, sizeof(wanted), "%.*s%s%s", (int)(mark - want), want,
			pgr_features[PGR_FEATURE_UNKNOWN].name, mark + sizeof(unknown) - 1);
	read_copy(text, standard_strings, have, sizeof(have));
	ck_assert_msg(strcmp(have, wanted) == 0, "\"%s\"\nhas  %s\nnot  %s", text, have, wanted);
}

START_TEST(test_session_texts_and_their_facts)
{
	for (size_t i = 0; i < PGR_COUNT_OF(texts); i++)
		assert_facts(texts[i].text, true, texts[i].want);
}
END_TEST

/* BEGIN in front adds its step and nothing else. */
START_TEST(test_session_each_text_behind_another)
{
	char text[1000], want[2000];

	for (size_t i = 0; i < PGR_COUNT_OF(texts); i++) {
		const char *steps = strstr(texts[i].want, "; ");
		int head = steps != NULL ? (int)(steps - texts[i].want) : (int)strlen(texts[i].want);

		if (strstr(texts[i].want, "SET a=16") != NULL)
			continue;
		snprintf(text, sizeof(text), "/* a */ BEGIN ;--b\n %s", texts[i].text);
		if (strncmp(texts[i].want, "safe", 4) == 0)
			snprintf(want, sizeof(want), "track%.*s; BEGIN%s", head - 4, texts[i].want + 4, steps != NULL ? steps : "");
		else
			snprintf(want, sizeof(want), "%.*s; BEGIN%s", head, texts[i].want, steps != NULL ? steps : "");
		assert_facts(text, true, want);
	}
}
END_TEST

START_TEST(test_session_strings_follow_standard_conforming_strings)
{
	assert_facts("SELECT '\\'; SET a = '\\b'", true, "track; SET a=\\b");
	assert_facts("SELECT '\\'; SET a = '\\b'", false, "pin: @unknown !error");
	assert_facts("SET a = '\\x41\\'b'", false, "track; SET a=A'b");
	assert_facts("SELECT '\\'', pg_advisory_lock(1), '", false, "pin: pg_advisory_lock !error");
	assert_facts("SELECT '\\', pg_advisory_lock(1), \\''", false, "safe");
	assert_facts("SELECT '\\', pg_advisory_lock(1), ''", true, "pin: pg_advisory_lock");
}
END_TEST

START_TEST(test_session_first_and_numbers_of_statements)
{
	static const char text[] = "SELECT 1;; SET a = b ;UPDATE t SET c = 1; RESET a";
	struct pgr_facts facts;

	pgr_session_read(text, strlen(text), true, NULL, &facts);
	ck_assert_uint_eq(facts.first, PGR_FEATURE_SELECT);
	ck_assert_uint_eq(facts.n_statements, 4);
	ck_assert_uint_eq(facts.n_steps, 2);
	ck_assert_uint_eq(facts.steps[0].statement, 1);
	ck_assert_uint_eq(facts.steps[1].statement, 3);
	ck_assert(memcmp(text + facts.steps[0].whole.start, "SET a = b ;", 9) == 0);
	ck_assert_uint_eq(facts.steps[0].whole.end - facts.steps[0].whole.start, 9);
	ck_assert_uint_eq(facts.steps[1].whole.end, strlen(text));
	ck_assert(pgr_feature_has(&facts.features, PGR_FEATURE_UPDATE));
	ck_assert(!pgr_feature_has(&facts.features, PGR_FEATURE_INSERT));
	pgr_session_read("", 0, true, NULL, &facts);
	ck_assert_uint_eq(facts.first, PGR_FEATURE_NONE);
	ck_assert_uint_eq(facts.n_statements, 0);
}
END_TEST

START_TEST(test_session_many_statements_that_leave_nothing_are_safe)
{
	static const char part[] = "INSERT INTO t VALUES (1);";
	size_t n = 70000, len = n * (sizeof(part) - 1);
	char *text = malloc(len);
	struct pgr_facts facts;

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * (sizeof(part) - 1), part, sizeof(part) - 1);
	pgr_session_read(text, len, true, NULL, &facts);
	ck_assert_uint_eq(facts.treatment, PGR_TREATMENT_SAFE);
	ck_assert_uint_eq(facts.n_statements, UINT16_MAX);
	free(text);
}
END_TEST

#define IN_BODY "SET or RESET in the body of a function or of DO"

static const struct {
	const char *body;
	const char *want; /* "": nothing; else the name of a row */
} bodies[] = {
	{"BEGIN NEW.updated_at := now(); RETURN NEW; END", ""},
	{"BEGIN UPDATE t SET a = 1 WHERE b = NEW.b; RETURN NULL; END", ""},
	{"BEGIN INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1; RETURN NEW; END", ""},
	{"BEGIN MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET a = 1; END", ""},
	{"BEGIN -- set the date\n RAISE NOTICE 'cannot set %', x; RAISE EXCEPTION 'Set of rows'; END", ""},
	{"SELECT 1", ""},
	{"SELECT nextval('s')", ""},
	{"SELECT pg_advisory_xact_lock(1)", ""},
	{"DECLARE x int; BEGIN SELECT a INTO x FROM t; END", ""},
	{"BEGIN EXECUTE format('ALTER TABLE %I SET (fillfactor = 70)', x); END", ""},
	{"BEGIN SET TRANSACTION READ ONLY; END", ""},
	{"BEGIN SET LOCAL app.user = 'x'; END", ""},
	{"BEGIN PERFORM set_config('app.user', x::text, true); END", ""},
	{"BEGIN CREATE TEMP TABLE t (a int) ON COMMIT DROP; SELECT 1; END", ""},
	{"BEGIN COMMIT; ROLLBACK; END", ""},
	{"SELECT currval('s')", "currval"},
	{"BEGIN RETURN lastval(); END", "lastval"},
	{"SET search_path = x", IN_BODY},
	{"BEGIN SET work_mem = 1; END", IN_BODY},
	{"BEGIN IF x THEN SET a.b TO 1; END IF; END", IN_BODY},
	{"BEGIN LOOP SET LOCAL work_mem = 1; END LOOP; END", IN_BODY},
	{"<<l>> SET ROLE x", IN_BODY},
	{"BEGIN NULL; RESET ALL; END", IN_BODY},
	{"BEGIN EXECUTE 'SET ' || x; END", IN_BODY},
	{"BEGIN EXECUTE 'SET LOCAL ' || x; END", IN_BODY},
	{"BEGIN EXECUTE format('SET %I = %L', a, b); END", IN_BODY},
	{"BEGIN EXECUTE $a$ select 1; set a = 'b' $a$; END", IN_BODY},
	{"BEGIN EXECUTE 'EXECUTE ''SET a = 1'''; END", IN_BODY},
	{"BEGIN EXECUTE E'\\x53ET a = 1'; END", IN_BODY},
	{"BEGIN PERFORM set_config('a', 'b', false); END", "set_config() elsewhere"},
	{"BEGIN PERFORM set_config('a.b', 'c', false); END", "set_config() elsewhere"},
	{"BEGIN PERFORM set_config(a, 'c', true); END", "set_config() elsewhere"},
	{"BEGIN PERFORM pg_catalog . set_config('a', 'b', x); END", "set_config() elsewhere"},
	{"SELECT a FROM t WHERE b = (SELECT pg_advisory_lock(1))", "pg_advisory_lock"},
	{"BEGIN EXECUTE 'SELECT pg_advisory_lock(' || x || ')'; END", "pg_advisory_lock"},
	{"BEGIN LISTEN x; END", "LISTEN"},
	{"BEGIN EXECUTE 'LISTEN ' || x; END", "LISTEN"},
	{"BEGIN LOAD 'x'; END", "LOAD"},
	{"BEGIN PREPARE p AS SELECT 1; END", "PREPARE or DEALLOCATE in the body of a function or of DO"},
	{"BEGIN DISCARD TEMP; END", "DISCARD in the body of a function or of DO"},
	{"BEGIN CREATE TEMP TABLE t (a int); END", "CREATE TEMP, CREATE TEMPORARY"},
	{"BEGIN EXECUTE 'create temporary table ' || x; END", "CREATE TEMP, CREATE TEMPORARY"},
	{"BEGIN CREATE TABLE pg_temp.t (a int); END", "pg_temp"},
	{"BEGIN UPDATE pg_settings SET setting = 'x' WHERE name = 'y'; END", "pg_settings"},
	{"BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; END", "DECLARE CURSOR WITH HOLD"},
	{"BEGIN PERFORM setseed(0.1); END", "setseed"},
	{"BEGIN PERFORM U&\"s\\0065tseed\"(0.1); END", "a name like U&\"\\0061\" outside of queries, or called"},
	{"BEGIN EXECUTE 'SELECT ''unterminated, currval('; END",
		"one of these words in a body that cannot be read as SQL"},
	{"BEGIN EXECUTE 'SELECT ''unterminated'; END", ""},
};

START_TEST(test_session_bodies)
{
	for (size_t i = 0; i < PGR_COUNT_OF(bodies); i++) {
		size_t len = strlen(bodies[i].body);
		char *copy = malloc(len);
		enum pgr_feature row;

		memcpy(copy, bodies[i].body, len);
		row = pgr_session_read_body(copy, len, true);
		ck_assert_msg(strcmp(pgr_features[row].name, bodies[i].want) == 0, "\"%s\" is %s, not %s", bodies[i].body,
			pgr_features[row].name, bodies[i].want);
		free(copy);
	}
}
END_TEST

START_TEST(test_session_bodies_in_other_languages_by_their_words)
{
	static const char *const bad[] = {"plpy.execute('SET a = 1')", "x = set()", "# listen",
		"spi_exec(\"create Temp table\")", "setseed", "PG_TEMP", "pg_advisory_lock"};
	static const char *const good[] = {"return 1", "settings = sets; preset(x)", "setseeds pg_temperature templates", ""};

	for (size_t i = 0; i < PGR_COUNT_OF(bad); i++)
		ck_assert_uint_eq(pgr_session_read_body(bad[i], strlen(bad[i]), false), PGR_FEATURE_MENTIONED);
	for (size_t i = 0; i < PGR_COUNT_OF(good); i++)
		ck_assert_uint_eq(pgr_session_read_body(good[i], strlen(good[i]), false), PGR_FEATURE_NONE);
}
END_TEST

/* Texts in texts, deeper than is read: looked through for words. */
START_TEST(test_session_deep_bodies_are_searched)
{
	static const char open[] = "BEGIN EXECUTE $a$ BEGIN EXECUTE $b$ BEGIN EXECUTE $c$ BEGIN EXECUTE $d$ ";
	static const char close[] = "; END $d$; END $c$; END $b$; END $a$; END";
	static const char *const inner[][2] = {{"SELECT setseed(1)", "+"}, {"SELECT 1", ""}, {"LISTEN x", "+"}, {"preset", ""}};
	char body[300];

	for (size_t i = 0; i < PGR_COUNT_OF(inner); i++) {
		enum pgr_feature row;

		snprintf(body, sizeof(body), "%s%s%s", open, inner[i][0], close);
		row = pgr_session_read_body(body, strlen(body), true);
		ck_assert_uint_eq(row, inner[i][1][0] == '+' ? PGR_FEATURE_MENTIONED : PGR_FEATURE_NONE);
	}
}
END_TEST

START_TEST(test_session_setting_feature_of_bound_values)
{
	static const struct {
		const char *name, *value;
		enum pgr_feature want;
	} cases[] = {{"Seed", "0", PGR_FEATURE_GUC_SEED}, {"search_path", "a, PG_TEMP", PGR_FEATURE_SET_TEMP_PATH},
		{"SEARCH_PATH", "public", PGR_FEATURE_GUC_SEARCH_PATH}, {"work_mem", "pg_temp", PGR_FEATURE_NONE},
		{"transaction_read_only", "on", PGR_FEATURE_GUC_READ_ONLY}, {"", "", PGR_FEATURE_NONE}};

	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++)
		ck_assert_uint_eq(pgr_setting_feature(cases[i].name, strlen(cases[i].name), cases[i].value,
					  strlen(cases[i].value)),
			cases[i].want);
}
END_TEST

START_TEST(test_session_values_that_no_server_takes_or_that_do_not_fit)
{
	static const char text[] = "SET a = E'x\\0y', 'z'; SET b = '0123456789'";
	struct pgr_facts facts;
	struct pgr_out out;
	char buf[8];

	pgr_session_read(text, strlen(text), true, NULL, &facts);
	ck_assert_uint_eq(facts.n_steps, 2);
	pgr_out_init(&out, buf, sizeof(buf));
	ck_assert(!pgr_step_value(&facts.steps[0], text, true, &out));
	pgr_out_init(&out, buf, sizeof(buf));
	ck_assert(pgr_step_value(&facts.steps[1], text, true, &out));
	ck_assert(out.full);
}
END_TEST

START_TEST(test_session_unsafe_names_are_seen)
{
	static const struct {
		const char *text;
		bool hit;
	} cases[] = {{"SELECT leak()", true}, {"SELECT \"Leak\"()", true}, {"SELECT s . leak ()", true},
		{"SELECT leaks()", false}, {"SELECT * FROM bad_table", true}, {"SELECT * FROM a, x.bad_table b", true},
		{"SELECT 'leak'", false}, {"SELECT (r).leak FROM r", true}, {"SELECT U&\"x\"", true},
		{"SELECT foo$bar()", true}, {"SELECT 1", false}, {"SELECT \"a leak\"()", true}, {"SELECT 1 -- leak", false}};
	struct pgr_name_set set = {0};
	struct pgr_facts facts;

	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++) {
		pgr_session_read(cases[i].text, strlen(cases[i].text), true, &set, &facts);
		ck_assert_uint_eq(facts.flags, 0);
	}
	pgr_name_set_add(&set, "leak", 4);
	pgr_name_set_add(&set, "Bad_Table", 9);
	pgr_name_set_add(&set, "foo$bar", 7);
	for (size_t i = 0; i < PGR_COUNT_OF(cases); i++) {
		pgr_session_read(cases[i].text, strlen(cases[i].text), true, &set, &facts);
		ck_assert_msg(((facts.flags & PGR_FACTS_NAMED) != 0) == cases[i].hit, "%s", cases[i].text);
	}
}
END_TEST

UNIT_MAIN("session", test_session_texts_and_their_facts, test_session_each_text_behind_another,
	test_session_strings_follow_standard_conforming_strings, test_session_first_and_numbers_of_statements,
	test_session_many_statements_that_leave_nothing_are_safe, test_session_bodies,
	test_session_bodies_in_other_languages_by_their_words, test_session_deep_bodies_are_searched,
	test_session_setting_feature_of_bound_values, test_session_values_that_no_server_takes_or_that_do_not_fit,
	test_session_unsafe_names_are_seen)
