"""Groups of bars as one SVG, in two columns."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 840
MARGIN = 20
COLUMN = (WIDTH - 3 * MARGIN) // 2
#: Within a column: where bars begin, how long the longest is with one figure behind it, and with three.
LABEL, LENGTH, SHORT = 96, 216, 140
ROW, BAR = 20, 12
HEAD, GAP = 24, 14

# Text has a contrast of 4.5 to the ground at least, bars of 3 (WCAG 2.2, 1.4.3 and 1.4.11).
STYLE = """\
svg { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
.ground { fill: #ffffff } text { fill: #1f2328 } .quiet { fill: #59636e } .title { font-size: 17px; font-weight: 600 }
.head { font-weight: 600 } .small { font-size: 12px } .figure { text-anchor: end } .track { fill: #eaeef2 }
.ours { fill: #0a58ca } .nginx { fill: #4d7c2a } .haproxy { fill: #b35900 } .go { fill: #7a5bb5 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9ba4ae } .track { fill: #21262d }
.ours { fill: #6ea8fe } .nginx { fill: #8fc46a } .haproxy { fill: #e8a355 } .go { fill: #bda7ea }
}"""


@dataclass(frozen=True)
class Bar:
    """A side's figure: `part` is how long it is beside the longest of its group."""

    label: str
    kind: str
    part: float
    text: str

    def draw(self, x: int, y: int) -> list[str]:
        top = y + (ROW - BAR) // 2
        return [
            f'<rect class="track" x="{x}" y="{top}" width="{LENGTH}" height="{BAR}"/>',
            f'<rect class="{self.kind}" x="{x}" y="{top}" width="{max(1, self.part * LENGTH):.1f}" height="{BAR}"/>',
        ]


@dataclass(frozen=True)
class Span:
    """Three figures of a side: a thick line from the first to the second, a thin one to the third, a dot at each."""

    label: str
    kind: str
    parts: list[float]
    text: str

    def draw(self, x: int, y: int) -> list[str]:
        middle = y + ROW // 2
        ends = [x + part * SHORT for part in self.parts]
        lines = [f'<rect class="track" x="{x}" y="{middle - 1}" width="{SHORT}" height="2"/>']
        for (begin, end), height in zip(zip(ends, ends[1:]), (6, 2), strict=True):
            lines.append(
                f'<rect class="{self.kind}" x="{begin:.1f}" y="{middle - height // 2}" '
                f'width="{max(0.5, end - begin):.1f}" height="{height}"/>')
        return lines + [f'<circle class="{self.kind}" cx="{end:.1f}" cy="{middle}" r="4"/>' for end in ends]


@dataclass(frozen=True)
class Group:
    """What is compared: a headline, and a row for each side."""

    title: str
    rows: list[Bar] | list[Span]

    @property
    def height(self) -> int:
        return HEAD + ROW * len(self.rows) + GAP

    def draw(self, x: int, y: int) -> list[str]:
        lines = [_text(x, y + 15, self.title, "head")]
        for number, row in enumerate(self.rows):
            top = y + HEAD + number * ROW
            lines.append(_text(x, top + 14, row.label, "small"))
            lines += row.draw(x + LABEL, top)
            lines.append(_text(x + COLUMN, top + 14, row.text, "small figure"))
        return lines


def page(title: str, notes: list[str], groups: list[Group]) -> str:
    """The whole picture, with lines of small print. Groups go down the first column and on in the second."""
    top, parts = 48 + 16 * len(notes), []
    half, used, columns = sum(group.height for group in groups) / 2, 0, [top, top]
    for group in groups:
        column = 0 if used < half else 1
        parts += group.draw(MARGIN + column * (COLUMN + MARGIN), columns[column])
        columns[column] += group.height
        used += group.height
    height = max(columns) + MARGIN - GAP
    words = " ".join(f"{group.title}: " + ", ".join(f"{row.label} {row.text}" for row in group.rows) + "." for group in groups)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title words">',
        f'<title id="title">{escape(title)}</title>', f'<desc id="words">{escape(words)}</desc>',
        f"<style>\n{STYLE}\n</style>", f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        _text(MARGIN, 28, title, "title"),
        *(_text(MARGIN, 48 + 16 * number, note, "small quiet") for number, note in enumerate(notes)), *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'
