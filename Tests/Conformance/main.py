"""Conformance: what the outside world's suites and readers say of this code, compared with what they said before.

    Tests/Conformance/run                    everything; writes docs/conformance.md and docs/conformance.json
    Tests/Conformance/run --bounded          the part for CI: under a minute, the same cases each time; writes nothing
    Tests/Conformance/run --section NAME...  only these, of both
    Tests/Conformance/run --update           writes also what is worse than before, once it has been understood; with
                                             --bounded, only for a suite that has no record yet

A suite's record is written when it ends. Of Autobahn each case is kept, and a run that was ended goes on with those that are
left: out/conformance/autobahn-*/verdicts.jsonl. Exits 1 when a case is worse than in docs/conformance.json, and names it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import record
from context import ROOT, Context
from suites import SUITES

RECORD = ROOT / "docs/conformance.json"
PAGE = ROOT / "docs/conformance.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bounded", action="store_true", help="the part for CI")
    parser.add_argument("--section", action="append", choices=sorted(SUITES), metavar="NAME",
                        help=f"one of {', '.join(SUITES)}; may be repeated")
    parser.add_argument("--without", action="append", choices=sorted(SUITES), metavar="NAME", default=[],
                        help="all but this; may be repeated")
    parser.add_argument("--update", action="store_true", help="take what is worse into the record")
    parser.add_argument("--page", action="store_true", help="only write the page again, from the record")
    options = parser.parse_args()

    # As an interruption from the keyboard: what a suite has started is ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kept = record.load(RECORD)
    suites = [suite for suite, _ in SUITES.values()]
    if options.page:
        PAGE.write_text(record.page(suites, kept))
        return 0
    failures: list[str] = []
    for name in options.section or [name for name in SUITES if name not in options.without]:
        suite, run = SUITES[name]
        began = time.monotonic()
        cases = list(run(Context(bounded=options.bounded)))
        counts: dict[str, int] = {}
        for case in cases:
            counts[case.verdict] = counts.get(case.verdict, 0) + 1
        text = ", ".join(f"{counts[verdict]} {verdict}" for verdict in suite.verdicts if verdict in counts)
        print(f"{name}: {len(cases)} cases, {text} ({time.monotonic() - began:.0f} s)", flush=True)
        found = record.worse(suite, cases, kept.get(name), bounded=options.bounded)
        if better := record.better(suite, cases, kept.get(name)):
            print(f"{name}: {better} better than in the record")
        if found and not options.update:
            failures += found
        elif not options.bounded or options.update and name not in kept:
            # One after the other, for whoever stops a long run, and with what another run has written meanwhile.
            kept = {**record.load(RECORD), name: record.summary(suite, cases)}
            record.save(RECORD, {name: kept[name] for name in SUITES if name in kept})
            PAGE.write_text(record.page(suites, kept))
    if options.bounded and not options.section and PAGE.read_text() != record.page(suites, kept):
        failures.append(f"{PAGE.relative_to(ROOT)} is not what the record says: Tests/Conformance/run --page")
    print("\n".join(f"worse: {line}" for line in failures), end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
