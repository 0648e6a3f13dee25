"""Where versions are written in this repository, besides the table: what `raise` rewrites and `check` compares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from versions import Release

DOCUMENTS = ("README.md", "docs/*.md", "deploy/**/*.md")
GOLDEN = "Tests/Deploy/chart/golden/*.yaml"
NUMBER = r"(\d+\.\d+\.\d+)"


@dataclass(frozen=True)
class Place:
    """Every match of `pattern` in the files has the version of `column`, which is its one group."""

    column: str
    pattern: str
    files: tuple[str, ...]
    #: Each of the files has to have a match: a version that is not there cannot be wrong, nor can it be right.
    needed: bool = True

    def paths(self, root: Path) -> list[Path]:
        return sorted({path for glob in self.files for path in root.glob(glob)})

    def matches(self, text: str) -> Iterator[re.Match]:
        return re.finditer(self.pattern, text, re.MULTILINE)


def places(row: Release) -> list[Place]:
    swift = [
        Place(name, pattern, (f"Sources/{name}/Version.swift",))
        for name in row.libraries
        for pattern in (r'static let current = "([^"]*)"', "For example `([^`]*)`")
    ]
    return [
        *swift,
        Place("package", r'static let current = "([^"]*)"', ("Sources/TunnelCLI/PackageVersion.swift",)),
        Place("package", "For example `([^`]*)`", ("Sources/TunnelCLI/PackageVersion.swift",)),
        Place("package", r"^appVersion: (\S+)$", ("deploy/helm/mcp-tunnel/Chart.yaml",)),
        Place("chart", r"^version: (\S+)$", ("deploy/helm/mcp-tunnel/Chart.yaml",)),
        Place("package", r"\A\S+ \(([^)]*)\)", ("deploy/debian/changelog",)),
        Place("package", r"^\.Os mcp-tunnel (\S+)$", ("deploy/man/*",)),
        Place(
            "package",
            rf"\bmcp-tunnel:{NUMBER}\b",
            ("deploy/compose/docker-compose.yaml", "deploy/compose/shared-namespace.yaml"),
        ),
        Place("package", rf"(?<!charts/)\bmcp-tunnel:{NUMBER}\b", (*DOCUMENTS, GOLDEN), needed=False),
        Place("package", rf"\bmcp-tunnel[_-]{NUMBER}[_-]", DOCUMENTS, needed=False),
        Place("package", rf"\bhello-server {NUMBER}", DOCUMENTS, needed=False),
        # The line by which Swift packages depend on this one.
        Place("package", rf'\.upToNextMinor\(from: "{NUMBER}"\)', ("README.md",)),
        Place("package", rf'\(from: "{NUMBER}"\)', DOCUMENTS, needed=False),
        Place("package", r'app\.kubernetes\.io/version: "([^"]*)"', (GOLDEN,), needed=False),
        Place("chart", rf"\bhelm\.sh/chart: \"?mcp-tunnel-{NUMBER}", (GOLDEN,), needed=False),
        Place("chart", rf"\bmcp-tunnel-{NUMBER}\.tgz", DOCUMENTS, needed=False),
        Place("chart", rf"\bcharts/mcp-tunnel:{NUMBER}", DOCUMENTS, needed=False),
        # The commands that make a release.
        Place("package", rf"git (?:checkout|tag --annotate) {NUMBER}", DOCUMENTS, needed=False),
        Place("package", rf"'(?:Release|mcp-tunnel) {NUMBER}'", DOCUMENTS, needed=False),
        Place("chart", rf"helm package --version {NUMBER}-", DOCUMENTS, needed=False),
        Place("package", rf"helm package --version [\d.]+-{NUMBER}", DOCUMENTS, needed=False),
    ]


def disagreements(root: Path, row: Release) -> Iterator[str]:
    for place in places(row):
        wanted = row.versions[place.column]
        paths = place.paths(root)
        if place.needed and not paths:
            yield f"{place.files[0]}: not there, and should have the version of {place.column}, {wanted}"
        for path in paths:
            text, name = path.read_text(), path.relative_to(root)
            found = list(place.matches(text))
            if place.needed and not found:
                yield f"{name}: nothing like {place.pattern}, where the version of {place.column}, {wanted}, should be"
            for match in found:
                if match[1] != wanted:
                    line = text.count("\n", 0, match.start(1)) + 1
                    yield f"{name}:{line}: {match[1]}, and the table has {wanted} for {place.column}"


def rewrite(root: Path, row: Release) -> list[Path]:
    """Puts the row's versions where they belong; the files that changed."""
    changed = []
    for place in places(row):
        if place.files == ("deploy/debian/changelog",):
            continue  # has an entry for each version, which changelogs.py writes
        for path in place.paths(root):
            old = text = path.read_text()
            for match in reversed(list(place.matches(text))):
                text = text[: match.start(1)] + row.versions[place.column] + text[match.end(1) :]
            if text != old:
                path.write_text(text)
                changed.append(path)
    return changed
