"""`/metrics`: what others read of it, that the counts are exact, and that nobody outside can add a label."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from conftest import REPOSITORY, write_configuration
from peers.admin import Admin
from peers.collector import Collector
from peers.endpoint import free_port
from peers.metrics import Scrape, scrape, scrape_until
from peers.threads import stopped_thread
from peers.upstream import Connection, Upstream

DURATION = "http_server_request_duration_seconds"


@pytest.fixture(scope="session")
def prometheus() -> None:
    """Debian's package, with promtool in it."""
    subprocess.run([REPOSITORY / "Tests" / "Support" / "need", "prometheus"], check=True, capture_output=True)


async def handler(connection: Connection) -> None:
    """Does what the path says."""
    while head := await connection.head():
        await connection.body(head)
        if head.target == "/missing":
            await connection.respond("404 Not Found", body=b"no")
        elif head.target == "/events":
            await connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"8\r\ndata: 1\n\r\n")
        elif head.target == "/broken":
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            return connection.reset()
        else:
            await connection.respond(body=b"answer")


@pytest.fixture
def admin(start):
    def run(routes: dict, **changes: object):
        proxy = start(routes, **{"admin_addr": "127.0.0.1:0", **changes})
        site = Admin(proxy)
        return proxy, site

    return run


async def ready(site: Admin) -> Scrape:
    """Past the self-test, whose tunnel is counted like any other."""
    await asyncio.to_thread(site.wait_until, "/readyz", 200)
    # A health check and the self-test count nothing of a route.
    return await asyncio.to_thread(
        scrape_until, site, lambda found: found.get("mcp_tunnel_tunnels_open") == 0)


# What others read.


async def test_others_read_it(admin, prometheus, tmp_path: Path) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream})
        await ready(site)
        async with proxy.far.http("echo") as http:
            await http.get()
            await http.get("/missing")
            plain = await asyncio.to_thread(scrape, site)
            open_metrics = await asyncio.to_thread(scrape, site, openmetrics=True)
    assert open_metrics.text.endswith("# EOF\n")
    assert set(plain.families) == set(open_metrics.families)
    for name, family in plain.families.items():
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), name
        assert open_metrics.families[name].type == family.type
    linted = subprocess.run(
        ["promtool", "check", "metrics"], input=plain.text, capture_output=True, text=True, timeout=20, check=False)
    assert linted.returncode == 0 and not linted.stderr, linted


async def test_the_page_lists_what_is_there(admin) -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    listed = {
        name: (kind, set(re.findall(r"`([a-z_]+)`", labels)))
        for name, kind, labels in re.findall(r"(?m)^\| `([a-z0-9_]+)` \| (\w+) \| (.*?) \|", page)}
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream}, metrics={"mcp_names": True})
        await ready(site)
        async with proxy.far.http("echo") as http:
            await http.request("POST", headers=[("Mcp-Method", "tools/call"), ("Mcp-Name", "add")], body=b"{}")
            await http.request("POST", "/missing", headers=[("Mcp-Method", "tools/call"), ("Mcp-Name", "add")])
            await http.send_head("GET", "/broken")
            await http.final_head()
        with pytest.raises(Exception):  # noqa: B017, PT011 - for a handshake that fails
            await proxy.far.open(context=ssl.create_default_context())
        found = await asyncio.to_thread(
            scrape_until, site, lambda found: found.all("mcp_tunnel_tls_handshake_failures_total")
            and found.all("mcp_tunnel_upstream_failures_total"), openmetrics=True)
    suffix = {"counter": "_total"}
    seen = {}
    for family in found.families.values():
        labels = {key for sample in family.samples for key in sample.labels} - {"le"}
        seen[family.name + suffix.get(family.type, "")] = (family.type, labels)
    assert seen == listed


