"""Frames and records that are cheap to send and dear to take: nobody else on the loop waits for them."""

from __future__ import annotations

import asyncio
import os
import struct
import time

import pytest
from peers.blocking import Tunnel, client_context, frames, pour
from peers.flood import BELOW, Flood
from peers.quiet import Quiet, SmallServer, drop_log, median
from peers.raw_websocket import PING, PONG

MIB = 1 << 20
#: Bytes a second: what stalled a loop once, and as much as a good line brings.
RATES = [2.5e6, 12e6]


def resident(proxy) -> int:
    """Bytes that the process has in memory now."""
    with open(f"/proc/{proxy.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "never-reads"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", BELOW)
def test_others_do_not_wait(start, kind: str, rate: float, reads: bool) -> None:
    with SmallServer() as server:
        proxy = start({"quiet": server.url}, threads=1, collect=False)
        drop_log(proxy)
        proxy.check_requests = False
        quiet = Quiet(proxy.endpoint.port, "quiet.t.example", proxy.far.ca_file)
        try:
            usual = median(quiet.latencies(0.5))
            proxy.reset_peak_memory()
            before = resident(proxy)
            with Flood(kind, proxy, reads=reads, seconds=3, rate=rate) as flood:
                latencies, newcomers = quiet.beside(2.5)
                flooded = flood.result()
            grown = proxy.peak_memory() - before
        finally:
            quiet.close()
        found = (f"p50 {median(latencies) * 1e3:.2f} ms (usual {usual * 1e3:.2f} ms), worst {max(latencies):.3f} s, "
                 f"new connections {max(newcomers):.3f} s, {grown / MIB:.1f} MiB more, {flooded}")
        assert median(latencies) < max(0.003, 10 * usual), found
        # One that is starved has few requests to take the median of.
        assert max(latencies) < 1, found
        assert max(newcomers) < 1, found
        assert grown < 24 * MIB, found
        assert flooded["sent"] > 4_000, found


def connect(proxy, **options: object) -> Tunnel:
    return Tunnel(  # type: ignore[arg-type]
        proxy.endpoint.port, "quiet.t.example", client_context(proxy.far.ca_file), **options)


@pytest.mark.parametrize("count", [1, 2, 100, 10_000])
def test_the_last_pong_answers_the_latest_ping(start, count: int) -> None:
    """RFC 6455 §5.5.3: who has several pings to answer may answer the most recent one only."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1)
    with connect(proxy) as tunnel:
        tunnel.socket.sendall(b"".join(frames(PING, struct.pack(">I", number)) for number in range(count)))
        answered = []
        while not answered or answered[-1] != count - 1:
            opcode, payload = tunnel.frame()
            if opcode == PONG:
                answered.append(struct.unpack(">I", payload)[0])
        assert answered == sorted(set(answered))
        # Nothing comes after it.
        tunnel.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            tunnel.frame()


def test_few_pongs_for_many_pings(start) -> None:
    """One for each turn of the loop: pings that came together cost one send."""
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1)
    with connect(proxy) as tunnel:
        tunnel.socket.sendall(frames(PING, b"x", 20_000) + frames(PING, b"last"))
        pongs = 0
        while True:
            opcode, payload = tunnel.frame()
            pongs += opcode == PONG
            if payload == b"last":
                break
        assert pongs < 2_000


def test_pings_spaced_in_time_are_each_answered(start) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"})
    with connect(proxy) as tunnel:
        for _ in range(20):
            payload = os.urandom(125)
            tunnel.socket.sendall(frames(PING, payload))
            # Session tickets may come between.
            while (frame := tunnel.frame())[0] != PONG:
                pass
            assert frame[1] == payload


@pytest.mark.parametrize("size", [0, 125])
def test_pongs_that_are_not_read_take_no_memory(start, size: int) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, threads=1)
    with connect(proxy, receive_buffer=2048) as tunnel:
        proxy.reset_peak_memory()
        before = resident(proxy)
        data = memoryview(frames(PING, b"p" * size, 4_000_000 // (6 + size)))
        end = time.monotonic() + 3
        sent = 0
        for _ in range(16):
            sent += pour(tunnel.socket, data, end, drop=False)
        # 64 MB of pings, if the proxy takes them all.
        assert proxy.peak_memory() - before < 4 * MIB, f"after {sent} bytes"


async def test_a_ping_in_the_middle_of_an_upload_is_answered_soon(start) -> None:
    """A turn that is used up by data does not put off the pong for ever."""
    with SmallServer() as server:
        proxy = start({"quiet": server.url}, threads=1)
        stream = await proxy.far.open("quiet", raw=True)
        size = 64 * MIB
        await stream.write(f"POST / HTTP/1.1\r\nHost: quiet.t.example\r\nContent-Length: {size}\r\n\r\n".encode())
        pinged = asyncio.get_running_loop().create_future()

        async def read() -> None:
            while frame := await stream.transport.read_frame():
                if frame.opcode == PONG:
                    pinged.set_result(time.monotonic())
                    return

        reading = asyncio.create_task(read())
        for number in range(64):
            await stream.write(b"x" * MIB)
            if number == 8:
                await stream.transport.send_frame(PING, b"hello")
                begun = time.monotonic()
        assert await pinged - begun < 2
        await reading
        stream.abort()
