"""The wall clock may be stepped by an hour, either way: only times of day in the log change."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import find_binary
from peers.blocking import Tunnel, client_context
from peers.clock import Clock
from peers.scripted import Peer, Scripted

HOUR = 3600


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    yield Clock(tmp_path, find_binary("mcp-proxy", "MCP_PROXY"))


@pytest.fixture
def binary(clock: Clock) -> Path:
    return clock.program


def ok(peer: Peer) -> None:
    while peer.request():
        peer.respond()


def tunnel(proxy) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file))


def hour_of(line) -> int:
    return int(line.text[11:13])


@pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["back", "forth"])
def test_the_log_goes_on(start, clock: Clock, seconds: int) -> None:
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url})
        with tunnel(proxy) as one:
            # Requests all the time, so that the writer is at work when the clock is stepped.
            for number in range(400):
                if number == 200:
                    clock.step(seconds)
                assert one.request().status == 200
            mark = proxy.mark()
            assert one.request("GET", "/the-last").status == 200
            line = proxy.wait_for("request finished.*path=/the-last", since=mark, seconds=1)
        # The clock was stepped indeed.
        now = time.gmtime(time.time() + seconds)
        assert hour_of(line) in (now.tm_hour, (now.tm_hour - 1) % 24)
        assert proxy.found("listening")[0].text[11:13] != line.text[11:13]


def test_the_log_goes_on_when_it_was_idle(start, clock: Clock) -> None:
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url})
        with tunnel(proxy) as one:
            assert one.request().status == 200
            proxy.wait_for("request finished")
            time.sleep(0.1)
            clock.step(-HOUR)
            for number in range(5):
                mark = proxy.mark()
                assert one.request("GET", f"/{number}").status == 200
                proxy.wait_for(f"request finished.*path=/{number}", since=mark, seconds=1)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["back", "forth"])
def test_the_drain_keeps_its_time(start, clock: Clock, seconds: int) -> None:
    """Neither cut at once nor waiting for an hour."""
    go_on = threading.Event()

    def handler(peer: Peer) -> None:
        assert peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        go_on.wait(20)
        peer.socket.close()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="1500ms")
        proxy.expected_status = 1
        with tunnel(proxy) as one:
            one.send(one.head())
            one.until(b"ha")
            begun = time.monotonic()
            proxy.signal(signal.SIGTERM)
            proxy.wait_for("shutting down")
            clock.step(seconds)
            assert proxy.process.wait(6) == 1
            assert 1.4 < time.monotonic() - begun < 4
        go_on.set()


@pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["back", "forth"])
def test_timeouts_and_reloads_keep_their_time(start, clock: Clock, certificates, tmp_path: Path, seconds: int) -> None:
    certificate, key = certificates.authority.issue("*.t.example").write(tmp_path, "served")

    def handler(peer: Peer) -> None:
        while head := peer.head():
            if "/slow" in head:
                time.sleep(1)
            if "/never" in head:
                peer.read_to_end()
                return
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start(
            {"echo": upstream.url}, upstream={"response_header_timeout": "2s"},
            tls={"cert_file": str(certificate), "key_file": str(key), "reload_interval": "100ms"})
        with tunnel(proxy) as one, tunnel(proxy) as other:
            one.send(one.head("GET", "/slow"))
            begun = time.monotonic()
            other.send(other.head("GET", "/never"))
            proxy.wait_for("request started", count=2)
            clock.step(seconds)
            assert one.reply().status == 200
            assert other.reply().status == 504
            assert 1.9 < time.monotonic() - begun < 5
        certificates.authority.issue("*.t.example").write(tmp_path, "served")
        proxy.wait_for("certificate reloaded", seconds=3)
