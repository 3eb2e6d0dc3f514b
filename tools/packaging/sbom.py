#!/usr/bin/env python3
"""Lists what the archives of a release have in them, as SPDX 2.3 in JSON on standard output.

Usage: sbom.py VERSION COMMIT SECONDS SOURCES ARCHIVES

SECONDS since 1970 is the time that the document bears. SOURCES: where tools/libraries.sh keeps the sources
of libraries, and their versions. ARCHIVES: the folder of archives.
SPDX-License-Identifier: MIT
"""
import datetime
import hashlib
import json
import pathlib
import sys

# Name in Debian, licence, and the systems whose archives have it in them.
LIBRARIES = [
    ("cjson", "MIT", "linux macos windows"),
    ("curl", "curl", "linux windows"),
    ("libmicrohttpd", "LGPL-2.1-or-later", "linux macos windows"),
    ("libpng1.6", "libpng-2.0", "linux macos windows"),
    ("libwebp", "BSD-3-Clause", "linux macos windows"),
    ("openssl", "Apache-2.0", "linux"),
    ("xxhash", "BSD-2-Clause", "linux macos windows"),
    ("zlib", "Zlib", "linux macos windows"),
]
# Headers and scripts that are compiled in, from binary packages. (What Debian's own packages need and contain, they
# say themselves.)
HEADERS = [
    ("libjs-marked", "MIT"),
    ("node-dompurify", "Apache-2.0 OR MPL-2.0"),
    ("libstb-dev", "MIT OR Unlicense"),
    ("libvulkan-volk-dev", "MIT"),
    ("libvulkan-dev", "Apache-2.0 OR MIT"),
]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def library(sources, name, licence):
    version = (sources / f"{name}.version").read_text().strip()
    upstream = version.split(":")[-1].rsplit("-", 1)[0]
    package = {
        "SPDXID": f"SPDXRef-{name}",
        "name": name,
        "versionInfo": upstream,
        "supplier": "Organization: Debian",
        "downloadLocation": f"https://sources.debian.org/src/{name}/{version}/",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{name}@{version}?arch=source",
        }],
    }
    for archive in sources.glob(f"{name}_{upstream}.orig.tar.?z"):
        package["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256(archive)}]
    return package


def header(sources, name, licence):
    version = (sources / f"{name}.version").read_text().strip()
    return {
        "SPDXID": f"SPDXRef-{name}",
        "name": name,
        "versionInfo": version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    }


def archive_package(path, version):
    return {
        "SPDXID": f"SPDXRef-{path.name.replace('_', '-').replace('+', '-').replace('~', '-')}",
        "name": path.name,
        "versionInfo": version,
        "packageFileName": path.name,
        "supplier": "Organization: The Peridot developers",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "MIT",
        "licenseDeclared": "MIT",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256(path)}],
    }


def main():
    version, commit, seconds, sources, archives = sys.argv[1:]
    sources, archives = pathlib.Path(sources), pathlib.Path(archives)
    packages, relations, used = [], [], {}

    def relate(archive, kind, package):
        used[package["SPDXID"]] = package
        relations.append({
            "spdxElementId": archive["SPDXID"],
            "relationshipType": kind,
            "relatedSpdxElement": package["SPDXID"],
        })

    for path in sorted(archives.iterdir()):
        archive = archive_package(path, version)
        packages.append(archive)
        relations.append({
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": archive["SPDXID"],
        })
        for name, licence, systems in LIBRARIES:
            if any(f"-{system}-" in path.name for system in systems.split()):
                relate(archive, "STATIC_LINK", library(sources, name, licence))
        for name, licence in HEADERS if path.suffix != ".deb" else []:
            relate(archive, "CONTAINS", header(sources, name, licence))
    created = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    json.dump({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"peridot-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/peridot-{version}-{commit}",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: The Peridot developers", "Tool: tools/packaging/sbom.py"],
        },
        "packages": packages + [used[key] for key in sorted(used)],
        "relationships": relations,
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
