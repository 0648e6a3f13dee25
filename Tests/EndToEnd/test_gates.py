"""What the gates of Tests/Support/gates make of figures: better, as recorded, a little worse, too much worse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

GATES = REPOSITORY / "Tests/Support/gates"
sys.path.append(str(GATES))

from baseline import Baseline  # noqa: E402
from counts import by_file  # noqa: E402
from paths import PATHS, STREAMS  # noqa: E402
from ratios import SCENARIOS  # noqa: E402


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({
        "tolerances": {
            "instructions": {"part": 0.03, "either_way": True, "why": "w"},
            "instructions, event": {"part": 0.1, "why": "w"},
            "allocations of ours": {"part": 0.02, "more": 0.05, "why": "w"}, "CPU beside nginx": {"part": 0.25, "why": "w"}},
        "paths": {"post": {"instructions": 10_000, "allocations of ours": 0, "CPU beside nginx": 0.8},
                  "event": {"instructions": 10_000}}}))
    return file


@pytest.mark.parametrize(("name", "value", "problem"), [
    ("instructions", 10_300, None), ("instructions", 10_301, "worse"),
    ("instructions", 9_700, None), ("instructions", 9_699, "--update"),
    ("allocations of ours", 0.05, None), ("allocations of ours", 0.051, "worse"),
    ("CPU beside nginx", 1.0, None), ("CPU beside nginx", 1.001, "worse"), ("CPU beside nginx", 0.1, None),
])
def test_a_figure_is_held_to_its_tolerance(file: Path, name: str, value: float, problem: str | None) -> None:
    found = Baseline(file).compare("post", {name: value})
    assert [problem in line for line in found] == ([True] if problem else [])
    assert Baseline(file).worse("post", {name: value}) is bool(problem)


def test_a_path_may_have_a_tolerance_of_its_own(file: Path) -> None:
    baseline = Baseline(file)
    assert not baseline.worse("event", {"instructions": 11_000}) and baseline.worse("event", {"instructions": 11_001})
    # Its own, with all that it says: it may be better.
    assert not baseline.worse("event", {"instructions": 1}) and baseline.worse("post", {"instructions": 11_000})


def test_a_figure_without_a_record_fails_until_it_is_recorded(file: Path) -> None:
    assert "--update" in Baseline(file).compare("connect", {"instructions": 5})[0]
    baseline = Baseline(file, is_update=True)
    assert baseline.compare("connect", {"instructions": 5_000.4, "CPU beside nginx": 0.81236}) == []
    baseline.write()
    data = json.loads(file.read_text())
    assert data["paths"]["connect"] == {"instructions": 5000, "CPU beside nginx": 0.812}
    # The rest stays, tolerances with their reasons above all.
    assert data["paths"]["post"]["instructions"] == 10_000 and data["tolerances"]["instructions"]["part"] == 0.03
    assert Baseline(file).compare("connect", {"instructions": 5_100}) == []


def test_the_committed_baseline_has_every_figure_of_every_path() -> None:
    data = json.loads((GATES / "baseline.json").read_text())
    assert set(data["paths"]) == set(PATHS) | set(STREAMS) and set(PATHS) == set(SCENARIOS) and len(PATHS) == 5
    for path, figures in data["paths"].items():
        names = {name for name in data["tolerances"] if ", " not in name}
        assert set(figures) == ({"bytes held"} if path in STREAMS else names - {"bytes held"})
    own = {name.split(", ")[1] for name in data["tolerances"] if ", " in name}
    assert own <= set(PATHS)
    assert all(tolerance["why"] and 0 < tolerance["part"] <= 0.5 for tolerance in data["tolerances"].values())


def test_what_a_profile_counts_by_file() -> None:
    """The cost of a call is that of what was called, and stands there once more."""
    profile = "\n".join([
        "ob=(1) /x/mcp-proxy", "fn=(1) main", "1 10", "cob=(2) /lib/libssl.so.3", "cfn=(2) SSL_read", "calls=1 7", "1 500",
        "+2 5", "ob=(2)", "fn=(2)", "7 400", "* 100", "totals: 515"])
    assert by_file(profile) == {"mcp-proxy": 15, "libssl.so": 500}
