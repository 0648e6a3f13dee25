"""mcp-proxy.service, with systemd as the machine's first process: it serves, and can do no more than that."""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path

from conftest import CONFIGURATION, STORE, Tunnel
from machine import Machine
from roots import run


def test_serves(proxy: Tunnel) -> None:
    assert proxy.get("/mcp") == "200 hello from /mcp"
    assert proxy.machine.run("mcp-proxy", "healthcheck") == ""


def test_has_no_rights(proxy: Tunnel) -> None:
    status = proxy.machine.run("cat", f"/proc/{proxy.process}/status")
    values = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.M))
    user = proxy.machine.run("id", "-u", "mcp-tunnel").strip()
    assert values["Uid"].split() == [user] * 4
    assert values["Groups"].split() == [proxy.machine.run("id", "-g", "mcp-tunnel").strip()]
    assert {int(values[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")
    limits = proxy.machine.run("cat", f"/proc/{proxy.process}/limits")
    assert re.search(r"Max core file size +0 +0", limits)
    # A container's own limit may be lower.
    most = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert re.search(rf"Max open files +{most} +{most}", limits)


def look_inside(tunnel: Tunnel) -> dict[str, dict[str, str]]:
    """What the proxy's user can do in the proxy's view of the file system."""
    machine = tunnel.machine
    children = run("pgrep", "--ns", machine.leader, "--nslist", "pid", "-x", "mcp-proxy").split()
    user = machine.run("id", "-u", "mcp-tunnel").strip()
    return json.loads(run(sys.executable, Path(__file__).with_name("inside_unit.py"), children[0], user))


def test_sees_what_it_needs(proxy: Tunnel) -> None:
    # As a run of setup leaves it that was killed in the middle of a change.
    script = (
        "umask 077; mkdir .setup-journal .setup-journal.tmp; echo eyJ | tee tunnel-token .setup-journal.tmp/tunnel-token"
        " .setup-journal/ca.key setup-state.json; chown -R mcp-tunnel: ."
    )
    proxy.machine.run("sh", "-ec", f"cd {STORE}; {script}")
    proxy.machine.systemctl("restart", "mcp-proxy")
    found = look_inside(proxy)
    assert found["read"] == {
        "tls.crt": "done", "tls.key": "done", "ticket-keys": "done", "ca.crt": "done",
        "ca.key": "Permission denied", "tunnel-token": "Permission denied", "setup-state.json": "Permission denied",
        ".setup-journal/ca.key": "Permission denied", ".setup-journal.tmp/tunnel-token": "Permission denied",
    }  # fmt: skip
    assert found["write"].pop("/run/mcp-proxy") == "done"
    assert set(found["write"].values()) <= {"Read-only file system", "Permission denied"}
    assert found["write"][STORE] == "Read-only file system"
    assert set(found["execute"].values()) == {"Permission denied"}
    assert set(found["list"].values()) == {"Permission denied"}


def test_reloads(proxy: Tunnel) -> None:
    before = proxy.process
    cursor = proxy.machine.cursor()
    proxy.configure(other=f"http://127.0.0.1:{proxy.upstream_port}")
    proxy.machine.systemctl("reload", "mcp-proxy")
    # It is in force when the command returns.
    assert proxy.get("/again", route="other") == "200 hello from /again"
    proxy.machine.wait_for("mcp-proxy", "configuration reloaded by=command", cursor)
    assert proxy.process == before


def test_reload_of_an_error_changes_nothing(proxy: Tunnel) -> None:
    cursor = proxy.machine.cursor()
    proxy.machine.write(CONFIGURATION, "routes: []")
    proxy.machine.fails("systemctl", "reload", "mcp-proxy")
    proxy.machine.wait_for("mcp-proxy", f"^{CONFIGURATION}:1:\\d+: routes: ", cursor)
    proxy.machine.wait_for("mcp-proxy", "configuration not reloaded, the old one stays", cursor)
    assert proxy.machine.property("mcp-proxy", "ActiveState") == "active"
    assert proxy.get() == "200 hello from /"


def test_resolves_names(tunnel: Tunnel) -> None:
    tunnel.machine.run("sh", "-c", "echo 127.0.0.1 upstream.test >>/etc/hosts")
    tunnel.configure(named=f"http://upstream.test:{tunnel.upstream_port}")
    tunnel.machine.systemctl("start", "mcp-proxy")
    tunnel.machine.wait_for("mcp-proxy", " listening ", cursor="")
    assert tunnel.get("/by-name", route="named") == "200 hello from /by-name"


def test_listens_on_a_unix_socket(tunnel: Tunnel) -> None:
    machine = tunnel.machine
    tunnel.configure("unix:/run/mcp-proxy/proxy.sock")
    cursor = machine.cursor()
    machine.systemctl("start", "mcp-proxy")
    machine.wait_for("mcp-proxy", " listening ", cursor)
    machine.run("mcp-proxy", "healthcheck")
    # As operating.md has it for cloudflared: whoever is of the group may connect, whatever the unit's umask.
    found = machine.run("stat", "--format=%a %U %G", "/run/mcp-proxy/proxy.sock", "/run/mcp-proxy").split("\n")
    assert found[:2] == ["660 mcp-tunnel mcp-tunnel", "755 mcp-tunnel mcp-tunnel"]
    answer = tunnel.get("/unix", listener=f"unix:/proc/{machine.leader}/root/run/mcp-proxy/proxy.sock")
    assert answer == "200 hello from /unix"


def test_is_restarted_when_it_dies(proxy: Tunnel) -> None:
    cursor = proxy.machine.cursor()
    proxy.machine.systemctl("kill", "--signal=KILL", "mcp-proxy")
    proxy.machine.wait_for("mcp-proxy", " listening ", cursor)
    assert proxy.get() == "200 hello from /"
    assert proxy.machine.property("mcp-proxy", "NRestarts") == "1"


def test_stops_cleanly(proxy: Tunnel) -> None:
    cursor = proxy.machine.cursor()
    proxy.machine.systemctl("stop", "mcp-proxy")
    proxy.machine.wait_for("mcp-proxy", "stopped clean=true", cursor)
    assert proxy.machine.property("mcp-proxy", "Result") == "success"


def test_without_a_configuration(machine: Machine, clean: object) -> None:
    assert "Assertion failed" in machine.fails("systemctl", "start", "mcp-proxy")


def test_with_a_wrong_configuration(machine: Machine, clean: object) -> None:
    cursor = machine.cursor()
    machine.write(CONFIGURATION, "listen_addr: 127.0.0.1:8080\n")
    # The command waits for the proxy to serve, and so it fails with it.
    assert "failed" in machine.fails("systemctl", "start", "mcp-proxy")
    line = machine.wait_for("mcp-proxy", "mcp-proxy: ", cursor)
    assert f"{CONFIGURATION}" in line


def test_takes_a_renewed_certificate(proxy: Tunnel) -> None:
    before = proxy.process
    cursor = proxy.machine.cursor()
    serial = proxy.machine.run("sha256sum", f"{STORE}/tls.crt")
    proxy.machine.run("mcp-tunnel-setup", "renew-cert", f"--output=dir:{STORE}", "--cert-duration=24h")
    proxy.machine.wait_for("mcp-proxy", "certificate reloaded", cursor)
    cursor = proxy.machine.cursor()
    # Less than 720h remain, so that the service has something to do.
    proxy.machine.systemctl("start", "mcp-tunnel-renew")
    proxy.machine.wait_for("mcp-proxy", "certificate reloaded", cursor)
    assert proxy.machine.run("sha256sum", f"{STORE}/tls.crt") != serial
    assert proxy.get() == "200 hello from /"
    assert proxy.process == before
