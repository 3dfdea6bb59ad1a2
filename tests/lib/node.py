"""One SkeinDB node as a child process: start, ready line, kill, stop. All on 127.0.0.1, free ports, a directory of its own."""
import http.client
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pymysql

READY = re.compile(r"^ready mysql=\S+:(\d+) rpc=\S+:(\d+) admin=\S+:(\d+)$")


class StartFailed(Exception):
    pass


class Node:
    def __init__(self, binary, directory, options=()):
        self.binary = os.path.abspath(binary)
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.log_path = os.path.join(directory, "log")
        self.options = list(options)
        self.process = None
        self.mysql_port = self.rpc_port = self.admin_port = 0
        self.start_seconds = 0.0
        os.makedirs(directory, exist_ok=True)

    def addresses(self):
        return ["--mysql", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]

    def start(self, timeout=180):
        command = [self.binary, "start", "--data", self.data] + self.addresses() + self.options
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.directory)
        line = self._first_line(began + timeout)
        match = READY.match(line)
        if not match:
            self.kill()
            raise StartFailed("no ready line but %r; log ends with:\n%s" % (line, self.log_tail()))
        self.mysql_port, self.rpc_port, self.admin_port = (int(match.group(i)) for i in (1, 2, 3))
        self.start_seconds = time.monotonic() - began

    def _first_line(self, deadline):
        out = b""
        fd = self.process.stdout.fileno()
        os.set_blocking(fd, False)
        while time.monotonic() < deadline:
            try:
                piece = os.read(fd, 4096)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            out += piece
            if not piece or b"\n" in out:
                break
        return out.decode(errors="replace").rstrip("\n")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process is None:
            return
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self._reap(60)

    def stop(self, timeout=60):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap(timeout)

    def _reap(self, timeout):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(60)
            status = None
        self.process.stdout.close()
        self.process = None
        return status

    def connect(self, **options):
        arguments = dict(host="127.0.0.1", port=self.mysql_port, user="root", password="", charset="utf8mb4",
                         autocommit=True, connect_timeout=10, read_timeout=60, write_timeout=60)
        arguments.update(options)
        return pymysql.connect(**arguments)

    def socket(self, port, timeout=5):
        return socket.create_connection(("127.0.0.1", port), timeout)

    def http(self, path, body=None, timeout=60):
        """(status, text) of a page of the admin port. OSError when there is no whole answer."""
        url = "http://127.0.0.1:%d%s" % (self.admin_port, path)
        try:
            with urllib.request.urlopen(url, body, timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except http.client.HTTPException as e:  # the node has ended meanwhile
            raise ConnectionError("%s: %r" % (path, e)) from e

    def resident_mib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024

    def said(self, *texts):
        """Whether one of the texts is in its log, wherever: others may have been written since."""
        log = self.log_tail(1 << 40)
        return any(t in log for t in texts)

    def log_tail(self, lines=15):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""
