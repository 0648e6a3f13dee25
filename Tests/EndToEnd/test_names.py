"""Names of upstreams: what a dead one costs others, what each failure is called, which addresses are dialled."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import find_binary
from peers.blocking import Ended, Tunnel, client_context
from peers.name_server import FAILS, NO_SUCH_NAME, SILENT, NameServer, asking
from peers.scripted import Peer, Scripted

DEAD = [f"dead{number}.test" for number in range(8)]


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer({name: SILENT for name in DEAD}) as server:
        yield server


@pytest.fixture
def binary(names: NameServer, tmp_path: Path) -> Path:
    """The proxy, asking only our name server."""
    return asking(names.address, find_binary("mcp-proxy", "MCP_PROXY"), tmp_path)


def ok(peer: Peer) -> None:
    while peer.request():
        peer.respond()


def tunnel(proxy, route: str, **options: object) -> Tunnel:
    return Tunnel(  # type: ignore[arg-type]
        proxy.endpoint.port, f"{route}.t.example", client_context(proxy.far.ca_file), **options)


def p90(values: list[float]) -> float:
    return sorted(values)[len(values) * 9 // 10]


#: A look-up for each request.
FRESH = {"dns_ttl": "0", "max_idle_per_route": 0, "dns_timeout": "2s"}


def timed(healthy: Tunnel, seconds: float) -> list[float]:
    """Seconds of requests one after another, each with a look-up and a connection of its own."""
    found, end = [], time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        assert healthy.request().status == 200
        found.append(time.monotonic() - begun)
        time.sleep(0.02)
    return found


class Callers:
    """Ask for dead names all the time, each in a thread of its own."""

    def __init__(self, proxy, routes: list[str]) -> None:
        self._stop = threading.Event()
        self.statuses: list[int] = []
        self._tunnels = [tunnel(proxy, route, timeout=20) for route in routes]
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in self._tunnels]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._tunnels:
            one.socket.shutdown(2)
        for thread in self._threads:
            thread.join()
        for one in self._tunnels:
            one.abort()

    def _ask(self, one: Tunnel) -> None:
        while not self._stop.is_set():
            try:
                self.statuses.append(one.request().status)
            except (Ended, OSError, ValueError):
                return
            time.sleep(0.01)


def test_dead_names_slow_nothing_down(start, names: NameServer, certificates, tmp_path: Path) -> None:
    certificate, key = certificates.authority.issue("*.t.example").write(tmp_path, "served")
    with Scripted(ok) as upstream:
        names.names["healthy.test"] = ["127.0.0.1"]
        proxy = start(
            {"healthy": f"http://healthy.test:{upstream.port}", **{f"d{n}": f"http://{DEAD[n]}:80" for n in range(8)}},
            upstream={"allowed_ips": ["127.0.0.0/8"], **FRESH},
            tls={"cert_file": str(certificate), "key_file": str(key), "reload_interval": "100ms"})
        with tunnel(proxy, "healthy", timeout=20) as healthy:
            usual = timed(healthy, 1)
            with Callers(proxy, [f"d{n}" for n in range(8)]) as callers:
                # Every one of them is being looked up by now.
                proxy.wait_for("request started", count=len(usual) + 8)
                beside = timed(healthy, 5)
                fresh, begun = certificates.authority.issue("*.t.example"), time.monotonic()
                fresh.write(tmp_path, "served")
                proxy.wait_for("certificate reloaded", seconds=30)
                reloaded = time.monotonic() - begun
        found = f"usual p90 {p90(usual):.3f} s, beside {p90(beside):.3f} s, worst {max(beside):.3f} s"
        assert p90(beside) < 3 * p90(usual) + 0.05, found
        assert max(beside) < 1, found
        assert reloaded < 3
        # They fail for their own time-out, not for a place in the queue.
        assert set(callers.statuses) == {504}


def test_one_name_is_looked_up_once_at_a_time_in_the_whole_process(start, names: NameServer) -> None:
    proxy = start({"dead": f"http://{DEAD[0]}:80"}, upstream={"dns_timeout": "1s"}, threads=4)
    # Enough connections to be on every loop.
    with Callers(proxy, ["dead"] * 24) as callers:
        proxy.wait_for("request finished", count=24)
    assert set(callers.statuses) == {504}
    assert names.queries[DEAD[0]] == 1


@pytest.mark.parametrize(
    ("known", "status"), [(NO_SUCH_NAME, 502), ([], 502), (SILENT, 504), (FAILS, 504)],
    ids=["no such name", "no address", "silent", "fails"])
def test_each_failure_has_its_status(start, names: NameServer, known: object, status: int) -> None:
    names.names["odd.test"] = known  # type: ignore[assignment]
    proxy = start({"odd": "http://odd.test:80"}, upstream={"dns_timeout": "500ms"})
    with tunnel(proxy, "odd") as one:
        assert one.request().status == status
    assert "odd.test" in proxy.wait_for("odd.test").text


async def test_unknown_name_gets_502(start) -> None:
    proxy = start({"echo": "http://no-such-host.invalid:80"}, upstream={"dns_timeout": "5s"})
    async with proxy.far.http("echo") as http:
        assert (await http.get()).status == 502
    assert await proxy.logged("no-such-host.invalid")


def test_a_failure_is_remembered_for_a_second(start, names: NameServer) -> None:
    proxy = start({"none": "http://none.test:80"}, threads=1)
    with tunnel(proxy, "none") as one:
        begun = time.monotonic()
        for _ in range(20):
            assert one.request().status == 502
        assert time.monotonic() - begun < 1, "too slow a machine for this test"
        assert names.queries["none.test"] == 1
        # And no longer.
        names.names["none.test"] = ["127.0.0.1"]
        time.sleep(max(0.0, begun + 1.5 - time.monotonic()))
        # Nobody listens there.
        assert one.request().status == 502
        assert names.queries["none.test"] == 2


@pytest.mark.parametrize("addresses", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
def test_only_allowed_addresses_of_a_name_are_dialled(start, names: NameServer, addresses: list[str]) -> None:
    names.names["both.test"] = addresses
    with Scripted(ok, host="127.0.0.1") as refused, Scripted(ok, host="127.0.0.2", port=refused.port) as allowed:
        proxy = start(
            {"both": f"http://both.test:{refused.port}"}, upstream={"allowed_ips": ["127.0.0.2/32"], **FRESH})
        with tunnel(proxy, "both") as one:
            for _ in range(10):
                assert one.request().status == 200
        assert len(refused.peers) == 0
        assert len(allowed.peers) == 10
        assert proxy.wait_for("request finished").fields["upstream"].startswith("127.0.0.2:")


def test_a_refused_address_is_no_way_out_when_the_allowed_one_is_dead(start, names: NameServer) -> None:
    names.names["both.test"] = ["127.0.0.1", "127.0.0.2"]
    with Scripted(ok, host="127.0.0.1") as refused:
        proxy = start(
            {"both": f"http://both.test:{refused.port}"}, upstream={"allowed_ips": ["127.0.0.2/32"], **FRESH})
        with tunnel(proxy, "both") as one:
            assert one.request().status == 502
        assert len(refused.peers) == 0


def test_a_name_without_an_allowed_address_is_refused(start, names: NameServer) -> None:
    names.names["both.test"] = ["127.0.0.1", "127.0.0.2"]
    with Scripted(ok, host="127.0.0.1") as refused:
        proxy = start(
            {"both": f"http://both.test:{refused.port}"}, upstream={"allowed_ips": ["127.0.0.3/32"], **FRESH})
        with tunnel(proxy, "both") as one:
            assert one.request().status == 502
        proxy.wait_for(r"IP validation failed: 127\.0\.0\.[12] is not a private address")
        assert len(refused.peers) == 0


@pytest.mark.parametrize(
    ("pattern", "status"),
    [("*.up.test", 200), ("w*.up.test", 502), ("*w.up.test", 502), ("*.test", 502), ("w.up.test", 502)])
def test_partial_wildcards_of_upstreams_are_refused(
    start, names: NameServer, certificates, tmp_path: Path, pattern: str, status: int
) -> None:
    """RFC 9525 §6.3: a wildcard is a whole label, the first one."""
    names.names["www.up.test"] = ["127.0.0.1"]
    certificate, key = certificates.authority.issue(pattern).write(tmp_path / "up")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Scripted(ok, tls=context) as upstream:
        proxy = start(
            {"echo": f"https://www.up.test:{upstream.port}"},
            upstream={"allowed_ips": ["127.0.0.1"], "tls": {"ca_file": str(certificates.ca_file)}})
        with tunnel(proxy, "echo") as one:
            assert one.request().status == status


def test_dns_ttl_is_honoured(start, names: NameServer) -> None:
    names.names["healthy.test"] = ["127.0.0.1"]
    with Scripted(ok) as upstream:
        routes = {"healthy": f"http://healthy.test:{upstream.port}"}
        policy = {"allowed_ips": ["127.0.0.1"], "max_idle_per_route": 0}
        proxy = start(routes, threads=1, upstream={**policy, "dns_ttl": "1s"})
        with tunnel(proxy, "healthy") as one:
            begun = time.monotonic()
            for _ in range(5):
                assert one.request().status == 200
            assert time.monotonic() - begun < 1, "too slow a machine for this test"
            assert names.queries["healthy.test"] == 1
            time.sleep(max(0.0, begun + 1.3 - time.monotonic()))
            assert one.request().status == 200
            assert names.queries["healthy.test"] == 2
        proxy = start(routes, threads=1, upstream={**policy, "dns_ttl": "0"})
        with tunnel(proxy, "healthy") as one:
            for number in range(5):
                assert one.request().status == 200
                assert names.queries["healthy.test"] == 3 + number


def test_a_name_that_leads_nowhere_is_asked_for_again(start, names: NameServer) -> None:
    """A container that was started anew has another address long before the old one is forgotten."""
    with Scripted(ok) as first:
        port = first.port
        names.names["moved.test"] = ["127.0.0.1"]
        proxy = start(
            {"moved": f"http://moved.test:{port}"},
            upstream={"allowed_ips": ["127.0.0.0/8"], "dns_ttl": "1h", "max_idle_per_route": 0})
        with tunnel(proxy, "moved") as one:
            assert one.request().status == 200
    with Scripted(ok, host="127.0.0.2", port=port), tunnel(proxy, "moved") as one:
        # As long as the name server says the same, there is nothing else to try.
        assert one.request().status == 502
        names.names["moved.test"] = ["127.0.0.2"]
        assert one.request().status == 200
        asked = names.queries["moved.test"]
        assert one.request().status == 200
        assert names.queries["moved.test"] == asked
