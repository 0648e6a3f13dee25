"""Where the proxy listens: a TCP address or a Unix socket."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """The proxy's plaintext listener. `path` is set for `unix:` listeners, `host` and `port` otherwise."""

    host: str = ""
    port: int = 0
    path: str = ""

    @staticmethod
    def parse(address: str) -> Endpoint:
        """Read the `addr` field of the proxy's `listening` line."""
        if address.startswith("unix:"):
            return Endpoint(path=address.removeprefix("unix:"))
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        # A wildcard address cannot be dialled portably; its loopback twin can.
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return Endpoint(host=host, port=int(port))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A plain byte stream to the listener."""
        if self.path:
            return await asyncio.open_unix_connection(self.path, limit=1 << 20)
        return await asyncio.open_connection(self.host, self.port, limit=1 << 20)

    def socket(self) -> socket.socket:
        """A connected, non-blocking socket to the listener, for clients that want one."""
        if self.path:
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(self.path)
        else:
            plain = socket.create_connection((self.host, self.port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setblocking(False)
        return plain


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago, for programs that cannot be told `port 0`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
