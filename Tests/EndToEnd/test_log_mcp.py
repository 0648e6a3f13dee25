"""What the log says of an MCP request: from its fields, and with `log_mcp` from the first bytes of its body."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json

import pytest
from peers.upstream import Connection, Upstream, echo


def encoded(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return f"=?base64?{base64.b64encode(data).decode()}?="


def call(method: str, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


async def last_line(proxy, lines, body: bytes = b"", **options: object):
    """The last line of a request with these fields."""
    mark = proxy.mark()
    async with proxy.far.http("echo") as http:
        await http.request("POST", "/mcp", lines, body)
    return await proxy.logged("request finished", since=mark, **options)


async def test_fields_of_an_mcp_request(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        line = await last_line(proxy, [
            ("MCP-Protocol-Version", "2026-07-28"), ("mcp-method", "tools/call"), ("Mcp-Name", "add"),
            ("Mcp-Session-Id", "5f2b1c9e")])
        # Behind the path and in this order, and nothing else is new.
        session = hashlib.sha256(b"5f2b1c9e").hexdigest()[:16]
        assert (f" path=/mcp mcp_method=tools/call mcp_name=add mcp_version=2026-07-28 mcp_session={session} "
                "status=200 ") in line.text
        # Who looks at what hangs sees it in the first line already.
        started = proxy.found("request started")[-1]
        assert started.text.endswith(" path=/mcp mcp_method=tools/call mcp_name=add")
        # They go up as they came.
        sent = [line for line in upstream.requests[0].lines if line.lower().startswith("mcp-")]
        assert sent == ["MCP-Protocol-Version: 2026-07-28", "mcp-method: tools/call", "Mcp-Name: add",
                        "Mcp-Session-Id: 5f2b1c9e"]
        plain = await last_line(proxy, [])
        assert not any(key.startswith(("mcp", "trace", "request_id")) for key in plain.fields)


@pytest.mark.parametrize(("value", "shown"), [
    ("add", "add"), (encoded("añadir"), "añadir"), (encoded("a\nb\x1b[31m level=ERROR"), "a\\nb\\x1b[31m level=ERROR"),
    (encoded(b"\xff\xfe"), "\\xff\\xfe"), (encoded("\u202eadd"), "\\u202eadd"),
    # What is not encoded in order is shown as it is.
    ("=?base64?YWRk", "=?base64?YWRk"), ("=?BASE64?YWRk?=", "=?BASE64?YWRk?="), ("=?base64?YW k?=", "=?base64?YW k?="),
    ("x" * 1024, "x" * 1024), ("x" * 1025, "x" * 1024 + "…"), (encoded("x" * 1024), "x" * 1024),
    (encoded("x" * 1025), "x" * 1024 + "…"), (encoded("x" * 20_000), "x" * 1024 + "…"),
    # Of a resource what may be secret is left out.
    ("https://u:s3cret@h:1/a/b?token=s3cret#s3cret", "https://h:1/a/b"), (encoded("db://s3cret@h/x?s3cret"), "db://h/x"),
], ids=lambda value: str(value)[:24])
async def test_names_are_decoded_bounded_and_escaped(start, value: str, shown: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        line = await last_line(proxy, [("Mcp-Method", "resources/read"), ("Mcp-Name", value)])
        quoted = f'"{shown}"' if not shown.isascii() or any(sign in shown for sign in ' ="\\') else shown
        assert f" mcp_name={quoted} " in line.text
        assert line.text.isprintable() and "s3cret" not in proxy.log
        assert upstream.requests[0].get("mcp-name") == value


async def test_sessions_are_told_apart_by_a_hash(start) -> None:
    """That of a session that begins stands with its first request, whose response names it."""
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            await connection.respond(headers=[("Mcp-Session-Id", "s3cret-1")])

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, log_level="debug")
        for _ in range(2):
            lines = [await last_line(proxy, [("Mcp-Session-Id", id)] if id else []) for id in ("", "s3cret-1", "s3cret-2")]
            hashes = [line.fields["mcp_session"] for line in lines]
            assert hashes == [hashlib.sha256(id).hexdigest()[:16] for id in (b"s3cret-1", b"s3cret-1", b"s3cret-2")]
        assert "s3cret" not in proxy.log


async def test_without_the_setting_no_body_is_looked_at(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        line = await last_line(proxy, [], call("tools/call", name="add"))
        assert not {"mcp_method", "mcp_name"} & line.fields.keys()


@pytest.mark.parametrize(("body", "method", "name"), [
    (call("tools/call", name="add", arguments={"name": "no"}), "tools/call", "add"),
    (call("resources/read", uri="file:///a?s3cret"), "resources/read", "file:///a"),
    (call("initialize", clientInfo={"name": "c"}), "initialize", None), (call("tools/list"), "tools/list", None),
    (call("tools/call", name="a\nb"), "tools/call", "a\nb"), (b"no json", None, None), (b"", None, None),
    (b'{"x":"' + b"x" * 9_000 + b'","method":"ping"}', None, None),
    (b'{"method":"ping","x":"' + b"x" * 200_000 + b'"}', "ping", None),
], ids=lambda value: str(value)[:24])
async def test_a_body_is_looked_at_where_no_field_says_it(start, body: bytes, method, name) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, log_mcp=True)
        async with proxy.far.http("echo") as http:
            response = await http.request("POST", "/", [], body)
            # It arrives as it was sent.
            assert response.body.endswith(body)
            await http.get("/next")
        line = await proxy.logged("request finished")
        assert (line.fields.get("mcp_method"), line.fields.get("mcp_name")) == (method, name)
        # The next request on the connection has nothing of it.
        assert "mcp_method" not in (await proxy.logged("request finished", count=2)).fields
        assert "s3cret" not in proxy.log


async def test_a_field_comes_before_the_body(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, log_mcp=True)
        line = await last_line(proxy, [("Mcp-Method", "ping")], call("tools/call", name="add"))
        assert line.fields["mcp_method"] == "ping" and "mcp_name" not in line.fields


async def test_no_byte_of_a_body_waits(start) -> None:
    """Each byte is at the upstream before the next one is sent."""
    body = call("tools/call", name="add")
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def handler(connection: Connection) -> None:
        await connection.head()
        for _ in body:
            arrived.put_nowait(await connection.reader.readexactly(1))
        await connection.respond()
        await connection.wait_for_end()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, log_mcp=True)
        async with proxy.far.http("echo") as http:
            await http.send(
                b"POST / HTTP/1.1\r\nHost: echo.t.example\r\nContent-Length: %d\r\n\r\n" % len(body))
            for index in range(len(body)):
                await http.send(body[index : index + 1])
                assert await asyncio.wait_for(arrived.get(), 10) == body[index : index + 1]
            assert (await http.response()).status == 200
        line = await proxy.logged("request finished")
        assert (line.fields["mcp_method"], line.fields["mcp_name"]) == ("tools/call", "add")


async def test_a_request_that_gets_no_upstream_is_named_too(start, refusing_port: int) -> None:
    proxy = start({"echo": f"http://127.0.0.1:{refusing_port}"}, log_mcp=True)
    line = await last_line(proxy, [], call("tools/call", name="add"))
    assert (line.fields["status"], line.fields["mcp_name"]) == ("502", "add")


async def test_the_setting_is_taken_by_a_reload(start, configuration) -> None:
    from conftest import write_configuration

    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        write_configuration(proxy.config_file, configuration, {"echo": upstream}, log_mcp=True)
        proxy.signal(1)
        await proxy.logged("configuration reloaded")
        assert (await last_line(proxy, [], call("ping"))).fields["mcp_method"] == "ping"
