"""Fixtures of the deployment tests: the image as it was built, unpacked, and a network namespace for it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/Tests/Support:{REPOSITORY}/Tests/Deploy"}
PYTHON = REPOSITORY / "Tests/Deploy/.venv/bin/python"


def run(*command: object, **options: object) -> str:
    """The standard output of a command that must succeed."""
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 120, **options}
    result = subprocess.run([str(part) for part in command], **given)  # type: ignore[call-overload]
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


@dataclass(frozen=True)
class Image:
    """The archive of `make image`, by the digests in it."""

    archive: Path

    def read(self, path: str) -> bytes:
        with tarfile.open(self.archive) as files:
            member = files.extractfile(path)
            assert member
            return member.read()

    def blob(self, descriptor: dict) -> bytes:
        return self.read("blobs/" + descriptor["digest"].replace(":", "/"))

    @cached_property
    def descriptor(self) -> dict:
        (only,) = json.loads(self.read("index.json"))["manifests"]
        return only

    @cached_property
    def manifest(self) -> dict:
        return json.loads(self.blob(self.descriptor))

    @cached_property
    def configuration(self) -> dict:
        return json.loads(self.blob(self.manifest["config"]))

    def unpack(self, folder: Path) -> None:
        """The root file system, with owners and modes."""
        folder.mkdir()
        for index, layer in enumerate(self.manifest["layers"]):
            packed = folder.with_name(f"layer-{index}.tar.gz")
            packed.write_bytes(self.blob(layer))
            run("tar", "--extract", "--same-owner", "--same-permissions", "--file", packed, "--directory", folder)


@pytest.fixture(scope="session")
def image() -> Image:
    archive = REPOSITORY / "out" / "mcp-tunnel-image.tar"
    if not archive.exists():
        pytest.exit("no out/mcp-tunnel-image.tar: run `make image` first", returncode=2)
    return Image(archive)


@pytest.fixture(scope="session")
def rootfs(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "rootfs"
    image.unpack(folder)
    return folder


class Namespace:
    """A network of its own, with a loopback interface and nothing else."""

    def __init__(self, name: str) -> None:
        if reason := os.environ.get("NOT_ISOLATED"):
            pytest.skip(reason)
        self.name, self.path = name, Path("/run/netns") / name
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def command(self, *command: object) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, command)]

    def run(self, *command: object, **options: object) -> str:
        return run(*self.command(*command), **options)

    @contextlib.contextmanager
    def server(self, *command: object, **options: object) -> Iterator[str]:
        """A program that runs inside until the block ends; the first line it prints."""
        process = subprocess.Popen(
            self.command(*command), env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            **options,  # type: ignore[call-overload]
        )
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, f"{command} ended"
            yield line.strip()
        finally:
            process.kill()
            process.wait()

    def remove(self) -> None:
        run("ip", "netns", "delete", self.name)


@pytest.fixture
def network() -> Iterator[Namespace]:
    namespace = Namespace(f"mcp-tunnel-test-{os.getpid()}")
    yield namespace
    namespace.remove()
