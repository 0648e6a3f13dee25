"""HTTP/2 written frame by frame, with `hyperframe` and `hpack`: whatever a client may not send, and what comes back."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Self

import hpack
from hyperframe.frame import Frame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame

from .blocking import Ended, Tunnel
from .http2 import h2_context

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
MAX_WINDOW = (1 << 31) - 1


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """The bytes of one frame (RFC 9113 §4.1), of whatever type and length."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*entries: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, b"".join(struct.pack(">HI", *entry) for entry in entries))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, stream, struct.pack(">I", code))


def literal(name: str | bytes, value: str | bytes) -> bytes:
    """A field that goes into no table (RFC 7541 §6.2.2), as it is: nothing is made lower case, nothing refused."""
    name, value = (text.encode("latin-1") if isinstance(text, str) else text for text in (name, value))
    return b"\x00" + hpack.hpack.encode_integer(len(name), 7) + name + hpack.hpack.encode_integer(len(value), 7) + value


def block(*fields: tuple[str | bytes, str | bytes]) -> bytes:
    """A header block that leaves the tables alone."""
    return b"".join(literal(*field) for field in fields)


def request(
    host: str, *fields: tuple[str | bytes, str | bytes], method: str = "GET", path: str = "/"
) -> bytes:
    """The block of a request with the pseudo-header fields that it needs."""
    return block((":method", method), (":scheme", "https"), (":authority", host), (":path", path), *fields)


class Frames:
    """A connection, frame by frame. What comes is kept in `received`; nothing is replied to."""

    def __init__(self, tunnel: Tunnel, *, preface: bytes = PREFACE + settings()) -> None:
        self.tunnel, self.host = tunnel, tunnel.host
        self.received: list[Frame] = []
        self.ended: str | None = None
        self._plain = bytearray()
        if preface:
            tunnel.send(preface)

    @classmethod
    def connect(
        cls, port: int, ca_file: object, host: str = "echo.t.example", *, preface: bytes = PREFACE + settings(),
        receive_buffer: int | None = None, timeout: float = 5,
    ) -> Frames:
        tunnel = Tunnel(port, host, h2_context(str(ca_file), "h2"), receive_buffer=receive_buffer, timeout=timeout)
        assert tunnel.tls.selected_alpn_protocol() == "h2"
        return cls(tunnel, preface=preface)

    @classmethod
    def to(cls, proxy: object, **options: object) -> Frames:
        return cls.connect(proxy.endpoint.port, proxy.far.ca_file, **options)  # type: ignore

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tunnel.abort()

    def send(self, *parts: bytes) -> None:
        data = b"".join(parts)
        for start in range(0, len(data), 32_768):
            self.tunnel.send(data[start : start + 32_768])

    def begin(self) -> Self:
        """Acknowledges the proxy's settings once they are here."""
        self.until(lambda found: isinstance(found, SettingsFrame) and "ACK" not in found.flags)
        self.send(frame(SETTINGS, flags=ACK))
        return self

    def read(self, seconds: float) -> Frame | None:
        """The next frame; nothing when none came in time, or the connection has ended."""
        end = time.monotonic() + seconds
        while (found := self._parse()) is None:
            left = end - time.monotonic()
            if left <= 0 or self.ended is not None:
                return None
            self.tunnel.socket.settimeout(max(0.001, left))
            try:
                data = self.tunnel.read()
            except TimeoutError:
                return None
            except (Ended, OSError) as error:
                self.ended = str(error)
                return None
            finally:
                if self.tunnel.socket.fileno() >= 0:
                    self.tunnel.socket.settimeout(self.tunnel.timeout)
            if not data:
                self.ended = "close_notify"
            self._plain += data
        self.received.append(found)
        return found

    def _parse(self) -> Frame | None:
        if len(self._plain) < 9:
            return None
        found, length = Frame.parse_frame_header(memoryview(bytes(self._plain[:9])))
        if len(self._plain) < 9 + length:
            return None
        found.parse_body(memoryview(bytes(self._plain[9 : 9 + length])))
        del self._plain[: 9 + length]
        return found

    def until(self, holds: Callable[[Frame], object], seconds: float = 5) -> Frame:
        """Reads up to the first frame for which something holds."""
        end = time.monotonic() + seconds
        while True:
            found = self.read(end - time.monotonic())
            assert found is not None, f"{self.ended or 'time is up'}, behind {self.received[-8:]}"
            if holds(found):
                return found

    def until_end(self, seconds: float = 5) -> None:
        """Reads until the proxy ends the connection."""
        end = time.monotonic() + seconds
        while self.ended is None:
            assert time.monotonic() < end, f"the connection is still there, behind {self.received[-8:]}"
            self.read(end - time.monotonic())

    def settle(self, mark: bytes = b"settled!") -> list[Frame]:
        """Waits until the proxy has read all that was sent: what came up to the acknowledgement of a PING."""
        start = len(self.received)
        self.send(frame(PING, payload=mark))
        self.until(lambda found: isinstance(found, PingFrame) and "ACK" in found.flags and found.opaque_data == mark)
        return self.received[start:]

    def goaway(self) -> GoAwayFrame | None:
        return next((found for found in self.received if isinstance(found, GoAwayFrame)), None)

    def resets(self) -> dict[int, int]:
        """The code of RST_STREAM by stream."""
        return {found.stream_id: found.error_code for found in self.received if isinstance(found, RstStreamFrame)}
