"""HTTP/2 in the tunnel, seen frame by frame: streams beside each other, their bodies, their ends, and what becomes of a request."""

from __future__ import annotations

import contextlib
import queue
import re
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable

import pytest
from conftest import DOMAIN
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame
from peers.blocking import Ended
from peers.http2 import (
    CANCEL, FLOW_CONTROL_ERROR, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, Client,
)
from peers.http2_frames import (
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY_UPDATE, Frames, block, frame, request,
)
from peers.scripted import Peer, Scripted
from test_http2_clients import read_body
from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side
from websockets.sync.server import serve as serve_websockets

HOST = f"echo.{DOMAIN}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def path(head: str) -> str:
    return head.split(" ")[1]


def answer(body: bytes, *lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def echo(peer: Peer) -> None:
    """Its own head, a blank line, the body; and what trailers there were."""
    while (head := peer.head()) is not None:
        body, trailers = read_body(peer, head.lower())
        peer.send(answer(head.encode("latin-1") + b"\n\n" + body + trailers.encode()))


def sized(peer: Peer) -> None:
    """As many bytes as the path says, once the request is whole."""
    while (head := peer.head()) is not None:
        read_body(peer, head.lower())
        size = int(path(head).split("/")[-1])
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for start in range(0, size, 1 << 16):
            peer.send(b"x" * min(1 << 16, size - start))


@contextlib.contextmanager
def connection(start, handler: Callable[[Peer], object], *, client: dict | None = None, buffer: int | None = None, **changes):
    """An upstream, a proxy and one connection."""
    with Scripted(handler, receive_buffer=buffer) as upstream:
        proxy = start({"echo": upstream.url}, **changes)
        with Client.connect(proxy, **(client or {})) as one:
            one.proxy, one.upstream = proxy, upstream
            yield one


# Streams beside each other.


@pytest.mark.parametrize("window", [0, 1, 65_535])
def test_a_stalled_stream_holds_nobody(start, window: int) -> None:
    """One whose window is not opened, and thirty with more than a window each."""
    with connection(start, sized, client={"window": window}) as client:
        stalled = client.open(path="/1000000", reads=False)
        client.until(lambda: stalled.status == 200 and len(stalled.body) == window)
        others = [client.open(path="/200000") for _ in range(30)]
        if window < 65_535:
            for stream in others:
                client.give_back(stream.id, 65_535)
            client.flush()
        for stream in others:
            assert len(stream.whole().body) == 200_000
        client.settle()
        assert len(stalled.body) == window and not stalled.over
        stalled.held += 100_000
        stalled.take()
        assert len(stalled.whole().body) == 1_000_000


def test_an_upload_that_stands_still_holds_nobody(start) -> None:
    """Its window closes with what its upstream does not take; the others' stay open."""
    gate = threading.Event()

    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            if path(head) == "/slow":
                gate.wait(20)
            body, _ = read_body(peer, head.lower())
            peer.send(answer(b"%d" % len(body)))

    with connection(start, handler, buffer=4_096) as client:
        try:
            slow = client.open("POST", "/slow", end=False)
            sent = still = 0
            while still < 20:
                if room := min(client.room(slow), 16_384):
                    client.send(slow, b"u" * room)
                    sent, still = sent + room, 0
                else:
                    client.settle()
                    still += 1
                assert sent < 16 << 20, "nobody says stop"
            assert sent >= 65_535
            # The connection's window is not what is closed.
            quick = [client.open("POST", "/quick", end=False) for _ in range(5)]
            for stream in quick:
                stream.send(b"q" * 500_000, end=True)
            for stream in quick:
                assert stream.whole().body == b"500000"
            client.settle()
            assert client.room(slow) == 0
        finally:
            gate.set()
        slow.send(b"u" * 100_000, end=True)
        assert slow.whole().body == b"%d" % (sent + 100_000)


def test_events_are_flushed_beside_a_download(start) -> None:
    sent: queue.Queue[float] = queue.Queue()
    done = threading.Event()

    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            if path(head) == "/events":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(40):
                    time.sleep(0.02)
                    sent.put(time.monotonic())
                    peer.send(b"9\r\ndata: 1\n\n\r\n")
                peer.send(b"0\r\n\r\n")
                done.set()
            else:
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not done.is_set():
                    peer.send(b"10000\r\n" + b"d" * 65_536 + b"\r\n")
                peer.send(b"0\r\n\r\n")

    with connection(start, handler) as client:
        download = client.open(path="/download")
        client.until(lambda: len(download.body) > 1 << 20)
        events = client.open(path="/events").whole(30)
        assert not download.over
        assert bytes(events.body) == b"data: 1\n\n" * 40
        # Each event by when its last byte came: two may come in one piece.
        late = sorted(
            next(at for at, size in events.times if size >= 9 * number) - sent.get() for number in range(1, 41))
        assert statistics.median(late) < 0.05 and late[-3] < 0.3, late
        download.whole(30)


def share_of_first(client: Client, first, second) -> float:
    """Which part of what comes is of the first stream, while the connection's window is what both wait for."""
    for step in range(1, 31):
        client.h2.increment_flow_control_window(16_384)
        client.flush()
        client.until(lambda step=step: len(first.body) + len(second.body) == step * 16_384)
        # Whoever sent has bytes waiting again.
        client.settle()
    return len(first.body) / (len(first.body) + len(second.body))


@pytest.mark.parametrize(
    ("priorities", "update", "share"),
    [(("u=5", "u=1"), None, (0, 0.2)), (("u=1", "u=5"), None, (0.8, 1)), (("u=3, i", "u=3, i"), None, (0.4, 0.6)),
     (("u=3", "u=3"), "u=0", (0, 0.2)), (("u=6", "u=6"), "u=7", (0.8, 1))])
def test_priority(start, priorities: tuple[str, str], update: str | None, share: tuple[float, float]) -> None:
    """RFC 9218: by the header, by PRIORITY_UPDATE for the second one, and turns where both are incremental."""
    size = 1_000_000
    with connection(start, sized, client={"window": 1 << 23, "connection_window": 65_535}) as client:
        client.reads = False
        # Takes the connection's window, so that both wait for it when it opens.
        assert client.open(path="/65535").whole().ended
        streams = [client.open(path=f"/{size}", fields=[("priority", priority)]) for priority in priorities]
        client.until(lambda: all(stream.status for stream in streams))
        if update:
            client.tunnel.send(frame(PRIORITY_UPDATE, 0, streams[1].id.to_bytes(4, "big") + update.encode()))
        client.settle()
        assert not any(stream.body for stream in streams)
        found = share_of_first(client, *streams)
        assert share[0] <= found <= share[1], found
        client.reads = True
        client.h2.increment_flow_control_window(1 << 20)
        client.flush()
        for stream in streams:
            assert len(stream.whole().body) == size


# One request and its response.


def test_interim_heads(start) -> None:
    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n")
            if "\r\nexpect: 100-continue" in head.lower():
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body, _ = read_body(peer, head.lower())
            peer.send(answer(body))

    with connection(start, handler) as client:
        stream = client.open("POST", fields=[("expect", "100-continue")], end=False)
        # Nobody sends a body before he was told to.
        client.until(lambda: len(stream.interim) == 3)
        assert stream.interim == [(103, [("link", "</a>")]), (103, [("link", "</b>")]), (100, [])]
        stream.send(b"body", end=True)
        assert stream.whole().status == 200 and stream.body == b"body"


def test_trailers_both_ways(start) -> None:
    seen = []

    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            seen.append(read_body(peer, head.lower()))
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
                      b"X-Sum: 17\r\nX-Also: a\r\nContent-Length: 3\r\n\r\n")

    with connection(start, handler) as client:
        for body in (b"body", b""):
            stream = client.open("POST", fields=[("te", "trailers")], end=False)
            if body:
                stream.send(body)
            client.h2.send_headers(stream.id, [("x-sum", "18"), ("x-twice", "a"), ("x-twice", "b")], end_stream=True)
            client.flush()
            stream.whole()
            assert stream.body == b"hello" and stream.trailers == [("x-sum", "17"), ("x-also", "a")]
            assert seen.pop() == (body, "x-sum: 18,x-twice: a,x-twice: b")


