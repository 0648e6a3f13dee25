"""Upstreams that refuse, stall, reset, truncate and lie: what the caller gets, and what the log says."""

from __future__ import annotations

import asyncio
import socket

import pytest
from peers.http_client import HTTPConnection, Incomplete
from peers.upstream import Connection, Upstream, echo


async def finished(proxy, count: int = 1) -> dict[str, str]:
    return (await proxy.logged("request finished", count=count)).fields


async def test_connection_refused(start, refusing_port: int) -> None:
    proxy = start({"echo": f"http://127.0.0.1:{refusing_port}"})
    async with proxy.far.http("echo") as http:
        for _ in range(2):
            response = await http.request("POST", body=b"{}")
            assert response.status == 502
            assert (response.get("content-type") or "").startswith("text/plain")
            assert b"127.0.0.1" not in response.body and str(refusing_port).encode() not in response.body
            assert response.body.count(b"\n") <= 1
        line = await proxy.logged(f"dial tcp 127.0.0.1:{refusing_port}: connect: connection refused", count=2)
        assert line.level in ("WARN", "ERROR")
        assert (await finished(proxy, 2))["end"] == "upstream_failed"


@pytest.fixture
def full_backlog():
    """A listener whose queue is full: the kernel drops further SYNs, so a dial hangs as into a black hole."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    while True:
        filler = socket.socket()
        filler.settimeout(0.2)
        fillers.append(filler)
        try:
            filler.connect(listener.getsockname())
        except TimeoutError:
            break
        assert len(fillers) < 50
    yield listener.getsockname()[1]
    for opened in (*fillers, listener):
        opened.close()


async def test_connect_timeout_gets_504(start, full_backlog: int) -> None:
    proxy = start({"echo": f"http://127.0.0.1:{full_backlog}"}, upstream={"connect_timeout": "300ms"})
    async with proxy.far.http("echo") as http:
        response = await http.get()
        assert response.status == 504
        await proxy.logged(f"dial tcp 127.0.0.1:{full_backlog}: .*(timeout|timed out)")
        assert (await finished(proxy))["end"] == "timeout"


async def test_client_gone_while_dialling(start, full_backlog: int) -> None:
    proxy = start({"echo": f"http://127.0.0.1:{full_backlog}"}, upstream={"connect_timeout": "20s"})
    stream = await proxy.far.open()
    await HTTPConnection(stream, "echo.t.example").send_head("GET")
    await proxy.logged("request started")
    stream.abort()
    assert (await finished(proxy))["end"] == "client_gone"


async def stall(connection: Connection) -> None:
    await connection.head()
    await connection.wait_for_end()


async def test_response_header_timeout_gets_504(start) -> None:
    async with Upstream(stall) as upstream:
        proxy = start({"echo": upstream}, upstream={"response_header_timeout": "300ms"})
        async with proxy.far.http("echo") as http:
            for number in (1, 2):
                assert (await http.get()).status == 504
                assert (await finished(proxy, number))["end"] == "timeout"
                await upstream.connections[number - 1].ended.wait()


async def test_response_header_timeout_spares_slow_bodies(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await asyncio.sleep(0.5)
        await connection.send(b"cd")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, upstream={"response_header_timeout": "200ms"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).body == b"abcd"


async def test_stalled_upstream_is_left_when_the_client_goes(start) -> None:
    async with Upstream(stall) as upstream:
        proxy = start({"echo": upstream})
        streams = [await proxy.far.open() for _ in range(5)]
        for stream in streams:
            await HTTPConnection(stream, "echo.t.example").send_head("GET")
        while len(upstream.requests) < 5:
            await asyncio.sleep(0.005)
        for stream in streams:
            stream.abort()
        await asyncio.gather(*(connection.ended.wait() for connection in upstream.connections))
        assert (await finished(proxy, 5))["end"] == "client_gone"


TRUNCATIONS = [(f, h) for f in ("length", "chunked", "mid chunk", "mid chunk size") for h in ("close", "reset")]


# A close is how an answer without a length ends, so only a reset cuts that one short.
@pytest.mark.parametrize(("framing", "how"), [*TRUNCATIONS, ("until close", "reset")])
async def test_truncated_answers_end_as_errors(start, framing: str, how: str) -> None:
    head = {
        "length": b"Content-Length: 100\r\n\r\n0123456789",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n",
        "mid chunk": b"Transfer-Encoding: chunked\r\n\r\nf\r\n0123456789",
        "mid chunk size": b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1",
        "until close": b"Connection: close\r\n\r\n0123456789",
    }[framing]
    arrived = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + head)
        await arrived.wait()
        if how == "reset":
            connection.reset()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET")
            response = await http.final_head()
            received = b""
            with pytest.raises(Incomplete):
                async for part in http.body(response):
                    received += part
                    if len(received) == 10:
                        arrived.set()
            assert received == b"0123456789"
        assert (await finished(proxy))["end"] == "upstream_failed"


async def test_broken_chunk_in_an_answer_is_an_error(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            with pytest.raises(Incomplete):
                await http.get()
        assert (await finished(proxy))["end"] == "upstream_failed"


@pytest.mark.parametrize("when", ["at once", "after the head", "half a head"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_no_answer_at_all_gets_502(start, when: str, how: str) -> None:
    async def handler(connection: Connection) -> None:
        if when != "at once":
            await connection.head()
        if when == "half a head":
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        if how == "reset":
            connection.reset()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
            assert (await finished(proxy))["end"] == "upstream_failed"
            # A fresh connection that dies is no reason for a second attempt.
            assert len(upstream.connections) == 1


BAD_ANSWERS = {
    "not HTTP": b"hello there\r\n\r\n",
    "SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"<html>\n\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status not a number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "line without colon": b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
    "folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length not a number": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",
    "length negative": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\n0\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    "head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_malformed_answers_get_502(start, name: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(BAD_ANSWERS[name])
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.get()
            assert response.status == 502
            assert (await finished(proxy))["end"] == "upstream_failed"
            await upstream.connections[0].ended.wait()


async def test_answer_one_byte_at_a_time(start) -> None:
    async def handler(connection: Connection) -> None:
        while await connection.head():
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
            answer += b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: u\r\n\r\n"
            for byte in answer:
                await connection.send(bytes([byte]))
                await asyncio.sleep(0)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                response = await http.get()
                assert (response.body, response.trailers) == (b"hello world", [("X-T", "u")])


# The pool.


async def test_idle_connection_that_died_is_not_used(start) -> None:
    closing = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond(body=b"%d" % connection.number)
        if connection.number == 1:
            await closing.wait()
        else:
            await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).body == b"1"
            closing.set()
            await upstream.connections[0].ended.wait()
            response = await http.request("POST", body=b"not to be sent twice")
            # Either the proxy saw the end in time, or it must not have sent the body twice.
            assert response.body == b"2" or response.status == 502


async def test_replayable_request_is_retried_exactly_once(start) -> None:
    """A pooled connection that dies after it took the request, before a byte of the answer."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond(body=b"%d" % connection.number)
        assert await connection.head()
        # and gone

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get("/first")).body == b"1"
            assert (await http.get("/second")).body == b"2"
        assert [head.target for head in upstream.requests] == ["/first", "/second", "/second"]


