"""TLS as a client over any message-carrying transport, with `ssl.MemoryBIO`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Protocol


class Transport(Protocol):
    """What carries the records: the two WebSocket clients here have this shape."""

    async def send(self, data: bytes) -> None: ...
    async def recv(self) -> bytes: ...
    async def close(self) -> None: ...
    def abort(self) -> None: ...


class StreamCut(Exception):
    """The stream ended without the close_notify that TLS needs to tell an end from a cut (RFC 8446 §6.1)."""


class TLSStream:
    """A byte stream inside TLS inside the transport. One reader and one writer may run at the same time."""

    def __init__(
        self,
        transport: Transport,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.transport = transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=False, server_hostname=server_hostname, session=session
        )
        # Two tasks must not interleave between taking records and sending them.
        self._sending = asyncio.Lock()
        self.got_close_notify = False

    async def _flush(self) -> None:
        async with self._sending:
            if records := self._outgoing.read():
                await self.transport.send(records)

    async def _fill(self) -> None:
        records = await self.transport.recv()
        if records:
            self._incoming.write(records)
        else:
            self._incoming.write_eof()

    async def handshake(self) -> None:
        """Run the handshake; on failure our alert still goes out before the error is raised."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                await self._flush()
                raise
        await self._flush()

    async def read(self, count: int = 1 << 16) -> bytes:
        """Some bytes; empty after the server's close_notify. An end without it raises `StreamCut`."""
        while True:
            try:
                data = self.tls.read(count)
                if not data:
                    self.got_close_notify = True
                return data
            except ssl.SSLWantReadError:
                # A writer that cannot get rid of its bytes must not keep us from what the server says meanwhile.
                if not self._sending.locked():
                    with contextlib.suppress(ConnectionError):
                        await self._flush()
                await self._fill()
            except ssl.SSLZeroReturnError:
                self.got_close_notify = True
                return b""
            except (ssl.SSLEOFError, ssl.SSLSyscallError) as end:
                raise StreamCut("the transport ended without close_notify") from end

    async def write(self, data: bytes) -> None:
        """Encrypt and send all of the bytes."""
        view = memoryview(data)
        for start in range(0, len(view), 1 << 18):
            self.tls.write(view[start : start + (1 << 18)])
            await self._flush()
        if not data:
            await self._flush()

    async def send_close_notify(self) -> None:
        """Say that nothing more comes from us."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        await self._flush()

    async def close(self) -> None:
        """The polite end: close_notify, the WebSocket's close frame, the connection."""
        try:
            await self.send_close_notify()
        except (OSError, EOFError):
            pass
        await self.transport.close()

    def abort(self) -> None:
        """The rude end: nothing said, the connection gone."""
        self.transport.abort()
