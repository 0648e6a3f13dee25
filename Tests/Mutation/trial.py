"""One mutant's trial: its tests are run until one of them notices."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mutations import ROOT, Mutation
from schemata import VARIABLE
from tree import Tree

BUNDLE = ".build/debug/mcp-tunnelPackageTests.xctest"
FAILED = re.compile(r"Test (.+?) recorded an issue|^FAILED (\S+)|^ERROR (\S+)", re.MULTILINE)
RUN = re.compile(r"Test run with (\d+) tests?|^(\d+) passed", re.MULTILINE)
#: What ends a wait for more output: the first failure is enough.
ISSUE = b" recorded an issue "


@dataclass
class Result:
    verdict: str  # "killed", "timed out", "survived", "unsure", "build failed", "no tests"
    by: str = ""
    seconds: float = 0


def number(one: Mutation) -> int:
    """What the environment names it by. It depends on no other in the list, so that a longer list keeps its builds."""
    return int(one.key[:7], 16) + 1


class Trials:
    def __init__(self, tree: Tree, timeout: float) -> None:
        self.tree, self.timeout = tree, timeout

    def problem(self, tests: str, runner: str) -> str:
        """What is wrong with the tests themselves, when no mutant is played. They may have been unlucky once."""
        out = ""
        for _ in range(2):
            status, out = self.tree.run(self.command(tests, runner), {VARIABLE: "0"}, 10 * self.timeout)
            if status == 0 and passed(out):
                return ""
        return out[-4000:] or "no output"

    def ask_concerned(self, one: Mutation) -> Result:
        """The tests that the list names."""
        return self.ask(self.command(one.tests, one.runner), one, self.timeout)

    def ask_others(self, one: Mutation) -> Result:
        """The end-to-end tests that the list names, then all of the module. Who notices has to pass without the mutant:
        so many tests were not looked at before."""
        steps = []
        if one.end_to_end:
            steps.append((["Tests/EndToEnd/run", "-x", "--no-header", *one.end_to_end], 8 * self.timeout))
        if one.module_tests != one.tests:
            steps.append((self.command(one.module_tests, one.runner), 4 * self.timeout))
        for command, seconds in steps:
            result = self.ask(command, one, seconds)
            if result.verdict == "killed" and not self.passes(command, one, result.by):
                result = self.ask(command, one, seconds)
                if result.verdict == "killed" and not self.passes(command, one, result.by):
                    return Result("unsure", f"{result.by} fails without it too")
            if result.verdict != "survived":
                return result
        return Result("survived")

    def ask(self, command: list[str], one: Mutation, seconds: float) -> Result:
        status, out = self.tree.run(command, {VARIABLE: str(number(one))}, seconds, until=ISSUE)
        if failed := FAILED.search(out):
            return Result("killed", next(filter(None, failed.groups())))
        if status is None:
            return Result("timed out", last_started(out))
        if "Test run with 0 tests" in out:
            # Its status says so too, and no test has failed.
            return Result("no tests", command[-1])
        if status != 0:
            return Result("killed", f"status {status}: {last_line(out)}")
        return Result("survived") if passed(out) else Result("no tests", command[-1])

    def passes(self, command: list[str], one: Mutation, test: str) -> bool:
        """Whether that test passes alone without a mutant, or all of them where what ended them names none."""
        if not test.startswith("status "):
            if command[0] == BUNDLE:
                name = re.match(r"[A-Za-z_0-9]+", test.strip('"'))
                command = [*command[:-1], rf"[./]{name[0]}\b"] if name else command
            else:
                command = [command[0], "-x", "--no-header", test.split("[")[0]]
        if one.runner == "chart":
            # It is no program's choice: it is in the file.
            mutant = self.tree.read(one.file)
            self.tree.restore(one.file)
        status, out = self.tree.run(command, {VARIABLE: "0"}, 8 * self.timeout)
        if one.runner == "chart":
            self.tree.write(one.file, mutant)
        return status == 0 and passed(out) > 0

    def command(self, tests: str, runner: str) -> list[str]:
        if runner == "chart":
            return ["Tests/Deploy/chart/run", "-x", "--no-header", *chart_tests(), "-k", tests]
        return [BUNDLE, "--testing-library", "swift-testing", "--filter", tests]


def chart_tests() -> list[str]:
    """The chart's tests, those first that only look at what was rendered. Left out are pods that are replaced by the clock:
    they want a machine with nothing else to do."""
    quick = [f"test_{name}.py" for name in ("pod_security", "network_policies", "values", "lifecycle", "hooks", "guide")]
    found = {path.name for path in (ROOT / "Tests/Deploy/chart").glob("test_*.py")} - {"test_rollout.py"}
    return [*quick, *sorted(found - set(quick))]


def passed(out: str) -> int:
    return sum(int(next(filter(None, groups))) for groups in RUN.findall(out))


def last_started(out: str) -> str:
    """The tests that were under way when time was up."""
    started = re.findall(r"Test (\S+) started", out)
    ended = set(re.findall(r"Test (\S+) (?:passed|failed)", out))
    return ", ".join(name for name in started if name not in ended)[:200]


def last_line(out: str) -> str:
    lines = [line for line in out.splitlines() if line.strip()]
    fatal = [line for line in lines if "Fatal error" in line or "rror:" in line]
    return (fatal or lines or [""])[-1][-160:]
