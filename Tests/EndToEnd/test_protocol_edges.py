"""Upgrades that are not ours to tunnel, chunk extensions, lengths, NAT64 forms, session tickets."""

from __future__ import annotations

import ssl

import pytest
from peers.blocking import Tunnel, client_context
from peers.scripted import Peer, Scripted
from peers.upstream import Connection, Upstream, echo


# Upgrade (RFC 9110 §7.8).


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
        ("Connection: upgrade", "Upgrade: chat/1"),
        ("Connection: Upgrade", "Upgrade: websocket2"),
        ("Connection: Upgrade", "Upgrade: TLS/1.0, HTTP/2.0"),
        ("Connection: keep-alive", "Upgrade: websocket"),
    ],
)
async def test_other_protocols_are_taken_out(start, lines: tuple[str, ...]) -> None:
    """The request goes on as an ordinary one."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            headers = [tuple(line.split(": ", 1)) for line in lines]
            for _ in range(2):
                response = await http.request("POST", headers=headers, body=b"hello")
                assert response.status == 200 and response.body.endswith(b"\n\nhello")
        for request in upstream.requests:
            sent = {name.lower(): value.lower() for name, value in request.headers}
            assert "upgrade" not in sent and "http2-settings" not in sent
            assert "upgrade" not in sent.get("connection", "")


def switching(*fields: str):
    async def handler(connection: Connection) -> None:
        if head := await connection.head():
            connection.upstream.asked = head.get("upgrade")  # type: ignore[attr-defined]
            lines = ["HTTP/1.1 101 Switching Protocols", *fields, "", ""]
            await connection.send("\r\n".join(lines).encode() + b"after")
            await connection.wait_for_end()

    return handler


@pytest.mark.parametrize(
    ("asked", "upgrade"),
    [
        ("websocket", "websocket"), ("WebSocket", "websocket"), ("websocket", "WebSocket"),
        ("h2c, websocket", "websocket"),
    ],
)
async def test_websocket_is_tunnelled(start, asked: str, upgrade: str) -> None:
    async with Upstream(switching("Connection: Upgrade", f"Upgrade: {upgrade}")) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/", [("Connection", "Upgrade"), ("Upgrade", asked)])
            assert (await http.final_head()).status == 101
            assert await http.take(5) == b"after"
        assert upstream.asked.lower() == "websocket"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Connection: Upgrade",),
        ("Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: chat/1"),
        ("Connection: Upgrade", "Upgrade: websocket, h2c"),
        ("Connection: Upgrade", "Upgrade:"),
    ],
)
async def test_a_switch_to_something_else_is_a_bad_response(start, fields: tuple[str, ...]) -> None:
    async with Upstream(switching(*fields)) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
            assert (await http.final_head()).status == 502
        await upstream.connections[0].ended.wait()


async def test_a_switch_to_h2c_that_was_asked_for_is_a_bad_response(start) -> None:
    async with Upstream(switching("Connection: Upgrade", "Upgrade: h2c")) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "h2c")])
            assert (await http.final_head()).status == 502
        assert upstream.asked is None  # type: ignore[attr-defined]


# Chunk extensions (RFC 9112 §7.1.1).


GOOD_EXTENSIONS = [b";a", b";a=b", b" ; a = b", b"\t;\ta\t=\tb", b';a="q;r"', b';a="\\""', b';a=""', b";a;b=c;d"]
BAD_EXTENSIONS = [b";", b"; ", b';a="', b";=b", b";a=", b';a="x"y', b";a b", b" a", b";a;", b';a="\\"', b';a="\x01"']


@pytest.mark.parametrize("extension", GOOD_EXTENSIONS)
async def test_good_chunk_extensions_are_taken(start, extension: bytes) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
            await http.send(b"5%b\r\nhello\r\n0%b\r\n\r\n" % (extension, extension))
            response = await http.response()
            assert response.status == 200 and response.body.endswith(b"\n\nhello")


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("extension", BAD_EXTENSIONS)
async def test_malformed_chunk_extensions_are_refused(start, extension: bytes, place: str) -> None:
    first, last = (extension, b"") if place == "first" else (b"", extension)
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open("echo", raw=True)
        head = b"POST / HTTP/1.1\r\nHost: echo.t.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.write(head + b"5%b\r\nhello\r\n0%b\r\n\r\n" % (first, last))
        assert (await stream.read()).startswith(b"HTTP/1.1 400 ")
        stream.abort()
        assert (await proxy.logged("request finished")).fields["end"] == "bad_request"


@pytest.mark.parametrize("extension", [b";", b';a="'])
async def test_malformed_chunk_extensions_of_a_response_break_it_off(start, extension: bytes) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await connection.send(b"5%b\r\nhello\r\n0\r\n\r\n" % extension)
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        stream = await proxy.far.open("echo", raw=True)
        await stream.write(b"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n")
        assert (await proxy.logged("request finished")).fields["end"] == "upstream_failed"
        stream.abort()


# Content-Length.


@pytest.mark.parametrize(("written", "meant"), [("010", "10"), ("0000000000000000000000010", "10"), ("00", "0")])
async def test_lengths_go_on_without_leading_zeros(start, written: str, meant: str) -> None:
    """The next reader might take them for octal."""
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            body = b"y" * int(meant)
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n%b" % (written.encode(), body))

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                await http.send_head("POST", "/", [("Content-Length", written)])
                await http.send(b"x" * int(meant))
                response = await http.response()
                assert (response.status, response.get("content-length")) == (200, meant)
        assert [request.get("content-length") for request in upstream.requests] == [meant] * 2


# NAT64 (RFC 6052): the address inside of an address.


@pytest.mark.parametrize(
    ("ranges", "refused"),
    [
        (["127.0.0.0/8"], True),
        (["64:ff9b::/96"], True),
        (["127.0.0.0/8", "64:ff9b::/96"], False),
        (["10.0.0.0/8", "64:ff9b::/96"], True),
        (["127.0.0.0/8", "64:ff9b:1::/48"], True),
    ],
)
async def test_a_nat64_form_needs_both_allowed(start, ranges: list[str], refused: bool) -> None:
    proxy = start({"echo": "http://[64:ff9b::7f00:1]:9"}, upstream={"allowed_ips": ranges, "connect_timeout": "200ms"})
    async with proxy.far.http("echo") as http:
        assert (await http.get()).status in ((502,) if refused else (502, 504))
    # Nobody is there: one that may be dialled is refused by the network, or does not come in time.
    ends = ("refused",) if refused else ("upstream_failed", "timeout")
    assert (await proxy.logged("request finished")).fields["end"] in ends


# Session tickets (RFC 8446 §4.6.1).


def test_each_resumption_brings_a_ticket_of_its_own(start) -> None:
    """So that a client that uses each ticket once (RFC 8446 §C.4) never pays for a full handshake again."""
    def handler(peer: Peer) -> None:
        while peer.request():
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url})
        context = client_context(proxy.far.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        session, used = None, set()
        for number in range(6):
            with Tunnel(proxy.endpoint.port, "echo.t.example", context, session=session) as one:
                assert one.tls.session_reused == (number > 0), f"connection {number}"
                # Tickets come behind the handshake, and are read with the response.
                assert one.request().status == 200
                session = one.tls.session
            assert session and session.has_ticket
            assert session.id not in used, f"connection {number} brought no new ticket"
            used.add(session.id)


def test_a_ticket_after_a_reload_of_the_certificate_is_harmless(start, certificates, tmp_path) -> None:
    """A session of the old certificate is resumed or not; the connection works."""
    certificate, key = certificates.authority.issue("*.t.example").write(tmp_path, "served")

    def handler(peer: Peer) -> None:
        while peer.request():
            peer.respond()

    with Scripted(handler) as upstream:
        proxy = start(
            {"echo": upstream.url},
            tls={"cert_file": str(certificate), "key_file": str(key), "reload_interval": "50ms"})
        context = client_context(proxy.far.ca_file)
        session = None
        for _ in range(3):
            with Tunnel(proxy.endpoint.port, "echo.t.example", context, session=session) as one:
                assert one.request().status == 200
                session = one.tls.session
            mark = proxy.mark()
            certificates.authority.issue("*.t.example").write(tmp_path, "served")
            proxy.wait_for("certificate reloaded", since=mark)
