"""A stand-in for cloudflared: takes its command line and its token, and lets the far side reach the origin.

What the real one gets through the tunnel, this one gets on a TCP port. It copies bytes, as cloudflared does with a
WebSocket once it is open.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from urllib.parse import urlsplit

PORT = 7844


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()


async def main() -> None:
    expected = ["tunnel", "--no-autoupdate", "run", "--url"]
    if sys.argv[1:5] != expected or len(sys.argv) != 6:
        sys.exit(f"unexpected arguments: {sys.argv[1:]}")
    if not os.environ.get("TUNNEL_TOKEN"):
        sys.exit("\"cloudflared tunnel run\" requires the ID or name of the tunnel to run, or a token")
    origin = urlsplit(sys.argv[5])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(origin.hostname, origin.port)
        except OSError:
            print("ERR Unable to reach the origin service", flush=True)
            writer.close()
            return
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))
        up_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", PORT)
    for index in range(4):
        print(f"INF Registered tunnel connection connIndex={index}", flush=True)
    # As the first process of a container it would not be ended by the signal's default.
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()


asyncio.run(main())
