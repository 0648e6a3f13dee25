"""Rates and places, per route and in all: 429 and 503 with Retry-After, a short queue, and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import pytest
from peers.admin import Admin
from peers.metrics import scrape
from peers.upstream import Connection, Upstream, echo

ADMIN = {"admin_addr": "127.0.0.1:0"}


class Gated:
    """An upstream whose responses wait for the test."""

    def __init__(self) -> None:
        self.open, self.under_way, self.most = asyncio.Event(), 0, 0

    async def __call__(self, connection: Connection) -> None:
        while await connection.head():
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await self.open.wait()
            self.under_way -= 1
            await connection.respond(body=b"done")

    async def until(self, count: int) -> None:
        while self.under_way != count:
            await asyncio.sleep(0.005)


def hits(proxy, limit: str) -> float:
    return scrape(Admin(proxy)).get("mcp_tunnel_limit_hits_total", limit=limit)


async def ask(proxy, route: str):
    async with proxy.far.http(route) as http:
        return await http.get()


@pytest.mark.parametrize("where", ["route", "all"])
async def test_a_rate(start, where: str) -> None:
    """One in a minute, and three at once: the fourth is told when to come again."""
    rate = {"rate": 0.02, "burst": 3}
    changes = {"route_options": {"a": rate}} if where == "route" else {"limits": rate}
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream, "b": upstream}, **ADMIN, **changes)
        for _ in range(3):
            assert (await ask(proxy, "a")).status == 200
        refused = await ask(proxy, "a")
        assert refused.status == 429 and 40 <= int(refused.get("retry-after") or 0) <= 50
        assert (await ask(proxy, "b")).status == (200 if where == "route" else 429)
        name, count = ("route_rate", 1) if where == "route" else ("rate", 2)
        assert hits(proxy, name) == count
        while (shown := Admin(proxy).json("/status")["counts"]["limit_hits"]) != [{"limit": name, "count": count}]:
            assert shown in ([], [{"limit": name, "count": 1}])
            await asyncio.sleep(0.1)
        assert f"{name}: {count}".encode() in Admin(proxy).ask("/")[2]
    assert (await proxy.logged("request finished", count=4)).fields["end"] == "limit"


async def test_whoever_comes_when_he_was_told_to_is_served(start) -> None:
    """One in two and a half seconds: Retry-After is whole seconds, and never so few that he would be refused again."""
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream}, route_options={"a": {"rate": 0.4, "burst": 1}})
        assert (await ask(proxy, "a")).status == 200
        refused = await ask(proxy, "a")
        assert refused.status == 429
        wait = int(refused.get("retry-after") or 0)
        await asyncio.sleep(wait)
        assert (await ask(proxy, "a")).status == 200, f"after {wait} s"


async def test_a_rate_is_one_for_all_loops_and_grows_again(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream}, threads=4, route_options={"a": {"rate": 2, "burst": 5}})
        began = time.monotonic()
        answers = await asyncio.gather(*(ask(proxy, "a") for _ in range(60)))
        passed = sum(answer.status == 200 for answer in answers)
        # Each of the four loops alone would let five pass at once.
        assert 5 <= passed <= 5 + 2 * (time.monotonic() - began) + 1
        assert all(answer.status in (200, 429) for answer in answers) and len(upstream.requests) == passed
        while (await ask(proxy, "a")).status != 200:
            await asyncio.sleep(0.05)


async def test_places_of_a_route_over_all_loops(start) -> None:
    gate = Gated()
    async with Upstream(gate) as slow, Upstream(echo) as fast:
        proxy = start({"a": slow, "b": fast}, threads=4, route_options={"a": {"max_requests": 3}}, **ADMIN)
        tasks = [asyncio.ensure_future(ask(proxy, "a")) for _ in range(3)]
        await gate.until(3)
        refused = await ask(proxy, "a")
        assert refused.status == 503 and refused.get("retry-after") == "1"
        assert (await ask(proxy, "b")).status == 200
        assert hits(proxy, "route_max_requests") == 1
        gate.open.set()
        assert [answer.status for answer in await asyncio.gather(*tasks)] == [200] * 3
        assert (await ask(proxy, "a")).status == 200
        assert gate.most == 3


@pytest.mark.parametrize("where", ["route", "all"])
async def test_a_short_queue(start, where: str) -> None:
    """Two are served and two wait; the fifth is refused at once; who waits goes in as others leave."""
    gate = Gated()
    places = {"max_requests": 2, "max_queued": 2}
    changes: dict = {"limits": {"queue_timeout": "20s"}}
    if where == "route":
        changes["route_options"] = {"a": places}
    else:
        changes["limits"].update(places)
    async with Upstream(gate) as slow:
        proxy = start({"a": slow}, threads=4, **changes)
        tasks = [asyncio.ensure_future(ask(proxy, "a")) for _ in range(4)]
        await gate.until(2)
        await proxy.logged("request started", count=4)
        refused = await ask(proxy, "a")
        assert refused.status == 503
        assert gate.under_way == 2
        gate.open.set()
        assert [answer.status for answer in await asyncio.gather(*tasks)] == [200] * 4
        assert gate.most == 2


async def test_who_waits_too_long_is_told(start) -> None:
    gate = Gated()
    async with Upstream(gate) as slow:
        proxy = start(
            {"a": slow}, limits={"queue_timeout": "200ms"}, route_options={"a": {"max_requests": 1, "max_queued": 5}})
        task = asyncio.ensure_future(ask(proxy, "a"))
        await gate.until(1)
        assert (await ask(proxy, "a")).status == 503
        gate.open.set()
        assert (await task).status == 200


async def test_who_goes_while_waiting_takes_no_place(start) -> None:
    gate = Gated()
    async with Upstream(gate) as slow:
        proxy = start(
            {"a": slow}, limits={"queue_timeout": "20s"}, route_options={"a": {"max_requests": 1, "max_queued": 1}})
        first = asyncio.ensure_future(ask(proxy, "a"))
        await gate.until(1)
        waiting = asyncio.ensure_future(ask(proxy, "a"))
        await proxy.logged("request started", count=2)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await proxy.logged("end=client_gone")
        # The queue has room again, and the place is not lost.
        second = asyncio.ensure_future(ask(proxy, "a"))
        await proxy.logged("request started", count=3)
        gate.open.set()
        assert ((await first).status, (await second).status) == (200, 200)
        assert (await ask(proxy, "a")).status == 200


async def test_a_reload_keeps_the_counts(start) -> None:
    """Places and tokens belong to the route, not to a configuration."""
    gate = Gated()
    async with Upstream(gate) as slow:
        proxy = start({"a": slow}, route_options={"a": {"max_requests": 1}})
        task = asyncio.ensure_future(ask(proxy, "a"))
        await gate.until(1)
        proxy.signal(signal.SIGHUP)
        await proxy.logged("configuration reloaded")
        assert (await ask(proxy, "a")).status == 503
        gate.open.set()
        assert (await task).status == 200
