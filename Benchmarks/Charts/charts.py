"""What is drawn of a run's results: which scenarios, which figures, in which order."""

from __future__ import annotations

from dataclasses import dataclass

from svg import Bar, Group, Span, page

#: In the order of drawing: label in the results, and class of the picture.
SIDES = {"mcp-proxy": "ours", "nginx": "nginx", "HAProxy": "haproxy", "Go reference": "go"}


class Results:
    """Figures by scenario and side, and what they are of."""

    def __init__(self, data: dict) -> None:
        self._rows = {(row["scenario"], row["side"]): row for row in data["results"]}
        runs = "one run of each side" if data["runs"] == 1 else f"medians of {data['runs']} runs of each side"
        kind = "Short runs" if data["quick"] else "Runs"
        self.caption = f"{kind} of commit {data['commit']}, {data['date']}, {data['processors']} processors, {runs}."

    def get(self, scenario: str, side: str, metric: str) -> float:
        """0 for what was not measured."""
        return self._rows.get((scenario, side), {}).get(metric) or 0


@dataclass(frozen=True)
class Figure:
    """A figure of some scenarios, and how it is written."""

    metric: str
    unit: str
    scenarios: tuple[str, ...]
    decimals: int = 0
    scale: float = 1

    def text(self, value: float) -> str:
        return f"{value * self.scale:,.{self.decimals}f}"


POSTS = ("post-1", "post-32", "post-256", "post-1024", "h2-1x32", "h2-8x32")
CONNECTS = ("connect-rsa4096", "connect-p256", "connect-resumed")
BULK = ("download-1", "download-4", "upload-1", "h2-download")
EVENTS = ("events-200", "events-1000", "h2-events")

RATES = (
    Figure("rate", "requests/s", POSTS), Figure("rate", "connections/s", CONNECTS), Figure("mib_per_second", "MiB/s", BULK))
CPU = (
    Figure("cpu_us_per_operation", "µs of CPU a request", POSTS, 1),
    Figure("cpu_us_per_operation", "µs of CPU a connection", CONNECTS, 0),
    Figure("cpu_us_per_operation", "µs of CPU an event", EVENTS, 1), Figure("cpu_ms_per_mib", "ms of CPU a MiB", BULK, 2))
MEMORY = (
    Figure("kib_per_stream", "KiB an idle stream", ("idle-5000", "h2-idle"), 1),
    Figure("peak_kib", "MiB at most", ("post-1", "post-1024", "events-1000", "connect-resumed"), 1, 1 / 1024))
TIMES = ("post-1", "post-32", "post-256", "h2-1x32", "events-200", "h2-events", "storm")
QUANTILES = ("p50_us", "p90_us", "p99_us")


def bars(results: Results, figures: tuple[Figure, ...]) -> list[Group]:
    """A group for each scenario that was measured, with a bar for each side."""
    groups = []
    for figure in figures:
        for scenario in figure.scenarios:
            values = {side: results.get(scenario, side, figure.metric) for side in SIDES}
            if most := max(values.values()):
                groups.append(Group(f"{scenario}: {figure.unit}", [
                    Bar(side, SIDES[side], value / most, figure.text(value)) for side, value in values.items() if value]))
    return groups


def spans(results: Results) -> list[Group]:
    """A group for each scenario with a line from p50 to p99 for each side."""
    groups = []
    for scenario in TIMES:
        values = {side: [results.get(scenario, side, name) for name in QUANTILES] for side in SIDES}
        if most := max(times[-1] for times in values.values()):
            scale, unit = (1, "µs") if most < 1000 else (1000, "ms")
            # Three of them have to fit beside the lines.
            decimals = 0 if scale == 1 or most >= 1_000_000 else 2 if most < 10_000 else 1
            groups.append(Group(f"{scenario}: p50, p90, p99 in {unit}", [
                Span(side, SIDES[side], [time / most for time in times], " · ".join(f"{time / scale:,.{decimals}f}" for time in times))
                for side, times in values.items() if times[-1]]))
    return groups


def draw(results: Results) -> dict[str, str]:
    """All pictures by name."""
    def made(title: str, which: str, groups: list[Group]) -> str:
        return page(title, [f"{which} is better. Each group has a scale of its own.", results.caption], groups)

    return {
        "rates": made("Requests, connections and bytes a second", "More", bars(results, RATES)),
        "percentiles": made("Time until the response, or delay of an event", "Less", spans(results)),
        "cpu": made("CPU time of the proxy", "Less", bars(results, CPU)),
        "memory": made("Memory of the proxy", "Less", bars(results, MEMORY)),
    }
