"""The MCP SDK's own client through the tunnel, on whichever major version of the `mcp` package is installed.

Run as `python -m peers.mcp_client SCENARIO ADDRESS CA DOMAIN ROUTE MODE [http2]`. Each scenario prints what it saw as one JSON
object a line, in the order it happened; the test judges.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from .endpoint import Endpoint
from .far_side import FarSide
from .httpcore_backend import client as tunnel_client

VERSION = int(version("mcp").split(".")[0])
if VERSION == 1:
    import httpcore
    import httpx
else:
    import httpcore2 as httpcore
    import httpx2 as httpx


def say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


class Scenario:
    def __init__(self, far: FarSide, route: str, mode: str, http2: bool = False) -> None:
        self.far, self.mode, self.http2 = far, mode, http2
        self.url = f"https://{far.host(route)}/mcp"

    def http(self, **options: Any) -> Any:
        return tunnel_client(httpx, httpcore, self.far, http2=self.http2, **options)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A ready session: `ClientSession` on 1.x, `Client` on 2.x; both have `list_tools` and `call_tool`."""
        async with self.http() as http:
            if VERSION == 1:
                async with streamable_http_client(self.url, http_client=http) as (read, write, _):
                    async with ClientSession(read, write) as session:
                        await session.initialize()
                        yield session
            else:
                from mcp import Client

                async with Client(streamable_http_client(self.url, http_client=http), mode=self.mode) as client:
                    yield client

    async def tour(self) -> None:
        """initialize, list, call, and a progress notification while the call still runs."""
        async with self.session() as session:
            say("ready")
            say("tools", names=sorted(tool.name for tool in (await session.list_tools()).tools))
            result = await session.call_tool("echo", {"text": "grüß dich, tunnel"})
            say("echo", text=result.content[0].text)

            waiting = asyncio.Event()

            async def progress(done: float, total: float | None, message: str | None) -> None:
                say("progress", done=done, message=message)
                if done == 1:
                    waiting.set()

            async def open_gate() -> None:
                # Only now may the call end: were its progress held back, nobody would ever open the gate.
                await waiting.wait()
                say("opening gate")
                await session.call_tool("open_gate", {"name": "tour"})

            opener = asyncio.create_task(open_gate())
            result = await session.call_tool("wait_at", {"name": "tour"}, progress_callback=progress)
            await opener
            say("passed", text=result.content[0].text)
        say("closed")

    async def greet(self) -> None:
        """What the sample server has: one tool, which reports progress."""
        async with self.session() as session:
            say("ready")
            say("tools", names=sorted(tool.name for tool in (await session.list_tools()).tools))

            async def progress(done: float, total: float | None, message: str | None) -> None:
                say("progress", done=done, total=total)

            result = await session.call_tool("hello", {"name": "grüß \"dich\""}, progress_callback=progress)
            say("greeted", text=result.content[0].text, failed=bool(getattr(result, "is_error", False)))
        say("closed")

    async def listen(self) -> None:
        """An open subscription (2.x without sessions) until the server ends it, and calls beside it."""
        async with self.session() as client:
            async with client.listen(tools_list_changed=True) as subscription:
                say("acknowledged", tools=bool(subscription.honored.tools_list_changed))
                say("tools", names=sorted(tool.name for tool in (await client.list_tools()).tools))
                async for event in subscription:
                    say("event", kind=type(event).__name__)
                say("ended")

    async def ask(self) -> None:
        """A call that lacks what the user knows: the server asks, the client calls again (2.x)."""
        import mcp_types
        from mcp import Client

        async def answer(context: Any, parameters: Any) -> Any:
            say("asked", message=parameters.message)
            return mcp_types.ElicitResult(action="accept", content={"name": "whoever"})

        async with self.http() as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=self.mode, elicitation_callback=answer) as client:
                result = await client.call_tool("hello", {})
                say("greeted", text=result.content[0].text)

    async def crowd(self, size: int = 50) -> None:
        """Many sessions, all open before the first of them ends."""
        everyone = asyncio.Barrier(size)

        async def one(number: int) -> None:
            async with self.session() as session:
                await everyone.wait()
                result = await session.call_tool("echo", {"text": f"session {number}"})
                say("echo", text=result.content[0].text)
                await everyone.wait()

        await asyncio.gather(*(one(number) for number in range(size)))

    async def resume(self) -> None:
        """Lose the stream of a running call, take it up again with Last-Event-ID, then end the session."""
        protocol = "2025-06-18"
        headers = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": protocol}
        async with self.http(headers=headers) as first, self.http(headers=headers) as second:
            info = {"protocolVersion": protocol, "capabilities": {}, "clientInfo": {"name": "far", "version": "1"}}
            answer = await first.post(self.url, json=_request(1, "initialize", info))
            session = answer.headers["mcp-session-id"]
            say("initialized", status=answer.status_code)
            for client in (first, second):
                client.headers["Mcp-Session-Id"] = session
            await first.post(self.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})

            call = {"name": "wait_at", "arguments": {"name": "resume"}, "_meta": {"progressToken": "p"}}
            async with first.stream("POST", self.url, json=_request(2, "tools/call", call)) as stream:
                last = await anext(event async for event in _events(stream) if "progress" in event["data"])
                say("progress", id=last["id"])
            # Leaving the block dropped the stream, and with it the WebSocket, before the call's answer.
            await first.aclose()

            opened = await second.post(self.url, json=_request(3, "tools/call", {
                "name": "open_gate", "arguments": {"name": "resume"}}))
            say("gate opened", status=opened.status_code)
            async with second.stream("GET", self.url, headers={"Last-Event-ID": last["id"]}) as stream:
                say("resumed", status=stream.status_code, type=stream.headers["content-type"])
                async for event in _events(stream):
                    message = json.loads(event["data"])
                    if message.get("method") == "notifications/progress":
                        say("progress", done=message["params"]["progress"])
                    if message.get("id") == 2:
                        say("passed", text=message["result"]["content"][0]["text"])
                        break

            ended = await second.delete(self.url)
            say("deleted", status=ended.status_code)
            after = await second.post(self.url, json=_request(4, "tools/list", {}))
            say("after", status=after.status_code)


def _request(number: int, method: str, params: dict) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def _events(response: Any) -> AsyncIterator[dict[str, str]]:
    """The events of a stream, by the rules of the HTML standard as far as MCP needs them."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            event[name] = event.get(name, "") + value.removeprefix(" ")
        elif event.get("data"):
            yield event
            event = {}
        else:
            event = {}


def main() -> None:
    name, address, ca_file, domain, route, mode, *more = sys.argv[1:]
    scenario = Scenario(FarSide(Endpoint.parse(address), domain, Path(ca_file)), route, mode, more == ["http2"])
    asyncio.run(getattr(scenario, name)())


if __name__ == "__main__":
    main()
