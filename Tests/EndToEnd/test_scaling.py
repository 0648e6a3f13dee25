"""docs/scaling.md is what its script computes, and the script counts right at the bounds."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY

SCALE = REPOSITORY / "Benchmarks/ScaleBench"
sys.path.insert(0, str(SCALE))

import model  # noqa: E402

RECORD = model.Record.read()


def test_the_tables_are_those_that_come_out_now() -> None:
    done = subprocess.run([SCALE / "scale", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_figures_are_read_by_the_names_of_their_columns() -> None:
    text = (REPOSITORY / "docs/performance.md").read_text()
    row = next(line for line in text.splitlines() if re.match(r"idle-5000 +mcp-proxy ", line))
    assert f"{RECORD.idle_stream:.1f}" in row.split()
    # With a P-256 certificate a handshake in full costs the proxy little more than a resumed one, or as much.
    assert 1 < RECORD.event < RECORD.request < min(RECORD.resumed_handshake, RECORD.full_handshake)
    assert max(RECORD.resumed_handshake, RECORD.full_handshake) < RECORD.rsa_handshake
    assert 1 < RECORD.idle_stream < 100 and 1 < RECORD.busy_stream < 100 and 1024 < RECORD.process < 102_400


@pytest.mark.parametrize("settings", model.PROFILES, ids=lambda each: each.name)
def test_one_stream_more_than_replicas_hold_takes_one_more(settings: model.Settings) -> None:
    room = model.Plan.room(min(settings.limits(RECORD, model.Load()).values()))
    full = 3 * room
    plans = [model.Plan.make(streams, settings, RECORD, model.Load()) for streams in (full, full + 1)]
    # One of them is to spare.
    assert [plan.replicas for plan in plans] == [4, 5]
    # With one missing none is over its bound.
    assert [plan.each for plan in plans][0] == room and plans[1].each < room


def test_connections_go_by_the_memory_as_the_proxy_counts_them() -> None:
    assert [model.Settings("", memory=memory).connections for memory in (1, 512, 1250, 4096)] == [64, 8192, 20_000, 20_000]
    assert model.Settings("", memory=512, max_connections=9).connections == 9


def test_what_is_narrowest_comes_first() -> None:
    load = model.Load()
    for change, first in (
        ({"max_requests": 100}, "`limits.max_requests`"), ({"max_connections": 100}, "`limits.max_connections`"),
        ({"descriptors": 1_000}, "descriptors"), ({"ports": 100}, "ports from cloudflared to the proxy"),
        ({"memory": 40, "max_connections": 5_000}, "memory"),
    ):
        limits = model.Settings("", **change).limits(RECORD, load)
        assert next(iter(limits)) == first and list(limits.values()) == sorted(limits.values())
    busy = model.Load(busy=1, events=1_000)
    assert next(iter(model.DEFAULTS.limits(RECORD, busy))) == "CPU at 60%"


def test_a_prediction_is_the_sum_of_its_streams() -> None:
    one, two = (model.predict(RECORD, 1_000 * factor, 100 * factor, 10, factor) for factor in (1, 2))
    for name in ("cores", "memory", "descriptors", "ports"):
        assert getattr(two, name) == pytest.approx(2 * getattr(one, name))


def test_a_plan_for_an_own_load() -> None:
    done = subprocess.run(
        [SCALE / "scale", "plan", "--streams", "50000", "--busy", "0.2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("\n| 50,000 |") == 3, done.stdout + done.stderr
