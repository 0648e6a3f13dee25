"""The tunnel as a network backend of httpcore, so that httpx, and the MCP SDK on it, run through it unchanged.

mcp 1.x is built on `httpx` and `httpcore`, mcp 2.x on their successors `httpx2` and `httpcore2`, which have the same
interface. The caller passes the two modules.
"""

from __future__ import annotations

import asyncio
import ssl
from types import ModuleType
from typing import Any

from .far_side import FarSide, LibraryWebSocket
from .tls_stream import StreamCut, TLSStream


def client(httpx: ModuleType, httpcore: ModuleType, far: FarSide, *, http2: bool = False, **options: Any) -> Any:
    """An `httpx.AsyncClient` whose every connection is a WebSocket to the proxy with TLS inside."""
    transport = httpx.AsyncHTTPTransport(verify=far.context())
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=far.context(),
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30,
        http2=http2,
        network_backend=_backend(httpcore, far),
    )
    options.setdefault("timeout", httpx.Timeout(30, read=60))
    return httpx.AsyncClient(transport=transport, **options)


def _backend(httpcore: ModuleType, far: FarSide) -> Any:
    class Tunnel(httpcore.AsyncNetworkStream):
        def __init__(self, transport: LibraryWebSocket, tls: TLSStream | None = None) -> None:
            self._transport, self._tls = transport, tls

        async def start_tls(
            self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
        ) -> Any:
            tls = TLSStream(self._transport, ssl_context, server_hostname)
            try:
                async with asyncio.timeout(timeout):
                    await tls.handshake()
            except (OSError, StreamCut) as error:
                await self._transport.close()
                raise httpcore.ConnectError(str(error)) from error
            return Tunnel(self._transport, tls)

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            assert self._tls, "plain text in the tunnel"
            try:
                async with asyncio.timeout(timeout):
                    return await self._tls.read(max_bytes)
            except TimeoutError as error:
                raise httpcore.ReadTimeout(str(error)) from error
            except (OSError, StreamCut) as error:
                raise httpcore.ReadError(str(error)) from error

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            assert self._tls, "plain text in the tunnel"
            if not buffer:
                return
            try:
                async with asyncio.timeout(timeout):
                    await self._tls.write(buffer)
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

        async def aclose(self) -> None:
            if self._tls:
                await self._tls.close()
            else:
                await self._transport.close()

        def get_extra_info(self, info: str) -> Any:
            if info == "ssl_object" and self._tls:
                return self._tls.tls
            # httpcore asks before it reuses a connection: has the server said something meanwhile?
            if info == "is_readable":
                return self._transport.connection.state.name != "OPEN"
            return None

    class Backend(httpcore.AsyncNetworkBackend):
        async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **_: Any) -> Any:
            try:
                async with asyncio.timeout(timeout):
                    return Tunnel(await LibraryWebSocket.connect(far.endpoint, host))
            except TimeoutError as error:
                raise httpcore.ConnectTimeout(str(error)) from error
            except Exception as error:
                raise httpcore.ConnectError(str(error)) from error

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    return Backend()
