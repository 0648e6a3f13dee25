"""mcp-tunnel-setup.service against the fake of the Tunnels API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from conftest import STORE
from machine import Machine
from roots import REPOSITORY

SETTINGS = "/etc/mcp-gateway/setup.env"


@pytest.fixture
def identity(machine: Machine, clean: object) -> Iterator[dict]:
    """Who may come in at a fake API in the machine's network."""
    with machine.server(
        REPOSITORY / ".build/debug/tunnels-api-fake", "--listen", "127.0.0.1:0", "--json", "--quiet"
    ) as line:
        yield json.loads(line)


def write_settings(machine: Machine, identity: dict, version: str = "1") -> None:
    settings = {
        "API_URL": identity["api_url"],
        "ANTHROPIC_FEDERATION_RULE_ID": identity["federation_rule_id"],
        "ANTHROPIC_ORGANIZATION_ID": identity["organization_id"],
        "ANTHROPIC_IDENTITY_TOKEN": identity["identity_token"],
        "TOKEN_VERSION": version,
    }
    machine.write(SETTINGS, "".join(f"{name}={value}\n" for name, value in settings.items()), 0o600)


def token(machine: Machine) -> str:
    return machine.run("cat", f"{STORE}/tunnel-token").strip()


def test_provisions_and_rotates(machine: Machine, identity: dict) -> None:
    cursor = machine.cursor()
    write_settings(machine, identity)
    machine.systemctl("start", "mcp-tunnel-setup")
    first = token(machine)
    tunnel = machine.run("cat", f"{STORE}/tunnel-id")
    assert first.startswith("eyJ") and tunnel.startswith("tnl_")
    assert machine.run("stat", "--format=%a %U", f"{STORE}/tunnel-token").strip() == "600 mcp-tunnel"
    machine.run("mcp-tunnel-setup", "verify", f"--output=dir:{STORE}")

    machine.systemctl("start", "mcp-tunnel-setup")
    assert token(machine) == first, "it changes nothing when nothing is asked for"

    write_settings(machine, identity, version="2")
    machine.systemctl("start", "mcp-tunnel-setup")
    assert token(machine) != first
    assert machine.run("cat", f"{STORE}/tunnel-id") == tunnel

    machine.wait_for("mcp-tunnel-setup", "rotated", cursor)
    journal = machine.journal("mcp-tunnel-setup", f"--after-cursor={cursor}")
    for secret in (first, token(machine), identity["identity_token"]):
        assert secret not in journal


def test_says_why_it_failed(machine: Machine, identity: dict) -> None:
    write_settings(machine, identity | {"federation_rule_id": "fdrl_unknown"})
    cursor = machine.cursor()
    machine.fails("systemctl", "start", "mcp-tunnel-setup")
    machine.wait_for("mcp-tunnel-setup", "401", cursor)


def test_without_settings(machine: Machine, clean: object) -> None:
    assert "Assertion failed" in machine.fails("systemctl", "start", "mcp-tunnel-setup")
