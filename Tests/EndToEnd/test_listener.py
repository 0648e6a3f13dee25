"""The plaintext listener: upgrades as cloudflared asks for them, and short honest answers to everything else."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from conftest import let_everybody_enter, write_configuration
from peers.endpoint import Endpoint
from peers.far_side import LibraryWebSocket
from peers.raw_websocket import PING, PONG, Answer, RawWebSocket, frame, read_answer, upgrade_head
from peers.upstream import Upstream, echo

NOWHERE = {"echo": "http://10.0.0.1:1"}


async def ask(endpoint: Endpoint, request: bytes, *, closes: bool = True) -> Answer:
    """Send a request, read the answer, and see that the connection ends."""
    reader, writer = await endpoint.open()
    writer.write(request)
    answer = await read_answer(reader)
    if closes:
        try:
            assert await reader.read(1) == b""
        except ConnectionError:
            pass
    writer.close()
    return answer


def changed(old: str, new: str) -> bytes:
    """An upgrade request as cloudflared sends it, with one thing changed."""
    head, _ = upgrade_head("echo.t.example")
    text = head.decode()
    assert old in text
    return text.replace(old, new).encode("latin-1")


KEY_LINE = "Sec-Websocket-Key"


async def test_upgrades_on_any_path(start) -> None:
    proxy = start(NOWHERE)
    for path in ("/", "/mcp", "/a/b?c=d%20e", "/%2e%2e/x", "/" + "p" * 4000):
        socket_ = await proxy.far.raw(path=path)
        await socket_.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Upgrade: websocket", "uPGRADE: WebSocket"),
        ("Connection: Upgrade", "connection: keep-alive, upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        ("Sec-Websocket-", "SEC-WEBSOCKET-"),
        ("Sec-Websocket-", "sec-websocket-"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c"),
        ("Host: echo.t.example", "Host: other.example:8080"),
        ("Cf-Ray:", "X-Empty:\r\nCf-Ray:"),
    ],
)
async def test_spellings_of_an_upgrade(start, old: str, new: str) -> None:
    proxy = start(NOWHERE)
    reader, writer = await proxy.endpoint.open()
    writer.write(changed(old, new))
    assert (await read_answer(reader)).status == 101
    writer.close()


async def test_upgrade_one_byte_at_a_time(start) -> None:
    proxy = start(NOWHERE)
    reader, writer = await proxy.endpoint.open()
    head, _ = upgrade_head("echo.t.example")
    for byte in head:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert (await read_answer(reader)).status == 101
    writer.close()


async def test_frames_may_follow_the_upgrade_at_once(start) -> None:
    """A client need not wait for 101 before it sends: what follows the head must not be lost."""
    proxy = start(NOWHERE)
    reader, writer = await proxy.endpoint.open()
    head, _ = upgrade_head("echo.t.example")
    writer.write(head + frame(PING, b"early"))
    answer = await read_answer(reader)
    received = await RawWebSocket(reader, writer, answer).read_frame()
    assert received and (received.opcode, received.payload) == (PONG, b"early")
    writer.close()


@pytest.mark.parametrize(
    ("request_", "status", "headers"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426, {"upgrade": "websocket"}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 426, {"upgrade": "websocket"}),
        (b"GET / HTTP/1.0\r\n\r\n", {426, 400}, {}),
        (b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", {405, 426}, {}),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", {405, 426}, {}),
        (changed("GET / ", "POST / "), 405, {"allow": "GET"}),
        (changed("GET / HTTP/1.1", "GET / HTTP/1.0"), {400, 426}, {}),
        (changed("Version: 13", "Version: 12"), 426, {"sec-websocket-version": "13"}),
        (changed("Sec-Websocket-Version: 13\r\n", ""), {400, 426}, {}),
        (changed(KEY_LINE, "X-Key"), 400, {}),
        (changed(f"{KEY_LINE}: ", f"{KEY_LINE}: c2hvcnQ=\r\nX: "), 400, {}),
        (changed(f"{KEY_LINE}: ", f"{KEY_LINE}: !!!!!!!!!!!!!!!!!!!!!!==\r\nX: "), 400, {}),
        (changed("Host: echo.t.example\r\n", ""), 400, {}),
        (changed("Host: ", "Host: a\r\nHost: "), 400, {}),
        (changed("Cf-Ray: ", "Cf Ray: "), 400, {}),
        (changed("Cf-Ray: ", "Cf-Ray : "), 400, {}),
        (changed("Cf-Ray: ", "Cf-Ray: a\x00b"), 400, {}),
        (changed("Upgrade: websocket", "Upgrade: h2c"), {400, 426}, {}),
        (changed("Connection: Upgrade\r\n", ""), {400, 426}, {}),
        (b"nonsense\r\n\r\n", 400, {}),
        (b"GET /\r\n\r\n", 400, {}),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", {400, 505}, {}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}, {}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", 400, {}),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400, {}),
    ],
)
async def test_answers_to_everything_else(start, request_: bytes, status: int | set[int], headers: dict) -> None:
    proxy = start(NOWHERE)
    answer = await ask(proxy.endpoint, request_)
    assert answer.status in (status if isinstance(status, set) else {status}), answer
    for name, value in headers.items():
        assert answer.headers[name] == value
    assert len(answer.body) < 200


@pytest.mark.parametrize("head", [b"GET /" + b"p" * 70_000, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"v" * 70_000])
async def test_heads_over_the_limit_get_431(start, head: bytes) -> None:
    proxy = start(NOWHERE)
    answer = await ask(proxy.endpoint, head + b"\r\n\r\n")
    assert answer.status in (431, 414)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_never_ends_is_given_up(start, sent: bytes) -> None:
    proxy = start(NOWHERE, limits={"header_timeout": "300ms"})
    reader, writer = await proxy.endpoint.open()
    writer.write(sent)
    answer = await reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_connections_over_the_limit_get_503(start) -> None:
    proxy = start(NOWHERE, limits={"max_connections": 2})
    first, second = await proxy.far.open(), await proxy.far.open()
    answer = await ask(proxy.endpoint, upgrade_head("echo.t.example")[0])
    assert answer.status == 503 and answer.headers["retry-after"]
    await first.close()
    # The place is free again as soon as the proxy is done with the first connection.
    while True:
        reader, writer = await proxy.endpoint.open()
        writer.write(upgrade_head("echo.t.example")[0])
        status = (await read_answer(reader)).status
        writer.close()
        if status == 101:
            break
        assert status == 503
    await second.close()


async def test_subprotocol_is_answered_only_where_configured(start) -> None:
    proxy = start(NOWHERE)
    client = await LibraryWebSocket.connect(proxy.endpoint, "echo.t.example", subprotocols=["mcp", "other"])
    assert client.connection.subprotocol is None
    await client.close()
    proxy = start(NOWHERE, websocket={"subprotocol": "mcp"})
    client = await LibraryWebSocket.connect(proxy.endpoint, "echo.t.example", subprotocols=["other", "mcp"])
    assert client.connection.subprotocol == "mcp"
    await client.close()
    # A client that offers none must not be told one (RFC 6455 §4.1).
    raw = await proxy.far.raw()
    assert "sec-websocket-protocol" not in raw.answer.headers
    await raw.close()


async def test_unix_socket(start, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=f"unix:{path}")
        assert proxy.endpoint.path == str(path)
        for _ in range(3):
            async with proxy.far.http("echo") as http:
                assert (await http.get()).status == 200
        assert proxy.stop() == 0
        assert not path.exists(), "the socket file stays behind"


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o660), ("0600", 0o600), ("666", 0o666)])
def test_mode_of_a_unix_socket(start, tmp_path: Path, mode: str | None, expected: int) -> None:
    """The umask, which a service manager sets for other files, has no part in it."""
    path = tmp_path / "proxy.sock"
    start(NOWHERE, listen_addr=f"unix:{path}", listen_mode=mode, before=["bash", "-c", 'umask 077; exec "$0" "$@"'])
    assert stat.S_IMODE(path.stat().st_mode) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="changes users, which is for root")
async def test_the_group_of_a_unix_socket_may_connect(start, tmp_path: Path) -> None:
    """As the operator's guide has it for cloudflared: another user, of the socket's group."""
    let_everybody_enter(tmp_path)
    path = tmp_path / "proxy.sock"
    start(NOWHERE, listen_addr=f"unix:{path}", listen_group="65533")
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    for groups, status in (([65533], 0), ([], 1)):
        result = subprocess.run(
            ["python3", "-c", connect], user=65532, group=65532, extra_groups=groups, capture_output=True, text=True,
            check=False)
        assert result.returncode == status, result.stderr
        assert status == 0 or "PermissionError" in result.stderr


async def test_what_is_not_its_own_stays(start, tmp_path: Path) -> None:
    """Somebody has put another file at the path while the proxy ran."""
    path = tmp_path / "proxy.sock"
    proxy = start(NOWHERE, listen_addr=f"unix:{path}")
    path.unlink()
    path.write_text("precious")
    assert proxy.stop() == 0
    assert path.read_text() == "precious"
    second = start(NOWHERE, listen_addr=f"unix:{tmp_path / 'other.sock'}")
    (tmp_path / "other.sock").unlink()
    third = start(NOWHERE, listen_addr=f"unix:{tmp_path / 'other.sock'}")
    assert second.stop() == 0
    await (await third.far.raw()).close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("x"), "is there and not a socket; remove it, or name another path"),
        (lambda path: path.mkdir(), "is there and not a socket; remove it, or name another path"),
        (lambda path: path.symlink_to("/nonexistent"), "is there and not a socket"),
    ],
    ids=["file", "folder", "link"])
def test_a_path_that_is_no_socket_is_refused_with_words(
    binary: Path, configuration: dict, tmp_path: Path, make, words: str
) -> None:
    path = tmp_path / "proxy.sock"
    make(path)
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, NOWHERE, listen_addr=f"unix:{path}")
    result = subprocess.run([str(binary), "-config", str(file)], capture_output=True, text=True, check=False, timeout=20)
    assert result.returncode == 1
    assert f"mcp-proxy: listen unix {path}: bind: address already in use: {path} {words}" in result.stderr
    assert os.path.lexists(path)


async def test_unix_socket_left_by_a_dead_process_is_replaced(start, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    proxy = start(NOWHERE, listen_addr=f"unix:{path}")
    await (await proxy.far.raw()).close()


@pytest.mark.parametrize("address", [":0", "[::]:0", "[::1]:0", "0.0.0.0:0"])
async def test_listen_addresses(start, address: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=address)
        assert proxy.endpoint.port > 0
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        if address in (":0", "[::]:0"):
            for host in ("127.0.0.1", "::1"):
                reader, writer = await asyncio.open_connection(host, proxy.endpoint.port)
                writer.write(upgrade_head("echo.t.example")[0])
                assert (await read_answer(reader)).status == 101
                writer.close()


async def test_key_is_answered_as_the_standard_says(start) -> None:
    """The example of RFC 6455 §1.3."""
    proxy = start(NOWHERE)
    reader, writer = await proxy.endpoint.open()
    writer.write(upgrade_head("echo.t.example", key="dGhlIHNhbXBsZSBub25jZQ==")[0])
    answer = await read_answer(reader)
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert base64.b64decode(answer.headers["sec-websocket-accept"], validate=True)
    assert "sec-websocket-extensions" not in answer.headers
    writer.close()
