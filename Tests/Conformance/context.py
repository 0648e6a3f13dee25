"""What the suites have in common: where the programs are, and how much to do."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "Tests/Conformance"
#: What is made here may be thrown away.
WORK = ROOT / "out/conformance"

# The peers of the end-to-end tests.
sys.path.insert(0, str(ROOT / "Tests/Support"))


@dataclass(frozen=True)
class Context:
    #: Only what CI has time for.
    bounded: bool

    @staticmethod
    def binary(name: str) -> Path:
        """A program of this repository: the one that the environment names, else the debug build, else the release build."""
        if given := os.environ.get(name.upper().replace("-", "_")):
            return Path(given).resolve()
        for build in ("debug", "release"):
            if (path := ROOT / ".build" / build / name).exists():
                return path
        raise SystemExit(f"there is no {name}: swift build --product {name}")

    @staticmethod
    def folder(name: str) -> Path:
        """An empty folder for a suite's files."""
        path = WORK / name
        subprocess.run(["rm", "-rf", path], check=True)
        path.mkdir(parents=True)
        return path


def openssl_version() -> str:
    return subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[1]


def pinned(*packages: str) -> dict[str, str]:
    """Python packages with their versions, as a record of a suite names its tools."""
    return {package: importlib.metadata.version(package) for package in packages}
