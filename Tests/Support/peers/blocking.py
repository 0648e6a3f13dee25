"""The far side on blocking sockets, for threads and processes that do one thing as fast as they can."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .raw_websocket import BINARY, CLOSE, PING, PONG, upgrade_head


def frames(opcode: int, payload: bytes = b"", count: int = 1) -> bytes:
    """Frames of one payload, masked with zeros, so that nothing has to be XORed: a client chooses (RFC 6455 §5.3)."""
    return (_header(opcode, len(payload)) + payload) * count


def byte_frames(data: bytes) -> bytes:
    """A binary frame for every single byte."""
    header = _header(BINARY, 1)
    size = len(header) + 1
    result = bytearray(size * len(data))
    for index, byte in enumerate(header):
        result[index::size] = bytes([byte]) * len(data)
    result[size - 1 :: size] = data
    return bytes(result)


def _header(opcode: int, size: int) -> bytes:
    if size < 126:
        return struct.pack(">BB4x", 0x80 | opcode, 0x80 | size)
    if size < 1 << 16:
        return struct.pack(">BBH4x", 0x80 | opcode, 0x80 | 126, size)
    return struct.pack(">BBQ4x", 0x80 | opcode, 0x80 | 127, size)


class Ended(Exception):
    """The connection is over."""


@dataclass
class Reply:
    """A response that was read whole."""

    status: int
    head: str
    body: bytes

    def get(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


class Tunnel:
    """A WebSocket with TLS inside. Every call waits at most `timeout` seconds and raises `TimeoutError` after it."""

    def __init__(
        self, port: int, host: str, context: ssl.SSLContext, *, timeout: float = 10, receive_buffer: int | None = None,
        session: ssl.SSLSession | None = None, handshake: bool = True, address: str = "127.0.0.1",
    ) -> None:
        self.host, self.timeout = host, timeout
        self.pongs: list[bytes] = []
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((address, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head, _ = upgrade_head(host)
        self.socket.sendall(head)
        self._received = bytearray()
        while b"\r\n\r\n" not in self._received:
            self._more()
        status, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received[:] = rest
        if not status.startswith(b"HTTP/1.1 101 "):
            self.socket.close()
            raise Ended(status.split(b"\r\n")[0].decode())
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        self._plain = bytearray()
        self.close_code: int | None = None
        if handshake:
            self._handshake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self._fill()
        self.flush()

    # Sending.

    def records(self, plain: bytes) -> bytes:
        """Encrypt, without sending."""
        self.tls.write(plain)
        return self._outgoing.read()

    def flush(self) -> None:
        if data := self._outgoing.read():
            self.socket.sendall(frames(BINARY, data))

    def send(self, plain: bytes) -> None:
        self.socket.sendall(frames(BINARY, self.records(plain)))

    # Receiving.

    def _more(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise Ended("end of the connection")
        self._received += data

    def frame(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload."""
        while True:
            if (size := len(self._received)) >= 2:
                length, start = self._received[1] & 0x7F, 2
                if length == 126 and size >= 4:
                    length, start = struct.unpack_from(">H", self._received, 2)[0], 4
                elif length == 127 and size >= 10:
                    length, start = struct.unpack_from(">Q", self._received, 2)[0], 10
                elif length > 125:
                    start = size + 1
                if size >= start + length:
                    opcode, payload = self._received[0] & 15, bytes(self._received[start : start + length])
                    del self._received[: start + length]
                    return opcode, payload
            self._more()

    def _fill(self) -> None:
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.socket.sendall(frames(PONG, payload))
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.close_code = struct.unpack_from(">H", payload)[0] if len(payload) > 1 else None
                raise Ended(f"closed with {self.close_code}")
            elif payload:
                self._incoming.write(payload)
                return

    def read(self) -> bytes:
        """Some plaintext; empty after close_notify."""
        while True:
            try:
                return self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                self.flush()
                self._fill()
            except ssl.SSLZeroReturnError:
                return b""

    def until(self, mark: bytes) -> bytes:
        """Plaintext up to and with a mark."""
        while (end := self._plain.find(mark)) < 0:
            self._need()
        return self.take(end + len(mark))

    def take(self, count: int) -> bytes:
        while len(self._plain) < count:
            self._need()
        taken = bytes(self._plain[:count])
        del self._plain[:count]
        return taken

    def _need(self) -> None:
        data = self.read()
        if not data:
            raise Ended("close_notify")
        self._plain += data

    # HTTP.

    def head(self, method: str = "GET", target: str = "/", *lines: str, host: str | None = None) -> bytes:
        return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host or self.host}", *lines, "", ""]).encode()

    def reply(self, method: str = "GET") -> Reply:
        head = self.until(b"\r\n\r\n")[:-4].decode("latin-1")
        reply = Reply(int(head.split(" ")[1]), head, b"")
        if method == "HEAD" or reply.status in (101, 204, 304):
            return reply
        if reply.get("transfer-encoding"):
            while size := int(self.until(b"\r\n"), 16):
                reply.body += self.take(size)
                self.take(2)
            self.until(b"\r\n")
        elif (length := reply.get("content-length")) is not None:
            reply.body = self.take(int(length))
        return reply

    def request(self, method: str = "GET", target: str = "/", body: bytes = b"", *lines: str, **options: str) -> Reply:
        if body or method == "POST":
            lines = (*lines, f"Content-Length: {len(body)}")
        self.send(self.head(method, target, *lines, **options) + body)
        return self.reply(method)

    # The end.

    def close_notify(self) -> bytes:
        """The alert's record, without sending it."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        return self._outgoing.read()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if notify := self.close_notify():
                self.socket.sendall(frames(BINARY, notify) + frames(CLOSE, b"\x03\xe8"))
        self.socket.close()

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def client_context(ca_file: Path | str) -> ssl.SSLContext:
    """A client context that trusts only the test's CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=str(ca_file))
    context.set_alpn_protocols(["http/1.1"])
    return context


def pour(connection: socket.socket, data: memoryview, end: float, *, drop: bool) -> int:
    """Send until all is sent, or `end` has come; what comes back meanwhile is dropped or left unread.

    Returns the bytes sent. Raises `Ended` when the peer has gone.
    """
    connection.setblocking(False)
    sent = 0
    while sent < len(data) and (left := end - time.monotonic()) > 0:
        readable, writable, _ = select.select([connection] if drop else [], [connection], [], left)
        try:
            if readable and not connection.recv(1 << 18):
                raise Ended("end of the connection")
            if writable:
                sent += connection.send(data[sent:])
        except BlockingIOError:
            continue
        except OSError as error:
            raise Ended(str(error)) from error
    return sent
