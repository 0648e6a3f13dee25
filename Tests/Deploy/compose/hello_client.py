"""Calls the guide's sample server through the tunnel with the MCP SDK's client:
`python -m compose.hello_client ADDRESS CA DOMAIN ROUTE` prints the tool's answer and the server certificate's serial."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cryptography import x509
from peers.endpoint import Endpoint
from peers.far_side import FarSide
from peers.mcp_client import Scenario


async def main() -> None:
    address, ca_file, domain, route = sys.argv[1:]
    far = FarSide(Endpoint.parse(address), domain, Path(ca_file))
    async with Scenario(far, route, "auto").session() as session:
        result = await session.call_tool("hello", {"name": "tunnel"})
        print(result.content[0].text)
    stream = await far.open(route)
    print(x509.load_der_x509_certificate(stream.tls.getpeercert(binary_form=True)).serial_number)
    await stream.close()


asyncio.run(main())
