#!/usr/bin/env python3
"""How the files of the page of `peridot serve` are given: forms, headers, what a browser has already, keys. The page
itself is tested in a browser (tests/page).

    test_page.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import gzip
import re
import sys

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
LARGEST = 300000  # bytes of all of it, compressed
ZIPPED, PLAIN = {"Accept-Encoding": "br;q=1, GZIP;q=0.5"}, {"Accept-Encoding": "gzip;q=0, identity"}


def files_of(server):
    """The paths that the page names, and those that its modules name in turn."""
    found, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        text = server.ask(path, headers=PLAIN).data.decode()
        waiting += re.findall(r'(?:src|href)="(/page/[^"]+)"', text)
        waiting += [f"/page/{name}" for name in re.findall(r'from "\./([a-z_]+\.js)"', text)]
    return sorted(found)


@test
def forms(server):
    size, files = 0, files_of(server)
    check(len(files) > 10, "the page has the files", files)
    for path in files:
        zipped, plain = server.ask(path, headers=ZIPPED), server.ask(path, headers=PLAIN)
        same((zipped.status, plain.status), (200, 200), path)
        same((zipped.headers["Content-Encoding"], plain.headers["Content-Encoding"]), ("gzip", None), path)
        same(gzip.decompress(zipped.data), plain.data, path)
        same(server.ask(path).data, plain.data, f"{path} without Accept-Encoding:")
        check(zipped.headers["ETag"] != plain.headers["ETag"], path, "has one ETag for two forms")
        size += len(zipped.data)
    check(size < LARGEST, "the page has", size, "bytes")
    return f"{len(files)} files, {size} bytes compressed"


@test
def headers(server):
    kinds = {"/": "text/html; charset=utf-8", "/page/main.js": "text/javascript; charset=utf-8",
             "/page/frame.css": "text/css; charset=utf-8", "/page/icon.svg": "image/svg+xml"}
    for path, kind in kinds.items():
        given = server.ask(path).headers
        same(given["Content-Type"], kind, path)
        same(given["Cache-Control"], "no-cache", path)
        same(given["X-Content-Type-Options"], "nosniff", path)
        same(given["Referrer-Policy"], "no-referrer", path)
        same(given["Vary"], "Accept-Encoding", path)
        policy = dict(part.strip().split(" ", 1) for part in given["Content-Security-Policy"].split(";"))
        same(policy["default-src"], "'none'", path)
        same({policy[name] for name in ("script-src", "style-src", "connect-src")}, {"'self'"}, path)
        same({policy[name] for name in ("base-uri", "form-action", "frame-ancestors")}, {"'none'"}, path)


@test
def known_already(server):
    for form in (ZIPPED, PLAIN):
        etag = server.ask("/", headers=form).headers["ETag"]
        for given in (etag, f"W/{etag}", f'"x", {etag}', f'"x" ,W/{etag} , "y"', "*"):
            answer = server.ask("/", headers={**form, "If-None-Match": given})
            same((answer.status, answer.data), (304, b""), given)
            same(answer.headers["ETag"], etag)
        for given in ('"x"', etag[:-1], etag + "x", "", ",", "W/"):
            same(server.ask("/", headers={**form, "If-None-Match": given}).status, 200, given)


@test
def paths_and_methods(server):
    for path in ("/page/", "/page/none.js", "/page/index.html", "/page/../health", "/page/main.js/"):
        answer = server.ask(path)
        same(answer.status, 404, path)
        serve.error_of(answer)
    same(server.ask("/", {}).status, 405)
    head = server.ask("/", method="HEAD")
    same((head.status, head.data), (200, b""))


@test
def without_a_key(server):
    """The page is everybody's, what it asks for is not."""
    del server
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--api-key", "sesame") as locked:
        for path in ("/", "/page/main.js"):
            same(locked.ask(path).status, 200, path)
        for path in ("/props", "/v1/models", "/pages", "/page"):
            same(locked.ask(path).status, 401, path)


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    serve.run(lambda: serve.start(PROGRAM, "--device", serve.DEVICE), sys.argv[2:])


if __name__ == "__main__":
    main()
