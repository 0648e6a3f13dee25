"""The package as a file: what lintian says, what is in it, and that it is the same each time."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from roots import REPOSITORY, run


def field(package: Path, name: str) -> str:
    return run("dpkg-deb", "--field", package, name).strip()


def test_lintian(package: Path) -> None:
    result = subprocess.run(
        ["lintian", "--fail-on=error,warning", "--allow-root", "--show-overrides", str(package)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert not re.search(r"^[EWO]:", result.stdout, re.M), result.stdout


def test_name(package: Path) -> None:
    architecture = run("dpkg", "--print-architecture").strip()
    version = run("dpkg-parsechangelog", "-l", REPOSITORY / "deploy/debian/changelog", "-S", "Version").strip()
    assert package.name == f"mcp-tunnel_{version}_{architecture}.deb"
    assert field(package, "Version") == version
    assert field(package, "Architecture") == architecture


def test_dependencies_are_those_of_the_programs(package: Path, files: Path) -> None:
    depends = {re.split(r"[ (|]", entry.strip())[0] for entry in field(package, "Depends").split(",")}
    needed = set()
    for program in (files / "usr/bin").iterdir():
        for library in re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program)):
            for line in run("dpkg-query", "--search", f"*/{library}").splitlines():
                needed.add(re.split(r"[:,]", line)[0])
    assert needed <= depends
    assert depends - needed == {"systemd"}
    assert "ExecReload=/usr/bin/mcp-proxy reload " in (files / "lib/systemd/system/mcp-proxy.service").read_text()


def test_every_file_is_roots_and_not_writable(package: Path) -> None:
    for line in run("dpkg-deb", "--contents", package).splitlines():
        mode, owner, *_, name = line.split()
        assert owner == "root/root", line
        assert mode in ("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"), line
        assert (mode == "-rwxr-xr-x") == bool(re.match(r"\./usr/bin/.", name)), line


def test_nothing_of_this_system_is_in_it(files: Path) -> None:
    for path in files.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(REPOSITORY).encode() not in content, path
            assert b"/opt/swift" not in content, path


def test_checksums(package: Path, files: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--control", package, tmp_path / "control")
    run("md5sum", "--check", "--strict", "--quiet", tmp_path / "control" / "md5sums", cwd=files)
    listed = {line.split("  ", 1)[1] for line in (tmp_path / "control" / "md5sums").read_text().splitlines()}
    assert listed == {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}


def test_scripts_are_correct_shell(package: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--control", package, tmp_path / "control")
    for name in ("postinst", "prerm", "postrm"):
        script = tmp_path / "control" / name
        assert stat.S_IMODE(script.stat().st_mode) == 0o755
        run("dash", "-n", script)


def build(copy: Path, binaries: Path, out: Path, **environment: str) -> bytes:
    variables = {**os.environ, "BINARIES": str(binaries), **environment}
    run("sh", "-c", 'umask 077; exec "$@"', "sh", copy / "deploy/debian/build", out, env=variables)
    (package,) = out.iterdir()
    return package.read_bytes()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the build reads, at another place."""
    for folder in ("deploy", "docs"):
        shutil.copytree(REPOSITORY / folder, tmp_path / "checkout" / folder)
    return tmp_path / "checkout"


def test_two_builds_are_one(package: Path, binaries: Path, checkout: Path, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(run("dpkg-deb", "--fsys-tarfile", package, text=False))) as content:
        times = {member.mtime for member in content}
    assert len(times) == 1
    # Another place, time zone, language and mask.
    moved = tmp_path / "moved"
    moved.mkdir()
    for program in ("mcp-proxy", "setup"):
        shutil.copy2(binaries / program, moved)
    again = build(
        checkout, moved, tmp_path / "out", SOURCE_DATE_EPOCH=str(times.pop()), TZ="Asia/Tokyo", LC_ALL="C"
    )
    assert again == package.read_bytes()


def test_the_version_must_be_that_of_the_programs(binaries: Path, checkout: Path, tmp_path: Path) -> None:
    changelog = checkout / "deploy/debian/changelog"
    changelog.write_text(re.sub(r"\(.*?\)", "(99.0.0)", changelog.read_text(), count=1))
    result = subprocess.run(
        [checkout / "deploy/debian/build", tmp_path / "out"],
        env={**os.environ, "BINARIES": str(binaries), "SOURCE_DATE_EPOCH": "0"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 1
    assert "changelog is for 99.0.0" in result.stderr
    assert not (tmp_path / "out").exists()
