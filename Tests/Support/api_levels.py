"""Which public types are stable: the tables of docs/api-review.md, held against the libraries by `api-digest`.

A table stands below a heading that is a library's name. Its first column names types in backticks, its last one says
`stable` or `evolving`. What the two words promise is written there.
"""

import pathlib
import re

LEVELS = ("stable", "evolving")
# What can stand at the top of a module. The digest's other lines are members of these.
TOP = {"struct", "enum", "class", "protocol", "func", "typealias", "var"}


def read(document: pathlib.Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The level of each name by library, and what is wrong with the tables."""
    levels: dict[str, dict[str, str]] = {}
    wrong: list[str] = []
    library = ""
    for number, line in enumerate(document.read_text().split("\n"), 1):
        if heading := re.match(r"## (.*)$", line):
            library = heading[1] if heading[1].startswith("Tunnel") else ""
        if not library or not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        for name in re.findall(r"`([^`]+)`", cells[0]):
            where = f"{document.name}:{number}: {library}.{name}"
            if cells[-1] not in LEVELS:
                wrong.append(f"{where}: the last column says '{cells[-1]}', neither {' nor '.join(LEVELS)}")
            elif levels.setdefault(library, {}).setdefault(name, cells[-1]) != cells[-1]:
                wrong.append(f"{where}: has two levels")
    return levels, wrong


def tops(lines: list[str]) -> set[str]:
    """The names at the top of a library, from its digest."""
    heads = [line.split(": ", 1)[0].split(" ", 1) for line in lines]
    return {path.split("(")[0] for kind, path in heads if kind in TOP and "." not in path}


def owner(line: str) -> str:
    """The name at the top that a line of a digest belongs to."""
    return re.match(r"\S+ ([^.:(]+)", line)[1]


def check(levels: dict[str, dict[str, str]], digests: dict[str, list[str]]) -> list[str]:
    """Types without a row, rows without a type, and stable types whose declarations need one that is not."""
    wrong = []
    evolving = {name for table in levels.values() for name, level in table.items() if level == "evolving"}
    for library, lines in digests.items():
        table, there = levels.get(library, {}), tops(lines)
        wrong += [f"{library}: {name} is public and has no row" for name in sorted(there - set(table))]
        wrong += [f"{library}: {name} has a row and is not public" for name in sorted(set(table) - there)]
        stable = {name for name, level in table.items() if level == "stable"}
        for line in lines:
            if owner(line) not in stable:
                continue
            # What a default is made of is not part of what a caller depends on.
            declaration = re.sub(r" = [^,()]+(\([^()]*\))?", "", line.split(": ", 1)[1])
            # `Outer.Inner` is a member of Outer, whatever else is called Inner; and labels are not types.
            words = set(re.findall(r"(?<![.\w`])([A-Z]\w*)(?!\w*:)", declaration))
            for name in sorted(words & evolving - {owner(line)}):
                wrong.append(f"{library}: {line.split(': ', 1)[0]} is stable, and {name}, which it needs, is evolving")
    return wrong


def unannounced(library: str, folder: pathlib.Path, table: dict[str, str], gone: list[str]) -> list[str]:
    """Stable types of which something is gone, and which the newest part of the change list does not name."""
    newest = re.split(r"^## ", (folder / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1]
    changed = sorted({owner(line) for line in gone if table.get(owner(line)) == "stable"})
    return [f"{library}: {name} is stable, and CHANGELOG.md does not say what has become of it"
            for name in changed if not re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`", newest)]
