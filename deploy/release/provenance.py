"""The statement of provenance: an in-toto Statement v1 with the predicate of SLSA provenance v1.

It names what was made, by digest, and what it was made of: the commit, the compiler, Debian's packages. Nothing in it depends
on the machine or the hour, so that whoever builds again gets the same statement.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

from versions import ROOT

#: Their content is in what is made, or decides about its bytes; beside what the programs load, which is in the image's bill.
BUILD_PACKAGES = (
    "libssl-dev",
    "zlib1g-dev",
    "libc6-dev",
    "linux-libc-dev",
    "libgcc-*-dev",
    "libstdc++-*-dev",
    "binutils",
    "ca-certificates",
    "buildah",
    "dpkg",
    "dpkg-dev",
    "git",
    "gzip",
    "liblzma5",
    "python3",
    "xz-utils",
    "zlib1g",
)


def statement(subjects: list[dict], commit: str, epoch: int, image: dict) -> str:
    """`image` is the image's bill of materials."""
    loaded = {each["relatedSpdxElement"] for each in image["relationships"] if each["relationshipType"] == "DYNAMIC_LINK"}
    names = [entry["name"] for entry in image["packages"] if entry["SPDXID"] in loaded]
    source = {"name": "source", "digest": {"gitCommit": commit}}
    if repository := os.environ.get("REPOSITORY_URL"):
        source["uri"] = f"git+{repository}"
    options = {
        name: [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
        for name, file in (("options", "deploy/image/options"), ("staticOptions", "deploy/release/options"))
    }
    predicate = {
        "buildDefinition": {
            "buildType": "urn:mcp-tunnel:make-dist:1",
            "externalParameters": {"source": source, "target": "make dist"},
            "internalParameters": {"SOURCE_DATE_EPOCH": epoch, **options},
            "resolvedDependencies": [source, *compiler(), *debian([*names, *BUILD_PACKAGES])],
        },
        "runDetails": {"builder": {"id": os.environ.get("BUILDER_ID", "urn:mcp-tunnel:builder:by-hand")}},
    }
    return (
        json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": subjects,
                "predicateType": "https://slsa.dev/provenance/v1",
                "predicate": predicate,
            },
            indent=2,
        )
        + "\n"
    )


def subject(file: Path) -> dict:
    return {"name": file.name, "digest": {"sha256": sha256(file)}}


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def compiler() -> list[dict]:
    """The toolchain, by what compiles and what links."""
    found = _run("sh", "-c", "command -v swift").strip()
    folder = Path(found).resolve().parent
    version = _run(found, "--version").split("\n", 1)[0]
    number = re.search(r"Swift version (\S+)", version)
    return [
        {
            "name": program,
            "uri": f"pkg:generic/swift@{number[1] if number else 'unknown'}",
            "digest": {"sha256": sha256((folder / program).resolve())},
            "annotations": {"version": version},
        }
        for program in ("swift-frontend", "clang", "lld")
        if (folder / program).exists()
    ]


def debian(patterns: list[str]) -> list[dict]:
    form = "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
    result = subprocess.run(
        ["dpkg-query", "--show", "--showformat", form, *patterns], capture_output=True, text=True, check=False
    )
    installed = sorted({tuple(line.split()[1:]) for line in result.stdout.splitlines() if line.startswith("installed ")})
    return [
        {"name": name, "uri": f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=debian-12"}
        for name, version, architecture in installed
    ]


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
