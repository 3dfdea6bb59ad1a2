#!/bin/sh
# Golden SQL tests: see docs/testing.md. The driver is Debian's python3-pymysql.
exec /usr/bin/python3 "$(dirname "$0")/run.py" "$@"
