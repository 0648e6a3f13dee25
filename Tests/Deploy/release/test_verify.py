"""`verify` finds whatever was done to a release, and names the file; also where somebody has mended the sums."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made import SUMS, VERSION, Made, repacked, sha256
from tree import run

#: By the ends of their names, as the architecture is in some.
FILES = [
    "-source.tar.gz",
    "-source.tar.gz.spdx.json",
    "-linux-amd64.tar.gz",
    "-linux-amd64.tar.gz.spdx.json",
    ".deb",
    ".deb.spdx.json",
    "-image-amd64.tar",
    "-image-amd64.tar.spdx.json",
    ".tgz",
    ".tgz.spdx.json",
    ".provenance.json",
    "verify",
]
SOURCE, PROGRAMS, PACKAGE, IMAGE, CHART = "-source.tar.gz", "-linux-amd64.tar.gz", ".deb", "-image-amd64.tar", ".tgz"
STATEMENT = ".provenance.json"


def test_a_whole_release_is_in_order(release: Made) -> None:
    assert release.verify() == []
    assert f"mcp-tunnel {VERSION} for amd64, of commit " in release.printed
    assert f"\n{sha256(release.read(SUMS))}  {SUMS}\n" in release.printed
    assert len(FILES) + 1 == len(release.names)


# One byte


@pytest.mark.parametrize("end", [*FILES, SUMS])
def test_a_byte_that_is_another(release: Made, end: str, original: Path) -> None:
    name = release.named(end)
    data = release.read(name)
    chosen = random.Random(end)
    for place in (0, len(data) - 1, *(chosen.randrange(len(data)) for _ in range(3))):
        changed = bytearray(data)
        changed[place] ^= 1 << chosen.randrange(8)
        release.write(name, bytes(changed))
        found = release.verify(release.folder, program=original)
        assert found, (name, place)
        # In the sums themselves it is the line of a file that is wrong.
        assert name == SUMS or [line.split(": ")[0] for line in found] == [name], found
    release.write(name, data[:-1])
    assert any(line.startswith(f"{name}: ") for line in release.verify(release.folder, program=original))


@pytest.fixture
def original(made: Made) -> Path:
    """`verify` as it was delivered."""
    return made.folder / "verify"


# A file more or less


@pytest.mark.parametrize("end", [*FILES, SUMS])
def test_a_file_that_is_left_out(release: Made, end: str, original: Path) -> None:
    name = release.named(end)
    release.remove(name)
    assert release.verify(release.folder, program=original)[0].startswith(f"{name}: missing")


@pytest.mark.parametrize("end", FILES)
def test_a_file_that_is_left_out_with_its_sum(release: Made, end: str, original: Path) -> None:
    name = release.named(end)
    release.remove(name)
    release.seal(statement=False)
    form = (
        re.escape(name)
        .replace(re.escape(VERSION), "(0.2.0|VERSION)")
        .replace("1\\.0\\.0", "VERSION")
        .replace("amd64", "ARCHITECTURE")
    )
    found = release.verify(release.folder, program=original)
    assert any(re.match(f"({re.escape(name)}|{form}): missing", line) for line in found), found


@pytest.mark.parametrize("end", [each for each in FILES if each.endswith(".spdx.json")])
def test_a_bill_that_is_left_out_everywhere(release: Made, end: str) -> None:
    name = release.named(end)
    release.remove(name)
    release.seal()
    assert release.verify() == [f"{name}: missing"]


def test_a_file_that_was_added(release: Made) -> None:
    release.write("install.sh", b"#!/bin/sh\n")
    assert release.verify() == [f"install.sh: not in {SUMS}: it is no part of this release"]
    release.seal(statement=False)
    assert release.verify() == [f"{release.named(STATEMENT)}: says nothing of install.sh"]


def test_files_of_two_architectures(release: Made) -> None:
    name = release.named(PACKAGE)
    release.write(name.replace("amd64", "arm64"), release.read(name))
    release.remove(name)
    release.write(f"{name.replace('amd64', 'arm64')}.spdx.json", release.read(f"{name}.spdx.json"))
    release.remove(f"{name}.spdx.json")
    release.seal()
    assert any("files of several architectures: amd64, arm64" in line for line in release.verify())


# Sums that were mended


@pytest.mark.parametrize("end", [each for each in FILES if each not in (STATEMENT, "verify")])
def test_a_change_whose_sum_was_mended(release: Made, end: str) -> None:
    name = release.named(end)
    data = release.read(name)
    # What unpacks as before: JSON ends with another line, archives with further bytes. Debian's with another member.
    release.write(name, data + (b"\n" if end.endswith("json") else b"\0" * 512 if not end.endswith("deb") else member()))
    release.seal(statement=False)
    assert any(
        line.startswith(f"{release.named(STATEMENT)}: the digest of {name} is ") for line in release.verify()
    ), release.printed


def member() -> bytes:
    return b"extra           0           0     0     100644  2         `\nxx"


@pytest.mark.parametrize("end", [SOURCE, PROGRAMS, PACKAGE, IMAGE, CHART])
def test_what_is_no_archive(release: Made, end: str) -> None:
    name = release.named(end)
    release.write(name, release.read(name)[: len(release.read(name)) // 2])
    release.seal()
    assert [line.split(": ")[:2] for line in release.verify()] == [[name, "cannot be read"]]


@pytest.mark.parametrize("end", [each for each in FILES if each.endswith(".json")])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', "[" * 3000])
def test_what_is_no_statement_or_bill(release: Made, end: str, text: str) -> None:
    name = release.named(end)
    release.write(name, text.encode())
    release.seal(statement=end != STATEMENT)
    assert any(line.startswith(f"{name}: not of the form") for line in release.verify()), release.printed


# Chart and versions


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("Chart.yaml", b"appVersion: 0.2.0", b"appVersion: 0.1.0", "appVersion is 0.1.0, and should be 0.2.0"),
        ("Chart.yaml", b"\nversion: 1.0.0", b"\nversion: 1.0.1", "version is 1.0.1, and should be 1.0.0"),
        ("values.yaml", b"repository: ", b"repository:  ", "values.yaml is not as in mcp-tunnel-0.2.0-source.tar.gz"),
    ],
)
def test_another_chart(release: Made, path: str, old: bytes, new: bytes, said: str) -> None:
    name = release.named(CHART)
    data, content = repacked(release.read(name), path, old, new)
    release.write(name, data)
    release.mend(name, {path: content})
    assert f"{name}: {said}" in release.verify()


def test_sources_of_another_version(release: Made) -> None:
    name = release.named(SOURCE)
    path = "deploy/release/versions.toml"
    data, content = repacked(release.read(name), path, b'package = "0.2.0"', b'package = "0.9.0"')
    release.write(name, data)
    release.mend(name, {path: content})
    assert release.verify() == [f"{name}: the version of package in its table is 0.9.0, and should be 0.2.0"]


def test_another_verify(release: Made, original: Path) -> None:
    release.write("verify", b"#!/bin/sh\necho in order\n")
    release.seal()
    assert release.verify(release.folder, program=original) == [f"verify: not the one in {release.named(SOURCE)}"]


# Bills of materials and the statement


def forget_a_file(bill: dict) -> None:
    bill["files"].pop(0)


def invent_a_file(bill: dict) -> None:
    bill["files"].append({**bill["files"][0], "fileName": "./invented"})


def describe_another(bill: dict) -> None:
    next(each for each in bill["files"][0]["checksums"] if each["algorithm"] == "SHA256")["checksumValue"] = "0" * 64


@pytest.mark.parametrize("end", [SOURCE, PROGRAMS, PACKAGE, IMAGE, CHART])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (forget_a_file, r"says nothing of \S+, which is in "),
        (invent_a_file, "names invented, which is not in "),
        (describe_another, r"\S+ in \S+ is not the one that is described"),
    ],
)
def test_a_bill_that_does_not_fit(release: Made, end: str, change: Callable[[dict], None], said: str) -> None:
    name = f"{release.named(end)}.spdx.json"
    release.edit(name, change)
    release.seal()
    found = release.verify()
    assert len(found) == 1 and re.match(f"{re.escape(name)}: {said}", found[0]), found


def test_a_bill_of_another_archive(release: Made) -> None:
    name = release.named(PROGRAMS) + ".spdx.json"
    top = next(each for each in release.json(name)["packages"] if "checksums" in each)
    release.write(name, release.read(name).replace(top["checksums"][0]["checksumValue"].encode(), b"0" * 64))
    release.seal()
    assert release.verify()[0].startswith(f"{name}: the sum of {release.named(PROGRAMS)} is {'0' * 64}, and should be ")


def another_commit(statement: dict) -> None:
    for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        each.get("digest", {}).update({"gitCommit": "0" * 40} if "gitCommit" in each.get("digest", {}) else {})


def no_compiler(statement: dict) -> None:
    inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    inputs[:] = [each for each in inputs if each["name"] != "swift-frontend"]


def older(package: str) -> Callable[[dict], None]:
    def change(statement: dict) -> None:
        for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
            each.update({"uri": f"pkg:deb/debian/{package}@3.0.1"} if each["name"] == package else {})

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_commit, r"the commit is \['0{40}'\], and should be"),
        (no_compiler, "does not say by which compiler"),
        (older("libssl3"), r"does not name pkg:deb/debian/libssl3@\S+, which is in mcp-tunnel-0\.2\.0-image"),
        (older("libssl-dev"), r"does not name pkg:deb/debian/libssl-dev@\S+, which is in mcp-tunnel-0\.2\.0-linux"),
        (lambda statement: statement.update(predicateType="https://slsa.dev/provenance/v0.2"), "predicateType is"),
        (lambda statement: statement["subject"].pop(0), r"says nothing of mcp-tunnel-"),
        (lambda statement: statement["subject"].pop(), "the digest of the image is sha256:None"),
    ],
)
def test_a_statement_that_does_not_fit(release: Made, change: Callable[[dict], object], said: str) -> None:
    name = release.named(STATEMENT)
    release.edit(name, change)
    release.seal(statement=False)
    found = release.verify()
    assert len(found) == 1 and re.match(f"{re.escape(name)}: {said}", found[0]), found


def test_a_subject_that_is_not_there(release: Made) -> None:
    name = release.named(STATEMENT)
    release.edit(name, lambda statement: statement["subject"].append({"name": "gone.tar", "digest": {"sha256": "0" * 64}}))
    release.seal(statement=False)
    assert release.verify() == [f"gone.tar: missing, and a subject of {name}"]


# What it is compared with


def test_the_sum_of_sums(release: Made) -> None:
    assert release.verify("--sums", sha256(release.read(SUMS)).upper()) == []
    assert release.verify("--sums", "0" * 64)[0].startswith(f"{SUMS}: its SHA-256 is ")


def test_a_clone(release: Made, places: tuple[Path, Path], tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", places[1], clone)
    assert release.verify("--repository", clone) == []
    assert f"has no tag {VERSION}" in release.printed
    run("git", "-C", clone, "tag", VERSION)
    assert release.verify("--repository", clone) == [] and "no tag" not in release.printed
    run("git", "-C", clone, "commit", "--quiet", "--allow-empty", "--message", "later")
    run("git", "-C", clone, "tag", "--force", VERSION)
    assert release.verify("--repository", clone)[0].startswith(f"{release.named(SOURCE)}: the commit is ")
    run("git", "init", "--quiet", tmp_path / "empty")
    assert "has no commit" in release.verify("--repository", tmp_path / "empty")[0]


def test_sources_that_are_not_the_commit(release: Made, places: tuple[Path, Path]) -> None:
    name = release.named(SOURCE)
    data, content = repacked(release.read(name), "SECURITY.md", b"# Security", b"# Security!")
    release.write(name, data)
    release.mend(name, {"SECURITY.md": content})
    assert release.verify() == []  # it all fits together
    found = release.verify("--repository", places[1])
    assert len(found) == 1 and found[0].startswith(f"{name}: is not the commit "), found


def test_usage(release: Made) -> None:
    assert "usage: verify" in run("/usr/bin/python3", release.folder / "verify", "--nonsense", status=2)
    assert "is no folder" in run("/usr/bin/python3", release.folder / "verify", release.folder / "nowhere", status=2)
    assert "--repository" in run("/usr/bin/python3", release.folder / "verify", "--help")
