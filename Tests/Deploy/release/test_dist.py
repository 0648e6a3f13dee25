"""What `make dist` makes: all of it, the same at two places, and of a commit only."""

from __future__ import annotations

import io
import json
import re
import stat
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from made import SUMS, VERSION, Made, sha256
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from tree import REPOSITORY, Tree, run

ARCHIVES = ("-source.tar.gz", "_amd64.deb", "-linux-amd64.tar.gz", "-image-amd64.tar", ".tgz")


def test_two_places_give_the_same_bytes(places: tuple[Path, Path], made: Made, made_again: Made) -> None:
    for program in ("mcp-proxy", "static/mcp-proxy"):
        first, second = ((place.with_name(place.name + "-programs") / program).read_bytes() for place in places)
        assert first != second, "the programs as they were compiled differ, or this proves nothing"
    assert made.names == made_again.names
    assert [name for name in made.names if made.read(name) != made_again.read(name)] == []


def test_all_that_the_page_lists_is_there_and_nothing_else(made: Made) -> None:
    page = (REPOSITORY / "docs/releases.md").read_text().partition("## What is in it")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))
    bills = {name for name in made.names if name.endswith(".spdx.json")}
    architecture = run("dpkg", "--print-architecture").strip()
    assert {name.replace("amd64", architecture) for name in listed - {"*.spdx.json"}} == set(made.names) - bills
    assert bills == {f"{name}.spdx.json" for name in made.names if name.endswith(ARCHIVES)} and len(bills) == 5


def test_nothing_tells_where_it_was_made(places: tuple[Path, Path], made: Made) -> None:
    found = [name for name in made.names if str(places[0]).encode() in made.read(name)]
    assert found == []


def test_source_archive_is_the_commit(places: tuple[Path, Path], made: Made) -> None:
    with tarfile.open(fileobj=io.BytesIO(made.read(made.named("-source.tar.gz")))) as archive:
        assert archive.pax_headers["comment"] == run("git", "-C", places[0], "rev-parse", "HEAD").strip()
        names = {entry.name for entry in archive if not entry.isdir()}
    tracked = run("git", "-C", places[0], "ls-files").split()
    assert names == {f"mcp-tunnel-{VERSION}/{name}" for name in tracked}


def test_archive_of_the_programs(made: Made, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(made.read(made.named("-linux-amd64.tar.gz")))) as archive:
        entries = list(archive)
        # Ours: nothing in it has to be feared. Debian 12's Python has no `filter` yet.
        archive.extractall(tmp_path)
    folder = f"mcp-tunnel-{VERSION}-linux-amd64"
    assert {entry.name.split("/")[0] for entry in entries} == {folder}
    assert {(entry.uid, entry.gid) for entry in entries} == {(0, 0)} and len({entry.mtime for entry in entries}) == 1
    executable = {Path(entry.name).name for entry in entries if entry.mode & 0o111}
    assert executable == {"mcp-proxy", "setup"}
    # In a system that has nothing but what is in the archive.
    assert run("chroot", tmp_path / folder, "/mcp-proxy", "-version").startswith(f"mcp-proxy {VERSION}")
    for kept in ("LICENSE", "man/mcp-proxy.1", "man/mcp-tunnel-setup.1", "completions/bash/mcp-proxy"):
        assert (tmp_path / folder / kept).read_bytes()
    notice = (tmp_path / folder / "licenses/README").read_text()
    for package in ("libc6-dev", "libssl-dev", "zlib1g-dev"):
        version = run("dpkg-query", "--show", "--showformat", "${Version}", package)
        assert f"  {package} {version}: " in notice and (tmp_path / folder / f"licenses/{package}").read_bytes()
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in (tmp_path / folder / "licenses/LGPL-2.1").read_text()
    assert not re.search(r"\.(debug_info|symtab)", run("readelf", "--sections", "--wide", tmp_path / folder / "setup"))


