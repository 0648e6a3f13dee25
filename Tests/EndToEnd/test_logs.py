"""The log: one line an event, pairs of started and finished, nothing secret, and never in the way."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import subprocess

import pytest
from conftest import write_configuration
from peers.endpoint import Endpoint, free_port
from peers.far_side import FarSide
from peers.http_client import HTTPConnection
from peers.tls_stream import StreamCut
from peers.upstream import Connection, Upstream, echo

F_SETPIPE_SZ = 1031


async def test_fields_of_a_request(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            response = await http.request("POST", "/mcp", body=b"x" * 120)
        started = await proxy.logged("request started")
        assert (started.level, started.message) == ("INFO", "request started")
        assert started.fields["route"] == "echo" and started.fields["host"] == "echo.t.example"
        assert (started.fields["method"], started.fields["path"]) == ("POST", "/mcp")
        finished = await proxy.logged("request finished")
        assert (finished.level, finished.message) == ("INFO", "request finished")
        fields = finished.fields
        assert fields["id"] == started.fields["id"]
        assert (fields["route"], fields["method"], fields["path"]) == ("echo", "POST", "/mcp")
        assert fields["status"] == "200" and fields["upstream"] == upstream.address
        assert (fields["bytes_in"], fields["bytes_out"]) == ("120", str(len(response.body)))
        assert 0 <= float(fields["ttfb_ms"]) <= float(fields["duration_ms"]) < 10_000
        assert fields["end"] == "complete"


async def test_json_format(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, log_format="json")
        async with proxy.far.http("echo") as http:
            await http.request("POST", '/q"uo\\te', body=b"x" * 10)
            await http.get(host="no\xfcone.t.example")
        await proxy.logged('"request finished"', count=1)
        for line in proxy.log.splitlines():
            record = json.loads(line)
            assert {"time", "level", "msg"} <= record.keys()
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
        record = json.loads(proxy.found('"request finished"')[0].text)
        assert (record["method"], record["status"], record["bytes_in"]) == ("POST", 200, 10)


async def test_every_line_is_one_event(start) -> None:
    """Nothing a peer sends may forge a line or hide in one."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            await http.get("/a%0a2026-11-21T00:00:00.000Z%20INFO%20forged?x")
            await http.get("/with=equals\"and'quotes\\")
        async with proxy.far.http("echo") as http:
            await http.get(host="forged level=ERROR.t.example".replace(" ", "\x85"))
        await proxy.logged("request finished", count=2)
        for line in proxy.log.splitlines():
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR) \S", line)
            assert line.isprintable()


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_no_secrets_at_any_level(start, level: str, refusing_port: int) -> None:
    secrets = ("s3cret-query", "s3cret-token", "s3cret-cookie", "s3cret-body", "s3cret-session", "s3cret-user")
    headers = [
        ("Authorization", "Bearer s3cret-token"),
        ("Proxy-Authorization", "Basic s3cret-token"),
        ("Cookie", "a=s3cret-cookie"),
        ("X-Api-Key", "s3cret-token"),
        ("Mcp-Session-Id", "s3cret-session"),
    ]
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream, "down": f"http://127.0.0.1:{refusing_port}"}, log_level=level)
        socket = await proxy.far.raw(path="/?token=s3cret-query")
        await socket.close()
        for host in ("echo.t.example", "down.t.example", "nobody.t.example"):
            async with proxy.far.http("echo") as http:
                await http.request("POST", "/mcp?token=s3cret-query#s3cret-query", headers, b"s3cret-body", host=host)
        async with proxy.far.http("echo") as http:
            await http.send(b"GET /?s3cret-query HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: s3cret-token\r\n\r\n")
            await http.response()
        async with proxy.far.http("echo") as http:
            await http.send(b"GET http://s3cret-user@echo.t.example/?s3cret-query HTTP/1.1\r\nHost: a\r\n\r\n")
            await http.response()
        assert proxy.stop() == 0
        for secret in secrets:
            assert secret not in proxy.log


@pytest.mark.parametrize(("level", "lines"), [("debug", True), ("info", True), ("warn", False), ("error", False)])
async def test_levels(start, binary, configuration, tmp_path, certificates, level: str, lines: bool) -> None:
    """`listening` is at info, so at warn the port must be known beforehand."""
    async with Upstream(echo) as upstream:
        port = free_port()
        file = tmp_path / "levels.yaml"
        write_configuration(file, configuration, {"echo": upstream}, log_level=level, listen_addr=f"127.0.0.1:{port}")
        process = subprocess.Popen([str(binary), "-config", str(file)], stderr=subprocess.PIPE, text=True)
        try:
            far = FarSide(Endpoint("127.0.0.1", port), "t.example", certificates.ca_file)
            await until_up(far)
            async with far.http("echo") as http:
                assert (await http.get()).status == 200
                assert (await http.get(host="nobody.t.example")).status == 502
            process.terminate()
            _, log = await asyncio.to_thread(process.communicate, timeout=15)
        finally:
            process.kill()
            process.wait()
        assert ("request started" in log) is lines
        assert ("route configured" in log) is lines
        assert (" DEBUG " in log) is (level == "debug")
        assert ("no route for host" in log) is (level != "error")


