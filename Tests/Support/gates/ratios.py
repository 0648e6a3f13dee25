"""CPU time of the proxy for one operation, over nginx's in the same run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from baseline import Figures

#: By path, the scenario of `tunnel-bench` and the figure of it that counts.
SCENARIOS = {
    "post": ("post-32", "cpu_us_per_operation"), "post-h2": ("h2-1x32", "cpu_us_per_operation"),
    "event": ("events-200", "cpu_us_per_operation"), "download": ("download-1", "cpu_ms_per_mib"),
    "connect": ("connect-resumed", "cpu_us_per_operation")}
PAIRS = 3


def measure(bench: Path, proxy: Path, names: Iterable[str], *, is_quick: bool = True) -> dict[str, Figures]:
    """Of each path the median of three pairs, one run of ours and one of nginx's in each."""
    with tempfile.TemporaryDirectory(prefix="gates-") as folder:
        out = Path(folder) / "out.json"
        command = [str(bench), "run", "--compare", "nginx", "--pairs", str(PAIRS), "--proxy", str(proxy), "--json", str(out)]
        if is_quick:
            command.append("--quick")
        for name in names:
            command += ["--scenario", SCENARIOS[name][0]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        ratios = json.loads(out.read_text())["ratios"]
    found = {}
    for name in names:
        scenario, metric = SCENARIOS[name]
        (ratio,) = (
            ratio for ratio in ratios
            if (ratio["scenario"], ratio["side"], ratio["over"], ratio["metric"]) == (scenario, "mcp-proxy", "nginx", metric))
        found[name] = {"CPU beside nginx": ratio["value"]}
    return found
