"""`mcp-proxy probe`: the far side against running proxies that are well, and against each thing that can be wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from peers.upstream import Connection, Upstream, echo
from test_hello import Hello, hello  # noqa: F401  (a fixture)
from test_mcp import server  # noqa: F401  (a fixture)

DOMAIN = "t.example"


@dataclass
class Result:
    status: int
    out: str
    errors: str

    @property
    def reports(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def probe(binary: Path, certificates):
    """Runs the command against an address, with the tests' own CA unless another one is named."""

    async def run(*arguments: str, url: str, host: str = f"mcp.{DOMAIN}", ca: Path | None = None, given: bytes = b"") -> Result:
        process = await asyncio.create_subprocess_exec(
            str(binary), "probe", "-url", url, "-ca", str(ca or certificates.ca_file), "-host", host, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, errors = await process.communicate(given)
        return Result(process.returncode, out.decode(), errors.decode())

    return run


def url(proxy) -> str:
    return f"unix:{proxy.endpoint.path}" if proxy.endpoint.path else f"ws://127.0.0.1:{proxy.endpoint.port}"


# What is well.


async def test_every_hop_is_shown_with_its_time(start, probe, hello: Hello, certificates) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    result = await probe(url=url(proxy))
    assert (result.status, result.errors) == (0, ""), result
    for words in (
        "ms  ✓ TCP ", "ms  ✓ WebSocket ", "ms  ✓ TLS in the WebSocket", "TLSv1.3  TLS_AES_128_GCM_SHA256  ",
        "ALPN http/1.1", f"for *.{DOMAIN}, {DOMAIN}, ends in ", "issued by CN=Test tunnel CA, SHA-256 ",
        "ms  ✓ server/discover", "hello-server", "2026-07-28, without sessions", "1 tool: hello",
    ):
        assert words in result.out, (words, result.out)
    assert "\x1b" not in result.out


async def test_over_a_unix_socket_and_by_name(start, probe, hello: Hello, tmp_path) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"}, listen_addr=f"unix:{tmp_path}/p.sock")
    result = await probe(url=url(proxy))
    assert result.status == 0 and "✓ Unix socket" in result.out
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    result = await probe(url=f"ws://localhost.:{proxy.endpoint.port}/")
    assert result.status == 0 and "✓ localhost. " in result.out, result


@pytest.mark.deadline(60)
async def test_servers_of_both_eras(start, probe, server: int) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    result = await probe("-json", url=url(proxy))
    (report,) = result.reports
    assert result.status == 0 and report["ok"], report
    assert sorted(report["mcp"]["tools"]) == ["echo", "open_gate", "wait_at"]
    assert report["mcp"]["era"] in ("modern", "legacy")
    assert [hop["hop"] for hop in report["hops"]][:3] == ["tcp", "websocket", "tls"]
    assert all(hop["ok"] and hop["ms"] >= 0 for hop in report["hops"])
    assert report["tls"]["version"] == "TLS 1.3" and report["tls"]["group"] and not report["tls"]["resumed"]
    assert report["tls"]["chain"][0]["names"] == [f"*.{DOMAIN}", DOMAIN]


@pytest.mark.deadline(60)
async def test_servers_of_both_eras_by_http2(start, probe, server: int) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    result = await probe("-http2", "-json", url=url(proxy))
    (report,) = result.reports
    assert result.status == 0 and sorted(report["mcp"]["tools"]) == ["echo", "open_gate", "wait_at"], report
    assert report["tls"]["alpn"] == "h2"
    assert proxy.found("request finished") and not proxy.found("request finished(?!.* protocol=h2 )")


async def test_http2_is_offered_and_the_proxy_chooses(start, probe, hello: Hello) -> None:  # noqa: F811
    """What it chooses is gone on with, and two probes resume each other's sessions."""
    for alpn, chosen in ([["h2", "http/1.1"], "h2"], [["http/1.1"], "http/1.1"]):
        proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"}, tls={"alpn": alpn})
        result = await probe("-http2", url=url(proxy))
        assert result.status == 0 and f"ALPN {chosen}\n" in result.out and "1 tool: hello" in result.out, result
        result = await probe("-http2", "-count", "2", "-interval", "1ms", "-json", url=url(proxy))
        *reports, _ = result.reports
        assert [(report["tls"]["alpn"], report["tls"]["resumed"]) for report in reports] == [(chosen, False), (chosen, True)]


async def test_a_plain_request_by_http2(start, probe, tmp_path) -> None:
    """Bodies beyond every window there is, both ways."""
    async with Upstream(echo) as upstream:
        proxy = start({"mcp": upstream})
        body = tmp_path / "body"
        body.write_bytes(b"0123456789abcdef" * 200_000)
        result = await probe("-http2", "-include", "-data", f"@{body}", "-H", "X-One: a", url=url(proxy))
        assert result.status == 0, result.errors
        head, _, rest = result.out.partition("\r\n\r\n")
        assert head.startswith("HTTP/2 200 \r\n") and "content-type: text/plain" in head.lower()
        request, _, sent = rest.partition("\n\n")
        assert request.startswith("POST /mcp HTTP/1.1\n") and "\nHost: mcp.t.example\n" in request
        assert "\nx-one: a\n" in request
        assert sent.encode() == body.read_bytes()
        for method, status in (("HEAD", 0), ("DELETE", 0)):
            result = await probe("-http2", "-method", method, "-include", url=url(proxy))
            assert result.status == status and result.out.startswith("HTTP/2 200 \r\n"), result


async def test_many_probes_give_percentiles_and_resume(start, probe, hello: Hello) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    result = await probe("-count", "4", "-interval", "1ms", "-json", url=url(proxy))
    *reports, summary = result.reports
    assert result.status == 0 and [report["number"] for report in reports] == [1, 2, 3, 4]
    assert [report["tls"]["resumed"] for report in reports] == [False, True, True, True]
    assert (summary["sent"], summary["lost"], summary["loss"]) == (4, 0, 0)
    assert summary["ms"]["min"] <= summary["ms"]["p50"] <= summary["ms"]["p99"] <= summary["ms"]["max"]
    result = await probe("-count", "2", "-interval", "1ms", url=url(proxy))
    assert result.status == 0 and "2 probes, 0 lost (0.0%)\nmin" in result.out


async def test_loss_is_counted(start, probe, refusing_port: int, hello: Hello) -> None:  # noqa: F811
    result = await probe("-count", "3", "-interval", "1ms", url=f"ws://127.0.0.1:{refusing_port}")
    assert result.status == 1 and "3 probes, 3 lost (100.0%)" in result.out


# Plain requests.


async def test_a_plain_request_prints_its_response_and_nothing_else(start, probe, tmp_path) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"mcp": upstream})
        body = tmp_path / "body.json"
        body.write_bytes(b'{"a": "\xc3\xbc"}')
        login = tmp_path / "login"
        login.write_text("Authorization: Bearer t0ken\nX-Two: 2\n")
        result = await probe(
            "-path", "/x?y=1", "-data", f"@{body}", "-H", "X-One: a", "-H", f"@{login}", "-H", "x-one:b", url=url(proxy))
        assert result.status == 0, result
        head, _, sent = result.out.partition("\n\n")
        assert sent == '{"a": "ü"}' and head.startswith("POST /x?y=1 HTTP/1.1\nHost: mcp.t.example\n")
        fields = [line for line in head.splitlines() if line.startswith(("X-One", "Auth", "X-Two", "x-one"))]
        assert fields == ["X-One: a", "Authorization: Bearer t0ken", "X-Two: 2", "x-one: b"]
        assert "✓ POST" in result.errors and "200, " in result.errors
        result = await probe("-method", "DELETE", "-include", url=url(proxy))
        assert result.out.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        assert "\r\n\r\nDELETE /mcp HTTP/1.1\n" in result.out
        result = await probe("-data", "@-", url=url(proxy), given=b"from standard input")
        assert result.out.endswith("\n\nfrom standard input")
        result = await probe("-method", "HEAD", "-include", url=url(proxy))
        assert result.status == 0 and result.out.endswith("\r\n\r\n")


