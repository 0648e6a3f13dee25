"""mcp-tunnel-renew: the service, which has no network, and its timer."""

from __future__ import annotations

import pytest
from conftest import STORE, Tunnel, generate
from machine import Machine

FILES = ["ca.crt", "ca.key", "tls.crt", "tls.key"]


def digests(machine: Machine) -> dict[str, str]:
    lines = machine.run("sha256sum", *(f"{STORE}/{name}" for name in FILES)).splitlines()
    return {name: line.split()[0] for name, line in zip(FILES, lines, strict=True)}


def renew(machine: Machine) -> None:
    machine.systemctl("start", "mcp-tunnel-renew")
    assert machine.property("mcp-tunnel-renew", "Result") == "success"


def test_renews_what_ends_soon(machine: Machine, clean: object) -> None:
    generate(machine, "--cert-duration=719h")
    before = digests(machine)
    renew(machine)
    after = digests(machine)
    assert [name for name in FILES if before[name] != after[name]] == ["tls.crt", "tls.key"]
    modes = machine.run("stat", "--format=%n %a %U:%G", *(f"{STORE}/{name}" for name in FILES), STORE)
    assert modes.splitlines() == [
        f"{STORE}/ca.crt 644 mcp-tunnel:mcp-tunnel",
        f"{STORE}/ca.key 600 mcp-tunnel:mcp-tunnel",
        f"{STORE}/tls.crt 644 mcp-tunnel:mcp-tunnel",
        f"{STORE}/tls.key 600 mcp-tunnel:mcp-tunnel",
        f"{STORE} 700 mcp-tunnel:mcp-tunnel",
    ]
    machine.run("mcp-tunnel-setup", "verify", f"--output=dir:{STORE}", "--expires-within=720h")


def test_leaves_what_lasts(machine: Machine, clean: object) -> None:
    generate(machine, "--cert-duration=721h")
    before = digests(machine)
    renew(machine)
    assert digests(machine) == before


def test_rotates_ticket_keys_once_a_day_and_without_the_key(machine: Machine, clean: object) -> None:
    """The CA's key may be kept elsewhere. When the certificate is due, that is said."""
    def keys() -> list[str]:
        return machine.run("grep", "-v", "#", f"{STORE}/ticket-keys").splitlines()

    def a_day_passes() -> None:
        machine.run("sed", "-i", "s/^# rotated [0-9]*/# rotated 2020/", f"{STORE}/ticket-keys")

    generate(machine, "--cert-duration=721h")
    machine.run("rm", f"{STORE}/ca.key")
    before = keys()
    renew(machine)
    assert keys() == before
    a_day_passes()
    renew(machine)
    assert keys()[:2] == before[1:] and len(keys()) == 3
    mode = machine.run("stat", "--format=%a %U:%G", f"{STORE}/ticket-keys")
    assert mode.strip() == "600 mcp-tunnel:mcp-tunnel"
    machine.run("mv", f"{STORE}/ticket-keys", f"{STORE}/kept")
    renew(machine)
    assert machine.property("mcp-tunnel-renew", "ConditionResult") == "no", "neither is there"


def test_says_that_the_key_is_missing(machine: Machine, clean: object) -> None:
    generate(machine, "--cert-duration=24h")
    machine.run("rm", f"{STORE}/ca.key")
    cursor = machine.cursor()
    machine.fails("systemctl", "start", "mcp-tunnel-renew")
    machine.wait_for("mcp-tunnel-renew", "ca.key is not there", cursor)


def test_says_why_it_failed(machine: Machine, clean: object) -> None:
    generate(machine, "--cert-duration=24h")
    machine.run("sh", "-c", f"echo nonsense >{STORE}/ca.key")
    cursor = machine.cursor()
    machine.fails("systemctl", "start", "mcp-tunnel-renew")
    machine.wait_for("mcp-tunnel-renew", "ca.key: no private key in the file", cursor)


def test_has_no_network(machine: Machine) -> None:
    assert machine.property("mcp-tunnel-renew", "PrivateNetwork") == "yes"
    # An empty allow-list: no address family at all.
    assert machine.property("mcp-tunnel-renew", "RestrictAddressFamilies") == ""


@pytest.fixture
def timer(machine: Machine, clean: object) -> None:
    machine.systemctl("enable", "--now", "mcp-tunnel-renew.timer")
    yield
    machine.systemctl("disable", "--now", "mcp-tunnel-renew.timer")


def test_timer(tunnel: Tunnel, timer: None) -> None:
    machine = tunnel.machine
    assert machine.property("mcp-tunnel-renew.timer", "Persistent") == "yes"
    assert machine.property("mcp-tunnel-renew.timer", "Unit") == "mcp-tunnel-renew.service"
    assert machine.property("mcp-tunnel-renew.timer", "RandomizedDelayUSec") == "6h"
    due = machine.run("date", "+%s", f"--date={machine.property('mcp-tunnel-renew.timer', 'NextElapseUSecRealtime')}")
    now = machine.run("date", "+%s")
    assert 0 < int(due) - int(now) <= 30 * 3600
