"""Answers that begin before their request ends, interim answers, events one by one, and neighbours on one loop."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from peers.http_client import HTTPConnection
from peers.upstream import Connection, Upstream


async def test_expect_continue_is_the_upstreams_word(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            assert head.get("expect") == "100-continue"
            if head.target == "/no":
                await connection.respond("417 Expectation Failed", [("Connection", "close")])
                return
            await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await connection.respond(body=await connection.body(head))

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        expect = [("Expect", "100-continue"), ("Content-Length", "5")]
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", expect)
            assert (await http.head()).status == 100
            await http.send(b"hello")
            assert (await http.response()).body == b"hello"
            await http.send_head("POST", "/no", expect)
            assert (await http.response()).status == 417


async def test_interim_answers_pass_in_order(start) -> None:
    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
            await connection.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 5)
            await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </b.js>\r\n\r\n")
            await connection.respond(body=b"done")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                response = await http.get()
                assert [interim.status for interim in response.informational] == [103, 102, 102, 102, 102, 102, 103]
                assert response.informational[0].get("link") == "</a.css>; rel=preload"
                assert response.body == b"done"


async def test_interim_answers_are_not_for_http_10(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await connection.respond(body=b"done")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send(b"GET / HTTP/1.0\r\nHost: echo.t.example\r\n\r\n")
            assert (await http.head()).status == 200


async def test_answer_before_the_body(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.respond("403 Forbidden", body=b"no need to see it")
            await connection.body(head)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Content-Length", "300000")])
            response = await http.response()
            assert (response.status, response.body) == (403, b"no need to see it")
            if (response.get("connection") or "").lower() != "close":
                await http.send(bytes(300_000))
                await http.send_head("POST", "/", [("Content-Length", "0")])
                assert (await http.response()).status == 403


async def test_a_body_that_stalls_behind_a_whole_answer_is_given_up(start) -> None:
    """The answer is whole, its upstream stays, and the client never sends the rest: nothing may wait for ever."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond(body=b"enough")
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, limits={"header_timeout": "300ms"})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Content-Length", "100")])
            await http.send(b"0123456789")
            response = await http.final_head()
            assert b"".join([part async for part in http.body(response)]) == b"enough"
            assert await http.ended()
        finished = (await proxy.logged("request finished")).fields
        assert (finished["status"], finished["bytes_in"], finished["end"]) == ("200", "10", "complete")


