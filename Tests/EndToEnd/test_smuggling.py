"""Requests that two parsers could read differently: refused with 400, the connection closed, nothing passed on."""

from __future__ import annotations

import contextlib

import pytest
from peers.http_client import Incomplete
from peers.tls_stream import StreamCut
from peers.upstream import Connection, Upstream, echo

HOST = "Host: echo.t.example\r\n"
SMUGGLED = "GET /smuggled HTTP/1.1\r\n" + HOST + "\r\n"


def post(*lines: str, body: str = "") -> str:
    return "POST / HTTP/1.1\r\n" + HOST + "".join(f"{line}\r\n" for line in lines) + "\r\n" + body


HEADS = {
    "length and coding": post("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED),
    "coding and length": post("Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n" + SMUGGLED),
    "two lengths": post("Content-Length: 5", "Content-Length: 6", body="hello!"),
    "two lengths in a list": post("Content-Length: 5, 6", body="hello!"),
    "equal lengths in a list": post("Content-Length: 5, 5", body="hello"),
    "length with plus": post("Content-Length: +5", body="hello"),
    "length with minus": post("Content-Length: -5", body="hello"),
    "length in hex": post("Content-Length: 0x5", body="hello"),
    "length with a point": post("Content-Length: 5.0", body="hello"),
    "length with space inside": post("Content-Length: 1 0", body="hello"),
    "length empty": post("Content-Length: ", body=SMUGGLED),
    "length too long for 64 bits": post("Content-Length: 18446744073709551621", body="hello"),
    "length of 63 bits and more": post("Content-Length: 9223372036854775808", body="hello"),
    "length with foreign digits": post("Content-Length: \xb2", body="hello"),
    "coding unknown": post("Transfer-Encoding: xchunked", body="0\r\n\r\n"),
    "coding gzip": post("Transfer-Encoding: gzip", body="0\r\n\r\n"),
    "coding gzip, chunked": post("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n"),
    "coding identity": post("Transfer-Encoding: identity", body="0\r\n\r\n"),
    "coding chunked twice": post("Transfer-Encoding: chunked, chunked", body="0\r\n\r\n"),
    "two codings": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    "coding then identity": post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n"),
    "coding with parameter": post("Transfer-Encoding: chunked;q=1", body="0\r\n\r\n"),
    "coding quoted": post('Transfer-Encoding: "chunked"', body="0\r\n\r\n"),
    "coding with vertical tab": post("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n"),
    "coding empty": post("Transfer-Encoding:", body="0\r\n\r\n"),
    "coding in HTTP/1.0": post("Transfer-Encoding: chunked", body="0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
    "space before the colon": post("Content-Length : 5", body="hello"),
    "tab before the colon": post("Content-Length\t: 5", body="hello"),
    "space in a name": post("Content Length: 5", body="hello"),
    "line without colon": post("Content-Length", body=""),
    "empty name": post(": 5"),
    "folded line": post("X-A: 1", " Content-Length: 5", body="hello"),
    "folded with tab": post("X-A: 1", "\tfolded"),
    "first line folded": "GET / HTTP/1.1\r\n X: y\r\n" + HOST + "\r\n",
    "bare LF ends lines": post("X-A: 1").replace("\r\n", "\n"),
    "one bare LF": post("X-A: 1\nContent-Length: 5", body="hello"),
    "bare CR in a value": post("X-A: 1\rContent-Length: 5", body="hello"),
    "CR CR LF": post("X-A: 1\r", body=""),
    "NUL in a value": post("X-A: 1\x002"),
    "NUL in a name": post("X-\x00A: 1"),
    "control byte in a value": post("X-A: 1\x012"),
    "DEL in a value": post("X-A: 1\x7f2"),
    "high byte in a name": post("X-\xe4: 1"),
    "bracket in a name": post("X[A]: 1"),
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\n" + HOST + HOST + "\r\n",
    "two different hosts": "GET / HTTP/1.1\r\n" + HOST + "Host: other.t.example\r\n\r\n",
    "host with path": "GET / HTTP/1.1\r\nHost: echo.t.example/x\r\n\r\n",
    "host with user": "GET / HTTP/1.1\r\nHost: me@echo.t.example\r\n\r\n",
    "host with space": "GET / HTTP/1.1\r\nHost: echo.t.example other\r\n\r\n",
    "host as list": "GET / HTTP/1.1\r\nHost: echo.t.example, echo.t.example\r\n\r\n",
    "host with bad port": "GET / HTTP/1.1\r\nHost: echo.t.example:80x\r\n\r\n",
    "two spaces in the request line": "GET  / HTTP/1.1\r\n" + HOST + "\r\n",
    "tab in the request line": "GET\t/ HTTP/1.1\r\n" + HOST + "\r\n",
    "space at the end of the request line": "GET / HTTP/1.1 \r\n" + HOST + "\r\n",
    "space in the target": "GET /a b HTTP/1.1\r\n" + HOST + "\r\n",
    "control byte in the target": "GET /a\x01b HTTP/1.1\r\n" + HOST + "\r\n",
    "target without slash": "GET smuggled HTTP/1.1\r\n" + HOST + "\r\n",
    "no version": "GET /\r\n" + HOST + "\r\n",
    "version in small letters": "GET / http/1.1\r\n" + HOST + "\r\n",
    "version 1.10": "GET / HTTP/1.10\r\n" + HOST + "\r\n",
    "method with bad byte": "GE(T / HTTP/1.1\r\n" + HOST + "\r\n",
    "space before the method": " GET / HTTP/1.1\r\n" + HOST + "\r\n",
    "asterisk with GET": "GET * HTTP/1.1\r\n" + HOST + "\r\n",
}

BODIES = {
    "size empty": "\r\nhello\r\n0\r\n\r\n",
    "size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
    "size with plus": "+5\r\nhello\r\n0\r\n\r\n",
    "size with minus": "-5\r\nhello\r\n0\r\n\r\n",
    "size with space before": " 5\r\nhello\r\n0\r\n\r\n",
    "size not hex": "g\r\nhello\r\n0\r\n\r\n",
    "size with underscore": "1_0\r\nhello\r\n0\r\n\r\n",
    "size too large": "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
    "size wraps": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size ends with LF": "5\nhello\r\n0\r\n\r\n",
    "extension with LF": "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension with CR": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension with NUL": "5;a\x00b\r\nhello\r\n0\r\n\r\n",
    "extension without end": "5;" + "a" * 100_000 + "\r\nhello\r\n0\r\n\r\n",
    "no CRLF after data": "5\r\nhelloX0\r\n\r\n",
    "LF after data": "5\r\nhello\n0\r\n\r\n",
    "trailer with space before colon": "0\r\nX : y\r\n\r\n",
    "trailer folded": "0\r\nX: y\r\n z\r\n\r\n",
    "trailer with bare LF": "0\r\nX: y\nZ: z\r\n\r\n",
    "last chunk then LF": "0\r\n\n",
}


async def refused(http, upstream: Upstream) -> None:
    response = await http.response()
    assert response.status == 400
    assert (response.get("connection") or "").lower() == "close"
    with contextlib.suppress(StreamCut):
        assert await http.ended(), "the connection goes on after an ambiguous request"
    assert not any("smuggled" in head.target for head in upstream.requests)


@pytest.mark.parametrize("name", HEADS)
async def test_ambiguous_heads(start, name: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            assert (await http.get("/before")).status == 200
            await http.send((HEADS[name] + SMUGGLED).encode("latin-1"))
            await refused(http, upstream)
            assert [head.target for head in upstream.requests] == ["/before"], "the upstream saw it"


@pytest.mark.parametrize("name", BODIES)
async def test_ambiguous_chunks(start, name: str) -> None:
    complete = []

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            body = await connection.body(head)
            complete.append(body)
            await connection.respond()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            request = post("Transfer-Encoding: chunked", body=BODIES[name])
            await http.send((request + SMUGGLED).encode("latin-1"))
            try:
                await refused(http, upstream)
            except Incomplete:
                raise AssertionError("closed without an answer") from None
        assert complete == [], "the upstream took it for a whole request"


async def test_what_is_not_ambiguous_passes(start) -> None:
    """The neighbours of the table above, so that it does not pass for the wrong reason."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for request in (
                post("Content-Length: 5", body="hello"),
                post("content-length:5", body="hello"),
                post("Content-Length: \t 005 \t", body="hello"),
                post("Transfer-Encoding: Chunked", body="5 ;a=\"b\"\r\nhello\r\n00\r\n\r\n").replace("5 ;", "5;"),
                post("TRANSFER-ENCODING:chunked", body="000005\r\nhello\r\n0\r\n\r\n"),
                post("Content-Length: 5", "X-Odd!#$%&'*+-.^_`|~: \xff", body="hello"),
            ):
                await http.send(request.encode("latin-1"))
                response = await http.response()
                assert response.status == 200 and response.body.endswith(b"\n\nhello"), request
