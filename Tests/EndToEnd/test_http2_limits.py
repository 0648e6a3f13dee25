"""HTTP/2 in the tunnel: the time that things may take, how much there may be of them, and connections that end."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from conftest import DOMAIN, write_configuration
from hyperframe.frame import DataFrame, GoAwayFrame
from peers.blocking import Ended
from peers.http2 import CALM, NO_ERROR, Client
from peers.http2_frames import END_HEADERS, END_STREAM, HEADERS, MAX_WINDOW, Frames, frame, request, settings, window_update
from peers.scripted import Peer, Scripted
from test_http2_streams import Gate, connection, echo, path, read_close, sized

HOST = f"echo.{DOMAIN}"


def hang(peer: Peer) -> float:
    """Responds to everything but `/hang`; says when the proxy gave it up."""
    while (head := peer.head()) is not None:
        if path(head) == "/hang":
            with contextlib.suppress(ConnectionError):
                peer.read_to_end()
            return time.monotonic()
        if path(head) == "/endless":
            with contextlib.suppress(OSError):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    peer.send(b"x" * 65_536)
            return time.monotonic()
        peer.respond()
    return time.monotonic()


def test_a_connection_without_streams_ends(start) -> None:
    """`keep_alive_timeout` is for connections on which nothing is under way."""
    gate = Gate()
    with Scripted(gate) as upstream:
        proxy = start({"echo": upstream.url}, limits={"keep_alive_timeout": "300ms"})
        with Frames.to(proxy).begin() as idle, Frames.to(proxy).begin() as busy:
            begun = time.monotonic()
            busy.send(frame(HEADERS, 1, request(HOST), END_HEADERS | END_STREAM))
            busy.until(lambda found: isinstance(found, DataFrame))
            idle.until_end()
            assert 0.25 < time.monotonic() - begun < 3
            assert [found.error_code for found in idle.received if isinstance(found, GoAwayFrame)] == [NO_ERROR] * 2
            assert read_close(idle) == 1000
            # A stream that is silent is under way all the same.
            assert busy.read(0.3) is None and busy.ended is None
            gate.open.set()
            busy.until_end()
            assert busy.goaway() is not None and busy.goaway().error_code == NO_ERROR
            assert busy.resets() == {}


def test_a_body_that_does_not_come(start) -> None:
    """`body_timeout` ends its stream, and no other."""
    with connection(start, hang, limits={"body_timeout": "300ms"}) as client:
        slow = client.open("POST", "/hang", end=False)
        slow.send(b"some")
        begun = time.monotonic()
        # One that is asked all the time, and one that waits without owing anything.
        waiting = client.open("GET", "/hang")
        while not slow.over:
            assert client.request().status == 200
            assert time.monotonic() - begun < 5
        assert slow.status == 408 or slow.reset is not None
        assert 0.2 < slow.over_at - begun
        client.settle()
        assert not waiting.over
        waiting.cancel()


def test_who_does_not_read_is_given_up(start) -> None:
    """`send_timeout`: windows are open, but nothing is taken. Its upstreams do not wait for it any longer."""
    with Scripted(hang) as upstream:
        proxy = start({"echo": upstream.url}, limits={"send_timeout": "500ms"})
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings((4, MAX_WINDOW)) + window_update(0, MAX_WINDOW - 65_535)
        with Frames.to(proxy, preface=preface, receive_buffer=4_096).begin() as client:
            begun = time.monotonic()
            for stream in (1, 3, 5):
                client.send(frame(HEADERS, stream, request(HOST, path="/endless"), END_HEADERS | END_STREAM))
            client.send(frame(HEADERS, 7, request(HOST, path="/hang"), END_HEADERS | END_STREAM))
            ended = [upstream.wait(count=count) for count in (1, 2, 3, 4)]
            assert 0.4 < max(ended) - begun < 8
        for count in range(1, 5):
            assert proxy.wait_for("request finished", count=count).fields["end"] != "complete"


def test_a_response_that_a_window_holds(start) -> None:
    """`http2.window_timeout` ends the stream whose window does not move, and no other."""
    with connection(start, sized, http2={"window_timeout": "500ms"}) as client:
        held = client.open(path="/200000", reads=False)
        moving = client.open(path="/200000", reads=False)
        client.until(lambda: len(held.body) == len(moving.body) == 65_535)
        begun = time.monotonic()
        while not held.over:
            # Slow, but on its way.
            client.give_back(moving.id, 4_096)
            client.flush()
            client.drain(0.1)
            assert time.monotonic() - begun < 5
        assert held.reset == CALM and 0.4 < held.over_at - begun
        assert not moving.over and client.request("GET", "/5").body == b"xxxxx"
        moving.take()
        assert len(moving.whole().body) == 200_000


def test_as_many_requests_as_there_may_be_in_all(start) -> None:
    with connection(start, hang, limits={"max_requests": 1}) as client:
        first = client.open("GET", "/hang")
        client.settle()
        refused = client.open().whole()
        assert refused.status == 503 and refused.get("retry-after")
        first.cancel()
        client.proxy.wait_for("request finished", count=2)
        assert client.request().status == 200


@pytest.mark.parametrize("way", ["close_notify", "fin", "reset"])
def test_a_connection_that_ends_takes_its_streams_along(start, way: str) -> None:
    """One that waits, one that sends and three that are sent to: their upstreams are free at once, and the proxy is well."""
    with Scripted(hang) as upstream:
        proxy = start({"echo": upstream.url})
        with Client.connect(proxy, window=1 << 20) as client:
            client.open("GET", "/hang")
            client.open("POST", "/hang", end=False).send(b"x" * 10_000)
            streams = [client.open("GET", "/endless", reads=False) for _ in range(3)]
            client.until(lambda: all(len(stream.body) > 100_000 for stream in streams))
            ended = time.monotonic()
            if way == "close_notify":
                client.tunnel.close()
            elif way == "fin":
                client.tunnel.socket.close()
            else:
                client.tunnel.abort()
            client.ended = Ended("by us")
            times = [upstream.wait(count=count) for count in range(1, 6)]
            assert max(times) - ended < 0.5
        proxy.wait_for("request finished", count=5)
        # Whoever comes next finds everything as it should be.
        with Client.connect(proxy) as client:
            assert client.request().status == 200


def test_streams_of_one_connection_follow_a_reload(start, configuration: dict) -> None:
    """A stream that is open goes on under the settings that it began with; the next one has the new ones."""
    gate = Gate()
    with Scripted(gate) as before, Scripted(echo) as after:
        proxy = start({"echo": before.url})
        with Client.connect(proxy) as client:
            stream = client.open()
            client.until(lambda: bytes(stream.body) == b"first")
            write_configuration(proxy.config_file, configuration, {"echo": after.url})
            proxy.signal(1)
            proxy.wait_for("configuration reloaded")
            assert client.request("POST", "/", b"new").body.endswith(b"\n\nnew")
            gate.open.set()
            assert bytes(stream.whole().body) == b"firstlast"


def test_many_connections_with_many_streams(start) -> None:
    """Eight connections with forty streams each, opened, cancelled and read in every order: nothing stays behind."""
    with Scripted(sized) as upstream:
        proxy = start({"echo": upstream.url}, http2={"max_resets": 10_000})
        failures: list[BaseException] = []

        def one(number: int) -> None:
            try:
                with Client.connect(proxy) as client:
                    streams = [client.open(path=f"/{(number * 7 + index * 1_301) % 90_000}") for index in range(40)]
                    for stream in streams[number % 5 :: 5]:
                        if not stream.over:
                            stream.cancel()
                    for index, stream in enumerate(streams):
                        if index % 5 != number % 5:
                            assert len(stream.whole(20).body) == (number * 7 + index * 1_301) % 90_000
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, (failures[:3], [line.text for line in proxy.found("no response from upstream")])
        # The proxy's own end checks that each request that began has ended.
        with Client.connect(proxy) as client:
            assert client.request(path="/3").body == b"xxx"
