"""Upgrades to the upstream: a byte pipe once it says 101, plain HTTP when it does not."""

from __future__ import annotations

import asyncio

import websockets
from peers.upstream import Connection, Upstream, echo
from websockets.asyncio.server import serve
from websockets.client import ClientProtocol
from websockets.uri import parse_uri


async def test_upgrade_becomes_a_byte_pipe(start) -> None:
    async def handler(connection: Connection) -> None:
        head = await connection.head()
        assert head and head.get("upgrade") == "websocket" and (head.get("connection") or "").lower() == "upgrade"
        await connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: b\r\n\r\nfirst"
        )
        while data := await connection.reader.read(1 << 16):
            await connection.send(data.swapcase())
            if data.endswith(b"BYE"):
                return

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
            response = await http.final_head()
            assert (response.status, response.get("upgrade"), response.get("x-a")) == (101, "websocket", "b")
            assert (response.get("connection") or "").lower() == "upgrade"
            assert await http.take(5) == b"first"
            big = b"Ab" * 200_000
            sending = asyncio.create_task(http.send(big))
            assert await http.take(len(big)) == big.swapcase()
            await sending
            await http.send(b"GET / HTTP/1.1\r\n\r\nBYE")
            assert await http.take(21) == b"get / http/1.1\r\n\r\nbye"
            assert await http.ended()
        finished = await proxy.logged("request finished")
        assert finished.fields["status"] == "101"


async def test_websocket_to_the_upstream(start) -> None:
    """The `websockets` package at both ends of the pipe."""
    async def talk(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message[::-1])

    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = start({"echo": f"http://127.0.0.1:{port}"})
        async with proxy.far.http("echo") as http:
            protocol = ClientProtocol(parse_uri("ws://echo.t.example/chat"))
            protocol.send_request(protocol.connect())

            async def pump() -> list:
                for data in protocol.data_to_send():
                    if data:
                        await http.send(data)
                while not (events := protocol.events_received()):
                    protocol.receive_data(await http.take_some())
                return events

            assert (await pump())[0].status_code == 101
            for text in ("hello", "x" * 70_000):
                protocol.send_text(text.encode())
                (received,) = await pump()
                assert received.data == text[::-1].encode()
            protocol.send_close(1000)
            await pump()
            assert protocol.close_rcvd and protocol.close_rcvd.code == 1000


async def test_refused_upgrade_stays_http(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                response = await http.request("GET", headers=[("Connection", "upgrade"), ("Upgrade", "h2c")])
                assert response.status == 200


async def test_unasked_101_is_a_bad_answer(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
