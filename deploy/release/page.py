"""The table of versions as docs/releases.md shows it."""

from __future__ import annotations

import re
from pathlib import Path

from versions import Fault, Release

PAGE = "docs/releases.md"
SHOWN = re.compile(r"(<!-- versions -->\n)(.*?)(\n<!-- end of versions -->)", re.DOTALL)


def table(rows: list[Release]) -> str:
    columns = ["package", *rows[0].libraries, "chart"]
    lines = [["tag", "date", *columns[1:]], ["---"] * (len(columns) + 1)]
    lines += [[row.package, row.date, *(row.versions.get(name, "") for name in columns[1:])] for row in rows]
    return "\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)


def shown(root: Path) -> str | None:
    """What the page shows; nothing where it lacks the marks."""
    match = SHOWN.search((root / PAGE).read_text())
    return match and match[2]


def write(root: Path, rows: list[Release]) -> None:
    file = root / PAGE
    text, count = SHOWN.subn(lambda match: match[1] + table(rows) + match[3], file.read_text())
    if count != 1:
        raise Fault(f"{PAGE}: not one table of versions between its two marks")
    file.write_text(text)
