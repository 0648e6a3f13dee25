"""An HTTP/2 server whose handlers are coroutines that do with each stream what a test asks for. The frames are h2's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 2, 7, 8
HTTP_1_1_REQUIRED = 13
Codes = h2.settings.SettingCodes


class Request:
    """One stream: what came of it, and the ways to respond."""

    def __init__(self, peer: Peer, number: int, headers: list[tuple[str, str]]) -> None:
        self.peer, self.number, self.fields = peer, number, headers
        self.body = bytearray()
        self.trailers: list[tuple[str, str]] | None = None
        self.ended = asyncio.Event()
        #: The code of the RST_STREAM that came, or of the end of the connection.
        self.reset_code: int | None = None
        self.reset = asyncio.Event()
        self.moved = asyncio.Event()
        #: Bytes that came and whose window was not given back, where `holds` says so.
        self.held = 0

    def __getitem__(self, name: str) -> str:
        return dict(self.fields)[name]

    async def whole(self) -> bytes:
        await self.ended.wait()
        return bytes(self.body)

    async def head(self, status: int = 200, *fields: tuple[str, str], end: bool = False) -> None:
        self.peer.h2.send_headers(self.number, [(":status", str(status)), *fields], end_stream=end)
        await self.peer.flush()

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """All of `data`, as the windows allow."""
        while data:
            room = min(self.peer.h2.local_flow_control_window(self.number), self.peer.h2.max_outbound_frame_size)
            if room <= 0:
                self.moved.clear()
                await self.moved.wait()
                continue
            self.peer.h2.send_data(self.number, data[:room], end_stream=end and room >= len(data))
            await self.peer.flush()
            data = data[room:]

    async def reply(self, body: bytes = b"", status: int = 200, *fields: tuple[str, str]) -> None:
        await self.head(status, *fields, end=not body)
        if body:
            await self.send(body, end=True)

    async def trail(self, *fields: tuple[str, str]) -> None:
        self.peer.h2.send_headers(self.number, list(fields), end_stream=True)
        await self.peer.flush()

    async def abort(self, code: int) -> None:
        self.peer.h2.reset_stream(self.number, code)
        await self.peer.flush()

    async def give_back(self) -> None:
        held, self.held = self.held, 0
        self.peer.h2.acknowledge_received_data(held, self.number)
        await self.peer.flush()


class Peer:
    """One connection."""

    def __init__(self, server: HTTP2Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests: list[Request] = []
        self.ended = asyncio.Event()
        self.pings = 0
        self.goaway: int | None = None

    @property
    def open(self) -> int:
        return self.h2.open_inbound_streams

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def settings(self, **values: int) -> None:
        self.h2.update_settings({Codes[name]: value for name, value in values.items()})
        await self.flush()

    async def go_away(self, last: int, code: int = NO_ERROR) -> None:
        """Only the frame: h2 would take itself for closed."""
        frame = (8).to_bytes(3) + b"\x07\x00" + bytes(4) + last.to_bytes(4) + code.to_bytes(4)
        self.writer.write(self.h2.data_to_send() + frame)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    async def serve(self) -> None:
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self.server.settings)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        tasks = []
        try:
            await self.flush()
            while data := await self.reader.read(65_536):
                for event in self.h2.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        request = Request(self, event.stream_id, list(event.headers))
                        self.requests.append(request)
                        self.server.requests.append(request)
                        tasks.append(asyncio.create_task(self.server.run(request)))
                    elif isinstance(event, h2.events.ConnectionTerminated):
                        self.goaway = int(event.error_code)
                    elif isinstance(event, h2.events.PingReceived):
                        self.pings += 1
                    else:
                        self._take(event)
                await self.flush()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            for request in self.requests:
                if request.reset_code is None and not request.ended.is_set():
                    request.reset_code = -1
                request.reset.set()
            self.ended.set()
            self.writer.close()
            for task in tasks:
                task.cancel()

    def _take(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", 0)
        found = [request for request in self.requests if number in (0, None, request.number)]
        for request in found:
            request.moved.set()
            if isinstance(event, h2.events.DataReceived):
                request.body += event.data
                request.held += event.flow_controlled_length
                if not self.server.holds:
                    held, request.held = request.held, 0
                    self.h2.acknowledge_received_data(held, number)
            elif isinstance(event, h2.events.TrailersReceived):
                request.trailers = list(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                request.ended.set()
            elif isinstance(event, h2.events.StreamReset):
                request.reset_code = int(event.error_code)
                request.reset.set()


class HTTP2Server:
    """`handler` is called for each request; `settings` are the server's."""

    def __init__(
        self, handler: Callable[[Request], Awaitable[None]], *, tls: ssl.SSLContext | None = None, holds: bool = False,
        **settings: int,
    ) -> None:
        self._handler, self._tls, self.holds = handler, tls, holds
        self.settings = {Codes[name]: value for name, value in settings.items()}
        self.peers: list[Peer] = []
        self.requests: list[Request] = []
        self.failures: list[BaseException] = []

    async def run(self, request: Request) -> None:
        try:
            await self._handler(request)
        except (ConnectionError, h2.exceptions.StreamClosedError):
            pass
        except Exception as error:
            self.failures.append(error)
            raise

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.close()
        assert not self.failures, self.failures

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self, reader, writer)
        self.peers.append(peer)
        await peer.serve()


async def until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Waits until something is so that other tasks bring about."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)
