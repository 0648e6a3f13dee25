"""Which addresses the proxy dials: RFC 1918 by default, what is listed otherwise, and some never."""

from __future__ import annotations

import signal

import pytest
from conftest import write_configuration
from peers.upstream import Upstream, echo


async def status_of(proxy, route: str = "echo") -> int:
    async with proxy.far.http(route) as http:
        response = await http.get()
        if response.status == 502:
            assert (response.get("content-type") or "").startswith("text/plain")
            assert b"127." not in response.body and b"169." not in response.body
        return response.status


async def refused(proxy, address: str) -> None:
    assert await status_of(proxy) == 502
    line = await proxy.logged("IP validation failed")
    assert f"IP validation failed: {address} is not a private address" in line.text
    assert line.level in ("WARN", "ERROR")
    assert (await proxy.logged("request finished")).fields["end"] == "refused"


async def test_loopback_is_refused_by_default(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream=None)
        await refused(proxy, "127.0.0.1")
        assert upstream.connections == []


async def test_name_is_checked_after_it_is_resolved(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": f"http://localhost:{upstream.port}"}, upstream=None)
        await refused(proxy, "127.0.0.1")
        assert upstream.connections == []


async def test_name_is_dialled_where_its_address_is_listed(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": f"http://localhost:{upstream.port}"})
        assert await status_of(proxy) == 200
        assert (await proxy.logged("request finished")).fields["upstream"] == f"127.0.0.1:{upstream.port}"


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.1/32", "127.0.0.0/8", "0.0.0.0/0"])
async def test_listed_addresses(start, entry: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream={"allowed_ips": [entry]})
        assert await status_of(proxy) == 200


@pytest.mark.parametrize("entries", [["127.0.0.2"], ["10.0.0.0/8"], ["127.0.0.2/31"], ["::/0"], ["128.0.0.0/1"]])
async def test_the_list_replaces_the_default(start, entries: list[str]) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream={"allowed_ips": entries})
        await refused(proxy, "127.0.0.1")
        assert upstream.connections == []


async def test_validation_can_be_turned_off(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream={"allowed_ips": None, "disable_ip_validation": True})
        assert await status_of(proxy) == 200


@pytest.mark.parametrize(
    ("host", "ranges"),
    [
        ("169.254.169.254", ["169.254.0.0/16"]),
        ("169.254.169.254", ["0.0.0.0/0"]),
        ("169.254.1.1", ["0.0.0.0/0"]),
        ("100.100.100.200", ["100.64.0.0/10"]),
        ("168.63.129.16", ["0.0.0.0/0"]),
        ("224.0.0.1", ["0.0.0.0/0"]),
        ("239.1.2.3", ["224.0.0.0/4"]),
        ("255.255.255.255", ["0.0.0.0/0"]),
        ("0.0.0.0", ["0.0.0.0/0"]),
        ("0.0.0.0", ["0.0.0.0/8"]),
        ("[::]", ["::/0"]),
        ("[fe80::1]", ["fe80::/10"]),
        ("[ff02::1]", ["::/0"]),
        ("[fd00:ec2::254]", ["fd00::/8"]),
    ],
)
async def test_some_are_refused_whatever_the_range(start, host: str, ranges: list[str]) -> None:
    proxy = start({"echo": f"http://{host}:80"}, upstream={"allowed_ips": ranges})
    await refused(proxy, host.strip("[]"))


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]"])
async def test_wrapped_addresses_are_unwrapped_first(start, host: str) -> None:
    proxy = start({"echo": f"http://{host}:80"}, upstream={"allowed_ips": ["::/0", "10.0.0.0/8"]})
    assert await status_of(proxy) == 502
    await proxy.logged("IP validation failed")


async def test_mapped_loopback_with_loopback_listed(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": f"http://[::ffff:127.0.0.1]:{upstream.port}"})
        assert await status_of(proxy) == 200


async def test_ipv6_upstream(start) -> None:
    async with Upstream(echo, host="::1") as upstream:
        proxy = start({"echo": upstream}, upstream={"allowed_ips": ["::1"]})
        assert await status_of(proxy) == 200
        assert (await proxy.logged("request finished")).fields["upstream"] == f"[::1]:{upstream.port}"
        refusing = start({"echo": upstream})
        await refused(refusing, "::1")


async def test_the_proxy_does_not_dial_itself(start, configuration: dict) -> None:
    proxy = start({"echo": "http://10.0.0.1:9"})
    own = f"http://127.0.0.1:{proxy.endpoint.port}"
    mark = proxy.mark()
    write_configuration(proxy.config_file, configuration, {"echo": own})
    proxy.signal(signal.SIGHUP)
    await proxy.logged("reload", since=mark)
    assert await status_of(proxy) == 502
    await proxy.logged("IP validation failed")


async def test_policy_of_pooled_connections_follows_a_reload(start, configuration: dict) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            mark = proxy.mark()
            write_configuration(
                proxy.config_file, configuration, {"echo": upstream}, upstream={"allowed_ips": ["10.0.0.0/8"]}
            )
            proxy.signal(signal.SIGHUP)
            await proxy.logged("reload", since=mark)
            assert (await http.get()).status == 502
            await proxy.logged("IP validation failed: 127.0.0.1 is not a private address")
        assert len(upstream.requests) == 1
