"""Inner TLS: versions, ALPN, resumption, alerts and the handshake's deadline."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from peers.http_client import HTTPConnection
from peers.tls_stream import StreamCut, TLSStream
from peers.upstream import Upstream, echo

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("version", VERSIONS)
async def test_both_versions(start, version: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        context = proxy.far.context(maximum=VERSIONS[version])
        async with proxy.far.http("echo", context=context) as http:
            assert http.stream.tls.version() == version
            assert http.stream.tls.selected_alpn_protocol() == "http/1.1"
            assert (await http.get()).status == 200


async def test_minimum_version_is_a_setting(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"min_version": "1.3"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        with pytest.raises((ssl.SSLError, StreamCut)):
            await proxy.far.open(context=proxy.far.context(maximum=ssl.TLSVersion.TLSv1_2))
        await proxy.logged("tls handshake failed")


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (["http/1.1"], "http/1.1"),
        (["http/1.1", "acme-tls/1"], "http/1.1"),
        (["spdy/3", "http/1.1"], "http/1.1"),
        ([], None),
        (["acme-tls/1"], None),
        (["h2"], "h2"),
        (["http/1.1", "h2"], "h2"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
async def test_alpn_never_fails_a_handshake(start, offered: list[str], selected: str | None, version: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        context = proxy.far.context(alpn=offered, maximum=VERSIONS[version])
        async with proxy.far.http("echo", context=context) as http:
            assert http.stream.tls.selected_alpn_protocol() == selected
            if selected != "h2":
                assert (await http.get()).status == 200


async def test_any_server_name_or_none(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        context = proxy.far.context()
        context.check_hostname = False
        for name in ("echo.t.example", "something.else.example", None):
            socket = await proxy.far.raw()
            stream = TLSStream(socket, context, name)
            await stream.handshake()
            http = HTTPConnection(stream, "echo.t.example")
            assert (await http.get()).status == 200
            await stream.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_sessions_are_resumed_on_every_loop(start, version: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, threads=2)
        context = proxy.far.context(maximum=VERSIONS[version])

        async def once(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
            async with proxy.far.http("echo", context=context, session=session) as http:
                # TLS 1.3 hands its tickets out after the handshake.
                assert (await http.get()).status == 200
                assert http.stream.tls.session
                return http.stream.tls.session_reused, http.stream.tls.session

        reused, session = await once(None)
        assert not reused
        for _ in range(12):
            # Connections spread over both loops, so their tickets must be good on both.
            reused, session = await once(session)
            assert reused


async def test_tickets_can_be_turned_off(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"session_tickets": False})
        for version in VERSIONS.values():
            context = proxy.far.context(maximum=version)
            async with proxy.far.http("echo", context=context) as http:
                await http.get()
                session = http.stream.tls.session
            async with proxy.far.http("echo", context=context, session=session) as http:
                assert (await http.get()).status == 200
                assert not http.stream.tls.session_reused


@pytest.mark.parametrize("version", VERSIONS)
async def test_unknown_authority_is_named_in_the_log(start, certificates, version: str) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"})
    context = proxy.far.context(ca_file=certificates.stranger_file, maximum=VERSIONS[version])
    with pytest.raises(ssl.SSLCertVerificationError):
        await proxy.far.open(context=context)
    line = await proxy.logged("tls handshake failed")
    assert "unknown certificate authority" in line.text
    assert line.level in ("WARN", "ERROR")
    assert "127.0.0.1:" in line.text, "the peer is named"


@pytest.mark.parametrize("version", VERSIONS)
async def test_wrong_name_is_a_bad_certificate(start, version: str) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"})
    with pytest.raises(ssl.SSLCertVerificationError):
        await proxy.far.open("echo.other.example", context=proxy.far.context(maximum=VERSIONS[version]))
    assert "bad certificate" in (await proxy.logged("tls handshake failed")).text


async def test_expired_certificate_is_named(start, certificates, tmp_path) -> None:
    certificate, key = certificates.authority.issue("*.t.example", expired=True).write(tmp_path / "expired")
    proxy = start({"echo": "http://10.0.0.1:1"}, tls={"cert_file": str(certificate), "key_file": str(key)})
    with pytest.raises(ssl.SSLCertVerificationError):
        await proxy.far.open()
    assert "expired" in (await proxy.logged("tls handshake failed")).text


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
async def test_handshake_deadline(start, sent: bytes) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"}, tls={"handshake_timeout": "300ms"})
    socket = await proxy.far.raw()
    if sent:
        await socket.send(sent)
    while await socket.read_frame():
        pass
    line = await proxy.logged("tls handshake failed")
    assert "time" in line.text or "deadline" in line.text


async def test_deadline_ends_with_the_handshake(start) -> None:
    """A connection that has shaken hands is not cut by the handshake's timer."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"handshake_timeout": "400ms"})
        stalled = await proxy.far.raw()
        async with proxy.far.http("echo") as http:
            # The stalled connection came first, so when it is gone the other one's time would be up as well.
            while await stalled.read_frame():
                pass
            await asyncio.sleep(0.2)
            assert (await http.get()).status == 200


async def test_connection_lost_in_the_handshake_is_logged_once(start) -> None:
    proxy = start({"echo": "http://10.0.0.1:1"})
    socket = await proxy.far.raw()
    await socket.send(b"\x16\x03\x01")
    socket.abort()
    await proxy.logged("tls handshake failed")
    assert len(proxy.found("tls handshake failed")) == 1


async def test_requests_in_the_last_flight_and_big_records(start) -> None:
    """The first request may come in the same frame as the client's Finished."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        socket = await proxy.far.raw()
        held: list[bytes] = []

        class Holding:
            """Keeps back what is sent once the server has answered, to join it with what follows."""

            answered = False

            async def send(self, data: bytes) -> None:
                if self.answered and data:
                    held.append(data)
                else:
                    await socket.send(data)

            async def recv(self) -> bytes:
                data = await socket.recv()
                self.answered = True
                return data

        transport = Holding()
        stream = TLSStream(transport, proxy.far.context(maximum=ssl.TLSVersion.TLSv1_3), "echo.t.example")
        await stream.handshake()
        http = HTTPConnection(stream, "echo.t.example")
        await http.send(b"GET /early HTTP/1.1\r\nHost: echo.t.example\r\n\r\n")
        await socket.send(b"".join(held))
        assert (await http.response()).body.startswith(b"GET /early")
        transport.answered = False
        await socket.close()


async def test_hundred_handshakes_at_once(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})

        async def one() -> None:
            async with proxy.far.http("echo") as http:
                assert (await http.get()).status == 200

        await asyncio.gather(*(one() for _ in range(100)))
