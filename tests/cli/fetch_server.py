#!/usr/bin/env python3
"""A hub of models on 127.0.0.1, as far as `peridot fetch` speaks to one, for tests.

usage: fetch_server.py ROOT

ROOT/repos/USER/NAME/REVISION/...  the repositories
ROOT/cert.pem                      certificate and key of a hub that speaks TLS; may be absent
ROOT/ports                         written at the start: ports of the hub, the CDN, the TLS hub or 0
ROOT/log                           a line for each request: server, path, Range, Authorization
ROOT/control/KNOB                  files that switch things on while it runs:

  token      text a request must bear, else 401; `gated` beside it: 403 for those that bear another
  cdn        files are redirected to the CDN's port, with the hub's X-Linked- headers
  page       entries a page of listings
  drop       bytes of a body after which the connection is cut; removed when it happened
  slow       bytes of a body after which it waits for as long as this file is there
  no-range   Range is ignored
  past-end   ranges are answered with 416
  corrupt    the first byte of every file is another one
  fail       "STATUS COUNT": so many requests get the status
  error      "STATUS CODE": every request does, with X-Error-Code
  redirect   files are redirected to this address
  listing    sent in place of listings
  listing-endless  bytes of a listing that never ends

Files named *.gguf and *.safetensors are in LFS: listed by their SHA-256, the others by git's.
SPDX-License-Identifier: MIT
"""
import hashlib
import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse

root, parent = sys.argv[1], os.getppid()
lock = threading.Lock()