def test_the_queries_of_the_page_are_read(prometheus, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    queries = [
        query for query in re.findall(r"(?m)(?:^    .+\n)+", page) if not query.lstrip().startswith("curl")]
    assert len(queries) > 6
    file = tmp_path / "rules.json"
    rules = [{"record": f"page:{index}", "expr": query} for index, query in enumerate(queries)]
    file.write_text(json.dumps({"groups": [{"name": "page", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, timeout=20, check=False)
    assert checked.returncode == 0, checked


@pytest.mark.deadline(60)
async def test_a_prometheus_scrapes_it(admin, prometheus, tmp_path: Path) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream})
        file = tmp_path / "prometheus.yml"
        file.write_text(
            json.dumps({"scrape_configs": [{
                "job_name": "proxy", "scrape_interval": "500ms", "scrape_timeout": "500ms",
                "static_configs": [{"targets": [site.address]}]}]}))
        port = free_port()
        with open(tmp_path / "prometheus.log", "wb") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            async with proxy.far.http("echo") as http:
                for _ in range(7):
                    await http.get()
                # Several scrapes, none of which failed, and the values that we know.
                await asyncio.to_thread(
                    ask_until, port, 'count_over_time(up{job="proxy"}[1m]) >= 6', lambda value: value >= 6)
                assert await asyncio.to_thread(ask, port, 'min_over_time(up{job="proxy"}[1m])') == 1
                query = f'sum({DURATION}_count{{route="echo",method="GET",status="2xx"}})'
                await asyncio.to_thread(ask_until, port, query, lambda value: value == 7)
                assert await asyncio.to_thread(ask, port, "scrape_samples_scraped") > 100
        finally:
            process.terminate()
            process.wait(10)


def ask(port: int, query: str) -> float | None:
    """The one value of a query."""
    address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=5) as response:
        found = json.load(response)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def ask_until(port: int, query: str, holds) -> None:
    end = time.monotonic() + 40
    while True:
        try:
            value = ask(port, query)
        except OSError:
            value = None
        if value is not None and holds(value):
            return
        assert time.monotonic() < end, (query, value)
        time.sleep(0.1)


async def test_the_last_trace_is_an_exemplar(admin) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with Upstream(handler) as upstream:
        with Collector() as collector:
            proxy, site = admin(
                {"echo": upstream}, trace={"enabled": True, "sample_ratio": 0},
                before=["env", f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}",
                        "OTEL_TRACES_SAMPLER=parentbased_traceidratio"])
            await ready(site)
            async with proxy.far.http("echo") as http:
                await http.get("/missing")
                await http.request("POST", headers=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01")], body=b"{}")
                found = await asyncio.to_thread(
                    scrape_until, site, lambda found: found.get(
                        f"{DURATION}_count", route="echo", method="POST", status="2xx") == 1, openmetrics=True)
                plain = await asyncio.to_thread(scrape, site)
    marked = [sample for sample in found.samples if sample.exemplar]
    assert len(marked) == 1 and marked[0].labels["method"] == "POST"
    exemplar = marked[0].exemplar
    assert exemplar.labels == {"trace_id": trace}
    assert exemplar.value <= float(marked[0].labels["le"])
    assert float(exemplar.timestamp) == pytest.approx(time.time(), abs=30)
    assert trace not in plain.text


# Exact counts.


async def test_counts_are_exact(admin, refusing_port: int) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream, "dead": f"http://127.0.0.1:{refusing_port}"})
        before = await ready(site)
        async with proxy.far.http("echo") as http:
            for _ in range(5):
                assert (await http.get()).status == 200
            for _ in range(3):
                assert (await http.request("POST", "/", body=b"12345")).status == 200
            for _ in range(2):
                assert (await http.get("/missing")).status == 404
            for _ in range(4):
                assert (await http.get(host="dead.t.example")).status == 502
            assert (await http.get(host="nowhere.t.example")).status == 502
            found = await asyncio.to_thread(
                scrape_until, site, lambda found: found.get(f"{DURATION}_count", method="GET", status="5xx") == 1)

    def counted(**labels: str) -> float:
        return found.get(f"{DURATION}_count", **labels)

    assert counted(route="echo", method="GET", status="2xx") == 5
    assert counted(route="echo", method="POST", status="2xx") == 3
    assert counted(route="echo", method="GET", status="4xx") == 2
    assert counted(route="dead", method="GET", status="5xx") == 4
    assert sum(found.all(f"{DURATION}_count").values()) == 15
    assert found.get("http_server_time_to_first_byte_seconds_count", route="echo") == 10
    assert found.get("http_server_request_body_bytes_total", route="echo") == 3 * 5
    assert found.get("http_server_response_body_bytes_total", route="echo") == 8 * 6 + 2 * 2
    assert set(found.all("http_server_active_requests").values()) == {0}
    # The first request of a loop opens the one connection that the others use again.
    assert found.get("mcp_tunnel_upstream_dials_total", result="ok") == 1
    assert found.get("mcp_tunnel_upstream_dials_total", result="unreachable") == 4
    assert found.get("mcp_tunnel_upstream_failures_total", route="dead", error_type="unreachable") == 4
    assert found.get("http_client_open_connections", state="idle") == 1
    assert found.get("http_client_open_connections", state="active") == 0
    assert found.get("mcp_tunnel_tunnels_total") - before.get("mcp_tunnel_tunnels_total") == 1
    assert found.get("mcp_tunnel_tunnels_open") == 1
    made = "mcp_tunnel_tls_handshakes_total"
    labels = {"version": "1.3", "alpn": "http/1.1", "resumed": "false", "cipher": "TLS_AES_128_GCM_SHA256"}
    assert found.get(made, **labels) - before.get(made, **labels) == 1
    assert found.get("mcp_tunnel_far_side_last_seen_timestamp_seconds", event="request") == pytest.approx(
        time.time(), abs=30)
    assert found.get("mcp_tunnel_websocket_frames_total", direction="in") >= 15
    assert found.get("mcp_tunnel_ready") == 1
    assert found.get("process_open_fds") > 5
    assert found.get("process_start_time_seconds") == pytest.approx(time.time(), abs=120)
    # The close that follows, with the far side's code.
    await asyncio.to_thread(
        scrape_until, site, lambda later: later.get("mcp_tunnel_websocket_closes_total", code="1000")
        - found.get("mcp_tunnel_websocket_closes_total", code="1000") == 1)