@pytest.mark.parametrize("offer", [[], ["-http2"]], ids=["http1", "http2"])
async def test_a_stream_is_printed_as_it_comes(start, binary, certificates, offer: list[str]) -> None:
    """The server sends each event when the one before was printed."""
    printed: asyncio.Queue[int] = asyncio.Queue()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            await connection.send(b"9\r\ndata: %d\n\n\r\n" % number)
            assert await printed.get() == number
        await connection.send(b"0\r\n\r\n")

    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        process = await asyncio.create_subprocess_exec(
            str(binary), "probe", "-url", url(proxy), "-ca", str(certificates.ca_file), "-host", f"mcp.{DOMAIN}",
            "-method", "GET", *offer, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        for number in range(5):
            assert await process.stdout.readline() == b"data: %d\n" % number
            assert await process.stdout.readline() == b"\n"
            printed.put_nowait(number)
        assert await process.wait() == 0
        await process.communicate()


# What is wrong. Each is a fault of the table, at its hop, with cause and remedy.


async def fails(probe, fault: str, hop: str, *arguments: str, evidence: str = "", **options) -> dict:
    """One probe in both forms."""
    result = await probe("-json", *arguments, **options)
    (report,) = result.reports
    assert result.status == 1 and not report["ok"], report
    problem = report["problems"][0]
    assert (problem["id"], problem["hop"]) == (fault, hop), report
    assert problem["why"] and problem["next"] and evidence in " ".join(problem["evidence"]), problem
    shown = await probe(*arguments, **options)
    text = shown.out + shown.errors
    assert shown.status == 1 and f"({fault})\n" in text and "cause:" in text and "remedy:" in text, text
    return report


async def test_not_running(probe, refusing_port: int, tmp_path) -> None:
    await fails(probe, "proxy-not-running", "tcp", url=f"ws://127.0.0.1:{refusing_port}", evidence="connection refused")
    await fails(probe, "proxy-not-running", "unix", url=f"unix:{tmp_path}/nobody.sock")


async def test_a_name_that_is_none(probe) -> None:
    await fails(probe, "upstream-name-unknown", "name", url="ws://nobody.invalid:8080", evidence="no such host")


async def test_not_a_websocket(probe, hello: Hello) -> None:  # noqa: F811
    await fails(
        probe, "proxy-not-websocket", "websocket", url=f"ws://127.0.0.1:{hello.port}", evidence="status 404")


async def test_something_that_says_nothing(probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        report = await fails(
            probe, "proxy-not-websocket", "websocket", "-timeout", "300ms", url=address, evidence="nothing within 300 ms")
        assert report["hops"][-1]["ok"] is False


async def test_too_many_connections(start, probe, hello: Hello) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"}, limits={"max_connections": 1})
    held = await proxy.far.open("mcp")
    await fails(probe, "proxy-connection-limit", "websocket", url=url(proxy), evidence="status 503")
    held.abort()


async def test_another_ca(start, probe, certificates) -> None:
    proxy = start({"mcp": "http://127.0.0.1:1"})
    report = await fails(
        probe, "inner-tls-untrusted", "tls", url=url(proxy), ca=certificates.stranger_file,
        evidence="issued by CN=Test tunnel CA")
    assert [hop["ok"] for hop in report["hops"]] == [True, True, False]


async def test_another_name(start, probe) -> None:
    proxy = start({"mcp": "http://127.0.0.1:1"})
    await fails(
        probe, "inner-tls-name", "tls", url=url(proxy), host="mcp.other.example", evidence=f"for *.{DOMAIN}, {DOMAIN}")


async def test_expired(start, probe, certificates, tmp_path) -> None:
    certificate, key = certificates.authority.issue(f"*.{DOMAIN}", DOMAIN, expired=True).write(tmp_path)
    proxy = start({"mcp": "http://127.0.0.1:1"}, tls={"cert_file": str(certificate), "key_file": str(key)})
    await fails(probe, "inner-tls-expired", "tls", url=url(proxy), evidence="ended 1 days ago")


async def test_no_route(start, probe) -> None:
    proxy = start({"other": "http://127.0.0.1:1"})
    await fails(
        probe, "route-unknown", "request", url=url(proxy), evidence="502 from the proxy: No route configured for host")
    result = await probe("-method", "GET", url=url(proxy))
    assert result.status == 1 and result.out == "No route configured for host\n" and "(route-unknown)" in result.errors


async def test_an_upstream_that_is_not_there(start, probe, refusing_port: int) -> None:
    proxy = start({"mcp": f"http://127.0.0.1:{refusing_port}", "out": "http://192.0.2.1:80", "none": "http://no.invalid:1"})
    await fails(probe, "upstream-connection-refused", "request", url=url(proxy))
    await fails(probe, "upstream-refused", "request", url=url(proxy), host=f"out.{DOMAIN}")
    await fails(probe, "upstream-name-unknown", "request", url=url(proxy), host=f"none.{DOMAIN}")


def always(status: str, headers=(), body: bytes = b"x"):
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            await connection.respond(status, list(headers), body)

    return handler


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("404 Not Found", "mcp-path-not-found"), ("421 Misdirected Request", "mcp-host-refused"),
        ("405 Method Not Allowed", "mcp-post-not-allowed"), ("500 Internal Server Error", "mcp-server-error"),
        ("307 Temporary Redirect", "mcp-redirected"), ("200 OK", "mcp-not-mcp"),
    ],
)
async def test_a_server_that_refuses(start, probe, status: str, fault: str) -> None:
    async with Upstream(always(status)) as upstream:
        proxy = start({"mcp": upstream})
        await fails(probe, fault, "mcp", url=url(proxy), evidence=status.split()[0])


