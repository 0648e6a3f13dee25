"""Signals, the drain, and two proxies that want the same place, as seen from outside."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import write_configuration
from peers.blocking import Ended, Tunnel, client_context
from peers.raw_websocket import upgrade_head
from peers.scripted import Peer, Scripted


def ok(peer: Peer) -> None:
    while peer.request():
        peer.respond()


def tunnel(proxy) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file))


class Held:
    """An upstream whose response ends at the test's word."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, peer: Peer) -> None:
        while peer.request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")
            assert self.go_on.wait(20)
            peer.send(b"last")


def begin(proxy) -> Tunnel:
    """A tunnel in the middle of a response."""
    one = tunnel(proxy)
    one.send(one.head())
    one.until(b"first")
    return one


# Signals.


@pytest.mark.parametrize(
    "number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT])
def test_signals_that_mean_nothing_end_nothing(start, number: int) -> None:
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url})
        with tunnel(proxy) as one:
            assert one.request().status == 200
            for _ in range(3):
                proxy.signal(number)
                assert one.request().status == 200
            with pytest.raises(subprocess.TimeoutExpired):
                proxy.process.wait(0.3)
            assert one.request().status == 200


def test_sighup_during_the_drain_changes_nothing(start) -> None:
    held = Held()
    with Scripted(held) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="20s")
        with begin(proxy) as one:
            proxy.signal(signal.SIGTERM)
            proxy.wait_for("shutting down")
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
                proxy.signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                proxy.process.wait(0.3)
            held.go_on.set()
            assert one.take(4) == b"last"
        assert proxy.process.wait(5) == 0
        assert proxy.wait_for("request finished").fields["end"] == "complete"


@pytest.mark.parametrize(("first", "second"), [
    (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)])
def test_a_second_signal_of_the_other_kind_ends_at_once(start, first: int, second: int) -> None:
    held = Held()
    with Scripted(held) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="60s")
        proxy.expected_status = 1
        with begin(proxy):
            proxy.signal(first)
            proxy.wait_for("shutting down")
            proxy.signal(second)
            assert proxy.process.wait(2) == 1
        held.go_on.set()
        assert proxy.wait_for("request finished").fields["end"] == "shutdown"


def test_a_signal_at_any_moment_of_the_start_ends_the_proxy(binary: Path, configuration: dict, tmp_path: Path) -> None:
    """None is lost between the steps of the start, and none leaves a proxy that drains for ever."""
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"echo": "http://127.0.0.1:1"})
    statuses = set()
    for milliseconds in [*range(0, 40, 2), *range(40, 200, 20)]:
        process = subprocess.Popen([binary, "-config", file], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGTERM)
            statuses.add(process.wait(3))
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running 3 s after SIGTERM, which came {milliseconds} ms after its start")
        finally:
            process.kill()
            process.wait()
    # Before it listens to signals the system's default ends it.
    assert statuses <= {0, -signal.SIGTERM}


# The drain.


def test_the_drain_ends_with_the_last_connection(start) -> None:
    """Not at its deadline, and not at a tick of some clock."""
    held = Held()
    with Scripted(held) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="30s")
        tunnels = [begin(proxy) for _ in range(4)]
        proxy.signal(signal.SIGTERM)
        proxy.wait_for("shutting down")
        with pytest.raises(subprocess.TimeoutExpired):
            proxy.process.wait(0.3)
        held.go_on.set()
        for one in tunnels:
            assert one.take(4) == b"last"
            with contextlib.suppress(Ended):
                one.read()
            one.close()
        begun = time.monotonic()
        assert proxy.process.wait(5) == 0
        assert time.monotonic() - begun < 1


def test_the_drain_ends_when_the_last_client_leaves(start) -> None:
    held = Held()
    with Scripted(held) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="30s")
        one = begin(proxy)
        proxy.signal(signal.SIGTERM)
        proxy.wait_for("shutting down")
        one.abort()
        begun = time.monotonic()
        assert proxy.process.wait(5) == 0
        assert time.monotonic() - begun < 1
        assert proxy.wait_for("request finished").fields["end"] == "client_gone"
        held.go_on.set()


