"""The list of mutations: what is read from mutations/*.toml, and what must hold of it before anything is built."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: What a mutation may say of itself, and what a list may say before its mutations.
KEYS = {"text", "becomes", "means", "within", "tests", "end_to_end", "form", "survives"}
HEAD = {"folder", "tests", "runner"}
#: A text that begins like this is a statement, which is chosen with `if`; any other is an expression.
STATEMENT = re.compile(r"(return|throw|break|continue|try|await|if|for|while|switch)\b|[\w.\[\]!?]+ [-+*|&]?= ")


@dataclass(frozen=True)
class Mutation:
    """One deliberate fault: where, what, what it would mean to a user, and the tests that have to notice."""

    module: str
    number: int
    file: Path  # relative to the repository
    text: str
    becomes: str
    means: str
    within: str
    tests: str  # a regular expression of names of tests: those concerned, which run first
    module_tests: str  # those that must all pass before a mutant counts as survived
    end_to_end: tuple[str, ...]  # files in Tests/EndToEnd, asked last
    runner: str  # "swift" or "chart"
    form: str  # "expression", "statement" or "file"
    survives: str  # why no test can or need notice
    problems: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        return f"{self.module}-{self.number}"

    @property
    def key(self) -> str:
        """Stays when the list grows, and changes with what is done: by it a run remembers its results."""
        whole = "\0".join([str(self.file), self.within, self.text, self.becomes, self.form])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def span(self, source: str) -> tuple[int, int] | str:
        """Where the text stands in the file, or why it has no one place."""
        start, end = 0, len(source)
        if self.within:
            if problem := once(self.within, source, "`within`"):
                return problem
            start = source.index(self.within)
            end = start + len(self.within)
        if problem := once(self.text, source[start:end], "`text`"):
            return problem
        place = source.index(self.text, start, end)
        return place, place + len(self.text)


def once(text: str, source: str, what: str) -> str:
    count = source.count(text)
    return "" if count == 1 else f"{what} is gone" if count == 0 else f"{what} is there {count} times; add `within`"


def read() -> list[Mutation]:
    """All mutations, in the order of the lists. Each list is named after its module."""
    found = []
    for path in sorted((HERE / "mutations").glob("*.toml")):
        with path.open("rb") as file:
            data = tomllib.load(file)
        head = {key: data.pop(key) for key in list(data) if not isinstance(data[key], list)}
        problems = [f"unknown: {key}" for key in head.keys() - HEAD]
        problems += [f"the list has no `{key}`" for key in ("folder", "tests") if key not in head]
        if problems:
            raise SystemExit(f"{path.relative_to(ROOT)}: {'; '.join(problems)}")
        number = 0
        for name, entries in data.items():
            for entry in entries:
                number += 1
                found.append(mutation(path.stem, number, name, entry, head))
    return found


def mutation(module: str, number: int, name: str, entry: dict, head: dict) -> Mutation:
    problems = [f"unknown: {key}" for key in entry.keys() - KEYS]
    problems += [f"no `{key}`" for key in ("text", "becomes", "means") if not isinstance(entry.get(key), str)]
    text, becomes = entry.get("text", ""), entry.get("becomes", "")
    runner = head.get("runner", "swift")
    form = entry.get("form") or (
        "file" if runner == "chart" else "statement" if not becomes or STATEMENT.match(text) else "expression")
    return Mutation(
        module=module, number=number, file=Path(head["folder"]) / name, text=text, becomes=becomes,
        means=entry.get("means", ""), within=entry.get("within", ""), tests=entry.get("tests", head["tests"]),
        module_tests=head["tests"], end_to_end=tuple(entry.get("end_to_end", ())), runner=runner, form=form,
        survives=entry.get("survives", ""), problems=tuple(problems))


def check(mutations: list[Mutation]) -> list[str]:
    """What is wrong with the list, without building anything: `make lint` runs this."""
    found, sources, keys = [], {}, {}
    for one in mutations:
        problems = list(one.problems)
        path = ROOT / one.file
        if not path.is_file():
            problems.append(f"there is no {one.file}")
        else:
            source = sources.setdefault(path, path.read_text())
            if isinstance(place := one.span(source), str):
                problems.append(f"{one.file}: {place}: {one.text.strip()[:100]}")
        if one.text == one.becomes:
            problems.append("changes nothing")
        if one.form not in ("expression", "statement", "file"):
            problems.append(f"form is expression, statement or file, not {one.form}")
        if twin := keys.setdefault(one.key, one) is not one and keys[one.key]:
            problems.append(f"the same as {twin.name}")
        for name in one.end_to_end:
            file, _, test = name.partition("::")
            path = ROOT / "Tests/EndToEnd" / file
            if not path.is_file() or (test and f"def {test}(" not in path.read_text()):
                problems.append(f"there is no Tests/EndToEnd/{name}")
        found += [f"Tests/Mutation/mutations/{one.module}.toml: {one.name}: {problem}" for problem in problems]
    return found
