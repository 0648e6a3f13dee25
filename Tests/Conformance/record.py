"""What a suite found, how it compares with what was found before, and the page that shows it."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """One thing that was tried. The name is the same in every run; the verdict is one of its suite's."""

    name: str
    group: str
    verdict: str
    #: Whether the short run, which CI has time for, tries it too.
    is_bounded: bool = True
    #: For whoever looks into it; not kept.
    note: str = ""


@dataclass(frozen=True)
class Suite:
    """`verdicts` has each verdict's rank: 0 is as it should be, and a higher one is worse."""

    name: str
    title: str
    about: str
    verdicts: dict[str, int]
    #: What is known of single cases, by name.
    remarks: dict[str, str] = field(default_factory=dict)
    #: Whose word counts here, with the version; a suite that may go without one of them fills it in as it runs.
    tools: dict[str, str] = field(default_factory=dict)


def summary(suite: Suite, cases: list[Case]) -> dict:
    """What is kept of a whole run: counts, and by name each case that is not as it should be."""
    groups: dict[str, Counter[str]] = {}
    for case in cases:
        groups.setdefault(case.group, Counter())[case.verdict] += 1
    named: dict[str, list[str]] = {}
    for case in cases:
        if suite.verdicts[case.verdict] > 0:
            named.setdefault(case.verdict, []).append(case.name)
    return {
        "cases": len(cases),
        "bounded": sum(case.is_bounded for case in cases),
        **({"tools": suite.tools} if suite.tools else {}),
        "groups": {group: ordered(suite, counts) for group, counts in groups.items()},
        "named": {verdict: named[verdict] for verdict in suite.verdicts if verdict in named},
    }


def ordered(suite: Suite, counts: Counter[str]) -> dict[str, int]:
    return {verdict: counts[verdict] for verdict in suite.verdicts if counts[verdict]}


def worse(suite: Suite, cases: list[Case], record: dict | None, *, bounded: bool) -> list[str]:
    """What this run has that the record has better, one line each."""
    known = {name: verdict for verdict, names in (record or {}).get("named", {}).items() for name in names}
    found = []
    for case in cases:
        before = known.get(case.name)
        rank = suite.verdicts.get(before, 0) if before else 0
        if suite.verdicts[case.verdict] > rank:
            found.append(f"{suite.name} {case.name}: {case.verdict}, was {before or 'as it should be'} {case.note}".rstrip())
    wanted = record["bounded" if bounded else "cases"] if record else 0
    if len(cases) < wanted:
        found.append(f"{suite.name}: {wanted - len(cases)} of {wanted} cases did not run")
    if not bounded:
        found += [f"{suite.name}: {tool} was not there" for tool in (record or {}).get("tools", {}) if tool not in suite.tools]
    twice = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    return found + [f"{suite.name} {name}: two cases have the name" for name in twice]


def better(suite: Suite, cases: list[Case], record: dict | None) -> int:
    known = {name: verdict for verdict, names in (record or {}).get("named", {}).items() for name in names}
    return sum(suite.verdicts[case.verdict] < suite.verdicts.get(known.get(case.name, ""), 0) for case in cases)


def load(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text()) if path.exists() else {}


def save(path: Path, record: dict[str, dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


HEAD = """# Conformance

<!-- Written by `make conformance`, as is conformance.json beside it. -->

What was held against what, and what came of it. `make conformance` runs all of it again on this machine and writes this page
anew. `make conformance-quick` runs a short part in about a minute. CI does so with each change, without Autobahn, which needs
packages of an older Debian. Both fail when a case is worse than here, and name it. Each case has one verdict. Those that are not plainly as they should be are named below their table.
"""


def page(suites: Iterable[Suite], record: dict[str, dict]) -> str:
    suites = [suite for suite in suites if suite.name in record]
    lines = [HEAD]
    rows = []
    for suite in suites:
        kept = record[suite.name]
        counts: Counter[str] = Counter()
        for group in kept["groups"].values():
            counts.update(group)
        text = ", ".join(f"{number(counts[verdict])} {verdict}" for verdict in suite.verdicts if counts[verdict])
        rows.append([f"[{suite.title}](#{anchor(suite.title)})", number(kept["cases"]), number(kept["bounded"]), text])
    lines += table(["suite", "cases", "in the short part", "verdicts"], rows, last="---")
    for suite in suites:
        kept = record[suite.name]
        verdicts = [verdict for verdict in suite.verdicts if any(verdict in group for group in kept["groups"].values())]
        lines += ["", f"## {suite.title}", "", *textwrap.wrap(suite.about.strip(), 120, break_long_words=False, break_on_hyphens=False), ""]
        if tools := kept.get("tools"):
            lines += [f"Recorded with {', '.join(f'{tool} {version}' for tool, version in tools.items())}.", ""]
        lines += table(["", *verdicts], [
            [group, *(number(counts.get(verdict, 0)) if counts.get(verdict) else "" for verdict in verdicts)]
            for group, counts in kept["groups"].items()])
        for verdict, names in kept["named"].items():
            lines += ["", f"{verdict[0].upper()}{verdict[1:]}:", ""]
            for remark, same in by_remark(suite, names).items():
                lines.append(f"- {', '.join(f'`{name}`' for name in same)}{': ' if remark else ''}{remark}")
    return "\n".join(lines) + "\n"


def by_remark(suite: Suite, names: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(suite.remarks.get(name, ""), []).append(name)
    return found


def table(head: list[str], rows: list[list[str]], *, last: str = "---:") -> list[str]:
    """With numbers behind the first column, but for what `last` says of the last one."""
    return [f"| {' | '.join(head)} |", f"|{'|'.join(['---'] + ['---:'] * (len(head) - 2) + [last])}|",
            *(f"| {' | '.join(row)} |" for row in rows)]


def number(value: int) -> str:
    return f"{value:,}"


def anchor(title: str) -> str:
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in "-_ ").replace(" ", "-")
