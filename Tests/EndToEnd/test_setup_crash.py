"""Setup is killed at every system call that writes, and run again: nothing is lost, nothing is done twice.

Each scenario runs once whole under strace, which gives the calls; then once for each of them, killed right before it, from
the same beginning. `CRASH_SECONDS` (default 60) bounds the time for all scenarios: where there are more points than fit,
they are taken evenly, and how many were taken is printed. `CRASH_SECONDS=0` takes all.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import TUNNEL_ID
from peers.setup import FAST, NAMES, Outcome, Output, Setup, TunnelsAPI
from peers.strace import Point, killed, traced

SECONDS = float(os.environ.get("CRASH_SECONDS", "60"))
WORKERS = 2


@dataclass(frozen=True)
class Scenario:
    """What is run, and what must hold when it was killed and run again."""

    name: str
    #: Brings output and API to the beginning.
    prepare: Callable[[Setup, Output], object]
    #: The command that is killed and run again.
    command: list[str]
    #: Tunnels that are not archived, and CAs in force on the output's tunnel, at the end.
    tunnels: int
    authorities: int
    changes: dict[str, str] | None = None
    #: Whether the output is complete before the command, so that it must be so at every moment.
    is_complete: bool = True
    #: Whether work is left by design: the old CA waits to be revoked.
    leaves_state: bool = False


def nothing(setup: Setup, output: Output) -> None:
    """An empty place."""


def initialized(setup: Setup, output: Output) -> Outcome:
    return setup("init", f"--output={output}", FAST, "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})


def begun(setup: Setup, output: Output) -> Outcome:
    initialized(setup, output)
    return setup("rotate-ca", f"--output={output}")


INIT = ["init", FAST, "--token-version=1"]
OTHER = "tnl_01Other"
SCENARIOS = [
    Scenario("create", nothing, INIT, tunnels=3, authorities=1, is_complete=False),
    Scenario("attach", nothing, INIT, 2, 1, {"TUNNEL_ID": TUNNEL_ID}, is_complete=False),
    Scenario("rotate the token", initialized, ["init", "--token-version=2"], 2, 1),
    Scenario("change the tunnel", initialized, INIT, 2, 1, {"TUNNEL_ID": OTHER}),
    Scenario("renew-cert", initialized, ["renew-cert"], 2, 1),
    Scenario("rotate-ca", initialized, ["rotate-ca"], 2, 2, leaves_state=True),
    Scenario("rotate-ca --finish", begun, ["rotate-ca", "--finish"], 2, 1),
    Scenario("token rotate", initialized, ["token", "rotate", "--yes"], 2, 1),
]


class Stage:
    """One scenario's beginning, from which any number of runs can start."""

    def __init__(self, scenario: Scenario, setup_binary: Path, fake_binary: Path, folder: Path) -> None:
        self.scenario, self.setup_binary, self.fake_binary, self.folder = scenario, setup_binary, fake_binary, folder
        folder.mkdir()
        self.numbers = itertools.count()
        self.beginning = Output(folder / "data")
        self.state = folder / "api.json"
        with self.api(self.state) as api:
            scenario.prepare(Setup(setup_binary, api), self.beginning)
        self.before = self.beginning.contents() if self.beginning.folder.exists() else {}

    def api(self, state: Path) -> TunnelsAPI:
        return TunnelsAPI(
            self.fake_binary, "--tunnel", f"staging={TUNNEL_ID}", "--tunnel", f"other={OTHER}", state=state)

    def run(self, act: Callable[[Setup, Output, list[str], dict[str, str]], Any]) -> Any:
        """Act from the beginning: with setup, the output, and the scenario's command and environment."""
        number = next(self.numbers)
        output, state = Output(self.folder / f"data-{number}"), self.folder / f"api-{number}.json"
        if self.beginning.folder.exists():
            shutil.copytree(self.beginning.folder, output.folder)
        shutil.copy(self.state, state)
        with self.api(state) as api:
            setup = Setup(self.setup_binary, api)
            command = [str(self.setup_binary), *self.scenario.command, f"--output={output}"]
            return act(setup, output, command, setup.environment(self.scenario.changes))

    def points(self) -> list[Point]:
        """Where the command can be killed."""
        return self.run(lambda setup, output, command, environment: traced(command, environment, self.folder / "log"))

    def check(self, point: Point) -> bool:
        """Kill the command at a point and run it again. Returns whether it was killed."""
        return self.run(lambda *arguments: self._check(point, *arguments))

    def _check(
        self, point: Point, setup: Setup, output: Output, command: list[str], environment: dict[str, str]
    ) -> bool:
        scenario, api = self.scenario, setup.api
        assert api
        crashed = killed(command, environment, point)
        log = [f"killed at {point}", crashed.stderr]
        try:
            assert crashed.returncode in (-9, 137, 0), f"it ended with {crashed.returncode}"
            self._check_moment(setup, output, log)
            again = setup(*command[1:], environment=scenario.changes)
            log += ["run again", again.stderr]
            self._check_end(setup, output, api)
        except AssertionError as failure:
            raise AssertionError("\n".join([*map(str, failure.args), *log])) from None
        return crashed.returncode != 0

    def _check_moment(self, setup: Setup, output: Output, log: list[str]) -> None:
        """Right after the kill: the old set or the new one, whole."""
        verdict = setup("verify", f"--output={output}", "--json", status=None)
        log += ["verified", verdict.all]
        report = verdict.json
        assert report["findings"] == []
        if self.scenario.is_complete:
            assert verdict.status == 0
        else:
            # The tunnel alone, which is written down first, or all.
            parts = {text.split("(")[-1].rstrip(")") for text in report["missing"]}
            assert parts in (set(), {"ca.crt", "tls.crt"}, {"ca.crt", "tls.crt", "tunnel-domain"}), report["missing"]

    def _check_end(self, setup: Setup, output: Output, api: TunnelsAPI) -> None:
        scenario = self.scenario
        names = output.names()
        if scenario.leaves_state:
            names -= {"setup-state.json"}
        assert names == NAMES, f"the folder holds {sorted(names)}"
        state = api.state()
        tunnels = [tunnel for tunnel in state["tunnels"] if "archived_at" not in tunnel]
        assert len(tunnels) == scenario.tunnels, f"there are {len(tunnels)} tunnels"
        stored = next(tunnel for tunnel in tunnels if tunnel["id"] == output.text("tunnel-id"))
        assert stored["domain"] == output.text("tunnel-domain")
        assert stored["token"] == output.text("tunnel-token"), "the stored token is not the one in force"
        certificates = [c for c in state["certificates"] if c["tunnel_id"] == stored["id"]]
        active = [certificate["fingerprint"] for certificate in certificates if "archived_at" not in certificate]
        assert len(active) == scenario.authorities, f"{len(active)} CAs are registered"
        assert output.fingerprint() in active, "the stored CA is not registered"
        # What was revoked is what was there before, and no CA was registered in vain.
        assert len(certificates) <= 2
        setup("verify", f"--output={output}")
        if "--token-version=2" in scenario.command:
            assert output.text("token-version") == "2"
            assert len(stored["former_tokens"]) == 1, "the token was rotated more than once"


