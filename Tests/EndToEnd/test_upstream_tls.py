"""https upstreams: the chain and the name are verified against what the configuration trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from peers.http_client import Incomplete
from peers.upstream import Upstream, echo


def server_context(leaf, folder: Path) -> ssl.SSLContext:
    certificate, key = leaf.write(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def trusting(ca_file: Path, **more: object) -> dict:
    return {"allowed_ips": ["127.0.0.0/8"], "tls": {"ca_file": str(ca_file), **more}}


@pytest.mark.parametrize(("name", "url"), [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")])
async def test_private_authority(start, certificates, tmp_path: Path, name: str, url: str) -> None:
    names: list[str | None] = []
    context = server_context(certificates.authority.issue(name), tmp_path / "up")
    context.sni_callback = lambda _socket, server_name, _context: names.append(server_name)
    async with Upstream(echo, tls=context) as upstream:
        proxy = start({"echo": f"https://{url}:{upstream.port}"}, upstream=trusting(certificates.ca_file))
        async with proxy.far.http("echo") as http:
            for _ in range(3):
                response = await http.request("POST", body=b"x" * 100_000)
                assert response.status == 200 and response.body.endswith(b"x" * 100_000)
        # SNI carries names only, never addresses (RFC 6066 §3).
        assert names == (["localhost"] if url == "localhost" else [None])


async def test_unknown_authority_gets_502(start, certificates, tmp_path: Path) -> None:
    context = server_context(certificates.stranger.issue("localhost"), tmp_path / "up")
    async with Upstream(echo, tls=context) as upstream:
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=trusting(certificates.ca_file))
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        line = await proxy.logged(" (WARN|ERROR) ")
        assert "certificate" in line.text and "echo" in line.text
        assert upstream.requests == []


@pytest.mark.parametrize("expired", [False, True])
async def test_wrong_name_or_expired_gets_502(start, certificates, tmp_path: Path, expired: bool) -> None:
    leaf = certificates.authority.issue("localhost" if expired else "other.example", expired=expired)
    async with Upstream(echo, tls=server_context(leaf, tmp_path / "up")) as upstream:
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=trusting(certificates.ca_file))
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        line = await proxy.logged(" (WARN|ERROR) ")
        assert ("expired" if expired else "name") in line.text.lower()
        assert upstream.requests == []


async def test_private_authority_beside_the_systems(start, certificates, tmp_path: Path) -> None:
    context = server_context(certificates.authority.issue("localhost"), tmp_path / "up")
    async with Upstream(echo, tls=context) as upstream:
        both = trusting(certificates.ca_file, include_system_cas=True)
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=both)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        system = {"allowed_ips": ["127.0.0.0/8"], "tls": {"include_system_cas": True}}
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=system)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502


async def test_https_url_to_a_plain_server_gets_502(start, certificates) -> None:
    async def plain(connection) -> None:
        await connection.reader.read(1)
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with Upstream(plain) as upstream:
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=trusting(certificates.ca_file))
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502
        await proxy.logged(" (WARN|ERROR) ")


async def test_http_url_to_a_tls_server_gets_502(start, certificates, tmp_path: Path) -> None:
    context = server_context(certificates.authority.issue("localhost"), tmp_path / "up")
    async with Upstream(echo, tls=context) as upstream:
        proxy = start({"echo": f"http://localhost:{upstream.port}"})
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 502


async def test_handshake_that_stalls_gets_504(start, certificates) -> None:
    async def silent(connection) -> None:
        await connection.wait_for_end()

    async with Upstream(silent) as upstream:
        policy = {**trusting(certificates.ca_file), "connect_timeout": "400ms"}
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=policy)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 504
        await upstream.connections[0].ended.wait()


async def test_cut_without_close_notify_is_not_an_end(start, certificates, tmp_path: Path) -> None:
    """An answer without length over TLS ends with close_notify; a bare FIN is a truncation attack."""

    async def handler(connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart of it")
        # Past asyncio's TLS, to the socket itself: FIN without close_notify.
        connection.writer.transport._ssl_protocol._transport.close()

    context = server_context(certificates.authority.issue("localhost"), tmp_path / "up")
    async with Upstream(handler, tls=context) as upstream:
        proxy = start({"echo": f"https://localhost:{upstream.port}"}, upstream=trusting(certificates.ca_file))
        async with proxy.far.http("echo") as http:
            with pytest.raises(Incomplete):
                await http.get()
