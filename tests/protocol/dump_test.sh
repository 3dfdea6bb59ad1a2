#!/bin/bash
# dump_test.sh HOST PORT USER PASSWORD: a database goes through mariadb-dump and back, and is the same; everything can be dumped.
set -u
host=$1 port=$2 user=$3 password=$4
command -v mariadb-dump >/dev/null || { echo "FAIL dump (install mariadb-client)"; exit 1; }
login=(--no-defaults "-h$host" "-P$port" "-u$user")
[ -z "$password" ] || login+=("-p$password")
work=$(mktemp -d)
trap "rm -rf $work" EXIT
status=0
step() { # step NAME COMMAND...
    local name=$1; shift
    if "$@" >"$work/out" 2>"$work/err"; then echo "PASS dump $name"; else echo "FAIL dump $name"; cat "$work/err" "$work/out" | head -20; status=1; fi
}
rows() {
    mariadb "${login[@]}" protocol_dump -e "SELECT id, name, HEX(j), d, ts, e, HEX(b) FROM c ORDER BY id; SELECT * FROM o ORDER BY id; SELECT * FROM v;
        SHOW CREATE TABLE c; SHOW CREATE TABLE o; SHOW CREATE VIEW v"
}
mariadb "${login[@]}" --default-character-set=utf8mb4 <<'SQL' || { echo "FAIL dump tables"; exit 1; }
DROP DATABASE IF EXISTS protocol_dump; CREATE DATABASE protocol_dump; USE protocol_dump;
CREATE TABLE c (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, j JSON, d DECIMAL(10,2) DEFAULT 1.5, ts TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE
  CURRENT_TIMESTAMP, e ENUM('a','b'), b BLOB, KEY by_name (name), CHECK (d < 1000)) COMMENT='it''s';
CREATE TABLE o (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES c (id) ON DELETE CASCADE);
INSERT INTO c (name, j, e, b) VALUES ('x', '{"a": 1}', 'a', X'00FF27225C0A'), ('y\'\\', NULL, 'b', 'q'), ('ü😀', '[1, 2]', NULL, NULL);
INSERT INTO o VALUES (1, 1), (2, 3);
CREATE VIEW v AS SELECT name, COUNT(*) AS n FROM c JOIN o ON o.cid = c.id GROUP BY name ORDER BY name;
SQL
step "one database" mariadb-dump "${login[@]}" --single-transaction --result-file="$work/dump.sql" --databases protocol_dump
rows >"$work/before" 2>&1
step "drop" mariadb "${login[@]}" -e "DROP DATABASE protocol_dump"
step "restore" mariadb "${login[@]}" -e "source $work/dump.sql"
rows >"$work/after" 2>&1
step "same" diff "$work/before" "$work/after"
step "everything" mariadb-dump "${login[@]}" --single-transaction --routines --triggers --events --all-databases --ignore-database=mysql --result-file="$work/all.sql"
exit $status