def knob(name):
    try:
        with open(os.path.join(root, "control", name), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def take_count(name):
    """The status of "STATUS COUNT", counting down; None when it is used up."""
    with lock:
        text = knob(name)
        if text is None:
            return None
        status, count = text.split()
        if int(count) == 0:
            return None
        with open(os.path.join(root, "control", name), "w") as f:
            f.write("%d %d" % (int(status), int(count) - 1))
        return int(status)


def in_lfs(path):
    return path.endswith((".gguf", ".safetensors"))


def entry(folder, path):
    with open(os.path.join(folder, path), "rb") as f:
        data = f.read()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    out = {"type": "file", "path": path, "size": len(data), "oid": blob}
    if in_lfs(path):
        out["oid"] = "0" * 40  # of the pointer, which nobody fetches
        out["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return out


def tree(folder):
    out = []
    for base, folders, files in os.walk(folder):
        below = os.path.relpath(base, folder)
        below = "" if below == "." else below + "/"
        out += [{"type": "directory", "path": below + d, "size": 0, "oid": "0" * 40} for d in folders]
        out += [entry(folder, below + name) for name in files]
    return sorted(out, key=lambda e: e["path"])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        with lock, open(os.path.join(root, "log"), "a") as f:
            f.write("%s %s range=%s auth=%s agent=%s\n" % (
                self.server.name, self.path, self.headers.get("Range", "-"),
                self.headers.get("Authorization", "-").replace(" ", "_"),
                self.headers.get("User-Agent", "-")))

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, b'{"error": "no"}', [("X-Error-Code", code)] if code else [])

    def do_GET(self):
        self.note()
        url = urllib.parse.urlsplit(self.path)
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        status = take_count("fail")
        if status:
            return self.refuse(status, "")
        if knob("error"):
            status, _, code = knob("error").decode().partition(" ")
            return self.refuse(int(status), code.strip())
        if self.server.name == "cdn":
            return self.send_file(os.path.join(root, "repos", *parts))
        if not self.allowed():
            return None
        if parts[:2] == ["api", "models"]:
            return self.send_tree(parts[2:4], parts[5], urllib.parse.parse_qs(url.query))
        folder = os.path.join(root, "repos", parts[0], parts[1], parts[3])
        if not os.path.isfile(os.path.join(folder, *parts[4:])):
            return self.refuse(404, "EntryNotFound")
        return self.resolve(parts[:2] + parts[3:], folder, "/".join(parts[4:]))

    def allowed(self):
        token = knob("token")
        if token is None:
            return True
        given = self.headers.get("Authorization")
        if given == "Bearer " + token.decode().strip():
            return True
        if given is None:
            self.refuse(401, "GatedRepo")
        elif knob("gated") is not None:
            self.refuse(403, "GatedRepo")
        else:
            self.refuse(401, "")
        return False

    def send_tree(self, repo, revision, query):
        folder = os.path.join(root, "repos", *repo, revision)
        if knob("listing") is not None:
            return self.answer(200, knob("listing"))
        if knob("listing-endless") is not None:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                self.wfile.write(b"[")
                while True:
                    self.wfile.write(b" " * 65536)
            except OSError:
                return None
        if not os.path.isdir(os.path.join(root, "repos", *repo)):
            return self.refuse(401 if "Authorization" not in self.headers else 404, "RepoNotFound")
        if not os.path.isdir(folder):
            return self.refuse(404, "RevisionNotFound")
        if query.get("recursive") != ["true"]:
            return self.refuse(400, "")
        entries, headers = tree(folder), []
        if knob("page"):
            size, at = int(knob("page")), int(query.get("cursor", ["0"])[0])
            if at + size < len(entries):
                path = self.path.split("?")[0]
                headers = [("Link", '<http://127.0.0.1:%d%s?recursive=true&cursor=%d>; rel="next"' %
                            (self.server.server_address[1], path, at + size))]
            entries = entries[at:at + size]
        return self.answer(200, json.dumps(entries).encode(), headers)

    def resolve(self, parts, folder, path):
        headers = [("X-Repo-Commit", "c0ffee" + "0" * 34)]
        if in_lfs(path) and knob("unlinked") is None:
            headers.append(("X-Linked-Etag", '"%s"' % entry(folder, path)["lfs"]["oid"]))
        if knob("redirect"):
            return self.answer(302, b"moved", headers + [("Location", knob("redirect").decode().strip())])
        if knob("cdn") is not None:
            where = "http://127.0.0.1:%d/%s?signed=1" % (
                self.server.cdn_port, "/".join(urllib.parse.quote(p) for p in parts))
            return self.answer(302, b"moved", headers + [("Location", where)])
        return self.send_file(os.path.join(folder, path), headers)

    def send_file(self, path, headers=()):
        with open(path, "rb") as f:
            data = f.read()
        if knob("corrupt") is not None:
            data = bytes([data[0] ^ 1]) + data[1:]
        asked, at = self.headers.get("Range"), 0
        if asked and knob("past-end") is not None:
            return self.answer(416, b"", [("Content-Range", "bytes */%d" % len(data))])
        if asked and knob("no-range") is None:
            at = int(asked.split("=")[1].rstrip("-"))
        self.send_response(206 if at else 200)
        for name, value in headers:
            self.send_header(name, value)
        if at:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (at, len(data) - 1, len(data)))
        self.send_header("Content-Length", str(len(data) - at))
        self.end_headers()
        return self.send_body(data[at:])

    def send_body(self, body):
        try:
            if knob("slow"):
                n = int(knob("slow"))
                self.wfile.write(body[:n])
                self.wfile.flush()
                while knob("slow"):
                    time.sleep(0.05)
                body = body[n:]
            with lock:
                cut = knob("drop")
                if cut and int(cut) < len(body):
                    os.remove(os.path.join(root, "control", "drop"))
                else:
                    cut = None
            self.wfile.write(body[:int(cut)] if cut else body)
            if cut:
                self.close_connection = True
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def finish_request(self, request, client_address):
        """In the connection's thread: a handshake that fails ends this connection alone."""
        try:
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        super().finish_request(request, client_address)


def serve(name, certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    server.name = name
    if certificate:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


hub, cdn, tls = serve("hub"), serve("cdn"), None
if os.path.exists(os.path.join(root, "cert.pem")):
    tls = serve("tls", os.path.join(root, "cert.pem"))
    tls.cdn_port = cdn.server_address[1]
hub.cdn_port = cdn.server_address[1]
with open(os.path.join(root, "ports.tmp"), "w") as f:
    f.write("%d %d %d\n" % (hub.server_address[1], hub.cdn_port, tls.server_address[1] if tls else 0))
os.rename(os.path.join(root, "ports.tmp"), os.path.join(root, "ports"))
while os.getppid() == parent:  # until the test is over
    time.sleep(0.2)
