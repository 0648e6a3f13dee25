"""Calls the sample server through the tunnel with the MCP SDK's client.

`python -m compose.hello_client CA DOMAIN` reads lines `ADDRESS ROUTE SECONDS` and answers each with one line: the serial of
the server certificate that was shown and what the tool said, or `failed` and why. It stays, because loading the SDK takes
longer than what is measured with it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cryptography import x509
from peers.endpoint import Endpoint
from peers.far_side import FarSide
from peers.mcp_client import Scenario


async def call(address: str, route: str, domain: str, ca_file: Path) -> str:
    far = FarSide(Endpoint.parse(address), domain, ca_file)
    async with Scenario(far, route, "auto").session() as session:
        result = await session.call_tool("hello", {"name": "tunnel"})
    stream = await far.open(route)
    serial = x509.load_der_x509_certificate(stream.tls.getpeercert(binary_form=True)).serial_number
    await stream.close()
    return f"{serial} {result.content[0].text}"


def main() -> None:
    ca_file, domain = sys.argv[1:]
    loop = asyncio.new_event_loop()
    print("ready", flush=True)
    for line in sys.stdin:
        address, route, seconds = line.split()
        task = loop.create_task(call(address, route, domain, Path(ca_file)))
        loop.run_until_complete(asyncio.wait({task}, timeout=float(seconds)))
        if not task.done():
            # The SDK takes its time to let go, which is not waited for.
            task.cancel()
            print("failed: no answer in time", flush=True)
        elif error := task.exception():
            print(f"failed: {' '.join(repr(error).split())}", flush=True)
        else:
            print(task.result(), flush=True)


main()
