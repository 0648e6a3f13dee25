"""Frames: what the proxy accepts, what it refuses and with which code, pings, closing."""

from __future__ import annotations

import asyncio
import struct

import pytest
from peers.far_side import LibraryWebSocket
from peers.http_client import HTTPConnection
from peers.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, frame
from peers.tls_stream import TLSStream
from peers.upstream import Upstream, echo

NOWHERE = {"echo": "http://10.0.0.1:1"}


def huge_length(value: int) -> bytes:
    return struct.pack(">BBQ", 0x82, 0xFF, value) + b"mask"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"hello"), 1003),
        (frame(TEXT, b"hel", fin=False), 1003),
        (frame(BINARY, b"x", masked=False), 1002),
        (frame(PING, b"x", masked=False), 1002),
        (frame(BINARY, b"x", reserved=4), 1002),
        (frame(BINARY, b"x", reserved=2), 1002),
        (frame(PING, b"x", reserved=1), 1002),
        (frame(0x3, b"x"), 1002),
        (frame(0x7, b"x"), 1002),
        (frame(0xB, b""), 1002),
        (frame(0xF, b""), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(CLOSE, bytes(126)), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(BINARY, b"", fin=False) + frame(BINARY, b""), 1002),
        (huge_length(1 << 63), 1002),
        (huge_length((1 << 24) + 1), 1009),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, struct.pack(">H", 1005)), 1002),
        (frame(CLOSE, struct.pack(">H", 999)), 1002),
        (b"\x82\xfe\x00\x05mask" + bytes(5), 1002),
    ],
    ids=range(22),
)
async def test_frames_that_end_the_connection(start, sent: bytes, code: int) -> None:
    proxy = start(NOWHERE)
    socket = await proxy.far.raw()
    await socket.send_raw(sent)
    assert await socket.read_until_close() == code
    await socket.send_frame(CLOSE, struct.pack(">H", code))
    assert await socket.at_end()


async def test_frame_limit_is_a_setting(start) -> None:
    proxy = start(NOWHERE, websocket={"max_frame_size": 20_000})
    socket = await proxy.far.raw()
    await socket.send_raw(struct.pack(">BBH", 0x82, 0xFE, 20_001) + b"mask")
    assert await socket.read_until_close() == 1009


@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)])
async def test_ping_is_answered_with_the_same_bytes(start, payload: bytes) -> None:
    proxy = start(NOWHERE)
    socket = await proxy.far.raw()
    await socket.send_frame(PING, payload)
    received = await socket.read_frame()
    assert received and (received.first, received.payload) == (0x80 | PONG, payload)
    await socket.send_frame(PONG, b"nobody asked")
    await socket.send_frame(PING, b"still there?")
    received = await socket.read_frame()
    assert received and received.payload == b"still there?"
    await socket.close()


@pytest.mark.parametrize("payload", [b"", struct.pack(">H", 1000), struct.pack(">H", 4000) + "größe".encode()])
async def test_close_is_answered_and_the_connection_ends(start, payload: bytes) -> None:
    proxy = start(NOWHERE)
    socket = await proxy.far.raw()
    await socket.send_frame(CLOSE, payload)
    received = await socket.read_frame()
    assert received and received.opcode == CLOSE
    assert received.payload[:2] in (payload[:2], struct.pack(">H", 1000))
    assert await socket.at_end()


class Slicer(RawWebSocket):
    """Sends its bytes in the most awkward way: frames of a few bytes, fragments, pings between, byte by byte."""

    async def send(self, data: bytes) -> None:
        stream, size, start = bytearray(), 1, 0
        while start < len(data):
            piece = data[start : start + size]
            start, last = start + size, start + size >= len(data)
            # One message of many fragments, with control frames between them (§5.4) and empty ones.
            stream += frame(BINARY if not stream else CONTINUATION, piece, fin=last)
            if size % 3 == 0:
                stream += frame(PING, b"between") + (b"" if last else frame(CONTINUATION, b"", fin=False))
            size = size % 7 + 1
        for index in range(0, len(stream), 3):
            self.writer.write(bytes(stream[index : index + 3]))
            await self.writer.drain()
            await asyncio.sleep(0)