async def until_up(far: FarSide) -> None:
    while True:
        try:
            await (await far.raw()).close()
            return
        except OSError:
            await asyncio.sleep(0.02)


async def test_one_finished_for_each_started(start, refusing_port: int) -> None:
    """A mixture of ends; the fixture compares the ids of all pairs after each test, this one makes the ends."""

    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            if head.target.startswith("/stall"):
                await connection.wait_for_end()
            elif head.target == "/cut":
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
                return
            elif head.target.startswith("/stream"):
                await connection.send(b"HTTP/1.1 200 OK\r\n\r\nx")
                await connection.wait_for_end()
            else:
                await connection.respond()

    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream, "down": f"http://127.0.0.1:{refusing_port}"})

        async def abandoned(target: str) -> None:
            stream = await proxy.far.open()
            http = HTTPConnection(stream, "echo.t.example")
            await http.send_head("GET", target)
            while not any(head.target == target for head in upstream.requests):
                await asyncio.sleep(0.005)
            stream.abort()

        async def whole(host: str) -> None:
            async with proxy.far.http("echo") as http:
                await http.get(host=host)

        async def cut() -> None:
            stream = await proxy.far.open()
            await HTTPConnection(stream, "echo.t.example").send_head("GET", "/cut")
            with contextlib.suppress(StreamCut):
                while await stream.read():
                    pass
            stream.abort()

        rounds = 10
        for number in range(rounds):
            await asyncio.gather(
                abandoned(f"/stall{number}"),
                abandoned(f"/stream{number}"),
                whole("echo.t.example"),
                whole("down.t.example"),
                cut(),
            )
        await proxy.logged("request finished", count=5 * rounds)
        ends = [line.fields["end"] for line in proxy.found("request finished")]
        assert {end: ends.count(end) for end in set(ends)} == {
            "client_gone": 2 * rounds, "complete": rounds, "upstream_failed": 2 * rounds
        }


@pytest.mark.deadline(60)
async def test_stalled_log_does_not_stall_traffic(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, collect=False, log_level="debug")
        assert proxy.process.stderr
        fcntl.fcntl(proxy.process.stderr.fileno(), F_SETPIPE_SZ, 4096)
        async with proxy.far.http("echo") as http:
            for _ in range(500):
                assert (await http.get("/" + "p" * 200)).status == 200
        proxy.check_requests = False
        # Nobody reads still; the end must not wait for the log either.
        assert await asyncio.to_thread(proxy.stop) == 0


async def test_reader_of_the_log_goes_away(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, collect=False)
        assert proxy.process.stderr
        proxy.process.stderr.close()
        async with proxy.far.http("echo") as http:
            for _ in range(50):
                assert (await http.get()).status == 200
        proxy.check_requests = False
        assert await asyncio.to_thread(proxy.stop) == 0


async def test_without_standard_error(binary, configuration, tmp_path, certificates) -> None:
    async with Upstream(echo) as upstream:
        port = free_port()
        file = tmp_path / "closed.yaml"
        write_configuration(file, configuration, {"echo": upstream}, listen_addr=f"127.0.0.1:{port}")
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', str(binary), "-config", str(file)]
        )
        try:
            far = FarSide(Endpoint("127.0.0.1", port), "t.example", certificates.ca_file)
            await until_up(far)
            async with far.http("echo") as http:
                # No log line may end up in a socket that took the descriptor's number.
                for _ in range(50):
                    response = await http.get()
                    assert response.status == 200 and response.body.startswith(b"GET / HTTP/1.1\n")
            process.terminate()
            assert await asyncio.to_thread(process.wait, 15) == 0
        finally:
            process.kill()
            process.wait()


async def test_lost_lines_are_owned_up_to(start) -> None:
    """When the reader comes back, the log says how much it lost, or it lost nothing."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, collect=False, log_level="debug")
        assert proxy.process.stderr
        descriptor = proxy.process.stderr.fileno()
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, 4096)
        total = 3000
        async with proxy.far.http("echo") as http:
            request = b"GET /%b HTTP/1.1\r\nHost: echo.t.example\r\n\r\n" % (b"p" * 1000)
            for _ in range(total // 100):
                await http.send(request * 100)
                for _ in range(100):
                    assert (await http.response()).status == 200

        def drain() -> str:
            proxy.process.terminate()
            collected = b""
            while data := os.read(descriptor, 1 << 16):
                collected += data
            return collected.decode()

        log = await asyncio.to_thread(drain)
        proxy.check_requests = False
        finished = log.count("request finished")
        assert finished == total or re.search(r"(dropped|lost|discarded)", log), f"{finished} of {total}"