async def test_event_streams_and_what_breaks(admin) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream})
        await ready(site)
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/events")
            body = http.body(await http.final_head())
            assert await anext(body) == b"data: 1\n"
            found = await asyncio.to_thread(scrape, site)
            assert found.get("mcp_tunnel_event_streams_open", route="echo") == 1
            assert found.get("http_server_active_requests", route="echo") == 1
            assert found.get("http_client_open_connections", state="active") == 1
            # While it runs, and not at its end.
            assert found.get("http_server_response_body_bytes_total", route="echo") == 8
            age = found.get("mcp_tunnel_event_stream_oldest_age_seconds")
            later = await asyncio.to_thread(
                scrape_until, site, lambda now: now.get("mcp_tunnel_event_stream_oldest_age_seconds") > age)
            assert later.get(f"{DURATION}_count", route="echo", method="GET", status="2xx") == 0
            http.stream.abort()
        found = await asyncio.to_thread(
            scrape_until, site, lambda now: now.get("mcp_tunnel_event_streams_open", route="echo") == 0)
        assert found.get("mcp_tunnel_event_stream_oldest_age_seconds") == 0
        assert found.get("mcp_tunnel_websocket_closes_total", code="1006") >= 1
        async with proxy.far.http("echo") as http:
            await http.send_head("GET", "/broken")
            await http.final_head()
            found = await asyncio.to_thread(
                scrape_until, site, lambda now: now.get(
                    "mcp_tunnel_upstream_failures_total", route="echo", error_type="broken_response") == 1)
        assert found.get(f"{DURATION}_count", route="echo", method="GET", status="2xx") == 2


async def test_handshakes_that_fail(admin, certificates) -> None:
    proxy, site = admin({"echo": "http://127.0.0.1:1"})
    await ready(site)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the library says of an unknown CA
        await proxy.far.open(context=proxy.far.context(ca_file=certificates.stranger_file))
    await asyncio.to_thread(
        scrape_until, site,
        lambda found: found.get("mcp_tunnel_tls_handshake_failures_total", alert="unknown_ca") == 1)


async def test_a_loop_that_hangs_takes_nothing_back(start) -> None:
    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, arguments=["-debuggable"], admin_addr="127.0.0.1:0", threads=2)
        site = Admin(proxy)
        await ready(site)
        for _ in range(8):
            async with proxy.far.http("echo") as http:
                await http.get()
        before = await asyncio.to_thread(
            scrape_until, site, lambda found: found.get("mcp_tunnel_tunnels_open") == 0)
        with stopped_thread(proxy.process.pid, "loop-1"):
            found = await asyncio.to_thread(scrape, site)
        for name in (f"{DURATION}_count", "mcp_tunnel_tunnels_total", "mcp_tunnel_websocket_frames_total"):
            assert found.all(name) == before.all(name)


# Reloads.


