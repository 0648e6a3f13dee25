"""Bodies stream: whatever their size, an exchange holds a bounded number of bytes, and a slow side slows the other."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from peers.http_client import HTTPConnection
from peers.upstream import Connection, Upstream

MIB = 1 << 20


async def until_still(amount) -> int:
    """Wait until a number stops growing and return it."""
    last, still = -1, 0
    while still < 10:
        await asyncio.sleep(0.05)
        now = amount()
        still = still + 1 if now == last else 0
        last = now
    return last


@pytest.mark.deadline(90)
async def test_gigabyte_to_a_slow_reader(start) -> None:
    """The reader stops, and the upstream has to stop; it goes on, and every byte is there."""
    size, block = 1024 * MIB, os.urandom(MIB)

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            await connection.send(block)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo", raw=True) as http:
            proxy.reset_peak_memory()
            before = proxy.peak_memory()
            await http.send_head("GET")
            response = await http.final_head()
            body = http.body(response)
            count = len(await anext(body))
            connection = upstream.connections[0]
            for _ in range(2):
                stopped = await until_still(lambda: connection.sent)
                # What two sockets on the way and the proxy can hold, and no more.
                assert stopped - count < 64 * MIB
                async for part in body:
                    count += len(part)
                    if count > stopped + 8 * MIB:
                        break
            # The rest at full speed.
            received = 0
            async for part in body:
                received += len(part)
            assert count + received == size
            assert proxy.peak_memory() - before < 16 * MIB


@pytest.mark.deadline(60)
async def test_upload_to_a_slow_upstream(start) -> None:
    size, block = 256 * MIB, os.urandom(MIB)
    reading, done = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def handler(connection: Connection) -> None:
        head = await connection.head()
        await reading.wait()
        digest, count = hashlib.sha256(), 0
        while count < size:
            data = await connection.reader.read(MIB)
            assert data, "cut"
            digest.update(data)
            count += len(data)
        done.set_result(digest.hexdigest())
        assert head
        await connection.respond()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo", raw=True) as http:
            proxy.reset_peak_memory()
            before, sent = proxy.peak_memory(), 0
            await http.send_head("POST", "/", [("Content-Length", str(size))])

            async def send() -> None:
                nonlocal sent
                for _ in range(size // MIB):
                    await http.send(block)
                    sent += MIB

            sending = asyncio.create_task(send())
            assert await until_still(lambda: sent) < 64 * MIB
            reading.set()
            await sending
            assert (await http.response()).status == 200
            expected = hashlib.sha256()
            for _ in range(size // MIB):
                expected.update(block)
            assert await done == expected.hexdigest()
            assert proxy.peak_memory() - before < 16 * MIB


@pytest.mark.deadline(60)
async def test_nginx_at_a_limited_rate_and_a_reader_that_leaves(start, nginx, tmp_path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    with open(root / "big.bin", "wb") as big:
        big.truncate(1024 * MIB)
    server = nginx("server { listen 127.0.0.1:{port}; root %s; limit_rate 2m; sendfile off; }" % root)
    proxy = start({"echo": f"http://127.0.0.1:{server.port}"})
    proxy.reset_peak_memory()
    before = proxy.peak_memory()
    streams = []
    for _ in range(8):
        stream = await proxy.far.open(raw=True)
        streams.append(stream)
        http = HTTPConnection(stream, "echo.t.example")
        await http.send_head("GET", "/big.bin")
        response = await http.final_head()
        count = 0
        async for part in http.body(response):
            count += len(part)
            if count > 100_000:
                break
    for stream in streams:
        stream.abort()
    assert (await proxy.logged("request finished", count=8)).fields["end"] == "client_gone"
    assert proxy.peak_memory() - before < 16 * MIB


async def test_idle_streams_cost_little(start) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n")
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})
        before, streams = proxy.peak_memory(), []
        for _ in range(200):
            stream = await proxy.far.open(raw=True)
            http = HTTPConnection(stream, "echo.t.example")
            await http.send_head("GET")
            response = await http.final_head()
            assert await anext(http.body(response)) == b"data: hello\n\n"
            streams.append(stream)
        # A bound against leaks, not the budget: that is for the benchmark, which runs the release build.
        assert proxy.peak_memory() - before < 200 * 256 * 1024
        for stream in streams:
            stream.abort()
        await proxy.logged("request finished", count=200)


async def test_nothing_is_left_of_many_connections(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            await connection.respond(body=b"x" * 1000)

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream})

        async def some(count: int) -> None:
            for _ in range(count):
                async with proxy.far.http("echo") as http:
                    assert (await http.request("POST", body=b"y" * 5000)).status == 200

        await asyncio.gather(*(some(10) for _ in range(8)))
        settled = proxy.peak_memory()
        await asyncio.gather(*(some(60) for _ in range(8)))
        assert proxy.peak_memory() - settled < 12 * MIB
        while proxy.open_descriptors() > 60:
            await asyncio.sleep(0.02)
