-- identifiers and key words
SELECT 1;
select abalance from pgbench_accounts where aid = 12345;
SELECT a, B, _c, d1, e$f, G_$9 FROM t;
SELECT é, ñandú, "Ünïcödé", 日本語 FROM "テーブル";
SELECT "a""b", "select", "with space", "$1", "--x", "/*y*/" FROM "Schema"."Table";
SELECT U&"d\0061t\+000061", U&"d!0061t!+000061" UESCAPE '!', u&"x", U & "y", U&x, u&'z';
SELECT abort, absolute, access, action, add, admin, after, aggregate, also, alter;
SELECT aBoRt, "abort", abortx, xabort, abor, abort_, _abort, abort1, abort$;
SELECT current_timestamp, CURRENT_TIMESTAMP, current_timestamps, current_ximestamp, current_catalog;
SELECT authorization, bernoulli, bidirectional, characteristics, insensitive, materialized;
SELECT xmlattributes, xmlconcat, xmlelement, xmlexists, xmlforest, xmlnamespaces, xmlparse, xmlpi, xmlroot, xmlserialize, xmltable;
SELECT json_arrayagg, json_objectagg, json_serialize, json_scalar, json_table, merge_action, system_user;
SELECT end, end_, endx, no, not, nota, nothing, o, of, off, offset, oids, old, on, only;
SELECT a.b.c.d, a . b . c, t.*, (r).f, (r).*, x[1], x[1:2], x[:], y[1][2:3];
SELECT s.select, s.from, s."where", AS_ AS select;
SELECT N'national', n'x' 'y', N 'x', n, N, nchar, NCHAR 'x', n"x", nn'x', national character varying(3);
SELECT e'x', E'x', E 'x', "E"'x', ee'x', b'1', B'0', B '1', bb'1', x'1f', X'1F', x '1f', xx'1f';
-- strings
SELECT '', 'a', 'a''b', '''', '''''', 'a' 'b', 'a"b', 'a\b', 'a\', 'b';
SELECT 'first'
'second' AS x;
SELECT 'first'    
    -- a comment
  'second'   -- another
	'third';
SELECT 'first' -- comment at once
'second';
SELECT 'first' /* no continuation */
'second';
SELECT 'first' - 'x', 'first'-'x', 'first'
- 'x';
SELECT 'first'
-- one
-- two

-- three
'second';
SELECT 'a'
'b''c'
'd', E'a'
'b\'c'
'd', B'01'
'10', X'ab'
'cd', U&'a'
'b', N'a'
'b';
SELECT 'a'
e'b';
SELECT E'\b\f\n\r\t\v\\\'\"\a\z', E'\0017', E'\101\1\12\123\1234', E'\x4', E'\x41', E'\x411', E'\xg', E'\x';
SELECT E'\u0041', E'\U00000041', E'\ud83d\ude00', E'\U0000d83d\U0000de00', E'\ud83d\U0000de00', E'a\u00e9b';
SELECT E'\
', E'
', E'it\'s', E'it''s', E'\\', E'a\\', E'\\''';
SELECT E'\u004';
SELECT E'\U0000004';
SELECT E'\u';
SELECT E'\U';
SELECT E'\uzzzz';
SELECT E'\ud83d';
SELECT E'\ud83dx';
SELECT E'\ud83d\n';
SELECT E'\ud83d\u0041';
SELECT E'\ud83d\u00';
SELECT E'\ude00';
SELECT E'\u0000';
SELECT E'\U00110000';
SELECT E'\UFFFFFFFF';
SELECT E'\ud83d
';
SELECT E'unterminated\';
SELECT 'unterminated;
SELECT 'unterminated''
SELECT 'unterminated'
'
SELECT B'unterminated;
SELECT X'unterminated;
SELECT U&'unterminated;
SELECT U&"unterminated;
SELECT "unterminated;
SELECT "unterminated""
SELECT "";
SELECT U&"";
SELECT B'', X'', B'2', X'g', B'1''0', X'1''2', b'x
y';
SELECT U&'d\0061t\+000061', U&'d!0061' UESCAPE '!', U&'\', U&'''', U&'a''b';
-- dollar quotes
SELECT $$$$, $$a$$, $$a'b"c$$, $a$b$a$, $a$ $b$ $a$, $tag$ $tag $tag$, $_x1$ y $_x1$, $é$x$é$;
SELECT $$a$b$$, $$ $ $$, $a$ $$ $a$, $a$$a$, $a$ $a $a$, $a$ $ab$ $a$, $ab$ $a$ $ab$, $a$$$a$;
SELECT $a$ $A$ $a$, $A$x$A$, $a$b$a$b, $$x$$y, $$x$$$$y$$, $1$2$3, $a, $a b$, $ , a$b$c, a$$b$$;
SELECT $body$
BEGIN
  -- 'quote
  RETURN $$inner$$;
END
$body$ LANGUAGE plpgsql;
SELECT $1a$ x $1a$;
SELECT $a$ unterminated $b$;
SELECT $$ unterminated;
SELECT $a$ unterminated $a;
SELECT $a-$ x $a-$;
-- comments
SELECT 1 -- to the end
SELECT /* a */ 1 /* b /* nested */ c */ + /**/ 2 /***/ * 3 /****/ , /*/ x */ 4 /* /*/ */ */, 5;
SELECT 1/*x*/+/*y*/2, 1/**/--z
+3, 4--5
, 6;
SELECT 1 /* unterminated /* nested */ ;
SELECT 1 /* unterminated
SELECT 1 /*/
SELECT 1 /* * / */ , 2 */ 3, 4 / * 5, 6 */* x */ 7;
SELECT '/*', '--', "/*", $$--$$, /* ' */ 1, -- '
 2;
SELECT 1;--x
--
---
----
SELECT 1 ---x
, 2;
-- operators
SELECT 1+2, 1-2, 1*2, 1/2, 1%2, 1^2, 1<2, 1>2, 1=2, 1<>2, 1!=2, 1<=2, 1>=2, a=>1, a:=1, a::int, 1..2, x.y;
SELECT 1+-2, 1 - -2, 1=-1, 1=+1, 1<-1, 1>-1, 1<=-1, 1>=-1, 1<>-1, 1!=-1, 1=>-1, 1*-1, 1/-1, 1%-1, 1^-1, -+-1, +-+1;
SELECT @-1, @ -1, ~-1, !-1, #-1, &-1, |-1, `-1, ?-1, %-1, 1@-1, 1<@-1, 1&&-1, 1||-1, 1?-1, 1|-1;
SELECT @1, ~1, |/4, ||/8, !!5, a||b, a->b, a->>b, a#>b, a#>>b, a@>b, a<@b, a?b, a?|b, a?&b, a@?b, a@@b, a<->b, a<<|b, a|>>b;
SELECT a~b, a!~b, a~*b, a!~*b, a~~b, a!~~b, a~~*b, a!~~*b, a^@b, a&<b, a&>b, a-|-b, a##b, a<#>b, a<=>b, a%%b, a<<=b, a>>=b;
SELECT 1+/*x*/2, 1*/*x*/2, 1</*x*/2, 1<=/*x*/2, 1!=/*x*/2, 1=>/*x*/2, 1@/*x*/2, 1@-/*x*/2, 1=-/*x*/2, 1=+--x
2, 1<>--x
2, 1@--x
2, 1@+--x
2, 1<=---x
2;
SELECT 1+*2, 1*+2, 1**2, 1*+-+2, 1<+-2, 1=*2, 1=*-2, 1<=+2, 1<>+-2, 1!=+-2, 1>=-+2, 1=>+-+2, a<=>-b, a|-b, a-|b;
SELECT +++++++1, -+-+-+-+-1, +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+1;
SELECT 1 @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 2;
SELECT 1 @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 2;
SELECT 1 ================================================================+++++++++ 2;
SELECT 1 *===============================================================+++++++++ 2;
SELECT 1 operator(pg_catalog.+) 2, a operator(=) b, a OPERATOR ( public . <-> ) b;
SELECT a :b, a: b, a:::b, a::::b, a:=b, a :=b, a: =b, a::=b, a:==b, a=:b, :x, :'x', :"x", ::x;
SELECT (1), [1], {1}, 1;2, a,b;;c, \x, a\b, a{b}c, a'b'c, a"b"c, @, #, !, `a`, ?, ?1, ?a, $, %, ^, ~;
-- numbers
SELECT 0, 1, 12, 007, 2147483647, 2147483648, 4294967296, 99999999999999999999999999, 1_000, 1_0_0, 2_147_483_647, 2_147_483_648;
SELECT 1.0, 1., .1, 1.5e10, 1.e10, .5e10, 1e10, 1E10, 1e+10, 1e-10, 1E-1_0, 1_0.0_1, 1_0e1_0, 0.0, 00.00, 1.5.6, 1..2, 1...2, 1....2, 1.-2;
SELECT 0x0, 0xff, 0XFF, 0xFf_fF, 0x_1, 0x7fffffff, 0x80000000, 0xffffffffffffffffff, 0o17, 0O17, 0o_17, 0o17777777777, 0o20000000000, 0b101, 0B101, 0b_1, 0b1_0;
SELECT 0b1111111111111111111111111111111, 0b10000000000000000000000000000000, 0x1.5, 0b1.1, 0o1.1, 0x1..2, 0x1e+5, 0b1-1, 0x1::int, 0x1f$1;
SELECT 1e;
SELECT 1e+;
SELECT 1e-x;
SELECT 1.5e;
SELECT 1.5e+;
SELECT .5e-;
SELECT 1e1x;
SELECT 1e1_;
SELECT 1e_1;
SELECT 1a;
SELECT 1_;
SELECT 1__0;
SELECT 1_a;
SELECT 1.a;
SELECT 1._1;
SELECT 1.0a;
SELECT .1a;
SELECT 1.1_;
SELECT 1é;
SELECT 1.é;
SELECT 0x;
SELECT 0x_;
SELECT 0xg;
SELECT 0x1g;
SELECT 0x1_;
SELECT 0x1__1;
SELECT 0o;
SELECT 0o8;
SELECT 0o18;
SELECT 0o1a;
SELECT 0b;
SELECT 0b2;
SELECT 0b12;
SELECT 0b1a;
SELECT 0b_;
SELECT 0b'1';
SELECT 0a, 00x1;
SELECT 00x1;
SELECT 1x'ff';
SELECT 1e'x';
SELECT 1 e'x', 1"x", 1'x', 1$$x$$, 1$1, 1.$1, 1$, 1:2, 1;2;
-- parameters
SELECT $1, $2, $10, $007, $2147483647, $1::int, $1+$2, ($1), $1,$2, $1.x, $1[1], $1$2, $1'x', $1"x";
SELECT $2147483648;
SELECT $99999999999999999999;
SELECT $0;
SELECT $1a;
SELECT $1_;
SELECT $1é;
-- statements of every kind
BEGIN; COMMIT; ROLLBACK; END; ABORT; START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
BEGIN WORK READ WRITE; COMMIT AND CHAIN; ROLLBACK AND NO CHAIN; SAVEPOINT s; ROLLBACK TO SAVEPOINT s; RELEASE s;
PREPARE TRANSACTION 'foo'; COMMIT PREPARED 'foo'; ROLLBACK PREPARED 'foo';
SET search_path TO "$user", public; SET SESSION a.b = 'c'; SET LOCAL TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE; SET x = -1.5, +2, on, off;
RESET ALL; RESET SESSION AUTHORIZATION; SHOW ALL; DISCARD ALL; SET NAMES 'utf8'; SET XML OPTION DOCUMENT; SET CONSTRAINTS ALL DEFERRED;
CREATE TABLE t (a int4 PRIMARY KEY, b numeric(10,2) NOT NULL DEFAULT 0.00 CHECK (b >= 0), c text COLLATE "C", d timestamptz DEFAULT now());
CREATE TEMPORARY TABLE tt ON COMMIT DROP AS SELECT * FROM t WITH NO DATA;
CREATE UNLOGGED TABLE u (LIKE t INCLUDING ALL) PARTITION BY RANGE (a) WITH (fillfactor=70) TABLESPACE x;
CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING gin ((a || b) gin_trgm_ops DESC NULLS FIRST) INCLUDE (c) WHERE a IS NOT NULL;
CREATE FUNCTION f(IN a int, OUT b int, VARIADIC c text[] DEFAULT '{}') RETURNS SETOF record LANGUAGE plpgsql STABLE AS $f$ begin return next; end $f$;
CREATE FUNCTION g(a int) RETURNS int RETURN a + 1;
CREATE FUNCTION h(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 0 THEN 1 ELSE 0 END; SELECT 2; END;
CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS 'select 1';
CREATE TRIGGER tr BEFORE INSERT OR UPDATE OF a, b ON t FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION f('x', 1);
CREATE RULE r AS ON INSERT TO v DO INSTEAD (INSERT INTO t VALUES (new.a); NOTIFY x);
CREATE VIEW v WITH (security_barrier) AS SELECT * FROM t WITH CASCADED CHECK OPTION;
CREATE OPERATOR <=>+ (LEFTARG = int, RIGHTARG = int, PROCEDURE = f, COMMUTATOR = OPERATOR(public.<=>));
CREATE TYPE e AS ENUM ('a', 'b''c', E'd\n'); CREATE TYPE c AS (x int, y "T"); CREATE DOMAIN d AS text CHECK (value ~ '^\d+$');
CREATE AGGREGATE a (*) (SFUNC = f, STYPE = int); CREATE CAST (a AS b) WITHOUT FUNCTION AS IMPLICIT; CREATE EXTENSION x CASCADE;
CREATE POLICY p ON t FOR ALL TO PUBLIC USING (a = current_user) WITH CHECK (true);
CREATE PUBLICATION pub FOR TABLE t (a, b) WHERE (a > 0); CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION pub;
ALTER TABLE ONLY t ADD COLUMN IF NOT EXISTS z int GENERATED ALWAYS AS IDENTITY (START WITH 1), ALTER a SET STATISTICS -1, DROP CONSTRAINT c;
ALTER ROLE r SET work_mem = '64MB'; ALTER SYSTEM SET x TO DEFAULT; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r;
DROP TABLE IF EXISTS a, b.c CASCADE; TRUNCATE a, b RESTART IDENTITY; LOCK TABLE a IN ACCESS EXCLUSIVE MODE NOWAIT;
GRANT SELECT (a), UPDATE (b) ON t TO r WITH GRANT OPTION; REVOKE ALL ON ALL TABLES IN SCHEMA s FROM PUBLIC;
COMMENT ON COLUMN t.a IS 'x'; SECURITY LABEL ON TABLE t IS NULL; REASSIGN OWNED BY a TO b; REFRESH MATERIALIZED VIEW CONCURRENTLY m;
COPY t (a, b) FROM STDIN WITH (FORMAT csv, DELIMITER E'\t', NULL '\N', HEADER); COPY (SELECT 1) TO PROGRAM 'cat' WITH BINARY;
VACUUM (FULL, ANALYZE) t; ANALYZE VERBOSE t (a); CLUSTER t USING i; REINDEX (VERBOSE) INDEX CONCURRENTLY i; CHECKPOINT;
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT 1; EXPLAIN ANALYZE EXECUTE p(1, 'x'); DO $$ begin null; end $$; CALL p(1, x => 2);
PREPARE p (int, text) AS SELECT $1, $2; EXECUTE p (1, 'x'); DEALLOCATE PREPARE p; DEALLOCATE ALL;
DECLARE c BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT 1; FETCH FORWARD 10 FROM c; MOVE BACKWARD ALL IN c; CLOSE c;
LISTEN x; NOTIFY x, 'payload'; UNLISTEN *; LOAD 'lib'; IMPORT FOREIGN SCHEMA a LIMIT TO (b) FROM SERVER s INTO c;
-- queries
SELECT DISTINCT ON (a, b) a, b AS "B", count(*) FILTER (WHERE c > 1) OVER (PARTITION BY a ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM t;
SELECT * FROM a NATURAL JOIN b LEFT OUTER JOIN c USING (x) AS j CROSS JOIN LATERAL f(a.x) WITH ORDINALITY AS g (y, z) TABLESAMPLE bernoulli (10.5) REPEATABLE (42);
SELECT a FROM t WHERE a = ANY ('{1,2,3}'::int[]) AND b IN (SELECT 1 UNION ALL VALUES (2), (3)) AND NOT EXISTS (TABLE x) OR c BETWEEN SYMMETRIC 1 AND 2;
SELECT a FROM t WHERE a LIKE 'x%' ESCAPE '!' AND b SIMILAR TO '(a|b)*' AND c ILIKE ALL (ARRAY['x', 'y']) AND d IS NOT DISTINCT FROM NULL;
SELECT a FROM t GROUP BY GROUPING SETS ((a, b), ROLLUP (c), CUBE (d, e), ()) HAVING sum(f) > 0 ORDER BY 1 DESC NULLS LAST, 2 USING < LIMIT 10 OFFSET 5 ROWS;
SELECT a FROM t FETCH FIRST 5 ROWS WITH TIES FOR NO KEY UPDATE OF t SKIP LOCKED;
WITH RECURSIVE r(n) AS MATERIALIZED (VALUES (1) UNION SELECT n + 1 FROM r WHERE n < 10) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT * FROM r;
WITH d AS (DELETE FROM t WHERE a < 0 RETURNING *), i AS (INSERT INTO log SELECT * FROM d) UPDATE t SET (a, b) = (SELECT 1, 2), c[1] = DEFAULT FROM d WHERE t.a = d.a;
INSERT INTO t AS x (a, b.c, d[1]) OVERRIDING SYSTEM VALUE VALUES (1, DEFAULT, $1), (2, NULL, 'x') ON CONFLICT ON CONSTRAINT c DO UPDATE SET a = excluded.a WHERE x.a <> 0 RETURNING WITH (OLD AS o, NEW AS n) o.a, n.a;
MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND s.x THEN UPDATE SET b = s.b WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1) RETURNING merge_action();
SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, COALESCE(a, b), NULLIF(a, b), GREATEST(1, 2), CAST(a AS double precision), a::character varying(10)[], EXTRACT(epoch FROM now());
SELECT TRIM(BOTH 'x' FROM 'y'), SUBSTRING('x' FROM 1 FOR 2), POSITION('a' IN 'b'), OVERLAY('a' PLACING 'b' FROM 1), NORMALIZE('x', NFC), COLLATION FOR ('x');
SELECT INTERVAL '1 day' DAY TO SECOND(3), TIMESTAMP WITH TIME ZONE '2020-01-01', DATE '2020-01-01', TIME '12:00' AT TIME ZONE 'utc' AT LOCAL, BIT VARYING '101', x'1f'::bit(8);
SELECT ROW(1, 2), (1, 2) OVERLAPS (3, 4), ARRAY[[1, 2], [3, 4]], ARRAY(SELECT 1), a IS TRUE, b IS UNKNOWN, c IS DOCUMENT, d IS JSON OBJECT WITH UNIQUE KEYS, e IS NFKC NORMALIZED;
SELECT XMLELEMENT(NAME foo, XMLATTRIBUTES(a AS b), 'c'), XMLPARSE(DOCUMENT '<a/>'), JSON_OBJECT('a': 1, 'b' VALUE 2 NULL ON NULL), JSON_QUERY(x, '$.a' PASSING 1 AS y WITH WRAPPER);
SELECT * FROM JSON_TABLE(x, '$[*]' COLUMNS (id FOR ORDINALITY, a int PATH '$.a' DEFAULT 0 ON EMPTY, NESTED PATH '$.b' COLUMNS (c text)));
SELECT f(a, VARIADIC b), f(a => 1, b := 2), f(DISTINCT a ORDER BY b), f(*) WITHIN GROUP (ORDER BY a), s.f(), "F"(), f () , f/**/(), f--
();
SELECT a FROM ONLY t*, (t) AS u, s.t v (a, b), ROWS FROM (f(), g() AS (a int)) w, (SELECT 1) x, (VALUES (1)) y (a);
TABLE t; VALUES (1, 'a'), (2, 'b') ORDER BY 1; (SELECT 1) UNION (SELECT 2) EXCEPT ALL (SELECT 3) INTERSECT SELECT 4;
SELECT 1 AS a, 2 b, 3 "c", 4 AS "d e", 5 AS select, 6 value, 7 AS $1;
SELECT /*+ hint */ /* sqlcommenter: traceparent='00-x-01' */ 1 /* app:web,controller:a,action:b */;
select	tab ,	"tab	in quotes" 	from
 x ;
SELECT'a'FROM"b"WHERE"c"='d'AND(e)IN(1,2)OR f>0AND g;
SELECT'a'FROM"b"WHERE"c"='d'AND(e)IN(1,2)OR f>0 AND g;
INSERT INTO "users" ("id","name","created_at") VALUES ($1,$2,'2020-01-01 00:00:00.000000') RETURNING "id"
UPDATE "users" SET "name" = 'O''Brien', "bio" = E'line\nline', "n" = "n" + 1 WHERE "users"."id" = 1
SELECT "u".* FROM "users" "u" WHERE ("u"."email" = 'a@b.c') ORDER BY "u"."id" ASC LIMIT 1
SELECT a@b, a.b@c, 'a@b'::text, '{"a": [1, 2]}'::jsonb -> 'a' ->> 0, '[1,2)'::int4range @> 1, '{a,b}'::text[] && ARRAY['a'];
SELECT pg_advisory_lock(1), set_config('a.b', 'c', false), currval('s'::regclass), nextval($$s$$), lo_open(1, x'40000'::int);
SELECT * FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default;
select json '{}', jsonb'{}', point '(1,2)', int4 '1', "char" 'x', pg_catalog.text 'y', f('x') 'z';
-- line ends and odd bytes
SELECT 1;SELECT 2;
SELECT 'a
b', "c
d", $$e
f$$, /* g
h */ 1;
SELECT € , ½ , ａ , 😀 , "😀" , '😀' , $😀$x$😀$ ;
SELECT 1 	2;
SELECT  1;
SELECT 1;
SELECT 'a''b', 1 -- x, 2
;
SELECT , , ;
SELECT 'a'
'b';
SELECT ��, '�', "�";
-- what clients send every day
UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 99999;
UPDATE pgbench_tellers SET tbalance = tbalance + 17 WHERE tid = 3;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, 99999, -4321, CURRENT_TIMESTAMP);
SELECT set_config('search_path', '', false);SELECT pg_catalog.set_config('a', $1, $2);
SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new
SET client_min_messages TO warning;SET standard_conforming_strings = on;SET SESSION timezone TO 'UTC'
SET extra_float_digits = 3;SET application_name = 'PostgreSQL JDBC Driver';SET DateStyle TO ISO, MDY;
SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) for 128) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16384' AND a.attnum > 0 AND NOT a.attisdropped;
SELECT "django_session"."session_key", "django_session"."expire_date" FROM "django_session" WHERE ("django_session"."expire_date" > '2024-01-01T00:00:00+00:00'::timestamptz AND "django_session"."session_key" = 'x') LIMIT 21
SELECT 1 AS one FROM "users" WHERE "users"."email" = $1 AND "users"."id" != $2 LIMIT $3 /*application:App,controller:users,action:create*/
SELECT oid, typarray FROM pg_type WHERE typname IN ('hstore','geometry') OR typelem = 0 AND NOT (typname ~ E'^_\\w+');
select nextval ('hibernate_sequence'), currval("x"), lastval(), setval('s', 1, false);
select t0_.id as id1_0_, t0_.a as a2_0_ from t t0_ where t0_.id=? and t0_.b like ? escape '\' order by t0_.id asc nulls last limit ?
SELECT * FROM crosstab('select a, b, c from t order by 1', 'select distinct b from t') AS ct(a text, "x" int, "y" int);
SELECT jsonb_path_query(d, '$.a[*] ? (@.b > $x && @.c like_regex "^a")', '{"x": 1}'), d @? '$.a', d #>> '{a,b}', d - 'k', d #- '{a}', d || '{}';
SELECT ST_AsText(geom), geom && ST_MakeEnvelope(1.5, -2.5, .5, 4., 4326), a <-> 'POINT(1 1)'::geometry, embedding <=> '[1,2,3]' FROM g;
DO $do$ BEGIN EXECUTE format('CREATE TABLE %I (%s)', $1$, 'x'); END $do$;
DO $do$ BEGIN IF NOT EXISTS (SELECT 1) THEN RAISE NOTICE '%', $q$it's$q$; END IF; END $do$;
create or replace function set_updated_at() returns trigger as $$ begin new.updated_at := now(); return new; end; $$ language plpgsql;
SELECT a FROM t WHERE b = 'x' -- trailing comment without an end
