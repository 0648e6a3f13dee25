"""Many mutants in one build: each fault is compiled in beside what it replaces; a number in the environment chooses.

    a < limit    becomes    (mutantTunnelCore(7) ? (a <= limit) : (a < limit))

A build of this repository takes minutes, a mutant's tests take seconds. So the tool builds once for all mutants whose
texts do not overlap, and starts the same programs with MUTANT=7. Without the variable they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mutations import Mutation

VARIABLE = "MUTANT"


def batches(mutations: list[Mutation], read: Callable[[Path], str]) -> list[list[Mutation]]:
    """Splits them so that no two texts of a batch overlap, unless they are the same. One of form `file` stands alone."""
    done: list[tuple[list[Mutation], dict[Path, set[tuple[int, int]]]]] = []
    alone = []
    for one in mutations:
        if one.form == "file":
            alone.append([one])
            continue
        place = one.span(read(one.file))
        assert not isinstance(place, str), place
        for batch, taken in done:
            if all(place == other or place[1] <= other[0] or other[1] <= place[0]
                   for other in taken.setdefault(one.file, set())):  # fmt: skip
                break
        else:
            batch, taken = [], {}
            done.append((batch, taken))
        batch.append(one)
        taken.setdefault(one.file, set()).add(place)
    return [batch for batch, _ in done] + alone


def rewritten(source: str, numbered: list[tuple[int, Mutation]], module: str) -> tuple[str, dict[int, set[int]]]:
    """The source with these mutants in it, and on which lines each of them is."""
    places: dict[tuple[int, int], list[tuple[int, Mutation]]] = {}
    for number, one in numbered:
        place = one.span(source)
        assert not isinstance(place, str), place
        places.setdefault(place, []).append((number, one))
    out, position, lines = "", 0, {}
    for (start, end), chosen in sorted(places.items()):
        out += source[position:start]
        first = out.count("\n") + 1
        text = source[start:end]
        for number, one in reversed(chosen):
            text = choice(function(module), number, one, text)
        out += text
        for number, _ in chosen:
            lines[number] = set(range(first, out.count("\n") + 2))
        position = end
    return out + source[position:], lines


def choice(function: str, number: int, one: Mutation, text: str) -> str:
    if one.form == "file":
        return one.becomes
    if one.form == "statement":
        return f"if {function}({number}) {{ {one.becomes} }} else {{ {text} }}"
    return f"({function}({number}) ? ({one.becomes}) : ({text}))"


def function(module: str) -> str:
    return "mutant" + module.replace("-", "_")


def declaration(module: str) -> str:
    """What the rewritten sources of a module call. Public, as it may stand in a default argument."""
    return f"""import Glibc

private let active{function(module)}: Int = getenv("{VARIABLE}").flatMap {{ Int(String(cString: $0)) }} ?? 0

/// Whether this process plays the mutant of that number.
public func {function(module)}(_ number: Int) -> Bool {{ number == active{function(module)} }}
"""
