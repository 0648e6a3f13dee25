"""`mcp-proxy stop` does what SIGTERM does, and finds the proxy as `reload` does."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from peers.http_client import HTTPConnection
from peers.upstream import Upstream, echo
from test_shutdown import Gate, begin, until_not_listening


def stop(binary: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary, "stop", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)


async def test_requests_in_flight_finish(start, binary: Path) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="20s")
        http, body = await begin(proxy)
        done = await asyncio.to_thread(stop, binary, "-config", proxy.config_file)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{proxy.config_file}: process {proxy.process.pid} stops\n"
        await until_not_listening(proxy)
        gate.open.set()
        assert b"".join([part async for part in body]) == b"last"
        http.stream.abort()
        assert await proxy.exit_status() == 0


async def test_it_serves_for_the_delay_as_before(start, binary: Path) -> None:
    """What the hook of a native sidecar counts on."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, shutdown_delay="1s")
        mark = proxy.mark()
        assert (await asyncio.to_thread(stop, binary, "-config", proxy.config_file)).returncode == 0
        await proxy.logged("about to end", since=mark)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        assert await proxy.exit_status() == 0


async def test_a_second_one_waits_for_nothing(start, binary: Path) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_timeout="60s")
        proxy.expected_status = 1
        http, _ = await begin(proxy)
        await asyncio.to_thread(stop, binary, "-config", proxy.config_file)
        await until_not_listening(proxy)
        await asyncio.to_thread(stop, binary, "-config", proxy.config_file)
        assert await proxy.exit_status(10) == 1
        http.stream.abort()


def test_of_no_proxy_it_says_so(binary: Path, tmp_path: Path) -> None:
    done = stop(binary, "-config", tmp_path / "config.yaml")
    assert done.returncode == 1 and done.stderr.startswith("mcp-proxy stop: no proxy runs here")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which is for root")
async def test_another_user_stops_nothing(start, binary: Path) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        # Where that user can run it: the clone may lie in a home that nobody else can read.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            command = [shutil.copy(binary, folder), "stop", "-config", proxy.config_file]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, cwd="/", user=65534, group=65534,
                extra_groups=[])
        assert done.returncode == 1, done.stdout
        http = HTTPConnection(await proxy.far.open(raw=True), "echo.t.example")
        assert (await http.get()).status == 200
        http.stream.abort()
