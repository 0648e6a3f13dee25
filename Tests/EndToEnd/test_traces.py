"""Traces: the context that goes on, and the spans that a collector gets."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from peers.collector import Collector, values
from peers.scripted import Peer
from peers.upstream import Connection, Upstream, echo

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def export(collector: Collector | str, **variables: str) -> list[str]:
    """The command in front of the proxy that sets the variables."""
    url = collector if isinstance(collector, str) else collector.url
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "20", **variables}
    return ["env", *(f"{name}={value}" for name, value in settings.items())]


def context_of(head) -> tuple[str, str, int]:
    """What OpenTelemetry's own propagator makes of the request that the upstream got."""
    carrier = {name: head.get(name) for name in ("traceparent", "tracestate") if head.get(name)}
    span = get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    assert span.is_valid and span.is_remote
    return f"{span.trace_id:032x}", f"{span.span_id:016x}", int(span.trace_flags)


async def test_without_tracing_the_context_passes_unchanged(start) -> None:
    """Also what is no context: it is the affair of others."""
    lines = [("traceparent", "nonsense"), ("TraceParent", PARENT), ("tracestate", "a=1"), ("tracestate", " b=2"),
             ("Request-Id", "x y"), ("baggage", "k=v")]
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.request("GET", "/", lines)
        sent = [line for line in upstream.requests[0].lines if line.split(":")[0].lower() in
                ("traceparent", "tracestate", "request-id", "baggage")]
        assert sent == [f"{name}: {value}" for name, value in lines]
        assert response.get("request-id") is None
        finished = await proxy.logged("request finished")
        assert not {"trace_id", "request_id"} & finished.fields.keys()