@pytest.mark.parametrize("sent", [0, 1, 100])
def test_an_upgrade_during_the_drain_is_refused(start, sent: int) -> None:
    """By 503, on a connection that was accepted before; `sent` bytes of it had come by then."""
    held = Held()
    with Scripted(held) as upstream:
        proxy = start({"echo": upstream.url}, shutdown_timeout="20s")
        head, _ = upgrade_head("echo.t.example")
        early = socket.create_connection(("127.0.0.1", proxy.endpoint.port), timeout=5)
        early.sendall(head[:sent])
        # Accepted, because it is on the same loops' lists as this one, which came later.
        running = [begin(proxy) for _ in range(4)]
        proxy.signal(signal.SIGTERM)
        proxy.wait_for("shutting down")
        early.sendall(head[sent:])
        reply = b""
        with contextlib.suppress(ConnectionError):
            while data := early.recv(4096):
                reply += data
        assert reply.startswith(b"HTTP/1.1 503 "), reply
        early.close()
        held.go_on.set()
        for one in running:
            assert one.take(4) == b"last"
            one.close()
        assert proxy.process.wait(5) == 0


def test_a_new_request_during_the_drain_is_served_to_its_end(start) -> None:
    """Between "no more requests" and "close the sessions" none is cut and counted as complete."""
    with Scripted(ok) as upstream:
        for pause in (0, 0.001, 0.002, 0.005, 0.01):
            proxy = start({"echo": upstream.url}, shutdown_timeout="20s")
            tunnels = [tunnel(proxy) for _ in range(8)]
            stop, served = threading.Event(), []

            def ask(one: Tunnel, stop: threading.Event = stop, served: list = served) -> None:
                with contextlib.suppress(Ended, OSError):
                    while not stop.is_set():
                        one.send(one.head())
                        served.append(one.reply().status)

            threads = [threading.Thread(target=ask, args=(one,)) for one in tunnels]
            for thread in threads:
                thread.start()
            time.sleep(0.05 + pause)
            proxy.signal(signal.SIGTERM)
            assert proxy.process.wait(10) == 0
            stop.set()
            for thread in threads:
                thread.join()
            for one in tunnels:
                one.abort()
            complete = proxy.found("request finished.*status=200.*end=complete")
            assert len(complete) == served.count(200), "requests that are recorded as complete, and those that were"


# Two of them.


def test_a_second_proxy_on_the_same_port_is_refused(start, binary: Path, configuration: dict, tmp_path: Path) -> None:
    with Scripted(ok) as upstream:
        first = start({"echo": upstream.url})
        file = tmp_path / "second.yaml"
        address = f"127.0.0.1:{first.endpoint.port}"
        write_configuration(file, configuration, {"echo": upstream.url}, listen_addr=address)
        try:
            second = subprocess.run([binary, "-config", file], capture_output=True, text=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            pytest.fail("it runs, and takes half of the connections")
        assert second.returncode == 1
        assert address in second.stderr and "address already in use" in second.stderr
        with tunnel(first) as one:
            assert one.request().status == 200


def test_a_unix_path_that_another_took_over_is_left_alone(start, tmp_path: Path) -> None:
    path = Path(f"/tmp/mcp-proxy-{tmp_path.name[-20:]}.sock")
    with Scripted(ok) as upstream, contextlib.ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        first = start({"echo": upstream.url}, listen_addr=f"unix:{path}")
        # As a package does that starts the new one in the place of the old one.
        path.unlink()
        second = start({"echo": upstream.url}, listen_addr=f"unix:{path}")
        assert first.stop() == 0
        assert path.exists()
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(str(path))
        plain.close()
        assert second.stop() == 0
        assert not path.exists()
