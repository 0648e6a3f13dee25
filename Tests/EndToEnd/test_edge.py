"""Before anybody has proven anything: who connects and goes no further takes little, and keeps nobody out.

An attacker floods the listener with connections of one kind. Beside them good tunnels open, each within a second.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from peers.blocking import Ended, Tunnel, client_context
from peers.newcomers import Newcomers, words
from peers.quiet import SmallServer
from peers.raw_websocket import upgrade_head

MIB = 1 << 20


def resident(proxy) -> int:
    """Bytes that the process has in memory now."""
    with open(f"/proc/{proxy.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def wait_until(condition, seconds: float) -> bool:
    """Ask again until it is so."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def connect(proxy, data: bytes = b"") -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", proxy.endpoint.port), timeout=5)
    plain.sendall(data)
    return plain


def received(plain: socket.socket) -> bytes:
    """Everything up to the end of the connection, however it comes."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := plain.recv(65_536):
            found += data
    return found


def is_open(plain: socket.socket) -> bool:
    plain.setblocking(False)
    try:
        plain.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        plain.settimeout(5)
    return False


def upgraded(proxy) -> socket.socket:
    """A WebSocket that says nothing inside."""
    plain = connect(proxy, upgrade_head("quiet.t.example")[0])
    found = b""
    while b"\r\n\r\n" not in found:
        assert (data := plain.recv(4096)), "closed"
        found += data
    assert found.startswith(b"HTTP/1.1 101 "), found
    return plain


@pytest.mark.parametrize(
    ("kind", "count", "limits", "most"),
    [
        ("silent", 60, {"max_connections": 50}, 4 * MIB),
        ("silent", 3000, {"max_connections": 100}, 16 * MIB),
        ("half-heads", 3000, {"max_connections": 100}, 48 * MIB),
        ("half-hellos", 60, {"max_connections": 50}, 16 * MIB),
        ("half-hellos", 3000, {}, 160 * MIB),
        ("claims", 3000, {}, 160 * MIB),
    ],
    ids=["60-silent", "3000-silent", "3000-half-heads", "60-half-hellos", "3000-half-hellos", "3000-claims"])
def test_a_flood_of_newcomers_keeps_nobody_out(start, kind: str, count: int, limits: dict, most: int) -> None:
    with SmallServer() as server:
        proxy = start({"quiet": server.url}, limits=limits)
        context = client_context(proxy.far.ca_file)
        Tunnel(proxy.endpoint.port, "quiet.t.example", context).abort()
        before = resident(proxy)
        proxy.reset_peak_memory()
        with Newcomers(kind, proxy.endpoint.port, count):
            times = []
            for _ in range(10):
                begun = time.monotonic()
                with Tunnel(proxy.endpoint.port, "quiet.t.example", context) as tunnel:
                    times.append(time.monotonic() - begun)
                    assert tunnel.request("POST", "/", b"{}").status == 200
            grown = proxy.peak_memory() - before
        # One in ten may meet a machine that has other things to do.
        assert sorted(times)[-2] < 1 and max(times) < 5, times
        assert grown < most, f"{grown / MIB:.1f} MiB more"


def test_memory_of_a_flood_is_given_back(start) -> None:
    """The allocator keeps what was freed, unless it is told not to."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, limits={"max_connections": 5000})
    Tunnel(proxy.endpoint.port, "quiet.t.example", client_context(proxy.far.ca_file)).abort()
    before = resident(proxy)
    with Newcomers("half-hellos", proxy.endpoint.port, 1500):
        assert resident(proxy) - before > 32 * MIB, "there was no flood"
    assert wait_until(lambda: resident(proxy) - before < 12 * MIB, 20), f"{(resident(proxy) - before) / MIB:.1f} MiB"


@pytest.mark.parametrize("make", [connect, upgraded])
def test_the_oldest_goes_at_the_bound_and_no_sooner(start, make) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1, limits={"max_pending_connections": 3})
    waiting = [make(proxy) for _ in range(4)]
    assert received(waiting[0]) == b""
    assert all(is_open(plain) for plain in waiting[1:])
    stage = "upgrade" if make is connect else "handshake"
    proxy.wait_for(f"connections dropped that waited longest before={stage} count=1")


