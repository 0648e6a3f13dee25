"""What ends and begins anew is found again: each container is killed and restarted, and an MCP call works within 5 s."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator

import pytest
from compose.conftest import COMPOSES, CONFIGURATION, DOMAIN, SAMPLE, Project
from compose.engine import Engine
from compose.test_manual_flow import CERTIFICATES

LIMIT = 5.0


@pytest.fixture(scope="module", params=COMPOSES)
def deployment(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """The default file, up, with a call that has worked; once for all tests here, with each Compose."""
    folder = tmp_path_factory.mktemp(request.param.lower().replace("_", "-")) / "mcp-tunnel"
    project = Project(folder, engine, os.environ[request.param])
    try:
        yield begin(project)
    finally:
        project.end()


def begin(project: Project) -> Project:
    project.environment |= {"TUNNEL_DOMAIN": DOMAIN, "TUNNEL_TOKEN": "eyJhIjoiYWNjb3VudCJ9"}
    project.shell("mkdir -p data config")
    file = project.environment.get("COMPOSE_FILE", "docker-compose.yaml")
    project.shell(SAMPLE.replace("docker-compose.yaml", file) + CERTIFICATES + CONFIGURATION)
    project.compose("up", "-d")
    project.wait_for_log("mcp-proxy", "route configured")
    assert within(project, 60) is not None
    return project


def within(project: Project, seconds: float, began: float | None = None) -> float | None:
    """After how many seconds a call had worked; `None` if none did in time. Each try is given up soon."""
    began = began or time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        if project.try_call(project.folder / "data/ca.crt", seconds=min(1.5, began + seconds - now)):
            return time.monotonic() - began
    return None


SERVICES = ["mcp-proxy", "cloudflared", "hello-mcp"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_process_is_replaced(deployment: Project, service: str) -> None:
    before = deployment.engine.inspect(deployment.container(service))["RestartCount"]
    deployment.kill(service)
    took = within(deployment, LIMIT)
    assert took is not None and took <= LIMIT, deployment.compose("logs", "--no-color")
    print(f"{service} killed: {took:.2f} s")
    assert deployment.engine.inspect(deployment.container(service))["RestartCount"] == before + 1


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_is_found_again(deployment: Project, service: str) -> None:
    deployment.compose("restart", service)
    took = within(deployment, LIMIT)
    assert took is not None and took <= LIMIT, deployment.compose("logs", "--no-color")
    print(f"{service} restarted: {took:.2f} s")


def test_the_listener_is_for_cloudflared_alone(deployment: Project) -> None:
    """A process in an MCP server's container, which has no shell, stands for one that was broken into."""
    script = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
        print("open")
    except OSError as error:
        print("closed")
"""
    container = deployment.engine.inspect(deployment.container("hello-mcp"))
    addresses = {
        network: at["IPAddress"]
        for service in ("mcp-proxy", "cloudflared")
        for network, at in deployment.engine.inspect(deployment.container(service))["NetworkSettings"]["Networks"].items()
        if network.endswith("_default") or service == "mcp-proxy"
    }
    listener, inside = (
        next(at for network, at in addresses.items() if network.endswith(name)) for name in ("_tunnel", "_default")
    )
    assert listener == "198.19.84.2"
    targets = [f"{listener}:8080", f"{inside}:8080", f"{deployment.address().split(':')[0]}:20241"]
    (process,) = deployment.engine.processes(container["Id"])
    found = deployment.engine.in_network_of(process, script, *targets, "127.0.0.1:9000")
    assert found == ["closed", "closed", "closed", "open"]
    # The same question from cloudflared's place, where the answer is another.
    (process,) = deployment.engine.processes(deployment.container("cloudflared"))
    assert deployment.engine.in_network_of(process, script, targets[0]) == ["open"]
    # And that network leads nowhere else.
    networks = json.loads(deployment.engine.docker("network", "inspect", f"{deployment.name}_tunnel"))
    assert networks[0]["Internal"] is True


def test_reload_tells_what_came_of_it(deployment: Project) -> None:
    reload = ["exec", "-T", "mcp-proxy", "/mcp-proxy", "reload"]
    file = deployment.folder / "config/mcp-proxy.yaml"
    # As an editor does: another file takes the name.
    fresh = file.with_name("fresh")
    fresh.write_text(file.read_text() + "  other: http://hello-mcp:9000\n")
    fresh.rename(file)
    result = deployment.attempt(*reload)
    assert result.returncode == 0, result.stderr
    assert "/etc/mcp-gateway/mcp-proxy.yaml: in force, in process 1" in result.stdout
    assert deployment.call(deployment.folder / "data/ca.crt", route="other")[0] == GREETING

    file.write_text(file.read_text().replace("  other: http://", "  other: "))
    result = deployment.attempt(*reload)
    assert result.returncode == 1
    number = len(file.read_text().splitlines())
    assert f"mcp-proxy.yaml:{number}:10: routes.other: invalid upstream" in result.stdout + result.stderr
    assert deployment.call(deployment.folder / "data/ca.crt", route="other")[0] == GREETING
    # The engine has seen no signal, so it still replaces the process when it dies.
    deployment.kill("mcp-proxy")
    file.write_text(file.read_text().replace("  other: ", "  other: http://"))
    assert within(deployment, 30) is not None


GREETING = "Hello, tunnel!"


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def test_the_guides_form_is_mended(project: Project) -> None:
    """In a shared namespace, cloudflared is left in a dead one; its health check sees that, and the timer's command mends it."""
    project.environment |= {"COMPOSE_FILE": "shared-namespace.yaml"}
    # Not for a minute in a test.
    project.shell("sed -i 's/interval: 10s/interval: 1s/; s/start_period: 30s/start_period: 0s/' shared-namespace.yaml")
    project.shell("sed -i 's/198.19.84.2:8080/127.0.0.1:8080/' mcp-proxy.example.yaml")
    begin(project)

    def health() -> str:
        return project.engine.inspect(project.container("cloudflared"))["State"]["Health"]["Status"]

    wait_until(lambda: health() == "healthy", "a healthy cloudflared", 60)
    mend = project.mending_command()
    project.shell(mend)
    first = project.container("cloudflared")
    project.kill("mcp-proxy")
    wait_until(lambda: health() == "unhealthy", "an unhealthy cloudflared", 30)
    assert not project.try_call(project.folder / "data/ca.crt", seconds=2)
    project.shell(mend)
    assert project.container("cloudflared") != first
    # Not within the limit of the other form: here a container is made anew.
    assert within(project, 30) is not None
    assert health() != "unhealthy"
