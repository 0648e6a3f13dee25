"""Bills of materials, SPDX 2.3 in JSON: what deploy/image/sbom and deploy/release/bills.py have in common."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

SOURCES = Path(__file__).resolve().parents[2] / "Sources"
#: The programs, by their names in image and archive and in the Debian package.
PROGRAMS = {"mcp-proxy": "mcp-proxy", "setup": "setup", "mcp-tunnel-setup": "setup"}
#: What of ours is in one program and not in the other.
ABSENT = {"mcp-proxy": ("TunnelAPI", "TunnelSetup"), "setup": ("TunnelProxy",)}

# Short names of Debian's machine-readable copyright files that mean one licence of the SPDX list.
LICENCES = {"Apache-2.0": "Apache-2.0", "Expat": "MIT", "Zlib": "Zlib", "GPL-2+": "GPL-2.0-or-later"}


def digest(kind: str, data: bytes) -> str:
    return hashlib.new(kind, data).hexdigest()


def identifier(*parts: str) -> str:
    """An SPDX identifier: letters, digits, dots and hyphens."""
    return "SPDXRef-" + "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") for part in parts)


def library_versions() -> dict[str, str]:
    """Our libraries, by their Version.swift."""
    return {file.parent.name: _current(file) for file in sorted(SOURCES.glob("*/Version.swift"))}


def package_version() -> str:
    return _current(SOURCES / "TunnelCLI/PackageVersion.swift")


def _current(file: Path) -> str:
    match = re.search(r'static let current = "([^"]+)"', file.read_text())
    assert match, file
    return match[1]


def swift_version() -> str:
    text = subprocess.run(["swift", "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"Swift version (\S+)", text)
    assert match, text
    return match[1]


def stanza(text: str) -> dict[str, str]:
    """The fields of a Debian control paragraph, without continuation lines."""
    return dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", text, re.MULTILINE))


def declared_licence(copyright_file: Path) -> str:
    """The licence of `Files: *`, where the copyright file is machine-readable and the name is known beyond doubt."""
    text = copyright_file.read_text("utf-8", "replace")
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = stanza(paragraph)
        if fields.get("Files") == "*" and "License" in fields:
            return LICENCES.get(fields["License"].strip(), "NOASSERTION")
    return "NOASSERTION"


class Document:
    """What is being described. `read` gives the content of a file by its path in the archive."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self.read = read
        self.packages: list[dict] = []
        self.files: list[dict] = []
        self.relationships: list[dict] = []
        self._identifiers: set[str] = set()

    def relate(self, one: str, kind: str, other: str) -> None:
        self.relationships.append({"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})

    def file(self, path: str) -> dict:
        data = self.read(path)
        is_program = path.rpartition("/")[2] in PROGRAMS and data.startswith(b"\x7fELF") or ".so." in path
        name = identifier("File", path)
        if name in self._identifiers:
            # Names that differ in other signs only.
            name += "-" + digest("sha256", path.encode())[:8]
        self._identifiers.add(name)
        entry = {
            "SPDXID": name,
            "fileName": f"./{path}",
            "fileTypes": ["BINARY" if is_program else "TEXT"],
            "checksums": [{"algorithm": kind.upper(), "checksumValue": digest(kind, data)} for kind in ("sha1", "sha256")],
            "licenseConcluded": "NOASSERTION",
            "licenseInfoInFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION",
        }
        self.files.append(entry)
        return entry

    def package(
        self, kind: str, name: str, version: str, *, paths: list[str] = [], licence: str = "NOASSERTION", **more: object
    ) -> str:
        entry = {
            "SPDXID": identifier(kind, name),
            "name": name,
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": bool(paths),
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence,
            "copyrightText": "NOASSERTION",
            **more,
        }
        self.packages.append(entry)
        if paths:
            files = [self.file(path) for path in sorted(paths)]
            sums = sorted(file["checksums"][0]["checksumValue"] for file in files)
            # SPDX 2.3 §7.9: the SHA-1 of the files' SHA-1 sums in order.
            code = digest("sha1", "".join(sums).encode())
            entry["packageVerificationCode"] = {"packageVerificationCodeValue": code}
            entry["licenseInfoFromFiles"] = ["NOASSERTION"]
            for file in files:
                self.relate(entry["SPDXID"], "CONTAINS", file["SPDXID"])
        return entry["SPDXID"]

    def debian(self, fields: dict[str, str], **more: object) -> str:
        """A package of Debian, by the fields that dpkg has of it."""
        name, version = fields["Package"], fields["Version"]
        source = fields.get("Source", name)
        if "(" not in source:
            source = f"{source} ({version})"
        locator = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}&distro=debian-12"
        return self.package(
            "Debian",
            name,
            version,
            supplier=f"Person: {fields['Maintainer']}" if "Maintainer" in fields else "NOASSERTION",
            sourceInfo=f"built from Debian source package {source}",
            externalRefs=[{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}],
            **more,  # type: ignore[arg-type]
        )

    def link(self, program: str, name: str, libraries: dict[str, str], runtime: str, shared: list[str]) -> None:
        """What is in a program, and what it loads; by identifiers."""
        for library, entry in libraries.items():
            if library not in ABSENT[name]:
                self.relate(program, "STATIC_LINK", entry)
        self.relate(program, "STATIC_LINK", runtime)
        for package in shared:
            self.relate(program, "DYNAMIC_LINK", package)

    def text(self, name: str, tool: str) -> str:
        """The document. Its name space is that of its content, so that equal ones are one."""
        content = {"packages": self.packages, "files": self.files, "relationships": self.relationships}
        fingerprint = digest("sha256", json.dumps(content, sort_keys=True).encode())
        created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)
        document = {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": name,
            "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{fingerprint}",
            "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": [f"Tool: {tool}"]},
            **content,
        }
        return json.dumps(document, indent=2) + "\n"
