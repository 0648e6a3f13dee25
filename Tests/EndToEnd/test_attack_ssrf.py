"""Server-side request forgery: whatever a route's name or address stands for, no address is dialled that is not allowed.

The proxy runs in a network of its own, where every address of the world answers and each TCP connection is seen when it is
begun. So a table says of each spelling what was dialled, and not merely what was said.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DOMAIN, find_binary, write_configuration
from peers.name_server import NameServer, asking
from peers.network import Everywhere, Network

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: for a network of its own")

PORT = 80
METADATA = "169.254.169.254"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def names(network: Network) -> Iterator[NameServer]:
    server = network.run(NameServer, {}, ttl=0)
    with server:
        yield server


@pytest.fixture
def binary(network: Network, names: NameServer, tmp_path: Path) -> Path:
    """The proxy, in the network, asking only our name server."""
    return network.inside(asking(names.address, find_binary("mcp-proxy", "MCP_PROXY"), tmp_path), tmp_path)


@pytest.fixture
def upstreams(network: Network) -> Iterator[None]:
    with Everywhere(network, PORT):
        yield


@pytest.fixture
def begin(start, network: Network, tmp_path: Path):
    """Starts the proxy in the network. It is reached over a Unix socket, which lies in no network."""

    def begin_proxy(routes: dict[str, str], **upstream: object):
        policy = {"dns_ttl": "0", "max_idle_per_route": 0, "allowed_ips": None, **upstream}
        proxy = start(routes, listen_addr=f"unix:{tmp_path}/proxy.sock", upstream=policy)
        network.dials()
        return proxy

    return begin_proxy


def url(address: str, port: int = PORT) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


#: Where a route leads, and what is dialled for it: nothing, or one address.
BY_DEFAULT = {
    # RFC 1918, at its edges.
    "10.0.0.0": "10.0.0.0", "10.255.255.255": "10.255.255.255", "9.255.255.255": None, "11.0.0.0": None,
    "172.16.0.0": "172.16.0.0", "172.31.255.255": "172.31.255.255", "172.15.255.255": None, "172.32.0.0": None,
    "192.168.0.0": "192.168.0.0", "192.168.255.255": "192.168.255.255", "192.167.255.255": None, "192.169.0.0": None,
    # This machine.
    "127.0.0.1": None, "127.255.255.254": None, "0.0.0.0": None, "0.1.2.3": None, "::1": None, "::": None,
    # Others' machines, and those between.
    "8.8.8.8": None, "100.64.0.1": None, "198.18.0.1": None, "2001:db8::1": None, "fd00::1": None, "fec0::1": None,
    # Link-local, multicast, broadcast.
    "169.254.1.1": None, "fe80::1": None, "224.0.0.1": None, "ff02::1": None, "255.255.255.255": None,
    # Where clouds hand out credentials.
    METADATA: None, "169.254.170.2": None, "169.254.170.23": None, "100.100.100.200": None, "168.63.129.16": None,
    "192.0.0.192": None, "fd00:ec2::254": None, "fd20:ce::254": None, "fd00:42::42": None, "fe80::a9fe:a9fe": None,
    # An IPv4 address inside: mapped, translated, compatible.
    "::ffff:10.0.0.1": "10.0.0.1", "::ffff:127.0.0.1": None, f"::ffff:{METADATA}": None, "::ffff:8.8.8.8": None,
    f"::ffff:0:{METADATA}": None, "::ffff:0:10.0.0.1": None, f"::{METADATA}": None, "::10.0.0.1": None,
    # NAT64, with the well-known prefix and a local one; 6to4; Teredo; ISATAP.
    f"64:ff9b::{METADATA}": None, "64:ff9b::10.0.0.1": None, f"64:ff9b:1::{METADATA}": None,
    "64:ff9b:1:a9fe:a9:fe00::": None, "2002:a9fe:a9fe::1": None, "2002:a00:1::1": None,
    "2001:0:5601:5601::5601:5601": None, "2001:0:1:1::f5ff:fffe": None, f"fd00::5efe:{METADATA}": None,
    "fd00::200:5efe:10.0.0.1": None,
}
#: The same where every range is listed: what is special stays closed, inside another address too.
WITH_ALL_RANGES = {
    "8.8.8.8": "8.8.8.8", "127.0.0.1": "127.0.0.1", "::1": "::1", "fd00::1": "fd00::1", "2001:db8::1": "2001:db8::1",
    "64:ff9b::10.0.0.1": "64:ff9b::a00:1", "2002:a00:1::1": "2002:a00:1::1", "::ffff:8.8.8.8": "8.8.8.8",
    "0.0.0.0": None, "0.1.2.3": None, "::": None, "169.254.1.1": None, "fe80::1": None, "fe80::a9fe:a9fe": None,
    "224.0.0.1": None, "ff02::1": None, "255.255.255.255": None, METADATA: None, "169.254.170.2": None,
    "169.254.170.23": None, "100.100.100.200": None, "168.63.129.16": None, "192.0.0.192": None, "fd00:ec2::254": None,
    "fd20:ce::254": None, "fd00:42::42": None, f"::ffff:{METADATA}": None, "::ffff:100.100.100.200": None,
    f"::ffff:0:{METADATA}": None, f"::{METADATA}": None, f"64:ff9b::{METADATA}": None, f"64:ff9b:1::{METADATA}": None,
    "64:ff9b:1:a9fe:a9:fe00::": None, "2002:a9fe:a9fe::1": None, "2001:0:5601:5601::5601:5601": None,
    f"fd00::5efe:{METADATA}": None, f"fd00::200:5efe:{METADATA}": None,
}
TABLES = [(BY_DEFAULT, None), (WITH_ALL_RANGES, ["0.0.0.0/0", "::/0"])]


@pytest.mark.deadline(120)
@pytest.mark.parametrize(("table", "ranges"), TABLES, ids=["default", "all-ranges"])
@pytest.mark.parametrize("is_named", [False, True], ids=["literal", "name"])
async def test_table(begin, network: Network, names: NameServer, upstreams, table, ranges, is_named: bool) -> None:
    """An address that stands in a route, and the same address behind a name."""
    names.names.update({f"n{number}.test": [address] for number, address in enumerate(table)})
    routes = {
        f"r{number}": url(f"n{number}.test" if is_named else address) for number, address in enumerate(table)
    }
    proxy = begin(routes, allowed_ips=ranges)
    found = {}
    for number, address in enumerate(table):
        async with proxy.far.http(f"r{number}") as http:
            response = await http.get()
        dials = network.dials()
        assert (response.status == 200) == bool(dials), address
        assert all(port == PORT for _, port in dials)
        found[address] = ", ".join(dialled for dialled, _ in dials) or None
    assert found == table
    await proxy.logged("IP validation failed", count=sum(expected is None for expected in table.values()))


@pytest.mark.parametrize(
    "target",
    [
        # Which the C library would take for an address: decimal, hexadecimal, octal, with parts left out.
        "http://2852039166:80", "http://0xa9fea9fe:80", "http://0xA9.0xFE.0xA9.0xFE:80", "http://0251.0376.0251.0376:80",
        "http://169.254.43518:80", "http://169.16689662:80", "http://127.1:80", "http://0:80", "http://169.254.169.254.:80",
        "http://0x7f.1.:80", "http://017700000001:80",
        # With a zone, and other ways to end a host early.
        "http://[fe80::1%eth0]:80", "http://[fe80::1%25lo]:80", "http://[::1]x:80", "http://fe80::1:80",
        "http://10.0.0.1@169.254.169.254:80", "http://10.0.0.1#@169.254.169.254:80", "http://10.0.0.1\\@169.254.169.254:80",
        "http://169.254.169.254:80\\.10.0.0.1:80", "http://169.254.169.254\t:80", "http://169.254.169.254\u0000.test:80",
        # Digits and dots of other scripts, which some resolvers fold.
        "http://\uff11\uff16\uff19.254.169.254:80", "http://169\u3002254\u3002169\u3002254:80", "http://\u2488.1.1.1:80",
    ],
)  # fmt: skip
def test_other_spellings_are_no_target(
    network: Network, configuration: dict, certificates, tmp_path: Path, target: str
) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"echo": target}, listen_addr=f"unix:{tmp_path}/proxy.sock")
    network.dials()
    program = network.inside(find_binary("mcp-proxy", "MCP_PROXY"), tmp_path)
    outcome = subprocess.run(
        [program, "-config", file], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert outcome.returncode == 1 and "invalid upstream" in outcome.stderr, outcome
    assert network.dials() == []


@pytest.mark.deadline(60)
async def test_of_a_mixed_name_only_what_is_allowed_is_dialled(begin, network: Network, names: NameServer, upstreams) -> None:
    names.names["mixed.test"] = [METADATA, "127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", f"64:ff9b::{METADATA}", "fe80::1"]
    proxy = begin({"mixed": url("mixed.test"), "closed": url("mixed.test", 81)})
    for _ in range(20):
        async with proxy.far.http("mixed") as http:
            assert (await http.get()).body == b"10.0.0.1"
    assert set(network.dials()) == {("10.0.0.1", PORT)}
    # Nor where the allowed one is dead.
    async with proxy.far.http("closed") as http:
        assert (await http.get()).status == 502
    assert set(network.dials()) == {("10.0.0.1", 81)}


@pytest.mark.deadline(60)
@pytest.mark.parametrize("ttl", ["0", "50ms", "5s"])
async def test_a_name_that_is_bound_anew_for_each_query(
    begin, network: Network, names: NameServer, upstreams, ttl: str
) -> None:
    """The answer that was judged is the answer that is dialled: there is no second look-up between."""
    answers = [
        ["10.0.0.1"], [METADATA], ["10.0.0.1", METADATA], ["127.0.0.1", f"::ffff:{METADATA}"], ["::1", "10.0.0.2"],
    ]  # fmt: skip
    asked = 0

    def rebind() -> list[str]:
        nonlocal asked
        asked += 1
        return answers[asked * 7 % 13 % len(answers)]

    names.names["rebound.test"] = rebind
    proxy = begin({"rebound": url("rebound.test")}, dns_ttl=ttl)
    statuses = []
    for _ in range(60):
        async with proxy.far.http("rebound") as http:
            response = await http.get()
            statuses.append(response.status)
            assert response.status == 502 or response.body in (b"10.0.0.1", b"10.0.0.2")
    assert {address for address, _ in network.dials()} <= {"10.0.0.1", "10.0.0.2"}
    if ttl == "0":
        assert asked >= 60 and set(statuses) == {200, 502}


@pytest.mark.deadline(60)
async def test_a_kept_connection_outlives_the_name_and_nothing_else(
    begin, network: Network, names: NameServer, upstreams
) -> None:
    """A connection that was allowed may serve on; a new one is judged anew."""
    names.names["moved.test"] = ["10.0.0.1"]
    proxy = begin({"moved": url("moved.test")}, max_idle_per_route=4)
    async with proxy.far.http("moved") as first, proxy.far.http("moved") as second:
        assert (await first.get()).body == b"10.0.0.1"
        names.names["moved.test"] = [METADATA]
        for http in (first, second, first):
            response = await http.get()
            assert response.status == 502 or response.body == b"10.0.0.1"
    assert {address for address, _ in network.dials()} == {"10.0.0.1"}


@pytest.mark.deadline(60)
async def test_a_request_does_not_choose_the_address(begin, network: Network, names: NameServer, upstreams) -> None:
    names.names["metadata.test"] = [METADATA]
    # Without a policy, which would keep to itself what a request chose.
    proxy = begin({"echo": url("10.0.0.1")}, disable_ip_validation=True)
    for head in (
        f"GET / HTTP/1.1\r\nHost: {METADATA}\r\n",
        f"GET http://{METADATA}/latest/meta-data/ HTTP/1.1\r\nHost: echo.{DOMAIN}\r\n",
        f"GET http://{METADATA}/latest/meta-data/ HTTP/1.1\r\nHost: {METADATA}\r\n",
        "GET / HTTP/1.1\r\nHost: metadata.test\r\n",
        f"CONNECT {METADATA}:80 HTTP/1.1\r\nHost: {METADATA}:80\r\n",
        f"CONNECT {METADATA}:80 HTTP/1.1\r\nHost: echo.{DOMAIN}\r\n",
        f"GET @{METADATA}/ HTTP/1.1\r\nHost: echo.{DOMAIN}\r\n",
        f"GET / HTTP/1.1\r\nHost: echo.{DOMAIN}@{METADATA}\r\n",
        f"GET / HTTP/1.1\r\nHost: echo.{DOMAIN}:80@{METADATA}\r\n",
        f"GET //{METADATA}/ HTTP/1.1\r\nHost: echo.{DOMAIN}\r\nX-Forwarded-Host: {METADATA}\r\n",
    ):
        async with proxy.far.http("echo") as http:
            await http.send(f"{head}Connection: close\r\n\r\n".encode())
            response = await http.response("GET")
        assert response.status != 200 or response.body == b"10.0.0.1", head
        assert {address for address, _ in network.dials()} <= {"10.0.0.1"}, head


@pytest.mark.deadline(60)
@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_handed_back(begin, network: Network, status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nLocation: http://{METADATA}/latest/meta-data/"
    with Everywhere(network, PORT, head):
        # Nothing but the rule itself is in the way.
        proxy = begin({"echo": url("10.0.0.1")}, disable_ip_validation=True)
        async with proxy.far.http("echo") as http:
            response = await http.get()
        assert response.status == int(status[:3]) and response.get("location") == f"http://{METADATA}/latest/meta-data/"
    assert {address for address, _ in network.dials()} == {"10.0.0.1"}
