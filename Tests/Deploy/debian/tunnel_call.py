"""One GET through the tunnel, as the far side makes it: tunnel_call.py LISTENER DOMAIN CA ROUTE PATH."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from peers.endpoint import Endpoint
from peers.far_side import FarSide


async def main(listener: str, domain: str, authority: str, route: str, path: str) -> None:
    far = FarSide(Endpoint.parse(listener), domain, Path(authority))
    async with asyncio.timeout(20), far.http(route) as connection:
        response = await connection.get(path)
        print(response.status, response.body.decode())


asyncio.run(main(*sys.argv[1:]))
