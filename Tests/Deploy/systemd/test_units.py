"""The units as files: what systemd thinks of them."""

from __future__ import annotations

import re
import subprocess

import pytest
from conftest import SERVICES, UNITS
from machine import Machine
from roots import run

LIMIT = 1.5


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure(unit: str) -> None:
    report = run("systemd-analyze", "security", "--no-pager", "--offline=true", UNITS / unit)
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", report)
    assert found, report
    assert float(found[1]) <= LIMIT, report


def test_every_service_is_rated() -> None:
    assert SERVICES == [
        "cloudflared-mcp-tunnel.service", "mcp-proxy.service", "mcp-tunnel-renew.service", "mcp-tunnel-setup.service",
    ]  # fmt: skip


@pytest.mark.parametrize("unit", [*SERVICES, "mcp-proxy.socket", "mcp-tunnel-renew.timer"])
def test_verify(machine: Machine, stand_in: None, unit: str) -> None:
    # Pages of the manual are not installed there; another test sees that there are such.
    result = subprocess.run(
        machine.command("systemd-analyze", "verify", "--man=no", f"/lib/systemd/system/{unit}"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_documentation_is_there() -> None:
    pages = {path.name for path in (UNITS.parent / "man").iterdir()}
    named = {
        f"{name}.{section}"
        for path in UNITS.iterdir()
        for name, section in re.findall(r"man:([\w.-]+)\((\d)\)", path.read_text())
    }
    assert named and named <= pages


def test_the_socket_is_where_the_example_listens() -> None:
    example = (UNITS.parent / "debian/examples/config.yaml").read_text()
    (address,) = re.findall(r"^ListenStream=(.*)$", (UNITS / "mcp-proxy.socket").read_text(), re.M)
    assert f"\nlisten_addr: {address}\n" in example


def test_the_proxy_has_time_to_drain() -> None:
    unit = (UNITS / "mcp-proxy.service").read_text()
    seconds = int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.M)[1])  # type: ignore[index]
    documents = (UNITS.parents[1] / "docs" / "configuration.md").read_text()
    default = int(re.search(r"`shutdown_timeout` \| `duration` \| `(\d+)s`", documents)[1])  # type: ignore[index]
    assert seconds >= default + 10
