"""The tunnel's edge and the clients beyond it: streams go to any of the connections that are registered."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from peers.far_side import FarSide
from peers.http_client import HTTPConnection, Incomplete
from peers.tls_stream import StreamCut


class Edge:
    def __init__(self, path):
        self.path = str(path)
        self.connections = {}
        self.left = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.control, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def control(self, reader, writer):
        index, place = (await reader.readline()).decode().split()
        self.connections[index, place] = place
        writer.write(b"registered\n")
        await reader.readline()
        # The end of the connection without a word is one that is not given any more streams, either.
        del self.connections[index, place]
        writer.write(b"unregistered\n")

    def registered(self, process):
        return sum(place.endswith(f".{process}") for place in self.connections.values())

    async def open(self):
        """A stream to whomever: what `FarSide` needs of an endpoint."""
        assert self.connections, "no connector is registered"
        place = random.choice(list(self.connections.values()))
        return await asyncio.open_unix_connection(place, limit=1 << 20)


@dataclass
class Clients:
    """Short requests without a pause and event streams, until it is told to end. What fails is kept."""

    far: FarSide
    requests: int = 0
    again: int = 0
    streams: int = 0
    #: How each endless stream ended: `in order`, or why not.
    ends: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    is_ending: bool = False

    async def repeat(self, once):
        while not self.is_ending:
            # Without it, this one process would be all that runs on a small machine.
            await asyncio.sleep(0.05)
            try:
                await once()
            except (OSError, EOFError, Incomplete, StreamCut, AssertionError) as failure:
                self.failures.append(f"{once.__name__}: {failure!r}")

    async def open(self):
        return HTTPConnection(await self.far.open(raw=True), "echo.t.example")

    async def fresh(self):
        """A connection for each request."""
        http = await self.open()
        assert (await http.get()).body == b"here"
        http.stream.abort()
        self.requests += 1

    async def kept(self):
        """As many requests on a connection as it takes."""
        http, count = await self.open(), 0
        while not self.is_ending:
            try:
                response = await http.get()
            except (OSError, EOFError, Incomplete, StreamCut):
                # RFC 9112 9.3.1: a connection may end between two requests, and the second goes to another then.
                if count == 0:
                    raise
                self.again += 1
                break
            assert response.body == b"here"
            self.requests += 1
            count += 1
            await asyncio.sleep(0.02)
            if response.get("connection") == "close":
                break
        http.stream.abort()

    async def stream(self):
        """An event stream of a tenth of a second."""
        http = await self.open()
        assert (await http.get("/events")).body == b"data: tick\n\n" * 10
        http.stream.abort()
        self.streams += 1

    async def endless(self):
        """An event stream that the server never ends. The proxy may, but by the rules, and between two events."""
        http = await self.open()
        await http.send_head("GET", "/endless")
        received = b""
        try:
            async for data in http.body(await http.final_head()):
                received += data
                if self.is_ending:
                    http.stream.abort()
                    return
        except (OSError, EOFError, Incomplete, StreamCut) as end:
            why = str(end)
        else:
            why = "a whole response"
        # The proxy says that it goes away; that the response is not whole, its framing says (RFC 9112 8).
        in_order = http.stream.transport.close_code == 1001
        is_whole = received == b"data: tick\n\n" * (len(received) // 12)
        self.ends.append("in order" if in_order and is_whole else f"{why}, {len(received)} bytes, {in_order=}")
        http.stream.abort()
