"""What came of each fault when it was last played: results.json, and the tables of docs/mutation.md that are made of it.

A result belongs to the key of its fault. Whoever gives a fault another text takes its result away, and the page says that it
was not played.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from mutations import HERE, ROOT, Mutation

RECORD = HERE / "results.json"
PAGE = ROOT / "docs/mutation.md"
BEGIN, END = "<!-- mutation: begin -->\n", "<!-- mutation: end -->\n"
#: Verdicts that say something about the tests. All others say that the fault was not played as it should be.
DEAD = ("killed", "timed out")
PLAYED = (*DEAD, "survived")
#: A test of Swift or of Python. What else ended a run may hold anything, also paths of the machine.
TEST = re.compile(r"\w+\([\w:]*\)|test_\w+\.py::\w+")
ROW = "| {} | {} | {} | {} | {} | {} | {} |"


def read() -> dict[str, dict[str, str]]:
    """By key: the verdict, and what noticed."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def update(mutations: list[Mutation], results: dict[str, dict]) -> None:
    """Adds these results to the record, takes out what is in the list no more, and makes the tables anew."""
    record = read()
    for one in mutations:
        if (result := results.get(one.key)) and result["verdict"] in PLAYED:
            test = TEST.match(result["by"]) if result["verdict"] == "killed" else None
            record[one.key] = {"file": str(one.file), "verdict": result["verdict"], "by": test[0] if test else ""}
    kept = {one.key: record[one.key] for one in mutations if one.key in record}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in kept.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    before, _, after = parts()
    PAGE.write_text(before + BEGIN + tables(mutations, kept) + END + after)


def check(mutations: list[Mutation]) -> list[str]:
    """Whether the page says what the record does: `make lint` asks."""
    _, between, _ = parts()
    if between == tables(mutations, read()):
        return []
    return [f"{PAGE.relative_to(ROOT)}: is not what the list and the record say: Tests/Mutation/run --update"]


def parts() -> tuple[str, str, str]:
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} has no marks for the results")
    return before, between, after


def standing(one: Mutation, record: dict[str, dict[str, str]]) -> str:
    verdict = record.get(one.key, {}).get("verdict", "not played")
    return verdict if verdict != "survived" else "explained" if one.survives else "open"


def tables(mutations: list[Mutation], record: dict[str, dict[str, str]]) -> str:
    rows: dict[str, Counter[str]] = {}
    for one in mutations:
        rows.setdefault(one.module, Counter())[standing(one, record)] += 1
    total = sum(rows.values(), Counter())
    dead = sum(total[verdict] for verdict in DEAD)
    played = total.total() - total["not played"]
    text = [
        "",
        f"The tests notice **{dead / max(1, played):.1%}** of {played} faults. {total['explained']} survive for a reason, "
        f"{total['open']} without one, and {total['not played']} were not played.",
        "",
        ROW.format("module", "faults", "killed", "timed out", "survive, explained", "survive, open", "not played"),
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in [*sorted(rows.items()), ("all", total)]:
        counts = [row[key] for key in ("killed", "timed out", "explained", "open", "not played")]
        text.append(ROW.format(name, row.total(), *counts))
    for title, key in (("Survive, and why", "explained"), ("Survive, open", "open")):
        found = [one for one in mutations if standing(one, record) == key]
        if found:
            text += ["", f"### {title}", "", *(f"- {line(one)}" for one in found)]
    return "\n".join(text) + "\n\n"


def line(one: Mutation) -> str:
    file = one.file.relative_to("Sources") if one.file.is_relative_to("Sources") else one.file
    return f"`{file}`: {one.means}." + (f" {one.survives}" if one.survives else "")
