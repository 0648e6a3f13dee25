"""The charts of docs/performance.md: what is in them, and what a browser makes of them, light and dark."""

from __future__ import annotations

import json
import os
import re
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest
from conftest import REPOSITORY
from peers.browser import Browser

DRAW = REPOSITORY / "Benchmarks/Charts/draw"
COMMITTED = REPOSITORY / "docs/charts"
NAMES = ("rates", "percentiles", "cpu", "memory")
SIDES = ("mcp-proxy", "nginx", "HAProxy", "Go reference")
#: Where pictures go that somebody wants to look at.
PICTURES = os.environ.get("PAGE_PICTURES")
SVG = "{http://www.w3.org/2000/svg}"
#: Boxes of all texts and of the picture, and colours as the browser has computed them.
LOOK = """
const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom, e.textContent] };
const fill = e => [getComputedStyle(e).fill, e.tagName + '.' + e.getAttribute('class')];
return {
    texts: [...document.querySelectorAll('text')].map(box), whole: box(document.documentElement),
    bars: [...document.querySelectorAll('rect:not(.ground), circle')].map(box),
    ground: fill(document.querySelector('.ground'))[0], words: [...document.querySelectorAll('text')].map(fill),
    shapes: [...document.querySelectorAll('rect:not(.ground):not(.track), circle')].map(fill),
}"""


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    subprocess.run([REPOSITORY / "Tests/Support/need", "chromium", "chromium-driver", "fonts-dejavu-core"], check=True)


def draw(results: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DRAW, results, folder], capture_output=True, text=True, check=False)


def crowded(folder: Path) -> Path:
    """Results with all sides everywhere and figures as long as they may get."""
    scenarios = [
        "post-1", "post-32", "post-256", "post-1024", "h2-1x32", "h2-8x32", "connect-rsa4096", "connect-p256",
        "connect-resumed", "download-1", "download-4", "upload-1", "h2-download", "events-200", "events-1000",
        "h2-events", "storm", "idle-5000", "h2-idle"]
    rows = [
        {"scenario": scenario, "side": side, "rate": 123456.7, "mib_per_second": 12345.6, "kib_per_stream": 1234.5,
         "p50_us": 123456.7 * (1 + number), "p90_us": 234567.8 * (1 + number), "p99_us": 1234567.8 * (1 + number),
         "cpu_us_per_operation": 12345.6, "cpu_ms_per_mib": 12.345, "peak_kib": 1234567.8}
        for scenario in scenarios for number, side in enumerate(SIDES)]
    file = folder / "crowded.json"
    file.write_text(json.dumps({
        "commit": "0123abc-dirty", "date": "2026-11-28", "processors": 128, "quick": True, "runs": 100, "results": rows}))
    return file


def test_the_same_results_give_the_same_bytes_with_every_side_in_words(tmp_path: Path) -> None:
    results = crowded(tmp_path)
    for folder in ("one", "two"):
        drawn = draw(results, tmp_path / folder)
        assert drawn.returncode == 0, drawn.stderr
    for name in NAMES:
        file = tmp_path / "one" / f"{name}.svg"
        assert file.read_bytes() == (tmp_path / "two" / f"{name}.svg").read_bytes()
        root = xml.etree.ElementTree.parse(file).getroot()
        texts = [element.text or "" for element in root.iter(f"{SVG}text")]
        groups = [text for text in texts if re.match(r"[a-z0-9-]+: ", text)]
        assert len(groups) == {"rates": 13, "percentiles": 7, "cpu": 16, "memory": 6}[name]
        for side in SIDES:
            # Not by its colour alone.
            assert texts.count(side) == len(groups)
        (words,) = (element.text or "" for element in root.iter(f"{SVG}desc"))
        assert all(group in words for group in groups)
        assert "commit 0123abc-dirty, 2026-11-28, 128 processors" in texts[2]


def test_bars_are_as_long_as_their_figures(tmp_path: Path) -> None:
    rows = [{"scenario": "post-1", "side": side, "rate": rate} for side, rate in zip(SIDES, (50, 200, 100, 0), strict=True)]
    results = tmp_path / "results.json"
    results.write_text(json.dumps(
        {"commit": "c", "date": "d", "processors": 2, "quick": False, "runs": 3, "results": rows}))
    assert draw(results, tmp_path).returncode == 0
    root = xml.etree.ElementTree.parse(tmp_path / "rates.svg").getroot()
    length = {kind: [float(bar.get("width", 0)) for bar in root.iter(f"{SVG}rect") if bar.get("class") == kind]
              for kind in ("track", "ours", "nginx", "haproxy", "go")}
    (whole,) = set(length["track"])
    assert length["ours"] == [whole / 4] and length["nginx"] == [whole] and length["haproxy"] == [whole / 2]
    # What was not measured has no bar, and no word.
    assert length["go"] == [] and "Go reference" not in (tmp_path / "rates.svg").read_text()


@pytest.mark.parametrize(("text", "problem"), [
    ("{", "Expecting property name"), ('{"results": []}', "KeyError('runs')"), ("[]", "it is not what")])
def test_other_files_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    drawn = draw(file, tmp_path)
    assert drawn.returncode == 1 and problem in drawn.stderr and str(file) in drawn.stderr
    assert not list(tmp_path.glob("*.svg"))


def test_the_committed_ones_are_of_the_page_and_of_their_results(tmp_path: Path) -> None:
    assert draw(COMMITTED / "bench.json", tmp_path).returncode == 0
    page = (REPOSITORY / "docs/performance.md").read_text()
    (commit,) = re.findall(r"<!-- tunnel-bench: begin -->\n.* of commit `(.*?)`", page)
    for name in NAMES:
        assert (tmp_path / f"{name}.svg").read_bytes() == (COMMITTED / f"{name}.svg").read_bytes()
        assert f"commit {commit}," in (COMMITTED / f"{name}.svg").read_text()
        assert f"(charts/{name}.svg)" in page


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_shows_all_words_apart_and_in_colours_that_can_be_told(tmp_path: Path, dark: bool) -> None:
    assert draw(crowded(tmp_path), tmp_path).returncode == 0
    with Browser(width=900, height=1400, dark=dark) as browser:
        for file in (*tmp_path.glob("*.svg"), *COMMITTED.glob("*.svg")):
            browser.open(file.as_uri())
            seen = browser.run(LOOK)
            left, top, right, bottom, _ = seen["whole"]
            for number, one in enumerate(seen["texts"]):
                assert left <= one[0] and one[2] <= right and top <= one[1] and one[3] <= bottom, f"{file}: {one} is cut"
                for other in seen["texts"][:number] + seen["bars"]:
                    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                    assert apart, f"{file}: {one} and {other} overlap"
            assert (luminance(seen["ground"]) < 0.1) is dark
            for colour, what in seen["words"]:
                assert contrast(colour, seen["ground"]) >= 4.5, f"{file}: {what}"
            for colour, what in seen["shapes"]:
                assert contrast(colour, seen["ground"]) >= 3, f"{file}: {what}"
            assert len({colour for colour, _ in seen["shapes"]}) >= 2
            if PICTURES:
                place = "committed" if file.parent == COMMITTED else "crowded"
                browser.shoot(Path(PICTURES) / f"{place}-{file.stem}-{'dark' if dark else 'light'}.png")