async def test_any_slicing_carries_the_stream(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        slicer = await Slicer.connect(proxy.endpoint, "echo.t.example")
        stream = TLSStream(slicer, proxy.far.context(), "echo.t.example")
        await stream.handshake()
        http = HTTPConnection(stream, "echo.t.example")
        response = await http.request("POST", "/sliced", body=b"0123456789" * 50)
        assert response.status == 200 and response.body.endswith(b"\n\n" + b"0123456789" * 50)
        await stream.close()


async def test_many_records_in_one_frame_and_one_record_in_many(start) -> None:
    body = bytes(range(256)) * 1024
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        for size in (1 << 24, 64, 5):
            async with proxy.far.http("echo", raw=True) as http:
                http.stream.transport.frame_size = size
                # All records at once, so that a frame can hold them all.
                sent = body if size > 64 else body[:3000]
                response = await http.request("POST", "/", body=sent)
                assert response.body.endswith(b"\n\n" + sent)


async def test_server_frames_are_bounded_and_plain(start) -> None:
    """The proxy's own frames: binary, unfragmented, at most 64 KiB, so that a hop may flush each at once."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        socket = await proxy.far.raw()
        sizes = []

        class Watching:
            async def send(self, data: bytes) -> None:
                await socket.send(data)

            async def recv(self) -> bytes:
                received = await socket.read_frame()
                if received is None:
                    return b""
                assert received.first == 0x80 | BINARY
                sizes.append(len(received.payload))
                return received.payload

        stream = TLSStream(Watching(), proxy.far.context(), "echo.t.example")
        await stream.handshake()
        http = HTTPConnection(stream, "echo.t.example")
        response = await http.request("POST", "/", body=bytes(500_000))
        assert response.body.endswith(bytes(500_000))
        assert max(sizes) <= 1 << 16
        await socket.close()


async def test_proxy_pings_at_its_interval(start) -> None:
    proxy = start(NOWHERE, websocket={"ping_interval": "100ms"})
    socket = await proxy.far.raw()
    for _ in range(3):
        received = await socket.read_frame()
        assert received and received.first == 0x80 | PING and len(received.payload) <= 125
        # A peer that never answers pings must not be cut.
    await socket.close()


async def test_pings_go_on_beside_an_open_answer(start) -> None:
    async def slow(connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await connection.wait_for_end()

    async with Upstream(slow) as upstream:
        proxy = start({"echo": upstream}, websocket={"ping_interval": "100ms"})
        async with proxy.far.http("echo", raw=True) as http:
            await http.send_head("GET")
            assert (await http.final_head()).status == 200
            transport = http.stream.transport
            reading = asyncio.create_task(http.stream.read())
            while transport.pings < 2:
                await asyncio.sleep(0.02)
                if reading.done():
                    reading = asyncio.create_task(http.stream.read())
            reading.cancel()


async def test_no_pings_when_turned_off(start) -> None:
    proxy = start(NOWHERE, websocket={"ping_interval": "0"})
    socket = await proxy.far.raw()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await socket.read_frame()
    await socket.close()


async def test_silence_is_given_up_after_the_idle_timeout(start) -> None:
    proxy = start(NOWHERE, websocket={"idle_timeout": "400ms", "ping_interval": "100ms"})
    silent, alive = await proxy.far.raw(), await proxy.far.raw()

    async def answer_pings() -> None:
        while received := await alive.read_frame():
            if received.opcode == PING:
                await alive.send_frame(PONG, received.payload)

    answering = asyncio.create_task(answer_pings())
    while await silent.read_frame():
        pass
    assert not answering.done(), "a peer that answers pings was given up"
    answering.cancel()
    await alive.close()


async def test_order_of_the_end(start) -> None:
    """close_notify, then the close frame with 1000, then FIN: the order that keeps a half-close out of it."""

    async def one(connection) -> None:
        await connection.head()
        await connection.respond(body=b"x")

    async with Upstream(one) as upstream:
        proxy = start({"echo": upstream})
        socket = await proxy.far.raw()
        stream = TLSStream(socket, proxy.far.context(), "echo.t.example")
        await stream.handshake()
        http = HTTPConnection(stream, "echo.t.example")
        response = await http.request("GET", headers=[("Connection", "close")])
        assert response.status == 200 and (response.get("connection") or "").lower() == "close"
        assert await stream.read() == b"" and stream.got_close_notify
        closing = await socket.read_frame()
        assert closing and closing.close_code == 1000
        await socket.send_frame(CLOSE, closing.payload)
        assert await socket.at_end()


async def test_close_notify_from_the_client_ends_politely(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open(raw=True)
        await stream.send_close_notify()
        assert await stream.read() == b"" and stream.got_close_notify
        assert await stream.transport.read_until_close() == 1000


@pytest.mark.parametrize("how", ["fin", "reset", "close frame", "mid frame"])
async def test_client_that_goes_away_leaves_nothing_behind(start, how: str) -> None:
    async def hold(connection) -> None:
        await connection.head()
        await connection.wait_for_end()

    async with Upstream(hold) as upstream:
        proxy = start({"echo": upstream})
        before = proxy.open_descriptors()
        stream = await proxy.far.open(raw=True)
        http = HTTPConnection(stream, "echo.t.example")
        await http.send_head("GET")
        await proxy.logged("request started")
        while not upstream.requests:
            await asyncio.sleep(0.005)
        transport = stream.transport
        if how == "fin":
            transport.writer.write_eof()
        elif how == "reset":
            transport.abort()
        elif how == "close frame":
            await transport.send_frame(CLOSE, struct.pack(">H", 1001))
        else:
            await transport.send_raw(frame(BINARY, bytes(1000))[:500])
            transport.writer.close()
        finished = await proxy.logged("request finished")
        assert finished.fields["end"] == "client_gone"
        await upstream.connections[0].ended.wait()
        transport.abort()
        while proxy.open_descriptors() > before:
            await asyncio.sleep(0.01)


async def test_compression_only_where_configured(start) -> None:
    async with Upstream(echo) as upstream:
        for setting in (False, True):
            proxy = start({"echo": upstream}, websocket={"compression": setting})
            stream = await proxy.far.open(compression="deflate")
            transport = stream.transport
            assert isinstance(transport, LibraryWebSocket)
            assert bool(transport.connection.protocol.extensions) is setting
            http = HTTPConnection(stream, "echo.t.example")
            for size in (0, 10, 100_000):
                response = await http.request("POST", body=b"z" * size)
                assert response.body.endswith(b"\n\n" + b"z" * size)
            await stream.close()


async def test_data_after_the_handshake_that_is_not_tls(start) -> None:
    proxy = start(NOWHERE)
    socket = await proxy.far.raw()
    await socket.send_frame(BINARY, b"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n")
    await proxy.logged("tls handshake failed")
    # A TLS alert may come first; then the end, and never an HTTP answer.
    while received := await socket.read_frame():
        assert b"HTTP/" not in received.payload
