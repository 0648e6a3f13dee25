"""Fixtures of the package's tests: the package, what is in it, and systems to install it on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine, booted
from roots import install, layers, overlay, run


@pytest.fixture(scope="session")
def package() -> Path:
    """The package under test."""
    return Path(os.environ["PACKAGE"])


@pytest.fixture(scope="session")
def binaries() -> Path:
    """The folder of the programs as they were built."""
    return Path(os.environ["BINARIES"])


@pytest.fixture(scope="session")
def files(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files, unpacked and not installed."""
    folder = tmp_path_factory.mktemp("package") / "files"
    run("dpkg-deb", "--extract", package, folder)
    return folder


@pytest.fixture(scope="session")
def system_layers() -> list[Path]:
    """The layers of a system that boots, uppermost first."""
    if os.geteuid() != 0:
        pytest.skip("a root file system takes root")
    if reason := os.environ.get("NOT_ISOLATED"):
        pytest.skip(reason)
    return layers()


@pytest.fixture
def minimal_root(system_layers: list[Path], tmp_path: Path) -> Iterator[Path]:
    """A clean, minimal root file system, without systemd."""
    with overlay(tmp_path / "minimal", system_layers[-1:]) as root:
        yield root


def install_package(root: Path, package: Path) -> None:
    """Install the package with what it depends on."""
    shutil.copy(package, root / "root")
    install(root, f"/root/{package.name}")


@pytest.fixture(scope="session")
def machine(
    system_layers: list[Path], package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A running system with the package, for all tests that leave it as they found it."""
    with overlay(tmp_path_factory.mktemp("machine") / "system", system_layers) as root:
        install_package(root, package)
        with booted(root) as machine:
            yield machine
