"""The Python samples of docs/quickstart.md, installed with the real pip as the page says and called through a tunnel, and
the Host check of both versions of the SDK as docs/troubleshooting.md describes it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import REPOSITORY
from peers.mcp_client import Scenario

PAGE = (REPOSITORY / "docs/quickstart.md").read_text()
SAMPLES = re.findall(
    r"^    (pip install \S[^\n]*)\n    python hello_server.py\n\n```python\n(# hello_server.py for mcp (\d).*?)^```",
    PAGE, re.MULTILINE | re.DOTALL,
)
VERSIONS = [version for _, _, version in SAMPLES]
TUNNEL_NAME = "echo.abcd1234.tunnel.anthropic.com"


def test_the_page_has_a_sample_for_each_version() -> None:
    assert VERSIONS == ["2", "1"]
    for command, _, version in SAMPLES:
        assert command == f"pip install 'mcp>={version},<{int(version) + 1}'"


@pytest.fixture(scope="module", params=SAMPLES, ids=VERSIONS)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A virtual environment made by the page's commands, the sample's text, and the version it is for."""
    command, text, version = request.param
    folder = tmp_path_factory.mktemp(f"mcp-{version}")
    script = f"{sys.executable} -m venv .venv && . .venv/bin/activate && {command} --quiet --disable-pip-version-check"
    made = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=600)
    assert made.returncode == 0, made.stderr
    return folder / ".venv/bin/python", text, version


@contextmanager
def running(python: Path, text: str, folder: Path) -> Iterator[int]:
    """Runs a sample on a port of its own; all else is the page's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert text.count("port=9000") == 1
    program = folder / "hello_server.py"
    program.write_text(text.replace("port=9000", f"port={port}"))
    with open(folder / "log", "w+") as log:
        process = subprocess.Popen([python, program], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr
            seen = []
            for line in process.stderr:
                seen.append(line)
                if "Uvicorn running on" in line:
                    break
            else:
                raise AssertionError("".join(seen))
            yield port
        finally:
            process.kill()
            process.communicate()


@pytest.mark.deadline(60)
async def test_a_sample_answers_through_the_tunnel(start, sample, tmp_path: Path) -> None:
    python, text, _ = sample
    with running(python, text, tmp_path) as port:
        proxy = start({"echo": f"http://127.0.0.1:{port}"})
        async with Scenario(proxy.far, "echo", "auto").session() as session:
            result = await session.call_tool("hello", {"name": "tunnel"})
            assert result.content[0].text == "Hello, tunnel!"


def post(port: int, host: str) -> tuple[int, str]:
    """A request as it comes from the tunnel: to the path of the sample, with the tunnel's name."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/mcp", data=b"{}", method="POST",
        headers={"Host": host, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def spelling(version: str) -> str:
    """The page's line for the Host check with its setting."""
    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    (setting,) = re.findall(r"^ +(security = TransportSecuritySettings\(allowed_hosts=.*?\)) ", page, re.MULTILINE)
    (line,) = re.findall(rf"^ +(\S.*?)  # {version}\.x$", page, re.MULTILINE)
    assert TUNNEL_NAME in setting
    return f"{setting}\n{line}"


def with_line(text: str, version: str, line: str) -> str:
    """The sample with its making (1.x) or its run (2.x) by other lines."""
    text = re.sub(r"^ +(# Any host name|security = ).*\n", "", text, flags=re.MULTILINE)
    pattern = r"^mcp = FastMCP\(.*\)$" if version == "1" else r"^    mcp\.run\(.*\)$"
    if version == "2":
        line = "\n".join(f"    {part}" for part in line.splitlines())
    changed, count = re.subn(pattern, lambda _: line, text, flags=re.MULTILINE)
    assert count == 1
    return changed.replace("import FastMCP\n", "import FastMCP\nfrom mcp.server.transport_security import TransportSecuritySettings\n")


def test_a_foreign_host_is_refused_with_421_and_the_setting_mends_it(sample, tmp_path: Path) -> None:
    python, text, version = sample
    line = spelling(version)
    local = line.splitlines()[1].replace('host="0.0.0.0"', 'host="127.0.0.1"').replace(", transport_security=security", "")
    with running(python, with_line(text, version, local), tmp_path) as port:
        assert post(port, TUNNEL_NAME) == (421, "Invalid Host header")
        # What `upstream.host_header: upstream` sends.
        assert post(port, f"127.0.0.1:{port}")[0] != 421
    with running(python, with_line(text, version, line), tmp_path) as port:
        assert post(port, TUNNEL_NAME)[0] not in (421, 403)
        assert post(port, "elsewhere.example") == (421, "Invalid Host header")
