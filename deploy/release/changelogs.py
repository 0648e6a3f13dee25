"""The lists of changes: one for each library, one for the programs, and Debian's.

Items wait under `## Unreleased` until their library is raised; `raise` moves them under the new version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from versions import Fault, Release

WAITING = "Unreleased"
DEBIAN = "deploy/debian/changelog"


def path(root: Path, column: str) -> Path:
    return root / "CHANGELOG.md" if column == "package" else root / "Sources" / column / "CHANGELOG.md"


def heading(row: Release, column: str) -> str:
    """The programs' list says when a version came; a library's does not, as many tags may have the same."""
    return f"{row.package} ({row.date})" if column == "package" else row.versions[column]


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def disagreements(root: Path, rows: list[Release]) -> Iterator[str]:
    for column in ("package", *rows[0].libraries):
        file = path(root, column)
        name = file.relative_to(root)
        if not file.exists():
            yield f"{name}: not there"
            continue
        found = headings(file.read_text())
        if WAITING in found:
            if rows[0].is_released:
                yield f"{name}: changes wait under {WAITING}, and {rows[0].package} is released: deploy/release/raise {column} LEVEL"
            if found.index(WAITING) != 0:
                yield f"{name}: {WAITING} comes first"
            found.remove(WAITING)
        wanted = heading(rows[0], column)
        if found[:1] != [wanted]:
            yield f"{name}: the first version is {found[0] if found else 'missing'}, and by the table it is {wanted}"
        listed = {text.split(" (")[0] for text in found}
        for version in dict.fromkeys(row.versions[column] for row in rows[1:] if column in row.versions):
            if version not in listed:
                yield f"{name}: nothing about {version}, which is in the table"


def move(root: Path, column: str, old: str | None, new: str) -> None:
    """Puts what waits under `new`. `old` is the heading of a version that was not released, whose items belong to `new` as well."""
    file = path(root, column)
    text = file.read_text()
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    start, bodies = parts[0], dict(zip(parts[1::2], parts[2::2]))
    waiting = bodies.pop(WAITING, "").strip("\n")
    before = bodies.pop(new, bodies.pop(old, "") if old else "").strip("\n")
    items = "\n\n".join(filter(None, (before, waiting)))
    if not items and column != "package":
        raise Fault(
            f"{file.relative_to(root)}: nothing is written under `## {WAITING}`: say there what has changed, then raise {column}"
        )
    sections = {new: f"\n{items}\n\n" if items else "\n", **bodies}
    file.write_text((start + "".join(f"## {name}\n{body}" for name, body in sections.items())).rstrip("\n") + "\n")


def note_library(root: Path, row: Release, column: str) -> None:
    """Says in the programs' list that a library has a new version."""
    file = path(root, "package")
    title = f"## {heading(row, 'package')}\n"
    before, _, rest = file.read_text().partition(title)
    section, mark, after = rest.partition("\n## ")
    line = f"- [{column}](Sources/{column}/CHANGELOG.md) is {row.versions[column]}."
    section, count = re.subn(rf"^- \[{column}\]\(.*$", line, section, flags=re.MULTILINE)
    if not count:
        body = section.strip("\n")
        is_list = re.match(r"- \[\w+\]\(Sources/", body.rpartition("\n")[2])
        section = "\n" + (body + ("\n" if is_list else "\n\n") if body else "") + line + "\n"
    file.write_text(before + title + section + mark + after)


def debian_entry(root: Path, old: str | None, row: Release) -> None:
    """An entry for the package's version, or the version of the one that was not released."""
    file = root / DEBIAN
    text = file.read_text()
    if old:
        text = text.replace(f"mcp-tunnel ({old})", f"mcp-tunnel ({row.package})", 1)
    else:
        text = (
            f"mcp-tunnel ({row.package}) unstable; urgency=medium\n\n"
            "  * CHANGELOG.md of the sources lists what has changed.\n\n"
            f" -- {_maintainer(text)}  {_moment(datetime.now(timezone.utc))}\n\n{text}"
        )
    file.write_text(text)


def debian_date(root: Path, date: str) -> None:
    file = root / DEBIAN
    moment = datetime.strptime(date, "%Y-%m-%d").replace(hour=12, tzinfo=timezone.utc)
    text = file.read_text()
    file.write_text(re.sub(r"^ -- .*$", f" -- {_maintainer(text)}  {_moment(moment)}", text, count=1, flags=re.MULTILINE))


def _maintainer(text: str) -> str:
    found = re.search(r"^ -- (.*?)  ", text, re.MULTILINE)
    if not found:
        raise Fault(f"{DEBIAN}: no entry ends with ` -- NAME <ADDRESS>  DATE`")
    return found[1]


def _moment(time: datetime) -> str:
    # Not by strftime, whose names of days and months are those of the language.
    days, months = "Mon Tue Wed Thu Fri Sat Sun".split(), "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"{days[time.weekday()]}, {time.day:02} {months[time.month - 1]} {time.year} {time:%H:%M:%S} +0000"
