"""cloudflared-mcp-tunnel.service, with a stand-in that says what it is given and what it can see."""

from __future__ import annotations

from conftest import STORE, Tunnel
from machine import Machine

UNIT = "cloudflared-mcp-tunnel"


def store_token(machine: Machine, token: str) -> None:
    machine.run("sh", "-c", f"umask 077; echo {token} >{STORE}/tunnel-token; chown mcp-tunnel: {STORE}/tunnel-token")


def test_starts_with_the_proxy(tunnel: Tunnel, stand_in: None) -> None:
    machine = tunnel.machine
    store_token(machine, "eyJhIjoiRVhBTVBMRSJ9")
    cursor = machine.cursor()
    # It wants the proxy, and is up when the stand-in says that it is connected.
    machine.systemctl("start", UNIT)
    assert machine.property("mcp-proxy", "ActiveState") == "active"
    assert machine.property(UNIT, "SubState") == "running"
    machine.wait_for(UNIT, "Registered tunnel connection", cursor)
    process = machine.property(UNIT, "MainPID")
    status = machine.run("cat", f"/proc/{process}/status")
    assert "CapBnd:\t0000000000000000" in status
    users = {machine.run("stat", "--format=%u", f"/proc/{pid}").strip() for pid in (process, str(tunnel.process))}
    assert len(users) == 2 and "0" not in users
    environment = machine.run("tr", "\\0", "\\n", stdin=None, input=machine.run("cat", f"/proc/{process}/environ"))
    assert "eyJ" not in environment + machine.run("cat", f"/proc/{process}/cmdline")
    machine.systemctl("stop", UNIT)
    assert machine.property(UNIT, "Result") == "success"


def test_stops_before_the_proxy(tunnel: Tunnel, stand_in: None) -> None:
    machine = tunnel.machine
    store_token(machine, "eyJhIjoiRVhBTVBMRSJ9")
    machine.systemctl("start", UNIT)
    cursor = machine.cursor()
    machine.systemctl("stop", UNIT, "mcp-proxy")
    machine.wait_for("mcp-proxy", "Stopped mcp-proxy.service", cursor)
    machine.run("journalctl", "--sync")
    lines = machine.run("journalctl", "--output=cat", f"--after-cursor={cursor}", "_PID=1").splitlines()
    order = [line.split(".service")[0] for line in lines if line.startswith(("Stopping ", "Stopped "))]
    assert order == [f"Stopping {UNIT}", f"Stopped {UNIT}", "Stopping mcp-proxy", "Stopped mcp-proxy"]


def test_without_a_token(tunnel: Tunnel, stand_in: None) -> None:
    assert "Assertion failed" in tunnel.machine.fails("systemctl", "start", UNIT)
