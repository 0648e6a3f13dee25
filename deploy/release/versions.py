"""The table of versions, deploy/release/versions.toml: what is in it, and what a row promises of the one below it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = "deploy/release/versions.toml"
UNRELEASED = "unreleased"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
LEVELS = ("major", "minor", "patch")


class Fault(Exception):
    """What is wrong, where, and what to do."""


@dataclass
class Release:
    """A row: a version for `package`, `chart` and each library, and when the tag was made."""

    date: str
    versions: dict[str, str]

    @property
    def package(self) -> str:
        return self.versions["package"]

    @property
    def is_released(self) -> bool:
        return self.date != UNRELEASED

    @property
    def libraries(self) -> dict[str, str]:
        return {name: version for name, version in self.versions.items() if name not in ("package", "chart")}


def parse(text: str) -> list[Release]:
    try:
        rows = tomllib.loads(text)["release"]
        return [Release(row["date"], {name: value for name, value in row.items() if name != "date"}) for row in rows]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Fault(f"{TABLE}: not a table of releases: {error}") from None


def read(root: Path = ROOT) -> list[Release]:
    """The rows, the newest first, when they are in order."""
    rows = parse((root / TABLE).read_text())
    if found := list(faults(rows, libraries(root))):
        raise Fault("\n".join(f"{TABLE}: {fault}" for fault in found))
    return rows


def libraries(root: Path) -> list[str]:
    """The library products of the package."""
    return re.findall(r'\.library\(name: "(\w+)"', (root / "Package.swift").read_text())


def faults(rows: list[Release], products: list[str]):
    if not rows:
        yield "no release"
        return
    for row in rows:
        name = row.versions.get("package", "a row without a package")
        for column, version in row.versions.items():
            if not isinstance(version, str) or not VERSION.fullmatch(version):
                yield f"{name}: {column} is {version!r}, which is no version: three numbers, as in 1.2.3"
                return
        if missing := {"package", "chart"} - row.versions.keys():
            yield f"{name}: no {', '.join(sorted(missing))}"
            return
        if row.date != UNRELEASED and not re.fullmatch(r"\d{4}-\d\d-\d\d", row.date):
            yield f"{name}: date is {row.date!r}: either {UNRELEASED} or as in 2026-11-26"
    for name in sorted(set(products) ^ rows[0].libraries.keys()):
        where = "a library of Package.swift without a version" if name in products else "no library of Package.swift"
        yield f"{rows[0].package}: {name} is {where}"
    for newer, older in zip(rows, rows[1:]):
        if not older.is_released:
            yield f"{older.package}: only the first row may be {UNRELEASED}"
        for name in newer.versions.keys() & older.versions.keys():
            if numbers(newer.versions[name]) < numbers(older.versions[name]):
                yield f"{newer.package}: {name} is {newer.versions[name]}, and was {older.versions[name]} before"
        needed = max(
            (step(older.versions.get(name, version), version) for name, version in newer.libraries.items()), default=0
        )
        if step(older.package, newer.package) < max(needed, 1):
            yield (
                f"{newer.package}: the package was {older.package}, and a library in it has changed by more: "
                "SwiftPM goes by the package's number"
            )


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def step(older: str, newer: str) -> int:
    """0 for the same, 2 for what may break users, 1 for else. Below 1.0.0 the second number stands for the first."""
    if older == newer:
        return 0
    (a, b, _), (c, d, _) = numbers(older), numbers(newer)
    return 2 if a != c or (a == 0 and b != d) else 1


def bump(version: str, level: str) -> str:
    major, minor, patch = numbers(version)
    changed = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[level]
    return ".".join(map(str, changed))


def greatest(*versions: str) -> str:
    return max(versions, key=numbers)
