"""The commands of README.md and docs/, run as they stand there. Only names of this machine take the place of examples."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, TUNNEL_ID
from peers.setup import Output, Setup, TunnelsAPI, plain_environment
from printed import blocks_under

DOMAIN = "abcd1234.tunnel.anthropic.com"
#: Takes the place of cloudflared: notes its arguments and its token, and asks whether there is a proxy at its URL.
CLOUDFLARED = """#!/bin/sh
echo "$TUNNEL_TOKEN $*" >cloudflared.said
exec .build/release/mcp-proxy healthcheck -addr "${5#http://}"
"""


class Folder:
    """An empty folder with the programs where a clone has them, and a shell in it."""

    def __init__(self, folder: Path, setup_binary: Path, binary: Path) -> None:
        self.folder = folder
        self.environment = plain_environment()
        for build in ("debug", "release"):
            (folder / ".build" / build).mkdir(parents=True)
            (folder / ".build" / build / "setup").symlink_to(setup_binary)
            (folder / ".build" / build / "mcp-proxy").symlink_to(binary)

    def run(self, script: str, **options: object) -> str:
        """Runs lines, of which none may fail; what they print."""
        result = subprocess.run(
            ["bash", "-euc", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60,
            **{"input": "", **options})  # type: ignore[call-overload]
        assert result.returncode == 0, f"{script}\n{result.stdout}{result.stderr}"
        return result.stdout


@pytest.fixture
def folder(tmp_path: Path, setup_binary: Path, binary: Path) -> Folder:
    return Folder(tmp_path, setup_binary, binary)


def block_with(blocks: list[str], text: str) -> str:
    (found,) = (block for block in blocks if text in block)
    return found


def identity(api: TunnelsAPI) -> dict[str, str]:
    """The examples' identifiers, and what this machine has in their place."""
    return {
        "https://api.anthropic.com": api.url, "fdrl_...": api.rule, "TOKEN=...": f"TOKEN={api.identity_token}",
        "00000000-0000-0000-0000-000000000000": api.organization,
    }


