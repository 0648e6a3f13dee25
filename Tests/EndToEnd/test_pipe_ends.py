"""How an upgraded pipe ends: with every byte that was said before, or with a record that says otherwise."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
import time

import pytest
from peers.blocking import Ended, Tunnel, client_context, frames
from peers.raw_websocket import BINARY, CLOSE
from peers.scripted import Peer, Scripted

MIB = 1 << 20
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CLOSE_FRAME = frames(CLOSE, b"\x03\xe8")
#: Sizes about those of the proxy's buffers.
SIZES = [(1 << 16) - 1, 1 << 16, (1 << 16) + 1]


def open_pipe(proxy, **options: object) -> Tunnel:
    """A tunnel whose request was upgraded."""
    tunnel = Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file), **options)  # type: ignore
    tunnel.send(tunnel.head("GET", "/", "Connection: Upgrade", "Upgrade: websocket"))
    assert tunnel.reply().status == 101
    return tunnel


def slowly(go_on: threading.Event):
    """An upstream that reads nothing at first and little at a time then; its result is how much came until the end."""
    def handler(peer: Peer) -> int:
        assert peer.head()
        peer.send(SWITCHING)
        assert go_on.wait(20)
        count, turns = len(peer.buffer), 0
        while data := peer.socket.recv(1 << 17):
            count += len(data)
            turns += 1
            if turns % 8 == 0:
                time.sleep(0.002)
        return count

    return handler


ENDS = {
    "close_notify, Close, FIN": (True, True),
    "close_notify, FIN": (True, False),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("size", [12 * MIB, *SIZES])
def test_what_the_client_said_before_its_end_arrives(start, size: int, end: str) -> None:
    notifies, closes = ENDS[end]
    go_on = threading.Event()
    with Scripted(slowly(go_on), receive_buffer=1 << 14) as upstream:
        proxy = start({"echo": upstream.url})
        with open_pipe(proxy, timeout=20) as tunnel:
            data = bytearray(frames(BINARY, tunnel.records(b"x" * size)))
            if notifies:
                data += frames(BINARY, tunnel.close_notify())
            if closes:
                data += CLOSE_FRAME
            # The upstream reads only when nothing moves any more, or when all is with the proxy.
            sending = threading.Thread(target=tunnel.socket.sendall, args=(data,))
            sending.start()
            sending.join(0.5)
            go_on.set()
            sending.join()
            tunnel.socket.shutdown(socket.SHUT_WR)
            try:
                arrived = upstream.wait(15)
            except ConnectionError:
                arrived = "a reset"
            record = proxy.wait_for("request finished").fields
        assert (arrived, record["end"], record["bytes_in"]) == (size, "complete", str(size))


@pytest.mark.parametrize("end", ["Close, FIN", "FIN"])
def test_an_end_without_close_notify_loses_nothing_in_silence(start, end: str) -> None:
    """Nobody knows then whether more was to come (RFC 8446 §6.1); the record may call it a cut, or all must arrive."""
    go_on = threading.Event()
    with Scripted(slowly(go_on), receive_buffer=1 << 14) as upstream:
        proxy = start({"echo": upstream.url})
        with open_pipe(proxy, timeout=20) as tunnel:
            data = frames(BINARY, tunnel.records(b"x" * 12 * MIB)) + (CLOSE_FRAME if end != "FIN" else b"")
            sending = threading.Thread(target=tunnel.socket.sendall, args=(data,))
            sending.start()
            sending.join(0.5)
            go_on.set()
            sending.join()
            tunnel.socket.shutdown(socket.SHUT_WR)
            arrived = 0
            with contextlib.suppress(ConnectionError):
                arrived = upstream.wait(15)
            recorded = proxy.wait_for("request finished").fields["end"]
            assert recorded != "complete" or arrived == 12 * MIB, f"{arrived} bytes, and {recorded}"


@pytest.mark.parametrize("size", [12 * MIB, *SIZES])
def test_what_the_upstream_said_before_its_end_arrives(start, size: int) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(SWITCHING + b"y" * size)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        with open_pipe(proxy, receive_buffer=1 << 14, timeout=20) as tunnel:
            # The upstream is long gone when the client begins to read.
            proxy.wait_for("request started")
            time.sleep(0.3)
            assert len(tunnel.take(size)) == size
            assert tunnel.read() == b""
            assert proxy.wait_for("request finished").fields["end"] == "complete"


def test_an_upstream_that_stays_behind_a_whole_end_is_not_reset(start) -> None:
    """It read all that was said. That it keeps its own side open is no reason to tell it that something was lost."""
    def handler(peer: Peer) -> int:
        assert peer.head()
        peer.send(SWITCHING)
        while peer.socket.recv(1 << 16):
            pass
        # The proxy waits five seconds for our end, and ends the connection then: what a reset would show here.
        hangup = select.poll()
        hangup.register(peer.socket, select.POLLERR | select.POLLHUP)
        hangup.poll(7_000)
        return peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        with open_pipe(proxy) as tunnel:
            tunnel.socket.sendall(frames(BINARY, tunnel.records(b"bye")) + frames(BINARY, tunnel.close_notify())
                                  + CLOSE_FRAME)
            assert upstream.wait(15) == 0
    assert proxy.found("request finished.*status=101.*end=complete")


def test_a_pipe_that_the_shutdown_cuts_does_not_end_as_if_whole(start) -> None:
    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(SWITCHING + b"some")
        with contextlib.suppress(ConnectionError):
            peer.read_to_end()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="300ms")
        proxy.expected_status = 1
        with open_pipe(proxy) as tunnel:
            assert tunnel.take(4) == b"some"
            tunnel.send(b"half of it")
            proxy.signal(signal.SIGTERM)
            with pytest.raises((Ended, OSError)) as cut:
                assert tunnel.read() == b"", "bytes from nowhere"
                raise AssertionError("close_notify: the client takes the pipe for whole")
            assert "1000" not in str(cut.value)
            assert proxy.wait_for("request finished").fields["end"] == "shutdown"