async def test_a_trace_is_continued(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            async with proxy.far.http("echo") as http:
                await http.request("POST", "/mcp?secret=1", [("traceparent", PARENT), ("tracestate", "a=1,b=2"),
                                                            ("baggage", "k=v")], b"x" * 12)
            await asyncio.to_thread(collector.wait, 1, 2)
            [head] = upstream.requests
            trace, span, flags = context_of(head)
            assert (trace, flags) == (TRACE, 1) and span != SPAN
            assert head.get("tracestate") == "a=1,b=2" and head.get("baggage") == "k=v"
            finished = await proxy.logged("request finished")
            assert finished.fields["trace_id"] == TRACE
        server, client = collector.spans
        assert (server.kind, client.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
        assert server.trace_id.hex() == client.trace_id.hex() == TRACE
        assert server.parent_span_id.hex() == SPAN and client.parent_span_id == server.span_id
        assert client.span_id.hex() == span
        # The parent of the first is another process's (bits 8 and 9), that of the second is not.
        assert (server.flags, client.flags) == (0x301, 0x101)


async def test_every_field_of_the_spans(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start(
                {"echo": upstream},
                before=export(collector, OTEL_SERVICE_NAME="my tunnel", OTEL_RESOURCE_ATTRIBUTES="team=a%2Cb,x=1",
                              OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20s3cret,x-y=z"),
                trace={"enabled": True}, log_level="debug")
            before = time.time_ns()
            async with proxy.far.http("echo") as http:
                response = await http.request("POST", '/m"cp?s3cret=1', [
                    ("Mcp-Method", "tools/call"), ("Mcp-Name", "add"), ("MCP-Protocol-Version", "2026-07-28"),
                    ("Mcp-Session-Id", "s3cret"), ("Cookie", "s3cret")], b"x" * 12)
            [call] = await asyncio.to_thread(collector.wait, 1, 2)
            after = time.time_ns()
            assert call.head.split("\r\n")[0] == "POST /v1/traces HTTP/1.1"
            assert call.header("authorization") == "Bearer s3cret" and call.header("x-y") == "z"
            assert call.header("user-agent").startswith("mcp-proxy/")
            resource = call.resource
            assert resource["service.name"] == "my tunnel" and resource["service.version"]
            assert (resource["team"], resource["x"]) == ("a,b", "1")
            assert resource["telemetry.sdk.language"] == "swift" and resource["telemetry.sdk.name"] == "mcp-tunnel"
            server, client = call.spans
            for span in (server, client):
                assert span.name == "POST" and span.status.code == Status.STATUS_CODE_UNSET
                assert before - 1_000_000 <= span.start_time_unix_nano <= span.end_time_unix_nano <= after + 1_000_000
            assert server.start_time_unix_nano <= client.start_time_unix_nano
            finished = await proxy.logged("request finished")
            assert values(server.attributes) == {
                "http.request.method": "POST", "url.scheme": "https", "url.path": '/m"cp',
                "server.address": "echo.t.example", "server.port": 443, "network.peer.address": "127.0.0.1",
                "http.request.body.size": 12, "http.response.body.size": len(response.body),
                "http.response.status_code": 200, "mcp.method.name": "tools/call", "gen_ai.tool.name": "add",
                "mcp.protocol.version": "2026-07-28", "mcp_tunnel.session_hash": finished.fields["mcp_session"],
                "mcp_tunnel.route": "echo", "mcp_tunnel.request": finished.fields["id"], "mcp_tunnel.end": "complete",
            }
            assert values(client.attributes) == {
                "http.request.method": "POST", "server.address": "127.0.0.1", "server.port": upstream.port,
                "url.full": f'{upstream.url}/m"cp', "network.peer.address": "127.0.0.1",
                "network.peer.port": upstream.port, "http.response.status_code": 200,
            }
            assert proxy.stop() == 0
            assert "s3cret" not in proxy.log and "s3cret" not in str(call.request)


INVALID = [
    [], [("tracestate", "a=1")], [("traceparent", "")], [("traceparent", PARENT), ("traceparent", PARENT)],
    [("traceparent", f"ff{PARENT[2:]}"), ("tracestate", "a=1")], [("traceparent", PARENT.upper())],
    [("traceparent", f"00-{'0' * 32}-{SPAN}-01")], [("traceparent", f"{PARENT}-x")],
]


@pytest.mark.parametrize("lines", INVALID, ids=[str(index) for index in range(len(INVALID))])
async def test_without_a_valid_context_a_trace_begins(start, lines) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            async with proxy.far.http("echo") as http:
                await http.request("GET", "/", lines)
                await http.request("GET", "/", lines)
            await asyncio.to_thread(collector.wait, 1, 4)
            traces = [context_of(head) for head in upstream.requests]
            assert len({trace for trace, _, _ in traces} | {TRACE}) == 3
            assert all(flags == 1 for _, _, flags in traces)
            assert all(head.get("tracestate") is None for head in upstream.requests)
        assert [span.parent_span_id for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER] == [b"", b""]


async def test_who_is_recorded(start) -> None:
    """parentbased_traceidratio: the parent decides, and of the rest a ratio. What is not recorded goes on all the same."""
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start(
                {"echo": upstream},
                before=export(collector, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0"),
                trace={"enabled": True})
            assert (await proxy.logged("tracing")).fields["sampler"] == "parentbased_always_off"
            async with proxy.far.http("echo") as http:
                await http.request("GET", "/none")
                await http.request("GET", "/no", [("traceparent", PARENT[:-2] + "00")])
                await http.request("GET", "/yes", [("traceparent", PARENT)])
            assert proxy.stop() == 0
            flags = [context_of(head)[2] for head in upstream.requests]
            assert flags == [0, 0, 1]
            assert all("trace_id" in line.fields for line in proxy.found("request finished"))
        assert [values(span.attributes).get("url.path") for span in collector.spans] == ["/yes", None]


async def test_the_files_ratio_comes_before_the_variables(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start(
                {"echo": upstream}, before=export(collector, OTEL_TRACES_SAMPLER="always_off"),
                trace={"enabled": True, "sample_ratio": 1})
            async with proxy.far.http("echo") as http:
                await http.request("GET", "/", [("traceparent", PARENT[:-2] + "00")])
            await asyncio.to_thread(collector.wait, 1, 2)


async def test_what_goes_wrong_is_in_the_spans(start, refusing_port: int) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            if head.target == "/cut":
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
                return
            await connection.respond({"/404": "404 Not Found", "/503": "503 No"}.get(head.target, "200 OK"))

    with Collector() as collector:
        async with Upstream(handler) as upstream:
            proxy = start({"echo": upstream, "down": f"http://127.0.0.1:{refusing_port}"}, before=export(collector),
                          trace={"enabled": True})
            async with proxy.far.http("echo") as http:
                await http.request("GET", "/404")
                await http.request("GET", "/503")
                await http.request("GET", "/down", host="down.t.example")
                await http.request("GET", "/nobody", host="nobody.t.example")
                await http.request("BREW", "/odd")
            async with proxy.far.http("echo") as http:
                with pytest.raises(Exception):
                    await http.request("GET", "/cut")
            await asyncio.to_thread(collector.wait, 1, 11)
        found = {}
        for span in collector.spans:
            have = values(span.attributes)
            path = have.get("url.path") or have["url.full"].split("/", 3)[3].join(["/", ""])
            failed = span.status.code == Status.STATUS_CODE_ERROR
            assert failed == ("error.type" in have)
            found[path, span.kind] = (span.name, have.get("http.response.status_code"), have.get("error.type"))
        server, client = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT
        assert found == {
            ("/404", server): ("GET", 404, None), ("/404", client): ("GET", 404, "404"),
            ("/503", server): ("GET", 503, "503"), ("/503", client): ("GET", 503, "503"),
            ("/down", server): ("GET", 502, "502"), ("/down", client): ("GET", None, "upstream_failed"),
            ("/nobody", server): ("GET", 502, "502"),
            ("/odd", server): ("HTTP", 200, None), ("/odd", client): ("HTTP", 200, None),
            ("/cut", server): ("GET", 200, "upstream_failed"), ("/cut", client): ("GET", 200, "upstream_failed"),
        }


# The way to the collector.


async def requests(proxy, count: int) -> None:
    async with proxy.far.http("echo") as http:
        for _ in range(count):
            assert (await http.get()).status == 200


@pytest.mark.parametrize("status", ["429 Slow", "502 Bad", "503 Busy", "504 Late"])
async def test_what_is_temporary_is_tried_again(start, status: str) -> None:
    with Collector((status, ("Retry-After: 0",)), (status, ("Retry-After: 0",))) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            await requests(proxy, 1)
            calls = await asyncio.to_thread(collector.wait, 3)
            assert len({call.request.SerializeToString() for call in calls}) == 1
            line = await proxy.logged("trace export delayed")
            assert line.level == "WARN" and line.fields["error"] == f"status {status[:3]}"
            await proxy.logged("trace export works again")


async def test_retry_after_is_heeded(start) -> None:
    with Collector(("503 Busy", ("Retry-After: 2",))) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            await requests(proxy, 1)
            await asyncio.to_thread(collector.wait, 1)
            began = time.monotonic()
            await asyncio.to_thread(collector.wait, 2)
            # Our own first wait is a second at most.
            assert 1.8 < time.monotonic() - began < 8


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "404 Gone", "500 Broken"])
async def test_what_is_refused_is_not_tried_again(start, status: str) -> None:
    with Collector((status, ())) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            await requests(proxy, 1)
            line = await proxy.logged("trace export failed")
            assert line.fields["error"] == f"status {status[:3]}" and line.fields["spans_lost"] == "2"
            await requests(proxy, 1)
            first, second = await asyncio.to_thread(collector.wait, 2)
            assert first.spans[0].span_id != second.spans[0].span_id


async def test_a_connection_serves_many_batches_and_may_die(start) -> None:
    def hang_up(peer: Peer) -> bool:
        peer.respond(b"{}")
        return False

    with Collector(("200 OK", ()), hang_up) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            for number in range(1, 5):
                await requests(proxy, 1)
                await asyncio.to_thread(collector.wait, number, 2 * number)
            assert len(collector.server.peers) == 2
            assert not proxy.found("trace export")


async def test_the_queue_is_bounded_and_its_losses_are_told(start) -> None:
    """The collector holds the first batch. So many spans wait as there is room for; one request more is lost."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(peer: Peer) -> bool:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)
        peer.respond(b"{}")
        return True

    with Collector(hold) as collector:
        async with Upstream(echo) as upstream:
            proxy = start(
                {"echo": upstream}, trace={"enabled": True},
                before=export(collector, OTEL_BSP_MAX_QUEUE_SIZE="6", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="2"))
            await requests(proxy, 1)
            await asyncio.to_thread(collector.wait, 1)
            # Three requests of two spans fill it, the fourth finds no room. None of them waits for the collector.
            await requests(proxy, 4)
            await proxy.logged("request finished", count=5)
            release.set()
            await asyncio.to_thread(collector.wait, 4, 8)
            line = await proxy.logged("trace spans dropped")
            assert (line.level, line.fields["count"], line.fields["queue"]) == ("WARN", "2", "6")
            assert proxy.stop() == 0
        assert len(collector.spans) == 8 and all(len(call.spans) == 2 for call in collector.calls)


async def test_no_request_waits_for_a_collector_that_is_gone(start, refusing_port: int) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, before=export(f"http://127.0.0.1:{refusing_port}"), trace={"enabled": True})
        began = time.monotonic()
        await requests(proxy, 50)
        assert time.monotonic() - began < 5
        line = await proxy.logged("trace export delayed")
        assert "connection refused" in line.fields["error"]
        began = time.monotonic()
        assert await asyncio.to_thread(proxy.stop) == 0
        assert time.monotonic() - began < 3
        assert proxy.found("trace export failed")


async def test_a_silent_collector_is_given_up(start) -> None:
    """At its time-out while the proxy runs, and at the end within the bound of two seconds."""
    def stay_silent(peer: Peer) -> bool:
        peer.read_to_end()
        return False

    with Collector(stay_silent, stay_silent, stay_silent) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector, OTEL_EXPORTER_OTLP_TIMEOUT="300"),
                          trace={"enabled": True})
            await requests(proxy, 1)
            assert (await proxy.logged("trace export delayed")).fields["error"] == "no response in time"
            proxy.stop()
    with Collector(stay_silent) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector), trace={"enabled": True})
            await requests(proxy, 1)
            await asyncio.to_thread(collector.wait, 1)
            began = time.monotonic()
            assert await asyncio.to_thread(proxy.stop) == 0
            assert 1.5 < time.monotonic() - began < 5


async def test_the_last_spans_are_sent_at_the_end(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector, OTEL_BSP_SCHEDULE_DELAY="3600000"),
                          trace={"enabled": True})
            await requests(proxy, 3)
            assert await asyncio.to_thread(proxy.stop) == 0
        assert len(collector.spans) == 6


async def test_a_full_batch_does_not_wait(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start(
                {"echo": upstream}, trace={"enabled": True},
                before=export(collector, OTEL_BSP_SCHEDULE_DELAY="3600000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4"))
            await requests(proxy, 2)
            [call] = await asyncio.to_thread(collector.wait, 1)
            assert len(call.spans) == 4


@pytest.mark.parametrize("trusts", [True, False])
async def test_tls_to_the_collector(start, certificates, tmp_path: Path, trusts: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.authority.issue("localhost").write(tmp_path, "collector"))
    with Collector(tls=context) as collector:
        async with Upstream(echo) as upstream:
            # As the system's CAs.
            file = certificates.ca_file if trusts else certificates.stranger_file
            port = collector.server.port
            proxy = start({"echo": upstream}, trace={"enabled": True},
                          before=export(f"https://localhost:{port}", SSL_CERT_FILE=str(file)))
            await requests(proxy, 1)
            if trusts:
                await asyncio.to_thread(collector.wait, 1, 2)
            else:
                assert "certificate" in (await proxy.logged("trace export delayed")).fields["error"]


async def test_a_ca_of_ones_own(start, certificates, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.authority.issue("localhost").write(tmp_path, "collector"))
    with Collector(tls=context) as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, trace={"enabled": True}, before=export(
                f"https://localhost:{collector.server.port}", OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificates.ca_file)))
            await requests(proxy, 1)
            await asyncio.to_thread(collector.wait, 1, 2)


async def test_it_can_be_turned_off_from_outside(start) -> None:
    with Collector() as collector:
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, before=export(collector, OTEL_SDK_DISABLED="true"), trace={"enabled": True})
            async with proxy.far.http("echo") as http:
                await http.request("GET", "/", [("traceparent", "nonsense")])
            assert upstream.requests[0].get("traceparent") == "nonsense"
            assert proxy.stop() == 0
        assert not collector.calls


async def test_ids_without_a_collector(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, before=["env", "OTEL_TRACES_EXPORTER=none"], trace={"enabled": True})
        await requests(proxy, 1)
        context_of(upstream.requests[0])
        assert (await proxy.logged("tracing")).fields["endpoint"] == "none"


# Request-Id


async def test_a_request_id_is_accepted_or_made(start) -> None:
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            headers = [("Request-Id", "the upstream's own")] if head.target == "/own" else []
            await connection.respond(headers=headers, body=b"x")

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, trace={"request_id": True})
        sent = [[("request-id", "abc-1.2_3")], [("REQUEST-ID", "a" * 128)], [("request-id", "a" * 129)],
                [("request-id", "a b")], [("request-id", "")], [("request-id", "a"), ("request-id", "a")], []]
        ids = []
        async with proxy.far.http("echo") as http:
            for lines in sent:
                response = await http.request("GET", "/", lines)
                ids.append(response.get("request-id"))
            # The client gets the id that the log has, and only that.
            assert (await http.request("GET", "/own", [("Request-Id", "mine")])).get("request-id") == "mine"
            # With responses of our own too.
            refused = await http.request("GET", "/", [("Request-Id", "lost")], host="nobody.t.example")
            assert (refused.status, refused.get("request-id")) == (502, "lost")
        assert ids[:2] == ["abc-1.2_3", "a" * 128]
        made = ids[2:]
        assert len(set(made)) == len(made) and all(len(id) == 32 and int(id, 16) for id in made)
        assert [head.get("request-id") for head in upstream.requests] == [*ids, "mine"]
        await proxy.logged("request finished", count=len(sent) + 2)
        assert [line.fields["request_id"] for line in proxy.found("request finished")] == [*ids, "mine", "lost"]


async def test_wrong_variables_are_told_at_the_start(binary, configuration, tmp_path, certificates) -> None:
    import subprocess

    from conftest import write_configuration

    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"a": "http://127.0.0.1:1"}, trace={"enabled": True})
    process = subprocess.run(
        [*export("http://user:s3cret@host", OTEL_TRACES_SAMPLER="x"), str(binary), "-config", str(file)],
        capture_output=True, text=True, timeout=20, check=False)
    assert process.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: " in process.stderr and "OTEL_TRACES_SAMPLER: " in process.stderr
    assert "s3cret" not in process.stderr
