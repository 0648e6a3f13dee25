"""A TCP server the tests script by hand: it can answer, stall, reset, truncate and lie."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Headers = list[tuple[str, str]]


@dataclass
class RequestHead:
    """A request head as the proxy sent it. `lines` are its header lines byte for byte."""

    method: str
    target: str
    version: str
    lines: list[str]
    headers: Headers
    trailers: Headers = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The value of a header that must not repeat."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} repeats: {values}"
        return values[0] if values else None


class Connection:
    """One connection the proxy made. `number` counts from 1 within its upstream."""

    def __init__(self, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upstream, self.reader, self.writer = upstream, reader, writer
        upstream.connections.append(self)
        self.number = len(upstream.connections)
        self.sent = 0
        self.ended = asyncio.Event()

    async def head(self) -> RequestHead | None:
        """The next request head, or nothing when the proxy ended the connection between requests."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as end:
            assert end.partial.strip() == b"", f"half a head: {end.partial!r}"
            return None
        except ConnectionError:
            return None
        start, *lines = raw[:-4].decode("latin-1").split("\r\n")
        method, target, version = start.split(" ")
        head = RequestHead(method, target, version, lines, _fields(lines))
        self.upstream.requests.append(head)
        return head

    async def body(self, head: RequestHead) -> bytes:
        """The whole body of a request; its trailers go into the head."""
        if head.get("transfer-encoding"):
            parts = []
            while True:
                size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
                if size == 0:
                    break
                parts.append(await self.reader.readexactly(size))
                assert await self.reader.readexactly(2) == b"\r\n"
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                head.trailers += _fields([line[:-2].decode("latin-1")])
            return b"".join(parts)
        return await self.reader.readexactly(int(head.get("content-length") or 0))

    async def send(self, data: bytes) -> None:
        """Bytes to the proxy, waiting while it does not take them."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def respond(self, status: str = "200 OK", headers: Headers | None = None, body: bytes = b"") -> None:
        """A whole answer with Content-Length."""
        lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in headers or []), f"Content-Length: {len(body)}"]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def respond_chunked(self, *chunks: bytes, headers: Headers | None = None, trailers: Headers | None = None):
        """A whole chunked answer."""
        lines = ["HTTP/1.1 200 OK", *(f"{k}: {v}" for k, v in headers or []), "Transfer-Encoding: chunked", "", ""]
        data = "\r\n".join(lines).encode("latin-1")
        for chunk in chunks:
            data += b"%x\r\n%b\r\n" % (len(chunk), chunk)
        data += b"0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in trailers or []).encode("latin-1") + b"\r\n"
        await self.send(data)

    async def wait_for_end(self) -> None:
        """Wait until the proxy ends the connection; what it still sends is dropped."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    def reset(self) -> None:
        """End the connection with RST."""
        plain = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Connection], Awaitable[None]]


class Upstream:
    """Listens on a port of the kernel's choice and runs the handler for each connection."""

    def __init__(
        self, handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, buffer: int | None = None
    ) -> None:
        self._handler, self._tls, self._host, self._buffer = handler, tls, host, buffer
        self.connections: list[Connection] = []
        self.requests: list[RequestHead] = []
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # Bound at once, so that a configuration can name the port before the event loop runs.
        self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.port: int = self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """host:port, IPv6 in brackets."""
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    @property
    def url(self) -> str:
        """The route's value in the proxy's configuration."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._accept, sock=self._socket, ssl=self._tls, limit=1 << 20)
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None and self.errors:
            raise self.errors[0]
        if isinstance(error, BaseException):
            for hidden in self.errors:
                error.add_note(f"upstream {self.address}: {hidden!r}")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        connection = Connection(self, reader, writer)
        # asyncio does so only for sockets that were made with their protocol named.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._handler(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            # The server's own end, not a failure; asyncio would log a cancelled handler as an error.
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.ended.set()
            writer.close()
            self._tasks.discard(task)


async def echo(connection: Connection) -> None:
    """Answers every request with its own head and body as text, keeping the connection."""
    while head := await connection.head():
        body = await connection.body(head)
        start = f"{head.method} {head.target} {head.version}\n"
        text = start.encode() + "\n".join(head.lines).encode("latin-1") + b"\n\n" + body
        headers = [("Content-Type", "text/plain"), ("X-Connection", str(connection.number))]
        if head.method == "HEAD":
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
        else:
            await connection.respond(headers=headers, body=text)


def _fields(lines: list[str]) -> Headers:
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"no colon in {line!r}"
        fields.append((name, value.strip(" \t")))
    return fields