@pytest.fixture(scope="module")
def stages(setup_binary: Path, fake_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path_factory.mktemp("crash")
    return [Stage(scenario, setup_binary, fake_binary, folder / f"{n}") for n, scenario in enumerate(SCENARIOS)]


def evenly(items: list[Point], count: int) -> list[Point]:
    if count >= len(items):
        return items
    return [items[index * len(items) // count] for index in range(count)]


@pytest.mark.parametrize("index", range(len(SCENARIOS)), ids=[scenario.name for scenario in SCENARIOS])
def test_killed_at_every_write(stages: list[Stage], index: int, record_property, capsys) -> None:
    stage = stages[index]
    every = stage.points()
    assert len(every) > 10
    begin = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        # What one point takes, the machine tells.
        probe = every[:: max(1, len(every) // (2 * WORKERS))]
        hits = list(pool.map(stage.check, probe))
        took = (time.monotonic() - begin) / len(probe)
        share = SECONDS / len(SCENARIOS) - took * len(probe)
        rest = [point for point in every if point not in probe]
        chosen = rest if SECONDS == 0 else evenly(rest, max(0, int(share / took)))
        hits += list(pool.map(stage.check, chosen))
    record_property("points", len(hits))
    with capsys.disabled():
        print(f"[{stage.scenario.name}: killed at {sum(hits)} of {len(every)} points]", end=" ", flush=True)
    # Which way a run takes through the network is not the same each time; all but a few take the same.
    assert sum(hits) >= len(hits) * 0.9
