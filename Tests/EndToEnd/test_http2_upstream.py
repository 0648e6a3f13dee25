"""Upstreams by HTTP/2: chosen by ALPN behind https routes, and by prior knowledge behind h2c ones."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from peers.endpoint import free_port
from peers.http2 import Client
from peers.http2_server import CANCEL, HTTP_1_1_REQUIRED, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, HTTP2Server, Request, until
from peers.http_client import Incomplete
from peers.upstream import Upstream, echo
from test_upstream_tls import server_context, trusting

BIG = os.urandom(1 << 20)


async def answer(request: Request) -> None:
    """Says what came."""
    body = await request.whole()
    fields = "\n".join(f"{name}: {value}" for name, value in request.fields)
    await request.reply(fields.encode() + b"\n\n" + body)


def h2_tls(certificates, folder: Path, *protocols: str) -> ssl.SSLContext:
    context = server_context(certificates.authority.issue("localhost"), folder)
    context.set_alpn_protocols(list(protocols or ("h2", "http/1.1")))
    return context


# Which version is spoken.


async def test_alpn_chooses_and_one_connection_serves_all(start, certificates, tmp_path: Path) -> None:
    tls = h2_tls(certificates, tmp_path / "up")
    async with HTTP2Server(answer, tls=tls) as server:
        proxy = start({"echo": f"https://localhost:{server.port}"}, upstream=trusting(certificates.ca_file), threads=1)

        async def client(number: int) -> None:
            async with proxy.far.http("echo") as http:
                for turn in range(5):
                    body = b"%d %d" % (number, turn)
                    response = await http.request("POST", f"/mcp?{number}", [("X-Mine", "yes")], body)
                    assert response.status == 200 and response.body.endswith(b"\n\n" + body)

        await asyncio.gather(*(client(number) for number in range(20)))
        assert len(server.peers) == 1 and len(server.requests) == 100
        request = server.requests[0]
        assert request[":method"] == "POST" and request[":scheme"] == "https" and request[":path"].startswith("/mcp?")
        assert request[":authority"] == "echo.t.example" and request["x-mine"] == "yes"
        names = [name for name, _ in request.fields]
        assert names == [name.lower() for name in names] and len(set(names)) == len(names)
        assert not {"host", "connection", "transfer-encoding", "upgrade", "keep-alive"} & set(names)
        assert request["x-forwarded-proto"] == "https" and request["x-forwarded-host"] == "echo.t.example"


async def test_off_offers_http1_alone(start, certificates, tmp_path: Path) -> None:
    tls = h2_tls(certificates, tmp_path / "up")
    async with Upstream(echo, tls=tls) as upstream:
        policy = {**trusting(certificates.ca_file), "http2": "off"}
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=policy)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


async def test_a_server_that_chooses_http1_gets_it(start, certificates, tmp_path: Path) -> None:
    tls = h2_tls(certificates, tmp_path / "up", "http/1.1")
    async with Upstream(echo, tls=tls) as upstream:
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=trusting(certificates.ca_file), threads=1)

        async def client() -> None:
            async with proxy.far.http("echo") as http:
                for _ in range(3):
                    assert (await http.request("POST", body=b"x")).status == 200

        await asyncio.gather(*(client() for _ in range(10)))
        assert len(upstream.connections) <= 10


async def test_prior_knowledge(start) -> None:
    async with HTTP2Server(answer) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, upstream={"host_header": "upstream"})
        async with proxy.far.http("echo") as http:
            response = await http.request("PUT", "/a", [("TE", "trailers, gzip"), ("Connection", "X-Mine, TE"), ("X-Mine", "1")], BIG)
            assert response.status == 200 and response.body.endswith(BIG)
        request = server.requests[0]
        assert request[":scheme"] == "http" and request[":authority"] == f"127.0.0.1:{server.port}"
        assert request["te"] == "trailers" and "x-mine" not in dict(request.fields)


async def test_prior_knowledge_of_a_server_that_has_none_gets_502(start) -> None:
    async def plain(connection) -> None:
        await connection.reader.read(1)
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with Upstream(plain) as upstream:
        proxy = start({"echo": f"h2c://127.0.0.1:{upstream.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        line = await proxy.logged("http2 did not begin")
        assert "frame over" in line.fields["reason"]


async def test_a_silent_server_gets_504(start) -> None:
    async def silent(connection) -> None:
        await connection.wait_for_end()

    async with Upstream(silent) as upstream:
        proxy = start({"echo": f"h2c://127.0.0.1:{upstream.port}"}, upstream={"connect_timeout": "300ms"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 504


# Messages.


async def test_heads_trailers_and_what_has_no_body(start) -> None:
    async def handler(request: Request) -> None:
        match request[":path"]:
            case "/hints":
                await request.head(103, ("link", "</a>"))
                await request.head(103, ("link", "</b>"))
                await request.reply(b"ok")
            case "/trailers":
                await request.whole()
                await request.head(200, ("trailer", "x-sum"))
                await request.send(b"hello " + bytes(request.body) + repr(request.trailers).encode())
                await request.trail(("x-sum", "17"))
            case "/204":
                await request.reply(b"", 204)
            case "/304":
                await request.reply(b"", 304, ("etag", '"a"'))
            case "/accepted":
                await request.head(202, end=True)
            case "/head":
                await request.head(200, ("content-length", "1000"), end=True)
            case "/length":
                await request.reply(b"12345", 200, ("content-length", "5"))

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            response = await http.get("/hints")
            assert [one.get("link") for one in response.informational] == ["</a>", "</b>"] and response.body == b"ok"
            await http.send_head("POST", "/trailers", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Up")])
            await http.send_chunk(b"body ")
            await http.send(b"0\r\nX-Up: 5\r\n\r\n")
            response = await http.response("POST")
            assert response.body == b"hello body [('x-up', '5')]" and response.trailers == [("x-sum", "17")]
            assert (await http.get("/204")).status == 204
            assert (await http.get("/304")).get("etag") == '"a"'
            response = await http.get("/accepted")
            assert response.status == 202 and response.get("content-length") == "0" and response.body == b""
            response = await http.request("HEAD", "/head")
            assert response.get("content-length") == "1000" and response.body == b""
            assert (await http.get("/length")).body == b"12345"


async def test_http2_from_end_to_end(start) -> None:
    async with HTTP2Server(answer) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})

        def play() -> None:
            with Client.connect(proxy) as client:
                streams = [client.open("POST", "/", end=False) for _ in range(30)]
                for number, stream in enumerate(streams):
                    stream.send(b"%d" % number, end=True)
                for number, stream in enumerate(streams):
                    assert stream.whole().status == 200 and bytes(stream.body).endswith(b"\n\n%d" % number)

        await asyncio.to_thread(play)
        assert len(server.requests) == 30


async def test_an_upload_waits_for_the_window(start) -> None:
    async def handler(request: Request) -> None:
        if request[":path"] == "/fast":
            return await answer(request)
        gate.set()
        while not request.ended.is_set():
            await until(lambda: request.held or request.ended.is_set())
            if request.held:
                await request.give_back()
        await request.reply(b"%d" % len(request.body))

    gate = asyncio.Event()
    async with HTTP2Server(handler, holds=True, INITIAL_WINDOW_SIZE=1_000) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        async with proxy.far.http("echo") as slow, proxy.far.http("echo") as fast:
            upload = asyncio.create_task(slow.request("POST", "/slow", body=BIG[:100_000]))
            await gate.wait()
            # Others on the same connection go on meanwhile.
            assert (await fast.get("/fast")).status == 200
            assert (await upload).body == b"100000"
        assert len(server.peers) == 1


async def test_an_early_response_while_the_upload_goes_on(start) -> None:
    async def handler(request: Request) -> None:
        await request.reply(b"early")
        if request[":path"] == "/stop":
            await request.abort(NO_ERROR)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        for path in ("/stop", "/read"):
            async with proxy.far.http("echo") as http:
                await http.send_head("POST", path, [("Content-Length", "200000")])
                await http.send(BIG[:1_000])
                assert (await http.final_head()).status == 200
                if path == "/read":
                    await http.send(BIG[:199_000])
                    await until(lambda: server.requests[-1].ended.is_set())
                    assert len(server.requests[-1].body) == 200_000
        assert len(server.peers) == 1


@pytest.mark.parametrize("size", [20_000, 100_000], ids=["with-the-head", "behind-it"])
async def test_what_waits_for_the_window_is_sent_behind_the_response(start, size: int) -> None:
    async def handler(request: Request) -> None:
        await request.reply(b"early")
        while not request.ended.is_set() and request.reset_code is None:
            await until(lambda: request.held or request.ended.is_set() or request.reset_code is not None)
            if request.held:
                await request.give_back()

    async with HTTP2Server(handler, holds=True, INITIAL_WINDOW_SIZE=1_000) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", body=BIG[:size])).body == b"early"
            await until(lambda: server.requests[0].ended.is_set() or server.requests[0].reset_code is not None)
            assert server.requests[0].reset_code is None and len(server.requests[0].body) == size
            # And the connection goes on.
            assert (await http.get()).body == b"early"


async def test_a_download_stops_with_its_client(start) -> None:
    async def handler(request: Request) -> None:
        await request.head()
        while True:
            await request.send(BIG)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        http = proxy.far.http("echo")
        async with http as connection:
            await connection.send_head("GET")
            assert (await connection.final_head()).status == 200
        request = server.requests[0]
        await until(lambda: request.reset_code is not None)
        assert request.reset_code == CANCEL
        proxy.check_requests = False


# What breaks.


@pytest.mark.parametrize("code", [INTERNAL_ERROR, CANCEL, NO_ERROR, REFUSED_STREAM])
async def test_a_response_that_breaks_off_is_never_whole(start, code: int) -> None:
    async def handler(request: Request) -> None:
        await request.head(200, ("content-type", "text/plain"))
        await request.send(b"part")
        await request.abort(code)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            with pytest.raises(Incomplete):
                await http.get()
        assert len(server.requests) == 1
        line = await proxy.logged("request finished")
        assert line.fields["end"] == "upstream_failed"


async def test_a_connection_that_ends_in_the_midst(start) -> None:
    async def handler(request: Request) -> None:
        if request[":path"] == "/head":
            await request.head()
            await request.send(b"part")
        request.peer.close()

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            with pytest.raises(Incomplete):
                await http.get("/head")
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", body=b"x")).status == 502
        # Whether it was done nobody knows, so a POST is not sent twice.
        assert len(server.requests) == 2


async def test_a_refused_request_is_sent_once_more(start) -> None:
    async def handler(request: Request) -> None:
        await request.whole()
        if len(server.requests) == 1:
            await request.abort(REFUSED_STREAM)
        else:
            await answer(request)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            response = await http.request("POST", body=b"once")
            assert response.status == 200 and response.body.endswith(b"\n\nonce")
        assert len(server.requests) == 2


async def test_a_request_that_is_refused_twice_gets_502(start) -> None:
    async def handler(request: Request) -> None:
        await request.abort(REFUSED_STREAM)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", body=b"x")).status == 502
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", [INTERNAL_ERROR, CANCEL, NO_ERROR, None])
async def test_an_end_that_is_no_refusal_says_nothing_of_what_was_done(start, code: int | None) -> None:
    """Of the stream, or of the connection: a kept one, where by HTTP/1.1 a lost request might have met its end."""

    async def handler(request: Request) -> None:
        await request.whole()
        if len(server.requests) == 1:
            await answer(request)
        elif code is None:
            request.peer.close()
        else:
            await request.abort(code)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", body=b"once")).status == 200
            assert (await http.request("POST", body=b"once")).status == 502
        assert len(server.requests) == 2


async def test_a_request_whose_body_has_gone_is_not_sent_again(start) -> None:
    """What was refused may go elsewhere, but its beginning is not there any more."""

    async def handler(request: Request) -> None:
        await until(lambda: len(request.body) > 200_000)
        await request.abort(REFUSED_STREAM)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.request("POST", body=b"x" * 1_000_000)).status == 502
        assert len(server.requests) == 1


async def test_a_request_that_a_new_connection_lost_is_not_sent_again(start) -> None:
    """A kept connection may have ended before the request came; a new one has ended because of it, as far as we know."""

    async def handler(request: Request) -> None:
        request.peer.close()

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        assert len(server.requests) == 1


async def test_goaway_sends_what_is_above_elsewhere(start) -> None:
    first = asyncio.Event()

    async def handler(request: Request) -> None:
        if len(server.peers) == 1 and request.number > 1:
            # The first stream is taken, this one is not.
            await request.peer.go_away(1)
            return
        if request.number == 1 and request.peer is server.peers[0]:
            first.set()
            await until(lambda: len(server.peers) > 1)
        await answer(request)

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        async with proxy.far.http("echo") as one, proxy.far.http("echo") as two:
            slow = asyncio.create_task(one.request("POST", body=b"one"))
            await first.wait()
            response = await two.request("POST", body=b"two")
            assert response.status == 200 and response.body.endswith(b"\n\ntwo")
            response = await slow
            assert response.status == 200 and response.body.endswith(b"\n\none")
        assert len(server.peers) == 2
        # With its last stream the old one ends.
        await server.peers[0].ended.wait()


async def test_broken_rules_end_the_connection(start) -> None:
    async def handler(request: Request) -> None:
        request.peer.writer.write(b"\x00\x00\x05\x00\x00\x00\x00\x00\x00hello")
        await request.peer.writer.drain()

    async with HTTP2Server(handler) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        await server.peers[0].ended.wait()
        await proxy.logged("http2 connection to upstream failed")


# Places.


async def test_no_more_streams_than_the_server_takes(start) -> None:
    gate = asyncio.Event()
    most = 0

    async def handler(request: Request) -> None:
        nonlocal most
        most = max(most, request.peer.open)
        await gate.wait()
        await answer(request)

    async with HTTP2Server(handler, MAX_CONCURRENT_STREAMS=2) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)

        async def client() -> None:
            async with proxy.far.http("echo") as http:
                assert (await http.request("POST", body=b"x")).status == 200

        # n requests have places on one connection, and n + 1 need another one.
        clients = [asyncio.create_task(client()) for _ in range(2)]
        await until(lambda: len(server.requests) == 2)
        assert len(server.peers) == 1
        clients += [asyncio.create_task(client())]
        await until(lambda: len(server.requests) == 3)
        assert len(server.peers) == 2
        clients += [asyncio.create_task(client()) for _ in range(7)]
        await until(lambda: len(server.requests) == 10)
        gate.set()
        await asyncio.gather(*clients)
        assert most == 2 and len(server.peers) <= 10


async def test_a_limit_that_changes(start) -> None:
    async def handler(request: Request) -> None:
        if len(server.requests) == 1:
            await request.peer.settings(MAX_CONCURRENT_STREAMS=1, INITIAL_WINDOW_SIZE=5, MAX_FRAME_SIZE=20_000)
        await answer(request)

    async with HTTP2Server(handler, MAX_CONCURRENT_STREAMS=100, INITIAL_WINDOW_SIZE=100_000) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)

        async def client() -> None:
            async with proxy.far.http("echo") as http:
                response = await http.request("POST", body=b"x" * 50)
                assert response.status == 200 and response.body.endswith(b"x" * 50)

        await client()
        await asyncio.gather(*(client() for _ in range(5)))
        assert len(server.peers) >= 2


async def test_a_server_that_takes_none_gets_503(start) -> None:
    async with HTTP2Server(answer, MAX_CONCURRENT_STREAMS=0) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, upstream={"connect_timeout": "300ms"}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 503
        assert len(server.peers) == 1


# Its life.


async def test_an_idle_connection_is_closed_in_time(start) -> None:
    async with HTTP2Server(answer) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, upstream={"idle_timeout": "300ms"}, threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            assert (await http.get()).status == 200
            assert len(server.peers) == 1
            await server.peers[0].ended.wait()
            assert server.peers[0].goaway == NO_ERROR
            assert (await http.get()).status == 200
        assert len(server.peers) == 2


async def test_a_connection_that_the_server_ended_is_not_used(start) -> None:
    async with HTTP2Server(answer) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"}, threads=1)
        async with proxy.far.http("echo") as http:
            for turn in range(1, 5):
                assert (await http.request("POST", body=b"x")).status == 200
                server.peers[-1].close()
                await server.peers[-1].ended.wait()
                assert len(server.peers) == turn


async def test_a_reload_makes_new_ones(start, certificates, tmp_path: Path) -> None:
    tls = h2_tls(certificates, tmp_path / "up")
    async with HTTP2Server(answer, tls=tls) as server:
        proxy = start({"echo": f"https://localhost:{server.port}"}, upstream=trusting(certificates.ca_file), threads=1)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            mark = proxy.mark()
            proxy.process.send_signal(signal.SIGHUP)
            await proxy.logged("configuration reloaded", since=mark)
            assert (await http.get()).status == 200
        assert len(server.peers) == 2
        await server.peers[0].ended.wait()


# Beside HTTP/2.


async def test_a_login_of_a_connection_goes_by_http1(start, certificates, tmp_path: Path) -> None:
    """NTLM logs the connection in: on one that is shared, everybody would be who logged in last."""
    protocols: list[str | None] = []

    async def either(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        protocols.append(chosen)
        if chosen == "h2":
            await server._accept(reader, writer)
            return
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")
            await writer.drain()

    server = HTTP2Server(answer)
    listener = await asyncio.start_server(either, "127.0.0.1", 0, ssl=h2_tls(certificates, tmp_path / "up"))
    port = listener.sockets[0].getsockname()[1]
    proxy = start({"echo": f"https://localhost:{port}"}, upstream=trusting(certificates.ca_file), threads=1)
    async with proxy.far.http("echo") as http:
        assert (await http.get()).body != b"h1"
        assert (await http.get(headers=[("Authorization", "NTLM TlRMTVNTUAAB")])).body == b"h1"
        assert (await http.get(headers=[("Authorization", "Bearer abc")])).status == 200
    assert protocols == ["h2", "http/1.1"]
    listener.close()
    for peer in server.peers:
        peer.close()


async def test_a_server_that_asks_for_http1_gets_it(start, certificates, tmp_path: Path) -> None:
    async def refuse(request: Request) -> None:
        await request.abort(HTTP_1_1_REQUIRED)

    async def either(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await server._accept(reader, writer)
            return
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")
            await writer.drain()

    server = HTTP2Server(refuse)
    listener = await asyncio.start_server(either, "127.0.0.1", 0, ssl=h2_tls(certificates, tmp_path / "up"))
    port = listener.sockets[0].getsockname()[1]
    proxy = start({"echo": f"https://localhost:{port}"}, upstream=trusting(certificates.ca_file), threads=1)
    async with proxy.far.http("echo") as http:
        for _ in range(3):
            assert (await http.get()).body == b"h1"
    assert len(server.requests) == 1
    listener.close()
    for peer in server.peers:
        peer.close()


@pytest.mark.parametrize("accepts", [True, False])
async def test_websocket_by_extended_connect(start, accepts: bool) -> None:
    async def handler(request: Request) -> None:
        if not accepts:
            await request.reply(b"no", 403)
            return
        await request.head(200, ("sec-websocket-protocol", "mcp"))
        await until(lambda: bytes(request.body) == b"ping")
        await request.send(b"pong", end=True)

    async with HTTP2Server(handler, ENABLE_CONNECT_PROTOCOL=1) as server:
        proxy = start({"echo": f"h2c://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/ws", [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", "mcp")])
            response = await http.final_head()
            if accepts:
                assert response.status == 101 and response.get("sec-websocket-protocol") == "mcp"
                assert response.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                await http.send(b"ping")
                while b"pong" not in http._buffer:
                    await http._more()
            else:
                assert response.status == 403
        request = server.requests[0]
        assert request[":method"] == "CONNECT" and request[":protocol"] == "websocket" and request[":path"] == "/ws"
        assert "sec-websocket-key" not in dict(request.fields) and request["sec-websocket-version"] == "13"


async def test_websocket_by_http1_where_there_is_no_extended_connect(start, certificates, tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def either(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await server._accept(reader, writer)
            return
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        await writer.drain()
        await reader.read()

    server = HTTP2Server(answer)
    listener = await asyncio.start_server(either, "127.0.0.1", 0, ssl=h2_tls(certificates, tmp_path / "up"))
    port = listener.sockets[0].getsockname()[1]
    proxy = start({"echo": f"https://localhost:{port}"}, upstream=trusting(certificates.ca_file), threads=1)
    async with proxy.far.http("echo") as http:
        await http.send_head("GET", "/ws", [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        assert (await http.final_head()).status == 101
    assert len(heads) == 1 and len(server.requests) == 0
    listener.close()
    for peer in server.peers:
        peer.close()


# Servers that were not written with us in mind.


async def test_nginx(start, nginx, certificates, tmp_path: Path) -> None:
    leaf, key = certificates.authority.issue("localhost").write(tmp_path / "up")
    root = tmp_path / "site"
    root.mkdir()
    (root / "big.bin").write_bytes(BIG * 20)
    server = nginx(
        "server { listen 127.0.0.1:{port} ssl http2; ssl_certificate %s; ssl_certificate_key %s; root %s;"
        " location = /version { return 200 $server_protocol; }"
        " location /dav/ { dav_methods PUT; create_full_put_path on; } keepalive_requests 50; }" % (leaf, key, root))
    proxy = start({"echo": f"https://localhost:{server.port}"}, upstream=trusting(certificates.ca_file), threads=1)

    async def client(number: int) -> None:
        async with proxy.far.http("echo") as http:
            # nginx says GOAWAY after fifty requests on a connection.
            for turn in range(20):
                response = await http.get("/version")
                assert response.status == 200 and response.body == b"HTTP/2.0"
            assert (await http.request("PUT", f"/dav/{number}", body=BIG)).status == 201
            assert (await http.get(f"/dav/{number}")).body == BIG
            assert (await http.get("/big.bin")).body == BIG * 20

    await asyncio.gather(*(client(number) for number in range(8)))
    assert not proxy.found("broke off|no response")


APP = '''
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"] + " by " + scope["http_version"]})
        return
    if scope["type"] != "http":
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    text = b"%s %d" % (scope["http_version"].encode(), len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"data: " + text + b"\\n\\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})
'''


@pytest.mark.parametrize("scheme", ["https", "h2c"])
async def test_hypercorn(start, certificates, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "--workers", "0", "--bind", f"127.0.0.1:{port}", "app:app"]
    if scheme == "https":
        leaf, key = certificates.authority.issue("localhost").write(tmp_path / "up")
        command += ["--certfile", str(leaf), "--keyfile", str(key)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        await until(lambda: listens(port), 20)
        proxy = start({"echo": f"{scheme}://localhost:{port}"}, upstream=trusting(certificates.ca_file), threads=1)

        async def client() -> None:
            async with proxy.far.http("echo") as http:
                for size in (0, 10, 200_000):
                    response = await http.request("POST", body=b"x" * size)
                    assert response.body == b"data: 2 %d\n\n" % size * 3

        await asyncio.gather(*(client() for _ in range(10)))
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/ws", [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
            assert (await http.final_head()).status == 101
            await http.send(b"\x81\x82\0\0\0\0hi")
            # hypercorn takes extended CONNECT.
            while b"hi by 2" not in http._buffer:
                assert await http._more()
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_check_shows_what_was_agreed(binary, start, certificates, tmp_path: Path) -> None:
    async with HTTP2Server(answer, tls=h2_tls(certificates, tmp_path / "up")) as server:
        proxy = start({"echo": f"https://localhost:{server.port}"}, upstream=trusting(certificates.ca_file))
        process = await asyncio.create_subprocess_exec(
            str(binary), "check", "-config", str(proxy.config_file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = await process.communicate()
        assert b"ALPN h2" in output
        # Its dialogue went by HTTP/2 too.
        assert any(request[":method"] == "POST" and b"jsonrpc" in request.body for request in server.requests)
