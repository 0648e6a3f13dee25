"""SIGTERM and SIGINT drain; a second one, or the deadline, does not wait."""

from __future__ import annotations

import asyncio
import signal

import pytest
from peers.http_client import HTTPConnection
from peers.raw_websocket import CLOSE
from peers.upstream import Connection, Upstream, echo


class Gate:
    """An upstream that answers with a first part at once and the rest at the test's word."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, connection: Connection) -> None:
        while await connection.head():
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await self.open.wait()
            await connection.send(b"4\r\nlast\r\n0\r\n\r\n")


async def until_not_listening(proxy) -> None:
    """The moment the drain has begun, as the outside sees it."""
    while True:
        try:
            _, writer = await proxy.endpoint.open()
            writer.close()
            await asyncio.sleep(0.01)
        except OSError:
            return


async def begin(proxy) -> tuple[HTTPConnection, object]:
    """A request in flight, the first part of its answer already here."""
    stream = await proxy.far.open(raw=True)
    http = HTTPConnection(stream, "echo.t.example")
    await http.send_head("GET")
    response = await http.final_head()
    body = http.body(response)
    assert await anext(body) == b"first"
    return http, body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_requests_in_flight_finish(start, number: int) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        http, body = await begin(proxy)
        proxy.signal(number)
        await until_not_listening(proxy)
        assert proxy.process.poll() is None
        gate.open.set()
        assert b"".join([part async for part in body]) == b"last"
        assert await http.stream.read() == b"" and http.stream.got_close_notify
        assert await http.stream.transport.read_until_close() == 1001
        await http.stream.transport.send_frame(CLOSE, b"\x03\xe9")
        assert await proxy.exit_status() == 0
        assert proxy.wait_for("request finished").fields["end"] == "complete"


async def test_new_requests_on_live_connections_are_answered_with_close(start) -> None:
    gate = Gate()
    async with Upstream(gate) as slow, Upstream(echo) as quick:
        proxy = start({"echo": slow, "quick": quick}, shutdown_timeout="20s")
        http, body = await begin(proxy)
        live = HTTPConnection(await proxy.far.open("quick", raw=True), "quick.t.example")
        assert (await live.get()).get("connection") is None
        proxy.signal()
        await until_not_listening(proxy)
        response = await live.get()
        assert response.status == 200
        assert (response.get("connection") or "").lower() == "close"
        assert await live.ended()
        assert await live.stream.transport.read_until_close() == 1001
        live.stream.abort()
        gate.open.set()
        assert b"".join([part async for part in body]) == b"last"
        http.stream.abort()
        assert await proxy.exit_status() == 0


async def test_idle_websockets_are_closed_with_1001(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        idle = await proxy.far.open(raw=True)
        used = HTTPConnection(await proxy.far.open(raw=True), "echo.t.example")
        assert (await used.get()).status == 200
        fresh = await proxy.far.raw()
        proxy.signal()
        for stream in (idle, used.stream):
            assert await stream.read() == b"" and stream.got_close_notify
            assert await stream.transport.read_until_close() == 1001
            stream.abort()
        while await fresh.read_frame():
            pass
        fresh.abort()
        # Nothing was in flight, so nothing had to be waited for.
        assert await proxy.exit_status(5) == 0


async def test_a_peer_that_does_not_answer_the_close_holds_nothing_up(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        streams = [await proxy.far.open(raw=True) for _ in range(5)]
        proxy.signal()
        assert await proxy.exit_status(10) == 0
        for stream in streams:
            stream.abort()


async def test_drain_cut_short_ends_with_1(start) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="400ms")
        proxy.expected_status = 1
        http, _ = await begin(proxy)
        proxy.signal()
        assert await proxy.exit_status(5) == 1
        assert proxy.wait_for("request finished").fields["end"] == "shutdown"
        http.stream.abort()


async def test_second_signal_ends_at_once(start) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="60s")
        proxy.expected_status = 1
        http, _ = await begin(proxy)
        proxy.signal()
        await until_not_listening(proxy)
        proxy.signal()
        assert await proxy.exit_status(1) == 1
        http.stream.abort()


async def test_new_connections_are_refused_while_draining(start) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        http, body = await begin(proxy)
        proxy.signal()
        await until_not_listening(proxy)
        with pytest.raises(OSError):
            await proxy.endpoint.open()
        gate.open.set()
        async for _ in body:
            pass
        http.stream.abort()
        assert await proxy.exit_status() == 0


async def test_upload_in_flight_finishes(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        http = HTTPConnection(await proxy.far.open(raw=True), "echo.t.example")
        await http.send_head("POST", "/", [("Content-Length", "100000")])
        await http.send(bytes(50_000))
        await proxy.logged("request started")
        proxy.signal()
        await until_not_listening(proxy)
        await http.send(bytes(50_000))
        response = await http.response()
        assert response.status == 200 and response.body.endswith(bytes(100_000))
        assert (response.get("connection") or "").lower() == "close"
        http.stream.abort()
        assert await proxy.exit_status() == 0


async def test_signal_before_any_connection(start) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"})
    proxy.signal()
    assert await proxy.exit_status(5) == 0