def test_head_and_statuses_without_a_body(start) -> None:
    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            status = path(head)[1:]
            peer.send(f"HTTP/1.1 {status} X\r\n".encode() + (
                b"" if status == "204" else b"Content-Length: 1234\r\n") + b"ETag: a\r\n\r\n")

    with connection(start, handler) as client:
        for method, status in (("HEAD", 200), ("HEAD", 404), ("GET", 304), ("GET", 204), ("HEAD", 200)):
            stream = client.open(method, f"/{status}").whole()
            assert (stream.status, stream.body, stream.get("etag")) == (status, b"", "a")
            assert stream.get("content-length") == (None if status == 204 else "1234")


@pytest.mark.parametrize("keeps", [False, True], ids=["close", "keep-alive"])
def test_early_response(start, keeps: bool) -> None:
    """413 before the body is whole: the response is whole. Unless the upstream goes on reading, no more of it is wanted."""
    def handler(peer: Peer) -> None:
        head = peer.head()
        more = "" if keeps else "Connection: close\r\n"
        peer.send(f"HTTP/1.1 413 Content Too Large\r\n{more}Content-Length: 7\r\n\r\ntoo big".encode())
        if keeps and head and read_body(peer, head.lower())[0]:
            return echo(peer)
        with contextlib.suppress(ConnectionError):
            peer.read_to_end()

    with connection(start, handler) as client:
        stream = client.open("POST", end=False)
        stream.send(b"x" * 10_000)
        stream.whole()
        assert (stream.status, bytes(stream.body), stream.get("connection")) == (413, b"too big", None)
        if keeps:
            client.h2.send_data(stream.id, b"x" * 10_000, end_stream=True)
            client.flush()
            # On the same connection, where the next request begins behind the whole body.
            client.proxy.wait_for("request finished")
            assert client.request().status == 200 and len(client.upstream.peers) == 1
        else:
            client.until(lambda: stream.reset is not None)
            assert stream.reset == NO_ERROR
            assert client.request("HEAD").status == 413


