"""Connections to upstreams that are kept for the next request, when the upstream does not keep them."""

from __future__ import annotations

import contextlib
import random
import re
import select
import socket
import threading
import time
from pathlib import Path

import pytest
from peers.blocking import Ended, Tunnel, client_context
from peers.scripted import Peer, Scripted

CLOSE_WAIT = "08"


def states(port: int) -> list[str]:
    """The states of the proxy's sockets to a port of 127.0.0.1 (proc(5), /proc/net/tcp)."""
    rows = re.findall(
        r"^ *\d+: \w{8}:\w{4} 0100007F:(\w{4}) (\w\w)", Path("/proc/net/tcp").read_text(), re.MULTILINE)
    return [state for remote, state in rows if int(remote, 16) == port]


def closes_after(idle: float, *fields: str):
    """An upstream that ends a connection on which nothing came for so long, as uvicorn and Node do after 5 s."""
    def handler(peer: Peer) -> None:
        while True:
            if not peer.buffer and not select.select([peer.socket], [], [], idle)[0]:
                # Once more, for what came while this thread waited for its turn.
                with contextlib.suppress(BlockingIOError):
                    if peer.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                        continue
                return
            if not (request := peer.request()):
                return
            if "/gather" in request[0]:
                time.sleep(0.3)
            peer.respond(b"ok", *fields)

    return handler


def tunnel(proxy) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file))


def gather(proxy, count: int) -> None:
    """Leave so many connections in the pools."""
    tunnels = [tunnel(proxy) for _ in range(count)]
    for one in tunnels:
        one.send(one.head("GET", "/gather"))
    for one in tunnels:
        assert one.reply().status == 200
    for one in tunnels:
        one.abort()


def test_dead_connections_are_not_kept(start) -> None:
    with Scripted(closes_after(0.3)) as upstream:
        proxy = start({"echo": upstream.url})
        gather(proxy, 60)
        assert len(upstream.peers) == 60
        upstream.wait(5, count=60)
        deadline = time.monotonic() + 2
        while (dead := states(upstream.port).count(CLOSE_WAIT)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert dead == 0


def test_connections_that_end_with_their_responses_are_not_kept(start) -> None:
    """FIN comes right behind the last byte, without `Connection: close` before it."""
    def handler(peer: Peer) -> None:
        if peer.request():
            time.sleep(0.3)
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        gather(proxy, 60)
        upstream.wait(5, count=60)
        deadline = time.monotonic() + 2
        while (dead := states(upstream.port).count(CLOSE_WAIT)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert dead == 0


def test_a_connection_that_ends_with_its_response_is_not_kept(start) -> None:
    """The same, one after another."""
    def handler(peer: Peer) -> None:
        if peer.request():
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        with tunnel(proxy) as one:
            for number in range(50):
                assert one.request("POST", "/", b"{}").status == 200, f"request {number}"
                upstream.wait(count=number + 1)
            deadline = time.monotonic() + 2
            while (dead := states(upstream.port).count(CLOSE_WAIT)) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert dead == 0


def posts_around(proxy, moment: float, spread: float, *, clients: int, each: int) -> list[int]:
    """Statuses of POSTs that follow one another at about the time when the upstream ends the connection."""
    statuses: list[int] = []

    def post(seed: int) -> None:
        chance = random.Random(seed)
        with tunnel(proxy) as one:
            for _ in range(each):
                statuses.append(one.request("POST", "/mcp", b"{}").status)
                time.sleep(max(0.0, moment + chance.uniform(-spread, spread)))

    threads = [threading.Thread(target=post, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_posts_on_dying_connections(start) -> None:
    with Scripted(closes_after(0.3)) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        statuses = posts_around(proxy, 0.3, 0.03, clients=10, each=20)
    assert len(statuses) == 200
    failed = len(statuses) - statuses.count(200)
    # Request and FIN may still cross on the wire, which nobody but the upstream can avoid: at most one of 200.
    assert failed <= 1, f"{failed} of 200 failed"


@pytest.mark.parametrize(
    "field", ["Keep-Alive: timeout=1", "Keep-Alive: timeout=1, max=1000", "keep-alive: max=50, Timeout=1"])
def test_the_upstreams_own_idle_time_is_honoured(start, field: str) -> None:
    """No connection is used again when its announced time is over; nor is it kept."""
    with Scripted(closes_after(30, field)) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            for _ in range(5):
                assert one.request("POST", "/", b"{}").status == 200
            assert len(upstream.peers) == 1
            time.sleep(1.2)
            assert one.request("POST", "/", b"{}").status == 200
            assert len(upstream.peers) == 2
        upstream.wait(3, count=2)


def test_posts_around_the_announced_idle_time(start) -> None:
    with Scripted(closes_after(1.0, "Keep-Alive: timeout=1")) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        statuses = posts_around(proxy, 1.0, 0.05, clients=25, each=4)
    assert statuses.count(200) == len(statuses) == 100


def test_an_idle_time_of_nothing_keeps_nothing(start) -> None:
    with Scripted(closes_after(30, "Keep-Alive: timeout=0")) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            for number in range(3):
                assert one.request("POST", "/", b"{}").status == 200
                assert len(upstream.peers) == number + 1


@pytest.mark.parametrize(
    "field",
    ["Keep-Alive: timeout", "Keep-Alive: timeout=x", "Keep-Alive: timeout=99999999999999999999", "Keep-Alive: ,,=;"])
def test_nonsense_about_idle_times_changes_nothing(start, field: str) -> None:
    with Scripted(closes_after(30, field)) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            for _ in range(3):
                assert one.request("POST", "/", b"{}").status == 200
        assert len(upstream.peers) == 1


def test_state_of_a_request_starts_anew(start) -> None:
    """An upload cannot be sent twice; the request without a body behind it can, and is."""
    died: list[int] = []

    def handler(peer: Peer) -> None:
        while request := peer.request():
            if "/again" in request[0] and peer.number == 1:
                died.append(peer.number)
                return
            peer.respond(str(peer.number).encode())

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            assert one.request("POST", "/upload", b"x" * 200_000).body == b"1"
            again = one.request("GET", "/again")
            assert (again.status, again.body, died) == (200, b"2", [1])


def test_an_upload_is_not_sent_twice(start) -> None:
    def handler(peer: Peer) -> None:
        while request := peer.request():
            if "/again" in request[0]:
                return
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one, contextlib.suppress(Ended):
            assert one.request("GET", "/first").status == 200
            assert one.request("POST", "/again", b"x" * 10).status == 502
        assert len(upstream.peers) == 1