async def test_a_reload_keeps_what_was_counted(admin, configuration: dict) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"a": upstream, "b": upstream})
        await ready(site)
        async with proxy.far.http("a") as http:
            for _ in range(3):
                await http.get()
            await http.get(host="b.t.example")
            configuration["admin_addr"] = "127.0.0.1:0"
            for routes, a in (({"new": upstream, "a": upstream}, 4), ({"b": upstream, "a": upstream}, 5)):
                write_configuration(proxy.config_file, configuration, routes)
                mark = proxy.mark()
                proxy.signal(signal.SIGHUP)
                await proxy.logged("configuration reloaded", since=mark)
                await http.get()
                found = await asyncio.to_thread(
                    scrape_until, site, lambda found, a=a: found.get(
                        f"{DURATION}_count", route="a", method="GET", status="2xx") == a)
                # Also of the route that is gone, until it comes back.
                assert found.get(f"{DURATION}_count", route="b", method="GET", status="2xx") == 1
            assert found.get("mcp_tunnel_reloads_total", kind="configuration", result="ok") == 2
            proxy.config_file.write_text("routes: 7\n")
            proxy.signal(signal.SIGHUP)
            await proxy.logged("configuration not reloaded")
            found = await asyncio.to_thread(scrape, site)
            assert found.get("mcp_tunnel_reloads_total", kind="configuration", result="failed") == 1


# Labels.


def series(found: Scrape) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {(sample.name, frozenset(sample.labels.items())) for sample in found.samples}


@pytest.mark.deadline(60)
async def test_nobody_outside_adds_labels(admin) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream}, metrics={"mcp_names": True})
        await ready(site)

        async def attack(http, text: str) -> None:
            await http.request(f"M{text}")
            await http.get(host=f"h{text}.example")
            modern = [("Mcp-Method", f"m/{text}"), ("Mcp-Name", f"n{text}")]
            await http.request("POST", headers=modern, body=b"{}")
            await http.request("POST", headers=[("Mcp-Method", "tools/call"), ("Mcp-Name", f"n{text}")], body=b"{}")

        async with proxy.far.http("echo") as http:
            for index in range(200):
                await attack(http, str(index))
            first = await asyncio.to_thread(
                scrape_until, site, lambda found: found.get("http_server_active_requests", route="echo") == 0)
            for index in range(200, 260):
                await attack(http, str(index))
            # Nor with what is no name at all.
            for name in ("a b", "=?base64?Zm9v?=", "\xff", "x" * 300, '"', "{}"):
                await http.request(
                    "POST", headers=[("Mcp-Method", "tools/call"), ("Mcp-Name", name)], body=b"{}")
            last = await asyncio.to_thread(scrape, site)
    operations = "mcp_server_operation_duration_seconds_count"
    new = {labels for name, labels in series(last) - series(first) if name == operations}
    assert {dict(labels)["mcp_tool_name"] for labels in new} <= {"_OTHER"}
    assert {name for name, _ in series(last) - series(first)} <= {
        operations, operations.replace("_count", "_sum"), operations.replace("_count", "_bucket")}
    names = {dict(labels).get("mcp_tool_name", "") for labels in last.all(operations)}
    assert len(names - {"", "_OTHER"}) == 200
    assert {dict(labels)["mcp_method_name"] for labels in last.all(operations)} == {"tools/call", "_OTHER"}
    assert last.get(operations, mcp_method_name="tools/call", mcp_tool_name="_OTHER") == 60 + 6
    assert last.get(operations, mcp_method_name="tools/call", mcp_tool_name="n7") == 1
    assert last.get(operations, mcp_method_name="_OTHER") == 260
    assert last.get(f"{DURATION}_count", route="echo", method="_OTHER", status="2xx") == 260
    assert last.get(f"{DURATION}_count", method="GET", status="5xx") == 260


async def test_names_of_tools_are_not_told_unasked(admin) -> None:
    async with Upstream(handler) as upstream:
        proxy, site = admin({"echo": upstream})
        await ready(site)
        async with proxy.far.http("echo") as http:
            await http.request(
                "POST", headers=[("mcp-method", "tools/call"), ("MCP-NAME", "secret-tool")], body=b"{}")
            await http.request("POST", "/missing", headers=[("Mcp-Method", "tools/list")], body=b"{}")
            found = await asyncio.to_thread(
                scrape_until, site,
                lambda found: len(found.all("mcp_server_operation_duration_seconds_count")) == 2)
    assert "secret-tool" not in found.text
    assert found.get("mcp_server_operation_duration_seconds_count", mcp_method_name="tools/call") == 1
    assert found.get(
        "mcp_server_operation_duration_seconds_count", mcp_method_name="tools/list", error_type="4xx") == 1
