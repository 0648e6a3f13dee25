"""Fixtures: the engine with its images, once for all tests, and a deployment folder for each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, PYTHON, REPOSITORY, SAMPLE_PYTHON, Image, Namespace, run
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
    """Ours as it was built, and stand-ins for the two that would be pulled."""
    engine.docker("load", "--input", image.archive)
    tar = folder / "python.tar"
    stand_in = REPOSITORY / "Tests/Deploy/compose/cloudflared_stand_in.py"
    variables = write_tar(SAMPLE_PYTHON, tar, {"/cloudflared.py": stand_in})
    changes = [part for name, value in variables.items() for part in ("--change", f"ENV {name}={value}")]
    engine.docker("import", *changes, tar, "python:3.13-slim")
    tar.unlink()
    # One layer for both: only the entry point differs.
    context = folder / "cloudflared"
    context.mkdir()
    (context / "Dockerfile").write_text('FROM python:3.13-slim\nENTRYPOINT ["python", "/cloudflared.py"]\n')
    run("docker", "build", "--quiet", "--tag", CLOUDFLARED, context, env={**engine.environment, "DOCKER_BUILDKIT": "0"})


class Project:
    """A deployment folder made from deploy/compose, and what an operator does in it."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        shutil.copytree(REPOSITORY / "deploy/compose", folder)
        self.environment = {**engine.environment, "CLOUDFLARED_IMAGE": CLOUDFLARED}
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        self._compose = ["docker", "compose"] if plugin else ["docker-compose"]

    def shell(self, script: str) -> str:
        """Runs lines of the guide."""
        return run("bash", "-euc", script, cwd=self.folder, env=self.environment)

    def compose(self, *arguments: str) -> str:
        return run(*self._compose, *arguments, cwd=self.folder, env=self.environment)

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._compose, *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).strip()

    def address(self) -> str:
        """Where the stand-in for cloudflared takes what would come through the tunnel."""
        networks = self.engine.inspect(self.container("mcp-proxy"))["NetworkSettings"]["Networks"]
        (network,) = networks.values()
        return f"{network['IPAddress']}:7844"

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

    def call(self, ca_file: Path, domain: str = DOMAIN) -> tuple[str, int]:
        """An MCP call of the far side: the sample's answer, and the serial of the certificate that was shown."""
        output = self.engine.network.run(
            PYTHON, "-m", "compose.hello_client", self.address(), ca_file, domain, "echo", env=ENVIRONMENT
        )
        answer, serial = output.splitlines()
        return answer, int(serial)


@pytest.fixture
def project(engine: Engine, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path / "mcp-tunnel", engine)
    yield project
    project.attempt("down", "--timeout", "0", "--volumes")


SAMPLE = """
cat > hello_server.py <<'EOF'
from mcp.server.fastmcp import FastMCP
mcp = FastMCP("hello-server", host="0.0.0.0", port=9000)
@mcp.tool()
def hello(name: str = "world") -> str:
    \"\"\"Say hello to someone.\"\"\"
    return f"Hello, {name}!"
if __name__ == "__main__":
    mcp.run(transport="streamable-http")
EOF
cat >> docker-compose.yaml <<'EOF'
  hello-mcp:
    image: python:3.13-slim
    working_dir: /app
    volumes:
      - ./hello_server.py:/app/hello_server.py:ro
    command: sh -c "pip install --quiet mcp && python hello_server.py"
    restart: unless-stopped
EOF
"""

CONFIGURATION = """
cat > config/mcp-proxy.yaml <<EOF
listen_addr: ":8080"
log_level: info
shutdown_timeout: 30s
tunnel_domain: ${TUNNEL_DOMAIN}
tls:
  cert_file: /data/tls.crt
  key_file: /data/tls.key
routes:
  echo: http://hello-mcp:9000
EOF
"""
