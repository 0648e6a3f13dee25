"""HTTP/1.1 inside the tunnel: framing both ways, interim answers, headers byte for byte, upgrades."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import pytest
import websockets
from peers.http_client import HTTPConnection, Incomplete
from peers.upstream import Connection, Upstream, echo
from websockets.asyncio.server import serve
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


def split_echo(body: bytes) -> tuple[str, list[str], bytes]:
    """What the echo upstream saw: request line, header lines, body."""
    head, _, rest = body.partition(b"\n\n")
    start, *lines = head.decode("latin-1").split("\n")
    return start, lines, rest


async def test_keep_alive_uses_one_upstream_connection(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for number in range(20):
                response = await http.request("POST", f"/{number}", body=b"x" * number)
                assert response.status == 200 and response.get("x-connection") == "1"
        assert len(upstream.connections) == 1


async def test_pipelined_requests_are_answered_in_order(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            requests = [
                f"POST /{number} HTTP/1.1\r\nHost: echo.t.example\r\nContent-Length: {number}\r\n\r\n{'b' * number}"
                for number in range(30)
            ]
            await http.send("".join(requests).encode())
            for number in range(30):
                start_line, _, body = split_echo((await http.response()).body)
                assert start_line == f"POST /{number} HTTP/1.1" and body == b"b" * number


async def test_headers_reach_the_upstream_byte_for_byte(start) -> None:
    headers = [
        ("accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-06-18"),
        ("mcp-SESSION-id", "a1b2"),
        ("Authorization", "Bearer  two  spaces "),
        ("X-Repeated", "1"),
        ("x-other", "tab\there"),
        ("X-Repeated", "2"),
        ("X-Empty", ""),
        ("X-Latin", "gr\xfc\xdf dich"),
        ("Cookie", "a=b; c=d"),
        ("Forwarded", "for=198.51.100.1"),
        ("X-Forwarded-For", "198.51.100.1"),
        ("Expect", ""),
        ("Last-Event-ID", "17"),
    ]
    target = "/mcp/%7Euser//a/../b;c?q=%2F+%20&x=[1]|'\"^`{}&&#".replace("#", "")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", target, headers)
            start_line, lines, _ = split_echo((await http.response()).body)
            assert start_line == f"GET {target} HTTP/1.1"
            expected = ["Host: echo.t.example", *(f"{name}: {value}".rstrip() for name, value in headers)]
            seen = [line.rstrip() for line in lines if line.split(":")[0].lower() != "connection"]
            assert seen == expected


async def test_response_headers_come_back_byte_for_byte(start) -> None:
    headers = [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("MCP-session-ID", "a1b2"),
        ("WWW-Authenticate", 'Bearer resource_metadata="https://x/y"'),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Latin", "gr\xfc\xdf dich"),
        ("x-empty", ""),
    ]

    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.respond("299 Some Thing", headers, b"ok")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.get()
            assert (response.status, response.reason, response.body) == (299, "Some Thing", b"ok")
            assert [pair for pair in response.headers if pair[0] != "Content-Length"] == headers


async def test_hop_by_hop_headers_stop_here(start) -> None:
    sent = [
        ("Connection", "keep-alive, X-Secret-Hop , te"),
        ("Connection", "x-second"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("X-Secret-Hop", "1"),
        ("X-Second", "2"),
        ("X-Stays", "3"),
        ("Proxy-Authorization", "Basic eDp5"),
    ]

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            names = {name.lower() for name, _ in head.headers}
            assert "x-stays" in names
            assert not names & {"keep-alive", "proxy-connection", "x-secret-hop", "x-second"}
            # The proxy may say for itself that it takes trailers (RFC 9110 §10.1.4).
            assert head.get("te") in (None, "trailers")
            assert (head.get("connection") or "te").lower() == "te"
            back = [("Connection", "X-Back"), ("X-Back", "1"), ("Keep-Alive", "timeout=9"), ("X-Kept", "2")]
            await connection.respond(headers=back, body=b"ok")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                response = await http.request("GET", "/", sent)
                names = {name.lower() for name, _ in response.headers}
                assert "x-kept" in names and not names & {"x-back", "keep-alive"}


@pytest.mark.parametrize("setting", ["preserve", "upstream"])
async def test_host_to_the_upstream(start, setting: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream={"host_header": setting})
        async with proxy.far.http("echo") as http:
            _, lines, _ = split_echo((await http.get(host="Echo.T.example:443")).body)
            hosts = [line for line in lines if line.lower().startswith("host:")]
            expected = "Echo.T.example:443" if setting == "preserve" else upstream.address
            assert hosts == [f"Host: {expected}"]


async def test_forwarded_headers_on_request(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, upstream={"forwarded_headers": True})
        async with proxy.far.http("echo") as http:
            _, lines, _ = split_echo((await http.get()).body)
            fields = {line.split(":")[0].lower(): line.partition(": ")[2] for line in lines}
            assert fields["x-forwarded-host"] == "echo.t.example"
            assert fields["x-forwarded-proto"] == "https"
            assert fields["x-forwarded-for"]


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 100_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_every_size_both_ways(start, size: int, chunked: bool) -> None:
    body = hashlib.shake_128(str(size).encode()).digest(size)

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            assert bool(head.get("transfer-encoding")) is chunked
            received = await connection.body(head)
            if chunked:
                pieces = [received[i : i + 7000] for i in range(0, len(received), 7000)]
                await connection.respond_chunked(*pieces)
            else:
                await connection.respond(body=received)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))
                await http.send_head("POST", "/", [length])

                async def send() -> None:
                    for index in range(0, size, 50_000):
                        piece = body[index : index + 50_000]
                        await (http.send_chunk(piece) if chunked else http.send(piece))
                    if chunked:
                        await http.send(b"0\r\n\r\n")

                sending = asyncio.create_task(send())
                response = await http.response()
                await sending
                assert response.body == body


async def test_trailers_both_ways(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            assert await connection.body(head) == b"hello world"
            assert head.trailers == [("X-Sum", "1"), ("x-other", "2")]
            await connection.respond_chunked(b"a", b"bc", trailers=[("Server-Timing", "db;dur=1"), ("x-End", "yes")])

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                await http.send_head("POST", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
                await http.send(b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\nx-other: 2\r\n\r\n")
                response = await http.response()
                assert response.body == b"abc"
                assert response.trailers == [("Server-Timing", "db;dur=1"), ("x-End", "yes")]


async def test_head_and_answers_without_body(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            if head.method == "HEAD":
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
            elif head.target == "/204":
                await connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            elif head.target == "/304":
                await connection.send(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 77\r\n\r\n')
            elif head.target == "/head-chunked":
                await connection.respond()
            else:
                await connection.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                head = await http.request("HEAD", "/")
                assert (head.status, head.get("content-length")) == (200, "12345")
                assert (await http.get("/204")).status == 204
                not_modified = await http.get("/304")
                assert (not_modified.status, not_modified.get("etag")) == (304, '"x"')
                accepted = await http.request("POST", "/202", body=b"{}")
                assert (accepted.status, accepted.body) == (202, b"")
            assert len(upstream.connections) == 1


async def test_every_method_passes(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "get"):
                response = await http.request(method, "/")
                assert split_echo(response.body)[0] == f"{method} / HTTP/1.1"


async def test_connection_close_from_the_client(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.request("GET", headers=[("Connection", "close")])
            assert response.status == 200
            assert (response.get("connection") or "").lower() == "close"
            assert await http.ended()


async def test_http_10_client(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            assert head.version == "HTTP/1.1"
            if head.target == "/chunked":
                await connection.respond_chunked(b"one ", b"two")
            else:
                await connection.respond(body=b"plain")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        for target, body in (("/", b"plain"), ("/chunked", b"one two")):
            async with proxy.far.http("echo") as http:
                await http.send(f"GET {target} HTTP/1.0\r\nHost: echo.t.example\r\n\r\n".encode())
                response = await http.final_head()
                assert response.status == 200 and response.get("transfer-encoding") is None
                assert b"".join([part async for part in http.body(response)]) == body
                assert await http.ended()
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                await http.send(b"GET / HTTP/1.0\r\nHost: echo.t.example\r\nConnection: keep-alive\r\n\r\n")
                response = await http.response()
                assert response.body == b"plain"
                if (response.get("connection") or "").lower() != "keep-alive":
                    assert await http.ended()
                    break


@pytest.mark.parametrize("status_line", ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.1 200"])
async def test_answers_that_end_with_the_connection(start, status_line: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(f"{status_line}\r\n\r\n".encode() + b"until the end")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                response = await http.get()
                assert (response.status, response.body) == (200, b"until the end")
                # The length is unknown, so the inner connection lives on only with chunks.
                if response.get("transfer-encoding") is None:
                    break


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
                await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n")
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
                    await http.send_head("GET", "/upgrade", [("Connection", "Upgrade"), ("Upgrade", "x")])
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
            sending.cancel()
            assert (response.status, response.body) == (413, b"too large")


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


async def test_upgrade_becomes_a_byte_pipe(start) -> None:
    async def handler(connection: Connection) -> None:
        head = await connection.head()
        assert head and head.get("upgrade") == "chat/1" and (head.get("connection") or "").lower() == "upgrade"
        await connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat/1\r\nConnection: Upgrade\r\nX-A: b\r\n\r\nfirst"
        )
        while data := await connection.reader.read(1 << 16):
            await connection.send(data.swapcase())
            if data.endswith(b"BYE"):
                return

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "chat/1")])
            response = await http.final_head()
            assert (response.status, response.get("upgrade"), response.get("x-a")) == (101, "chat/1", "b")
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
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502


async def test_redirects_are_passed_on(start) -> None:
    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.respond("307 Temporary Redirect", [("Location", f"http://127.0.0.1:{upstream.port}/x")])

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.get()
            assert (response.status, response.get("location")) == (307, f"http://127.0.0.1:{upstream.port}/x")
        assert len(upstream.requests) == 1


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


async def test_absolute_form_is_routed_by_its_authority(start) -> None:
    """RFC 9112 §3.2.2. A Host that says something else is one more way to be ambiguous."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send(b"GET http://echo.t.example/abs?x HTTP/1.1\r\nHost: echo.t.example\r\n\r\n")
            response = await http.response()
            assert response.status == 200
            start_line, lines, _ = split_echo(response.body)
            assert start_line == "GET /abs?x HTTP/1.1"
            assert "Host: echo.t.example" in lines
            await http.send(b"GET http://echo.t.example/abs?x HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
            assert (await http.response()).status == 400
        assert len(upstream.requests) == 1


async def test_options_asterisk(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.request("OPTIONS", "*")
            assert split_echo(response.body)[0] == "OPTIONS * HTTP/1.1"


async def test_connect_is_not_for_us(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send(b"CONNECT echo.t.example:443 HTTP/1.1\r\nHost: echo.t.example:443\r\n\r\n")
            assert (await http.final_head()).status in (400, 405, 501)
        assert upstream.requests == []


async def test_slow_head_and_body_byte_by_byte(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            request = b"POST /slow HTTP/1.1\r\nHost: echo.t.example\r\nTransfer-Encoding: chunked\r\n\r\n"
            request += b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
            for byte in request:
                await http.send(bytes([byte]))
            response = await http.response()
            assert response.status == 200 and response.body.endswith(b"\n\nabcde")


async def test_leading_empty_line_is_forgiven(start) -> None:
    """RFC 9112 §2.2: a server should ignore at least one empty line before the request line."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send(b"\r\nGET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n")
            assert (await http.response()).status == 200


async def test_incomplete_is_what_a_cut_looks_like(start) -> None:
    """The test client's own honesty: a body cut short raises, so that the tests below mean something."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            with pytest.raises(Incomplete):
                await http.get()
