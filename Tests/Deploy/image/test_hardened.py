"""The image under the hardening of the guides: UID 65532, read-only, no capabilities, no new privileges."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, PYTHON, Namespace
from image.container import USER, Container
from peers.pki import Authority
from peers.proxy import Proxy, yaml

DOMAIN = "t.example"


class Deployment:
    """A folder as the Compose guide lays it out, and the image's default command over it."""

    def __init__(self, folder: Path, rootfs: Path, network: Namespace) -> None:
        self.folder, self.rootfs, self.network = folder, rootfs, network
        self.data = folder / "data"
        self.authority = Authority()
        self.ca_file = self.authority.write(folder / "ca.crt")
        self.authority.issue(f"*.{DOMAIN}", DOMAIN).write(self.data)
        (self.data / "tls.key").chmod(0o600)
        for file in self.data.iterdir():
            os.chown(file, USER, USER)
        # Readable for the user that the proxy runs as, whose way it is.
        for parent in (folder, *folder.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o011)
        self.hosts, self.resolver = folder / "hosts", folder / "resolv.conf"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.resolver.write_text("")

    def container(self, routes: dict[str, str], image: dict, **settings: object) -> Container:
        configuration = {
            "listen_addr": ":8080",
            "shutdown_timeout": "30s",
            "tunnel_domain": DOMAIN,
            "tls": {"cert_file": "/data/tls.crt", "key_file": "/data/tls.key"},
            "routes": routes,
            "upstream": {"allowed_ips": ["127.0.0.0/8"]},
            **settings,
        }
        file = self.folder / "config.yaml"
        file.write_text(yaml(configuration))
        mounts = {
            "/etc/mcp-gateway/config.yaml": file, "/data": self.data, "/etc/hosts": self.hosts,
            "/etc/resolv.conf": self.resolver,
        }
        arguments = image["Entrypoint"] + image["Cmd"]
        return Container(self.folder / "proxy", self.rootfs, arguments, self.network, mounts)


@pytest.fixture
def deployment(tmp_path: Path, rootfs: Path, network: Namespace) -> Deployment:
    return Deployment(tmp_path, rootfs, network)


Start = Callable[..., tuple[Container, Proxy]]


@pytest.fixture
def start(deployment: Deployment, image) -> Iterator[Start]:
    """Starts the image's own command; it ends cleanly after the test."""
    running: list[tuple[Container, Proxy]] = []

    def start_container(routes: dict[str, str], **settings: object) -> tuple[Container, Proxy]:
        container = deployment.container(routes, image.configuration["config"], **settings)
        proxy = Proxy(container.launcher, deployment.folder / "config.yaml")
        running.append((container, proxy))
        proxy.wait_for(" listening ", seconds=20)
        return container, proxy

    try:
        yield start_container
        for _, proxy in running:
            assert proxy.stop() == 0, proxy.log
    finally:
        for container, proxy in running:
            container.remove()
            proxy.process.kill()
            proxy.process.wait()


@pytest.fixture
def mcp_server(network: Namespace) -> Iterator[int]:
    """The port of an MCP server in the network of the container."""
    with network.server(PYTHON, "-m", "peers.mcp_server", f"mcp.{DOMAIN}") as port:
        yield int(port)


def tour(deployment: Deployment) -> list[dict]:
    """initialize, tools/list and tools/call of the SDK's client through the proxy; what it saw."""
    output = deployment.network.run(
        PYTHON, "-m", "peers.mcp_client", "tour", "127.0.0.1:8080", deployment.ca_file, DOMAIN, "mcp", "auto",
        env=ENVIRONMENT,
    )
    return [json.loads(line) for line in output.splitlines()]


def test_version(tmp_path: Path, rootfs: Path, network: Namespace) -> None:
    result = Container(tmp_path / "version", rootfs, ["/mcp-proxy", "-version"], network).run()
    assert (result.returncode, result.stderr) == (0, "")
    assert re.match(r"mcp-proxy \d+\.\d+\.\d+\n", result.stdout)


def test_serves_and_has_no_rights(start: Start, deployment: Deployment, mcp_server: int) -> None:
    container, proxy = start({"mcp": f"http://127.0.0.1:{mcp_server}"})
    seen = tour(deployment)
    assert {"event": "echo", "text": "grüß dich, tunnel"} in seen and seen[-1] == {"event": "closed"}
    proxy.wait_for("request finished")

    status = dict(re.findall(r"^(\w+):\s*(.*)$", (container.process / "status").read_text(), re.MULTILINE))
    assert status["Uid"].split() == status["Gid"].split() == [str(USER)] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    (root,) = re.findall(r"^\d+ \d+ \S+ \S+ / (\S+)", (container.process / "mountinfo").read_text(), re.MULTILINE)
    assert "ro" in root.split(",")


def test_health_check(start: Start, image) -> None:
    container, proxy = start({"echo": "http://127.0.0.1:1"})
    kind, *command = image.configuration["config"]["Healthcheck"]["Test"]
    assert kind == "CMD", "a shell would be needed"
    result = container.execute(*command)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    result = container.execute("/mcp-proxy", "healthcheck", "-addr", "127.0.0.1:8081")
    assert result.returncode == 1 and "connection refused" in result.stderr
    assert not proxy.found("WARN|ERROR")


def test_names_of_the_hosts_file(start: Start, deployment: Deployment, mcp_server: int) -> None:
    deployment.hosts.write_text("127.0.0.1 localhost\n127.0.0.1 hello-mcp\n")
    start({"mcp": f"http://hello-mcp:{mcp_server}"})
    assert tour(deployment)[-1] == {"event": "closed"}


def test_names_of_a_search_domain(start: Start, deployment: Deployment, mcp_server: int) -> None:
    deployment.resolver.write_text("nameserver 127.0.0.1\nsearch default.svc.cluster.local corp.example\n")
    with deployment.network.server(PYTHON, "-m", "image.name_server", "wiki.corp.example", "127.0.0.1"):
        start({"mcp": f"http://wiki:{mcp_server}"})
        assert tour(deployment)[-1] == {"event": "closed"}


def test_system_authorities_are_found(start: Start) -> None:
    upstream = {"allowed_ips": ["127.0.0.0/8"], "tls": {"include_system_cas": True}}
    _, proxy = start({"wiki": "https://wiki.corp.example:8443"}, upstream=upstream)
    proxy.wait_for("route configured")


def test_a_key_that_only_root_can_read_is_named(deployment: Deployment, image) -> None:
    os.chown(deployment.data / "tls.key", 0, 0)
    container = deployment.container({"echo": "http://127.0.0.1:1"}, image.configuration["config"])
    result = container.run()
    assert result.returncode == 1
    assert "open /data/tls.key: permission denied" in result.stderr
