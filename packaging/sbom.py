# SPDX-License-Identifier: Apache-2.0
"""Makes the bill of materials, SPDX 2.3 as JSON, of what the packages contain and link.

    sbom.py FOLDER_OF_DEBS OUTPUT.json

Read from the packages themselves: every file with its hashes, every library that a program or plugin
needs with the Debian package, version and licences that this build had. Two builds of one commit give
one file."""
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from version import version

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
LICENCE = "Apache-2.0"
# libwebsockets opens its plugin for libev by itself: no program names it.
OPENED = "libwebsockets-evlib_ev.so"
PACKAGES = ("burrow", "burrow-plugin-jwks", "burrow-plugin-kubernetes", "burrow-dev", "burrow-doc")
# Names of Debian's copyright files that SPDX spells differently; what is in neither is a LicenseRef.
SPDX = {"Expat": "MIT", "Apache-2.0": "Apache-2.0", "BSD-2-clause": "BSD-2-Clause",
        "BSD-3-clause": "BSD-3-Clause", "BSD-3-Clause": "BSD-3-Clause", "BSD-2-Clause": "BSD-2-Clause",
        "LGPL-2.1+": "LGPL-2.1-or-later", "LGPL-2.1": "LGPL-2.1-only", "GPL-2+": "GPL-2.0-or-later",
        "GPL-2.0+": "GPL-2.0-or-later", "GPL-3+": "GPL-3.0-or-later", "ISC": "ISC", "curl": "curl", "MIT": "MIT",
        "Zlib": "Zlib", "zlib": "Zlib", "CC0-1.0": "CC0-1.0"}


def out(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def spdx_id(*words):
    return "SPDXRef-" + "-".join(re.sub(r"[^A-Za-z0-9.-]", "-", w) for w in words)


@functools.cache
def debian_package(path):
    """The installed package that a library is of. /lib may be a link to /usr/lib, and dpkg know either."""
    real = os.path.realpath(path)
    for name in (real, real.removeprefix("/usr"), path):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise SystemExit(f"{path}: of no installed package")


def licences(package):
    """The short names in the package's copyright file, sorted; none when it is not machine-readable."""
    path = f"/usr/share/doc/{package}/copyright"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        names = re.findall(r"^License: *(\S.*)$", file.read(), re.M)
    return sorted({word for name in names for word in re.split(r"\s+(?:and|or|and/or)\s+|,\s*", name) if word})


class Bill:
    def __init__(self):
        self.packages = []
        self.relations = []
        self.references = {}

    def licence(self, names):
        def one(name):
            if name in SPDX:
                return SPDX[name]
            reference = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)
            self.references[reference] = name
            return reference
        return " AND ".join(sorted({one(n) for n in names})) if names else "NOASSERTION"

    def package(self, name, version_, licence, **more):
        self.packages.append({"SPDXID": spdx_id("Package", name), "name": name, "versionInfo": version_,
                              "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                              "licenseConcluded": licence, "licenseDeclared": licence,
                              "copyrightText": "NOASSERTION", **more})

    def relate(self, what, how, other):
        self.relations.append({"spdxElementId": what, "relationshipType": how, "relatedSpdxElement": other})


def files_of(folder):
    """All regular files, in one order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            if not os.path.islink(path):
                yield path


def is_object(path):
    """A program or a plugin."""
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries_of(path):
    """The libraries that the loader finds for it, and for those in turn."""
    found = re.findall(r"(?:=> |^\t)(/\S+)", out("ldd", path), re.M)
    return sorted({debian_package(library) for library in found})


def libev_of_lws():
    for place, _, names in os.walk("/usr/lib"):
        if OPENED in names:
            return debian_package(os.path.join(place, OPENED))
    raise SystemExit(f"{OPENED} is not installed")


def add_debs(bill, debs, work):
    architecture = out("dpkg", "--print-architecture").strip()
    needed = {libev_of_lws(): {"burrow"}}
    files = []
    for name in PACKAGES:
        deb = next(os.path.join(debs, f"{name}_{version()}-1_{a}.deb") for a in (architecture, "all")
                   if os.path.exists(os.path.join(debs, f"{name}_{version()}-1_{a}.deb")))
        folder = os.path.join(work, name)
        out("dpkg-deb", "-x", deb, folder)
        here = []
        for path in files_of(folder):
            inside = os.path.relpath(path, folder)
            here.append({"SPDXID": spdx_id("File", name, inside), "fileName": "./" + inside,
                         "checksums": [{"algorithm": a, "checksumValue": digest(path, a)} for a in ("SHA1", "SHA256")],
                         "licenseConcluded": LICENCE, "licenseInfoInFiles": [LICENCE],
                         "copyrightText": "NOASSERTION"})
            bill.relate(spdx_id("Package", name), "CONTAINS", here[-1]["SPDXID"])
            for library in libraries_of(path) if is_object(path) else ():
                needed.setdefault(library, set()).add(name)
        bill.package(name, f"{version()}-1", LICENCE, packageFileName=os.path.basename(deb), filesAnalyzed=True,
                     packageVerificationCode={"packageVerificationCodeValue": verification_code(here)},
                     licenseInfoFromFiles=[LICENCE],
                     checksums=[{"algorithm": "SHA256", "checksumValue": digest(deb, "SHA256")}])
        bill.relate("SPDXRef-DOCUMENT", "DESCRIBES", spdx_id("Package", name))
        files += here
    return files, needed


def verification_code(files):
    """That of SPDX 2.3, 7.9: the SHA1 of the sorted SHA1s of all files."""
    sums = sorted(c["checksumValue"] for file in files for c in file["checksums"] if c["algorithm"] == "SHA1")
    return hashlib.sha1("".join(sums).encode()).hexdigest()


def digest(path, algorithm):
    with open(path, "rb") as file:
        return hashlib.new(algorithm.lower(), file.read()).hexdigest()


def main():
    debs, output = sys.argv[1:]
    epoch = int(out("git", "-C", TOP, "log", "-1", "--format=%ct"))
    bill = Bill()
    with tempfile.TemporaryDirectory() as work:
        files, needed = add_debs(bill, debs, work)
    for library, users in sorted(needed.items()):
        installed = out("dpkg-query", "-W", "-f", "${Version}\n", library).split()[0]
        purl = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{library}@{installed}"}
        bill.package(library, installed, bill.licence(licences(library)), externalRefs=[purl])
        for user in sorted(users):
            bill.relate(spdx_id("Package", user), "DEPENDS_ON", spdx_id("Package", library))
    made = json.dumps([bill.packages, files], sort_keys=True).encode()
    document = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
                "name": f"burrow-{version()}",
                "documentNamespace": f"urn:burrow:sbom:{version()}:{hashlib.sha256(made).hexdigest()}",
                "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
                                 "creators": ["Tool: burrow-packaging-sbom"]},
                "packages": bill.packages, "files": files, "relationships": bill.relations,
                "hasExtractedLicensingInfos": [{"licenseId": i, "name": n, "extractedText":
                                                f"See the text of {n} in the package's copyright file."}
                                               for i, n in sorted(bill.references.items())]}
    with open(output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    print(f"{output}: {len(bill.packages)} packages, {len(files)} files")


if __name__ == "__main__":
    main()