@pytest.mark.parametrize("end", ARCHIVES)
def test_bills_of_materials_are_valid(made: Made, end: str) -> None:
    name = made.named(end) + ".spdx.json"
    document = parse_file(str(made.folder / name))
    assert not [message.validation_message for message in validate_full_spdx_document(document)]
    names = {package.name: package.version for package in document.packages}
    if end in ("_amd64.deb", "-linux-amd64.tar.gz", "-image-amd64.tar"):
        assert names["TunnelProxy"] and names["swift-runtime"]
        assert names["mcp-proxy"] == names["setup"] == VERSION
        is_static = end == "-linux-amd64.tar.gz"
        for shared, inside in (("libc6", "libc6-dev"), ("libssl3", "libssl-dev"), ("zlib1g", "zlib1g-dev")):
            assert (inside in names, shared in names) == (is_static, not is_static)
        kinds = {each.relationship_type.name for each in document.relationships}
        assert "STATIC_LINK" in kinds and ("DYNAMIC_LINK" in kinds) != is_static
    if end == ".tgz":
        assert names["mcp-tunnel"] == VERSION and names["cloudflare/cloudflared"].startswith("sha256:")


def test_statement_names_what_it_was_made_of(places: tuple[Path, Path], made: Made) -> None:
    statement = made.json(made.named(".provenance.json"))
    assert {"_type", "subject", "predicateType", "predicate"} == statement.keys()
    inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert inputs[0]["digest"] == {"gitCommit": run("git", "-C", places[0], "rev-parse", "HEAD").strip()}
    named = {each["name"]: each for each in inputs}
    assert run("swift", "--version").split("\n")[0] in [each.get("annotations", {}).get("version") for each in inputs]
    for package in ("libssl3", "libssl-dev", "libc6", "zlib1g", "ca-certificates"):
        version = run("dpkg-query", "--show", "--showformat", "${Version}", package)
        assert named[package]["uri"].startswith(f"pkg:deb/debian/{package}@{quote(version)}?")
    options = statement["predicate"]["buildDefinition"]["internalParameters"]
    assert "-c release" in options["options"] and "-static-executable" in options["staticOptions"]
    # What a consumer reads: each of these has to have one of uri, digest, content (in-toto's ResourceDescriptor).
    assert all(each.get("uri") or each.get("digest") for each in inputs)


def test_statement_says_whose_it_is(places: tuple[Path, Path], tmp_path: Path) -> None:
    given = {
        "BINARIES": str(places[0].with_name("a-programs")),
        "REPOSITORY_URL": "https://git.example.com/mcp-tunnel.git",
        "BUILDER_ID": "https://ci.example.com/runner",
    }
    run(places[0] / "deploy/release/dist", tmp_path / "release", env=given)
    predicate = Made(tmp_path / "release").json(f"mcp-tunnel-{VERSION}-amd64.provenance.json")["predicate"]
    assert predicate["runDetails"]["builder"]["id"] == given["BUILDER_ID"]
    assert predicate["buildDefinition"]["externalParameters"]["source"]["uri"] == f"git+{given['REPOSITORY_URL']}"


def test_a_release_is_made_of_a_commit(tree: Tree, tmp_path: Path) -> None:
    (tree.folder / "left").write_text("")
    printed = run(tree.folder / "deploy/release/dist", tmp_path / "release", status=1)
    assert "this is in none: commit it, or remove it\n?? left" in printed and not (tmp_path / "release").exists()


def test_a_release_has_versions_that_agree(tree: Tree, tmp_path: Path) -> None:
    tree.edit("deploy/man/mcp-proxy.1", ".Os mcp-tunnel 0.2.0", ".Os mcp-tunnel 0.1.0")
    tree.commit("Forget something")
    printed = run(tree.folder / "deploy/release/dist", tmp_path / "release", status=1)
    assert "the versions do not agree:\ndeploy/man/mcp-proxy.1:3: 0.1.0" in printed and not (tmp_path / "release").exists()


def test_sums_are_those_that_others_read(made: Made) -> None:
    assert run("sha256sum", "--check", "--strict", "--quiet", SUMS, cwd=made.folder) == ""
    listed = [line.split("  ")[1] for line in made.read(SUMS).decode().splitlines()]
    assert sorted([*listed, SUMS]) == made.names
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode & 0o111} == {"verify"}


def test_image_is_named_by_the_digest_that_it_has_in_a_registry(made: Made) -> None:
    digest = json.loads(run("skopeo", "inspect", f"oci-archive:{made.folder / made.named('-image-amd64.tar')}"))["Digest"]
    subjects = {each["name"]: each["digest"]["sha256"] for each in made.json(made.named(".provenance.json"))["subject"]}
    assert digest == f"sha256:{subjects[f'mcp-tunnel:{VERSION}']}"
    assert subjects["verify"] == sha256(made.read("verify"))
