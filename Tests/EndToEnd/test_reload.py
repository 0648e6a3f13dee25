"""SIGHUP takes over a changed file as a whole, or not at all; live streams go on."""

from __future__ import annotations

import asyncio
import signal

from conftest import write_configuration
from peers.http_client import HTTPConnection
from peers.upstream import Connection, Upstream, echo


def named(name: bytes):
    async def handler(connection: Connection) -> None:
        while await connection.head():
            await connection.respond(body=name)

    return handler


async def reload(proxy, pattern: str = "reload") -> str:
    """SIGHUP, and the line the proxy says about it."""
    mark = proxy.mark()
    proxy.signal(signal.SIGHUP)
    return (await proxy.logged(pattern, since=mark)).text


async def test_routes_are_replaced(start, configuration: dict) -> None:
    async with Upstream(named(b"one")) as one, Upstream(named(b"two")) as two:
        proxy = start({"a": one, "b": one})
        async with proxy.far.http("a") as live:
            assert (await live.get()).body == b"one"
            write_configuration(proxy.config_file, configuration, {"a": two, "c": two})
            await reload(proxy)
            # The same inner connection sees the new routes from its next request on.
            assert (await live.get()).body == b"two"
            assert (await live.get(host="c.t.example")).body == b"two"
            assert (await live.get(host="b.t.example")).status == 502
        assert "c" in {line.fields["route"] for line in proxy.found("route configured")}


async def test_bad_file_keeps_the_old_and_says_why(start, configuration: dict) -> None:
    async with Upstream(named(b"one")) as upstream:
        proxy = start({"a": upstream})
        good = proxy.config_file.read_text()
        for bad, why in (
            (good.replace("routes:", "routs:"), "routs"),
            (good.replace("http://", "ftp://"), r"invalid upstream \(must be scheme://host:port\)"),
            ("\t", str(proxy.config_file)),
        ):
            proxy.config_file.write_text(bad)
            mark = proxy.mark()
            proxy.signal(signal.SIGHUP)
            await proxy.logged(" (ERROR|WARN) ", since=mark)
            await proxy.logged(why, since=mark)
            async with proxy.far.http("a") as http:
                assert (await http.get()).body == b"one"
        proxy.config_file.unlink()
        await reload(proxy, f"open {proxy.config_file}: no such file or directory")
        async with proxy.far.http("a") as http:
            assert (await http.get()).body == b"one"


async def test_live_streams_go_on(start, configuration: dict) -> None:
    gate = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await gate.wait()
        await connection.send(b"4\r\nlast\r\n0\r\n\r\n")

    async with Upstream(handler) as old, Upstream(named(b"new")) as new:
        proxy = start({"a": old})
        async with proxy.far.http("a") as http:
            await http.send_head("GET")
            response = await http.final_head()
            body = http.body(response)
            assert await anext(body) == b"first"
            write_configuration(proxy.config_file, configuration, {"a": new})
            await reload(proxy)
            gate.set()
            assert [part async for part in body] == [b"last"]
            assert (await http.get()).body == b"new"


async def test_log_level_and_limits_follow(start, configuration: dict) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream})
        async with proxy.far.http("a") as http:
            assert (await http.request("GET", headers=[("X", "y")] * 50)).status == 200
            write_configuration(
                proxy.config_file, configuration, {"a": upstream}, log_level="debug", limits={"max_headers": 20}
            )
            await reload(proxy)
        async with proxy.far.http("a") as http:
            assert (await http.request("GET", headers=[("X", "y")] * 50)).status == 431
        await proxy.logged(" DEBUG ")


async def test_settings_that_need_a_restart_say_so(start, configuration: dict) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream})
        mark = proxy.mark()
        write_configuration(proxy.config_file, configuration, {"a": upstream}, listen_addr="127.0.0.1:1")
        proxy.signal(signal.SIGHUP)
        await proxy.logged("listen_addr", since=mark)
        async with proxy.far.http("a") as http:
            assert (await http.get()).status == 200


async def test_many_reloads_under_load(start, configuration: dict) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream})
        stop = asyncio.Event()
        count = 0

        async def load() -> None:
            nonlocal count
            http = HTTPConnection(await proxy.far.open("a"), "a.t.example")
            while not stop.is_set():
                assert (await http.get()).status == 200
                count += 1
            await http.stream.close()

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for number in range(10):
            write_configuration(proxy.config_file, configuration, {"a": upstream, f"r{number}": upstream})
            await reload(proxy)
        stop.set()
        await asyncio.gather(*loads)
        assert count > 10
