"""The packages in Examples, with real clients. `make embedding-test` builds them and says in EXAMPLES where they are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_configuration
from peers.setup import NAMES, TunnelsAPI, plain_environment
from peers.upstream import Connection, Upstream
from websockets.asyncio.client import connect

EXAMPLES = Path(os.environ["EXAMPLES"])


def named(name: bytes):
    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.respond(body=name)

    return handler


class TestEmbeddedProxy:
    """`start` runs it in the place of mcp-proxy: it takes the same configuration and writes the same log."""

    @pytest.fixture
    def binary(self) -> Path:
        return EXAMPLES / "embedded-proxy"

    @pytest.fixture
    def output(self, tmp_path: Path) -> Path:
        return tmp_path / "output"

    @pytest.fixture
    def run(self, start, output: Path):
        """Starts it; what it says goes to a file."""
        # A command that runs the rest of its line, with its standard output elsewhere.
        redirect = ["sh", "-c", f'exec "$@" > "{output}"', "sh"]
        return lambda routes, **changes: start(routes, before=redirect, **changes)

    async def said(self, output: Path, line: str) -> None:
        while line not in output.read_text().splitlines():
            await asyncio.sleep(0.01)

    async def refuses(self, proxy) -> None:
        """Each loop stops accepting in its own turn."""
        with contextlib.suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection(proxy.endpoint.host, proxy.endpoint.port)
                writer.transport.abort()
                await asyncio.sleep(0.01)

    async def test_ready_reload_drain_stop(self, run, output: Path, configuration: dict) -> None:
        holding, release = asyncio.Event(), asyncio.Event()

        async def held(connection: Connection) -> None:
            while await connection.head():
                holding.set()
                await release.wait()
                await connection.respond(body=b"two")

        async with Upstream(named(b"one")) as one, Upstream(held) as two:
            proxy = run({"a": one})
            await self.said(output, f"ready {proxy.endpoint.host}:{proxy.endpoint.port}")
            async with proxy.far.http("a") as http:
                assert (await http.get()).body == b"one"

            write_configuration(proxy.config_file, configuration, {"a": two}, threads=1)
            proxy.signal(signal.SIGHUP)
            await self.said(output, "reloaded, but for threads")
            good = proxy.config_file.read_text()
            proxy.config_file.write_text(good.replace("routes:", "routs:"))
            proxy.signal(signal.SIGHUP)
            while "not reloaded: " not in output.read_text():
                await asyncio.sleep(0.01)

            async with proxy.far.http("a") as http:
                request = asyncio.create_task(http.get())
                await holding.wait()
                proxy.signal()
                await self.said(output, "draining")
                await self.refuses(proxy)
                assert "stopped" not in output.read_text()
                release.set()
                assert (await request).body == b"two"
            assert await proxy.exit_status() == 0
        assert output.read_text().splitlines()[-1] == "stopped"

    async def test_second_signal_waits_no_longer(self, run, output: Path) -> None:
        holding = asyncio.Event()

        async def silent(connection: Connection) -> None:
            await connection.head()
            holding.set()
            await connection.head()

        async with Upstream(silent) as upstream:
            proxy = run({"a": upstream}, shutdown_timeout="1h")
            proxy.expected_status, proxy.check_requests = 1, False
            async with proxy.far.http("a") as http:
                request = asyncio.create_task(http.get())
                await holding.wait()
                proxy.signal()
                await self.said(output, "draining")
                proxy.signal(signal.SIGINT)
                assert await proxy.exit_status() == 1
                await asyncio.gather(request, return_exceptions=True)

    def test_refuses_a_configuration_that_is_not_in_order(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("listen_addr: 127.0.0.1:0\nroutes: []\n")
        result = subprocess.run(
            [EXAMPLES / "embedded-proxy", "-config", file], capture_output=True, text=True, timeout=20)
        assert result.returncode == 1 and str(file) in result.stderr and not result.stdout
        assert subprocess.run([EXAMPLES / "embedded-proxy"], capture_output=True, timeout=20).returncode == 2


@pytest.fixture
def tunnels(start_api) -> TunnelsAPI:
    return start_api()


def run(program: str, *arguments: object, api: TunnelsAPI | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EXAMPLES / program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={**plain_environment(), **(api.environment() if api else {})})


class TestProvision:
    def test_dry_run_then_once_then_nothing_to_do(self, tunnels: TunnelsAPI, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        result = run("provision", tunnels.url, folder, "--dry-run", api=tunnels)
        assert result.returncode == 0 and result.stdout and not folder.exists(), result.stderr
        assert not tunnels.tunnels()

        result = run("provision", tunnels.url, folder, api=tunnels)
        assert result.returncode == 0, result.stderr
        assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == NAMES
        (tunnel,) = tunnels.tunnels()
        lines = result.stdout.splitlines()
        assert f"{tunnel['id']} {(folder / 'tunnel-domain').read_text().strip()}: provisioned" in lines
        assert "not yet to be renewed" in lines and "problem" not in result.stdout
        assert (folder / "tunnel-token").read_text().strip() not in result.stdout

        result = run("provision", tunnels.url, folder, api=tunnels)
        assert ": nothing to do\n" in result.stdout and result.returncode == 0
        assert len(tunnels.tunnels()) == 1

    def test_says_what_may_work_later(self, tunnels: TunnelsAPI, tmp_path: Path) -> None:
        result = run("provision", tunnels.url, tmp_path / "data")
        assert result.returncode == 1 and "ANTHROPIC_" in result.stderr
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{bound.getsockname()[1]}"
            result = run("provision", nobody, tmp_path / "data", api=tunnels)
        assert result.returncode == 3 and "connection refused" in result.stderr
        assert run("provision").returncode == 2


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[str]:
    """The address of an etcd of the test's own."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    url, peer = (f"http://127.0.0.1:{port}" for port in ports)
    server = subprocess.Popen(
        ["etcd", "--data-dir", tmp_path / "etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
         "--unsafe-no-fsync"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = ""
    assert server.stderr
    for line in server.stderr:
        log += line
        if "ready to serve client requests" in line:
            break
    else:
        pytest.fail(f"etcd does not start: {log}")
    # Nobody reads the rest; what does not fit is dropped by its end.
    os.set_blocking(server.stderr.fileno(), False)
    yield url
    server.kill()
    server.wait()


def etcd_values(url: str, prefix: str) -> dict[str, bytes]:
    keys = etcdctl(url, "get", "--prefix", "--keys-only", prefix).decode().split()
    return {key: etcdctl(url, "get", "--print-value-only", key)[:-1] for key in keys}


def etcdctl(url: str, *arguments: str) -> bytes:
    command = ["etcdctl", "--endpoints", url, *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, timeout=20, env={**os.environ, "ETCDCTL_API": "3"}).stdout


class TestEtcdStore:
    @pytest.mark.parametrize("mine", ["mine", "zürich"])
    def test_keeps_its_promises(self, etcd: str, mine: str) -> None:
        etcdctl(etcd, "put", "/tunnels/another/tunnel-id", "theirs")
        etcdctl(etcd, "put", f"/tunnels/{mine}/note", "not ours")
        result = run("etcd-store", etcd, f"/tunnels/{mine}", "check")
        assert result.stdout == "all promises are kept\n" and result.returncode == 0, result.stderr
        # Nothing is left, and what belongs to others is as it was.
        left = etcd_values(etcd, "/tunnels")
        assert left == {"/tunnels/another/tunnel-id": b"theirs", f"/tunnels/{mine}/note": b"not ours"}

    def test_provisions_into_it(self, etcd: str, tunnels: TunnelsAPI) -> None:
        result = run("etcd-store", etcd, "/tunnels/mine", "provision", tunnels.url, api=tunnels)
        assert result.returncode == 0, result.stderr
        kept = etcd_values(etcd, "/tunnels/mine/")
        assert set(kept) == {f"/tunnels/mine/{name}" for name in NAMES}
        domain = kept["/tunnels/mine/tunnel-domain"].decode()
        assert result.stdout == f"{domain}: provisioned\n"
        assert run("etcd-store", etcd, "/tunnels/mine", "check").stdout.startswith("broken: the place is not empty")

        # Somebody takes a value away: it comes back, and nothing else changes.
        etcdctl(etcd, "del", "/tunnels/mine/tls.crt")
        result = run("etcd-store", etcd, "/tunnels/mine", "provision", tunnels.url, api=tunnels)
        assert result.stdout == f"{domain}: provisioned\n", result.stderr
        again = etcd_values(etcd, "/tunnels/mine/")
        assert {name for name in kept if again.get(name) != kept[name]} <= {"/tunnels/mine/tls.crt", "/tunnels/mine/tls.key"}
        result = run("etcd-store", etcd, "/tunnels/mine", "provision", tunnels.url, api=tunnels)
        assert result.stdout == f"{domain}: nothing to do\n" and len(tunnels.tunnels()) == 1

    def test_nobody_there(self, tunnels: TunnelsAPI) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            result = run("etcd-store", f"http://127.0.0.1:{bound.getsockname()[1]}", "/t", "check")
        assert result.returncode == 1 and "see that it runs" in result.stderr


@pytest.fixture
def stdio_server() -> Iterator[str]:
    """An address where each connection gets a stdio-server of its own, as from inetd."""
    listener = socket.create_server(("127.0.0.1", 0))
    # A process, not a thread: it is ended with all that it has started.
    accepting = (
        "import socket, subprocess, sys\n"
        "listener = socket.socket(fileno=int(sys.argv[1]))\n"
        "while True:\n"
        "    connection, _ = listener.accept()\n"
        "    subprocess.Popen([sys.argv[2]], stdin=connection, stdout=connection)\n"
        "    connection.close()\n")
    process = subprocess.Popen(
        [sys.executable, "-c", accepting, str(listener.fileno()), EXAMPLES / "stdio-server"],
        pass_fds=[listener.fileno()], start_new_session=True)
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    listener.close()


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


class TestStdioServer:
    def test_http1(self, stdio_server: str) -> None:
        result = curl("-i", f"http://{stdio_server}/hello?x=1")
        head, body = result.stdout.split("\n\n")
        assert head.startswith("HTTP/1.1 200 OK") and body == f"GET {stdio_server} /hello\n"
        result = curl("-i", "-H", "Host: a b", f"http://{stdio_server}/")
        assert result.stdout.startswith("HTTP/1.1 400 Bad Request")

    def test_http2(self, stdio_server: str, tmp_path: Path) -> None:
        # More than a window holds.
        upload = tmp_path / "upload"
        upload.write_bytes(bytes(3_000_000))
        result = curl(
            "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "--data-binary", f"@{upload}",
            f"http://{stdio_server}/upload")
        assert result.stdout == f"POST {stdio_server} /upload 3000000\n2 200", result.stderr
        # Several streams of one connection, in whatever order they end.
        names = ["a", "b", "c"]
        output = subprocess.run(
            ["nghttp", *(f"http://{stdio_server}/{name}" for name in names)], capture_output=True, text=True, timeout=20,
            check=True).stdout
        assert sorted(output.splitlines()) == [f"GET {stdio_server} /{name} 0" for name in names]

    async def test_websocket(self, stdio_server: str) -> None:
        async with connect(f"ws://{stdio_server}/chat", subprotocols=["other", "echo"]) as client:
            assert client.subprotocol == "echo"
            assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
            for message in ("hello", b"\x00\xff", "x" * 500_000, ""):
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
        assert client.close_code == 1000

    @pytest.mark.parametrize(
        ("fields", "status", "line"),
        [({"Origin": "https://elsewhere.example"}, 403, "not for pages of other sites"),
         ({"Sec-WebSocket-Version": "8"}, 426, "Sec-WebSocket-Version: 13")])
    def test_refusals(self, stdio_server: str, fields: dict[str, str], status: int, line: str) -> None:
        upgrade = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **fields}
        options = [part for name, value in upgrade.items() for part in ("-H", f"{name}: {value}")]
        result = curl("-i", *options, f"http://{stdio_server}/")
        assert result.stdout.startswith(f"HTTP/1.1 {status} ") and line in result.stdout
        assert "onnection: close" in result.stdout

    def test_slow_client_is_told_at_the_deadline(self, stdio_server: str) -> None:
        """HTTP/2 has deadlines, and the program asks for them: settings that nobody acknowledges end the connection."""
        host, _, port = stdio_server.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            begun, received = time.monotonic(), b""
            while piece := client.recv(65_536):
                received += piece
        # GOAWAY, with the code of a time-out for settings (RFC 9113 §7).
        assert received[-17 + 3] == 7 and received.endswith(b"\x00\x00\x00\x04")
        assert time.monotonic() - begun < 50


class TestServerEcosystem:
    """Built against stand-ins of the packages that it needs; the proxy in it is the real one."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_serves_logs_and_ends_with_the_group(self, certificates, number: signal.Signals) -> None:
        environment = {
            **plain_environment(), "HOST": "echo.t.example", "UPSTREAM": "http://10.0.0.7:9000", "PORT": "0",
            "TLS_CERT_FILE": str(certificates.certificate), "TLS_KEY_FILE": str(certificates.key)}
        process = subprocess.Popen(
            [EXAMPLES / "server-ecosystem"], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        for line in process.stderr:
            if "listening" in line:
                break
        else:
            pytest.fail("it does not listen")
        # The label and the level are those of the program's logger.
        assert line.startswith("mcp-proxy: info listening")
        process.send_signal(number)
        try:
            _, log = process.communicate(timeout=20)
        finally:
            process.kill()
        assert "mcp-proxy: info stopped clean=true" in log and process.returncode == 0

    def test_setting_that_is_missing(self) -> None:
        result = run("server-ecosystem")
        assert result.returncode != 0 and "tls.certFile" in result.stderr
