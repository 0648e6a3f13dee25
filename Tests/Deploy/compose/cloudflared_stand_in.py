"""A stand-in for cloudflared: takes its command lines and its token, and lets the far side reach the origin.

What the real one gets through the tunnel, this one gets on a TCP port. It copies bytes, as cloudflared does with a
WebSocket once it is open, dials the origin anew for each, and closes both ways when either ends. Without a network
interface but loopback it is as far from the edge as the real one would be, and `/ready` says so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

PORT = 7844


def has_way_out() -> bool:
    return any(name != "lo" for _, name in socket.if_nameindex())


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def tell_readiness(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    status = b"200 OK" if has_way_out() else b"503 Service Unavailable"
    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def run(metrics: str, url: str) -> None:
    origin = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(origin.hostname, origin.port)
        except OSError as error:
            print(f"ERR Unable to reach the origin service: {error}", flush=True)
            writer.close()
            return
        ways = [asyncio.create_task(copy(reader, up_writer)), asyncio.create_task(copy(up_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        up_writer.close()
        writer.close()

    host, _, port = metrics.rpartition(":")
    await asyncio.start_server(tell_readiness, host, int(port))
    await asyncio.start_server(serve, "0.0.0.0", PORT)
    for index in range(4):
        print(f"INF Registered tunnel connection connIndex={index}", flush=True)
    # As the first process of a container it would not be ended by the signal's default.
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


def ask_readiness(metrics: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{metrics}/ready", timeout=3):
            return 0
    except (OSError, urllib.error.HTTPError) as error:
        print(error)
        return 1


def main() -> int:
    # Flags stand where the real one takes them, and are not abbreviated.
    parser = argparse.ArgumentParser(allow_abbrev=False)
    tunnel = parser.add_subparsers(required=True).add_parser("tunnel", allow_abbrev=False)
    tunnel.add_argument("--no-autoupdate", action="store_true")
    tunnel.add_argument("--metrics", default="0.0.0.0:20241")
    actions = tunnel.add_subparsers(dest="action", required=True)
    actions.add_parser("run", allow_abbrev=False).add_argument("--url", required=True)
    actions.add_parser("ready", allow_abbrev=False)
    arguments = parser.parse_args()
    if arguments.action == "ready":
        return ask_readiness(arguments.metrics)
    if not os.environ.get("TUNNEL_TOKEN"):
        print('"cloudflared tunnel run" requires the ID or name of the tunnel to run, or a token')
        return 1
    asyncio.run(run(arguments.metrics, arguments.url))
    return 0


sys.exit(main())
