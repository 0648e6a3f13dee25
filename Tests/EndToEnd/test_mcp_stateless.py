"""MCP 2026-07-28 through the proxy: its fields to the byte, its long streams, and how both end."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest
from peers.http_client import HTTPConnection, Incomplete
from peers.upstream import Connection, Upstream, echo
from test_hello import Hello, hello  # noqa: F401  (a fixture)
from test_mcp import play, server  # noqa: F401  (a fixture)
from test_shutdown import until_not_listening

VERSION = "2026-07-28"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def request(method: str, identifier: object = 1, called: str | None = None, **params: object) -> tuple[list, bytes]:
    """The fields and the body of a request that stands for itself."""
    body = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": {**params, "_meta": META}}
    fields = [
        ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", VERSION), ("Mcp-Method", method), *([("Mcp-Name", called)] if called else []),
    ]
    return fields, json.dumps(body).encode()


async def begin_stream(far, route: str, method: str = "subscriptions/listen", **params: object):
    """A request whose response is a stream, with its first event."""
    http = HTTPConnection(await far.open(route, raw=True), far.host(route))
    fields, body = request(method, "listen-1", notifications={"toolsListChanged": True}, **params)
    await http.send_head("POST", "/mcp", [*fields, ("Content-Length", str(len(body)))])
    await http.send(body)
    response = await http.final_head()
    assert response.status == 200
    parts, received = http.body(response), b""
    while not received.endswith(b"\n\n"):
        received += await anext(parts)
    return http, parts, received


LINES = [
    "MCP-Protocol-Version: 2026-07-28", "mcp-method:tools/call", "Mcp-Name: \t=?base64?Z3LDvMOfZQ==?=  ",
    "Mcp-Param-Region: eu-west-1", "Mcp-Param-Region: eu-west-1", "MCP-PARAM-Empty:", "mcp-param-List: a, b",
    "Mcp-Param-List: c", "Mcp-Session-Id: 1f", "Last-Event-ID: 7_3",
]


async def test_fields_reach_the_server_as_they_are(start) -> None:
    """In their order, their case and their spacing, repeated ones apart, and not one more."""
    async with Upstream(echo) as upstream:
        proxy = start({"mcp": upstream})
        async with proxy.far.http("mcp") as http:
            head = "\r\n".join(["POST /mcp HTTP/1.1", "Host: mcp.t.example", *LINES, "Content-Length: 2", "", "{}"])
            for _ in range(2):
                await http.send(head.encode())
                assert (await http.response()).status == 200
        for seen in upstream.requests:
            assert [line for line in seen.lines if line.lower().startswith(("mcp-", "last-event"))] == LINES


async def test_fields_of_a_response_pass_too(start) -> None:
    lines = ["Mcp-Session-Id: 1f", "mcp-session-id: 2", "X-Accel-Buffering: no", "MCP-Anything:  spaced  "]

    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.send(("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode())

    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        stream = await proxy.far.open("mcp")
        await stream.write(b"POST / HTTP/1.1\r\nHost: mcp.t.example\r\nContent-Length: 0\r\n\r\n")
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += await stream.read()
        assert [line for line in raw.decode().split("\r\n") if line in lines] == lines
        await stream.close()


# Whoever cancels closes its response's stream. How long the other side takes to see it is a matter of the proxy alone, and
# the least of several tries is its own time on a machine that has other things to do.
PROMPT, TRIES = 0.1, 5


@pytest.mark.deadline(60)
@pytest.mark.parametrize("way", ["in order", "cut"])
async def test_a_client_that_cancels_is_seen_by_the_server(start, way: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.body(await connection.head())
        await connection.send(STREAM + chunk(b"data: 1\n\n"))
        await connection.wait_for_end()
        ended.put_nowait(time.monotonic())

    ended: asyncio.Queue[float] = asyncio.Queue()
    times = []
    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        for _ in range(TRIES):
            http, _, _ = await begin_stream(proxy.far, "mcp")
            began = time.monotonic()
            if way == "cut":
                http.stream.abort()
            else:
                await http.stream.close()
            times.append(await ended.get() - began)
            http.stream.abort()
        assert min(times) < PROMPT, times
        for finished in [await proxy.logged("request finished", count=number + 1) for number in range(TRIES)]:
            assert finished.fields["end"] == "client_gone"


@pytest.mark.deadline(60)
@pytest.mark.parametrize("way", ["closes", "resets"])
async def test_a_server_that_aborts_is_seen_by_the_client(start, way: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.body(await connection.head())
        await connection.send(STREAM + chunk(b"data: 1\n\n"))
        await go.get()
        if way == "resets":
            connection.reset()

    go: asyncio.Queue[None] = asyncio.Queue()
    times = []
    async with Upstream(handler) as upstream:
        proxy = start({"mcp": upstream})
        for _ in range(TRIES):
            http, parts, _ = await begin_stream(proxy.far, "mcp")
            began = time.monotonic()
            go.put_nowait(None)
            # It must not look like the end of the stream.
            with pytest.raises(Incomplete):
                await anext(parts)
            times.append(time.monotonic() - began)
            http.stream.abort()
    assert min(times) < PROMPT, times


@pytest.mark.deadline(60)
async def test_a_listening_stream_outlasts_all_else_in_a_drain(start, hello: Hello) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"}, shutdown_timeout="40s")
    listening, events, first = await begin_stream(proxy.far, "mcp")
    assert b"notifications/subscriptions/acknowledged" in first
    calling = HTTPConnection(await proxy.far.open("mcp", raw=True), "mcp.t.example")
    fields, body = request("tools/call", 2, "hello", name="hello", arguments={"name": "you"})
    body = body.replace(b'"_meta": {', b'"_meta": {"progressToken": "t", ')
    await calling.send_head("POST", "/mcp", [*fields, ("Content-Length", str(len(body)))])
    await calling.send(body)
    parts = calling.body(await calling.final_head())
    assert b"notifications/progress" in await anext(parts)

    proxy.signal()
    await until_not_listening(proxy)
    # The call is under way for a while yet, and comes whole.
    assert b"Hello, you!" in b"".join([part async for part in parts])
    await proxy.logged("request finished")
    assert proxy.process.poll() is None and not listening.stream.got_close_notify
    # The server has the last word, and then nothing is left to wait for.
    hello.process.send_signal(signal.SIGTERM)
    last = b"".join([part async for part in events])
    assert b'"id":"listen-1","result":{"resultType":"complete"' in last
    listening.stream.abort()
    calling.stream.abort()
    assert await proxy.exit_status() == 0
    assert [line.fields["end"] for line in proxy.found("request finished")] == ["complete", "complete"]


@pytest.mark.deadline(60)
async def test_a_listening_stream_ends_with_the_time(start, hello: Hello) -> None:  # noqa: F811
    """Where the server says nothing the stream is cut, so that the client knows that it has to listen again."""
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"}, shutdown_timeout="500ms")
    proxy.expected_status = 1
    listening, events, _ = await begin_stream(proxy.far, "mcp")
    proxy.signal()
    with pytest.raises(Incomplete):
        await anext(events)
    listening.stream.abort()
    assert (await proxy.logged("request finished")).fields["end"] == "shutdown"
    assert await proxy.exit_status() == 1


@pytest.mark.deadline(90)
async def test_the_sdk_listens_until_the_server_ends(start, hello: Hello) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    playing = asyncio.create_task(play(proxy, "listen", "2", "auto"))
    # The list that the client asks for beside its subscription.
    await proxy.logged("request finished", count=2, seconds=40)
    while len(proxy.found("request finished")) == len(proxy.found("request started")):
        await asyncio.sleep(0.05)
    hello.process.send_signal(signal.SIGTERM)
    seen = await playing
    assert [event["event"] for event in seen] == ["acknowledged", "tools", "ended"]
    assert seen[0]["tools"]


@pytest.mark.deadline(90)
async def test_the_sdk_answers_what_the_server_asks(start, hello: Hello) -> None:  # noqa: F811
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    seen = await play(proxy, "ask", "2", "auto")
    assert [event["event"] for event in seen] == ["asked", "greeted"]
    assert seen[1]["text"] == "Hello, whoever!"


INITIALIZE = (
    b'{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":'
    b'{"name":"%b","version":"1.0.0"}},"jsonrpc":"2.0","id":1}'
)
# As servers have seen them, Host aside: twice `initialize` within seconds, from claude.ai, and what Claude Code begins with.
OBSERVED = {
    "claude.ai, first": (
        b"Accept: */*\r\nUser-Agent: Claude-User\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\n",
        INITIALIZE % b"Anthropic"),
    "claude.ai, second": (
        b"Accept: application/json, text/event-stream\r\nUser-Agent: Claude-User\r\nContent-Type: application/json\r\n",
        INITIALIZE % b"Anthropic/ClaudeAI"),
    "claude code": (
        b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n",
        json.dumps({"jsonrpc": "2.0", "id": "server-discover-probe-1", "method": "server/discover",
            "params": {"_meta": META}}).encode()),
}


async def replay(far, probe: str) -> tuple[object, dict]:
    fields, body = OBSERVED[probe]
    async with far.http("mcp") as http:
        head = b"POST /mcp HTTP/1.1\r\nHost: mcp.t.example\r\n%bContent-Length: %d\r\n\r\n" % (fields, len(body))
        await http.send(head + body)
        response = await http.response()
    text = response.body.decode()
    if (response.get("content-type") or "").startswith("text/event-stream"):
        text = next(line for line in text.splitlines() if line.startswith("data: {")).removeprefix("data: ")
    try:
        return response, json.loads(text)
    except ValueError:
        return response, {}


@pytest.mark.parametrize("probe", OBSERVED)
async def test_what_claude_was_seen_to_send(start, hello: Hello, probe: str) -> None:  # noqa: F811
    async with Upstream(echo) as upstream:
        proxy = start({"mcp": upstream})
        response, _ = await replay(proxy.far, probe)
        fields, body = OBSERVED[probe]
        assert response.body.endswith(b"\n\n" + body)
        seen = "".join(f"{line}\r\n" for line in upstream.requests[0].lines).encode()
        assert fields in seen, "the fields stand together, as they came"
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    response, message = await replay(proxy.far, probe)
    assert response.status == 200
    if probe == "claude code":
        assert message["id"] == "server-discover-probe-1" and message["result"]["supportedVersions"] == [VERSION]
    else:
        assert message["id"] == 1 and message["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.deadline(60)
async def test_what_claude_sends_to_servers_of_the_sdk(start, server: int) -> None:  # noqa: F811
    """The second of the two probes is the one that strict servers take."""
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    response, message = await replay(proxy.far, "claude.ai, second")
    assert response.status == 200 and message["result"]["protocolVersion"] == "2025-11-25"
    response, message = await replay(proxy.far, "claude code")
    # A server of the older era refuses with words of its own, and one of the newer one keeps the id a string.
    assert response.status in (200, 400)
    if response.status == 200:
        assert message["id"] == "server-discover-probe-1" and VERSION in message["result"]["supportedVersions"]
