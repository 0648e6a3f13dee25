"""Every rendering as it was when somebody last looked at it."""

import difflib
import os

import chart


def test_rendering_is_the_golden_one(renderings, name):
    path = chart.HERE / f"golden/{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(renderings[name])
    difference = difflib.unified_diff(
        path.read_text().splitlines(), renderings[name].splitlines(), "golden", "rendered", lineterm=""
    )
    assert not "\n".join(difference), "UPDATE_GOLDEN=1 Tests/Deploy/chart/run accepts the difference"


def test_every_file_belongs_to_a_case():
    assert {path.stem for path in (chart.HERE / "golden").iterdir()} == set(chart.CASES)
    used = {file for case in chart.CASES.values() for file in case.files}
    assert {path.stem for path in (chart.HERE / "cases").iterdir()} == used
    clusters = {case.cluster for case in chart.CASES.values()} - {None}
    assert {path.stem for path in (chart.HERE / "clusters").iterdir()} == clusters
