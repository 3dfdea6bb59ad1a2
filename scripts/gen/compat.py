#!/usr/bin/env python3
"""Writes docs/compat/README.md from the registries: what is there, what answers error 1235, which variables act.
   scripts/gen/compat.py [--check]     --check: fails when the page is not what the registries say"""
import glob
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PAGE = "docs/compat/README.md"


# What MySQL itself does not do, or warns of, with error 1235 and these words.
MYSQL_OWN = ("LIMIT & IN/ALL/ANY/SOME subquery", "ORDER BY / LIMIT / SELECT DISTINCT in recursive", "ORDER BY over UNION in recursive",
             "This version of MySQL doesn't yet support 'sorting of non-scalar JSON", "comparison of JSON in the LEAST and GREATEST operators",
             "Use of CAST( .. AS .. ARRAY) outside of functional index", "more than one multi-valued key part", "EXPLAIN ANALYZE FOR CONNECTION",
             "EXPLAIN ANALYZE with TRADITIONAL format", "an operation that leaves the table without a PRIMARY KEY")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def wrap(names):
    return ", ".join(f"`{n}`" for n in sorted(set(names))) or "none"


def main():
    built = [n for p in glob.glob("sql/func/*/functions.def") for n in re.findall(r"^FUNC\((\w+),", read(p), re.M)]
    built = [n for n in built if not n.startswith("op_")]
    aggregates = re.findall(r"^AGG\w*\((\w+),", read("sql/func/aggregate/aggregates.def"), re.M)
    missing = re.findall(r'^KNOWN\("(\w+)"\)', read("sql/func/known.def"), re.M)
    tables = re.findall(r"^(?:IS|MEM)_TABLE\((\w+),\s*(\w+)", read("sql/infoschema/tables.def"), re.M)
    perf = re.findall(r"^PS_TABLE\((\w+),", read("sql/infoschema/tables.def") + read("sql/infoschema/perf_tables.def"), re.M)
    variables = re.findall(r'^SYSVAR\((\w+), \w+, \w+, "(?:\\.|[^"])*", .*, ([\w|]+)\)$', read("sql/session/sysvars.def"), re.M)
    acts = [n for n, flags in variables if "ACTS" in flags]
    kept = [n for n, flags in variables if "ACTS" not in flags and "DYNAMIC" in flags]
    grammar = "".join(read(p) for p in glob.glob("sql/parser/grammar/*.y.in") + glob.glob("sql/parser/*.c"))
    later = re.findall(r'UNSUPPORTED\("([^"]+)"\)', grammar)
    code = "".join(read(p) for p in glob.glob("sql/**/*.c", recursive=True))
    forms = [f for f in re.findall(r'ER_NOT_SUPPORTED_YET,\s*"([^"%]+)"', code) if not f.startswith(MYSQL_OWN)]
    text = f"""# Compatibility with MySQL 9.7

Made by `scripts/gen/compat.py` from the registries; do not edit. What is listed as not built parses and answers error 1235 with its name.

## Statements not built

{wrap(later)}

## Forms and features not built

{wrap(forms)}

## Functions

{len(set(built))} scalar functions and {len(set(aggregates))} aggregate functions are built. Not built ({len(missing)}):
{wrap(missing)}

Scalar: {wrap(built)}

Aggregate: {wrap(aggregates)}

## INFORMATION_SCHEMA

{len(tables)} tables: {wrap(t for t, _ in tables)}; in `performance_schema`: {wrap(perf)}

## System variables

All {sum(not n.startswith('skein_') for n, _ in variables)} of MySQL's variables can be read. These act: {wrap(acts)}

These can be set, are checked, kept and shown, and change nothing ({len(kept)}): {wrap(kept)}

Other variables are read-only. SET GLOBAL acts on all nodes of the cluster, and lasts as long as one of them is up: a node that starts
again takes what was set meanwhile. What SET PERSIST keeps, in the system keyspace, acts when the whole cluster starts. Paths of log
files are of the node. SET PERSIST_ONLY looks at values as SET GLOBAL does (MySQL keeps a SQL mode or a character set that it does not
know).

## Known differences

- Optimizer hints (`/*+ ... */`) say nothing where there is no choice here: index merge, skip scan, MRR, ICP and BKA; LooseScan and DupsWeedout; MERGE of a common
  table expression that is used more than once; NO_MERGE of a view that is changed (MySQL: 1288), and of what groups or limits, whose rows are passed on;
  INTOEXISTS of a subquery that reads nothing of the query around it, whose rows are a set; NO_RANGE_OPTIMIZATION of equalities in UPDATE and DELETE.
  Tables of a semijoin come behind those of the query around it, those of a derived table next to each other. JOIN_ORDER also counts for several left joins of
  one table, and names a derived table that MySQL merges (there 3128). Of `optimizer_switch` these act: semijoin, materialization, firstmatch, block_nested_loop,
  derived_merge, derived_condition_pushdown, prefer_ordering_index, use_invisible_indexes.
- `SET_VAR`: after an INSERT with `insert_id` the next row gets the number that it would have had (MySQL: 0), and after `max_join_size`
  `sql_big_selects` is what it was (MySQL: by that variable). Clients that follow the session's state are told nothing of it (MySQL tells
  the values that are back).
- SLEEP() that KILL QUERY or the statement's time cuts short is 1 in a SELECT that has its one row. In DO, SET and statements that change
  something, and under DISTINCT, HAVING or a subquery, the statement fails (MySQL goes on with 1).
- Depth: an expression goes 4,000 levels deep (1436 beyond, with levels for bytes; MySQL goes by its thread's stack: 450 to 4,000, and more of NOT). Terms of AND and OR, lists
  and branches of CASE are no levels, nor are operands of UNION, EXCEPT or INTERSECT.
- Variables of the list above that MySQL's answers depend on: `windowing_use_high_precision` (moving sums of
  DOUBLE stay as exact as with ON). What
  `explicit_defaults_for_timestamp` and `default_collation_for_utf8mb4` say counts when a prepared statement is executed (MySQL: partly when it is
  prepared), and the latter not in expressions of table definitions, which mean the same to all sessions.
- LOCK TABLES: a table that a schema statement of the session itself gave a new id (ALTER by copy, TRUNCATE) is locked anew, and another
  session that has waited may come between. SELECT ... FOR UPDATE of others does not wait for a READ lock.
- Foreign keys: an action that comes back to a table by a circle of keys goes on there (MySQL stops and leaves rows without parent), and
  so does one on a generated column that is referred to; what IGNORE passes over leaves no change of an action behind. A secondary index does not count as having the primary key's columns behind its own. Messages of ALTER name the
  table, not its temporary copy.
- AUTO_INCREMENT numbers that nobody gets: an explicit one of a refused row is passed all the same, and INSERT ... SELECT takes as many as
  there are rows (MySQL 1, 2, 4, ...).
- Temporary tables are kept in memory whatever their ENGINE; a session's may take a quarter of the node's statement memory. One that stays
  when its database is dropped cannot be reached until the database exists again.
- FLUSH of tables, logs (their files are opened for each entry), status, optimizer costs and user resources answers OK: nothing of theirs is kept that could be stale.
- Privileges: the tables of the schema `mysql` about accounts are read only. `mysql_native_password` is there.
  HANDLER ... READ goes by the privileges of the moment, and its errors name the table (MySQL: those of OPEN, the alias).
  Certificates of clients are checked by `--tls-ca`, without one by the CA that the node has made itself. Failed log-ins
  (`FAILED_LOGIN_ATTEMPTS`) are counted for all nodes and outlive a restart. `PROXY` is kept and
  shown, nobody becomes another user by it. All columns that an invoker's view selects are checked, not only those that are read.
- EXPLAIN describes our own plans in MySQL's forms. The note 1003 shows the statement and its hints as their names were resolved, before rewriting (a view by its name, conditions of joins in ON, subqueries as they stand). Of a connection of another node it knows nothing (1094).
- Several nodes: named locks (`GET_LOCK`) are of the cluster. Those of a node that dies, or that the others have gone on without, go to
  who waits for them; a client of such a node that comes back learns of it by RELEASE_LOCK and GET_LOCK only.
- Deadlocks through named locks, LOCK TABLES, metadata locks and row locks together are found over all nodes, within some tenths of a second,
  also those with a row lock in the circle, which MySQL leaves to a time-out. The victim is MySQL's: a use of a table (there also a wait for a
  row) before GET_LOCK, GET_LOCK before a change of a definition or LOCK TABLES; of several the one that has waited least.
- `FLUSH TABLES WITH READ LOCK` is of all nodes, and waits for the end of transactions that have changed rows; MySQL holds them up at their COMMIT.
- ANALYZE TABLE reads the indexes (of a large one the first two million entries) and keeps how many values they have. Histograms of a large table are made of a sample (`histogram_generation_max_mem_size`), and the optimiser asks them of constants in the statement's text: not of parameters, and not of literals in a plan that is kept.
- Logs of queries are files (`log_output` TABLE writes none) and leave out the text of statements about accounts unless `log_raw` is on, as
  the process list and performance_schema always do, where MySQL shows it without passwords.
  `Rows_examined` counts what scans and lookups of the node asked have read. SHOW PROFILE knows one stage and no types
  (1235 for CPU, BLOCK IO ...). SHOW EXTENDED COLUMNS and INDEX show what SHOW does: rows here have no `DB_TRX_ID` and its like. SHOW STATUS lists what is counted:
  `Com_` of the statements that are built (a SET of an unknown variable counts as SET), bytes, connections, and `Select_`, `Sort_` and
  `Created_tmp_tables` of the plans that run here, which keep fewer results than MySQL's; not `Handler_`. `max_user_connections` counts one node's.
- CHECKSUM TABLE gives MySQL's number, but for tables with functional key parts.
- Values: a DECIMAL of `IF` and `CASE` keeps a branch's own decimals in the outermost select list, as text and in `JSON_ARRAY` (there also of
  `IFNULL` and `COALESCE`), not through a merged derived table or an aggregate. Where MySQL's plan keeps groups in a temporary table a quotient of what was chosen has the digits of the column. As text a sum of times has the decimals of its type (MySQL
  none or six). A BIT out of `IF`, `CASE` or a function is what MySQL sends a client in the outermost select list (bytes of the chosen
  branch as characters of latin1; of `COALESCE`, `GREATEST` and others the digits) and text functions are given; within JSON, a merged
  derived table and a scalar subquery it stays a BIT of the common width, or the common DECIMAL. There the text of a number that `IF`,
  `CASE` or `NULLIF` choose has no zeros of the chosen column's ZEROFILL either.
  Decimals beyond 30 of a long literal survive DISTINCT, a recursive table and a user variable. Constant texts
  of a UNION in `IN (SELECT ...)` compare with a DECIMAL as doubles (MySQL by every digit).
  A DOUBLE beyond BIGINT as an integer is its nearest bound where a window function, a branch of IF that is computed or a merged derived table gives it
  (MySQL: 1690), and of a FLOAT column, MAX, MIN or a subquery that reads tables (MySQL: the lowest number). DIV of a DOUBLE of over 65 digits divides the largest DECIMAL.
  `IF` and `CASE` of text and numbers or times as a date are the chosen branch's date, but their text in
  `GREATEST` and `LEAST`; as a number they are the branch's, but their text in `FIELD`, and of a derived table also where MySQL merges it.
  Text of a column beside a DATE, of which only the date counts, keeps its time of day in `IN (SELECT ...) IS TRUE` (MySQL makes a join of that, too), and has none in `(d, 1) IN ((text, 1))` of a select list; text that is no date equals a zero date by a key, too (MySQL: not by a key).
  Of the one row that a key finds, of a derived table with LIMIT and of LATERAL that reads no table such text has none either (MySQL: has one); text that `IN (SELECT ...)` computes is compared with
  a DATE as a date. Text of a row in a list of rows is compared with numbers and dates as it is elsewhere (MySQL: as text when the left side is text, as an integer when that is one).
  A number in STRCMP beside a DATE or TIME is compared as it is written. A number of a variable is looked for to its last digit beside a DATETIME
  column (MySQL: by a key alone).
  `CONVERT` of text to the charset that it has tells of no bytes that are left open there (1300 in MySQL), and such a byte of ascii is `?` in utf8mb4 (MySQL: NULL).
  `GREATEST` and `LEAST` of a date and of what is none compare as text (MySQL shows dates such as `16383-15-31`), text that is no date
  equals no other such text in `IN`. Warnings about constant text that is no date name no column in `IN` and HAVING; so do
  those about text that only the execution knows, a variable's. A value that is computed of text is told of
  with each comparison of BETWEEN, CASE and NULLIF (MySQL: once). Constants in a list of rows are told of
  when a row is read (MySQL: also where there is none). As text
  `SUM` and `AVG` of FLOAT(M,D) and DOUBLE(M,D) have those decimals (MySQL all digits).
- Paths of JSON_TABLE are plain texts, without `_charset` or N before them (1064).
- XPath: all numbers are doubles (MySQL: BIGINT where all are whole, with 1690); `concat()` takes all its arguments (MySQL two), `not()` of several nodes is false;
  what is computed of a variable that is a DECIMAL has 15 digits.
- Result metadata: `(SELECT expression)` of more than a column or a literal is described as an expression, a sum of 65 digits as one
  shorter, NULL of a derived table as NULL. A number of a column with ZEROFILL that WITH ROLLUP groups by,
  or ANY_VALUE of a derived table, keeps its zeros; an extreme has none in HAVING either. Columns of
  INFORMATION_SCHEMA, and of SHOW where it reads from there, have the types of the tables as they are described (NULL where MySQL's views
  have NULL), and those tables as their origin; in MySQL they are expressions of views. That a name in GROUP BY or HAVING is a column and
  something else (warning 1052) is not told of by CREATE VIEW, and once of a common table expression that is read twice.
- Collations: `IN` of a subquery that MySQL makes a join of, and drops because the condition is never true, is refused all the same (1267);
  text of no certain collation is not refused in ORDER BY of a window's RANK() and in a subquery after ANY and ALL. A set operation
  within another agrees on its texts in a view as it does in a statement (MySQL: as the view's text without some of its parentheses does). A variable that was never set is text as an
  operand of a set operation, bytes in functions and in a derived table (MySQL: text). A parameter that no other
  operand gives a type has its value's when that is not NULL (MySQL: text of the connection's collation, as which bytes are taken, too): INSERT ... SELECT answers 1366 for text that the column's character set does not
  have (MySQL: 3988); text and numbers that are no date are told of once. Among branches of several kinds, beside a BIT, a YEAR or JSON it is of its value's type or a
  number (MySQL: of the first's). What is no date is NULL among branches that are dates, also where a number is asked for (MySQL: the number in its text), and an impossible date
  (`2020-02-31`) that a function of dates is given is NULL as a literal is (MySQL: taken as it is). Text for a parameter that is a number is read as that number, not as what asks for it (HEX, DATE and what computes with DOUBLE, of a DECIMAL), once
  for a block of rows where it is compared; in quotients, conditions, lists of IN and where a function asks for a number it is told of once
  (MySQL: as often as it is read, where it is read, and not at all beside ANY and ALL), and a change refuses it as a DOUBLE. Text that is given when a number was
  given before is text among branches of text. A parameter that stands alone in a set operation or a derived table is text when text is given
  (MySQL: a number when a number was given before); places within SET, DO and CREATE TABLE ... SELECT say nothing of a parameter's type but where it stands alone. Text
  that is shown as it is by IF, CASE or NULLIF of a DECIMAL is the number when it comes through a derived table. A sum of a time with a fraction and a parameter has 30 decimals
  (MySQL: those of the time). A parameter that was given a typed date and then text is text alone and in MAX (MySQL: still a date); `date + ?` of text is told of otherwise;
  `IF(c, @bad, d) = d` is false (MySQL: NULL). `year = ?` is also outside of conditions true of the year that a number below 100 stands for.
  PREPARE computes no constant of a condition: EXECUTE tells of what is wrong with it.
  The text of AVG of a DOUBLE(M,D) has the decimals
  that are shown (MySQL: in CONCAT, those it needs). ENUM is sorted by its number when ROLLUP groups by it (MySQL: by its text). A YEAR that IF, CASE, MAX or
  MIN gives is no date for functions of dates (MySQL: the first of January).
- Which of several errors of a query is told: the select list's before those of WHERE and ON, as in MySQL; GROUP BY, HAVING and windows are
  not in its order, nor are collations of `IN (SELECT ...)`, of which MySQL tells after those of ON, nor is text that a character set does not have (3854) when it stands as a literal in WHERE, in VALUES of a set operation or in a subquery for `IN`, ANY or ALL (MySQL leaves it where `<` asks for an extreme of no rows).
  ONLY_FULL_GROUP_BY takes an outer join whose NULLs a condition refuses for an inner one, as MySQL does; not where EXISTS is that condition. Of IN and EXISTS it learns what
  MySQL learns of the join, also where the subquery has a constant HAVING (MySQL: 1055); not of a user variable there, nor below IS TRUE or two NOT (1055 here alone). Of several rows that are refused the one that the plan reads first is told of. Whether a value that is out of range (1690), or
  text that a character set does not have (3854), is met in a row that another condition drops, is the plan's, as in MySQL. A constant that
  IF or NULLIF makes of others is converted where rows are compared (MySQL: also where there are none); UPDATE of several tables
  answers 1366 for what MySQL's plan may call 3854. Bytes of which a parameter or variable is a part meet text in regular expressions (MySQL: 3995 when
  other bytes are part of them too).
- `LOCK=NONE` and `LOCK=SHARED` are taken where nothing but the table's description changes. While rows are copied, checked or read for a new index
  nobody else has the table (1845).
- Of a strict change that is refused SHOW WARNINGS lists the errors of all arguments that are still computed behind one that has failed, as in MySQL.
  MySQL stops earlier, or reads an argument twice, in a few places: `INTERVAL` of integers, times of numbers in `TIMEDIFF`, `ADDTIME`, `TIME_FORMAT` and `EXTRACT`, comparisons of
  rows, `IN (SELECT ...)`, the value of CASE, `LOG` and `AES_ENCRYPT` of an argument that is not read after all. Of what holds a subquery or is
  volatile (`RAND()`), computed for several rows, the first error is listed. `JSON_VALUE(?, ...)` is taken (MySQL: 3146). `FORMAT` tells of a locale that is no constant
  last, `REGEXP_INSTR` reads its fifth argument in its turn (MySQL: first, and again). Text that `IN` and BETWEEN look for as a date names no column.
  `'20240230'`, digits alone that are no date, is a time in `EXTRACT`, `TIME_FORMAT`, `ADDTIME` and `TIMEDIFF` (MySQL: a wrong date), and `ADDTIME` refuses a wrong date with something behind it.
- The room that WEIGHT_STRING might need, which makes it NULL beyond
  `max_allowed_packet`, is one level smaller in UCA 9.0.0 collations that order scripts anew (bg, bs, hr, mn, ru, sr, ja, zh; larger in `ja_0900_as_cs_ks`). A variable that is a number and no date
  (`t > @v`, 20240299) is looked for by a key without warning 1292 (MySQL tells of it once to three times); of a variable's text that is no date is told once for a
  block of rows (MySQL: of each row, which it numbers), in `IN` as of a datetime. Of variables that a subquery or another statement than SET reads wrongly (`SELECT nosuch, @@nosuch`) the first error is told in the order of names (MySQL: of variables first). Text of an integer that is no BIGINT, beside a BIGINT column, is compared as it is in the select list (`s = '-9223372036854775809'`
  is true of the smallest one; MySQL: there, not in WHERE); a BIGINT beyond 2^53 meets a column's text exactly by `>=` and a key, as a DOUBLE by `=` (MySQL: the other way round). What is held of a view's index that is gone warns at each EXECUTE (3128; MySQL:
  when it is prepared). The rows of a list are compared each by its own kinds (MySQL: of several rows by the left side's, so that `(1, id) IN ((1.4, 1), (0, 2))` is true). A list of rows in IN takes 6 to 9 KB a row while it is planned: 50,000 with the memory of a statement by default. Views
  keep the hints of every block (MySQL forgets some when it reads its text again, and after a table was renamed); of a common table expression that is used
  twice they have them once. INDEX of a SELECT reaches every SELECT behind it in a UNION (MySQL: not those with subqueries). `lc_messages` refuses the locales whose messages
  MySQL has in other languages (1235). `-(SELECT -1)` and `-IF(1, -1, 2)` are integers (MySQL: DECIMAL, as it is of any negative constant). `max_sort_length` is of ORDER BY alone: the rows of windows, and of groups WITH ROLLUP, are
  sorted by whole texts (MySQL cuts these too, and then splits groups and partitions). Under `autocommit = 0` the status bit of an open transaction differs after SAVEPOINT, EXPLAIN, LOCK TABLES and SHOW STATUS. `session_track_transaction_info` tells of all tables as of ones with transactions, and of those that a statement names that fails when a
  constant is computed. `sql_auto_is_null` says nothing of WHERE in HANDLER ... READ, nor of
  the text that SHOW CREATE VIEW shows of a view that was made without it.
- A range ends at its last row: MySQL also computes the functional key parts of the row behind it, and may refuse that (3751).
- MySQL sees in more forms that a condition is never true (`a < a`), and then reads no row, of which a functional key part might be refused;
  in a change of a join it reads rows of one table, and refuses one of them, before it finds that the other has none.
- `d IS NULL` is true of the zero date of a DATE or DATETIME column that may not be NULL when the column is a table's, in MySQL also when it is
  that of a derived table or view that is kept apart.
- Where MySQL 9.7 goes wrong we do not follow: an outer join below a condition on a comparison of rows, `FIELD`, `INTERVAL`, `ELT`,
  `MAKE_SET`, `QUOTE` or `CONCAT_WS` that NULL passes, or on `IN (SELECT ...) IS TRUE` within XOR; `FIND_IN_SET` of columns of two character sets, which compares bytes; text compared with ANY or ALL of a query, whose extreme is
  taken by its own collation; `IN` of a subquery
  whose table of results is narrower than the text that is looked up; EXISTS in an outer join's condition; parameters in aggregates over a temporary table;
  `GROUPING` of the row of no rows; a zero DATETIME that ROLLUP has behind NULL, which it takes for NULL (modes `NO_ZERO_DATE`, `NO_ZERO_IN_DATE`); a zero date
  among the rows of a query that it keeps (for a strict change, or of WITH RECURSIVE), which it refuses (1292); a functional key part over columns that ALTER has made nullable, which takes no NULL (1048 of a hidden name); GROUP BY in the order of a
  key with elements of arrays, which counts a row once for each of them; the count of INTERSECT ALL after a UNION, and the rows of INTERSECT over set operations; NULL
  that EXCEPT takes for a value when another set operation is at its side; constants
  of a view or a common table expression that an outer join has no row of, or that ROLLUP sums up; rows that a comparison of `utf8mb4_bin` misses by an index of
  a collation without padding; `REPEAT(x, n) > CAST(REPEAT(x, n) AS BINARY(m))` of a view; a variable that is NULL in IN's list of rows; -1 in a list of IN that is not all
  constants, or in CASE, which it takes for 18446744073709551615 beside unsigned integers; members of rows in IN that are integers beyond
  64 bits or decimals beside integers; MAX and COUNT of a frame without rows where a key has found one row; MIN and MAX over rows that are ordered by the same, NULL last (NULL then); `CAST(? AS CHAR)` of what
  the binary protocol gives as a time (NULL) or moment (31 decimals); patterns of regular expressions
  in generated columns and keys, and CHAR() there and in views, whose USING is lost; text beyond ASCII beside binary strings in a view, which it keeps in latin1; `TIME_FORMAT(x, '%T')`, and one with a sign, cut short in a temporary table;
  a time with a fraction that an index of whole seconds, or IN of a subquery, finds rounded; a constant time that CONCAT with a variable writes over; `CAST(... AS SIGNED)` of a sum of times (`235860`);
  text in ucs2, utf16 or utf32 that becomes JSON, or is a format of `DATE_FORMAT` and `TIME_FORMAT`, byte by byte, and is a time or a date by its length in bytes; EXISTS with `LIMIT 0` in a view; DISTINCT and GROUP BY that EXISTS drops below an OFFSET and in EXCEPT ALL; equal rows that DISTINCT over a join keeps; CHAR that is told
  apart by its spaces in groups of JSON or long text too, as -0 is from 0 there;
  a column that takes the place of one that it equals, where a comparison of another collation tells them apart;
  IN of a subquery with EXCEPT or INTERSECT that reads the outer row, or that is asked for NULL; numbers below 100 that are years beside YEAR by a key or in
  one block, and numbers in another; a number beyond the years that bounds a YEAR in BETWEEN, which it takes for 0;
  a moment that bounds a DATE column in BETWEEN, which it cuts to its day when the other bound is a number; `DAYOFWEEK(0)` and `WEEKDAY(0)`, which end the server; a text of PREPARE read in utf8mb3 (`?` for what has four bytes);
  conditions (`<>`, `<`) that compare casts of one value to two lengths of a type (`CAST(x AS DECIMAL(10,1)) <> CAST(x AS DECIMAL(10,5))`),
  which it takes for the same, as ADDTIME and SUBTIME
  of the same values; rows that an interval of text misses by a key of its first characters in a collation that tells case; frames of `RANGE ... INTERVAL` where a zero date is among the rows; zero dates that it misses by a key
  for text that is no date (without one it finds them);
  a zero DATETIME that COALESCE, IFNULL, IF and CASE give, which it passes over where they are compared (modes `NO_ZERO_DATE`, `NO_ZERO_IN_DATE`);
  constant bounds of BETWEEN with COLLATE, which it converts to the column's character set all the same (3854), and, when they are equal in the column's collation, takes for `=` of the first;
  an UPDATE of several tables that writes to one while it reads it, and compares what it has just written (a generated column);
  `VALUES ROW(...) ORDER BY`, which orders nothing; NULL that GROUP_CONCAT's ORDER BY takes for 0 or ''; `SHA2(LEAST(x, y), n)`, which takes the least of the bytes;
  MIN and MAX of text that CAST or CONVERT puts into another character set, of groups in a temporary table, converted twice;
  bytes of `GREATEST`, `LEAST` and `CONCAT_WS`, and of `IF` and `CASE` whose first text is an ASCII literal, that `CONVERT(... USING ...)` takes for
  text of its own character set;
  numbers (products, too) with more digits than their DECIMAL, and weeks of `'0000-00-00'` in DATE_FORMAT (`%U` is 613566757), which a temporary table cuts;
  `WEIGHT_STRING(x AS CHAR(n))` of long text, which is empty in a temporary table; a constant that NULLIF gives as the type of the column beside it; the bytes of text that `LPAD`, `RPAD`,
  `REPLACE` or `INSERT` put into a number, which it takes for latin1; constants that a row keeps when `<=>` compares with a query of no rows; REPEAT of the text of `(SELECT ...)`, which grows with each row; a text of `MAKE_SET` cut short in a
  temporary table when the widths of its arguments do not fit into 32 bits, and text of a DECIMAL(n,n) with a sign, there. `MD5`, `SHA` and `SHA1`, which 9.7 has no more, are there.
- A key with several values a row (`CAST(.. AS type ARRAY)`) changes no answer: elements are what they are in the document (an element
  `"6"` is not 6, true is not 1, a scalar does not contain `[]`), and rows with an empty array are found by the parts before. MySQL, when it reads such a key, takes
  the elements as values of the key's type and misses rows without any; its REPLACE fails when two rows have values of the new one.
- Vectors: `LAG`, `LEAD` and `NTH_VALUE` name their arguments in another order of
  conditions, and REGEXP_REPLACE takes a vector for its pattern as binary text only.
- A pattern of JSON Schema that takes ten million attempts ends with 3699.
- Text of a DOUBLE or FLOAT: `ANY_VALUE(column)` of groups is the column's (MySQL an expression's). MySQL cuts the text of a column to 22 characters when
  it is computed of a window function.
- sql_mode `PAD_CHAR_TO_FULL_LENGTH`: VIRTUAL columns of a table that has an index on one (or on an expression) are made of text without
  blanks, so that rows are found by it in any mode: MySQL leaves entries behind in it, and misses rows. Where blanks count (NO PAD), keys serve equalities only, and
  the order of a CHAR is its text's, blanks included: MySQL's is that of the key where it reads by one. `x IN (SELECT .. UNION ..)`
  compares with text as long as the union's column (MySQL: as each SELECT's). 1292 of a number made of such text by a derived table, FIELD or a function of
  time shows the blanks. CONVERT TO CHARACTER SET leaves a default as it is.
- INFORMATION_SCHEMA says nothing of a view whose tables are gone (MySQL: warning 1356, and no
  rows of it in `COLUMNS`); `VIEW_TABLE_USAGE` has no views of the system. A view whose condition reads its own table can be changed.
- INSERT of many rows (LOAD DATA, INSERT ... SELECT, CREATE TABLE ... SELECT) with autocommit keeps its rows on disk until the commit. From
  row 4,096 on a duplicate is found there: the one with the lowest key is told of.
- Locks of rows of a transaction that has more than 16,384 in a range take some 8 bytes each, up to the memory of a range's lock table (a
  sixteenth of `--memory`, at least 48 MiB: 1206); `performance_schema.data_locks` shows those that somebody waits for, and the newest.
  UPDATE and DELETE with autocommit, of one table, that meet this bound begin again with one lock of all the table's rows, which waits for
  transactions that have changed rows of it and keeps others from that. Not those of several tables, with IGNORE, subqueries, foreign keys,
  a change of a unique key, or in SERIALIZABLE.
- Texts in defaults, generated columns and checks that are neither ASCII nor UTF-8 are shown in hex, as `_latin1 0xe4` (MySQL: '?').
- ON DUPLICATE KEY UPDATE computes the generated columns that depend on what it sets, as UPDATE does (MySQL: all of them, which another sql_mode may have changed).
- A row of which a functional key part cannot be computed any more (a zero date that IGNORE has left, in strict mode) can be deleted (MySQL: 3751).
- A stored row whose VIRTUAL column does not fit its type is an error of a strict statement that writes, as in MySQL; otherwise it is read
  cut to size without a warning (MySQL warns where it writes). ALTER TABLE may drop any VIRTUAL column without a copy.
- Gap locks (REPEATABLE READ, SERIALIZABLE) lock exactly the keys that were looked through: the bounds of the condition on the index that our
  plan uses, or the one key that was not found. MySQL locks up to the neighbouring rows, or to the end of the index, because its locks hang on
  rows: more inserts wait there, none that could change what was read. A scan locks a page of rows at a time, also under a LIMIT (32 rows first).
- An insert that waits for a gap is in nobody's way; the holder of the gap may insert the same key meanwhile (MySQL: a deadlock), and the waiter
  then finds the duplicate. Of a deadlock the victim is who closes the circle (MySQL: who has changed the fewest rows); when the locks lie on
  several nodes it is found within some tenths of a second, and the victim is the youngest transaction.
- INSERT ... SELECT and CREATE TABLE ... SELECT read their source in the snapshot, without locks, below SERIALIZABLE.
- Entries of indexes that are not unique wait for gap locks in their statement for the first 1,024 of a transaction, then in the commit, which
  may answer 1205 or 1213 for them.
- Locks of gaps are in the memory of a range's leader, like row locks. When it dies the commit of a transaction that relied on them fails (1213), and
  so does that of one that has locked rows FOR UPDATE or FOR SHARE and not changed them (`docs/operations.md`). A merge of two ranges can have that effect
  for locks that came to be under different leaders.
- `performance_schema.data_locks`, `data_lock_waits` and `metadata_locks` show the locks of all nodes, in MySQL's words where ours mean the
  same: rows `X,REC_NOT_GAP` and `S,REC_NOT_GAP` (never the next-key `X` and `S`), rows and index entries that were inserted too (MySQL's have no
  lock until somebody waits), and what was looked through as one `X,GAP`, whose LOCK_DATA is where it ends, also of a reader FOR SHARE. An
  insert that waits shows its own key. `IX` is the lock that all share who change rows of a table; `IS` and that of a reader FOR UPDATE are made
  up from its rows, and its metadata lock is SHARED_READ. LOCK_DATA is NULL where a text's collation does not let it be had back from the key.
  Of DDL only the lock that excludes others is shown, of `FLUSH TABLES WITH READ LOCK` also one per table; a thread's number is its connection's,
  EVENT_ID and SOURCE are NULL. `data_lock_waits` leaves out who would be waited for through another that waits. The storage in memory shows no
  data locks. `sys.innodb_lock_waits` is not there.
- `performance_schema` shows the sessions of the node that is asked, and what statements did there since it began (as each MySQL of a group does
  its own), in microseconds; THREAD_ID is the connection's id. `DIGEST`s equal MySQL's. Not counted, and 0 or NULL: SOURCE, temporary tables, kinds of
  joins and sorts, indexes not used, CPU time. A statement is in the summaries when it has ended, in those by digest as long as the table has room,
  which TRUNCATE makes. The text of statements about accounts is not shown. Other tables of MySQL's `performance_schema` than those
  listed above do not exist (error 1146): stages, waits, files, memory, transactions, variables and status by thread, replication.
- A query attribute may be read by `mysql_query_attribute_string()` without a component. STATEMENT_DIGEST and STATEMENT_DIGEST_TEXT take a
  statement without a database, and check its syntax only (MySQL also names of system variables and some definitions).
- The differences that golden tests know of stand in `tests/sql/known_failures.txt`.
"""
    if "--check" in sys.argv:
        if not os.path.exists(PAGE) or read(PAGE) != text:
            print(f"{PAGE} is not what the registries say: run scripts/gen/compat.py")
            return 1
        return 0
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


sys.exit(main())
