"""An MCP server on streamable HTTP for the tests, on whichever major version of the `mcp` package is installed.

Run as `python -m peers.mcp_server HOST...`: it prints its port and serves until it is ended. The hosts given are the
only ones it answers, so that the tests see whether the proxy passes the Host header on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from importlib.metadata import version

import uvicorn
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.transport_security import TransportSecuritySettings

if version("mcp").startswith("1."):
    from mcp.server.fastmcp import Context, FastMCP as Server
else:
    from mcp.server.mcpserver import Context, MCPServer as Server


class MemoryEventStore(EventStore):
    """Keeps every event, numbered, so that a stream can be taken up again with Last-Event-ID."""

    def __init__(self) -> None:
        self._events: list[tuple[str, object]] = []

    async def store_event(self, stream_id, message):
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id, send_callback):
        last = int(last_event_id)
        if not 0 < last <= len(self._events):
            return None
        stream_id = self._events[last - 1][0]
        for number, (stream, message) in enumerate(list(self._events), start=1):
            if number > last and stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


gates: dict[str, asyncio.Event] = {}


def gate(name: str) -> asyncio.Event:
    """The event that one tool waits for and another one sets."""
    return gates.setdefault(name, asyncio.Event())


async def echo(text: str) -> str:
    """Answers with its argument."""
    return text


async def wait_at(name: str, ctx: Context) -> str:
    """Reports progress, waits until somebody opens the gate, reports again and ends."""
    await ctx.report_progress(1, 2, "waiting")
    await gate(name).wait()
    await ctx.report_progress(2, 2, "open")
    return f"passed {name}"


async def open_gate(name: str) -> str:
    """Lets the call that waits go on."""
    gate(name).set()
    return "opened"


def application(hosts: list[str]):
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=[f"https://{host}" for host in hosts]
    )
    if version("mcp").startswith("1."):
        server = Server("peer", event_store=MemoryEventStore(), transport_security=security, log_level="WARNING")
    else:
        server = Server("peer", log_level="WARNING")
    for tool in (echo, wait_at, open_gate):
        server.tool()(tool)
    if version("mcp").startswith("1."):
        return server.streamable_http_app()
    return server.streamable_http_app(event_store=MemoryEventStore(), transport_security=security)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    config = uvicorn.Config(application(sys.argv[1:]), log_level="warning", timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
