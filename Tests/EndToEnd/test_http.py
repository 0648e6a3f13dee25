"""HTTP/1.1 inside the tunnel: framing both ways, methods, headers byte for byte, old clients."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from peers.http_client import Incomplete
from peers.upstream import Connection, Upstream, echo


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
        proxy = start({"echo": upstream}, upstream={"forwarded_headers": "off"})
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
