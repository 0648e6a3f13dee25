"""nginx as the upstream: a server that was not written with us in mind."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from peers.upstream import Connection, Upstream

FILES = """
server {
    listen 127.0.0.1:{port};
    root %s;
    etag on;
    location /dav/ { dav_methods PUT DELETE; create_full_put_path on; }
    location /gzip/ { gzip on; gzip_types *; gzip_min_length 1; gzip_comp_level 1; }
    location /limited/ { keepalive_requests 7; }
    location /no-keepalive/ { keepalive_timeout 0; }
    location = /204 { return 204; }
    location = /301 { return 301 /elsewhere; }
    location /upstream/ { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; proxy_buffering off; }
    location /buffered/ { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; chunked_transfer_encoding on; }
}
"""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for folder in ("gzip", "limited", "no-keepalive", "dav"):
        (root / folder).mkdir(parents=True)
    (root / "hello.txt").write_text("hello, tunnel\n")
    (root / "limited" / "hello.txt").write_text("hello\n")
    (root / "no-keepalive" / "hello.txt").write_text("hello\n")
    (root / "gzip" / "words.txt").write_text("the same words over and over\n" * 4000)
    return root


def files(root: Path, upstream_port: int = 1) -> str:
    return FILES % (root, upstream_port, upstream_port)


@pytest.mark.deadline(60)
async def test_large_download(start, nginx, site: Path) -> None:
    size = 200 << 20
    digest = hashlib.sha256()
    with open(site / "big.bin", "wb") as big:
        for _ in range(size >> 20):
            block = os.urandom(1 << 20)
            digest.update(block)
            big.write(block)
    server = nginx(files(site))
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
    proxy.reset_peak_memory()
    before = proxy.peak_memory()
    async with proxy.far.http("echo", raw=True) as http:
        await http.send_head("GET", "/big.bin")
        response = await http.final_head()
        assert response.get("content-length") == str(size)
        received, count = hashlib.sha256(), 0
        async for part in http.body(response):
            received.update(part)
            count += len(part)
        assert count == size and received.digest() == digest.digest()
        # A part of it, as clients do when they resume.
        part = await http.request("GET", "/big.bin", [("Range", "bytes=1000-1999")])
        assert part.status == 206 and len(part.body) == 1000
    assert proxy.peak_memory() - before < 16 << 20
    finished = await proxy.logged("request finished")
    assert int(finished.fields["bytes_out"]) >= size


@pytest.mark.deadline(60)
@pytest.mark.parametrize("chunked", [False, True])
async def test_large_upload(start, nginx, site: Path, chunked: bool) -> None:
    block, blocks = os.urandom(1 << 20), 64
    server = nginx(files(site))
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
    proxy.reset_peak_memory()
    before = proxy.peak_memory()
    async with proxy.far.http("echo", raw=True) as http:
        length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(blocks << 20))
        await http.send_head("PUT", "/dav/uploaded.bin", [length])
        for _ in range(blocks):
            await (http.send_chunk(block) if chunked else http.send(block))
        if chunked:
            await http.send(b"0\r\n\r\n")
        assert (await http.response()).status == 201
    assert proxy.peak_memory() - before < 16 << 20
    assert sha((site / "dav" / "uploaded.bin").read_bytes()) == sha(block * blocks)


@pytest.mark.parametrize("folder", ["limited", "no-keepalive"])
async def test_pool_survives_keep_alive_limits(start, nginx, site: Path, folder: str) -> None:
    server = nginx(files(site))
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})

    async def one() -> None:
        async with proxy.far.http("echo") as http:
            for _ in range(50):
                response = await http.get(f"/{folder}/hello.txt")
                assert (response.status, response.body) == (200, b"hello\n")
            for _ in range(20):
                response = await http.request("PUT", "/dav/x", body=b"not to be lost or doubled")
                assert response.status in (201, 204)

    await asyncio.gather(*(one() for _ in range(4)))


async def test_conditional_head_and_empty_answers(start, nginx, site: Path) -> None:
    server = nginx(files(site))
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
    async with proxy.far.http("echo") as http:
        full = await http.get("/hello.txt")
        assert full.body == b"hello, tunnel\n"
        for _ in range(2):
            etag = full.get("etag") or ""
            assert (await http.request("GET", "/hello.txt", [("If-None-Match", etag)])).status == 304
            head = await http.request("HEAD", "/hello.txt")
            assert (head.status, head.get("content-length"), head.body) == (200, "14", b"")
            assert (await http.get("/204")).status == 204
            moved = await http.get("/301")
            assert moved.status == 301 and (moved.get("location") or "").endswith("/elsewhere")
            assert (await http.get("/absent")).status == 404


async def test_compressed_answers_pass_byte_for_byte(start, nginx, site: Path) -> None:
    server = nginx(files(site))
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = b"GET /gzip/words.txt HTTP/1.0\r\nHost: echo.t.example\r\nAccept-Encoding: gzip\r\n\r\n"
    writer.write(request.replace(b"1.0\r\n", b"1.1\r\nConnection: close\r\n"))
    direct = await reader.read()
    writer.close()
    head, _, body = direct.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head and b"Content-Encoding: gzip" in head
    expected = b""
    while size := int(body.partition(b"\r\n")[0], 16):
        body = body.partition(b"\r\n")[2]
        expected, body = expected + body[:size], body[size + 2 :]
    async with proxy.far.http("echo") as http:
        response = await http.request("GET", "/gzip/words.txt", [("Accept-Encoding", "gzip")])
        assert response.get("content-encoding") == "gzip"
        assert response.body == expected


async def test_expect_continue_and_trailers_through_nginx(start, nginx, site: Path) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            body = await connection.body(head)
            await connection.respond_chunked(body.upper(), b"!")

    async with Upstream(handler) as upstream:
        server = nginx(files(site, upstream.port))
        proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
        async with proxy.far.http("echo") as http:
            for _ in range(2):
                await http.send_head("POST", "/buffered/", [("Expect", "100-continue"), ("Content-Length", "5")])
                assert (await http.head()).status == 100
                await http.send(b"hello")
                response = await http.response()
                assert (response.status, response.body) == (200, b"HELLO!")
                await http.send_head("POST", "/upstream/", [("Transfer-Encoding", "chunked")])
                await http.send(b"3\r\nabc\r\n0\r\n\r\n")
                assert (await http.response()).body == b"ABC!"


TLS = """
server {
    listen 127.0.0.1:{port} ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    location / { return 200 "over TLS, as $host"; }
}
"""


async def test_https_with_a_private_authority(start, nginx, certificates, tmp_path: Path) -> None:
    certificate, key = certificates.authority.issue("localhost").write(tmp_path / "up")
    server = nginx(TLS % (certificate, key))
    url = f"https://localhost:{server.port}"
    upstream = {"allowed_ips": ["127.0.0.0/8"], "tls": {"ca_file": str(certificates.ca_file)}}
    proxy = start({"echo": url}, upstream=upstream)
    async with proxy.far.http("echo") as http:
        for _ in range(3):
            assert (await http.get()).body == b"over TLS, as echo.t.example"
    upstream["tls"] = {"ca_file": str(certificates.stranger_file)}
    proxy = start({"echo": url}, upstream=upstream)
    async with proxy.far.http("echo") as http:
        assert (await http.get()).status == 502
    await proxy.logged(" (WARN|ERROR) .*certificate")
