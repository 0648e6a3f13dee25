"""A small strict HTTP/1.1 client (RFC 9112) on a byte stream. It sends what it is told and forgives nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from .tls_stream import StreamCut, TLSStream

Headers = list[tuple[str, str]]
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_STATUS = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;.*)?\Z")


class ProtocolViolation(Exception):
    """The answer breaks a rule of HTTP/1.1."""


class Incomplete(Exception):
    """The stream ended before the answer did: what a client must take for a failure."""


@dataclass
class Response:
    """A response head, and what was read of the rest."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""
    trailers: Headers = field(default_factory=list)
    informational: list[Response] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of a header that must not repeat."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolViolation(f"{name} repeats: {values}")
        return values[0] if values else None


def encode_head(start: str, headers: Headers) -> bytes:
    """A request or response head."""
    return "".join([start, "\r\n", *(f"{k}: {v}\r\n" for k, v in headers), "\r\n"]).encode("latin-1")


class HTTPConnection:
    """Requests and answers on one inner connection, one after another."""

    def __init__(self, stream: TLSStream, host: str) -> None:
        self.stream, self.host = stream, host
        self._buffer = bytearray()

    async def send(self, data: bytes) -> None:
        """Bytes into the tunnel as they are."""
        await self.stream.write(data)

    async def send_head(
        self, method: str, target: str = "/", headers: Headers | None = None, host: str | None = None
    ) -> None:
        """A request head with Host first, then the headers given."""
        start = f"{method} {target} HTTP/1.1"
        await self.send(encode_head(start, [("Host", host or self.host), *(headers or [])]))

    async def send_chunk(self, data: bytes) -> None:
        """One chunk of a chunked body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def request(
        self, method: str, target: str = "/", headers: Headers | None = None, body: bytes = b"", host: str | None = None
    ) -> Response:
        """A whole request, and its whole answer. A body goes with Content-Length."""
        headers = list(headers or [])
        if body:
            headers.append(("Content-Length", str(len(body))))
        start = f"{method} {target} HTTP/1.1"
        await self.send(encode_head(start, [("Host", host or self.host), *headers]) + body)
        return await self.response(method)

    async def get(self, target: str = "/", **options: object) -> Response:
        return await self.request("GET", target, **options)  # type: ignore[arg-type]

    # Reading.

    async def _more(self) -> bool:
        data = await self.stream.read()
        self._buffer += data
        return bool(data)

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if b"\n" in self._buffer:
                raise ProtocolViolation(f"bare LF in {bytes(self._buffer[:200])!r}")
            if len(self._buffer) > 1 << 20:
                raise ProtocolViolation("a line without an end")
            await self._need_more("a line")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise ProtocolViolation(f"control byte in {line!r}")
        return line

    async def _need_more(self, what: str) -> None:
        try:
            more = await self._more()
        except StreamCut as cut:
            raise Incomplete(f"the stream was cut inside {what}") from cut
        if not more:
            raise Incomplete(f"the stream ended inside {what}")

    async def _fields(self) -> Headers:
        fields: Headers = []
        while line := await self._line():
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not _TOKEN.match(name):
                raise ProtocolViolation(f"bad field line {line!r}")
            fields.append((name, value.strip(" \t")))
        return fields

    async def head(self) -> Response:
        """The next response head, interim or final. Nothing may precede it."""
        line = await self._line()
        match = _STATUS.match(line)
        if not match:
            raise ProtocolViolation(f"bad status line {line!r}")
        return Response(int(match[1]), match[2].decode("latin-1"), await self._fields())

    async def final_head(self) -> Response:
        """The final response head, with the interim ones before it attached."""
        informational: list[Response] = []
        while True:
            response = await self.head()
            if response.status == 101 or response.status >= 200:
                response.informational = informational
                return response
            informational.append(response)

    async def response(self, method: str = "GET") -> Response:
        """A final head and its whole body."""
        response = await self.final_head()
        parts = [part async for part in self.body(response, method)]
        response.body = b"".join(parts)
        return response

    async def body(self, response: Response, method: str = "GET") -> AsyncIterator[bytes]:
        """The body as it comes. Raises `Incomplete` when the stream ends before its announced end."""
        length, coding = response.get("content-length"), response.get("transfer-encoding")
        if response.status in (204, 304) or method == "HEAD" or response.status < 200:
            if coding is not None and response.status in (101, 204):
                raise ProtocolViolation("Transfer-Encoding where no body can be")
            return
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise ProtocolViolation(f"framing: {response.headers}")
            async for part in self._chunks(response):
                yield part
        elif length is not None:
            if not length.isascii() or not length.isdigit():
                raise ProtocolViolation(f"Content-Length {length!r}")
            async for part in self._exactly(int(length)):
                yield part
        else:
            async for part in self._to_end():
                yield part

    async def _exactly(self, count: int) -> AsyncIterator[bytes]:
        while count:
            if not self._buffer:
                await self._need_more("a body")
            part = bytes(self._buffer[:count])
            del self._buffer[: len(part)]
            count -= len(part)
            yield part

    async def _chunks(self, response: Response) -> AsyncIterator[bytes]:
        while True:
            line = await self._line()
            match = _CHUNK.match(line)
            if not match:
                raise ProtocolViolation(f"bad chunk size {line!r}")
            size = int(match[1], 16)
            if size == 0:
                response.trailers = await self._fields()
                return
            async for part in self._exactly(size):
                yield part
            if await self._line():
                raise ProtocolViolation("no CRLF after a chunk")

    async def _to_end(self) -> AsyncIterator[bytes]:
        while True:
            if self._buffer:
                part = bytes(self._buffer)
                self._buffer.clear()
                yield part
            try:
                if not await self._more():
                    return
            except StreamCut as cut:
                raise Incomplete("the stream was cut inside a body without length") from cut

    async def ended(self) -> bool:
        """Whether the proxy ends the connection now, with close_notify and not a byte more."""
        return not self._buffer and not await self._more()

    async def take(self, count: int) -> bytes:
        """Exactly so many bytes of what follows, for streams that are no longer HTTP."""
        while len(self._buffer) < count:
            await self._need_more("a tunnel")
        part = bytes(self._buffer[:count])
        del self._buffer[:count]
        return part

    async def take_some(self) -> bytes:
        """Whatever comes next; empty at a clean end."""
        if not self._buffer:
            await self._more()
        part = bytes(self._buffer)
        self._buffer.clear()
        return part
