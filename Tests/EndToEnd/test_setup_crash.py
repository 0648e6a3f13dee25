"""Setup is killed at every system call that writes, and run again: nothing is lost, nothing is done twice.

Each scenario runs once whole under strace, which gives the calls; then once for each of them, killed right before it,
from the same beginning. `CRASH_SECONDS` (default 60) bounds the time for all scenarios: where there are more points
than fit, they are taken evenly, and how many were taken is printed. `CRASH_SECONDS=0` takes all.
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
    #: How often the token may be rotated by the run that is killed and the one after it together.
    rotations: int = 0
    #: Whether the output is complete before the command, so that it must be so at every moment.
    is_complete: bool = True
    #: Whether work is left by design: the old CA waits to be revoked.
    leaves_state: bool = False
    #: What is kept of a tunnel that is not used any more.
    leaves: frozenset[str] = frozenset()


def nothing(setup: Setup, output: Output) -> None:
    """An empty place."""


def initialized(setup: Setup, output: Output) -> Outcome:
    return setup("init", f"--output={output}", FAST, "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})


def begun(setup: Setup, output: Output) -> Outcome:
    initialized(setup, output)
    return setup("rotate-ca", f"--output={output}")


def created_unseen(setup: Setup, output: Output) -> None:
    """The answer to the creation is lost, and so is the way to ask."""
    assert setup.api
    setup.api.fail("drop_after", "/v1/tunnels")
    setup.api.fail("drop_before", "/v1/tunnels", "GET", skip=1, times=9)
    setup(*INIT, f"--output={output}", status=1)
    assert len(setup.api.tunnels()) == 3 and output.names() == {"setup-state.json"}
    setup.api.heal()
    output.age()


def rotated_unseen(setup: Setup, output: Output) -> None:
    """The answer to the rotation is lost: the stored token is no longer the one in force."""
    initialized(setup, output)
    assert setup.api
    setup.api.fail("drop_after", "/v1/tunnels/*/rotate_token", times=9)
    setup("init", f"--output={output}", "--token-version=2", status=1)
    assert setup.api.tunnel(TUNNEL_ID)["token"] != output.text("tunnel-token")
    setup.api.heal()


INIT = ["init", FAST, "--token-version=1"]
OTHER = "tnl_01Other"
SCENARIOS = [
    Scenario("create", nothing, INIT, tunnels=3, authorities=1, is_complete=False),
    Scenario("attach", nothing, INIT, 2, 1, {"TUNNEL_ID": TUNNEL_ID}, is_complete=False),
    Scenario("rotate the token", initialized, ["init", "--token-version=2"], 2, 1, rotations=1),
    Scenario(
        "change the tunnel", initialized, INIT, 2, 1, {"TUNNEL_ID": OTHER},
        leaves=frozenset({"old-tunnel-id", "old-ca.crt", "old-ca.key"})),
    Scenario("renew-cert", initialized, ["renew-cert"], 2, 1),
    Scenario("rotate-ca", initialized, ["rotate-ca"], 2, 2, leaves_state=True),
    Scenario("rotate-ca --finish", begun, ["rotate-ca", "--finish"], 2, 1),
    Scenario("create, begun before", created_unseen, INIT, 3, 1, is_complete=False),
    Scenario("rotate the token, begun before", rotated_unseen, ["init", "--token-version=2"], 2, 1),
    Scenario("token rotate", initialized, ["token", "rotate", "--yes"], 2, 1, rotations=2),
]


class Stage:
    """One scenario's beginning, from which any number of runs can start, and the points where they can be killed."""

    def __init__(self, scenario: Scenario, setup_binary: Path, fake_binary: Path, folder: Path) -> None:
        self.scenario, self.setup_binary, self.fake_binary, self.folder = scenario, setup_binary, fake_binary, folder
        folder.mkdir()
        self.numbers = itertools.count()
        self.beginning = Output(folder / "data")
        self.state = folder / "api.json"
        with self.api(self.state) as api:
            scenario.prepare(Setup(setup_binary, api), self.beginning)
            self.rotations = api.audit().count("tunnel_token_rotated")
        self.points = self.run(lambda _, output, command, environment: traced(command, environment, folder / "log"))

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
            output.age()
            again = setup(*command[1:], environment=scenario.changes)
            log += ["run again", again.stderr]
            self._check_end(setup, output, api)
        except AssertionError as failure:
            raise AssertionError("\n".join([*map(str, failure.args), *log])) from None
        return crashed.returncode != 0

    def _check_moment(self, setup: Setup, output: Output, log: list[str]) -> None:
        """Right after the kill: the old set or the new one, whole."""
        if not output.folder.exists():
            return
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
        assert names == NAMES | scenario.leaves, f"the folder holds {sorted(names)}"
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
        # No CA was registered in vain.
        assert len(certificates) == (2 if "rotate-ca" in scenario.command else 1)
        setup("verify", f"--output={output}")
        rotations = sum(event["kind"] == "tunnel_token_rotated" for event in state["audit"]) - self.rotations
        assert rotations <= scenario.rotations, f"the token was rotated {rotations} times"
        assert output.text("token-version") == ("2" if "--token-version=2" in scenario.command else "1")


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
def test_killed_at_every_write(stages: list[Stage], index: int, capsys: pytest.CaptureFixture[str]) -> None:
    stage = stages[index]
    every = stage.points
    assert len(every) > 10
    begin = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        # What one point takes, the machine tells.
        probe = evenly(every, 4 * WORKERS)
        hits = list(pool.map(stage.check, probe))
        took = (time.monotonic() - begin) / len(probe)
        share = SECONDS * len(every) / sum(len(each.points) for each in stages)
        rest = [point for point in every if point not in probe]
        chosen = rest if SECONDS == 0 else evenly(rest, max(0, int(share / took) - len(probe)))
        hits += list(pool.map(stage.check, chosen))
    with capsys.disabled():
        print(f"\n{stage.scenario.name}: killed at {sum(hits)} of {len(every)} points", end=" ", flush=True)
    # The way through the network is not the same each time; all but a few runs take that of the first.
    assert sum(hits) >= len(hits) * 0.9
