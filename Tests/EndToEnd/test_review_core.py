"""Ends that come in an unlucky order, and what comes at an unlucky moment."""

from __future__ import annotations

import signal
import socket
import threading
import time

import pytest
from peers.blocking import Tunnel, client_context, frames
from peers.raw_websocket import BINARY, CLOSE, PING, upgrade_head
from peers.scripted import Peer, Scripted

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


def open_tunnel(proxy, **options: object) -> Tunnel:
    return Tunnel(  # type: ignore[arg-type]
        proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file), **options)


def say_goodbye(tunnel: Tunnel, last: bytes) -> None:
    """The last bytes, close_notify and a Close frame, in one write."""
    data = frames(BINARY, tunnel.records(last))
    tunnel.socket.sendall(data + frames(BINARY, tunnel.close_notify()) + frames(CLOSE, b"\x03\xe8"))


def test_bytes_that_an_upstream_destroys_unread_are_not_complete(start) -> None:
    """Its machine has acknowledged them, and it closes without having read them: a reset."""
    close = threading.Event()

    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(SWITCHING)
        assert close.wait(10)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        tunnel = open_tunnel(proxy)
        tunnel.send(tunnel.head("GET", "/", *UPGRADE))
        assert tunnel.reply().status == 101
        say_goodbye(tunnel, b"x" * 1000)
        time.sleep(0.5)
        close.set()
        assert proxy.wait_for("request finished").fields["end"] != "complete"


def test_a_second_try_gives_an_upload_its_time(start) -> None:
    """A request that waits for its body was on a dying connection: on the new one no clock runs while it uploads."""
    def handler(peer: Peer) -> None:
        while head := peer.head():
            if peer.number == 1 and head.startswith("PUT"):
                return
            if head.startswith("PUT"):
                while len(peer.buffer) < 4:
                    peer.buffer += peer.socket.recv(100)
                peer.buffer.clear()
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start(
            {"echo": upstream.url}, threads=1,
            upstream={"allowed_ips": ["127.0.0.0/8"], "response_header_timeout": "500ms"})
        with open_tunnel(proxy) as tunnel:
            assert tunnel.request().status == 200
            tunnel.send(tunnel.head("PUT", "/", "Content-Length: 4"))
            for _ in range(4):
                time.sleep(0.3)
                tunnel.send(b"x")
            assert tunnel.reply().status == 200


@pytest.mark.parametrize("size", [0, 8_000, 15_000])
def test_what_comes_behind_an_upgrade_is_taken(start, size: int) -> None:
    """More than the proxy reads at once, behind a head of any size up to the 16 KiB that one may have."""
    proxy = start({"echo": "http://127.0.0.1:1"})
    with socket.create_connection(("127.0.0.1", proxy.endpoint.port), timeout=10) as connection:
        pad = tuple((f"X-Pad-{n}", "x" * 980) for n in range(size // 1_000))
        head, _ = upgrade_head("echo.t.example", extra=pad)
        connection.sendall(head + frames(PING, b"p" * 100, 4_000))
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(1 << 16)
        assert received.startswith(b"HTTP/1.1 101 ")
        connection.settimeout(1)
        received = received.partition(b"\r\n\r\n")[2]
        while not received:
            received += connection.recv(1 << 16)
        assert received[0] == 0x8A
    with open_tunnel(proxy) as tunnel:
        assert tunnel.request().status == 502


def test_a_client_that_stays_behind_its_end_does_not_hold_up_the_stop(start) -> None:
    """It has said close_notify and neither Close nor FIN: our closing handshake waits for these, the stop does not."""
    proxy = start({"echo": "http://127.0.0.1:1"}, threads=1)
    with open_tunnel(proxy) as tunnel:
        tunnel.socket.sendall(frames(BINARY, tunnel.close_notify()))
        while tunnel.frame()[0] != CLOSE:
            pass
        begun = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0
        assert time.monotonic() - begun < 1.7
