"""mcp-proxy diag: one archive with all that helps, and none of what is secret."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import subprocess
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import DOMAIN, write_configuration
from peers.admin import Admin
from peers.endpoint import free_port
from peers.upstream import Upstream, echo

ALWAYS = {"manifest.json", "versions.txt", "configuration.txt", "check.json", "limits.txt"}
OF_THE_PROXY = {"status.json", "readyz.json", "metrics.txt", "log.txt"}


def run(binary: Path, *arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary, "diag", *arguments], cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
        timeout=60)


def unpack(path: Path) -> dict[str, bytes]:
    """The files of an archive, read by Python, after GNU tar has found nothing to complain about."""
    listing = subprocess.run(["tar", "-tzvf", path], check=True, capture_output=True, text=True)
    assert listing.stderr == ""
    with tarfile.open(path, "r:gz") as archive:
        files = {}
        for member in archive:
            assert member.isfile() and member.mode == 0o600 and member.name.startswith("mcp-proxy-diag/")
            files[member.name.removeprefix("mcp-proxy-diag/")] = archive.extractfile(member).read()
    return files


class Ready(BaseHTTPRequestHandler):
    """cloudflared's metrics port."""

    def do_GET(self) -> None:
        body = json.dumps({"status": 200, "readyConnections": 4, "connectorId": "b4c0f1de"}).encode()
        self.send_response(200 if self.path == "/ready" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudflared():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.deadline(90)
async def test_everything_is_there_and_no_secret(start, binary: Path, tmp_path: Path, cloudflared: str) -> None:
    """Canaries lie wherever a secret can: environment, keys, tokens, header fields, queries, bodies, unknown fields."""
    canary = "c4n4ry"
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, admin_addr=f"127.0.0.1:{free_port()}", cloudflared_metrics=cloudflared)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)
        headers = [
            ("Authorization", f"Bearer {canary}-1"), ("Cookie", f"session={canary}-2"), ("Mcp-Session-Id", f"{canary}-3"),
            ("X-Api-Key", f"{canary}-4"), ("Referer", f"https://user:{canary}-5@example.com/?k={canary}-6"),
        ]
        async with proxy.far.http("echo") as http:
            await http.request("POST", f"/mcp?token={canary}-7", headers, f'{{"key":"{canary}-8"}}'.encode())
        async with proxy.far.http("echo") as http:
            await http.request("GET", f"https://user:{canary}-9@echo.{DOMAIN}/mcp?{canary}-10")
        await asyncio.to_thread(proxy.wait_for, "request finished")
        folder = tmp_path / "here"
        folder.mkdir()
        (folder / "tunnel-token").write_text(f"{canary}-11")
        text = proxy.config_file.read_text()
        proxy.config_file.write_text(f"# {canary}-12\n{text}")
        environment = {
            "TUNNEL_TOKEN": f"{canary}-13", "ANTHROPIC_API_KEY": f"{canary}-14", "HTTPS_PROXY": f"http://u:{canary}-15@h:1",
        }
        done = await asyncio.to_thread(
            run, binary, "-config", str(proxy.config_file), "-o", "out.tar.gz", cwd=folder, environment=environment)
    assert done.returncode in (0, 1), done.stderr
    files = unpack(folder / "out.tar.gz")
    assert set(files) >= (ALWAYS | OF_THE_PROXY | {"cloudflared.json"})
    everything = b"\n".join(files.values()) + (done.stdout + done.stderr).encode()
    assert canary.encode() not in everything
    # The keys themselves: each line of theirs that is no frame.
    key = Path(proxy.config_file.read_text().split('key_file: "')[1].split('"')[0]).read_text()
    for line in key.splitlines():
        assert line.startswith("-----") or line.encode() not in everything
    assert b"request finished" in files["log.txt"] and json.loads(files["status.json"])["schema"] == 1
    assert json.loads(files["cloudflared.json"])["ready_connections"] == 4
    assert f"routes.echo: {upstream.url}" in files["configuration.txt"].decode()
    assert json.loads(files["check.json"])["routes"][0]["name"] == "echo"
    assert b"Max open files" in files["limits.txt"] and b"TunnelProxy" in files["versions.txt"]
    manifest = json.loads(files["manifest.json"])
    assert {part["file"] for part in manifest["parts"] if "missing" not in part} == set(files) - {"manifest.json"}
    assert manifest["complete"] == (done.returncode == 0)
    assert stat.S_IMODE((folder / "out.tar.gz").stat().st_mode) == 0o600


def test_what_is_missing_is_named(binary: Path, tmp_path: Path, configuration: dict) -> None:
    """A proxy that does not run: all the rest is there, and the exit status says that it is not everything."""
    file = tmp_path / "config.yaml"
    port = free_port()
    write_configuration(file, configuration, {"echo": "http://127.0.0.1:1"}, admin_addr=f"127.0.0.1:{port}")
    done = run(binary, "-config", str(file), "-o", "out.tar.gz", cwd=tmp_path)
    assert done.returncode == 1
    for name in OF_THE_PROXY:
        assert f"mcp-proxy diag: {name} is missing: the admin listener: dial tcp 127.0.0.1:{port}: connect: connection refused" \
            in done.stderr
    files = unpack(tmp_path / "out.tar.gz")
    assert set(files) == ALWAYS
    manifest = json.loads(files["manifest.json"])
    assert not manifest["complete"] and {part["file"] for part in manifest["parts"] if "missing" in part} == OF_THE_PROXY


def test_without_an_admin_listener_or_a_configuration(binary: Path, tmp_path: Path, configuration: dict) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"echo": "http://127.0.0.1:1"})
    done = run(binary, "-config", str(file), cwd=tmp_path)
    assert done.returncode == 1 and "set admin_addr" in done.stderr
    (made,) = tmp_path.glob("mcp-proxy-diag-*.tar.gz")
    assert set(unpack(made)) == ALWAYS
    done = run(binary, "-config", str(tmp_path / "none.yaml"), "-o", "b.tar.gz", cwd=tmp_path)
    assert done.returncode == 1 and "configuration.txt is missing: open" in done.stderr
    assert set(unpack(tmp_path / "b.tar.gz")) == {"manifest.json", "versions.txt", "limits.txt"}


def test_a_file_that_is_there_stays(binary: Path, tmp_path: Path, configuration: dict) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"echo": "http://127.0.0.1:1"})
    (tmp_path / "out").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("out", "link"):
        done = run(binary, "-config", str(file), "-o", name, cwd=tmp_path)
        assert done.returncode == 1 and f"open {name}: file exists (name another file by -o)" in done.stderr
    assert (tmp_path / "out").read_text() == "mine" and not (tmp_path / "other").exists()
    done = run(binary, "-config", str(file), "-o", "no/such/folder", cwd=tmp_path)
    assert done.returncode == 1 and "no such file or directory" in done.stderr
