#!/usr/bin/python3
"""sql/types/locales.def: names of months and days in every value of lc_time_names, from a MySQL.

    record_locales.py HOST:PORT > sql/types/locales.def
"""
import sys

import pymysql

host, port = sys.argv[1].split(":")
c = pymysql.connect(host=host, port=int(port), user="root", charset="utf8mb4").cursor()
print("/* Made by scripts/gen/record_locales.py from a MySQL server: LOCALE(number, name, months, short "
      "months, days,\n * short days), the days from Monday. lc_time_names is a name or a number. */")


def ask(form, dates):
    c.execute("select " + ", ".join("date_format('%s', '%s')" % (d, form) for d in dates))
    return "NAMES(%s)" % ", ".join('"%s"' % x for x in c.fetchone())


number = 0
while True:
    try:
        c.execute("set lc_time_names = %d" % number)
    except pymysql.err.MySQLError:
        break
    c.execute("select @@lc_time_names")
    name = c.fetchone()[0]
    months = ["2020-%02d-01" % m for m in range(1, 13)]
    days = ["2020-03-%02d" % d for d in range(2, 9)]
    fields = [ask("%M", months), ask("%b", months), ask("%W", days), ask("%a", days)]
    print('LOCALE(%d, "%s",\n       %s)' % (number, name, ",\n       ".join(fields)))
    number += 1
