"""An MCP server on the old HTTP+SSE transport, of version 1 of the `mcp` package. Run as `peers.mcp_server` is."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
from mcp.server.fastmcp import FastMCP
from mcp.server.transport_security import TransportSecuritySettings


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    security = TransportSecuritySettings(enable_dns_rebinding_protection=True, allowed_hosts=sys.argv[1:])
    application = FastMCP("old", transport_security=security, log_level="WARNING").sse_app()
    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
