"""Releases made for a test: of programs that stand in for ours, and what somebody makes of the files afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tree import REPOSITORY, run

VERSION = "0.2.0"
SUMS = "SHA256SUMS"
#: What is linked into the static programs.
ARCHIVES = ("libc.a", "libcrypto.a", "libgcc.a", "libgcc_eh.a", "libssl.a", "libz.a")


def stand_ins(folder: Path, mark: str = "as released") -> Path:
    """The two programs and their static twins, compiled in that folder, whose name is in them."""
    (folder / "static").mkdir(parents=True)
    source = folder / "stand-in.c"
    shutil.copy(REPOSITORY / "Tests/Deploy/release/stand-in.c", source)
    for program in ("mcp-proxy", "setup"):
        # 63 signs of the folder's name, whose end tells them apart.
        given = {"FOLDER": str(folder)[-60:], "PROGRAM": program, "VERSION": VERSION, "MARK": mark}
        defined = [f'-D{name}="{value}"' for name, value in given.items()]
        command = ("gcc", "-g", "-Wl,--build-id=none", *defined, source, "-lssl", "-lcrypto", "-lz", "-o")
        run(*command, folder / program)
        run(*command, folder / "static" / program, "-static-pie")
        # As deploy/release/static notes it.
        archives = [run("gcc", f"--print-file-name={name}").strip() for name in ARCHIVES]
        (folder / f"static/{program}.archives").write_text("".join(f"{Path(each).resolve()}\n" for each in archives))
    return folder


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def repacked(data: bytes, path: str, old: bytes | None, new: bytes) -> tuple[bytes, bytes]:
    """The archive with another content of one file, wholly where nothing is `old`, and that content."""
    output, content = io.BytesIO(), b""
    with tarfile.open(fileobj=io.BytesIO(data)) as packed, tarfile.open(
        fileobj=output, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=packed.pax_headers
    ) as changed:
        for entry in packed:
            opened = packed.extractfile(entry) if entry.isfile() else None
            data = opened.read() if opened else b""
            if entry.name.partition("/")[2] == path:
                assert old is None or old in data
                content = data = new if old is None else data.replace(old, new)
                entry.size = len(data)
            changed.addfile(entry, io.BytesIO(data) if opened else None)
    return output.getvalue(), content


class Made:
    """The folder of a release, with its own `verify`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, folder: Path) -> Made:
        # Links are enough: what a test changes, it writes anew.
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return Made(folder)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def named(self, end: str) -> str:
        (name,) = [name for name in self.names if name.endswith(end)]
        return name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def json(self, name: str) -> dict:
        return json.loads(self.read(name))

    def write(self, name: str, data: bytes) -> None:
        mode = (self.folder / name).stat().st_mode if (self.folder / name).exists() else 0o644
        self.remove(name)
        (self.folder / name).write_bytes(data)
        (self.folder / name).chmod(mode)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def edit(self, name: str, change: Callable[[dict], object]) -> None:
        """A change of a JSON file."""
        value = self.json(name)
        change(value)
        self.write(name, json.dumps(value).encode())

    def seal(self, *, statement: bool = True) -> None:
        """What one does who changes a file and wants nobody to see it: sums anew, and the statement's digests."""
        if statement:
            name = self.named(".provenance.json")
            wanted = [each for each in self.names if each not in (SUMS, name)]

            def change(value: dict) -> None:
                image = [each for each in value["subject"] if ":" in each["name"]]
                value["subject"] = [{"name": each, "digest": {"sha256": sha256(self.read(each))}} for each in wanted] + image

            self.edit(name, change)
        lines = [f"{sha256(self.read(each))}  {each}\n" for each in self.names if each != SUMS]
        self.write(SUMS, "".join(lines).encode())

    def mend(self, name: str, files: dict[str, bytes]) -> None:
        """The bill of materials, statement and sums for a changed archive."""

        def change(bill: dict) -> None:
            for file in bill["files"]:
                if data := files.get(file["fileName"].removeprefix("./")):
                    file["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256(data)}]
            for package in bill["packages"]:
                for checksum in package.get("checksums", []):
                    checksum["checksumValue"] = sha256(self.read(name))

        self.edit(f"{name}.spdx.json", change)
        self.seal()

    def verify(self, *arguments: object, program: Path | None = None) -> list[str]:
        """What `verify` finds, run as on another machine; nothing when it is content."""
        result = subprocess.run(
            [str(part) for part in ("/usr/bin/python3", "-I", program or self.folder / "verify", *arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            timeout=600,
            check=False,
        )
        assert result.returncode in (0, 1) and "Traceback" not in result.stderr, result.stdout + result.stderr
        self.printed = result.stdout + result.stderr
        return result.stdout.splitlines() if result.returncode else []
