"""`verify` looks into the programs: those of Debian package and image are the same two, and the archive's are static."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from made import Made, repacked
from tree import Tree, run

PROGRAMS, PACKAGE, IMAGE, STATEMENT = "-linux-amd64.tar.gz", ".deb", "-image-amd64.tar", ".provenance.json"


def test_other_programs_in_the_debian_package(release: Made, committed: Tree, others: Path, tmp_path: Path) -> None:
    run(committed.folder / "deploy/debian/build", tmp_path, env={"BINARIES": str(others)})
    name = release.named(PACKAGE)
    release.write(name, (tmp_path / name).read_bytes())
    release.mend(
        name,
        {
            f"usr/bin/{program}": shipped(committed, others, tmp_path, program)
            for program in ("mcp-proxy", "mcp-tunnel-setup")
        },
    )
    assert f"{name}: usr/bin/mcp-proxy is not mcp-proxy of {release.named(IMAGE)}" in release.verify(), release.printed


def test_other_programs_in_the_image(release: Made, committed: Tree, others: Path, tmp_path: Path) -> None:
    run(committed.folder / "deploy/image/build", tmp_path, env={"BINARIES": str(others)})
    name = release.named(IMAGE)
    release.write(name, (tmp_path / "mcp-tunnel-image.tar").read_bytes())
    release.write(f"{name}.spdx.json", (tmp_path / "mcp-tunnel.spdx.json").read_bytes())
    release.seal()
    found = release.verify()
    assert f"{release.named(PACKAGE)}: usr/bin/mcp-tunnel-setup is not setup of {name}" in found
    assert any(line.startswith(f"{release.named(STATEMENT)}: the digest of the image is ") for line in found)


def test_a_program_in_the_archive_that_is_not_static(release: Made) -> None:
    dynamic = Path("/bin/true").read_bytes()
    assert put_in_the_archive(release, dynamic) == "setup wants a loader and libraries: it is not static"


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (0, b"#!", "setup is no program"),
        (4, b"\x01", "setup is no program"),
        (18, b"\xb7\x00", "setup is not for amd64"),
        (16, b"\x02\x00", "setup has a fixed address"),
    ],
)
def test_a_program_in_the_archive_of_another_kind(release: Made, offset: int, value: bytes, said: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(release.read(release.named(PROGRAMS)))) as archive:
        (entry,) = [each for each in archive if each.name.endswith("/setup")]
        opened = archive.extractfile(entry)
        assert opened
        program = bytearray(opened.read())
    program[offset : offset + len(value)] = value
    assert put_in_the_archive(release, bytes(program)) == said


def put_in_the_archive(release: Made, program: bytes) -> str:
    """What is said when `setup` in the archive is another one, and the rest was mended."""
    name = release.named(PROGRAMS)
    data, content = repacked(release.read(name), "setup", None, program)
    release.write(name, data)
    release.mend(name, {"setup": content})
    (found,) = release.verify()
    assert found.startswith(f"{name}: ")
    return found.removeprefix(f"{name}: ")


def shipped(tree: Tree, binaries: Path, folder: Path, program: str) -> bytes:
    built = {"mcp-tunnel-setup": "setup"}.get(program, program)
    run(tree.folder / "deploy/image/program", binaries / built, folder / "shipped")
    return (folder / "shipped").read_bytes()
