"""A stand-in for cloudflared, for the end of a pod. It takes what the chart renders, and ends as the real one does.

Four connections to the edge are registered. At SIGTERM each takes its leave, which takes a moment, in which the edge goes on
giving it streams. Then, by QUIC, it stays for the whole of TUNNEL_GRACE_PERIOD; by HTTP/2 until no stream is left, and no
longer than that. What is open at its end is cut (cloudflared's `connection` and `cmd/cloudflared/tunnel`).

The edge is on the Unix socket EDGE, since a pod here has a network without a way out; streams come by another one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from urllib.parse import urlsplit

CONNECTIONS = 4


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Connector:
    def __init__(self, url: str) -> None:
        self.origin = urlsplit(url)
        self.streams: set[asyncio.Task] = set()
        self.is_idle = asyncio.Event()
        self.is_idle.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.streams.add(task)
        self.is_idle.clear()
        try:
            up_reader, up_writer = await asyncio.open_connection(self.origin.hostname, self.origin.port)
            ways = [asyncio.create_task(copy(reader, up_writer)), asyncio.create_task(copy(up_reader, writer))]
            # When either way ends, the whole stream does.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            up_writer.close()
        except OSError as error:
            print(f"ERR Unable to reach the origin service: {error}", flush=True)
        finally:
            writer.close()
            self.streams.discard(task)
            if not self.streams:
                self.is_idle.set()


async def register(index: int, own: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(os.environ["EDGE"])
    writer.write(f"{index} {own}\n".encode())
    assert await reader.readline() == b"registered\n"
    print(f"INF Registered tunnel connection connIndex={index}", flush=True)
    return reader, writer


async def unregister(index: int, control: tuple[asyncio.StreamReader, asyncio.StreamWriter], wait: float) -> None:
    # A round trip to the edge, and what the edge takes to tell all of its own.
    await asyncio.sleep(wait * (index + 1) / CONNECTIONS)
    reader, writer = control
    writer.write(b"unregister\n")
    assert await reader.readline() == b"unregistered\n"
    print(f"INF Unregistered tunnel connection connIndex={index}", flush=True)


async def run(url: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    connector = Connector(url)
    own = f"{os.environ['EDGE']}.{os.getpid()}"
    await asyncio.start_unix_server(connector.serve, own)
    controls = [await register(index, own) for index in range(CONNECTIONS)]
    await ended.wait()
    grace = float(os.environ["TUNNEL_GRACE_PERIOD"].removesuffix("s"))
    leave = [unregister(index, each, float(os.environ["LEAVE_SECONDS"])) for index, each in enumerate(controls)]
    try:
        async with asyncio.timeout(grace):
            await asyncio.gather(*leave)
            if os.environ.get("TUNNEL_TRANSPORT_PROTOCOL") == "http2":
                await connector.is_idle.wait()
            else:
                await asyncio.sleep(grace)
    except TimeoutError:
        pass
    print(f"INF Tunnel server stopped streams={len(connector.streams)}", flush=True)
    # With it everything that is open.
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    tunnel = parser.add_subparsers(required=True).add_parser("tunnel", allow_abbrev=False)
    tunnel.add_argument("--no-autoupdate", action="store_true")
    actions = tunnel.add_subparsers(required=True)
    actions.add_parser("run", allow_abbrev=False).add_argument("--url", required=True)
    arguments = parser.parse_args()
    assert os.environ["TUNNEL_TOKEN"] and os.environ["TUNNEL_METRICS"]
    asyncio.run(run(arguments.url))


main()