async def test_answer_flows_while_the_body_does(start) -> None:
    """Full duplex: each piece up is answered with a piece down before the next one is sent."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            size = int(await connection.reader.readuntil(b"\r\n"), 16)
            data = (await connection.reader.readexactly(size + 2))[:-2]
            await connection.send(b"%x\r\n%b\r\n" % (size, data.upper()))
            if size == 0:
                return

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
            response = await http.final_head()
            pieces = http.body(response)
            for number in range(10):
                await http.send_chunk(b"piece %d" % number)
                assert await anext(pieces) == b"PIECE %d" % number
            await http.send(b"0\r\n\r\n")
            assert [piece async for piece in pieces] == []


async def test_bodies_of_neighbours_do_not_mix(start) -> None:
    """Many exchanges on one loop, each sending and receiving a pattern of its own, in both framings."""

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            name = head.target[1:].encode()
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            received = b""
            while len(received) < 40 * len(name):
                if head.get("transfer-encoding"):
                    size = int(await connection.reader.readuntil(b"\r\n"), 16)
                    piece = (await connection.reader.readexactly(size + 2))[:-2]
                else:
                    piece = await connection.reader.readexactly(len(name))
                received += piece
                await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece.upper()))
            assert received == name * 40
            if head.get("transfer-encoding"):
                assert await connection.reader.readexactly(5) == b"0\r\n\r\n"
            await connection.send(b"0\r\n\r\n")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)

        async def one(number: int) -> None:
            name = f"exchange-{chr(97 + number)}-".encode()
            chunked = number % 2 == 0
            async with proxy.far.http("echo") as http:
                length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(40 * len(name)))
                await http.send_head("POST", f"/{name.decode()}", [length])
                response = await http.final_head()
                body, received = http.body(response), b""
                for _ in range(40):
                    await (http.send_chunk(name) if chunked else http.send(name))
                    while len(received) % len(name) or not received:
                        received += await anext(body)
                    await asyncio.sleep(0)
                if chunked:
                    await http.send(b"0\r\n\r\n")
                received += b"".join([part async for part in body])
                assert received == name.upper() * 40

        await asyncio.gather(*(one(number) for number in range(16)))


@pytest.mark.parametrize("disturbance", ["no route", "down", "interim", "chunked upload", "bad request", "upgrade"])
async def test_a_stream_has_only_its_own_bytes(start, refusing_port: int, disturbance: str) -> None:
    """Whatever the proxy says to one client must never turn up in another one's answer on the same loop."""
    ticks: dict[str, asyncio.Queue[int]] = {"length": asyncio.Queue(), "chunked": asyncio.Queue()}
    framings = {"length": b"Content-Length: 1000", "chunked": b"Transfer-Encoding: chunked"}

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            if head.target == "/stream":
                framing = head.get("x-framing") or ""
                await connection.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framings[framing])
                while True:
                    tick = b"tick %03d\n\n" % await ticks[framing].get()
                    await connection.send(tick if framing == "length" else b"%x\r\n%b\r\n" % (len(tick), tick))
            elif head.target == "/interim":
                await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: <intruder>\r\n\r\n")
                await connection.respond(body=b"intruder")
            elif head.target == "/upgrade":
                await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
                await connection.send(b"Connection: Upgrade\r\n\r\n")
                await connection.wait_for_end()
            else:
                await connection.body(head)
                await connection.respond(body=b"intruder")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream, "down": f"http://127.0.0.1:{refusing_port}"}, threads=1)

        async def disturb() -> None:
            async with proxy.far.http("echo") as http:
                if disturbance == "no route":
                    assert (await http.get(host="nobody.t.example")).status == 502
                elif disturbance == "down":
                    assert (await http.get(host="down.t.example")).status == 502
                elif disturbance == "interim":
                    assert len((await http.get("/interim")).informational) == 1
                elif disturbance == "bad request":
                    await http.send(b"GET / HTTP/1.1\r\n\r\n")
                    assert (await http.response()).status == 400
                elif disturbance == "upgrade":
                    await http.send_head("GET", "/upgrade", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
                    assert (await http.final_head()).status == 101
                    await http.send(b"intruder")
                else:
                    await http.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
                    await http.send_chunk(b"intruder")
                    await http.send(b"0\r\n\r\n")
                    assert (await http.response()).body == b"intruder"

        for framing in framings:
            async with proxy.far.http("echo") as streaming:
                await streaming.send_head("GET", "/stream", [("X-Framing", framing)])
                body = streaming.body(await streaming.final_head())
                for number in range(5):
                    await disturb()
                    await ticks[framing].put(number)
                    received = b""
                    while len(received) < 10:
                        received += await anext(body)
                    assert received == b"tick %03d\n\n" % number
                await streaming.stream.close()


async def test_early_refusal_with_close_is_delivered(start) -> None:
    """An upstream that says 413 and closes, without reading, while the body still comes."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond("413 Content Too Large", [("Connection", "close")], b"too large")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Content-Length", "50000000")])
            stop = asyncio.Event()

            async def send() -> None:
                with contextlib.suppress(OSError):
                    while not stop.is_set():
                        await http.send(bytes(50_000))

            sending = asyncio.create_task(send())
            async with asyncio.timeout(3):
                response = await http.response()
            stop.set()
            assert (response.status, response.body) == (413, b"too large")
            # What was already on its way is taken and dropped, so that our answer to the close gets through.
            async with asyncio.timeout(1):
                await http.stream.transport.connection.wait_closed()
                await sending


async def test_each_event_is_flushed_at_once(start) -> None:
    """One event at a time: the next is made only when the last has arrived at the far side."""
    arrived = asyncio.Queue()

    async def handler(connection: Connection) -> None:
        await connection.head()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        await connection.send(head)
        for number in range(20):
            await connection.send(b"%x\r\n%b\r\n" % (len(event(number)), event(number)))
            assert await arrived.get() == number
        await connection.send(b"0\r\n\r\n")

    def event(number: int) -> bytes:
        return b"id: %d\ndata: %d\n\n" % (number, number)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/")
            response = await http.final_head()
            number, collected = 0, b""
            async for part in http.body(response):
                collected += part
                if collected == event(number):
                    await arrived.put(number)
                    number, collected = number + 1, b""
            assert number == 20


async def test_client_gone_in_the_middle_of_its_body(start) -> None:
    """A cut request body must not look complete to the upstream."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(connection: Connection) -> None:
        head = await connection.head()
        try:
            await connection.body(head)
            outcome.set_result("complete")
        except (asyncio.IncompleteReadError, ConnectionError):
            outcome.set_result("cut")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open()
        http = HTTPConnection(stream, "echo.t.example")
        await http.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
        await http.send_chunk(b"only this")
        while not upstream.requests:
            await asyncio.sleep(0.005)
        stream.abort()
        assert await outcome == "cut"
        assert (await proxy.logged("request finished")).fields["end"] == "client_gone"
