"""Which route a request takes, and what is said where there is none."""

from __future__ import annotations

import pytest
from peers.upstream import Connection, Upstream


def named(name: str):
    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.respond(body=name.encode())

    return handler


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("echo.t.example", b"bare"),
        ("echo.t.example:443", b"bare"),
        ("ECHO.T.Example", b"bare"),
        ("echo.t.example.", b"bare"),
        ("Echo.t.example.:8443", b"bare"),
        ("full.other.example", b"full"),
        ("FULL.other.EXAMPLE.", b"full"),
        ("both.t.example", b"full wins"),
        ("a.b.t.example", b"nested"),
        ("t.example", None),
        (".t.example", None),
        ("echo", b"bare"),
        ("echo.t.example.evil", None),
        ("xt.example", None),
        ("echo.xt.example", None),
        ("other.t.example", None),
        ("x.echo.t.example", None),
        ("127.0.0.1", None),
        ("[::1]:80", None),
        # Not a host name: refused before it is looked for.
        ("e%63ho.t.example", 400),
    ],
)
async def test_lookup(start, host: str, expected: bytes | int | None) -> None:
    async with (
        Upstream(named("bare")) as bare,
        Upstream(named("full")) as full,
        Upstream(named("full wins")) as wins,
        Upstream(named("nested")) as nested,
    ):
        proxy = start(
            {
                "echo": bare,
                "full.other.example": full,
                "both.t.example": wins,
                "both": bare,
                "a.b": nested,
            }
        )
        async with proxy.far.http("echo") as http:
            response = await http.get(host=host)
            if isinstance(expected, int):
                assert response.status == expected
            elif expected is None:
                assert response.status == 502
                assert response.body.strip() == b"No route configured for host"
                line = await proxy.logged("no route for host")
                assert line.level == "WARN"
            else:
                assert (response.status, response.body) == (200, expected)


async def test_no_route_keeps_the_connection(start) -> None:
    async with Upstream(named("x")) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            refused = await http.request("POST", host="nobody.t.example", body=b"{}" * 500)
            assert (refused.status, refused.body.strip()) == (502, b"No route configured for host")
            assert (refused.get("content-type") or "").startswith("text/plain")
            assert (await http.get()).body == b"x"
            line = await proxy.logged("no route for host")
            assert "nobody.t.example" in line.text


async def test_routing_follows_the_inner_host_only(start) -> None:
    """Neither the WebSocket's Host nor the server name of TLS decides."""
    async with Upstream(named("one")) as one, Upstream(named("two")) as two:
        proxy = start({"one": one, "two": two})
        async with proxy.far.http("one") as http:
            assert (await http.get(host="two.t.example")).body == b"two"
            assert (await http.get(host="one.t.example")).body == b"one"


async def test_route_configured_once_per_route(start) -> None:
    proxy = start({f"r{number}": f"http://10.0.0.{number}:9000" for number in range(1, 21)})
    await proxy.logged("route configured", count=20)
    lines = proxy.found("route configured")
    assert sorted(line.fields["route"] for line in lines) == sorted(f"r{number}" for number in range(1, 21))
    assert all(line.level == "INFO" for line in lines)
    assert any("http://10.0.0.7:9000" in line.text for line in lines)


async def test_full_hosts_without_a_domain(start) -> None:
    async with Upstream(named("x")) as upstream:
        proxy = start({"echo.t.example": upstream}, tunnel_domain=None)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).body == b"x"
            assert (await http.get(host="echo.other.example")).status == 502


async def test_ten_thousand_routes(start) -> None:
    async with Upstream(named("x")) as upstream:
        proxy = start({**{f"route-{number}": "http://10.0.0.1:9000" for number in range(10_000)}, "echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).body == b"x"
