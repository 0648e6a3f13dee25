"""What the end-to-end tests hold already and belongs on the page: each test is a case."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from xml.etree import ElementTree

from context import ROOT, Context
from record import Case, Suite

SUITE = Suite(
    "tests", "Attacks and edges, test by test",
    """
Files of `Tests/EndToEnd`, which `make test` runs too; CI runs them there. The table of addresses runs in a network of its own, in which every address
answers and every dial is seen, once with addresses in routes and once with names from a name server of the test's, which also
changes its answers between question and dial.
""",
    {"passed": 0, "skipped": 1, "failed": 5})
FILES = {
    "test_attack_ssrf.py": "addresses that are dialled", "test_upstream_policy.py": "address policy", "test_names.py": "names",
    "test_smuggling.py": "ambiguous requests", "test_upstream_faults.py": "upstreams that fail", "test_protocol_edges.py": "edges of protocols",
    "test_inner_tls.py": "inner TLS", "test_websocket.py": "WebSocket", "test_http2_streams.py": "HTTP/2 streams",
}


def run(context: Context) -> Iterable[Case]:
    if context.bounded:
        return
    report = context.folder("tests") / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *FILES], cwd=ROOT / "Tests/EndToEnd",
        stdout=(report.parent / "log").open("w"), check=False)
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").split(".")[0] + ".py"
        verdict = ("failed" if case.find("failure") is not None or case.find("error") is not None
                   else "skipped" if case.find("skipped") is not None else "passed")
        yield Case(f"{file}::{case.get('name')}", FILES[file], verdict, False)


SUITES = [(SUITE, run)]
