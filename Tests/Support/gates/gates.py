"""Holds what five paths of the release build cost against the committed baseline, each figure with its tolerance.

What repeats (allocations, instructions, memory) is held tightly; what a machine's mood changes (CPU time beside nginx in the same
run) widely. The figures and the tolerances are in baseline.json, with the reason for each tolerance.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import counts
import ratios
from baseline import Baseline, Figures
from paths import PATHS, STREAMS

HERE = Path(__file__).parent


def count(name: str, proxy: Path, profiles: Path | None) -> tuple[Figures, list[str]]:
    """The figures of a path, and what is worth reading beside them."""
    if name in STREAMS:
        held = counts.held(STREAMS[name], proxy)
        return {"bytes held": held}, [f"{held:9.0f}  bytes of heap"]
    path = PATHS[name]
    own, others, places = counts.allocations(path, proxy)
    by_file = counts.instructions(path, proxy, profiles / f"callgrind.{name}" if profiles else None)
    figures = {
        "allocations of ours": own, "allocations of the libraries": others,
        "instructions of ours": by_file[proxy.name], "instructions": sum(by_file.values())}
    notes = [f"{count:9.0f}  {file}" for file, count in sorted(by_file.items(), key=lambda part: -part[1]) if count > 100]
    if own > 0.05:
        notes += ["allocations of ours are made in", *counts.where(proxy, places)]
    return figures, notes


def hold_counts(baseline: Baseline, proxy: Path, names: list[str], profiles: Path | None) -> bool:
    is_good = True
    # What is counted does not change with what else the machine does.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for name, (figures, notes) in zip(names, pool.map(lambda name: count(name, proxy, profiles), names), strict=True):
            print(f"{name}: {(PATHS | STREAMS)[name].unit}")
            problems = baseline.compare(name, figures)
            is_good = is_good and not problems
            print("\n".join(f"  {note}" for note in notes + problems), flush=True)
    return is_good


def hold_ratios(baseline: Baseline, proxy: Path, bench: Path) -> bool:
    print("CPU time beside nginx in the same run: median of three pairs")
    found = ratios.measure(bench, proxy, ratios.SCENARIOS)
    suspects = [name for name, figures in found.items() if baseline.worse(name, figures)]
    if suspects and not baseline.is_update:
        # Somebody else's work may have hit one side: the second look is four times as long, and it counts.
        print(f"  worse than they may be, measured again for longer: {', '.join(suspects)}", flush=True)
        found |= ratios.measure(bench, proxy, suspects, is_quick=False)
    is_good = True
    for name, figures in found.items():
        problems = baseline.compare(name, figures)
        is_good = is_good and not problems
        print("\n".join([f"  {name}: {figures['CPU beside nginx']:.3f} of nginx", *problems]), flush=True)
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="record what is measured, and keep the tolerances")
    parser.add_argument("--ratios", action="store_true", help="the ratios to nginx instead of what is counted")
    parser.add_argument("--path", action="append", choices=PATHS | STREAMS, help="only this path; may be given again")
    parser.add_argument("--profile", type=Path, help="a folder to leave the profiles in, for callgrind_annotate")
    parser.add_argument("--baseline", type=Path, default=HERE / "baseline.json", help="another one than the committed")
    parser.add_argument("--bench", type=Path, default=Path(".build/release/tunnel-bench"))
    parser.add_argument("proxy", nargs="?", type=Path, default=Path(".build/release/mcp-proxy"))
    options = parser.parse_args()
    start = time.monotonic()
    baseline = Baseline(options.baseline, options.update)
    proxy = options.proxy.resolve()
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    if options.ratios:
        is_good = hold_ratios(baseline, proxy, options.bench.resolve())
    else:
        is_good = hold_counts(baseline, proxy, options.path or list(PATHS | STREAMS), options.profile)
    if options.update:
        baseline.write()
        print(f"recorded in {options.baseline}")
        is_good = True
    print(f"{'good' if is_good else 'WORSE'}, in {time.monotonic() - start:.0f} s")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
