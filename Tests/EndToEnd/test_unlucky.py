"""What goes wrong with nobody meaning harm: a paused machine, a server that is restarted, descriptors that run out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from peers.blocking import Tunnel, client_context
from peers.endpoint import free_port
from peers.scripted import Peer, Scripted


def ok(peer: Peer) -> None:
    while peer.request():
        peer.respond()


def tunnel(proxy, timeout: float = 10) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file), timeout=timeout)


def wait_until_stopped(pid: int) -> None:
    while "T (stopped)" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)


@pytest.mark.parametrize("seconds", [2.5])
def test_a_paused_machine_goes_on_where_it_was(start, seconds: float) -> None:
    """Longer than the time that bodies and clients have: who was there and moves is not cut for the pause."""
    go_on = threading.Event()

    def half(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        go_on.wait(20)
        peer.send(b"cd")
        ok(peer)

    with Scripted(half) as upstream:
        proxy = start({"echo": upstream.url}, limits={"body_timeout": "2s", "send_timeout": "2s"})
        with tunnel(proxy) as one:
            one.send(one.head())
            assert one.until(b"ab").startswith(b"HTTP/1.1 200 ")
            proxy.signal(signal.SIGSTOP)
            wait_until_stopped(proxy.process.pid)
            time.sleep(seconds)
            proxy.signal(signal.SIGCONT)
            go_on.set()
            assert one.take(2) == b"cd"
            assert one.request("GET", "/next").status == 200
        assert not proxy.found(" (WARN|ERROR) ")


def test_a_server_that_is_paused_holds_up_nobody_else(start, nginx) -> None:
    """nginx is stopped as a process: its clients wait for their timeout, those of another route notice nothing."""
    paused = nginx('server { listen 127.0.0.1:{port}; location / { return 200 "paused"; } }')
    with Scripted(ok) as other:
        routes = {"echo": other.url, "paused": f"http://127.0.0.1:{paused.port}"}
        proxy = start(routes, upstream={"response_header_timeout": "1s"})
        context = client_context(proxy.far.ca_file)
        with Tunnel(proxy.endpoint.port, "paused.t.example", context) as one, tunnel(proxy) as two:
            assert one.request().status == 200
            workers = [paused.process.pid, *children(paused.process.pid)]
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            try:
                begun = time.monotonic()
                one.send(one.head())
                slowest = max(timed(two) for _ in range(20))
                assert one.reply().status == 504
                assert 0.9 <= time.monotonic() - begun < 5
                assert slowest < 0.5
            finally:
                for pid in workers:
                    os.kill(pid, signal.SIGCONT)
            # It is awake again, and nobody has to be told.
            assert one.request().status == 200


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def timed(one: Tunnel) -> float:
    begun = time.monotonic()
    assert one.request().status == 200
    return time.monotonic() - begun


def test_a_server_that_is_restarted_under_load_is_back_at_once(start) -> None:
    """Each request gets a response, 200 or 502, and none waits; with the server back there is not one failure more."""
    port = free_port()
    down, over = threading.Event(), threading.Event()

    def ask(_: int) -> list[int]:
        found = []
        with tunnel(proxy) as one:
            while not over.is_set():
                begun = time.monotonic()
                status = one.request().status
                assert time.monotonic() - begun < 3
                if status != 200:
                    down.set()
                found.append(status)
        return found

    proxy = start({"echo": f"http://127.0.0.1:{port}"})
    with ThreadPoolExecutor(4) as pool:
        with Scripted(ok, port=port):
            clients = [pool.submit(ask, number) for number in range(4)]
            proxy.wait_for("request finished.*status=200", count=20)
        assert down.wait(5)
        with Scripted(ok, port=port):
            begun = time.monotonic()
            with tunnel(proxy) as one:
                while one.request().status != 200:
                    assert time.monotonic() - begun < 1
                assert [one.request().status for _ in range(50)] == [200] * 50
            over.set()
            statuses = {status for client in clients for status in client.result(10)}
    assert statuses == {200, 502}


def test_without_descriptors_for_servers_clients_are_told_and_it_mends_itself(start) -> None:
    """No descriptor is left for a connection to an upstream: 502 and not silence, and 200 as soon as there is one."""
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            taken = proxy.open_descriptors()
            limit(proxy, taken)
            reply = one.request()
            assert reply.status in (502, 503), reply.head
            proxy.wait_for("request finished.*status=50[23]")
            limit(proxy, taken + 100)
            assert one.request().status == 200


def limit(proxy, count: int) -> None:
    subprocess.run(["prlimit", f"--pid={proxy.process.pid}", f"--nofile={count}:"], check=True)


def test_a_client_that_vanishes_without_a_word_takes_nothing_with_it(start) -> None:
    """Reset in the midst of a head, of a body and of a response: the next client of the same loop is served."""
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        before = proxy.open_descriptors()
        for part in (b"GET / HT", b"POST / HTTP/1.1\r\nHost: echo.t.example\r\nContent-Length: 10\r\n\r\nabc", None):
            one = tunnel(proxy)
            one.send(part if part is not None else one.head())
            one.abort()
        with tunnel(proxy) as two:
            assert two.request().status == 200
        end = time.monotonic() + 5
        while proxy.open_descriptors() > before + 4:
            assert time.monotonic() < end, "descriptors of those who have gone stay open"
            time.sleep(0.02)


def test_a_connection_refused_by_the_kernel_is_not_the_last(start) -> None:
    """The listener's queue overflows while the proxy stands still: whoever gets in later is served."""
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        proxy.signal(signal.SIGSTOP)
        wait_until_stopped(proxy.process.pid)
        sockets = [socket.socket() for _ in range(300)]
        for one in sockets:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", proxy.endpoint.port))
        for one in sockets:
            one.close()
        proxy.signal(signal.SIGCONT)
        with tunnel(proxy, timeout=5) as one:
            assert one.request().status == 200
