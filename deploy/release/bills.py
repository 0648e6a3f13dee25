"""The bills of materials of what is beside the image: source, programs, Debian package and chart.

What the programs are linked with is taken from the image's bill: they are the same programs. Those of the archive have in
them what the others load.
"""

from __future__ import annotations

import sys
from pathlib import Path

from linked import Package
from versions import ROOT

sys.path.insert(0, str(ROOT / "deploy/image"))
from spdx import PROGRAMS, Document, digest  # noqa: E402

TOOL = "mcp-tunnel-deploy-release"


class Bill:
    """One archive, all of its files, and what is linked into its programs."""

    def __init__(self, archive: Path, version: str, contents: dict[str, bytes], purpose: str) -> None:
        self.document = Document(contents.__getitem__)
        self.version = version
        self.programs = [
            path for path in contents if path.rpartition("/")[2] in PROGRAMS and contents[path][:4] == b"\x7fELF"
        ]
        self.top = self.document.package(
            "Archive",
            archive.name,
            version,
            paths=[path for path in contents if path not in self.programs],
            licence="Apache-2.0",
            packageFileName=archive.name,
            primaryPackagePurpose=purpose,
            checksums=[{"algorithm": "SHA256", "checksumValue": digest("sha256", archive.read_bytes())}],
        )
        self.document.relate("SPDXRef-DOCUMENT", "DESCRIBES", self.top)
        self.output = archive.with_name(archive.name + ".spdx.json")

    def add_programs(self, image: dict, static: dict[str, list[Package]] | None = None) -> None:
        """The programs, as the image's bill has them; with `static`, the packages that are in each in the place of libraries."""
        packages = {entry["SPDXID"]: entry for entry in image["packages"]}
        linked = [each for each in image["relationships"] if each["relationshipType"].endswith("_LINK")]
        if static:
            linked = [each for each in linked if each["relationshipType"] == "STATIC_LINK"]
        inside = {each.name: each for part in (static or {}).values() for each in part}
        entries = {
            name: self.document.debian(each.fields, licence=each.licence, primaryPackagePurpose="LIBRARY")
            for name, each in inside.items()
        }
        for identifier in dict.fromkeys(each["relatedSpdxElement"] for each in linked):
            self.document.packages.append(without_files(packages[identifier]))
        for path in self.programs:
            name = PROGRAMS[path.rpartition("/")[2]]
            entry = self.document.package(
                "Program", name, self.version, paths=[path], licence="Apache-2.0", primaryPackagePurpose="APPLICATION"
            )
            self.document.relate(self.top, "CONTAINS", entry)
            for each in linked:
                if packages[each["spdxElementId"]]["name"] == name:
                    self.document.relate(entry, each["relationshipType"], each["relatedSpdxElement"])
            for package in (static or {}).get(name, []):
                self.document.relate(entry, "STATIC_LINK", entries[package.name])

    def add_libraries(self, versions: dict[str, str]) -> None:
        for name, version in versions.items():
            entry = self.document.package("Library", name, version, licence="Apache-2.0", primaryPackagePurpose="LIBRARY")
            self.document.relate(self.top, "CONTAINS", entry)

    def add_images(self, images: dict[str, str]) -> None:
        """Images that the chart runs, by name and version or digest."""
        for name, version in images.items():
            entry = self.document.package("Image", name, version, primaryPackagePurpose="CONTAINER")
            self.document.relate(self.top, "DEPENDS_ON", entry)

    def write(self) -> Path:
        self.output.write_text(self.document.text(self.output.name.removesuffix(".spdx.json"), TOOL))
        return self.output


def without_files(package: dict) -> dict:
    kept = {key: value for key, value in package.items() if key not in ("packageVerificationCode", "licenseInfoFromFiles")}
    if "licenseComments" in kept:
        kept["licenseComments"] = kept["licenseComments"].removesuffix(" in the image")
    return {**kept, "filesAnalyzed": False}