async def test_a_login_is_wanted_or_refused(start, probe) -> None:
    """Without one the way is proven, and it is told; with one it is the login that is wrong."""
    async with Upstream(always("401 Unauthorized", [("WWW-Authenticate", 'Bearer realm="x"')])) as upstream:
        proxy = start({"mcp": upstream})
        result = await probe(url=url(proxy))
        assert result.status == 0 and "wants a login" in result.out
        (report,) = (await probe("-json", url=url(proxy))).reports
        assert report["ok"] and report["mcp"]["authorization"] == 401
        report = await fails(
            probe, "mcp-login-refused", "mcp", "-H", "Authorization: Bearer t0ken", url=url(proxy), evidence="401")
        assert "t0ken" not in json.dumps(report)


async def test_the_sdk_refuses_a_host(start, probe, server: int) -> None:  # noqa: F811
    """The Python SDK answers to its public name alone, and this route has another one."""
    proxy = start({"alias": f"http://127.0.0.1:{server}"})
    await fails(
        probe, "mcp-host-refused", "mcp", url=url(proxy), host=f"alias.{DOMAIN}", evidence="Invalid Host header")


@pytest.mark.parametrize("offer", [[], ["-http2"]], ids=["http1", "http2"])
async def test_a_slow_server(start, probe, offer: list[str]) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        await fails(
            probe, "upstream-silent", "mcp", *offer, "-timeout", "700ms", url=url(proxy), evidence="nothing within 700 ms")