# Ends before their time.


@pytest.mark.parametrize("when", ["waiting", "uploading", "downloading", "events"])
def test_a_cancelled_stream_ends_its_upstream_at_once(start, when: str) -> None:
    begun = threading.Event()

    def handler(peer: Peer) -> float | None:
        head = peer.head()
        if path(head or "/ /") == "/other":
            peer.send(OK)
            return None
        if when == "downloading":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            begun.set()
            with contextlib.suppress(ConnectionError):
                while True:
                    peer.send(b"x" * 65_536)
        elif when == "events":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        begun.set()
        with contextlib.suppress(ConnectionError):
            peer.read_to_end()
        return time.monotonic()

    with connection(start, handler) as client:
        stream = client.open("POST", end=when != "uploading")
        if when == "uploading":
            stream.send(b"x" * 20_000)
        assert begun.wait(5)
        if when in ("downloading", "events"):
            client.until(lambda: stream.body)
        client.settle()
        cancelled = time.monotonic()
        stream.cancel()
        ended = client.upstream.wait()
        assert ended - cancelled < 0.1
        record = client.proxy.wait_for("request finished")
        assert record.fields["end"] != "complete" and record.fields["stream"] == "1"
        # No other stream notices.
        assert client.request("GET", "/other").body == b"ok"


@pytest.mark.parametrize(
    "way", ["short", "chunks", "reset", "no-end-of-chunk", "garbage"])
def test_an_upstream_that_breaks_off_is_an_error(start, way: str) -> None:
    """RST_STREAM with INTERNAL_ERROR, and never END_STREAM: half a response is none."""
    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            if path(head) == "/whole":
                peer.send(OK)
                continue
            if way == "short":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                return
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            got.wait(5)
            if way == "reset":
                peer.reset()
            elif way == "no-end-of-chunk":
                peer.send(b"4\r\nmore")
            elif way == "garbage":
                peer.send(b"zz\r\n\r\n")
            return

    got = threading.Event()
    with connection(start, handler) as client:
        stream = client.open()
        # What came before the end may be dropped with it.
        client.until(lambda: stream.over or bytes(stream.body).startswith(b"half"))
        got.set()
        client.until(lambda: stream.over)
        client.settle()
        assert (stream.status, stream.ended, stream.reset) == (200, False, INTERNAL_ERROR)
        assert client.request("GET", "/whole").body == b"ok"


def test_no_upstream_is_a_whole_response(start, refusing_port: int) -> None:
    proxy = start({"echo": f"http://127.0.0.1:{refusing_port}"})
    with Client.connect(proxy) as client:
        for _ in range(3):
            assert client.request().status == 502
        assert client.request(authority=f"nobody.{DOMAIN}").status == 502
        stream = client.open("POST", end=False)
        client.until(lambda: stream.over)
        assert stream.status == 502 and stream.ended


# Extended CONNECT (RFC 8441).


class WebSocketOver:
    """The client's half of a WebSocket on a stream."""

    def __init__(self, client: Client, **options) -> None:
        self.client = client
        self.protocol = Protocol(Side.CLIENT, state=OPEN)
        self.stream = client.open(
            "CONNECT", "/chat", [("sec-websocket-version", "13")], protocol="websocket", end=False, **options)
        client.until(lambda: self.stream.status or self.stream.over)
        self.read = 0

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.stream.send(data)

    def next(self):
        while not (events := self.protocol.events_received()):
            self.client.until(lambda: len(self.stream.body) > self.read or self.stream.over)
            assert len(self.stream.body) > self.read, "the stream ended"
            self.protocol.receive_data(bytes(self.stream.body[self.read :]))
            self.read = len(self.stream.body)
        (event,) = events
        return event


