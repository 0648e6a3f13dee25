"""The far side: what Anthropic's backend does through cloudflared. WebSocket, TLS with the CA verified, HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import websockets
from websockets.asyncio.client import ClientConnection, connect

from .endpoint import Endpoint
from .http_client import HTTPConnection
from .raw_websocket import RawWebSocket
from .tls_stream import TLSStream


class LibraryWebSocket:
    """The `websockets` package's client as a byte stream: an implementation that is not ours."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        host: str,
        path: str = "/",
        *,
        compression: str | None = None,
        subprotocols: list[str] | None = None,
    ) -> LibraryWebSocket:
        connection = await connect(
            f"ws://{host}{path}",
            sock=endpoint.socket(),
            compression=compression,
            subprotocols=subprotocols,  # type: ignore[arg-type]
            user_agent_header=None,
            ping_interval=None,
            max_size=None,
            close_timeout=2,
            proxy=None,
        )
        return cls(connection)

    @property
    def close_code(self) -> int | None:
        """The code the server closed with, once it has."""
        received = self.connection.protocol.close_rcvd
        return received.code if received else None

    async def send(self, data: bytes) -> None:
        try:
            await self.connection.send(data)
        except websockets.ConnectionClosed as closed:
            raise ConnectionResetError("the WebSocket is closed") from closed
        except AttributeError as lost:
            # asyncio forgets the loop of a transport that is gone, and websockets aborts it all the same.
            if self.connection.transport.is_closing():
                raise ConnectionResetError("the connection is gone") from lost
            raise

    async def recv(self) -> bytes:
        while True:
            try:
                message = await self.connection.recv()
            except websockets.ConnectionClosed:
                return b""
            assert isinstance(message, bytes), "the proxy sent a text frame"
            if message:
                return message

    async def close(self) -> None:
        await self.connection.close()

    def abort(self) -> None:
        self.connection.transport.abort()


@dataclass
class FarSide:
    """How to reach one proxy from the far side."""

    endpoint: Endpoint
    domain: str
    ca_file: Path
    alpn: list[str] | None = field(default_factory=lambda: ["http/1.1"])

    def context(
        self, *, maximum: ssl.TLSVersion | None = None, ca_file: Path | None = None, alpn: list[str] | None = None
    ) -> ssl.SSLContext:
        """A client context that trusts only the test's CA and checks the name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(ca_file or self.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if maximum is not None:
            context.maximum_version = maximum
        offered = self.alpn if alpn is None else alpn
        if offered:
            context.set_alpn_protocols(offered)
        return context

    def host(self, route: str) -> str:
        """The public name of a route; a name with a dot is taken as it is."""
        return route if "." in route else f"{route}.{self.domain}"

    async def raw(self, route: str = "echo", path: str = "/", **options: object) -> RawWebSocket:
        """A WebSocket with nothing inside yet, every bit in the test's hand."""
        return await RawWebSocket.connect(self.endpoint, self.host(route), path, **options)  # type: ignore[arg-type]

    async def open(
        self,
        route: str = "echo",
        *,
        raw: bool = False,
        path: str = "/",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
        compression: str | None = None,
    ) -> TLSStream:
        """An encrypted byte stream to the proxy, handshake done. `raw` uses our own WebSocket, not the library's."""
        host = self.host(route)
        if raw:
            transport: RawWebSocket | LibraryWebSocket = await RawWebSocket.connect(self.endpoint, host, path)
        else:
            transport = await LibraryWebSocket.connect(self.endpoint, host, path, compression=compression)
        stream = TLSStream(transport, context or self.context(), host, session)
        try:
            await stream.handshake()
        except BaseException:
            stream.abort()
            raise
        return stream

    @contextlib.asynccontextmanager
    async def http(self, route: str = "echo", **options: object) -> AsyncIterator[HTTPConnection]:
        """An HTTP/1.1 connection inside the tunnel, closed politely at the end."""
        stream = await self.open(route, **options)  # type: ignore[arg-type]
        try:
            yield HTTPConnection(stream, self.host(route))
        except BaseException:
            stream.abort()
            raise
        else:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(3):
                    await stream.close()
