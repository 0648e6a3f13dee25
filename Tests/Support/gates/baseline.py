"""The committed baseline: what each figure was, and by how much it may be worse."""

from __future__ import annotations

import json
from pathlib import Path

Figures = dict[str, float]


class Baseline:
    """`paths` has the figures recorded, by path; `tolerances` has what holds for a figure's name on all paths, and for
    `NAME, PATH` what holds on that one.

    A figure may be worse by `part` of the record and by `more` on top. With `either_way` it may not be better by more
    than that either: then the record is of another program, and has to be made again. `--update` does so.
    """

    def __init__(self, file: Path, is_update: bool = False) -> None:
        self._file, self.is_update = file, is_update
        self._data = json.loads(file.read_text())

    def compare(self, path: str, figures: Figures) -> list[str]:
        """Lines that say what is not as it should be. When updating nothing is: the figures are the record then."""
        recorded = self._data["paths"].setdefault(path, {})
        if self.is_update:
            recorded.update({name: round(value, 3) if value < 1000 else round(value) for name, value in figures.items()})
            return []
        return [line for name, value in figures.items() if (line := self._problem(path, name, value))]

    def worse(self, path: str, figures: Figures) -> bool:
        return not self.is_update and bool(self.compare(path, figures))

    def _problem(self, path: str, name: str, value: float) -> str | None:
        if (record := self._data["paths"].get(path, {}).get(name)) is None:
            return f"{path} has no record of its {name} in {self._file.name}: --update makes it"
        tolerances = self._data["tolerances"]
        tolerance = tolerances.get(f"{name}, {path}") or tolerances[name]
        most = record * (1 + tolerance["part"]) + tolerance.get("more", 0)
        least = record * (1 - tolerance["part"]) - tolerance.get("more", 0)
        if value > most:
            return f"{name}: {value:,.3f} is worse than {most:,.3f}, the most for a record of {record:,}"
        if value < least and tolerance.get("either_way"):
            return f"{name}: {value:,.3f} is better than the record of {record:,}: --update, so that it stays so"
        return None

    def write(self) -> None:
        self._file.write_text(json.dumps(self._data, indent=2) + "\n")
