"""`upstream.sse_keepalive`: comments in silent event streams, between two events and in nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import time

import pytest
from conftest import write_configuration
from peers.http_client import HTTPConnection
from peers.upstream import Connection, Upstream

COMMENT = b": keep-alive\n\n"
EVENTS = [("Content-Type", "text/event-stream")]


def serving(script, headers=EVENTS, framing: bytes = b"Transfer-Encoding: chunked\r\n"):
    """An upstream whose response is made by `script`, which gets a function that sends a piece of the body."""

    async def handler(connection: Connection) -> None:
        head = await connection.head()
        if head is None:
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + lines + framing + b"\r\n")
        chunked = b"chunked" in framing

        async def send(piece: bytes) -> None:
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

        await script(send)
        if chunked:
            await connection.send(b"0\r\n\r\n")

    return handler


class Reader:
    """What has come of a body, and when."""

    def __init__(self, http, response) -> None:
        self.parts, self.received = http.body(response), b""

    async def until(self, text: bytes) -> None:
        while not self.received.endswith(text):
            self.received += await anext(self.parts)

    async def rest(self) -> bytes:
        async for part in self.parts:
            self.received += part
        return self.received


async def open_stream(far, route: str = "echo"):
    stream = await far.open(route)
    http = HTTPConnection(stream, far.host(route))
    await http.send_head("GET", "/")
    return http, Reader(http, await http.final_head())


async def test_a_comment_comes_after_silence_and_again(start) -> None:
    go = asyncio.Event()

    async def script(send) -> None:
        await send(b"data: 1\n\n")
        await go.wait()
        await send(b"data: 2\r\n\r\n")

    async with Upstream(serving(script)) as upstream:
        proxy = start({"echo": upstream}, upstream={"sse_keepalive": "1s"})
        http, reader = await open_stream(proxy.far)
        await reader.until(b"data: 1\n\n")
        began = time.monotonic()
        await reader.until(b"data: 1\n\n" + COMMENT)
        assert time.monotonic() - began > 0.9
        await reader.until(COMMENT * 2)
        go.set()
        assert await reader.rest() == b"data: 1\n\n" + COMMENT * 2 + b"data: 2\r\n\r\n"
        http.stream.abort()
    finished = await proxy.logged("request finished")
    # What the upstream said; the comments are ours.
    assert finished.fields["bytes_out"] == str(len(b"data: 1\n\ndata: 2\r\n\r\n"))


async def test_before_the_first_event_and_without_chunks(start) -> None:
    go = asyncio.Event()

    async def script(send) -> None:
        await go.wait()
        await send(b"data: 1\n\n")

    async with Upstream(serving(script, framing=b"")) as upstream:
        proxy = start({"echo": upstream}, upstream={"sse_keepalive": "1s"})
        http, reader = await open_stream(proxy.far)
        await reader.until(COMMENT)
        go.set()
        assert await reader.rest() == COMMENT + b"data: 1\n\n"
        http.stream.abort()


@pytest.mark.deadline(60)
async def test_never_inside_an_event(start) -> None:
    """Half an event is silent for longer than the time; its neighbour on the same loop shows that comments were due."""
    go = asyncio.Event()

    async def half(send) -> None:
        await send(b"data: 1\n\nevent: message\ndata: ")
        await go.wait()
        await send(b"2\n\n")

    async def silent(send) -> None:
        await go.wait()
        await send(b"data: end\n\n")

    async with Upstream(serving(half)) as first, Upstream(serving(silent)) as second:
        proxy = start({"half": first, "silent": second}, threads=1, upstream={"sse_keepalive": "1s"})
        http, reader = await open_stream(proxy.far, "half")
        await reader.until(b"data: ")
        other, neighbour = await open_stream(proxy.far, "silent")
        await neighbour.until(COMMENT * 2)
        go.set()
        assert await reader.rest() == b"data: 1\n\nevent: message\ndata: 2\n\n"
        await neighbour.rest()
        for connection in (http, other):
            connection.stream.abort()


UNTOUCHED = [
    ("encoded", [*EVENTS, ("Content-Encoding", "gzip")], b"Transfer-Encoding: chunked\r\n"),
    ("with a length", EVENTS, b"Content-Length: 18\r\n"),
    ("of another type", [("Content-Type", "text/plain")], b"Transfer-Encoding: chunked\r\n"),
]


@pytest.mark.deadline(60)
@pytest.mark.parametrize(("headers", "framing"), [case[1:] for case in UNTOUCHED], ids=[case[0] for case in UNTOUCHED])
async def test_responses_that_stay_as_they_are(start, headers, framing) -> None:
    go = asyncio.Event()

    async def script(send) -> None:
        await send(b"data: 1\n\n")
        await go.wait()
        await send(b"data: 2\n\n")

    async with Upstream(serving(script, headers, framing)) as one, Upstream(serving(script)) as two:
        proxy = start({"echo": one, "other": two}, threads=1, upstream={"sse_keepalive": "1s"})
        http, reader = await open_stream(proxy.far)
        other, neighbour = await open_stream(proxy.far, "other")
        await neighbour.until(COMMENT * 2)
        go.set()
        assert await reader.rest() == b"data: 1\n\ndata: 2\n\n"
        await neighbour.rest()
        for connection in (http, other):
            connection.stream.abort()


async def test_identity_is_no_coding_and_no_transform_no_hindrance(start) -> None:
    headers = [*EVENTS, ("Content-Encoding", "identity"), ("Cache-Control", "no-cache, no-transform")]
    go = asyncio.Event()

    async def script(send) -> None:
        await go.wait()

    async with Upstream(serving(script, headers)) as upstream:
        proxy = start({"echo": upstream}, upstream={"sse_keepalive": "1s"})
        http, reader = await open_stream(proxy.far)
        await reader.until(COMMENT)
        go.set()
        await reader.rest()
        http.stream.abort()


@pytest.mark.deadline(60)
async def test_off_unless_it_is_set_and_by_route(start) -> None:
    """A route without it is silent while its neighbour, which has a time of its own, gets comments."""
    go = asyncio.Event()

    async def script(send) -> None:
        await go.wait()
        await send(b"data: end\n\n")

    async with Upstream(serving(script)) as upstream:
        routes = {"off": upstream, "on": upstream, "also-off": upstream}
        for settings in (
            {"sse_keepalive_routes": {"on": "1s"}},
            {"sse_keepalive": "1s", "sse_keepalive_routes": {"off": "0", "also-off": "1h"}},
        ):
            go.clear()
            proxy = start(routes, threads=1, upstream=settings)
            streams = [await open_stream(proxy.far, route) for route in routes]
            await streams[1][1].until(COMMENT * 2)
            go.set()
            bodies = [await reader.rest() for _, reader in streams]
            assert bodies[0] == bodies[2] == b"data: end\n\n"
            for http, _ in streams:
                http.stream.abort()


def test_settings_are_checked(binary, tmp_path, configuration) -> None:
    file = tmp_path / "config.yaml"
    for settings, words in (
        ({"sse_keepalive": "999ms"}, "upstream.sse_keepalive: 999ms is out of range (use 0 for never, or 1s to 8760h)"),
        ({"sse_keepalive_routes": {"ecko": "1s"}},
            "upstream.sse_keepalive_routes.ecko: no such route (did you mean echo?)"),
        ({"sse_keepalive_routes": {"echo": "15"}}, "upstream.sse_keepalive_routes.echo: "),
        ({"sse_keepalive_routes": ["echo"]}, "write one 'route: 15s' a line, without dashes"),
    ):
        write_configuration(file, configuration, {"echo": "http://127.0.0.1:1"}, upstream=settings)
        result = subprocess.run([str(binary), "-config", str(file)], capture_output=True, text=True, timeout=20)
        assert result.returncode == 1 and words in result.stderr, result.stderr
