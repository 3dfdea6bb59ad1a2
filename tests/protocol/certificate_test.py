#!/usr/bin/env python3
"""Certificates of clients: REQUIRE X509, SUBJECT, ISSUER, CIPHER. usage: certificate_test.py HOST PORT USER PASSWORD

Makes certificates with the CA that the server has made itself: needs `openssl` and sight of the data directory (@@datadir)."""
import os
import shutil
import subprocess
import sys
import tempfile

import pymysql

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
SUBJECT = "/C=XX/O=protocol/CN=client"


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, text=True).stdout.strip()


def make_certificate(out, name, ca, ca_key):
    key, request, cert = (os.path.join(out, name + end) for end in (".key", ".csr", ".pem"))
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", SUBJECT)
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-set_serial", "77", "-days", "2", "-out", cert)
    return {"ssl_cert": cert, "ssl_key": key}


def login(ca, cert=None, tls=True):
    """The cipher, or the error's number."""
    args = dict(host=HOST, port=PORT, user="protocol_cert", password="p", connect_timeout=10)
    if not tls:
        args.update(ssl_disabled=True)
    else:
        args.update(ssl_ca=ca, ssl_verify_identity=False, ssl_verify_cert=False, **(cert or {}))
    try:
        c = pymysql.connect(**args)
    except pymysql.err.MySQLError as e:
        return e.args[0]
    except OSError:
        return "handshake"
    with c.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        cipher = cursor.fetchone()[1]
    c.close()
    return cipher


def main():
    root = pymysql.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, autocommit=True)
    cursor = root.cursor()
    cursor.execute("SELECT @@datadir")
    where = cursor.fetchone()[0]
    ca, ca_key = os.path.join(where, "ca.pem"), os.path.join(where, "ca-key.pem")
    if not shutil.which("openssl") or not os.access(ca_key, os.R_OK):
        print("SKIP certificates (no openssl, or the CA's key is out of sight)")
        return 0
    out = tempfile.mkdtemp()
    failed = 0

    def check(what, require, got, want):
        nonlocal failed
        ok = want(got) if callable(want) else got == want
        failed += not ok
        print("%s certificate: %s %s%s" % ("PASS" if ok else "FAIL", require, what, "" if ok else ": " + str(got)))

    def is_cipher(x):
        return isinstance(x, str) and x not in ("", "handshake")

    try:
        good = make_certificate(out, "good", ca, ca_key)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", out + "/ca2.key", "-out", out + "/ca2.pem",
                "-subj", "/CN=another", "-days", "2")
        stranger = make_certificate(out, "stranger", out + "/ca2.pem", out + "/ca2.key")
        issuer = openssl("x509", "-in", good["ssl_cert"], "-noout", "-issuer", "-nameopt", "compat").split("=", 1)[1].strip()
        cursor.execute("DROP USER IF EXISTS protocol_cert")
        cursor.execute("CREATE USER protocol_cert IDENTIFIED BY 'p' REQUIRE X509")
        check("with", "X509", login(ca, good), is_cipher)
        check("without", "X509", login(ca), 1045)
        check("without TLS", "X509", login(ca, tls=False), 1045)
        check("of another CA", "X509", login(ca, stranger), lambda x: not is_cipher(x) or x == "handshake")
        cipher = login(ca, good)
        for require, want in (
                ("SUBJECT '%s'" % SUBJECT, is_cipher), ("SUBJECT '/CN=client'", 1045),
                ("ISSUER '%s'" % issuer, is_cipher), ("ISSUER '/CN=nobody'", 1045),
                ("SUBJECT '%s' AND ISSUER '%s' AND CIPHER '%s'" % (SUBJECT, issuer, cipher), is_cipher),
                ("SUBJECT '%s' AND CIPHER 'NONE'" % SUBJECT, 1045)):
            cursor.execute("ALTER USER protocol_cert REQUIRE " + require)
            check("with", require, login(ca, good), want)
            check("without", require, login(ca), 1045)
        cursor.execute("ALTER USER protocol_cert REQUIRE CIPHER '%s'" % cipher)
        check("without", "CIPHER", login(ca), 1045)
        cursor.execute("ALTER USER protocol_cert REQUIRE NONE")
        check("with", "NONE", login(ca, good), is_cipher)
        check("without TLS", "NONE", login(ca, tls=False), lambda x: x == "")
        cursor.execute("DROP USER protocol_cert")
    finally:
        shutil.rmtree(out)
        root.close()
    return 1 if failed else 0


sys.exit(main())