@pytest.fixture
def chat(start):
    """A proxy before a WebSocket server that says everything backwards."""
    ends: queue.Queue = queue.Queue()

    def talk(connection) -> None:
        connection.send(str(connection.request.path) + " " + connection.request.headers["Host"])
        try:
            for message in connection:
                if message == "bye":
                    connection.close(4001, "as you wish")
                    return
                connection.send(message[::-1])
        finally:
            ends.put((connection.close_code, time.monotonic()))

    with serve_websockets(talk, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = start({"echo": f"http://127.0.0.1:{server.socket.getsockname()[1]}"})
        with Client.connect(proxy) as client:
            client.proxy, client.ends = proxy, ends
            yield client


def test_websocket_both_ways(chat: Client) -> None:
    one, other = WebSocketOver(chat), WebSocketOver(chat)
    for ws in (one, other):
        assert ws.stream.status == 200 and not ws.stream.over
        # What belongs to the handshake of HTTP/1.1 stays there.
        names = {name for name, _ in ws.stream.fields}
        assert not names & {"connection", "upgrade", "sec-websocket-accept", "transfer-encoding", "content-length"}
        assert ws.next().data == f"/chat {HOST}".encode()
    for text in (b"hello", "grüß".encode(), b"y" * 300_000):
        for ws in (one, other):
            ws.protocol.send_text(text)
            ws.flush()
        for ws in (one, other):
            received = ws.next()
            assert received.opcode is Opcode.TEXT and received.data.decode() == text.decode()[::-1]
    # The client closes.
    one.protocol.send_close(1000)
    one.flush()
    assert one.next().opcode is Opcode.CLOSE
    chat.until(lambda: one.stream.ended)
    assert chat.ends.get(timeout=5)[0] == 1000
    # The server closes.
    other.protocol.send_text(b"bye")
    other.flush()
    closing = other.next()
    assert closing.opcode is Opcode.CLOSE and closing.data[:2] == b"\x0f\xa1"
    other.flush()
    chat.h2.end_stream(other.stream.id)
    chat.flush()
    chat.until(lambda: other.stream.ended)
    records = [chat.proxy.wait_for("request finished", count=count) for count in (1, 2)]
    assert {record.fields["stream"] for record in records} == {"1", "3"}


@pytest.mark.parametrize("way", ["end-stream", "cancel", "connection"])
def test_a_websocket_that_is_left_ends_at_the_server(chat: Client, way: str) -> None:
    ws = WebSocketOver(chat)
    ws.next()
    left = time.monotonic()
    if way == "end-stream":
        chat.h2.end_stream(ws.stream.id)
        chat.flush()
    elif way == "cancel":
        ws.stream.cancel()
    else:
        chat.tunnel.abort()
        chat.ended = Ended("by us")
    code, ended = chat.ends.get(timeout=5)
    # The server's side is a thread of this test, which may have to wait for its turn.
    assert code == 1006 and ended - left < 0.5


def test_connect_that_nobody_wants(start) -> None:
    with connection(start, echo) as client:
        # The upstream does not switch: its response is passed on, and it is not a tunnel.
        stream = client.open("CONNECT", "/chat", [("sec-websocket-version", "13")], protocol="websocket", end=False)
        client.until(lambda: stream.over)
        assert stream.status is not None and (stream.status >= 400 or b"Upgrade: websocket" in stream.body), stream
        # Another protocol, and a plain CONNECT.
        stream = client.open("CONNECT", "/", protocol="connect-udp", end=False)
        client.until(lambda: stream.over)
        assert stream.status in (400, 501) or stream.reset is not None
        stream = client.open_with([(":method", "CONNECT"), (":authority", f"{HOST}:443")], end=False)
        client.until(lambda: stream.over)
        assert stream.status in (400, 405, 501) or stream.reset is not None
        assert len(client.upstream.peers) <= 1


# What an upstream sees of a request.


def seen(client: Client, *fields: tuple[str, str], **options) -> list[str]:
    """The lines of the head that the upstream got for these."""
    stream = client.open("GET", fields=list(fields), **options).whole()
    assert stream.status == 200, stream
    return bytes(stream.body).decode("latin-1").split("\n\n")[0].split("\r\n")


def test_the_head_in_http_1(start) -> None:
    with connection(start, echo, client={"valid": False}) as client:
        ours = ["X-Forwarded-Host: echo.t.example", "X-Forwarded-Proto: https"]
        assert seen(client) == ["GET / HTTP/1.1", f"Host: {HOST}", *ours]
        lines = seen(client, ("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("cookie", "c=3; d=4"))
        assert [line.lower() for line in lines if line.lower().startswith("cookie")] == ["cookie: a=1; b=2; c=3; d=4"]
        assert "x-a: 1" in lines
        # Case, order and repetition are kept; empty values are values.
        lines = seen(client, ("x-b", "2"), ("x-a", "1"), ("x-b", "3"), ("x-empty", ""), ("mcp-session-id", "Aa"))
        assert [line for line in lines if line[0] in "xm"] == [
            "x-b: 2", "x-a: 1", "x-b: 3", "x-empty: ", "mcp-session-id: Aa"]
        assert seen(client, ("te", "trailers"))[0] == "GET / HTTP/1.1"
        # A body of unknown length is chunked, a known one keeps its length, and none has neither.
        stream = client.open("POST", end=False)
        stream.send(b"abc", end=True)
        assert b"Transfer-Encoding: chunked" in stream.whole().body
        stream = client.open("POST", fields=[("content-length", "3")], end=False)
        stream.send(b"abc", end=True)
        text = bytes(stream.whole().body)
        assert b"content-length: 3" in text.lower() and b"transfer-encoding" not in text.lower()


def test_host_comes_from_the_authority(start) -> None:
    """RFC 9113 §8.3.1."""
    with connection(start, echo, client={"valid": False}) as client:
        pseudo = [(":method", "GET"), (":scheme", "https"), (":path", "/")]
        authority = (":authority", HOST)

        def hosts(*lines: tuple[str, str]) -> list[str] | int | None:
            stream = client.open_with([*pseudo, *lines])
            client.until(lambda: stream.over)
            if stream.reset is not None:
                return stream.reset
            assert stream.status == 200
            return re.findall(r"(?im)^host: (.*?)\r?$", bytes(stream.body).decode())

        assert hosts(authority) == [HOST]
        assert hosts(authority, ("host", HOST)) == [HOST]
        assert hosts(("host", HOST)) == [HOST]
        assert hosts((":authority", HOST.upper()), ("host", HOST)) in ([HOST], [HOST.upper()])
        for lines in (
            [authority, ("host", f"other.{DOMAIN}")], [authority, ("host", HOST), ("host", HOST)],
            [("host", HOST), ("host", HOST)], [], [(":authority", "")], [(":authority", f"me@{HOST}")],
            [authority, authority], [authority, ("host", "")], [(":authority", f"{HOST}:44x")],
        ):
            assert hosts(*lines) == PROTOCOL_ERROR, lines
        assert len(client.upstream.peers) == 1


def test_a_record_for_each_stream(start) -> None:
    with connection(start, echo) as client:
        for number in range(3):
            client.request("POST", f"/{number}", b"body")
        client.proxy.wait_for("request finished", count=3)
        records = [line.fields for line in client.proxy.found("request finished")]
        assert [(record["protocol"], record["stream"], record["status"], record["end"]) for record in records] == [
            ("h2", str(number), "200", "complete") for number in (1, 3, 5)]
        started = [line.fields for line in client.proxy.found("request started")]
        assert [record["path"] for record in started] == ["/0", "/1", "/2"]


# From HTTP/2 to HTTP/1: nothing of what is refused reaches an upstream.

PSEUDO = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]


def changed(name: str, value: str | bytes | None) -> bytes:
    """A request with another value for one pseudo-header, or without it."""
    return block(*((key, value if key == name else old) for key, old in PSEUDO if not (key == name and value is None)))


def plus(*fields: tuple[str | bytes, str | bytes]) -> bytes:
    return request(HOST, *fields)


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: echo.t.example\r\n\r\n"
REFUSED: dict[str, bytes] = {
    # Bytes that end a line, or a head (§8.2.1), in values, names and pseudo-headers.
    **{f"{what} {where} a value": plus(("x-a", value)) for what, byte in (("CR", "\r"), ("LF", "\n"), ("NUL", "\0"))
       for where, value in (("in", f"a{byte}b"), ("at the front of", f"{byte}a"), ("behind", f"a{byte}"), ("as", byte))},
    **{f"{what} in a name": plus((f"x{byte}a", "1")) for what, byte in (
        ("CR", "\r"), ("LF", "\n"), ("NUL", "\0"), ("space", " "), ("tab", "\t"), ("colon", ":"), ("DEL", "\x7f"),
        ("8-bit", "\xe9"), ("comma", ","), ("slash", "/"), ("quote", '"'), ("brace", "{"), ("upper case", "A"))},
    **{f"{what} in {name}": changed(name, f"{value}{byte}x") for what, byte in (
        ("CR", "\r"), ("LF", "\n"), ("NUL", "\0"), ("space", " "), ("tab", "\t"), ("CRLF", "\r\n"))
       for name, value in PSEUDO},
    "a whole request in a value": plus(("x-a", f"b\r\n\r\n{SMUGGLED}")),
    "a whole request in :path": changed(":path", f"/ HTTP/1.1\r\nHost: echo.t.example\r\n\r\n{SMUGGLED}"),
    "a whole request in :method": changed(":method", f"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n{SMUGGLED}"),
    "a whole request in :authority": changed(":authority", f"{HOST}\r\n\r\n{SMUGGLED}"),
    "a whole request in a name": plus((f"x: y\r\n\r\n{SMUGGLED}", "")),
    "a line in a name": plus(("x-a: 1\r\nx-b", "2")),
    "space before a value": plus(("x-a", " a")), "space behind a value": plus(("x-a", "a ")),
    "tab before a value": plus(("x-a", "\ta")), "tab behind a value": plus(("x-a", "a\t")),
    "control byte in a value": plus(("x-a", "a\x01b")), "DEL in a value": plus(("x-a", "a\x7fb")),
    "name without a byte": plus(("", "1")), "name of upper case": plus(("X-A", "1")), "Host": plus(("Host", HOST)),
    "Content-Length": plus(("Content-Length", "5")), "Transfer-Encoding": plus(("Transfer-Encoding", "chunked")),
    # Fields of a connection (§8.2.2).
    "connection": plus(("connection", "close")), "connection names": plus(("connection", "x-a"), ("x-a", "1")),
    "keep-alive": plus(("keep-alive", "timeout=5")), "proxy-connection": plus(("proxy-connection", "keep-alive")),
    "transfer-encoding": plus(("transfer-encoding", "chunked")), "upgrade": plus(("upgrade", "websocket")),
    "transfer-encoding identity": plus(("transfer-encoding", "identity")), "h2c": plus(("upgrade", "h2c")),
    "te gzip": plus(("te", "gzip")), "te of both": plus(("te", "trailers, gzip")), "te chunked": plus(("te", "chunked")),
    "te twice": plus(("te", "trailers"), ("te", "gzip")),
    # Pseudo-headers (§8.3).
    "no :method": changed(":method", None), "no :scheme": changed(":scheme", None), "no :path": changed(":path", None),
    "no :authority": changed(":authority", None), "empty :path": changed(":path", ""),
    ":path without a slash": changed(":path", "index"), ":path of a URL": changed(":path", f"http://{HOST}/"),
    ":path of another host": changed(":path", "@evil.example/"), ":path with a fragment": changed(":path", "/#a"),
    ":path asterisk of GET": changed(":path", "*"), ":path 8-bit": changed(":path", "/\xe9"),
    "empty :method": changed(":method", ""), ":method no token": changed(":method", "G(T"),
    "empty :authority": changed(":authority", ""), ":authority with user": changed(":authority", f"me@{HOST}"),
    ":authority with a path": changed(":authority", f"{HOST}/x"), ":authority list": changed(":authority", f"{HOST},x"),
    "empty :scheme": changed(":scheme", ""), ":scheme ftp": changed(":scheme", "ftp"),
    ":scheme a URL": changed(":scheme", "https://evil.example/?"),
    **{f"{name} twice": block(*PSEUDO, (name, value)) for name, value in PSEUDO},
    **{f"{name} behind a field": block(*(one for one in PSEUDO if one[0] != name), ("x-a", "1"), (name, value))
       for name, value in PSEUDO},
    ":status": block(*PSEUDO, (":status", "200")), "unknown pseudo-header": block(*PSEUDO, (":evil", "1")),
    "pseudo-header without a name": block(*PSEUDO, (":", "1")), "upper pseudo-header": block(*PSEUDO[:3], (":Path", "/")),
    ":protocol without CONNECT": block(*PSEUDO, (":protocol", "websocket")),
    # Host (§8.3.1) and Content-Length (§8.1.1).
    "another host": plus(("host", f"other.{DOMAIN}")), "two hosts": plus(("host", HOST), ("host", HOST)),
    "empty host": plus(("host", "")), "host list": plus(("host", f"{HOST}, x")),
    "content-length without a body": plus(("content-length", "5")),
    "content-length sign": plus(("content-length", "+0")), "content-length negative": plus(("content-length", "-1")),
    "content-length hex": plus(("content-length", "0x0")), "content-length empty": plus(("content-length", "")),
    "two content-lengths": plus(("content-length", "0"), ("content-length", "5")),
    "content-length list": plus(("content-length", "0, 5")),
    "content-length beyond all": plus(("content-length", "99999999999999999999")),
}


def test_no_refused_request_reaches_an_upstream(start) -> None:
    """Each on a stream of its own; the upstream writes down every byte."""
    received = bytearray()

    def record(peer: Peer) -> None:
        while data := peer.socket.recv(1 << 16):
            received.extend(data)
            while (end := received.find(b"\r\n\r\n", record.done)) >= 0:
                record.done = end + 4
                peer.send(OK)

    record.done = 0
    assert len(REFUSED) > 110
    with Scripted(record) as upstream:
        proxy = start({"echo": upstream.url}, http2={"max_resets": 10_000, "max_pings": 10_000})
        with Frames.to(proxy).begin() as client:
            wrong = {}
            for number, (name, fields) in enumerate(REFUSED.items()):
                client.send(frame(HEADERS, 2 * number + 1, fields, END_HEADERS | END_STREAM))
                came = [found for found in client.settle() if found.stream_id == 2 * number + 1]
                if not (len(came) == 1 and isinstance(came[0], RstStreamFrame) and came[0].error_code == PROTOCOL_ERROR):
                    wrong[name] = came
            assert not wrong and not received, (wrong, bytes(received))
            # The connection, and the table of its fields, are as they should be.
            stream = 2 * len(REFUSED) + 1
            client.send(frame(HEADERS, stream, plus(("x-last", "1")), END_HEADERS | END_STREAM))
            client.until(lambda found: isinstance(found, DataFrame) and "END_STREAM" in found.flags)
            assert re.fullmatch(
                rb"GET / HTTP/1\.1\r\nx-last: 1\r\nHost: echo\.t\.example\r\n(X-Forwarded-[A-Za-z]+: [^\r\n]*\r\n)*\r\n",
                received), bytes(received)


@pytest.mark.parametrize(
    ("length", "parts", "how"),
    [(5, [b"abc"], "short"), (5, [b"abcdef"], "long"), (5, [b"abc", b"def"], "long in two"), (0, [b"a"], "none said"),
     (5, [b"abcde" + SMUGGLED.encode()], "a request behind")],
    ids=lambda value: value if isinstance(value, str) else "")
def test_a_body_of_another_length_than_said(start, length: int, parts: list[bytes], how: str) -> None:
    """§8.1.1: malformed, and the upstream gets no whole request of it, nor what could be another one."""
    received = bytearray()

    def record(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            while data := peer.socket.recv(1 << 16):
                received.extend(data)

    with Scripted(record) as upstream:
        proxy = start({"echo": upstream.url})
        with Frames.to(proxy).begin() as client:
            client.send(
                frame(HEADERS, 1, request(HOST, ("content-length", str(length)), method="POST"), END_HEADERS),
                *(frame(DATA, 1, part) for part in parts[:-1]), frame(DATA, 1, parts[-1], END_STREAM))
            client.settle()
            assert client.resets() == {1: PROTOCOL_ERROR}
        if upstream.peers:
            upstream.wait()
        # It broke a rule, which is no limit of ours that it would have met.
        assert proxy.wait_for("request finished").fields["end"] == "client_gone"
        _, _, body = bytes(received).partition(b"\r\n\r\n")
        assert len(body) < max(1, length) and SMUGGLED.encode()[:4] not in body


def test_trailers_that_are_none(start) -> None:
    """A trailer section is held to the same rules, and nothing of it is a field of the request."""
    refused = [
        ((":path", "/"),), ((":status", "200"),), (("X-A", "1"),), (("x-a", "b\r\nx-c: d"),), (("x-a", "b\0"),),
        (("connection", "close"),), (("transfer-encoding", "chunked"),), (("x a", "1"),)]
    with connection(start, echo) as client:
        for fields in refused:
            stream = client.open("POST", end=False)
            stream.send(b"body")
            client.tunnel.send(frame(HEADERS, stream.id, block(*fields), END_HEADERS | END_STREAM))
            client.until(lambda stream=stream: stream.over)
            assert stream.reset == PROTOCOL_ERROR, fields
        # What may not be in a trailer section does not become a field of the message.
        stream = client.open("POST", end=False)
        stream.send(b"body")
        client.h2.send_headers(
            stream.id, [("content-length", "4"), ("host", "evil"), ("authorization", "a"), ("x-ok", "1")], end_stream=True)
        client.flush()
        text = bytes(stream.whole().body).lower()
        assert text.endswith(b"bodyx-ok: 1") and b"evil" not in text and b"authorization" not in text


# Limits, at them and one beyond.


def test_as_many_streams_as_were_allowed(start) -> None:
    gate = threading.Event()

    def handler(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            if path(head) == "/hang":
                gate.wait(20)
            peer.send(OK)

    with connection(start, handler, limits={"max_requests_per_connection": 3}) as client:
        try:
            assert client.h2.remote_settings.max_concurrent_streams == 3
            # h2 would not let us.
            client.h2.remote_settings[3] = 100
            client.h2.remote_settings.acknowledge()
            held = [client.open(path="/hang") for _ in range(3)]
            beyond = client.open()
            client.until(lambda: beyond.over)
            assert (beyond.reset, beyond.status) == (REFUSED_STREAM, None)
            assert len(client.upstream.peers) <= 3
            # A place that becomes free may be taken.
            held[0].cancel()
            client.proxy.wait_for("request finished")
            client.settle()
            assert client.request().body == b"ok"
        finally:
            gate.set()
        for stream in held[1:]:
            assert stream.whole().body == b"ok"


def test_a_head_at_its_limits(start) -> None:
    with connection(start, echo, limits={"max_headers": 20, "max_header_bytes": 2_048}) as client:
        def status(fields: list[tuple[str, str]]) -> int | None:
            stream = client.open(fields=fields)
            client.until(lambda: stream.over)
            assert stream.reset in (None, NO_ERROR)
            return stream.status

        # Four are pseudo-headers.
        assert status([("x-a", "1")] * 16) == 200
        assert status([("x-a", "1")] * 17) == 431
        assert status([("cookie", "a")] * 17) == 431
        # §6.5.2: name, value and 32 bytes.
        size = sum(len(name) + len(value) + 32 for name, value in PSEUDO) + len("x-a") + 32
        assert status([("x-a", "b" * (2_048 - size))]) == 200
        assert status([("x-a", "b" * (2_048 - size + 1))]) == 431
        assert status([]) == 200


def test_a_window_and_one_byte_beyond(start) -> None:
    def handler(peer: Peer) -> None:
        # Nothing is taken, so nothing is given back.
        peer.head()
        hold.wait(20)

    hold = threading.Event()
    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, http2={"stream_window": 16_384})
        with Frames.to(proxy).begin() as client:
            try:
                settings = next(found for found in client.received if isinstance(found, SettingsFrame))
                assert settings.settings[SettingsFrame.INITIAL_WINDOW_SIZE] == 16_384
                # In one piece, so that nobody can take anything in between.
                for number, rest in ((1, 0), (3, 1)):
                    client.send(frame(HEADERS, number, request(HOST, method="POST"), END_HEADERS),
                                frame(DATA, number, b"x" * 16_384), frame(DATA, number, b"x" * rest))
                client.settle()
                assert client.resets() == {3: FLOW_CONTROL_ERROR}
            finally:
                hold.set()


# The end.


class Gate:
    """An upstream that ends its responses at the test's word."""

    def __init__(self) -> None:
        self.open, self.paths = threading.Event(), []

    def __call__(self, peer: Peer) -> None:
        while (head := peer.head()) is not None:
            self.paths.append(path(head))
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            self.open.wait(20)
            peer.send(b"4\r\nlast\r\n0\r\n\r\n")


def until_not_listening(proxy) -> None:
    while True:
        try:
            socket.create_connection((proxy.endpoint.host, proxy.endpoint.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)


def body_of(client: Frames, stream: int) -> tuple[bytes, bool]:
    """What came of a body, and whether it ended."""
    data = [found for found in client.received if isinstance(found, DataFrame) and found.stream_id == stream]
    return b"".join(found.data for found in data), any("END_STREAM" in found.flags for found in data)


def test_drain(start) -> None:
    """GOAWAY twice (RFC 9113 §6.8): what was on its way when the first came is served, what comes behind the last is not."""
    gate = Gate()
    with Scripted(gate) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="20s")
        with Frames.to(proxy).begin() as client:
            client.send(frame(HEADERS, 1, request(HOST, path="/1"), END_HEADERS | END_STREAM))
            client.until(lambda found: isinstance(found, DataFrame))
            proxy.signal(signal.SIGTERM)
            first = client.until(lambda found: isinstance(found, GoAwayFrame))
            assert (first.last_stream_id, first.error_code) == ((1 << 31) - 1, NO_ERROR)
            ping = client.until(lambda found: isinstance(found, PingFrame) and "ACK" not in found.flags)
            # On its way before we had heard.
            client.send(frame(HEADERS, 3, request(HOST, path="/3"), END_HEADERS | END_STREAM))
            client.send(frame(PING, 0, ping.opaque_data, ACK))
            last = client.until(lambda found: isinstance(found, GoAwayFrame))
            assert (last.last_stream_id, last.error_code) == (3, NO_ERROR)
            client.send(frame(HEADERS, 5, request(HOST, path="/5"), END_HEADERS | END_STREAM))
            client.settle()
            gate.open.set()
            client.until_end()
            assert body_of(client, 1) == body_of(client, 3) == (b"firstlast", True)
            assert client.resets() == {} and not any(found.stream_id == 5 for found in client.received)
            assert client.tunnel.close_code == 1001 or read_close(client) == 1001
        assert sorted(gate.paths) == ["/1", "/3"]
        assert proxy.process.wait(10) == 0
        proxy.wait_for("request finished", count=2)
        assert {line.fields["end"] for line in proxy.found("request finished")} == {"complete"}


def read_close(client: Frames) -> int | None:
    """What follows close_notify: the WebSocket's Close frame."""
    client.tunnel.socket.settimeout(5)
    with pytest.raises((Ended, OSError)):
        while True:
            client.tunnel._fill()
    return client.tunnel.close_code


def test_an_idle_connection_is_drained_at_once(start) -> None:
    with Scripted(echo) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="20s")
        with Frames.to(proxy).begin() as used, Frames.to(proxy).begin() as silent:
            used.send(frame(HEADERS, 1, request(HOST), END_HEADERS | END_STREAM))
            used.until(lambda found: isinstance(found, DataFrame) and "END_STREAM" in found.flags)
            # It reads nothing and acknowledges no PING, which holds nothing up.
            assert silent.ended is None
            begun = time.monotonic()
            proxy.signal(signal.SIGTERM)
            used.until_end()
            codes = [(found.last_stream_id, found.error_code) for found in used.received if isinstance(found, GoAwayFrame)]
            assert codes == [((1 << 31) - 1, NO_ERROR), (1, NO_ERROR)]
            assert used.tunnel.close_code == 1001 or read_close(used) == 1001
        assert proxy.process.wait(10) == 0
        assert time.monotonic() - begun < 5


def test_what_does_not_end_in_time_is_cut(start) -> None:
    gate = Gate()
    with Scripted(gate) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="400ms")
        proxy.expected_status = 1
        with Frames.to(proxy).begin() as client:
            client.send(frame(HEADERS, 1, request(HOST), END_HEADERS | END_STREAM))
            client.until(lambda found: isinstance(found, DataFrame))
            begun = time.monotonic()
            proxy.signal(signal.SIGTERM)
            client.until_end()
            assert 0.3 < time.monotonic() - begun < 3
            # It is told that this is not the whole response, and where that was the last thing: which stream was the last.
            assert body_of(client, 1) == (b"first", False)
            assert client.resets().get(1) in (INTERNAL_ERROR, CANCEL), client.received
        assert proxy.process.wait(10) == 1
        gate.open.set()
