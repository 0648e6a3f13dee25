"""Fixtures of the services' tests: a tunnel's certificates, and a proxy that serves with them, as the units run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import Machine
from roots import REPOSITORY, run

DOMAIN = "t.example"
STORE = "/var/lib/mcp-tunnel"
CONFIGURATION = "/etc/mcp-gateway/config.yaml"
UNITS = REPOSITORY / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


@dataclass
class Tunnel:
    """A tunnel of the machine."""

    machine: Machine
    authority: Path
    upstream_port: int

    def configure(self, listener: str = "127.0.0.1:8080", **routes: str) -> None:
        """Write the proxy's configuration."""
        self.machine.write(
            CONFIGURATION,
            json.dumps(
                {
                    "listen_addr": listener,
                    "tunnel_domain": DOMAIN,
                    "log_format": "text",
                    "tls": {"cert_file": f"{STORE}/tls.crt", "key_file": f"{STORE}/tls.key", "reload_interval": "50ms"},
                    "routes": routes or {"echo": f"http://127.0.0.1:{self.upstream_port}"},
                    "upstream": {"allowed_ips": ["127.0.0.0/8"]},
                }
            ),
        )

    def get(self, path: str = "/", route: str = "echo", listener: str = "127.0.0.1:8080") -> str:
        """The answer to a GET through the tunnel."""
        return self.machine.call(listener, DOMAIN, self.authority, route, path)

    @property
    def process(self) -> int:
        """The proxy's process, as the machine numbers it."""
        return int(self.machine.property("mcp-proxy", "MainPID"))


@pytest.fixture(scope="session")
def hello(machine: Machine) -> Iterator[int]:
    """The port of an upstream in the machine's network."""
    server = REPOSITORY / "Tests/Deploy/debian/hello_server.py"
    with machine.server("python3", server) as port:
        yield int(port)


@pytest.fixture
def clean(machine: Machine) -> Iterator[None]:
    """The machine as the installation left it, again afterwards."""
    yield
    machine.systemctl("stop", "mcp-tunnel-renew.timer", "cloudflared-mcp-tunnel", "mcp-proxy.socket", "mcp-proxy")
    machine.run("rm", "-rf", "/run/systemd/system/mcp-proxy.service.d")
    machine.systemctl("daemon-reload")
    machine.run("systemctl", "reset-failed")
    machine.run("sh", "-c", f"rm -rf {STORE}/* {STORE}/.[!.]* /etc/mcp-gateway/*")


@pytest.fixture
def tunnel(machine: Machine, clean: object, hello: int, tmp_path: Path) -> Tunnel:
    """A tunnel with certificates and a configuration, not running yet."""
    generate(machine)
    authority = tmp_path / "ca.crt"
    authority.write_text(machine.run("cat", f"{STORE}/ca.crt"))
    tunnel = Tunnel(machine, authority, hello)
    tunnel.configure()
    return tunnel


def generate(machine: Machine, *arguments: str) -> None:
    """Make certificates as README.Debian says."""
    machine.run(
        "mcp-tunnel-setup", "generate-certs", f"--output=dir:{STORE}", f"--tunnel-domain={DOMAIN}",
        "--key-type=ecdsa-p256", *arguments,
    )  # fmt: skip


@pytest.fixture
def proxy(tunnel: Tunnel) -> Tunnel:
    """The same, with the proxy running: it is when the command returns."""
    tunnel.machine.systemctl("start", "mcp-proxy")
    return tunnel


@pytest.fixture(scope="session")
def stand_in(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A program in the place of cloudflared."""
    program = tmp_path_factory.mktemp("cloudflared") / "cloudflared"
    source = Path(__file__).with_name("cloudflared-stand-in.c")
    run("cc", "-O1", "-Wall", "-Werror", "-o", program, source)
    with open(program, "rb") as file:
        machine.run("sh", "-c", "cat >/usr/local/bin/cloudflared; chmod 755 /usr/local/bin/cloudflared", stdin=file)
    yield
    machine.run("rm", "/usr/local/bin/cloudflared")
