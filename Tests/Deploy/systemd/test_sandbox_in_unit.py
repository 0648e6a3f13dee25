"""The sandbox under the filters of mcp-proxy.service: what the unit denies, and what the proxy denies itself besides."""

from __future__ import annotations

import ctypes
import json
import os
import re
from pathlib import Path

import pytest
from conftest import CONFIGURATION, STORE, Tunnel
from machine import Machine
from roots import run

ABI = ctypes.CDLL(None).syscall(444, None, 0, 1)
TOOL = os.environ.get("SANDBOX_ESCAPE", "")
UNIT = "sandbox-escape"
ATTEMPTS = {
    # The unit leaves these to be read by its user.
    "read /etc/passwd": "ok", "read /usr/bin/mcp-proxy": "EACCES", "list /usr": "EACCES", "list /var": "EACCES",
    f"read {STORE}/tls.crt": "ok", f"write {STORE}/new": "EROFS", "write /run/mcp-proxy/new": "EACCES",
    "connect 9": "ECONNREFUSED", "connect 13": "EACCES", "bind 8099": "EACCES", "sendto 13": "EPERM",
    "exec /bin/true": "EPERM", "spawn /bin/true": "EPERM", "fork x": "EPERM", "clone3 x": "ENOSYS", "namespace x": "EPERM",
    "dumpable x": "EPERM", "privileges x": "1", "type x": "EPERM", "thread x": "ok",
}  # fmt: skip


def attempt(tunnel: Tunnel, lines: list[str]) -> tuple[str, dict[str, str]]:
    """What is in force in a unit that is the proxy's in all but its program, and what came of each line."""
    machine = tunnel.machine
    unit = machine.run("cat", "/usr/lib/systemd/system/mcp-proxy.service")
    changes = (
        "[Service]\nType=oneshot\nExecStart=\nExecReload=\nWatchdogSec=0\nRestart=no\nNotifyAccess=none\n"
        f"ExecStart=/usr/bin/sandbox-escape {CONFIGURATION}\nExecPaths=/usr/bin/sandbox-escape\n"
        "StandardInput=file:/etc/mcp-gateway/lines\nStandardOutput=journal\nSyslogIdentifier=sandbox-escape\n")
    machine.write(f"/run/systemd/system/{UNIT}.service", unit)
    machine.write(f"/run/systemd/system/{UNIT}.service.d/program.conf", changes)
    machine.write("/etc/mcp-gateway/lines", "".join(f"{line}\n" for line in lines))
    with open(TOOL, "rb") as program:
        machine.run("sh", "-c", "cat >/usr/bin/sandbox-escape; chmod 755 /usr/bin/sandbox-escape", stdin=program)
    try:
        machine.systemctl("daemon-reload")
        cursor = machine.cursor()
        machine.systemctl("start", UNIT)
        # With a match of its own, journalctl would skip the first line behind the cursor.
        text = machine.run("journalctl", "--output=short", f"--after-cursor={cursor}")
        ready, *rest = re.findall(r" sandbox-escape\[\d+\]: (.*)$", text, re.MULTILINE)
        return ready, dict(line.rpartition(": ")[::2] for line in rest)
    finally:
        machine.run("rm", "-rf", f"/run/systemd/system/{UNIT}.service", f"/run/systemd/system/{UNIT}.service.d",
                    "/usr/bin/sandbox-escape")  # fmt: skip
        machine.systemctl("daemon-reload")


def configure(tunnel: Tunnel, **changes: object) -> None:
    tunnel.configure(a="http://127.0.0.1:9")
    settings = json.loads(tunnel.machine.run("cat", CONFIGURATION)) | {"sandbox_ports": "configured"} | changes
    tunnel.machine.write(CONFIGURATION, json.dumps(settings))


with_tool = pytest.mark.skipif(not TOOL, reason="SANDBOX_ESCAPE names no program: Tests/Deploy/debian/run builds it")
with_landlock = pytest.mark.skipif(ABI < 6, reason="the kernel's Landlock lacks what is tried here")


@with_tool
@with_landlock
def test_what_the_sandbox_denies_under_the_units_filters(tunnel: Tunnel) -> None:
    configure(tunnel)
    ready, outcomes = attempt(tunnel, list(ATTEMPTS))
    assert ready == f"ready landlock={min(ABI, 7)} calls=true missing=[]"
    assert outcomes == ATTEMPTS
    # It was the sandbox that denied these, and the unit that denies the last.
    configure(tunnel, sandbox="off")
    _, free = attempt(tunnel, ["read /usr/bin/mcp-proxy", "list /usr", "connect 13", "write /run/mcp-proxy/new", "list /root"])
    assert list(free.values()) == ["ok", "ok", "ECONNREFUSED", "ok", "EACCES"], free


@with_tool
def test_calls_that_are_never_made_fail_under_the_units_filters(tunnel: Tunnel) -> None:
    configure(tunnel)
    _, outcomes = attempt(tunnel, ["calls"])
    assert len(outcomes) > 50 and set(outcomes.values()) <= {"EPERM", "ENOSYS"}, outcomes


@with_landlock
def test_the_proxy_says_that_all_of_it_is_in_force(tunnel: Tunnel) -> None:
    configure(tunnel, admin_addr="127.0.0.1:8081")
    machine: Machine = tunnel.machine
    cursor = machine.cursor()
    machine.systemctl("start", "mcp-proxy")
    line = machine.wait_for("mcp-proxy", " sandbox mode=", cursor)
    assert f"landlock={min(ABI, 7)} calls=filtered" in line and "missing=" not in line
    script = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8081/status').read().decode())"
    status = json.loads(run(*machine.in_network("python3", "-c", script)))["sandbox"]
    assert status["landlock_abi"] == min(ABI, 7) and status["filters_calls"] and status["missing"] == []


def test_the_unit_says_what_it_allows() -> None:
    unit = Path(__file__).resolve().parents[3] / "deploy/systemd/mcp-proxy.service"
    allowed = [line for line in unit.read_text().splitlines() if line.startswith("SystemCallFilter=landlock")]
    assert allowed == ["SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp"]
