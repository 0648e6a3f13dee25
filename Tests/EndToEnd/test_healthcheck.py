"""`mcp-proxy healthcheck` against proxies that serve, and against what else may be at the address."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from conftest import write_configuration
from peers.name_server import NO_SUCH_NAME, NameServer, asking

NOWHERE = {"echo": "http://127.0.0.1:1"}


def check(binary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), "healthcheck", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )


def assert_unhealthy(result: subprocess.CompletedProcess[str], reason: str) -> None:
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("mcp-proxy: healthcheck: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1, "more than one line"


@pytest.mark.parametrize("listener", ["127.0.0.1:0", ":0", "0.0.0.0:0", "[::]:0", "[::1]:0"])
def test_a_proxy_that_serves(start, binary: Path, listener: str) -> None:
    proxy = start(NOWHERE, listen_addr=listener, log_level="debug")
    wildcard = listener.removesuffix("0")
    result = check(binary, "-addr", f"{wildcard}{proxy.endpoint.port}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    proxy.wait_for("tls handshake complete")
    assert not proxy.found("WARN|ERROR"), "a check is no reason to alert anybody"


def test_a_proxy_by_its_name(start, binary: Path, tmp_path: Path) -> None:
    """As containers and pods know one another: by a name that only the resolver can tell the address of."""
    with NameServer({"mcp-proxy.test": ["127.0.0.1"], "gone.test": NO_SUCH_NAME}) as names:
        check_there = asking(names.address, binary, tmp_path)
        proxy = start(NOWHERE, log_level="debug")
        result = check(check_there, "-addr", f"mcp-proxy.test:{proxy.endpoint.port}")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        proxy.wait_for("tls handshake complete")
        assert_unhealthy(check(check_there, "-addr", "gone.test:8080"), "lookup gone.test: no such host")


def test_the_address_comes_from_the_configuration(start, binary: Path, tmp_path: Path) -> None:
    proxy = start(NOWHERE, listen_addr=f"unix:{tmp_path}/proxy.sock")
    result = check(binary, "-config", str(proxy.config_file))
    assert (result.returncode, result.stderr) == (0, "")


def test_the_configuration_may_need_the_tunnel_domain_flag(
    start, binary: Path, configuration: dict, tmp_path: Path
) -> None:
    proxy = start(NOWHERE, listen_addr=f"unix:{tmp_path}/proxy.sock")
    file = tmp_path / "without-domain.yaml"
    write_configuration(
        file, configuration, NOWHERE, listen_addr=f"unix:{tmp_path}/proxy.sock", tunnel_domain=None
    )
    assert_unhealthy(check(binary, "-config", str(file)), "tunnel_domain")
    assert check(binary, "-config", str(file), "-tunnel-domain", "t.example").returncode == 0
    assert proxy.process.poll() is None


def test_nothing_listens(binary: Path, refusing_port: int) -> None:
    result = check(binary, "-addr", f"127.0.0.1:{refusing_port}")
    assert_unhealthy(result, f"connect 127.0.0.1:{refusing_port}: connection refused")


def test_no_socket_there(binary: Path, tmp_path: Path) -> None:
    result = check(binary, "-addr", f"unix:{tmp_path}/absent.sock")
    assert_unhealthy(result, "no such file or directory")


def test_no_configuration(binary: Path) -> None:
    assert not Path("/etc/mcp-gateway/config.yaml").exists()
    assert_unhealthy(check(binary), "open /etc/mcp-gateway/config.yaml: no such file or directory")


def test_a_port_that_only_the_log_tells(start, binary: Path) -> None:
    proxy = start(NOWHERE)
    assert_unhealthy(check(binary, "-config", str(proxy.config_file)), "give it by -addr")


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def check_against(binary: Path, answer: Handler) -> subprocess.CompletedProcess[str]:
    """The check of a server that is ours to misbehave."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(check, binary, "-addr", f"127.0.0.1:{port}")


async def test_another_service(binary: Path) -> None:
    async def not_found(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    assert_unhealthy(await check_against(binary, not_found), "status 404")


async def test_a_server_that_agrees_to_anything(binary: Path) -> None:
    async def yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        writer.close()

    assert_unhealthy(await check_against(binary, yes), "Sec-WebSocket-Accept does not match")


def test_a_proxy_that_hangs(binary: Path) -> None:
    # The kernel takes the connection; nobody accepts it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = check(binary, "-addr", f"127.0.0.1:{silent.getsockname()[1]}")
    assert_unhealthy(result, "nothing within 3 s")


async def test_an_answer_that_drips(binary: Path) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for byte in b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Filler: x\r\n" * 10_000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass

    assert_unhealthy(await check_against(binary, drip), "nothing within 3 s")
