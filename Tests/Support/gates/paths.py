"""The five paths whose price is held, each as an upstream and as steps of a client, in lockstep.

One thing is under way at a time: what the proxy reads at once, and so what it does, is the same in every run.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from peers.blocking import Tunnel, frames
from peers.http2 import Client
from peers.raw_websocket import BINARY, CLOSE
from peers.scripted import Peer

HOST = "echo.t.example"
BODY = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":19,"b":23}}}'
FIELDS = [
    ("accept", "application/json, text/event-stream"), ("content-type", "application/json"),
    ("mcp-session-id", "5f2b1c9e8d7a4f60b3a1c2d4e5f60718"), ("mcp-protocol-version", "2025-11-25")]
LINES = tuple(f"{name}: {value}" for name, value in FIELDS)
RESPONSE = b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"42"}],"isError":false}}'
EVENT = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":7}}\n\n'
#: What TLS takes for one record, and loopback for one segment.
CHUNK = bytes(range(256)) * 64
CHUNKS = (1 << 20) // len(CHUNK)


class Caller:
    """What a path begins with: where the proxy is, and whom it is for."""

    def __init__(self, port: int, context: ssl.SSLContext, go: threading.Semaphore) -> None:
        self.port, self.context, self.go = port, context, go

    def tunnel(self, session: ssl.SSLSession | None = None) -> Tunnel:
        return Tunnel(self.port, HOST, self.context, timeout=120, session=session)

    def begin(self) -> None: ...

    def step(self) -> None: ...

    def end(self) -> None: ...


class Post(Caller):
    """A small POST on a kept connection."""

    def begin(self) -> None:
        self.kept = self.tunnel()

    def step(self) -> None:
        assert self.kept.request("POST", "/mcp", BODY, *LINES).status == 200

    def end(self) -> None:
        self.kept.close()


class PostHTTP2(Post):
    """The same by HTTP/2."""

    def begin(self) -> None:
        super().begin()
        assert self.kept.tls.selected_alpn_protocol() == "h2"
        self.client = Client(self.kept)

    def step(self) -> None:
        assert self.client.request("POST", "/mcp", BODY, [*FIELDS, ("content-length", str(len(BODY)))]).status == 200


class Event(Post):
    """An event on a stream that is open."""

    def begin(self) -> None:
        super().begin()
        self.kept.send(self.kept.head("GET", "/mcp", "Accept: text/event-stream"))
        assert b" 200 " in self.kept.until(b"\r\n\r\n")

    def step(self) -> None:
        self.go.release()
        assert self.kept.until(b"\n\n\r\n").endswith(EVENT + b"\r\n")


class Download(Event):
    """1 MiB of a chunked body, a chunk of 16 KiB at a time."""

    def step(self) -> None:
        for _ in range(CHUNKS):
            self.go.release()
            left = len(CHUNK)
            while left:
                left -= (size := int(self.kept.until(b"\r\n"), 16))
                assert left >= 0 and size
                self.kept.take(size + 2)


class Idle(Caller):
    """An event stream that is open and silent, with its connection."""

    def begin(self) -> None:
        self.open: list[Tunnel] = []

    def step(self) -> None:
        tunnel = self.tunnel()
        tunnel.send(tunnel.head("GET", "/mcp", "Accept: text/event-stream"))
        assert b" 200 " in tunnel.until(b"\r\n\r\n")
        self.open.append(tunnel)

    def end(self) -> None:
        for tunnel in self.open:
            tunnel.close()


class IdleHTTP2(PostHTTP2):
    """Another one on the same connection of HTTP/2."""

    def step(self) -> None:
        stream = self.client.open("GET", "/mcp", [("accept", "text/event-stream")])
        self.client.until(lambda: stream.status is not None)
        assert stream.status == 200


class Connect(Caller):
    """A connection: WebSocket, TLS resumed, one small POST, and its end."""

    def begin(self) -> None:
        self.session: ssl.SSLSession | None = None

    def step(self) -> None:
        tunnel = self.tunnel(self.session)
        assert tunnel.request("POST", "/mcp", BODY, *LINES).status == 200
        assert tunnel.tls.session_reused is (self.session is not None)
        # The ticket came before the response; each is used once (RFC 8446 §C.4).
        self.session = tunnel.tls.session
        tunnel.socket.sendall(frames(BINARY, tunnel.close_notify()) + frames(CLOSE, b"\x03\xe8"))
        while tunnel.socket.recv(1 << 16):
            pass
        tunnel.socket.close()


def respond(peer: Peer, _: threading.Semaphore) -> None:
    while peer.request():
        peer.respond(RESPONSE, "Content-Type: application/json", "Mcp-Session-Id: 5f2b1c9e8d7a4f60b3a1c2d4e5f60718")


def stream(kind: str, piece: bytes) -> Callable[[Peer, threading.Semaphore], None]:
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)

    def respond_in_steps(peer: Peer, go: threading.Semaphore) -> None:
        peer.head()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        while go.acquire():
            peer.send(chunk)

    return respond_in_steps


@dataclass(frozen=True)
class Path:
    """A client, its upstream, and how often it does what it does: before counting, and while it counts."""

    client: type[Caller]
    respond: Callable[[Peer, threading.Semaphore], None]
    warm_up: int
    count: int
    protocol: str = "http/1.1"

    @property
    def unit(self) -> str:
        return (self.client.__doc__ or "").split("\n")[0].rstrip(".")


#: What is not measured in time or steps, but in memory that is held.
STREAMS = {
    "idle": Path(Idle, stream("text/event-stream", b""), 50, 100),
    "idle-h2": Path(IdleHTTP2, stream("text/event-stream", b""), 20, 70, "h2"),
}

PATHS = {
    "post": Path(Post, respond, 300, 2000),
    "post-h2": Path(PostHTTP2, respond, 300, 2000, "h2"),
    "event": Path(Event, stream("text/event-stream", EVENT), 300, 2000),
    "download": Path(Download, stream("application/octet-stream", CHUNK), 4, 24),
    "connect": Path(Connect, respond, 20, 60),
}
