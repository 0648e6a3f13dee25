"""mcp-proxy.service and mcp-proxy.socket with systemd itself: what it is told, its watchdog, and the listener that it holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from conftest import CONFIGURATION, Tunnel
from machine import Machine
from roots import run

HERE = Path(__file__).parent


def test_is_up_when_it_serves(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    machine.systemctl("start", "mcp-proxy")
    assert tunnel.get("/at-once") == "200 hello from /at-once"
    assert machine.property("mcp-proxy", "Type") == "notify"
    assert machine.property("mcp-proxy", "WatchdogUSec") == "30s"
    assert re.fullmatch(
        r"serving: tunnels 0, requests under way 0; certificate ends 20[0-9T:.-]+Z",
        machine.property("mcp-proxy", "StatusText"),
    )


def test_a_reload_is_seen_and_ends(proxy: Tunnel) -> None:
    machine = proxy.machine
    for reload in (["reload", "mcp-proxy"], ["kill", "--signal=HUP", "mcp-proxy"]):
        cursor = machine.cursor()
        machine.systemctl(*reload)
        machine.wait_for("mcp-proxy", "configuration reloaded", cursor)
        # What is told is told in order, so the next command finds it reloaded.
        machine.run("mcp-proxy", "healthcheck")
        assert (machine.property("mcp-proxy", "ActiveState"), machine.property("mcp-proxy", "SubState")) == (
            "active", "running"
        )  # fmt: skip


def process_outside(machine: Machine) -> str:
    """The proxy's process as this system numbers it."""
    return run("pgrep", "--ns", machine.leader, "--nslist", "pid", "-x", "mcp-proxy").split()[0]


def test_a_loop_that_hangs_is_seen_by_the_watchdog(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    machine.write("/run/systemd/system/mcp-proxy.service.d/soon.conf", "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "mcp-proxy")
    before, cursor = tunnel.process, machine.cursor()
    command = [sys.executable, HERE / "stopping.py", process_outside(machine), "loop-0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stopping:
        assert stopping.stdout and stopping.stdout.readline() == "stopped\n"
        machine.wait_for("mcp-proxy", "Watchdog timeout", cursor)
        assert stopping.wait(20) == 0
    machine.wait_for("mcp-proxy", " listening ", cursor)
    assert tunnel.process != before
    assert tunnel.get() == "200 hello from /"
    # One that is well says so, and is left alone for longer than the watchdog waits.
    after = tunnel.process
    start = int(machine.property("mcp-proxy", "ExecMainStartTimestampMonotonic"))
    deadline = time.monotonic() + 30
    while int(machine.property("mcp-proxy", "WatchdogTimestampMonotonic")) < start + 4_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert tunnel.process == after and machine.property("mcp-proxy", "NRestarts") == "1"


def test_the_socket_starts_the_proxy_and_outlives_it(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    machine.systemctl("start", "mcp-proxy.socket")
    assert machine.property("mcp-proxy", "ActiveState") == "inactive"
    assert tunnel.get("/first") == "200 hello from /first"
    machine.wait_for("mcp-proxy", 'listening addr=127.0.0.1:8080 .*from="the service manager"', cursor="")
    machine.systemctl("kill", "--signal=KILL", "mcp-proxy")
    assert tunnel.get("/killed") == "200 hello from /killed"


def test_a_restart_refuses_no_connection(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    machine.systemctl("start", "mcp-proxy.socket", "mcp-proxy")
    command = machine.in_network(sys.executable, HERE / "connecting.py", "127.0.0.1", "8080")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as connecting:
        assert connecting.stdout and connecting.stdout.readline() == "begun\n"
        before = tunnel.process
        for number in range(3):
            machine.systemctl("restart", "mcp-proxy")
            assert tunnel.get(f"/{number}") == f"200 hello from /{number}"
        assert tunnel.process != before
        counts = json.loads(connecting.communicate("end\n", timeout=20)[0])
    assert counts["refused"] == 0 and counts["connected"] > 100, counts


def test_the_socket_has_to_be_where_the_configuration_says(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    tunnel.configure("127.0.0.1:8085")
    machine.systemctl("start", "mcp-proxy.socket")
    cursor = machine.cursor()
    machine.fails("systemctl", "start", "mcp-proxy")
    line = machine.wait_for("mcp-proxy", "listen_addr: 127.0.0.1:8085, but", cursor)
    assert "the socket that was passed listens at 127.0.0.1:8080 (write the same in listen_addr" in line
    assert CONFIGURATION not in line
