"""HTTP/2 inside the tunnel with PyPI's `h2`, on blocking sockets: a client that shows what came, and refuses what may not come."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from .blocking import Ended, Tunnel

Fields = list[tuple[str, str]]
CODES = h2.settings.SettingCodes
#: Of RST_STREAM and GOAWAY (RFC 9113 §7).
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, CALM = 5, 6, 7, 8, 11


def h2_context(ca_file: Path | str, *protocols: str) -> ssl.SSLContext:
    """A client context that trusts only the test's CA; without protocols it has no ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=str(ca_file))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@dataclass
class Stream:
    """One request, and what came in response."""

    id: int
    client: Client = field(repr=False)
    interim: list[tuple[int, Fields]] = field(default_factory=list)
    status: int | None = None
    fields: Fields = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)
    #: When each piece of the body came, and how many bytes there were then.
    times: list[tuple[float, int]] = field(default_factory=list)
    #: END_STREAM came.
    ended: bool = False
    #: The code of RST_STREAM.
    reset: int | None = None
    #: When it ended, either way.
    over_at: float = 0
    #: The window opens with what comes; without it, what came counts here.
    reads: bool = True
    held: int = 0

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    def send(self, data: bytes, *, end: bool = False, seconds: float = 10) -> None:
        """Sends all of it, as far as the windows let us, and reads meanwhile."""
        self.client.send(self, data, end=end, seconds=seconds)

    def cancel(self, code: int = CANCEL) -> None:
        self.client.h2.reset_stream(self.id, code)
        self.client.flush()

    def take(self) -> None:
        """Opens the window for what was held, and from here on."""
        self.reads = True
        if self.held:
            self.client.give_back(self.id, self.held)
            self.held = 0
            self.client.flush()

    def whole(self, seconds: float = 10) -> Self:
        """Waits for END_STREAM."""
        self.client.until(lambda: self.over, seconds)
        assert self.ended, f"stream {self.id} was reset with {self.reset}"
        return self


