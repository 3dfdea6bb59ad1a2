#!/bin/bash
# run.sh HOST PORT [USER [PASSWORD]]: raw packets and two real drivers against any MySQL port.
# The user (default root) may do everything. Prints PASS, FAIL or SKIP per step; exit status 1 if one failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
host=${1:?HOST} port=${2:?PORT} user=${3:-root} password=${4:-}
status=0

python3 "$here/raw_test.py" "$host" "$port" "$user" "$password" || status=1
python3 "$here/track_test.py" "$host" "$port" "$user" "$password" || status=1

python=
for p in python3 /usr/bin/python3; do # Debian's package is for Debian's Python
  [ -n "$python" ] || { "$p" -c 'import pymysql' 2>/dev/null && python=$p; }
done
if [ -n "$python" ]; then
  "$python" "$here/pymysql_test.py" "$host" "$port" "$user" "$password" || status=1
  "$python" "$here/local_file_test.py" "$host" "$port" "$user" "$password" || status=1
  "$python" "$here/admin_test.py" "$host" "$port" "$user" "$password" || status=1
  "$python" "$here/certificate_test.py" "$host" "$port" "$user" "$password" || status=1
else
  echo "FAIL pymysql (install python3-pymysql)"
  status=1
fi

# Debian's package of the driver lies in a GOPATH, not in a module.
gopath=/usr/share/gocode
if command -v go >/dev/null && [ -d "$gopath/src/github.com/go-sql-driver/mysql" ]; then
  out=$(mktemp -d)
  if (cd "$here/go_driver" && GO111MODULE=off GOPATH=$gopath GOTOOLCHAIN=local go build -o "$out/go_driver" main.go); then
    "$out/go_driver" "$host" "$port" "$user" "$password" || status=1
  else
    echo "FAIL go build"
    status=1
  fi
  rm -rf "$out"
else
  echo "FAIL go (install golang-go golang-github-go-sql-driver-mysql-dev)"
  status=1
fi
"$here/dump_test.sh" "$host" "$port" "$user" "$password" || status=1
exit $status
