"""Limits at n and n+1: 431, 408 and 503 with Retry-After."""

from __future__ import annotations

import asyncio

import pytest
from peers.http_client import HTTPConnection
from peers.upstream import Connection, Upstream, echo


def head_of(size: int) -> bytes:
    """A request head of exactly so many bytes."""
    frame = b"GET / HTTP/1.1\r\nHost: echo.t.example\r\nX: %b\r\n\r\n"
    return frame % (b"v" * (size - len(frame) + 2))


@pytest.mark.parametrize("limit", [2000, 65_536])
async def test_head_bytes(start, limit: int) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, limits={"max_header_bytes": limit})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                await http.send(head_of(limit))
                assert (await http.response()).status == 200
            await http.send(head_of(limit + 1))
            response = await http.response()
            assert response.status == 431
            assert await http.ended()
        assert len(upstream.requests) == 2
        assert (await proxy.logged("request finished", count=2)).fields["status"] == "200"


async def test_head_without_end_is_refused_before_it_ends(start) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"}, limits={"max_header_bytes": 4096})
    async with proxy.far.http("echo") as http:
        await http.send(b"GET / HTTP/1.1\r\nHost: echo.t.example\r\nX: " + b"v" * 5000)
        assert (await http.response()).status == 431


@pytest.mark.parametrize("limit", [10, 200])
async def test_header_count(start, limit: int) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, limits={"max_headers": limit})
        async with proxy.far.http("echo") as http:
            # Host is one of them.
            assert (await http.request("GET", headers=[("X", "y")] * (limit - 1))).status == 200
            assert (await http.request("GET", headers=[("X", "y")] * limit)).status == 431
            assert await http.ended()


async def test_trailers_are_limited_as_well(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
            await http.send(b"0\r\nX: " + b"v" * 200_000 + b"\r\n\r\n")
            assert (await http.final_head()).status in (400, 431)


async def test_head_deadline(start) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"}, limits={"header_timeout": "300ms"})
    async with proxy.far.http("echo") as http:
        await http.send(b"GET / HTTP/1.1\r\nHost: echo.t")
        response = await http.response()
        assert response.status == 408
        assert (response.get("connection") or "").lower() == "close"
        assert await http.ended()


async def test_head_deadline_does_not_count_idleness(start) -> None:
    """Between requests the inner connection may rest for as long as it likes."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, limits={"header_timeout": "200ms"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            await asyncio.sleep(0.5)
            assert (await http.get()).status == 200
            await http.send(b"GET ")
            assert (await http.response()).status == 408


async def test_keep_alive_timeout(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, limits={"keep_alive_timeout": "300ms"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            assert await http.ended()


class Gate:
    """An upstream whose answers wait for the test's word."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, connection: Connection) -> None:
        while await connection.head():
            await self.open.wait()
            await connection.respond(body=b"ok")


async def test_requests_in_flight_in_all(start) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, limits={"max_requests": 3})
        async with (
            proxy.far.http("echo") as one,
            proxy.far.http("echo") as two,
            proxy.far.http("echo") as three,
            proxy.far.http("echo") as four,
        ):
            for http in (one, two, three):
                await http.send_head("GET")
            while len(upstream.requests) < 3:
                await asyncio.sleep(0.005)
            response = await four.request("POST", body=b"{}")
            assert response.status == 503
            assert int(response.get("retry-after") or "") > 0
            assert (await proxy.logged("request finished")).fields["end"] == "limit"
            gate.open.set()
            for http in (one, two, three):
                assert (await http.response()).status == 200
            # The refused connection goes on, and there is room again.
            if (response.get("connection") or "").lower() != "close":
                assert (await four.get()).status == 200


async def test_one_connections_pipeline_waits_its_turn(start) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, limits={"max_requests_per_connection": 1})
        async with proxy.far.http("echo") as http:
            await http.send(b"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n" * 5)
            while not upstream.requests:
                await asyncio.sleep(0.005)
            gate.open.set()
            assert [(await http.response()).status for _ in range(5)] == [200] * 5


async def test_flood_of_pipelined_requests_is_held_back(start) -> None:
    """A client that never reads cannot make the proxy store answers without bound."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open(raw=True)
        http = HTTPConnection(stream, "echo.t.example")
        request = b"GET /%b HTTP/1.1\r\nHost: echo.t.example\r\n\r\n" % (b"p" * 8000)
        before = proxy.peak_memory()
        sent = 0
        try:
            async with asyncio.timeout(3):
                while sent < 64 << 20:
                    await http.send(request)
                    sent += len(request)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "the proxy read everything although nobody took the answers"
        assert proxy.peak_memory() - before < 24 << 20
        stream.abort()