def test_a_handshake_that_does_not_come_gives_its_place_up(start) -> None:
    """All places are taken by WebSockets that say nothing; one who does gets the place of the first."""
    with SmallServer() as server:
        proxy = start({"quiet": server.url}, threads=1, limits={"max_connections": 2})
        context = client_context(proxy.far.ca_file)
        first, second = upgraded(proxy), upgraded(proxy)
        with Tunnel(proxy.endpoint.port, "quiet.t.example", context) as tunnel:
            assert tunnel.request("POST", "/", b"{}").status == 200
            assert received(first) == b"" and is_open(second)
            with Tunnel(proxy.endpoint.port, "quiet.t.example", context) as another:
                assert another.request("POST", "/", b"{}").status == 200
                assert received(second) == b""
                # Those that have shaken hands stay.
                with pytest.raises(Ended, match="503"):
                    Tunnel(proxy.endpoint.port, "quiet.t.example", context)
                assert tunnel.request("POST", "/", b"{}").status == 200


def test_a_refusal_needs_no_request(start) -> None:
    """With all places taken, the response comes before the head is there, and nothing of it is kept."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1, limits={"max_connections": 1})
    with Tunnel(proxy.endpoint.port, "quiet.t.example", client_context(proxy.far.ca_file)):
        plain = connect(proxy, b"G")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += plain.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in answer
        plain.close()
        # One who says nothing gets no response that nobody asked for.
        silent = connect(proxy)
        silent.settimeout(0.3)
        with pytest.raises(TimeoutError):
            silent.recv(1)


@pytest.mark.parametrize(("size", "status"), [(16_384, b"101"), (16_385, b"431")])
def test_the_head_of_an_upgrade_has_a_bound_of_its_own(start, size: int, status: bytes) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, limits={"max_header_bytes": 65_536})
    head, _ = upgrade_head("quiet.t.example")
    head = head[:-2] + b"X-More: " + b"x" * (size - len(head) - 10) + b"\r\n\r\n"
    assert len(head) == size
    plain = connect(proxy, head)
    assert plain.recv(4096).startswith(b"HTTP/1.1 " + status)
    plain.close()


def test_an_upgrade_has_one_time_for_all_of_it(start) -> None:
    """A first byte that comes late leaves no more time for the others."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, limits={"header_timeout": "500ms"})
    begun = time.monotonic()
    plain = connect(proxy)
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < begun + 5:
            plain.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                if not plain.recv(1):
                    break
            plain.sendall(b"G")
    assert 0.4 < time.monotonic() - begun < 2


def test_without_descriptors_the_oldest_goes(start) -> None:
    """Silent connections that take the last descriptor keep nobody out either."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1)
    subprocess.run(["prlimit", f"--pid={proxy.process.pid}", "--nofile=100:100"], check=True)
    context = client_context(proxy.far.ca_file)
    with Newcomers("silent", proxy.endpoint.port, 200):
        begun = time.monotonic()
        Tunnel(proxy.endpoint.port, "quiet.t.example", context, timeout=5).abort()
        assert time.monotonic() - begun < 2
    assert proxy.found("accept failed")


def test_it_takes_as_many_descriptors_as_it_may(start) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, before=["bash", "-c", 'ulimit -Sn 256; exec "$0" "$@"'])
    limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\S+) +(\S+)", limits).groups()
    assert soft == hard != "256"


def test_the_limit_of_connections_follows_the_memory(start) -> None:
    line = start({"quiet": "http://127.0.0.1:1"}).wait_for("connection limit")
    assert line.fields["from"] in ("cgroup memory", "machine memory")
    assert int(line.fields["max_connections"]) == min(20_000, max(64, int(line.fields["memory"]) // 65_536))
    line = start({"quiet": "http://127.0.0.1:1"}, limits={"max_connections": 7}).wait_for("connection limit")
    assert (line.fields["max_connections"], line.fields["from"]) == ("7", "setting")


def test_words_of_a_flood_are_what_they_say() -> None:
    """The flood's own check: a head that is not whole, and a ClientHello that is not."""
    head, _ = words("half-heads")
    assert b"\r\n\r\n" not in head and 14_000 < len(head) < 16_384
    assert 59_000 < len(words("half-hellos")[1]) < 60_000
    assert len(words("claims")[1]) < 100
