"""A root file system with a Python, made of this machine's own files: nothing can be pulled in a test.

It holds the packages of a virtual environment, and a shell.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from pathlib import Path

from conftest import run

_UNNEEDED = {"__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo", "site-packages"}
_QUERY = (
    "import json,sys,sysconfig;p=sysconfig.get_paths();"
    "print(json.dumps([sys.executable,p['stdlib'],sysconfig.get_path('purelib')]))"
)


def write_tar(python: Path, target: Path, scripts: dict[str, Path]) -> dict[str, str]:
    """Writes the root file system, with further scripts at the places given. The environment it needs to run."""
    program, library, _ = json.loads(run(python.resolve(), "-c", _QUERY))
    packages = Path(json.loads(run(python, "-c", _QUERY))[2])
    program = Path(program).resolve()
    shell = Path(shutil.which("dash") or "/bin/sh").resolve()
    extensions = [*Path(library).rglob("*.so"), *packages.rglob("*.so")]
    with tarfile.open(target, "w") as archive:
        root = _Root(archive)
        root.file(str(program), program)
        root.link("/usr/local/bin/python", str(program))
        root.file("/bin/sh", shell)
        root.tree(library, Path(library))
        root.tree("/packages", packages)
        there = {f"/{name}" for name in archive.getnames()}
        for needed in sorted(_needed([program, shell, *extensions]) - there):
            root.file(needed, Path(needed))
        for place, script in scripts.items():
            root.file(place, script)
        root.folder("/tmp", 0o1777)
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": "/packages", "PYTHONDONTWRITEBYTECODE": "1"}


def _needed(files: list[Path]) -> set[str]:
    """The shared libraries of some files, and the loader."""
    listing = run("ldd", *files)
    return {os.path.normpath(file) for file in re.findall(r"(?:=> |^\t)(/\S+) \(0x", listing, re.MULTILINE)}


class _Root:
    """A root file system in the making: everything is root's, and everybody may read it."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        self._folders = {"/"}

    def folder(self, place: str, mode: int = 0o755) -> None:
        """A folder, and before it those that it lies in."""
        if place in self._folders:
            return
        self.folder(os.path.dirname(place))
        self._folders.add(place)
        entry = tarfile.TarInfo(place.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.archive.addfile(entry)

    def _entry(self, place: str) -> tarfile.TarInfo:
        self.folder(os.path.dirname(place))
        return tarfile.TarInfo(place.lstrip("/"))

    def file(self, place: str, file: Path) -> None:
        entry = self._entry(place)
        entry.size, entry.mode = file.stat().st_size, 0o755
        with open(file, "rb") as content:
            self.archive.addfile(entry, content)

    def link(self, place: str, target: str) -> None:
        entry = self._entry(place)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self.archive.addfile(entry)

    def tree(self, place: str, folder: Path) -> None:
        self.folder(os.path.dirname(place))
        self._folders.add(place)
        self.archive.add(folder, place.lstrip("/"), filter=_slim)


def _slim(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = os.path.basename(entry.name)
    if entry.isdir() and (name in _UNNEEDED or name.startswith("config-")):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
