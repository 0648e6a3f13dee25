"""`limits.body_timeout` and `limits.send_timeout`: time without progress, never a limit on a whole stream's time."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from peers.blocking import Ended, Reply, Tunnel, client_context
from peers.scripted import Peer, Scripted

MIB = 1 << 20
#: Both, in most tests. Pauses of half of it must do no harm, pauses of twice as long do.
LIMIT = 0.6
LIMITS = {"body_timeout": "600ms", "send_timeout": "600ms"}


def open_tunnel(proxy, **options: object) -> Tunnel:
    return Tunnel(  # type: ignore[arg-type]
        proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file), **options)


def swallow(peer: Peer) -> str:
    """Read requests with their bodies and respond; the result is how the connection ended."""
    count = 0
    try:
        while peer.request():
            count += 1
            peer.respond()
    except ConnectionError as cut:
        return str(cut) or "reset"
    return f"end after {count}"


def assert_timed_out(proxy, begun: float, *, status: str | None = None) -> None:
    fields = proxy.wait_for("request finished").fields
    assert fields["end"] == "timeout"
    if status:
        assert fields["status"] == status
    assert LIMIT * 0.9 < time.monotonic() - begun < LIMIT + 2.5


# A request's body.


@pytest.mark.parametrize("sent", [0, 1, 50_000, 99_999])
def test_a_body_that_stops_gets_408(start, sent: int) -> None:
    with Scripted(swallow) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", "Content-Length: 100000") + b"x" * sent)
            begun = time.monotonic()
            reply = tunnel.reply()
            assert reply.status == 408
            assert (reply.get("connection") or "").lower() == "close"
            assert tunnel.read() == b""
            assert_timed_out(proxy, begun, status="408")
        # The upstream must not take what it got for a whole request.
        if upstream.peers:
            assert upstream.wait() in ("the body was cut", "reset", "end after 0")


def test_a_chunked_body_that_stops_gets_408(start) -> None:
    received = threading.Event()

    def handler(peer: Peer) -> None:
        assert peer.head()
        received.set()
        peer.read_to_end()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
            begun = time.monotonic()
            assert received.wait(5)
            assert tunnel.reply().status == 408
            assert_timed_out(proxy, begun, status="408")


def test_a_slow_body_that_moves_passes(start) -> None:
    with Scripted(swallow) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", "Content-Length: 8"))
            for _ in range(8):
                time.sleep(LIMIT / 2)
                tunnel.send(b"x")
            assert tunnel.reply().status == 200


def test_a_body_that_the_upstream_does_not_read_is_no_stall_of_the_client(start) -> None:
    def handler(peer: Peer) -> None:
        time.sleep(3 * LIMIT)
        swallow(peer)

    with Scripted(handler, receive_buffer=1 << 14) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", f"Content-Length: {16 * MIB}"))
            for _ in range(16):
                tunnel.send(b"x" * MIB)
            assert tunnel.reply().status == 200


def test_a_body_that_stops_after_the_response_has_begun_is_cut(start) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.read_to_end()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", "Content-Length: 1000") + b"x" * 10)
            assert tunnel.until(b"half").startswith(b"HTTP/1.1 200 ")
            begun = time.monotonic()
            with pytest.raises((Ended, OSError)):
                tunnel.take(1)
            assert_timed_out(proxy, begun, status="200")


def test_a_timeout_of_none_waits(start) -> None:
    with Scripted(swallow) as upstream:
        proxy = start({"echo": upstream.url}, limits={"body_timeout": "0", "send_timeout": "0"})
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head("POST", "/", "Content-Length: 2") + b"x")
            time.sleep(3 * LIMIT)
            tunnel.send(b"x")
            assert tunnel.reply().status == 200


def test_time_between_requests_does_not_count(start) -> None:
    with Scripted(swallow) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            for _ in range(2):
                assert tunnel.request("POST", "/", b"x").status == 200
                time.sleep(2 * LIMIT)


# A response's.


def download(size: int, ended: list[str] | None = None):
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        try:
            block = b"y" * MIB
            for _ in range(size // MIB):
                peer.send(block)
            peer.read_to_end()
        except ConnectionError:
            if ended is not None:
                ended.append("cut")

    return handler


def test_a_client_that_stops_reading_is_cut(start) -> None:
    ended: list[str] = []
    with Scripted(download(256 * MIB, ended)) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            tunnel.send(tunnel.head())
            tunnel.until(b"\r\n\r\n")
            begun = time.monotonic()
            assert_timed_out(proxy, begun, status="200")
            # The upstream is left too, or it would go on for nobody.
            upstream.wait(3)
            assert ended == ["cut"]
            with pytest.raises((Ended, OSError)):
                tunnel.take(256 * MIB)


def test_a_slow_reader_that_moves_is_served(start) -> None:
    size = 16 * MIB
    with Scripted(download(size)) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy, receive_buffer=1 << 18) as tunnel:
            tunnel.send(tunnel.head())
            tunnel.until(b"\r\n\r\n")
            for _ in range(16):
                time.sleep(LIMIT / 4)
                tunnel.take(MIB)
            assert proxy.wait_for("request finished").fields["end"] == "complete"


def test_a_silent_event_stream_is_no_stall(start) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            time.sleep(3 * LIMIT)
            peer.send(b"9\r\ndata: x\n\n\r\n")
        peer.send(b"0\r\n\r\n")

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            reply: Reply = tunnel.request("GET", "/")
            assert (reply.status, reply.body) == (200, b"data: x\n\n" * 2)
            assert proxy.wait_for("request finished").fields["end"] == "complete"


def test_a_silent_response_to_a_whole_upload_is_no_stall(start) -> None:
    def handler(peer: Peer) -> None:
        while peer.request():
            time.sleep(3 * LIMIT)
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            assert tunnel.request("POST", "/", b"x" * 100_000).status == 200


def test_a_silent_pipe_is_no_stall(start) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        peer.send(peer.socket.recv(100))

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            assert tunnel.request("GET", "/", b"", "Connection: Upgrade", "Upgrade: websocket").status == 101
            time.sleep(3 * LIMIT)
            tunnel.send(b"hello")
            assert tunnel.take(5) == b"hello"


def test_a_pipe_whose_client_stops_reading_is_cut(start) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                peer.send(b"z" * MIB)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy) as tunnel:
            assert tunnel.request("GET", "/", b"", "Connection: Upgrade", "Upgrade: websocket").status == 101
            assert_timed_out(proxy, time.monotonic(), status="101")
            upstream.wait(3)


def test_a_client_that_stops_reading_behind_a_dead_network_is_cut(start) -> None:
    """Not even acknowledgements come: the window is shut from the beginning."""
    with Scripted(download(64 * MIB)) as upstream:
        proxy = start({"echo": upstream.url}, limits=LIMITS)
        with open_tunnel(proxy, receive_buffer=2048) as tunnel:
            tunnel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            tunnel.send(tunnel.head())
            assert proxy.wait_for("request finished", seconds=LIMIT + 5).fields["end"] == "timeout"