@pytest.mark.parametrize("offer", [[], ["-http2"]], ids=["http1", "http2"])
async def test_cut_in_the_midst(start, probe, offer: list[str]) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")

    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        await fails(probe, "upstream-broken-off", "mcp", *offer, url=url(proxy))
        result = await probe(*offer, "-method", "GET", url=url(proxy))
        # A stream that is reset loses what has not gone yet.
        assert result.status == 1 and result.out in ("{", "" if offer else "{"), result
        assert "(upstream-broken-off)" in result.errors


async def test_cut_between(start, probe) -> None:
    """Somebody between ends the tunnel before the server has said anything."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        seen.set()
        await connection.wait_for_end()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, back = await asyncio.open_connection("127.0.0.1", proxy.endpoint.port)

        async def pump(source, sink) -> None:
            while piece := await source.read(65536):
                sink.write(piece)

        pumps = [asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(to, writer))]
        await seen.wait()
        seen.clear()
        for task in pumps:
            task.cancel()
        for side in (writer, back):
            side.transport.abort()

    seen = asyncio.Event()
    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        between = await asyncio.start_server(forward, "127.0.0.1", 0)
        async with between:
            port = between.sockets[0].getsockname()[1]
            await fails(probe, "tunnel-broken-off", "mcp", url=f"ws://127.0.0.1:{port}")


async def test_what_cannot_be_tried_ends_with_2(probe, tmp_path) -> None:
    empty = tmp_path / "empty.crt"
    empty.write_text("")
    for arguments, options, words in (
        ((), {"ca": tmp_path / "none.crt"}, "flag -ca: open "),
        ((), {"ca": empty}, "flag -ca: "),
        (("-H", "no field"), {}, "flag -H: not a field"),
        (("-count", "x"), {}, "flag -count: "),
        (("operand",), {}, 'unexpected argument "operand"'),
    ):
        result = await probe(*arguments, url="ws://127.0.0.1:1", **options)
        assert result.status == 2 and words in result.errors and result.out == "", result
        assert result.errors.count("\n") == 1