async def test_second_attempt_is_the_last(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        if connection.number == 1:
            await connection.respond(body=b"1")
            await connection.head()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get("/first")).status == 200
            assert (await http.get("/second")).status == 502
        assert [head.target for head in upstream.requests] == ["/first", "/second", "/second"]


async def test_post_with_a_body_is_never_sent_twice(start) -> None:
    bodies = []

    async def handler(connection: Connection) -> None:
        head = await connection.head()
        bodies.append(await connection.body(head))
        await connection.respond(body=b"%d" % connection.number)
        if head := await connection.head():
            bodies.append(await connection.body(head))

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", "/first", body=b"one")).status == 200
            assert (await http.request("POST", "/second", body=b"two")).status == 502
            assert (await http.request("POST", "/third", body=b"three")).status == 200
        assert bodies == [b"one", b"two", b"three"]


async def test_answer_begun_is_never_retried(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond(body=b"1")
        await connection.head()
        await connection.send(b"HTTP/1.1 2")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get("/first")).status == 200
            assert (await http.get("/second")).status == 502
        assert len(upstream.requests) == 2


async def test_bytes_nobody_asked_for_spoil_the_connection(start) -> None:
    """An answer that comes before its request must not become the next caller's answer."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        extra = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison" if connection.number == 1 else b""
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % connection.number + extra)
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).body == b"1"
            assert (await http.get()).body == b"2"


async def test_connections_are_reused_across_clients(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        for _ in range(10):
            async with proxy.far.http("echo") as http:
                assert (await http.get()).status == 200
        assert len(upstream.connections) == 1


async def test_pool_is_bounded_and_gives_up_idle_connections(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, threads=1, upstream={"max_idle_per_route": 3, "idle_timeout": "500ms"})
        barrier = asyncio.Barrier(10)

        async def one() -> None:
            async with proxy.far.http("echo") as http:
                await http.send_head("POST", "/", [("Content-Length", "1")])
                await barrier.wait()
                await http.send(b"x")
                assert (await http.response()).status == 200

        await asyncio.gather(*(one() for _ in range(10)))
        while len(upstream.connections) - sum(c.ended.is_set() for c in upstream.connections) > 3:
            await asyncio.sleep(0.01)
        # Without a request for the idle timeout, the last ones go as well.
        await asyncio.gather(*(connection.ended.wait() for connection in upstream.connections))


async def test_upstream_closing_says_so_in_its_answer(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.respond(headers=[("Connection", "close")], body=b"%d" % connection.number)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=1)
        async with proxy.far.http("echo") as http:
            for number in range(1, 6):
                assert (await http.request("POST", body=b"x")).body == b"%d" % number


async def test_many_interim_answers_do_not_last_forever(start) -> None:
    """An upstream that only ever says 102 must not hold memory; the client sees what there is and may leave."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        while True:
            await connection.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open()
        http = HTTPConnection(stream, "echo.t.example")
        await http.send_head("GET")
        first = await http.head()
        assert first.status in (102, 502)
        stream.abort()
        await upstream.connections[0].ended.wait()
        assert proxy.peak_memory() < 100 << 20