class Client:
    """One connection. Whatever the proxy sends against RFC 9113, as far as h2 looks, raises `ProtocolError`."""

    def __init__(
        self, tunnel: Tunnel, *, window: int = 65_535, connection_window: int = 1 << 24, valid: bool = True,
    ) -> None:
        """`valid` is off for a client that sends what it should not."""
        self.tunnel = tunnel
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=valid, normalize_outbound_headers=valid)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=True, initial_values={CODES.ENABLE_PUSH: 0, CODES.INITIAL_WINDOW_SIZE: window})
        self.streams: dict[int, Stream] = {}
        self.goaways: list[tuple[int, int]] = []
        self.pings: list[bytes] = []
        self.acknowledged = 0
        #: What comes opens the connection's window at once; otherwise it counts in `held`.
        self.reads = True
        self.held = 0
        #: The connection is over.
        self.ended: Ended | None = None
        self.h2.initiate_connection()
        if connection_window > 65_535:
            self.h2.increment_flow_control_window(connection_window - 65_535)
        self.flush()

    @classmethod
    def connect(
        cls, proxy: object, host: str = "echo.t.example", protocols: Iterable[str] = ("h2",), **options: object
    ) -> Client:
        context = h2_context(proxy.far.ca_file, *protocols)  # type: ignore[attr-defined]
        tunnel = Tunnel(proxy.endpoint.port, host, context)  # type: ignore[attr-defined]
        if protocols:
            assert tunnel.tls.selected_alpn_protocol() == "h2"
        client = cls(tunnel, **options)  # type: ignore[arg-type]
        # The settings of both are in effect, so that what follows has one order.
        client.until(lambda: client.acknowledged > 0)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.ended is None:
            self.tunnel.close()
        self.tunnel.abort()

    # Sending.

    def flush(self) -> None:
        data = self.h2.data_to_send()
        for start in range(0, len(data), 32_768):
            self.tunnel.send(data[start : start + 32_768])

    def open(
        self, method: str = "GET", path: str = "/", fields: Fields | None = None, *, end: bool = True,
        authority: str | None = None, protocol: str | None = None, reads: bool = True,
    ) -> Stream:
        """Begins a request; `end` is false where a body follows."""
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority or self.tunnel.host), (":path", path)]
        if protocol:
            pseudo.insert(1, (":protocol", protocol))
        return self.open_with([*pseudo, *(fields or [])], end=end, reads=reads)

    def open_with(self, lines: Fields, *, end: bool = True, reads: bool = True) -> Stream:
        """Begins a request whose pseudo-header fields are given too."""
        number = self.h2.get_next_available_stream_id()
        stream = self.streams[number] = Stream(number, self, reads=reads)
        self.h2.send_headers(number, lines, end_stream=end)
        self.flush()
        return stream

    def request(
        self, method: str = "GET", path: str = "/", body: bytes = b"", fields: Fields | None = None, **options: object
    ) -> Stream:
        """A whole request, and its whole response."""
        stream = self.open(method, path, fields, end=not body, **options)  # type: ignore[arg-type]
        if body:
            stream.send(body, end=True)
        return stream.whole()

    def room(self, stream: Stream) -> int:
        """Bytes that may be sent on it now."""
        return self.h2.local_flow_control_window(stream.id)

    def send(self, stream: Stream, data: bytes, *, end: bool = False, seconds: float = 10) -> None:
        view = memoryview(data)
        while view:
            self.until(lambda: stream.over or self.room(stream) > 0, seconds)
            if stream.over:
                raise Ended(f"stream {stream.id} ended before its request was whole")
            count = min(self.room(stream), self.h2.max_outbound_frame_size, len(view))
            self.h2.send_data(stream.id, bytes(view[:count]), end_stream=end and count == len(view))
            self.flush()
            view = view[count:]
        if not data and end:
            self.h2.end_stream(stream.id)
            self.flush()

    def give_back(self, number: int, count: int) -> None:
        try:
            self.h2.increment_flow_control_window(count, number)
        except h2.exceptions.StreamClosedError:
            pass

    # Receiving.

    def until(self, holds: Callable[[], object], seconds: float = 10) -> None:
        """Reads until something is so."""
        end = time.monotonic() + seconds
        while not holds():
            assert self.ended is None, f"the connection ended: {self.ended}, GOAWAY {self.goaways}"
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not in {seconds} s; {list(self.streams.values())[-5:]}, GOAWAY {self.goaways}")
            self.pump(left)

    def drain(self, seconds: float) -> None:
        """Takes whatever comes in so long a time."""
        end = time.monotonic() + seconds
        while self.ended is None and (left := end - time.monotonic()) > 0:
            self.pump(left)

    def settle(self) -> None:
        """Waits until the proxy has read all that was sent, and whatever it said before that is here: a PING there and back."""
        mark = b"%08d" % len(self.pings)
        self.h2.ping(mark)
        self.flush()
        self.until(lambda: mark in self.pings)

    def pump(self, seconds: float) -> None:
        """Takes what comes next, within so many seconds."""
        self.tunnel.socket.settimeout(max(0.001, seconds))
        try:
            data = self.tunnel.read()
        except TimeoutError:
            return
        except (Ended, OSError) as error:
            self.ended = error if isinstance(error, Ended) else Ended(str(error))
            return
        finally:
            self.tunnel.socket.settimeout(self.tunnel.timeout)
        if not data:
            self.ended = Ended("close_notify")
            return
        for event in self.h2.receive_data(data):
            self._take(event)
        try:
            self.flush()
        except OSError:
            # It has said goodbye, and reads no more.
            assert self.goaways

    def _take(self, event: h2.events.Event) -> None:
        now = time.monotonic()
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id or 0, int(event.error_code or 0)))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings.append(event.ping_data)
        elif isinstance(event, h2.events.SettingsAcknowledged):
            self.acknowledged += 1
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.InformationalResponseReceived):
            fields = _fields(event.headers)
            stream.interim.append((int(fields[0][1]), fields[1:]))
        elif isinstance(event, h2.events.ResponseReceived):
            fields = _fields(event.headers)
            assert fields[0][0] == ":status"
            stream.status, stream.fields = int(fields[0][1]), fields[1:]
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            stream.times.append((now, len(stream.body)))
            if not event.flow_controlled_length:
                return
            if self.reads:
                self.h2.increment_flow_control_window(event.flow_controlled_length)
            else:
                self.held += event.flow_controlled_length
            if stream.reads:
                self.give_back(stream.id, event.flow_controlled_length)
            else:
                stream.held += event.flow_controlled_length
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = _fields(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended, stream.over_at = True, now
        elif isinstance(event, h2.events.StreamReset):
            stream.reset, stream.over_at = int(event.error_code), now


def _fields(headers: Iterable) -> Fields:
    return [(str(name), str(value)) for name, value in headers]
