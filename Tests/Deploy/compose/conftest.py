"""Fixtures: the engine with its images, once for all tests, and a deployment folder for each."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, PYTHON, REPOSITORY, Image, Namespace, run
from compose.engine import Engine
from compose.python_image import write_tar
from cryptography import x509

DOMAIN = "abcd1234.tunnel.example"
CLOUDFLARED = "cloudflared-stand-in:test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The engine's start is the slow part: what needs none goes first."""
    items.sort(key=lambda item: "engine" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def engine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    network = Namespace(f"mcp-tunnel-engine-{os.getpid()}")
    try:
        engine = Engine(folder, network)
        try:
            load_images(engine, image, folder)
            yield engine
        finally:
            engine.stop()
    finally:
        network.remove()


def load_images(engine: Engine, image: Image, folder: Path) -> None:
    """Ours as it was built, and a stand-in for the one that would be pulled."""
    engine.docker("load", "--input", image.archive)
    tar = folder / "python.tar"
    program = folder / "cloudflared"
    program.write_text('#!/bin/sh\nexec python /cloudflared.py "$@"\n')
    stand_in = REPOSITORY / "Tests/Deploy/compose/cloudflared_stand_in.py"
    variables = write_tar(PYTHON, tar, {"/cloudflared.py": stand_in, "/usr/local/bin/cloudflared": program})
    changes = [f"ENV {name}={value}" for name, value in variables.items()] + ['ENTRYPOINT ["cloudflared"]']
    engine.docker("import", *(part for change in changes for part in ("--change", change)), tar, CLOUDFLARED)
    tar.unlink()


class Project:
    """A deployment folder made from deploy/compose, and what an operator does in it."""

    def __init__(self, folder: Path, engine: Engine, compose: str) -> None:
        self.folder, self.engine = folder, engine
        shutil.copytree(REPOSITORY / "deploy/compose", folder)
        self.environment = {**engine.environment, "CLOUDFLARED_IMAGE": CLOUDFLARED}
        self._compose = compose
        self._clients: dict[tuple[Path, str], subprocess.Popen[str]] = {}

    @property
    def name(self) -> str:
        """The project's: its folder's."""
        return self.folder.name

    def shell(self, script: str) -> str:
        """Runs lines of the guide."""
        return run("bash", "-euc", script, cwd=self.folder, env=self.environment)

    def compose(self, *arguments: str) -> str:
        return run(self._compose, *arguments, cwd=self.folder, env=self.environment)

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._compose, *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).strip()

    def address(self) -> str:
        """Where the stand-in for cloudflared takes what would come through the tunnel."""
        container = self.engine.inspect(self.container("cloudflared"))
        if shared := container["HostConfig"]["NetworkMode"].partition("container:")[2]:
            container = self.engine.inspect(shared)
        networks = container["NetworkSettings"]["Networks"]
        (address,) = (at["IPAddress"] for name, at in networks.items() if not name.endswith("_tunnel"))
        return f"{address}:7844"

    def kill(self, service: str) -> None:
        """Ends a service's process from outside of the engine, which takes its own `kill` for the operator's wish."""
        container = self.engine.inspect(self.container(service))
        (process,) = self.engine.processes(container["Id"])
        os.kill(process, signal.SIGKILL)

    def served_serial(self) -> int:
        """The serial number of the certificate in data/."""
        return x509.load_pem_x509_certificate((self.folder / "data/tls.crt").read_bytes()).serial_number

    def wait_for_log(self, service: str, pattern: str, count: int = 1, seconds: float = 60) -> None:
        """Follows a service's log until a pattern was seen that often."""
        process = subprocess.Popen(
            ["docker", "logs", "--follow", self.container(service)], env=self.engine.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        giving_up = threading.Timer(seconds, process.kill)
        giving_up.start()
        seen: list[str] = []
        try:
            assert process.stdout
            for line in process.stdout:
                seen.append(line)
                count -= bool(re.search(pattern, line))
                if count == 0:
                    return
            raise AssertionError(f"no {pattern!r} in the log of {service}:\n{''.join(seen)}")
        finally:
            giving_up.cancel()
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]

    def call(self, ca_file: Path, domain: str = DOMAIN, route: str = "echo") -> tuple[str, int]:
        """An MCP call of the far side: the sample's answer, and the serial of the certificate that was shown."""
        answer = self._ask(ca_file, domain, route, seconds=30)
        serial, _, text = answer.partition(" ")
        assert serial.isdigit(), answer
        return text, int(serial)

    def try_call(self, ca_file: Path, seconds: float) -> bool:
        """Whether a call works now."""
        return not self._ask(ca_file, DOMAIN, "echo", seconds).startswith("failed")

    def _ask(self, ca_file: Path, domain: str, route: str, seconds: float) -> str:
        try:
            address = self.address()
        except (AssertionError, ValueError):
            return "failed: no container, or none with an address"
        client = self._clients.get((ca_file, domain)) or self._start_client(ca_file, domain)
        assert client.stdin and client.stdout
        client.stdin.write(f"{address} {route} {seconds}\n")
        client.stdin.flush()
        answer = client.stdout.readline().strip()
        assert answer, "the client ended"
        return answer

    def _start_client(self, ca_file: Path, domain: str) -> subprocess.Popen[str]:
        command = self.engine.network.command(PYTHON, "-m", "compose.hello_client", ca_file, domain)
        client = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert client.stdout and client.stdout.readline() == "ready\n"
        self._clients[ca_file, domain] = client
        return client

    def mending_command(self) -> str:
        """What the timer for shared-namespace.yaml has run, in the words of this project's Compose."""
        unit = (self.folder / "mcp-tunnel-compose-mend.service").read_text()
        (command,) = re.findall(r"^ExecStart=/bin/sh -ec '(.*)'$", unit, re.MULTILINE)
        assert command.count("docker compose ") == 1
        return command.replace("docker compose ", f"{self._compose} ")

    def end(self) -> None:
        for client in self._clients.values():
            client.kill()
            client.communicate()
        self.attempt("down", "--timeout", "0", "--volumes")


#: Variables that name the two: Compose 1, as Debian 12 has it, and Compose 2.
COMPOSES = ["COMPOSE_1", "COMPOSE_2"]


@pytest.fixture(params=COMPOSES)
def project(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    project = Project(tmp_path / "mcp-tunnel", engine, os.environ[request.param])
    try:
        yield project
    finally:
        project.end()


def sample_server() -> str:
    """The service that docs/quickstart.md has appended to the file."""
    text = (REPOSITORY / "docs/quickstart.md").read_text()
    (block,) = re.findall(r"^ +```yaml\n( +hello-mcp:\n.*?)^ +```$", text, re.MULTILINE | re.DOTALL)
    return textwrap.indent(textwrap.dedent(block), "  ")


SAMPLE = f"cat >> docker-compose.yaml <<'EOF'\n{sample_server()}EOF\n"

CONFIGURATION = """
mkdir -p config
sed "s/^tunnel_domain: .*/tunnel_domain: ${TUNNEL_DOMAIN}/" mcp-proxy.example.yaml > config/mcp-proxy.yaml
"""
