"""What the end-to-end tests hold already and belongs on the page: each test is a case."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from xml.etree import ElementTree

from context import ROOT, Context
from record import Case, Suite

SUITE = Suite(
    "tests", "Attacks and edges, test by test",
    """
Files of `Tests/EndToEnd`, which `make test` runs too; CI runs them there. The table of addresses runs in a network of its own, in
which every address answers and every dial is seen, once with addresses in routes and once with names from a name server of the
test's, which also changes its answers between question and dial. It takes root; without it those tests are skipped, and the run
says that they were passed before.
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
    folder = context.folder("tests")
    report, log = folder / "report.xml", folder / "log"
    print(f"tests: {log.relative_to(ROOT)} shows how far they are", flush=True)
    with log.open("w") as output:
        subprocess.run(
            [sys.executable, "-u", "-B", "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--junitxml={report}", *FILES],
            cwd=ROOT / "Tests/EndToEnd", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
            env={**os.environ, "MCP_PROXY": str(context.binary("mcp-proxy"))})
    if not report.exists():
        raise SystemExit(f"the tests did not run:\n{log.read_text()[-2000:]}")
    cases: dict[str, Case] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        # The module, and within it the class where there is one. A file that cannot be read has no class name.
        module, _, group = case.get("classname", "").partition(".")
        file = f"{module or case.get('name')}.py"
        name = "::".join(filter(None, [file, group, case.get("name")]))
        fault = next((found for found in (case.find("failure"), case.find("error")) if found is not None), None)
        verdict = "failed" if fault is not None else "skipped" if case.find("skipped") is not None else "passed"
        note = (fault.get("message") or "").split("\n")[0][:200] if fault is not None else ""
        # A test whose end fails too is there twice.
        if name not in cases or verdict == "failed":
            cases[name] = Case(name, FILES[file], verdict, False, note)
    yield from cases.values()


SUITES = [(SUITE, run)]
