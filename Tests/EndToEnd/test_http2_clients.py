"""HTTP/2 in the tunnel with programs that know nothing of tunnels: curl, nghttp, h2load, httpx and the MCP SDK."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpcore2
import httpx2
import pytest
from conftest import DOMAIN, REPOSITORY
from peers import httpcore_backend
from peers.blocking import Ended, Tunnel
from peers.bridge import Bridge
from peers.http2 import Client, h2_context
from peers.scripted import Peer, Scripted
from test_mcp import PYTHON, play, server  # noqa: F401  (a fixture)

HOST = f"echo.{DOMAIN}"
BIG = os.urandom(1 << 20) * 10
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


def serve(peer: Peer) -> None:
    """An upstream with a path for each thing that a client may want."""
    while (head := peer.head()) is not None:
        method, target, _ = head.split("\r\n")[0].split(" ")
        lower = head.lower()
        if "\r\nexpect: 100-continue" in lower:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, trailers = read_body(peer, lower)
        if target == "/big":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG))
            if method != "HEAD":
                peer.send(BIG)
        elif target == "/trailers":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                      b"5\r\nhello\r\n0\r\nX-Sum: 17\r\n\r\n")
        elif target == "/hints":
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + ANSWER % (2, b"ok"))
        elif target == "/digest":
            text = f"{len(body)} {hashlib.sha256(body).hexdigest()} {trailers}".encode()
            peer.send(ANSWER % (len(text), text))
        else:
            text = head.encode("latin-1") + b"\n\n" + body
            peer.send(ANSWER % (len(text), b"" if method == "HEAD" else text))


def read_body(peer: Peer, lower: str) -> tuple[bytes, str]:
    def need(count: int) -> None:
        while len(peer.buffer) < count:
            data = peer.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the body was cut")
            peer.buffer.extend(data)

    def line() -> bytes:
        while (end := peer.buffer.find(b"\r\n")) < 0:
            need(len(peer.buffer) + 1)
        found = bytes(peer.buffer[:end])
        del peer.buffer[: end + 2]
        return found

    def take(count: int) -> bytes:
        need(count)
        found = bytes(peer.buffer[:count])
        del peer.buffer[:count]
        return found

    if length := re.search(r"\r\ncontent-length: (\d+)", lower):
        return take(int(length[1])), ""
    if "\r\ntransfer-encoding: chunked" not in lower:
        return b"", ""
    parts = []
    while size := int(line(), 16):
        parts.append(take(size))
        assert line() == b""
    trailers = []
    while found := line():
        trailers.append(found.decode())
    return b"".join(parts), ",".join(trailers)


@pytest.fixture
def bridge(start):
    """A proxy with an upstream that can do everything, and the port through which any client reaches it."""
    with Scripted(serve) as upstream:
        proxy = start({"echo": upstream.url})
        with Bridge(proxy) as bridge:
            bridge.proxy = proxy
            yield bridge


def curl(bridge: Bridge, path: str = "/", *arguments: str, fails: int | None = None, give: bytes | None = None):
    """The output of curl, and what it says of the version of HTTP and the status."""
    command = [
        "curl", "--silent", "--show-error", "--http2", "--cacert", str(bridge.proxy.far.ca_file), "--max-time", "30",
        "--connect-to", f"{HOST}:443:127.0.0.1:{bridge.port}", "--write-out", "%{stderr}%{http_version} %{http_code}",
        *arguments, f"https://{HOST}{path}"]
    done = subprocess.run(
        command, input=give, stdin=None if give is not None else subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == (fails or 0), (done.returncode, done.stderr)
    return done.stdout, done.stderr.decode()


def test_curl_gets_and_posts(bridge: Bridge) -> None:
    body, said = curl(bridge, "/a?b=c")
    assert said == "2 200" and body.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"\r\nHost: echo.t.example\r\n" in body and b"X-Forwarded-Proto: https" in body
    body, said = curl(bridge, "/", "--data", '{"jsonrpc":"2.0"}', "-H", "Content-Type: application/json")
    assert said == "2 200" and body.endswith(b'\n\n{"jsonrpc":"2.0"}')
    record = bridge.proxy.wait_for("request finished", count=2)
    assert (record.fields["protocol"], record.fields["stream"], record.fields["status"]) == ("h2", "1", "200")


def test_curl_uses_one_connection_for_several_requests(bridge: Bridge) -> None:
    urls = [f"https://{HOST}/{number}" for number in range(20)]
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--parallel", "--parallel-max", "10", "--cacert", str(bridge.proxy.far.ca_file),
         "--connect-to", f"{HOST}:443:127.0.0.1:{bridge.port}", *urls],
        stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert sorted(re.findall(rb"GET /(\d+) HTTP", done.stdout), key=int) == [b"%d" % number for number in range(20)]
    assert bridge.count == 1


@pytest.mark.parametrize("way", ["content-length", "unknown-length"])
def test_curl_uploads_ten_megabytes(bridge: Bridge, tmp_path: Path, way: str) -> None:
    (tmp_path / "big").write_bytes(BIG)
    if way == "content-length":
        body, said = curl(bridge, "/digest", "--upload-file", str(tmp_path / "big"))
    else:
        body, said = curl(bridge, "/digest", "--request", "POST", "--upload-file", "-", give=BIG)
    assert said == "2 200" and body.split()[:2] == [b"%d" % len(BIG), hashlib.sha256(BIG).hexdigest().encode()]


def test_curl_downloads_ten_megabytes(bridge: Bridge) -> None:
    body, said = curl(bridge, "/big")
    assert said == "2 200" and body == BIG


def test_curl_head(bridge: Bridge) -> None:
    head, said = curl(bridge, "/big", "--head")
    assert said == "2 200" and f"content-length: {len(BIG)}".encode() in head


def test_curl_waits_for_100_continue(bridge: Bridge) -> None:
    body, said = curl(bridge, "/digest", "-D", "-", "-H", "Expect: 100-continue", "--data-binary", "x" * 5_000)
    assert said == "2 200"
    assert body.startswith(b"HTTP/2 100") and b"5000 " in body


def test_curl_shows_trailers_and_early_hints(bridge: Bridge) -> None:
    body, said = curl(bridge, "/trailers", "-i", "--raw")
    assert said == "2 200" and b"hello" in body and body.lower().endswith(b"x-sum: 17\r\n")
    # No framing of HTTP/1.1 is left over.
    assert b"transfer-encoding" not in body.lower() and b"\r\n5\r\n" not in body
    body, said = curl(bridge, "/hints", "-i")
    assert said == "2 200" and body.startswith(b"HTTP/2 103") and b"link: </a>; rel=preload" in body


@pytest.fixture(scope="session")
def nghttp2() -> None:
    if not shutil.which("h2load"):
        subprocess.run([REPOSITORY / "Tests/Support/need", "nghttp2-client"], check=True)


def nghttp(bridge: Bridge, path: str, *arguments: str) -> str:
    done = subprocess.run(
        ["nghttp", "-v", "-H", f":authority: {HOST}", *arguments, f"https://127.0.0.1:{bridge.port}{path}"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode("latin-1"))


def test_nghttp(bridge: Bridge, nghttp2, tmp_path: Path) -> None:
    shown = nghttp(bridge, "/")
    assert "The negotiated protocol: h2" in shown and "GET / HTTP/1.1" in shown and ":status: 200" in shown
    assert "SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in shown
    (tmp_path / "body").write_bytes(b"x" * 100_000)
    # With an interim head, trailers up, padding, and a header block in two frames.
    shown = nghttp(
        bridge, "/digest", "-d", str(tmp_path / "body"), "--expect-continue", "--trailer", "x-sum: 18", "-b", "200",
        "--continuation")
    assert ":status: 100" in shown and ":status: 200" in shown and "recv CONTINUATION" not in shown
    # It says how long the body is, and HTTP/1.1 has no place for trailers then.
    assert re.search(r"^ *100000 [0-9a-f]{64} ", shown, re.M | re.I), shown
    shown = nghttp(bridge, "/trailers")
    assert "x-sum: 17" in shown.lower() and "recv RST_STREAM" not in shown
    shown = nghttp(bridge, "/big", "-n", "-m", "5", "--max-concurrent-streams", "2", "-w", "30", "-W", "30")
    assert len(re.findall(r"recv \(stream_id=\d+\) :status: 200", shown)) == 5


@pytest.mark.parametrize(
    ("connections", "streams", "body"), [(1, 32, False), (1, 100, False), (4, 64, False), (1, 32, True)],
    ids=["1x32", "1x100", "4x64", "1x32-posts"])
def test_h2load(start, nginx, nghttp2, tmp_path: Path, connections: int, streams: int, body: bool) -> None:
    upstream = nginx("server { listen 127.0.0.1:{port}; keepalive_requests 100000; location / { return 200 ok; } }")
    proxy = start({"echo": f"http://127.0.0.1:{upstream.port}"})
    (tmp_path / "body").write_bytes(b'{"jsonrpc":"2.0","id":1,"method":"ping"}' * 30)
    with Bridge(proxy) as bridge:
        done = subprocess.run(
            ["h2load", "-n", "2000", "-c", str(connections), "-m", str(streams), "-t", "1",
             "--connect-to", f"127.0.0.1:{bridge.port}", *(["-d", str(tmp_path / "body")] if body else []),
             f"https://{HOST}/"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        assert bridge.count == connections
    assert "Application protocol: h2" in done.stdout, done.stdout
    assert "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout
    proxy.wait_for("request finished", count=2000)
    records = proxy.found("request finished")
    assert {record.fields["protocol"] for record in records} == {"h2"}
    # Each stream of a connection is one record.
    assert len({record.fields["id"] for record in records}) == 2000


async def test_httpx(start) -> None:
    """Fifty requests at once are fifty streams of one connection."""
    with Scripted(serve) as upstream:
        proxy = start({"echo": upstream.url})
        async with httpcore_backend.client(httpx2, httpcore2, proxy.far, http2=True) as http:
            first = await http.get(f"https://{HOST}/first")
            assert (first.http_version, first.status_code) == ("HTTP/2", 200)
            posts = [http.post(f"https://{HOST}/digest", content=b"%d" % number * 9_000) for number in range(50)]
            for number, response in enumerate(await asyncio.gather(*posts)):
                body = b"%d" % number * 9_000
                assert (response.http_version, response.status_code) == ("HTTP/2", 200)
                assert response.text.split()[:2] == [str(len(body)), hashlib.sha256(body).hexdigest()]
            async with http.stream("GET", f"https://{HOST}/big") as response:
                assert b"".join([part async for part in response.aiter_bytes()]) == BIG
        await proxy.logged("request finished", count=52)
        records = proxy.found("request finished")
        assert len({record.fields["id"].split("-")[0] for record in records}) == 1
        assert sorted(int(record.fields["stream"]) for record in records) == list(range(1, 105, 2))


@pytest.mark.deadline(60)
@pytest.mark.parametrize(("client", "mode"), [("1", "legacy"), ("2", "auto")])
@pytest.mark.parametrize("server", ["2"], indirect=True)
async def test_mcp_sdk(start, server: int, client: str, mode: str) -> None:
    """initialize, list, call and progress: a call that waits, and another that ends it, are two streams."""
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    seen = await play(proxy, "tour", client, mode, "http2")
    names = [event["event"] for event in seen]
    assert names[:3] == ["ready", "tools", "echo"] and names[-2:] == ["passed", "closed"]
    assert seen[2]["text"] == "grüß dich, tunnel"
    assert names.index("progress") < names.index("opening gate") < names.index("passed")
    finished = proxy.found("request finished")
    assert {line.fields["protocol"] for line in finished} == {"h2"}
    assert len({line.fields["id"].split("-")[0] for line in finished}) == 1


@pytest.mark.deadline(60)
@pytest.mark.parametrize("client", ["2"])
@pytest.mark.parametrize("server", ["2"], indirect=True)
async def test_mcp_sdk_resumes(start, server: int, client: str) -> None:
    """The stream of a running call is lost and taken up again."""
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    seen = await play(proxy, "resume", client, "legacy", "http2")
    by_name = {event["event"]: event for event in seen}
    assert by_name["resumed"]["status"] == 200 and by_name["resumed"]["type"].startswith("text/event-stream")
    assert by_name["passed"]["text"] == "passed resume"
    assert by_name["deleted"]["status"] == 200 and by_name["after"]["status"] == 404


# Which version of HTTP it is to be.


def test_without_alpn_the_preface_says_it(start) -> None:
    """Prior knowledge inside TLS (RFC 9113 §3.3), and HTTP/1.1 for everybody else without ALPN."""
    with Scripted(serve) as upstream:
        proxy = start({"echo": upstream.url})
        with Client.connect(proxy, protocols=()) as client:
            assert client.tunnel.tls.selected_alpn_protocol() is None
            assert client.request("POST", "/", b"body").body.endswith(b"\n\nbody")
        for method in ("GET", "PUT", "POST", "PRIX", "P"):
            with Tunnel(proxy.endpoint.port, HOST, h2_context(proxy.far.ca_file)) as tunnel:
                assert tunnel.request(method, "/").body.startswith(f"{method} / HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(("h2", "http/1.1"), "h2"), (("http/1.1", "h2"), "h2"), (("h2",), "h2"), (("http/1.1",), "http/1.1"),
     (("h3", "spdy/3"), None), ((), None)])
def test_alpn_by_default(start, offered: tuple[str, ...], chosen: str | None) -> None:
    with Scripted(serve) as upstream:
        proxy = start({"echo": upstream.url})
        with Tunnel(proxy.endpoint.port, HOST, h2_context(proxy.far.ca_file, *offered)) as tunnel:
            assert tunnel.tls.selected_alpn_protocol() == chosen
            if chosen != "h2":
                assert tunnel.request("GET", "/").status == 200


def test_alpn_switched_off(start) -> None:
    with Scripted(serve) as upstream:
        proxy = start({"echo": upstream.url}, tls={"alpn": ["http/1.1"]})
        with Bridge(proxy) as bridge:
            bridge.proxy = proxy
            body, said = curl(bridge)
            assert said == "1.1 200" and body.startswith(b"GET / HTTP/1.1")
        for offered in ((), ("h2",)):
            with Tunnel(proxy.endpoint.port, HOST, h2_context(proxy.far.ca_file, *offered)) as tunnel:
                assert tunnel.tls.selected_alpn_protocol() is None
                # The preface is a malformed request then.
                tunnel.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                with pytest.raises(Ended):
                    assert tunnel.until(b"\r\n").startswith(b"HTTP/1.1 ")
                    tunnel.take(1 << 20)
        assert not proxy.found("protocol=h2")