def replaced(script: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in script, f"{old} is not in\n{script}"
        script = script.replace(old, new)
    return script


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.deadline(90)
@pytest.mark.parametrize("way", ["api", "hand"])
def test_readme_run_it(folder: Folder, api: TunnelsAPI, way: str) -> None:
    """From certificates to a proxy that cloudflared finds, with the token in its environment."""
    blocks = blocks_under("README.md", "Run it")
    if way == "api":
        folder.run(replaced(block_with(blocks, "setup init"), identity(api)))
        token = (folder.folder / "data/tunnel-token").read_text()
    else:
        token = "eyJhIjoiYWNjb3VudCJ9"
        folder.run(block_with(blocks, "generate-certs"), input=f"{token}\n")
        assert (folder.folder / "data/tunnel-token").stat().st_mode & 0o777 == 0o600
    domain = (folder.folder / "data/tunnel-domain").read_text()
    text = (REPOSITORY / "README.md").read_text()
    (verify,) = re.findall(r"`(\.build/release/setup verify [^`]*)`", text)
    assert folder.run(verify).endswith("dir:data: good\n")

    port = free_port()
    (sample,) = re.findall(r"```yaml\n(.*?)```", text.split("\n## Run it\n")[1].split("\n## ")[0], re.DOTALL)
    sample = "\n".join(line.removeprefix("   ") for line in sample.split("\n"))
    (folder.folder / "config.yaml").write_text(replaced(sample, {DOMAIN: domain, ":8080": f":{port}"}))

    programs = folder.folder / "bin"
    programs.mkdir()
    (programs / "cloudflared").write_text(CLOUDFLARED)
    (programs / "cloudflared").chmod(0o755)
    folder.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    proxy_line, cloudflared_line = block_with(blocks, "cloudflared").strip().split("\n")
    with subprocess.Popen(
        ["bash", "-euc", f"exec {proxy_line}"], cwd=folder.folder, env=folder.environment, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as proxy:
        try:
            assert proxy.stderr
            seen = ""
            while "route configured" not in seen:
                line = proxy.stderr.readline()
                assert line, f"the proxy ended:\n{seen}"
                seen += line
            folder.run(replaced(cloudflared_line, {"localhost:8080": f"localhost:{port}"}).replace("localhost", "127.0.0.1"))
            proxy.send_signal(signal.SIGTERM)
            assert proxy.wait(20) == 0
        finally:
            proxy.kill()
    said = (folder.folder / "cloudflared.said").read_text()
    assert said == f"{token} tunnel --no-autoupdate run --url http://127.0.0.1:{port}\n"

    (renewal,) = re.findall(r"`(\.build/release/setup renew-cert [^`]*)`", text)
    certificate = folder.folder / "data/tls.crt"
    first = certificate.read_bytes()
    folder.run(renewal)
    assert certificate.read_bytes() == first, "more than 30 days are left"
    folder.run(renewal.replace("720h", "2400h"))
    assert certificate.read_bytes() != first


@pytest.mark.deadline(90)
def test_quickstart_without_an_account(folder: Folder, setup: Setup, api: TunnelsAPI) -> None:
    """Every line of the tour against the fake of the API, and what its comments say of it."""
    _, tour = blocks_under("docs/quickstart.md", "Without an account")
    folder.environment |= setup.environment({"TUNNEL_ID": TUNNEL_ID})
    output, tokens, printed = Output(folder.folder / "data"), [], []
    for line in tour.strip().split("\n"):
        printed.append(folder.run(line))
        if "--dry-run" in line:
            assert not output.folder.exists()
        else:
            tokens.append(output.bytes("tunnel-token"))
    assert tokens[0] == tokens[1], "nothing is left to be done"
    assert tokens[1] != tokens[2] == tokens[-1], "rotated, once"
    assert "tools/call" in printed[-1]


def test_setup_with_openssl(folder: Folder) -> None:
    """The recipe and its renewal give what `verify` finds good, as the page says."""
    make, renew = blocks_under("docs/setup.md", "The same with openssl")
    page = (REPOSITORY / "docs/setup.md").read_text()
    (check,) = re.findall(r"`(setup verify --output=dir:data --tunnel-domain=[^`]*)`", page)
    (take_over,) = re.findall(r"`(setup generate-certs --tunnel-domain=\$DOMAIN [^`]*)`", page)
    folder.environment["PATH"] = f"{folder.folder}/.build/debug:{os.environ['PATH']}"
    folder.run(f"{make}\n{check}\n{renew}\n{check}\n{take_over}\nsetup renew-cert --output=dir:data\n{check}")
    data = Output(folder.folder / "data")
    for name in ("ca.key", "tls.key"):
        assert data.mode(name) == 0o600, name


#: Words of PowerShell in docs/windows.md, and what they are in a shell. There is no PowerShell here.
POWERSHELL = [
    (r" `\n", r" \\\n"),
    (r"(?m)^\$(\w+) = ", r"\1="),
    (r"(?m)^New-Item -ItemType Directory -Force (\S+) \| Out-Null$", r"mkdir -p \1"),
    (r"(?m)^icacls .*\n", ""),
    (r"(?m)^Set-Content -Encoding ascii (\S+) (.*)$", r"printf '%s\\n' \2 >\1"),
    (r'", "', '" "'),
]


def test_windows_certificates(folder: Folder) -> None:
    """The recipe's own words for openssl, with those of PowerShell around them translated."""
    script = blocks_under("docs/windows.md", "Certificates by hand")[0]
    for old, new in POWERSHELL:
        assert re.search(old, script), f"{old} is not in\n{script}"
        script = re.sub(old, new, script)
    assert folder.run(script).endswith("data/tls.crt: OK\n")
    check = "setup verify --ca=data/ca.crt --cert=data/tls.crt --key=data/tls.key"
    folder.run(f".build/debug/{check} --tunnel-domain={DOMAIN}")
