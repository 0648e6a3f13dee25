"""A WebSocket client on a plain socket with every bit of a frame in the test's hand (RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import struct
from dataclasses import dataclass

from .endpoint import Endpoint

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Frame:
    """One frame as received. `first` is the byte with FIN, the reserved bits and the opcode."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def close_code(self) -> int | None:
        """The status code of a close frame, if it carries one."""
        if self.opcode != CLOSE or len(self.payload) < 2:
            return None
        return struct.unpack_from(">H", self.payload)[0]


@dataclass(frozen=True)
class Answer:
    """The head and body the listener answered an HTTP request with."""

    status: int
    headers: dict[str, str]
    body: bytes


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated key, as one big number because that loop runs in C."""
    if not payload:
        return b""
    pattern = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """The bytes of one frame. `reserved` is the three RSV bits as a number 0..7."""
    head = bytearray([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head.append(bit | len(payload))
    elif len(payload) < 1 << 16:
        head += struct.pack(">BH", bit | 126, len(payload))
    else:
        head += struct.pack(">BQ", bit | 127, len(payload))
    if not masked:
        return bytes(head) + payload
    key = os.urandom(4)
    return bytes(head) + key + mask(payload, key)


def upgrade_head(
    host: str, path: str = "/", *, key: str | None = None, extra: tuple[tuple[str, str], ...] = ()
) -> tuple[bytes, str]:
    """An upgrade request spelled as cloudflared's Go client spells it, and the key it carries."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Cdn-Loop: cloudflare; loops=1",
        "Cf-Connecting-Ip: 203.0.113.9",
        "Cf-Ray: 9f2a1b3c4d5e6f70-FRA",
        "Cf-Visitor: {\"scheme\":\"https\"}",
        "Cf-Warp-Tag-Id: 0e5a1c6d-1111-2222-3333-444455556666",
        "Connection: Upgrade",
        f"Sec-Websocket-Key: {key}",
        "Sec-Websocket-Version: 13",
        "Upgrade: websocket",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: https",
    ]
    lines += [f"{name}: {value}" for name, value in extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), key


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The listener's answer to an HTTP request; the body is read by Content-Length, else to the end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head[:-4].split("\r\n")
    version, status, *_ = status_line.split(" ")
    assert version == "HTTP/1.1", status_line
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if status != "101":
        length = headers.get("content-length")
        body = await reader.readexactly(int(length)) if length is not None else await reader.read()
    return Answer(int(status), headers, body)


class RawWebSocket:
    """An upgraded connection, as frames and, for TLS on top, as a byte stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self.reader, self.writer, self.answer = reader, writer, answer
        self.frame_size = 1 << 20
        self.close_code: int | None = None
        self.pings = 0

    @classmethod
    async def connect(
        cls, endpoint: Endpoint, host: str, path: str = "/", extra: tuple[tuple[str, str], ...] = ()
    ) -> RawWebSocket:
        """Upgrade, and hold the answer to RFC 6455 §4.2.2."""
        reader, writer = await endpoint.open()
        head, key = upgrade_head(host, path, extra=extra)
        writer.write(head)
        answer = await read_answer(reader)
        assert answer.status == 101, answer
        expected = base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT_SUFFIX).digest()).decode()
        assert answer.headers["sec-websocket-accept"] == expected
        assert answer.headers["upgrade"].lower() == "websocket"
        assert answer.headers["connection"].lower() == "upgrade"
        return cls(reader, writer, answer)

    async def send_raw(self, data: bytes) -> None:
        """Bytes on the socket as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_frame(self, opcode: int, payload: bytes = b"", **shape: object) -> None:
        """One frame of any shape, see `frame`."""
        await self.send_raw(frame(opcode, payload, **shape))  # type: ignore[arg-type]

    async def read_frame(self) -> Frame | None:
        """The next frame, or nothing at the end of the connection. A server's frames are never masked (§5.1)."""
        try:
            first, second = await self.reader.readexactly(2)
            assert second & 0x80 == 0, "the server masked a frame"
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", await self.reader.readexactly(2))
                assert length > 125, "the length is not in its shortest form"
            elif length == 127:
                (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
                assert length > 0xFFFF, "the length is not in its shortest form"
            payload = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Frame(first, payload)

    async def read_until_close(self) -> int | None:
        """Skip to the server's close frame and return its code; nothing when the connection just ends."""
        while (received := await self.read_frame()) is not None:
            if received.opcode == CLOSE:
                return received.close_code
        return None

    async def at_end(self) -> bool:
        """Whether the server ends the TCP connection now, with nothing more said."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    # The byte stream that TLS runs on.

    async def send(self, data: bytes) -> None:
        """Send bytes in binary frames of at most `frame_size`."""
        for start in range(0, len(data), self.frame_size):
            self.writer.write(frame(BINARY, data[start : start + self.frame_size]))
        await self.writer.drain()

    async def recv(self) -> bytes:
        """The next bytes; empty at the end of the stream. Pings are answered on the way."""
        while (received := await self.read_frame()) is not None:
            if received.opcode in (BINARY, CONTINUATION) and received.payload:
                return received.payload
            if received.opcode == PING:
                self.pings += 1
                await self.send_frame(PONG, received.payload)
            if received.opcode == CLOSE:
                self.close_code = received.close_code
                await self.send_frame(CLOSE, received.payload[:2])
        return b""

    async def close(self) -> None:
        """A close frame with 1000, then the end of the connection."""
        try:
            await self.send_frame(CLOSE, struct.pack(">H", 1000))
        except ConnectionError:
            pass
        self.writer.close()

    def abort(self) -> None:
        """End the TCP connection with a reset, as a host that vanished would seem to."""
        plain = self.writer.get_extra_info("socket")
        if plain.fileno() >= 0 and plain.family != socket.AF_UNIX:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
